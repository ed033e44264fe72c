//! The part of an order's page that says where its goods are.

use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::records::{Parcel, ShipmentStatus};

use super::words::{grouped, state, when};
use crate::view::{ShipmentView, Whereabouts};

/// Line by line, then shipment by shipment; nothing where no warehouse has anything to do with the order.
pub(super) fn shown(goods: &Whereabouts, now: Timestamp) -> Markup {
    if goods.shipments.is_empty() && goods.promises.is_empty() && goods.lines.iter().all(|line| line.flow.is_none()) {
        return html! {};
    }
    let routed = goods.lines.iter().any(|line| line.flow.is_some());
    html! {
        section aria-labelledby="goods" {
            h2 #goods { "Where the goods are" }
            @for promise in &goods.promises {
                p { b { (promise.flow) } " is to ship by " (when(promise.dispatch_by, now)) }
            }
            table.cards {
                thead {
                    tr {
                        th scope="col" { "Item" }
                        th.num scope="col" { "Left" }
                        @if routed { th scope="col" { "Ships from" } }
                    }
                }
                tbody {
                    @for line in &goods.lines {
                        tr {
                            th scope="row" data-label="Item" { code { (line.sku) } " " (line.name) }
                            td.num data-label="Left" { (grouped(line.shipped.into())) " of " (grouped(line.ordered.into())) }
                            @if routed {
                                td data-label="Ships from" {
                                    @match &line.flow { Some(flow) => (flow), None => span.quiet { "not decided" } }
                                }
                            }
                        }
                    }
                }
            }
            @for one in &goods.shipments { (shipment(one, now)) }
        }
    }
}

fn shipment(one: &ShipmentView, now: Timestamp) -> Markup {
    html! {
        article.card {
            h3 { "Shipment " span.quiet { (one.key) } }
            p {
                (standing(one.status))
                @if let Some(at) = one.shipped_at { " " (when(at, now)) }
                " · from " (one.connection)
                @if let Some(warehouse) = &one.warehouse { ", " (warehouse) }
            }
            p { @for (place, (sku, units)) in one.units.iter().enumerate() { @if place > 0 { ", " } (units) " × " code { (sku) } } }
            @for each in &one.parcels { p { (parcel(each)) } }
            @for short in &one.short {
                p {
                    b { @if let Some(units) = short.quantity { (units) " × " } code { (short.sku) } @if short.is_final { " will not come" } @else { " follows" } }
                    @if !short.reason.is_empty() { ": " (short.reason) }
                }
            }
            @if !one.told.is_empty() { p.quiet { @for (place, told) in one.told.iter().enumerate() { @if place > 0 { " · " } (told.flow) " " (state(told.state)) } } }
        }
    }
}

fn standing(status: ShipmentStatus) -> &'static str {
    match status {
        ShipmentStatus::Open => "packed, not gone yet",
        ShipmentStatus::Shipped => "left",
        ShipmentStatus::Cancelled => "taken back by the warehouse",
    }
}

/// Only an address of the web is made a link: what a partner writes is not believed.
fn parcel(parcel: &Parcel) -> Markup {
    let link = parcel.url.as_deref().filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    html! {
        "Parcel: "
        @match &parcel.carrier { Some(carrier) => (carrier), None => span.quiet { "carrier not said" } }
        @if let Some(service) = &parcel.service { ", " (service) }
        ", "
        @match (&parcel.tracking, link) {
            (Some(number), Some(url)) => a href=(url) rel="noreferrer noopener" { (number) },
            (None, Some(url)) => a href=(url) rel="noreferrer noopener" { "follow it" },
            (Some(number), None) => code { (number) },
            (None, None) => span.quiet { "no tracking number" },
        }
    }
}
