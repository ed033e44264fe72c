//! Stock out of the partner's snapshots: the newest one counts, older ones are put away.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use selvedge_connector::{Cursor, Fault, LevelPage, Priority, StockSource, Wanted};
use selvedge_model::{ExternalId, Kit, LocationId, Problem, Sku, StockLevel};

use super::{
    exchange::{Exchange, File},
    message::{Contents, FileKind, Row, Unread},
    news::hash,
    outbox::acknowledge_syntax,
    read,
    settings::Form,
};

/// No warehouse has so many units of one item; what is added up of figures within it never overflows.
const UNITS_MAX: i64 = 1_000_000_000_000;

/// The port.
pub(super) struct Snapshots {
    pub exchange: Arc<Exchange>,
    /// The content that was answered last, so that its answer is not looked for each time.
    pub answered: Mutex<Option<String>>,
}

/// Figures of one item at one place while rows are added up: lots, bins and states have rows of their own.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    on_hand: Option<i64>,
    allocated: i64,
    blocked: i64,
    available: Option<i64>,
    incoming: i64,
}

/// What a snapshot says, and the rows that it cannot say it in.
pub(super) fn levels(contents: &[Contents], taken_at: Timestamp, form: &Form) -> (Vec<StockLevel>, Vec<(ExternalId, Problem)>) {
    let (mut sums, mut unread) = (BTreeMap::<(String, String), (Figures, Timestamp)>::new(), Vec::new());
    for row in contents.iter().flat_map(|contents| &contents.rows) {
        if let Err((sku, message)) = add(row, taken_at, form, &mut sums) {
            let problem = Problem::new(
                "stock.unreadable",
                "",
                format!("row {} of the snapshot: {message}", row.number),
                "Ask the partner to correct it; the next snapshot closes this by itself. The item keeps its last figure.",
            );
            unread.push((ExternalId::new(sku), problem));
        }
    }
    let level = |((place, sku), (figures, as_of)): ((String, String), (Figures, Timestamp))| {
        // What is blocked or damaged is there, and cannot be sold.
        let on_hand =
            figures.on_hand.map_or_else(|| figures.available.unwrap_or(0) + figures.allocated, |all| all - figures.blocked);
        let committed = match (figures.on_hand, figures.available) {
            (Some(_), Some(available)) => (on_hand - available).max(0),
            _ => figures.allocated,
        };
        StockLevel {
            sku: Sku::new(&sku),
            location: LocationId::new(place),
            item: ExternalId::new(&sku),
            as_of,
            changed_at: None,
            on_hand,
            committed,
            back_ordered: 0,
            pending_approval: 0,
            available: figures.available.unwrap_or(on_hand - committed),
            incoming: figures.incoming,
            active: true,
            unit_value: None,
            categories: Vec::new(),
        }
    };
    // Of an item with a row that cannot be read, the others tell but a part.
    let wrong: BTreeSet<&str> = unread.iter().map(|(sku, _)| sku.as_str()).collect();
    let sums = sums.into_iter().filter(|((_, sku), _)| !wrong.contains(sku.as_str()));
    (sums.map(level).collect(), unread)
}

fn add(
    row: &Row,
    taken_at: Timestamp,
    form: &Form,
    sums: &mut BTreeMap<(String, String), (Figures, Timestamp)>,
) -> Result<(), (String, String)> {
    let sku = row.get("sku").unwrap_or_default().to_owned();
    let wrong = |message: String| (sku.clone(), message);
    if let Some(why) = &row.fault {
        return Err(wrong(why.clone()));
    }
    if sku.is_empty() {
        return Err(wrong(format!(
            "it names no SKU{}",
            row.get("barcode").map(|code| format!(" (barcode {code})")).unwrap_or_default()
        )));
    }
    let units = |name: &str| match row.get(name) {
        None => Ok(None),
        Some(text) => form.numbers.units(text).map(Some).map_err(|why| (sku.clone(), format!("{name} of {sku}: {why}"))),
    };
    let as_of = match row.get("generated_at").map(|text| form.times.instant(text)) {
        Some(Ok(at)) => at,
        Some(Err(why)) => return Err(wrong(format!("generated_at of {sku}: {why}"))),
        None => taken_at,
    };
    let (on_hand, available) = (units("on_hand")?, units("available")?);
    if on_hand.is_none() && available.is_none() {
        return Err(wrong(format!(
            "neither what is there nor what is available is said of {sku}; an empty quantity is not nought"
        )));
    }
    let (allocated, incoming) = (units("allocated")?.unwrap_or(0), units("incoming")?.unwrap_or(0));
    let (quarantine, damaged) = (units("quarantine")?.unwrap_or(0), units("damaged")?.unwrap_or(0));
    let place = row.get("warehouse").unwrap_or(&form.warehouse).to_owned();
    let key = (place, sku.clone());
    let (figures, oldest) = sums.get(&key).copied().unwrap_or((Figures::default(), as_of));
    let sum = |a: i64, b: i64| {
        let sum = a.checked_add(b).filter(|sum| (-UNITS_MAX..=UNITS_MAX).contains(sum));
        sum.ok_or_else(|| (sku.clone(), format!("{sku}: {a} and {b} are more units than any warehouse has")))
    };
    let both = |a: Option<i64>, b: Option<i64>| match (a, b) {
        (None, None) => Ok(None),
        (a, b) => sum(a.unwrap_or(0), b.unwrap_or(0)).map(Some),
    };
    let summed = Figures {
        on_hand: both(figures.on_hand, on_hand)?,
        allocated: sum(figures.allocated, allocated)?,
        blocked: sum(figures.blocked, sum(quarantine, damaged)?)?,
        available: both(figures.available, available)?,
        incoming: sum(figures.incoming, incoming)?,
    };
    sums.insert(key, (summed, oldest.min(as_of)));
    Ok(())
}

impl Snapshots {
    /// The newest snapshot; those before it are put away.
    async fn newest(&self, priority: Priority) -> Result<(File, Vec<u8>), Fault> {
        let mut files = self.exchange.news(priority).await?;
        files.retain(|file| file.kind == FileKind::Stock);
        let newest = files.pop();
        if self.exchange.is_read_only() {
            // Others put them away.
            files.clear();
        }
        for old in files {
            let path = format!("{}/{}", self.exchange.form.folders.news, old.name);
            if let Some(bytes) = self.exchange.read(&path, priority).await? {
                let read = read::contents(&bytes, FileKind::Stock, &self.exchange.form);
                self.acknowledge(&bytes, read.as_deref().unwrap_or_default()).await?;
                self.exchange.archive(&old.name, &hash(&bytes), Some((old.size, old.modified)), Priority::Control).await?;
            }
        }
        if let Some(file) = newest {
            let path = format!("{}/{}", self.exchange.form.folders.news, file.name);
            if let Some(bytes) = self.exchange.read(&path, priority).await? {
                return Ok((file, bytes));
            }
        }
        Err(refused(
            "there is no stock file of the partner's yet",
            "Ask them for a whole snapshot; nothing is changed in the shop until it comes.",
        ))
    }
}

impl Snapshots {
    /// Tells the partner that a snapshot was read, where its format has a word for that; once, however often it is read.
    async fn acknowledge(&self, bytes: &[u8], contents: &[Contents]) -> Result<(), Fault> {
        let owed: Vec<Vec<Vec<String>>> = contents.iter().filter_map(|one| one.acknowledgement.clone()).collect();
        if owed.is_empty() || self.exchange.is_read_only() {
            return Ok(());
        }
        let hash = hash(bytes);
        if self.answered.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&hash) {
            return Ok(());
        }
        acknowledge_syntax(&self.exchange, &hash, &owed).await?;
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash);
        Ok(())
    }
}

fn refused(message: &str, remedy: &str) -> Fault {
    let problem = Problem::new("stock.snapshot", "", message, remedy);
    Fault::Refused { what: "read the partner's stock".to_owned(), problems: vec![problem] }
}

#[async_trait]
impl StockSource for Snapshots {
    async fn levels(
        &self,
        wanted: Wanted<'_>,
        places: &[LocationId],
        _page: Option<&Cursor>,
        priority: Priority,
    ) -> Result<LevelPage, Fault> {
        let (file, bytes) = self.newest(priority).await?;
        let form = &self.exchange.form;
        let contents = read::contents(&bytes, FileKind::Stock, form).map_err(|why| match why {
            Unread::Refused(why) | Unread::Unfinished(why) => refused(
                &format!("{} is not used: {why}", file.name),
                "Ask the partner for the snapshot once more, whole; nothing is changed in the shop until it comes.",
            ),
        })?;
        self.acknowledge(&bytes, &contents).await?;
        if contents.iter().all(|contents| contents.rows.is_empty()) {
            return Err(refused(
                &format!("{} holds no row", file.name),
                "An empty snapshot never empties the shop. Ask the partner for a whole one.",
            ));
        }
        let (mut levels, unread) = levels(&contents, file.modified, form);
        // A clock of theirs that is ahead would keep every later snapshot from taking effect.
        let now = self.exchange.clock.now();
        levels.iter_mut().for_each(|level| level.as_of = level.as_of.min(now));
        levels.retain(|level| {
            let asked = match wanted {
                Wanted::Items(items) => items.contains(&level.item),
                Wanted::Everything | Wanted::Since(_) => true,
            };
            asked && (places.is_empty() || places.contains(&level.location))
        });
        Ok(LevelPage { levels, unread, next: None })
    }

    fn items_max(&self) -> usize {
        1_000
    }

    async fn kits(&self) -> Result<Vec<Kit>, Fault> {
        Ok(Vec::new())
    }

    fn commit_lag(&self) -> Duration {
        self.exchange.form.stock_lag
    }
}
