//! A world: the stand-ins on the loopback, stocked with the same data, and a way to look into them.

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
pub use crate::centra::stock::{Figures, Overselling, StockOptions};
pub use crate::centra::wares::ItemEdit;
pub use crate::data::Source;
pub use crate::mischief::{Profile, RetryAfterForm};
pub use crate::netsuite::{Access as NetSuiteAccess, Level, PushTarget};

use crate::centra::{Centra, Progress};
use crate::data::{Catalogue, Reference};
use crate::linnworks::{self, Linnworks};
use crate::mischief::{Mischief, hash_text, mix};
use crate::netsuite::{self, Entered, Goods, KitSeed, NetSuite, OpeningStock};
use crate::shelf::{OpenLine, ShelfOrder, ShelfShipment};
use crate::threepl::{self, Desk, ThreePl};
use crate::veeqo::{self, Veeqo};
use crate::wire::{self, Server};
use crate::wrong::Wrongs;
pub use acts::Act;
use counter::Counter;
use floor::Floor;

mod acts;
mod behind;
mod counter;
mod floor;

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
    /// Orders placed per second; `None` places all at once, those of a flash sale in its bursts. Placing begins when somebody listens for
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
    /// How Centra treats stock.
    pub stock: StockOptions,
    /// How the NetSuite account is set up.
    pub netsuite: netsuite::Options,
    /// Whether NetSuite keeps the bundles of generated data as kits; else they are items of their own, of which nothing
    /// is there.
    pub kits: bool,
    /// Sales over the counter and deliveries per second at the source of truth, made up while generated orders are placed.
    /// A folder and a flash sale have a shop floor of their own.
    pub shop_floor: Option<f64>,
    /// Where NetSuite's script posts what moved at first; it may be set later by `POST /stock-push` of the admin server.
    pub stock_push: Option<PushTarget>,
    /// The warehouses that ship; without any nothing that is ordered ever leaves, or the data's shop floor lets it leave.
    pub linnworks: Option<linnworks::Options>,
    /// A second one.
    pub veeqo: Option<veeqo::Options>,
    /// A third one, which exchanges files.
    pub threepl: Option<threepl::Options>,
    /// Whether a desk of customer service hands over the credits of a folder as files; else what they give back comes to the shelf
    /// by itself, and nobody tells of the money.
    pub desk: bool,
    /// Whether the shop's people make returns of what has left, and pay money back; without warehouses nothing leaves.
    pub returns: bool,
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
            stock: StockOptions::default(),
            netsuite: netsuite::Options::default(),
            kits: false,
            shop_floor: None,
            stock_push: None,
            linnworks: None,
            veeqo: None,
            threepl: None,
            desk: false,
            returns: false,
        }
    }
}

/// Where a market's stock is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketLocation {
    /// Centra's id of the market; its warehouse has the same.
    pub market: i32,
    /// NetSuite's internal id of the location.
    pub location: String,
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
    /// The secret of NetSuite's script, for whoever aims it without choosing one.
    pub stock_push_secret: String,
    /// Base address of Linnworks, where there is one.
    pub linnworks_url: Option<String>,
    /// Linnworks' credentials.
    pub linnworks: Option<linnworks::Access>,
    /// Base address of Veeqo, where there is one.
    #[serde(default)]
    pub veeqo_url: Option<String>,
    /// Veeqo's credentials.
    #[serde(default)]
    pub veeqo: Option<veeqo::Access>,
    /// How to reach the 3PL's server, where there is one.
    #[serde(default)]
    pub threepl: Option<threepl::Access>,
    /// How to reach the desk's server, where there is one.
    #[serde(default)]
    pub desk: Option<threepl::Access>,
    /// Where each market's stock is kept; a mapping that sends orders elsewhere finds nothing there.
    pub locations: Vec<MarketLocation>,
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
    /// Whether all orders are placed, all planned edits and releases are made, all events on the shop floor happened, and the desk has
    /// put down all credits.
    pub done: bool,
    /// Events on the shop floor that the data hold and that did not happen yet.
    pub stock_events_pending: u64,
    /// Items that NetSuite's script has not told yet, and its calls under way.
    pub stock_pushes_pending: u64,
    /// Units that orders of NetSuite ask for beyond what is there: sold, and not there.
    pub oversold_units: u64,
    /// Orders that the shop did not take because something was missing.
    pub lost_orders: u64,
    /// Documents in NetSuite.
    pub netsuite_documents: u64,
    /// Whether the warehouses have nothing left to pick.
    #[serde(default)]
    pub picked: bool,
    /// What a warehouse was sent that its vendor's specification does not allow, or that it would complain of.
    #[serde(default)]
    pub violations: Vec<String>,
    /// Files of credits that the desk has not put down yet.
    #[serde(default)]
    pub credit_files_pending: u64,
    /// Whether all that the desk has put down was taken.
    #[serde(default)]
    pub credits_taken: bool,
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
    /// To Linnworks.
    #[serde(default)]
    pub linnworks: u64,
    /// To Veeqo.
    #[serde(default)]
    pub veeqo: u64,
    /// Operations at the 3PL's server.
    #[serde(default)]
    pub threepl: u64,
    /// Operations at the desk's server.
    #[serde(default)]
    pub desk: u64,
}

/// The warehouses of a world.
#[derive(Clone, Default)]
struct Warehouses {
    linnworks: Option<Linnworks>,
    veeqo: Option<Veeqo>,
    threepl: Option<ThreePl>,
}

impl Warehouses {
    /// Each does one thing to each order that can move.
    fn step(&self) -> [anyhow::Result<usize>; 3] {
        [
            self.linnworks.as_ref().map_or(Ok(0), Linnworks::step),
            self.veeqo.as_ref().map_or(Ok(0), Veeqo::step),
            self.threepl.as_ref().map_or(Ok(0), ThreePl::step),
        ]
    }

    fn is_done(&self) -> bool {
        self.linnworks.as_ref().is_none_or(Linnworks::is_done)
            && self.veeqo.as_ref().is_none_or(Veeqo::is_done)
            && self.threepl.as_ref().is_none_or(ThreePl::is_done)
    }

    fn violations(&self) -> Vec<String> {
        let all = [
            ("Linnworks", self.linnworks.as_ref().map(Linnworks::violations)),
            ("Veeqo", self.veeqo.as_ref().map(Veeqo::violations)),
            ("3PL", self.threepl.as_ref().map(ThreePl::violations)),
        ];
        all.into_iter().flat_map(|(name, found)| found.into_iter().flatten().map(move |one| format!("{name}: {one}"))).collect()
    }
}

/// A running world. Dropping it leaves its tasks to the runtime; call [`World::stop`].
pub struct World {
    access: Access,
    centra: Centra,
    netsuite: Arc<NetSuite>,
    warehouses: Warehouses,
    floor: Floor,
    desk: Option<Counter>,
    wrongs: Arc<Wrongs>,
    servers: Vec<Server>,
    living: Vec<JoinHandle<()>>,
    /// The servers of those who exchange files.
    files: Vec<selvedge_sftp::Served>,
}

impl Deref for World {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

/// The ports of the last run, so that addresses in a configuration stay true over a restart.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Ports {
    centra: u16,
    netsuite: u16,
    admin: u16,
    linnworks: u16,
    veeqo: u16,
    threepl: u16,
    desk: u16,
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
    warehouses: Warehouses,
    floor: Floor,
    desk: Option<Counter>,
    wrongs: Arc<Wrongs>,
    down: acts::Down,
    webhook_secret: String,
    stock_push_secret: String,
}

impl World {
    /// Starts a world on free ports of 127.0.0.1 (the ones of the last run, where they are kept and free).
    /// Errors when the data cannot be read, or the state belongs to another world.
    pub async fn start(config: WorldConfig) -> anyhow::Result<World> {
        let catalogue = Catalogue::open(config.seed, &config.source)?;
        let catalogue = Arc::new(if config.desk { catalogue.with_desk()? } else { catalogue });
        let zone = config.zone.clone().unwrap_or_else(|| {
            match config.source {
                Source::Generated { .. } | Source::Flash { .. } => "Europe/Stockholm",
                Source::Folder { .. } => "Europe/London",
            }
            .to_owned()
        });
        let identity = match &config.source {
            Source::Generated { orders } => {
                format!("seed {} with {orders} generated orders of {} items", config.seed, catalogue.items().len())
            }
            Source::Flash { skus, orders } => {
                format!("seed {} with {orders} orders of a flash sale of {skus} items", config.seed)
            }
            Source::Folder { .. } => format!("seed {} with {} orders of a folder", config.seed, catalogue.orders()),
        };
        let identity = if config.desk { format!("{identity}, and a desk") } else { identity };
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
                stock: config.stock.clone(),
                webhook: config.webhook.clone(),
                withheld_permissions: config.withheld_permissions.clone(),
                returns: config.returns,
                ..CentraOptions::default()
            },
            folder,
        )?;
        let locations: Vec<String> = catalogue.markets().iter().map(|market| floor::location(market.currency.code)).collect();
        let netsuite = netsuite::build(
            config.netsuite.clone(),
            goods(&catalogue, &locations, config.kits),
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
        let stock_push_secret = format!("sps_{:016x}", mix(config.seed ^ hash_text("stock push")));
        netsuite.aim_pushes(config.stock_push.clone());
        let floor = Floor {
            catalogue: Arc::clone(&catalogue),
            centra: centra.clone(),
            netsuite: Arc::clone(&netsuite),
            locations: locations.clone(),
            pace: config.shop_floor,
        };
        let linnworks = match config.linnworks.clone() {
            Some(options) => {
                let items = shelved(&catalogue, options.locations.get(..1).unwrap_or_default());
                Some(Linnworks::open(config.seed, &identity, items, mischief("linnworks"), options, folder)?)
            }
            None => None,
        };
        let veeqo = match config.veeqo.clone() {
            Some(options) => {
                let items = shelved(&catalogue, &options.warehouses);
                Some(Veeqo::open(config.seed, &identity, items, mischief("veeqo"), options, folder)?)
            }
            None => None,
        };
        let threepl = match config.threepl.clone() {
            Some(options) => {
                let items = shelved(&catalogue, std::slice::from_ref(&options.warehouse));
                Some(ThreePl::open(config.seed, &identity, items, mischief("threepl"), options, folder)?)
            }
            None => None,
        };
        let desk = match config.desk {
            true => {
                let desk = Desk::open(config.seed, &identity, mischief("desk"), folder)?;
                Some(Counter { desk, files: Arc::new(catalogue.credit_files()), centra: centra.clone() })
            }
            false => None,
        };
        let warehouses = Warehouses { linnworks: linnworks.clone(), veeqo: veeqo.clone(), threepl: threepl.clone() };
        let wrongs = Arc::new(Wrongs::open(folder)?);
        let down = acts::Down::default();
        let admin = Admin {
            centra: centra.clone(),
            netsuite: Arc::clone(&netsuite),
            warehouses: warehouses.clone(),
            floor: floor.clone(),
            desk: desk.clone(),
            wrongs: Arc::clone(&wrongs),
            down: down.clone(),
            webhook_secret: webhook_secret.clone(),
            stock_push_secret: stock_push_secret.clone(),
        };
        let ports = read_ports(folder);
        let centra_server = serve(centra.router(), ports.centra).await?;
        let netsuite_server = serve(down.before(netsuite_router), ports.netsuite).await?;
        let admin_server = serve(admin_router(admin), ports.admin).await?;
        let linnworks_server = match &linnworks {
            Some(linnworks) => Some(serve(linnworks.router(), ports.linnworks).await?),
            None => None,
        };
        let veeqo_server = match &veeqo {
            Some(veeqo) => Some(serve(veeqo.router(), ports.veeqo).await?),
            None => None,
        };
        let (files, threepl_access) = match &threepl {
            Some(threepl) => {
                let served = match threepl.serve(ports.threepl).await {
                    Err(_) if ports.threepl != 0 => threepl.serve(0).await,
                    served => served,
                };
                let (served, access) = served.context("serve the simulated 3PL's files")?;
                (Some(served), Some(access))
            }
            None => (None, None),
        };
        let mut files: Vec<selvedge_sftp::Served> = files.into_iter().collect();
        let desk_access = match &desk {
            Some(counter) => {
                let served = match counter.desk.serve(ports.desk).await {
                    Err(_) if ports.desk != 0 => counter.desk.serve(0).await,
                    served => served,
                };
                let (served, access) = served.context("serve the simulated desk's files")?;
                files.push(served);
                Some(access)
            }
            None => None,
        };
        if let Some(folder) = folder {
            let ports = Ports {
                centra: port_of(&centra_server),
                netsuite: port_of(&netsuite_server),
                admin: port_of(&admin_server),
                linnworks: linnworks_server.as_ref().map_or(0, port_of),
                veeqo: veeqo_server.as_ref().map_or(0, port_of),
                threepl: threepl_access.as_ref().map_or(0, |access| access.port),
                desk: desk_access.as_ref().map_or(0, |access| access.port),
            };
            std::fs::write(folder.join("ports.json"), serde_json::to_vec(&ports)?)?;
        }
        let access = Access {
            centra_url: centra_server.url(),
            centra_token: centra.token(),
            centra_expired_token: centra.expired_token().unwrap_or_default(),
            centra_webhook_secret: webhook_secret,
            netsuite_url: netsuite_server.url(),
            netsuite: netsuite_access,
            stock_push_secret,
            linnworks_url: linnworks_server.as_ref().map(Server::url),
            linnworks: linnworks.as_ref().map(Linnworks::access),
            veeqo_url: veeqo_server.as_ref().map(Server::url),
            veeqo: veeqo.as_ref().map(Veeqo::access),
            threepl: threepl_access,
            desk: desk_access,
            locations: catalogue
                .markets()
                .iter()
                .zip(locations)
                .map(|(market, location)| MarketLocation { market: market.id, location })
                .collect(),
            admin_url: admin_server.url(),
            reference: catalogue.reference(&zone),
        };
        let mut living = vec![
            tokio::spawn({
                let centra = centra.clone();
                async move { centra.live().await }
            }),
            tokio::spawn(floor.clone().live()),
            tokio::spawn(pick(warehouses.clone())),
        ];
        if let Some(counter) = &desk {
            living.push(tokio::spawn(counter.clone().live()));
        }
        let mut servers = vec![centra_server, netsuite_server, admin_server];
        servers.extend([linnworks_server, veeqo_server].into_iter().flatten());
        Ok(World { access, centra, netsuite, warehouses, floor, desk, wrongs, servers, living, files })
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
        state_of(&self.centra, &self.netsuite, &self.warehouses, &self.floor, self.desk.as_ref())
    }

    /// The documents in NetSuite: `doc,net,tax,gross,currency,country,lines`, sorted by doc.
    pub fn netsuite_documents_csv(&self) -> String {
        self.netsuite.documents_csv()
    }

    /// The orders in Centra as they stand now: `doc,status,net,tax,gross,currency,country,lines`.
    pub fn centra_documents_csv(&self) -> String {
        self.centra.documents_csv()
    }

    /// Sets where NetSuite's script posts what moved; `None` turns it off.
    pub fn aim_stock_pushes(&self, target: Option<PushTarget>) {
        self.netsuite.aim_pushes(target);
    }

    /// What is left of each item at the source of truth when every promise is kept, over all places: `sku,qty`, by SKU.
    pub fn source_stock_csv(&self) -> String {
        self.netsuite.stock_csv()
    }

    /// The figures of an item at the place of a market (Centra's id), if it was ever kept there.
    pub fn source_stock(&self, sku: &str, market: i32) -> Option<Level> {
        self.netsuite.level(sku, self.location(market)?)
    }

    /// The figures of an item in the shop's warehouse of a market (Centra's id).
    pub fn shop_stock(&self, sku: &str, market: i32) -> Option<Figures> {
        self.centra.stock_of(sku, market)
    }

    /// Somebody edits the shop's figure by hand. Answers whether there is such an item.
    /// Errors when the journal cannot be written.
    pub fn edit_shop_stock(&self, sku: &str, market: i32, physical: i64) -> anyhow::Result<bool> {
        self.centra.foreign_stock_edit(sku, market, physical)
    }

    /// Somebody changes an item of the shop's catalogue by hand. Answers whether there is such an item (and price list).
    /// Errors when the journal cannot be written.
    pub fn edit_shop_item(&self, sku: &str, edit: ItemEdit) -> anyhow::Result<bool> {
        self.centra.edit_item(sku, edit)
    }

    /// Units of an item come to the place of a market (Centra's id), or go (`delta` below nought).
    /// Errors when there is no such item or market, or the journal cannot be written.
    pub fn move_stock(&self, sku: &str, market: i32, delta: i64, why: &str) -> anyhow::Result<()> {
        self.enter_stock(sku, market, delta, why, Entered::AsTransaction)
    }

    /// As [`World::move_stock`], by a CSV import, of which NetSuite's script does not hear.
    pub fn import_stock(&self, sku: &str, market: i32, delta: i64, why: &str) -> anyhow::Result<()> {
        self.enter_stock(sku, market, delta, why, Entered::ByImport)
    }

    fn enter_stock(&self, sku: &str, market: i32, delta: i64, why: &str, entered: Entered) -> anyhow::Result<()> {
        let location = self.location(market).with_context(|| format!("there is no market {market}"))?;
        self.netsuite.move_stock(sku, location, delta, why, entered)
    }

    /// Hands over what is committed of the sales order with this external id in NetSuite. Answers whether that was anything.
    /// Errors when the journal cannot be written.
    pub fn fulfil(&self, external_id: &str) -> anyhow::Result<bool> {
        self.netsuite.fulfil(external_id)
    }

    fn location(&self, market: i32) -> Option<&str> {
        self.access.locations.iter().find(|known| known.market == market).map(|known| known.location.as_str())
    }

    /// Stops everything at once.
    pub async fn stop(self) {
        for task in self.living {
            task.abort();
            let _ = task.await;
        }
        for server in self.servers {
            server.stop().await;
        }
        for files in self.files {
            files.stop().await;
        }
    }
}

/// What NetSuite is stocked with.
fn goods(catalogue: &Catalogue, locations: &[String], kits: bool) -> Goods {
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    let kit = |(item, parts): (u32, Vec<(u32, i32)>)| KitSeed {
        item: place(item),
        parts: parts.iter().map(|(part, units)| (place(*part), units.unsigned_abs())).collect(),
    };
    let opening = catalogue.opening().iter().filter_map(|opening| {
        let location = locations.get(opening.market)?.parse().ok()?;
        Some(OpeningStock { item: place(opening.item), location, quantity: opening.quantity })
    });
    Goods {
        items: catalogue.item_seeds(),
        kits: if kits { catalogue.kits().into_iter().map(kit).collect() } else { Vec::new() },
        opening: opening.collect(),
    }
}

fn state_of(centra: &Centra, netsuite: &NetSuite, warehouses: &Warehouses, floor: &Floor, desk: Option<&Counter>) -> WorldState {
    let credit_files_pending = desk.map_or(0, Counter::pending);
    let stock_events_pending = floor.pending();
    let progress = centra.progress();
    WorldState {
        done: progress.placing_done && progress.edits_pending == 0 && stock_events_pending == 0 && credit_files_pending == 0,
        credit_files_pending,
        credits_taken: desk.is_none_or(|counter| counter.desk.is_done()),
        stock_events_pending,
        stock_pushes_pending: netsuite.pushes_pending(),
        oversold_units: netsuite.oversold(),
        lost_orders: centra.lost_sales().orders,
        centra: progress,
        netsuite_documents: u64::try_from(netsuite.document_count()).unwrap_or(u64::MAX),
        picked: warehouses.is_done(),
        violations: warehouses.violations(),
        calls: Calls {
            centra: centra.calls(),
            netsuite: netsuite.calls(),
            linnworks: warehouses.linnworks.as_ref().map_or(0, Linnworks::calls),
            veeqo: warehouses.veeqo.as_ref().map_or(0, Veeqo::calls),
            threepl: warehouses.threepl.as_ref().map_or(0, ThreePl::calls),
            desk: desk.map_or(0, |counter| counter.desk.calls()),
        },
        centra_throttled: centra.throttled(),
    }
}

fn admin_router(admin: Admin) -> Router {
    Router::new()
        .route("/state", get(show_state))
        .route("/export/netsuite_documents.csv", get(export_netsuite))
        .route("/export/centra_documents.csv", get(export_centra))
        .route("/export/stock.csv", get(export_stock))
        .route("/export/centra_stock.csv", get(export_centra_stock))
        .route("/export/centra_lines.csv", get(export_lines))
        .route("/export/linnworks_orders.csv", get(export_linnworks))
        .route("/export/veeqo_orders.csv", get(export_veeqo))
        .route("/export/threepl_orders.csv", get(export_threepl))
        .route("/export/centra_shipments.csv", get(export_shipments))
        .route("/export/netsuite_fulfilments.csv", get(export_fulfilments))
        .route("/export/centra_returns.csv", get(export_centra_returns))
        .route("/export/centra_refunds.csv", get(export_centra_refunds))
        .route("/export/threepl_returns.csv", get(export_threepl_returns))
        .route("/export/netsuite_returns.csv", get(export_returns))
        .route("/export/netsuite_refunds.csv", get(export_refunds))
        .route("/edit-item", post(edit_item))
        .route("/edit-erp-item", post(edit_erp_item))
        .route("/webhook", post(set_webhook))
        .route("/stock-push", post(set_stock_push))
        .route("/listen", post(listen))
        .route("/act", post(acts::act))
        .route("/wrong", get(behind::show_wrong).post(behind::make_wrong))
        .route("/incumbent", post(behind::make_incumbent))
        .with_state(admin)
}

async fn show_state(Shared(admin): Shared<Admin>) -> Json<WorldState> {
    Json(state_of(&admin.centra, &admin.netsuite, &admin.warehouses, &admin.floor, admin.desk.as_ref()))
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

async fn export_fulfilments(Shared(admin): Shared<Admin>) -> Response {
    csv(admin.netsuite.fulfilments_csv())
}

async fn export_centra_returns(Shared(admin): Shared<Admin>) -> Response {
    csv(admin.centra.returns_csv())
}

async fn export_centra_refunds(Shared(admin): Shared<Admin>) -> Response {
    csv(admin.centra.refunds_csv())
}

async fn export_threepl_returns(Shared(admin): Shared<Admin>) -> Response {
    csv(admin.warehouses.threepl.map(|threepl| threepl.returns_csv()).unwrap_or_default())
}

async fn export_returns(Shared(admin): Shared<Admin>) -> Response {
    csv(admin.netsuite.returns_csv())
}

async fn export_refunds(Shared(admin): Shared<Admin>) -> Response {
    csv(admin.netsuite.refunds_csv())
}

async fn export_stock(Shared(admin): Shared<Admin>) -> Response {
    csv(admin.netsuite.stock_csv())
}

async fn export_centra_stock(Shared(admin): Shared<Admin>) -> Response {
    csv(admin.centra.stock_csv())
}

async fn export_linnworks(Shared(admin): Shared<Admin>) -> Response {
    csv(orders_csv(&admin.warehouses.linnworks.map(|linnworks| linnworks.orders()).unwrap_or_default()))
}

async fn export_veeqo(Shared(admin): Shared<Admin>) -> Response {
    csv(orders_csv(&admin.warehouses.veeqo.map(|veeqo| veeqo.orders()).unwrap_or_default()))
}

async fn export_threepl(Shared(admin): Shared<Admin>) -> Response {
    csv(orders_csv(&admin.warehouses.threepl.map(|threepl| threepl.orders()).unwrap_or_default()))
}

async fn export_lines(Shared(admin): Shared<Admin>) -> Response {
    csv(lines_csv(&admin.centra.lines()))
}

async fn export_shipments(Shared(admin): Shared<Admin>) -> Response {
    csv(shipments_csv(&admin.centra.shipments()))
}

/// A field as RFC 4180 writes it.
fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// `doc,sku,qty,service,warehouse`, one row per line of an order that was not cancelled, by doc.
fn orders_csv(orders: &[ShelfOrder]) -> String {
    let mut rows: Vec<String> = orders
        .iter()
        .filter(|order| !order.cancelled)
        .flat_map(|order| {
            order.lines.iter().map(|(sku, units)| {
                let texts = [&order.doc, sku, &units.to_string(), &order.service, &order.warehouse].map(|text| field(text));
                texts.join(",")
            })
        })
        .collect();
    rows.sort();
    format!("doc,sku,qty,service,warehouse\n{}", rows.iter().map(|row| format!("{row}\n")).collect::<String>())
}

/// `doc,line,sku,qty`, one row per line that has to leave: components instead of bundles, no gift certificates, by doc.
fn lines_csv(lines: &[OpenLine]) -> String {
    let mut out = String::from("doc,line,sku,qty\n");
    for line in lines {
        let texts = [&line.doc, &line.id.to_string(), &line.sku, &line.units.to_string()].map(|text| field(text));
        out.push_str(&texts.join(","));
        out.push('\n');
    }
    out
}

/// `doc,shipment,sku,qty,carrier,tracking`, one row per line of a shipment, by shipment.
fn shipments_csv(shipments: &[ShelfShipment]) -> String {
    let mut out = String::from("doc,shipment,sku,qty,carrier,tracking\n");
    for shipment in shipments {
        for (sku, units) in &shipment.lines {
            let tracking = shipment.tracking.join(" ");
            let texts = [&shipment.doc, &shipment.id, sku, &units.to_string(), &shipment.carrier, &tracking];
            out.push_str(&texts.map(|text| field(text)).join(","));
            out.push('\n');
        }
    }
    out
}

/// The warehouses work for as long as the world lives.
async fn pick(warehouses: Warehouses) {
    let mut clock = tokio::time::interval(Duration::from_millis(100));
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        for stepped in warehouses.step() {
            if let Err(fault) = stepped {
                tracing::error!(%fault, "a simulated warehouse stands still");
            }
        }
    }
}

/// What a warehouse keeps: every item that is no bundle, and enough of it. Where there are several places, one item in
/// seven lies in the last of them.
fn shelved(catalogue: &Catalogue, places: &[String]) -> Vec<crate::shelf::Item> {
    let place = |sku: &str| {
        let far = hash_text(sku).is_multiple_of(7);
        let name = if far { places.last() } else { places.first() };
        name.cloned().unwrap_or_default()
    };
    let item = |(at, item): (u32, &crate::data::Item)| crate::shelf::Item {
        sku: item.sku.clone(),
        barcode: catalogue.barcode(at),
        title: item.full_name(),
        weight_grams: Some(catalogue.weight_grams(at)),
        stock: [(place(&item.sku), 1_000_000)].into(),
        parts: Vec::new(),
    };
    (0..).zip(catalogue.items()).filter(|(_, item)| item.components.is_empty()).map(item).collect()
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

/// Aims NetSuite's script; without a secret it gets the one the access tells, without a url it is turned off.
async fn set_stock_push(Shared(admin): Shared<Admin>, Json(wish): Json<NewWebhook>) -> StatusCode {
    let secret = wish.secret.unwrap_or_else(|| admin.stock_push_secret.clone());
    admin.netsuite.aim_pushes(wish.url.map(|url| PushTarget { url, secret }));
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct WishedEdit {
    sku: String,
    edit: ItemEdit,
}

#[derive(Deserialize)]
struct WishedErpEdit {
    sku: String,
    field: String,
    value: serde_json::Value,
}

/// Somebody changes an item in NetSuite by hand: `{"sku": "TOTE", "field": "displayName", "value": "Bag"}`.
async fn edit_erp_item(Shared(admin): Shared<Admin>, Json(wish): Json<WishedErpEdit>) -> StatusCode {
    match admin.netsuite.edit_item(&wish.sku, &wish.field, &wish.value) {
        Ok(true) => StatusCode::NO_CONTENT,
        Ok(false) => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Changes an item of the shop's catalogue: `{"sku": "TOTE", "edit": {"name": "Big Tote"}}`.
async fn edit_item(Shared(admin): Shared<Admin>, Json(wish): Json<WishedEdit>) -> StatusCode {
    match admin.centra.edit_item(&wish.sku, wish.edit) {
        Ok(true) => StatusCode::NO_CONTENT,
        Ok(false) => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
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
    async fn three_warehouses_answer_at_the_same_addresses_after_a_restart() {
        let folder = std::env::temp_dir().join(format!("sim-world-{}", uuid::Uuid::new_v4()));
        let config = WorldConfig {
            linnworks: Some(linnworks::Options::default()),
            veeqo: Some(veeqo::Options::default()),
            threepl: Some(threepl::Options::default()),
            source: Source::Generated { orders: 5 },
            state_dir: Some(folder.clone()),
            ..WorldConfig::default()
        };
        let world = World::start(config.clone()).await.unwrap();
        let before = world.access().clone();
        let client = client();
        let get = |path: &str| client.get(format!("{}{path}", world.admin_url)).send();
        for name in ["linnworks_orders.csv", "veeqo_orders.csv", "threepl_orders.csv"] {
            let text = get(&format!("/export/{name}")).await.unwrap().text().await.unwrap();
            assert_eq!(text, "doc,sku,qty,service,warehouse\n", "{name}");
        }
        let depot = before.threepl.clone().unwrap();
        let file = folder.join("threepl/in/ord_9_000000001.csv");
        let row = "9,1,1000BLKXS,1,STD,Ada,1 Road,GB,1";
        let head = "order_ref,order_line_id,sku,quantity,service_code,ship_name,ship_address1,ship_country,total_units";
        std::fs::write(file, format!("{head}\n{row}\n")).unwrap();
        let state = until(&world, |_| world.warehouses.threepl.as_ref().is_some_and(|depot| !depot.orders().is_empty())).await;
        assert!(!state.picked, "what it told was not taken");
        assert_eq!(state.violations, Vec::<String>::new());
        world.stop().await;

        let world = World::start(config).await.unwrap();
        let after = world.access().clone();
        assert_eq!((&after.veeqo_url, &after.linnworks_url), (&before.veeqo_url, &before.linnworks_url));
        assert_eq!(after.threepl.as_ref(), Some(&depot), "the same port, password and host key");
        let text = client.get(format!("{}/export/threepl_orders.csv", world.admin_url)).send().await.unwrap().text().await;
        assert_eq!(text.unwrap(), "doc,sku,qty,service,warehouse\n9,1000BLKXS,1,STD,WH01\n");
        world.stop().await;
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
        let locations: Vec<&str> = world.locations.iter().map(|known| known.location.as_str()).collect();
        assert_eq!(locations, ["21", "61", "31", "41", "51"]);
        world.stop().await;
    }

    /// A folder of three sales with what happens between them: 10:00 sale, 10:00 credit, 11:00 adjustment, 12:00 sale,
    /// 13:00 sale, 14:00 adjustment.
    fn shop_floor() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sim-floor-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
        write("products", "sku,name\na1,Small\nA1,Large\nPOST,Postage\n");
        write("stock", "sku,opening\na1,10\nA1,0\n");
        write(
            "docs",
            "doc,kind,ts,customer,country,iso2,currency,lines\n\
             101,sale,2011-01-05 10:00:00,1,United Kingdom,GB,GBP,2\n\
             C102,credit,2011-01-05 10:00:00,1,United Kingdom,GB,GBP,2\n\
             103,stock_adjustment,2011-01-05 11:00:00,,United Kingdom,GB,GBP,1\n\
             104,sale,2011-01-05 12:00:00,1,United Kingdom,GB,GBP,1\n\
             105,sale,2011-01-05 13:00:00,1,United Kingdom,GB,GBP,1\n\
             106,stock_adjustment,2011-01-05 14:00:00,,United Kingdom,GB,GBP,1\n",
        );
        write("docs_vat", "doc,rate\n101,20\n104,20\n105,20\n");
        write(
            "lines",
            "doc,line,sku,line_type,qty,unit_price\n\
             101,1,a1,product,2,1.00\n101,2,POST,shipping,1,5.00\n\
             C102,1,a1,product,-1,1.00\nC102,2,POST,shipping,-1,5.00\n\
             103,1,A1,product,7,0\n104,1,A1,product,3,2.00\n105,1,A1,product,1,2.00\n106,1,a1,product,-4,0\n",
        );
        folder
    }

    #[tokio::test]
    async fn a_desk_hands_the_credits_over_once_in_step_with_the_orders() {
        let folder = std::env::temp_dir().join(format!("sim-desk-{}", uuid::Uuid::new_v4()));
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/online-retail").into();
        let config = WorldConfig {
            source: Source::Folder { path: data, limit: None },
            state_dir: Some(folder.clone()),
            desk: true,
            ..WorldConfig::default()
        };
        let world = World::start(config.clone()).await.unwrap();
        assert_eq!((world.state().credit_files_pending, world.state().done), (1, false), "nobody listens yet");
        client().post(format!("{}/listen", world.admin_url)).send().await.unwrap();
        let end = until(&world, |state| state.done).await;
        assert_eq!((end.credit_files_pending, end.credits_taken), (0, false));
        let file = folder.join("desk/out/crd_000001.csv");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("C553801,1,product,2011-05-19T11:05:00+01:00,17526,22236,"), "{text}");
        // What the credits bring back is told by them, and not by the shelf.
        assert!(world.source_stock_csv().contains("\n22236,36\n"), "{}", world.source_stock_csv());
        let desk = world.access().desk.clone().unwrap();
        world.stop().await;

        // It was put down and taken; a restart does not tell it again.
        std::fs::remove_file(&file).unwrap();
        let world = World::start(config).await.unwrap();
        let end = until(&world, |state| state.done).await;
        assert!(end.credits_taken && !file.exists());
        assert_eq!(world.access().desk.as_ref(), Some(&desk), "the same port, password and host key");
        world.stop().await;
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn the_shop_floor_keeps_step_with_the_orders_and_happens_once() {
        let (data, folder) = (shop_floor(), std::env::temp_dir().join(format!("sim-world-{}", uuid::Uuid::new_v4())));
        let config = WorldConfig {
            source: Source::Folder { path: data.clone(), limit: None },
            state_dir: Some(folder.clone()),
            ..WorldConfig::default()
        };
        let world = World::start(config.clone()).await.unwrap();
        assert_eq!(world.state().stock_events_pending, 3);
        assert_eq!(world.source_stock_csv(), "sku,qty\nA1,0\na1,10\n", "byte for byte, nothing of what is not kept");
        assert_eq!(world.locations, [MarketLocation { market: 1, location: "31".to_owned() }]);
        client().post(format!("{}/listen", world.admin_url)).send().await.unwrap();
        let end = until(&world, |state| state.done).await;
        assert_eq!(end.stock_events_pending, 0);
        assert_eq!(world.source_stock_csv(), "sku,qty\nA1,7\na1,7\n");
        assert_eq!(world.source_stock("A1", 1).map(|level| (level.on_hand, level.available)), Some((7, 7)));
        world.move_stock("A1", 1, -2, "sold").unwrap();
        world.import_stock("A1", 1, -1, "counted").unwrap();
        assert!(world.move_stock("A1", 9, 1, "no market").is_err());
        world.stop().await;

        let world = World::start(config).await.unwrap();
        until(&world, |state| state.done).await;
        let csv = client().get(format!("{}/export/stock.csv", world.admin_url)).send().await.unwrap().text().await.unwrap();
        assert_eq!(csv, "sku,qty\nA1,4\na1,7\n");
        world.stop().await;
        std::fs::remove_dir_all(data).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_flash_sale_moves_the_shop_floor_and_the_script_tells() {
        let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let router = Router::new().fallback(move |body: String| {
            let told = told.clone();
            async move { told.send(body).unwrap() }
        });
        let receiver = wire::serve(router).await.unwrap();
        let world = World::start(WorldConfig {
            source: Source::Flash { skus: 50, orders: 72 },
            pace: Some(1_000.0),
            ..WorldConfig::default()
        })
        .await
        .unwrap();
        let body = json!({"url": receiver.url()}).to_string();
        let aim = client().post(format!("{}/stock-push", world.admin_url)).header("content-type", "application/json").body(body);
        assert_eq!(aim.send().await.unwrap().status(), 204);
        assert!(world.stock_push_secret.starts_with("sps_"));
        client().post(format!("{}/listen", world.admin_url)).send().await.unwrap();
        let end = until(&world, |state| state.done && state.stock_pushes_pending == 0).await;
        assert_eq!(end.centra.orders_placed, 72);
        let first: Value = serde_json::from_str(&hears.recv().await.unwrap()).unwrap();
        assert_eq!(first["stock"][0]["location"], json!("21"));
        receiver.stop().await;
        world.stop().await;
    }

    #[tokio::test]
    async fn generated_orders_have_a_shop_floor_where_it_is_asked_for() {
        let world = World::start(WorldConfig {
            pace: Some(100.0),
            shop_floor: Some(500.0),
            kits: true,
            events: false,
            ..WorldConfig::default()
        })
        .await
        .unwrap();
        let before = world.source_stock_csv();
        until(&world, |state| state.done).await;
        let after = world.source_stock_csv();
        assert_ne!(before, after);
        assert!(world.netsuite.events_played() > 20);
        assert!(!after.contains("SETWINTER") && world.source_stock("SETWINTER", 1).is_none());
        world.stop().await;
    }
}
