//! `/`: what moves, whether it adds up, what needs somebody, what it costs.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use maud::{Markup, html};
use selvedge_model::{ConnectionName, impact::distance};

use super::{
    Failure, Frame, Place, chart,
    exception::Words,
    loom::{paused, picture},
    words::{amount, amounts, grouped, order_address, plural, standings, when},
};
use crate::{
    serve::App,
    view::{self, CallsView, ConnectionCalls, FlowView, OrderLine, Today},
};

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>) -> Result<Markup, Failure> {
    let now = app.clock.now();
    let lines = app.lines();
    let systems: BTreeMap<ConnectionName, &str> = lines.iter().map(|line| (line.connection.clone(), line.system)).collect();
    let today = view::today(&app.store, &app.brand, &app.ends(), lines, now).await?;
    let warehouses = view::stock::status(&app.store, &app.brand, &app.engine.setup().stocks, now).await?;
    let agreement = view::reconcile::agreement(&app.store, &app.brand, app.pairs()).await?;
    let frame = Frame {
        title: "Today".to_owned(),
        place: Place::Today,
        brand: Some(app.brand.0.clone()),
        open: Some(usize::try_from(today.open).unwrap_or(usize::MAX)),
    };
    let (moving, still): (Vec<&FlowView>, Vec<&FlowView>) = today.flows.iter().partition(|flow| flow.balance.terms.captured > 0);
    Ok(frame.around(html! {
        div #summary data-live { (summary(&today)) }
        div #renew { (super::connections::renew(&app.facts.credentials, now)) }
        div #paused data-live { @for pause in &today.paused { (paused(pause, now)) } }
        div #agreement data-live { (super::reconcile::line(&agreement, now)) }
        section aria-labelledby="needs" {
            h2 #needs { "What needs you" }
            div #exceptions data-live { (exceptions(&today, now)) }
        }
        section aria-labelledby="flows" {
            h2 #flows { "Flows" }
            @if today.flows.is_empty() { p.empty { "No flow is configured yet. Add one to the configuration; " code { "selvedge init" } " writes a first one." } }
            div #throughput data-live { (chart::bars("by-hour", "Orders confirmed at their targets, by hour", "confirmations", &chart::by_hour(&today.hours, now))) }
            // What moved nothing yet stands behind what did.
            @for (place, flow) in moving.into_iter().chain(still).enumerate() {
                article.card.flow id={ "flow-" (place) } data-live { (picture(flow, &systems, now)) }
            }
        }
        @if !warehouses.is_empty() {
            section aria-labelledby="stock" {
                h2 #stock { "Stock" }
                div #warehouses data-live { (super::stock::cards(&warehouses, now)) }
            }
        }
        section aria-labelledby="budget" {
            h2 #budget { "Calls spent" }
            div #calls data-live { (calls(&today.calls)) }
        }
        section aria-labelledby="newest" {
            h2 #newest { "Newest orders" }
            div #orders data-live { (newest(&today.newest, now)) }
        }
    }))
}

fn summary(today: &Today) -> Markup {
    let captured: u64 = today.flows.iter().map(|flow| flow.balance.terms.captured).sum();
    let off: Vec<&FlowView> = today.flows.iter().filter(|flow| !flow.balance.balanced).collect();
    let open = today.open;
    html! {
        @if let Some(flow) = off.first() {
            h1 { "The balance of " (flow.flow) " is off by " (flow.balance.difference) "." }
            p.lead { "Something was lost or made up. This is a fault of the program, not of your data: keep the store and report it." }
        } @else if open > 0 {
            h1 #says { (plural(open, "exception needs", "exceptions need")) " you." }
            p.lead {
                (plural(today.held, "record waits", "records wait"))
                @if !today.money.is_empty() { ", " (amounts(&today.money)) " with them" }
                ". Everything else is accounted for."
            }
        } @else if captured == 0 {
            h1 #says { "Nothing has arrived yet." }
            p.lead { "The first order appears here as soon as it is captured." }
        } @else {
            h1 #says { "Nothing needs you." }
            p.lead { (plural(captured, "record was captured", "records were captured")) ", and every one is accounted for." }
        }
    }
}

fn exceptions(today: &Today, now: jiff::Timestamp) -> Markup {
    html! {
        @if today.exceptions.is_empty() {
            p.empty { "Nothing needs you." }
        } @else {
            ul.snags {
                @for exception in &today.exceptions {
                    li {
                        a href={ "/exceptions/" (exception.id) } { (exception.message) }
                        p.quiet {
                            code { (exception.rule) } " · "
                            @if exception.count > 0 { (Words::of(exception).counted(exception.count)) } @else { "nothing held" }
                            @if !exception.money.is_empty() { " · " b { (amounts(&exception.money)) } }
                            @if let Some(deadline) = exception.deadline { " · " (deadline.kind.name()) " " (distance(deadline.at, now)) }
                            " · last met " (when(exception.last_seen_at, now))
                        }
                    }
                }
            }
            @if today.open > today.exceptions.len() as u64 { p { a href="/exceptions" { "All " (grouped(today.open)) } } }
        }
        @if today.snoozed > 0 { p.quiet { a href="/exceptions?shelf=snoozed" { (grouped(today.snoozed)) " snoozed" } } }
    }
}

fn calls(calls: &CallsView) -> Markup {
    html! {
        @if calls.connections.is_empty() {
            p.empty { "No call was made yet." }
        } @else {
            p.lead {
                @match &calls.per_order {
                    Some(per_order) => { b data-n="calls.per_order" { (per_order) } " calls per confirmed order, all connections together." }
                    None => "No order is confirmed yet, so there is no figure per order.",
                }
            }
            div.deck { @for connection in &calls.connections { (budget(connection)) } }
        }
    }
}

fn budget(connection: &ConnectionCalls) -> Markup {
    html! {
        article.card {
            h3 { (connection.connection) @if let Some(system) = connection.system.filter(|system| *system != connection.connection.as_str()) { " " span.quiet { (system) } } }
            p {
                b { (grouped(connection.calls)) } " calls"
                @if let Some(per_order) = &connection.per_order { ", " b { (per_order) } " per order" }
                @if connection.under_way > 0 { " · " (connection.under_way) " under way" }
                @if connection.waiting > 0 { " · " (connection.waiting) " waiting for room" }
            }
            @if connection.breaker_open { p.snag { "It rests after failures in a row, then tries one call." } }
            @if connection.paused { p.snag { "It pauses because the system asked it to." } }
            (limits(connection))
            (spent(connection))
            @if connection.throttled + connection.lost > 0 {
                p.quiet { (grouped(connection.throttled)) " answered \"too many\", " (grouped(connection.lost)) " got no answer since the start." }
            }
        }
    }
}

/// What the system grants, and how much of it is used now.
pub(super) fn limits(connection: &ConnectionCalls) -> Markup {
    html! {
        @if !connection.windows.is_empty() {
            h4 { "Granted, and used now" }
            ul.bars {
                @for window in &connection.windows {
                    li {
                        span { (window.name) " per " (window.seconds) " s" }
                        (bar(window.used, window.quota, &format!("{}: {} of {} in {} s", window.name, window.used, window.quota, window.seconds)))
                        span.num { (grouped(window.used)) " of " (grouped(window.quota)) }
                    }
                }
            }
        }
    }
}

/// What the calls were for.
pub(super) fn spent(connection: &ConnectionCalls) -> Markup {
    let most = connection.purposes.iter().map(|purpose| purpose.calls).max().unwrap_or(0);
    html! {
        @if !connection.purposes.is_empty() {
            h4 { "Spent on" }
            ul.bars {
                @for purpose in &connection.purposes {
                    li {
                        span { (purpose.purpose) }
                        (bar(purpose.calls, most, &format!("{}: {} calls", purpose.purpose, purpose.calls)))
                        span.num { (grouped(purpose.calls)) }
                    }
                }
            }
        }
    }
}

fn bar(part: u64, whole: u64, title: &str) -> Markup {
    let share = (u128::from(part) * 100).checked_div(u128::from(whole)).unwrap_or(0).min(100);
    html! {
        svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" role="img" {
            title { (title) }
            rect.ground x="0" y="0" width="100" height="8" {}
            rect x="0" y="0" width=(share) height="8" {}
        }
    }
}

fn newest(orders: &[OrderLine], now: jiff::Timestamp) -> Markup {
    html! {
        @if orders.is_empty() {
            p.empty { "No orders yet." }
        } @else {
            (order_table(orders, now))
            p { a href="/orders" { "All orders" } }
        }
    }
}

/// A table of orders; cards on a phone.
pub(super) fn order_table(orders: &[OrderLine], now: jiff::Timestamp) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { "Order" } th scope="col" { "Who" } th.num scope="col" { "Amount" } th scope="col" { "Stands" } th scope="col" { "Arrived" } } }
            tbody {
                @for order in orders {
                    tr {
                        th scope="row" data-label="Order" {
                            a href=(order_address(order.number.as_str())) { (order.number) }
                            @if order.revision > 1 { " " span.quiet { "revision " (order.revision) } }
                        }
                        td data-label="Who" { @if order.who.is_empty() { span.quiet { "unnamed" } } @else { (order.who) } }
                        td.num data-label="Amount" { @if order.amount.is_empty() { span.quiet { "unreadable" } } @else { (amount(&order.amount)) } }
                        td data-label="Stands" { (standings(&order.standings)) }
                        td data-label="Arrived" { (when(order.received_at, now)) }
                    }
                }
            }
        }
    }
}
