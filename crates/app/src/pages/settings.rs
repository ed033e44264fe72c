//! `/settings`: what the configuration came to when this process began, and what it runs on. Nothing is changed here: the file is
//! the one place, so that it can be reviewed and rolled back.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::{
    Failure, Frame, Place,
    words::{grouped, when},
};
use crate::{
    serve::App,
    view::settings::{Section, SettingsView, settings},
};

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>) -> Result<Markup, Failure> {
    let now = app.clock.now();
    let view = settings(&app.store, &app.brand, &app.facts.settings, app.since).await?;
    let four_eyes = {
        let brand = app.brand.clone();
        app.store.read(move |view| view.four_eyes(&brand)).await?
    };
    let frame = Frame::of(&app, Place::Settings, "Settings").await?;
    Ok(frame.around(html! {
        h1 { "Settings" }
        p.lead { "What the configuration came to when this process began, defaults included. Secrets are not shown; where each is kept is." }
        section.card aria-labelledby="how" {
            h2 #how { "To change something" }
            @if view.settings.file.is_empty() {
                p { "This process was begun without a configuration file." }
            } @else {
                p { "Edit " code { (view.settings.file) } ", have it looked through with " code { "selvedge check" } ", and start " code { "selvedge run" } " again. Nothing is lost by that: what is under way goes on where it stood." }
            }
            p { "What else can be set, and what it means: " code { "selvedge config schema" } ". Mappings, people and which acts take two people are changed on their pages: "
                a href="/mappings" { "Mappings" } ", " a href="/people" { "People" } "." }
        }
        (runs_on(&view, &four_eyes.says(), now))
        @if !view.settings.sections.is_empty() {
            nav.contents aria-label="Settings" {
                ul { @for section in &view.settings.sections { li { a href={ "#" (section.id) } { (section.title) } } } }
            }
        }
        @for one in &view.settings.sections { (section(one)) }
    }))
}

fn runs_on(view: &SettingsView, four_eyes: &str, now: jiff::Timestamp) -> Markup {
    html! {
        section.card aria-labelledby="runs" {
            h2 #runs { "What it runs on" }
            dl.pairs {
                dt { "Version" } dd { "Selvedge " (view.version) }
                dt { "Runs since" } dd { (when(view.since, now)) }
                dt { "Store" } dd { "SQLite " (view.database.sqlite) ", schema " (view.database.schema) ", " (mebibytes(view.database.bytes)) ", " (mebibytes(view.database.free_bytes)) " of it free" }
                dt { "Last copy" } dd { @match view.backup { Some(at) => (when(at, now)), None => span.quiet { "none was made by " code { "selvedge backup" } } } }
                dt { "Takes two people" } dd { (four_eyes) }
            }
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", grouped(bytes >> 20), ((bytes & 0xf_ffff) * 10) >> 20)
}

fn section(one: &Section) -> Markup {
    html! {
        section aria-labelledby=(one.id) {
            h2 #(one.id) { (one.title) }
            p.quiet { code { (one.path) } }
            dl.pairs.wide-names { @for (name, value) in &one.rows { dt { code { (name) } } dd { (value) } } }
        }
    }
}
