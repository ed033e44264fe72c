//! The stand-ins of a demo whose store lies where a test has put it, and waiting for what they and the product do.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{demo::selvedge, webhooks::exchange};

/// The longest that anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// How often is asked.
pub const ASK: Duration = Duration::from_millis(50);

/// What a test waits for, asked again and again.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Some(answer) => return answer,
            None if Instant::now() > end => panic!("{what} did not come"),
            None => std::thread::sleep(ASK),
        }
    }
}

/// The world of a demo.
pub struct World(PathBuf);

impl World {
    /// That of the demo with this store.
    pub fn of(store: &Path) -> Self {
        Self(store.with_extension("world"))
    }

    /// The config by which the demo runs.
    pub fn config(&self) -> PathBuf {
        self.0.join("selvedge.toml")
    }

    /// Where the stand-ins are told what to do, once they stand.
    pub fn address(&self) -> String {
        until("the world", || {
            let ports: Value = serde_json::from_slice(&std::fs::read(self.0.join("ports.json")).ok()?).ok()?;
            Some(format!("127.0.0.1:{}", ports["admin"].as_u64()?))
        })
    }

    /// What the stand-ins answer, unless they cannot do it (yet).
    pub fn tell(&self, path: &str, wish: &Value) -> Option<Value> {
        let (world, body) = (self.address(), wish.to_string());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {world}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(&world, request.as_bytes());
        answer.starts_with("HTTP/1.1 200").then(|| serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap())
    }

    /// A wrongness of a kind is made, as soon as there is something to make it of: what was done.
    pub fn wrong(&self, kind: &str) -> Value {
        until(kind, || {
            let made = self.tell("/wrong", &serde_json::json!({ "seed": 1, "count": { kind: 1 } }))?;
            made["injected"].get(0).cloned()
        })
    }

    /// The shop and the books are read, as a timer has it done at night.
    pub fn reconcile(&self) {
        // It is red where something differs, so how it ended says nothing.
        let words = ["reconcile", "now", "--since", "2d", "--pair", "shop-erp"];
        let output = selvedge().arg("--config").arg(self.config()).args(words).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("order"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
}
