//! What an order was handed over with, against what it says now. Pure.
//!
//! A warehouse keeps texts in its own way, so they are compared without regard to case and blanks; and only what it tells
//! at all is compared.

use selvedge_model::{Problem, RecordKey};

/// A text of an order: what it is called, what it is now, and what the warehouse has.
pub(crate) struct Text {
    name: &'static str,
    now: String,
    there: Option<String>,
}

impl Text {
    /// `there` is none where the warehouse does not tell it.
    pub fn new(name: &'static str, now: impl Into<String>, there: Option<impl Into<String>>) -> Self {
        Self { name, now: now.into(), there: there.map(Into::into) }
    }

    fn differs(&self) -> bool {
        let plain = |text: &str| text.split_whitespace().collect::<String>().to_lowercase();
        self.there.as_ref().is_some_and(|there| plain(there) != plain(&self.now))
    }
}

/// Nobody may pick an order by an address or a service that it no longer has: what of it has changed, with both values.
pub(crate) fn changed(order: &RecordKey, warehouse: &str, texts: &[Text], remedy: &str) -> Result<(), Vec<Problem>> {
    let differing: Vec<&Text> = texts.iter().filter(|text| text.differs()).collect();
    let Some(first) = differing.first() else { return Ok(()) };
    let told: Vec<String> = differing
        .iter()
        .map(|text| {
            let there = text.there.as_deref().unwrap_or_default().trim();
            format!("{} is now {:?}, and {warehouse} has {there:?}", text.name, text.now.trim())
        })
        .collect();
    let path = if first.name == SERVICE { "shipping_method" } else { "shipping" };
    let message = format!("order {order} changed after it was handed over: {}", told.join("; "));
    Err(vec![Problem::new("pick.changed", path, message, remedy).cause(order.as_str())])
}

/// What the shipping service is called among the texts.
pub(crate) const SERVICE: &str = "shipping service";

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(now: &str, there: Option<&str>) -> bool {
        changed(&RecordKey::new("1"), "it", &[Text::new("city", now, there)], "Mend it.").is_err()
    }

    #[test]
    fn blanks_and_case_are_no_change_and_what_is_not_told_is_not_compared() {
        assert!(!differs("SW1A 1AA ", Some("sw1a1aa")) && !differs("Gatan  1", Some(" gatan 1")) && !differs("", Some("")));
        assert!(!differs("Malmö", None));
        assert!(differs("Malmö", Some("Lund")) && differs("Malmö", Some("")) && differs("", Some("Lund")));
    }

    #[test]
    fn everything_that_changed_is_named_with_both_values() {
        let texts = [
            Text::new("city", "Malmö", Some("Lund")),
            Text::new("country", "SE", Some("SE")),
            Text::new(SERVICE, "7", Some("8")),
        ];
        let problem = changed(&RecordKey::new("1042"), "Veeqo", &texts, "Mend it.").unwrap_err().remove(0);
        assert_eq!((problem.rule.as_str(), problem.path.as_str()), ("pick.changed", "shipping"));
        for part in ["order 1042", "city is now \"Malmö\", and Veeqo has \"Lund\"", "shipping service is now \"7\""] {
            assert!(problem.message.contains(part), "{}", problem.message);
        }
        assert!(!problem.message.contains("country"));
    }
}
