//! The built binary tells people: a demo with a gap in its mappings, stand-ins for the channels, and everything over real sockets.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use selvedge_sim::channels::{Channels, Mishap, Taken, mail::MailServer};
use serde_json::Value;

use crate::{
    barriers::look_over,
    demo::selvedge,
    page::{Browser, start},
    webhooks::{cookie, send},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const KEY: &str = "demo-routing-key";
/// The longest that anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

async fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Some(answer) => return answer,
            None if Instant::now() > end => panic!("{what} did not come"),
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// What a command says; and whether it went well.
fn said(config: &Path, words: &[&str]) -> (bool, String) {
    let output = selvedge().arg("--config").arg(config).args(words).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

fn hooks(channels: &Channels, kind: &str) -> Vec<Taken> {
    channels.taken().into_iter().filter(|one| one.door == "hook" && one.body["type"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_told_over_every_channel_and_its_end_too() {
    let folder = tempfile::tempdir().unwrap();
    let channels = Channels::open(KEY, &[SECRET]).await.unwrap();
    let mail = MailServer::open(None).await.unwrap();
    let secret = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{{ file = {:?} }}", path.display().to_string())
    };
    let url = channels.url();
    let more = format!(
        "[server]\nurl = \"https://desk.example\"\n[heartbeat]\nallow_private = true\nurl = {beat}\nevery = \"1s\"\n\
         [alerts.channels.desk]\nkind = \"webhook\"\nallow_private = true\nurl = {hook}\nsecret = {key}\n\
         [webhooks.warehouse]\nallow_private = true\nurl = {hook}\nsecret = {key}\nevents = [\"exception.*\", \"record.confirmed\"]\n\
         [alerts.channels.chat]\nkind = \"slack\"\nallow_private = true\nurl = {chat}\n\
         [alerts.channels.cards]\nkind = \"teams\"\nallow_private = true\nurl = {card}\n\
         [alerts.channels.oncall]\nkind = \"pagerduty\"\nallow_private = true\nbase_url = {url:?}\nrouting_key = {routing}\n\
         [alerts.channels.post]\nkind = \"mail\"\nallow_private = true\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n\
         [[alerts.routes]]\nrules = [\"mapping.\", \"alert.\"]\nchannels = [\"desk\", \"chat\", \"cards\", \"oncall\", \"post\"]\ngroup = \"1s\"\n",
        beat = secret("beat", &format!("{url}/beat")),
        hook = secret("hook", &format!("{url}/hook")),
        chat = secret("chat", &format!("{url}/chat")),
        card = secret("card", &format!("{url}/card")),
        key = secret("key", SECRET),
        routing = secret("routing", KEY),
        port = mail.port(),
    );
    let file = folder.path().join("more.toml");
    std::fs::write(&file, more).unwrap();
    // The first try of whatever comes first fails.
    channels.mishaps(&[Mishap::Status(503)]);
    let mut command = selvedge();
    command.args([
        "demo",
        "--no-warehouse",
        "--listen",
        "127.0.0.1:0",
        "--seed",
        "3",
        "--orders",
        "40",
        "--pace",
        "20",
        "--and-config",
    ]);
    command.arg(&file).arg("--store").arg(folder.path().join("demo.db"));
    let (_demo, address) = start(&mut command, |line| {
        line.trim().strip_prefix("page")?.trim().strip_prefix("http://").map(|address| address.trim_end_matches('/').to_owned())
    });
    let config = folder.path().join("demo.world/selvedge.toml");

    let opened = until("word of the gap", || hooks(&channels, "alert.opened").into_iter().next()).await;
    let alert = &opened.body["data"]["alerts"][0];
    assert_eq!(alert["rule"], "mapping.shipping_item", "{opened:?}");
    assert!(opened.body["data"]["subject"].as_str().unwrap().contains("shipping"), "{opened:?}");
    for door in ["chat", "card", "event"] {
        until(door, || channels.taken().into_iter().find(|one| one.door == door)).await;
    }
    until("the mail", || mail.mails().into_iter().find(|mail| mail.text.contains("Subject: ["))).await;
    until("a sign of life", || channels.taken().into_iter().find(|one| one.door == "beat")).await;

    // Other programs are told of events.
    let event = until("the event of the gap", || hooks(&channels, "exception.opened").into_iter().next()).await;
    assert_eq!(event.body["data"]["exception"], alert["exception"], "{event:?}");
    let confirmed = until("a confirmed record", || hooks(&channels, "record.confirmed").into_iter().next()).await;
    assert_eq!(confirmed.body["data"]["state"], "confirmed", "{confirmed:?}");

    // A person sees it and takes it over, by the link that came with it and needs no log-in.
    let (well, list) = said(&config, &["alerts", "list"]);
    assert!(well && list.contains("nobody") && list.contains("desk"), "{list}");
    let (host, link) = address.split_once('/').unwrap();
    let acknowledge = opened.body["data"]["acknowledge_url"].as_str().unwrap_or_else(|| panic!("no link: {opened:?}"));
    let path = acknowledge.strip_prefix("https://desk.example").unwrap();
    let browser = Browser::open(true, 1280).await;
    browser.client.goto(&format!("http://{host}{path}")).await.unwrap();
    look_over(&browser, "alert-link").await;
    let (_, list) = said(&config, &["alerts", "list"]);
    assert!(list.contains("nobody"), "opening the link does nothing: {list}");
    browser.click("main button").await;
    browser.wait_for("h1", false, |text| text == "You look after it").await;
    browser.close().await;
    until("word of that", || hooks(&channels, "alert.acknowledged").into_iter().next()).await;
    let (_, answer) = said(&config, &["alerts", "ack", alert["alert"].as_str().unwrap()]);
    assert!(answer.contains("somebody was quicker"), "{answer}");
    let cookie = cookie(host, &format!("/{link}/"));
    let get = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
        send(host, request.as_bytes())
    };
    let (status, page) = get("/alerts");
    assert!(status == 200 && page.contains("a link (msg_") && page.contains("oncall"), "{page}");
    let api: Value = serde_json::from_str(&get("/api/alerts").1).unwrap();
    assert!(api["channels"].as_array().unwrap().len() == 5, "{api}");

    // The cause is mended: what the other methods are mapped to will do.
    let output = selvedge().arg("--config").arg(&config).args(["mappings", "list", "--json"]).output().unwrap();
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| row["table"] == "shipping_item").unwrap_or_else(|| panic!("{rows}"));
    let key = alert["message"].as_str().unwrap().to_owned();
    let exceptions: Value = serde_json::from_str(&get("/api/exceptions").1).unwrap();
    let cause = exceptions["items"][0]["cause"].as_str().unwrap_or_else(|| panic!("{key}: {exceptions}")).to_owned();
    let asked = cause.strip_prefix("mapping.shipping_item:").unwrap_or_else(|| panic!("{cause}"));
    let (well, answer) = said(&config, &["mappings", "set", "shipping_item", asked, row["value"].as_str().unwrap()]);
    assert!(well, "{answer}");
    let over = until("word that it is over", || hooks(&channels, "alert.resolved").into_iter().next()).await;
    assert_eq!(over.body["data"]["alerts"][0]["alert"], alert["alert"]);
    let closed = until("the event of its end", || {
        hooks(&channels, "exception.closed").into_iter().find(|one| one.body["data"]["exception"] == alert["exception"])
    });
    assert_eq!(closed.await.body["data"]["open"], false);
    let (well, list) = said(&config, &["webhooks", "list"]);
    assert!(well && list.contains("warehouse") && list.contains("exception.*") && list.contains("well"), "{list}");
    let (well, answer) = said(&config, &["webhooks", "test"]);
    assert!(well && answer.contains("warehouse: taken."), "{answer}");
    assert_eq!(hooks(&channels, "webhook.test").len(), 1);
    let (well, answer) = said(&config, &["webhooks", "test", "nobody"]);
    assert!(!well && answer.contains("no webhook") && answer.contains("warehouse"), "{answer}");
    let events = until("the pager's end", || {
        let events: Vec<String> =
            channels.taken().iter().filter(|one| one.door == "event").map(|one| one.body["event_action"].to_string()).collect();
        events.contains(&"\"resolve\"".to_owned()).then_some(events)
    })
    .await;
    assert_eq!(events, ["\"trigger\"", "\"acknowledge\"", "\"resolve\""]);

    // A trial goes the same way, beside the engine; one that fails says so and is the exit code.
    let (well, answer) = said(&config, &["alerts", "test"]);
    assert!(well && answer.matches("taken.").count() == 5 && !answer.contains("not taken"), "{answer}");
    assert_eq!(hooks(&channels, "alert.test").len(), 1);
    let (well, answer) = said(&config, &["alerts", "test", "nobody"]);
    assert!(!well && answer.contains("no channel"), "{answer}");
    // Nobody's name or address left the house.
    let told = format!("{:?} {:?}", channels.taken(), mail.mails());
    for word in ["@example.com", "first_name", "Street"] {
        assert!(!told.contains(word), "{word}");
    }
}

#[test]
fn an_address_in_a_private_network_has_to_be_meant() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("selvedge.toml");
    let text = "brand = \"nordvik\"\n[connections.shop]\nsystem = \"centra\"\nbase_url = \"https://x.centra.com\"\ntoken = { env = \"T\" }\ntime_zone = \"UTC\"\n\
                [connections.depot]\nsystem = \"veeqo\"\nbase_url = \"https://169.254.169.254\"\napi_key = { env = \"T\" }\n\
                [flows.orders]\nfrom = \"shop\"\nto = \"depot\"\n\
                [alerts.channels.ops]\nkind = \"slack\"\nurl = { env = \"U\" }\n[[alerts.routes]]\nchannels = [\"ops\"]\n";
    std::fs::write(&config, text).unwrap();
    let output = selvedge()
        .arg("--config")
        .arg(&config)
        .args(["check", "--offline"])
        .env("T", "token")
        .env("U", "http://192.168.1.7/hidden-path")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success());
    for place in ["connections.depot.base_url", "alerts.channels.ops.url"] {
        assert!(said.contains(place), "{place}: {said}");
    }
    assert!(said.matches("allow_private").count() >= 2 && !said.contains("hidden-path"), "{said}");
}
