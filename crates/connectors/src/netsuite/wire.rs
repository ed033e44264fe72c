//! NetSuite's shapes, read leniently: a number may come as text, a reference as an object, an
//! id or a name, an enumeration as an object or a bare letter (REST API Browser; Working with sublists).
//!
//! Everything here is a function of a JSON value; nothing fails, what is not there is `None`.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

/// A JSON number with exactly the digits of the decimal: `100.00` stays `100.00`.
pub(crate) fn number(value: Decimal) -> Value {
    serde_json::from_str(&value.to_string()).unwrap_or(Value::Null)
}

/// `{"id": "107"}`: how a reference is written.
pub(crate) fn reference(id: &str) -> Value {
    let mut map = Map::new();
    map.insert("id".to_owned(), Value::String(id.to_owned()));
    Value::Object(map)
}

/// A text as it has to be sent: the vendor wants line breaks escaped once more (REST web services, limitations).
pub(crate) fn text_out(text: &str) -> String {
    text.replace("\r\n", "\\n").replace('\n', "\\n").replace('\r', "\\r")
}

/// The way back of [`text_out`].
pub(crate) fn text_in(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\r", "\r")
}

/// A member that is text or a number, as text; empty is absent.
pub(crate) fn text(value: &Value, name: &str) -> Option<String> {
    scalar(value.get(name)?)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The id of a reference or an enumeration.
pub(crate) fn id(value: &Value, name: &str) -> Option<String> {
    let member = value.get(name)?;
    scalar(member).or_else(|| scalar(member.get("id")?))
}

/// What a reference is called there.
pub(crate) fn ref_name(value: &Value, name: &str) -> Option<String> {
    scalar(value.get(name)?.get("refName")?)
}

/// A number, also where it comes as text or with a percent sign.
pub(crate) fn decimal(value: &Value, name: &str) -> Option<Decimal> {
    let text = text(value, name)?;
    let text = text.trim().trim_end_matches('%').trim_end();
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

/// A truth value in any of the forms that the services use.
pub(crate) fn truth(value: &Value, name: &str) -> bool {
    match value.get(name) {
        Some(Value::Bool(truth)) => *truth,
        Some(Value::String(text)) => matches!(text.as_str(), "T" | "t" | "true" | "TRUE"),
        _ => false,
    }
}

/// The rows of a sublist, expanded; none where it is missing or only linked.
pub(crate) fn rows<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(|list| list.get("items")).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether `actual` already says what `wanted` says: numbers by value, references by id, texts
/// exactly; members that `wanted` does not name are not looked at.
pub(crate) fn says(actual: Option<&Value>, wanted: &Value) -> bool {
    let Some(actual) = actual else {
        return is_nothing(wanted);
    };
    match wanted {
        Value::Null => is_nothing(actual),
        Value::Bool(wanted) => match actual {
            Value::Bool(actual) => actual == wanted,
            Value::String(_) => {
                let mut holder = Map::new();
                holder.insert("v".to_owned(), actual.clone());
                truth(&Value::Object(holder), "v") == *wanted
            }
            _ => false,
        },
        Value::Number(_) => match (as_decimal(actual), as_decimal(wanted)) {
            (Some(actual), Some(wanted)) => actual == wanted,
            _ => false,
        },
        Value::String(wanted) => {
            let actual = scalar(actual).or_else(|| scalar(actual.get("id")?)).unwrap_or_default();
            text_in(actual.trim()) == text_in(wanted.trim())
        }
        Value::Object(members) => match (members.get("id"), actual) {
            (Some(id), _) if members.len() == 1 => {
                let actual = scalar(actual).or_else(|| scalar(actual.get("id")?));
                actual.is_some() && actual == scalar(id)
            }
            (_, Value::Object(actual)) => members.iter().all(|(name, wanted)| says(actual.get(name), wanted)),
            _ => false,
        },
        Value::Array(wanted) => match actual {
            Value::Array(actual) => {
                actual.len() == wanted.len() && actual.iter().zip(wanted).all(|(actual, wanted)| says(Some(actual), wanted))
            }
            _ => false,
        },
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn as_decimal(value: &Value) -> Option<Decimal> {
    let text = scalar(value)?;
    Decimal::from_str_exact(text.trim()).or_else(|_| Decimal::from_scientific(text.trim())).ok()
}

/// Our key as an external id: NetSuite takes letters, digits, `_` and `-` (External IDs); any other
/// character becomes `_u<hex>_`, and so does the `_` that could be mistaken for such.
pub(crate) fn external_id(prefix: &str, key: &str) -> String {
    let mut out = prefix.to_owned();
    let mut rest = key.chars().peekable();
    while let Some(c) = rest.next() {
        let mistakable = c == '_' && rest.peek() == Some(&'u');
        if (c.is_ascii_alphanumeric() || c == '-' || c == '_') && !mistakable {
            out.push(c);
        } else {
            out.push_str(&format!("_u{:x}_", u32::from(c)));
        }
    }
    out
}

/// The way back of [`external_id`]; `None` for one that is not ours.
pub(crate) fn key_of_external_id(prefix: &str, external_id: &str) -> Option<String> {
    let mut rest = external_id.strip_prefix(prefix).filter(|rest| !rest.is_empty())?;
    let mut key = String::new();
    while let Some(at) = rest.find("_u") {
        let (plain, escape) = rest.split_at(at);
        key.push_str(plain);
        let (hex, after) = escape.get(2..)?.split_once('_')?;
        key.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
        rest = after;
    }
    key.push_str(rest);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(number(Decimal::new(10000, 2)).to_string(), "100.00");
        assert_eq!(number(Decimal::new(-5, 3)).to_string(), "-0.005");
    }

    #[test]
    fn an_external_id_reads_back_as_its_key() {
        for key in ["1042", "SE-1042", "a_b", "a_ub", "#1/2|x", "_u2f_", "é", "u", "__u"] {
            let id = external_id("so_", key);
            assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'), "{id}");
            assert_eq!(key_of_external_id("so_", &id).as_deref(), Some(key), "{id}");
        }
        assert_eq!(external_id("so_", "SE-1042"), "so_SE-1042");
        assert_eq!(key_of_external_id("so_", "inv_7"), None);
        assert_eq!(key_of_external_id("so_", "so__uZZ_"), None);
    }

    #[test]
    fn what_is_said_is_found_in_every_form() {
        assert!(says(Some(&json!({"id": "7", "refName": "X"})), &json!({"id": "7"})));
        assert!(says(Some(&json!({"id": 7})), &json!({"id": "7"})));
        assert!(says(Some(&json!("7")), &json!({"id": "7"})));
        assert!(!says(Some(&json!({"id": "8"})), &json!({"id": "7"})));
        assert!(says(Some(&json!("2.0")), &json!(2)));
        assert!(!says(Some(&json!(2.01)), &json!(2)));
        assert!(says(None, &Value::Null));
        assert!(!says(Some(&json!("left over")), &Value::Null));
        assert!(says(Some(&json!({"id": "B", "refName": "Pending Fulfillment"})), &json!("B")));
        assert!(says(Some(&json!("T")), &json!(true)));
    }
}
