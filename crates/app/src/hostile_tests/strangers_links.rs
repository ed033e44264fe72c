//! Attack: using a link that was meant for somebody else, was used, or is too old; becoming the first admin of a house that has one.

use std::time::Duration;

use axum::http::StatusCode;
use selvedge_model::people::Role;
use selvedge_store::people::{Proof, links::Link};

use super::{PASSWORD, Visitor, with_password};
use crate::{
    pages::sample::{ADMIN, brand, empty, person},
    people::{Door, demo_admin, setup_link},
    serve::App,
};

const FIRST: [(&str, &str); 4] = [("name", "Ada"), ("email", ADMIN), ("password", PASSWORD), ("again", PASSWORD)];

#[tokio::test]
async fn the_first_admin_is_named_once_and_by_the_newest_link() {
    let (app, _) = empty().await;
    assert!(Visitor::stranger().get(&app, "/login").await.text.contains("Nobody can sign in yet"));
    let link = async || {
        setup_link(&app.store, &brand(), "me (cli)", app.clock.now()).await.unwrap().map(|link| format!("/setup/{}", link.text()))
    };
    let (old, new) = (link().await.unwrap(), link().await.unwrap());
    assert_eq!(Visitor::stranger().get(&app, &old).await.status, StatusCode::GONE);
    assert_eq!(Visitor::stranger().post(&app, &old, &FIRST).await.status, StatusCode::GONE);
    for (wrong, says) in [
        ([("name", ""), ("email", ADMIN), ("password", PASSWORD), ("again", PASSWORD)], "Give a name"),
        ([("name", "Ada"), ("email", "ada"), ("password", PASSWORD), ("again", PASSWORD)], "no e-mail address"),
        ([("name", "Ada"), ("email", ADMIN), ("password", "admin"), ("again", "admin")], "at least 15 characters"),
        (
            [("name", "Ada"), ("email", ADMIN), ("password", "ada@example.com"), ("again", "ada@example.com")],
            "first that a stranger",
        ),
        ([("name", "Ada"), ("email", ADMIN), ("password", PASSWORD), ("again", "another")], "not the same"),
    ] {
        let got = Visitor::stranger().post(&app, &new, &wrong).await;
        assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "{says}");
        assert!(got.text.contains(says) && !got.text.contains(PASSWORD), "{says}: {}", got.text);
    }
    // Looking at it uses nothing up; two who send it at once are one admin.
    assert_eq!(Visitor::stranger().get(&app, &new).await.status, StatusCode::OK);
    let other = [("name", "Eve"), ("email", "eve@example.com"), ("password", PASSWORD), ("again", PASSWORD)];
    let (ada, eve) = (Visitor::stranger(), Visitor::from("198.51.100.1"));
    let (one, two) = tokio::join!(ada.post(&app, &new, &FIRST), eve.post(&app, &new, &other));
    let statuses = [one.status, two.status];
    assert!(statuses.contains(&StatusCode::SEE_OTHER) && statuses.contains(&StatusCode::GONE), "{statuses:?}");
    assert_eq!(app.store.read(|view| view.people(&brand())).await.unwrap().len(), 1);
    assert_eq!(link().await, None, "there is an admin, so there is no set-up");

    // While there is none again, an old link is still none.
    let (app, clock) = empty().await;
    let late = setup_link(&app.store, &brand(), "me (cli)", app.clock.now()).await.unwrap().unwrap();
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(Visitor::stranger().post(&app, &format!("/setup/{}", late.text()), &FIRST).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn an_invitation_is_for_one_and_for_one_time() {
    let (app, _) = empty().await;
    with_password(&app, ADMIN, &[Role::Admin]).await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let fields = [("name", "Bo Öberg"), ("email", "Bo@Example.com"), ("operator", "on"), ("finance", "on")];
    let page = admin.post(&app, "/people", &fields).await;
    let address = page.text.split("<code id=\"link\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let link = address.strip_prefix("http://localhost:8080").unwrap_or_else(|| panic!("{address}"));
    assert!(Visitor::stranger().get(&app, link).await.text.contains("bo@example.com"));
    let words = [("password", "four other words entirely"), ("again", "four other words entirely")];
    let got = Visitor::stranger().post(&app, link, &words).await;
    assert_eq!(got.header("location"), "/");
    let bo = Visitor::with_cookie(got.cookie().unwrap());
    assert_eq!(bo.get(&app, "/").await.status, StatusCode::OK);
    assert_eq!(bo.get(&app, "/people").await.status, StatusCode::FORBIDDEN);
    for path in [link.to_owned(), link.replace("invitation", "setup"), link.replace("invitation", "demo")] {
        assert_eq!(Visitor::stranger().get(&app, &path).await.status, StatusCode::GONE, "{path}");
        if !path.contains("demo") {
            assert_eq!(Visitor::stranger().post(&app, &path, &words).await.status, StatusCode::GONE, "{path}");
        }
    }
    assert_eq!(
        Visitor::stranger().log_in(&app, "bo@example.com", "four other words entirely").await.status,
        StatusCode::SEE_OTHER
    );
    // Whoever is taken out of use does not come back by a link from before.
    let (id, now) = (person(&app, "bo@example.com", &[Role::Operator]).await, app.clock.now());
    let link = app.store.write(move |tx| tx.make_link(Link::Password(id), now)).await.unwrap();
    assert_eq!(admin.post(&app, &format!("/people/{id}/disable"), &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(Visitor::stranger().get(&app, &format!("/invitation/{}", link.text())).await.status, StatusCode::GONE);
    assert_eq!(admin.post(&app, &format!("/people/{id}/reset"), &[]).await.status, StatusCode::FORBIDDEN);
    let acts: Vec<_> = super::acts(&app).await.into_iter().map(|(by, action, ..)| (by, action)).collect();
    for act in
        [(ADMIN, "people.invite"), ("bo@example.com", "password.set"), ("bo@example.com", "login"), (ADMIN, "people.disable")]
    {
        assert!(acts.contains(&(act.0.to_owned(), act.1.to_owned())), "{act:?}: {acts:?}");
    }
}

#[tokio::test]
async fn a_demos_link_opens_the_demo_alone() {
    let (app, _) = empty().await;
    demo_admin(&app.store, &brand(), app.clock.now()).await.unwrap();
    let link = Proof::fresh();
    // No demo: the admin of one is there, and nothing opens.
    assert_eq!(Visitor::stranger().get(&app, &format!("/demo/{}/", link.text())).await.status, StatusCode::GONE);
    let door = Door { demo: Some(link.hash()), ..Door::default() };
    let demo = std::sync::Arc::new(App::new(std::sync::Arc::clone(&app.engine)).with_door(door));
    for (below, to) in
        [("", "/"), ("/", "/"), ("/orders?search=a", "/orders?search=a"), ("//evil.example", "/"), ("/a/%2e%2e/b", "/a/%2E%2E/b")]
    {
        let got = Visitor::stranger().get(&demo, &format!("/demo/{}{below}", link.text())).await;
        assert_eq!((got.status, got.header("location")), (StatusCode::SEE_OTHER, to), "{below}");
        assert_eq!(Visitor::with_cookie(got.cookie().unwrap()).get(&demo, "/people").await.status, StatusCode::OK);
    }
    assert_eq!(Visitor::stranger().get(&demo, &format!("/demo/{}/", Proof::fresh().text())).await.status, StatusCode::GONE);
    assert_eq!(
        Visitor::stranger().log_in(&demo, crate::people::DEMO, "").await.status,
        StatusCode::UNAUTHORIZED,
        "it has no password"
    );
    // A demo's store, run in earnest, has nobody who can sign in: it is set up as any other.
    assert!(setup_link(&app.store, &brand(), "me", app.clock.now()).await.unwrap().is_some());
}
