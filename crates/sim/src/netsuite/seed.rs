//! What the account holds from the start: subsidiaries, currencies, locations, items, tax codes, guests.
//!
//! All ids follow fixed rules, so that mapping tables can be made without asking the account first.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fixed::Fixed;
use crate::data::ItemSeed;
use crate::mischief::{hash_text, mix};

/// A legal entity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subsidiary {
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) country: &'static str,
    pub(super) currency: &'static str,
    pub(super) inactive: bool,
}

pub(super) const SUBSIDIARIES: &[Subsidiary] = &[
    Subsidiary { id: 1, name: "Parent Company", country: "US", currency: "USD", inactive: false },
    Subsidiary { id: 2, name: "Sweden AB", country: "SE", currency: "SEK", inactive: false },
    Subsidiary { id: 3, name: "UK Limited", country: "GB", currency: "GBP", inactive: false },
    Subsidiary { id: 4, name: "US Inc", country: "US", currency: "USD", inactive: false },
    Subsidiary { id: 5, name: "Japan KK", country: "JP", currency: "JPY", inactive: false },
    Subsidiary { id: 6, name: "Germany GmbH", country: "DE", currency: "EUR", inactive: false },
    Subsidiary { id: 9, name: "Closed BV", country: "NL", currency: "EUR", inactive: true },
];

pub(super) fn subsidiary(id: u32) -> Option<&'static Subsidiary> {
    SUBSIDIARIES.iter().find(|s| s.id == id)
}

/// A currency: id, ISO code, name, decimal places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Currency {
    pub(super) id: u32,
    pub(super) symbol: &'static str,
    pub(super) name: &'static str,
    pub(super) digits: u32,
}

const fn money(id: u32, symbol: &'static str, name: &'static str, digits: u32) -> Currency {
    Currency { id, symbol, name, digits }
}

pub(super) const CURRENCIES: &[Currency] = &[
    money(1, "USD", "US Dollar", 2),
    money(2, "GBP", "British pound", 2),
    money(3, "CAD", "Canadian Dollar", 2),
    money(4, "EUR", "Euro", 2),
    money(5, "SEK", "Swedish Krona", 2),
    money(6, "JPY", "Japanese Yen", 0),
    money(7, "DKK", "Danish Krone", 2),
    money(8, "NOK", "Norwegian Krone", 2),
    money(9, "CHF", "Swiss Franc", 2),
    money(10, "AUD", "Australian Dollar", 2),
    money(11, "PLN", "Polish Zloty", 2),
    money(12, "CZK", "Czech Koruna", 2),
    money(13, "HUF", "Hungarian Forint", 2),
    money(14, "KRW", "South Korean Won", 0),
    money(15, "KWD", "Kuwaiti Dinar", 3),
    money(16, "SGD", "Singapore Dollar", 2),
    money(17, "NZD", "New Zealand Dollar", 2),
    money(18, "HKD", "Hong Kong Dollar", 2),
];

pub(super) fn currency(id: u32) -> Option<&'static Currency> {
    CURRENCIES.iter().find(|c| c.id == id)
}

pub(super) fn currency_by_symbol(symbol: &str) -> Option<&'static Currency> {
    CURRENCIES.iter().find(|c| c.symbol == symbol)
}

/// What an account is stocked with. A list of items alone has no kits, and nothing is kept anywhere.
#[derive(Clone, Debug, Default)]
pub struct Goods {
    /// One item each, with ids that rise from 1001 in this order.
    pub items: Vec<ItemSeed>,
    /// Which of them are kits.
    pub kits: Vec<KitSeed>,
    /// What is there before anything happens.
    pub opening: Vec<OpeningStock>,
}

impl From<Vec<ItemSeed>> for Goods {
    fn from(items: Vec<ItemSeed>) -> Goods {
        Goods { items, ..Goods::default() }
    }
}

/// An item that is sold as one and kept as its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KitSeed {
    /// Which item, by its place in [`Goods::items`].
    pub item: usize,
    /// Its parts, by their places, with units per kit.
    pub parts: Vec<(usize, u32)>,
}

/// What is there of an item at a place before anything happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpeningStock {
    /// Which item, by its place in [`Goods::items`].
    pub item: usize,
    /// The internal id of the location.
    pub location: u32,
    /// Units; with nought there is a row all the same.
    pub quantity: i64,
}

/// A place that keeps stock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Location {
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) subsidiary: u32,
    pub(super) inactive: bool,
}

const fn place(id: u32, name: &'static str, subsidiary: u32, inactive: bool) -> Location {
    Location { id, name, subsidiary, inactive }
}

pub(super) const LOCATIONS: &[Location] = &[
    place(11, "Parent Warehouse", 1, false),
    place(21, "Sweden Warehouse", 2, false),
    place(22, "Stockholm Store", 2, false),
    place(29, "Old Sweden Warehouse", 2, true),
    place(31, "UK Warehouse", 3, false),
    place(32, "London Store", 3, false),
    place(41, "US Warehouse", 4, false),
    place(51, "Japan Warehouse", 5, false),
    place(61, "Germany Warehouse", 6, false),
];

pub(super) fn location(id: u32) -> Option<&'static Location> {
    LOCATIONS.iter().find(|l| l.id == id)
}

pub(super) const SHIP_ITEMS: &[(u32, &str)] = &[
    (601, "Standard"),
    (602, "Express"),
    (603, "Pick-up Point"),
    (604, "Home Delivery"),
    (605, "Economy"),
    (606, "Freight"),
    (607, "DHL Paket"),
    (608, "UPS Ground"),
    (609, "Royal Mail Tracked"),
    (610, "PostNord MyPack"),
];

pub(super) const PAYMENT_METHODS: &[(u32, &str)] = &[
    (1, "Cash"),
    (2, "Check"),
    (3, "Discover"),
    (4, "Master Card"),
    (5, "VISA"),
    (6, "American Express"),
    (7, "PayPal"),
    (8, "Klarna"),
    (9, "Adyen"),
    (10, "Stripe"),
    (11, "Gift Card"),
    (12, "Swish"),
];

/// Tax schedules of items.
pub(super) const TAX_SCHEDULES: &[(u32, &str)] = &[(1, "Standard rated"), (2, "Reduced rated"), (3, "Not taxable")];

/// Types of units of items.
pub(super) const UNITS_TYPES: &[(u32, &str)] = &[(1, "Each")];

/// Price levels.
pub(super) const PRICE_LEVELS: &[(u32, &str)] = &[(1, "Base Price"), (2, "Wholesale"), (3, "Employee"), (5, "Online Price")];

/// Accounts: id, type, name.
pub(super) const ACCOUNTS: &[(u32, &str, &str)] = &[
    (54, "Income", "4000 Sales"),
    (55, "Income", "4010 Sales, shoes"),
    (212, "OthCurrAsset", "1200 Inventory"),
    (213, "COGS", "5000 Cost of goods sold"),
    (214, "Expense", "6000 Freight"),
    (301, "Bank", "1000 Bank"),
    (302, "OthCurrLiab", "2100 Store credit and gift cards"),
    (303, "OthCurrAsset", "1090 Payment provider"),
    (304, "COGS", "5100 Inventory adjustments"),
];

pub(super) fn named(list: &'static [(u32, &'static str)], id: u32) -> Option<&'static str> {
    list.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
}

const ISO: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT \
BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK \
FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE \
JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ \
MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO \
RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW \
TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// Whether it is a country of the account's list.
pub(super) fn is_country(code: &str) -> bool {
    code.len() == 2 && ISO.split_ascii_whitespace().any(|known| known == code)
}

/// Standard rates that the SuiteTax engine of this account charges, in percent; other countries are not taxed.
pub(super) fn standard_rate(country: &str) -> Fixed {
    let rate = match country {
        "HU" => 27,
        "SE" | "DK" | "NO" | "HR" => 25,
        "FI" | "GR" => 24,
        "PL" | "PT" | "IE" => 23,
        "IT" | "SI" => 22,
        "NL" | "BE" | "ES" | "CZ" | "LT" | "LV" => 21,
        "GB" | "FR" | "AT" | "SK" | "BG" | "EE" => 20,
        "DE" | "CY" | "RO" => 19,
        "MT" => 18,
        "LU" => 17,
        "JP" | "AU" => 10,
        _ => 0,
    };
    Fixed::whole(rate)
}

fn country_number(country: &str) -> u32 {
    match country.as_bytes() {
        [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] => u32::from(a - b'A') * 26 + u32::from(b - b'A'),
        _ => 675,
    }
}

fn country_of_number(number: u32) -> Option<String> {
    let letter = |n: u32| u8::try_from(n).ok().map(|n| char::from(b'A' + n));
    let code: String = [letter(number / 26)?, letter(number % 26)?].into_iter().collect();
    (is_country(&code) || code == "ZZ").then_some(code)
}

/// Room for one country's tax codes.
const RATES: u32 = 200_000;

/// The id of the tax code for (ISO-2 country, percent as decimal text).
///
/// The rule: `(country + 1) x 200000 + rate`, where `country` is 26 x first letter + second letter (A = 0; anything
/// but two capitals counts as ZZ) and `rate` is in thousandths of a percent. So SE 25 % is `94625000`.
/// A rate that is no number from 0 to 199.999 counts as 0.
pub fn tax_code_id(country: &str, rate: &str) -> String {
    let thousandths = Fixed::parse(rate)
        .and_then(|rate| rate.times(Fixed::whole(1_000), 0))
        .and_then(|n| n.text(0).parse::<u32>().ok())
        .filter(|n| *n < RATES)
        .unwrap_or(0);
    ((country_number(country) + 1) * RATES + thousandths).to_string()
}

/// The id of the tax type (one per country) that a country's tax codes are of: `100 + country`, counted as in
/// [`tax_code_id`]. The column `taxtype` of the table `salestaxitem` tells the same.
pub fn tax_type_id(country: &str) -> String {
    (100 + country_number(country)).to_string()
}

/// A tax code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaxCode {
    pub(super) country: String,
    pub(super) rate: Fixed,
    pub(super) tax_type: u32,
}

impl TaxCode {
    pub(super) fn name(&self) -> String {
        format!("VAT_{}:{}%", self.country, self.rate.text(0))
    }
}

/// The tax code with this id.
pub(super) fn tax_code(id: u32) -> Option<TaxCode> {
    let number = (id / RATES).checked_sub(1)?;
    Some(TaxCode {
        country: country_of_number(number)?,
        rate: Fixed::whole(i64::from(id % RATES)).over(Fixed::whole(1_000))?,
        tax_type: 100 + number,
    })
}

/// The tax codes that lists show: nought and the standard rate of each country, and whatever rates the goods of this
/// world are sold at. Others exist all the same.
pub(super) fn listed_tax_codes() -> Vec<u32> {
    let mut ids: Vec<u32> = ISO
        .split_ascii_whitespace()
        .flat_map(|country| {
            let rate = standard_rate(country).text(0);
            [tax_code_id(country, "0"), tax_code_id(country, &rate)]
        })
        .chain(crate::data::usual_rates().map(|(country, rate)| tax_code_id(country, &rate)))
        .filter_map(|id| id.parse().ok())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The name of the tax type with this id.
pub(super) fn tax_type(id: u32) -> Option<String> {
    country_of_number(id.checked_sub(100)?).map(|country| format!("VAT {country}"))
}

/// The generic customer for orders without an account: one per (subsidiary id, ISO currency), with the id
/// `5000 + 100 x subsidiary + currency id`. `None` for an unknown subsidiary or currency.
pub fn guest_customer_id(subsidiary_id: &str, currency: &str) -> Option<String> {
    let subsidiary = self::subsidiary(subsidiary_id.parse().ok()?)?;
    let currency = currency_by_symbol(currency)?;
    Some((5_000 + 100 * subsidiary.id + currency.id).to_string())
}

/// (subsidiary, currency) of a guest customer.
pub(super) fn guest(id: u32) -> Option<(u32, u32)> {
    let rest = id.checked_sub(5_000)?;
    let (subsidiary, currency) = (rest / 100, rest % 100);
    (self::subsidiary(subsidiary).is_some() && self::currency(currency).is_some()).then_some((subsidiary, currency))
}

/// What kind of item it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ItemKind {
    Inventory,
    /// Sold as one, kept as its parts.
    Kit,
    Discount,
    Charge,
}

impl ItemKind {
    /// Whether it stands for goods.
    pub(super) fn is_goods(self) -> bool {
        matches!(self, ItemKind::Inventory | ItemKind::Kit)
    }

    /// The `itemType` code.
    pub(super) fn code(self) -> &'static str {
        match self {
            ItemKind::Inventory => "InvtPart",
            ItemKind::Kit => "Kit",
            ItemKind::Discount => "Discount",
            ItemKind::Charge => "OthCharge",
        }
    }

    /// The record type.
    pub(super) fn record(self) -> &'static str {
        match self {
            ItemKind::Inventory => "inventoryItem",
            ItemKind::Kit => "kitItem",
            ItemKind::Discount => "discountItem",
            ItemKind::Charge => "otherChargeSaleItem",
        }
    }
}

/// A price of an item: one cell of its matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PriceCell {
    pub(super) currency: u32,
    pub(super) level: u32,
    /// From how many units on.
    pub(super) quantity: i64,
    pub(super) price: Fixed,
}

/// An item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) id: u32,
    pub(super) sku: Box<str>,
    pub(super) name: Box<str>,
    pub(super) kind: ItemKind,
    pub(super) inactive: bool,
    #[serde(default)]
    pub(super) external: Option<Box<str>>,
    /// Seconds since 1970.
    pub(super) created: i64,
    /// Seconds since 1970.
    pub(super) modified: i64,
    /// What else is known of it, by the name of the field.
    #[serde(default)]
    pub(super) fields: Map<String, Value>,
    #[serde(default)]
    pub(super) prices: Vec<PriceCell>,
    /// Where it may be sold; empty for everywhere.
    #[serde(default)]
    pub(super) subsidiaries: Vec<u32>,
    /// And in the subsidiaries below.
    #[serde(default)]
    pub(super) children: bool,
}

impl Item {
    /// One of which no more is known than that it is there.
    pub(super) fn plain(id: u32, sku: &str, name: &str, kind: ItemKind, inactive: bool) -> Item {
        Item {
            id,
            sku: sku.into(),
            name: name.into(),
            kind,
            inactive,
            external: None,
            created: FOUNDED,
            modified: FOUNDED,
            fields: Map::new(),
            prices: Vec::new(),
            subsidiaries: Vec::new(),
            children: false,
        }
    }

    /// Whether documents of a subsidiary may use it. Every subsidiary but the first lies below the first.
    pub(super) fn is_of(&self, subsidiary: u32) -> bool {
        self.subsidiaries.is_empty()
            || self.subsidiaries.contains(&subsidiary)
            || (self.children && self.subsidiaries.contains(&1))
    }

    /// The list price, which replaces a rate that was not marked as custom: 10.00 to 209.99, in any currency.
    pub(super) fn list_price(&self, digits: u32) -> Fixed {
        let cents = 1_000 + mix(hash_text(&self.sku)) % 20_000;
        let cents = Fixed::whole(i64::try_from(cents).unwrap_or(1_000));
        cents.over(Fixed::whole(100)).unwrap_or_default().round(digits)
    }
}

const DISCOUNT: u32 = 31;
const GIFT_CARD: u32 = 32;
const HANDLING: u32 = 33;
const INACTIVE: u32 = 34;
const RETURN_FEE: u32 = 35;
const GOODWILL: u32 = 36;
/// When the items that are there from the start were made, in seconds since 1970.
const FOUNDED: i64 = 1_262_304_000; // 2010-01-01
/// Id of the first stocked item.
const FIRST_ITEM: u32 = 1_001;

/// One part of a kit: `quantity` units of `item` in one `parent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub(super) parent: u32,
    pub(super) item: u32,
    pub(super) quantity: i64,
}

/// All items.
#[derive(Debug)]
pub(super) struct Items {
    fixed: Vec<Item>,
    /// From [`FIRST_ITEM`] on without gaps.
    stocked: Vec<Item>,
    /// Names are unique within a type only.
    by_sku: HashMap<Box<str>, Vec<u32>>,
    by_external: HashMap<Box<str>, u32>,
    /// By kit.
    members: Vec<Member>,
}

/// The id of the item at this place among those the account is stocked with.
pub(super) fn stocked_id(place: usize) -> u32 {
    u32::try_from(place).ok().and_then(|place| FIRST_ITEM.checked_add(place)).unwrap_or(0)
}

impl Items {
    pub(super) fn new(seeds: Vec<ItemSeed>, kits: &[KitSeed]) -> Items {
        let is_kit: HashSet<usize> = kits.iter().map(|kit| kit.item).collect();
        let fixed = vec![
            Item::plain(DISCOUNT, "Discount", "Discount", ItemKind::Discount, false),
            Item::plain(GIFT_CARD, "Gift card redeemed", "Gift card redeemed", ItemKind::Discount, false),
            Item::plain(HANDLING, "Handling", "Handling", ItemKind::Charge, false),
            Item::plain(INACTIVE, "Inactive item", "Inactive item", ItemKind::Inventory, true),
            Item::plain(RETURN_FEE, "Return fee", "Return fee", ItemKind::Charge, false),
            Item::plain(GOODWILL, "Goodwill", "Goodwill", ItemKind::Charge, false),
        ];
        let stocked: Vec<Item> = (FIRST_ITEM..)
            .zip(seeds.into_iter().enumerate())
            .map(|(id, (place, seed))| {
                let kind = if is_kit.contains(&place) { ItemKind::Kit } else { ItemKind::Inventory };
                Item::plain(id, &seed.sku, &seed.name, kind, false)
            })
            .collect();
        let mut members: Vec<Member> = kits
            .iter()
            .flat_map(|kit| {
                let parent = stocked_id(kit.item);
                kit.parts.iter().map(move |(part, units)| Member { parent, item: stocked_id(*part), quantity: i64::from(*units) })
            })
            .collect();
        members.sort_unstable();
        let mut by_sku: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        for item in fixed.iter().chain(&stocked) {
            by_sku.entry(item.sku.clone()).or_default().push(item.id);
        }
        Items { fixed, stocked, by_sku, by_external: HashMap::new(), members }
    }

    /// The parts of a kit; none for anything else.
    pub(super) fn members(&self, kit: u32) -> &[Member] {
        let from = self.members.partition_point(|member| member.parent < kit);
        let to = self.members.partition_point(|member| member.parent <= kit);
        self.members.get(from..to).unwrap_or(&[])
    }

    /// The parts of all kits, by kit.
    pub(super) fn all_members(&self) -> &[Member] {
        &self.members
    }

    pub(super) fn get(&self, id: u32) -> Option<&Item> {
        match id.checked_sub(FIRST_ITEM) {
            Some(at) => self.stocked.get(usize::try_from(at).ok()?),
            None => self.fixed.iter().find(|item| item.id == id),
        }
    }

    /// The first item of this name.
    pub(super) fn by_sku(&self, sku: &str) -> Option<&Item> {
        self.named(sku).next()
    }

    /// All items of this name, byte for byte.
    pub(super) fn named(&self, sku: &str) -> impl Iterator<Item = &Item> {
        self.by_sku.get(sku).into_iter().flatten().filter_map(|id| self.get(*id))
    }

    pub(super) fn by_external(&self, external: &str) -> Option<&Item> {
        self.get(*self.by_external.get(external)?)
    }

    /// All, by rising id.
    pub(super) fn all(&self) -> impl Iterator<Item = &Item> {
        self.fixed.iter().chain(&self.stocked)
    }

    /// The id of the next new item.
    pub(super) fn next_id(&self) -> u32 {
        stocked_id(self.stocked.len())
    }

    /// Takes in an item, new or changed, and the parts of a kit where they are given, as (item, units).
    pub(super) fn put(&mut self, item: Item, members: Option<&[(u32, i64)]>) {
        if let Some(members) = members {
            self.members.retain(|member| member.parent != item.id);
            self.members.extend(members.iter().map(|(part, quantity)| Member {
                parent: item.id,
                item: *part,
                quantity: *quantity,
            }));
            self.members.sort_unstable();
        }
        if let Some(old) = self.get(item.id) {
            let (id, sku, external) = (old.id, old.sku.clone(), old.external.clone());
            if let Some(ids) = self.by_sku.get_mut(&sku) {
                ids.retain(|known| *known != id);
            }
            if let Some(external) = external {
                self.by_external.remove(&external);
            }
        }
        self.by_sku.entry(item.sku.clone()).or_default().push(item.id);
        if let Some(external) = &item.external {
            self.by_external.insert(external.clone(), item.id);
        }
        let place = match item.id.checked_sub(FIRST_ITEM).and_then(|at| usize::try_from(at).ok()) {
            Some(at) if at == self.stocked.len() => return self.stocked.push(item),
            Some(at) => self.stocked.get_mut(at),
            None => self.fixed.iter_mut().find(|known| known.id == item.id),
        };
        if let Some(place) = place {
            *place = item;
        }
    }
}

/// The ids a mapping is made from. Tax codes and guests: see [`tax_code_id`], [`tax_type_id`], [`guest_customer_id`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedIds {
    /// Subsidiaries as (id, name, ISO-2 country, ISO currency); active ones only.
    pub subsidiaries: Vec<(String, String, String, String)>,
    /// Locations as (id, name, subsidiary id); active ones only.
    pub locations: Vec<(String, String, String)>,
    /// Currencies as (id, ISO code).
    pub currencies: Vec<(String, String)>,
    /// Shipping items as (id, name).
    pub ship_items: Vec<(String, String)>,
    /// Payment methods as (id, name).
    pub payment_methods: Vec<(String, String)>,
    /// The item of type Discount for discounts.
    pub discount_item: String,
    /// The item of type Discount for redeemed gift cards.
    pub gift_card_item: String,
    /// The item of type OthCharge for handling fees.
    pub handling_item: String,
    /// An inactive item, which no new document may use.
    pub inactive_item: String,
    /// The item of type OthCharge for what is kept back for a return.
    pub return_fee_item: String,
    /// The item of type OthCharge for what is given for no goods.
    pub goodwill_item: String,
    /// The account that money is paid back from.
    pub refund_account: String,
    /// The account of what is owed as store credit and on gift cards.
    pub store_credit_account: String,
    /// The account of what is found and lost.
    pub adjustment_account: String,
}

/// The ids every account of this stand-in starts with.
pub fn seed_ids() -> SeedIds {
    let pairs = |list: &[(u32, &str)]| list.iter().map(|(id, name)| (id.to_string(), (*name).to_owned())).collect();
    SeedIds {
        subsidiaries: SUBSIDIARIES
            .iter()
            .filter(|s| !s.inactive)
            .map(|s| (s.id.to_string(), s.name.into(), s.country.into(), s.currency.into()))
            .collect(),
        locations: LOCATIONS
            .iter()
            .filter(|l| !l.inactive)
            .map(|l| (l.id.to_string(), l.name.into(), l.subsidiary.to_string()))
            .collect(),
        currencies: CURRENCIES.iter().map(|c| (c.id.to_string(), c.symbol.into())).collect(),
        ship_items: pairs(SHIP_ITEMS),
        payment_methods: pairs(PAYMENT_METHODS),
        discount_item: DISCOUNT.to_string(),
        gift_card_item: GIFT_CARD.to_string(),
        handling_item: HANDLING.to_string(),
        inactive_item: INACTIVE.to_string(),
        return_fee_item: RETURN_FEE.to_string(),
        goodwill_item: GOODWILL.to_string(),
        refund_account: "301".into(),
        store_credit_account: "302".into(),
        adjustment_account: "304".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tax_code_id_says_country_and_rate() {
        assert_eq!(tax_code_id("SE", "25"), "94625000");
        for (country, rate) in [("SE", "25"), ("GB", "17.5"), ("US", "8.875"), ("FR", "0"), ("HU", "27")] {
            let code = tax_code(tax_code_id(country, rate).parse().unwrap()).unwrap();
            assert_eq!((code.country.as_str(), code.rate), (country, Fixed::parse(rate).unwrap()));
            assert_eq!(code.tax_type.to_string(), tax_type_id(country));
        }
        assert_eq!(tax_code_id("SE", "25.00"), tax_code_id("SE", "25"));
        assert_eq!(tax_code(7), None);
        assert_eq!(tax_code(4_000_000_000), None);
    }

    #[test]
    fn guests_belong_to_a_subsidiary_and_a_currency() {
        assert_eq!(guest_customer_id("2", "SEK").as_deref(), Some("5205"));
        assert_eq!(guest(5_205), Some((2, 5)));
        assert_eq!(guest_customer_id("2", "XXX"), None);
        assert_eq!(guest_customer_id("77", "SEK"), None);
        assert_eq!(guest(4_999), None);
    }

    #[test]
    fn skus_that_differ_in_case_are_different_items() {
        let seed = |sku: &str| ItemSeed { sku: sku.into(), name: sku.into() };
        let items = Items::new(vec![seed("15056BL"), seed("15056bl")], &[]);
        assert_eq!(items.by_sku("15056BL").unwrap().id, 1_001);
        assert_eq!(items.by_sku("15056bl").unwrap().id, 1_002);
        assert!(items.by_sku("15056Bl").is_none());
        assert_eq!(items.get(1_003).map(|i| i.id), None);
    }
}
