//! Returns into Centra: what a warehouse received becomes a return of the shop, or completes the one that announced it.
//!
//! A return is made on its shipment, with one policy for its goods, and then completed: up to two calls, each decided on
//! what stands. Centra guards nothing against a second return of the same units, so our key goes along as the external id
//! and is looked for before the first attempt, too.
//!
//! None of it moves money. Paying back stays an act of the shop's people or of whoever else does it there, unless
//! `refund_on_receipt` says otherwise; then it is asked for once, when the return is there and its history shows no refund
//! that is open or went through.

use std::collections::BTreeMap;

use async_trait::async_trait;
use selvedge_connector::{Encoded, Fault, Found, Need, Needed, Priority, Raw, Receipt, Request, Sink, Standing};
use selvedge_model::{
    ExternalId, Kind, Problem, RecordKey, Return,
    compare::Carries,
    gate::{Lookup, Values, mapping::key_text},
    records::{Disposition, ReturnStatus},
};
use serde_json::{Value, json};

use super::{
    super::{operations, wire::id_text},
    Returns,
    decode::is_deleted,
};
use crate::complaint::cause_of;

/// The table under which the shipment's id stands among the values.
const SHIPMENT: &str = "shipment";

fn call(what: String, mutation: &'static str, variables: Value, update: Option<ExternalId>, unfinished: bool) -> Request {
    let body = json!({ "mutation": mutation, "variables": variables });
    Request { what, method: "POST".to_owned(), path: "/graphql".to_owned(), body, update, unfinished }
}

/// Units by line of the order.
type Units = BTreeMap<String, u32>;

fn units(record: &Return) -> Option<Units> {
    let mut units = Units::new();
    for line in &record.lines {
        let sum = units.entry(line.order_line.as_ref()?.to_string()).or_default();
        *sum = sum.checked_add(line.quantity)?;
    }
    (!units.is_empty()).then_some(units)
}

fn units_there(document: &Value) -> Option<Units> {
    let mut units = Units::new();
    for line in document["lines"].as_array()? {
        let sum = units.entry(id_text(&line["orderLine"]["id"])?).or_default();
        *sum = sum.checked_add(u32::try_from(line["quantity"].as_u64()?).ok()?)?;
    }
    Some(units)
}

fn told(units: &Units) -> String {
    units.iter().map(|(line, units)| format!("{units} of line {line}")).collect::<Vec<_>>().join(", ")
}

impl Returns {
    /// The id of the shop's own return that this one answers.
    fn announced(&self, record: &Return) -> Option<i64> {
        self.form.id_in(record.order.as_ref(), record.counterpart.as_ref()?)
    }

    /// What becomes of the goods, in the shop's words.
    fn policy(&self, record: &Return, problems: &mut Vec<Problem>) -> Option<Value> {
        Some(match record.disposition {
            Disposition::Restock => json!({ "releaseItemsBackToWarehouse": true }),
            Disposition::WriteOff => json!({ "removeItemsFromStock": true }),
            Disposition::Quarantine => match self.settings.quarantine_warehouse {
                Some(warehouse) => json!({ "sendItemsToDifferentWarehouse": { "id": warehouse } }),
                None => {
                    problems.push(Problem::new(
                        "return.quarantine",
                        "disposition",
                        format!("return {} is to be kept apart, and the connection names no warehouse for that", record.id),
                        "Set `quarantine_warehouse` of the shop's connection to the id of such a warehouse, then release.",
                    ));
                    return None;
                }
            },
        })
    }

    fn create(&self, record: &Return, shipment: Option<&Raw>) -> Result<Encoded, Vec<Problem>> {
        if let Some(id) = self.announced(record) {
            return Err(vec![gone(record, &id.to_string())]);
        }
        let Some(shipment) = shipment else { return Err(vec![no_shipment(record)]) };
        let document: Value = serde_json::from_slice(&shipment.body).unwrap_or_default();
        let (id, wanted) = (id_text(&document["id"]), units(record));
        let (Some(id), Some(wanted)) = (id.and_then(|id| id.parse::<i64>().ok()), wanted) else {
            return Err(vec![no_shipment(record)]);
        };
        let mut problems = Vec::new();
        let lines = lines(record, &document, &wanted, &mut problems);
        let policy = self.policy(record, &mut problems);
        let (Some(policy), true) = (policy, problems.is_empty()) else { return Err(problems) };
        let mut input = json!({
            "shipment": { "id": id },
            "lines": lines,
            "returnStockActionPolicy": policy,
            "externalId": record.key,
        });
        if let Some(comment) = record.comment.as_ref().or(record.reason.as_ref()) {
            input["comment"] = json!(comment);
        }
        if self.settings.shipping {
            input["shippingCost"] = json!({ "fromShipment": true });
            input["handlingCost"] = json!({ "fromShipment": true });
        }
        let reduced = document["discountsApplied"].as_array().is_some_and(|all| !all.is_empty());
        if self.settings.voucher && reduced {
            input["voucherValue"] = json!({ "fromShipment": true });
        }
        let unfinished = record.status == ReturnStatus::Received;
        let what = format!("make return {} of shipment {id}", record.id);
        Ok(Encoded::Put(call(what, "createReturn", json!({ "input": input }), None, unfinished)))
    }

    fn go_on(&self, record: &Return, raw: &Raw) -> Result<Encoded, Vec<Problem>> {
        let document: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
        if is_deleted(&document) {
            return Err(vec![gone(record, raw.id.as_str())]);
        }
        let id = id_text(&document["id"]).and_then(|id| id.parse::<i64>().ok());
        let (Some(id), Some(there)) = (id, units_there(&document)) else { return Err(vec![unreadable(raw)]) };
        if record.status == ReturnStatus::Cancelled {
            return Err(vec![taken_back(record, raw)]);
        }
        match units(record) {
            Some(ours) if ours == there => {}
            ours => return Err(vec![differs(record, raw, &ours.unwrap_or_default(), &there)]),
        }
        let update = Some(raw.id.clone());
        match document["returnStatus"].as_str() {
            Some("PENDING") if record.status == ReturnStatus::Received => {
                let variables = json!({ "id": id, "input": { "sendEmail": self.settings.send_email } });
                let what = format!("complete return {id}");
                Ok(Encoded::Put(call(what, "completeReturn", variables, update, self.settings.refund)))
            }
            Some("COMPLETED") if self.settings.refund && record.status == ReturnStatus::Received && !paid_back(&document) => {
                let variables = json!({ "id": id, "input": { "sendEmail": self.settings.send_email } });
                Ok(Encoded::Put(call(format!("pay return {id} back"), "refundReturn", variables, update, false)))
            }
            Some("PENDING" | "COMPLETED") => Ok(Encoded::Nothing),
            _ => Err(vec![unreadable(raw)]),
        }
    }
}

/// Whether the money went back, or was asked for and not refused; nothing to give back counts as given.
fn paid_back(document: &Value) -> bool {
    let Some(entries) = document["refundPaymentHistory"].as_array() else { return true };
    let failed =
        |entry: &Value| entry["status"] == "FAILED" || entry["entryType"].as_str().is_some_and(|word| word.ends_with("_FAILED"));
    // A request whose outcome was no is open no more: each outcome answers the oldest request that is open under its reference.
    let ended_badly = |request: &Value| {
        let of_reference = |other: &&Value| other["externalReference"] == request["externalReference"];
        let requests = entries.iter().filter(of_reference).filter(|other| other["entryType"] == "REFUND_REQUEST");
        let before = requests.take_while(|other| other["id"] != request["id"]).count();
        let mut outcomes = entries.iter().filter(of_reference).filter(|other| {
            failed(other) || other["entryType"].as_str().is_some_and(|word| word == "REFUND" || word == "REFUND_GIFT_CARD")
        });
        request["entryType"] == "REFUND_REQUEST" && outcomes.nth(before).is_some_and(&failed)
    };
    let nothing = document["grandGross"]["value"].as_number().is_some_and(|number| {
        super::super::decode::decimal(&number.to_string()).is_some_and(|amount| amount <= rust_decimal::Decimal::ZERO)
    });
    nothing || entries.iter().any(|entry| !failed(entry) && (entry["status"] == "SUCCESS" || !ended_badly(entry)))
}

/// The lines of the shipment that units of the order's lines come back of.
fn lines(record: &Return, shipment: &Value, wanted: &Units, problems: &mut Vec<Problem>) -> Vec<Value> {
    let mut lines = Vec::new();
    for (order_line, wanted) in wanted {
        let mut rest = *wanted;
        let mut shipped = 0_u32;
        for line in shipment["lines"].as_array().into_iter().flatten() {
            if id_text(&line["orderLine"]["id"]).as_deref() != Some(order_line) {
                continue;
            }
            let count = |field: &str| line[field].as_u64().and_then(|units| u32::try_from(units).ok()).unwrap_or(0);
            let left = count("quantity").saturating_sub(count("returnedQuantity"));
            shipped = shipped.saturating_add(left);
            let taken = rest.min(left);
            if let Some(id) = id_text(&line["id"]).and_then(|id| id.parse::<i64>().ok()).filter(|_| taken > 0) {
                lines.push(json!({ "shipmentLine": { "id": id }, "quantity": taken }));
                rest = rest.saturating_sub(taken);
            }
        }
        if rest > 0 {
            problems.push(
                Problem::new(
                    "return.over",
                    "lines",
                    format!(
                        "return {} has {wanted} of line {order_line}, and {shipped} that left with its shipment are not yet returned there",
                        record.id
                    ),
                    "Compare the receipt with the shop's returns of this shipment: one of them may be for the same goods. Dismiss this then, or have the warehouse mend its receipt.",
                )
                .value(wanted.to_string())
                .cause(record.key.as_str()),
            );
        }
    }
    lines
}

#[async_trait]
impl Sink<Return> for Returns {
    fn lookups(&self, _record: &Return) -> Vec<Lookup> {
        Vec::new()
    }

    fn needs(&self, record: &Return) -> Option<Need> {
        if self.announced(record).is_some() {
            return None;
        }
        let key = record.shipment.clone()?;
        Some(Need {
            key_text: key_text(&[(SHIPMENT.to_owned(), key.to_string())]),
            table: SHIPMENT.to_owned(),
            what: Needed::Document { kind: Kind::Shipment, key },
        })
    }

    fn encode(&self, record: &Return, _values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        match there.own {
            None => self.create(record, there.needed),
            Some(raw) => self.go_on(record, raw),
        }
    }

    async fn find(&self, record: &Return) -> Result<Option<Found>, Fault> {
        let what = format!("look for return {}", record.id);
        let (operation, variables, by_key) = match self.announced(record) {
            Some(id) => (&operations::RETURNS_BY_ID, json!({ "ids": [id], "limit": 1 }), false),
            None => (&operations::RETURNS_BY_KEY, json!({ "key": record.key }), true),
        };
        let found = self.read(operation, variables, &what, Priority::Returns).await?;
        let ours = |document: &Value| !by_key || document["externalId"].as_str() == Some(record.key.as_str());
        Ok(found.into_iter().find(|(_, document)| ours(document)).map(|(raw, _)| Found { id: raw.id }))
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let (what, variables) = (&request.what, request.body["variables"].clone());
        let operation = match request.body["mutation"].as_str() {
            Some("createReturn") => &operations::CREATE_RETURN,
            Some("refundReturn") => &operations::REFUND_RETURN,
            _ => &operations::COMPLETE_RETURN,
        };
        let reply = self.api.ask(operation, variables, what, Priority::Returns).await?;
        reply.receipt("return", request.update.as_ref(), refusal)
    }

    fn finishes_in_one(&self) -> bool {
        false
    }

    fn looks_first(&self) -> bool {
        true
    }

    fn carries(&self) -> Carries {
        Carries { status: true, disposition: true, ..Carries::default() }
    }
}

/// A refusal in the words of returns.
fn refusal(problem: Problem) -> Problem {
    Problem::new(
        "return.refused",
        problem.path,
        format!("the shop: {}", problem.message.chars().take(600).collect::<String>()),
        "Mend what the shop names, then release: what stands there is looked at first, and nothing is made twice.",
    )
    .cause(cause_of(&problem.message))
}

fn no_shipment(record: &Return) -> Problem {
    let order = record.order.as_ref().map_or("no order", RecordKey::as_str);
    Problem::new(
        "return.no_shipment",
        "shipment",
        format!("return {} is of {order}, and the shipment in the shop that its goods had left in is not known", record.id),
        "A return of the shop is of one shipment. See whether the shipment was told to the shop, then release; or make the return there by hand and dismiss this.",
    )
    .cause(record.key.as_str())
}

fn gone(record: &Return, id: &str) -> Problem {
    Problem::new(
        "return.gone",
        "",
        format!("return {} belongs to return {id} of the shop, which is not there any more", record.id),
        "Somebody deleted it in the shop. If the goods did come, make a new one there by hand; then dismiss this.",
    )
    .cause(record.key.as_str())
}

fn unreadable(raw: &Raw) -> Problem {
    Problem::new(
        "decode.return.json",
        "",
        format!("return {} of the shop cannot be read", raw.id),
        "Run `selvedge check`: it names what this Centra instance does otherwise than documented.",
    )
}

fn taken_back(record: &Return, raw: &Raw) -> Problem {
    Problem::new(
        "return.taken_back",
        "status",
        format!("the warehouse took return {} back after it was told to the shop as return {}", record.id, raw.id),
        "If nothing has come, delete the return in the shop, which takes the goods out of its stock again; then dismiss this. A return that was paid back has to be settled with the shopper first.",
    )
    .cause(record.key.as_str())
}

fn differs(record: &Return, raw: &Raw, ours: &Units, there: &Units) -> Problem {
    Problem::new(
        "return.differs",
        "lines",
        format!("return {} received {}; return {} of the shop has {}", record.id, told(ours), raw.id, told(there)),
        "The shop takes no change of a return's units. Delete it there and make one that fits (before any money goes back), complete it, and dismiss this; or have the warehouse mend its receipt.",
    )
    .value(told(ours))
    .cause(record.key.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_asked_for_again_only_when_every_request_ended_badly() {
        let entry = |id: u32, kind: &str, status: &str, reference: &str| json!({"id": id, "entryType": kind, "status": status, "externalReference": reference});
        let asked = |id| entry(id, "REFUND_REQUEST", "PENDING", "X");
        let failed = |id| entry(id, "REFUND_FAILED", "FAILED", "X");
        let paid = |entries: Vec<Value>| paid_back(&json!({"grandGross": {"value": 10}, "refundPaymentHistory": entries}));
        assert!(!paid(vec![]));
        assert!(paid(vec![asked(1)]), "it is on its way");
        assert!(!paid(vec![asked(1), failed(2)]));
        // The second request is open, whatever became of the first under the same reference.
        assert!(paid(vec![asked(1), failed(2), asked(3)]));
        assert!(!paid(vec![asked(1), failed(2), asked(3), failed(4)]));
        assert!(paid(vec![asked(1), failed(2), entry(3, "REFUND", "SUCCESS", "X")]));
        assert!(paid_back(&json!({"grandGross": {"value": 0}, "refundPaymentHistory": []})), "nothing to give back");
    }
}
