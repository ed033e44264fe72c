//! NetSuite documents → canonical records. Pure, and it never fails: what cannot be read is a problem.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rust_decimal::Decimal;
use selvedge_connector::{Decoded, Raw};
use selvedge_model::{
    Currency, Customer, ExternalId, Money, Order, Problem, RecordKey, Sku,
    gate::Values,
    moment,
    records::{Address, Charge, Discount, LineKind, Named, OrderLine, OrderStatus, TaxLine, TaxMode, Totals},
};
use serde_json::Value;

use super::{change, encode::CUSTOMER_PREFIX, plan, settings::Form, wire};

/// What stands in the values for a field that is empty there.
pub(crate) const NOTHING: &str = "nothing";

fn unreadable<R>(problems: Vec<Problem>) -> Decoded<R> {
    Decoded::of(None, problems)
}

pub(crate) fn problem(path: &str, message: impl Into<String>) -> Problem {
    Problem::new(
        "decode.field",
        path,
        message,
        "Look at the document there; if it reads well, update the connector. Then release.",
    )
}

pub(crate) fn parse(raw: &Raw) -> Result<Value, Box<Problem>> {
    let shape =
        |message: &str| Box::new(Problem::new("decode.unreadable", "", message, "Look at the document there; then release."));
    let value: Value = serde_json::from_slice(&raw.body).map_err(|_| shape("the document is not JSON"))?;
    if value.is_object() { Ok(value) } else { Err(shape("the document is not an object")) }
}

/// A sales order or cash sale as our order.
pub(crate) fn order(raw: &Raw, words: &Values, form: &Form) -> Decoded<Order> {
    let document = match parse(raw) {
        Ok(document) => document,
        Err(problem) => return unreadable(vec![*problem]),
    };
    let Some(currency) = currency(&document, words) else {
        return unreadable(vec![problem("currency", "the document has no currency that we know")]);
    };
    let mut reader = Reader::new(&document, words, form, currency);
    let record = reader.order(raw);
    let values = if record.is_some() { reader.values() } else { Values::default() };
    Decoded { record, problems: reader.problems, values, also: Vec::new() }
}

/// A credit memo in an order's form, and what of it has no place in an order.
pub(crate) struct Credited {
    /// Its lines, discounts, shipping and handling.
    pub order: Decoded<Order>,
    /// What is kept back for the return; not below nought.
    pub fee: Charge,
    /// What is given for no goods.
    pub goodwill: Charge,
}

/// A credit memo's lines and amounts; `None` where it is no document of ours at all, with why.
pub(crate) fn credited(raw: &Raw, words: &Values, form: &Form) -> Result<Credited, Box<Problem>> {
    let document = parse(raw)?;
    let currency =
        currency(&document, words).ok_or_else(|| Box::new(problem("currency", "the document has no currency that we know")))?;
    let mut reader = Reader::new(&document, words, form, currency);
    let record = reader.order(raw);
    let values = if record.is_some() { reader.values() } else { Values::default() };
    let mut kept_back = reader.fee.clone();
    for amount in [&mut kept_back.net, &mut kept_back.tax] {
        *amount = amount.negated().map_err(|why| Box::new(problem("fee", why.to_string())))?;
    }
    let goodwill = reader.goodwill.clone();
    Ok(Credited { order: Decoded { record, problems: reader.problems, values, also: Vec::new() }, fee: kept_back, goodwill })
}

/// By the id that the gate resolved, else by the name there.
pub(crate) fn currency(document: &Value, words: &Values) -> Option<Currency> {
    let id = wire::id(document, "currency")?;
    let by_words = words.name_of("currency", &id).and_then(|code| Currency::from_code(&code));
    by_words
        .or_else(|| Currency::from_code(&wire::ref_name(document, "currency")?))
        .or_else(|| Currency::from_code(&wire::text(document, "currencySymbol")?))
}

struct Reader<'a> {
    document: &'a Value,
    words: &'a Values,
    form: &'a Form,
    currency: Currency,
    problems: Vec<Problem>,
    /// What stands there for what is kept back: below nought.
    fee: Charge,
    goodwill: Charge,
}

/// What a line of the document is to us.
enum Role {
    Goods,
    Discount,
    GiftCard,
    Handling,
    Shipping,
    Fee,
    Goodwill,
    /// Structure without money: subtotals, the end of a group.
    None,
}

impl<'a> Reader<'a> {
    fn new(document: &'a Value, words: &'a Values, form: &'a Form, currency: Currency) -> Self {
        let nothing = Charge::none(currency);
        Self { document, words, form, currency, problems: Vec::new(), fee: nothing.clone(), goodwill: nothing }
    }
}

impl Reader<'_> {
    fn zero(&self) -> Money {
        Money::zero(self.currency)
    }

    fn amount(&mut self, value: Decimal, path: &str) -> Money {
        Money::exact(value, self.currency).unwrap_or_else(|why| {
            self.problems.push(problem(path, why.to_string()).value(value.to_string()));
            self.zero()
        })
    }

    fn member(&mut self, holder: &Value, name: &str, path: &str) -> Option<Money> {
        let value = wire::decimal(holder, name);
        if value.is_none() && holder.get(name).is_some_and(|v| !v.is_null()) {
            self.problems.push(problem(path, format!("{name} is not an amount")));
        }
        value.map(|value| self.amount(value, path))
    }

    fn sum(&mut self, path: &str, amounts: impl IntoIterator<Item = Money>) -> Money {
        Money::sum(self.currency, amounts).unwrap_or_else(|why| {
            self.problems.push(problem(path, why.to_string()));
            self.zero()
        })
    }

    fn order(&mut self, raw: &Raw) -> Option<Order> {
        let document = self.document;
        let (mut lines, mut discounts) = (Vec::new(), Vec::new());
        let mut shipping_charge = Charge::none(self.currency);
        let mut handling_charge = Charge::none(self.currency);
        let mut parts = Vec::new();
        if document.get("item").is_none_or(|item| !item.get("items").is_some_and(Value::is_array)) {
            self.problems.push(problem("lines", "the document has no lines"));
            return None;
        }
        if document.get("item").is_some_and(|item| wire::truth(item, "hasMore")) {
            self.problems.push(problem("lines", "the document has more lines than one page shows"));
            return None;
        }
        let cancelled = change::is_cancelled(document);
        for (index, row) in wire::rows(document, "item").iter().enumerate() {
            let role = self.role(row);
            let path = format!("lines[{index}]");
            let (amount, taxes) = (self.line_amount(row, &path), self.line_taxes(row, &path));
            let tax = self.sum(&path, taxes.iter().map(|t| t.amount));
            match role {
                Role::None => continue,
                // A line that was closed before it left is no longer ordered.
                Role::Goods if !cancelled && wire::truth(row, "isClosed") && !left(row) => continue,
                Role::Goods => lines.push(self.line(row, index, amount, tax, taxes)?),
                Role::Discount | Role::GiftCard => discounts.push(Discount {
                    name: wire::text(row, "description").map(|t| wire::text_in(&t)).unwrap_or_default(),
                    tender: matches!(role, Role::GiftCard),
                    net: amount.negated().ok()?,
                    tax: tax.negated().ok()?,
                    rate: None,
                }),
                Role::Handling => add(&mut handling_charge, amount, tax, &taxes),
                Role::Shipping => add(&mut shipping_charge, amount, tax, &taxes),
                Role::Fee => add(&mut self.fee, amount, tax, &taxes),
                Role::Goodwill => add(&mut self.goodwill, amount, tax, &taxes),
            }
            parts.extend([amount, tax]);
        }
        self.header_parts(&mut shipping_charge, &mut handling_charge, &mut discounts, &mut parts);
        let gross = match self.member(document, "total", "totals.gross") {
            Some(total) => total,
            None => match self.member(document, "totalAfterTaxes", "totals.gross") {
                Some(total) => total,
                None => self.sum("totals.gross", parts),
            },
        };
        let tax = self.tax_total(&lines, &discounts, &shipping_charge, &handling_charge);
        let net = gross.minus(tax).ok()?;
        let placed_on = self.placed_on()?;
        let updated_at = moment_of(document, "lastModifiedDate").or(raw.version).unwrap_or(Timestamp::UNIX_EPOCH);
        Some(Order {
            number: self.number()?,
            id: raw.id.clone(),
            placed_at: moment_of(document, "createdDate").or_else(|| midnight(placed_on)).unwrap_or(updated_at),
            updated_at,
            placed_on,
            status: if cancelled { OrderStatus::Cancelled } else { OrderStatus::Confirmed },
            holds: Vec::new(),
            internal: false,
            currency: self.currency,
            tax_mode: TaxMode::Added,
            store: Named::default(),
            market: self.market(),
            customer: None,
            billing: address(document, "billingAddress"),
            shipping: address(document, "shippingAddress"),
            lines,
            discounts,
            shipping_method: wire::id(document, "shipMethod")
                .map(|id| Named { name: wire::ref_name(document, "shipMethod").unwrap_or_default(), id }),
            shipping_charge,
            handling_charge,
            payment_method: None,
            payments: Vec::new(),
            totals: Totals { net, tax, gross },
            comment: None,
            weight_grams: None,
            dispatch_by: None,
        })
    }

    /// Shipping, handling and a discount in the header, by whoever put them there.
    fn header_parts(
        &mut self,
        shipping: &mut Charge,
        handling: &mut Charge,
        discounts: &mut Vec<Discount>,
        parts: &mut Vec<Money>,
    ) {
        let (document, form) = (self.document, self.form);
        let taxes = self.taxes_of(|row| is_shipping_tax(document, row, &form.shipping_tax_reference), "shipping_charge.tax");
        let tax = self.sum("shipping_charge.tax", taxes.iter().map(|t| t.amount));
        let net = self.member(document, "shippingCost", "shipping_charge.net").unwrap_or_else(|| self.zero());
        add(shipping, net, tax, &taxes);
        parts.extend([net, tax]);
        if let Some(cost) = self.member(document, "handlingCost", "handling_charge.net") {
            add(handling, cost, self.zero(), &[]);
            parts.push(cost);
        }
        // Only the header's own discount: discount lines are counted already.
        if let Some(item) = wire::id(document, "discountItem")
            && let Some(off) = self.member(document, "discountTotal", "discounts").filter(|off| !off.is_zero())
            && let Ok(net) = off.negated()
        {
            let name = wire::ref_name(document, "discountItem").unwrap_or(item);
            discounts.push(Discount { name, tender: false, net, tax: self.zero(), rate: None });
            parts.push(off);
        }
    }

    fn tax_total(&mut self, lines: &[OrderLine], discounts: &[Discount], shipping: &Charge, handling: &Charge) -> Money {
        if let Some(total) = self.member(self.document, "taxTotal", "totals.tax") {
            return total;
        }
        let off: Vec<Money> = discounts.iter().filter_map(|d| d.tax.negated().ok()).collect();
        let parts = lines.iter().map(|l| l.tax).chain(off).chain([shipping.tax, handling.tax]);
        self.sum("totals.tax", parts.collect::<Vec<_>>())
    }

    /// What a line is: our own reference says it, else the mapped item, else the kind of item.
    fn role(&self, row: &Value) -> Role {
        let item = wire::id(row, "item").unwrap_or_default();
        let named = |table: &str| self.words.name_of(table, &item);
        let is_goods = named("item").is_some();
        let reference = wire::id(row, "taxDetailsReference").unwrap_or_default();
        let kind = wire::id(row, "itemType").unwrap_or_default();
        if !is_goods {
            let mapped = named("discount_item").or_else(|| named("charge_item")).unwrap_or_default();
            let numbered = |prefix: char| {
                reference.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()))
            };
            // One item may stand for discounts and for gift cards: then only the reference can tell.
            match mapped.as_str() {
                "return_fee" | "goodwill" if reference == plan::FEE => return Role::Fee,
                "return_fee" | "goodwill" if reference == plan::GOODWILL => return Role::Goodwill,
                // One item may stand for both: what is kept back is below nought.
                "return_fee" | "goodwill" => {
                    let kept_back = wire::decimal(row, "amount").is_some_and(|amount| amount.is_sign_negative());
                    return if kept_back { Role::Fee } else { Role::Goodwill };
                }
                "discount" | "gift_card" if numbered(plan::GIFT_CARD) => return Role::GiftCard,
                "discount" | "gift_card" if numbered(plan::DISCOUNT) => return Role::Discount,
                "gift_card" => return Role::GiftCard,
                "discount" => return Role::Discount,
                "handling" | "shipping" if reference == plan::HANDLING => return Role::Handling,
                "handling" | "shipping" if reference == self.form.shipping_tax_reference => {
                    return Role::Shipping;
                }
                "handling" => return Role::Handling,
                "shipping" => return Role::Shipping,
                _ => {}
            }
            if kind.eq_ignore_ascii_case("discount") {
                return Role::Discount;
            }
        }
        match kind.as_str() {
            "EndGroup" | "Subtotal" | "Description" => Role::None,
            _ => Role::Goods,
        }
    }

    fn line_amount(&mut self, row: &Value, path: &str) -> Money {
        if let Some(amount) = self.member(row, "amount", &format!("{path}.net")) {
            return amount;
        }
        let quantity = wire::decimal(row, "quantity").unwrap_or(Decimal::ONE);
        let product = wire::decimal(row, "rate").and_then(|rate| rate.checked_mul(quantity));
        match product {
            Some(product) => self.amount(product, &format!("{path}.net")),
            None => self.zero(),
        }
    }

    fn line_taxes(&mut self, row: &Value, path: &str) -> Vec<TaxLine> {
        if let Some(reference) = wire::id(row, "taxDetailsReference") {
            let path = format!("{path}.taxes");
            return self.taxes_of(|tax| wire::id(tax, "taxDetailsReference").as_ref() == Some(&reference), &path);
        }
        // Legacy tax: one rate and, where the account shows it, one amount.
        let amount = match self.member(row, "tax1Amt", &format!("{path}.tax")) {
            Some(amount) => amount,
            None => return Vec::new(),
        };
        let rate = wire::decimal(row, "taxRate1").unwrap_or_default();
        vec![TaxLine { name: wire::ref_name(row, "taxCode").unwrap_or_default(), rate, amount }]
    }

    fn taxes_of(&mut self, wanted: impl Fn(&Value) -> bool, path: &str) -> Vec<TaxLine> {
        let document = self.document;
        let mut taxes = Vec::new();
        for row in wire::rows(document, "taxDetails").iter().filter(|row| wanted(row)) {
            let amount = self.member(row, "taxAmount", path).unwrap_or_else(|| self.zero());
            let name = wire::ref_name(row, "taxCode").or_else(|| wire::id(row, "taxCode")).unwrap_or_default();
            taxes.push(TaxLine { name, rate: wire::decimal(row, "taxRate").unwrap_or_default(), amount });
        }
        taxes
    }

    fn line(&mut self, row: &Value, index: usize, net: Money, tax: Money, taxes: Vec<TaxLine>) -> Option<OrderLine> {
        let path = format!("lines[{index}]");
        let item = wire::id(row, "item").unwrap_or_default();
        let sku =
            self.words.name_of("item", &item).or_else(|| wire::ref_name(row, "item")).unwrap_or_else(|| format!("item {item}"));
        let quantity = wire::decimal(row, "quantity").unwrap_or(Decimal::ONE).normalize();
        let whole = u32::try_from(quantity).ok().filter(|whole| Decimal::from(*whole) == quantity);
        let Some(units) = whole else {
            self.problems.push(
                problem(&format!("{path}.quantity"), "the quantity is not a whole number of units").value(quantity.to_string()),
            );
            return None;
        };
        let reference = wire::id(row, "taxDetailsReference");
        let ours = reference.as_deref().and_then(|r| r.strip_prefix(plan::LINE)).map(str::to_owned);
        let id = ours.or_else(|| wire::id(row, "line")).unwrap_or_else(|| index.to_string());
        let unit_net = wire::decimal(row, "rate").or_else(|| net.decimal().checked_div(quantity)).unwrap_or_default();
        Some(OrderLine {
            id: ExternalId::new(id),
            kind: LineKind::Product,
            bundle: None,
            recipe: None,
            sku: Sku::new(sku),
            name: wire::text(row, "description").map(|t| wire::text_in(&t)).unwrap_or_default(),
            quantity: units,
            cancelled: 0,
            unit_net,
            net,
            tax,
            taxes,
        })
    }

    fn placed_on(&mut self) -> Option<Date> {
        let text = wire::text(self.document, "tranDate").unwrap_or_default();
        // A pure date; should a time follow, the day is what counts.
        let date = text.get(..10).unwrap_or(&text).parse::<Date>().ok();
        if date.is_none() {
            self.problems.push(problem("placed_on", "tranDate is not a date").value(text));
        }
        date
    }

    fn number(&mut self) -> Option<RecordKey> {
        let external = wire::text(self.document, "externalId");
        let ours = external.as_deref().and_then(|id| wire::key_of_external_id(self.form.document.prefix(), id));
        let number = ours.or_else(|| wire::text(self.document, "otherRefNum"));
        if number.is_none() {
            self.problems.push(problem("number", "the document carries neither our external id nor our order number"));
        }
        number.map(RecordKey::new)
    }

    fn market(&self) -> Named {
        let of = |table: &str| {
            let id = self.words.name_of(table, &wire::id(self.document, table)?)?;
            Some(Named { id, name: String::new() })
        };
        of("subsidiary").or_else(|| of("location")).unwrap_or_default()
    }

    /// What stands there for each value of the head that the gate resolved.
    fn values(&self) -> Values {
        let mut values = Values::default();
        let entity = if self.words.iter().any(|(table, ..)| table == "customer") { "customer" } else { "guest_customer" };
        for (table, member) in [
            ("subsidiary", "subsidiary"),
            ("location", "location"),
            ("shipping_item", "shipMethod"),
            ("payment_method", "paymentMethod"),
            (entity, "entity"),
        ] {
            for (_, key, _) in self.words.iter().filter(|(name, ..)| *name == table) {
                values.set(table, key, wire::id(self.document, member).unwrap_or_else(|| NOTHING.to_owned()));
            }
        }
        values
    }
}

/// The tax of the shipping charge: under our reference, or marked as such and under no line's.
fn is_shipping_tax(document: &Value, row: &Value, ours: &str) -> bool {
    let reference = wire::id(row, "taxDetailsReference").unwrap_or_default();
    let of_a_line =
        wire::rows(document, "item").iter().any(|line| wire::id(line, "taxDetailsReference").as_ref() == Some(&reference));
    let marked = |name: &str| wire::id(row, name).is_some_and(|text| text.to_lowercase().starts_with("ship"));
    !of_a_line && (reference == ours || marked("lineType") || marked("lineName"))
}

fn left(row: &Value) -> bool {
    ["quantityFulfilled", "quantityBilled"].iter().any(|name| wire::decimal(row, name).is_some_and(|n| n > Decimal::ZERO))
}

fn add(charge: &mut Charge, net: Money, tax: Money, taxes: &[TaxLine]) {
    charge.net = charge.net.plus(net).unwrap_or(charge.net);
    charge.tax = charge.tax.plus(tax).unwrap_or(charge.tax);
    if let [only] = taxes {
        charge.rate = Some(only.rate);
    }
}

pub(crate) fn moment_of(document: &Value, name: &str) -> Option<Timestamp> {
    moment::with_offset(&wire::text(document, name)?).ok()
}

fn midnight(date: Date) -> Option<Timestamp> {
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn address(document: &Value, name: &str) -> Option<Address> {
    let there = document.get(name).filter(|a| a.as_object().is_some_and(|a| a.keys().any(|k| k != "links")))?;
    let text = |name: &str| wire::id(there, name).map(|t| wire::text_in(&t));
    Some(Address {
        first_name: None,
        last_name: text("addressee"),
        company: None,
        attention: text("attention"),
        line1: text("addr1"),
        line2: text("addr2"),
        postcode: text("zip"),
        city: text("city"),
        state: text("state"),
        country: text("country"),
        email: None,
        phone: text("addrPhone"),
        vat_number: None,
    })
}

/// A customer as ours.
pub(crate) fn customer(raw: &Raw, words: &Values, form: &Form) -> Decoded<Customer> {
    let document = match parse(raw) {
        Ok(document) => document,
        Err(problem) => return unreadable(vec![*problem]),
    };
    let external = wire::text(&document, "externalId");
    let Some(key) = external.as_deref().and_then(|id| wire::key_of_external_id(CUSTOMER_PREFIX, id)) else {
        return unreadable(vec![problem("key", "the customer does not carry our external id")]);
    };
    let Some(currency) = currency(&document, words) else {
        return unreadable(vec![problem("currency", "the customer has no currency that we know")]);
    };
    let text = |name: &str| wire::text(&document, name).map(|t| wire::text_in(&t));
    let mut values = Values::default();
    if form.one_world {
        for (table, key, _) in words.iter().filter(|(table, ..)| *table == "subsidiary") {
            values.set(table, key, wire::id(&document, table).unwrap_or_else(|| NOTHING.to_owned()));
        }
    }
    let market = words
        .iter()
        .find(|(table, ..)| *table == "subsidiary")
        .and_then(|(_, key, _)| key.strip_prefix("market="))
        .unwrap_or_default();
    let (mut first_name, mut last_name) = (text("firstName"), text("lastName"));
    if first_name.is_none() && last_name.is_some() {
        // Who has one name is filed under the last one; which of the two ours was cannot be told.
        first_name = last_name.clone();
    } else if last_name.is_none() {
        last_name = first_name.clone();
    }
    let record = Customer {
        id: ExternalId::new(key.rsplit_once('-').map_or(key.as_str(), |(id, _)| id)),
        key: RecordKey::new(key.clone()),
        email: text("email"),
        first_name,
        last_name,
        company: text("companyName"),
        market: Named { id: market.to_owned(), name: String::new() },
        store: Named::default(),
        currency,
    };
    Decoded { record: Some(record), problems: Vec::new(), values, also: Vec::new() }
}
