//! `/mappings/history`: who changed what and when: of all, of a table, or of one entry.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, html};
use selvedge_store::mappings::MappingChange;
use serde::Deserialize;

use super::super::{
    Failure, Frame, Place,
    words::{part, when},
};
use crate::serve::App;

/// Changes of one page.
const PAGE: usize = 100;

/// Of what.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    connection: String,
    table: String,
    key: String,
    before: String,
}

/// Where it is.
pub(super) fn address(connection: &str, table: &str, key: &str, before: Option<i64>) -> String {
    let before = before.map(|id| id.to_string()).unwrap_or_default();
    let asked = [("connection", connection), ("table", table), ("key", key), ("before", &before)];
    let asked: Vec<String> =
        asked.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={}", part(value))).collect();
    if asked.is_empty() { "/mappings/history".to_owned() } else { format!("/mappings/history?{}", asked.join("&")) }
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Result<Markup, Failure> {
    let before =
        match wanted.before.trim() {
            "" => None,
            text => Some(text.parse::<i64>().map_err(|_| {
                Failure::Unclear("That page of the history does not read. Begin again with the first.".to_owned())
            })?),
        };
    let now = app.clock.now();
    let (brand, [connection, table, key]) =
        (app.brand.clone(), [&wanted.connection, &wanted.table, &wanted.key].map(|text| text.clone()));
    let mut rows =
        app.store.read(move |view| view.mapping_changes(&brand, [&connection, &table, &key], before, PAGE + 1)).await?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let of =
        [wanted.table.as_str(), wanted.key.as_str()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
    let frame = Frame::of(&app, Place::Mappings, "History of mappings").await?;
    Ok(frame.around(html! {
        p.crumb { a href="/mappings" { "Mappings" } }
        h1 { "History of mappings" }
        @if of.is_empty() && wanted.connection.is_empty() {
            p.lead { "Who changed what and when, the newest first." }
        } @else {
            p.lead {
                "Who changed " @if of.is_empty() { "something" } @else { code { (of) } } @if !wanted.connection.is_empty() { " at " (wanted.connection) } " and when, the newest first. "
                a href="/mappings/history" { "All of it" }
            }
        }
        @if rows.is_empty() { p.empty { @if before.is_some() { "That was all." } @else { "Nobody yet." } } } @else { (list(&rows, now)) }
        @if let Some(last) = rows.last().filter(|_| more) {
            p { a href=(address(&wanted.connection, &wanted.table, &wanted.key, Some(last.id))) { "Further back" } }
        }
    }))
}

/// Changes, the newest first.
pub(super) fn list(rows: &[MappingChange], now: jiff::Timestamp) -> Markup {
    html! {
        ol.timeline {
            @for change in rows {
                li {
                    p {
                        a href=(address(&change.connection, &change.table, &change.key, None)) { code { (change.entry) } } " " span.quiet { "at " (change.connection) } ": "
                        @if let Some(before) = &change.before { del { (before) } " → " }
                        @match &change.after { Some(after) => ins { (after) }, None => "removed" }
                    }
                    p.quiet { (change.by) ", " (when(change.at, now)) }
                }
            }
        }
    }
}
