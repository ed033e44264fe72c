//! Attack: getting past the authenticator app.

use std::time::Duration;

use axum::http::StatusCode;
use selvedge_model::people::{Role, step_of, totp_code};
use selvedge_store::people::sessions::Step;

use super::{PASSWORD, Visitor, with_password};
use crate::{
    pages::sample::{ADMIN, empty, start},
    serve::App,
};

fn code(app: &App, secret: &[u8]) -> String {
    format!("{:06}", totp_code(secret, step_of(app.clock.now())))
}

#[tokio::test]
async fn it_is_set_up_asked_and_never_taken_twice() {
    let (app, clock) = empty().await;
    let id = with_password(&app, ADMIN, &[Role::Admin]).await;
    let anna = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let page = anna.post(&app, "/account/totp", &[("current", PASSWORD)]).await;
    assert!(
        page.text.contains("otpauth://totp/Selvedge%20nordwind:") && page.text.contains("<svg class=\"qr\""),
        "{}",
        page.text
    );
    let key = app.door.key.clone().unwrap();
    let secret = app.store.read(move |view| view.totp_of(id, &key)).await.unwrap().unwrap().0;
    // Not asked before it has proven itself: nobody locks themselves out by a slip.
    assert_eq!(Visitor::stranger().log_in(&app, ADMIN, PASSWORD).await.header("location"), "/");
    let got = anna.post(&app, "/account/totp/prove", &[("code", "000000")]).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    let got = anna.post(&app, "/account/totp/prove", &[("code", &code(&app, &secret))]).await;
    let recovery = got.text.split("<code>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert_eq!((got.text.matches("<code>").count(), recovery.len()), (10, 19), "{}", got.text);

    // Who signs in again in a browser leaves no session behind in it that nobody could end: the cookie is overwritten.
    let before = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    assert_eq!(before.get(&app, "/").await.status, StatusCode::OK);
    assert_eq!(before.log_in(&app, ADMIN, PASSWORD).await.header("location"), "/login/code");
    assert_eq!(before.get(&app, "/").await.status, StatusCode::SEE_OTHER, "the former session is open still");

    // The password alone opens nothing but the second step.
    clock.advance(Duration::from_secs(60));
    let first = Visitor::stranger().log_in(&app, ADMIN, PASSWORD).await;
    assert_eq!(first.header("location"), "/login/code");
    let half = Visitor::with_cookie(first.cookie().unwrap());
    for path in ["/", "/account", "/api/flows", "/people"] {
        assert!(matches!(half.get(&app, path).await.status, StatusCode::SEE_OTHER | StatusCode::UNAUTHORIZED), "{path}");
    }
    assert_eq!(half.get(&app, "/login/code").await.status, StatusCode::OK);
    for wrong in ["000000", "", "12345", "aaaa-bbbb-cccc-dddd", "' OR 1=1 --"] {
        assert_eq!(half.post(&app, "/login/code", &[("code", wrong)]).await.status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    clock.advance(Duration::from_secs(30));
    let typed = code(&app, &secret);
    let got = half.post(&app, "/login/code", &[("code", &typed), ("to", "/orders")]).await;
    assert_eq!(got.header("location"), "/orders", "{}", got.text);
    let whole = got.cookie().unwrap();
    assert_ne!(Some(&whole), half.cookie.as_ref(), "a new cookie for a new standing");
    assert_eq!(Visitor::with_cookie(&whole).get(&app, "/").await.status, StatusCode::OK);
    assert_eq!(half.get(&app, "/login/code").await.status, StatusCode::SEE_OTHER, "the half one is used up");

    // Somebody looked over her shoulder: the same code, still in its half minute.
    let again = Visitor::with_cookie(Visitor::stranger().log_in(&app, ADMIN, PASSWORD).await.cookie().unwrap());
    assert_eq!(again.post(&app, "/login/code", &[("code", &typed)]).await.status, StatusCode::UNAUTHORIZED, "replayed");
    assert_eq!(again.post(&app, "/login/code", &[("code", &recovery)]).await.status, StatusCode::SEE_OTHER);
    let again = Visitor::with_cookie(Visitor::stranger().log_in(&app, ADMIN, PASSWORD).await.cookie().unwrap());
    assert_eq!(again.post(&app, "/login/code", &[("code", &recovery)]).await.status, StatusCode::UNAUTHORIZED, "once");
    let acts = super::acts(&app).await;
    assert!(
        acts.iter().any(|(_, action, _, detail)| action == "login.recovery_code" && detail.contains("9 are left")),
        "{acts:#?}"
    );
}

#[tokio::test]
async fn codes_are_not_guessed_and_a_new_password_is_no_way_round() {
    let (app, clock) = empty().await;
    let id = with_password(&app, ADMIN, &[Role::Admin]).await;
    let key = app.door.key.clone().unwrap();
    app.store
        .write(move |tx| {
            tx.set_totp(id, b"12345678901234567890", &key)?;
            tx.use_totp_step(id, step_of(start()) - 10).map(drop)
        })
        .await
        .unwrap();
    let half = Visitor::with_cookie(Visitor::stranger().log_in(&app, ADMIN, PASSWORD).await.cookie().unwrap());
    let mut tried = 0;
    for number in 0..50 {
        let got = half.post(&app, "/login/code", &[("code", &format!("{number:06}"))]).await;
        tried += usize::from(got.status == StatusCode::UNAUTHORIZED);
    }
    assert_eq!(tried, 5, "of a million");
    // Starting over does not help: the password was right, and what failed still counts.
    assert_eq!(Visitor::stranger().log_in(&app, ADMIN, PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    // Nor does taking one's time.
    clock.advance(Duration::from_secs(301));
    assert_eq!(
        half.post(&app, "/login/code", &[("code", "000000")]).await.header("location"),
        "/login",
        "the first step is too old"
    );

    // A link to a new password, if somebody gets hold of one, still asks the app.
    let now = app.clock.now();
    let link = app.store.write(move |tx| tx.make_link(selvedge_store::people::links::Link::Password(id), now)).await.unwrap();
    let path = format!("/invitation/{}", link.text());
    let words = [("password", "four other words entirely"), ("again", "four other words entirely")];
    let got = Visitor::stranger().post(&app, &path, &words).await;
    assert_eq!(got.header("location"), "/login/code");
    let (cookie, now) = (super::proof(&got.cookie().unwrap()), app.clock.now());
    let brand = app.brand.clone();
    assert!(app.store.read(move |view| view.session(&brand, &cookie, Step::All, now)).await.unwrap().is_none());
}
