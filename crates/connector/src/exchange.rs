//! What was said and answered in one piece of work: evidence for a person who has to find out why a target refused.
//!
//! Whoever wants it runs the work inside [`watched`]; the session notes each call there, and nowhere else. Kept is the last
//! call that wrote, or the last one at all where none did. Headers, the query of the address and calls about credentials are
//! never noted. What could name a person or open a door is taken out by [`Noted::told`] ([`crate::redact`]).

use std::{cell::RefCell, future::Future};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    fault::Fault,
    redact,
    session::{Answer, Call, Effect, HeaderText, Priority},
};

/// The longest text of a request or an answer, in characters.
const TEXT_CHARS_MAX: usize = 16_000;

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
            Ok((status, body)) => (Some(*status), cut(&redact::whole(body, false))),
            Err(why) => (None, cut(&redact::sentence(why))),
        };
        Exchange {
            what: self.what.clone(),
            method: self.method.to_owned(),
            url: self.url.clone(),
            request: cut(&redact::whole(&self.request, self.form)),
            status,
            answer,
        }
    }
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
    fn it_is_bounded() {
        let long = format!("[{}1]", "1,".repeat(50_000));
        assert!(cut(&redact::whole(&Bytes::from(long), false)).chars().count() < TEXT_CHARS_MAX + 100);
        let larger = Bytes::from(vec![b'x'; (1 << 20) + 1]);
        assert_eq!(redact::whole(&larger, false), "(1048577 bytes, too many to be kept)");
    }
}
