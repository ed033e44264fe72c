//! Products with the built binary: what changes in the shop changes in the books and the warehouses, and what somebody
//! changes there is told and taken back.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    demo::{Demo, selvedge},
    webhooks::send,
};

/// The longest that anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until there is an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Some(answer) => return answer,
            None if Instant::now() > end => panic!("{what} did not come"),
            None => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn post(address: &str, path: &str, body: &Value) -> u16 {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    send(address, head.as_bytes()).0
}

/// What a command says of the store, as JSON.
fn said(config: &Path, words: &[&str]) -> Option<Value> {
    let output = selvedge().arg("--config").arg(config).args(words).arg("--json").output().unwrap();
    serde_json::from_slice(&output.stdout).ok()
}

struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_changes_in_the_shop_goes_on_and_what_changes_elsewhere_is_told_and_taken_back() {
    let demo = Demo::new(&[]);
    let mut command = selvedge();
    command.args(["demo", "--headless", "--orders", "3", "--listen", "127.0.0.1:0", "--store"]).arg(demo.path("demo.db"));
    let _running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let (world, config) = (demo.path("demo.world"), demo.path("demo.world/selvedge.toml"));
    let admin = until("the world", || {
        let ports: Value = serde_json::from_slice(&std::fs::read(world.join("ports.json")).ok()?).ok()?;
        Some(format!("127.0.0.1:{}", ports["admin"].as_u64()?))
    });
    let confirmed = |flow: &str| {
        let balances = said(&config, &["balance"])?;
        let of_flow = balances.as_array()?.iter().find(|balance| balance["flow"] == flow)?.clone();
        of_flow["confirmed"].as_u64()
    };
    until("the engine", || confirmed("orders").filter(|orders| *orders >= 3));

    let edit = serde_json::json!({ "sku": "TOTE", "edit": { "ean": "4006381333931" } });
    assert_eq!(post(&admin, "/edit-item", &edit), 204);
    for flow in ["items-erp", "items-warehouse", "items-north"] {
        until(flow, || confirmed(flow).filter(|items| *items == 1));
    }
    let held = said(&config, &["exceptions", "list"]).unwrap();
    assert_eq!(held, serde_json::json!([]), "nothing is held");

    // A name that nobody in the shop gave it.
    let meddled = serde_json::json!({ "sku": "TOTE", "field": "displayName", "value": "Carrier bag" });
    assert_eq!(post(&admin, "/edit-erp-item", &meddled), 204);
    let told = until("word of the change", || {
        let all = said(&config, &["exceptions", "list", "--closed"])?;
        let one = all.as_array()?.iter().find(|one| one["rule"] == "product.changed_elsewhere")?.clone();
        (one["open"] == false).then_some(one)
    });
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("Carrier bag") && message.contains("in the shop"), "both values are told: {message}");
}
