//! The pages of what runs: flows, connections, mappings, settings.

use axum::http::StatusCode;
use selvedge_model::Kind;

use super::{super::sample::NAUGHTY, *};

#[tokio::test]
async fn flows_are_a_picture_and_a_table_that_says_the_same() {
    let (app, _) = busy().await;
    let page = get(&app, "/flows").await.text;
    for says in [
        "<title>Flows · Selvedge</title>",
        "<svg class=\"map\"",
        "1 in flight · 2 held",
        "href=\"/flows/orders\"",
        "shop → books",
        "href=\"/exceptions?flow=orders\"",
        "✓ </span>live",
        "aria-current=\"page\">Flows",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let (app, _) = empty().await;
    let page = get(&app, "/flows").await.text;
    assert!(page.contains("at rest") && page.contains("none yet"), "{page}");
}

#[tokio::test]
async fn one_flow_tells_its_states_its_hours_its_rules_and_what_is_proven() {
    let (app, exception) = busy().await;
    let page = get(&app, "/flows/orders").await.text;
    for says in [
        "<title>Flow orders · Selvedge</title>",
        "✓ it balances",
        "Confirmed or compared, by hour",
        "2 records in all; most in 02-03 09:00: 2.",
        "Express (market=2,method=express) has no entry",
        &format!("/exceptions/{exception}"),
        "href=\"/orders/1001\"",
        "Orders without payment",
        "every 1m",
        "Nothing older than",
        "selvedge replay --flow orders",
        "Pause the flow",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let strange = get(&app, "/flows/nosuch").await;
    assert_eq!(strange.status, StatusCode::NOT_FOUND);
    assert!(strange.text.contains("There is no flow nosuch."), "{}", strange.text);
    let hostile = get(&app, "/flows/%3Cscript%3E").await;
    assert!(hostile.status == StatusCode::NOT_FOUND && !hostile.text.contains("<script>"), "{}", hostile.text);
    let stock = stocked(0).await.0;
    let page = get(&stock, "/flows/stock").await.text;
    assert!(page.contains("under Stock") && page.contains("Pause the flow"), "{page}");
}

#[tokio::test]
async fn a_flow_is_paused_for_a_reason_and_resumed_and_both_are_told() {
    let (app, _) = busy().await;
    let refused = form(&app, "/flows/orders/pause", "reason=%20").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("Give a reason") && refused.text.contains("aria-invalid=\"true\""), "{}", refused.text);
    let paused = form(&app, "/flows/orders/pause", "reason=the+books+are+closed").await;
    assert_eq!((paused.status, paused.header("location")), (StatusCode::SEE_OTHER, "/flows/orders?done=paused"));
    let page = get(&app, "/flows/orders?done=paused").await.text;
    for says in ["Paused. What comes is captured", "the books are closed", "Resume the flow", ADMIN] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(!page.contains("Pause the flow"), "{page}");
    for path in ["/", "/flows"] {
        let page = get(&app, path).await.text;
        assert!(page.contains("paused"), "{path}: {page}");
    }
    let again = form(&app, "/flows/orders/pause", "reason=x").await;
    assert_eq!(again.header("location"), "/flows/orders?done=paused-before");
    let resumed = form(&app, "/flows/orders/resume", "reason=").await;
    assert_eq!(resumed.header("location"), "/flows/orders?done=resumed");
    assert!(get(&app, "/flows/orders").await.text.contains("Pause the flow"));
    let led = get(&app, "/flows/orders/resume").await;
    assert_eq!((led.status, led.header("location")), (StatusCode::SEE_OTHER, "/flows/orders"));
    let trail = app.store.read(|view| view.audit_rows(&brand(), 10)).await.unwrap();
    let acts: Vec<&str> = trail.iter().map(|row| row.action.as_str()).collect();
    assert!(acts.contains(&"flow.pause") && acts.contains(&"flow.resume"), "{acts:?}");
}

#[tokio::test]
async fn a_sweep_is_foreseen_before_it_is_asked_for() {
    let (app, _) = busy().await;
    let page = get(&app, "/flows/orders?since=12h").await.text;
    for says in ["5 records came from there in that time", "Nothing in it is unproven.", "Sweep it"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let cut = get(&app, "/flows/orders?since=30d").await.text;
    assert!(cut.contains("Nothing older is captured, so it begins there."), "{cut}");
    let unclear = get(&app, "/flows/orders?since=yesterday").await.text;
    assert!(unclear.contains("Write it as 3d") && unclear.contains("value=\"yesterday\""), "{unclear}");
    let wrong = form(&app, "/flows/orders/sweep", "since=never").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let swept = form(&app, "/flows/orders/sweep", "since=12h").await;
    assert_eq!(swept.header("location"), "/flows/orders?done=swept");
    let page = get(&app, "/flows/orders").await.text;
    assert!(page.contains("A sweep is under way"), "{page}");
    let begun = app.store.read(|view| view.reading(&brand(), &"shop".into(), Kind::Order, "sweep")).await.unwrap();
    assert_eq!(begun.unwrap().interval.to, app.clock.now());
}

#[tokio::test]
async fn the_api_pauses_resumes_and_sweeps_as_the_pages_do() {
    let (app, _) = busy().await;
    let got = api(&app, Method::POST, "/api/flows/orders/pause", json!({ "reason": NAUGHTY })).await;
    assert_eq!(got.json(), json!({ "paused": true, "changed": true }));
    assert!(!get(&app, "/flows/orders").await.text.contains("<script>alert"));
    assert_eq!(get(&app, "/api/flows/orders").await.json()["lane"]["paused"]["reason"], NAUGHTY);
    let got = api(&app, Method::POST, "/api/flows/orders/resume", json!({})).await;
    assert_eq!(got.json(), json!({ "paused": false, "changed": true }));
    let foreseen = get(&app, "/api/flows/orders/sweep?since=1h").await.json();
    assert_eq!((&foreseen["known"], &foreseen["cut"]), (&json!(5), &json!(false)));
    let got = api(&app, Method::POST, "/api/flows/orders/sweep", json!({ "since": "1h" })).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text);
    for (path, body, status) in [
        ("/api/flows/nosuch/pause", json!({ "reason": "x" }), StatusCode::NOT_FOUND),
        ("/api/flows/orders/pause", json!({ "reason": "" }), StatusCode::UNPROCESSABLE_ENTITY),
        ("/api/flows/orders/sweep", json!({ "since": "soon" }), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(api(&app, Method::POST, path, body).await.status, status, "{path}");
    }
}
