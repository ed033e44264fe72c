//! The pure halves against documents as the vendor's blueprint shapes them.

use selvedge_connector::Raw;
use selvedge_model::{Kind, gate::Values, records::ShipmentStatus};
use serde_json::{Value, json};

use super::{decode, settings::Form};

mod attacks;
mod products;
mod stock;

pub(super) fn form() -> Form {
    Form {
        channel_id: 501,
        payment_type: "credit_card".into(),
        weight_bands: vec![],
        connection: "vq".into(),
        prices: None,
        returned_goods: selvedge_model::records::Disposition::Quarantine,
    }
}

fn raw(document: &Value, id: &str) -> Raw {
    let version = "2026-02-04T12:00:00Z".parse().ok();
    Raw { kind: Kind::Shipment, id: id.into(), version, body: document.to_string().into_bytes().into() }
}

fn allocation(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({
        "order": { "number": "1042", "id": 31 },
        "allocation": {
            "id": 41, "warehouse": { "id": 3, "name": "Main" },
            "line_items": [{ "quantity": 2, "sellable_id": null, "sellable": { "id": 9001, "sku_code": "TEE" } }],
            "shipment": { "created_at": "2026-02-04T11:00:00.820Z", "carrier": { "id": 3, "name": "Other" },
                          "service_carrier_name": "DPD", "tracking_number": { "id": 1, "tracking_number": " 09980000020033F" } },
        },
    });
    change(&mut document);
    document
}

#[test]
fn a_shipment_is_told_by_its_allocation() {
    let shipment = decode::shipment(&raw(&allocation(|_| {}), "31/41"), &form()).record.unwrap();
    assert_eq!((shipment.key.as_str(), shipment.status), ("1042.vq.41", ShipmentStatus::Shipped));
    assert_eq!((shipment.carrier(), shipment.tracking()), (Some("DPD"), vec!["09980000020033F"]));
    let text = allocation(|d| d["allocation"]["shipment"]["tracking_number"] = json!("RB123456785GB"));
    assert_eq!(decode::shipment(&raw(&text, "31/41"), &form()).record.unwrap().tracking(), ["RB123456785GB"]);
    let named = allocation(|d| d["allocation"]["shipment"]["carrier"] = json!("DPD"));
    assert_eq!(decode::shipment(&raw(&named, "31/41"), &form()).record.unwrap().carrier(), Some("DPD"));
    let void = allocation(|d| d["allocation"]["shipment"]["tracking_number"]["cancelled"] = json!(true));
    let void = decode::shipment(&raw(&void, "31/41"), &form()).record.unwrap();
    assert!(void.tracking().is_empty(), "the number of a cancelled label is nobody's");
    let whole = allocation(|d| d["allocation"]["line_items"][0]["quantity"] = json!("2.0"));
    assert_eq!(decode::shipment(&raw(&whole, "31/41"), &form()).record.unwrap().units(), 2);
    let none = allocation(|d| d["allocation"]["shipment"]["tracking_number"] = Value::Null);
    let none = decode::shipment(&raw(&none, "31/41"), &form()).record.unwrap();
    assert!(none.tracking().is_empty() && none.parcels.len() == 1);
    let gone = allocation(|d| d["allocation"]["shipment"] = Value::Null);
    assert_eq!(decode::shipment(&raw(&gone, "31/41"), &form()).record.unwrap().status, ShipmentStatus::Open);
}

#[test]
fn cut_documents_never_panic() {
    let text = allocation(|_| {}).to_string();
    for end in 0..text.len() {
        let cut = Raw { kind: Kind::Shipment, id: "1".into(), version: None, body: text.as_bytes()[..end].to_vec().into() };
        assert!(decode::shipment(&cut, &form()).record.is_none());
        assert!(decode::order(&cut, &Values::default()).record.is_none());
    }
}

pub(super) mod stand_in {
    //! The ports against the stand-in, over HTTP.

    use std::sync::Arc;

    use selvedge_connector::{
        Connection, Connector, Encoded, OpenContext, Priority, Secret, Secrets, Standing, clock::ManualClock,
    };
    use selvedge_model::{
        ConnectionName, Currency, ExternalId, Interval, Money, Order, RecordKey, Sku,
        compare::compare,
        gate::Values,
        records::{Address, Charge, LineKind, Named, OrderLine, OrderStatus, ShipmentStatus, TaxMode, Totals},
    };
    use selvedge_sim::{
        mischief::{Mischief, Profile},
        shelf::Item,
        veeqo::{Options, Veeqo as Simulated},
        wire,
    };
    use serde_json::json;

    use super::super::Veeqo;

    pub fn order(number: &str) -> Order {
        let currency = Currency::from_code("GBP").unwrap();
        let money = |minor| Money::from_minor(minor, currency);
        let at = "2026-02-03T09:10:00Z".parse().unwrap();
        let line = OrderLine {
            id: ExternalId::new("7"),
            kind: LineKind::Product,
            bundle: None,
            recipe: None,
            sku: Sku::new("TEE"),
            name: "Tee".into(),
            quantity: 7,
            cancelled: 0,
            unit_net: 8.into(),
            net: money(5_600),
            tax: money(1_120),
            taxes: vec![],
        };
        Order {
            number: RecordKey::new(number),
            id: ExternalId::new(number),
            placed_at: at,
            updated_at: at,
            placed_on: jiff::civil::date(2026, 2, 3),
            status: OrderStatus::Confirmed,
            holds: vec![],
            internal: false,
            currency,
            tax_mode: TaxMode::Added,
            store: Named::default(),
            market: Named { id: "1".into(), name: "UK".into() },
            customer: None,
            billing: None,
            shipping: Some(Address { country: Some("GB".into()), ..Address::default() }),
            lines: vec![line],
            discounts: vec![],
            shipping_method: Some(Named { id: "s".into(), name: "Standard".into() }),
            shipping_charge: Charge::none(currency),
            handling_charge: Charge::none(currency),
            payment_method: None,
            payments: vec![],
            totals: Totals { net: money(5_600), tax: money(1_120), gross: money(6_720) },
            comment: None,
            weight_grams: None,
            dispatch_by: None,
        }
    }

    /// What the account has when a test begins: a tee, a cap, and five of the one and fifty of it elsewhere.
    fn items() -> Vec<Item> {
        let item = |sku: &str, main: i64, north: i64| Item {
            sku: sku.into(),
            title: sku[..1].to_owned() + &sku[1..].to_lowercase(),
            stock: [("Main".to_owned(), main), ("North".to_owned(), north)].into(),
            ..Item::default()
        };
        vec![item("TEE", 5, 50), item("CAP", 9, 0), item("HAT", 2, 2)]
    }

    pub async fn account() -> (Simulated, Connection) {
        account_with(json!({})).await
    }

    pub async fn account_with(more: serde_json::Value) -> (Simulated, Connection) {
        let options = Options { search_lag: 0, ..Options::default() };
        let veeqo = Simulated::open(7, "test", items(), Mischief::new(7, Profile::None, "veeqo"), options, None).unwrap();
        let url = Box::leak(Box::new(wire::serve(veeqo.router()).await.unwrap())).url();
        let access = veeqo.access();
        let mut settings = json!({ "base_url": url, "channel_id": access.channel_id });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut secrets = Secrets::default();
        secrets.set("api_key", Secret::new(access.api_key));
        let name = ConnectionName::new("vq");
        let clock = Arc::new(ManualClock::at("2026-02-03T09:10:00Z".parse().unwrap()));
        let context = OpenContext {
            name: &name,
            settings: &settings,
            secrets: &secrets,
            clock,
            read_only: false,
            reach: selvedge_connector::Reach::ANYWHERE,
        };
        (veeqo, Veeqo.open(&context).unwrap_or_else(|problems| panic!("{problems:?}")))
    }

    pub async fn words(connection: &Connection) -> Values {
        let lists = connection.lists.as_ref().unwrap();
        let mut values = Values::default();
        for entry in lists.list("item", None).await.unwrap().entries {
            values.set("item", format!("sku={}", entry.name), entry.id);
        }
        let methods = lists.list("shipping_service", None).await.unwrap().entries;
        values.set("shipping_service", "market=1,method=Standard,country=GB,weight=any", methods[0].id.clone());
        values
    }

    pub fn ever() -> Interval {
        Interval { from: "2020-01-01T00:00:00Z".parse().unwrap(), to: "2040-01-01T00:00:00Z".parse().unwrap() }
    }

    /// Enters an order; its id.
    pub async fn enter(connection: &Connection, order: &Order) -> ExternalId {
        let (sink, values) = (connection.order_sink.clone().unwrap(), words(connection).await);
        let Ok(Encoded::Put(request)) = sink.encode(order, &values, Standing::default()) else { panic!() };
        sink.put(&request).await.unwrap().id.unwrap()
    }

    #[tokio::test]
    async fn an_order_is_entered_read_back_and_shipped_from_two_warehouses() {
        let (veeqo, connection) = account().await;
        let (sink, source) = (connection.order_sink.clone().unwrap(), connection.order_source.clone().unwrap());
        let (order, values) = (order("1042"), words(&connection).await);
        assert_eq!(sink.find(&order).await.unwrap(), None);
        let Ok(Encoded::Put(request)) = sink.encode(&order, &values, Standing::default()) else { panic!() };
        let id = sink.put(&request).await.unwrap().id.unwrap();
        assert_eq!(sink.find(&order).await.unwrap().map(|found| found.id), Some(id.clone()));
        let raw = source.fetch(std::slice::from_ref(&id), Priority::Orders).await.unwrap().pop().unwrap();
        let there = source.decode(&raw, &values).record.unwrap();
        assert_eq!(compare(&order.clone().into(), &there.into(), sink.carries()), []);
        let own = Standing { own: Some(&raw), needed: None };
        assert_eq!(sink.encode(&order, &values, own), Ok(Encoded::Nothing));
        let off = Order { status: OrderStatus::Cancelled, ..order.clone() };
        assert_eq!(sink.encode(&off, &values, own).unwrap_err()[0].rule, "pick.cancel");
        let more = Order { lines: vec![OrderLine { quantity: 8, ..order.lines[0].clone() }], ..order.clone() };
        assert_eq!(sink.encode(&more, &values, own).unwrap_err()[0].rule, "pick.changed");

        while !veeqo.is_done() {
            veeqo.step().unwrap();
        }
        let shipments = connection.shipment_source.clone().unwrap();
        let interval = ever();
        let raws = shipments.list(&interval, None).await.unwrap().raws;
        let read: Vec<_> = raws.iter().map(|raw| shipments.decode(raw, &values).record.unwrap()).collect();
        assert_eq!(read.iter().map(|shipment| shipment.units()).collect::<Vec<_>>(), [5, 2]);
        assert!(read.iter().all(|shipment| shipment.status == ShipmentStatus::Shipped && shipment.tracking().len() == 1));
        let again = shipments.fetch(std::slice::from_ref(&raws[1].id), Priority::Shipments).await.unwrap();
        assert_eq!(again.iter().map(|raw| &raw.id).collect::<Vec<_>>(), [&raws[1].id]);
        veeqo.meddle_unship("1042").unwrap();
        let raws = shipments.list(&interval, None).await.unwrap().raws;
        let open = raws.iter().map(|raw| shipments.decode(raw, &values).record.unwrap().status);
        assert!(open.into_iter().all(|status| status == ShipmentStatus::Open), "a deleted shipment shows by its absence");
        assert_eq!(veeqo.violations(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_doubled_order_is_a_persons_business_and_a_cancelled_one_is_found() {
        let (veeqo, connection) = account().await;
        let (sink, values) = (connection.order_sink.clone().unwrap(), words(&connection).await);
        let order = order("1042");
        let Ok(Encoded::Put(request)) = sink.encode(&order, &values, Standing::default()) else { panic!() };
        let first = sink.put(&request).await.unwrap().id.unwrap();
        veeqo.meddle_cancel("1042").unwrap();
        assert_eq!(sink.find(&order).await.unwrap().map(|found| found.id), Some(first));
        let second = sink.put(&request).await.unwrap().id;
        assert_eq!(sink.find(&order).await.unwrap().map(|found| found.id), second);
        sink.put(&request).await.unwrap();
        let fault = sink.find(&order).await.unwrap_err();
        assert!(fault.to_string().contains("2 times"), "{fault}");
    }

    #[tokio::test]
    async fn check_finds_what_is_wrong() {
        let (_veeqo, connection) = account().await;
        let findings = connection.probe.unwrap().check().await;
        let bad: Vec<_> = findings.iter().filter(|f| f.level != selvedge_connector::FindingLevel::Good).collect();
        assert!(bad.is_empty() && findings.len() >= 5, "{findings:?}");
    }
}
