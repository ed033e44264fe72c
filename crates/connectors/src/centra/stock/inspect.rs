//! What `check` wants to know of the warehouses that a flow writes to.

use std::collections::{BTreeMap, BTreeSet};

use selvedge_connector::{Fault, Finding, FindingLevel, Priority};
use selvedge_model::LocationId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        graphql::Api,
        operations,
        probe::{fault_finding, finding, good},
        wire::id_text,
    },
    decode::Sizes,
};

/// Warehouses per page, and pages at most: nobody has two thousand warehouses.
const PAGE: usize = 200;
const PAGES_MAX: usize = 10;

/// The first version in which `setStock` with several sizes is sound (Centra's changelog; also in the v1.55 line).
const SOUND: [u32; 3] = [1, 59, 10];

/// `warehouses`.
#[derive(Debug, Deserialize)]
struct Warehouses {
    warehouses: Vec<Value>,
}

/// What is known of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Warehouse {
    name: String,
    status: String,
    master: String,
}

/// Every finding; a question that fails is one, too.
pub(super) async fn warehouses(api: &Api, places: &[LocationId]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut known = BTreeMap::new();
    let mut version = None;
    for page in 1..=PAGES_MAX {
        let variables = json!({ "limit": PAGE, "page": page });
        let asked = api.ask(&operations::WAREHOUSES, variables, "list the warehouses", Priority::Control).await;
        let rows = asked.and_then(|reply| {
            version = reply.extensions.app_version.clone();
            reply.read::<Warehouses>()
        });
        match rows {
            Ok(rows) => {
                let full = rows.warehouses.len() >= PAGE;
                known.extend(rows.warehouses.iter().filter_map(warehouse));
                if !full {
                    break;
                }
            }
            Err(fault) => {
                findings.push(fault_finding(&fault));
                return findings;
            }
        }
    }
    findings.extend(place_findings(places, &known));
    findings.extend(version.as_deref().and_then(version_finding));
    findings.extend(read_findings(api, places).await);
    findings
}

fn warehouse(row: &Value) -> Option<(String, Warehouse)> {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    Some((id_text(&row["id"])?, Warehouse { name: text("name"), status: text("status"), master: text("stockMaster") }))
}

fn place_findings(places: &[LocationId], known: &BTreeMap<String, Warehouse>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for place in places {
        if !seen.insert(place.as_str()) {
            findings.push(finding(
                FindingLevel::Bad,
                None,
                format!("warehouse {place} is named twice"),
                "Name each warehouse once: two figures of one size in one warehouse would overwrite each other.",
            ));
            continue;
        }
        let Some(warehouse) = known.get(place.as_str()) else {
            let there: Vec<String> = known.iter().take(20).map(|(id, w)| format!("{id} ({})", w.name)).collect();
            findings.push(finding(
                FindingLevel::Bad,
                None,
                format!("there is no warehouse {place}, or the token does not see it"),
                format!("There are: {}.", if there.is_empty() { "none".to_owned() } else { there.join(", ") }),
            ));
            continue;
        };
        let name = &warehouse.name;
        if warehouse.status != "ACTIVE" {
            findings.push(finding(
                FindingLevel::Bad,
                None,
                format!("warehouse {place} ({name}) is not active: {}", warehouse.status),
                "Make it active in AMS, or take it out of the flow.",
            ));
        } else if warehouse.master == "EXTERNAL" {
            findings.push(good(format!("warehouse {place} ({name}) is active and kept from outside")));
        } else {
            findings.push(finding(
                FindingLevel::Warning,
                None,
                format!(
                    "quantities of warehouse {place} ({name}) can be edited in Centra's back office (stock master {})",
                    warehouse.master
                ),
                "Set the warehouse's stock master to External in AMS, so that nothing but this flow writes to it.",
            ));
        }
    }
    findings
}

/// The numbers of `v1.60.0`.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let text = version.trim().trim_start_matches(['v', 'V']);
    let mut parts = text.split(['.', '-', '+']).map(str::parse);
    Some([parts.next()?.ok()?, parts.next()?.ok()?, parts.next().and_then(Result::ok).unwrap_or(0)])
}

fn version_finding(version: &str) -> Option<Finding> {
    (numbers(version)? < SOUND).then(|| {
        finding(
            FindingLevel::Warning,
            Some("stock_batch"),
            format!("this instance is {version}: before v1.59.10 setStock with several sizes in one call had a fault"),
            "Ask Centra for a newer version, or set stock_batch = 1 (each figure then costs a mutation) until it is there.",
        )
    })
}

/// One size with its stock, as the flow reads it: a missing permission shows only when a field is asked for.
async fn read_findings(api: &Api, places: &[LocationId]) -> Vec<Finding> {
    let ids: BTreeSet<i32> = places.iter().filter_map(|place| super::number(place.as_str())).collect();
    let what = "read the stock of one size";
    let variables = json!({ "places": ids, "placeCount": ids.len().max(1), "limit": 1, "page": 1 });
    let asked = api.ask(&operations::STOCK_LEVELS, variables, what, Priority::Control).await;
    let read = asked.and_then(|reply| {
        let sizes = reply.read::<Sizes<'_>>()?.sizes.len();
        Ok((sizes, reply.extensions.permissions_used))
    });
    match read {
        Ok((0, _)) => vec![finding(
            FindingLevel::Warning,
            None,
            "the token sees no product sizes, so there is nothing to keep stock of",
            "Nothing to do on a new instance; else look at the token's permissions and its store.",
        )],
        Ok((_, used)) => vec![
            good(if used.is_empty() {
                "stock can be read".to_owned()
            } else {
                format!("stock can be read, with the permissions {}", used.join(", "))
            }),
            // No question tells without writing. The name follows Centra's pattern (inferred).
            good("whether the token may write stock (StockChange:write) shows at the first figure"),
        ],
        Err(fault @ Fault::Unauthorized { .. }) => {
            let mut finding = fault_finding(&fault);
            finding.remedy = format!(
                "{} Without Folder and Collection set stock_details = false, which leaves cost and categories out; ProductVariant and Product are needed in any case.",
                finding.remedy
            );
            vec![finding]
        }
        Err(fault) => vec![fault_finding(&fault)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> BTreeMap<String, Warehouse> {
        let rows = json!([
            { "id": 1, "name": "Main", "status": "ACTIVE", "stockMaster": "EXTERNAL" },
            { "id": "2", "name": "Shop", "status": "ACTIVE", "stockMaster": "CENTRA" },
            { "id": 3, "name": "Old", "status": "INACTIVE", "stockMaster": "EXTERNAL" },
            { "id": {}, "name": "Odd" }
        ]);
        rows.as_array().unwrap().iter().filter_map(warehouse).collect()
    }

    #[test]
    fn each_place_is_judged_once() {
        let places: Vec<LocationId> = ["1", "2", "3", "4", "1"].map(LocationId::from).to_vec();
        let found = place_findings(&places, &known());
        let levels: Vec<FindingLevel> = found.iter().map(|f| f.level).collect();
        assert_eq!(
            levels,
            [FindingLevel::Good, FindingLevel::Warning, FindingLevel::Bad, FindingLevel::Bad, FindingLevel::Bad],
            "{found:#?}"
        );
        assert!(found[1].message.contains("back office") && found[2].message.contains("INACTIVE"));
        assert!(found[3].remedy.contains("1 (Main)") && found[4].message.contains("twice"));
        assert!(found.iter().all(|f| f.level == FindingLevel::Good || !f.remedy.is_empty()));
    }

    #[test]
    fn the_fault_of_older_versions_is_told() {
        for (version, warned) in [
            ("v1.59.9", true),
            ("1.59", true),
            ("v1.8.77", true),
            ("v1.59.10", false),
            ("v1.60.0", false),
            ("v2.0.0-rc1", false),
            ("main", false),
            ("", false),
        ] {
            assert_eq!(version_finding(version).is_some(), warned, "{version}");
        }
    }
}
