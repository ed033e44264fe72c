//! `/alerts`: who was told of what, whether it arrived, and who looks after it.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Redirect,
};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{AlertId, people::Right};
use serde::Deserialize;

use super::{
    Failure, Frame, Place, done,
    words::{self, when},
};
use crate::{
    people::{Who, may},
    serve::App,
    view::alerts::{self, AlertView, AlertsView, MessageView},
};

/// Who acts by a link, in the audit trail.
const LINK_ACTOR: &str = "a link";

/// What an act has led to.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    all: bool,
    acknowledged: Option<usize>,
}

/// `GET /alerts`
pub(super) async fn page(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Result<Markup, Failure> {
    let view = alerts::alerts(&app.store, &app.brand, asked.all, None).await?;
    let now = app.clock.now();
    let setup = &app.engine.setup().alerts;
    let frame = Frame::of(&app, Place::Alerts, "Alerts").await?;
    Ok(frame.around(html! {
        h1 { "Alerts" }
        p.lead { "Who was told of which exception, over which channel, whether it arrived, and who looks after it." }
        @if let Some(count) = asked.acknowledged {
            (done(if count > 0 { "You look after it now. Nobody else is told." } else { "Somebody was quicker: it was acknowledged or over already." }))
        }
        @if setup.channels.is_empty() {
            p.notice { "Nobody is told of anything yet: there is no channel. Add one under " code { "[alerts.channels]" } " and a route under " code { "[[alerts.routes]]" } "." }
        }
        (open(&view, asked.all, now))
        (channels(&app, &view))
        (messages(&view, now))
        (pulse(&app, now))
    }))
}

fn open(view: &AlertsView, all: bool, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="open" {
            h2 #open { @if all { "All alerts" } @else { "Open alerts" } }
            @if view.alerts.is_empty() {
                p.empty { "Nothing is open that a route takes." }
            } @else {
                table.cards {
                    thead { tr {
                        th scope="col" { "Severity" } th scope="col" { "What" } th scope="col" { "Since" } th scope="col" { "Told" } th scope="col" { "Looked after" }
                    } }
                    tbody { @for alert in &view.alerts { (row(alert, now)) } }
                }
            }
            p { @if all { a href="/alerts" { "Open ones only" } } @else { a href="/alerts?all=true" { "Those that are over, too" } } }
        }
    }
}

fn row(alert: &AlertView, now: Timestamp) -> Markup {
    let told = if alert.told.is_empty() {
        "nobody yet".to_owned()
    } else {
        alert.told.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ")
    };
    html! {
        tr {
            td data-label="Severity" { (words::capital(alert.severity.word())) }
            td data-label="What" { a href=(format!("/exceptions/{}", alert.exception)) { (alert.message) } " " span.quiet { (alert.id) " · " (alert.rule) } }
            td data-label="Since" { (when(alert.opened_at, now)) }
            td data-label="Told" {
                (told)
                @if let Some(due) = alert.due_at.filter(|due| *due > now) { " " span.quiet { "next " (when(due, now)) } }
            }
            td data-label="Looked after" {
                @if let Some(at) = alert.resolved_at {
                    "over " (when(at, now))
                } @else if let (Some(at), Some(by)) = (alert.acknowledged_at, &alert.acknowledged_by) {
                    (by) ", " (when(at, now))
                } @else {
                    @if may(Right::Act) { form method="post" action=(format!("/alerts/{}/acknowledge", alert.id)) {
                        button aria-label=(format!("Acknowledge {}", alert.id)) { "Acknowledge" }
                    }
                    }
                }
            }
        }
    }
}

fn channels(app: &App, view: &AlertsView) -> Markup {
    let setup = &app.engine.setup().alerts;
    html! {
        @if !setup.channels.is_empty() {
            section aria-labelledby="channels" {
                h2 #channels { "Channels" }
                table.cards {
                    thead { tr {
                        th scope="col" { "Channel" } th scope="col" { "Owed" } th scope="col" { "Arrived" } th scope="col" { "On their way" }
                        th scope="col" { "Held" } th scope="col" { "Excluded" } th scope="col" { "Superseded" }
                    } }
                    tbody {
                        @for (name, channel) in &setup.channels {
                            @let count = view.channels.iter().find(|one| one.channel == *name);
                            @let figure = |of: fn(&selvedge_store::alerts::ChannelCount) -> u64| words::grouped(count.map_or(0, of));
                            tr {
                                td data-label="Channel" { (name) " " span.quiet { (channel.kind) } }
                                td.num data-label="Owed" { (figure(|one| one.owed)) }
                                td.num data-label="Arrived" { (figure(|one| one.confirmed)) }
                                td.num data-label="On their way" { (figure(|one| one.in_flight)) }
                                td.num data-label="Held" { (figure(|one| one.held)) }
                                td.num data-label="Excluded" { (figure(|one| one.excluded)) }
                                td.num data-label="Superseded" { (figure(|one| one.superseded)) }
                            }
                        }
                    }
                }
                p.quiet { "Try one: " code { "selvedge alerts test CHANNEL" } }
            }
        }
    }
}

fn messages(view: &AlertsView, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="messages" {
            h2 #messages { "Messages" }
            @if view.messages.is_empty() {
                p.empty { "Nobody was told of anything yet." }
            } @else {
                table.cards {
                    thead { tr { th scope="col" { "When" } th scope="col" { "Channel" } th scope="col" { "Message" } th scope="col" { "State" } th scope="col" { "Answer" } } }
                    tbody { @for message in &view.messages { (sent(message, now)) } }
                }
            }
        }
    }
}

fn sent(message: &MessageView, now: Timestamp) -> Markup {
    html! {
        tr {
            td data-label="When" { (when(message.created_at, now)) }
            td data-label="Channel" { (message.channel) }
            td data-label="Message" { (message.subject) " " span.quiet { (message.id) } }
            td data-label="State" { (words::state(message.state)) }
            td data-label="Answer" {
                (message.note.as_deref().unwrap_or_default())
                @if message.attempts > 1 { " " span.quiet { "sent " (message.attempts) " times" } }
            }
        }
    }
}

fn pulse(app: &App, now: Timestamp) -> Markup {
    html! {
        @if let Some(state) = app.engine.pulse_state() {
            section aria-labelledby="pulse" {
                h2 #pulse { "Sign of life" }
                @match state.taken_at {
                    Some(at) => p { "The monitor outside last took one " (when(at, now)) "." },
                    None => p { "The monitor outside has not taken one yet." },
                }
                @if let Some(why) = &state.failed { p.wrong { "The last one did not arrive: " (why) } }
            }
        }
    }
}

/// `POST /alerts/{id}/acknowledge`
pub(super) async fn acknowledge(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Redirect, Failure> {
    let id: AlertId = id.parse().map_err(|error| Failure::Absent(format!("{error}.")))?;
    let brand = app.brand.clone();
    app.store.read(move |view| view.alert(&brand, id).map(|_| ())).await?;
    let taken = app.actions(&who).acknowledge(&[id]).await?;
    Ok(Redirect::to(&format!("/alerts?acknowledged={}", taken.len())))
}

/// `GET /alerts/ack/{token}`: what the link would acknowledge, with a button. Opening it does nothing: mail scanners open every link.
pub(super) async fn ask(State(app): State<Arc<App>>, Path(token): Path<String>) -> Result<Markup, Failure> {
    let (brand, probe, now) = (app.brand.clone(), token.clone(), app.clock.now());
    let found = app
        .store
        .read(move |view| match view.alert_link(&brand, &probe, now)? {
            Some(message) => view.message(message).map(Some),
            None => Ok(None),
        })
        .await?;
    let frame = Frame { title: "Acknowledge".to_owned(), place: Place::Nowhere, brand: None, open: None };
    Ok(frame.around(match found {
        Some(row) => html! {
            h1 { "Look after this?" }
            p.lead { (MessageView::from(&row).subject) }
            p { "Whoever acknowledges looks after it: nobody else is told. It stays open until its cause is gone." }
            form method="post" action=(format!("/alerts/ack/{token}")) { button { "I look after it" } }
        },
        None => spent(),
    }))
}

/// `POST /alerts/ack/{token}`
pub(super) async fn acknowledge_by_link(State(app): State<Arc<App>>, Path(token): Path<String>) -> Result<Markup, Failure> {
    let taken = app.actions_as(LINK_ACTOR).acknowledge_by_link(&token).await?;
    let frame = Frame { title: "Acknowledged".to_owned(), place: Place::Nowhere, brand: None, open: None };
    Ok(frame.around(match taken {
        Some((_, taken)) if !taken.is_empty() => html! {
            h1 { "You look after it" }
            p.lead { "Nobody else is told. It closes by itself when its cause is gone." }
        },
        Some(_) => html! {
            h1 { "Somebody was quicker" }
            p.lead { "All of it was acknowledged or over already. Nothing was changed." }
        },
        None => spent(),
    }))
}

fn spent() -> Markup {
    html! {
        h1 { "This link opens nothing" }
        p.lead { "It was used already, or it is older than a week. Nothing was changed." }
        p { "See what is open: " a href="/alerts" { "Alerts" } }
    }
}
