//! The desk: what each exception comes to and whose it is, what is snoozed wakes, and a release goes its steps.
//!
//! None of it is done by whoever holds a row: the store marks an exception when anything of it moves, and here the marked ones
//! are weighed, a few at a time (`store::desk`). What people do is in `actions`.

use std::time::Duration;

use jiff::Timestamp;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, ExceptionId, Kind, Order,
    close::Entity,
    dispatch::{Calendar, Promise, dispatch_by, next_cutoff},
    edit::Editable,
    impact::{Deadline, DeadlineKind, Impact, Radius, Scale},
    owners::{About, OwnerRule, owner},
    reconcile::Root,
    records::{Named, PaymentKind, PaymentStatus},
    team::Team,
};
use selvedge_store::{
    Result, Tx, View,
    audit::POLICY,
    desk::{Weighed, add},
    exceptions::ExceptionRow,
    releases::Stepped,
};

use crate::{
    FlowSetup, StockSetup,
    backoff::after,
    engine::{Engine, unless_moved},
    prepare::Preparation,
};

/// Exceptions weighed in one turn.
const BATCH: usize = 50;
/// Of how many held records, the oldest, deadlines and markets are read.
const SAMPLE: usize = 20;
/// How often what waits behind a connection in trouble is counted.
const LOOK_BEHIND: Duration = Duration::from_secs(60);
/// Records that go to the gate at once, after the first.
const RELEASED_AT_ONCE: usize = 100;

/// How exceptions are ranked, owned and mended.
#[derive(Clone, Debug)]
pub struct DeskSetup {
    /// One scale for everything that they are ranked by.
    pub scale: Scale,
    /// Whose they are; the first that fits.
    pub owners: Vec<OwnerRule>,
    /// How long reserved money can be taken.
    pub capture_expiry: Duration,
    /// By when orders are promised to leave.
    pub promises: Vec<Promise>,
    /// When the warehouses work.
    pub calendar: Calendar,
    /// Whose periods end.
    pub entities: Vec<Entity>,
    /// What of a held order or shipment a person may edit.
    pub editable: Vec<Editable>,
    /// For how long nothing may come through from a system before somebody is told.
    pub down_after: Duration,
}

impl Default for DeskSetup {
    fn default() -> Self {
        Self {
            scale: Scale::default(),
            owners: Vec::new(),
            capture_expiry: Duration::from_secs(7 * 86_400),
            promises: Vec::new(),
            calendar: Calendar::default(),
            entities: Vec::new(),
            editable: Vec::new(),
            down_after: Duration::from_secs(300),
        }
    }
}

impl Engine {
    /// One turn at the desk; how many exceptions moved.
    pub(crate) async fn tend_desk(&self) -> Result<usize> {
        Ok(self.wake_exceptions().await? + self.step_releases().await? + self.weigh_exceptions().await?)
    }

    async fn wake_exceptions(&self) -> Result<usize> {
        let (brand, now) = (self.brand().clone(), self.now());
        let due = self.store().read(move |view| view.to_wake(&brand, now)).await?;
        let count = due.len();
        if count > 0 {
            self.store().write(move |tx| due.iter().try_for_each(|id| tx.wake(*id, "", "its time has come", now))).await?;
        }
        Ok(count)
    }

    async fn step_releases(&self) -> Result<usize> {
        let (brand, now) = (self.brand().clone(), self.now());
        let under_way = self.store().read(move |view| view.releasing(&brand)).await?;
        let mut moved = 0;
        for id in under_way {
            let brand = self.brand().clone();
            let stepped = self.store().write(move |tx| unless_moved(step_release(tx, &brand, id, now))).await?;
            moved += usize::from(!matches!(stepped, None | Some(Stepped::Waits)));
        }
        Ok(moved)
    }

    async fn weigh_exceptions(&self) -> Result<usize> {
        let (brand, now) = (self.brand().clone(), self.now());
        let due = self.store().read(move |view| view.to_weigh(&brand, now, BATCH)).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let marked = due.clone();
        self.store().write(move |tx| marked.iter().try_for_each(|id| tx.begin_weighing(*id))).await?;
        let (brand, desk) = (self.brand().clone(), self.setup().desk.clone());
        let flows: Vec<FlowSetup> = self.setup().flows.clone();
        let stocks: Vec<StockSetup> = self.setup().stocks.clone();
        let weighed = self
            .store()
            .read(move |view| {
                let scales = Scales { view, brand: &brand, desk: &desk, flows: &flows, stocks: &stocks, now };
                due.into_iter().map(|id| Ok((id, scales.weigh(id)?))).collect::<Result<Vec<_>>>()
            })
            .await?;
        let count = weighed.len();
        self.store().write(move |tx| weighed.iter().try_for_each(|(id, found)| tx.weigh(*id, found, now))).await?;
        Ok(count)
    }
}

/// One step of a release. A person began it; how far it goes is decided here, and stands in the audit trail as that.
fn step_release(tx: &Tx<'_>, brand: &Brand, id: ExceptionId, now: Timestamp) -> Result<Stepped> {
    let stepped = tx.step_release(id, RELEASED_AT_ONCE, now)?;
    if let Stepped::Further(count) = stepped {
        let detail = format!("{count} more back to the gate: nothing that went before was held");
        tx.audit(brand, POLICY, "exception.release", &id.to_string(), &detail, now)?;
    }
    Ok(stepped)
}

/// What one exception is weighed by.
struct Scales<'a> {
    view: &'a View<'a>,
    brand: &'a Brand,
    desk: &'a DeskSetup,
    flows: &'a [FlowSetup],
    stocks: &'a [StockSetup],
    now: Timestamp,
}

impl Scales<'_> {
    fn weigh(&self, id: ExceptionId) -> Result<Weighed> {
        let row = self.view.exception(id)?;
        let orders = self.orders(id)?;
        let owner = self.owner(&row, &orders);
        let waiting = self.waiting(&row)?;
        let behind = waiting.is_some();
        let radius = match waiting {
            Some(waiting) => waiting,
            None => self.view.radius(id)?,
        };
        let deadline = self.deadline(&row, &orders, owner.team)?;
        let impact = Impact::of(&radius, deadline, &self.desk.scale, self.now);
        // A collection that was missed is followed by the next, and a period by the next.
        let again_at = match deadline {
            Some(Deadline { kind: DeadlineKind::Cutoff | DeadlineKind::MonthEnd, at }) => impact.rises_at.or(Some(at)),
            // Nothing marks it when more comes to wait behind it.
            _ if behind => Some(after(self.now, LOOK_BEHIND)),
            _ => impact.rises_at,
        };
        Ok(Weighed { radius, behind, deadline, impact: impact.score, again_at, owner })
    }

    /// What an exception is about that holds nothing: what waits behind trouble with a whole connection, everything on its way there;
    /// the documents on which two ends disagree. Nothing for any other exception.
    fn waiting(&self, row: &ExceptionRow) -> Result<Option<Radius>> {
        if row.problem.rule.starts_with("reconcile.") {
            return self.view.at_stake(row.id).map(Some);
        }
        let Some(connection) = row.problem.cause.strip_prefix(&format!("{}:", row.problem.rule)) else { return Ok(None) };
        if !row.flow.as_str().is_empty() || !row.problem.rule.starts_with("connection.") {
            return Ok(None);
        }
        let mut all = Radius::default();
        for flow in self.flows.iter().filter(|flow| flow.to.as_str() == connection) {
            let one = self.view.under_way(self.brand, &flow.name)?;
            all.records = all.records.saturating_add(one.records);
            all.customers = all.customers.saturating_add(one.customers);
            one.money.into_iter().for_each(|amount| add(&mut all.money, amount));
        }
        Ok(Some(all))
    }

    /// The orders that the oldest of what it holds is about.
    fn orders(&self, id: ExceptionId) -> Result<Vec<Order>> {
        let mut orders = Vec::new();
        for obligation in self.view.held_ids(id, SAMPLE)? {
            let record = self.view.record(self.view.obligation(obligation)?.record)?.record;
            let order = match (record.order().cloned(), record) {
                (_, AnyRecord::Order(order)) => Some(AnyRecord::Order(order)),
                (Some(key), _) => self.view.latest(self.brand, Kind::Order, &key)?.map(|row| row.record),
                (None, _) => None,
            };
            if let Some(AnyRecord::Order(order)) = order {
                orders.push(*order);
            }
        }
        Ok(orders)
    }

    fn flow(&self, row: &ExceptionRow) -> Option<&FlowSetup> {
        self.flows.iter().find(|flow| flow.name == row.flow)
    }

    fn owner(&self, row: &ExceptionRow, orders: &[Order]) -> selvedge_model::owners::Owner {
        let stock =
            || self.stocks.iter().find(|stock| stock.name == row.flow).map(|stock| [stock.from.clone(), stock.to.clone()]);
        let ends = self.flow(row).map(|flow| [flow.from.clone(), flow.to.clone()]).or_else(stock);
        let connections: Vec<ConnectionName> = match ends {
            Some(ends) => ends.to_vec(),
            None => row.problem.cause.rsplit_once(':').map(|(_, name)| ConnectionName::new(name)).into_iter().collect(),
        };
        let markets: Vec<Named> = orders.iter().map(|order| order.market.clone()).collect();
        let about = About {
            rule: &row.problem.rule,
            flow: row.flow.as_str(),
            connections: &connections,
            markets: &markets,
            differs: Root::parse(&row.problem.cause).map(|root| root.kind),
        };
        owner(&self.desk.owners, &about)
    }

    /// The nearest of all that there are.
    fn deadline(&self, row: &ExceptionRow, orders: &[Order], team: Team) -> Result<Option<Deadline>> {
        let mut all: Vec<Deadline> = Vec::new();
        let mut add = |at: Option<Timestamp>, kind| all.extend(at.map(|at| Deadline { at, kind }));
        add(self.view.promised_first(row.id)?, DeadlineKind::Dispatch);
        let flow = self.flow(row).filter(|flow| matches!(flow.kind, Kind::Order | Kind::Shipment));
        for order in orders.iter().filter(|_| flow.is_some()) {
            add(self.captured_until(order), DeadlineKind::Capture);
            if flow.is_some_and(|flow| self.keeps_goods_back(flow)) {
                add(dispatch_by(order, &self.desk.promises, &self.desk.calendar), DeadlineKind::Dispatch);
                add(next_cutoff(order, &self.desk.promises, &self.desk.calendar, self.now), DeadlineKind::Cutoff);
            }
        }
        if team == Team::Finance {
            for entity in &self.desk.entities {
                // A calendar that cannot tell the period of today has none that ends.
                let ends = entity.period_of(self.now).and_then(|period| entity.bounds(period)).ok().map(|bounds| bounds.to);
                add(ends, DeadlineKind::MonthEnd);
            }
        }
        Ok(all.into_iter().min())
    }

    /// Whether what such a flow holds does not leave: where warehouses are brought orders, only theirs does not.
    fn keeps_goods_back(&self, flow: &FlowSetup) -> bool {
        let picks = |flow: &FlowSetup| matches!(flow.preparation, Preparation::Pick(_));
        flow.kind == Kind::Order && (picks(flow) || !self.flows.iter().any(|other| other.from == flow.from && picks(other)))
    }

    /// Until when money of an order that is reserved and not taken can be.
    fn captured_until(&self, order: &Order) -> Option<Timestamp> {
        let done = |kind| order.payments.iter().filter(move |p| p.kind == kind && p.status == PaymentStatus::Success);
        if done(PaymentKind::Capture).next().is_some() {
            return None;
        }
        let reserved_at = done(PaymentKind::Authorisation).map(|payment| payment.at).min()?;
        reserved_at.checked_add(self.desk.capture_expiry).ok()
    }
}
