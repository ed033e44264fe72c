//! Centra's shapes as they come over the wire: the envelope of an answer, lists, events, payloads,
//! the schema's description of itself. Orders are not here: they are kept byte for byte and read
//! by `decode`, which must not lose a whole order to one odd field.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Any answer of the Integration API.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    /// What was asked for; absent or null after a top-level error.
    #[serde(default, borrow)]
    pub data: Option<&'a RawValue>,
    /// Top-level errors.
    #[serde(default)]
    pub errors: Option<Vec<GraphqlError>>,
    /// What the call cost and needed.
    #[serde(default)]
    pub extensions: Option<Extensions>,
}

/// One top-level error.
#[derive(Debug, Deserialize)]
pub struct GraphqlError {
    /// A text for people.
    #[serde(default)]
    pub message: String,
    /// `authorization` for a missing permission.
    #[serde(default)]
    pub extensions: Option<ErrorExtensions>,
}

/// What a top-level error says about itself.
#[derive(Debug, Deserialize)]
pub struct ErrorExtensions {
    /// `authorization`, `graphql`, `internal`.
    #[serde(default)]
    pub category: Option<String>,
}

/// What a call cost and needed.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Extensions {
    /// What it took from the complexity bucket.
    #[serde(default)]
    pub complexity: Option<u64>,
    /// The permissions that it used.
    #[serde(default, rename = "permissionsUsed")]
    pub permissions_used: Vec<String>,
    /// The version of the instance: `v1.60.0`.
    #[serde(default, rename = "appVersion")]
    pub app_version: Option<String>,
}

/// What every mutation answers with.
#[derive(Debug, Deserialize)]
pub struct Payload {
    /// Any of these: it failed, at HTTP 200.
    #[serde(default, rename = "userErrors")]
    pub user_errors: Vec<UserError>,
    /// It went through, but something was skipped or changed.
    #[serde(default, rename = "userWarnings")]
    pub user_warnings: Vec<UserError>,
}

/// An error or a warning of a mutation.
#[derive(Debug, Deserialize)]
pub struct UserError {
    /// A text for people.
    #[serde(default)]
    pub message: String,
    /// Which part of the input.
    #[serde(default)]
    pub path: Option<Vec<serde_json::Value>>,
}

impl UserError {
    /// The path as one text: `input.eventsIds.0`.
    pub fn path_text(&self) -> String {
        let parts = self.path.iter().flatten().map(|part| match part {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        parts.collect::<Vec<_>>().join(".")
    }
}

/// One page of a connection.
#[derive(Debug, Deserialize)]
pub struct Connection<'a> {
    /// Where it goes on.
    #[serde(rename = "pageInfo", default)]
    pub page_info: PageInfo,
    /// The rows.
    #[serde(borrow)]
    pub edges: Vec<Edge<'a>>,
}

/// Where a connection goes on.
#[derive(Debug, Default, Deserialize)]
pub struct PageInfo {
    /// Whether there is more.
    #[serde(rename = "hasNextPage", default)]
    pub has_next_page: bool,
    /// What to pass as `after`.
    #[serde(rename = "endCursor", default)]
    pub end_cursor: Option<String>,
}

/// One row of a connection, byte for byte.
#[derive(Debug, Deserialize)]
pub struct Edge<'a> {
    /// The order.
    #[serde(borrow)]
    pub node: &'a RawValue,
}

/// `orderConnection`.
#[derive(Debug, Deserialize)]
pub struct OrderConnection<'a> {
    /// The page.
    #[serde(rename = "orderConnection", borrow)]
    pub connection: Connection<'a>,
}

/// `orders`.
#[derive(Debug, Deserialize)]
pub struct Orders<'a> {
    /// The orders, byte for byte.
    #[serde(borrow)]
    pub orders: Vec<&'a RawValue>,
}

/// What every order that we ask for says about itself. Ids come as numbers or as texts.
#[derive(Debug, Default, Deserialize)]
pub struct Identity {
    /// The human number.
    #[serde(default)]
    pub number: serde_json::Value,
    /// Last change.
    #[serde(rename = "updatedAt", default)]
    pub updated_at: serde_json::Value,
    /// When it was placed.
    #[serde(rename = "createdAt", default)]
    pub created_at: serde_json::Value,
}

/// `events`.
#[derive(Debug, Deserialize)]
pub struct Events<'a> {
    /// Oldest first.
    #[serde(borrow)]
    pub events: Vec<Event<'a>>,
}

/// One event.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    /// What `confirmEvents` takes.
    pub id: i64,
    /// The order's number; an internal id for other kinds.
    #[serde(rename = "objectReference", default)]
    pub object_reference: serde_json::Value,
    /// The order as it stands now; null when it is gone.
    #[serde(default, borrow)]
    pub object: Option<&'a RawValue>,
}

/// `productEvents`, beside the events of orders.
#[derive(Debug, Default, Deserialize)]
pub struct ProductEvents {
    /// Oldest first; absent where they are not asked for.
    #[serde(rename = "productEvents", default)]
    pub events: Vec<ProductEvent>,
}

/// One event of the catalogue.
#[derive(Debug, Deserialize)]
pub struct ProductEvent {
    /// What `confirmEvents` takes.
    pub id: i64,
    /// `Product`, `ProductVariant`, `ProductSize`, `Price`, `Bundle`.
    #[serde(rename = "objectType", default)]
    pub object_type: String,
    /// Its internal id.
    #[serde(rename = "objectReference", default)]
    pub object_reference: serde_json::Value,
    /// The sizes that it touches as they hang on it now; null when it is gone.
    #[serde(default)]
    pub object: serde_json::Value,
}

/// `returnEvents` and `paymentEvents`, beside the events of orders.
#[derive(Debug, Default, Deserialize)]
pub struct ReturnEvents<'a> {
    /// Oldest first; absent where they are not asked for.
    #[serde(rename = "returnEvents", default, borrow)]
    pub returns: Vec<ReturnEvent<'a>>,
    /// The same.
    #[serde(rename = "paymentEvents", default)]
    pub payments: Vec<PaymentEvent>,
}

/// One event of a return.
#[derive(Debug, Deserialize)]
pub struct ReturnEvent<'a> {
    /// What `confirmEvents` takes.
    pub id: i64,
    /// `CREATED`, `DELETED` …
    #[serde(rename = "changeType", default)]
    pub change: String,
    /// Its internal id.
    #[serde(rename = "objectReference", default)]
    pub object_reference: serde_json::Value,
    /// The return as it stands now; null when it is gone.
    #[serde(default, borrow)]
    pub object: Option<&'a RawValue>,
}

/// One event of an entry of the payment history.
#[derive(Debug, Deserialize)]
pub struct PaymentEvent {
    /// What `confirmEvents` takes.
    pub id: i64,
    /// What the entry is about.
    #[serde(default)]
    pub object: serde_json::Value,
}

/// `events`, of any kind.
#[derive(Debug, Deserialize)]
pub struct QueuedEvents {
    /// Oldest first.
    pub events: Vec<QueuedEvent>,
}

/// One event of any kind.
#[derive(Debug, Deserialize)]
pub struct QueuedEvent {
    /// `Order`, `Shipment` …
    #[serde(rename = "objectType")]
    pub object_type: String,
    /// When it happened.
    #[serde(rename = "createdAt", default)]
    pub created_at: Option<String>,
}

/// `eventListeners`.
#[derive(Debug, Deserialize)]
pub struct EventListeners {
    /// What is subscribed to.
    #[serde(rename = "eventListeners")]
    pub listeners: Vec<EventListener>,
}

/// One subscription of a queue.
#[derive(Debug, Deserialize)]
pub struct EventListener {
    /// Whose queue.
    #[serde(rename = "integrationName", default)]
    pub integration_name: String,
    /// What it hears of.
    #[serde(rename = "objectType")]
    pub object_type: String,
}

/// `rateLimits`.
#[derive(Debug, Deserialize)]
pub struct RateLimits {
    /// Six rows: three kinds in two windows.
    #[serde(rename = "rateLimits")]
    pub rows: Vec<RateLimit>,
}

/// One limit.
#[derive(Debug, Deserialize)]
pub struct RateLimit {
    /// `REQUEST_COUNT`, `MUTATION_COUNT`, `QUERY_COMPLEXITY`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `TEN_SECONDS`, `ONE_HOUR`.
    #[serde(rename = "intervalSeconds")]
    pub interval: serde_json::Value,
    /// How much.
    pub quota: u64,
    /// How much of it is used now, by every integration of the instance together.
    #[serde(rename = "usedQuota", default)]
    pub used: u64,
}

/// The schema's description of itself.
#[derive(Debug, Deserialize)]
pub struct Introspection {
    /// The schema.
    #[serde(rename = "__schema")]
    pub schema: LiveSchema,
}

/// A live schema.
#[derive(Debug, Default, Deserialize)]
pub struct LiveSchema {
    /// All of its types.
    pub types: Vec<LiveType>,
}

/// One type of a live schema.
#[derive(Debug, Default, Deserialize)]
pub struct LiveType {
    /// Its name.
    pub name: String,
    /// Of objects and interfaces.
    #[serde(default)]
    pub fields: Option<Vec<LiveField>>,
    /// Of input objects.
    #[serde(default, rename = "inputFields")]
    pub input_fields: Option<Vec<LiveInput>>,
    /// Of enums.
    #[serde(default, rename = "enumValues")]
    pub enum_values: Option<Vec<LiveValue>>,
}

/// One field of a live type.
#[derive(Debug, Deserialize)]
pub struct LiveField {
    /// Its name.
    pub name: String,
    /// What it gives.
    #[serde(rename = "type")]
    pub ty: TypeReference,
    /// What it takes.
    #[serde(default)]
    pub args: Vec<LiveInput>,
    /// Whether it will go away.
    #[serde(default, rename = "isDeprecated")]
    pub is_deprecated: bool,
    /// When and in favour of what.
    #[serde(default, rename = "deprecationReason")]
    pub deprecation_reason: Option<String>,
}

/// One argument or input field.
#[derive(Debug, Deserialize)]
pub struct LiveInput {
    /// Its name.
    pub name: String,
    /// What it takes.
    #[serde(rename = "type")]
    pub ty: TypeReference,
    /// What it is when left out.
    #[serde(default, rename = "defaultValue")]
    pub default: Option<String>,
}

/// One value of an enum.
#[derive(Debug, Deserialize)]
pub struct LiveValue {
    /// Its name.
    pub name: String,
}

/// A type as the schema writes it down: wrapped in lists and non-nulls.
#[derive(Debug, Deserialize)]
pub struct TypeReference {
    /// `NON_NULL`, `LIST` or the kind of the type named.
    pub kind: String,
    /// The name, at the innermost.
    #[serde(default)]
    pub name: Option<String>,
    /// What is wrapped.
    #[serde(default, rename = "ofType")]
    pub of: Option<Box<TypeReference>>,
}

impl TypeReference {
    /// As the schema language prints it: `[Int!]!`.
    pub fn print(&self) -> String {
        let inner = || self.of.as_ref().map_or_else(String::new, |of| of.print());
        match self.kind.as_str() {
            "NON_NULL" => format!("{}!", inner()),
            "LIST" => format!("[{}]", inner()),
            _ => self.name.clone().unwrap_or_default(),
        }
    }
}

/// The JSON inside a webhook's form field `payload`.
#[derive(Debug, Deserialize)]
pub struct HookPayload {
    /// What happened. Absent in webhooks of the storefront kind.
    #[serde(default)]
    pub events: Option<Vec<HookEvent>>,
}

/// One event of a webhook.
#[derive(Debug, Deserialize)]
pub struct HookEvent {
    /// `order`, `shipment`, `customer`, `account`, `return`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The order's number; an internal id for other kinds.
    #[serde(default)]
    pub id: serde_json::Value,
}

/// An id or number as text: whole numbers and non-empty texts are, nothing else is.
pub fn id_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
        serde_json::Value::Number(number) => {
            let text = number.to_string();
            let digits = text.strip_prefix('-').unwrap_or(&text);
            digits.bytes().all(|b| b.is_ascii_digit()).then_some(text)
        }
        _ => None,
    }
}
