//! One account's calls: a session that is opened, renewed and lost, limits per method, answers sorted.
//!
//! A login answers with a session token and the server to talk to; the server is believed only when it is one of the
//! vendor's, or the host that the login itself is at. The session slides: it lives for half an hour after the last call,
//! and any 401 is answered by one new login and one repetition, as nothing has happened behind it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use selvedge_connector::{
    Answer, Budget, BudgetWindow, Call, Clock, Effect, Fault, Priority, Secret, Session, redact, session::HeaderText,
    settings::is_address,
};
use selvedge_model::Problem;
use serde_json::{Value, json};

use super::settings::Credentials;
use crate::complaint::cause_of;

/// A session's life where the answer does not tell one.
const TTL_USUAL: Duration = Duration::from_secs(1_800);
/// The share of its life after which a session is opened anew, in percent.
const RENEW_PERCENT: u64 = 80;

/// What the vendor states of a method that we call.
struct Method {
    name: &'static str,
    /// Calls a minute.
    quota: u64,
    /// The permission that the installing user needs for it.
    permission: Option<&'static str>,
}

const fn method(name: &'static str, quota: u64, permission: &'static str) -> Method {
    Method { name, quota, permission: if permission.is_empty() { None } else { Some(permission) } }
}

/// Changes an item.
const ITEM: &str = "Inventory.Stock.StockWrite.ChangeStockItemDetailsNode";

/// Looks at what comes back.
const RETURNS: &str = "OrderBook.ReturnsRefunds.ReturnsExchanges.ViewReturnsExchangesNode";

/// Every method that we call.
const METHODS: &[Method] = &[
    method("Auth/AuthorizeByApplication", 150, ""),
    method("Orders/CreateOrders", 150, ""),
    method("Orders/CancelOrder", 150, ""),
    method("Orders/GetOrderDetailsByReferenceId", 250, "OrderBook.ViewOrderDetailsNode"),
    method("ProcessedOrders/GetPackageSplit", 150, ""),
    method("PostalServices/GetPostalServices", 150, "ShippingService.PostalServicesNode"),
    method("Inventory/GetStockLocations", 150, ""),
    method("Inventory/GetInventoryItemsCount", 150, ""),
    method("Inventory/GetInventoryItemsCompositionByIds", 250, ""),
    method("Inventory/AddInventoryItem", 150, "Inventory.MyInventoryNode"),
    method("Inventory/UpdateInventoryItemField", 250, ITEM),
    method("Inventory/ArchiveInventoryItems", 150, ""),
    method("Inventory/UnarchiveInventoryItems", 150, ""),
    method("Inventory/CreateInventoryItemCompositions", 150, ITEM),
    method("Inventory/UpdateInventoryItemCompositions", 150, ITEM),
    method("Inventory/DeleteInventoryItemCompositions", 150, ITEM),
    method("Inventory/CreateInventoryItemExtendedProperties", 250, ITEM),
    method("Inventory/UpdateInventoryItemExtendedProperties", 150, ITEM),
    method("Inventory/DeleteInventoryItemExtendedProperties", 250, ITEM),
    method("Stock/GetStockItemsFull", 150, ""),
    method("Stock/GetStockItemsFullByIds", 250, ""),
    method("Stock/GetStockItemTypeInfo", 150, "Inventory.Stock.StockReadNode"),
    method("Stock/SetStockLevel", 250, "Inventory.Stock.StockWrite.ChangeStockLevelsNode"),
    method("ReturnsRefunds/CreateRMABooking", 150, "OrderBook.ReturnsRefunds.ReturnsExchanges.CreateReturnsExchangesNode"),
    method("ReturnsRefunds/GetActionableRMAHeaders", 150, RETURNS),
    method("ReturnsRefunds/GetProcessedOrAckedErrorRMAHeaders", 150, RETURNS),
    method("v2/orders", 150, ""),
];

/// What the vendor grants, method by method.
pub(super) fn budget() -> Budget {
    let window = |method: &Method| BudgetWindow { name: method.name, quota: method.quota, per: Duration::from_secs(60) };
    Budget { windows: METHODS.iter().map(window).collect() }
}

/// What a refusal of the credentials may mean for this method.
fn permission(name: &str) -> String {
    match METHODS.iter().find(|method| method.name == name).and_then(|method| method.permission) {
        Some(permission) => format!("{name} needs the permission {permission} of the user who installed the application"),
        None => format!("the user who installed the application may lack a permission for {name}"),
    }
}

/// An open session.
#[derive(Clone, Debug)]
struct Open {
    token: Secret,
    server: String,
    renew_at: Timestamp,
}

/// A way into one account.
#[derive(Clone)]
pub(super) struct Client {
    pub session: Arc<Session>,
    clock: Arc<dyn Clock>,
    login_url: Arc<str>,
    v2_url: Option<Arc<str>>,
    credentials: Arc<Credentials>,
    open: Arc<tokio::sync::Mutex<Option<Open>>>,
}

/// One call.
pub(super) struct Ask<'a> {
    pub what: String,
    /// `Orders/CreateOrders`, or `v2/orders`.
    pub method: &'static str,
    /// The query, without the question mark.
    pub query: String,
    /// The parameters of a POST; a GET has none.
    pub body: Option<&'a Value>,
    pub effect: Effect,
    pub priority: Priority,
}

impl<'a> Ask<'a> {
    pub fn get(what: impl Into<String>, method: &'static str, query: &[(&str, &str)], priority: Priority) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(query);
        Self { what: what.into(), method, query: form.finish(), body: None, effect: Effect::Read, priority }
    }

    pub fn post(what: impl Into<String>, method: &'static str, body: &'a Value, effect: Effect, priority: Priority) -> Self {
        Self { what: what.into(), method, query: String::new(), body: Some(body), effect, priority }
    }
}

impl Client {
    pub fn new(
        session: Arc<Session>,
        clock: Arc<dyn Clock>,
        login_url: &str,
        v2_url: Option<&str>,
        credentials: Credentials,
    ) -> Self {
        Self {
            session,
            clock,
            login_url: login_url.into(),
            v2_url: v2_url.map(Into::into),
            credentials: Arc::new(credentials),
            open: Arc::default(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The answer's JSON.
    ///
    /// # Errors
    /// See [`fault`]; a body that is no JSON is maintenance or a cut answer.
    pub async fn json(&self, ask: &Ask<'_>) -> Result<Value, Fault> {
        let answer = self.ask(ask).await?;
        if answer.status == 204 || answer.body.is_empty() && answer.status == 200 {
            return Ok(Value::Null);
        }
        if !(200..300).contains(&answer.status) {
            return Err(fault(ask, &answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| lost(ask, format!("the answer is no JSON or cut short: {error}")))
    }

    /// The answer, whatever its status, but for a 401 that one new session has mended.
    pub async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Fault> {
        self.session.permits(ask.effect, &ask.what)?;
        let mut renewed = false;
        loop {
            let open = self.opened().await?;
            let base = match ask.method.strip_prefix("v2/") {
                Some(path) => format!("{}/{path}", self.v2(&open.server)),
                None => format!("{}/api/{}", open.server, ask.method),
            };
            let url = if ask.query.is_empty() { base } else { format!("{base}?{}", ask.query) };
            let body: Bytes = ask.body.map(|body| body.to_string().into()).unwrap_or_default();
            let mut headers = vec![
                ("authorization", HeaderText::Hidden(open.token.clone())),
                ("accept", HeaderText::Plain("application/json".to_owned())),
            ];
            if ask.body.is_some() {
                headers.push(("content-type", HeaderText::Plain("application/json".to_owned())));
            }
            let call = Call {
                what: ask.what.clone(),
                method: if ask.body.is_some() { "POST" } else { "GET" },
                url,
                headers,
                body,
                effect: ask.effect,
                priority: ask.priority,
                costs: vec![(ask.method, 1)],
            };
            let answer = self.session.send(call).await?;
            if answer.status == 401 && !renewed {
                self.forget(&open).await;
                renewed = true;
                continue;
            }
            return Ok(answer);
        }
    }

    fn v2(&self, server: &str) -> String {
        if let Some(url) = &self.v2_url {
            return url.to_string();
        }
        match server.split_once("-ext.") {
            Some((region, rest)) => format!("{region}-api.{rest}/v2"),
            None => format!("{server}/v2"),
        }
    }

    async fn forget(&self, used: &Open) {
        let mut held = self.open.lock().await;
        // Another call may have opened a new one already.
        if held.as_ref().is_some_and(|open| open.token.reveal() == used.token.reveal()) {
            *held = None;
        }
    }

    /// The session; whoever comes while it is being opened waits for that one login.
    async fn opened(&self) -> Result<Open, Fault> {
        let mut held = self.open.lock().await;
        let now = self.clock.now();
        if let Some(open) = held.as_ref().filter(|open| now < open.renew_at) {
            return Ok(open.clone());
        }
        let open = self.log_in(now).await?;
        *held = Some(open.clone());
        Ok(open)
    }

    async fn log_in(&self, now: Timestamp) -> Result<Open, Fault> {
        let body = json!({
            "ApplicationId": self.credentials.application_id.reveal(),
            "ApplicationSecret": self.credentials.application_secret.reveal(),
            "Token": self.credentials.token.reveal(),
        });
        let what = "open a session".to_owned();
        let call = Call {
            what: what.clone(),
            method: "POST",
            url: format!("{}/api/Auth/AuthorizeByApplication", self.login_url),
            headers: vec![
                ("content-type", HeaderText::Plain("application/json".to_owned())),
                ("accept", HeaderText::Plain("application/json".to_owned())),
            ],
            body: body.to_string().into(),
            // A session that was opened and not heard of hurts nobody.
            effect: Effect::Read,
            priority: Priority::Control,
            costs: vec![("Auth/AuthorizeByApplication", 1)],
        };
        let answer = self.session.send(call).await?;
        let said = message(&answer.body);
        match answer.status {
            200 => {}
            400 | 401 | 403 => return Err(Fault::Unauthorized { what, detail: said }),
            429 => return Err(Fault::Throttled { what, wait: None }),
            status => {
                return Err(Fault::Transient { what, source: Some(format!("HTTP {status}: {said}").into()) });
            }
        }
        let told: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| Fault::Transient { what: what.clone(), source: Some(error.into()) })?;
        // States come as words, and as numbers from older servers (the order of declaration).
        let state = &told["Status"]["State"];
        let available = state.is_null() || state == "AVAILABLE" || state == 0;
        if !available {
            let reason = told["Status"]["Reason"].as_str().unwrap_or("no reason given");
            return Err(Fault::Unauthorized { what, detail: format!("the account is {state}: {reason}") });
        }
        let text = |name: &str| told[name].as_str().map(str::trim).filter(|text| !text.is_empty());
        let (Some(token), Some(server)) = (text("Token"), text("Server")) else {
            return Err(Fault::Unexpected { what, detail: "the login names no token or no server".to_owned() });
        };
        let server = server.trim_end_matches('/').to_owned();
        if !self.is_believed(&server) {
            let detail = format!("the login sends us to {server}, which is none of the vendor's servers");
            return Err(Fault::Unexpected { what, detail });
        }
        let ttl = told["TTL"].as_u64().filter(|seconds| *seconds > 0).map_or(TTL_USUAL, Duration::from_secs);
        let life = Duration::from_secs(ttl.as_secs().saturating_mul(RENEW_PERCENT) / 100);
        let renew_at = now.checked_add(life).unwrap_or(now);
        Ok(Open { token: Secret::new(token), server, renew_at })
    }

    fn is_believed(&self, server: &str) -> bool {
        let host = |url: &str| url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let theirs = host(server);
        is_address(server) && (theirs.ends_with(".linnworks.net") || theirs == host(&self.login_url))
    }
}

/// What an error body says: `{"Code": "-", "Message": "…"}`, or the v2 form.
fn message(body: &[u8]) -> String {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let found = ["Message", "message", "detail", "title"].iter().find_map(|name| told[*name].as_str());
    match found {
        Some(text) if !text.trim().is_empty() => {
            redact::sentence(&text.split_whitespace().collect::<Vec<_>>().join(" ")).chars().take(300).collect()
        }
        _ if body.trim_ascii().is_empty() => "no reason given".to_owned(),
        _ => redact::excerpt(body, 300),
    }
}

fn lost(ask: &Ask<'_>, why: String) -> Fault {
    let what = ask.what.clone();
    match ask.effect {
        Effect::Read => Fault::Transient { what, source: Some(why.into()) },
        Effect::Write => Fault::Unanswered { what, source: Some(why.into()) },
    }
}

/// The fault that an answer is.
pub(super) fn fault(ask: &Ask<'_>, answer: &Answer) -> Fault {
    let (what, said) = (ask.what.clone(), message(&answer.body));
    match answer.status {
        400 | 404 | 409 | 422 => {
            let problem = Problem::new(
                "target.refused",
                "",
                format!("Linnworks: {said}"),
                "Mend what Linnworks names, there or at the source, then release.",
            );
            Fault::Refused { what, problems: vec![problem.cause(cause_of(&said))] }
        }
        // A new session has been tried by then.
        401 | 403 => Fault::Unauthorized { what, detail: format!("{said} ({})", permission(ask.method)) },
        429 => Fault::Throttled { what, wait: None },
        500..=599 | 408 => lost(ask, format!("HTTP {}: {said}", answer.status)),
        status => Fault::Unexpected { what, detail: format!("HTTP {status}: {said}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(effect: Effect, status: u16, body: &str) -> String {
        let ask = Ask {
            what: "x".into(),
            method: "Orders/CreateOrders",
            query: String::new(),
            body: None,
            effect,
            priority: Priority::Orders,
        };
        let answer = Answer { status, headers: vec![], body: body.as_bytes().to_vec().into() };
        let fault = fault(&ask, &answer);
        format!("{}: {fault}", fault.word())
    }

    #[test]
    fn what_a_write_may_have_done_is_never_called_undone() {
        assert!(word(Effect::Write, 500, "").starts_with("unanswered"));
        assert!(word(Effect::Read, 500, "").starts_with("transient"));
        assert!(word(Effect::Write, 429, "").starts_with("throttled"));
        let refused = word(Effect::Write, 400, r#"{"Code":"-","Message":"Order needs at least one item"}"#);
        assert!(refused.starts_with("refused") && refused.contains("at least one item"), "{refused}");
    }

    #[test]
    fn whom_an_answer_names_is_not_told() {
        let document = r#"{"status":"odd","customer":{"name":"Ada Lovelace","email":"ada@example.com"}}"#;
        for body in [document, &document[..document.len() - 2], r#"{"Message":"odd: ask ada@example.com"}"#] {
            for status in [302, 400, 401, 500] {
                let ask = Ask::get("x", "Orders/CreateOrders", &[], Priority::Orders);
                let answer = Answer { status, headers: vec![], body: body.as_bytes().to_vec().into() };
                let told = format!("{:?}", fault(&ask, &answer));
                assert!(told.contains("odd"), "{told}");
                assert!(!told.contains("Ada") && !told.contains("example.com"), "{told}");
            }
        }
    }

    #[test]
    fn a_missing_permission_is_named() {
        let ask = Ask::get("x", "Stock/SetStockLevel", &[], Priority::Stock);
        for status in [401, 403] {
            let answer = Answer { status, headers: vec![], body: r#"{"Message":"no"}"#.into() };
            let Fault::Unauthorized { detail, .. } = fault(&ask, &answer) else { panic!("{status}") };
            assert!(detail.contains("no (") && detail.contains("ChangeStockLevelsNode"), "{detail}");
        }
    }

    #[test]
    fn every_method_has_its_limit() {
        let budget = budget();
        assert_eq!(budget.windows.len(), METHODS.len());
        let limit = |name: &str| budget.windows.iter().find(|window| window.name == name).map(|window| window.quota);
        assert_eq!((limit("Orders/CreateOrders"), limit("Orders/GetOrderDetailsByReferenceId")), (Some(150), Some(250)));
    }

    /// Limits and permissions against the vendor's own statement, where it is at hand.
    #[test]
    fn limits_and_permissions_are_the_vendors() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let sheet = ["../../../shared", "../../../../shared"]
            .iter()
            .find_map(|up| std::fs::read_to_string(here.join(up).join("facts/linnworks_endpoints.csv")).ok());
        let Some(sheet) = sheet else { return };
        for method in METHODS.iter().filter(|method| !method.name.starts_with("v2/")) {
            let path = format!("/api/{}", method.name);
            let row: Vec<&str> = sheet
                .lines()
                .map(|line| line.split(',').collect::<Vec<_>>())
                .find(|row| row.get(1) == Some(&path.as_str()))
                .unwrap_or_else(|| panic!("{path} is no method of the vendor's"));
            assert_eq!(row[2], method.quota.to_string(), "{path}");
            assert_eq!(row[7].trim(), method.permission.unwrap_or_default(), "{path}");
        }
    }
}
