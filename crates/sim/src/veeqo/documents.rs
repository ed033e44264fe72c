//! Orders, products and stock in the shapes that the vendor shows them in.

use serde_json::{Value, json};

use super::state::{Allocation, Content, Line, Order, Returned, State};
use super::{CHANNEL, Inner, METHODS_FROM, moment};

/// With milliseconds, in UTC.
pub fn time(millis: i64) -> String {
    moment(millis).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn line(state: &State, line: &Line, top: bool) -> Value {
    let sku = state.sellables.get(&line.sellable).map(|item| item.sku.clone());
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
            "tracking_number": shipment.tracking.as_ref().map(|number| json!({
                "id": shipment.id, "tracking_number": number, "cancelled": shipment.void,
            })),
        })
    });
    json!({
        "id": one.id, "order_id": order.id, "updated_at": time(one.updated),
        "warehouse": { "id": one.warehouse + 1, "name": inner.options.warehouses.get(one.warehouse) },
        "line_items": one.lines.iter().map(|l| line(state, l, false)).collect::<Vec<_>>(), "shipment": shipment,
    })
}

/// A return. Its warehouse has a name and no id; what becomes of the goods is not shown.
fn returned(inner: &Inner, state: &State, order: &Order, one: &Returned) -> Value {
    let sellable = state.sellables.get(&one.sellable);
    let line = json!({
        "id": one.id, "title": sellable.map(|item| item.title.clone()), "sku_code": sellable.map(|item| item.sku.clone()),
        "quantity": one.quantity, "sellable_id": one.sellable, "received_quantity": one.received.unwrap_or(0),
        "refund_amount": null, "refund_quantity": null,
    });
    let warehouse = order.allocations.first().and_then(|allocation| inner.options.warehouses.get(allocation.warehouse));
    json!({
        "id": one.id, "number": format!("RN-{}", one.id), "status": if one.received.is_some() { "returned" } else { "returning" },
        "reason": "unwanted", "created_at": time(one.created), "type": one.kind, "line_items": [line], "user": null,
        "warehouse_name": warehouse,
    })
}

/// An order.
pub fn order(inner: &Inner, state: &State, order: &Order) -> Value {
    let method = order.delivery_method.checked_sub(METHODS_FROM).and_then(|at| usize::try_from(at).ok());
    let method = method.and_then(|at| inner.options.delivery_methods.get(at));
    // An address has an id, and nothing where nothing was told.
    let mut deliver_to = order.deliver_to.clone();
    if let Some(fields) = deliver_to.as_object_mut() {
        fields.values_mut().filter(|value| value.as_str() == Some("")).for_each(|value| *value = Value::Null);
        fields.insert("id".to_owned(), json!(order.id));
    }
    json!({
        "id": order.id, "number": order.number, "status": order.status(), "created_at": time(order.created),
        "updated_at": time(order.updated), "cancelled_at": order.cancelled.then(|| time(order.updated)),
        "channel": { "id": order.channel, "name": "Selvedge", "type_code": "direct", "currency_code": "GBP" },
        "delivery_method": { "id": order.delivery_method, "name": method },
        "deliver_to": deliver_to,
        "line_items": order.lines.iter().map(|l| line(state, l, true)).collect::<Vec<_>>(),
        "allocations": order.allocations.iter().map(|one| allocation(inner, state, order, one)).collect::<Vec<_>>(),
        "returns": order.returns.iter().map(|one| returned(inner, state, order, one)).collect::<Vec<_>>(), "merged_to_id": order.merged_to, "merged_order": order.merged,
    })
}

/// A number as the vendor shows it, out of the decimal that was sent.
fn number(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(0))
}

/// A product with its sellables.
pub fn product(inner: &Inner, state: &State, id: u64) -> Value {
    let Some(product) = state.products.get(&id) else { return Value::Null };
    let own = state.sellables.iter().filter(|(_, sellable)| sellable.product == id);
    json!({
        "id": id, "title": product.title, "created_at": time(product.created), "updated_at": time(product.updated),
        "deleted_at": product.deleted.then(|| time(product.updated)), "hs_tariff_number": null, "origin_country": null,
        "sellables": own.map(|(id, _)| sellable(inner, state, *id)).collect::<Vec<_>>(),
    })
}

/// A sellable with what every warehouse has of it. What a kit is made of is told elsewhere.
pub fn sellable(inner: &Inner, state: &State, id: u64) -> Value {
    let Some(sellable) = state.sellables.get(&id) else { return Value::Null };
    let product = state.products.get(&sellable.product);
    let title = product.map(|product| product.title.clone()).unwrap_or_default();
    let deleted = product.filter(|product| product.deleted).map(|product| time(product.updated));
    let entries: Vec<Value> = (0..inner.options.warehouses.len()).map(|at| stock_entry(inner, state, id, at)).collect();
    json!({
        "id": id, "type": if sellable.kit.is_some() { "Kit" } else { "ProductVariant" }, "title": sellable.title,
        "sku_code": sellable.sku, "upc_code": sellable.barcode, "price": number(&sellable.price), "cost_price": 0,
        "weight_grams": sellable.weight_grams, "weight_unit": "g", "updated_at": time(sellable.updated),
        "product_title": title, "sellable_title": sellable.title, "full_title": format!("{title} {}", sellable.title),
        "product": { "id": sellable.product, "title": title, "deleted_at": deleted }, "deleted_at": deleted,
        "stock_entries": entries,
    })
}

/// One row of a kit.
pub fn content(state: &State, kit: u64, row: &Content) -> Value {
    let part = state.sellables.get(&row.variant);
    json!({
        "id": row.id, "kit_id": kit, "product_variant_id": row.variant, "quantity": row.quantity, "deleted_at": null,
        "sku_code": part.map(|part| part.sku.clone()), "title": part.map(|part| part.title.clone()),
    })
}

/// What a warehouse has of a sellable.
pub fn stock_entry(inner: &Inner, state: &State, id: u64, at: usize) -> Value {
    let name = inner.options.warehouses.get(at).cloned().unwrap_or_default();
    let sellable = state.sellables.get(&id);
    let (physical, reserved) = state.levels(id, at, &name);
    let updated = sellable.map_or(0, |sellable| sellable.updated);
    json!({
        "sellable_id": id, "warehouse_id": at + 1, "infinite": sellable.is_some_and(|one| one.infinite.contains(&name)),
        "physical_stock_level": physical, "allocated_stock_level": reserved, "available_stock_level": physical - reserved,
        "incoming_stock_level": 0, "transit_incoming_stock_level": 0, "transit_outgoing_stock_level": 0,
        "stock_running_low": if sellable.is_some_and(|one| one.kit.is_some()) { Value::Null } else { json!(physical < 1) },
        "location": null, "updated_at": time(updated), "warehouse": { "id": at + 1, "name": name, "deleted_at": null },
    })
}

/// The stores.
pub fn channels() -> Vec<Value> {
    vec![
        json!({ "id": CHANNEL, "name": "Selvedge", "type_code": "direct", "currency_code": "GBP" }),
        json!({ "id": CHANNEL + 1, "name": "Auctions", "type_code": "ebay", "currency_code": "GBP" }),
    ]
}
