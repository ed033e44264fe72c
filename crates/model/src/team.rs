//! Which team owns a problem, by the rule that found it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A team that problems are given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Team {
    /// Goods: what is to leave, what left, what comes back, what there is, what is sold.
    Operations,
    /// Money: amounts, credits, refunds, payments, periods.
    Finance,
    /// The shopper: who they are and where they live.
    CustomerExperience,
    /// The systems: access, documents that do not read, mappings, settings, flows.
    Engineering,
}

impl Team {
    /// All of them.
    pub const ALL: [Team; 4] = [Team::Operations, Team::Finance, Team::CustomerExperience, Team::Engineering];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Team::Operations => "operations",
            Team::Finance => "finance",
            Team::CustomerExperience => "customer_experience",
            Team::Engineering => "engineering",
        }
    }

    /// What people read.
    pub const fn name(self) -> &'static str {
        match self {
            Team::Operations => "Operations",
            Team::Finance => "Finance",
            Team::CustomerExperience => "Customer experience",
            Team::Engineering => "Engineering",
        }
    }

    /// The team with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|team| team.word() == word)
    }

    /// The team that owns what a rule finds. What nobody has decided on is engineering's: whoever adds a rule decides.
    ///
    /// ```
    /// use selvedge_model::team::Team;
    /// assert_eq!(Team::of("shipment.overdue"), Team::Operations);
    /// assert_eq!(Team::of("credit.unlinked"), Team::Finance);
    /// assert_eq!(Team::of("a.rule_of_tomorrow"), Team::Engineering);
    /// ```
    pub fn of(rule: &str) -> Team {
        Self::decided(rule).unwrap_or(Team::Engineering)
    }

    /// The team that was decided on for a rule: by its whole name where that says more than its area.
    pub fn decided(rule: &str) -> Option<Team> {
        let area = rule.split_once('.').map_or(rule, |(area, _)| area);
        Some(match (area, rule) {
            (_, "lines.price" | "lines.tax" | "order.amounts" | "bundle.amounts" | "return.no_credit") => Team::Finance,
            // The money is booked; it is the goods that somebody has to look for.
            (_, "credit.no_goods") => Team::Operations,
            (_, "target.customer_name") => Team::CustomerExperience,
            // By what two ends disagree on; of whose documents credits, refunds and stock are is told where it is found.
            (
                _,
                "reconcile.price"
                | "reconcile.discount"
                | "reconcile.tax_rate"
                | "reconcile.tax_rounding"
                | "reconcile.currency"
                | "reconcile.timing",
            ) => Team::Finance,
            (
                _,
                "reconcile.missing"
                | "reconcile.orphan"
                | "reconcile.duplicate"
                | "reconcile.sku"
                | "reconcile.quantity"
                | "reconcile.shipping"
                | "reconcile.status",
            ) => Team::Operations,
            (_, "reconcile.party") => Team::CustomerExperience,
            (_, "stock.unreadable" | "stock.refused" | "product.setting" | "product.group" | "product.type") => Team::Engineering,
            (
                "shipment" | "return" | "stock" | "pick" | "route" | "product" | "bundle" | "lines" | "order" | "status"
                | "goods" | "item",
                _,
            ) => Team::Operations,
            ("credit" | "refund" | "period" | "books" | "totals" | "currency" | "payment" | "tax" | "halves", _) => Team::Finance,
            ("address" | "customer", _) => Team::CustomerExperience,
            (
                "alert" | "auth" | "decode" | "mapping" | "preflight" | "flow" | "connection" | "source" | "target" | "confirm"
                | "needed" | "webhook" | "file" | "exchange" | "statement" | "reconcile",
                _,
            ) => Team::Engineering,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Team {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_with_a_page_has_a_team_that_was_decided_on() {
        let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exceptions");
        let mut seen = 0;
        for entry in std::fs::read_dir(pages).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let Some(rule) = name.strip_suffix(".md") else { continue };
            assert!(Team::decided(rule).is_some(), "nobody owns {rule}: add its area to Team::decided");
            seen += 1;
        }
        assert!(seen > 20, "the pages are not where they were");
    }

    #[test]
    fn a_rule_may_belong_to_another_team_than_its_area() {
        for (rule, team) in [
            ("lines.sku", Team::Operations),
            ("lines.tax", Team::Finance),
            ("order.internal", Team::Operations),
            ("order.amounts", Team::Finance),
            ("stock.guard", Team::Operations),
            ("stock.refused", Team::Engineering),
            ("target.refused", Team::Engineering),
            ("target.customer_name", Team::CustomerExperience),
            ("return.over", Team::Operations),
            ("return.no_credit", Team::Finance),
            ("credit.no_goods", Team::Operations),
            ("refund.over", Team::Finance),
            ("period.locked", Team::Finance),
            ("address.postcode", Team::CustomerExperience),
            ("mapping.shipping_item", Team::Engineering),
            ("connection.credentials", Team::Engineering),
            ("statement.unread", Team::Engineering),
            ("reconcile.tax_rounding", Team::Finance),
            ("reconcile.missing", Team::Operations),
            ("reconcile.party", Team::CustomerExperience),
            ("reconcile.mapping", Team::Engineering),
        ] {
            assert_eq!(Team::decided(rule), Some(team), "{rule}");
        }
        assert_eq!(Team::decided("nobody.knows"), None);
        for team in Team::ALL {
            assert_eq!(Team::from_word(team.word()), Some(team));
        }
    }
}
