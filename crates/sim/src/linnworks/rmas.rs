//! Returns: booked on a processed order, actioned when the goods have arrived, listed apart.

use axum::response::Response;
use serde_json::{Value, json};

use crate::mischief::{Mischief, hash_text};

use super::orders::time;
use super::state::{BookedLine, Booking, Order, State};
use super::{Asked, Inner, bad, location_id, ok};

/// Bookings per page.
const PAGE: usize = 5;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Units of an order's row that are booked already.
fn booked(state: &State, order: &Order, row: &str) -> i64 {
    let lines = state.bookings.values().filter(|one| one.order == order.id).flat_map(|one| &one.lines);
    lines.filter(|line| line.row == row && !line.deleted && line.kind != "Resend").map(|line| line.quantity).sum()
}

/// `CreateRMABooking`: what cannot be booked is said in the body of a 200.
pub fn create(inner: &Inner, asked: &Asked<'_>) -> anyhow::Result<Response> {
    let wish = &asked.body["request"];
    let mut state = inner.state();
    let errors = |why: &str| Ok(ok(&json!({ "RMAHeaderId": 0, "Items": [], "Errors": [why], "Info": [] })));
    let Some(order) = state.by_id(wish["OrderId"].as_str().unwrap_or_default()).cloned() else {
        return errors("MissingOrderInLinnworks");
    };
    if order.processed.is_none() || order.cancelled {
        return errors("OpenOrderInLinnworks");
    }
    let items = wish["ReturnItems"].as_array().cloned().unwrap_or_default();
    if items.is_empty() {
        return errors("NoNewRMAsSpecified");
    }
    let id = state.bookings.last_key_value().map_or(1, |(id, _)| id + 1);
    let mut lines: Vec<BookedLine> = Vec::new();
    for (nth, item) in (0_i64..).zip(&items) {
        let row = text(&item["OrderItemRowId"]);
        let Some(sold) = order.lines.iter().find(|line| line.row == row) else {
            return Ok(bad("Order item was not found"));
        };
        let (quantity, scrap) = (item["ReturnQuantity"].as_i64().unwrap_or(0), item["ScrapQuantity"].as_i64().unwrap_or(0));
        let now: i64 = lines.iter().filter(|line| line.row == row).map(|line| line.quantity).sum();
        if quantity < 1 || scrap < 0 || scrap > quantity || booked(&state, &order, &row) + now + quantity > sold.quantity {
            return errors("AlreadyReturnedInLinnworks");
        }
        let (sku, title) = (sold.sku.clone(), sold.title.clone());
        let (reason, kind) = (text(&item["Reason"]), "Return".to_owned());
        lines.push(BookedLine { id: id * 100 + nth, row, sku, title, quantity, scrap, reason, kind, deleted: false });
    }
    let rows: Vec<Value> = lines.iter().map(|line| json!({ "RMARowId": line.id, "RMAHeaderId": id })).collect();
    let (reference, created) = (text(&wish["Reference"]), inner.now());
    state.put_booking(Booking { id, order: order.id, reference, location: order.location, lines, created, actioned: None })?;
    Ok(ok(&json!({ "RMAHeaderId": id, "Items": rows, "Errors": [], "Info": [] })))
}

/// `GetActionableRMAHeaders`, `GetProcessedOrAckedErrorRMAHeaders`: a page, the oldest first.
pub fn list(inner: &Inner, asked: &Asked<'_>, done: bool) -> Response {
    let wish = &asked.body["request"];
    let (kind, value) = (text(&wish["Filters"]["Type"]), text(&wish["Filters"]["Value"]));
    let number = usize::try_from(wish["Page"].as_i64().unwrap_or(1)).unwrap_or(0);
    if number == 0 {
        return bad("Page must be greater than 0");
    }
    let state = inner.state();
    let fits = |one: &&Booking| match kind.as_str() {
        "" => true,
        "HEADER_ID" => one.id.to_string() == value,
        "ORDER_ID" => one.order == value,
        // A search, and no comparison.
        "HEADER_REFERENCE" => one.reference.contains(&value),
        _ => false,
    };
    let all: Vec<&Booking> = state.bookings.values().filter(|one| one.actioned.is_some() == done).filter(fits).collect();
    let rows: Vec<Value> = all.iter().skip((number - 1) * PAGE).take(PAGE).map(|one| document(inner, &state, one)).collect();
    ok(&json!({ "Page": number, "TotalHeaders": all.len(), "HeadersPerPage": PAGE, "RMAHeaders": rows }))
}

fn document(inner: &Inner, state: &State, one: &Booking) -> Value {
    let order = state.by_id(&one.order);
    let status = json!({ "StatusHeader": if one.actioned.is_some() { "PROCESSED" } else { "OPEN" }, "StatusDetail": null });
    let at = inner.options.locations.iter().position(|name| *name == one.location).unwrap_or(0);
    let never = "0001-01-01T00:00:00".to_owned();
    let acted = one.actioned.map_or(never, time);
    let line = |line: &BookedLine| {
        json!({
            "RMARowId": line.id, "RMAHeaderId": one.id, "Type": line.kind, "Status": status, "CreatedDate": time(one.created),
            "Actioned": one.actioned.is_some(), "ActionedDate": acted, "Deleted": line.deleted, "OrderItemRowId": line.row,
            "ReturnItemSKU": line.sku, "ReturnItemTitle": line.title, "ReturnLocation": location_id(at),
            "ReturnQuantity": line.quantity, "ScrapQuantity": line.scrap, "Reason": line.reason, "IsFreeText": true,
            "RefundAmount": 0, "Errors": [],
        })
    };
    json!({
        "RMAHeaderId": one.id, "OrderId": one.order, "NumOrderId": order.map(|order| order.number), "Status": status,
        "OrderSource": order.map(|order| order.source.clone()), "OrderSubSource": order.map(|order| order.sub_source.clone()),
        "ExternalReference": one.reference, "ChannelInitiated": false, "CreatedDate": time(one.created),
        "Actioned": one.actioned.is_some(), "LastActionDate": acted, "RMALines": one.lines.iter().map(line).collect::<Vec<_>>(),
    })
}

/// Whether an order has left and nobody has looked yet if something of it comes back.
fn may_come_back(state: &State, order: &Order) -> bool {
    order.processed.is_some() && !order.cancelled && !order.resend && !state.looked_at.contains(&order.id)
}

/// Whether goods are still to come back.
pub fn awaits(state: &State) -> bool {
    state.bookings.values().any(|one| one.actioned.is_none()) || state.orders.values().any(|order| may_come_back(state, order))
}

/// The goods of what is booked arrive, some of them fit for scrap only; and its own people book what nobody told them of.
/// Whether they do hangs on the seed and the order alone, so that a restart finds the same.
pub fn step(state: &mut State, mischief: &Mischief, now: i64) -> anyhow::Result<usize> {
    let open: Vec<Booking> = state.bookings.values().filter(|one| one.actioned.is_none() && one.created < now).cloned().collect();
    let mut done = open.len();
    for mut one in open {
        for line in one.lines.iter_mut().filter(|line| !line.deleted && line.kind != "Resend") {
            if mischief.pick("scrap", line.id.unsigned_abs(), 4) == 0 {
                line.scrap = (line.quantity + 1) / 2;
            }
            let (sku, back) = (line.sku.clone(), line.quantity - line.scrap);
            give_back(state, &sku, back, &one.location)?;
        }
        one.actioned = Some(now);
        state.put_booking(one)?;
    }
    let left: Vec<Order> = state.orders.values().filter(|order| may_come_back(state, order)).cloned().collect();
    done += left.len();
    for order in left {
        state.looked_at.insert(order.id.clone());
        let known = state.bookings.values().any(|one| one.order == order.id);
        let Some(line) = order.lines.first().filter(|_| !known) else { continue };
        if mischief.pick("own return", hash_text(&order.id), 12) != 0 {
            continue;
        }
        let id = state.bookings.last_key_value().map_or(1, |(id, _)| id + 1);
        let row = |nth: i64, kind: &str, deleted: bool| BookedLine {
            id: id * 100 + nth,
            row: line.row.clone(),
            sku: line.sku.clone(),
            title: line.title.clone(),
            quantity: 1,
            scrap: 0,
            reason: "Unwanted".to_owned(),
            kind: kind.to_owned(),
            deleted,
        };
        // A row that was taken out again, and one that is only sent once more.
        let lines = vec![row(0, "Return", false), row(1, "Return", true), row(2, "Resend", false)];
        let (reference, location) = (format!("RMA{id}"), order.location.clone());
        state.put_booking(Booking { id, order: order.id, reference, location, lines, created: now, actioned: None })?;
    }
    Ok(done)
}

/// Puts units back on a level; of a composite, on its parts.
fn give_back(state: &mut State, sku: &str, units: i64, location: &str) -> anyhow::Result<()> {
    let Some(mut stocked) = state.items.get(sku).cloned() else { return Ok(()) };
    if stocked.item.parts.is_empty() {
        *stocked.item.stock.entry(location.to_owned()).or_default() += units;
        return state.put_item(stocked);
    }
    for (part, each) in stocked.item.parts {
        give_back(state, &part, units * i64::from(each), location)?;
    }
    Ok(())
}

/// One row per line of what has arrived.
pub fn csv(state: &State) -> String {
    let mut out = String::from("booking,order,reference,sku,received,scrapped,reason\n");
    for one in state.bookings.values().filter(|one| one.actioned.is_some()) {
        let doc = state.by_id(&one.order).map(|order| order.reference.clone()).unwrap_or_default();
        for line in one.lines.iter().filter(|line| !line.deleted && line.kind != "Resend") {
            out.push_str(&format!(
                "{},{doc},{},{},{},{},{}\n",
                one.id, one.reference, line.sku, line.quantity, line.scrap, line.reason
            ));
        }
    }
    out
}
