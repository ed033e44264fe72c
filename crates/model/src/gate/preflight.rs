//! The gate, before there is an order: every value that a source *can* send, made into small orders, so that a target's
//! lookups tell which of them it would ask for. No key of any target is repeated here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mapping::Lookup;
use crate::{
    id::{ConnectionName, ExternalId, FlowName, RecordKey, Sku},
    likeness::Near,
    money::{Currency, Money, Rounding},
    records::{Address, Customer, LineKind, Named, Order, OrderLine, TaxLine},
};

/// Lines of one probing order.
const LINES_MAX: usize = 200;
/// What a probing line costs, in whole units of its currency.
const PRICE: i64 = 100;

/// One of the lists of values that an order is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueList {
    /// Markets and where they send to.
    Markets,
    /// Shipping methods, and in which markets they are offered.
    ShippingMethods,
    /// Payment methods.
    PaymentMethods,
    /// Currencies, and where they are paid in.
    Currencies,
    /// Tax rates by country.
    Taxes,
    /// Everything that can be sold, one size at a time.
    Skus,
}

impl ValueList {
    /// All of them.
    pub const ALL: [ValueList; 6] = [
        ValueList::Markets,
        ValueList::ShippingMethods,
        ValueList::PaymentMethods,
        ValueList::Currencies,
        ValueList::Taxes,
        ValueList::Skus,
    ];

    /// What people call it.
    pub const fn words(self) -> &'static str {
        match self {
            ValueList::Markets => "markets",
            ValueList::ShippingMethods => "shipping methods",
            ValueList::PaymentMethods => "payment methods",
            ValueList::Currencies => "currencies",
            ValueList::Taxes => "tax rates",
            ValueList::Skus => "SKUs",
        }
    }
}

/// One value that an order may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceValue {
    /// A market and the countries that it sends to (ISO 3166-1 alpha-2).
    Market {
        /// Which.
        market: Named,
        /// Where to.
        countries: Vec<String>,
    },
    /// A shipping method and the ids of the markets that offer it; none means all.
    ShippingMethod {
        /// Which.
        method: Named,
        /// Where it is offered.
        markets: Vec<String>,
    },
    /// A payment method, in the word that orders carry.
    PaymentMethod(String),
    /// A currency and the countries where it is paid in; none means all.
    Currency {
        /// Which.
        currency: Currency,
        /// Where.
        countries: Vec<String>,
    },
    /// A tax rate.
    Tax {
        /// Where the goods go.
        country: String,
        /// In percent: 25 means a quarter.
        rate: Decimal,
    },
    /// Something that can be sold.
    Sku(Sku),
}

/// A market that orders may come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendingMarket {
    /// What people call it.
    pub name: String,
    /// Where it sends to.
    pub countries: BTreeSet<String>,
}

/// All values that a source can send.
#[derive(Clone, Debug, Default)]
pub struct Sendable {
    /// By id.
    pub markets: BTreeMap<String, SendingMarket>,
    /// By id and name, with the ids of the markets that offer them; none means all.
    pub methods: BTreeMap<(String, String), BTreeSet<String>>,
    /// In the words that orders carry.
    pub payments: BTreeSet<String>,
    /// By code, with the countries where they are paid in; none means all.
    pub currencies: BTreeMap<String, BTreeSet<String>>,
    /// Country and rate.
    pub taxes: BTreeSet<(String, Decimal)>,
    /// What can be sold.
    pub skus: BTreeSet<Sku>,
    /// Which of them orders carried as something else than a stock item: a bundle or a gift certificate.
    pub kinds: BTreeMap<Sku, LineKind>,
    /// What orders weigh, where that is known: one weight for each that makes a difference.
    pub weights: BTreeSet<Option<u64>>,
    /// Whether orders come with an account. (A target may ask for a customer's own record then, and for a collective one else.)
    pub accounts: bool,
}

impl Sendable {
    /// Adds a value.
    pub fn add(&mut self, value: SourceValue) {
        match value {
            SourceValue::Market { market, countries } => {
                let known = self.markets.entry(market.id).or_default();
                known.name = market.name;
                known.countries.extend(countries);
            }
            SourceValue::ShippingMethod { method, markets } => {
                // Offered everywhere once means offered everywhere.
                let everywhere = markets.is_empty();
                let known = self.methods.entry((method.id, method.name)).or_insert_with(|| markets.iter().cloned().collect());
                if everywhere || known.is_empty() {
                    known.clear();
                } else {
                    known.extend(markets);
                }
            }
            SourceValue::PaymentMethod(word) => drop(self.payments.insert(word)),
            SourceValue::Currency { currency, countries } => {
                let everywhere = countries.is_empty();
                let known =
                    self.currencies.entry(currency.code().to_owned()).or_insert_with(|| countries.iter().cloned().collect());
                if everywhere || known.is_empty() {
                    known.clear();
                } else {
                    known.extend(countries);
                }
            }
            SourceValue::Tax { country, rate } => drop(self.taxes.insert((country, rate.normalize()))),
            SourceValue::Sku(sku) => drop(self.skus.insert(sku)),
        }
    }

    /// Adds what an order of the last days carried, for a list that the source does not tell.
    pub fn see(&mut self, order: &Order, list: ValueList) {
        let country = order.shipping.as_ref().and_then(|address| address.country.clone());
        match list {
            ValueList::Markets => {
                let known = self.markets.entry(order.market.id.clone()).or_default();
                known.name.clone_from(&order.market.name);
                known.countries.extend(country);
            }
            ValueList::ShippingMethods => {
                if let Some(method) = &order.shipping_method {
                    let markets = self.methods.entry((method.id.clone(), method.name.clone())).or_default();
                    markets.insert(order.market.id.clone());
                }
            }
            ValueList::PaymentMethods => self.payments.extend(order.payment_method.clone()),
            ValueList::Currencies => {
                self.currencies.entry(order.currency.code().to_owned()).or_default().extend(country);
            }
            ValueList::Taxes => {
                let rates = order.lines.iter().flat_map(|line| &line.taxes).map(|tax| tax.rate.normalize());
                self.taxes.extend(country.into_iter().flat_map(|country| rates.clone().map(move |rate| (country.clone(), rate))));
            }
            ValueList::Skus => self.skus.extend(order.lines.iter().map(|line| line.sku.clone())),
        }
    }

    /// Notes as what an order carried its items, whoever lists them: a source may tell SKUs, and not what they are.
    pub fn see_kinds(&mut self, order: &Order) {
        let odd = order.lines.iter().filter(|line| matches!(line.kind, LineKind::Bundle | LineKind::GiftCertificate));
        self.kinds.extend(odd.map(|line| (line.sku.clone(), line.kind)));
    }

    /// How many values of a list there are.
    pub fn count(&self, list: ValueList) -> usize {
        match list {
            ValueList::Markets => self.markets.len(),
            ValueList::ShippingMethods => self.methods.len(),
            ValueList::PaymentMethods => self.payments.len(),
            ValueList::Currencies => self.currencies.len(),
            ValueList::Taxes => self.taxes.len(),
            ValueList::Skus => self.skus.len(),
        }
    }

    /// Orders that together carry every value, each in a combination that can be sent. Without a market or a currency
    /// there is none: every order has both.
    pub fn probes(&self, at: Timestamp) -> Vec<Order> {
        let mut probes = Vec::new();
        let weights = if self.weights.is_empty() { BTreeSet::from([None]) } else { self.weights.clone() };
        for (market, about) in &self.markets {
            let countries: Vec<Option<&str>> =
                if about.countries.is_empty() { vec![None] } else { about.countries.iter().map(|c| Some(c.as_str())).collect() };
            let methods: Vec<Option<(&str, &str)>> = match self.methods_of(market) {
                none if none.is_empty() => vec![None],
                some => some.into_iter().map(Some).collect(),
            };
            for country in &countries {
                let mut currencies = self.currencies_of(*country).into_iter();
                let Some(first) = currencies.next() else { continue };
                for method in &methods {
                    for weight in &weights {
                        let order = self.probe(at, (market, &about.name), *country, *method, first);
                        probes.push(Order { weight_grams: *weight, ..order });
                    }
                }
                let method = methods.first().copied().flatten();
                probes.extend(currencies.map(|other| self.probe(at, (market, &about.name), *country, method, other)));
            }
        }
        for (country, rate) in &self.taxes {
            // A rate of a country that no market sends to is in no order.
            let Some(base) = self.base(at, Some(country)) else { continue };
            probes.extend(self.taxed(&base, *rate));
        }
        if let Some(base) = self.base(at, None) {
            probes.extend(self.payments.iter().map(|word| Order { payment_method: Some(word.clone()), ..base.clone() }));
            let skus: Vec<&Sku> = self.skus.iter().collect();
            probes.extend(skus.chunks(LINES_MAX).map(|some| {
                let line = |(nth, sku): (usize, &&Sku)| {
                    let id = ExternalId::new((nth + 1).to_string());
                    let kind = self.kinds.get(*sku).copied().unwrap_or(LineKind::Product);
                    OrderLine { kind, ..OrderLine::of_units(id, (*sku).clone(), 1, base.currency) }
                };
                Order { lines: some.iter().enumerate().map(line).collect(), ..base.clone() }
            }));
        }
        probes
    }

    fn methods_of(&self, market: &str) -> Vec<(&str, &str)> {
        let offered = |markets: &BTreeSet<String>| markets.is_empty() || markets.contains(market);
        self.methods.iter().filter(|(_, markets)| offered(markets)).map(|((id, name), _)| (id.as_str(), name.as_str())).collect()
    }

    fn currencies_of(&self, country: Option<&str>) -> Vec<Currency> {
        let paid =
            |countries: &BTreeSet<String>| countries.is_empty() || country.is_none_or(|country| countries.contains(country));
        let fits = self.currencies.iter().filter(|(_, countries)| paid(countries));
        fits.filter_map(|(code, _)| Currency::from_code(code)).collect()
    }

    /// An order that can be sent, to this country where one is given.
    fn base(&self, at: Timestamp, country: Option<&str>) -> Option<Order> {
        self.markets.iter().find_map(|(market, about)| {
            let country = match country {
                Some(country) => Some(about.countries.get(country)?.as_str()),
                None => about.countries.iter().map(String::as_str).find(|country| !self.currencies_of(Some(country)).is_empty()),
            };
            let currency = self.currencies_of(country).into_iter().next()?;
            let method = self.methods_of(market).into_iter().next();
            Some(self.probe(at, (market, &about.name), country, method, currency))
        })
    }

    fn probe(
        &self,
        at: Timestamp,
        (market, name): (&str, &str),
        country: Option<&str>,
        method: Option<(&str, &str)>,
        currency: Currency,
    ) -> Order {
        let key = RecordKey::new("preflight");
        let named = |id: &str, name: &str| Named { id: id.to_owned(), name: name.to_owned() };
        let customer = self.accounts.then(|| Customer {
            key: key.clone(),
            id: ExternalId::new(key.as_str()),
            email: None,
            first_name: None,
            last_name: None,
            company: None,
            market: named(market, name),
            store: Named::default(),
            currency,
        });
        Order {
            market: named(market, name),
            shipping: Some(Address { country: country.map(str::to_owned), ..Address::default() }),
            shipping_method: method.map(|(id, name)| named(id, name)),
            customer,
            weight_grams: self.weights.iter().next().copied().flatten(),
            ..Order::of_units(key.clone(), ExternalId::new(key.as_str()), Money::zero(currency), at)
        }
    }

    /// The same with a line that is taxed; `None` where the amounts do not fit into the currency.
    fn taxed(&self, base: &Order, rate: Decimal) -> Option<Order> {
        let sku = self.skus.iter().find(|sku| !self.kinds.contains_key(*sku)).or(self.skus.first())?;
        let net = Money::rounded(Decimal::from(PRICE), base.currency, Rounding::HalfUp).ok()?;
        let share = rate.checked_div(Decimal::ONE_HUNDRED)?.checked_mul(net.decimal())?;
        let tax = Money::rounded(share, base.currency, Rounding::HalfUp).ok()?;
        let line = OrderLine {
            kind: LineKind::Product,
            unit_net: net.decimal(),
            net,
            tax,
            taxes: vec![TaxLine { name: "tax".to_owned(), rate, amount: tax }],
            ..OrderLine::of_units(ExternalId::new("1"), sku.clone(), 1, base.currency)
        };
        Some(Order { lines: vec![line], ..base.clone() })
    }

    /// On which lists the keys of each table hang: tables that do not ask differently when a value differs do not hang
    /// on its list. `accounts` as in [`Sendable::accounts`]. A table that asks by weight is not among them, as no list tells all weights.
    pub fn tables_by_list(
        lookups: &dyn Fn(&Order) -> Vec<Lookup>,
        accounts: bool,
        at: Timestamp,
    ) -> BTreeMap<String, BTreeSet<ValueList>> {
        let with = |changed: Option<ValueList>| {
            let pick = |list: ValueList, one: &str, other: &str| if changed == Some(list) { other } else { one }.to_owned();
            let mut sendable = Sendable { weights: BTreeSet::from([Some(1_000)]), accounts, ..Sendable::default() };
            let country = pick(ValueList::Markets, "SE", "DE");
            let market = pick(ValueList::Markets, "1", "2");
            sendable.add(SourceValue::Market {
                market: Named { name: market.clone(), id: market },
                countries: vec![country.clone()],
            });
            let method = pick(ValueList::ShippingMethods, "first", "second");
            sendable.add(SourceValue::ShippingMethod { method: Named { name: method.clone(), id: method }, markets: Vec::new() });
            sendable.add(SourceValue::PaymentMethod(pick(ValueList::PaymentMethods, "first", "second")));
            if let Some(currency) = Currency::from_code(&pick(ValueList::Currencies, "SEK", "EUR")) {
                sendable.add(SourceValue::Currency { currency, countries: Vec::new() });
            }
            let rate = Decimal::from(if changed == Some(ValueList::Taxes) { 7 } else { 25 });
            sendable.add(SourceValue::Tax { country, rate });
            sendable.add(SourceValue::Sku(Sku::new(pick(ValueList::Skus, "first", "second"))));
            sendable.probes(at)
        };
        let asked = |probes: &[Order]| {
            let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for lookup in probes.iter().flat_map(lookups) {
                tables.entry(lookup.table.clone()).or_default().insert(lookup.key_text());
            }
            tables
        };
        let plain = with(None);
        let base = asked(&plain);
        let heavy: Vec<Order> = plain.iter().map(|order| Order { weight_grams: Some(1_000_000), ..order.clone() }).collect();
        let heavy = asked(&heavy);
        let mut hangs: BTreeMap<String, BTreeSet<ValueList>> = base
            .iter()
            .filter(|(table, keys)| heavy.get(*table) == Some(*keys))
            .map(|(table, _)| (table.clone(), BTreeSet::new()))
            .collect();
        for list in ValueList::ALL {
            let other = asked(&with(Some(list)));
            for (table, lists) in &mut hangs {
                if other.get(table) != base.get(table) {
                    lists.insert(list);
                }
            }
        }
        hangs.retain(|_, lists| !lists.is_empty());
        hangs
    }
}

/// Why a value would stop orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "why", content = "ids")]
pub enum Why {
    /// Nothing says what the target calls it.
    Missing,
    /// What stands for it at the target is inactive.
    Inactive(String),
    /// Several entries of the target could be meant.
    Ambiguous(Vec<String>),
    /// A mapping says what it is, and the target's list has no such entry.
    Vanished(String),
    /// The target's list could not be read yet.
    ListUnread,
}

/// How many orders of the last days carried a value, and their money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Carried {
    /// So many orders.
    pub orders: u64,
    /// Their totals, by currency.
    pub money: BTreeMap<String, Money>,
    /// Some of them, by number.
    pub samples: Vec<String>,
}

impl Carried {
    /// How many orders are named.
    const SAMPLES_MAX: usize = 3;

    /// One more order.
    pub fn add(&mut self, order: &Order) {
        self.orders = self.orders.saturating_add(1);
        let sum = self.money.entry(order.currency.code().to_owned()).or_insert(Money::zero(order.currency));
        *sum = sum.plus(order.totals.gross).unwrap_or(*sum);
        if self.samples.len() < Self::SAMPLES_MAX {
            self.samples.push(order.number.to_string());
        }
    }

    /// `214 orders, 18200.00 EUR`, or that there was none.
    pub fn words(&self, days: u32) -> String {
        match self.orders {
            0 => format!("no order of the last {days} days"),
            n => {
                let orders = if n == 1 { "1 order".to_owned() } else { format!("{n} orders") };
                let money: Vec<String> = self.money.values().map(ToString::to_string).collect();
                format!("{orders} of the last {days} days, {}", money.join(" and "))
            }
        }
    }
}

/// A value that would stop orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The mapping table.
    pub table: String,
    /// The key, as [`Lookup::key_text`] writes it.
    pub key: String,
    /// What people call the value.
    pub shown: String,
    /// The mapping that answers, where one does and its answer is no good.
    pub mapping: Option<String>,
    /// Why.
    #[serde(flatten)]
    pub why: Why,
    /// Which orders carried it.
    pub carried: Carried,
    /// Entries of the target's own list whose names are like it. Never applied by anybody but a person.
    pub suggestions: Vec<Near>,
}

impl Gap {
    /// The texts by which entries of the target's list are compared: what people call the value, and the parts of the key
    /// that are words.
    pub fn texts(lookup: &Lookup) -> Vec<String> {
        let values: Vec<&str> = lookup.key.iter().map(|(_, value)| value.as_str()).collect();
        let words = |text: &&&str| values.len() == 1 || text.chars().filter(|c| c.is_alphabetic()).count() > 2;
        let mut texts: Vec<String> = values.iter().filter(words).map(|text| (**text).to_owned()).collect();
        texts.extend(lookup.label.clone());
        texts.push(values.join(" "));
        texts.sort();
        texts.dedup();
        texts.retain(|text| !text.is_empty());
        texts
    }

    /// What is wrong, in a sentence.
    pub fn message(&self, to: &ConnectionName) -> String {
        let (table, shown) = (&self.table, &self.shown);
        let by = self.mapping.as_deref().map(|key| format!(" (by the mapping {key})")).unwrap_or_default();
        match &self.why {
            Why::Missing => format!("{shown} has no entry in the mapping table {table} of {to}"),
            Why::Inactive(id) => format!("{shown} stands for {id} at {to}{by}, which is inactive there"),
            Why::Ambiguous(ids) => format!("{shown} could stand for any of {} at {to}", ids.join(", ")),
            Why::Vanished(id) => format!("{shown} stands for {id} at {to}{by}, which its list of {table} does not have"),
            Why::ListUnread => format!("{shown}: the list of {table} at {to} could not be read yet"),
        }
    }

    /// The command that maps it to an id.
    pub fn command(&self, to: &ConnectionName, id: &str) -> String {
        let key = match (&self.why, &self.mapping) {
            (Why::Inactive(_) | Why::Vanished(_), Some(mapping)) => mapping,
            _ => &self.key,
        };
        format!("selvedge mappings set {} {} {} --connection {to}", self.table, quoted(key), quoted(id))
    }

    /// What to do, with the suggestions.
    pub fn remedy(&self, to: &ConnectionName) -> String {
        let own = match &self.why {
            Why::ListUnread => return format!("See what selvedge check says about {to}; the list is read again by itself."),
            Why::Inactive(id) => format!("Make {id} active there, or map another: {}", self.command(to, "ID")),
            _ => format!("Map it: {}", self.command(to, "ID")),
        };
        let near = |near: &Near| format!("{} is like it by {} %: {}", near.name, near.likeness, self.command(to, &near.id));
        let suggestions: Vec<String> = self.suggestions.iter().map(near).collect();
        if suggestions.is_empty() { own } else { format!("{own} · Perhaps {}", suggestions.join(" · ")) }
    }
}

/// A text as a shell takes it whole.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// A mapping that nothing needs, or that nobody can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Idle {
    /// Its table.
    pub table: String,
    /// Its key.
    pub key: String,
    /// What it maps to.
    pub value: String,
    /// Whether the target's list has what it maps to, in use; `None` where nobody knows.
    pub stands: Option<bool>,
}

/// What one look at a flow found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preflight {
    /// Which flow.
    pub flow: FlowName,
    /// Whose values.
    pub from: ConnectionName,
    /// Whose mappings and lists.
    pub to: ConnectionName,
    /// When.
    pub at: Timestamp,
    /// Of how many days orders were looked at.
    pub days: u32,
    /// How many orders.
    pub orders: u64,
    /// How many values of each list the source can send.
    pub values: BTreeMap<ValueList, u64>,
    /// Lists that the source does not tell, and why; the values of the orders looked at stand in for them.
    pub unlisted: BTreeMap<ValueList, String>,
    /// Whether one of these could be told and was not this time: what was not found is not proven gone.
    pub partial: bool,
    /// How many values were looked up.
    pub lookups: u64,
    /// What would stop orders, the most orders first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Mappings that no value which can be sent ever asks for.
    pub unused: Vec<Idle>,
    /// Mappings that point at what is inactive or gone, and that nothing needs at present.
    pub dangling: Vec<Idle>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{eur, line, order};

    fn at() -> Timestamp {
        "2026-02-03T09:00:00Z".parse().unwrap()
    }

    fn named(id: &str, name: &str) -> Named {
        Named { id: id.into(), name: name.into() }
    }

    fn shop() -> Sendable {
        let mut shop = Sendable::default();
        let countries = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>();
        shop.add(SourceValue::Market { market: named("1", "Sweden"), countries: countries(&["SE"]) });
        shop.add(SourceValue::Market { market: named("2", "Europe"), countries: countries(&["DE", "FR"]) });
        shop.add(SourceValue::ShippingMethod { method: named("7", "Standard"), markets: Vec::new() });
        shop.add(SourceValue::ShippingMethod { method: named("8", "Express"), markets: vec!["1".into()] });
        shop.add(SourceValue::PaymentMethod("card".into()));
        shop.add(SourceValue::PaymentMethod("invoice".into()));
        for (code, places) in [("SEK", &["SE"][..]), ("EUR", &["DE", "FR", "SE"])] {
            let currency = Currency::from_code(code).unwrap();
            shop.add(SourceValue::Currency { currency, countries: countries(places) });
        }
        for (country, rate) in [("SE", "25"), ("SE", "12.0"), ("DE", "19"), ("NO", "25")] {
            shop.add(SourceValue::Tax { country: country.into(), rate: rate.parse().unwrap() });
        }
        for nth in 0..450 {
            shop.add(SourceValue::Sku(Sku::new(format!("SKU-{nth}"))));
        }
        shop
    }

    /// A target that asks for everything that an order carries.
    fn lookups(order: &Order) -> Vec<Lookup> {
        let country = order.shipping.as_ref().and_then(|a| a.country.clone()).unwrap_or_default();
        let method = order.method_word();
        let mut all = vec![
            Lookup::new("subsidiary", &[("market", &order.market.id)], ""),
            Lookup::new("currency", &[("code", order.currency.code())], ""),
            Lookup::new("service", &[("market", &order.market.id), ("method", method), ("country", &country)], ""),
            Lookup::new("band", &[("heavy", if order.weight_grams > Some(5_000) { "yes" } else { "no" })], ""),
            Lookup::new("kind", &[("kind", "shipping")], ""),
        ];
        all.extend(order.payment_method.iter().map(|word| Lookup::new("payment", &[("method", word)], "")));
        for line in &order.lines {
            all.push(Lookup::new("item", &[("sku", line.sku.as_str())], ""));
            let rate = |tax: &TaxLine| Lookup::new("tax", &[("country", &country), ("rate", &tax.rate.to_string())], "");
            all.extend(line.taxes.iter().map(rate));
        }
        all
    }

    fn keys(shop: &Sendable, table: &str) -> BTreeSet<String> {
        shop.probes(at()).iter().flat_map(lookups).filter(|l| l.table == table).map(|l| l.key_text()).collect()
    }

    fn set(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn every_value_is_asked_for_in_combinations_that_can_be_sent_and_no_others() {
        let shop = shop();
        assert_eq!(keys(&shop, "subsidiary"), set(&["market=1", "market=2"]));
        assert_eq!(keys(&shop, "currency"), set(&["code=EUR", "code=SEK"]));
        assert_eq!(keys(&shop, "payment"), set(&["method=card", "method=invoice"]));
        let services = [
            "market=1,method=Express,country=SE",
            "market=1,method=Standard,country=SE",
            "market=2,method=Standard,country=DE",
            "market=2,method=Standard,country=FR",
        ];
        assert_eq!(keys(&shop, "service"), set(&services));
        // Nothing is sent to Norway.
        assert_eq!(keys(&shop, "tax"), set(&["country=SE,rate=25", "country=SE,rate=12", "country=DE,rate=19"]));
        assert_eq!(keys(&shop, "item").len(), 450);
        assert!(shop.probes(at()).iter().all(|order| order.lines.len() <= LINES_MAX));
    }

    #[test]
    fn the_amounts_of_a_probe_add_up() {
        for probe in shop().probes(at()) {
            for line in &probe.lines {
                let parts = Money::sum(probe.currency, line.taxes.iter().map(|tax| tax.amount)).unwrap();
                assert_eq!(parts, line.tax);
            }
        }
    }

    #[test]
    fn without_markets_or_currencies_there_is_nothing_to_try() {
        assert!(Sendable::default().probes(at()).is_empty());
        let mut shop = shop();
        shop.currencies.clear();
        assert!(shop.probes(at()).is_empty());
        let mut shop = self::shop();
        shop.markets.clear();
        assert!(shop.probes(at()).is_empty());
    }

    #[test]
    fn what_orders_carried_stands_in_for_a_list_that_nobody_tells() {
        let mut seen = Sendable::default();
        let one = Order { payment_method: Some("card".into()), ..order(vec![line("1", "TEE", 1, 100)]) };
        for list in ValueList::ALL {
            seen.see(&one, list);
            assert_eq!(seen.count(list), 1, "{list:?}");
        }
        assert_eq!(keys(&seen, "service"), set(&["market=1,method=Standard,country=SE"]));
        assert_eq!(keys(&seen, "tax"), set(&["country=SE,rate=25"]));
    }

    #[test]
    fn what_orders_carried_as_a_bundle_is_tried_as_one() {
        let mut shop = shop();
        let sold = order(crate::samples::bundle("1", 1, 100, &[("SKU-7", 1)]));
        shop.see_kinds(&sold);
        shop.add(SourceValue::Sku(Sku::new("SET-1")));
        let kinds: BTreeSet<(String, bool)> = shop
            .probes(at())
            .iter()
            .flat_map(|probe| &probe.lines)
            .filter(|line| line.taxes.is_empty() && ["SET-1", "SKU-7"].contains(&line.sku.as_str()))
            .map(|line| (line.sku.to_string(), line.kind == LineKind::Bundle))
            .collect();
        assert_eq!(kinds, [("SET-1".to_owned(), true), ("SKU-7".to_owned(), false)].into());
    }

    #[test]
    fn weights_and_accounts_are_tried() {
        let shop = Sendable { weights: BTreeSet::from([Some(10), Some(9_000)]), accounts: true, ..shop() };
        assert_eq!(keys(&shop, "band"), set(&["heavy=no", "heavy=yes"]));
        assert!(shop.probes(at()).iter().all(|order| order.customer.is_some()));
    }

    #[test]
    fn which_list_a_table_hangs_on_is_told_by_what_it_asks() {
        let hangs = Sendable::tables_by_list(&lookups, false, at());
        let of = |table: &str| hangs.get(table).map(|lists| lists.iter().copied().collect::<Vec<_>>());
        assert_eq!(of("subsidiary"), Some(vec![ValueList::Markets]));
        assert_eq!(of("service"), Some(vec![ValueList::Markets, ValueList::ShippingMethods]));
        assert_eq!(of("tax"), Some(vec![ValueList::Markets, ValueList::Taxes]));
        assert_eq!(of("item"), Some(vec![ValueList::Skus]));
        assert_eq!(of("payment"), Some(vec![ValueList::PaymentMethods]));
        assert_eq!(of("currency"), Some(vec![ValueList::Currencies]));
        assert_eq!((of("kind"), of("band")), (None, None), "no list tells kinds or weights");
    }

    #[test]
    fn a_gap_says_what_it_costs_and_how_to_close_it() {
        let mut carried = Carried::default();
        let mut one = order(vec![line("1", "TEE", 1, 100)]);
        one.totals.gross = eur(910_000);
        carried.add(&one);
        carried.add(&one);
        assert_eq!(carried.words(30), "2 orders of the last 30 days, 18200.00 EUR");
        assert_eq!(Carried::default().words(30), "no order of the last 30 days");
        let gap = Gap {
            table: "shipping_item".into(),
            key: "market=2,method=It's fast".into(),
            shown: "It's fast in Europe".into(),
            mapping: None,
            why: Why::Missing,
            carried,
            suggestions: vec![Near { id: "1205".into(), name: "Fast".into(), likeness: 70 }],
        };
        let erp = ConnectionName::new("erp");
        assert_eq!(gap.message(&erp), "It's fast in Europe has no entry in the mapping table shipping_item of erp");
        assert_eq!(
            gap.command(&erp, "1205"),
            "selvedge mappings set shipping_item 'market=2,method=It'\\''s fast' 1205 --connection erp"
        );
        assert!(gap.remedy(&erp).contains("Fast is like it by 70 %: selvedge mappings set"));
        let vanished = Gap { why: Why::Vanished("7".into()), mapping: Some("market=2,method=*".into()), ..gap };
        assert!(vanished.command(&erp, "8").contains("'market=2,method=*' 8"), "the mapping that is wrong is the one to set");
        assert!(vanished.message(&erp).contains("by the mapping market=2,method=*"));
        // It is kept and read back.
        let text = serde_json::to_string(&vanished).unwrap();
        assert_eq!(serde_json::from_str::<Gap>(&text).unwrap(), vanished);
    }

    #[test]
    fn names_are_compared_by_what_people_read() {
        let lookup = Lookup::new("tax_code", &[("country", "SE"), ("rate", "25")], "").label("25 % tax in SE");
        assert_eq!(Gap::texts(&lookup), ["25 % tax in SE", "SE 25"]);
        let lookup = Lookup::new("item", &[("sku", "1")], "");
        assert_eq!(Gap::texts(&lookup), ["1"]);
        let lookup = Lookup::new("shipping_item", &[("market", "2"), ("method", "Express")], "").label("Express in Europe");
        assert_eq!(Gap::texts(&lookup), ["2 Express", "Express", "Express in Europe"]);
    }
}
