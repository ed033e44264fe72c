//! Pre-flight: every value that a source can send is put through the gate's mappings before an order carries it.
//!
//! The source tells what it can send; what it does not tell is taken from the orders of the last days. Of these values small
//! orders are made (`model::gate::preflight`), the sink says what it would look up for them, and the mappings and the target's own
//! lists answer, as they would at the gate. Nothing is written to any system, and nothing is ever mapped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, civil, tz::TimeZone};
use selvedge_connector::{Fault, SourceValues};
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, FlowName, Kind, Order, Problem, RecordId, Sku, daily,
    gate::{
        Lookup,
        preflight::{Carried, Gap, Idle, Preflight, Sendable, ValueList, Why},
        rules::{self, Standing},
    },
    likeness::Names,
    pick::pick_order,
    records::{LineKind, OrderLine, OrderStatus},
    routing,
};
use selvedge_store::{Result, Tx, View, mappings::MappingAnswer};

use crate::{
    FlowSetup,
    engine::{Engine, Flow},
    ports::AnySink,
    prepare::{Bench, PickSetup, Preparation},
};

/// Of how many days orders are looked at.
const DAYS: u32 = 30;
/// Orders read at once.
const PAGE: usize = 500;
/// Probing orders tried in one look at the store.
const PROBES: usize = 200;
/// Gaps for which suggestions are looked for, those of most orders first: each is compared with the whole list.
const SUGGESTED_MAX: usize = 200;
/// Suggestions for one gap.
const SUGGESTIONS: usize = 3;
/// Entries of one list that suggestions are looked for among.
const NAMES_MAX: usize = 200_000;
/// Gaps that are kept and shown of one flow.
const GAPS_MAX: usize = 5_000;
/// Gaps of one table that become an exception each; the rest of the table becomes one together.
const TOLD_MAX: usize = 25;
/// Idle mappings that are kept and shown of one flow.
const IDLE_MAX: usize = 1_000;
/// How often a page of a source's list is asked for before it is done without.
const TRIES: u32 = 4;
/// The wait between two tries, where the source names none, and the longest.
const TRY_WAIT: Duration = Duration::from_secs(2);
const TRY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Pages of one list: no shop has more than this times its page size.
const PAGES_MAX: usize = 10_000;

/// When it is looked at every night.
#[derive(Clone, Debug)]
pub struct PreflightSetup {
    /// At this time of the local clock.
    pub at: civil::Time,
    /// Whose clock.
    pub zone: TimeZone,
}

/// What a source said that it can send.
#[derive(Clone, Default)]
struct Told {
    sendable: Sendable,
    unlisted: BTreeMap<ValueList, String>,
    partial: bool,
}

/// A value that was looked up, and the orders that carried it.
type Asked = BTreeMap<(String, String), (Lookup, Carried)>;

/// Values that were looked up and have a good answer, by table and key.
type Fine = BTreeSet<(String, String)>;

/// What is gathered on the way through the orders.
#[derive(Default)]
struct Gathered {
    told: Told,
    asked: Asked,
    orders: u64,
    weights: BTreeSet<Option<u64>>,
    with_account: bool,
    without_account: bool,
}

/// What is worked with; cheap to clone into each look at the store.
#[derive(Clone)]
struct Tools {
    brand: Brand,
    setup: FlowSetup,
    sink: Arc<dyn AnySink>,
    now: Timestamp,
}

impl Engine {
    /// Looks at every flow of orders. Without `ask` no call is made, and values come from orders alone. With `keep` what was
    /// found takes the place of what was found before, and exceptions are raised and closed.
    ///
    /// # Errors
    /// The store's. A source or a list that cannot be read is part of what was found.
    pub async fn preflight(&self, ask: bool, keep: bool) -> Result<Vec<Preflight>> {
        let mut told: BTreeMap<ConnectionName, Told> = BTreeMap::new();
        let mut found = Vec::new();
        for flow in self.flows.iter().filter(|flow| flow.setup.kind == Kind::Order) {
            let from = &flow.setup.from;
            if !told.contains_key(from) {
                let of_source = self.told(from, ask).await;
                told.insert(from.clone(), of_source);
            }
            let of_source = told.get(from).cloned().unwrap_or_default();
            let (one, fine) = self.preflight_of(flow, of_source).await?;
            if keep {
                let (brand, kept) = (self.brand().clone(), one.clone());
                self.store().write(move |tx| write_down(tx, &brand, &kept, &fine)).await?;
            }
            found.push(one);
        }
        Ok(found)
    }

    /// The nightly look, once its time has come; whether it was.
    pub(crate) async fn preflight_if_due(&self) -> Result<bool> {
        let Some(setup) = &self.setup().preflight else { return Ok(false) };
        let now = self.now();
        let last = *self.locked_preflight();
        let last = match last {
            Some(last) => last,
            None => {
                let brand = self.brand().clone();
                // Before the first one, the nights count from the start: nothing is called for in the first seconds of a new system.
                let last = self.store().read(move |view| view.preflight_at(&brand)).await?.unwrap_or(now);
                *self.locked_preflight() = Some(last);
                last
            }
        };
        if daily::last_due(setup.at, &setup.zone, now).is_none_or(|due| due <= last) {
            return Ok(false);
        }
        let found = self.preflight(true, true).await?;
        *self.locked_preflight() = Some(now);
        for one in &found {
            tracing::info!(flow = %one.flow, gaps = one.gaps.len(), orders = one.orders, lookups = one.lookups, "the pre-flight is done");
        }
        Ok(true)
    }

    async fn told(&self, from: &ConnectionName, ask: bool) -> Told {
        let mut told = Told::default();
        let values = self.setup().connections.get(from).and_then(|connection| connection.values.clone());
        for list in ValueList::ALL {
            let why = match &values {
                _ if !ask => Some("it was not asked".to_owned()),
                None => Some(format!("{from} does not tell what it can send")),
                Some(values) if !values.lists().contains(&list) => Some(format!("{from} has no list of {}", list.words())),
                Some(_) if self.paused(from) => {
                    told.partial = true;
                    Some(format!("{from} takes no calls at present"))
                }
                Some(values) => self.read_values(values.as_ref(), list, &mut told).await,
            };
            if let Some(why) = why {
                told.unlisted.insert(list, why);
            }
        }
        told
    }

    /// Reads one list; why it could not be, if it could not.
    async fn read_values(&self, values: &dyn SourceValues, list: ValueList, told: &mut Told) -> Option<String> {
        let (mut cursor, mut tries) = (None, 0);
        for _ in 0..PAGES_MAX {
            match values.values(list, cursor.as_ref()).await {
                Ok(page) => {
                    tries = 0;
                    page.values.into_iter().for_each(|value| told.sendable.add(value));
                    match page.next {
                        Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                        _ => return None,
                    }
                }
                Err(fault) => {
                    let wait = match &fault {
                        Fault::Throttled { wait, .. } => wait.unwrap_or(TRY_WAIT),
                        Fault::Transient { .. } => TRY_WAIT,
                        // Who refuses it will refuse it again.
                        _ => {
                            told.partial = true;
                            return Some(fault.to_string());
                        }
                    };
                    tries += 1;
                    if tries >= TRIES || self.is_stopping() {
                        told.partial = true;
                        return Some(fault.to_string());
                    }
                    tokio::time::sleep(wait.min(TRY_WAIT_MAX)).await;
                }
            }
        }
        told.partial = true;
        Some("it has no end".to_owned())
    }

    async fn preflight_of(&self, flow: &Flow, told: Told) -> Result<(Preflight, Fine)> {
        let tools =
            Tools { brand: self.brand().clone(), setup: flow.setup.clone(), sink: Arc::clone(&flow.sink), now: self.now() };
        let mut gathered = Gathered { told, ..Gathered::default() };
        let mut after = None;
        loop {
            let mine = tools.clone();
            let next;
            (gathered, next) = self.store().read(move |view| mine.orders(view, gathered, after)).await?;
            match next {
                Some(row) => after = Some(row),
                None => break,
            }
        }
        if gathered.told.unlisted.contains_key(&ValueList::Skus) {
            let mut after = None;
            loop {
                let mine = tools.clone();
                let next;
                (gathered, next) = self.store().read(move |view| mine.products(view, gathered, after)).await?;
                match next {
                    Some(row) => after = Some(row),
                    None => break,
                }
            }
        }
        let mut probes = tools.probes(&mut gathered).into_iter();
        loop {
            let some: Vec<Order> = probes.by_ref().take(PROBES).collect();
            if some.is_empty() {
                break;
            }
            let mine = tools.clone();
            gathered = self.store().read(move |view| mine.probe(view, gathered, some)).await?;
        }
        let lists = self.setup().connections.get(&flow.setup.to).and_then(|to| to.lists.clone());
        let built_in = move |table: &str, id: &str| lists.as_ref().is_some_and(|lists| lists.is_built_in(table, id));
        self.store().read(move |view| tools.judge(view, gathered, &built_in)).await
    }
}

impl Tools {
    fn lookups(&self, order: &Order) -> Vec<Lookup> {
        let mut lookups = self.sink.lookups(&order.clone().into());
        // Where no way to send is known, what stands for it cannot be asked.
        lookups.retain(|lookup| order.shipping_method.is_some() || lookup.path != "shipping_method");
        lookups
    }

    fn pick(&self) -> Option<&PickSetup> {
        match &self.setup.preparation {
            Preparation::Pick(setup) => Some(setup),
            Preparation::None => None,
        }
    }

    /// A page of past orders.
    fn orders(&self, view: &View<'_>, mut gathered: Gathered, after: Option<RecordId>) -> Result<(Gathered, Option<RecordId>)> {
        let since = self.since();
        let (rows, next) = view.arrived_since(&self.brand, &self.setup.from, Kind::Order, since, after, PAGE)?;
        for row in rows {
            let AnyRecord::Order(order) = row.record else { continue };
            let excluded = matches!(rules::check_order(&order, &self.setup.policy, false), Standing::Excluded { .. });
            if order.placed_at < since || order.status == OrderStatus::Cancelled || excluded {
                continue;
            }
            gathered.orders = gathered.orders.saturating_add(1);
            if order.customer.is_some() {
                gathered.with_account = true
            } else {
                gathered.without_account = true
            }
            let unlisted: Vec<ValueList> = gathered.told.unlisted.keys().copied().collect();
            for list in unlisted {
                gathered.told.sendable.see(&order, list);
            }
            gathered.told.sendable.see_kinds(&order);
            for ready in self.ready(view, &order, false)? {
                if self.pick().is_some() {
                    gathered.weights.insert(ready.weight_grams);
                }
                let mut counted = BTreeSet::new();
                for lookup in self.lookups(&ready) {
                    let key = (lookup.table.clone(), lookup.key_text());
                    let (_, carried) = gathered.asked.entry(key.clone()).or_insert_with(|| (lookup, Carried::default()));
                    // An order that asks twice is one order.
                    if counted.insert(key) {
                        carried.add(&order);
                    }
                }
            }
        }
        Ok((gathered, next))
    }

    /// A page of what the shop sells, as far as it was captured.
    fn products(&self, view: &View<'_>, mut gathered: Gathered, after: Option<RecordId>) -> Result<(Gathered, Option<RecordId>)> {
        let (rows, next) =
            view.arrived_since(&self.brand, &self.setup.from, Kind::Product, Timestamp::UNIX_EPOCH, after, PAGE)?;
        let sku = |record: AnyRecord| if let AnyRecord::Product(product) = record { Some(product.sku) } else { None };
        gathered.told.sendable.skus.extend(rows.into_iter().filter_map(|row| sku(row.record)));
        Ok((gathered, next))
    }

    fn since(&self) -> Timestamp {
        self.now.checked_sub(Duration::from_secs(u64::from(DAYS) * 86_400)).unwrap_or(Timestamp::MIN)
    }

    /// An order as this flow hands it over: taken apart and shared out, where it goes to be picked. A probing order of many
    /// lines is tried line by line where one of them cannot be taken apart.
    fn ready(&self, view: &View<'_>, order: &Order, probing: bool) -> Result<Vec<Order>> {
        let Some(setup) = self.pick() else { return Ok(vec![order.clone()]) };
        let bench = Bench {
            view,
            brand: &self.brand,
            flow: &self.setup.name,
            flows: &[],
            shops: &[],
            sources: &[],
            keeps_bundles: false,
            now: self.now,
        };
        let goods = bench.goods(order)?;
        let mut as_sold = order.clone();
        if probing {
            // What the catalogue makes of other items is sold as a bundle.
            let made = |line: &&mut OrderLine| goods.get(&line.sku).is_some_and(|good| !good.recipe.is_empty());
            as_sold.lines.iter_mut().filter(made).for_each(|line| line.kind = LineKind::Bundle);
        }
        let order = &as_sold;
        let whole = match pick_order(order, &goods, None) {
            Ok(whole) => whole,
            Err(_) if order.lines.len() > 1 && probing => {
                let single = |line: &OrderLine| Order { lines: vec![line.clone()], ..order.clone() };
                let mut parts = Vec::new();
                for line in &order.lines {
                    parts.extend(self.ready(view, &single(line), true)?);
                }
                return Ok(parts);
            }
            // Why it cannot be taken apart is told when it comes to the gate.
            Err(_) => return Ok(Vec::new()),
        };
        let decided: BTreeMap<_, FlowName> = match probing || setup.routes.is_empty() {
            true => BTreeMap::new(),
            false => view.routed(&self.brand, &order.number)?.into_iter().map(|row| (row.line, row.flow)).collect(),
        };
        let mine = |sku: Option<&Sku>| routing::may_go(order, sku, &setup.routes, &self.setup.name, &goods);
        let had_lines = !whole.lines.is_empty();
        let lines: Vec<_> = whole
            .lines
            .iter()
            .filter(|line| decided.get(&line.id).map_or_else(|| mine(Some(&line.sku)), |flow| *flow == self.setup.name))
            .cloned()
            .collect();
        if lines.is_empty() && (had_lines || !probing || !mine(None)) {
            return Ok(Vec::new());
        }
        // A probing order weighs what it is said to weigh.
        let weight_grams = if probing { order.weight_grams } else { whole.weight_grams };
        Ok(vec![Order { lines, weight_grams, ..whole }])
    }

    /// The orders to be tried.
    fn probes(&self, gathered: &mut Gathered) -> Vec<Order> {
        let sendable = &mut gathered.told.sendable;
        sendable.accounts = gathered.with_account && !gathered.without_account;
        // Of all weights that orders had, one for each that makes a difference.
        if let Some(first) = sendable.probes(self.now).into_iter().next() {
            let mut told_apart: BTreeMap<Vec<(String, String)>, Option<u64>> = BTreeMap::new();
            for weight in &gathered.weights {
                let asked = self.lookups(&Order { weight_grams: *weight, ..first.clone() });
                let keys = asked.into_iter().map(|lookup| (lookup.key_text(), lookup.table)).collect();
                told_apart.entry(keys).or_insert(*weight);
            }
            sendable.weights = told_apart.into_values().collect();
        }
        sendable.probes(self.now)
    }

    fn probe(&self, view: &View<'_>, mut gathered: Gathered, probes: Vec<Order>) -> Result<Gathered> {
        for probe in probes {
            for ready in self.ready(view, &probe, true)? {
                for lookup in self.lookups(&ready) {
                    let key = (lookup.table.clone(), lookup.key_text());
                    gathered.asked.entry(key).or_insert_with(|| (lookup, Carried::default()));
                }
            }
        }
        Ok(gathered)
    }

    /// What the mappings and the lists say to all of it.
    fn judge(&self, view: &View<'_>, gathered: Gathered, built_in: &dyn Fn(&str, &str) -> bool) -> Result<(Preflight, Fine)> {
        let Gathered { told: Told { sendable, unlisted, partial }, asked, orders, .. } = gathered;
        let to = &self.setup.to;
        let mut lists: BTreeMap<String, bool> = BTreeMap::new();
        // Whether an id stands in the target's list; `None` where the list says nothing.
        let mut stands = |table: &str, id: &str| -> Result<Option<Option<bool>>> {
            let told = match lists.get(table) {
                Some(told) => *told,
                None => {
                    let told = view.list_read_at(to, table)?.is_some() && view.list_count(to, table)? > 0;
                    lists.insert(table.to_owned(), told);
                    told
                }
            };
            if !told || built_in(table, id) { Ok(None) } else { Ok(Some(view.list_has(to, table, id)?)) }
        };
        let mut gaps: Vec<(Gap, Lookup)> = Vec::new();
        let mut reached: BTreeSet<(String, String)> = BTreeSet::new();
        let mut blamed: BTreeSet<(String, String)> = BTreeSet::new();
        let mut fine = Fine::new();
        let lookups = asked.len() as u64;
        for ((table, key), (lookup, carried)) in asked {
            let (answer, mapping) = view.answer_by(&self.brand, to, &lookup)?;
            reached.extend(lookup.wider_keys().into_iter().map(|key| (table.clone(), key)));
            let why = match answer {
                MappingAnswer::Is(id) if mapping.is_some() => match stands(&table, &id)? {
                    Some(None) => Some(Why::Vanished(id)),
                    Some(Some(false)) => Some(Why::Inactive(id)),
                    _ => None,
                },
                MappingAnswer::Is(_) => None,
                _ if lookup.optional => None,
                MappingAnswer::Inactive(id) => Some(Why::Inactive(id)),
                MappingAnswer::Ambiguous(ids) => Some(Why::Ambiguous(ids)),
                MappingAnswer::Nothing if lookup.same_name && view.list_read_at(to, &table)?.is_none() => Some(Why::ListUnread),
                MappingAnswer::Nothing => Some(Why::Missing),
            };
            reached.insert((table.clone(), key.clone()));
            let Some(why) = why else {
                fine.insert((table, key));
                continue;
            };
            blamed.extend(mapping.clone().map(|mapping| (table.clone(), mapping)));
            let shown = lookup.label.clone().map_or_else(|| key.clone(), |label| format!("{label} ({key})"));
            gaps.push((Gap { table, key, shown, mapping, why, carried, suggestions: Vec::new() }, lookup));
        }
        gaps.sort_by(|(a, _), (b, _)| {
            let rank = |gap: &Gap| (std::cmp::Reverse(gap.carried.orders), gap.table.clone(), gap.key.clone());
            rank(a).cmp(&rank(b))
        });
        gaps.truncate(GAPS_MAX);
        let mut names: BTreeMap<String, Names> = BTreeMap::new();
        for (gap, lookup) in gaps.iter_mut().filter(|(gap, _)| gap.why != Why::ListUnread).take(SUGGESTED_MAX) {
            if !names.contains_key(&gap.table) {
                names.insert(gap.table.clone(), Names::of(view.list_names(to, &gap.table, NAMES_MAX)?));
            }
            if let Some(names) = names.get(&gap.table) {
                gap.suggestions = names.nearest(&Gap::texts(lookup), SUGGESTIONS);
            }
        }
        let hangs = Sendable::tables_by_list(&|order| self.lookups(order), sendable.accounts, self.now);
        let known = |list: &ValueList| !unlisted.contains_key(list) && sendable.count(*list) > 0;
        let (mut unused, mut dangling) = (Vec::new(), Vec::new());
        for row in view.mappings(&self.brand)?.into_iter().filter(|row| row.connection == to.as_str()) {
            let place = (row.table.clone(), row.key.clone());
            let stood = stands(&row.table, &row.value)?;
            let idle =
                Idle { table: row.table, key: row.key, value: row.value, stands: stood.map(|entry| entry.unwrap_or(false)) };
            // The default of a table waits for what nobody thought of.
            let by_lists = idle.key != "*" && hangs.get(&idle.table).is_some_and(|lists| lists.iter().all(known));
            if by_lists && !reached.contains(&place) {
                unused.push(idle);
            } else if idle.stands == Some(false) && !blamed.contains(&place) {
                dangling.push(idle);
            }
        }
        unused.truncate(IDLE_MAX);
        dangling.truncate(IDLE_MAX);
        let found = Preflight {
            flow: self.setup.name.clone(),
            from: self.setup.from.clone(),
            to: to.clone(),
            at: self.now,
            days: DAYS,
            orders,
            values: ValueList::ALL.into_iter().map(|list| (list, sendable.count(list) as u64)).collect(),
            unlisted,
            partial,
            lookups,
            gaps: gaps.into_iter().map(|(gap, _)| gap).collect(),
            unused,
            dangling,
        };
        Ok((found, fine))
    }
}

/// Keeps what was found, raises an exception for each gap that nobody owns yet, and closes those that are gone.
fn write_down(tx: &Tx<'_>, brand: &Brand, found: &Preflight, fine: &Fine) -> Result<()> {
    tx.keep_preflight(brand, found)?;
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rest: BTreeMap<&str, (u64, Carried)> = BTreeMap::new();
    for gap in &found.gaps {
        // Orders wait for it already, and somebody owns that.
        let cause = format!("mapping.{}:{}", gap.table, gap.key);
        if tx.open_causes_at(brand, &found.to, &cause)?.iter().any(|(.., told)| *told == cause) {
            continue;
        }
        let count = told.entry(&gap.table).or_default();
        *count += 1;
        if *count > TOLD_MAX {
            let (more, carried) = rest.entry(&gap.table).or_default();
            *more += 1;
            carried.orders = carried.orders.saturating_add(gap.carried.orders);
            continue;
        }
        tx.raise_standing_anew(brand, &found.flow, &problem(gap, found), found.at)?;
    }
    for (table, (more, carried)) in rest {
        tx.raise_standing_anew(brand, &found.flow, &and_more(table, more, carried.orders, found), found.at)?;
    }
    let why = "a later pre-flight does not find it any more";
    if !found.partial {
        return tx.settle_unseen(brand, &found.flow, "preflight.", found.at, why, found.at);
    }
    // What was not found because nobody could look is not gone; what has its answer now is.
    for (_, flow, cause) in tx.open_causes(brand, "preflight.")? {
        let place = cause.strip_prefix("preflight.").and_then(|cause| cause.split_once(':')?.1.split_once(':'));
        let answered = place.is_some_and(|(table, key)| fine.contains(&(table.to_owned(), key.to_owned())));
        if answered && flow == found.flow {
            tx.settle_standing(brand, &cause, why, found.at)?;
        }
    }
    Ok(())
}

fn problem(gap: &Gap, found: &Preflight) -> Problem {
    let rule = match &gap.why {
        Why::Missing => "preflight.missing",
        Why::Inactive(_) => "preflight.inactive",
        Why::Ambiguous(_) => "preflight.ambiguous",
        Why::Vanished(_) => "preflight.vanished",
        Why::ListUnread => "preflight.list",
    };
    let message = format!("{}: {} would have been stopped", gap.message(&found.to), gap.carried.words(found.days));
    let cause = format!("{}:{}", gap.table, gap.key);
    Problem::new(rule, format!("mappings.{}", gap.table), message, gap.remedy(&found.to)).value(gap.shown.as_str()).cause(cause)
}

fn and_more(table: &str, more: u64, orders: u64, found: &Preflight) -> Problem {
    let carried = match orders {
        0 => format!("none was in an order of the last {} days", found.days),
        n => format!("they were used {n} times in orders of the last {} days", found.days),
    };
    Problem::new(
        "preflight.more",
        format!("mappings.{table}"),
        format!("{more} more values have no entry at {} for {table}, or a bad one; {carried}", found.to),
        "See all of them: selvedge check --mappings, or the page /mappings. Create them at the target, or import a table of mappings: selvedge mappings import FILE",
    )
    .cause(table)
}
