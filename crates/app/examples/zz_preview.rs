#![allow(dead_code, unused, missing_docs)]
#[path = "../src/serve.rs"] mod serve;
#[path = "../src/webhooks.rs"] mod webhooks;
#[path = "../src/api/mod.rs"] mod api;
#[path = "../src/pages/mod.rs"] mod pages;
#[path = "../src/view.rs"] mod view;
#[path = "../src/pages/sample.rs"] mod sample;
use sample::*;
use std::time::Duration;
#[tokio::main]
async fn main() {
    let (app, clock) = empty().await;
    let names = ["Åsa Lindqvist", "Bo Ek", "Céline Dupont", "Dieter Roth", "Ewa Nowak", "Freja Holm"];
    let t0 = start() - Duration::from_secs(3000);
    if std::env::args().nth(1).is_none() {
    for n in 0..240u32 {
        let at = t0 + Duration::from_secs(u64::from(n) * 12 + u64::from(n % 7) * 3);
        let fate = if n % 31 == 5 { Fate::Unmapped } else if n > 235 { Fate::Captured } else { Fate::Confirmed };
        place(&app, order(&format!("SE-{}", 1000 + n), names[n as usize % 6], 1 + n % 3), at, fate).await;
        if n % 60 == 0 && fate == Fate::Confirmed {
            place(&app, order(&format!("SE-{}", 1000 + n), names[n as usize % 6], 2 + n % 3), at + Duration::from_secs(5), fate).await;
        }
    }
    app.actions("anna").map(&"books".into(), "shipping_item", "market=1,method=express", Some("417")).await.unwrap();
    app.store.write(move |tx| { let p = selvedge_model::Problem::new("connection.credentials","connections.books","books refuses our credentials or permissions: invalid_grant","Renew the credentials or grant the permission, then see that it is well: selvedge check. Everything that waits goes on by itself.").cause("books"); tx.raise_standing(&brand(), &"".into(), &p, start()).map(|_|()) }).await.unwrap();
    }
    let app2 = app.clone();
    tokio::spawn(async move { for n in 0..100000u32 { tokio::time::sleep(Duration::from_secs(3)).await; clock.advance(Duration::from_secs(3)); if std::env::args().nth(1).is_none() && n > 20 { place(&app2, order(&format!("SE-{}", 2000 + n), names[n as usize % 6], 1), selvedge_connector::Clock::now(clock.as_ref()) - Duration::from_millis(1300), if n % 9 == 3 {Fate::Unmapped} else {Fate::Confirmed}).await; } } });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8099").await.unwrap();
    serve::serve(listener, serve::router(app), async { tokio::signal::ctrl_c().await.unwrap() }).await.unwrap();
}
