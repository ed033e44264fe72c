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
    /// A folder with `docs`, `lines`, `docs_vat` and `products`, each as `.csv.gz` or `.csv`.
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
}

#[derive(Debug)]
enum Orders {
    Generated(u64),
    Folder(Folder),
}

#[derive(Debug)]
struct Folder {
    docs: Vec<Doc>,
    lines: Vec<DocLine>,
    /// (number, index), by number.
    by_number: Vec<(i32, u32)>,
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

impl Catalogue {
    /// Builds or reads the catalogue. Errors when the folder is missing, broken or contradicts itself.
    pub fn open(seed: u64, source: &Source) -> anyhow::Result<Catalogue> {
        match source {
            Source::Generated { orders } => {
                if *orders > MOST_ORDERS {
                    bail!("{orders} orders are too many: at most {MOST_ORDERS}");
                }
                Ok(Self::generated(seed, *orders))
            }
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

// ---------------------------------------------------------------- generated

/// Rates in thousandths of a percent that generated orders may carry.
const RATES: &[(&str, &[i64])] = &[
    ("SE", &[25_000, 6_000, 0]),
    ("DE", &[19_000, 7_000, 0]),
    ("AT", &[20_000, 10_000, 0]),
    ("GB", &[20_000, 0]),
    ("US", &[8_875, 7_250, 8_250, 0]),
    ("JP", &[10_000, 0]),
];

/// (code, name, city, zip, rate) of the American states that are sent to.
const STATES: &[(&str, &str, &str, &str, i64)] = &[
    ("NY", "New York", "New York", "10001", 8_875),
    ("CA", "California", "Sacramento", "95814", 7_250),
    ("TX", "Texas", "Houston", "77002-1234", 8_250),
    ("OR", "Oregon", "Portland", "97201", 0),
];

/// The name of an American state by its code.
pub fn state_name(code: &str) -> Option<(i32, &'static str)> {
    (1..).zip(STATES).find(|(_, state)| state.0 == code).map(|(id, state)| (id, state.1))
}

const STYLES: &[(&str, i64)] = &[
    ("Boxy Tee", 29),
    ("Merino Crew", 119),
    ("Wide Leg Jean", 139),
    ("Linen Shirt", 89),
    ("Wrap Dress", 159),
    ("Chore Jacket", 189),
    ("Pleated Skirt", 99),
    ("Rib Tank", 25),
    ("Wool Coat", 349),
    ("Poplin Blouse", 79),
    ("Cargo Trouser", 129),
    ("Knit Vest", 95),
    ("Slip Dress", 145),
    ("Trench", 299),
    ("Hoodie", 85),
];
const LINES_OF_STYLES: &[&str] = &["Alva", "Bo", "Cleo", "Disa"];
const COLOURS: &[(&str, &str)] = &[("BLK", "Black"), ("ECR", "Écru"), ("NVY", "Navy"), ("RST", "Rost")];
const SIZES: &[&str] = &["XS", "S", "M", "L", "XL", "24x26"];
const FIRST_NAMES: &[&str] = &[
    "Anna", "Björn", "Claire", "Dmitri", "Ebba", "Finn", "Greta", "Hannah", "Isak", "Jürgen", "Karin", "Liam", "Maja", "Noah",
    "Olivia", "Per", "Qiana", "Ruth", "Søren", "Tove",
];
const LAST_NAMES: &[&str] = &[
    "Andersson",
    "Brown",
    "Cohen",
    "Dürr",
    "Ekström",
    "Fischer",
    "García",
    "Holm",
    "Ibsen",
    "Jones",
    "Köhler",
    "Lindqvist",
    "Müller",
    "Nyström",
    "O'Brien",
    "Petit",
    "Quist",
    "Rossi",
    "Smith",
    "Ångström",
];
const JAPANESE: &[(&str, &str)] = &[("花子", "山田"), ("太郎", "佐藤"), ("翔", "髙橋"), ("さくら", "𠮷野")];
/// Names that break careless code.
const NAUGHTY: &[(&str, &str)] = &[
    ("Robert'); DROP TABLE orders;--", "Tables"),
    ("<script>alert(1)</script>", "& Sons"),
    ("=1+1", "\"Quoted, \\ Name\""),
    ("null", "undefined"),
    ("علي", "العربي"),
    ("Zoë\u{301}", "Nguyễn\u{200b}"),
    ("👩‍👩‍👧", "🏳️‍🌈 Family"),
    ("İsmail", "ﬁne ﬂow"),
    ("A", "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissenhaftschaferswessenschafe"),
];
const STREETS: &[&str] = &["Storgatan", "Hauptstraße", "High Street", "Main St", "本町", "Rue de l'Église", "Calle Ñandú"];
const COMMENTS: &[&str] =
    &["", "Please leave at the door", "Ring twice — the bell is broken 🔔", "Gift: no price tags\nThank you!"];

/// A small stream of pseudo-random numbers.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, salt: u64, index: u64) -> Dice {
        Dice(mix(mix(seed) ^ mix(salt)) ^ mix(index.wrapping_add(1)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most.max(1)).unwrap_or(1);
        usize::try_from(self.next() % most).unwrap_or(0)
    }

    fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}

fn method(id: i32, name: &'static str, uri: &'static str, price: i64) -> ShippingMethod {
    ShippingMethod { id, name, uri, price }
}

fn generated_markets() -> Vec<Market> {
    let currency = |at: usize| CURRENCIES.get(at).copied().unwrap_or(Currency { id: 0, code: "XXX", digits: 2 });
    vec![
        Market {
            id: 1,
            name: "Sweden",
            currency: currency(0),
            tax_included: true,
            countries: &["SE"],
            methods: vec![
                method(1, "PostNord MyPack", "postnord-mypack", 49_000),
                method(2, "Budbee Home", "budbee-home", 79_000),
            ],
        },
        Market {
            id: 2,
            name: "Germany",
            currency: currency(1),
            tax_included: true,
            countries: &["DE", "AT"],
            methods: vec![method(3, "DHL Paket", "dhl-paket", 4_900), method(4, "DHL Express", "dhl-express", 14_900)],
        },
        Market {
            id: 3,
            name: "United Kingdom",
            currency: currency(2),
            tax_included: true,
            countries: &["GB"],
            methods: vec![
                method(5, "Royal Mail Tracked 48", "royal-mail-48", 3_950),
                method(6, "DPD Next Day", "dpd-next-day", 6_950),
            ],
        },
        Market {
            id: 4,
            name: "United States",
            currency: currency(3),
            tax_included: false,
            countries: &["US"],
            methods: vec![method(7, "UPS Ground", "ups-ground", 8_000), method(8, "FedEx 2Day", "fedex-2day", 19_990)],
        },
        Market {
            id: 5,
            name: "Japan",
            currency: currency(4),
            tax_included: true,
            countries: &["JP"],
            methods: vec![method(9, "Yamato TA-Q-BIN", "yamato", 990_000), method(10, "Sagawa", "sagawa", 1_200_000)],
        },
    ]
}

/// The price in mills of something that costs so many euros, as a shop would round it.
fn local_price(currency: Currency, euros: i64) -> i64 {
    match currency.code {
        "SEK" => euros * 11_000 - 1_000,
        "EUR" => euros * 1_000 - 50,
        "GBP" => euros * 900,
        "USD" => euros * 1_100 - 10,
        _ => euros * 160_000,
    }
}

impl Catalogue {
    fn generated(seed: u64, orders: u64) -> Catalogue {
        let mut items: Vec<Item> = Vec::new();
        let (mut product, mut variant) = (0, 0);
        for (line, line_name) in LINES_OF_STYLES.iter().enumerate() {
            for (style, (style_name, euros)) in STYLES.iter().enumerate() {
                product += 1;
                for (colour, colour_name) in COLOURS {
                    variant += 1;
                    for size in SIZES {
                        items.push(Item {
                            sku: format!("{}{colour}{size}", 1_000 + line * 100 + style),
                            product_number: (1_000 + line * 100 + style).to_string(),
                            variant_number: (*colour).to_owned(),
                            size_number: (*size).to_owned(),
                            product_name: format!("{line_name} {style_name}"),
                            variant_name: (*colour_name).to_owned(),
                            size_name: (*size).to_owned(),
                            product,
                            variant,
                            euros: *euros + 10 * i64::from(u8::try_from(line).unwrap_or(0)),
                            components: Vec::new(),
                            tax: TaxGroup::Standard,
                        });
                    }
                }
            }
        }
        let singles = u32::try_from(items.len() + 3).unwrap_or(0);
        let mut one = |sku: &str, name: &str, euros: i64, tax: TaxGroup, components: &[(u32, i32)]| {
            product += 1;
            variant += 1;
            items.push(Item {
                sku: sku.to_owned(),
                product_number: sku.to_owned(),
                variant_number: String::new(),
                size_number: String::new(),
                product_name: name.to_owned(),
                variant_name: String::new(),
                size_name: ONE_SIZE.to_owned(),
                product,
                variant,
                euros,
                components: components.to_vec(),
                tax,
            });
        };
        one("TOTE", "Canvas Tote", 19, TaxGroup::Standard, &[]);
        one("BEANIE", "Rib Beanie", 35, TaxGroup::Standard, &[]);
        one("LOOKBOOK", "Lookbook No 4", 12, TaxGroup::Reduced, &[]);
        // What stands above are single items; what follows are bundles of them.
        one("SETWINTER", "Winter Set", 139, TaxGroup::Standard, &[(26, 1), (singles - 2, 1)]);
        one("SETTEE3", "Three Tees", 75, TaxGroup::Standard, &[(2, 2), (8, 1)]);
        Catalogue {
            seed,
            source: Orders::Generated(orders),
            items,
            markets: generated_markets(),
            countries: countries(),
            bundles: vec![singles, singles + 1],
            singles,
        }
    }

    fn person(&self, salt: u64, key: u64, country: &str) -> (String, String) {
        let mut dice = Dice::new(self.seed, salt, key);
        if dice.percent(4)
            && let Some((first, last)) = dice.of(NAUGHTY)
        {
            return ((*first).to_owned(), (*last).to_owned());
        }
        if country == "JP"
            && let Some((first, last)) = dice.of(JAPANESE)
        {
            return ((*first).to_owned(), (*last).to_owned());
        }
        let first = dice.of(FIRST_NAMES).copied().unwrap_or("Anna");
        let last = dice.of(LAST_NAMES).copied().unwrap_or("Holm");
        (first.to_owned(), last.to_owned())
    }

    fn country_index(&self, code: &str) -> Option<u32> {
        self.countries.iter().position(|c| c.code == code).and_then(|at| u32::try_from(at).ok())
    }

    fn address(&self, dice: &mut Dice, country: Option<u32>, first: &str, last: &str, email: &str) -> Address {
        let place = country.and_then(|at| self.countries.get(at as usize));
        let street = dice.of(STREETS).copied().unwrap_or("High Street");
        Address {
            first_name: Some(first.to_owned()),
            last_name: Some(last.to_owned()),
            company: dice.percent(5).then(|| "Søster & Brødre AB".to_owned()),
            attention: None,
            address1: Some(format!("{street} {}", 1 + dice.below(120))),
            address2: dice.percent(15).then(|| format!("Apt {}", 1 + dice.below(40))),
            city: Some(place.map_or("St Peter Port", |c| &c.city).to_owned()),
            zip: Some(place.map_or("GY1 1AA", |c| &c.zip).to_owned()),
            state: None,
            country,
            email: Some(email.to_owned()),
            phone: Some(format!("+44 20 7946 0{:03}", dice.below(1_000))),
            cell_phone: None,
        }
    }

    fn make_order(&self, index: u32) -> Order {
        let key = u64::from(index);
        let mut dice = Dice::new(self.seed, hash_text("order"), key);
        let market_at = match dice.below(100) {
            0..30 => 0,
            30..60 => 1,
            60..78 => 2,
            78..92 => 3,
            _ => 4,
        };
        let fallback = Market {
            id: 0,
            name: "",
            currency: Currency { id: 0, code: "XXX", digits: 2 },
            tax_included: true,
            countries: &[],
            methods: Vec::new(),
        };
        let market = self.markets.get(market_at).unwrap_or(&fallback);
        let code = match market.countries {
            [only] => *only,
            [most, rest @ ..] => {
                if dice.percent(80) {
                    *most
                } else {
                    dice.of(rest).copied().unwrap_or(most)
                }
            }
            [] => "SE",
        };
        let country = self.country_index(code);
        let state = (code == "US").then(|| dice.of(STATES).copied()).flatten();
        let rates = RATES.iter().find(|(c, _)| *c == code).map_or(&[0_i64][..], |(_, rates)| *rates);
        let standard = state.map_or_else(|| rates.first().copied().unwrap_or(0), |state| state.4);
        let reduced = match rates {
            [_, reduced, _] if code != "US" => *reduced,
            _ => standard,
        };

        let pool = (u64::from(self.orders()) / 4).max(50);
        let account = dice.percent(60).then(|| dice.next() % pool);
        // A country per account, so that an account's name suits its market.
        let (first, last, email, customer) = match account {
            Some(account) => {
                let account = account * 8 + u64::try_from(market_at).unwrap_or(0);
                let (first, last) = self.person(hash_text("account"), account, code);
                let id = i32::try_from(account + 1).unwrap_or(1);
                let email = format!("customer{id}@example.com");
                let customer = Customer { id, email: email.clone(), first_name: first.clone(), last_name: last.clone() };
                (first, last, email, Some(customer))
            }
            None => {
                let (first, last) = self.person(hash_text("guest"), key, code);
                (first, last, format!("guest{}@example.com", self.number(index)), None)
            }
        };
        let mut shipping_address = self.address(&mut dice, country, &first, &last, &email);
        if let Some((state_code, _, city, zip, _)) = state {
            shipping_address.state = Some(state_code.to_owned());
            shipping_address.city = Some(city.to_owned());
            shipping_address.zip = Some(zip.to_owned());
        }
        let mut billing_address = shipping_address.clone();
        if dice.percent(10) {
            // Somebody else pays; the state stays, as it decided the tax.
            let other = self.address(&mut dice, country, "Bill", "Payer", &email);
            billing_address.first_name = other.first_name;
            billing_address.last_name = other.last_name;
            billing_address.address1 = other.address1;
        }

        let mut order = Order {
            number: self.number(index),
            created: None,
            market: market_at,
            currency: market.currency,
            tax_included: market.tax_included,
            customer,
            shipping_address,
            billing_address,
            lines: Vec::new(),
            method: dice.below(market.methods.len()),
            shipping: Taxed::default(),
            handling: Taxed::default(),
            rate: standard,
            discounts: Vec::new(),
            payment_method: dice.of(PAYMENT_METHODS).copied().unwrap_or((1, "adyen-card", "adyen")),
            payments: Vec::new(),
            comment: if dice.percent(15) { dice.of(COMMENTS).copied().unwrap_or("").to_owned() } else { String::new() },
        };
        self.make_lines(index, &mut dice, &mut order, standard, reduced);
        self.make_charges(&mut dice, &mut order, market);
        make_payments(&mut dice, &mut order, index);
        order
    }

    fn make_lines(&self, index: u32, dice: &mut Dice, order: &mut Order, standard: i64, reduced: i64) {
        let currency = order.currency;
        let first_id = line_id(index, 0);
        let wanted = match dice.below(100) {
            0..45 => 1,
            45..75 => 2,
            75..90 => 3,
            _ => 4 + dice.below(5),
        };
        for _ in 0..wanted {
            let id = first_id + i32::try_from(order.lines.len()).unwrap_or(0);
            let kind = dice.below(1_000);
            if kind < 10 {
                order.lines.push(Line {
                    id,
                    kind: LineKind::GiftCertificate,
                    item: None,
                    ordered: 1,
                    cancelled: 0,
                    unit_original: local_price(currency, 50) / 1_000 * 1_000,
                    unit: local_price(currency, 50) / 1_000 * 1_000,
                    rate: 0,
                    comment: None,
                });
            } else if kind < 40 {
                self.push_bundle(dice, order, id, standard);
            } else {
                let at = dice.next() % u64::from(self.singles.max(1));
                let at = u32::try_from(at).unwrap_or(0);
                let Some(item) = self.items.get(at as usize) else {
                    continue;
                };
                let original = local_price(currency, item.euros);
                // A line campaign takes 20 percent off, rounded to the coin.
                let unit = if dice.percent(12) { currency.round(i128::from(original) * 8, 10) } else { original };
                let ordered = if dice.percent(12) { 2 + i32::try_from(dice.below(3)).unwrap_or(0) } else { 1 };
                let line = Line {
                    id,
                    kind: LineKind::Product,
                    item: Some(at),
                    ordered,
                    cancelled: 0,
                    unit_original: original,
                    unit,
                    rate: match item.tax {
                        TaxGroup::Standard => standard,
                        TaxGroup::Reduced => reduced,
                    },
                    comment: None,
                };
                let again =
                    dice.percent(3).then(|| Line { id: id + 1, comment: Some("Monogram: Å.B."), ordered: 1, ..line.clone() });
                order.lines.push(line);
                order.lines.extend(again);
            }
        }
    }

    fn push_bundle(&self, dice: &mut Dice, order: &mut Order, id: i32, rate: i64) {
        let Some(at) = dice.of(&self.bundles).copied() else {
            return;
        };
        let Some(bundle) = self.items.get(at as usize) else {
            return;
        };
        let price = local_price(order.currency, bundle.euros);
        let place = order.lines.len();
        order.lines.push(Line {
            id,
            kind: LineKind::Bundle,
            item: Some(at),
            ordered: 1,
            cancelled: 0,
            unit_original: price,
            unit: price,
            rate,
            comment: None,
        });
        // The items' own prices, scaled to the bundle's: whoever sums all lines counts them twice.
        let own: i64 =
            bundle.components.iter().map(|(item, units)| self.component_price(order.currency, *item) * i64::from(*units)).sum();
        for (offset, (item, units)) in (1..).zip(&bundle.components) {
            let original = self.component_price(order.currency, *item);
            let scaled = order.currency.round(i128::from(original) * i128::from(price), i128::from(own.max(1)));
            order.lines.push(Line {
                id: id + offset,
                kind: LineKind::BundleItem(place),
                item: Some(*item),
                ordered: *units,
                cancelled: 0,
                unit_original: original,
                unit: scaled,
                rate,
                comment: None,
            });
        }
    }

    fn component_price(&self, currency: Currency, item: u32) -> i64 {
        self.items.get(item as usize).map_or(0, |item| local_price(currency, item.euros))
    }

    fn make_charges(&self, dice: &mut Dice, order: &mut Order, market: &Market) {
        let goods = order.totals().lines;
        let rate = order.rate;
        let cost = market.methods.get(order.method).map_or(0, |m| m.price);
        // Free shipping above a threshold, unless it is the dear method.
        let free = order.method == 0 && goods > local_price(order.currency, 200);
        order.shipping = order.taxed(if free { 0 } else { cost }, rate);
        if market.id == 2 && dice.percent(3) {
            order.handling = order.taxed(2_500, rate);
        }
        if dice.percent(8) {
            let value = order.currency.round(i128::from(goods) * 10, 100);
            order.discounts.push(Discount { voucher: Some((7, "WELCOME10")), amount: order.taxed(value, rate) });
        } else if dice.percent(1) {
            let value = order.currency.round(i128::from(goods) * 5, 100);
            order.discounts.push(Discount { voucher: None, amount: order.taxed(value, rate) });
        }
    }
}

fn line_id(index: u32, line: usize) -> i32 {
    i32::try_from(index).unwrap_or(0) * LINE_BLOCK + i32::try_from(line).unwrap_or(0) + 1
}

fn make_payments(dice: &mut Dice, order: &mut Order, index: u32) {
    let total = order.totals().grand;
    let id = i32::try_from(index).unwrap_or(0) * 8 + 1;
    let reference = |dice: &mut Dice| format!("{:016X}", dice.next());
    let gift = if dice.percent(2) { order.currency.round(i128::from(total), 2) } else { 0 };
    let mut payments = Vec::with_capacity(2);
    if gift > 0 {
        payments.push(("AUTH_GIFT_CARD", reference(dice), gift));
    }
    let authorised = reference(dice);
    payments.push(("AUTH", authorised.clone(), total - gift));
    if dice.percent(10) {
        payments.push(("CAPTURE", authorised, total - gift));
    }
    order.payments =
        (id..).zip(payments).map(|(id, (entry_type, reference, amount))| Payment { id, entry_type, reference, amount }).collect();
}

// ---------------------------------------------------------------- folder

fn open_table(folder: &Path, name: &str) -> anyhow::Result<csv::Reader<Box<dyn Read>>> {
    let packed = folder.join(format!("{name}.csv.gz"));
    let plain = folder.join(format!("{name}.csv"));
    let reader: Box<dyn Read> = if packed.exists() {
        Box::new(flate2::read::MultiGzDecoder::new(File::open(&packed)?))
    } else {
        Box::new(File::open(&plain).with_context(|| format!("neither {name}.csv.gz nor {name}.csv can be opened"))?)
    };
    Ok(csv::Reader::from_reader(reader))
}

/// Calls `each` with the wanted columns of every row.
fn each_row<const N: usize>(
    folder: &Path,
    name: &str,
    columns: [&str; N],
    mut each: impl FnMut([&str; N]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = open_table(folder, name)?;
    let headers = reader.headers().with_context(|| format!("{name}: header"))?.clone();
    let mut places = [0_usize; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = headers.iter().position(|header| header == column).with_context(|| format!("{name} has no column {column}"))?;
    }
    let mut record = csv::StringRecord::new();
    let mut row = 1_u64;
    while reader.read_record(&mut record).with_context(|| format!("{name}: after row {row}"))? {
        row += 1;
        let fields = places.map(|place| record.get(place).unwrap_or(""));
        each(fields).with_context(|| format!("{name} row {row}"))?;
    }
    Ok(())
}

impl Catalogue {
    fn folder(seed: u64, path: &Path, limit: Option<u64>) -> anyhow::Result<Catalogue> {
        let mut countries = countries();
        let london = TimeZone::get("Europe/London").context("the time zone database is missing")?;
        let mut docs: Vec<Doc> = Vec::new();
        let mut stated: HashMap<i32, u32> = HashMap::new();
        each_row(
            path,
            "docs",
            ["doc", "kind", "ts", "customer", "country", "iso2", "currency", "lines"],
            |[doc, kind, ts, customer, label, iso2, currency, lines]| {
                if kind != "sale" {
                    return Ok(());
                }
                let number: i32 = doc.parse().with_context(|| format!("doc {doc:?}"))?;
                let local: DateTime = ts.parse().with_context(|| format!("ts {ts:?}"))?;
                let country = if iso2.is_empty() {
                    None
                } else {
                    let known = countries.iter().position(|c| c.code == iso2);
                    let at = known.unwrap_or(countries.len());
                    if known.is_none() {
                        countries.push(Country {
                            id: i32::try_from(at)? + 1,
                            code: iso2.to_owned(),
                            name: label.to_owned(),
                            continent: "Europe".to_owned(),
                            eu: false,
                            city: label.to_owned(),
                            zip: "00000".to_owned(),
                        });
                    }
                    Some(u32::try_from(at)?)
                };
                stated.insert(number, lines.parse().context("lines")?);
                docs.push(Doc {
                    number,
                    created: london.to_timestamp(local)?,
                    customer: match customer {
                        "" => None,
                        id => Some(id.parse().with_context(|| format!("customer {id:?}"))?),
                    },
                    country,
                    label: label.to_owned(),
                    currency: Currency::find(currency).with_context(|| format!("currency {currency:?} is not known here"))?,
                    rate: 0,
                    first_line: 0,
                    lines: 0,
                });
                Ok(())
            },
        )?;
        docs.sort_by_key(|doc| (doc.created, doc.number));
        if let Some(limit) = limit {
            docs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        let mut by_number: Vec<(i32, u32)> = docs.iter().map(|doc| doc.number).zip(0..).collect();
        by_number.sort_unstable();
        if let Some(twice) = by_number.array_windows::<2>().find(|[a, b]| a.0 == b.0) {
            bail!("doc {} stands twice in docs", twice[0].0);
        }
        let index_of: HashMap<i32, u32> = by_number.iter().copied().collect();

        each_row(path, "docs_vat", ["doc", "rate"], |[doc, rate]| {
            let index = doc.parse::<i32>().ok().and_then(|number| index_of.get(&number));
            if let Some(doc) = index.and_then(|at| docs.get_mut(*at as usize)) {
                doc.rate = parse_mills(rate)?;
            }
            Ok(())
        })?;

        let mut items: Vec<Item> = Vec::new();
        let mut item_of: HashMap<String, u32> = HashMap::new();
        let mut add_item = |sku: &str, name: &str, items: &mut Vec<Item>| -> anyhow::Result<u32> {
            if let Some(at) = item_of.get(sku) {
                return Ok(*at);
            }
            let at = u32::try_from(items.len())?;
            item_of.insert(sku.to_owned(), at);
            let id = i32::try_from(at)? + 1;
            items.push(Item {
                sku: sku.to_owned(),
                product_number: sku.to_owned(),
                variant_number: String::new(),
                size_number: String::new(),
                product_name: name.to_owned(),
                variant_name: String::new(),
                size_name: ONE_SIZE.to_owned(),
                product: id,
                variant: id,
                euros: 0,
                components: Vec::new(),
                tax: TaxGroup::Standard,
            });
            Ok(at)
        };
        each_row(path, "products", ["sku", "name"], |[sku, name]| {
            let name = if name.trim().is_empty() { sku } else { name };
            add_item(sku, name, &mut items).map(|_| ())
        })?;

        // Lines of one document stand together in the file; they are sorted to be sure.
        let mut raw: Vec<(u32, u32, DocLine)> = Vec::new();
        each_row(path, "lines", ["doc", "line", "sku", "qty", "unit_price"], |[doc, line, sku, quantity, price]| {
            let index = doc.parse::<i32>().ok().and_then(|number| index_of.get(&number));
            let Some(index) = index else {
                return Ok(());
            };
            raw.push((
                *index,
                line.parse().context("line")?,
                DocLine {
                    item: add_item(sku, sku, &mut items)?,
                    quantity: quantity.parse().context("qty")?,
                    price: parse_mills(price)?,
                },
            ));
            Ok(())
        })?;
        raw.sort_by_key(|(index, line, _)| (*index, *line));
        let mut lines = Vec::with_capacity(raw.len());
        for (index, _, line) in raw {
            if let Some(doc) = docs.get_mut(index as usize) {
                if doc.lines == 0 {
                    doc.first_line = u32::try_from(lines.len())?;
                }
                doc.lines += 1;
            }
            lines.push(line);
        }
        for doc in &docs {
            if stated.get(&doc.number) != Some(&doc.lines) {
                bail!("doc {} has {} lines, docs says {:?}", doc.number, doc.lines, stated.get(&doc.number));
            }
            if doc.lines >= LINE_BLOCK.unsigned_abs() {
                bail!("doc {} has too many lines", doc.number);
            }
        }
        let currency = docs.first().map_or_else(|| Currency { id: 3, code: "GBP", digits: 2 }, |doc| doc.currency);
        let singles = u32::try_from(items.len())?;
        Ok(Catalogue {
            seed,
            source: Orders::Folder(Folder { docs, lines, by_number }),
            items,
            markets: vec![Market {
                id: 1,
                name: "Online Retail",
                currency,
                tax_included: false,
                countries: &[],
                methods: vec![method(1, "Standard", "standard", 0)],
            }],
            countries,
            bundles: Vec::new(),
            singles,
        })
    }

    fn folder_order(&self, folder: &Folder, index: u32) -> Order {
        let fallback = Doc {
            number: 0,
            created: Timestamp::UNIX_EPOCH,
            customer: None,
            country: None,
            label: String::new(),
            currency: Currency { id: 3, code: "GBP", digits: 2 },
            rate: 0,
            first_line: 0,
            lines: 0,
        };
        let doc = folder.docs.get(index as usize).unwrap_or(&fallback);
        let code = doc.country.and_then(|at| self.countries.get(at as usize)).map_or("", |c| c.code.as_str());
        let (salt, key, email) = match doc.customer {
            Some(id) => (hash_text("account"), id.unsigned_abs(), format!("customer{id}@example.com")),
            None => (hash_text("guest"), doc.number.unsigned_abs(), format!("guest{}@example.com", doc.number)),
        };
        let (first, last) = self.person(salt, u64::from(key), code);
        let mut dice = Dice::new(self.seed, salt ^ 1, u64::from(key));
        let mut address = self.address(&mut dice, doc.country, &first, &last, &email);
        if doc.country.is_none() {
            address.city = Some(doc.label.clone());
        }
        let first_line = doc.first_line as usize;
        let lines = folder.lines.get(first_line..first_line + doc.lines as usize).unwrap_or(&[]);
        let mut order = Order {
            number: doc.number,
            created: Some(doc.created),
            market: 0,
            currency: doc.currency,
            tax_included: false,
            customer: doc.customer.map(|id| Customer { id, email, first_name: first, last_name: last }),
            billing_address: address.clone(),
            shipping_address: address,
            lines: lines
                .iter()
                .enumerate()
                .map(|(place, line)| Line {
                    id: line_id(index, place),
                    kind: LineKind::Product,
                    item: Some(line.item),
                    ordered: line.quantity,
                    cancelled: 0,
                    unit_original: line.price,
                    unit: line.price,
                    rate: doc.rate,
                    comment: None,
                })
                .collect(),
            method: 0,
            shipping: Taxed::default(),
            handling: Taxed::default(),
            rate: doc.rate,
            discounts: Vec::new(),
            payment_method: (1, "adyen-card", "adyen"),
            payments: Vec::new(),
            comment: String::new(),
        };
        let mut dice = Dice::new(self.seed, hash_text("payment"), u64::from(doc.number.unsigned_abs()));
        let total = order.totals().grand;
        let id = i32::try_from(index).unwrap_or(0) * 8 + 1;
        let reference = format!("{:016X}", dice.next());
        order.payments.push(Payment { id, entry_type: "AUTH", reference: reference.clone(), amount: total });
        if dice.percent(10) {
            order.payments.push(Payment { id: id + 1, entry_type: "CAPTURE", reference, amount: total });
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample in this crate.
    pub fn sample() -> Source {
        Source::Folder { path: concat!(env!("CARGO_MANIFEST_DIR"), "/samples/online-retail").into(), limit: None }
    }

    fn whole() -> Option<PathBuf> {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/online-retail"));
        path.exists().then_some(path)
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
        assert_eq!(check_folder(&path), 11);
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

    #[test]
    fn skus_are_unique() {
        for source in [Source::Generated { orders: 1 }, sample()] {
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
