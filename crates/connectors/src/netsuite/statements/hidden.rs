//! What an account or a role does not show. Pure.
//!
//! It is found out on the first page of a statement and carried in its cursor: one statement tells the same of all its documents, in
//! whatever process it is gone on with, and the next one asks anew, so that a permission that is granted counts at once.

use selvedge_connector::Cursor;

/// What a statement goes without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hidden {
    /// The address to which a document is mailed: a column that the vendor does not name (inferred).
    pub mail: bool,
    /// The shipping method of a document whose shipping costs nothing, and so leaves no line: a column that public programs read
    /// and the vendor's papers name for records only (inferred).
    pub method: bool,
    /// Buyers and addresses.
    pub people: bool,
    /// The tax of lines; `None` until it was asked for.
    pub taxes: Option<bool>,
}

impl Hidden {
    /// Goes without one thing more: what the refusal names, else what is least sure to be there. What it is; `None` when nothing
    /// is left to go without.
    pub fn without(&mut self, refusal: &str) -> Option<&'static str> {
        let refusal = refusal.to_lowercase();
        let names = |words: &[&str]| words.iter().any(|word| refusal.contains(word));
        let (mail, method, people) = (!self.mail && !self.people, !self.method, !self.people);
        if people && names(&["'customer'", "transactionshippingaddress"]) {
            self.people = true;
            return Some("buyers and addresses");
        }
        if method && (names(&["shipmethod"]) || !mail) {
            self.method = true;
            return Some("methods of shipping that costs nothing");
        }
        if mail {
            self.mail = true;
            return Some("addresses that documents are mailed to");
        }
        self.people = true;
        people.then_some("buyers and addresses")
    }

    /// Where the statement goes on, and without what.
    pub fn cursor(self, after: &str) -> Cursor {
        let flags = [
            (self.mail, 'm'),
            (self.method, 's'),
            (self.people, 'p'),
            (self.taxes == Some(true), 't'),
            (self.taxes == Some(false), 'T'),
        ];
        let flags: String = flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag).collect();
        Cursor(if flags.is_empty() { after.to_owned() } else { format!("{after}.{flags}") })
    }
}

/// After which document a statement goes on, and without what.
pub(super) fn read(cursor: &Cursor) -> (&str, Hidden) {
    let (after, flags) = cursor.0.split_once('.').unwrap_or((&cursor.0, ""));
    let has = |flag: char| flags.contains(flag);
    let taxes = if has('t') { Some(true) } else { has('T').then_some(false) };
    (after, Hidden { mail: has('m'), method: has('s'), people: has('p'), taxes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_carries_what_the_statement_goes_without() {
        for bits in 0..8_u8 {
            for taxes in [None, Some(true), Some(false)] {
                let hidden = Hidden { mail: bits & 1 > 0, method: bits & 2 > 0, people: bits & 4 > 0, taxes };
                let cursor = hidden.cursor("1042");
                assert_eq!(read(&cursor), ("1042", hidden), "{cursor:?}");
            }
        }
    }

    #[test]
    fn what_a_refusal_names_is_left_out_and_else_the_least_sure() {
        let said = |refusals: &[&str]| {
            let mut hidden = Hidden::default();
            for refusal in refusals {
                hidden.without(refusal);
            }
            hidden
        };
        let (mail, method, people) = (true, true, true);
        assert_eq!(said(&["Field 'shipmethod' was not found"]), Hidden { method, ..Hidden::default() });
        assert_eq!(said(&["Field 'email' for record 'transaction'"]), Hidden { mail, ..Hidden::default() });
        assert_eq!(said(&["Record 'customer' was not found."]), Hidden { people, ..Hidden::default() });
        assert_eq!(said(&["no", "no"]), Hidden { mail, method, ..Hidden::default() });
        assert_eq!(said(&["no", "no", "no"]), Hidden { mail, method, people, ..Hidden::default() });
        let mut all = Hidden { mail, method, people, taxes: None };
        assert_eq!(all.without("no"), None, "it ends");
    }
}
