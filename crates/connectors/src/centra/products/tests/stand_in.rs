//! The port against the simulated Centra, over real HTTP.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use selvedge_connector::{
    Arrival, Connection, Connector, Cursor, Enumerated, Fault, FindingLevel, OpenContext, Priority, Raw, Secret, Secrets, Source,
    clock::ManualClock,
};
use selvedge_model::{ConnectionName, ExternalId, Interval, Kind, Product, gate::Values};
use selvedge_sim::{
    centra::{Centra as Simulated, Options, limits::Plan, wares::ItemEdit},
    data::{Catalogue, Source as Data},
    mischief::{Mischief, Profile},
    wire,
};
use serde_json::{Value, json};

use super::super::super::Centra;

struct Shop {
    centra: Simulated,
    catalogue: Arc<Catalogue>,
    connection: Connection,
}

async fn shop(data: Data, options: Options, settings: Value) -> Shop {
    let catalogue = Arc::new(Catalogue::open(7, &data).unwrap());
    let mischief = Mischief::new(7, Profile::None, "centra");
    let centra = Simulated::open(7, "test", Arc::clone(&catalogue), mischief, options, None).unwrap();
    let url = Box::leak(Box::new(wire::serve(centra.router()).await.unwrap())).url();
    let mut all = json!({ "base_url": url, "time_zone": "Europe/Stockholm", "integration_name": "selvedge" });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let mut secrets = Secrets::default();
    secrets.set("token", Secret::new(centra.token()));
    let name = ConnectionName::new("shop");
    let clock = Arc::new(ManualClock::at(now()));
    let context = OpenContext {
        name: &name,
        settings: &all,
        secrets: &secrets,
        clock,
        read_only: false,
        reach: selvedge_connector::Reach::ANYWHERE,
    };
    let connection = Centra.open(&context).unwrap_or_else(|problems| panic!("{problems:?}"));
    Shop { centra, catalogue, connection }
}

fn generated() -> Data {
    Data::Generated { orders: 1 }
}

/// A plan that no reading of a whole catalogue in one test exhausts.
fn roomy() -> Options {
    Options { plan: Plan::Enterprise, ..Options::default() }
}

/// The stand-in lives by the wall clock.
#[allow(clippy::disallowed_methods, reason = "the stand-in dates its edits by the wall clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn always() -> Interval {
    Interval { from: Timestamp::UNIX_EPOCH, to: now() }
}

/// What changed from now on: the stand-in's clock and dates go by whole seconds.
fn from_now() -> Interval {
    let now = now().as_second();
    Interval { from: Timestamp::from_second(now).unwrap(), to: Timestamp::from_second(now + 3_600).unwrap() }
}

impl Shop {
    fn source(&self) -> &dyn Source<Product> {
        self.connection.product_source.as_deref().unwrap()
    }

    async fn list(&self, interval: &Interval) -> Vec<Raw> {
        let (mut raws, mut page) = (Vec::new(), None::<Cursor>);
        loop {
            let read = self.source().list(interval, page.as_ref()).await.unwrap();
            raws.extend(read.raws);
            match read.next {
                Some(next) => page = Some(next),
                None => return raws,
            }
        }
    }

    async fn enumerate(&self, interval: &Interval) -> Vec<Enumerated> {
        let (mut items, mut page) = (Vec::new(), None::<Cursor>);
        loop {
            let read = self.source().enumerate(interval, page.as_ref()).await.unwrap();
            items.extend(read.items);
            match read.next {
                Some(next) => page = Some(next),
                None => return items,
            }
        }
    }

    fn decode(&self, raw: &Raw) -> Product {
        let decoded = self.source().decode(raw, &Values::default());
        assert_eq!(decoded.problems, [], "{}", raw.id);
        decoded.record.unwrap()
    }

    async fn product(&self, sku: &str) -> Product {
        let at = self.catalogue.items().iter().position(|item| item.sku == sku).unwrap();
        let id = ExternalId::new((at + 1).to_string());
        let raws = self.source().fetch(&[id], Priority::Products).await.unwrap();
        self.decode(&raws[0])
    }

    fn edit(&self, sku: &str, edit: ItemEdit) {
        assert!(self.centra.edit_item(sku, edit).unwrap(), "{sku}");
    }
}

#[tokio::test]
async fn the_whole_catalogue_is_read_each_size_once_and_as_its_data() {
    let shop = shop(generated(), roomy(), json!({})).await;
    let raws = shop.list(&always()).await;
    let items = shop.catalogue.items();
    assert_eq!(raws.len(), items.len());
    let products: BTreeMap<String, Product> =
        raws.iter().map(|raw| shop.decode(raw)).map(|product| (product.sku.to_string(), product)).collect();
    assert_eq!(products.len(), items.len());
    for (at, item) in (0..).zip(items) {
        let product = &products[&item.sku];
        assert_eq!(product.name, item.full_name());
        assert_eq!(product.style.id, item.product_number);
        assert_eq!(product.barcode, shop.catalogue.barcode(at));
        assert!(selvedge_model::barcode::is_gtin(product.barcode.as_deref().unwrap()));
        assert_eq!(product.weight_grams, Some(shop.catalogue.weight_grams(at)));
        assert_eq!((product.hs_code.as_deref(), product.origin.as_deref()), (Some(item.hs_code()), Some(item.origin())));
        assert!(product.active && product.collections.len() == 2);
        let parts: Vec<(String, u32)> = product.recipe.iter().map(|part| (part.sku.to_string(), part.units)).collect();
        let wanted: Vec<(String, u32)> =
            item.components.iter().map(|(part, units)| (items[*part as usize].sku.clone(), units.unsigned_abs())).collect();
        assert_eq!(parts, wanted, "{}", item.sku);
        assert_eq!(product.prices.len(), shop.catalogue.markets().len());
        for (market, price) in shop.catalogue.markets().iter().zip(&product.prices) {
            assert_eq!((price.list.id.clone(), price.amount.currency().code()), (market.id.to_string(), market.currency.code));
        }
    }
    let light = shop.enumerate(&always()).await;
    let versions = |id: &ExternalId| raws.iter().find(|raw| raw.id == *id).unwrap().version;
    assert_eq!(light.len(), items.len());
    assert!(light.iter().all(|line| line.version.is_some() && line.version == versions(&line.id)));
    assert!(light.iter().all(|line| products.contains_key(line.key.as_ref().unwrap().as_str())));
}

#[tokio::test]
async fn a_folder_and_a_flash_sale_are_read_as_their_data() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/samples/online-retail").into();
    for data in [Data::Folder { path: folder, limit: None }, Data::Flash { skus: 250, orders: 1 }] {
        let shop = shop(data, roomy(), json!({ "product_page_size": 50 })).await;
        let raws = shop.list(&always()).await;
        assert_eq!(raws.len(), shop.catalogue.items().len());
        for (at, raw) in (0..).zip(&raws) {
            let product = shop.decode(raw);
            assert_eq!(product.sku.as_str(), shop.catalogue.items()[at as usize].sku);
            assert_eq!(product.prices.len(), usize::from(shop.catalogue.price(at, 0).is_some()));
        }
    }
}

#[tokio::test]
async fn a_change_of_any_level_is_listed_once() {
    let shop = shop(generated(), roomy(), json!({})).await;
    let window = from_now();
    assert!(shop.list(&window).await.is_empty() && shop.enumerate(&window).await.is_empty());
    let (of_product, of_variant) = (24, 6);
    for (sku, edit, touched) in [
        ("1000BLKS", ItemEdit::Ean(Some("4006381333931".into())), 1),
        ("1001NVYM", ItemEdit::VariantName("Midnight".into()), of_variant),
        ("1002RSTL", ItemEdit::Name("Barrel Jean".into()), of_product),
        ("1003BLKS", ItemEdit::Weight(Some(("2.5".into(), "POUNDS".into()))), of_product),
    ] {
        let before = shop.list(&window).await.len();
        shop.edit(sku, edit);
        let raws = shop.list(&window).await;
        assert_eq!(raws.len(), before + touched, "{sku}");
        assert_eq!(shop.enumerate(&window).await.len(), raws.len(), "{sku}");
    }
    // One whose size, variant and product have all changed is read once.
    shop.edit("1002RSTL", ItemEdit::Active(false));
    shop.edit("1002RSTL", ItemEdit::VariantStatus("INACTIVE".into()));
    let raws = shop.list(&window).await;
    let mut ids: Vec<&str> = raws.iter().map(|raw| raw.id.as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), all), (1 + of_variant + 2 * of_product, 1 + of_variant + 2 * of_product));
    assert!(raws.iter().all(|raw| raw.version.is_some_and(|version| version >= window.from)));

    assert_eq!(shop.product("1000BLKS").await.barcode.as_deref(), Some("4006381333931"));
    assert_eq!(shop.product("1001NVYXS").await.name, "Alva Merino Crew Midnight XS");
    assert_eq!(shop.product("1003ECRXL").await.weight_grams, Some(1_134));
    let gone = shop.product("1002RSTL").await;
    assert!(!gone.active && gone.name.starts_with("Barrel Jean"));
    assert!(!shop.product("1002RSTM").await.active, "its variant is not");
    assert!(shop.product("1002BLKM").await.active);
}

#[tokio::test]
async fn what_somebody_writes_wrong_is_held_with_the_rest_read() {
    let shop = shop(generated(), roomy(), json!({})).await;
    let window = from_now();
    shop.edit("TOTE", ItemEdit::HsCode(Some("HCC123".into())));
    shop.edit("TOTE", ItemEdit::Ean(Some(String::new())));
    shop.edit("TOTE", ItemEdit::Upc(Some("735135735137".into())));
    shop.edit("TOTE", ItemEdit::Status("INACTIVE".into()));
    let raws = shop.list(&window).await;
    assert_eq!(raws.len(), 1);
    let decoded = shop.source().decode(&raws[0], &Values::default());
    let rules: Vec<&str> = decoded.problems.iter().map(|problem| problem.rule.as_str()).collect();
    assert_eq!(rules, ["product.hs_code"]);
    let product = decoded.record.unwrap();
    assert_eq!((product.sku.as_str(), product.barcode.as_deref(), product.active), ("TOTE", Some("735135735137"), false));
    // A size without a number of its own has the SKU of its neighbour.
    shop.edit("TOTE", ItemEdit::HsCode(None));
    shop.edit("TOTE", ItemEdit::NewSize { number: String::new(), name: "Large".into(), ean: None });
    let raws = shop.list(&window).await;
    assert_eq!(raws.len(), 2);
    for raw in &raws {
        let decoded = shop.source().decode(raw, &Values::default());
        assert_eq!(decoded.problems[0].rule, "product.sku_shared");
    }
}

#[tokio::test]
async fn a_new_size_is_news_and_can_be_stocked() {
    let shop = shop(generated(), roomy(), json!({})).await;
    let window = from_now();
    shop.edit("1000BLKS", ItemEdit::NewSize { number: "XXL".into(), name: "XXL".into(), ean: Some("5012345678900".into()) });
    let raws = shop.list(&window).await;
    assert_eq!(raws.len(), 1);
    let product = shop.decode(&raws[0]);
    assert_eq!((product.sku.as_str(), product.size.as_deref()), ("1000BLKXXL", Some("XXL")));
    assert_eq!((product.barcode.as_deref(), product.prices.len()), (Some("5012345678900"), 5));
    assert!(shop.centra.foreign_stock_edit("1000BLKXXL", 1, 9).unwrap());
    assert_eq!(shop.centra.stock_of("1000BLKXXL", 1).unwrap().physical, 9);
}

#[tokio::test]
async fn fetch_brings_many_as_they_stand_and_leaves_out_what_is_not_there() {
    let shop = shop(generated(), roomy(), json!({ "product_page_size": 7 })).await;
    assert_eq!(shop.source().fetch_max(), 7);
    let ids = ["3", "1", "3", "99999", "unreadable-0", "-4"].map(ExternalId::from);
    let raws = shop.source().fetch(&ids, Priority::Products).await.unwrap();
    let found: Vec<&str> = raws.iter().map(|raw| raw.id.as_str()).collect();
    assert_eq!(found, ["1", "3"]);
    assert!(raws.iter().all(|raw| raw.kind == Kind::Product));
    let none = shop.source().fetch(&[ExternalId::from("x")], Priority::Products).await.unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn without_prices_nothing_is_said_of_them_and_nothing_owned() {
    let options = Options { withheld_permissions: vec!["Price:read".into()], ..roomy() };
    let shop = shop(generated(), options, json!({ "product_prices": false })).await;
    for sku in ["TOTE", "SETWINTER"] {
        let product = shop.product(sku).await;
        assert!(product.prices.is_empty());
        assert!(!product.owned.has(selvedge_model::records::ProductField::Price), "{sku}");
    }
    assert_eq!(shop.product("SETWINTER").await.recipe.len(), 2);
}

#[tokio::test]
async fn events_of_the_catalogue_bring_word_of_the_sizes_that_they_touch() {
    let shop = shop(generated(), roomy(), json!({ "product_events": true })).await;
    let feed = shop.connection.feed.as_ref().unwrap();
    let first = feed.next(&[selvedge_model::Kind::Order]).await.unwrap();
    assert!(first.arrivals.is_empty() && !first.more);
    shop.edit("1000BLKS", ItemEdit::Price(2, Some(99_000)));
    shop.edit("TOTE", ItemEdit::Name("Big Tote".into()));
    shop.edit("BEANIE", ItemEdit::Active(false));
    let page = feed.next(&[selvedge_model::Kind::Order]).await.unwrap();
    let mut told: Vec<ExternalId> = page
        .arrivals
        .iter()
        .filter_map(|arrival| match arrival {
            Arrival::Notice { kind: Kind::Product, id } => Some(id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!((told.len(), page.receipts.len()), (8, 3), "six sizes of a variant, and two by themselves");
    // The price dates nothing: without the event nobody would know.
    told.sort_by_key(|id| id.as_str().parse::<u32>().unwrap());
    let raws = shop.source().fetch(&told, Priority::Products).await.unwrap();
    let of = |raw: &Raw| shop.decode(raw).prices.iter().find(|price| price.list.id == "2").unwrap().amount.minor();
    assert_eq!(raws.iter().map(of).filter(|minor| *minor == 9_900).count(), 6);
    assert!(shop.list(&from_now()).await.len() <= 2);
    feed.acknowledge(&page.receipts).await.unwrap();
    assert!(feed.next(&[selvedge_model::Kind::Order]).await.unwrap().receipts.is_empty());
}

#[tokio::test]
async fn a_missing_permission_is_named_when_listing_and_by_check() {
    for permission in [
        "Product:read",
        "ProductVariant:read",
        "ProductSize:read",
        "Product.countryOfOrigin:read",
        "Brand:read",
        "Collection:read",
        "Folder:read",
        "Bundle:read",
        "Price:read",
    ] {
        let options = Options { withheld_permissions: vec![permission.into()], ..roomy() };
        let shop = shop(generated(), options, json!({})).await;
        let Err(Fault::Unauthorized { detail, .. }) = shop.source().list(&always(), None).await else {
            panic!("{permission} is needed");
        };
        assert!(detail.contains(permission), "{detail}");
        let found = shop.connection.probe.as_ref().unwrap().check().await;
        let told = found.iter().find(|found| found.message.contains(permission)).unwrap();
        assert_eq!((told.level, told.setting.as_deref()), (FindingLevel::Warning, Some("token")), "{told:?}");
        assert!(told.message.starts_with("for products"));
    }
    let shop = shop(generated(), roomy(), json!({})).await;
    let found = shop.connection.probe.as_ref().unwrap().check().await;
    let good = found.iter().find(|found| found.message.starts_with("products can be read")).unwrap();
    assert_eq!(good.level, FindingLevel::Good);
    assert!(good.message.contains("Bundle:read") && good.message.contains("Price:read"), "{}", good.message);
}
