//! The handbook: how this brand is set up and who looks at what, told from the live configuration, so that it is always true.

pub mod owners;

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use selvedge_flow::{StockSetup, reconcile::PairSetup};
use selvedge_model::{
    Brand, ConnectionName, FlowName, Kind, Mode,
    checklist::{Check, Checklist, Proof, Seen},
    close::Entity,
    owners::OwnerRule,
    team::Team,
};
use selvedge_store::{
    Result, Store, View,
    checks::{ChecksSigned, TickRow},
    closes::CloseState,
};
use serde::Serialize;

use owners::{OwnerRow, Runbook};

use super::{Ends, Target, connections::Credentials, reconcile, settings::Settings, stock};
use crate::config::{Config, FlowSettings, words::Pace};

/// A copy of the store older than this is an old one, in days.
const BACKUP_DAYS: i64 = 7;
/// Both ends read longer ago than this are to be read again, in days.
const LOOK_DAYS: i64 = 2;
/// A figure of stock that may have been wrong for longer than this is old, in milliseconds.
const STALE_MS: u64 = 15 * 60 * 1_000;
/// How many acts of the audit trail are computed again for a page; of a longer one the command line tells.
const ACTS_MAX: i64 = 20_000;
/// How many entries of a mapping table are printed; of a longer one the page of the mappings shows the rest.
const ENTRIES_MAX: usize = 200;
/// How many periods of a checklist are listed.
const PERIODS: usize = 40;

/// What the config says and the engine does not.
#[derive(Clone)]
pub struct Facts {
    /// The connections and the systems that they are accounts on.
    pub systems: Vec<(ConnectionName, String)>,
    /// The flows, those of customers included.
    pub ends: Vec<Ends>,
    /// Whose stock is shown where.
    pub stocks: Vec<StockSetup>,
    /// What is compared.
    pub pairs: Vec<PairSetup>,
    /// Where mappings are for.
    pub targets: Vec<Target>,
    /// Whose exceptions are; the first that fits.
    pub owners: Vec<OwnerRule>,
    /// Fields of products that belong to a target.
    pub theirs: Vec<(FlowName, Vec<String>)>,
    /// Whose months are closed.
    pub entities: Vec<Entity>,
    /// By whose clock a day begins.
    pub zone: TimeZone,
    /// For how long content is kept, in words.
    pub kept: Vec<(&'static str, String)>,
    /// Where each connection's credentials are kept, and until when they are good.
    pub credentials: BTreeMap<ConnectionName, Credentials>,
    /// All of the config, to be shown.
    pub settings: Settings,
}

impl Facts {
    /// As a config says.
    pub fn of(config: &Config) -> Self {
        let theirs = config.flows.iter().filter(|(_, flow)| !flow.products.theirs.is_empty());
        let words = |flow: &FlowSettings| {
            flow.products
                .theirs
                .iter()
                .filter_map(|field| serde_json::to_value(field).ok()?.as_str().map(str::to_owned))
                .collect()
        };
        let entities: Vec<Entity> = config.entities.iter().filter_map(|(name, entity)| entity.entity(name).ok()).collect();
        let zone = entities.first().map(|entity| entity.zone.clone()).or_else(|| config.preflight().map(|setup| setup.zone));
        let kept = |pace: Pace| if pace.0.is_none() { "for ever".to_owned() } else { String::from(pace) };
        Self {
            systems: config
                .connections
                .iter()
                .map(|(name, connection)| (name.clone(), connection.connector.name().to_owned()))
                .collect(),
            ends: config.ends(),
            stocks: config.stocks.iter().map(|(name, stock)| stock.setup(name)).collect(),
            pairs: config.pairs(),
            targets: config.mapping_targets(),
            owners: config.desk().owners,
            theirs: theirs.map(|(name, flow)| (name.clone(), words(flow))).collect(),
            entities,
            zone: zone.unwrap_or(TimeZone::UTC),
            kept: vec![
                ("Documents as they came", kept(config.retention.documents)),
                ("Webhook deliveries", kept(config.retention.webhooks)),
                ("Names and addresses", kept(config.retention.people)),
            ],
            credentials: Credentials::of(config),
            settings: Settings::of(config),
        }
    }
}

/// Where records of a kind live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Home {
    /// What.
    pub what: String,
    /// The connection that is its master.
    pub master: ConnectionName,
    /// Where it is copied to, by which flow, and whether that flow writes.
    pub copies: Vec<Copied>,
}

/// One copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Copied {
    /// The flow.
    pub flow: FlowName,
    /// The connection.
    pub to: ConnectionName,
    /// Whether it writes.
    pub mode: String,
    /// What there belongs to the target; empty when nothing does.
    pub theirs: Vec<String>,
}

/// A mapping table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct TableView {
    /// For which target.
    pub connection: ConnectionName,
    /// Its name.
    pub table: String,
    /// The parts of its keys.
    pub parts: Vec<String>,
    /// How many entries it has, its default not counted.
    pub entries: u64,
    /// The first of them, by key.
    pub printed: Vec<EntryView>,
    /// What stands for everything that has no entry of its own.
    pub default: Option<String>,
    /// Who changed it last, and when.
    pub changed: Option<(String, Timestamp)>,
}

/// An entry of a mapping table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct EntryView {
    /// What is mapped.
    pub key: String,
    /// The id at the target that it is mapped to.
    pub value: String,
}

impl TableView {
    /// How many entries are not printed.
    pub fn left(&self) -> u64 {
        self.entries.saturating_sub(self.printed.len() as u64)
    }
}

/// One check as it stands.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct CheckView {
    /// Its name.
    pub id: &'static str,
    /// Who does it.
    pub team: Team,
    /// What has to be so.
    pub what: &'static str,
    /// How to see it.
    pub how: &'static str,
    /// Where it is seen; empty when it is seen elsewhere.
    pub page: &'static str,
    /// What the product sees now.
    pub seen: Seen,
    /// The same in a sentence; empty when only a person can tell.
    pub sight: String,
    /// Who has looked.
    pub tick: Option<TickRow>,
}

/// A checklist of one period.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct ChecklistView {
    /// Which.
    pub list: Checklist,
    /// Of which period.
    pub period: String,
    /// Whether that is the present one.
    pub current: bool,
    /// Its checks.
    pub checks: Vec<CheckView>,
    /// Who signed it.
    pub signed: Option<ChecksSigned>,
    /// Periods that anybody worked on, the newest first.
    pub periods: Vec<String>,
}

/// The handbook.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Handbook {
    /// Whose.
    pub brand: Brand,
    /// When it was told.
    pub at: Timestamp,
    /// The systems: connection, system.
    pub systems: Vec<(ConnectionName, String)>,
    /// Where each record lives.
    pub homes: Vec<Home>,
    /// What is compared: pair, from, to, what.
    pub pairs: Vec<(String, String, String, String)>,
    /// The mapping tables.
    pub tables: Vec<TableView>,
    /// Who owns which exception; the first row that fits decides.
    pub owners: Vec<OwnerRow>,
    /// What to do about them, by area.
    pub runbooks: Vec<Runbook>,
    /// The legal entities: name, currency, time zone.
    pub entities: Vec<(String, String, String)>,
    /// For how long content is kept.
    pub kept: Vec<(&'static str, String)>,
    /// The checklists.
    pub lists: Vec<ChecklistView>,
}

fn kinds(kind: Kind) -> &'static str {
    match kind {
        Kind::Order => "Orders",
        Kind::Customer => "Customers",
        Kind::Stock => "Stock",
        Kind::Product => "Products",
        Kind::Shipment => "Shipments",
        Kind::Return => "Returns",
        Kind::CreditNote => "Credit notes",
        Kind::Refund => "Refunds",
        #[allow(unreachable_patterns, reason = "kinds of our own have no home at a system")]
        _ => "Other records",
    }
}

fn homes(facts: &Facts) -> Vec<Home> {
    let mut homes: Vec<Home> = Vec::new();
    let mut add = |what: String, master: &ConnectionName, copy: Copied| match homes
        .iter_mut()
        .find(|home| home.what == what && home.master == *master)
    {
        Some(home) => home.copies.push(copy),
        None => homes.push(Home { what, master: master.clone(), copies: vec![copy] }),
    };
    for ends in &facts.ends {
        let theirs =
            facts.theirs.iter().find(|(flow, _)| *flow == ends.flow).map(|(_, fields)| fields.clone()).unwrap_or_default();
        let copy = Copied { flow: ends.flow.clone(), to: ends.to.clone(), mode: ends.mode.word().to_owned(), theirs };
        add(kinds(ends.kind).to_owned(), &ends.from, copy);
    }
    for stock in &facts.stocks {
        for (place, warehouse) in &stock.places {
            let copy =
                Copied { flow: stock.name.clone(), to: stock.to.clone(), mode: Mode::Live.word().to_owned(), theirs: Vec::new() };
            add(format!("Stock at place {place}, warehouse {warehouse} of the shop"), &stock.from, copy);
        }
    }
    homes
}

/// What is set in each table that a target asks.
fn tables(view: &View<'_>, brand: &Brand, targets: &[Target]) -> Result<Vec<TableView>> {
    let mapped = view.mapped_tables(brand)?;
    let mut found = Vec::new();
    for target in targets {
        for table in target.tables {
            let stands = mapped.iter().find(|one| one.connection == target.name.as_str() && one.table == table.name);
            let printed = view.mappings_of(brand, &target.name, table.name, ENTRIES_MAX)?;
            found.push(TableView {
                connection: target.name.clone(),
                table: table.name.to_owned(),
                parts: table.parts.iter().map(|part| (*part).to_owned()).collect(),
                entries: stands.map_or(0, |one| one.entries),
                printed: printed.into_iter().map(|row| EntryView { key: row.key, value: row.value }).collect(),
                default: stands.and_then(|one| one.default.clone()),
                changed: stands.map(|one| (one.by.clone(), one.at)),
            });
        }
    }
    Ok(found)
}

/// The handbook as it is now.
///
/// # Errors
/// The store's.
pub async fn handbook(store: &Store, brand: &Brand, facts: &Facts, now: Timestamp) -> Result<Handbook> {
    let (of, targets) = (brand.clone(), facts.targets.clone());
    let tables = store.read(move |view| tables(view, &of, &targets)).await?;
    let sights = Sights::of(store, brand, facts, now).await?;
    let mut lists = Vec::new();
    for list in Checklist::ALL {
        lists.push(checklist_by(&sights, store, brand, facts, list, None, now).await?);
    }
    let pair = |pair: &PairSetup| {
        let from: Vec<&str> = pair.sources.iter().map(ConnectionName::as_str).collect();
        let kinds: Vec<String> = pair.kinds.iter().map(|kind| kinds(*kind).to_lowercase()).collect();
        (pair.name.clone(), from.join(", "), pair.target.to_string(), kinds.join(", "))
    };
    Ok(Handbook {
        brand: brand.clone(),
        at: now,
        systems: facts.systems.clone(),
        homes: homes(facts),
        pairs: facts.pairs.iter().map(pair).collect(),
        tables,
        owners: owners::owners(&facts.owners),
        runbooks: owners::runbooks(),
        entities: facts
            .entities
            .iter()
            .map(|entity| (entity.name.clone(), entity.currency.to_string(), entity.zone.iana_name().unwrap_or("UTC").to_owned()))
            .collect(),
        kept: facts.kept.clone(),
        lists,
    })
}

/// A checklist of a period; of the present one, if none is named.
///
/// # Errors
/// The store's.
pub async fn checklist(
    store: &Store,
    brand: &Brand,
    facts: &Facts,
    list: Checklist,
    period: Option<String>,
    now: Timestamp,
) -> Result<ChecklistView> {
    let sights = Sights::of(store, brand, facts, now).await?;
    checklist_by(&sights, store, brand, facts, list, period, now).await
}

/// What takes longest to see, once for all lists.
#[derive(Clone)]
struct Sights {
    agreement: reconcile::Agreement,
    shelves: Vec<stock::Warehouse>,
}

impl Sights {
    async fn of(store: &Store, brand: &Brand, facts: &Facts, now: Timestamp) -> Result<Self> {
        Ok(Self {
            agreement: reconcile::agreement(store, brand, &facts.pairs).await?,
            shelves: stock::status(store, brand, &facts.stocks, now).await?,
        })
    }
}

async fn checklist_by(
    sights: &Sights,
    store: &Store,
    brand: &Brand,
    facts: &Facts,
    list: Checklist,
    period: Option<String>,
    now: Timestamp,
) -> Result<ChecklistView> {
    let present = list.period(now, &facts.zone);
    let period = period.unwrap_or_else(|| present.clone());
    let (sights, brand, facts) = (sights.clone(), brand.clone(), facts.clone());
    store
        .read(move |view| {
            let mut ticks = view.ticks(&brand, list, &period)?;
            let sight = Sight { view, brand: &brand, facts: &facts, sights: &sights, now };
            let mut checks = Vec::new();
            for check in list.checks() {
                let (seen, words) = sight.of(check.proof)?;
                let Check { id, team, what, how, page, .. } = *check;
                let at = ticks.iter().position(|tick| tick.item == id);
                let tick = at.map(|at| ticks.swap_remove(at));
                checks.push(CheckView { id, team, what, how, page, seen, sight: words, tick });
            }
            Ok(ChecklistView {
                list,
                current: period == present,
                checks,
                signed: view.checks_signed(&brand, list, &period)?,
                periods: view.checked_periods(&brand, list, PERIODS)?,
                period,
            })
        })
        .await
}

/// What the product sees.
struct Sight<'a> {
    view: &'a View<'a>,
    brand: &'a Brand,
    facts: &'a Facts,
    sights: &'a Sights,
    now: Timestamp,
}

fn told(good: bool, words: String) -> (Seen, String) {
    (if good { Seen::Good } else { Seen::Bad }, words)
}

impl Sight<'_> {
    fn within_days(&self, at: Option<Timestamp>, days: i64) -> bool {
        at.is_some_and(|at| self.now.duration_since(at).as_hours() < days * 24)
    }

    fn of(&self, proof: Proof) -> Result<(Seen, String)> {
        Ok(match proof {
            Proof::Person => (Seen::Open, String::new()),
            Proof::Balance => {
                let sides: Vec<_> = self.facts.ends.iter().map(Ends::side).collect();
                let off =
                    self.view.balance(self.brand, &sides, None)?.into_iter().filter(|balance| balance.difference() != 0).count();
                told(
                    off == 0,
                    if off == 0 {
                        format!("{} flows balance", sides.len())
                    } else {
                        format!("{off} of {} flows do not balance", sides.len())
                    },
                )
            }
            Proof::Arrivals => {
                let open = self.view.open_with(self.brand, &["source.", "connection.", "file.", "exchange."])?;
                told(
                    open == 0,
                    if open == 0 {
                        "every connection answers, and no source is silent".to_owned()
                    } else {
                        format!("{open} exceptions about connections and sources")
                    },
                )
            }
            Proof::Alerts => {
                let open = self.view.open_with(self.brand, &["alert."])?;
                told(
                    open == 0,
                    if open == 0 { "no channel is in trouble".to_owned() } else { format!("{open} channels in trouble") },
                )
            }
            Proof::Exceptions => {
                let open = self.view.open_with(self.brand, &[""])?;
                told(open == 0, if open == 0 { "nothing is open".to_owned() } else { format!("{open} open") })
            }
            Proof::Stock => {
                let held: u64 = self.sights.shelves.iter().map(|shelf| shelf.balance.held).sum();
                let oldest = self.sights.shelves.iter().map(|shelf| shelf.freshness.p99_ms).max();
                match oldest {
                    None => (Seen::Open, "no flow of stock".to_owned()),
                    Some(ms) => told(
                        held == 0 && ms <= STALE_MS,
                        format!("{held} figures held; 99 of 100 are at most {} minutes old", ms / 60_000),
                    ),
                }
            }
            Proof::Reconciliation => {
                let Some(since) = self.sights.agreement.since else {
                    return Ok(told(self.sights.agreement.pairs == 0, "not every pair was read yet".to_owned()));
                };
                let fresh = self.within_days(Some(since), LOOK_DAYS);
                told(
                    fresh && self.sights.agreement.agrees(),
                    format!(
                        "{} differences open, {} pairs do not meet, read {}",
                        self.sights.agreement.open,
                        self.sights.agreement.short.len(),
                        if fresh { "lately" } else { "too long ago" }
                    ),
                )
            }
            Proof::Mappings => {
                let looks = self.view.preflights(self.brand)?;
                let gaps: usize = looks.iter().map(|look| look.gaps.len()).sum();
                if looks.is_empty() {
                    (Seen::Open, "nobody has looked through them yet".to_owned())
                } else {
                    told(gaps == 0, format!("{gaps} gaps"))
                }
            }
            Proof::Close => {
                let mut open = Vec::new();
                for entity in &self.facts.entities {
                    let last = entity.period_of(self.now).ok().and_then(|period| period.previous());
                    let Some(period) = last else { continue };
                    if !matches!(
                        self.view.close_state(self.brand, &entity.name, period)?,
                        CloseState::Signed | CloseState::Restated
                    ) {
                        open.push(format!("{} {period}", entity.name));
                    }
                }
                if self.facts.entities.is_empty() {
                    (Seen::Open, "no entity is closed here".to_owned())
                } else {
                    told(
                        open.is_empty(),
                        if open.is_empty() { "signed".to_owned() } else { format!("not signed: {}", open.join(", ")) },
                    )
                }
            }
            Proof::Backup => {
                let last = self.view.last_act(self.brand, "store.backup")?;
                let words = last.map_or_else(
                    || "none was made by selvedge backup".to_owned(),
                    |at| format!("the last was made on {}", at.to_zoned(self.facts.zone.clone()).date()),
                );
                told(self.within_days(last, BACKUP_DAYS), words)
            }
            Proof::Trail => {
                let acts = self.view.audit_rows(self.brand, 1)?.pop().map_or(0, |row| row.number);
                if acts > ACTS_MAX {
                    return Ok((
                        Seen::Open,
                        format!("{acts} acts: too many to compute for a page; selvedge audit-log verify does"),
                    ));
                }
                let broken = self.view.audit_broken_at(self.brand)?;
                told(
                    broken.is_none(),
                    broken.map_or_else(|| format!("{acts} acts, whole"), |number| format!("it breaks at act {number}")),
                )
            }
        })
    }
}
