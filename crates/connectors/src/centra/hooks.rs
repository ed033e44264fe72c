//! Centra's webhooks: form bodies with a JSON field, signed over the raw body.

use std::{collections::BTreeSet, time::Duration};

use percent_encoding::percent_decode;
use selvedge_connector::{Arrival, Delivery, Fault, Hooks, Secret, signature};
use selvedge_model::{ExternalId, Kind, Problem};

use super::{
    settings::Settings,
    wire::{HookPayload, id_text},
};

/// The largest body that is looked at. A hundred events, Centra's largest batch, are about 10 kB.
const BODY_BYTES_MAX: usize = 1 << 20;
/// The most events that one delivery may name.
const EVENTS_MAX: usize = 10_000;

/// Takes the webhooks of one instance.
#[derive(Debug)]
pub struct WebhookReceiver {
    secret: Option<Secret>,
    tolerance: Duration,
    returns: bool,
}

impl WebhookReceiver {
    /// For one instance.
    pub fn new(settings: &Settings) -> Self {
        Self { secret: settings.webhook_secret.clone(), tolerance: settings.webhook_tolerance, returns: settings.returns.read }
    }
}

fn forged(reason: &str) -> Fault {
    Fault::Forged { reason: reason.to_owned() }
}

fn refused(message: impl Into<String>) -> Fault {
    let problem = Problem::new(
        "webhook.body",
        "payload",
        message,
        "Check the webhook plugin in Centra: it has to be of the Integration API kind and send form bodies.",
    );
    Fault::Refused { what: "read a webhook".to_owned(), problems: vec![problem] }
}

impl Hooks for WebhookReceiver {
    fn receive(&self, delivery: &Delivery) -> Result<Vec<Arrival>, Fault> {
        let secret = self.secret.as_ref().ok_or_else(|| forged("no secret configured (webhook_secret)"))?;
        if delivery.body.len() > BODY_BYTES_MAX {
            return Err(refused(format!("the body is larger than {BODY_BYTES_MAX} bytes")));
        }
        let header = delivery.header("x-centra-signature").ok_or_else(|| forged("the signature is missing"))?;
        // Over the body as it came: decoding and encoding again may turn %20 into +.
        signature::verify_timestamped_hex(header, secret.reveal(), &delivery.body, delivery.received_at, self.tolerance)
            .map_err(forged)?;
        arrivals(&delivery.body, self.returns)
    }
}

/// Orders, and returns where they are read, that a proven body names, each once; other kinds are not ours.
fn arrivals(body: &[u8], returns: bool) -> Result<Vec<Arrival>, Fault> {
    let fields = body.split(|byte| *byte == b'&');
    let payload =
        fields.filter_map(|field| field.strip_prefix(b"payload=")).next().ok_or_else(|| refused("there is no field payload"))?;
    let spaced: Vec<u8> = payload.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let json: Vec<u8> = percent_decode(&spaced).collect();
    let payload: HookPayload =
        serde_json::from_slice(&json).map_err(|error| refused(format!("the payload is not what Centra documents: {error}")))?;
    let events = payload.events.ok_or_else(|| refused("the payload has no events; it is of the storefront kind"))?;
    if events.len() > EVENTS_MAX {
        return Err(refused(format!("the payload has more than {EVENTS_MAX} events")));
    }
    let mut seen = BTreeSet::new();
    let mut arrivals = Vec::new();
    for event in &events {
        let kind = match event.kind.as_str() {
            "order" => Kind::Order,
            "return" if returns => Kind::Return,
            _ => continue,
        };
        let id = id_text(&event.id).ok_or_else(|| refused(format!("an event of a kind {kind} has no id")))?;
        if seen.insert((kind, id.clone())) {
            arrivals.push(Arrival::Notice { kind, id: ExternalId::new(id) });
        }
    }
    Ok(arrivals)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    /// Body, key and signature as Centra's documentation builds them, for 2023-11-14T22:13:20Z.
    const BODY: &str = "payload=%7B%22events%22%3A%5B%7B%22type%22%3A%22order%22%2C%22action%22%3A%22insert%22%2C%22date%22%3A%222023-11-14+22%3A13%3A20.000000%22%2C%22id%22%3A1001%7D%5D%7D";
    const SIGNATURE: &str = "t=1700000000,v1=69a584136857caf826ff80d09c91bdca7c237e0790770206af809b447067b0bc";

    fn receiver(secret: Option<&str>) -> WebhookReceiver {
        let secrets: Vec<(&str, &str)> = [("token", "t")].into_iter().chain(secret.map(|s| ("webhook_secret", s))).collect();
        let settings = json!({ "base_url": "https://brand.centra.com", "time_zone": "Europe/Stockholm" });
        WebhookReceiver::new(&super::super::settings::tests::read(&settings, &secrets).unwrap())
    }

    fn delivery(body: &str, signature: Option<&str>, at: i64) -> Delivery {
        Delivery {
            headers: signature.map(|s| ("x-centra-signature".to_owned(), s.to_owned())).into_iter().collect(),
            body: body.as_bytes().to_vec().into(),
            received_at: Timestamp::from_second(at).unwrap(),
        }
    }

    fn word(receiver: &WebhookReceiver, delivery: &Delivery) -> &'static str {
        match receiver.receive(delivery) {
            Ok(_) => "ok",
            Err(fault) => fault.word(),
        }
    }

    #[test]
    fn only_what_was_signed_lately_and_with_our_secret_is_believed() {
        let ours = receiver(Some("s3cr3t-Key"));
        let signed = delivery(BODY, Some(SIGNATURE), 1_700_000_060);
        let arrivals = ours.receive(&signed).unwrap();
        assert!(matches!(arrivals.as_slice(), [Arrival::Notice { kind: Kind::Order, id }] if id.as_str() == "1001"));

        assert_eq!(word(&ours, &delivery(BODY, Some(SIGNATURE), 1_700_000_301)), "forged", "replayed");
        assert_eq!(word(&ours, &delivery(&BODY.replace("1001", "1002"), Some(SIGNATURE), 1_700_000_060)), "forged", "changed");
        assert_eq!(word(&ours, &delivery(&BODY.replace('+', "%20"), Some(SIGNATURE), 1_700_000_060)), "forged", "encoded anew");
        assert_eq!(word(&ours, &delivery(BODY, None, 1_700_000_060)), "forged", "unsigned");
        assert_eq!(word(&ours, &delivery(BODY, Some("v1=,t="), 1_700_000_060)), "forged", "no signature");
        assert_eq!(word(&receiver(Some("another")), &signed), "forged", "another secret");
        assert_eq!(word(&receiver(None), &signed), "forged", "no secret");
    }

    #[test]
    fn each_order_is_named_once_and_other_kinds_are_ignored() {
        let body = r#"payload={"events":[{"type":"order","id":7},{"type":"shipment","id":8},{"type":"order","action":"update","id":"7"},{"type":"order","id":9},{"type":"return","action":"delete","id":7}]}"#;
        let found = |returns: bool| -> Vec<String> {
            let arrivals = arrivals(body.as_bytes(), returns).unwrap().into_iter();
            let word = |arrival| match arrival {
                Arrival::Notice { kind, id } => format!("{kind} {id}"),
                Arrival::Document(_) => panic!("a webhook carries no document"),
            };
            arrivals.map(word).collect()
        };
        assert_eq!(found(false), ["order 7", "order 9"]);
        assert_eq!(found(true), ["order 7", "order 9", "return 7"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for body in [
            "",
            "x=1",
            "payload=",
            "payload=%7B",
            "payload=[1]",
            r#"payload={"products":["1"]}"#,
            r#"payload={"events":[{"type":"order","id":{}}]}"#,
            r#"payload={"events":[{"type":"order","id":1.5}]}"#,
        ] {
            assert!(matches!(arrivals(body.as_bytes(), true), Err(Fault::Refused { .. })), "{body}");
        }
    }
}
