//! The mutations of returns, and how money goes back.

use serde_json::Value;

use crate::data::{Order, Taxed};
use crate::mischief::{hash_text, mix};

use super::super::filter::list;
use super::super::mutate::{Outcome, Remark};
use super::super::shipments::{Scene, Shipment};
use super::super::state::{Entry, State};
use super::super::stock::{Goods, policy_action};
use super::{Amount, Back, Made, Paid, Returned};

/// How an amount of a return is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// It is not: nothing.
    #[default]
    Nothing,
    /// So many mills, as quoted.
    Value(i64),
    /// What the shipment has.
    FromShipment,
}

/// A return that somebody wants to make.
#[derive(Clone, Debug)]
pub struct Wish {
    pub order: u32,
    pub shipment: i32,
    /// (place in the shipment, units).
    pub lines: Vec<(usize, i32)>,
    pub goods: Goods,
    pub shipping: Cost,
    pub handling: Cost,
    pub voucher: Cost,
    /// Mills, as quoted.
    pub cost: i64,
    pub comment: Option<String>,
    pub created: i64,
    pub by: &'static str,
}

/// Runs one of the mutations of returns. `Err` only when the journal cannot be written.
pub fn run(state: &mut State, name: &str, id: &Value, input: &Value, scene: &Scene<'_>) -> anyhow::Result<Outcome> {
    if name == "createReturn" {
        return create(state, input, scene);
    }
    let found = id.as_i64().and_then(|id| i32::try_from(id).ok()).and_then(|id| state.returns.get(id).cloned());
    let Some(one) = found else {
        return Ok(Outcome::failed(Remark::new("Could not find the return.", "id")));
    };
    let order = one.made.order;
    let paid_back = state.returns.paid_for(&one).any(|paid| paid.status != "FAILED");
    let (completed, deleted, action) = match name {
        "completeReturn" if one.completed => return Ok(Outcome::failed(Remark::new("The return is already completed.", "id"))),
        "completeReturn" => (Some(true), false, "update"),
        "uncompleteReturn" if !one.completed => return Ok(Outcome::failed(Remark::new("The return is not completed.", "id"))),
        "uncompleteReturn" => (Some(false), false, "update"),
        // Not documented: what was paid back must stay to be explained.
        "deleteReturn" if paid_back => {
            return Ok(Outcome::failed(Remark::new("A return that was refunded cannot be deleted.", "id")));
        }
        "deleteReturn" => (None, true, "delete"),
        "refundReturn" => return refund(state, &one, scene),
        other => return Ok(Outcome::failed(Remark::new(format!("{other} is not simulated"), ""))),
    };
    state.record(Entry::ReturnMarked { id: one.id, at: scene.now, completed, deleted, act: None })?;
    Ok(done(&one, order, action))
}

fn done(one: &Returned, order: u32, action: &'static str) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.returns.push((one.id, action));
    outcome.changed.push(order);
    outcome
}

/// The exact mills of a JSON number.
fn mills(value: &Value) -> Option<i64> {
    let text = value.as_number()?.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.starts_with('-') || fraction.len() > 3 {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<3}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1_000)?.checked_add(fraction)
}

/// An amount given as `MonetaryValueInput`.
fn money(given: &Value, order: &Order) -> Result<i64, String> {
    let currency = given.get("currencyIsoCode").and_then(Value::as_str).unwrap_or(order.currency.code);
    if currency != order.currency.code {
        return Err(format!("The order is in {}, not in {currency}.", order.currency.code));
    }
    mills(given.get("value").unwrap_or(&Value::Null))
        .filter(|mills| mills % order.currency.step() == 0)
        .ok_or_else(|| "This is no amount.".to_owned())
}

fn policy(input: &Value, key: &str, order: &Order) -> Result<Cost, String> {
    let given: Vec<(&String, &Value)> =
        input.get(key).and_then(Value::as_object).into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
    match given.as_slice() {
        [] => Ok(Cost::Nothing),
        [(key, value)] if key.as_str() == "value" => money(value, order).map(Cost::Value),
        [(_, from)] => Ok(if from.as_bool() == Some(true) { Cost::FromShipment } else { Cost::Nothing }),
        _ => Err("Exactly one field must be given.".to_owned()),
    }
}

fn create(state: &mut State, input: &Value, scene: &Scene<'_>) -> anyhow::Result<Outcome> {
    let reference = input.get("shipment").unwrap_or(&Value::Null);
    let shipment = match (reference.get("id").and_then(Value::as_i64), reference.get("externalId").and_then(Value::as_str)) {
        (Some(id), None) => Some(id),
        (None, Some(external)) => state.queues.get(scene.queue).and_then(|queue| queue.internal("Shipment", external)),
        _ => {
            let message = "Exactly one field of the shipment reference must be given.";
            return Ok(Outcome::failed(Remark::new(message, "input.shipment")));
        }
    };
    let shipment = shipment.and_then(|id| i32::try_from(id).ok()).and_then(|id| state.shipments.get(id).cloned());
    let Some(shipment) = shipment else {
        return Ok(Outcome::failed(Remark::new("Could not find the shipment.", "input.shipment")));
    };
    let order = state.order(shipment.order).0;
    let mut errors = Vec::new();
    let mut lines: Vec<(usize, i32)> = Vec::new();
    for (at, wish) in list(input, "lines").unwrap_or_default().iter().enumerate() {
        let id = wish.pointer("/shipmentLine/id").and_then(Value::as_i64);
        let place = (0..shipment.lines.len()).find(|place| Some(i64::from(State::shipment_line_id(&shipment, *place))) == id);
        let units = wish.get("quantity").and_then(Value::as_i64).and_then(|units| i32::try_from(units).ok()).unwrap_or(0);
        match place {
            Some(place) => lines.push((place, units)),
            None => {
                errors.push(Remark::new("Could not find the line in this shipment.", &format!("input.lines.{at}.shipmentLine")))
            }
        }
    }
    let mut read = |key: &str| {
        policy(input, key, &order).unwrap_or_else(|message| {
            errors.push(Remark::new(message, &format!("input.{key}")));
            Cost::Nothing
        })
    };
    let (shipping, handling, voucher) = (read("shippingCost"), read("handlingCost"), read("voucherValue"));
    let cost = input.get("returnCost").filter(|given| !given.is_null()).map_or(Ok(0), |given| money(given, &order));
    let cost = cost.unwrap_or_else(|message| {
        errors.push(Remark::new(message, "input.returnCost"));
        0
    });
    let goods = policy_action(state, input.get("returnStockActionPolicy").unwrap_or(&Value::Null), scene.queue);
    let goods = goods.unwrap_or_else(|message| {
        errors.push(Remark::new(message, "input.returnStockActionPolicy"));
        Goods::Release
    });
    let created = match input.get("createdAt").and_then(Value::as_str) {
        None => Some(scene.now),
        Some(text) => super::super::dates::parse(text, &jiff::tz::TimeZone::UTC).map(|at| at.as_millisecond()),
    };
    let created = created.filter(|at| *at <= scene.now + 60_000).unwrap_or_else(|| {
        errors.push(Remark::new("createdAt must be a date and not in the future.", "input.createdAt"));
        scene.now
    });
    if !errors.is_empty() {
        return Ok(Outcome::remarked(errors, Vec::new()));
    }
    let comment = input.get("comment").and_then(Value::as_str).map(str::to_owned);
    let order_index = shipment.order;
    let wish = Wish {
        order: order_index,
        shipment: shipment.id,
        lines,
        goods,
        shipping,
        handling,
        voucher,
        cost,
        comment,
        created,
        by: "API",
    };
    let made = match make(state, &wish) {
        Ok(made) => made,
        Err(errors) => return Ok(Outcome::remarked(errors, Vec::new())),
    };
    let id = state.returns.next_id();
    state.record(Entry::Returned { id, at: scene.now, made: Box::new(made), act: None })?;
    if let Some(external) = input.get("externalId").and_then(Value::as_str) {
        state.record(Entry::Mapped {
            queue: scene.queue.to_owned(),
            kind: "Return".to_owned(),
            internal: i64::from(id),
            external: external.to_owned(),
        })?;
    }
    let mut outcome = Outcome::default();
    outcome.returns.push((id, "insert"));
    outcome.changed.push(order_index);
    Ok(outcome)
}

fn charge(cost: Cost, left: Taxed, order: &Order, path: &str, errors: &mut Vec<Remark>) -> Amount {
    match cost {
        Cost::Nothing => (0, 0),
        Cost::FromShipment => (left.quoted, left.tax),
        Cost::Value(quoted) if quoted > left.quoted => {
            errors.push(Remark::new("The value may not exceed what is left on the shipment.", path));
            (0, 0)
        }
        Cost::Value(quoted) if quoted == left.quoted => (left.quoted, left.tax),
        Cost::Value(quoted) => (quoted, order.tax_of(quoted, order.rate).min(left.tax)),
    }
}

/// A return as it would be made, with its amounts; or why it is refused.
pub fn make(state: &State, wish: &Wish) -> Result<Made, Vec<Remark>> {
    let Some(shipment) = state.shipments.get(wish.shipment) else {
        return Err(vec![Remark::new("Could not find the shipment.", "input.shipment")]);
    };
    let order = state.order(wish.order).0;
    let mut errors = Vec::new();
    if shipment.shipped_at.is_none() {
        errors.push(Remark::new("Only what was shipped can be returned.", "input.shipment"));
    }
    if wish.lines.is_empty() {
        errors.push(Remark::new("A return needs lines.", "input.lines"));
    }
    let lines = backs(state, &order, shipment, wish, &mut errors);
    let [shipping, handling, voucher] = state.charges_left(&order, shipment);
    let quoted = lines.iter().map(|back| back.worth.0).sum();
    let shipping = charge(wish.shipping, shipping, &order, "input.shippingCost", &mut errors);
    let handling = charge(wish.handling, handling, &order, "input.handlingCost", &mut errors);
    let voucher = match wish.voucher {
        Cost::FromShipment => {
            let share = state.back_voucher(&order, shipment, quoted);
            (share.quoted, share.tax)
        }
        other => charge(other, voucher, &order, "input.voucherValue", &mut errors),
    };
    let made = Made {
        order: wish.order,
        shipment: wish.shipment,
        lines,
        goods: wish.goods,
        shipping,
        handling,
        voucher,
        cost: (wish.cost, order.tax_of(wish.cost, order.rate)),
        comment: wish.comment.clone(),
        created: wish.created,
        by: wish.by.to_owned(),
    };
    if errors.is_empty() && made.grand(order.tax_included) < 0 {
        errors.push(Remark::new("The return cost may not exceed what is given back.", "input.returnCost"));
    }
    if errors.is_empty() { Ok(made) } else { Err(errors) }
}

fn backs(state: &State, order: &Order, shipment: &Shipment, wish: &Wish, errors: &mut Vec<Remark>) -> Vec<Back> {
    let id = state.returns.next_id();
    let mut lines: Vec<Back> = Vec::new();
    for (at, (place, units)) in wish.lines.iter().copied().enumerate() {
        let Some((line, shipped)) = shipment.lines.get(place).copied() else { continue };
        let shipment_line = State::shipment_line_id(shipment, place);
        let twice = lines.iter().any(|back| back.shipment_line == shipment_line);
        let left = shipped - state.returns.units_of(shipment.order, shipment_line);
        if twice || units < 1 || units > left {
            let message = "Quantity must be at least 1 and at most what is left on the shipment.";
            errors.push(Remark::new(message, &format!("input.lines.{at}.quantity")));
            continue;
        }
        let worth = state.back_worth(order, shipment, place, units);
        let nth = i32::try_from(lines.len() + 1).unwrap_or(99);
        let id = id.saturating_mul(100).saturating_add(nth);
        lines.push(Back { id, shipment_line, line, units, worth: (worth.quoted, worth.tax) });
    }
    lines
}

/// How a refund is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// As store credit, and not the way the money came.
    pub store_credit: bool,
    /// Whether the provider refuses this time.
    pub refused: bool,
}

/// The entries by which `amount` mills go back. A gift card that paid a part gets its part; the provider gets the rest,
/// and answers later where it is one that does.
pub fn pay_back(state: &State, order: u32, returned: Option<i32>, amount: i64, at: i64, way: Way) -> Vec<Paid> {
    let sold = state.base(order);
    let entry = |kind: &str, status: &str, method: &str, reference: String, amount: i64| Paid {
        id: 0,
        order,
        returned,
        kind: kind.to_owned(),
        status: status.to_owned(),
        method: method.to_owned(),
        reference,
        amount,
        at,
        answers: None,
    };
    let nth = state.returns.paid_of(order).count() as u64;
    let made_up = |what: &str| format!("{:016X}", mix(hash_text(what) ^ (u64::from(order) << 20) ^ nth));
    let mut entries = Vec::new();
    if way.store_credit {
        entries.push(entry("REFUND", "SUCCESS", "store_credit", made_up("store credit"), amount));
    } else {
        let gift = gift_part(state, order, &sold, amount);
        let provider = sold.payment_method.2;
        // It names its transactions anew; the one that answers later goes on under the authorisation's reference.
        let later = provider == "klarna_payments";
        let authorised = sold.payments.iter().find(|p| p.entry_type == "AUTH").map(|p| p.reference.clone());
        let reference = if later { authorised.unwrap_or_default() } else { made_up("refund") };
        if amount > gift {
            let (kind, status) = match (way.refused, later) {
                (_, true) => ("REFUND_REQUEST", "PENDING"),
                (true, false) => ("REFUND_FAILED", "FAILED"),
                (false, false) => ("REFUND", "SUCCESS"),
            };
            entries.push(entry(kind, status, provider, reference, amount - gift));
        }
        // Nothing goes to the gift card when the provider refuses its part.
        if gift > 0 && (later || !way.refused) {
            let card = sold.payments.iter().find(|p| p.entry_type == "AUTH_GIFT_CARD").map(|p| p.reference.clone());
            entries.push(entry("REFUND_GIFT_CARD", "SUCCESS", "gift_card", card.unwrap_or_default(), gift));
        }
    }
    let first = state.returns.next_paid();
    (first..).zip(entries).map(|(id, paid)| Paid { id, ..paid }).collect()
}

/// How much of a refund the gift card gets: its share of the sale, so that all refunds together give it back whole.
fn gift_part(state: &State, order: u32, sold: &Order, amount: i64) -> i64 {
    let paid = |kind: &str| sold.payments.iter().filter(|p| p.entry_type == kind).map(|p| p.amount).sum::<i64>();
    let gift = paid("AUTH_GIFT_CARD");
    if gift == 0 {
        return 0;
    }
    let whole = gift + paid("AUTH");
    let counted = || {
        let refunds = state.returns.paid_of(order);
        refunds.filter(|paid| paid.counts() || state.returns.open().any(|open| open.id == paid.id))
    };
    let before: i64 = counted().map(|paid| paid.amount).sum();
    let given: i64 = counted().filter(|paid| paid.kind == "REFUND_GIFT_CARD").map(|paid| paid.amount).sum();
    let due = if before + amount >= whole {
        gift
    } else {
        sold.currency.round(i128::from(gift) * i128::from(before + amount), i128::from(whole.max(1)))
    };
    (due - given).clamp(0, amount)
}

/// Whether money was taken for a shipment: with it, or for the whole order before.
pub fn captured(state: &State, shipment: i32) -> bool {
    state.shipments.get(shipment).is_some_and(|shipment| {
        shipment.captured.is_some() || state.base(shipment.order).payments.iter().any(|p| p.entry_type == "CAPTURE")
    })
}

fn refund(state: &mut State, one: &Returned, scene: &Scene<'_>) -> anyhow::Result<Outcome> {
    let order = one.made.order;
    let amount = one.made.grand(state.order(order).0.tax_included);
    let before: i64 = state.returns.paid_for(one).filter(|paid| paid.counts()).map(|paid| paid.amount).sum();
    let waits = state.returns.open().any(|open| open.returned == Some(one.id));
    let error = if before > 0 && before >= amount {
        Some("The return was refunded already.")
    } else if waits {
        Some("A refund of this return is under way.")
    } else if amount <= 0 {
        Some("There is nothing to refund.")
    } else if !captured(state, one.made.shipment) {
        Some("Nothing was captured that could be refunded.")
    } else {
        None
    };
    if let Some(message) = error {
        return Ok(Outcome::failed(Remark::new(message, "id")));
    }
    let tried = state.returns.paid_for(one).count();
    let refused = tried == 0 && scene.refuses_refund(one.id);
    let entries = pay_back(state, order, Some(one.id), amount - before, scene.now, Way { store_credit: false, refused });
    let ids: Vec<i32> = entries.iter().map(|paid| paid.id).collect();
    let failed = entries.iter().any(|paid| paid.status == "FAILED");
    state.record(Entry::Paid { entries, act: None })?;
    let mut outcome = done(one, order, "update");
    outcome.paid = ids;
    if failed {
        outcome.refuse(Remark::new("The payment provider refused the refund.", "id"));
    }
    Ok(outcome)
}
