//! Who is told what, and when: routes with ordered steps, quiet hours, digests, repeats, acknowledgement.

use std::time::Duration;

use jiff::{
    Timestamp, ToSpan, Zoned,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};

use super::{ChannelName, Event, Severity};
use crate::{daily, team::Team};

/// How long after one ended the same exception may not be told anew: what comes and goes is told once in a while.
pub const COOL_DOWN: Duration = Duration::from_secs(15 * 60);

/// Who is told of what. Routes are tried in order, and the first that takes an alert has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// What is at least as bad as this.
    pub severity: Severity,
    /// What these teams own; all, where none is named.
    pub teams: Vec<Team>,
    /// What rules with these beginnings found; all, where none is named.
    pub rules: Vec<String>,
    /// In this order, the first at once.
    pub steps: Vec<Step>,
    /// How long after the last step it is told again, until somebody acknowledges; `None` = never.
    pub repeat: Option<Duration>,
    /// For how long what opens is gathered into one message.
    pub group: Duration,
    /// When nothing is told.
    pub quiet: Option<Quiet>,
    /// Told once a day or a week instead of at once.
    pub digest: Option<Digest>,
}

/// One step of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long after the first one, without acknowledgement.
    pub after: Duration,
    /// Over which channels.
    pub channels: Vec<ChannelName>,
}

/// Hours of the local clock in which people are left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// From.
    pub from: Time,
    /// To; before `from`, it is on the next day.
    pub to: Time,
    /// Days that are quiet from midnight to midnight.
    pub days: Vec<Weekday>,
    /// Whose clock.
    pub zone: TimeZone,
    /// What is at least as bad as this is told all the same.
    pub except: Severity,
}

/// When a digest is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// At this time of the local clock.
    pub at: Time,
    /// On this day of the week; every day, where none is named.
    pub day: Option<Weekday>,
    /// Whose clock.
    pub zone: TimeZone,
}

/// What an alert is about, as far as a route asks.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// How bad.
    pub severity: Severity,
    /// Whose.
    pub team: Team,
    /// By which rule.
    pub rule: &'a str,
}

/// How far an alert has come on its route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// When its exception opened, and not before it had cooled down.
    pub opened_at: Timestamp,
    /// How bad it is now.
    pub severity: Severity,
    /// How bad it was when it was last told.
    pub told_severity: Option<Severity>,
    /// How many steps were told.
    pub steps_told: usize,
    /// When the first was.
    pub first_told_at: Option<Timestamp>,
    /// When the last was.
    pub last_told_at: Option<Timestamp>,
    /// Whether somebody looks after it, at this severity.
    pub acknowledged: bool,
    /// Whether what was told last reached nobody.
    pub unreached: bool,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Why.
    pub event: Event,
    /// Which step, counted from 0.
    pub step: usize,
    /// Over which channels.
    pub channels: Vec<ChannelName>,
}

/// What happens to an alert next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing before this.
    Wait(Timestamp),
    /// Now.
    Tell(Due),
    /// Nothing any more, unless it becomes worse.
    Rest,
}

impl Route {
    /// Whether it takes an alert.
    pub fn takes(&self, subject: &Subject<'_>) -> bool {
        subject.severity >= self.severity
            && (self.teams.is_empty() || self.teams.contains(&subject.team))
            && (self.rules.is_empty() || self.rules.iter().any(|rule| subject.rule.starts_with(rule.as_str())))
    }

    /// What happens to an alert at `now`.
    pub fn plan(&self, standing: &Standing, now: Timestamp) -> Plan {
        if standing.acknowledged {
            return Plan::Rest;
        }
        let Some((due, at)) = self.next(standing) else { return Plan::Rest };
        if at > now {
            return Plan::Wait(at);
        }
        match self.quiet.as_ref().filter(|quiet| standing.severity < quiet.except).and_then(|quiet| quiet.until(now)) {
            Some(until) => Plan::Wait(until),
            None => Plan::Tell(due),
        }
    }

    /// What is due next, and when, quiet hours aside.
    fn next(&self, standing: &Standing) -> Option<(Due, Timestamp)> {
        let due = |event, step: usize| self.steps.get(step).map(|found| Due { event, step, channels: found.channels.clone() });
        if let Some(digest) = &self.digest {
            // What is open is in every digest until somebody looks after it.
            let after = standing.last_told_at.unwrap_or(standing.opened_at);
            return Some((due(Event::Digest, 0)?, digest.next(after)?));
        }
        let (Some(first), Some(last)) = (standing.first_told_at, standing.last_told_at) else {
            return Some((due(Event::Opened, 0)?, later(standing.opened_at, self.group)));
        };
        if standing.told_severity.is_some_and(|told| standing.severity > told) {
            return Some((due(Event::Opened, 0)?, later(last, self.group)));
        }
        if let Some(step) = self.steps.get(standing.steps_told) {
            let at = if standing.unreached { last } else { later(first, step.after) };
            return Some((due(Event::Escalated, standing.steps_told)?, at.max(last)));
        }
        let last_step = self.steps.len().checked_sub(1)?;
        Some((due(Event::Repeated, last_step)?, later(last, self.repeat?)))
    }
}

/// The first route that takes an alert.
pub fn route_of<'a>(routes: &'a [Route], subject: &Subject<'_>) -> Option<&'a Route> {
    routes.iter().find(|route| route.takes(subject))
}

impl Quiet {
    /// Until when it is quiet, if it is at `now`.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut at = now;
        // A quiet night may lead into a quiet day, and that into the next night.
        for _ in 0..16 {
            match self.stretch_end(&at.to_zoned(self.zone.clone())) {
                Some(end) if end > at => at = end,
                _ => break,
            }
        }
        (at > now).then_some(at)
    }

    /// The end of the quiet stretch that an instant lies in.
    fn stretch_end(&self, now: &Zoned) -> Option<Timestamp> {
        let (date, time) = (now.date(), now.time());
        if self.days.contains(&now.weekday()) {
            return self.instant(date.tomorrow().ok()?, Time::midnight());
        }
        let quiet = if self.from <= self.to {
            (self.from..self.to).contains(&time).then_some(date)
        } else if time >= self.from {
            date.tomorrow().ok()
        } else {
            (time < self.to).then_some(date)
        };
        self.instant(quiet?, self.to)
    }

    fn instant(&self, date: Date, time: Time) -> Option<Timestamp> {
        self.zone.to_ambiguous_zoned(date.to_datetime(time)).compatible().ok().map(|zoned| zoned.timestamp())
    }
}

impl Digest {
    /// The first time after an instant.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let start = after.to_zoned(self.zone.clone()).date();
        (0..=14_i64)
            .filter_map(|days| start.checked_add(days.days()).ok())
            .filter(|date| self.day.is_none_or(|day| date.weekday() == day))
            .filter_map(|date| {
                // As any other thing that happens once a day, so that the night of a changed clock has it once.
                let evening = self.zone.to_ambiguous_zoned(date.to_datetime(Time::MAX)).compatible().ok()?;
                daily::last_due(self.at, &self.zone, evening.timestamp())
            })
            .find(|at| *at > after)
    }
}

fn later(at: Timestamp, wait: Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}
