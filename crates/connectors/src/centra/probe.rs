//! What `selvedge check` asks of a live instance.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};
use selvedge_connector::{Fault, Finding, FindingLevel, Priority, Probe};
use serde_json::{Value, json};

use super::{
    graphql::{Api, Reply},
    operations::{self, NEEDS, Operation, PRODUCT_NEEDS, RETURN_NEEDS, SHIPMENT_NEEDS, STOCK_NEEDS, VALUE_NEEDS},
    schema_check,
    settings::Settings,
    wire::{EventListeners, Identity, Introspection, OrderConnection, QueuedEvents, RateLimits, id_text},
};

/// How far the clocks may be apart before signatures and windows suffer.
const SKEW_SECONDS_MAX: i64 = 30;
/// How old the head of the queue may be before someone should know.
const QUEUE_HOURS_MAX: i64 = 24;

/// Asks one instance.
#[derive(Debug)]
pub struct CentraProbe {
    api: Arc<Api>,
    settings: Settings,
}

pub(super) fn finding(
    level: FindingLevel,
    setting: Option<&str>,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding { level, setting: setting.map(str::to_owned), message: message.into(), remedy: remedy.into() }
}

pub(super) fn good(message: impl Into<String>) -> Finding {
    finding(FindingLevel::Good, None, message, "")
}

/// A fault of a question, as a finding with the setting that it hangs on.
pub(super) fn fault_finding(fault: &Fault) -> Finding {
    match fault {
        Fault::Unauthorized { detail, .. } if detail.contains("permission") => finding(
            FindingLevel::Bad,
            Some("token"),
            format!("a permission is missing: {detail}"),
            "Give the token this permission in AMS: System > API Tokens.",
        ),
        Fault::Unauthorized { .. } => finding(
            FindingLevel::Bad,
            Some("token"),
            fault.to_string(),
            "Make a new Integration API token in AMS: System > API Tokens; they expire after 30 days unless made otherwise.",
        ),
        Fault::Transient { source, .. } | Fault::Unanswered { source, .. } => {
            let why = source.as_ref().map_or_else(String::new, |s| format!(" ({s})"));
            finding(
                FindingLevel::Bad,
                Some("base_url"),
                format!("{fault}{why}"),
                "Check base_url and the way there; then run check again.",
            )
        }
        Fault::Throttled { .. } => finding(
            FindingLevel::Warning,
            None,
            fault.to_string(),
            "The limits of the instance are used up by all integrations together; run check again later.",
        ),
        _ => finding(
            FindingLevel::Bad,
            Some("base_url"),
            fault.to_string(),
            "Check that base_url is a Centra instance, and which version it has.",
        ),
    }
}

impl CentraProbe {
    /// For one instance.
    pub fn new(api: Arc<Api>, settings: Settings) -> Self {
        Self { api, settings }
    }

    fn asked(&self) -> Asked {
        Asked { products: self.settings.product_events, returns: self.settings.returns.read }
    }

    async fn ask(&self, operation: &'static Operation, variables: Value, what: &str) -> Result<Reply, Fault> {
        self.api.ask(operation, variables, what, Priority::Control).await
    }

    async fn schema(&self) -> (Vec<Finding>, bool) {
        let live: Result<Introspection, Fault> = match self.ask(&operations::INTROSPECTION, json!({}), "read the schema").await {
            Ok(reply) => reply.read(),
            Err(fault) => Err(fault),
        };
        match live {
            Ok(live) => {
                let unmet = schema_check::compare(NEEDS, &live.schema);
                let of_stock = schema_check::compare(STOCK_NEEDS, &live.schema);
                let of_shipments = schema_check::compare(SHIPMENT_NEEDS, &live.schema);
                let of_products = schema_check::compare(PRODUCT_NEEDS, &live.schema);
                let of_returns = schema_check::compare(RETURN_NEEDS, &live.schema);
                let all = unmet.iter().chain(&of_stock).chain(&of_shipments).chain(&of_products).chain(&of_returns);
                let left_out: BTreeSet<&'static str> = all.filter_map(|u| u.leave_out).collect();
                self.api.leave_out(&left_out);
                let mut findings = schema_findings(unmet);
                findings.extend(of_stock.into_iter().map(|unmet| part_finding(unmet, "stock")));
                findings.extend(of_shipments.into_iter().map(|unmet| part_finding(unmet, "shipments")));
                findings.extend(schema_check::compare(VALUE_NEEDS, &live.schema).into_iter().map(value_finding));
                findings.extend(of_products.into_iter().map(|unmet| part_finding(unmet, "products")));
                findings.extend(of_returns.into_iter().map(|unmet| part_finding(unmet, "returns")));
                findings.extend(schema_check::cut_lists(&live.schema).into_iter().map(cut_finding));
                (findings, true)
            }
            Err(fault) => {
                let reached = !matches!(fault, Fault::Transient { .. } | Fault::Unauthorized { .. });
                (vec![fault_finding(&fault)], reached)
            }
        }
    }

    /// The newest order, and what its times tell of the instance's zone.
    async fn newest_order(&self, findings: &mut Vec<Finding>) -> Option<i64> {
        let reply = match self.ask(&operations::LATEST_ORDER, json!({}), "read the newest order").await {
            Ok(reply) => reply,
            Err(fault) => {
                findings.push(fault_finding(&fault));
                return None;
            }
        };
        findings.extend(skew(reply.date.as_deref(), self.api.now()));
        let connection = match reply.read::<OrderConnection<'_>>() {
            Ok(read) => read.connection,
            Err(fault) => {
                findings.push(fault_finding(&fault));
                return None;
            }
        };
        let Some(edge) = connection.edges.first() else {
            findings.push(finding(
                FindingLevel::Warning,
                None,
                "the token sees no orders yet",
                "Nothing to do on a new instance; else check the token's store and the settings stores and markets.",
            ));
            return None;
        };
        let identity: Identity = serde_json::from_str(edge.node.get()).unwrap_or_default();
        findings.extend(zone(
            identity.created_at.as_str().unwrap_or_default(),
            &self.settings.zones.instance,
            &self.settings.time_zone,
        ));
        id_text(&identity.number)?.parse().ok()
    }

    /// Every read that a flow makes, once and small: permissions show only when a field is asked for.
    async fn reads(&self, newest: Option<i64>, findings: &mut Vec<Finding>) {
        let now = self.api.now();
        let earlier = now.as_second().saturating_sub(60);
        let from = Timestamp::from_second(earlier).unwrap_or(now);
        let window = json!({ "from": text(from), "to": text(now), "first": 1 });
        let by_number = json!({ "numbers": [newest.unwrap_or(1)], "limit": 1 });
        let mut questions = vec![
            (&operations::ORDERS_BY_NUMBER, by_number, "read a whole order"),
            (&operations::ORDERS_CHANGED, window.clone(), "list changed orders"),
            (&operations::ORDERS_ENUMERATED, window, "enumerate orders"),
        ];
        if self.settings.events {
            questions.push((&operations::ORDER_EVENTS, json!({ "limit": 1 }), "read the queue of events"));
        }
        let mut used = BTreeSet::new();
        let mut all_good = true;
        for (operation, variables, what) in questions {
            match self.ask(operation, variables, what).await {
                Ok(reply) => used.extend(reply.extensions.permissions_used),
                Err(fault) => {
                    all_good = false;
                    findings.push(fault_finding(&fault));
                }
            }
        }
        if all_good {
            let used: Vec<String> = used.into_iter().collect();
            findings.push(good(if used.is_empty() {
                "every read works".to_owned()
            } else {
                format!("every read works, with the permissions {}", used.join(", "))
            }));
        }
    }

    /// One size as flows of products read it. Whether there is such a flow is not known here, so the worst is a warning.
    async fn products(&self, findings: &mut Vec<Finding>) {
        let variables = json!({ "from": "1970-01-01T00:00:00+00:00", "limit": 1, "page": 1 });
        let mut used = BTreeSet::new();
        for (operation, what) in [
            (&operations::PRODUCTS_CHANGED, "read one product size"),
            (&operations::PRODUCT_GROUPS_ENUMERATED, "list products and variants"),
        ] {
            match self.ask(operation, variables.clone(), what).await {
                Ok(reply) => used.extend(reply.extensions.permissions_used),
                Err(fault) => {
                    let found = fault_finding(&fault);
                    let remedy = format!("{} Only flows of products need it.", found.remedy);
                    findings.push(finding(
                        FindingLevel::Warning,
                        found.setting.as_deref(),
                        format!("for products: {}", found.message),
                        remedy,
                    ));
                    return;
                }
            }
        }
        let used: Vec<String> = used.into_iter().collect();
        findings.push(good(if used.is_empty() {
            "products can be read".to_owned()
        } else {
            format!("products can be read, with the permissions {}", used.join(", "))
        }));
    }

    /// One return as flows of returns read it, and the queue with returns in it.
    async fn returns(&self, findings: &mut Vec<Finding>) {
        let mut questions = vec![
            (&operations::RETURN_STATES_PENDING, json!({ "limit": 1, "page": 1 }), "look at returns"),
            (&operations::RETURNS_BY_ID, json!({ "ids": [1], "limit": 1 }), "read a whole return"),
        ];
        if self.settings.events {
            questions.push((&operations::ORDER_AND_RETURN_EVENTS, json!({ "limit": 1 }), "read the queue with returns in it"));
        }
        let mut used = BTreeSet::new();
        for (operation, variables, what) in questions {
            match self.ask(operation, variables, what).await {
                Ok(reply) => used.extend(reply.extensions.permissions_used),
                Err(fault) => {
                    let found = fault_finding(&fault);
                    let remedy = format!("{} Or set returns = false; then no flow reads or makes returns.", found.remedy);
                    let message = format!("for returns: {}", found.message);
                    findings.push(finding(FindingLevel::Bad, found.setting.as_deref(), message, remedy));
                    return;
                }
            }
        }
        let used: Vec<String> = used.into_iter().collect();
        findings.push(good(if used.is_empty() {
            "returns can be read".to_owned()
        } else {
            format!("returns can be read, with the permissions {}", used.join(", "))
        }));
    }

    async fn queue(&self, findings: &mut Vec<Finding>) {
        match self
            .ask(&operations::EVENT_LISTENERS, json!({}), "read the event listeners")
            .await
            .and_then(|reply| reply.read::<EventListeners>())
        {
            Ok(found) => {
                let listeners: Vec<(String, String)> =
                    found.listeners.into_iter().map(|l| (l.integration_name, l.object_type)).collect();
                let own = self.settings.integration_name.as_deref();
                findings.extend(listener_findings(&listeners, own, self.asked()));
            }
            Err(fault) => findings.push(fault_finding(&fault)),
        }
        match self
            .ask(&operations::QUEUED_EVENTS, json!({ "limit": 50 }), "look at the queue of events")
            .await
            .and_then(|reply| reply.read::<QueuedEvents>())
        {
            Ok(queued) => {
                let events: Vec<(String, Option<Timestamp>)> = queued
                    .events
                    .into_iter()
                    .map(|e| {
                        (
                            e.object_type,
                            e.created_at.and_then(|at| selvedge_model::moment::in_zone(&at, &self.settings.zones.instance).ok()),
                        )
                    })
                    .collect();
                findings.extend(queue_findings(&events, self.api.now(), self.asked()));
            }
            Err(fault) => findings.push(fault_finding(&fault)),
        }
    }
}

fn text(at: Timestamp) -> String {
    format!("{}+00:00", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

fn schema_findings(unmet: Vec<schema_check::Unmet>) -> Vec<Finding> {
    if !unmet.iter().any(|u| u.level == FindingLevel::Bad) {
        let mut findings = vec![good(format!("the live schema has what we need ({} fields, inputs and values)", NEEDS.len()))];
        findings.extend(unmet.into_iter().map(schema_finding));
        return findings;
    }
    unmet.into_iter().map(schema_finding).collect()
}

fn schema_finding(unmet: schema_check::Unmet) -> Finding {
    let remedy = match (unmet.level, unmet.leave_out) {
        (FindingLevel::Bad, _) => {
            "This instance has another version of Centra's schema; report it with this line, a new version of Selvedge has to follow."
        }
        (_, Some(_)) => "It is left out and done without; nothing to do.",
        _ => "Nothing to do now; report it with this line.",
    };
    finding(unmet.level, None, format!("schema: {}", unmet.message), remedy)
}

/// A list that we take for whole and that is not.
fn cut_finding(list: String) -> Finding {
    finding(
        FindingLevel::Warning,
        None,
        format!("schema, for products: {list} gives no more than a page of its rows"),
        "A product with more variants or sizes is not read whole; report it with this line, a new version of Selvedge has to follow.",
    )
}

/// What stock alone needs. Whether there is a flow of stock is not known here, so the worst is a warning.
/// What only flows of one kind need: without it the others work.
fn part_finding(unmet: schema_check::Unmet, part: &str) -> Finding {
    if unmet.level != FindingLevel::Bad {
        return schema_finding(unmet);
    }
    let remedy =
        format!("Flows of {part} will not work on this version of Centra's schema; report it with this line. Others do.");
    finding(FindingLevel::Warning, None, format!("schema, for {part}: {}", unmet.message), &remedy)
}

/// What only the pre-flight needs.
fn value_finding(unmet: schema_check::Unmet) -> Finding {
    if unmet.level != FindingLevel::Bad {
        return schema_finding(unmet);
    }
    let remedy = "The pre-flight does without this list and takes the values of recent orders; report it with this line.";
    finding(FindingLevel::Warning, None, format!("schema, for the pre-flight: {}", unmet.message), remedy)
}

fn skew(date: Option<&str>, now: Timestamp) -> Option<Finding> {
    let server = httpdate::parse_http_date(date?).ok()?;
    let server = server.duration_since(std::time::UNIX_EPOCH).ok()?;
    let server = i64::try_from(server.as_secs()).ok()?;
    let apart = now.as_second().saturating_sub(server);
    Some(if apart.abs() > SKEW_SECONDS_MAX {
        let (size, way) = (apart.abs(), if apart > 0 { "ahead of" } else { "behind" });
        finding(
            FindingLevel::Warning,
            None,
            format!("this machine's clock is {size} s {way} Centra's"),
            "Set this machine's clock by NTP: signatures are judged and windows are cut by it.",
        )
    } else {
        good("the clocks agree")
    })
}

/// Whether the offset that the instance wrote is the configured zone's at that instant.
fn zone(created_at: &str, zone: &TimeZone, name: &str) -> Option<Finding> {
    let Ok(pieces) = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(created_at) else {
        return Some(finding(
            FindingLevel::Bad,
            Some("time_zone"),
            format!("an order says it was created at {created_at:?}, which is no time"),
            "Report it with this line.",
        ));
    };
    let instant = selvedge_model::moment::in_zone(created_at, zone).ok()?;
    let written = pieces.to_numeric_offset()?;
    let configured = zone.to_offset(instant);
    Some(if written == configured {
        good(format!("time_zone fits: the newest order is written with {written}, as {name} has then"))
    } else {
        finding(
            FindingLevel::Warning,
            Some("time_zone"),
            format!("the newest order is written as {created_at}, but {name} has {configured} then"),
            "Set time_zone to the instance's own zone; webhooks and books depend on it.",
        )
    })
}

/// Which events are asked for beside those of orders.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    products: bool,
    returns: bool,
}

impl Asked {
    /// Whether events of this kind are ours.
    fn has(self, kind: &str) -> bool {
        match kind {
            "Order" => true,
            "Product" | "ProductVariant" | "ProductSize" | "Price" | "Bundle" => self.products,
            "Return" | "PaymentHistoryEntry" => self.returns,
            _ => false,
        }
    }
}

fn listener_findings(listeners: &[(String, String)], own: Option<&str>, asked: Asked) -> Vec<Finding> {
    if listeners.is_empty() {
        return vec![finding(
            FindingLevel::Warning,
            Some("events"),
            "nothing is subscribed to yet, or Centra has not enabled events for this instance",
            "The first run subscribes to orders. If no event ever comes, ask Centra support to enable events; until then orders come by polling and webhooks.",
        )];
    }
    let mine = |name: &str| own.is_none_or(|own| own == name || name.is_empty());
    let foreign = listeners.iter().filter(|(name, kind)| mine(name) && !asked.has(kind));
    let foreign: BTreeSet<&str> = foreign.map(|(_, kind)| kind.as_str()).collect();
    let mut findings = Vec::new();
    if foreign.is_empty() {
        findings.push(good("the queue of events is ours alone, as far as its listeners tell"));
    } else {
        let kinds: Vec<&str> = foreign.into_iter().collect();
        findings.push(finding(
            FindingLevel::Warning,
            Some("integration_name"),
            format!("another program has subscribed to {} in the same queue", kinds.join(", ")),
            "Tokens with one integration name share a queue and take each other's events: give Selvedge a token with an integration name of its own.",
        ));
    }
    if own.is_some_and(|own| !listeners.iter().any(|(name, _)| name == own)) {
        findings.push(finding(
            FindingLevel::Warning,
            Some("integration_name"),
            format!("no listener belongs to {:?}", own.unwrap_or_default()),
            "The first run subscribes; if this stays, integration_name is not the token's.",
        ));
    }
    findings
}

fn queue_findings(events: &[(String, Option<Timestamp>)], now: Timestamp, asked: Asked) -> Vec<Finding> {
    let mut findings = Vec::new();
    let foreign: BTreeSet<&str> = events.iter().map(|(kind, _)| kind.as_str()).filter(|kind| !asked.has(kind)).collect();
    if !foreign.is_empty() {
        let kinds: Vec<&str> = foreign.into_iter().collect();
        findings.push(finding(
            FindingLevel::Warning,
            Some("integration_name"),
            format!("the queue holds events that we did not ask for: {}", kinds.join(", ")),
            "Another program shares this integration name, or left its events behind: give Selvedge a token with an integration name of its own.",
        ));
    }
    let oldest = events.iter().filter_map(|(_, at)| *at).min();
    if let Some(oldest) = oldest.filter(|at| now.as_second().saturating_sub(at.as_second()) > QUEUE_HOURS_MAX * 3600) {
        findings.push(finding(
            FindingLevel::Warning,
            Some("events"),
            format!("the oldest event in the queue is from {oldest}"),
            "Nobody has read the queue for long; the first run works it off.",
        ));
    }
    findings
}

fn limit_findings(limits: &RateLimits) -> Vec<Finding> {
    let mut findings: Vec<Finding> = super::graphql::windows(limits)
        .into_iter()
        .filter(|(window, used)| used.saturating_mul(2) > window.quota)
        .map(|(window, used)| {
            finding(
                FindingLevel::Warning,
                None,
                format!(
                    "{used} of {} {} per {} s are used already, by all integrations of the instance together",
                    window.quota,
                    window.name,
                    window.per.as_secs()
                ),
                "Ask Centra for a larger plan, or slow the other integrations down.",
            )
        })
        .collect();
    let granted: Vec<String> = super::graphql::windows(limits)
        .iter()
        .map(|(w, _)| format!("{} {} per {} s", w.quota, w.name, w.per.as_secs()))
        .collect();
    if !granted.is_empty() {
        findings.insert(0, good(format!("limits: {}", granted.join(", "))));
    }
    findings
}

#[async_trait]
impl Probe for CentraProbe {
    async fn check(&self) -> Vec<Finding> {
        let (mut findings, reached) = self.schema().await;
        if !reached {
            return findings;
        }
        match self.api.read_limits().await {
            Ok(limits) => findings.extend(limit_findings(&limits)),
            Err(fault) => findings.push(finding(
                FindingLevel::Warning,
                None,
                format!("the limits cannot be read: {fault}"),
                "The default plan's are used.",
            )),
        }
        let newest = self.newest_order(&mut findings).await;
        self.reads(newest, &mut findings).await;
        self.products(&mut findings).await;
        if self.settings.returns.read {
            self.returns(&mut findings).await;
        }
        if self.settings.events {
            self.queue(&mut findings).await;
        }
        if self.settings.webhook_secret.is_none() {
            findings.push(finding(
                FindingLevel::Warning,
                Some("webhook_secret"),
                "no webhook secret is set, so every webhook is refused",
                "Set the endpoint secret of the webhook plugin, or do without: events and polling bring all orders.",
            ));
        }
        let mut told = Vec::new();
        findings.retain(|finding| {
            let new = !told.contains(finding);
            told.push(finding.clone());
            new
        });
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_zone_is_noticed_by_the_offset_of_the_season() {
        let stockholm = TimeZone::get("Europe/Stockholm").unwrap();
        let level = |text: &str| zone(text, &stockholm, "Europe/Stockholm").unwrap().level;
        assert_eq!(level("2026-01-15T10:00:00+01:00"), FindingLevel::Good);
        assert_eq!(level("2026-07-15T10:00:00+02:00"), FindingLevel::Good);
        assert_eq!(level("2026-07-15T10:00:00+01:00"), FindingLevel::Warning);
        assert_eq!(level("last week"), FindingLevel::Bad);
    }

    #[test]
    fn clocks_apart_are_told_with_the_direction() {
        let now: Timestamp = "2026-02-03T10:00:00Z".parse().unwrap();
        assert_eq!(skew(Some("Tue, 03 Feb 2026 10:00:10 GMT"), now).unwrap().level, FindingLevel::Good);
        let found = skew(Some("Tue, 03 Feb 2026 10:02:00 GMT"), now).unwrap();
        assert!(found.message.contains("120 s behind"), "{}", found.message);
        assert_eq!(skew(None, now), None);
    }

    #[test]
    fn a_shared_queue_is_noticed() {
        let pair = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
        let found = listener_findings(&[pair("wms", "Order"), pair("wms", "Shipment")], None, Asked::default());
        assert!(found.iter().any(|f| f.level == FindingLevel::Warning && f.message.contains("Shipment")));
        let found = listener_findings(&[pair("ours", "Order"), pair("wms", "Shipment")], Some("ours"), Asked::default());
        assert!(found.iter().all(|f| f.level == FindingLevel::Good), "{found:?}");
        let now: Timestamp = "2026-02-03T10:00:00Z".parse().unwrap();
        let queued = [("Return".to_owned(), None), ("Order".to_owned(), "2026-02-01T00:00:00Z".parse().ok())];
        let found = queue_findings(&queued, now, Asked::default());
        assert_eq!(found.len(), 2, "{found:?}");
        for (products, warned) in [(false, true), (true, false)] {
            let found = listener_findings(
                &[pair("ours", "Order"), pair("ours", "Price")],
                Some("ours"),
                Asked { products, returns: false },
            );
            assert_eq!(found.iter().any(|f| f.level == FindingLevel::Warning), warned, "{found:?}");
            assert_eq!(
                queue_findings(&[("ProductSize".to_owned(), None)], now, Asked { products, returns: false }).len(),
                usize::from(warned)
            );
        }
    }

    #[test]
    fn a_missing_permission_hangs_on_the_token() {
        let fault = Fault::Unauthorized { what: "read".to_owned(), detail: "You need PaymentHistory:read permission".to_owned() };
        let found = fault_finding(&fault);
        assert_eq!(found.setting.as_deref(), Some("token"));
        assert!(found.message.contains("PaymentHistory:read"));
    }
}
