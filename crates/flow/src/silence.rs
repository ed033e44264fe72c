//! Silence: what should have arrived and did not is an exception, too.
//!
//! Every minute the arrivals of each captured feed are judged (`model::silence`), first all markets together, then each for itself:
//! where the whole feed is silent, its markets are not told one by one. A feed whose readings fail counts as silent, too: whoever
//! waits for its orders does not care why. What is told closes by itself once as much comes as should.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
    time::Duration,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use selvedge_model::{
    ConnectionName, FlowName, Kind, Problem,
    silence::{Calendar, History, Shortfall, Verdict, WEEKS, is_back, judge},
};
use selvedge_store::{Result, arrivals::Series};

use crate::{
    backoff::{after, before},
    engine::{Engine, Side},
};

/// How far behind now a feed that tells by itself may be.
const LAG: Duration = Duration::from_secs(30);
/// What is read of the past: the weeks that are looked back on, and some days.
const READ_BACK: Duration = Duration::from_secs((WEEKS as u64 * 7 + 8) * 86_400);
/// How often what nobody looks back on is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// Nothing came any more.
pub const SILENT: &str = "source.silent";
/// Far fewer came than should have.
pub const FEW: &str = "source.few";

/// How silence is told.
#[derive(Clone, Debug)]
pub struct SilenceSetup {
    /// Whose clock decides which hours are alike, by the connection that records come from; else `zone`.
    pub zones: BTreeMap<ConnectionName, TimeZone>,
    /// Whose clock otherwise.
    pub zone: TimeZone,
    /// Days on which nothing is expected.
    pub closed: BTreeSet<Date>,
    /// Feeds that are not watched.
    pub unwatched: BTreeSet<ConnectionName>,
    /// How often it is looked.
    pub every: Duration,
    /// How long after a start nothing is said: what came while nobody looked has to be read first.
    pub after_start: Duration,
}

impl Default for SilenceSetup {
    fn default() -> Self {
        Self {
            zones: BTreeMap::new(),
            zone: TimeZone::UTC,
            closed: BTreeSet::new(),
            unwatched: BTreeSet::new(),
            every: Duration::from_secs(60),
            after_start: Duration::from_secs(600),
        }
    }
}

/// What the watch remembers between two looks.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    started: Option<Timestamp>,
    next: Option<Timestamp>,
    forget: Option<Timestamp>,
}

/// One thing that is watched.
struct Watched {
    flow: FlowName,
    from: ConnectionName,
    kind: Kind,
    /// Empty for all markets together.
    market: String,
}

/// What becomes of one.
enum Told {
    Short { watched: Watched, rule: &'static str, problem: Box<Problem> },
    Over { causes: Vec<String>, why: String },
}

impl Watched {
    fn detail(&self) -> String {
        if self.market.is_empty() {
            format!("{} {}", self.from, self.kind)
        } else {
            format!("{} {} market {}", self.from, self.kind, self.market)
        }
    }

    fn cause(&self, rule: &str) -> String {
        format!("{rule}:{}", self.detail())
    }
}

impl Engine {
    /// Looks whether what should have arrived has; returns how many exceptions that changed.
    pub(crate) async fn watch_silence(&self) -> Result<usize> {
        let Some(setup) = self.setup().silence.clone() else { return Ok(0) };
        let now = self.now();
        let (started, forget) = {
            let mut watch = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
            if watch.next.is_some_and(|next| next > now) {
                return Ok(0);
            }
            watch.next = Some(after(now, setup.every));
            let forget = watch.forget.is_none_or(|at| at <= now);
            if forget {
                watch.forget = Some(after(now, FORGET_EVERY));
            }
            (*watch.started.get_or_insert(now), forget)
        };
        let sides: Vec<&Side> = self.sides.iter().filter(|side| !setup.unwatched.contains(&side.setup.from)).collect();
        if forget {
            self.forget_arrivals(&sides, now).await?;
        }
        let (mut done, mut waits) = (0, false);
        let mut known = BTreeSet::new();
        for side in sides {
            let flow = self.flows.iter().find(|flow| flow.setup.from == side.setup.from && flow.setup.kind == side.setup.kind);
            let Some(flow) = flow.map(|flow| flow.setup.name.clone()) else { continue };
            let lag = self.lag(side);
            if now < after(started, setup.after_start.max(lag.saturating_mul(2))) {
                waits = true;
                continue;
            }
            done += self.watch_feed(side, flow, &setup, before(now, lag), &mut known).await?;
        }
        // What is not looked at yet is not unwatched.
        if !waits {
            done += self.settle_unwatched(known).await?;
        }
        Ok(done)
    }

    /// How far behind now the arrivals of a side may be without anything being wrong.
    fn lag(&self, side: &Side) -> Duration {
        let poll = side.setup.poll_every.unwrap_or_default().saturating_add(side.setup.poll_lag);
        if side.setup.feed_every.is_some() { LAG } else { LAG.saturating_add(poll) }
    }

    async fn watch_feed(
        &self,
        side: &Side,
        flow: FlowName,
        setup: &SilenceSetup,
        until: Timestamp,
        known: &mut BTreeSet<String>,
    ) -> Result<usize> {
        let (brand, from, kind) = (self.brand().clone(), side.setup.from.clone(), side.setup.kind);
        let zone = setup.zones.get(&from).unwrap_or(&setup.zone).clone();
        let calendar = Calendar { zone, closed: setup.closed.clone() };
        let watched = move |market: &str| Watched { flow: flow.clone(), from: from.clone(), kind, market: market.to_owned() };
        let from = side.setup.from.clone();
        let (series, open) = self
            .store()
            .read(move |view| {
                let series = view.arrivals(&brand, &from, kind, before(until, READ_BACK))?;
                let mut open = BTreeMap::new();
                for row in view.exceptions(&brand, false)? {
                    if row.problem.rule == SILENT || row.problem.rule == FEW {
                        open.insert(row.problem.cause.clone(), row.problem.value.and_then(|value| value.parse().ok()));
                    }
                }
                Ok((series, open))
            })
            .await?;
        let told = judged(&series, &open, watched, until, &calendar, known);
        let count = told.len();
        if count == 0 {
            return Ok(0);
        }
        let (brand, now) = (self.brand().clone(), self.now());
        self.store()
            .write(move |tx| {
                for one in &told {
                    match one {
                        Told::Short { watched, rule, problem } => {
                            tx.raise_standing_anew(&brand, &watched.flow, problem, now)?;
                            let other = if *rule == SILENT { FEW } else { SILENT };
                            tx.settle_standing(&brand, &watched.cause(other), "it is told otherwise now", now)?;
                        }
                        Told::Over { causes, why } => {
                            causes.iter().try_for_each(|cause| tx.settle_standing(&brand, cause, why, now))?;
                        }
                    }
                }
                Ok(())
            })
            .await?;
        Ok(count)
    }

    /// What is not watched any more (another config) is nobody's any more.
    async fn settle_unwatched(&self, known: BTreeSet<String>) -> Result<usize> {
        let (brand, now) = (self.brand().clone(), self.now());
        let open = self.store().read(move |view| view.exceptions(&brand, false)).await?;
        let strange: Vec<String> = open
            .into_iter()
            .filter(|row| row.problem.rule == SILENT || row.problem.rule == FEW)
            .map(|row| row.problem.cause)
            .filter(|cause| !known.contains(cause))
            .collect();
        let count = strange.len();
        if count > 0 {
            let brand = self.brand().clone();
            let why = "it is not watched any more";
            self.store()
                .write(move |tx| strange.iter().try_for_each(|cause| tx.settle_standing(&brand, cause, why, now)))
                .await?;
        }
        Ok(count)
    }

    async fn forget_arrivals(&self, sides: &[&Side], now: Timestamp) -> Result<()> {
        let brand = self.brand().clone();
        let feeds: Vec<(ConnectionName, Kind)> = sides.iter().map(|side| (side.setup.from.clone(), side.setup.kind)).collect();
        self.store().write(move |tx| feeds.iter().try_for_each(|(from, kind)| tx.forget_arrivals(&brand, from, *kind, now))).await
    }
}

/// What has to be said of the series of one feed. `open` is what is open, with since when it was short.
fn judged(
    series: &BTreeMap<String, Series>,
    open: &BTreeMap<String, Option<Timestamp>>,
    watched: impl Fn(&str) -> Watched,
    until: Timestamp,
    calendar: &Calendar,
    known: &mut BTreeSet<String>,
) -> Vec<Told> {
    let mut all = Series::default();
    for one in series.values() {
        all.history.join(&one.history);
        all.last = all.last.max(one.last);
    }
    let mut told = Vec::new();
    let whole = told_of(&all.history, all.last, watched(""), open, until, calendar, known, &mut told);
    // One market of one is the whole.
    for (market, one) in series.iter().filter(|(market, _)| series.len() > 1 && !market.is_empty()) {
        let watched = watched(market);
        if whole {
            let causes: Vec<String> =
                [SILENT, FEW].map(|rule| watched.cause(rule)).into_iter().filter(|cause| open.contains_key(cause)).collect();
            known.extend(causes.iter().cloned());
            if !causes.is_empty() {
                told.push(Told::Over { causes, why: "the whole feed is told of instead".to_owned() });
            }
        } else {
            told_of(&one.history, one.last, watched, open, until, calendar, known, &mut told);
        }
    }
    told
}

/// Whether one series is short, or still was a while ago.
#[expect(clippy::too_many_arguments, reason = "a series, what is known of it, and where to put what is said of it")]
fn told_of(
    history: &History,
    last: Option<Timestamp>,
    watched: Watched,
    open: &BTreeMap<String, Option<Timestamp>>,
    until: Timestamp,
    calendar: &Calendar,
    known: &mut BTreeSet<String>,
    told: &mut Vec<Told>,
) -> bool {
    let Some(last) = last else { return false };
    let causes = [SILENT, FEW].map(|rule| watched.cause(rule));
    known.extend(causes.iter().cloned());
    // What came in the future came by a clock that is wrong.
    let last = last.min(until);
    let standing = causes.iter().find_map(|cause| open.get(cause));
    if let Some(since) = standing
        && is_back(history, since.unwrap_or(last), last, until, calendar)
    {
        told.push(Told::Over { causes: causes.to_vec(), why: "as much comes again as should".to_owned() });
        return false;
    }
    let (rule, short) = match judge(history, last, until, calendar) {
        Verdict::Silent(short) => (SILENT, short),
        Verdict::Few(short) => (FEW, short),
        Verdict::Usual | Verdict::Learning => return standing.is_some(),
    };
    let problem = Box::new(problem(&watched, rule, &short, calendar));
    told.push(Told::Short { watched, rule, problem });
    true
}

fn problem(watched: &Watched, rule: &'static str, short: &Shortfall, calendar: &Calendar) -> Problem {
    let since = short.since.to_zoned(calendar.zone.clone()).strftime("%Y-%m-%d %H:%M");
    let market = if watched.market.is_empty() { String::new() } else { format!(" for market {}", watched.market) };
    let message = format!(
        "{} should have brought {} {}s{market} since {since} ({}), and brought {}",
        watched.from,
        short.expected,
        watched.kind.word().replace('_', " "),
        calendar.zone.iana_name().unwrap_or("UTC"),
        short.got,
    );
    let remedy = "See whether it sells, and whether its webhooks, its queue of news and its lists come through: selvedge check. This closes \
                  by itself when as much comes as should. Name days on which nothing is expected under silence.closed.";
    Problem::new(rule, format!("connections.{}", watched.from), message, remedy)
        .value(short.since.to_string())
        .cause(watched.detail())
}
