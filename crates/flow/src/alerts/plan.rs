//! What is due, by the routes: one message to each channel of a step for everything that is due together.

use std::collections::BTreeMap;

use jiff::Timestamp;
use selvedge_model::{
    AlertId, Brand,
    alert::{Due, Event, Plan, Route},
};
use selvedge_store::{
    Result, View,
    alerts::{AlertRow, NewMessage},
    exceptions::ExceptionRow,
};

use super::{AlertSetup, exceptions_by_id, is_about, message_of};
use crate::engine::Engine;

/// Alerts looked at in one turn.
const BATCH: usize = 500;

/// Everything that is due together.
struct Group {
    due: Due,
    route: String,
    alerts: Vec<(AlertRow, ExceptionRow)>,
}

/// What a turn decided.
#[derive(Default)]
struct Decided {
    look: Vec<(AlertId, Option<Timestamp>)>,
    groups: BTreeMap<(String, usize, Event), Group>,
}

impl Engine {
    /// Asks the routes of alerts whose time has come; how many there were.
    pub(crate) async fn plan_alerts(&self) -> Result<usize> {
        let (brand, setup, now) = (self.brand().clone(), self.setup().alerts.clone(), self.now());
        let probe = brand.clone();
        let decided = self.store().read(move |view| decide(view, &probe, &setup, now)).await?;
        let count = decided.look.len() + decided.groups.len();
        if count == 0 {
            return Ok(0);
        }
        self.store()
            .write(move |tx| {
                for (id, at) in &decided.look {
                    tx.alert_look_at(*id, *at)?;
                }
                for group in decided.groups.values() {
                    for alert in &group.alerts {
                        tx.alert_told(alert.0.id, group.due.event, group.due.step, now)?;
                    }
                    for channel in &group.due.channels {
                        let told: Vec<(&AlertRow, &ExceptionRow)> = group
                            .alerts
                            .iter()
                            .filter(|(_, row)| !is_about(row, channel))
                            .map(|(alert, row)| (alert, row))
                            .collect();
                        if !told.is_empty() {
                            let message = message_of(&brand, group.due.event, None, &told, now);
                            let alerts = told.iter().map(|(alert, _)| alert.id).collect();
                            let new = NewMessage {
                                channel: channel.clone(),
                                route: group.route.clone(),
                                step: group.due.step,
                                message,
                                alerts,
                            };
                            tx.owe_message(&brand, &new, now)?;
                        }
                    }
                    // What a step could tell nobody of is the next one's at once.
                    for (alert, row) in &group.alerts {
                        if group.due.channels.iter().all(|channel| is_about(row, channel)) {
                            tx.alert_unreached(alert.id, now)?;
                        }
                    }
                }
                Ok(())
            })
            .await?;
        Ok(count)
    }
}

fn decide(view: &View<'_>, brand: &Brand, setup: &AlertSetup, now: Timestamp) -> Result<Decided> {
    let mut decided = Decided::default();
    let due = view.alerts_due(brand, now, BATCH)?;
    if due.is_empty() {
        return Ok(decided);
    }
    let mut telling: Vec<(AlertRow, Due)> = Vec::new();
    for alert in due {
        let Some(route) = route(setup, &alert) else {
            decided.look.push((alert.id, None));
            continue;
        };
        match route.plan(&alert.standing, now) {
            Plan::Wait(until) => decided.look.push((alert.id, Some(until))),
            Plan::Rest => decided.look.push((alert.id, None)),
            Plan::Tell(due) => telling.push((alert, due)),
        }
    }
    // What opened within the window of the first goes with it.
    let opening: Vec<String> =
        telling.iter().filter(|(_, due)| due.event == Event::Opened).map(|(alert, _)| alert.route.clone()).collect();
    if !opening.is_empty() {
        for alert in view.open_alerts(brand)? {
            let untold = alert.standing.last_told_at.is_none() && !alert.standing.acknowledged && alert.standing.opened_at <= now;
            if !untold || !opening.contains(&alert.route) || telling.iter().any(|(known, _)| known.id == alert.id) {
                continue;
            }
            let Some(route) = route(setup, &alert) else { continue };
            let hurried = Route { group: std::time::Duration::ZERO, ..route.clone() };
            if let Plan::Tell(due) = hurried.plan(&alert.standing, now) {
                telling.push((alert, due));
            }
        }
    }
    let rows = exceptions_by_id(view, telling.iter().map(|(alert, _)| alert.exception))?;
    for (alert, due) in telling {
        let Some(row) = rows.get(&alert.exception) else { continue };
        // Somebody has put it off, with a reason: nobody is told until it is back.
        if let Some(snooze) = row.snoozed.as_ref().filter(|snooze| row.open && snooze.until > now) {
            decided.look.push((alert.id, Some(snooze.until)));
            continue;
        }
        if !row.open {
            // It has closed meanwhile: its end is observed next.
            decided.look.push((alert.id, None));
            continue;
        }
        let key = (alert.route.clone(), due.step, due.event);
        let group = decided.groups.entry(key).or_insert_with(|| Group { due, route: alert.route.clone(), alerts: Vec::new() });
        group.alerts.push((alert, row.clone()));
    }
    Ok(decided)
}

fn route<'a>(setup: &'a AlertSetup, alert: &AlertRow) -> Option<&'a Route> {
    setup.routes.iter().find(|route| route.name == alert.route)
}
