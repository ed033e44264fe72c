//! 1 · Capture: raw bytes durable first, then the record, then what is owed.
//!
//! Four ways in, one way on. The queue of news brings documents with the news, so it is read first
//! and most often; a webhook is word of news, and only what the queue does not bring within a grace
//! is fetched by itself; polls and sweeps (`reading.rs`) find what neither brought.

use std::{sync::PoisonError, time::Duration};

use jiff::Timestamp;
use selvedge_connector::{Arrival, Fault, Priority, Raw};
use selvedge_model::{AnyRecord, ConnectionName, ExternalId, Kind, Problem, Unreadable, gate::Values};
use selvedge_store::{
    Result, Tx,
    captures::{Arrived, CaptureRow, NewCapture},
    obligations::NewObligation,
    records::{NewRecord, Recorded},
};

use tracing::Instrument;

use crate::{
    backoff::{after, before},
    engine::{Engine, Side},
    products, spans,
    stock::demand::{Counting, count, counting},
};

/// How long a way in rests after a fault.
const REST_AFTER_FAULT: Duration = Duration::from_secs(2);
/// Raw documents decoded in one transaction: small enough that their bytes stay a few megabytes.
const DECODE_BATCH: usize = 50;
/// Pages of the queue of news read before the other verbs get a turn in a tick.
const FEED_PAGES_MAX: usize = 50;

/// When each way in is next due. Kept in memory: after a restart everything is due at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rhythm {
    feed: Option<Timestamp>,
    pub(crate) poll: Option<Timestamp>,
    notices: Option<Timestamp>,
    pub(crate) sweep: Option<Timestamp>,
}

impl Rhythm {
    /// Makes the queue of news due now.
    pub fn nudge(&mut self) {
        self.feed = None;
    }

    /// Makes the reading of what changed due now.
    pub fn nudge_poll(&mut self) {
        self.poll = None;
    }

    /// Whether the queue of news is due.
    pub(crate) fn feed_due(&self, now: Timestamp) -> bool {
        due(self.feed, now)
    }
}

pub(crate) fn due(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_none_or(|at| at <= now)
}

impl Engine {
    pub(crate) fn rhythm(&self, side: &Side) -> Rhythm {
        let rhythms = self.rhythms.lock().unwrap_or_else(PoisonError::into_inner);
        rhythms.get(&(side.setup.from.clone(), side.setup.kind)).copied().unwrap_or_default()
    }

    pub(crate) fn set_rhythm(&self, side: &Side, change: impl FnOnce(&mut Rhythm)) {
        let mut rhythms = self.rhythms.lock().unwrap_or_else(PoisonError::into_inner);
        change(rhythms.entry((side.setup.from.clone(), side.setup.kind)).or_default());
    }

    /// Every way in that is due, once. Returns how many documents came.
    pub(crate) async fn capture(&self, side: &Side) -> Result<usize> {
        if self.paused(&side.setup.from) {
            return Ok(0);
        }
        let mut came = 0;
        came += self.read_feed(side).await?;
        came += self.fetch_noticed(side).await?;
        came += self.poll(side).await?;
        came += self.sweep(side).await?;
        Ok(came)
    }

    /// Notes a fault of a reading and says how long that way in rests.
    pub(crate) async fn reading_failed(&self, side: &Side, way: &'static str, fault: &Fault) -> Result<Duration> {
        tracing::info!(connection = %side.setup.from, way, fault = fault.word(), detail = %fault, "reading did not come through; it will be repeated");
        self.note_trouble(&side.setup.from, fault).await?;
        Ok(match fault {
            Fault::Throttled { wait: Some(wait), .. } => *wait,
            _ => REST_AFTER_FAULT,
        })
    }

    async fn read_feed(&self, side: &Side) -> Result<usize> {
        let (Some(every), Some(feed)) = (side.setup.feed_every, &side.connection.feed) else { return Ok(0) };
        if !self.reads_feed(side) || !due(self.rhythm(side).feed, self.now()) {
            return Ok(0);
        }
        self.set_rhythm(side, |r| r.feed = Some(after(self.now(), every)));
        let mut came = 0;
        let of_here = self.sides.iter().filter(|other| other.setup.from == side.setup.from && other.is_fed());
        let wanted: Vec<Kind> = of_here.map(|other| other.setup.kind).collect();
        for _ in 0..FEED_PAGES_MAX {
            let asked_at = self.now();
            let page = match feed.next(&wanted).await {
                Ok(page) => page,
                Err(fault) => {
                    let rest = self.reading_failed(side, "feed", &fault).await?;
                    self.set_rhythm(side, |r| r.feed = Some(after(self.now(), rest)));
                    return Ok(came);
                }
            };
            self.note_well(&side.setup.from).await?;
            if page.receipts.is_empty() {
                self.heard_until(&side.setup.from, &wanted, asked_at);
                break;
            }
            // What nobody takes could be decoded by nobody. A flow that is added later lists it.
            let arrivals = page.arrivals.into_iter().filter(|arrival| wanted.contains(&arrival.kind())).collect();
            came += self.keep(side, "feed", asked_at, arrivals).await?;
            // Only now, with everything on disk here, may the system forget it.
            if let Err(fault) = feed.acknowledge(&page.receipts).await {
                // The same news comes again and is recognised by its content.
                let rest = self.reading_failed(side, "feed", &fault).await?;
                self.set_rhythm(side, |r| r.feed = Some(after(self.now(), rest)));
                return Ok(came);
            }
            if !page.more {
                self.heard_until(&side.setup.from, &wanted, asked_at);
                break;
            }
        }
        Ok(came)
    }

    /// Makes arrivals durable that were asked for at an instant; returns how many documents were new or changed.
    pub(crate) async fn keep(
        &self,
        side: &Side,
        via: &'static str,
        asked_at: Timestamp,
        arrivals: Vec<Arrival>,
    ) -> Result<usize> {
        if arrivals.is_empty() {
            return Ok(0);
        }
        let (brand, from, now) = (self.brand().clone(), side.setup.from.clone(), self.now());
        self.store()
            .write(move |tx| {
                let mut news = 0;
                for arrival in arrivals {
                    match arrival {
                        Arrival::Notice { kind, id } => tx.notice(&brand, &from, kind, &id, now)?,
                        Arrival::Document(raw) => {
                            let arrived = tx.capture(&NewCapture {
                                brand: brand.clone(),
                                connection: from.clone(),
                                kind: raw.kind,
                                external_id: raw.id,
                                version: raw.version,
                                body: raw.body.to_vec(),
                                via,
                                asked_at: Some(asked_at),
                                received_at: now,
                            })?;
                            news += usize::from(matches!(arrived, Arrived::New(_)));
                        }
                    }
                }
                Ok(news)
            })
            .await
    }

    /// Fetches what a webhook told of and nothing has brought since.
    async fn fetch_noticed(&self, side: &Side) -> Result<usize> {
        let now = self.now();
        if !due(self.rhythm(side).notices, now) {
            return Ok(0);
        }
        let grace = if side.is_fed() { side.setup.notice_grace } else { Duration::ZERO };
        let (brand, from, kind, limit) =
            (self.brand().clone(), side.setup.from.clone(), side.setup.kind, side.source.fetch_max());
        let heard_before = before(now, grace);
        let notices = self
            .store()
            .write(move |tx| {
                tx.notices_overtaken(&brand, &from)?;
                tx.notices_due(&brand, &from, kind, heard_before, limit)
            })
            .await?;
        if notices.is_empty() {
            self.set_rhythm(side, |r| r.notices = Some(after(now, Duration::from_millis(500))));
            return Ok(0);
        }
        let ids: Vec<ExternalId> = notices.iter().map(|notice| notice.external_id.clone()).collect();
        let raws = match side.source.fetch(&ids, Priority::Orders).await {
            Ok(raws) => raws,
            Err(fault) => {
                let rest = self.reading_failed(side, "webhook", &fault).await?;
                self.set_rhythm(side, |r| r.notices = Some(after(self.now(), rest)));
                return Ok(0);
            }
        };
        let came = self.keep(side, "webhook", now, raws.into_iter().map(Arrival::Document).collect()).await?;
        let rows: Vec<i64> = notices.iter().map(|notice| notice.id).collect();
        self.store().write(move |tx| tx.notices_done(&rows)).await?;
        Ok(came)
    }

    /// Raw bytes into records, and records into what is owed.
    pub(crate) async fn decode(&self) -> Result<usize> {
        let brand = self.brand().clone();
        let rows = self.store().read(move |view| view.captures_due(&brand, DECODE_BATCH)).await?;
        let count = rows.len();
        if count == 0 {
            return Ok(0);
        }
        let mut decoded = Vec::with_capacity(count);
        for row in rows {
            let id = row.id;
            decoded.push((id, self.decode_one(row)));
        }
        let owing = self.owing();
        let (brand, now) = (self.brand().clone(), self.now());
        self.store()
            .write(move |tx| {
                for (id, news) in &decoded {
                    for new in news {
                        enter(tx, &owing, &brand, new, now)?;
                    }
                    tx.capture_decoded(*id)?;
                }
                Ok(())
            })
            .instrument(spans::of_batch("decode", "captures", count))
            .await?;
        self.wake_stock();
        Ok(count)
    }

    /// Which flows want what, as plain data that can move into a transaction.
    pub(crate) fn owing(&self) -> Owing {
        Owing {
            flows: self.flows.iter().map(|flow| (flow.setup.name.clone(), flow.setup.from.clone(), flow.setup.kind)).collect(),
            counting: counting(self.setup()),
        }
    }

    /// Decodes one capture: its record, then those of other kinds that it tells, too. Never fails: what cannot be read is a
    /// record that says so.
    pub(crate) fn decode_one(&self, row: CaptureRow) -> Vec<NewRecord> {
        let source =
            self.sides.iter().find(|s| s.setup.from == row.connection && s.setup.kind == row.kind).map(|s| s.source.clone());
        let raw = Raw { kind: row.kind, id: row.external_id, version: row.version, body: row.body.into() };
        let (record, mut problems, also) = match source {
            Some(source) => {
                let decoded = source.decode(&raw, &Values::default());
                (decoded.record, decoded.problems, decoded.also)
            }
            None => (None, Vec::new(), Vec::new()),
        };
        let record = record.unwrap_or_else(|| {
            if problems.is_empty() {
                problems.push(Problem::new(
                    "decode.unreadable",
                    "",
                    format!("document {} from {} could not be read", raw.id, row.connection),
                    "Look at its raw bytes; mend it at its source, or release it after an update of the connector.",
                ));
            }
            let key = selvedge_model::RecordKey::new(raw.id.as_str());
            AnyRecord::Unreadable(Box::new(Unreadable { of: raw.kind, key }))
        });
        let new = |record: AnyRecord| NewRecord {
            brand: self.brand().clone(),
            connection: row.connection.clone(),
            capture: Some(row.id),
            record,
            problems: problems.clone(),
            version: row.version,
            received_at: row.received_at,
        };
        std::iter::once(record).chain(also).map(new).collect()
    }
}

/// Which flows want what.
#[derive(Clone, Debug)]
pub(crate) struct Owing {
    flows: Vec<(selvedge_model::FlowName, ConnectionName, Kind)>,
    pub counting: Vec<Counting>,
}

/// Enters a record and what is owed for it, and tells everybody for whom it is news.
pub(crate) fn enter(tx: &Tx<'_>, owing: &Owing, brand: &selvedge_model::Brand, new: &NewRecord, now: Timestamp) -> Result<()> {
    let Some(revision) = owe(tx, owing, brand, new, now)? else { return Ok(()) };
    match &new.record {
        AnyRecord::Order(order) => {
            count(tx, &owing.counting, &new.connection, order, revision, now)?;
            if new.record.is_cancelled() {
                tx.promise_moved(brand, &order.number, now)?;
            }
            if revision == 1 {
                // Its parcels may have been told of first.
                for rule in ["shipment.order_unknown", "return.order_unknown", "credit.order_unknown"] {
                    for exception in tx.exceptions_by_cause(brand, &format!("{rule}:{}", order.number))? {
                        tx.release(exception, None, now)?;
                    }
                }
            }
            if let Some(customer) = &order.customer {
                tx.buy(brand, &new.connection, customer.id.as_str(), &order.number)?;
            }
        }
        AnyRecord::Product(product) => {
            if let Some(given_up) = products::mark(tx, brand, &new.connection, product, now)? {
                owe(tx, owing, brand, &NewRecord { record: given_up.into(), problems: Vec::new(), ..new.clone() }, now)?;
            }
        }
        AnyRecord::Shipment(shipment) => tx.promise_moved(brand, &shipment.order, now)?,
        AnyRecord::Return(returned) => tx.halves_moved(brand, &new.connection, &returned.key, now)?,
        AnyRecord::CreditNote(credit) => {
            tx.halves_moved(brand, &new.connection, &credit.key, now)?;
            // Its refunds may have been told of first.
            for exception in tx.exceptions_by_cause(brand, &format!("refund.no_credit:{}", credit.key))? {
                tx.release(exception, None, now)?;
            }
        }
        AnyRecord::Refund(refund) => tx.halves_moved(brand, &new.connection, &refund.credit_note, now)?,
        AnyRecord::Customer(_) | AnyRecord::Unreadable(_) => {}
    }
    Ok(())
}

/// Enters a record and what is owed for it; its revision, if it says anything new.
fn owe(tx: &Tx<'_>, owing: &Owing, brand: &selvedge_model::Brand, new: &NewRecord, now: Timestamp) -> Result<Option<u32>> {
    let Recorded::Revision(record, revision) = tx.put_record(new)? else { return Ok(None) };
    let (kind, key) = (new.record.kind(), new.record.key());
    for (flow, from, wanted) in &owing.flows {
        if *from == new.connection && *wanted == kind {
            let id = tx.owe(
                &NewObligation {
                    brand: brand.clone(),
                    flow: flow.clone(),
                    kind,
                    key: key.clone(),
                    record,
                    revision,
                    captured_at: new.received_at,
                },
                now,
            )?;
            tx.tell(id, "capture", "captured", &format!("revision {revision} from {}", new.connection), now)?;
        }
    }
    Ok(Some(revision))
}
