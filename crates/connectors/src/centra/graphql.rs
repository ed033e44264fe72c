//! One POST, and what its answer means.
//!
//! Sorting the answer is pure ([`sort`]); only [`Api::ask`] talks. The rules are those of Centra's
//! documentation on handling errors: a 200 may carry top-level errors, and a mutation that failed
//! says so in `userErrors` under a 200 too.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use selvedge_connector::{
    Answer, Budget, BudgetWindow, Call, Clock, Effect, Fault, Priority, Receipt, Secret, Session, redact, session::HeaderText,
};
use selvedge_model::{ExternalId, Problem};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    operations::{self, Operation},
    wire::{Envelope, Extensions, Payload, RateLimits, id_text},
};

/// How often the rate limits are read. Centra may change them at any time.
const LIMITS_EVERY: Duration = Duration::from_secs(300);
/// How soon they are read again after it failed.
const LIMITS_RETRY: Duration = Duration::from_secs(30);

/// One instance's Integration API.
#[derive(Debug)]
pub struct Api {
    session: Arc<Session>,
    clock: Arc<dyn Clock>,
    url: String,
    token: Secret,
    /// Names of optional parts that this instance has refused.
    unknown: Mutex<BTreeSet<&'static str>>,
    limits_due: Mutex<Option<Timestamp>>,
}

/// A usable answer.
#[derive(Debug)]
pub struct Reply {
    what: String,
    data: Bytes,
    /// What the call cost and needed.
    pub extensions: Extensions,
    /// The server's own time, where it states one.
    pub date: Option<String>,
}

impl Reply {
    /// The data in their shape.
    ///
    /// # Errors
    /// [`Fault::Unexpected`] when it has another shape.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Fault> {
        serde_json::from_slice(&self.data).map_err(|error| Fault::Unexpected {
            what: self.what.clone(),
            detail: format!("the data has another shape than Centra documents: {error}"),
        })
    }

    /// The bytes of a part of the data, without copying them.
    pub fn bytes_of(&self, part: &RawValue) -> Bytes {
        part_of(&self.data, part)
    }

    /// The warnings of a mutation.
    ///
    /// # Errors
    /// [`Fault::Refused`] with the `userErrors` of any of its fields, [`Fault::Unexpected`].
    pub fn payload(&self) -> Result<Vec<String>, Fault> {
        let fields: std::collections::BTreeMap<String, Payload> = self.read()?;
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        for payload in fields.values() {
            problems.extend(payload.user_errors.iter().map(|error| {
                Problem::new(
                    "source.refused",
                    error.path_text(),
                    error.message.clone(),
                    "Mend what Centra names, at the place that it names.",
                )
            }));
            warnings.extend(payload.user_warnings.iter().map(|warning| match warning.path_text().as_str() {
                "" => warning.message.clone(),
                path => format!("{} ({path})", warning.message),
            }));
        }
        if problems.is_empty() { Ok(warnings) } else { Err(Fault::Refused { what: self.what.clone(), problems }) }
    }

    /// What a mutation that makes or changes one `node` came to: the node's id in the payload, else the one that was
    /// changed. A refusal is put in the words of `refusal`.
    ///
    /// # Errors
    /// [`Reply::payload`]'s; [`Fault::Unanswered`] when all that is complained of is a breakdown: an error that passes is
    /// worded like one of ours, and whether anything was done only a look tells.
    pub fn receipt(&self, node: &str, update: Option<&ExternalId>, refusal: fn(Problem) -> Problem) -> Result<Receipt, Fault> {
        match self.payload() {
            Ok(warnings) => Ok(Receipt { id: self.made(node).or_else(|| update.cloned()), warnings }),
            Err(Fault::Refused { what, problems }) if problems.iter().all(|p| smells_of_a_breakdown(&p.message)) => {
                let said = problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("; ");
                Err(Fault::Unanswered { what, source: Some(said.into()) })
            }
            Err(Fault::Refused { what, problems }) => {
                Err(Fault::Refused { what, problems: problems.into_iter().map(refusal).collect() })
            }
            Err(fault) => Err(fault),
        }
    }

    fn made(&self, node: &str) -> Option<ExternalId> {
        let data: Value = self.read().ok()?;
        let payload = data.as_object()?.values().next()?;
        id_text(&payload[node]["id"]).map(ExternalId::new)
    }
}

fn effect_of(operation: &Operation) -> Effect {
    if operation.mutations > 0 { Effect::Write } else { Effect::Read }
}

impl Api {
    /// No call is made.
    pub fn new(session: Arc<Session>, clock: Arc<dyn Clock>, base_url: &str, token: Secret) -> Self {
        Self {
            session,
            clock,
            url: format!("{base_url}/graphql"),
            token,
            unknown: Mutex::default(),
            limits_due: Mutex::default(),
        }
    }

    /// The clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs one operation: one call, one effect, no repeats. Reads the rate limits before it when
    /// they were not read lately.
    ///
    /// # Errors
    /// See [`sort`], and what the session refuses or loses.
    pub async fn ask(
        &self,
        operation: &'static Operation,
        variables: Value,
        what: &str,
        priority: Priority,
    ) -> Result<Reply, Fault> {
        self.session.permits(effect_of(operation), what)?;
        self.keep_limits().await;
        self.send(operation, variables, what, priority).await
    }

    async fn send(
        &self,
        operation: &'static Operation,
        variables: Value,
        what: &str,
        priority: Priority,
    ) -> Result<Reply, Fault> {
        let effect = effect_of(operation);
        let unknown = unpoisoned(&self.unknown).clone();
        let query = operation.text(&unknown);
        let body = json!({ "query": query, "operationName": operation.name, "variables": variables });
        let mut costs = vec![("requests", 1)];
        if operation.mutations > 0 {
            costs.push(("mutations", operation.mutations));
        }
        let call = Call {
            what: what.to_owned(),
            method: "POST",
            url: self.url.clone(),
            headers: vec![
                ("content-type", HeaderText::Plain("application/json".to_owned())),
                ("accept", HeaderText::Plain("application/json".to_owned())),
                ("authorization", HeaderText::Hidden(Secret::new(format!("Bearer {}", self.token.reveal())))),
            ],
            body: body.to_string().into(),
            effect,
            priority,
            costs,
        };
        let answer = self.session.send(call).await?;
        let sorted = sort(what, operation, effect, &unknown, &answer);
        if let Some(complexity) = sorted.complexity {
            self.session.charge("complexity", complexity);
        }
        if !sorted.refused.is_empty() {
            self.leave_out(&sorted.refused);
        }
        sorted.result
    }

    /// Leaves these optional parts out from now on.
    pub fn leave_out(&self, names: &BTreeSet<&'static str>) {
        let mut unknown = unpoisoned(&self.unknown);
        for name in names {
            if unknown.insert(name) {
                tracing::info!(name, "an optional part of the schema is left out from now on: not known there, or not wanted");
            }
        }
    }

    /// Reads the rate limits when it is time. A failure costs nothing but the news: the session
    /// goes on with what it knows.
    async fn keep_limits(&self) {
        let now = self.clock.now();
        {
            let mut due = unpoisoned(&self.limits_due);
            if due.is_some_and(|at| now < at) {
                return;
            }
            // Noted before the call, so that concurrent callers do not all ask.
            *due = now.checked_add(LIMITS_EVERY).ok();
        }
        if let Err(fault) = self.read_limits().await {
            *unpoisoned(&self.limits_due) = self.clock.now().checked_add(LIMITS_RETRY).ok();
            tracing::debug!(fault = fault.word(), detail = %fault, "the rate limits could not be read; the last known ones stay");
        }
    }

    /// Reads the rate limits and hands them to the session.
    ///
    /// # Errors
    /// As [`Api::ask`].
    pub async fn read_limits(&self) -> Result<RateLimits, Fault> {
        let reply = self.send(&operations::RATE_LIMITS, json!({}), "read the rate limits", Priority::Control).await?;
        let limits: RateLimits = reply.read()?;
        let (windows, used): (Vec<BudgetWindow>, Vec<u64>) = windows(&limits).into_iter().unzip();
        if !windows.is_empty() {
            self.session.learn(Budget { windows }, &used);
        }
        Ok(limits)
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The windows that we know how to charge, each with what is used of it.
pub fn windows(limits: &RateLimits) -> Vec<(BudgetWindow, u64)> {
    let rows = limits.rows.iter().filter_map(|row| {
        let name = match row.kind.as_str() {
            "REQUEST_COUNT" => "requests",
            "MUTATION_COUNT" => "mutations",
            "QUERY_COMPLEXITY" => "complexity",
            _ => return None,
        };
        let seconds = match &row.interval {
            Value::String(word) if word == "TEN_SECONDS" => 10,
            Value::String(word) if word == "ONE_HOUR" => 3600,
            Value::Number(number) => number.as_u64().filter(|s| *s > 0)?,
            _ => return None,
        };
        // A quota of nothing would stop the connection for good; it cannot be meant.
        (row.quota > 0).then(|| (BudgetWindow { name, quota: row.quota, per: Duration::from_secs(seconds) }, row.used))
    });
    rows.collect()
}

/// What an instance grants on the default plan ("Growth"), until it has told.
pub fn default_budget() -> Budget {
    let window = |name, quota, seconds| BudgetWindow { name, quota, per: Duration::from_secs(seconds) };
    Budget {
        windows: vec![
            window("requests", 60, 10),
            window("requests", 5_000, 3600),
            window("mutations", 20, 10),
            window("mutations", 1_800, 3600),
            window("complexity", 250_000, 10),
            window("complexity", 30_000_000, 3600),
        ],
    }
}

/// An answer, sorted.
#[derive(Debug)]
pub struct Sorted {
    /// What the call came to.
    pub result: Result<Reply, Fault>,
    /// What it took from the complexity bucket, where the answer says.
    pub complexity: Option<u64>,
    /// Optional parts that the instance does not know.
    pub refused: BTreeSet<&'static str>,
}

/// Pure: what an answer means.
///
/// | answer | means |
/// |---|---|
/// | 200 with data alone | the reply |
/// | 200 that is no JSON, or cut short | [`Fault::Transient`]; after a mutation [`Fault::Unanswered`] |
/// | an error of the category `authorization`, at any status | [`Fault::Unauthorized`] with Centra's words, which name the permission |
/// | 200 with errors that smell of a breakdown | [`Fault::Transient`]; after a mutation [`Fault::Unanswered`] |
/// | 200 with other errors, also beside data | [`Fault::Unexpected`]: half an answer is never used |
/// | 400 | [`Fault::Unexpected`] with the error; [`Fault::Transient`] if leaving optional parts out may help |
/// | 401, 403 | [`Fault::Unauthorized`]: Centra answers 403 for a wrong *or expired* token |
/// | 429 | [`Fault::Throttled`] (the session has seen to the pause) |
/// | 499, 408, 5xx | [`Fault::Transient`]; after a mutation [`Fault::Unanswered`], as it may have taken effect |
/// | anything else | [`Fault::Unexpected`] |
pub fn sort(what: &str, operation: &Operation, effect: Effect, unknown: &BTreeSet<&'static str>, answer: &Answer) -> Sorted {
    let envelope: Result<Envelope<'_>, serde_json::Error> = serde_json::from_slice(&answer.body);
    let complexity = envelope.as_ref().ok().and_then(|e| e.extensions.as_ref()).and_then(|e| e.complexity);
    let mut refused = BTreeSet::new();
    let result = match envelope {
        Ok(envelope) => {
            let errors = envelope.errors.iter().flatten();
            let messages: Vec<String> =
                errors.map(|error| redact::sentence(&error.message).chars().take(300).collect()).collect();
            if matches!(answer.status, 200 | 400) {
                refused = operation.refused_names(&messages, unknown);
            }
            with_envelope(what, effect, answer, envelope, &messages, &refused)
        }
        Err(error) if answer.status == 200 => {
            Err(lost(what, effect, format!("the answer is no JSON or cut short: {error}; {}", excerpt(&answer.body))))
        }
        Err(_) => Err(by_status(what, effect, answer, &excerpt(&answer.body))),
    };
    Sorted { result, complexity, refused }
}

fn with_envelope(
    what: &str,
    effect: Effect,
    answer: &Answer,
    envelope: Envelope<'_>,
    messages: &[String],
    refused: &BTreeSet<&'static str>,
) -> Result<Reply, Fault> {
    let errors = envelope.errors.unwrap_or_default();
    let joined = messages.join("; ");
    let category = |word: &str| errors.iter().any(|e| e.extensions.as_ref().and_then(|x| x.category.as_deref()) == Some(word));
    if category("authorization") {
        return Err(Fault::Unauthorized { what: what.to_owned(), detail: joined });
    }
    match answer.status {
        200 if errors.is_empty() => {}
        200 | 400 if !errors.is_empty() => {
            return Err(if !refused.is_empty() {
                // Validation refuses before anything runs, so nothing has happened, also to a mutation.
                Fault::Transient {
                    what: what.to_owned(),
                    source: Some(format!("the instance does not know {}; asked again without: {joined}", list(refused)).into()),
                }
            } else if answer.status == 200 && (category("internal") || smells_of_a_breakdown(&joined)) {
                lost(what, effect, joined)
            } else {
                Fault::Unexpected { what: what.to_owned(), detail: format!("Centra answered with errors: {joined}") }
            });
        }
        _ => {
            return Err(by_status(what, effect, answer, if joined.is_empty() { "no reason given" } else { &joined }));
        }
    }
    let Some(data) = envelope.data else {
        return Err(Fault::Unexpected {
            what: what.to_owned(),
            detail: format!("neither data nor errors: {}", excerpt(&answer.body)),
        });
    };
    Ok(Reply {
        what: what.to_owned(),
        data: part_of(&answer.body, data),
        extensions: envelope.extensions.unwrap_or_default(),
        date: answer.header("date").map(str::to_owned),
    })
}

fn by_status(what: &str, effect: Effect, answer: &Answer, said: &str) -> Fault {
    let what_owned = what.to_owned();
    match answer.status {
        401 => Fault::Unauthorized { what: what_owned, detail: format!("the token is wrong (401): {said}") },
        403 => Fault::Unauthorized {
            what: what_owned,
            detail: format!(
                "the token is wrong or has expired (403; Centra's tokens live 30 days unless made otherwise): {said}"
            ),
        },
        429 => Fault::Throttled { what: what_owned, wait: None },
        408 | 499 | 500..=599 => lost(what, effect, format!("HTTP {}: {said}", answer.status)),
        404 => Fault::Unexpected {
            what: what_owned,
            detail: format!("HTTP 404: there is no Integration API at this base_url: {said}"),
        },
        status => Fault::Unexpected { what: what_owned, detail: format!("HTTP {status}: {said}") },
    }
}

/// The bytes of a part of a whole that it was read out of. A page of orders is a few megabytes,
/// and every order in it shares them.
pub fn part_of(whole: &Bytes, part: &RawValue) -> Bytes {
    let part = part.get().as_bytes();
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr());
    let range = start.and_then(|start| Some(start..start.checked_add(part.len())?));
    match range {
        Some(range) if range.end <= whole.len() => whole.slice(range),
        _ => Bytes::copy_from_slice(part),
    }
}

/// No usable answer: a read has done nothing, a mutation may have.
fn lost(what: &str, effect: Effect, why: String) -> Fault {
    let what = what.to_owned();
    match effect {
        Effect::Read => Fault::Transient { what, source: Some(why.into()) },
        Effect::Write => Fault::Unanswered { what, source: Some(why.into()) },
    }
}

/// Whether a message speaks of something that passes.
fn smells_of_a_breakdown(message: &str) -> bool {
    let message = message.to_lowercase();
    ["internal", "timeout", "timed out", "temporarily", "try again", "unavailable", "deadlock"]
        .iter()
        .any(|word| message.contains(word))
}

fn list(names: &BTreeSet<&'static str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

/// The beginning of a body, on one line and redacted.
fn excerpt(body: &[u8]) -> String {
    redact::excerpt(body, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(operation: &'static Operation, status: u16, body: &str) -> String {
        let effect = if operation.mutations > 0 { Effect::Write } else { Effect::Read };
        let answer = Answer { status, headers: vec![], body: body.as_bytes().to_vec().into() };
        match sort("test", operation, effect, &BTreeSet::new(), &answer).result {
            Ok(reply) if operation.mutations > 0 => match reply.payload() {
                Ok(warnings) => format!("ok {warnings:?}"),
                Err(fault) => fault.word().to_owned(),
            },
            Ok(_) => "ok".to_owned(),
            Err(fault) => fault.word().to_owned(),
        }
    }

    fn receipt(errors: &str) -> Result<Receipt, Fault> {
        let data = format!(r#"{{"createReturn":{{"userErrors":{errors},"userWarnings":[],"return":{{"id":7}}}}}}"#);
        let reply = Reply { what: "test".to_owned(), data: data.into(), extensions: Extensions::default(), date: None };
        reply.receipt("return", Some(&ExternalId::new("6")), |problem| {
            Problem::new("return.refused", "", problem.message, "Mend it.")
        })
    }

    #[test]
    fn a_mutation_that_broke_down_is_looked_for_and_one_that_was_refused_is_told() {
        assert_eq!(receipt("[]").unwrap().id, Some(ExternalId::new("7")));
        let broken = r#"{"message":"Internal error, try again","path":null}"#;
        let refused = r#"{"message":"Shipment is not completed","path":["input"]}"#;
        assert_eq!(receipt(&format!("[{broken}]")).unwrap_err().word(), "unanswered");
        let Err(Fault::Refused { problems, .. }) = receipt(&format!("[{broken},{refused}]")) else { panic!("not refused") };
        assert!(problems.iter().all(|problem| problem.rule == "return.refused"));
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn whom_an_answer_names_is_not_told() {
        use operations::{CONFIRM_EVENTS as WRITE, ORDERS_BY_NUMBER as READ};
        let order = r#"{"odd":1,"order":{"shippingAddress":{"firstName":"Ada","email":"ada@example.com","name":"Lovelace"}}}"#;
        let error = r#"{"errors":[{"message":"odd: ada@example.com is nobody"}]}"#;
        for (operation, effect) in [(&READ, Effect::Read), (&WRITE, Effect::Write)] {
            for status in [200, 302, 400, 401, 404, 500] {
                for body in [order, &order[..order.len() - 2], error] {
                    let answer = Answer { status, headers: vec![], body: body.as_bytes().to_vec().into() };
                    let Err(fault) = sort("test", operation, effect, &BTreeSet::new(), &answer).result else { panic!("{body}") };
                    let told = format!("{fault:?}");
                    assert!(["Ada", "Lovelace", "example.com"].iter().all(|name| !told.contains(name)), "{told}");
                }
            }
        }
        let answer = Answer { status: 200, headers: vec![], body: order.into() };
        let Err(fault) = sort("test", &READ, Effect::Read, &BTreeSet::new(), &answer).result else { panic!() };
        assert!(fault.to_string().contains("odd"), "what is no person's is told: {fault}");
    }

    #[test]
    fn each_answer_means_one_thing() {
        use operations::{CONFIRM_EVENTS as WRITE, ORDERS_BY_NUMBER as READ};
        let denied = r#"{"errors":[{"message":"You need Order:read permission to access orders.","extensions":{"category":"authorization"}}]}"#;
        let broken = r#"{"errors":[{"message":"Internal server error"}],"data":null}"#;
        let partial = r#"{"errors":[{"message":"lines could not be read","path":["orders",0]}],"data":{"orders":[]}}"#;
        let unknown_needed = r#"{"errors":[{"message":"Cannot query field \"totals\" on type \"Order\"."}]}"#;
        let unknown_optional = r#"{"errors":[{"message":"Cannot query field \"appliedTaxRules\" on type \"OrderLine\"."}]}"#;
        let user_error = r#"{"data":{"confirmEvents":{"userErrors":[{"message":"no such event","path":["input","eventsIds","0"]}],"userWarnings":[]}}}"#;
        let user_warning = r#"{"data":{"confirmEvents":{"userErrors":[],"userWarnings":[{"message":"skipped","path":null}]}}}"#;
        let table: &[(&'static Operation, u16, &str, &str)] = &[
            (&READ, 200, r#"{"data":{"orders":[]}}"#, "ok"),
            (&READ, 200, r#"{"data":{"orders":["#, "transient"),
            (&WRITE, 200, r#"{"data":{"confirmEvents":{"#, "unanswered"),
            (&READ, 200, "<html>maintenance</html>", "transient"),
            (&READ, 200, "", "transient"),
            (&READ, 200, r#"{"data":null}"#, "unexpected"),
            (&READ, 200, "[]", "unexpected"),
            (&READ, 200, denied, "unauthorized"),
            (&READ, 403, denied, "unauthorized"),
            (&READ, 403, "", "unauthorized"),
            (&READ, 401, "{}", "unauthorized"),
            (&READ, 200, broken, "transient"),
            (&WRITE, 200, broken, "unanswered"),
            (&READ, 200, partial, "unexpected"),
            (&READ, 400, unknown_needed, "unexpected"),
            (&READ, 400, unknown_optional, "transient"),
            (&READ, 200, unknown_optional, "transient"),
            (&READ, 429, "", "throttled"),
            (&READ, 499, "", "transient"),
            (&WRITE, 499, "", "unanswered"),
            (&READ, 500, broken, "transient"),
            (&WRITE, 503, "", "unanswered"),
            (&READ, 404, "", "unexpected"),
            (&READ, 302, "", "unexpected"),
            (&WRITE, 200, user_error, "refused"),
            (&WRITE, 200, user_warning, r#"ok ["skipped"]"#),
        ];
        for (operation, status, body, wanted) in table {
            assert_eq!(&word(operation, *status, body), wanted, "{} {status} {body}", operation.name);
        }
    }

    #[test]
    fn a_refusal_keeps_the_path_that_centra_names() {
        let body = r#"{"data":{"confirmEvents":{"userErrors":[{"message":"no such event","path":["input","eventsIds",0]}],"userWarnings":[]}},"extensions":{"complexity":110}}"#;
        let answer = Answer { status: 200, headers: vec![], body: body.as_bytes().to_vec().into() };
        let sorted = sort("confirm", &operations::CONFIRM_EVENTS, Effect::Write, &BTreeSet::new(), &answer);
        assert_eq!(sorted.complexity, Some(110));
        let Err(Fault::Refused { problems, .. }) = sorted.result.unwrap().payload() else { panic!("must be refused") };
        assert_eq!(problems[0].path, "input.eventsIds.0");
    }

    #[test]
    fn a_missing_permission_is_named() {
        let body = r#"{"errors":[{"message":"You need Order:read permission.","extensions":{"category":"authorization"}}]}"#;
        let answer = Answer { status: 200, headers: vec![], body: body.as_bytes().to_vec().into() };
        let fault = sort("orders", &operations::ORDERS_BY_NUMBER, Effect::Read, &BTreeSet::new(), &answer).result.unwrap_err();
        assert!(fault.to_string().contains("Order:read"), "{fault}");
    }

    #[test]
    fn a_part_shares_the_bytes_of_the_whole() {
        let whole = Bytes::from_static(br#"{"data": {"orders":[ {"number": 1.10} ]} }"#);
        let envelope: Envelope<'_> = serde_json::from_slice(&whole).unwrap();
        let data = part_of(&whole, envelope.data.unwrap());
        assert_eq!(data, br#"{"orders":[ {"number": 1.10} ]}"#.as_slice());
        assert_eq!(data.as_ptr(), whole[9..].as_ptr());
        let stranger = RawValue::from_string("[1]".to_owned()).unwrap();
        assert_eq!(part_of(&whole, &stranger), b"[1]".as_slice());
    }

    #[test]
    fn limits_are_read_by_kind_and_window() {
        let text = r#"{"rateLimits":[
            {"type":"REQUEST_COUNT","intervalSeconds":"TEN_SECONDS","quota":150,"usedQuota":3,"remainingQuota":147},
            {"type":"QUERY_COMPLEXITY","intervalSeconds":"ONE_HOUR","quota":90000000,"usedQuota":12,"remainingQuota":1},
            {"type":"SOMETHING_NEW","intervalSeconds":"ONE_HOUR","quota":1,"usedQuota":0,"remainingQuota":1}]}"#;
        let found = windows(&serde_json::from_str(text).unwrap());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], (BudgetWindow { name: "requests", quota: 150, per: Duration::from_secs(10) }, 3));
        assert_eq!(found[1].0.per, Duration::from_secs(3600));
    }
}
