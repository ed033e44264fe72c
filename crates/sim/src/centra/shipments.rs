//! Shipments: what leaves for an order, in which state, and what of the money was taken with it.
//!
//! The order of things is Centra's: *good to go*, then *paid* (captured, or marked so), then *shipped*. Nothing here is
//! idempotent: a second call with the same lines makes a second shipment as long as units are left. A capture that fails
//! while a shipment is made is only a warning; by itself it is an error.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::data::LineKind;
use crate::mischief::Mischief;
use crate::shelf::ShelfShipment;

use super::answer::{Reader, Refused, flag, maybe_text, number, object, order_id, push_text, rows};
use super::filter::{list, window};
use super::mutate::{Outcome, Remark};
use super::plan::Pick;
use super::state::{Entry, State, Status, moment};

/// What is known about how it travels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_tracking: Option<String>,
}

impl Info {
    fn read(input: &Value) -> Info {
        let given = input.get("shipmentInfo").unwrap_or(&Value::Null);
        let text = |key: &str| given.get(key).and_then(Value::as_str).map(str::to_owned);
        Info {
            carrier: text("carrier"),
            service: text("service"),
            packages: given.get("packagesNumber").and_then(Value::as_i64),
            tracking: text("trackingNumber"),
            return_tracking: text("returnTrackingNumber"),
        }
    }

    fn overlay(&mut self, new: Info) {
        self.carrier = new.carrier.or_else(|| self.carrier.take());
        self.service = new.service.or_else(|| self.service.take());
        self.packages = new.packages.or(self.packages);
        self.tracking = new.tracking.or_else(|| self.tracking.take());
        self.return_tracking = new.return_tracking.or_else(|| self.return_tracking.take());
    }
}

/// A shipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipment {
    /// Centra's id.
    pub id: i32,
    /// The order's index.
    pub order: u32,
    /// Which of the order's, from 1.
    pub nth: u32,
    /// (line id, units).
    pub lines: Vec<(i32, i32)>,
    pub info: Info,
    pub message: Option<String>,
    pub good_to_go: bool,
    /// Since when it is marked paid, which takes no money.
    pub marked_paid: Option<i64>,
    /// When and how much (mills) was captured with it.
    pub captured: Option<(i64, i64)>,
    pub shipped_at: Option<i64>,
    pub created: i64,
    pub updated: i64,
    /// How often its capture was refused.
    pub refusals: u32,
    /// Mails that were sent about it.
    pub mails: u32,
}

impl Shipment {
    /// Since when it counts as paid: captured, or marked so.
    fn paid_at(&self) -> Option<i64> {
        self.captured.map(|(at, _)| at).or(self.marked_paid)
    }
}

/// A change of a shipment, or its making; what is `None` stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deed {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<(i32, i32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<Info>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_to_go: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captured: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipped_at: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mail: bool,
}

/// All shipments of the instance.
#[derive(Debug, Default)]
pub struct Shipments {
    all: BTreeMap<i32, Shipment>,
    of_order: BTreeMap<u32, Vec<i32>>,
    /// The largest id that was ever given out.
    last: i32,
}

impl Shipments {
    /// One of them.
    pub fn get(&self, id: i32) -> Option<&Shipment> {
        self.all.get(&id)
    }

    /// All of an order, oldest first.
    pub fn of(&self, order: u32) -> impl Iterator<Item = &Shipment> {
        self.of_order.get(&order).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// The id of the next one.
    pub fn next_id(&self) -> i32 {
        self.last.max(80_000) + 1
    }

    /// Takes one out.
    pub fn remove(&mut self, id: i32) -> Option<Shipment> {
        let gone = self.all.remove(&id)?;
        if let Some(known) = self.of_order.get_mut(&gone.order) {
            known.retain(|one| *one != id);
        }
        Some(gone)
    }

    /// Makes or changes one. Returns the units that left with this change.
    pub fn apply(&mut self, id: i32, order: u32, at: i64, deed: Deed) -> Vec<(i32, i32)> {
        self.last = self.last.max(id);
        let known = self.of_order.entry(order).or_default();
        let last = known.last().and_then(|id| self.all.get(id)).map_or(0, |shipment| shipment.nth);
        if !known.contains(&id) {
            known.push(id);
        }
        // A number is not given out again while a later one stands.
        let nth = last.saturating_add(1);
        let shipment = self.all.entry(id).or_insert_with(|| Shipment {
            id,
            order,
            nth,
            lines: deed.lines.clone(),
            info: Info::default(),
            message: None,
            good_to_go: false,
            marked_paid: None,
            captured: None,
            shipped_at: None,
            created: at,
            updated: at,
            refusals: 0,
            mails: 0,
        });
        shipment.updated = at.max(shipment.updated);
        if let Some(info) = deed.info {
            shipment.info.overlay(info);
        }
        shipment.message = deed.message.or_else(|| shipment.message.take());
        shipment.good_to_go = deed.good_to_go.unwrap_or(shipment.good_to_go);
        if let Some(paid) = deed.paid {
            shipment.marked_paid = paid.then_some(at);
        }
        if let Some(amount) = deed.captured {
            shipment.captured = Some((at, amount));
        }
        shipment.refusals += u32::from(deed.refused);
        shipment.mails += u32::from(deed.mail);
        if deed.shipped_at.is_some() && shipment.shipped_at.is_none() {
            shipment.shipped_at = deed.shipped_at;
            return shipment.lines.clone();
        }
        Vec::new()
    }
}

impl State {
    /// Units of a line that are in no shipment and were not cancelled.
    pub fn unshipped(&self, order: u32, line: &crate::data::Line) -> i32 {
        let sent: i32 =
            self.shipments.of(order).flat_map(|s| &s.lines).filter(|(id, _)| *id == line.id).map(|(_, units)| units).sum();
        line.ordered - line.cancelled - sent
    }

    /// How an order with shipments stands: processing until everything has left.
    pub fn status_by_shipments(&self, order: u32) -> Option<Status> {
        self.shipments.of(order).next()?;
        let made = self.order(order).0;
        let rest = made
            .lines
            .iter()
            .any(|line| matches!(line.kind, LineKind::Product | LineKind::BundleItem(_)) && self.unshipped(order, line) > 0);
        let open = self.shipments.of(order).any(|shipment| shipment.shipped_at.is_none());
        Some(if rest || open { Status::Processing } else { Status::Shipped })
    }

    /// What one capture takes: the value of the lines, the charges with the first, and all that is left with the last.
    pub fn capture_amount(&self, order: u32, lines: &[(i32, i32)]) -> i64 {
        let (made, _) = self.order(order);
        let taken: i64 = self.shipments.of(order).filter_map(|s| s.captured).map(|(_, amount)| amount).sum();
        let total = made.totals().grand;
        let left = |line: &crate::data::Line| {
            let here: i32 = lines.iter().filter(|(id, _)| *id == line.id).map(|(_, units)| units).sum();
            let gone: i32 = self
                .shipments
                .of(order)
                .filter(|s| s.captured.is_some())
                .flat_map(|s| &s.lines)
                .filter(|(id, _)| *id == line.id)
                .map(|(_, units)| units)
                .sum();
            (here, line.ordered - line.cancelled - gone - here)
        };
        let pickable = made.lines.iter().filter(|line| matches!(line.kind, LineKind::Product | LineKind::BundleItem(_)));
        if pickable.clone().all(|line| left(line).1 <= 0) {
            return total - taken;
        }
        let units: i64 = pickable.clone().map(|line| i64::from(line.ordered - line.cancelled)).sum();
        let here: i64 = pickable.map(|line| i64::from(left(line).0)).sum();
        // Each unit an equal share, to the currency's step: how Centra divides is not documented.
        made.currency.round(i128::from(total) * i128::from(here), i128::from(units.max(1))).min(total - taken)
    }

    /// How all shipments stand, for an export.
    pub fn shelf_shipments(&self) -> Vec<ShelfShipment> {
        let sku = |order: u32, id: i32| {
            let item = self.base(order).lines.into_iter().find(|line| line.id == id)?.item?;
            Some(self.item(item)?.sku.clone())
        };
        let shown = |shipment: &Shipment| ShelfShipment {
            doc: self.number(shipment.order).to_string(),
            id: format!("{}-{}", self.number(shipment.order), shipment.nth),
            cancelled: false,
            lines: shipment
                .lines
                .iter()
                .map(|(id, units)| (sku(shipment.order, *id).unwrap_or_default(), i64::from(*units)))
                .collect(),
            carrier: shipment.info.carrier.clone().unwrap_or_default(),
            tracking: shipment.info.tracking.iter().cloned().collect(),
            shipped_at: moment(shipment.shipped_at.unwrap_or(shipment.created)),
        };
        self.shipments.all.values().filter(|shipment| shipment.shipped_at.is_some()).map(shown).collect()
    }
}

/// What a mutation of shipments needs besides the state.
pub struct Scene<'a> {
    pub queue: &'a str,
    pub now: i64,
    pub mischief: &'a Mischief,
    /// How many captures in a thousand fail once.
    pub capture_refusals: u32,
    /// How many refunds in a thousand fail once.
    pub refund_refusals: u32,
}

impl Scene<'_> {
    /// Whether the provider refuses this capture now; the second time it takes it.
    fn refuses(&self, id: i32, refusals: u32) -> bool {
        refusals == 0
            && self.capture_refusals > 0
            && self.mischief.pick("capture", u64::from(id.unsigned_abs()), 1_000) < u64::from(self.capture_refusals)
    }
}

impl Scene<'_> {
    /// Whether the provider refuses to refund this return at first.
    pub fn refuses_refund(&self, id: i32) -> bool {
        self.refund_refusals > 0
            && self.mischief.pick("refund", u64::from(id.unsigned_abs()), 1_000) < u64::from(self.refund_refusals)
    }
}

const REFUSED: &str = "The payment provider refused the capture: insufficient funds.";

/// Runs one of the mutations of shipments. `Err` only when the journal cannot be written.
pub fn run(state: &mut State, name: &str, id: &Value, input: &Value, scene: &Scene<'_>) -> anyhow::Result<Outcome> {
    if name == "createShipment" {
        return create(state, input, scene);
    }
    let found = id.as_i64().and_then(|id| i32::try_from(id).ok()).and_then(|id| state.shipments.get(id).cloned());
    let Some(shipment) = found else {
        return Ok(Outcome::failed(Remark::new("Could not find the shipment.", "id")));
    };
    match name {
        "updateShipment" => update(state, &shipment, input, scene),
        "captureShipment" => capture(state, &shipment, scene),
        "completeShipment" => complete(state, &shipment, input, scene),
        other => Ok(Outcome::failed(Remark::new(format!("{other} is not simulated"), ""))),
    }
}

fn create(state: &mut State, input: &Value, scene: &Scene<'_>) -> anyhow::Result<Outcome> {
    let order = match super::mutate::find(state, scene.queue, input.get("order").unwrap_or(&Value::Null)) {
        Ok(order) => order,
        Err(message) => return Ok(Outcome::failed(Remark::new(message, "input.order"))),
    };
    let (made, life) = state.order(order);
    let mut errors = Vec::new();
    match life.status {
        Status::Pending => errors.push(Remark::new("The order must be confirmed before it can be shipped.", "input.order")),
        Status::Cancelled => errors.push(Remark::new("A cancelled order cannot be shipped.", "input.order")),
        Status::Shipped => errors.push(Remark::new("Everything of the order was shipped.", "input.order")),
        Status::Confirmed | Status::Processing => {}
    }
    if life.on_hold {
        errors.push(Remark::new("The order is on hold.", "input.order"));
    }
    if input.get("deliveryGroup").is_some_and(|group| !group.is_null()) {
        errors.push(Remark::new("delivery groups are not simulated", "input.deliveryGroup"));
    }
    let mut lines: Vec<(i32, i32)> = Vec::new();
    let demand = input.get("allocateDemand").and_then(Value::as_bool).unwrap_or(false);
    for (at, wish) in list(input, "lines").unwrap_or_default().iter().enumerate() {
        let path = |field: &str| format!("input.lines.{at}.{field}");
        let id = wish.pointer("/orderLine/id").and_then(Value::as_i64);
        let units = wish.get("quantity").and_then(Value::as_i64).and_then(|units| i32::try_from(units).ok()).unwrap_or(0);
        let Some(line) = made.lines.iter().find(|line| Some(i64::from(line.id)) == id) else {
            errors.push(Remark::new("Could not find the line in this order.", &path("orderLine")));
            continue;
        };
        if !matches!(line.kind, LineKind::Product | LineKind::BundleItem(_)) {
            errors.push(Remark::new("A bundle is shipped by its items.", &path("orderLine")));
            continue;
        }
        let here: i32 = lines.iter().filter(|(known, _)| *known == line.id).map(|(_, units)| units).sum();
        if units < 1 || units + here > state.unshipped(order, line) {
            errors.push(Remark::new("Quantity must be at least 1 and at most what is not shipped.", &path("quantity")));
            continue;
        }
        let share = state.ledger.share(line.id).map_or(0, |share| share.allocated);
        let reserved: i32 = state
            .shipments
            .of(order)
            .filter(|s| s.shipped_at.is_none())
            .flat_map(|s| &s.lines)
            .filter(|(known, _)| *known == line.id)
            .map(|(_, units)| units)
            .sum();
        if !demand && units + here + reserved > share {
            errors.push(Remark::new("Not enough units are allocated.", &path("quantity")));
            continue;
        }
        lines.push((line.id, units));
    }
    if lines.is_empty() && errors.is_empty() {
        errors.push(Remark::new("A shipment needs lines.", "input.lines"));
    }
    if !errors.is_empty() {
        return Ok(Outcome::remarked(errors, Vec::new()));
    }
    let id = state.shipments.next_id();
    let wants_capture = input.get("capture").and_then(Value::as_bool).unwrap_or(false);
    let refused = wants_capture && scene.refuses(id, 0);
    let captured_before = made.payments.iter().any(|payment| payment.entry_type == "CAPTURE");
    let captured = (wants_capture && !refused).then(|| if captured_before { 0 } else { state.capture_amount(order, &lines) });
    let paid = if wants_capture { None } else { input.get("isPaid").and_then(Value::as_bool) };
    let deed = Deed {
        lines,
        info: Some(Info::read(input)),
        message: input.get("additionalMessage").and_then(Value::as_str).map(str::to_owned),
        good_to_go: Some(input.get("isGoodToGo").and_then(Value::as_bool).unwrap_or(false)),
        paid,
        captured,
        refused,
        shipped_at: None,
        mail: input.get("sendEmail").and_then(Value::as_bool).unwrap_or(false),
    };
    state.record(Entry::Shipment { id, order, at: scene.now, deed: Box::new(deed) })?;
    if let Some(external) = input.get("externalId").and_then(Value::as_str) {
        state.record(Entry::Mapped {
            queue: scene.queue.to_owned(),
            kind: "Shipment".to_owned(),
            internal: i64::from(id),
            external: external.to_owned(),
        })?;
    }
    let warnings = if refused { vec![Remark::new(REFUSED, "input.capture")] } else { Vec::new() };
    Ok(done(id, order, warnings))
}

/// Lets everything of an order leave that has not and may. `Err` only when the journal cannot be written.
pub fn send_rest(state: &mut State, order: u32, scene: &Scene<'_>) -> anyhow::Result<()> {
    let made = state.order(order).0;
    let pickable = made.lines.iter().filter(|line| matches!(line.kind, LineKind::Product | LineKind::BundleItem(_)));
    let lines: Vec<Value> = pickable
        .map(|line| (line.id, state.unshipped(order, line)))
        .filter(|(_, units)| *units > 0)
        .map(|(id, units)| json!({"orderLine": {"id": id}, "quantity": units}))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let input = json!({
        "order": {"number": made.number}, "lines": lines, "isGoodToGo": true, "capture": true, "allocateDemand": true,
    });
    let outcome = create(state, &input, scene)?;
    match outcome.shipments.first().and_then(|id| state.shipments.get(*id).cloned()) {
        Some(shipment) => complete(state, &shipment, &Value::Null, scene).map(drop),
        None => Ok(()),
    }
}

fn done(id: i32, order: u32, warnings: Vec<Remark>) -> Outcome {
    let mut outcome = Outcome::remarked(Vec::new(), warnings);
    outcome.shipments.push(id);
    outcome.changed.push(order);
    outcome
}

fn update(state: &mut State, shipment: &Shipment, input: &Value, scene: &Scene<'_>) -> anyhow::Result<Outcome> {
    let given = |key: &str| input.get(key).is_some_and(|value| !value.is_null());
    if shipment.shipped_at.is_some() && (given("shipmentInfo") || given("isGoodToGo")) {
        return Ok(Outcome::failed(Remark::new("The shipment was sent: this cannot be changed any more.", "input.shipmentInfo")));
    }
    let deed = Deed {
        info: Some(Info::read(input)),
        message: input.get("additionalMessage").and_then(Value::as_str).map(str::to_owned),
        good_to_go: input.get("isGoodToGo").and_then(Value::as_bool),
        paid: input.get("isPaid").and_then(Value::as_bool),
        ..Deed::default()
    };
    state.record(Entry::Shipment { id: shipment.id, order: shipment.order, at: scene.now, deed: Box::new(deed) })?;
    if let Some(external) = input.get("externalId").and_then(Value::as_str) {
        state.record(Entry::Mapped {
            queue: scene.queue.to_owned(),
            kind: "Shipment".to_owned(),
            internal: i64::from(shipment.id),
            external: external.to_owned(),
        })?;
    }
    Ok(done(shipment.id, shipment.order, Vec::new()))
}

fn capture(state: &mut State, shipment: &Shipment, scene: &Scene<'_>) -> anyhow::Result<Outcome> {
    if shipment.captured.is_some() {
        return Ok(Outcome::failed(Remark::new("The shipment was captured already.", "id")));
    }
    let refused = scene.refuses(shipment.id, shipment.refusals);
    // Once the whole order was captured, its shipments count as captured and the provider is not asked again.
    let before = state.order(shipment.order).0.payments.iter().any(|payment| payment.entry_type == "CAPTURE");
    let amount = if before { 0 } else { state.capture_amount(shipment.order, &shipment.lines) };
    let deed = Deed { captured: (!refused).then_some(amount), refused, ..Deed::default() };
    state.record(Entry::Shipment { id: shipment.id, order: shipment.order, at: scene.now, deed: Box::new(deed) })?;
    if refused {
        return Ok(Outcome::failed(Remark::new(REFUSED, "id")));
    }
    Ok(done(shipment.id, shipment.order, Vec::new()))
}

fn complete(state: &mut State, shipment: &Shipment, input: &Value, scene: &Scene<'_>) -> anyhow::Result<Outcome> {
    let mut errors = Vec::new();
    if shipment.shipped_at.is_some() {
        errors.push(Remark::new("The shipment was completed already.", "id"));
    }
    if !shipment.good_to_go {
        errors.push(Remark::new("The shipment is not good to go.", "id"));
    }
    if shipment.paid_at().is_none() {
        errors.push(Remark::new("The shipment is not paid.", "id"));
    }
    let at = match input.get("shippedAt").and_then(Value::as_str) {
        None => Some(scene.now),
        Some(text) => super::dates::parse(text, &jiff::tz::TimeZone::UTC).map(|at| at.as_millisecond()),
    };
    // Clocks differ by seconds; a day ahead is a mistake.
    if at.is_none_or(|at| at > scene.now + 60_000) {
        errors.push(Remark::new("shippedAt must be a date and not in the future.", "input.shippedAt"));
    }
    if !errors.is_empty() {
        return Ok(Outcome::remarked(errors, Vec::new()));
    }
    let deed = Deed {
        info: Some(Info::read(input)),
        message: input.get("additionalMessage").and_then(Value::as_str).map(str::to_owned),
        shipped_at: at,
        mail: input.get("sendEmail").and_then(Value::as_bool).unwrap_or(false),
        ..Deed::default()
    };
    state.record(Entry::Shipment { id: shipment.id, order: shipment.order, at: scene.now, deed: Box::new(deed) })?;
    Ok(done(shipment.id, shipment.order, Vec::new()))
}

impl Reader<'_> {
    /// Writes the shipments that a filter asks for.
    pub fn shipments(&self, out: &mut String, pick: &Pick) -> Result<(), Refused> {
        let (skip, limit) = self.page(pick)?;
        let filter = self.argument(pick, "where").unwrap_or(Value::Null);
        let known =
            ["id", "number", "orderId", "externalId", "updatedAt", "createdAt", "isShipped", "isCaptured", "trackingNumber"];
        if let Some(key) =
            filter.as_object().and_then(|map| map.iter().find(|(k, v)| !v.is_null() && !known.contains(&k.as_str())))
        {
            return Err(format!("filtering shipments by {} is not simulated", key.0));
        }
        let wanted = |key: &str| list(&filter, key);
        let ids = wanted("id");
        let orders = wanted("orderId");
        let (numbers, externals, tracking) = (wanted("number"), wanted("externalId"), wanted("trackingNumber"));
        let range = |key: &str| filter.get(key).filter(|v| !v.is_null()).map(|range| window(range, self.zone)).transpose();
        let (updated, created) = (range("updatedAt")?, range("createdAt")?);
        let inside = |window: Option<super::filter::Window>, at: i64| {
            window.is_none_or(|(from, to)| {
                let second = at.div_euclid(1_000);
                from.is_none_or(|from| from <= second) && to.is_none_or(|to| second <= to)
            })
        };
        let holds = |wanted: &Option<Vec<Value>>, value: Value| wanted.as_ref().is_none_or(|wanted| wanted.contains(&value));
        let flagged = |key: &str, value: bool| filter.get(key).and_then(Value::as_bool).is_none_or(|wanted| wanted == value);
        let fits = |shipment: &&Shipment| {
            let order = self.state.number(shipment.order);
            holds(&ids, json!(shipment.id))
                && holds(&orders, json!(order_id(order)))
                && holds(&numbers, json!(format!("{order}-{}", shipment.nth)))
                && holds(&externals, json!(self.external_shipment(shipment.id)))
                && holds(&tracking, json!(shipment.info.tracking))
                && inside(updated, shipment.updated)
                && inside(created, shipment.created)
                && flagged("isShipped", shipment.shipped_at.is_some())
                && flagged("isCaptured", shipment.captured.is_some())
        };
        let mut found: Vec<&Shipment> = match &orders {
            // A look-up by order must not walk through all shipments.
            Some(orders) => orders
                .iter()
                .filter_map(|id| super::answer::number_of_id(id.as_str()?))
                .filter_map(|number| self.state.find(i64::from(number)))
                .flat_map(|order| self.state.shipments.of(order))
                .filter(fits)
                .collect(),
            None => match externals.as_deref() {
                Some([Value::String(external)]) => {
                    let queue = self.state.queues.get(self.queue);
                    let id = queue.and_then(|queue| queue.internal("Shipment", external)).and_then(|id| i32::try_from(id).ok());
                    id.and_then(|id| self.state.shipments.get(id)).into_iter().filter(fits).collect()
                }
                _ => self.state.shipments.all.values().filter(fits).collect(),
            },
        };
        let sort = self.argument(pick, "sort").map(|sort| match sort {
            Value::Array(mut all) => all.pop().unwrap_or(Value::Null),
            one => one,
        });
        match sort.as_ref().and_then(Value::as_str) {
            None | Some("id_ASC") => found.sort_by_key(|s| s.id),
            Some("id_DESC") => found.sort_by_key(|s| std::cmp::Reverse(s.id)),
            Some("updatedAt_ASC") => found.sort_by_key(|s| (s.updated, s.id)),
            Some("createdAt_ASC") => found.sort_by_key(|s| (s.created, s.id)),
            Some(other) => return Err(format!("sorting shipments by {other} is not simulated")),
        }
        rows(out, found.into_iter().skip(skip).take(limit), |out, shipment| self.shipment(out, pick, shipment));
        Ok(())
    }

    fn external_shipment(&self, id: i32) -> Option<&str> {
        self.state.queues.get(self.queue)?.external("Shipment", i64::from(id))
    }

    /// Writes one shipment.
    pub fn shipment(&self, out: &mut String, pick: &Pick, shipment: &Shipment) {
        let order = self.state.base(shipment.order);
        let total = self.state.capture_amount(shipment.order, &shipment.lines);
        // As it stands now, with what was cancelled.
        let now = || self.state.order(shipment.order).0;
        object(out, "DirectToConsumerShipment", pick.shape("DirectToConsumerShipment"), |out, pick| match pick.name.as_str() {
            "id" => number(out, shipment.id),
            "number" => push_text(out, &format!("{}-{}", order.number, shipment.nth)),
            "createdAt" => self.date(out, pick, moment(shipment.created)),
            "updatedAt" => self.date(out, pick, moment(shipment.updated)),
            "isGoodToGo" => flag(out, shipment.good_to_go),
            "isShipped" => flag(out, shipment.shipped_at.is_some()),
            "isPaid" => flag(out, shipment.paid_at().is_some()),
            "isCaptured" => flag(out, shipment.captured.is_some()),
            "isPrinted" | "isOnHold" | "usedFallbackTax" => flag(out, false),
            "trackingNumber" => maybe_text(out, shipment.info.tracking.as_deref()),
            "returnTrackingNumber" => maybe_text(out, shipment.info.return_tracking.as_deref()),
            "numberOfPackages" => number(out, shipment.info.packages.unwrap_or(1)),
            "additionalMessage" => maybe_text(out, shipment.message.as_deref()),
            "currencyBaseRate" => number(out, 1),
            "grandTotal" => {
                let amount = shipment.captured.map_or(total, |(_, amount)| amount);
                self.money(out, pick, order.currency, amount, moment(shipment.created));
            }
            "capturedValue" => match shipment.captured {
                Some((at, amount)) => self.money(out, pick, order.currency, amount, moment(at)),
                None => out.push_str("null"),
            },
            "shippedAt" => self.maybe_date(out, pick, shipment.shipped_at),
            "paidAt" => self.maybe_date(out, pick, shipment.paid_at()),
            "capturedAt" => self.maybe_date(out, pick, shipment.captured.map(|(at, _)| at)),
            "carrierInformation" => {
                object(out, "CarrierInformation", pick.shape("CarrierInformation"), |out, pick| match pick.name.as_str() {
                    "carrierName" => maybe_text(out, shipment.info.carrier.as_deref()),
                    _ => maybe_text(out, shipment.info.service.as_deref()),
                });
            }
            "discountsApplied" => {
                let share = self.state.shipment_voucher(&now(), shipment);
                rows(out, order.discounts.first().filter(|_| share.quoted != 0), |out, discount| {
                    let discount = crate::data::Discount { amount: share, ..discount.clone() };
                    self.discount(out, pick, &order, &discount, moment(shipment.created));
                });
            }
            "returns" => {
                let all = self.state.returns.of_shipment(shipment.order, shipment.id);
                rows(out, all, |out, one| self.returned(out, pick, one));
            }
            "lines" => {
                let order = now();
                rows(out, 0..shipment.lines.len(), |out, place| self.shipment_line(out, pick, shipment, &order, place));
            }
            "order" => self.order(out, pick, shipment.order),
            "externalId" => maybe_text(out, self.external_shipment(shipment.id)),
            _ => out.push_str("null"),
        });
    }

    fn maybe_date(&self, out: &mut String, pick: &Pick, at: Option<i64>) {
        match at {
            Some(at) => self.date(out, pick, moment(at)),
            None => out.push_str("null"),
        }
    }

    /// Writes one line of a shipment.
    pub fn shipment_line(&self, out: &mut String, pick: &Pick, shipment: &Shipment, order: &crate::data::Order, place: usize) {
        let Some((id, units)) = shipment.lines.get(place).copied() else { return out.push_str("null") };
        let (line_id, at) = (State::shipment_line_id(shipment, place), moment(shipment.created));
        let sold = order.lines.iter().find(|line| line.id == id);
        let worth = || self.state.shipment_line_worth(order, shipment, place);
        object(out, "ShipmentLine", pick.shape("ShipmentLine"), |out, pick| match pick.name.as_str() {
            "id" => number(out, line_id),
            "quantity" => number(out, units),
            "returnedQuantity" => number(out, self.state.returns.units_of(shipment.order, line_id)),
            "invoicedQuantity" => number(out, 0),
            "lineValue" | "unitPrice" => {
                let whole = order.with_tax(worth(), pick.including_tax(self.variables));
                let of = if pick.name == "unitPrice" { units.max(1) } else { 1 };
                self.money(out, pick, order.currency, order.currency.round(whole.into(), of.into()), at);
            }
            "orderLine" => match sold {
                Some(line) => self.line(out, pick, order, line, at),
                None => out.push_str("null"),
            },
            "appliedTaxRules" => self.tax_rules(out, pick, order, sold.map(|line| line.rate), worth().tax, at),
            "allocations" => out.push_str("[]"),
            _ => out.push_str("null"),
        });
    }
}
