//! Taking in sales orders, cash sales and customers: what is checked, what is filled in, what is merged.
//!
//! Choices where the vendor's papers are silent:
//! * Read-only fields are ignored on the way in.
//! * An amount with more decimal places than its currency is rounded half away from zero.
//! * An entry of `taxDetails` whose reference is no item line's is the shipping line's, if there is a shipping cost.
//! * A discount of the whole document (`discountItem`) does not lower the tax that the engine computes.
//! * A shipping cost without a shipping method is recomputed by the rate tables, that is, to nought; a method
//!   without a cost costs 9.90.
//! * `LF` and `CR` in a text must come escaped once more (`\\n`), as "REST Web Services Limitations" demands;
//!   a bare one is refused.

use std::collections::{BTreeMap, HashSet};

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::errors::{At, Detail, Refusal};
use super::fields::{self, CUSTOMER_TABLE, Field, Shape, Spec, TAX_TABLE, Table};
use super::fixed::Fixed;
use super::periods::{self, Periods};
use super::seed::{self, ItemKind, Items};
use super::state::{AddressEntry, Customer, Extra, Kind, Line, SHIPPING, Sym, Symbols, TaxLine, Tran};
use super::{Options, TaxRegime, TaxRounding, tax};
use axum::http::StatusCode;

/// The fields of an address, in the order in which they are joined.
pub(super) const ADDRESS: [&str; 9] = ["addressee", "attention", "addr1", "addr2", "addr3", "city", "state", "zip", "addrPhone"];
/// What the fields of an address are joined by. Last comes the country.
const JOINT: char = '\u{1f}';

/// The fields of a kept address and its country.
pub(super) fn address_parts(kept: &str) -> (impl Iterator<Item = (&'static str, &str)>, &str) {
    let (fields, country) = kept.rsplit_once(JOINT).unwrap_or(("", kept));
    (ADDRESS.into_iter().zip(fields.split(JOINT)).filter(|(_, text)| !text.is_empty()), country)
}

/// The country of a kept address.
pub(super) fn country_of(kept: Option<&str>) -> &str {
    kept.map_or("", |kept| address_parts(kept).1)
}

/// What happens to a name that no field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    Ignore,
    Warning,
    Error,
}

/// What a write came to besides its effect.
#[derive(Debug, Default)]
pub(super) struct Findings {
    content: Vec<Detail>,
    business: Vec<Detail>,
    pub(super) warnings: Vec<String>,
}

impl Findings {
    /// The refusal, if there is anything to refuse. Faults of content come before those of business.
    pub(super) fn refusal(&mut self) -> Option<Refusal> {
        let details = if self.content.is_empty() { &mut self.business } else { &mut self.content };
        (!details.is_empty()).then(|| Refusal {
            status: StatusCode::BAD_REQUEST,
            details: std::mem::take(details),
            headers: Vec::new(),
        })
    }
}

/// What a write may look at.
pub(super) struct Desk<'a> {
    pub(super) options: &'a Options,
    pub(super) items: &'a Items,
    pub(super) customers: &'a BTreeMap<u32, Box<Customer>>,
    pub(super) customer_by_external: &'a std::collections::HashMap<Box<str>, u32>,
    pub(super) symbols: &'a mut Symbols,
    pub(super) periods: &'a Periods,
    pub(super) names: Names,
    pub(super) findings: Findings,
}

/// A number as the wire writes it: a JSON number, or a text holding one.
pub(super) fn number(value: &Value) -> Option<Fixed> {
    match value {
        Value::Number(number) => Fixed::parse(number.as_str()),
        Value::String(text) => Fixed::parse(text.trim()),
        _ => None,
    }
}

/// The id in a reference.
enum Id<'a> {
    Internal(u32),
    External(&'a str),
}

fn id_of(value: &Value) -> Option<Id<'_>> {
    let object = value.as_object()?;
    match (object.get("id"), object.get("externalId")) {
        (Some(Value::String(id)), _) => id.parse().ok().map(Id::Internal),
        (Some(Value::Number(id)), _) => id.as_str().parse().ok().map(Id::Internal),
        (None, Some(Value::String(id))) => Some(Id::External(id)),
        _ => None,
    }
}

/// What a line's `rate` may be.
#[derive(Clone, Copy)]
enum Rate {
    Each(Fixed),
    Percent(Fixed),
}

fn rate_of(value: &Value) -> Option<Rate> {
    match value {
        Value::String(text) if text.trim().ends_with('%') => {
            Fixed::parse(text.trim().trim_end_matches('%').trim()).map(Rate::Percent)
        }
        other => number(other).map(Rate::Each),
    }
}

/// The lines of a sublist: `None` when it is to be emptied.
pub(super) fn sublist(value: &Value) -> Result<Option<&[Value]>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::Object(object) => match object.get("items") {
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(Value::Null) => Ok(None),
            _ => Err(()),
        },
        _ => Err(()),
    }
}

/// One line of the body, as far as it was given.
#[derive(Default)]
struct Draft {
    item: Option<u32>,
    quantity: Option<Fixed>,
    custom: Option<bool>,
    rate: Option<Rate>,
    amount: Option<Fixed>,
    gross: Option<Fixed>,
    description: Option<Sym>,
    reference: Option<Sym>,
    location: Option<u32>,
    tax_code: Option<u32>,
    tax: Option<Fixed>,
    closed: Option<bool>,
    source: Option<u32>,
    extra: Vec<(Sym, Option<Box<str>>)>,
}

impl Desk<'_> {
    pub(super) fn content(&mut self, path: &str) {
        let name = path.rsplit('.').next().unwrap_or(path);
        self.content_as(path, format!("Invalid value for the resource or sub-resource field '{name}'. Provide a valid value."));
    }

    pub(super) fn content_as(&mut self, path: &str, text: String) {
        self.findings.content.push(Detail { text, code: "INVALID_CONTENT", at: At::Path(path.to_owned()) });
    }

    pub(super) fn business(&mut self, text: impl std::fmt::Display) {
        self.findings.business.push(Detail {
            text: format!("Error while accessing a resource. {text}"),
            code: "USER_ERROR",
            at: At::Nowhere,
        });
    }

    pub(super) fn missing(&mut self, label: &str) {
        self.business(format!("Please enter value(s) for: {label}."));
    }

    /// Finds the field of a name, or deals with there being none.
    pub(super) fn field(&mut self, table: &Table, order: bool, prefix: &str, name: &str) -> Option<Spec> {
        if let Some(spec) = table.get(name)
            && spec.exists(self.options, order)
        {
            return Some(*spec);
        }
        if name.to_ascii_lowercase().starts_with("cust")
            && self.options.custom_fields.iter().any(|known| known.eq_ignore_ascii_case(name))
        {
            return Some(Spec { name: "", field: Field::Plain, shape: Shape::Choice, when: super::fields::When::Always });
        }
        self.unknown(&format!("{prefix}{name}"));
        None
    }

    /// Deals with a name that no field has.
    fn unknown(&mut self, path: &str) {
        match self.names {
            Names::Ignore => {}
            Names::Warning => self.findings.warnings.push(format!("Unknown reference or field: {path}")),
            Names::Error => self.content_as(path, format!("Unknown reference or field: {path}")),
        }
    }

    pub(super) fn text(&mut self, path: &str, value: &Value) -> Option<String> {
        match value {
            Value::Null => Some(String::new()),
            Value::String(text) if text.contains(['\n', '\r']) => {
                self.content_as(path, format!("The value of '{path}' contains a line break that is not escaped."));
                None
            }
            Value::String(text) if text.contains('\\') => Some(text.replace("\\n", "\n").replace("\\r", "\r")),
            Value::String(text) => Some(text.clone()),
            _ => {
                self.content(path);
                None
            }
        }
    }

    pub(super) fn flag(&mut self, path: &str, value: &Value) -> Option<bool> {
        let flag = value.as_bool();
        if flag.is_none() {
            self.content(path);
        }
        flag
    }

    pub(super) fn amount(&mut self, path: &str, value: &Value) -> Option<Fixed> {
        if value.is_null() {
            return Some(Fixed::ZERO);
        }
        let number = number(value);
        if number.is_none() {
            self.content(path);
        }
        number
    }

    pub(super) fn date(&mut self, path: &str, value: &Value) -> Option<Date> {
        let date = value.as_str().filter(|text| text.len() == 10).and_then(|text| text.parse().ok());
        if date.is_none() {
            self.content(path);
        }
        date
    }

    /// The id of a reference that `known` knows; 0 for null.
    pub(super) fn reference(&mut self, path: &str, value: &Value, known: impl Fn(u32) -> bool) -> Option<u32> {
        if value.is_null() {
            return Some(0);
        }
        match id_of(value) {
            Some(Id::Internal(id)) if known(id) => Some(id),
            Some(_) => {
                self.content(&format!("{path}.id"));
                None
            }
            None => {
                self.content(path);
                None
            }
        }
    }

    pub(super) fn external_id(&mut self, value: &Value) -> Option<Option<Box<str>>> {
        let text = self.text("externalId", value)?;
        if text.is_empty() {
            return Some(None);
        }
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            self.content("externalId");
            return None;
        }
        Some(Some(text.into_boxed_str()))
    }

    fn address(&mut self, path: &str, value: &Value) -> Option<Option<Box<str>>> {
        if value.is_null() {
            return Some(None);
        }
        let Value::Object(object) = value else {
            self.content(path);
            return None;
        };
        let mut fields: [String; ADDRESS.len()] = Default::default();
        let mut country = String::new();
        let before = self.findings.content.len();
        for (name, value) in object {
            let at = format!("{path}.{name}");
            match ADDRESS.iter().position(|known| known.eq_ignore_ascii_case(name)) {
                Some(field) => {
                    if let Some(text) = self.text(&at, value)
                        && let Some(slot) = fields.get_mut(field)
                    {
                        *slot = text.replace(JOINT, " ");
                    }
                }
                None if name.eq_ignore_ascii_case("country") => {
                    let code = match value {
                        Value::Object(object) => object.get("id").and_then(Value::as_str),
                        other => other.as_str(),
                    };
                    match code {
                        Some(code) if seed::is_country(code) => code.clone_into(&mut country),
                        _ => self.content(&at),
                    }
                }
                None if ["override", "addrtext", "links", "refname", "label", "isresidential"]
                    .contains(&name.to_ascii_lowercase().as_str()) => {}
                None => self.unknown(&at),
            }
        }
        if self.findings.content.len() > before {
            return None;
        }
        let mut kept = fields.join(&JOINT.to_string());
        kept.push(JOINT);
        kept.push_str(&country);
        Some(Some(kept.into_boxed_str()))
    }

    /// A field that is kept as it came: the JSON to keep, `None` to clear it.
    pub(super) fn plain(&mut self, path: &str, shape: Shape, value: &Value) -> Option<Option<Box<str>>> {
        if value.is_null() {
            return Some(None);
        }
        let kept = match shape {
            Shape::Text => Value::String(self.text(path, value)?),
            Shape::Flag => Value::Bool(self.flag(path, value)?),
            Shape::Number => {
                let number = self.amount(path, value)?;
                return Some(Some(number.text(1).into_boxed_str()));
            }
            Shape::Date => Value::String(self.date(path, value)?.to_string()),
            // This account has no departments, classes, terms, campaigns and so on: no id of one exists.
            Shape::Reference => {
                self.content(&format!("{path}.id"));
                return None;
            }
            Shape::Choice => match value {
                Value::Object(object) if object.contains_key("id") => value.clone(),
                Value::String(_) | Value::Number(_) | Value::Bool(_) => value.clone(),
                _ => {
                    self.content(path);
                    return None;
                }
            },
            Shape::Time | Shape::List | Shape::Record => {
                self.content(path);
                return None;
            }
        };
        Some(Some(kept.to_string().into_boxed_str()))
    }

    /// The name under which a field is kept.
    fn plain_name(&mut self, spec: Spec, name: &str) -> Sym {
        if spec.name.is_empty() { self.symbols.put(&name.to_ascii_lowercase()) } else { self.symbols.put(spec.name) }
    }

    pub(super) fn find_item(&mut self, path: &str, value: &Value) -> Option<u32> {
        match id_of(value) {
            Some(Id::Internal(id)) if self.items.get(id).is_some() => Some(id),
            Some(_) => {
                self.content(&format!("{path}.id"));
                None
            }
            None => {
                self.content(path);
                None
            }
        }
    }

    fn find_customer(&mut self, path: &str, value: &Value) -> Option<u32> {
        if value.is_null() {
            return Some(0);
        }
        match id_of(value) {
            Some(Id::Internal(id)) if self.customers.contains_key(&id) => Some(id),
            Some(Id::External(id)) if self.customer_by_external.contains_key(id) => self.customer_by_external.get(id).copied(),
            Some(_) => {
                self.content(&format!("{path}.id"));
                None
            }
            None => {
                self.content(path);
                None
            }
        }
    }

    // ---- transactions ----

    /// Takes a body into a document, which is new when `create`. What is wrong goes to the findings.
    pub(super) fn transaction(&mut self, tran: &mut Tran, body: &Map<String, Value>, replace: &HashSet<String>, create: bool) {
        let order = tran.kind == Kind::SalesOrder;
        let mut lines = None;
        let mut taxes = None;
        let mut location_given = false;
        let (mut cost_given, mut method_given) = (false, false);
        let before = (tran.entity, tran.subsidiary, tran.currency);
        if create {
            tran.approved = self.options.auto_approve;
        }
        let (table, _) = fields::of(tran.kind);
        for (name, value) in body {
            let Some(spec) = self.field(table, order, "", name) else {
                continue;
            };
            let path = spec.name;
            match spec.field {
                Field::ReadOnly => {}
                Field::ExternalId => {
                    if let Some(external) = self.external_id(value) {
                        tran.external = external;
                    }
                }
                Field::Entity => set(&mut tran.entity, self.find_customer(path, value)),
                Field::Subsidiary => set(&mut tran.subsidiary, self.reference(path, value, |id| seed::subsidiary(id).is_some())),
                Field::Currency => set(&mut tran.currency, self.reference(path, value, |id| seed::currency(id).is_some())),
                Field::ExchangeRate => {
                    if let Some(rate) = self.amount(path, value) {
                        if rate.is_zero() || rate.is_negative() {
                            self.content(path);
                        } else {
                            tran.exchange = rate;
                        }
                    }
                }
                Field::TranDate => set(&mut tran.date, self.date(path, value)),
                Field::Memo => set(&mut tran.memo, self.text(path, value).map(some_text)),
                Field::OtherRefNum => set(&mut tran.other_ref, self.text(path, value).map(some_text)),
                Field::OrderStatus => {
                    let letter = match value {
                        Value::Object(object) => object.get("id").and_then(Value::as_str),
                        other => other.as_str(),
                    };
                    match letter {
                        Some("A") => tran.approved = false,
                        Some("B") => tran.approved = true,
                        _ => self.content(path),
                    }
                }
                Field::Location => {
                    location_given = true;
                    set(&mut tran.location, self.reference(path, value, |id| seed::location(id).is_some()));
                }
                Field::ShipMethod => {
                    method_given = true;
                    set(&mut tran.ship_method, self.reference(path, value, |id| seed::named(seed::SHIP_ITEMS, id).is_some()));
                }
                Field::ShippingCost => {
                    cost_given = true;
                    set(&mut tran.shipping, self.amount(path, value));
                }
                Field::HandlingCost => set(&mut tran.handling, self.amount(path, value)),
                Field::ShippingTaxCode => {
                    set(&mut tran.ship_tax_code, self.reference(path, value, |id| seed::tax_code(id).is_some()))
                }
                Field::ShippingAddress => set(&mut tran.ship_to, self.address(path, value)),
                Field::BillingAddress => set(&mut tran.bill_to, self.address(path, value)),
                Field::DiscountItem => {
                    if value.is_null() {
                        tran.discount_item = 0;
                    } else if let Some(item) = self.find_item(path, value) {
                        if self.items.get(item).is_some_and(|i| i.kind == ItemKind::Discount) {
                            tran.discount_item = item;
                        } else {
                            self.content(&format!("{path}.id"));
                        }
                    }
                }
                Field::DiscountRate => match rate_of(value) {
                    _ if value.is_null() => tran.discount_rate = Fixed::ZERO,
                    Some(Rate::Each(rate)) => (tran.discount_rate, tran.discount_percent) = (rate, false),
                    Some(Rate::Percent(rate)) => (tran.discount_rate, tran.discount_percent) = (rate, true),
                    None => self.content(path),
                },
                Field::PaymentMethod => set(
                    &mut tran.payment_method,
                    self.reference(path, value, |id| seed::named(seed::PAYMENT_METHODS, id).is_some()),
                ),
                Field::PaymentOption => set(
                    &mut tran.payment_option,
                    self.reference(path, value, |id| seed::named(seed::PAYMENT_METHODS, id).is_some()),
                ),
                Field::TaxDetailsOverride => set(&mut tran.tax_override, self.flag(path, value)),
                Field::Items => lines = Some(value),
                Field::TaxDetails => taxes = Some(value),
                _ => {
                    let key = self.plain_name(spec, name);
                    if let Some(json) = self.plain(if path.is_empty() { name } else { path }, spec.shape, value) {
                        keep(&mut tran.extra, 0, key, json);
                    }
                }
            }
        }
        if cost_given && !tran.shipping.is_zero() && tran.ship_method == 0 {
            tran.shipping = Fixed::ZERO;
        }
        if method_given && !cost_given && create && tran.ship_method != 0 {
            tran.shipping = Fixed::parse("9.90").unwrap_or_default();
        }
        self.parties(tran, before, create, location_given);
        let digits = tran.digits();
        tran.shipping = tran.shipping.round(digits);
        tran.handling = tran.handling.round(digits);
        if tran.discount_item != 0 && tran.discount_rate > Fixed::ZERO {
            self.business("The discount rate must not be positive.");
        }
        if tran.discount_item == 0 {
            tran.discount_rate = Fixed::ZERO;
        }
        let mut grosses = Vec::new();
        let mut given_taxes = Vec::new();
        if let Some(lines) = lines {
            if tran.billed {
                self.business("You cannot change the items of a transaction that has been billed.");
            } else {
                self.lines(tran, lines, replace.contains("item"), &mut grosses, &mut given_taxes);
            }
        }
        if tran.lines.is_empty() && self.findings.content.is_empty() {
            self.business("You must enter at least one line item for this transaction.");
        }
        self.taxes(tran, taxes, replace.contains("taxdetails"), &grosses, &given_taxes);
        if tran.checked_totals().is_none() {
            self.business("The total amount is too large.");
        }
    }

    /// Customer, subsidiary, currency, location, period: present and fitting each other.
    fn parties(&mut self, tran: &mut Tran, before: (u32, u32, u32), create: bool, location_given: bool) {
        let customers = self.customers;
        let Some(customer) = customers.get(&tran.entity) else {
            if self.findings.content.is_empty() {
                self.missing("Customer");
            }
            return;
        };
        if customer.inactive && before.0 != tran.entity {
            self.business(format!("The customer {} is inactive.", customer.entity_id));
        }
        if tran.subsidiary == 0 {
            tran.subsidiary = if self.options.one_world { customer.subsidiary } else { 1 };
        }
        if tran.currency == 0 {
            tran.currency = customer.currency;
        }
        if !create && before.1 != tran.subsidiary {
            self.business("You cannot change the subsidiary of a transaction after it has been saved.");
        }
        let name = |id| seed::subsidiary(id).map_or("?", |s| s.name);
        if self.options.one_world {
            if customer.subsidiary != tran.subsidiary {
                self.business(format!(
                    "The customer {} belongs to the subsidiary {} and cannot be used on a transaction of the \
                     subsidiary {}.",
                    customer.entity_id,
                    name(customer.subsidiary),
                    name(tran.subsidiary)
                ));
            }
            if create && seed::subsidiary(tran.subsidiary).is_some_and(|s| s.inactive) {
                self.business(format!("The subsidiary {} is inactive.", name(tran.subsidiary)));
            }
        }
        if !customer.takes(tran.currency) {
            self.business(format!(
                "The currency {} is not allowed for the customer {}.",
                seed::currency(tran.currency).map_or("?", |c| c.symbol),
                customer.entity_id
            ));
        }
        if location_given {
            self.location_fits(tran.location, tran.subsidiary);
        }
        if matches!(tran.kind, Kind::CashSale | Kind::Credit) {
            self.period_open(tran.date);
        }
    }

    /// What posts has to be dated in an open period.
    pub(super) fn period_open(&mut self, day: Date) {
        if let Some(why) = periods::refusal(self.options, self.periods, day) {
            self.business(why);
        }
    }

    pub(super) fn location_fits(&mut self, id: u32, subsidiary: u32) {
        let Some(location) = seed::location(id) else {
            return;
        };
        if location.inactive {
            self.business(format!("The location {} is inactive.", location.name));
        }
        if self.options.one_world && location.subsidiary != subsidiary {
            let name = |id| seed::subsidiary(id).map_or("?", |s| s.name);
            self.business(format!(
                "The location {} belongs to the subsidiary {} and cannot be used on a transaction of the \
                 subsidiary {}.",
                location.name,
                name(location.subsidiary),
                name(subsidiary)
            ));
        }
    }

    fn draft(&mut self, path: &str, kind: Kind, body: &Map<String, Value>) -> Draft {
        let mut draft = Draft::default();
        let prefix = format!("{path}.");
        let (_, table) = fields::of(kind);
        for (name, value) in body {
            let Some(spec) = self.field(table, kind == Kind::SalesOrder, &prefix, name) else {
                continue;
            };
            let mut at = String::with_capacity(prefix.len() + spec.name.len());
            at.push_str(&prefix);
            at.push_str(if spec.name.is_empty() { name } else { spec.name });
            match spec.field {
                Field::ReadOnly | Field::Line => {}
                Field::Item => draft.item = self.find_item(&at, value),
                Field::Quantity => draft.quantity = self.amount(&at, value),
                Field::Price => {
                    // -1 is "Custom"; 1 is the base price.
                    let id = value.as_object().and_then(|object| object.get("id"));
                    match id.and_then(number).map(|id| id.text(0)).as_deref() {
                        Some("-1") => draft.custom = Some(true),
                        Some("1") => draft.custom = Some(false),
                        _ => self.content(&format!("{at}.id")),
                    }
                }
                Field::Rate => match rate_of(value) {
                    Some(rate) => draft.rate = Some(rate),
                    None if value.is_null() => {}
                    None => self.content(&at),
                },
                Field::Amount => {
                    if !value.is_null() {
                        draft.amount = self.amount(&at, value);
                    }
                }
                Field::GrossAmt => {
                    if !value.is_null() && !self.options.before_2026_1 {
                        draft.gross = self.amount(&at, value);
                    }
                }
                Field::Description => {
                    let text = self.text(&at, value);
                    draft.description = text.map(|text| self.symbols.put(&text));
                }
                Field::TaxDetailsReference => {
                    let text = self.text(&at, value);
                    draft.reference = text.map(|text| self.symbols.put(&text));
                }
                Field::Location => {
                    draft.location = self.reference(&at, value, |id| seed::location(id).is_some());
                }
                Field::Subsidiary => {
                    self.reference(&at, value, |id| seed::subsidiary(id).is_some());
                }
                Field::TaxCode => {
                    draft.tax_code = self.reference(&at, value, |id| seed::tax_code(id).is_some());
                }
                Field::Tax1Amt => draft.tax = self.amount(&at, value),
                Field::IsClosed => draft.closed = self.flag(&at, value),
                Field::OrderLine => {
                    draft.source = number(value).and_then(|number| number.text(0).parse().ok());
                    if draft.source.is_none() {
                        self.content(&at);
                    }
                }
                _ => {
                    let key = self.plain_name(spec, name);
                    if let Some(json) = self.plain(&at, spec.shape, value) {
                        draft.extra.push((key, json));
                    }
                }
            }
        }
        draft
    }

    /// Merges the lines of a body into the document, or replaces them.
    fn lines(
        &mut self,
        tran: &mut Tran,
        value: &Value,
        replace: bool,
        grosses: &mut Vec<(u32, Fixed)>,
        taxes: &mut Vec<(u32, Fixed)>,
    ) {
        let items = match sublist(value) {
            Ok(items) => items,
            Err(()) => return self.content("item"),
        };
        let Some(items) = items else {
            tran.lines.clear();
            return;
        };
        let sparse = tran.kind.is_sparse();
        let mut old = std::mem::take(&mut tran.lines);
        let mut new: Vec<Line> = Vec::with_capacity(items.len());
        for (at, value) in items.iter().enumerate() {
            let path = format!("item.items[{at}]");
            let Value::Object(body) = value else {
                self.content(&path);
                continue;
            };
            let wanted = body
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("line"))
                .and_then(|(_, value)| number(value))
                .and_then(|number| number.text(0).parse::<u32>().ok());
            let draft = self.draft(&path, tran.kind, body);
            let found = wanted.and_then(|wanted| old.iter().position(|line| line.number == wanted));
            // What a transform has filled in is chosen by the line of its source.
            let by_source = |source: u32| old.iter().position(|line| line.source == source);
            let found = found.or_else(|| draft.source.and_then(by_source));
            if found.is_none() && draft.source.is_some() {
                self.content(&format!("{path}.orderLine"));
                continue;
            }
            if found.is_none() && draft.item.is_none() {
                // A bad reference was reported already.
                if !body.keys().any(|name| name.eq_ignore_ascii_case("item")) {
                    self.missing("Item");
                }
                continue;
            }
            let fresh = found.is_none();
            let mut line = match found {
                Some(found) if replace => old.remove(found),
                Some(found) => std::mem::take(&mut old[found]),
                None => {
                    // Numbers of order lines are sparse: 1, 4, 7.
                    tran.last_line = match (tran.last_line, sparse) {
                        (0, _) => 1,
                        (last, true) => last.saturating_add(3),
                        (last, false) => last.saturating_add(1),
                    };
                    Line { number: tran.last_line, ..Line::default() }
                }
            };
            let previous = match found {
                Some(found) if !replace => found.checked_sub(1).and_then(|before| old.get(before)),
                _ if replace => new.last(),
                _ => new.last().or(old.last()),
            }
            .map(|line| line.amount);
            if let Some(gross) = draft.gross {
                grosses.push((line.number, gross));
            }
            if let Some(tax) = draft.tax {
                taxes.push((line.number, tax));
            }
            for (key, json) in &draft.extra {
                keep(&mut tran.extra, line.number, *key, json.clone());
            }
            self.settle(tran, &path, &mut line, &draft, previous, fresh);
            match found {
                Some(found) if !replace => old[found] = line,
                _ => new.push(line),
            }
        }
        if replace {
            tran.lines = new;
        } else {
            old.append(&mut new);
            tran.lines = old;
        }
        let kept: HashSet<u32> = tran.lines.iter().map(|line| line.number).collect();
        tran.taxes.retain(|tax| tax.line == SHIPPING || kept.contains(&tax.line));
        tran.extra.retain(|extra| extra.line == 0 || kept.contains(&extra.line));
        let mut seen = HashSet::with_capacity(tran.lines.len());
        for line in &tran.lines {
            if !line.reference.is_none() && !seen.insert(line.reference) {
                let text =
                    format!("The tax details reference {} is used by more than one line.", self.symbols.text(line.reference));
                self.content_as("item.items", text);
                break;
            }
        }
    }

    /// Quantity, rate and amount of a line, as its item and its price level have them.
    fn settle(&mut self, tran: &Tran, path: &str, line: &mut Line, draft: &Draft, previous: Option<Fixed>, fresh: bool) {
        let digits = tran.digits();
        let items = self.items;
        let changed = draft.item.is_some_and(|item| item != line.item);
        set(&mut line.item, draft.item);
        let Some(item) = items.get(line.item) else {
            return;
        };
        if item.inactive && (fresh || changed) {
            self.business(format!("The item {} is inactive.", item.sku));
        }
        if self.options.one_world && (fresh || changed) && !item.is_of(tran.subsidiary) {
            let name = seed::subsidiary(tran.subsidiary).map_or("?", |s| s.name);
            self.business(format!("The item {} is not available in the subsidiary {name}.", item.sku));
        }
        set(&mut line.description, draft.description);
        set(&mut line.reference, draft.reference);
        set(&mut line.tax_code, draft.tax_code);
        set(&mut line.closed, draft.closed);
        set(&mut line.custom, draft.custom);
        if let Some(location) = draft.location {
            line.location = location;
            self.location_fits(location, tran.subsidiary);
        }
        let before = line.quantity;
        set(&mut line.quantity, draft.quantity);
        if fresh && draft.quantity.is_none() {
            line.quantity = Fixed::whole(1);
        }
        if item.kind.is_goods() && !line.custom {
            // The trap: without the custom price level what was sent is replaced by the list price.
            line.rate = item.list_price(digits);
            line.amount = line.rate.times(line.quantity, digits).unwrap_or_default();
            return;
        }
        match (draft.rate, draft.amount) {
            (Some(Rate::Percent(percent)), amount) => {
                let base = previous.unwrap_or_default();
                line.amount = base.percent(percent, digits).unwrap_or_default();
                line.rate = line.amount;
                if amount.is_some_and(|amount| amount.round(digits) != line.amount) {
                    self.business(format!("{path}: the amount does not agree with the rate."));
                }
            }
            (Some(Rate::Each(rate)), Some(amount)) => {
                line.rate = rate;
                line.amount = amount.round(digits);
                if rate.times(line.quantity, digits) != Some(line.amount) {
                    self.business(format!(
                        "{path}: the amount {} does not agree with the quantity {} times the rate {}.",
                        amount.text(2),
                        line.quantity.text(0),
                        rate.text(2)
                    ));
                }
            }
            (Some(Rate::Each(rate)), None) => {
                line.rate = rate;
                match rate.times(line.quantity, digits) {
                    Some(amount) => line.amount = amount,
                    None => self.content(&format!("{path}.rate")),
                }
            }
            (None, Some(amount)) => {
                line.amount = amount.round(digits);
                line.rate = line.amount.over(line.quantity).unwrap_or_default();
            }
            (None, None) if draft.gross.is_some() => {}
            (None, None) if fresh => self.missing("Amount"),
            (None, None) => {
                if line.quantity != before {
                    line.amount = line.rate.times(line.quantity, digits).unwrap_or_default();
                }
            }
        }
        if item.kind == ItemKind::Discount && line.amount > Fixed::ZERO {
            self.business(format!("{path}: the amount of a discount must not be positive."));
        }
        if item.kind == ItemKind::Discount && previous.is_none() && fresh {
            self.business(format!("{path}: a discount must follow the line it reduces."));
        }
    }

    // ---- tax ----

    fn taxes(
        &mut self,
        tran: &mut Tran,
        given: Option<&Value>,
        replace: bool,
        grosses: &[(u32, Fixed)],
        amounts: &[(u32, Fixed)],
    ) {
        if !self.findings.content.is_empty() || !self.findings.business.is_empty() {
            return;
        }
        let regime = self.options.tax;
        if regime == TaxRegime::SuiteTaxEngine && tran.tax_override {
            return self.business("You need the permission Tax Details Tab to override tax details.");
        }
        let digits = tran.digits();
        let done = match regime {
            TaxRegime::None => {
                tran.taxes.clear();
                self.grosses(tran, grosses, |_, _| Some(Fixed::ZERO))
            }
            TaxRegime::SuiteTaxOverride | TaxRegime::SuiteTaxEngine if tran.tax_override => {
                self.overridden(tran, given, replace);
                self.grosses(tran, grosses, |tran, line| {
                    tran.taxes.iter().find(|tax| tax.line == line).map_or(Some(Fixed::ZERO), |tax| Some(tax.rate))
                })
            }
            TaxRegime::SuiteTaxOverride | TaxRegime::SuiteTaxEngine => {
                let country = match country_of(tran.ship_to.as_deref()) {
                    "" => seed::subsidiary(tran.subsidiary).map_or("", |s| s.country),
                    country => country,
                }
                .to_owned();
                let rate = seed::standard_rate(&country);
                self.grosses(tran, grosses, |_, _| Some(rate)).and_then(|()| self.engine(tran, &country, rate, digits))
            }
            TaxRegime::LegacyLine | TaxRegime::LegacyTransaction => {
                let ordinary = tran.lines.iter().map(|line| line.tax_code).find(|code| *code != 0).unwrap_or(0);
                let mut missing = false;
                for line in &mut tran.lines {
                    let item = self.items.get(line.item);
                    if line.tax_code == 0 && item.is_some_and(|i| i.kind == ItemKind::Discount) {
                        line.tax_code = ordinary;
                    }
                    missing |= line.tax_code == 0;
                }
                // An authorization shows no tax code through this service, and so cannot be asked for one.
                if missing && tran.kind != Kind::Return {
                    return self.missing("Tax Code");
                }
                self.grosses(tran, grosses, |tran, number| {
                    let line = tran.lines.iter().find(|line| line.number == number)?;
                    Some(seed::tax_code(line.tax_code)?.rate)
                })
                .and_then(|()| legacy(tran, regime, digits, amounts))
            }
        };
        if done.is_none() {
            self.business("A tax amount is too large.");
        }
    }

    /// From release 2026.1 a gross amount recalculates the net one.
    fn grosses(&mut self, tran: &mut Tran, grosses: &[(u32, Fixed)], rate: impl Fn(&Tran, u32) -> Option<Fixed>) -> Option<()> {
        let digits = tran.digits();
        for (number, gross) in grosses {
            let rate = rate(tran, *number)?;
            let net = gross.net_of_gross(rate, digits)?;
            if let Some(line) = tran.lines.iter_mut().find(|line| line.number == *number) {
                line.amount = net;
                line.rate = net.over(line.quantity).unwrap_or_default();
            }
        }
        Some(())
    }

    /// Tax details of our own making: kept as they are.
    fn overridden(&mut self, tran: &mut Tran, given: Option<&Value>, replace: bool) {
        let Some(value) = given else {
            return;
        };
        let Ok(items) = sublist(value) else {
            return self.content("taxDetails");
        };
        if replace || items.is_none() {
            tran.taxes.clear();
        }
        let digits = tran.digits();
        let by_reference: std::collections::HashMap<Sym, u32> =
            tran.lines.iter().filter(|line| !line.reference.is_none()).map(|line| (line.reference, line.number)).collect();
        for (at, value) in items.unwrap_or_default().iter().enumerate() {
            let path = format!("taxDetails.items[{at}]");
            let Value::Object(body) = value else {
                self.content(&path);
                continue;
            };
            let prefix = format!("{path}.");
            let (mut reference, mut code, mut kind) = (None, None, None);
            let (mut basis, mut rate, mut amount) = (None, None, None);
            let before = self.findings.content.len();
            for (name, value) in body {
                let Some(spec) = self.field(&TAX_TABLE, true, &prefix, name) else {
                    continue;
                };
                let at = format!("{prefix}{}", spec.name);
                match spec.field {
                    Field::TaxDetailsReference => {
                        match value.as_object().and_then(|object| object.get("id")).and_then(Value::as_str) {
                            Some(id) if !id.is_empty() => reference = Some(self.symbols.put(id)),
                            _ => self.content(&at),
                        }
                    }
                    Field::TaxType => {
                        let id = match value {
                            Value::Object(object) => object.get("id").and_then(number),
                            other => number(other),
                        };
                        match id.and_then(|id| id.text(0).parse().ok()).filter(|id| seed::tax_type(*id).is_some()) {
                            Some(id) => kind = Some(id),
                            None => self.content(&at),
                        }
                    }
                    Field::TaxCode => {
                        code = self.reference(&at, value, |id| seed::tax_code(id).is_some());
                    }
                    Field::TaxBasis => basis = self.amount(&at, value),
                    Field::TaxRate => rate = self.amount(&at, value),
                    Field::TaxAmount => amount = self.amount(&at, value),
                    _ => {}
                }
            }
            if self.findings.content.len() > before {
                continue;
            }
            let (Some(reference), Some(code), Some(kind), Some(basis), Some(rate), Some(amount)) =
                (reference, code, kind, basis, rate, amount)
            else {
                for (label, absent) in [
                    ("Tax Details Reference", reference.is_none()),
                    ("Tax Code", code.is_none()),
                    ("Tax Type", kind.is_none()),
                    ("Tax Basis", basis.is_none()),
                    ("Tax Rate", rate.is_none()),
                    ("Tax Amount", amount.is_none()),
                ] {
                    if absent {
                        self.missing(label);
                    }
                }
                continue;
            };
            if seed::tax_code(code).is_some_and(|known| known.tax_type != kind) {
                self.content(&format!("{path}.taxType"));
                continue;
            }
            let line = match by_reference.get(&reference) {
                Some(line) => *line,
                None if !tran.shipping.is_zero() || amount.is_zero() && basis.is_zero() => SHIPPING,
                None => {
                    self.content(&format!("{path}.taxDetailsReference"));
                    continue;
                }
            };
            let tax = TaxLine { line, reference, code, basis: basis.round(digits), rate, amount: amount.round(digits) };
            match tran.taxes.iter_mut().find(|known| known.line == line && known.reference == reference && known.code == code) {
                Some(known) if !replace => *known = tax,
                _ => tran.taxes.push(tax),
            }
        }
    }

    /// What the SuiteTax engine of this account makes of a document: the standard rate of the destination.
    fn engine(&mut self, tran: &mut Tran, country: &str, rate: Fixed, digits: u32) -> Option<()> {
        tran.taxes.clear();
        if rate.is_zero() {
            return Some(());
        }
        let code = seed::tax_code_id(country, &rate.text(0)).parse().unwrap_or(0);
        let mut bases: Vec<(u32, Sym, Fixed)> = Vec::with_capacity(tran.lines.len() + 1);
        for line in &mut tran.lines {
            if line.reference.is_none() {
                line.reference = self.symbols.put(&format!("NEW_{}", line.number));
            }
            bases.push((line.number, line.reference, line.amount));
        }
        if !tran.shipping.is_zero() {
            bases.push((SHIPPING, self.symbols.put("SHIPPING"), tran.shipping));
        }
        let nets: Vec<Fixed> = bases.iter().map(|(_, _, net)| *net).collect();
        let taxes = tax::taxes(&nets, rate, digits, self.options.tax_rounding)?;
        tran.taxes = bases
            .into_iter()
            .zip(taxes)
            .map(|((line, reference, basis), amount)| TaxLine { line, reference, code, basis, rate, amount })
            .collect();
        Some(())
    }

    // ---- customers ----

    /// Takes a body into a customer, which is new when `create`. What is wrong goes to the findings.
    pub(super) fn customer(
        &mut self,
        customer: &mut Customer,
        body: &Map<String, Value>,
        replace: &HashSet<String>,
        create: bool,
    ) {
        let before = customer.subsidiary;
        for (name, value) in body {
            let Some(spec) = self.field(&CUSTOMER_TABLE, true, "", name) else {
                continue;
            };
            let path = spec.name;
            match spec.field {
                Field::ReadOnly => {}
                Field::ExternalId => {
                    if let Some(external) = self.external_id(value) {
                        customer.external = external;
                    }
                }
                Field::EntityId => set(&mut customer.entity_id, self.text(path, value).map(Into::into)),
                Field::IsPerson => set(&mut customer.person, self.flag(path, value)),
                Field::CompanyName => set(&mut customer.company, self.text(path, value).map(Into::into)),
                Field::FirstName => set(&mut customer.first, self.text(path, value).map(Into::into)),
                Field::LastName => set(&mut customer.last, self.text(path, value).map(Into::into)),
                Field::Email => {
                    if let Some(email) = self.text(path, value) {
                        let sound =
                            email.split_once('@').is_some_and(|(a, b)| !a.is_empty() && b.contains('.') && !email.contains(' '));
                        if email.is_empty() || sound {
                            customer.email = email.into();
                        } else {
                            self.content(path);
                        }
                    }
                }
                Field::Phone => set(&mut customer.phone, self.text(path, value).map(Into::into)),
                Field::Comments => set(&mut customer.comments, self.text(path, value).map(Into::into)),
                Field::Subsidiary => set(
                    &mut customer.subsidiary,
                    self.reference(path, value, |id| seed::subsidiary(id).is_some_and(|s| !s.inactive)),
                ),
                Field::Currency => set(&mut customer.currency, self.reference(path, value, |id| seed::currency(id).is_some())),
                Field::IsInactive => set(&mut customer.inactive, self.flag(path, value)),
                Field::CurrencyList => self.currency_list(customer, value, replace.contains("currencylist")),
                Field::AddressBook => self.address_book(customer, value, replace.contains("addressbook")),
                _ => {
                    let key = self.plain_name(spec, name);
                    if let Some(json) = self.plain(if path.is_empty() { name } else { path }, spec.shape, value) {
                        keep(&mut customer.extra, 0, key, json);
                    }
                }
            }
        }
        if customer.person {
            if customer.first.is_empty() {
                self.missing("First Name");
            }
            if customer.last.is_empty() {
                self.missing("Last Name");
            }
        } else if customer.company.is_empty() {
            self.missing("Company Name");
        }
        if customer.subsidiary == 0 {
            if self.options.one_world {
                self.missing("Primary Subsidiary");
            } else {
                customer.subsidiary = 1;
            }
        }
        if !create && before != customer.subsidiary {
            self.business("The primary subsidiary cannot be changed once transactions may exist.");
        }
        if customer.currency == 0 {
            customer.currency =
                seed::subsidiary(customer.subsidiary).and_then(|s| seed::currency_by_symbol(s.currency)).map_or(1, |c| c.id);
        }
    }

    fn currency_list(&mut self, customer: &mut Customer, value: &Value, replace: bool) {
        let Ok(items) = sublist(value) else {
            return self.content("currencyList");
        };
        if replace || items.is_none() {
            customer.currencies.clear();
        }
        for (at, value) in items.unwrap_or_default().iter().enumerate() {
            let path = format!("currencyList.items[{at}].currency");
            match value.get("currency") {
                Some(value) => {
                    if let Some(id) = self.reference(&path, value, |id| seed::currency(id).is_some())
                        && !customer.currencies.contains(&id)
                    {
                        customer.currencies.push(id);
                    }
                }
                None => self.missing("Currency"),
            }
        }
    }

    fn address_book(&mut self, customer: &mut Customer, value: &Value, replace: bool) {
        let Ok(items) = sublist(value) else {
            return self.content("addressBook");
        };
        if replace || items.is_none() {
            customer.addresses.clear();
        }
        for (at, value) in items.unwrap_or_default().iter().enumerate() {
            let path = format!("addressBook.items[{at}]");
            let Value::Object(body) = value else {
                self.content(&path);
                continue;
            };
            let last = customer.addresses.iter().map(|entry| entry.id).max().unwrap_or(0);
            let wanted = body.get("id").or(body.get("addressId")).and_then(number).and_then(|id| id.text(0).parse::<u32>().ok());
            let found = customer.addresses.iter().position(|entry| Some(entry.id) == wanted);
            let mut entry = match found {
                Some(found) => customer.addresses.remove(found),
                None => AddressEntry { id: last + 1, ..AddressEntry::default() },
            };
            for (name, value) in body {
                let at = format!("{path}.{name}");
                match name.to_ascii_lowercase().as_str() {
                    "label" => set(&mut entry.label, self.text(&at, value).map(Into::into)),
                    "defaultshipping" => set(&mut entry.shipping, self.flag(&at, value)),
                    "defaultbilling" => set(&mut entry.billing, self.flag(&at, value)),
                    "addressbookaddress" => {
                        if let Some(address) = self.address(&at, value) {
                            entry.address = address.unwrap_or_default();
                        }
                    }
                    "id" | "addressid" | "internalid" | "links" | "isresidential" | "addressbookaddress_text" => {}
                    _ => self.unknown(&at),
                }
            }
            for other in &mut customer.addresses {
                other.shipping &= !entry.shipping;
                other.billing &= !entry.billing;
            }
            let place = found.unwrap_or(customer.addresses.len());
            customer.addresses.insert(place, entry);
        }
    }
}

/// Legacy tax: per code, at the level of the regime; an amount given for a line stays at line level.
fn legacy(tran: &mut Tran, regime: TaxRegime, digits: u32, given: &[(u32, Fixed)]) -> Option<()> {
    let rounding = if regime == TaxRegime::LegacyTransaction { TaxRounding::Transaction } else { TaxRounding::Line };
    let old = std::mem::take(&mut tran.taxes);
    let mut codes: Vec<u32> = tran.lines.iter().map(|line| line.tax_code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes.retain(|code| *code != 0);
    for code in codes {
        let rate = seed::tax_code(code)?.rate;
        let lines = || tran.lines.iter().filter(|line| line.tax_code == code);
        let nets: Vec<Fixed> = lines().map(|line| line.amount).collect();
        for (line, amount) in lines().zip(tax::taxes(&nets, rate, digits, rounding)?) {
            let by_hand = (rounding == TaxRounding::Line)
                .then(|| {
                    let now = given.iter().find(|(number, _)| *number == line.number).map(|(_, tax)| *tax);
                    now.or_else(|| {
                        old.iter().find(|t| t.line == line.number && t.code == code && t.basis == line.amount).map(|t| t.amount)
                    })
                })
                .flatten();
            tran.taxes.push(TaxLine {
                line: line.number,
                reference: Sym::default(),
                code,
                basis: line.amount,
                rate,
                amount: by_hand.unwrap_or(amount).round(digits),
            });
        }
    }
    if tran.ship_tax_code != 0 && !tran.shipping.is_zero() {
        let rate = seed::tax_code(tran.ship_tax_code)?.rate;
        tran.taxes.push(TaxLine {
            line: SHIPPING,
            reference: Sym::default(),
            code: tran.ship_tax_code,
            basis: tran.shipping,
            rate,
            amount: tran.shipping.percent(rate, digits)?,
        });
    }
    Some(())
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

pub(super) fn some_text(text: String) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into_boxed_str())
}

pub(super) fn keep(extra: &mut Vec<Extra>, line: u32, name: Sym, json: Option<Box<str>>) {
    extra.retain(|known| known.line != line || known.name != name);
    if let Some(json) = json {
        extra.push(Extra { line, name, json });
    }
}
