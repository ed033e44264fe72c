//! A world: both stand-ins on the loopback, stocked with the same data, and a way to look into them.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

pub use crate::centra::Options as CentraOptions;
pub use crate::centra::hooks::WebhookTarget;
pub use crate::centra::limits::Plan;
pub use crate::data::Source;
pub use crate::mischief::{Profile, RetryAfterForm};
pub use crate::netsuite::Access as NetSuiteAccess;

use crate::centra::{Centra, Progress};
use crate::data::{Catalogue, Reference};
use crate::mischief::{Mischief, hash_text, mix};
use crate::netsuite::{self, NetSuite};
use crate::wire::{self, Server};

/// What a world is like.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Decides data, faults and edits.
    pub seed: u64,
    /// Where the orders come from.
    pub source: Source,
    /// How much goes wrong.
    pub faults: Profile,
    /// Where the world keeps what it must know after a restart; `None` keeps nothing.
    pub state_dir: Option<PathBuf>,
    /// Orders placed per second; `None` places all at once. Placing begins when somebody listens for
    /// orders, or at once when `events` is off.
    pub pace: Option<f64>,
    /// Where webhooks go at first; it may be set later by `POST /webhook` of the admin server.
    pub webhook: Option<WebhookTarget>,
    /// Added to every answer of both systems.
    pub latency: Duration,
    /// Centra's rate limits.
    pub plan: Plan,
    /// The form of `Retry-After` on the 429s of Centra's rate limits. Centra sends a timestamp.
    pub centra_retry_after: RetryAfterForm,
    /// Whether Centra's events are turned on.
    pub events: bool,
    /// The time zone of the Centra instance; by default London for a folder's data, else Stockholm.
    pub zone: Option<String>,
    /// Permissions that Centra's token does not have.
    pub withheld_permissions: Vec<String>,
    /// How the NetSuite account is set up.
    pub netsuite: netsuite::Options,
}

impl Default for WorldConfig {
    fn default() -> WorldConfig {
        WorldConfig {
            seed: 1,
            source: Source::Generated { orders: 100 },
            faults: Profile::None,
            state_dir: None,
            pace: None,
            webhook: None,
            latency: Duration::ZERO,
            plan: Plan::default(),
            centra_retry_after: RetryAfterForm::EpochSeconds,
            events: true,
            zone: None,
            withheld_permissions: Vec::new(),
            netsuite: netsuite::Options::default(),
        }
    }
}

/// All that somebody needs to connect to a world.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Access {
    /// Base address of Centra; the API is `/graphql` below it.
    pub centra_url: String,
    /// Centra's API token.
    pub centra_token: String,
    /// A token that Centra refuses because it expired.
    pub centra_expired_token: String,
    /// The secret of the webhook endpoint, for whoever sets one without choosing a secret.
    pub centra_webhook_secret: String,
    /// Base address of NetSuite.
    pub netsuite_url: String,
    /// NetSuite's credentials.
    pub netsuite: NetSuiteAccess,
    /// Base address of the admin server.
    pub admin_url: String,
    /// Lists to make a mapping from.
    pub reference: Reference,
}

/// What `GET /state` of the admin server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorldState {
    /// Centra's progress.
    #[serde(flatten)]
    pub centra: Progress,
    /// Whether all orders are placed and all planned edits and releases are made.
    pub done: bool,
    /// Documents in NetSuite.
    pub netsuite_documents: u64,
    /// Requests to each system.
    pub calls: Calls,
    /// Requests that Centra's own rate limits refused.
    pub centra_throttled: u64,
}

/// Requests to each system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// To Centra.
    pub centra: u64,
    /// To NetSuite.
    pub netsuite: u64,
}

/// A running world. Dropping it leaves its tasks to the runtime; call [`World::stop`].
pub struct World {
    access: Access,
    centra: Centra,
    netsuite: Arc<NetSuite>,
    servers: Vec<Server>,
    living: JoinHandle<()>,
}

impl Deref for World {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

/// The ports of the last run, so that addresses in a configuration stay true over a restart.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Ports {
    centra: u16,
    netsuite: u16,
    admin: u16,
}

fn read_ports(folder: Option<&Path>) -> Ports {
    folder
        .and_then(|folder| std::fs::read(folder.join("ports.json")).ok())
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

async fn serve(router: Router, port: u16) -> std::io::Result<Server> {
    if port != 0
        && let Ok(server) = wire::serve_on(router.clone(), port).await
    {
        return Ok(server);
    }
    wire::serve(router).await
}

fn port_of(server: &Server) -> u16 {
    server
        .url()
        .strip_prefix("http://")
        .and_then(|address| address.parse::<SocketAddr>().ok())
        .map_or(0, |address| address.port())
}

#[derive(Clone)]
struct Admin {
    centra: Centra,
    netsuite: Arc<NetSuite>,
    webhook_secret: String,
}

impl World {
    /// Starts a world on free ports of 127.0.0.1 (the ones of the last run, where they are kept and free).
    /// Errors when the data cannot be read, or the state belongs to another world.
    pub async fn start(config: WorldConfig) -> anyhow::Result<World> {
        let catalogue = Arc::new(Catalogue::open(config.seed, &config.source)?);
        let zone = config.zone.clone().unwrap_or_else(|| {
            match config.source {
                Source::Generated { .. } | Source::Flash { .. } => "Europe/Stockholm",
                Source::Folder { .. } => "Europe/London",
            }
            .to_owned()
        });
        let identity = match &config.source {
            Source::Generated { orders } => {
                format!("seed {} with {orders} generated orders", config.seed)
            }
            Source::Flash { skus, orders } => {
                format!("seed {} with {orders} orders of a flash sale of {skus} items", config.seed)
            }
            Source::Folder { .. } => format!("seed {} with {} orders of a folder", config.seed, catalogue.orders()),
        };
        let folder = config.state_dir.as_deref();
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
        }
        let mischief = |system| Mischief::new(config.seed, config.faults, system).latency(config.latency);
        let centra = Centra::open(
            config.seed,
            &identity,
            Arc::clone(&catalogue),
            mischief("centra"),
            CentraOptions {
                plan: config.plan,
                retry_after: config.centra_retry_after,
                events: config.events,
                zone: zone.clone(),
                pace: config.pace,
                webhook: config.webhook.clone(),
                withheld_permissions: config.withheld_permissions.clone(),
                ..CentraOptions::default()
            },
            folder,
        )?;
        let netsuite = netsuite::build(
            config.netsuite.clone(),
            catalogue.item_seeds(),
            // NetSuite is not known to send Retry-After; in the worst of worlds something in between does.
            Arc::new(mischief("netsuite").run(centra.starts()).retry_after(match config.faults {
                Profile::Hostile => {
                    [RetryAfterForm::None, RetryAfterForm::None, RetryAfterForm::None, RetryAfterForm::Seconds(1)]
                }
                Profile::None | Profile::Rough => [RetryAfterForm::None; 4],
            })),
            folder.map(|folder| folder.join("netsuite.jsonl")),
        )
        .await
        .context("start the simulated NetSuite")?;
        let netsuite_access = netsuite.access.clone();
        let netsuite_router = netsuite.router.clone();
        let netsuite = Arc::new(netsuite);

        let webhook_secret = format!("whs_{:016x}", mix(config.seed ^ hash_text("webhook")));
        let admin = Admin { centra: centra.clone(), netsuite: Arc::clone(&netsuite), webhook_secret: webhook_secret.clone() };
        let ports = read_ports(folder);
        let centra_server = serve(centra.router(), ports.centra).await?;
        let netsuite_server = serve(netsuite_router, ports.netsuite).await?;
        let admin_server = serve(admin_router(admin), ports.admin).await?;
        if let Some(folder) = folder {
            let ports =
                Ports { centra: port_of(&centra_server), netsuite: port_of(&netsuite_server), admin: port_of(&admin_server) };
            std::fs::write(folder.join("ports.json"), serde_json::to_vec(&ports)?)?;
        }
        let access = Access {
            centra_url: centra_server.url(),
            centra_token: centra.token().to_owned(),
            centra_expired_token: centra.expired_token().unwrap_or_default().to_owned(),
            centra_webhook_secret: webhook_secret,
            netsuite_url: netsuite_server.url(),
            netsuite: netsuite_access,
            admin_url: admin_server.url(),
            reference: catalogue.reference(&zone),
        };
        let living = tokio::spawn({
            let centra = centra.clone();
            async move { centra.live().await }
        });
        Ok(World { access, centra, netsuite, servers: vec![centra_server, netsuite_server, admin_server], living })
    }

    /// How to connect to it.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Sets where Centra's webhooks go; `None` turns them off.
    pub fn aim_webhooks(&self, target: Option<WebhookTarget>) {
        self.centra.aim_webhooks(target);
    }

    /// How far the world is.
    pub fn state(&self) -> WorldState {
        state_of(&self.centra, &self.netsuite)
    }

    /// The documents in NetSuite: `doc,net,tax,gross,currency,country,lines`, sorted by doc.
    pub fn netsuite_documents_csv(&self) -> String {
        self.netsuite.documents_csv()
    }

    /// The orders in Centra as they stand now: `doc,status,net,tax,gross,currency,country,lines`.
    pub fn centra_documents_csv(&self) -> String {
        self.centra.documents_csv()
    }

    /// Stops everything at once.
    pub async fn stop(self) {
        self.living.abort();
        let _ = self.living.await;
        for server in self.servers {
            server.stop().await;
        }
    }
}

fn state_of(centra: &Centra, netsuite: &NetSuite) -> WorldState {
    let progress = centra.progress();
    WorldState {
        done: progress.placing_done && progress.edits_pending == 0,
        centra: progress,
        netsuite_documents: u64::try_from(netsuite.document_count()).unwrap_or(u64::MAX),
        calls: Calls { centra: centra.calls(), netsuite: netsuite.calls() },
        centra_throttled: centra.throttled(),
    }
}

fn admin_router(admin: Admin) -> Router {
    Router::new()
        .route("/state", get(show_state))
        .route("/export/netsuite_documents.csv", get(export_netsuite))
        .route("/export/centra_documents.csv", get(export_centra))
        .route("/webhook", post(set_webhook))
        .route("/listen", post(listen))
        .with_state(admin)
}

async fn show_state(Shared(admin): Shared<Admin>) -> Json<WorldState> {
    Json(state_of(&admin.centra, &admin.netsuite))
}

fn csv(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], body).into_response()
}

async fn export_netsuite(Shared(admin): Shared<Admin>) -> Response {
    csv(admin.netsuite.documents_csv())
}

async fn export_centra(Shared(admin): Shared<Admin>) -> Response {
    csv(admin.centra.documents_csv())
}

#[derive(Deserialize)]
struct NewWebhook {
    url: Option<String>,
    secret: Option<String>,
}

/// Sets the webhook's target; without a secret it gets the one the access tells, without a url it is turned off.
async fn set_webhook(Shared(admin): Shared<Admin>, Json(wish): Json<NewWebhook>) -> StatusCode {
    let secret = wish.secret.unwrap_or_else(|| admin.webhook_secret.clone());
    admin.centra.aim_webhooks(wish.url.map(|url| WebhookTarget { url, secret }));
    StatusCode::NO_CONTENT
}

async fn listen(Shared(admin): Shared<Admin>) -> StatusCode {
    match admin.centra.listen() {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Runs a world as a child process: prints its [`Access`] as one JSON line on standard output, then
/// serves until standard input ends, which it does when the parent is gone.
pub async fn child_main(config: WorldConfig) -> anyhow::Result<()> {
    let world = World::start(config).await?;
    let mut line = serde_json::to_vec(world.access())?;
    line.push(b'\n');
    let mut out = tokio::io::stdout();
    out.write_all(&line).await?;
    out.flush().await?;
    let mut input = tokio::io::stdin();
    let mut ignored = [0_u8; 256];
    while input.read(&mut ignored).await? > 0 {}
    world.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[allow(clippy::disallowed_methods, reason = "tests talk to the stand-in directly")]
    fn client() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().no_proxy().build().unwrap()
    }

    async fn state(client: &reqwest::Client, world: &World) -> WorldState {
        let answer = client.get(format!("{}/state", world.admin_url)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn until(world: &World, wanted: impl Fn(&WorldState) -> bool) -> WorldState {
        tokio::time::timeout(Duration::from_secs(30), async {
            let mut look = tokio::time::interval(Duration::from_millis(20));
            loop {
                look.tick().await;
                let state = world.state();
                if wanted(&state) {
                    return state;
                }
            }
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_world_goes_on_where_it_was_stopped() {
        let folder = std::env::temp_dir().join(format!("sim-world-{}", uuid::Uuid::new_v4()));
        let config = WorldConfig {
            seed: 3,
            source: Source::Generated { orders: 60 },
            state_dir: Some(folder.clone()),
            pace: Some(40.0),
            ..WorldConfig::default()
        };
        let client = client();
        let world = World::start(config.clone()).await.unwrap();
        assert_eq!(state(&client, &world).await.centra.orders_placed, 0);
        let answer = client.post(format!("{}/listen", world.admin_url)).send().await.unwrap();
        assert_eq!(answer.status(), 204);
        until(&world, |state| state.centra.orders_placed >= 5).await;
        let access = world.access().clone();
        world.stop().await;

        let world = World::start(config.clone()).await.unwrap();
        assert!(world.state().centra.orders_placed >= 5);
        assert_eq!(world.centra_token, access.centra_token);
        let end = until(&world, |state| state.done).await;
        assert_eq!(end.centra.orders_placed, 60);
        assert_eq!(end.centra.events_pending, 60, "each order is told once");
        let body = json!({"query": "{ orders(limit: 200, sort: number_ASC) { number updatedAt } }"});
        let answer = client
            .post(format!("{}/graphql", world.centra_url))
            .bearer_auth(&world.centra_token)
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(answer["data"]["orders"].as_array().unwrap().len(), 60);
        let csv =
            client.get(format!("{}/export/centra_documents.csv", world.admin_url)).send().await.unwrap().text().await.unwrap();
        assert_eq!(csv.lines().count(), 61);
        world.stop().await;

        let other = WorldConfig { seed: 4, ..config };
        assert!(World::start(other).await.is_err(), "the state is another world's");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn without_events_orders_are_there_at_once() {
        let world = World::start(WorldConfig {
            events: false,
            faults: Profile::Rough,
            source: Source::Generated { orders: 50 },
            ..WorldConfig::default()
        })
        .await
        .unwrap();
        let state = until(&world, |state| state.centra.placing_done).await;
        assert_eq!(state.centra.events_pending, 0);
        assert_eq!(world.reference.markets.len(), 5);
        world.stop().await;
    }
}
