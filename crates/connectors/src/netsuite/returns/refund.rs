//! A refund → a customer refund that is applied to its credit memo; and back. Pure.
//!
//! (Made by itself with a line of `apply`, as the vendor's page on customer refunds shows it: which pairs may be transformed differs
//! between its papers.)

use jiff::Timestamp;
use rust_decimal::Decimal;
use selvedge_connector::{Decoded, Encoded, Need, Needed, Raw, Request, Standing};
use selvedge_model::{
    Kind, Money, Problem, RecordKey, Refund,
    compare::{Carries, compare},
    gate::{Lookup, Values},
    records::{PaymentStatus, Tender},
};
use serde_json::{Map, Value};

use super::{
    super::{
        change::status_letter,
        decode::{NOTHING, currency, moment_of, parse, problem},
        encode::{MEMO_CHARS_MAX, RECORDS, add_absent, bounded, currency_lookup, list},
        settings::{Document, Form, ReturnSettings},
        wire,
    },
    no_cash_sale, period,
};

/// What our external ids begin with.
pub(crate) const PREFIX: &str = "crf_";
/// The table under which the id of the credit note's document stands among the values.
const CREDIT: &str = "credit_note";
/// What an account is mapped to where the money stays owed: the memo is left open.
const OPEN: &str = "none";

/// The credit memo has to stand first.
pub(crate) fn needs(refund: &Refund, form: &Form) -> Option<Need> {
    let key = &refund.credit_note;
    (form.document == Document::SalesOrder).then(|| Need {
        what: Needed::Document { kind: Kind::CreditNote, key: key.clone() },
        table: CREDIT.to_owned(),
        key_text: selvedge_model::gate::mapping::key_text(&[(CREDIT.to_owned(), key.to_string())]),
    })
}

/// How the mapping tables call what the money went back in.
fn method(refund: &Refund) -> &str {
    match refund.tender {
        Tender::Payment => refund.method.as_deref().unwrap_or(Tender::Payment.word()),
        tender => tender.word(),
    }
}

fn account_lookup(refund: &Refund) -> Lookup {
    Lookup::new("refund_account", &[("method", method(refund))], "tender")
}

fn option_lookup(refund: &Refund) -> Lookup {
    Lookup::new("payment_method", &[("method", method(refund))], "tender").optional()
}

/// Every mapped value that a refund needs.
pub(crate) fn lookups(refund: &Refund) -> Vec<Lookup> {
    let currency = currency_lookup(refund.amount.currency().code());
    vec![currency, account_lookup(refund), option_lookup(refund), period::lookup(refund.on, "on")]
}

/// What a customer refund carries, for the comparison.
pub(crate) fn carries(settings: &ReturnSettings) -> Carries {
    Carries { reference: settings.reference_field.is_some(), placed_on: true, ..Carries::default() }
}

/// The request that makes a refund stand.
pub(crate) fn encode(
    refund: &Refund,
    values: &Values,
    there: Standing<'_>,
    form: &Form,
    settings: &ReturnSettings,
) -> Result<Encoded, Vec<Problem>> {
    if form.document == Document::CashSale {
        return Err(vec![no_cash_sale("refund", "The vendor's way for it is a cash refund. ")]);
    }
    if let Some(raw) = there.own {
        return stands(refund, values, raw, settings);
    }
    let account = account_lookup(refund);
    let account = values.get(&account).ok_or_else(|| vec![account.missing()])?;
    if account == OPEN {
        return Ok(Encoded::Nothing);
    }
    let raw = there.needed.ok_or_else(|| vec![unread(refund)])?;
    let memo = parse(raw).map_err(|_| vec![unread(refund)])?;
    fits(refund, values, raw, &memo)?;
    let what = format!("refund {}", refund.id);
    let day = period::day(refund.on, "on", &what, values, settings).map_err(|problem| vec![*problem])?;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    put("externalId", Value::String(wire::external_id(PREFIX, refund.key.as_str())));
    for (name, from, wanted) in
        [("customer", "entity", true), ("subsidiary", "subsidiary", form.one_world), ("currency", "currency", true)]
    {
        if let Some(id) = wire::id(&memo, from).filter(|_| wanted) {
            put(name, wire::reference(&id));
        }
    }
    put("account", wire::reference(account));
    if let Some(option) = values.get(&option_lookup(refund)) {
        put(settings.payment_field, wire::reference(option));
    }
    put("tranDate", Value::String(day.posted.to_string()));
    put("memo", Value::String(bounded(&memo_text(refund, day), MEMO_CHARS_MAX)));
    if let (Some(field), Some(reference)) = (&settings.reference_field, &refund.reference) {
        put(field, Value::String(wire::text_out(reference)));
    }
    let mut row = Map::new();
    row.insert("doc".to_owned(), wire::reference(raw.id.as_str()));
    row.insert("apply".to_owned(), Value::Bool(true));
    row.insert("amount".to_owned(), wire::number(refund.amount.decimal()));
    put("apply", list(vec![Value::Object(row)]));
    add_absent(&mut body, &settings.refund_fields);
    Ok(Encoded::Put(Request {
        what: format!("pay {} back by {}", refund.amount, wire::external_id(PREFIX, refund.key.as_str())),
        method: "POST".to_owned(),
        path: format!("{RECORDS}/customerRefund"),
        body: Value::Object(body),
        update: None,
        unfinished: false,
    }))
}

fn memo_text(refund: &Refund, day: period::Day) -> String {
    let reference = refund.reference.as_deref().map(|id| format!(", transaction {id}")).unwrap_or_default();
    format!("{}Refund {} by {}{reference}, {}", day.note("refunded"), refund.id, method(refund), refund.key)
}

/// Whether the memo has so much left, in this currency.
fn fits(refund: &Refund, values: &Values, raw: &Raw, memo: &Value) -> Result<(), Vec<Problem>> {
    let code = currency_lookup(refund.amount.currency().code());
    if let (Some(ours), Some(theirs)) = (values.get(&code), wire::id(memo, "currency"))
        && ours != theirs
    {
        let message = format!(
            "refund {} is in {}, and credit memo {} there is in another currency",
            refund.id,
            refund.amount.currency().code(),
            raw.id
        );
        let remedy = "See the credit note at its source, and the memo there. Mend the one that is wrong, then release.";
        return Err(vec![Problem::new("refund.currency", "amount", message, remedy).cause(refund.credit_note.as_str())]);
    }
    if status_letter(memo) == Some('V') {
        let message = format!("refund {} pays credit memo {}, which is void there", refund.id, raw.id);
        let remedy = "Make the memo anew there or at its source, then release; or book the payment by hand and dismiss this with the reason.";
        return Err(vec![Problem::new("refund.credit_void", "credit_note", message, remedy).cause(refund.credit_note.as_str())]);
    }
    let Some(left) = wire::decimal(memo, "amountRemaining") else { return Ok(()) };
    if refund.amount.decimal() <= left {
        return Ok(());
    }
    Err(vec![
        Problem::new(
            "refund.over_credit",
            "amount",
            format!("refund {} is {}, and credit memo {} there has {} left", refund.id, refund.amount, raw.id, left.normalize()),
            "See what was applied to the memo there already (another integration, or somebody by hand). If this payment is in it, dismiss this with the reason; otherwise mend it there and release.",
        )
        .value(refund.amount.to_string())
        .cause(refund.credit_note.as_str()),
    ])
}

fn unread(refund: &Refund) -> Problem {
    Problem::new(
        "decode.unreadable",
        "credit_note",
        format!("the credit memo of credit note {} there could not be read", refund.credit_note),
        "Look at the document there; if it reads well, update the connector. Then release.",
    )
}

/// A refund that stands: as it should, or for a person.
fn stands(refund: &Refund, values: &Values, raw: &Raw, settings: &ReturnSettings) -> Result<Encoded, Vec<Problem>> {
    let decoded = decode(raw, values, settings);
    let Some(there) = decoded.record else { return Err(decoded.problems) };
    if compare(&refund.clone().into(), &there.clone().into(), carries(settings)).is_empty() {
        return Ok(Encoded::Nothing);
    }
    Err(vec![
        Problem::new(
            "refund.differs",
            "amount",
            format!("refund {} of {} on {} stands as customer refund {} with {} on {}", refund.id, refund.amount, refund.on, raw.id, there.amount, there.on),
            "What was posted is not changed from here. Mend it there, or void it and book it anew by hand, then release; or dismiss this with a reason.",
        )
        .cause(refund.key.as_str()),
    ])
}

/// A customer refund as our refund. One that is void has paid nothing.
pub(crate) fn decode(raw: &Raw, words: &Values, settings: &ReturnSettings) -> Decoded<Refund> {
    let none = |problem: Problem| Decoded::of(None, vec![problem]);
    let document = match parse(raw) {
        Ok(document) => document,
        Err(problem) => return none(*problem),
    };
    let external = wire::text(&document, "externalId");
    let Some(key) = external.as_deref().and_then(|id| wire::key_of_external_id(PREFIX, id)) else {
        return none(problem("key", "the customer refund does not carry our external id"));
    };
    let Some(currency) = currency(&document, words) else {
        return none(problem("currency", "the document has no currency that we know"));
    };
    let Some(posted) = period::tran_date(&document) else {
        return none(problem("on", "tranDate is not a date"));
    };
    let applied: Vec<&Value> = wire::rows(&document, "apply").iter().filter(|row| wire::truth(row, "apply")).collect();
    let amounts = applied.iter().map(|row| wire::decimal(row, "amount"));
    let sum = amounts.into_iter().try_fold(Decimal::ZERO, |sum, amount| sum.checked_add(amount?));
    let void = status_letter(&document) == Some('V');
    let paid = if void { Some(Decimal::ZERO) } else { wire::decimal(&document, "total").or(sum) };
    let Some(amount) = paid.and_then(|amount| Money::exact(amount, currency).ok()) else {
        return none(problem("amount", "the document has no amount that is so many of its currency"));
    };
    let mut values = Values::default();
    for (table, member) in [("refund_account", "account"), ("payment_method", settings.payment_field)] {
        for (_, key, _) in words.iter().filter(|(name, ..)| *name == table) {
            values.set(table, key, wire::id(&document, member).unwrap_or_else(|| NOTHING.to_owned()));
        }
    }
    let doc = applied.first().and_then(|row| wire::id(row, "doc"));
    for (_, key, _) in words.iter().filter(|(name, ..)| *name == CREDIT) {
        values.set(CREDIT, key, doc.clone().unwrap_or_else(|| NOTHING.to_owned()));
    }
    let credit_note = doc.and_then(|doc| words.name_of(CREDIT, &doc)).unwrap_or_default();
    let at = moment_of(&document, "createdDate").unwrap_or(Timestamp::UNIX_EPOCH);
    let record = Refund {
        key: RecordKey::new(key),
        id: raw.id.clone(),
        order: None,
        credit_note: RecordKey::new(credit_note),
        status: if void { PaymentStatus::Failed } else { PaymentStatus::Success },
        tender: Tender::Payment,
        method: wire::ref_name(&document, settings.payment_field),
        reference: settings
            .reference_field
            .as_deref()
            .and_then(|field| wire::text(&document, field))
            .map(|text| wire::text_in(&text)),
        amount,
        at,
        on: period::told(&document, posted),
        updated_at: moment_of(&document, "lastModifiedDate").or(raw.version).unwrap_or(at),
        market: None,
    };
    Decoded { record: Some(record), problems: Vec::new(), values, also: Vec::new() }
}
