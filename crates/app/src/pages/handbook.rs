//! `/handbook`: how this brand is set up, and the checklists of the day and of the month; to be read, printed, ticked and signed.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{
    checklist::{Checklist, Seen},
    people::Right,
};
use serde::Deserialize;

use super::{
    Failure, Frame, Place, runbook,
    words::{grouped, part, when},
};
use crate::{
    people::{Who, may},
    serve::App,
    view::handbook::{
        self, CheckView, ChecklistView, Handbook, TableView,
        owners::{OwnerRow, Runbook},
    },
};

/// The handbook.
pub(super) async fn page(State(app): State<Arc<App>>) -> Result<Markup, Failure> {
    let now = app.clock.now();
    let book = handbook::handbook(&app.store, &app.brand, &app.facts, now).await?;
    let frame = Frame::of(&app, Place::Handbook, "Handbook").await?;
    Ok(frame.around(html! {
        h1 { "Handbook" }
        p.lead { "Told from the configuration as it is now, so it is always true. " a href="/handbook.md" { "As Markdown" } "; this page prints." }
        @for list in &book.lists { (summary(list)) }
        (systems(&book))
        (homes(&book))
        (compared(&book))
        (tables(&book, now))
        (owners(&book.owners))
        (months(&book))
        (entries(&book.tables))
        (runbooks(&book.runbooks))
    }))
}

/// The same as Markdown.
pub(super) async fn markdown(State(app): State<Arc<App>>) -> Result<Response, Failure> {
    let book = handbook::handbook(&app.store, &app.brand, &app.facts, app.clock.now()).await?;
    Ok(([(axum::http::header::CONTENT_TYPE, "text/markdown; charset=utf-8")], crate::handbook::markdown(&book)).into_response())
}

fn address(list: Checklist, period: &str) -> String {
    format!("/handbook/{}/{}", list.word(), part(period))
}

fn summary(list: &ChecklistView) -> Markup {
    let done = list.checks.iter().filter(|check| check.tick.is_some()).count();
    html! {
        section.card {
            h2 { a href=(address(list.list, &list.period)) { (list.list.name()) ", " (list.period) } }
            p {
                @if let Some(signed) = &list.signed { span.state.good { "Signed by " (signed.actor) } }
                @else { (done) " of " (list.checks.len()) " looked at" }
                @let bad = list.checks.iter().filter(|check| check.seen == Seen::Bad && check.tick.is_none()).count();
                @if bad > 0 { " · " span.state.bad { (bad) " not as they should be" } }
            }
        }
    }
}

fn systems(book: &Handbook) -> Markup {
    html! {
        h2 { "Systems" }
        table.cards {
            thead { tr { th scope="col" { "Connection" } th scope="col" { "System" } } }
            tbody { @for (name, system) in &book.systems { tr { th scope="row" data-label="Connection" { (name) } td data-label="System" { (system) } } } }
        }
    }
}

fn homes(book: &Handbook) -> Markup {
    html! {
        h2 { "Where each record lives" }
        p.quiet { "The master is where it is changed; everywhere else it is a copy, and a change there is found and told." }
        table.cards {
            thead { tr { th scope="col" { "Record" } th scope="col" { "Master" } th scope="col" { "Copies" } } }
            tbody {
                @for home in &book.homes {
                    tr {
                        th scope="row" data-label="Record" { (home.what) }
                        td data-label="Master" { (home.master) }
                        td data-label="Copies" {
                            @for (at, copy) in home.copies.iter().enumerate() {
                                @if at > 0 { ", " }
                                (copy.to) " " span.quiet { "by " (copy.flow) @if copy.mode != "live" { ", " (copy.mode) } }
                                @if !copy.theirs.is_empty() { " " span.quiet { "(its own there: " (copy.theirs.join(", ")) ")" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn compared(book: &Handbook) -> Markup {
    html! {
        h2 { "What is compared" }
        @if book.pairs.is_empty() { p.empty { "Nothing: no flow brings two ends together, and no pair is named." } }
        @else {
            table.cards {
                thead { tr { th scope="col" { "Pair" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "What" } } }
                tbody {
                    @for (name, from, to, what) in &book.pairs {
                        tr { th scope="row" data-label="Pair" { a href="/reconcile" { (name) } } td data-label="From" { (from) } td data-label="To" { (to) } td data-label="What" { (what) } }
                    }
                }
            }
        }
    }
}

fn tables(book: &Handbook, now: Timestamp) -> Markup {
    html! {
        h2 { "Mapping tables" }
        table.cards {
            thead { tr { th scope="col" { "Table" } th scope="col" { "Target" } th scope="col" { "Key" } th.num scope="col" { "Entries" } th scope="col" { "Else" } th scope="col" { "Last changed" } } }
            tbody {
                @for (at, table) in book.tables.iter().enumerate() {
                    tr {
                        th scope="row" data-label="Table" { a href=(entries_at(at, table)) { code { (table.table) } } }
                        td data-label="Target" { (table.connection) }
                        td data-label="Key" { (table.parts.join(", ")) }
                        td.num data-label="Entries" { (grouped(table.entries)) }
                        td data-label="Else" { @match &table.default { Some(value) => code { (value) }, None => span.quiet { "held" } } }
                        td data-label="Last changed" { @match &table.changed { Some((who, at)) => { (who) " " (when(*at, now)) }, None => span.quiet { "–" } } }
                    }
                }
            }
        }
    }
}

fn owners(rows: &[OwnerRow]) -> Markup {
    html! {
        h2 { "Who owns which exception" }
        p.quiet { "The first row that fits decides. What was handed over by hand stays with whom it was given to." }
        table.cards {
            thead { tr { th scope="col" { "Rule" } th scope="col" { "Only" } th scope="col" { "Whose" } th scope="col" { "What it is" } th scope="col" { "What to do" } } }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" data-label="Rule" {
                            @if row.rules.is_empty() { "any other" }
                            @for (at, rule) in row.rules.iter().enumerate() { @if at > 0 { ", " } code { (rule) } }
                        }
                        td data-label="Only" { @if row.only().is_empty() { span.quiet { "–" } } @else { (row.only()) } }
                        td data-label="Whose" { (row.whose()) @if row.configured { " " span.quiet { "by " code { "[[desk.owners]]" } } } }
                        td data-label="What it is" { @if row.what.is_empty() { span.quiet { "–" } } @else { (row.what) } }
                        td data-label="What to do" {
                            @if row.runbooks.is_empty() { span.quiet { "–" } }
                            @for (at, area) in row.runbooks.iter().enumerate() { @if at > 0 { ", " } a href=(format!("#fix-{area}")) { (area) } }
                        }
                    }
                }
            }
        }
    }
}

/// Where the entries of a table stand.
fn entries_at(at: usize, table: &TableView) -> String {
    if table.printed.is_empty() { "/mappings".to_owned() } else { format!("#entries-{at}") }
}

fn entries(tables: &[TableView]) -> Markup {
    html! {
        @if tables.iter().any(|table| !table.printed.is_empty()) { h2 { "Entries of the mapping tables" } }
        @for (at, of) in tables.iter().enumerate().filter(|(_, of)| !of.printed.is_empty()) {
            h3 id=(format!("entries-{at}")) { code { (of.table) } " at " (of.connection) }
            table.cards {
                thead { tr { th scope="col" { "Key" } th scope="col" { "Id at the target" } } }
                tbody {
                    @for entry in &of.printed {
                        tr { th scope="row" data-label="Key" { code { (entry.key) } } td data-label="Id at the target" { code { (entry.value) } } }
                    }
                }
            }
            @if of.left() > 0 { p { "And " (grouped(of.left())) " more: " a href="/mappings" { "all of them" } "." } }
        }
    }
}

fn runbooks(runbooks: &[Runbook]) -> Markup {
    html! {
        h2 { "What to do" }
        @for one in runbooks {
            section id=(format!("fix-{}", one.area)) {
                h3 { code { (one.area) } " · " (one.title) }
                (runbook::markup(&one.steps))
            }
        }
    }
}

fn months(book: &Handbook) -> Markup {
    html! {
        @if !book.entities.is_empty() {
            h2 { "Whose months are closed" }
            table.cards {
                thead { tr { th scope="col" { "Entity" } th scope="col" { "Currency" } th scope="col" { "Clock" } } }
                tbody { @for (name, currency, zone) in &book.entities { tr { th scope="row" data-label="Entity" { (name) } td data-label="Currency" { (currency) } td data-label="Clock" { (zone) } } } }
            }
        }
        @if !book.kept.is_empty() {
            h2 { "For how long content is kept" }
            dl.pairs { @for (what, long) in &book.kept { dt { (what) } dd { (long) } } }
        }
    }
}

fn list_of(word: &str) -> Result<Checklist, Failure> {
    Checklist::from_word(word)
        .ok_or_else(|| Failure::Absent(format!("There is no checklist {word}. There are daily and monthly ones.")))
}

fn period_of(list: Checklist, period: &str) -> Result<String, Failure> {
    if list.is_period(period) {
        Ok(period.to_owned())
    } else {
        Err(Failure::Absent(format!("{period} is no period of the {} checks.", list.word())))
    }
}

/// What an act has done.
#[derive(Default, Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    done: String,
}

/// One checklist.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path((list, period)): Path<(String, String)>,
    Query(said): Query<Said>,
) -> Result<Markup, Failure> {
    let list = list_of(&list)?;
    shown(&app, list, period_of(list, &period)?, &said, None).await
}

async fn shown(app: &App, list: Checklist, period: String, said: &Said, wrong: Option<&str>) -> Result<Markup, Failure> {
    let now = app.clock.now();
    let view = handbook::checklist(&app.store, &app.brand, &app.facts, list, Some(period), now).await?;
    let frame = Frame::of(app, Place::Handbook, format!("{} {}", list.name(), view.period)).await?;
    let open = view.signed.is_none() && may(Right::Act);
    Ok(frame.around(html! {
        p.crumb { a href="/handbook" { "Handbook" } }
        h1 { (list.name()) ", " (view.period) }
        @match said.done.as_str() {
            "ticked" => (super::done("Ticked.")),
            "taken" => (super::done("The tick is taken back.")),
            "signed" => (super::done("Signed. The ticks do not change any more.")),
            _ => {}
        }
        @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
        @if let Some(signed) = &view.signed {
            p.card #signed {
                "Signed by " b { (signed.actor) } " " (when(signed.at, now)) "."
                @if !signed.unticked.is_empty() { " Not looked at: " (signed.unticked.join(", ")) ". " (signed.reason) }
            }
        } @else if !view.current {
            p.quiet { "This is not the present one: what is seen beside a check is how it is now, not how it was then." }
        }
        ol.snags.checks {
            @for check in &view.checks { (check_of(&view, check, open, now)) }
        }
        @if open { (sign_form(&view)) }
        @if view.periods.len() > 1 {
            p { "Others: " @for other in view.periods.iter().filter(|other| **other != view.period) { a href=(address(list, other)) { (other) } " " } }
        }
    }))
}

fn check_of(view: &ChecklistView, check: &CheckView, open: bool, now: Timestamp) -> Markup {
    let to = address(view.list, &view.period);
    html! {
        li id=(check.id) {
            h2 { (check.what) }
            p {
                @match check.seen {
                    Seen::Good => span.state.good { "✓ " (check.sight) },
                    Seen::Bad => span.state.bad { (check.sight) },
                    Seen::Open => span.quiet { @if check.sight.is_empty() { "A person has to look." } @else { (check.sight) } },
                }
                " · " (check.team.name())
                @if !check.page.is_empty() { " · " a href=(check.page) { "Look" } }
            }
            p.quiet { (check.how) }
            @if let Some(tick) = &check.tick {
                p { "Looked at by " b { (tick.actor) } " " (when(tick.at, now)) @if tick.seen == Seen::Bad { ", when it was not as it should be" } @if !tick.note.is_empty() { ": " (tick.note) } }
            }
            @if open {
                form.act action={ (to) "/tick" } method="post" {
                    input type="hidden" name="item" value=(check.id);
                    @if check.tick.is_none() {
                        label for={ "note-" (check.id) } { "What you found" @if check.seen == Seen::Bad { " (it is not as it should be: say what you did)" } }
                        div { input id={ "note-" (check.id) } name="note" maxlength="1000" autocomplete="off" required[check.seen == Seen::Bad]; button { "Tick" } }
                    } @else {
                        input type="hidden" name="back" value="yes";
                        button.small { "Take the tick back" }
                    }
                }
            }
        }
    }
}

fn sign_form(view: &ChecklistView) -> Markup {
    let left: Vec<&str> = view.checks.iter().filter(|check| check.tick.is_none()).map(|check| check.what).collect();
    html! {
        section.card aria-labelledby="sign" {
            h2 #sign { "Sign" }
            p { "Your name is put under the list, in the audit trail too; its ticks do not change after that." }
            form.act action={ (address(view.list, &view.period)) "/sign" } method="post" {
                @if !left.is_empty() {
                    label for="reason" { "Why " (left.len()) " stay unticked" }
                    div { input #reason name="reason" maxlength="1000" required autocomplete="off"; button { "Sign" } }
                } @else {
                    button.main { "Sign" }
                }
            }
        }
    }
}

/// A tick, or one taken back.
#[derive(Deserialize)]
pub(super) struct Tick {
    item: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    back: String,
}

/// Ticks a check.
pub(super) async fn tick(
    State(app): State<Arc<App>>,
    Path((list, period)): Path<(String, String)>,
    who: Who,
    Form(tick): Form<Tick>,
) -> Result<Response, Failure> {
    let list = list_of(&list)?;
    let period = period_of(list, &period)?;
    let done = crate::handbook::tick(
        &app,
        &who.actor().name,
        list,
        &period,
        &tick.item,
        (tick.back.is_empty()).then_some(tick.note.as_str()),
    )
    .await;
    answer(&app, list, period, done, if tick.back.is_empty() { "ticked" } else { "taken" }).await
}

/// A signature.
#[derive(Deserialize)]
pub(super) struct Sign {
    #[serde(default)]
    reason: String,
}

/// Signs a list.
pub(super) async fn sign(
    State(app): State<Arc<App>>,
    Path((list, period)): Path<(String, String)>,
    who: Who,
    Form(sign): Form<Sign>,
) -> Result<Response, Failure> {
    let list = list_of(&list)?;
    let period = period_of(list, &period)?;
    let done = crate::handbook::sign(&app, &who.actor().name, list, &period, &sign.reason).await.map(|_| ());
    answer(&app, list, period, done, "signed").await
}

async fn answer(
    app: &App,
    list: Checklist,
    period: String,
    done: Result<(), crate::handbook::Refusal>,
    word: &str,
) -> Result<Response, Failure> {
    match done {
        Ok(()) => Ok(Redirect::to(&format!("{}?done={word}", address(list, &period))).into_response()),
        Err(crate::handbook::Refusal::Store(error)) => Err(error.into()),
        Err(crate::handbook::Refusal::Unclear(why)) => {
            let page = shown(app, list, period, &Said::default(), Some(&why)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// Whoever loads the address of an act is led to the list.
pub(super) async fn back(Path((list, period)): Path<(String, String)>) -> Redirect {
    Redirect::to(&format!("/handbook/{}/{}", part(&list), part(&period)))
}
