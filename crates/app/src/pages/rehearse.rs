//! `/stock/rehearse`: what would have been oversold or lost, had the store's own days been run otherwise.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::HeaderMap,
};
use maud::{Markup, PreEscaped, html};
use serde::Deserialize;

use super::{
    Failure, Frame, Place,
    words::{grouped, length, plural},
};
use crate::{
    people::guard::LIVE,
    rehearse::{Played, Rehearsal},
    serve::App,
    view::rehearse::{RehearseWanted, Rehearsed, TEXT_MAX, rehearsed},
};

/// What is typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    interval: String,
    buffer: String,
}

/// The page.
pub(super) async fn page(
    State(app): State<Arc<App>>,
    Query(Form { interval, buffer }): Query<Form>,
    headers: HeaderMap,
) -> Result<Markup, Failure> {
    let wanted = RehearseWanted { interval, buffer };
    // A page that is open asks again and again for its menu alone; what was played stands on it already.
    let shown = if headers.contains_key(LIVE) { None } else { Some(rehearsed(&app, &wanted).await?) };
    let frame = Frame::of(&app, Place::Stock, "Rehearse stock").await?;
    Ok(frame.around(content(&wanted, shown.as_ref())))
}

fn content(form: &RehearseWanted, shown: Option<&Rehearsed>) -> Markup {
    html! {
        h1 { "Rehearse stock" }
        p.lead { "The days that were seen here, played again under other settings: what would have been oversold, and what lost." }
        form.search action="/stock/rehearse" method="get" {
            label for="interval" { "Poll every (such as 30s, 5m, 1h); empty: the usual intervals" }
            div { input #interval name="interval" value=(form.interval) maxlength=(TEXT_MAX) autocomplete="off"; }
            label for="buffer" { "Hold back (none, fixed=2, percent=5, quantile=0.9999); empty: the usual buffers" }
            div { input #buffer name="buffer" value=(form.buffer) maxlength=(TEXT_MAX) autocomplete="off"; button { "Rehearse" } }
        }
        @match shown {
            None => {}
            Some(Rehearsed::Unclear(why)) => { p.wrong role="alert" { (why) } }
            Some(Rehearsed::Busy) => { p.empty { "Another rehearsal is under way. Load the page again shortly." } }
            Some(Rehearsed::Missing(missing)) => {
                @for why in missing { p.empty { (why) } }
                p { "Recordings in files can be played with " code { "selvedge stock rehearse" } "." }
            }
            Some(Rehearsed::Played(rehearsal)) => { (result(rehearsal)) }
        }
    }
}

fn result(rehearsal: &Rehearsal) -> Markup {
    let recording = &rehearsal.recording;
    let count = u64::try_from(rehearsal.scenarios.len()).unwrap_or(u64::MAX);
    html! {
        p.quiet {
            (recording.from.strftime("%Y-%m-%d %H:%M")) " to " (recording.until.strftime("%Y-%m-%d %H:%M")) " UTC: "
            (plural(recording.skus, "SKU", "SKUs")) ", " (plural(recording.lines, "order line", "order lines")) ", "
            (plural(recording.moves, "other movement", "other movements")) ". "
            (plural(count, "scenario", "scenarios")) " in " (length(rehearsal.took_us / 1_000)) "."
        }
        @for note in &rehearsal.notes { p.quiet { (note) } }
        div.card.wide tabindex="0" role="region" aria-label="Units by scenario, as bars" { (PreEscaped(svg(&rehearsal.scenarios))) }
        (table(&rehearsal.scenarios))
    }
}

fn table(scenarios: &[Played]) -> Markup {
    html! {
        table.cards {
            caption.aside { "Units by scenario" }
            thead {
                tr {
                    th scope="col" { "Scenario" }
                    th.num scope="col" { "Oversold" }
                    th.num scope="col" { "SKUs" }
                    th.num scope="col" { "Lines" }
                    th.num scope="col" { "Lost to buffer" }
                    th.num scope="col" { "to staleness" }
                    th.num scope="col" { "to emptiness" }
                    th.num scope="col" { "Stale: half" }
                    th.num scope="col" { "99 %" }
                    th.num scope="col" { "all" }
                    th.num scope="col" { "Written" }
                }
            }
            tbody {
                @for Played { name, outcome, .. } in scenarios {
                    tr {
                        th scope="row" { (name) }
                        td.num data-label="Oversold" { (grouped(outcome.oversold)) }
                        td.num data-label="SKUs" { (grouped(outcome.oversold_skus)) }
                        td.num data-label="Lines" { (grouped(outcome.oversold_lines)) }
                        td.num data-label="Lost to buffer" { (grouped(outcome.lost_to_buffer)) }
                        td.num data-label="Lost to staleness" { (grouped(outcome.lost_to_staleness)) }
                        td.num data-label="Lost to emptiness" { (grouped(outcome.lost_to_emptiness)) }
                        @if let Some(staleness) = outcome.staleness {
                            td.num data-label="Half no older than" { (length(staleness.p50_ms)) }
                            td.num data-label="99 % no older than" { (length(staleness.p99_ms)) }
                            td.num data-label="All no older than" { (length(staleness.max_ms)) }
                        } @else {
                            td.num data-label="Half no older than" { "–" }
                            td.num data-label="99 % no older than" { "–" }
                            td.num data-label="All no older than" { "–" }
                        }
                        td.num data-label="Figures written" { (grouped(outcome.figures_written)) }
                    }
                }
            }
        }
    }
}

/// From the left edge to the bars, the length of the longest bar, room for its figure.
const NAMES: u64 = 380;
const LONGEST: u64 = 230;
const FIGURE: u64 = 80;
/// From one scenario to the next.
const ROW: u64 = 24;
/// Above the first.
const HEAD: u64 = 30;

/// Oversold units by scenario as bars, and beside them what was lost to the buffer. Each of the two has its own scale,
/// as they differ by orders of magnitude; the figures stand beside the bars. A picture of its own, with its colours.
pub fn svg(outcomes: &[Played]) -> String {
    let rows = u64::try_from(outcomes.len()).unwrap_or(0);
    let (second, height) = (NAMES + LONGEST + FIGURE, HEAD + rows * ROW + 6);
    let width = second + LONGEST + FIGURE;
    let most = |of: fn(&Played) -> u64| outcomes.iter().map(of).max().unwrap_or(0).max(1);
    type Count = fn(&Played) -> u64;
    let (oversold, lost): (Count, Count) = (|played| played.outcome.oversold, |played| played.outcome.lost_to_buffer);
    let sides = [(NAMES, oversold, most(oversold), "var(--thread, #ad1f2b)"), (second, lost, most(lost), "var(--busy, #5d6fb8)")];
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (width) " " (height) } role="img"
            font-family="system-ui, sans-serif" font-size="14" fill="currentColor"
        {
            title { "Oversold units and units lost to the buffer, by scenario" }
            text x=(NAMES) y="18" font-weight="600" { "Oversold units" }
            text x=(second) y="18" font-weight="600" { "Units lost to the buffer" }
            @for (place, played) in (0_u64..).zip(outcomes) {
                @let top = HEAD + place * ROW;
                text x=(NAMES - 10) y=(top + 15) text-anchor="end" { (played.name) }
                @for (x, of, most, colour) in sides {
                    @let long = bar(of(played), most);
                    rect x=(x) y=(top + 3) width=(long) height="16" fill=(colour) {}
                    text x=(x + long + 6) y=(top + 15) { (grouped(of(played))) }
                }
            }
        }
    }
    .into_string()
}

/// A bar's length; what is not nought shows.
fn bar(units: u64, most: u64) -> u64 {
    let long = u128::from(units) * u128::from(LONGEST) / u128::from(most.max(1));
    u64::try_from(long).unwrap_or(LONGEST).max(u64::from(units > 0))
}

#[cfg(test)]
mod tests {
    use selvedge_model::stock::rehearse::Outcome;

    use super::*;
    use crate::{
        pages::sample::NAUGHTY,
        rehearse::{Asked, Named, scenarios},
    };

    fn played() -> Vec<Played> {
        let list = scenarios(&Asked::default(), |_| 0).into_iter();
        let outcome = |oversold| Outcome { oversold, lost_to_buffer: oversold / 7, ..Outcome::default() };
        let mut played: Vec<Played> =
            (0..).zip(list).map(|(n, Named { name, scenario })| Played { name, scenario, outcome: outcome(n * 100) }).collect();
        played[2].name = NAUGHTY.to_owned();
        played
    }

    #[test]
    fn the_picture_has_bars_by_size_with_their_figures() {
        let picture = svg(&played());
        assert!(picture.starts_with("<svg xmlns") && picture.ends_with("</svg>"), "{picture}");
        assert_eq!(picture.matches("<rect").count(), 28);
        assert!(picture.contains("width=\"230\"") && picture.contains(">1\u{202f}300</text>"), "{picture}");
        assert!(!picture.contains("<script") && picture.contains("&lt;script&gt;"), "{picture}");
        assert!(svg(&[]).contains("<svg"));
        assert_eq!((bar(0, 9), bar(1, 1_000_000), bar(u64::MAX, u64::MAX)), (0, 1, LONGEST));
    }

    #[tokio::test]
    async fn without_days_to_play_the_page_says_so() {
        let (app, _) = crate::pages::sample::empty().await;
        let page = page(State(app), Query(Form::default()), HeaderMap::new()).await.ok().unwrap().into_string();
        assert!(page.contains("No stock flow is configured") && page.contains("selvedge stock rehearse"), "{page}");
        let rehearsal = Rehearsal {
            recording: crate::rehearse::Recorded {
                from: crate::pages::sample::start(),
                until: crate::pages::sample::start(),
                length_ms: 0,
                skus: 1,
                lines: 1_200,
                moves: 3,
            },
            notes: vec![NAUGHTY.to_owned()],
            bad_rows: 0,
            bad: Vec::new(),
            scenarios: played(),
            took_us: 12_345,
            a_minute: 1,
        };
        let page = content(&RehearseWanted::default(), Some(&Rehearsed::Played(Box::new(rehearsal)))).into_string();
        assert!(page.contains("1\u{202f}200 order lines") && page.contains("<svg") && !page.contains("<script"), "{page}");
        assert_eq!(page.matches("<tr>").count(), 15);
    }

    #[test]
    fn what_is_wrong_is_said_and_breaks_out_of_nothing() {
        let bad = RehearseWanted { interval: NAUGHTY.to_owned(), buffer: NAUGHTY.to_owned() };
        let page = content(&bad, Some(&Rehearsed::Unclear(bad.asked().unwrap_err()))).into_string();
        assert!(page.contains("role=\"alert\"") && !page.contains("<script"), "{page}");
    }
}
