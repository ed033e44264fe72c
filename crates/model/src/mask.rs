//! The shapes of short codes, as a text that a person can read: `#{3}-?#{4}`.
//!
//! `#` is a digit, `@` a letter from A to Z, `*` either; `[A-CX]` is one of these; `?` says that the
//! element before it may be missing and `{4}` how often it stands; `|` parts alternatives. Everything
//! else stands for itself. What a table of postcodes and tracking numbers needs is no more than that,
//! and a malformed table is a shape that nothing fits.

/// Whether the whole text has this shape. Letters are upper case.
pub(crate) fn fits(mask: &str, text: &str) -> bool {
    mask.split('|').any(|mask| rest_fits(mask.as_bytes(), text.as_bytes()))
}

fn rest_fits(mask: &[u8], text: &[u8]) -> bool {
    let Some((element, rest)) = element(mask) else { return mask.is_empty() && text.is_empty() };
    let (least, most, rest) = times(rest);
    let there = text.iter().take(most).take_while(|b| is_one_of(element, **b)).count();
    // The longest first; an optional element is given back when the rest needs it.
    there >= least && (least..=there).rev().any(|taken| text.get(taken..).is_some_and(|text| rest_fits(rest, text)))
}

/// The first element of a mask and what follows it.
fn element(mask: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match mask.first()? {
        b'[' => mask.iter().position(|b| *b == b']')? + 1,
        _ => 1,
    };
    mask.split_at_checked(end)
}

/// How often at least and at most the element stands, and what follows.
fn times(rest: &[u8]) -> (usize, usize, &[u8]) {
    match rest.split_first() {
        Some((b'?', rest)) => (0, 1, rest),
        Some((b'{', after)) => {
            let end = after.iter().position(|b| *b == b'}').unwrap_or(after.len());
            let (inside, rest) = after.split_at(end);
            let mut counts = inside
                .split(|b| *b == b',')
                .map(|digits| digits.iter().filter(|b| b.is_ascii_digit()).fold(0, |sum, b| sum * 10 + usize::from(b - b'0')));
            let least = counts.next().unwrap_or(1);
            (least, counts.next().unwrap_or(least), rest.get(1..).unwrap_or_default())
        }
        _ => (1, 1, rest),
    }
}

fn is_one_of(element: &[u8], b: u8) -> bool {
    match element {
        b"#" => b.is_ascii_digit(),
        b"@" => b.is_ascii_uppercase(),
        b"*" => b.is_ascii_digit() || b.is_ascii_uppercase(),
        [b'[', class @ .., b']'] => in_class(class, b),
        other => other == [b],
    }
}

fn in_class(class: &[u8], b: u8) -> bool {
    match class {
        [from, b'-', to, rest @ ..] => (*from..=*to).contains(&b) || in_class(rest, b),
        [one, rest @ ..] => *one == b || in_class(rest, b),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        for (mask, good, bad) in [
            ("#{5}", &["01234"][..], &["1234", "123456", "1234a", ""][..]),
            ("#{3}-?#{4}", &["123-4567", "1234567"], &["123--4567", "12-34567"]),
            ("##|###-#", &["12", "123-4"], &["123", "12-4"]),
            ("@@?#*? ?#", &["M25", "M2 5", "EC1Y 8", "M345", "EC12"], &["M2  5", "EC", "ABC12"]),
            ("[A-CX-Z7]#?#?#", &["A1", "X123", "7777"], &["D1", "A", "A1234"]),
            ("TB[ACM]#{12}", &["TBA000000000000"], &["TBX000000000000", "tba000000000000"]),
            ("A#{1,3}", &["A1", "A123"], &["A", "A1234"]),
            ("[12", &[], &["1", "[12", ""]),
        ] {
            for text in good {
                assert!(fits(mask, text), "{text} is {mask}");
            }
            for text in bad {
                assert!(!fits(mask, text), "{text} is not {mask}");
            }
        }
    }
}
