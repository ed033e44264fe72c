//! The systems and the flows between them, as one picture: the connection that most flows touch on the left, the others below
//! one another on the right, a line for each flow. What does not touch the first runs along the right edge.
//!
//! It is for the eye and the pointer; the table under it says the same and is what keyboards and screen readers go through.

use std::collections::BTreeMap;

use maud::{Markup, html};
use selvedge_model::{ConnectionName, Mode};

use super::super::words::{flow_address, grouped};
use crate::view::flows::Lane;

/// Room for one line.
const ROW: usize = 38;
/// Above the first line of a box, for its name.
const HEAD: usize = 46;
/// Between boxes.
const GAP: usize = 22;
/// How wide a box is.
const BOX: usize = 150;
/// Between the left box and those on the right.
const ACROSS: usize = 380;
/// Where the boxes on the right begin and end.
const RIGHT: usize = BOX + ACROSS;
const EDGE: usize = RIGHT + BOX;
/// Between lines along the right edge.
const RAIL: usize = 16;
/// Room for what is written beside them.
const BESIDE: usize = 300;
/// The longest name of a flow that is written whole.
const NAME_CHARS_MAX: usize = 26;
/// The longest name of a connection, or of its system, that its box has room for.
const BOX_CHARS_MAX: usize = 14;

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    name: ConnectionName,
    x: usize,
    y: usize,
    tall: usize,
}

/// Where a line runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// Between the left box and one on the right; whether it points to the right.
    Across { y: usize, to_right: bool },
    /// From one box on the right to another, along the edge.
    Along { from_y: usize, to_y: usize, rail: usize },
}

/// The picture, laid out.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    nodes: Vec<Node>,
    /// By the place of the flow.
    runs: Vec<Run>,
    wide: usize,
    tall: usize,
}

/// Lays the boxes and lines out.
fn layout(lanes: &[Lane]) -> Layout {
    let mut touches: BTreeMap<&ConnectionName, usize> = BTreeMap::new();
    for lane in lanes {
        *touches.entry(&lane.from).or_default() += 1;
        *touches.entry(&lane.to).or_default() += 1;
    }
    // Of several the first by name, so that the picture does not jump.
    let hub = touches.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(**name))).map(|(name, _)| (*name).clone());
    let Some(hub) = hub else { return Layout { nodes: Vec::new(), runs: Vec::new(), wide: 0, tall: 0 } };
    let touches_hub = |lane: &Lane| lane.from == hub || lane.to == hub;
    let mut nodes = Vec::new();
    let mut ys: BTreeMap<(usize, &ConnectionName), usize> = BTreeMap::new();
    let mut y = 0;
    for name in touches.keys().filter(|name| ***name != hub) {
        let mut mine: Vec<usize> =
            (0..lanes.len()).filter(|at| lanes.get(*at).is_some_and(|lane| lane.from == **name || lane.to == **name)).collect();
        // Those that run along the edge come last, so that the others stand close together.
        mine.sort_by_key(|at| !lanes.get(*at).is_some_and(&touches_hub));
        for (row, at) in mine.iter().enumerate() {
            ys.insert((*at, *name), y + HEAD + row * ROW + ROW / 2);
        }
        let tall = HEAD + mine.len().max(1) * ROW;
        nodes.push(Node { name: (*name).clone(), x: RIGHT, y, tall });
        y += tall + GAP;
    }
    let tall = y.saturating_sub(GAP).max(HEAD + ROW);
    nodes.insert(0, Node { name: hub.clone(), x: 0, y: 0, tall });
    let along = lanes.iter().filter(|lane| !touches_hub(lane)).count();
    let mut rail = 0;
    let runs = lanes
        .iter()
        .enumerate()
        .map(|(at, lane)| {
            let y_at = |name: &ConnectionName| ys.get(&(at, name)).copied().unwrap_or(HEAD);
            if touches_hub(lane) {
                let to_right = lane.from == hub;
                Run::Across { y: y_at(if to_right { &lane.to } else { &lane.from }), to_right }
            } else {
                rail += 1;
                Run::Along { from_y: y_at(&lane.from), to_y: y_at(&lane.to), rail: EDGE + 6 + rail * RAIL }
            }
        })
        .collect();
    let wide = if along == 0 { EDGE } else { EDGE + 6 + (along + 1) * RAIL + BESIDE };
    Layout { nodes, runs, wide, tall }
}

/// How a line is drawn.
fn tone(lane: &Lane) -> &'static str {
    match (&lane.paused, lane.mode) {
        (Some(_), _) => "paused",
        (None, Mode::Live) => "live",
        (None, Mode::Shadow) => "shadow",
        (None, Mode::Off) => "off",
    }
}

/// Where a flow stands, in a few words.
pub(super) fn standing(lane: &Lane) -> String {
    let mut words = Vec::new();
    match (&lane.paused, lane.mode) {
        (Some(_), _) => words.push("‖ paused".to_owned()),
        (None, Mode::Live) => {}
        (None, mode) => words.push(mode.word().to_owned()),
    }
    if lane.in_flight > 0 {
        words.push(format!("{} in flight", grouped(lane.in_flight)));
    }
    if lane.held > 0 {
        words.push(format!("{} held", grouped(lane.held)));
    }
    if words.is_empty() {
        words.push("at rest".to_owned());
    }
    words.join(" · ")
}

fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

/// The picture.
pub(super) fn drawn(lanes: &[Lane], systems: &BTreeMap<ConnectionName, &str>) -> Markup {
    let Layout { nodes, runs, wide, tall } = layout(lanes);
    html! {
        svg.map viewBox={ "0 -1 " (wide) " " (tall + 2) } aria-hidden="true" {
            @for node in &nodes {
                rect.node x=(node.x) y=(node.y) width=(BOX) height=(node.tall) rx="4" {}
                text.name x=(node.x + 12) y=(node.y + 21) { (cut(node.name.as_str(), BOX_CHARS_MAX)) }
                @if let Some(system) = systems.get(&node.name) { text.quiet x=(node.x + 12) y=(node.y + 38) { (cut(system, BOX_CHARS_MAX + 4)) } }
            }
            @for (lane, run) in lanes.iter().zip(&runs) {
                a href=(flow_address(&lane.flow)) tabindex="-1" class={ "lane " (tone(lane)) @if lane.held > 0 { " holds" } } {
                    title { (lane.flow) ", from " (lane.from) " to " (lane.to) ": " (standing(lane)) }
                    @match *run {
                        Run::Across { y, to_right } => {
                            line x1=(BOX) y1=(y) x2=(RIGHT) y2=(y) {}
                            @if to_right { path.tip d={ "M" (RIGHT - 11) " " (y - 5) "l10 5l-10 5z" } {} } @else { path.tip d={ "M" (BOX + 11) " " (y - 5) "l-10 5l10 5z" } {} }
                            (label(lane, BOX + 18, y - 8, y + 15))
                        }
                        Run::Along { from_y, to_y, rail } => {
                            path d={ "M" (EDGE) " " (from_y) "H" (rail) "V" (to_y) "H" (EDGE) } {}
                            path.tip d={ "M" (EDGE + 11) " " (to_y - 5) "l-10 5l10 5z" } {}
                            (label(lane, wide - BESIDE + 4, from_y - 4, from_y + 13))
                        }
                    }
                }
            }
        }
    }
}

/// The name above, and below it where it stands: side by side they are longer than any line.
fn label(lane: &Lane, x: usize, above: usize, below: usize) -> Markup {
    html! { text { tspan.flow x=(x) y=(above) { (cut(lane.flow.as_str(), NAME_CHARS_MAX)) } tspan.stands x=(x) y=(below) { (standing(lane)) } } }
}

#[cfg(test)]
mod tests {
    use selvedge_model::Kind;

    use super::*;

    pub(super) fn lane(flow: &str, from: &str, to: &str) -> Lane {
        Lane {
            flow: flow.into(),
            kind: Kind::Order,
            from: from.into(),
            to: to.into(),
            mode: Mode::Live,
            paused: None,
            in_flight: 0,
            held: 0,
            done: 0,
            last_arrival: None,
            oldest: None,
        }
    }

    #[test]
    fn the_busiest_connection_stands_left_and_no_two_lines_share_a_row() {
        let lanes = [
            lane("orders", "shop", "books"),
            lane("picks", "shop", "barn"),
            lane("shipments", "barn", "shop"),
            lane("fulfilments", "barn", "books"),
            lane("stock", "books", "shop"),
        ];
        let Layout { nodes, runs, wide, tall } = layout(&lanes);
        assert_eq!(
            nodes.iter().map(|node| (node.name.as_str(), node.x)).collect::<Vec<_>>(),
            [("shop", 0), ("barn", RIGHT), ("books", RIGHT)]
        );
        let mut across: Vec<usize> =
            runs.iter().filter_map(|run| if let Run::Across { y, .. } = run { Some(*y) } else { None }).collect();
        across.sort_unstable();
        across.dedup();
        assert_eq!(across.len(), 4);
        let Run::Along { from_y, to_y, rail } = runs[3] else { panic!("{runs:?}") };
        assert!(from_y < to_y && rail > EDGE && rail < wide - BESIDE, "{runs:?}");
        assert!(!across.contains(&from_y) && !across.contains(&to_y), "{runs:?}");
        assert!(nodes.iter().all(|node| node.y + node.tall <= tall));
        assert!(matches!(runs[4], Run::Across { to_right: false, .. }));
        assert_eq!(nodes[0].tall, tall, "the left one is as tall as the others together");
    }

    #[test]
    fn nothing_configured_is_nothing_drawn() {
        assert_eq!(layout(&[]).nodes, []);
    }

    #[test]
    fn a_flow_says_what_it_is_in_words() {
        let mut one = lane("orders", "shop", "books");
        assert_eq!(standing(&one), "at rest");
        (one.in_flight, one.held) = (3, 1_204);
        assert_eq!(standing(&one), "3 in flight · 1\u{202f}204 held");
        one.mode = Mode::Shadow;
        assert!(standing(&one).starts_with("shadow · 3"));
        let drawn = drawn(&[lane("<script>", "a", "b")], &BTreeMap::new()).into_string();
        assert!(!drawn.contains("<script>") && drawn.contains("aria-hidden=\"true\""), "{drawn}");
        assert!(!drawn.replace("tabindex=\"-1\"", "").contains("tabindex"), "{drawn}");
    }
}
