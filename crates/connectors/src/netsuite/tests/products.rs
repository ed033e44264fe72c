//! Products as items, against the stand-in and by themselves.

use std::collections::BTreeMap;

use proptest::prelude::*;
use selvedge_connector::{Fault, FindingLevel, Priority, Receipt, Standing};
use selvedge_model::{Interval, Product, Sku};
use selvedge_sim::netsuite::{KitSeed, Options};

use super::{
    super::{
        items::{decode, encode as items},
        settings::{ItemSettings, WeightUnit},
    },
    stand_in::{Stand, seeds, stand, stand_with},
    *,
};

fn product(sku: &str) -> Product {
    Product {
        sku: sku.into(),
        id: "771".into(),
        updated_at: "2026-02-03T10:00:00Z".parse().unwrap(),
        name: "Coat Åre, black / M".into(),
        style: named("77", "Coat"),
        variant: None,
        size: Some("M".into()),
        active: true,
        barcode: Some("0073100123456".into()),
        weight_grams: Some(1_250),
        hs_code: Some("620211".into()),
        origin: Some("PT".into()),
        brand: None,
        collections: Vec::new(),
        prices: vec![price("9", "1999.00", "SEK"), price("10", "179.50", "EUR"), price("11", "1", "USD")],
        recipe: Vec::new(),
        owned: ProductFields::ALL,
    }
}

fn price(list: &str, amount: &str, code: &str) -> Price {
    Price { list: named(list, "List"), market: None, amount: money(amount, code) }
}

fn part(sku: &str, units: u32) -> RecipePart {
    RecipePart { sku: sku.into(), units }
}

fn all_settings() -> Value {
    json!({"items": {"subsidiary": "2, 6", "tax_schedule": 1, "income_account": "54", "cogs_account": "213", "asset_account": "212"}})
}

impl Stand {
    /// As the gate would: items and currencies by the account's lists; the lists 9 and 10 are mapped to one level.
    async fn product_words(&self, product: &Product) -> Values {
        let mut values = Values::default();
        for lookup in self.connection.product_sink.as_ref().unwrap().lookups(product) {
            let wanted = &lookup.key[0].1;
            let id = match lookup.table.as_str() {
                "price_level" => (wanted != "11").then(|| "5".to_owned()),
                table => {
                    let page = self.connection.lists.as_ref().unwrap().list(table, None).await.unwrap();
                    page.entries.into_iter().find(|entry| entry.name == *wanted).map(|entry| entry.id)
                }
            };
            if let Some(id) = id {
                values.set(&lookup.table, lookup.key_text(), id);
            }
        }
        values
    }

    async fn put_product(&self, product: &Product, existing: Option<&Raw>) -> Result<(Option<Receipt>, bool), Vec<String>> {
        let sink = self.connection.product_sink.as_ref().unwrap();
        let values = self.product_words(product).await;
        match sink.encode(product, &values, Standing { own: existing, needed: None }) {
            Err(problems) => Err(problems.into_iter().map(|p| format!("{}:{}", p.rule, p.value.unwrap_or_default())).collect()),
            Ok(Encoded::Nothing) => Ok((None, false)),
            Ok(Encoded::Put(request)) => match sink.put(&request).await {
                Ok(receipt) => Ok((Some(receipt), request.unfinished)),
                Err(Fault::Refused { problems, .. }) => Err(problems.into_iter().map(|p| p.message + " " + &p.remedy).collect()),
                Err(other) => panic!("{other:?}"),
            },
        }
    }

    async fn item(&self, id: &ExternalId) -> Raw {
        let source = self.connection.product_source.as_ref().unwrap();
        source.fetch(std::slice::from_ref(id), Priority::Orders).await.unwrap().remove(0)
    }

    async fn item_differences(&self, product: &Product, raw: &Raw) -> Vec<Difference> {
        let decoded = self.connection.product_source.as_ref().unwrap().decode(raw, &self.product_words(product).await);
        assert_eq!(decoded.problems, []);
        let sink = self.connection.product_sink.as_ref().unwrap();
        compare(&product.clone().into(), &decoded.record.unwrap().into(), sink.carries())
    }
}

#[tokio::test]
async fn an_item_is_made_with_every_field_and_changed_by_what_differs() {
    let stand = stand(Options::default(), all_settings()).await;
    let mut coat = product("COAT-BLK-M");
    let (receipt, unfinished) = stand.put_product(&coat, None).await.unwrap();
    let id = receipt.unwrap().id.unwrap();
    assert!(unfinished, "what is found under the name instead still has to be brought in line");
    let raw = stand.item(&id).await;
    assert_eq!(stand.item_differences(&coat, &raw).await, []);
    assert_eq!(stand.put_product(&coat, Some(&raw)).await, Ok((None, false)), "it stands as it should");
    let document: Value = serde_json::from_slice(&raw.body).unwrap();
    assert_eq!((document["upcCode"].as_str(), document["externalId"].as_str()), (Some("0073100123456"), Some("item_COAT-BLK-M")));
    assert_eq!(document["price"]["items"].as_array().unwrap().len(), 2, "a list that is not mapped is not written");
    coat.name = "Coat Åre, black / L".into();
    coat.weight_grams = None;
    coat.prices[0].amount = money("1899.00", "SEK");
    coat.active = false;
    let values = stand.product_words(&coat).await;
    let sink = stand.connection.product_sink.clone().unwrap();
    let Ok(Encoded::Put(request)) = sink.encode(&coat, &values, Standing { own: Some(&raw), needed: None }) else { panic!() };
    assert_eq!(request.path, format!("/services/rest/record/v1/inventoryItem/{id}"));
    assert_eq!(request.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["displayName", "isInactive", "price", "weight"]);
    sink.put(&request).await.unwrap();
    let raw = stand.item(&id).await;
    assert_eq!(stand.item_differences(&coat, &raw).await, []);
    assert_eq!(sink.find(&coat).await.unwrap().map(|found| found.id), Some(id.clone()));
    // An edit behind our back shows, and is put right; what the flow does not own is left alone.
    assert!(stand.account.edit_item("COAT-BLK-M", "upcCode", &json!("1")).unwrap());
    assert!(stand.account.edit_item("COAT-BLK-M", "manufacturerTariff", &json!("9999")).unwrap());
    let raw = stand.item(&id).await;
    assert_eq!(stand.item_differences(&coat, &raw).await.len(), 2);
    coat.owned = ProductFields::ALL.without(ProductFields::of(&[ProductField::HsCode]));
    stand.put_product(&coat, Some(&raw)).await.unwrap();
    let document: Value = serde_json::from_slice(&stand.item(&id).await.body).unwrap();
    assert_eq!((&document["upcCode"], &document["manufacturerTariff"]), (&json!("0073100123456"), &json!("9999")));
}

#[tokio::test]
async fn an_item_that_stands_already_is_adopted_and_never_doubled() {
    let stand = stand(Options::default(), all_settings()).await;
    let coat = product("COAT");
    let (receipt, _) = stand.put_product(&coat, None).await.unwrap();
    let receipt = receipt.unwrap();
    assert!(receipt.warnings[0].contains("stood there already"), "{receipt:?}");
    let id = receipt.id.unwrap();
    let raw = stand.item(&id).await;
    assert!(!stand.item_differences(&coat, &raw).await.is_empty());
    stand.put_product(&coat, Some(&raw)).await.unwrap();
    assert_eq!(stand.item_differences(&coat, &stand.item(&id).await).await, []);
    // A name in another case is another item, and one that was renamed is a question.
    assert_eq!(stand.connection.product_sink.as_ref().unwrap().find(&product("coat")).await.unwrap(), None);
    stand.put_product(&product("NEW"), None).await.unwrap();
    stand.account.edit_item("NEW", "itemId", &json!("OLD")).unwrap();
    let found = stand.connection.product_sink.as_ref().unwrap().find(&product("NEW")).await.unwrap().unwrap();
    let raw = stand.item(&found.id).await;
    assert_eq!(stand.put_product(&product("NEW"), Some(&raw)).await, Err(vec!["product.renamed:OLD".to_owned()]));
    // Two of one name cannot be told apart.
    let kits = vec![KitSeed { item: 4, parts: vec![(6, 1)] }];
    let goods = selvedge_sim::netsuite::Goods { items: seeds(), kits, opening: Vec::new() };
    let stand = stand_with(Options::default(), all_settings(), goods).await;
    stand.account.edit_item("SET", "itemId", &json!("CAP")).unwrap();
    let fault = stand.connection.product_sink.as_ref().unwrap().find(&product("CAP")).await.unwrap_err();
    let Fault::Refused { problems, .. } = fault else { panic!() };
    assert_eq!(problems[0].rule, "product.twice");
    assert!(problems[0].message.contains("InvtPart") && problems[0].message.contains("Kit"), "{}", problems[0].message);
}

#[tokio::test]
async fn a_bundle_is_a_kit_of_items_that_stand() {
    let stand = stand(Options::default(), all_settings()).await;
    let mut set = Product { recipe: vec![part("CAP", 2), part("BOOK", 1)], ..product("GIFT-SET") };
    let id = stand.put_product(&set, None).await.unwrap().0.unwrap().id.unwrap();
    let raw = stand.item(&id).await;
    assert_eq!(stand.item_differences(&set, &raw).await, []);
    set.recipe = vec![part("BOOK", 3), part("STICKER", 1)];
    stand.put_product(&set, Some(&raw)).await.unwrap();
    let raw = stand.item(&id).await;
    assert_eq!(stand.item_differences(&set, &raw).await, []);
    set.recipe.push(part("NOWHERE", 1));
    assert_eq!(stand.put_product(&set, Some(&raw)).await, Err(vec!["mapping.item:sku=NOWHERE".to_owned()]));
    set.recipe.clear();
    assert_eq!(stand.put_product(&set, Some(&raw)).await, Err(vec!["product.type:Kit".to_owned()]));
}

#[tokio::test]
async fn without_the_settings_nothing_is_made_and_changes_go_on() {
    let stand = stand(Options::default(), json!({})).await;
    let named = ["items.tax_schedule", "items.income_account", "items.cogs_account", "items.asset_account", "items.subsidiary"];
    let expected: Vec<String> = named.iter().map(|name| format!("product.setting:{name}")).collect();
    assert_eq!(stand.put_product(&product("X-1"), None).await, Err(expected));
    let found = stand.connection.product_sink.as_ref().unwrap().find(&product("CAP")).await.unwrap().unwrap();
    let cap = product("CAP");
    stand.put_product(&cap, Some(&stand.item(&found.id).await)).await.unwrap();
    assert_eq!(stand.item_differences(&cap, &stand.item(&found.id).await).await, []);
}

#[tokio::test]
async fn refusals_name_what_to_do() {
    let wrong = json!({"items": {"subsidiary": "2", "tax_schedule": 1, "income_account": "213", "cogs_account": "default", "asset_account": "212"}});
    let stand = stand(Options { default_accounts: true, ..Options::default() }, wrong).await;
    let refused = stand.put_product(&product("X-1"), None).await.unwrap_err();
    assert!(refused[0].contains("incomeAccount"), "{refused:?}");
    let strict = stand_with(Options::default(), json!({"items": {"subsidiary": "2", "tax_schedule": 1, "income_account": "54", "cogs_account": "default", "asset_account": "212"}}), seeds()).await;
    let refused = strict.put_product(&product("X-1"), None).await.unwrap_err();
    assert!(refused[0].contains("COGS Account") && refused[0].contains("under items"), "{refused:?}");
    let long = Product { name: "x".repeat(61), ..product("X-2") };
    let good = super::stand_in::stand(Options::default(), all_settings()).await;
    let refused = good.put_product(&long, None).await.unwrap_err();
    assert!(refused[0].contains("maximum number") && refused[0].contains("items.name_field"), "{refused:?}");
}

#[tokio::test]
async fn what_changed_is_listed_and_everything_is_enumerated() {
    let stand = stand(Options { session_zone: "Asia/Tokyo".into(), ..Options::default() }, {
        let mut all = all_settings();
        all["query_time_zone"] = json!("Asia/Tokyo");
        all
    })
    .await;
    let id = stand.put_product(&product("COAT-BLK-M"), None).await.unwrap().0.unwrap().id.unwrap();
    let source = stand.connection.product_source.clone().unwrap();
    let now = stand.item(&id).await.version.unwrap();
    let hours = |n: i64| now.checked_add(jiff::SignedDuration::from_hours(n)).unwrap();
    let lately = Interval { from: hours(-2), to: hours(2) };
    let page = source.list(&lately, None).await.unwrap();
    let skus: Vec<String> =
        page.raws.iter().filter_map(|raw| source.decode(raw, &Values::default()).record).map(|p| p.sku.to_string()).collect();
    assert_eq!(skus, ["COAT-BLK-M"]);
    let all = source.enumerate(&lately, None).await.unwrap();
    assert_eq!(all.items.len(), seeds().len() + 2, "the inactive item and the new one, too");
    assert!(all.items.iter().any(|item| item.key.as_ref().is_some_and(|key| key.as_str() == "COAT-BLK-M")));
    assert_eq!(source.fetch(&["1 OR 1=1".into(), "99999999".into()], Priority::Sweeps).await.unwrap(), []);
    let findings = stand.connection.probe.clone().unwrap().check().await;
    assert!(
        findings.iter().any(|f| f.level == FindingLevel::Good && f.message.contains("read an inventory item")),
        "{findings:#?}"
    );
}

#[test]
fn a_price_level_takes_one_price_of_a_currency() {
    let values = {
        let mut values = Values::default();
        values.set("price_level", "list=9", "5");
        values.set("price_level", "list=10", "5");
        values.set("currency", "code=SEK", "5");
        values
    };
    let settings = ItemSettings { tax_schedule: Some("1".into()), ..ItemSettings::default() };
    let problems = |prices: Vec<Price>| {
        let product = Product { prices, ..product("A") };
        let made = items::product(&product, &values, None, &Form { one_world: false, ..Form::default() }, &settings);
        made.unwrap_err().into_iter().map(|p| p.rule).filter(|rule| rule != "product.setting").collect::<Vec<_>>()
    };
    assert_eq!(problems(vec![price("9", "10", "SEK"), price("10", "10", "SEK")]), Vec::<String>::new());
    assert_eq!(problems(vec![price("9", "10", "SEK"), price("10", "11", "SEK")]), ["product.price_ambiguous"]);
    assert_eq!(problems(vec![price("9", "10", "EUR")]), ["mapping.currency"]);
}

#[test]
fn grams_come_back_from_every_unit() {
    for unit in [WeightUnit::Gram, WeightUnit::Kilogram, WeightUnit::Pound, WeightUnit::Ounce] {
        for grams in [1_u32, 7, 350, 1_250, 99_999] {
            let (id, weight) = unit.of_grams(grams);
            let body = json!({"itemId": "A", "weight": weight.to_string(), "weightUnit": {"id": id}});
            let raw = Raw { kind: Kind::Product, ..raw(&body, "7") };
            let read = decode::product(&raw, &Values::default(), &ItemSettings::default()).record.unwrap();
            assert_eq!(read.weight_grams, Some(grams), "{unit:?} {weight}");
        }
    }
}

proptest! {
    #[test]
    fn any_item_is_read_or_refused(value in super::anything::any_json(), cut in 0_usize..200) {
        let product = Product { recipe: vec![part("A", 1)], ..product("COAT") };
        let whole = json!({"itemId": "COAT", "itemType": {"id": "Kit"}, "weight": value, "weightUnit": value, "price": {"items": [value]},
            "member": {"items": [value, {"item": value, "quantity": 1}]}, "countryOfManufacture": value, "isInactive": value, "links": value});
        let mut values = Values::default();
        values.set("item", "sku=A", "1");
        for document in [value, whole] {
            let text = document.to_string().into_bytes();
            for body in [text.clone(), text.into_iter().take(cut).collect::<Vec<u8>>()] {
                let raw = Raw { kind: Kind::Product, id: "7".into(), version: None, body: body.into() };
                let decoded = decode::product(&raw, &values, &ItemSettings::default());
                prop_assert!(decoded.record.is_some() || !decoded.problems.is_empty());
                let _ = items::product(&product, &values, Some(&raw), &Form::default(), &ItemSettings::default());
            }
        }
    }
}

#[test]
fn a_sku_is_the_last_part_of_a_name() {
    let names: BTreeMap<&str, &str> = [("A", "A"), ("P : A", "A"), ("P : Q : A-1", "A-1"), ("A:B", "A:B")].into();
    for (name, sku) in names {
        assert_eq!(Sku::new(decode::leaf(name)), Sku::new(sku));
    }
}
