//! A credit note → a credit memo, line by line with the tax of the sale; and back. Pure.
//!
//! A memo for a return is made from its authorization, so that what was credited of each line stands there; every other one
//! stands alone with the order's customer. What a memo has posted is never changed: a memo that stands and says something else is
//! for a person.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{Decoded, Encoded, Need, Needed, Raw, Request, Standing};
use selvedge_model::{
    CreditNote, ExternalId, Kind, Money, Order, Problem, RecordKey, Return,
    compare::{Carries, compare},
    gate::{Lookup, Values},
    records::{CreditKind, CreditLine, CreditReason, CreditStatus, OrderLine, ReturnStatus, SoldPart, TaxLine},
};
use serde_json::{Map, Value};

use super::{
    super::{
        change::status_letter,
        decode::{credited, moment_of, parse, problem},
        encode::{
            self, MEMO_CHARS_MAX, RECORDS, Words, add_absent, bounded, currency_lookup, document_address, document_line,
            insert_lists, shipping_lookup, tax_ids, tax_lookup,
        },
        items::encode::item_lookup,
        plan::{self, Plan, PlanLine, charge_taxes, negated, plan, too_large},
        settings::{Document, Form, Goods, ReturnSettings, ShippingForm, Tax},
        shipments::{ORDER, order_key_text},
        wire,
    },
    authorization::{self, Creditable, creditable},
    no_cash_sale, period,
};

/// What our external ids begin with.
pub(crate) const PREFIX: &str = "cm_";
/// The table under which the id of a return's document stands among the values.
const RETURN: &str = "return";
/// Stands before the number of a part of a credit line that is of several lines of an authorization.
const PART: char = '#';

fn return_key_text(key: &RecordKey) -> String {
    selvedge_model::gate::mapping::key_text(&[(RETURN.to_owned(), key.to_string())])
}

/// The order whose customer gets the credit.
fn order_of(note: &CreditNote) -> Option<&RecordKey> {
    let sold = || note.lines.iter().flat_map(|line| &line.sold).map(|part| &part.order).next();
    let sale = || note.sale.as_ref().map(|sale| &sale.number);
    note.order.as_ref().or_else(sold).or_else(sale)
}

/// The return that comes with the credit and nothing else brings.
fn goods(note: &CreditNote) -> Option<&Return> {
    note.goods.as_deref().filter(|goods| goods.status != ReturnStatus::Cancelled)
}

/// The document that has to stand first.
pub(crate) fn needs(note: &CreditNote, form: &Form, settings: &ReturnSettings) -> Option<Need> {
    if form.document == Document::CashSale {
        return None;
    }
    if settings.goods == Goods::Authorization {
        if let Some(goods) = goods(note) {
            let key_text = return_key_text(&goods.key);
            return Some(Need { what: Needed::Record(goods.clone().into()), table: RETURN.to_owned(), key_text });
        }
        if let Some(key) = &note.of_return {
            let what = Needed::Document { kind: Kind::Return, key: key.clone() };
            return Some(Need { what, table: RETURN.to_owned(), key_text: return_key_text(key) });
        }
    }
    let order = order_of(note)?;
    let what = Needed::Document { kind: Kind::Order, key: order.clone() };
    Some(Need { what, table: ORDER.to_owned(), key_text: order_key_text(order) })
}

fn by_authorization(note: &CreditNote, settings: &ReturnSettings) -> bool {
    settings.goods == Goods::Authorization && (goods(note).is_some() || note.of_return.is_some())
}

/// The lines of the memo with their taxes: those that an order has, and what has no place in one.
fn lines_of(note: &CreditNote, order: &Order, form: &Form) -> (Plan, Vec<Problem>) {
    let (mut plan, mut problems) = plan(order, form);
    for (charge, kind, reference, words, path) in [
        (&note.goodwill, "goodwill", plan::GOODWILL, "Goodwill", "goodwill"),
        (&note.fee, "return_fee", plan::FEE, "Kept back for the return", "fee"),
    ] {
        if charge.net.is_zero() && charge.tax.is_zero() {
            continue;
        }
        let kept_back = reference == plan::FEE;
        // Of a credit without lines the sale itself says under which rates it falls.
        let rates = note.sale.as_deref().filter(|_| order.lines.is_empty()).unwrap_or(order);
        let made = charge_taxes(rates, charge, form, &format!("{path}.tax")).and_then(|taxes| {
            if !kept_back {
                return Ok((taxes, charge.net));
            }
            Ok((negated(&taxes).ok_or_else(|| too_large(path))?, charge.net.negated().map_err(|_| too_large(path))?))
        });
        match made {
            Err(problem) => problems.push(*problem),
            Ok((taxes, amount)) => plan.lines.push(PlanLine {
                reference: reference.to_owned(),
                item: Lookup::new("charge_item", &[("kind", kind)], path),
                quantity: Some(1),
                amount,
                description: words.to_owned(),
                taxes,
            }),
        }
    }
    (plan, problems)
}

/// Shipping that is given back, by the method of the sale.
fn ship_lookup(order: &Order, form: &Form) -> Option<Lookup> {
    let given = form.shipping == ShippingForm::Header && !order.shipping_charge.net.is_zero();
    given.then(|| shipping_lookup(order)).flatten()
}

/// Every mapped value that a credit note needs.
pub(crate) fn lookups(note: &CreditNote, form: &Form) -> Vec<Lookup> {
    let order = note.as_order();
    let (plan, _) = lines_of(note, &order, form);
    let mut lookups = vec![currency_lookup(note.currency.code())];
    lookups.extend(ship_lookup(&order, form));
    lookups.extend(plan.lines.iter().map(|line| line.item.clone()));
    for part in plan.lines.iter().flat_map(|line| &line.taxes).chain(&plan.shipping_taxes) {
        lookups.push(tax_lookup(&order, part.rate));
    }
    lookups.push(period::lookup(note.issued_on, "issued_on"));
    let mut seen = std::collections::BTreeSet::new();
    lookups.retain(|lookup| seen.insert((lookup.table.clone(), lookup.key_text())));
    lookups
}

/// What a memo carries, for the comparison.
pub(crate) fn carries(form: &Form) -> Carries {
    Carries {
        amounts: true,
        line_tax: form.tax == Tax::Suite,
        status: true,
        shipping_charge: true,
        placed_on: true,
        bundles: true,
        ..Carries::default()
    }
}

/// The request that makes a credit note stand.
pub(crate) fn encode(
    note: &CreditNote,
    values: &Values,
    there: Standing<'_>,
    form: &Form,
    settings: &ReturnSettings,
) -> Result<Encoded, Vec<Problem>> {
    if form.document == Document::CashSale {
        return Err(vec![no_cash_sale("credit", "The vendor's way for it is a cash refund. ")]);
    }
    if let Some(raw) = there.own {
        return stands(note, values, raw, form);
    }
    if note.status == CreditStatus::Void {
        return Ok(Encoded::Nothing);
    }
    create(note, values, there.needed, form, settings)
}

fn create(
    note: &CreditNote,
    values: &Values,
    needed: Option<&Raw>,
    form: &Form,
    settings: &ReturnSettings,
) -> Result<Encoded, Vec<Problem>> {
    let what = format!("credit {}", note.number);
    let day = period::day(note.issued_on, "issued_on", &what, values, settings).map_err(|problem| vec![*problem])?;
    let mut order = note.as_order();
    let mut body = Map::new();
    let mut sources = BTreeMap::new();
    let path = if by_authorization(note, settings) {
        let raw = needed.ok_or_else(|| vec![unread(note)])?;
        let document = parse(raw).map_err(|_| vec![unread(note)])?;
        (order.lines, sources) = by_lines(note, values, raw, &document, settings)?;
        let replace = if form.tax == Tax::Suite { "item,taxDetails" } else { "item" };
        format!("{RECORDS}/returnAuthorization/{}/!transform/creditMemo?replace={replace}", raw.id)
    } else {
        may_stand_alone(note, settings)?;
        let key = order_of(note).map(RecordKey::as_str).unwrap_or_default();
        let (_, sale) = authorization::needed_order(needed, key)?;
        authorization::head(&sale, form, &mut body);
        format!("{RECORDS}/creditMemo")
    };
    let mut words = Words { values, missing: Vec::new() };
    let (plan, mut problems) = lines_of(note, &order, form);
    head(note, &order, &plan, day, form, &mut words, &mut body);
    let line = |line: &PlanLine, words: &mut Words<'_>| {
        let mut map = document_line(&order, line, form, words);
        if let Some(number) = sources.get(&line.reference) {
            map.insert("orderLine".to_owned(), number.clone());
        }
        add_absent(&mut map, &form.line_fields);
        Value::Object(map)
    };
    let lines: Vec<Value> = plan.lines.iter().map(|planned| line(planned, &mut words)).collect();
    let taxes = if form.tax == Tax::Suite { encode::tax_lines(&order, &plan, form, &mut words) } else { Vec::new() };
    problems.append(&mut words.missing);
    if lines.is_empty() && order.shipping_charge.net.is_zero() {
        problems.push(problem("lines", format!("credit {} gives nothing back", note.number)));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    insert_lists(&mut body, lines, taxes, form);
    add_absent(&mut body, &settings.fields);
    Ok(Encoded::Put(Request {
        what: format!("credit {} {}", note.number, wire::external_id(PREFIX, note.key.as_str())),
        method: "POST".to_owned(),
        path,
        body: Value::Object(body),
        update: None,
        unfinished: false,
    }))
}

fn head(
    note: &CreditNote,
    order: &Order,
    plan: &Plan,
    day: period::Day,
    form: &Form,
    words: &mut Words<'_>,
    body: &mut Map<String, Value>,
) {
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    put("externalId", Value::String(wire::external_id(PREFIX, note.key.as_str())));
    put("tranDate", Value::String(day.posted.to_string()));
    put("otherRefNum", Value::String(note.number.clone()));
    put("memo", Value::String(bounded(&memo(note, day), MEMO_CHARS_MAX)));
    for (name, address) in [("shippingAddress", &order.shipping), ("billingAddress", &order.billing)] {
        if let Some(address) = address {
            put(name, Value::Object(document_address(address)));
        }
    }
    if form.shipping == ShippingForm::Header && !order.shipping_charge.net.is_zero() {
        // Both together: with one of them alone the account's rate tables recompute the cost.
        if let Some(lookup) = ship_lookup(order, form) {
            put("shipMethod", wire::reference(&words.id(&lookup)));
        }
        put("shippingCost", wire::number(order.shipping_charge.net.decimal()));
        if let (Tax::Legacy, Some(part)) = (form.tax, plan.shipping_taxes.first()) {
            put("shippingTaxCode", wire::reference(tax_ids(&words.id(&tax_lookup(order, part.rate))).1));
        }
    }
}

fn memo(note: &CreditNote, day: period::Day) -> String {
    let order = order_of(note).map(|order| format!(" of order {order}")).unwrap_or_default();
    let of_return = note.of_return.as_ref().or(goods(note).map(|goods| &goods.key));
    let of_return = of_return.map(|key| format!(", return {key}")).unwrap_or_default();
    let comment = note.comment.as_deref().map(|comment| format!(": {comment}")).unwrap_or_default();
    format!("{}Credit {}{order}{of_return}, {}{comment}", day.note("credited"), note.number, note.reason.word())
}

/// A memo with stock items and no return puts them on the shelf in many accounts.
fn may_stand_alone(note: &CreditNote, settings: &ReturnSettings) -> Result<(), Vec<Problem>> {
    if settings.goods == Goods::Adjustment && goods(note).is_some() {
        return Err(vec![
            Problem::new(
                "credit.goods_with_it",
                "goods",
                format!(
                    "credit {} brings its goods with it, and adjustments are made of returns that come by themselves",
                    note.number
                ),
                "Set returns.goods = \"authorization\" for this connection, then release.",
            )
            .cause("goods"),
        ]);
    }
    if settings.memo_moves_stock == Some(false) || note.units() == 0 {
        return Ok(());
    }
    let why = match note.reason {
        CreditReason::Return => "its return is not known",
        CreditReason::Goodwill => "nothing comes back for it",
        CreditReason::Cancellation => "its units never left",
    };
    Err(vec![
        Problem::new(
            "credit.moves_stock",
            "lines",
            format!(
                "credit {} gives {} units back in money and {why}: a credit memo without a return authorization puts stock items on the shelf, as far as is known of this account",
                note.number,
                note.units()
            ),
            "Try it in the sandbox; if a memo moves no stock there, set returns.memo_moves_stock = false and release. Otherwise credit it by hand on a non-stock item, then dismiss this with the reason.",
        )
        .value(note.units().to_string())
        .cause(note.reason.word()),
    ])
}

/// Units and money of one row of the authorization.
struct Taken {
    number: Value,
    units: u32,
}

/// The credited lines as lines of the authorization: the order's lines of the memo, and for each by its reference the line there.
type Linked = (Vec<OrderLine>, BTreeMap<String, Value>);

fn by_lines(
    note: &CreditNote,
    values: &Values,
    raw: &Raw,
    document: &Value,
    settings: &ReturnSettings,
) -> Result<Linked, Vec<Problem>> {
    if let Some(problem) = not_creditable(note, raw, document) {
        return Err(vec![problem]);
    }
    let mut open = creditable(document);
    let mut problems = Vec::new();
    let mut lines = Vec::new();
    let mut sources = BTreeMap::new();
    let order = note.as_order();
    for (index, (line, made)) in note.lines.iter().zip(&order.lines).enumerate() {
        if line.kind == CreditKind::Other {
            lines.push(made.clone());
            continue;
        }
        let item = values.get(&item_lookup(line.sku.as_str(), String::new()));
        let alone = [SoldPart {
            order: note.order.clone().unwrap_or_else(|| RecordKey::new("")),
            line: ExternalId::new(""),
            quantity: line.quantity,
            net: line.net,
            tax: line.tax,
        }];
        let parts = if line.sold.is_empty() { &alone[..] } else { &line.sold[..] };
        let mut taken: Vec<Taken> = Vec::new();
        let mut short = 0_u32;
        for part in parts {
            let known = !line.sold.is_empty();
            let fits = |row: &Value| {
                let (order, line_id) = (known.then_some(&part.order), known.then_some(&part.line));
                authorization::is_of(row, order, line_id, item, &line.sku)
            };
            let mut left = part.quantity;
            for one in open.iter_mut().filter(|one| fits(one.row)) {
                let most = if settings.credit_in_advance { one.open } else { one.open.min(one.received) };
                let now = left.min(most);
                if now == 0 {
                    continue;
                }
                one.open -= now;
                one.received = one.received.saturating_sub(now);
                left -= now;
                taken.push(Taken { number: one.number.clone(), units: now });
            }
            short = short.saturating_add(left);
        }
        if short > 0 {
            problems.push(too_much(note, raw, document, index, line, short, &open, settings));
            continue;
        }
        match split(made, line, &taken) {
            Some(split) => {
                for (part, taken) in split.iter().zip(&taken) {
                    sources.insert(format!("{}{}", plan::LINE, part.id), taken.number.clone());
                }
                lines.extend(split);
            }
            None => problems.push(*too_large(&format!("lines[{index}].net"))),
        }
    }
    if problems.is_empty() { Ok((lines, sources)) } else { Err(problems) }
}

fn not_creditable(note: &CreditNote, raw: &Raw, document: &Value) -> Option<Problem> {
    let (words, remedy) = match status_letter(document) {
        Some('A') => ("waits for approval", "Approve it there, or set returns.status = \"B\" for this connection; then release."),
        Some('C' | 'H') => ("is closed or cancelled", "Open its lines again there and release; or dismiss this with the reason."),
        _ => return None,
    };
    let message = format!("return authorization {} {words}, and credit {} is for it", raw.id, note.number);
    Some(Problem::new("credit.authorization_state", "of_return", message, remedy).cause(words))
}

#[allow(clippy::too_many_arguments)]
fn too_much(
    note: &CreditNote,
    raw: &Raw,
    document: &Value,
    index: usize,
    line: &CreditLine,
    short: u32,
    open: &[Creditable<'_>],
    settings: &ReturnSettings,
) -> Problem {
    let to_come: u32 = open.iter().map(|one| one.open.saturating_sub(one.received)).sum();
    if !settings.credit_in_advance && to_come > 0 {
        return Problem::new(
            "credit.before_receipt",
            format!("lines[{index}].quantity"),
            format!("credit {} is for {short} × {} that return authorization {} has not received yet", note.number, line.sku, raw.id),
            "Release it once the goods were received there; or set returns.credit_in_advance = true, where the account lets a return be credited first.",
        )
        .value(line.sku.as_str())
        .cause(note.key.as_str());
    }
    Problem::new(
        "credit.over_authorization",
        format!("lines[{index}].quantity"),
        format!(
            "credit {} is for {short} × {} more than return authorization {} still has to be credited ({})",
            note.number,
            line.sku,
            raw.id,
            authorization::shown(document)
        ),
        "See who credited it already there, or who changed the authorization. Mend it there and release; or dismiss this with the reason.",
    )
    .value(line.sku.as_str())
    .cause(note.key.as_str())
}

/// A credited line in as many parts as lines of the authorization it takes of; money and taxes are shared out to the cent.
fn split(made: &OrderLine, line: &CreditLine, taken: &[Taken]) -> Option<Vec<OrderLine>> {
    if let [_] = taken {
        return Some(vec![made.clone()]);
    }
    let units: Vec<Decimal> = taken.iter().map(|taken| Decimal::from(taken.units)).collect();
    let stated = Money::sum(line.net.currency(), line.sold.iter().map(|part| part.net)).ok()?;
    let as_sold = line.sold.len() == taken.len() && stated == line.net;
    let nets = if as_sold { line.sold.iter().map(|part| part.net).collect() } else { line.net.allocate(&units).ok()? };
    let weights: Vec<Decimal> =
        if line.net.is_zero() { units } else { nets.iter().map(|net| Decimal::from(net.minor())).collect() };
    let mut taxes: Vec<Vec<TaxLine>> = taken.iter().map(|_| Vec::new()).collect();
    for tax in &made.taxes {
        for (of_part, amount) in taxes.iter_mut().zip(tax.amount.allocate(&weights).ok()?) {
            of_part.push(TaxLine { amount, ..tax.clone() });
        }
    }
    let parts = taken.iter().zip(nets).zip(taxes).enumerate();
    parts
        .map(|(index, ((taken, net), taxes))| {
            Some(OrderLine {
                id: ExternalId::new(format!("{}{PART}{}", made.id, index + 1)),
                quantity: taken.units,
                net,
                tax: Money::sum(net.currency(), taxes.iter().map(|tax| tax.amount)).ok()?,
                taxes,
                ..made.clone()
            })
        })
        .collect()
}

/// The id of a credit line, and whether it was a part of one.
fn whole_id(id: &ExternalId) -> ExternalId {
    match id.as_str().rsplit_once(PART) {
        Some((whole, part)) if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) => ExternalId::new(whole),
        _ => id.clone(),
    }
}

fn unread(note: &CreditNote) -> Problem {
    let key = note.of_return.as_ref().map(RecordKey::as_str).unwrap_or_default();
    Problem::new(
        "decode.unreadable",
        "of_return",
        format!("the return authorization of return {key} there could not be read with all its lines"),
        "Look at the document there; if it reads well, update the connector. Then release.",
    )
}

/// A memo that stands: as it should, or for a person.
fn stands(note: &CreditNote, values: &Values, raw: &Raw, form: &Form) -> Result<Encoded, Vec<Problem>> {
    let decoded = decode(raw, values, form);
    let Some(there) = decoded.record else { return Err(decoded.problems) };
    if note.status == CreditStatus::Void {
        if there.status == CreditStatus::Void {
            return Ok(Encoded::Nothing);
        }
        return Err(vec![
            Problem::new(
                "credit.void",
                "status",
                format!("credit {} was taken back, and it stands in NetSuite as credit memo {}", note.number, raw.id),
                "Void the memo there (its refunds first), or delete it if nothing was applied; the service has no way to void one. Then release.",
            )
            .cause(note.key.as_str()),
        ]);
    }
    let differences = compare(&note.clone().into(), &there.into(), carries(form));
    if differences.is_empty() {
        return Ok(Encoded::Nothing);
    }
    let told: Vec<String> = differences
        .iter()
        .map(|d| {
            format!(
                "{}: {} there {}",
                d.path,
                d.expected.as_deref().unwrap_or("nothing"),
                d.actual.as_deref().unwrap_or("nothing")
            )
        })
        .collect();
    Err(vec![
        Problem::new(
            "credit.differs",
            "",
            format!("credit {} is not what credit memo {} there says: {}", note.number, raw.id, told.join("; ")),
            "What was posted is not changed from here. Mend the memo there, or void it and make it anew by hand, then release; or dismiss this with a reason.",
        )
        .cause(note.key.as_str()),
    ])
}

/// A credit memo as our credit note.
pub(crate) fn decode(raw: &Raw, words: &Values, form: &Form) -> Decoded<CreditNote> {
    let none = |problem: Problem| Decoded::of(None, vec![problem]);
    let document = match parse(raw) {
        Ok(document) => document,
        Err(problem) => return none(*problem),
    };
    let external = wire::text(&document, "externalId");
    let Some(key) = external.as_deref().and_then(|id| wire::key_of_external_id(PREFIX, id)) else {
        return none(problem("key", "the credit memo does not carry our external id"));
    };
    let credited = match credited(raw, words, form) {
        Ok(credited) => credited,
        Err(problem) => return none(*problem),
    };
    let Decoded { record: Some(order), problems, mut values, .. } = credited.order else {
        return Decoded::of(None, credited.order.problems);
    };
    // The day is compared as a day: what a closed period answered at the time may be answered otherwise by now.
    let from = wire::id(&document, "createdFrom");
    if let Some(from) = &from {
        for (_, key, _) in words.iter().filter(|(table, ..)| *table == RETURN) {
            values.set(RETURN, key, from);
        }
    }
    let Some(lines) = merged(&order) else {
        return none(problem("lines", "the amounts of a line are too large to hold"));
    };
    let issued_on = period::told(&document, order.placed_on);
    let of_return = from.and_then(|from| words.name_of(RETURN, &from)).map(RecordKey::new);
    let void = status_letter(&document) == Some('V');
    let record = CreditNote {
        key: RecordKey::new(key),
        id: raw.id.clone(),
        number: wire::text(&document, "otherRefNum").unwrap_or_default(),
        order: None,
        reason: if of_return.is_some() { CreditReason::Return } else { CreditReason::Goodwill },
        of_return,
        goods: None,
        status: if void { CreditStatus::Void } else { CreditStatus::Issued },
        issued_at: moment_of(&document, "createdDate").unwrap_or(Timestamp::UNIX_EPOCH),
        issued_on,
        updated_at: order.updated_at,
        buyer: None,
        currency: order.currency,
        lines,
        discounts: order.discounts,
        shipping: order.shipping_charge,
        handling: order.handling_charge,
        fee: credited.fee,
        goodwill: credited.goodwill,
        totals: order.totals,
        comment: wire::text(&document, "memo").map(|text| wire::text_in(&text)),
        sale: None,
    };
    Decoded { record: Some(record), problems, values, also: Vec::new() }
}

/// The lines, parts of one put together again.
fn merged(order: &Order) -> Option<Vec<CreditLine>> {
    let mut lines: Vec<CreditLine> = Vec::new();
    for line in &order.lines {
        let id = whole_id(&line.id);
        let part = id != line.id;
        match lines.iter_mut().find(|known| part && known.id == id) {
            Some(known) => {
                known.quantity = known.quantity.saturating_add(line.quantity);
                (known.net, known.tax) = (known.net.plus(line.net).ok()?, known.tax.plus(line.tax).ok()?);
                for tax in &line.taxes {
                    match known.taxes.iter_mut().find(|other| other.rate == tax.rate && other.name == tax.name) {
                        Some(other) => other.amount = other.amount.plus(tax.amount).ok()?,
                        None => known.taxes.push(tax.clone()),
                    }
                }
            }
            None => lines.push(CreditLine {
                id,
                kind: CreditKind::Goods,
                sold: Vec::new(),
                sku: line.sku.clone(),
                name: line.name.clone(),
                quantity: line.quantity,
                unit_net: line.unit_net,
                net: line.net,
                tax: line.tax,
                taxes: line.taxes.clone(),
            }),
        }
    }
    Some(lines)
}
