//! `/stock`: how fresh the figures are and where they stand; `/stock/{sku}`: why one is what it is.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use selvedge_model::Sku;
use selvedge_store::stock::FigureState;
use serde::Deserialize;

use super::{
    Failure, Frame, Place,
    words::{grouped, length, part, when},
};
use crate::{
    serve::App,
    view::stock::{self, Item, Wanted, Warehouse},
};

/// Lines of the list, of each warehouse.
const LINES: usize = 50;
/// Movements that are shown of an item.
const MOVES: usize = 20;

/// What is looked for. As text, so that nonsense is a long list and not an error.
#[derive(Default, Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    search: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    after: String,
}

/// The list.
pub(super) async fn page(State(app): State<Arc<App>>, Query(asked): Query<Search>) -> Result<Markup, Failure> {
    let stocks = &app.engine.setup().stocks;
    let now = app.clock.now();
    let state = FigureState::ALL.into_iter().find(|state| state.word() == asked.state);
    let search: String = asked.search.trim().chars().take(100).collect();
    let wanted = Wanted { state, search: search.clone(), after: asked.after.clone(), limit: LINES, warehouse: None };
    let warehouses = stock::status(&app.store, &app.brand, stocks, now).await?;
    let figures = stock::figures(&app.store, &app.brand, stocks, wanted).await?;
    let full = warehouses.iter().any(|one| figures.iter().filter(|(_, row)| row.place == one.warehouse).count() >= LINES);
    // Where every warehouse goes on: the least of the last SKUs of those that have more.
    let last = |one: &Warehouse| {
        let rows: Vec<_> = figures.iter().filter(|(_, row)| row.place == one.warehouse).collect();
        rows.last().filter(|_| rows.len() >= LINES).map(|(_, row)| row.sku.clone())
    };
    let next = warehouses.iter().filter_map(last).min();
    let frame = Frame::of(&app, Place::Stock, "Stock").await?;
    Ok(frame.around(html! {
        h1 { "Stock" }
        @if stocks.is_empty() {
            p.empty { "No stock flows in this installation. Add " code { "[stock.main]" } " with from, to and warehouses to the config." }
        } @else {
            div #stock data-live { (cards(&warehouses, now)) }
            form.search action="/stock" method="get" role="search" {
                label for="search" { "SKU" }
                div { input #search name="search" type="search" value=(search) autocomplete="off"; button { "Search" } }
            }
            p {
                "Only those that are: "
                @for each in FigureState::ALL {
                    a href={ "/stock?state=" (each.word()) "&search=" (part(&search)) } { (each.word()) } " "
                }
                a href="/stock" { "all" } " · " a href="/stock/rehearse" { "Rehearse other settings" }
            }
            @if figures.is_empty() {
                p.empty { "No figure is like that." }
            } @else {
                table.cards {
                    caption { "What the shop shows of each item" }
                    thead { tr { th { "SKU" } th { "Warehouse" } th { "State" } th { "Free to buy" } th { "Kept" } th { "Promised" } th { "Left at the source" } th { "Kept back" } } }
                    tbody {
                        @for (_, row) in &figures {
                            tr {
                                td data-label="SKU" { a href={ "/stock/" (part(row.sku.as_str())) } { (row.sku) } }
                                td data-label="Warehouse" { (row.place) }
                                td data-label="State" { (row.state.word()) }
                                td data-label="Free to buy" { (row.shown.free()) }
                                td data-label="Kept" { (row.shown.units) }
                                td data-label="Promised" { (row.shown.promised) }
                                td data-label="Left at the source" { @match &row.terms { Some(terms) => { (terms.net) }, None => { "–" } } }
                                td data-label="Kept back" { @match &row.terms { Some(terms) => { (terms.buffer) }, None => { "–" } } }
                            }
                        }
                    }
                }
                @if full && let Some(next) = next {
                    p { a href={ "/stock?search=" (part(&search)) "&state=" (part(&asked.state)) "&after=" (part(next.as_str())) } { "Show more" } }
                }
            }
        }
    }))
}

fn cards(warehouses: &[Warehouse], now: jiff::Timestamp) -> Markup {
    html! {
        table.cards {
            caption { "Every figure that the shop lists is agreed, in flight, held, or left alone; its age is how long ago it was last known to be right" }
            thead { tr { th { "Warehouse" } th { "Listed" } th { "Agreed" } th { "In flight" } th { "Held" } th { "Left" } th { "Units free" } th { "Age: half" } th { "99 of 100" } th { "Oldest" } th { "Source read whole" } } }
            tbody {
                @for one in warehouses {
                    tr {
                        td data-label="Warehouse" { (one.warehouse) " " span.quiet { (one.flow) } }
                        td data-label="Listed" { (grouped(one.balance.listed)) }
                        td data-label="Agreed" { (grouped(one.balance.agreed)) }
                        td data-label="In flight" { (grouped(one.balance.in_flight)) }
                        td data-label="Held" { (grouped(one.balance.held)) }
                        td data-label="Left" { (grouped(one.balance.left)) }
                        td data-label="Units free" { (one.balance.free_units) }
                        td data-label="Age: half" { (length(one.freshness.p50_ms)) }
                        td data-label="99 of 100" { (length(one.freshness.p99_ms)) }
                        td data-label="Oldest" { (length(one.freshness.max_ms)) }
                        td data-label="Source read whole" { @match one.snapshot_at { Some(at) => { (when(at, now)) }, None => { "never" } } }
                    }
                }
            }
        }
    }
}

/// One item.
pub(super) async fn one(State(app): State<Arc<App>>, Path(sku): Path<String>) -> Result<Markup, Failure> {
    let items = stock::item_of(&app.engine, &Sku::new(sku.clone()), app.clock.now()).await?;
    if items.is_empty() {
        let shown: String = sku.chars().take(100).collect();
        return Err(Failure::Absent(format!("The shop lists no SKU {shown}. SKUs are compared letter by letter.")));
    }
    let now = app.clock.now();
    let frame = Frame::of(&app, Place::Stock, format!("Stock of {sku}")).await?;
    Ok(frame.around(html! {
        h1 { "Stock of " (sku) }
        @for item in &items { (explained(item, now)) }
        p { a href="/stock" { "All stock" } }
    }))
}

fn explained(item: &Item, now: jiff::Timestamp) -> Markup {
    html! {
        @for at in &item.warehouses {
            h2 { "Warehouse " (at.figure.place) }
            p.lead {
                (at.figure.shown.free()) " free to buy: " (at.figure.shown.units) " kept, " (at.figure.shown.promised) " promised; "
                (at.figure.state.word()) ", read " (when(at.figure.shown.at, now)) "."
            }
            @match &at.lines {
                None => { p.empty { "The source does not keep this item, or was not read whole yet. The figure is left alone." } }
                Some(lines) => {
                    table.cards {
                        caption { "How the figure comes about" }
                        thead { tr { th { "Units" } th { "What" } th { "As of" } th { "From" } } }
                        tbody {
                            @for line in &lines.lines {
                                tr {
                                    td data-label="Units" { (format!("{:+}", line.units)) }
                                    td data-label="What" { @if let Some(sku) = &line.part { (sku) ": " } (stock::term(line.term)) }
                                    td data-label="As of" { @if let Some(at) = line.as_of { (when(at, now)) } }
                                    td data-label="From" { (line.origin) }
                                }
                            }
                        }
                    }
                }
            }
            @if !at.orders.is_empty() {
                h3 { "Orders that the source has not taken in" }
                ul {
                    @for order in &at.orders {
                        li { a href={ "/orders/" (part(order.key.as_str())) } { (order.key) } ": " (order.units) " units" }
                    }
                }
            }
            @for (level, via) in &at.levels {
                p.quiet {
                    "At the source, place " (level.location) ": on hand " (level.on_hand) ", promised " (level.committed) ", back ordered "
                    (level.back_ordered) ", pending approval " (level.pending_approval) "; it says itself that " (level.available) " are available. By " (via) ", " (when(level.as_of, now)) "."
                }
            }
            @if let Some((units, at)) = at.figure.sent { p.quiet { "Last written: " (units) " units, " (when(at, now)) "." } }
        }
        @if !item.moves.is_empty() {
            table.cards {
                caption { "The last movements at the source" }
                thead { tr { th { "When" } th { "Place" } th { "Left before" } th { "Left after" } th { "By our orders" } th { "Heard by" } } }
                tbody {
                    @for moved in item.moves.iter().take(MOVES) {
                        tr {
                            td data-label="When" { (when(moved.at, now)) }
                            td data-label="Place" { (moved.location) }
                            td data-label="Left before" { (moved.before) }
                            td data-label="Left after" { (moved.after) }
                            td data-label="By our orders" { (moved.own) }
                            td data-label="Heard by" { (moved.via) }
                        }
                    }
                }
            }
        }
    }
}
