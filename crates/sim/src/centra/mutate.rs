//! Mutations: what they refuse, what they change.

use serde_json::{Value, json};

use crate::data::{Address, LineKind};

use super::stock;

use super::answer::{Reader, object, push_text, rows};
use super::filter::list;
use super::plan::{Pick, Variables};
use super::state::{Change, Entry, State, Status, ranges};

/// `EventChangeType`.
const CHANGE_TYPES: &[&str] = &["CREATED", "UPDATED", "DELETED", "COMPLETED", "DEPENDENT_DATA_CHANGED"];

/// A `UserError` or `UserWarning`.
#[derive(Debug)]
pub struct Remark {
    message: String,
    path: Vec<String>,
}

impl Remark {
    /// A remark about the field at `path`, written with dots.
    pub fn new(message: impl Into<String>, path: &str) -> Remark {
        Remark { message: message.into(), path: path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect() }
    }
}

/// What a mutation did.
#[derive(Debug, Default)]
pub struct Outcome {
    errors: Vec<Remark>,
    warnings: Vec<Remark>,
    /// Ids of the stock changes that it made.
    pub stock_changes: Vec<i32>,
    orders: Vec<u32>,
    entries: Vec<(i64, String, i64, String)>,
    /// Shipments that it made or changed.
    pub shipments: Vec<i32>,
    /// Returns that it made or changed, and how that is told by webhook.
    pub returns: Vec<(i32, &'static str)>,
    /// Entries of the payment history that it made.
    pub paid: Vec<i32>,
    /// Orders that changed, to be told by webhook.
    pub changed: Vec<u32>,
}

impl Outcome {
    /// With errors, if any, and warnings.
    pub fn remarked(errors: Vec<Remark>, warnings: Vec<Remark>) -> Outcome {
        Outcome { errors, warnings, ..Outcome::default() }
    }

    /// It did something, and failed all the same.
    pub fn refuse(&mut self, remark: Remark) {
        self.errors.push(remark);
    }

    /// The first reason for which it was refused.
    pub fn refusal(&self) -> Option<String> {
        self.errors.first().map(|remark| remark.message.clone())
    }

    /// Failed, with one error.
    pub fn failed(remark: Remark) -> Outcome {
        Outcome { errors: vec![remark], ..Outcome::default() }
    }
}

/// Runs one root field of a mutation.
/// `Err` only when the journal cannot be written.
pub fn run(
    state: &mut State,
    pick: &Pick,
    variables: &Variables,
    queue: &str,
    events: bool,
    scene: &super::shipments::Scene<'_>,
) -> anyhow::Result<Outcome> {
    let now = scene.now;
    let argument = |name: &str| pick.argument(name, variables).unwrap_or(Value::Null);
    let input = argument("input");
    match pick.name.as_str() {
        "setEventListeners" | "unsetEventListeners" => {
            if !events {
                return Ok(Outcome::failed(Remark::new("The events system is not enabled for this instance.", "input")));
            }
            for one in as_list(&input) {
                let object = one.get("objectType").and_then(Value::as_str).unwrap_or("").to_owned();
                let mut changes: Vec<String> = list(&one, "changeTypes")
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|change| change.as_str().map(str::to_owned))
                    .collect();
                if changes.is_empty() {
                    changes = CHANGE_TYPES.iter().map(|change| (*change).to_owned()).collect();
                }
                let queue = queue.to_owned();
                state.record(if pick.name == "setEventListeners" {
                    Entry::Listen { queue, object, changes, at: now }
                } else {
                    Entry::Unlisten { queue, object, changes }
                })?;
            }
            Ok(Outcome::default())
        }
        "confirmEvents" => {
            let ids: Vec<i32> = list(&input, "eventsIds")
                .unwrap_or_default()
                .iter()
                .filter_map(|id| id.as_i64().and_then(|id| i32::try_from(id).ok()))
                .collect();
            let known = state.queues.get(queue).map(|queue| &queue.events);
            // Confirming twice is no error; what is new is journalled.
            let fresh: Vec<i32> = ids.into_iter().filter(|id| known.is_some_and(|events| events.contains_key(id))).collect();
            if !fresh.is_empty() {
                state.record(Entry::Confirmed { queue: queue.to_owned(), ids: ranges(fresh) })?;
            }
            Ok(Outcome::default())
        }
        "setStock" => stock::set_stock(state, &input, queue, now),
        "createShipment" | "updateShipment" | "captureShipment" | "completeShipment" => {
            super::shipments::run(state, &pick.name, &argument("id"), &input, scene)
        }
        "createReturn" | "completeReturn" | "uncompleteReturn" | "deleteReturn" | "refundReturn" => {
            super::returns::run(state, &pick.name, &argument("id"), &input, scene)
        }
        "changeStock" => stock::change_stock(state, &input, queue, now),
        "setIdConversions" => set_ids(state, &input, queue),
        "unsetIdConversions" => unset_ids(state, &input, queue),
        "confirmOrder" => change_one(state, queue, &input, "input.order", now, |_, status| match status {
            Status::Pending => Ok(Change { status: Some(Status::Confirmed), ..Change::default() }),
            _ => Err(vec![Remark::new("The order is not pending.", "input.order")]),
        }),
        "setOrdersLock" => {
            let locked = input.get("isLocked").and_then(Value::as_bool);
            let mut outcome = Outcome::default();
            let mut found = Vec::new();
            for (at, order) in list(&input, "orders").unwrap_or_default().iter().enumerate() {
                match find(state, queue, order) {
                    Ok(index) => found.push(index),
                    Err(message) => outcome.errors.push(Remark::new(message, &format!("input.orders.{at}"))),
                }
            }
            if outcome.errors.is_empty() {
                for index in found {
                    let change = Change { locked, ..Change::default() };
                    record(state, index, now, change, &mut outcome)?;
                }
            }
            Ok(outcome)
        }
        "updateDirectToConsumerOrder" => {
            let reference = json!({"order": argument("order")});
            change_one(state, queue, &reference, "order", now, |state_and_index, status| {
                let (state, index) = state_and_index;
                update(state, index, status, &input)
            })
        }
        "cancelDirectToConsumerOrder" => {
            let reference = json!({"order": {"id": argument("id")}});
            change_one(state, queue, &reference, "id", now, |(state, index), status| {
                let captured = state.order(index).0.payments.iter().any(|p| p.entry_type == "CAPTURE")
                    || state.shipments.of(index).any(|shipment| shipment.captured.is_some());
                if status == Status::Cancelled {
                    Err(vec![Remark::new("The order is already cancelled.", "id")])
                } else if captured {
                    Err(vec![Remark::new("A captured order cannot be cancelled.", "id")])
                } else {
                    let goods = stock::policy_action(state, input.get("stockAction").unwrap_or(&Value::Null), queue)
                        .map_err(|message| vec![Remark::new(message, "input.stockAction")])?;
                    Ok(Change { status: Some(Status::Cancelled), goods: Some(goods), ..Change::default() })
                }
            })
        }
        other => Ok(Outcome::failed(Remark::new(format!("{other} is not simulated"), ""))),
    }
}

fn as_list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// Finds an order by an `OrderInput`: exactly one of its keys.
pub fn find(state: &State, queue: &str, reference: &Value) -> Result<u32, String> {
    let empty = serde_json::Map::new();
    let mut keys = reference.as_object().unwrap_or(&empty).iter().filter(|(_, value)| !value.is_null());
    let (Some((key, value)), None) = (keys.next(), keys.next()) else {
        return Err("Exactly one field of the order reference must be given.".to_owned());
    };
    let number = match key.as_str() {
        "id" => value.as_str().and_then(super::answer::number_of_id).map(i64::from),
        "number" => value.as_i64(),
        _ => value.as_str().and_then(|external| state.queues.get(queue)?.internal("Order", external)),
    };
    number.and_then(|number| state.find(number)).ok_or_else(|| "Could not find the order.".to_owned())
}

fn record(state: &mut State, index: u32, now: i64, change: Change, outcome: &mut Outcome) -> anyhow::Result<()> {
    state.record(Entry::Changed { order: index, at: now, change: Box::new(change), planned: None })?;
    outcome.orders.push(index);
    outcome.changed.push(index);
    Ok(())
}

fn change_one(
    state: &mut State,
    queue: &str,
    reference: &Value,
    path: &str,
    now: i64,
    make: impl FnOnce((&State, u32), Status) -> Result<Change, Vec<Remark>>,
) -> anyhow::Result<Outcome> {
    let order = reference.get("order").unwrap_or(&Value::Null);
    let index = match find(state, queue, order) {
        Ok(index) => index,
        Err(message) => return Ok(Outcome::failed(Remark::new(message, path))),
    };
    let status = state.life(index).status;
    match make((state, index), status) {
        Ok(change) => {
            let mut outcome = Outcome::default();
            record(state, index, now, change, &mut outcome)?;
            Ok(outcome)
        }
        Err(errors) => Ok(Outcome { errors, ..Outcome::default() }),
    }
}

fn text(input: &Value, key: &str) -> Option<String> {
    input.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn address(input: &Value, key: &str) -> Option<Address> {
    let given = input.get(key).filter(|given| given.is_object())?;
    Some(Address {
        first_name: text(given, "firstName"),
        last_name: text(given, "lastName"),
        company: text(given, "companyName"),
        attention: text(given, "attention"),
        address1: text(given, "address1"),
        address2: text(given, "address2"),
        city: text(given, "city"),
        zip: text(given, "zipCode"),
        state: text(given, "stateOrProvince"),
        country: None,
        email: text(given, "email"),
        phone: text(given, "phoneNumber"),
        cell_phone: text(given, "cellPhoneNumber"),
    })
}

fn update(state: &State, index: u32, status: Status, input: &Value) -> Result<Change, Vec<Remark>> {
    let mut errors = Vec::new();
    if status == Status::Cancelled {
        return Err(vec![Remark::new("A cancelled order cannot be changed.", "order")]);
    }
    for key in ["addLines", "shippingCost", "customer", "customerInfo", "externalId"] {
        if input.get(key).is_some_and(|value| !value.is_null()) {
            errors.push(Remark::new(format!("{key} is not simulated"), &format!("input.{key}")));
        }
    }
    let order = state.order(index).0;
    let mut cancel: Vec<(i32, i32)> = Vec::new();
    let mut discard: Vec<(i32, i32)> = Vec::new();
    for (at, wish) in list(input, "cancelLines").unwrap_or_default().iter().enumerate() {
        let id = wish.pointer("/line/id").and_then(Value::as_i64);
        let units = wish.get("quantity").and_then(Value::as_i64).and_then(|units| i32::try_from(units).ok()).unwrap_or(0);
        let line = order.lines.iter().find(|line| Some(i64::from(line.id)) == id);
        match line {
            None => errors.push(Remark::new("Could not find the line.", &format!("input.cancelLines.{at}.line"))),
            Some(line) if matches!(line.kind, LineKind::BundleItem(_)) => errors
                .push(Remark::new("An item of a bundle is cancelled with its bundle.", &format!("input.cancelLines.{at}.line"))),
            Some(line) => {
                let before: i32 = cancel.iter().chain(&discard).filter(|(id, _)| *id == line.id).map(|(_, units)| units).sum();
                let in_shipments: i32 = state
                    .shipments
                    .of(index)
                    .flat_map(|s| &s.lines)
                    .filter(|(id, _)| *id == line.id)
                    .map(|(_, units)| units)
                    .sum();
                let shipped = state.ledger.share(line.id).map_or(0, |share| share.shipped).max(in_shipments);
                if units < 1 || units > line.ordered - line.cancelled - before - shipped {
                    errors.push(Remark::new(
                        "Quantity must be at least 1 and at most what is not shipped.",
                        &format!("input.cancelLines.{at}.quantity"),
                    ));
                } else if wish.get("stockAction").and_then(Value::as_str) == Some("REMOVE_FROM_STOCK") {
                    discard.push((line.id, units));
                } else {
                    cancel.push((line.id, units));
                }
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Change {
        on_hold: input.get("isOnHold").and_then(Value::as_bool),
        internal: input.get("isInternal").and_then(Value::as_bool),
        shipping: address(input, "shippingAddress"),
        billing: address(input, "billingAddress"),
        comment: text(input, "otherComment"),
        internal_comment: text(input, "internalComment"),
        cancel,
        discard,
        ..Change::default()
    })
}

fn set_ids(state: &mut State, input: &Value, queue: &str) -> anyhow::Result<Outcome> {
    let wishes = as_list(input);
    for (at, wish) in wishes.iter().enumerate() {
        if text(wish, "externalId").is_none_or(|id| id.is_empty() || id.chars().count() > 255) {
            return Ok(Outcome::failed(Remark::new(
                "An external id has 1 to 255 characters.",
                &format!("input.{at}.externalId"),
            )));
        }
    }
    let mut outcome = Outcome::default();
    for wish in &wishes {
        let kind = text(wish, "objectType").unwrap_or_default();
        let external = text(wish, "externalId").unwrap_or_default();
        let internal = wish.get("internalId").and_then(Value::as_i64).unwrap_or(0);
        state.record(Entry::Mapped { queue: queue.to_owned(), kind: kind.clone(), internal, external: external.clone() })?;
        let entry = state.queues.get(queue).and_then(|queue| queue.by_internal.get(&(kind.clone(), internal)));
        if let Some((id, _)) = entry {
            outcome.entries.push((*id, kind, internal, external));
        }
    }
    Ok(outcome)
}

fn unset_ids(state: &mut State, input: &Value, queue: &str) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    for (at, wish) in as_list(input).iter().enumerate() {
        let kind = text(wish, "objectType").unwrap_or_default();
        let by = wish.get("idConversion").unwrap_or(&Value::Null);
        let mine = state.queues.get(queue);
        let internal = by.get("internalId").and_then(Value::as_i64).or_else(|| {
            let mine = mine?;
            if let Some(external) = text(by, "externalId") {
                return mine.internal(&kind, &external);
            }
            let id = by.get("id").and_then(Value::as_i64)?;
            mine.by_internal
                .iter()
                .find(|((known, _), (entry, _))| *known == kind && *entry == id)
                .map(|((_, internal), _)| *internal)
        });
        match internal.filter(|internal| mine.is_some_and(|m| m.external(&kind, *internal).is_some())) {
            Some(internal) => state.record(Entry::Unmapped { queue: queue.to_owned(), kind, internal })?,
            None => outcome.errors.push(Remark::new("Could not find the entry.", &format!("input.{at}.idConversion"))),
        }
    }
    Ok(outcome)
}

/// Writes the payload of a mutation.
pub fn payload(out: &mut String, reader: &Reader, pick: &Pick, type_name: &str, outcome: &Outcome) {
    let remarks = |out: &mut String, pick: &Pick, type_name: &str, remarks: &[Remark]| {
        rows(out, remarks, |out, remark| {
            object(out, type_name, pick.shape(type_name), |out, pick| match pick.name.as_str() {
                "message" => push_text(out, &remark.message),
                _ => rows(out, &remark.path, |out, part| push_text(out, part)),
            });
        });
    };
    object(out, type_name, pick.shape(type_name), |out, pick| match pick.name.as_str() {
        "userErrors" => remarks(out, pick, "UserError", &outcome.errors),
        "userWarnings" => remarks(out, pick, "UserWarning", &outcome.warnings),
        "order" => match outcome.orders.first() {
            Some(index) => reader.order(out, pick, *index),
            None => out.push_str("null"),
        },
        "orders" => rows(out, &outcome.orders, |out, index| reader.order(out, pick, *index)),
        "shipment" => match outcome.shipments.first().and_then(|id| reader.state.shipments.get(*id)) {
            Some(shipment) => reader.shipment(out, pick, shipment),
            None => out.push_str("null"),
        },
        "return" => match outcome.returns.first() {
            Some((id, _)) => reader.return_by_id(out, pick, *id),
            None => out.push_str("null"),
        },
        "paymentHistoryEntries" => rows(out, &outcome.paid, |out, id| reader.paid_by_id(out, pick, *id)),
        "paymentHistoryEntry" => match outcome.paid.first() {
            Some(id) => reader.paid_by_id(out, pick, *id),
            None => out.push_str("null"),
        },
        "eventListeners" => reader.listeners(out, pick, None),
        "entries" => rows(out, &outcome.entries, |out, (id, kind, internal, external)| {
            reader.id_conversion(out, pick, *id, kind, *internal, external);
        }),
        "stockChanges" => rows(out, &outcome.stock_changes, |out, id| reader.stock_change(out, pick, *id)),
        "stockChange" => match outcome.stock_changes.first() {
            Some(id) => reader.stock_change(out, pick, *id),
            None => out.push_str("null"),
        },
        _ => out.push_str("null"),
    });
}
