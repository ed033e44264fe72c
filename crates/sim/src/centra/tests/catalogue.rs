//! The catalogue: what it says of each level, and what an edit behind everybody's back dates and tells.

use super::super::wares::ItemEdit;
use super::*;

async fn shop() -> Shop {
    Shop::open(Source::Generated { orders: 0 }, Profile::None, Options::default()).await
}

/// Dates of (size, variant, product) of a SKU.
async fn dates(shop: &Shop, sku: &str) -> [String; 3] {
    let query = format!(
        "{{ productSizes(where: {{SKU: {{equals: \"{sku}\"}}}}) {{ updatedAt productVariant {{ updatedAt product {{ updatedAt }} }} }} }}"
    );
    let size = shop.data(&query).await["productSizes"][0].clone();
    ["/updatedAt", "/productVariant/updatedAt", "/productVariant/product/updatedAt"]
        .map(|at| size.pointer(at).unwrap().as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_edit_dates_its_own_level_and_a_price_dates_none() {
    let shop = shop().await;
    let made = dates(&shop, "1000BLKS").await;
    for (edit, moved) in [
        (ItemEdit::Price(1, Some(99_000)), [false, false, false]),
        (ItemEdit::Ean(Some("4006381333931".into())), [true, false, false]),
        (ItemEdit::VariantName("Ink".into()), [true, true, false]),
        (ItemEdit::Name("Boxier Tee".into()), [true, true, true]),
    ] {
        assert!(shop.centra.edit_item("1000BLKS", edit.clone()).unwrap());
        let now = dates(&shop, "1000BLKS").await;
        let found: Vec<bool> = now.iter().zip(&made).map(|(now, made)| now != made).collect();
        assert_eq!(found, moved, "{edit:?}");
    }
    let data = shop
        .data("{ productSizes(where: {EAN: {equals: \"4006381333931\"}}) { SKU productVariant { name prices(where: {pricelistId: 1}) { price { value } } product { name } } } }")
        .await;
    assert_eq!(
        data["productSizes"],
        json!([{"SKU": "1000BLKS", "productVariant": {"name": "Ink", "prices": [{"price": {"value": 99}}], "product": {"name": "Boxier Tee"}}}])
    );
    assert!(!shop.centra.edit_item("NOPE", ItemEdit::Active(false)).unwrap());
    assert!(!shop.centra.edit_item("TOTE", ItemEdit::Price(99, None)).unwrap(), "there is no such list");
}

#[tokio::test]
async fn edits_are_told_to_whoever_listens_and_found_by_date() {
    let shop = shop().await;
    shop.data("mutation { setEventListeners(input: [{objectType: ProductSize}, {objectType: Price, changeTypes: [UPDATED]}, {objectType: ProductVariant, changeTypes: [DELETED]}]) { userErrors { message } } }")
        .await;
    let new = ItemEdit::NewSize { number: "2".into(), name: "Large".into(), ean: None };
    for edit in [ItemEdit::Active(false), ItemEdit::Price(2, None), ItemEdit::VariantStatus("INACTIVE".into()), new] {
        assert!(shop.centra.edit_item("TOTE", edit).unwrap());
    }
    let data = shop
        .data("{ events { objectType changeType objectReference object { ... on ProductSize { SKU isActive } ... on Price { price { value } pricelist { id } } } } }")
        .await;
    assert_eq!(
        data["events"],
        json!([
            {"objectType": "ProductSize", "changeType": "UPDATED", "objectReference": 385, "object": {"SKU": "TOTE", "isActive": false}},
            {"objectType": "Price", "changeType": "UPDATED", "objectReference": 2_000_065, "object": {"price": null, "pricelist": {"id": 2}}},
            {"objectType": "ProductSize", "changeType": "CREATED", "objectReference": 390, "object": {"SKU": "TOTE2", "isActive": true}},
        ])
    );
    let data = shop
        .data("{ off: productSizes(where: {isActive: false}) { SKU } late: productSizes(where: {updatedAt: {from: \"2026-01-01T00:00:00Z\"}}, sort: id_DESC) { SKU } \
               variants: productVariants(where: {updatedAt: {from: \"2026-01-01T00:00:00Z\"}}) { status productSizes { SKU } } \
               none: products(where: {updatedAt: {from: \"2026-01-01T00:00:00Z\"}}) { id } \
               gone: productVariants(where: {status: INACTIVE}) { id } }")
        .await;
    assert_eq!(data["off"], json!([{"SKU": "TOTE"}]));
    assert_eq!(data["late"], json!([{"SKU": "TOTE2"}, {"SKU": "TOTE"}]));
    assert_eq!(data["variants"], json!([{"status": "INACTIVE", "productSizes": [{"SKU": "TOTE"}, {"SKU": "TOTE2"}]}]));
    assert_eq!((&data["none"], data["gone"].as_array().unwrap().len()), (&json!([]), 1));
    let odd = shop.ask("{ products(where: {search: \"tote\"}) { id } }", json!({})).await;
    assert!(odd["errors"][0]["message"].as_str().unwrap().contains("search"), "{odd}");
}

#[tokio::test]
async fn a_bundle_names_variants_and_its_own_size() {
    let shop = shop().await;
    let data = shop
        .data("{ products(where: {id: [1, 21]}) { productNumber isBundle bundle { type priceType sizes { name } prices { price { value currency { code } } } sections { quantity productVariants { productSizes { SKU size { name } } } } } } }")
        .await;
    assert_eq!((&data["products"][0]["isBundle"], &data["products"][0]["bundle"]), (&json!(false), &Value::Null));
    let bundle = &data["products"][1]["bundle"];
    assert_eq!(data["products"][1]["productNumber"], "SETTEE3");
    assert_eq!(
        (&bundle["type"], &bundle["priceType"], &bundle["sizes"]),
        (&json!("FIXED"), &json!("STATIC"), &json!([{"name": "M"}]))
    );
    assert_eq!(bundle["prices"][1], json!({"price": {"value": 74.95, "currency": {"code": "EUR"}}}));
    let of = |section: usize| {
        let section = &bundle["sections"][section];
        let sizes = section["productVariants"][0]["productSizes"].as_array().unwrap();
        let size = sizes.iter().find(|size| size["size"]["name"] == "M").unwrap();
        (section["quantity"].as_i64().unwrap(), size["SKU"].as_str().unwrap().to_owned())
    };
    assert_eq!([of(0), of(1)], [(2, "1000BLKM".to_owned()), (1, "1000ECRM".to_owned())]);
}

#[tokio::test]
async fn edits_and_new_sizes_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let catalogue = Arc::new(Catalogue::open(7, &Source::Generated { orders: 0 }).unwrap());
        let mischief = Mischief::new(7, Profile::None, "centra");
        Centra::open(7, "test", catalogue, mischief, Options::default(), Some(folder.path())).unwrap()
    };
    {
        let centra = open();
        let new = ItemEdit::NewSize { number: "XXL".into(), name: "XXL".into(), ean: Some("5012345678900".into()) };
        assert!(centra.edit_item("1000BLKS", new).unwrap());
        assert!(centra.edit_item("1000BLKXXL", ItemEdit::Upc(Some("735135735137".into()))).unwrap());
        assert!(centra.foreign_stock_edit("1000BLKXXL", 2, 4).unwrap());
    }
    let centra = open();
    let state = centra.0.read();
    let at = state.shelf.sku("1000BLKXXL").unwrap();
    assert_eq!((state.shelf.ean(at).as_deref(), state.shelf.upc(at)), (Some("5012345678900"), Some("735135735137")));
    assert_eq!((state.shelf.by_upc("735135735137"), state.shelf.by_ean("5012345678900", 9_999)), (vec![at], vec![at]));
    assert_eq!(state.item(at).unwrap().full_name(), "Alva Boxy Tee Black XXL");
    drop(state);
    assert_eq!(centra.stock_of("1000BLKXXL", 2).unwrap().physical, 4);
    assert!(centra.stock_csv().contains("\n1000BLKXXL,2,4,0,4,0\n"));
}
