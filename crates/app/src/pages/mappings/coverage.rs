//! On `/mappings`: how far each table reaches.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    super::words::{ago, grouped, part, plural},
    Wanted, history,
};
use crate::view::coverage::Coverage;

pub(super) fn section(tables: &[Coverage], now: Timestamp) -> Markup {
    let lacking = tables.iter().filter(|table| table.lacks()).count();
    html! {
        section aria-labelledby="coverage" {
            h2 #coverage { "Coverage" }
            @if tables.is_empty() {
                p.empty { "No target asks a table." }
            } @else {
                p.lead {
                    @if lacking == 0 { "Every value that was asked for has its answer." }
                    @else { (plural(lacking as u64, "table lacks", "tables lack")) " answers. What is missing is listed under Pre-flight." }
                }
                table.cards {
                    thead { tr {
                        th scope="col" { "Table" } th.num scope="col" { "Entries" } th.num scope="col" { "Names at the target" } th scope="col" { "Whatever has none" }
                        th.num scope="col" { "Without an answer" } th.num scope="col" { "In orders of late" } th.num scope="col" { "Held now" } th scope="col" { "Changed" }
                    } }
                    tbody { @for one in tables { (row(one, now)) } }
                }
            }
        }
    }
}

fn row(one: &Coverage, now: Timestamp) -> Markup {
    let of = Wanted { connection: one.connection.0.clone(), table: one.table.clone(), ..Wanted::default() };
    html! {
        tr {
            th scope="row" data-label="Table" {
                a href={ (of.address()) "#set" } { (one.table) } " " span.quiet { "at " (one.connection) @if !one.parts.is_empty() { ", by " (one.parts.join(", ")) } }
            }
            td.num data-label="Entries" { (grouped(one.entries)) }
            td.num data-label="Names at the target" { @if one.listed > 0 { (grouped(one.listed)) } @else { span.quiet { "–" } } }
            td data-label="Whatever has none" { @match &one.default { Some(value) => code { (value) }, None => span.quiet { "is held" } } }
            td.num data-label="Without an answer" { @if one.missing > 0 { a href="#preflight" { b { (grouped(one.missing)) } } } @else { "0" } }
            td.num data-label="In orders of late" { @if one.missing_of_late > 0 { (grouped(one.missing_of_late)) " in " (plural(one.orders_of_late, "order", "orders")) } @else { "0" } }
            td.num data-label="Held now" { @if one.held > 0 { a href={ "/exceptions?rule=" (part("mapping.")) "&text=" (part(&one.table)) } { b { (grouped(one.held)) } } } @else { "0" } }
            td data-label="Changed" {
                @match &one.changed {
                    Some((by, at)) => a href=(history::address(one.connection.as_str(), &one.table, "", None)) { (by) ", " (ago(*at, now)) },
                    None => span.quiet { "never" },
                }
            }
        }
    }
}
