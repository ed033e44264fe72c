//! Rows of one document → its entry. Pure, and it never fails: what cannot be read is a problem.
//!
//! Signs differ by type and are not documented for each (fact sheet 6.1: header positive, lines of sales documents negative). So a
//! document's lines are turned until they come to more than nought; what then is below nought is a reduction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use rust_decimal::Decimal;
use selvedge_model::{
    Currency, ExternalId, Kind, Money, Problem, RecordKey, Sku,
    records::{Named, TaxMode, Totals},
    statement::{Amounts, Entry, EntryLine, Facet, Stage, one_address},
};

use super::super::{suiteql::Row, wire};

/// What the account calls its shipping items, by id.
pub(super) type ShippingItems = BTreeMap<String, String>;

/// What was read of one document.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub head: Row,
    pub lines: Vec<Row>,
    /// Its taxes line by line; none where the account does not tell them.
    pub taxes: Option<Vec<Row>>,
}

/// How documents of one kind are read.
pub(super) struct Reading<'a> {
    pub kind: Kind,
    pub zone: &'a TimeZone,
    pub shipping_items: &'a ShippingItems,
    /// (kit, part).
    pub members: &'a Members,
    /// What our external ids of this kind begin with.
    pub prefix: &'a str,
}

fn problem(path: &str, message: impl Into<String>, value: Option<&str>) -> Box<Problem> {
    let remedy = "Look at the document in NetSuite; if it reads well, update the connector. Then read the statement again.";
    let problem = Problem::new("statement.unread", path, message, remedy);
    Box::new(match value {
        Some(value) => problem.value(value),
        None => problem,
    })
}

fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn is(row: &Row, name: &str) -> bool {
    text(row, name) == Some("T")
}

/// A number, also in scientific notation.
fn decimal(row: &Row, name: &str) -> Result<Option<Decimal>, Box<Problem>> {
    let Some(text) = text(row, name) else { return Ok(None) };
    let read = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text));
    read.map(Some).map_err(|_| problem(name, format!("{name} is not a number"), Some(text)))
}

/// What the clock of the session showed.
pub(super) fn moment(row: &Row, name: &str, zone: &TimeZone) -> Option<Timestamp> {
    let local = text(row, name)?.parse::<DateTime>().ok()?;
    zone.to_timestamp(local).ok()
}

/// What a line is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Head,
    Tax,
    Goods,
    Discount,
    Shipping,
    /// Handling and whatever else is charged.
    Charge,
    /// Structure without money of its own.
    Structure,
}

/// A line that was sorted.
struct Part<'a> {
    row: &'a Row,
    role: Role,
    amount: Decimal,
    tax: Decimal,
    rate: Option<Decimal>,
}

/// What one kit is made of.
pub(super) type Members = BTreeMap<String, Vec<Member>>;

/// One part of a kit.
#[derive(Clone, Debug)]
pub(super) struct Member {
    item: String,
    sku: Sku,
    units: i64,
}

impl Member {
    /// Out of a row of what kits are made of.
    pub fn read(row: &Row) -> Option<Self> {
        let units = decimal(row, "quantity").ok().flatten().unwrap_or(Decimal::ONE);
        Some(Self {
            item: row.get("item")?.clone(),
            sku: Sku::new(row.get("itemid")?),
            units: i64::try_from(units.trunc()).ok()?,
        })
    }

    fn line(&self, kits: i64) -> EntryLine {
        let quantity = self.units.saturating_mul(kits);
        EntryLine { sku: self.sku.clone(), quantity, unit: None, net: None, tax: None, rate: None, component: true }
    }
}

/// The taxes of a document, by line.
#[derive(Default)]
struct Taxes {
    by_line: BTreeMap<String, (Decimal, BTreeSet<Decimal>)>,
    sum: Decimal,
}

impl Taxes {
    /// `on_lines` is what the document's own tax lines come to, where it has any: details have their sign, and without them a sale's tax
    /// is above nought.
    fn read(rows: &[Row], on_lines: Option<Decimal>) -> Result<Self, Box<Problem>> {
        let mut taxes = Self::default();
        for row in rows {
            let amount = decimal(row, "taxamount")?.unwrap_or_default();
            let line = taxes.by_line.entry(text(row, "line").unwrap_or_default().to_owned()).or_default();
            line.0 = add(line.0, amount)?;
            taxes.sum = add(taxes.sum, amount)?;
            // A share of one; an account that tells percents tells more than one.
            for rate in [decimal(row, "lowest")?, decimal(row, "highest")?].into_iter().flatten() {
                line.1.insert(if rate > Decimal::ONE { rate.normalize() } else { percent(rate).normalize() });
            }
        }
        let turned = match on_lines.filter(|sum| !sum.is_zero()) {
            Some(sum) => sum.is_sign_negative() != taxes.sum.is_sign_negative(),
            None => taxes.sum.is_sign_negative(),
        };
        if turned {
            taxes.by_line.values_mut().for_each(|(amount, _)| *amount = -*amount);
            taxes.sum = -taxes.sum;
        }
        Ok(taxes)
    }

    fn of(&self, line: &str) -> (Decimal, Option<Decimal>) {
        match self.by_line.get(line) {
            Some((amount, rates)) if rates.len() == 1 => (*amount, rates.first().copied()),
            Some((amount, _)) => (*amount, None),
            None => (Decimal::ZERO, None),
        }
    }
}

fn percent(rate: Decimal) -> Decimal {
    rate.checked_mul(Decimal::ONE_HUNDRED).unwrap_or(rate)
}

fn add(one: Decimal, other: Decimal) -> Result<Decimal, Box<Problem>> {
    one.checked_add(other).ok_or_else(|| problem("amount", "the amounts are too large to add up", None))
}

fn role(row: &Row, shipping_items: &ShippingItems) -> Role {
    let item = text(row, "item");
    match text(row, "itemtype") {
        _ if is(row, "mainline") => Role::Head,
        _ if is(row, "taxline") => Role::Tax,
        Some("Discount" | "Markup") => Role::Discount,
        Some("OthCharge") => Role::Charge,
        Some("ShipItem") => Role::Shipping,
        Some("Subtotal" | "Description" | "EndGroup" | "Group" | "Payment") => Role::Structure,
        Some(_) => Role::Goods,
        None if item.is_some_and(|item| shipping_items.contains_key(item)) => Role::Shipping,
        // A shipping line of an account that hides its shipping items counts nothing.
        None if item.is_some() && text(row, "quantity").is_some() => Role::Goods,
        None if item.is_some() => Role::Shipping,
        None => Role::Structure,
    }
}

impl Reading<'_> {
    fn parts<'d>(&self, document: &'d Document, taxes: &Taxes) -> Result<Vec<Part<'d>>, Box<Problem>> {
        let mut parts = Vec::new();
        let mut sum = Decimal::ZERO;
        for row in &document.lines {
            let role = role(row, self.shipping_items);
            let amount = decimal(row, "foreignamount")?.unwrap_or_default();
            let (tax, rate) = taxes.of(text(row, "id").unwrap_or_default());
            if !matches!(role, Role::Head | Role::Structure) {
                sum = add(sum, amount)?;
            }
            parts.push(Part { row, role, amount, tax, rate });
        }
        // All of it nought: as on sales documents.
        if !sum.is_sign_positive() || sum.is_zero() {
            parts.iter_mut().for_each(|part| part.amount = -part.amount);
        }
        Ok(parts)
    }

    /// The entry of a document; `None` where its time lies elsewhere is the caller's to decide.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn entry(&self, document: &Document, order: Option<RecordKey>) -> Result<Entry, Box<Problem>> {
        let head = &document.head;
        let id = text(head, "id").ok_or_else(|| problem("id", "the document has no id", None))?;
        let at = moment(head, "cd", self.zone)
            .ok_or_else(|| problem("createddate", "when the document was made cannot be read", text(head, "cd")))?;
        let key = text(head, "externalid").and_then(|external| wire::key_of_external_id(self.prefix, external));
        let own_order = self.kind == Kind::Order && key.is_some();
        let key = if self.kind == Kind::Order { order.clone() } else { key.map(RecordKey::new) };
        let currency = text(head, "symbol").and_then(Currency::from_code);
        let named = |id: Option<&str>, name: Option<&str>| {
            id.map(|id| Named { id: id.to_owned(), name: name.unwrap_or_default().to_owned() })
        };
        let country = text(head, "country").map(str::to_ascii_uppercase);
        let entry = Entry {
            number: text(head, "tranid").filter(|number| *number != id).map(str::to_owned),
            key,
            order,
            on: text(head, "td").and_then(|day| day.get(..10).unwrap_or(day).parse::<Date>().ok()),
            updated_at: moment(head, "lm", self.zone),
            // A guest's document hangs on a customer of all guests; its own address says who it was.
            buyer: text(head, "mail").or_else(|| text(head, "email")).map(str::to_lowercase),
            address: one_address(text(head, "addr1"), text(head, "zip"), text(head, "city")),
            // Of a document that carries our key beside it, the number that the buyer goes by is one more thing to agree on.
            reference: text(head, if own_order { "otherrefnum" } else { "reference" }).map(wire::text_in),
            ..Entry::bare(self.kind, ExternalId::new(id), at)
        }
        .with(Facet::Entity, named(text(head, "subsidiary"), text(head, "subsidiary_name")))
        .with(Facet::Country, named(country.as_deref(), country.as_deref()));
        let bare = self.parts(document, &Taxes::default())?;
        let tax_parts = || bare.iter().filter(|part| part.role == Role::Tax);
        let on_lines = tax_parts().try_fold(Decimal::ZERO, |sum, part| add(sum, part.amount))?;
        let on_lines = tax_parts().next().map(|_| on_lines);
        let taxes = Taxes::read(document.taxes.as_deref().unwrap_or_default(), on_lines)?;
        let parts = self.parts(document, &taxes)?;
        let places: BTreeSet<&str> = parts.iter().filter_map(|part| text(part.row, "location")).collect();
        let place = parts.iter().find(|part| text(part.row, "location").is_some()).filter(|_| places.len() == 1);
        let entry =
            entry.with(Facet::Place, place.and_then(|part| named(text(part.row, "location"), text(part.row, "location_name"))));
        match self.kind {
            Kind::Shipment => self.shipment(entry, head, &parts),
            Kind::Return => self.returned(entry, head, &parts),
            Kind::Refund => self.refund(entry, head, currency),
            _ => {
                let told = document.taxes.is_some();
                self.priced(entry, head, &parts, currency, told.then_some(&taxes))
            }
        }
    }

    fn priced(
        &self,
        entry: Entry,
        head: &Row,
        parts: &[Part<'_>],
        currency: Option<Currency>,
        taxes: Option<&Taxes>,
    ) -> Result<Entry, Box<Problem>> {
        let currency =
            currency.ok_or_else(|| problem("currency", "the document has no currency that we know", text(head, "symbol")))?;
        let money = |value: Decimal, path: &str| {
            Money::exact(value, currency).map_err(|why| problem(path, why.to_string(), Some(&value.to_string())))
        };
        let sum = |role: Role, of: fn(&Part<'_>) -> Decimal| {
            parts.iter().filter(|part| part.role == role).try_fold(Decimal::ZERO, |sum, part| add(sum, of(part)))
        };
        let gross = decimal(head, "foreigntotal")?.unwrap_or_default().abs();
        let on_lines = sum(Role::Tax, |part| part.amount)?;
        let has_tax_lines = parts.iter().any(|part| part.role == Role::Tax);
        let tax = if has_tax_lines { on_lines } else { taxes.map_or(Decimal::ZERO, |taxes| taxes.sum) };
        // Where a document has tax, and none of it by line, the account does not tell it by line.
        let by_line = taxes.filter(|taxes| !taxes.by_line.is_empty() || tax.is_zero());
        let goods: Vec<&Part<'_>> = parts.iter().filter(|part| part.role == Role::Goods).collect();
        let under_way = goods.iter().any(|part| came(part.row, "quantityshiprecv") || came(part.row, "quantitybilled"));
        let all_closed = !goods.is_empty() && goods.iter().all(|part| is(part.row, "isclosed"));
        let letter = text(head, "status").unwrap_or_default();
        let stage = match (self.kind, letter) {
            (_, "V") => Stage::Void,
            (Kind::Order, "C") if self.prefix == "so_" => Stage::Void,
            (Kind::Order, "H") if self.prefix == "so_" && !under_way => Stage::Void,
            (Kind::Order, _) if self.prefix == "so_" && all_closed && !under_way => Stage::Void,
            (Kind::Order, "A") if self.prefix == "so_" => Stage::Pending,
            _ => Stage::Standing,
        };
        let mut lines = Vec::new();
        for part in goods {
            // A line that was closed before it left is no longer ordered.
            let called_off = stage != Stage::Void
                && is(part.row, "isclosed")
                && !came(part.row, "quantityshiprecv")
                && !came(part.row, "quantitybilled");
            if called_off {
                continue;
            }
            lines.push(EntryLine {
                unit: decimal(part.row, "rate")?.map(|rate| rate.abs()).filter(|rate| !rate.is_zero()),
                net: Some(money(part.amount, "lines.net")?),
                tax: by_line.map(|_| money(part.tax, "lines.tax")).transpose()?,
                rate: by_line.and(part.rate),
                ..units(part.row, "quantity")?
            });
        }
        let beside = |role: Role, sign: Decimal, path: &str| -> Result<Option<Amounts>, Box<Problem>> {
            let mut rates: Vec<Option<Decimal>> = parts.iter().filter(|part| part.role == role).map(|part| part.rate).collect();
            if rates.is_empty() {
                return Ok(None);
            }
            rates.dedup();
            let times = |value: Decimal| money(value.checked_mul(sign).unwrap_or(value), path);
            let tax = if by_line.is_some() { sum(role, |part| part.tax)? } else { Decimal::ZERO };
            let rate = if let [rate] = rates.as_slice() { *rate } else { None };
            Ok(Some(Amounts { net: times(sum(role, |part| part.amount)?)?, tax: times(tax)?, rate }))
        };
        let line = parts.iter().find(|part| part.role == Role::Shipping).and_then(|part| text(part.row, "item"));
        // Shipping that costs nothing leaves no line.
        let method = line.or_else(|| text(head, "shipmethod"));
        let method = method.map(|id| Named { id: id.to_owned(), name: self.shipping_items.get(id).cloned().unwrap_or_default() });
        let (gross, tax) = (money(gross, "foreigntotal")?, money(tax, "tax")?);
        let net = gross.minus(tax).map_err(|why| problem("net", why.to_string(), None))?;
        Ok(Entry {
            stage,
            currency: Some(currency),
            tax_mode: Some(TaxMode::Added),
            lines,
            discount: beside(Role::Discount, Decimal::NEGATIVE_ONE, "discount")?,
            shipping: beside(Role::Shipping, Decimal::ONE, "shipping")?,
            handling: beside(Role::Charge, Decimal::ONE, "handling")?,
            totals: Some(Totals { net, tax, gross }),
            // A cash sale is its own payment; whether an order was paid stands in other documents.
            captured: (self.kind == Kind::Order && self.prefix != "so_" && stage == Stage::Standing).then_some(gross),
            ..entry
        }
        .with(Facet::Method, method))
    }

    fn refund(&self, entry: Entry, head: &Row, currency: Option<Currency>) -> Result<Entry, Box<Problem>> {
        let currency =
            currency.ok_or_else(|| problem("currency", "the document has no currency that we know", text(head, "symbol")))?;
        let amount = decimal(head, "foreigntotal")?.unwrap_or_default().abs();
        let gross =
            Money::exact(amount, currency).map_err(|why| problem("foreigntotal", why.to_string(), Some(&amount.to_string())))?;
        let totals = Totals { net: gross, tax: Money::zero(currency), gross };
        let stage = if text(head, "status") == Some("V") { Stage::Void } else { Stage::Standing };
        Ok(Entry { stage, currency: Some(currency), totals: Some(totals), ..entry })
    }

    fn shipment(&self, entry: Entry, head: &Row, parts: &[Part<'_>]) -> Result<Entry, Box<Problem>> {
        let stage = match text(head, "status") {
            Some("A" | "B") => Stage::Pending,
            Some("C") => Stage::Standing,
            other => return Err(problem("status", "the status is none that we know", Some(other.unwrap_or("nothing")))),
        };
        let goods: Vec<&Part<'_>> = parts.iter().filter(|part| part.role == Role::Goods).collect();
        let item = |part: &Part<'_>| text(part.row, "item").unwrap_or_default().to_owned();
        let mut lines = Vec::new();
        let mut kit: &[Member] = &[];
        for (at, part) in goods.iter().enumerate() {
            // The parts of a kit follow it.
            let component = kit.iter().any(|member| member.item == item(part));
            if !component {
                kit = self.members.get(&item(part)).map_or(&[], Vec::as_slice);
            }
            let line = EntryLine { component, ..units(part.row, "quantity")? };
            if line.quantity == 0 {
                continue;
            }
            let quantity = line.quantity;
            lines.push(line);
            // Where the account shows a kit alone, what was in it is what it is made of.
            let shown = goods.get(at + 1).is_some_and(|next| kit.iter().any(|member| member.item == item(next)));
            if !component && !shown {
                lines.extend(kit.iter().map(|member| member.line(quantity)));
            }
        }
        Ok(Entry { stage, lines, ..entry })
    }

    fn returned(&self, entry: Entry, head: &Row, parts: &[Part<'_>]) -> Result<Entry, Box<Problem>> {
        let goods: Vec<&Part<'_>> = parts.iter().filter(|part| part.role == Role::Goods).collect();
        let any = goods.iter().any(|part| came(part.row, "quantityshiprecv"));
        let all_closed = !goods.is_empty() && goods.iter().all(|part| is(part.row, "isclosed"));
        let called_off = all_closed || matches!(text(head, "status"), Some("C" | "H"));
        let stage = match (any, called_off) {
            (true, _) => Stage::Standing,
            (false, true) => Stage::Void,
            (false, false) => Stage::Pending,
        };
        let mut lines = Vec::new();
        for part in goods {
            // What came counts; before anything came, what was announced.
            let line = units(part.row, if any { "quantityshiprecv" } else { "quantity" })?;
            if line.quantity > 0 && (any || stage == Stage::Void || !is(part.row, "isclosed")) {
                lines.push(line);
            }
        }
        Ok(Entry { stage, lines, ..entry })
    }
}

fn came(row: &Row, name: &str) -> bool {
    matches!(decimal(row, name), Ok(Some(units)) if !units.is_zero())
}

/// Item and units of a line.
fn units(row: &Row, name: &str) -> Result<EntryLine, Box<Problem>> {
    let item = text(row, "item").unwrap_or_default();
    // Exactly as it is written there.
    let sku = row.get("itemid").cloned().unwrap_or_else(|| format!("item {item}"));
    let otherwise = if name == "quantity" { Decimal::ONE } else { Decimal::ZERO };
    let units = decimal(row, name)?.unwrap_or(otherwise).abs().normalize();
    let whole = i64::try_from(units).ok().filter(|whole| Decimal::from(*whole) == units);
    let quantity = whole.ok_or_else(|| {
        problem("lines.quantity", format!("{sku}: the quantity is not a whole number of units"), Some(&units.to_string()))
    })?;
    Ok(EntryLine { sku: Sku::new(sku), quantity, unit: None, net: None, tax: None, rate: None, component: false })
}

#[cfg(test)]
mod tests;
