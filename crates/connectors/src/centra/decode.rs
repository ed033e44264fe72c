//! An order of Centra → the canonical order. Pure, and it never fails: what cannot be read is a
//! problem with the place, the value and the remedy, and the rest of the order is read all the same.
//!
//! Four things about Centra's orders decide how this reads:
//!
//! - *Amounts are JSON floats.* Their decimal text is taken as it stands, never through a binary
//!   float. Noise far below the minor unit (`0.30000000000000004`) is rounded off; a net amount that
//!   is really finer than the minor unit is rounded half up per line, because Centra derives it from
//!   the gross one; any other amount that fine is a problem.
//! - *Lines are of four types*, and a bundle is there twice: once as sold (with the price), once as
//!   the units inside (which are what a warehouse picks). Only the first carries money here.
//! - *Tax is a choice of three* (`taxIncluded`, `taxAdded`, `taxDeducted`), each of which may be
//!   negative. A line's tax is its gross less its net; the rules have to agree with it.
//! - *Order-level discounts* are not spread over lines, and the sign of their total is not
//!   documented; amounts are taken without sign, as reductions, and the gate checks that all parts
//!   add up to the stated total.
//!
//! The SKU of a line is `productSize.SKU` (product, variant and size number joined by Centra), else
//! `productSize.EAN`. When the product was deleted since, both are gone and what stays on the line
//! (`productNumber`, `size`) does not make a SKU, so the line has a problem.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use selvedge_connector::Decoded;
use selvedge_model::{
    Currency, Customer, ExternalId, Money, Order, Problem, RecordKey, Rounding, Sku, moment,
    records::{
        Address, Charge, Discount, HoldReason, LineKind, Named, OrderLine, OrderStatus, Payment, PaymentKind, PaymentStatus,
        TaxLine, TaxMode, Totals,
    },
};
use serde_json::Value;

use super::{
    returns::{Form, of_order},
    wire::id_text,
};

/// In which zones times are read and days are counted.
#[derive(Clone, Debug)]
pub struct Zones {
    /// The instance's: for a time that comes without an offset.
    pub instance: TimeZone,
    /// The books': on which day an order was placed.
    pub books: TimeZone,
    /// The books' of single markets, by the market's id: a subsidiary counts days where it is.
    pub books_of_markets: BTreeMap<String, TimeZone>,
}

impl Zones {
    pub fn books_of(&self, market: &str) -> &TimeZone {
        self.books_of_markets.get(market).unwrap_or(&self.books)
    }
}

pub(super) const MEND: &str = "Compare it with the order in Centra; when it is mended there, it is read again by itself.";
pub(super) const CHECK: &str = "Run `selvedge check`: it names what this Centra instance does otherwise than documented.";

/// The order in these bytes; with `refunds`, also what was paid back for no return.
pub fn decode_order(body: &[u8], zones: &Zones, refunds: Option<&Form>) -> Decoded<Order> {
    let mut notes = Notes::of("order");
    let Some(value) = document(body, &mut notes) else { return Decoded::of(None, notes.found) };
    let at = At::top(&value);
    let record = order(&at, zones, &mut notes);
    let also = record.as_ref().zip(refunds).map(|(order, form)| of_order(&at, order, form)).unwrap_or_default();
    Decoded { also, ..Decoded::of(record, notes.found) }
}

/// The JSON object in these bytes.
pub(super) fn document(body: &[u8], notes: &mut Notes) -> Option<Value> {
    match serde_json::from_slice::<Value>(body) {
        Ok(value @ Value::Object(_)) => return Some(value),
        Ok(other) => notes.add(&notes.rule("json"), "", "the document is no JSON object", CHECK, Some(&other)),
        Err(error) => {
            let problem = Problem::new(&notes.rule("json"), "", format!("the document is no JSON: {error}"), CHECK);
            notes.found.push(problem.value(String::from_utf8_lossy(body.get(..200).unwrap_or(body))));
        }
    }
    None
}

/// A place in the document.
#[derive(Clone)]
pub(super) struct At<'v> {
    pub value: &'v Value,
    pub path: String,
}

static NULL: Value = Value::Null;

impl<'v> At<'v> {
    /// The whole document.
    pub fn top(value: &'v Value) -> At<'v> {
        At { value, path: String::new() }
    }

    /// A field; null when there is none.
    pub fn get(&self, field: &str) -> At<'v> {
        let path = if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) };
        At { value: self.value.get(field).unwrap_or(&NULL), path }
    }

    pub fn is_null(&self) -> bool {
        self.value.is_null()
    }
}

/// What was found on the way.
pub(super) struct Notes {
    pub found: Vec<Problem>,
    of: &'static str,
}

impl Notes {
    /// On a document of this kind: the word is in the rules.
    pub fn of(of: &'static str) -> Notes {
        Notes { found: Vec::new(), of }
    }

    /// The rule of this name for such a document.
    pub fn rule(&self, name: &str) -> String {
        format!("decode.{}.{name}", self.of)
    }

    pub fn add(&mut self, rule: &str, path: &str, message: impl Into<String>, remedy: &str, value: Option<&Value>) {
        let mut problem = Problem::new(rule, path, message, remedy);
        if let Some(value) = value.filter(|v| !v.is_null()) {
            problem = problem.value(shown(value));
        }
        self.found.push(problem);
    }

    /// A field of the wrong type or missing; one exception per field, not per order.
    pub fn odd(&mut self, at: &At<'_>, wanted: &str) {
        let field: String = at.path.chars().filter(|c| !c.is_ascii_digit()).collect();
        let missing = if at.is_null() { "is missing" } else { "is something else" };
        let problem =
            Problem::new(&self.rule("field"), at.path.clone(), format!("{} should be {wanted} and {missing}", at.path), CHECK);
        let problem = if at.is_null() { problem } else { problem.value(shown(at.value)) };
        self.found.push(problem.cause(field));
    }

    /// A text that may be missing; blank ones are.
    pub fn text(&mut self, at: &At<'_>) -> Option<String> {
        match at.value {
            Value::Null => None,
            Value::String(text) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
            _ => {
                self.odd(at, "a text");
                None
            }
        }
    }

    pub fn flag(&mut self, at: &At<'_>) -> Option<bool> {
        let flag = at.value.as_bool();
        if flag.is_none() {
            self.odd(at, "true or false");
        }
        flag
    }

    pub fn id(&mut self, at: &At<'_>) -> Option<String> {
        let id = id_text(at.value);
        if id.is_none() {
            self.odd(at, "an id");
        }
        id
    }

    /// The parts of a list; missing or null is none, without a word.
    pub fn list<'v>(&mut self, at: &At<'v>) -> Vec<At<'v>> {
        match at.value {
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, value)| At { value, path: format!("{}[{index}]", at.path) }).collect()
            }
            Value::Null => Vec::new(),
            _ => {
                self.odd(at, "a list");
                Vec::new()
            }
        }
    }

    /// An instant; the configured zone stands in for a missing offset.
    pub fn instant(&mut self, at: &At<'_>, zones: &Zones) -> Option<Timestamp> {
        let text = self.text(at)?;
        match moment::in_zone(&text, &zones.instance) {
            Ok(instant) => Some(instant),
            Err(error) => {
                self.add(&self.rule("date"), &at.path, error.to_string(), CHECK, Some(at.value));
                None
            }
        }
    }

    pub fn decimal(&mut self, at: &At<'_>) -> Option<Decimal> {
        let read = match at.value {
            Value::Number(number) => decimal(&number.to_string()),
            _ => None,
        };
        if read.is_none() {
            self.odd(at, "a number");
        }
        read
    }

    /// The decimal of a monetary value that has to be there.
    pub fn value(&mut self, at: &At<'_>) -> Option<Decimal> {
        let at = at.get("value");
        let value = match at.value {
            Value::Number(number) => decimal(&number.to_string()),
            _ => None,
        };
        if value.is_none() {
            self.amount(&at, "is no amount");
        }
        value
    }

    pub fn amount(&mut self, at: &At<'_>, what: &str) {
        let problem = Problem::new(&self.rule("amount"), at.path.clone(), format!("{} {what}", at.path), MEND);
        self.found.push(if at.is_null() { problem } else { problem.value(shown(at.value)) });
    }

    /// An amount in whole minor units.
    pub fn exact(&mut self, at: &At<'_>, currency: Currency) -> Option<Money> {
        let value = self.value(at)?;
        match without_noise(value, currency) {
            Some(money) => Some(money),
            None => {
                self.amount(&at.get("value"), &format!("is no amount in whole minor units of {currency}"));
                None
            }
        }
    }

    /// An amount that Centra derives from another and may state more finely: half up.
    pub fn derived(&mut self, at: &At<'_>, currency: Currency) -> Option<Money> {
        let value = self.value(at)?;
        let money = Money::rounded(value, currency, Rounding::HalfUp).ok();
        if money.is_none() {
            self.amount(&at.get("value"), "is too large to hold");
        }
        money
    }
}

pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The exact number that a text of JSON is, in any of its notations.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()
    } else {
        Decimal::from_str_exact(text).ok().or_else(|| text.parse().ok())
    }
}

/// The amount, if what is finer than its minor unit is only what a binary float leaves behind.
pub(super) fn without_noise(value: Decimal, currency: Currency) -> Option<Money> {
    let money = Money::rounded(value, currency, Rounding::HalfUp).ok()?;
    let off = money.decimal().checked_sub(value)?;
    (off.abs() <= Decimal::new(1, 6)).then_some(money)
}

fn order(at: &At<'_>, zones: &Zones, notes: &mut Notes) -> Option<Order> {
    let number = number(at, notes);
    let placed_at = notes.instant(&at.get("orderDate"), zones).or_else(|| notes.instant(&at.get("createdAt"), zones));
    if placed_at.is_none() && at.get("orderDate").is_null() {
        notes.add("decode.order.date", "orderDate", "the order does not say when it was placed", CHECK, None);
    }
    let updated_at = notes.instant(&at.get("updatedAt"), zones);
    if updated_at.is_none() && at.get("updatedAt").is_null() {
        notes.add("decode.order.date", "updatedAt", "the order does not say when it was last changed", CHECK, None);
    }
    let currency = currency(at, notes);
    let gross = currency.and_then(|c| notes.exact(&at.get("grandGross"), c));
    let net = currency.and_then(|c| notes.derived(&at.get("grandNet"), c));
    let (number, placed_at, currency, gross, net) = (number?, placed_at?, currency?, gross?, net?);
    let totals = Totals { net, tax: gross.minus(net).ok()?, gross };

    let market = named(&at.get("market"), "decode.order.market", notes);
    let store = named(&at.get("store"), "decode.order.store", notes);
    let billing = address(&at.get("billingAddress"), notes);
    let stated = at.get("totals");
    let lines = lines(&at.get("lines"), currency, notes);
    let shipping_charge = shipping(&stated, currency, notes);
    let handling_charge = handling(&stated, currency, notes);
    let around = Around { lines: &lines, charges: &[&shipping_charge, &handling_charge], totals };
    let discounts = discounts(at, &stated, &around, currency, notes);
    Some(Order {
        id: ExternalId::new(number.clone()),
        number: RecordKey::new(number),
        placed_at,
        updated_at: updated_at.unwrap_or(placed_at),
        placed_on: placed_at.to_zoned(zones.books_of(&market.id).clone()).date(),
        status: status(&at.get("status"), notes),
        holds: holds(at, notes),
        internal: notes.flag(&at.get("isInternal")).unwrap_or(false),
        currency,
        tax_mode: tax_mode(&stated, notes),
        customer: customer(at, &market, &store, currency, notes),
        store,
        market,
        billing,
        shipping: address(&at.get("shippingAddress"), notes),
        lines,
        discounts,
        shipping_method: shipping_method(&at.get("shippingPriceGroup").get("shippingOption"), notes),
        shipping_charge,
        handling_charge,
        payment_method: notes.text(&at.get("paymentMethod").get("uri")),
        payments: payments(&at.get("paymentHistory"), currency, zones, notes),
        totals,
        comment: notes.text(&at.get("otherComment")),
        weight_grams: None,
        dispatch_by: None,
    })
}

fn number(at: &At<'_>, notes: &mut Notes) -> Option<String> {
    let at = at.get("number");
    let number = id_text(at.value).filter(|text| text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= 20);
    if number.is_none() {
        notes.add("decode.order.number", &at.path, "the order has no number", CHECK, Some(at.value));
    }
    number
}

/// The currency of a document's grand total, in which all of its amounts are.
pub(super) fn currency(at: &At<'_>, notes: &mut Notes) -> Option<Currency> {
    let at = at.get("grandGross").get("currency").get("code");
    let code = notes.text(&at);
    let currency = code.as_deref().and_then(Currency::from_code).filter(|c| c.minor_units().is_some());
    if currency.is_none() {
        let code = code.unwrap_or_default();
        let problem =
            Problem::new(&notes.rule("currency"), at.path.clone(), format!("{code:?} is not a currency of ISO 4217"), MEND);
        notes.found.push(problem.value(code.clone()).cause(code.chars().take(20).collect::<String>()));
    }
    currency
}

fn status(at: &At<'_>, notes: &mut Notes) -> OrderStatus {
    match at.value.as_str() {
        Some("PENDING") => OrderStatus::Pending,
        Some("CONFIRMED") => OrderStatus::Confirmed,
        Some("PROCESSING") => OrderStatus::Processing,
        Some("SHIPPED") => OrderStatus::Shipped,
        Some("ARCHIVED") => OrderStatus::Archived,
        Some("CANCELLED") => OrderStatus::Cancelled,
        _ => {
            let value = shown(at.value);
            let problem = Problem::new("decode.order.status", "status", format!("{value:?} is no status that we know"), CHECK);
            notes.found.push(problem.value(value.clone()).cause(value.chars().take(40).collect::<String>()));
            OrderStatus::Pending
        }
    }
}

/// Holds are flags beside the status: such an order looks confirmed and must not be handed over.
fn holds(at: &At<'_>, notes: &mut Notes) -> Vec<HoldReason> {
    let mut holds = Vec::new();
    // A flag that cannot be read counts as raised: the problem holds the order anyway.
    if notes.flag(&at.get("isOnHold")).unwrap_or(true) {
        holds.push(HoldReason::OnHold);
    }
    if notes.flag(&at.get("isWaitingForPayment")).unwrap_or(true) {
        holds.push(HoldReason::WaitingForPayment);
    }
    holds
}

fn named(at: &At<'_>, rule: &str, notes: &mut Notes) -> Named {
    let Some(id) = id_text(at.get("id").value) else {
        notes.add(rule, &at.path, format!("the order does not say which {} it belongs to", at.path), MEND, Some(at.value));
        return Named::default();
    };
    Named { name: notes.text(&at.get("name")).unwrap_or_else(|| id.clone()), id }
}

fn shipping_method(at: &At<'_>, notes: &mut Notes) -> Option<Named> {
    if at.is_null() {
        return None;
    }
    let id = notes.id(&at.get("id"))?;
    let name = notes.text(&at.get("name")).or_else(|| notes.text(&at.get("uri"))).unwrap_or_else(|| id.clone());
    Some(Named { id, name })
}

/// Quoted with the tax inside, or on top. An order without tax has neither; it counts as on top,
/// since its prices are without tax.
fn tax_mode(totals: &At<'_>, notes: &mut Notes) -> TaxMode {
    let size = |field: &str, notes: &mut Notes| notes.value(&totals.get(field)).unwrap_or_default().abs();
    let (included, added, deducted) = (size("taxIncluded", notes), size("taxAdded", notes), size("taxDeducted", notes));
    if included > added || (included == added && deducted > Decimal::ZERO) { TaxMode::Included } else { TaxMode::Added }
}

fn customer(at: &At<'_>, market: &Named, store: &Named, currency: Currency, notes: &mut Notes) -> Option<Customer> {
    let account = at.get("account");
    let (person, prefix) = if account.value.is_object() { (account, "account_") } else { (at.get("customer"), "") };
    // Without its market an account has no key; the missing market is a problem of its own.
    if person.is_null() || market.id.is_empty() {
        return None;
    }
    let id = notes.id(&person.get("id"))?;
    let id = format!("{prefix}{id}");
    // A customer in the books has one currency and one subsidiary. Keys go into external ids and URLs.
    let key: String = format!("{id}-{}-{}", market.id, currency.code())
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .collect();
    Some(Customer {
        key: RecordKey::new(key),
        id: ExternalId::new(id),
        email: notes.text(&person.get("email")),
        first_name: notes.text(&person.get("firstName")),
        last_name: notes.text(&person.get("lastName")),
        company: notes.text(&person.get("name")),
        market: market.clone(),
        store: store.clone(),
        currency,
    })
}

fn address(at: &At<'_>, notes: &mut Notes) -> Option<Address> {
    match at.value {
        Value::Object(_) => {}
        Value::Null => return None,
        _ => {
            notes.odd(at, "an address");
            return None;
        }
    }
    let mut text = |field: &str| notes.text(&at.get(field));
    let (phone, cell, free_state) = (text("phoneNumber"), text("cellPhoneNumber"), text("stateOrProvince"));
    let address = Address {
        first_name: text("firstName"),
        last_name: text("lastName"),
        company: text("companyName"),
        attention: text("attention"),
        line1: text("address1"),
        line2: text("address2"),
        postcode: text("zipCode"),
        city: text("city"),
        state: None,
        country: None,
        email: text("email"),
        phone: phone.or(cell),
        vat_number: text("vatNumber"),
    };
    let state = notes.text(&at.get("state").get("code")).or(free_state);
    let country = notes.text(&at.get("country").get("code")).map(|code| code.to_uppercase());
    Some(Address { state, country, ..address })
}

/// One tax rule applied to one amount.
pub(super) struct Rule {
    name: String,
    percent: Decimal,
    added: Decimal,
    deducted: Decimal,
    included: Decimal,
}

impl Rule {
    /// The tax that is paid by this rule.
    fn tax(&self) -> Option<Decimal> {
        self.added.checked_add(self.included)
    }
}

pub(super) fn rules(at: &At<'_>, notes: &mut Notes) -> Vec<Rule> {
    let mut rules = Vec::new();
    for at in notes.list(at) {
        let percent = notes.decimal(&at.get("rule").get("taxPercent"));
        let name = notes.text(&at.get("rule").get("taxName")).unwrap_or_else(|| "tax".to_owned());
        let mut value = |field| notes.value(&at.get(field));
        let (added, deducted, included) = (value("taxAdded"), value("taxDeducted"), value("taxIncluded"));
        if let (Some(percent), Some(added), Some(deducted), Some(included)) = (percent, added, deducted, included) {
            rules.push(Rule { name, percent: percent.normalize(), added, deducted: deducted.abs(), included });
        }
    }
    rules
}

/// The sum; `None` when it does not fit.
fn sum(values: impl IntoIterator<Item = Option<Decimal>>) -> Option<Decimal> {
    values.into_iter().try_fold(Decimal::ZERO, |sum, value| sum.checked_add(value?))
}

fn lines(at: &At<'_>, currency: Currency, notes: &mut Notes) -> Vec<OrderLine> {
    if !at.value.is_array() {
        notes.odd(at, "a list");
        return Vec::new();
    }
    let items = notes.list(at);
    let bundles = bundle_links(&items);
    let lines: Vec<Option<OrderLine>> = items.iter().map(|at| line(at, &bundles, currency, notes)).collect();
    lines.into_iter().flatten().filter(|line| line.quantity > 0 || line.cancelled == 0).collect()
}

/// Item line → bundle line, as the bundle lines name their items, and the only bundle line where
/// there is just one.
struct Bundles {
    items: Vec<(String, String)>,
    only: Option<String>,
}

fn bundle_links(lines: &[At<'_>]) -> Bundles {
    let mut found = Bundles { items: Vec::new(), only: None };
    let mut count = 0_u32;
    for at in lines.iter().filter(|at| at.get("__typename").value == "BundleOrderLine") {
        let Some(bundle) = id_text(at.get("id").value) else {
            continue;
        };
        count = count.saturating_add(1);
        let items = at.get("bundleItems").value.as_array().into_iter().flatten();
        let items = items.filter_map(|item| id_text(item.get("id")?));
        found.items.extend(items.map(|item| (item, bundle.clone())));
        found.only = Some(bundle);
    }
    if count != 1 {
        found.only = None;
    }
    found
}

fn line(at: &At<'_>, bundles: &Bundles, currency: Currency, notes: &mut Notes) -> Option<OrderLine> {
    if !at.value.is_object() {
        notes.odd(at, "an order line");
        return None;
    }
    let kind = line_kind(&at.get("__typename"), notes);
    let id = notes.id(&at.get("id")).unwrap_or_default();
    let sku = sku(at, kind, notes);
    let quantity = count(&at.get("quantity"), notes);
    let cancelled = count(&at.get("cancelledQuantity"), notes);
    let name = name(at, notes);
    let bundle = if kind == LineKind::BundleItem { bundle_of(at, &id, bundles, notes) } else { None };
    let zero = Money::zero(currency);
    let mut line = OrderLine {
        id: ExternalId::new(id),
        kind,
        bundle,
        recipe: None,
        sku,
        name,
        quantity,
        cancelled,
        unit_net: Decimal::ZERO,
        net: zero,
        tax: zero,
        taxes: Vec::new(),
    };
    if kind != LineKind::BundleItem {
        let percent = notes.decimal(&at.get("taxPercent")).unwrap_or_default().normalize();
        price(&mut line, at, percent, currency, notes);
    }
    Some(line)
}

/// What people read of an order's line.
pub(super) fn name(at: &At<'_>, notes: &mut Notes) -> String {
    let product = notes.text(&at.get("productName"));
    let variant = notes.text(&at.get("productVariantName"));
    [product, variant].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

pub(super) fn line_kind(at: &At<'_>, notes: &mut Notes) -> LineKind {
    match at.value.as_str() {
        Some("ProductOrderLine") => LineKind::Product,
        Some("BundleOrderLine") => LineKind::Bundle,
        Some("BundleItemOrderLine") => LineKind::BundleItem,
        Some("GiftCertificateOrderLine") => LineKind::GiftCertificate,
        _ => {
            // Guessing "product" could count a bundle twice, so the order is held.
            let value = shown(at.value);
            let problem = Problem::new(
                "decode.line.kind",
                at.path.clone(),
                format!("{value:?} is no kind of order line that we know"),
                CHECK,
            );
            notes.found.push(problem.value(value.clone()).cause(value.chars().take(60).collect::<String>()));
            LineKind::Product
        }
    }
}

fn bundle_of(at: &At<'_>, id: &str, bundles: &Bundles, notes: &mut Notes) -> Option<ExternalId> {
    let own = id_text(at.get("bundleLine").get("id").value);
    let named = || bundles.items.iter().find(|(item, _)| item == id).map(|(_, bundle)| bundle.clone());
    let found = own.or_else(named).or_else(|| bundles.only.clone());
    if found.is_none() {
        notes.add(
            "decode.line.bundle",
            &at.path,
            "the order does not say to which of its bundles this unit belongs",
            CHECK,
            None,
        );
    }
    found.map(ExternalId::new)
}

pub(super) fn sku(at: &At<'_>, kind: LineKind, notes: &mut Notes) -> Sku {
    let size = at.get("productSize");
    let found = notes.text(&size.get("SKU")).or_else(|| notes.text(&size.get("EAN")));
    let number = notes.text(&at.get("productNumber"));
    // A gift certificate is no stock item and has no size; its product number is all there is.
    let found = if kind == LineKind::GiftCertificate { found.or_else(|| number.clone()) } else { found };
    match found {
        Some(sku) => Sku::new(sku),
        None => {
            let size_name = notes.text(&at.get("size")).unwrap_or_default();
            let product = format!("{} {size_name}", number.unwrap_or_default()).trim().to_owned();
            let why =
                if size.is_null() { "its product no longer exists in Centra" } else { "its size has neither a SKU nor an EAN" };
            let problem = Problem::new(
                "decode.line.sku",
                format!("{}.productSize.SKU", at.path),
                format!("the line for {product:?} has no SKU: {why}"),
                "Give the size a SKU or an EAN in Centra, then release; or enter the order by hand and dismiss this with a reason.",
            );
            notes.found.push(problem.value(product.clone()).cause(product));
            Sku::default()
        }
    }
}

pub(super) fn count(at: &At<'_>, notes: &mut Notes) -> u32 {
    let count = match at.value {
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    };
    count.unwrap_or_else(|| {
        notes.add("decode.line.quantity", &at.path, format!("{} is no number of units", at.path), MEND, Some(at.value));
        0
    })
}

/// The amounts of a line, at its rate in percent.
pub(super) fn price(line: &mut OrderLine, at: &At<'_>, percent: Decimal, currency: Currency, notes: &mut Notes) {
    line.unit_net = notes.value(&at.get("unitNet")).map(|d| d.normalize()).unwrap_or_default();
    let net = notes.derived(&at.get("lineNet"), currency);
    let gross = notes.exact(&at.get("lineGross"), currency);
    let rules = rules(&at.get("appliedTaxRules"), notes);
    let (Some(net), Some(gross)) = (net, gross) else {
        return;
    };
    line.net = net;
    let Ok(tax) = gross.minus(net) else { return };
    line.tax = tax;
    if rules.is_empty() {
        if !tax.is_zero() || (!percent.is_zero() && net.is_zero()) {
            line.taxes.push(TaxLine { name: "tax".to_owned(), rate: percent, amount: tax });
        }
        return;
    }
    match tax_by_rules(tax, &rules, currency) {
        Some(tax) => {
            line.tax = tax;
            line.taxes = tax_lines(net, tax, rules);
        }
        None => {
            let stated: Vec<String> = rules
                .iter()
                .map(|r| {
                    format!("{} {}%: {} added, {} included, {} deducted", r.name, r.percent, r.added, r.included, r.deducted)
                })
                .collect();
            notes.found.push(
                Problem::new(
                    "decode.line.tax",
                    format!("{}.appliedTaxRules", at.path),
                    format!(
                        "the line is {gross} with and {net} without tax, its tax rules say otherwise ({})",
                        stated.join("; ")
                    ),
                    MEND,
                )
                .value(tax.to_string()),
            );
        }
    }
}

/// The tax of a line, where its rules agree with its gross and net to a minor unit.
///
/// A deducted tax is one that the quoted price contains and this customer does not pay (an export).
/// Whether Centra's gross line value still contains it is not documented, so all three readings are
/// tried; each says plainly which tax is paid, and the totals have to close with it.
fn tax_by_rules(difference: Money, rules: &[Rule], currency: Currency) -> Option<Money> {
    let paid = sum(rules.iter().map(Rule::tax))?;
    let deducted = sum(rules.iter().map(|rule| Some(rule.deducted)))?;
    let unit = Money::from_minor(1, currency).decimal();
    let near =
        |stated: Option<Decimal>| stated.and_then(|s| s.checked_sub(difference.decimal())).is_some_and(|off| off.abs() <= unit);
    if near(Some(paid)) || near(paid.checked_sub(deducted)) {
        return Some(difference);
    }
    near(paid.checked_add(deducted)).then(|| Money::rounded(paid, currency, Rounding::HalfUp).ok()).flatten()
}

/// The tax shared out over its rules, so that the parts add up to the whole.
fn tax_lines(net: Money, tax: Money, rules: Vec<Rule>) -> Vec<TaxLine> {
    let unit = Money::from_minor(1, net.currency()).decimal();
    // A rule that takes nothing says something only where its rate explains the nothing: on an
    // export, or for an exempt customer, its rate is not the line's.
    let explains_nothing = |rule: &Rule| {
        let tax = net.decimal().checked_mul(rule.percent).and_then(|t| t.checked_div(Decimal::ONE_HUNDRED));
        !rule.percent.is_zero() && rule.deducted.is_zero() && tax.is_some_and(|tax| tax.abs() < unit)
    };
    let rules: Vec<Rule> = rules.into_iter().filter(|rule| rule.tax() != Some(Decimal::ZERO) || explains_nothing(rule)).collect();
    let weights: Vec<Decimal> = rules.iter().map(|rule| rule.tax().unwrap_or_default().abs()).collect();
    let shares = tax.allocate(&weights).unwrap_or_else(|_| {
        // All of no weight: the tax, usually nothing, is the first one's.
        (0..rules.len()).map(|index| if index == 0 { tax } else { Money::zero(tax.currency()) }).collect()
    });
    rules.into_iter().zip(shares).map(|(rule, amount)| TaxLine { name: rule.name, rate: rule.percent, amount }).collect()
}

pub(super) fn shipping(totals: &At<'_>, currency: Currency, notes: &mut Notes) -> Charge {
    let rules = rules(&totals.get("shippingTaxRules"), notes);
    let fields = ["shippingTaxAdded", "shippingTaxDeducted", "shippingTaxIncluded"];
    let stated = fields.iter().any(|field| !totals.get(field).is_null());
    let taxes = if stated {
        let mut value = |field| {
            if totals.get(field).is_null() { Some(Decimal::ZERO) } else { notes.value(&totals.get(field)) }
        };
        let [added, deducted, included] = fields.map(&mut value);
        Taxes {
            added: added.unwrap_or_default(),
            deducted: deducted.unwrap_or_default().abs(),
            included: included.unwrap_or_default(),
        }
    } else {
        Taxes::of(&rules)
    };
    charge(&totals.get("shipping"), taxes, &rules, currency, notes)
}

pub(super) fn handling(totals: &At<'_>, currency: Currency, notes: &mut Notes) -> Charge {
    let rules = rules(&totals.get("handlingTaxRules"), notes);
    charge(&totals.get("handling"), Taxes::of(&rules), &rules, currency, notes)
}

/// The three ways of tax on one amount, the deducted one without its sign.
#[derive(Clone, Copy, Default)]
pub(super) struct Taxes {
    pub added: Decimal,
    pub deducted: Decimal,
    pub included: Decimal,
}

impl Taxes {
    /// Zero where a sum does not fit; the totals then do not close.
    pub fn of(rules: &[Rule]) -> Taxes {
        let total = |of: fn(&Rule) -> Decimal| sum(rules.iter().map(|rule| Some(of(rule)))).unwrap_or_default();
        Taxes { added: total(|r| r.added), deducted: total(|r| r.deducted), included: total(|r| r.included) }
    }

    /// An amount as stated → net and tax. Included and deducted tax are inside it, added tax is not.
    /// `None` when the amount is not in whole minor units, unless a deduction made it finer.
    pub fn split(self, stated: Decimal, currency: Currency) -> Option<(Money, Money)> {
        let whole = |value| Money::rounded(value, currency, Rounding::HalfUp).ok();
        let base =
            if self.deducted.is_zero() { without_noise(stated, currency)? } else { whole(stated.checked_sub(self.deducted)?)? };
        let (included, added) = (whole(self.included)?, whole(self.added)?);
        Some((base.minus(included).ok()?, included.plus(added).ok()?))
    }
}

pub(super) fn charge(at: &At<'_>, taxes: Taxes, rules: &[Rule], currency: Currency, notes: &mut Notes) -> Charge {
    let Some(stated) = notes.value(at) else {
        return Charge::none(currency);
    };
    let Some((net, tax)) = taxes.split(stated, currency) else {
        notes.amount(&at.get("value"), &format!("is no amount in whole minor units of {currency}"));
        return Charge::none(currency);
    };
    // Shipping carries the weighted average of the line rates; only a single rule is a rate.
    Charge { net, tax, rate: only_rate(rules) }
}

/// The parts of the document around its discounts.
pub(super) struct Around<'a> {
    pub lines: &'a [OrderLine],
    pub charges: &'a [&'a Charge],
    pub totals: Totals,
}

impl Around<'_> {
    /// What is missing from the parts to the stated totals, net and gross: what the discounts must take off.
    fn left_over(&self) -> Option<(Money, Money)> {
        let currency = self.totals.net.currency();
        let priced = || self.lines.iter().filter(|line| line.kind != LineKind::BundleItem);
        let charges = || self.charges.iter();
        let net = Money::sum(currency, priced().map(|l| l.net).chain(charges().map(|c| c.net))).ok()?;
        let tax = Money::sum(currency, priced().map(|l| l.tax).chain(charges().map(|c| c.tax))).ok()?;
        Some((net.minus(self.totals.net).ok()?, net.plus(tax).ok()?.minus(self.totals.gross).ok()?))
    }
}

struct Reduction {
    name: String,
    tender: bool,
    amount: Money,
}

/// Order-level discounts.
///
/// How much comes off is stated in full (`totals.discounts`), and again per discount. How much of
/// it is tax stands in `discountTaxRules`; where there are none and the stated amount is exactly
/// what the order's gross lacks, the tax is what the gross lacks more than the net. Nothing is ever
/// made up to close a sum: amounts are stated ones, and the gate checks the sum.
pub(super) fn discounts(
    at: &At<'_>,
    totals: &At<'_>,
    around: &Around<'_>,
    currency: Currency,
    notes: &mut Notes,
) -> Vec<Discount> {
    let mut reductions = Vec::new();
    for at in notes.list(&at.get("discountsApplied")) {
        if let Some(reduction) = reduction(&at, currency, notes) {
            reductions.push(reduction);
        }
    }
    let (tenders, mut reductions): (Vec<Reduction>, Vec<Reduction>) = reductions.into_iter().partition(|r| r.tender);
    let total = |parts: &[Reduction]| Money::sum(currency, parts.iter().map(|r| r.amount)).ok();
    let mut found: Vec<Discount> = tenders
        .iter()
        .map(|t| Discount { name: t.name.clone(), tender: true, net: t.amount, tax: Money::zero(currency), rate: None })
        .collect();

    let stated = notes.exact(&totals.get("discounts"), currency).and_then(|m| m.abs().ok()).unwrap_or(Money::zero(currency));
    let (Some(by_tender), Some(by_parts)) = (total(&tenders), total(&reductions)) else {
        return found;
    };
    let left = around.left_over();
    if reductions.is_empty() && stated != by_tender && !stated.is_zero() {
        let amount = stated.minus(by_tender).ok().filter(|rest| rest.minor() > 0).unwrap_or(stated);
        reductions.push(Reduction { name: "discount".to_owned(), tender: false, amount });
    }
    if reductions.is_empty() {
        return found;
    }
    // The amount that comes off: as the parts say, unless they disagree with the total stated and
    // only the total is what the order lacks (a free-shipping voucher may state a nominal value).
    let lacks = |amount: Money| {
        left.is_some_and(|(net, gross)| {
            [Some(net), Some(gross)].contains(&Some(amount))
                || [net.minus(by_tender).ok(), gross.minus(by_tender).ok()].contains(&Some(amount))
        })
    };
    let agreed = by_parts == stated || by_parts.plus(by_tender).ok() == Some(stated);
    let amount = if by_parts.is_zero() || (!agreed && !lacks(by_parts) && lacks(stated)) { stated } else { by_parts };
    if amount.is_zero() {
        return found;
    }
    let Some((net, tax)) = discount_tax(amount, totals, left, by_tender, currency, notes) else {
        notes.amount(&totals.get("discounts").get("value"), "is too large to hold");
        return found;
    };
    let rate = only_rate(&rules(&totals.get("discountTaxRules"), notes));
    let weights: Vec<Decimal> = reductions.iter().map(|r| r.amount.decimal()).collect();
    let (Ok(wholes), Ok(taxes)) = (net.plus(tax).and_then(|gross| gross.allocate(&weights)), tax.allocate(&weights)) else {
        return found;
    };
    for ((reduction, whole), tax) in reductions.into_iter().zip(wholes).zip(taxes) {
        if let Ok(net) = whole.minus(tax) {
            found.push(Discount { name: reduction.name, tender: false, net, tax, rate });
        }
    }
    found
}

/// The rate of the one rule there is; of several none is the rate.
pub(super) fn only_rate(rules: &[Rule]) -> Option<Decimal> {
    match rules {
        [only] => Some(only.percent),
        _ => None,
    }
}

/// The amount that comes off → net and tax, both zero or above.
fn discount_tax(
    amount: Money,
    totals: &At<'_>,
    left: Option<(Money, Money)>,
    by_tender: Money,
    currency: Currency,
    notes: &mut Notes,
) -> Option<(Money, Money)> {
    let taxes = Taxes::of(&rules(&totals.get("discountTaxRules"), notes));
    // Tax on a discount is negative or not, depending on the instance; what counts is its size.
    let taxes = Taxes { added: taxes.added.abs(), deducted: taxes.deducted.abs(), included: taxes.included.abs() };
    if taxes.added != Decimal::ZERO || taxes.included != Decimal::ZERO || taxes.deducted != Decimal::ZERO {
        return taxes.split(amount.decimal(), currency);
    }
    if let Some((net, gross)) = left {
        for (net, gross) in [Some((net, gross)), net.minus(by_tender).ok().zip(gross.minus(by_tender).ok())].into_iter().flatten()
        {
            let tax = gross.minus(net).ok()?;
            if !tax.is_negative() && (amount == gross || amount == net) && !net.is_negative() {
                return Some((net, tax));
            }
        }
    }
    Some((amount, Money::zero(currency)))
}

fn reduction(at: &At<'_>, currency: Currency, notes: &mut Notes) -> Option<Reduction> {
    let amount = notes.exact(&at.get("value"), currency)?.abs().ok()?;
    let kind = at.get("__typename").value.as_str().unwrap_or_default().to_owned();
    let voucher = at.get("voucher");
    let voucher_type = notes.text(&voucher.get("type")).unwrap_or_default().to_lowercase();
    let code = notes.text(&voucher.get("code")).or_else(|| notes.text(&voucher.get("name")));
    let tender =
        kind.contains("Credit") || kind.contains("Gift") || voucher_type.contains("gift") || voucher_type.contains("credit");
    let name = code.unwrap_or_else(|| if kind.is_empty() { "discount".to_owned() } else { kind });
    // Nothing off is no discount: a free product already costs nothing on its line.
    (!amount.is_zero()).then_some(Reduction { name, tender, amount })
}

fn payments(at: &At<'_>, currency: Currency, zones: &Zones, notes: &mut Notes) -> Vec<Payment> {
    let entries = notes.list(at);
    entries.iter().filter_map(|at| payment(at, currency, zones, notes)).collect()
}

/// One entry of a payment history.
pub(super) fn payment(at: &At<'_>, currency: Currency, zones: &Zones, notes: &mut Notes) -> Option<Payment> {
    let id = notes.id(&at.get("id"));
    let when = notes.instant(&at.get("createdAt"), zones);
    let paid_in = notes.text(&at.get("value").get("currency").get("code"));
    if let Some(other) = paid_in.filter(|code| code != currency.code()) {
        notes.add(
            &notes.rule("payment"),
            &at.path,
            format!("the payment is in {other}, the order in {currency}"),
            MEND,
            Some(at.get("value").get("currency").get("code").value),
        );
        return None;
    }
    let amount = notes.exact(&at.get("value"), currency);
    let kind = at.get("entryType");
    let word = notes.text(&kind).unwrap_or_default();
    let status = at.get("status");
    let said = match status.value.as_str() {
        Some("SUCCESS") => PaymentStatus::Success,
        Some("PENDING") => PaymentStatus::Pending,
        Some("FAILED") => PaymentStatus::Failed,
        _ => {
            let value = shown(status.value);
            let problem = Problem::new(
                &notes.rule("payment"),
                status.path.clone(),
                format!("{value:?} is no status of a payment that we know"),
                CHECK,
            );
            notes.found.push(problem.value(value.clone()).cause(value.chars().take(40).collect::<String>()));
            PaymentStatus::Pending
        }
    };
    // An entry without its time cannot be placed in the history; its problem has been noted.
    let (id, at_instant, amount) = (id?, when?, amount?);
    Some(Payment {
        id: ExternalId::new(id),
        kind: payment_kind(&word),
        status: payment_status(&word, said),
        reference: notes.text(&at.get("externalReference")),
        method: payment_method(&at.get("paymentMethod"), notes),
        amount,
        at: at_instant,
    })
}

/// A word, or a thing with a word in it: the documentation names the field and not its type.
fn payment_method(at: &At<'_>, notes: &mut Notes) -> Option<String> {
    if at.value.is_object() { notes.text(&at.get("uri")) } else { notes.text(at) }
}

fn payment_kind(word: &str) -> PaymentKind {
    match word {
        "AUTH" | "AUTH_PENDING" | "AUTH_GIFT_CARD" => PaymentKind::Authorisation,
        "CAPTURE" | "CAPTURE_PENDING" | "CAPTURE_REQUEST" | "CAPTURE_FAILED" | "CAPTURE_GIFT_CARD" | "MARKED_AS_PAID" => {
            PaymentKind::Capture
        }
        "REFUND" | "REFUND_REQUEST" | "REFUND_FAILED" | "REFUND_GIFT_CARD" => PaymentKind::Refund,
        "CANCEL" | "CANCEL_REQUEST" | "CANCEL_GIFT_CARD" => PaymentKind::Cancellation,
        _ => PaymentKind::Other,
    }
}

/// A request that succeeded is not yet a payment: the provider's answer comes later and may be no.
fn payment_status(word: &str, said: PaymentStatus) -> PaymentStatus {
    if word.ends_with("_FAILED") {
        PaymentStatus::Failed
    } else if said == PaymentStatus::Success && (word.ends_with("_REQUEST") || word.ends_with("_PENDING")) {
        PaymentStatus::Pending
    } else {
        said
    }
}
