//! `/mappings/import`: a CSV file comes in, is read, shown as what it would change, and set by a second click; `/mappings.csv` is
//! the way out.

use std::sync::Arc;

use axum::{
    Form,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use maud::{Markup, html};
use selvedge_flow::FlowSetup;
use selvedge_store::StoreError;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::super::{
    Failure, Frame, Place,
    words::{flow_address, plural},
};
use crate::{
    people::Who,
    serve::App,
    view::mapping_csv::{Change, Foreseen, foresee, read_csv, write_csv},
};

/// Changes that are set at once; what is longer is for the command line.
const CHANGES_MAX: usize = 5_000;
/// Changes and bad rows that are shown.
const SHOWN_MAX: usize = 200;

/// What was sent.
#[derive(Deserialize)]
pub(crate) struct Sent {
    #[serde(default)]
    csv: String,
    /// The mark of what was shown, where it is to be set.
    #[serde(default)]
    shown: String,
}

impl Sent {
    /// As it was before a form made line ends of its own.
    fn text(self) -> String {
        self.csv.replace("\r\n", "\n")
    }
}

/// What became of it.
enum Looked {
    /// Nothing was sent yet.
    Nothing,
    /// Rows that are wrong: line, why.
    Wrong(Vec<(u64, String)>),
    /// What it would change.
    Foreseen(Foreseen),
    /// What it would change is no longer what was shown.
    Otherwise(Foreseen),
}

/// The page.
pub(crate) async fn page(State(app): State<Arc<App>>) -> Result<Markup, Failure> {
    shown(&app, "", &Looked::Nothing).await
}

/// What it would change; nothing is set.
pub(crate) async fn look(State(app): State<Arc<App>>, Form(sent): Form<Sent>) -> Result<Response, Failure> {
    let text = sent.text();
    let looked = looked(&app, &text).await?;
    let status = if matches!(looked, Looked::Foreseen(_)) { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, shown(&app, &text, &looked).await?).into_response())
}

async fn looked(app: &App, text: &str) -> Result<Looked, Failure> {
    Ok(match read_csv(text.as_bytes(), &app.mapping_targets()) {
        Err(wrong) => Looked::Wrong(wrong),
        Ok(rows) => {
            let foreseen = foresee(&app.store, &app.brand, rows).await?;
            if foreseen.changes.len() > CHANGES_MAX {
                let why = format!(
                    "This would change {}; at most {CHANGES_MAX} are set here at once. Give it in parts, or use selvedge mappings import",
                    plural(foreseen.changes.len() as u64, "entry", "entries")
                );
                Looked::Wrong(vec![(0, why)])
            } else {
                Looked::Foreseen(foreseen)
            }
        }
    })
}

/// Sets what was shown, all or nothing, and releases what waited for it.
pub(crate) async fn apply(State(app): State<Arc<App>>, who: Who, Form(sent): Form<Sent>) -> Result<Response, Failure> {
    let shown_as = sent.shown.clone();
    let text = sent.text();
    match looked(&app, &text).await? {
        Looked::Foreseen(foreseen) if !foreseen.changes.is_empty() && mark(&foreseen) != shown_as => {
            // Somebody changed an entry between the look and the click: nobody sets what nobody has seen.
            let page = shown(&app, &text, &Looked::Otherwise(foreseen)).await?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
        Looked::Foreseen(foreseen) => {
            let (entries, before): (Vec<_>, Vec<_>) =
                foreseen.changes.into_iter().map(|change| (change.entry, change.before)).unzip();
            let count = entries.len();
            let mapped = match count {
                0 => Default::default(),
                _ => match app.actions(&who).import_over(entries, before).await {
                    // Changed in the very moment: what it would change now is shown.
                    Err(StoreError::Changed(how)) => match looked(&app, &text).await? {
                        Looked::Foreseen(now) if mark(&now) != shown_as => {
                            let page = shown(&app, &text, &Looked::Otherwise(now)).await?;
                            return Ok((StatusCode::CONFLICT, page).into_response());
                        }
                        _ => return Err(StoreError::Changed(how).into()),
                    },
                    other => other?,
                },
            };
            Ok(Redirect::to(&format!("/mappings?imported={count}&{}", super::super::mapped("set", mapped))).into_response())
        }
        wrong => Ok((StatusCode::UNPROCESSABLE_ENTITY, shown(&app, &text, &wrong).await?).into_response()),
    }
}

/// Stands for what a page has shown, so that what is set is that and nothing else.
fn mark(foreseen: &Foreseen) -> String {
    let mut hash = Sha256::new();
    for Change { entry, before } in &foreseen.changes {
        for part in [entry.connection.as_str(), &entry.table, &entry.key, &entry.value] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.update([u8::from(before.is_some())]);
        hash.update(before.as_ref().map_or(0, String::len).to_be_bytes());
        hash.update(before.as_deref().unwrap_or_default());
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

async fn shown(app: &App, text: &str, looked: &Looked) -> Result<Markup, Failure> {
    let brand = app.brand.clone();
    let takes_two = app.store.read(move |view| view.four_eyes(&brand)).await?.map;
    let flows: Vec<&FlowSetup> = app.engine.setup().flows.iter().collect();
    let frame = Frame::of(app, Place::Mappings, "Import of mappings").await?;
    let wrong = matches!(looked, Looked::Wrong(_));
    Ok(frame.around(html! {
        p.crumb { a href="/mappings" { "Mappings" } }
        h1 { "Import of mappings" }
        p.lead { "A CSV file with the columns " code { "connection,table,key,value" } ", as the export writes it. It is shown first what it would change; entries that it does not name stay as they are." }
        @match looked {
            Looked::Nothing => {}
            Looked::Wrong(rows) => (bad(rows)),
            Looked::Foreseen(foreseen) => (foreseen_of(foreseen, text, takes_two, &flows)),
            Looked::Otherwise(foreseen) => {
                p.notice role="alert" { b { "Nothing was set." } " Somebody has changed these mappings since they were shown. Below is what it would change now." }
                (foreseen_of(foreseen, text, takes_two, &flows))
            }
        }
        section.card aria-labelledby="file" {
            h2 #file { @if text.is_empty() { "The file" } @else { "Another file, or this one mended" } }
            form action="/mappings/import" method="post" {
                // Shown by the script, which puts the file's text below; without scripts it is pasted.
                p #pick hidden { label for="picked" { "Choose a file" } input #picked type="file" accept=".csv,text/csv,text/plain" data-into="csv"; }
                label for="csv" { "Its text" }
                textarea #csv name="csv" rows="10" required spellcheck="false" autocomplete="off" aria-invalid=[wrong.then_some("true")] aria-describedby=[wrong.then_some("bad")]
                    placeholder="connection,table,key,value" { "\n" (text) }
                div { button.main { "See what it would change" } }
            }
        }
    }))
}

fn bad(rows: &[(u64, String)]) -> Markup {
    html! {
        section.notice #bad role="alert" {
            p { b { "Nothing was changed." } " " (plural(rows.len() as u64, "row is", "rows are")) " not right; mend them and try again." }
            ul {
                @for (line, why) in rows.iter().take(SHOWN_MAX) { li { @if *line > 0 { "Line " (line) ": " } (why) } }
                @if rows.len() > SHOWN_MAX { li { "and " (rows.len() - SHOWN_MAX) " more" } }
            }
        }
    }
}

fn foreseen_of(foreseen: &Foreseen, text: &str, takes_two: bool, flows: &[&FlowSetup]) -> Markup {
    let touches = |flow: &&&FlowSetup| foreseen.changes.iter().any(|change| change.entry.connection == flow.to);
    let news = foreseen.changes.iter().filter(|change| change.before.is_none()).count();
    let changed = foreseen.changes.len() - news;
    html! {
        section aria-labelledby="foreseen" {
            h2 #foreseen { "What it would change" }
            p role="status" {
                b { (plural(news as u64, "entry", "entries")) } " would be new, " b { (changed) } " would change, " (foreseen.same) " are as they stand. Nothing is set yet."
            }
            @if !foreseen.changes.is_empty() {
                (changes(&foreseen.changes))
                form.act action="/mappings/import/apply" method="post" {
                    textarea hidden name="csv" aria-label="The same text" { "\n" (text) }
                    input type="hidden" name="shown" value=(mark(foreseen));
                    @if takes_two { p { "Changes of mappings take two people here: it is asked for as a whole, and done when somebody else approves." } }
                    button.main { @if takes_two { "Ask for all of it" } @else { "Set " (plural(foreseen.changes.len() as u64, "entry", "entries")) } }
                }
                @for flow in flows.iter().filter(touches) {
                    form.act action={ (flow_address(&flow.name)) "/replay" } method="post" {
                        textarea hidden name="csv" aria-label="The same text" { "\n" (text) }
                        input type="hidden" name="since" value="7d";
                        button { "Try it on the last 7 days of " (flow.name) }
                    }
                }
            }
        }
    }
}

fn changes(changes: &[Change]) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { "Table" } th scope="col" { "Ours" } th scope="col" { "Now" } th scope="col" { "Then" } } }
            tbody {
                @for Change { entry, before } in changes.iter().take(SHOWN_MAX) {
                    tr {
                        td data-label="Table" { (entry.table) " " span.quiet { "at " (entry.connection) } }
                        td data-label="Ours" { code { (entry.key) } }
                        td data-label="Now" { @match before { Some(before) => del { (before) }, None => span.quiet { "nothing" } } }
                        td data-label="Then" { ins { (entry.value) } }
                    }
                }
            }
        }
        @if changes.len() > SHOWN_MAX { p.quiet { "and " (changes.len() - SHOWN_MAX) " more" } }
    }
}

/// `GET /mappings.csv`: all as CSV.
pub(crate) async fn export(State(app): State<Arc<App>>) -> Result<Response, Failure> {
    let brand = app.brand.clone();
    let rows = app.store.read(move |view| view.mappings(&brand)).await?;
    let text = write_csv(&rows).map_err(|error| {
        Failure::refused(StatusCode::INTERNAL_SERVER_ERROR, "The mappings cannot be written as CSV", format!("{error}."))
    })?;
    let name = format!("attachment; filename=\"mappings-{}-{}.csv\"", app.brand, app.clock.now().strftime("%Y-%m-%d"));
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)], text)
        .into_response())
}
