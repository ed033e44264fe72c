//! Products with the built binary: what changes in the shop changes in the books and the warehouses, and what somebody
//! changes there is told and taken back.

use std::{path::Path, process::Stdio};

use serde_json::Value;

use crate::{
    demo::{Demo, selvedge},
    webhooks::send,
    world::{World, until},
};

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
    let world = World::of(&demo.path("demo.db"));
    let (config, admin) = (world.config(), world.address());
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
