//! On `/mappings`: what the last pre-flight found.

use jiff::Timestamp;
use maud::{Markup, html};

use super::words::when;
use crate::view::{GapView, PreflightView};

/// Gaps that are shown of one flow.
const SHOWN_MAX: usize = 100;
/// Mappings without a use that are shown of one flow.
const IDLE_MAX: usize = 50;

pub(super) fn section(found: &[PreflightView], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="preflight" {
            h2 #preflight { "Pre-flight" }
            p.lead { "Every value that the shop can send, looked up before an order carries it. Suggestions are never taken by themselves." }
            @if found.is_empty() {
                p.empty { "It has not been looked yet. It is every night; at once: " code { "selvedge check --mappings" } }
            }
            @for one in found { (flow(one, now)) }
        }
    }
}

fn flow(view: &PreflightView, now: Timestamp) -> Markup {
    let found = &view.found;
    html! {
        h3 { (found.flow) " " span.quiet { (found.from) " → " (found.to) ", " (when(found.at, now)) } }
        p { (found.lookups) " values looked up: " (view.values()) ", and " (found.orders) " orders of the last " (found.days) " days." }
        @for (list, why) in &found.unlisted {
            p.quiet { "No list of " (list.words()) ": " (why) ". Those of recent orders were looked up in their place." }
        }
        @if view.gaps.is_empty() {
            p { "Every value has its answer." }
        } @else {
            table.cards {
                thead { tr { th scope="col" { "What would stop" } th scope="col" { "Orders" } th scope="col" { "Money" } th scope="col" { "Perhaps" } } }
                tbody {
                    @for gap in view.gaps.iter().take(SHOWN_MAX) { (row(gap)) }
                }
            }
            @if view.gaps.len() > SHOWN_MAX {
                p.quiet { "and " (view.gaps.len() - SHOWN_MAX) " more: " code { "selvedge check --mappings" } }
            }
        }
        @if !found.dangling.is_empty() || !found.unused.is_empty() {
            details {
                summary { (found.dangling.len()) " mappings point at what is gone; " (found.unused.len()) " are asked for by nothing that can be sent" }
                ul {
                    @for idle in found.dangling.iter().take(IDLE_MAX) { li { code { (idle.table) " " (idle.key) } " → " code { (idle.value) } ": gone or inactive there" } }
                    @for idle in found.unused.iter().take(IDLE_MAX) { li { code { (idle.table) " " (idle.key) } " → " code { (idle.value) } ": nothing asks for it" } }
                }
            }
        }
    }
}

fn row(view: &GapView) -> Markup {
    let gap = &view.gap;
    html! {
        tr {
            td data-label="What would stop" { (view.message) }
            td data-label="Orders" {
                (gap.carried.orders)
                @if !gap.carried.samples.is_empty() { " " span.quiet { "as " (gap.carried.samples.join(", ")) } }
            }
            td data-label="Money" { (view.money.join(", ")) }
            td data-label="Perhaps" {
                @for (near, command) in gap.suggestions.iter().zip(&view.commands) {
                    p { (near.name) " " span.quiet { (near.likeness) " % alike" } br; code { (command) } }
                }
            }
        }
    }
}
