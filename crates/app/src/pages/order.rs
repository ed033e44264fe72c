//! `/orders/{number}`: everything that happened to one order, everywhere, on one page.

use std::sync::Arc;

use axum::extract::{Path, State};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{
    Kind, Money, Order, Problem, RecordKey,
    obligation::State as At,
    records::{Address, Charge},
};

use super::{
    Failure, Frame, Place, differences, ledgers, parcels,
    words::{
        amounts, figure, hold, length, line_kind, meaning, money, order_status, payment, payment_status, plural, price, state,
        step, when,
    },
};
use crate::{
    serve::App,
    view::{self, ExceptionView, ObligationView, OrderStory, RevisionView},
};

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, Path(number): Path<String>) -> Result<Markup, Failure> {
    let number = RecordKey(number);
    let Some(story) = view::order_story(&app.store, &app.brand, &app.ends(), &number).await? else {
        let shown: String = number.as_str().chars().take(100).collect();
        return Err(Failure::Absent(format!(
            "There is no order {shown}. If it was placed a moment ago it may not have arrived yet; if it is older, look for it by another word."
        )));
    };
    let now = app.clock.now();
    let frame = Frame::of(&app, Place::Orders, format!("Order {number}")).await?;
    Ok(frame.around(html! {
        div #story data-live { (head(&story, now)) (parcels::shown(&story.whereabouts, now)) (ledgers::shown(story.ledgers.as_ref(), &story.from)) (differences::of_order(&story.differences, now)) (journey(&story, now)) }
        div #document data-live { (document(&story, now)) (revisions(&story.revisions, now)) }
    }))
}

fn head(story: &OrderStory, now: Timestamp) -> Markup {
    html! {
        p.crumb { a href="/orders" { "Orders" } }
        h1 { "Order " (story.number) }
        @if let Some(order) = &story.order {
            p.lead {
                (money(order.totals.gross)) " · " (order_status(order.status))
                @for reason in &order.holds { " · " (hold(reason)) }
                @if order.internal { " · internal" }
                " · placed " (when(order.placed_at, now))
            }
        } @else {
            p.lead { "Its newest document could not be read. What arrived is kept, byte for byte; below stands what has to be mended." }
        }
        @for exception in &story.exceptions { (held(exception)) }
    }
}

pub(super) fn held(exception: &ExceptionView) -> Markup {
    html! {
        aside.notice aria-label="Held" {
            p { b { "Held: " } (exception.message) }
            p { (exception.remedy) }
            p.quiet {
                a href={ "/exceptions/" (exception.id) } { (exception.id) }
                " holds " (plural(exception.count, "record", "records"))
                @if !exception.money.is_empty() { ", " (amounts(&exception.money)) }
            }
        }
    }
}

fn journey(story: &OrderStory, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="stands" {
            h2 #stands { "Where it stands" }
            @if story.obligations.is_empty() { p.empty { "No flow wants this order." } }
            @for (place, debt) in story.obligations.iter().enumerate().rev() {
                @let newer = story.obligations.get(place + 1).is_some_and(|next| next.flow == debt.flow && next.key == debt.key);
                @if newer && debt.state.settled() && debt.state != At::Held {
                    details.card #(debt.id) { summary { (heading(debt)) } (obligation(debt, now)) }
                } @else {
                    (obligation_card(debt, now))
                }
            }
        }
        section aria-labelledby="ids" {
            h2 #ids { "What it is called" }
            @if story.bindings.is_empty() {
                p.empty { "Only our own number so far: no system has answered with one of its own." }
            } @else {
                table.cards {
                    thead { tr { th scope="col" { "Ours" } th scope="col" { "At" } th scope="col" { "Theirs" } } }
                    tbody {
                        @for binding in &story.bindings {
                            tr {
                                td data-label="Ours" { (binding.kind) " " code { (binding.key) } }
                                td data-label="At" { (binding.connection) }
                                td data-label="Theirs" { code { (binding.id) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One debt with its timeline.
pub(super) fn obligation_card(debt: &ObligationView, now: Timestamp) -> Markup {
    html! { article.card { (heading(debt)) (obligation(debt, now)) } }
}

fn heading(debt: &ObligationView) -> Markup {
    html! {
        h3 {
            (debt.flow)
            @if debt.kind != Kind::Order { " " span.quiet { (debt.kind) " " (debt.key) } }
            " " span.quiet { "revision " (debt.revision) } " " (state(debt.state))
        }
    }
}

fn obligation(debt: &ObligationView, now: Timestamp) -> Markup {
    let settled_quietly = matches!(debt.state, At::Superseded | At::Excluded | At::Dismissed | At::Compared);
    html! {
        div {
            p.quiet {
                code { (debt.id) }
                @if let Some(target) = &debt.target { " · theirs: " code { (target) } }
                @if debt.attempts > 1 { " · " (debt.attempts) " attempts" }
                @if let Some(took) = debt.took_ms { " · " (meaning(debt.state)) " after " b { (length(took)) } }
                @if let Some(due_at) = debt.due_at { " · looked at next " (when(due_at, now)) }
                @if let Some(other) = debt.waits_for { " · waits for " code { (other) } }
                @if let Some(exception) = debt.exception { " · held by " a href={ "/exceptions/" (exception) "?edit=" (debt.id) } { (exception) } }
            }
            @if settled_quietly && let Some(note) = &debt.note { p { (note) } }
            ol.timeline {
                @for line in &debt.steps {
                    @let (words, tone) = step(&line.verb, &line.outcome);
                    li class=(tone) {
                        p { b { (words) } @if !line.detail.is_empty() { span.detail { (line.detail) } } }
                        p.quiet { (when(line.at, now)) " · +" (length(line.since_last_ms)) }
                    }
                }
            }
            @if !debt.resolved.is_empty() {
                details {
                    summary { "What the gate resolved" }
                    dl.pairs { @for each in &debt.resolved { dt { (each.table) " " code { (each.key) } } dd { code { (each.value) } } } }
                }
            }
        }
    }
}

fn document(story: &OrderStory, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="what" {
            h2 #what { "What it is" }
            @match &story.order {
                Some(order) => (contents(order, now)),
                None => p.empty { "Nothing to show until it can be read." },
            }
        }
    }
}

fn contents(order: &Order, now: Timestamp) -> Markup {
    html! {
        dl.pairs {
            dt { "Market" } dd { (order.market.name) " " code { (order.market.id) } }
            dt { "Store" } dd { (order.store.name) " " code { (order.store.id) } }
            @if let Some(method) = &order.shipping_method { dt { "Travels by" } dd { (method.name) " " code { (method.id) } } }
            @if let Some(method) = &order.payment_method { dt { "Paid by" } dd { (method) } }
            @if let Some(customer) = &order.customer { dt { "Customer" } dd { (customer.email.as_deref().unwrap_or("no e-mail")) " " code { (customer.key) } } }
            @if let Some(comment) = &order.comment { dt { "Remark" } dd { (comment) } }
        }
        table.cards.lines {
            caption { "Lines, amounts in " (order.currency.code()) }
            thead { tr {
                th scope="col" { "SKU" } th scope="col" { "Name" } th.num scope="col" { "Units" }
                th.num scope="col" { "Each, net" } th.num scope="col" { "Net" } th.num scope="col" { "Tax" }
            } }
            tbody {
                @for line in &order.lines {
                    tr {
                        th scope="row" data-label="SKU" { code { (line.sku) } }
                        td data-label="Name" { (line.name) @if let Some(kind) = line_kind(line.kind) { " " span.quiet { (kind) } } }
                        td.num data-label="Units" { (line.quantity) @if line.cancelled > 0 { " " span.quiet { "(" (line.cancelled) " cancelled)" } } }
                        td.num data-label="Each, net" { (price(line.unit_net, order.currency)) }
                        td.num data-label="Net" { (figure(line.net)) }
                        td.num data-label="Tax" { (figure(line.tax)) }
                    }
                }
            }
        }
        (sums(order))
        div.deck { (address("Delivery", order.shipping.as_ref())) (address("Invoice", order.billing.as_ref())) }
        (payments(order, now))
    }
}

fn sums(order: &Order) -> Markup {
    let charged = |charge: &Charge| !charge.net.is_zero() || !charge.tax.is_zero();
    let negative = |amount: Money| amount.negated().map_or_else(|_| figure(amount), figure);
    html! {
        table.sums {
            caption { "How it adds up, in " (order.currency.code()) }
            thead { tr { th scope="col" { span.aside { "What" } } th.num scope="col" { "Net" } th.num scope="col" { "Tax" } } }
            tbody {
                @if charged(&order.shipping_charge) { tr { th scope="row" { "Shipping" } td.num { (figure(order.shipping_charge.net)) } td.num { (figure(order.shipping_charge.tax)) } } }
                @if charged(&order.handling_charge) { tr { th scope="row" { "Handling" } td.num { (figure(order.handling_charge.net)) } td.num { (figure(order.handling_charge.tax)) } } }
                @for discount in &order.discounts {
                    tr {
                        th scope="row" { (discount.name) @if discount.tender { " " span.quiet { "pays part" } } }
                        td.num { (negative(discount.net)) } td.num { (negative(discount.tax)) }
                    }
                }
                tr.total { th scope="row" { "Total" } td.num { (figure(order.totals.net)) } td.num { (figure(order.totals.tax)) } }
                tr.total { th scope="row" { "The customer pays" } td.num colspan="2" { b { (money(order.totals.gross)) } } }
            }
        }
    }
}

fn address(title: &str, address: Option<&Address>) -> Markup {
    html! {
        div.card {
            h3 { (title) }
            @match address {
                None => p.empty { "No address." },
                Some(address) => {
                    address {
                        @for line in lines_of(address) { (line) br; }
                    }
                }
            }
        }
    }
}

fn lines_of(address: &Address) -> Vec<String> {
    let joined = |parts: &[&Option<String>]| {
        parts.iter().filter_map(|part| part.as_deref()).filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(" ")
    };
    let lines = [
        joined(&[&address.first_name, &address.last_name]),
        joined(&[&address.company]),
        joined(&[&address.attention]),
        joined(&[&address.line1]),
        joined(&[&address.line2]),
        joined(&[&address.postcode, &address.city]),
        joined(&[&address.state, &address.country]),
        joined(&[&address.email]),
        joined(&[&address.phone]),
        joined(&[&address.vat_number]),
    ];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

fn payments(order: &Order, now: Timestamp) -> Markup {
    html! {
        h3 { "Payments" }
        @if order.payments.is_empty() {
            p.empty { "No payment is recorded." }
        } @else {
            table.cards {
                thead { tr { th scope="col" { "What" } th.num scope="col" { "Amount" } th scope="col" { "Transaction" } th scope="col" { "When" } } }
                tbody {
                    @for entry in &order.payments {
                        tr {
                            td data-label="What" { (payment(entry.kind)) ", " (payment_status(entry.status)) @if let Some(method) = &entry.method { " " span.quiet { (method) } } }
                            td.num data-label="Amount" { (money(entry.amount)) }
                            td data-label="Transaction" { @match &entry.reference { Some(reference) => code { (reference) }, None => span.quiet { "none" } } }
                            td data-label="When" { (when(entry.at, now)) }
                        }
                    }
                }
            }
        }
    }
}

fn revisions(revisions: &[RevisionView], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="revisions" {
            h2 #revisions { "Revisions" }
            ol.timeline reversed {
                @for revision in revisions.iter().rev() {
                    li {
                        p { b { "Revision " (revision.revision) } " " code { (revision.id) } }
                        p.quiet {
                            "arrived " (when(revision.received_at, now))
                            @if let Some(version) = revision.version { " · made " (when(version, now)) }
                        }
                        @if !revision.changes.is_empty() {
                            ul.changes {
                                @for change in &revision.changes {
                                    li {
                                        code { (change.path) } ": "
                                        del { (change.expected.as_deref().unwrap_or("nothing")) } " → " ins { (change.actual.as_deref().unwrap_or("nothing")) }
                                    }
                                }
                            }
                        }
                        @for problem in &revision.problems { (finding(problem)) }
                    }
                }
            }
        }
    }
}

fn finding(problem: &Problem) -> Markup {
    html! { p.snag { code { (problem.path) } " " (problem.message) } }
}
