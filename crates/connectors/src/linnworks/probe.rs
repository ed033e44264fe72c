//! What `check` asks of a live account: that it opens, that the location is there, and that each read works.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use selvedge_connector::{Fault, Finding, FindingLevel, Priority, Probe};
use selvedge_model::Interval;
use serde_json::Value;

use super::{
    client::{Ask, Client},
    inventory,
    settings::Form,
    shipments::changed,
};

/// The port.
pub(super) struct AccountProbe {
    pub client: Client,
    pub form: Arc<Form>,
}

pub(super) fn finding(level: FindingLevel, setting: Option<&str>, message: impl Into<String>, remedy: &str) -> Finding {
    Finding { level, setting: setting.map(str::to_owned), message: message.into(), remedy: remedy.to_owned() }
}

pub(super) fn of_fault(fault: &Fault) -> Finding {
    let (setting, remedy) = match fault {
        Fault::Unauthorized { .. } => (
            Some("token"),
            "Install the application anew, take the new token, and see that the installing user has the permission.",
        ),
        Fault::Transient { .. } => (Some("login_url"), "See whether the address is right and the system is up."),
        _ => (None, "See the page of the system, docs/systems/linnworks.md."),
    };
    finding(FindingLevel::Bad, setting, fault.to_string(), remedy)
}

#[async_trait]
impl Probe for AccountProbe {
    async fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let ask = Ask::get("list locations", "Inventory/GetStockLocations", &[], Priority::Control);
        let locations = match self.client.json(&ask).await {
            Ok(locations) => locations,
            Err(fault) => return vec![of_fault(&fault)],
        };
        findings.push(finding(FindingLevel::Good, None, "the account opens", ""));
        let rows = locations.as_array().map(Vec::as_slice).unwrap_or_default();
        let name = |row: &Value| row["LocationName"].as_str().unwrap_or_default().trim().to_owned();
        match rows.iter().find(|row| name(row) == self.form.location) {
            None => {
                let names: Vec<String> = rows.iter().map(name).collect();
                let message = format!("there is no location {:?}; there are {}", self.form.location, names.join(", "));
                findings.push(finding(FindingLevel::Bad, Some("location"), message, "Name one of them, in the same spelling."));
            }
            Some(row) if row["IsFulfillmentCenter"].as_bool() == Some(true) => findings.push(finding(
                FindingLevel::Warning,
                Some("location"),
                format!("{} is a fulfilment centre: orders there are parked until somebody else takes them", self.form.location),
                "Use a normal location, or see that the centre's own system releases them.",
            )),
            Some(row) => {
                let id = row["StockLocationId"].as_str().unwrap_or("unknown");
                let message = format!("{} is there; stock flows name it {id}", self.form.location);
                findings.push(finding(FindingLevel::Good, Some("location"), message, ""));
            }
        }
        // Which flows the connection has is not known here: what products and stock alone need is only said.
        match inventory::known(&self.client, &["selvedge-check".to_owned()], Priority::Control).await {
            Ok(_) => findings.push(finding(FindingLevel::Good, None, "items can be looked up", "")),
            Err(fault) => findings.push(Finding { level: FindingLevel::Warning, ..of_fault(&fault) }),
        }
        let ask = Ask::get("list shipping services", "PostalServices/GetPostalServices", &[], Priority::Control);
        match self.client.json(&ask).await {
            Ok(services) => {
                let count = services.as_array().map_or(0, Vec::len);
                findings.push(finding(FindingLevel::Good, None, format!("{count} shipping services"), ""));
            }
            Err(fault) => findings.push(of_fault(&fault)),
        }
        let now = self.client.now();
        let from = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(now);
        match changed(&self.client, &self.form, &Interval { from, to: now }, None, Priority::Control, "list changed orders").await
        {
            Ok(_) => findings.push(finding(FindingLevel::Good, None, "changed orders can be listed", "")),
            Err(fault) => findings.push(of_fault(&fault)),
        }
        findings
    }
}
