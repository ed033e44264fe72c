//! Samples → canonical orders, word for word, and what must hold for any bytes at all.
//!
//! After a change that is meant, `SELVEDGE_WRITE_SAMPLES=1 cargo test` writes the expected files
//! anew; their diff is what to review.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use jiff::tz::TimeZone;
use proptest::prelude::*;
use selvedge_connector::{Connector, Decoded, OpenContext, Secret, Secrets, clock::ManualClock};
use selvedge_model::{
    ConnectionName, Money, Order,
    gate::rules::{OrderPolicy, Standing, check_order},
};
use serde_json::{Value, json};

use super::{
    Centra,
    decode::{Zones, decode_order},
};

fn zones() -> Zones {
    Zones {
        instance: TimeZone::get("Europe/Stockholm").unwrap(),
        books: TimeZone::get("Europe/Stockholm").unwrap(),
        books_of_markets: BTreeMap::new(),
    }
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/centra/samples"))
}

fn sample(name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder().join(format!("{name}.json"))).unwrap()).unwrap()
}

fn decode(value: &Value) -> Decoded<Order> {
    decode_order(value.to_string().as_bytes(), &zones(), None)
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok()?.strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.ends_with(".expected"))
        .collect();
    names.sort();
    names
}

#[test]
fn every_sample_decodes_to_its_expected_order() {
    let names = names();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let decoded = decode_order(&fs::read(folder().join(format!("{name}.json"))).unwrap(), &zones(), None);
        let found = json!({ "order": decoded.record, "problems": decoded.problems });
        let path = folder().join(format!("{name}.expected.json"));
        if std::env::var_os("SELVEDGE_WRITE_SAMPLES").is_some() {
            fs::write(&path, format!("{found:#}\n")).unwrap();
        }
        let expected: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(found, expected, "{name}: {found:#}");
    }
}

/// Samples without problems are orders whose parts add up to the stated totals, by the gate's own rule.
#[test]
fn the_parts_of_every_sound_sample_add_up() {
    for name in names().into_iter().filter(|name| name != "broken" && name != "unreadable") {
        let decoded = decode(&sample(&name));
        assert_eq!(decoded.problems, [], "{name}");
        let mut order = decoded.record.unwrap();
        // What keeps an order back for other reasons would hide its sums.
        order.holds.clear();
        order.internal = false;
        order.status = selvedge_model::records::OrderStatus::Confirmed;
        assert_eq!(check_order(&order, &OrderPolicy::default(), false), Standing::Fit, "{name}");
        for line in &order.lines {
            let taxes = Money::sum(order.currency, line.taxes.iter().map(|t| t.amount)).unwrap();
            assert_eq!(taxes, line.tax, "{name} {}", line.id);
        }
    }
}

#[test]
fn a_broken_order_names_each_fault_once_and_keeps_the_rest() {
    let decoded = decode(&sample("broken"));
    let rules: Vec<&str> = decoded.problems.iter().map(|p| p.rule.as_str()).collect();
    for rule in [
        "decode.order.status",
        "decode.order.market",
        "decode.order.date",
        "decode.order.field",
        "decode.order.payment",
        "decode.order.amount",
        "decode.line.kind",
        "decode.line.quantity",
        "decode.line.sku",
        "decode.line.tax",
        "decode.line.bundle",
    ] {
        assert!(rules.contains(&rule), "{rule} is not among {rules:?}");
    }
    assert!(decoded.problems.iter().all(|p| !p.remedy.is_empty() && !p.message.is_empty()));
    let order = decoded.record.unwrap();
    assert_eq!(order.number.as_str(), "1049");
    // A flag that cannot be read counts as raised.
    assert!(!order.holds.is_empty());
}

#[test]
fn an_amount_finer_than_the_minor_unit_is_not_rounded_in_silence() {
    let mut order = sample("sek_tax_included");
    order["grandGross"]["value"] = serde_json::from_str("1303.005").unwrap();
    let decoded = decode(&order);
    assert!(decoded.record.is_none());
    assert_eq!(decoded.problems[0].rule, "decode.order.amount");
}

#[test]
fn a_time_without_an_offset_is_read_in_the_configured_zone() {
    let mut order = sample("sek_tax_included");
    order["orderDate"] = json!("2026-07-01 00:30:00");
    let decoded = decode(&order).record.unwrap();
    assert_eq!(decoded.placed_at.to_string(), "2026-06-30T22:30:00Z");
    assert_eq!(decoded.placed_on.to_string(), "2026-07-01");
}

#[test]
fn the_books_may_count_days_in_another_zone() {
    let zones = Zones { books: TimeZone::get("America/New_York").unwrap(), ..zones() };
    let order = decode_order(sample("usd_tax_added").to_string().as_bytes(), &zones, None).record.unwrap();
    assert_eq!(order.placed_on.to_string(), "2026-07-03");
    let market = order.market.id;
    let zones =
        Zones { books_of_markets: BTreeMap::from([(market, TimeZone::get("America/New_York").unwrap())]), ..self::zones() };
    let order = decode_order(sample("usd_tax_added").to_string().as_bytes(), &zones, None).record.unwrap();
    assert_eq!(order.placed_on.to_string(), "2026-07-03", "the market's own zone goes first");
}

#[test]
fn without_tax_rules_the_line_still_knows_its_tax() {
    let mut order = sample("sek_tax_included");
    for line in order["lines"].as_array_mut().unwrap() {
        line.as_object_mut().unwrap().remove("appliedTaxRules");
    }
    let (with, without) = (decode(&sample("sek_tax_included")).record.unwrap(), decode(&order));
    assert_eq!(without.problems, []);
    for (a, b) in with.lines.iter().zip(&without.record.unwrap().lines) {
        assert_eq!((a.tax, a.taxes[0].rate, a.taxes[0].amount), (b.tax, b.taxes[0].rate, b.taxes[0].amount));
    }
}

/// Discounts whose sign and tax are stated in each way that Centra might, all meaning the same.
#[test]
fn the_sign_of_a_discount_does_not_matter() {
    let expected = decode(&sample("sek_tax_included")).record.unwrap();
    for (total, part, tax) in [(149, 149, 29.8), (149, -149, -29.8), (-149, -149, 29.8)] {
        let mut order = sample("sek_tax_included");
        order["totals"]["discounts"]["value"] = json!(total);
        order["discountsApplied"][0]["value"]["value"] = json!(part);
        order["totals"]["discountTaxRules"][0]["taxIncluded"]["value"] = json!(tax);
        assert_eq!(decode(&order).record.unwrap(), expected, "{total} {part} {tax}");
    }
    let mut order = sample("sek_tax_included");
    order["totals"]["discountTaxRules"] = json!([]);
    let mut without_rate = expected.clone();
    without_rate.discounts[0].rate = None;
    assert_eq!(decode(&order).record.unwrap(), without_rate, "no rules: the tax is what the gross lacks more than the net");
    order["discountsApplied"] = json!([]);
    assert_eq!(decode(&order).record.unwrap().discounts[0].net, expected.discounts[0].net, "only the total is stated");
}

#[test]
fn a_connection_offers_what_centra_has_and_nothing_else() {
    let open = |settings: Value| {
        let mut secrets = Secrets::default();
        secrets.set("token", Secret::new("t"));
        let name = ConnectionName::from("shop");
        let clock = Arc::new(ManualClock::at(jiff::Timestamp::UNIX_EPOCH));
        Centra
            .open(&OpenContext {
                name: &name,
                settings: &settings,
                secrets: &secrets,
                clock,
                read_only: false,
                reach: selvedge_connector::Reach::ANYWHERE,
            })
            .unwrap()
    };
    let shop = open(json!({ "base_url": "https://brand.centra.com", "time_zone": "Europe/Stockholm", "page_size": 20 }));
    assert_eq!(shop.order_source.as_ref().unwrap().fetch_max(), 20);
    assert!(shop.feed.is_some() && shop.hooks.is_some() && shop.probe.is_some());
    assert!(shop.stock_source.is_some() && shop.stock_sink.is_some());
    assert!(shop.product_source.is_some() && shop.product_sink.is_none());
    assert!(shop.order_sink.is_none() && shop.customer_source.is_none() && shop.customer_sink.is_none() && shop.lists.is_none());
    let shop = open(json!({ "base_url": "https://brand.centra.com", "time_zone": "Europe/Stockholm", "events": false }));
    assert!(shop.feed.is_none());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[-]?[0-9]{1,40}(\\.[0-9]{1,40})?([eE][-+]?[0-9]{1,4})?"
            .prop_map(|text| serde_json::from_str(&text).unwrap_or(Value::Null)),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("EUR"),
            Just("2026-02-03T10:00:00Z"),
            Just("BundleOrderLine"),
            Just("9999-12-31T23:59:59Z"),
            Just("AUTH")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop_oneof![Just("value".to_owned()), Just("id".to_owned()), "[a-z]{1,5}"], inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Every place in a document.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| places(inner, &format!("{here}/{name}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| places(inner, &format!("{here}/{index}"), found))
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_to_something(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let decoded = decode_order(&bytes, &zones(), None);
        prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
    }

    #[test]
    fn any_json_decodes_to_something(value in any_json()) {
        let decoded = decode(&value);
        prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
    }

    #[test]
    fn any_two_odd_places_in_a_sound_order_are_survived(name in prop::sample::select(names()), picks in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 1..3)) {
        let mut value = sample(&name);
        for (index, odd) in picks {
            let mut found = Vec::new();
            places(&value, "", &mut found);
            if let Some(place) = value.pointer_mut(index.get(found.as_slice()).as_str()) {
                *place = odd;
            }
        }
        let decoded = decode(&value);
        prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
        if let Some(order) = decoded.record {
            prop_assert!(order.discounts.iter().all(|d| d.tender || d.net.currency() == order.currency));
            prop_assert_eq!(order.totals.net.plus(order.totals.tax).unwrap(), order.totals.gross);
        }
    }

    /// An odd amount never becomes another amount: it is a problem, or the same number.
    #[test]
    fn an_odd_line_amount_is_never_taken_for_another(odd in any_json()) {
        let mut value = sample("sek_tax_included");
        value["lines"][0]["lineGross"]["value"] = odd.clone();
        let decoded = decode(&value);
        let order = decoded.record.unwrap();
        let same = odd.as_number().is_some_and(|n| n.to_string().parse::<rust_decimal::Decimal>().is_ok_and(|d| {
            let line = &order.lines[0];
            (line.net.plus(line.tax).unwrap().decimal() - d).abs() < rust_decimal::Decimal::new(1, 5)
        }));
        prop_assert!(same || !decoded.problems.is_empty());
    }
}
