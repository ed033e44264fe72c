//! Barcode numbers of GS1: item numbers (GTIN) and parcel numbers (SSCC), by their check digit.
//!
//! A barcode is text, digit for digit: leading zeros belong to it, and what is not a digit does not.

/// The check digit of GS1 for the digits before it: weights 3 and 1 in turn from the right, and what is
/// missing to the next ten. `None` when something else than digits is there.
pub fn check_digit(digits: &str) -> Option<u8> {
    if digits.is_empty() {
        return None;
    }
    let mut sum = 0_u32;
    for (place, b) in digits.bytes().rev().enumerate() {
        if !b.is_ascii_digit() {
            return None;
        }
        sum += u32::from(b - b'0') * if place.is_multiple_of(2) { 3 } else { 1 };
    }
    u8::try_from((10 - sum % 10) % 10).ok()
}

/// Whether the last digit is the right one for those before it.
pub fn has_check_digit(number: &str) -> bool {
    let Some((digits, last)) = number.len().checked_sub(1).and_then(|at| number.split_at_checked(at)) else { return false };
    check_digit(digits).is_some_and(|digit| last.as_bytes() == [b'0' + digit])
}

/// Whether this is an item number: GTIN-8, -12 (UPC-A), -13 (EAN) or -14, with a right check digit.
pub fn is_gtin(number: &str) -> bool {
    matches!(number.len(), 8 | 12 | 13 | 14) && has_check_digit(number)
}

/// Whether this is the number of a parcel or pallet, SSCC-18, with a right check digit.
pub fn is_sscc(number: &str) -> bool {
    number.len() == 18 && has_check_digit(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_numbers() {
        for good in ["40063812", "735135735137", "4006381333931", "5012345678900", "10614141000415"] {
            assert!(is_gtin(good), "{good}");
        }
        for bad in ["4006381333932", "400638133393A", "006381333931", "", "0", "4006381333931 ", "٤٠٠٦", "106141411234567897"]
        {
            assert!(!is_gtin(bad), "{bad}");
        }
    }

    #[test]
    fn parcel_numbers() {
        assert!(is_sscc("106141411234567897") && is_sscc("373500123456789012"));
        assert!(!is_sscc("373500123456789013") && !is_sscc("4006381333931"));
    }
}
