//! Products: the ports against the stand-in, over HTTP.

use selvedge_connector::{Connection, Encoded, Fault, Priority, Raw, Request, Standing};
use selvedge_model::{
    Currency, ExternalId, Kind, Money, Problem, Product, Sku,
    compare::{Difference, compare},
    gate::Values,
    records::{Named, Price, ProductField, ProductFields, RecipePart},
};
use selvedge_sim::veeqo::Veeqo as Simulated;
use serde_json::{Value, json};

use super::{
    super::{products::decode, settings::Form},
    form,
    stand_in::{account, account_with, ever, words},
};

fn product(sku: &str, name: &str) -> Product {
    Product {
        sku: Sku::new(sku),
        id: ExternalId::new(sku),
        updated_at: "2026-02-03T09:10:00Z".parse().unwrap(),
        name: name.into(),
        style: Named { id: "S1".into(), name: "Style".into() },
        variant: None,
        size: None,
        active: true,
        barcode: Some("4006381333931".into()),
        weight_grams: Some(180),
        hs_code: Some("610910".into()),
        origin: Some("PT".into()),
        brand: None,
        collections: vec![],
        prices: vec![],
        recipe: vec![],
        owned: ProductFields::ALL,
    }
}

fn bundle(parts: &[(&str, u32)]) -> Product {
    let recipe = parts.iter().map(|(sku, units)| RecipePart { sku: Sku::new(*sku), units: *units }).collect();
    Product { recipe, ..product("SET", "Gift set") }
}

async fn own(connection: &Connection, product: &Product) -> Result<Option<Raw>, Fault> {
    let (sink, source) = (connection.product_sink.clone().unwrap(), connection.product_source.clone().unwrap());
    let Some(found) = sink.find(product).await? else { return Ok(None) };
    Ok(source.fetch(&[found.id], Priority::Products).await?.pop())
}

fn encoded(connection: &Connection, product: &Product, values: &Values, own: Option<&Raw>) -> Result<Encoded, Vec<Problem>> {
    let sink = connection.product_sink.clone().unwrap();
    sink.encode(product, values, Standing { own, needed: None })
}

/// As the flow does it: looks, reads, writes until nothing is left to write. What then differs.
async fn brought(connection: &Connection, product: &Product) -> Result<Vec<Difference>, Vec<Problem>> {
    let (sink, source) = (connection.product_sink.clone().unwrap(), connection.product_source.clone().unwrap());
    assert!(sink.looks_first() && !sink.finishes_in_one());
    let values = words(connection).await;
    for _ in 0..9 {
        let there = own(connection, product).await.unwrap();
        match encoded(connection, product, &values, there.as_ref())? {
            Encoded::Nothing => break,
            Encoded::Put(request) => {
                let id = sink.put(&request).await.unwrap().id.unwrap();
                assert_eq!(source.fetch(&[id], Priority::Products).await.unwrap().len(), 1, "{request:?}");
                if !request.unfinished {
                    break;
                }
            }
        }
    }
    let there = own(connection, product).await.unwrap().unwrap();
    let read = source.decode(&there, &values).record.unwrap();
    Ok(compare(&product.clone().into(), &read.into(), sink.carries()))
}

fn shelf(veeqo: &Simulated, sku: &str) -> Value {
    let mut found: Vec<Value> = veeqo.shelves().into_iter().filter(|row| row["sku"] == sku).collect();
    assert_eq!(found.len(), 1, "{sku}");
    found.remove(0)
}

#[tokio::test]
async fn a_product_is_made_once_and_only_what_differs_is_written() {
    let (veeqo, connection) = account().await;
    let coat = product("COAT-1", "Coat Black M");
    assert_eq!(brought(&connection, &coat).await, Ok(vec![]));
    let made = shelf(&veeqo, "COAT-1");
    assert_eq!((made["title"].as_str(), made["variant"].as_str()), (Some("Coat Black M"), Some("")));
    assert_eq!((made["barcode"].as_str(), made["weight_grams"].as_u64()), (Some("4006381333931"), Some(180)));
    assert_eq!(brought(&connection, &coat).await, Ok(vec![]));

    let renamed = Product { name: "Coat Night M".into(), weight_grams: Some(200), ..coat.clone() };
    let (values, there) = (Values::default(), own(&connection, &coat).await.unwrap());
    let Ok(Encoded::Put(request)) = encoded(&connection, &renamed, &values, there.as_ref()) else { panic!() };
    assert_eq!(request.body, json!({ "product": { "title": "Coat Night M" } }), "a weight takes effect on creation only");
    let theirs = Product { owned: ProductFields::ALL.without(ProductFields::of(&[ProductField::Name])), ..renamed.clone() };
    assert_eq!(encoded(&connection, &theirs, &values, there.as_ref()), Ok(Encoded::Nothing));
    assert_eq!(brought(&connection, &renamed).await, Ok(vec![]));
    let bare = Product { barcode: None, ..renamed };
    assert_eq!(brought(&connection, &bare).await, Ok(vec![]));
    assert_eq!(shelf(&veeqo, "COAT-1")["barcode"], "");
    veeqo.meddle_title("COAT-1", "Something else").unwrap();
    let source = connection.product_source.clone().unwrap();
    let listed = source.list(&ever(), None).await.unwrap().raws;
    let read = listed.iter().filter_map(|raw| source.decode(raw, &values).record).find(|one| one.sku == bare.sku).unwrap();
    assert_eq!(read.name, "Something else");
    assert_eq!(brought(&connection, &bare).await, Ok(vec![]), "written back");
    assert_eq!(source.enumerate(&ever(), None).await.unwrap().items.len(), 1, "the others have not changed since");
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_stands_is_adopted_and_two_of_one_sku_are_a_persons_business() {
    let (veeqo, connection) = account().await;
    let before = veeqo.shelves().len();
    assert_eq!(brought(&connection, &product("TEE", "Tee White")).await, Ok(vec![]));
    assert_eq!(brought(&connection, &product("XS", "Extra small")).await, Ok(vec![]), "too short to be searched for");
    assert_eq!(brought(&connection, &product("XS", "Extra small")).await, Ok(vec![]));
    assert_eq!(veeqo.shelves().len(), before + 1);
    assert_eq!(own(&connection, &product("TE", "")).await.unwrap(), None, "the search is fuzzy");
    assert_eq!(own(&connection, &product("tee", "")).await.unwrap(), None, "a SKU has its case");
    veeqo.meddle_twin("TEE").unwrap();
    let Err(Fault::Refused { problems, .. }) = own(&connection, &product("TEE", "")).await else { panic!() };
    assert_eq!(problems[0].rule, "product.doubled");
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn beside_its_siblings_a_variant_goes_by_its_own_title() {
    let (veeqo, connection) = account().await;
    let tee = product("TEE", "Tee White");
    let before = own(&connection, &tee).await.unwrap().unwrap();
    veeqo.meddle_regroup("TEE", "White", "CAP").unwrap();
    let source = connection.product_source.clone().unwrap();
    let moved = source.fetch(&[before.id], Priority::Products).await.unwrap();
    assert_eq!(source.decode(&moved[0], &Values::default()).record.unwrap().name, "White", "it is followed");
    assert_eq!(brought(&connection, &tee).await, Ok(vec![]));
    assert_eq!(shelf(&veeqo, "TEE")["variant"], "Tee White");
    assert_eq!(shelf(&veeqo, "CAP")["title"], "Cap", "what its siblings share is left alone");
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_bundle_becomes_a_kit_and_follows_its_recipe() {
    let (veeqo, connection) = account().await;
    let sink = connection.product_sink.clone().unwrap();
    let set = bundle(&[("TEE", 2), ("CAP", 1)]);
    assert_eq!(sink.lookups(&set).iter().map(|lookup| lookup.key_text()).collect::<Vec<_>>(), ["sku=TEE", "sku=CAP"]);
    let nobody = bundle(&[("SOCK", 2)]);
    let there = own(&connection, &product("TEE", "")).await.unwrap();
    let there =
        there.map(|raw| Raw { body: String::from_utf8_lossy(&raw.body).replace("TEE", "SET").into_bytes().into(), ..raw });
    assert_eq!(encoded(&connection, &nobody, &Values::default(), there.as_ref()).unwrap_err()[0].rule, "mapping.item");

    assert_eq!(brought(&connection, &set).await, Ok(vec![]));
    let parts = |sku: &str| shelf(&veeqo, sku)["parts"].clone();
    assert_eq!(parts("SET"), json!([{ "sku": "TEE", "units": 2 }, { "sku": "CAP", "units": 1 }]));
    assert_eq!(brought(&connection, &bundle(&[("TEE", 2), ("CAP", 3)])).await, Ok(vec![]));
    assert_eq!(brought(&connection, &bundle(&[("HAT", 1), ("CAP", 3)])).await, Ok(vec![]), "a row takes another part");
    assert_eq!(parts("SET"), json!([{ "sku": "HAT", "units": 1 }, { "sku": "CAP", "units": 3 }]));
    assert_eq!(brought(&connection, &bundle(&[("HAT", 1), ("CAP", 3), ("TEE", 1)])).await, Ok(vec![]));
    let problems = brought(&connection, &bundle(&[("HAT", 1), ("TEE", 1)])).await.unwrap_err();
    assert!(problems[0].rule == "product.recipe" && problems[0].message.contains("3 × CAP"), "{problems:?}");
    let plain = brought(&connection, &product("SET", "Gift set")).await.unwrap_err();
    assert_eq!(plain[0].rule, "product.recipe");
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_deleted_for_anybody() {
    let (veeqo, connection) = account().await;
    let values = Values::default();
    let tee = product("TEE", "Tee");
    let off = Product { active: false, ..tee.clone() };
    let there = own(&connection, &tee).await.unwrap();
    assert_eq!(encoded(&connection, &off, &values, there.as_ref()).unwrap_err()[0].rule, "product.deactivate");
    assert_eq!(encoded(&connection, &off, &values, None), Ok(Encoded::Nothing), "what never stood is not made to be off");
    veeqo.meddle_delete("TEE").unwrap();
    assert_eq!(own(&connection, &tee).await.unwrap(), None);
    let source = connection.product_source.clone().unwrap();
    let gone = source.fetch(&[there.unwrap().id], Priority::Products).await.unwrap().pop().unwrap();
    assert!(!source.decode(&gone, &values).record.unwrap().active);
    assert_eq!(encoded(&connection, &off, &values, Some(&gone)), Ok(Encoded::Nothing));
    assert_eq!(encoded(&connection, &tee, &values, Some(&gone)).unwrap_err()[0].rule, "product.deleted");
    let other = product("OTHER", "Tee");
    let cap = own(&connection, &product("CAP", "")).await.unwrap();
    assert_eq!(encoded(&connection, &other, &values, cap.as_ref()).unwrap_err()[0].rule, "product.renamed");
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_product_and_bad_data_is_told_from_it() {
    let (veeqo, connection) = account().await;
    let sink = connection.product_sink.clone().unwrap();
    let coat = product("COAT-1", "Coat");
    let Ok(Encoded::Put(request)) = encoded(&connection, &coat, &Values::default(), None) else { panic!() };
    veeqo.lose_answers(1);
    assert!(matches!(sink.put(&request).await, Err(Fault::Unanswered { .. })));
    assert_eq!(brought(&connection, &coat).await, Ok(vec![]));
    shelf(&veeqo, "COAT-1");
    assert_eq!(veeqo.violations(), Vec::<String>::new());
    let odd = Request { body: json!({ "product": { "colour": "red" } }), ..request };
    let id = own(&connection, &coat).await.unwrap().unwrap().id;
    let path = format!("/products/{}", id.as_str().split_once('/').unwrap().0);
    let odd = Request { method: "PUT".into(), path, update: Some(id), ..odd };
    let fault = sink.put(&odd).await.unwrap_err();
    assert!(matches!(fault, Fault::Unexpected { .. }), "a 500 is held after some tries: {fault:?}");
}

#[tokio::test]
async fn prices_go_there_from_the_list_that_is_named() {
    let (veeqo, connection) = account_with(json!({ "price_list": "7", "price_currency": "GBP" })).await;
    let money = |minor| Money::from_minor(minor, Currency::from_code("GBP").unwrap());
    let price =
        |list: &str, minor| Price { list: Named { id: list.into(), name: list.into() }, market: None, amount: money(minor) };
    let coat = Product { prices: vec![price("3", 100), price("7", 12_950)], ..product("COAT-1", "Coat") };
    assert_eq!(brought(&connection, &coat).await, Ok(vec![]));
    assert_eq!(shelf(&veeqo, "COAT-1")["price"], "129.50");
    let dearer = Product { prices: vec![price("7", 13_950)], ..coat };
    assert_eq!(brought(&connection, &dearer).await, Ok(vec![]));
    assert_eq!(shelf(&veeqo, "COAT-1")["price"], "139.50");
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}

/// As the vendor's blueprint shows them.
fn document() -> Value {
    json!({
        "product": { "id": 8_636_420, "title": "Dog", "deleted_at": null, "hs_tariff_number": null, "origin_country": "SE",
                     "updated_at": "2017-10-13T14:17:46.833Z", "brand": null },
        "variants": 2,
        "sellable": { "id": 14_144_703, "type": "Kit", "title": "Puppy", "sku_code": "g-dog-2", "upc_code": "", "price": 150.0,
                      "weight_grams": 0.0, "updated_at": "2017-10-13T14:17:46.763Z" },
        "contents": [{ "id": 1, "product_variant_id": 7, "kit_id": 14_144_703, "quantity": 2, "deleted_at": null, "sku_code": "DOG" }],
    })
}

fn raw(body: &str) -> Raw {
    Raw { kind: Kind::Product, id: "8636420/14144703".into(), version: None, body: body.as_bytes().to_vec().into() }
}

#[test]
fn a_document_of_the_blueprint_is_read() {
    let form = Form { prices: Some(("7".into(), Currency::from_code("EUR").unwrap())), ..form() };
    let read = decode::product(&raw(&document().to_string()), &form).record.unwrap();
    assert_eq!((read.sku.as_str(), read.name.as_str(), read.barcode.as_deref()), ("g-dog-2", "Puppy", None));
    assert_eq!((read.weight_grams, read.origin.as_deref(), read.active), (None, Some("SE"), true));
    assert_eq!(read.prices[0].amount.minor(), 15_000);
    assert_eq!(read.recipe, [RecipePart { sku: Sku::new("DOG"), units: 2 }]);
    assert_eq!(read.updated_at.to_string(), "2017-10-13T14:17:46.833Z");
}

#[test]
fn half_a_kit_and_cut_documents_are_no_products() {
    for change in [
        |d: &mut Value| d["contents"] = Value::Null,
        |d: &mut Value| d["contents"][0]["quantity"] = json!(1.5),
        |d: &mut Value| d["contents"][0]["sku_code"] = Value::Null,
        |d: &mut Value| d["sellable"]["sku_code"] = json!(" "),
        |d: &mut Value| d["sellable"]["id"] = json!({}),
    ] {
        let mut odd = document();
        change(&mut odd);
        let read = decode::product(&raw(&odd.to_string()), &form());
        assert!(read.record.is_none() && read.problems[0].rule == "decode.unreadable", "{odd}");
    }
    let text = document().to_string();
    for end in 0..text.len() {
        assert!(decode::product(&raw(&text[..end]), &form()).record.is_none());
    }
}
