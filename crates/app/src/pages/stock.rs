//! `/stock`: how fresh the figures are and where they stand; `/stock/items/{sku}`: why one is what it is.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_flow::stock::Explained;
use selvedge_model::{
    Sku,
    stock::{
        Term,
        explain::{Explained as Lines, Line},
    },
};
use selvedge_store::stock::{FigureRow, FigureState, MoveRow};
use serde::Deserialize;

use super::{
    Failure, Frame, Place,
    chart::{self, Bar},
    stock_rows,
    words::{ago, change, figure_state, grouped, item_address, length, order_address, part, plural, units, when},
};
use crate::{
    serve::App,
    view::stock::{self, Listed, Snag, SnagKind, Wanted, Warehouse},
};

/// Lines of the list.
const LINES: usize = 50;
/// Drifts that are shown, the newest.
const DRIFTS: usize = 10;
/// The longest text that is looked for.
const SEARCH_CHARS_MAX: usize = 100;

/// What is looked for.
#[derive(Default, Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    search: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    warehouse: String,
    #[serde(default)]
    after: String,
}

impl Search {
    /// The list with another state, from its beginning.
    fn with_state(&self, state: &str) -> String {
        address(&self.search, state, &self.warehouse, "")
    }
}

/// Where a list is; what is empty is left out.
fn address(search: &str, state: &str, warehouse: &str, after: &str) -> String {
    let asked = [("search", search), ("state", state), ("warehouse", warehouse), ("after", after)];
    let asked: Vec<String> =
        asked.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={}", part(value))).collect();
    if asked.is_empty() { "/stock".to_owned() } else { format!("/stock?{}", asked.join("&")) }
}

/// The list.
pub(super) async fn page(State(app): State<Arc<App>>, Query(mut asked): Query<Search>) -> Result<Markup, Failure> {
    let stocks = &app.engine.setup().stocks;
    let now = app.clock.now();
    asked.search = asked.search.trim().chars().take(SEARCH_CHARS_MAX).collect();
    let wanted = Wanted {
        state: stock::state(&asked.state).map_err(Failure::Unclear)?,
        search: asked.search.clone(),
        after: asked.after.clone(),
        limit: LINES,
        warehouse: stock::warehouse(&asked.warehouse, stocks).map_err(Failure::Unclear)?,
    };
    let warehouses = stock::status(&app.store, &app.brand, stocks, now).await?;
    let listed = stock::listed(&app.store, &app.brand, stocks, wanted).await?;
    let drifts = stock::drifts(&app.store, &app.brand, stocks, None, DRIFTS).await?;
    let frame = Frame::of(&app, Place::Stock, "Stock").await?;
    Ok(frame.around(html! {
        h1 { "Stock" }
        @if stocks.is_empty() {
            p.empty { "No stock flow is configured yet. Add " code { "[stock.main]" } " with from, to and warehouses to the configuration." }
        } @else {
            h2.aside { "Warehouses" }
            div #stock data-live { (cards(&warehouses, now)) }
            div #staleness data-live { (staleness(&warehouses)) }
            p { a href="/stock/rehearse" { "Rehearse other settings" } }
            @if !drifts.is_empty() && asked.after.is_empty() {
                section aria-labelledby="drift" {
                    h2 #drift { "Drift" }
                    p { "Figures that did not stand as they should, though nothing under way explained it; the newest." }
                    div #drifts data-live { (stock_rows::drift_table(&drifts, now)) }
                    @if drifts.len() == DRIFTS { p { a href="/exceptions?rule=stock.drift" { "Those that somebody has to look at" } } }
                }
            }
            section aria-labelledby="figures" {
                h2 #figures { "Figures" }
                (looking(&asked, &warehouses))
                div #list data-live { (list(&asked, &listed, several(&warehouses))) }
            }
        }
    }))
}

/// Whether there is more than one flow, so that a warehouse's id alone may not tell.
fn several(warehouses: &[Warehouse]) -> bool {
    warehouses.first().is_some_and(|first| warehouses.iter().any(|one| one.flow != first.flow))
}

/// How every warehouse does; on the page of today, too.
pub(super) fn cards(warehouses: &[Warehouse], now: Timestamp) -> Markup {
    html! {
        div.deck {
            @for one in warehouses {
                article.card {
                    h3 { a href=(address("", "", one.warehouse.as_str(), "")) { "Warehouse " (one.warehouse) } " " span.quiet { (one.flow) } }
                    (balance(one))
                    (freshness(one))
                    p.quiet {
                        "Source read whole " @match one.snapshot_at { Some(at) => { (ago(at, now)) }, None => "never" }
                        "; shop read back " @match one.read_back_at { Some(at) => { (ago(at, now)) }, None => "never" }
                        @if let Some(ms) = one.window_ms { ". After a change a figure is wrong for " (length(ms)) " at most, 99 times of 100" }
                        "."
                    }
                }
            }
        }
    }
}

/// Where the figures stand, as the sum that it is.
fn balance(one: &Warehouse) -> Markup {
    let balance = &one.balance;
    let place = one.warehouse.as_str();
    let name = |word: &str| format!("{}.{place} {word}", one.flow);
    let right = [
        ("agreed", balance.agreed, Some(FigureState::Agreed)),
        ("in flight", balance.in_flight, None),
        ("held", balance.held, Some(FigureState::Held)),
        ("left alone", balance.left, Some(FigureState::Left)),
    ];
    html! {
        p.equation {
            span.term { b data-n=(name("listed")) { (grouped(balance.listed)) } " " i { "listed" } }
            @for (index, (word, count, state)) in right.into_iter().enumerate() {
                span.op { @if index == 0 { " = " } @else { " + " } }
                span.term.none[count == 0] {
                    b data-n=(name(word)) { (grouped(count)) } " "
                    i { @match state.filter(|_| count > 0) { Some(state) => a href=(address("", state.word(), place, "")) { (word) }, None => (word) } }
                }
            }
        }
        @if balance.held > 0 {
            p.snag { a href=(address("", "held", place, "")) { (plural(balance.held, "figure is", "figures are")) " held" } " until somebody decides" }
        }
        p { b { (units(balance.free_units)) } " units free to buy" }
    }
}

/// How old the figures are that the warehouse shows.
fn freshness(one: &Warehouse) -> Markup {
    let age = |ms: u64| if one.freshness.figures == 0 { "–".to_owned() } else { length(ms) };
    html! {
        dl.pace title="How long ago a figure was last known to be right" {
            div { dt { "half of them known right within" } dd { b { (age(one.freshness.p50_ms)) } } }
            div { dt { "99 of 100" } dd { b { (age(one.freshness.p99_ms)) } } }
            div { dt { "the oldest" } dd { b { (age(one.freshness.max_ms)) } } }
        }
    }
}

/// How old the figures of each warehouse are, side by side.
fn staleness(warehouses: &[Warehouse]) -> Markup {
    let shown: Vec<&Warehouse> = warehouses.iter().filter(|one| one.freshness.figures > 0).collect();
    let name =
        |one: &Warehouse| if several(warehouses) { format!("{} {}", one.flow, one.warehouse) } else { one.warehouse.to_string() };
    let bars: Vec<(Bar, String)> = shown
        .iter()
        .map(|one| {
            let bar = Bar { label: format!("Warehouse {}", name(one)), value: one.freshness.max_ms };
            (bar, format!("{}; half within {}", length(one.freshness.max_ms), length(one.freshness.p50_ms)))
        })
        .collect();
    let Some(oldest) = shown.iter().max_by_key(|one| one.freshness.max_ms) else { return html! {} };
    let says = format!("The oldest is in warehouse {}: {}.", name(oldest), length(oldest.freshness.max_ms));
    chart::rows("how-stale", "How long ago the oldest figure was last known right", &says, &bars)
}

/// The fields and links that choose what is listed.
fn looking(asked: &Search, warehouses: &[Warehouse]) -> Markup {
    let mut places: Vec<&str> = warehouses.iter().map(|one| one.warehouse.as_str()).collect();
    places.sort_unstable();
    places.dedup();
    html! {
        form.search action="/stock" method="get" role="search" {
            @if !asked.state.is_empty() { input type="hidden" name="state" value=(asked.state); }
            @if places.len() > 1 {
                label for="warehouse" { "Warehouse" }
                select #warehouse name="warehouse" {
                    option value="" { "All" }
                    @for place in &places { option value=(place) selected[*place == asked.warehouse] { (place) } }
                }
            }
            label for="search" { "With this text in the SKU" }
            div { input #search name="search" type="search" value=(asked.search) maxlength=(SEARCH_CHARS_MAX) autocomplete="off"; button { "Search" } }
        }
        p.tabs {
            a href=(asked.with_state("")) aria-current=[asked.state.is_empty().then_some("true")] { "All" }
            @for state in FigureState::ALL {
                " " a href=(asked.with_state(state.word())) aria-current=[(asked.state == state.word()).then_some("true")] { (meaning(state)) }
            }
        }
    }
}

/// A state as a choice.
const fn meaning(state: FigureState) -> &'static str {
    match state {
        FigureState::Due => "Due for a look",
        FigureState::Sending => "Being written",
        FigureState::Agreed => "Agreed",
        FigureState::Held => "Held",
        FigureState::Left => "Left alone",
    }
}

fn list(asked: &Search, listed: &Listed, several: bool) -> Markup {
    html! {
        @if listed.figures.is_empty() {
            p.empty { @if asked.after.is_empty() { "No figure is like that." } @else { "That was all." } }
        } @else {
            table.cards {
                caption.aside { "What the shop shows of each item" }
                thead {
                    tr {
                        th scope="col" { "SKU" }
                        th scope="col" { "Warehouse" }
                        th scope="col" { "Stands" }
                        th.num scope="col" { "Left at the source" }
                        th.num scope="col" { "Not taken in" }
                        th.num scope="col" { "Kept back" }
                        th.num scope="col" { "Free to buy" }
                        th.num scope="col" { "Promised" }
                        th.num scope="col" { "Kept in the shop" }
                    }
                }
                tbody {
                    @for (flow, row) in &listed.figures {
                        tr {
                            th.sku scope="row" data-label="SKU" { a href=(item_address(&row.sku)) { (row.sku) } }
                            td data-label="Warehouse" { (row.place) @if several { " " span.quiet { (flow) } } }
                            td data-label="Stands" { (stands(row)) }
                            td.num data-label="Left at the source" { @match &row.terms { Some(terms) => (units(terms.net)), None => "–" } }
                            td.num data-label="Not taken in" { @match &row.terms { Some(terms) => (units(terms.not_taken_in)), None => "–" } }
                            td.num data-label="Kept back" { @match &row.terms { Some(terms) => (units(terms.buffer)), None => "–" } }
                            td.num data-label="Free to buy" { b { (units(row.shown.free())) } }
                            td.num data-label="Promised" { (units(row.shown.promised)) }
                            td.num data-label="Kept in the shop" { (units(row.shown.units)) }
                        }
                    }
                }
            }
        }
        @if let Some(next) = &listed.next {
            p { a #more href=(address(&asked.search, &asked.state, &asked.warehouse, next.as_str())) { "Show more" } }
        }
        @if !asked.after.is_empty() { p { a href=(asked.with_state(&asked.state)) { "Back to the first" } } }
    }
}

/// Where a figure stands; what is held leads to what holds it.
pub(super) fn stands(row: &FigureRow) -> Markup {
    html! {
        @match row.exception.filter(|_| row.state == FigureState::Held) {
            Some(exception) => a href={ "/exceptions/" (exception) } { (figure_state(row.state)) },
            None => (figure_state(row.state)),
        }
    }
}

/// One item.
pub(super) async fn one(State(app): State<Arc<App>>, Path(sku): Path<String>) -> Result<Markup, Failure> {
    let now = app.clock.now();
    let items = stock::item_of(&app.engine, &Sku::new(sku.clone()), now).await?;
    if items.is_empty() {
        let shown: String = sku.chars().take(SEARCH_CHARS_MAX).collect();
        return Err(Failure::Absent(format!(
            "The shop lists no SKU {shown}. SKUs are compared letter by letter; look for a part of it under Stock."
        )));
    }
    let frame = Frame::of(&app, Place::Stock, format!("Stock of {sku}")).await?;
    Ok(frame.around(html! {
        p.crumb { a href="/stock" { "Stock" } }
        h1 { "Stock of " (sku) }
        div #item data-live {
            @for item in &items {
                @if items.len() > 1 { p.quiet { "Flow " (item.flow) } }
                (snags(&item.snags, now))
                @for at in &item.warehouses { (explained(at, now)) }
                (moves(&item.moves, now))
            }
        }
    }))
}

/// The exceptions that are about the item.
fn snags(snags: &[Snag], now: Timestamp) -> Markup {
    html! {
        @if !snags.is_empty() {
            ul.snags {
                @for snag in snags {
                    li {
                        a href={ "/exceptions/" (snag.exception) } {
                            @match snag.what {
                                SnagKind::FigureHeld => { "The figure at warehouse " (snag.place) " is held" },
                                SnagKind::LevelKeptBack => { "A reading of place " (snag.place) " is kept back" },
                                SnagKind::Drift => { "Somebody else changed the figure at warehouse " (snag.place) },
                            }
                        }
                        p.quiet {
                            @match snag.what {
                                SnagKind::FigureHeld => { (units(snag.units)) " units were to be kept; nothing is written until somebody decides. May be wrong since " },
                                SnagKind::LevelKeptBack => { "It says that " (units(snag.units)) " are left; what was known before stays in force. Read " },
                                SnagKind::Drift => { (units(snag.units)) " units stood there. Found " },
                            }
                            (when(snag.at, now))
                        }
                    }
                }
            }
        }
    }
}

fn explained(at: &Explained, now: Timestamp) -> Markup {
    let figure = &at.figure;
    html! {
        section.card {
            h2 { "Warehouse " (figure.place) " " (stands(figure)) }
            p.lead {
                b { (units(figure.shown.free())) } " free to buy: the shop keeps " (units(figure.shown.units)) " and has promised "
                (units(figure.shown.promised)) ". Read " (when(figure.shown.at, now)) "."
            }
            @if let Some(since) = figure.stale_since { p.snag { "May be wrong since " (when(since, now)) } }
            @match &at.lines {
                None => p.empty { "The source does not keep this item here, or was not read whole yet. The figure is left alone." },
                Some(lines) => { (equations(lines)) (terms(lines, now)) }
            }
            @if !at.orders.is_empty() {
                h3 { "Orders that the source has not taken in" }
                ul.held {
                    @for order in &at.orders {
                        li { a href=(order_address(order.key.as_str())) { "Order " (order.key) } ": " (plural(order.units.unsigned_abs(), "unit", "units")) }
                    }
                }
            }
            @for (level, via) in &at.levels {
                p.quiet {
                    "Place " (level.location) " of the source: " (units(level.on_hand)) " on hand, " (units(level.committed)) " promised, "
                    (units(level.back_ordered)) " back ordered, " (units(level.pending_approval)) " pending approval; by itself it calls " (units(level.available)) " available. By " (via) ", "
                    (when(level.as_of, now)) "."
                }
            }
            @if let Some((sent, at)) = figure.sent { p.quiet { "Last written: " (plural(sent.unsigned_abs(), "unit", "units")) ", " (when(at, now)) "." } }
        }
    }
}

/// From what is left at the source to what is free to sell, and from there to what the shop keeps.
fn equations(lines: &Lines) -> Markup {
    let own: Vec<&Line> = lines.lines.iter().filter(|line| line.part.is_none()).collect();
    let place = |term: Term| own.iter().position(|line| line.term == term);
    let (Some(net), Some(free)) = (place(Term::Net), place(Term::Free)) else { return html! {} };
    let physical = own.get(free..).filter(|rest| rest.len() > 1);
    html! {
        (equation(own.get(net..=free).unwrap_or_default()))
        @if let Some(physical) = physical { (equation(physical)) }
    }
}

/// Terms and the sum of them, which comes last.
fn equation(terms: &[&Line]) -> Markup {
    let last = terms.len().saturating_sub(1);
    html! {
        p.equation.signed {
            @for (index, line) in terms.iter().enumerate() {
                @let sum = index == last;
                @if index > 0 { span.op { @if sum { " = " } @else if line.units < 0 || taken_off(line.term) { " − " } @else { " + " } } }
                span.term.none[line.units == 0 && !sum] {
                    b { @if index == 0 || sum { (units(line.units)) } @else { (grouped(line.units.unsigned_abs())) } } " "
                    i { (word(line.term)) }
                }
            }
        }
    }
}

/// Whether a term lowers the sum, though it may be nought.
const fn taken_off(term: Term) -> bool {
    matches!(term, Term::NotTakenIn | Term::ThroughKits | Term::Buffer | Term::NotForSale)
}

/// A term in an equation.
const fn word(term: Term) -> &'static str {
    match term {
        Term::OnHand => "on hand",
        Term::Committed => "promised at the source",
        Term::BackOrdered => "back ordered",
        Term::PendingApproval => "pending approval",
        Term::Net => "left at the source",
        Term::NotTakenIn => "not taken in",
        Term::ThroughKits => "not taken in, in kits",
        Term::Buffer => "kept back",
        Term::NotForSale => "not for sale",
        Term::Free => "free to sell",
        Term::LiftedToNought => "up to nought",
        Term::Allocated => "promised by the shop",
        Term::Figure => "to be kept in the shop",
    }
}

/// Every term with its time and origin.
fn terms(lines: &Lines, now: Timestamp) -> Markup {
    html! {
        table.cards {
            caption { "Every term, with its time and where it comes from" }
            thead { tr { th scope="col" { "What" } th.num scope="col" { "Units" } th scope="col" { "As of" } th scope="col" { "From" } } }
            tbody {
                @for line in &lines.lines {
                    tr.total[line.term.is_sum()] {
                        th scope="row" { @if let Some(sku) = &line.part { span.quiet { (sku) ": " } } (stock::term(line.term)) }
                        td.num data-label="Units" { @if line.term.is_sum() { b { (units(line.units)) } } @else { (change(line.units)) } }
                        td data-label="As of" { @match line.as_of { Some(at) => (when(at, now)), None => "–" } }
                        td data-label="From" { (line.origin) }
                    }
                }
            }
        }
    }
}

fn moves(moves: &[MoveRow], now: Timestamp) -> Markup {
    html! {
        @if !moves.is_empty() {
            section aria-labelledby="moves" {
                h2 #moves { "The last movements at the source" }
                table.cards {
                    thead {
                        tr {
                            th scope="col" { "When" }
                            th scope="col" { "Place" }
                            th.num scope="col" { "Left before" }
                            th.num scope="col" { "Change" }
                            th.num scope="col" { "Left after" }
                            th.num scope="col" { "By our orders" }
                            th scope="col" { "Heard by" }
                        }
                    }
                    tbody {
                        @for moved in moves {
                            tr {
                                td data-label="When" { (when(moved.at, now)) }
                                td data-label="Place" { (moved.location) }
                                td.num data-label="Left before" { (units(moved.before)) }
                                td.num data-label="Change" { (change(moved.after.saturating_sub(moved.before))) }
                                td.num data-label="Left after" { (units(moved.after)) }
                                td.num data-label="By our orders" { (units(moved.own)) }
                                td data-label="Heard by" { (moved.via) }
                            }
                        }
                    }
                }
            }
        }
    }
}
