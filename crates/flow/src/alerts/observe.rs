//! One alert for each open exception that a route takes; it ends with the exception.

use std::{collections::BTreeMap, sync::PoisonError, time::Duration};

use jiff::Timestamp;
use selvedge_model::{
    AlertId, Brand, ExceptionId,
    alert::{
        Event, Severity,
        policy::{COOL_DOWN, Route, Subject, route_of},
    },
};
use selvedge_store::{Result, Tx, alerts::AlertRow, exceptions::ExceptionRow};

use super::{AlertSetup, exceptions_by_id, severity_of, tell_told};
use crate::{
    backoff::{after, before},
    engine::Engine,
};

/// How often the open exceptions are weighed.
const EVERY: Duration = Duration::from_secs(5);
/// How often what is old is forgotten, and how old.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
const KEPT: Duration = Duration::from_secs(180 * 86_400);
const FORGET_BATCH: usize = 1_000;

impl Engine {
    /// Opens, weighs and ends alerts; how many of them changed.
    pub(crate) async fn observe_exceptions(&self) -> Result<usize> {
        let now = self.now();
        let forget = {
            let mut turn = self.alerting.lock().unwrap_or_else(PoisonError::into_inner);
            if turn.observe_next.is_some_and(|next| next > now) {
                return Ok(0);
            }
            turn.observe_next = Some(after(now, EVERY));
            let forget = turn.forget_next.is_none_or(|next| next <= now);
            if forget {
                turn.forget_next = Some(after(now, FORGET_EVERY));
            }
            forget
        };
        let (brand, setup) = (self.brand().clone(), self.setup().alerts.clone());
        let probe = brand.clone();
        let (rows, alerts, (opened, closed)) = self
            .store()
            .read(move |view| {
                let (alerts, behind) = (view.open_alerts(&probe)?, view.alerts_behind(&probe)?);
                // By their ids: a list of what is open ends somewhere, and what lies behind its end would be told to nobody.
                let ids = behind.0.iter().copied().chain(alerts.iter().map(|alert| alert.exception));
                Ok((exceptions_by_id(view, ids)?, alerts, behind))
            })
            .await?;
        let mut opening = Vec::new();
        for row in opened.iter().filter_map(|id| rows.get(id)).filter(|row| row.open) {
            let severity = severity_of(&setup.thresholds, row, now, now);
            if let Some(route) = routed(&setup, row, severity) {
                opening.push((row.id, route.name.clone(), severity));
            }
        }
        let weighed: Vec<_> = alerts.iter().filter_map(|alert| weigh(&setup, alert, &rows, now)).collect();
        let count = opening.len() + weighed.len() + closed.len();
        if count == 0 && !forget {
            return Ok(0);
        }
        self.store()
            .write(move |tx| {
                for (exception, route, severity) in &opening {
                    // What comes and goes is told once in a while.
                    let cool = tx.last_alert_end(*exception)?.map(|end| after(end, COOL_DOWN));
                    tx.open_alert(&brand, *exception, route, *severity, cool.map_or(now, |cool| cool.max(now)))?;
                }
                for (id, route, severity, worse) in &weighed {
                    tx.reweigh_alert(*id, route, *severity, *worse, now)?;
                }
                end(tx, &brand, &alerts, &closed, now)?;
                if forget {
                    tx.forget_alerts(&brand, before(now, KEPT), FORGET_BATCH)?;
                }
                Ok(())
            })
            .await?;
        Ok(count)
    }
}

fn routed<'a>(setup: &'a AlertSetup, row: &ExceptionRow, severity: Severity) -> Option<&'a Route> {
    let rule = row.problem.rule.as_str();
    route_of(&setup.routes, &Subject { severity, team: row.owner.team, rule })
}

/// How an open alert stands now, if that has changed: its route, its severity, and whether it is worse than what was told.
fn weigh(
    setup: &AlertSetup,
    alert: &AlertRow,
    rows: &BTreeMap<ExceptionId, ExceptionRow>,
    now: Timestamp,
) -> Option<(AlertId, String, Severity, bool)> {
    let row = rows.get(&alert.exception).filter(|row| row.open)?;
    let severity = severity_of(&setup.thresholds, row, alert.standing.opened_at, now);
    let worse = alert.standing.told_severity.is_some_and(|told| severity > told) && severity > alert.standing.severity;
    let known = setup.routes.iter().any(|route| route.name == alert.route);
    // What has become milder stays with whoever was told of it.
    let route = if severity > alert.standing.severity || !known { routed(setup, row, severity) } else { None };
    let route = route.map_or_else(|| alert.route.clone(), |route| route.name.clone());
    (severity != alert.standing.severity || route != alert.route).then_some((alert.id, route, severity, worse))
}

/// Alerts whose exception has closed are over, and whoever was told of them is told so.
fn end(tx: &Tx<'_>, brand: &Brand, alerts: &[AlertRow], closed: &[AlertId], now: Timestamp) -> Result<()> {
    let closed: Vec<&AlertRow> = alerts.iter().filter(|alert| closed.contains(&alert.id)).collect();
    for alert in &closed {
        tx.resolve_alert(alert.id, now)?;
    }
    tell_told(tx, brand, Event::Resolved, None, &closed, now)
}
