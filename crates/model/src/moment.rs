//! Typed time: instants parsed with a stated zone, and intervals that know what they cover.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// A vendor's timestamp that cannot be read as one instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// No offset in the text and no zone configured for the connection.
    #[error("{0:?} carries no offset; state the zone it is written in (time_zone of the connection)")]
    NoZone(String),
    /// Not a timestamp.
    #[error("{0:?} is not a timestamp")]
    Unreadable(String),
}

/// Reads a timestamp that carries its own offset (RFC 3339).
///
/// # Errors
/// [`MomentError::NoZone`] when there is no offset, [`MomentError::Unreadable`] otherwise.
pub fn with_offset(text: &str) -> Result<Timestamp, MomentError> {
    let short = || text.chars().take(64).collect::<String>();
    match text.trim().parse::<Timestamp>() {
        Ok(moment) => Ok(moment),
        Err(_) if text.trim().parse::<civil::DateTime>().is_ok() => Err(MomentError::NoZone(short())),
        Err(_) => Err(MomentError::Unreadable(short())),
    }
}

/// Reads a timestamp in a configured zone; an offset in the text wins. In the repeated hour of
/// autumn the earlier instant is taken, so that a window that starts there misses nothing.
///
/// # Errors
/// [`MomentError::Unreadable`].
pub fn in_zone(text: &str, zone: &TimeZone) -> Result<Timestamp, MomentError> {
    if let Ok(moment) = with_offset(text) {
        return Ok(moment);
    }
    let unreadable = || MomentError::Unreadable(text.chars().take(64).collect());
    let local: civil::DateTime = text.trim().parse().map_err(|_| unreadable())?;
    zone.to_ambiguous_zoned(local).compatible().map(|zoned| zoned.timestamp()).map_err(|_| unreadable())
}

/// A stretch of time: from (included) to (excluded).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Interval {
    /// First instant inside.
    pub from: Timestamp,
    /// First instant past the end.
    pub to: Timestamp,
}

impl Interval {
    /// Whether `next` begins before this one ends, so that nothing can lie between them.
    pub fn reaches(&self, next: &Interval) -> bool {
        next.from <= self.to
    }

    /// Whether the instant lies inside.
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.from <= moment && moment < self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_timestamp_needs_a_zone() {
        assert!(matches!(with_offset("2026-02-03 10:00:00"), Err(MomentError::NoZone(_))));
        let zone = TimeZone::get("Europe/Stockholm").unwrap();
        assert_eq!(in_zone("2026-02-03 10:00:00", &zone).unwrap().to_string(), "2026-02-03T09:00:00Z");
        assert_eq!(in_zone("2026-02-03T10:00:00+00:00", &zone).unwrap().to_string(), "2026-02-03T10:00:00Z");
        assert!(matches!(with_offset("yesterday"), Err(MomentError::Unreadable(_))));
    }

    #[test]
    fn the_repeated_hour_reads_as_the_earlier_instant() {
        let zone = TimeZone::get("Europe/Stockholm").unwrap();
        assert_eq!(in_zone("2026-10-25 02:30:00", &zone).unwrap().to_string(), "2026-10-25T00:30:00Z");
    }
}
