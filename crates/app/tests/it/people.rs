//! People, with the built binary: from a house that nobody can enter to a second admin, and what the command line does about them.

use std::{path::Path, process::Command};

use selvedge_model::people::{step_of, totp_code};
use serde_json::Value;

use crate::{
    barriers::look_over,
    demo::selvedge,
    page::{Browser, start},
    webhooks::{exchange, set_cookie},
};

fn people(config: &Path, args: &[&str]) -> (bool, String) {
    let output = selvedge().arg("--config").arg(config).arg("people").args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn post(address: &str, path: &str, cookie: &str, body: &str) -> String {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nCookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(address, head.as_bytes())
}

fn get(address: &str, path: &str, cookie: &str) -> String {
    exchange(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n").as_bytes(),
    )
}

/// The config and the store of a demo that is over: an ordinary house whose systems do not answer just now.
fn house(folder: &Path) -> std::path::PathBuf {
    let store = folder.join("house.db");
    let mut command = selvedge();
    command.args(["demo", "--no-warehouse", "--listen", "127.0.0.1:0", "--orders", "3", "--store"]).arg(store);
    let (demo, config) = start(&mut command, |line| line.trim().strip_prefix("config").map(|path| path.trim().to_owned()));
    drop(demo);
    // It listens on a free port, as the demo did.
    std::path::PathBuf::from(config)
}

fn run(config: &Path) -> Command {
    let mut command = selvedge();
    command.arg("--config").arg(config).arg("run");
    command
}

/// A key that seals what has to stay secret.
fn with_key(config: &Path) {
    let key = config.with_file_name("house.key").display().to_string();
    let made = selvedge().arg("--config").arg(config).args(["secrets", "new-key", "--out", &key]).output().unwrap();
    assert!(made.status.success());
    let text = std::fs::read_to_string(config).unwrap();
    let named = text.replacen("[store]\n", &format!("[store]\nkey_file = {key:?}\n"), 1);
    assert_ne!(named, text, "the demo's config has a store");
    std::fs::write(config, named).unwrap();
}

async fn sign_in(browser: &Browser) {
    browser.wait_for("h1", false, |text| text == "Sign in").await;
    browser.fill("#email", "ada@example.com").await;
    browser.fill("#password", "correct horse battery staple").await;
    browser.click("main button").await;
}

/// What an authenticator app makes of a key that was typed into it.
#[expect(clippy::disallowed_methods, reason = "an app goes by the clock of the machine")]
fn app_code(key: &str) -> String {
    let (mut secret, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for letter in key.chars() {
        held = (held << 5) | u32::try_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap()).unwrap();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            secret.push(u8::try_from(held >> bits).unwrap());
            held &= (1 << bits) - 1;
        }
    }
    format!("{:06}", totp_code(&secret, step_of(jiff::Timestamp::now())))
}

const PASSWORD: &str = "correct+horse+battery+staple";

#[tokio::test]
async fn from_the_first_start_to_a_second_admin() {
    let folder = tempfile::tempdir().unwrap();
    let config = house(folder.path());
    with_key(&config);
    // A demo's admin has no password, so this house has nobody yet; the first start prints a link, and nothing else opens it.
    let (running, link) = start(&mut run(&config), |line| {
        line.trim().strip_prefix("http://").filter(|rest| rest.contains("/setup/")).map(str::to_owned)
    });
    let (address, path) = link.split_once('/').unwrap();
    assert!(get(address, "/", "").contains("location: /login"));
    assert!(get(address, "/api/orders", "").starts_with("HTTP/1.1 401"));
    assert!(get(address, &format!("/demo/{}", path.trim_start_matches("setup/")), "").starts_with("HTTP/1.1 410"));

    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("http://{link}")).await.unwrap();
    look_over(&browser, "setup").await;
    // As on a small screen whose browser runs no scripts.
    let plain = Browser::open(false, 500).await;
    plain.client.goto(&format!("http://{link}")).await.unwrap();
    for (field, text) in [
        ("#name", "Ada"),
        ("#email", "ada@example.com"),
        ("#password", "correct horse battery staple"),
        ("#again", "correct horse battery staple"),
    ] {
        plain.fill(field, text).await;
    }
    plain.click("main button").await;
    plain.wait_for(".who", false, |text| text.contains("Ada")).await;
    plain.click(".who button").await;
    sign_in(&plain).await;
    plain.wait_for(".who", false, |text| text.contains("Ada")).await;
    plain.close().await;
    browser.client.goto(&format!("http://{address}/login")).await.unwrap();
    sign_in(&browser).await;
    browser.wait_for(".who", false, |text| text.contains("Ada")).await;

    // With an authenticator app a password alone opens nothing; a recovery code serves where the phone is not.
    browser.client.goto(&format!("http://{address}/account")).await.unwrap();
    browser.fill("#totp-password", "correct horse battery staple").await;
    browser.click("form[action='/account/totp'] button").await;
    let secret = browser.wait_for("dl.pairs code", false, |text| text.len() == 32).await;
    look_over(&browser, "authenticator").await;
    browser.fill("#code", &app_code(&secret)).await;
    browser.click("main form button").await;
    let recovery = browser.see("ul.held code").await;
    look_over(&browser, "recovery-codes").await;
    browser.click(".who button").await;
    sign_in(&browser).await;
    browser.wait_for("h1", false, |text| text.contains("The code of your app")).await;
    look_over(&browser, "login-code").await;
    // Half in is not in.
    browser.client.goto(&format!("http://{address}/people")).await.unwrap();
    assert_eq!(browser.see("h1").await, "Sign in");
    sign_in(&browser).await;
    browser.wait_for("h1", false, |text| text.contains("The code of your app")).await;
    browser.fill("#code", "000000").await;
    browser.click("main form button").await;
    browser.see("#wrong").await;
    browser.fill("#code", &recovery).await;
    browser.click("main form button").await;
    browser.wait_for(".who", false, |text| text.contains("Ada")).await;
    for path in ["/account", "/people", "/approvals"] {
        browser.client.goto(&format!("http://{address}{path}")).await.unwrap();
        assert!(!browser.see("h1").await.is_empty(), "{path}");
    }
    browser.close().await;

    // The machine's own way in, beside the running one.
    let (good, said) = people(&config, &["setup"]);
    assert!(!good && said.contains("there is an admin who can sign in"), "{said}");
    let (good, said) = people(&config, &["invite", "bo@example.com", "--name", "Bo", "--role", "admin", "--json"]);
    assert!(good, "{said}");
    let link: Value = serde_json::from_str(&said).unwrap();
    let path =
        link["link"].as_str().unwrap().split_once("/invitation/").map(|(_, token)| format!("/invitation/{token}")).unwrap();
    let answer = post(address, &path, "", &format!("password={PASSWORD}&again={PASSWORD}"));
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    let cookie = set_cookie(&answer);
    assert!(get(address, "/people", &cookie).contains("ada@example.com"));
    let (_, list) = people(&config, &["list"]);
    assert!(list.contains("ada@example.com") && list.contains("bo@example.com") && list.contains("password"), "{list}");
    let (good, said) = people(&config, &["sessions", "bo@example.com", "--revoke"]);
    assert!(good && said.contains("1 session and 0 tokens ended"), "{said}");
    assert!(get(address, "/people", &cookie).contains("location: /login"));
    let (good, said) = people(&config, &["role", "bo@example.com", "viewer"]);
    assert!(good, "{said}");
    let (good, said) = people(&config, &["disable", "ada@example.com"]);
    assert!(!good && said.contains("Somebody has to stay admin"), "{said}");
    let (good, said) = people(&config, &["reset", "nobody@example.com"]);
    assert!(!good && said.contains("there is nobody with the address"), "{said}");
    drop(running);

    let log = selvedge().arg("--config").arg(&config).args(["audit-log", "list", "--json"]).output().unwrap();
    let log = String::from_utf8(log.stdout).unwrap();
    for act in [
        "people.setup",
        "people.add",
        "login",
        "logout",
        "totp.set",
        "people.invite",
        "password.set",
        "session.revoke",
        "people.roles",
    ] {
        assert!(log.contains(&format!("\"{act}\"")), "{act}: {log}");
    }
    assert!(log.contains("(cli)") && !log.contains("argon2"), "{log}");
    // There is somebody now, so the next start prints no link.
    let (_running, line) = start(&mut run(&config), |line| line.starts_with("Ctrl-C").then(|| line.to_owned()));
    assert!(!line.contains("/setup/"));
}
