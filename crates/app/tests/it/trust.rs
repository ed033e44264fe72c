//! Copies that are proven, people who are forgotten, acts that are verified far from the store, and keys that are changed:
//! with the built binary on the store of a demo.

use std::path::Path;

use serde_json::Value;

use crate::demo::{Demo, selvedge};

/// What a command came to: its exit code, what it said as JSON, and its complaint.
fn said(config: &Path, words: &[&str]) -> (i32, Value, String) {
    let output = selvedge().arg("--config").arg(config).args(words).arg("--json").output().unwrap();
    let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), value, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn altered(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_store_is_copied_restored_forgotten_in_and_verified() {
    let demo = Demo::new(&["--orders", "6", "--seed", "5", "--no-warehouse"]);
    demo.finish();
    let config = demo.path("demo.world").join("selvedge.toml");
    let file = |name: &str| demo.path(name).display().to_string();
    let balance = || said(&config, &["balance"]).1;
    let before = balance();

    // A copy: made, noted, verified; nothing is written over.
    let copy = file("copy.db");
    let (code, made, _) = said(&config, &["backup", "make", &copy]);
    assert_eq!((code, made["whole"].as_bool()), (0, Some(true)), "{made}");
    assert_eq!(said(&config, &["backup", "make", &copy]).0, 1);
    assert_eq!(said(&config, &["backup", "verify", &copy]).0, 0);

    // Somebody is forgotten; the equation and the trail hold.
    let orders = said(&config, &["orders", "list", "--limit", "1"]).1;
    let number = orders[0]["number"].as_str().unwrap().to_owned();
    let shown = said(&config, &["privacy", "show", "--order", &number]).1;
    assert!(shown["revisions"].as_u64().unwrap() > 0, "{shown}");
    let (code, _, complaint) = said(&config, &["privacy", "erase", "--email", "nobody@example.com", "--yes"]);
    assert_eq!(code, 1, "{complaint}");
    let (code, erased, complaint) = said(&config, &["privacy", "erase", "--order", &number, "--open-too", "--yes"]);
    assert_eq!(code, 0, "{complaint}");
    assert!(erased["erased"]["records"].as_u64().unwrap() > 0, "{erased}");
    let who = |config: &Path| said(config, &["orders", "list", "--search", &number]).1[0]["who"].clone();
    assert_eq!(who(&config), "");
    assert_eq!(balance(), before);

    // The acts, verified without config and store; one altered byte says where.
    let acts = file("acts.jsonl");
    let (code, exported, _) = said(&config, &["audit-log", "export", &acts]);
    assert_eq!(code, 0);
    // Of nobody nothing was kept; of the other it stands there that it began, and that it is done.
    let told = std::fs::read_to_string(&acts).unwrap();
    let told: Vec<bool> = told.lines().filter(|act| act.contains("privacy.erase")).map(|act| act.contains("begun: ")).collect();
    assert_eq!(told, [false, true, false]);
    let anchor = format!("{}:{}", exported["acts"], exported["last_hash"].as_str().unwrap());
    let nowhere = Path::new("/nowhere/selvedge.toml");
    let (code, verdict, _) = said(nowhere, &["audit-log", "verify", &acts, "--anchor", &anchor]);
    assert_eq!((code, &verdict["acts"]), (0, &exported["acts"]), "{verdict}");
    assert_eq!(said(&config, &["audit-log", "verify", "--anchor", &anchor]).0, 0);
    altered(Path::new(&acts));
    let (code, verdict, complaint) = said(nowhere, &["audit-log", "verify", &acts]);
    assert!(code == 1 && (verdict["broken_at"].is_i64() || complaint.contains("line 1")), "{verdict} {complaint}");

    // Back to the copy: not over what is there, not from one that was altered.
    let damaged = file("damaged.db");
    std::fs::copy(&copy, &damaged).unwrap();
    std::fs::copy(format!("{copy}.json"), format!("{damaged}.json")).unwrap();
    altered(Path::new(&damaged));
    for (words, why) in [
        (vec!["backup", "verify", &damaged], "is not the file that its note was written for"),
        (vec!["backup", "restore", &damaged, "--replace"], "is not the file that its note was written for"),
        (vec!["backup", "restore", &copy], "there is a store"),
    ] {
        let (code, _, complaint) = said(&config, &words);
        assert!(code == 1 && complaint.contains(why), "{words:?}: {complaint}");
    }
    let (code, restored, complaint) = said(&config, &["backup", "restore", &copy, "--replace"]);
    assert_eq!(code, 0, "{complaint}");
    assert!(Path::new(restored["aside"].as_str().unwrap()).is_file(), "what was there is moved aside: {restored}");
    assert_eq!(balance(), before);
    assert_ne!(who(&config), "", "an older copy knows who was erased since");

    // Another key for the secrets: all of them, or none.
    let (old, new) = (file("old.key"), file("new.key"));
    for key in [&old, &new] {
        assert_eq!(said(&config, &["secrets", "new-key", "--out", key]).0, 0);
    }
    let set = |key: &str| {
        let mut command = selvedge();
        command.arg("--config").arg(&config).args(["secrets", "set", "shop-token", "--key-file", key]);
        let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"hidden").unwrap();
        assert!(child.wait().unwrap().success());
    };
    set(&old);
    assert_eq!(
        said(&config, &["secrets", "rotate", "--key-file", &new, "--new-key", &old]).0,
        1,
        "it was not sealed with that one"
    );
    let (code, rotated, _) = said(&config, &["secrets", "rotate", "--key-file", &old, "--new-key", &new]);
    assert_eq!((code, rotated["resealed"].as_u64()), (0, Some(1)));
    assert_eq!(said(&config, &["secrets", "rotate", "--key-file", &old, "--new-key", &new]).0, 1);
}
