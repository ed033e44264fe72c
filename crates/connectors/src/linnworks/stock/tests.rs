//! Levels and composites against the stand-in.

use selvedge_connector::{Fault, Figure, FindingLevel, Priority, Wanted};
use selvedge_model::{ExternalId, LocationId, StockLevel};
use selvedge_sim::{linnworks::Options, shelf::Item};
use serde_json::{Value, json};

use super::{
    super::tests::stand_in::{Stand, item, options, shelf, stand},
    decode,
};

/// The default location's.
const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn default_place() -> [LocationId; 1] {
    [LocationId::from(NIL)]
}

impl Stand {
    async fn walk(&self, wanted: Wanted<'_>) -> Vec<StockLevel> {
        let source = self.connection.stock_source.as_ref().unwrap();
        let (mut levels, mut page) = (Vec::new(), None);
        loop {
            let got = source.levels(wanted, &default_place(), page.as_ref(), Priority::Stock).await.unwrap();
            assert_eq!(got.unread, []);
            levels.extend(got.levels);
            page = got.next;
            if page.is_none() {
                return levels;
            }
            self.account.end_sessions();
        }
    }

    async fn level(&self, sku: &str) -> StockLevel {
        self.walk(Wanted::Everything).await.into_iter().find(|level| level.sku.as_str() == sku).unwrap()
    }

    async fn set(&self, rows: &[(&str, i64)]) -> Result<Vec<String>, Fault> {
        let sink = self.connection.stock_sink.as_ref().unwrap();
        let figure = |(sku, units): &(&str, i64)| Figure { item: ExternalId::new("any"), sku: (*sku).into(), units: *units };
        let request = sink.encode(&default_place()[0], &rows.iter().map(figure).collect::<Vec<_>>());
        sink.put(&request).await.map(|receipt| receipt.warnings)
    }
}

fn paths(result: Result<Vec<String>, Fault>) -> Vec<(String, String)> {
    match result {
        Err(Fault::Refused { problems, .. }) => problems.into_iter().map(|problem| (problem.path, problem.message)).collect(),
        other => panic!("{other:?}"),
    }
}

/// Composites take up the first pages, and the account may take them out after it cut a page; the session ends before
/// every page.
#[tokio::test]
async fn everything_is_walked_to_the_end_that_is_told() {
    let parents = (0..450).map(|n| Item { parts: vec![("P-1".into(), 1)], ..item(&format!("A-{n:03}"), 0) });
    let items: Vec<Item> = parents.chain((0..350).map(|n| item(&format!("P-{n}"), n))).collect();
    for thin_pages in [false, true] {
        let stand = stand(Options { thin_pages, ..options() }, json!({}), items.clone()).await;
        let levels = stand.walk(Wanted::Everything).await;
        let mut skus: Vec<&str> = levels.iter().map(|level| level.sku.as_str()).collect();
        skus.sort_unstable();
        skus.dedup();
        assert_eq!((levels.len(), skus.len()), (350, 350));
        let since = stand.walk(Wanted::Since("2026-01-01T00:00:00Z".parse().unwrap())).await;
        assert_eq!(since.len(), 350, "it does not tell what changed");
        assert_eq!(stand.connection.stock_source.as_ref().unwrap().kits().await.unwrap().len(), 450);
        assert_eq!(stand.account.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_account_without_items_is_no_refusal() {
    let stand = stand(options(), json!({}), vec![]).await;
    assert_eq!(stand.walk(Wanted::Everything).await, []);
    assert_eq!(stand.connection.stock_source.as_ref().unwrap().kits().await.unwrap(), []);
    let denied = Options { denied: vec!["Stock/GetStockItemsFull".into()], ..options() };
    let stand = super::super::tests::stand_in::stand(denied, json!({}), vec![]).await;
    let source = stand.connection.stock_source.as_ref().unwrap();
    let fault = source.levels(Wanted::Everything, &default_place(), None, Priority::Stock).await.unwrap_err();
    assert!(matches!(fault, Fault::Unauthorized { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_level_tells_what_is_promised_and_what_is_not_there() {
    let shelf = || {
        let elsewhere = Item { stock: [("Overflow".to_owned(), 9)].into(), ..item("FAR", 0) };
        let mut items = shelf();
        items.push(elsewhere);
        items
    };
    let stand = stand(options(), json!({ "commit_lag_seconds": 90 }), shelf()).await;
    let source = stand.connection.stock_source.as_ref().unwrap();
    assert_eq!((source.items_max(), source.commit_lag().as_secs()), (100, 90));
    // Twelve are ordered of ten that are there.
    stand.order("1", &[("TEE-1", 12)]).await;
    let tee = stand.level("TEE-1").await;
    assert_eq!((tee.on_hand, tee.committed, tee.back_ordered, tee.available, tee.free()), (10, 10, 2, -2, -2));
    // A composite that is ordered takes of its parts.
    stand.order("2", &[("SET", 1)]).await;
    assert_eq!((stand.level("TEE-1").await.free(), stand.level("CAP").await.free()), (-4, 2));
    let far = stand.level("FAR").await;
    assert_eq!((far.on_hand, far.location.as_str()), (0, NIL));
    let ids = [far.item.clone(), ExternalId::new("1 OR 1=1"), ExternalId::new("6f0c1a52-0000-4000-8000-000000000009")];
    assert_eq!(stand.walk(Wanted::Items(&ids)).await.len(), 1);
    let kits = source.kits().await.unwrap();
    assert_eq!(kits.iter().map(|kit| (kit.sku.as_str(), kit.parts.len())).collect::<Vec<_>>(), [("SET", 2)]);
    assert_eq!((kits[0].parts[0].sku.as_str(), kits[0].parts[0].units), ("TEE-1", 2));
    let calls = stand.account.calls();
    let odd = source.levels(Wanted::Everything, &["Default".into()], None, Priority::Stock).await.unwrap_err();
    assert!(odd.to_string().contains("\"Default\" is not the id of a location"), "{odd}");
    assert_eq!(stand.account.calls(), calls, "nothing left");
    assert_eq!(stand.account.violations(), Vec::<String>::new());
}

#[test]
fn a_row_that_cannot_be_read_is_named_and_the_others_are_read() {
    type Change = fn(&mut Value);
    let good = || {
        json!({ "StockItemId": "6f0c1a52-0000-4000-8000-000000000001", "ItemNumber": "TEE", "CategoryName": "Tops", "StockLevels": [
            { "Location": { "StockLocationId": NIL }, "StockLevel": 5, "InOrders": 2, "Available": 3, "LastUpdateDate": "2026-02-03T09:10:00" },
            { "Location": { "StockLocationId": "6f0c1a52-0000-4000-8000-000000000002" }, "StockLevel": "?" },
        ] })
    };
    let changes: [(Change, usize, usize); 9] = [
        (|_| {}, 1, 0),
        (|row| row["StockLevels"][0]["InOrders"] = Value::Null, 0, 1),
        (|row| (row["StockLevels"][0]["InOrders"], row["StockLevels"][0]["InOrderBook"]) = (Value::Null, json!(2)), 1, 0),
        (|row| row["StockLevels"][0]["StockLevel"] = json!(1.5), 0, 1),
        (|row| row["StockLevels"][0]["StockLevel"] = json!(5.0), 1, 0),
        (|row| row["StockLevels"] = Value::Null, 0, 1),
        (|row| row["StockItemId"] = json!("17"), 0, 1),
        (|row| row["ItemNumber"] = json!(" "), 0, 1),
        (|row| row["IsCompositeParent"] = json!(true), 0, 0),
    ];
    for (at, (change, read, unread)) in changes.into_iter().enumerate() {
        let mut row = good();
        change(&mut row);
        let (levels, unreadable) = decode::levels(&[row], &default_place(), jiff::Timestamp::UNIX_EPOCH);
        assert_eq!((levels.len(), unreadable.len()), (read, unread), "change {at}");
    }
    let (levels, _) = decode::levels(&[good()], &default_place(), jiff::Timestamp::UNIX_EPOCH);
    assert_eq!((levels[0].categories.as_slice(), levels[0].changed_at.is_some()), (&["Tops".to_owned()][..], true));
    let parents = [("a".to_owned(), "SET".to_owned()), ("b".to_owned(), "HALF".to_owned()), ("c".to_owned(), "NONE".to_owned())];
    let parts = [
        ("a".to_owned(), vec![json!({ "SKU": "TEE", "Quantity": 2 })]),
        ("b".to_owned(), vec![json!({ "SKU": "TEE", "Quantity": 2 }), json!({ "SKU": "CAP" })]),
    ];
    assert_eq!(decode::kits(&parents, &parts.into()).len(), 1, "half a composite shows more than there is");
}

#[tokio::test]
async fn a_level_is_set_and_never_moved() {
    let stand = stand(options(), json!({}), shelf()).await;
    for _ in 0..2 {
        assert_eq!(stand.set(&[("TEE-1", 20), ("CAP", 0)]).await.unwrap(), Vec::<String>::new());
    }
    assert_eq!((stand.level("TEE-1").await.on_hand, stand.level("CAP").await.on_hand), (20, 0));
    let sink = stand.connection.stock_sink.as_ref().unwrap();
    assert_eq!((sink.batch_max(), sink.draws().await.unwrap().len()), (100, 0));
    let calls = stand.account.calls();
    assert_eq!(paths(stand.set(&[("TEE-1", 1), ("CAP", -1)]).await)[0].0, "stockLevels.1");
    let nowhere = sink.encode(&"Default".into(), &[]);
    assert!(matches!(sink.put(&nowhere).await, Err(Fault::Refused { .. })));
    assert_eq!(stand.account.calls(), calls, "nothing left");
    assert_eq!(stand.account.violations(), Vec::<String>::new());
}

/// 200 without a row is no success, and a call that is refused whole names the row.
#[tokio::test]
async fn the_row_that_was_not_taken_is_named() {
    let stand = stand(options(), json!({}), shelf()).await;
    stand.account.meddle_batches("CAP").unwrap();
    let told = paths(stand.set(&[("TEE-1", 7), ("CAP", 7), ("SET", 7)]).await);
    assert_eq!(told.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["stockLevels.1", "stockLevels.2"]);
    assert!(told[0].1.contains("by batch") && told[1].1.contains("composite"), "{told:?}");
    assert_eq!(stand.level("TEE-1").await.on_hand, 7, "the others are set");
    let told = paths(stand.set(&[("TEE-1", 8), ("NOPE", 8)]).await);
    assert_eq!(told, [("stockLevels.1".to_owned(), "there is no item NOPE in Linnworks".to_owned())]);
    let denied = Options { denied: vec!["Stock/SetStockLevel".into()], ..options() };
    let stand = super::super::tests::stand_in::stand(denied, json!({}), shelf()).await;
    let Err(Fault::Unauthorized { detail, .. }) = stand.set(&[("TEE-1", 7)]).await else { panic!() };
    assert!(detail.contains("Inventory.Stock.StockWrite.ChangeStockLevelsNode"), "{detail}");
}

#[tokio::test]
async fn check_looks_at_each_location() {
    let managed = Options { managed: vec!["Overflow".into()], ..options() };
    let stand = stand(managed, json!({}), shelf()).await;
    let sink = stand.connection.stock_sink.as_ref().unwrap();
    let nowhere = LocationId::from("6f0c1a52-0000-4000-8000-000000000009");
    let findings = sink.inspect(&[default_place()[0].clone(), nowhere]).await;
    assert_eq!(findings.iter().map(|finding| finding.level).collect::<Vec<_>>(), [FindingLevel::Good, FindingLevel::Bad]);
    assert!(findings[1].remedy.contains("Default") && findings[1].remedy.contains("Overflow"), "{findings:?}");
}
