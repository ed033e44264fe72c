//! The desk: the list of exceptions as somebody asked for it, and what may be typed about one.

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_model::{Brand, ConnectionName, FlowName};
use selvedge_store::{
    Result, Store,
    desk::{Cursor, DeskFilter, Shelf},
};
use serde::{Deserialize, Serialize};

use super::{Ends, ExceptionView};

/// Exceptions of one page, and the most that may be asked for.
const PAGE: usize = 50;
const PAGE_MAX: usize = 500;
/// Longest comment or note, in characters.
const TEXT_CHARS_MAX: usize = 1_000;

/// Which exceptions are wanted, as it stands in an address.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DeskWanted {
    /// `open`, `snoozed` or `closed`; open if empty.
    pub shelf: String,
    /// Of which team.
    pub team: String,
    /// Of which person.
    pub person: String,
    /// Not empty: those of whoever asks.
    pub mine: String,
    /// How the rule begins.
    pub rule: String,
    /// In which flow.
    pub flow: String,
    /// At which connection.
    pub connection: String,
    /// What its words contain.
    pub text: String,
    /// Where the page begins, as the one before said.
    pub after: String,
    /// How many.
    pub limit: String,
}

/// What that means.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which.
    pub filter: DeskFilter,
    /// After which.
    pub after: Option<Cursor>,
    /// How many.
    pub limit: usize,
}

impl DeskWanted {
    /// What it means. `me` is whoever asks.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn asked(&self, ends: &[Ends], me: &[String]) -> std::result::Result<Asked, String> {
        let shelf = match self.shelf.trim() {
            "" | "open" => Shelf::Open,
            "snoozed" => Shelf::Snoozed,
            "closed" => Shelf::Closed,
            _ => return Err("The shelves are open, snoozed and closed.".to_owned()),
        };
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let (flow, connection) = (some(&self.flow), some(&self.connection));
        let flows = match (&flow, &connection) {
            (None, None) => None,
            (Some(flow), None) => Some(vec![FlowName::new(flow)]),
            (flow, Some(name)) => {
                let at = ends.iter().filter(|ends| ends.from.as_str() == name || ends.to.as_str() == name);
                Some(
                    at.map(|ends| ends.flow.clone())
                        .filter(|one| flow.as_ref().is_none_or(|flow| one.as_str() == flow))
                        .collect(),
                )
            }
        };
        let limit = match self.limit.trim() {
            "" => PAGE,
            text => match text.parse() {
                Ok(limit @ 1..=PAGE_MAX) => limit,
                _ => return Err(format!("limit is a whole number from 1 to {PAGE_MAX}.")),
            },
        };
        Ok(Asked {
            filter: DeskFilter {
                shelf,
                team: super::team(&self.team)?,
                person: if self.mine.is_empty() { some(&self.person).map(|person| vec![person]) } else { Some(me.to_vec()) },
                rule: self.rule.trim().to_owned(),
                flows,
                connection: connection.filter(|_| flow.is_none()),
                text: self.text.trim().to_owned(),
            },
            after: some(&self.after).map(|text| text.parse()).transpose()?,
            limit,
        })
    }

    /// Whether anything narrows it.
    pub fn narrows(&self) -> bool {
        let all = [&self.team, &self.person, &self.mine, &self.rule, &self.flow, &self.connection, &self.text];
        all.into_iter().any(|text| !text.trim().is_empty())
    }

    /// What it is made of, by the names of the address; nothing of what is empty.
    pub fn words(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let words = [
            ("shelf", &self.shelf),
            ("team", &self.team),
            ("person", &self.person),
            ("mine", &self.mine),
            ("rule", &self.rule),
            ("flow", &self.flow),
            ("connection", &self.connection),
            ("text", &self.text),
            ("after", &self.after),
            ("limit", &self.limit),
        ];
        words.into_iter().map(|(name, value)| (name, value.as_str())).filter(|(_, value)| !value.is_empty())
    }
}

/// One page of the list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeskView {
    /// The exceptions, as the shelf orders them.
    #[serde(rename = "items")]
    pub exceptions: Vec<ExceptionView>,
    /// The `after` of the next page, if there may be more.
    pub next: Option<String>,
}

/// One page of the list.
///
/// # Errors
/// The store's.
pub async fn desk(store: &Store, brand: &Brand, asked: &Asked) -> Result<DeskView> {
    let (brand, asked) = (brand.clone(), asked.clone());
    let page = store.read(move |view| view.desk(&brand, &asked.filter, asked.after, asked.limit)).await?;
    Ok(DeskView {
        exceptions: page.rows.into_iter().map(ExceptionView::from).collect(),
        next: page.next.map(|cursor| cursor.to_string()),
    })
}

/// A comment or a note, trimmed.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn said(text: &str) -> std::result::Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("There is nothing to keep: write a sentence.".to_owned()),
        1..=TEXT_CHARS_MAX => Ok(text.to_owned()),
        _ => Err(format!("A comment has at most {TEXT_CHARS_MAX} characters.")),
    }
}

/// Until when to put an exception off: an instant with its offset, or so long from now (`4h`, `3d`).
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn until(text: &str, now: Timestamp) -> std::result::Result<Timestamp, String> {
    let text = text.trim();
    let how = "Say until when: 4h, 3d, or an instant with its offset as 2026-12-01T08:00:00+01:00.";
    let until = match text.parse::<crate::config::words::Span>() {
        Ok(span) => now.checked_add(span.0).map_err(|_| how.to_owned())?,
        Err(_) => text.parse().map_err(|_| how.to_owned())?,
    };
    let longest = now.checked_add(SNOOZE_MAX).map_err(|_| how.to_owned())?;
    match until {
        until if until <= now => Err("That is past already; name an instant to come.".to_owned()),
        until if until > longest => Err("Nothing is snoozed for more than 90 days: whoever comes next should see it.".to_owned()),
        until => Ok(until),
    }
}

/// The longest that anything is snoozed.
const SNOOZE_MAX: std::time::Duration = std::time::Duration::from_secs(90 * 86_400);

/// The connections that may be filtered by.
pub fn connections(ends: &[Ends]) -> Vec<ConnectionName> {
    let mut all: Vec<ConnectionName> = ends.iter().flat_map(|ends| [ends.from.clone(), ends.to.clone()]).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use selvedge_model::Kind;

    use super::*;

    #[test]
    fn what_is_asked_for_in_an_address_reads_or_says_why_not() {
        let ends = [Ends {
            flow: "orders".into(),
            kind: Kind::Order,
            from: "shop".into(),
            to: "books".into(),
            mode: selvedge_model::Mode::Live,
        }];
        let asked = |wanted: DeskWanted| wanted.asked(&ends, &["anna".to_owned()]);
        let mine = asked(DeskWanted { mine: "yes".into(), connection: "books".into(), ..DeskWanted::default() }).unwrap();
        assert_eq!(
            (mine.filter.person.clone(), mine.filter.connection.as_deref()),
            (Some(vec!["anna".to_owned()]), Some("books"))
        );
        assert_eq!(mine.filter.flows, Some(vec![FlowName::new("orders")]));
        assert_eq!(asked(DeskWanted { connection: "other".into(), ..DeskWanted::default() }).unwrap().filter.flows, Some(vec![]));
        for wrong in [
            DeskWanted { shelf: "top".into(), ..DeskWanted::default() },
            DeskWanted { team: "magic".into(), ..DeskWanted::default() },
            DeskWanted { after: "x".into(), ..DeskWanted::default() },
            DeskWanted { limit: "0".into(), ..DeskWanted::default() },
        ] {
            assert!(asked(wrong).unwrap_err().ends_with('.'));
        }
        let wanted = DeskWanted { team: "finance".into(), text: "a & b".into(), ..DeskWanted::default() };
        assert_eq!(wanted.words().collect::<Vec<_>>(), [("team", "finance"), ("text", "a & b")]);
        assert!(wanted.narrows() && !DeskWanted { shelf: "closed".into(), ..DeskWanted::default() }.narrows());
    }

    #[test]
    fn an_instant_to_wake_at_is_one_to_come() {
        let now = "2026-02-03T09:00:00Z".parse().unwrap();
        assert_eq!(until("4h", now).unwrap(), "2026-02-03T13:00:00Z".parse().unwrap());
        assert_eq!(until(" 2026-02-04T08:00:00+01:00 ", now).unwrap(), "2026-02-04T07:00:00Z".parse().unwrap());
        for wrong in ["", "soon", "2026-02-04T08:00:00", "2026-02-03T08:00:00Z", "91d", "999999999999999d"] {
            assert!(until(wrong, now).is_err(), "{wrong}");
        }
    }
}
