//! Word from a script installed in the account: which items' stock has moved.
//!
//! NetSuite has no webhooks of its own. The script that docs/systems/netsuite.md prints runs after a transaction is
//! saved and posts the items it names, signed as [`signature::verify_timestamped_hex`] expects. It is a hint to look:
//! the figures are always asked for, and what no script tells is found by polling.

use std::{collections::BTreeSet, time::Duration};

use selvedge_connector::{Arrival, Delivery, Fault, Hooks, Secret, signature};
use selvedge_model::{ExternalId, Kind, Problem};
use serde::Deserialize;
use serde_json::Value;

/// The largest body that is looked at: a thousand entries are about 50 kB.
const BODY_BYTES_MAX: usize = 256 << 10;
/// The most entries that one delivery may have; the script makes several of more.
const ENTRIES_MAX: usize = 1000;

/// Takes the notices of one account.
#[derive(Debug)]
pub(crate) struct ScriptReceiver {
    pub secret: Option<Secret>,
    pub tolerance: Duration,
}

/// What the script sends. `sent_at` is there for people; how old a delivery is is judged by its signature.
#[derive(Debug, Deserialize)]
struct Notice {
    stock: Vec<Entry>,
}

/// One item that moved. At which location is not needed: all that are followed are asked for.
#[derive(Debug, Deserialize)]
struct Entry {
    item: Value,
}

fn forged(reason: &str) -> Fault {
    Fault::Forged { reason: reason.to_owned() }
}

fn refused(message: impl Into<String>) -> Fault {
    let problem = Problem::new(
        "webhook.body",
        "stock",
        message,
        "Install the script as docs/systems/netsuite.md prints it; one that was changed has to send the same body.",
    );
    Fault::Refused { what: "read a webhook".to_owned(), problems: vec![problem] }
}

impl Hooks for ScriptReceiver {
    fn receive(&self, delivery: &Delivery) -> Result<Vec<Arrival>, Fault> {
        let secret = self.secret.as_ref().ok_or_else(|| forged("no secret configured (webhook_secret)"))?;
        if delivery.body.len() > BODY_BYTES_MAX {
            return Err(refused(format!("the body is larger than {BODY_BYTES_MAX} bytes")));
        }
        let header = delivery.header("x-selvedge-signature").ok_or_else(|| forged("the signature is missing"))?;
        signature::verify_timestamped_hex(header, secret.reveal(), &delivery.body, delivery.received_at, self.tolerance)
            .map_err(forged)?;
        arrivals(&delivery.body)
    }
}

/// The items that a proven body names, each once.
fn arrivals(body: &[u8]) -> Result<Vec<Arrival>, Fault> {
    let notice: Notice =
        serde_json::from_slice(body).map_err(|error| refused(format!("the body is not what the script sends: {error}")))?;
    if notice.stock.len() > ENTRIES_MAX {
        return Err(refused(format!("the body has more than {ENTRIES_MAX} entries")));
    }
    let mut seen = BTreeSet::new();
    let mut arrivals = Vec::new();
    for entry in &notice.stock {
        let id = match &entry.item {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        if id.is_empty() || id.len() > 18 || !id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refused("an entry does not name its item by its internal id"));
        }
        if seen.insert(id.clone()) {
            arrivals.push(Arrival::Notice { kind: Kind::Stock, id: ExternalId::new(id) });
        }
    }
    Ok(arrivals)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the script in docs/systems/netsuite.md builds and signs it, run with stand-ins of its modules.
    const BODY: &str = r#"{"sent_at":"2026-11-23T10:00:00.000Z","stock":[{"item":"1001","location":"31"},{"item":"1001","location":"32"},{"item":"1002","location":"31"}]}"#;
    const SIGNATURE: &str = "t=1795428000,v1=f419f55c065e259d4b6f3c8f27390a134ed6352c2660916df8a7cfdb20febad7";
    const SIGNED_AT: i64 = 1_795_428_000;

    fn receiver(secret: Option<&str>) -> ScriptReceiver {
        ScriptReceiver { secret: secret.map(Secret::new), tolerance: Duration::from_secs(300) }
    }

    fn delivery(body: &[u8], signature: Option<&str>, at: i64) -> Delivery {
        Delivery {
            headers: signature.map(|s| ("x-selvedge-signature".to_owned(), s.to_owned())).into_iter().collect(),
            body: body.to_vec().into(),
            received_at: jiff::Timestamp::from_second(at).unwrap(),
        }
    }

    fn word(receiver: &ScriptReceiver, delivery: &Delivery) -> &'static str {
        receiver.receive(delivery).err().map_or("ok", |fault| fault.word())
    }

    fn ids(arrivals: Vec<Arrival>) -> Vec<String> {
        let id = |arrival| match arrival {
            Arrival::Notice { kind: Kind::Stock, id } => id.0,
            other => panic!("{other:?}"),
        };
        arrivals.into_iter().map(id).collect()
    }

    #[test]
    fn only_what_was_signed_lately_and_with_our_secret_is_believed() {
        let ours = receiver(Some("s3cr3t-Key"));
        let signed = delivery(BODY.as_bytes(), Some(SIGNATURE), SIGNED_AT + 60);
        assert_eq!(ids(ours.receive(&signed).unwrap()), ["1001", "1002"], "each item once");
        let at = |body: &str, signature: Option<&str>, at| word(&ours, &delivery(body.as_bytes(), signature, at));
        assert_eq!(at(BODY, Some(SIGNATURE), SIGNED_AT + 301), "forged", "replayed");
        assert_eq!(at(&BODY.replace("1002", "1003"), Some(SIGNATURE), SIGNED_AT), "forged", "changed");
        assert_eq!(at(BODY, None, SIGNED_AT), "forged", "unsigned");
        assert_eq!(at(BODY, Some("t=1795428000,v1="), SIGNED_AT), "forged", "no signature");
        assert_eq!(at(BODY, Some(&SIGNATURE.replace("t=1795428000", "t=1795428001")), SIGNED_AT), "forged", "another time");
        assert_eq!(word(&receiver(Some("another")), &signed), "forged", "another secret");
        assert_eq!(word(&receiver(None), &signed), "forged", "no secret");
        assert_eq!(at(&BODY.repeat(3000), Some(SIGNATURE), SIGNED_AT), "refused", "too large");
    }

    #[test]
    fn an_unproven_body_is_not_even_read() {
        assert_eq!(word(&receiver(Some("k")), &delivery(b"{", Some("t=1,v1=00"), 1)), "forged");
    }

    #[test]
    fn the_bounds_of_a_body_hold() {
        let of = |count: usize| {
            let rows: Vec<Value> = (1..=count).map(|n| serde_json::json!({ "item": n, "location": "31" })).collect();
            arrivals(serde_json::json!({ "stock": rows }).to_string().as_bytes())
        };
        assert_eq!(of(1000).unwrap().len(), 1000);
        assert!(matches!(of(1001), Err(Fault::Refused { .. })));
        assert!(of(0).unwrap().is_empty());
        for body in [
            "",
            "[]",
            "{}",
            r#"{"stock":{}}"#,
            r#"{"stock":[1]}"#,
            r#"{"stock":[{}]}"#,
            r#"{"stock":[{"item":""}]}"#,
            r#"{"stock":[{"item":"1 OR 1=1"}]}"#,
            r#"{"stock":[{"item":-1}]}"#,
            r#"{"stock":[{"item":1.5}]}"#,
            r#"{"stock":[{"item":null}]}"#,
            r#"{"stock":[{"item":"12345678901234567890"}]}"#,
        ] {
            assert!(matches!(arrivals(body.as_bytes()), Err(Fault::Refused { .. })), "{body}");
        }
    }

    fn sign(body: &[u8], at: i64) -> String {
        let mut signed = format!("{at}.").into_bytes();
        signed.extend_from_slice(body);
        let hex: String = signature::hmac_sha256(b"k", &signed).iter().map(|b| format!("{b:02x}")).collect();
        format!("t={at},v1={hex}")
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(body in prop::collection::vec(any::<u8>(), 0..300), header in "\\PC{0,60}", at in -10_000_000_000_i64..10_000_000_000) {
            let ours = receiver(Some("k"));
            for header in [header, sign(&body, at)] {
                match ours.receive(&delivery(&body, Some(&header), at)) {
                    Ok(_) | Err(Fault::Forged { .. } | Fault::Refused { .. }) => {}
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
            }
        }

        #[test]
        fn any_entries_are_taken_or_refused(items in prop::collection::vec(prop_oneof!["[0-9]{1,20}", "\\PC{0,5}"], 0..20)) {
            let rows: Vec<Value> = items.iter().map(|item| serde_json::json!({ "item": item })).collect();
            let body = serde_json::json!({ "stock": rows }).to_string();
            match receiver(Some("k")).receive(&delivery(body.as_bytes(), Some(&sign(body.as_bytes(), 7)), 7)) {
                Ok(arrivals) => prop_assert!(arrivals.len() <= items.len()),
                Err(fault) => prop_assert_eq!(fault.word(), "refused"),
            }
        }
    }
}
