//! What the open door of the built binary does with deliveries that it must not believe.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use selvedge_connector::signature::hmac_sha256;
use serde_json::Value;

use crate::{demo::selvedge, page::start};

/// Sends bytes as they are and reads whatever comes back: status and body.
pub fn send(address: &str, request: &[u8]) -> (u16, String) {
    let answer = exchange(address, request);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// The cookie that opening an address sets.
pub fn cookie(address: &str, path: &str) -> String {
    let answer = exchange(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes());
    set_cookie(&answer)
}

/// The cookie that an answer sets, as a browser sends it back.
pub fn set_cookie(answer: &str) -> String {
    let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap_or_else(|| panic!("no cookie: {answer}"));
    line.split(';').next().unwrap().to_owned()
}

/// The same, whole.
pub fn exchange(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The other side may have answered and hung up before it was all sent.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: &str, path: &str) -> (u16, String) {
    send(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
}

fn post(address: &str, path: &str, signature: Option<&str>, body: &[u8]) -> (u16, String) {
    let signature = signature.map(|text| format!("X-Centra-Signature: {text}\r\n")).unwrap_or_default();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n{signature}Content-Length: {}\r\n\r\n",
        body.len()
    );
    send(address, &[head.as_bytes(), body].concat())
}

fn sign(secret: &str, at: i64, body: &[u8]) -> String {
    let mac = hmac_sha256(secret.as_bytes(), &[at.to_string().as_bytes(), b".", body].concat());
    let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a signature bears the time of the machine")]
fn only_what_is_proven_is_kept_and_nothing_stops_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = selvedge();
    command.args([
        "demo",
        "--no-warehouse",
        "--listen",
        "127.0.0.1:0",
        "--seed",
        "3",
        "--orders",
        "5",
        "--pace",
        "100",
        "--store",
    ]);
    command.arg(folder.path().join("demo.db"));
    let (_demo, page) =
        start(&mut command, |line| line.trim().strip_prefix("page")?.trim().strip_prefix("http://").map(str::to_owned));
    let (address, link) = page.split_once('/').unwrap();
    let secret = std::fs::read_to_string(folder.path().join("demo.world/shop-webhook-secret")).unwrap();
    let (secret, now) = (secret.trim(), jiff::Timestamp::now().as_second());
    let body = br#"payload={"events":[{"type":"order","action":"insert","date":"2026-01-01 00:00:00.000000","id":10001}]}"#;
    let door = "/webhooks/shop";

    let good = sign(secret, now, body);
    assert_eq!(post(address, door, Some(&good), body).0, 200);
    let (status, answer) = post(address, door, Some(&good), body);
    assert_eq!(status, 200, "said twice");
    assert!(answer.contains("duplicate"), "{answer}");

    let other = sign("another secret", now, body);
    let old = sign(secret, now - 86_400, body);
    let mut changed = body.to_vec();
    let last = changed.len() - 3;
    changed[last] = b'9';
    for (what, status, answer) in [
        ("unsigned", 401, post(address, door, None, body)),
        ("signed by another", 401, post(address, door, Some(&other), body)),
        ("a day old", 401, post(address, door, Some(&old), body)),
        ("changed under way", 401, post(address, door, Some(&good), &changed)),
        ("no signature at all", 401, post(address, door, Some("t=,v1="), body)),
        ("no event", 400, post(address, door, Some(&sign(secret, now, b"hello")), b"hello")),
        ("half an event", 400, post(address, door, Some(&sign(secret, now, &body[..60])), &body[..60])),
        ("not of this brand", 404, post(address, "/webhooks/nobody", Some(&good), body)),
        ("too large", 413, post(address, door, Some(&good), &vec![b'x'; 2 << 20])),
        ("wrong method", 405, get(address, door)),
        ("no HTTP", 400, send(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")),
    ] {
        assert_eq!(answer.0, status, "{what}: {}", answer.1);
        assert!(!answer.1.contains(secret), "{what}: the answer shows the secret");
    }
    // Promised and not sent: nothing is kept, and nobody else waits for it.
    let mut slow = TcpStream::connect(address).unwrap();
    slow.write_all(format!("POST {door} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 500\r\n\r\npayload=").as_bytes()).unwrap();

    assert_eq!(get(address, "/api/flows").0, 401, "a delivery opens nothing else");
    let cookie = cookie(address, &format!("/{link}"));
    let head = format!("GET /api/flows HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
    let (status, flows) = send(address, head.as_bytes());
    assert_eq!(status, 200, "it is still there");
    let flows: Value = serde_json::from_str(&flows).unwrap();
    assert!(flows[0]["balance"]["captured"].as_u64().unwrap() <= 5, "{flows}");
    assert_eq!(flows[0]["balance"]["balanced"], true);
}
