//! `/flows`: the systems and what flows between them, as a picture and as a table; each flow has a page of its own (`one.rs`).

mod one;
mod picture;
mod replay;

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{ConnectionName, Kind, Mode};

pub(super) use self::{
    one::{back, page as one, pause, resume, sweep},
    replay::{back as back_to_replay, deliver, look, page as replay},
};
use super::{
    Failure, Frame, Place, loom,
    words::{ago, capital, flow_address, grouped, when},
};
use crate::{
    serve::App,
    view::{
        self,
        flows::{Lane, lanes},
    },
};

/// What each connection is an account on, where its name does not say so.
fn systems(app: &App) -> BTreeMap<ConnectionName, &str> {
    let connections = &app.engine.setup().connections;
    connections.iter().filter(|(name, one)| name.as_str() != one.system).map(|(name, one)| (name.clone(), one.system)).collect()
}

/// All flows.
pub(super) async fn page(State(app): State<Arc<App>>) -> Result<Markup, Failure> {
    let now = app.clock.now();
    let lanes = lanes(&app.engine, now).await?;
    let views = view::flows(&app.store, &app.brand, &app.ends(), now).await?;
    let systems = systems(&app);
    let frame = Frame::of(&app, Place::Flows, "Flows").await?;
    Ok(frame.around(html! {
        h1 { "Flows" }
        p.lead { "What flows between which systems, and where each flow stands now. The table below the picture says the same; each flow has a page of its own, where it is paused, resumed, swept again and replayed." }
        @if lanes.is_empty() {
            p.empty { "No flow is configured yet. Add one to the configuration; " code { "selvedge init" } " writes a first one." }
        } @else {
            div.wide #picture data-live tabindex="0" role="region" aria-label="The flows as a picture; the table below says the same" { (picture::drawn(&lanes, &systems)) }
            p.key aria-hidden="true" {
                span.live { "live" } span.shadow { "in shadow mode: compares, writes nothing" } span.paused { "paused by a person" } span.off { "off" }
            }
            section aria-labelledby="all" {
                h2 #all { "All flows" }
                div #lanes data-live { (table(&lanes, now)) }
            }
            section aria-labelledby="balance" {
                h2 #balance { "Balance" }
                p.lead { "Everything that was captured, and what became of it. Blue is confirmed, red is held, light blue is on its way, grey needs nothing any more." }
                div #equations data-live { @for flow in &views { (loom::balance(flow)) } }
            }
        }
    }))
}

/// The flows as a table.
fn table(lanes: &[Lane], now: Timestamp) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Flow" } th scope="col" { "From, to" } th scope="col" { "Mode" }
                th.num scope="col" { "In flight" } th.num scope="col" { "Held" } th.num scope="col" { "Confirmed" }
                th scope="col" { "Last news" } th scope="col" { "Oldest under way" }
            } }
            tbody {
                @for lane in lanes {
                    tr {
                        th scope="row" data-label="Flow" { a href=(flow_address(&lane.flow)) { (lane.flow) } " " span.quiet { (lane.kind.word().replace('_', " ")) } }
                        td data-label="From, to" { (lane.from) " → " (lane.to) }
                        td data-label="Mode" { (mode(lane)) }
                        td.num data-label="In flight" { b data-n={ (lane.flow) ".in_flight" } { (grouped(lane.in_flight)) } }
                        td.num data-label="Held" {
                            @if lane.held > 0 { a href={ "/exceptions?flow=" (super::words::part(lane.flow.as_str())) } { (grouped(lane.held)) } } @else { "0" }
                        }
                        td.num data-label="Confirmed" { (grouped(lane.done)) }
                        td data-label="Last news" { @match lane.last_arrival { Some(at) => time datetime=(at) { (ago(at, now)) }, None => span.quiet { "none yet" } } }
                        td data-label="Oldest under way" { @match lane.oldest { Some(at) => time datetime=(at) { (ago(at, now)) }, None => span.quiet { "nothing" } } }
                    }
                }
            }
        }
    }
}

/// Whether it writes, as a word and a mark.
fn mode(lane: &Lane) -> Markup {
    let (mark, tone, word) = match (&lane.paused, lane.mode) {
        (Some(_), _) => ("‖", "bad", "paused"),
        (None, Mode::Live) => ("✓", "good", "live"),
        (None, Mode::Shadow) => ("≈", "busy", "shadow"),
        (None, Mode::Off) => ("–", "quiet", "off"),
    };
    html! { span class={ "state " (tone) } { span aria-hidden="true" { (mark) " " } (word) } }
}

/// What a flow moves, at the head of a sentence.
fn moves(kind: Kind) -> String {
    let word = kind.word().replace('_', " ");
    capital(&if kind == Kind::Stock { word } else { format!("{word}s") })
}

/// When something was, or a word for never.
fn or_never(at: Option<Timestamp>, now: Timestamp, never: &str) -> Markup {
    html! { @match at { Some(at) => (when(at, now)), None => span.quiet { (never) } } }
}
