//! Attack: having somebody's browser act from another web site, frame our pages, or take over the log-in.

use axum::http::StatusCode;
use selvedge_model::people::Role;

use super::{PASSWORD, Visitor, with_password};
use crate::pages::sample::{ADMIN, Fate, empty, order, place, start};

#[tokio::test]
async fn a_form_on_another_site_does_nothing() {
    let (app, _) = empty().await;
    let exception = place(&app, order("1042", "Åsa", 1), start(), Fate::Unmapped).await.unwrap();
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let acts = [
        (format!("/exceptions/{exception}/release"), vec![]),
        (format!("/exceptions/{exception}/dismiss"), vec![("reason", "x"), ("records", "9")]),
        (format!("/api/exceptions/{exception}/release"), vec![]),
        ("/mappings".to_owned(), vec![("connection", "books"), ("table", "item"), ("key", "sku=1"), ("value", "1")]),
        ("/people".to_owned(), vec![("name", "Eve"), ("email", "eve@example.com"), ("admin", "on")]),
        ("/people/four-eyes".to_owned(), vec![]),
        ("/account/tokens".to_owned(), vec![("name", "x"), ("days", "7"), ("read", "on")]),
        ("/account/password".to_owned(), vec![]),
        ("/logout".to_owned(), vec![]),
        ("/login".to_owned(), vec![("email", "eve@example.com"), ("password", PASSWORD)]),
    ];
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for (path, fields) in &acts {
            let got = admin.clone().header(name, value).post(&app, path, fields).await;
            assert_eq!(got.status, StatusCode::FORBIDDEN, "{path} {name}: {value}");
            assert!(got.text.contains("nothing was done") && got.header("set-cookie").is_empty(), "{path}: {}", got.text);
        }
    }
    assert!(super::acts(&app).await.is_empty(), "nothing was done");
    // The same from our own page.
    let got = admin.clone().header("sec-fetch-site", "same-origin").post(&app, &acts[0].0, &[]).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
    assert_eq!(super::acts(&app).await.len(), 1);
}

#[tokio::test]
async fn a_session_is_never_one_that_a_visitor_brought() {
    let (app, _) = empty().await;
    with_password(&app, ADMIN, &[Role::Admin]).await;
    // Fixation: the attacker leaves a cookie in the victim's browser, and waits until she signs in.
    let planted = "selvedge=attackersattackersattackersattackers1234567";
    let got = Visitor::with_cookie(planted).log_in(&app, ADMIN, PASSWORD).await;
    let cookie = got.cookie().unwrap();
    assert_ne!(cookie, planted);
    assert_eq!(Visitor::with_cookie(planted).get(&app, "/").await.status, StatusCode::SEE_OTHER);
    assert_eq!(Visitor::with_cookie(&cookie).get(&app, "/").await.status, StatusCode::OK);
    // Signing in once more makes a new one, and ends the one before.
    let again = Visitor::with_cookie(&cookie).log_in(&app, ADMIN, PASSWORD).await.cookie().unwrap();
    assert_ne!(again, cookie);
    assert_eq!(Visitor::with_cookie(&cookie).get(&app, "/").await.status, StatusCode::SEE_OTHER);
    // Out of reach of scripts and of other sites; forgotten when she leaves.
    let set = got.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    let left = Visitor::with_cookie(&again).post(&app, "/logout", &[]).await;
    assert!(left.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test]
async fn signing_in_leads_nowhere_else() {
    let (app, _) = empty().await;
    with_password(&app, ADMIN, &[Role::Admin]).await;
    for (to, led) in [
        ("/orders?search=a", "/orders?search=a"),
        ("//evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
    ] {
        let got = Visitor::stranger().post(&app, "/login", &[("email", ADMIN), ("password", PASSWORD), ("to", to)]).await;
        assert_eq!((got.status, got.header("location")), (StatusCode::SEE_OTHER, led), "{to}");
        assert_eq!(got.headers.get_all("set-cookie").iter().count(), 1, "{to}");
    }
    // Whoever was sent to the log-in comes back to where they wanted to go, by an address of ours.
    let got = Visitor::stranger().get(&app, "/orders?search=%2F%2Fevil").await;
    assert_eq!(got.header("location"), "/login?to=%2Forders%3Fsearch%3D%252F%252Fevil");
}

#[tokio::test]
async fn no_page_is_framed_kept_or_given_to_scripts_of_others() {
    let (app, _) = empty().await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    for path in ["/", "/account", "/people", "/approvals", "/nowhere", "/api/flows"] {
        let got = admin.get(&app, path).await;
        assert_eq!(got.header("x-frame-options"), "DENY", "{path}");
        assert!(got.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(got.header("cache-control"), "no-store", "{path}");
        assert_eq!(got.header("cross-origin-resource-policy"), "same-origin", "{path}");
        assert!(got.header("access-control-allow-origin").is_empty(), "{path}");
    }
    for path in ["/login", "/setup/x", "/invitation/x", "/metrics"] {
        let got = Visitor::stranger().get(&app, path).await;
        assert_eq!((got.header("x-frame-options"), got.header("cache-control")), ("DENY", "no-store"), "{path}");
    }
}
