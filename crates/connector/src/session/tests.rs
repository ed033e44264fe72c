//! Against a server that misbehaves byte by byte.

use std::sync::atomic::AtomicUsize;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::clock::ManualClock;

/// Serves each connection with one scripted answer, reading the request first; counts calls under way.
struct Server {
    url: String,
    seen: Arc<std::sync::Mutex<Vec<String>>>,
    peak: Arc<AtomicUsize>,
}

async fn serve(answers: impl Fn(usize) -> String + Send + Sync + 'static, hold: Duration) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (seen, peak, now) =
        (Arc::<std::sync::Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let server = Server { url, seen: seen.clone(), peak: peak.clone() };
    let answers = Arc::new(answers);
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answers, seen, peak, now, at) = (answers.clone(), seen.clone(), peak.clone(), now.clone(), number);
            number += 1;
            tokio::spawn(async move {
                peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let mut bytes = vec![0; 4096];
                let read = stream.read(&mut bytes).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
                seen.lock().unwrap().push(request.lines().next().unwrap_or_default().to_owned());
                tokio::time::sleep(hold).await;
                let _ = stream.write_all(answers(at).as_bytes()).await;
                now.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    server
}

fn plain(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn session(change: impl FnOnce(&mut SessionConfig)) -> Arc<Session> {
    let mut config = SessionConfig {
        timeout: Duration::from_secs(2),
        throttle_pause_first: Duration::from_millis(10),
        reach: crate::Reach::ANYWHERE,
        ..SessionConfig::named("test")
    };
    change(&mut config);
    Session::new(config, Arc::new(ManualClock::at("2026-01-15T12:00:00Z".parse().unwrap())))
}

fn call(url: &str, path: &str, effect: Effect, priority: Priority) -> Call {
    Call {
        what: format!("call {path}"),
        method: "POST",
        url: format!("{url}/{path}"),
        headers: vec![("authorization", HeaderText::Hidden(Secret::new("tok-secret")))],
        body: Bytes::from_static(b"{}"),
        effect,
        priority,
        costs: vec![("requests", 1)],
    }
}

#[tokio::test]
async fn what_was_last_answered_and_what_last_failed_is_told() {
    let answer = |at: usize| match at {
        0 => plain("200 OK", "", "{}"),
        1 => plain("503 Service Unavailable", "", ""),
        _ => plain("403 Forbidden", "", "hidden-text"),
    };
    let (server, session) = (serve(answer, Duration::ZERO).await, session(|_| {}));
    assert_eq!((session.stats().answered_at, session.stats().failed_at), (None, None));
    let mut stats = Vec::new();
    for _ in 0..3 {
        let _ = session.send(call(&server.url, "x", Effect::Read, Priority::Orders)).await;
        stats.push(session.stats());
    }
    let told: Vec<_> = stats.iter().map(|one| (one.answered, one.failed.as_deref())).collect();
    let failed = Some("call x: answered 503");
    assert_eq!(told, [(Some(200), None), (Some(200), failed), (Some(403), failed)]);
    assert!(stats[2].answered_at.is_some() && stats[2].failed_at.is_some());
}

#[tokio::test]
async fn a_lost_answer_means_something_else_for_a_write() {
    for script in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ] {
        let server = serve(move |_| script.to_owned(), Duration::ZERO).await;
        let session = session(|_| {});
        let write = session.send(call(&server.url, "a", Effect::Write, Priority::Orders)).await;
        assert!(matches!(write, Err(Fault::Unanswered { .. })), "{script:?}: {write:?}");
        let read = session.send(call(&server.url, "a", Effect::Read, Priority::Orders)).await;
        assert!(matches!(read, Err(Fault::Transient { .. })), "{script:?}: {read:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_noted_for_whoever_watches_without_what_opens_a_door() {
    let refusal = r#"{"error":"no item 15056","email":"ada@example.com"}"#;
    let server = serve(move |_| plain("400 Bad Request", "set-cookie: s3ss\r\n", refusal), Duration::ZERO).await;
    let session = session(|_| {});
    let order = call(&server.url, "order?key=tok-secret", Effect::Write, Priority::Orders);
    let (answer, noted) = crate::watched(session.send(Call { what: "create order so_1042".into(), ..order })).await;
    assert_eq!(answer.unwrap().status, 400);
    let told = noted.unwrap().told();
    assert_eq!((told.status, told.url.as_str()), (Some(400), format!("{}/order", server.url).as_str()));
    let kept = format!("{told:?}");
    assert!(kept.contains("no item 15056"), "{kept}");
    for gone in ["tok-secret", "s3ss", "ada@"] {
        assert!(!kept.contains(gone), "{gone}: {kept}");
    }
    let login = crate::watched(session.send(call(&server.url, "token", Effect::Write, Priority::Control))).await;
    assert!(login.1.is_none(), "credentials are nobody's evidence");
}

#[tokio::test]
async fn a_refused_connection_is_nothing_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let write = session(|_| {}).send(call(&url, "a", Effect::Write, Priority::Orders)).await;
    assert!(matches!(write, Err(Fault::Transient { .. })), "{write:?}");
}

#[tokio::test]
async fn a_body_past_the_bound_is_not_read() {
    let server = serve(|_| plain("200 OK", "", &"x".repeat(5_000)), Duration::ZERO).await;
    let session = session(|config| config.body_bytes_max = 1_000);
    let answer = session.send(call(&server.url, "a", Effect::Read, Priority::Orders)).await;
    assert!(matches!(answer, Err(Fault::Unexpected { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_429_pauses_everyone_and_says_how_long() {
    let server = serve(
        |at| {
            if at == 0 {
                plain("429 Too Many Requests", "Retry-After: Thu, 15 Jan 2026 12:00:01 GMT\r\n", "")
            } else {
                plain("200 OK", "", "fine")
            }
        },
        Duration::ZERO,
    )
    .await;
    let session = session(|_| {});
    let first = session.send(call(&server.url, "a", Effect::Write, Priority::Orders)).await;
    assert!(matches!(first, Err(Fault::Throttled { wait: Some(wait), .. }) if wait == Duration::from_secs(1)), "{first:?}");
    assert!(session.stats().paused);
    let started = tokio::time::Instant::now();
    let second = session.send(call(&server.url, "b", Effect::Read, Priority::Orders)).await.unwrap();
    assert_eq!(second.body, "fine");
    assert!(started.elapsed() >= Duration::from_millis(900), "it did not wait: {:?}", started.elapsed());
    assert_eq!(session.stats().throttled, 1);
}

#[tokio::test]
async fn a_long_pause_comes_back_at_once_as_throttled() {
    let server = serve(|_| plain("429 Too Many Requests", "Retry-After: 120\r\n", ""), Duration::ZERO).await;
    let session = session(|_| {});
    for _ in 0..2 {
        let answer = session.send(call(&server.url, "a", Effect::Write, Priority::Orders)).await;
        assert!(matches!(answer, Err(Fault::Throttled { wait: Some(_), .. })), "{answer:?}");
    }
    assert_eq!(server.seen.lock().unwrap().len(), 1, "the second call left although the platform asked for a pause");
}

#[tokio::test]
async fn the_breaker_opens_and_one_call_tries() {
    let server =
        serve(|at| if at < 3 { plain("503 Service Unavailable", "", "") } else { plain("200 OK", "", "") }, Duration::ZERO).await;
    let session = session(|config| {
        config.breaker_failures = 3;
        config.breaker_pause = Duration::from_millis(80);
    });
    for _ in 0..3 {
        assert_eq!(session.send(call(&server.url, "a", Effect::Read, Priority::Orders)).await.unwrap().status, 503);
    }
    let shut = session.send(call(&server.url, "a", Effect::Write, Priority::Orders)).await;
    assert!(matches!(shut, Err(Fault::Transient { .. })), "{shut:?}");
    assert!(session.stats().breaker_open);
    let recovered = async {
        while session.send(call(&server.url, "a", Effect::Read, Priority::Orders)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), recovered).await.unwrap();
    assert!(!session.stats().breaker_open);
    assert_eq!(server.seen.lock().unwrap().len(), 4, "calls left through the open breaker");
}

#[tokio::test]
async fn slots_are_never_exceeded_and_the_most_urgent_goes_first() {
    let server = serve(|_| plain("200 OK", "", ""), Duration::from_millis(20)).await;
    let session = session(|config| config.concurrency_max = 1);
    let mut calls = tokio::task::JoinSet::new();
    let send = |calls: &mut tokio::task::JoinSet<()>, path: &'static str, priority| {
        let (session, url) = (session.clone(), server.url.clone());
        calls.spawn(async move { drop(session.send(call(&url, path, Effect::Read, priority)).await.unwrap()) });
    };
    send(&mut calls, "first", Priority::Sweeps);
    while session.stats().under_way == 0 {
        tokio::task::yield_now().await;
    }
    for (path, priority) in
        [("sweep", Priority::Sweeps), ("stock", Priority::Stock), ("order", Priority::Orders), ("token", Priority::Control)]
    {
        send(&mut calls, path, priority);
    }
    while session.stats().waiting < 4 {
        tokio::task::yield_now().await;
    }
    while calls.join_next().await.is_some() {}
    let seen: Vec<String> = server.seen.lock().unwrap().iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(seen, ["/first", "/token", "/order", "/stock", "/sweep"]);
    assert_eq!(server.peak.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_budget_is_kept_and_a_later_cost_counts() {
    let server = serve(|_| plain("200 OK", "", ""), Duration::ZERO).await;
    let window = BudgetWindow { name: "requests", quota: 5, per: Duration::from_secs(2) };
    let session = session(|config| config.budget = Budget { windows: vec![window] });
    let started = tokio::time::Instant::now();
    // Nine tenths of 5 are there at once, the others come at 2.25 a second.
    for _ in 0..6 {
        session.send(call(&server.url, "a", Effect::Read, Priority::Orders)).await.unwrap();
    }
    assert!(started.elapsed() >= Duration::from_millis(600), "{:?}", started.elapsed());
    session.charge("requests", 2);
    let before = tokio::time::Instant::now();
    session.send(call(&server.url, "a", Effect::Read, Priority::Orders)).await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(1_000), "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_waiter_that_gives_up_leaves_the_line() {
    let server = serve(|_| plain("200 OK", "", ""), Duration::from_millis(50)).await;
    let session = session(|config| config.concurrency_max = 1);
    let busy = tokio::spawn({
        let (session, url) = (session.clone(), server.url.clone());
        async move { session.send(call(&url, "a", Effect::Read, Priority::Orders)).await }
    });
    while session.stats().under_way == 0 {
        tokio::task::yield_now().await;
    }
    let gave_up =
        tokio::time::timeout(Duration::from_millis(5), session.send(call(&server.url, "b", Effect::Read, Priority::Orders)))
            .await;
    assert!(gave_up.is_err());
    assert_eq!(session.stats().waiting, 0);
    busy.await.unwrap().unwrap();
    session.send(call(&server.url, "c", Effect::Read, Priority::Orders)).await.unwrap();
}

#[tokio::test]
async fn an_address_that_a_client_would_mend_is_refused_before_it_costs_anything() {
    let session = session(|config| {
        config.budget = Budget { windows: vec![BudgetWindow { name: "requests", quota: 10, per: Duration::from_secs(60) }] }
    });
    for url in ["http://127.0.0.1:1/a b", "http://127.0.0.1:1/\u{e4}", "127.0.0.1/a", "/a"] {
        let answer =
            session.send(Call { url: url.to_owned(), ..call("http://127.0.0.1:1", "", Effect::Write, Priority::Orders) }).await;
        assert!(matches!(answer, Err(Fault::Unexpected { .. })), "{url}: {answer:?}");
    }
    assert_eq!(session.stats().windows[0].3, 0);
}

#[tokio::test]
async fn a_429_in_a_row_is_waited_out_longer_even_if_it_says_zero() {
    // As with a platform whose clock is behind ours: its dates have always gone by.
    let server = serve(|_| plain("429 Too Many Requests", "Retry-After: 0\r\n", ""), Duration::ZERO).await;
    let session = session(|_| {});
    let mut waits = Vec::new();
    for _ in 0..4 {
        match session.send(call(&server.url, "a", Effect::Write, Priority::Orders)).await {
            Err(Fault::Throttled { wait: Some(wait), .. }) => waits.push(wait.as_millis()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waits[0], 0);
    assert!(waits[1] >= 5 && waits[2] >= 10 && waits[3] >= 20, "{waits:?}");
}

/// Everything that is logged while it lives, by anybody, at every level.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_in_a_log_a_debug_print_or_a_fault() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let server = serve(
        |at| match at {
            0 => plain("200 OK", "", "fine"),
            1 => plain("500 Internal Server Error", "", ""),
            2 => plain("429 Too Many Requests", "Retry-After: 0\r\n", ""),
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_owned(),
        },
        Duration::ZERO,
    )
    .await;
    let session = session(|_| {});
    let mut shown = format!("{session:?}");
    for url in [server.url.as_str(), &server.url, &server.url, &server.url, "http://127.0.0.1:1", "http://a b"] {
        let call = call(url, "a?token=query-secret", Effect::Write, Priority::Orders);
        let call = Call { what: "create order so_1042".to_owned(), ..call };
        shown += &format!("{call:?}");
        if let Err(fault) = session.send(call).await {
            shown += &format!("{fault} {fault:?}");
            let mut cause = std::error::Error::source(&fault);
            while let Some(next) = cause {
                shown += &format!("{next} {next:?}");
                cause = next.source();
            }
        }
    }
    drop(guard);
    shown += &String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(shown.contains("create order so_1042") && shown.contains("status=500"), "the log has caught nothing: {shown}");
    assert!(!shown.contains("tok-secret"), "a header's secret is shown");
    assert!(!shown.contains("query-secret"), "an address's query is shown");
}

#[tokio::test]
async fn where_slots_are_counted_one_429_narrows_and_the_next_pauses() {
    let server = serve(|_| plain("429 Too Many Requests", "", ""), Duration::ZERO).await;
    let session = session(|config| config.limit = Limit::Concurrency);
    let first = session.send(call(&server.url, "a", Effect::Write, Priority::Orders)).await;
    assert!(matches!(first, Err(Fault::Throttled { wait: Some(wait), .. }) if wait >= Duration::from_millis(5)), "{first:?}");
    assert!(!session.stats().paused, "others may find a slot meanwhile");
    let second = session.send(call(&server.url, "b", Effect::Write, Priority::Orders)).await;
    assert!(matches!(second, Err(Fault::Throttled { .. })), "{second:?}");
    assert!(session.stats().paused);
    assert_eq!(session.rests(), None, "a short pause is waited out");
}

#[tokio::test]
async fn a_moment_is_meant_by_the_clock_of_the_platform() {
    // Its clock is ten minutes ahead of ours.
    let headers = "Date: Thu, 15 Jan 2026 12:10:00 GMT\r\nRetry-After: Thu, 15 Jan 2026 12:10:03 GMT\r\n";
    let server = serve(move |_| plain("429 Too Many Requests", headers, ""), Duration::ZERO).await;
    let session = session(|_| {});
    let fault = session.send(call(&server.url, "a", Effect::Read, Priority::Orders)).await;
    assert!(matches!(fault, Err(Fault::Throttled { wait: Some(wait), .. }) if wait == Duration::from_secs(3)), "{fault:?}");
    assert!(session.rests().is_some(), "three seconds are longer than a call waits");
}

#[tokio::test]
async fn a_session_that_only_reads_lets_no_write_out() {
    let server = serve(|_| plain("200 OK", "", "fine"), Duration::ZERO).await;
    let session = session(|config| config.read_only = true);
    let write = session.send(call(&server.url, "a", Effect::Write, Priority::Orders)).await.unwrap_err();
    assert!(write.is_read_only() && write.to_string().contains("test"), "{write}");
    assert_eq!(session.stats().calls, []);
    session.send(call(&server.url, "b", Effect::Read, Priority::Orders)).await.unwrap();
    assert_eq!(server.seen.lock().unwrap().as_slice(), ["POST /b HTTP/1.1"]);
}

#[tokio::test]
async fn nothing_leaves_for_this_machine_unless_the_config_says_so() {
    let server = serve(|_| plain("200 OK", "", "{}"), Duration::ZERO).await;
    let port = server.url.rsplit_once(':').unwrap().1.to_owned();
    let refused = |fault: Result<Answer, Fault>| match fault.unwrap_err() {
        Fault::Refused { problems, .. } => problems[0].rule.clone(),
        other => panic!("{other}"),
    };
    let public = session(|config| config.reach = crate::Reach::PUBLIC);
    let http = session(|config| config.reach = crate::Reach { allow_http: true, allow_private: false });
    for session in [&public, &http] {
        // By its address, and by a name that stands for it: that one is told when the connection is made.
        for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "2130706433"] {
            let fault = session.send(call(&format!("http://{host}:{port}"), "a", Effect::Write, Priority::Orders)).await;
            assert_eq!(refused(fault), "connection.reach", "{host}");
            assert_eq!(session.fares(), Fares::Untried, "what did not leave was not answered");
        }
    }
    let clear = session(|config| config.reach = crate::Reach { allow_private: true, allow_http: false });
    assert_eq!(refused(clear.send(call("http://example.com", "a", Effect::Read, Priority::Orders)).await), "connection.reach");
    assert_eq!(clear.send(call(&server.url, "a", Effect::Read, Priority::Orders)).await.unwrap().status, 200);
    assert_eq!(server.seen.lock().unwrap().len(), 1, "only what was allowed has arrived");
}
