//! The config of one brand: one TOML file, read whole, every mistake named at once with its line.
//!
//! The structs below are the reference: their doc comments are what `selvedge config schema` prints,
//! and the schema is what a file is held against ([`shape`]). What belongs to a system is read by
//! that system's connector, which names its own mistakes; they come out with file and line, too.
//!
//! Secrets never stand in the file. It says where each one is kept, and [`secrets`] fetches it from there.

pub mod alerts;
pub mod credits;
pub mod desk;
pub mod dispatch;
pub mod document;
pub mod entities;
pub mod people;
pub mod preflight;
pub mod products;
pub mod reconcile;
pub mod retention;
pub mod returns;
pub mod routes;
pub mod secrets;
pub mod shape;
pub mod silence;
pub mod stock;
pub mod template;
pub mod webhooks;
pub mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use selvedge_connector::{Connector, Reach};
use selvedge_model::{Brand, ConnectionName, Currency, FlowName, Kind, Mode, alert::ChannelName, gate::rules::OrderPolicy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::{
    alerts::AlertSettings,
    credits::CreditSettings,
    desk::DeskSettings,
    dispatch::DispatchSettings,
    document::{Document, Lines, below},
    entities::EntitySettings,
    people::{Oidc, PeopleSettings},
    preflight::PreflightSettings,
    products::ProductSettings,
    reconcile::ReconcileSettings,
    retention::RetentionSettings,
    returns::ReturnSettings,
    routes::RouteSettings,
    secrets::Reference,
    silence::SilenceSettings,
    stock::StockSettings,
    webhooks::WebhookConfig,
    words::{Moment, Pace, Span, did_you_mean},
};
use crate::view::Ends;

/// The largest config that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Where `run` listens unless told otherwise: nobody outside this machine reaches it.
pub const LISTEN: &str = "127.0.0.1:7700";
/// Settings of every connection and channel: where its calls may go.
const ALLOW_PRIVATE: &str = "allow_private";
const ALLOW_HTTP: &str = "allow_http";
const REACH: [(&str, &str); 2] = [
    (ALLOW_PRIVATE, "Whether its address may lead to this machine or into a private network. Default: false."),
    (ALLOW_HTTP, "Whether it may be called without TLS; to this machine, allow_private is enough. Default: false."),
];
/// A setting of every connection: the last day on which its credential is good.
const EXPIRES: &str = "expires";
const EXPIRES_SAYS: &str = "The last day on which its credential is good, as \"2027-01-31\": the page of connections and the page of today warn before. Default: not known.";
/// What the store is called unless told otherwise.
const STORE: &str = "sqlite://selvedge.db";

/// One brand: its accounts on the systems, and what flows between them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// The brand's name: letters, digits, - and _. Every row in the store belongs to it, so do not change it later.
    #[schemars(extend("format" = "name"))]
    pub brand: String,
    /// Where everything is kept.
    pub store: StoreSettings,
    /// The page, the API and the webhooks.
    pub server: ServerSettings,
    /// How people sign in, besides with a password.
    pub people: PeopleSettings,
    /// How often the targets' own lists of values (items, currencies) are read again. Default: 10m.
    pub lists_every: Span,
    /// When the mappings are looked through every night: { at = "03:00", zone = "Europe/Stockholm" }, or "off".
    pub preflight: PreflightSettings,
    /// The brand's accounts on the systems, by a name of your choice: [connections.shop].
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$" }))]
    pub connections: BTreeMap<String, Map<String, Value>>,
    /// What flows, by a name of your choice: [flows.orders].
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$" }))]
    pub flows: BTreeMap<String, FlowSettings>,
    /// Whose stock is shown where, by a name of your choice: [stock.main].
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$" }))]
    pub stock: BTreeMap<String, StockSettings>,
    /// Which warehouse ships what, tried in this order: [[routes]]. Needed once orders go to more than one warehouse.
    pub routes: Vec<RouteSettings>,
    /// By when orders are promised to have left their warehouse.
    pub dispatch: DispatchSettings,
    /// How long one half of a return (goods, money) may be without the other.
    pub returns: ReturnSettings,
    /// Which two ends must agree, how often that is looked at, and what is tolerated.
    pub reconcile: ReconcileSettings,
    /// For how long content is kept: documents as they came, webhook deliveries, and who people are.
    pub retention: RetentionSettings,
    /// The legal entities whose months are closed, by a name of your choice: [entities.sweden]. Needed for selvedge close.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$" }))]
    pub entities: BTreeMap<String, EntitySettings>,
    /// How exceptions are ranked, whose they are, and what of a held order may be edited.
    pub desk: DeskSettings,
    /// How what does not arrive is told.
    pub silence: SilenceSettings,
    /// Who is told of exceptions, over which channels and when.
    pub alerts: AlertSettings,
    /// Programs that are told of events, by a name of your choice: [webhooks.warehouse] with url, secret and events.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$" }))]
    pub webhooks: BTreeMap<String, Map<String, Value>>,
    /// A sign of life for a monitor outside: { url = { env = "NAME" }, every = "1m", method = "get" }.
    pub heartbeat: Map<String, Value>,
}

impl Default for ConfigFile {
    fn default() -> Self {
        Self {
            brand: String::new(),
            store: StoreSettings::default(),
            server: ServerSettings::default(),
            people: PeopleSettings::default(),
            lists_every: Span::seconds(600),
            preflight: PreflightSettings::default(),
            connections: BTreeMap::new(),
            flows: BTreeMap::new(),
            stock: BTreeMap::new(),
            routes: Vec::new(),
            dispatch: DispatchSettings::default(),
            returns: ReturnSettings::default(),
            reconcile: ReconcileSettings::default(),
            retention: RetentionSettings::default(),
            entities: BTreeMap::new(),
            desk: DeskSettings::default(),
            silence: SilenceSettings::default(),
            alerts: AlertSettings::default(),
            webhooks: BTreeMap::new(),
            heartbeat: Map::new(),
        }
    }
}

/// Where everything is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// sqlite://PATH, below the folder of this file unless PATH is absolute. Default: sqlite://selvedge.db
    pub url: Option<String>,
    /// The file with the key that seals stored secrets, as selvedge secrets new-key makes it. The environment variable SELVEDGE_KEY goes first.
    pub key_file: Option<String>,
    /// A command that prints that key, as a list of its words: ["vault", "kv", "get", "-field=key", "secret/selvedge"]. It goes before key_file,
    /// is run without a shell and has 30 seconds.
    pub key_command: Vec<String>,
}

/// The page, the API and the webhooks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// IP address and port to listen on. It speaks plain HTTP: beyond this machine, put a reverse proxy with TLS before it. Default: 127.0.0.1:7700
    #[schemars(extend("format" = "address"))]
    pub listen: String,
    /// Names under which browsers may ask for the page, besides IP addresses and localhost.
    pub hosts: Vec<String>,
    /// The address that people type, as https://desk.example.com: links are made of it, its name is one of the hosts, and with https
    /// the cookie never travels without TLS.
    pub url: Option<String>,
    /// IP addresses of the reverse proxies before it, which are believed about whom they speak for (X-Forwarded-For).
    pub proxies: Vec<String>,
    /// Who may read the metrics: token (a token with the scope metrics, or a person with that right) or open (whoever reaches them). Default: token
    pub metrics: MetricsAccess,
}

/// Who may read the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricsAccess {
    /// Whoever has the right to.
    #[default]
    Token,
    /// Whoever reaches them.
    Open,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { listen: LISTEN.to_owned(), hosts: Vec::new(), url: None, proxies: Vec::new(), metrics: MetricsAccess::Token }
    }
}

/// What may flow. Customers follow their orders by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowKind {
    /// Orders, and the customers who placed them. To a warehouse they go as it can pick them: components instead of bundles.
    #[default]
    Order,
    /// What is sold, one item at a time.
    Product,
    /// What left a warehouse, back to the shop and on to the books.
    Shipment,
    /// Goods that come back: from the shop to the books and the warehouse, from a warehouse to the shop.
    Return,
    /// What is given back in money, line by line: from the shop to the books.
    CreditNote,
    /// The transactions by which money went back: from the shop to the books.
    Refund,
}

impl FlowKind {
    /// The kind of record.
    pub const fn kind(self) -> Kind {
        match self {
            FlowKind::Order => Kind::Order,
            FlowKind::Product => Kind::Product,
            FlowKind::Shipment => Kind::Shipment,
            FlowKind::Return => Kind::Return,
            FlowKind::CreditNote => Kind::CreditNote,
            FlowKind::Refund => Kind::Refund,
        }
    }
}

/// Whether a flow writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowMode {
    /// It delivers and confirms.
    #[default]
    Live,
    /// It looks for each document at the target and compares; nothing is written there.
    Shadow,
    /// It captures nothing and owes nothing.
    Off,
}

impl From<FlowMode> for Mode {
    fn from(mode: FlowMode) -> Self {
        match mode {
            FlowMode::Live => Mode::Live,
            FlowMode::Shadow => Mode::Shadow,
            FlowMode::Off => Mode::Off,
        }
    }
}

/// What becomes of a shipment that has waited for a tracking number in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WithoutTracking {
    /// A person is asked.
    Hold,
    /// It goes on without.
    Send,
}

impl From<WithoutTracking> for selvedge_flow::WithoutTracking {
    fn from(word: WithoutTracking) -> Self {
        match word {
            WithoutTracking::Hold => Self::Hold,
            WithoutTracking::Send => Self::Send,
        }
    }
}

/// One flow: records of one kind, from one connection to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlowSettings {
    /// What flows: order, product, shipment, return, credit_note or refund. Default: order.
    pub kind: FlowKind,
    /// The connection that the records come from.
    pub from: String,
    /// The connection that they are to stand in.
    pub to: String,
    /// live, shadow (everything but the write: it compares with what stands at the target) or off. Default: live.
    pub mode: FlowMode,
    /// What an order must be like before it may pass.
    pub policy: PolicySettings,
    /// How long a shipment without any tracking number waits for one. Default: 15m.
    pub tracking_wait: Span,
    /// What becomes of it then: "hold" asks a person, "send" lets it go on without (letters, or a target that nobody follows a parcel in). Default: hold.
    pub without_tracking: WithoutTracking,
    /// For a flow of products: whose each field is, what must be there, and what becomes of changes made at the target.
    pub products: ProductSettings,
    /// For a flow of credit notes: which sale they give back, and for how much.
    pub credits: CreditSettings,
    /// How news is found.
    pub capture: CaptureSettings,
    /// Writes and read-backs under way at once. Default: the concurrency of the target's connection, or 4.
    #[schemars(range(min = 1, max = 100))]
    pub parallel: Option<u32>,
    /// How long a look for a lost write waits before it looks again and the write may be repeated. Default: 5s.
    pub unanswered_wait: Span,
    /// How many times in a row a step may fail for a passing reason before a person is asked. Default: 12.
    #[schemars(range(min = 1, max = 1000))]
    pub retries_max: u32,
    /// The first wait after a passing failure; each further one is twice as long. Default: 1s.
    pub backoff_first: Span,
    /// The longest wait after a passing failure. Default: 10m.
    pub backoff_max: Span,
}

impl Default for FlowSettings {
    fn default() -> Self {
        Self {
            kind: FlowKind::Order,
            from: String::new(),
            to: String::new(),
            mode: FlowMode::Live,
            policy: PolicySettings::default(),
            tracking_wait: Span::seconds(900),
            without_tracking: WithoutTracking::Hold,
            products: ProductSettings::default(),
            credits: CreditSettings::default(),
            capture: CaptureSettings::default(),
            parallel: None,
            unanswered_wait: Span::seconds(5),
            retries_max: 12,
            backoff_first: Span::seconds(1),
            backoff_max: Span::seconds(600),
        }
    }
}

/// A field of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddressField {
    FirstName,
    LastName,
    Company,
    Line1,
    Postcode,
    City,
    State,
    Phone,
    Email,
}

/// What an order must be like before it may pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySettings {
    /// Whether an order that the shop has not confirmed may pass. Default: false, it waits.
    pub pending: bool,
    /// Whether an order without a successful authorisation or capture of its total may pass. Default: true.
    pub unpaid: bool,
    /// Currencies that may pass, as ["SEK", "EUR"]. Default: [], which means all.
    #[schemars(with = "Vec<CurrencyCode>")]
    pub currencies: Vec<Currency>,
    /// Whether internal orders (samples, staff) pass. Default: false, they are excluded.
    pub internal: bool,
    /// Fields of the delivery address that must be there, besides the country. Default: ["line1", "city"].
    pub address_fields: Vec<AddressField>,
    /// By how many minor units lines + tax + shipping - discounts may differ from the stated total. Default: 0.
    #[schemars(range(min = 0, max = 10_000))]
    pub totals_tolerance_minor: i64,
}

/// The schema of a currency; the type itself belongs to the model.
#[derive(JsonSchema)]
#[schemars(transparent, extend("format" = "currency"))]
#[expect(dead_code, reason = "stands in for a type of another crate in the schema")]
struct CurrencyCode(String);

impl Default for PolicySettings {
    fn default() -> Self {
        let OrderPolicy { pending, unpaid, currencies, internal, totals_tolerance_minor, address_fields: _ } =
            OrderPolicy::default();
        let address_fields = vec![AddressField::Line1, AddressField::City];
        Self { pending, unpaid, currencies, internal, address_fields, totals_tolerance_minor }
    }
}

impl AddressField {
    /// The word by which the model knows it.
    const fn word(self) -> &'static str {
        match self {
            AddressField::FirstName => "first_name",
            AddressField::LastName => "last_name",
            AddressField::Company => "company",
            AddressField::Line1 => "line1",
            AddressField::Postcode => "postcode",
            AddressField::City => "city",
            AddressField::State => "state",
            AddressField::Phone => "phone",
            AddressField::Email => "email",
        }
    }
}

impl From<&PolicySettings> for OrderPolicy {
    fn from(settings: &PolicySettings) -> Self {
        Self {
            pending: settings.pending,
            unpaid: settings.unpaid,
            currencies: settings.currencies.clone(),
            internal: settings.internal,
            address_fields: settings.address_fields.iter().map(|field| field.word().to_owned()).collect(),
            totals_tolerance_minor: settings.totals_tolerance_minor,
        }
    }
}

/// How news is found. Flows of one kind from one connection share one capture: it is written in one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CaptureSettings {
    /// Nothing older than this is captured: so long ago (7d), or an instant with its offset. Counted back from the first
    /// start; later starts go on where the last one stopped. Default: 7d.
    pub since: Moment,
    /// How often the source's queue of news is read when nothing is heard; a webhook makes it due at once. Default: 5s where the source has one.
    /// For a kind of which no flow is live it is not read unless this is set: what is read from it is gone for whoever else reads the same queue.
    pub feed: Option<Pace>,
    /// How often changed documents are listed. Default: 15m beside a queue of news, 1m without one.
    pub poll: Option<Pace>,
    /// How far each poll reaches back into what is proven. Default: 5m.
    pub poll_overlap: Span,
    /// How far behind now a poll stays, for documents that become visible late. Default: 10s.
    pub poll_lag: Span,
    /// How often everything of the last sweep_back is enumerated and compared with what was captured. Default: 24h.
    pub sweep: Pace,
    /// How far back a sweep looks. Default: 3d.
    pub sweep_back: Span,
    /// How long a webhook waits for the queue of news to bring the document itself, before it is fetched. Default: 30s.
    pub notice_grace: Span,
}

impl Default for CaptureSettings {
    fn default() -> Self {
        Self {
            since: Moment::Ago(Span::seconds(7 * 86_400)),
            feed: None,
            poll: None,
            poll_overlap: Span::seconds(300),
            poll_lag: Span::seconds(10),
            sweep: Pace(Some(Duration::from_secs(86_400))),
            sweep_back: Span::seconds(3 * 86_400),
            notice_grace: Span::seconds(30),
        }
    }
}

/// How a finding about the config stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It cannot work like this.
    Bad,
    /// It works, but someone should know.
    Warning,
}

/// One mistake in the config. It never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigProblem {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; `None` when it is about the file as a whole.
    pub line: Option<usize>,
    /// How it stands.
    pub level: Level,
    /// The setting: `connections.shop.token`; may be empty.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        let full = |text: &str| if text.ends_with(['.', '?', '!']) { "" } else { "." };
        write!(f, " {}{}", self.message, full(&self.message))?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, " {}{}", self.remedy, full(&self.remedy)) }
    }
}

/// One account on a system.
#[derive(Clone)]
pub struct ConnectionConfig {
    /// Our code for the system.
    pub connector: &'static dyn Connector,
    /// What the connector is given, without anything that is fetched from elsewhere.
    pub settings: Value,
    /// Where the rest is kept, by the path of the setting.
    pub references: BTreeMap<String, Reference>,
    /// Settings already reported, so that the connector's "is missing" about them is no news.
    pub reported: BTreeSet<String>,
    /// Where its calls may go.
    pub reach: Reach,
    /// The last day on which its credential is good, where that is known.
    pub expires: Option<jiff::civil::Date>,
}

impl fmt::Debug for ConnectionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionConfig")
            .field("system", &self.connector.name())
            .field("settings", &self.settings)
            .field("references", &self.references)
            .finish_non_exhaustive()
    }
}

/// A config that was read: what is wrong with it is beside it, and left out of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file.
    pub file: PathBuf,
    /// Whose.
    pub brand: Brand,
    /// Where everything is kept.
    pub store_url: String,
    /// The file with the key that seals stored secrets.
    pub key_file: Option<PathBuf>,
    /// The command that prints it; empty when there is none.
    pub key_command: Vec<String>,
    /// Where the server listens.
    pub listen: SocketAddr,
    /// Names under which the page may be asked for.
    pub hosts: Vec<String>,
    /// The address that people type, without anything after the host and port.
    pub url: Option<String>,
    /// The reverse proxies before the server.
    pub proxies: Vec<IpAddr>,
    /// Whether whoever reaches the metrics may read them.
    pub metrics_open: bool,
    /// Single sign-on.
    pub oidc: Option<Oidc>,
    /// How often lists are read again.
    pub lists_every: Duration,
    /// When the mappings are looked through.
    pub preflight: PreflightSettings,
    /// The accounts.
    pub connections: BTreeMap<ConnectionName, ConnectionConfig>,
    /// The flows.
    pub flows: BTreeMap<FlowName, FlowSettings>,
    /// The stock flows.
    pub stocks: BTreeMap<FlowName, StockSettings>,
    /// Which warehouse ships what.
    pub routes: Vec<RouteSettings>,
    /// By when orders are promised to leave.
    pub dispatch: DispatchSettings,
    /// How long one half of a return may be without the other.
    pub returns: ReturnSettings,
    /// Which two ends must agree.
    pub reconcile: ReconcileSettings,
    /// For how long content is kept.
    pub retention: RetentionSettings,
    /// The legal entities, as written.
    pub entities: BTreeMap<String, EntitySettings>,
    /// How exceptions are ranked, owned and edited, as written.
    pub desk: DeskSettings,
    /// How silence is told.
    pub silence: SilenceSettings,
    /// Who is told of exceptions.
    pub alerts: AlertSettings,
    /// The channels over which people are told.
    pub channels: BTreeMap<ChannelName, ConnectionConfig>,
    /// The programs that are told of events.
    pub webhooks: BTreeMap<String, WebhookConfig>,
    /// The sign of life.
    pub heartbeat: Option<ConnectionConfig>,
    lines: Lines,
    lost: BTreeSet<String>,
}

impl Config {
    /// Whether a setting is missing only because of a mistake in the grammar, which has been named.
    pub fn is_lost(&self, path: &str) -> bool {
        is_lost(&self.lines, &self.lost, path)
    }

    /// A mistake at a path.
    pub fn problem(
        &self,
        level: Level,
        path: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ConfigProblem {
        let path = path.into();
        let line = Some(self.lines.of(&path));
        ConfigProblem { file: self.file.clone(), line, level, path, message: message.into(), remedy: remedy.into() }
    }

    /// The folder that paths in the file are relative to.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The flow of customers that comes with a flow of orders, where the target makes customers.
    /// Told from the settings alone, so that commands that only read need no secret.
    pub fn companion(&self, name: &FlowName, flow: &FlowSettings) -> Option<Ends> {
        if flow.kind != FlowKind::Order {
            return None;
        }
        let to = self.connections.get(&ConnectionName::new(&flow.to))?;
        let makes_customers = to.connector.settings().contains_key("customers")
            && to.settings.get("customers").and_then(Value::as_str) != Some("guest");
        let first = self
            .flows
            .iter()
            .find(|(_, other)| other.kind == flow.kind && other.from == flow.from && other.to == flow.to)
            .is_none_or(|(first, _)| first == name);
        (makes_customers && first).then(|| Ends {
            flow: name.customers(),
            kind: Kind::Customer,
            from: ConnectionName::new(&flow.from),
            to: ConnectionName::new(&flow.to),
            mode: flow.mode.into(),
        })
    }

    /// How news of a flow is found: what it says itself, or what another flow of its kind and source says.
    pub fn capture_of<'a>(&'a self, flow: &'a FlowSettings) -> &'a CaptureSettings {
        let own = CaptureSettings::default();
        let same = |other: &&FlowSettings| other.kind == flow.kind && other.from == flow.from && other.capture != own;
        self.flows.values().find(same).map_or(&flow.capture, |other| &other.capture)
    }

    /// Whether a flow brings orders to a place that picks them.
    pub fn is_pick(&self, flow: &FlowSettings) -> bool {
        let to = self.connections.get(&ConnectionName::new(&flow.to));
        flow.kind == FlowKind::Order && to.is_some_and(|to| to.connector.picks())
    }

    /// The same, and the two ends of the flows of stock: whatever an exception may be of.
    pub fn all_ends(&self) -> Vec<Ends> {
        let stocks = self.stocks.iter().map(|(name, stock)| Ends {
            flow: name.clone(),
            kind: Kind::Stock,
            from: ConnectionName::new(&stock.from),
            to: ConnectionName::new(&stock.to),
            mode: Mode::Live,
        });
        self.ends().into_iter().chain(stocks).collect()
    }

    /// All flows of records and their two ends, companions included.
    pub fn ends(&self) -> Vec<Ends> {
        let mut ends = Vec::new();
        for (name, flow) in &self.flows {
            ends.push(Ends {
                flow: name.clone(),
                kind: flow.kind.kind(),
                from: ConnectionName::new(&flow.from),
                to: ConnectionName::new(&flow.to),
                mode: flow.mode.into(),
            });
            ends.extend(self.companion(name, flow));
        }
        ends
    }

    /// The connections that records flow to: those that mappings are for.
    pub fn targets(&self) -> Vec<ConnectionName> {
        let targets: BTreeSet<ConnectionName> = self.flows.values().map(|flow| ConnectionName::new(&flow.to)).collect();
        targets.into_iter().collect()
    }

    /// The same, with the mapping tables that each asks.
    pub fn mapping_targets(&self) -> Vec<crate::view::Target> {
        let system = |name: &ConnectionName| self.connections.get(name).map_or("", |c| c.connector.name());
        self.targets().into_iter().map(|name| crate::view::Target::new(name.clone(), system(&name))).collect()
    }
}

/// Host and port of an address of a server.
fn host_of(url: &str) -> Option<&str> {
    url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))
}

/// Reads a file.
pub fn read(file: &Path) -> (Config, Vec<ConfigProblem>) {
    let unread = |message: String, remedy: &str| {
        let (config, _) = read_text(file, "");
        let problem = ConfigProblem {
            file: file.to_owned(),
            line: None,
            level: Level::Bad,
            path: String::new(),
            message,
            remedy: remedy.to_owned(),
        };
        (config, vec![problem])
    };
    match std::fs::metadata(file) {
        Ok(about) if about.len() > FILE_BYTES_MAX => {
            return unread("is larger than 1 MiB, so it is no config".to_owned(), "Name the right file with --config.");
        }
        Ok(about) if about.is_dir() => return unread("is a folder".to_owned(), "Name the file in it with --config."),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return unread("there is no such file".to_owned(), "Make one with selvedge init, or name another with --config.");
        }
        Err(error) => return unread(format!("cannot be read: {error}"), "See who may read it."),
    }
    match std::fs::read(file).map(String::from_utf8) {
        Ok(Ok(text)) => read_text(file, &text),
        Ok(Err(error)) => {
            let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            unread(format!("is not UTF-8 text, from line {line} on"), "Save it as UTF-8.")
        }
        Err(error) => unread(format!("cannot be read: {error}"), "See who may read it."),
    }
}

/// Reads a text as if it stood in `file`. No disk, no environment, no network.
pub fn read_text(file: &Path, text: &str) -> (Config, Vec<ConfigProblem>) {
    let Document { value, lines, mistakes, lost } = document::read(text);
    let mut reading = Reading { file, lines: &lines, lost: &lost, problems: Vec::new() };
    for (line, message) in &mistakes {
        let remedy = "Mend it; a text stands in quotes, a list in brackets, and each setting stands once.";
        reading.problems.push(ConfigProblem {
            file: file.to_owned(),
            line: Some(*line),
            level: Level::Bad,
            path: String::new(),
            message: format!("this is not TOML: {message}"),
            remedy: remedy.to_owned(),
        });
    }
    let mut value = value;
    let many = reading.one_brand(&mut value);
    // The short way of writing that there is none.
    if let Some(preflight) = value.get_mut("preflight").filter(|preflight| **preflight == json!("off")) {
        *preflight = json!({ "at": "off" });
    }
    // A secret that stands there in plain text goes nowhere, not even into a message.
    if let Some(oidc) = value.get_mut("people").and_then(|people| people.get_mut("oidc")).and_then(Value::as_object_mut)
        && oidc.get("client_secret").is_some_and(|secret| !secret.is_object())
    {
        oidc.remove("client_secret");
        reading.wrong("people.oidc.client_secret", "a secret must not stand in the config", secrets::PLAIN_REMEDY);
    }
    let mut value = Value::Object(value);
    for difference in shape::hold(&strict_schema(), &mut value) {
        let counted = many && difference.path == "brand";
        if !counted {
            reading.wrong(&difference.path, difference.message, difference.remedy);
        }
    }
    let read: Result<ConfigFile, _> = serde_path_to_error::deserialize(&value);
    let read = read.unwrap_or_else(|error| {
        reading.wrong(&error.path().to_string(), error.inner().to_string(), "See selvedge config schema.");
        ConfigFile::default()
    });
    let config = reading.config(read);
    let mut problems = reading.problems;
    in_order(&mut problems);
    (config, problems)
}

/// As a person reads the file.
pub fn in_order(problems: &mut [ConfigProblem]) {
    problems.sort_by(|a, b| (a.line, a.level, &a.path, &a.message).cmp(&(b.line, b.level, &b.path, &b.message)));
}

/// Whether a setting does not stand in the file because of a mistake in the grammar, which has been named:
/// then it is not missing.
fn is_lost(lines: &Lines, lost: &BTreeSet<String>, path: &str) -> bool {
    !lines.has(path) && path.rsplit('.').next().is_some_and(|last| lost.contains(last))
}

struct Reading<'a> {
    file: &'a Path,
    lines: &'a Lines,
    lost: &'a BTreeSet<String>,
    problems: Vec<ConfigProblem>,
}

impl Reading<'_> {
    fn wrong(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.note(Level::Bad, path, message, remedy);
    }

    fn note(&mut self, level: Level, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        if is_lost(self.lines, self.lost, path) {
            return;
        }
        let line = Some(self.lines.of(path));
        self.problems.push(ConfigProblem {
            file: self.file.to_owned(),
            line,
            level,
            path: path.to_owned(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// One file holds one brand; whether this one tries to hold several.
    fn one_brand(&mut self, value: &mut Map<String, Value>) -> bool {
        let mut many = false;
        for key in ["brand", "brands"] {
            if value.get(key).is_some_and(|brand| key == "brands" || brand.is_array() || brand.is_object()) {
                value.remove(key);
                self.wrong(
                    key,
                    "one file holds one brand",
                    "Write brand = \"name\" here, a second file for the next brand, and run each with its own --config.",
                );
                many = true;
            }
        }
        many
    }

    fn config(&mut self, read: ConfigFile) -> Config {
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let store_url = self.store_url(read.store.url.as_deref().unwrap_or(STORE), folder);
        let mut connections = BTreeMap::new();
        for (name, settings) in read.connections {
            let path = below("connections", &name);
            if let Some(connection) = self.connection(&path, settings) {
                connections.insert(ConnectionName(name), connection);
            }
        }
        if read.flows.is_empty() && !self.lines.has("flows") && read.stock.is_empty() && read.reconcile.pairs.is_empty() {
            self.wrong(
                "",
                "there is no flow, so nothing would move",
                "Add [flows.orders] with from and to, the names of two connections.",
            );
        }
        let flows: BTreeMap<FlowName, FlowSettings> = read.flows.into_iter().map(|(name, flow)| (FlowName(name), flow)).collect();
        self.flows(&flows);
        let stocks: BTreeMap<FlowName, StockSettings> = read.stock.into_iter().map(|(name, one)| (FlowName(name), one)).collect();
        self.stocks(&stocks, &flows);
        for (setting, message, remedy) in read.reconcile.faults(&self.declared()) {
            self.wrong(&below("reconcile", &setting), message, remedy);
        }
        for (setting, message, remedy) in read.dispatch.faults() {
            self.wrong(&below("dispatch", &setting), message, remedy);
        }
        self.entities(&read.entities);
        let url = self.public_url(read.server.url.as_deref());
        let mut hosts = read.server.hosts;
        hosts.extend(url.as_deref().and_then(host_of).map(str::to_owned));
        let proxies = self.proxies(&read.server.proxies);
        let oidc = read.people.oidc.map(|oidc| oidc.read(url.as_deref())).and_then(|read| match read {
            Ok(oidc) => Some(oidc),
            Err(wrong) => {
                for (setting, message, remedy) in wrong {
                    let at = if setting.is_empty() { "people.oidc".to_owned() } else { below("people.oidc", setting) };
                    self.wrong(&at, message, remedy);
                }
                None
            }
        });
        let names: Vec<&str> = flows.keys().chain(stocks.keys()).map(FlowName::as_str).collect();
        for (setting, message, remedy) in read.desk.faults(&self.declared(), &names) {
            self.wrong(&below("desk", &setting), message, remedy);
        }
        for (setting, message, remedy) in read.silence.faults(&self.declared()) {
            self.wrong(&below("silence", &setting), message, remedy);
        }
        for (setting, message, remedy) in read.alerts.faults() {
            self.wrong(&below("alerts", &setting), message, remedy);
        }
        let channels = self.channels(&read.alerts);
        let webhooks = self.webhooks(&read.webhooks);
        let heartbeat = (!read.heartbeat.is_empty()).then(|| self.heartbeat(read.heartbeat));
        Config {
            file: self.file.to_owned(),
            brand: Brand(read.brand),
            store_url,
            key_file: read.store.key_file.map(|path| folder.join(path)),
            key_command: read.store.key_command,
            listen: read.server.listen.parse().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 7700))),
            hosts,
            url,
            proxies,
            metrics_open: read.server.metrics == MetricsAccess::Open,
            oidc,
            lists_every: read.lists_every.0,
            preflight: read.preflight,
            connections,
            flows,
            stocks,
            routes: read.routes,
            dispatch: read.dispatch,
            returns: read.returns,
            reconcile: read.reconcile,
            retention: read.retention,
            entities: read.entities,
            desk: read.desk,
            silence: read.silence,
            alerts: read.alerts,
            channels,
            webhooks,
            heartbeat,
            lines: self.lines.clone(),
            lost: self.lost.clone(),
        }
    }

    /// The address that people type, if it is one.
    fn public_url(&mut self, url: Option<&str>) -> Option<String> {
        let url = url?.trim().trim_end_matches('/');
        let fits = host_of(url).is_some_and(|host| {
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'))
        });
        if !fits {
            let remedy = "Write it as https://desk.example.com, without anything after the host and port.";
            self.wrong("server.url", format!("{:?} is no address of a server", words::short(url)), remedy);
            return None;
        }
        Some(url.to_ascii_lowercase())
    }

    fn proxies(&mut self, proxies: &[String]) -> Vec<IpAddr> {
        let mut read = Vec::new();
        for proxy in proxies {
            match proxy.trim().parse::<IpAddr>() {
                Ok(address) => read.push(address.to_canonical()),
                Err(_) => {
                    let remedy = "Write the IP address from which the proxy connects, as \"127.0.0.1\".";
                    self.wrong("server.proxies", format!("{:?} is no IP address", words::short(proxy)), remedy);
                }
            }
        }
        read
    }

    /// The store's address with its path made absolute or relative to where we are.
    fn store_url(&mut self, url: &str, folder: &Path) -> String {
        if matches!(url, "sqlite::memory:" | ":memory:") {
            return url.to_owned();
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
        if path.is_empty() || path.contains("://") {
            let remedy = "Write sqlite://PATH; other stores are not part of this version.";
            self.wrong("store.url", format!("{:?} is no store that this version knows", words::short(url)), remedy);
            return STORE.to_owned();
        }
        format!("sqlite://{}", folder.join(path).display())
    }

    fn connection(&mut self, path: &str, mut settings: Map<String, Value>) -> Option<ConnectionConfig> {
        let names = || selvedge_connectors::CONNECTORS.iter().map(|connector| connector.name());
        let at = below(path, "system");
        let connector = match settings.remove("system") {
            None => {
                self.wrong(
                    &at,
                    "is missing",
                    format!(
                        "Write which system it is: system = {}.",
                        names().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" or ")
                    ),
                );
                None
            }
            Some(Value::String(name)) => {
                let connector = selvedge_connectors::by_name(&name);
                if connector.is_none() {
                    self.wrong(
                        &at,
                        format!("there is no system {:?}", words::short(&name)),
                        did_you_mean(&name, names(), "Take one of the systems that there are."),
                    );
                }
                connector
            }
            Some(_) => {
                self.wrong(&at, "must be a text in quotes", format!("Known: {}.", names().collect::<Vec<_>>().join(", ")));
                None
            }
        };
        // Which settings are secrets is not known without it; nothing of them is kept or shown.
        connector.map(|connector| self.opened(path, connector, settings))
    }

    /// What a connector is given to open a connection or a channel.
    fn opened(&mut self, path: &str, connector: &'static dyn Connector, mut settings: Map<String, Value>) -> ConnectionConfig {
        let reach = Reach {
            allow_private: self.flag(path, &mut settings, ALLOW_PRIVATE),
            allow_http: self.flag(path, &mut settings, ALLOW_HTTP),
        };
        let expires = self.day(path, &mut settings, EXPIRES);
        if expires.is_some() && !path.starts_with("connections.") {
            self.wrong(&below(path, EXPIRES), "is kept of connections only, so nobody would be warned", "Take it out.");
        }
        let (references, wrong) = secrets::take_out(connector, &mut settings);
        let mut reported = BTreeSet::new();
        for (setting, message, remedy) in wrong {
            self.wrong(&below(path, &setting), message, remedy);
            reported.insert(setting);
        }
        ConnectionConfig { connector, settings: Value::Object(settings), references, reported, reach, expires }
    }

    fn channels(&mut self, alerts: &AlertSettings) -> BTreeMap<ChannelName, ConnectionConfig> {
        let mut channels = BTreeMap::new();
        for (name, settings) in &alerts.channels {
            let (path, mut settings) = (below("alerts.channels", name), settings.clone());
            let kinds = || selvedge_connectors::channels::CHANNELS.iter().map(|channel| channel.name());
            let at = below(&path, "kind");
            match settings.remove("kind") {
                Some(Value::String(kind)) => match selvedge_connectors::channels::by_name(&kind) {
                    Some(channel) => {
                        channels.insert(ChannelName(name.clone()), self.opened(&path, channel, settings));
                    }
                    None => {
                        let remedy = did_you_mean(&kind, kinds(), "Take one of the kinds that there are.");
                        self.wrong(&at, format!("{:?} is no kind of channel", words::short(&kind)), remedy);
                    }
                },
                _ => {
                    let kinds: Vec<String> = kinds().map(|kind| format!("{kind:?}")).collect();
                    self.wrong(&at, "is missing", format!("Write which kind of channel it is: kind = {}.", kinds.join(" or ")));
                }
            }
        }
        channels
    }

    fn heartbeat(&mut self, settings: Map<String, Value>) -> ConnectionConfig {
        if let Some(every) = settings.get("every")
            && let Some(unclear) = every.as_str().map_or(Some(words::short(&every.to_string()).to_owned()), |text| {
                text.parse::<Span>().err().map(|_| words::short(text).to_owned())
            })
        {
            self.wrong("heartbeat.every", format!("{unclear:?} is not a stretch of time"), words::SPAN_REMEDY);
        }
        self.opened("heartbeat", selvedge_connectors::channels::HEARTBEAT, settings)
    }

    /// A setting of every connection that is a day, taken out of what its connector is given.
    fn day(&mut self, path: &str, settings: &mut Map<String, Value>, name: &str) -> Option<jiff::civil::Date> {
        let day = settings.remove(name)?;
        let read = day.as_str().and_then(|text| text.trim().parse().ok());
        if read.is_none() {
            self.wrong(&below(path, name), "is not a day", "Write it with year, month and day, as \"2027-01-31\".");
        }
        read
    }

    /// A setting of every connection that is true or false, taken out of what its connector is given.
    fn flag(&mut self, path: &str, settings: &mut Map<String, Value>, name: &str) -> bool {
        match settings.remove(name) {
            None => false,
            Some(Value::Bool(set)) => set,
            Some(_) => {
                self.wrong(&below(path, name), "is neither true nor false", "Write true or false, without quotes.");
                false
            }
        }
    }

    fn flows(&mut self, flows: &BTreeMap<FlowName, FlowSettings>) {
        let mut captures: BTreeMap<(&str, Kind), (&FlowName, &CaptureSettings)> = BTreeMap::new();
        let declared = self.declared();
        for (name, flow) in flows {
            let path = below("flows", name.as_str());
            for (end, connection) in [("from", &flow.from), ("to", &flow.to)] {
                let at = below(&path, end);
                // An end that is missing has been named as such.
                if !connection.is_empty() && !declared.contains(connection) {
                    let remedy = did_you_mean(connection, declared.iter().map(String::as_str), "Add it as [connections.NAME].");
                    self.wrong(&at, format!("there is no connection {:?}", words::short(connection)), remedy);
                }
            }
            if !flow.from.is_empty() && flow.from == flow.to {
                self.wrong(&below(&path, "to"), "a flow cannot end where it begins", "Name two different connections.");
            }
            match captures.get(&(flow.from.as_str(), flow.kind.kind())) {
                // It says nothing of its own: it shares what another flow says.
                _ if flow.capture == CaptureSettings::default() => {}
                Some((first, capture)) if **capture != flow.capture => {
                    let remedy =
                        format!("Write it in one of [flows.{first}.capture] and [flows.{name}.capture], or the same in both.");
                    self.wrong(
                        &below(&path, "capture"),
                        format!("flows {first} and {name} share one capture of {}, but ask for two", flow.from),
                        remedy,
                    );
                }
                Some(_) => {}
                None => {
                    captures.insert((&flow.from, flow.kind.kind()), (name, &flow.capture));
                }
            }
            if flow.kind != FlowKind::Product && flow.products != ProductSettings::default() {
                let at = below(&path, "products");
                self.wrong(&at, format!("is for flows of products, and this one moves {}s", flow.kind.kind()), "Take it out.");
            }
            if flow.kind != FlowKind::CreditNote && flow.credits != CreditSettings::default() {
                let at = below(&path, "credits");
                self.wrong(
                    &at,
                    format!("is for flows of credit notes, and this one moves {}s", flow.kind.kind()),
                    "Take it out.",
                );
            }
            for (setting, message, remedy) in flow.products.faults() {
                self.wrong(&below(&below(&path, "products"), &setting), message, remedy);
            }
            if flow.backoff_first > flow.backoff_max {
                self.wrong(&below(&path, "backoff_max"), "is shorter than backoff_first", "Make it at least as long.");
            }
            if name.comes_with().is_some_and(|first| flows.contains_key(&first)) {
                self.wrong(
                    &path,
                    "this name belongs to the flow of customers that comes with the orders",
                    "Give the flow another name.",
                );
            }
        }
    }

    fn entities(&mut self, entities: &BTreeMap<String, EntitySettings>) {
        // None named is all of them, which leaves none to any other.
        let all = [String::new()];
        let mut sellers: BTreeMap<&str, &String> = BTreeMap::new();
        for (name, settings) in entities {
            let path = below("entities", name);
            for (setting, message, remedy) in settings.entity(name).err().unwrap_or_default() {
                let at = below(&path, &setting);
                // What does not fit the schema was taken out and named; it is not missing.
                if !self.problems.iter().any(|problem| problem.path == at) {
                    self.wrong(&at, message, remedy);
                }
            }
            let markets = if settings.markets.is_empty() { all.as_slice() } else { settings.markets.as_slice() };
            let taken = markets.iter().find_map(|market| {
                let market = market.trim();
                let before = if market.is_empty() { sellers.values().next() } else { sellers.get("") };
                let before = before.copied();
                sellers.insert(market, name).or(before)
            });
            if let Some(first) = taken.filter(|first| *first != name) {
                let remedy = "Name the markets of each entity, and each market in one of them only.";
                self.wrong(&below(&path, "markets"), format!("an order would belong to {first} and to {name}"), remedy);
            }
        }
    }

    fn stocks(&mut self, stocks: &BTreeMap<FlowName, StockSettings>, flows: &BTreeMap<FlowName, FlowSettings>) {
        let declared = self.declared();
        let mut writers: BTreeMap<(&str, &str), &FlowName> = BTreeMap::new();
        let mut readers: BTreeMap<(&str, &str, &str), &FlowName> = BTreeMap::new();
        for (name, stock) in stocks {
            let path = below("stock", name.as_str());
            if flows.contains_key(name) {
                self.wrong(&path, "a flow has this name, too", "Give one of them another name.");
            }
            for (end, connection) in [("from", &stock.from), ("to", &stock.to)] {
                if !connection.is_empty() && !declared.contains(connection) {
                    let remedy = did_you_mean(connection, declared.iter().map(String::as_str), "Add it as [connections.NAME].");
                    self.wrong(&below(&path, end), format!("there is no connection {:?}", words::short(connection)), remedy);
                }
            }
            if !stock.from.is_empty() && stock.from == stock.to {
                self.wrong(&below(&path, "to"), "a flow cannot end where it begins", "Name two different connections.");
            }
            if !stock.to.is_empty() && !flows.values().any(|flow| flow.from == stock.to && flow.kind == FlowKind::Order) {
                self.note(
                    Level::Warning,
                    &below(&path, "to"),
                    format!(
                        "no flow carries orders out of {}: units that it sold and {} has not heard of are shown again",
                        stock.to, stock.from
                    ),
                    "Add a flow of orders between the two under [flows]; without one, keep enough back under buffers.",
                );
            }
            for (setting, message, remedy) in stock.faults() {
                self.wrong(&below(&path, &setting), message, remedy);
            }
            let places: BTreeSet<(&str, &str)> = stock.warehouses.iter().map(|(l, w)| (l.trim(), w.trim())).collect();
            for warehouse in places.iter().map(|(_, warehouse)| *warehouse).collect::<BTreeSet<_>>() {
                if let Some(first) = writers.insert((stock.to.as_str(), warehouse), name).filter(|first| *first != name) {
                    self.wrong(
                        &below(&path, "warehouses"),
                        format!("warehouse {warehouse} of {} is written by stock.{first} already", stock.to),
                        "A warehouse has one source of truth: take it out of one of the two.",
                    );
                }
            }
            for (location, _) in &places {
                let key = (stock.from.as_str(), *location, stock.to.as_str());
                if let Some(first) = readers.insert(key, name).filter(|first| *first != name) {
                    self.wrong(
                        &below(&path, "warehouses"),
                        format!(
                            "{location} of {} is shown at {} by stock.{first} already: its units would be sold twice",
                            stock.from, stock.to
                        ),
                        "Let each place feed one warehouse.",
                    );
                }
            }
        }
    }

    /// The names under [connections], also of those that could not be read.
    fn declared(&self) -> Vec<String> {
        self.lines.below("connections")
    }
}

/// The schema that files are held against: connections are looked at by their connectors.
fn strict_schema() -> Value {
    let mut schema = schemars::schema_for!(ConfigFile).to_value();
    let must = |schema: &mut Value, names: &[&str]| {
        if let Some(table) = schema.as_object_mut() {
            table.insert("required".to_owned(), json!(names));
        }
    };
    must(&mut schema, &["brand"]);
    if let Some(flow) = schema.pointer_mut("/$defs/FlowSettings") {
        must(flow, &["from", "to"]);
    }
    if let Some(stock) = schema.pointer_mut("/$defs/StockSettings") {
        must(stock, &["from", "to"]);
    }
    schema
}

/// The schema that people and editors read: with the settings of every system.
pub fn schema() -> Value {
    let mut schema = strict_schema();
    let systems: Vec<Value> =
        selvedge_connectors::CONNECTORS.iter().map(|connector| system_schema(*connector, Some("system"))).collect();
    if let Some(connection) = schema.pointer_mut("/properties/connections/additionalProperties") {
        *connection = json!({ "oneOf": systems });
    }
    let channels = selvedge_connectors::channels::CHANNELS.iter().map(|channel| system_schema(*channel, Some("kind")));
    let channels: Vec<Value> = channels.collect();
    if let Some(channel) = schema.pointer_mut("/$defs/AlertSettings/properties/channels/additionalProperties") {
        *channel = json!({ "oneOf": channels });
    }
    if let Some(webhook) = schema.pointer_mut("/properties/webhooks/additionalProperties") {
        *webhook = webhooks::schema();
    }
    if let Some(heartbeat) = schema.pointer_mut("/properties/heartbeat") {
        *heartbeat = system_schema(selvedge_connectors::channels::HEARTBEAT, None);
    }
    if let Some(defs) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        defs.insert("Secret".to_owned(), secrets::schema());
    }
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), json!("selvedge.toml"));
    }
    schema
}

/// `key` is the setting that names the connector, where one does.
fn system_schema(connector: &dyn Connector, key: Option<&str>) -> Value {
    let mut properties = Map::new();
    if let Some(key) = key {
        properties.insert(key.to_owned(), json!({ "const": connector.name() }));
    }
    for (name, text) in REACH {
        properties.insert(name.to_owned(), json!({ "type": "boolean", "description": text }));
    }
    if key == Some("system") {
        properties.insert(EXPIRES.to_owned(), json!({ "type": "string", "format": "date", "description": EXPIRES_SAYS }));
    }
    for (path, text) in connector.settings() {
        let setting = if connector.secret_settings().contains(&path) {
            json!({ "$ref": "#/$defs/Secret", "description": text })
        } else {
            json!({ "description": text })
        };
        match path.split_once('.') {
            None => {
                properties.insert(path.to_owned(), setting);
            }
            Some((table, inner)) => {
                let table = properties
                    .entry(table)
                    .or_insert_with(|| json!({ "type": "object", "properties": {}, "additionalProperties": false }));
                if let Some(inner_properties) = table.get_mut("properties").and_then(Value::as_object_mut) {
                    inner_properties.insert(inner.to_owned(), setting);
                }
            }
        }
    }
    json!({ "title": connector.name(), "type": "object", "properties": properties, "required": key.into_iter().collect::<Vec<_>>(), "additionalProperties": false })
}

#[cfg(test)]
mod tests;
