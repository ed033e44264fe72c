//! 2 · Gate: runs the rules of `model::gate`: cleared, held by one exception, excluded, or not yet.
//!
//! The decision is taken on a consistent view and written in one transaction per batch; a row that
//! a newer revision overtook in between is left to that revision.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use selvedge_connector::Needed;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, ExceptionId, ExternalId, FlowName, Kind, Mode, ObligationId, Problem, RecordKey,
    credit::LinkRule,
    edit::{self, EditField},
    gate::{
        Lookup, Values,
        rules::{self, Standing},
    },
    obligation::{Event, State},
};
use selvedge_store::{
    Result, Tx, View,
    captures::CaptureRow,
    mappings::{MappingAnswer, MappingSet},
    obligations::{ObligationRow, Step},
    parts::Claim,
    records::{NewRecord, RecordRow},
    routed::RoutedLine,
};

use tracing::Instrument;

use crate::{
    FlowSetup,
    backoff::after,
    capture::enter,
    engine::{Engine, Flow, unless_moved},
    ports::AnySink,
    prepare::{Bench, Prepared, Ready},
    spans,
};

/// Rows decided in one batch.
const BATCH: usize = 100;
/// When a record that is "not yet" is looked at again although the source said nothing.
const NOT_YET: Duration = Duration::from_secs(3600);
/// When a row that needs a list which was never read is looked at again.
const LIST_UNREAD: Duration = Duration::from_secs(1);

/// What the gate decided about one row.
pub(crate) enum Decision {
    Clear(Box<Cleared>),
    Hold(Vec<Problem>),
    /// An exception that holds something this row needs holds this row, too.
    HoldBy(ObligationId, ExceptionId, String),
    Exclude {
        rule: &'static str,
        version: u32,
        reason: String,
        routed: Vec<RoutedLine>,
    },
    Later {
        after: Duration,
        why: String,
    },
    /// Another record must stand at the target first.
    Need(Box<NewRecord>),
    /// The document of another obligation must stand at the target first.
    WaitFor(ObligationId, String),
    /// The raw bytes are to be decoded again.
    Decode(Box<CaptureRow>),
    /// What it gives back of a sale is claimed, whatever else is decided; nothing is, when somebody else has claimed it.
    Claiming(Box<Claim>, Box<Decision>),
    /// The source has changed these fields itself since a person edited them: the edits are over, whatever else is decided.
    Overtaken(Vec<EditField>, Box<Decision>),
    /// These take its place.
    Split {
        parts: Vec<NewRecord>,
        reason: String,
    },
}

/// How often in a row what a record gives back may have been claimed by another, before a person is asked.
const CLAIMS_MAX: u32 = 20;

/// What a row that may pass takes along.
pub(crate) struct Cleared {
    pub values: Values,
    /// The record as it was made ready, where it does not go as it came.
    pub ready: Option<Ready>,
}

impl Engine {
    /// Decides rows that are due; returns how many.
    pub(crate) async fn gate(&self, flow: &Flow) -> Result<usize> {
        let (brand, name, now) = (self.brand().clone(), flow.setup.name.clone(), self.now());
        let (sink, setup) = (Arc::clone(&flow.sink), flow.setup.clone());
        let beside = self.beside(flow);
        let flows: Vec<(FlowName, ConnectionName)> =
            self.flows.iter().map(|f| (f.setup.name.clone(), f.setup.to.clone())).collect();
        // What one flow gives a shipment the next must see, or two warehouses' shipments would be given the same units.
        // So it is with what gives something back of one sale.
        let _turn = match flow.setup.kind {
            Kind::Shipment => Some(self.shipments_gate.lock().await),
            Kind::Return | Kind::CreditNote | Kind::Refund => Some(self.returns_gate.lock().await),
            _ => None,
        };
        let shops = self.shops(&flow.setup.to);
        let sources: Vec<(ConnectionName, Kind)> = self.flows.iter().map(|f| (f.setup.from.clone(), f.setup.kind)).collect();
        let decided = self
            .store()
            .read(move |view| {
                let look = Look {
                    view,
                    brand: &brand,
                    setup: &setup,
                    beside: &beside,
                    flows: &flows,
                    shops: &shops,
                    sources: &sources,
                    sink: sink.as_ref(),
                    words: Words::InForce,
                    now,
                };
                let mut decided = Vec::new();
                let mut sharing = BTreeSet::new();
                // Credits are linked in the order in which they came: whoever waits, or is not due yet, is overtaken by nobody.
                let in_turn = setup.kind == Kind::CreditNote && setup.credits.link == LinkRule::OldestFirst;
                let rows = match in_turn {
                    true => view.undecided(&brand, &name, BATCH)?,
                    false => view.due(&brand, &name, State::Captured, now, BATCH)?,
                };
                for row in rows {
                    if in_turn && row.due_at > now {
                        break;
                    }
                    let record = view.record(row.record)?;
                    // Two shipments of one order share what it still wants: the second sees what the first was given. So do
                    // two credits of one buyer.
                    if shared(&record.record).is_none_or(|shared| sharing.insert(shared)) {
                        let decision = look.decide(&row, record)?;
                        let waits = in_turn && matches!(decision, Decision::Later { .. });
                        decided.push((row, decision));
                        if waits {
                            break;
                        }
                    } else if in_turn {
                        break;
                    }
                }
                Ok(decided)
            })
            .await?;
        let count = decided.len();
        if count == 0 {
            return Ok(0);
        }
        let span = spans::of_batch("gate", flow.setup.name.as_str(), count);
        let decided: Vec<(ObligationRow, Written)> =
            decided.into_iter().map(|(row, decision)| (row, self.prepare(decision))).collect();
        let owing = self.owing();
        let bringers: Vec<(FlowName, ConnectionName, Kind)> = self
            .flows
            .iter()
            .filter(|f| f.setup.to == flow.setup.to)
            .map(|f| (f.setup.name.clone(), f.setup.from.clone(), f.setup.kind))
            .collect();
        let compares: Vec<FlowName> =
            self.flows.iter().filter(|f| f.setup.mode == Mode::Shadow).map(|f| f.setup.name.clone()).collect();
        let (brand, flow_name) = (self.brand().clone(), flow.setup.name.clone());
        self.store()
            .write(move |tx| {
                for (row, written) in &decided {
                    let needs = Needs { flows: &bringers, compares: &compares, owing: &owing };
                    unless_moved(write_down(tx, &brand, &flow_name, row, written, &needs, now))?;
                }
                Ok(())
            })
            .instrument(span)
            .await?;
        Ok(count)
    }

    /// The flows to the same target, what they bring there, and whether they write.
    pub(crate) fn beside(&self, flow: &Flow) -> Vec<Beside> {
        let same = self.flows.iter().filter(|other| other.setup.to == flow.setup.to);
        same.map(|f| Beside { flow: f.setup.name.clone(), kind: f.setup.kind, mode: f.setup.mode }).collect()
    }

    /// Decoding needs the connectors, so it happens between the view and the transaction.
    fn prepare(&self, decision: Decision) -> Written {
        match decision {
            Decision::Decode(capture) => Written::Decoded(self.decode_one(*capture)),
            other => Written::Plain(other),
        }
    }
}

/// A flow to the same target.
pub(crate) struct Beside {
    pub flow: FlowName,
    pub kind: Kind,
    pub mode: Mode,
}

/// Who answers lookups.
#[derive(Clone, Copy)]
pub(crate) enum Words<'a> {
    /// The mappings that are in force.
    InForce,
    /// Another set, and everything else as it is: the journey waits for what it has to wait for.
    Among(&'a MappingSet),
    /// Nothing waits to be made first: the journey is only foreseen, by the mappings in force or by another set.
    Foreseen(Option<&'a MappingSet>),
}

enum Written {
    Plain(Decision),
    Decoded(Vec<NewRecord>),
}

/// What a decision is taken on.
pub(crate) struct Look<'a> {
    pub view: &'a View<'a>,
    pub brand: &'a Brand,
    pub setup: &'a FlowSetup,
    /// The flows to the same target, and what they bring there.
    pub beside: &'a [Beside],
    /// Every flow with the connection that it leads to.
    pub flows: &'a [(FlowName, ConnectionName)],
    /// Where the orders come from that this target is brought, and until when they are kept.
    pub shops: &'a [(ConnectionName, Option<Timestamp>)],
    /// Where each flow begins, and of which kind it is.
    pub sources: &'a [(ConnectionName, Kind)],
    pub sink: &'a dyn AnySink,
    pub words: Words<'a>,
    pub now: Timestamp,
}

impl Look<'_> {
    pub(crate) fn decide(&self, row: &ObligationRow, mut record: RecordRow) -> Result<Decision> {
        let (mut edited, mut overtaken) = (false, Vec::new());
        if matches!(record.record, AnyRecord::Order(_) | AnyRecord::Shipment(_)) {
            let edits = self.view.edits_in_force(self.brand, &row.key)?;
            overtaken = edit::lay_over(&mut record.record, &edits);
            edited = edits.len() > overtaken.len();
            // What was wrong with a field as the source says it is not wrong with it as a person has put it.
            let put = |path: &str| edits.iter().any(|edit| edit.field.path() == path && !overtaken.contains(&edit.field));
            record.problems.retain(|problem| !put(&problem.path));
        }
        let decision = self.decide_as(row, record, edited)?;
        Ok(if overtaken.is_empty() { decision } else { Decision::Overtaken(overtaken, Box::new(decision)) })
    }

    /// `edited`: the record is not as its source says any more, so what is decided on is what is to be kept and to be sent.
    fn decide_as(&self, row: &ObligationRow, record: RecordRow, edited: bool) -> Result<Decision> {
        if matches!(record.record, AnyRecord::Unreadable(_)) && self.was_released(row)? {
            return self.decode_again(row, record);
        }
        if !record.problems.is_empty() {
            return Ok(Decision::Hold(record.problems));
        }
        let handed_over = self.view.binding(self.brand, &self.setup.to, row.kind, &row.key)?.is_some()
            || self.view.ever_attempted(self.brand, &row.flow, &row.key)?
            // Nobody knows what another integration handed over: what was taken back is looked for, too.
            || self.setup.mode == Mode::Shadow && record.record.is_cancelled();
        if let AnyRecord::Order(order) = &record.record {
            match rules::check_order(order, &self.setup.policy, handed_over) {
                Standing::Fit => {}
                Standing::Unfit(problems) => return Ok(Decision::Hold(problems)),
                Standing::Excluded { rule, version, reason } => {
                    return Ok(Decision::Exclude { rule, version, reason, routed: Vec::new() });
                }
                Standing::NotYet(why) => return Ok(Decision::Later { after: NOT_YET, why }),
            }
        }
        if record.record.is_cancelled() && !handed_over {
            let reason = "taken back before it was handed over".to_owned();
            let decision = Decision::Exclude { rule: "status.cancelled", version: 1, reason, routed: Vec::new() };
            return Ok(match row.kind {
                Kind::Return | Kind::CreditNote | Kind::Refund => {
                    Decision::Claiming(Box::new(self.bench().nothing_claimed(row)), Box::new(decision))
                }
                _ => decision,
            });
        }
        let bench = self.bench();
        match bench.prepare(row, &record, self.setup, handed_over)? {
            Prepared::AsItIs => self.resolve(&record, edited.then(|| Ready::of(record.record.clone()))),
            Prepared::As(mut ready) => {
                let claim = ready.claim.take();
                let decision = self.resolve(&record, Some(*ready))?;
                Ok(match claim {
                    Some(_) if matches!(decision, Decision::Exclude { .. }) => {
                        Decision::Claiming(Box::new(self.bench().nothing_claimed(row)), Box::new(decision))
                    }
                    Some(claim) => Decision::Claiming(Box::new(claim), Box::new(decision)),
                    None => decision,
                })
            }
            Prepared::Unfit(problems) => Ok(Decision::Hold(problems)),
            Prepared::Holding { problems, claim } => Ok(Decision::Claiming(claim, Box::new(Decision::Hold(problems)))),
            Prepared::Split { parts, reason } => {
                let part = |part: AnyRecord| NewRecord {
                    brand: self.brand.clone(),
                    connection: record.connection.clone(),
                    capture: record.capture,
                    record: part,
                    problems: Vec::new(),
                    version: record.version,
                    received_at: record.received_at,
                };
                Ok(Decision::Split { parts: parts.into_iter().map(part).collect(), reason })
            }
            Prepared::Excluded { rule, version, reason, routed } => {
                let decision = Decision::Exclude { rule, version, reason, routed };
                Ok(match row.kind {
                    Kind::Return | Kind::CreditNote | Kind::Refund if !handed_over => {
                        Decision::Claiming(Box::new(self.bench().nothing_claimed(row)), Box::new(decision))
                    }
                    _ => decision,
                })
            }
            Prepared::Later { after, why } => Ok(Decision::Later { after, why }),
        }
    }

    fn bench(&self) -> Bench<'_> {
        Bench {
            view: self.view,
            brand: self.brand,
            flow: &self.setup.name,
            flows: self.flows,
            shops: self.shops,
            sources: self.sources,
            keeps_bundles: self.sink.carries().bundles,
            now: self.now,
        }
    }

    /// Whether a person sent the row back to the gate after it had been held.
    fn was_released(&self, row: &ObligationRow) -> Result<bool> {
        Ok(self.view.story(row.id)?.iter().any(|line| line.outcome == "held"))
    }

    fn decode_again(&self, row: &ObligationRow, record: RecordRow) -> Result<Decision> {
        let Some(capture) = record.capture else { return Ok(Decision::Hold(record.problems)) };
        Ok(Decision::Decode(Box::new(CaptureRow {
            id: capture,
            connection: record.connection,
            kind: row.kind,
            external_id: selvedge_model::ExternalId::new(row.key.as_str()),
            version: record.version,
            body: self.view.capture_body(capture)?,
            via: "release".to_owned(),
            received_at: record.received_at,
        })))
    }

    /// Every mapped value, and the record that must stand first.
    fn resolve(&self, record: &RecordRow, ready: Option<Ready>) -> Result<Decision> {
        let goes = ready.as_ref().map_or(&record.record, |ready| &ready.record);
        let mut values = Values::default();
        let mut problems: BTreeMap<String, Problem> = BTreeMap::new();
        for lookup in self.sink.lookups(goes) {
            let problem = match self.answer(&lookup)? {
                MappingAnswer::Is(value) => {
                    values.set(&lookup.table, lookup.key_text(), value);
                    continue;
                }
                _ if lookup.optional => continue,
                MappingAnswer::Nothing
                    if lookup.same_name && self.view.list_read_at(&self.setup.to, &lookup.table)?.is_none() =>
                {
                    let why = format!("the list of {} at {} has not been read yet", lookup.table, self.setup.to);
                    return Ok(Decision::Later { after: LIST_UNREAD, why });
                }
                MappingAnswer::Nothing => lookup.missing(),
                MappingAnswer::Inactive(id) => inactive(&lookup, &id),
                MappingAnswer::Ambiguous(ids) => ambiguous(&lookup, &ids),
            };
            problems.entry(problem.cause.clone()).or_insert(problem);
        }
        if !problems.is_empty() {
            return Ok(Decision::Hold(problems.into_values().collect()));
        }
        for (kind, key) in ready.as_ref().map_or(&[][..], |ready| &ready.first) {
            let is_brought = self.beside.iter().any(|other| other.kind == *kind);
            if is_brought && self.stands(*kind, key)?.is_none() && !self.stays_open(*kind, key)? {
                return match self.left_out(*kind, key)? {
                    Some(why) => {
                        let reason = format!("{kind} {key} is left out there, and so is this: {why}");
                        Ok(Decision::Exclude { rule: "sale.excluded", version: 1, reason, routed: Vec::new() })
                    }
                    None => self.document(*kind, key),
                };
            }
        }
        if let Some(need) = self.sink.needs(goes) {
            let (kind, key) = match &need.what {
                Needed::Record(needed) => (needed.kind(), needed.key()),
                Needed::Document { kind, key } => (*kind, key.clone()),
            };
            match (self.stands(kind, &key)?, need.what) {
                (Some(id), _) => values.set(&need.table, need.key_text, id.as_str()),
                (None, _) if self.stays_open(kind, &key)? => {
                    if let Words::Foreseen(_) = self.words {
                        values.set(&need.table, need.key_text, format!("({kind} {key})"));
                    }
                }
                (None, Needed::Record(needed)) => return self.need(record, needed, kind, &key),
                (None, Needed::Document { .. }) => return self.document(kind, &key),
            }
        }
        Ok(Decision::Clear(Box::new(Cleared { values, ready })))
    }

    fn answer(&self, lookup: &Lookup) -> Result<MappingAnswer> {
        match self.words {
            Words::Foreseen(Some(set)) | Words::Among(set) => self.view.answer_among(set, &self.setup.to, lookup),
            Words::Foreseen(None) | Words::InForce => self.view.answer(self.brand, &self.setup.to, lookup),
        }
    }

    /// The newest obligation by which a flow to this target brings a record.
    fn brought(&self, kind: Kind, key: &RecordKey) -> Result<Option<ObligationRow>> {
        let brings = |flow: &FlowName| self.beside.iter().any(|other| other.flow == *flow && other.kind == kind);
        let rows = self.view.obligations_of(self.brand, kind, key)?;
        Ok(rows.into_iter().rev().find(|row| brings(&row.flow)))
    }

    /// Their id of a document of another flow: tied to our key, or seen by a flow in shadow mode.
    fn stands(&self, kind: Kind, key: &RecordKey) -> Result<Option<ExternalId>> {
        if let Some(bound) = self.view.binding(self.brand, &self.setup.to, kind, key)? {
            return Ok(Some(bound));
        }
        Ok(self.brought(kind, key)?.filter(|row| row.state == State::Compared).and_then(|row| row.target))
    }

    /// Whether a record goes on without a document that would have to stand first: nothing is written for it, so nobody has
    /// to make that one first, and no live flow is made to.
    fn stays_open(&self, kind: Kind, key: &RecordKey) -> Result<bool> {
        if let Words::Foreseen(_) = self.words {
            return Ok(true);
        }
        if self.setup.mode != Mode::Shadow {
            return Ok(false);
        }
        let writes = self.beside.iter().any(|other| other.kind == kind && other.mode == Mode::Live);
        Ok(writes || self.brought(kind, key)?.is_some_and(|row| row.state == State::Compared))
    }

    /// Why a document of another flow was left out here on purpose, if it was.
    fn left_out(&self, kind: Kind, key: &RecordKey) -> Result<Option<String>> {
        let newest = self.brought(kind, key)?.filter(|row| row.state == State::Excluded);
        Ok(newest.map(|row| row.note.unwrap_or_default()))
    }

    /// A document that another flow brings here: waited for, or why it never comes.
    fn document(&self, kind: Kind, key: &RecordKey) -> Result<Decision> {
        let Some(newest) = self.brought(kind, key)? else {
            return Ok(Decision::Hold(vec![never_comes(kind, key, &self.setup.to, "no flow brings it there")]));
        };
        Ok(match (newest.state, newest.exception) {
            (State::Held, Some(exception)) => {
                Decision::HoldBy(newest.id, exception, format!("{kind} {key} is held by {exception}"))
            }
            (state, _) if state.in_flight() => Decision::WaitFor(newest.id, format!("for {kind} {key} to stand first")),
            (State::Compared, _) => Decision::Hold(vec![only_compared(kind, key, &newest.flow)]),
            // Settled, and yet nothing stands: it was left out on purpose.
            (state, _) => {
                let why = format!("it is {} there: {}", state.word(), newest.note.as_deref().unwrap_or("nothing is said why"));
                Decision::Hold(vec![never_comes(kind, key, &self.setup.to, &why)])
            }
        })
    }

    fn need(&self, record: &RecordRow, needed: AnyRecord, kind: Kind, key: &RecordKey) -> Result<Decision> {
        for other in self.view.obligations_of(self.brand, kind, key)? {
            if let (State::Held, Some(exception)) = (other.state, other.exception) {
                return Ok(Decision::HoldBy(other.id, exception, format!("{kind} {key} is held by {exception}")));
            }
        }
        Ok(Decision::Need(Box::new(NewRecord {
            brand: self.brand.clone(),
            connection: record.connection.clone(),
            capture: record.capture,
            record: needed,
            problems: Vec::new(),
            version: record.version,
            received_at: record.received_at,
        })))
    }
}

fn only_compared(kind: Kind, key: &RecordKey, flow: &FlowName) -> Problem {
    Problem::new(
        "flow.shadow",
        "",
        format!("{kind} {key} must stand at the target first; the flow {flow} brings it there, and only compares"),
        format!("Switch it on (mode = \"live\" in [flows.{flow}], then selvedge flows adopt), or this flow to shadow mode; then release."),
    )
    .cause(flow.as_str())
}

fn never_comes(kind: Kind, key: &RecordKey, to: &ConnectionName, why: &str) -> Problem {
    Problem::new(
        "needed.missing",
        "",
        format!("{kind} {key} does not stand at {to}, and this needs it: {why}"),
        "Bring it there (a flow of that kind, or by hand and release), or dismiss this with a reason.",
    )
    .value(key.as_str())
    .cause(key.as_str())
}

fn never_free(row: &ObligationRow) -> Problem {
    Problem::new(
        "credit.claimed",
        "lines",
        format!("{} {} gives back what another has given back already, again and again when it is looked at", row.kind, row.key),
        "The order's page shows what was given back. Void or cancel the one that is wrong at its source and release this, or dismiss it \
         with a reason.",
    )
    .value(row.key.as_str())
    .cause(row.key.as_str())
}

fn inactive(lookup: &Lookup, id: &str) -> Problem {
    let mut problem = lookup.missing();
    problem.message = format!("{} stands for {id} there, which is inactive", lookup.key_text());
    problem.remedy =
        format!("Make {id} active there, or map another: selvedge mappings set {} '{}' ID", lookup.table, lookup.key_text());
    problem
}

fn ambiguous(lookup: &Lookup, ids: &[String]) -> Problem {
    let mut problem = lookup.missing();
    problem.message = format!("{} could stand for any of {}", lookup.key_text(), ids.join(", "));
    problem.remedy = format!("Say which: selvedge mappings set {} '{}' ID", lookup.table, lookup.key_text());
    problem
}

/// What is needed to owe a record that must stand first.
struct Needs<'a> {
    /// The flows to the same target, where each begins and what it brings.
    flows: &'a [(FlowName, ConnectionName, Kind)],
    /// Those that only compare.
    compares: &'a [FlowName],
    owing: &'a crate::capture::Owing,
}

impl Needs<'_> {
    /// The flow that brings such a record there: one from where it comes from goes first.
    fn bringing(&self, new: &NewRecord) -> Option<&FlowName> {
        let of_kind = || self.flows.iter().filter(|(_, _, kind)| *kind == new.record.kind());
        of_kind().find(|(_, from, _)| *from == new.connection).or_else(|| of_kind().next()).map(|(flow, ..)| flow)
    }
}

fn write_down(
    tx: &Tx<'_>,
    brand: &Brand,
    flow: &selvedge_model::FlowName,
    row: &ObligationRow,
    written: &Written,
    needs: &Needs<'_>,
    now: Timestamp,
) -> Result<()> {
    match written {
        Written::Decoded(new) if new.iter().any(|new| matches!(new.record, AnyRecord::Unreadable(_))) => {
            let problems: Vec<Problem> = new.iter().flat_map(|new| new.problems.clone()).collect();
            hold(tx, brand, flow, row.id, "gate", &problems, now)
        }
        // A record at last: its first revision takes the place of the stand-in.
        Written::Decoded(new) => new.iter().try_for_each(|new| enter(tx, needs.owing, brand, new, now)),
        Written::Plain(decision) => decide(tx, brand, flow, row, decision, needs, now),
    }
}

fn decide(
    tx: &Tx<'_>,
    brand: &Brand,
    flow: &selvedge_model::FlowName,
    row: &ObligationRow,
    decision: &Decision,
    needs: &Needs<'_>,
    now: Timestamp,
) -> Result<()> {
    match decision {
        Decision::Clear(cleared) => {
            let mut step = Step { values: Some(cleared.values.clone()), ..Step::default() };
            if let Some(ready) = &cleared.ready {
                if !tx.route(brand, &row.key, &ready.routed, now)? {
                    return tx.postpone(row.id, now, None);
                }
                step.prepared = Some(ready.record.clone());
            }
            tx.step(row.id, Event::Clear, &step, now)?;
            if let Some(ready) = &cleared.ready {
                for remark in &ready.remarks {
                    tx.tell(row.id, "gate", "remarked", remark, now)?;
                }
                tx.forget_accepted(brand, flow, &row.key, &ready.forgotten)?;
                if let Some(promise) = &ready.promise {
                    tx.promise(promise, now)?;
                } else if let Some(order) = ready.record.order() {
                    // A shipment was given its lines, or an order was taken back.
                    tx.promise_moved(brand, order, now)?;
                }
            }
            tx.tell(row.id, "gate", "cleared", "", now)
        }
        Decision::Hold(problems) => hold(tx, brand, flow, row.id, "gate", problems, now),
        // On its account: it goes on with it, and is never the first to be tried of what is released.
        Decision::HoldBy(other, ..) => tx.wait_for(row.id, *other),
        Decision::Exclude { rule, version, reason, routed } => {
            if !tx.route(brand, &row.key, routed, now)? {
                return tx.postpone(row.id, now, None);
            }
            let note = format!("{rule} version {version}: {reason}");
            tx.step(row.id, Event::Exclude, &Step { note: Some(note.clone()), ..Step::default() }, now)?;
            crate::stock::demand::excluded(tx, &needs.owing.counting, flow, row.record, now)?;
            tx.tell(row.id, "gate", "excluded", &note, now)
        }
        Decision::Later { after: wait, why } => tx.postpone(row.id, after(now, *wait), Some(why)),
        Decision::WaitFor(other, why) => {
            tx.wait_for(row.id, *other)?;
            tx.tell(row.id, "gate", "waits", why, now)
        }
        Decision::Need(new) => {
            enter(tx, needs.owing, brand, new, now)?;
            let Some(needed) =
                needs.bringing(new).map(|flow| tx.obligation_latest(brand, flow, &new.record.key())).transpose()?.flatten()
            else {
                let problem = Problem::new(
                    "flow.missing",
                    "",
                    format!(
                        "{} {} must stand at the target first, and no flow brings it there",
                        new.record.kind(),
                        new.record.key()
                    ),
                    "Add a flow of that kind with the same target, or map a generic one.",
                );
                return hold(tx, brand, flow, row.id, "gate", &[problem], now);
            };
            let compares = needs.compares.contains(flow);
            if needed.state == State::Confirmed || needed.state == State::Compared && (compares || needed.target.is_some()) {
                // Confirmed, or seen to stand, since the view was taken.
                return tx.postpone(row.id, now, None);
            }
            if needed.state == State::Compared {
                let problem = only_compared(new.record.kind(), &new.record.key(), &needed.flow);
                return hold(tx, brand, flow, row.id, "gate", &[problem], now);
            }
            tx.wait_for(row.id, needed.id)?;
            tx.tell(row.id, "gate", "waits", &format!("for {} {} to stand first", new.record.kind(), new.record.key()), now)
        }
        Decision::Decode(_) => Ok(()),
        Decision::Overtaken(fields, decision) => {
            let why = format!("revision {} of the source says something else", row.revision);
            tx.end_edits(brand, &row.key, fields, &why, now)?;
            for field in fields {
                let what = if row.kind == Kind::Shipment { "what it says of its parcels" } else { "it" };
                let said = format!("{}: the source has changed {what} since it was edited; the edit is over", field.name());
                tx.tell(row.id, "edit", "dropped", &said, now)?;
            }
            decide(tx, brand, flow, row, decision, needs, now)
        }
        Decision::Claiming(claim, decision) => {
            if !tx.claim_parts(claim)? {
                if row.retries >= CLAIMS_MAX {
                    return hold(tx, brand, flow, row.id, "gate", &[never_free(row)], now);
                }
                return tx.postpone(row.id, after(now, LIST_UNREAD), Some("what it gives back was claimed by another meanwhile"));
            }
            decide(tx, brand, flow, row, decision, needs, now)
        }
        Decision::Split { parts, reason } => {
            for part in parts {
                enter(tx, needs.owing, brand, part, now)?;
            }
            let note = format!("return.by_shipment version 1: {reason}");
            tx.step(row.id, Event::Exclude, &Step { note: Some(note.clone()), ..Step::default() }, now)?;
            tx.tell(row.id, "gate", "excluded", &note, now)
        }
    }
}

/// What two records must not be given at once.
fn shared(record: &AnyRecord) -> Option<String> {
    match record {
        AnyRecord::Shipment(shipment) => Some(format!("order {}", shipment.order)),
        AnyRecord::Return(_) | AnyRecord::CreditNote(_) | AnyRecord::Refund(_) if record.order().is_some() => {
            record.order().map(|order| format!("order {order}"))
        }
        AnyRecord::CreditNote(credit) => Some(format!("buyer {}", credit.buyer.as_deref().unwrap_or_default())),
        AnyRecord::Return(_) => Some("returns of no order".to_owned()),
        _ => None,
    }
}

/// Holds a row by the exception of its first problem; the story names them all.
pub(crate) fn hold(
    tx: &Tx<'_>,
    brand: &Brand,
    flow: &selvedge_model::FlowName,
    id: ObligationId,
    verb: &str,
    problems: &[Problem],
    now: Timestamp,
) -> Result<()> {
    let Some(first) = problems.first() else { return Ok(()) };
    let exception = tx.raise(brand, flow, first, now)?;
    tx.step(id, Event::Hold, &Step { exception: Some(exception), ..Step::default() }, now)?;
    let all: Vec<String> = problems
        .iter()
        .map(|p| match &p.value {
            Some(value) => format!("{} at {} ({value}): {} {}", p.rule, p.path, p.message, p.remedy),
            None => format!("{} at {}: {} {}", p.rule, p.path, p.message, p.remedy),
        })
        .collect();
    tx.tell(id, verb, "held", &all.join(" · "), now)
}
