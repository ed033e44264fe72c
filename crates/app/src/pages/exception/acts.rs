//! What a person may do about an exception: the forms, and what they do.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{ConnectionName, ExceptionId, ObligationId, owners::Owner, people::Right, team::Team};
use selvedge_store::{StoreError, releases::Begun};
use serde::Deserialize;

use super::{
    super::{
        Done, Failure,
        words::{part, when},
    },
    Shown, Tried, Words, id_of, shown,
    words::sooner,
};
use crate::{
    config::desk::person,
    people::{Who, may},
    serve::App,
    view::{
        self, ExceptionDetail, ExceptionView, MappingAsked, MappingWanted,
        case::{EditView, SEEN, SuggestionView},
        document,
    },
};

/// For how long something is snoozed, as the form offers it.
const SNOOZES: [(&str, &str); 5] = [("4h", "4 hours"), ("1d", "a day"), ("3d", "3 days"), ("7d", "a week"), ("30d", "30 days")];

/// What an act without a count has done, by the word in the address.
pub(super) fn done(word: &str, exception: &ExceptionView) -> Option<String> {
    let said = match word {
        "snoozed" => {
            let sooner = sooner(exception).map(|when| format!(", or at once {when}")).unwrap_or_default();
            return Some(format!("Snoozed. It comes back when its time has come{sooner}."));
        }
        "canary" => "One record went back to the gate. The rest follows by itself when it is confirmed.",
        "under-way" => "It is being released already.",
        "assigned" => "Handed over.",
        "commented" => "Kept.",
        "looking" => {
            "Both ends are being read. What agrees by then is closed; how it went is told in the history below in a moment."
        }
        "woken" => "Back among the others.",
        "edited" => "Edited. It went back to the gate as you have put it; both versions are kept.",
        "same" => "That is what goes to the target already, so nothing was edited.",
        _ => return None,
    };
    Some(said.to_owned())
}

pub(super) fn map_form(
    id: ExceptionId,
    asked: &MappingAsked,
    targets: &[ConnectionName],
    suggestions: &[SuggestionView],
    foreseen: &str,
    tried: &Tried,
) -> Markup {
    let (typed, wrong) = tried.of("map", "value");
    let typed = if typed.is_empty() { foreseen } else { typed };
    html! {
        section.card aria-labelledby="map" {
            h2 #map { "Set the mapping" }
            p { "What " code { (asked.key) } " is called in the table " code { (asked.table) } @if let Some(stands) = &asked.stands { " (now " code { (stands) } ")" } ". What waits for it goes back to the gate: one record first, the rest when that one is confirmed." }
            form.act action={ "/exceptions/" (id) "/map" } method="post" {
                input type="hidden" name="table" value=(asked.table);
                input type="hidden" name="key" value=(asked.key);
                @if asked.connection.is_some() { input type="hidden" name="seen" value=(asked.stands.as_deref().unwrap_or_default()); }
                @match &asked.connection {
                    Some(connection) => input type="hidden" name="connection" value=(connection);,
                    None => {
                        label for="connection" { "At which connection" }
                        select #connection name="connection" { @for target in targets { option value=(target) { (target) } } }
                    }
                }
                label for="value" { "The target's id" @if let Some(connection) = &asked.connection { ", at " (connection) } }
                @if let Some(wrong) = wrong { p.wrong #wrong-value { (wrong) } }
                div {
                    input #value name="value" value=(typed) required maxlength="200" autocomplete="off" list="suggested"
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "wrong-value")];
                    button.main { "Set and release" }
                    button name="how" value="preview" { "See what it would release" }
                }
                datalist #suggested { @for one in suggestions { option value=(one.value) { (one.why) } } }
                @if !suggestions.is_empty() {
                    p.quiet { "It might be" }
                    ul { @for one in suggestions { li { code { (one.value) } " " span.quiet { (one.why) } } } }
                }
            }
        }
    }
}

/// Release, one first or all at once, and dismiss.
pub(super) fn release_and_dismiss(detail: &ExceptionDetail, words: &Words, tried: &Tried) -> Markup {
    let exception = &detail.exception;
    let id = exception.id;
    let (typed, wrong) = tried.of("dismiss", "reason");
    html! {
        div.deck {
            section.card aria-labelledby="release" {
                h2 #release { "Release" }
                p { (words.release) }
                @if exception.count > 1 && words.steps() { p.quiet { "One first: the others follow by themselves when it is confirmed, and the first surprise stops them." } }
                form.act action={ "/exceptions/" (id) "/release" } method="post" {
                    div {
                        @if exception.count > 1 && words.steps() { button.main name="how" value="canary" { "Release, one first" } }
                        button name="how" value="all" { "Release " (words.counted(exception.count)) @if exception.count > 1 && words.steps() { " at once" } }
                    }
                }
                @if words.steps() { p { a href={ "/exceptions/" (id) "?preview=yes" } { "See what a release would do" } } }
            }
            section.card aria-labelledby="dismiss" {
                h2 #dismiss { "Dismiss" }
                p { (words.dismiss) " " (words.reason_kept()) }
                form.act action={ "/exceptions/" (id) "/dismiss" } method="post" {
                    input type="hidden" name="records" value=(exception.count);
                    @if let Some(newest) = detail.newest { input type="hidden" name="newest" value=(newest); }
                    label for="reason" { "Reason" }
                    @if let Some(wrong) = wrong { p.wrong #wrong-reason { (wrong) } }
                    div {
                        input #reason name="reason" value=(typed) required maxlength="500" autocomplete="off"
                            aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "wrong-reason")];
                        button { "Dismiss " (words.counted(exception.count)) }
                    }
                }
            }
        }
    }
}

/// Reading both ends again, where they disagree. `asked`: whether it was asked for and is still to come.
pub(super) fn look_form(id: ExceptionId, asked: bool) -> Markup {
    html! {
        section.card #settled {
            p { "Nothing is held, so there is nothing to release or to dismiss. Mend it at the end that is wrong: this closes by itself when both ends were read and agree." }
            @if asked {
                p { "Both ends are being read." }
            } @else if may(Right::Act) {
                form.act action={ "/exceptions/" (id) "/look" } method="post" { button { "Read both ends now" } }
            }
        }
    }
}

/// Who owns it, when it comes back, what is said about it.
pub(super) fn owner_forms(exception: &ExceptionView, people: &[String], tried: &Tried, now: Timestamp) -> Markup {
    let id = exception.id;
    let wrong_of = |act: &str| tried.of(act, "").1.map(str::to_owned);
    let typed = |act: &str, field: &str| tried.of(act, field).0.to_owned();
    html! {
        div.deck {
            section.card aria-labelledby="assign" {
                h2 #assign { "Owner" }
                p { (exception.owner()) }
                form.act action={ "/exceptions/" (id) "/assign" } method="post" {
                    @if let Some(wrong) = wrong_of("assign") { p.wrong { (wrong) } }
                    label for="team" { "Team" }
                    select #team name="team" {
                        @for team in Team::ALL { option value=(team.word()) selected[team == exception.team] { (team.name()) } }
                    }
                    label for="person" { "Person, if one" }
                    input #person name="person" maxlength="80" autocomplete="off" list="people" value=(if tried.act == "assign" { typed("assign", "person") } else { exception.person.clone().unwrap_or_default() });
                    datalist #people { @for name in people { option value=(name) {} } }
                    label for="note" { "Note" }
                    div { input #note name="note" maxlength="1000" autocomplete="off" value=(typed("assign", "note")); button { "Hand over" } }
                }
            }
            @if exception.open {
                section.card aria-labelledby="snooze" {
                    h2 #snooze { "Snooze" }
                    @if let Some(snoozed) = &exception.snoozed {
                        p { "Until " (when(snoozed.until, now)) ": " (snoozed.why) }
                        form.act action={ "/exceptions/" (id) "/wake" } method="post" { button { "Bring it back now" } }
                    } @else {
                        p { "It is listed apart until then" @if let Some(when) = sooner(exception) { ", and comes back at once " (when) } "." }
                        form.act action={ "/exceptions/" (id) "/snooze" } method="post" {
                            @if let Some(wrong) = wrong_of("snooze") { p.wrong { (wrong) } }
                            label for="until" { "For" }
                            select #until name="until" { @for (span, name) in SNOOZES { option value=(span) { (name) } } }
                            label for="snooze-reason" { "Reason" }
                            div { input #snooze-reason name="reason" required maxlength="500" autocomplete="off" value=(typed("snooze", "reason")); button { "Snooze" } }
                        }
                    }
                }
            }
            section.card aria-labelledby="comment" {
                h2 #comment { "Comment" }
                form.act action={ "/exceptions/" (id) "/comment" } method="post" {
                    @if let Some(wrong) = wrong_of("comment") { p.wrong { (wrong) } }
                    label for="said" { "What others should know" }
                    div { input #said name="text" required maxlength="1000" autocomplete="off" value=(typed("comment", "text")); button { "Keep" } }
                }
            }
        }
    }
}

/// The fields of one order or shipment that may be edited. `asked`: it was asked for by name.
pub(super) fn edit_form(id: ExceptionId, edit: &EditView, asked: bool, tried: &Tried) -> Markup {
    let (_, wrong) = tried.of("edit", "");
    html! {
        details.card #edit open[asked || wrong.is_some()] {
            summary { h3 { "Edit " (document(edit.kind)) " " (edit.key) " and retry it" } }
            p { "What you put here goes to the targets in place of what the source says, until the source changes the same field itself. Both versions are kept." }
            @if edit.has_several_parcels() {
                p { "Put in the numbers of all its parcels at once: the shop may take no more afterwards. They are over as soon as the source says anything else of any of them." }
            }
            form.act action={ "/exceptions/" (id) "/edit" } method="post" {
                input type="hidden" name="obligation" value=(edit.obligation);
                @if let Some(wrong) = wrong { p.wrong { (wrong) } }
                div.grid {
                    @for one in &edit.fields {
                        @let word = one.field.word();
                        // What nobody touched is shown as it goes now, and is nobody's edit again.
                        @let touched = tried.of("edit", &word).0 != tried.of("edit", &format!("{SEEN}{word}")).0;
                        @let typed = if touched { tried.of("edit", &word).0 } else { one.goes.as_deref().unwrap_or_default() };
                        div {
                            label for={ "edit-" (word) } {
                                (one.field.name())
                                @if one.source != one.goes { " " span.quiet { "(source: " (one.source.as_deref().unwrap_or("nothing")) ")" } }
                                @if wrong.is_some() && one.goes.as_deref().unwrap_or_default() != typed { " " span.quiet { "(goes now: " (one.goes.as_deref().unwrap_or("nothing")) ")" } }
                            }
                            input type="hidden" name={ (SEEN) (word) } value=(one.goes.as_deref().unwrap_or_default());
                            input id={ "edit-" (word) } name=(word) maxlength="200" autocomplete="off"
                                value=(if wrong.is_some() { typed } else { one.goes.as_deref().unwrap_or_default() });
                        }
                    }
                }
                label for="edit-reason" { "Reason" }
                div { input #edit-reason name="reason" required maxlength="500" autocomplete="off" value=(tried.of("edit", "reason").0); button { "Edit and retry" } }
            }
            @if !edit.edits.is_empty() {
                h4 { "Edited before" }
                ul.changes {
                    @for row in &edit.edits {
                        li {
                            (row.edit.field.name()) ": " del { (row.edit.before.as_deref().unwrap_or("nothing")) } " " ins { (row.edit.after.as_deref().unwrap_or("nothing")) }
                            " by " (row.actor) ": " (row.reason)
                            @if let Some(why) = &row.ended_why { " " span.quiet { "(over: " (why) ")" } }
                        }
                    }
                }
            }
        }
    }
}

/// The address of an act, opened again after it: back to the exception.
pub(in crate::pages) async fn back(Path(id): Path<String>) -> Redirect {
    Redirect::to(&format!("/exceptions/{}", part(&id)))
}

/// Where an act without a count leads back to.
fn after(id: ExceptionId, word: &str) -> Response {
    Redirect::to(&format!("/exceptions/{id}?done={word}")).into_response()
}

/// The page again, with what was typed and what is wrong with it.
async fn again(
    app: &App,
    id: &str,
    act: &'static str,
    typed: impl IntoIterator<Item = (&'static str, String)>,
    wrong: String,
) -> Result<Response, Failure> {
    let typed = typed.into_iter().map(|(field, text)| (field.to_owned(), text)).collect();
    refused(app, id, Tried { act, typed, wrong }).await
}

async fn refused(app: &App, id: &str, tried: Tried) -> Result<Response, Failure> {
    let edit = tried.typed.get("obligation").filter(|_| tried.act == "edit").cloned().unwrap_or_default();
    let page = shown(app, id, &Done::default(), &Shown { edit, ..Shown::default() }, &tried).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// How.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::pages) struct How {
    how: String,
}

/// Releases it, one record first or all at once.
pub(in crate::pages) async fn release(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(sent): Form<How>,
) -> Result<Response, Failure> {
    let id = id_of(&id)?;
    let released = match sent.how.as_str() {
        "canary" => match app.actions(&who).release_stepwise(id).await? {
            Begun::Canary(..) => return Ok(after(id, "canary")),
            Begun::UnderWay => return Ok(after(id, "under-way")),
            Begun::AtOnce(count) => count,
        },
        _ => app.actions(&who).release(id).await?,
    };
    Ok(Redirect::to(&format!("/exceptions/{id}?released={released}")).into_response())
}

/// Why, and how many records the page said that it holds, and which as the newest.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::pages) struct Dismissing {
    reason: String,
    records: u64,
    newest: Option<ObligationId>,
}

/// Dismisses what it holds.
pub(in crate::pages) async fn dismiss(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(sent): Form<Dismissing>,
) -> Result<Response, Failure> {
    match view::reason(&sent.reason) {
        Ok(reason) => {
            let exception = id_of(&id)?;
            match app.actions(&who).dismiss_seen(exception, &reason, sent.records, sent.newest).await {
                Ok(dismissed) => Ok(Redirect::to(&format!("/exceptions/{exception}?dismissed={dismissed}")).into_response()),
                Err(StoreError::Changed(how)) => {
                    let wrong = format!("Nothing was dismissed. {how} See what it holds now, then dismiss that.");
                    again(&app, &id, "dismiss", [("reason", sent.reason)], wrong).await
                }
                Err(other) => Err(other.into()),
            }
        }
        Err(wrong) => again(&app, &id, "dismiss", [("reason", sent.reason)], wrong).await,
    }
}

/// What the mapping is set to, or what that would do.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::pages) struct Mapping {
    connection: String,
    table: String,
    key: String,
    value: String,
    /// What the page said that stands there; empty for nothing.
    seen: Option<String>,
    how: String,
}

/// Sets the mapping that it asks for, or shows what that would release.
pub(in crate::pages) async fn map(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(sent): Form<Mapping>,
) -> Result<Response, Failure> {
    let typed = sent.value.clone();
    if sent.how == "preview" {
        let at = [("preview", "yes"), ("value", &typed), ("connection", &sent.connection)]
            .map(|(name, text)| format!("{name}={}", part(text)));
        return Ok(Redirect::to(&format!("/exceptions/{}?{}", id_of(&id)?, at.join("&"))).into_response());
    }
    let Mapping { connection, table, key, value, seen, .. } = sent;
    let wanted = MappingWanted { connection: ConnectionName(connection), table, key, value: Some(value), seen };
    let wrong = match wanted.checked(&app.mapping_targets()) {
        Ok(wanted) => {
            let id = id_of(&id)?;
            match wanted.set(&app.actions(&who)).await {
                Ok(mapped) => {
                    return Ok(Redirect::to(&format!("/exceptions/{id}?{}", super::super::mapped("set", mapped))).into_response());
                }
                Err(StoreError::Changed(how)) => format!("Nothing was set: somebody else was quicker. {how}"),
                Err(other) => return Err(other.into()),
            }
        }
        Err(wrong) => wrong,
    };
    again(&app, &id, "map", [("value", typed)], wrong).await
}

/// To whom, and what to say.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::pages) struct Assigned {
    team: String,
    person: String,
    note: String,
}

impl Assigned {
    fn owner(&self) -> Result<(Owner, String), String> {
        let team = view::team(&self.team)?.ok_or_else(|| "Name the team that is to own it.".to_owned())?;
        let person = if self.person.trim().is_empty() { None } else { Some(person(&self.person)?) };
        let note = if self.note.trim().is_empty() { String::new() } else { view::desk::said(&self.note)? };
        Ok((Owner { team, person }, note))
    }
}

/// Gives it to another owner.
pub(in crate::pages) async fn assign(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(sent): Form<Assigned>,
) -> Result<Response, Failure> {
    match sent.owner() {
        Ok((owner, note)) => {
            let id = id_of(&id)?;
            app.actions(&who).hand_over(id, &owner, &note).await?;
            Ok(after(id, "assigned"))
        }
        Err(wrong) => again(&app, &id, "assign", [("person", sent.person), ("note", sent.note)], wrong).await,
    }
}

/// Something said.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::pages) struct Said {
    text: String,
}

/// Keeps a comment.
pub(in crate::pages) async fn comment(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(sent): Form<Said>,
) -> Result<Response, Failure> {
    match view::desk::said(&sent.text) {
        Ok(text) => {
            let id = id_of(&id)?;
            app.actions(&who).comment(id, &text).await?;
            Ok(after(id, "commented"))
        }
        Err(wrong) => again(&app, &id, "comment", [("text", sent.text)], wrong).await,
    }
}

/// Until when, and why.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::pages) struct Snoozed {
    until: String,
    reason: String,
}

/// Puts it off.
pub(in crate::pages) async fn snooze(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(sent): Form<Snoozed>,
) -> Result<Response, Failure> {
    let checked = view::desk::until(&sent.until, app.clock.now()).and_then(|until| Ok((until, view::reason(&sent.reason)?)));
    match checked {
        Ok((until, reason)) => {
            let id = id_of(&id)?;
            app.actions(&who).snooze(id, until, &reason).await?;
            Ok(after(id, "snoozed"))
        }
        Err(wrong) => again(&app, &id, "snooze", [("reason", sent.reason)], wrong).await,
    }
}

/// Brings it back before its time.
pub(in crate::pages) async fn wake(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Response, Failure> {
    let id = id_of(&id)?;
    app.actions(&who).wake(id).await?;
    Ok(after(id, "woken"))
}

/// Has both ends read again, before their time.
pub(in crate::pages) async fn look(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Response, Failure> {
    let id = id_of(&id)?;
    let detail = view::exception(&app.store, &app.brand, &app.all_ends(), id).await?;
    let filter = detail.as_ref().and_then(|detail| view::reconcile::grouped_by(&detail.exception));
    let Some(filter) = filter else { return Err(Failure::Absent(format!("{id} is not about two ends that disagree."))) };
    app.actions(&who).look_again(id, &filter.pair, &app.engine.reconciler).await?;
    Ok(after(id, "looking"))
}

/// Edits one order or shipment that it holds, and retries it.
pub(in crate::pages) async fn edit(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(sent): Form<BTreeMap<String, String>>,
) -> Result<Response, Failure> {
    match view::case::edits(&sent, &app.engine.setup().desk.editable) {
        Ok(edits) => {
            let exception = id_of(&id)?;
            match app.actions(&who).edit(exception, edits.obligation, &edits.wanted, &edits.seen, &edits.reason).await {
                Ok(fields) => Ok(after(exception, if fields.is_empty() { "same" } else { "edited" })),
                Err(StoreError::Absent(_)) => {
                    let wrong = "It is not held here any more, so nothing was edited. Load the page again.".to_owned();
                    refused(&app, &id, Tried { act: "edit", typed: sent, wrong }).await
                }
                Err(StoreError::Changed(how)) => {
                    let wrong = format!(
                        "Nothing was edited: it has changed since this page was made. {how} What goes now is beside what you typed."
                    );
                    refused(&app, &id, Tried { act: "edit", typed: sent, wrong }).await
                }
                Err(other) => Err(other.into()),
            }
        }
        Err(wrong) => refused(&app, &id, Tried { act: "edit", typed: sent, wrong }).await,
    }
}
