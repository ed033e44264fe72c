//! The orders and items of the world: generated, or read from a folder.
//!
//! Money is kept in *mills*, thousandths of a currency unit, in an `i64`: fine enough for the finest
//! price seen (0.001) and exact. Whole amounts (line values, taxes, totals) are rounded half away from
//! zero to the smallest coin of their currency.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::mischief::{hash_text, mix};

mod credits;
mod flash;
mod folder;
mod generated;
mod stock;
mod wares;

pub use credits::{CREDIT_COLUMNS, Credit, CreditFile};
use flash::Flash;
use generated::RATES;
pub use generated::state_name;
use stock::Shelves;
pub use stock::{FloorEvent, Opening};
pub use wares::ean;

/// One item that a downstream system is stocked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemSeed {
    /// Stock keeping unit, unique in the world.
    pub sku: String,
    /// What it is called.
    pub name: String,
}

/// Where the orders come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Fashion orders made up from the seed.
    Generated {
        /// How many.
        orders: u64,
    },
    /// A flash sale made up from the seed: small orders in bursts for a few hot items, in one market, and a busy shop
    /// floor meanwhile.
    Flash {
        /// How many items; 1 to 100000.
        skus: u32,
        /// How many orders; 24 of them take a second on average.
        orders: u64,
    },
    /// A folder with `docs`, `lines`, `docs_vat` and `products`, each as `.csv.gz` or `.csv`, and, if stock is to be kept, `stock`.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Only the first so many sales by time; all when `None`.
        limit: Option<u64>,
    },
}

/// A currency of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    /// Centra's id.
    pub id: i32,
    /// ISO 4217 code.
    pub code: &'static str,
    /// Decimal places of its smallest coin.
    pub digits: u32,
}

const CURRENCIES: &[Currency] = &[
    Currency { id: 1, code: "SEK", digits: 2 },
    Currency { id: 2, code: "EUR", digits: 2 },
    Currency { id: 3, code: "GBP", digits: 2 },
    Currency { id: 4, code: "USD", digits: 2 },
    Currency { id: 5, code: "JPY", digits: 0 },
    Currency { id: 6, code: "DKK", digits: 2 },
    Currency { id: 7, code: "NOK", digits: 2 },
    Currency { id: 8, code: "CHF", digits: 2 },
    Currency { id: 9, code: "AUD", digits: 2 },
    Currency { id: 10, code: "CAD", digits: 2 },
    Currency { id: 11, code: "PLN", digits: 2 },
];

impl Currency {
    fn find(code: &str) -> Option<Currency> {
        CURRENCIES.iter().copied().find(|c| c.code == code)
    }

    /// The smallest coin, in mills.
    pub fn step(self) -> i64 {
        match self.digits {
            0 => 1_000,
            1 => 100,
            2 => 10,
            _ => 1,
        }
    }

    /// Rounds `numerator / denominator` mills half away from zero to the smallest coin.
    pub fn round(self, numerator: i128, denominator: i128) -> i64 {
        let step = i128::from(self.step());
        i64::try_from(divide(numerator, denominator * step) * step).unwrap_or(0)
    }
}

/// `numerator / denominator`, half away from zero. The denominator is above zero.
fn divide(numerator: i128, denominator: i128) -> i128 {
    let whole = (2 * numerator.abs() + denominator) / (2 * denominator);
    if numerator < 0 { -whole } else { whole }
}

/// Mills as decimal text with as few digits as PHP writes a float: `12`, `12.5`, `0.001`.
pub fn mills_text(mills: i64) -> String {
    let mut text = String::new();
    push_mills(&mut text, mills);
    text
}

/// Appends [`mills_text`].
pub fn push_mills(out: &mut String, mills: i64) {
    use std::fmt::Write as _;
    if mills < 0 {
        out.push('-');
    }
    let (whole, rest) = (mills.unsigned_abs() / 1_000, mills.unsigned_abs() % 1_000);
    let _ = write!(out, "{whole}");
    if rest != 0 {
        let _ = write!(out, ".{rest:03}");
        while out.ends_with('0') {
            out.pop();
        }
    }
}

/// Mills as decimal text with a fixed number of decimal places (0 to 3).
pub fn mills_fixed(mills: i64, digits: u32) -> String {
    let sign = if mills < 0 { "-" } else { "" };
    let (whole, rest) = (mills.unsigned_abs() / 1_000, mills.unsigned_abs() % 1_000);
    match digits {
        0 => format!("{sign}{whole}"),
        1 => format!("{sign}{whole}.{}", rest / 100),
        2 => format!("{sign}{whole}.{:02}", rest / 10),
        _ => format!("{sign}{whole}.{rest:03}"),
    }
}

/// Parses decimal text with at most three decimal places into mills.
fn parse_mills(text: &str) -> anyhow::Result<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 3 || whole.is_empty() {
        bail!("{text:?} is no amount with at most three decimal places");
    }
    let whole: i64 = whole.parse().with_context(|| format!("{text:?}"))?;
    let fraction: i64 = format!("{fraction:0<3}").parse().with_context(|| format!("{text:?}"))?;
    Ok(sign * (whole * 1_000 + fraction))
}

/// A country, with a place that an address can be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Country {
    /// Centra's id.
    pub id: i32,
    /// ISO 3166-1 alpha-2.
    pub code: String,
    /// English name.
    pub name: String,
    /// Continent.
    pub continent: String,
    /// Whether it is in the European Union.
    pub eu: bool,
    /// A city.
    pub city: String,
    /// A post code of that city.
    pub zip: String,
}

#[rustfmt::skip]
const COUNTRIES: &[(&str, &str, &str, bool, &str, &str)] = &[
    ("SE", "Sweden", "Europe", true, "Stockholm", "111 22"),
    ("DE", "Germany", "Europe", true, "Berlin", "10115"),
    ("GB", "United Kingdom", "Europe", false, "London", "EC1A 1BB"),
    ("US", "United States", "North America", false, "New York", "10001"),
    ("JP", "Japan", "Asia", false, "東京都", "100-0001"),
    ("AT", "Austria", "Europe", true, "Wien", "1010"),
    ("AE", "United Arab Emirates", "Asia", false, "Dubai", "00000"),
    ("AU", "Australia", "Oceania", false, "Sydney", "2000"),
    ("BE", "Belgium", "Europe", true, "Bruxelles", "1000"),
    ("BH", "Bahrain", "Asia", false, "Manama", "317"),
    ("BR", "Brazil", "South America", false, "São Paulo", "01310-100"),
    ("CA", "Canada", "North America", false, "Toronto", "M5V 2T6"),
    ("CH", "Switzerland", "Europe", false, "Zürich", "8001"),
    ("CY", "Cyprus", "Europe", true, "Nicosia", "1010"),
    ("CZ", "Czech Republic", "Europe", true, "Praha", "110 00"),
    ("DK", "Denmark", "Europe", true, "København", "1050"),
    ("ES", "Spain", "Europe", true, "Madrid", "28001"),
    ("FI", "Finland", "Europe", true, "Helsinki", "00100"),
    ("FR", "France", "Europe", true, "Paris", "75001"),
    ("GR", "Greece", "Europe", true, "Αθήνα", "105 57"),
    ("HK", "Hong Kong", "Asia", false, "Hong Kong", "999077"),
    ("IE", "Ireland", "Europe", true, "Dublin", "D01 F5P2"),
    ("IL", "Israel", "Asia", false, "Tel Aviv", "6100000"),
    ("IS", "Iceland", "Europe", false, "Reykjavík", "101"),
    ("IT", "Italy", "Europe", true, "Roma", "00118"),
    ("LB", "Lebanon", "Asia", false, "Beirut", "1107"),
    ("LT", "Lithuania", "Europe", true, "Vilnius", "01100"),
    ("MT", "Malta", "Europe", true, "Valletta", "VLT 1111"),
    ("NL", "Netherlands", "Europe", true, "Amsterdam", "1012 AB"),
    ("NO", "Norway", "Europe", false, "Oslo", "0150"),
    ("PL", "Poland", "Europe", true, "Warszawa", "00-001"),
    ("PT", "Portugal", "Europe", true, "Lisboa", "1000-001"),
    ("SA", "Saudi Arabia", "Asia", false, "Riyadh", "11564"),
    ("SG", "Singapore", "Asia", false, "Singapore", "018956"),
    ("ZA", "South Africa", "Africa", false, "Cape Town", "8001"),
];

/// A way to send an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippingMethod {
    /// Centra's id.
    pub id: i32,
    /// Its name.
    pub name: &'static str,
    /// Its uri.
    pub uri: &'static str,
    /// What it costs, in mills, tax as in the market.
    pub price: i64,
}

/// A market: a currency, a tax mode, ways to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    /// Centra's id; the pricelist has the same.
    pub id: i32,
    /// Its name.
    pub name: &'static str,
    /// What is paid in it.
    pub currency: Currency,
    /// Whether prices contain the tax (else it is added).
    pub tax_included: bool,
    /// Where it sends to.
    pub countries: &'static [&'static str],
    /// Ways to send; never empty.
    pub methods: Vec<ShippingMethod>,
}

/// A stock item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Full SKU: product number, variant number and size number with nothing between.
    pub sku: String,
    /// The product's number.
    pub product_number: String,
    /// The variant's number; may be empty.
    pub variant_number: String,
    /// The size's number; may be empty.
    pub size_number: String,
    /// The product's name.
    pub product_name: String,
    /// The variant's name, usually a colour; may be empty.
    pub variant_name: String,
    /// The size's name.
    pub size_name: String,
    /// Number of the product, from 1.
    pub product: i32,
    /// Number of the variant, from 1.
    pub variant: i32,
    /// What a unit costs in euro, tax included, whole; 0 in a folder's data.
    euros: i64,
    /// Components (item, units per bundle) if it is a bundle.
    pub components: Vec<(u32, i32)>,
    /// How it is taxed.
    tax: TaxGroup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TaxGroup {
    Standard,
    Reduced,
}

/// An account of a shopper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Centra's id.
    pub id: i32,
    /// E-mail.
    pub email: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
}

/// An address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Company.
    pub company: Option<String>,
    /// For the attention of.
    pub attention: Option<String>,
    /// Street and number.
    pub address1: Option<String>,
    /// Second line.
    pub address2: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// Post code.
    pub zip: Option<String>,
    /// State or province as typed; its code where the country has coded states.
    pub state: Option<String>,
    /// Index into the catalogue's countries.
    pub country: Option<u32>,
    /// E-mail.
    pub email: Option<String>,
    /// Phone.
    pub phone: Option<String>,
    /// Mobile phone.
    pub cell_phone: Option<String>,
}

/// What a line sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A stock item.
    Product,
    /// A bundle as sold.
    Bundle,
    /// A unit inside the bundle that stands at this place in the lines.
    BundleItem(usize),
    /// A gift certificate.
    GiftCertificate,
}

/// One line. Amounts are in mills, tax as in the market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Centra's id, unique in the instance.
    pub id: i32,
    /// What it sells.
    pub kind: LineKind,
    /// Index into the catalogue's items; `None` for a gift certificate.
    pub item: Option<u32>,
    /// Units ordered.
    pub ordered: i32,
    /// Units cancelled.
    pub cancelled: i32,
    /// Price of one unit before campaigns.
    pub unit_original: i64,
    /// Price of one unit.
    pub unit: i64,
    /// Tax rate in thousandths of a percent.
    pub rate: i64,
    /// The shopper's remark.
    pub comment: Option<&'static str>,
}

/// An amount with the tax that is in it or comes on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taxed {
    /// The amount as quoted: with tax where the market includes it, without where it is added.
    pub quoted: i64,
    /// The tax in it, or on top of it.
    pub tax: i64,
}

/// An order-level reduction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discount {
    /// The voucher's id; `None` for a reduction by the shop's staff.
    pub voucher: Option<(i32, &'static str)>,
    /// How much it takes off, above zero.
    pub amount: Taxed,
}

/// One entry of the payment history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Centra's id.
    pub id: i32,
    /// `PaymentHistoryEntryType`.
    pub entry_type: &'static str,
    /// The provider's transaction id.
    pub reference: String,
    /// How much, in mills.
    pub amount: i64,
}

/// A payment method: (id, uri, plugin).
pub type PaymentMethod = (i32, &'static str, &'static str);

/// The payment methods of the world.
pub const PAYMENT_METHODS: &[PaymentMethod] =
    &[(1, "adyen-card", "adyen"), (2, "klarna-payments", "klarna_payments"), (3, "paypal", "paypal_commerce")];

/// An order as it was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The human number.
    pub number: i32,
    /// When it was placed, where the data say so; else when it was placed in the simulator.
    pub created: Option<Timestamp>,
    /// Index into the catalogue's markets.
    pub market: usize,
    /// What it is paid in.
    pub currency: Currency,
    /// Whether prices contain the tax.
    pub tax_included: bool,
    /// The account; `None` for a guest.
    pub customer: Option<Customer>,
    /// Where it goes.
    pub shipping_address: Address,
    /// Where the invoice goes.
    pub billing_address: Address,
    /// The lines, bundles followed by their items.
    pub lines: Vec<Line>,
    /// Index into the market's methods.
    pub method: usize,
    /// What sending costs.
    pub shipping: Taxed,
    /// What handling costs.
    pub handling: Taxed,
    /// Rate of shipping, handling and discounts, in thousandths of a percent.
    pub rate: i64,
    /// Order-level reductions.
    pub discounts: Vec<Discount>,
    /// The payment method.
    pub payment_method: PaymentMethod,
    /// The payment history.
    pub payments: Vec<Payment>,
    /// The shopper's remark; may be empty.
    pub comment: String,
}

/// Sums of an order, in mills. `shipping`, `handling` and `discounts` (zero or below) as quoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The lines as quoted.
    pub lines: i64,
    /// Shipping as quoted.
    pub shipping: i64,
    /// Handling as quoted.
    pub handling: i64,
    /// Reductions as quoted; zero or below.
    pub discounts: i64,
    /// All tax, shipping's and handling's in, the discounts' off.
    pub tax: i64,
    /// What the shopper pays.
    pub grand: i64,
    /// Units now wanted; items of bundles not counted.
    pub quantity: i32,
    /// Units cancelled.
    pub cancelled: i32,
}

impl Order {
    /// The tax of `quoted` mills at a rate in thousandths of a percent.
    pub fn tax_of(&self, quoted: i64, rate: i64) -> i64 {
        let product = i128::from(quoted) * i128::from(rate);
        let base = if self.tax_included { 100_000 + i128::from(rate) } else { 100_000 };
        self.currency.round(product, base)
    }

    fn taxed(&self, quoted: i64, rate: i64) -> Taxed {
        Taxed { quoted, tax: self.tax_of(quoted, rate) }
    }

    /// A line's value and tax, for the units that are left.
    pub fn line_value(&self, line: &Line) -> Taxed {
        let units = i128::from(line.ordered - line.cancelled);
        let quoted = self.currency.round(i128::from(line.unit) * units, 1);
        self.taxed(quoted, line.rate)
    }

    /// A quoted amount with its tax (`including_tax`) or without.
    pub fn with_tax(&self, amount: Taxed, including_tax: bool) -> i64 {
        match (self.tax_included, including_tax) {
            (true, true) | (false, false) => amount.quoted,
            (true, false) => amount.quoted - amount.tax,
            (false, true) => amount.quoted + amount.tax,
        }
    }

    /// The sums, for the units that are left.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            shipping: self.shipping.quoted,
            handling: self.handling.quoted,
            tax: self.shipping.tax + self.handling.tax,
            ..Totals::default()
        };
        for line in &self.lines {
            if matches!(line.kind, LineKind::BundleItem(_)) {
                continue;
            }
            let value = self.line_value(line);
            totals.lines += value.quoted;
            totals.tax += value.tax;
            totals.quantity += line.ordered - line.cancelled;
            totals.cancelled += line.cancelled;
        }
        for discount in &self.discounts {
            totals.discounts -= discount.amount.quoted;
            totals.tax -= discount.amount.tax;
        }
        totals.grand = totals.lines + totals.shipping + totals.handling + totals.discounts;
        if !self.tax_included {
            totals.grand += totals.tax;
        }
        totals
    }
}

/// The items, markets and orders of a world.
#[derive(Debug)]
pub struct Catalogue {
    seed: u64,
    source: Orders,
    items: Vec<Item>,
    markets: Vec<Market>,
    countries: Vec<Country>,
    bundles: Vec<u32>,
    singles: u32,
    shelves: Shelves,
    credits: Vec<Credit>,
    flash: Option<Flash>,
}

#[derive(Debug)]
enum Orders {
    Generated(u64),
    Folder(Folder),
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Whether all sales of the folder are taken.
    whole: bool,
    docs: Vec<Doc>,
    lines: Vec<DocLine>,
    /// (number, index), by number.
    by_number: Vec<(i32, u32)>,
    /// What each item cost last, in mills; nought where nobody ever paid for it.
    prices: Vec<i64>,
}

#[derive(Debug)]
struct Doc {
    number: i32,
    created: Timestamp,
    customer: Option<i32>,
    country: Option<u32>,
    label: String,
    currency: Currency,
    rate: i64,
    first_line: u32,
    lines: u32,
}

#[derive(Clone, Copy, Debug)]
struct DocLine {
    item: u32,
    quantity: i32,
    price: i64,
}

/// Lists that a mapping between two systems is made from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reference {
    /// Markets.
    pub markets: Vec<ReferenceMarket>,
    /// Tax rates that orders may carry: (ISO-2 country, percent as normalised text).
    pub taxes: Vec<(String, String)>,
    /// Payment methods, as (uri, plugin).
    pub payment_methods: Vec<(String, String)>,
    /// Kinds of order-level reductions in use.
    pub discounts: Vec<String>,
    /// The instance's time zone.
    pub zone: String,
}

/// One market of a [`Reference`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReferenceMarket {
    /// Centra's id.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Shipping methods, as (id, name, uri).
    pub shipping_methods: Vec<(i32, String, String)>,
}

/// Line ids of one order lie in a block of this size.
const LINE_BLOCK: i32 = 2_048;
/// Number of the first generated order.
const FIRST_NUMBER: i32 = 10_001;
/// The most orders a world can hold: line ids must fit into an Int.
const MOST_ORDERS: u64 = 1_000_000;

/// The rates at which made-up goods are taxed: (ISO-2 country, percent as normalised text).
pub fn usual_rates() -> impl Iterator<Item = (&'static str, String)> {
    RATES.iter().flat_map(|(country, rates)| rates.iter().map(move |rate| (*country, mills_text(*rate))))
}

impl Catalogue {
    /// Builds or reads the catalogue. Errors when the folder is missing, broken or contradicts itself.
    pub fn open(seed: u64, source: &Source) -> anyhow::Result<Catalogue> {
        if let Source::Generated { orders } | Source::Flash { orders, .. } = source
            && *orders > MOST_ORDERS
        {
            bail!("{orders} orders are too many: at most {MOST_ORDERS}");
        }
        match source {
            Source::Generated { orders } => Ok(Self::generated(seed, *orders)),
            Source::Flash { skus, orders } => Self::flash(seed, *skus, *orders),
            Source::Folder { path, limit } => {
                Self::folder(seed, path, *limit).with_context(|| format!("read the data folder {}", path.display()))
            }
        }
    }

    /// How many orders there will be.
    pub fn orders(&self) -> u32 {
        match &self.source {
            Orders::Generated(orders) => u32::try_from(*orders).unwrap_or(u32::MAX),
            Orders::Folder(folder) => u32::try_from(folder.docs.len()).unwrap_or(u32::MAX),
        }
    }

    /// All items, bundles included.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What a downstream system is stocked with: all items, and what a gift certificate is booked as.
    pub fn item_seeds(&self) -> Vec<ItemSeed> {
        let gift = matches!(self.source, Orders::Generated(_))
            .then(|| ItemSeed { sku: GIFT_NUMBER.to_owned(), name: "Gift card".to_owned() });
        self.items.iter().map(|item| ItemSeed { sku: item.sku.clone(), name: item.full_name() }).chain(gift).collect()
    }

    /// All markets.
    pub fn markets(&self) -> &[Market] {
        &self.markets
    }

    /// All countries.
    pub fn countries(&self) -> &[Country] {
        &self.countries
    }

    /// All currencies.
    pub fn currencies(&self) -> &'static [Currency] {
        CURRENCIES
    }

    /// Whether orders carry their own time (a folder's data) or the time of their placement.
    pub fn has_own_times(&self) -> bool {
        matches!(self.source, Orders::Folder(_))
    }

    /// The number of the order at `index`.
    pub fn number(&self, index: u32) -> i32 {
        match &self.source {
            Orders::Generated(_) => i32::try_from(index).unwrap_or(i32::MAX - FIRST_NUMBER) + FIRST_NUMBER,
            Orders::Folder(folder) => folder.docs.get(index as usize).map_or(0, |doc| doc.number),
        }
    }

    /// Where the order with `number` stands.
    pub fn index_of(&self, number: i32) -> Option<u32> {
        match &self.source {
            Orders::Generated(orders) => {
                u32::try_from(number.checked_sub(FIRST_NUMBER)?).ok().filter(|index| u64::from(*index) < *orders)
            }
            Orders::Folder(folder) => folder
                .by_number
                .binary_search_by_key(&number, |(number, _)| *number)
                .ok()
                .and_then(|at| folder.by_number.get(at))
                .map(|(_, index)| *index),
        }
    }

    /// The index of the order that comes at `rank` when sorted by number.
    pub fn by_number(&self, rank: u32) -> u32 {
        match &self.source {
            Orders::Generated(_) => rank,
            Orders::Folder(folder) => folder.by_number.get(rank as usize).map_or(0, |(_, index)| *index),
        }
    }

    /// How many orders have a number below `number`.
    pub fn rank_of_number(&self, number: i64) -> u32 {
        match &self.source {
            Orders::Generated(_) => {
                u32::try_from((number - i64::from(FIRST_NUMBER)).clamp(0, i64::from(self.orders()))).unwrap_or(0)
            }
            Orders::Folder(folder) => {
                u32::try_from(folder.by_number.partition_point(|(known, _)| i64::from(*known) < number)).unwrap_or(0)
            }
        }
    }

    /// The number of an order placed beyond the catalogue's own; `extra` counts them from 0.
    /// `None` when there is no number, or no block of line ids, left for it.
    pub fn number_beyond(&self, extra: u32) -> Option<i32> {
        let index = self.orders().checked_add(extra).filter(|index| i64::from(*index) < i64::from(i32::MAX / LINE_BLOCK))?;
        let last = match &self.source {
            Orders::Generated(_) => return i32::try_from(index).ok()?.checked_add(FIRST_NUMBER),
            Orders::Folder(folder) => folder.by_number.last().map_or(0, |(number, _)| *number),
        };
        last.checked_add(i32::try_from(extra).ok()?)?.checked_add(1)
    }

    /// The id of the line at `place` of the order at `index`, which may lie beyond the catalogue's own.
    pub fn line_id(index: u32, place: usize) -> i32 {
        generated::line_id(index, place)
    }

    /// When the order was placed according to the data.
    pub fn own_time(&self, index: u32) -> Option<Timestamp> {
        match &self.source {
            Orders::Generated(_) => None,
            Orders::Folder(folder) => folder.docs.get(index as usize).map(|doc| doc.created),
        }
    }

    /// Makes the order at `index`: always the same one. `index` is below [`Catalogue::orders`].
    pub fn order(&self, index: u32) -> Order {
        match &self.source {
            Orders::Generated(_) => self.make_order(index),
            Orders::Folder(folder) => self.folder_order(folder, index),
        }
    }

    /// What a mapping between this world's two systems needs to know.
    pub fn reference(&self, zone: &str) -> Reference {
        let mut taxes: Vec<(String, String)> = Vec::new();
        match &self.source {
            Orders::Generated(_) => {
                for (country, rates) in RATES {
                    for rate in *rates {
                        taxes.push(((*country).to_owned(), mills_text(*rate)));
                    }
                }
            }
            Orders::Folder(folder) => {
                for doc in &folder.docs {
                    let Some(country) = doc.country.and_then(|at| self.countries.get(at as usize)) else {
                        continue;
                    };
                    taxes.push((country.code.clone(), mills_text(doc.rate)));
                }
            }
        }
        taxes.sort();
        taxes.dedup();
        Reference {
            markets: self
                .markets
                .iter()
                .map(|market| ReferenceMarket {
                    id: market.id,
                    name: market.name.to_owned(),
                    currency: market.currency.code.to_owned(),
                    shipping_methods: market.methods.iter().map(|m| (m.id, m.name.to_owned(), m.uri.to_owned())).collect(),
                })
                .collect(),
            taxes,
            payment_methods: PAYMENT_METHODS.iter().map(|(_, uri, plugin)| ((*uri).to_owned(), (*plugin).to_owned())).collect(),
            discounts: vec!["AppliedVoucher".to_owned(), "AdminDiscount".to_owned()],
            zone: zone.to_owned(),
        }
    }
}

impl Item {
    /// Product, colour and size in one text.
    pub fn full_name(&self) -> String {
        let mut name = self.product_name.clone();
        for part in [&self.variant_name, &self.size_name] {
            if !part.is_empty() && part != ONE_SIZE {
                name.push(' ');
                name.push_str(part);
            }
        }
        name
    }
}

const ONE_SIZE: &str = "One Size";

/// The product number of a gift certificate's line; it is no stock item and has no size.
pub const GIFT_NUMBER: &str = "GIFTCARD";

fn countries() -> Vec<Country> {
    (1..)
        .zip(COUNTRIES)
        .map(|(id, (code, name, continent, eu, city, zip))| Country {
            id,
            code: (*code).to_owned(),
            name: (*name).to_owned(),
            continent: (*continent).to_owned(),
            eu: *eu,
            city: (*city).to_owned(),
            zip: (*zip).to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{folder::each_row, *};

    /// The sample in this crate.
    pub(super) fn sample() -> Source {
        Source::Folder { path: concat!(env!("CARGO_MANIFEST_DIR"), "/samples/online-retail").into(), limit: None }
    }

    pub(super) fn whole() -> Option<PathBuf> {
        // Beside the repository, or beside the folder of its worktrees.
        ["../../../shared", "../../../../shared"]
            .map(|shared| Path::new(env!("CARGO_MANIFEST_DIR")).join(shared).join("data/online-retail"))
            .into_iter()
            .find(|path| path.exists())
    }

    /// Each sale of a folder adds up to what docs and docs_vat say; returns how many were looked at.
    fn check_folder(path: &Path) -> usize {
        let source = Source::Folder { path: path.to_owned(), limit: None };
        let catalogue = Catalogue::open(1, &source).unwrap();
        let mut vat = HashMap::new();
        each_row(path, "docs_vat", ["doc", "excl_line"], |[doc, tax]| {
            vat.insert(doc.to_owned(), parse_mills(tax)?);
            Ok(())
        })
        .unwrap();
        let mut seen = 0;
        each_row(
            path,
            "docs",
            ["doc", "kind", "ts", "iso2", "lines", "units", "net"],
            |[doc, kind, ts, iso2, lines, units, net]| {
                if kind != "sale" {
                    assert!(doc.parse::<i32>().ok().and_then(|n| catalogue.index_of(n)).is_none());
                    return Ok(());
                }
                let index = catalogue.index_of(doc.parse()?).expect("placed");
                let order = catalogue.order(index);
                let totals = order.totals();
                assert_eq!(order.lines.len().to_string(), lines, "{doc}");
                assert_eq!(totals.quantity.to_string(), units, "{doc}");
                let exact: i64 = order.lines.iter().map(|l| l.unit * i64::from(l.ordered)).sum();
                assert_eq!(exact, parse_mills(net)?, "{doc} net");
                assert!((totals.lines - exact).abs() <= 1, "{doc} rounded net");
                assert_eq!(totals.tax, vat.get(doc).copied().unwrap_or(0), "{doc} tax");
                assert_eq!(totals.grand, totals.lines + totals.tax, "{doc}");
                assert_eq!(order.payments[0].amount, totals.grand, "{doc}");
                let zone = TimeZone::get("Europe/London")?;
                let local = order.created.unwrap().to_zoned(zone).datetime().to_string();
                assert_eq!(local.replace('T', " "), ts, "{doc}");
                let country = order.shipping_address.country.map(|at| catalogue.countries()[at as usize].code.clone());
                assert_eq!(country.unwrap_or_default(), iso2, "{doc}");
                seen += 1;
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen, catalogue.orders() as usize);
        seen
    }

    #[test]
    fn the_sample_adds_up() {
        let Source::Folder { path, .. } = sample() else { panic!() };
        assert_eq!(check_folder(&path), 14);
    }

    #[test]
    fn all_sales_of_the_real_data_add_up() {
        if let Some(path) = whole() {
            assert_eq!(check_folder(&path), 8_127);
        }
    }

    #[test]
    fn the_thousandth_is_kept_in_the_unit_price_only() {
        let catalogue = Catalogue::open(1, &sample()).unwrap();
        let order = catalogue.order(catalogue.index_of(550_193).unwrap());
        let line = order.lines.iter().find(|l| l.unit == 1).unwrap();
        assert_eq!(order.line_value(line), Taxed { quoted: 0, tax: 0 });
        assert_eq!(mills_text(line.unit), "0.001");
    }

    #[test]
    fn a_limit_takes_the_earliest_sales() {
        let Source::Folder { path, .. } = sample() else { panic!() };
        let all = Catalogue::open(1, &sample()).unwrap();
        let some = Catalogue::open(1, &Source::Folder { path, limit: Some(3) }).unwrap();
        assert_eq!(some.orders(), 3);
        for index in 0..3 {
            assert_eq!(some.number(index), all.number(index));
            assert!(all.own_time(index) <= all.own_time(3));
        }
    }

    #[test]
    fn generated_orders_are_pure_and_add_up() {
        let catalogue = Catalogue::open(42, &Source::Generated { orders: 3_000 }).unwrap();
        let twin = Catalogue::open(42, &Source::Generated { orders: 3_000 }).unwrap();
        let rates = catalogue.reference("UTC").taxes;
        let (mut bundles, mut gifts, mut guests, mut vouchers, mut yen, mut twins, mut tenders) = (0, 0, 0, 0, 0, 0, 0);
        for index in (0..3_000).rev() {
            let order = catalogue.order(index);
            assert_eq!(order, twin.order(index));
            assert_eq!(catalogue.index_of(order.number), Some(index));
            let totals = order.totals();
            assert!(totals.grand > 0);
            let step = order.currency.step();
            for amount in [totals.lines, totals.tax, totals.grand, totals.shipping, totals.discounts] {
                assert_eq!(amount % step, 0, "{}", order.number);
            }
            let paid: i64 = order.payments.iter().filter(|p| p.entry_type != "CAPTURE").map(|p| p.amount).sum();
            assert_eq!(paid, totals.grand);
            let mut ids: Vec<i32> = order.lines.iter().map(|l| l.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), order.lines.len(), "line ids differ in {}", order.number);
            let country = order.shipping_address.country.unwrap();
            let country = &catalogue.countries()[country as usize].code;
            for rate in order.lines.iter().map(|l| l.rate).chain([order.rate]) {
                assert!(rates.contains(&(country.clone(), mills_text(rate))), "{country} {rate}");
            }
            bundles += usize::from(order.lines.iter().any(|l| l.kind == LineKind::Bundle));
            gifts += usize::from(order.lines.iter().any(|l| l.kind == LineKind::GiftCertificate));
            guests += usize::from(order.customer.is_none());
            vouchers += usize::from(!order.discounts.is_empty());
            yen += usize::from(order.currency.code == "JPY");
            twins += usize::from(order.lines.iter().any(|l| l.comment.is_some()));
            tenders += usize::from(order.payments.iter().any(|p| p.entry_type == "AUTH_GIFT_CARD"));
        }
        for count in [bundles, gifts, guests, vouchers, yen, twins, tenders] {
            assert!(count > 10, "{:?}", (bundles, gifts, guests, vouchers, yen, twins, tenders));
        }
    }

    /// Units per SKU after all events and all product lines of the orders that can stand at the source.
    fn closing(catalogue: &Catalogue, product: impl Fn(&str) -> bool) -> HashMap<String, i64> {
        let sku = |item: u32| catalogue.items()[item as usize].sku.clone();
        let mut left: HashMap<String, i64> = HashMap::new();
        let events = catalogue.floor_events().iter().flat_map(|event| &event.moves);
        for (item, units) in
            catalogue.opening().iter().map(|o| (o.item, o.quantity)).chain(events.map(|(item, _, units)| (*item, *units)))
        {
            *left.entry(sku(item)).or_default() += units;
        }
        let standing =
            (0..catalogue.orders()).map(|index| catalogue.order(index)).filter(|o| o.shipping_address.country.is_some());
        for line in standing.flat_map(|order| order.lines) {
            let sku = sku(line.item.unwrap());
            if product(&sku) {
                *left.entry(sku).or_default() -= i64::from(line.ordered);
            }
        }
        left
    }

    #[test]
    fn the_stock_of_the_real_data_ends_as_they_say() {
        let Some(path) = whole() else { return };
        let catalogue = Catalogue::open(1, &Source::Folder { path: path.clone(), limit: None }).unwrap();
        let mut said: HashMap<String, i64> = HashMap::new();
        each_row(&path, "stock", ["sku", "closing"], |[sku, closing]| {
            said.insert(sku.to_owned(), closing.parse()?);
            Ok(())
        })
        .unwrap();
        assert_eq!(said.len(), 3_500);
        assert!(said.contains_key("15056BL") && said.contains_key("15056bl"));
        assert_eq!(closing(&catalogue, |sku| said.contains_key(sku)), said);
        let events = catalogue.floor_events();
        assert!(events.array_windows::<2>().all(|[a, b]| a.after <= b.after));
        assert_eq!(catalogue.floor_events_due(0, false), 0);
        assert_eq!(catalogue.floor_events_due(8_127, true) as usize, events.len());
        // A sale, then what happened before it, and nothing that came after.
        for (number, event) in (0..).zip(events).step_by(97) {
            assert!(catalogue.floor_events_due(event.after, false) <= number);
            assert!(catalogue.floor_events_due(event.after + 1, false) > number);
        }
        let few = Catalogue::open(1, &Source::Folder { path, limit: Some(1_000) }).unwrap();
        let (events, due) = (few.floor_events(), catalogue.floor_events_due(1_000, false));
        assert_eq!(events, &catalogue.floor_events()[..due as usize], "only what came before the last order");
        assert_eq!(few.opening(), catalogue.opening());
    }

    #[test]
    fn a_folder_without_stock_keeps_none() {
        let Source::Folder { path, .. } = sample() else { unreachable!("the sample is a folder") };
        let folder = tempfile::tempdir().unwrap();
        for table in ["docs.csv", "docs_vat.csv", "lines.csv", "products.csv"] {
            std::fs::copy(path.join(table), folder.path().join(table)).unwrap();
        }
        let catalogue = Catalogue::open(1, &Source::Folder { path: folder.path().to_owned(), limit: None }).unwrap();
        assert!(catalogue.orders() > 0 && catalogue.opening().is_empty() && catalogue.floor_events().is_empty());
        assert!(!Catalogue::open(1, &sample()).unwrap().opening().is_empty());
    }

    #[test]
    fn generated_stock_is_pure_and_bundles_have_none() {
        let catalogue = Catalogue::open(42, &Source::Generated { orders: 100 }).unwrap();
        let twin = Catalogue::open(42, &Source::Generated { orders: 100 }).unwrap();
        assert_eq!(catalogue.opening(), twin.opening());
        assert_eq!(catalogue.opening().len(), 5 * catalogue.singles as usize);
        let kits = catalogue.kits();
        assert_eq!(kits.len(), 2);
        assert!(catalogue.opening().iter().all(|o| o.quantity >= 0 && kits.iter().all(|(kit, _)| *kit != o.item)));
        for few in [0, 3] {
            assert!(catalogue.opening().iter().any(|opening| opening.quantity == few));
        }
        let event = catalogue.made_up_event(7);
        assert_eq!(event, twin.made_up_event(7));
        assert!((0..100).map(|n| catalogue.made_up_event(n)).any(|event| event.moves[0].2 > 0));
    }

    #[test]
    fn a_flash_sale_comes_in_bursts_and_sells_out() {
        let source = Source::Flash { skus: 2_000, orders: 1_440 };
        let catalogue = Catalogue::open(5, &source).unwrap();
        let twin = Catalogue::open(5, &source).unwrap();
        assert_eq!((catalogue.opening(), catalogue.floor_events()), (twin.opening(), twin.floor_events()));
        assert_eq!(catalogue.markets().len(), 1);
        for index in 0..1_440 {
            let order = catalogue.order(index);
            assert_eq!(order, twin.order(index));
            assert!((1..=3).contains(&order.lines.len()));
            assert!(order.lines.iter().all(|line| (1..=2).contains(&line.ordered) && line.kind == LineKind::Product));
            let totals = order.totals();
            assert!(totals.grand > 0 && totals.grand % 10 == 0);
            let paid: i64 = order.payments.iter().filter(|p| p.entry_type != "CAPTURE").map(|p| p.amount).sum();
            assert_eq!(paid, totals.grand);
        }
        let left = closing(&catalogue, |_| true);
        let short = left.values().filter(|units| **units < 0).count();
        assert!((10..100).contains(&short), "{short} are sold out");
        // Nothing leaves the shop that is not there.
        let mut there: HashMap<u32, i64> = catalogue.opening().iter().map(|o| (o.item, o.quantity)).collect();
        for (item, _, units) in catalogue.floor_events().iter().flat_map(|event| &event.moves) {
            let units = *there.get(item).unwrap() + units;
            assert!(units >= 0);
            there.insert(*item, units);
        }
        assert!(catalogue.floor_events().len() > 150);
        assert!(catalogue.floor_events().array_windows::<2>().all(|[a, b]| a.after <= b.after));

        let at = |millis| catalogue.rhythm(0, std::time::Duration::from_millis(millis)).unwrap();
        assert_eq!((at(0), at(1_000), at(2_000), at(10_000), at(60_000), at(u64::MAX / 4)), (0, 50, 100, 240, 1_440, 1_440));
        assert!((0..60).all(|second| at(second * 1_000 + 1_000) - at(second * 1_000) <= 50));
        for from in [0, 1, 49, 240, 241, 1_439, 1_440] {
            assert_eq!(catalogue.rhythm(from, std::time::Duration::ZERO), Some(from));
        }
        assert_eq!(Catalogue::open(5, &Source::Generated { orders: 1 }).unwrap().rhythm(0, Default::default()), None);
        assert!(Catalogue::open(5, &Source::Flash { skus: 0, orders: 1 }).is_err());
        for skus in [1, 2, 50] {
            let tiny = Catalogue::open(5, &Source::Flash { skus, orders: 20 }).unwrap();
            assert!((0..20).all(|index| !tiny.order(index).lines.is_empty()));
        }
    }

    #[test]
    fn skus_are_unique() {
        for source in [Source::Generated { orders: 1 }, Source::Flash { skus: 300, orders: 1 }, sample()] {
            let catalogue = Catalogue::open(1, &source).unwrap();
            let mut skus: Vec<String> = catalogue.item_seeds().into_iter().map(|i| i.sku).collect();
            let all = skus.len();
            skus.sort();
            skus.dedup();
            assert_eq!(skus.len(), all);
        }
    }

    #[test]
    fn amounts_are_written_and_read_exactly() {
        for (mills, text) in [(12_500, "12.5"), (12_000, "12"), (1, "0.001"), (-10, "-0.01"), (0, "0"), (100_000, "100")] {
            assert_eq!(mills_text(mills), text);
            assert_eq!(parse_mills(text).unwrap(), mills);
        }
        assert_eq!(mills_fixed(-10, 2), "-0.01");
        assert_eq!(mills_fixed(990_000, 0), "990");
        assert!(parse_mills("1.2345").is_err());
        assert_eq!(divide(-5, 2), -3);
        assert_eq!(divide(5, 2), 3);
        assert_eq!(divide(4, 10), 0);
    }
}
