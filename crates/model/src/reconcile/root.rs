//! What differences have in common that are one exception.

use std::fmt;

use crate::records::Kind;

/// The root cause of differences, as text `reconcile:PAIR:KIND:RULE:WHY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Between which ends.
    pub pair: String,
    /// Of which kind the documents are.
    pub kind: Kind,
    /// On what they disagree: `reconcile.price`.
    pub rule: String,
    /// How it probably came about, by its word.
    pub why: String,
}

impl Root {
    /// What the root causes of a pair begin with.
    pub fn of_pair(pair: &str) -> String {
        format!("reconcile:{pair}:")
    }

    /// The root cause that an exception names, if it is one of differences.
    pub fn parse(cause: &str) -> Option<Self> {
        let mut words = cause.strip_prefix("reconcile:")?.rsplitn(4, ':');
        let (why, rule, kind, pair) = (words.next()?, words.next()?, words.next()?, words.next()?);
        rule.strip_prefix("reconcile.")?;
        Some(Self { pair: pair.to_owned(), kind: Kind::from_word(kind)?, rule: rule.to_owned(), why: why.to_owned() })
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}:{}", Self::of_pair(&self.pair), self.kind.word(), self.rule, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_cause_reads_as_it_was_written() {
        for pair in ["shop-erp", "a:b"] {
            let root = Root { pair: pair.into(), kind: Kind::CreditNote, rule: "reconcile.price".into(), why: "edited".into() };
            assert_eq!(Root::parse(&root.to_string()), Some(root));
        }
        for other in [
            "",
            "mapping.item:sku=1",
            "reconcile:shop-erp",
            "reconcile:p:nothing:reconcile.price:edited",
            "reconcile:p:order:price:x",
        ] {
            assert_eq!(Root::parse(other), None, "{other}");
        }
    }
}
