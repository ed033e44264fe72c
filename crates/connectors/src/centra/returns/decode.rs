//! A return of Centra → goods, money and transactions. Pure, and it never fails: what cannot be read is a problem with the
//! place, the value and the remedy.
//!
//! What the papers leave open is read both ways: the fee (`returnCost`) and reductions are taken without sign, and amounts
//! are read as those of orders are. A line of a return carries its own money, also that of an item of a bundle, whose line
//! in the order carries none.

use jiff::Timestamp;
use selvedge_connector::Decoded;
use selvedge_model::{
    CreditNote, Currency, ExternalId, Money, Problem, RecordKey, Return,
    records::{
        Charge, CreditKind, CreditLine, CreditReason, CreditStatus, Disposition, LineKind, Named, OrderLine, ReturnLine,
        ReturnStatus, SoldPart, Totals,
    },
};
use serde_json::Value;

use super::{
    super::{
        decode::{self, Around, At, CHECK, MEND, Notes, Taxes},
        wire::id_text,
    },
    Form,
    memory::{market_of, order_of},
    refunds::{Of, Transaction, issued_at, of_return, refund},
};

/// The return in these bytes with its credit note and its refunds; `read_at`: as of when.
pub fn decode_return(body: &[u8], read_at: Option<Timestamp>, form: &Form) -> Decoded<Return> {
    let mut notes = Notes::of("return");
    let Some(document) = decode::document(body, &mut notes) else { return Decoded::of(None, notes.found) };
    let at = At::top(&document);
    let Some(head) = head(&at, read_at, form, &mut notes) else { return Decoded::of(None, notes.found) };
    if document["deleted"] == true {
        let also = currency_alone(&at).map(|currency| void(&head, currency, form).into()).into_iter().collect();
        return Decoded { also, ..Decoded::of(Some(goods(&at, &head, form, &mut notes)), notes.found) };
    }
    let returned = goods(&at, &head, form, &mut notes);
    let mut also = Vec::new();
    if let Some(currency) = decode::currency(&at, &mut notes) {
        let paid = of_return(&at.get("refundPaymentHistory"), currency, form, &mut notes);
        also.extend(credit(&at, &head, currency, &paid, form, &mut notes).map(Into::into));
        let of = Of { order: &head.order, market: head.market.as_ref(), credit_note: &head.key };
        also.extend(paid.iter().map(|one| refund(one, &of, form).into()));
    }
    Decoded { also, ..Decoded::of(Some(returned), notes.found) }
}

/// What a return and everything about it have in common.
struct Head {
    key: RecordKey,
    id: String,
    order: String,
    market: Option<Named>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

fn head(at: &At<'_>, read_at: Option<Timestamp>, form: &Form, notes: &mut Notes) -> Option<Head> {
    let id = notes.id(&at.get("id"));
    let Some(order) = order_of(at.value) else {
        let deleted = at.value["deleted"] == true;
        let shown = id.clone().unwrap_or_default();
        let (message, remedy) = if deleted {
            (
                format!("return {shown} was deleted in the shop, and nobody here remembers of which order it was"),
                "If it had been brought anywhere, take it back there by hand (see the story of the order); then dismiss this.",
            )
        } else {
            (format!("return {shown} does not say of which order it is"), CHECK)
        };
        notes.found.push(Problem::new("decode.return.order", "order.number", message, remedy).value(shown));
        return None;
    };
    let market = market_of(at.value);
    let market =
        id_text(&market["id"]).map(|id| Named { name: market["name"].as_str().map_or_else(|| id.clone(), str::to_owned), id });
    let created = at.get("createdAt");
    if created.is_null() {
        notes.found.push(Problem::new("decode.return.date", "createdAt", "the return does not say when it was made", CHECK));
    }
    let created_at = notes.instant(&created, &form.zones);
    let (id, created_at) = (id?, created_at?);
    Some(Head { key: form.key(&order, &id), id, order, market, created_at, updated_at: read_at.unwrap_or(created_at) })
}

fn goods(at: &At<'_>, head: &Head, form: &Form, notes: &mut Notes) -> Return {
    let order = RecordKey::new(&head.order);
    let deleted = at.value["deleted"] == true;
    let status = if deleted { ReturnStatus::Cancelled } else { status(&at.get("returnStatus"), notes) };
    let warehouse = at.get("returnWarehouse");
    let warehouse = id_text(warehouse.get("id").value)
        .map(|id| Named { name: notes.text(&warehouse.get("name")).unwrap_or_else(|| id.clone()), id });
    let quarantined = warehouse.as_ref().is_some_and(|place| {
        form.quarantine_warehouses.iter().any(|one| *one == place.id || one.eq_ignore_ascii_case(&place.name))
    });
    let disposition = match (deleted || notes.flag(&at.get("returnedToStock")).unwrap_or(false), quarantined) {
        (true, true) => Disposition::Quarantine,
        (true, false) => Disposition::Restock,
        (false, _) => Disposition::WriteOff,
    };
    // External ids are per integration: one that begins as our keys do is the key of the warehouse's return that we made it for.
    let ours = |key: &String| key.strip_prefix(head.order.as_str()).is_some_and(|rest| rest.starts_with('.'));
    let lines = if deleted { Vec::new() } else { lines(&at.get("lines"), &order, notes) };
    Return {
        key: head.key.clone(),
        id: ExternalId::new(&head.id),
        counterpart: notes.text(&at.get("externalId")).filter(ours).map(RecordKey::new),
        shipment: None,
        status,
        created_at: head.created_at,
        received_at: None,
        updated_at: head.updated_at,
        warehouse,
        disposition,
        reason: None,
        comment: notes.text(&at.get("comment")),
        lines,
        order: Some(order),
    }
}

fn status(at: &At<'_>, notes: &mut Notes) -> ReturnStatus {
    match at.value.as_str() {
        Some("PENDING") => ReturnStatus::Announced,
        Some("COMPLETED") => ReturnStatus::Received,
        _ => {
            let value = decode::shown(at.value);
            let message = format!("{value:?} is no status of a return that we know");
            let problem = Problem::new("decode.return.status", "returnStatus", message, CHECK);
            notes.found.push(problem.value(value.clone()).cause(value.chars().take(40).collect::<String>()));
            ReturnStatus::Announced
        }
    }
}

fn lines(at: &At<'_>, order: &RecordKey, notes: &mut Notes) -> Vec<ReturnLine> {
    if !at.value.is_array() {
        notes.odd(at, "a list");
    }
    let mut lines = Vec::new();
    for at in notes.list(at) {
        let of = at.get("orderLine");
        let kind = decode::line_kind(&of.get("__typename"), notes);
        let line = ReturnLine {
            order: Some(order.clone()),
            order_line: notes.id(&of.get("id")).map(ExternalId::new),
            sku: decode::sku(&of, kind, notes),
            quantity: decode::count(&at.get("quantity"), notes),
            condition: None,
            reason: None,
        };
        if line.quantity > 0 {
            lines.push(line);
        }
    }
    lines
}

/// The currency of a tombstone, if it tells one.
fn currency_alone(at: &At<'_>) -> Option<Currency> {
    let code = at.value["grandGross"]["currency"]["code"].as_str()?;
    Currency::from_code(code).filter(|currency| currency.minor_units().is_some())
}

fn empty(head: &Head, currency: Currency, form: &Form) -> CreditNote {
    let zero = Money::zero(currency);
    let none = || Charge::none(currency);
    CreditNote {
        key: head.key.clone(),
        id: ExternalId::new(&head.id),
        number: format!("{}-R{}", head.order, head.id),
        order: Some(RecordKey::new(&head.order)),
        of_return: Some(head.key.clone()),
        goods: None,
        reason: CreditReason::Return,
        status: CreditStatus::Open,
        issued_at: head.created_at,
        issued_on: day(head, head.created_at, form),
        updated_at: head.updated_at,
        buyer: None,
        currency,
        lines: Vec::new(),
        discounts: Vec::new(),
        shipping: none(),
        handling: none(),
        fee: none(),
        goodwill: none(),
        totals: Totals { net: zero, tax: zero, gross: zero },
        comment: None,
        sale: None,
    }
}

fn void(head: &Head, currency: Currency, form: &Form) -> CreditNote {
    CreditNote { status: CreditStatus::Void, ..empty(head, currency, form) }
}

fn day(head: &Head, at: Timestamp, form: &Form) -> jiff::civil::Date {
    let market = head.market.as_ref().map_or("", |market| market.id.as_str());
    at.to_zoned(form.zones.books_of(market).clone()).date()
}

fn credit(
    at: &At<'_>,
    head: &Head,
    currency: Currency,
    paid: &[Transaction],
    form: &Form,
    notes: &mut Notes,
) -> Option<CreditNote> {
    let gross = notes.exact(&at.get("grandGross"), currency);
    let net = notes.derived(&at.get("grandNet"), currency);
    let (gross, net) = (gross?, net?);
    let totals = Totals { net, tax: gross.minus(net).ok()?, gross };
    let stated = at.get("totals");
    let lines = credit_lines(&at.get("lines"), head, currency, notes);
    let shipping = beside(&stated.get("shipping"), &stated.get("shippingTaxRules"), currency, notes);
    let handling = decode::handling(&stated, currency, notes);
    let fee = fee(&stated, currency, notes);
    let kept = Charge { net: fee.net.negated().ok()?, tax: fee.tax.negated().ok()?, rate: fee.rate };
    let priced: Vec<OrderLine> = lines.iter().map(|(line, _)| line.clone()).collect();
    let around = Around { lines: &priced, charges: &[&shipping, &handling, &kept], totals };
    let discounts = decode::discounts(at, &stated, &around, currency, notes);
    let issued = issued_at(paid);
    let issued_at = issued.unwrap_or(head.created_at);
    let account = at.get("account");
    let buyer = match id_text(account.get("id").value) {
        Some(account) => Some(format!("account_{account}")),
        None => id_text(at.get("customer").get("id").value),
    };
    let changed = paid.iter().map(|one| one.at).max().unwrap_or(head.created_at);
    Some(CreditNote {
        status: if issued.is_some() { CreditStatus::Issued } else { CreditStatus::Open },
        issued_at,
        issued_on: day(head, issued_at, form),
        updated_at: head.updated_at.max(changed),
        buyer,
        lines: lines.into_iter().map(|(line, order_line)| credit_line(line, order_line, head)).collect(),
        discounts,
        shipping,
        handling,
        fee,
        totals,
        comment: notes.text(&at.get("comment")),
        ..empty(head, currency, form)
    })
}

fn credit_line(line: OrderLine, order_line: ExternalId, head: &Head) -> CreditLine {
    let order = RecordKey::new(&head.order);
    CreditLine {
        kind: CreditKind::Goods,
        sold: vec![SoldPart { order, line: order_line, quantity: line.quantity, net: line.net, tax: line.tax }],
        id: line.id,
        sku: line.sku,
        name: line.name,
        quantity: line.quantity,
        unit_net: line.unit_net,
        net: line.net,
        tax: line.tax,
        taxes: line.taxes,
    }
}

/// The lines that give money back, in the form in which lines of orders are read, each with the id of its order's line. What
/// had cost nothing gives nothing back.
fn credit_lines(at: &At<'_>, head: &Head, currency: Currency, notes: &mut Notes) -> Vec<(OrderLine, ExternalId)> {
    let mut found = Vec::new();
    for at in notes.list(at) {
        let of = at.get("orderLine");
        // What is odd about these was found with the goods.
        let mut unheard = Notes::of("return");
        let quantity = decode::count(&at.get("quantity"), &mut unheard);
        let Some(order_line) = id_text(of.get("id").value).map(ExternalId::new) else { continue };
        let id = notes.id(&at.get("id")).unwrap_or_else(|| format!("{}-{}", head.id, found.len().saturating_add(1)));
        let sku = decode::sku(&of, LineKind::Product, &mut unheard);
        let mut line = OrderLine::of_units(ExternalId::new(id), sku, quantity, currency);
        line.name = decode::name(&of, notes);
        let percent = notes.decimal(&of.get("taxPercent")).unwrap_or_default().normalize();
        decode::price(&mut line, &at, percent, currency, notes);
        if quantity > 0 && !(line.net.is_zero() && line.tax.is_zero()) {
            found.push((line, order_line));
        }
    }
    found
}

fn beside(at: &At<'_>, rules: &At<'_>, currency: Currency, notes: &mut Notes) -> Charge {
    let rules = decode::rules(rules, notes);
    decode::charge(at, Taxes::of(&rules), &rules, currency, notes)
}

/// What is kept back; its sign, and that of its tax, is not documented.
fn fee(totals: &At<'_>, currency: Currency, notes: &mut Notes) -> Charge {
    let rules = decode::rules(&totals.get("returnCostTaxRules"), notes);
    let taxes = Taxes::of(&rules);
    let taxes = Taxes { added: taxes.added.abs(), deducted: taxes.deducted.abs(), included: taxes.included.abs() };
    let at = totals.get("returnCost");
    let Some(stated) = notes.value(&at) else { return Charge::none(currency) };
    match taxes.split(stated.abs(), currency) {
        Some((net, tax)) => Charge { net, tax, rate: decode::only_rate(&rules) },
        None => {
            let place = at.get("value");
            let message = format!("{} is no amount in whole minor units of {currency}", place.path);
            notes.add(&notes.rule("amount"), &place.path, message, MEND, Some(place.value));
            Charge::none(currency)
        }
    }
}

/// The document's own word on whether it was deleted.
pub fn is_deleted(document: &Value) -> bool {
    document["deleted"] == true
}
