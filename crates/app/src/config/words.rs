//! Words that people write in a config: stretches of time, moments, names; and what they probably meant.

use std::{fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use selvedge_model::likeness::edits;
use serde::{Deserialize, Serialize};

/// How a stretch of time is written.
pub const SPAN_REMEDY: &str = "Write a whole number and a unit: \"500ms\", \"30s\", \"10m\", \"24h\" or \"7d\".";
/// The longest stretch that is taken: ten years.
const SPAN_SECONDS_MAX: u64 = 3_650 * 86_400;
/// From shortest to longest, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A text that does not say what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unclear(pub String);

/// A stretch of time as people write it: `500ms`, `30s`, `10m`, `24h`, `7d`. A day is 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = Unclear;
    fn from_str(text: &str) -> Result<Self, Unclear> {
        let text = text.trim();
        let unclear = || Unclear(format!("{:?} is not a stretch of time", short(text)));
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(unclear)?;
        let (number, unit) = text.split_at(unit_at);
        let (_, each) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(unclear)?;
        let milliseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*each)).ok_or_else(unclear)?;
        if milliseconds == 0 {
            return Err(Unclear(format!("{:?} is no time at all", short(text))));
        }
        if milliseconds > SPAN_SECONDS_MAX * 1_000 {
            return Err(Unclear(format!("{:?} is longer than ten years", short(text))));
        }
        Ok(Self(Duration::from_millis(milliseconds)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let fits = UNITS.iter().rev().find(|(_, each)| milliseconds.is_multiple_of(*each) && milliseconds >= *each);
        let (unit, each) = fits.copied().unwrap_or(("ms", 1));
        write!(f, "{}{unit}", milliseconds / each)
    }
}

impl TryFrom<String> for Span {
    type Error = Unclear;
    fn try_from(text: String) -> Result<Self, Unclear> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "span", "pattern": "^[0-9]+(ms|s|m|h|d)$", "description": "A stretch of time: a whole number and a unit, as in 500ms, 30s, 10m, 24h or 7d." })
    }
}

/// How often something happens: a stretch of time, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pace(pub Option<Duration>);

impl FromStr for Pace {
    type Err = Unclear;
    fn from_str(text: &str) -> Result<Self, Unclear> {
        if text.trim() == "off" {
            return Ok(Self(None));
        }
        text.parse::<Span>().map(|span| Self(Some(span.0)))
    }
}

impl TryFrom<String> for Pace {
    type Error = Unclear;
    fn try_from(text: String) -> Result<Self, Unclear> {
        text.parse()
    }
}

impl From<Pace> for String {
    fn from(pace: Pace) -> Self {
        pace.0.map_or_else(|| "off".to_owned(), |every| Span(every).to_string())
    }
}

impl JsonSchema for Pace {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pace".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "pace", "pattern": "^(off|[0-9]+(ms|s|m|h|d))$", "description": "How often: a stretch of time as in 30s, 10m or 24h; or off." })
    }
}

/// How a moment is written.
pub const MOMENT_REMEDY: &str = "Write how long ago (\"7d\"), or an instant with its offset (\"2026-01-01T00:00:00+01:00\").";

/// A moment: so long ago, or an instant with its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Moment {
    /// Counted back from now.
    Ago(Span),
    /// An instant.
    At(Timestamp),
}

impl Moment {
    /// The instant that is meant.
    pub fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::Ago(span) => now.checked_sub(span.0).unwrap_or(Timestamp::MIN),
            Moment::At(at) => at,
        }
    }
}

impl FromStr for Moment {
    type Err = Unclear;
    fn from_str(text: &str) -> Result<Self, Unclear> {
        if let Ok(span) = text.parse() {
            return Ok(Self::Ago(span));
        }
        match selvedge_model::moment::with_offset(text) {
            Ok(at) => Ok(Self::At(at)),
            Err(selvedge_model::moment::MomentError::NoZone(text)) => {
                Err(Unclear(format!("{text:?} says no offset, so it is not one instant")))
            }
            Err(_) => Err(Unclear(format!("{:?} is not a moment", short(text)))),
        }
    }
}

impl TryFrom<String> for Moment {
    type Error = Unclear;
    fn try_from(text: String) -> Result<Self, Unclear> {
        text.parse()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        match moment {
            Moment::Ago(span) => span.to_string(),
            Moment::At(at) => at.to_string(),
        }
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "moment", "description": "So long ago (7d), or an instant with its offset (2026-01-01T00:00:00+01:00)." })
    }
}

/// How a time of day is written.
pub const DAY_TIME_REMEDY: &str = "Write hours and minutes as a clock shows them (\"03:00\"), or \"off\".";

/// A time of day, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DayTime(pub Option<jiff::civil::Time>);

impl FromStr for DayTime {
    type Err = Unclear;
    fn from_str(text: &str) -> Result<Self, Unclear> {
        let text = text.trim();
        if text == "off" {
            return Ok(Self(None));
        }
        let unclear = || Unclear(format!("{:?} is no time of day", short(text)));
        let (hours, minutes) = text.split_once(':').ok_or_else(unclear)?;
        let number =
            |part: &str| Some(part).filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit()))?.parse::<i8>().ok();
        let time = number(hours).zip(number(minutes)).and_then(|(h, m)| jiff::civil::Time::new(h, m, 0, 0).ok());
        time.map(|time| Self(Some(time))).ok_or_else(unclear)
    }
}

impl TryFrom<String> for DayTime {
    type Error = Unclear;
    fn try_from(text: String) -> Result<Self, Unclear> {
        text.parse()
    }
}

impl From<DayTime> for String {
    fn from(at: DayTime) -> Self {
        at.0.map_or_else(|| "off".to_owned(), |time| time.strftime("%H:%M").to_string())
    }
}

impl JsonSchema for DayTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DayTime".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "day_time", "pattern": "^(off|[0-2][0-9]:[0-5][0-9])$", "description": "A time of the local clock as in 03:00; or off." })
    }
}

/// How a name is written.
pub const NAME_REMEDY: &str = "Use letters a to z, digits, - and _; begin with a letter or digit; at most 64 characters.";

/// Whether a text serves as the name of a brand, a connection, a flow or a secret: it is written into addresses and paths.
pub fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// At most sixty characters of it, for messages.
pub fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The known word that is nearest to a mistyped one, if one is near at all.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (edits(&word, &candidate.to_lowercase()), candidate))
        .filter(|(count, _)| *count <= allowed)
        .min_by_key(|(count, _)| *count)
        .map(|(_, candidate)| candidate)
}

/// `Did you mean token?`, or what else to do.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone, or: &str) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("Did you mean {near}?"),
        None => {
            let known: Vec<&str> = known.into_iter().collect();
            if known.is_empty() { or.to_owned() } else { format!("{or} Known: {}.", known.join(", ")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print_back() {
        for text in ["500ms", "30s", "10m", "24h", "7d", "90s", "36h"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span, "{text}");
        }
        assert_eq!("90s".parse::<Span>().unwrap(), Span::seconds(90));
        assert_eq!("24h".parse::<Span>().unwrap().to_string(), "1d");
        for text in ["", "30", "s", "-5s", "1.5h", "5 weeks", "0s", "99999999999999999999d", "4000d", "10M", "５s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert_eq!("off".parse::<Pace>().unwrap(), Pace(None));
        assert_eq!("5s".parse::<Pace>().unwrap(), Pace(Some(Duration::from_secs(5))));
        assert!("of".parse::<Pace>().is_err());
    }

    #[test]
    fn a_moment_needs_an_offset() {
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        assert_eq!("1d".parse::<Moment>().unwrap().instant(now), "2026-02-28T00:00:00Z".parse().unwrap());
        assert_eq!("2026-01-01T00:00:00+01:00".parse::<Moment>().unwrap().instant(now), "2025-12-31T23:00:00Z".parse().unwrap());
        assert!("2026-01-01T00:00:00".parse::<Moment>().unwrap_err().0.contains("offset"));
        assert!("yesterday".parse::<Moment>().is_err());
    }

    #[test]
    fn a_time_of_day_is_what_a_clock_shows() {
        for text in ["03:00", "23:59", "00:00", "off"] {
            assert_eq!(String::from(text.parse::<DayTime>().unwrap()), text);
        }
        for text in ["", "3:00", "24:00", "03:60", "03:00:00", "0300", "+3:00", "on", "0３:00"] {
            assert!(text.parse::<DayTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(nearest("netsiute", ["centra", "netsuite"]), Some("netsuite"));
        assert_eq!(nearest("shpo", ["shop", "erp"]), Some("shop"));
        assert_eq!(nearest("polcy", ["policy", "capture"]), Some("policy"));
        assert_eq!(nearest("colour", ["account", "tax"]), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn names() {
        assert!(is_name("nordvik-se") && is_name("1") && is_name("orders_b2b"));
        for text in ["", "-a", "a b", "a/b", "å", "a.b", &"a".repeat(65)] {
            assert!(!is_name(text), "{text}");
        }
    }
}
