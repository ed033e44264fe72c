//! Attack: doing more with a token than it was made for, or with one that is not good any more.

use std::{sync::Arc, time::Duration};

use axum::http::{Method, StatusCode};
use selvedge_model::people::{Right, Role};

use super::{Got, Visitor};
use crate::{
    pages::sample::{ADMIN, Fate, empty, order, person, place, start},
    people::{
        Door,
        routes::{ALL, Need},
    },
    serve::App,
};

/// Makes a token as a person does; its text.
async fn make(app: &Arc<App>, visitor: &Visitor, scopes: &[&str]) -> Got {
    let mut fields = vec![("name", "nightly"), ("days", "30"), ("current", super::PASSWORD)];
    fields.extend(scopes.iter().map(|scope| (*scope, "on")));
    visitor.post(app, "/account/tokens", &fields).await
}

fn text(page: &Got) -> String {
    page.text.split("<code id=\"token\">").nth(1).unwrap_or_else(|| panic!("{}", page.text)).split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn it_opens_its_scopes_and_nothing_else() {
    let (app, _) = empty().await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    for scope in Right::ALL {
        let token = Visitor::with_token(text(&make(&app, &admin, &[scope.word()]).await));
        for (method, path, need) in ALL.iter() {
            let got = token
                .send(&app, Method::from_bytes(method.as_bytes()).unwrap(), &super::filled(path), "application/json", "{}")
                .await;
            let may = match need {
                Need::Nothing => true,
                Need::SignedIn => false,
                Need::Right(right) => *right == scope,
            };
            assert_eq!(got.status != StatusCode::FORBIDDEN, may, "{scope}: {method} {path}: {}", got.status);
            if path.starts_with("/api/") && !may {
                assert_eq!(got.header("content-type"), "application/problem+json", "{method} {path}");
                assert!(got.text.contains("takes the right to"), "{}", got.text);
            }
        }
    }
    // A method that is none tells nobody anything who may not read.
    let acts = Visitor::with_token(text(&make(&app, &admin, &["act"]).await));
    assert_eq!(acts.send(&app, Method::DELETE, "/api/orders", "", "").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn it_never_has_more_rights_than_its_person() {
    let (app, _) = empty().await;
    let exception = place(&app, order("1042", "Åsa", 1), start(), Fate::Unmapped).await.unwrap();
    let bo = Visitor::signed_in(&app, "bo@example.com", &[Role::Viewer]).await;
    let page = make(&app, &bo, &["people", "act"]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "asked for what he has not: nothing is left");
    person(&app, "bo@example.com", &[Role::Operator]).await;
    let token = Visitor::with_token(text(&make(&app, &bo, &["read", "act"]).await));
    let release = format!("/api/exceptions/{exception}/release");
    assert_eq!(token.post(&app, &release, &[]).await.status, StatusCode::OK);
    let acts = super::acts(&app).await;
    assert_eq!(acts.last().unwrap().0, "bo@example.com (token nightly)");
    person(&app, "bo@example.com", &[Role::Viewer]).await;
    assert_eq!(token.post(&app, &release, &[]).await.status, StatusCode::FORBIDDEN, "his role was taken away");
    assert_eq!(token.get(&app, "/api/flows").await.status, StatusCode::OK);
    // It goes before a cookie: whoever sends one means it.
    let both = Visitor { cookie: bo.cookie.clone(), ..Visitor::with_token("slv_wrong") };
    assert_eq!(both.get(&app, "/api/flows").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_old_a_revoked_and_a_foreign_one_are_refused_in_words() {
    let (app, clock) = empty().await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let bo = Visitor::signed_in(&app, "bo@example.com", &[Role::Viewer]).await;
    let id = person(&app, "bo@example.com", &[Role::Viewer]).await;
    let (one, two) = (text(&make(&app, &bo, &["read"]).await), text(&make(&app, &bo, &["read"]).await));
    let other = app.store.write(move |tx| {
        tx.make_token(&"other".into(), id, "x", &[Right::Read].into_iter().collect(), start() + Duration::from_secs(99), start())
    });
    let other = format!("slv_{}", other.await.unwrap().1.text());
    let refused = async |text: &str| {
        let got = Visitor::with_token(text).get(&app, "/api/flows").await;
        let challenge = got.header("www-authenticate").contains("invalid_token");
        got.status == StatusCode::UNAUTHORIZED && challenge && got.text.contains("Make a new one")
    };
    assert!(!refused(&one).await && refused(&other).await && refused(&one[4..]).await && refused(&format!("{one}x")).await);
    // Somebody else's is not revoked by the number it has.
    let list = bo.get(&app, "/account").await.text;
    let number = list.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    admin.post(&app, "/account/tokens/revoke", &[("token", &number)]).await;
    assert!(!refused(&two).await);
    bo.post(&app, "/account/tokens/revoke", &[("token", &number)]).await;
    assert!(refused(&two).await && !refused(&one).await, "the newest is the first of the list");
    clock.advance(Duration::from_secs(30 * 86_400));
    assert!(refused(&one).await, "its time is over");
    let page = make(&app, &Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await, &["read"]).await;
    assert_eq!(page.text.matches("slv_").count(), 2, "shown once, and named once");
    let account = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await.get(&app, "/account").await.text;
    assert!(!account.contains("slv_") && account.contains("nightly"), "{account}");
    let days = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let got = days.post(&app, "/account/tokens", &[("name", "x"), ("days", "100000"), ("read", "on")]).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "for ever is no time");
}

#[tokio::test]
async fn metrics_are_for_who_may_unless_they_are_open() {
    let (app, _) = empty().await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let token = text(&make(&app, &admin, &["metrics"]).await);
    assert_eq!(Visitor::stranger().get(&app, "/metrics").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(Visitor::with_token(&token).get(&app, "/metrics").await.status, StatusCode::OK);
    assert_eq!(
        Visitor::signed_in(&app, "bo@example.com", &[Role::Viewer]).await.get(&app, "/metrics").await.status,
        StatusCode::FORBIDDEN
    );
    let open = Arc::new(App::new(Arc::clone(&app.engine)).with_door(Door { metrics_open: true, ..Door::default() }));
    assert_eq!(Visitor::stranger().get(&open, "/metrics").await.status, StatusCode::OK);
    assert_eq!(Visitor::stranger().get(&open, "/api/flows").await.status, StatusCode::UNAUTHORIZED);
}
