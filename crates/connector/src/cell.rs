//! What stands in a cell: numbers, instants, identifiers and units as each partner writes them.
//!
//! Nothing is guessed. `2.000` is two thousand to one partner and two to another, so the partner's way is
//! stated, and what does not fit it is refused rather than read the other way. An empty cell is not zero.

use std::borrow::Cow;

use jiff::{Timestamp, civil, fmt::strtime, tz::TimeZone};
use rust_decimal::Decimal;
use selvedge_model::{
    moment,
    written::{is_blank, is_scientific},
};

/// Why a cell does not hold what was wanted. Texts are shortened to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// Nothing is there.
    #[error("the cell is empty")]
    Empty,
    /// Not a number in the partner's way of writing them.
    #[error("{0:?} is not a number as this partner writes them")]
    NotANumber(String),
    /// A part of a unit.
    #[error("{0:?} is not a whole number of units")]
    Fraction(String),
    /// A spreadsheet rounded it.
    #[error("{0:?} was rounded by a spreadsheet; what stood there is lost")]
    Rounded(String),
    /// Not a day or an instant in the partner's format.
    #[error("{text:?} is not written as {format}")]
    NotAMoment {
        /// What is there.
        text: String,
        /// What was stated.
        format: String,
    },
    /// A format with letters that mean nothing.
    #[error("{0:?} is not a format of dates; use yyyy yy MM dd HH mm ss")]
    Format(String),
    /// A unit that we do not know, or one that needs a pack factor and has none.
    #[error("{0:?} is not a unit that can be counted here; state how many pieces or grams it has")]
    Unit(String),
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The cell without outer blanks; `None` when it is empty or one of the words that mean nothing to this partner
/// (`NULL`, `N/A`, `-`), whatever their letter case.
pub fn present<'a>(cell: &'a str, nothing: &[&str]) -> Option<&'a str> {
    let cell = cell.trim_matches(is_blank);
    (!cell.is_empty() && !nothing.iter().any(|word| word.eq_ignore_ascii_case(cell))).then_some(cell)
}

/// An order's number, a barcode, a SKU: the text without outer blanks. Zeros belong to it, before and after.
/// A SKU that is `1E5` by right is read with [`present`].
///
/// # Errors
/// [`CellError::Empty`], [`CellError::Rounded`].
pub fn identifier(cell: &str) -> Result<&str, CellError> {
    let text = present(cell, &[]).ok_or(CellError::Empty)?;
    if is_scientific(text) { Err(CellError::Rounded(short(text))) } else { Ok(text) }
}

/// How a partner writes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Between the whole and its fraction.
    pub decimal: char,
    /// Between groups of three digits; `None`: they are never grouped. A blank stands for any blank.
    pub thousands: Option<char>,
}

impl Numbers {
    /// `1,000.5`
    pub const POINT: Self = Self { decimal: '.', thousands: Some(',') };
    /// `1.000,5`
    pub const COMMA: Self = Self { decimal: ',', thousands: Some('.') };

    /// A number. Groups must be of three digits, so that `1,5` is no 15 to who writes `1.5`; no exponents, no
    /// signs behind.
    ///
    /// # Errors
    /// [`CellError::Empty`], [`CellError::NotANumber`].
    pub fn decimal(&self, cell: &str) -> Result<Decimal, CellError> {
        let text = present(cell, &[]).ok_or(CellError::Empty)?;
        let wrong = || CellError::NotANumber(short(text));
        let (sign, size) = match text.strip_prefix('-') {
            Some(size) => ("-", size),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = match size.split_once(self.decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (size, None),
        };
        let whole = self.ungrouped(whole).ok_or_else(wrong)?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(&whole) || !fraction.is_none_or(digits) {
            return Err(wrong());
        }
        let plain = format!("{sign}{whole}.{}", fraction.unwrap_or("0"));
        Decimal::from_str_exact(&plain).map(|value| value.normalize()).map_err(|_| wrong())
    }

    /// A whole number of units: `2,0` is two, `2,5` is refused.
    ///
    /// # Errors
    /// [`CellError::Empty`], [`CellError::NotANumber`], [`CellError::Fraction`].
    pub fn units(&self, cell: &str) -> Result<i64, CellError> {
        let value = self.decimal(cell)?;
        if !value.fract().is_zero() {
            return Err(CellError::Fraction(short(cell.trim_matches(is_blank))));
        }
        i64::try_from(value).map_err(|_| CellError::NotANumber(short(cell)))
    }

    /// The digits without the marks between groups; `None` when the groups are no groups.
    fn ungrouped<'a>(&self, whole: &'a str) -> Option<Cow<'a, str>> {
        let Some(mark) = self.thousands else { return Some(Cow::Borrowed(whole)) };
        let parts = |c: char| c == mark || (is_blank(mark) && is_blank(c));
        let mut groups = whole.split(parts);
        let first = groups.next()?;
        let rest: Vec<&str> = groups.collect();
        if rest.is_empty() {
            return Some(Cow::Borrowed(whole));
        }
        ((1..=3).contains(&first.len()) && rest.iter().all(|group| group.len() == 3))
            .then(|| Cow::Owned(format!("{first}{}", rest.concat())))
    }
}

/// The earliest year that a date may be of: a date of two digits read as four is far before.
const YEAR_MIN: i16 = 1970;

/// How a partner writes days and instants, and in which zone its clocks go.
#[derive(Clone, Debug)]
pub struct Times {
    stated: String,
    format: String,
    zone: TimeZone,
}

impl Times {
    /// Days and times as `dd.MM.yyyy HH:mm`, `MM/dd/yyyy`, `yyyyMMdd`; what is no letter stands for itself, and so
    /// does a `T`.
    ///
    /// # Errors
    /// [`CellError::Format`].
    pub fn new(format: &str, zone: TimeZone) -> Result<Self, CellError> {
        let wrong = || CellError::Format(short(format));
        let mut directives = String::new();
        let mut rest = format;
        while let Some(c) = rest.chars().next() {
            let run = rest.chars().take_while(|next| *next == c).count() * c.len_utf8();
            let (same, after) = rest.split_at(run);
            rest = after;
            directives.push_str(match same {
                "yyyy" => "%Y",
                "yy" => "%y",
                "MM" | "M" => "%m",
                "dd" | "d" => "%d",
                "HH" | "H" => "%H",
                "mm" => "%M",
                "ss" => "%S",
                "T" => "T",
                _ if matches!(c, '%' | '\'' | '"') || c.is_alphanumeric() => return Err(wrong()),
                other => other,
            });
        }
        if !["%d", "%m"].iter().all(|part| directives.contains(part)) || !directives.to_lowercase().contains("%y") {
            return Err(wrong());
        }
        Ok(Self { stated: format.to_owned(), format: directives, zone })
    }

    /// A day.
    ///
    /// # Errors
    /// [`CellError::Empty`], [`CellError::NotAMoment`].
    pub fn day(&self, cell: &str) -> Result<civil::Date, CellError> {
        self.civil(cell).map(civil::DateTime::date)
    }

    /// An instant: by the partner's clock, unless the text carries its own offset. A day alone begins at midnight.
    /// The repeated hour of autumn is read as the earlier one, the hour that spring leaves out as the one after.
    ///
    /// # Errors
    /// [`CellError::Empty`], [`CellError::NotAMoment`].
    pub fn instant(&self, cell: &str) -> Result<Timestamp, CellError> {
        if let Ok(instant) = moment::with_offset(cell.trim_matches(is_blank)) {
            return Ok(instant);
        }
        let local = self.civil(cell)?;
        self.zone.to_ambiguous_zoned(local).compatible().map(|zoned| zoned.timestamp()).map_err(|_| self.wrong(cell))
    }

    fn civil(&self, cell: &str) -> Result<civil::DateTime, CellError> {
        let text = present(cell, &[]).ok_or(CellError::Empty)?;
        let parsed = strtime::parse(&self.format, text).map_err(|_| self.wrong(text))?;
        let day = parsed.to_date().map_err(|_| self.wrong(text))?;
        if day.year() < YEAR_MIN {
            return Err(self.wrong(text));
        }
        let time =
            if parsed.hour().is_some() { parsed.to_time().map_err(|_| self.wrong(text))? } else { civil::Time::midnight() };
        Ok(day.to_datetime(time))
    }

    fn wrong(&self, text: &str) -> CellError {
        CellError::NotAMoment { text: short(text), format: self.stated.clone() }
    }
}

/// A weight in grams, exact.
///
/// # Errors
/// [`CellError::Unit`] for another unit than g, kg, lb, oz.
pub fn grams(value: Decimal, unit: &str) -> Result<Decimal, CellError> {
    let one = match unit.trim_matches(is_blank).to_lowercase().as_str() {
        "g" | "gr" | "grm" => Decimal::ONE,
        "kg" | "kgm" => Decimal::ONE_THOUSAND,
        "lb" | "lbs" | "lbr" => Decimal::new(45_359_237, 5),
        "oz" | "onz" => Decimal::new(28_349_523_125, 9),
        _ => return Err(CellError::Unit(short(unit))),
    };
    value.checked_mul(one).map(|grams| grams.normalize()).ok_or_else(|| CellError::NotANumber(value.to_string()))
}

/// Pieces: what is counted by the piece as it stands, what is counted by the pack times `pack`, which must be stated.
///
/// # Errors
/// [`CellError::Unit`].
pub fn pieces(count: i64, unit: &str, pack: Option<u32>) -> Result<i64, CellError> {
    let wrong = || CellError::Unit(short(unit));
    match unit.trim_matches(is_blank).to_uppercase().as_str() {
        "" | "EA" | "EACH" | "PCE" | "PC" | "PCS" | "ST" | "STK" | "UN" | "H87" => Ok(count),
        _ => count.checked_mul(i64::from(pack.filter(|pack| *pack > 0).ok_or_else(wrong)?)).ok_or_else(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_as_each_partner_writes_them() {
        const BLANK: Numbers = Numbers { decimal: ',', thousands: Some(' ') };
        const PLAIN: Numbers = Numbers { decimal: '.', thousands: None };
        for (numbers, text, value) in [
            (Numbers::POINT, "1,000.50", "1000.5"),
            (Numbers::POINT, "2.000", "2"),
            (Numbers::POINT, "-3", "-3"),
            (Numbers::COMMA, "1.000,50", "1000.5"),
            (Numbers::COMMA, "2.000", "2000"),
            (Numbers::COMMA, " 0,6\u{a0}", "0.6"),
            (Numbers::COMMA, "00012", "12"),
            (BLANK, "1 234\u{202f}567,8", "1234567.8"),
            (PLAIN, "+1000.5", "1000.5"),
        ] {
            assert_eq!(numbers.decimal(text), Ok(d(value)), "{text}");
        }
        for (numbers, text) in [
            (Numbers::POINT, "1,5"),
            (Numbers::POINT, "1.000,50"),
            (Numbers::COMMA, "1.5"),
            (Numbers::COMMA, "1,000.50"),
            (Numbers::COMMA, "1000.000"),
            (Numbers::COMMA, ",5"),
            (Numbers::COMMA, "5,"),
            (PLAIN, "1,000"),
            (PLAIN, "9.4E+3"),
            (PLAIN, "5-"),
            (PLAIN, "--5"),
            (PLAIN, "٥"),
            (PLAIN, "N/A"),
            (PLAIN, "99999999999999999999999999999999"),
        ] {
            assert!(matches!(numbers.decimal(text), Err(CellError::NotANumber(_))), "{text}");
        }
    }

    #[test]
    fn units_are_whole_and_an_empty_cell_is_not_zero() {
        assert_eq!(Numbers::COMMA.units("2,0"), Ok(2));
        assert_eq!(Numbers::COMMA.units("-2.000"), Ok(-2000));
        assert_eq!(Numbers::COMMA.units("2,5"), Err(CellError::Fraction("2,5".into())));
        assert_eq!(Numbers::POINT.units(" \u{feff}"), Err(CellError::Empty));
        assert_eq!(present(" null ", &["NULL", "N/A"]), None);
        assert_eq!(present(" 0 ", &["NULL"]), Some("0"));
    }

    #[test]
    fn identifiers_keep_their_zeros() {
        assert_eq!(identifier("  00123  "), Ok("00123"));
        assert_eq!(identifier("4.00638E+12"), Err(CellError::Rounded("4.00638E+12".into())));
        assert_eq!(identifier("\u{a0}"), Err(CellError::Empty));
    }

    #[test]
    fn days_and_instants_in_the_partners_format_and_zone() {
        let times = |format: &str| Times::new(format, TimeZone::get("Europe/Stockholm").unwrap()).unwrap();
        for (format, text, instant) in [
            ("dd.MM.yyyy", "04.02.2026", "2026-02-03T23:00:00Z"),
            ("dd.MM.yyyy HH:mm", "4.2.2026 08:05", "2026-02-04T07:05:00Z"),
            ("MM/dd/yyyy", "02/04/2026", "2026-02-03T23:00:00Z"),
            ("yyyyMMdd", "20260204", "2026-02-03T23:00:00Z"),
            ("yyyyMMddHHmmss", "20260704080506", "2026-07-04T06:05:06Z"),
            ("yyyy-MM-ddTHH:mm:ss", "2026-07-04T08:05:06", "2026-07-04T06:05:06Z"),
            ("dd/MM/yy", "04/02/26", "2026-02-03T23:00:00Z"),
            ("dd.MM.yyyy", "2026-02-04T10:10:00+01:00", "2026-02-04T09:10:00Z"),
            // Twice in autumn, never in spring.
            ("dd.MM.yyyy HH:mm", "25.10.2026 02:30", "2026-10-25T00:30:00Z"),
            ("dd.MM.yyyy HH:mm", "29.03.2026 02:30", "2026-03-29T01:30:00Z"),
        ] {
            assert_eq!(times(format).instant(text).map(|i| i.to_string()), Ok(instant.to_owned()), "{text} as {format}");
        }
        for (format, text) in [
            ("dd.MM.yyyy", "31.02.2026"),
            ("dd.MM.yyyy", "02/04/2026"),
            ("dd.MM.yyyy", "04.02.26"),
            ("dd.MM.yyyy", "04.02.2026 08:00"),
            ("MM/dd/yyyy", "13/02/2026"),
            ("yyyyMMdd", "46057"),
            ("dd.MM.yyyy", "yesterday"),
        ] {
            assert!(matches!(times(format).day(text), Err(CellError::NotAMoment { .. })), "{text} as {format}");
        }
        assert_eq!(times("dd.MM.yyyy").day("04.02.2026"), Ok(civil::date(2026, 2, 4)));
        for wrong in ["dd.MM", "DD.MM.yyyy", "%Y-%m-%d", "yyyy-MM-dd'T'HH", ""] {
            assert!(matches!(Times::new(wrong, TimeZone::UTC), Err(CellError::Format(_))), "{wrong}");
        }
    }

    #[test]
    fn weights_and_packs() {
        assert_eq!(grams(d("0.6"), "KG"), Ok(d("600")));
        assert_eq!(grams(d("1"), "lb"), Ok(d("453.59237")));
        assert_eq!(grams(d("16"), "oz"), Ok(d("453.59237")));
        assert!(grams(d("1"), "stone").is_err());
        assert_eq!(pieces(3, "pce", Some(12)), Ok(3));
        assert_eq!(pieces(3, "CA", Some(12)), Ok(36));
        assert_eq!(pieces(3, "CA", None), Err(CellError::Unit("CA".into())));
    }
}
