//! What an exception holds: records, orders that have not left, returns of which a half is missing.

use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{Kind, edit::Editable, people::Right};

use super::super::words::{grouped, money, order_address, return_address, when};
use crate::{
    people::may,
    view::{ExceptionView, HalfView, HeldView, LateView, document},
};

/// Orders that have not left whole.
pub(super) fn late_orders(exception: &ExceptionView, late: &[LateView], now: Timestamp) -> Markup {
    let shown = u64::try_from(late.len()).unwrap_or(u64::MAX);
    html! {
        section aria-labelledby="held" {
            h2 #held { "Which orders" }
            table.cards {
                thead { tr { th scope="col" { "Order" } th scope="col" { "Promised to leave by" } th.num scope="col" { "Units left" } } }
                tbody {
                    @for each in late {
                        tr {
                            th scope="row" data-label="Order" { a href=(order_address(each.order.as_str())) { (each.order) } }
                            td data-label="Promised to leave by" {
                                @match each.dispatch_by { Some(by) => (when(by, now)), None => span.quiet { "no day promised" } }
                            }
                            td.num data-label="Units left" { (grouped(each.shipped)) " of " (grouped(each.ordered)) }
                        }
                    }
                }
            }
            @if exception.count > shown { p.quiet { "The longest due " (shown) " of " (grouped(exception.count)) "." } }
        }
    }
}

/// Returns of which one half is missing.
pub(super) fn halves(exception: &ExceptionView, returns: &[HalfView]) -> Markup {
    let shown = u64::try_from(returns.len()).unwrap_or(u64::MAX);
    html! {
        section aria-labelledby="held" {
            h2 #held { "Which returns" }
            table.cards {
                thead { tr { th scope="col" { "Return" } th scope="col" { "Told by" } th.num scope="col" { "Money" } } }
                tbody {
                    @for each in returns {
                        tr {
                            th scope="row" data-label="Return" { a href=(return_address(each.key.as_str())) { (each.key) } }
                            td data-label="Told by" { (each.connection) }
                            td.num data-label="Money" { @match each.money { Some(amount) => (money(amount)), None => span.quiet { "not known" } } }
                        }
                    }
                }
            }
            @if exception.count > shown { p.quiet { "The first " (shown) " of " (grouped(exception.count)) "." } }
        }
    }
}

pub(super) fn held(exception: &ExceptionView, holds: &[HeldView], editable: &[Editable]) -> Markup {
    let may_edit = |each: &HeldView| {
        exception.open && each.waits_for.is_none() && may(Right::Act) && editable.iter().any(|one| one.kind() == each.kind)
    };
    let shown = u64::try_from(holds.len()).unwrap_or(u64::MAX);
    html! {
        section aria-labelledby="held" {
            h2 #held { "What it holds" }
            @if holds.is_empty() {
                p.empty { "Nothing now." }
            } @else {
                ul.held {
                    @for each in holds {
                        li {
                            @if each.kind == Kind::Order {
                                a href=(order_address(each.key.as_str())) { "Order " (each.key) }
                            } @else if matches!(each.kind, Kind::Return | Kind::CreditNote) {
                                a href=(return_address(each.key.as_str())) { (document(each.kind)) " " (each.key) }
                            } @else if let (Kind::Shipment | Kind::Refund, Some((order, _))) = (each.kind, each.key.as_str().split_once('.')) {
                                a href=(order_address(order)) { (document(each.kind)) " " (each.key) }
                            } @else {
                                (each.kind) " " (each.key)
                            }
                            @if may_edit(each) {
                                " " a href={ "/exceptions/" (exception.id) "?edit=" (each.obligation) "#edit" } aria-label={ "Edit " (document(each.kind)) " " (each.key) } { "Edit" }
                            }
                        }
                    }
                }
                @if exception.count > shown { p.quiet { "The oldest " (shown) " of " (grouped(exception.count)) "." } }
            }
        }
    }
}
