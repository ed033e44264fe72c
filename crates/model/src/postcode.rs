//! Whether a postcode has the shape that its country's have.
//!
//! The shapes, and where a postcode must be there, are those of libaddressinput (CC BY 4.0). A shape says
//! that a postcode can be right and not that it exists. Letter case and outer blanks are forgiven, as
//! carriers do; what is missing inside is not made up.

use crate::{mask::fits, written::is_blank};

/// Shape, the countries where a postcode of it must be there, those where it may be. How to read a shape:
/// `#` a digit, `@` a letter, `*` either, `?` after what may be missing, `|` between alternatives.
const SHAPES: &[(&str, &str, &str)] = &[
    (
        "#{5}",
        "DE EE ES FI IT KR LT MX MY TR UA",
        "BA BT CU DO DZ EG EH GT HN HR ID IQ JO KE KW LA LK MA MM MN MV NA NI NP PK SA SD SN TH UY ZM",
    ),
    ("#{4}", "AT AU BE CH DK HU LU NO NZ SJ ZA", "AF AL AZ BD BG CV CY ET GE GW HM HT LR MD MK MZ NE PH PY SI TN VE"),
    ("#{6}", "CN IN RO RU SG", "BY CO EC KG KZ NG TJ TM UZ"),
    ("###", "", "FO GN IS LS MG PG"),
    ("### ?##", "CZ GR SE SK", ""),
    ("9[78][01]##", "BL GP MF", ""),
    ("#{5}#?", "", "KH RS VN"),
    ("ASCN 1ZZ", "", "AC"),
    ("AD[1-7]0#", "", "AD"),
    ("2640|AI-2640", "", "AI"),
    ("#{4}|37#{4}", "", "AM"),
    ("[A-HJ-NP-Z]?#{4}|[A-HJ-NP-Z]?#{4}@{3}", "", "AR"),
    ("96799|96799[ -]#{4}", "AS", ""),
    ("22###", "AX", ""),
    ("BB#{5}", "", "BB"),
    ("[1-9]##|1[0-2]##", "", "BH"),
    ("@@ ?**", "", "BM"),
    ("@@ ?#{4}", "", "BN"),
    ("#{5}-?###", "BR", ""),
    ("[ABCEGHJ-NPRSTVXY]#[ABCEGHJ-NPRSTV-Z] ?#[ABCEGHJ-NPRSTV-Z]#", "CA", ""),
    ("6799", "", "CC"),
    ("#{7}", "", "CL"),
    ("#{4}#?|###-#{4}", "", "CR"),
    ("6798", "", "CX"),
    ("FIQQ 1ZZ", "FK", ""),
    ("9694[1-4]|9694[1-4][ -]#{4}", "FM", ""),
    ("## ?###", "FR", ""),
    ("@@?#*? ?#[ABD-HJLN-UW-Z]{2}|GIR ?0AA|BFPO ?##?#?#?", "GB", ""),
    ("9[78]3##", "GF", ""),
    ("GY#*? ?#[ABD-HJLN-UW-Z]{2}", "GG", ""),
    ("GX11 1AA", "", "GI"),
    ("39##", "GL", ""),
    ("SIQQ 1ZZ", "GS", ""),
    ("969[12]#|9693[12]|969[12]#[ -]#{4}|9693[12][ -]#{4}", "GU", ""),
    ("*** ?****", "", "IE"),
    ("#{5}|#{7}", "", "IL"),
    ("IM#*? ?#[ABD-HJLN-UW-Z]{2}", "IM", ""),
    ("BBND 1ZZ", "IO", ""),
    ("#{5}-?#{5}", "", "IR"),
    ("JE#*? ?#[ABD-HJLN-UW-Z]{2}", "JE", ""),
    ("###-?#{4}", "JP", ""),
    ("KY#-#{4}", "", "KY"),
    ("#{4}|#{4} ?#{4}", "", "LB"),
    ("948[5-9]|949[0-8]", "LI", ""),
    ("LV-#{4}|#{4}", "LV", ""),
    ("980##", "", "MC"),
    ("8#{4}", "", "ME"),
    ("969[67]#|969[67]#[ -]#{4}", "MH", ""),
    ("9695[012]|9695[012][ -]#{4}", "MP", ""),
    ("9[78]2##", "MQ", ""),
    ("@@@ ?###?#?", "", "MT"),
    ("#{5}|###@@###", "", "MU"),
    ("988##", "NC", ""),
    ("2899", "", "NF"),
    ("[1-9]### ?[A-RT-Z]@|[1-9]### ?S[BCE-RT-Z]", "NL", ""),
    ("###|PC ###", "", "OM"),
    ("[0-2]#{4}|LIMA ##?|CALLAO 0?#", "", "PE"),
    ("987##", "PF", ""),
    ("##-###", "PL", ""),
    ("9[78]5##", "PM", ""),
    ("PCRN 1ZZ", "PN", ""),
    ("00[679]##|00[679]##[ -]#{4}", "PR", ""),
    ("#{4}-###", "PT", ""),
    ("96939|96940|96939[ -]#{4}|96940[ -]#{4}", "PW", ""),
    ("9[78]4##", "RE", ""),
    ("ASCN 1ZZ|STHL 1ZZ", "SH", ""),
    ("4789#", "SM", ""),
    ("@@ ?#{5}", "", "SO"),
    ("CP [1-3][1-7][0-2]#|[1-3][1-7][0-2]#", "", "SV"),
    ("[HLMS]###", "", "SZ"),
    ("TDCU 1ZZ", "", "TA"),
    ("TKCA 1ZZ", "TC", ""),
    ("###|#{5}#?", "TW", ""),
    ("#{4}#?", "", "TZ"),
    ("96898", "", "UM"),
    ("#{5}|#{5}[ -]#{4}", "US", ""),
    ("00120", "", "VA"),
    ("VC#{4}", "", "VC"),
    ("VG#{4}", "", "VG"),
    ("008[0-4]#|0085[01]|008[0-4]#[ -]#{4}|0085[01][ -]#{4}", "VI", ""),
    ("986##", "WF", ""),
    ("[1-7]#{4}", "", "XK"),
    ("976##", "YT", ""),
];

/// Countries and territories that have no postcodes.
const WITHOUT: &str = "AE AG AO AQ AW BF BI BJ BO BQ BS BV BW BZ CD CF CG CI CK CM CW DJ DM ER FJ GA GD GH GM GQ GY HK JM KI KM KN KP \
    LC LY ML MO MR MS MW NR NU PA PS QA RW SB SC SL SR SS ST SX SY TD TF TG TK TL TO TT TV UG VU WS YE ZW";

/// The letters that a British postcode begins with.
const BRITISH_AREAS: &str = "AB AL B BA BB BD BF BH BL BN BR BS BT BX CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN \
    EX FK FY G GL GY GU HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE \
    NG NN NP NR NW OL OX PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR \
    TS TW UB W WA WC WD WF WN WR WS WV YO ZE";

/// What is wrong with a postcode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// There is none, and mail does not arrive without.
    #[error("there is no postcode, and one is needed in {country}")]
    Missing {
        /// Where.
        country: &'static str,
    },
    /// It does not look like one of this country.
    #[error("postcodes of {country} look like {shape} (# a digit, @ a letter, * either, ? after what may be missing)")]
    Shape {
        /// Where.
        country: &'static str,
        /// How they look there.
        shape: &'static str,
    },
}

/// Checks a postcode by the rule of its country (two letters of ISO 3166). A country that we know no rule of
/// lets everything pass.
///
/// # Errors
/// [`Wrong`].
pub fn check(country: &str, postcode: &str) -> Result<(), Wrong> {
    let Some(rule) = rule(country) else { return Ok(()) };
    let Rule { country, shape, required } = rule;
    let postcode = postcode.trim_matches(is_blank).to_uppercase();
    if postcode.is_empty() {
        return if required { Err(Wrong::Missing { country }) } else { Ok(()) };
    }
    // One blank is as good as another.
    let postcode: String = postcode.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    let good = fits(shape, &postcode) && (country != "GB" || is_british(&postcode));
    if good { Ok(()) } else { Err(Wrong::Shape { country, shape }) }
}

/// Whether this is a country or territory that has mail of its own.
pub(crate) fn is_country(code: &str) -> bool {
    named(WITHOUT, code).is_some() || rule(code).is_some()
}

struct Rule {
    country: &'static str,
    shape: &'static str,
    required: bool,
}

fn rule(country: &str) -> Option<Rule> {
    SHAPES.iter().find_map(|(shape, must, may)| {
        let found = |list, required| named(list, country).map(|country| Rule { country, shape, required });
        found(must, true).or_else(|| found(may, false))
    })
}

fn named(list: &'static str, country: &str) -> Option<&'static str> {
    list.split(' ').find(|code| !code.is_empty() && code.eq_ignore_ascii_case(country))
}

/// Whether it begins like one of Britain: the shape alone would take any one or two letters.
fn is_british(postcode: &str) -> bool {
    let area = postcode.split(|c: char| c.is_ascii_digit() || c == ' ').next().unwrap_or_default();
    ["GIR", "BFPO"].contains(&area) || BRITISH_AREAS.split(' ').any(|known| known == area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postcodes_of_many_countries() {
        for (country, good, bad) in [
            ("AR", &["C1070AAM", "1070"][..], &["I1000", "C1070AA"][..]),
            ("BR", &["40301-110", "70002900"], &["4030-1110"]),
            ("CA", &["H3Z 2Y7", "v8x3x4"], &["D3Z 2Y7", "H3Z-2Y7", "H3Z 2Y"]),
            ("CH", &["2544"], &["25441", "CH-2544"]),
            ("CZ", &["100 00", "25166"], &["10 000"]),
            ("DE", &["26133", " 53225 "], &["2613", "D-26133", "00-00-00-00"]),
            (
                "GB",
                &["EC1Y 8SY", "ec1y8sy", "GIR 0AA", "M2 5BQ", "M34\u{a0}4AB", "BFPO 105", "SW1A 1AA"],
                &["XX1 1AA", "M2 5CQ", "EC1Y", "BFPO", "GIR 1AA", "BFPO 12345"],
            ),
            ("IE", &["A65 F4E2", "", "  "], &["A65"]),
            ("JP", &["154-0023", "1540023"], &["154 0023", "１５４００２３"]),
            ("LV", &["LV-1073", "1073"], &["LV1073"]),
            ("NL", &["1234 AB", "2490aa"], &["0234 AB", "1234 SA", "1234 SS"]),
            ("PE", &["LIMA 23", "CALLAO 01", "15001"], &["LIMA", "31500"]),
            ("PL", &["00-950"], &["00950"]),
            ("PT", &["2725-079"], &["2725"]),
            ("SE", &["11455", "114 55"], &["1145", "SE-114 55", ""]),
            ("SG", &["546080"], &["54608"]),
            ("US", &["95014", "22162-1010", "22162 1010"], &["9501", "221621010"]),
            ("AE", &["", "anything"], &[]),
            ("??", &["anything"], &[]),
        ] {
            for postcode in good {
                assert_eq!(check(country, postcode), Ok(()), "{country} {postcode:?}");
            }
            for postcode in bad {
                assert!(check(country, postcode).is_err(), "{country} {postcode:?}");
            }
        }
        assert_eq!(check("se", ""), Err(Wrong::Missing { country: "SE" }));
        assert!(is_country("HK") && is_country("SE") && !is_country("XX") && !is_country(""));
    }

    #[test]
    fn each_country_has_one_rule() {
        let mut codes: Vec<&str> =
            SHAPES.iter().flat_map(|(_, must, may)| must.split(' ').chain(may.split(' '))).chain(WITHOUT.split(' ')).collect();
        codes.retain(|code| !code.is_empty());
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        assert!(codes.iter().all(|code| code.len() == 2));
    }
}
