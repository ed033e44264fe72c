//! One config with many mistakes; each is found, on its line, at once.

use selvedge_flow::{CreditAmounts, CreditPolicy, HalvesSetup, LinkRule};

use super::*;

fn found(text: &str) -> Vec<(usize, String, String)> {
    let (_, problems) = read_text(Path::new("selvedge.toml"), text);
    problems
        .into_iter()
        .map(|problem| (problem.line.unwrap(), problem.path, format!("{}. {}", problem.message, problem.remedy)))
        .collect()
}

/// `(line, path, part of the text)` of each, in order; nothing else.
fn assert_found(text: &str, expected: &[(usize, &str, &str)]) {
    let found = found(text);
    let shown: Vec<(usize, &str)> = found.iter().map(|(line, path, _)| (*line, path.as_str())).collect();
    assert_eq!(shown, expected.iter().map(|(line, path, _)| (*line, *path)).collect::<Vec<_>>(), "{found:#?}");
    for ((_, path, text), (_, _, part)) in found.iter().zip(expected) {
        assert!(text.contains(part), "{path}: {text:?} does not say {part:?}");
    }
}

#[test]
fn every_mistake_of_the_file_itself_is_found_with_its_line() {
    let text = r#"brand = "nord vik"
colour = "blue"
[store]
url = "postgres://db/selvedge"
[server]
listen = "localhost"
[connections.shop]
system = "centrra"
[connections.erp]
system = "netsuite"
[connections.erp.auth]
token_secret = "sk-live-1"
consumer_secret = { enw = "X" }
[flows.orders]
kind = "ordr"
from = "shpo"
to = "erp"
paralel = 3
parallel = 0
retries_max = "twelve"
[flows.orders.policy]
unpaid = "yes"
currencies = ["SEK", "EURO"]
address_fields = ["line1", "zip"]
[flows.orders.capture]
since = "2026-01-01T00:00:00"
sweep = "daily"
poll_lag = "10 seconds"
"#;
    assert_found(
        text,
        &[
            (1, "brand", "cannot serve as a name"),
            (2, "colour", "not a setting here"),
            (4, "store.url", "no store"),
            (6, "server.listen", "127.0.0.1:7700"),
            (8, "connections.shop.system", "Did you mean centra?"),
            (12, "connections.erp.auth.token_secret", "a secret must not stand in the config"),
            (13, "connections.erp.auth.consumer_secret", "Did you mean env?"),
            (15, "flows.orders.kind", "Did you mean order?"),
            (16, "flows.orders.from", "Did you mean shop?"),
            (18, "flows.orders.paralel", "Did you mean parallel?"),
            (19, "flows.orders.parallel", "whole number from 1 to 100"),
            (20, "flows.orders.retries_max", "a whole number, without quotes, not a text"),
            (22, "flows.orders.policy.unpaid", "true or false"),
            (23, "flows.orders.policy.currencies[1]", "ISO 4217"),
            (24, "flows.orders.policy.address_fields[1]", "Known: "),
            (26, "flows.orders.capture.since", "offset"),
            (27, "flows.orders.capture.sweep", "off"),
            (28, "flows.orders.capture.poll_lag", "30s"),
        ],
    );
    assert!(!format!("{:?}", found(text)).contains("sk-live-1"));
}

#[tokio::test]
async fn a_config_with_ten_mistakes_has_ten_findings() {
    let text = r#"brand = "nordvik"
listens = "127.0.0.1:1"
store.url = "sqlite::memory:"
[connections.shop]
system = "centra"
token = "plain-hidden"
time_zone = "Europe/Stokholm"
[connections.erp]
system = "netsuite"
account = "1234567_SB1"
base_url = "not an address"
[connections.erp.auth]
method = "oauth1"
consumer_key = "ck"
consumer_secret = { env = "SELVEDGE_TEST_NOT_SET" }
token_id = "ti"
token_secret = { file = "not-there.txt" }
[connections.wms]
system = "netsiute"
[flows.orders]
from = "shop"
to = "rep"
unanswered_wait = "5 sec"
"#;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (config, problems) = read_text(Path::new("selvedge.toml"), text);
    let clock: std::sync::Arc<dyn selvedge_connector::Clock> =
        std::sync::Arc::new(selvedge_connector::clock::ManualClock::at(jiff::Timestamp::UNIX_EPOCH));
    let environment = secrets::Environment::of([]);
    let Err(problems) = crate::wiring::open(&config, problems, &environment, None, clock).await.map(|_| ()) else {
        panic!("it opened")
    };
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        (2, "listens", "not a setting here"),
        (4, "connections.shop.base_url", "is missing"),
        (6, "connections.shop.token", "must not stand in the config"),
        (7, "connections.shop.time_zone", "not a time zone"),
        (11, "connections.erp.base_url", "not an address"),
        (15, "connections.erp.auth.consumer_secret", "SELVEDGE_TEST_NOT_SET is not set"),
        (17, "connections.erp.auth.token_secret", "not-there.txt cannot be read"),
        (19, "connections.wms.system", "Did you mean netsuite?"),
        (22, "flows.orders.to", "Did you mean erp?"),
        (23, "flows.orders.unanswered_wait", "stretch of time"),
    ];
    assert_eq!(problems.len(), expected.len(), "{shown:#?}");
    for ((problem, shown), (line, path, part)) in problems.iter().zip(&shown).zip(expected) {
        assert_eq!((problem.line, problem.path.as_str()), (Some(line), path), "{shown}");
        assert!(shown.starts_with(&format!("selvedge.toml:{line}: {path}: ")) && shown.contains(part), "{shown}");
        assert!(!problem.remedy.is_empty() && !shown.contains("hidden"), "{shown}");
    }
}

#[test]
fn what_is_missing_is_found_where_it_should_stand() {
    assert_found("", &[(1, "", "there is no flow"), (1, "brand", "brand is missing")]);
    assert_found(
        "brand = \"a\"\n[connections.shop]\nbase_url = \"x\"\n[flows.orders]\nfrom = \"shop\"\n",
        &[(2, "connections.shop.system", "system = \"centra\""), (4, "flows.orders.to", "to is missing")],
    );
}

#[test]
fn a_slip_in_the_grammar_hides_nothing_else() {
    let text =
        "brand = \"a\"\nbrand = \"b\"\n[connections.shop]\nsystem = \"cetra\"\n[flows.orders]\nfrom = shop\nto = \"shop\"\n";
    let found = found(text);
    for (line, part) in [(2, "TOML"), (4, "Did you mean centra?"), (6, "TOML")] {
        assert!(found.iter().any(|(at, _, text)| *at == line && text.contains(part)), "{line}: {found:#?}");
    }
    assert!(found.iter().all(|(_, _, text)| !text.contains("from is missing")), "{found:#?}");
}

#[test]
fn one_file_holds_one_brand() {
    for text in ["brand = [\"a\", \"b\"]\nflows = {}\n", "[brands.a]\nx = 1\n[flows]\n"] {
        let found = found(text);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].2.contains("one file holds one brand"), "{found:#?}");
    }
}

#[test]
fn flows_that_cannot_be_are_named() {
    let text = r#"brand = "a"
[connections.shop]
system = "centra"
[connections.erp]
system = "netsuite"
[flows.a]
from = "shop"
to = "erp"
backoff_first = "1h"
[flows.a.capture]
poll = "2m"
[flows.a-customers]
from = "shop"
to = "shop"
[flows.a-customers.capture]
poll = "1m"
[flows.says-nothing-of-its-own]
from = "shop"
to = "erp"
"#;
    assert_found(
        text,
        &[
            (6, "flows.a.backoff_max", "shorter than backoff_first"),
            (12, "flows.a-customers", "belongs to the flow of customers"),
            (14, "flows.a-customers.to", "cannot end where it begins"),
            (15, "flows.a-customers.capture", "share one capture"),
        ],
    );
}

#[test]
fn the_store_lies_beside_the_config() {
    let text = "brand = \"a\"\n[flows]\n[store]\nkey_file = \"k\"\n";
    let (config, problems) = read_text(Path::new("/etc/selvedge/a.toml"), text);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(config.store_url, "sqlite:///etc/selvedge/selvedge.db");
    assert_eq!(config.key_file.unwrap(), Path::new("/etc/selvedge/k"));
    let (config, _) = read_text(Path::new("a.toml"), "brand = \"a\"\nstore.url = \"sqlite:///var/x.db\"");
    assert_eq!(config.store_url, "sqlite:///var/x.db");
    let (config, _) = read_text(Path::new("a.toml"), "brand = \"a\"");
    assert_eq!(config.store_url, "sqlite://selvedge.db");
}

#[test]
fn a_file_that_is_none_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (_, problems) = read(&folder.path().join("absent.toml"));
    assert!(problems[0].to_string().contains("selvedge init"), "{problems:?}");
    let path = folder.path().join("latin.toml");
    std::fs::write(&path, b"brand = \"a\"\n# \xe5\n").unwrap();
    let (_, problems) = read(&path);
    assert!(problems[0].to_string().contains("from line 2 on"), "{problems:?}");
}

#[test]
fn our_policy_is_the_models() {
    assert_eq!(OrderPolicy::from(&PolicySettings::default()), OrderPolicy::default());
    let all: PolicySettings = serde_json::from_value(json!({ "address_fields": ["first_name", "last_name", "company", "line1", "postcode", "city", "state", "phone", "email"] })).unwrap();
    let words: Vec<String> =
        all.address_fields.iter().map(|field| serde_json::to_value(field).unwrap().as_str().unwrap().to_owned()).collect();
    assert_eq!(OrderPolicy::from(&all).address_fields, words);
}

#[test]
fn the_schema_tells_of_every_setting() {
    let schema = schema();
    let text = schema.to_string();
    for connector in selvedge_connectors::CONNECTORS {
        for (path, words) in connector.settings() {
            assert!(text.contains(&serde_json::to_string(words).unwrap()), "{path}");
        }
    }
    for (path, schema) in schema.pointer("/$defs/FlowSettings/properties").unwrap().as_object().unwrap() {
        assert!(schema.get("description").is_some(), "{path} has no words");
    }
    assert_eq!(schema.pointer("/required").unwrap(), &json!(["brand"]));
}

#[test]
fn what_becomes_of_credits_and_halves_is_read_and_mistakes_are_named() {
    let text = |credits: &str, more: &str| {
        format!(
            "brand = \"nordvik\"\n[connections.shop]\nsystem = \"centra\"\nbase_url = \"https://x.centra.com\"\ntoken = {{ env = \"T\" }}\ntime_zone = \"UTC\"\n\
             [connections.erp]\nsystem = \"netsuite\"\naccount = \"1\"\n[connections.erp.auth]\nmethod = \"oauth2\"\nclient_id = \"a\"\ncertificate_id = \"b\"\n\
             private_key = {{ env = \"K\" }}\n[flows.credits]\nkind = \"credit_note\"\nfrom = \"shop\"\nto = \"erp\"\n[flows.credits.credits]\n{credits}\n{more}\n"
        )
    };
    let read = |text: &str| read_text(Path::new("selvedge.toml"), text);
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let (config, problems) = read(&text("", ""));
    assert!(problems.is_empty(), "{problems:#?}");
    assert_eq!(CreditPolicy::from(&config.flows[&"credits".into()].credits), CreditPolicy::default());
    assert_eq!(HalvesSetup::from(&config.returns), HalvesSetup::default());
    let (config, problems) = read(&text(
        "link = \"oldest_first\"\namounts = \"as_stated\"\npatience = \"2h\"",
        "[returns]\ngoods_within = \"30d\"\nmoney_within = \"2d\"\nrefund_within = \"1d\"",
    ));
    assert!(problems.is_empty(), "{problems:#?}");
    let policy =
        CreditPolicy { link: LinkRule::OldestFirst, amounts: CreditAmounts::AsStated, patience: Duration::from_secs(7_200) };
    assert_eq!(CreditPolicy::from(&config.flows[&"credits".into()].credits), policy);
    let halves = HalvesSetup { goods_within: days(30), money_within: days(2), refund_within: days(1) };
    assert_eq!(HalvesSetup::from(&config.returns), halves);

    let whole = text("link = \"newest_first\"\npatience = \"soon\"", "[returns]\ngoods_in = \"3d\"");
    let paths: Vec<String> = read(&whole).1.into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, ["flows.credits.credits.link", "flows.credits.credits.patience", "returns.goods_in"]);
    let elsewhere = text("link = \"oldest_first\"", "").replace("kind = \"credit_note\"", "kind = \"refund\"");
    let (_, problems) = read(&elsewhere);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(
        problems[0].path == "flows.credits.credits" && problems[0].message.contains("flows of credit notes"),
        "{problems:#?}"
    );
}

#[test]
fn every_mistake_of_a_stock_flow_is_found_with_its_line() {
    let text = r#"brand = "nordvik"
[connections.shop]
system = "centra"
[connections.erp]
system = "netsuite"
[flows.orders]
from = "shop"
to = "erp"
[stock.orders]
from = "erp"
to = "shop"
warehouses = { "31" = "2" }
[stock.second]
from = "erp"
to = "shop"
warehouses = { "31" = "3", "32" = "2" }
[stock.third]
from = "epr"
to = "shop"
warehouses = {}
snapshot = "daily"
foreign_change = "ignore"
[stock.third.poll]
least = "2m"
peaks = [{ from = "6 pm", to = "22:00", time_zone = "Stockholm" }]
[stock.third.guard]
zeroed_percent = 120
[[stock.third.buffers]]
fixed = 1
percent = 5
[[stock.third.buffers]]
sku = "A"
category = "B"
fixed = 1
[[stock.third.buffers]]
quantile = "2"
[[stock.third.buffers]]
fixed = 3
[[stock.third.buffers]]
fixed = 4
"#;
    let found = found(text);
    let has = |path: &str, part: &str| {
        assert!(found.iter().any(|(_, at, text)| at == path && text.contains(part)), "{path} {part}: {found:#?}");
    };
    has("stock.orders", "a flow has this name");
    has("stock.second.warehouses", "warehouse 2 of shop is written by stock.orders already");
    has("stock.second.warehouses", "sold twice");
    has("stock.third.from", "erp");
    has("stock.third.warehouses", "nothing would be shown");
    has("stock.third.snapshot", "24h");
    has("stock.third.foreign_change", "not known here");
    has("stock.third.poll", "the pauses must grow");
    has("stock.third.poll.peaks[0].from", "18:00");
    has("stock.third.poll.peaks[0].time_zone", "Europe/Stockholm");
    has("stock.third.buffers[0]", "exactly one of fixed, percent and quantile");
    has("stock.third.buffers[1]", "more than one of");
    has("stock.third.buffers[2]", "not between 0 and 1");
    assert!(found.iter().any(|(_, at, _)| at.starts_with("stock.third.guard")), "{found:#?}");
    assert!(found.iter().any(|(_, _, text)| text.contains("is for the same as")), "{found:#?}");
}

#[test]
fn a_stock_flow_has_a_buffer_unless_told_otherwise() {
    let text = |buffers: &str| {
        format!(
            "brand = \"b\"\n[connections.shop]\nsystem = \"centra\"\n[connections.erp]\nsystem = \"netsuite\"\n[flows.orders]\nfrom = \"shop\"\nto = \"erp\"\n\
             [stock.main]\nfrom = \"erp\"\nto = \"shop\"\nwarehouses = {{ \"31\" = \"2\" }}\n{buffers}"
        )
    };
    let setup = |buffers: &str| {
        let (config, problems) = read_text(Path::new("selvedge.toml"), &text(buffers));
        assert!(problems.iter().all(|problem| problem.path.starts_with("connections")), "{problems:#?}");
        let name = FlowName::new("main");
        config.stocks[&name].setup(&name)
    };
    let default = setup("");
    assert_eq!(default.buffers.len(), 1);
    assert_eq!(default.buffers[0].buffer.to_string(), "what others take in the window with probability 0.9999, at least 2");
    assert_eq!(default.places.len(), 1);
    assert_eq!(setup("buffers = [{ fixed = 0 }]").buffers[0].buffer.to_string(), "0 units");
}

#[test]
fn what_is_wrong_with_the_desk_is_found_and_the_rest_is_ranked_by() {
    let text = r#"brand = "nordvik"
[connections.shop]
system = "centra"
[connections.erp]
system = "netsuite"
[flows.orders]
from = "shop"
to = "erp"
[desk]
currency = "EUR"
rates = { EUR = "1", NOK = "-1", SEK = "0.088", ZZZZ = "3" }
customer = "many"
record = "2.5"
edit = ["address", "total"]
[[desk.owners]]
flow = "order"
team = "finance"
[[desk.owners]]
rule = "mapping."
[[desk.owners]]
market = "Japan"
person = "Yuki"
"#;
    assert_found(
        text,
        &[
            (11, "desk.rates.EUR", "the currency of the desk itself"),
            (11, "desk.rates.NOK", "no rate above 0"),
            (11, "desk.rates.ZZZZ", "not an ISO 4217 currency"),
            (12, "desk.customer", "is no amount"),
            (14, "desk.edit[1]", "total"),
            (16, "desk.owners[0].flow", "Did you mean"),
            (18, "desk.owners[1]", "names nobody"),
        ],
    );
    let desk = read_text(Path::new("selvedge.toml"), text).0.desk();
    assert_eq!((desk.scale.rates.len(), desk.scale.record.to_string().as_str()), (2, "2.5"));
    assert_eq!((desk.editable.len(), desk.owners[2].person.as_deref()), (1, Some("Yuki")));
    assert_eq!(desk.capture_expiry, Duration::from_secs(7 * 86_400));
}
