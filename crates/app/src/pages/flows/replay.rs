//! `/flows/{flow}/replay`: what the rules that run would make of recorded documents now, and delivering again what goes otherwise.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{
    FlowName, Kind,
    people::{MapEntry, Right},
    replay::{
        Change, Effect,
        tally::{FieldCount, ReplayTally, Sums},
    },
};
use serde::Deserialize;

use super::{
    super::{
        Failure, Frame, Place, done,
        words::{flow_address, grouped, money, order_address, plural, return_address, state, when},
    },
    moves,
    one::known,
};
use crate::{
    people::{Who, guard::LIVE, may},
    redeliveries::{self, CANARY, Redelivery},
    serve::App,
    view::{
        mapping_csv::read_csv,
        replay::{Deliverable, ReplayView, Unfit, replay, since},
    },
};

/// Bad rows, fields and reasons that are shown.
const SHOWN_MAX: usize = 50;

/// What is looked at.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    /// Documents that arrived since.
    since: String,
    /// Other entries in the mapping tables.
    csv: String,
    /// What was done: a word.
    done: String,
}

/// What is delivered again.
#[derive(Deserialize)]
pub(crate) struct Sent {
    since: String,
    /// How many records were shown.
    records: u64,
}

/// What there is to show.
enum Shown {
    Nothing,
    Wrong(String),
    /// Rows of the mappings that are not right: line, why.
    BadRows(Vec<(u64, String)>),
    Replayed(Box<ReplayView>),
}

/// The page; with a moment in its address, what differs from what was delivered since.
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let flow = known(&app, flow)?;
    // A page that is open asks again and again how far a delivery is; what was compared stands on it already.
    let looked = match wanted.since.trim() {
        "" => Shown::Nothing,
        _ if headers.contains_key(LIVE) => Shown::Nothing,
        since => looked(&app, &flow, since, None).await?,
    };
    answer(&app, &flow, &wanted, &looked).await
}

/// What other mappings would make of it. Nothing is set.
pub(crate) async fn look(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    Form(wanted): Form<Wanted>,
) -> Result<Response, Failure> {
    let flow = known(&app, flow)?;
    let text = wanted.csv.replace("\r\n", "\n");
    let looked = match read_csv(text.as_bytes(), &app.mapping_targets()) {
        Err(rows) => Shown::BadRows(rows),
        Ok(entries) => looked(&app, &flow, &wanted.since, Some(entries)).await?,
    };
    answer(&app, &flow, &wanted, &looked).await
}

/// Begins to deliver again what differs.
pub(crate) async fn deliver(
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    who: Who,
    Form(sent): Form<Sent>,
) -> Result<Response, Failure> {
    let flow = known(&app, flow)?;
    let begun = match since(&sent.since, app.clock.now()) {
        Err(unfit) => Err(unfit.says().to_owned()),
        Ok(since) => {
            redeliveries::begin(&app, &who, &flow, since, sent.records).await?.map_err(|refused| refused.says().to_owned())
        }
    };
    match begun {
        Ok(_) => Ok(Redirect::to(&format!("{}/replay?done=begun", flow_address(&flow))).into_response()),
        Err(why) => {
            let wanted = Wanted { since: sent.since, ..Wanted::default() };
            answer(&app, &flow, &wanted, &Shown::Wrong(why)).await
        }
    }
}

/// Whoever loads the address of the act is led to the page.
pub(crate) async fn back(Path(flow): Path<String>) -> Redirect {
    Redirect::to(&format!("{}/replay", flow_address(&FlowName(flow))))
}

async fn looked(app: &App, flow: &FlowName, text: &str, entries: Option<Vec<MapEntry>>) -> Result<Shown, Failure> {
    let since = match since(text, app.clock.now()) {
        Ok(since) => since,
        Err(unfit) => return Ok(Shown::Wrong(unfit.says().to_owned())),
    };
    Ok(match replay(&app.engine, flow, since, entries).await? {
        Ok((view, _)) => Shown::Replayed(Box::new(view)),
        Err(unfit) => Shown::Wrong(unfit.says().to_owned()),
    })
}

async fn answer(app: &App, flow: &FlowName, wanted: &Wanted, shown: &Shown) -> Result<Response, Failure> {
    let now = app.clock.now();
    let setup = app.engine.setup().flows.iter().find(|one| one.name == *flow);
    let Some(setup) = setup else {
        return Err(Failure::refused(StatusCode::UNPROCESSABLE_ENTITY, "Nothing to replay", Unfit::of_stock(flow).says()));
    };
    let run = app.redeliveries.of(flow);
    let busy = run.as_ref().is_some_and(|run| run.ended_at.is_none());
    let frame = Frame::of(app, Place::Flows, format!("Replay of {flow}")).await?;
    let page = frame.around(html! {
        p.crumb { a href="/flows" { "Flows" } " · " a href=(flow_address(flow)) { (flow) } }
        h1 { "Replay of " (flow) }
        @if wanted.done == "begun" { (done("Begun. The first few go through the gate now; how far it is shows below.")) }
        p.lead {
            (moves(setup.kind)) " as they were recorded, decoded anew and put through rules and mappings as they are now. Nothing is written and no system is called, until you say so."
        }
        div #run data-live { @if let Some(run) = &run { (how_far(run, now)) } }
        (forms(flow, wanted, shown))
        @if let Shown::Replayed(view) = shown { (result(view, setup.kind, busy, now)) }
        section aria-labelledby="other" {
            h2 #other { "Under another configuration" }
            p {
                "Rules of a configuration that is not in place yet are tried where its file is: "
                code { "selvedge replay --flow " (flow) " --since 7d --with candidate.toml" } "."
            }
        }
    });
    let status = match shown {
        Shown::Wrong(_) | Shown::BadRows(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Shown::Nothing | Shown::Replayed(_) => StatusCode::OK,
    };
    Ok((status, page).into_response())
}

fn forms(flow: &FlowName, wanted: &Wanted, shown: &Shown) -> Markup {
    let address = format!("{}/replay", flow_address(flow));
    let since = if wanted.since.is_empty() { "7d" } else { &wanted.since };
    let mapped = !wanted.csv.is_empty();
    let wrong = |here: bool| match shown {
        Shown::Wrong(why) if here => Some(why),
        _ => None,
    };
    let (first, second) = (wrong(!mapped), wrong(mapped));
    let rows = if let Shown::BadRows(rows) = shown { rows.as_slice() } else { &[] };
    html! {
        div.deck {
            section.card aria-labelledby="delivered" {
                h2 #delivered { "Against what was delivered" }
                p { "After rules or mappings changed: which records would go otherwise now than they went, or pass now that were held. Those can be delivered again." }
                form.act action=(address) method="get" {
                    label for="since" { "Documents since: so long ago, or an instant" }
                    @if let Some(why) = first { p.wrong #wrong-since role="alert" { (why) } }
                    div {
                        input #since name="since" value=(since) required maxlength="40" autocomplete="off"
                            aria-invalid=[first.map(|_| "true")] aria-describedby=[first.map(|_| "wrong-since")];
                        button.main { "Compare" }
                    }
                }
            }
            @if may(Right::Map) {
                section.card aria-labelledby="mapped" {
                    h2 #mapped { "Under other mappings" }
                    p { "Before mappings change: what these entries would have made of the last days. Those that are not named stay as they are; nothing is set." }
                    form action=(address) method="post" {
                        label for="since-mapped" { "Documents since" }
                        @if let Some(why) = second { p.wrong #wrong-mapped role="alert" { (why) } }
                        input #since-mapped name="since" value=(since) required maxlength="40" autocomplete="off"
                            aria-invalid=[second.map(|_| "true")] aria-describedby=[second.map(|_| "wrong-mapped")];
                        label for="csv" { "Entries, as the export of mappings writes them" }
                        @if !rows.is_empty() {
                            div.wrong #bad role="alert" {
                                p { "Nothing was compared. " (plural(rows.len() as u64, "row is", "rows are")) " not right:" }
                                ul {
                                    @for (line, why) in rows.iter().take(SHOWN_MAX) { li { "Line " (line) ": " (why) } }
                                    @if rows.len() > SHOWN_MAX { li { "and " (rows.len() - SHOWN_MAX) " more" } }
                                }
                            }
                        }
                        textarea #csv name="csv" rows="4" required spellcheck="false" autocomplete="off" placeholder="connection,table,key,value"
                            aria-invalid=[(!rows.is_empty()).then_some("true")] aria-describedby=[(!rows.is_empty()).then_some("bad")] { "\n" (wanted.csv) }
                        div { button { "See what they would do" } }
                    }
                }
            }
        }
    }
}

fn sums(sums: &Sums) -> String {
    sums.iter().map(money).collect::<Vec<_>>().join(" + ")
}

fn result(view: &ReplayView, kind: Kind, busy: bool, now: Timestamp) -> Markup {
    let tally = &view.tally;
    let other = tally.records.saturating_sub(tally.same);
    html! {
        section aria-labelledby="result" {
            h2 #result { "What would be different" }
            p #says role="status" {
                "Documents since " (when(view.since, now)) ": " (plural(tally.records, "record", "records")) ", "
                @if tally.records == 0 { "so there is nothing to compare." }
                @else if other == 0 { "every one of them the same." }
                @else { b { (grouped(other)) } " would go otherwise, " (grouped(tally.same)) " the same." }
            }
            @if let Some(until) = view.until {
                p.notice { "There are more documents than one look takes: it ends with those that arrived by " (when(until, now)) ". Compare again from there, or use " code { "selvedge replay" } ", which takes all." }
            }
            @if other > 0 {
                (counts(tally))
                @if let Some(deliverable) = &view.deliverable { (deliver_form(view, *deliverable, busy)) }
                @let fields = tally.fields.top();
                @if !fields.is_empty() { (fields_table(&fields, kind)) }
                (reasons("Newly held, because", &tally.held_for.top()))
                (reasons("No longer held, because this was mended", &tally.were_held_for.top()))
                (examples(tally, kind))
            }
        }
    }
}

fn counts(tally: &ReplayTally) -> Markup {
    let with = |amounts: &Sums| if amounts.is_empty() { String::new() } else { format!(", {}", sums(amounts)) };
    html! {
        dl.pairs {
            @for (what, count, amounts) in [
                ("With other content", tally.changed, if tally.money_moved.is_empty() { String::new() } else { format!(", moves {}", sums(&tally.money_moved)) }),
                ("Newly held", tally.newly_held, with(&tally.money_newly_held)),
                ("Newly passing", tally.newly_passing, with(&tally.money_newly_passing)),
                ("In another way: left out, waiting, or held for another reason", tally.otherwise, String::new()),
            ] {
                @if count > 0 { dt { (what) } dd { (grouped(count)) (amounts) } }
            }
        }
    }
}

fn deliver_form(view: &ReplayView, deliverable: Deliverable, busy: bool) -> Markup {
    let Deliverable { records, would_not_pass, left_out } = deliverable;
    html! {
        @if records > 0 {
            p {
                (plural(records, "record passes", "records pass")) " now and would go otherwise than before."
                @if would_not_pass > 0 { " " (plural(would_not_pass, "other would not pass, and is left as it is", "others would not pass, and are left as they are")) "." }
                @if left_out > 0 { " " (plural(left_out, "further record passes", "further records pass")) ", and this delivery does not take " @if left_out == 1 { "it" } @else { "them" } ": never entered for this flow, or over the limit." }
            }
            @if busy {
                p.quiet { "A delivery of this flow is under way; another one can begin when it has ended." }
            } @else if may(Right::Act) {
                form.act action={ (flow_address(&view.flow)) "/redeliver" } method="post" {
                    p { "They go through the gate once more and are written where they stand: " (CANARY.min(usize::try_from(records).unwrap_or(CANARY))) " first. The others follow when those are read back and equal; the first one that is not stops it." }
                    input type="hidden" name="since" value=(view.since);
                    input type="hidden" name="records" value=(records);
                    button.main { "Deliver " (plural(records, "record", "records")) " again" }
                }
            }
        } @else if would_not_pass + left_out > 0 {
            p.quiet {
                "There is nothing to deliver again."
                @if would_not_pass > 0 { " " (plural(would_not_pass, "record would not pass now", "records would not pass now")) "." }
                @if left_out > 0 { " " (plural(left_out, "record passes, and was never entered for this flow", "records pass, and were never entered for this flow")) "." }
            }
        }
    }
}

fn side(text: Option<&String>) -> Markup {
    match text {
        Some(text) => html! { (text) },
        None => html! { span.quiet { "nothing" } },
    }
}

fn record(kind: Kind, key: &str) -> Markup {
    match kind {
        Kind::Order => html! { a href=(order_address(key)) { (key) } },
        Kind::Return => html! { a href=(return_address(key)) { (key) } },
        _ => html! { (key) },
    }
}

fn fields_table(fields: &[(&str, &FieldCount)], kind: Kind) -> Markup {
    html! {
        h3 { "Which fields" }
        table.cards {
            thead { tr { th scope="col" { "Field" } th.num scope="col" { "Records" } th scope="col" { "Money" } th scope="col" { "As in" } th scope="col" { "Before" } th scope="col" { "Now" } } }
            tbody {
                @for (path, field) in fields.iter().take(SHOWN_MAX) {
                    tr {
                        th scope="row" data-label="Field" { code { (path) } }
                        td.num data-label="Records" { (grouped(field.records)) }
                        td data-label="Money" { (sums(&field.money)) }
                        td data-label="As in" { (record(kind, &field.example)) }
                        td data-label="Before" { del { (side(field.before.as_ref())) } }
                        td data-label="Now" { ins { (side(field.after.as_ref())) } }
                    }
                }
            }
        }
        @if fields.len() > SHOWN_MAX { p.quiet { "and " (fields.len() - SHOWN_MAX) " more fields" } }
    }
}

fn reasons(title: &str, reasons: &[(&str, u64)]) -> Markup {
    html! {
        @if !reasons.is_empty() {
            h3 { (title) }
            ul { @for (reason, count) in reasons.iter().take(SHOWN_MAX) { li { code { (reason) } ": " (plural(*count, "record", "records")) } } }
        }
    }
}

fn examples(tally: &ReplayTally, kind: Kind) -> Markup {
    let more = tally.records.saturating_sub(tally.same).saturating_sub(tally.examples.len() as u64);
    html! {
        h3 { "Some of them" }
        ul.plain {
            @for example in &tally.examples { li { (record(kind, &example.key)) ": " (effect(&example.foreseen)) } }
        }
        @if more > 0 { p.quiet { "and " (grouped(more)) " more" } }
    }
}

fn effect(effect: &Effect) -> Markup {
    let first = |problems: &[selvedge_model::Problem]| problems.first().map_or(String::new(), |problem| problem.message.clone());
    let field = |change: &Change| {
        html! { code { (change.path) } " " del { (side(change.before.as_ref())) } " " ins { (side(change.after.as_ref())) } }
    };
    html! {
        @match effect {
            Effect::Same => "the same",
            Effect::Changed { fields } => {
                @for (place, change) in fields.iter().take(5).enumerate() { @if place > 0 { "; " } (field(change)) }
                @if fields.len() > 5 { "; and " (fields.len() - 5) " more" }
            }
            Effect::NewlyHeld { problems } => { "would be held: " (first(problems)) }
            Effect::NewlyPassing { problems } => { "would pass; it was held: " (first(problems)) }
            Effect::Otherwise { before, after } => { (before) " → " (after) }
        }
    }
}

/// How far a delivery is, or how it ended.
fn how_far(run: &Redelivery, now: Timestamp) -> Markup {
    let at = &run.delivered;
    let well = run.broke.is_none() && at.went_well();
    html! {
        section.card aria-labelledby="run-head" {
            h2 #run-head { @match run.ended_at {
                None => "Delivering again",
                Some(_) if well => "Delivered again",
                Some(_) => "Delivering again stopped",
            } }
            p {
                (grouped(at.confirmed)) " of " (plural(run.records, "record", "records")) " read back and equal"
                @if at.overtaken > 0 { ", " (grouped(at.overtaken)) " overtaken by a newer revision" }
                @if at.waiting > 0 { ", " (grouped(at.waiting)) " under way" }
                @if at.left > 0 { ", " (grouped(at.left)) " not begun" }
                ". Begun by " (run.asked_by) ", " (when(run.asked_at, now))
                @if let Some(ended) = run.ended_at { "; ended " (when(ended, now)) }
                "."
            }
            @if let Some(why) = &run.broke { p.wrong { (why) } }
            @if !at.surprises.is_empty() {
                p.wrong { "What was not confirmed stops it: the others rest on the same rules. Mend the cause, then compare again." }
                ul { @for one in &at.surprises { li { (one.key) ": " (state(one.state)) @if !one.why.is_empty() { ", " (one.why) } } } }
            }
            @if run.ended_at.is_some() && at.waiting > 0 && at.surprises.is_empty() {
                p.wrong { "Nothing moved any more, so nobody waited longer. What is under way goes on by itself; see whether the connection is up." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_delivered_again_is_told_too() {
        let said = |records, would_not_pass, left_out| {
            let view = ReplayView {
                flow: "orders".into(),
                since: Timestamp::UNIX_EPOCH,
                until: None,
                tally: ReplayTally::default(),
                deliverable: None,
            };
            deliver_form(&view, Deliverable { records, would_not_pass, left_out }, true).into_string()
        };
        assert_eq!(said(0, 0, 0), "");
        let nothing = said(0, 2, 1);
        for words in ["nothing to deliver again", "2 records would not pass now", "1 record passes, and was never entered"] {
            assert!(nothing.contains(words), "{words}: {nothing}");
        }
        assert!(!said(0, 0, 3).contains("would not pass"));
        let some = said(2, 0, 1);
        assert!(some.contains("1 further record passes, and this delivery does not take it"), "{some}");
    }
}
