//! The number schemes of carriers: their shapes and their check digits.

use crate::{barcode::has_check_digit, mask::fits, postcode::is_country};

/// How a carrier forms its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Posts of the world: two letters, nine digits, a country. Posts use a number again after a year.
    S10,
    /// UPS, `1Z` and sixteen more.
    Ups1z,
    /// UPS, a letter and ten digits.
    UpsWaybill,
    /// FedEx Express, 12 digits.
    Fedex12,
    /// FedEx Ground, 15 digits.
    FedexGround15,
    /// FedEx Ground, 22 digits that begin with 96.
    FedexGround96,
    /// FedEx, the 34 digits of the label.
    Fedex34,
    /// FedEx, delivered by the post.
    FedexSmartPost,
    /// USPS, 20 to 30 digits, perhaps behind `420` and the ZIP.
    Usps,
    /// DHL Express, 10 or 11 digits.
    DhlExpress,
    /// DHL's number of one piece.
    DhlPiece,
    /// DHL eCommerce; nearly any shape.
    DhlEcommerce,
    /// DPD, 14 or 27 digits and a check character.
    Dpd,
    /// The parcel number of GS1, of any carrier.
    Sscc18,
    /// Canada Post, 16 digits.
    CanadaPost16,
    /// Purolator, 12 digits.
    Purolator12,
    /// Purolator, three letters and nine digits.
    PurolatorLetters,
    /// Parcelforce within the United Kingdom.
    Parcelforce,
    /// Yodel.
    Yodel,
    /// Amazon Logistics.
    Amazon,
    /// Amazon's own numbers between countries.
    AmazonInternational,
    /// OnTrac.
    OnTrac,
    /// LaserShip.
    LaserShip,
    /// Landmark Global.
    Landmark,
    /// YunExpress.
    YunExpress,
}

impl Scheme {
    /// Its name, for messages and settings.
    pub fn name(self) -> &'static str {
        self.rule().0
    }

    /// What its numbers look like: `#` a digit, `@` a letter, `*` either, `|` between alternatives.
    pub fn shape(self) -> &'static str {
        self.rule().1
    }

    /// Whether the check digit of a normalised number is right, where the scheme has one; `None` when the
    /// number is not of this shape at all.
    pub fn check(self, number: &str) -> Option<bool> {
        let (_, shape, is_right) = self.rule();
        // Two letters that are no country make no number of a post.
        let of_shape = fits(shape, number) && (self != Scheme::S10 || is_country(end(number, 2)));
        of_shape.then(|| is_right(number))
    }

    fn rule(self) -> (&'static str, &'static str, fn(&str) -> bool) {
        match self {
            Scheme::S10 => ("s10", "@@#{9}@@", s10),
            Scheme::Ups1z => ("ups_1z", "1Z*{15}#", |number| ups(start(number, 2))),
            Scheme::UpsWaybill => ("ups_waybill", "[AHJKTV]#{10}", |number| ups(start(number, 1))),
            Scheme::Fedex12 => ("fedex_12", "#{12}", |number| modulo_eleven(number, [3, 1, 7])),
            Scheme::FedexGround15 => ("fedex_ground_15", "#{15}", |number| from_the_left(number, [1, 3])),
            Scheme::FedexGround96 => ("fedex_ground96_22", "96#{20}", |number| from_the_left(end(number, 15), [1, 3])),
            Scheme::Fedex34 => ("fedex_34", "[0-8]#{33}|96#{32}", |number| modulo_eleven(end(number, 14), [1, 7, 3])),
            Scheme::FedexSmartPost => ("fedex_smartpost", "#{20}|92#{20}|92#{24}|420#{5}92#{20}", smart_post),
            Scheme::Usps => ("usps_20_22", "#{20}|9[1-5]#{20}|9[1-5]#{24}|9[1-5]#{28}|420#{25}|420#{27}|420#{31}", usps),
            Scheme::DhlExpress => ("dhl_express_10_11", "#{10}|#{11}", modulo_seven),
            Scheme::DhlPiece => ("dhl_piece", "J@@@?#{9}#?", no_digit),
            Scheme::DhlEcommerce => ("dhl_ecommerce", DHL_ECOMMERCE, |number| number.bytes().any(|b| b.is_ascii_digit())),
            Scheme::Dpd => ("dpd_14_28", "#{14}*|#{27}*", modulo_37_36),
            Scheme::Sscc18 => ("sscc_18", "#{18}|00#{18}", |number| has_check_digit(end(number, 18))),
            Scheme::CanadaPost16 => ("canada_post_16", "#{16}", has_check_digit),
            Scheme::Purolator12 => ("purolator_12", "#{12}", luhn),
            Scheme::PurolatorLetters => ("purolator_letters", "@@@#{9}", no_digit),
            Scheme::Parcelforce => ("parcelforce", "@@#{7}|@{4}#{10}|#{12}", no_digit),
            Scheme::Yodel => ("yodel", "JJ?D#{16}", no_digit),
            Scheme::Amazon => ("amazon", "TB[ACM]#{12}", no_digit),
            Scheme::AmazonInternational => ("amazon_international", "[AFC]#{10}", no_digit),
            Scheme::OnTrac => ("ontrac", "[CD]#{14}", ontrac),
            Scheme::LaserShip => ("lasership", "L[AIEHNX][1-3]#{7}|1LS7[12]#{10}|1LS7[12]#{13}|1LSCX*{10}", no_digit),
            Scheme::Landmark => ("landmark", "LTN#{8}N1", no_digit),
            Scheme::YunExpress => ("yunexpress", "YT#{16}", no_digit),
        }
    }
}

/// Two letters that say which of its services, then 10 to 39 characters.
const DHL_ECOMMERCE: &str =
    "GM*{10,39}|LX*{10,39}|RX*{10,39}|UV*{10,39}|CN*{10,39}|SG*{10,39}|TH*{10,39}|IN*{10,39}|HK*{10,39}|MY*{10,39}";

fn start(number: &str, left_out: usize) -> &str {
    number.get(left_out..).unwrap_or_default()
}

/// The last `count` characters.
fn end(number: &str, count: usize) -> &str {
    start(number, number.len().saturating_sub(count))
}

/// The digits before the last one, and the last.
fn parted(number: &str) -> Option<(&str, u32)> {
    let (digits, last) = number.split_at_checked(number.len().checked_sub(1)?)?;
    Some((digits, last.chars().next()?.to_digit(10)?))
}

/// The sum of the digits, each times its weight; weights come again and again from the left.
fn weighted<const N: usize>(digits: &str, weights: [u32; N]) -> u32 {
    digits.bytes().zip(weights.iter().cycle()).map(|(b, weight)| value(b) * weight).sum()
}

/// A digit's value. Of a letter what UPS makes of it: its place in ASCII less three, the last digit of that.
fn value(b: u8) -> u32 {
    if b.is_ascii_digit() { u32::from(b - b'0') } else { (u32::from(b) - 3) % 10 }
}

/// What is missing to the next ten is the check digit.
fn from_the_left<const N: usize>(number: &str, weights: [u32; N]) -> bool {
    parted(number).is_some_and(|(digits, last)| (weighted(digits, weights) + last).is_multiple_of(10))
}

fn ups(number: &str) -> bool {
    from_the_left(number, [1, 2])
}

/// As UPS; the letter stands for a digit before the others, unless they begin with it.
fn ontrac(number: &str) -> bool {
    let (letter, digits) = number.split_at_checked(1).unwrap_or_default();
    let first = if letter == "C" { '4' } else { '5' };
    if digits.starts_with(first) { ups(digits) } else { ups(&format!("{first}{digits}")) }
}

fn modulo_eleven(number: &str, weights: [u32; 3]) -> bool {
    parted(number).is_some_and(|(digits, last)| weighted(digits, weights) % 11 % 10 == last)
}

fn modulo_seven(number: &str) -> bool {
    parted(number).is_some_and(|(digits, last)| digits.parse().is_ok_and(|digits: u64| digits % 7 == u64::from(last)))
}

fn s10(number: &str) -> bool {
    let Some((digits, last)) = number.get(2..11).and_then(parted) else { return false };
    let check = match 11 - weighted(digits, [8, 6, 4, 2, 3, 5, 9, 7]) % 11 {
        10 => 0,
        11 => 5,
        check => check,
    };
    check == last
}

/// The number alone, or behind `420` and a ZIP of five or nine digits.
fn usps(number: &str) -> bool {
    const ALONE: &str = "#{20}|9[1-5]#{20}|9[1-5]#{24}|9[1-5]#{28}";
    let behind = if number.starts_with("420") { [start(number, 8), start(number, 12)] } else { [""; 2] };
    [number].into_iter().chain(behind).filter(|number| fits(ALONE, number)).any(|number| {
        // Twenty digits may be short for twenty-two with 91 before them.
        has_check_digit(number) || (number.len() == 20 && has_check_digit(&format!("91{number}")))
    })
}

/// As the post that delivers it, always with 92 before it.
fn smart_post(number: &str) -> bool {
    let number = if number.starts_with("420") { start(number, 8) } else { number };
    if number.len() == 20 { has_check_digit(&format!("92{number}")) } else { has_check_digit(number) }
}

fn luhn(number: &str) -> bool {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, b)| {
            let digit = value(b);
            if place.is_multiple_of(2) { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 7064, modulo 37,36.
fn modulo_37_36(number: &str) -> bool {
    let mut p = 36;
    let mut values = number.chars().filter_map(|c| c.to_digit(36));
    let Some(last) = values.next_back() else { return false };
    for value in values {
        p += value;
        if p > 36 {
            p -= 36;
        }
        p *= 2;
        if p > 36 {
            p -= 37;
        }
    }
    (37 - p) % 36 == last
}

fn no_digit(_: &str) -> bool {
    true
}
