//! What helps to settle an exception, shown: why, what was said and answered, what a release would do, what became of it.

use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_flow::preview::Preview;
use selvedge_model::{Kind, people::MapEntry};
use selvedge_store::events::{EventKind, ExceptionEvent};

use super::super::words::{amounts, grouped, order_address, plural, state, when};
use crate::view::case::{CaseView, EvidenceView};

/// Why it is held, with the evidence.
pub(super) fn why(case: &CaseView, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="because" {
            h2 #because { "Why" }
            p { (case.diagnosis) }
            @if !case.siblings.is_empty() {
                p {
                    "The same cause: "
                    @for (place, one) in case.siblings.iter().enumerate() {
                        @if place > 0 { ", " }
                        a href={ "/exceptions/" (one.id) } { "in " (one.flow) } " (" (grouped(one.count)) ")"
                    }
                }
            }
            @if let Some(evidence) = &case.evidence { (exchange(evidence, now)) }
            @if !case.resolved.is_empty() {
                details {
                    summary { "The mapping in force for it" }
                    table.cards {
                        thead { tr { th scope="col" { "Table" } th scope="col" { "Ours" } th scope="col" { "Theirs" } } }
                        tbody {
                            @for one in &case.resolved {
                                tr { td data-label="Table" { (one.table) } td data-label="Ours" { code { (one.key) } } td data-label="Theirs" { code { (one.value) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A request and its answer, as they are kept.
fn exchange(evidence: &EvidenceView, now: Timestamp) -> Markup {
    let exchange = &evidence.exchange;
    html! {
        details #evidence {
            summary { "What was said and answered, of " (evidence.key) }
            p.quiet { (exchange.what) ", " (when(evidence.at, now)) ". What names a person or opens a door is left out." }
            h4 { "Sent: " (exchange.method) " " (exchange.url) }
            pre tabindex="0" { @if exchange.request.is_empty() { "(no body)" } @else { (exchange.request) } }
            h4 { @match exchange.status { Some(status) => { "Answered " (status) }, None => "Not answered" } }
            pre tabindex="0" { @if exchange.answer.is_empty() { "(no body)" } @else { (exchange.answer) } }
        }
    }
}

/// What is on its way, where it is released step by step.
pub(super) fn under_way(case: &CaseView) -> Markup {
    html! {
        @if !case.under_way.is_empty() {
            ul.held #under-way { @for one in &case.under_way { li { (one.key) " " (state(one.state)) } } }
        }
    }
}

/// What a release would do.
pub(super) fn foreseen(preview: &Preview, with: Option<&MapEntry>) -> Markup {
    let money: Vec<String> = preview.money.iter().map(ToString::to_string).collect();
    html! {
        section.card aria-labelledby="foreseen" {
            h2 #foreseen { @if with.is_some() { "What setting it and a release would do" } @else { "What a release would do now" } }
            p {
                "It holds " b { (plural(preview.records, "record", "records")) }
                @if !money.is_empty() { ", " b { (amounts(&money)) } }
                @if preview.customers > 0 { ", of " (plural(preview.customers, "customer", "customers")) }
                ". "
                @if preview.asked == 0 { "The gate has no say in these." } @else {
                    "The gate was asked about "
                    @if preview.asked < preview.records { "the oldest " (grouped(preview.asked)) } @else { "all of them" }
                    @match with {
                        Some(entry) => { ", with " code { (entry.key) } " set to " code { (entry.value) } " in " code { (entry.table) } ", and nothing was written:" }
                        None => ", with the mappings as they are, and nothing was written:",
                    }
                }
            }
            @if preview.asked > 0 {
                ul {
                    @if preview.passes > 0 { li { (grouped(preview.passes)) " would pass" } }
                    @if preview.waits > 0 { li { (grouped(preview.waits)) " would wait for something else first" } }
                    @if preview.excluded > 0 { li { (grouped(preview.excluded)) " would be left out by a rule" } }
                    @for again in &preview.held { li { (grouped(again.records)) " would be held again: " (again.message) } }
                }
            }
            @if let Some(canary) = &preview.canary {
                p {
                    "One first: "
                    @if canary.kind == Kind::Order { a href=(order_address(canary.key.as_str())) { "order " (canary.key) } } @else { (canary.kind) " " (canary.key) }
                    ". When it is confirmed the others follow by themselves; the first surprise stops them."
                }
            }
        }
    }
}

/// How a line of the history is marked.
const fn mark(kind: EventKind) -> &'static str {
    match kind {
        EventKind::CanaryPassed | EventKind::Closed => "good",
        EventKind::Surprise | EventKind::Opened | EventKind::Reopened | EventKind::Grew => "bad",
        EventKind::CanarySent | EventKind::Released => "busy",
        _ => "",
    }
}

/// What became of it so far.
pub(super) fn history(case: &CaseView, now: Timestamp) -> Markup {
    let line = |event: &ExceptionEvent| {
        html! {
            li class=(mark(event.kind)) {
                p {
                    b { (event.kind.name()) }
                    @if !event.actor.is_empty() { " by " (event.actor) }
                    " " (when(event.at, now))
                    @if !event.detail.is_empty() { span.detail { (event.detail) } }
                }
            }
        }
    };
    html! {
        section aria-labelledby="so-far" {
            h2 #so-far { "History" }
            @if case.history.is_empty() { p.empty { "Nothing is known of before." } }
            ol.timeline { @for event in &case.history { (line(event)) } }
        }
    }
}
