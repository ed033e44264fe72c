//! `/reconcile`: whether both ends of each pair agree, and the sentence that proves it.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};
use selvedge_model::{Kind, reconcile::habits::Habit};

use super::{
    Failure, Frame, Place,
    differences::{differs, filter, list_address},
    words::{ago, amounts, capital, grouped, part, plural, when},
};
use crate::{
    serve::App,
    view::{
        document,
        reconcile::{self as view, Agreement, CauseView, LookView, PairView, SumView, TallyView, cause_word},
    },
};

/// Looks that found nothing are shown up to so many; those that found something always are.
const QUIET_LOOKS: usize = 5;

/// The pairs.
pub(super) async fn page(State(app): State<Arc<App>>) -> Result<Markup, Failure> {
    let pairs = view::pairs(&app.store, &app.brand, app.pairs()).await?;
    let causes = view::causes(&app.store, &app.brand).await?;
    let frame = Frame::of(&app, Place::Reconcile, "Reconciliation").await?;
    let now = app.clock.now();
    Ok(frame.around(html! {
        h1 { "Reconciliation" }
        p.lead { "Both ends are read whole, whoever moved the data, and every document is accounted for." }
        @if pairs.is_empty() {
            p.empty { "No two ends are compared. A flow brings its own pair; others are named under " code { "[reconcile.pairs]" } " in the configuration." }
        }
        @for (place, pair) in pairs.iter().enumerate() {
            section.card id={ "pair-" (place) } data-live { (pair_card(pair, now)) }
        }
        section aria-labelledby="differ" {
            h2 #differ { "What differs" }
            div #causes data-live { (by_cause(&causes, now)) }
            p { a href="/reconcile/differences" { "All open differences" } " · " a href="/reconcile/differences?all=yes" { "Open and closed" } }
        }
    }))
}

fn pair_card(pair: &PairView, now: Timestamp) -> Markup {
    html! {
        h2 { (pair.name) }
        p {
            b { @for (place, source) in pair.sources.iter().enumerate() { @if place > 0 { ", " } (source) } " → " (pair.target) }
            " · " @for (place, kind) in pair.kinds.iter().enumerate() { @if place > 0 { ", " } (document(*kind)) }
        }
        @match &pair.last {
            None => p.empty {
                @if pair.under_way { "Both ends are being read for the first time." }
                @else { "Both ends were not read yet. To read them now: " code { "selvedge reconcile now --pair " (pair.name) } }
            },
            Some(look) => {
                (last_look(pair, look, now))
                (sentence(look))
                (habits(&look.habits))
            },
        }
        (history(pair, now))
    }
}

fn last_look(pair: &PairView, look: &LookView, now: Timestamp) -> Markup {
    html! {
        p {
            @match look.balanced {
                Some(false) => { (verdict(look.balanced)) ": the window stays open. " },
                balanced => { (verdict(balanced)) ". " },
            }
            @if pair.open == 0 {
                "Nothing differs."
            } @else {
                a href={ "/reconcile/differences?pair=" (part(&pair.name)) } { (plural(pair.open, "difference is", "differences are")) " open" } "."
            }
        }
        p.quiet {
            "Last looked at " @match look.finished_at { Some(at) => (when(at, now)), None => "never" } ", " (via(&look.via)) ". What came to be between "
            (day(look.from)) " and " (day(look.to)) " UTC was compared."
            @if pair.under_way { " It is being read again now." }
        }
    }
}

/// Why a look was made.
fn via(word: &str) -> &str {
    match word {
        "timer" => "on the timer",
        "demand" => "on demand",
        "audit" => "for an audit",
        "asked" => "because somebody asked",
        "" => "for no reason that was kept",
        period => period,
    }
}

/// Whether the sentence is true, as words and a mark.
fn verdict(balanced: Option<bool>) -> Markup {
    html! {
        @match balanced {
            Some(true) => span.state.good { span aria-hidden="true" { "✓ " } "meets" },
            Some(false) => span.state.bad { span aria-hidden="true" { "≠ " } "does not meet" },
            None => span.state.busy { span aria-hidden="true" { "→ " } "being read" },
        }
    }
}

/// What was told is agreed + open + excluded + in flight, kind by kind.
fn sentence(look: &LookView) -> Markup {
    html! {
        @if look.kinds.is_empty() {
            p.empty { "Nothing came to be in this window." }
        } @else {
            table.cards.sentence {
                caption { "Everything that the source told is accounted for, in documents and in money" }
                thead { tr {
                    th scope="col" { "Kind" } th.num scope="col" { "Told" } th.num scope="col" { "= Agreed" } th.num scope="col" { "+ Open" }
                    th.num scope="col" { "+ Excluded by rule" } th.num scope="col" { "+ In flight" } th scope="col" { "Accounted for" }
                } }
                tbody { @for kind in &look.kinds { (tally(kind)) } }
            }
            @for kind in &look.kinds { (remarks(kind)) }
        }
    }
}

fn tally(kind: &TallyView) -> Markup {
    html! {
        tr {
            th scope="row" data-label="Kind" { (capital(word(&kind.kind))) }
            td.num data-label="Told" { (sum(&kind.told)) }
            td.num data-label="Agreed" { (sum(&kind.agreed)) }
            td.num data-label="Open" { (sum(&kind.open)) }
            td.num data-label="Excluded by rule" {
                @if kind.excluded.is_empty() { span.quiet { "0" } }
                @for (place, (rule, excluded)) in kind.excluded.iter().enumerate() {
                    @if place > 0 { br; }
                    (sum(excluded)) " " span.quiet { "by " (rule) }
                }
            }
            td.num data-label="In flight" { (sum(&kind.in_flight)) }
            td data-label="Accounted for" { (verdict(Some(kind.meets))) }
        }
    }
}

/// Documents, and their money beneath.
fn sum(sum: &SumView) -> Markup {
    html! {
        @if sum.count == 0 { span.quiet { "0" } } @else { b { (grouped(sum.count)) } }
        @for amount in &sum.money { br; span.quiet { (amounts(std::slice::from_ref(amount))) } }
    }
}

/// A kind as people call it, by its word.
fn word(kind: &str) -> &str {
    match Kind::from_word(kind) {
        Some(kind) => document(kind),
        None => kind,
    }
}

/// What the sentence leaves out, where there is any.
fn remarks(kind: &TallyView) -> Markup {
    let name = capital(word(&kind.kind));
    let said: Vec<(u64, &str, &str, bool)> = vec![
        (kind.unread, "document could not be read", "documents could not be read", true),
        (
            kind.uncaptured,
            "was never captured by a flow that should have",
            "were never captured by a flow that should have",
            true,
        ),
        (
            kind.left_over,
            "document was read and not judged: tell us, with the two statements",
            "documents were read and not judged: tell us, with the two statements",
            true,
        ),
        (kind.alone_there.count, "stands at the target alone", "stand at the target alone", false),
        (kind.tolerated, "difference lies within the tolerance", "differences lie within the tolerance", false),
    ];
    html! {
        @for (count, one, many, bad) in said.into_iter().filter(|(count, ..)| *count > 0) {
            @if bad { div { p.snag { (name) ": " (plural(count, one, many)) "." } } } @else { p.quiet { (name) ": " (plural(count, one, many)) "." } }
        }
    }
}

fn habits(habits: &[Habit]) -> Markup {
    html! {
        @if !habits.is_empty() {
            h3 { "What probably lies behind it" }
            ul.snags {
                @for habit in habits {
                    li {
                        p { b { (habit.title) } " " span.quiet { "explains " (plural(habit.count, "document", "documents")) } }
                        p { (habit.evidence) }
                        p { (habit.fix) }
                        @if !habit.examples.is_empty() {
                            p.quiet { "For example " @for (place, example) in habit.examples.iter().enumerate() { @if place > 0 { ", " } code { (example) } } }
                        }
                    }
                }
            }
        }
    }
}

/// Earlier looks: those that found something stay, whatever came later.
fn history(pair: &PairView, now: Timestamp) -> Markup {
    let mut quiet = 0;
    let (shown, left): (Vec<&LookView>, Vec<&LookView>) = pair.looks.iter().partition(|look| {
        let red = look.red > 0 || look.balanced != Some(true);
        quiet += usize::from(!red);
        red || quiet <= QUIET_LOOKS
    });
    html! {
        @if !shown.is_empty() {
            details open[pair.last.as_ref().is_some_and(|look| look.red > 0)] {
                summary { (plural(pair.looks.len() as u64, "look", "looks")) ", the newest first" }
                table.cards {
                    thead { tr {
                        th scope="col" { "Looked at" } th scope="col" { "Why" } th scope="col" { "Window" } th.num scope="col" { "Differences found" }
                        th scope="col" { "Accounted for" }
                    } }
                    tbody {
                        @for look in shown {
                            tr {
                                th scope="row" data-label="Looked at" { (when(look.finished_at.unwrap_or(look.started_at), now)) }
                                td data-label="Why" { (via(&look.via)) }
                                td data-label="Window" { (day(look.from)) " to " (day(look.to)) }
                                td.num data-label="Differences found" {
                                    @if look.finished_at.is_none() { span.quiet { "–" } }
                                    @else if look.red > 0 { span.state.bad { (grouped(look.red)) } }
                                    @else { "0" }
                                }
                                td data-label="Accounted for" { (verdict(look.balanced)) }
                            }
                        }
                    }
                }
                @if !left.is_empty() { p.quiet { (plural(left.len() as u64, "older look", "older looks")) " found nothing." } }
            }
        }
    }
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

fn by_cause(causes: &[CauseView], now: Timestamp) -> Markup {
    html! {
        @if causes.is_empty() {
            p.empty { "Nothing that was looked at differs." }
        } @else {
            table.cards {
                thead { tr {
                    th scope="col" { "What" } th.num scope="col" { "Differences" } th.num scope="col" { "Documents" } th.num scope="col" { "At stake" }
                    th scope="col" { "Since" } th scope="col" { "What to do" }
                } }
                tbody {
                    @for cause in causes {
                        tr {
                            th scope="row" data-label="What" {
                                a href=(list_address(&filter(&cause.pair, cause.kind, cause.cause, cause.why))) { (capital(document(cause.kind))) ": " (cause.title) }
                                " " span.quiet { (cause.pair) @if let Some(differs) = differs(&cause_word(cause.cause)) { ", " (differs) } }
                            }
                            td.num data-label="Differences" { (grouped(cause.count)) }
                            td.num data-label="Documents" { (grouped(cause.documents)) }
                            td.num data-label="At stake" { @if cause.stake.is_empty() { span.quiet { "–" } } @else { (amounts(&cause.stake)) } }
                            td data-label="Since" { (when(cause.first_seen_at, now)) }
                            td.words data-label="What to do" { (cause.fix) }
                        }
                    }
                }
            }
        }
    }
}

/// One line: whether both ends agree; nothing where no two ends are compared.
pub(super) fn line(agreement: &Agreement, now: Timestamp) -> Markup {
    let names = |names: &[String]| names.join(", ");
    html! {
        @if agreement.pairs > 0 {
            p {
                @if agreement.open > 0 {
                    span.state.bad { span aria-hidden="true" { "≠ " } }
                    a href="/reconcile" { (plural(agreement.open, "difference", "differences")) }
                    @if !agreement.stake.is_empty() { ", " b { (amounts(&agreement.stake)) } " at stake" }
                    ". "
                } @else if agreement.agrees() {
                    span.state.good { span aria-hidden="true" { "✓ " } } a href="/reconcile" { "Both ends agree" } ". "
                } @else {
                    a href="/reconcile" { "Reconciliation" } ": "
                }
                @if !agreement.short.is_empty() { span.state.bad { "The last look does not meet" } ": " (names(&agreement.short)) ". " }
                @if !agreement.never.is_empty() { span.quiet { "Not looked at yet: " (names(&agreement.never)) ". " } }
                @if let Some(since) = agreement.since { span.quiet { "Read whole " (ago(since, now)) "." } }
            }
        }
    }
}
