//! Shadow mode and replay with the built binary: beside a running engine that plays the incumbent.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::{
    demo::{Demo, selvedge},
    webhooks::send,
    world::{World, until},
};

const ORDERS: u64 = 6;
/// What a command says, as JSON; and whether it went well.
fn said(config: &Path, words: &[&str]) -> (bool, Value) {
    let output = selvedge().arg("--config").arg(config).args(words).arg("--json").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value =
        serde_json::from_str(&text).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&output.stderr).into_owned()));
    (output.status.success(), value)
}

fn balance(config: &Path, flow: &str, term: &str) -> Option<u64> {
    let (_, balances) = said(config, &["balance"]);
    balances.as_array()?.iter().find(|balance| balance["flow"] == flow)?[term].as_u64()
}

struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The documents in the simulated books.
fn documents(admin: &str) -> Vec<String> {
    let get = format!("GET /export/netsuite_documents.csv HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    let (status, body) = send(admin, get.as_bytes());
    assert_eq!(status, 200, "{body}");
    body.lines().filter(|line| line.contains(',')).map(str::to_owned).collect()
}

/// The demo's config with a store of its own, every flow in shadow mode, and no queue of news: that one is the incumbent's.
fn in_shadow(demo: &Demo, config: &Path) -> PathBuf {
    let text = std::fs::read_to_string(config).unwrap();
    let url = format!("sqlite://{}", demo.path("shadow.db").display());
    let (before, after) = text.split_once("[stock.").unwrap_or((&text, ""));
    // Stock has no shadow: it is left out.
    let after = after.split_once("\n[flows.").map(|(_, rest)| format!("\n[flows.{rest}")).unwrap_or_default();
    let mut lines = Vec::new();
    for line in format!("{before}{after}").lines() {
        match line {
            _ if line.starts_with("url = ") => lines.push(format!("url = {url:?}")),
            _ if line.starts_with("feed = ") => {}
            "poll = \"off\"" => lines.push("poll = \"1s\"".to_owned()),
            "kind = \"order\"" => lines.extend([line.to_owned(), "mode = \"shadow\"".to_owned()]),
            _ => lines.push(line.to_owned()),
        }
    }
    let file = config.with_file_name("shadow.toml");
    std::fs::write(&file, lines.join("\n")).unwrap();
    file
}

#[test]
fn a_shadow_beside_an_incumbent_agrees_and_writes_nothing_and_a_replay_delivers_what_changed() {
    let demo = Demo::new(&[]);
    let orders = ORDERS.to_string();
    let mut command = selvedge();
    command.args(["demo", "--headless", "--no-warehouse", "--orders", &orders, "--listen", "127.0.0.1:0", "--store"]);
    command.arg(demo.path("demo.db"));
    let _running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let world = World::of(&demo.path("demo.db"));
    let (config, admin) = (world.config(), world.address());
    until("the incumbent", || balance(&config, "orders", "confirmed").filter(|confirmed| *confirmed >= ORDERS));
    let stood = documents(&admin);

    // The shadow.
    let shadow = in_shadow(&demo, &config);
    let csv = demo.path("mappings.csv");
    let done = selvedge().arg("--config").arg(&config).args(["mappings", "export"]).arg(&csv).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let (well, answer) = said(&shadow, &["mappings", "import", csv.to_str().unwrap()]);
    assert!(well, "{answer}");
    {
        let mut run = selvedge();
        run.arg("--config").arg(&shadow).args(["run", "--headless"]);
        let _shadow = Running(run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        until("the shadow", || balance(&shadow, "orders", "compared").filter(|compared| *compared >= ORDERS));
    }
    let (_, found) = said(&shadow, &["flows", "shadow", "orders"]);
    assert_eq!((&found["equal"], &found["change"], &found["create"]), (&json!(ORDERS), &json!(0), &json!(0)), "{found:#}");
    assert_eq!(documents(&admin), stood, "a shadow writes nothing");
    let (_, flows) = said(&shadow, &["flows"]);
    assert_eq!((&flows[0]["mode"], &flows[0]["balance"]["balanced"]), (&json!("shadow"), &json!(true)), "{flows:#}");

    // Nothing would be different, and then one mapping is.
    let candidate = config.to_str().unwrap();
    let (well, same) = said(&config, &["replay", "--since", "3650d", "--with", candidate]);
    assert!(well && same["records"] == same["same"] && same["records"].as_u64() >= Some(ORDERS), "{same:#}");
    let text = std::fs::read_to_string(&csv).unwrap();
    let row = text.lines().find(|line| line.contains(",location,")).unwrap_or_else(|| panic!("{text}")).to_owned();
    let other = format!("{}8", row);
    std::fs::write(&csv, text.replace(&row, &other)).unwrap();
    let (well, changed) = said(&config, &["replay", "--since", "3650d", "--flow", "orders", "--mappings", csv.to_str().unwrap()]);
    assert!(well && changed["changed"].as_u64() > Some(0), "{changed:#}");
    let (well, refused) =
        said(&config, &["replay", "--since", "3650d", "--mappings", csv.to_str().unwrap(), "--deliver", "--canary", "2"]);
    assert!(!well && refused.as_str().unwrap().contains("not deployed"), "{refused}");

    // Deployed though the target has no such place: the canary is held, and nobody follows it.
    let (well, answer) = said(&config, &["mappings", "import", csv.to_str().unwrap()]);
    assert!(well, "{answer}");
    let before = documents(&admin);
    let (well, stopped) = said(&config, &["replay", "--since", "3650d", "--flow", "orders", "--deliver", "--canary", "1"]);
    assert!(!well, "{stopped:#}");
    assert_eq!(
        (&stopped["delivered"]["renewed"], &stopped["delivered"]["surprises"][0]["state"]),
        (&json!(1), &json!("held")),
        "{stopped:#}"
    );
    assert_eq!(documents(&admin), before);
}
