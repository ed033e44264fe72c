//! The part of an order's page that shows both ledgers side by side, with the difference.

use maud::{Markup, html};
use selvedge_model::{
    ConnectionName, Money,
    ledgers::{GoodsLine, Ledgers, MoneyLedger, MoneyLine, MoneyRow, Reason},
};

use super::words::{figure, grouped, money, plural};
use crate::view::{became, document};

/// Money, then goods; nothing where nobody keeps a second ledger and nothing was given back.
pub(super) fn shown(ledgers: Option<&Ledgers>, shop: &ConnectionName) -> Markup {
    let Some(ledgers) = ledgers else {
        return html! { section aria-labelledby="ledgers" { h2 #ledgers { "Both ledgers" } p.empty { "The sums are too large to be added up." } } };
    };
    if ledgers.books.is_empty() && !ledgers.gives_back() {
        return html! {};
    }
    html! {
        section aria-labelledby="ledgers" {
            h2 #ledgers { "Both ledgers" }
            p { @if ledgers.agree() { span.state.good { span aria-hidden="true" { "✓ " } "both sides agree" } } @else { span.state.bad { span aria-hidden="true" { "‖ " } "they differ" } } }
            @for ledger in &ledgers.money { (of_money(ledger, &ledgers.books, shop)) }
            @if !ledgers.goods.is_empty() { (of_goods(&ledgers.goods, &ledgers.books, shop)) }
        }
    }
}

fn of_money(ledger: &MoneyLedger, books: &[ConnectionName], shop: &ConnectionName) -> Markup {
    html! {
        table.cards.lines {
            caption { "Money with its tax, in " (ledger.currency.code()) }
            thead { tr {
                th scope="col" { span.aside { "What" } } th.num scope="col" { (shop) }
                @for name in books { th.num scope="col" { (name) } th.num scope="col" { "Difference" } }
            } }
            tbody {
                @for line in &ledger.lines {
                    tr {
                        th scope="row" data-label="Row" { @if line.row == MoneyRow::Balance { b { (line.row.title()) } } @else { (line.row.title()) } }
                        td.num data-label=(shop) { (figure(line.told)) }
                        @for (place, (name, amount)) in books.iter().zip(&line.books).enumerate() {
                            td.num data-label=(name) { (figure(*amount)) }
                            td.num data-label="Difference" { (difference(line, place)) }
                        }
                    }
                }
            }
        }
        (reasons(ledger.lines.iter().filter(|line| !line.reasons.is_empty() || !line.agrees()).map(|line| (line.row.title(), missing(line), line.reasons.as_slice()))))
    }
}

fn difference(line: &MoneyLine, place: usize) -> Markup {
    let (Some(difference), Some(by_rule)) = (line.differences.get(place), line.by_rule.get(place)) else { return html! {} };
    html! {
        @if difference == by_rule && !difference.is_zero() { span.quiet { (money(*difference)) " by rule" } }
        @else { (apart(difference.is_zero(), &money(*difference))) }
    }
}

fn missing(line: &MoneyLine) -> String {
    line.differences
        .iter()
        .filter(|difference| !difference.is_zero())
        .map(|difference| by(*difference))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What one of the books lacks or has too much.
fn by(difference: Money) -> String {
    match difference.abs() {
        Ok(size) if difference.is_negative() => format!("{} too much there", money(size)),
        Ok(size) => format!("{} not there", money(size)),
        Err(_) => money(difference),
    }
}

fn of_goods(lines: &[GoodsLine], books: &[ConnectionName], shop: &ConnectionName) -> Markup {
    let warehouses = lines.iter().any(|line| line.warehouses.is_some());
    let units = |units: Option<u64>| html! { @match units { Some(units) => (grouped(units)), None => span.quiet { "–" } } };
    html! {
        table.cards.lines {
            caption { "Goods, in units" }
            thead { tr {
                th scope="col" { span.aside { "What" } } th.num scope="col" { (shop) }
                @if warehouses { th.num scope="col" { "Warehouses" } }
                @for name in books { th.num scope="col" { (name) } }
                th.num scope="col" { "Difference" }
            } }
            tbody {
                @for line in lines {
                    tr {
                        th scope="row" data-label="Row" { (line.row.title()) }
                        td.num data-label=(shop) { (units(line.shop)) }
                        @if warehouses { td.num data-label="Warehouses" { (units(line.warehouses)) } }
                        @for (name, there) in books.iter().zip(&line.books) { td.num data-label=(name) { (units(*there)) } }
                        td.num data-label="Difference" { (apart(line.difference == 0, &grouped(line.difference))) }
                    }
                }
            }
        }
        @let differing = lines.iter().filter(|line| line.difference > 0 || !line.reasons.is_empty());
        (reasons(differing.map(|line| (line.row.title(), format!("{} apart", plural(line.difference, "unit", "units")), line.reasons.as_slice()))))
    }
}

/// A difference, marked by more than colour.
fn apart(none: bool, text: &str) -> Markup {
    html! { @if none { span.quiet { "none" } } @else { span.state.bad { span aria-hidden="true" { "‖ " } (text) } } }
}

/// What makes each difference.
fn reasons<'a>(lines: impl Iterator<Item = (&'static str, String, &'a [Reason])>) -> Markup {
    let lines: Vec<_> = lines.collect();
    html! {
        @if !lines.is_empty() {
            ul.snags {
                @for (title, apart, reasons) in lines {
                    li {
                        p { b { (title) } ": " (apart) }
                        @for one in reasons {
                            p {
                                "The " (document(one.kind)) " " code { (one.key) } " " (became(one))
                                @if let Some(exception) = one.exception { ": " a href={ "/exceptions/" (exception) } { (exception) } }
                                "."
                            }
                        }
                        @if reasons.is_empty() { p { "It follows from the rows above, or no single document explains it." } }
                    }
                }
            }
        }
    }
}
