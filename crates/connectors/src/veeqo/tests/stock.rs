//! Stock: the ports against the stand-in, over HTTP.

use std::collections::BTreeMap;

use selvedge_connector::{Connection, Cursor, Fault, Figure, FindingLevel, LevelPage, Priority, Wanted};
use selvedge_model::{ExternalId, LocationId, Sku, StockLevel};
use serde_json::json;

use super::stand_in::{account, account_with, enter, order};

fn places() -> Vec<LocationId> {
    ["1", "2"].map(LocationId::from).to_vec()
}

async fn read(connection: &Connection, wanted: Wanted<'_>) -> (BTreeMap<(String, String), StockLevel>, LevelPage) {
    let source = connection.stock_source.clone().unwrap();
    let (mut levels, mut last, mut page): (_, _, Option<Cursor>) = (BTreeMap::new(), LevelPage::default(), None);
    loop {
        let mut read = source.levels(wanted, &places(), page.as_ref(), Priority::Stock).await.unwrap();
        for level in std::mem::take(&mut read.levels) {
            let before = levels.insert((level.sku.to_string(), level.location.to_string()), level);
            assert_eq!(before, None);
        }
        last.unread.extend(read.unread);
        match read.next {
            Some(next) => page = Some(next),
            None => return (levels, last),
        }
    }
}

fn units(level: &StockLevel) -> (i64, i64, i64) {
    (level.on_hand, level.committed, level.available)
}

#[tokio::test]
async fn every_place_of_every_item_is_told_and_what_has_no_end_is_not_guessed() {
    let (veeqo, connection) = account_with(json!({ "page_size": 1 })).await;
    enter(&connection, &order("1042")).await;
    let (levels, last) = read(&connection, Wanted::Everything).await;
    let at = |sku: &str, place: &str| units(&levels[&(sku.to_owned(), place.to_owned())]);
    assert_eq!((at("TEE", "1"), at("TEE", "2")), ((5, 5, 0), (50, 2, 48)), "an order of seven is split");
    assert_eq!((levels.len(), last.unread.len()), (6, 0));

    veeqo.meddle_infinite("TEE", "North").unwrap();
    veeqo.meddle_stock("CAP", "Main", 3).unwrap();
    let since = "2040-01-01T00:00:00Z".parse().unwrap();
    let (levels, last) = read(&connection, Wanted::Since(since)).await;
    assert_eq!(levels[&("CAP".to_owned(), "1".to_owned())].on_hand, 3, "whatever has not changed is read, too");
    assert!(
        !levels.contains_key(&("TEE".to_owned(), "2".to_owned())) && levels.contains_key(&("TEE".to_owned(), "1".to_owned()))
    );
    assert_eq!((last.unread.len(), last.unread[0].1.rule.as_str()), (1, "stock.unreadable"));
    assert!(last.unread[0].1.message.contains("without end"));

    let tee = levels[&("TEE".to_owned(), "1".to_owned())].item.clone();
    let (only, _) = read(&connection, Wanted::Items(&[tee, ExternalId::new("1/1"), ExternalId::new("odd")])).await;
    assert_eq!(only.keys().map(|(sku, place)| format!("{sku} {place}")).collect::<Vec<_>>(), ["TEE 1"]);
    let source = connection.stock_source.clone().unwrap();
    let fault = source.levels(Wanted::Everything, &["main".into()], None, Priority::Stock).await.unwrap_err();
    assert!(matches!(fault, Fault::Refused { problems, .. } if problems[0].rule == "stock.place"));
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn products_that_changed_are_asked_for_where_it_was_seen_to_suffice() {
    let (_veeqo, connection) = account_with(json!({ "stock_changes": "products" })).await;
    let since = "2040-01-01T00:00:00Z".parse().unwrap();
    assert!(read(&connection, Wanted::Since(since)).await.0.is_empty());
    assert_eq!(read(&connection, Wanted::Everything).await.0.len(), 6);
}

#[tokio::test]
async fn a_figure_is_written_as_it_is_and_read_back() {
    let (veeqo, connection) = account().await;
    enter(&connection, &order("1042")).await;
    let (sink, place) = (connection.stock_sink.clone().unwrap(), LocationId::from("1"));
    let item = read(&connection, Wanted::Everything).await.0[&("TEE".to_owned(), "1".to_owned())].item.clone();
    let figure = |item: &ExternalId, units| Figure { item: item.clone(), sku: Sku::new("TEE"), units };
    assert_eq!(sink.batch_max(), 1);
    for units in [12, 3, 0] {
        let request = sink.encode(&place, &[figure(&item, units)]);
        sink.put(&request).await.unwrap();
        // The same once more changes nothing: it is absolute.
        sink.put(&request).await.unwrap();
        let (levels, _) = read(&connection, Wanted::Items(std::slice::from_ref(&item))).await;
        let level = &levels[&("TEE".to_owned(), "1".to_owned())];
        assert_eq!(
            (level.on_hand, level.committed, level.available),
            (units, 5, units - 5),
            "more promised than there is shows as less than nought"
        );
    }
    veeqo.lose_answers(1);
    let request = sink.encode(&place, &[figure(&item, 8)]);
    assert!(matches!(sink.put(&request).await, Err(Fault::Unanswered { .. })));
    assert_eq!(
        read(&connection, Wanted::Items(std::slice::from_ref(&item))).await.0[&("TEE".to_owned(), "1".to_owned())].on_hand,
        8
    );
    for (place, item, rule) in [
        ("9", item.as_str(), "stock.refused"),
        ("1", "7/7", "stock.refused"),
        ("main", item.as_str(), "stock.place"),
        ("1", "../x", "stock.figure"),
    ] {
        let request = sink.encode(&place.into(), &[figure(&ExternalId::new(item), 1)]);
        let fault = sink.put(&request).await.unwrap_err();
        assert!(matches!(&fault, Fault::Refused { problems, .. } if problems[0].rule == rule), "{place} {item}: {fault:?}");
    }
    assert!(sink.draws().await.unwrap().is_empty());
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_kit_has_what_its_parts_make() {
    let (veeqo, connection) = account().await;
    let values = super::stand_in::words(&connection).await;
    let kit = json!({ "product_variant_id": values.one("item", "sku", "HAT").unwrap().parse::<u64>().unwrap(),
                      "contents": [{ "product_variant_id": values.one("item", "sku", "TEE").unwrap().parse::<u64>().unwrap(), "quantity": 2 }] });
    let request = selvedge_connector::Request {
        what: "make a kit".into(),
        method: "POST".into(),
        path: "/kits".into(),
        body: kit,
        update: None,
        unfinished: false,
    };
    connection.product_sink.clone().unwrap().put(&request).await.unwrap();
    let (levels, _) = read(&connection, Wanted::Everything).await;
    assert!(levels.keys().all(|(sku, _)| sku != "HAT"));
    let kits = connection.stock_source.clone().unwrap().kits().await.unwrap();
    assert_eq!(
        kits.iter().map(|kit| (kit.sku.as_str(), kit.parts[0].sku.as_str(), kit.parts[0].units)).collect::<Vec<_>>(),
        [("HAT", "TEE", 2)]
    );
    assert_eq!(veeqo.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn check_looks_at_the_warehouses() {
    let (_veeqo, connection) = account().await;
    let findings = connection.stock_sink.clone().unwrap().inspect(&["1", "1", "9"].map(LocationId::from)).await;
    let levels: Vec<FindingLevel> = findings.iter().map(|finding| finding.level).collect();
    assert_eq!(levels, [FindingLevel::Warning, FindingLevel::Bad, FindingLevel::Bad], "{findings:?}");
    assert!(findings[1].message.contains("twice") && findings[2].remedy.contains("2 (North)"));
}
