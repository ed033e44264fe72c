//! Documents → canonical products, and what must hold for any bytes at all.

mod stand_in;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use selvedge_connector::Decoded;
use selvedge_model::{
    Product,
    records::{ProductField, ProductFields},
};
use serde_json::{Value, json};

use super::decode::decode_product;

fn decode(value: &Value) -> Decoded<Product> {
    decode_product(value.to_string().as_bytes(), &TimeZone::get("Europe/Stockholm").unwrap())
}

fn price(list: u32, status: &str, amount: &str, code: &str) -> Value {
    let value: Value = serde_json::from_str(amount).unwrap();
    json!({
        "price": { "value": value, "currency": { "code": code } },
        "pricelist": { "id": list, "name": format!("List {list}"), "status": status }
    })
}

/// A size as the operations ask for it.
fn size() -> Value {
    json!({
        "id": 281,
        "SKU": " Prod123Var456S ",
        "EAN": "4006381333931",
        "UPC": "735135735137",
        "isActive": true,
        "updatedAt": "2026-02-03T10:00:00+01:00",
        "weight": { "value": 0.55, "unit": "KILOGRAMS" },
        "size": { "id": 2, "name": "S" },
        "productVariant": {
            "name": "Rost",
            "variantNumber": "Var456",
            "status": "ACTIVE",
            "updatedAt": "2026-02-03T10:00:04+01:00",
            "prices": [price(1, "ACTIVE", "1299", "SEK"), price(2, "ACTIVE", "119.95", "EUR")],
            "product": {
                "name": "Alva Merino Crew",
                "productNumber": "Prod123",
                "status": "ACTIVE",
                "updatedAt": "2026-02-01T09:00:00+01:00",
                "isBundle": false,
                "harmonizedCommodityCode": "6110.11.30",
                "weight": { "value": 1, "unit": "KILOGRAMS" },
                "countryOfOrigin": { "code": "it" },
                "brand": { "name": "Selvage Studio" },
                "collection": { "name": "AW26" },
                "folder": { "name": "Knitwear" },
                "variants": [{ "productSizes": [
                    { "id": 281, "SKU": "Prod123Var456S", "EAN": "4006381333931" },
                    { "id": 282, "SKU": "Prod123Var456M", "EAN": "4006381333931" }
                ] }],
                "bundle": null,
                "bundlePrices": null
            }
        }
    })
}

fn bundle(size_name: &str) -> Value {
    let mut size = size();
    let of = |sku: &str, id: u32, name: &str| json!({ "SKU": sku, "EAN": null, "size": { "id": id, "name": name } });
    let crew = json!({ "productSizes": [of("CREWS", 2, "S"), of("CREWM", 3, "M")] });
    let hat = json!({ "productSizes": [of("HAT", 1, "One Size")] });
    size["size"] = json!({ "id": if size_name == "M" { 3 } else { 2 }, "name": size_name });
    let product = &mut size["productVariant"]["product"];
    product["isBundle"] = json!(true);
    product["bundle"] = json!({
        "type": "FIXED",
        "updatedAt": "2026-02-09T10:00:00+01:00",
        "sections": [
            { "quantity": 2, "productVariants": [crew] },
            { "quantity": 1, "productVariants": [hat] },
            { "quantity": 1, "productVariants": [hat] }
        ]
    });
    product["bundlePrices"] = json!({ "prices": [price(1, "ACTIVE", "2000", "SEK")] });
    size
}

fn with(pointer: &str, value: Value) -> Value {
    let mut size = size();
    *size.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    size
}

fn rules(decoded: &Decoded<Product>) -> Vec<&str> {
    decoded.problems.iter().map(|problem| problem.rule.as_str()).collect()
}

#[test]
fn a_size_says_all_of_its_product() {
    let decoded = decode(&size());
    assert_eq!(decoded.problems, []);
    let product = decoded.record.unwrap();
    assert_eq!((product.sku.as_str(), product.id.as_str()), ("Prod123Var456S", "281"));
    assert_eq!(product.name, "Alva Merino Crew Rost S");
    assert_eq!((product.style.id.as_str(), product.style.name.as_str()), ("Prod123", "Alva Merino Crew"));
    let variant = product.variant.unwrap();
    assert_eq!((variant.id.as_str(), variant.name.as_str(), product.size.as_deref()), ("Var456", "Rost", Some("S")));
    assert_eq!(product.updated_at.to_string(), "2026-02-03T09:00:04Z", "the variant changed last");
    assert_eq!((product.active, product.barcode.as_deref(), product.weight_grams), (true, Some("4006381333931"), Some(550)));
    assert_eq!((product.hs_code.as_deref(), product.origin.as_deref()), (Some("61101130"), Some("IT")));
    assert_eq!((product.brand.as_deref(), product.collections), (Some("Selvage Studio"), vec!["AW26".into(), "Knitwear".into()]));
    let prices: Vec<(String, i64)> = product.prices.iter().map(|p| (p.list.name.clone(), p.amount.minor())).collect();
    assert_eq!(prices, [("List 1".to_owned(), 129_900), ("List 2".to_owned(), 11_995)]);
    assert!(product.recipe.is_empty() && product.prices.iter().all(|price| price.market.is_none()));
    assert_eq!(product.owned, ProductFields::ALL);
}

#[test]
fn the_ean_stands_in_for_a_blank_sku_and_the_upc_for_a_blank_ean() {
    let sku = |pointer: &str, value: Value| decode(&with(pointer, value)).record.map(|product| product.sku.to_string());
    assert_eq!(sku("/SKU", json!("  ")).as_deref(), Some("4006381333931"));
    assert_eq!(sku("/SKU", Value::Null).as_deref(), Some("4006381333931"));
    let mut nameless = with("/SKU", json!(""));
    nameless["EAN"] = json!("");
    let decoded = decode(&nameless);
    assert!(decoded.record.is_none(), "a UPC names no line of an order either");
    assert_eq!(rules(&decoded), ["product.sku"]);
    let barcode = |ean: Value, upc: Value| {
        let mut size = with("/EAN", ean);
        size["UPC"] = upc;
        decode(&size).record.unwrap().barcode
    };
    assert_eq!(barcode(json!(" "), json!("735135735137")).as_deref(), Some("735135735137"));
    assert_eq!(barcode(Value::Null, Value::Null), None);
    assert_eq!(barcode(json!("not a number"), Value::Null).as_deref(), Some("not a number"), "as given");
}

#[test]
fn sizes_that_share_a_sku_are_held_and_those_that_share_an_ean_are_not() {
    assert_eq!(decode(&size()).problems, [], "the neighbour has the same EAN");
    let twins = with("/productVariant/product/variants/0/productSizes/1/SKU", json!("Prod123Var456S"));
    let decoded = decode(&twins);
    assert_eq!(rules(&decoded), ["product.sku_shared"]);
    assert!(decoded.problems[0].message.contains("282") && decoded.record.is_some());
    // Without SKUs the EAN is the key, and then it must not be shared.
    let mut blank = size();
    blank["SKU"] = json!("");
    for at in 0..2 {
        blank["productVariant"]["product"]["variants"][0]["productSizes"][at]["SKU"] = Value::Null;
    }
    assert_eq!(rules(&decode(&blank)), ["product.sku_shared"]);
}

#[test]
fn empty_parts_of_a_sku_are_no_fault() {
    let mut bare = size();
    bare["SKU"] = json!("TOTE");
    bare["size"] = json!({ "id": 1, "name": null });
    bare["productVariant"]["variantNumber"] = json!("");
    bare["productVariant"]["name"] = Value::Null;
    bare["productVariant"]["product"]["productNumber"] = json!("TOTE");
    bare["productVariant"]["product"]["name"] = json!("Canvas Tote");
    bare["productVariant"]["product"]["variants"] = json!([{ "productSizes": [{ "id": 281, "SKU": "TOTE", "EAN": null }] }]);
    let decoded = decode(&bare);
    assert_eq!(decoded.problems, []);
    let product = decoded.record.unwrap();
    assert_eq!((product.name.as_str(), product.variant, product.size), ("Canvas Tote", None, None));
    bare["size"]["name"] = json!("One Size");
    assert_eq!(decode(&bare).record.unwrap().name, "Canvas Tote");
}

#[test]
fn only_what_is_active_all_the_way_up_is_active_and_an_unknown_status_is_held() {
    let active = |pointer: &str, value: Value| decode(&with(pointer, value)).record.unwrap().active;
    assert!(!active("/isActive", json!(false)));
    assert!(!active("/productVariant/status", json!("INACTIVE")));
    assert!(!active("/productVariant/product/status", json!("CANCELLED")));
    let decoded = decode(&with("/productVariant/product/status", json!("EMBARGOED")));
    assert_eq!(rules(&decoded), ["decode.product.status"]);
    assert_eq!(decoded.problems[0].value.as_deref(), Some("EMBARGOED"));
    assert!(!decoded.record.unwrap().active);
    assert_eq!(rules(&decode(&with("/isActive", json!("yes")))), ["decode.product.field"]);
}

#[test]
fn weights_are_whole_grams_half_up() {
    let grams = |value: &str, unit: &str| {
        let weight = json!({ "value": serde_json::from_str::<Value>(value).unwrap(), "unit": unit });
        let decoded = decode(&with("/weight", weight));
        (decoded.record.as_ref().unwrap().weight_grams, rules(&decoded).join(" "))
    };
    let good = |grams: u32| (Some(grams), String::new());
    assert_eq!(grams("0.0005", "KILOGRAMS"), good(1));
    assert_eq!(grams("0.00149", "KILOGRAMS"), good(1));
    assert_eq!(grams("0.30000000000000004", "KILOGRAMS"), good(300));
    assert_eq!(grams("1", "POUNDS"), good(454));
    assert_eq!(grams("1e-1", "POUNDS"), good(45));
    assert_eq!(grams("0", "KILOGRAMS"), good(1_000), "nought is not stated, so the product's counts");
    let bad = (Some(1_000), "product.weight".to_owned());
    for (value, unit) in [("-1", "KILOGRAMS"), ("1", "STONES"), ("\"1\"", "POUNDS"), ("9e20", "KILOGRAMS")] {
        assert_eq!(grams(value, unit), bad, "{value} {unit}");
    }
    let mut none = size();
    none["weight"] = Value::Null;
    none["productVariant"]["product"]["weight"] = Value::Null;
    assert_eq!(decode(&none).record.unwrap().weight_grams, None);
}

#[test]
fn customs_data_are_checked_as_nobody_did_before() {
    let path = "/productVariant/product/harmonizedCommodityCode";
    for (given, code) in [(json!("610910"), Some("610910")), (json!("6109 1000 10"), Some("6109100010")), (json!(" "), None)] {
        let decoded = decode(&with(path, given));
        assert_eq!((decoded.problems.len(), decoded.record.unwrap().hs_code.as_deref()), (0, code));
    }
    for wrong in ["HCC123", "61091", "61091000101", "６１０９１０"] {
        let decoded = decode(&with(path, json!(wrong)));
        assert_eq!((rules(&decoded), decoded.record.as_ref().unwrap().hs_code.is_none()), (vec!["product.hs_code"], true));
    }
    let origin = "/productVariant/product/countryOfOrigin";
    assert_eq!(decode(&with(origin, Value::Null)).record.unwrap().origin, None);
    for wrong in [json!({ "code": "ITA" }), json!({ "code": 1 }), json!({}), json!("IT")] {
        assert_eq!(rules(&decode(&with(origin, wrong))), ["product.origin"]);
    }
}

#[test]
fn prices_are_exact_and_only_of_lists_in_use() {
    let prices = |rows: Value| {
        let decoded = decode(&with("/productVariant/prices", rows));
        let found: Vec<i64> = decoded.record.as_ref().unwrap().prices.iter().map(|price| price.amount.minor()).collect();
        (found, rules(&decoded).join(" "))
    };
    let unset = json!({ "price": null, "pricelist": { "id": 3, "name": "GBP", "status": "ACTIVE" } });
    let rows = json!([price(1, "ACTIVE", "0.30000000000000004", "EUR"), price(2, "INACTIVE", "5", "EUR"), unset]);
    assert_eq!(prices(rows), (vec![30], String::new()));
    assert_eq!(prices(json!([price(1, "ACTIVE", "0", "EUR")])), (vec![0], String::new()));
    assert_eq!(prices(json!([])), (vec![], String::new()));
    for (row, rule) in [
        (price(1, "ACTIVE", "1.005", "EUR"), "product.price"),
        (price(1, "ACTIVE", "-1", "EUR"), "product.price"),
        (price(1, "ACTIVE", "1", "Euro"), "product.price"),
        (price(1, "ACTIVE", "\"1\"", "EUR"), "product.price"),
        (price(1, "ASLEEP", "1", "EUR"), "decode.product.status"),
    ] {
        let (found, said) = prices(json!([price(9, "ACTIVE", "7", "SEK"), row]));
        assert_eq!((found, said.as_str()), (vec![700], rule), "the good row goes on");
    }
    assert_eq!(prices(json!({ "a": 1 })).1, "decode.product.field");
}

#[test]
fn a_fixed_bundle_is_made_of_the_sizes_that_match_its_own() {
    for (size, crew) in [("S", "CREWS"), ("M", "CREWM")] {
        let decoded = decode(&bundle(size));
        assert_eq!(decoded.problems, []);
        let product = decoded.record.unwrap();
        let recipe: Vec<(&str, u32)> = product.recipe.iter().map(|part| (part.sku.as_str(), part.units)).collect();
        assert_eq!(recipe, [(crew, 2), ("HAT", 2)], "the hat comes in one size, and twice");
        assert_eq!(product.updated_at.to_string(), "2026-02-09T09:00:00Z", "the bundle changed last");
        let prices: Vec<i64> = product.prices.iter().map(|price| price.amount.minor()).collect();
        assert_eq!(prices, [200_000], "the bundle's own price, not the variant's");
    }
    // Ids differ between charts; names do not.
    let mut other = bundle("M");
    other["size"]["id"] = json!(77);
    assert_eq!(decode(&other).record.unwrap().recipe[0].sku.as_str(), "CREWM");
}

#[test]
fn a_bundle_that_cannot_be_told_is_held_and_a_flexible_one_has_no_recipe() {
    let bundle_with = |pointer: &str, value: Value| {
        let mut size = bundle("S");
        *size.pointer_mut(&format!("/productVariant/product{pointer}")).unwrap() = value;
        decode(&size)
    };
    let flexible = bundle_with("/bundle/type", json!("FLEXIBLE"));
    assert_eq!(flexible.problems, []);
    let product = flexible.record.unwrap();
    assert!(product.recipe.is_empty() && product.prices.is_empty());
    for (pointer, value) in [
        ("/bundle", Value::Null),
        ("/bundle/sections", json!([])),
        ("/bundle/sections/0/quantity", json!(0)),
        ("/bundle/sections/0/productVariants", json!([])),
        ("/bundle/sections/0/productVariants", json!([{ "productSizes": [] }, { "productSizes": [] }])),
        ("/bundle/sections/0/productVariants/0/productSizes/0/size", json!({ "id": 9, "name": "XS" })),
        ("/bundle/sections/1/productVariants/0/productSizes/0/SKU", json!("")),
    ] {
        let decoded = bundle_with(pointer, value);
        assert_eq!(rules(&decoded), ["product.recipe"], "{pointer}");
        assert!(decoded.record.unwrap().recipe.is_empty());
    }
    assert_eq!(rules(&bundle_with("/bundle/type", json!("SURPRISE"))), ["decode.product.status"]);
}

#[test]
fn what_an_instance_does_not_tell_is_not_owned() {
    let without = |of: &str, name: &str| {
        let mut size = size();
        size.pointer_mut(of).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        decode(&size)
    };
    let decoded = without("/productVariant", "prices");
    assert_eq!(decoded.problems, []);
    let owned = decoded.record.unwrap().owned;
    assert!(!owned.has(ProductField::Price) && owned.has(ProductField::Recipe));
    assert!(!without("/productVariant/product", "bundle").record.unwrap().owned.has(ProductField::Recipe));
}

#[test]
fn a_size_without_its_product_keeps_its_key_and_says_so_once() {
    for (pointer, path) in [("/productVariant", "productVariant"), ("/productVariant/product", "productVariant.product")] {
        let decoded = decode(&with(pointer, Value::Null));
        assert_eq!(rules(&decoded), ["decode.product.field"], "{pointer}");
        assert_eq!(decoded.problems[0].path, path);
        let product = decoded.record.unwrap();
        assert_eq!((product.sku.as_str(), product.active), ("Prod123Var456S", false));
    }
}

#[test]
fn dates_that_cannot_be_read_are_told() {
    let decoded = decode(&with("/updatedAt", json!("yesterday")));
    assert_eq!(rules(&decoded), ["decode.product.date"]);
    assert_eq!(decoded.record.unwrap().updated_at.to_string(), "2026-02-03T09:00:04Z", "the others count");
    let bare = json!({ "id": 1, "SKU": "A", "isActive": true });
    let decoded = decode(&bare);
    assert!(decoded.record.is_none() && rules(&decoded) == ["decode.product.date"]);
}

#[test]
fn every_problem_names_place_and_remedy() {
    let mut odd = size();
    odd["EAN"] = json!(12);
    odd["size"] = json!({ "name": ["S"] });
    odd["productVariant"]["product"]["name"] = Value::Null;
    odd["productVariant"]["product"]["isBundle"] = json!(7);
    odd["productVariant"]["product"]["brand"] = json!({ "name": {} });
    let mut found = decode(&odd).problems;
    odd["EAN"] = Value::Null;
    found.extend(decode(&odd).problems);
    assert!(found.len() >= 5, "{found:?}");
    assert!(found.iter().all(|p| !p.path.is_empty() && !p.message.is_empty() && !p.remedy.is_empty()), "{found:?}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[-]?[0-9]{1,40}(\\.[0-9]{1,40})?([eE][-+]?[0-9]{1,4})?"
            .prop_map(|text| serde_json::from_str(&text).unwrap_or(Value::Null)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,5}", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
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
        let decoded = decode_product(&bytes, &TimeZone::UTC);
        prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
    }

    #[test]
    fn any_odd_places_are_survived(of_bundle in any::<bool>(), picks in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 1..3)) {
        let mut value = if of_bundle { bundle("M") } else { size() };
        for (index, odd) in picks {
            let mut found = Vec::new();
            places(&value, "", &mut found);
            if let Some(place) = value.pointer_mut(index.get(found.as_slice()).as_str()) {
                *place = odd;
            }
        }
        let decoded = decode(&value);
        prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
        if let Some(product) = decoded.record {
            prop_assert!(product.recipe.iter().all(|part| part.units > 0 && !part.sku.as_str().is_empty()));
            prop_assert!(product.hs_code.is_none_or(|code| (6..=10).contains(&code.len())));
        }
    }

    /// A document that is cut short is never taken for a whole one.
    #[test]
    fn a_cut_document_is_a_problem(at in 0_usize..2_000) {
        let text = size().to_string();
        let cut = text.as_bytes().get(..at.min(text.len() - 1)).unwrap();
        let decoded = decode_product(cut, &TimeZone::UTC);
        prop_assert!(decoded.record.is_none());
        prop_assert_eq!(&decoded.problems[0].rule, "decode.product.json");
    }
}
