//! What `check` asks of a live account: credentials, clock, zone, permissions, tax regime, limits.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use jiff::{
    SignedDuration, Timestamp,
    civil::{DateTime, Time},
    tz::TimeZone,
};
use selvedge_connector::{Clock, Fault, Finding, FindingLevel, Priority, Probe};
use serde_json::Value;

use super::{
    client::{Ask, Client},
    encode::RECORDS,
    returns,
    settings::{Changes, Form, Goods, ItemSettings, ReturnSettings, ShipmentSettings, StockSettings, Tax},
    stock, suiteql, wire,
};

/// From how far off a clock is worth a word, and from how far signatures are refused (about five minutes).
const SKEW_WARN_SECONDS: i64 = 30;
const SKEW_BAD_SECONDS: i64 = 240;
/// Rows of stock that are looked at.
const SAMPLE: usize = 200;
/// The vendor's query for what time the database believes it is.
const ZONE_QUERY: &str =
    "SELECT TO_CHAR(SYSDATE,'YYYY-MM-DD HH24:MI:SS') d FROM currency WHERE id = (SELECT MIN(id) FROM currency)";

/// The port.
pub(crate) struct AccountProbe {
    pub client: Client,
    pub form: Form,
    pub stock: StockSettings,
    pub items: ItemSettings,
    pub shipments: ShipmentSettings,
    pub returns: ReturnSettings,
    pub clock: Arc<dyn Clock>,
    pub concurrency: usize,
}

fn finding(level: FindingLevel, setting: Option<&str>, message: impl Into<String>, remedy: &str) -> Finding {
    Finding { level, setting: setting.map(str::to_owned), message: message.into(), remedy: remedy.to_owned() }
}

fn good(message: impl Into<String>) -> Finding {
    finding(FindingLevel::Good, None, message, "")
}

fn failed(setting: Option<&str>, question: &str, fault: &Fault) -> Finding {
    let (setting, remedy) = match fault {
        Fault::Unauthorized { .. } if setting.is_none() => (
            Some("auth"),
            "See the integration record, the certificate or token and its role under Setup > Users/Roles, and the account's Login Audit Trail. After a sandbox refresh both have to be made anew.",
        ),
        Fault::Transient { .. } | Fault::Unanswered { .. } => {
            (setting.or(Some("base_url")), "See whether the address is right and the account is up, then run the check again.")
        }
        Fault::Throttled { .. } => (
            setting.or(Some("concurrency")),
            "Other integrations use up the account's concurrency now. Run the check again, or lower theirs.",
        ),
        _ => (setting, "Grant the role what the message names, then run the check again."),
    };
    finding(FindingLevel::Bad, setting, format!("{question}: {fault}"), remedy)
}

#[async_trait]
impl Probe for AccountProbe {
    async fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let server_time = self.server_time(&mut findings).await;
        if server_time.is_none() && findings.iter().any(|f| f.setting.as_deref() == Some("auth")) {
            // Nothing else can be asked.
            return findings;
        }
        self.queries(server_time, &mut findings).await;
        self.stock(&mut findings).await;
        self.beside_stock(&mut findings).await;
        self.schema(&mut findings).await;
        self.items(&mut findings).await;
        self.fulfilments(&mut findings).await;
        self.what_comes_back(&mut findings).await;
        self.limits(&mut findings).await;
        findings.push(finding(
            FindingLevel::Good,
            None,
            "whether the role may create and approve documents cannot be asked without writing one; property-name validation is demanded on every write",
            "",
        ));
        findings
    }
}

impl AccountProbe {
    async fn server_time(&self, findings: &mut Vec<Finding>) -> Option<Timestamp> {
        let ask = Ask::get("ask for the server time", "/services/rest/system/v1/serverTime", Priority::Control);
        let body = match self.client.json(&ask).await {
            Ok(body) => body,
            Err(fault) => {
                findings.push(failed(None, "the credentials, asked with the server time", &fault));
                return None;
            }
        };
        let now = self.clock.now();
        findings.push(good("the credentials are accepted"));
        let Some(there) = wire::text(&body, "serverTime").and_then(|text| selvedge_model::moment::with_offset(&text).ok()) else {
            findings.push(finding(
                FindingLevel::Warning,
                None,
                "the server time could not be read",
                "See what /services/rest/system/v1/serverTime answers.",
            ));
            return None;
        };
        let skew = now.duration_since(there).as_secs();
        findings.push(match skew.saturating_abs() {
            0..=SKEW_WARN_SECONDS => good("our clock and theirs agree"),
            off => finding(
                if off >= SKEW_BAD_SECONDS { FindingLevel::Bad } else { FindingLevel::Warning },
                None,
                format!(
                    "our clock is {off} s {} theirs; signatures are refused from about 300 s",
                    if skew > 0 { "ahead of" } else { "behind" }
                ),
                "Let this machine set its clock by the network (NTP).",
            ),
        });
        Some(there)
    }

    async fn queries(&self, server_time: Option<Timestamp>, findings: &mut Vec<Finding>) {
        let rows = match suiteql::query(&self.client, "ask for the database time", ZONE_QUERY, &[], 1, Priority::Control).await {
            Ok(rows) => rows,
            Err(fault) => {
                let mut finding = failed(None, "SuiteQL, by which documents are found again", &fault);
                if !matches!(fault, Fault::Transient { .. } | Fault::Throttled { .. } | Fault::Unanswered { .. }) {
                    finding.remedy =
                        "Grant the role SuiteAnalytics Workbook, and view of currencies, items and transactions.".to_owned();
                }
                findings.push(finding);
                return;
            }
        };
        findings.push(good("SuiteQL answers"));
        let local = rows.rows.first().and_then(|row| row.get("d")).and_then(|text| text.parse::<DateTime>().ok());
        if rows.rows.is_empty() {
            findings.push(finding(
                FindingLevel::Warning,
                None,
                "SuiteQL shows no currency: the role may not see the list, and rows are left out silently",
                "Grant the role view of Currency.",
            ));
        }
        if !self.zone_of_documents(findings).await
            && let (Some(there), Some(local)) = (server_time, local)
        {
            // The database's own time is a hint only: how it prints a document's is what counts.
            findings.push(zone_finding(there, local, &self.form.query_time_zone));
        }
        for (table, permission) in
            [("item", "Items"), ("transaction", "Find Transaction and Sales Order"), ("customer", "Customers")]
        {
            let sql = format!("SELECT id FROM {table} WHERE id > ? ORDER BY id");
            match suiteql::query(&self.client, &format!("look into {table}"), &sql, &["0"], 1, Priority::Control).await {
                Ok(rows) if rows.rows.is_empty() => findings.push(finding(
                    FindingLevel::Warning,
                    None,
                    format!("SuiteQL shows no {table}: there is none, or the role may not see it (rows are left out silently)"),
                    "Grant the role the permission if there should be some.",
                )),
                Ok(_) => findings.push(good(format!("SuiteQL shows {table}"))),
                Err(fault) => {
                    let mut finding = failed(None, &format!("SuiteQL on {table}"), &fault);
                    if !matches!(fault, Fault::Transient { .. } | Fault::Throttled { .. } | Fault::Unanswered { .. }) {
                        finding.remedy = format!("Grant the role {permission}.");
                    }
                    findings.push(finding);
                }
            }
        }
    }

    /// What the column of changes holds, by some rows.
    fn changes_of_stock(&self, rows: &suiteql::Rows) -> Finding {
        let warning = |setting: &str, message: &str, remedy: &str| finding(FindingLevel::Warning, Some(setting), message, remedy);
        let table = self.stock.table.name();
        let zone = &self.form.query_time_zone;
        let told: Vec<DateTime> =
            rows.rows.iter().filter_map(|row| row.get("changed")).filter_map(|text| text.parse().ok()).collect();
        let ahead = zone.to_datetime(self.clock.now().checked_add(SignedDuration::from_mins(5)).unwrap_or(Timestamp::MAX));
        if told.iter().any(|at| *at > ahead) {
            return warning(
                "query_time_zone",
                "some stock changed in the future: timestamps are printed in another zone than query_time_zone",
                "Set query_time_zone to the zone in which SuiteQL prints timestamps: polls would miss changes.",
            );
        }
        let by_day = told.len() >= 3 && told.iter().all(|at| at.time() == Time::midnight());
        match self.stock.changes {
            Changes::ByTime if by_day => warning(
                "stock_changes",
                "the column that tells when stock changed holds days alone: changes of today would not be found",
                "Set stock_changes = \"date\".",
            ),
            _ if told.is_empty() => good(format!("SuiteQL shows {table}; of the rows looked at none has ever changed")),
            _ => good(format!("SuiteQL shows {table}, and when its rows changed")),
        }
    }

    /// Whether orders that wait for approval, and the parts of kits, can be read for stock.
    async fn beside_stock(&self, findings: &mut Vec<Finding>) {
        for kits in [true, false] {
            let sql = stock::pending::sums_sql(kits, "");
            let asked = suiteql::query(&self.client, "sum what waits for approval", &sql, &["0", "0", "0"], 1, Priority::Control);
            match asked.await {
                Ok(_) => {
                    findings.push(if kits {
                        good("SuiteQL sums what waits for approval, kits by their parts")
                    } else {
                        finding(
                            FindingLevel::Warning,
                            None,
                            "SuiteQL shows no parts of kits (itemmember): kits, if there are any, have no stock",
                            "Grant the role view of Items and Kit/Package items; nothing to do in an account without kits.",
                        )
                    });
                    return;
                }
                Err(fault) if !kits => findings.push(finding(
                    FindingLevel::Warning,
                    None,
                    format!("what waits for approval cannot be summed, and stock cannot be read without: {fault}"),
                    "For stock, grant the role Sales Order (view) and Find Transaction; nothing to do without.",
                )),
                Err(_) => {}
            }
        }
    }

    /// Whether stock can be read as it is set. Whether there is a flow of stock is not known here, so the worst is a warning.
    async fn stock(&self, findings: &mut Vec<Finding>) {
        let table = self.stock.table.name();
        let first = |settings: &StockSettings| {
            let (client, sql) = (&self.client, stock::levels_sql(settings, ""));
            async move {
                suiteql::query(client, &format!("look into {table}"), &sql, &["0", "0", "0"], SAMPLE, Priority::Control).await
            }
        };
        let warning =
            |setting: &str, message: String, remedy: &str| finding(FindingLevel::Warning, Some(setting), message, remedy);
        findings.push(match first(&self.stock).await {
            Ok(rows) if rows.rows.is_empty() => warning(
                "stock_table",
                format!("SuiteQL shows no {table}: there is no stock, or the role may not see it (rows are left out silently)"),
                "For stock, grant the role view of Items and Locations; nothing to do without.",
            ),
            Ok(rows) if self.stock.changes != Changes::Untold => self.changes_of_stock(&rows),
            Ok(_) => good(format!("SuiteQL shows {table}")),
            // Is it the table, or the column that not every account has?
            Err(fault) => match first(&StockSettings { changes: Changes::Untold, ..self.stock.clone() }).await {
                Ok(_) if self.stock.changes != Changes::Untold => warning(
                    "stock_changes",
                    format!("{table} does not tell when its rows changed: {fault}"),
                    "Set stock_changes = \"none\": everything is then read each time.",
                ),
                _ => warning(
                    "stock_table",
                    format!("stock cannot be read from {table}: {fault}"),
                    "For stock, grant the role view of Items and Locations, or set the other stock_table; nothing to do without.",
                ),
            },
        });
    }

    /// Compares how a document's last change is printed by a query and by the record service (which is
    /// always UTC); reading one proves the permission for it, too. Whether there was one to compare.
    async fn zone_of_documents(&self, findings: &mut Vec<Finding>) -> bool {
        let sql = format!(
            "SELECT id, TO_CHAR(lastmodifieddate,'YYYY-MM-DD HH24:MI:SS') AS lm FROM transaction WHERE type = '{}' AND id > ? ORDER BY id",
            self.form.document.query_type()
        );
        let rows = suiteql::query(&self.client, "look at a document", &sql, &["0"], 1, Priority::Control).await;
        // A refusal shows below, where the table is looked into.
        let Some(row) = rows.ok().and_then(|rows| rows.rows.into_iter().next()) else {
            return false;
        };
        let (Some(id), Some(printed)) = (row.get("id"), row.get("lm").and_then(|text| text.parse::<DateTime>().ok())) else {
            return false;
        };
        let path = format!("{RECORDS}/{}/{id}", self.form.document.record());
        match self.client.json(&Ask::get(format!("read {} {id}", self.form.document.words()), &path, Priority::Control)).await {
            Ok(document) => {
                findings.push(good(format!("the role may read a {}", self.form.document.words())));
                let changed =
                    wire::text(&document, "lastModifiedDate").and_then(|text| selvedge_model::moment::with_offset(&text).ok());
                let Some(changed) = changed else { return false };
                findings.push(zone_finding(changed, printed, &self.form.query_time_zone));
                true
            }
            Err(fault) => {
                let mut finding = failed(None, &format!("reading a {}", self.form.document.words()), &fault);
                if matches!(fault, Fault::Unauthorized { .. } | Fault::Refused { .. }) {
                    finding.setting = None;
                    finding.remedy = "Grant the role Sales Order (or Cash Sale) with edit: the service opens a record for editing even to read it.".to_owned();
                }
                findings.push(finding);
                false
            }
        }
    }

    async fn schema(&self, findings: &mut Vec<Finding>) {
        let path = format!("{RECORDS}/metadata-catalog/{}", self.form.document.record());
        let ask = Ask {
            headers: vec![("accept", "application/schema+json")],
            ..Ask::get("read the document's schema", &path, Priority::Control)
        };
        match self.client.json(&ask).await {
            Ok(schema) => findings.extend(schema_findings(&names_in(&schema), &self.form)),
            Err(fault @ (Fault::Refused { .. } | Fault::Unexpected { .. } | Fault::Transient { .. })) => findings.push(finding(
                FindingLevel::Warning,
                Some("tax"),
                format!("the schema of the document could not be read, so the tax regime is not known: {fault}"),
                "Find out under Setup > Company > Enable Features > Tax whether SuiteTax is on, and set tax accordingly.",
            )),
            Err(fault) => findings.push(failed(Some("tax"), "the schema of the document", &fault)),
        }
    }

    /// Whether an item can be read and has the fields that products go to. Whether there is a flow of products is not known here,
    /// so the worst is a warning.
    async fn items(&self, findings: &mut Vec<Finding>) {
        let warning =
            |setting: Option<&str>, message: String, remedy: &str| finding(FindingLevel::Warning, setting, message, remedy);
        let sql = "SELECT id FROM item WHERE itemtype = 'InvtPart' AND id > ? ORDER BY id";
        let rows = suiteql::query(&self.client, "look at an item", sql, &["0"], 1, Priority::Control).await;
        // A refusal shows where the table is looked into.
        if let Some(id) = rows.ok().and_then(|rows| rows.rows.into_iter().next()).and_then(|row| row.get("id").cloned()) {
            let path = format!("{RECORDS}/inventoryItem/{id}");
            match self.client.json(&Ask::get(format!("read inventory item {id}"), &path, Priority::Control)).await {
                Ok(_) => findings.push(good("the role may read an inventory item")),
                Err(fault) => findings.push(warning(
                    None,
                    format!("an inventory item cannot be read: {fault}"),
                    "For products, grant the role Lists > Items with full access: the service opens a record for editing even to read it. Nothing to do without.",
                )),
            }
        }
        let path = format!("{RECORDS}/metadata-catalog/inventoryItem");
        let ask = Ask {
            headers: vec![("accept", "application/schema+json")],
            ..Ask::get("read the schema of items", &path, Priority::Control)
        };
        let Ok(schema) = self.client.json(&ask).await else { return };
        let names = names_in(&schema);
        let has = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        for (setting, name) in [("items.name_field", &self.items.name_field), ("items.hs_code_field", &self.items.hs_code_field)]
        {
            if !has(name) {
                findings.push(warning(
                    Some(setting),
                    format!("items have no field {name} in this account"),
                    "For products, mend the name, or make the field and show it on the role's form.",
                ));
            }
        }
        for name in self.items.fields.keys().filter(|name| !has(name)) {
            findings.push(warning(
                Some("items.fields"),
                format!("items have no field {name} in this account"),
                "For products, mend the name, or make the field and show it on the role's form.",
            ));
        }
    }

    /// Whether an item fulfilment can be read, and what cannot be asked.
    async fn fulfilments(&self, findings: &mut Vec<Finding>) {
        let sql = "SELECT id FROM transaction WHERE type = 'ItemShip' AND id > ? ORDER BY id";
        let rows = suiteql::query(&self.client, "look at an item fulfilment", sql, &["0"], 1, Priority::Control).await;
        let permission = "For shipments, grant the role Item Fulfillment (edit), Fulfill Sales Orders and Find Transaction. Nothing to do without.";
        match rows {
            Err(fault) => findings.push(finding(
                FindingLevel::Warning,
                None,
                format!("SuiteQL does not show item fulfillments: {fault}"),
                permission,
            )),
            Ok(rows) => {
                if let Some(id) = rows.rows.into_iter().next().and_then(|row| row.get("id").cloned()) {
                    let path = format!("{RECORDS}/itemFulfillment/{id}");
                    match self.client.json(&Ask::get(format!("read item fulfillment {id}"), &path, Priority::Control)).await {
                        Ok(_) => findings.push(good("the role may read an item fulfillment")),
                        Err(fault) => findings.push(finding(
                            FindingLevel::Warning,
                            None,
                            format!("an item fulfillment cannot be read: {fault}"),
                            permission,
                        )),
                    }
                }
            }
        }
        let posts = if self.shipments.status == "C" { "posts goods and cost" } else { "is made without posting" };
        findings.push(good(format!(
            "whether Advanced Shipping is on cannot be asked: without it each fulfilment of a flow of shipments, which {posts} here, bills as well, and nothing else may invoice the order"
        )));
    }

    /// Whether what returns need can be read. Whether there is a flow of them is not known here, so the worst is a warning.
    async fn what_comes_back(&self, findings: &mut Vec<Finding>) {
        let warning =
            |setting: Option<&str>, message: String, remedy: &str| finding(FindingLevel::Warning, setting, message, remedy);
        let mut wanted =
            vec![("CustCred", "creditMemo", "Credit Memo and Credit Returns"), ("CustRfnd", "customerRefund", "Customer Refund")];
        wanted.push(match self.returns.goods {
            Goods::Authorization => {
                ("RtnAuth", "returnAuthorization", "Return Authorization, Approve Return Auth., Receive Returns and Item Receipt")
            }
            Goods::Adjustment => ("InvAdjst", "inventoryAdjustment", "Adjust Inventory"),
        });
        for (query_type, record, permission) in wanted {
            let remedy = format!("For returns, grant the role {permission}, all with edit. Nothing to do without.");
            let sql = format!("SELECT id FROM transaction WHERE type = '{query_type}' AND id > ? ORDER BY id");
            let rows = suiteql::query(&self.client, &format!("look at a {record}"), &sql, &["0"], 1, Priority::Control).await;
            let id = match rows {
                Ok(rows) => rows.rows.into_iter().next().and_then(|row| row.get("id").cloned()),
                Err(fault) => {
                    findings.push(warning(None, format!("SuiteQL does not show a {record}: {fault}"), &remedy));
                    continue;
                }
            };
            let Some(id) = id else { continue };
            let path = format!("{RECORDS}/{record}/{id}");
            findings.push(match self.client.json(&Ask::get(format!("read {record} {id}"), &path, Priority::Control)).await {
                Ok(_) => good(format!("the role may read a {record}")),
                Err(fault) => warning(None, format!("a {record} cannot be read: {fault}"), &remedy),
            });
        }
        let asked =
            suiteql::query(&self.client, "look at periods", returns::period::SQL, &["0"], suiteql::PAGE, Priority::Control);
        findings.push(match asked.await {
            Ok(rows) if rows.rows.is_empty() => warning(
                Some("returns.closed_period"),
                "SuiteQL shows no accounting period, so a closed one shows only when NetSuite refuses a document".to_owned(),
                "For returns, grant the role Manage Accounting Periods (view). Nothing to do without.",
            ),
            Ok(rows) => {
                let closed = returns::period::posting_days(&rows.rows).len();
                good(format!("SuiteQL shows the accounting periods; {closed} months are closed or locked"))
            }
            Err(fault) => warning(
                Some("returns.closed_period"),
                format!(
                    "the accounting periods cannot be read, so a closed one shows only when NetSuite refuses a document: {fault}"
                ),
                "For returns, grant the role Manage Accounting Periods (view). Nothing to do without.",
            ),
        });
        if self.returns.goods == Goods::Authorization {
            let path = format!("{RECORDS}/metadata-catalog/itemReceipt");
            let ask = Ask {
                headers: vec![("accept", "application/schema+json")],
                ..Ask::get("read the schema of item receipts", &path, Priority::Control)
            };
            let names = self.client.json(&ask).await.map(|schema| names_in(&schema)).unwrap_or_default();
            let field = &self.returns.restock_field;
            // A schema that only links its lines says nothing about them.
            let shows_lines = names.iter().any(|name| name.eq_ignore_ascii_case("orderLine"));
            if shows_lines && !names.iter().any(|name| name.eq_ignore_ascii_case(field)) {
                findings.push(warning(
                    Some("returns.restock_field"),
                    format!("lines of item receipts have no field {field} in this account"),
                    "Map disposition=write_off of each warehouse in return_location to a place that is not for sale: written-off goods are received there, without the field.",
                ));
            }
        }
    }

    async fn limits(&self, findings: &mut Vec<Finding>) {
        let ask = Ask::get("ask for the concurrency limit", "/services/rest/system/v1/governanceLimits", Priority::Control);
        findings.push(match self.client.json(&ask).await {
            Ok(limits) => limit_finding(&limits, self.concurrency),
            // Only administrators may ask.
            Err(_) => good(format!(
                "the account's concurrency limit is shown to administrators only; we use {} calls at once",
                self.concurrency
            )),
        });
    }
}

fn limit_finding(limits: &Value, ours: usize) -> Finding {
    let of = |name: &str| wire::decimal(limits, name).and_then(|n| usize::try_from(n).ok());
    match of("integrationConcurrencyLimit").or_else(|| of("accountConcurrencyLimit")) {
        Some(limit) if ours >= limit => finding(
            FindingLevel::Warning,
            Some("concurrency"),
            format!("we use {ours} calls at once, and the limit is {limit} for all that share it"),
            "Leave room for the other integrations: set it lower.",
        ),
        Some(limit) => good(format!("{ours} of {limit} concurrent calls are ours")),
        None => good(format!("no concurrency limit is told; we use {ours} calls at once")),
    }
}

fn zone_finding(there: Timestamp, local: DateTime, zone: &TimeZone) -> Finding {
    let expected = zone.to_datetime(there);
    let off = |a: DateTime, b: DateTime| a.duration_since(b).as_secs();
    if off(local, expected).abs() <= 300 {
        return good("SuiteQL prints timestamps in the configured zone");
    }
    let hours = off(local, TimeZone::UTC.to_datetime(there));
    let minutes = (hours.saturating_add(if hours < 0 { -450 } else { 450 })) / 900 * 15;
    let sign = if minutes < 0 { '-' } else { '+' };
    finding(
        FindingLevel::Warning,
        Some("query_time_zone"),
        format!(
            "SuiteQL prints timestamps {sign}{:02}:{:02} from UTC, which is not the configured zone",
            minutes.abs() / 60,
            minutes.abs() % 60
        ),
        "Set query_time_zone to the zone with this offset (the integration user's, or the server's).",
    )
}

/// Every property name that a schema mentions, however deep.
fn names_in(schema: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::Object(properties)) = map.get("properties") {
                    names.extend(properties.keys().cloned());
                }
                map.values().for_each(|inner| walk(inner, names));
            }
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, names)),
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    walk(schema, &mut names);
    names
}

fn schema_findings(names: &BTreeSet<String>, form: &Form) -> Vec<Finding> {
    let has = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let mut findings = Vec::new();
    let suitetax = has("taxDetails") || has("taxDetailsOverride");
    let legacy = has("shippingTaxCode") || has("taxItem") || has("isTaxable");
    findings.push(match (form.tax, suitetax, legacy) {
        (Tax::Suite, true, _) => good("the account calculates tax with SuiteTax; ours is written as override"),
        (Tax::Suite, false, _) => finding(
            FindingLevel::Bad,
            Some("tax"),
            "the account has no tax details: SuiteTax is off, or the role may not see them",
            "Grant the role Tax Details Tab (edit); or set tax = \"legacy\", which is best effort.",
        ),
        (Tax::Legacy, true, false) => {
            finding(FindingLevel::Bad, Some("tax"), "the account calculates tax with SuiteTax", "Set tax = \"suitetax\".")
        }
        (Tax::Legacy, ..) => finding(
            FindingLevel::Warning,
            Some("tax"),
            "legacy tax through REST is not supported by the vendor; what comes out is compared to the cent when it is read back",
            "Expect exceptions where NetSuite rounds otherwise than the shop.",
        ),
        (Tax::None, ..) => finding(
            FindingLevel::Warning,
            Some("tax"),
            "no tax is sent; orders with tax will differ when they are read back",
            "Set tax = \"suitetax\" or \"legacy\".",
        ),
    });
    let mut wanted = vec!["externalId", "entity", "currency", "tranDate", "otherRefNum", "item"];
    wanted.extend(form.payment_reference_field.as_deref());
    wanted.extend(form.fields.keys().map(String::as_str));
    for name in wanted.into_iter().filter(|name| !has(name)) {
        findings.push(finding(
            FindingLevel::Bad,
            if form.payment_reference_field.as_deref() == Some(name) { Some("payment_reference_field") } else { None },
            format!("the document has no field {name} in this account"),
            "Mend the name, or make the field and show it on the role's form.",
        ));
    }
    if form.one_world != has("subsidiary") {
        findings.push(finding(
            FindingLevel::Warning,
            Some("one_world"),
            if form.one_world {
                "the document has no field subsidiary: the account seems to be without OneWorld"
            } else {
                "the document has a field subsidiary: the account seems to be OneWorld"
            },
            "Set one_world to fit the account.",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|n| (*n).to_owned()).collect()
    }

    const BASE: [&str; 7] = ["externalId", "entity", "currency", "tranDate", "otherRefNum", "item", "subsidiary"];

    #[test]
    fn the_tax_regime_is_told_from_the_schema() {
        let with = |extra: &str, tax: Tax| {
            let form = Form { tax, ..Form::default() };
            let mut all = names(&BASE);
            all.insert(extra.to_owned());
            schema_findings(&all, &form)[0].level
        };
        assert_eq!(with("taxDetails", Tax::Suite), FindingLevel::Good);
        assert_eq!(with("shippingTaxCode", Tax::Suite), FindingLevel::Bad);
        assert_eq!(with("taxDetails", Tax::Legacy), FindingLevel::Bad);
        assert_eq!(with("shippingTaxCode", Tax::Legacy), FindingLevel::Warning);
    }

    #[test]
    fn a_field_that_the_account_does_not_have_is_named() {
        let form = Form { payment_reference_field: Some("custbody_ref".to_owned()), ..Form::default() };
        let mut all = names(&BASE);
        all.insert("taxDetails".to_owned());
        let findings = schema_findings(&all, &form);
        assert!(findings.iter().any(|f| f.level == FindingLevel::Bad && f.setting.as_deref() == Some("payment_reference_field")));
        all.insert("custbody_ref".to_owned());
        assert!(schema_findings(&all, &form).iter().all(|f| f.level == FindingLevel::Good));
        let deep = json!({"components": {"schemas": {"so": {"properties": {"taxDetails": {"properties": {"items": {}}}}}}}});
        assert!(names_in(&deep).contains("taxDetails") && names_in(&deep).contains("items"));
    }

    #[test]
    fn the_zone_is_compared_with_the_setting() {
        let there: Timestamp = "2026-02-03T12:00:00Z".parse().unwrap();
        let local: DateTime = "2026-02-03T04:00:02".parse().unwrap();
        let pacific = TimeZone::get("America/Los_Angeles").unwrap();
        assert_eq!(zone_finding(there, local, &pacific).level, FindingLevel::Good);
        let wrong = zone_finding(there, local, &TimeZone::UTC);
        assert!(wrong.level == FindingLevel::Warning && wrong.message.contains("-08:00"), "{}", wrong.message);
    }

    #[test]
    fn a_limit_that_we_would_use_up_alone_is_told() {
        assert_eq!(limit_finding(&json!({"accountConcurrencyLimit": 5}), 5).level, FindingLevel::Warning);
        assert_eq!(limit_finding(&json!({"accountConcurrencyLimit": "5"}), 2).level, FindingLevel::Good);
    }
}
