//! Who owns an exception: the first of the brand's rules that fits, else the team of the rule that found it.

use serde::{Deserialize, Serialize};

use crate::{
    id::{ConnectionName, FlowName},
    records::{Kind, Named},
    team::Team,
};

/// A team, and somebody in it where somebody was named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The team.
    pub team: Team,
    /// The person; none while it is the whole team's.
    pub person: Option<String>,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.person {
            Some(person) => write!(f, "{person} ({})", self.team.name()),
            None => f.write_str(self.team.name()),
        }
    }
}

/// What an exception is about.
#[derive(Clone, Debug, Default)]
pub struct About<'a> {
    /// The rule that found it.
    pub rule: &'a str,
    /// Its flow; empty for one about a connection.
    pub flow: &'a str,
    /// The connections that its flow joins, or the one that it is about.
    pub connections: &'a [ConnectionName],
    /// The markets of the orders that it holds.
    pub markets: &'a [Named],
    /// Of which kind the records are that two ends say otherwise of; none where that is not what it is about.
    pub differs: Option<Kind>,
}

/// One routing rule. A condition that is left out always fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerRule {
    /// A connection at either end.
    pub connection: Option<ConnectionName>,
    /// A flow.
    pub flow: Option<FlowName>,
    /// Id or name of a market: every order that is held must be of it.
    pub market: Option<String>,
    /// How the rule that found it begins: `mapping`, `shipment.over`.
    pub rule: Option<String>,
    /// The team that owns it; the rule's own where only a person is named.
    pub team: Option<Team>,
    /// The person that owns it.
    pub person: Option<String>,
}

impl OwnerRule {
    fn fits(&self, about: &About<'_>) -> bool {
        let is_of =
            |wanted: &String| !about.markets.is_empty() && about.markets.iter().all(|m| m.id == *wanted || m.name == *wanted);
        self.connection.as_ref().is_none_or(|wanted| about.connections.contains(wanted))
            && self.flow.as_ref().is_none_or(|wanted| wanted.as_str() == about.flow)
            && self.market.as_ref().is_none_or(is_of)
            && self.rule.as_ref().is_none_or(|prefix| about.rule.starts_with(prefix.as_str()))
    }
}

/// Who owns what this is about.
pub fn owner(rules: &[OwnerRule], about: &About<'_>) -> Owner {
    let team = about.differs.map_or_else(|| Team::of(about.rule), |kind| Team::of_difference(about.rule, kind));
    match rules.iter().find(|rule| rule.fits(about)) {
        Some(rule) => Owner { team: rule.team.unwrap_or(team), person: rule.person.clone() },
        None => Owner { team, person: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_counts_and_without_one_the_team_of_the_rule() {
        let market = |id: &str, name: &str| Named { id: id.into(), name: name.into() };
        let rules = [
            OwnerRule {
                rule: Some("mapping.".into()),
                market: Some("Japan".into()),
                person: Some("Yuki".into()),
                ..OwnerRule::default()
            },
            OwnerRule {
                rule: Some("mapping.".into()),
                connection: Some("wms".into()),
                team: Some(Team::Operations),
                ..OwnerRule::default()
            },
            OwnerRule {
                flow: Some("returns".into()),
                team: Some(Team::Finance),
                person: Some("Åsa".into()),
                ..OwnerRule::default()
            },
        ];
        let connections = ["shop".into(), "wms".into()];
        let asked = |rule, flow, connections, markets| {
            owner(&rules, &About { rule, flow, connections, markets, differs: None }).to_string()
        };
        let japan = [market("5", "Japan"), market("5", "Japan")];
        assert_eq!(asked("mapping.item", "orders", &connections[..], &japan[..]), "Yuki (Engineering)");
        let both = [market("5", "Japan"), market("2", "Sweden")];
        assert_eq!(asked("mapping.item", "orders", &connections[..], &both[..]), "Operations");
        assert_eq!(asked("mapping.item", "orders", &[], &[]), "Engineering", "nobody knows the market of nothing");
        assert_eq!(asked("return.over", "returns", &[], &[]), "Åsa (Finance)");
        assert_eq!(asked("credit.unlinked", "credits", &[], &[]), "Finance");
    }

    #[test]
    fn what_two_ends_say_otherwise_of_money_and_of_stock_is_one_teams_whatever_the_rule() {
        let of = |rule, differs| owner(&[], &About { rule, differs, ..About::default() }).team;
        for rule in ["reconcile.missing", "reconcile.party", "reconcile.price"] {
            assert_eq!(of(rule, Some(Kind::CreditNote)), Team::Finance, "{rule}");
            assert_eq!(of(rule, Some(Kind::Refund)), Team::Finance, "{rule}");
            assert_eq!(of(rule, Some(Kind::Stock)), Team::Operations, "{rule}");
            assert_eq!(of(rule, Some(Kind::Order)), Team::of(rule), "{rule}");
        }
    }
}
