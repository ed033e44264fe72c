//! Attack: sending more than fits, or so slowly that others wait.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use selvedge_model::people::Role;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::Visitor;
use crate::{
    pages::sample::{ADMIN, empty, signed_in},
    serve::{App, router, serve},
};

#[tokio::test]
async fn what_is_too_large_is_refused_before_anybody_reads_it() {
    let (app, _) = empty().await;
    let admin = Visitor::signed_in(&app, ADMIN, &[Role::Admin]).await;
    let large = "x".repeat(70_000);
    for path in [
        "/login",
        "/login/code",
        "/setup/x",
        "/invitation/x",
        "/mappings",
        "/people",
        "/account/tokens",
        "/approvals/apr_1/reject",
    ] {
        let got = admin.post(&app, path, &[("email", &large), ("reason", &large)]).await;
        assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
    let got = admin.send(&app, Method::PUT, "/api/mappings", "application/json", format!("\"{large}\"")).await;
    assert_eq!((got.status, got.header("content-type")), (StatusCode::PAYLOAD_TOO_LARGE, "application/problem+json"));
    // A stranger's is not even read.
    let got = Visitor::stranger().post(&app, "/mappings", &[("key", &large)]).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    // Within the bound, and too long for what it is.
    let long = "x".repeat(20_000);
    for (path, field) in [("/login", "email"), ("/login", "password"), ("/login", "to"), ("/login/code", "code")] {
        let got = Visitor::stranger().post(&app, path, &[(field, &long)]).await;
        assert!(got.status.as_u16() < 500, "{path} {field}: {}", got.status);
    }
    for path in
        [format!("/setup/{long}"), format!("/orders/{long}"), format!("/orders?search={long}"), format!("/demo/{long}/{long}")]
    {
        assert!(admin.get(&app, &path).await.status.as_u16() < 500);
    }
    let got = admin.post(&app, "/people", &[("name", &long), ("email", "a@b.c"), ("viewer", "on")]).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    let many = (0..2_000).map(|number| format!("f{number}=1")).collect::<Vec<_>>().join("&");
    let got = admin.send(&app, Method::POST, "/people", "application/x-www-form-urlencoded", many).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "many fields");
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let got = admin.send(&app, Method::PUT, "/api/mappings", "application/json", deep).await;
    assert!(got.status.is_client_error(), "nested deep: {}", got.status);
}

async fn served(app: Arc<App>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router(app), std::future::pending()));
    address
}

/// Sends a piece and never the rest; what comes back until the other side hangs up. The clock of the runtime stands still while
/// anything moves and jumps when nothing does, so no second is really waited.
async fn half(address: std::net::SocketAddr, piece: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(piece.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn whoever_is_slow_is_left() {
    let (app, _) = empty().await;
    let cookie = signed_in(&app, ADMIN, &[Role::Admin]).await;
    let address = served(app).await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let head = |line: &str, more: &str| format!("{line} HTTP/1.1\r\nHost: {address}\r\n{more}");
    for (what, piece) in [
        ("a head that does not end", head("GET /login", "X-A: b\r\n")),
        ("nothing at all", String::new()),
        ("half a line", "GET /log".to_owned()),
    ] {
        let answer = half(address, &piece).await;
        assert!(!answer.contains("200 OK"), "{what}: {answer}");
    }
    for path in ["/login", "/mappings", "/api/exceptions/exc_1/dismiss"] {
        let body = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\nemail=a";
        let answer =
            half(address, &head(&format!("POST {path}"), &format!("Cookie: {cookie}\r\nConnection: close\r\n{body}"))).await;
        assert!(answer.contains("408"), "{path}: {answer}");
    }
    let waited = began.elapsed().as_secs();
    assert!((30..=120).contains(&waited), "six of them took {waited} seconds");
    // Connections that are let go make room; the others were never kept waiting for them.
    let answer = half(address, &head("GET /healthz", "Connection: close\r\n\r\n")).await;
    assert!(answer.ends_with("alive\n"), "{answer}");
}
