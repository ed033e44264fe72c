//! What `check` asks of a live account.

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{Fault, Finding, FindingLevel, Priority, Probe};

use super::{
    client::{Ask, Client},
    decode,
    orders::instant,
    settings::Form,
};

/// The port.
pub(super) struct AccountProbe {
    pub client: Client,
    pub form: Arc<Form>,
}

fn finding(level: FindingLevel, setting: Option<&str>, message: impl Into<String>, remedy: &str) -> Finding {
    Finding { level, setting: setting.map(str::to_owned), message: message.into(), remedy: remedy.to_owned() }
}

fn of_fault(fault: &Fault) -> Finding {
    let (setting, remedy) = match fault {
        Fault::Unauthorized { .. } => {
            (Some("api_key"), "Take the key anew in Veeqo, and see that the account's invoices are paid.")
        }
        Fault::Transient { .. } => (Some("base_url"), "See whether the address is right and the system is up."),
        _ => (None, "See the page of the system, docs/systems/veeqo.md."),
    };
    finding(FindingLevel::Bad, setting, fault.to_string(), remedy)
}

#[async_trait]
impl Probe for AccountProbe {
    async fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.client.json(&Ask::get("read the company", "/current_company", Priority::Control)).await {
            Ok(Some(company)) => {
                let name = decode::text(&company["name"]).unwrap_or_else(|| "the account".to_owned());
                findings.push(finding(FindingLevel::Good, None, format!("{name} answers"), ""));
            }
            Ok(None) => {
                return vec![finding(FindingLevel::Bad, Some("base_url"), "there is no Veeqo API here", "Mend the address.")];
            }
            Err(fault) => return vec![of_fault(&fault)],
        }
        match self.client.page("list stores", "/channels", &[], None, Priority::Control).await {
            Ok(rows) => {
                let wanted = self.form.channel_id.to_string();
                let is = |row: &&serde_json::Value| decode::text(&row["id"]).is_some_and(|id| id == wanted);
                findings.push(match rows.rows.iter().find(is) {
                    Some(row) if row["type_code"] == "direct" => {
                        finding(FindingLevel::Good, Some("channel_id"), format!("store {wanted} is there"), "")
                    }
                    Some(row) => finding(
                        FindingLevel::Bad,
                        Some("channel_id"),
                        format!(
                            "store {wanted} is of type {}, and orders are entered under one of type direct",
                            row["type_code"]
                        ),
                        "Name a store of type direct, or make one.",
                    ),
                    None => {
                        let message = format!("there is no store {wanted}");
                        finding(
                            FindingLevel::Bad,
                            Some("channel_id"),
                            message,
                            "Name a store of type direct: GET /channels lists them.",
                        )
                    }
                });
            }
            Err(fault) => findings.push(of_fault(&fault)),
        }
        let now = instant(self.client.now());
        for (what, path) in [
            ("orders", "/orders"),
            ("items", "/products"),
            ("delivery methods", "/delivery_methods"),
            ("warehouses", "/warehouses"),
        ] {
            match self.client.page(&format!("list {what}"), path, &[("created_at_min", &now)], None, Priority::Control).await {
                Ok(_) => findings.push(finding(FindingLevel::Good, None, format!("{what} can be listed"), "")),
                Err(fault) => findings.push(of_fault(&fault)),
            }
        }
        findings
    }
}
