//! Families become verdicts; verdicts become tallies, differences and exceptions.
//!
//! It walks twice over what was read: once to learn what each side calls the same thing, once to judge. Both walks take a few
//! thousand documents at a time, so memory does not grow with the window.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use selvedge_connector::Fault;
use selvedge_model::{
    Brand, FlowName, Interval, Kind, LocationId, Problem, ReconciliationId, RecordKey, Sku,
    compare::Cause,
    reconcile::{
        Family, Finding, How, Loose, Match, Root, Tallies, Terms, Unheard, Verdict, Why, compares,
        habits::{Habits, Told},
        inside, partners, settle,
        stock::Shortfall,
        suggest,
        words::{Learning, Words},
    },
    statement::{Entry, Facet, Stage},
    team::Team,
};
use selvedge_store::{
    Result, StoreError, Tx, View,
    differences::{NewDifference, Wanted},
    reconciliations::ReconciliationRow,
    stock::Of,
};

use super::{PairSetup, Reconciler, is_timed};
use crate::backoff::before;

/// Documents of one step of a walk.
pub(super) const STEP_DOCUMENTS: usize = 2_000;
/// Documents without a partner for which likely ones are looked for.
const LOOSE_MAX: usize = 2_000;
/// Differences of orders that are taken off figures of stock.
const UNHEARD_MAX: usize = 100_000;

/// What the first walk brings: what each side calls the same thing, and by how much less than there is is usually shown.
#[derive(Default)]
struct Learnt {
    words: Learning,
    shortfall: Shortfall,
}

/// What one step of the second walk brought.
#[derive(Default)]
struct Judged {
    tallies: Tallies,
    habits: Habits,
    found: Vec<(NewDifference, Problem)>,
    /// Documents of the source that need not be there yet.
    waiting: Vec<(Kind, String)>,
}

impl Reconciler {
    /// The verdicts of a look whose statements are read.
    pub(super) async fn settle(&self, pair: &PairSetup, run: &ReconciliationRow) -> Result<std::result::Result<(), Fault>> {
        // What is late is so by the time at which both ends began to be read, however long that took.
        let (now, began) = (self.clock.now(), run.started_at);
        let mut terms = pair.terms(Words::default());
        terms.late_since = is_timed(&run.via).then(|| before(now, pair.back));
        if pair.kinds.contains(&Kind::Stock) {
            terms.unheard = self.unheard(pair).await?;
        }
        let learnt = self.learn(pair, run, &terms, began).await?;
        let mut terms = Terms { words: learnt.words.conclude(), short_most: learnt.shortfall.most(), ..terms };
        if pair.kinds.contains(&Kind::Stock) {
            terms = match self.again(pair, run, terms).await? {
                Ok(terms) => terms,
                Err(fault) => return Ok(Err(fault)),
            };
        }
        let terms = Arc::new(terms);
        let (mut tallies, mut habits, mut red) = (Tallies::default(), Habits::default(), 0);
        let mut after: Option<String> = None;
        loop {
            let (walk, row, brand, at) = (pair.clone(), run.clone(), self.brand.clone(), after.clone());
            let (known_terms, known_tallies, known_habits) = (Arc::clone(&terms), tallies, habits);
            let (judged, last) = self
                .store
                .read(move |view| {
                    let mut judged = Judged { tallies: known_tallies, habits: known_habits, ..Judged::default() };
                    let families = view.families(row.id, at.as_deref(), STEP_DOCUMENTS)?;
                    for family in families.families {
                        let family = with_buffers(view, &brand, &walk, family)?;
                        judge(view, &brand, &walk, &row.window, &family, &known_terms, began, &mut judged)?;
                    }
                    Ok((judged, families.last))
                })
                .await?;
            (tallies, habits) = (judged.tallies, judged.habits);
            red += judged.found.len() as u64;
            if !judged.found.is_empty() || !judged.waiting.is_empty() {
                let (brand, name, id, flows) = (self.brand.clone(), pair.name.clone(), run.id, pair.flows.clone());
                self.store
                    .write(move |tx| {
                        for (mut new, problem) in judged.found {
                            if new.exception.is_none() {
                                new.exception = Some(tx.raise_standing(&brand, &flow_of(&flows, new.kind), &problem, now)?);
                            }
                            tx.note_difference(&brand, &name, id, &new, now)?;
                        }
                        for (kind, subject) in &judged.waiting {
                            tx.keep_differences(&brand, &name, id, *kind, subject)?;
                        }
                        Ok(())
                    })
                    .await?;
            }
            match last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        habits.swallowed(&learnt.words);
        self.finish(pair, run, tallies, habits, red, now).await.map(Ok)
    }

    /// The pairs that bring the orders of the shop to where its stock comes from.
    pub(super) fn orders_of(&self, stock: &PairSetup) -> impl Iterator<Item = &PairSetup> {
        let (target, sources) = (stock.target.clone(), stock.sources.clone());
        self.pairs.iter().filter(move |pair| {
            pair.kinds.contains(&Kind::Order) && pair.sources.contains(&target) && sources.contains(&pair.target)
        })
    }

    /// Units by item that orders of the shop want, and that do not stand where its stock comes from: what the differences say.
    async fn unheard(&self, stock: &PairSetup) -> Result<BTreeMap<Sku, Unheard>> {
        let orders: Vec<String> = self.orders_of(stock).map(|pair| pair.name.clone()).collect();
        let brand = self.brand.clone();
        self.store
            .read(move |view| {
                let mut families: BTreeMap<(ReconciliationId, String), bool> = BTreeMap::new();
                for pair in orders {
                    let wanted = Wanted { pair: Some(pair), kind: Some(Kind::Order), most: UNHEARD_MAX, ..Wanted::default() };
                    let about_units = |cause: Cause| {
                        matches!(cause, Cause::Missing | Cause::Quantity | Cause::Sku | Cause::Duplicate | Cause::Status)
                    };
                    let rows = view.differences(&brand, &wanted)?.into_iter().filter(|row| about_units(row.found.cause));
                    for row in rows {
                        *families.entry((row.last_run, row.found.family)).or_default() |= row.found.why == Why::Stale;
                    }
                }
                let mut unheard: BTreeMap<Sku, Unheard> = BTreeMap::new();
                for ((run, key), is_stale) in families {
                    let family = view.family(run, &key)?;
                    let mut wanted: BTreeMap<Sku, i64> = BTreeMap::new();
                    for (entries, sign) in [(&family.ours, 1), (&family.theirs, -1)] {
                        let counts = |entry: &&Entry| entry.kind == Kind::Order && entry.stage != Stage::Void;
                        for line in entries.iter().filter(counts).flat_map(|entry| &entry.lines) {
                            let sum = wanted.entry(line.sku.clone()).or_default();
                            *sum = sum.saturating_add(line.quantity.saturating_mul(sign));
                        }
                    }
                    // More there than here is freed in the shop where the shop changed last, and nobody's promise elsewhere.
                    for (sku, units) in wanted.into_iter().filter(|(_, units)| *units > 0 || is_stale) {
                        let sum = unheard.entry(sku).or_default();
                        sum.promised = sum.promised.saturating_add(units.max(0));
                        sum.freed = sum.freed.saturating_add(units.saturating_neg().max(0));
                    }
                }
                Ok(unheard)
            })
            .await
    }

    async fn learn(&self, pair: &PairSetup, run: &ReconciliationRow, terms: &Terms, now: Timestamp) -> Result<Learnt> {
        let mut learning = Learnt::default();
        let mut after: Option<String> = None;
        let terms = Arc::new(terms.clone());
        loop {
            let (row, at, terms, mut so_far) = (run.clone(), after.clone(), Arc::clone(&terms), std::mem::take(&mut learning));
            let kinds = pair.kinds.clone();
            let (learnt, last) = self
                .store
                .read(move |view| {
                    let last = learn_step(view, &row, &kinds, &terms, at.as_deref(), now, &mut so_far)?;
                    Ok((so_far, last))
                })
                .await?;
            learning = learnt;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(learning),
            }
        }
    }

    /// What is over is closed, what stands is told in its newest words, and the look is done.
    async fn finish(
        &self,
        pair: &PairSetup,
        run: &ReconciliationRow,
        mut tallies: Tallies,
        habits: Habits,
        red: u64,
        now: Timestamp,
    ) -> Result<()> {
        let id = run.id;
        let mut unread = Vec::new();
        for row in self.store.read(move |view| view.statements(id)).await? {
            tallies.of(row.kind).read += row.entries;
            // What cannot be read at the target may be the partner of what is missing: the sentence does not hold.
            tallies.of(row.kind).unread += row.unread.len() as u64;
            unread.extend(row.unread.into_iter().map(|(document, _)| (row.kind, row.end, document)));
        }
        let balanced = tallies.meet();
        let told = serde_json::to_vec(&Told { tallies, habits: habits.conclude() });
        let told =
            told.map_err(|error| StoreError::Unreadable { what: "what a look told".to_owned(), why: error.to_string() })?;
        let (brand, pair, row) = (self.brand.clone(), pair.clone(), run.clone());
        self.store
            .write(move |tx| {
                for (kind, end, document) in &unread {
                    tx.keep_differences_unread(&brand, &pair.name, row.id, *kind, *end, document)?;
                }
                uncompared(tx, &brand, &pair, &row)?;
                if is_timed(&row.via) {
                    tx.close_late(&brand, &pair.name, before(now, pair.back), now)?;
                }
                let timed: Vec<Kind> = pair.kinds.iter().copied().filter(|kind| !is_figure(*kind)).collect();
                tx.close_differences(&brand, &pair.name, &timed, &row.window, row.id, now)?;
                let figures: Vec<Kind> = pair.kinds.iter().copied().filter(|kind| is_figure(*kind)).collect();
                let ever = Interval { from: Timestamp::UNIX_EPOCH, to: Timestamp::MAX };
                tx.close_differences(&brand, &pair.name, &figures, &ever, row.id, now)?;
                likely(tx, &brand, &pair, &row)?;
                exceptions(tx, &brand, &pair, now)?;
                tx.finish_reconciliation(&brand, row.id, &told, red, balanced, now)
            })
            .await
    }
}

/// A step of the first walk; the last family of it, where there are more.
fn learn_step(
    view: &View<'_>,
    run: &ReconciliationRow,
    kinds: &[Kind],
    terms: &Terms,
    after: Option<&str>,
    now: Timestamp,
    learnt: &mut Learnt,
) -> Result<Option<String>> {
    let families = view.families(run.id, after, STEP_DOCUMENTS)?;
    for family in families.families.iter().filter(|family| has_words(family, kinds)) {
        for (one, other) in partners(family, &run.window, &terms.kinds) {
            learnt.words.observe(one, other);
        }
        if terms.kinds.contains(&Kind::Stock) {
            let figures = settle(family, &run.window, terms, &|_, _| None, now);
            figures.iter().filter(|found| found.kind() == Some(Kind::Stock)).for_each(|found| learnt.shortfall.observe(found));
        }
    }
    Ok(families.last)
}

/// What was found before and could not be compared this time, as one side does not tell it any more, stays open.
fn uncompared(tx: &Tx<'_>, brand: &Brand, pair: &PairSetup, run: &ReconciliationRow) -> Result<()> {
    for row in tx.differences_unseen(brand, &pair.name, &run.window, run.id)? {
        let family = tx.family(run.id, &row.found.family)?;
        let named = |entries: &[Entry], ids: &Option<String>| {
            let told = |entry: &&Entry| {
                entry.kind == row.found.kind
                    && ids.as_deref().is_some_and(|ids| ids.split(", ").any(|id| id == entry.id.as_str()))
            };
            entries.iter().find(told).cloned()
        };
        if let (Some(ours), Some(theirs)) =
            (named(&family.ours, &row.found.source_id), named(&family.theirs, &row.found.target_id))
            && !compares(&row.found.path, &ours, &theirs)
        {
            tx.keep_difference(row.id, run.id)?;
        }
    }
    Ok(())
}

fn is_figure(kind: Kind) -> bool {
    matches!(kind, Kind::Stock | Kind::Product)
}

fn has_words(family: &Family, kinds: &[Kind]) -> bool {
    family.theirs.iter().any(|entry| kinds.contains(&entry.kind) && !entry.facets.is_empty())
}

/// The flow whose work a difference is about; empty where no flow of ours does it.
fn flow_of(flows: &[(Kind, FlowName)], kind: Kind) -> FlowName {
    flows.iter().find(|(of, _)| *of == kind).map_or_else(|| FlowName::new(""), |(_, name)| name.clone())
}

/// A family of stock with what the flow keeps back of it: a setting, and nothing that the flow remembers of the figure.
pub(super) fn with_buffers(view: &View<'_>, brand: &Brand, pair: &PairSetup, mut family: Family) -> Result<Family> {
    let Some(flow) = pair.stock_flow.as_ref() else { return Ok(family) };
    let of = Of { brand: brand.clone(), flow: flow.clone() };
    for entry in family.ours.iter_mut().filter(|entry| entry.kind == Kind::Stock) {
        let place = entry.facets.get(&Facet::Place).map(|place| LocationId::new(&place.id));
        if let (Some(place), Some(line), Some(units)) = (place, entry.lines.first(), entry.units.as_mut()) {
            let figure = view.stock_figure(&of, &place, &line.sku)?;
            units.kept_back = figure.and_then(|figure| figure.terms).map(|terms| terms.buffer);
        }
    }
    Ok(family)
}

/// Asks the ledger; a store that refuses is remembered and told after the family.
pub(super) fn settle_with_ledger(
    view: &View<'_>,
    brand: &Brand,
    pair: &PairSetup,
    window: &Interval,
    family: &Family,
    terms: &Terms,
    now: Timestamp,
) -> Result<Vec<Match>> {
    let refused = std::cell::RefCell::new(None);
    let ledger = |kind: Kind, key: &RecordKey| {
        let flows: Vec<FlowName> = pair.flows.iter().filter(|(of, _)| *of == kind).map(|(_, name)| name.clone()).collect();
        match view.owed_now(brand, &flows, key) {
            Ok(owed) => owed,
            Err(error) => {
                *refused.borrow_mut() = Some(error);
                None
            }
        }
    };
    let matches = settle(family, window, terms, &ledger, now);
    match refused.into_inner() {
        Some(error) => Err(error),
        None => Ok(matches),
    }
}

/// Walks over a look that is done, family by family, with the verdicts as they come out now: what a close writes down.
///
/// # Errors
/// The store's, and whatever `each` returns.
pub fn walk(
    view: &View<'_>,
    brand: &Brand,
    pair: &PairSetup,
    run: &ReconciliationRow,
    now: Timestamp,
    each: &mut dyn FnMut(&Family, &Match) -> Result<()>,
) -> Result<()> {
    let mut learnt = Learnt::default();
    let terms = pair.terms(Words::default());
    let mut after: Option<String> = None;
    while let Some(last) = learn_step(view, run, &pair.kinds, &terms, after.as_deref(), now, &mut learnt)? {
        after = Some(last);
    }
    let terms = Terms { words: learnt.words.conclude(), short_most: learnt.shortfall.most(), ..terms };
    let mut after: Option<String> = None;
    loop {
        let families = view.families(run.id, after.as_deref(), STEP_DOCUMENTS)?;
        for family in &families.families {
            for found in settle_with_ledger(view, brand, pair, &run.window, family, &terms, now)? {
                each(family, &found)?;
            }
        }
        match families.last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

/// One family, judged and counted.
#[expect(clippy::too_many_arguments, reason = "one place, and each of them is needed")]
fn judge(
    view: &View<'_>,
    brand: &Brand,
    pair: &PairSetup,
    window: &Interval,
    family: &Family,
    terms: &Terms,
    now: Timestamp,
    judged: &mut Judged,
) -> Result<()> {
    for entry in family.ours.iter().filter(|entry| terms.kinds.contains(&entry.kind) && inside(entry, window)) {
        if let Some(key) = entry.key.as_ref().filter(|_| pair.flows.iter().any(|(kind, _)| *kind == entry.kind))
            && !view.is_captured(brand, entry.kind, key)?
        {
            judged.tallies.of(entry.kind).uncaptured += 1;
        }
    }
    let matches = settle_with_ledger(view, brand, pair, window, family, terms, now)?;
    judged.tallies.add(family, &matches, window, terms, now);
    for found in matches {
        judged.habits.observe(&found);
        if let Verdict::InFlight { .. } = found.verdict {
            judged.waiting.extend(found.kind().map(|kind| (kind, subject(&found))));
        }
        if found.verdict == Verdict::Open {
            judged.found.extend(found.findings.iter().map(|finding| difference(pair, family, &found, finding)));
        }
    }
    Ok(())
}

fn rule_of(cause: Cause) -> String {
    let word = serde_json::to_value(cause).ok().and_then(|value| value.as_str().map(str::to_owned));
    format!("reconcile.{}", word.unwrap_or_default())
}

/// By what a document of the source is known: our key, else its id.
fn known_as(entry: &Entry) -> String {
    entry.key.as_ref().map_or_else(|| entry.id.to_string(), ToString::to_string)
}

/// By what a difference on these documents is known.
fn subject(found: &Match) -> String {
    match (found.ours.first(), found.theirs.first()) {
        (Some(ours), _) => known_as(ours),
        (None, Some(theirs)) => format!("~{}", theirs.id),
        (None, None) => String::new(),
    }
}

/// The row of one finding, and the problem that groups it with others of its root cause.
fn difference(pair: &PairSetup, family: &Family, found: &Match, finding: &Finding) -> (NewDifference, Problem) {
    let kind = found.kind().unwrap_or(Kind::Order);
    let ids = |entries: &[Entry]| {
        let ids: Vec<&str> = entries.iter().take(10).map(|entry| entry.id.as_str()).collect();
        if ids.is_empty() { None } else { Some(ids.join(", ")) }
    };
    let rule = rule_of(finding.cause);
    let team = Team::of_difference(&rule, kind);
    let mut problem = Problem::new(
        &rule,
        finding.path.clone(),
        format!(
            "{} {} between {} and {}: {}",
            kind.word().replace('_', " "),
            finding.why.title(),
            pair.named_sources(),
            pair.target,
            finding.detail
        ),
        finding.fix.clone(),
    );
    problem.cause = root(pair, kind, &rule, finding.why);
    let new = NewDifference {
        kind,
        subject: subject(found),
        family: family.key.clone(),
        cause: finding.cause,
        why: finding.why,
        path: finding.path.clone(),
        expected: finding.expected.clone(),
        actual: finding.actual.clone(),
        money: finding.money,
        stake: finding
            .money
            .or_else(|| if found.how == How::Alone { found.at_stake() } else { None })
            .and_then(|money| money.abs().ok()),
        source: found.ours.first().and_then(|entry| entry.told_by.clone()),
        source_id: ids(&found.ours),
        target_id: ids(&found.theirs),
        at: found.subject().map_or(Timestamp::UNIX_EPOCH, |entry| entry.at),
        team,
        exception: found.exception,
        detail: finding.detail.clone(),
        fix: finding.fix.clone(),
    };
    (new, problem)
}

fn root(pair: &PairSetup, kind: Kind, rule: &str, why: Why) -> String {
    Root { pair: pair.name.clone(), kind, rule: rule.to_owned(), why: why.word().to_owned() }.to_string()
}

/// One exception per root cause: how many, since when, how much money.
fn exceptions(tx: &Tx<'_>, brand: &Brand, pair: &PairSetup, now: Timestamp) -> Result<()> {
    let mut flows: Vec<FlowName> = vec![FlowName::new("")];
    for row in tx.difference_causes(brand)?.into_iter().filter(|row| row.pair == pair.name) {
        let flow = flow_of(&pair.flows, row.kind);
        if !flows.contains(&flow) {
            flows.push(flow.clone());
        }
        let rule = rule_of(row.cause);
        let stake: Vec<String> = row.stake.iter().map(ToString::to_string).collect();
        let stake = if stake.is_empty() { String::new() } else { format!(", {} at stake", stake.join(" and ")) };
        let message = format!(
            "{} of {} {} records between {} and {}: {}{stake}",
            row.count,
            row.documents,
            row.kind.word().replace('_', " "),
            pair.named_sources(),
            pair.target,
            row.why.title()
        );
        let mut problem = Problem::new(&rule, "", message, row.why.fix());
        problem.cause = root(pair, row.kind, &rule, row.why);
        // What an exception of the gate holds already is that exception's.
        if row.why != Why::Held {
            tx.raise_standing_anew(brand, &flow, &problem, now)?;
        }
    }
    for (_, flow) in &pair.flows {
        if !flows.contains(flow) {
            flows.push(flow.clone());
        }
    }
    for flow in &flows {
        tx.settle_unseen(brand, flow, &Root::of_pair(&pair.name), now, "both ends agreed when they were looked at", now)?;
    }
    Ok(())
}

/// What may belong to what has no partner.
fn likely(tx: &Tx<'_>, brand: &Brand, pair: &PairSetup, run: &ReconciliationRow) -> Result<()> {
    for kind in pair.kinds.iter().copied().filter(|kind| !is_figure(*kind)) {
        let loose = |cause: Cause| -> Result<Vec<Loose>> {
            let wanted = Wanted {
                pair: Some(pair.name.clone()),
                kind: Some(kind),
                cause: Some(cause),
                most: LOOSE_MAX,
                ..Wanted::default()
            };
            let mut found = Vec::new();
            for row in tx.differences(brand, &wanted)?.into_iter().filter(|row| row.last_run == run.id) {
                let family = tx.family(run.id, &row.found.family)?;
                let ours = cause == Cause::Missing;
                let id = if ours { row.found.source_id.clone() } else { row.found.target_id.clone() };
                let entries = if ours { family.ours } else { family.theirs };
                let entry = entries.into_iter().find(|entry| Some(entry.id.as_str()) == id.as_deref() && entry.kind == kind);
                found.extend(entry.map(|entry| Loose { difference: row.id.0, entry }));
            }
            Ok(found)
        };
        let (ours, theirs) = (loose(Cause::Missing)?, loose(Cause::Orphan)?);
        for one in suggest(&ours, &theirs) {
            let text = |of: &[Loose], id: i64| {
                of.iter()
                    .find(|loose| loose.difference == id)
                    .map(|loose| loose.entry.number.clone().unwrap_or_else(|| loose.entry.id.to_string()))
                    .unwrap_or_default()
            };
            let why = one.reasons.join(", ");
            let id = selvedge_model::DifferenceId;
            let told = |other: i64, name: String| format!("perhaps {name} ({} %, {why}): see {}", one.percent, id(other));
            tx.suggest_difference(id(one.ours), Some(&told(one.theirs, text(&theirs, one.theirs))))?;
            tx.suggest_difference(id(one.theirs), Some(&told(one.ours, text(&ours, one.ours))))?;
        }
    }
    Ok(())
}
