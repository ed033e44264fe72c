//! One flow drawn as a thread: from here, along the way, to there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{ConnectionName, Mode, obligation::State as At};
use selvedge_store::flows::Pause;

use super::words::{flow_address, grouped, length, meaning, plural, when};
use crate::view::{BalanceView, FlowView};

fn count(flow: &FlowView, state: At) -> u64 {
    flow.states.iter().find(|each| each.state == state).map_or(0, |each| each.count)
}

const WAY: [At; 5] = [At::Captured, At::Cleared, At::Sending, At::Unanswered, At::Delivered];

/// The whole of one flow: its way, what is held, the shares of its states, its equation, its pace.
pub(super) fn picture(flow: &FlowView, systems: &BTreeMap<ConnectionName, &str>, now: Timestamp) -> Markup {
    let held = count(flow, At::Held);
    html! {
        h3 { a href=(flow_address(&flow.flow)) { (flow.flow) } @if flow.mode != Mode::Live { " " span.quiet { (mode(flow.mode)) } } }
        @if let Some(pause) = &flow.paused { (paused(pause, now)) }
        @if let Some(says) = compared(flow) { p.quiet { (says) } }
        div.loom {
            (end(&flow.from, systems, html! { (grouped(flow.balance.terms.captured)) " captured" }))
            ol.way aria-label="On the way" {
                @for state in WAY {
                    @let count = count(flow, state);
                    li.busy[count > 0] { b data-n={ (flow.flow) "." (state.word()) } { (grouped(count)) } " " span { (meaning(state)) } }
                }
            }
            (end(&flow.to, systems, html! { (grouped(flow.balance.terms.confirmed)) " confirmed" }))
        }
        @if held > 0 { p.snag { a href="/exceptions" { b data-n={ (flow.flow) ".held" } { (grouped(held)) } " held" } " until somebody decides" } }
        (weave(flow))
        (equation(&flow.balance))
        (pace(flow))
    }
}

pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "live",
        Mode::Shadow => "in shadow mode: it compares and writes nothing",
        Mode::Off => "off",
    }
}

/// That a person has paused it, since when and why.
pub(super) fn paused(pause: &Pause, now: Timestamp) -> Markup {
    html! { p.snag { a href=(flow_address(&pause.flow)) { (pause.flow) } " is " b { "paused" } " by " (pause.by) ", " (when(pause.at, now)) ": " (pause.reason) } }
}

/// What was compared: where to see it, or what is still to be done.
fn compared(flow: &FlowView) -> Option<String> {
    let count = count(flow, At::Compared);
    match flow.mode {
        _ if count == 0 => None,
        Mode::Live => Some(format!(
            "{} compared in shadow mode and not taken over yet: selvedge flows adopt {}",
            plural(count, "record was", "records were"),
            flow.flow
        )),
        Mode::Shadow | Mode::Off => {
            Some(format!("{} compared: selvedge flows shadow {}", plural(count, "record", "records"), flow.flow))
        }
    }
}

fn end(name: &ConnectionName, systems: &BTreeMap<ConnectionName, &str>, figure: Markup) -> Markup {
    let system = systems.get(name).filter(|system| **system != name.as_str());
    html! { p.end { strong { (name) } @if let Some(system) = system { span.quiet { (system) } } span.figure { (figure) } } }
}

/// The balance of one flow: the shares of its states, and the equation.
pub(super) fn balance(flow: &FlowView) -> Markup {
    html! {
        h3 { a href=(flow_address(&flow.flow)) { (flow.flow) } }
        (weave(flow))
        (equation(&flow.balance))
    }
}

/// The shares of all states as one woven bar.
fn weave(flow: &FlowView) -> Markup {
    let all: u64 = flow.states.iter().map(|each| each.count).sum();
    if all == 0 {
        return html! {};
    }
    let mut from = 0_u128;
    let mut pieces = Vec::new();
    for each in flow.states.iter().filter(|each| each.count > 0) {
        let to = from + u128::from(each.count);
        let place = |count: u128| count * 1_000 / u128::from(all);
        pieces.push((each.state, each.count, place(from), (place(to) - place(from)).max(2)));
        from = to;
    }
    html! {
        svg.weave viewBox="0 0 1000 12" preserveAspectRatio="none" role="img" aria-label={ "States of " (flow.flow) ", by share" } {
            @for (state, count, x, width) in pieces {
                rect class=(state.word()) x=(x) y="0" width=(width) height="12" { title { (grouped(count)) " " (meaning(state)) } }
            }
        }
    }
}

/// The balance, written out.
fn equation(balance: &BalanceView) -> Markup {
    let terms = &balance.terms;
    let right = [
        ("confirmed", terms.confirmed),
        ("compared", terms.compared),
        ("in flight", terms.in_flight),
        ("held", terms.held),
        ("excluded", terms.excluded),
        ("superseded", terms.superseded),
        ("dismissed", terms.dismissed),
    ];
    html! {
        p.equation {
            (term("captured", terms.captured, &terms.flow))
            @for (place, (word, count)) in right.into_iter().enumerate() {
                span.op { @if place == 0 { " = " } @else { " + " } }
                (term(word, count, &terms.flow))
            }
            " "
            @if balance.balanced {
                span.verdict.good { "✓ it balances" }
            } @else {
                span.verdict.bad { "✗ off by " (balance.difference) }
            }
        }
    }
}

fn term(word: &str, count: u64, flow: &str) -> Markup {
    html! { span.term.none[count == 0] { b data-n={ (flow) " = " (word) } { (grouped(count)) } " " i { (word) } } }
}

/// How quickly.
fn pace(flow: &FlowView) -> Markup {
    let minutes = &flow.confirmed_per_minute;
    let most = minutes.iter().copied().max().unwrap_or(0);
    let last = minutes.last().copied().unwrap_or(0);
    html! {
        dl.pace {
            div {
                dt { "confirmed in the last minute" }
                dd { b data-n={ (flow.flow) " per minute" } { (grouped(last)) } (spark(minutes, most)) }
            }
            div {
                dt { "captured to confirmed, median" }
                dd { b { @match flow.latency { Some(latency) => (length(latency.p50_ms)), None => "–" } } }
            }
            div {
                dt { "99 of 100 within" }
                dd { b { @match flow.latency { Some(latency) => (length(latency.p99_ms)), None => "–" } } }
            }
        }
    }
}

/// The last hour, a bar a minute.
fn spark(minutes: &[u64], most: u64) -> Markup {
    let height = |count: u64| u128::from(count) * 28 / u128::from(most.max(1));
    html! {
        svg.spark viewBox={ "0 0 " (minutes.len() * 4) " 30" } role="img" {
            title { "Confirmed per minute over the last hour; at most " (grouped(most)) }
            line x1="0" y1="29.5" x2=(minutes.len() * 4) y2="29.5" {}
            @for (place, count) in minutes.iter().enumerate().filter(|(_, count)| **count > 0) {
                @let tall = height(*count).max(1);
                rect x=(place * 4) y=(29 - tall) width="3" height=(tall) {}
            }
        }
    }
}
