//! Attack: reading what proves somebody out of the log.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use selvedge_model::people::Role;
use selvedge_store::people::links::Link;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::{PASSWORD, Visitor, with_password};
use crate::pages::sample::{ADMIN, empty};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;
    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[tokio::test]
async fn neither_the_log_nor_the_audit_log_shows_a_password_a_cookie_a_token_or_a_link() {
    let log = Log::default();
    let everything = EnvFilter::new(format!("trace,{}", crate::NEVER_LOGGED));
    let subscriber = tracing_subscriber::fmt().with_env_filter(everything).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("the log is kept");
    let (app, _) = empty().await;
    let id = with_password(&app, ADMIN, &[Role::Admin]).await;
    let got = Visitor::stranger().log_in(&app, ADMIN, PASSWORD).await;
    let cookie = got.cookie().unwrap();
    let admin = Visitor::with_cookie(&cookie);
    Visitor::stranger().log_in(&app, ADMIN, "a wrong password, mistyped").await;
    let page =
        admin.post(&app, "/account/tokens", &[("name", "ci"), ("days", "7"), ("read", "on"), ("current", super::PASSWORD)]).await;
    let token = page.text.split("<code id=\"token\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    Visitor::with_token(&token).get(&app, "/api/flows").await;
    Visitor::with_token(&token).get(&app, "/api/nothing").await;
    Visitor::with_token(format!("{token}x")).get(&app, "/api/flows").await;
    let page = admin.post(&app, "/account/totp", &[("current", PASSWORD)]).await;
    let secret = page.text.split("secret=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let now = app.clock.now();
    let link = app.store.write(move |tx| tx.make_link(Link::Password(id), now)).await.unwrap();
    Visitor::stranger().get(&app, &format!("/invitation/{}", link.text())).await;
    Visitor::stranger().get(&app, &format!("/invitation/{}x", link.text())).await;
    let ack = "an-alerts-link-0123456789";
    Visitor::stranger().get(&app, &format!("/alerts/ack/{ack}")).await;
    Visitor::stranger().post(&app, &format!("/alerts/ack/{ack}"), &[]).await;
    admin.get(&app, "/nowhere").await;

    let mut written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(written.contains("the log is kept"));
    for (actor, action, subject, detail) in super::acts(&app).await {
        written += &format!("{actor} {action} {subject} {detail}\n");
    }
    let cookie = cookie.split_once('=').unwrap().1;
    for secret in [PASSWORD, "a wrong password", cookie, token.trim_start_matches("slv_"), link.text(), &secret, ack, "argon2id"]
    {
        let line = written.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is written down");
    }
}
