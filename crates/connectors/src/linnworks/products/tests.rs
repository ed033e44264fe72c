//! The pure halves, and the ports against the stand-in.

use selvedge_connector::{Encoded, Fault, Priority, Raw, Receipt, Standing};
use selvedge_model::{
    ExternalId, Product, Sku,
    compare::{Difference, compare},
    gate::Values,
    records::{Kind, Named, ProductField, ProductFields, RecipePart},
};
use selvedge_sim::linnworks::Options;
use serde_json::{Value, json};

use super::{
    super::{
        settings::Form,
        tests::{
            form,
            stand_in::{Stand, ever, item, options, shelf, stand},
        },
    },
    decode, encode,
};

fn product(sku: &str) -> Product {
    Product {
        sku: Sku::new(sku),
        id: ExternalId::new("17"),
        updated_at: "2026-02-03T09:10:00Z".parse().unwrap(),
        name: "Coat, black, M".into(),
        style: Named::default(),
        variant: None,
        size: None,
        active: true,
        barcode: Some("7350000000017".into()),
        weight_grams: Some(1_250),
        hs_code: Some("62014010".into()),
        origin: Some("PT".into()),
        brand: None,
        collections: vec![],
        prices: vec![],
        recipe: vec![],
        owned: ProductFields::ALL,
    }
}

fn bundle(parts: &[(&str, u32)]) -> Product {
    let part = |(sku, units): &(&str, u32)| RecipePart { sku: Sku::new(*sku), units: *units };
    Product { recipe: parts.iter().map(part).collect(), ..product("KIT") }
}

/// How a product came to stand, as the flow brings it there.
struct Stood {
    id: ExternalId,
    steps: Vec<String>,
    differences: Vec<Difference>,
}

impl Stand {
    /// Answers lookups as the gate would: by the account's list of items, or by a mapping that is there already.
    async fn words(&self, product: &Product, mut values: Values) -> Values {
        let page = self.connection.lists.as_ref().unwrap().list("item", None).await.unwrap();
        for lookup in self.connection.product_sink.as_ref().unwrap().lookups(product) {
            let name = &lookup.key[0].1;
            let found = page.entries.iter().find(|entry| entry.name == *name);
            if values.get(&lookup).is_none()
                && let Some(entry) = found
            {
                values.set(&lookup.table, lookup.key_text(), entry.id.clone());
            }
            assert!(values.get(&lookup).is_some() || lookup.optional, "{} holds the product", lookup.missing().message);
        }
        values
    }

    async fn bring(&self, product: &Product, bound: Option<ExternalId>) -> Result<Stood, Fault> {
        let values = self.words(product, Values::default()).await;
        self.bring_with(product, bound, &values).await
    }

    async fn bring_with(&self, product: &Product, mut bound: Option<ExternalId>, values: &Values) -> Result<Stood, Fault> {
        let sink = self.connection.product_sink.as_ref().unwrap();
        let mut steps = Vec::new();
        loop {
            assert!(steps.len() < 12, "it goes round: {steps:?}");
            let own = match &bound {
                Some(id) => Some(self.item(id).await),
                None => None,
            };
            let there = Standing { own: own.as_ref(), needed: None };
            let encoded = sink.encode(product, values, there);
            match encoded.map_err(|problems| Fault::Refused { what: "encode".into(), problems })? {
                Encoded::Nothing => break,
                Encoded::Put(request) => {
                    let Receipt { id, warnings } = sink.put(&request).await?;
                    steps.push(request.path.trim_start_matches("Inventory/").to_owned());
                    steps.extend(warnings);
                    bound = id.or(bound);
                    if !request.unfinished {
                        break;
                    }
                }
            }
        }
        let id = bound.unwrap();
        let raw = self.item(&id).await;
        let decoded = self.connection.product_source.as_ref().unwrap().decode(&raw, values);
        assert_eq!(decoded.problems, []);
        let differences = compare(&product.clone().into(), &decoded.record.unwrap().into(), sink.carries());
        Ok(Stood { id, steps, differences })
    }

    async fn item(&self, id: &ExternalId) -> Raw {
        let source = self.connection.product_source.as_ref().unwrap();
        source.fetch(std::slice::from_ref(id), Priority::Orders).await.unwrap().pop().unwrap()
    }

    fn shown(&self, sku: &str) -> selvedge_sim::linnworks::ShelfItem {
        self.account.items().into_iter().find(|shown| shown.item.sku == sku).unwrap()
    }
}

fn rule(result: Result<Stood, Fault>) -> String {
    match result {
        Err(Fault::Refused { problems, .. }) => problems[0].rule.clone(),
        Err(other) => format!("{other:?}"),
        Ok(stood) => format!("it stands: {:?}", stood.steps),
    }
}

fn document(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({
        "item": {
            "StockItemId": "6F0C1A52-0000-4000-8000-00000000000A", "ItemNumber": "COAT", "ItemTitle": " Coat ", "BarcodeNumber": "",
            "Weight": 1250.0, "CreationDate": "2024-05-06T07:08:09.1234567",
            "ItemExtendedProperties": [
                { "pkRowId": "6f0c1a52-0000-4000-8000-00000000000b", "ProperyName": "Country of Origin", "PropertyValue": "pt" },
                { "pkRowId": "6f0c1a52-0000-4000-8000-00000000000c", "ProperyName": "Colour", "PropertyValue": "black" },
            ],
        },
        "parts": [], "archived": false,
    });
    change(&mut document);
    document
}

fn read(document: &Value, form: &Form) -> Result<Product, String> {
    let body = document.to_string().into_bytes().into();
    let raw = Raw { kind: Kind::Product, id: "x".into(), version: None, body };
    let decoded = decode::product(&raw, &Values::default(), form);
    decoded.record.ok_or_else(|| decoded.problems[0].rule.clone())
}

#[test]
fn an_item_reads_as_a_product() {
    let product = read(&document(|_| {}), &form()).unwrap();
    assert_eq!((product.id.as_str(), product.name.as_str()), ("6f0c1a52-0000-4000-8000-00000000000a", "Coat"));
    assert_eq!(
        (product.barcode, product.weight_grams, product.hs_code, product.origin.as_deref()),
        (None, Some(1_250), None, Some("PT"))
    );
    assert_eq!(product.updated_at.to_string(), "2024-05-06T07:08:09.1234567Z");
    let kilograms = Form { kilograms: true, ..form().as_ref().clone() };
    for (weight, grams) in [(json!(1.25), Some(1_250)), (json!(1.25e0), Some(1_250)), (json!(0), None), (Value::Null, None)] {
        assert_eq!(
            read(&document(|d| d["item"]["Weight"] = weight.clone()), &kilograms).unwrap().weight_grams,
            grams,
            "{weight}"
        );
    }
    let unset = read(&document(|d| d["item"]["CreationDate"] = json!("0001-01-01T00:00:00")), &form()).unwrap();
    assert_eq!(unset.updated_at, jiff::Timestamp::UNIX_EPOCH);
}

#[test]
fn what_cannot_be_read_is_a_problem_and_no_half_product() {
    type Change = fn(&mut Value);
    let changes: [Change; 7] = [
        |d| d["item"]["StockItemId"] = json!("17"),
        |d| d["item"]["ItemNumber"] = json!(""),
        |d| d["item"]["Weight"] = json!("heavy"),
        |d| d["archived"] = Value::Null,
        |d| d["parts"] = Value::Null,
        |d| d["parts"] = json!([{ "LinkedStockItemId": "6f0c1a52-0000-4000-8000-00000000000b", "SKU": "A", "Quantity": 0 }]),
        |d| *d = json!([1, 2]),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_eq!(read(&document(change), &form()), Err("decode.unreadable".into()), "change {at}");
    }
    let row = document(|_| {})["item"]["ItemExtendedProperties"][0].clone();
    let twice = document(|d| d["item"]["ItemExtendedProperties"].as_array_mut().unwrap().push(row));
    assert_eq!(read(&twice, &form()), Err("product.property_twice".into()));
    let text = document(|_| {}).to_string();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let raw = Raw { kind: Kind::Product, id: "x".into(), version: None, body: text.as_bytes()[..end].to_vec().into() };
        assert!(decode::product(&raw, &Values::default(), &form()).record.is_none());
    }
}

#[test]
fn an_item_has_one_id_whoever_enters_it() {
    let id = encode::item_id("COAT");
    assert_eq!(id, encode::item_id("COAT"));
    assert_ne!(id, encode::item_id("coat"));
    assert!(super::inventory::is_id(&id) && id.as_bytes()[14] == b'8' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
}

#[test]
fn only_what_the_shop_owns_is_written() {
    let item = decode::item(&document(|_| {})).unwrap();
    let paths = |owned: &[ProductField]| {
        let product = Product { active: false, owned: ProductFields::of(owned), ..product("COAT") };
        match encode::product(&product, &Values::default(), Some(&item), &form()) {
            Ok(Encoded::Put(request)) => {
                (request.path.trim_start_matches("Inventory/").to_owned(), request.body, request.unfinished)
            }
            other => (format!("{other:?}"), Value::Null, false),
        }
    };
    assert_eq!(paths(&[]).0, "Ok(Nothing)");
    assert_eq!(paths(&[ProductField::Weight]).0, "Ok(Nothing)", "1250 g there and here");
    let (path, body, unfinished) = paths(&[ProductField::Name, ProductField::Barcode]);
    assert_eq!((path.as_str(), &body["fieldName"], unfinished), ("UpdateInventoryItemField", &json!("Title"), true));
    let (path, body, unfinished) = paths(&[ProductField::Barcode]);
    assert_eq!((path.as_str(), &body["fieldValue"], unfinished), ("UpdateInventoryItemField", &json!("7350000000017"), false));
    assert_eq!(paths(&[ProductField::Active]).0, "ArchiveInventoryItems");
    let (path, body, _) = paths(&[ProductField::HsCode, ProductField::Origin]);
    let rows = body["inventoryItemExtendedProperties"].as_array().unwrap();
    assert_eq!(
        (path.as_str(), rows.len(), &rows[0]["ProperyName"]),
        ("CreateInventoryItemExtendedProperties", 1, &json!("HS Tariff Code"))
    );
    let nameless = Product { name: " ".into(), ..product("COAT") };
    assert_eq!(encode::product(&nameless, &Values::default(), None, &form()).unwrap_err()[0].rule, "product.title");
    let off = Product { active: false, ..product("COAT") };
    assert_eq!(encode::product(&off, &Values::default(), None, &form()), Ok(Encoded::Nothing));
}

#[tokio::test]
async fn a_product_is_entered_completed_and_reads_back() {
    let stand = stand(options(), json!({}), vec![]).await;
    let stood = stand.bring(&product("COAT"), None).await.unwrap();
    assert_eq!(stood.steps, ["AddInventoryItem", "CreateInventoryItemExtendedProperties"]);
    assert_eq!(stood.differences, []);
    let shown = stand.shown("COAT");
    assert_eq!((shown.id.as_str(), shown.item.weight_grams), (encode::item_id("COAT").as_str(), Some(1_250)));
    assert_eq!(shown.properties, [("HS Tariff Code".into(), "62014010".into()), ("Country of Origin".into(), "PT".into())]);
    assert_eq!(stand.bring(&product("COAT"), Some(stood.id.clone())).await.unwrap().steps, Vec::<String>::new());
    // Every field moves, and what the shop knows no more goes.
    let moved = Product {
        name: "Coat, ink, M".into(),
        barcode: None,
        weight_grams: None,
        hs_code: None,
        origin: Some("TN".into()),
        ..product("COAT")
    };
    let stood = stand.bring(&moved, Some(stood.id)).await.unwrap();
    assert_eq!(stood.steps.len(), 5, "{:?}", stood.steps);
    assert_eq!(stood.differences, []);
    assert_eq!(stand.account.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_creation_that_is_repeated_enters_nothing_twice() {
    for ids_of_its_own in [false, true] {
        let stand = stand(Options { ids_of_its_own, ..options() }, json!({}), vec![]).await;
        let sink = stand.connection.product_sink.as_ref().unwrap();
        let Ok(Encoded::Put(request)) = sink.encode(&product("COAT"), &Values::default(), Standing::default()) else { panic!() };
        assert_eq!(sink.find(&product("COAT")).await.unwrap(), None);
        let first = sink.put(&request).await.unwrap().id;
        let again = sink.put(&request).await.unwrap();
        assert_eq!((again.id, again.warnings.len()), (first.clone(), 1));
        assert_eq!(sink.find(&product("COAT")).await.unwrap().map(|found| found.id), first);
        assert_eq!(stand.account.items().len(), 1);
        assert_eq!(first.unwrap().as_str() == encode::item_id("COAT"), !ids_of_its_own);
        assert!(!sink.finishes_in_one());
    }
}

#[tokio::test]
async fn an_item_that_stands_is_adopted_and_keeps_what_is_its_own() {
    let stand = stand(options(), json!({}), shelf()).await;
    stand.account.meddle_item("CAP", |item| item.title = "Hand made".into()).unwrap();
    let owned = ProductFields::of(&[ProductField::Weight, ProductField::Origin]);
    let stood = stand.bring(&Product { owned, ..product("CAP") }, None).await.unwrap();
    assert!(stood.steps[1].contains("adopted"), "{:?}", stood.steps);
    assert_eq!(stood.differences, []);
    let shown = stand.shown("CAP");
    assert_eq!((shown.item.title.as_str(), shown.item.barcode, shown.item.weight_grams), ("Hand made", None, Some(1_250)));
    assert_eq!(shown.properties, [("Country of Origin".into(), "PT".into())]);
    assert_eq!(shown.item.stock["Default"], 3, "its stock is nobody's business here");
    // Where the SKU there is another one, a mapping says so.
    let mut values = Values::default();
    values.set("item", "sku=TEE", "TEE-1");
    let stood = stand.bring_with(&product("TEE"), None, &values).await.unwrap();
    assert_eq!((stood.differences, stand.account.items().len()), (vec![], 3));
    assert_eq!(stand.shown("TEE-1").item.title, "Coat, black, M");
}

#[tokio::test]
async fn a_sku_that_means_something_else_is_a_persons_business() {
    let stand = stand(options(), json!({}), vec![item("coat", 1)]).await;
    assert_eq!(rule(stand.bring(&product("COAT"), None).await), "product.similar_sku");
    assert_eq!(stand.account.items().len(), 1);
    let known = |sku: &str, group: bool| super::Known {
        id: "a".into(),
        sku: sku.into(),
        archived: false,
        composite: false,
        batched: false,
        group,
    };
    let rule = |known: &[super::Known]| super::meant(known, "COAT").map(|found| found.is_some()).map_err(|p| p.rule);
    assert_eq!(rule(&[]), Ok(false));
    assert_eq!(rule(&[known("COAT", false), known("coat", false)]), Ok(true));
    assert_eq!(rule(&[known("COAT", false), known("COAT", false)]), Err("product.doubled".into()));
    assert_eq!(rule(&[known("COAT", true)]), Err("product.group".into()));
}

#[tokio::test]
async fn a_bundle_is_a_composite_of_what_stands_there() {
    let stand = stand(options(), json!({}), shelf()).await;
    let lookups = stand.connection.product_sink.as_ref().unwrap().lookups(&bundle(&[("NOPE", 1)]));
    assert!(lookups[0].optional && !lookups[1].optional && lookups[1].same_name);
    let stood = stand.bring(&bundle(&[("TEE-1", 2), ("CAP", 1), ("TEE-1", 1)]), None).await.unwrap();
    // The recipe's two rows of one item are one part there.
    assert_eq!(stand.shown("KIT").item.parts, [("CAP".into(), 1), ("TEE-1".into(), 3)]);
    assert!(stood.steps.contains(&"CreateInventoryItemCompositions".into()), "{:?}", stood.steps);
    let id = Some(stood.id);
    let stood = stand.bring(&bundle(&[("TEE-1", 1)]), id.clone()).await.unwrap();
    assert_eq!(stood.steps, ["DeleteInventoryItemCompositions", "UpdateInventoryItemCompositions"]);
    assert_eq!(stood.differences, []);
    stand.account.meddle_item("KIT", |item| item.parts = vec![("CAP".into(), 9)]).unwrap();
    let stood = stand.bring(&bundle(&[("TEE-1", 1)]), id.clone()).await.unwrap();
    assert_eq!(stood.steps, ["DeleteInventoryItemCompositions", "CreateInventoryItemCompositions"]);
    assert_eq!(stood.differences, []);
    assert_eq!(rule(stand.bring(&bundle(&[("SET", 1)]), id).await), "product.part", "no composite within a composite");
    assert_eq!(stand.account.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_sold_any_more_is_archived_and_comes_back() {
    let stand = stand(options(), json!({}), vec![]).await;
    let id = stand.bring(&product("COAT"), None).await.unwrap().id;
    let off = Product { active: false, ..product("COAT") };
    let stood = stand.bring(&off, Some(id.clone())).await.unwrap();
    assert_eq!((stood.steps, stood.differences), (vec!["ArchiveInventoryItems".to_owned()], vec![]));
    assert!(stand.shown("COAT").archived);
    let found = stand.connection.product_sink.as_ref().unwrap().find(&off).await.unwrap();
    assert_eq!(found.map(|found| found.id), Some(id.clone()), "an archived item is not entered anew");
    let stood = stand.bring(&product("COAT"), Some(id)).await.unwrap();
    assert_eq!((stood.steps, stood.differences), (vec!["UnarchiveInventoryItems".to_owned()], vec![]));
}

/// A step that has no effect and is not the last would be sent for ever.
#[tokio::test]
async fn a_change_that_is_answered_and_not_made_is_told() {
    let stand = stand(Options { title_chars_max: 8, ..options() }, json!({}), vec![item("COAT", 1)]).await;
    assert_eq!(rule(stand.bring(&product("COAT"), None).await), "product.not_taken");
    // As the last one it shows when it is read back.
    let owned = ProductFields::of(&[ProductField::Name]);
    let stood = stand.bring(&Product { owned, ..product("COAT") }, None).await.unwrap();
    assert_eq!(stood.differences.iter().map(|difference| difference.path.as_str()).collect::<Vec<_>>(), ["name"]);
}

#[tokio::test]
async fn an_edit_behind_our_back_shows() {
    let stand = stand(options(), json!({}), vec![]).await;
    let id = stand.bring(&product("COAT"), None).await.unwrap().id;
    stand.account.meddle_property("COAT", "Country of Origin", "CN").unwrap();
    assert_eq!(rule(stand.bring(&product("COAT"), Some(id)).await), "product.property_twice");
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    let denied = Options { denied: vec!["Inventory/AddInventoryItem".into()], ..options() };
    let stand = stand(denied, json!({}), vec![]).await;
    let Err(Fault::Unauthorized { detail, .. }) = stand.bring(&product("COAT"), None).await else { panic!() };
    assert!(detail.contains("Inventory.MyInventoryNode"), "{detail}");
    assert_eq!(stand.account.logins(), 2, "one new session is tried, and no more");
}

#[tokio::test]
async fn every_item_is_listed_once_however_pages_fall() {
    // The composites come first in the account's order: the first page has nothing left when they are taken out.
    let parents = (0..230).map(|n| selvedge_sim::shelf::Item { parts: vec![("P-1".into(), 1)], ..item(&format!("A-{n:03}"), 0) });
    let items: Vec<_> = parents.chain((0..230).map(|n| item(&format!("P-{n}"), n))).collect();
    let stand = stand(Options { thin_pages: true, ..options() }, json!({}), items).await;
    let source = stand.connection.product_source.as_ref().unwrap();
    let (mut listed, mut counted, mut page) = (Vec::new(), Vec::new(), None);
    loop {
        let got = source.enumerate(&ever(), page.as_ref()).await.unwrap();
        counted.extend(got.items.into_iter().map(|item| item.key.unwrap().to_string()));
        let full = source.list(&ever(), page.as_ref()).await.unwrap();
        listed.extend(full.raws.iter().map(|raw| source.decode(raw, &Values::default()).record.unwrap()));
        page = full.next;
        if page.is_none() {
            break;
        }
    }
    counted.sort();
    counted.dedup();
    assert_eq!((listed.len(), counted.len()), (460, 460));
    assert_eq!(listed.iter().filter(|product| product.is_bundle()).count(), 230);
    assert!(matches!(source.list(&ever(), Some(&selvedge_connector::Cursor("x".into()))).await, Err(Fault::Unexpected { .. })));
    assert_eq!(stand.account.violations(), Vec::<String>::new());
}
