//! The router, driven in-process.

mod desk;
mod running;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use futures_util::StreamExt;
use selvedge_connector::MappingTable;
use selvedge_flow::DeskSetup;
use selvedge_model::{owners::OwnerRule, people::Role, team::Team};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::sample::{
    ADMIN, Fate, NAUGHTY, brand, empty, order, place,
    reconcile::{agreed, reconciled, unlooked},
    returns::returned,
    signed_in, start, stock_of, stocked, with_desk,
};
use crate::{
    serve::{App, router},
    view::Target,
};

struct Got {
    status: StatusCode,
    headers: header::HeaderMap,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn ask(app: &Arc<App>, request: Request<Body>) -> Response {
    let service: Router = router(Arc::clone(app));
    service.oneshot(request).await.unwrap()
}

async fn got(app: &Arc<App>, request: Request<Body>) -> Got {
    let (parts, body) = ask(app, request).await.into_parts();
    let text = String::from_utf8(to_bytes(body, 4 << 20).await.unwrap().to_vec()).unwrap();
    Got { status: parts.status, headers: parts.headers, text }
}

async fn get(app: &Arc<App>, path: &str) -> Got {
    let request = Request::get(path).header("host", "127.0.0.1:8080").header("cookie", admin(app).await);
    got(app, request.body(Body::empty()).unwrap()).await
}

async fn admin(app: &App) -> String {
    signed_in(app, ADMIN, &[Role::Admin]).await
}

async fn send(app: &Arc<App>, method: Method, path: &str, kind: &str, body: impl Into<Body>) -> Got {
    let request =
        Request::builder().method(method).uri(path).header("host", "localhost:8080").header("origin", "http://localhost:8080");
    let request = request.header("cookie", admin(app).await);
    got(app, request.header("content-type", kind).body(body.into()).unwrap()).await
}

async fn form(app: &Arc<App>, path: &str, body: &str) -> Got {
    send(app, Method::POST, path, "application/x-www-form-urlencoded", body.to_owned()).await
}

async fn api(app: &Arc<App>, method: Method, path: &str, body: Value) -> Got {
    send(app, method, path, "application/json", body.to_string()).await
}

/// One confirmed order in two revisions, two held ones, one just captured.
async fn busy() -> (Arc<App>, String) {
    let (app, clock) = empty().await;
    place(&app, order("1001", "Åsa", 1), start(), Fate::Confirmed).await;
    place(&app, order("1001", "Åsa", 2), start() + std::time::Duration::from_secs(5), Fate::Confirmed).await;
    let exception = place(&app, order("1002", "Bo", 1), start(), Fate::Unmapped).await.unwrap();
    place(&app, order("1003", "Cy", 1), start(), Fate::Unmapped).await;
    place(&app, order("1004", NAUGHTY, 1), start(), Fate::Captured).await;
    clock.advance(std::time::Duration::from_secs(20));
    (app, exception.to_string())
}

/// The same, where delivery addresses may be edited.
async fn editable() -> (Arc<App>, String) {
    let desk = selvedge_flow::DeskSetup { editable: vec![selvedge_model::edit::Editable::Address], ..Default::default() };
    let (app, _) = super::sample::with_desk(desk).await;
    let exception = place(&app, order("1002", "Bo", 1), start(), Fate::Unmapped).await.unwrap();
    (app, exception.to_string())
}

#[tokio::test]
async fn every_answer_is_sealed_and_pages_carry_no_script_of_their_own() {
    let (app, exception) = busy().await;
    for path in [
        "/",
        "/orders",
        "/orders/1001",
        "/exceptions",
        &format!("/exceptions/{exception}"),
        "/mappings",
        "/returns",
        "/reconcile",
        "/reconcile/differences",
        "/handbook",
        "/handbook/daily/2026-11-30",
        "/nowhere",
        "/api/flows",
        "/healthz",
        "/assets/merge.js",
        "/assets/live.js",
        "/assets/pick.js",
    ] {
        let got = get(&app, path).await;
        let policy = got.header("content-security-policy");
        for part in [
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(got.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(got.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(got.header("referrer-policy"), "same-origin", "{path}");
        assert!(!got.header("cache-control").is_empty(), "{path}");
        if got.header("content-type").starts_with("text/html") {
            assert!(!got.text.contains("<style") && !got.text.contains(" style=") && !got.text.contains(" onclick"), "{path}");
            let ours = ["merge", "live", "pick"].map(|name| format!("<script src=\"/assets/{name}.js?v="));
            assert!(ours.iter().all(|script| got.text.matches(script).count() == 1), "{path}");
            assert_eq!(got.text.matches("<script").count(), ours.len(), "{path}");
            assert!(!got.text.contains("http://") && !got.text.contains("https://"), "{path}: something from elsewhere");
        }
    }
}

#[tokio::test]
async fn an_empty_store_has_whole_pages() {
    let (app, _) = empty().await;
    for (path, title, says) in [
        ("/", "Today · Selvedge", "Nothing has arrived yet."),
        ("/orders", "Orders · Selvedge", "No orders yet."),
        ("/orders?search=x", "Orders with x · Selvedge", "No order has “x”"),
        ("/exceptions", "Exceptions · Selvedge", "Nothing needs you."),
        ("/exceptions?shelf=closed", "Exceptions · Selvedge", "None has closed yet."),
        ("/exceptions?shelf=snoozed", "Exceptions · Selvedge", "Nothing is snoozed."),
        ("/mappings", "Mappings · Selvedge", "Nothing is mapped yet."),
        ("/returns", "Returns · Selvedge", "Nothing came back"),
        ("/reconcile", "Reconciliation · Selvedge", "No two ends are compared."),
        ("/reconcile/differences", "Differences · Selvedge", "Nothing that was looked at differs."),
        ("/handbook", "Handbook · Selvedge", "Where each record lives"),
        ("/handbook/monthly/2026-11", "Monthly audit 2026-11 · Selvedge", "The audit trail is whole"),
    ] {
        let got = get(&app, path).await;
        assert_eq!(got.status, StatusCode::OK, "{path}");
        assert!(got.text.contains(&format!("<title>{title}</title>")), "{path}: {}", got.text);
        assert!(got.text.contains(says), "{path}: {}", got.text);
        for landmark in ["<main ", "<nav ", "<header ", "<footer ", "Skip to the content", "lang=\"en\""] {
            assert!(got.text.contains(landmark), "{path} has no {landmark}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_says_what_to_do() {
    let (app, _) = empty().await;
    for path in ["/nowhere", "/orders/77", "/exceptions/exc_77", "/exceptions/abc", "/reconcile/differences/dif_77", "/webhook"] {
        let got = get(&app, path).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{path}");
        assert!(got.text.contains("Look for an order") && got.text.contains("Back to today"), "{path}: {}", got.text);
    }
    let got = get(&app, "/%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(!got.text.contains("<script>"), "{}", got.text);
}

#[tokio::test]
async fn today_shows_the_equation_and_what_needs_somebody() {
    let (app, exception) = busy().await;
    let page = get(&app, "/").await.text;
    for says in [
        "1 exception needs you.",
        "2 records wait",
        "5 captured",
        "2 confirmed",
        "✓ it balances",
        "Express (market=2,method=express) has no entry",
        &format!("/exceptions/{exception}"),
        "1.2 s",
        "storefront",
        "requests per 10 s",
        "3.00",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
}

#[tokio::test]
async fn an_order_is_told_from_arrival_to_confirmation() {
    let (app, exception) = busy().await;
    let page = get(&app, "/orders/1001").await.text;
    for says in [
        "Order 1001",
        "read back and equal",
        "confirmed after",
        "The target asks for patience",
        "801001",
        "+540 ms",
        "pi_3Nk",
        "Långa gatan 1",
        "SPRING",
        "lines[",
        "4711",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let page = get(&app, "/orders/1002").await.text;
    assert!(
        page.contains("Held at the gate") && page.contains(&exception) && page.contains("selvedge mappings set shipping_item"),
        "{page}"
    );

    let story = get(&app, "/api/orders/1001").await.json();
    assert_eq!(story["revisions"].as_array().unwrap().len(), 2);
    assert_eq!(story["revisions"][1]["changes"][0]["actual"], "2", "{story:#}");
    assert_eq!(story["obligations"][1]["state"], "confirmed");
    assert_eq!(story["obligations"][1]["took_ms"], 1_240);
    assert_eq!(story["bindings"][0]["id"], "801001");
    assert_eq!(story["order"]["totals"]["gross"]["currency"], "SEK");
}

#[tokio::test]
async fn both_ledgers_stand_side_by_side_with_what_makes_the_difference() {
    let (app, withheld) = returned().await;
    let page = get(&app, "/orders/1001").await.text;
    for says in [
        "Both ledgers",
        "they differ",
        "Credited",
        "3\u{202f}000.00\u{a0}SEK not there",
        "The credit note <code>1001.shop.r1</code> is held on its way to books",
        &format!("href=\"/exceptions/{}\"", withheld.closed),
        "Paid back by the provider",
        "In quarantine",
        "data-label=\"Difference\"",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    // Paid back at the books and not credited there: the one is told by the sources, the other makes the balance.
    let story = get(&app, "/api/orders/1001").await.json();
    let row = |name: &str| {
        let lines = story["ledgers"]["money"][0]["lines"].as_array().unwrap();
        lines.iter().find(|line| line["row"] == name).unwrap_or_else(|| panic!("{name}: {story:#}"))
    };
    assert_eq!(row("credited")["told"]["amount"], "3000.00");
    assert_eq!(row("credited")["differences"][0]["amount"], "3000.00");
    assert_eq!(row("credited")["reasons"][0]["is"], "held");
    assert_eq!(row("credited")["reasons"][0]["exception"], withheld.closed.to_string());
    assert_eq!(row("refunded_payment")["differences"][0]["amount"], "0.00");
    assert_eq!(row("balance")["told"]["amount"], "0.00");
    assert_eq!(row("balance")["books"][0]["amount"], "-3000.00");

    // A credit of the desk that the gate has linked to this order is in its ledgers, though its source names none.
    let story = get(&app, "/api/orders/1002").await.json();
    assert_eq!(story["ledgers"]["money"][0]["lines"][1]["told"]["amount"], "3000.00", "{:#}", story["ledgers"]);
    assert!(get(&app, "/orders/1002").await.text.contains("both sides agree"));
}

#[tokio::test]
async fn returns_are_listed_with_both_halves_and_found_by_what_people_know() {
    let (app, withheld) = returned().await;
    let page = get(&app, "/returns").await.text;
    for says in [
        "aria-current=\"page\">Returns",
        "/returns/1001%2Eshop%2Er1",
        "1 unit received, shop",
        "3\u{202f}000.00\u{a0}SEK issued",
        "complete",
        "on its way",
        "goods are missing",
        &format!("held: {}", withheld.closed),
        "not known",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let keys = async |search: &str| -> Vec<String> {
        let found = get(&app, &format!("/api/returns?search={search}")).await.json()["items"].clone();
        found.as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys("1001").await, ["1001.shop.r1"]);
    assert_eq!(keys("re_3nk9").await, ["1001.shop.r1"]);
    assert_eq!(keys("1002").await.len(), 2, "its own, and the one that the gate has linked to it");
    assert_eq!(keys("coat-42").await.len(), 4);
    assert!(keys("nothing").await.is_empty());
    assert!(get(&app, "/returns?search=nothing").await.text.contains("No return has “nothing”"));

    let page = get(&app, "/returns/1001.shop.r1").await.text;
    for says in
        ["Return 1001.shop.r1", "February 2026 is locked", "re_3Nk9", "What is given back", "quarantine", "Wool coat, charcoal"]
    {
        assert!(page.contains(says), "{says}: {page}");
    }
    let page = get(&app, "/returns/desk.C5").await.text;
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>alert"), "{page}");
    assert!(page.contains(&withheld.unlinked.to_string()), "{page}");
    let story = get(&app, "/api/returns/1001.shop.r1").await.json();
    assert_eq!(story["halves"], "both");
    assert_eq!(story["money"]["refunds"][0]["reference"], "re_3Nk9");
    assert_eq!(story["obligations"].as_array().unwrap().len(), 3);
    assert_eq!(get(&app, "/api/returns/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&app, "/returns/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_exception_has_a_team_and_a_team_sees_its_own() {
    let (app, withheld) = returned().await;
    place(&app, order("1003", "Cy", 1), start(), Fate::Unmapped).await;
    let all = get(&app, "/exceptions").await.text;
    assert!(all.contains("Finance · ") && all.contains("Engineering · "), "{all}");
    let finance = get(&app, "/exceptions?team=finance").await.text;
    assert!(
        finance.contains("period.locked") && finance.contains("credit.unlinked") && !finance.contains("mapping.shipping_item")
    );
    assert!(finance.contains("href=\"/exceptions?shelf=closed&amp;team=finance\""), "{finance}");
    assert!(get(&app, "/exceptions?team=operations").await.text.contains("Nothing of this kind."));
    assert_eq!(get(&app, "/exceptions?team=magic").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let one = get(&app, &format!("/exceptions/{}", withheld.unlinked)).await.text;
    assert!(one.contains("<dt>Team</dt><dd>Finance</dd>") && one.contains("/returns/desk%2EC5"), "{one}");

    let found = get(&app, "/api/exceptions?team=engineering").await.json()["items"].clone();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found:#}");
    assert_eq!(found[0]["team"], "engineering");
    let refused = get(&app, "/api/exceptions?team=magic").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("operations, finance, customer_experience, engineering"), "{}", refused.text);
}

#[tokio::test]
async fn returns_that_miss_a_half_are_listed_at_their_exception() {
    let (app, _) = returned().await;
    let exception = app
        .store
        .write(|tx| {
            let (shop, key) = ("shop".into(), "1002.shop.r2".into());
            tx.halves_moved(&brand(), &shop, &key, start())?;
            let seen = tx.halves_due(&brand(), start(), 9)?.remove(0);
            let problem = selvedge_model::Problem::new("return.goods_missing", "", "goods are missing", "Ask the warehouse.");
            let id = tx.raise_standing(&brand(), &"returns".into(), &problem, start())?;
            tx.halves_seen(&brand(), &seen, Some(id), None, None)?;
            Ok(id)
        })
        .await
        .unwrap();
    let page = get(&app, &format!("/exceptions/{exception}")).await.text;
    assert!(
        page.contains("Which returns") && page.contains("/returns/1002%2Eshop%2Er2") && page.contains("1 return</b>"),
        "{page}"
    );
    assert!(get(&app, "/returns/1002.shop.r2").await.text.contains(&format!("/exceptions/{exception}")));
}

#[tokio::test]
async fn what_shoppers_write_stays_text() {
    let (app, _) = empty().await;
    let number = "A/1?<b>\"'&#ö%2e";
    let mut naughty = order(number, NAUGHTY, 1);
    naughty.comment = Some(NAUGHTY.to_owned());
    naughty.market.name = NAUGHTY.to_owned();
    let exception = place(&app, naughty, start(), Fate::Unmapped).await.unwrap();
    app.store.write(|tx| tx.map(&brand(), &"books".into(), "item", NAUGHTY, Some(NAUGHTY), NAUGHTY, start())).await.unwrap();
    let list = get(&app, "/orders").await.text;
    let address =
        list.split("href=\"").find(|rest| rest.starts_with("/orders/")).and_then(|rest| rest.split('"').next()).unwrap();
    for path in [
        "/",
        "/orders",
        "/orders?search=%3Cscript%3E",
        address,
        "/exceptions",
        &format!("/exceptions/{exception}"),
        "/alerts",
        "/mappings",
    ] {
        let got = get(&app, path).await;
        assert_eq!(got.status, StatusCode::OK, "{path}");
        assert!(!got.text.contains("<script>") && !got.text.contains("<b>\""), "{path}: {}", got.text);
    }
    let story = get(&app, address).await.text;
    assert!(story.contains("&lt;script&gt;alert('x')&lt;/script&gt;&quot;&amp;amp;"), "{story}");
    assert!(story.contains("Order A/1?&lt;b&gt;"), "{story}");
}

#[tokio::test]
async fn releasing_and_dismissing_from_the_page() {
    let (app, exception) = busy().await;
    let page = get(&app, &format!("/exceptions/{exception}")).await.text;
    for says in ["Release 2 records", "Order 1002", "Order 1003", "name=\"key\" value=\"market=2,method=express\""] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let got = form(&app, &format!("/exceptions/{exception}/dismiss"), "reason=+&records=2").await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(got.text.contains("Give a reason"), "{}", got.text);

    let got = form(&app, &format!("/exceptions/{exception}/release"), "").await;
    assert_eq!(
        (got.status, got.header("location")),
        (StatusCode::SEE_OTHER, format!("/exceptions/{exception}?released=2").as_str())
    );
    let page = get(&app, got.header("location")).await.text;
    assert!(page.contains("Released: 2 records went back to the gate."), "{page}");

    place(&app, order("1005", "Di", 1), start(), Fate::Unmapped).await;
    let page = get(&app, &format!("/exceptions/{exception}")).await.text;
    assert!(page.contains("name=\"records\" value=\"1\""), "{page}");
    let older = form(&app, &format!("/exceptions/{exception}/dismiss"), "reason=test+order").await;
    assert_eq!(older.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        older.text.contains("held 0 when it was looked at and holds 1 now") && older.text.contains("test order"),
        "{}",
        older.text
    );
    let got = form(&app, &format!("/exceptions/{exception}/dismiss"), "reason=test+order&records=1").await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
    assert!(get(&app, "/orders/1005").await.text.contains("ada@example.com: test order"));
    let acts = app.store.read(|view| view.audit_rows(&brand(), 10)).await.unwrap();
    assert_eq!(
        acts.iter().map(|act| (act.actor.as_str(), act.action.as_str())).collect::<Vec<_>>(),
        [(ADMIN, "exception.dismiss"), (ADMIN, "exception.release")]
    );
}

#[tokio::test]
async fn the_last_pre_flight_is_shown_with_money_and_suggestions() {
    let (app, _) = empty().await;
    let page = get(&app, "/mappings").await.text;
    assert!(page.contains("It has not been looked yet"), "{page}");
    let found: selvedge_model::gate::preflight::Preflight = serde_json::from_value(json!({
        "flow": "orders", "from": "shop", "to": "books", "at": "2026-02-03T09:00:00Z", "days": 30, "orders": 214,
        "values": {"markets": 2, "skus": 4070}, "unlisted": {"payment_methods": "shop has no list of payment methods"},
        "partial": false, "lookups": 4100,
        "gaps": [{
            "table": "shipping_item", "key": "market=2,method=<b>fast</b>", "shown": "<b>fast</b> in Sweden", "mapping": null, "why": "missing",
            "carried": {"orders": 214, "money": {"EUR": {"amount": "18200.00", "currency": "EUR"}}, "samples": ["1042"]},
            "suggestions": [{"id": "1205", "name": "Fast", "likeness": 80}]
        }],
        "unused": [{"table": "item", "key": "sku=OLD", "value": "7", "stands": false}], "dangling": []
    }))
    .unwrap();
    app.store.write(move |tx| tx.keep_preflight(&brand(), &found)).await.unwrap();
    let page = get(&app, "/mappings").await.text;
    let command = "selvedge mappings set shipping_item &#39;market=2,method=&lt;b&gt;fast&lt;/b&gt;&#39; 1205 --connection books";
    let plain = command.replace("&#39;", "'");
    assert!(page.contains(command) || page.contains(&plain), "{page}");
    for part in ["18200.00 EUR", "214", "as 1042", "80 % alike", "2 markets", "No list of payment methods", "sku=OLD"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<b>fast"), "what the shop writes stays text");
    let told = get(&app, "/api/mappings/preflight").await.json();
    let gap = &told[0]["gaps"][0];
    assert_eq!(
        (&gap["money"][0], &gap["why"], &gap["carried"]["orders"]),
        (&json!("18200.00 EUR"), &json!("missing"), &json!(214))
    );
    assert_eq!(gap["commands"][0], "selvedge mappings set shipping_item 'market=2,method=<b>fast</b>' 1205 --connection books");
}

#[tokio::test]
async fn a_mapping_set_at_the_exception_releases_what_waits() {
    let (app, exception) = busy().await;
    let path = format!("/exceptions/{exception}/map");
    let got = form(&app, &path, "connection=books&table=shipping_item&key=market%3D2%2Cmethod%3Dexpress&value=+").await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(got.text.contains("Give the id that the target uses"), "{}", got.text);
    let got = form(&app, &path, "connection=books&table=shipping_item&key=market%3D2%2Cmethod%3Dexpress&value=417").await;
    assert_eq!(got.header("location"), format!("/exceptions/{exception}?set=1&following=1"));

    let page = get(&app, "/mappings").await.text;
    assert!(page.contains("market=2,method=express") && page.contains("417") && page.contains(ADMIN), "{page}");
    let got = form(&app, "/mappings", "connection=shop&table=item&key=sku%3D1&value=2").await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "a source takes no mappings");
    assert!(got.text.contains("There is no connection") && got.text.contains("value=\"sku=1\""), "{}", got.text);
    let got = form(&app, "/mappings/remove", "connection=books&table=shipping_item&key=market%3D2%2Cmethod%3Dexpress").await;
    assert_eq!(got.header("location"), "/mappings?removed=0");
    assert!(get(&app, "/mappings").await.text.contains("Nothing is mapped yet."));
}

#[tokio::test]
async fn the_desk_is_narrowed_paged_and_says_by_what_it_is_ranked() {
    let (app, _) = returned().await;
    place(&app, order("1003", "Cy", 1), start(), Fate::Unmapped).await;
    let all = get(&app, "/exceptions").await.text;
    assert!(all.contains("Ranked by ") && all.contains("record × 5 EUR"), "{all}");
    let one = get(&app, "/exceptions?limit=1").await.text;
    let next = one.split("id=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().replace("&amp;", "&");
    assert!(next.starts_with("/exceptions?after="), "{next}");
    let second = get(&app, &next).await.text;
    assert!(second.contains("class=\"card\"") && second != one);
    let mapping = get(&app, "/exceptions?rule=mapping.&connection=books&flow=orders&text=EXPRESS").await.text;
    assert!(mapping.contains("mapping.shipping_item") && !mapping.contains("credit.unlinked"), "{mapping}");
    assert!(get(&app, "/exceptions?mine=yes").await.text.contains("Nothing of this kind."));
    for wrong in ["shelf=top", "limit=0", "after=x", "limit=501"] {
        assert_eq!(get(&app, &format!("/exceptions?{wrong}")).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert_eq!(get(&app, &format!("/api/exceptions?{wrong}")).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let page = get(&app, "/api/exceptions?limit=1").await.json();
    let after = page["next"].as_str().unwrap();
    let rest = get(&app, &format!("/api/exceptions?after={after}")).await.json();
    assert_eq!(rest["next"], Value::Null);
    assert!(!rest["items"].as_array().unwrap().contains(&page["items"][0]));
}

#[tokio::test]
async fn one_exception_is_handed_over_put_off_talked_about_and_previewed() {
    let (app, exception) = busy().await;
    let at = |act: &str| format!("/exceptions/{exception}/{act}");
    let page = get(&app, &format!("/exceptions/{exception}")).await.text;
    for says in [
        "Release, one first",
        "See what a release would do",
        "The gate asked what books calls this value",
        "Runbook",
        "Set the mapping on the page",
        "<b>opened</b>",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let preview = get(&app, &format!("/exceptions/{exception}?preview=yes")).await.text;
    assert!(
        preview.contains("2 would pass") && preview.contains("One first: <a href=\"/orders/1002\">order 1002</a>"),
        "{preview}"
    );
    assert_eq!(get(&app, &format!("/api/exceptions/{exception}/preview")).await.json()["passes"], 2);
    // What a mapping would release is seen before it is set.
    let with = get(&app, &format!("/exceptions/{exception}?value=417&preview=yes")).await.text;
    for says in
        ["What setting it and a release would do", "set to <code>417</code>", "value=\"417\"", "See what it would release"]
    {
        assert!(with.contains(says), "{says}: {with}");
    }
    assert!(app.store.read(|view| view.mappings(&brand())).await.unwrap().is_empty(), "nothing is set");
    let wrong = get(&app, &format!("/exceptions/{exception}?value=%01&preview=yes")).await.text;
    assert!(wrong.contains("id=\"wrong-value\"") && !wrong.contains("What setting it"), "{wrong}");
    assert_eq!(get(&app, &format!("/api/exceptions/{exception}/preview?value=417")).await.json()["passes"], 2);
    assert_eq!(get(&app, &format!("/api/exceptions/{exception}/preview?value=")).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    for (act, body, says) in [
        ("assign", "team=finance&person=%C3%85sa&note=is+this+ours%3F", "Handed over."),
        ("comment", "text=asked+the+carrier+%3Cb%3E", "Kept."),
        ("snooze", "until=3d&reason=the+carrier+answers+on+Monday", "Snoozed."),
    ] {
        let got = form(&app, &at(act), body).await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{act}: {}", got.text);
        let page = get(&app, got.header("location")).await.text;
        assert!(page.contains(says), "{act}: {page}");
    }
    let page = get(&app, &format!("/exceptions/{exception}")).await.text;
    for says in [
        "<dd>Åsa</dd>",
        "to Åsa (Finance): is this ours?",
        "asked the carrier &lt;b&gt;",
        "Bring it back now",
        "snoozed</b> by ada@example.com",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(get(&app, "/exceptions").await.text.contains("Nothing needs you."));
    assert!(get(&app, "/exceptions?shelf=snoozed&person=%C3%85sa").await.text.contains("the carrier answers on Monday"));
    assert!(get(&app, "/").await.text.contains("1 snoozed"));
    assert_eq!(form(&app, &at("wake"), "").await.status, StatusCode::SEE_OTHER);
    assert!(get(&app, "/exceptions").await.text.contains("mapping.shipping_item"));

    for (act, body, says) in [
        ("assign", "team=magic&person=Bo&note=n", "There is no team of this name"),
        ("assign", "team=finance&person=&note=&x", ""),
        ("comment", "text=+", "write a sentence"),
        ("snooze", "until=soon&reason=later", "Say until when"),
        ("snooze", "until=3d&reason=", "Give a reason"),
        ("edit", "obligation=obl_1&reason=why&city=Lund", "may not be edited here"),
    ] {
        let got = form(&app, &at(act), body).await;
        let refused = got.status == StatusCode::UNPROCESSABLE_ENTITY && got.text.contains(says);
        assert!(refused || says.is_empty() && got.status == StatusCode::SEE_OTHER, "{act} {body}: {}", got.text);
    }
    // One first, and nobody else until it is confirmed.
    let got = form(&app, &at("release"), "how=canary").await;
    assert_eq!(got.header("location"), format!("/exceptions/{exception}?done=canary"));
    let page = get(&app, got.header("location")).await.text;
    assert!(page.contains("One record is on its way first") && page.contains("<b>1 record</b>"), "{page}");
    let got = form(&app, &at("release"), "how=canary").await;
    assert_eq!(got.header("location"), format!("/exceptions/{exception}?done=under-way"));
    let mut acts = app.store.read(|view| view.audit_rows(&brand(), 10)).await.unwrap();
    acts.reverse();
    assert_eq!(
        acts.iter().map(|act| act.action.as_str()).collect::<Vec<_>>(),
        [
            "exception.hand_over",
            "exception.comment",
            "exception.snooze",
            "exception.wake",
            "exception.hand_over",
            "exception.release"
        ]
    );
}

#[tokio::test]
async fn what_might_be_meant_is_suggested_and_never_taken() {
    let (app, exception) = busy().await;
    form(&app, "/mappings", "connection=books&table=shipping_item&key=market%3D1%2Cmethod%3Dexpress&value=417").await;
    form(&app, "/mappings", "connection=books&table=shipping_item&key=market%3D1%2Cmethod%3Dpost&value=99").await;
    let page = get(&app, &format!("/exceptions/{exception}")).await.text;
    assert!(page.contains("<code>417</code>") && page.contains("market=1,method=express stands for it already"), "{page}");
    assert!(!page.contains("<code>99</code>"), "another method is none that is meant");
    let case = get(&app, &format!("/api/exceptions/{exception}")).await.json()["case"].clone();
    assert_eq!(case["suggestions"].as_array().unwrap().len(), 1);
    assert_eq!(get(&app, &format!("/api/exceptions/{exception}")).await.json()["count"], 2);
}

#[tokio::test]
async fn the_evidence_of_a_refusal_is_shown_as_text() {
    let (app, exception) = busy().await;
    let id = exception.parse().unwrap();
    let held = app.store.read(move |view| view.held_ids(id, 1)).await.unwrap()[0];
    let kept = json!({ "what": "create order 1002", "method": "POST", "url": "https://books.example/orders",
        "request": "{\"memo\": \"<script>\"}", "status": 400, "answer": "no such shipping item" });
    app.store.write(move |tx| tx.keep_exchange(held, kept.to_string().as_bytes(), start())).await.unwrap();
    let page = get(&app, &format!("/exceptions/{exception}")).await.text;
    for says in [
        "(create order 1002) was answered 400",
        "Sent: POST https://books.example/orders",
        "&lt;script&gt;",
        "no such shipping item",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let case = get(&app, &format!("/api/exceptions/{exception}")).await.json()["case"].clone();
    assert_eq!((&case["evidence"]["status"], &case["evidence"]["key"]), (&json!(400), &json!("1002")));
}

#[tokio::test]
async fn a_held_order_is_edited_where_that_is_allowed() {
    let (app, exception) = editable().await;
    place(&app, order("1003", "Cy", 1), start(), Fate::Unmapped).await.unwrap();
    let page = get(&app, &format!("/exceptions/{exception}")).await.text;
    assert!(
        page.contains("Edit order 1002 and retry it") && page.contains("name=\"postcode\"") && !page.contains("name=\"phone\""),
        "{page}"
    );
    let obligation = page.split("name=\"obligation\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let path = format!("/exceptions/{exception}/edit");
    let got = form(&app, &path, &format!("obligation={obligation}&country=Sweden&city=Lund&reason=moved")).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        got.text.contains("A country is two capital letters") && got.text.contains("value=\"Lund\""),
        "what was typed is kept: {}",
        got.text
    );
    let got = form(&app, &path, &format!("obligation={obligation}&phone=1&reason=moved")).await;
    assert!(got.text.contains("Phone may not be edited here"), "{}", got.text);
    // A page that is older than what goes by now puts nothing back: what was not touched is not sent, what was is refused.
    let sent = format!("obligation={obligation}&reason=moved&country=NO&seen.country=NO");
    let got = form(&app, &path, &format!("{sent}&city=Lund&seen.city=Bergen")).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(got.text.contains("it has changed since this page was made") && got.text.contains("(goes now: "), "{}", got.text);
    // What was not touched comes back as it goes now, and not as an edit of one's own.
    assert!(
        got.text.contains("id=\"edit-city\" name=\"city\" maxlength=\"200\" autocomplete=\"off\" value=\"Lund\""),
        "{}",
        got.text
    );
    assert!(!got.text.contains("value=\"NO\""), "{}", got.text);
    // Each of those it holds can be asked for.
    let other =
        page.split("?edit=").skip(1).map(|rest| rest.split('#').next().unwrap()).find(|other| *other != obligation).unwrap();
    let asked = get(&app, &format!("/exceptions/{exception}?edit={other}")).await.text;
    assert!(asked.contains("Edit order 1003 and retry it") && asked.contains("id=\"edit\" open"), "{asked}");
    let seen = page.split("name=\"seen.city\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let got = form(&app, &path, &format!("{sent}&city=Lund&seen.city={seen}")).await;
    assert_eq!(got.header("location"), format!("/exceptions/{exception}?done=edited"));
    let page = get(&app, got.header("location")).await.text;
    assert!(page.contains("order 1002: Town: moved") && page.contains("Edited. It went back"), "{page}");
    let got = form(&app, &path, &format!("obligation={obligation}&city=Malm%C3%B6&reason=moved")).await;
    assert!(got.text.contains("is not held here any more"), "{}", got.text);
    let other = got.text.split("Edit order 1003").nth(1).unwrap();
    assert!(
        !other.contains("Malmö") && !other.contains("id=\"edit-reason\" name=\"reason\" value=\"moved"),
        "not into another order's: {other}"
    );
    let got = api(
        &app,
        Method::POST,
        &format!("/api{path}"),
        json!({ "obligation": obligation, "fields": { "city": "Ystad" }, "reason": "x" }),
    )
    .await;
    assert_eq!(got.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_our_own_pages_may_act() {
    let (app, exception) = busy().await;
    let path = format!("/exceptions/{exception}/release");
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let request = Request::post(&path).header("host", "localhost:8080").header(name, value).body(Body::empty()).unwrap();
        let got = got(&app, request).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(got.text.contains("nothing was done"), "{}", got.text);
    }
    // A stranger's name that points here, which makes everything above look like one site.
    for request in [Request::get("/"), Request::post(&path).header("sec-fetch-site", "same-origin")] {
        let got = got(&app, request.header("host", "evil.example").body(Body::empty()).unwrap()).await;
        assert_eq!(got.status, StatusCode::MISDIRECTED_REQUEST);
        assert!(!got.text.contains("nordwind"));
    }
    // A program is refused in its own way.
    let act = || Request::post(format!("/api/exceptions/{exception}/release"));
    for (request, status) in [
        (act().header("host", "evil.example"), StatusCode::MISDIRECTED_REQUEST),
        (act().header("host", "localhost:8080").header("origin", "https://evil.example"), StatusCode::FORBIDDEN),
    ] {
        let got = got(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!((got.status, got.header("content-type")), (status, "application/problem+json"), "{}", got.text);
        assert_eq!(got.json()["status"], status.as_u16(), "{}", got.text);
    }
    assert_eq!(get(&app, &format!("/api/exceptions/{exception}")).await.json()["count"], 2);
}

#[tokio::test]
async fn the_api_reads_and_acts() {
    let (app, exception) = busy().await;
    let flows = get(&app, "/api/flows").await.json();
    assert_eq!(flows[0]["flow"], "orders");
    assert_eq!(flows[0]["latency"], json!({ "p50_ms": 1_240, "p99_ms": 1_240 }));
    assert_eq!(flows[0]["confirmed_per_minute"].as_array().unwrap().len(), 60);
    assert_eq!(flows[0]["confirmed_per_minute"][59], 2);
    let balance = get(&app, "/api/balance").await.json();
    assert_eq!((&balance[0]["captured"], &balance[0]["held"], &balance[0]["balanced"]), (&json!(5), &json!(2), &json!(true)));
    let balance = get(&app, "/api/balance?from=2026-02-03T09:00:01Z&to=2026-02-03T10:00:00Z").await.json();
    assert_eq!((&balance[0]["captured"], &balance[0]["confirmed"], &balance[0]["difference"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(get(&app, "/api/orders?search=coat&limit=2").await.json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(get(&app, "/api/orders?search=1002").await.json()["items"][0]["standings"][0]["state"], "held");
    let exceptions = get(&app, "/api/exceptions").await.json()["items"].clone();
    assert_eq!(
        (&exceptions[0]["id"], &exceptions[0]["count"], &exceptions[0]["rule"]),
        (&json!(exception), &json!(2), &json!("mapping.shipping_item"))
    );
    let detail = get(&app, &format!("/api/exceptions/{exception}")).await.json();
    assert_eq!(detail["holds"][0]["key"], "1002");
    assert_eq!(
        detail["mapping"],
        json!({ "connection": "books", "table": "shipping_item", "key": "market=2,method=express", "stands": null })
    );
    let calls = get(&app, "/api/calls").await.json();
    assert_eq!((&calls["per_order"], &calls["connections"][0]["windows"][0]["quota"]), (&json!("3.00"), &json!(60)));

    let got = api(
        &app,
        Method::PUT,
        "/api/mappings",
        json!({ "connection": "books", "table": "shipping_item", "key": "market=2,method=express", "value": "417" }),
    )
    .await;
    assert_eq!((got.status, got.json()), (StatusCode::OK, json!({ "released": 1, "following": 1 })));
    assert_eq!(get(&app, "/api/mappings").await.json()["items"][0]["value"], "417");
    let got = api(&app, Method::POST, &format!("/api/exceptions/{exception}/release"), json!({})).await;
    assert_eq!(got.json(), json!({ "released": 1 }), "a person who says so does not wait for the first");
    let got = api(&app, Method::POST, &format!("/api/exceptions/{exception}/dismiss"), json!({ "reason": "a test" })).await;
    assert_eq!(got.json(), json!({ "dismissed": 0 }));
}

#[tokio::test]
async fn the_api_refuses_in_one_form() {
    let (app, exception) = busy().await;
    let dismiss = format!("/api/exceptions/{exception}/dismiss");
    let tries = [
        (Method::GET, "/api/nothing", Value::Null, 404),
        (Method::GET, "/api/orders/77", Value::Null, 404),
        (Method::GET, "/api/exceptions/exc_77", Value::Null, 404),
        (Method::GET, "/api/exceptions/obl_1", Value::Null, 404),
        (Method::POST, "/api/exceptions/exc_77/release", Value::Null, 404),
        (Method::DELETE, "/api/mappings", Value::Null, 405),
        (Method::GET, "/api/orders?limit=many", Value::Null, 422),
        (Method::GET, "/api/balance?from=yesterday", Value::Null, 422),
        (Method::GET, "/api/balance?from=2026-02-03T10:00:00Z&to=2026-02-03T09:00:00Z", Value::Null, 422),
        (Method::POST, dismiss.as_str(), json!({ "reason": "  " }), 422),
        (Method::POST, dismiss.as_str(), json!({ "why": "typo" }), 422),
        (Method::PUT, "/api/mappings", json!({ "connection": "nowhere", "table": "item", "key": "sku=1", "value": "2" }), 422),
        (Method::PUT, "/api/mappings", json!("x".repeat(100_000)), 413),
    ];
    for (method, path, body, status) in tries {
        let got = api(&app, method.clone(), path, body).await;
        assert_eq!(
            (got.status.as_u16(), got.header("content-type")),
            (status, "application/problem+json"),
            "{method} {path}: {}",
            got.text
        );
        assert_eq!(got.json()["status"], status, "{method} {path}");
        assert!(!got.json()["detail"].as_str().unwrap().is_empty(), "{method} {path}");
    }
}

#[tokio::test]
async fn deliveries_are_kept_before_they_are_answered() {
    let (app, _) = empty().await;
    let deliver = |connection: &str, key: &str, body: Vec<u8>| {
        let request = Request::post(format!("/webhooks/{connection}"))
            .header("host", "hooks.example.com")
            .header("X-Key", key)
            .header("origin", "https://elsewhere.example");
        got(&app, request.body(Body::from(body)).unwrap())
    };
    for (connection, key, body, status, word) in [
        ("shop", "right", b"1042".to_vec(), 200, "kept"),
        ("shop", "right", b"1042".to_vec(), 200, "duplicate"),
        ("shop", "wrong", b"1043".to_vec(), 401, "refused"),
        ("shop", "right", vec![0xff, 0xfe], 400, "refused"),
        ("books", "right", b"1".to_vec(), 404, "refused"),
        ("nowhere", "right", b"1".to_vec(), 404, "refused"),
        ("shop", "right", vec![b'1'; 1024 * 1024 + 1], 413, "refused"),
    ] {
        let got = deliver(connection, key, body).await;
        assert_eq!(
            (got.status.as_u16(), got.json()["status"].as_str().unwrap()),
            (status, word),
            "{connection} {key}: {}",
            got.text
        );
    }
    // The bound holds where no length is stated, too.
    let pieces = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b'1'; 64 * 1024])));
    let request = Request::post("/webhooks/shop").header("x-key", "right").body(Body::from_stream(pieces)).unwrap();
    assert_eq!(got(&app, request).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    // The largest that is taken.
    assert_eq!(deliver("shop", "right", vec![b'1'; 1024 * 1024]).await.status, StatusCode::OK);

    let notices = app
        .store
        .read(|view| {
            view.notices_due(
                &brand(),
                &"shop".into(),
                selvedge_model::Kind::Order,
                start() + std::time::Duration::from_secs(1),
                10,
            )
        })
        .await
        .unwrap();
    assert_eq!(notices.len(), 2);
    assert_eq!(notices[0].external_id.as_str(), "1042");
}

#[tokio::test]
async fn whoever_watches_is_told() {
    let (app, _) = empty().await;
    let response = ask(
        &app,
        Request::get("/live").header("host", "localhost").header("cookie", admin(&app).await).body(Body::empty()).unwrap(),
    )
    .await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut events = response.into_body().into_data_stream();
    let mut next = async || loop {
        let piece = String::from_utf8(events.next().await.unwrap().unwrap().to_vec()).unwrap();
        if piece.contains("event: pulse") {
            return piece;
        }
    };
    assert!(next().await.contains(r#"{"flows":{"orders":{}},"exceptions":0}"#));
    place(&app, order("1", "Åsa", 1), start(), Fate::Unmapped).await;
    assert!(next().await.contains(r#"{"flows":{"orders":{"held":1}},"exceptions":1}"#));
}

#[tokio::test]
async fn the_probes_answer() {
    let (app, clock) = empty().await;
    assert_eq!(get(&app, "/healthz").await.text, "alive\n");
    let early = get(&app, "/readyz").await;
    assert_eq!((early.status, &early.json()["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)), "nothing works yet");
    app.engine.tick().await.unwrap();
    assert_eq!(get(&app, "/readyz").await.json(), json!({ "ready": true }));
    clock.advance(Duration::from_secs(61));
    let stuck = get(&app, "/readyz").await;
    assert_eq!(
        (stuck.status, &stuck.json()["ready"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!(false)),
        "nothing works any more"
    );
    let icon = get(&app, "/assets/selvedge.svg?v=1").await;
    assert_eq!(
        (icon.header("content-type"), icon.header("cache-control")),
        ("image/svg+xml", "public, max-age=31536000, immutable")
    );
    assert_eq!(get(&app, "/assets/..%2fselvedge.css").await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&app, "/favicon.ico").await.status, StatusCode::PERMANENT_REDIRECT);
}

#[tokio::test]
async fn the_server_ends_though_somebody_watches() {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::oneshot,
    };
    let (app, _) = empty().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cookie = admin(&app).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(crate::serve::serve(listener, router(app), async { drop(stopped.await) }));
    let mut watcher = TcpStream::connect(address).await.unwrap();
    watcher.write_all(format!("GET /live HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("event: pulse") {
        assert!(watcher.read_buf(&mut seen).await.unwrap() > 0);
    }
    drop(stop);
    // Ends by itself, and not by being cut off: the watcher reads the proper end of the answer.
    watcher.read_to_end(&mut seen).await.unwrap();
    assert!(seen.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&seen));
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reading_that_is_kept_back_shows_what_it_would_move() {
    let (app, _, snags) = stocked(0).await;
    let path = format!("/exceptions/{}", snags.guard);
    let page = get(&app, &path).await.text;
    for says in [
        "What is kept back",
        "2 items: ",
        "1 is sold out",
        "−10",
        "+1",
        "1\u{202f}990.00\u{a0}EUR",
        "/stock/items/COAT-42",
        "Release 2 readings",
        "the readings take effect at once",
        "what was known before stays in force",
        "audit trail",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(!page.contains("back to the gate"), "{page}");
    // It is of the two ends of its flow, and the drifts of all flows are beside the figures.
    assert!(get(&app, "/exceptions?connection=books").await.text.contains(&path));
    assert!(!get(&app, "/exceptions?connection=elsewhere").await.text.contains(&path));
    let figures = get(&app, "/stock").await.text;
    let drifts = figures.split("id=\"drifts\"").nth(1).and_then(|rest| rest.split("</table>").next()).unwrap();
    assert!(drifts.contains("COAT-42") && drifts.contains("foreign write"), "{drifts}");
    let rows = &get(&app, &format!("/api{path}")).await.json()["stock"];
    assert_eq!(rows["moved"]["units_less"], 10, "{rows:#}");
    let coat = &rows["levels"][0];
    assert_eq!(
        (&coat["sku"], &coat["place"], &coat["warehouse"], &coat["in_force"], &coat["kept_back"], &coat["free"]),
        (&json!("COAT-42"), &json!("21"), &json!("9"), &json!(10), &json!(0), &json!(11))
    );

    let got = form(&app, &format!("{path}/release"), "").await;
    let page = get(&app, got.header("location")).await.text;
    assert!(page.contains("Released: 2 readings, in force with the next turn"), "{page}");
    assert!(page.contains("take effect with the next turn") && !page.contains(">Dismiss "), "{page}");
    assert_eq!(app.store.read(|view| view.stock_accepted_levels(&stock_of("stock"), 10)).await.unwrap().len(), 2);

    let (app, _, snags) = stocked(0).await;
    let got = form(&app, &format!("/exceptions/{}/dismiss", snags.guard), "reason=broken+feed&records=9").await;
    let page = get(&app, got.header("location")).await.text;
    assert!(page.contains("Dismissed: 2 readings dropped.") && page.contains("closes by itself"), "{page}");
    let level = app.store.read(|view| view.stock_level_of(&stock_of("stock"), &"21".into(), &"COAT-42".into(), start())).await;
    assert_eq!(level.unwrap().unwrap().level.on_hand, 12);
}

#[tokio::test]
async fn a_figure_that_is_held_goes_back_or_is_left() {
    for (act, body, state, says) in [
        ("release", "", "due", "Released: 1 figure, to be worked out anew and written."),
        ("dismiss", "reason=a+bundle&records=9", "left", "Dismissed: 1 figure, left as the shop shows it."),
    ] {
        let (app, _, snags) = stocked(0).await;
        let path = format!("/exceptions/{}", snags.not_taken);
        let page = get(&app, &path).await.text;
        for says in ["HAT-3", "Last written", ">9<", "Times tried", "Release 1 figure", "when the item moves at the source"] {
            assert!(page.contains(says), "{says}: {page}");
        }
        assert_eq!(get(&app, &format!("/api{path}")).await.json()["stock"]["figures"][0]["sent"][0], 9);
        assert!(get(&app, "/stock/items/HAT-3").await.text.contains(&format!("href=\"{path}\"")));
        let got = form(&app, &format!("{path}/{act}"), body).await;
        let page = get(&app, got.header("location")).await.text;
        assert!(page.contains(says) && !page.contains("<button>Release"), "{page}");
        let figure = app.store.read(|view| view.stock_figure(&stock_of("stock"), &"9".into(), &"HAT-3".into())).await;
        assert_eq!(figure.unwrap().unwrap().state.word(), state);
    }
}

#[tokio::test]
async fn what_holds_nothing_offers_no_act_and_names_its_rows() {
    let (app, _, snags) = stocked(0).await;
    for (id, says) in [
        (snags.drift, ["COAT-42", "foreign write", "+26", "not yet"]),
        (snags.no_source, ["GHOST-1", "does not know", "/stock?state=left&amp;warehouse=9", "Nothing is held"]),
        (snags.duplicate, ["TWIN-1", "The figures", "Nothing is held", "mend what is named"]),
    ] {
        let page = get(&app, &format!("/exceptions/{id}")).await.text;
        for says in says {
            assert!(page.contains(says), "{says}: {page}");
        }
        assert!(!page.contains("/release\"") && !page.contains("/dismiss\""), "{page}");
    }
    let rows = &get(&app, &format!("/api/exceptions/{}", snags.drift)).await.json()["stock"];
    assert_eq!((&rows["drifts"][0]["expected"], &rows["drifts"][0]["shown"]), (&json!(14), &json!(40)));
    assert_eq!(rows["drift_counts"], json!([1, 1]));
    let (app, exception) = busy().await;
    assert!(get(&app, &format!("/api/exceptions/{exception}")).await.json().get("stock").is_none());
}

/// The SKUs and warehouses of the pages of a list, and how many pages there are.
async fn all_pages(app: &Arc<App>, first: &str) -> (Vec<(String, String)>, usize) {
    let (mut found, mut after) = (Vec::new(), String::new());
    for page in 1.. {
        let got = get(app, &format!("{first}&after={after}")).await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rows = got["items"].as_array().unwrap();
        found.extend(rows.iter().map(|row| (text(&row["sku"]), format!("{}.{}", text(&row["flow"]), text(&row["place"])))));
        match got["next"].as_str() {
            Some(next) => after = super::words::part(next),
            None => return (found, page),
        }
    }
    unreachable!()
}

#[tokio::test]
async fn every_figure_is_on_exactly_one_page() {
    let (app, ..) = stocked(20).await;
    // 27 SKUs at three warehouses, two of which have the same id.
    for (limit, pages) in [(1_000, 1), (81, 1), (80, 2), (7, 14), (3, 27), (1, 27)] {
        let (found, count) = all_pages(&app, &format!("/api/stock/figures?limit={limit}")).await;
        assert_eq!((found.len(), count), (81, pages), "{limit}");
        let mut sorted = found.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted, found, "by SKU, none twice");
    }
    assert_eq!(all_pages(&app, "/api/stock/figures?limit=5&warehouse=8").await.0.len(), 27);
    assert_eq!(all_pages(&app, "/api/stock/figures?limit=2&state=held").await.0, [("HAT-3".to_owned(), "stock.9".to_owned())]);
    assert_eq!(
        all_pages(&app, "/api/stock/figures?limit=2&state=left&search=ghost").await,
        (
            vec![
                ("GHOST-1".to_owned(), "clearance.9".to_owned()),
                ("GHOST-1".to_owned(), "stock.8".to_owned()),
                ("GHOST-1".to_owned(), "stock.9".to_owned()),
            ],
            1
        )
    );

    let (mut path, mut links) = ("/stock".to_owned(), 0);
    loop {
        let page = get(&app, &path).await.text;
        let list = page.split("id=\"list\"").nth(1).unwrap();
        links += list.matches("href=\"/stock/items/").count();
        let Some((_, rest)) = page.split_once("id=\"more\" href=\"") else { break };
        path = rest.split('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!(links, 81);
    let page = get(&app, "/stock?state=held&warehouse=9&search=hat").await.text;
    for says in ["aria-current=\"true\">Held", "value=\"hat\"", "value=\"9\" selected", "name=\"state\" value=\"held\"", "HAT-3"]
    {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(get(&app, "/stock?search=nothing+like+it").await.text.contains("No figure is like that."));
}

#[tokio::test]
async fn what_cannot_be_listed_is_refused_with_what_can() {
    let (app, ..) = stocked(0).await;
    for (query, says) in [("state=lost", "due, sending, agreed, held, left"), ("warehouse=77", "8, 9")] {
        let page = get(&app, &format!("/stock?{query}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.text.contains(says), "{}", page.text);
        let got = get(&app, &format!("/api/stock/figures?{query}")).await;
        assert_eq!((got.status.as_u16(), got.header("content-type")), (422, "application/problem+json"));
        assert!(got.json()["detail"].as_str().unwrap().contains(says), "{}", got.text);
    }
    for path in ["/stock/items/NO-SUCH", "/api/stock/items/NO-SUCH"] {
        assert_eq!(get(&app, path).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn an_item_is_an_equation_with_its_times_and_what_is_the_matter() {
    let (app, _, snags) = stocked(0).await;
    let page = get(&app, "/stock/items/COAT-42").await.text;
    for says in [
        "left at the source",
        "not taken in",
        "kept back",
        "free to sell",
        "promised by the shop",
        "to be kept in the shop",
        "item i-COAT-42 at place 21",
        "2026-02-03 09:00:04 UTC",
        "The last movements",
        "A reading of place 21 is kept back",
        "Somebody else changed the figure at warehouse 8",
        "Flow clearance",
        &format!("/exceptions/{}", snags.guard),
        &format!("/exceptions/{}", snags.drift),
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let hat = get(&app, "/stock/items/HAT-3").await.text;
    assert!(hat.contains("May be wrong since") && hat.contains(&format!("/exceptions/{}", snags.not_taken)), "{hat}");
    let item = get(&app, "/api/stock/items/COAT-42").await.json();
    let stock = item.as_array().unwrap().iter().find(|one| one["flow"] == "stock").unwrap();
    assert_eq!(stock["snags"].as_array().unwrap().len(), 2, "{stock:#}");
    assert_eq!(stock["snags"][1]["what"], "level_kept_back");

    // A SKU that looks like one of our pages, and one that tries to break out of its own.
    assert!(get(&app, "/stock/items/rehearse").await.text.contains("Stock of rehearse"));
    assert!(get(&app, "/stock/rehearse").await.text.contains("Rehearse stock"));
    for path in ["/stock", "/", &format!("/stock/items/{}", super::words::part(NAUGHTY))] {
        let got = get(&app, path).await;
        assert_eq!(got.status, StatusCode::OK, "{path}");
        assert!(!got.text.contains("<script>"), "{path}: {}", got.text);
    }
}

#[tokio::test]
async fn today_and_the_metrics_tell_how_fresh_stock_is() {
    let (app, ..) = stocked(0).await;
    let page = get(&app, "/").await.text;
    for says in ["Warehouse 8", "1 figure is held</a>", "/stock?state=held&amp;warehouse=9", "the oldest", "18.0 s"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(!get(&empty().await.0, "/").await.text.contains("Warehouse"));
    let text = get(&app, "/metrics").await.text;
    for line in [
        "selvedge_stock_age_seconds{flow=\"stock\",warehouse=\"8\",quantile=\"0.5\"} 18.000",
        "selvedge_stock_figures{flow=\"stock\",warehouse=\"9\",state=\"held\"} 1",
        "selvedge_stock_wrong_seconds{flow=\"clearance\",warehouse=\"9\"} 1.500",
        "selvedge_stock_read_back_timestamp_seconds{flow=\"stock\",warehouse=\"8\"} 1770109203",
        "selvedge_captured_total{flow=\"orders\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    // Every value belongs to a metric that was named before it, once.
    let heads: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(heads.iter().collect::<std::collections::BTreeSet<_>>().len(), heads.len());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(heads.contains(&line.split(['{', ' ']).next().unwrap()), "{line}");
    }
    // No figures have no age.
    app.store.write(|tx| tx.stock_unlisted(&stock_of("clearance"), 9)).await.unwrap();
    let text = get(&app, "/metrics").await.text;
    assert!(!text.contains("age_seconds{flow=\"clearance\""), "{text}");
    let text = get(&empty().await.0, "/metrics").await.text;
    assert!(!text.contains("stock") && text.contains("selvedge_exceptions_open 0"), "{text}");
}

#[tokio::test]
async fn the_sentence_of_completeness_stands_on_the_page() {
    let (app, found) = reconciled().await;
    let page = get(&app, "/reconcile").await.text;
    for says in [
        "aria-current=\"page\">Reconciliation",
        "<b>shop → books</b>",
        "3 differences are open",
        "on the timer",
        "= Agreed",
        "1\u{202f}204",
        "182\u{202f}000.00\u{a0}SEK",
        "by called_off v1",
        "≠ </span>does not meet</span>: the window stays open",
        "Credit note: 1 document could not be read.",
        "Order: 2 were never captured by a flow that should have.",
        "Order: 1 stands at the target alone.",
        "Order: 3 differences lie within the tolerance.",
        "What probably lies behind it",
        "explains 2 documents",
        "2 looks",
        "Order: never arrived",
        "/reconcile/differences?pair=shop-books&amp;kind=order&amp;cause=missing&amp;why=never_arrived",
        "3\u{202f}550.00\u{a0}SEK",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let today = get(&app, "/").await.text;
    for says in
        ["<a href=\"/reconcile\">3 differences</a>", "7\u{202f}100.01\u{a0}SEK</b> at stake", "The last look does not meet"]
    {
        assert!(today.contains(says), "{says}: {today}");
    }

    let pairs = get(&app, "/api/reconcile").await.json();
    let kinds = pairs[0]["last"]["kinds"].as_array().unwrap();
    let order = kinds.iter().find(|kind| kind["kind"] == "order").unwrap();
    assert_eq!(
        (&order["meets"], &order["told"]["count"], &order["excluded"][0][0]),
        (&json!(true), &json!(1_204), &json!("called_off v1"))
    );
    assert_eq!(
        (&pairs[0]["last"]["balanced"], &pairs[0]["open"], &pairs[0]["looks"][1]["red"]),
        (&json!(false), &json!(3), &json!(4))
    );
    let causes = get(&app, "/api/reconcile/causes").await.json();
    assert_eq!(causes.as_array().unwrap().len(), 3);
    assert!(causes.as_array().unwrap().iter().any(|cause| cause["why"] == "rounding" && cause["stake"] == json!(["0.01 SEK"])));
    assert_eq!(get(&app, &format!("/api/reconcile/differences/{}", found.tax)).await.json()["money"]["amount"], "0.01");
}

#[tokio::test]
async fn differences_are_narrowed_down_and_closed_ones_stay() {
    let (app, found) = reconciled().await;
    let ids = async |query: &str| -> Vec<String> {
        let got = get(&app, &format!("/api/reconcile/differences?{query}")).await.json()["items"].clone();
        let page = get(&app, &format!("/reconcile/differences?{query}")).await.text;
        let ids: Vec<String> = got.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(page.matches("href=\"/reconcile/differences/dif_").count(), ids.len(), "{query}: page and API tell the same");
        ids
    };
    let (missing, alone, tax, closed) =
        (found.missing.to_string(), found.alone.to_string(), found.tax.to_string(), found.closed.to_string());
    assert_eq!(ids("").await, [missing.as_str(), &alone, &tax]);
    assert_eq!(ids("all=yes").await, [missing.as_str(), &alone, &tax, &closed]);
    assert_eq!(ids("pair=shop-books&kind=order&why=rounding").await, [tax.as_str()]);
    assert_eq!(ids("cause=orphan").await, [alone.as_str()]);
    assert_eq!(ids("order=1001&all=yes").await, [tax.as_str(), &closed]);
    assert_eq!(ids("limit=1").await, [missing.as_str()]);
    assert!(ids("kind=refund").await.is_empty());
    assert!(get(&app, "/reconcile/differences?kind=refund").await.text.contains("No difference is like that."));
    assert!(get(&app, "/reconcile/differences?limit=1&why=never_arrived").await.text.contains("limit=2"));

    for (query, says) in [
        ("pair=other", "shop-books"),
        ("kind=parcel", "credit_note"),
        ("why=magic", "never_arrived"),
        ("cause=magic", "orphan"),
        ("all=maybe", "all=yes"),
        ("limit=many", "1000"),
    ] {
        let page = get(&app, &format!("/reconcile/differences?{query}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(page.text.contains(says), "{query}: {}", page.text);
        let got = get(&app, &format!("/api/reconcile/differences?{query}")).await;
        assert_eq!((got.status.as_u16(), got.header("content-type")), (422, "application/problem+json"), "{query}");
        assert!(got.json()["detail"].as_str().unwrap().contains(says), "{query}: {}", got.text);
    }
    for path in ["/api/reconcile/differences/dif_77", "/api/reconcile/differences/abc"] {
        let got = get(&app, path).await;
        assert_eq!((got.status.as_u16(), got.header("content-type")), (404, "application/problem+json"), "{path}");
    }
}

#[tokio::test]
async fn one_difference_shows_both_sides_and_never_makes_a_match() {
    let (app, found) = reconciled().await;
    let page = get(&app, &format!("/reconcile/differences/{}", found.tax)).await.text;
    for says in [
        "Order 1001: rounded by another rule",
        "At the source, shop",
        "At the target, books",
        "<b>600.00\u{a0}SEK</b>",
        "<b>600.01\u{a0}SEK</b>",
        "<code>801001</code>",
        "lines[COAT-42].tax",
        "0.01\u{a0}SEK",
        "tax rounding",
        "href=\"/orders/1001\"",
        "Finance",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let page = get(&app, &format!("/reconcile/differences/{}", found.missing)).await.text;
    for says in [
        "perhaps 901 (80 %, the same amount, within a day): ",
        &format!("see <a href=\"/reconcile/differences/{}\">", found.alone),
        "a suggestion and no match",
        &format!("href=\"/exceptions/{}\"", found.exception),
        "<dd><code>1002</code></dd>",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let page = get(&app, &format!("/reconcile/differences/{}", found.closed)).await.text;
    assert!(page.contains("✓ </span>closed") && page.contains("told it otherwise: see what is open"), "{page}");
    for path in [format!("/reconcile/differences/{}", found.alone), "/reconcile".to_owned(), "/reconcile/differences".to_owned()]
    {
        let got = get(&app, &path).await;
        assert_eq!(got.status, StatusCode::OK, "{path}");
        assert!(got.text.contains("&lt;script&gt;") && !got.text.contains("<script>"), "{path}: {}", got.text);
    }

    // On the order's page with what is closed, and at the exception that groups them.
    let page = get(&app, "/orders/1001").await.text;
    for id in [found.tax, found.closed] {
        assert!(page.contains(&format!("href=\"/reconcile/differences/{id}\"")), "{page}");
    }
    assert_eq!(get(&app, "/api/orders/1001").await.json()["differences"].as_array().unwrap().len(), 2);
    let page = get(&app, &format!("/exceptions/{}", found.exception)).await.text;
    for says in [
        "Which differences",
        &format!("/reconcile/differences/{}", found.missing),
        "/reconcile/differences?pair=shop-books&amp;kind=order&amp;cause=missing&amp;why=never_arrived",
        "closes by itself when both ends were read and agree",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(!page.contains(&found.tax.to_string()) && !page.contains("/release\""), "{page}");
}

#[tokio::test]
async fn a_later_agreement_erases_no_earlier_red() {
    let app = agreed().await;
    let page = get(&app, "/reconcile").await.text;
    for says in ["✓ </span>meets", "Nothing differs.", "Nothing that was looked at differs.", "3 looks", "does not meet"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(get(&app, "/").await.text.contains("Both ends agree"), "today");
    assert_eq!(get(&app, "/api/reconcile/differences?all=yes").await.json()["items"].as_array().unwrap().len(), 4);

    let (app, _) = unlooked().await;
    assert!(get(&app, "/reconcile").await.text.contains("selvedge reconcile now --pair shop-books"));
    let today = get(&app, "/").await.text;
    assert!(today.contains("Not looked at yet: shop-books") && !today.contains("Both ends agree"), "{today}");
    assert!(!get(&empty().await.0, "/").await.text.contains("href=\"/reconcile\">Both"), "no pair, no line");
}

/// A table as a target has one.
static ITEMS: [MappingTable; 1] = [MappingTable { name: "item", parts: &["sku"] }];

#[tokio::test]
async fn the_handbook_tells_whose_an_exception_is_what_to_do_and_what_is_mapped() {
    let yuki = OwnerRule {
        rule: Some("mapping.".to_owned()),
        market: Some("Japan".to_owned()),
        person: Some("<Yuki>".to_owned()),
        ..OwnerRule::default()
    };
    let goods = OwnerRule { flow: Some("orders".into()), team: Some(Team::Operations), ..OwnerRule::default() };
    let (mut app, _) = with_desk(DeskSetup { owners: vec![yuki, goods], ..DeskSetup::default() }).await;
    Arc::get_mut(&mut app).unwrap().facts.targets = vec![Target { name: "books".into(), tables: &ITEMS, flows: Vec::new() }];
    let now = app.clock.now();
    let map = move |tx: &selvedge_store::Tx<'_>| {
        for number in 0..203 {
            let key = format!("sku=SKU-{number:03}");
            tx.map(&brand(), &"books".into(), "item", &key, Some(&format!("id-{number}")), "anna", now)?;
        }
        tx.map(&brand(), &"books".into(), "item", "*", Some("id-else"), "anna", now)
    };
    app.store.write(map).await.unwrap();

    let page = get(&app, "/handbook").await.text;
    let row =
        |word: &str| page.split("<tr>").find(|row| row.contains(word)).unwrap_or_else(|| panic!("no row of {word}: {page}"));
    let at = |word: &str| page.find(word).unwrap_or_else(|| panic!("{word}: {page}"));
    assert!(row("&lt;Yuki&gt;").contains("market Japan") && row("&lt;Yuki&gt;").contains("href=\"#fix-mapping\""));
    assert!(row("flow orders").contains("Operations"));
    assert!(
        at("&lt;Yuki&gt;") < at("flow orders") && at("flow orders") < at("<code>address.</code>"),
        "who decides first stands first"
    );
    assert!(row("<code>target.inactive_item</code>").contains("Operations"));
    assert!(row("<code>target.</code>").contains("Engineering"));
    assert!(row("<code>lines.price</code>, <code>lines.tax</code>").contains("Finance"));
    let fix = &page[at("id=\"fix-mapping\"")..];
    assert!(fix[..fix.find("</section>").unwrap()].contains("Set the mapping on the page"), "{fix}");
    assert!(row("SKU-199").contains("id-199") && !page.contains("SKU-200"));
    assert!(page.contains("And 3 more: "), "{page}");

    let text = get(&app, "/handbook.md").await.text;
    let line = |word: &str| text.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("no line of {word}: {text}"));
    assert_eq!(
        line("Yuki"),
        "| mapping. | market Japan | \\<Yuki\\> (the team of the rule), by \\[\\[desk.owners\\]\\] |  | [mapping](#mapping) |"
    );
    assert_eq!(
        line("target.inactive"),
        "| target.inactive\\_item | | Operations | The target refuses | [target](#target) |".replace("| |", "|  |")
    );
    assert!(text.contains("\n### mapping\n\n**A value has no mapping**\n\nSet the mapping on the page"), "{text}");
    assert_eq!(line("SKU-199"), "| sku=SKU-199 | id-199 |");
    assert!(!text.contains("SKU-200") && text.contains("And 3 more"));

    let told: serde_json::Value = serde_json::from_str(&get(&app, "/api/handbook").await.text).unwrap();
    assert_eq!((&told["owners"][0]["person"], &told["owners"][0]["configured"]), (&json!("<Yuki>"), &json!(true)));
    let items = told["tables"].as_array().unwrap().iter().find(|table| table["table"] == "item").unwrap();
    assert_eq!((&items["entries"], items["printed"].as_array().unwrap().len()), (&json!(203), 200));
    assert!(told["runbooks"].as_array().unwrap().iter().any(|one| one["area"] == "mapping"));
}

#[tokio::test]
async fn a_checklist_is_ticked_signed_and_then_stays() {
    let (app, _) = busy().await;
    let day = "/handbook/daily/2026-02-01";
    let page = get(&app, day).await;
    assert!(page.text.contains("1 open"), "what is seen stands beside the check: {}", page.text);
    // What is as it should be needs no word; what is not, does; what is not on the list is refused.
    let ticked = form(&app, &format!("{day}/tick"), "item=balance").await;
    assert_eq!((ticked.status, ticked.header("location")), (StatusCode::SEE_OTHER, "/handbook/daily/2026-02-01?done=ticked"));
    let refused = form(&app, &format!("{day}/tick"), "item=exceptions").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("say what you found and did"), "{}", refused.text);
    assert_eq!(form(&app, &format!("{day}/tick"), "item=trail").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let noted = form(&app, &format!("{day}/tick"), "item=exceptions&note=%3Cscript%3Easked+Bo").await;
    assert_eq!(noted.status, StatusCode::SEE_OTHER);
    let page = get(&app, day).await;
    assert!(page.text.contains("when it was not as it should be: &lt;script&gt;asked Bo"), "{}", page.text);
    assert!(get(&app, "/handbook.md").await.text.contains("# Handbook of"));
    // A tick may be taken back until somebody signs; what is left needs a reason.
    assert_eq!(form(&app, &format!("{day}/tick"), "item=balance&back=yes").await.status, StatusCode::SEE_OTHER);
    assert_eq!(form(&app, &format!("{day}/sign"), "").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(form(&app, &format!("{day}/sign"), "reason=a+quiet+day").await.status, StatusCode::SEE_OTHER);
    assert!(get(&app, day).await.text.contains("a quiet day"));
    for (act, body) in [("tick", "item=balance"), ("tick", "item=exceptions&back=yes"), ("sign", "reason=again")] {
        let refused = form(&app, &format!("{day}/{act}"), body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{act}");
        assert!(refused.text.contains("does not change any more"), "{}", refused.text);
    }
    // What has not begun can have been looked at by nobody.
    for (path, body) in
        [("daily/2026-02-04/tick", "item=balance"), ("daily/2026-02-04/sign", "reason=x"), ("monthly/2026-03/sign", "reason=x")]
    {
        let refused = form(&app, &format!("/handbook/{path}"), body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert!(refused.text.contains("has not begun"), "{path}: {}", refused.text);
    }
    let acts = app.store.read(|view| view.audit_rows(&brand(), 9)).await.unwrap();
    let acts: Vec<&str> = acts.iter().rev().map(|row| row.action.as_str()).collect();
    assert_eq!(acts, ["check.tick", "check.tick", "check.untick", "check.sign"]);
    for nowhere in ["/handbook/weekly/2026-02-01", "/handbook/daily/2026-02-30", "/handbook/daily/2026-02", "/handbook/monthly/x"]
    {
        assert_eq!(get(&app, nowhere).await.status, StatusCode::NOT_FOUND, "{nowhere}");
    }
}

#[tokio::test]
async fn a_link_in_a_message_asks_and_only_the_button_acknowledges() {
    use selvedge_model::alert::{Event, Message, Severity};
    use selvedge_store::alerts::NewMessage;

    let (app, _) = busy().await;
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let alert = app
        .store
        .write(move |tx| {
            let exception = tx.exceptions(&brand, false)?[0].id;
            let alert = tx.open_alert(&brand, exception, "all", Severity::Error, now)?;
            let message = Message {
                id: selvedge_model::MessageId(0),
                brand: brand.0.clone(),
                event: Event::Opened,
                severity: Severity::Error,
                by: None,
                items: Vec::new(),
                more: 1,
                at: now,
            };
            let new = NewMessage { channel: "ops".into(), route: "all".to_owned(), step: 0, message, alerts: vec![alert] };
            let message = tx.owe_message(&brand, &new, now)?;
            tx.add_alert_link(message, "0123456789abcdef", now + std::time::Duration::from_secs(600))?;
            Ok(alert)
        })
        .await
        .unwrap();
    let row = async || {
        let brand = app.brand.clone();
        app.store.read(move |view| view.alert(&brand, alert)).await.unwrap()
    };
    let link = "/alerts/ack/0123456789abcdef";
    for _ in 0..2 {
        let page = get(&app, link).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains("I look after it"), "{}", page.text);
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(row().await.acknowledged.is_none(), "opening it does nothing");
    }
    assert!(get(&app, "/alerts/ack/another").await.text.contains("opens nothing"));
    assert!(form(&app, link, "").await.text.contains("You look after it"));
    assert!(row().await.acknowledged.unwrap().1.starts_with("a link (msg_1 over ops)"));
    assert!(form(&app, link, "").await.text.contains("opens nothing"), "once");
    let page = get(&app, "/alerts").await;
    assert!(page.text.contains("a link (msg_1 over ops)"), "{}", page.text);

    // From the page and over the API, by whoever is quicker.
    assert_eq!(form(&app, &format!("/alerts/{alert}/acknowledge"), "").await.header("location"), "/alerts?acknowledged=0");
    let answer = api(&app, Method::POST, &format!("/api/alerts/{alert}/acknowledge"), json!({})).await;
    assert_eq!(answer.json(), json!({ "acknowledged": false }));
    assert_eq!(form(&app, "/alerts/alr_99/acknowledge", "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(api(&app, Method::POST, "/api/alerts/alr_99/acknowledge", json!({})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&app, "/api/alerts").await.json()["items"][0]["id"], alert.to_string());
}
