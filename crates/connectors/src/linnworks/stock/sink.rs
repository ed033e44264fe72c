//! Levels into the account: set, never moved.
//!
//! `SetStockLevel` sets a level; its neighbour `UpdateStockLevelsBySKU` takes the same body and *adds*. After a lost answer
//! an addition could not be repeated, so it is not called at all.

use std::collections::BTreeMap;

use async_trait::async_trait;
use selvedge_connector::{Effect, Fault, Figure, Finding, FindingLevel, Priority, Receipt, Request, StockSink};
use selvedge_model::{ExternalId, LocationId, Problem};
use serde_json::{Value, json};

use super::{
    super::{
        client::{Ask, Client},
        inventory::{self, Known},
        probe::{finding, of_fault},
    },
    place_problem,
};

const SET: &str = "Stock/SetStockLevel";
/// What the account keeps beside each change: who made it.
const SOURCE: &str = "Selvedge";

/// The port.
pub(in super::super) struct Sink {
    pub client: Client,
}

/// What is wrong with a call before it leaves.
fn faulty(rows: &[Value]) -> Vec<Problem> {
    let place = rows.first().and_then(|row| row["LocationId"].as_str()).unwrap_or_default();
    let mut problems = Vec::new();
    if !inventory::is_id(place) {
        problems.push(place_problem(&LocationId::new(place)));
    }
    for (index, row) in rows.iter().enumerate() {
        let units = row["Level"].as_i64().and_then(|units| i32::try_from(units).ok());
        if units.is_none_or(|units| units < 0) {
            let message = format!("{} is no figure that Linnworks keeps: it takes 0 to {}", row["Level"], i32::MAX);
            let problem = Problem::new("stock.figure", format!("stockLevels.{index}"), message, "Mend the figure at its source.");
            problems.push(problem.value(row["Level"].to_string()));
        }
    }
    problems
}

fn refused(index: usize, message: String) -> Problem {
    let remedy = "Mend what is named in Linnworks, or take the item out of the flow; then release.";
    Problem::new("stock.refused", format!("stockLevels.{index}"), message, remedy)
}

/// Why an item takes no level, as far as its kind tells.
fn why(known: &[Known], sku: &str) -> Option<String> {
    match known.iter().find(|known| known.sku == sku) {
        None => Some(format!("there is no item {sku} in Linnworks")),
        Some(known) if known.composite => Some(format!("{sku} is a composite in Linnworks: its parts are kept instead")),
        Some(known) if known.batched => Some(format!("{sku} is kept by batch in Linnworks, and takes no plain figure")),
        Some(known) if known.archived => Some(format!("{sku} is archived in Linnworks")),
        Some(_) => None,
    }
}

impl Sink {
    /// Which rows are to blame, where a call was refused whole or rows were passed over.
    async fn blamed(&self, rows: &[Value], suspects: &[usize]) -> Result<Vec<Problem>, Fault> {
        let sku = |index: &usize| rows.get(*index).and_then(|row| row["SKU"].as_str()).map(str::to_owned);
        let skus: Vec<String> = suspects.iter().filter_map(sku).collect();
        let known = inventory::known(&self.client, &skus, Priority::Stock).await?;
        Ok(suspects.iter().zip(&skus).filter_map(|(index, sku)| Some(refused(*index, why(&known, sku)?))).collect())
    }
}

#[async_trait]
impl StockSink for Sink {
    fn batch_max(&self) -> usize {
        inventory::IDS_MAX
    }

    /// The index of a row is that of its figure. A level is known by its SKU there.
    fn encode(&self, place: &LocationId, figures: &[Figure]) -> Request {
        let row = |figure: &Figure| json!({ "SKU": figure.sku, "LocationId": place, "Level": figure.units });
        Request {
            what: format!("set the level of {} items at location {place}", figures.len()),
            method: "POST".to_owned(),
            path: SET.to_owned(),
            body: json!({ "stockLevels": figures.iter().map(row).collect::<Vec<_>>(), "changeSource": SOURCE }),
            update: Some(ExternalId::new(place.as_str())),
            unfinished: false,
        }
    }

    /// The answer shows each level that was set; a row that it does not show was passed over. What it shows otherwise than
    /// it was sent may have moved since, and is only said.
    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        let what = &request.what;
        let rows = request.body["stockLevels"].as_array().map(Vec::as_slice).unwrap_or_default();
        let problems = faulty(rows);
        if !problems.is_empty() {
            return Err(Fault::Refused { what: what.clone(), problems });
        }
        let all: Vec<usize> = (0..rows.len()).collect();
        let answer = match self.client.json(&Ask::post(what, SET, &request.body, Effect::Write, Priority::Stock)).await {
            Err(fault) if fault.is_read_only() => return Err(fault),
            Err(Fault::Refused { what, problems }) => {
                // One bad row refuses the call: it is named, so that the others are not to blame. Some may have been set.
                let blamed = self.blamed(rows, &all).await.unwrap_or_default();
                return Err(Fault::Refused { what, problems: if blamed.is_empty() { problems } else { blamed } });
            }
            answer => answer?,
        };
        let Some(shown) = answer.as_array() else {
            let source = Some("the answer shows no levels".into());
            return Err(Fault::Unanswered { what: what.clone(), source });
        };
        let shown: BTreeMap<String, Option<i64>> = shown
            .iter()
            .filter_map(|level| Some((level["SKU"].as_str()?.to_lowercase(), level["StockLevel"].as_i64())))
            .collect();
        let (mut missing, mut warnings) = (Vec::new(), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            let sku = row["SKU"].as_str().unwrap_or_default();
            match shown.get(&sku.to_lowercase()) {
                None => missing.push(index),
                Some(level) if *level != row["Level"].as_i64() => {
                    let level = level.map_or_else(|| "nothing".to_owned(), |level| level.to_string());
                    warnings.push(format!("{sku} was set to {} and shows {level}", row["Level"]));
                }
                Some(_) => {}
            }
        }
        if missing.is_empty() {
            return Ok(Receipt { id: request.update.clone(), warnings });
        }
        let mut problems = self.blamed(rows, &missing).await.unwrap_or_default();
        for index in missing {
            let path = format!("stockLevels.{index}");
            if !problems.iter().any(|problem| problem.path == path) {
                let sku = rows.get(index).and_then(|row| row["SKU"].as_str()).unwrap_or_default();
                problems.push(refused(index, format!("Linnworks answered and did not set {sku}, without a reason")));
            }
        }
        Err(Fault::Refused { what: what.clone(), problems })
    }

    /// It has no markets: any order may draw from any location.
    async fn draws(&self) -> Result<BTreeMap<String, Vec<LocationId>>, Fault> {
        Ok(BTreeMap::new())
    }

    async fn inspect(&self, places: &[LocationId]) -> Vec<Finding> {
        let ask = Ask::get("list locations", "Inventory/GetStockLocations", &[], Priority::Control);
        match self.client.json(&ask).await {
            Ok(rows) => places_findings(places, rows.as_array().map(Vec::as_slice).unwrap_or_default()),
            Err(fault) => vec![of_fault(&fault)],
        }
    }
}

fn places_findings(places: &[LocationId], rows: &[Value]) -> Vec<Finding> {
    let name = |row: &Value| row["LocationName"].as_str().unwrap_or_default().to_owned();
    let id = |row: &Value| inventory::id_of(&row["StockLocationId"]).unwrap_or_default();
    let bad = |message: String, remedy: String| finding(FindingLevel::Bad, None, message, &remedy);
    let mut findings = Vec::new();
    for (at, place) in places.iter().enumerate() {
        if places.iter().take(at).any(|other| other.as_str().eq_ignore_ascii_case(place.as_str())) {
            let remedy = "Name each location once: two figures of one item at one location would overwrite each other.";
            findings.push(bad(format!("location {place} is named twice"), remedy.to_owned()));
            continue;
        }
        let Some(row) = rows.iter().find(|row| id(row).eq_ignore_ascii_case(place.as_str())) else {
            let there: Vec<String> = rows.iter().take(20).map(|row| format!("{} ({})", id(row), name(row))).collect();
            findings.push(bad(format!("there is no location {place}"), format!("There are: {}.", there.join(", "))));
            continue;
        };
        let flag = |name: &str| row[name].as_bool() == Some(true);
        let told = format!("location {place} ({})", name(row));
        if flag("IsNotTrackable") {
            findings.push(bad(format!("{told} keeps no stock"), "Take it out of the flow.".to_owned()));
        } else if flag("IsWarehouseManaged") {
            let message =
                format!("{told} is kept by bin: Linnworks takes a level there only with its batch, and refuses a plain one");
            findings.push(bad(message, "Let Linnworks be the source of its stock, or take it out of the flow.".to_owned()));
        } else if flag("IsFulfillmentCenter") {
            let remedy = "See that the centre's own system does not write its stock there as well.";
            let message = format!("{told} is a fulfilment centre, whose own system may write its levels");
            findings.push(finding(FindingLevel::Warning, None, message, remedy));
        } else {
            findings.push(finding(FindingLevel::Good, None, format!("{told} is there"), ""));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_location_is_judged() {
        let rows = json!([
            { "StockLocationId": "00000000-0000-0000-0000-000000000000", "LocationName": "Default" },
            { "StockLocationId": "6F0C1A52-0000-4000-8000-000000000001", "LocationName": "Bins", "IsWarehouseManaged": true },
            { "StockLocationId": "6f0c1a52-0000-4000-8000-000000000002", "LocationName": "Centre", "IsFulfillmentCenter": true },
        ]);
        let places = [
            "00000000-0000-0000-0000-000000000000",
            "6f0c1a52-0000-4000-8000-000000000001",
            "6f0c1a52-0000-4000-8000-000000000002",
            "6f0c1a52-0000-4000-8000-000000000003",
            "00000000-0000-0000-0000-000000000000",
        ]
        .map(LocationId::from);
        let levels: Vec<FindingLevel> =
            places_findings(&places, rows.as_array().unwrap()).iter().map(|finding| finding.level).collect();
        let (good, warning, bad) = (FindingLevel::Good, FindingLevel::Warning, FindingLevel::Bad);
        assert_eq!(levels, [good, bad, warning, bad, bad]);
    }
}
