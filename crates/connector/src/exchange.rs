//! What was said and answered in one piece of work: evidence for a person who has to find out why a target refused.
//!
//! Whoever wants it runs the work inside [`watched`]; the session notes each call there, and nowhere else. Kept is the last
//! call that wrote, or the last one at all where none did. Headers, the query of the address and calls about credentials are
//! never noted. What could name a person or open a door is taken out by [`Noted::told`], by the names of the fields: too
//! much rather than too little.

use std::{cell::RefCell, future::Future};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    fault::Fault,
    session::{Answer, Call, Effect, HeaderText, Priority},
};

/// The longest text of a request or an answer, in characters.
const TEXT_CHARS_MAX: usize = 16_000;
/// The largest body that is looked into, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

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
/// Fields that open a door.
const SECRET: [&str; 9] =
    ["token", "secret", "password", "authorization", "signature", "apikey", "credential", "cardnumber", "cvv"];

tokio::task_local! {
    static NOTED: RefCell<Option<Noted>>;
}

/// A call as it was made, not yet fit to be kept.
pub struct Noted {
    what: String,
    method: &'static str,
    url: String,
    form: bool,
    request: Bytes,
    wrote: bool,
    answer: Result<(u16, Bytes), String>,
}

/// A call as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// What it was for.
    pub what: String,
    /// The HTTP method.
    pub method: String,
    /// The address, without its query.
    pub url: String,
    /// What was sent.
    pub request: String,
    /// The status of the answer; none when there was none.
    pub status: Option<u16>,
    /// What was answered, or why nothing was.
    pub answer: String,
}

/// Does the work, and says with its result what was last said and answered in it.
pub async fn watched<T>(work: impl Future<Output = T>) -> (T, Option<Noted>) {
    NOTED
        .scope(RefCell::new(None), async {
            let result = work.await;
            (result, NOTED.with(RefCell::take))
        })
        .await
}

/// Notes a call, where anybody watches.
pub(crate) fn note(call: &Call, result: &Result<Answer, Fault>) {
    if call.priority == Priority::Control {
        return;
    }
    let wrote = call.effect == Effect::Write;
    // Nobody watches: most calls.
    let _ = NOTED.try_with(|noted| {
        if noted.borrow().as_ref().is_some_and(|before| before.wrote && !wrote) {
            return;
        }
        let is_form = |(name, value): &(&str, HeaderText)| {
            name.eq_ignore_ascii_case("content-type")
                && matches!(value, HeaderText::Plain(text) if text.contains("form-urlencoded"))
        };
        noted.replace(Some(Noted {
            what: call.what.clone(),
            method: call.method,
            url: call.url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            form: call.headers.iter().any(is_form),
            request: call.body.clone(),
            wrote,
            answer: match result {
                Ok(answer) => Ok((answer.status, answer.body.clone())),
                Err(fault) => Err(fault.to_string()),
            },
        }));
    });
}

impl Noted {
    /// The same, redacted and cut: fit to be kept and to be shown.
    pub fn told(&self) -> Exchange {
        let (status, answer) = match &self.answer {
            Ok((status, body)) => (Some(*status), redacted(body, false)),
            Err(why) => (None, cut(&without_mail(why))),
        };
        Exchange {
            what: self.what.clone(),
            method: self.method.to_owned(),
            url: self.url.clone(),
            request: redacted(&self.request, self.form),
            status,
            answer,
        }
    }
}

fn redacted(body: &Bytes, form: bool) -> String {
    if body.len() > BODY_BYTES_MAX {
        return format!("({} bytes, too many to be kept)", body.len());
    }
    if let Ok(mut value) = serde_json::from_slice::<Value>(body) {
        mask(&mut value);
        return cut(&serde_json::to_string_pretty(&value).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(body);
    if form {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => match hidden(name, value) {
                Some(hidden) => format!("{name}={hidden}"),
                // A form may carry a document in a field.
                None => match serde_json::from_str::<Value>(&percent_encoding::percent_decode_str(value).decode_utf8_lossy()) {
                    Ok(mut document) => {
                        mask(&mut document);
                        format!("{name}={document}")
                    }
                    Err(_) => format!("{name}={}", without_mail(value)),
                },
            },
            None => pair.to_owned(),
        };
        return cut(&text.split('&').map(pair).collect::<Vec<_>>().join("\n"));
    }
    // Nobody knows which of its words are names: of a text that is no document only the beginning is told, for what it says of
    // itself.
    if text.trim_start().starts_with('<') {
        format!("({} bytes of markup, not kept)", body.len())
    } else {
        cut(&without_mail(&text))
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) => {
                        *text = hidden(name, text).unwrap_or_else(|| without_mail(text));
                    }
                    Value::Number(_) if hidden(name, "0").is_some() => *value = Value::String("(hidden)".to_owned()),
                    other => mask(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) => *text = without_mail(text),
        _ => {}
    }
}

/// What stands in place of a value, if its field is not shown.
fn hidden(name: &str, value: &str) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if SECRET.iter().any(|part| name.contains(part)) {
        return Some("(secret)".to_owned());
    }
    PERSONAL.iter().any(|part| name.contains(part)).then(|| format!("(personal, {} characters)", value.chars().count()))
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

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}\n… ({} bytes more)", text.get(..end).unwrap_or_default(), text.len() - end),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(effect: Effect, body: &'static str) -> Call {
        Call {
            what: "create order so_1".into(),
            method: "POST",
            url: "https://erp.example/orders?token=abc".into(),
            headers: Vec::new(),
            body: Bytes::from_static(body.as_bytes()),
            effect,
            priority: Priority::Orders,
            costs: Vec::new(),
        }
    }

    fn answer(body: &'static str) -> Result<Answer, Fault> {
        Ok(Answer { status: 400, headers: Vec::new(), body: Bytes::from_static(body.as_bytes()) })
    }

    #[tokio::test]
    async fn the_last_write_is_kept_and_a_read_only_where_none_was() {
        let reads = watched(async {
            note(&call(Effect::Read, "{}"), &answer("{\"one\":1}"));
            note(&call(Effect::Read, "{}"), &answer("{\"two\":2}"));
        });
        assert!(reads.await.1.unwrap().told().answer.contains("two"));
        let writes = watched(async {
            note(&call(Effect::Write, "{}"), &answer("{\"written\":1}"));
            note(&call(Effect::Read, "{}"), &answer("{\"read\":1}"));
            note(&Call { priority: Priority::Control, ..call(Effect::Write, "{}") }, &answer("{\"token\":1}"));
        });
        let told = writes.await.1.unwrap().told();
        assert!(told.answer.contains("written"));
        assert_eq!((told.url.as_str(), told.status), ("https://erp.example/orders", Some(400)));
        assert!(watched(async {}).await.1.is_none());
        note(&call(Effect::Write, "{}"), &answer("nobody watches"));
    }

    #[tokio::test]
    async fn two_at_once_in_one_task_do_not_mix() {
        let one = watched(async {
            note(&call(Effect::Write, "{}"), &answer("\"one\""));
            tokio::task::yield_now().await;
        });
        let other = watched(async {
            tokio::task::yield_now().await;
            note(&call(Effect::Write, "{}"), &answer("\"other\""));
        });
        let (one, other) = tokio::join!(one, other);
        assert_eq!((one.1.unwrap().told().answer, other.1.unwrap().told().answer), ("\"one\"".into(), "\"other\"".into()));
    }

    #[test]
    fn people_and_secrets_do_not_show() {
        let body = r#"{"order":{"number":"1042","shipTo":{"addressee":"Ada Lovelace","addr1":"Storgatan 1","zip":11122,"country":"SE"},
            "memo":"write to ada@example.com, please","items":[{"sku":"A-1","quantity":2}]},"client_secret":"s3cret"}"#;
        let told = redacted(&Bytes::from_static(body.as_bytes()), false);
        for gone in ["Ada", "Storgatan", "11122", "example.com", "s3cret"] {
            assert!(!told.contains(gone), "{gone}: {told}");
        }
        for there in ["1042", "SE", "A-1", "(personal, 12 characters)", "(secret)", "write to (e-mail), please"] {
            assert!(told.contains(there), "{there}: {told}");
        }
        let form = redacted(&Bytes::from_static(b"token=abc&order=%7B%22email%22%3A%22a%40b.se%22%7D&pkId=7"), true);
        assert_eq!(form, "token=(secret)\norder={\"email\":\"(personal, 6 characters)\"}\npkId=7");
        assert!(!redacted(&Bytes::from_static(b"<Name>Ada</Name>"), false).contains("Ada"));
        assert_eq!(without_mail("a@b is no address, at@ neither"), "a@b is no address, at@ neither");
    }

    #[test]
    fn it_is_bounded() {
        let long = format!("[{}1]", "1,".repeat(50_000));
        assert!(redacted(&Bytes::from(long), false).chars().count() < TEXT_CHARS_MAX + 100);
        let larger = Bytes::from(vec![b'x'; BODY_BYTES_MAX + 1]);
        assert_eq!(redacted(&larger, false), "(1048577 bytes, too many to be kept)");
    }
}
