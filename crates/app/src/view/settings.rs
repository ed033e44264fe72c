//! Settings: what the configuration came to, with its defaults and without its secrets, and what it runs on.

use jiff::Timestamp;
use selvedge_model::Brand;
use selvedge_store::{Result, Store, about::Database};
use serde::Serialize;
use serde_json::Value;

use crate::config::{Config, ConnectionConfig};

/// What stands in the place of something that is not shown.
const HIDDEN: &str = "(not shown)";

/// One table of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Section {
    /// A word of its own on the page.
    pub id: String,
    /// How it is headed.
    pub title: String,
    /// Where it stands in the file.
    pub path: String,
    /// Setting by setting, how it is set; a default where nothing is.
    pub rows: Vec<(String, String)>,
}

/// What the config came to when the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Settings {
    /// The file.
    pub file: String,
    /// Table by table.
    pub sections: Vec<Section>,
}

/// The settings, and what they run on.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct SettingsView {
    /// Whose.
    pub brand: Brand,
    /// This program's version.
    pub version: &'static str,
    /// Since when it runs.
    pub since: Timestamp,
    /// The store.
    pub database: Database,
    /// When the store was last copied by us.
    pub backup: Option<Timestamp>,
    /// The configuration.
    #[serde(flatten)]
    pub settings: Settings,
}

/// The settings, and what they run on.
///
/// # Errors
/// The store's.
pub async fn settings(store: &Store, brand: &Brand, settings: &Settings, since: Timestamp) -> Result<SettingsView> {
    let (of, brand) = (brand.clone(), brand.clone());
    let (database, backup) = store.read(move |view| Ok((view.database()?, view.last_act(&of, "store.backup")?))).await?;
    Ok(SettingsView { brand, version: env!("CARGO_PKG_VERSION"), since, database, backup, settings: settings.clone() })
}

impl Settings {
    /// What a config came to.
    pub fn of(config: &Config) -> Self {
        let mut sections = vec![general(config)];
        let mut add = |id: &str, title: &str, path: &str, rows: Vec<(String, String)>| {
            if !rows.is_empty() {
                sections.push(Section { id: id.to_owned(), title: title.to_owned(), path: path.to_owned(), rows });
            }
        };
        if let Some(oidc) = &config.oidc {
            let mut rows = vec![
                ("issuer".to_owned(), address(&oidc.issuer)),
                ("client_id".to_owned(), oidc.client_id.clone()),
                ("name".to_owned(), oidc.name.clone()),
                ("groups_claim".to_owned(), oidc.groups_claim.clone()),
                ("allow_private".to_owned(), oidc.allow_private.to_string()),
            ];
            rows.extend(oidc.client_secret.iter().map(|place| ("client_secret".to_owned(), format!("kept in {place}"))));
            rows.extend(oidc.roles.iter().map(|(group, role)| (format!("roles.{group}"), role.word().to_owned())));
            add("people", "Single sign-on", "[people.oidc]", rows);
        }
        for (name, connection) in &config.connections {
            let mut rows = vec![("system".to_owned(), connection.connector.name().to_owned())];
            rows.extend(opened(connection));
            add(&format!("connection-{name}"), &format!("Connection {name}"), &format!("[connections.{name}]"), rows);
        }
        for (name, flow) in &config.flows {
            add(&format!("flow-{name}"), &format!("Flow {name}"), &format!("[flows.{name}]"), rows_of(flow));
        }
        for (place, (name, stock)) in config.stocks.iter().enumerate() {
            // The first is where the pages of stock flows lead to.
            let id = if place == 0 { "stock".to_owned() } else { format!("stock-{name}") };
            add(&id, &format!("Stock {name}"), &format!("[stock.{name}]"), rows_of(stock));
        }
        for (place, route) in config.routes.iter().enumerate() {
            add(&format!("route-{place}"), &format!("Route {}", route.name), "[[routes]]", rows_of(route));
        }
        add("dispatch", "Dispatch", "[dispatch]", rows_of(&config.dispatch));
        add("returns", "Returns", "[returns]", rows_of(&config.returns));
        add("reconcile", "Reconciliation", "[reconcile]", rows_of(&config.reconcile));
        add("preflight", "Pre-flight", "[preflight]", rows_of(&config.preflight));
        for (name, entity) in &config.entities {
            add(&format!("entity-{name}"), &format!("Entity {name}"), &format!("[entities.{name}]"), rows_of(entity));
        }
        add("retention", "Retention", "[retention]", rows_of(&config.retention));
        add("desk", "Desk", "[desk]", rows_of(&config.desk));
        add("silence", "Silence", "[silence]", rows_of(&config.silence));
        for (name, channel) in &config.channels {
            let mut rows = vec![("kind".to_owned(), channel.connector.name().to_owned())];
            rows.extend(opened(channel));
            add(&format!("channel-{name}"), &format!("Channel {name}"), &format!("[alerts.channels.{name}]"), rows);
        }
        for (name, webhook) in &config.webhooks {
            let mut rows = opened(&webhook.connection);
            rows.push(("events".to_owned(), webhook.events.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
            add(&format!("webhook-{name}"), &format!("Webhook {name}"), &format!("[webhooks.{name}]"), rows);
        }
        for (place, route) in config.alerts.routes.iter().enumerate() {
            let name = if route.name.is_empty() { format!("route-{}", place + 1) } else { route.name.clone() };
            add(&format!("alerts-{place}"), &format!("Alerts {name}"), "[[alerts.routes]]", rows_of(route));
        }
        add("severity", "How bad an exception is", "[alerts.severity]", rows_of(&config.alerts.severity));
        if let Some(heartbeat) = &config.heartbeat {
            add("heartbeat", "Heartbeat", "[heartbeat]", opened(heartbeat));
        }
        Self { file: config.file.display().to_string(), sections }
    }
}

fn general(config: &Config) -> Section {
    let list = |all: Vec<String>| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    let sealed = match (&config.key_file, config.key_command.first()) {
        (_, Some(program)) => format!("printed by {program}"),
        (Some(file), None) => format!("in the file {}", file.display()),
        (None, None) => format!("in the environment variable {}, if anywhere", crate::config::secrets::KEY_VARIABLE),
    };
    let rows = [
        ("brand", config.brand.to_string()),
        ("store.url", address(&config.store_url)),
        ("the key that seals stored secrets", sealed),
        ("server.listen", config.listen.to_string()),
        ("server.url", config.url.as_deref().map_or_else(|| "none".to_owned(), address)),
        ("server.hosts", list(config.hosts.clone())),
        ("server.proxies", list(config.proxies.iter().map(ToString::to_string).collect())),
        ("server.metrics", if config.metrics_open { "open" } else { "token" }.to_owned()),
        ("lists_every", crate::config::words::Span(config.lists_every).to_string()),
    ];
    let rows = rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Section {
        id: "general".to_owned(),
        title: "Brand, store, server".to_owned(),
        path: "the top of the file, [store], [server]".to_owned(),
        rows,
    }
}

/// What a connector was given, and where the rest is kept.
fn opened(connection: &ConnectionConfig) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    flatten("", &connection.settings, &mut rows);
    rows.extend(connection.references.iter().map(|(setting, place)| (setting.clone(), format!("kept in {place}"))));
    if connection.reach.allow_private {
        rows.push(("allow_private".to_owned(), "true".to_owned()));
    }
    if connection.reach.allow_http {
        rows.push(("allow_http".to_owned(), "true".to_owned()));
    }
    rows.extend(connection.expires.map(|day| ("expires".to_owned(), day.to_string())));
    rows
}

/// Settings that we read ourselves, defaults included.
fn rows_of(settings: &impl Serialize) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    // What cannot be told is left out; the settings are plain values, of which each can.
    if let Ok(value) = serde_json::to_value(settings) {
        flatten("", &value, &mut rows);
    }
    rows
}

fn flatten(path: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let plain = |value: &Value| match value {
        Value::String(text) => Some(address(text)),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Null => {}
        Value::Object(inner) => inner.iter().for_each(|(name, value)| flatten(&below(name), value, rows)),
        Value::Array(all) => match all.iter().map(plain).collect::<Option<Vec<_>>>() {
            Some(all) if all.is_empty() => {}
            Some(all) => rows.push((path.to_owned(), shown(path, &all.join(", ")))),
            None => all.iter().enumerate().for_each(|(place, value)| flatten(&below(&(place + 1).to_string()), value, rows)),
        },
        other => rows.extend(plain(other).filter(|text| !text.is_empty()).map(|text| (path.to_owned(), shown(path, &text)))),
    }
}

/// Secrets are taken out before anything of this is made; what is merely called like one is not shown either.
fn shown(path: &str, text: &str) -> String {
    let name = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
    let sounds = ["secret", "token", "password", "passphrase", "private_key", "api_key", "consumer_key"]
        .iter()
        .any(|word| name.contains(word));
    if sounds && text.parse::<u64>().is_err() && !matches!(text, "true" | "false") { HIDDEN.to_owned() } else { text.to_owned() }
}

/// An address without who logs in by it and without what is asked there: both may be secrets.
fn address(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // A password may have a slash in it, so whoever logs in is looked for first.
    let (place, asked) = match rest.split_once('?') {
        Some((place, asked)) if !asked.contains('@') => (place, format!("?{HIDDEN}")),
        _ => (rest, String::new()),
    };
    match place.rsplit_once('@') {
        Some((_, place)) => {
            let place = place.split_once('?').map_or_else(|| place.to_owned(), |(place, _)| format!("{place}?{HIDDEN}"));
            format!("{scheme}://{HIDDEN}@{place}{asked}")
        }
        None => format!("{scheme}://{place}{asked}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CONFIG: &str = r#"
brand = "nordwind"
[connections.shop]
system = "centra"
url = "https://user:hidden-pass@shop.example/graphql"
token = { env = "SHOP_TOKEN" }
expires = "2027-01-31"
[connections.books]
system = "netsuite"
[flows.orders]
from = "shop"
to = "books"
[retention]
people = "off"
[alerts.channels.ops]
kind = "slack"
url = { stored = "slack" }
"#;

    #[test]
    fn every_table_is_told_with_its_defaults_and_no_secret() {
        let (config, _) = crate::config::read_text(Path::new("selvedge.toml"), CONFIG);
        let settings = Settings::of(&config);
        let text = serde_json::to_string(&settings).unwrap();
        assert!(!text.contains("hidden-pass"), "{text}");
        let of = |id: &str, name: &str| {
            let section = settings.sections.iter().find(|one| one.id == id).unwrap_or_else(|| panic!("no {id}: {text}"));
            section.rows.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        assert_eq!(of("general", "brand").unwrap(), "nordwind");
        assert_eq!(of("connection-shop", "token").unwrap(), "kept in the environment variable SHOP_TOKEN");
        assert_eq!(of("connection-shop", "expires").unwrap(), "2027-01-31");
        assert_eq!(of("flow-orders", "capture.poll_overlap").unwrap(), "5m");
        assert_eq!(of("retention", "people").unwrap(), "off");
        assert_eq!(of("channel-ops", "kind").unwrap(), "slack");
        assert!(settings.sections.iter().all(|section| !section.rows.is_empty()));
    }

    #[test]
    fn an_address_tells_neither_who_logs_in_nor_what_is_asked() {
        for (address_of, shown) in [
            ("https://a.example/b", "https://a.example/b"),
            ("https://a.example/b?key=k", "https://a.example/b?(not shown)"),
            ("postgres://me:p/w@host/db", "postgres://(not shown)@host/db"),
            ("postgres://me:p?w@host/db?sslmode=x", "postgres://(not shown)@host/db?(not shown)"),
            ("https://a.example/b?mail=me@b.example", "https://(not shown)@b.example"),
            ("plain", "plain"),
        ] {
            assert_eq!(address(address_of), shown);
        }
    }

    #[test]
    fn what_sounds_like_a_secret_is_not_shown() {
        let mut rows = Vec::new();
        let value = serde_json::json!({ "a": { "api_token": "abc", "consumer_key": "ck", "token_days": "30" }, "url": "sftp://me:pw@host/x", "list": ["a", "b"], "many": [{ "x": 1 }], "none": null });
        flatten("", &value, &mut rows);
        let rows: Vec<(&str, &str)> = rows.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("a.api_token", HIDDEN),
                ("a.consumer_key", HIDDEN),
                ("a.token_days", "30"),
                ("list", "a, b"),
                ("many.1.x", "1"),
                ("url", "sftp://(not shown)@host/x"),
            ]
        );
    }
}
