//! `/mappings`: what we call a thing and what the target calls it, and who said so.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use selvedge_model::people::Right;

use super::{Done, Failure, Frame, Place, may, words::when};
use crate::{
    people::Who,
    serve::App,
    view::{self, MappingWanted},
};

/// What was typed and did not pass, to be shown again.
struct Tried {
    wanted: MappingWanted,
    wrong: String,
}

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, Query(done): Query<Done>) -> Result<Markup, Failure> {
    shown(&app, &done, None).await
}

async fn shown(app: &App, done: &Done, tried: Option<&Tried>) -> Result<Markup, Failure> {
    let view::MappingsView { mappings, history, preflight } = view::mappings(&app.store, &app.brand).await?;
    let frame = Frame::of(app, Place::Mappings, "Mappings").await?;
    let now = app.clock.now();
    Ok(frame.around(html! {
        h1 { "Mappings" }
        p.lead { "What the target calls our values. What a target lists under the same name, such as a SKU, needs no entry here." }
        (done.shown())
        @if may(Right::Map) { (form(app, tried)) }
        (super::preflight::section(&preflight, now))
        section aria-labelledby="set" {
            h2 #set { "What is set" }
            @if mappings.is_empty() {
                p.empty { "Nothing is mapped yet. The gate will ask for what it needs, by name." }
            } @else {
                table.cards {
                    thead { tr { th scope="col" { "Table" } th scope="col" { "Ours" } th scope="col" { "Theirs" } th scope="col" { "Set" } @if may(Right::Map) { th scope="col" { span.aside { "Remove" } } } } }
                    tbody {
                        @for row in &mappings {
                            tr {
                                td data-label="Table" { (row.table) " " span.quiet { "at " (row.connection) } }
                                td data-label="Ours" { code { (row.key) } @if row.key == "*" { " " span.quiet { "whatever has no entry" } } }
                                td data-label="Theirs" { code { (row.value) } }
                                td data-label="Set" { (row.by) ", " (when(row.at, now)) }
                                @if may(Right::Map) {
                                    td {
                                        form action="/mappings/remove" method="post" {
                                            input type="hidden" name="connection" value=(row.connection);
                                            input type="hidden" name="table" value=(row.table);
                                            input type="hidden" name="key" value=(row.key);
                                            button.small aria-label={ "Remove " (row.table) " " (row.key) } { "Remove" }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        section aria-labelledby="history" {
            h2 #history { "Who changed what" }
            @if history.is_empty() {
                p.empty { "Nobody yet." }
            } @else {
                ol.timeline {
                    @for change in &history {
                        li {
                            p {
                                code { (change.entry) } ": "
                                @if let Some(before) = &change.before { del { (before) } " → " }
                                @match &change.after { Some(after) => ins { (after) }, None => "removed" }
                            }
                            p.quiet { (change.by) ", " (when(change.at, now)) }
                        }
                    }
                }
            }
        }
    }))
}

fn form(app: &App, tried: Option<&Tried>) -> Markup {
    let typed = |pick: fn(&MappingWanted) -> &str| tried.map_or("", |tried| pick(&tried.wanted));
    html! {
        section.card aria-labelledby="new" {
            h2 #new { "Set a mapping" }
            @if let Some(tried) = tried { p.wrong #wrong role="alert" { (tried.wrong) } }
            form.act.grid action="/mappings" method="post" aria-describedby=[tried.map(|_| "wrong")] {
                div {
                    label for="connection" { "At which connection" }
                    select #connection name="connection" {
                        @for target in app.targets() {
                            option value=(target) selected[target.as_str() == typed(|wanted| wanted.connection.as_str())] { (target) }
                        }
                    }
                }
                div {
                    label for="table" { "Table" }
                    input #table name="table" value=(typed(|wanted| &wanted.table)) required maxlength="64" placeholder="shipping_item" autocomplete="off";
                }
                div {
                    label for="key" { "Ours" }
                    input #key name="key" value=(typed(|wanted| &wanted.key)) required maxlength="1000" placeholder="market=2,method=express" autocomplete="off";
                }
                div {
                    label for="value" { "Theirs" }
                    input #value name="value" value=(typed(|wanted| wanted.value.as_deref().unwrap_or_default())) required maxlength="200" placeholder="417" autocomplete="off";
                }
                div { button.main { "Set and release" } }
            }
        }
    }
}

/// Sets an entry and releases what waited for it.
pub(super) async fn set(State(app): State<Arc<App>>, who: Who, Form(wanted): Form<MappingWanted>) -> Result<Response, Failure> {
    let wanted = MappingWanted { value: Some(wanted.value.unwrap_or_default()), ..wanted };
    act(&app, &who, wanted).await
}

/// Removes an entry.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    Form(wanted): Form<MappingWanted>,
) -> Result<Response, Failure> {
    act(&app, &who, MappingWanted { value: None, ..wanted }).await
}

async fn act(app: &App, who: &Who, wanted: MappingWanted) -> Result<Response, Failure> {
    match wanted.clone().checked(&app.mapping_targets()) {
        Ok(wanted) => {
            let mapped = app.actions(who).map(&wanted.connection, &wanted.table, &wanted.key, wanted.value.as_deref()).await?;
            let word = if wanted.value.is_some() { "set" } else { "removed" };
            Ok(Redirect::to(&format!("/mappings?{}", super::mapped(word, mapped))).into_response())
        }
        Err(wrong) => {
            let page = shown(app, &Done::default(), Some(&Tried { wanted, wrong })).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}
