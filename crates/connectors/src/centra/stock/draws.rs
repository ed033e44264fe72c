//! From which warehouses each market's orders are allocated.

use std::collections::BTreeMap;

use selvedge_connector::{Fault, Priority};
use selvedge_model::LocationId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{graphql::Api, operations, wire::id_text};

/// Warehouses that are looked at; nobody has more that take part in allocation.
const WAREHOUSES_MAX: usize = 200;

/// So many rows has a list within a list when nothing else is asked for (Centra's API guide on pagination).
const LIST_MAX: usize = 20;

#[derive(Debug, Deserialize)]
struct Rules {
    markets: Vec<Value>,
    warehouses: Vec<Value>,
}

/// By market id, its warehouses in the order in which they are listed. A market without a rule, or whose warehouses may
/// not all be shown, is left out: it may draw from any. So are all of them where the token may not see the rules, which is on the safe side.
pub(super) async fn draws(api: &Api) -> Result<BTreeMap<String, Vec<LocationId>>, Fault> {
    let what = "read where markets draw from";
    let asked = api.ask(&operations::DRAWS, json!({ "limit": WAREHOUSES_MAX }), what, Priority::Sweeps).await;
    match asked.and_then(|reply| reply.read::<Rules>().map(|rules| sorted(&rules))) {
        Ok(draws) => Ok(draws),
        Err(fault @ (Fault::Unauthorized { .. } | Fault::Unexpected { .. } | Fault::Refused { .. })) => {
            tracing::warn!(what, detail = %fault, "every market is taken to draw from every warehouse");
            Ok(BTreeMap::new())
        }
        Err(fault) => Err(fault),
    }
}

fn sorted(rules: &Rules) -> BTreeMap<String, Vec<LocationId>> {
    let mut draws = BTreeMap::new();
    for market in &rules.markets {
        let (Some(id), Some(rule)) = (id_text(&market["id"]), id_text(&market["allocationRule"]["id"])) else { continue };
        let uses = |row: &&Value| {
            row["allocationRules"].as_array().into_iter().flatten().any(|r| id_text(&r["id"]).as_ref() == Some(&rule))
        };
        let places: Vec<LocationId> =
            rules.warehouses.iter().filter(uses).filter_map(|row| id_text(&row["id"])).map(LocationId::new).collect();
        // A list within a list may be cut at twenty: then nobody knows, as where no warehouse is shown for a rule.
        let cut = |row: &Value| row["allocationRules"].as_array().is_some_and(|rules| rules.len() >= LIST_MAX);
        if !places.is_empty() && rules.warehouses.len() < WAREHOUSES_MAX && !rules.warehouses.iter().any(cut) {
            draws.insert(id, places);
        }
    }
    draws
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_market_draws_from_the_warehouses_of_its_rule() {
        let rules: Rules = serde_json::from_value(json!({
            "markets": [{"id": 1, "allocationRule": {"id": 7}}, {"id": 2, "allocationRule": null}, {"id": 3, "allocationRule": {"id": 8}}],
            "warehouses": [{"id": 4, "allocationRules": [{"id": 7}, {"id": 8}]}, {"id": 5, "allocationRules": []}, {"id": 6, "allocationRules": [{"id": 8}]}],
        }))
        .unwrap();
        let draws = sorted(&rules);
        assert_eq!(draws["1"], [LocationId::new("4")]);
        assert_eq!(draws["3"], [LocationId::new("4"), LocationId::new("6")]);
        assert!(!draws.contains_key("2"), "it may draw from any");
    }

    #[test]
    fn what_may_be_cut_short_says_nothing() {
        let many: Vec<Value> = (0..20).map(|id| json!({ "id": id })).collect();
        let rules = |warehouses: Value| Rules {
            markets: vec![json!({"id": 1, "allocationRule": {"id": 7}})],
            warehouses: warehouses.as_array().unwrap().clone(),
        };
        assert!(sorted(&rules(json!([{"id": 4, "allocationRules": many}]))).is_empty());
        assert!(sorted(&rules(json!([{"id": 4, "allocationRules": many[..7]}]))).is_empty(), "no warehouse is shown for rule 7");
        assert_eq!(sorted(&rules(json!([{"id": 4, "allocationRules": many[..8]}])))["1"], [LocationId::new("4")]);
    }
}
