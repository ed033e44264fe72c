//! A stand-in for a third-party warehouse that exchanges files over a real SFTP server.
//!
//! Written from the fact sheet of such exchanges. It takes orders as delimited files or as X12 940, answers each (an
//! acknowledgement file, or a 997), ships in parts, and says so in files that come again, late, corrected or with a bad
//! row. Told to, it takes back what was announced and some of what was not, as parcels come back: short, over, another item, in mixed
//! condition, undelivered, without a paper. What a partner would complain of is remembered: an order twice, a file written in place, counts that are wrong.

mod desk;
mod files;
mod returns;
mod state;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use selvedge_sftp::{Fate, Operation, Served, Server};
use serde::{Deserialize, Serialize};

use crate::linnworks::s10;
use crate::mischief::{Fault, Mischief, Profile, mix};
use crate::shelf::{Item, ShelfOrder, ShelfShipment};

pub use desk::Desk;

use files::{Level, Order, Shipment};
use state::State;

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma separated.
    Csv,
    /// 940, 945, 846, 997.
    X12,
}

/// How the warehouse is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// How files are written.
    pub format: Format,
    /// The warehouse's code.
    pub warehouse: String,
    /// Its services.
    pub services: Vec<String>,
    /// SKUs that it does not know: an order with one is refused.
    pub unknown: Vec<String>,
    /// Whether it acknowledges orders.
    pub acknowledges: bool,
    /// Whether goods come back: what is announced, and some that nobody announced. Else announcements are taken and nothing comes.
    pub returns: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            format: Format::Csv,
            warehouse: "WH01".to_owned(),
            services: ["STD", "EXP", "INT"].map(str::to_owned).to_vec(),
            unknown: Vec::new(),
            acknowledges: true,
            returns: false,
        }
    }
}

/// All that somebody needs to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Port on 127.0.0.1.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The fingerprint of the server's key.
    pub host_key: String,
    /// The warehouse's code.
    pub warehouse: String,
    /// Its services.
    pub services: Vec<String>,
    /// `csv` or `x12`.
    pub format: String,
}

/// Our end of an interchange and theirs.
pub const SHOP: &str = "SHOP01";
const USER: &str = "brand";

/// The warehouse. Cheap to clone.
#[derive(Clone)]
pub struct ThreePl(Arc<Inner>);

struct Inner {
    root: PathBuf,
    /// Kept for as long as the folder is wanted.
    _temporary: Option<Temporary>,
    state: Mutex<State>,
    items: Vec<Item>,
    violations: Mutex<Vec<String>>,
    mischief: Mischief,
    options: Options,
    password: String,
    calls: AtomicU64,
    /// Whether nobody works there.
    stopped: AtomicBool,
}

/// A folder that goes when it is no longer wanted.
struct Temporary(PathBuf);

impl Temporary {
    fn new(what: &str) -> Temporary {
        Temporary(std::env::temp_dir().join(format!("sim-{what}-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl ThreePl {
    /// Opens the warehouse, with what it kept under `folder`.
    /// Errors when a folder or the journal cannot be used.
    pub fn open(
        seed: u64,
        identity: &str,
        items: Vec<Item>,
        mischief: Mischief,
        options: Options,
        folder: Option<&Path>,
    ) -> anyhow::Result<ThreePl> {
        let temporary = folder.is_none().then(|| Temporary::new("3pl"));
        let root = match (folder, &temporary) {
            (Some(folder), _) => folder.join("threepl"),
            (None, Some(temporary)) => temporary.0.clone(),
            (None, None) => anyhow::bail!("there is no folder"),
        };
        for name in ["in", "out"] {
            std::fs::create_dir_all(root.join(name))?;
        }
        let state = State::open(identity, folder.map(|folder| folder.join("threepl.jsonl")).as_deref())?;
        let mischief = mischief.run(state.starts());
        let warehouse = ThreePl(Arc::new(Inner {
            root,
            _temporary: temporary,
            state: Mutex::new(state),
            items,
            violations: Mutex::default(),
            mischief,
            options,
            password: format!("{:016x}", mix(seed ^ 3)),
            calls: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }));
        warehouse.snapshot()?;
        Ok(warehouse)
    }

    /// Serves its folder on a port of 127.0.0.1 (0: any free one).
    /// Errors when the port is taken.
    pub async fn serve(&self, port: u16) -> anyhow::Result<(Served, Access)> {
        // A connection that outlives the warehouse must not keep its journal locked.
        let inner = Arc::downgrade(&self.0);
        let server = Server {
            gate: Arc::new(move |operation| inner.upgrade().map_or(Fate::BreakBefore, |inner| inner.fate(operation))),
            ..Server::new(&self.0.root, USER, &self.0.password)
        };
        let served = server.serve(port, Some(&self.0.root.join(".host_key"))).await?;
        let access = Access {
            port: served.address.port(),
            user: USER.to_owned(),
            password: self.0.password.clone(),
            host_key: served.host_key.clone(),
            warehouse: self.0.options.warehouse.clone(),
            services: self.0.options.services.clone(),
            format: if self.0.options.format == Format::Csv { "csv" } else { "x12" }.to_owned(),
        };
        Ok((served, access))
    }

    /// The folder that is served.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// What a partner would complain of.
    pub fn violations(&self) -> Vec<String> {
        self.0.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Operations asked of the server so far.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// The warehouse takes what was put down and does one thing to each order. Returns how many things happened.
    /// Errors when a file or the journal cannot be written.
    pub fn step(&self) -> anyhow::Result<usize> {
        let mut done = self.take_in()?;
        if self.0.stopped.load(Ordering::Relaxed) {
            return Ok(done);
        }
        let open: Vec<Order> = self.0.state().orders.values().filter(|order| can_move(order)).cloned().collect();
        for order in open {
            done += 1;
            self.advance(order)?;
        }
        if self.0.options.returns {
            done += self.take_back()?;
        }
        if done > 0 {
            self.snapshot()?;
        }
        Ok(done)
    }

    /// From now on nothing leaves and nothing is told (orders are taken and acknowledged), or everything goes on.
    pub fn stop_work(&self, stopped: bool) {
        self.0.stopped.store(stopped, Ordering::Relaxed);
    }

    /// Whether nothing is left to take, to ship or to tell.
    pub fn is_done(&self) -> bool {
        let waiting = std::fs::read_dir(self.0.root.join("in")).is_ok_and(|mut files| files.next().is_some());
        // What it told must be taken, too: else nobody knows of it.
        let told = std::fs::read_dir(self.0.root.join("out"))
            .is_ok_and(|files| files.flatten().any(|file| !file.file_name().to_string_lossy().starts_with("inv")));
        let comes_back = self.0.options.returns && self.awaits();
        !waiting && !told && !comes_back && !self.0.state().orders.values().any(can_move)
    }

    /// All orders as they stand.
    pub fn orders(&self) -> Vec<ShelfOrder> {
        let state = self.0.state();
        let shown = |order: &Order| ShelfOrder {
            doc: order.doc.clone(),
            id: order.file.clone(),
            cancelled: order.cancelled || order.refused,
            service: order.service.clone(),
            warehouse: self.0.options.warehouse.clone(),
            lines: order.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect(),
        };
        state.orders.values().map(shown).collect()
    }

    /// What left.
    pub fn shipments(&self) -> Vec<ShelfShipment> {
        let state = self.0.state();
        let all = state.orders.values().flat_map(|order| order.shipments.iter().map(move |shipment| (order, shipment)));
        all.map(|(order, shipment)| ShelfShipment {
            doc: order.doc.clone(),
            id: shipment.id.clone(),
            cancelled: false,
            lines: shipment.lines.iter().map(|(at, units)| (order.sku(*at), *units)).collect(),
            carrier: shipment.carrier.clone(),
            tracking: shipment.tracking.iter().cloned().collect(),
            shipped_at: jiff::Timestamp::from_millisecond(shipment.at).unwrap_or(jiff::Timestamp::UNIX_EPOCH),
        })
        .collect()
    }

    /// Puts a file down for the shop, as it is; for tests of what partners write.
    /// Errors when it cannot be written.
    pub fn put(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        put_down(&self.0.root, name, bytes)
    }

    fn blame(&self, what: String) {
        self.0.violations.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Reads what was put down; each file is gone once it is in the journal.
    fn take_in(&self) -> anyhow::Result<usize> {
        let mut names: Vec<String> = std::fs::read_dir(self.0.root.join("in"))?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect();
        // In the order in which they were numbered: a cancellation is read after its order.
        names.sort_by_key(|name| (number_in(name), name.clone()));
        for name in &names {
            let path = self.0.root.join("in").join(name);
            let text = std::fs::read_to_string(&path)?;
            self.take(name, &text)?;
            std::fs::remove_file(&path)?;
        }
        Ok(names.len())
    }

    fn take(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let read_before = {
            let state = self.0.state();
            state.orders.contains_key(name) || state.announcements.values().any(|one| one.file == name)
        };
        if read_before {
            return Ok(());
        }
        let read = match self.0.options.format {
            Format::Csv if name.starts_with("rma_") || name.starts_with("rmc_") => files::read_announcement(name, text),
            Format::Csv => files::read_csv(name, text),
            Format::X12 => files::read_x12(name, text),
        };
        let taken = match read {
            Ok(taken) => taken,
            Err(why) => {
                self.blame(format!("{name}: {why}"));
                return Ok(());
            }
        };
        match taken {
            files::Taken::Acknowledgement => Ok(()),
            files::Taken::Announcement(one) => self.announced(name, one),
            files::Taken::Withdrawal { reference } => self.withdrawn(name, &reference),
            files::Taken::Cancellation { doc } => {
                let known = self.0.state().orders.values().find(|order| order.doc == doc && !order.refused).cloned();
                match known {
                    Some(mut order) => {
                        // Too late, once something has left.
                        order.cancelled = order.shipments.is_empty();
                        self.0.state().put(order)
                    }
                    None => {
                        self.blame(format!("{name}: cancels order {doc}, which was never sent"));
                        Ok(())
                    }
                }
            }
            files::Taken::Order(mut order) => {
                if self.0.state().orders.values().any(|known| known.doc == order.doc && !known.refused && !known.cancelled) {
                    self.blame(format!("{name}: order {} is here already", order.doc));
                }
                if !self.0.options.services.contains(&order.service) {
                    self.blame(format!("{name}: {:?} is no service of this warehouse", order.service));
                }
                let unknown =
                    order.lines.iter().find(|line| self.0.options.unknown.contains(&line.sku)).map(|line| line.sku.clone());
                order.refused = unknown.is_some();
                if self.0.options.acknowledges {
                    let number = self.0.state().next_file();
                    let (file, text) = match self.0.options.format {
                        Format::Csv => (format!("ack_{number:06}.csv"), files::csv_answer(&order, unknown.as_deref())),
                        Format::X12 => (
                            format!("ack_{number:06}.x12"),
                            files::x12_answer(
                                ("OW", "940", &order.control),
                                number,
                                unknown.is_some(),
                                &self.0.options.warehouse,
                            ),
                        ),
                    };
                    self.put(&file, text.as_bytes())?;
                    self.0.state().take_file(number)?;
                }
                self.0.state().put(order)
            }
        }
    }

    /// One thing happens to an order: it ships, whole or a part, or something is told of what left.
    fn advance(&self, mut order: Order) -> anyhow::Result<()> {
        let mischief = &self.0.mischief;
        let now = mischief.now().as_millisecond();
        let key = crate::mischief::hash_text(&order.doc);
        if let Some(at) = order.shipments.iter().position(|shipment| shipment.tracking_later.is_some()) {
            if let Some(shipment) = order.shipments.get_mut(at) {
                shipment.tracking = shipment.tracking_later.take();
            }
            self.tell(&order, at, false)?;
            return self.0.state().put(order);
        }
        if let Some(at) = order.shipments.iter().position(|shipment| shipment.again) {
            if let Some(shipment) = order.shipments.get_mut(at) {
                shipment.again = false;
            }
            self.tell(&order, at, false)?;
            return self.0.state().put(order);
        }
        let parts = if mischief.pick("parts", key, 4) == 0 && order.shipments.is_empty() { 2 } else { 1 };
        let mut lines: Vec<(usize, i64)> = order.left();
        if parts == 2 {
            // One unit stays behind for the second part, where there are two.
            let units: i64 = lines.iter().map(|(_, units)| units).sum();
            if units > 1
                && let Some(last) = lines.last_mut()
            {
                last.1 -= 1;
            }
            lines.retain(|(_, units)| *units > 0);
        }
        let number = order.shipments.len();
        let dice = mischief.pick("shipment", key.wrapping_add(u64::try_from(number).unwrap_or(0)), 12);
        let rough = mischief.profile() != Profile::None;
        let tracking = s10(key % 10_000_000 + u64::try_from(number).unwrap_or(0), false);
        let late = dice == 0;
        let bad = rough && dice == 1;
        order.shipments.push(Shipment {
            id: format!("S{}-{}", order.doc, number + 1),
            carrier: "PostNord".to_owned(),
            lines,
            tracking: (!late).then(|| tracking.clone()),
            tracking_later: late.then_some(tracking),
            again: bad || (rough && dice == 2),
            at: now,
        });
        self.tell(&order, number, bad)?;
        self.0.state().put(order)
    }

    /// Puts down what left; with a bad row when `bad`, to be corrected later.
    fn tell(&self, order: &Order, at: usize, bad: bool) -> anyhow::Result<()> {
        let Some(shipment) = order.shipments.get(at) else { return Ok(()) };
        let number = self.0.state().next_file();
        let warehouse = &self.0.options.warehouse;
        let (file, text) = match self.0.options.format {
            Format::Csv => (format!("shp_{warehouse}_{number:06}.csv"), files::csv_shipment(order, shipment, warehouse, bad)),
            Format::X12 => {
                (format!("shp_{warehouse}_{number:06}.x12"), files::x12_shipment(order, shipment, number, warehouse, bad))
            }
        };
        self.put(&file, text.as_bytes())?;
        self.0.state().take_file(number)
    }

    /// Puts a snapshot of the stock down in place of the last.
    fn snapshot(&self) -> anyhow::Result<()> {
        let left = |item: &Item| {
            let shipped: i64 = self.shipped(&item.sku);
            item.stock.get(&self.0.options.warehouse).copied().unwrap_or(0) - shipped
        };
        // What was scrapped is there no more.
        let back = |sku: &str, words: &[&str]| -> i64 {
            let state = self.0.state();
            let pieces = state.arrivals.values().flat_map(|arrival| &arrival.pieces);
            pieces.filter(|piece| piece.sku == sku && words.contains(&piece.word.as_str())).map(|piece| piece.units).sum()
        };
        let promised = |sku: &str| -> i64 {
            let state = self.0.state();
            let open = state.orders.values().filter(|order| !order.cancelled && !order.refused);
            open.flat_map(|order| order.left().into_iter().map(move |(at, units)| (order.sku(at), units)))
                .filter(|(known, _)| known == sku)
                .map(|(_, units)| units)
                .sum()
        };
        let now = self.0.mischief.now();
        let level = |item: &Item| Level {
            sku: item.sku.clone(),
            there: left(item) + back(&item.sku, &["restock", "hold"]),
            promised: promised(&item.sku),
            blocked: back(&item.sku, &["hold"]),
        };
        let rows: Vec<Level> = self.0.items.iter().map(level).collect();
        let warehouse = &self.0.options.warehouse;
        let (file, text) = match self.0.options.format {
            Format::Csv => (format!("inv_{warehouse}.csv"), files::csv_stock(&rows, now, warehouse)),
            Format::X12 => (format!("inv_{warehouse}.x12"), files::x12_stock(&rows, now, warehouse)),
        };
        self.put(&file, text.as_bytes())
    }

    fn shipped(&self, sku: &str) -> i64 {
        let state = self.0.state();
        let all = state.orders.values().flat_map(|order| order.shipments.iter().map(move |shipment| (order, shipment)));
        all.flat_map(|(order, shipment)| shipment.lines.iter().map(move |(at, units)| (order.sku(*at), *units)))
            .filter(|(known, _)| known == sku)
            .map(|(_, units)| units)
            .sum()
    }
}

/// Puts a file down for the shop: it has its name once it is whole.
fn put_down(root: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = root.join("out");
    std::fs::write(folder.join(format!(".{name}.tmp")), bytes)?;
    std::fs::rename(folder.join(format!(".{name}.tmp")), folder.join(name))?;
    Ok(())
}

/// The running number in a file's name.
fn number_in(name: &str) -> u64 {
    let digits = |part: &str| part.split('.').next().and_then(|digits| digits.parse().ok());
    name.rsplit('_').next().and_then(digits).unwrap_or(u64::MAX)
}

/// Whether something is left to do for it.
fn can_move(order: &Order) -> bool {
    let told = order.shipments.iter().any(|shipment| shipment.tracking_later.is_some() || shipment.again);
    !order.refused && (told || (!order.cancelled && !order.left().is_empty()))
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of an operation at the server.
    fn fate(&self, operation: &Operation) -> Fate {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if let Operation::Write(path) = operation
            && path.trim_start_matches('/').starts_with("in/")
        {
            let mut violations = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
            violations.push(format!("{path} is written in place: it may be read before it is whole"));
        }
        fate(&self.mischief, operation)
    }
}

/// What chance makes of an operation.
fn fate(mischief: &Mischief, operation: &Operation) -> Fate {
    let writes = matches!(operation, Operation::Write(_) | Operation::Rename(..));
    match mischief.next(writes).fault {
        // A file server knows no word for "too many", and none that means the opposite.
        Fault::None | Fault::Throttle { .. } | Fault::ErrorIn200 => Fate::Do,
        Fault::ServerErrorAfter | Fault::LoseAnswerAfter | Fault::TruncateBody => Fate::BreakAfter,
        Fault::ServerErrorBefore | Fault::DropBefore => Fate::BreakBefore,
    }
}
