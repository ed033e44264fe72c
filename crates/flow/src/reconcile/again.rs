//! Stock is looked at twice before anything is said of it.
//!
//! A figure is true at one instant, and two ends are never read at the same one: while an item sells, every look sees some gap. So what
//! differs is read once more, both ends one after the other; a gap that has changed moves, and is on its way. What is promised to
//! orders that the source has not heard of yet is on its way, too; and an item that the shop does not list is not sold there.

use std::collections::{BTreeMap, BTreeSet};

use selvedge_connector::{Cursor, Fault, StatementPage, Wanted, statements};
use selvedge_model::{
    ConnectionName, ExternalId, Interval, Kind, RecordKey, Sku,
    reconcile::{Family, Terms, Verdict, Why, stock},
    statement::{Entry, Stage},
};
use selvedge_store::{Result, StoreError, reconciliations::ReconciliationRow, statements::End};

use super::{
    PairSetup, Reconciler, goods,
    settle::{STEP_DOCUMENTS, settle_with_ledger, with_buffers},
};
use crate::backoff::before;

/// Items that are looked at twice; where more differ, it is not the moment that makes them.
const TWICE_MAX: usize = 5_000;

/// What could not be asked of a system, inside what the store answers.
type Asked<T> = Result<std::result::Result<T, Fault>>;

impl Reconciler {
    /// The terms with what a second look at the figures shows.
    pub(super) async fn again(&self, pair: &PairSetup, run: &ReconciliationRow, terms: Terms) -> Asked<Terms> {
        let in_transit = match self.in_transit(pair, terms.allowance).await? {
            Ok(units) => units,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut terms = Terms { in_transit, ..terms };
        let (differing, absent) = self.differing(pair, run, &terms).await?;
        let second = match self.second(pair, &differing).await? {
            Ok(second) => second,
            Err(fault) => return Ok(Err(fault)),
        };
        for family in &differing {
            let new = Family {
                key: family.key.clone(),
                ours: family.ours.iter().filter_map(|entry| second.get(&known(End::Source, entry)).cloned()).collect(),
                theirs: family.theirs.iter().filter_map(|entry| second.get(&known(End::Target, entry)).cloned()).collect(),
            };
            if stock::moves(stock::gap(&family.ours, &family.theirs), stock::gap(&new.ours, &new.theirs)) {
                terms.moving.insert(family.key.clone());
            }
        }
        if !absent.is_empty() {
            terms.unlisted = match self.unlisted(pair, run, absent).await? {
                Ok(unlisted) => unlisted,
                Err(fault) => return Ok(Err(fault)),
            };
        }
        Ok(Ok(terms))
    }

    /// Figures that do not agree, as the look has them; and items of which the target shows none.
    async fn differing(&self, pair: &PairSetup, run: &ReconciliationRow, terms: &Terms) -> Result<(Vec<Family>, BTreeSet<Sku>)> {
        let (pair, run, terms, brand) = (pair.clone(), run.clone(), terms.clone(), self.brand.clone());
        self.store
            .read(move |view| {
                let (mut found, mut absent, mut after) = (Vec::new(), BTreeSet::new(), None::<String>);
                loop {
                    let families = view.families(run.id, after.as_deref(), STEP_DOCUMENTS)?;
                    for family in families.families {
                        let family = with_buffers(view, &brand, &pair, family)?;
                        let matches = settle_with_ledger(view, &brand, &pair, &run.window, &family, &terms, run.started_at)?;
                        let of_stock = matches.iter().filter(|one| one.kind() == Some(Kind::Stock));
                        let why = of_stock
                            .filter(|one| one.verdict == Verdict::Open)
                            .find_map(|one| one.findings.first().map(|finding| finding.why));
                        match why {
                            Some(Why::ItemMissing) => absent.extend(sku(&family)),
                            Some(_) if found.len() < TWICE_MAX => found.push(family),
                            _ => {}
                        }
                    }
                    match families.last {
                        Some(last) => after = Some(last),
                        None => return Ok((found, absent)),
                    }
                }
            })
            .await
    }

    /// The same figures as they are now: the target first, as in the first look.
    async fn second(&self, pair: &PairSetup, differing: &[Family]) -> Asked<BTreeMap<Place, Entry>> {
        let mut wanted: BTreeMap<(u8, ConnectionName), BTreeSet<ExternalId>> = BTreeMap::new();
        for family in differing {
            for (order, end, entries) in [(0, End::Target, &family.theirs), (1, End::Source, &family.ours)] {
                for entry in entries.iter().filter(|entry| entry.kind == Kind::Stock) {
                    let (_, name, item, _) = known(end, entry);
                    wanted.entry((order, name)).or_default().insert(item);
                }
            }
        }
        let mut second = BTreeMap::new();
        for ((order, name), items) in wanted {
            let end = if order == 0 { End::Target } else { End::Source };
            let connection = self.connections.get(&name).ok_or_else(|| StoreError::Absent(format!("connection {name}")))?;
            let items: Vec<ExternalId> = items.into_iter().collect();
            let most = connection.stock_source.as_ref().map_or(1, |source| source.items_max()).max(1);
            for items in items.chunks(most) {
                let mut page: Option<Cursor> = None;
                loop {
                    let told = match goods::stock(connection, pair, end, Wanted::Items(items), page.as_ref()).await {
                        Ok(told) => told.unwrap_or_default(),
                        Err(fault) => return Ok(Err(fault)),
                    };
                    for mut entry in told.entries {
                        entry.told_by = Some(name.clone());
                        second.insert(known(end, &entry), entry);
                    }
                    match told.next {
                        Some(next) => page = Some(next),
                        None => break,
                    }
                }
            }
        }
        Ok(Ok(second))
    }

    /// Which of these items the target does not list. Where it tells no items, none.
    async fn unlisted(&self, pair: &PairSetup, run: &ReconciliationRow, mut absent: BTreeSet<Sku>) -> Asked<BTreeSet<Sku>> {
        let Some(connection) = self.connections.get(&pair.target).filter(|connection| goods::tells_items(connection)) else {
            return Ok(Ok(BTreeSet::new()));
        };
        let mut page: Option<Cursor> = None;
        loop {
            let told = match goods::items(connection, &run.read, page.as_ref(), self.clock.now()).await {
                Ok(told) => told.unwrap_or_default(),
                Err(fault) => return Ok(Err(fault)),
            };
            // What cannot be read may be any of them.
            if !told.unread.is_empty() {
                return Ok(Ok(BTreeSet::new()));
            }
            for entry in told.entries.iter().filter_map(|entry| entry.key.as_ref()) {
                absent.remove(&Sku::new(entry.as_str()));
            }
            match told.next.filter(|_| !absent.is_empty()) {
                Some(next) => page = Some(next),
                None => return Ok(Ok(absent)),
            }
        }
    }

    /// Units by item in orders that were placed lately at the target of this stock and do not stand at its source yet.
    async fn in_transit(&self, stock: &PairSetup, allowance: std::time::Duration) -> Asked<BTreeMap<Sku, i64>> {
        let now = self.clock.now();
        let lately = Interval { from: before(before(now, allowance), allowance), to: now };
        let mut units: BTreeMap<Sku, i64> = BTreeMap::new();
        for orders in self.orders_of(stock) {
            // Where they have to stand first: what arrives meanwhile counts as on its way, which hides nothing for longer than a look.
            let mut there: BTreeSet<RecordKey> = BTreeSet::new();
            // Of the shops that sell from these books only this one: another's orders lower neither figure.
            for (end, name) in [(End::Target, &orders.target), (End::Source, &stock.target)] {
                let connection = self.connections.get(name).ok_or_else(|| StoreError::Absent(format!("connection {name}")))?;
                let mut page: Option<Cursor> = None;
                loop {
                    let told: StatementPage = match statements::page(connection, Kind::Order, &lately, page.as_ref()).await {
                        Ok(told) => told.unwrap_or_default(),
                        Err(fault) => return Ok(Err(fault)),
                    };
                    for entry in told.entries {
                        let key = entry.family().cloned();
                        match end {
                            End::Target => there.extend(key),
                            End::Source if entry.stage == Stage::Void || key.is_some_and(|key| there.contains(&key)) => {}
                            End::Source => {
                                for line in &entry.lines {
                                    let sum = units.entry(line.sku.clone()).or_default();
                                    *sum = sum.saturating_add(line.quantity);
                                }
                            }
                        }
                    }
                    match told.next {
                        Some(next) => page = Some(next),
                        None => break,
                    }
                }
            }
        }
        Ok(Ok(units))
    }
}

/// A figure: at which end, who tells it, of which item, where.
type Place = (End, ConnectionName, ExternalId, String);

fn known(end: End, entry: &Entry) -> Place {
    let (item, place) = entry.id.as_str().rsplit_once('@').unwrap_or((entry.id.as_str(), ""));
    let name = entry.told_by.clone().unwrap_or_else(|| ConnectionName::new(""));
    (end, name, ExternalId::new(item), place.to_owned())
}

fn sku(family: &Family) -> Option<Sku> {
    family.ours.iter().chain(&family.theirs).find_map(|entry| entry.lines.first()).map(|line| line.sku.clone())
}
