//! `/exceptions/{id}`: one exception as a desk. What happened, whom it hurts and by when, why (with the evidence), what to do,
//! what will happen then, and what became of it so far.

mod acts;
mod case;
mod holds;
mod words;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_flow::preview::Preview;
use selvedge_model::{
    ConnectionName, ExceptionId, ObligationId,
    people::{MapEntry, Right},
};
use serde::Deserialize;

pub(super) use self::{
    acts::{assign, back, comment, dismiss, edit, look, map, release, snooze, wake},
    words::Words,
};
use super::{
    Done, Failure, Frame, Place, differences,
    exceptions::standing,
    runbook, stock_rows,
    words::{amounts, plural, when},
};
use crate::{
    people::{guard::LIVE, may},
    serve::App,
    view::{self, ExceptionDetail, ExceptionView, case::Looking, reconcile::Filter},
};

/// Differences that are shown of an exception; the list has all of them.
const DIFFERENCES_SHOWN: &str = "20";

/// What was typed and did not pass, to be shown again: which act, what was typed by the name of its field, and what is wrong.
#[derive(Default)]
struct Tried {
    act: &'static str,
    typed: BTreeMap<String, String>,
    wrong: String,
}

impl Tried {
    /// What was typed into a field of this act, and what is wrong with it.
    fn of(&self, act: &str, field: &str) -> (&str, Option<&str>) {
        if self.act != act {
            return ("", None);
        }
        (self.typed.get(field).map_or("", String::as_str), Some(self.wrong.as_str()))
    }
}

/// What is asked to be shown besides.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    /// Not empty: what a release would do.
    preview: String,
    /// The mapping with which that is asked: its value, and at which connection where the exception does not say so.
    value: String,
    connection: String,
    /// The obligation whose order is to be edited.
    edit: String,
    /// What was done: a word.
    done: String,
}

/// One exception.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(done): Query<Done>,
    Query(mut wanted): Query<Shown>,
) -> Result<Markup, Failure> {
    // What an open page asks for by itself takes nothing of the forms and the preview.
    if headers.contains_key(LIVE) {
        wanted.preview.clear();
    }
    shown(&app, &id, &done, &wanted, &Tried::default()).await
}

fn id_of(text: &str) -> Result<ExceptionId, Failure> {
    text.parse().map_err(|error| Failure::Absent(format!("{error}.")))
}

async fn shown(app: &App, id: &str, done: &Done, wanted: &Shown, tried: &Tried) -> Result<Markup, Failure> {
    let id = id_of(id)?;
    let Some(detail) = view::exception(&app.store, &app.brand, &app.all_ends(), id).await? else {
        return Err(Failure::Absent(format!(
            "There is no exception {id}. It may belong to another store; the open ones are listed under Exceptions."
        )));
    };
    let frame = Frame::of(app, Place::Exceptions, format!("Exception {id}")).await?;
    let now = app.clock.now();
    let desk = app.engine.setup().desk.clone();
    let edit: Option<ObligationId> = wanted.edit.parse().ok();
    let looking = Looking { brand: app.brand.clone(), desk, ends: app.all_ends(), now, edit };
    let case = view::case::case(&app.store, &looking, &detail).await?;
    let ExceptionDetail { exception, holds, late, returns, mapping, .. } = &detail;
    let (preview, with, refused) = foreseen(app, &detail, wanted).await?;
    let tried = refused.as_ref().unwrap_or(tried);
    let rows = view::stock_rows(&app.store, &app.brand, &app.engine.setup().stocks, exception).await?;
    let differing = match view::reconcile::grouped_by(exception) {
        None => None,
        Some(filter) => {
            let shown = Filter { limit: DIFFERENCES_SHOWN.to_owned(), ..filter.clone() };
            // A pair that is compared no more has nothing open.
            let found = match shown.wanted(app.pairs()) {
                Ok(wanted) => view::reconcile::differences(&app.store, &app.brand, &wanted).await?.0,
                Err(_) => Vec::new(),
            };
            Some((filter, found))
        }
    };
    let people = names(app).await?;
    let nothing_tried = Tried::default();
    let words = if returns.is_empty() { Words::of(exception) } else { Words::OF_RETURNS };
    let said = words.done(done).or_else(|| acts::done(&wanted.done, exception));
    Ok(frame.around(html! {
        p.crumb { a href="/exceptions" { "Exceptions" } }
        @if let Some(message) = said { (super::done(&message)) } @else { (done.shown()) }
        // The form that it was typed into may be gone, and another record's is no place for it.
        @let typed_into = tried.typed.get("obligation").map(String::as_str);
        @let edit_again = case.edit.as_ref().is_some_and(|edit| typed_into == Some(edit.obligation.to_string().as_str()));
        @if tried.act == "edit" && !edit_again { div.notice role="alert" { p { (tried.wrong) } } }
        div #exception data-live { (about(exception, &words, &case.formula, now)) (case::under_way(&case)) }
        div #why data-live { (case::why(&case, now)) }
        @if let Some(rows) = &rows {
            div #rows data-live { (stock_rows::shown(exception, rows, now)) }
            @let settled = words::settled(exception, rows);
            div #acts data-live[settled.is_some()] {
                @if exception.open {
                    @match settled { Some(why) => p.card #settled { (why) }, None => @if may(Right::Act) { (acts::release_and_dismiss(&detail, &words, tried)) } }
                }
            }
        } @else if let Some((filter, found)) = &differing {
            div #differing data-live {
                @if exception.open {
                    (acts::look_form(exception.id, app.engine.reconciler.is_asked(&filter.pair)))
                }
                (differences::of_exception(filter, found, now))
            }
        } @else {
            @if exception.open {
                @if may(Right::Map) && let Some(asked) = mapping { (acts::map_form(exception.id, asked, &app.targets(), &case.suggestions, &wanted.value, tried)) }
                @if may(Right::Act) && let Some(edit) = &case.edit { (acts::edit_form(exception.id, edit, Some(edit.obligation) == looking.edit, if edit_again { tried } else { &nothing_tried })) }
                @if let Some(preview) = &preview { (case::foreseen(preview, with.as_ref())) }
                @if let Some(ends) = words::closes_alone(exception) {
                    p.card #settled data-live { "Nothing is held, so there is nothing to release or to dismiss: this closes by itself when " (ends) "." }
                } @else if may(Right::Act) { (acts::release_and_dismiss(&detail, &words, tried)) }
            }
            div #holds data-live {
                @if !returns.is_empty() {
                    (holds::halves(exception, returns))
                } @else if !late.is_empty() {
                    (holds::late_orders(exception, late, now))
                } @else {
                    (holds::held(exception, holds, &app.engine.setup().desk.editable))
                }
            }
        }
        @if let Some(runbook) = runbook::shown(&exception.rule) {
            details.card #runbook { summary { h3 { "Runbook" } } (runbook) }
        }
        @if may(Right::Act) { (acts::owner_forms(exception, &people, tried, now)) }
        div #history data-live { (case::history(&case, now)) }
    }))
}

/// What a release would do, and with which mapping, where that is asked for; or what is wrong with what was typed.
async fn foreseen(
    app: &App,
    detail: &ExceptionDetail,
    wanted: &Shown,
) -> Result<(Option<Preview>, Option<MapEntry>, Option<Tried>), Failure> {
    if !detail.exception.open || wanted.preview.is_empty() {
        return Ok((None, None, None));
    }
    let entry = match detail.mapping.clone().filter(|_| !wanted.value.is_empty()) {
        None => None,
        Some(asked) => {
            let connection = Some(ConnectionName(wanted.connection.clone()));
            match asked.answered(connection, &wanted.value, &app.mapping_targets()) {
                Ok(entry) => Some(entry),
                Err(wrong) => {
                    let typed = [("value".to_owned(), wanted.value.clone())].into();
                    return Ok((None, None, Some(Tried { act: "map", typed, wrong })));
                }
            }
        }
    };
    Ok((Some(app.engine.preview(detail.exception.id, entry.clone()).await?), entry, None))
}

/// Whom something can be handed over to, by the names that are shown.
async fn names(app: &App) -> Result<Vec<String>, Failure> {
    let brand = app.brand.clone();
    let people = app.store.read(move |view| view.people(&brand)).await?;
    Ok(people.into_iter().filter(|one| !one.roles.is_empty()).map(|one| one.name).filter(|name| !name.is_empty()).collect())
}

fn about(exception: &ExceptionView, words: &Words, formula: &str, now: Timestamp) -> Markup {
    html! {
        h1.long { (exception.message) }
        p.lead { (exception.remedy) }
        (standing(exception, now))
        dl.pairs {
            dt { "Holds" } dd {
                b { @if exception.count > 0 { (words.counted(exception.count)) } @else { "nothing now" } }
                @if !exception.money.is_empty() { ", " b { (amounts(&exception.money)) } }
                @if exception.customers > 0 { ", " (plural(exception.customers, "customer", "customers")) }
            }
            @if let Some(behind) = &exception.behind {
                dt { (words::behind(exception)) } dd {
                    b { (plural(behind.records, "record", "records")) }
                    @if !behind.money.is_empty() { ", " b { (amounts(&behind.money)) } }
                    @if behind.customers > 0 { ", " (plural(behind.customers, "customer", "customers")) }
                }
            }
            @if let Some(deadline) = exception.deadline { dt { "By when" } dd { (deadline.kind.name()) " " (when(deadline.at, now)) } }
            @if exception.open { dt { "Impact" } dd { (formula) } }
            dt { "Rule" } dd { code { (exception.rule) } }
            dt { "Team" } dd { (exception.team.name()) }
            @if let Some(person) = &exception.person { dt { "Person" } dd { (person) } }
            @if !exception.flow.as_str().is_empty() { dt { "Flow" } dd { (exception.flow) } }
            @if !exception.path.is_empty() { dt { "Where" } dd { code { (exception.path) } } }
            @if let Some(value) = &exception.value { dt { "What stands there" } dd { code { (value) } } }
            dt { "First met" } dd { (when(exception.first_seen_at, now)) }
            dt { "Last met" } dd { (when(exception.last_seen_at, now)) }
            @if let Some(closed) = &exception.closed { dt { "Closed" } dd { (closed) } }
            dt { "Name" } dd { code { (exception.id) } }
        }
    }
}
