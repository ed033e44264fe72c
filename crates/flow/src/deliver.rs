//! 3 · Deliver: claim, look if need be, put once, sort the answer.
//!
//! The claim is the intention on disk: after a crash a claimed row is unanswered, and an
//! unanswered row is looked for by *our* key before anything is sent again.

use futures_util::stream::{FuturesUnordered, StreamExt};
use selvedge_connector::{Encoded, Fault, Found, Need, Needed, Noted, Priority, Raw, Request, Standing, watched};
use selvedge_model::{
    AnyRecord, ExternalId, Kind, Problem,
    gate::Values,
    obligation::{Event, State},
};
use selvedge_store::{
    Result, Tx,
    attempts::AttemptRow,
    obligations::{ObligationRow, Step},
};

use tracing::Instrument;

use crate::{
    backoff::{after, next_try},
    engine::{Engine, Flow, Hand, unless_moved},
    gate::hold,
    pauses,
    ports::{AnyWriter, source},
    spans,
    stock::demand::{counting, delivered},
};

/// Writes that came back in a way nobody understands, before a person is asked.
const UNEXPECTED_MAX: u32 = 3;
/// The same call taken so often in a row and seen to change nothing, before a person is asked.
const ADVANCES_MAX: usize = 5;
/// Unanswered rows looked for in one batch.
const UNANSWERED_BATCH: usize = 64;

/// How a write went, in the words of the table of moves.
enum Outcome {
    Delivered {
        id: ExternalId,
        how: String,
    },
    /// It took effect, and what stands there needs another call.
    Advanced {
        id: ExternalId,
        how: String,
    },
    Held(Vec<Problem>),
    Excluded(String),
    Postponed {
        fault: Fault,
    },
    Unanswered {
        why: String,
    },
}

impl Engine {
    /// Delivers every cleared row that is due, as many at once as the flow allows; returns how many.
    pub(crate) async fn deliver(&self, flow: &Flow) -> Result<usize> {
        let Hand::Writes(writer) = &flow.hand else { return self.compare_cleared(flow).await };
        let writer = writer.as_ref();
        let mut under_way = FuturesUnordered::new();
        let (mut done, mut dry) = (0, false);
        loop {
            // Refill by halves, so that one claim serves several rows and no slot stands empty for long.
            if !dry && !self.is_stopping() && under_way.len() <= flow.setup.parallel / 2 && !self.paused(&flow.setup.to) {
                let rows = self.claim(flow, flow.setup.parallel - under_way.len()).await?;
                dry = rows.is_empty();
                under_way.extend(rows.into_iter().map(|row| {
                    let span = spans::of_row("deliver", &flow.setup, &row);
                    self.deliver_one(flow, writer, row).instrument(span)
                }));
            }
            // One call that hangs must not keep the other slots empty: what falls due meanwhile is claimed, too.
            let finished = tokio::select! {
                finished = under_way.next() => finished,
                () = self.more_to_deliver(), if !self.is_stopping() => {
                    dry = false;
                    continue;
                }
            };
            match finished {
                Some(result) => {
                    result?;
                    done += 1;
                    self.wake_confirm();
                }
                None => return Ok(done),
            }
        }
    }

    async fn claim(&self, flow: &Flow, limit: usize) -> Result<Vec<ObligationRow>> {
        let (brand, name, now) = (self.brand().clone(), flow.setup.name.clone(), self.now());
        let (probe_brand, probe_name) = (brand.clone(), name.clone());
        // A look costs no sync; an idle flow should not write.
        let any = self.store().read(move |view| pauses::due(view, &probe_brand, &probe_name, now, 1)).await?;
        if any.is_empty() {
            return Ok(Vec::new());
        }
        // Asked again where the claim is made: nothing leaves after a person was told that the flow is paused.
        let claim = move |tx: &Tx<'_>| match tx.flow_rests(&brand, &name)? {
            Some(_) => Ok(Vec::new()),
            None => tx.claim(&brand, &name, now, limit),
        };
        self.store().write(claim).await
    }

    async fn deliver_one(&self, flow: &Flow, writer: &dyn AnyWriter, row: ObligationRow) -> Result<()> {
        let (written, noted) = watched(self.write(flow, writer, &row)).await;
        let outcome = match written? {
            Ok(outcome) => outcome,
            Err(fault) => self.sort(flow, &row, fault).await?,
        };
        self.record_outcome(flow, &row, "deliver", outcome, noted).await
    }

    /// Looks, encodes and puts. The fault of any call is returned as it is.
    async fn write(
        &self,
        flow: &Flow,
        writer: &dyn AnyWriter,
        row: &ObligationRow,
    ) -> Result<std::result::Result<Outcome, Fault>> {
        let (brand, to, kind, key, owed) = (self.brand().clone(), flow.setup.to.clone(), row.kind, row.key.clone(), row.clone());
        let (flow_name, own) = (flow.setup.name.clone(), row.id);
        let (record, bound, others_tried, seen) = self
            .store()
            .read(move |view| {
                let others = view.obligations_of(&brand, kind, &key)?;
                let others_tried = others.iter().any(|o| o.flow == flow_name && o.id != own && o.attempts > 0);
                // What the flow found while it was in shadow mode is changed, and not made a second time.
                let seen = others.iter().rev().filter(|o| o.flow == flow_name && o.attempts == 0).find_map(|o| o.target.clone());
                Ok((view.owed(&owed)?, view.binding(&brand, &to, kind, &key)?, others_tried, seen))
            })
            .await?;
        let _turn = match record.order().filter(|_| row.kind == Kind::Shipment) {
            Some(order) => Some(self.turn_with(&flow.setup.to, order).await),
            None => None,
        };
        let mut bound = bound;
        if bound.is_none() && (others_tried || row.attempts > 1 || flow.sink.looks_first()) {
            match flow.sink.find(&record).await {
                Ok(found) => bound = found.map(|found| found.id),
                Err(fault) => return Ok(Err(nothing_left(fault))),
            }
        }
        let bound = bound.or(seen);
        let existing = match &bound {
            None => None,
            Some(id) => match flow.mirror.fetch(std::slice::from_ref(id), Priority::Orders).await {
                Ok(raws) => match raws.into_iter().next() {
                    Some(raw) => Some(raw),
                    None => return Ok(Ok(Outcome::Held(vec![gone(flow, id)]))),
                },
                Err(fault) => return Ok(Err(nothing_left(fault))),
            },
        };
        if existing.is_none() && record.is_cancelled() {
            return Ok(Ok(Outcome::Excluded("status.cancelled version 1: cancelled before it stood at the target".to_owned())));
        }
        let needed = match self.needed(flow, &record, &row.values).await {
            Ok(needed) => needed,
            Err(Fault::Refused { problems, .. }) => return Ok(Ok(Outcome::Held(problems))),
            Err(fault) => return Ok(Err(nothing_left(fault))),
        };
        let there = Standing { own: existing.as_ref(), needed: needed.as_ref() };
        match flow.sink.encode(&record, &row.values, there) {
            Err(problems) => Ok(Ok(Outcome::Held(problems))),
            Ok(Encoded::Nothing) => match bound {
                Some(id) => Ok(Ok(Outcome::Delivered { id, how: "it stands already as it should".to_owned() })),
                None => Ok(Ok(Outcome::Excluded("nothing.owed version 1: the target needs no document for this".to_owned()))),
            },
            Ok(Encoded::Put(request)) => Ok(self.put(flow, writer, &record, &request, existing.as_ref()).await),
        }
    }

    /// The document of another flow that `encode` has to see.
    pub(crate) async fn needed(
        &self,
        flow: &Flow,
        record: &AnyRecord,
        values: &Values,
    ) -> std::result::Result<Option<Raw>, Fault> {
        let Some(Need { what, table, key_text }) = flow.sink.needs(record) else { return Ok(None) };
        let (kind, key) = match what {
            Needed::Document { kind, key } => (kind, key),
            // What is credited is read off the return that was brought with it; a shopper is known by the id alone.
            Needed::Record(AnyRecord::Return(ret)) => (Kind::Return, ret.key.clone()),
            Needed::Record(_) => return Ok(None),
        };
        let source = self.setup().connections.get(&flow.setup.to).and_then(|to| source(to, kind));
        let (Some(id), Some(source)) = (values.by_key(&table, &key_text).map(ExternalId::new), source) else { return Ok(None) };
        match source.fetch(std::slice::from_ref(&id), Priority::Orders).await?.into_iter().next() {
            Some(raw) => Ok(Some(raw)),
            None => Err(Fault::Refused { what: format!("read {kind} {key}"), problems: vec![gone(flow, &id)] }),
        }
    }

    async fn put(
        &self,
        flow: &Flow,
        writer: &dyn AnyWriter,
        record: &AnyRecord,
        request: &Request,
        existing: Option<&Raw>,
    ) -> std::result::Result<Outcome, Fault> {
        let receipt = writer.put(request).await?;
        let how = if receipt.warnings.is_empty() {
            request.what.clone()
        } else {
            format!("{}, with warnings: {}", request.what, receipt.warnings.join("; "))
        };
        match receipt.id.or_else(|| request.update.clone()).or_else(|| existing.map(|raw| raw.id.clone())) {
            Some(id) => Ok(taken(request, id, how)),
            // Taken, but the answer does not say under which id.
            None => match flow.sink.find(record).await? {
                Some(found) => Ok(taken(request, found.id, how)),
                None => Ok(Outcome::Unanswered { why: "it was taken, but is not found under our key yet".to_owned() }),
            },
        }
    }

    /// Looks by our key for the document of a row.
    async fn find(&self, flow: &Flow, row: &ObligationRow) -> Result<std::result::Result<Option<Found>, Fault>> {
        let owed = row.clone();
        let record = self.store().read(move |view| view.owed(&owed)).await?;
        Ok(flow.sink.find(&record).await)
    }

    /// What a fault means for the row.
    async fn sort(&self, flow: &Flow, row: &ObligationRow, fault: Fault) -> Result<Outcome> {
        self.note_trouble(&flow.setup.to, &fault).await?;
        Ok(match fault {
            Fault::Refused { problems, .. } => match self.find(flow, row).await? {
                // A creation whose first answer was lost is refused the second time because it is there.
                Ok(Some(found)) if row.target.is_none() && row.attempts > 1 => {
                    Outcome::Delivered { id: found.id, how: "it stood there already, under our key".to_owned() }
                }
                _ => Outcome::Held(problems),
            },
            Fault::Exists { id: Some(id), .. } => Outcome::Delivered { id, how: "it stood there already".to_owned() },
            Fault::Exists { id: None, what } => match self.find(flow, row).await? {
                // What stands there may be another's, or half of ours: it is looked at before it is read back.
                Ok(Some(found)) if !flow.sink.finishes_in_one() => {
                    Outcome::Advanced { id: found.id, how: "it stood there already, under our key".to_owned() }
                }
                Ok(Some(found)) => Outcome::Delivered { id: found.id, how: "it stood there already, under our key".to_owned() },
                Ok(None) => Outcome::Held(vec![elsewhere(&what)]),
                Err(_) => {
                    Outcome::Unanswered { why: format!("{what}: said to exist, and the look by our key did not come through") }
                }
            },
            Fault::Unanswered { .. } => Outcome::Unanswered { why: fault.to_string() },
            Fault::Unexpected { ref what, ref detail } if row.attempts >= UNEXPECTED_MAX => {
                Outcome::Held(vec![unexpected(what, detail)])
            }
            Fault::Unexpected { .. } => Outcome::Unanswered { why: fault.to_string() },
            Fault::Transient { .. }
            | Fault::Throttled { .. }
            | Fault::Unauthorized { .. }
            | Fault::Pending { .. }
            | Fault::Forged { .. } => Outcome::Postponed { fault },
        })
    }

    async fn record_outcome(
        &self,
        flow: &Flow,
        row: &ObligationRow,
        verb: &'static str,
        outcome: Outcome,
        noted: Option<Noted>,
    ) -> Result<()> {
        let evidence = noted.filter(|_| matches!(outcome, Outcome::Held(_) | Outcome::Unanswered { .. })).and_then(evidence);
        if matches!(outcome, Outcome::Delivered { .. } | Outcome::Advanced { .. }) {
            self.note_well(&flow.setup.to).await?;
        }
        let (brand, setup, now, seed) = (self.brand().clone(), flow.setup.clone(), self.now(), self.setup().seed);
        let (row, counting) = (row.clone(), counting(self.setup()));
        self.store()
            .write(move |tx| {
                if let Some(evidence) = &evidence {
                    tx.keep_exchange(row.id, evidence, now)?;
                }
                let moved = match outcome {
                    Outcome::Delivered { id, how } => {
                        tx.bind(&brand, &setup.to, row.kind, &row.key, &id, now)?;
                        delivered(tx, &counting, &setup.name, row.record, now)?;
                        let said = format!("{how}; it is {id} there");
                        let step = Step { target: Some(id), ..Step::default() };
                        tx.step(row.id, Event::Answer, &step, now).and_then(|_| tx.tell(row.id, verb, "delivered", &said, now))
                    }
                    Outcome::Advanced { id, how } => {
                        tx.bind(&brand, &setup.to, row.kind, &row.key, &id, now)?;
                        let step = Step { target: Some(id.clone()), ..Step::default() };
                        let said = format!("{how}; it is {id} there and not finished");
                        let before = tx.story(row.id)?;
                        let same = |line: &&AttemptRow| line.outcome == "advanced" && line.detail == said;
                        if before.iter().rev().take_while(same).count() >= ADVANCES_MAX {
                            let problem = unexpected(&how, "it was taken several times and shows no effect");
                            let held = hold(tx, &brand, &setup.name, row.id, verb, &[problem], now);
                            return unless_moved(held).map(|_| ());
                        }
                        tx.step(row.id, Event::Advance, &step, now).and_then(|_| tx.tell(row.id, verb, "advanced", &said, now))
                    }
                    Outcome::Held(problems) => hold(tx, &brand, &setup.name, row.id, verb, &problems, now),
                    Outcome::Excluded(note) => {
                        let step = Step { note: Some(note.clone()), ..Step::default() };
                        tx.step(row.id, Event::Exclude, &step, now).and_then(|_| tx.tell(row.id, verb, "excluded", &note, now))
                    }
                    Outcome::Unanswered { why } => {
                        let due_at = Some(after(now, setup.unanswered_wait / 2));
                        let step = Step { due_at, note: Some(why.clone()), ..Step::default() };
                        tx.step(row.id, Event::LoseAnswer, &step, now)
                            .and_then(|_| tx.tell(row.id, verb, "unanswered", &why, now))
                    }
                    Outcome::Postponed { ref fault }
                        if row.retries >= setup.retries_max && matches!(fault, Fault::Transient { .. }) =>
                    {
                        hold(tx, &brand, &setup.name, row.id, verb, &[unreachable_for_long(&setup, fault)], now)
                    }
                    Outcome::Postponed { fault } => {
                        let due_at = match &fault {
                            Fault::Throttled { wait: Some(wait), .. } => after(now, *wait),
                            _ => next_try(&setup, seed, row.id, row.retries, now),
                        };
                        let step = Step { due_at: Some(due_at), note: Some(fault.to_string()), ..Step::default() };
                        tx.step(row.id, Event::Postpone, &step, now)
                            .and_then(|_| tx.tell(row.id, verb, fault.word(), &fault.to_string(), now))
                    }
                };
                unless_moved(moved).map(|_| ())
            })
            .await
    }

    /// Looks by our key for every row whose answer was lost; returns how many were looked for.
    pub(crate) async fn settle_unanswered(&self, flow: &Flow) -> Result<usize> {
        if self.paused(&flow.setup.to) {
            return Ok(0);
        }
        let (brand, name, now) = (self.brand().clone(), flow.setup.name.clone(), self.now());
        let rows = self.store().read(move |view| view.due(&brand, &name, State::Unanswered, now, UNANSWERED_BATCH)).await?;
        let count = rows.len();
        let mut looks = futures_util::stream::iter(rows.into_iter().map(|row| {
            let span = spans::of_row("look for", &flow.setup, &row);
            self.settle_one(flow, row).instrument(span)
        }))
        .buffer_unordered(flow.setup.parallel.max(1));
        while let Some(result) = looks.next().await {
            result?;
        }
        Ok(count)
    }

    async fn settle_one(&self, flow: &Flow, row: ObligationRow) -> Result<()> {
        let (brand, to, kind, key) = (self.brand().clone(), flow.setup.to.clone(), row.kind, row.key.clone());
        let bound = self.store().read(move |view| view.binding(&brand, &to, kind, &key)).await?;
        let now = self.now();
        if bound.is_some() {
            // A change of a document that we know can be repeated: it is read first, and only what is missing is sent.
            return self.send_again(&row, "the change is looked at and, if need be, repeated").await;
        }
        match self.find(flow, &row).await? {
            Ok(Some(found)) => {
                let how = "found under our key after the answer was lost".to_owned();
                let outcome = if flow.sink.finishes_in_one() {
                    Outcome::Delivered { id: found.id, how }
                } else {
                    Outcome::Advanced { id: found.id, how }
                };
                self.record_outcome(flow, &row, "find", outcome, None).await
            }
            Ok(None) if row.retries == 0 => {
                // It may still be on its way in: look once more before anything is repeated.
                let (id, due_at) = (row.id, after(now, flow.setup.unanswered_wait));
                self.store()
                    .write(move |tx| {
                        let said = "not found under our key; one more look before it is sent again";
                        let moved = tx.postpone(id, due_at, None).and_then(|()| tx.tell(id, "find", "nothing", said, now));
                        unless_moved(moved).map(|_| ())
                    })
                    .await
            }
            Ok(None) => self.send_again(&row, "not found under our key, twice").await,
            // The look itself found what must not be: a person has to see it.
            Err(Fault::Refused { problems, .. }) => self.record_outcome(flow, &row, "find", Outcome::Held(problems), None).await,
            Err(fault) => {
                self.note_trouble(&flow.setup.to, &fault).await?;
                let due_at = next_try(&flow.setup, self.setup().seed, row.id, row.attempts, now);
                let id = row.id;
                // The count of looks that found nothing must not grow by looks that did not happen.
                self.store().write(move |tx| tx.look_again(id, due_at)).await
            }
        }
    }

    async fn send_again(&self, row: &ObligationRow, why: &'static str) -> Result<()> {
        let (id, now) = (row.id, self.now());
        self.store()
            .write(move |tx| {
                let moved =
                    tx.step(id, Event::FindNothing, &Step::default(), now).and_then(|_| tx.tell(id, "find", "cleared", why, now));
                unless_moved(moved).map(|_| ())
            })
            .await
    }
}

/// What was said and answered, as it is kept.
pub(crate) fn evidence(noted: Noted) -> Option<Vec<u8>> {
    serde_json::to_vec(&noted.told()).ok()
}

/// A fault of a look before the write: nothing has left, whatever the fault says about itself.
fn nothing_left(fault: Fault) -> Fault {
    match fault {
        Fault::Unanswered { what, source } => Fault::Transient { what, source },
        Fault::Unexpected { what, detail } => Fault::Transient { what, source: Some(detail.into()) },
        other => other,
    }
}

fn taken(request: &Request, id: ExternalId, how: String) -> Outcome {
    if request.unfinished { Outcome::Advanced { id, how } } else { Outcome::Delivered { id, how } }
}

fn gone(flow: &Flow, id: &ExternalId) -> Problem {
    Problem::new(
        "target.gone",
        "",
        format!("{id} stood at {} and is gone", flow.setup.to),
        "Find out who removed it. Dismiss this if it was meant; otherwise restore it there and release.",
    )
    .value(id.as_str())
}

fn elsewhere(what: &str) -> Problem {
    Problem::new(
        "target.exists_elsewhere",
        "",
        format!("{what}: the target says that it exists, but nothing is found under our key"),
        "Another document of the same group uses our key. Free the key there, then release.",
    )
}

fn unexpected(what: &str, detail: &str) -> Problem {
    Problem::new(
        "target.unexpected",
        "",
        format!("{what}: {detail}"),
        "Read the answer; if the system has changed, update the connector. Release sends it again, after a look by our key.",
    )
}

fn unreachable_for_long(setup: &crate::FlowSetup, fault: &Fault) -> Problem {
    Problem::new(
        "target.unreachable",
        "",
        format!("{} could not be reached for {} tries in a row: {fault}", setup.to, setup.retries_max),
        "See whether the system is up: selvedge check. Then release everything that waits.",
    )
    .cause(setup.to.as_str())
}
