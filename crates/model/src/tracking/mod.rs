//! Tracking numbers: read as they are written, checked where their carrier gives them a check digit.
//!
//! A failed check digit is a warning and never a reason to drop a number: the carriers' own test numbers
//! fail it, and some ranges have none. A right one proves little, too: one number in ten has it by chance,
//! so digits alone never say who the carrier is when the partner has said so already.

mod carrier;
mod scheme;

use std::collections::BTreeSet;

pub use carrier::schemes;
pub use scheme::Scheme;

use crate::written::{is_blank, is_scientific};

/// What can be said of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is of this scheme, and its check digit is right where the scheme has one.
    Good(Scheme),
    /// It is of this scheme's shape, and its check digit is wrong. Tell somebody, and keep the number.
    Failed(Scheme),
    /// Nothing that we know applies to it.
    NoRule,
}

/// Schemes that cannot be taken for another: two letters and a country, a fixed beginning.
const TELLING: [Scheme; 7] =
    [Scheme::S10, Scheme::Ups1z, Scheme::Amazon, Scheme::Yodel, Scheme::DhlPiece, Scheme::YunExpress, Scheme::Landmark];

/// Schemes whose shapes others use as well; right by check digit they are worth naming, wrong they mean nothing.
const VAGUE: [Scheme; 12] = [
    Scheme::UpsWaybill,
    Scheme::OnTrac,
    Scheme::Sscc18,
    Scheme::Usps,
    Scheme::FedexGround96,
    Scheme::Fedex34,
    Scheme::FedexGround15,
    Scheme::Dpd,
    Scheme::CanadaPost16,
    Scheme::Fedex12,
    Scheme::Purolator12,
    Scheme::DhlExpress,
];

/// Checks a number against the schemes of its carrier. Of a carrier that we do not know, only shapes that
/// nobody else uses are checked; where no carrier is named at all, a right check digit counts as well.
pub fn check(carrier: Option<&str>, number: &str) -> Verdict {
    let number = normalise(number);
    let named = carrier.filter(|text| !text.trim_matches(is_blank).is_empty());
    match named.map(schemes) {
        Some(Some(schemes)) => verdict(schemes, &number),
        Some(None) => verdict(&TELLING, &number),
        None => match (verdict(&TELLING, &number), verdict(&VAGUE, &number)) {
            (Verdict::NoRule, good @ Verdict::Good(_)) => good,
            (told, _) => told,
        },
    }
}

/// Good for one is good; else wrong for the first whose shape it has.
fn verdict(schemes: &[Scheme], number: &str) -> Verdict {
    let checked = || schemes.iter().filter_map(|scheme| Some((*scheme, scheme.check(number)?)));
    match checked().find(|(_, right)| *right).or_else(|| checked().next()) {
        Some((scheme, true)) => Verdict::Good(scheme),
        Some((scheme, false)) => Verdict::Failed(scheme),
        None => Verdict::NoRule,
    }
}

/// The number without what people put between its characters: upper case, no blanks, dashes or dots. Keep the
/// raw text beside it.
pub fn normalise(number: &str) -> String {
    let between = |c: char| is_blank(c) || matches!(c, '-' | '.' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    number.chars().filter(|c| !between(*c)).flat_map(char::to_uppercase).collect()
}

/// One number out of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// As it is written.
    pub raw: String,
    /// As it is compared: [`normalise`]d.
    pub number: String,
}

impl Number {
    fn new(raw: &str) -> Self {
        Self { raw: raw.to_owned(), number: normalise(raw) }
    }
}

/// Why a field holds no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A spreadsheet rounded it, its last digits are lost.
    #[error("{0:?} was rounded by a spreadsheet; the number itself is lost")]
    Rounded(String),
    /// A link instead of a number.
    #[error("{0:?} is a link and no number")]
    Link(String),
}

/// The fewest and the most characters of something that looks like a tracking number.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=40;

/// The fewest digits of it.
const DIGITS_MIN: usize = 5;

/// The numbers of a field, each once. Several may be joined by `,` `;` `|` or blanks; they are taken apart only
/// if every part looks like a tracking number, as blanks stand within numbers, too.
///
/// # Errors
/// [`Unreadable`] when one was damaged or there is a link in its place.
pub fn read(field: &str) -> Result<Vec<Number>, Unreadable> {
    let field = field.trim_matches(is_blank);
    if field.contains("://") {
        return Err(Unreadable::Link(field.chars().take(200).collect()));
    }
    let joined: Vec<&str> = parts(field, |c| matches!(c, ',' | ';' | '|'));
    if is_scientific(field) || joined.iter().any(|part| is_scientific(part)) {
        return Err(Unreadable::Rounded(field.chars().take(64).collect()));
    }
    let numbers = if joined.iter().all(|part| looks_like_one(part) || !by_blanks(part).is_empty()) {
        joined.into_iter().flat_map(apart).collect()
    } else {
        vec![Number::new(field)]
    };
    let mut seen = BTreeSet::new();
    Ok(numbers.into_iter().filter(|one| !one.number.is_empty() && seen.insert(one.number.clone())).collect())
}

/// The parts between separators that are not blank.
fn parts(text: &str, separates: impl Fn(char) -> bool) -> Vec<&str> {
    text.split(separates).map(|part| part.trim_matches(is_blank)).filter(|part| !part.is_empty()).collect()
}

fn looks_like_one(part: &str) -> bool {
    let number = normalise(part);
    LENGTH.contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_alphanumeric())
        && number.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_MIN
}

/// The numbers of a part, one or several with blanks between them.
fn apart(part: &str) -> Vec<Number> {
    match by_blanks(part).as_slice() {
        [] => vec![Number::new(part)],
        several => several.iter().map(|number| Number::new(number)).collect(),
    }
}

/// The several numbers that a part holds between blanks; none when it is one number or no number. Where the
/// whole has a right check digit and the pieces have not, it is one.
fn by_blanks(part: &str) -> Vec<&str> {
    let pieces = parts(part, is_blank);
    let right = |number: &str| matches!(check(None, number), Verdict::Good(_));
    let several = pieces.len() > 1
        && pieces.iter().all(|piece| looks_like_one(piece))
        && (pieces.iter().all(|piece| right(piece)) || !right(part));
    if several { pieces } else { Vec::new() }
}

#[cfg(test)]
mod tests;
