//! The report for people: one file that stands by itself, on a screen and on paper.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::report::{CauseReport, Report};
use crate::view::reconcile::{DifferenceView, LookView, SumView};

/// Reads on a screen and prints on A4; nothing is loaded from anywhere.
const STYLE: &str = include_str!("report.css");

impl Report {
    /// As a page.
    pub fn page(&self) -> String {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "Audit of " (self.brand) " · Selvedge" }
                    style { (PreEscaped(STYLE)) }
                }
                body { main { (head(self)) (figures(self)) (habits(self)) (causes(self)) (sentences(self)) (how(self)) } }
            }
        }
        .into_string()
    }
}

fn day(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn head(report: &Report) -> Markup {
    let count = report.count();
    html! {
        header {
            p.mark { "Selvedge" }
            h1 { "Audit of " (report.brand) }
            p.lead {
                (day(report.from)) " to " (day(report.to)) ". "
                @if report.is_clean() { "Both ends say the same, and every document is accounted for." }
                @else if count == 0 { "Nothing differs in what could be read." }
                @else { (count) @if count == 1 { " difference was" } @else { " differences were" } " found." }
            }
            @for (pair, why) in &report.not_read {
                p.warning { b { (pair) " could not be read whole." } " " (why) " What stands below is not the whole picture of it." }
            }
        }
    }
}

fn figures(report: &Report) -> Markup {
    html! {
        section aria-label="In figures" {
            ul.tiles {
                @for one in &report.categories {
                    li class=[(one.count == 0).then_some("none")] {
                        b { (one.count) }
                        span { (one.category.title()) }
                        small { @if one.stake.is_empty() { " " } @else { (one.stake.join(" + ")) " at stake" } }
                    }
                }
            }
        }
    }
}

fn habits(report: &Report) -> Markup {
    let habits: Vec<_> = report.looks.iter().flat_map(|look| look.habits.iter().map(move |habit| (look, habit))).collect();
    html! {
        @if !habits.is_empty() {
            section {
                h2 { "What probably lies behind it" }
                p.quiet { "Ways of working that show in the figures. Each is a guess with its evidence." }
                dl.habits {
                    @for (look, habit) in habits {
                        dt { (habit.title) " " span.quiet { (look.pair) } }
                        dd {
                            p { (habit.evidence) "." }
                            p { b { "Change: " } (habit.fix) }
                            @if !habit.examples.is_empty() { p.quiet { "For example " (habit.examples.join(", ")) "." } }
                        }
                    }
                }
            }
        }
    }
}

fn causes(report: &Report) -> Markup {
    html! {
        section {
            h2 { "What was found" }
            @if report.causes.is_empty() { p { "Nothing." } }
            @for one in &report.causes { (cause(one)) }
        }
    }
}

fn cause(one: &CauseReport) -> Markup {
    let cause = &one.cause;
    html! {
        article {
            h3 {
                (cause.count) " × " (cause.kind.word().replace('_', " ")) " " (cause.title)
                span.quiet { " " (one.category.title()) ", " (cause.pair) }
            }
            p {
                @if !cause.stake.is_empty() { b { (cause.stake.join(" + ")) } " at stake. " }
                (cause.fix)
            }
            table {
                thead { tr { th { "Document" } th { "Where" } th { "Source says" } th { "Target says" } th.num { "At stake" } } }
                tbody { @for example in &one.examples { (row(example)) } }
            }
            @if cause.count > one.examples.len() as u64 { p.quiet { "and " (cause.count - one.examples.len() as u64) " more." } }
        }
    }
}

fn row(one: &DifferenceView) -> Markup {
    html! {
        tr {
            td {
                (one.subject)
                @if let Some(id) = &one.target_id { br; span.quiet { "target's " (id) } }
            }
            td { @if one.path.is_empty() { "the document" } @else { (one.path) } }
            td { (one.expected.as_deref().unwrap_or("–")) }
            td { (one.actual.as_deref().unwrap_or("–")) }
            td.num { @if let Some(stake) = one.stake { (stake) } }
        }
        tr.detail { td colspan="5" {
            (one.detail) "."
            @if let Some(suggestion) = &one.suggestion { " " i { (suggestion) } }
        } }
    }
}

fn sum(sum: &SumView) -> Markup {
    html! { b { (sum.count) } @for money in &sum.money { br; span.quiet { (money) } } }
}

fn sentences(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Whether everything is accounted for" }
            p.quiet { "Every document that the sources told, counted as it was read: it agrees, somebody has to look, a rule leaves it out, or it may still be on its way. The counts and the sums must meet." }
            @for look in &report.looks { (sentence(look)) }
        }
    }
}

fn sentence(look: &LookView) -> Markup {
    html! {
        h3 { (look.pair) " " @if look.balanced == Some(true) { span.good { "counts and sums meet" } } @else { span.bad { "does not meet: the window stays open" } } }
        table {
            thead { tr {
                th { "Kind" } th.num { "Told" } th.num { "Agreed" } th.num { "Open" } th.num { "Excluded" } th.num { "In flight" } th.num { "Target alone" }
            } }
            tbody {
                @for kind in &look.kinds {
                    tr {
                        th scope="row" { (kind.kind.replace('_', " ")) @if kind.unread > 0 { br; span.bad { (kind.unread) " unread" } } }
                        td.num { (sum(&kind.told)) }
                        td.num { (sum(&kind.agreed)) }
                        td.num { (sum(&kind.open)) }
                        td.num { @for (rule, one) in &kind.excluded { (one.count) " " span.quiet { (rule) } br; } @if kind.excluded.is_empty() { "0" } }
                        td.num { (sum(&kind.in_flight)) }
                        td.num { (sum(&kind.alone_there)) }
                    }
                }
            }
        }
    }
}

fn how(report: &Report) -> Markup {
    let calls: u64 = report.calls.values().sum();
    html! {
        section {
            h2 { "How this was made" }
            p {
                "Both ends were read whole between " (day(report.began_at)) " and " (day(report.ended_at)) ", with "
                (calls) " calls (" (report.calls.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", "))
                "). Every connection was opened read-only: nothing was written, changed or acknowledged anywhere."
            }
        }
    }
}
