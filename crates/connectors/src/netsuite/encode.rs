//! Canonical records → NetSuite documents. Pure: the same input gives the same bytes.

use rust_decimal::Decimal;
use selvedge_connector::{Encoded, Raw, Request};
use selvedge_model::{
    Customer, Order, Problem,
    gate::{Lookup, Values},
    records::{Address, OrderStatus, PaymentKind, PaymentStatus},
};
use serde_json::{Map, Value};

use super::{
    change,
    plan::{Plan, PlanLine, TaxPart, plan, rate_text, tax_country},
    settings::{Document, Form, ShippingForm, Tax},
    wire,
};

/// The record service below the base.
pub(crate) const RECORDS: &str = "/services/rest/record/v1";
/// The longest memo that is sent.
pub(crate) const MEMO_CHARS_MAX: usize = 999;
/// The longest line description that is sent.
const DESCRIPTION_CHARS_MAX: usize = 999;
/// What an external id of a customer begins with: all entities share one group of ids.
pub(crate) const CUSTOMER_PREFIX: &str = "cust_";

/// A document as it should stand.
pub(crate) struct Desired {
    /// The members of the head.
    pub head: Map<String, Value>,
    /// The lines.
    pub lines: Vec<Map<String, Value>>,
    /// The tax lines; none but under SuiteTax.
    pub tax_lines: Vec<Value>,
}

/// Every mapped value that an order needs.
pub(crate) fn order_lookups(order: &Order, form: &Form) -> Vec<Lookup> {
    let mut lookups = header_lookups(order, form);
    let (plan, _) = plan(order, form);
    lookups.extend(plan.lines.iter().map(|line| line.item.clone()));
    for part in plan.lines.iter().flat_map(|line| &line.taxes).chain(&plan.shipping_taxes) {
        lookups.push(tax_lookup(order, part.rate));
    }
    let mut seen = std::collections::BTreeSet::new();
    lookups.retain(|lookup| seen.insert((lookup.table.clone(), lookup.key_text())));
    lookups
}

fn header_lookups(order: &Order, form: &Form) -> Vec<Lookup> {
    let mut lookups = Vec::new();
    if form.one_world {
        lookups.push(subsidiary_lookup(&order.market.id, &order.market.name));
    }
    lookups.push(Lookup::new("location", &[("market", &order.market.id)], "market").label(&order.market.name).optional());
    lookups.push(currency_lookup(order.currency.code()));
    lookups.extend(shipping_lookup(order));
    lookups.extend(payment_lookup(order, form));
    if !wants_customer(order, form) {
        lookups.push(guest_lookup(order));
    }
    lookups
}

fn subsidiary_lookup(market: &str, name: &str) -> Lookup {
    Lookup::new("subsidiary", &[("market", market)], "market").label(name)
}

pub(crate) fn currency_lookup(code: &str) -> Lookup {
    Lookup::new("currency", &[("code", code)], "currency").same_name()
}

pub(crate) fn shipping_lookup(order: &Order) -> Option<Lookup> {
    order.shipping_method.as_ref()?;
    let word = order.method_word();
    let label = format!("{word} in {}", order.market.name);
    Some(Lookup::new("shipping_item", &[("market", &order.market.id), ("method", word)], "shipping_method").label(label))
}

fn payment_lookup(order: &Order, form: &Form) -> Option<Lookup> {
    let method = order.payment_method.as_ref().filter(|_| form.document == Document::CashSale)?;
    Some(Lookup::new("payment_method", &[("method", method)], "payment_method").optional())
}

fn guest_lookup(order: &Order) -> Lookup {
    let label = format!("The customer for orders without account in {}, {}", order.market.name, order.currency);
    Lookup::new("guest_customer", &[("market", &order.market.id), ("currency", order.currency.code())], "customer").label(label)
}

pub(crate) fn tax_lookup(order: &Order, rate: Decimal) -> Lookup {
    let (country, rate) = (tax_country(order), rate_text(rate));
    let label = format!("{rate} % tax in {country}");
    Lookup::new("tax_code", &[("country", country), ("rate", &rate)], "lines").label(label)
}

/// Whether the order hangs on a customer of its own.
pub(crate) fn wants_customer(order: &Order, form: &Form) -> bool {
    form.customer_per_shopper && order.customer.is_some()
}

/// The key text under which the id of an order's customer stands among the values.
pub(crate) fn customer_key_text(customer: &Customer) -> String {
    selvedge_model::gate::mapping::key_text(&[("customer".to_owned(), customer.key.to_string())])
}

/// The request that makes an order stand.
pub(crate) fn order(order: &Order, values: &Values, existing: Option<&Raw>, form: &Form) -> Result<Encoded, Vec<Problem>> {
    match (existing, order.status) {
        (None, OrderStatus::Cancelled) => Ok(Encoded::Nothing),
        (Some(raw), OrderStatus::Cancelled) => change::cancel(order, raw, form),
        (None, _) => {
            let desired = desired(order, values, form)?;
            let external_id = wire::external_id(form.document.prefix(), order.number.as_str());
            let mut body = desired.head;
            body.insert("externalId".to_owned(), Value::String(external_id.clone()));
            if form.document == Document::SalesOrder {
                body.insert("orderStatus".to_owned(), Value::String(form.order_status.to_owned()));
            }
            if let Some(custom_form) = &form.custom_form {
                body.insert("customForm".to_owned(), wire::reference(custom_form));
            }
            add_absent(&mut body, &form.fields);
            let lines = desired.lines.into_iter().map(|mut line| {
                add_absent(&mut line, &form.line_fields);
                Value::Object(line)
            });
            insert_lists(&mut body, lines.collect(), desired.tax_lines, form);
            Ok(Encoded::Put(Request {
                what: format!("create {} {external_id}", form.document.words()),
                method: "POST".to_owned(),
                path: format!("{RECORDS}/{}", form.document.record()),
                body: Value::Object(body),
                update: None,
                unfinished: false,
            }))
        }
        (Some(raw), _) => change::change(order, desired(order, values, form)?, raw, form),
    }
}

/// Adds fixed members where ours has none of that name.
pub(crate) fn add_absent(body: &mut Map<String, Value>, fixed: &Map<String, Value>) {
    for (name, value) in fixed {
        body.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// Adds the lines and, under SuiteTax, the tax lines.
pub(crate) fn insert_lists(body: &mut Map<String, Value>, lines: Vec<Value>, tax_lines: Vec<Value>, form: &Form) {
    body.insert("item".to_owned(), list(lines));
    if form.tax == Tax::Suite {
        body.insert("taxDetailsOverride".to_owned(), Value::Bool(true));
        body.insert("taxDetails".to_owned(), list(tax_lines));
    }
}

/// A sublist.
pub(crate) fn list(items: Vec<Value>) -> Value {
    let mut map = Map::new();
    map.insert("items".to_owned(), Value::Array(items));
    Value::Object(map)
}

/// Takes the values of the lookups, and notes those that are missing. The gate has answered them all; a
/// missing one means that the settings have changed since.
pub(crate) struct Words<'a> {
    pub values: &'a Values,
    pub missing: Vec<Problem>,
}

impl Words<'_> {
    pub fn id(&mut self, lookup: &Lookup) -> String {
        match self.values.get(lookup) {
            Some(id) => id.to_owned(),
            None => {
                if !lookup.optional {
                    self.missing.push(lookup.missing());
                }
                String::new()
            }
        }
    }

    fn optional(&self, lookup: &Lookup) -> Option<Value> {
        self.values.get(lookup).map(wire::reference)
    }
}

fn desired(order: &Order, values: &Values, form: &Form) -> Result<Desired, Vec<Problem>> {
    let mut words = Words { values, missing: Vec::new() };
    let (plan, mut problems) = plan(order, form);
    let head = head(order, &plan, form, &mut words);
    let lines = plan.lines.iter().map(|line| document_line(order, line, form, &mut words)).collect();
    let tax_lines = if form.tax == Tax::Suite { tax_lines(order, &plan, form, &mut words) } else { Vec::new() };
    problems.append(&mut words.missing);
    if problems.is_empty() { Ok(Desired { head, lines, tax_lines }) } else { Err(problems) }
}

fn head(order: &Order, plan: &Plan, form: &Form, words: &mut Words<'_>) -> Map<String, Value> {
    let mut head = Map::new();
    let mut put = |name: &str, value: Value| drop(head.insert(name.to_owned(), value));
    put("entity", wire::reference(&entity(order, form, words)));
    if form.one_world {
        put("subsidiary", wire::reference(&words.id(&subsidiary_lookup(&order.market.id, &order.market.name))));
    }
    put("currency", wire::reference(&words.id(&currency_lookup(order.currency.code()))));
    put("tranDate", Value::String(order.placed_on.to_string()));
    put("otherRefNum", Value::String(order.number.to_string()));
    let location = Lookup::new("location", &[("market", &order.market.id)], "market");
    if let Some(location) = words.optional(&location).or_else(|| form.default_location.as_deref().map(wire::reference)) {
        put("location", location);
    }
    if form.shipping == ShippingForm::Header {
        // Both together: with one of them alone the account's rate tables recompute the cost.
        if let Some(lookup) = shipping_lookup(order) {
            put("shipMethod", wire::reference(&words.id(&lookup)));
            put("shippingCost", wire::number(order.shipping_charge.net.decimal()));
        } else if !order.shipping_charge.net.is_zero() {
            put("shippingCost", wire::number(order.shipping_charge.net.decimal()));
        }
        if let (Tax::Legacy, Some(part)) = (form.tax, plan.shipping_taxes.first()) {
            put("shippingTaxCode", wire::reference(tax_ids(&words.id(&tax_lookup(order, part.rate))).1));
        }
    } else if let Some(lookup) = shipping_lookup(order) {
        put("shipMethod", wire::reference(&words.id(&lookup)));
        put("shippingCost", wire::number(Decimal::ZERO));
    }
    if let Some(lookup) = payment_lookup(order, form)
        && let Some(method) = words.optional(&lookup)
    {
        put("paymentMethod", method);
    }
    if let Some(address) = &order.shipping {
        put("shippingAddress", Value::Object(document_address(address)));
    }
    if let Some(address) = &order.billing {
        put("billingAddress", Value::Object(document_address(address)));
    }
    if let Some(email) = email(order) {
        put("email", Value::String(email));
    }
    let references = payment_references(order);
    if !references.is_empty() {
        match &form.payment_reference_field {
            Some(field) => put(field, Value::String(references)),
            None => put("memo", Value::String(bounded(&format!("Payment {references}"), MEMO_CHARS_MAX))),
        }
    }
    head
}

fn entity(order: &Order, form: &Form, words: &mut Words<'_>) -> String {
    let Some(customer) = order.customer.as_ref().filter(|_| wants_customer(order, form)) else {
        return words.id(&guest_lookup(order));
    };
    let key_text = customer_key_text(customer);
    match words.values.by_key("customer", &key_text) {
        Some(id) => id.to_owned(),
        None => {
            words.missing.push(Lookup::new("customer", &[("customer", customer.key.as_str())], "customer").missing());
            String::new()
        }
    }
}

fn email(order: &Order) -> Option<String> {
    let addresses = [order.billing.as_ref(), order.shipping.as_ref()];
    let of_customer = order.customer.as_ref().and_then(|c| c.email.clone());
    of_customer.or_else(|| addresses.into_iter().flatten().find_map(|a| a.email.clone())).filter(|email| !email.trim().is_empty())
}

/// The provider's references of what was reserved and taken, each once, in order.
fn payment_references(order: &Order) -> String {
    let mut references: Vec<&str> = Vec::new();
    for payment in &order.payments {
        let counts =
            matches!(payment.kind, PaymentKind::Authorisation | PaymentKind::Capture) && payment.status == PaymentStatus::Success;
        if let Some(reference) = payment.reference.as_deref().filter(|r| counts && !r.trim().is_empty())
            && !references.contains(&reference)
        {
            references.push(reference);
        }
    }
    wire::text_out(&references.join(", "))
}

pub(crate) fn bounded(text: &str, longest: usize) -> String {
    wire::text_out(text).chars().take(longest).collect()
}

pub(crate) fn document_address(address: &Address) -> Map<String, Value> {
    let filled = |text: &Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(wire::text_out);
    let person = [filled(&address.first_name), filled(&address.last_name)].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let person = Some(person).filter(|p| !p.is_empty());
    let attention = filled(&address.attention);
    // A company is the addressee, the person is whom it is for.
    let (addressee, attention) = match filled(&address.company) {
        Some(company) => (Some(company), attention.or(person)),
        None => (person, attention),
    };
    let mut map = Map::new();
    for (name, value) in [
        ("addressee", addressee),
        ("attention", attention),
        ("addr1", filled(&address.line1)),
        ("addr2", filled(&address.line2)),
        ("city", filled(&address.city)),
        ("state", filled(&address.state)),
        ("zip", filled(&address.postcode)),
        ("addrPhone", filled(&address.phone)),
    ] {
        if let Some(value) = value {
            map.insert(name.to_owned(), Value::String(value));
        }
    }
    if let Some(country) = filled(&address.country) {
        map.insert("country".to_owned(), wire::reference(&country));
    }
    map
}

pub(crate) fn document_line(order: &Order, line: &PlanLine, form: &Form, words: &mut Words<'_>) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    put("item", wire::reference(&words.id(&line.item)));
    put("price", wire::reference(&form.price_level));
    put("amount", wire::number(line.amount.decimal()));
    if let Some(quantity) = line.quantity {
        put("quantity", Value::from(quantity));
    }
    if let Some(rate) = unit_price(line, form) {
        put("rate", wire::number(rate));
    }
    if !line.description.trim().is_empty() {
        put("description", Value::String(bounded(&line.description, DESCRIPTION_CHARS_MAX)));
    }
    match form.tax {
        Tax::Suite => put("taxDetailsReference", Value::String(line.reference.clone())),
        Tax::Legacy => {
            if let Some(part) = line.taxes.first() {
                put("taxCode", wire::reference(tax_ids(&words.id(&tax_lookup(order, part.rate))).1));
                put("taxRate1", wire::number(part.rate.normalize()));
            }
        }
        Tax::None => {}
    }
    map
}

/// The unit price, where it comes out even: if rate and amount disagree, nobody knows which one wins.
fn unit_price(line: &PlanLine, form: &Form) -> Option<Decimal> {
    let amount = line.amount.decimal();
    let decimals = form.rate_decimals.unwrap_or_else(|| amount.scale());
    let quantity = Decimal::from(line.quantity.unwrap_or(1));
    let mut rate = amount.checked_div(quantity)?.round_dp(decimals);
    (rate.checked_mul(quantity)? == amount).then(|| {
        rate = rate.normalize();
        rate.rescale(amount.scale().max(rate.scale()));
        rate
    })
}

pub(crate) fn tax_lines(order: &Order, plan: &Plan, form: &Form, words: &mut Words<'_>) -> Vec<Value> {
    let of_lines = plan.lines.iter().flat_map(|line| line.taxes.iter().map(|part| (line.reference.as_str(), part)));
    let of_shipping = plan.shipping_taxes.iter().map(|part| (form.shipping_tax_reference.as_str(), part));
    of_lines.chain(of_shipping).map(|(reference, part)| tax_line(order, reference, part, form, words)).collect()
}

/// A mapped tax code is `CODE`, or `TYPE:CODE`.
pub(crate) fn tax_ids(mapped: &str) -> (Option<&str>, &str) {
    mapped.split_once(':').map_or((None, mapped), |(tax_type, code)| (Some(tax_type), code))
}

fn tax_line(order: &Order, reference: &str, part: &TaxPart, form: &Form, words: &mut Words<'_>) -> Value {
    let mapped = words.id(&tax_lookup(order, part.rate));
    let (tax_type, code) = tax_ids(&mapped);
    let of_country = || form.tax_types.get(tax_country(order)).unwrap_or(&form.tax_type).as_str();
    let tax_type = tax_type.unwrap_or_else(of_country);
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    put("taxDetailsReference", wire::reference(reference));
    put("taxType", Value::String(tax_type.to_owned()));
    put("taxCode", wire::reference(code));
    put("taxBasis", wire::number(part.basis.decimal()));
    put("taxRate", wire::number(part.rate.normalize()));
    put("taxAmount", wire::number(part.amount.decimal()));
    Value::Object(map)
}

/// Every mapped value that a customer needs.
pub(crate) fn customer_lookups(customer: &Customer, form: &Form) -> Vec<Lookup> {
    let mut lookups = Vec::new();
    if form.one_world {
        lookups.push(subsidiary_lookup(&customer.market.id, &customer.market.name));
    }
    lookups.push(currency_lookup(customer.currency.code()));
    lookups
}

/// The request that makes a customer stand.
pub(crate) fn customer(
    customer: &Customer,
    values: &Values,
    existing: Option<&Raw>,
    form: &Form,
) -> Result<Encoded, Vec<Problem>> {
    let names = customer_names(customer)?;
    let Some(raw) = existing else {
        let mut words = Words { values, missing: Vec::new() };
        let external_id = wire::external_id(CUSTOMER_PREFIX, customer.key.as_str());
        let mut body = names;
        body.insert("externalId".to_owned(), Value::String(external_id.clone()));
        if form.customer_number {
            body.insert("entityId".to_owned(), Value::String(external_id.clone()));
        }
        if form.one_world {
            body.insert(
                "subsidiary".to_owned(),
                wire::reference(&words.id(&subsidiary_lookup(&customer.market.id, &customer.market.name))),
            );
        }
        body.insert("currency".to_owned(), wire::reference(&words.id(&currency_lookup(customer.currency.code()))));
        if !words.missing.is_empty() {
            return Err(words.missing);
        }
        return Ok(Encoded::Put(Request {
            what: format!("create customer {external_id}"),
            method: "POST".to_owned(),
            path: format!("{RECORDS}/customer"),
            body: Value::Object(body),
            update: None,
            unfinished: false,
        }));
    };
    let there: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    // A person stays a person and a company a company: the field cannot be changed once saved.
    let body: Map<String, Value> =
        names.into_iter().filter(|(name, wanted)| name != "isPerson" && !wire::says(there.get(name), wanted)).collect();
    if body.is_empty() {
        return Ok(Encoded::Nothing);
    }
    Ok(Encoded::Put(Request {
        what: format!("change customer {}", raw.id),
        method: "PATCH".to_owned(),
        path: format!("{RECORDS}/customer/{}", raw.id),
        body: Value::Object(body),
        update: Some(raw.id.clone()),
        unfinished: false,
    }))
}

/// A person needs a name and a company needs one; nobody's name is made up.
fn customer_names(customer: &Customer) -> Result<Map<String, Value>, Vec<Problem>> {
    let filled = |text: &Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(wire::text_out);
    let (first, last, company) = (filled(&customer.first_name), filled(&customer.last_name), filled(&customer.company));
    let mut map = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            map.insert(name.to_owned(), Value::String(value));
        }
    };
    let is_person = match (&first, &last, &company) {
        (None, None, Some(_)) => false,
        (Some(_), ..) | (_, Some(_), _) => true,
        (None, None, None) => {
            return Err(vec![Problem::new(
                "target.customer_name",
                "customer.last_name",
                format!("customer {} has neither a name nor a company, and NetSuite takes no customer without", customer.key),
                "Fill in the name at its source; or set customers = \"guest\" for this connection, then release.",
            )]);
        }
    };
    put("companyName", company);
    if is_person {
        match (first, last) {
            // NetSuite files people under the last name.
            (Some(only), None) => put("lastName", Some(only)),
            (first, last) => {
                put("firstName", first);
                put("lastName", last);
            }
        }
    }
    put("email", filled(&customer.email));
    map.insert("isPerson".to_owned(), Value::Bool(is_person));
    Ok(map)
}
