//! The document is true: every operation of it is asked of the router, and every answer held against its schema, both ways.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use selvedge_model::{
    AlertId, Kind,
    alert::Severity,
    edit::EditField,
    people::{Act, Role},
};
use selvedge_store::captures::NewCapture;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::{document::document, operations};
use crate::{
    pages::sample::{
        ADMIN, Fate, brand, empty, order, person, place, reconcile::reconciled, returns::returned, signed_in, start, stocked,
        with_desk,
    },
    serve::{App, router},
};

/// What came back.
struct Got {
    status: StatusCode,
    kind: String,
    replayed: bool,
    body: Value,
}

async fn send(app: &Arc<App>, method: &str, path: &str, key: Option<&str>, body: Option<&str>) -> Got {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:8080")
        .header("origin", "http://localhost:8080")
        .header("cookie", signed_in(app, ADMIN, &[Role::Admin]).await);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let service: Router = router(Arc::clone(app));
    let answer = service.oneshot(request.body(Body::from(body.unwrap_or_default().to_owned())).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let text = String::from_utf8(to_bytes(body, 4 << 20).await.unwrap().to_vec()).unwrap();
    let word = |name: &str| parts.headers.get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned());
    Got {
        status: parts.status,
        kind: word(header::CONTENT_TYPE.as_str()),
        replayed: word("idempotency-replayed") == "true",
        body: serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}")),
    }
}

async fn get(app: &Arc<App>, path: &str) -> Value {
    let got = send(app, "GET", path, None, None).await;
    assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.body);
    got.body
}

/// Where a value does not fit a schema of the document. A word of a schema that is not understood here is a fault, too: nothing
/// passes because it was not looked at.
fn unfit(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Some(schema) = schema.as_object() else {
        if schema == &Value::Bool(false) {
            found.push(format!("{at}: nothing may stand here"));
        }
        return;
    };
    let mut say = |what: String| found.push(format!("{at}: {what}"));
    let mut inner: Vec<(&Value, &Value, String)> = Vec::new();
    for (word, wants) in schema {
        match word.as_str() {
            "title" | "description" | "$schema" | "default" | "examples" | "additionalProperties" | "if" | "then" | "else" => {}
            "$ref" => {
                let name = wants.as_str().unwrap().strip_prefix("#/components/schemas/").expect("one of ours");
                inner.push((&document["components"]["schemas"][name], value, at.to_owned()));
            }
            "type" => {
                let is = |kind: &str| match kind {
                    "null" => value.is_null(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "integer" => value.as_i64().is_some() || value.as_u64().is_some(),
                    "number" => value.is_number(),
                    other => panic!("{at}: a type {other}"),
                };
                let kinds: Vec<&str> = wants
                    .as_array()
                    .map_or_else(|| vec![wants], |all| all.iter().collect())
                    .into_iter()
                    .map(|kind| kind.as_str().unwrap())
                    .collect();
                if !kinds.iter().any(|kind| is(kind)) {
                    say(format!("{value} is no {kinds:?}"));
                }
            }
            "const" => {
                if value != wants {
                    say(format!("{value} is not {wants}"));
                }
            }
            "enum" => {
                if !wants.as_array().unwrap().contains(value) {
                    say(format!("{value} is none of {wants}"));
                }
            }
            "anyOf" | "oneOf" => {
                let fits = wants.as_array().unwrap().iter().filter(|one| {
                    let mut inside = Vec::new();
                    unfit(document, one, value, at, &mut inside);
                    inside.is_empty()
                });
                let count = fits.count();
                if count == 0 || word == "oneOf" && count > 1 {
                    say(format!("{value} fits {count} of {wants}"));
                }
            }
            "allOf" => inner.extend(wants.as_array().unwrap().iter().map(|one| (one, value, at.to_owned()))),
            "required" => {
                for name in wants.as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
                    if value.as_object().is_some_and(|object| !object.contains_key(name)) {
                        say(format!("{name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, wants) in wants.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        inner.push((wants, value, format!("{at}.{name}")));
                    }
                }
            }
            "items" => {
                let skip = schema.get("prefixItems").map_or(0, |first| first.as_array().unwrap().len());
                for (index, one) in value.as_array().into_iter().flatten().enumerate().skip(skip) {
                    inner.push((wants, one, format!("{at}[{index}]")));
                }
            }
            "prefixItems" => {
                let pairs = wants.as_array().unwrap().iter().zip(value.as_array().into_iter().flatten());
                inner.extend(pairs.enumerate().map(|(index, (wants, one))| (wants, one, format!("{at}[{index}]"))));
            }
            "minItems" | "maxItems" => {
                let (bound, count) = (wants.as_u64().unwrap(), value.as_array().map_or(0, |all| all.len() as u64));
                if value.is_array() && (word == "minItems" && count < bound || word == "maxItems" && count > bound) {
                    say(format!("{count} items, {word} {bound}"));
                }
            }
            "minimum" | "maximum" => {
                if let (Some(bound), Some(number)) = (wants.as_f64(), value.as_f64())
                    && (word == "minimum" && number < bound || word == "maximum" && number > bound)
                {
                    say(format!("{number}, {word} {bound}"));
                }
            }
            "format" => {
                let text = value.as_str().unwrap_or_default();
                let reads = match wants.as_str().unwrap() {
                    "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
                    "date" => text.parse::<jiff::civil::Date>().is_ok(),
                    "uint" | "uint8" | "uint16" | "uint32" | "uint64" => true,
                    "int" | "int32" | "int64" => true,
                    other => panic!("{at}: a format {other}"),
                };
                if value.is_string() && !reads {
                    say(format!("{value} is no {wants}"));
                }
            }
            "pattern" => {
                // The ones that there are: a decimal number, and a field that can be edited.
                let reads = match wants.as_str().unwrap() {
                    r"^-?\d+(\.\d+)?([eE]\d+)?$" | r"^-?\d+(\.\d+)?$" => {
                        |text: &str| text.parse::<rust_decimal::Decimal>().is_ok()
                    }
                    other if other.starts_with("^(first_name|") => |text: &str| EditField::from_word(text).is_some(),
                    other => panic!("{at}: another pattern {other}"),
                };
                if value.as_str().is_some_and(|text| !reads(text)) {
                    say(format!("{value} is not like {wants}"));
                }
            }
            "uniqueItems" => {}
            other => panic!("{at}: {other} is not understood"),
        }
    }
    // Nothing is answered that the document does not tell.
    if let (Some(known), Some(object)) = (schema.get("properties").and_then(Value::as_object), value.as_object()) {
        let composed = ["allOf", "anyOf", "oneOf", "$ref"].iter().any(|word| schema.contains_key(*word));
        for (name, value) in object.iter().filter(|(name, _)| !known.contains_key(*name)) {
            match schema.get("additionalProperties") {
                Some(Value::Bool(true)) => {}
                Some(wants @ Value::Object(_)) => inner.push((wants, value, format!("{at}.{name}"))),
                _ if composed => {}
                _ => found.push(format!("{at}: {name} is not told of")),
            }
        }
    } else if let (Some(wants @ Value::Object(_)), Some(object)) = (schema.get("additionalProperties"), value.as_object()) {
        inner.extend(object.iter().map(|(name, value)| (wants, value, format!("{at}.{name}"))));
    }
    for (schema, value, at) in inner {
        unfit(document, schema, value, &at, found);
    }
}

/// Holds an answer against what the document says of its operation.
fn assert_told(document: &Value, method: &str, pattern: &str, got: &Got) {
    let operation = &document["paths"][format!("/api{pattern}")][method.to_ascii_lowercase()];
    assert!(operation.is_object(), "{method} {pattern} is not in the document");
    let answers = &operation["responses"];
    let status = got.status.as_str();
    let told = if answers[status].is_object() { &answers[status] } else { &answers["default"] };
    let (kind, content) = told["content"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(&got.kind, kind, "{method} {pattern} {status}");
    let mut found = Vec::new();
    unfit(document, &content["schema"], &got.body, "answer", &mut found);
    assert!(found.is_empty(), "{method} {pattern} {status}: {found:#?}\n{}", got.body);
}

#[test]
fn the_document_in_the_docs_is_this_one() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("SELVEDGE_WRITE_DOCS").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        kept == text,
        "docs/openapi.json tells another story: run this test with SELVEDGE_WRITE_DOCS=1, and read what changed"
    );
}

#[test]
fn the_document_is_whole() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for operation in operations() {
        let told = &document["paths"][format!("/api{}", operation.path)][operation.method.to_ascii_lowercase()];
        assert!(ids.insert(told["operationId"].as_str().unwrap().to_owned()), "{told}");
        assert!(operation.says.ends_with('.'), "{}", operation.says);
        let names: Vec<&str> = told["parameters"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        for part in operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            assert!(names.contains(&part), "{}: {part}", operation.path);
        }
        assert_eq!(names.contains(&"Idempotency-Key"), operation.writes(), "{} {}", operation.method, operation.path);
        // Everything that it takes says what it is.
        let body = &told["requestBody"]["content"]["application/json"]["schema"]["properties"];
        let fields = body.as_object().into_iter().flatten().map(|(name, schema)| (name.as_str(), &schema["description"]));
        let words = told["parameters"].as_array().unwrap().iter().filter(|one| one["in"] == "query");
        for (name, says) in words.map(|one| (one["name"].as_str().unwrap(), &one["description"])).chain(fields) {
            assert!(says.is_string(), "{} {}: {name} says nothing of itself", operation.method, operation.path);
        }
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let pointer = reference.strip_prefix('#').expect("inside of the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

/// The worlds that are asked: orders and exceptions, returns, reconciliation, stock.
async fn worlds() -> Vec<Arc<App>> {
    let desk = selvedge_flow::DeskSetup { editable: vec![selvedge_model::edit::Editable::Address], ..Default::default() };
    let (busy, _) = with_desk(desk).await;
    place(&busy, order("1001", "Åsa", 1), start(), Fate::Confirmed).await;
    place(&busy, order("1001", "Åsa", 2), start() + std::time::Duration::from_secs(5), Fate::Confirmed).await;
    place(&busy, order("1002", "Bo", 1), start(), Fate::Unmapped).await;
    place(&busy, order("1003", "Cy", 1), start(), Fate::Unmapped).await;
    place(&busy, order("1004", "Di", 1), start(), Fate::Captured).await;
    // Recorded as it came, and otherwise than it was delivered: a replay finds it.
    let recorded = serde_json::to_vec(&order("1001", "Åsa", 3)).unwrap();
    let capture = NewCapture {
        brand: brand(),
        connection: "shop".into(),
        kind: Kind::Order,
        external_id: "1001".into(),
        version: None,
        body: recorded,
        via: "feed",
        asked_at: Some(start()),
        received_at: start(),
    };
    busy.store.write(move |tx| tx.capture(&capture)).await.unwrap();
    alert(&busy).await;
    let asked = busy.store.write(|tx| {
        let act = Act::Sign { entity: "sweden".to_owned(), period: "2026-01".parse().unwrap() };
        tx.ask(&brand(), &act, None, "ada", start())
    });
    asked.await.unwrap();
    Things::of(&busy, "").await;
    vec![busy, returned().await.0, reconciled().await.0, stocked(12).await.0]
}

/// What is written to.
struct Things {
    exception: String,
    obligation: String,
    alert: String,
    person: String,
    token: String,
    /// List and period, and a check of it.
    check: (String, String),
}

impl Things {
    /// The exception is one that a rule found whose name begins like this.
    async fn of(app: &Arc<App>, rule: &str) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let exceptions = get(app, "/api/exceptions").await;
        let is_it = |one: &&Value| one["rule"].as_str().unwrap().starts_with(rule);
        let exception = text(&exceptions["items"].as_array().unwrap().iter().find(is_it).unwrap()["id"]);
        let detail = get(app, &format!("/api/exceptions/{exception}")).await;
        let obligation = detail["case"]["edit"]["obligation"].as_str().unwrap_or("obl_1").to_owned();
        let alert = get(app, "/api/alerts").await["items"][0]["id"].as_str().unwrap_or("alr_1").to_owned();
        let (id, now) = (person(app, "bo@example.com", &[Role::Viewer]).await, app.clock.now());
        let scopes = Role::Viewer.rights().iter().copied().collect();
        let until = now + std::time::Duration::from_secs(3_600);
        let token = app.store.write(move |tx| tx.make_token(&brand(), id, "shop", &scopes, until, now)).await.unwrap().0;
        let list = &get(app, "/api/handbook").await["lists"][0];
        let check = (format!("{}/{}", text(&list["list"]), text(&list["period"])), text(&list["checks"][0]["id"]));
        Self { exception, obligation, alert, person: id.to_string(), token: token.to_string(), check }
    }
}

async fn alert(app: &App) -> AlertId {
    app.store
        .write(|tx| {
            let exception = tx.exceptions(&brand(), true)?[0].id;
            tx.open_alert(&brand(), exception, "all", Severity::Error, start())
        })
        .await
        .unwrap()
}

/// A text as a part of an address.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Every text that stands under one of these names.
fn named(value: &Value, names: &[&str], found: &mut BTreeSet<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| named(one, names, found)),
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(text) if names.contains(&name.as_str()) => drop(found.insert(text.clone())),
                    other => named(other, names, found),
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_reading_operation_answers_what_the_document_says() {
    let document = document();
    let mut answered: BTreeSet<&str> = BTreeSet::new();
    for app in worlds().await {
        // What is there, as the lists tell it.
        let mut lists = Map::new();
        for operation in operations().iter().filter(|one| one.method == "GET" && !one.path.contains('{')) {
            let words: &[&str] = if operation.path == "/events" {
                &["?stream=exceptions", "?stream=acts", "?stream=records&limit=2"]
            } else {
                &[""]
            };
            for words in words {
                let got = send(&app, "GET", &format!("/api{}{words}", operation.path), None, None).await;
                // No days of stock lie here to be played; the test of the page in a browser has some.
                let wanted = if operation.path == "/stock/rehearse" { StatusCode::CONFLICT } else { StatusCode::OK };
                assert_eq!(got.status, wanted, "{}: {}", operation.path, got.body);
                assert_told(&document, "GET", operation.path, &got);
                answered.insert(operation.path);
                lists.insert(operation.path.to_owned(), got.body);
            }
        }
        for operation in operations().iter().filter(|one| one.method == "GET" && one.path.contains('{')) {
            let of = operation.path.split("/{").next().unwrap();
            let mut ids = BTreeSet::new();
            let (list, names): (&str, &[&str]) =
                if of == "/stock/items" { ("/stock/figures", &["sku"]) } else { (of, &["id", "number", "key", "name", "flow"]) };
            named(lists.get(list).unwrap_or(&Value::Null), names, &mut ids);
            if of == "/handbook" {
                let told = lists["/handbook"]["lists"].as_array().unwrap();
                let path = |one: &Value| format!("{}/{}", one["list"].as_str().unwrap(), one["period"].as_str().unwrap());
                ids = told.iter().map(path).chain(["daily/someday".to_owned()]).collect();
            }
            for id in ids.into_iter().chain(["no-such-thing".to_owned()]) {
                let (before, rest) = operation.path.split_once('{').unwrap();
                let after = rest.rsplit_once('}').unwrap().1;
                let asked =
                    if ["/flows/{flow}/sweep", "/flows/{flow}/replay"].contains(&operation.path) { "?since=1h" } else { "" };
                let path = match of {
                    "/handbook" if !id.contains('/') => continue,
                    "/handbook" => format!("/api{before}{id}"),
                    _ => format!("/api{before}{}{after}{asked}", encoded(&id)),
                };
                let got = send(&app, "GET", &path, None, None).await;
                assert_told(&document, "GET", operation.path, &got);
                assert!(got.status == StatusCode::OK || got.status.is_client_error(), "{path}: {}", got.body);
                if got.status == StatusCode::OK {
                    answered.insert(operation.path);
                }
            }
        }
    }
    let all: BTreeSet<&str> = operations().iter().filter(|one| one.method == "GET").map(|one| one.path).collect();
    assert_eq!(all.difference(&answered).collect::<Vec<_>>(), Vec::<&&str>::new(), "nobody was answered there");
}

/// A body that reads, for each writing operation, and the words of its address.
fn written(pattern: &str, of: &Things) -> (String, Value) {
    let Things { exception, obligation, alert, person, token, check } = of;
    let body = match pattern {
        "/exceptions/{id}/release" => json!({"canary": true}),
        "/exceptions/{id}/dismiss" => json!({"reason": "a test"}),
        "/exceptions/{id}/assign" => json!({"team": "finance", "person": null, "note": "yours"}),
        "/exceptions/{id}/comment" => json!({"text": "seen"}),
        "/exceptions/{id}/snooze" => json!({"until": "4h", "reason": "the bank is shut"}),
        "/exceptions/{id}/wake" | "/exceptions/{id}/look" => Value::Null,
        "/exceptions/{id}/edit" => {
            json!({"obligation": obligation, "fields": {"city": "Uppsala"}, "reason": "she wrote to us"})
        }
        "/alerts/{id}/acknowledge" => Value::Null,
        "/flows/{flow}/pause" => json!({"reason": "the books are closed"}),
        "/flows/{flow}/resume" => json!({"reason": ""}),
        "/flows/{flow}/sweep" => json!({"since": "1h"}),
        "/flows/{flow}/replay" => {
            let entry = json!({"connection": "books", "table": "item", "key": "sku=COAT-42", "value": "417"});
            json!({"since": "1h", "entries": [entry]})
        }
        "/flows/{flow}/redeliver" => json!({"since": "1h", "records": 1}),
        "/mappings" => json!({"connection": "books", "table": "shipping_item", "key": "market=2,method=express", "value": "417"}),
        "/mappings/entries" | "/mappings/entries/preview" => {
            let entry = |key: &str| json!({"connection": "books", "table": "shipping_item", "key": key, "value": "417"});
            json!({"entries": [entry("market=2,method=express"), entry("market=2,method=slow")]})
        }
        "/handbook/{list}/{period}/tick" => json!({"item": check.1, "note": "looked at"}),
        "/handbook/{list}/{period}/sign" => json!({"reason": "nobody is here today"}),
        "/people" => json!({"email": "new@example.com", "name": "New", "roles": ["viewer"]}),
        "/people/{id}/roles" => json!({"roles": ["viewer", "finance"]}),
        "/people/{id}/reset" => json!({"forget_totp": true}),
        "/four-eyes" => json!({"map": true, "release_over": 10, "dismiss": false, "close": true}),
        "/people/{id}/disable"
        | "/people/{id}/enable"
        | "/people/{id}/sessions/revoke"
        | "/people/{id}/tokens/{token}/revoke" => Value::Null,
        other => panic!("{other} is written to: say how"),
    };
    let id = match pattern.split('/').nth(1) {
        Some("alerts") => alert,
        Some("people") => person,
        _ => exception,
    };
    let path =
        pattern.replace("{id}", id).replace("{token}", token).replace("{flow}", "orders").replace("{list}/{period}", &check.0);
    (format!("/api{path}"), body)
}

#[tokio::test]
async fn every_writing_operation_answers_what_the_document_says_and_does_a_keyed_request_once() {
    let document = document();
    for operation in operations().iter().filter(|one| one.writes()) {
        // Each in a world of its own: what one does is not there for the next.
        let (world, rule) = if operation.path == "/exceptions/{id}/look" { (2, "reconcile.") } else { (0, "") };
        let app = worlds().await.remove(world);
        let things = Things::of(&app, rule).await;
        let (path, body) = written(operation.path, &things);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let text = Some(text.as_str()).filter(|text| !text.is_empty());
        // What does not read is refused, and told like everything else.
        if text.is_some() {
            for wrong in ["{", "[]", "{\"nonsense\": 1}", "7"] {
                let got = send(&app, operation.method, &path, None, Some(wrong)).await;
                assert!(got.status.is_client_error(), "{path} took {wrong}: {}", got.body);
                assert_told(&document, operation.method, operation.path, &got);
            }
        }
        let absent = path.replace(&things.exception, "exc_99").replace(&things.alert, "alr_99");
        let absent = absent.replace(&things.person, "per_99").replace(&things.check.0, "daily/someday");
        if absent != path {
            let got = send(&app, operation.method, &absent, None, text).await;
            assert_eq!(got.status, StatusCode::NOT_FOUND, "{absent}: {}", got.body);
            assert_told(&document, operation.method, operation.path, &got);
        }
        let acts = async || app.store.read(|view| Ok(view.audit_after(&brand(), 0, 1_000)?.len())).await.unwrap();
        let before = acts().await;
        let first = send(&app, operation.method, &path, Some("k-1"), text).await;
        assert_eq!(first.status, StatusCode::OK, "{path}: {}", first.body);
        assert_told(&document, operation.method, operation.path, &first);
        let done = acts().await;
        let again = send(&app, operation.method, &path, Some("k-1"), text).await;
        assert_told(&document, operation.method, operation.path, &again);
        assert_eq!((first.replayed, again.replayed), (false, true), "{path}");
        if first.body.get("link").is_some() {
            // It proves somebody: it is shown once, and not even kept for this.
            assert_eq!(again.status, StatusCode::CONFLICT, "{path}: {}", again.body);
        } else {
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
        }
        assert_eq!(acts().await, done, "{path} was done twice");
        assert!(done >= before, "{path}");
        // The same key with another request is refused.
        let got = send(&app, operation.method, &format!("{path}?other=1"), Some("k-1"), text).await;
        assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", got.body);
        assert_told(&document, operation.method, operation.path, &got);
        for wrong in ["", " ", &"k".repeat(256)] {
            let got = send(&app, operation.method, &path, Some(wrong), text).await;
            assert_eq!(got.status, StatusCode::BAD_REQUEST, "{}", got.body);
        }
    }
}

#[tokio::test]
async fn the_pages_of_a_list_are_the_list() {
    let (orders, _) = empty().await;
    for number in 1..=7_u32 {
        place(&orders, order(&format!("100{number}"), "Åsa", 1), start(), Fate::Unmapped).await;
    }
    let (returns, _) = returned().await;
    let (differences, _) = reconciled().await;
    let (stock, ..) = stocked(12).await;
    let mut walked = 0;
    for (app, path) in [
        (&orders, "/api/orders?"),
        (&orders, "/api/orders?search=coat&"),
        (&returns, "/api/returns?"),
        (&differences, "/api/reconcile/differences?"),
        (&differences, "/api/reconcile/differences?all=yes&"),
        (&stock, "/api/stock/figures?"),
        (&stock, "/api/stock/drifts?"),
    ] {
        let whole = get(app, &format!("{path}limit=500")).await;
        let whole = whole["items"].as_array().unwrap();
        for limit in [1, 2, 3] {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let page = get(app, &format!("{path}limit={limit}{after}")).await;
                let items = page["items"].as_array().unwrap();
                // A SKU is never split between two pages.
                assert!(items.len() <= limit || path.contains("figures"), "{path}");
                found.extend(items.clone());
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={}", encoded(next)),
                    None => break,
                }
                assert!(found.len() <= whole.len(), "{path} goes on for ever");
            }
            assert_eq!(&found, whole, "{path} by {limit}");
        }
        walked += whole.len();
    }
    assert!(walked > 30, "{walked} rows");
}

#[tokio::test]
async fn the_feed_goes_on_from_any_place() {
    let (app, clock) = empty().await;
    for number in ["1001", "1002", "1003"] {
        place(&app, order(number, "Åsa", 1), start(), Fate::Unmapped).await;
        place(&app, order(&format!("{number}9"), "Bo", 1), start(), Fate::Confirmed).await;
    }
    clock.advance(std::time::Duration::from_secs(60));
    for stream in ["exceptions", "acts", "records"] {
        let whole = get(&app, &format!("/api/events?stream={stream}&limit=1000")).await;
        let all = whole["items"].as_array().unwrap().clone();
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = get(&app, &format!("/api/events?stream={stream}&limit=1{after}")).await;
            found.extend(page["items"].as_array().unwrap().clone());
            after = format!("&after={}", encoded(page["next"].as_str().unwrap()));
            if page["more"] == false {
                break;
            }
        }
        assert_eq!(found, all, "{stream}");
        assert!(stream == "acts" || !all.is_empty(), "{stream}");
        // Nothing is there behind the end, and what happens then is.
        assert_eq!(get(&app, &format!("/api/events?stream={stream}{after}")).await["items"], json!([]));
    }
    let got = send(&app, "GET", "/api/events?stream=exceptions&after=nowhere", None, None).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", got.body);
}
