//! `[stock.NAME]`: whose stock is shown where, how quickly, and with what kept back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    civil::{Time, Weekday},
    tz::TimeZone,
};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use selvedge_flow::{Foreign, StockSetup};
use selvedge_model::{
    ConnectionName, FlowName, LocationId, Sku,
    stock::{
        buffer::{self, Buffer, Rule, Selector},
        guard, pace,
    },
};
use serde::{Deserialize, Serialize};

use super::words::{Pace, Span};

/// The probability with which the default buffer covers what other channels take while a figure is out of date.
const DEFAULT_QUANTILE: Decimal = Decimal::from_parts(9999, 0, 0, false, 4);
/// What the default buffer keeps back at least.
const DEFAULT_LEAST: i64 = 2;

/// One stock flow: what the source of truth has left becomes what the shop shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StockSettings {
    /// The connection that is the source of truth.
    pub from: String,
    /// The connection that shows the stock. Its orders are taken off until the source has taken them in: there should be a flow of orders from it to the source.
    pub to: String,
    /// Which place of the source feeds which warehouse: { "31" = "2" }, ids on both sides. Several places may feed one warehouse.
    pub warehouses: BTreeMap<String, String>,
    /// How often changes are asked for.
    pub poll: PollSettings,
    /// How often each place of the source is read whole. Default: 24h.
    pub snapshot: Span,
    /// How often everything that the shop shows is read back and compared. Default: 6h.
    pub read_back: Span,
    /// What to do with a figure that somebody else changed in the shop: revert (write ours again, and tell) or ask. Default: revert.
    pub foreign_change: ForeignChange,
    /// How long a write whose answer was lost may still come in; what stands is looked at again then. Default: 5s.
    pub settle_wait: Span,
    /// How many times a figure may not come out before a person is asked. Default: 8.
    #[schemars(range(min = 1, max = 1000))]
    pub attempts_max: u32,
    /// What a reading may move before a person has to look.
    pub guard: GuardSettings,
    /// What is kept back; the most specific rule wins: sku, category, market, warehouse, none of these. Default: quantile 0.9999, at least 2.
    pub buffers: Vec<BufferSettings>,
}

impl Default for StockSettings {
    fn default() -> Self {
        Self {
            from: String::new(),
            to: String::new(),
            warehouses: BTreeMap::new(),
            poll: PollSettings::default(),
            snapshot: Span::seconds(86_400),
            read_back: Span::seconds(6 * 3_600),
            foreign_change: ForeignChange::Revert,
            settle_wait: Span::seconds(5),
            attempts_max: 8,
            guard: GuardSettings::default(),
            buffers: Vec::new(),
        }
    }
}

/// What to do with a foreign change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForeignChange {
    /// Write ours again, and tell.
    #[default]
    Revert,
    /// Leave it until a person has decided.
    Ask,
}

/// How often changes are asked for: quicker while scarce items move, slower when nothing does or the source asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PollSettings {
    /// The shortest pause between two polls. Default: 2s.
    pub least: Span,
    /// The longest. Default: 60s.
    pub most: Span,
    /// The longest in a peak window. Default: 10s.
    pub peak_most: Span,
    /// The longest after the source asked for less. Default: 10m.
    pub throttled_most: Span,
    /// How far each poll reaches back into what is proven. Default: 2m.
    pub overlap: Span,
    /// When sales are expected.
    pub peaks: Vec<PeakSettings>,
}

impl Default for PollSettings {
    fn default() -> Self {
        Self {
            least: Span::seconds(2),
            most: Span::seconds(60),
            peak_most: Span::seconds(10),
            throttled_most: Span::seconds(600),
            overlap: Span::seconds(120),
            peaks: Vec::new(),
        }
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// The day.
    pub const fn weekday(self) -> Weekday {
        match self {
            Day::Mon => Weekday::Monday,
            Day::Tue => Weekday::Tuesday,
            Day::Wed => Weekday::Wednesday,
            Day::Thu => Weekday::Thursday,
            Day::Fri => Weekday::Friday,
            Day::Sat => Weekday::Saturday,
            Day::Sun => Weekday::Sunday,
        }
    }
}

/// A time at which sales are expected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeakSettings {
    /// The days on which it begins. Default: every day.
    pub days: Vec<Day>,
    /// Begins at this local time, as 18:00.
    pub from: String,
    /// Ends before this local time; at or before from, it is that of the next day.
    pub to: String,
    /// Whose local time, as Europe/Stockholm.
    pub time_zone: String,
}

/// What a reading may move before a person has to look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardSettings {
    /// Whether a whole reading without a single item waits. Default: true.
    pub empty: bool,
    /// How many percent of the items a whole reading may lack; 100 judges nothing. Default: 10.
    #[schemars(range(min = 0, max = 100))]
    pub truncated_percent: u8,
    /// How many percent of the items on sale may go off sale at once. Default: 20.
    #[schemars(range(min = 0, max = 100))]
    pub zeroed_percent: u8,
    /// How many percent of the units on sale may move at once, up or down. Default: 50.
    #[schemars(range(min = 0, max = 100))]
    pub moved_units_percent: u8,
    /// How many percent of the value on sale may move at once. Default: 50.
    #[schemars(range(min = 0, max = 100))]
    pub moved_value_percent: u8,
    /// A reading older than this waits. Default: none.
    pub stale_after: Option<Pace>,
    /// Shares are judged only when so many items are concerned. Default: 20.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub least_rows: u64,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self {
            empty: true,
            truncated_percent: 10,
            zeroed_percent: 20,
            moved_units_percent: 50,
            moved_value_percent: 50,
            stale_after: None,
            least_rows: 20,
        }
    }
}

impl From<&GuardSettings> for guard::Rules {
    fn from(settings: &GuardSettings) -> Self {
        // All of it is no limit.
        let share = |percent: u8| (percent < 100).then(|| Decimal::new(percent.into(), 2));
        Self {
            empty: settings.empty,
            truncated_share: share(settings.truncated_percent),
            zeroed_share: share(settings.zeroed_percent),
            moved_units_share: share(settings.moved_units_percent),
            moved_value_share: share(settings.moved_value_percent),
            stale_after: settings.stale_after.and_then(|pace| pace.0),
            least_rows: settings.least_rows,
        }
    }
}

/// One rule: for one sku, category, market or warehouse, or for everything else; fixed, percent or quantile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BufferSettings {
    /// For this SKU.
    pub sku: Option<String>,
    /// For items of this folder or collection of the shop.
    pub category: Option<String>,
    /// For every warehouse that this market draws from, by the market's id.
    pub market: Option<String>,
    /// For this warehouse, by its id.
    pub warehouse: Option<String>,
    /// So many units.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub fixed: Option<i64>,
    /// So many percent of what is left, rounded up.
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<u8>,
    /// As many as other channels take while a figure is out of date, with this probability: "0.999".
    pub quantile: Option<String>,
    /// With quantile: but never fewer than these.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub least: Option<i64>,
}

impl BufferSettings {
    /// The rule, or what is wrong with it.
    ///
    /// # Errors
    /// A sentence and a remedy.
    pub fn rule(&self) -> Result<Rule, (String, &'static str)> {
        let selectors: Vec<Selector> = [
            self.sku.as_ref().map(|sku| Selector::Sku(Sku::new(sku.clone()))),
            self.category.clone().map(Selector::Category),
            self.market.clone().map(|name| Selector::Market { name, places: BTreeSet::new() }),
            self.warehouse.clone().map(|place| Selector::Warehouse(LocationId(place))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let selector = match selectors.as_slice() {
            [] => Selector::Default,
            [one] => one.clone(),
            _ => return Err(("names more than one of sku, category, market and warehouse".into(), "Write one rule for each.")),
        };
        let quantile = match self.quantile.as_deref().map(str::parse::<Decimal>) {
            None => None,
            Some(Ok(quantile)) => Some(quantile),
            Some(Err(_)) => return Err(("has a quantile that is no number".into(), "Write it as quantile = \"0.999\".")),
        };
        let velocity = quantile.map(|quantile| Buffer::Velocity { quantile, least: self.least.unwrap_or(0) });
        let percent = self.percent.map(|percent| Buffer::Percent(Decimal::from(percent)));
        let buffers: Vec<Buffer> = [self.fixed.map(Buffer::Fixed), percent, velocity].into_iter().flatten().collect();
        let [buffer] = buffers.as_slice() else {
            return Err(("needs exactly one of fixed, percent and quantile".into(), "Write how much is kept back, once."));
        };
        if self.least.is_some() && quantile.is_none() {
            return Err(("has least without quantile".into(), "Take least out, or write a quantile."));
        }
        if let Some(fault) = buffer.fault() {
            return Err((fault, "See the guide to buffers: docs/stock.md."));
        }
        Ok(Rule { selector, buffer: *buffer })
    }
}

impl StockSettings {
    /// The rules in force; the default one where there are none.
    pub fn rules(&self) -> Vec<Rule> {
        if self.buffers.is_empty() {
            let buffer = Buffer::Velocity { quantile: DEFAULT_QUANTILE, least: DEFAULT_LEAST };
            return vec![Rule { selector: Selector::Default, buffer }];
        }
        self.buffers.iter().filter_map(|buffer| buffer.rule().ok()).collect()
    }

    fn pace(&self) -> pace::Pace {
        let time = |text: &str| text.parse::<Time>().ok();
        let peak = |peak: &PeakSettings| {
            Some(pace::Peak {
                days: peak.days.iter().map(|day| day.weekday()).collect(),
                from: time(&peak.from)?,
                to: time(&peak.to)?,
                zone: TimeZone::get(&peak.time_zone).ok()?,
            })
        };
        let poll = &self.poll;
        pace::Pace {
            least: poll.least.0,
            most: poll.most.0,
            peak_most: poll.peak_most.0,
            throttled_most: poll.throttled_most.0,
            answers: 3,
            peaks: poll.peaks.iter().filter_map(peak).collect(),
        }
    }

    /// What the flow is made of.
    pub fn setup(&self, name: &FlowName) -> StockSetup {
        let id = |text: &String| LocationId(text.trim().to_owned());
        StockSetup {
            name: name.clone(),
            from: ConnectionName::new(&self.from),
            to: ConnectionName::new(&self.to),
            places: self.warehouses.iter().map(|(location, warehouse)| (id(location), id(warehouse))).collect(),
            pace: self.pace(),
            poll_overlap: self.poll.overlap.0,
            snapshot_every: self.snapshot.0,
            read_back_every: self.read_back.0,
            buffers: self.rules(),
            guard: (&self.guard).into(),
            settle_wait: self.settle_wait.0,
            attempts_max: self.attempts_max,
            foreign: match self.foreign_change {
                ForeignChange::Revert => Foreign::Revert,
                ForeignChange::Ask => Foreign::Ask,
            },
        }
    }

    /// Everything that is wrong with it by itself: the setting below it, what, and what to do.
    pub fn faults(&self) -> Vec<(String, String, String)> {
        let mut faults = Vec::new();
        let mut wrong = |path: String, message: String, remedy: &str| faults.push((path, message, remedy.to_owned()));
        if self.warehouses.is_empty() {
            let remedy = "Write which place of the source feeds which warehouse of the shop: warehouses = { \"31\" = \"2\" }.";
            wrong("warehouses".into(), "is missing or empty, so nothing would be shown".into(), remedy);
        }
        for (location, warehouse) in &self.warehouses {
            if location.trim().is_empty() || warehouse.trim().is_empty() {
                wrong("warehouses".into(), "has an empty id".into(), "Write the ids as the two systems show them.");
            }
        }
        if let Some(fault) = self.pace().fault() {
            wrong("poll".into(), fault.to_owned(), "Write least <= peak_most <= most <= throttled_most.");
        }
        for (index, peak) in self.poll.peaks.iter().enumerate() {
            for (setting, text) in [("from", &peak.from), ("to", &peak.to)] {
                if text.parse::<Time>().is_err() {
                    let path = format!("poll.peaks[{index}].{setting}");
                    wrong(path, format!("{:?} is not a time of day", super::words::short(text)), "Write it as \"18:00\".");
                }
            }
            if TimeZone::get(&peak.time_zone).is_err() {
                let path = format!("poll.peaks[{index}].time_zone");
                let message = format!("{:?} is not a time zone", super::words::short(&peak.time_zone));
                wrong(path, message, "Write its IANA name: \"Europe/Stockholm\".");
            }
        }
        for (index, buffer) in self.buffers.iter().enumerate() {
            if let Err((message, remedy)) = buffer.rule() {
                wrong(format!("buffers[{index}]"), message, remedy);
            }
        }
        for twice in buffer::ambiguous(&self.rules(), &[]) {
            let path = format!("buffers[{}]", twice.second);
            let message = format!("is for the same as buffers[{}], which wins", twice.first);
            wrong(path, message, "Take one of them out.");
        }
        faults
    }
}
