//! The settings of a Linnworks connection.

use std::time::Duration;

use jiff::tz::TimeZone;
use selvedge_connector::{
    OpenContext, Secret, SettingProblem,
    settings::{Explained, Reader},
};

/// Path and explanation of every setting.
pub(super) const SETTINGS: Explained = &[
    ("login_url", "The address that sessions are opened at. Default: \"https://api.linnworks.net\""),
    ("application_id", "Required, secret. The application's id (developer.linnworks.com)"),
    ("application_secret", "Required, secret. The application's secret"),
    (
        "token",
        "Required, secret. The installation token: made when the account installs the application, valid until it is removed",
    ),
    (
        "v2_url",
        "The address of the v2 API. Default: told by the server that the login names, e.g. https://eu-api.linnworks.net/v2",
    ),
    ("location", "Required. The name of the location that ships, e.g. \"Default\". A second location is a second connection"),
    ("source", "The channel that our orders are entered under. Default: \"SELVEDGE\""),
    ("sub_source", "The sub-channel. Default: the connection's name. With source and number it makes an order unique"),
    (
        "weight_bands",
        "Limits in grams that part shipping services, e.g. [500, 2000]: keys of the table shipping_service then name a band such as weight=0-500. Default: none, weight=any",
    ),
    ("parcels", "Whether the parcels of each shipped order are asked for, one call each. Default: true"),
    (
        "parked",
        "\"ask\" or \"accept\": whether an order that stands parked or locked when it is read back is held for a person. Default: \"ask\"; \"accept\" for a fulfilment centre's location, which parks what comes",
    ),
    (
        "hs_code_property",
        "The extended property of an item that holds its customs tariff code, as the account's shipping integrations map it (Shipping > Integrations > Properties). Default: \"HS Tariff Code\"",
    ),
    ("origin_property", "The extended property that holds the country of origin. Default: \"Country of Origin\""),
    ("weight_unit", "\"g\" or \"kg\": the unit of the account's item weights. Default: \"g\""),
    (
        "commit_lag_seconds",
        "How long after an order was taken in its units may still be missing from the levels, in seconds, 0 to 86400. Default: 60",
    ),
    ("dispatch_days", "Days after which an order is to be dispatched where the shop promises nothing. Default: 2"),
    ("concurrency", "Calls under way at once, 1 to 16. Default: 4"),
    ("timeout_seconds", "How long one call may take, in seconds, 1 to 300. Default: 30"),
];

/// Settings that must not stand in the config as plain text.
pub(super) const SECRETS: &[&str] = &["application_id", "application_secret", "token"];

/// How we say who we are.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub application_id: Secret,
    pub application_secret: Secret,
    pub token: Secret,
}

/// How orders are written and told apart.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub location: String,
    pub source: String,
    pub sub_source: String,
    pub weight_bands: Vec<u64>,
    pub dispatch_days: i64,
    /// Whether orders may stand parked or locked.
    pub parked_is_fine: bool,
    /// Names of the extended properties of customs.
    pub hs_code_property: String,
    pub origin_property: String,
    /// Whether item weights are kept in kilograms, and not in grams.
    pub kilograms: bool,
    /// The connection's name: part of the key of its shipments.
    pub connection: String,
}

/// The settings of one connection.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub login_url: String,
    pub v2_url: Option<String>,
    pub credentials: Credentials,
    pub form: Form,
    pub parcels: bool,
    pub commit_lag: Duration,
    pub concurrency: usize,
    pub timeout: Duration,
}

impl Settings {
    pub fn read(context: &OpenContext<'_>) -> Result<Settings, Vec<SettingProblem>> {
        let mut reader = Reader::new(context, SETTINGS);
        let login_url = reader.address("login_url", Some("https://api.linnworks.net"));
        let v2_url = reader.get("v2_url").is_some().then(|| reader.address("v2_url", None)).flatten();
        let secrets = (reader.secret("application_id"), reader.secret("application_secret"), reader.secret("token"));
        let location = reader.required("location");
        let source = reader.text("source").unwrap_or_else(|| "SELVEDGE".to_owned());
        let sub_source = reader.text("sub_source").unwrap_or_else(|| context.name.to_string());
        let weight_bands = reader.rising("weight_bands");
        let dispatch_days = reader.number("dispatch_days", 2, 0..=60);
        let parked_is_fine = reader.word("parked", &[("ask", false), ("accept", true)]).unwrap_or(false);
        let hs_code_property = reader.text("hs_code_property").unwrap_or_else(|| "HS Tariff Code".to_owned());
        let origin_property = reader.text("origin_property").unwrap_or_else(|| "Country of Origin".to_owned());
        if hs_code_property == origin_property {
            let remedy = "Name two properties; see Shipping > Integrations > Properties in Linnworks.";
            reader.wrong("origin_property", "is the property of the customs tariff code, too", remedy);
        }
        let kilograms = reader.word("weight_unit", &[("g", false), ("kg", true)]).unwrap_or(false);
        let commit_lag = reader.number("commit_lag_seconds", 60, 0..=86_400);
        let parcels = reader.flag("parcels", true);
        let concurrency = reader.number("concurrency", 4, 1..=16);
        let timeout = reader.number("timeout_seconds", 30, 1..=300);
        let made = match (login_url, secrets, location) {
            (Some(login_url), (Some(application_id), Some(application_secret), Some(token)), Some(location)) => Some(Settings {
                login_url,
                v2_url,
                credentials: Credentials { application_id, application_secret, token },
                form: Form {
                    location,
                    source,
                    sub_source,
                    weight_bands,
                    dispatch_days: i64::try_from(dispatch_days).unwrap_or(2),
                    parked_is_fine,
                    hs_code_property,
                    origin_property,
                    kilograms,
                    connection: context.name.to_string(),
                },
                parcels,
                commit_lag: Duration::from_secs(commit_lag),
                concurrency: usize::try_from(concurrency).unwrap_or(4),
                timeout: Duration::from_secs(timeout),
            }),
            _ => None,
        };
        reader.finish(made)
    }
}

/// Linnworks states and takes times in UTC, often without saying so (its own client library sends `Z`).
pub(super) const ZONE: TimeZone = TimeZone::UTC;
