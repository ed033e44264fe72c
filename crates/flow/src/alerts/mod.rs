//! Alerts: people are told of exceptions, and that they are told is owed.
//!
//! [`observe`] keeps one alert for each open exception that a route takes, and ends it when the exception closes. [`plan`] asks each
//! alert's route what is due, and owes one message to each channel of that step for everything that is due together. [`deliver`] takes
//! messages through the states of every obligation, over the channels' sinks. The policy is pure (`model::alert`); the rows are in
//! `store::alerts`.
//!
//! Messages have tables of their own, and not rows of the ledger of records: they have no source document, no mapping and nothing to
//! read back, and a channel that does not answer must not make the balance of the flows look open. The table of moves is the same.

mod acknowledge;
pub mod deliver;
mod observe;
mod plan;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use selvedge_connector::AlertSink;
use selvedge_model::{
    AlertId, Brand, ExceptionId, MessageId, Money, Problem,
    alert::{
        ChannelName, Event, Item, Message, Route, Severity, Thresholds,
        severity::Weight,
        text::{ITEMS_MAX, plain},
    },
};
use selvedge_store::{
    Result, Tx, View,
    alerts::{AlertRow, NewMessage},
    exceptions::ExceptionRow,
};

use crate::{engine::Engine, pulse::PulseSetup};

/// A channel did not take a message.
pub const UNDELIVERED: &str = "alert.undelivered";
/// How long a link by which a message can be acknowledged works.
pub const LINK_FOR: Duration = Duration::from_secs(7 * 86_400);

/// One channel.
#[derive(Clone)]
pub struct Channel {
    /// Its kind, for people.
    pub kind: &'static str,
    /// Where messages go.
    pub sink: Arc<dyn AlertSink>,
}

/// Whom alerts go to.
#[derive(Clone, Default)]
pub struct AlertSetup {
    /// The channels.
    pub channels: BTreeMap<ChannelName, Channel>,
    /// The routes, the first that takes an alert has it.
    pub routes: Vec<Route>,
    /// From where on an exception is worse than a warning.
    pub thresholds: Thresholds,
    /// The server's own address, for links.
    pub public_url: Option<String>,
    /// What links are made of, anew in each process; never kept.
    pub link_key: [u8; 32],
    /// Signs of life for a monitor outside.
    pub pulse: Option<PulseSetup>,
}

/// What the turn remembers.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) observe_next: Option<Timestamp>,
    pub(crate) forget_next: Option<Timestamp>,
}

impl Engine {
    /// A turn of alerts: observes, plans, delivers; how much was done.
    pub(crate) async fn alert(&self) -> Result<usize> {
        if self.setup().alerts.channels.is_empty() {
            return Ok(0);
        }
        let observed = self.observe_exceptions().await?;
        let planned = self.plan_alerts().await?;
        let delivered = self.deliver_messages().await?;
        Ok(observed + planned + delivered)
    }
}

/// How bad an open exception is.
pub(crate) fn severity_of(thresholds: &Thresholds, row: &ExceptionRow, opened_at: Timestamp, now: Timestamp) -> Severity {
    let open_for = Duration::try_from(now.duration_since(opened_at)).unwrap_or_default();
    let (records, money) = at_stake(row);
    let due_in = row.deadline.map(|deadline| deadline.at.duration_since(now));
    thresholds.severity(&Weight { rule: &row.problem.rule, records, money, open_for, due_in })
}

/// What hangs on an exception: what it holds, or where it holds nothing, what waits behind it or differs.
fn at_stake(row: &ExceptionRow) -> (u64, &[Money]) {
    match &row.behind {
        Some(behind) if row.count == 0 => (behind.records, &behind.money),
        _ => (row.count, &row.money),
    }
}

/// What is told of an exception.
pub(crate) fn item_of(alert: AlertId, severity: Severity, row: &ExceptionRow, since: Timestamp) -> Item {
    let Problem { rule, message, remedy, .. } = &row.problem;
    let (records, money) = at_stake(row);
    Item {
        alert,
        exception: row.id,
        severity,
        rule: rule.clone(),
        flow: row.flow.0.clone(),
        team: row.owner.team,
        message: plain(rule, message),
        remedy: plain("", remedy),
        held: row.count,
        behind: if row.count == 0 { records } else { 0 },
        money: money.iter().map(ToString::to_string).collect(),
        since,
        resolved: row.closed.as_deref().map(|closed| plain("", closed)),
    }
}

/// The trouble with a channel.
pub(crate) fn undelivered(channel: &ChannelName, why: &str) -> Problem {
    Problem::new(
        UNDELIVERED,
        format!("alerts.channels.{channel}"),
        format!("messages over the channel {channel} do not arrive: {why}"),
        format!(
            "Mend the channel, then try it: selvedge alerts test {channel}. The next steps of its routes are told meanwhile. It closes \
             with the first message that arrives, and what is still open is told then."
        ),
    )
    .value(channel.as_str())
    .cause(channel.as_str())
}

/// Whether an exception is about a channel itself: that one cannot tell of it.
pub(crate) fn is_about(row: &ExceptionRow, channel: &ChannelName) -> bool {
    row.problem.rule == UNDELIVERED && row.problem.value.as_deref() == Some(channel.as_str())
}

/// The exceptions of some alerts.
pub(crate) fn exceptions_by_id(
    view: &View<'_>,
    ids: impl IntoIterator<Item = ExceptionId>,
) -> Result<BTreeMap<ExceptionId, ExceptionRow>> {
    let ids: std::collections::BTreeSet<ExceptionId> = ids.into_iter().collect();
    ids.into_iter().map(|id| Ok((id, view.exception(id)?))).collect()
}

/// One message that tells of these, the worst first.
pub(crate) fn message_of(
    brand: &Brand,
    event: Event,
    by: Option<&str>,
    told: &[(&AlertRow, &ExceptionRow)],
    now: Timestamp,
) -> Message {
    let mut worst = told.to_vec();
    worst.sort_by_key(|(alert, row)| (std::cmp::Reverse(alert.standing.severity), std::cmp::Reverse(at_stake(row).0), alert.id));
    let items: Vec<Item> = worst
        .iter()
        .take(ITEMS_MAX)
        .map(|(alert, row)| item_of(alert.id, alert.standing.severity, row, alert.standing.opened_at))
        .collect();
    Message {
        id: MessageId(0),
        brand: brand.0.clone(),
        event,
        severity: told.iter().map(|(alert, _)| alert.standing.severity).max().unwrap_or(Severity::Info),
        by: by.map(str::to_owned),
        more: (told.len() - items.len()) as u64,
        items,
        at: now,
    }
}

/// Whoever was told of these is told what became of them.
pub(crate) fn tell_told(
    tx: &Tx<'_>,
    brand: &Brand,
    event: Event,
    by: Option<&str>,
    alerts: &[&AlertRow],
    now: Timestamp,
) -> Result<()> {
    let rows = exceptions_by_id(tx, alerts.iter().map(|alert| alert.exception))?;
    let mut told: BTreeMap<ChannelName, Vec<(&AlertRow, &ExceptionRow)>> = BTreeMap::new();
    for alert in alerts {
        for channel in tx.channels_told(alert.id)? {
            told.entry(channel).or_default().extend(rows.get(&alert.exception).map(|row| (*alert, row)));
        }
    }
    for (channel, told) in told {
        let message = message_of(brand, event, by, &told, now);
        let route = told.first().map(|(alert, _)| alert.route.clone()).unwrap_or_default();
        let alerts = told.iter().map(|(alert, _)| alert.id).collect();
        tx.owe_message(brand, &NewMessage { channel, route, step: 0, message, alerts }, now)?;
    }
    Ok(())
}
