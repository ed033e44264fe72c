//! Goods that come back: booked, read back, arrived, scrapped, taken out again.

use selvedge_connector::{Encoded, Need, Needed, Priority, Raw, Standing};
use selvedge_model::{
    ExternalId, Kind, RecordKey, Return, Sku,
    compare::compare,
    gate::Values,
    records::{Disposition, ReturnLine, ReturnStatus},
};
use selvedge_sim::linnworks::{Deed, Options};
use serde_json::{Value, json};

use super::stand_in::{Stand, ever, options, shelf, stand};

fn expected(units: u32) -> Return {
    let at = "2026-02-10T09:00:00Z".parse().unwrap();
    let line = ReturnLine {
        order: Some(RecordKey::new("1042")),
        order_line: Some(ExternalId::new("TEE-1")),
        sku: Sku::new("TEE-1"),
        quantity: units,
        condition: None,
        reason: Some("Too small".to_owned()),
    };
    Return {
        key: RecordKey::new("1042.shop.77"),
        id: ExternalId::new("77"),
        order: Some(RecordKey::new("1042")),
        counterpart: None,
        shipment: None,
        status: ReturnStatus::Announced,
        created_at: at,
        received_at: None,
        updated_at: at,
        warehouse: None,
        disposition: Disposition::Restock,
        reason: None,
        comment: None,
        lines: vec![line],
    }
}

impl Stand {
    /// What is decided for a return, with the order's document as the flow hands it over.
    async fn decided(&self, record: &Return) -> (Option<Raw>, Result<Encoded, Vec<String>>) {
        let (sink, source) = (self.connection.return_sink.clone().unwrap(), self.connection.return_source.clone().unwrap());
        let own = match sink.find(record).await.unwrap() {
            Some(found) => source.fetch(&[found.id], Priority::Returns).await.unwrap().pop(),
            None => None,
        };
        let needed = match sink.needs(record) {
            Some(Need { what: Needed::Document { kind: Kind::Order, key }, .. }) => {
                let orders = self.connection.order_source.clone().unwrap();
                orders.fetch(&[key.as_str().into()], Priority::Orders).await.unwrap().pop()
            }
            Some(other) => panic!("{other:?}"),
            None => None,
        };
        let there = Standing { own: own.as_ref(), needed: needed.as_ref() };
        let encoded = sink.encode(record, &Values::default(), there);
        (own, encoded.map_err(|problems| problems.into_iter().map(|problem| problem.rule).collect()))
    }

    async fn book(&self, record: &Return) {
        let Ok(Encoded::Put(request)) = self.decided(record).await.1 else { panic!() };
        self.connection.return_sink.clone().unwrap().put(&request).await.unwrap();
    }

    async fn arrived(&self) -> Vec<Return> {
        let source = self.connection.return_source.clone().unwrap();
        let (mut all, mut page) = (Vec::new(), None);
        loop {
            let found = source.list(&ever(), page.as_ref()).await.unwrap();
            all.extend(found.raws.iter().map(|raw| source.decode(raw, &Values::default()).record.unwrap()));
            page = found.next;
            if page.is_none() {
                return all;
            }
        }
    }
}

#[tokio::test]
async fn a_return_of_what_has_left_is_booked_once_and_read_back() {
    let stand = stand(options(), json!({}), shelf()).await;
    stand.order("1042", &[("TEE-1", 3)]).await;
    assert_eq!(stand.decided(&expected(2)).await.1.unwrap_err(), ["return.not_left"]);
    stand.account.meddle_order("1042", Deed::Process).unwrap();
    stand.book(&expected(2)).await;
    let (raw, again) = stand.decided(&expected(2)).await;
    assert_eq!(again, Ok(Encoded::Nothing));
    let source = stand.connection.return_source.clone().unwrap();
    let there = source.decode(raw.as_ref().unwrap(), &Values::default()).record.unwrap();
    let carries = stand.connection.return_sink.clone().unwrap().carries();
    assert_eq!(compare(&expected(2).into(), &there.into(), carries), []);
    assert_eq!(stand.decided(&expected(1)).await.1.unwrap_err(), ["return.changed"]);
    let off = Return { status: ReturnStatus::Cancelled, ..expected(2) };
    assert_eq!(stand.decided(&off).await.1.unwrap_err(), ["return.cancelled"]);
    assert!(stand.arrived().await.is_empty(), "what is booked has not arrived");
    // One unit is left; another return has a longer key that holds this one's.
    let longer = Return { key: RecordKey::new("1042.shop.771"), ..expected(2) };
    let Ok(Encoded::Put(request)) = stand.decided(&longer).await.1 else { panic!() };
    let fault = stand.connection.return_sink.clone().unwrap().put(&request).await.unwrap_err();
    assert_eq!(super::stand_in::rule(fault), "return.refused");
    stand.book(&Return { key: RecordKey::new("1042.shop.771"), ..expected(1) }).await;
    assert_eq!(stand.decided(&expected(2)).await.1, Ok(Encoded::Nothing));
    for silent in [
        Return { status: ReturnStatus::Received, key: RecordKey::new("1042.shop.8"), ..expected(1) },
        Return { counterpart: Some(RecordKey::new("1042.wms.3")), key: RecordKey::new("1042.shop.9"), ..expected(1) },
    ] {
        assert_eq!(stand.decided(&silent).await.1, Ok(Encoded::Nothing));
    }
    assert_eq!(stand.account.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_arrived_is_told_by_what_became_of_it() {
    let stand = stand(Options { returns: true, ..options() }, json!({}), shelf()).await;
    stand.order("1042", &[("TEE-1", 3)]).await;
    stand.account.meddle_order("1042", Deed::Process).unwrap();
    stand.book(&expected(3)).await;
    stand
        .account
        .meddle_booking("1042", |one| {
            one.lines[0].scrap = 1;
            one.actioned = Some(one.created + 1_000);
            // An exchange brings the old one back, a copy that is sent brings nothing, and one was taken out again.
            for (kind, deleted, id) in [("Exchange", false, 7), ("Resend", false, 8), ("Return", true, 9)] {
                let line = one.lines[0].clone();
                one.lines.push(selvedge_sim::linnworks::BookedLine {
                    id,
                    quantity: 1,
                    scrap: 0,
                    kind: kind.into(),
                    deleted,
                    ..line
                });
            }
        })
        .unwrap();
    let found = stand.arrived().await;
    let of = |one: &Return| (one.key.to_string(), one.disposition, one.units(), one.status);
    assert_eq!(
        found.iter().map(of).collect::<Vec<_>>(),
        [
            ("1042.wms.1-restock".to_owned(), Disposition::Restock, 3, ReturnStatus::Received),
            ("1042.wms.1-write_off".to_owned(), Disposition::WriteOff, 1, ReturnStatus::Received),
        ]
    );
    assert!(found.iter().all(|one| one.counterpart.as_ref().is_some_and(|key| key.as_str() == "1042.shop.77")));
    let line = &found[0].lines[0];
    assert_eq!(line.order_line.as_ref().map(ExternalId::as_str), Some("TEE-1"));
    assert_eq!((line.reason.as_deref(), line.order.as_ref().unwrap().as_str()), (Some("Too small"), "1042"));
    let source = stand.connection.return_source.clone().unwrap();
    let listed = source.enumerate(&ever(), None).await.unwrap().items;
    let ids: Vec<String> = listed.iter().map(|item| item.id.to_string()).collect();
    assert_eq!(ids, ["1/restock", "1/write_off"]);
    let raw = source.fetch(&["1/write_off".into()], Priority::Sweeps).await.unwrap().pop().unwrap();
    assert_eq!(source.decode(&raw, &Values::default()).record.unwrap().units(), 1);
    let late = Return { status: ReturnStatus::Received, ..expected(3) };
    assert_eq!(stand.decided(&late).await.1, Ok(Encoded::Nothing));
    // Its shipments are what they were.
    assert_eq!(stand.shipments().await.iter().map(|one| one.units()).sum::<u64>(), 3);
}

#[tokio::test]
async fn the_warehouse_takes_back_what_is_booked_and_what_its_own_people_book() {
    let stand = stand(Options { returns: true, ..options() }, json!({}), vec![super::stand_in::item("TEE-1", 500)]).await;
    for number in 0..60 {
        stand.order(&format!("2{number:03}"), &[("TEE-1", 2)]).await;
    }
    let mut turns = 0;
    while !stand.account.is_done() {
        stand.account.step().unwrap();
        turns += 1;
        assert!(turns < 10_000_000, "it comes to an end");
    }
    let found = stand.arrived().await;
    let table = stand.account.returns_csv();
    assert!(!found.is_empty() && found.iter().map(Return::units).sum::<u64>() == table.lines().count() as u64 - 1, "{table}");
    assert!(found.iter().all(|one| one.counterpart.is_none() && one.order.is_some()));
    assert_eq!(stand.account.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn cut_and_garbled_bookings_never_panic() {
    let stand = stand(options(), json!({}), shelf()).await;
    let source = stand.connection.return_source.clone().unwrap();
    let document = json!({
        "rma": { "RMAHeaderId": 1, "ExternalReference": "1042.shop.77", "CreatedDate": "2026-02-10T09:00:00", "LastActionDate": "2026-02-11T09:00:00",
                 "RMALines": [{ "Type": "Return", "Actioned": true, "Deleted": false, "OrderItemRowId": "r", "ReturnItemSKU": "TEE",
                                "ReturnQuantity": 2, "ScrapQuantity": 0 }] },
        "order": { "GeneralInfo": { "ReferenceNum": "1042" }, "Items": [{ "RowId": "R", "ItemNumber": "7" }] },
    });
    let decode = |id: &str, body: Vec<u8>| {
        let raw = Raw { kind: Kind::Return, id: id.into(), version: None, body: body.into() };
        source.decode(&raw, &Values::default())
    };
    let text = document.to_string();
    assert_eq!(decode("1/restock", text.clone().into_bytes()).record.unwrap().lines[0].order_line, Some("7".into()));
    for end in 0..text.len() {
        for id in ["1/restock", "1/write_off", "1", "1/lost"] {
            assert!(decode(id, text.as_bytes()[..end].to_vec()).record.is_none());
        }
    }
    let odd = |name: &str, value: Value| {
        let mut document = document.clone();
        document["rma"]["RMALines"][0][name] = value;
        decode("1/restock", document.to_string().into_bytes())
    };
    for (name, value) in [
        ("ReturnQuantity", json!(-1)),
        ("ReturnQuantity", json!("two")),
        ("ScrapQuantity", json!(3)),
        ("ReturnItemSKU", Value::Null),
        ("Deleted", json!(true)),
    ] {
        let found = odd(name, value);
        assert!(found.record.is_none() && found.problems[0].rule == "decode.unreadable", "{name}");
    }
}
