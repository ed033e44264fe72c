//! `/approvals`: acts that wait for a second person.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{ApprovalId, people::Act};
use selvedge_store::people::approvals::{Approval, State as Standing};
use serde::Deserialize;

use super::{Failure, Frame, Place, done, words::when};
use crate::{people::Who, serve::App, view};

/// Rows that are shown.
const SHOWN_MAX: usize = 200;

/// What an act has done.
#[derive(Default, Deserialize)]
pub(super) struct Acted {
    #[serde(default)]
    asked: String,
    #[serde(default)]
    approved: String,
    #[serde(default)]
    rejected: String,
}

impl Acted {
    fn message(&self) -> Option<String> {
        let of = |text: &str| text.parse::<ApprovalId>().ok().filter(|_| !text.is_empty());
        of(&self.asked)
            .map(|id| format!("Not done yet: it takes a second person, and was asked for as {id}."))
            .or_else(|| of(&self.approved).map(|id| format!("{id} is approved.")))
            .or_else(|| of(&self.rejected).map(|id| format!("{id} is rejected.")))
    }
}

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, who: Who, Query(acted): Query<Acted>) -> Result<Markup, Failure> {
    shown(&app, &who, acted.message().as_deref(), None).await
}

async fn shown(app: &App, who: &Who, message: Option<&str>, wrong: Option<&str>) -> Result<Markup, Failure> {
    let (brand, now) = (app.brand.clone(), app.clock.now());
    let look = app.store.read(move |view| Ok((view.approvals(&brand, true, None, SHOWN_MAX, now)?, view.four_eyes(&brand)?)));
    let (all, marked) = look.await?;
    let (waiting, over): (Vec<Approval>, Vec<Approval>) = all.into_iter().partition(|one| one.state == Standing::Pending);
    let frame = Frame::of(app, Place::Approvals, "Approvals").await?;
    Ok(frame.around(html! {
        h1 { "Approvals" }
        p.lead { "Acts that take two people: " (marked.says()) ". What waits is done once, when somebody else who may do it approves; after seven days it is over." }
        @if let Some(message) = message { (done(message)) }
        @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
        section aria-labelledby="waiting" {
            h2 #waiting { "What waits" }
            @if waiting.is_empty() { p.empty { "Nothing waits for a second person." } }
            @for one in &waiting { (card(who, one, now)) }
        }
        @if !over.is_empty() {
            section aria-labelledby="over" {
                h2 #over { "What was decided" }
                ol.timeline {
                    @for one in &over {
                        li.good[matches!(one.state, Standing::Done | Standing::Approved)].bad[one.state == Standing::Rejected].quiet[one.state == Standing::Expired] {
                            p { b { (one.state.name()) } ": " (one.act.says()) }
                            p.quiet {
                                code { (one.id) } ", asked by " (one.asked_by) ", " (when(one.asked_at, now))
                                @if let (Some(by), Some(at)) = (&one.decided_by, one.decided_at) { "; decided by " (by) ", " (when(at, now)) }
                                @if let Some(reason) = &one.reason { ": " (reason) }
                            }
                        }
                    }
                }
            }
        }
    }))
}

fn card(who: &Who, one: &Approval, now: Timestamp) -> Markup {
    let may = who.may(one.act.right()) && who.session().is_some();
    let own = one.asker == Some(who.person.id);
    let about = match &one.act {
        Act::Release { exception, .. } | Act::Dismiss { exception, .. } => Some(*exception),
        Act::Map { .. } | Act::Import { .. } | Act::Sign { .. } | Act::Restate { .. } | Act::Mark { .. } => None,
    };
    html! {
        article.card {
            h3 { (one.act.says()) }
            p.quiet {
                code { (one.id) } ", asked by " (one.asked_by) ", " (when(one.asked_at, now)) "; over " (when(one.expires_at, now))
                @if let Some(exception) = about { ". " a href={ "/exceptions/" (exception) } { "See " (exception) } }
            }
            @if let Act::Import { entries, before, .. } = &one.act {
                details {
                    summary { "All " (entries.len()) " entries" }
                    ul {
                        @for (nth, entry) in entries.iter().enumerate() {
                            li {
                                (entry.table) " " code { (entry.key) } " → " code { (entry.value) } " at " (entry.connection)
                                @if let Some(before) = before.get(nth).and_then(Option::as_ref) { ", in place of " code { (before) } }
                            }
                        }
                    }
                }
            }
            @if may && !own {
                form action={ "/approvals/" (one.id) "/approve" } method="post" {
                    button.main aria-label={ "Approve " (one.id) } { @if matches!(one.act, Act::Sign { .. }) { "Approve" } @else { "Approve and do it" } }
                }
            }
            @if own { p { "You asked for it, so somebody else has to approve." } }
            @if may {
                form action={ "/approvals/" (one.id) "/reject" } method="post" {
                    label for={ "reason-" (one.id) } { @if own { "Why you take it back" } @else { "Why not" } }
                    div {
                        input #{ "reason-" (one.id) } name="reason" required maxlength="500" autocomplete="off";
                        button aria-label={ @if own { "Take back " } @else { "Reject " } (one.id) } { @if own { "Take it back" } @else { "Reject" } }
                    }
                }
            } @else { p { "Deciding takes the right to " (one.act.right().says()) "." } }
        }
    }
}

fn id_of(text: &str) -> Result<ApprovalId, Failure> {
    text.parse().map_err(|error| Failure::Absent(format!("{error}.")))
}

/// `POST /approvals/{id}/approve`
pub(super) async fn approve(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Redirect, Failure> {
    let id = id_of(&id)?;
    app.actions(&who).approve(id).await?;
    Ok(Redirect::to(&format!("/approvals?approved={id}")))
}

/// Why.
#[derive(Deserialize)]
pub(super) struct Reason {
    #[serde(default)]
    reason: String,
}

/// `POST /approvals/{id}/reject`
pub(super) async fn reject(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Form(sent): Form<Reason>,
) -> Result<Response, Failure> {
    let id = id_of(&id)?;
    match view::reason(&sent.reason) {
        Ok(reason) => {
            app.actions(&who).reject(id, &reason).await?;
            Ok(Redirect::to(&format!("/approvals?rejected={id}")).into_response())
        }
        Err(wrong) => {
            let page = shown(&app, &who, None, Some(&wrong)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// The address of an act, opened again after it: back to the list.
pub(super) async fn back() -> Redirect {
    Redirect::to("/approvals")
}
