//! What every connector to a warehouse asks of a pick order, and what it makes of one that stands there.

use selvedge_model::{Currency, ExternalId, Money, Order, RecordKey, Sku, gate::Lookup, records::OrderLine};

use crate::{ports::MappingTable, settings::weight_band};

/// The table of shipping services, by market, method, destination and weight.
pub const SHIPPING_SERVICE: MappingTable =
    MappingTable { name: "shipping_service", parts: &["market", "method", "country", "weight"] };

/// The shipping service of an order. Nothing falls to a default: what nobody mapped holds the order.
pub fn shipping_service(order: &Order, weight_bands: &[u64]) -> Lookup {
    let country = order.shipping.as_ref().and_then(|address| address.country.as_deref()).unwrap_or("none");
    let band = weight_band(order.weight_grams, weight_bands);
    let method = Some(order.method_word()).filter(|word| !word.is_empty()).unwrap_or("none");
    let key = [("market", order.market.id.as_str()), ("method", method), ("country", country), ("weight", band.as_str())];
    Lookup::new(SHIPPING_SERVICE.name, &key, "shipping_method").label(format!("{method}, {}, {country}", order.market.name))
}

/// A line of a pick order as a warehouse tells it: its id there, SKU and units.
pub fn line(id: &str, sku: &str, quantity: u32, currency: Currency) -> OrderLine {
    OrderLine::of_units(ExternalId::new(id), Sku::new(sku), quantity, currency)
}

/// The tracking numbers in a field, as they are written; a link or a rounded number is none.
pub fn tracking_numbers(field: &str) -> Vec<String> {
    selvedge_model::tracking::read(field).unwrap_or_default().into_iter().map(|number| number.raw).collect()
}

/// An order of which a warehouse tells items and units, and nothing of money.
pub fn order(number: &str, id: ExternalId, currency: Currency, at: jiff::Timestamp) -> Order {
    Order::of_units(RecordKey::new(number), id, Money::zero(currency), at)
}
