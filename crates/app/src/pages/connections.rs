//! `/connections`: each account on a system: whether calls come through, what is used of its limits, until when its credentials
//! are good, and what about it needs somebody.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{ConnectionName, FlowName};

use super::{
    Failure, Frame, Place,
    today::{limits, spent},
    words::{ago, capital, flow_address, grouped, length, part, plural, when},
};
use crate::{
    serve::App,
    view::{
        ExceptionView,
        connections::{ConnectionView, Credentials, Health},
    },
};

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>) -> Result<Markup, Failure> {
    let now = app.clock.now();
    let connections = app.connections().await?;
    let frame = Frame::of(&app, Place::Connections, "Connections").await?;
    Ok(frame.around(html! {
        h1 { "Connections" }
        p.lead { "The accounts on the systems: whether calls come through, and how much of what each system grants is used." }
        @if connections.is_empty() { p.empty { "No connection is configured yet. Add " code { "[connections.shop]" } " to the configuration." } }
        @for (place, one) in connections.iter().enumerate() {
            section.card aria-labelledby={ "connection-" (place) } {
                h2 #{ "connection-" (place) } { (one.name) " " @if one.system != one.name.as_str() { span.quiet { "on " (one.system) } } }
                div #{ "now-" (place) } data-live { (card(one, now)) }
            }
        }
    }))
}

fn card(one: &ConnectionView, now: Timestamp) -> Markup {
    html! {
        p { (health(one)) }
        dl.pairs {
            dt { "Last answer" } dd { @match one.answered_at { Some(at) => (when(at, now)), None => span.quiet { "none since the start" } } }
            @if let Some(at) = one.failed_at {
                dt { "Last failure" } dd { (when(at, now)) @if let Some(how) = &one.failed { ": " (how) } }
            }
            dt { "Calls" }
            dd {
                (grouped(one.calls.calls)) " in all"
                @if let Some(per_order) = &one.calls.per_order { ", " (per_order) " per order" }
                @if one.calls.under_way > 0 { ", " (one.calls.under_way) " under way" }
                @if one.calls.waiting > 0 { ", " (one.calls.waiting) " waiting for room" }
                @if one.calls.throttled > 0 { ", " (grouped(one.calls.throttled)) " answered \"too many\"" }
                @if one.calls.lost > 0 { ", " (grouped(one.calls.lost)) " got no answer" }
            }
            @for (kind, last) in &one.arrivals {
                dt { "Last " (kind.word().replace('_', " ")) } dd { @match last { Some(at) => time datetime=(at) { (ago(*at, now)) }, None => span.quiet { "none yet" } } }
            }
            @if !one.reads.is_empty() { dt { "Read by" } dd { (flows(&one.reads)) } }
            @if !one.writes.is_empty() { dt { "Written by" } dd { (flows(&one.writes)) } }
            dt { "Credentials" } dd { (credentials(one, now)) }
        }
        h3 { "Limits and calls" }
        (limits(&one.calls))
        (spent(&one.calls))
        h3 { "Open exceptions" }
        (exceptions(&one.exceptions, one, now))
    }
}

/// How it does, as a mark and a word, and what to do.
fn health(one: &ConnectionView) -> Markup {
    let rests = one.rests_ms.map(|ms| format!(" for {}", length(ms))).unwrap_or_default();
    let (mark, tone, word, next) = match one.health {
        Health::Well => ("✓", "good", "calls come through", String::new()),
        Health::Untried => ("–", "quiet", "nothing was called since the start", String::new()),
        Health::Paused => ("→", "busy", "it pauses", format!("The system asked for it{rests}; what waits goes on by itself.")),
        Health::Failing => (
            "‖",
            "bad",
            "the last call failed",
            "It is tried again by itself. If that goes on, see whether the system is up.".to_owned(),
        ),
        Health::Resting => (
            "‖",
            "bad",
            "it rests",
            format!(
                "Several calls in a row failed, so it is left alone{rests}; then one call is tried. See whether the system is up."
            ),
        ),
        Health::Refused => (
            "‖",
            "bad",
            "we are not let in",
            format!(
                "{}he credential is wrong, has expired or may not do this. Renew it, and see selvedge check.",
                match one.answered {
                    Some(status @ (401 | 403)) => format!("The last answer was {status}: t"),
                    _ => "T".to_owned(),
                }
            ),
        ),
    };
    html! {
        span class={ "state " (tone) } { span aria-hidden="true" { (mark) " " } (capital(word)) } "."
        @if !next.is_empty() { " " (next) }
    }
}

fn flows(flows: &[FlowName]) -> Markup {
    html! { @for (place, flow) in flows.iter().enumerate() { @if place > 0 { ", " } a href=(flow_address(flow)) { (flow) } } }
}

/// Where they are kept and until when they are good, as far as that is known.
fn credentials(one: &ConnectionView, now: Timestamp) -> Markup {
    let known = &one.credentials;
    html! {
        @match (known.until, one.days_left) {
            (Some(until), Some(days)) => {
                @if days < 0 { span.state.bad { "‖ expired on " (until) } ". Renew it now." }
                @else if known.want_renewing(now) { span.state.bad { "‖ good until " (until) ", " (plural(u64::from(days.unsigned_abs()), "day", "days")) " from now" } ". Renew it before." }
                @else { span.state.good { "✓ good until " (until) } }
            }
            _ => { span.quiet { "Until when they are good is not known: the system does not tell. Note it as " code { "expires = \"2027-01-31\"" } " in " code { "[connections." (one.name) "]" } "." } }
        }
        @for (setting, place) in &known.kept { br; code { (setting) } " is kept in " (place) }
    }
}

fn exceptions(exceptions: &[ExceptionView], one: &ConnectionView, now: Timestamp) -> Markup {
    html! {
        @if exceptions.is_empty() {
            p.empty { "None." }
        } @else {
            ul.snags {
                @for exception in exceptions {
                    li {
                        a href={ "/exceptions/" (exception.id) } { (exception.message) }
                        p.quiet { code { (exception.rule) } " · last met " (when(exception.last_seen_at, now)) }
                    }
                }
            }
            p { a href={ "/exceptions?connection=" (part(one.name.as_str())) } { "All of this connection" } }
        }
    }
}

/// On the page of today: credentials that want renewing.
pub(super) fn renew(credentials: &BTreeMap<ConnectionName, Credentials>, now: Timestamp) -> Markup {
    html! {
        @for (name, one) in credentials.iter().filter(|(_, one)| one.want_renewing(now)) {
            @if let (Some(until), Some(days)) = (one.until, one.days_left(now)) {
                p.snag {
                    a href="/connections" { "The credential of " (name) }
                    @if days < 0 { " expired on " (until) } @else { " is good until " (until) " only" } ". Renew it."
                }
            }
        }
    }
}
