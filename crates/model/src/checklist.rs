//! What somebody looks at each day and each month, so that nothing rests on memory.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::team::Team;

/// A list that is worked through once in each of its periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checklist {
    /// Each morning.
    Daily,
    /// Once a month.
    Monthly,
}

impl Checklist {
    /// Both.
    pub const ALL: [Checklist; 2] = [Checklist::Daily, Checklist::Monthly];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Checklist::Daily => "daily",
            Checklist::Monthly => "monthly",
        }
    }

    /// What people read.
    pub const fn name(self) -> &'static str {
        match self {
            Checklist::Daily => "Daily checks",
            Checklist::Monthly => "Monthly audit",
        }
    }

    /// The list with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.word() == word)
    }

    /// The name of the period in which an instant falls, by this clock: a day (`2026-11-30`) or a month (`2026-11`).
    ///
    /// ```
    /// use selvedge_model::checklist::Checklist;
    /// let zone = jiff::tz::TimeZone::get("Europe/Stockholm").unwrap();
    /// let late = "2026-11-30T23:30:00Z".parse().unwrap();
    /// assert_eq!(Checklist::Daily.period(late, &zone), "2026-12-01");
    /// assert_eq!(Checklist::Monthly.period(late, &zone), "2026-12");
    /// ```
    pub fn period(self, at: Timestamp, zone: &TimeZone) -> String {
        let form = match self {
            Checklist::Daily => "%Y-%m-%d",
            Checklist::Monthly => "%Y-%m",
        };
        at.to_zoned(zone.clone()).strftime(form).to_string()
    }

    /// Whether this names one of its periods.
    pub fn is_period(self, text: &str) -> bool {
        let day = match self {
            Checklist::Daily => text.to_owned(),
            Checklist::Monthly => format!("{text}-01"),
        };
        day.parse::<jiff::civil::Date>().is_ok_and(|date| {
            let form = if self == Checklist::Daily { "%Y-%m-%d" } else { "%Y-%m" };
            date.strftime(form).to_string() == text
        })
    }

    /// Its checks, in the order in which they are done.
    pub fn checks(self) -> impl Iterator<Item = &'static Check> {
        CHECKS.iter().filter(move |check| check.list == self)
    }
}

/// What the product itself sees of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// Only a person can tell.
    Open,
}

impl Seen {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Seen::Good => "good",
            Seen::Bad => "bad",
            Seen::Open => "open",
        }
    }

    /// What has this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Seen::Good, Seen::Bad, Seen::Open].into_iter().find(|seen| seen.word() == word)
    }
}

/// By what the product can see whether a check is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Every flow's equation comes out.
    Balance,
    /// No source is silent, and no connection is refused.
    Arrivals,
    /// Every channel takes its messages.
    Alerts,
    /// Nothing waits for a person.
    Exceptions,
    /// Every figure of stock that is shown was found right lately.
    Stock,
    /// Both ends of every pair were read lately, and every document is accounted for.
    Reconciliation,
    /// The last look through the mappings found no gap.
    Mappings,
    /// Every entity's last period is signed.
    Close,
    /// A copy of the store was made and proven in the last days.
    Backup,
    /// The audit trail is whole.
    Trail,
    /// None: a person looks.
    Person,
}

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name in the store and the API; never given to another check.
    pub id: &'static str,
    /// On which list.
    pub list: Checklist,
    /// Who does it.
    pub team: Team,
    /// What has to be so.
    pub what: &'static str,
    /// How to see it, and what to do when it is not so.
    pub how: &'static str,
    /// The page where it is seen; empty when it is seen elsewhere.
    pub page: &'static str,
    /// What the product sees of it.
    pub proof: Proof,
}

const fn daily(id: &'static str, team: Team, proof: Proof, page: &'static str, what: &'static str, how: &'static str) -> Check {
    Check { id, list: Checklist::Daily, team, what, how, page, proof }
}

const fn monthly(id: &'static str, team: Team, proof: Proof, page: &'static str, what: &'static str, how: &'static str) -> Check {
    Check { id, list: Checklist::Monthly, team, what, how, page, proof }
}

/// All checks, list by list.
pub const CHECKS: &[Check] = &[
    daily(
        "arrivals",
        Team::Engineering,
        Proof::Arrivals,
        "/",
        "Everything that should arrive arrives",
        "No exception says that a source is silent or that a connection is refused. If one does, its page says what to do.",
    ),
    daily(
        "alerts",
        Team::Engineering,
        Proof::Alerts,
        "/alerts",
        "Whoever is to be told is told",
        "Every message over every channel arrived. If one did not: mend the channel, then selvedge alerts test CHANNEL.",
    ),
    daily(
        "balance",
        Team::Engineering,
        Proof::Balance,
        "/",
        "Every flow balances",
        "Captured is confirmed, in flight, held, excluded, superseded or dismissed. If it is not: selvedge balance, and keep the store as it is.",
    ),
    daily(
        "exceptions",
        Team::Operations,
        Proof::Exceptions,
        "/exceptions",
        "Every exception has somebody who works on it",
        "From the top, where most is at stake: mend the cause, hand it over, or snooze it with a reason.",
    ),
    daily(
        "late",
        Team::Operations,
        Proof::Person,
        "/exceptions?team=operations",
        "Nothing that was promised for today is stuck",
        "Orders past their day are shipment.overdue, what cannot be picked is shipment.short. Call the warehouse with the list.",
    ),
    daily(
        "stock",
        Team::Operations,
        Proof::Stock,
        "/stock",
        "The shop shows what there is to sell",
        "Figures are fresh and none is held. If one is: release what is true, dismiss what is not.",
    ),
    daily(
        "returns",
        Team::CustomerExperience,
        Proof::Person,
        "/returns",
        "Nobody waits for money that is due",
        "Goods that came back without a credit, and credits without money, are exceptions of finance.",
    ),
    daily(
        "reconciliation",
        Team::Finance,
        Proof::Reconciliation,
        "/reconcile",
        "Both ends were read whole, and agree",
        "The sentence of each pair meets. What differs is listed with its cause and its owner.",
    ),
    monthly(
        "close",
        Team::Finance,
        Proof::Close,
        "/reconcile",
        "Last month is signed for every entity",
        "selvedge close show PERIOD, explain what is open, then selvedge close sign PERIOD --out FOLDER.",
    ),
    monthly(
        "packs",
        Team::Finance,
        Proof::Person,
        "",
        "The sealed packs are kept elsewhere, and verify there",
        "selvedge close verify FOLDER on another machine than the one that made them.",
    ),
    monthly(
        "mappings",
        Team::Engineering,
        Proof::Mappings,
        "/mappings",
        "Every value that can be sent has a mapping, and no mapping points at what is gone",
        "selvedge check --mappings names each gap with the orders and the money that it would stop.",
    ),
    monthly(
        "backup",
        Team::Engineering,
        Proof::Backup,
        "",
        "A copy of the store was made, and one was restored for trial",
        "selvedge backup make, then selvedge backup verify on another machine, and once a quarter selvedge backup restore there.",
    ),
    monthly(
        "trail",
        Team::Engineering,
        Proof::Trail,
        "",
        "The audit trail is whole, and its anchor is kept elsewhere",
        "selvedge audit-log verify --anchor with last month's anchor; keep the new one.",
    ),
    monthly(
        "access",
        Team::Engineering,
        Proof::Person,
        "/people",
        "Only who should has access",
        "Who can sign in, what they may do, whose tokens are still used, and who knows the tokens of each system. Take away what nobody needs.",
    ),
    monthly(
        "excluded",
        Team::Operations,
        Proof::Person,
        "/reconcile",
        "What rules keep out should be kept out",
        "Look at the counts of each rule against the month before: a rule that suddenly keeps out more has met something new.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own_on_its_list() {
        for list in Checklist::ALL {
            let ids: Vec<&str> = list.checks().map(|check| check.id).collect();
            assert!(!ids.is_empty());
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
            assert_eq!(Checklist::from_word(list.word()), Some(list));
        }
        assert_eq!(Checklist::from_word("weekly"), None);
    }

    #[test]
    fn periods() {
        let (day, month) = (Checklist::Daily, Checklist::Monthly);
        for (list, text, is) in [
            (day, "2026-11-30", true),
            (day, "2026-11-31", false),
            (day, "2026-11", false),
            (day, "+002026-11-30", false),
            (month, "2026-11", true),
            (month, "2026-13", false),
            (month, "2026-11-30", false),
            (month, "", false),
        ] {
            assert_eq!(list.is_period(text), is, "{text}");
        }
        let zone = TimeZone::get("America/New_York").unwrap();
        let at = "2027-01-01T04:59:59Z".parse().unwrap();
        assert_eq!((day.period(at, &zone), month.period(at, &zone)), ("2026-12-31".to_owned(), "2026-12".to_owned()));
        assert!(day.is_period(&day.period(at, &zone)) && month.is_period(&month.period(at, &zone)));
    }
}
