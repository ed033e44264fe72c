//! Recorded days, from files or from the store, and the scenarios that are played over them. What a
//! scenario does and what it leaves out is told in [`selvedge_model::stock::rehearse`].

mod gather;
pub mod history;
pub mod import;

use std::{fmt, str::FromStr, time::Instant};

use rust_decimal::Decimal;
use selvedge_model::stock::{
    Buffer, Rule, Selector,
    rehearse::{Outcome, Quantity, Recording, RecordingError, Scenario, Stage, Sync},
};
use serde::Serialize;

pub use gather::{BadRow, Gather, Material, Span as Recorded};

use crate::config::words::Span;

/// From a change at the source until we have read it, when it tells us.
const PUSH_MS: u64 = 300;
/// From the reading until the shop has the figure.
const WRITE_MS: u64 = 1_000;
/// How often others ask, unless told otherwise, in minutes.
const INTERVALS_MIN: [u64; 5] = [1, 5, 10, 15, 60];
/// How long nothing goes through, unless told otherwise.
const OUTAGE: Span = Span::seconds(3_600);
/// How long an order takes to the source, unless told otherwise.
pub const EXPORT_DELAY: Span = Span::seconds(60);
/// How long units stay on the shelf once they are promised, unless told otherwise.
pub const SHIP_DELAY: Span = Span::seconds(86_400);
/// No more scenarios are played in one go.
pub const SCENARIOS_MAX: usize = 2_000;
/// No more values are taken of one option.
pub const VALUES_MAX: usize = 100;

/// A buffer as people write it: `none`, `fixed=2`, `percent=5`, `quantile=0.9999`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferAsked(pub Option<Buffer>);

impl BufferAsked {
    /// What the product holds back unless told otherwise.
    pub fn ours() -> Self {
        Self(Some(Buffer::Velocity { quantile: Decimal::new(9_999, 4), least: 2 }))
    }

    fn rules(self) -> Vec<Rule> {
        self.0.map(|buffer| Rule { selector: Selector::Default, buffer }).into_iter().collect()
    }
}

impl fmt::Display for BufferAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no buffer"),
            Some(Buffer::Fixed(units)) => write!(f, "buffer {units}"),
            Some(Buffer::Percent(percent)) => write!(f, "buffer {percent} %"),
            Some(Buffer::Velocity { quantile, least }) => write!(f, "buffer by velocity {quantile}, least {least}"),
        }
    }
}

impl FromStr for BufferAsked {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        let unclear = || format!("{shown:?} is no buffer; write none, fixed=2, percent=5 or quantile=0.9999");
        let text = text.trim();
        if text == "none" {
            return Ok(Self(None));
        }
        let (kind, value) = text.split_once('=').ok_or_else(unclear)?;
        let buffer = match kind.trim() {
            "fixed" => Buffer::Fixed(value.trim().parse().map_err(|_| unclear())?),
            "percent" => Buffer::Percent(value.trim().parse().map_err(|_| unclear())?),
            "quantile" => Buffer::Velocity { quantile: value.trim().parse().map_err(|_| unclear())?, least: 2 },
            _ => return Err(unclear()),
        };
        buffer.fault().map_or(Ok(Self(Some(buffer))), Err)
    }
}

/// What is to be played. Nothing asked is the default grid.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How often is polled; empty: the usual intervals, naively.
    pub intervals: Vec<Span>,
    /// What is held back; empty: ours with its three usual ones, polls without.
    pub buffers: Vec<BufferAsked>,
    /// How long nothing goes through, at the busiest time.
    pub outage: Option<Span>,
    /// What naive polls read; none: both in turn.
    pub quantity: Option<Quantity>,
    /// Only the naive polls.
    pub naive: bool,
    /// From an order in the shop until the source has it; the same for all.
    pub export_delay: Span,
    /// From a promise until its units leave the shelf.
    pub ship_delay: Span,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            intervals: Vec::new(),
            buffers: Vec::new(),
            outage: None,
            quantity: None,
            naive: false,
            export_delay: EXPORT_DELAY,
            ship_delay: SHIP_DELAY,
        }
    }
}

/// A scenario and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// In words.
    pub name: String,
    /// The scenario.
    pub scenario: Scenario,
}

/// A scenario and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Played {
    /// In words.
    pub name: String,
    /// What was played.
    pub scenario: Scenario,
    /// What came of it.
    pub outcome: Outcome,
}

/// Everything that came of a rehearsal.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    /// What was recorded.
    pub recording: Recorded,
    /// What whoever reads the figures must know about the recording.
    pub notes: Vec<String>,
    /// Rows that were left out.
    pub bad_rows: u64,
    /// The first of them.
    pub bad: Vec<BadRow>,
    /// Scenario by scenario.
    pub scenarios: Vec<Played>,
    /// How long playing took, in microseconds; reading the recording not counted.
    pub took_us: u64,
    /// Scenarios a minute at that rate.
    pub a_minute: u64,
}

fn ms(span: Span) -> u64 {
    u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)
}

/// The scenarios, in the order in which they are shown; `busiest` is where an outage of a length hurts most.
pub fn scenarios(asked: &Asked, busiest: impl Fn(u64) -> u64) -> Vec<Named> {
    let base = Scenario {
        quantity: Quantity::Available,
        sync: Sync::Push { latency_ms: PUSH_MS },
        write_latency_ms: WRITE_MS,
        export_delay_ms: ms(asked.export_delay).max(1),
        ship_delay_ms: ms(asked.ship_delay),
        aware: true,
        shop_checks: true,
        buffer: Vec::new(),
        outages: Vec::new(),
    };
    let usual = [BufferAsked::ours(), BufferAsked(Some(Buffer::Fixed(2))), BufferAsked(None)];
    let (ours, theirs) = match asked.buffers.as_slice() {
        [] => (usual.as_slice(), [BufferAsked(None)].as_slice()),
        buffers => (buffers, buffers),
    };
    let usual_intervals = INTERVALS_MIN.map(|minutes| Span::seconds(minutes * 60));
    let intervals = if asked.intervals.is_empty() { usual_intervals.as_slice() } else { &asked.intervals };
    // The first reading is half an interval in: neither lucky nor unlucky, and beside the whole minutes of coarse clocks.
    let poll = |every: Span| Sync::Poll { interval_ms: ms(every).max(1), phase_ms: ms(every) / 2 };
    let mut list = Vec::new();
    if !asked.naive {
        for buffer in ours {
            list.push(Named { name: format!("ours, {buffer}"), scenario: Scenario { buffer: buffer.rules(), ..base.clone() } });
        }
        let outage = asked.outage.unwrap_or(OUTAGE);
        let from = busiest(ms(outage));
        let broken = if asked.buffers.is_empty() && asked.outage.is_none() { &ours[..1] } else { ours };
        for buffer in broken {
            let outages = vec![(from, from.saturating_add(ms(outage)))];
            let name = format!("ours, {buffer}, {outage} outage");
            list.push(Named { name, scenario: Scenario { buffer: buffer.rules(), outages, ..base.clone() } });
        }
        for every in &asked.intervals {
            for buffer in ours {
                let scenario = Scenario { sync: poll(*every), buffer: buffer.rules(), ..base.clone() };
                list.push(Named { name: format!("ours, polling every {every}, {buffer}"), scenario });
            }
        }
    }
    let both = [Quantity::Available, Quantity::OnHand];
    for quantity in both.into_iter().filter(|quantity| asked.quantity.is_none_or(|only| only == *quantity)) {
        let word = if quantity == Quantity::Available { "available" } else { "on hand" };
        for every in intervals {
            for buffer in theirs {
                let scenario = Scenario { quantity, sync: poll(*every), aware: false, buffer: buffer.rules(), ..base.clone() };
                list.push(Named { name: format!("naive, {word} every {every}, {buffer}"), scenario });
            }
        }
    }
    list
}

/// How many scenarios these are, without making them.
pub fn count(asked: &Asked) -> usize {
    let buffers = asked.buffers.len().max(1);
    let (own, polls) = if asked.naive { (0, 0) } else { (6 * buffers, asked.intervals.len() * asked.buffers.len().max(3)) };
    own + polls + 2 * buffers * asked.intervals.len().max(INTERVALS_MIN.len())
}

/// Plays what is asked.
///
/// # Errors
/// The recording cannot be played.
pub fn play(material: Material, asked: &Asked, each: impl FnMut()) -> Result<Rehearsal, RecordingError> {
    let named = scenarios(asked, |length| material.busiest(length));
    play_all(material, named, each)
}

/// Plays these scenarios.
///
/// # Errors
/// The recording cannot be played.
pub fn play_all(material: Material, named: Vec<Named>, mut each: impl FnMut()) -> Result<Rehearsal, RecordingError> {
    let Material { recorded, span, notes, bad_rows, bad, .. } = material;
    let recording = Recording::new(recorded, span.length_ms)?;
    let began = Instant::now();
    let mut stage = Stage::new(&recording);
    let scenarios: Vec<Played> = named
        .into_iter()
        .map(|Named { name, scenario }| {
            let outcome = stage.play(&scenario);
            each();
            Played { name, scenario, outcome }
        })
        .collect();
    let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let played = u64::try_from(scenarios.len()).unwrap_or(u64::MAX);
    let a_minute = played.saturating_mul(60_000_000) / took_us.max(1);
    Ok(Rehearsal { recording: span, notes, bad_rows, bad, scenarios, took_us, a_minute })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_read_as_documented() {
        assert_eq!("none".parse(), Ok(BufferAsked(None)));
        assert_eq!("fixed=3".parse(), Ok(BufferAsked(Some(Buffer::Fixed(3)))));
        assert_eq!("percent=2.5".parse(), Ok(BufferAsked(Some(Buffer::Percent(Decimal::new(25, 1))))));
        assert_eq!("quantile=0.9999".parse(), Ok(BufferAsked::ours()));
        for text in ["", "2", "fixed", "fixed=-1", "fixed=x", "percent=101", "quantile=1", "quantile=0", "half=1"] {
            assert!(text.parse::<BufferAsked>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_default_grid_and_the_asked_one() {
        let names = |asked: &Asked| scenarios(asked, |_| 7).into_iter().map(|each| each.name).collect::<Vec<_>>();
        let usual = names(&Asked::default());
        assert_eq!(usual.len(), 14);
        assert_eq!(usual[0], "ours, buffer by velocity 0.9999, least 2");
        assert_eq!(usual[3], "ours, buffer by velocity 0.9999, least 2, 1h outage");
        assert_eq!(usual[6], "naive, available every 10m, no buffer");
        assert_eq!(usual[13], "naive, on hand every 1h, no buffer");
        assert_eq!(scenarios(&Asked::default(), |_| 7)[3].scenario.outages, [(7, 3_600_007)]);
        let asked = Asked {
            intervals: vec![Span::seconds(30)],
            buffers: vec![BufferAsked(None), BufferAsked(Some(Buffer::Fixed(1)))],
            quantity: Some(Quantity::OnHand),
            naive: true,
            ..Asked::default()
        };
        assert_eq!(names(&asked), ["naive, on hand every 30s, no buffer", "naive, on hand every 30s, buffer 1"]);
        assert_eq!(names(&Asked { naive: false, ..asked.clone() }).len(), 8);
        for asked in [Asked::default(), asked.clone(), Asked { naive: false, ..asked }] {
            assert!(count(&asked) >= names(&asked).len());
        }
    }
}
