//! `conform KIND`: worked examples in, the product's own answers out, one JSON object a line.
//!
//! Every answer comes from the function that the product uses. A kind that the product has no use for is answered `"unsupported"`.

use std::{
    io::{BufRead, Write},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rust_decimal::Decimal;
use selvedge_connector::{
    format, jws, oauth1,
    retry_after::{self, Wait},
    signature,
    table::{Dialect, Table},
};
use selvedge_model::{
    Currency, Rounding, barcode,
    invoice::{Extra, Invoice, InvoiceLine, TaxKind},
    postcode,
    share::allocate,
    tax::{TaxPolicy, TaxRule, Taxed, rates::RateBook},
    tracking,
};
use serde_json::{Map, Value, json};

/// The longest that a `Retry-After` may make us wait here; more is answered `"cap"`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

fn main() -> std::io::Result<()> {
    let kind = std::env::args().nth(1).unwrap_or_default();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let input: Value = serde_json::from_slice(&line).unwrap_or_default();
        writeln!(out, "{}", json!({ "id": input.get("id"), "answer": answer(&kind, &input) }))?;
    }
    out.flush()
}

/// The answer to one example; `"error"` where the input cannot be answered.
fn answer(kind: &str, input: &Value) -> Value {
    let found = match kind {
        "rounding" => rounding(input),
        "allocation" => allocation(input),
        "tax" => tax(input),
        "invoices" => invoice(input),
        "vat_rate" => vat_rate(input),
        "currency" => Some(currency(input)),
        "webhook" => webhook(input),
        "hmac" => hmac(input),
        "oauth1" => oauth(input),
        "jws" => {
            Some(json!(input.get("key").is_some_and(|key| text(input, "token").is_some_and(|token| jws::verify(key, token)))))
        }
        "retry_after" => retry(input),
        "tracking" => text(input, "number")
            .map(|number| json!(matches!(tracking::check(text(input, "courier"), number), tracking::Verdict::Good(_)))),
        "gtin" => text(input, "number").map(|number| json!(barcode::is_gtin(number) || barcode::is_sscc(number))),
        "postcode" => text(input, "country")
            .zip(text(input, "postcode"))
            .map(|(country, postcode)| json!(postcode::check(country, postcode).is_ok())),
        "csv" => table(input),
        "format" => text(input, "format").zip(text(input, "text")).map(|(name, text)| match format::is_well_formed(name, text) {
            Some(good) => json!(good),
            None => json!("unsupported"),
        }),
        _ => Some(json!("unsupported")),
    };
    found.unwrap_or_else(|| json!("error"))
}

fn text<'a>(input: &'a Value, name: &str) -> Option<&'a str> {
    input.get(name)?.as_str()
}

/// A decimal given as text or as a number, digit for digit.
fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::String(text) => Decimal::from_str_exact(text).ok(),
        Value::Number(number) => Decimal::from_str_exact(&number.to_string()).ok(),
        _ => None,
    }
}

fn mode(input: &Value) -> Option<Rounding> {
    serde_json::from_value(input.get("mode")?.clone()).ok()
}

fn rounding(input: &Value) -> Option<Value> {
    let rounded = mode(input)?.to_step(decimal(input.get("value")?)?, decimal(input.get("unit")?)?).ok()?;
    Some(json!(rounded.to_string()))
}

fn allocation(input: &Value) -> Option<Value> {
    let weights = input.get("weights")?.as_array()?.iter().map(decimal).collect::<Option<Vec<_>>>()?;
    let amount = input.get("amount")?;
    let amount = amount.as_i64().or_else(|| amount.as_str()?.parse().ok())?;
    allocate(amount, &weights).ok().map(|shares| json!(shares))
}

fn tax(input: &Value) -> Option<Value> {
    let policy: TaxPolicy = serde_json::from_value(input.get("policy")?.clone()).ok()?;
    let rule = TaxRule {
        policy,
        rounding: mode(input)?,
        unit: decimal(input.get("unit")?)?,
        prices_include_tax: input.get("prices_include_tax")?.as_bool()?,
    };
    let line = |line: &Value| {
        let amounts = match line.get("units") {
            Some(units) => units.as_array()?.iter().map(decimal).collect::<Option<Vec<_>>>()?,
            None => vec![decimal(line.get("amount")?)?],
        };
        Some(Taxed { amounts, rate: decimal(line.get("rate")?)? })
    };
    let lines = input.get("lines")?.as_array()?.iter().map(line).collect::<Option<Vec<_>>>()?;
    let sums = rule.sums(&lines).ok()?;
    let shown = |value| shown(value, rule.unit.normalize().scale());
    Some(json!({ "net": shown(sums.net), "tax": shown(sums.tax), "gross": shown(sums.gross) }))
}

/// An amount with as many places as the smallest step has.
fn shown(mut value: Decimal, places: u32) -> String {
    value.rescale(places.max(value.normalize().scale()));
    value.to_string()
}

/// A decimal that may be left out.
fn decimal_or(input: &Value, name: &str, default: Decimal) -> Option<Decimal> {
    match input.get(name) {
        None | Some(Value::Null) => Some(default),
        Some(value) => decimal(value),
    }
}

fn extra(input: &Value) -> Option<Extra> {
    let amount = match input.get("amount") {
        Some(amount) => decimal(amount)?,
        // One that states no amount states of what it is a share.
        None => decimal(input.get("base")?)?.checked_mul(decimal(input.get("percent")?)?)?.checked_div(Decimal::ONE_HUNDRED)?,
    };
    Some(Extra { charge: input.get("charge")?.as_bool()?, amount })
}

/// What is out of the scope of the tax has a category and no rate.
fn tax_kind(input: &Value) -> Option<TaxKind> {
    let category = text(input, "category").unwrap_or_default().to_owned();
    Some(TaxKind { category, rate: decimal_or(input, "rate", Decimal::ZERO)? })
}

fn listed<T>(input: &Value, name: &str, each: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    match input.get(name) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(list) => list.as_array()?.iter().map(each).collect(),
    }
}

fn invoice(input: &Value) -> Option<Value> {
    let line = |line: &Value| {
        Some(InvoiceLine {
            quantity: decimal_or(line, "qty", Decimal::ONE)?,
            price: decimal(line.get("price")?)?,
            per: decimal_or(line, "per", Decimal::ONE)?,
            extras: listed(line, "allowances", extra)?,
            tax: tax_kind(line)?,
        })
    };
    let invoice = Invoice {
        currency: Currency::from_code(text(input, "currency")?)?,
        lines: input.get("lines")?.as_array()?.iter().map(line).collect::<Option<Vec<_>>>()?,
        extras: listed(input, "allowances", |one| Some((extra(one)?, tax_kind(one)?)))?,
        prepaid: decimal_or(input, "prepaid", Decimal::ZERO)?,
        rounding: decimal_or(input, "rounding", Decimal::ZERO)?,
    };
    let sums = invoice.sums().ok()?;
    let shown = |value| shown(value, invoice.currency.minor_units().unwrap_or(0));
    Some(json!({ "net": shown(sums.net), "tax": shown(sums.tax), "gross": shown(sums.gross), "payable": shown(sums.payable) }))
}

/// The rate as short as it can be written: `19`, `25.5`.
fn vat_rate(input: &Value) -> Option<Value> {
    let rate = RateBook::default().rate(text(input, "country")?, text(input, "date")?.parse().ok()?)?;
    Some(json!(rate.normalize().to_string()))
}

fn currency(input: &Value) -> Value {
    json!(text(input, "code").and_then(Currency::from_code).and_then(Currency::minor_units))
}

fn now(input: &Value) -> Option<jiff::Timestamp> {
    match input.get("now")? {
        Value::Number(seconds) => jiff::Timestamp::from_second(seconds.as_i64()?).ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn webhook(input: &Value) -> Option<Value> {
    let empty = Map::new();
    let headers = input.get("headers").and_then(Value::as_object).unwrap_or(&empty);
    let headers: Vec<(String, String)> =
        headers.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    let tolerance = Duration::from_secs(input.get("tolerance_seconds").and_then(Value::as_u64).unwrap_or(300));
    let verdict = signature::verify_standard_webhook(
        text(input, "secret")?,
        &headers,
        text(input, "body")?.as_bytes(),
        now(input)?,
        tolerance,
    );
    Some(json!(verdict.is_ok()))
}

fn hmac(input: &Value) -> Option<Value> {
    let bytes = |name| from_hex(text(input, name)?);
    Some(json!(STANDARD.encode(signature::hmac_sha256(&bytes("key_hex")?, &bytes("data_hex")?))))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (text.len().is_multiple_of(2)).then(|| (0..text.len()).step_by(2).map(pair).collect()).flatten()
}

fn oauth(input: &Value) -> Option<Value> {
    let method = oauth1::Method::from_name(text(input, "algorithm")?)?;
    let pair = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned()));
    let parameters = input.get("parameters")?.as_array()?.iter().map(pair).collect::<Option<Vec<_>>>()?;
    let base = oauth1::base_string(text(input, "method")?, text(input, "url")?, &parameters).ok()?;
    Some(json!(oauth1::sign(&base, text(input, "consumer_secret")?, text(input, "token_secret").unwrap_or_default(), method)))
}

fn retry(input: &Value) -> Option<Value> {
    Some(match retry_after::parse(text(input, "header"), now(input)?, RETRY_AFTER_MAX) {
        Wait::For(wait) => json!(wait.as_secs()),
        Wait::Cap => json!("cap"),
        Wait::Default => json!("default"),
    })
}

/// Rows as lists, or as objects where there is a header. A partner's file may have a bad row and keep the others;
/// an example either is one table or none.
fn table(input: &Value) -> Option<Value> {
    let bytes = STANDARD.decode(text(input, "csv_base64")?).ok()?;
    let header = input.get("header").and_then(Value::as_bool).unwrap_or(false);
    let table = Table::read(&bytes, &Dialect { delimiter: Some(b','), header, ..Dialect::default() }).ok()?;
    if !table.problems.is_empty() {
        return None;
    }
    let rows = table.rows.into_iter().map(|row| {
        if header {
            table.header.iter().cloned().zip(row.cells.into_iter().map(Value::from)).collect::<Map<_, _>>().into()
        } else {
            json!(row.cells)
        }
    });
    Some(rows.collect())
}
