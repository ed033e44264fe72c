//! Attack: guessing passwords, and finding out who has an account.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use selvedge_model::people::Role;

use super::{PASSWORD, Visitor, with_password};
use crate::{
    pages::sample::{ADMIN, empty, person},
    serve::App,
};

#[tokio::test]
async fn an_account_that_is_not_there_answers_like_one_that_is() {
    let (app, _) = empty().await;
    with_password(&app, ADMIN, &[Role::Admin]).await;
    person(&app, "invited@example.com", &[Role::Viewer]).await;
    let gone = with_password(&app, "gone@example.com", &[Role::Viewer]).await;
    let now = app.clock.now();
    app.store.write(move |tx| tx.set_disabled(gone, Some(now))).await.unwrap();
    let answer = async |email: &str, password: &str| {
        let got = Visitor::from("198.51.100.1").log_in(&app, email, password).await;
        (got.status, got.text.replace(email, "…"), got.cookie())
    };
    let wrong = answer(ADMIN, "not her password at all").await;
    assert_eq!((wrong.0, wrong.2.clone()), (StatusCode::UNAUTHORIZED, None));
    for (email, password) in [
        ("nobody@example.com", "not her password at all"),
        ("invited@example.com", ""),
        ("gone@example.com", PASSWORD),
        ("no address", "x"),
    ] {
        assert_eq!(answer(email, password).await, wrong, "{email}");
    }
    // That it takes as long is held by people/hashing.rs: the same work is done without a hash.
}

/// Tries until it is told to wait; how often it could.
async fn guesses(app: &Arc<App>, from: &'static str, email: &str, most: usize) -> usize {
    for number in 0..most {
        if Visitor::from(from).log_in(app, email, &format!("guess number {number}")).await.status == StatusCode::TOO_MANY_REQUESTS
        {
            return number;
        }
    }
    most
}

#[tokio::test]
async fn guessing_slows_down_and_shuts_nobody_out() {
    let (app, clock) = empty().await;
    with_password(&app, ADMIN, &[Role::Admin]).await;
    // She has signed in from home before.
    assert_eq!(Visitor::from("203.0.113.5").log_in(&app, ADMIN, PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(guesses(&app, "198.51.100.1", ADMIN, 20).await, 5);
    // From another address it goes on where the first one stopped.
    assert_eq!(guesses(&app, "198.51.100.2", ADMIN, 20).await, 0);
    let got = Visitor::from("198.51.100.3").log_in(&app, ADMIN, PASSWORD).await;
    assert_eq!(got.status, StatusCode::TOO_MANY_REQUESTS, "nothing is looked at, not even the right one");
    assert!(got.text.contains("try again in 2 seconds"), "{}", got.text);
    // An hour of it, and she still comes in from home at once.
    for _ in 0..12 {
        clock.advance(Duration::from_secs(300));
        assert!(guesses(&app, "198.51.100.1", ADMIN, 20).await <= 1);
    }
    assert_eq!(Visitor::from("203.0.113.5").log_in(&app, ADMIN, PASSWORD).await.status, StatusCode::SEE_OTHER);
    // And from anywhere, when the longest wait is over.
    clock.advance(Duration::from_secs(301));
    assert_eq!(Visitor::from("203.0.113.99").log_in(&app, ADMIN, PASSWORD).await.status, StatusCode::SEE_OTHER);
    let acts = super::acts(&app).await;
    let told: Vec<_> = acts.iter().filter(|(_, action, ..)| action == "login.failed").collect();
    assert_eq!(told.len(), 2, "a series is told once for the account and once for the address: {told:#?}");
    assert!(told[0].3.contains("198.51.100.1"), "{told:#?}");
}

#[tokio::test]
async fn one_address_does_not_try_a_password_on_everybody() {
    let (app, _) = empty().await;
    let mut tried = 0;
    for number in 0..40 {
        let got =
            Visitor::from("198.51.100.9").log_in(&app, &format!("person{number}@example.com"), "Summer2026Summer2026").await;
        if got.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        tried += 1;
    }
    assert_eq!(tried, 13);
}

#[tokio::test]
async fn what_a_visitor_says_of_its_address_is_not_believed() {
    let (app, _) = empty().await;
    with_password(&app, ADMIN, &[Role::Admin]).await;
    let mut tried = 0;
    for number in 0..20 {
        let visitor = Visitor::from("198.51.100.1").header("x-forwarded-for", format!("10.0.0.{number}"));
        let got = visitor.log_in(&app, &format!("a{number}@example.com"), "guess").await;
        tried += usize::from(got.status != StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(tried, 13, "all of them count for the one address");
}

#[tokio::test]
async fn a_borrowed_browser_does_not_change_what_proves_its_person() {
    let (app, _) = empty().await;
    with_password(&app, ADMIN, &[Role::Admin]).await;
    let borrowed = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let new = [("current", "guess"), ("password", "four other words entirely"), ("again", "four other words entirely")];
    for _ in 0..5 {
        assert_eq!(borrowed.post(&app, "/account/password", &new).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    for path in ["/account/password", "/account/totp", "/account/totp/remove"] {
        let got = borrowed.post(&app, path, &new).await;
        assert_eq!(got.status, StatusCode::TOO_MANY_REQUESTS, "{path}: it counts as guessing at the door does");
        assert!(!got.text.contains("otpauth"), "{path}");
    }
    let short = [("current", PASSWORD), ("password", "short"), ("again", "short")];
    let other = Visitor { address: Some("203.0.113.77"), ..borrowed.clone() };
    assert_ne!(other.post(&app, "/account/password", &short).await.status, StatusCode::SEE_OTHER);
}
