//! The built binary tells a collector what it did, and nothing that proves or names somebody.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::{
    demo::selvedge,
    page::start,
    webhooks::{cookie, send},
};

/// What one call to the collector was.
struct Told {
    head: String,
    body: Vec<u8>,
}

/// A collector that takes everything.
fn collector() -> (String, Arc<Mutex<Vec<Told>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let told: Arc<Mutex<Vec<Told>>> = Arc::default();
    let kept = Arc::clone(&told);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), kept) = (stream, Arc::clone(&kept)) else { continue };
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let mut piece = [0_u8; 8_192];
                loop {
                    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                    if let Some(end) = end {
                        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
                        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                        if bytes.len() >= end + 4 + length.unwrap_or(0) {
                            let rest = bytes.split_off(end + 4 + length.unwrap_or(0));
                            let body = bytes.split_off(end + 4);
                            kept.lock().unwrap().push(Told { head, body });
                            bytes = rest;
                            if stream
                                .write_all(
                                    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
                                )
                                .is_err()
                            {
                                return;
                            }
                            continue;
                        }
                    }
                    match stream.read(&mut piece) {
                        Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
                        _ => return,
                    }
                }
            });
        }
    });
    (address, told)
}

#[test]
fn a_collector_is_told_of_verbs_calls_and_requests_and_of_nobody() {
    let (collector, told) = collector();
    let mut command = selvedge();
    command.args(["demo", "--no-warehouse", "--listen", "127.0.0.1:0", "--seed", "3", "--orders", "10"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}")).env("OTEL_BSP_SCHEDULE_DELAY", "200");
    let (_demo, address) = start(&mut command, |line| {
        line.trim().strip_prefix("page")?.trim().strip_prefix("http://").map(|address| address.trim_end_matches('/').to_owned())
    });
    let (host, link) = address.split_once('/').unwrap();
    let cookie = cookie(host, &format!("/{link}/"));
    let request =
        format!("GET /orders?search=anna.andersson HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
    assert_eq!(send(host, request.as_bytes()).0, 200);

    // Protocol buffers keep texts as they are.
    let wanted =
        ["selvedge", "GET /orders", "decode", "gate", "deliver", "confirm", "call", "obligation", "purpose", "http.route"];
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let bytes: Vec<u8> = told.lock().unwrap().iter().flat_map(|one| one.body.clone()).collect();
        let has = |word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
        let missing: Vec<&str> = wanted.into_iter().filter(|word| !has(word)).collect();
        if missing.is_empty() {
            // What proves somebody, what was asked for, and who people are.
            let proof = cookie.split_once('=').unwrap().1;
            for word in [proof, link, "anna.andersson", "@example.com", "authorization"] {
                assert!(!has(word), "{word} left for the collector");
            }
            break;
        }
        assert!(Instant::now() < end, "the collector was not told of {missing:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    for one in told.lock().unwrap().iter() {
        assert!(one.head.starts_with("post /v1/traces "), "{}", one.head);
        assert!(one.head.contains("content-type: application/x-protobuf"), "{}", one.head);
    }
}

#[test]
fn an_address_that_is_none_is_named_before_anything_starts() {
    let output = selvedge()
        .args(["demo", "--headless", "--orders", "1"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "no address")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{said}");
}
