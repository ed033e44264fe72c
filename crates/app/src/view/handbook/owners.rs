//! Who owns which exception, and what to do about it: the brand's own rules first, then the team of each rule, as the desk decides.

use selvedge_model::{ConnectionName, FlowName, Kind, owners::OwnerRule, team::Team};
use serde::Serialize;

use crate::pages::runbook;

/// Whose exceptions are that fit. The first row that fits decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct OwnerRow {
    /// Whether the brand's own configuration says so (`[[desk.owners]]`).
    pub configured: bool,
    /// Which rules: whole names, or how they begin where it ends with a point. In a row that is configured always how they begin.
    /// Empty: whatever rule.
    pub rules: Vec<String>,
    /// Only with this connection at either end of the flow.
    pub connection: Option<ConnectionName>,
    /// Only of this flow.
    pub flow: Option<FlowName>,
    /// Only where every order that is held is of this market, by id or name.
    pub market: Option<String>,
    /// Only where two ends say otherwise of records of these kinds.
    pub differs: Vec<Kind>,
    /// The team; none where it is the rule's own, as a row further below says.
    pub team: Option<Team>,
    /// The person, where one is named.
    pub person: Option<String>,
    /// What such exceptions are about; empty where that is any.
    pub what: &'static str,
    /// The areas whose runbooks say what to do.
    pub runbooks: Vec<&'static str>,
}

impl OwnerRow {
    /// On what it depends, in words; empty where that is the rule alone.
    pub fn only(&self) -> String {
        let connection = self.connection.as_ref().map(|name| format!("connection {name}"));
        let flow = self.flow.as_ref().map(|name| format!("flow {name}"));
        let market = self.market.as_ref().map(|name| format!("market {name}"));
        let kinds: Vec<String> = self.differs.iter().map(|kind| format!("{}s", kind.word().replace('_', " "))).collect();
        let kinds = (!kinds.is_empty()).then(|| format!("of {}", kinds.join(" and ")));
        [connection, flow, market, kinds].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Who, in words.
    pub fn whose(&self) -> String {
        let team = self.team.map_or("the team of the rule", Team::name);
        match &self.person {
            Some(person) => format!("{person} ({team})"),
            None => team.to_owned(),
        }
    }
}

/// What to do about the exceptions of an area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Runbook {
    /// Its name: rules begin with it.
    pub area: &'static str,
    /// What has happened, in a few words.
    pub title: &'static str,
    /// What to do, as Markdown.
    pub steps: String,
}

/// All rows, in the order in which they decide.
pub fn owners(rules: &[OwnerRule]) -> Vec<OwnerRow> {
    let configured = rules.iter().map(|rule| OwnerRow {
        configured: true,
        rules: rule.rule.iter().cloned().collect(),
        connection: rule.connection.clone(),
        flow: rule.flow.clone(),
        market: rule.market.clone(),
        differs: Vec::new(),
        team: rule.team,
        person: rule.person.clone(),
        what: "",
        runbooks: rule.rule.as_deref().map(fitting).unwrap_or_default(),
    });
    let plain = |rules: Vec<String>, team: Team, area: &str| OwnerRow {
        configured: false,
        rules,
        connection: None,
        flow: None,
        market: None,
        differs: Vec::new(),
        team: Some(team),
        person: None,
        what: runbook::title(area).unwrap_or_default(),
        runbooks: runbook::areas().filter(|known| *known == area).collect(),
    };
    let mut rows: Vec<OwnerRow> = configured.collect();
    for team in Team::ALL {
        let differs: Vec<Kind> = Team::by_kind().filter(|(_, other)| *other == team).map(|(kind, _)| kind).collect();
        if !differs.is_empty() {
            rows.push(OwnerRow { differs, ..plain(vec!["reconcile.".to_owned()], team, "reconcile") });
        }
    }
    let mut areas: Vec<(&str, Team)> = Team::areas().collect();
    areas.sort_unstable_by_key(|(area, _)| *area);
    for (area, own) in areas {
        for team in Team::ALL {
            let apart: Vec<String> =
                Team::apart(area).filter(|(_, other)| *other == team).map(|(rule, _)| rule.to_owned()).collect();
            if !apart.is_empty() {
                rows.push(plain(apart, team, area));
            }
        }
        rows.push(plain(vec![format!("{area}.")], own, area));
    }
    // What nobody has decided on.
    rows.push(plain(Vec::new(), Team::of(""), ""));
    rows
}

/// The areas of which a rule may be that begins so.
fn fitting(prefix: &str) -> Vec<&'static str> {
    match prefix.split_once('.') {
        Some((area, _)) => runbook::areas().filter(|known| *known == area).collect(),
        None => runbook::areas().filter(|known| known.starts_with(prefix)).collect(),
    }
}

/// What to do, by area.
pub fn runbooks() -> Vec<Runbook> {
    let of =
        |area| Runbook { area, title: runbook::title(area).unwrap_or_default(), steps: runbook::steps(area).unwrap_or_default() };
    runbook::areas().map(of).collect()
}

#[cfg(test)]
mod tests {
    use selvedge_model::{
        owners::{About, Owner, owner},
        records::Named,
    };

    use super::*;

    /// Every rule that a runbook names, and one of each area that none does.
    fn rules() -> Vec<String> {
        let mut rules: Vec<String> = runbook::PAGES
            .iter()
            .flat_map(|(area, text)| {
                let words = text.split('`').skip(1).step_by(2).map(str::to_owned);
                words.filter(move |word| word.strip_prefix(area).is_some_and(|rest| rest.starts_with('.') && rest.len() > 1))
            })
            .filter(|rule| rule.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '.' | '_')))
            .collect();
        for (area, _) in Team::areas() {
            rules.extend(Team::apart(area).map(|(rule, _)| rule.to_owned()));
            rules.push(format!("{area}.a_rule_of_tomorrow"));
        }
        rules.push("nobody.knows".to_owned());
        rules.sort();
        rules.dedup();
        rules
    }

    /// Whom a reader of the table takes for the owner.
    fn read(rows: &[OwnerRow], about: &About<'_>) -> Owner {
        let named = |row: &&OwnerRow| {
            row.rules.is_empty()
                || row.rules.iter().any(|rule| {
                    if row.configured || rule.ends_with('.') { about.rule.starts_with(rule.as_str()) } else { about.rule == rule }
                })
        };
        let markets =
            |wanted: &String| !about.markets.is_empty() && about.markets.iter().all(|m| m.name == *wanted || m.id == *wanted);
        let fits = |row: &&OwnerRow| {
            named(row)
                && row.connection.as_ref().is_none_or(|wanted| about.connections.contains(wanted))
                && row.flow.as_ref().is_none_or(|wanted| wanted.as_str() == about.flow)
                && row.market.as_ref().is_none_or(markets)
                && (row.differs.is_empty() || about.differs.is_some_and(|kind| row.differs.contains(&kind)))
        };
        let first = rows.iter().find(fits).unwrap();
        let own = rows.iter().filter(|row| !row.configured).find(fits).unwrap().team;
        Owner { team: first.team.or(own).unwrap(), person: first.person.clone() }
    }

    #[test]
    fn the_owner_of_every_rule_is_told_as_the_desk_decides() {
        let configured = [
            OwnerRule {
                rule: Some("mapping.".into()),
                market: Some("Japan".into()),
                person: Some("Yuki".into()),
                ..OwnerRule::default()
            },
            OwnerRule { connection: Some("depot".into()), team: Some(Team::Operations), ..OwnerRule::default() },
            OwnerRule {
                rule: Some("target.in".into()),
                flow: Some("orders".into()),
                team: Some(Team::Finance),
                ..OwnerRule::default()
            },
            OwnerRule { rule: Some("reconcile".into()), person: Some("Bo".into()), ..OwnerRule::default() },
        ];
        let japan = [Named { id: "5".into(), name: "Japan".into() }];
        let (shop, depot) = ([ConnectionName::from("shop")], [ConnectionName::from("depot")]);
        let rules = rules();
        assert!(rules.len() > 150, "{rules:?}");
        for rule in &rules {
            for configured in [&configured[..], &[]] {
                let rows = owners(configured);
                for flow in ["orders", "returns"] {
                    for connections in [&shop[..], &depot[..]] {
                        for markets in [&japan[..], &[]] {
                            // Only what was reconciled differs.
                            let kinds = Kind::ALL.map(Some).into_iter().filter(|_| rule.starts_with("reconcile."));
                            for differs in kinds.chain([None]) {
                                let about = About { rule, flow, connections, markets, differs };
                                assert_eq!(read(&rows, &about), owner(configured, &about), "{about:?}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_runbook_says_what_to_do_and_every_owner_finds_his() {
        let runbooks = runbooks();
        assert!(runbooks.len() > 20);
        for runbook in &runbooks {
            assert!(!runbook.title.is_empty() && !runbook.title.starts_with('#'), "{}", runbook.area);
            assert!(runbook.steps.len() > 40, "{}: {:?}", runbook.area, runbook.steps);
            assert!(!runbook.steps.contains("]("), "a link into the documentation leads nowhere from here: {}", runbook.steps);
        }
        let rows = owners(&[OwnerRule { rule: Some("mapp".into()), person: Some("Yuki".into()), ..OwnerRule::default() }]);
        assert_eq!(
            (rows[0].runbooks.as_slice(), rows[0].whose().as_str()),
            (["mapping"].as_slice(), "Yuki (the team of the rule)")
        );
        for (area, _) in runbook::PAGES {
            assert!(rows.iter().any(|row| !row.configured && row.runbooks == [*area]), "nobody is told to own {area}");
        }
        let stock = runbooks.iter().find(|runbook| runbook.area == "stock").unwrap();
        assert!(stock.steps.contains("#### guard: a reading was kept back"), "{}", stock.steps);
    }
}
