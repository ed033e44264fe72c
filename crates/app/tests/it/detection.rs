//! Wrongness made behind the product's back, and what the built binary says of it: beside its own flows, and as an audit beside somebody
//! else's integration. Then a month of that is closed, and its pack verified.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::demo::{Demo, selvedge};

/// Nearly everything was found, and by its cause, and nothing else was said. (In a small world a word comes too rarely to be learnt: a method
/// that somebody edited may pass.)
fn detected(told: &Value, what: &str, injected: u64, found_percent: u64, cause_percent: u64) {
    let count = |name: &str| told[name].as_u64().unwrap();
    let said = || serde_json::to_string_pretty(told).unwrap();
    assert!(count("found") * 100 >= injected * found_percent, "{what}: {}", said());
    assert_eq!(count("false_alarms"), 0, "{what}: {}", said());
    assert!(count("cause_right") * 100 >= injected * cause_percent, "{what}: {}", said());
}

#[test]
fn wrongness_beside_flows_is_found_by_reconciliation_and_by_an_audit() {
    // Placed over some seconds, so that a stretch of time is one.
    let demo = Demo::new(&["--orders", "120", "--pace", "12", "--seed", "1", "--wrong", "7", "--wrong-each", "1"]);
    let report = demo.finish();
    let wrong = &report["wrong"];
    let injected = wrong["injected"].as_u64().unwrap();
    assert!(injected >= 25, "too little was made wrong: {wrong}");
    // So few orders hardly teach what each market calls its methods: what is edited there may pass.
    detected(wrong, "reconciliation", injected, 90, 85);
    detected(&wrong["audit"], "audit", injected, 90, 85);
}

#[test]
fn wrongness_beside_an_incumbent_is_found_by_an_audit_alone() {
    let demo = Demo::new(&["--incumbent", "--orders", "900", "--seed", "2", "--wrong", "5", "--wrong-each", "3"]);
    let report = demo.finish();
    let wrong = &report["wrong"];
    let injected = wrong["injected"].as_u64().unwrap();
    assert!(injected >= 80, "too little was made wrong: {wrong}");
    detected(&wrong["audit"], "audit", injected, 97, 95);
    let page = std::fs::read_to_string(demo.path("out/audit.html")).unwrap();
    assert!(page.contains("What was found") && !page.contains("<script"), "the report stands by itself");
}

/// A world that another integration has carried over, kept up until it is dropped.
struct World {
    child: Child,
    folder: tempfile::TempDir,
}

impl World {
    fn start(orders: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = selvedge()
            .args(["demo", "--headless", "--incumbent", "--orders", &orders.to_string(), "--store"])
            .arg(folder.path().join("demo.db"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It says when everything stands; that nobody reads the rest does not end it.
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("Another integration"), "{line}");
        Self { child, folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("demo.world/selvedge.toml")
    }

    fn run(&self, words: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_selvedge"))
            .arg("--config")
            .arg(self.config())
            .args(words)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "which month is over depends on the clock of the machine")]
fn a_month_that_somebody_else_moved_is_read_signed_and_verified() {
    let world = World::start(400);
    let (clean, said) = world.run(&["audit", "--since", "60d", "--json"]);
    assert!(clean, "a correct incumbent is clean: {said}");
    // Last month is over; some of the orders of the thirty days before now may lie in it.
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::get("Europe/Stockholm").unwrap());
    let last = now.date().first_of_month().yesterday().unwrap();
    let period = format!("{:04}-{:02}", last.year(), last.month());
    let (unread, said) = world.run(&["close", "show", &period]);
    assert!(!unread && said.contains("There is nothing to show"), "{said}");
    let (read, said) = world.run(&["close", "read", &period]);
    assert!(read, "{said}");
    let (signed, said) = world.run(&["close", "sign", &period, "--out", "packs", "--open", "0"]);
    if !signed {
        // On the last days of a month nothing lies in the one before.
        assert!(said.contains("nothing"), "{said}");
        return;
    }
    let pack = world.folder.path().join("packs").join(format!("nordvik-{period}"));
    let (whole, said) = world.run(&["close", "verify", &pack.display().to_string()]);
    assert!(whole && said.contains("counts and sums meet"), "{said}");
    flip(&pack.join("rows.csv"));
    let (whole, said) = world.run(&["close", "verify", &pack.display().to_string()]);
    assert!(!whole && said.contains("rows.csv line") && said.contains("bytes"), "{said}");
}
