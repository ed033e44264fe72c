//! What partners call the carriers, and which schemes these use.

use super::scheme::Scheme;

/// Names (in lower case, one blank between words, `|` between names), and the schemes.
type Row = (&'static str, &'static [Scheme]);

/// A carrier without schemes is known to have none that can be checked.
const CARRIERS: &[Row] = &[
    ("ups|united parcel service|upsn|upgf", &[Scheme::Ups1z, Scheme::UpsWaybill]),
    (
        "fedex|fed ex|federal express|fdeg|fden|fxnl",
        &[Scheme::Fedex12, Scheme::FedexGround15, Scheme::FedexGround96, Scheme::Fedex34, Scheme::FedexSmartPost, Scheme::Sscc18],
    ),
    ("usps|us postal service|united states postal service", &[Scheme::Usps, Scheme::S10]),
    ("dhl|deutsche post|uk mail", &[Scheme::DhlExpress, Scheme::DhlPiece, Scheme::DhlEcommerce, Scheme::Sscc18, Scheme::S10]),
    ("dpd|interlink", &[Scheme::Dpd]),
    ("bring|posten bring|posten norge", &[Scheme::Sscc18, Scheme::S10]),
    ("postnord|post nord|posten|post danmark|plab", &[Scheme::Sscc18, Scheme::S10]),
    ("gls|general logistics systems", &[Scheme::Sscc18]),
    ("royal mail", &[Scheme::S10]),
    ("parcelforce|parcel force", &[Scheme::Parcelforce, Scheme::S10]),
    ("evri|hermes|myhermes", &[]),
    ("inpost", &[]),
    ("yodel", &[Scheme::Yodel]),
    ("canada post|postes canada", &[Scheme::CanadaPost16, Scheme::S10]),
    ("purolator|puro", &[Scheme::Purolator12, Scheme::PurolatorLetters]),
    ("amazon|amzl", &[Scheme::Amazon, Scheme::AmazonInternational]),
    ("ontrac|on trac", &[Scheme::OnTrac]),
    ("lasership|laser ship", &[Scheme::LaserShip]),
    ("landmark", &[Scheme::Landmark]),
    ("yunexpress|yun express", &[Scheme::YunExpress]),
    ("s10", &[Scheme::S10]),
];

/// The schemes of a carrier by what a partner calls it: letter case, blanks and punctuation do not matter, and
/// what follows the name (`DPD UK`, `dpd_local`, `UPS Express Saver`) is its service. `None` for a name that we
/// do not know.
pub fn schemes(carrier: &str) -> Option<&'static [Scheme]> {
    let carrier = carrier.to_lowercase();
    let words: Vec<&str> = carrier.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let glued = words.concat();
    let is_called = |name: &str| {
        let mut words = words.iter();
        glued == name.replace(' ', "") || name.split(' ').all(|word| words.next() == Some(&word))
    };
    CARRIERS.iter().find(|(names, _)| names.split('|').any(is_called)).map(|(_, schemes)| *schemes)
}
