//! Changes that somebody made at a target to what the source owns.
//!
//! The target's own list of changed items is read on a timer, page by page, and each is compared with what was confirmed
//! there. Our own writes read back as they were written, so they are no news. A difference is settled by the policy of its
//! field: written back, or let stand until the source changes it. Either way the obligation goes from confirmed to held and
//! back through the gate, so both values are in its story, and the exception closes when what stands there was read back.
//! That a policy has decided stands in the audit trail, field by field: nobody was asked.

use std::collections::BTreeMap;

use jiff::Timestamp;
use selvedge_connector::{Cursor, Raw};
use selvedge_model::{
    AnyRecord, Brand, ExceptionId, Interval, Kind, Problem, Product,
    compare::{Difference, compare},
    gate::products::{ChangedElsewhere, ProductPolicy},
    obligation::{Event, State},
    records::ProductField,
};
use selvedge_store::{
    Result, Tx,
    audit::POLICY,
    intervals::{ProvenRow, ReadingRow},
    obligations::{ObligationRow, Step},
    products::AcceptedField,
};

use crate::{
    backoff::{after, before},
    engine::{Engine, Flow, unless_moved},
};

/// Pages that one turn reads.
const PAGES_PER_TURN: usize = 4;
/// How far each watch reaches back into what is proven: systems tell changes late.
const OVERLAP: std::time::Duration = std::time::Duration::from_secs(600);
/// How long a watch rests after a call that did not come through.
const REST_AFTER_FAULT: std::time::Duration = std::time::Duration::from_secs(60);
/// How often one item is written back by itself within a day; then somebody writes against us, and a person is asked.
const REVERTS_MAX: usize = 3;
const REVERTS_WITHIN: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What was found of one item.
struct Changed {
    row: ObligationRow,
    /// What is confirmed there.
    ours: Product,
    theirs: Product,
    differences: Vec<Difference>,
}

/// The field that a difference is about.
fn field_of(difference: &Difference) -> Option<ProductField> {
    ProductField::from_word(difference.path.split(' ').next().unwrap_or_default())
}

impl Engine {
    /// Looks for changes made at a flow's target, when it is time; returns how many were found.
    pub(crate) async fn watch(&self, flow: &Flow) -> Result<usize> {
        let Some(every) = flow.setup.watch_every.filter(|_| flow.setup.kind == Kind::Product) else { return Ok(0) };
        let now = self.now();
        let rests = self.locked_watches().get(&flow.setup.name).copied();
        if self.paused(&flow.setup.to) || rests.is_some_and(|until| until > now) {
            return Ok(0);
        }
        let (found, rest) = self.watch_turn(flow, now).await?;
        let rest = rest.map_or(std::time::Duration::ZERO, |failed| if failed { REST_AFTER_FAULT.min(every) } else { every });
        self.locked_watches().insert(flow.setup.name.clone(), after(self.now(), rest));
        Ok(found)
    }

    /// A few pages; how many changes they showed, and once the reading ended whether it failed.
    async fn watch_turn(&self, flow: &Flow, now: Timestamp) -> Result<(usize, Option<bool>)> {
        let (brand, to, via) = (self.brand().clone(), flow.setup.to.clone(), format!("watch {}", flow.setup.name));
        let way = via.clone();
        let (begun, proven) = self
            .store()
            .read(move |view| {
                Ok((view.reading(&brand, &to, Kind::Product, &way)?, view.proven_until(&brand, &to, Kind::Product, &way)?))
            })
            .await?;
        let (interval, mut cursor, mut seen, mut news) = match begun {
            Some(row) => (row.interval, Some(Cursor(row.cursor)), row.seen, row.news),
            // What was there before the first watch is compared when it is first written.
            None => {
                let from = proven.map_or_else(|| before(now, OVERLAP), |until| before(until, OVERLAP));
                (Interval { from, to: now }, None, 0, 0)
            }
        };
        let mut found = 0;
        for _ in 0..PAGES_PER_TURN {
            let asked_at = self.now();
            let page = match flow.mirror.list(&interval, cursor.as_ref()).await {
                Ok(page) => page,
                Err(fault) => {
                    tracing::warn!(flow = %flow.setup.name, fault = fault.word(), detail = %fault, "changed items could not be listed");
                    self.note_trouble(&flow.setup.to, &fault).await?;
                    return Ok((found, Some(true)));
                }
            };
            seen += page.raws.len() as u64;
            let changed = self.changed(flow, page.raws, asked_at).await?;
            news += changed.len() as u64;
            found += changed.len();
            for one in changed {
                self.settle_changed(flow, one).await?;
            }
            let (brand, to, via) = (self.brand().clone(), flow.setup.to.clone(), via.clone());
            match page.next {
                Some(next) if cursor.as_ref() != Some(&next) => {
                    let row = ReadingRow { via, interval, cursor: next.0.clone(), seen, news };
                    self.store().write(move |tx| tx.keep_reading(&brand, &to, Kind::Product, &row)).await?;
                    cursor = Some(next);
                }
                _ => {
                    let row = ProvenRow { via, interval, seen, news, at: self.now() };
                    self.store().write(move |tx| tx.prove(&brand, &to, Kind::Product, &row)).await?;
                    return Ok((found, Some(false)));
                }
            }
        }
        Ok((found, None))
    }

    /// What differs from what was confirmed before the page was asked for.
    async fn changed(&self, flow: &Flow, raws: Vec<Raw>, asked_at: Timestamp) -> Result<Vec<Changed>> {
        let (brand, name, to) = (self.brand().clone(), flow.setup.name.clone(), flow.setup.to.clone());
        let (mirror, carries) = (std::sync::Arc::clone(&flow.mirror), flow.sink.carries());
        self.store()
            .read(move |view| {
                let mut changed = Vec::new();
                for raw in raws {
                    let Some(key) = view.bound_to(&brand, &to, Kind::Product, &raw.id)? else { continue };
                    let Some(row) = view.obligation_latest(&brand, &name, &key)? else { continue };
                    // What was confirmed since was read back after this page.
                    if row.state != State::Confirmed || row.settled_at.is_none_or(|settled| settled >= asked_at) {
                        continue;
                    }
                    let AnyRecord::Product(ours) = view.owed(&row)? else { continue };
                    let Some(AnyRecord::Product(theirs)) = mirror.decode(&raw, &row.values).record else { continue };
                    let (ours, theirs) = (*ours, *theirs);
                    let differences = compare(&ours.clone().into(), &theirs.clone().into(), carries);
                    changed.push(Changed { row, ours, theirs, differences });
                }
                Ok(changed)
            })
            .await
            .map(|changed| {
                let told = |one: &mut Changed| {
                    one.differences.retain(|difference| {
                        let policy = field_of(difference).map(|field| flow.setup.products.on_change(field));
                        policy != Some(ChangedElsewhere::Ignore)
                    });
                    !one.differences.is_empty()
                };
                changed.into_iter().filter_map(|mut one| told(&mut one).then_some(one)).collect()
            })
    }

    async fn settle_changed(&self, flow: &Flow, changed: Changed) -> Result<()> {
        let (brand, name, now) = (self.brand().clone(), flow.setup.name.clone(), self.now());
        let policy = flow.setup.products.clone();
        let to = flow.setup.to.clone();
        self.store()
            .write(move |tx| {
                let Changed { row, ours, theirs, differences } = &changed;
                let said = both_values(differences);
                let lately = |at: Timestamp| at > before(now, REVERTS_WITHIN);
                let reverted = tx.story(row.id)?.iter().filter(|line| line.outcome == "reverted" && lately(line.at)).count();
                let decided = decide(&policy, differences, reverted);
                let problem = Problem::new(
                    "product.changed_elsewhere",
                    differences.first().map(|difference| difference.path.clone()).unwrap_or_default(),
                    format!("{} was changed at {to}: {said}", row.key),
                    decided.remedy(),
                )
                .value(differences.first().and_then(|difference| difference.actual.clone()).unwrap_or_default())
                .cause(row.key.as_str());
                let exception = tx.raise(&brand, &name, &problem, now)?;
                let step = Step { exception: Some(exception), ..Step::default() };
                let moved = tx.step(row.id, Event::Drift, &step, now).and_then(|_| tx.tell(row.id, "watch", "held", &said, now));
                if unless_moved(moved)?.is_none() {
                    return Ok(());
                }
                let word = match &decided {
                    Decided::Ask => return Ok(()),
                    Decided::Settle { accepted } => {
                        // What is accepted is what the source says now against what stands there now.
                        let source = match tx.record(row.record)?.record {
                            AnyRecord::Product(source) => *source,
                            _ => ours.clone(),
                        };
                        for field in accepted {
                            let field = AcceptedField { field: *field, ours: source.clone(), theirs: theirs.clone() };
                            tx.accept_field(&brand, &name, &row.key, &field, now)?;
                        }
                        audit_settled(tx, &brand, row, differences, accepted, (exception, now))?;
                        if accepted.len() == fields(differences).len() { "accepted" } else { "reverted" }
                    }
                };
                tx.release(exception, None, now)?;
                tx.tell(row.id, "watch", word, &decided.remedy(), now)
            })
            .await
    }
}

/// What becomes of a change.
enum Decided {
    /// By policy: these fields stand as they are there, the others are written again.
    Settle { accepted: Vec<ProductField> },
    /// It was written back so often that only a person can end it.
    Ask,
}

impl Decided {
    fn remedy(&self) -> String {
        match self {
            Decided::Ask => {
                "It was written back three times within a day and changed again: find out who changes it there. Release writes the \
                             shop's value once more; dismiss keeps theirs until the product changes in the shop."
                    .to_owned()
            }
            Decided::Settle { accepted } if accepted.is_empty() => {
                "The shop's value is written again by itself (changed_elsewhere = \"revert\").".to_owned()
            }
            Decided::Settle { accepted } => {
                let words: Vec<&str> = accepted.iter().map(|field| field.word()).collect();
                format!("By changed_elsewhere, {} stays as it is there until the shop changes it.", words.join(", "))
            }
        }
    }
}

/// Notes in the audit trail what the policy lets stand as it is there, and what it has written over.
fn audit_settled(
    tx: &Tx<'_>,
    brand: &Brand,
    row: &ObligationRow,
    differences: &[Difference],
    accepted: &[ProductField],
    (exception, now): (ExceptionId, Timestamp),
) -> Result<()> {
    let stands = |difference: &&Difference| field_of(difference).is_some_and(|field| accepted.contains(&field));
    let (kept, reverted): (Vec<&Difference>, Vec<&Difference>) = differences.iter().partition(stands);
    let subject = format!("{} {}", row.flow, row.key);
    for (act, which) in [("product.accept", kept), ("product.revert", reverted)] {
        if !which.is_empty() {
            tx.audit(brand, POLICY, act, &subject, &format!("{exception}: {}", both_values(which)), now)?;
        }
    }
    Ok(())
}

fn fields(differences: &[Difference]) -> BTreeMap<String, Option<ProductField>> {
    differences.iter().map(|difference| (difference.path.clone(), field_of(difference))).collect()
}

fn decide(policy: &ProductPolicy, differences: &[Difference], reverted: usize) -> Decided {
    let mut accepted: Vec<ProductField> =
        differences.iter().filter_map(field_of).filter(|field| policy.on_change(*field) == ChangedElsewhere::Accept).collect();
    accepted.sort();
    accepted.dedup();
    let all_accepted = differences.iter().all(|difference| field_of(difference).is_some_and(|field| accepted.contains(&field)));
    if !all_accepted && reverted >= REVERTS_MAX { Decided::Ask } else { Decided::Settle { accepted } }
}

fn both_values<'a>(differences: impl IntoIterator<Item = &'a Difference>) -> String {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let one = |d: &Difference| format!("{}: {} in the shop, {} there", d.path, side(&d.expected), side(&d.actual));
    differences.into_iter().map(one).collect::<Vec<_>>().join("; ")
}
