//! Every connector, opened to read only: whatever is put, nothing leaves.

use std::{io::ErrorKind, net::TcpListener, sync::Arc};

use selvedge_connector::{
    Connection, Connector, Fault, Figure, OpenContext, Receipt, Request, Secret, Secrets, clock::ManualClock,
};
use selvedge_model::{ConnectionName, ExternalId, LocationId, Sku};
use serde_json::{Value, json};

/// A place that notices when anybody knocks.
fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn open(connector: &dyn Connector, port: u16, read_only: bool) -> Connection {
    let base = format!("http://127.0.0.1:{port}");
    let settings = match connector.name() {
        "centra" => json!({ "base_url": base, "time_zone": "Europe/Stockholm", "returns": true }),
        "linnworks" => json!({ "login_url": base, "location": "Default", "weight_bands": [500] }),
        "netsuite" => json!({
            "base_url": base, "account": "1234567",
            "auth": { "method": "oauth1", "consumer_key": "ck", "token_id": "ti" },
        }),
        "threepl" => json!({ "host": "127.0.0.1", "port": port, "user": "brand", "host_key": "SHA256:none" }),
        "veeqo" => json!({ "base_url": base, "channel_id": 1 }),
        other => panic!("{other} has no settings here: a new connector needs its line"),
    };
    let mut secrets = Secrets::default();
    for path in connector.secret_settings() {
        secrets.set(*path, Secret::new("c2VjcmV0"));
    }
    if connector.name() == "threepl" {
        secrets = Secrets::default();
        secrets.set("password", Secret::new("secret"));
    }
    let name = ConnectionName::new("elsewhere");
    let clock = Arc::new(ManualClock::at("2026-02-03T10:00:00Z".parse().unwrap()));
    let context = OpenContext {
        name: &name,
        settings: &settings,
        secrets: &secrets,
        clock,
        read_only,
        reach: selvedge_connector::Reach::ANYWHERE,
    };
    connector.open(&context).unwrap_or_else(|problems| panic!("{}: {problems:?}", connector.name()))
}

fn request(path: &str, body: Value) -> Request {
    Request {
        what: "move something".to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        body,
        update: Some(ExternalId::new("1")),
        unfinished: false,
    }
}

/// What each sink of a connection, and its queue of news, makes of a write.
async fn writes(connection: &Connection) -> Vec<(&'static str, Result<Receipt, Fault>)> {
    let mut came = Vec::new();
    let anything = request("/rest/of/it", json!({}));
    macro_rules! put {
        ($($sink:ident: $request:expr),* $(,)?) => {
            $(if let Some(sink) = &connection.$sink {
                came.push((stringify!($sink), sink.put($request).await));
            })*
        };
    }
    let items = match connection.system {
        "linnworks" => request("Inventory/ArchiveInventoryItems", json!({})),
        _ => anything.clone(),
    };
    let levels = match connection.system {
        "veeqo" => request("/sellables/1/warehouses/2/stock_entry", json!({})),
        _ => {
            let sink = connection.stock_sink.as_ref();
            let figure = Figure { item: ExternalId::new("1"), sku: Sku::new("TEE"), units: 1 };
            let place = if connection.system == "linnworks" { "00000000-0000-0000-0000-000000000000" } else { "1" };
            sink.map_or_else(|| anything.clone(), |sink| sink.encode(&LocationId::new(place), &[figure]))
        }
    };
    put!(
        order_sink: &anything, customer_sink: &anything, shipment_sink: &anything, return_sink: &anything,
        credit_note_sink: &anything, refund_sink: &anything, product_sink: &items, stock_sink: &levels,
    );
    if let Some(feed) = &connection.feed {
        let receipts = ["1".to_owned(), json!({ "name": "shp_1.csv", "hash": "0" }).to_string()];
        let acknowledged = feed.acknowledge(&receipts).await;
        came.push(("feed", acknowledged.map(|()| Receipt { id: None, warnings: Vec::new() })));
    }
    came
}

#[tokio::test]
async fn nothing_leaves_a_connection_that_only_reads() {
    for connector in super::CONNECTORS {
        let (listener, port) = listen();
        let came = writes(&open(*connector, port, true)).await;
        assert!(came.len() >= 2, "{}", connector.name());
        for (sink, result) in came {
            let fault = result.expect_err(sink);
            assert!(fault.is_read_only(), "{} {sink}: {fault:?}", connector.name());
            assert!(fault.to_string().contains("read only"), "{fault}");
        }
        let knocked = listener.accept();
        assert_eq!(knocked.map(|_| ()).unwrap_err().kind(), ErrorKind::WouldBlock, "{}", connector.name());
    }
}

#[tokio::test]
async fn the_same_writes_leave_a_connection_that_may() {
    for connector in super::CONNECTORS {
        let (listener, port) = listen();
        // Nobody answers: the first write that leaves is enough.
        let connection = open(*connector, port, false);
        let knocked = async {
            loop {
                match listener.accept() {
                    Ok(_) => return,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                }
            }
        };
        tokio::select! {
            came = writes(&connection) => assert!(came.iter().all(|(_, result)| result.as_ref().is_err_and(|fault| !fault.is_read_only()))),
            () = knocked => {}
        }
    }
}
