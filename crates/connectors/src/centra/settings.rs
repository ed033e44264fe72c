//! The settings of a Centra connection: all that is wrong is said at once.

use std::{collections::BTreeMap, time::Duration};

use jiff::tz::TimeZone;
use selvedge_connector::{SettingProblem, ports::OpenContext, secret::Secret};
use serde_json::Value;
use url::Url;

use super::{decode::Zones, returns::ReturnSettings};

/// Path and explanation of every setting.
const SETTINGS: &[(&str, &str)] = &[
    (
        "base_url",
        "Required. The instance's address without a path, e.g. https://brand.centra.com; calls go to {base_url}/graphql",
    ),
    (
        "token",
        "Required, secret. An Integration API token (AMS: System > API Tokens) with Order:read, Order.billingAddress:read, Order.shippingAddress:read, PaymentHistory:read, Customer:read, Event:read and Event:write; for stock also ProductSize:read, ProductSize.stock:read, Warehouse:read, ProductVariant:read, Product:read, Folder:read, Collection:read, Market:read, AllocationRule:read and StockChange:write; for shipments also Shipment:read and Shipment:write; for returns also Return:read, Return:write (where a flow makes them), Shipment:read and Warehouse:read; for products also ProductSize:read, ProductVariant:read, Product:read, Product.countryOfOrigin:read, Brand:read, Collection:read, Folder:read, Bundle:read and, with product_prices, Price:read; for the pre-flight also Market:read, Pricelist:read, Country:read, ShippingOption:read, TaxGroup:read, TaxRule:read and ProductSize:read",
    ),
    (
        "time_zone",
        "Required. The instance's own time zone (IANA), e.g. \"Europe/Stockholm\": Centra writes some times without an offset and no call tells the zone",
    ),
    ("books_time_zone", "The time zone in which the books count days (IANA). Default: time_zone"),
    ("books_time_zones", "The same for single markets, by id: { 2 = \"America/New_York\" }. Default: books_time_zone"),
    (
        "integration_name",
        "The token's integration name. Stated, `check` sees whether another program reads the same queue of events",
    ),
    ("webhook_secret", "Secret. The webhook plugin's endpoint secret; without it every webhook is refused"),
    ("webhook_tolerance_seconds", "How old a webhook's signature may be, in seconds. Default: 300"),
    ("events", "Whether to read the queue of events. Default: true; Centra has to enable events for the instance"),
    ("page_size", "Orders per page when listing and fetching, 1 to 200. Default: 50"),
    ("feed_page_size", "Events (with their orders) per call, 1 to 200. Default: 100"),
    (
        "stock_page_size",
        "Sizes per page when stock is read, 1 to 200. Default: 200; less where pages cost more complexity than the limits grant",
    ),
    ("stock_batch", "Figures per call when stock is written, 1 to 1000. Default: 100; Centra does not publish its limit"),
    (
        "stock_details",
        "Whether unit cost, folder and collection are read with stock, for values and guard rails. Default: true; false needs fewer permissions",
    ),
    (
        "stock_fills_waiting",
        "Whether the instance allocates orders that wait for stock by itself when stock comes in. True: their units are written as well. Default: false, so that units for them are never on sale",
    ),
    (
        "shipment_payment",
        "How a shipment is paid: \"capture\" takes the money with it, \"elsewhere\" marks it paid because another system takes it. Default: \"capture\"",
    ),
    ("shipment_email", "Whether the shopper is told when a shipment is completed. Default: true"),
    (
        "shipment_external_ids",
        "Whether the instance takes an external id while a shipment is made. Default: true; without it a lost shipment is recognised by its lines and tracking numbers",
    ),
    (
        "returns",
        "Whether returns and refunds are read, and returns can be made. Default: false; true asks orders what was paid back for which return and the queue of events for returns, and needs the token's permissions for returns",
    ),
    (
        "return_watch_days",
        "How long a return is looked at for changes after it was made, in days, 1 to 730. Default: 60; one that is not completed is looked at however old it is",
    ),
    (
        "quarantine_warehouses",
        "Warehouses, by id or name, whose goods are kept apart until somebody has looked at them, e.g. [\"7\", \"Returns desk\"]. Default: none, and quarantine_warehouse",
    ),
    (
        "quarantine_warehouse",
        "The id of the warehouse to which returned goods go that are to be kept apart. Without it such a return is held",
    ),
    (
        "store_credit_methods",
        "Payment methods, as entries of the payment history name them, that are credit to be spent in the shop, e.g. [\"store_credit\"]. Default: none",
    ),
    ("return_shipping", "Whether a return that we make gives back what sending and handling had cost. Default: false"),
    (
        "return_voucher",
        "Whether a return that we make takes off its share of the order's reductions. Default: true; without it more is paid back than was paid",
    ),
    ("return_email", "Whether the shopper is told when we complete a return. Default: false"),
    (
        "refund_on_receipt",
        "Whether the money is paid back when a warehouse has received a return. Default: false; paying back stays with the shop's people",
    ),
    (
        "product_page_size",
        "Product sizes per page when listing and fetching, 1 to 200. Default: 200; less where pages cost more complexity than the limits grant",
    ),
    (
        "product_prices",
        "Whether prices are read with products. Default: true; false needs fewer permissions and costs less, and no flow then touches a price",
    ),
    (
        "product_events",
        "Whether the queue of events is asked for changes of products, variants, sizes, prices and bundles, too. Default: false; turn it on where a flow reads products and Centra has enabled events: a changed price is told in no other way",
    ),
    ("stores", "Ids of the stores whose orders are read, e.g. [1, 2]. Default: all that the token sees"),
    ("markets", "Ids of the markets whose orders are read, e.g. [3]. Default: all that the token sees"),
    (
        "concurrency",
        "Calls under way at once, 1 to 16. Default: 2; the limits are shared with every other integration of the instance",
    ),
    ("timeout_seconds", "How long one call may take, in seconds, 1 to 300. Default: 30"),
];

/// Settings that must not stand in the config as plain text.
pub const SECRETS: &[&str] = &["token", "webhook_secret"];

/// The optional parts that are asked for only with `stock_details`.
pub const STOCK_DETAILS: [&str; 3] = ["unitCost", "folder", "collection"];
/// The optional part that is asked for only with `stock_fills_waiting`: a quantity costs complexity.
pub const STOCK_WAITING: &str = "demandQuantity";

/// The optional parts of an order that are asked for only with `returns`: which return an entry of the payment history paid
/// back, and lines that were cancelled whole.
pub const ORDER_REFUNDS: [&str; 2] = ["return", "lines"];

/// The optional parts that are asked for only with `product_prices`: a variant's and a bundle's.
pub const PRODUCT_PRICES: [&str; 2] = ["prices", "Bundle.prices"];

/// Path → explanation.
pub fn explained() -> BTreeMap<&'static str, &'static str> {
    SETTINGS.iter().copied().collect()
}

/// Who takes the money of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShipmentPayment {
    /// The shop, with the shipment.
    Capture,
    /// Another system; the shipment is marked paid.
    Elsewhere,
}

/// How shipments are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShipmentSettings {
    /// Who takes the money.
    pub payment: ShipmentPayment,
    /// Whether the shopper gets a mail.
    pub send_email: bool,
    /// Whether our key goes along as external id.
    pub external_ids: bool,
}

/// The settings of one connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Without a slash at the end.
    pub base_url: String,
    /// The access token.
    pub token: Secret,
    /// The instance's zone and the books'.
    pub zones: Zones,
    /// The instance's zone as it was written.
    pub time_zone: String,
    /// Whose queue of events it is, where stated.
    pub integration_name: Option<String>,
    /// What webhooks are signed with.
    pub webhook_secret: Option<Secret>,
    /// How old a signature may be.
    pub webhook_tolerance: Duration,
    /// Whether the queue of events is read.
    pub events: bool,
    /// Orders per page.
    pub page_size: u32,
    /// Events per call.
    pub feed_page_size: u32,
    /// Sizes per page of stock.
    pub stock_page_size: u32,
    /// Figures per call that writes stock.
    pub stock_batch: u32,
    /// Whether cost and groups are read with stock.
    pub stock_details: bool,
    /// Whether waiting orders are allocated by themselves.
    pub stock_fills_waiting: bool,
    /// Product sizes per page.
    pub product_page_size: u32,
    /// Whether prices are read with products.
    pub product_prices: bool,
    /// Whether the queue of events tells of products.
    pub product_events: bool,
    /// How shipments are made.
    pub shipments: ShipmentSettings,
    /// How returns are read and made.
    pub returns: ReturnSettings,
    /// Store ids; empty means all.
    pub stores: Vec<u32>,
    /// Market ids; empty means all.
    pub markets: Vec<u32>,
    /// Calls under way at once.
    pub concurrency: usize,
    /// How long one call may take.
    pub timeout: Duration,
}

struct Reading<'a> {
    settings: &'a Value,
    problems: Vec<SettingProblem>,
}

impl Reading<'_> {
    fn wrong(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(SettingProblem { path: path.to_owned(), message: message.into(), remedy: remedy.into() });
    }

    fn get(&self, path: &str) -> Option<&Value> {
        self.settings.get(path).filter(|value| !value.is_null())
    }

    fn text(&mut self, path: &str) -> Option<String> {
        let value = self.get(path)?.clone();
        match value.as_str().map(str::trim) {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                self.wrong(path, format!("{value} is not a text"), explained().get(path).copied().unwrap_or_default());
                None
            }
        }
    }

    fn number(&mut self, path: &str, default: u32, range: std::ops::RangeInclusive<u32>) -> u32 {
        let Some(value) = self.get(path).cloned() else {
            return default;
        };
        match value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| range.contains(n)) {
            Some(number) => number,
            None => {
                self.wrong(
                    path,
                    format!("{value} is not a whole number from {} to {}", range.start(), range.end()),
                    format!("Leave it out for {default}."),
                );
                default
            }
        }
    }

    fn flag(&mut self, path: &str, default: bool) -> bool {
        let Some(value) = self.get(path).cloned() else {
            return default;
        };
        value.as_bool().unwrap_or_else(|| {
            self.wrong(path, format!("{value} is neither true nor false"), format!("Leave it out for {default}."));
            default
        })
    }

    fn ids(&mut self, path: &str) -> Vec<u32> {
        let Some(value) = self.get(path).cloned() else {
            return Vec::new();
        };
        let read = value
            .as_array()
            .map(|ids| ids.iter().map(|id| id.as_u64().and_then(|n| u32::try_from(n).ok())).collect::<Option<Vec<u32>>>());
        match read {
            Some(Some(ids)) => ids,
            _ => {
                self.wrong(path, format!("{value} is not a list of ids"), "Write whole numbers in brackets: [1, 2].");
                Vec::new()
            }
        }
    }

    /// A list of ids or names.
    fn words(&mut self, path: &str) -> Vec<String> {
        let Some(value) = self.get(path).cloned() else { return Vec::new() };
        let word = |value: &Value| match value {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => number.as_u64().map(|id| id.to_string()),
            _ => None,
        };
        match value.as_array().map(|all| all.iter().map(word).collect::<Option<Vec<String>>>()) {
            Some(Some(words)) => words,
            _ => {
                self.wrong(path, format!("{value} is not a list of names"), "Write names in brackets: [\"one\", \"other\"].");
                Vec::new()
            }
        }
    }

    fn returns(&mut self) -> ReturnSettings {
        let quarantine_warehouse =
            self.get("quarantine_warehouse").is_some().then(|| self.number("quarantine_warehouse", 0, 1..=u32::MAX));
        let mut quarantine_warehouses = self.words("quarantine_warehouses");
        quarantine_warehouses.extend(quarantine_warehouse.map(|id| id.to_string()));
        ReturnSettings {
            read: self.flag("returns", false),
            quarantine_warehouses,
            quarantine_warehouse,
            store_credit_methods: self.words("store_credit_methods").iter().map(|word| word.to_lowercase()).collect(),
            shipping: self.flag("return_shipping", false),
            voucher: self.flag("return_voucher", true),
            send_email: self.flag("return_email", false),
            refund: self.flag("refund_on_receipt", false),
            watch_days: self.number("return_watch_days", 60, 1..=730),
        }
    }

    fn zone(&mut self, path: &str) -> Option<(String, TimeZone)> {
        let name = self.text(path)?;
        match TimeZone::get(&name) {
            Ok(zone) => Some((name, zone)),
            Err(_) => {
                self.wrong(
                    path,
                    format!("{name:?} is not a time zone of the IANA database"),
                    "Write it as \"Europe/Stockholm\".",
                );
                None
            }
        }
    }

    fn zones(&mut self, path: &str) -> BTreeMap<String, TimeZone> {
        const REMEDY: &str = "Write market ids and IANA zones: { 2 = \"America/New_York\" }.";
        let Some(value) = self.get(path).cloned() else { return BTreeMap::new() };
        let Some(entries) = value.as_object() else {
            self.wrong(path, "is no table", REMEDY);
            return BTreeMap::new();
        };
        let mut zones = BTreeMap::new();
        for (market, name) in entries {
            match name.as_str().map(TimeZone::get) {
                Some(Ok(zone)) => drop(zones.insert(market.clone(), zone)),
                _ => self.wrong(path, format!("{name} is not a time zone of the IANA database"), REMEDY),
            }
        }
        zones
    }

    fn base_url(&mut self) -> Option<String> {
        const REMEDY: &str = "Write the instance's address, e.g. \"https://brand.centra.com\"; secrets do not belong in it.";
        if self.get("base_url").is_none() {
            self.wrong("base_url", "is missing", REMEDY);
            return None;
        }
        let text = self.text("base_url")?;
        let sound = Url::parse(&text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if sound.is_none() {
            self.wrong("base_url", format!("{:?} is not an address that can be called", plain(&text)), REMEDY);
            return None;
        }
        let text = text.trim_end_matches('/');
        Some(text.strip_suffix("/graphql").unwrap_or(text).to_owned())
    }

    fn unknown(&mut self) {
        let Some(settings) = self.settings.as_object() else {
            return;
        };
        let unknown: Vec<String> =
            settings.keys().filter(|key| *key != "system" && !SETTINGS.iter().any(|(known, _)| known == key)).cloned().collect();
        for key in unknown {
            let remedy = match nearest(&key) {
                Some(near) => format!("Did you mean {near}?"),
                None => {
                    format!("Remove it; there are {}.", SETTINGS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "))
                }
            };
            self.wrong(&key, "is no setting of a Centra connection", remedy);
        }
    }
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(context: &OpenContext<'_>) -> Result<Settings, Vec<SettingProblem>> {
        let mut reading = Reading { settings: context.settings, problems: Vec::new() };
        if !context.settings.is_object() {
            reading.wrong("", "the settings are no table", "Write them as name = value.");
        }
        reading.unknown();
        let base_url = reading.base_url();
        let token = context.secrets.get("token").filter(|token| !token.reveal().trim().is_empty()).cloned();
        if token.is_none() {
            reading.wrong(
                "token",
                "is missing",
                "Name where the Integration API token is kept: an environment variable, a file or the secret store.",
            );
        } else if token.as_ref().is_some_and(|t| !t.reveal().trim().bytes().all(|b| b.is_ascii_graphic())) {
            reading.wrong("token", "holds characters that a token cannot have", "Copy it again from AMS: System > API Tokens.");
        }
        if reading.get("time_zone").is_none() {
            reading.wrong("time_zone", "is missing", "Write the instance's time zone, e.g. \"Europe/Stockholm\".");
        }
        let instance = reading.zone("time_zone");
        let books = reading.zone("books_time_zone");
        let books_of_markets = reading.zones("books_time_zones");
        let integration_name = reading.text("integration_name");
        let tolerance = reading.number("webhook_tolerance_seconds", 300, 1..=86_400);
        let events = reading.flag("events", true);
        let page_size = reading.number("page_size", 50, 1..=200);
        let feed_page_size = reading.number("feed_page_size", 100, 1..=200);
        let stock_page_size = reading.number("stock_page_size", 200, 1..=200);
        let stock_batch = reading.number("stock_batch", 100, 1..=1000);
        let stock_details = reading.flag("stock_details", true);
        let stock_fills_waiting = reading.flag("stock_fills_waiting", false);
        let product_page_size = reading.number("product_page_size", 200, 1..=200);
        let product_prices = reading.flag("product_prices", true);
        let product_events = reading.flag("product_events", false);
        let payment = match reading.text("shipment_payment").as_deref() {
            None | Some("capture") => ShipmentPayment::Capture,
            Some("elsewhere") => ShipmentPayment::Elsewhere,
            Some(other) => {
                let message = format!("{other:?} is no way to pay a shipment");
                reading.wrong("shipment_payment", message, "Write \"capture\" or \"elsewhere\".");
                ShipmentPayment::Capture
            }
        };
        let shipments = ShipmentSettings {
            payment,
            send_email: reading.flag("shipment_email", true),
            external_ids: reading.flag("shipment_external_ids", true),
        };
        let returns = reading.returns();
        let stores = reading.ids("stores");
        let markets = reading.ids("markets");
        let concurrency = reading.number("concurrency", 2, 1..=16);
        let timeout = reading.number("timeout_seconds", 30, 1..=300);
        match (base_url, token, instance) {
            (Some(base_url), Some(token), Some((time_zone, instance))) if reading.problems.is_empty() => Ok(Settings {
                base_url,
                token: Secret::new(token.reveal().trim()),
                zones: Zones { books: books.map_or_else(|| instance.clone(), |(_, zone)| zone), books_of_markets, instance },
                time_zone,
                integration_name,
                webhook_secret: context.secrets.get("webhook_secret").filter(|s| !s.reveal().is_empty()).cloned(),
                webhook_tolerance: Duration::from_secs(tolerance.into()),
                events,
                page_size,
                feed_page_size,
                stock_page_size,
                stock_batch,
                stock_details,
                stock_fills_waiting,
                product_page_size,
                product_prices,
                product_events,
                shipments,
                returns,
                stores,
                markets,
                concurrency: usize::try_from(concurrency).unwrap_or(2),
                timeout: Duration::from_secs(timeout.into()),
            }),
            _ => Err(reading.problems),
        }
    }
}

/// The known setting that a mistyped one is nearest to, if any is near.
fn nearest(key: &str) -> Option<&'static str> {
    let near = SETTINGS.iter().map(|(known, _)| (edits(key, known), *known)).min()?;
    let allowed = (key.chars().count() / 3).clamp(1, 3);
    (near.0 <= allowed).then_some(near.1)
}

/// Edits (insert, delete, replace) that make one text the other.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        row[0] = left;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            left = replaced.min(diagonal + 1).min(left + 1);
            row[j + 1] = left;
        }
    }
    row[other.len()]
}

/// An address as it may be shown: what may be a secret in it is not repeated.
fn plain(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use selvedge_connector::{clock::ManualClock, secret::Secrets};
    use selvedge_model::ConnectionName;
    use serde_json::json;

    use super::*;

    pub(in super::super) fn read(settings: &Value, secrets: &[(&str, &str)]) -> Result<Settings, Vec<SettingProblem>> {
        let mut kept = Secrets::default();
        for (path, text) in secrets {
            kept.set(*path, Secret::new(*text));
        }
        let name = ConnectionName::from("shop");
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        Settings::read(&OpenContext {
            name: &name,
            settings,
            secrets: &kept,
            clock,
            read_only: false,
            reach: selvedge_connector::Reach::ANYWHERE,
        })
    }

    #[test]
    fn the_least_that_is_needed_is_enough() {
        let settings =
            read(&json!({ "base_url": "https://brand.centra.com/", "time_zone": "Europe/Stockholm" }), &[("token", "abc\n")])
                .unwrap();
        assert_eq!(settings.base_url, "https://brand.centra.com");
        assert_eq!((settings.page_size, settings.feed_page_size, settings.events), (50, 100, true));
        assert_eq!((settings.stock_page_size, settings.stock_batch, settings.stock_details), (200, 100, true));
        assert_eq!((settings.product_page_size, settings.product_prices, settings.product_events), (200, true, false));
        assert_eq!(settings.token.reveal(), "abc");
        assert!(settings.webhook_secret.is_none());
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let settings = json!({
            "base_url": "brand.centra.com", "time_zone": "Stockholm", "webhook_tolerence_seconds": 5,
            "page_size": 500, "events": "yes", "stores": ["one"], "colour": "blue",
            "stock_page_size": 201, "stock_batch": 0, "stock_details": 1, "product_page_size": 0, "product_events": "on"
        });
        let problems = read(&settings, &[]).unwrap_err();
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        for path in [
            "base_url",
            "time_zone",
            "webhook_tolerence_seconds",
            "page_size",
            "events",
            "stores",
            "colour",
            "token",
            "stock_page_size",
            "stock_batch",
            "stock_details",
            "product_page_size",
            "product_events",
        ] {
            assert!(paths.contains(&path), "{path} is not among {paths:?}");
        }
        let mistyped = problems.iter().find(|p| p.path == "webhook_tolerence_seconds").unwrap();
        assert_eq!(mistyped.remedy, "Did you mean webhook_tolerance_seconds?");
    }

    #[test]
    fn every_secret_is_a_setting() {
        assert!(SECRETS.iter().all(|secret| explained().contains_key(secret)));
    }
}
