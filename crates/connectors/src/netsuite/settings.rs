//! The settings of a NetSuite connection: read whole, every mistake named at once.

use std::{collections::BTreeMap, time::Duration};

use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use selvedge_connector::{Secret, Secrets, SettingProblem, jws, oauth1};
use serde_json::{Map, Value};

use super::stock::Table;

/// Path → what it is for. The only list of what there is: unknown settings are found against it.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("account", "Account id as NetSuite shows it under Company Information: 1234567 or 1234567_SB1. Required."),
    ("base_url", "Where the account answers. Default: https://<account>.suitetalk.api.netsuite.com"),
    ("auth.method", "oauth2 (client credentials with a certificate; recommended) or oauth1 (token-based). Default: oauth2."),
    ("auth.client_id", "oauth2: client id of the integration record."),
    ("auth.certificate_id", "oauth2: certificate id as OAuth 2.0 Client Credentials Setup shows it."),
    ("auth.private_key", "oauth2: private key of the certificate, PEM. Secret."),
    ("auth.algorithm", "oauth2: ES256, ES384, ES512, PS256, PS384 or PS512. Default: what fits the key."),
    ("auth.audience", "oauth2: audience of the assertion. Default: the token address below base_url."),
    ("auth.consumer_key", "oauth1: consumer key of the integration record."),
    ("auth.consumer_secret", "oauth1: consumer secret. Secret."),
    ("auth.token_id", "oauth1: token id."),
    ("auth.token_secret", "oauth1: token secret. Secret."),
    ("concurrency", "Calls at once. The account's limit (5 on the smallest plan) is shared by all its integrations. Default: 2."),
    (
        "timeout_seconds",
        "How long a call may take before it counts as unanswered. Default: 60; NetSuite itself cuts at 15 minutes.",
    ),
    ("document", "What an order becomes: sales_order or cash_sale. Default: sales_order."),
    (
        "order_status",
        "Status of a new sales order: B (pending fulfillment; the role needs to approve) or A (pending approval). Default: B.",
    ),
    (
        "tax",
        "suitetax (our tax, exact, by taxDetailsOverride), legacy (tax code per line, judged when read back) or none (nothing is sent). Default: suitetax.",
    ),
    ("tax_type", "suitetax: tax type id of the tax lines, where tax_types does not name the country's. Default: 1."),
    ("tax_types", "suitetax: tax type id by ship-to country: { SE = \"9\" }. A tax_code mapped as TYPE:CODE overrides both."),
    (
        "shipping",
        "header (shipMethod and shippingCost) or line (an item line, mapped in charge_item as kind=shipping). Default: header.",
    ),
    (
        "shipping_tax_reference",
        "suitetax: the tax details reference of the shipping charge. See an order made in the UI. Default: SHIPPING.",
    ),
    ("one_world", "Whether the account has subsidiaries. Default: true."),
    (
        "customers",
        "shopper (one customer per shopper and market, made when missing) or guest (the mapped guest_customer for all). Default: shopper.",
    ),
    ("customer_number", "auto (NetSuite numbers customers) or key (our key is sent as entity id). Default: auto."),
    (
        "payment_reference_field",
        "Body field that takes the payment references, such as custbody_payment_reference. Default: they go into the memo.",
    ),
    ("default_location", "Location id for markets without an entry in the mapping table location. Default: none is sent."),
    ("price_level", "Price level id of every line; -1 is custom, so that our price is not replaced. Default: -1."),
    ("rate_decimals", "The finest unit price that is sent beside the amount. Default: the currency's decimals."),
    ("custom_form", "Custom form id of new documents. Default: the role's preferred form."),
    ("query_time_zone", "Zone in which SuiteQL prints timestamps; selvedge check probes it. Default: America/Los_Angeles."),
    (
        "stock_table",
        "Where stock is read: inventory_item_locations (tells what is back ordered) or aggregate_item_location (does not, so what is oversold does not show). Default: inventory_item_locations.",
    ),
    (
        "stock_changes",
        "How changes of stock are found: timestamp (the column lastquantityavailablechange), date (it holds days alone; selvedge check tells) or none (everything is read each time). Default: timestamp.",
    ),
    (
        "commit_lag_seconds",
        "How long after an order was saved its units may still be missing from what is committed, 0 to 86400. Default: 30; more where a job allocates.",
    ),
    (
        "webhook_secret",
        "What the script in the account signs with, see docs/systems/netsuite.md; without it every webhook is refused. Secret.",
    ),
    ("webhook_tolerance_seconds", "How old a webhook's signature may be, in seconds, 1 to 86400. Default: 300."),
    (
        "items.subsidiary",
        "Subsidiary ids of new items, several separated by commas. Needed to make items in an account with subsidiaries.",
    ),
    ("items.include_children", "Whether new items belong to the subsidiaries below, too. Default: false."),
    (
        "items.tax_schedule",
        "Tax schedule id of new items; default leaves it to the account. Needed to make items unless tax is none.",
    ),
    (
        "items.income_account",
        "Income account id of new items; default leaves it to the accounting preferences. Needed to make items.",
    ),
    ("items.cogs_account", "Account id of what sold goods cost, of new inventory items; or default. Needed to make them."),
    ("items.asset_account", "Inventory asset account id of new inventory items; or default. Needed to make them."),
    (
        "items.units_type",
        "Units type id of new inventory items, where the account counts in several units. Default: none is sent.",
    ),
    (
        "items.name_field",
        "Field that takes the name of a product: displayName (which NetSuite limits), salesDescription, description or a custom field. Default: displayName.",
    ),
    ("items.hs_code_field", "Field that takes the customs tariff code. Default: manufacturerTariff (HS Tariff Number)."),
    ("items.weight_unit", "Unit in which weights are written: g, kg, lb or oz. Default: g."),
    ("items.custom_form", "Custom form id of new items. Default: the role's preferred form."),
    ("items.fields", "Fields that every new item gets as they are: { costingMethod = { id = \"FIFO\" } }."),
    (
        "shipments.status",
        "Status of a new item fulfilment: C (shipped: goods and cost are posted), B (packed) or A (picked). Default: C.",
    ),
    ("shipments.time_zone", "Zone in whose calendar the day of a fulfilment is taken: Europe/Stockholm. Default: Etc/UTC."),
    (
        "shipments.package_weight",
        "Weight of each package in pounds: NetSuite demands one, and warehouses tell none. Default: 1; 0 sends none.",
    ),
    ("shipments.fields", "Body fields that every new item fulfilment gets as they are."),
    (
        "returns.goods",
        "What returned goods become: authorization (return authorization and item receipt) or adjustment (an inventory adjustment once they are there). Default: authorization.",
    ),
    (
        "returns.status",
        "Status of a new return authorization: B (pending receipt; the role needs to approve) or A (pending approval). Default: B.",
    ),
    (
        "returns.time_zone",
        "Zone in whose calendar the day of a return and of its receipt is taken: Europe/Stockholm. Default: Etc/UTC.",
    ),
    ("returns.account", "goods = adjustment: account id of the inventory adjustments. Needed then."),
    (
        "returns.memo_moves_stock",
        "Whether a credit memo that is not made from a return authorization puts its stock items on the shelf in this account: try it in the sandbox. Must be false for goods = adjustment, or units would count twice; unless it is false, goods are not credited without a return. Default: not known.",
    ),
    (
        "returns.credit_in_advance",
        "Whether a return may be credited before its goods were received in NetSuite, as far as the account lets it. Default: true.",
    ),
    (
        "returns.closed_period",
        "What happens to a document whose day is in a closed or locked accounting period: hold (a person decides) or next_open (it is dated on the first day of the next open period, and its memo says so). Default: hold.",
    ),
    (
        "returns.payment_field",
        "Field of a customer refund that takes the mapped payment_method: paymentOption or paymentMethod. Default: paymentOption.",
    ),
    (
        "returns.reference_field",
        "Body field of a customer refund that takes the payment provider's transaction id, such as custbody_psp_reference; it is compared then. The memo names it in any case. Default: none.",
    ),
    (
        "returns.restock_field",
        "Line field of an item receipt that keeps goods off the shelf; used for written-off goods whose warehouse has no entry in return_location. Default: restock.",
    ),
    ("returns.fields", "Body fields that every new return authorization and credit memo gets as they are."),
    ("returns.refund_fields", "Body fields that every new customer refund gets as they are."),
    (
        "statements.order_key",
        "Where the shop's number of an order stands on documents that we did not make: otherrefnum, externalid, tranid, memo, or a custom body field such as custbody_shop_order. Our own are known by their external id. Default: otherrefnum.",
    ),
    (
        "statements.tracking",
        "Whether a statement tells the tracking numbers of fulfilments: no query tells them, so each costs a call. Default: false.",
    ),
    ("statements.strip", "What stands before the shop's number there and is no part of it: PW-. Default: nothing."),
    ("fields", "Body fields that every new document gets as they are: { department = { id = \"4\" } }."),
    ("line_fields", "Line fields that every new line gets as they are: { class = { id = \"7\" } }."),
];

/// Settings that hold a table of free names.
const OPEN_TABLES: &[&str] =
    &["tax_types", "fields", "line_fields", "items.fields", "shipments.fields", "returns.fields", "returns.refund_fields"];

/// The settings that are secrets.
pub(crate) const SECRETS: &[&str] = &["auth.private_key", "auth.consumer_secret", "auth.token_secret", "webhook_secret"];

/// Which document an order becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    SalesOrder,
    CashSale,
}

impl Document {
    /// The record's name in addresses.
    pub fn record(self) -> &'static str {
        match self {
            Document::SalesOrder => "salesOrder",
            Document::CashSale => "cashSale",
        }
    }

    /// The transaction's type in queries.
    pub fn query_type(self) -> &'static str {
        match self {
            Document::SalesOrder => "SalesOrd",
            Document::CashSale => "CashSale",
        }
    }

    /// What our external ids begin with: they are unique over all transactions, so the type is in them.
    pub fn prefix(self) -> &'static str {
        match self {
            Document::SalesOrder => "so_",
            Document::CashSale => "cs_",
        }
    }

    /// What people call it.
    pub fn words(self) -> &'static str {
        match self {
            Document::SalesOrder => "sales order",
            Document::CashSale => "cash sale",
        }
    }
}

/// How tax is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tax {
    Suite,
    Legacy,
    None,
}

/// Where the shipping charge goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShippingForm {
    Header,
    Line,
}

/// Everything that decides how documents look. No secrets, no addresses.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub document: Document,
    pub order_status: &'static str,
    pub tax: Tax,
    pub tax_type: String,
    pub tax_types: BTreeMap<String, String>,
    pub shipping: ShippingForm,
    pub shipping_tax_reference: String,
    pub one_world: bool,
    pub customer_per_shopper: bool,
    pub customer_number: bool,
    pub payment_reference_field: Option<String>,
    pub default_location: Option<String>,
    pub price_level: String,
    pub rate_decimals: Option<u32>,
    pub custom_form: Option<String>,
    pub query_time_zone: TimeZone,
    pub fields: Map<String, Value>,
    pub line_fields: Map<String, Value>,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            document: Document::SalesOrder,
            order_status: "B",
            tax: Tax::Suite,
            tax_type: "1".to_owned(),
            tax_types: BTreeMap::new(),
            shipping: ShippingForm::Header,
            shipping_tax_reference: "SHIPPING".to_owned(),
            one_world: true,
            customer_per_shopper: true,
            customer_number: false,
            payment_reference_field: None,
            default_location: None,
            price_level: "-1".to_owned(),
            rate_decimals: None,
            custom_form: None,
            query_time_zone: TimeZone::UTC,
            fields: Map::new(),
            line_fields: Map::new(),
        }
    }
}

/// How the column `lastquantityavailablechange` tells when a row changed. That it is there, and its type, are not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// To the second.
    ByTime,
    /// The day alone: what changed since is all that changed on that day or later.
    ByDay,
    /// It is not there: everything is read each time.
    Untold,
}

/// How stock is read.
#[derive(Clone, Debug)]
pub(crate) struct StockSettings {
    pub table: Table,
    /// How the table tells when a row changed.
    pub changes: Changes,
    pub commit_lag: Duration,
}

impl Default for StockSettings {
    fn default() -> Self {
        Self { table: Table::InventoryItemLocations, changes: Changes::ByTime, commit_lag: Duration::from_secs(30) }
    }
}

/// In which unit an item's weight is kept. The ids are those of the vendor's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WeightUnit {
    Pound,
    Ounce,
    Kilogram,
    Gram,
}

impl WeightUnit {
    /// The unit of this id.
    pub fn of_id(id: &str) -> Option<Self> {
        match id {
            "1" => Some(Self::Pound),
            "2" => Some(Self::Ounce),
            "3" => Some(Self::Kilogram),
            "4" => Some(Self::Gram),
            _ => None,
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Pound => "1",
            Self::Ounce => "2",
            Self::Kilogram => "3",
            Self::Gram => "4",
        }
    }

    /// One of it in grams, exactly.
    pub fn grams(self) -> Decimal {
        match self {
            Self::Pound => Decimal::new(45_359_237, 5),
            Self::Ounce => Decimal::new(28_349_523_125, 9),
            Self::Kilogram => Decimal::ONE_THOUSAND,
            Self::Gram => Decimal::ONE,
        }
    }

    /// Its id, and so many grams in it: in pounds and ounces to six places, from which the grams can be told again.
    pub fn of_grams(self, grams: u32) -> (&'static str, Decimal) {
        let weight = Decimal::from(grams).checked_div(self.grams()).unwrap_or_default();
        (self.id(), weight.round_dp(6).normalize())
    }
}

/// What items are made with.
#[derive(Clone, Debug)]
pub(crate) struct ItemSettings {
    pub subsidiaries: Vec<String>,
    pub include_children: bool,
    pub tax_schedule: Option<String>,
    pub income_account: Option<String>,
    pub cogs_account: Option<String>,
    pub asset_account: Option<String>,
    pub units_type: Option<String>,
    pub name_field: String,
    pub hs_code_field: String,
    pub weight_unit: WeightUnit,
    pub custom_form: Option<String>,
    pub fields: Map<String, Value>,
}

impl Default for ItemSettings {
    fn default() -> Self {
        Self {
            subsidiaries: Vec::new(),
            include_children: false,
            tax_schedule: None,
            income_account: None,
            cogs_account: None,
            asset_account: None,
            units_type: None,
            name_field: "displayName".to_owned(),
            hs_code_field: "manufacturerTariff".to_owned(),
            weight_unit: WeightUnit::Gram,
            custom_form: None,
            fields: Map::new(),
        }
    }
}

/// What item fulfilments are made with.
#[derive(Clone, Debug)]
pub(crate) struct ShipmentSettings {
    /// A letter of `shipStatus`.
    pub status: &'static str,
    pub time_zone: TimeZone,
    /// In pounds; none is sent where it is nought.
    pub package_weight: Decimal,
    pub fields: Map<String, Value>,
}

impl Default for ShipmentSettings {
    fn default() -> Self {
        Self { status: "C", time_zone: TimeZone::UTC, package_weight: Decimal::ONE, fields: Map::new() }
    }
}

/// What returned goods become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goods {
    /// A return authorization, and an item receipt of it.
    Authorization,
    /// An inventory adjustment.
    Adjustment,
}

/// What happens to a document whose day is in a period that takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClosedPeriod {
    /// A person decides.
    Hold,
    /// It is dated on the first day of the next open period.
    NextOpen,
}

/// What returns, credit memos and refunds are made with.
#[derive(Clone, Debug)]
pub(crate) struct ReturnSettings {
    pub goods: Goods,
    /// A letter of `orderStatus`.
    pub status: &'static str,
    pub time_zone: TimeZone,
    pub account: Option<String>,
    /// `None` where nobody has tried.
    pub memo_moves_stock: Option<bool>,
    pub credit_in_advance: bool,
    pub closed_period: ClosedPeriod,
    pub payment_field: &'static str,
    pub reference_field: Option<String>,
    pub restock_field: String,
    pub fields: Map<String, Value>,
    pub refund_fields: Map<String, Value>,
}

impl Default for ReturnSettings {
    fn default() -> Self {
        Self {
            goods: Goods::Authorization,
            status: "B",
            time_zone: TimeZone::UTC,
            account: None,
            memo_moves_stock: None,
            credit_in_advance: true,
            closed_period: ClosedPeriod::Hold,
            payment_field: "paymentOption",
            reference_field: None,
            restock_field: "restock".to_owned(),
            fields: Map::new(),
            refund_fields: Map::new(),
        }
    }
}

/// Where the shop's number of an order stands on a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OrderKey {
    OtherRefNum,
    ExternalId,
    TranId,
    Memo,
    /// A custom body field; its name may stand in a query as it is.
    Custom(String),
}

impl OrderKey {
    fn read(text: &str) -> Option<OrderKey> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        match text {
            "otherrefnum" => Some(OrderKey::OtherRefNum),
            "externalid" => Some(OrderKey::ExternalId),
            "tranid" => Some(OrderKey::TranId),
            "memo" => Some(OrderKey::Memo),
            field if field.starts_with("custbody") && field.bytes().all(plain) => Some(OrderKey::Custom(field.to_owned())),
            _ => None,
        }
    }
}

/// How statements are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatementSettings {
    /// None where nobody said.
    pub order_key: Option<OrderKey>,
    /// What stands before the number.
    pub strip: String,
    /// Whether tracking numbers of fulfilments are read, at a call each.
    pub tracking: bool,
}

/// How we prove who we are.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    OAuth2 { client_id: String, certificate_id: String, private_key: Secret, algorithm: String, audience: String },
    OAuth1(oauth1::Credentials),
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub base_url: String,
    pub credentials: Credentials,
    pub concurrency: usize,
    pub timeout: Duration,
    pub form: Form,
    pub stock: StockSettings,
    pub items: ItemSettings,
    pub shipments: ShipmentSettings,
    pub returns: ReturnSettings,
    pub statements: StatementSettings,
    /// What the script in the account signs with.
    pub webhook_secret: Option<Secret>,
    /// How old a signature may be.
    pub webhook_tolerance: Duration,
}

/// The account id as it stands in host names.
fn host_form(account: &str) -> String {
    account.to_lowercase().replace('_', "-")
}

/// The account id as it stands in the realm of OAuth 1.0a.
fn realm_form(account: &str) -> String {
    account.to_uppercase().replace('-', "_")
}

struct Reader<'a> {
    settings: &'a Value,
    secrets: &'a Secrets,
    problems: Vec<SettingProblem>,
}

impl Reader<'_> {
    fn problem(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(SettingProblem { path: path.to_owned(), message: message.into(), remedy: remedy.into() });
    }

    fn value(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self.settings, |value, part| value.get(part)).filter(|value| !value.is_null())
    }

    fn explain(path: &str) -> &'static str {
        SETTINGS.iter().find(|(name, _)| *name == path).map_or("", |(_, text)| text)
    }

    /// A text; a number is taken as one, since ids look like numbers.
    fn text(&mut self, path: &str) -> Option<String> {
        match self.value(path)? {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => {
                self.problem(path, "must be a text that is not empty", Self::explain(path));
                None
            }
        }
    }

    fn required(&mut self, path: &str) -> String {
        if self.value(path).is_none() {
            self.problem(path, "is missing", Self::explain(path));
            return String::new();
        }
        self.text(path).unwrap_or_default()
    }

    fn secret(&mut self, path: &str) -> Secret {
        match self.secrets.get(path) {
            Some(secret) if !secret.reveal().trim().is_empty() => secret.clone(),
            Some(_) => {
                self.problem(path, "is an empty secret", "See where the secret is taken from; it has no content there.");
                Secret::new("")
            }
            None => {
                self.problem(
                    path,
                    "is missing",
                    format!("{} Give it by environment, file or the encrypted store.", Self::explain(path)),
                );
                Secret::new("")
            }
        }
    }

    fn truth(&mut self, path: &str, default: bool) -> bool {
        match self.value(path) {
            None => default,
            Some(Value::Bool(truth)) => *truth,
            Some(_) => {
                self.problem(path, "must be true or false", Self::explain(path));
                default
            }
        }
    }

    fn whole(&mut self, path: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let found = self.value(path)?.as_u64().filter(|n| range.contains(n));
        if found.is_none() {
            self.problem(path, format!("must be a whole number from {} to {}", range.start(), range.end()), Self::explain(path));
        }
        found
    }

    /// One of a few words; the first is the default.
    fn word<T: Copy>(&mut self, path: &str, words: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(path) else {
            return default;
        };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return *meaning;
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(&text, &known).map(|word| format!(" Did you mean {word}?")).unwrap_or_default();
        self.problem(path, format!("{text:?} is none of {}.{hint}", known.join(", ")), Self::explain(path));
        default
    }

    fn table(&mut self, path: &str) -> Map<String, Value> {
        match self.value(path) {
            None => Map::new(),
            Some(Value::Object(table)) => table.clone(),
            Some(_) => {
                self.problem(path, "must be a table", Self::explain(path));
                Map::new()
            }
        }
    }

    fn unknown(&mut self, value: &Value, prefix: &str) {
        let Some(table) = value.as_object() else {
            return;
        };
        for (name, inner) in table {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let inner_known = SETTINGS.iter().any(|(known, _)| known.starts_with(&format!("{path}.")));
            if inner_known && inner.is_object() {
                self.unknown(inner, &path);
            } else if inner_known {
                self.problem(&path, "must be a table", format!("Write it as [{path}] with settings below."));
            } else if !SETTINGS.iter().any(|(known, _)| *known == path) {
                let known: Vec<&str> = SETTINGS.iter().map(|(known, _)| *known).collect();
                let remedy = match nearest(&path, &known) {
                    Some(near) => format!("Did you mean {near}?"),
                    None => "Take it out; selvedge config schema lists what there is.".to_owned(),
                };
                self.problem(&path, "is not a setting of this system", remedy);
            } else if inner.is_object() && !OPEN_TABLES.contains(&path.as_str()) && !SECRETS.contains(&path.as_str()) {
                self.problem(&path, "must not be a table", Self::explain(&path));
            }
        }
    }
}

/// Reads them.
///
/// # Errors
/// Every setting that is wrong.
pub(crate) fn read(settings: &Value, secrets: &Secrets) -> Result<Settings, Vec<SettingProblem>> {
    let mut reader = Reader { settings, secrets, problems: Vec::new() };
    reader.unknown(settings, "");
    let account = reader.required("account");
    if !account.is_empty() && !account.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        reader.problem(
            "account",
            format!("{account:?} is not an account id"),
            "Write the id, not the address: 1234567 or 1234567_SB1.",
        );
    }
    let base_url = match reader.text("base_url") {
        None => format!("https://{}.suitetalk.api.netsuite.com", host_form(&account)),
        Some(text) => {
            let plain = url::Url::parse(&text).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.query().is_none()
                    && url.fragment().is_none()
                    && url.username().is_empty()
                    && url.password().is_none()
            });
            if !plain {
                reader.problem(
                    "base_url",
                    format!("{:?} is not an address", text.chars().take(120).collect::<String>()),
                    "Write it as https://host, without query or credentials.",
                );
            }
            text.trim_end_matches('/').to_owned()
        }
    };
    let credentials = credentials(&mut reader, &account, &base_url);
    let concurrency = reader.whole("concurrency", 1..=50).unwrap_or(2);
    let timeout = Duration::from_secs(reader.whole("timeout_seconds", 1..=900).unwrap_or(60));
    let form = form(&mut reader);
    let stock = stock(&mut reader);
    let items = items(&mut reader);
    let shipments = shipments(&mut reader);
    let returns = returns(&mut reader);
    let statements = statements(&mut reader);
    // It may be left out, but not be empty.
    let webhook_secret = secrets.get("webhook_secret").is_some().then(|| reader.secret("webhook_secret"));
    let webhook_tolerance = Duration::from_secs(reader.whole("webhook_tolerance_seconds", 1..=86_400).unwrap_or(300));
    if reader.problems.is_empty() {
        Ok(Settings {
            base_url,
            credentials,
            concurrency: usize::try_from(concurrency).unwrap_or(2),
            timeout,
            form,
            stock,
            items,
            shipments,
            returns,
            statements,
            webhook_secret,
            webhook_tolerance,
        })
    } else {
        Err(reader.problems)
    }
}

fn stock(reader: &mut Reader<'_>) -> StockSettings {
    let default = StockSettings::default();
    let tables =
        [("inventory_item_locations", Table::InventoryItemLocations), ("aggregate_item_location", Table::AggregateItemLocation)];
    let changes = [("timestamp", Changes::ByTime), ("date", Changes::ByDay), ("none", Changes::Untold)];
    StockSettings {
        table: reader.word("stock_table", &tables, default.table),
        changes: reader.word("stock_changes", &changes, default.changes),
        commit_lag: reader.whole("commit_lag_seconds", 0..=86_400).map_or(default.commit_lag, Duration::from_secs),
    }
}

fn items(reader: &mut Reader<'_>) -> ItemSettings {
    let default = ItemSettings::default();
    let subsidiaries = reader.text("items.subsidiary").unwrap_or_default();
    let subsidiaries: Vec<String> = subsidiaries.split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect();
    if subsidiaries.iter().any(|id| !id.bytes().all(|b| b.is_ascii_digit())) {
        reader.problem("items.subsidiary", "must be ids, separated by commas", Reader::explain("items.subsidiary"));
    }
    let units = [("g", WeightUnit::Gram), ("kg", WeightUnit::Kilogram), ("lb", WeightUnit::Pound), ("oz", WeightUnit::Ounce)];
    ItemSettings {
        subsidiaries,
        include_children: reader.truth("items.include_children", default.include_children),
        tax_schedule: reader.text("items.tax_schedule"),
        income_account: reader.text("items.income_account"),
        cogs_account: reader.text("items.cogs_account"),
        asset_account: reader.text("items.asset_account"),
        units_type: reader.text("items.units_type"),
        name_field: reader.text("items.name_field").unwrap_or(default.name_field),
        hs_code_field: reader.text("items.hs_code_field").unwrap_or(default.hs_code_field),
        weight_unit: reader.word("items.weight_unit", &units, default.weight_unit),
        custom_form: reader.text("items.custom_form"),
        fields: reader.table("items.fields"),
    }
}

/// The zone of a calendar.
fn calendar(reader: &mut Reader<'_>, path: &str) -> TimeZone {
    match reader.text(path) {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(&name).unwrap_or_else(|_| {
            reader.problem(path, format!("{name:?} is not a time zone"), "Write it as Europe/Stockholm or Etc/UTC.");
            TimeZone::UTC
        }),
    }
}

fn statements(reader: &mut Reader<'_>) -> StatementSettings {
    const PATH: &str = "statements.order_key";
    let text = reader.text(PATH);
    let order_key = text.as_deref().and_then(OrderKey::read);
    if let Some(text) = text.filter(|_| order_key.is_none()) {
        let known = ["otherrefnum", "externalid", "tranid", "memo"];
        let hint = nearest(&text, &known).map(|word| format!(" Did you mean {word}?")).unwrap_or_default();
        let message = format!(
            "{text:?} is none of {}, and no custom body field (custbody, then a to z, 0 to 9 and _).{hint}",
            known.join(", ")
        );
        reader.problem(PATH, message, Reader::explain(PATH));
    }
    StatementSettings {
        order_key,
        strip: reader.text("statements.strip").unwrap_or_default(),
        tracking: reader.truth("statements.tracking", false),
    }
}

fn returns(reader: &mut Reader<'_>) -> ReturnSettings {
    let default = ReturnSettings::default();
    let goods = [("authorization", Goods::Authorization), ("adjustment", Goods::Adjustment)];
    let closed = [("hold", ClosedPeriod::Hold), ("next_open", ClosedPeriod::NextOpen)];
    let payment = [("paymentOption", "paymentOption"), ("paymentMethod", "paymentMethod")];
    let stated = reader.value("returns.memo_moves_stock").is_some();
    let moves = reader.truth("returns.memo_moves_stock", true);
    let settings = ReturnSettings {
        goods: reader.word("returns.goods", &goods, default.goods),
        status: reader.word("returns.status", &[("B", "B"), ("A", "A")], default.status),
        time_zone: calendar(reader, "returns.time_zone"),
        account: reader.text("returns.account"),
        memo_moves_stock: stated.then_some(moves),
        credit_in_advance: reader.truth("returns.credit_in_advance", default.credit_in_advance),
        closed_period: reader.word("returns.closed_period", &closed, default.closed_period),
        payment_field: reader.word("returns.payment_field", &payment, default.payment_field),
        reference_field: reader.text("returns.reference_field"),
        restock_field: reader.text("returns.restock_field").unwrap_or(default.restock_field),
        fields: reader.table("returns.fields"),
        refund_fields: reader.table("returns.refund_fields"),
    };
    if settings.goods == Goods::Adjustment {
        if settings.memo_moves_stock != Some(false) {
            reader.problem(
                "returns.memo_moves_stock",
                "must be stated as false with returns.goods = \"adjustment\": a credit memo that moves stock and an adjustment would count the same units twice",
                "Credit a stock item by hand in the sandbox and see whether its quantity on hand changes. If it does, use returns.goods = \"authorization\"; if not, state false.",
            );
        }
        if settings.account.is_none() {
            reader.problem("returns.account", "is missing", Reader::explain("returns.account"));
        }
    }
    settings
}

fn shipments(reader: &mut Reader<'_>) -> ShipmentSettings {
    let default = ShipmentSettings::default();
    let time_zone = calendar(reader, "shipments.time_zone");
    let package_weight = match reader.text("shipments.package_weight") {
        None => default.package_weight,
        Some(text) => Decimal::from_str_exact(&text).ok().filter(|weight| !weight.is_sign_negative()).unwrap_or_else(|| {
            reader.problem(
                "shipments.package_weight",
                format!("{text:?} is not a weight"),
                Reader::explain("shipments.package_weight"),
            );
            default.package_weight
        }),
    };
    ShipmentSettings {
        status: reader.word("shipments.status", &[("C", "C"), ("B", "B"), ("A", "A")], default.status),
        time_zone,
        package_weight,
        fields: reader.table("shipments.fields"),
    }
}

fn credentials(reader: &mut Reader<'_>, account: &str, base_url: &str) -> Credentials {
    if reader.word("auth.method", &[("oauth2", true), ("oauth1", false)], true) {
        let private_key = reader.secret("auth.private_key");
        let known = ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"].map(|name| (name, name));
        let fits = super::auth::algorithm_of(private_key.reveal());
        let algorithm = reader.word("auth.algorithm", &known, fits.unwrap_or("ES256")).to_owned();
        if let Some(why) = unusable(&private_key, &algorithm) {
            reader.problem(
                "auth.private_key",
                why,
                "Give the whole file of an unencrypted PKCS #8 key, from -----BEGIN PRIVATE KEY----- to the end line: openssl pkcs8 -topk8 -nocrypt -in KEY",
            );
        }
        Credentials::OAuth2 {
            client_id: reader.required("auth.client_id"),
            certificate_id: reader.required("auth.certificate_id"),
            private_key,
            algorithm,
            audience: reader.text("auth.audience").unwrap_or_else(|| format!("{base_url}{}", super::auth::TOKEN_PATH)),
        }
    } else {
        Credentials::OAuth1(oauth1::Credentials {
            consumer_key: reader.required("auth.consumer_key"),
            consumer_secret: reader.secret("auth.consumer_secret"),
            token_id: reader.required("auth.token_id"),
            token_secret: reader.secret("auth.token_secret"),
            realm: realm_form(account),
        })
    }
}

/// Why nothing can be signed with this key, found out by signing nothing of weight.
fn unusable(private_key: &Secret, algorithm: &str) -> Option<String> {
    let missing = private_key.reveal().trim().is_empty();
    let tried = jws::sign(algorithm, "", private_key, &Value::Object(Map::new()));
    tried.err().filter(|_| !missing).map(|why| format!("does not sign with {algorithm}: {why}"))
}

fn form(reader: &mut Reader<'_>) -> Form {
    let default = Form::default();
    let query_time_zone = match reader.text("query_time_zone") {
        None => TimeZone::get("America/Los_Angeles").unwrap_or(TimeZone::UTC),
        Some(name) => TimeZone::get(&name).unwrap_or_else(|_| {
            reader.problem(
                "query_time_zone",
                format!("{name:?} is not a time zone"),
                "Write it as America/Los_Angeles or Etc/UTC.",
            );
            TimeZone::UTC
        }),
    };
    let mut tax_types = BTreeMap::new();
    for (country, id) in reader.table("tax_types") {
        match &id {
            Value::String(id) if !id.is_empty() => drop(tax_types.insert(country.to_uppercase(), id.clone())),
            Value::Number(id) => drop(tax_types.insert(country.to_uppercase(), id.to_string())),
            _ => reader.problem("tax_types", format!("{country} must stand for an id"), Reader::explain("tax_types")),
        }
    }
    Form {
        document: reader.word(
            "document",
            &[("sales_order", Document::SalesOrder), ("cash_sale", Document::CashSale)],
            default.document,
        ),
        order_status: reader.word("order_status", &[("B", "B"), ("A", "A")], default.order_status),
        tax: reader.word("tax", &[("suitetax", Tax::Suite), ("legacy", Tax::Legacy), ("none", Tax::None)], default.tax),
        tax_type: reader.text("tax_type").unwrap_or(default.tax_type),
        tax_types,
        shipping: reader.word("shipping", &[("header", ShippingForm::Header), ("line", ShippingForm::Line)], default.shipping),
        shipping_tax_reference: reader.text("shipping_tax_reference").unwrap_or(default.shipping_tax_reference),
        one_world: reader.truth("one_world", default.one_world),
        customer_per_shopper: reader.word("customers", &[("shopper", true), ("guest", false)], default.customer_per_shopper),
        customer_number: reader.word("customer_number", &[("auto", false), ("key", true)], default.customer_number),
        payment_reference_field: reader.text("payment_reference_field"),
        default_location: reader.text("default_location"),
        price_level: reader.text("price_level").unwrap_or(default.price_level),
        rate_decimals: reader.whole("rate_decimals", 0..=8).and_then(|n| u32::try_from(n).ok()),
        custom_form: reader.text("custom_form"),
        query_time_zone,
        fields: reader.table("fields"),
        line_fields: reader.table("line_fields"),
    }
}

/// The known word that is nearest to a mistyped one, if it is near at all.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let last = |text: &str| text.rsplit('.').next().unwrap_or_default().to_lowercase();
    known
        .iter()
        .map(|candidate| {
            (distance(&word.to_lowercase(), &candidate.to_lowercase()).min(distance(&last(word), &last(candidate))), *candidate)
        })
        .filter(|(steps, candidate)| *steps <= 1 + last(candidate).len() / 4)
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let changed = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn oauth1_secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.set("auth.consumer_secret", Secret::new("cs-hidden"));
        secrets.set("auth.token_secret", Secret::new("ts-hidden"));
        secrets
    }

    pub(crate) fn oauth1_settings() -> Value {
        json!({"account": "1234567-sb1", "auth": {"method": "oauth1", "consumer_key": "ck", "token_id": "ti"}})
    }

    #[test]
    fn the_account_takes_its_two_forms() {
        let settings = read(&oauth1_settings(), &oauth1_secrets()).unwrap();
        assert_eq!(settings.base_url, "https://1234567-sb1.suitetalk.api.netsuite.com");
        let Credentials::OAuth1(credentials) = &settings.credentials else { panic!() };
        assert_eq!(credentials.realm, "1234567_SB1");
        assert_eq!(host_form("1234567_SB1"), "1234567-sb1");
        assert_eq!((settings.concurrency, settings.timeout.as_secs()), (2, 60));
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let settings = json!({
            "acount": "1", "base_url": "ftp:x", "concurrency": 0, "tax": "suitetaxx", "auth": {"method": "oauth2", "clientid": "x"},
            "one_world": "yes", "fields": 3, "rate_decimals": 99, "query_time_zone": "Mars/Base", "timeout_seconds": "60",
            "stock_table": "item", "stock_changes": "timestmp", "commit_lag_seconds": -1, "webhook_tolerance_seconds": 0
        });
        let problems = read(&settings, &Secrets::default()).unwrap_err();
        let find = |path: &str| problems.iter().find(|p| p.path == path).unwrap_or_else(|| panic!("{path}: {problems:?}"));
        assert_eq!(find("acount").remedy, "Did you mean account?");
        assert_eq!(find("auth.clientid").remedy, "Did you mean auth.client_id?");
        assert!(find("tax").message.contains("Did you mean suitetax?"));
        assert!(find("stock_changes").message.contains("Did you mean timestamp?"));
        for path in [
            "account",
            "base_url",
            "concurrency",
            "one_world",
            "fields",
            "rate_decimals",
            "query_time_zone",
            "timeout_seconds",
            "auth.client_id",
            "auth.certificate_id",
            "auth.private_key",
            "stock_table",
            "commit_lag_seconds",
            "webhook_tolerance_seconds",
        ] {
            assert!(!find(path).message.is_empty() && !find(path).remedy.is_empty());
        }
    }

    #[test]
    fn no_secret_shows_in_a_debug_print() {
        let mut secrets = oauth1_secrets();
        secrets.set("webhook_secret", Secret::new("wh-hidden"));
        let settings = read(&oauth1_settings(), &secrets).unwrap();
        let shown = format!("{settings:?}");
        assert!(["cs-hidden", "ts-hidden", "wh-hidden"].iter().all(|secret| !shown.contains(secret)), "{shown}");
    }

    #[test]
    fn stock_is_read_with_what_is_back_ordered_unless_said_otherwise() {
        let settings = read(&oauth1_settings(), &oauth1_secrets()).unwrap();
        assert_eq!((settings.stock.table, settings.stock.changes), (Table::InventoryItemLocations, Changes::ByTime));
        assert_eq!((settings.stock.commit_lag.as_secs(), settings.webhook_tolerance.as_secs()), (30, 300));
        assert!(settings.webhook_secret.is_none());
        let mut all = oauth1_settings();
        for (name, value) in [
            ("stock_table", json!("aggregate_item_location")),
            ("stock_changes", json!("none")),
            ("commit_lag_seconds", json!(0)),
            ("webhook_tolerance_seconds", json!(60)),
        ] {
            all[name] = value;
        }
        let mut secrets = oauth1_secrets();
        secrets.set("webhook_secret", Secret::new("k"));
        let settings = read(&all, &secrets).unwrap();
        assert_eq!((settings.stock.table, settings.stock.changes), (Table::AggregateItemLocation, Changes::Untold));
        assert_eq!((settings.stock.commit_lag.as_secs(), settings.webhook_tolerance.as_secs()), (0, 60));
        assert_eq!(settings.webhook_secret.unwrap().reveal(), "k");
        secrets.set("webhook_secret", Secret::new(" "));
        assert_eq!(read(&all, &secrets).unwrap_err()[0].path, "webhook_secret");
        assert!(SECRETS.iter().all(|secret| SETTINGS.iter().any(|(known, _)| known == secret)));
    }

    #[test]
    fn where_the_shops_number_stands_is_a_known_field_or_a_plain_custom_one() {
        let read = |order_key: Value| {
            let mut settings = oauth1_settings();
            settings["statements"] = json!({ "order_key": order_key, "strip": "PW-" });
            read(&settings, &oauth1_secrets())
        };
        let settings = read(json!("custbody_shop_no2")).unwrap().statements;
        assert_eq!(settings.order_key, Some(OrderKey::Custom("custbody_shop_no2".to_owned())));
        assert_eq!(settings.strip, "PW-");
        assert_eq!(read(json!("tranid")).unwrap().statements.order_key, Some(OrderKey::TranId));
        assert_eq!(super::read(&oauth1_settings(), &oauth1_secrets()).unwrap().statements, StatementSettings::default());
        for wrong in ["custbody x", "custbody_x) OR (1=1", "CustBody_X", "custcol_x", "othrefnum", "id"] {
            let problems = read(json!(wrong)).unwrap_err();
            assert_eq!(problems.len(), 1, "{wrong}");
            assert_eq!(problems[0].path, "statements.order_key");
        }
        assert!(read(json!("otherrefnumb")).unwrap_err()[0].message.contains("otherrefnum?"));
    }

    #[test]
    fn a_far_word_is_not_suggested() {
        assert_eq!(nearest("colour", &["account", "tax"]), None);
        assert_eq!(nearest("timeout", &["timeout_seconds", "tax"]), None);
        assert_eq!(nearest("custom_from", &["custom_form"]), Some("custom_form"));
    }
}
