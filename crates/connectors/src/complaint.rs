//! What a system complains of, apart from whom.

/// The words of a complaint as a cause: the same complaint about two documents has one. A word with a digit in it is an
/// id, a SKU, a figure or a date.
pub(crate) fn cause_of(said: &str) -> String {
    let words = said.split_whitespace().map(|word| if word.chars().any(|c| c.is_ascii_digit()) { "#" } else { word });
    words.collect::<Vec<_>>().join(" ").to_lowercase().chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_complaint_about_two_documents_has_one_cause() {
        assert_eq!(cause_of("Size 1042 of\n SKU-7 is unknown"), "size # of # is unknown");
        assert_eq!(cause_of("Size 9 of AB1 is UNKNOWN"), cause_of("Size 1042 of SKU-7 is unknown"));
        assert_ne!(cause_of("Size 9 is closed"), cause_of("Size 9 is unknown"));
        assert_eq!(cause_of(&"ä ".repeat(500)).chars().count(), 160);
    }
}
