//! Orders, products and stock in the shapes that the vendor shows them in.

use serde_json::{Value, json};

use super::state::{Allocation, Line, Order, State};
use super::{CHANNEL, Inner, METHODS_FROM, moment};

/// With milliseconds, in UTC.
pub fn time(millis: i64) -> String {
    moment(millis).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn line(state: &State, line: &Line, top: bool) -> Value {
    let sku = state.items.get(&line.sellable).map(|item| item.sku.clone());
    let mut shown =
        json!({ "id": line.sellable, "quantity": line.quantity, "sellable": { "id": line.sellable, "sku_code": sku } });
    // Inside an allocation the id at the top may be missing.
    shown["sellable_id"] = if top { json!(line.sellable) } else { Value::Null };
    shown
}

fn allocation(inner: &Inner, state: &State, order: &Order, one: &Allocation) -> Value {
    let shipment = one.shipment.as_ref().map(|shipment| {
        json!({
            "id": shipment.id, "created_at": time(shipment.at), "allocation_id": one.id, "order_id": order.id,
            "carrier": { "id": if shipment.carrier == "Other" { 3 } else { 1 }, "name": shipment.carrier },
            "service_carrier_name": (shipment.carrier == "Other").then_some("Evri"),
            "tracking_number": shipment.tracking.as_ref().map(|number| json!({ "id": shipment.id, "tracking_number": number })),
        })
    });
    json!({
        "id": one.id, "order_id": order.id, "updated_at": time(one.updated),
        "warehouse": { "id": one.warehouse + 1, "name": inner.options.warehouses.get(one.warehouse) },
        "line_items": one.lines.iter().map(|l| line(state, l, false)).collect::<Vec<_>>(), "shipment": shipment,
    })
}

/// An order.
pub fn order(inner: &Inner, state: &State, order: &Order) -> Value {
    let method = order.delivery_method.checked_sub(METHODS_FROM).and_then(|at| usize::try_from(at).ok());
    let method = method.and_then(|at| inner.options.delivery_methods.get(at));
    json!({
        "id": order.id, "number": order.number, "status": order.status(), "created_at": time(order.created),
        "updated_at": time(order.updated), "cancelled_at": order.cancelled.then(|| time(order.updated)),
        "channel": { "id": order.channel, "name": "Selvedge", "type_code": "direct", "currency_code": "GBP" },
        "delivery_method": { "id": order.delivery_method, "name": method },
        "line_items": order.lines.iter().map(|l| line(state, l, true)).collect::<Vec<_>>(),
        "allocations": order.allocations.iter().map(|one| allocation(inner, state, order, one)).collect::<Vec<_>>(),
        "returns": [],
    })
}

/// A product with its one sellable.
pub fn product(inner: &Inner, state: &State, id: u64) -> Value {
    let Some(item) = state.items.get(&id) else { return Value::Null };
    let entries: Vec<Value> = (0..inner.options.warehouses.len()).map(|at| stock_entry(inner, state, id, at)).collect();
    json!({
        "id": id, "title": item.title, "updated_at": time(0),
        "sellables": [{ "id": id, "type": "ProductVariant", "title": item.title, "sku_code": item.sku, "upc_code": item.barcode,
                        "product_id": id, "stock_entries": entries }],
    })
}

/// What a warehouse has of a sellable.
pub fn stock_entry(inner: &Inner, state: &State, id: u64, at: usize) -> Value {
    let name = inner.options.warehouses.get(at).cloned().unwrap_or_default();
    let (physical, reserved) = state.levels(id, at, &name);
    json!({
        "sellable_id": id, "warehouse_id": at + 1, "infinite": false, "physical_stock_level": physical,
        "allocated_stock_level": reserved, "available_stock_level": physical - reserved, "incoming_stock_level": 0,
        "warehouse": { "id": at + 1, "name": name },
    })
}

/// The stores.
pub fn channels() -> Vec<Value> {
    vec![
        json!({ "id": CHANNEL, "name": "Selvedge", "type_code": "direct", "currency_code": "GBP" }),
        json!({ "id": CHANNEL + 1, "name": "Auctions", "type_code": "ebay", "currency_code": "GBP" }),
    ]
}
