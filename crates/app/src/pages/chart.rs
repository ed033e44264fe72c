//! Charts, drawn on the server: lines and bars of an SVG that follow the colours of the page, light and dark.
//!
//! No figure is in a chart alone: what it comes to stands in its caption, and every value in the table behind it, for whoever
//! cannot or does not want to look. Nothing is told by colour without a word or a place.

use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};

use super::words::{grouped, length};

/// How wide and tall a chart of bars is drawn; it is stretched to its place.
const WIDTH: usize = 720;
const HEIGHT: usize = 120;

/// One bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// What it is of.
    pub label: String,
    /// How much.
    pub value: u64,
}

/// The hours up to now as bars: when each began, and how much fell into it.
pub(super) fn by_hour(counts: &[u64], now: Timestamp) -> Vec<Bar> {
    let begun = now.as_second().div_euclid(3_600) * 3_600;
    let hours = i64::try_from(counts.len()).unwrap_or(i64::MAX);
    let hour = |place: usize| {
        let back = hours - 1 - i64::try_from(place).unwrap_or(0);
        let at = Timestamp::from_second(begun).ok().and_then(|at| at.checked_sub(back.hours()).ok());
        at.map_or_else(String::new, |at| at.strftime("%m-%d %H:00 UTC").to_string())
    };
    counts.iter().enumerate().map(|(place, value)| Bar { label: hour(place), value: *value }).collect()
}

/// Bars side by side. `id` is the chart's own on its page; `unit` is what is counted, in the plural.
pub(super) fn bars(id: &str, title: &str, unit: &str, bars: &[Bar]) -> Markup {
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0);
    let all: u64 = bars.iter().map(|bar| bar.value).sum();
    let wide = WIDTH / bars.len().max(1);
    let peak = bars.iter().find(|bar| bar.value == most && most > 0);
    let says = match peak {
        None => format!("No {unit}."),
        Some(peak) => format!("{} {unit} in all; most in {}: {}.", grouped(all), peak.label, grouped(most)),
    };
    html! {
        figure.chart #(id) {
            figcaption { b { (title) } " " span.quiet { (says) } }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 18) } role="img" aria-label={ (title) ". " (says) } {
                line.axis x1="0" y1={ (HEIGHT) ".5" } x2=(WIDTH) y2={ (HEIGHT) ".5" } {}
                @for (place, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.value > 0) {
                    @let tall = part(bar.value, most, HEIGHT - 14).max(1);
                    rect x=(place * wide + 1) y=(HEIGHT - tall) width=(wide.saturating_sub(2).max(1)) height=(tall) {
                        title { (bar.label) ": " (grouped(bar.value)) }
                    }
                }
                @if most > 0 { text x="0" y="10" { (grouped(most)) } }
                @if let (Some(first), Some(last)) = (bars.first(), bars.last()) {
                    text.under x="0" y=(HEIGHT + 4) { (first.label) }
                    text.end.under x=(WIDTH) y=(HEIGHT + 4) { (last.label) }
                }
            }
            (figures(["When", unit], bars.iter().filter(|bar| bar.value > 0).map(|bar| [bar.label.clone(), grouped(bar.value)]).collect()))
        }
    }
}

/// How many of a whole, in so many steps.
fn part(value: u64, whole: u64, steps: usize) -> usize {
    let steps = u128::try_from(steps).unwrap_or(0);
    let share = (u128::from(value) * steps).checked_div(u128::from(whole)).unwrap_or(0);
    usize::try_from(share).unwrap_or(0)
}

/// Every value of a chart as a table, folded.
fn figures(head: [&str; 2], rows: Vec<[String; 2]>) -> Markup {
    html! {
        @if !rows.is_empty() {
            details {
                summary { "The figures" }
                table {
                    thead { tr { th scope="col" { (head[0]) } th.num scope="col" { (head[1]) } } }
                    tbody { @for [label, value] in &rows { tr { th scope="row" { (label) } td.num { (value) } } } }
                }
            }
        }
    }
}

/// Bars below one another, each with its label before it and its value behind it: nothing has to be read off.
pub(super) fn rows(id: &str, title: &str, says: &str, bars: &[(Bar, String)]) -> Markup {
    let most = bars.iter().map(|(bar, _)| bar.value).max().unwrap_or(0);
    html! {
        figure.chart #(id) {
            figcaption { b { (title) } " " span.quiet { (says) } }
            ul.bars {
                @for (bar, value) in bars {
                    li {
                        span { (bar.label) }
                        svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                            rect.ground x="0" y="0" width="100" height="8" {}
                            rect x="0" y="0" width=(part(bar.value, most, 100)) height="8" {}
                        }
                        span.num { (value) }
                    }
                }
            }
        }
    }
}

/// One of what is drawn as a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dot {
    /// What it is, in a few words.
    pub label: String,
    /// How old, in milliseconds.
    pub age_ms: u64,
    /// How heavy.
    pub weight: u64,
    /// Where it leads.
    pub href: String,
}

/// Ages at which the field of dots has a line, in seconds.
const AGES: [(u64, &str); 5] = [(3_600, "1 h"), (14_400, "4 h"), (86_400, "1 day"), (604_800, "1 week"), (2_592_000, "30 days")];

/// How far along a scale on which each tenfold takes as much room: none, one, ten, a hundred …
fn tenfold(value: u64, whole: u64, steps: usize) -> usize {
    // Thousandths of a power of ten, without binary fractions: the digits before the first, and the first three of the number.
    let log = |value: u64| -> u64 {
        let digits = u64::from(value.max(1).ilog10());
        let first = u128::from(value.max(1)) * 1_000 / 10_u128.pow(u32::try_from(digits).unwrap_or(0));
        // Between two powers the curve is taken as straight; good enough for the eye.
        digits * 1_000 + u64::try_from((first - 1_000) / 9).unwrap_or(0)
    };
    part(log(value), log(whole).max(1), steps)
}

/// A field of dots: to the right what is old, above what is heavy. The dots lead where the list below it leads, too, so that
/// they are left to the pointer.
pub(super) fn dots(id: &str, title: &str, across: &str, up: &str, dots: &[Dot]) -> Markup {
    const TALL: usize = 190;
    let heaviest = dots.iter().map(|dot| dot.weight).max().unwrap_or(0).max(10);
    let oldest = dots.iter().map(|dot| dot.age_ms / 1_000).max().unwrap_or(0).max(86_400);
    let x = |seconds: u64| 14 + tenfold(seconds.max(60) / 60, oldest / 60, WIDTH - 28);
    let y = |weight: u64| TALL - 8 - tenfold(weight, heaviest, TALL - 30);
    let top = dots.iter().max_by_key(|dot| dot.weight);
    let old = dots.iter().max_by_key(|dot| dot.age_ms);
    html! {
        @if let (Some(top), Some(old)) = (top, old) {
            figure.chart #(id) {
                figcaption {
                    b { (title) } " "
                    span.quiet {
                        @if top == old { "The heaviest and the oldest: " (top.label) ", impact " (grouped(top.weight)) ", for " (length(top.age_ms)) "." }
                        @else { "The heaviest: " (top.label) ", impact " (grouped(top.weight)) ". The oldest: " (old.label) ", for " (length(old.age_ms)) "." }
                    }
                }
                svg.dots viewBox={ "0 0 " (WIDTH) " " (TALL + 20) } aria-hidden="true" {
                    line.axis x1="0" y1=(TALL) x2=(WIDTH) y2=(TALL) {}
                    @for (seconds, label) in AGES.into_iter().filter(|(seconds, _)| *seconds < oldest) {
                        line.tick x1=(x(seconds)) y1="12" x2=(x(seconds)) y2=(TALL) {}
                        text.middle.under x=(x(seconds)) y=(TALL + 4) { (label) }
                    }
                    text x="0" y="10" { "↑ " (up) }
                    text.end.under x=(WIDTH) y=(TALL + 4) { (across) " →" }
                    @for dot in dots {
                        a href=(dot.href) tabindex="-1" {
                            circle cx=(x(dot.age_ms / 1_000)) cy=(y(dot.weight)) r="6" { title { (dot.label) ": impact " (grouped(dot.weight)) ", for " (length(dot.age_ms)) } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, value: u64) -> Bar {
        Bar { label: label.to_owned(), value }
    }

    #[test]
    fn a_chart_says_in_words_what_it_shows_and_lists_every_value() {
        let text = bars("t", "Orders an hour", "orders", &[bar("10:00", 2), bar("11:00", 0), bar("12:00", 6)]).into_string();
        for says in [
            "8 orders in all; most in 12:00: 6.",
            "role=\"img\"",
            "aria-label=\"Orders an hour. 8 orders",
            "<summary>The figures</summary>",
        ] {
            assert!(text.contains(says), "{says}: {text}");
        }
        assert_eq!(text.matches("<rect").count(), 2, "none for nothing: {text}");
        assert_eq!(text.matches("<th scope=\"row\"").count(), 2, "{text}");
        let none = bars("t", "Orders", "orders", &[bar("10:00", 0)]).into_string();
        assert!(none.contains("No orders.") && !none.contains("<details"), "{none}");
        assert!(bars("t", "Orders", "orders", &[]).into_string().contains("No orders."));
    }

    #[test]
    fn the_largest_bar_fills_its_room_and_the_smallest_is_seen() {
        assert_eq!((part(10, 10, 106), part(0, 10, 106), part(1, 0, 106)), (106, 0, 0));
        assert_eq!(part(u64::MAX, u64::MAX, 106), 106);
        let text = bars("t", "x", "x", &[bar("a", 1), bar("b", 1_000_000)]).into_string();
        assert!(text.contains("height=\"1\"") && text.contains("height=\"106\""), "{text}");
    }

    #[test]
    fn a_tenfold_takes_as_much_room_wherever_it_stands() {
        let at: Vec<usize> = [1, 10, 100, 1_000].map(|value| tenfold(value, 1_000, 300)).to_vec();
        assert_eq!(at, [0, 100, 200, 300]);
        assert!(tenfold(5, 1_000, 300) < 100 && tenfold(0, 0, 300) == 0);
        assert_eq!(tenfold(u64::MAX, u64::MAX, 300), 300);
    }

    #[test]
    fn dots_lead_on_and_are_left_out_of_the_order_of_stops() {
        let dot = Dot { label: "a <b>".to_owned(), age_ms: 7_200_000, weight: 90, href: "/exceptions/exc_1".to_owned() };
        let text = dots("d", "Age and impact", "older", "heavier", &[dot]).into_string();
        assert!(text.contains("tabindex=\"-1\"") && text.contains("aria-hidden=\"true\"") && !text.contains("<b>b"), "{text}");
        assert!(text.contains("the oldest: a &lt;b&gt;, "), "{text}");
        assert!(dots("d", "x", "x", "x", &[]).into_string().is_empty());
    }

    #[test]
    fn hours_end_with_the_one_that_is_not_over() {
        let bars = by_hour(&[1, 2, 3], "2026-11-30T11:42:00Z".parse().unwrap());
        let labels: Vec<&str> = bars.iter().map(|bar| bar.label.as_str()).collect();
        assert_eq!(labels, ["11-30 09:00 UTC", "11-30 10:00 UTC", "11-30 11:00 UTC"]);
    }
}
