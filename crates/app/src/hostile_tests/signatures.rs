//! Attack: finding a signature out byte by byte, from how long a wrong one takes.
//!
//! A clock would make a test that fails by chance; so this one reads the code: what is secret is compared by the one function
//! that takes the same time wherever the difference lies, and proofs of people are looked up by their hash alone.

use std::{fs, path::Path};

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("hostile_tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path.display().to_string(), text.split("#[cfg(test)]").next().unwrap().to_owned()));
        }
    }
}

#[test]
fn what_is_signed_is_compared_in_constant_time() {
    let text = include_str!("../../../connector/src/signature.rs");
    let same = text.split("pub fn same(").nth(1).unwrap().split('}').next().unwrap();
    assert!(same.contains("one.ct_eq(other)"), "{same}");
    let product = text.split("#[cfg(test)]").next().unwrap();
    for line in product.lines().filter(|line| line.contains("hmac_sha256(")) {
        assert!(!line.contains("==") && !line.contains("!="), "a MAC is compared by `same`: {line}");
    }
    for name in ["expected", "mac", "signature", "given"] {
        for compared in [format!("== {name}"), format!("{name} =="), format!("!= {name}"), format!("{name} !=")] {
            assert!(!product.contains(&compared), "{compared} in signature.rs");
        }
    }
    // Whatever else checks a sender does it by the same function.
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../connectors/src"), &mut found);
    let checks: Vec<_> = found
        .iter()
        .filter(|(_, text)| text.contains("fn verify") || text.contains("Forged") || text.contains("forged"))
        .collect();
    assert!(!checks.is_empty());
    for (file, text) in checks {
        for line in text.lines() {
            let secret = ["secret", "signature", "mac", "token"].iter().any(|word| line.contains(word));
            assert!(!(secret && line.contains("reveal()") && (line.contains("==") || line.contains("!="))), "{file}: {line}");
        }
    }
}

#[test]
fn proofs_are_looked_up_by_their_hash_and_compared_nowhere() {
    let mut found = Vec::new();
    for room in ["src", "../store/src/people"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(room), &mut found);
    }
    for (file, text) in &found {
        for compared in ["text() ==", "text() !=", "== proof", "== cookie", "== token", ".text().eq("] {
            assert!(!text.contains(compared), "{file} compares {compared}");
        }
    }
    let sql: String = found.iter().filter(|(file, _)| file.contains("store")).map(|(_, text)| text.as_str()).collect();
    for table in ["sessions", "api_tokens", "links"] {
        assert!(sql.contains(table), "{table}");
    }
    assert!(sql.matches("hash = ?1").count() >= 4, "each is looked up by what is kept of it");
}
