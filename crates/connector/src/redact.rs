//! What could name a person or open a door, taken out of what systems say before it is kept, logged or shown.
//!
//! In a document it is known by the names of its fields: too much rather than too little. In a sentence only what shows by itself
//! is known, e-mail addresses and telephone numbers: a name that a system writes in a sentence of its own is a word like any other.

use bytes::Bytes;
use serde_json::Value;

/// The largest body that is looked into, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// The fewest digits of a telephone number, its country's included.
const PHONE_DIGITS_LEAST: usize = 8;

/// Fields that name or reach a person. Compared in small letters without punctuation; part of a name is enough.
const PERSONAL: [&str; 25] = [
    "company",
    "address3",
    "town",
    "region",
    "firstname",
    "lastname",
    "fullname",
    "companyname",
    "customername",
    "recipient",
    "addressee",
    "attention",
    "email",
    "phone",
    "mobile",
    "street",
    "addr1",
    "addr2",
    "address1",
    "address2",
    "addresstext",
    "zip",
    "postcode",
    "postalcode",
    "city",
];
/// Objects that are about a person: what stands in them is not shown, but for [`IMPERSONAL`].
const PERSONS: [&str; 10] =
    ["customer", "contact", "buyer", "recipient", "consignee", "receiver", "shipto", "billto", "address", "entity"];
/// What says nothing of a person, even of one; besides these an id, and what has a country in its name.
const IMPERSONAL: [&str; 11] =
    ["code", "number", "type", "status", "currency", "currencycode", "sku", "language", "message", "error", "detail"];
/// Fields that open a door.
const SECRET: [&str; 9] =
    ["token", "secret", "password", "authorization", "signature", "apikey", "credential", "cardnumber", "cvv"];

/// A body on one line, redacted and cut: fit to stand in a fault, and so in a log.
///
/// ```
/// let body = br#"{"error": "unknown", "customer": {"name": "Ada Lovelace", "email": "ada@example.com"}}"#;
/// let told = selvedge_connector::redact::excerpt(body, 200);
/// assert!(told.contains("unknown") && !told.contains("Ada") && !told.contains("example.com"));
/// ```
pub fn excerpt(body: &[u8], chars_max: usize) -> String {
    let told = if body.len() > BODY_BYTES_MAX {
        format!("({} bytes, too many to be told)", body.len())
    } else if let Ok(mut value) = serde_json::from_slice::<Value>(body) {
        mask(&mut value, false);
        // Once more, since the name of a field may be an address, too.
        sentence(&value.to_string())
    } else {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        if text.starts_with('<') {
            format!("({} bytes of markup, not told)", body.len())
        } else if text.starts_with(['{', '[']) {
            sentence(&torn(text))
        } else {
            sentence(text)
        }
    };
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    if told.is_empty() { "an empty body".to_owned() } else { told.chars().take(chars_max).collect() }
}

/// A sentence without the e-mail addresses and telephone numbers in it.
pub fn sentence(text: &str) -> String {
    without_phones(&without_mail(text))
}

/// A whole body, or a form, redacted: fit to be kept as evidence. The caller cuts it.
pub(crate) fn whole(body: &Bytes, form: bool) -> String {
    if body.len() > BODY_BYTES_MAX {
        return format!("({} bytes, too many to be kept)", body.len());
    }
    if let Ok(mut value) = serde_json::from_slice::<Value>(body) {
        mask(&mut value, false);
        return serde_json::to_string_pretty(&value).unwrap_or_default();
    }
    let text = String::from_utf8_lossy(body);
    if form {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => match hidden(name, value) {
                Some(hidden) => format!("{name}={hidden}"),
                // A form may carry a document in a field.
                None => {
                    let value = value.replace('+', " ");
                    let value = percent_encoding::percent_decode_str(&value).decode_utf8_lossy();
                    match serde_json::from_str::<Value>(&value) {
                        Ok(mut document) => {
                            mask(&mut document, false);
                            format!("{name}={document}")
                        }
                        Err(_) => format!("{name}={}", sentence(&value)),
                    }
                }
            },
            None => pair.to_owned(),
        };
        return text.split('&').map(pair).collect::<Vec<_>>().join("\n");
    }
    // Nobody knows which of its words are names: of a text that is no document only the beginning is told, for what it says of
    // itself.
    if text.trim_start().starts_with('<') { format!("({} bytes of markup, not kept)", body.len()) } else { sentence(&text) }
}

/// Hides what is personal or secret in a document; `personal` where it is about a person altogether.
fn mask(value: &mut Value, personal: bool) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let field = plain(name);
                match value {
                    Value::String(text) => *text = told(&field, text, personal),
                    Value::Number(_) if hidden(&field, "0").is_some() || personal && !impersonal(&field) => {
                        *value = Value::String("(hidden)".to_owned());
                    }
                    other => mask(other, personal || PERSONS.iter().any(|part| field.contains(part))),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, personal)),
        Value::String(text) => *text = if personal { person_of(text) } else { sentence(text) },
        Value::Number(_) if personal => *value = Value::String("(hidden)".to_owned()),
        _ => {}
    }
}

/// Whether a field of a person tells nothing of who that is.
fn impersonal(field: &str) -> bool {
    field.ends_with("id") || field.contains("country") || IMPERSONAL.contains(&field)
}

/// The value of a field as it is shown.
fn told(field: &str, text: &str, personal: bool) -> String {
    if let Some(hidden) = hidden(field, text) {
        return hidden;
    }
    // An address that is one text, and somebody who is named where others give an id, which has a digit in it.
    let of_person =
        !text.is_empty() && (field.ends_with("address") || PERSONS.contains(&field) && !text.chars().any(|c| c.is_ascii_digit()));
    let shown = text.is_empty() || impersonal(field);
    if of_person || personal && !shown { person_of(text) } else { sentence(text) }
}

fn person_of(text: &str) -> String {
    format!("(personal, {} characters)", text.chars().count())
}

/// A document that was cut short, or is none that we can read: what stands after the name of a field is told as in a whole one.
/// Whose field it is cannot be told, so that a name is taken for a person's.
fn torn(text: &str) -> String {
    let (mut out, mut field, mut rest) = (String::new(), String::new(), text);
    while let Some((before, from)) = rest.split_once('"') {
        // A number may be a postcode.
        let is_number = before.trim_start_matches([':', ' ']).starts_with(|c: char| c.is_ascii_digit());
        out.push_str(if is_number && hidden(&field, "0").is_some() { ": (hidden), " } else { before });
        let is_value = before.trim_end().ends_with(':');
        let end = end_of_string(from);
        let (inside, after) = (from.get(..end).unwrap_or(from), from.get(end + 1..).unwrap_or_default());
        if !is_value && after.trim_start().starts_with(':') {
            field = plain(inside);
            out.push_str(&format!("\"{inside}\""));
        } else {
            out.push_str(&format!("\"{}\"", told(&field, inside, field.ends_with("name"))));
        }
        rest = after;
    }
    let is_number = rest.trim_start_matches([':', ' ']).starts_with(|c: char| c.is_ascii_digit());
    out.push_str(if is_number && hidden(&field, "0").is_some() { ": (hidden)" } else { rest });
    out
}

/// Where a string ends that begins before this text.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// The name of a field in small letters without punctuation.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// What stands in place of a value, if its field is not shown.
fn hidden(name: &str, value: &str) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let name = plain(name);
    if SECRET.iter().any(|part| name.contains(part)) {
        return Some("(secret)".to_owned());
    }
    PERSONAL.iter().any(|part| name.contains(part)).then(|| person_of(value))
}

/// E-mail addresses show by themselves, wherever they stand.
fn without_mail(text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    let part_of_address = |c: char| c.is_alphanumeric() || matches!(c, '@' | '.' | '_' | '-' | '+' | '%');
    let mut told = String::with_capacity(text.len());
    let mut word = String::new();
    let flush = |word: &mut String, told: &mut String| {
        let is_mail = word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
        told.push_str(if is_mail { "(e-mail)" } else { word });
        word.clear();
    };
    for c in text.chars() {
        if part_of_address(c) {
            word.push(c);
        } else {
            flush(&mut word, &mut told);
            told.push(c);
        }
    }
    flush(&mut word, &mut told);
    told
}

/// Telephone numbers show by the plus of their country.
fn without_phones(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('+') {
        told.push_str(before);
        let end =
            from.find(|c: char| !(c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')' | '.' | '/'))).unwrap_or(from.len());
        let number = from.get(..end).unwrap_or_default();
        let long = number.chars().filter(char::is_ascii_digit).count() >= PHONE_DIGITS_LEAST;
        if long && number.starts_with(|c: char| c.is_ascii_digit() || c == '(') {
            told.push_str("(telephone)");
            rest = from.get(number.trim_end_matches(|c: char| !c.is_ascii_digit()).len()..).unwrap_or_default();
        } else {
            told.push('+');
            rest = from;
        }
    }
    told.push_str(rest);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_secrets_do_not_show() {
        let body = r#"{"order":{"number":"1042","shipTo":{"addressee":"Ada Lovelace","addr1":"Storgatan 1","zip":11122,"country":"SE"},
            "memo":"write to ada@example.com, please","items":[{"sku":"A-1","quantity":2}]},"client_secret":"s3cret"}"#;
        let told = whole(&Bytes::from_static(body.as_bytes()), false);
        for gone in ["Ada", "Storgatan", "11122", "example.com", "s3cret"] {
            assert!(!told.contains(gone), "{gone}: {told}");
        }
        for there in ["1042", "SE", "A-1", "(personal, 12 characters)", "(secret)", "write to (e-mail), please"] {
            assert!(told.contains(there), "{there}: {told}");
        }
        let form = whole(&Bytes::from_static(b"token=abc&order=%7B%22email%22%3A%22a%40b.se%22%7D&pkId=7"), true);
        assert_eq!(form, "token=(secret)\norder={\"email\":\"(personal, 6 characters)\"}\npkId=7");
        assert!(!whole(&Bytes::from_static(b"<Name>Ada</Name>"), false).contains("Ada"));
        assert_eq!(without_mail("a@b is no address, at@ neither"), "a@b is no address, at@ neither");
    }

    #[test]
    fn an_object_about_a_person_shows_which_one_and_not_who() {
        let body = br#"{"entity":{"id":"12","refName":"Ada Lovelace"},"location":{"id":"3","refName":"Boras"},"buyer":"Ada Lovelace",
            "customer":"cus_12","delivery_address":"Storgatan 1","contacts":[{"label":"Ada","lines":["Storgatan 1"]}],"item":{"name":"Coat"},
            "receiver":{"middle_name":"Ada","born_date":"1815-12-10","countryName":"SE"},"errors":{"ada@example.com":"unknown"}}"#;
        let told = excerpt(body, 1_000);
        assert!(["Ada", "Storgatan", "1815", "example.com"].iter().all(|gone| !told.contains(gone)), "{told}");
        for there in ["\"12\"", "Boras", "cus_12", "Coat", "\"SE\"", "unknown"] {
            assert!(told.contains(there), "{there}: {told}");
        }
    }

    #[test]
    fn what_is_cut_short_is_told_without_whom_it_names() {
        let whole = r#"{"errors":[{"message":"no such user"}],"data":{"order":{"number":1042,"shippingAddress":{"firstName":"Ada","name":"Ada \"L\" Lovelace","zipCode":11122,"city":"Boras","email":"ada@example.com"}}}}"#;
        for end in 0..whole.len() {
            let told = excerpt(&whole.as_bytes()[..end], 1_000);
            for gone in ["Ada", "Lovelace", "1112", "Bor", "ada@", "example"] {
                assert!(!told.contains(gone), "{gone} in {told}");
            }
        }
        let told = excerpt(&whole.as_bytes()[..whole.len() - 1], 1_000);
        assert!(told.contains("no such user") && told.contains("1042"), "{told}");
        assert_eq!(excerpt(b"<html>Ada</html>", 100), "(16 bytes of markup, not told)");
        assert_eq!(excerpt(b" \n", 100), "an empty body");
        assert_eq!(excerpt(&[b'x'; BODY_BYTES_MAX + 1], 100), "(1048577 bytes, too many to be told)");
    }

    #[test]
    fn a_sentence_keeps_its_figures_and_loses_whom_it_reaches() {
        for (said, told) in [
            ("call +44 20 7946 0001, or ada@example.com.", "call (telephone), or (e-mail)"),
            ("call +46(0)33-12 34 56 now", "call (telephone) now"),
            ("1 + 1 at 2026-02-03T10:00:00+01:00 of SKU A+12", "1 + 1 at 2026-02-03T10:00:00+01:00 of SKU A+12"),
            ("order 20264000123 is 12345678 öre", "order 20264000123 is 12345678 öre"),
        ] {
            assert_eq!(sentence(said), told);
        }
    }
}
