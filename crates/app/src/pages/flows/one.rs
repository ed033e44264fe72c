//! `/flows/{flow}`: one flow whole, and what a person may do about it: pause, resume, sweep again.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{FlowName, Interval, Kind, people::Right};
use selvedge_store::flows::{Pause, RecentRow};
use serde::Deserialize;

use super::{
    super::{
        Failure, Frame, Place, chart, done,
        loom::{self, paused},
        words::{capital, flow_address, grouped, order_address, part, plural, return_address, state, when},
    },
    mode, moves, or_never, systems,
};
use crate::{
    people::{Who, may},
    serve::App,
    view::{
        self, ExceptionView,
        flows::{FlowDetail, ProvenView, ReadingView, SweepView},
    },
};

/// What is asked to be shown besides.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    /// From when on a sweep is thought of.
    since: String,
    /// What was done: a word.
    done: String,
}

/// What was typed and did not pass: which act, what, and what is wrong with it.
#[derive(Default)]
struct Tried {
    act: &'static str,
    typed: String,
    wrong: String,
}

impl Tried {
    fn of(&self, act: &str) -> (&str, Option<&str>) {
        if self.act == act { (&self.typed, Some(&self.wrong)) } else { ("", None) }
    }
}

/// A reason.
#[derive(Deserialize)]
pub(crate) struct Reason {
    #[serde(default)]
    reason: String,
}

/// From when on.
#[derive(Deserialize)]
pub(crate) struct Since {
    since: String,
}

/// The page.
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Markup, Failure> {
    shown(&app, &FlowName(flow), &wanted, &Tried::default()).await
}

fn absent(flow: &FlowName) -> Failure {
    let name: String = flow.as_str().chars().take(100).collect();
    Failure::Absent(format!("There is no flow {name}. Those that the configuration names are listed under Flows."))
}

/// A flow that left the configuration while it was paused: what is left to do is to take the pause back.
async fn left(app: &App, flow: &FlowName, now: Timestamp) -> Result<Markup, Failure> {
    let Some(pause) = pause_of(app, flow).await? else { return Err(absent(flow)) };
    let frame = Frame::of(app, Place::Flows, format!("Flow {flow}")).await?;
    Ok(frame.around(html! {
        p.crumb { a href="/flows" { "Flows" } }
        h1 { "Flow " (flow) }
        div #stands data-live {
            p.lead { "The configuration names it no more, so that nothing of it moves." }
            (paused(&pause, now))
        }
        @if may(Right::Act) { div.deck { (resume_form(&flow_address(flow), None)) } }
    }))
}

async fn pause_of(app: &App, flow: &FlowName) -> Result<Option<Pause>, Failure> {
    let (brand, flow) = (app.brand.clone(), flow.clone());
    Ok(app.store.read(move |view| view.flow_pause(&brand, &flow)).await?)
}

async fn shown(app: &App, flow: &FlowName, wanted: &Wanted, tried: &Tried) -> Result<Markup, Failure> {
    let now = app.clock.now();
    let Some(detail) = view::flows::detail(&app.engine, flow, now).await? else { return left(app, flow, now).await };
    let foreseen = match wanted.since.trim() {
        "" => None,
        since => Some(view::flows::sweep(&app.engine, flow, since, now).await?),
    };
    let frame = Frame::of(app, Place::Flows, format!("Flow {flow}")).await?;
    let lane = &detail.lane;
    Ok(frame.around(html! {
        p.crumb { a href="/flows" { "Flows" } }
        h1 { "Flow " (flow) }
        @if let Some(message) = said(&wanted.done) { (done(message)) }
        div #stands data-live {
            p.lead { (moves(lane.kind)) " from " (lane.from) " to " (lane.to) " · " (mode(lane)) }
            @if let Some(pause) = &lane.paused { (paused(pause, now)) }
            dl.pairs {
                dt { "Last news from " (lane.from) } dd { (or_never(lane.last_arrival, now, "none yet")) }
                @if lane.kind == Kind::Stock {
                    dt { "The oldest figure shown was known right" } dd { (or_never(lane.oldest, now, "no figure is shown yet")) }
                } @else {
                    dt { "Oldest under way" } dd { (or_never(lane.oldest, now, "nothing is under way")) }
                }
            }
            @match &detail.flow {
                Some(flow) => article.card.flow { h2.aside { "Where its records stand" } (loom::picture(flow, &systems(app), now)) },
                None => p { a href="/stock" { "Its figures, warehouse by warehouse, are under Stock." } },
            }
        }
        @if detail.flow.is_some() {
            section aria-labelledby="throughput" {
                h2 #throughput { "Throughput" }
                div #hours data-live { (chart::bars("by-hour", "Confirmed or compared, by hour", "records", &chart::by_hour(&detail.hours, now))) }
            }
        }
        (acts(&detail, foreseen.as_ref(), &wanted.since, tried, now))
        section aria-labelledby="open" {
            h2 #open { "Open exceptions" }
            div #exceptions data-live { (exceptions(&detail.exceptions, flow, now)) }
        }
        @if detail.flow.is_some() {
            section aria-labelledby="recent" {
                h2 #recent { "What was captured last" }
                div #rows data-live { (recent(&detail.recent, lane.kind, now)) }
            }
        }
        (setup(&detail, now))
    }))
}

/// What was done, by the word in the address.
fn said(word: &str) -> Option<&'static str> {
    Some(match word {
        "paused" => {
            "Paused. What comes is captured and goes through the gate, and waits there; what was being written just now is finished."
        }
        "paused-before" => "It is paused already; who paused it first stays named.",
        "resumed" => "Resumed. What waited goes on.",
        "resumed-before" => "It was not paused.",
        "swept" => "Asked for. The sweep begins in a moment and shows below under What is proven.",
        _ => return None,
    })
}

/// What a person may do.
fn acts(detail: &FlowDetail, foreseen: Option<&Result<SweepView, String>>, since: &str, tried: &Tried, now: Timestamp) -> Markup {
    let address = flow_address(&detail.lane.flow);
    let act = may(Right::Act);
    html! {
        div.deck {
            @if act {
                @match &detail.lane.paused {
                    None => (pause_form(&address, detail.customers.as_ref(), tried)),
                    Some(pause) if pause.flow != detail.lane.flow => section.card aria-labelledby="resume" {
                        h2 #resume { "Resume" }
                        p { "It rests with " a href=(flow_address(&pause.flow)) { (pause.flow) } " and goes on when that is resumed." }
                    },
                    Some(_) => (resume_form(&address, detail.customers.as_ref())),
                }
            }
            @if detail.reading.is_some() { (sweep_form(&address, foreseen, since, act, now)) }
        }
        @if detail.flow.is_some() {
            section aria-labelledby="replay" {
                h2 #replay { "Replay" }
                p {
                    "What rules and mappings would make of the recorded documents now, against what was delivered; what other mappings would make of them; and delivering again what goes otherwise, a few first: "
                    a href={ (address) "/replay" } { "Replay of " (detail.lane.flow) } "."
                }
            }
        }
    }
}

fn pause_form(address: &str, customers: Option<&FlowName>, tried: &Tried) -> Markup {
    let (typed, wrong) = tried.of("pause");
    html! {
        section.card aria-labelledby="pause" {
            h2 #pause { "Pause" }
            p {
                "What comes is captured and goes through the gate, and nothing is delivered until somebody resumes the flow, through restarts, too. What was being written just now is finished."
                @if let Some(customers) = customers { " The customers of its orders, " a href=(flow_address(customers)) { (customers) } ", rest with it." }
            }
            form.act action={ (address) "/pause" } method="post" {
                label for="reason" { "Reason" }
                @if let Some(wrong) = wrong { p.wrong #wrong-reason { (wrong) } }
                div {
                    input #reason name="reason" value=(typed) required maxlength="500" autocomplete="off"
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "wrong-reason")];
                    button { "Pause the flow" }
                }
            }
        }
    }
}

fn resume_form(address: &str, customers: Option<&FlowName>) -> Markup {
    html! {
        section.card aria-labelledby="resume" {
            h2 #resume { "Resume" }
            p {
                "What waits behind the gate is delivered, the oldest first."
                @if let Some(customers) = customers { " " a href=(flow_address(customers)) { (customers) } " goes on with it." }
            }
            form.act action={ (address) "/resume" } method="post" {
                label for="reason" { "Remark (may be empty)" }
                div { input #reason name="reason" maxlength="500" autocomplete="off"; button.main { "Resume the flow" } }
            }
        }
    }
}

fn sweep_form(address: &str, foreseen: Option<&Result<SweepView, String>>, since: &str, act: bool, now: Timestamp) -> Markup {
    let wrong = foreseen.and_then(|one| one.as_ref().err());
    html! {
        section.card aria-labelledby="sweep" {
            h2 #sweep { "Sweep again" }
            p { "Everything that the source has since a moment is enumerated once more, beside the timer, and what no other way brought is fetched. Nothing is written there." }
            form.act action=(address) method="get" {
                label for="since" { "Since when: so long ago, or an instant" }
                @if let Some(wrong) = wrong { p.wrong #wrong-since { (wrong) } }
                div {
                    input #since name="since" value=(since) required maxlength="40" placeholder="3d" autocomplete="off"
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "wrong-since")];
                    button { "See what it would cover" }
                }
            }
            @if let Some(Ok(view)) = foreseen {
                div #foreseen {
                    p {
                        (capital(view.kind.word())) "s of " (view.from) " from " (when(view.interval.from, now)) " to " (when(view.interval.to, now)) ". "
                        @if view.cut { "Nothing older is captured, so it begins there. " }
                        (plural(view.known, "record", "records")) " came from there in that time; what it finds besides is news. "
                        @if view.holes.is_empty() { "Nothing in it is unproven." } @else { b { (plural(view.holes.len() as u64, "stretch", "stretches")) } " of it nobody has proven yet." }
                    }
                    @if act {
                        form.act action={ (address) "/sweep" } method="post" {
                            input type="hidden" name="since" value=(view.interval.from);
                            button.main { "Sweep it" }
                        }
                    }
                }
            }
        }
    }
}

fn exceptions(exceptions: &[ExceptionView], flow: &FlowName, now: Timestamp) -> Markup {
    html! {
        @if exceptions.is_empty() {
            p.empty { "None." }
        } @else {
            ul.snags {
                @for one in exceptions {
                    li {
                        a href={ "/exceptions/" (one.id) } { (one.message) }
                        p.quiet { code { (one.rule) } " · " @if one.count > 0 { (plural(one.count, "record", "records")) " held" } @else { "nothing held" } " · last met " (when(one.last_seen_at, now)) }
                    }
                }
            }
            p { a href={ "/exceptions?flow=" (part(flow.as_str())) } { "All of this flow" } }
        }
    }
}

fn recent(rows: &[RecentRow], kind: Kind, now: Timestamp) -> Markup {
    let address = |key: &str| match kind {
        Kind::Order => Some(order_address(key)),
        Kind::Return => Some(return_address(key)),
        _ => None,
    };
    html! {
        @if rows.is_empty() {
            p.empty { "Nothing yet." }
        } @else {
            table.cards {
                thead { tr { th scope="col" { "Record" } th scope="col" { "Stands" } th scope="col" { "Captured" } th scope="col" { "Settled" } } }
                tbody {
                    @for row in rows {
                        tr {
                            th scope="row" data-label="Record" {
                                @match address(row.key.as_str()) { Some(address) => a href=(address) { (row.key) }, None => (row.key) }
                                @if row.revision > 1 { " " span.quiet { "revision " (row.revision) } }
                            }
                            td data-label="Stands" {
                                (state(row.state))
                                @if let Some(exception) = row.exception { " " a href={ "/exceptions/" (exception) } { "by " (exception) } }
                            }
                            td data-label="Captured" { (when(row.captured_at, now)) }
                            td data-label="Settled" { @match row.settled_at { Some(at) => (when(at, now)), None => span.quiet { "under way" } } }
                        }
                    }
                }
            }
        }
    }
}

/// How it is set up, and what of its source is proven.
fn setup(detail: &FlowDetail, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="rules" {
            h2 #rules { "Rules" }
            @if detail.rules.is_empty() { p { a href="/settings#stock" { "How stock flows are set up is under Settings." } } }
            @else {
                dl.pairs { @for rule in &detail.rules { dt { (rule.what) } dd { (rule.value) } } }
                p.quiet { "They stand in " code { "[flows." (detail.lane.flow) "]" } " of the configuration; " a href="/settings" { "Settings" } " shows all of it." }
            }
        }
        @if let Some(reading) = &detail.reading {
            section aria-labelledby="proven" {
                h2 #proven { "What is proven of " (detail.lane.from) }
                div #reading data-live { (proven(reading, now)) }
            }
        }
    }
}

fn proven(reading: &ReadingView, now: Timestamp) -> Markup {
    html! {
        p { "Nothing older than " (when(reading.since, now)) " is captured." }
        @if let Some(sweep) = &reading.sweep { p { span.state.busy { "A sweep is under way" } ": " (covers(&sweep.interval)) ", " (grouped(sweep.seen)) " seen so far, " (grouped(sweep.news)) " of them news." } }
        @for hole in &reading.holes { p.snag { "Nothing proves what changed from " (when(hole.from, now)) " to " (when(hole.to, now)) ". Sweep again from before it." } }
        @if reading.proven.is_empty() {
            p.empty { "Nothing yet." }
        } @else {
            table.cards {
                thead { tr { th scope="col" { "Way" } th scope="col" { "Covers" } th.num scope="col" { "Seen" } th.num scope="col" { "News" } th scope="col" { "When" } } }
                tbody { @for one in &reading.proven { (proven_row(one, now)) } }
            }
        }
    }
}

fn proven_row(one: &ProvenView, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" data-label="Way" { (one.via) }
            td data-label="Covers" { (covers(&one.interval)) }
            td.num data-label="Seen" { (grouped(one.seen)) }
            td.num data-label="News" { (grouped(one.news)) }
            td data-label="When" { @if let Some(at) = one.at { (when(at, now)) } }
        }
    }
}

fn covers(interval: &Interval) -> String {
    let at = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M").to_string();
    format!("{} to {} UTC", at(interval.from), at(interval.to))
}

/// Pauses it.
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    who: Who,
    Form(form): Form<Reason>,
) -> Result<Response, Failure> {
    let flow = known(&app, flow)?;
    match view::reason(&form.reason) {
        Ok(reason) => {
            let news = app.actions(&who).pause(&flow, &reason).await?;
            Ok(led(&flow, if news { "paused" } else { "paused-before" }))
        }
        Err(_) => {
            let tried = Tried {
                act: "pause",
                typed: form.reason,
                wrong: "Give a reason, of at most 500 characters: whoever finds the flow paused reads it.".to_owned(),
            };
            let page = shown(&app, &flow, &Wanted::default(), &tried).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// Resumes it.
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    who: Who,
    Form(form): Form<Reason>,
) -> Result<Response, Failure> {
    // What left the configuration while it was paused is resumed, too: else its pause would be told for ever.
    let name = FlowName::new(&flow);
    let is_left = known(&app, flow).is_err();
    if is_left && pause_of(&app, &name).await?.is_none() {
        return Err(absent(&name));
    }
    let reason: String = form.reason.trim().chars().take(500).collect();
    let ended = app.actions(&who).resume(&name, &reason).await?;
    if is_left {
        return Ok(Redirect::to("/flows").into_response());
    }
    Ok(led(&name, if ended.is_some() { "resumed" } else { "resumed-before" }))
}

/// Has its source swept again.
pub(crate) async fn sweep(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    who: Who,
    Form(form): Form<Since>,
) -> Result<Response, Failure> {
    let flow = known(&app, flow)?;
    match view::flows::sweep(&app.engine, &flow, &form.since, app.clock.now()).await? {
        Ok(view) => {
            app.actions(&who).sweep_again(&view.from, view.kind, view.interval).await?;
            Ok(led(&flow, "swept"))
        }
        Err(_) => {
            let wanted = Wanted { since: form.since, ..Wanted::default() };
            let page = shown(&app, &flow, &wanted, &Tried::default()).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// Whoever loads the address of an act is led to the flow.
pub(crate) async fn back(Path(flow): Path<String>) -> Redirect {
    Redirect::to(&flow_address(&FlowName(flow)))
}

pub(super) fn known(app: &App, flow: String) -> Result<FlowName, Failure> {
    let flow = FlowName(flow);
    let setup = app.engine.setup();
    let is_one = setup.flows.iter().any(|one| one.name == flow) || setup.stocks.iter().any(|one| one.name == flow);
    if is_one { Ok(flow) } else { Err(absent(&flow)) }
}

fn led(flow: &FlowName, word: &str) -> Response {
    Redirect::to(&format!("{}?done={word}", flow_address(flow))).into_response()
}
