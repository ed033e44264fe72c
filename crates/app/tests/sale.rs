//! A flash sale with the built binary. What it oversells depends on how soon it knows, so the machine is its own: a program of tests
//! for itself, which nothing runs beside.

use std::process::Command;

use serde_json::Value;

const SKUS: &str = "2000";
const ORDERS: &str = "480";
const SEED: &str = "5";

#[test]
fn a_flash_sale_oversells_nothing_where_other_ways_would() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_selvedge"))
        .args(["demo", "--headless", "--until-settled", "--listen", "127.0.0.1:0"])
        .args(["--flash", SKUS, "--orders", ORDERS, "--seed", SEED, "--faults", "rough"])
        .arg("--store")
        .arg(path("demo.db"))
        .arg("--report")
        .arg(path("report.json"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(path("report.json")).unwrap()).unwrap();
    assert_eq!(report["oversold_units"], 0, "{report}");
    let confirmed = report["flows"]["orders"]["confirmed"].as_u64().unwrap();
    assert!(confirmed > 50, "a sale in which nothing is sold shows nothing: {report}");

    // The same seed in the hands of others.
    let other = |name: &str| {
        let others = report["others"].as_array().unwrap();
        let found = others.iter().find(|played| played["name"].as_str().unwrap().starts_with(name));
        found.unwrap_or_else(|| panic!("no {name} in {report}"))["oversold_least"].as_u64().unwrap()
    };
    for way in ["naive, available every 1m", "naive, available every 10m", "naive, on hand every 1m"] {
        assert!(other(way) > 0, "{way} oversold nothing: {report}");
    }
}
