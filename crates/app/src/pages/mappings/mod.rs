//! `/mappings`: what we call a thing and what the target calls it: coverage, pre-flight, what is set, and by whom.

mod coverage;
mod history;
mod import;

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use selvedge_model::{ConnectionName, people::Right};
use selvedge_store::{
    StoreError,
    mappings::{MappingFilter, MappingRow},
};
use serde::Deserialize;

pub(super) use self::{
    history::page as history,
    import::{apply, export, look, page as import},
};
use super::{
    Done, Failure, Frame, Place, may,
    words::{grouped, part, when},
};
use crate::{
    people::Who,
    serve::App,
    view::{self, MappingWanted, PreflightView, mapping_csv},
};

/// Entries of one page.
const PAGE: usize = 200;
/// Changes that are shown below them.
const CHANGES_SHOWN: usize = 10;

/// Which entries are looked for.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    connection: String,
    table: String,
    /// A text of our or their value.
    search: String,
    /// Where the page begins: how many come before.
    skip: String,
    /// The key of an entry that is to be changed.
    edit: String,
}

impl Wanted {
    fn address(&self) -> String {
        let asked = [
            ("connection", &self.connection),
            ("table", &self.table),
            ("search", &self.search),
            ("skip", &self.skip),
            ("edit", &self.edit),
        ];
        let asked: Vec<String> = asked
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", part(value)))
            .collect();
        if asked.is_empty() { "/mappings".to_owned() } else { format!("/mappings?{}", asked.join("&")) }
    }

    fn filter(&self) -> MappingFilter {
        let Self { connection, table, search, .. } = self.clone();
        MappingFilter { connection, table, text: search, after: None }
    }

    fn narrows(&self) -> bool {
        !(self.connection.is_empty() && self.table.is_empty() && self.search.trim().is_empty())
    }
}

/// What was typed and did not pass, to be shown again.
struct Tried {
    wanted: MappingWanted,
    wrong: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Typed {
    connection: String,
    table: String,
    key: String,
    #[serde(default)]
    value: String,
    /// What stood there, of an entry that is changed.
    seen: Option<String>,
}

/// The page.
pub(super) async fn page(
    State(app): State<Arc<App>>,
    Query(done): Query<Done>,
    Query(wanted): Query<Wanted>,
) -> Result<Markup, Failure> {
    shown(&app, &done, &wanted, None).await
}

async fn shown(app: &App, done: &Done, wanted: &Wanted, tried: Option<Tried>) -> Result<Markup, Failure> {
    let tables = view::coverage::coverage(&app.store, &app.brand, &app.mapping_targets()).await?;
    let (brand, filter, asked) = (app.brand.clone(), wanted.filter(), wanted.clone());
    let skip = wanted.skip.trim().parse::<usize>().unwrap_or(0);
    let (page, edited, changes, preflight) = app
        .store
        .read(move |view| {
            let (rows, taken) = view.mappings_page(&brand, &filter, skip, PAGE)?;
            let of = ConnectionName(asked.connection);
            let edited = if asked.edit.is_empty() { None } else { view.mapping(&brand, &of, &asked.table, &asked.edit)? };
            let changes = view.mapping_history(&brand, CHANGES_SHOWN + 1)?;
            Ok((Page { rows, skip: skip.min(taken), taken }, edited, changes, view.preflights(&brand)?))
        })
        .await?;
    let preflight: Vec<PreflightView> = preflight.into_iter().map(PreflightView::from).collect();
    let frame = Frame::of(app, Place::Mappings, "Mappings").await?;
    let now = app.clock.now();
    let tried = tried.or_else(|| {
        edited.map(|value| Tried {
            wanted: MappingWanted {
                connection: wanted.connection.as_str().into(),
                table: wanted.table.clone(),
                key: wanted.edit.clone(),
                value: Some(value.clone()),
                seen: Some(value),
            },
            wrong: None,
        })
    });
    let mapped: BTreeSet<&str> =
        tables.iter().filter(|one| one.entries > 0 || one.default.is_some()).map(|one| one.table.as_str()).collect();
    Ok(frame.around(html! {
        h1 { "Mappings" }
        p.lead { "What the target calls our values. What a target lists under the same name, such as a SKU, needs no entry here." }
        (done.shown())
        p.tabs {
            @if may(Right::Map) { a href="/mappings/import" { "Import a CSV file" } " " }
            a href="/mappings.csv" { "Export all as CSV" } " " a href="/mappings/history" { "History" }
        }
        @if may(Right::Map) { (form(app, tried.as_ref())) }
        (coverage::section(&tables, now))
        (super::preflight::section(&preflight, now))
        section aria-labelledby="set" {
            h2 #set { "What is set" }
            @if mapped.is_empty() {
                p.empty { "Nothing is mapped yet. The gate will ask for what it needs, by name." }
            } @else {
                (looking(wanted, &mapped))
                (entries(wanted, &page, now))
            }
        }
        section aria-labelledby="history" {
            h2 #history { "Who changed what" }
            @if changes.is_empty() { p.empty { "Nobody yet." } }
            @else {
                (history::list(changes.get(..CHANGES_SHOWN).unwrap_or(&changes), now))
                @if changes.len() > CHANGES_SHOWN { p { a href="/mappings/history" { "All changes" } } }
            }
        }
    }))
}

fn looking(wanted: &Wanted, tables: &BTreeSet<&str>) -> Markup {
    html! {
        form.search action="/mappings#set" method="get" role="search" {
            @if !wanted.connection.is_empty() { input type="hidden" name="connection" value=(wanted.connection); }
            div.grid {
                div {
                    label for="of-table" { "Of table" }
                    select #of-table name="table" {
                        option value="" { "all" }
                        @for table in tables { option value=(table) selected[*table == wanted.table] { (table) } }
                    }
                }
                div { label for="search" { "With this text" } input #search name="search" type="search" value=(wanted.search) maxlength="200" autocomplete="off"; }
                button { "Narrow" }
            }
        }
    }
}

/// Some of the entries that were looked for.
struct Page {
    rows: Vec<MappingRow>,
    /// How many come before.
    skip: usize,
    /// How many there are in all.
    taken: usize,
}

fn entries(wanted: &Wanted, page: &Page, now: jiff::Timestamp) -> Markup {
    let Page { rows, skip, taken } = page;
    let (skip, next) = (*skip, skip + rows.len());
    let at = |skip: usize| Wanted { skip: if skip == 0 { String::new() } else { skip.to_string() }, ..wanted.clone() }.address();
    html! {
        @if rows.is_empty() { p.empty { "Nothing of this kind is set." } }
        @else {
            @if *taken > PAGE || wanted.narrows() {
                p.quiet { (grouped(skip as u64 + 1)) " to " (grouped(next as u64)) " of " (grouped(*taken as u64)) @if wanted.narrows() { ". " a href="/mappings#set" { "All of them" } } }
            }
            table.cards {
                thead { tr { th scope="col" { "Table" } th scope="col" { "Ours" } th scope="col" { "Theirs" } th scope="col" { "Set" } @if may(Right::Map) { th scope="col" { span.aside { "Change or remove" } } } } }
                tbody { @for row in rows { (entry(row, now)) } }
            }
            p {
                @if skip > 0 { a href={ (at(skip.saturating_sub(PAGE))) "#set" } { "Those before" } " " }
                @if next < *taken { a href={ (at(next)) "#set" } { "Those after" } }
            }
        }
    }
}

fn entry(row: &MappingRow, now: jiff::Timestamp) -> Markup {
    let edit =
        Wanted { connection: row.connection.clone(), table: row.table.clone(), edit: row.key.clone(), ..Wanted::default() };
    html! {
        tr {
            td data-label="Table" { (row.table) " " span.quiet { "at " (row.connection) } }
            td data-label="Ours" { code { (row.key) } @if row.key == "*" { " " span.quiet { "whatever has no entry" } } }
            td data-label="Theirs" { code { (row.value) } }
            td data-label="Set" { (row.by) ", " (when(row.at, now)) " " a href=(history::address(&row.connection, &row.table, &row.key, None)) aria-label={ "History of " (row.table) " " (row.key) } { "History" } }
            @if may(Right::Map) {
                td {
                    form action="/mappings/remove" method="post" {
                        input type="hidden" name="seen" value=(row.value);
                        input type="hidden" name="connection" value=(row.connection);
                        input type="hidden" name="table" value=(row.table);
                        input type="hidden" name="key" value=(row.key);
                        a href={ (edit.address()) "#new" } aria-label={ "Change " (row.table) " " (row.key) } { "Change" } " "
                        button.small aria-label={ "Remove " (row.table) " " (row.key) } { "Remove" }
                    }
                }
            }
        }
    }
}

fn form(app: &App, tried: Option<&Tried>) -> Markup {
    let typed = |pick: fn(&MappingWanted) -> &str| tried.map_or("", |tried| pick(&tried.wanted));
    let wrong = tried.and_then(|tried| tried.wrong.as_deref());
    let seen = tried.and_then(|tried| tried.wanted.seen.as_deref()).filter(|seen| !seen.is_empty());
    html! {
        section.card aria-labelledby="new" {
            h2 #new { @if seen.is_some() { "Change a mapping" } @else { "Set a mapping" } }
            @if let Some(wrong) = wrong { p.wrong #wrong role="alert" { (wrong) } }
            form.act.grid action="/mappings" method="post" aria-describedby=[wrong.map(|_| "wrong")] {
                @if let Some(seen) = seen {
                    // Another key is another entry, and this one would stay in force.
                    @let (connection, table, key) = (typed(|wanted| wanted.connection.as_str()), typed(|wanted| &wanted.table), typed(|wanted| &wanted.key));
                    input type="hidden" name="connection" value=(connection);
                    input type="hidden" name="table" value=(table);
                    input type="hidden" name="key" value=(key);
                    input type="hidden" name="seen" value=(seen);
                    p { code { (key) } " in the table " code { (table) } " at " (connection) ", now " code { (seen) } }
                } @else {
                    // An entry that stands already is seen before it is replaced.
                    input type="hidden" name="seen" value="";
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
                }
                div {
                    label for="value" { "Theirs" }
                    input #value name="value" value=(typed(|wanted| wanted.value.as_deref().unwrap_or_default())) required maxlength="200" placeholder="417" autocomplete="off";
                }
                div { button.main { "Set and release" } }
                @if seen.is_some() { p { a href="/mappings#new" { "Set another one instead" } } }
            }
        }
    }
}

/// Sets an entry and releases what waited for it.
pub(super) async fn set(State(app): State<Arc<App>>, who: Who, Form(typed): Form<Typed>) -> Result<Response, Failure> {
    let Typed { connection, table, key, value, seen } = typed;
    let value = Some(value);
    act(&app, &who, MappingWanted { connection: ConnectionName(connection), table, key, value, seen }).await
}

/// Removes an entry.
pub(super) async fn remove(State(app): State<Arc<App>>, who: Who, Form(typed): Form<Typed>) -> Result<Response, Failure> {
    let Typed { connection, table, key, seen, .. } = typed;
    let wanted = MappingWanted { connection: ConnectionName(connection), table, key, value: None, seen };
    act(&app, &who, wanted).await
}

async fn act(app: &App, who: &Who, wanted: MappingWanted) -> Result<Response, Failure> {
    // A blank at the end of a key that a file brought stays there while its entry is changed or removed; typed, it is a slip.
    let targets = app.mapping_targets();
    let changes = wanted.seen.as_ref().is_some_and(|seen| !seen.is_empty());
    let checked = if changes { mapping_csv::checked(wanted.clone(), &targets) } else { wanted.clone().checked(&targets) };
    let (wanted, wrong) = match checked {
        Err(wrong) => (wanted, wrong),
        Ok(checked) => match checked.set(&app.actions(who)).await {
            Ok(mapped) => {
                let word = if checked.value.is_some() { "set" } else { "removed" };
                return Ok(Redirect::to(&format!("/mappings?{}", super::mapped(word, mapped))).into_response());
            }
            Err(StoreError::Changed(how)) if checked.value.is_some() => {
                let (brand, of) = (app.brand.clone(), checked.clone());
                let stands = app.store.read(move |view| view.mapping(&brand, &of.connection, &of.table, &of.key)).await?;
                let wrong = format!("Nothing was set. {how} Set it once more if it is to be replaced.");
                (MappingWanted { seen: stands, ..checked }, wrong)
            }
            Err(other) => return Err(other.into()),
        },
    };
    let page = shown(app, &Done::default(), &Wanted::default(), Some(Tried { wanted, wrong: Some(wrong) })).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}
