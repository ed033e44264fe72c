//! The floor: durable inserts in group commits, and POSTs of orders, and nothing else.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use anyhow::Context;
use futures_util::StreamExt;
use selvedge_sim::{
    netsuite,
    world::{Source, World, WorldConfig},
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

type Job = (String, oneshot::Sender<()>);

/// Orders per second.
pub async fn run(orders: u64, latency: Duration, parallel: usize) -> anyhow::Result<f64> {
    let world = World::start(WorldConfig {
        source: Source::Generated { orders: 1 },
        latency,
        netsuite: netsuite::Options { concurrency: parallel * 2 + 2, ..netsuite::Options::default() },
        ..WorldConfig::default()
    })
    .await?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().pool_max_idle_per_host(parallel).build()?;
    let token = Arc::new(token(&client, &world).await?);
    let folder = tempfile::tempdir()?;
    let store = writer(folder.path().join("floor.db"))?;
    let body = Arc::new(body(&client, &world, &token).await?);
    let url = format!("{}/services/rest/record/v1/salesOrder", world.netsuite_url);
    let started = Instant::now();
    let mut calls = futures_util::stream::iter(0..orders)
        .map(|number| {
            let (client, token, store, url, body) = (client.clone(), token.clone(), store.clone(), url.clone(), body.clone());
            async move {
                let mut body = (*body).clone();
                body["externalId"] = json!(format!("so_{number}"));
                let text = body.to_string();
                let (done, durable) = oneshot::channel();
                store.send((text.clone(), done)).ok().context("the writer is gone")?;
                durable.await?;
                let answer = client
                    .post(url)
                    .bearer_auth(token.as_str())
                    .header("content-type", "application/json")
                    .body(text)
                    .send()
                    .await?;
                anyhow::ensure!(answer.status().is_success(), "the floor's order was refused: {}", answer.text().await?);
                Ok::<_, anyhow::Error>(())
            }
        })
        .buffer_unordered(parallel);
    while let Some(done) = calls.next().await {
        done?;
    }
    let rate = orders as f64 / started.elapsed().as_secs_f64();
    drop(calls);
    world.stop().await;
    Ok(rate)
}

/// One thread, one connection, one sync for whatever is waiting: what the product does, without the product.
fn writer(path: std::path::PathBuf) -> anyhow::Result<mpsc::Sender<Job>> {
    let connection = rusqlite::Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, body TEXT NOT NULL)", [])?;
    let (send, receive) = mpsc::channel::<Job>();
    std::thread::spawn(move || -> rusqlite::Result<()> {
        while let Ok(first) = receive.recv() {
            let mut group = vec![first];
            group.extend(receive.try_iter().take(511));
            connection.execute("BEGIN IMMEDIATE", [])?;
            for (body, _) in &group {
                connection.prepare_cached("INSERT INTO orders (body) VALUES (?1)")?.execute([body])?;
            }
            connection.execute("COMMIT", [])?;
            for (_, done) in group {
                // A caller who is gone wants no answer.
                let _ = done.send(());
            }
        }
        Ok(())
    });
    Ok(send)
}

async fn token(client: &reqwest::Client, world: &World) -> anyhow::Result<String> {
    let url = format!("{}/services/rest/auth/oauth2/v1/token", world.netsuite_url);
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({ "iss": world.netsuite.client_id, "scope": ["rest_webservices"], "aud": url, "iat": now, "exp": now + 600, "jti": "floor" });
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some(world.netsuite.certificate_id.clone());
    let key = jsonwebtoken::EncodingKey::from_ec_pem(world.netsuite.private_key_pem.as_bytes())?;
    let assertion = jsonwebtoken::encode(&header, &claims, &key)?;
    let form = format!(
        "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
    );
    let answer =
        client.post(url).header("content-type", "application/x-www-form-urlencoded").body(form).send().await?.text().await?;
    let answer: Value = serde_json::from_str(&answer)?;
    Ok(answer["access_token"].as_str().context("no token")?.to_owned())
}

/// An order of three lines that the target takes.
async fn body(client: &reqwest::Client, world: &World, token: &str) -> anyhow::Result<Value> {
    let ids = netsuite::seed_ids();
    let (subsidiary, _, _, currency) = ids.subsidiaries.get(1).context("a subsidiary")?;
    let currency_id = &ids.currencies.iter().find(|(_, code)| code == currency).context("its currency")?.0;
    let query = json!({ "q": "SELECT id FROM item WHERE id > ? ORDER BY id", "params": ["1000"] }).to_string();
    let answer = client
        .post(format!("{}/services/rest/query/v1/suiteql?limit=3&offset=0", world.netsuite_url))
        .bearer_auth(token)
        .header("prefer", "transient")
        .header("content-type", "application/json")
        .body(query)
        .send()
        .await?
        .text()
        .await?;
    let answer: Value = serde_json::from_str(&answer)?;
    let items: Vec<String> =
        answer["items"].as_array().context("items")?.iter().filter_map(|i| i["id"].as_str().map(str::to_owned)).collect();
    let lines: Vec<Value> = items
        .iter()
        .map(|id| json!({ "item": { "id": id }, "quantity": 2, "price": { "id": "-1" }, "rate": 79.60, "amount": 159.20 }))
        .collect();
    Ok(json!({
        "entity": { "id": netsuite::guest_customer_id(subsidiary, currency).context("a guest")? },
        "subsidiary": { "id": subsidiary },
        "currency": { "id": currency_id },
        "tranDate": "2026-02-03",
        "orderStatus": "B",
        "item": { "items": lines },
    }))
}
