//! The store's own days of stock, played again under other settings.

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_model::stock::rehearse::Outcome;
use selvedge_store::{Result, StoreError, stock::Of};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::{
    config::words::Span,
    rehearse::{Asked, BufferAsked, Rehearsal, history::history, play},
    serve::App,
};

/// How many events are played at once; the newest if there are more.
const EVENTS_MAX: usize = 200_000;
/// How many values a field takes.
const VALUES_MAX: usize = 8;
/// The longest text of a field.
pub const TEXT_MAX: usize = 200;
/// A rehearsal takes a processor and a reader of the store; one at a time.
static ROOM: Semaphore = Semaphore::const_new(1);

/// What is asked, as text, so that nonsense is a message and not an error.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RehearseWanted {
    /// How often the source is polled, as `30s`, `5m`, `1h`; several with commas. The usual ones where nothing is said.
    pub interval: String,
    /// What is held back: `none`, `fixed=2`, `percent=5`, `quantile=0.9999`; several with commas. The usual ones where nothing is said.
    pub buffer: String,
}

impl RehearseWanted {
    /// What it means.
    ///
    /// # Errors
    /// What is unclear, in a sentence.
    pub fn asked(&self) -> std::result::Result<Asked, String> {
        let intervals = values(&self.interval, |text| text.parse::<Span>().map_err(|error| error.to_string()))?;
        let buffers = values(&self.buffer, str::parse::<BufferAsked>)?;
        Ok(Asked { intervals, buffers, ..Asked::default() })
    }
}

fn values<T>(text: &str, read: impl Fn(&str) -> std::result::Result<T, String>) -> std::result::Result<Vec<T>, String> {
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
pub enum Rehearsed {
    /// What came of it.
    Played(Box<Rehearsal>),
    /// What is missing before anything can be played, in sentences.
    Missing(Vec<String>),
    /// What was asked is unclear.
    Unclear(String),
    /// Another one is under way.
    Busy,
}

/// Plays the days of the first flow of stock.
///
/// # Errors
/// The store's.
pub async fn rehearsed(app: &App, wanted: &RehearseWanted) -> Result<Rehearsed> {
    let asked = match wanted.asked() {
        Ok(asked) => asked,
        Err(why) => return Ok(Rehearsed::Unclear(why)),
    };
    let Some(flow) = app.engine.setup().stocks.first().map(|stock| stock.name.clone()) else {
        return Ok(Rehearsed::Missing(vec!["No stock flow is configured, so there are no days to play.".to_owned()]));
    };
    let Ok(permit) = ROOM.try_acquire() else {
        return Ok(Rehearsed::Busy);
    };
    let (store, of) = (app.store.clone(), Of { brand: app.brand.clone(), flow });
    // In a task of its own, so that whoever goes away does not make room for a second one beside it.
    let task = tokio::spawn(async move {
        let _permit = permit;
        let material = match history(&store, of, EVENTS_MAX).await? {
            Ok(material) => material,
            Err(missing) => return Ok(Rehearsed::Missing(missing)),
        };
        let played = tokio::task::spawn_blocking(move || play(material, &asked, || {})).await;
        Ok(match played.map_err(|error| StoreError::Broke(error.to_string()))? {
            Ok(rehearsal) => Rehearsed::Played(Box::new(rehearsal)),
            Err(error) => Rehearsed::Missing(vec![format!("The recording cannot be played: {error}.")]),
        })
    });
    task.await.map_err(|error| StoreError::Broke(error.to_string()))?
}

/// What came of a rehearsal.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RehearsalView {
    /// When the days that were played begin.
    pub from: Timestamp,
    /// When they end.
    pub until: Timestamp,
    /// How many SKUs moved in them.
    pub skus: u64,
    /// Order lines.
    pub lines: u64,
    /// Other movements.
    pub moves: u64,
    /// What whoever reads the figures must know about the recording.
    pub notes: Vec<String>,
    /// Scenario by scenario.
    pub scenarios: Vec<ScenarioView>,
}

/// One way to run things, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ScenarioView {
    /// In words: how often is polled, what is read, what is held back.
    pub name: String,
    /// What would have been sold, oversold and lost, in units.
    pub outcome: Outcome,
}

impl From<Rehearsal> for RehearsalView {
    fn from(of: Rehearsal) -> Self {
        let scenario = |played: crate::rehearse::Played| ScenarioView { name: played.name, outcome: played.outcome };
        Self {
            from: of.recording.from,
            until: of.recording.until,
            skus: of.recording.skus,
            lines: of.recording.lines,
            moves: of.recording.moves,
            notes: of.notes,
            scenarios: of.scenarios.into_iter().map(scenario).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_or_said_to_be_wrong() {
        let wanted = |interval: &str, buffer: &str| RehearseWanted { interval: interval.to_owned(), buffer: buffer.to_owned() };
        let asked = wanted("30s, 5m,", " none,fixed=3").asked().unwrap();
        assert_eq!((asked.intervals.len(), asked.buffers.len()), (2, 2));
        assert!(wanted("", "").asked().unwrap().intervals.is_empty());
        let (many, long) = ("1s,".repeat(9), "x".repeat(201));
        for bad in [wanted("soon", ""), wanted("", "two"), wanted("0s", ""), wanted(&many, ""), wanted(&long, "")] {
            assert!(bad.asked().is_err(), "{} {}", bad.interval, bad.buffer);
        }
    }
}
