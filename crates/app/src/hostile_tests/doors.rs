//! Attack: opening an address that nobody gave one the right to.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use selvedge_model::people::Role;
use selvedge_store::people::sessions::{Origin, Step};

use super::{Visitor, filled, with_password};
use crate::{
    pages::sample::{ADMIN, Fate, empty, order, person, place, signed_in, start},
    people::routes::{ALL, Need},
};

/// What only somebody who is signed in may learn.
const WITHIN: [&str; 4] = ["1042", "Åsa", "COAT-42", "Långa gatan"];

#[tokio::test]
async fn nobody_gets_anything_but_what_proves_itself() {
    let (app, clock) = empty().await;
    person(&app, ADMIN, &[Role::Admin]).await;
    place(&app, order("1042", "Åsa", 1), start(), Fate::Unmapped).await;
    let mut open = Vec::new();
    // One that has ended, one of the first step alone, one that was made up, and one for another name of the cookie.
    let old = signed_in(&app, ADMIN, &[Role::Admin]).await;
    clock.advance(Duration::from_secs(2 * 3_600));
    let (id, now) = (person(&app, ADMIN, &[Role::Admin]).await, app.clock.now());
    let half = app.store.write(move |tx| tx.open_session(id, Step::Password, &Origin::default(), now)).await.unwrap().1;
    let made_up = selvedge_store::people::Proof::fresh();
    let strangers = [
        Visitor::stranger(),
        Visitor::with_cookie(old),
        Visitor::with_cookie(format!("selvedge={}", half.text())),
        Visitor::with_cookie(format!("selvedge={}", made_up.text())),
        Visitor::with_cookie(format!("__Host-selvedge={}", half.text())),
        Visitor::with_cookie("selvedge=' OR 1=1 --"),
        Visitor::with_cookie(format!("selvedge={}", "x".repeat(4_000))),
        Visitor::with_token("slv_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        Visitor::with_token(half.text()),
        Visitor::stranger().header("authorization", "Basic YWRtaW46YWRtaW4="),
        Visitor::stranger().header("x-forwarded-user", ADMIN),
    ];
    for (number, stranger) in strangers.iter().enumerate() {
        for (method, path, need) in ALL.iter() {
            let got = stranger.send(&app, Method::from_bytes(method.as_bytes()).unwrap(), &filled(path), "text/plain", "").await;
            for secret in WITHIN {
                assert!(!got.text.contains(secret), "{method} {path} shows {secret} to stranger {number}");
            }
            if *need == Need::Nothing {
                open.push(*path);
                continue;
            }
            let led = got.status == StatusCode::SEE_OTHER && got.header("location").starts_with("/login");
            let refused = got.status == StatusCode::UNAUTHORIZED && !got.header("www-authenticate").is_empty();
            assert!(
                led || refused || got.status == StatusCode::UNAUTHORIZED,
                "{method} {path}: {} for stranger {number}",
                got.status
            );
            assert!(got.header("set-cookie").is_empty(), "{method} {path}");
        }
    }
    open.dedup();
    open.sort_unstable();
    open.dedup();
    assert_eq!(
        open,
        [
            "/alerts/ack/{token}",
            "/assets/{name}",
            "/demo/{token}",
            "/demo/{token}/",
            "/demo/{token}/{*path}",
            "/favicon.ico",
            "/healthz",
            "/invitation/{token}",
            "/login",
            "/login/code",
            "/login/sso",
            "/login/sso/back",
            "/readyz",
            "/setup/{token}",
            "/webhooks/{connection}",
        ],
        "whoever opens one more door says so here"
    );
    // What no router knows, and methods that a route does not take, tell a stranger nothing either.
    for path in
        ["/nowhere", "/orders/1042/", "//orders", "/api", "/api/", "/api/nothing", "/ORDERS", "/%6frders", "/.env", "/metrics/x"]
    {
        let got = Visitor::stranger().get(&app, path).await;
        assert!(matches!(got.status, StatusCode::SEE_OTHER | StatusCode::UNAUTHORIZED), "{path}: {}", got.status);
    }
    for method in [Method::DELETE, Method::PUT, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        let got = Visitor::stranger().send(&app, method.clone(), "/orders", "text/plain", "").await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{method}");
    }
}

#[tokio::test]
async fn a_route_that_somebody_forgot_to_put_into_the_table_is_refused() {
    use axum::{Router, middleware, routing::get};
    use tower::ServiceExt;
    let (app, _) = empty().await;
    let cookie = signed_in(&app, ADMIN, &[Role::Admin]).await;
    let router: Router = Router::new()
        .route("/forgotten", get(|| async { "the till" }))
        .layer(middleware::from_fn_with_state(std::sync::Arc::clone(&app), crate::people::guard::guard));
    let request = axum::http::Request::get("/forgotten").header("cookie", cookie).body(axum::body::Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN, "even to an admin");
}

#[tokio::test]
async fn each_role_opens_what_the_table_says_and_nothing_else() {
    let (app, _) = empty().await;
    for role in Role::ALL {
        for (method, path, need) in ALL.iter() {
            let Need::Right(right) = need else { continue };
            let visitor = Visitor::signed_in(&app, &format!("{role}@example.com"), &[role]).await;
            let got =
                visitor.send(&app, Method::from_bytes(method.as_bytes()).unwrap(), &filled(path), "application/json", "{}").await;
            let may = role.rights().contains(right);
            assert_eq!(got.status != StatusCode::FORBIDDEN, may, "{role}: {method} {path}: {} {}", got.status, got.text);
            assert!(got.status.as_u16() < 500, "{role}: {method} {path}: {}", got.status);
        }
    }
    // Known, and nothing at this brand: the account, and no more.
    for (method, path, need) in ALL.iter() {
        let nobody = Visitor::signed_in(&app, "nobody@example.com", &[]).await;
        let got =
            nobody.send(&app, Method::from_bytes(method.as_bytes()).unwrap(), &filled(path), "application/json", "{}").await;
        assert_eq!(got.status == StatusCode::FORBIDDEN, matches!(need, Need::Right(_)), "{method} {path}: {}", got.status);
    }
}

#[tokio::test]
async fn forms_that_nobody_may_send_are_not_offered_and_refused_all_the_same() {
    let (app, _) = empty().await;
    let exception = place(&app, order("1042", "Åsa", 1), start(), Fate::Unmapped).await.unwrap();
    let path = format!("/exceptions/{exception}");
    for (role, acts, maps) in
        [(Role::Viewer, false, false), (Role::Operator, true, true), (Role::Finance, true, false), (Role::Admin, true, true)]
    {
        let visitor = Visitor::signed_in(&app, &format!("{role}@example.com"), &[role]).await;
        let page = visitor.get(&app, &path).await.text;
        assert_eq!(page.contains("/release\""), acts, "{role}");
        assert_eq!(page.contains("/dismiss\""), acts, "{role}");
        assert_eq!(page.contains("/map\""), maps, "{role}");
        let page = visitor.get(&app, "/mappings").await.text;
        assert_eq!(page.contains("action=\"/mappings\""), maps, "{role}");
        assert_eq!(page.contains("href=\"/people\""), role == Role::Admin, "{role}");
        assert!(page.contains("Sign out") && page.contains(&format!("</span>{role}")), "{role}: who is signed in");
    }
    let viewer = Visitor::signed_in(&app, "viewer@example.com", &[Role::Viewer]).await;
    let before = super::acts(&app).await.len();
    for path in [
        format!("{path}/release"),
        format!("{path}/dismiss"),
        format!("{path}/map"),
        "/mappings".into(),
        format!("/api{path}/release"),
    ] {
        let got = viewer.post(&app, &path, &[("reason", "x")]).await;
        assert_eq!(
            got.status,
            if path == "/api/mappings" { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::FORBIDDEN },
            "{path}"
        );
        assert!(got.text.contains("right to") || got.text.contains("may not"), "{path}: {}", got.text);
    }
    assert_eq!(super::acts(&app).await.len(), before, "nothing was done");
}

#[tokio::test]
async fn another_brands_things_are_not_there() {
    let (app, _) = empty().await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let (exception, id) = app
        .store
        .write(|tx| {
            let problem = selvedge_model::Problem::new("x.y", "", "theirs alone", "");
            let exception = tx.raise_standing(&"other".into(), &"orders".into(), &problem, start())?;
            let id = tx.add_person(&"bo@example.com".parse().unwrap(), "Bo", start())?;
            tx.set_roles(id, &"other".into(), &[Role::Admin].into())?;
            Ok((exception, id))
        })
        .await
        .unwrap();
    for path in [format!("/exceptions/{exception}"), format!("/api/exceptions/{exception}"), format!("/people/{id}")] {
        let got = admin.get(&app, &path).await;
        assert_eq!(got.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!got.text.contains("theirs alone") && !got.text.contains("Bo<"), "{path}");
    }
    assert!(!admin.get(&app, "/people").await.text.contains("bo@example.com"));
    for path in [format!("/exceptions/{exception}/release"), format!("/exceptions/{exception}/dismiss")] {
        assert_eq!(admin.post(&app, &path, &[("reason", "x")]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    // An admin here must not become somebody there: neither by a link to a new password, nor by ending what they have.
    person(&app, "bo@example.com", &[Role::Viewer]).await;
    for act in ["reset", "disable", "sessions/revoke"] {
        let got = admin.post(&app, &format!("/people/{id}/{act}"), &[]).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{act}");
        assert!(got.text.contains("other brands") && !got.text.contains("/invitation/"), "{act}: {}", got.text);
    }
}

#[tokio::test]
async fn whoever_is_signed_out_is_out_at_once() {
    let (app, clock) = empty().await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let id = with_password(&app, "anna@example.com", &[Role::Operator]).await;
    let anna = || Visitor::signed_in(&app, "anna@example.com", &[Role::Operator]);
    let out = async |visitor: &Visitor| visitor.get(&app, "/orders").await.status == StatusCode::SEE_OTHER;

    let (here, there) = (anna().await, anna().await);
    assert_eq!(here.post(&app, "/logout", &[]).await.header("location"), "/login");
    assert!(out(&here).await && !out(&there).await, "this browser alone");
    let left = here.post(&app, "/logout", &[]).await;
    assert_eq!(left.status, StatusCode::UNAUTHORIZED);

    assert_eq!(admin.post(&app, &format!("/people/{id}/sessions/revoke"), &[]).await.status, StatusCode::SEE_OTHER);
    assert!(out(&there).await, "revoked by an admin");
    let (here, there) = (anna().await, anna().await);
    here.post(&app, "/account/sessions/revoke", &[]).await;
    assert!(!out(&here).await && out(&there).await, "all others");

    let there = anna().await;
    let got = here
        .post(
            &app,
            "/account/password",
            &[("current", super::PASSWORD), ("password", "four other words entirely"), ("again", "four other words entirely")],
        )
        .await;
    assert_eq!(got.header("location"), "/account?did=password", "{}", got.text);
    assert!(!out(&here).await && out(&there).await, "a new password ends the others");

    // A right that is taken away counts from the next request on.
    person(&app, "anna@example.com", &[Role::Viewer]).await;
    assert_eq!(here.post(&app, "/mappings", &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(admin.post(&app, &format!("/people/{id}/disable"), &[]).await.status, StatusCode::SEE_OTHER);
    assert!(out(&here).await, "out of use");
    assert_eq!(
        Visitor::stranger().log_in(&app, "anna@example.com", "four other words entirely").await.status,
        StatusCode::UNAUTHORIZED
    );

    // An open page that refreshes itself does not keep a session alive; a person does.
    let page = anna().await;
    app.store.write(move |tx| tx.set_disabled(id, None)).await.unwrap();
    let page = Visitor {
        headers: vec![("x-selvedge-live", "1".to_owned())],
        ..Visitor { cookie: Some(signed_in(&app, "anna@example.com", &[Role::Viewer]).await), ..page }
    };
    // Its stream of events can carry no header of ours.
    let stream = Visitor { headers: vec![("accept", "text/event-stream".to_owned())], ..anna().await };
    let person = anna().await;
    for _ in 0..3 {
        clock.advance(Duration::from_secs(3_000));
        page.get(&app, "/orders").await;
        stream.get(&app, "/orders").await;
        person.get(&app, "/orders").await;
    }
    assert!(out(&page).await && out(&stream).await && !out(&person).await);
}

#[tokio::test]
async fn the_last_admin_stays() {
    let (app, _) = empty().await;
    let id = with_password(&app, ADMIN, &[Role::Admin]).await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    for (act, fields) in [("roles", &[("viewer", "on")][..]), ("disable", &[])] {
        let got = admin.post(&app, &format!("/people/{id}/{act}"), fields).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{act}");
        assert!(got.text.contains("Somebody has to stay admin"), "{}", got.text);
    }
    assert_eq!(admin.get(&app, "/people").await.status, StatusCode::OK);
}
