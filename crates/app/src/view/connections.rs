//! The connections: whether calls come through, what is used of their limits, until when their credentials are good.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use selvedge_model::{Brand, ConnectionName, FlowName, Kind};
use selvedge_store::{
    Result, Store,
    desk::{DeskFilter, Shelf},
};
use serde::Serialize;

use super::{ConnectionCalls, Ends, ExceptionView, Line, calls::calls_in};
use crate::config::Config;

/// Open exceptions that are shown of one connection.
const EXCEPTIONS_SHOWN: usize = 5;
/// The rule of a connection that does not take our credentials.
const CREDENTIALS: &str = "connection.credentials";
/// Days before its end from which on a credential is to be renewed.
const RENEW_DAYS: i32 = 21;

/// What the config says of a connection's credentials; never what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Credentials {
    /// Setting by setting, where each is kept, in words.
    pub kept: Vec<(String, String)>,
    /// The last day on which they are good, where somebody wrote it down.
    pub until: Option<Date>,
}

impl Credentials {
    /// Days until the last good one; below nought when it is past.
    pub fn days_left(&self, now: Timestamp) -> Option<i32> {
        self.until.map(|until| days_until(until, now))
    }

    /// Whether they want renewing.
    pub fn want_renewing(&self, now: Timestamp) -> bool {
        self.days_left(now).is_some_and(|days| days <= RENEW_DAYS)
    }

    /// Those of all connections.
    pub fn of(config: &Config) -> BTreeMap<ConnectionName, Credentials> {
        let one = |connection: &crate::config::ConnectionConfig| Credentials {
            kept: connection.references.iter().map(|(setting, place)| (setting.clone(), place.to_string())).collect(),
            until: connection.expires,
        };
        config.connections.iter().map(|(name, connection)| (name.clone(), one(connection))).collect()
    }
}

/// How a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// The last call was answered.
    Well,
    /// Nothing was called since the start.
    Untried,
    /// It pauses because the system asked for it.
    Paused,
    /// The last call got no answer, or one that says that the system is out of order.
    Failing,
    /// It rests after failures in a row.
    Resting,
    /// The system does not let us in.
    Refused,
}

/// One connection.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct ConnectionView {
    /// Its name.
    pub name: ConnectionName,
    /// The system that it is an account on.
    pub system: &'static str,
    /// How it does.
    pub health: Health,
    /// When a call was last answered, since the start.
    pub answered_at: Option<Timestamp>,
    /// The status of that answer, where the system speaks HTTP.
    pub answered: Option<u16>,
    /// When a call last failed, since the start.
    pub failed_at: Option<Timestamp>,
    /// How.
    pub failed: Option<String>,
    /// For how long calls still come back unsent.
    pub rests_ms: Option<u64>,
    /// Calls and limits.
    pub calls: ConnectionCalls,
    /// Kinds that are read from it, and when the last record of each came.
    pub arrivals: Vec<(Kind, Option<Timestamp>)>,
    /// Flows that read from it.
    pub reads: Vec<FlowName>,
    /// Flows that write to it.
    pub writes: Vec<FlowName>,
    /// Where its credentials are kept, and until when they are good.
    pub credentials: Credentials,
    /// Days until then; below nought when it is past.
    pub days_left: Option<i32>,
    /// Its open exceptions, the highest impact first; a few of them.
    pub exceptions: Vec<ExceptionView>,
}

/// `refused`: somebody is told just now that our credentials are.
fn health(line: &Line, refused: bool) -> Health {
    let stats = &line.stats;
    let failed_last = match (stats.answered_at, stats.failed_at) {
        (Some(answered), Some(failed)) => failed >= answered,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    match () {
        () if refused => Health::Refused,
        () if stats.breaker_open => Health::Resting,
        () if failed_last => Health::Failing,
        () if matches!(stats.answered, Some(401 | 403)) => Health::Refused,
        () if stats.paused => Health::Paused,
        () if stats.answered_at.is_some() => Health::Well,
        () => Health::Untried,
    }
}

/// All connections as they stand now. `all` are the flows, those of stock as kind and both ends, too.
///
/// # Errors
/// The store's.
pub async fn connections(
    store: &Store,
    brand: &Brand,
    order_ends: &[Ends],
    all: &[(FlowName, Kind, ConnectionName, ConnectionName)],
    lines: Vec<(Line, Option<u64>)>,
    credentials: &BTreeMap<ConnectionName, Credentials>,
    now: Timestamp,
) -> Result<Vec<ConnectionView>> {
    let (brand, ends, all, credentials) = (brand.clone(), order_ends.to_vec(), all.to_vec(), credentials.clone());
    store
        .read(move |view| {
            let spent = calls_in(view, &brand, &ends, lines.iter().map(|(line, _)| line.clone()).collect())?;
            let mut spent: BTreeMap<ConnectionName, ConnectionCalls> =
                spent.connections.into_iter().map(|calls| (calls.connection.clone(), calls)).collect();
            let mut refusals = Vec::new();
            for shelf in [Shelf::Open, Shelf::Snoozed] {
                let about = DeskFilter { rule: CREDENTIALS.to_owned(), shelf, ..DeskFilter::default() };
                refusals.extend(view.desk(&brand, &about, None, lines.len())?.rows.into_iter().map(|one| one.problem.cause));
            }
            let mut found = Vec::with_capacity(lines.len());
            for (line, rests_ms) in &lines {
                let name = &line.connection;
                let reads: Vec<_> = all.iter().filter(|(_, _, from, _)| from == name).collect();
                let writes: Vec<FlowName> =
                    all.iter().filter(|(_, _, _, to)| to == name).map(|(flow, ..)| flow.clone()).collect();
                let mut kinds: Vec<Kind> = reads.iter().map(|(_, kind, ..)| *kind).filter(|kind| *kind != Kind::Stock).collect();
                kinds.sort_unstable();
                kinds.dedup();
                let arrivals =
                    kinds.into_iter().map(|kind| Ok((kind, view.last_received(&brand, name, kind)?))).collect::<Result<_>>()?;
                let here = all.iter().filter(|(_, _, from, to)| from == name || to == name);
                let about = DeskFilter {
                    flows: Some(here.map(|(flow, ..)| flow.clone()).collect()),
                    connection: Some(name.as_str().to_owned()),
                    ..DeskFilter::default()
                };
                let exceptions = view.desk(&brand, &about, None, EXCEPTIONS_SHOWN)?.rows;
                let credentials = credentials.get(name).cloned().unwrap_or_default();
                let Some(calls) = spent.remove(name) else { continue };
                found.push(ConnectionView {
                    name: name.clone(),
                    system: line.system,
                    health: health(line, refusals.contains(&format!("{CREDENTIALS}:{name}"))),
                    answered_at: line.stats.answered_at,
                    answered: line.stats.answered,
                    failed_at: line.stats.failed_at,
                    failed: line.stats.failed.clone(),
                    rests_ms: *rests_ms,
                    calls,
                    arrivals,
                    reads: reads.into_iter().map(|(flow, ..)| flow.clone()).collect(),
                    writes,
                    days_left: credentials.days_left(now),
                    credentials,
                    exceptions: exceptions.into_iter().map(ExceptionView::from).collect(),
                });
            }
            Ok(found)
        })
        .await
}

fn days_until(day: Date, now: Timestamp) -> i32 {
    let today = now.to_zoned(TimeZone::UTC).date();
    (day - today).get_days()
}

#[cfg(test)]
mod tests {
    use selvedge_connector::SessionStats;

    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Some(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn what_happened_last_decides_and_a_refusal_is_no_health() {
        let of = |stats: SessionStats| health(&Line { connection: "shop".into(), system: "storefront", stats }, false);
        let none = SessionStats::default();
        assert_eq!(of(none.clone()), Health::Untried);
        let well = SessionStats { answered_at: at(5), answered: Some(200), ..none.clone() };
        assert_eq!(of(well.clone()), Health::Well);
        assert_eq!(of(SessionStats { failed_at: at(4), ..well.clone() }), Health::Well, "mended since");
        assert_eq!(of(SessionStats { failed_at: at(6), ..well.clone() }), Health::Failing);
        assert_eq!(of(SessionStats { failed_at: at(6), ..none }), Health::Failing);
        assert_eq!(of(SessionStats { answered: Some(403), ..well.clone() }), Health::Refused);
        let line = Line { connection: "shop".into(), system: "storefront", stats: well.clone() };
        assert_eq!(health(&line, true), Health::Refused, "a call that was answered does not mend a credential");
        assert_eq!(of(SessionStats { paused: true, ..well.clone() }), Health::Paused);
        assert_eq!(of(SessionStats { breaker_open: true, paused: true, ..well }), Health::Resting);
    }

    #[test]
    fn days_are_counted_to_the_last_good_one() {
        let now = "2026-11-30T23:59:00Z".parse().unwrap();
        let days = |text: &str| days_until(text.parse().unwrap(), now);
        assert_eq!((days("2026-12-01"), days("2026-11-30"), days("2026-11-01"), days("2027-11-30")), (1, 0, -29, 365));
    }
}
