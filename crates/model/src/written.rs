//! Identifiers as people, forms and spreadsheets write them: with blanks that nobody sees, letters of
//! another alphabet that look the same, and digits lost to scientific notation.
//!
//! Nothing here mends an identifier. It says that two are easily taken for one another, or that one was
//! damaged on the way; what follows is for a person to say.

/// Whether a character is a blank, including those that take no room: no-break and zero-width spaces, the
/// byte-order mark, soft hyphens and direction marks.
pub fn is_blank(c: char) -> bool {
    c.is_whitespace() || takes_no_room(c)
}

fn takes_no_room(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether a spreadsheet turned a long number into one like `9.40011E+21`: its last digits are lost, so it
/// identifies nothing any more. `1E5` is one, too: as a SKU it may be right, as a barcode or a tracking number
/// it never is.
pub fn is_scientific(text: &str) -> bool {
    let text = text.trim_matches(is_blank);
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let signed = exponent.strip_prefix(['+', '-']);
    let (whole, fraction) = match mantissa.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    // Without a sign and a decimal mark, only a single digit before the E reads as a number.
    let plain = signed.is_some() || fraction.is_some() || whole.len() == 1;
    plain && is_digits(whole) && fraction.is_none_or(is_digits) && is_digits(signed.unwrap_or(exponent))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// SKUs with the same key are easily taken for one another. The key folds case, blanks (outer ones go, runs
/// within become one, those that take no room vanish), dashes, wide forms of East Asian keyboards, and Greek
/// and Cyrillic letters that look like Latin ones. It does not fold `O` and `0`, nor `I`, `l` and `1`: both
/// stand side by side in well-kept lists.
pub fn lookalike_key(sku: &str) -> String {
    let mut key = String::with_capacity(sku.len());
    let mut blank = false;
    for c in sku.chars().filter(|c| !takes_no_room(*c)) {
        if c.is_whitespace() {
            blank = true;
            continue;
        }
        if blank && !key.is_empty() {
            key.push(' ');
        }
        blank = false;
        // Upper case first: it is where most of these letters look alike.
        key.extend(narrow(c).to_uppercase().map(latin));
    }
    key
}

/// The narrow form of a wide character.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// The Latin letter or the plain dash that this upper-case character looks like.
fn latin(c: char) -> char {
    match c {
        'Α' | 'А' => 'A',
        'Β' | 'В' => 'B',
        'С' | 'Ϲ' => 'C',
        'Ε' | 'Е' => 'E',
        'Η' | 'Н' => 'H',
        'Ι' | 'І' | 'Ӏ' => 'I',
        'Ј' => 'J',
        'Κ' | 'К' => 'K',
        'Μ' | 'М' => 'M',
        'Ν' => 'N',
        'Ο' | 'О' => 'O',
        'Ρ' | 'Р' => 'P',
        'Ѕ' => 'S',
        'Τ' | 'Т' => 'T',
        'Υ' | 'У' | 'Ү' => 'Y',
        'Χ' | 'Х' => 'X',
        'Ζ' => 'Z',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_has_the_same_key() {
        for (one, other) in [
            ("15056BL", "15056bl"),
            ("TEE-BLK M", " TEE-BLK\u{a0} M "),
            ("TEE-BLK", "TEE\u{200b}-BLK\u{feff}"),
            ("TEE-BLK", "TEE\u{2013}BLK"),
            ("CAPTEX", "САРТЕХ"),
            ("captex", "сартех"),
            ("BETA-ZNK", "ΒΕΤΑ-ΖΝΚ"),
            ("AB12", "ＡＢ１２"),
        ] {
            assert_ne!(one, other);
            assert_eq!(lookalike_key(one), lookalike_key(other), "{one} {other}");
        }
        for (one, other) in
            [("O1", "01"), ("l1", "11"), ("TEEBLK", "TEE BLK"), ("00123", "123"), ("TEE-S", "TEE-ß"), ("AÅ", "AA")]
        {
            assert_ne!(lookalike_key(one), lookalike_key(other), "{one} {other}");
        }
        assert_eq!(lookalike_key(" \u{200b} "), "");
    }

    #[test]
    fn what_a_spreadsheet_did() {
        for text in ["9.40011E+21", "9,40011E+21", " 4.00638E+12", "1E5", "1e+05", "40E+11", "9.4E21"] {
            assert!(is_scientific(text), "{text}");
        }
        for text in ["9400111206206406260787", "RB123456785GB", "1Z12345E1512345676", "12345E15", "E12", "1E", "1.E5", "", "12E"]
        {
            assert!(!is_scientific(text), "{text}");
        }
    }
}
