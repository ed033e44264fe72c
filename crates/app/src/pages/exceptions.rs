//! `/exceptions`: the desk, ranked by impact, page by page; one of them is at `/exceptions/{id}` (`exception/`).

use std::sync::Arc;

use axum::extract::{Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{impact::distance, team::Team};

use super::{
    Failure, Frame, Place,
    chart::{self, Dot},
    exception::Words,
    words::{amounts, grouped, part, plural, when},
};
use crate::{
    people::Who,
    serve::App,
    view::{self, ExceptionGroup, ExceptionView, desk::DeskWanted},
};

/// The longest words beside a dot.
const LABEL_CHARS_MAX: usize = 90;
/// The shelves: word, name.
const SHELVES: [(&str, &str); 3] = [("", "Open"), ("snoozed", "Snoozed"), ("closed", "Closed")];

/// The address of a list.
fn address(wanted: &DeskWanted) -> String {
    let words: Vec<String> = wanted.words().map(|(name, value)| format!("{name}={}", part(value))).collect();
    if words.is_empty() { "/exceptions".to_owned() } else { format!("/exceptions?{}", words.join("&")) }
}

/// The list.
pub(super) async fn page(State(app): State<Arc<App>>, who: Who, Query(wanted): Query<DeskWanted>) -> Result<Markup, Failure> {
    let ends = app.all_ends();
    let asked = wanted.asked(&ends, &who.names()).map_err(Failure::Unclear)?;
    let (desk, groups) = view::desk_by_cause(&app.store, &app.brand, &asked, &ends).await?;
    let field = ages(&desk.exceptions, app.clock.now());
    let frame = Frame::of(&app, Place::Exceptions, "Exceptions").await?;
    let now = app.clock.now();
    let shelf = |word: &str| address(&DeskWanted { shelf: word.to_owned(), after: String::new(), ..wanted.clone() });
    let of_team = |word: &str| DeskWanted { team: word.to_owned(), mine: String::new(), after: String::new(), ..wanted.clone() };
    let mine = DeskWanted { mine: "yes".to_owned(), team: String::new(), after: String::new(), ..wanted.clone() };
    let next = desk.next.as_ref().map(|after| address(&DeskWanted { after: after.clone(), ..wanted.clone() }));
    let stands = if wanted.shelf == "open" { "" } else { wanted.shelf.as_str() };
    Ok(frame.around(html! {
        h1 { "Exceptions" }
        p.lead { "One for each root cause, what hurts most first. Mend the cause, and everything that it holds goes on." }
        p.tabs aria-label="Shelf" {
            @for (word, name) in SHELVES { a href=(shelf(word)) aria-current=[(stands == word).then_some("true")] { (name) } " " }
        }
        p.tabs aria-label="Team" {
            a href=(address(&of_team(""))) aria-current=[(wanted.team.is_empty() && wanted.mine.is_empty()).then_some("true")] { "All teams" }
            @for one in Team::ALL { " " a href=(address(&of_team(one.word()))) aria-current=[(wanted.team == one.word()).then_some("true")] { (one.name()) } }
            " " a href=(address(&mine)) aria-current=[(!wanted.mine.is_empty()).then_some("true")] { "Mine" }
        }
        (search(&wanted, &app))
        div #ages data-live { (field) }
        div #exceptions data-live {
            @if groups.is_empty() { p.empty { (nothing(&wanted, stands)) } }
            @for group in &groups { (group_of(group, &app, now)) }
            @if let Some(next) = &next { p { a #next href=(next) { "Further down the list" } } }
        }
    }))
}

/// Those of this page of the list as dots: how old each is, and how much hangs on it.
fn ages(exceptions: &[ExceptionView], now: Timestamp) -> Markup {
    let dot = |one: &ExceptionView| Dot {
        label: cut(&one.message),
        age_ms: u64::try_from(now.as_millisecond().saturating_sub(one.first_seen_at.as_millisecond())).unwrap_or(0),
        weight: one.impact,
        href: format!("/exceptions/{}", one.id),
    };
    let all: Vec<Dot> = exceptions.iter().filter(|one| one.open).map(dot).collect();
    // One dot is no picture.
    if all.len() < 2 {
        html! {}
    } else {
        chart::dots("age-and-impact", "Age and impact", "older", "more hangs on it", &all)
    }
}

/// The beginning of a sentence, where it is long.
fn cut(text: &str) -> String {
    if text.chars().count() <= LABEL_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(LABEL_CHARS_MAX).chain(std::iter::once('…')).collect()
}

/// Why the list is empty.
fn nothing(wanted: &DeskWanted, shelf: &str) -> &'static str {
    match (wanted.narrows(), shelf) {
        _ if !wanted.after.is_empty() => "Nothing further of this kind.",
        (true, _) => "Nothing of this kind.",
        (false, "snoozed") => "Nothing is snoozed.",
        (false, "closed") => "None has closed yet.",
        (false, _) => "Nothing needs you.",
    }
}

fn search(wanted: &DeskWanted, app: &App) -> Markup {
    let connections = view::desk::connections(&app.all_ends());
    html! {
        form.search action="/exceptions" method="get" role="search" {
            @if !wanted.shelf.is_empty() { input type="hidden" name="shelf" value=(wanted.shelf); }
            @if !wanted.team.is_empty() { input type="hidden" name="team" value=(wanted.team); }
            @if !wanted.mine.is_empty() { input type="hidden" name="mine" value=(wanted.mine); }
            div.grid {
                div { label for="text" { "Words" } input #text name="text" value=(wanted.text) type="search" maxlength="200" autocomplete="off"; }
                div { label for="rule" { "Rule begins with" } input #rule name="rule" value=(wanted.rule) maxlength="100" placeholder="mapping." autocomplete="off"; }
                div { label for="person" { "Person" } input #person name="person" value=(wanted.person) maxlength="80" autocomplete="off"; }
                div {
                    label for="connection" { "Connection" }
                    select #connection name="connection" {
                        option value="" { "any" }
                        @for name in &connections { option value=(name) selected[wanted.connection == name.as_str()] { (name) } }
                    }
                }
                div {
                    label for="flow" { "Flow" }
                    select #flow name="flow" {
                        option value="" { "any" }
                        @for ends in app.all_ends() { option value=(ends.flow) selected[wanted.flow == ends.flow.as_str()] { (ends.flow) } }
                    }
                }
                button { "Narrow" }
            }
        }
    }
}

/// One root cause: what it holds in all flows of a connection together, and its exceptions. What was told of further up is only
/// named.
fn group_of(group: &ExceptionGroup, app: &App, now: Timestamp) -> Markup {
    let Some(first) = group.exceptions.first() else { return html! {} };
    if let Some(leads) = group.further_up {
        return html! {
            p.quiet {
                a href={ "/exceptions/" (first.id) } { (first.message) } " in " (first.flow) ": counted with "
                a href={ "/exceptions/" (leads) } { (leads) } " further up"
            }
        };
    }
    let formula = first.formula(&app.engine.setup().desk.scale, now);
    html! {
        section.card {
            h2 { a href={ "/exceptions/" (first.id) } { (first.message) } }
            p.quiet {
                (first.owner()) " · " code { (first.rule) }
                @if !group.connection.is_empty() { " at " (group.connection) }
                " · "
                @match &group.behind {
                    Some(behind) => {
                        @if first.rule.starts_with("reconcile.") { (plural(behind.records, "record differs", "records differ")) }
                        @else { (plural(behind.records, "record waits", "records wait")) " behind it" }
                        @if !behind.money.is_empty() { ", " b { (amounts(&behind.money)) } }
                    }
                    None if group.count > 0 => { (Words::of(first).counted(group.count)) " held" }
                    None => "nothing held",
                }
                @if !group.money.is_empty() { " · " b { (amounts(&group.money)) } }
                @if group.customers > 0 { " · " (plural(group.customers, "customer", "customers")) }
                @if let Some(deadline) = group.deadline { " · " b { (deadline.kind.name()) " " (distance(deadline.at, now)) } }
                " · first met " (when(group.first_seen_at, now)) " · last met " (when(group.last_seen_at, now))
            }
            (standing(first, now))
            p.quiet {
                "Ranked by "
                @if group.exceptions.len() > 1 { "all of them together; " (first.flow) ": " }
                (formula)
            }
            @if group.exceptions.len() > 1 {
                ul.held {
                    @for one in &group.exceptions {
                        li { a href={ "/exceptions/" (one.id) } { "In " (one.flow) } ": " (grouped(one.count)) }
                    }
                }
            }
        }
    }
}

/// What is being done about it just now.
pub(super) fn standing(exception: &ExceptionView, now: Timestamp) -> Markup {
    html! {
        @if let Some(closed) = &exception.closed { p.quiet { "Closed " (closed) } }
        @if let Some(snooze) = &exception.snoozed { p.quiet { "Snoozed until " (when(snooze.until, now)) ": " (snooze.why) } }
        @if let Some(releasing) = &exception.releasing {
            p { span.state.busy {
                @match releasing.stage {
                    selvedge_store::exceptions::Stage::Canary => "One record is on its way first; the rest follows when it is confirmed.",
                    selvedge_store::exceptions::Stage::Rest => "The first one is confirmed; the rest is on its way.",
                }
            } " " span.quiet { "Released by " (releasing.by) } }
        }
    }
}
