//! One account's calls: the key in a header, a leaky bucket, pages by number, answers sorted.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use selvedge_connector::{
    Answer, Budget, BudgetWindow, Call, Clock, Cursor, Effect, Fault, Priority, Request, Secret, Session, redact,
    session::HeaderText,
};
use selvedge_model::Problem;
use serde_json::Value;

use crate::complaint::cause_of;

/// A bucket of a hundred that drains five a second: a hundred in twenty seconds, refilled at a constant rate.
pub(super) fn budget() -> Budget {
    let window = BudgetWindow { name: "requests", quota: 100, per: std::time::Duration::from_secs(20) };
    Budget { windows: vec![window] }
}

/// A way into one account.
#[derive(Clone)]
pub(super) struct Client {
    pub session: Arc<Session>,
    clock: Arc<dyn Clock>,
    base_url: Arc<str>,
    api_key: Secret,
    page_size: u64,
}

/// One call.
pub(super) struct Ask<'a> {
    pub what: String,
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    pub body: Option<&'a Value>,
    pub effect: Effect,
    pub priority: Priority,
}

impl Ask<'_> {
    pub fn get(what: impl Into<String>, path: impl Into<String>, priority: Priority) -> Self {
        Self { what: what.into(), method: "GET", path: path.into(), body: None, effect: Effect::Read, priority }
    }
}

impl<'a> Ask<'a> {
    /// The write that a request is.
    pub fn of(request: &'a Request, priority: Priority) -> Self {
        Self {
            what: request.what.clone(),
            method: if request.method == "PUT" { "PUT" } else { "POST" },
            path: request.path.clone(),
            body: Some(&request.body),
            effect: Effect::Write,
            priority,
        }
    }
}

/// One page of a list.
pub(super) struct Rows {
    pub rows: Vec<Value>,
    pub next: Option<Cursor>,
}

impl Client {
    pub fn new(session: Arc<Session>, clock: Arc<dyn Clock>, base_url: &str, api_key: Secret, page_size: u64) -> Self {
        Self { session, clock, base_url: base_url.into(), api_key, page_size }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The answer, whatever its status.
    pub async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Fault> {
        let mut headers = vec![
            ("x-api-key", HeaderText::Hidden(self.api_key.clone())),
            ("accept", HeaderText::Plain("application/json".to_owned())),
        ];
        if ask.body.is_some() {
            headers.push(("content-type", HeaderText::Plain("application/json".to_owned())));
        }
        let body: Bytes = ask.body.map(|body| body.to_string().into()).unwrap_or_default();
        let call = Call {
            what: ask.what.clone(),
            method: ask.method,
            url: format!("{}{}", self.base_url, ask.path),
            headers,
            body,
            effect: ask.effect,
            priority: ask.priority,
            costs: vec![("requests", 1)],
        };
        self.session.send(call).await
    }

    /// A successful answer's JSON; `None` for a 404 of a read.
    pub async fn json(&self, ask: &Ask<'_>) -> Result<Option<Value>, Fault> {
        let answer = self.ask(ask).await?;
        match answer.status {
            204 => Ok(Some(Value::Null)),
            404 if ask.effect == Effect::Read => Ok(None),
            200..=299 => match serde_json::from_slice(&answer.body) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(lost(ask, format!("the answer is no JSON or cut short: {error}"))),
            },
            _ => Err(fault(ask, &answer)),
        }
    }

    /// One page of a list. Its end is told by a header, and by a short page where that is missing.
    pub async fn page(
        &self,
        what: &str,
        path: &str,
        query: &[(&str, &str)],
        page: Option<&Cursor>,
        priority: Priority,
    ) -> Result<Rows, Fault> {
        let number: u64 = page.and_then(|Cursor(text)| text.parse().ok()).unwrap_or(1);
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .append_pair("page", &number.to_string())
            .append_pair("page_size", &self.page_size.to_string())
            .finish();
        let ask = Ask::get(what, format!("{path}?{query}"), priority);
        let answer = self.ask(&ask).await?;
        if answer.status != 200 {
            return Err(fault(&ask, &answer));
        }
        let rows: Vec<Value> = serde_json::from_slice(&answer.body)
            .map_err(|error| lost(&ask, format!("the list is no JSON list or cut short: {error}")))?;
        let pages: Option<u64> = answer.header("x-total-pages-count").and_then(|text| text.trim().parse().ok());
        let full = u64::try_from(rows.len()).unwrap_or(u64::MAX) >= self.page_size;
        let more = !rows.is_empty() && pages.map_or(full, |pages| number < pages);
        Ok(Rows { rows, next: more.then(|| Cursor(number.saturating_add(1).to_string())) })
    }
}

/// The pages of one answer after another, before it is taken for a circle.
const PAGES_MAX: usize = 1_000;

impl Client {
    /// All rows of a list.
    pub async fn all(&self, what: &str, path: &str, query: &[(&str, &str)], priority: Priority) -> Result<Vec<Value>, Fault> {
        let (mut rows, mut page) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let read = self.page(what, path, query, page.as_ref(), priority).await?;
            rows.extend(read.rows);
            match read.next {
                Some(next) => page = Some(next),
                None => return Ok(rows),
            }
        }
        Err(Fault::Unexpected { what: what.to_owned(), detail: format!("more than {PAGES_MAX} pages") })
    }
}

/// What an error body says: an object with messages, a list, a text or a page.
fn message(body: &[u8]) -> String {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let list = |value: &Value| {
        let texts: Vec<String> = value.as_array()?.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    };
    let found = list(&told["error_messages"])
        .or_else(|| list(&told))
        .or_else(|| ["error_messages", "error", "message"].iter().find_map(|name| told[*name].as_str().map(str::to_owned)))
        .or_else(|| told.as_str().map(str::to_owned));
    match found {
        Some(text) if !text.trim().is_empty() => {
            redact::sentence(&text.split_whitespace().collect::<Vec<_>>().join(" ")).chars().take(300).collect()
        }
        _ if body.trim_ascii().is_empty() => "no reason given".to_owned(),
        _ => redact::excerpt(body, 300),
    }
}

fn lost(ask: &Ask<'_>, why: String) -> Fault {
    let what = ask.what.clone();
    match ask.effect {
        Effect::Read => Fault::Transient { what, source: Some(why.into()) },
        Effect::Write => Fault::Unanswered { what, source: Some(why.into()) },
    }
}

/// The fault that an answer is. A 500 to a write can also mean bad data, and it may have taken effect before it: it is
/// looked for, sent again, and held after some tries, which is what becomes of an answer that nobody understands.
pub(super) fn fault(ask: &Ask<'_>, answer: &Answer) -> Fault {
    let (what, said) = (ask.what.clone(), message(&answer.body));
    match answer.status {
        400 | 404 | 409 | 422 => {
            let remedy = if answer.status == 404 {
                "Veeqo does not know an id in it: the store, the item, the customer or the delivery method. Map what is gone anew, then release."
            } else {
                "Mend what Veeqo names, there or at the source, then release."
            };
            let problem = Problem::new("target.refused", "", format!("Veeqo: {said}"), remedy);
            Fault::Refused { what, problems: vec![problem.cause(cause_of(&said))] }
        }
        401 | 403 => Fault::Unauthorized { what, detail: format!("{said} (a wrong key, or unpaid invoices of the account)") },
        429 => Fault::Throttled { what, wait: None },
        500 if ask.effect == Effect::Write => {
            let why = "Veeqo answers so to attributes that it does not take, too";
            Fault::Unexpected { what, detail: format!("HTTP 500: {said} ({why})") }
        }
        500..=599 | 408 => lost(ask, format!("HTTP {}: {said}", answer.status)),
        status => Fault::Unexpected { what, detail: format!("HTTP {status}: {said}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_an_answer_names_is_not_told() {
        let document =
            r#"{"status":"odd","deliver_to":{"first_name":"Ada","email":"ada@example.com"},"customer":{"name":"Ada L"}}"#;
        for body in [document, &document[..document.len() - 2], r#"{"error_messages":["odd: ask ada@example.com"]}"#] {
            for status in [302, 400, 401, 500] {
                let ask = Ask::get("x", "/orders", Priority::Orders);
                let answer = Answer { status, headers: vec![], body: body.as_bytes().to_vec().into() };
                let told = format!("{:?}", fault(&ask, &answer));
                assert!(told.contains("odd"), "{told}");
                assert!(!told.contains("Ada") && !told.contains("example.com"), "{told}");
            }
        }
    }
}
