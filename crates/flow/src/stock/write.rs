//! The target's figures, made to follow the source.
//!
//! One batch at a time: look what the target keeps and has promised; wait until every order that it
//! had promised by then is known; work the figures out; note on disk what is about to be written; write;
//! read back. A write whose answer was lost may come in late: its figure is looked at again when it no longer can.
//! Newer ones go out meanwhile.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use selvedge_connector::{Cursor, Fault, Figure as Units, LevelPage, Priority, Wanted};
use selvedge_model::{
    Brand, ExternalId, FlowName, Kind, LocationId, Problem, Sku, StockLevel,
    stock::{drift, velocity::Prior},
};
use selvedge_store::{
    Result, Tx,
    audit::POLICY,
    stock::{Claim, FigureRow, FigureState, NewDrift, Shown, Terms},
};

use super::{
    Foreign, Memory, Stock, percentile,
    work_out::{self, Figure, Plan, Worked},
};
use crate::{backoff::after, engine::Engine};

/// Why a figure is due that a person has let go.
const RELEASED: &str = "released";

/// Batches that are written before the next page of a read-back that is due.
const BATCHES_PER_PAGE: u32 = 8;
/// How long a look is good for without another.
const LOOK_GOOD_FOR: Duration = Duration::from_secs(2);
/// How long a figure waits whose source is not known yet.
const NOT_READY_WAIT: Duration = Duration::from_secs(1);
/// How long writing rests after a fault.
const REST_AFTER_FAULT: Duration = Duration::from_secs(2);
/// The first wait of a figure that did not come out; twice as long each further time, up to a minute.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// How soon a figure is looked at again that an order made ambiguous.
const AMBIGUOUS_WAIT: Duration = Duration::from_millis(500);
/// How long the rates over the whole range are used before they are added up again.
const RATES_FOR: Duration = Duration::from_secs(30);
/// How many figures an act of the audit trail names.
const REVERTED_NAMED_MAX: usize = 10;
/// How many measured times the window needs before it is believed.
const WINDOW_LEAST: usize = 20;

/// A batch between the look and the write.
pub(crate) struct Cycle {
    looked_at: Timestamp,
    rows: Vec<(FigureRow, Shown)>,
    /// Whether it is a read-back: what differs then was changed by somebody else.
    read_back: bool,
}

/// What a look has brought.
enum Looked {
    /// There was nothing to look at, or it did not come through.
    Nothing,
    /// Something of which nothing has to be worked out now: what is listed is due by now, or waits for its turn.
    Listed,
    Batch(Cycle),
}

impl Engine {
    /// Takes the batch under way a step further, or begins one. Returns how much was done.
    pub(crate) async fn write_stock(&self, stock: &Stock) -> Result<usize> {
        let now = self.now();
        if self.paused(&stock.setup.to) || stock.memory().next_write.is_some_and(|at| at > now) {
            return Ok(0);
        }
        let mut cycle = stock.cycle.lock().await;
        if self.flow_is_paused(&stock.setup.name).await? {
            // Nothing of a batch has left before it is settled: what it was about to write is due again.
            *cycle = None;
            return Ok(0);
        }
        match cycle.take() {
            None => match self.look(stock).await? {
                Looked::Nothing => Ok(0),
                Looked::Listed => Ok(1),
                Looked::Batch(batch) => {
                    *cycle = Some(batch);
                    Ok(1)
                }
            },
            Some(batch) if !self.orders_known(stock, batch.looked_at).await? => {
                *cycle = Some(batch);
                Ok(0)
            }
            Some(batch) => {
                self.settle_batch(stock, batch).await?;
                Ok(1)
            }
        }
    }

    /// Looks what the target keeps of the figures that are due, or of the next page of a read-back.
    async fn look(&self, stock: &Stock) -> Result<Looked> {
        let (of, now) = (stock.of.clone(), self.now());
        // However much moves, what stands there is looked through, too.
        if stock.memory().batches >= BATCHES_PER_PAGE
            && let page @ (Looked::Listed | Looked::Batch(_)) = self.read_back(stock).await?
        {
            return Ok(page);
        }
        let most = stock.target.items_max().max(1);
        let due = self.store().read(move |view| view.stock_due(&of, now, most)).await?;
        let Some(place) = due.first().map(|row| row.place.clone()) else { return self.read_back(stock).await };
        let items: Vec<ExternalId> = due.iter().map(|row| row.item.clone()).collect();
        let looked_at = self.now();
        let Some(page) = self.target_levels(stock, Wanted::Items(&items), std::slice::from_ref(&place), None).await? else {
            return Ok(Looked::Nothing);
        };
        let seen = by_item(&page.levels);
        let (mut rows, mut gone) = (Vec::new(), Vec::new());
        for row in due {
            match seen.get(&(&row.place, &row.item)).map(|level| shown(level, looked_at)) {
                Some(shown) => rows.push((row, shown)),
                None => gone.push((row.place, row.sku)),
            }
        }
        // No longer listed there: the next read-back takes it out.
        let (of, wait) = (stock.of.clone(), after(now, AGAIN_MAX));
        if !gone.is_empty() {
            self.store().write(move |tx| tx.stock_not_there(&of, &gone, wait)).await?;
        }
        if rows.is_empty() {
            return Ok(Looked::Listed);
        }
        self.ask_for_orders(stock);
        Ok(Looked::Batch(Cycle { looked_at, rows, read_back: false }))
    }

    /// The next page of a read-back, when one is due: everything that the target lists.
    async fn read_back(&self, stock: &Stock) -> Result<Looked> {
        let now = self.now();
        if stock.memory().next_read_back.is_some_and(|at| at > now) {
            return Ok(Looked::Nothing);
        }
        let of = stock.of.clone();
        let kept = self.store().read(move |view| view.stock_flow(&of)).await?;
        if kept.cursor.is_none()
            && let Some(at) = kept.read_back_at.map(|at| after(at, stock.setup.read_back_every)).filter(|at| *at > now)
        {
            stock.memory().next_read_back = Some(at);
            return Ok(Looked::Nothing);
        }
        let cursor = kept.cursor.clone().filter(|cursor| !cursor.is_empty()).map(Cursor);
        let pass = if kept.cursor.is_none() { kept.pass + 1 } else { kept.pass };
        let looked_at = self.now();
        let Some(page) = self.target_levels(stock, Wanted::Everything, &stock.targets(), cursor.as_ref()).await? else {
            return Ok(Looked::Nothing);
        };
        stock.memory().batches = 0;
        let next = page.next.clone().filter(|next| cursor.as_ref() != Some(next));
        let (of, targets, at) = (stock.of.clone(), stock.targets(), stock.setup.to.clone());
        let rows = self
            .store()
            .write(move |tx| {
                let mut rows = Vec::new();
                for (item, _) in &page.unread {
                    tx.stock_listed_unread(&of, item, pass)?;
                }
                for level in &page.levels {
                    let level = StockLevel { as_of: looked_at, ..level.clone() };
                    let known = tx.stock_figure(&of, &level.location, &level.sku)?;
                    if known.is_some_and(|known| known.item != level.item && tx.stock_seen_in(&of, &level, pass).unwrap_or(false))
                    {
                        tx.raise_standing(&of.brand, &of.flow, &listed_twice(&level), looked_at)?;
                        continue;
                    }
                    tx.stock_listed(&of, &level, pass)?;
                    // One that is being written or held is none of this reading's business.
                    let row = tx.stock_figure(&of, &level.location, &level.sku)?;
                    rows.extend(
                        row.filter(|row| matches!(row.state, FigureState::Agreed | FigureState::Left))
                            .map(|row| (row, shown(&level, looked_at))),
                    );
                }
                let mut kept = tx.stock_flow(&of)?;
                kept.pass = pass;
                kept.cursor = next.map(|next| next.0);
                if kept.cursor.is_none() {
                    let before = kept.read_back_at.replace(looked_at);
                    tx.stock_unlisted(&of, pass)?;
                    for place in &targets {
                        let problem = nobody_keeps(place);
                        if tx.stock_shows_left(&of, place)? {
                            tx.raise_standing(&of.brand, &of.flow, &problem, looked_at)?;
                        } else {
                            tx.settle_standing(
                                &of.brand,
                                &problem.cause,
                                "nothing is shown there any more that nobody keeps",
                                looked_at,
                            )?;
                        }
                    }
                    // What a whole read-back did not come upon is over.
                    if let Some(before) = before {
                        let over = "everything was read back without it";
                        let unread = format!("stock.unreadable:{}:", at);
                        for causes in ["stock.duplicate_sku:", unread.as_str()] {
                            tx.settle_unseen(&of.brand, &of.flow, causes, before, over, looked_at)?;
                        }
                    }
                }
                tx.stock_keep_flow(&of, &kept)?;
                Ok(rows)
            })
            .await?;
        if rows.is_empty() {
            return Ok(Looked::Listed);
        }
        self.ask_for_orders(stock);
        Ok(Looked::Batch(Cycle { looked_at, rows, read_back: true }))
    }

    async fn target_levels(
        &self,
        stock: &Stock,
        wanted: Wanted<'_>,
        places: &[LocationId],
        cursor: Option<&Cursor>,
    ) -> Result<Option<LevelPage>> {
        let way = if matches!(wanted, Wanted::Everything) { "read back" } else { "look" };
        match stock.target.levels(wanted, places, cursor, Priority::Stock).await {
            Ok(page) => {
                self.note_well(&stock.setup.to).await?;
                self.stock_goes_well(stock, way).await?;
                self.tell_unread(stock, &stock.setup.to, &page).await?;
                Ok(Some(page))
            }
            Err(fault) => {
                if cursor.is_some() && matches!(fault, Fault::Unexpected { .. } | Fault::Refused { .. }) {
                    // It cannot be gone on with from there: the read-back begins anew.
                    let of = stock.of.clone();
                    self.store().write(move |tx| tx.stock_read_back_anew(&of)).await?;
                }
                self.writing_failed(stock, way, &fault).await?;
                Ok(None)
            }
        }
    }

    async fn writing_failed(&self, stock: &Stock, what: &'static str, fault: &Fault) -> Result<()> {
        tracing::info!(flow = %stock.setup.name, what, fault = fault.word(), detail = %fault, "stock could not be carried over; it will be repeated");
        self.stock_goes_badly(stock, what, &stock.setup.to, fault).await?;
        let rest = match fault {
            Fault::Throttled { wait: Some(wait), .. } => *wait,
            Fault::Throttled { .. } => REST_AFTER_FAULT,
            _ => AGAIN_FIRST,
        };
        stock.memory().next_write = Some(after(self.now(), rest));
        Ok(())
    }

    /// Makes the orders of the target be read now.
    fn ask_for_orders(&self, stock: &Stock) {
        for side in self.sides.iter().filter(|side| side.setup.from == stock.setup.to && side.setup.kind == Kind::Order) {
            self.set_rhythm(side, |rhythm| if side.is_fed() { rhythm.nudge() } else { rhythm.nudge_poll() });
        }
        self.wake_capture();
    }

    /// Whether every order that the target had promised by an instant is counted. Where no orders are
    /// captured from it, there is nothing to wait for.
    async fn orders_known(&self, stock: &Stock, by: Timestamp) -> Result<bool> {
        let captured = |side: &&crate::engine::Side| side.setup.from == stock.setup.to && side.setup.kind == Kind::Order;
        let Some(side) = self.sides.iter().find(captured) else { return Ok(true) };
        let Some(news) = self.news(&side.setup.from) else { return Ok(false) };
        if news.through <= by {
            self.ask_for_orders(stock);
            return Ok(false);
        }
        let brand = self.brand().clone();
        Ok(!self.store().read(move |view| view.captures_wait(&brand, news.kept_at)).await?)
    }

    /// What a figure depends on besides the store.
    async fn plan(&self, stock: &Stock) -> Result<Plan> {
        let now = self.now();
        let known = stock.memory().rates.filter(|(_, until)| *until > now).map(|(prior, _)| prior);
        let prior = match known {
            Some(prior) => prior,
            None => {
                let of = stock.of.clone();
                let demands = self.store().read(move |view| view.stock_demands(&of, now)).await?;
                let prior = Prior::of_range(demands.iter());
                stock.memory().rates = Some((prior, after(now, RATES_FOR)));
                self.keep_window(stock).await?;
                prior
            }
        };
        let measured = {
            let memory = stock.memory();
            (memory.wrong_ms.len() >= WINDOW_LEAST).then(|| percentile(&memory.wrong_ms, 99)).flatten()
        };
        let window_ms = match measured {
            Some(ms) => ms,
            None => {
                let of = stock.of.clone();
                let kept = self.store().read(move |view| view.stock_flow(&of)).await?;
                kept.window_ms.unwrap_or_else(|| work_out::default_window_ms(&stock.setup))
            }
        };
        let of = stock.of.clone();
        let draws = self.store().read(move |view| view.stock_flow(&of)).await?.draws;
        Ok(Plan {
            of: stock.of.clone(),
            feeds: stock.feeds.clone(),
            buffers: work_out::in_places(&stock.setup.buffers, &draws, &stock.feeds),
            prior,
            window_ms,
            commit_lag: stock.source.commit_lag(),
        })
    }

    /// Keeps the measured window, so that a restart does not begin with a guess.
    async fn keep_window(&self, stock: &Stock) -> Result<()> {
        let measured = {
            let memory = stock.memory();
            (memory.wrong_ms.len() >= WINDOW_LEAST).then(|| percentile(&memory.wrong_ms, 99)).flatten()
        };
        let Some(ms) = measured else { return Ok(()) };
        let of = stock.of.clone();
        self.store()
            .write(move |tx| {
                let mut kept = tx.stock_flow(&of)?;
                kept.window_ms = Some(ms);
                tx.stock_keep_flow(&of, &kept)
            })
            .await
    }

    /// Works a batch out, writes what differs, and reads it back.
    async fn settle_batch(&self, stock: &Stock, batch: Cycle) -> Result<()> {
        let plan = self.plan(stock).await?;
        let long_ago = after(batch.looked_at, LOOK_GOOD_FOR) < self.now();
        let mut by_place: BTreeMap<LocationId, Vec<(FigureRow, Shown)>> = BTreeMap::new();
        for (row, shown) in batch.rows {
            by_place.entry(row.place.clone()).or_default().push((row, shown));
        }
        for (place, mut rows) in by_place {
            if long_ago {
                let Some(looked) = self.less_what_left(stock, &place, rows).await? else { return Ok(()) };
                rows = looked;
            }
            let (plan, now) = (plan.clone(), self.now());
            let (rows, worked) = self
                .store()
                .read(move |view| {
                    let worked = work_out::work_out(view, &plan, &rows, now)?;
                    Ok((rows, worked))
                })
                .await?;
            let sorted = sort(rows, worked);
            if batch.read_back {
                self.settle_read_back(stock, sorted).await?;
            } else {
                self.settle_due(stock, &place, sorted).await?;
            }
        }
        Ok(())
    }

    /// Orders took long to be heard of, and parcels may have left meanwhile: those units are neither there nor promised any
    /// more. Orders that came meanwhile are promised, and not known: what was promised then still counts for them. What was
    /// changed otherwise is left out, to be looked at anew; `None` if it cannot be looked at.
    async fn less_what_left(
        &self,
        stock: &Stock,
        place: &LocationId,
        rows: Vec<(FigureRow, Shown)>,
    ) -> Result<Option<Vec<(FigureRow, Shown)>>> {
        let mut kept = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(stock.target.items_max().max(1)) {
            let items: Vec<ExternalId> = chunk.iter().map(|(row, _)| row.item.clone()).collect();
            let looked_at = self.now();
            let Some(page) = self.target_levels(stock, Wanted::Items(&items), std::slice::from_ref(place), None).await? else {
                return Ok(None);
            };
            let seen = by_item(&page.levels);
            for (row, then) in chunk {
                let Some(level) = seen.get(&(&row.place, &row.item)) else { continue };
                let left = then.units.saturating_sub(shown(level, looked_at).units);
                if (0..=then.promised.max(0)).contains(&left) {
                    let now = Shown { units: then.units - left, promised: then.promised - left, at: then.at };
                    kept.push((row.clone(), now));
                }
            }
        }
        Ok(Some(kept))
    }

    /// Figures that somebody raised before we came to write them. A fall may be a shipment; nothing of ours raises
    /// one, but a write whose answer was lost.
    async fn tell_raised(&self, stock: &Stock, wrong: &mut Vec<(FigureRow, Shown, Figure)>) -> Result<()> {
        let raised = |(row, shown, _): &&(FigureRow, Shown, Figure)| {
            let ours = row.sent.is_some_and(|(units, _)| units == shown.units);
            // A person who has seen it wants ours written.
            let decided = row.why == RELEASED;
            row.terms.is_some()
                && row.attempts == 0
                && row.unsure_until.is_none()
                && shown.units > row.shown.units
                && !ours
                && !decided
        };
        let mut found = Vec::new();
        for (row, shown, figure) in wrong.iter().filter(raised) {
            if let drift::Standing::Drift { cause, .. } = self.standing_of(stock, row, *shown, figure).await? {
                found.push((row.clone(), *shown, figure.clone(), word(cause)));
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        if stock.setup.foreign == Foreign::Ask {
            wrong.retain(|(row, ..)| !found.iter().any(|(other, ..)| other.place == row.place && other.sku == row.sku));
        }
        self.tell_drifts(stock, found).await
    }

    async fn settle_due(&self, stock: &Stock, place: &LocationId, sorted: Sorted) -> Result<()> {
        let Sorted { not_ready, left, right, ambiguous, mut wrong } = sorted;
        self.tell_raised(stock, &mut wrong).await?;
        stock.memory().batches += 1;
        let (of, now, brand, flow) = (stock.of.clone(), self.now(), self.brand().clone(), stock.setup.name.clone());
        let write: Vec<Claim> = wrong.iter().map(|(row, shown, figure)| claim(row, *shown, figure)).collect();
        let agreed: Vec<Claim> = right.iter().map(|(row, shown, figure)| claim(row, *shown, figure)).collect();
        let place_of = place.clone();
        let (claimed, wrong_since) = self
            .store()
            .write(move |tx| {
                tx.stock_again(&of, &not_ready, after(now, NOT_READY_WAIT))?;
                tx.stock_again(&of, &ambiguous, after(now, AMBIGUOUS_WAIT))?;
                for (row, shown) in &left {
                    tx.stock_leave(&of, &row.place, &row.sku, row.version, *shown)?;
                    if shown.units > 0 {
                        tx.raise_standing(&brand, &flow, &nobody_keeps(&place_of), now)?;
                    }
                }
                let wrong_since = tx.stock_agree(&of, &agreed, now)?;
                let claimed = tx.stock_claim(&of, &write, now)?;
                // A newer level stands behind these than the one that is known now, or they changed meanwhile.
                let unclaimed = (0..write.len()).filter(|at| !claimed.contains(at)).filter_map(|at| write.get(at));
                let unclaimed: Vec<(LocationId, Sku)> = unclaimed.map(|claim| (claim.place.clone(), claim.sku.clone())).collect();
                tx.stock_again(&of, &unclaimed, after(now, AMBIGUOUS_WAIT))?;
                Ok((claimed, wrong_since))
            })
            .await?;
        self.measure(stock, right.iter().map(|(row, ..)| row).zip(&wrong_since), now);
        let sent: Vec<&(FigureRow, Shown, Figure)> = claimed.iter().filter_map(|index| wrong.get(*index)).collect();
        if sent.is_empty() {
            return Ok(());
        }
        // One look and one reading back serve as many writes as the target's batches make of them.
        let (mut to_check, mut refused) = (Vec::new(), Vec::new());
        for batch in sent.chunks(stock.sink.batch_max().max(1)) {
            match self.put_figures(stock, place, batch).await? {
                Put::Taken(problems) => {
                    // Positions in a refusal count from the beginning of its own batch.
                    let first = to_check.len();
                    refused.extend(problems.into_iter().map(|(at, problem)| (at.map(|at| first + at), problem)));
                    to_check.extend_from_slice(batch);
                }
                Put::Nothing => {
                    let (of, rows, due_at) = (stock.of.clone(), keys(batch), after(self.now(), AGAIN_FIRST));
                    self.store().write(move |tx| tx.stock_again(&of, &rows, due_at)).await?;
                }
                Put::Unknown => {
                    let (of, rows, now) = (stock.of.clone(), keys(batch), self.now());
                    let until = after(now, stock.setup.settle_wait);
                    self.store().write(move |tx| tx.stock_unsure(&of, &rows, after(now, AGAIN_FIRST), until)).await?;
                }
            }
        }
        if to_check.is_empty() { Ok(()) } else { self.check_sent(stock, place, &to_check, &refused).await }
    }

    /// Writes one batch, once.
    async fn put_figures(&self, stock: &Stock, place: &LocationId, batch: &[&(FigureRow, Shown, Figure)]) -> Result<Put> {
        let units = |(row, _, figure): &&(FigureRow, Shown, Figure)| Units {
            item: row.item.clone(),
            sku: row.sku.clone(),
            units: figure.units,
        };
        let figures: Vec<Units> = batch.iter().map(units).collect();
        match stock.sink.put(&stock.sink.encode(place, &figures)).await {
            Ok(receipt) => {
                for warning in &receipt.warnings {
                    tracing::warn!(flow = %stock.setup.name, %place, warning, "the target took the figures with a warning");
                }
                self.note_well(&stock.setup.to).await?;
                self.stock_goes_well(stock, "write").await?;
                Ok(Put::Taken(Vec::new()))
            }
            // Part of it may have been taken: reading back tells which.
            Err(Fault::Refused { problems, .. }) => {
                let placed = |problem: Problem| ((0..batch.len()).find(|at| is_about(&problem, *at)), problem);
                Ok(Put::Taken(problems.into_iter().map(placed).collect()))
            }
            Err(fault) => {
                self.writing_failed(stock, "write", &fault).await?;
                let nothing_left =
                    matches!(fault, Fault::Throttled { .. } | Fault::Transient { .. } | Fault::Unauthorized { .. });
                Ok(if nothing_left { Put::Nothing } else { Put::Unknown })
            }
        }
    }

    /// Reads back what was written.
    async fn check_sent(
        &self,
        stock: &Stock,
        place: &LocationId,
        sent: &[&(FigureRow, Shown, Figure)],
        refused: &[(Option<usize>, Problem)],
    ) -> Result<()> {
        let items: Vec<ExternalId> = sent.iter().map(|(row, _, _)| row.item.clone()).collect();
        let looked_at = self.now();
        let page = self.target_levels(stock, Wanted::Items(&items), std::slice::from_ref(place), None).await?;
        let Some(page) = page else {
            let (of, rows, due_at) = (stock.of.clone(), keys(sent), after(self.now(), AGAIN_FIRST));
            return self.store().write(move |tx| tx.stock_again(&of, &rows, due_at)).await;
        };
        let seen = by_item(&page.levels);
        let (mut agreed, mut agreed_rows, mut once_more, mut failed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (position, (row, before, figure)) in sent.iter().enumerate() {
            let Some(level) = seen.get(&(&row.place, &row.item)) else {
                failed.push((position, row, None));
                continue;
            };
            let now_shown = shown(level, looked_at);
            // Below what it has promised the target lifts a figure by itself; nothing of it can be bought then.
            let lifted = now_shown.free() == 0 && now_shown.units >= figure.units && now_shown.units == now_shown.promised;
            if now_shown.units == figure.units || lifted {
                agreed.push(claim(row, now_shown, figure));
                agreed_rows.push(row);
                // Promises that went away meanwhile came back as units for sale, and orders that waited may have
                // taken some: the figure has to follow.
                if now_shown.promised != before.promised {
                    once_more.push((row.place.clone(), row.sku.clone()));
                }
            } else {
                failed.push((position, row, Some(now_shown)));
            }
        }
        let (of, now) = (stock.of.clone(), self.now());
        let (brand, flow, most) = (self.brand().clone(), stock.setup.name.clone(), stock.setup.attempts_max);
        let failed: Vec<(FigureRow, bool, Problem)> = failed
            .into_iter()
            .map(|(position, row, shown)| {
                let (_, _, figure) = sent[position];
                let named = refused.iter().find(|(at, _)| *at == Some(position));
                let said = named.or_else(|| refused.iter().find(|(at, _)| at.is_none())).map(|(_, problem)| problem);
                // A call may be refused whole for one bad row: the others are not to blame.
                let to_blame = named.is_some() || refused.iter().all(|(at, _)| at.is_none());
                (row.clone(), to_blame, not_taken(place, row, figure.units, shown, said))
            })
            .collect();
        let wrong_since = self
            .store()
            .write(move |tx| {
                let wrong_since = tx.stock_agree(&of, &agreed, now)?;
                for (place, sku) in &once_more {
                    tx.stock_due_again(&of, place, sku, now)?;
                }
                for (row, to_blame, problem) in &failed {
                    let key = (row.place.clone(), row.sku.clone());
                    if !to_blame {
                        tx.stock_again(&of, &[key], after(now, AGAIN_FIRST))?;
                    } else if row.attempts + 1 >= most {
                        let exception = tx.raise(&brand, &flow, problem, now)?;
                        tx.stock_hold(&of, &row.place, &row.sku, exception)?;
                    } else {
                        let wait = AGAIN_FIRST.saturating_mul(2_u32.saturating_pow(row.attempts.min(10))).min(AGAIN_MAX);
                        tx.stock_again(&of, &[key], after(now, wait))?;
                    }
                }
                Ok(wrong_since)
            })
            .await?;
        self.measure(stock, agreed_rows.into_iter().zip(&wrong_since), looked_at);
        Ok(())
    }

    /// What a read-back found: what is right is noted where it is news, what is wrong was changed by somebody else.
    async fn settle_read_back(&self, stock: &Stock, sorted: Sorted) -> Result<()> {
        let Sorted { not_ready: _, left, right, ambiguous: _, wrong } = sorted;
        let changed: Vec<Claim> = right
            .iter()
            .filter(|(row, shown, figure)| {
                row.shown.units != shown.units || row.terms.as_ref().map(|t| t.buffer) != Some(figure.terms.buffer)
            })
            .map(|(row, shown, figure)| claim(row, *shown, figure))
            .collect();
        // The source keeps an item at last.
        let mut due: Vec<(LocationId, Sku)> = right
            .iter()
            .chain(&wrong)
            .filter(|(row, ..)| row.state == FigureState::Left && row.why != "dismissed")
            .map(|(row, ..)| (row.place.clone(), row.sku.clone()))
            .collect();
        // Somebody moved what the source does not keep: what is shown of it is noted anew.
        let moved = |(row, shown): &&(FigureRow, Shown)| row.why != "dismissed" && row.shown.units != shown.units;
        due.extend(left.iter().filter(moved).map(|(row, _)| (row.place.clone(), row.sku.clone())));
        let mut found = Vec::new();
        for (row, shown, figure) in wrong.iter().filter(|(row, ..)| row.state == FigureState::Agreed) {
            match self.standing_of(stock, row, *shown, figure).await? {
                drift::Standing::Agreed | drift::Standing::InFlight => {}
                drift::Standing::Outdated => due.push((row.place.clone(), row.sku.clone())),
                drift::Standing::Drift { cause, .. } => found.push((row.clone(), *shown, figure.clone(), word(cause))),
            }
        }
        if changed.is_empty() && due.is_empty() && found.is_empty() {
            return Ok(());
        }
        let (of, now) = (stock.of.clone(), self.now());
        self.store()
            .write(move |tx| {
                tx.stock_seen_right(&of, &changed)?;
                for (place, sku) in &due {
                    tx.stock_due_again(&of, place, sku, now)?;
                }
                Ok(())
            })
            .await?;
        self.tell_drifts(stock, found).await
    }

    /// How a figure stands that was right and is not.
    async fn standing_of(&self, stock: &Stock, row: &FigureRow, shown: Shown, figure: &Figure) -> Result<drift::Standing> {
        let of = stock.of.clone();
        let (sku, now) = (row.sku.clone(), self.now());
        let here = stock.feeds.get(&row.place).cloned().unwrap_or_default();
        let levels = self.store().read(move |view| view.stock_levels_of(&of, &sku, now)).await?;
        let levels: Vec<StockLevel> =
            levels.into_iter().map(|row| row.level).filter(|level| here.contains(&level.location)).collect();
        Ok(standing(row, shown, figure, &levels))
    }

    /// Tells of figures that nothing under way explains.
    async fn tell_drifts(&self, stock: &Stock, found: Vec<(FigureRow, Shown, Figure, &'static str)>) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        let (of, now, brand, flow) = (stock.of.clone(), self.now(), self.brand().clone(), stock.setup.name.clone());
        let foreign = stock.setup.foreign;
        self.store()
            .write(move |tx| {
                let mut reverted = Vec::new();
                for found @ (row, shown, figure, cause) in &found {
                    let problem = drifted(&row.place, cause, foreign);
                    let exception = tx.raise_standing(&brand, &flow, &problem, now)?;
                    let new = NewDrift {
                        place: row.place.clone(),
                        sku: row.sku.clone(),
                        cause,
                        expected: figure.units,
                        shown: shown.units,
                    };
                    // A figure that only missed our last write is nobody else's.
                    let is_theirs = *cause != word(drift::Cause::MissedUpdate);
                    if tx.stock_drift(&of, &new, exception, now)? && foreign == Foreign::Revert && is_theirs {
                        reverted.push(found);
                    }
                    if row.state == FigureState::Agreed {
                        tx.stock_due_again(&of, &row.place, &row.sku, now)?;
                    }
                    if foreign == Foreign::Ask {
                        tx.stock_hold(&of, &row.place, &row.sku, exception)?;
                    }
                }
                audit_reverted(tx, &brand, &flow, &reverted, now)
            })
            .await
    }

    /// Notes for how long figures had been wrong. One that was never right before says nothing of how quickly we are.
    fn measure<'a>(
        &self,
        stock: &Stock,
        rows: impl Iterator<Item = (&'a FigureRow, &'a Option<Timestamp>)>,
        right_at: Timestamp,
    ) {
        let mut memory = stock.memory();
        for (row, since) in rows {
            if let (Some(_), Some(since)) = (&row.terms, since) {
                let ms = u64::try_from(right_at.as_millisecond() - since.as_millisecond()).unwrap_or(0);
                Memory::measured(&mut memory.wrong_ms, ms);
            }
        }
    }
}

/// What came of writing one batch.
enum Put {
    /// It was answered: all of it was taken, or what was not is named.
    Taken(Vec<(Option<usize>, Problem)>),
    /// Nothing has left.
    Nothing,
    /// Nobody knows, and it may still come in.
    Unknown,
}

/// A batch by what came of it.
#[derive(Default)]
struct Sorted {
    not_ready: Vec<(LocationId, Sku)>,
    left: Vec<(FigureRow, Shown)>,
    right: Vec<(FigureRow, Shown, Figure)>,
    ambiguous: Vec<(LocationId, Sku)>,
    wrong: Vec<(FigureRow, Shown, Figure)>,
}

fn sort(rows: Vec<(FigureRow, Shown)>, worked: Vec<Worked>) -> Sorted {
    let mut sorted = Sorted::default();
    for ((row, shown), worked) in rows.into_iter().zip(worked) {
        match worked {
            Worked::NotReady => sorted.not_ready.push((row.place, row.sku)),
            // Still due: the next batch has it.
            Worked::LookAgain => {}
            Worked::Left => sorted.left.push((row, shown)),
            Worked::Figure(figure) => {
                let right = shown.units == figure.units || (shown.free() == 0 && figure.free <= 0);
                if right {
                    sorted.right.push((row, shown, *figure));
                } else if figure.units < shown.units && shown.units <= figure.units_at_most {
                    sorted.ambiguous.push((row.place, row.sku));
                } else {
                    sorted.wrong.push((row, shown, *figure));
                }
            }
        }
    }
    sorted
}

fn by_item(levels: &[StockLevel]) -> BTreeMap<(&LocationId, &ExternalId), &StockLevel> {
    levels.iter().map(|level| ((&level.location, &level.item), level)).collect()
}

fn shown(level: &StockLevel, at: Timestamp) -> Shown {
    // What waits for stock and is given it by itself is promised as much as what has it.
    Shown { units: level.on_hand, promised: level.committed.saturating_add(level.back_ordered), at }
}

fn claim(row: &FigureRow, shown: Shown, figure: &Figure) -> Claim {
    Claim {
        place: row.place.clone(),
        sku: row.sku.clone(),
        version: row.version,
        units: figure.units,
        terms: figure.terms.clone(),
        shown,
    }
}

fn keys(sent: &[&(FigureRow, Shown, Figure)]) -> Vec<(LocationId, Sku)> {
    sent.iter().map(|(row, ..)| (row.place.clone(), row.sku.clone())).collect()
}

/// Whether a problem of a refused batch names the figure at this position: `productSizes.17`.
fn is_about(problem: &Problem, position: usize) -> bool {
    problem.path.split('.').any(|part| part.parse() == Ok(position))
}

fn not_taken(place: &LocationId, row: &FigureRow, units: i64, shown: Option<Shown>, refused: Option<&Problem>) -> Problem {
    let stands =
        shown.map_or_else(|| "it is not listed there any more".to_owned(), |shown| format!("{} stand there", shown.units));
    let said = refused.map(|problem| format!(" It says: {}", problem.message)).unwrap_or_default();
    Problem::new(
        "stock.not_taken",
        format!("{place}.{}", row.sku),
        format!("{} was written as {units} units at {place}, and {stands}.{said}", row.sku),
        "See what keeps the target from taking the figure (a bundle, a deleted item, a missing permission); then release this.",
    )
    .value(row.sku.as_str())
    .cause(format!("{place}:{}", refused.map_or(row.sku.as_str(), |problem| problem.message.as_str())))
}

fn nobody_keeps(place: &LocationId) -> Problem {
    Problem::new(
        "stock.no_source",
        format!("places.{place}"),
        format!("{place} shows stock of items that the source does not know; their figures are left alone"),
        "See the items with state left. Give them the SKU of their item at the source, or set their stock at the target to nought.",
    )
    .cause(place.as_str())
}

fn listed_twice(level: &StockLevel) -> Problem {
    Problem::new(
        "stock.duplicate_sku",
        format!("places.{}", level.location),
        format!("{} is listed more than once at the target; only one of them follows the source", level.sku),
        "Give each item a SKU of its own at the target. The others are left alone.",
    )
    .value(level.sku.as_str())
    .cause(level.sku.as_str())
}

/// Notes in the audit trail that figures which somebody else wrote are written over: one act for all that one look found, since
/// each of them is a row of its own among the drifts.
fn audit_reverted(
    tx: &Tx<'_>,
    brand: &Brand,
    flow: &FlowName,
    reverted: &[&(FigureRow, Shown, Figure, &'static str)],
    now: Timestamp,
) -> Result<()> {
    if reverted.is_empty() {
        return Ok(());
    }
    let one = |(row, shown, figure, _): &&(FigureRow, Shown, Figure, &'static str)| {
        format!("{} at {}: {} there, {} is ours", row.sku, row.place, shown.units, figure.units)
    };
    let mut said = reverted.iter().take(REVERTED_NAMED_MAX).map(one).collect::<Vec<_>>().join("; ");
    if let Some(more) = reverted.len().checked_sub(REVERTED_NAMED_MAX).filter(|more| *more > 0) {
        said.push_str(&format!("; and {more} more"));
    }
    tx.audit(brand, POLICY, "stock.revert", flow.as_str(), &said, now)
}

fn drifted(place: &LocationId, cause: &str, foreign: Foreign) -> Problem {
    let (what, remedy) = match cause {
        "on_hand_sent_as_available" => (
            "shows what the source has on hand, promised units included",
            "Another integration sends on hand instead of available: switch it off. One item alone may be chance: find out who wrote it.",
        ),
        "sellable_sent_as_physical" => (
            "keeps as physical stock what would be free to sell, and takes its promises off once more",
            "Another integration sends sellable figures as physical ones: switch it off.",
        ),
        "missed_update" => (
            "still shows what was right before the source moved",
            "Nothing to do if this settles by itself; if it returns, look at the polls.",
        ),
        _ => (
            "was changed by somebody else",
            "Find out who writes stock there (another integration, a person, a return): only one may.",
        ),
    };
    let then = match foreign {
        Foreign::Revert => "Our figure is written again.",
        Foreign::Ask => "Release this to write our figure again; dismiss it to leave theirs until the source moves.",
    };
    Problem::new("stock.drift", format!("places.{place}"), format!("stock at {place} {what}"), format!("{remedy} {then}"))
        .cause(format!("{place}:{cause}"))
}

/// How a figure stands that was right and is not.
fn standing(row: &FigureRow, shown: Shown, figure: &Figure, levels: &[StockLevel]) -> drift::Standing {
    let seen = |shown: Shown| drift::Shown { physical: shown.units, allocated: shown.promised, free: shown.free() };
    let total = |what: fn(&StockLevel) -> i64| levels.iter().map(what).fold(0_i64, i64::saturating_add);
    let off = |terms: &Terms| terms.not_taken_in.saturating_add(terms.buffer);
    // Orders of ours that the source took in since are gone from what it has left and from what it had not taken in.
    let explained = |then: &Terms| {
        let taken_in = then.not_taken_in.saturating_sub(figure.terms.not_taken_in).max(0);
        (0..=taken_in).contains(&then.net.saturating_sub(figure.terms.net))
    };
    drift::classify(&drift::Row {
        figure: figure.units,
        free: figure.free,
        shown: seen(shown),
        verified: Some(seen(row.shown)),
        source: drift::Source {
            on_hand: total(|level| level.on_hand),
            committed: total(|level| level.committed),
            available: total(|level| level.available),
            net: total(StockLevel::free),
        },
        // What the target promised since it was last read is what its orders took.
        own_since_verified: shown.promised.saturating_sub(row.shown.promised).max(0),
        own_since_figure: figure.units_at_most.saturating_sub(figure.units).max(0),
        moved: !row.terms.as_ref().is_some_and(explained),
        lapsed: row.terms.as_ref().is_none_or(|then| off(then) != off(&figure.terms)),
        // Whoever asks has seen to it that none of our own writes is under way.
        in_flight: false,
    })
}

fn word(cause: drift::Cause) -> &'static str {
    match cause {
        drift::Cause::ForeignWrite => "foreign_write",
        drift::Cause::MissedUpdate => "missed_update",
        drift::Cause::OnHandSentAsAvailable => "on_hand_sent_as_available",
        drift::Cause::SellableSentAsPhysical => "sellable_sent_as_physical",
        drift::Cause::Unexplained => "unexplained",
    }
}

/// Until when orders of a connection are known, and when the last of them were kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub through: Timestamp,
    pub kept_at: Timestamp,
}
