//! What this process has seen of returns.
//!
//! Two things that Centra does not tell are made up for here. A return has no date of its last change: each state of it is
//! dated by when it was first seen. A return that was deleted answers to nothing, and the event of it names an id and no
//! order: what was last seen of it is put into a *tombstone*, a document of our own making that says so (`"deleted": true`).
//! Both are lost with the process: after a restart everything is read once more, and the deletion of a return that was not
//! seen since is told without its order, and held.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use jiff::Timestamp;
use selvedge_connector::Raw;
use selvedge_model::{ExternalId, Kind, RecordKey};
use serde_json::{Value, json, value::RawValue};

use super::super::{orders::fnv, wire::id_text};

/// The most returns remembered; then the oldest go.
const KEPT_MAX: usize = 200_000;

/// What was last seen of one return.
#[derive(Debug)]
struct Seen {
    state: u64,
    /// The state in which it was last handed on whole.
    handed: Option<u64>,
    /// When this state was first seen.
    since: Timestamp,
    /// What a tombstone says of it.
    stub: Value,
    pending: bool,
    gone: bool,
    /// In which reading of the lists it was last there.
    pass: u64,
}

/// What this process has seen of the returns of one instance.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    seen: BTreeMap<i64, Seen>,
    pass: u64,
}

/// The order of a return, by whichever way its document tells it.
pub fn order_of(document: &Value) -> Option<String> {
    let number = |at: &Value| id_text(&at["number"]).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let by_shipment = || Some(document["shipment"]["number"].as_str()?.rsplit_once('-')?.0.to_owned());
    number(&document["order"]).or_else(|| number(&document["shipment"]["order"])).or_else(by_shipment)
}

/// The market of a return's order: an object with an id, or null.
pub fn market_of(document: &Value) -> &Value {
    let own = &document["order"]["market"];
    if own.is_object() { own } else { &document["shipment"]["order"]["market"] }
}

/// A number that is the same for two readings of a return exactly when they show the same state.
fn state(document: &Value) -> u64 {
    let refunds: Vec<Value> = document["refundPaymentHistory"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| json!([entry["id"], entry["status"], entry["entryType"]]))
        .collect();
    let fields = ["returnStatus", "totalQuantity", "returnedToStock", "externalId"].map(|field| &document[field]);
    fnv(json!([fields, document["grandGross"]["value"], refunds]).to_string().as_bytes())
}

fn stub(document: &Value) -> Value {
    json!({
        "id": document["id"],
        "createdAt": document["createdAt"],
        "grandGross": { "currency": document["grandGross"]["currency"] },
        "order": { "number": order_of(document), "market": market_of(document) },
    })
}

fn tombstone(id: i64, mut stub: Value, at: Timestamp) -> Raw {
    stub["id"] = json!(id);
    stub["deleted"] = json!(true);
    let body = Bytes::from(stub.to_string().into_bytes());
    Raw { kind: Kind::Return, id: ExternalId::new(id.to_string()), version: Some(at), body }
}

/// One return in a list, as far as the list tells.
#[derive(Debug)]
pub struct Listed {
    /// Their id.
    pub id: i64,
    /// The order's key, where it is told.
    pub order: Option<RecordKey>,
    /// When this state of it was first seen.
    pub since: Timestamp,
    /// Whether it was not handed on in this state yet.
    pub is_news: bool,
}

impl Memory {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reading of all lists begins.
    pub fn begin(&self) {
        self.inner().pass += 1;
    }

    /// Takes note of a return as it was read at `at`; none where it does not even tell its id.
    pub fn note(&self, document: &Value, at: Timestamp) -> Option<Listed> {
        let id: i64 = id_text(&document["id"])?.parse().ok()?;
        let mut inner = self.inner();
        let (pass, state) = (inner.pass, state(document));
        let known = inner.seen.get(&id).filter(|seen| !seen.gone);
        let handed = known.and_then(|seen| seen.handed);
        let since = known.filter(|seen| seen.state == state).map_or(at, |seen| seen.since);
        let pending = document["returnStatus"] == "PENDING";
        inner.seen.insert(id, Seen { state, handed, since, stub: stub(document), pending, gone: false, pass });
        while inner.seen.len() > KEPT_MAX {
            inner.seen.pop_first();
        }
        Some(Listed { id, order: order_of(document).map(RecordKey::new), since, is_news: handed != Some(state) })
    }

    /// A whole return as it came: its *as of* is when it was read. One that does not tell its id keeps a stand-in, so that it
    /// is captured and held and not lost.
    pub fn raw(&self, node: &RawValue, body: Bytes, at: Timestamp, stand_in: Option<&str>) -> Raw {
        let document: Value = serde_json::from_str(node.get()).unwrap_or_default();
        let id = id_text(&document["id"])
            .or_else(|| stand_in.map(str::to_owned))
            .unwrap_or_else(|| format!("unreadable-{:016x}", fnv(node.get().as_bytes())));
        self.note(&document, at);
        Raw { kind: Kind::Return, id: ExternalId::new(id), version: Some(at), body }
    }

    /// What is told of a return that is gone, if it was there before.
    pub fn missed(&self, id: i64, at: Timestamp) -> Option<Raw> {
        self.inner().seen.get(&id).map(|seen| tombstone(id, seen.stub.clone(), at))
    }

    /// These were handed on whole as they were last seen. Said when all of a page has come, or what a fault cut off would
    /// never be news again.
    pub fn handed(&self, ids: impl IntoIterator<Item = i64>) {
        let mut inner = self.inner();
        for id in ids {
            if let Some(seen) = inner.seen.get_mut(&id) {
                seen.handed = Some(seen.state);
            }
        }
    }

    /// That these are gone was handed on.
    pub fn buried(&self, ids: impl IntoIterator<Item = i64>) {
        let mut inner = self.inner();
        for id in ids {
            if let Some(seen) = inner.seen.get_mut(&id) {
                seen.gone = true;
            }
        }
    }

    /// What is told of a return that the shop says was deleted.
    pub fn deleted(&self, id: i64, at: Timestamp) -> Raw {
        self.missed(id, at).unwrap_or_else(|| tombstone(id, json!({}), at))
    }

    /// Returns that were in none of the lists of this reading and should have been: not completed when last seen, or made
    /// since `from`.
    pub fn vanished(&self, from: Timestamp, most: usize) -> Vec<i64> {
        let inner = self.inner();
        let made = |seen: &Seen| seen.stub["createdAt"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let missing = inner.seen.iter().filter(|(_, seen)| {
            !seen.gone && seen.pass < inner.pass && (seen.pending || made(seen).is_some_and(|at| at >= from))
        });
        missing.map(|(id, _)| *id).take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn document(status: &str) -> Value {
        json!({
            "id": 40_001, "returnStatus": status, "createdAt": "2026-02-03T10:00:00+01:00", "totalQuantity": 1, "returnedToStock": true,
            "externalId": null, "grandGross": { "value": 10.5, "currency": { "code": "EUR" } }, "refundPaymentHistory": [],
            "shipment": { "number": "1042-1", "order": { "number": 1042, "market": { "id": 3, "name": "Germany" } } },
        })
    }

    #[test]
    fn a_state_is_dated_by_when_it_was_first_seen() {
        let memory = Memory::default();
        let first = memory.note(&document("PENDING"), at(10)).unwrap();
        assert!(first.is_news && first.since == at(10) && first.order.as_ref().unwrap().as_str() == "1042");
        let again = memory.note(&document("PENDING"), at(20)).unwrap();
        assert!(again.is_news && again.since == at(10), "a fault may have cut the page off");
        memory.handed([40_001]);
        assert!(!memory.note(&document("PENDING"), at(25)).unwrap().is_news);
        assert_eq!(memory.note(&document("COMPLETED"), at(30)).unwrap().since, at(30));
        let mut refunded = document("COMPLETED");
        refunded["refundPaymentHistory"] = json!([{ "id": 1, "status": "SUCCESS", "entryType": "REFUND" }]);
        assert!(memory.note(&refunded, at(40)).unwrap().is_news);
        assert!(memory.note(&json!({ "id": {} }), at(50)).is_none());
    }

    #[test]
    fn a_deleted_return_leaves_what_was_last_seen_of_it() {
        let memory = Memory::default();
        assert!(memory.missed(40_001, at(1)).is_none(), "never seen");
        memory.note(&document("PENDING"), at(10));
        let raw = memory.missed(40_001, at(20)).unwrap();
        let told: Value = serde_json::from_slice(&raw.body).unwrap();
        assert_eq!(
            (&told["deleted"], &told["order"]["number"], &told["order"]["market"]["id"]),
            (&json!(true), &json!("1042"), &json!(3))
        );
        assert_eq!(raw.version, Some(at(20)));
        let unknown: Value = serde_json::from_slice(&memory.deleted(7, at(20)).body).unwrap();
        assert_eq!(unknown, json!({ "id": 7, "deleted": true }));
    }

    #[test]
    fn what_is_in_no_list_any_more_is_asked_for() {
        let memory = Memory::default();
        memory.begin();
        memory.note(&document("PENDING"), at(10));
        assert!(memory.vanished(at(0), 10).is_empty());
        memory.begin();
        assert_eq!(memory.vanished(at(4_000_000_000), 10), [40_001], "it was not completed");
        memory.buried([40_001]);
        assert!(memory.vanished(at(0), 10).is_empty(), "told once");
    }
}
