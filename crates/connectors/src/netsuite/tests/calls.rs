//! The calls themselves, against a server in this process: what is sent, and what each answer leads to.

use std::sync::{Arc, Mutex};

use selvedge_connector::{
    Connection, Connector, Fault, FindingLevel, OpenContext, Priority, Request, Secret, Secrets, clock::ManualClock,
};
use selvedge_model::{ConnectionName, Customer, ExternalId, Order};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Came {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

/// Status, extra header lines, body.
pub(super) type Reply = (u16, String, String);

pub(super) struct World {
    pub connection: Connection,
    came: Arc<Mutex<Vec<Came>>>,
    pub clock: Arc<ManualClock>,
    base: String,
}

impl World {
    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    fn tokens(&self) -> usize {
        self.came().iter().filter(|c| c.line.contains("/oauth2/v1/token")).count()
    }
}

/// A server that answers by the function, and a connection to it. Token calls are answered with `token-1`, `token-2` …
async fn world(oauth2: bool, answer: impl Fn(&Came) -> Reply + Send + Sync + 'static) -> World {
    world_with(oauth2, json!({}), answer).await
}

/// The same with more settings. An answer with the status 0 is none: the connection is dropped.
pub(super) async fn world_with(oauth2: bool, more: Value, answer: impl Fn(&Came) -> Reply + Send + Sync + 'static) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/acct", listener.local_addr().unwrap());
    let came: Arc<Mutex<Vec<Came>>> = Arc::default();
    let (log, answer) = (Arc::clone(&came), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&answer)));
        }
    });
    let auth = if oauth2 {
        json!({"client_id": "client-1", "certificate_id": "cert-1"})
    } else {
        json!({"method": "oauth1", "consumer_key": "ck", "token_id": "ti"})
    };
    let mut settings = json!({"account": "1234567_SB1", "base_url": format!("{base}/"), "auth": auth, "concurrency": 4});
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let mut secrets = Secrets::default();
    secrets.set("auth.private_key", Secret::new(super::KEY));
    secrets.set("auth.consumer_secret", Secret::new("cs-hidden"));
    secrets.set("auth.token_secret", Secret::new("ts-hidden"));
    let clock = Arc::new(ManualClock::at("2026-02-03T10:00:00Z".parse().unwrap()));
    let name = ConnectionName::new("erp");
    let context = OpenContext {
        name: &name,
        settings: &settings,
        secrets: &secrets,
        clock: clock.clone(),
        read_only: false,
        reach: selvedge_connector::Reach::ANYWHERE,
    };
    let connection = super::super::NetSuite.open(&context).unwrap();
    World { connection, came, clock, base }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Came>>>, answer: Arc<impl Fn(&Came) -> Reply>) {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
    let length: usize = headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse().ok()).unwrap_or(0);
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let came = Came { line, headers, body: String::from_utf8_lossy(&bytes[head_end..head_end + length]).into_owned() };
    let tokens = {
        let mut log = log.lock().unwrap();
        log.push(came.clone());
        log.iter().filter(|c| c.line.contains("/oauth2/v1/token")).count()
    };
    let (status, extra, body) = if came.line.contains("/oauth2/v1/token") {
        (
            200,
            String::new(),
            json!({"access_token": format!("token-{tokens}"), "expires_in": "3600", "token_type": "Bearer"}).to_string(),
        )
    } else {
        answer(&came)
    };
    if status == 0 {
        return;
    }
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{extra}\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

pub(super) fn ok(body: Value) -> Reply {
    (200, String::new(), body.to_string())
}

pub(super) fn error(status: u16, code: &str, detail: &str) -> Reply {
    let body = json!({"type": "x", "title": "Bad Request", "status": status, "o:errorDetails": [{"detail": detail, "o:errorCode": code}]});
    (status, String::new(), body.to_string())
}

fn create() -> Request {
    Request {
        what: "create sales order so_1".to_owned(),
        method: "POST".to_owned(),
        path: "/services/rest/record/v1/salesOrder".to_owned(),
        body: json!({"externalId": "so_1"}),
        update: None,
        unfinished: false,
    }
}

fn numbered(number: &str) -> Order {
    super::bare(number, "EUR")
}

#[tokio::test]
async fn a_creation_is_one_call_with_validation_and_its_id_comes_from_the_location() {
    let world = world(true, |_| {
        (
            204,
            "location: https://other.host/services/rest/record/v1/salesOrder/1042\r\nx-netsuite-warning: careful\r\n".into(),
            String::new(),
        )
    })
    .await;
    let receipt = world.connection.order_sink.as_ref().unwrap().put(&create()).await.unwrap();
    assert_eq!((receipt.id, receipt.warnings), (Some(ExternalId::new("1042")), vec!["careful".to_owned()]));
    let came = world.came();
    assert_eq!(came.len(), 2);
    assert_eq!(came[1].line, "POST /acct/services/rest/record/v1/salesOrder HTTP/1.1");
    assert_eq!(came[1].header("x-netsuite-propertynamevalidation"), "Error");
    assert_eq!(came[1].header("content-type"), "application/json");
    assert_eq!(came[1].header("authorization"), "Bearer token-1");
    assert_eq!(came[1].body, r#"{"externalId":"so_1"}"#);
}

#[tokio::test]
async fn the_assertion_says_who_for_whom_and_until_when() {
    use base64::Engine as _;
    let world = world(true, |_| ok(json!({"items": []}))).await;
    world.connection.order_sink.as_ref().unwrap().find(&numbered("1")).await.unwrap();
    let token_call = &world.came()[0];
    let form: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(token_call.body.as_bytes()).into_owned().collect();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let part = |n: usize| -> Value {
        let text = form["client_assertion"].split('.').nth(n).unwrap().to_owned();
        serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    assert_eq!((&part(0)["alg"], &part(0)["kid"], &part(0)["typ"]), (&json!("ES256"), &json!("cert-1"), &json!("JWT")));
    let claims = part(1);
    assert_eq!(claims["iss"], "client-1");
    assert_eq!(claims["scope"], json!(["rest_webservices"]));
    assert_eq!(claims["aud"], json!(format!("{}/services/rest/auth/oauth2/v1/token", world.base)));
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!(iat == 1_770_112_800 && exp > iat && exp - iat <= 3600, "{claims}");
}

#[tokio::test]
async fn many_calls_share_one_token_until_four_fifths_of_its_life() {
    let world = world(true, |_| ok(json!({"items": [{"id": "7"}]}))).await;
    let sink = world.connection.order_sink.clone().unwrap();
    let keys: Vec<Order> = (0..6).map(|n| numbered(&n.to_string())).collect();
    let (a, b, c, d) = tokio::join!(sink.find(&keys[0]), sink.find(&keys[1]), sink.find(&keys[2]), sink.find(&keys[3]));
    assert!([a, b, c, d].into_iter().all(|found| found.unwrap().is_some()));
    assert_eq!(world.tokens(), 1);
    world.clock.advance(std::time::Duration::from_secs(2879));
    sink.find(&keys[4]).await.unwrap();
    assert_eq!(world.tokens(), 1);
    world.clock.advance(std::time::Duration::from_secs(1));
    sink.find(&keys[5]).await.unwrap();
    assert_eq!(world.tokens(), 2);
}

#[tokio::test]
async fn a_401_is_mended_by_one_renewal_and_not_by_a_second() {
    let world = world(true, |came| {
        if came.header("authorization") == "Bearer token-1" {
            error(401, "INVALID_LOGIN", "Invalid login attempt.")
        } else {
            (204, "location: /x/5\r\n".into(), String::new())
        }
    })
    .await;
    let receipt = world.connection.order_sink.as_ref().unwrap().put(&create()).await.unwrap();
    assert_eq!(receipt.id, Some(ExternalId::new("5")));
    assert_eq!(world.tokens(), 2);

    let world = self::world(true, |_| error(401, "INVALID_LOGIN", "Invalid login attempt.")).await;
    let fault = world.connection.order_sink.as_ref().unwrap().put(&create()).await.unwrap_err();
    assert!(matches!(fault, Fault::Unauthorized { .. }), "{fault:?}");
    assert_eq!(world.came().len(), 4);
}

#[tokio::test]
async fn oauth1_signs_every_request_anew_and_does_not_repeat_a_refused_one() {
    let world = world(false, |_| error(401, "INVALID_LOGIN", "Invalid login attempt.")).await;
    let sink = world.connection.order_sink.clone().unwrap();
    for key in ["1", "2"] {
        let fault = sink.find(&numbered(key)).await.unwrap_err();
        assert!(matches!(fault, Fault::Unauthorized { .. }));
        assert!(!format!("{fault:?} {fault}").contains("hidden"));
    }
    let came = world.came();
    assert_eq!(came.len(), 2);
    let nonce = |n: usize| {
        let header = came[n].header("authorization").to_owned();
        assert!(
            header.starts_with("OAuth ")
                && header.contains(r#"realm="1234567_SB1""#)
                && header.contains(r#"oauth_timestamp="1770112800""#),
            "{header}"
        );
        header.split("oauth_nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    assert_ne!(nonce(0), nonce(1));
}

#[tokio::test]
async fn a_lost_document_is_looked_for_by_our_key() {
    let world = world(false, |came| {
        ok(if came.body.contains("so_1042") { json!({"items": [{"links": [], "ID": "77"}]}) } else { json!({"items": []}) })
    })
    .await;
    let sink = world.connection.order_sink.clone().unwrap();
    assert_eq!(sink.find(&numbered("1042")).await.unwrap().map(|f| f.id), Some(ExternalId::new("77")));
    assert_eq!(sink.find(&numbered("1043")).await.unwrap(), None);
    let customers = world.connection.customer_sink.clone().unwrap();
    assert_eq!(customers.find(&Customer { key: "9-1".into(), ..super::customer() }).await.unwrap(), None);
    let came = world.came();
    assert_eq!(came[0].line, "POST /acct/services/rest/query/v1/suiteql?limit=10&offset=0 HTTP/1.1");
    assert_eq!(came[0].header("prefer"), "transient");
    let body: Value = serde_json::from_str(&came[0].body).unwrap();
    assert_eq!(
        body,
        json!({"q": "SELECT id FROM transaction WHERE externalid = ? AND type = 'SalesOrd'", "params": ["so_1042"]})
    );
    assert!(came[2].body.contains("cust_9-1"));
}

#[tokio::test]
async fn what_another_integration_made_is_looked_for_by_the_order_number() {
    let world = world(false, |_| ok(json!({"items": [{"links": [], "ID": "77"}, {"links": [], "id": "78"}]}))).await;
    let sink = world.connection.order_sink.clone().unwrap();
    let alike = sink.find_alike(&numbered("1042")).await.unwrap();
    assert_eq!(alike.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ["77", "78"]);
    let body: Value = serde_json::from_str(&world.came()[0].body).unwrap();
    assert_eq!(
        body,
        json!({"q": "SELECT id FROM transaction WHERE otherrefnum = ? AND type = 'SalesOrd' ORDER BY id", "params": ["1042"]})
    );
}

#[tokio::test]
async fn a_document_is_fetched_whole_and_one_that_is_gone_is_left_out() {
    let world = world(false, |came| {
        if came.line.contains("/salesOrder/5?") {
            ok(json!({"id": "5", "lastModifiedDate": "2026-02-03T10:06:12Z"}))
        } else {
            error(404, "NONEXISTENT_ID", "no")
        }
    })
    .await;
    let source = world.connection.order_source.clone().unwrap();
    let raws =
        source.fetch(&[ExternalId::new("5"), ExternalId::new("6"), ExternalId::new("../x")], Priority::Orders).await.unwrap();
    assert_eq!(raws.len(), 1);
    assert_eq!(raws[0].version.unwrap().to_string(), "2026-02-03T10:06:12Z");
    let lines: Vec<String> = world.came().into_iter().map(|c| c.line).collect();
    assert_eq!(lines.len(), 2, "an id that is none is not asked for: {lines:?}");
    assert_eq!(lines[0], "GET /acct/services/rest/record/v1/salesOrder/5?expandSubResources=true HTTP/1.1");
}

#[tokio::test]
async fn an_outage_means_one_thing_for_a_read_and_another_for_a_write() {
    let world = world(false, |_| (503, String::new(), "<html>maintenance</html>".into())).await;
    let sink = world.connection.order_sink.clone().unwrap();
    assert!(matches!(sink.put(&create()).await.unwrap_err(), Fault::Unanswered { .. }));
    assert!(matches!(sink.find(&numbered("1")).await.unwrap_err(), Fault::Transient { .. }));
}

#[tokio::test]
async fn a_list_is_walked_by_key_and_a_hidden_one_is_empty() {
    let world = world(false, |came| {
        let body: Value = serde_json::from_str(&came.body).unwrap();
        let (sql, after) = (body["q"].as_str().unwrap(), body["params"][0].as_str().unwrap());
        if sql.contains("FROM shipitem") {
            return error(400, "INVALID_PARAMETER", "Record 'shipitem' was not found.");
        }
        let from: u32 = after.parse().unwrap();
        let rows: Vec<Value> = (from + 1..=(from + 1000).min(2500))
            .map(|n| json!({"id": n.to_string(), "itemid": format!("SKU-{n}"), "isinactive": if n == 7 { "T" } else { "F" }}))
            .collect();
        ok(json!({"hasMore": rows.len() == 1000, "items": rows}))
    })
    .await;
    let lists = world.connection.lists.clone().unwrap();
    let (mut entries, mut page) = (Vec::new(), None);
    loop {
        let got = lists.list("item", page.as_ref()).await.unwrap();
        entries.extend(got.entries);
        page = got.next;
        if page.is_none() {
            break;
        }
    }
    assert_eq!(entries.len(), 2500);
    assert_eq!(entries.iter().filter(|e| !e.active).map(|e| e.name.as_str()).collect::<Vec<_>>(), ["SKU-7"]);
    assert!(lists.list("shipping_item", None).await.unwrap().entries.is_empty());
    assert_eq!(world.came().len(), 4);
}

#[tokio::test]
async fn enumerating_names_our_documents_alone() {
    let world = world(false, |_| {
        ok(json!({"items": [
            {"id": "5", "externalid": "so_1042", "lm": "2026-02-03 02:06:12"},
            {"id": "6", "externalid": "somebody-elses"},
            {"id": "7"}
        ]}))
    })
    .await;
    let source = world.connection.order_source.clone().unwrap();
    let interval =
        selvedge_model::Interval { from: "2026-02-03T00:00:00Z".parse().unwrap(), to: "2026-02-04T00:00:00Z".parse().unwrap() };
    let page = source.enumerate(&interval, None).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!((page.items[0].id.as_str(), page.items[0].key.as_ref().unwrap().as_str()), ("5", "1042"));
    assert_eq!(page.items[0].version.unwrap().to_string(), "2026-02-03T10:06:12Z");
    assert!(page.next.is_none());
    let body: Value = serde_json::from_str(&world.came()[0].body).unwrap();
    assert_eq!(
        body["params"],
        json!(["0", "2026-02-02 16:00:00", "2026-02-03 16:00:00"]),
        "in the zone in which SuiteQL compares"
    );
}

#[tokio::test]
async fn check_names_what_is_wrong_and_goes_on() {
    let world = world(true, |came| {
        if came.line.contains("serverTime") {
            ok(json!({"serverTime": "2026-02-03T09:59:00.000Z"}))
        } else if came.line.contains("metadata-catalog") {
            ok(json!({"properties": {"externalId": {}, "entity": {}, "currency": {}, "tranDate": {}, "otherRefNum": {}, "item": {}, "subsidiary": {}, "shippingTaxCode": {}}}))
        } else if came.line.contains("governanceLimits") {
            error(403, "INSUFFICIENT_PERMISSION", "administrators only")
        } else if came.body.contains("SYSDATE") {
            ok(json!({"items": [{"d": "2026-02-03 10:59:00"}]}))
        } else if came.body.contains("FROM customer") {
            error(403, "INSUFFICIENT_PERMISSION", "LIST_CUSTJOB")
        } else {
            ok(json!({"items": [{"id": "1"}]}))
        }
    })
    .await;
    let findings = world.connection.probe.clone().unwrap().check().await;
    let bad = |level: FindingLevel| {
        findings.iter().filter(|f| f.level == level).map(|f| f.setting.clone().unwrap_or_default()).collect::<Vec<_>>()
    };
    let expected = ["", "query_time_zone", "items.name_field", "items.hs_code_field"];
    assert_eq!(bad(FindingLevel::Warning), expected, "{findings:#?}");
    assert_eq!(bad(FindingLevel::Bad), ["auth", "tax"], "{findings:#?}");
    assert!(findings.iter().all(|f| f.level == FindingLevel::Good || !f.remedy.is_empty()));
    assert!(findings.iter().any(|f| f.message.contains("60 s ahead")));

    let closed = self::world(false, |_| error(401, "INVALID_LOGIN", "Invalid login attempt.")).await;
    let findings = closed.connection.probe.clone().unwrap().check().await;
    assert_eq!(findings.len(), 1, "without credentials nothing else is asked");
    assert_eq!(findings[0].setting.as_deref(), Some("auth"));
}
