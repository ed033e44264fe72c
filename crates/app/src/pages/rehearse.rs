//! `/stock/rehearse`: what would have been oversold or lost, had the store's own days been run otherwise.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, PreEscaped, html};
use selvedge_store::{StoreError, stock::Of};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{
    Failure, Frame, Place,
    words::{grouped, length, plural},
};
use crate::{
    config::words::Span,
    rehearse::{Asked, BufferAsked, Played, Rehearsal, history::history, play},
    serve::App,
};

/// How many events are played for a page; the newest if there are more.
const EVENTS_MAX: usize = 200_000;
/// How many values a field takes.
const VALUES_MAX: usize = 8;
/// The longest text of a field.
const TEXT_MAX: usize = 200;
/// A rehearsal takes a processor and a reader of the store; one at a time.
static ROOM: Semaphore = Semaphore::const_new(1);

/// What is asked, as text, so that nonsense is a message and not an error.
#[derive(Default, Deserialize)]
pub(super) struct Form {
    #[serde(default)]
    interval: String,
    #[serde(default)]
    buffer: String,
}

impl Form {
    fn asked(&self) -> Result<Asked, String> {
        let intervals = values(&self.interval, |text| text.parse::<Span>().map_err(|error| error.to_string()))?;
        let buffers = values(&self.buffer, str::parse::<BufferAsked>)?;
        Ok(Asked { intervals, buffers, ..Asked::default() })
    }
}

fn values<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    if text.len() > TEXT_MAX {
        return Err(format!("A field takes {TEXT_MAX} characters."));
    }
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if words.len() > VALUES_MAX {
        return Err(format!("A field takes {VALUES_MAX} values here; the command line takes more."));
    }
    words.into_iter().map(read).collect()
}

/// What there is to show.
enum Shown {
    Played(Box<Rehearsal>),
    Missing(Vec<String>),
    Unclear(String),
    Busy,
}

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, Query(form): Query<Form>) -> Result<Markup, Failure> {
    let shown = match form.asked() {
        Err(why) => Shown::Unclear(why),
        Ok(asked) => rehearsed(&app, asked).await?,
    };
    let frame = Frame::of(&app, Place::Stock, "Rehearse stock").await?;
    Ok(frame.around(content(&form, &shown)))
}

async fn rehearsed(app: &App, asked: Asked) -> Result<Shown, Failure> {
    let Some(flow) = app.engine.setup().stocks.first().map(|stock| stock.name.clone()) else {
        return Ok(Shown::Missing(vec!["No stock flow is configured, so there are no days to play.".to_owned()]));
    };
    let Ok(permit) = ROOM.try_acquire() else {
        return Ok(Shown::Busy);
    };
    let (store, of) = (app.store.clone(), Of { brand: app.brand.clone(), flow });
    // In a task of its own, so that whoever goes away does not make room for a second one beside it.
    let task = tokio::spawn(async move {
        let _permit = permit;
        let material = match history(&store, of, EVENTS_MAX).await? {
            Ok(material) => material,
            Err(missing) => return Ok(Shown::Missing(missing)),
        };
        let played = tokio::task::spawn_blocking(move || play(material, &asked, || {})).await;
        Ok(match played.map_err(|error| StoreError::Broke(error.to_string()))? {
            Ok(rehearsal) => Shown::Played(Box::new(rehearsal)),
            Err(error) => Shown::Missing(vec![format!("The recording cannot be played: {error}.")]),
        })
    });
    task.await.map_err(|error| StoreError::Broke(error.to_string()))?.map_err(Failure::Store)
}

fn content(form: &Form, shown: &Shown) -> Markup {
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
            Shown::Unclear(why) => { p.wrong role="alert" { (why) } }
            Shown::Busy => { p.empty { "Another rehearsal is under way. Load the page again shortly." } }
            Shown::Missing(missing) => {
                @for why in missing { p.empty { (why) } }
                p { "Recordings in files can be played with " code { "selvedge stock rehearse" } "." }
            }
            Shown::Played(rehearsal) => { (result(rehearsal)) }
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
        rehearse::{Named, scenarios},
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
        let page = page(State(app), Query(Form::default())).await.ok().unwrap().into_string();
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
        let page = content(&Form::default(), &Shown::Played(Box::new(rehearsal))).into_string();
        assert!(page.contains("1\u{202f}200 order lines") && page.contains("<svg") && !page.contains("<script"), "{page}");
        assert_eq!(page.matches("<tr>").count(), 15);
    }

    #[test]
    fn what_is_typed_is_read_or_said_to_be_wrong() {
        let form = |interval: &str, buffer: &str| Form { interval: interval.to_owned(), buffer: buffer.to_owned() };
        let asked = form("30s, 5m,", " none,fixed=3").asked().unwrap();
        assert_eq!((asked.intervals.len(), asked.buffers.len()), (2, 2));
        assert!(form("", "").asked().unwrap().intervals.is_empty());
        for bad in [form("soon", ""), form("", "two"), form("0s", ""), form(&"1s,".repeat(9), ""), form(&"x".repeat(201), "")] {
            let why = bad.asked().unwrap_err();
            assert!(content(&bad, &Shown::Unclear(why)).into_string().contains("role=\"alert\""));
        }
        let bad = form(NAUGHTY, NAUGHTY);
        let page = content(&bad, &Shown::Unclear(bad.asked().unwrap_err())).into_string();
        assert!(!page.contains("<script"), "{page}");
    }
}
