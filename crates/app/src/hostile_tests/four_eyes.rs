//! Attack: doing alone what takes two.

use std::{sync::Arc, time::Duration};

use axum::http::{Method, StatusCode};
use selvedge_flow::actions::Actions;
use selvedge_model::people::Role;
use selvedge_store::StoreError;

use super::{Visitor, acts};
use crate::{
    pages::sample::{ADMIN, Fate, brand, empty, order, person, place, start},
    serve::App,
};

const MAPPING: [(&str, &str); 4] =
    [("connection", "books"), ("table", "shipping_item"), ("key", "market=2,method=express"), ("value", "417")];

async fn marked(app: &Arc<App>, marks: &[(&str, &str)]) -> (Visitor, Visitor) {
    let admin = Visitor::signed_in(app, ADMIN, &[Role::Admin]).await;
    assert_eq!(admin.post(app, "/people/four-eyes", marks).await.header("location"), "/people?did=four-eyes");
    (admin, Visitor::signed_in(app, "bo@example.com", &[Role::Operator]).await)
}

async fn mappings(app: &App) -> usize {
    app.store.read(|view| view.mappings(&brand())).await.unwrap().len()
}

#[tokio::test]
async fn a_marked_act_waits_and_nobody_approves_their_own() {
    let (app, _) = empty().await;
    let exception = place(&app, order("1042", "Åsa", 1), start(), Fate::Unmapped).await.unwrap();
    let (admin, bo) = marked(&app, &[("map", "on"), ("dismiss", "on"), ("release_over", "")]).await;
    let got = bo.post(&app, &format!("/exceptions/{exception}/map"), &MAPPING).await;
    assert_eq!(got.header("location"), "/approvals?asked=apr_1");
    assert_eq!(mappings(&app).await, 0, "nothing is done yet");
    assert!(bo.get(&app, "/approvals?asked=apr_1").await.text.contains("Not done yet"));
    // The same, by the API and by a token: it is asked for, too, and not twice.
    let body = r#"{"connection":"books","table":"shipping_item","key":"market=2,method=express","value":"417"}"#;
    let got = bo.send(&app, Method::PUT, "/api/mappings", "application/json", body).await;
    assert_eq!((got.status, got.text.contains("apr_1")), (StatusCode::ACCEPTED, true), "{}", got.text);
    // Releasing is not marked.
    assert_eq!(
        bo.post(&app, &format!("/exceptions/{exception}/release"), &[]).await.header("location"),
        format!("/exceptions/{exception}?released=1")
    );

    let page = bo.get(&app, "/approvals").await.text;
    assert!(page.contains("somebody else has to approve") && !page.contains("/approve\""), "{page}");
    let own = bo.post(&app, "/approvals/apr_1/approve", &[]).await;
    assert_eq!(own.status, StatusCode::FORBIDDEN);
    assert!(own.text.contains("Nobody approves what they asked for themselves"), "{}", own.text);
    let fin = Visitor::signed_in(&app, "fin@example.com", &[Role::Finance]).await;
    assert_eq!(fin.post(&app, "/approvals/apr_1/approve", &[]).await.status, StatusCode::FORBIDDEN, "may not map");
    assert_eq!(fin.post(&app, "/approvals/apr_1/reject", &[("reason", "x")]).await.status, StatusCode::FORBIDDEN);
    // A token is no second person.
    let token = admin
        .post(
            &app,
            "/account/tokens",
            &[("name", "robot"), ("days", "7"), ("map", "on"), ("read", "on"), ("current", super::PASSWORD)],
        )
        .await;
    let token = token.text.split("<code id=\"token\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert_eq!(Visitor::with_token(token).post(&app, "/approvals/apr_1/approve", &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(mappings(&app).await, 0);

    assert!(admin.get(&app, "/approvals").await.text.contains("Approve and do it"));
    assert_eq!(admin.post(&app, "/approvals/apr_1/approve", &[]).await.header("location"), "/approvals?approved=apr_1");
    assert_eq!(mappings(&app).await, 1);
    assert_eq!(admin.post(&app, "/approvals/apr_1/approve", &[]).await.status, StatusCode::CONFLICT, "done once");
    let done = acts(&app).await;
    let by: Vec<_> = done.iter().map(|(by, action, ..)| (by.as_str(), action.as_str())).collect();
    assert!(by.contains(&("bo@example.com", "approval.ask")) && by.contains(&(ADMIN, "approval.approve")), "{by:?}");
    assert!(by.contains(&("bo@example.com, approved by ada@example.com", "mapping.set")), "in the name of both: {by:?}");

    // Turned down with a reason, and taken back by whoever asked.
    bo.post(&app, &format!("/exceptions/{exception}/dismiss"), &[("reason", "a test"), ("records", "2")]).await;
    assert_eq!(admin.post(&app, "/approvals/apr_2/reject", &[("reason", " ")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        admin.post(&app, "/approvals/apr_2/reject", &[("reason", "it is a real order")]).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(admin.post(&app, "/approvals/apr_2/approve", &[]).await.status, StatusCode::CONFLICT);
    assert!(bo.get(&app, "/approvals").await.text.contains("it is a real order"));
    bo.post(&app, "/mappings/remove", &MAPPING).await;
    assert_eq!(bo.post(&app, "/approvals/apr_3/reject", &[("reason", "a slip")]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(mappings(&app).await, 1, "removing is a change, too, and was taken back");
}

#[tokio::test]
async fn the_limit_of_releases_has_no_way_round() {
    let (app, clock) = empty().await;
    let mut exception = None;
    for number in 1..=3 {
        exception = place(&app, order(&format!("104{number}"), "Åsa", 1), start(), Fate::Unmapped).await;
    }
    let exception = exception.unwrap();
    clock.advance(Duration::from_secs(60));
    let (admin, bo) = marked(&app, &[("release_over", "2")]).await;
    let held = async || app.store.read(move |view| view.exception(exception)).await.unwrap().count;
    assert_eq!(
        bo.post(&app, &format!("/exceptions/{exception}/release"), &[]).await.header("location"),
        "/approvals?asked=apr_1"
    );
    assert_eq!(held().await, 3, "undone whole");
    assert_eq!(
        bo.post(&app, "/mappings", &MAPPING).await.header("location"),
        "/approvals?asked=apr_2",
        "by a mapping that releases as many"
    );
    assert_eq!((held().await, mappings(&app).await), (3, 0));
    // What changes while it waits is looked at when it is approved.
    person(&app, "bo@example.com", &[Role::Viewer]).await;
    let got = admin.post(&app, "/approvals/apr_1/approve", &[]).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    assert!(got.text.contains("bo@example.com may not do this any more"), "{}", got.text);
    person(&app, "bo@example.com", &[Role::Operator]).await;
    assert_eq!(admin.post(&app, "/approvals/apr_1/approve", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(held().await, 0);
    // Two who approve at once: one does it.
    place(&app, order("1044", "Åsa", 1), start(), Fate::Unmapped).await;
    let engineer = Visitor::signed_in(&app, "en@example.com", &[Role::Engineer]).await;
    let (one, two) =
        tokio::join!(admin.post(&app, "/approvals/apr_2/approve", &[]), engineer.post(&app, "/approvals/apr_2/approve", &[]));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::CONFLICT]);
}

#[tokio::test]
async fn what_waits_is_over_after_a_week() {
    let (app, clock) = empty().await;
    let (_, bo) = marked(&app, &[("map", "on")]).await;
    bo.post(&app, "/mappings", &MAPPING).await;
    clock.advance(Duration::from_secs(7 * 86_400));
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    assert!(admin.get(&app, "/approvals").await.text.contains("expired"));
    let got = admin.post(&app, "/approvals/apr_1/approve", &[]).await;
    assert_eq!((got.status, got.text.contains("apr_1 is expired")), (StatusCode::CONFLICT, true), "{}", got.text);
    assert_eq!(mappings(&app).await, 0);
}

#[tokio::test]
async fn a_period_is_signed_by_two_where_that_is_marked() {
    let (app, clock) = empty().await;
    let (admin, bo) = marked(&app, &[("close", "on")]).await;
    let cli =
        |name: &str| Actions { store: app.store.clone(), brand: brand(), clock: Arc::clone(&app.clock), actor: name.into() };
    let period = "2026-11".parse().unwrap();
    let asked = cli("cy (cli)").may_sign("sweden", period).await;
    assert!(matches!(asked, Err(StoreError::NeedsApproval(_))), "{asked:?}");
    assert!(cli("cy (cli)").may_sign("sweden", period).await.is_err(), "asking again is no approval");
    assert!(cli("cy (cli)").approve("apr_1".parse().unwrap()).await.is_err(), "nor is the command line a second person");
    let sign = selvedge_store::closes::CloseSign {
        entity: "sweden".to_owned(),
        period,
        sequence: 1,
        restatement: 0,
        signed_by: "cy (cli)".to_owned(),
        signed_at: start(),
        folder: "f".to_owned(),
        hash: "0".repeat(64),
        previous: None,
        rows: 0,
        open_items: 0,
    };
    let refused = cli("cy (cli)").sign_close(sign.clone()).await;
    assert!(matches!(refused, Err(StoreError::Forbidden(_))), "{refused:?}");
    assert_eq!(bo.post(&app, "/approvals/apr_1/approve", &[]).await.status, StatusCode::FORBIDDEN, "an operator closes nothing");
    assert_eq!(admin.post(&app, "/approvals/apr_1/approve", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(cli("cy (cli)").may_sign("sweden", period).await.unwrap().as_deref(), Some(ADMIN));
    assert!(cli("di (cli)").sign_close(sign.clone()).await.is_err(), "it was approved for whoever asked");
    cli("cy (cli)").sign_close(sign.clone()).await.unwrap();
    let again = selvedge_store::closes::CloseSign { sequence: 2, restatement: 1, previous: Some("0".repeat(64)), ..sign };
    assert!(matches!(cli("cy (cli)").sign_close(again).await, Err(StoreError::Forbidden(_))), "one approval, one signature");
    // What was signed is not opened again by one alone.
    let refused = cli("cy (cli)").reopen_close("sweden", period, "SE-31 came late").await;
    assert!(matches!(refused, Err(StoreError::NeedsApproval(_))), "{refused:?}");
    assert_eq!(admin.post(&app, "/approvals/apr_2/approve", &[]).await.status, StatusCode::SEE_OTHER);
    assert!(
        acts(&app)
            .await
            .iter()
            .any(|(by, action, ..)| action == "close.restate" && by == "cy (cli), approved by ada@example.com")
    );
    clock.advance(Duration::ZERO);
}

#[tokio::test]
async fn a_mark_is_set_by_one_and_lifted_by_two() {
    let (app, _) = empty().await;
    let (admin, _) = marked(&app, &[("map", "on"), ("dismiss", "on"), ("release_over", "")]).await;
    let stands = async || app.store.read(|view| view.four_eyes(&brand())).await.unwrap();
    // By the page and by the API.
    let got = admin.post(&app, "/people/four-eyes", &[("map", "on"), ("release_over", "")]).await;
    assert_eq!(got.header("location"), "/approvals?asked=apr_1");
    let got = admin.send(&app, Method::PUT, "/api/four-eyes", "application/json", "{}").await;
    assert_eq!(got.status, StatusCode::ACCEPTED, "{}", got.text);
    assert_eq!(admin.post(&app, "/approvals/apr_1/approve", &[]).await.status, StatusCode::FORBIDDEN);
    assert!(stands().await.map && stands().await.dismiss);
    let second = Visitor::signed_in(&app, "di@example.com", &[Role::Admin]).await;
    assert_eq!(second.post(&app, "/approvals/apr_1/approve", &[]).await.status, StatusCode::SEE_OTHER);
    assert!(stands().await.map && !stands().await.dismiss);
    let got = second.post(&app, "/approvals/apr_2/approve", &[]).await;
    assert_eq!(got.status, StatusCode::CONFLICT, "it was asked for when something else was marked: {}", got.text);
    assert!(stands().await.map);
}
