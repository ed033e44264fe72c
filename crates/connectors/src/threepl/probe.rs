//! What `check` asks: whether the server is the stated one, and its folders are what the config says.

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{Fault, Finding, FindingLevel, Priority, Probe};

use super::exchange::Exchange;

/// The port.
pub(super) struct ServerProbe {
    pub exchange: Arc<Exchange>,
}

fn finding(level: FindingLevel, setting: &str, message: String, remedy: &str) -> Finding {
    let setting = (!setting.is_empty()).then(|| setting.to_owned());
    Finding { level, setting, message, remedy: remedy.to_owned() }
}

impl ServerProbe {
    /// A folder of the partner's must be there; one of ours is made when something is first put into it, not here.
    async fn folder(&self, setting: &str, folder: &str, ours: bool) -> Result<Finding, Fault> {
        match self.exchange.list(folder, Priority::Control).await? {
            Some(entries) => {
                let strangers: Vec<&str> = entries
                    .iter()
                    .filter(|entry| setting == "folders.news" && self.exchange.kind_of(&entry.name).is_none())
                    .map(|entry| entry.name.as_str())
                    .take(5)
                    .collect();
                if strangers.is_empty() {
                    return Ok(finding(FindingLevel::Good, setting, format!("{folder} holds {} files", entries.len()), ""));
                }
                let message = format!("{folder} holds files that are read by nothing: {}", strangers.join(", "));
                Ok(finding(FindingLevel::Warning, setting, message, "If they are for us, say under names how their names begin."))
            }
            None if ours => Ok(finding(
                FindingLevel::Warning,
                setting,
                format!("there is no folder {folder} yet; it is made when it is first needed"),
                "If the partner lets nobody make folders, ask them to make it.",
            )),
            None => Ok(finding(
                FindingLevel::Bad,
                setting,
                format!("there is no folder {folder}"),
                "Write the folder's path as the partner's server names it, from the login folder.",
            )),
        }
    }
}

#[async_trait]
impl Probe for ServerProbe {
    async fn check(&self) -> Vec<Finding> {
        let folders = &self.exchange.form.folders;
        let all = [
            ("folders.orders", &folders.orders, false),
            ("folders.news", &folders.news, false),
            ("folders.staging", &folders.staging, true),
            ("folders.sent", &folders.sent, true),
            ("folders.archive", &folders.archive, true),
        ];
        let mut findings = Vec::new();
        for (setting, folder, ours) in all {
            match self.folder(setting, folder, ours).await {
                Ok(found) => findings.push(found),
                Err(fault) => {
                    let (setting, remedy) = match &fault {
                        Fault::Unauthorized { detail, .. } if detail.contains("host key") => (
                            "host_key",
                            "Ask the partner, by another way, for the fingerprint of their server. If it is theirs, write it here.",
                        ),
                        Fault::Unauthorized { detail, .. } if detail.contains("permission denied") => {
                            (setting, "Ask the partner for the right to read, write and rename there.")
                        }
                        Fault::Unauthorized { .. } => {
                            ("user", "See whether user and password or key are those that the partner gave.")
                        }
                        Fault::Transient { .. } => {
                            ("host", "See whether name and port are right, and whether the partner lets this machine in.")
                        }
                        _ => (setting, "See the message; it may pass by itself."),
                    };
                    let mut why = fault.to_string();
                    let mut cause = std::error::Error::source(&fault);
                    while let Some(deeper) = cause {
                        why = format!("{why}: {deeper}");
                        cause = deeper.source();
                    }
                    findings.push(finding(FindingLevel::Bad, setting, why, remedy));
                    // The way there is the same for all of them.
                    if !matches!(fault, Fault::Refused { .. } | Fault::Unexpected { .. }) {
                        return findings;
                    }
                }
            }
        }
        findings
    }
}
