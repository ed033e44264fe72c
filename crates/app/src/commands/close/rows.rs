//! Where the rows of a close come from: the one border to reconciliation.
//!
//! A period is read once, whole, at both ends (`selvedge close read`), and what was told is kept. The rows are the verdicts over
//! that; they come as a stream, so a period of any size takes no more memory than a day.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc,
};

use jiff::Timestamp;
use selvedge_flow::reconcile::{PairSetup, walk};
use selvedge_model::{
    Brand, FlowName, Interval, Kind, Money, RecordKey,
    close::{
        Adjustment, Booked, CloseRow, End, Entity, Enumerated, Evidence, Open, Period, Rate, RateAmount, Side, Verdict,
        explain_cut_off,
    },
    reconcile::{self, Family, How, Match},
    statement::{Entry, Facet, Stage},
    team::Team,
};
use selvedge_store::{Store, StoreError, reconciliations::ReconciliationRow, statements};

use crate::{
    commands::{
        About,
        out::{Failure, failed},
    },
    config::Config,
};

pub use crate::pack::seal::Input;

/// Rows that may wait for whoever writes them down.
const WAITING_MAX: usize = 1_000;
/// Documents that are counted at once.
const STEP_DOCUMENTS: usize = 2_000;

/// For what a look at a period is made: its reason in the store.
pub fn reason(entity: &Entity, period: Period) -> String {
    format!("close {} {period}", entity.name)
}

/// The pairs that are closed: figures of stock and items have no month.
pub fn pairs(config: &Config) -> Vec<PairSetup> {
    let timed = |kind: &Kind| !matches!(kind, Kind::Stock | Kind::Product);
    let pairs =
        config.pairs().into_iter().map(|pair| PairSetup { kinds: pair.kinds.iter().copied().filter(timed).collect(), ..pair });
    pairs.filter(|pair| !pair.kinds.is_empty()).collect()
}

/// Everything that was reconciled of one period of one entity: the rows as a stream, and beside them what was enumerated at
/// both ends and the statements that were read, both counted where they were read and not from the rows.
///
/// The rows are those whose `at` lies within `bounds` and that [`Entity::holds`], each document of either side in exactly one of
/// them. They are asked for once, in order, off the async threads; an iterator that waits may block.
///
/// # Errors
/// The period has not been read, or what was found cannot be read.
pub async fn rows(
    about: &About,
    config: &Config,
    store: &Store,
    entity: &Entity,
    period: Period,
    bounds: Interval,
) -> Result<Input, Failure> {
    let now = about.clock.now();
    let (mut evidence, mut enumerated, mut looks) = (Vec::new(), Vec::new(), Vec::new());
    for pair in pairs(config) {
        let (brand, name, via) = (config.brand.clone(), pair.name.clone(), reason(entity, period));
        let look = store.read(move |view| view.last_reconciliation(&brand, &name, Some(&via))).await?;
        let Some(look) = look.filter(|look| look.window == bounds) else {
            return Err(failed(
                format!("{period} of {} has not been read at {} and {}", entity.name, pair.named_sources(), pair.target),
                "Without both ends there is nothing to show or to sign.",
                format!("Read them: selvedge close read {period}"),
            ));
        };
        let (id, finished) = (look.id, look.finished_at.unwrap_or(now));
        for row in store.read(move |view| view.statements(id)).await? {
            evidence.push(Evidence {
                connection: row.connection,
                kind: row.kind,
                window: look.read,
                read_at: finished,
                calls: row.pages,
                entries: row.entries,
                digest: row.digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            });
        }
        enumerated.extend(counted(store, &pair, &look, entity).await?);
        looks.push((pair, look));
    }
    let (sender, receiver) = mpsc::sync_channel::<anyhow::Result<CloseRow>>(WAITING_MAX);
    let (store, brand, entity) = (store.clone(), config.brand.clone(), entity.clone());
    tokio::spawn(async move {
        for (pair, look) in looks {
            let (brand, entity, to) = (brand.clone(), entity.clone(), sender.clone());
            if let Err(error) = store.read(move |view| told(view, &brand, &pair, &look, &entity, now, &to)).await {
                // Whoever asked has gone: nobody is left to tell.
                let _ = sender.send(Err(error.into()));
                return;
            }
        }
    });
    Ok(Input { evidence, enumerated, rows: Box::new(receiver.into_iter()) })
}

/// Sends the rows of one look.
fn told(
    view: &selvedge_store::View<'_>,
    brand: &Brand,
    pair: &PairSetup,
    look: &ReconciliationRow,
    entity: &Entity,
    now: Timestamp,
    to: &mpsc::SyncSender<anyhow::Result<CloseRow>>,
) -> selvedge_store::Result<()> {
    let mut seen: BTreeMap<(Kind, String), Timestamp> = BTreeMap::new();
    let wanted = selvedge_store::differences::Wanted { pair: Some(pair.name.clone()), most: 100_000, ..Default::default() };
    for row in view.differences(brand, &wanted)? {
        let first = seen.entry((row.found.kind, row.found.subject)).or_insert(row.first_seen_at);
        *first = row.first_seen_at.min(*first);
    }
    walk(view, brand, pair, look, look.started_at, &mut |family, found| {
        if !is_ours(entity, family) {
            return Ok(());
        }
        let row = row_of(pair, found, entity, &seen, now);
        let row =
            row.map_err(|error| StoreError::Unreadable { what: "a row of the close".to_owned(), why: error.to_string() })?;
        // A reader that has gone has an error of its own; the walk ends quietly.
        let _ = to.send(Ok(row));
        Ok(())
    })
}

/// Whether a family belongs to this entity, whole: everything about one order is one entity's, so that what is counted and what
/// is shown are cut alike.
fn is_ours(entity: &Entity, family: &Family) -> bool {
    let facet =
        |entries: &[Entry], facet: Facet| entries.iter().find_map(|entry| entry.facets.get(&facet)).map(|named| named.id.clone());
    // What stands at the target alone has no market; its subsidiary decides. What is at both is the market's: a wrong subsidiary is
    // a difference of this entity, and no reason to leave it out.
    match facet(&family.ours, Facet::Market) {
        Some(market) => entity.holds(Some(&market), None),
        None => entity.holds(None, facet(&family.theirs, Facet::Entity).as_deref()),
    }
}

fn flow_of(pair: &PairSetup, kind: Kind) -> FlowName {
    let flow = pair.flows.iter().find(|(of, _)| *of == kind).map(|(_, flow)| flow.clone());
    flow.unwrap_or_else(|| FlowName::new(&pair.name))
}

fn side(entries: &[Entry]) -> Result<Option<Side>, selvedge_model::MoneyError> {
    let mut whole: Option<Side> = None;
    // What was called off comes to nothing, and is there.
    for entry in entries.iter().filter(|entry| entry.stage != Stage::Void) {
        let one = Side::of(entry)?;
        whole = Some(match whole {
            Some(whole) => whole.and(&one)?,
            None => one,
        });
    }
    Ok(whole)
}

fn row_of(
    pair: &PairSetup,
    found: &Match,
    entity: &Entity,
    seen: &BTreeMap<(Kind, String), Timestamp>,
    now: Timestamp,
) -> Result<CloseRow, selvedge_model::MoneyError> {
    let kind = found.kind().unwrap_or(Kind::Order);
    let first = found.subject();
    let key =
        first.and_then(|entry| entry.key.clone()).unwrap_or_else(|| RecordKey::new(first.map_or("", |entry| entry.id.as_str())));
    let at = first.map_or(now, |entry| entry.at);
    let on = found.theirs.first().and_then(|entry| entry.on);
    let mut row = CloseRow {
        flow: flow_of(pair, kind),
        kind,
        order: first.and_then(|entry| entry.order.clone()),
        sources: found.ours.iter().map(|entry| entry.id.clone()).collect(),
        targets: found.theirs.iter().map(|entry| entry.id.clone()).collect(),
        at,
        on,
        market: found
            .ours
            .iter()
            .find_map(|entry| entry.facets.get(&Facet::Market))
            .map(|market| market.id.clone())
            .unwrap_or_default(),
        subsidiary: found.theirs.iter().find_map(|entry| entry.facets.get(&Facet::Entity)).map(|named| named.id.clone()),
        ours: side(&found.ours)?,
        theirs: side(&found.theirs)?,
        verdict: Verdict::Agreed(None),
        note: found.findings.iter().map(|finding| finding.detail.as_str()).collect::<Vec<_>>().join("; "),
        key,
    };
    if found.how != How::Key && found.how != How::Alone {
        row.note = format!("paired by {}; {}", found.how.word(), row.note).trim_end_matches("; ").to_owned();
    }
    let booked = on.map(|day| Booked { by: pair.target.to_string(), day, zone: None });
    if let Ok(cut_off) = explain_cut_off(entity, at, booked.as_ref())
        && cut_off.shifted()
    {
        row.note = format!("{}{}{}", row.note, if row.note.is_empty() { "" } else { ". " }, cut_off.words);
    }
    if found.verdict == reconcile::Verdict::Agreed {
        one_split(&mut row)?;
    }
    let difference = row.difference()?;
    row.verdict = match &found.verdict {
        reconcile::Verdict::Agreed => Verdict::Agreed(match difference.as_slice() {
            [money] => Some(Adjustment { rule: "tolerance".to_owned(), money: *money }),
            _ => None,
        }),
        reconcile::Verdict::Excluded { rule, version, .. } => {
            Verdict::Excluded { rule: rule.word().to_owned(), version: version.to_string() }
        }
        reconcile::Verdict::InFlight { until } => Verdict::InFlight { until: *until },
        reconcile::Verdict::Open => {
            let finding = found.findings.first();
            let cause = finding.map_or_else(String::new, |finding| finding.why.word().to_owned());
            let team = match kind {
                Kind::CreditNote | Kind::Refund => Team::Finance,
                _ => Team::of(&finding.map_or_else(String::new, |finding| format!("reconcile.{}", finding.why.word()))),
            };
            let subject = match found.ours.first() {
                Some(_) => row.key.to_string(),
                None => format!("~{}", found.theirs.first().map_or("", |entry| entry.id.as_str())),
            };
            Verdict::Open(Open {
                exception: found.exception,
                cause,
                owner: Some(team.name().to_owned()),
                money: difference,
                first_seen: seen.get(&(kind, subject)).copied().unwrap_or(now),
            })
        }
    };
    Ok(row)
}

/// Where both documents come to the same, and one of them does not say at which rate a part of it is taxed, the other's word is taken.
fn one_split(row: &mut CloseRow) -> Result<(), selvedge_model::MoneyError> {
    let (Some(ours), Some(theirs)) = (&mut row.ours, &mut row.theirs) else { return Ok(()) };
    let Some(currency) = ours.currency.filter(|currency| theirs.currency == Some(*currency)) else { return Ok(()) };
    let sum = |side: &Side, of: fn(&RateAmount) -> Money| Money::sum(currency, side.rates.iter().map(of));
    let same = |of: fn(&RateAmount) -> Money| Ok::<_, selvedge_model::MoneyError>(sum(ours, of)? == sum(theirs, of)?);
    if same(|amount| amount.net)? && same(|amount| amount.tax)? {
        let says = |side: &Side| side.rates.iter().all(|amount| matches!(amount.rate, Rate::At(_)));
        match (says(ours), says(theirs)) {
            (true, _) => theirs.rates.clone_from(&ours.rates),
            (false, true) => ours.rates.clone_from(&theirs.rates),
            (false, false) => theirs.rates.clone_from(&ours.rates),
        }
    }
    Ok(())
}

/// What was read at both ends, counted as it lies in the store and before anything was paired.
async fn counted(store: &Store, pair: &PairSetup, look: &ReconciliationRow, entity: &Entity) -> Result<Vec<Enumerated>, Failure> {
    let (pair, look, entity) = (pair.clone(), look.clone(), entity.clone());
    let counted = store
        .read(move |view| {
            let mut sums: BTreeMap<(Kind, bool), (u64, BTreeMap<String, Money>)> = BTreeMap::new();
            let mut after: Option<String> = None;
            loop {
                let statements::Families { families, last } = view.families(look.id, after.as_deref(), STEP_DOCUMENTS)?;
                for family in families.iter().filter(|family| is_ours(&entity, family)) {
                    let kinds: BTreeSet<Kind> = pair.kinds.iter().copied().collect();
                    for (source, entries) in [(true, &family.ours), (false, &family.theirs)] {
                        for entry in entries.iter().filter(|entry| kinds.contains(&entry.kind)) {
                            if !counts(entry, source, &family.ours, &pair.shared, &look.window) {
                                continue;
                            }
                            let (count, money) = sums.entry((entry.kind, source)).or_default();
                            *count += 1;
                            let gross = entry.gross().filter(|_| entry.stage != Stage::Void);
                            if let Some(gross) = gross {
                                let code = gross.currency().code().to_owned();
                                let sum = money.get(&code).map_or(Ok(gross), |sum| sum.plus(gross));
                                money.insert(code, sum.unwrap_or(gross));
                            }
                        }
                    }
                }
                match last {
                    Some(last) => after = Some(last),
                    None => break,
                }
            }
            let of = |((kind, source), (documents, money)): ((Kind, bool), (u64, BTreeMap<String, Money>))| Enumerated {
                flow: flow_of(&pair, kind),
                kind,
                end: if source { End::Source } else { End::Target },
                documents,
                sums: money.into_values().collect(),
            };
            Ok(sums.into_iter().map(of).collect::<Vec<_>>())
        })
        .await?;
    Ok(counted)
}

/// Whether a document is counted in the window: the source's by its own moment; the target's by its source's, and by its own where
/// it stands alone.
fn counts(entry: &Entry, source: bool, ours: &[Entry], shared: &[Kind], window: &Interval) -> bool {
    if source {
        return window.contains(entry.at);
    }
    let mut of_its_kind = ours.iter().filter(|one| one.kind == entry.kind).peekable();
    if of_its_kind.peek().is_none() {
        // What was called off, or is the target's own, is nobody's row.
        return entry.stage != Stage::Void && !shared.contains(&entry.kind) && window.contains(entry.at);
    }
    let same_key = ours.iter().find(|one| one.kind == entry.kind && one.key.is_some() && one.key == entry.key);
    match same_key {
        Some(one) => window.contains(one.at),
        None => of_its_kind.any(|one| window.contains(one.at)),
    }
}
