//! Which team owns a problem, by the rule that found it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::records::Kind;

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
        let of = |table: &[(&str, Team)], word: &str| table.iter().find(|(name, _)| *name == word).map(|(_, team)| *team);
        of(&RULES, rule).or_else(|| of(&AREAS, area))
    }

    /// The team that owns what two ends say otherwise of records of a kind: where the kind says more than the rule does, by the kind.
    pub fn of_difference(rule: &str, kind: Kind) -> Team {
        BY_KIND.into_iter().find(|(known, _)| *known == kind).map_or_else(|| Team::of(rule), |(_, team)| team)
    }

    /// The kinds of record whose differences one team has, whatever the rule.
    pub fn by_kind() -> impl Iterator<Item = (Kind, Team)> {
        BY_KIND.into_iter()
    }

    /// Every area that was decided on, and the team that owns whatever rule of it is not [`Team::apart`].
    pub fn areas() -> impl Iterator<Item = (&'static str, Team)> {
        AREAS.into_iter()
    }

    /// The rules of an area that another team than the area's own has.
    pub fn apart(area: &str) -> impl Iterator<Item = (&'static str, Team)> {
        let own = Self::decided(area);
        RULES.into_iter().filter(move |(rule, team)| rule.split_once('.').is_some_and(|(of, _)| of == area) && Some(*team) != own)
    }
}

/// Kinds of which both ends are compared, and that are one team's whatever they disagree on: money given back, and figures of stock.
const BY_KIND: [(Kind, Team); 3] =
    [(Kind::CreditNote, Team::Finance), (Kind::Refund, Team::Finance), (Kind::Stock, Team::Operations)];

/// Rules whose name says more than their area does.
const RULES: [(&str, Team); 27] = [
    ("lines.price", Team::Finance),
    ("lines.tax", Team::Finance),
    ("order.amounts", Team::Finance),
    ("bundle.amounts", Team::Finance),
    ("return.no_credit", Team::Finance),
    // The money is booked; it is the goods that somebody has to look for.
    ("credit.no_goods", Team::Operations),
    ("target.customer_name", Team::CustomerExperience),
    // Whether an item is sold is a matter of the range, not of the connection.
    ("target.inactive_item", Team::Operations),
    // By what two ends disagree on; of whose documents credits, refunds and stock are is told where it is found.
    ("reconcile.price", Team::Finance),
    ("reconcile.discount", Team::Finance),
    ("reconcile.tax_rate", Team::Finance),
    ("reconcile.tax_rounding", Team::Finance),
    ("reconcile.currency", Team::Finance),
    ("reconcile.timing", Team::Finance),
    ("reconcile.missing", Team::Operations),
    ("reconcile.orphan", Team::Operations),
    ("reconcile.duplicate", Team::Operations),
    ("reconcile.sku", Team::Operations),
    ("reconcile.quantity", Team::Operations),
    ("reconcile.shipping", Team::Operations),
    ("reconcile.status", Team::Operations),
    ("reconcile.party", Team::CustomerExperience),
    ("stock.unreadable", Team::Engineering),
    ("stock.refused", Team::Engineering),
    ("product.setting", Team::Engineering),
    ("product.group", Team::Engineering),
    ("product.type", Team::Engineering),
];

/// Areas, by what stands before the point in the name of a rule.
const AREAS: [(&str, Team); 39] = [
    ("shipment", Team::Operations),
    ("return", Team::Operations),
    ("stock", Team::Operations),
    ("pick", Team::Operations),
    ("route", Team::Operations),
    ("product", Team::Operations),
    ("bundle", Team::Operations),
    ("lines", Team::Operations),
    ("order", Team::Operations),
    ("status", Team::Operations),
    ("goods", Team::Operations),
    ("item", Team::Operations),
    ("credit", Team::Finance),
    ("refund", Team::Finance),
    ("period", Team::Finance),
    ("books", Team::Finance),
    ("totals", Team::Finance),
    ("currency", Team::Finance),
    ("payment", Team::Finance),
    ("tax", Team::Finance),
    ("halves", Team::Finance),
    ("address", Team::CustomerExperience),
    ("customer", Team::CustomerExperience),
    ("alert", Team::Engineering),
    ("auth", Team::Engineering),
    ("decode", Team::Engineering),
    ("mapping", Team::Engineering),
    ("preflight", Team::Engineering),
    ("flow", Team::Engineering),
    ("connection", Team::Engineering),
    ("source", Team::Engineering),
    ("target", Team::Engineering),
    ("confirm", Team::Engineering),
    ("needed", Team::Engineering),
    ("webhook", Team::Engineering),
    ("file", Team::Engineering),
    ("exchange", Team::Engineering),
    ("statement", Team::Engineering),
    ("reconcile", Team::Engineering),
];

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
    fn an_area_names_the_rules_that_another_team_has() {
        let apart = |area| Team::apart(area).map(|(rule, team)| format!("{rule} {team}")).collect::<Vec<_>>();
        assert_eq!(apart("lines"), ["lines.price finance", "lines.tax finance"]);
        assert_eq!(apart("reconcile").len(), 14);
        assert_eq!(apart("address"), Vec::<String>::new());
        for (area, team) in Team::areas() {
            assert_eq!(Team::of(&format!("{area}.anything")), team);
            assert!(Team::apart(area).all(|(rule, other)| Team::of(rule) == other && other != team));
        }
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
