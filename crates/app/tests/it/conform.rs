//! The golden examples through `conform`: the carried few, and all of them where they lie beside the project.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// The folders that hold examples: ours, and the whole set if it is there.
fn folders() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Beside the repository, or beside the folder of its worktrees.
    let whole = ["../../../shared", "../../../../shared"].map(|shared| here.join(shared).join("data/golden"));
    let mut folders = vec![here.join("tests/it/golden")];
    folders.extend(whole.into_iter().find(|whole| whole.is_dir()));
    folders
}

fn vectors(folder: &Path, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    // Some files say something about their vectors, others are the list alone.
    let list = if whole.is_array() { whole } else { whole["vectors"].take() };
    serde_json::from_value(list).unwrap()
}

fn answers(kind: &str, lines: &[Value]) -> Vec<Value> {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_conform")).arg(kind).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let answers: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), lines.len(), "{kind}: one answer a line");
    for (answer, line) in answers.iter().zip(lines) {
        assert_eq!(answer["id"], line["id"], "{kind}: in the same order");
    }
    answers.into_iter().map(|mut answer| answer["answer"].take()).collect()
}

fn each(kind: &str, file: &str, right: impl Fn(&Value, &Value) -> bool) {
    for folder in folders() {
        let vectors = vectors(&folder, file);
        assert!(!vectors.is_empty());
        for (vector, answer) in vectors.iter().zip(answers(kind, &vectors)) {
            assert!(right(vector, &answer), "{kind}: {vector}\nwas answered {answer}");
        }
    }
}

#[test]
fn rounding_and_currencies() {
    let same = |one: &Value, other: &Value| {
        let decimal = |value: &Value| value.as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
        decimal(one) == decimal(other)
    };
    each("rounding", "rounding.json", |vector, answer| same(&vector["expect"], answer));
    each("currency", "iso4217.json", |vector, answer| vector["minor"] == *answer);
}

#[test]
fn allocation_keeps_what_always_holds_and_its_rule() {
    each("allocation", "allocation.json", |vector, answer| {
        let rules = vector["rules"].as_array().map_or(&[][..], Vec::as_slice);
        let ours = rules.iter().any(|rule| rule == "largest_remainder_mirrored");
        if ours || !answer.is_array() {
            return vector["expect"] == *answer;
        }
        shares_hold(vector, answer)
    });
}

/// What holds under every rule: shares add up, a zero weight gets nothing, each is within one unit of the exact one.
fn shares_hold(vector: &Value, answer: &Value) -> bool {
    let amount: i128 = vector["amount"].to_string().parse().unwrap();
    let shares: Vec<i64> = serde_json::from_value(answer.clone()).unwrap();
    let weights: Vec<rust_decimal::Decimal> = serde_json::from_value(vector["weights"].clone()).unwrap();
    let total: rust_decimal::Decimal = weights.iter().copied().sum();
    shares.len() == weights.len()
        && shares.iter().map(|share| i128::from(*share)).sum::<i128>() == amount
        && shares.iter().zip(weights).all(|(share, weight)| {
            let exact = rust_decimal::Decimal::from(amount) * (weight / total);
            (rust_decimal::Decimal::from(*share) - exact).abs() < rust_decimal::Decimal::ONE && (!weight.is_zero() || *share == 0)
        })
}

#[test]
fn tax_under_every_policy() {
    for folder in folders() {
        for vector in vectors(&folder, "tax.json") {
            let expected = [&vector["expect"], &vector["also"]].into_iter().filter_map(Value::as_object).flatten();
            for (policy, expected) in expected {
                let mut line = vector.clone();
                line["policy"] = json!(policy);
                let answer = answers("tax", &[line]).remove(0);
                for (name, figure) in expected.as_object().unwrap() {
                    assert_eq!(answer[name], *figure, "{policy}: {vector}\nwas answered {answer}");
                }
            }
        }
    }
}

#[test]
fn invoices_and_credit_notes_add_up() {
    let decimal = |value: &Value| value.as_str().unwrap_or("0").parse::<rust_decimal::Decimal>().unwrap();
    let given = |vector: &Value| {
        // What is not to be worked out is handed in: the example keeps it among its totals.
        let mut vector = vector.clone();
        for name in ["prepaid", "rounding"] {
            let stated = vector["totals"][name].clone();
            if !stated.is_null() {
                vector[name] = stated;
            }
        }
        for line in vector["lines"].as_array_mut().unwrap() {
            line.as_object_mut().unwrap().remove("net");
        }
        vector
    };
    for folder in folders() {
        let vectors: Vec<Value> = vectors(&folder, "invoices.json").iter().map(given).collect();
        assert!(vectors.len() > 2);
        for (vector, answer) in vectors.iter().zip(answers("invoices", &vectors)) {
            for name in ["net", "gross", "payable"] {
                assert_eq!(decimal(&answer[name]), decimal(&vector["totals"][name]), "{name}: {vector}\nwas answered {answer}");
            }
            assert_eq!(decimal(&answer["tax"]), decimal(&vector["tax_total"]), "{vector}\nwas answered {answer}");
        }
    }
}

#[test]
fn rates_of_the_day() {
    each("vat_rate", "vat_rates.json", |vector, answer| vector["percent"] == *answer);
    assert_eq!(answers("vat_rate", &[json!({"id": 1, "country": "XX", "date": "2026-01-15"})]), ["error"]);
}

#[test]
fn signatures_and_tokens() {
    each("webhook", "protocol/webhooks.json", |vector, answer| vector["valid"] == *answer);
    each("hmac", "protocol/hmac.json", |vector, answer| vector["sha256_base64"] == *answer);
    each("oauth1", "protocol/oauth1.json", |vector, answer| vector["signature"] == *answer);
    each("jws", "protocol/jws.json", |vector, answer| vector["valid"] == *answer);
}

#[test]
fn waits_and_formats() {
    each("retry_after", "protocol/retry_after.json", |vector, answer| vector["wait_seconds"] == *answer);
    each("format", "protocol/formats.json", |vector, answer| vector["valid"] == *answer);
}

#[test]
fn goods_and_parcels() {
    each("tracking", "protocol/tracking.json", |vector, answer| vector["valid"] == *answer);
    each("gtin", "protocol/gtin.json", |vector, answer| vector["valid"] == *answer);
}

#[test]
fn postcodes_of_every_country_listed() {
    for folder in folders() {
        for country in vectors(&folder, "protocol/addresses.json") {
            let line = |postcode: &Value| json!({"id": postcode, "country": country["country"], "postcode": postcode});
            for (name, valid) in [("valid_postcodes", true), ("invalid_postcodes", false)] {
                let lines: Vec<Value> = country[name].as_array().unwrap().iter().map(line).collect();
                for (line, answer) in lines.iter().zip(answers("postcode", &lines)) {
                    assert_eq!(answer, valid, "{line}");
                }
            }
            let required = country["required"].as_array().unwrap().contains(&json!("postcode"));
            assert_eq!(answers("postcode", &[line(&json!(""))]), [json!(!required)], "none in {}", country["country"]);
        }
    }
}

#[test]
fn tables() {
    each("csv", "protocol/csv.json", |vector, answer| vector["expect"] == *answer);
}

#[test]
fn what_the_product_has_no_use_for_is_said_so() {
    assert_eq!(answers("horoscope", &[json!({"id": 1}), json!({"id": 2})]), ["unsupported", "unsupported"]);
}
