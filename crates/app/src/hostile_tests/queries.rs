//! Attack: SQL in every variable and every field, and paths that lead out of where they belong.

use axum::http::{Method, StatusCode};
use selvedge_model::people::Role;

use super::{Visitor, with_password};
use crate::{
    pages::sample::{ADMIN, Fate, brand, empty, order, place, start},
    people::routes::ALL,
};

const SQL: [&str; 14] = [
    "' OR '1'='1",
    "' OR 1=1 --",
    "'; DROP TABLE orders; --",
    "\" OR \"\"=\"",
    "1; DELETE FROM people",
    "x' UNION SELECT email, password, 3 FROM people --",
    "%' ESCAPE '",
    "\\'",
    "NULL",
    "1 OR 1=1",
    "exc_1' --",
    "'||(SELECT hash FROM sessions)||'",
    "*",
    "%",
];

const PATHS: [&str; 12] = [
    "../../../../etc/passwd",
    "..\\..\\..\\windows\\win.ini",
    "/etc/passwd",
    "....//....//etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "selvedge.css/../../../Cargo.toml",
    "\0",
    "selvedge.css\0.png",
    "file:///etc/passwd",
    "~/.ssh/id_rsa",
    ".",
];

/// One that ends a text, one that ends a pattern, one that leads out of a folder.
const ALONE: [&str; 3] = ["' OR 1=1 --", "%' ESCAPE '", "/etc/passwd"];

/// Where a query is read: every parameter that any page or the API knows.
const QUERIES: [&str; 47] = [
    "search",
    "all",
    "team",
    "limit",
    "after",
    "state",
    "warehouse",
    "flow",
    "pair",
    "kind",
    "cause",
    "why",
    "order",
    "from",
    "to",
    "did",
    "asked",
    "released",
    "set",
    "removed",
    "next",
    "v",
    "connection",
    "table",
    "key",
    "before",
    "skip",
    "edit",
    "since",
    "done",
    "imported",
    "following",
    "value",
    "preview",
    "interval",
    "buffer",
    "stream",
    "text",
    "rule",
    "person",
    "mine",
    "shelf",
    "waiting",
    "code",
    "error",
    "approved",
    "rejected",
];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn no_parameter_of_the_api_is_left_out() {
    let document = crate::api::document::document();
    let operations = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let parameters = operations.filter_map(|operation| operation["parameters"].as_array()).flatten();
    let asked: Vec<&str> = parameters.filter(|one| one["in"] == "query").map(|one| one["name"].as_str().unwrap()).collect();
    assert!(asked.len() > 20);
    for name in asked {
        assert!(QUERIES.contains(&name), "{name} is asked of nobody here");
    }
}

#[tokio::test]
async fn every_variable_and_parameter_is_a_value_and_never_a_statement_or_a_file() {
    let (app, _) = empty().await;
    // An engine that works, so that readiness has nothing to say against it.
    app.engine.tick().await.unwrap();
    with_password(&app, ADMIN, &[Role::Admin]).await;
    place(&app, order("1042", "Åsa", 1), start(), Fate::Unmapped).await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let secrets = ["argon2id", "root:", "[dependencies]", "sqlite", "SQL", "no such column", "syntax error"];
    let look = async |method: &str, path: &str| {
        let got =
            admin.send(&app, Method::from_bytes(method.as_bytes()).unwrap(), path, "application/x-www-form-urlencoded", "").await;
        assert!(got.status.as_u16() < 500, "{method} {path}: {} {}", got.status, got.text);
        for secret in &secrets {
            // The settings name the store that they run on, and the API's document says that they do.
            let settings = ["/settings", "/api/settings", "/api/openapi.json"].iter().any(|page| path.starts_with(page));
            let names_the_store = settings && matches!(*secret, "SQL" | "sqlite");
            assert!(
                !got.text.contains(secret) || path.contains(secret) || names_the_store,
                "{method} {path} shows {secret}: {}",
                got.text
            );
        }
        got
    };
    for (method, path, _) in ALL.iter() {
        if matches!(*path, "/logout" | "/account/sessions/revoke") {
            continue;
        }
        if path.contains('{') {
            for hostile in SQL.iter().chain(&PATHS) {
                let parts: Vec<String> =
                    path.split('/').map(|part| if part.starts_with('{') { encoded(hostile) } else { part.to_owned() }).collect();
                let got = look(method, &parts.join("/")).await;
                let found = got.status == StatusCode::OK;
                // A SKU, a name of a return and the like may be anything; nothing of this name is there.
                assert!(
                    !found
                        || got.text.contains("no ")
                        || got.text.contains("No ")
                        || got.text.contains("opens nothing")
                        || path.contains("/stock/"),
                    "{method} {path} {hostile}: {}",
                    got.text
                );
            }
        } else if *method == "GET" {
            for hostile in SQL.iter().chain(&PATHS[..4]) {
                let query: Vec<String> = QUERIES.iter().map(|name| format!("{name}={}", encoded(hostile))).collect();
                look(method, &format!("{path}?{}", query.join("&"))).await;
                // Each by itself, too, as one that is refused keeps the others from being read: a few of each sort do.
                if ALONE.contains(hostile) {
                    for name in QUERIES {
                        look(method, &format!("{path}?{name}={}", encoded(hostile))).await;
                    }
                }
            }
        }
    }
    // What finds everything when it is a statement finds nothing when it is a value.
    for hostile in &SQL[..11] {
        let got = look("GET", &format!("/api/orders?search={}", encoded(hostile))).await;
        assert_eq!(got.text.trim(), r#"{"items":[],"next":null}"#, "{hostile}");
    }
    let orders = look("GET", "/api/orders").await;
    assert!(orders.text.contains("1042"), "and everything is still there");
    assert_eq!(app.store.read(|view| view.people(&brand())).await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_field_is_a_value() {
    let (app, _) = empty().await;
    with_password(&app, ADMIN, &[Role::Admin]).await;
    let exception = place(&app, order("1042", "Åsa", 1), start(), Fate::Unmapped).await.unwrap();
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    for (number, hostile) in SQL.iter().chain(&PATHS).enumerate() {
        let mail = format!("p{number}@example.com");
        for (path, fields) in [
            ("/login".to_owned(), vec![("email", *hostile), ("password", *hostile), ("to", *hostile)]),
            ("/login".to_owned(), vec![("email", ADMIN), ("password", *hostile)]),
            ("/login/code".to_owned(), vec![("code", *hostile)]),
            ("/mappings".to_owned(), vec![("connection", *hostile), ("table", *hostile), ("key", *hostile), ("value", *hostile)]),
            ("/mappings".to_owned(), vec![("connection", "books"), ("table", "item"), ("key", "sku=1"), ("value", *hostile)]),
            (format!("/exceptions/{exception}/comment"), vec![("text", *hostile)]),
            (format!("/exceptions/{exception}/assign"), vec![("team", *hostile), ("person", *hostile), ("note", *hostile)]),
            (format!("/exceptions/{exception}/snooze"), vec![("until", *hostile), ("reason", *hostile)]),
            (format!("/exceptions/{exception}/edit"), vec![("obligation", *hostile), ("reason", *hostile), (*hostile, *hostile)]),
            ("/handbook/daily/2026-02-03/tick".to_owned(), vec![("item", *hostile), ("note", *hostile)]),
            ("/handbook/daily/2026-02-03/sign".to_owned(), vec![("reason", *hostile)]),
            (format!("/exceptions/{exception}/dismiss"), vec![("reason", *hostile), ("records", "9")]),
            ("/people".to_owned(), vec![("name", *hostile), ("email", &mail), ("viewer", *hostile)]),
            ("/people".to_owned(), vec![("name", "x"), ("email", *hostile), ("admin", "on")]),
            ("/people/four-eyes".to_owned(), vec![("release_over", *hostile)]),
            ("/account/tokens".to_owned(), vec![("name", *hostile), ("days", *hostile), ("read", "on")]),
            ("/account/tokens".to_owned(), vec![("name", *hostile), ("days", "7"), ("read", "on")]),
            ("/account/tokens/revoke".to_owned(), vec![("token", *hostile)]),
            ("/approvals/apr_1/reject".to_owned(), vec![("reason", *hostile)]),
        ] {
            let got = admin.post(&app, &path, &fields).await;
            // Waiting after wrong guesses is an answer, too.
            assert!(got.status.as_u16() < 500, "{path} {hostile}: {} {}", got.status, got.text);
            assert!(got.cookie().is_none(), "{path} {hostile} signs somebody in");
        }
    }
    assert_eq!(admin.get(&app, "/people").await.status, StatusCode::OK);
    assert_eq!(app.store.read(|view| view.audit_broken_at(&brand())).await.unwrap(), None);
    for file in PATHS {
        let got = Visitor::stranger().get(&app, &format!("/assets/{}", encoded(file))).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{file}");
        let got = Visitor::stranger().get(&app, &format!("/assets/{}", file.replace(['\\', '\0'], "%00"))).await;
        assert_ne!(got.status, StatusCode::OK, "{file}");
    }
}
