//! 2 · Gate, second half: makes a record ready for its target.
//!
//! Most records go as they came. An order for a warehouse is taken apart into what can be picked, and
//! of an order that several warehouses share each gets its lines. A shipment's units are attributed to
//! the lines of its order. What comes out is kept with the obligation: it is what is written, and what
//! the read-back is compared with, whatever the catalogue or the routes say later.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, ExternalId, FlowName, Kind, Order, Problem, RecordKey, Shipment, Sku,
    attribution::{Taken, attribute, bundles},
    dispatch::{Calendar, Promise, dispatch_by},
    gate::mapping::key_text,
    obligation::State,
    pick::{Good, Goods, pick_order},
    records::{OrderStatus, Parcel, ProductField, ShipmentStatus},
    routing::{self, Route},
    tracking::{self, Verdict},
};
use selvedge_store::{
    Result, View, obligations::ObligationRow, parts::Claim, promises::NewPromise, records::RecordRow, routed::RoutedLine,
    stock::Of,
};

use crate::FlowSetup;

/// How long a shipment waits for its order to be captured before a person is asked.
pub(crate) const ORDER_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How often a shipment without its order is looked at meanwhile.
pub(crate) const ORDER_LOOK: Duration = Duration::from_secs(30);

/// The table by which targets know items.
const ITEM_TABLE: &str = "item";

/// What becomes of a record before it goes to its target.
#[derive(Clone, Debug, Default)]
pub enum Preparation {
    /// It goes as it came. (A shipment is attributed to its order's lines all the same.)
    #[default]
    None,
    /// An order becomes a pick order: components instead of bundles, and this warehouse's lines only.
    Pick(PickSetup),
}

/// How orders are shared by warehouses. The same for all flows that take part.
#[derive(Clone, Debug, Default)]
pub struct PickSetup {
    /// The routes; none when there is one warehouse, which gets everything.
    pub routes: Vec<Route>,
    /// The stock flow that reads each warehouse's shelves, by the flow that brings it orders.
    pub shelves: BTreeMap<FlowName, FlowName>,
    /// By when orders are promised to leave; none where nobody promised anything.
    pub promises: Vec<Promise>,
    /// When the warehouses work.
    pub calendar: Calendar,
}

/// What a shipment must be like before it may pass.
#[derive(Clone, Debug)]
pub struct ShipmentPolicy {
    /// How long a shipment without any tracking number waits for one.
    pub tracking_wait: Duration,
    /// What becomes of it then.
    pub without_tracking: WithoutTracking,
}

/// What becomes of a shipment that has waited for a tracking number in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutTracking {
    /// A person is asked: the shopper could not follow the parcel.
    Hold,
    /// It goes on without.
    #[default]
    Send,
}

impl Default for ShipmentPolicy {
    fn default() -> Self {
        Self { tracking_wait: Duration::ZERO, without_tracking: WithoutTracking::Send }
    }
}

/// A record made ready for its target, with what is written down when it passes.
pub(crate) struct Ready {
    pub record: AnyRecord,
    /// Lines of an order that were given to a flow by this decision.
    pub routed: Vec<RoutedLine>,
    /// What people should know, though it passes.
    pub remarks: Vec<String>,
    /// Fields of a product that stood at the target as somebody changed them, and that the source has changed since.
    pub forgotten: Vec<ProductField>,
    /// What the warehouse has to ship, and by when.
    pub promise: Option<NewPromise>,
    /// What of a sale it gives back.
    pub claim: Option<Claim>,
    /// Documents of other flows that must stand at the target first, where a flow brings them there.
    pub first: Vec<(Kind, RecordKey)>,
}

impl Ready {
    pub(crate) fn of(record: impl Into<AnyRecord>) -> Self {
        Self {
            record: record.into(),
            routed: Vec::new(),
            remarks: Vec::new(),
            forgotten: Vec::new(),
            promise: None,
            claim: None,
            first: Vec::new(),
        }
    }
}

/// A record made ready, or why not.
pub(crate) enum Prepared {
    AsItIs,
    As(Box<Ready>),
    Unfit(Vec<Problem>),
    /// It is unfit, and what was found for it is kept for it until a person has decided.
    Holding {
        problems: Vec<Problem>,
        claim: Box<Claim>,
    },
    /// It goes as several records, for this reason.
    Split {
        parts: Vec<AnyRecord>,
        reason: String,
    },
    Excluded {
        rule: &'static str,
        version: u32,
        reason: String,
        routed: Vec<RoutedLine>,
    },
    Later {
        after: Duration,
        why: String,
    },
}

/// What preparing looks at.
pub(crate) struct Bench<'a> {
    pub view: &'a View<'a>,
    pub brand: &'a Brand,
    pub flow: &'a FlowName,
    /// Every flow with the connection that it leads to.
    pub flows: &'a [(FlowName, ConnectionName)],
    /// The connections that orders come from which this target is brought, with the instant until which they are kept.
    pub shops: &'a [(ConnectionName, Option<Timestamp>)],
    /// Every flow's source and kind.
    pub sources: &'a [(ConnectionName, Kind)],
    /// Whether the target keeps a bundle as one line.
    pub keeps_bundles: bool,
    pub now: Timestamp,
}

impl Bench<'_> {
    pub(crate) fn prepare(
        &self,
        row: &ObligationRow,
        record: &RecordRow,
        setup: &FlowSetup,
        handed_over: bool,
    ) -> Result<Prepared> {
        match (&record.record, &setup.preparation) {
            (AnyRecord::Order(order), Preparation::Pick(setup)) => self.pick(row, order, setup),
            (AnyRecord::Shipment(shipment), _) => {
                let shipment = self.in_our_words(shipment, &record.connection)?;
                self.attributed(row, &shipment, record, &setup.shipments)
            }
            (AnyRecord::Product(product), _) => self.product(row, record, product, &setup.products, handed_over),
            (AnyRecord::CreditNote(credit), _) => self.credit(row, record, credit, setup, handed_over),
            (AnyRecord::Return(returned), _) => self.returned(row, record, returned, setup, handed_over),
            (AnyRecord::Refund(refund), _) => self.refund(row, record, refund, setup),
            _ => Ok(Prepared::AsItIs),
        }
    }

    fn pick(&self, row: &ObligationRow, order: &Order, setup: &PickSetup) -> Result<Prepared> {
        if order.status == OrderStatus::Cancelled {
            return Ok(self.taken_back(row, order)?.unwrap_or(Prepared::AsItIs));
        }
        let goods = self.goods(order)?;
        let whole = match pick_order(order, &goods, None) {
            Ok(whole) => whole,
            Err(problems) => return Ok(Prepared::Unfit(problems)),
        };
        if whole.lines.is_empty() {
            if let Some(taken_back) = self.taken_back(row, order)? {
                return Ok(taken_back);
            }
            let reason = "nothing of it lies on a shelf".to_owned();
            return Ok(Prepared::Excluded { rule: "pick.nothing", version: 1, reason, routed: Vec::new() });
        }
        if setup.routes.is_empty() {
            return self.unless_unchanged(row, whole, Vec::new(), setup);
        }
        let known = self.view.routed(self.brand, &row.key)?;
        let taken: BTreeMap<ExternalId, FlowName> = known.iter().map(|row| (row.line.clone(), row.flow.clone())).collect();
        let shelves = self.shelves(&whole, setup)?;
        let free = |flow: &FlowName, sku: &Sku| shelves.get(&(flow.clone(), sku.clone())).copied();
        let routed = match routing::route(&whole, &setup.routes, &taken, &goods, &free) {
            Ok(routed) => routed,
            Err(problems) => return Ok(Prepared::Unfit(problems)),
        };
        let news: Vec<RoutedLine> =
            routed.into_iter().map(|one| RoutedLine { line: one.line, flow: one.flow, route: one.route }).collect();
        let mine: BTreeSet<ExternalId> =
            known.iter().chain(&news).filter(|row| row.flow == *self.flow).map(|row| row.line.clone()).collect();
        let others: BTreeSet<&FlowName> = known.iter().chain(&news).map(|row| &row.flow).collect();
        if !whole.lines.iter().any(|line| mine.contains(&line.id)) {
            // What was given to this warehouse and is wanted no more must not leave it.
            if let Some(taken_back) = self.taken_back(row, order)? {
                return Ok(taken_back);
            }
            let names: Vec<&str> = others.into_iter().map(FlowName::as_str).collect();
            let reason = format!("its lines go to {}", names.join(", "));
            return Ok(Prepared::Excluded { rule: "route.elsewhere", version: 1, reason, routed: news });
        }
        match pick_order(order, &goods, Some(&mine)) {
            Ok(part) => self.unless_unchanged(row, part, news, setup),
            Err(problems) => Ok(Prepared::Unfit(problems)),
        }
    }

    /// What stands at the warehouse, cancelled as it stands; nothing where nothing was given to it that still stands.
    fn taken_back(&self, row: &ObligationRow, order: &Order) -> Result<Option<Prepared>> {
        Ok(match self.last_prepared(row)? {
            Some(AnyRecord::Order(last)) if last.status != OrderStatus::Cancelled => {
                let record = Order { status: OrderStatus::Cancelled, updated_at: order.updated_at, ..*last };
                Some(Prepared::As(Box::new(Ready::of(record))))
            }
            _ => None,
        })
    }

    /// What a payment or a shipment changes in an order is nothing to a warehouse: a pick order that reads as the one
    /// that stands there costs no call.
    fn unless_unchanged(&self, row: &ObligationRow, pick: Order, routed: Vec<RoutedLine>, setup: &PickSetup) -> Result<Prepared> {
        let due = dispatch_by(&pick, &setup.promises, &setup.calendar);
        let pick = Order { status: OrderStatus::Confirmed, dispatch_by: due, ..pick };
        let rows = self.view.obligations_of(self.brand, row.kind, &row.key)?;
        let settled = |other: &&ObligationRow| other.flow == *self.flow && other.revision < row.revision;
        // Only what came last counts: what was sent after a confirmed revision and not confirmed may stand there.
        let last = rows.iter().rev().filter(settled).find(|other| other.target.is_some() || other.attempts > 0);
        if let Some(last) = last.filter(|last| last.state == State::Confirmed)
            && let Some(AnyRecord::Order(there)) = self.view.prepared(last.id)?
            && same_work(&there, &pick)
        {
            let reason = "what the warehouse has to do is the same as before".to_owned();
            return Ok(Prepared::Excluded { rule: "pick.unchanged", version: 1, reason, routed });
        }
        let promise = NewPromise {
            brand: self.brand.clone(),
            flow: self.flow.clone(),
            key: row.key.clone(),
            ordered: pick.lines.iter().map(|line| u64::from(line.quantity)).sum(),
            dispatch_by: due,
            worth: pick.totals.gross,
        };
        Ok(Prepared::As(Box::new(Ready { routed, promise: Some(promise), ..Ready::of(pick) })))
    }

    /// What an earlier revision was made into for this target.
    pub(crate) fn last_prepared(&self, row: &ObligationRow) -> Result<Option<AnyRecord>> {
        let rows = self.view.obligations_of(self.brand, row.kind, &row.key)?;
        for earlier in rows.iter().rev().filter(|other| other.flow == *self.flow && other.id != row.id) {
            if let Some(prepared) = self.view.prepared(earlier.id)? {
                return Ok(Some(prepared));
            }
        }
        Ok(None)
    }

    /// What the catalogue says of the items of an order and of their components.
    pub(crate) fn goods(&self, order: &Order) -> Result<Goods> {
        let mut goods = Goods::new();
        let mut wanted: Vec<Sku> = order.lines.iter().map(|line| line.sku.clone()).collect();
        while let Some(sku) = wanted.pop() {
            if goods.contains_key(&sku) {
                continue;
            }
            let Some(row) = self.view.latest(self.brand, Kind::Product, &RecordKey::new(sku.as_str()))? else { continue };
            let AnyRecord::Product(product) = row.record else { continue };
            wanted.extend(product.recipe.iter().map(|part| part.sku.clone()));
            let for_market = |price: &&selvedge_model::records::Price| {
                price.amount.currency() == order.currency && price.market.as_ref().is_none_or(|m| m.id == order.market.id)
            };
            let price = product.prices.iter().find(for_market).map(|price| price.amount.decimal());
            let good = Good {
                weight_grams: product.weight_grams,
                price,
                recipe: product.recipe.clone(),
                collections: product.collections.clone(),
            };
            goods.insert(sku, good);
        }
        Ok(goods)
    }

    pub(crate) fn shelves(&self, order: &Order, setup: &PickSetup) -> Result<BTreeMap<(FlowName, Sku), i64>> {
        let mut free = BTreeMap::new();
        for (flow, stock) in &setup.shelves {
            for line in &order.lines {
                let of = Of { brand: self.brand.clone(), flow: stock.clone() };
                let levels = self.view.stock_levels_of(&of, &line.sku, self.now)?;
                if !levels.is_empty() {
                    let units = levels.iter().map(|row| row.level.free().max(0)).fold(0, i64::saturating_add);
                    free.insert((flow.clone(), line.sku.clone()), units);
                }
            }
        }
        Ok(free)
    }

    fn attributed(
        &self,
        row: &ObligationRow,
        shipment: &Shipment,
        record: &RecordRow,
        policy: &ShipmentPolicy,
    ) -> Result<Prepared> {
        let taken_back = shipment.status != ShipmentStatus::Shipped && self.last_prepared(row)?.is_some();
        if shipment.status == ShipmentStatus::Open && !taken_back {
            // The message that it has left is a revision of its own.
            let reason = "it has not left".to_owned();
            return Ok(Prepared::Excluded { rule: "shipment.open", version: 1, reason, routed: Vec::new() });
        }
        let age = record.received_at.duration_until(self.now);
        let Some(order) = self.view.latest(self.brand, Kind::Order, &shipment.order)? else {
            return Ok(if age < jiff::SignedDuration::try_from(ORDER_PATIENCE).unwrap_or_default() {
                let why = format!("order {} has not been captured yet", shipment.order);
                Prepared::Later { after: ORDER_LOOK, why }
            } else {
                Prepared::Unfit(vec![order_unknown(shipment)])
            });
        };
        let AnyRecord::Order(order) = order.record else {
            return Ok(Prepared::Later { after: ORDER_LOOK, why: format!("order {} cannot be read yet", shipment.order) });
        };
        if taken_back || shipment.status == ShipmentStatus::Cancelled {
            return Ok(match self.last_prepared(row)? {
                Some(AnyRecord::Shipment(last)) => {
                    let record = Shipment { status: ShipmentStatus::Cancelled, updated_at: shipment.updated_at, ..*last };
                    Prepared::As(Box::new(Ready::of(record)))
                }
                _ => Prepared::AsItIs,
            });
        }
        if order.status == OrderStatus::Cancelled {
            return Ok(Prepared::Unfit(vec![order_cancelled(shipment)]));
        }
        let waited = jiff::SignedDuration::try_from(policy.tracking_wait).unwrap_or_default();
        if shipment.tracking().is_empty() && age < waited {
            let after = ORDER_LOOK.min((waited - age).unsigned_abs());
            return Ok(Prepared::Later { after, why: "no tracking number yet".to_owned() });
        }
        if shipment.tracking().is_empty()
            && policy.without_tracking == WithoutTracking::Hold
            && !self.is_released_from(row, NO_TRACKING)?
        {
            return Ok(Prepared::Unfit(vec![no_tracking(&record.connection)]));
        }
        let (taken, whole) = self.taken(row, &shipment.order)?;
        let lines = match attribute(&order, &taken, shipment) {
            Ok(lines) => lines,
            Err(problems) => return Ok(Prepared::Unfit(problems)),
        };
        let mut remarks = doubtful(shipment);
        // A clock that runs ahead there: nobody takes a shipment from the future.
        let shipped_at = shipment.shipped_at.filter(|at| *at <= self.now);
        if let Some(at) = shipment.shipped_at.filter(|_| shipped_at.is_none()) {
            remarks.push(format!(
                "the warehouse says that it left at {at}, which has not come yet; the time of completion is taken"
            ));
        }
        let bundles = bundles(&order, &taken, &whole, &lines);
        let record = Shipment { lines, shipped_at, captured: Some(true), bundles, ..shipment.clone() };
        Ok(Prepared::As(Box::new(Ready { remarks, ..Ready::of(record) })))
    }

    /// Whether a person has let a row go that was held by this rule, whatever has held it since.
    fn is_released_from(&self, row: &ObligationRow, rule: &str) -> Result<bool> {
        for id in self.view.released_from(row.id)? {
            if self.view.exception(id)?.problem.rule == rule {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A shipment with our SKUs, where a mapping gave the warehouse others for the order's items.
    fn in_our_words(&self, shipment: &Shipment, from: &ConnectionName) -> Result<Shipment> {
        let mut ours: BTreeMap<String, Sku> = BTreeMap::new();
        for row in self.view.obligations_of(self.brand, Kind::Order, &shipment.order)? {
            if !self.flows.iter().any(|(flow, to)| *flow == row.flow && to == from) {
                continue;
            }
            let Some(AnyRecord::Order(pick)) = self.view.prepared(row.id)? else { continue };
            for (_, key, theirs) in row.values.iter().filter(|(table, ..)| *table == ITEM_TABLE) {
                let named =
                    |line: &&selvedge_model::records::OrderLine| key_text(&[("sku".to_owned(), line.sku.0.clone())]) == key;
                if let Some(line) = pick.lines.iter().find(named).filter(|line| line.sku.as_str() != theirs) {
                    ours.insert(theirs.to_owned(), line.sku.clone());
                }
            }
        }
        let sku = |theirs: &Sku| ours.get(theirs.as_str()).unwrap_or(theirs).clone();
        let mut shipment = shipment.clone();
        shipment.lines.iter_mut().for_each(|line| line.sku = sku(&line.sku));
        shipment.short.iter_mut().for_each(|short| short.sku = sku(&short.sku));
        Ok(shipment)
    }

    /// What other shipments of the order took already at this target, by line, and the whole bundles that they completed.
    fn taken(&self, row: &ObligationRow, order: &RecordKey) -> Result<(Taken, Taken)> {
        let (mut taken, mut whole) = (Taken::new(), Taken::new());
        // Whichever warehouse they came from: they all stand at one target.
        let Some((_, to)) = self.flows.iter().find(|(flow, _)| flow == self.flow) else { return Ok((taken, whole)) };
        for record in self.view.of_order(self.brand, Kind::Shipment, order)? {
            let key = record.record.key();
            if key == row.key {
                continue;
            }
            let rows = self.view.obligations_of(self.brand, Kind::Shipment, &key)?;
            let counts = |other: &&ObligationRow| {
                let here = self.flows.iter().any(|(flow, at)| *flow == other.flow && *at == *to);
                here && matches!(
                    other.state,
                    State::Cleared
                        | State::Sending
                        | State::Unanswered
                        | State::Delivered
                        | State::Confirmed
                        | State::Compared
                        | State::Held
                        // Let through, and the target needed no document for it: its units have left all the same.
                        | State::Excluded
                ) || here && other.state == State::Dismissed && (other.target.is_some() || other.attempts > 0)
            };
            // The newest that was let through speaks for it: what it holds stands there, or is about to.
            for other in rows.iter().rev().filter(counts) {
                if let Some(AnyRecord::Shipment(shipment)) = self.view.prepared(other.id)? {
                    if shipment.status == ShipmentStatus::Shipped {
                        for line in &shipment.lines {
                            let Some(id) = &line.order_line else { continue };
                            let units = taken.entry(id.clone()).or_default();
                            *units = units.saturating_add(line.quantity);
                        }
                        for bundle in &shipment.bundles {
                            let units = whole.entry(bundle.line.clone()).or_default();
                            *units = units.saturating_add(bundle.quantity);
                        }
                    }
                    break;
                }
            }
        }
        Ok((taken, whole))
    }
}

/// Whether two pick orders ask the same of a warehouse.
fn same_work(one: &Order, other: &Order) -> bool {
    let plain = |order: &Order| Order {
        updated_at: order.placed_at,
        payments: Vec::new(),
        payment_method: None,
        customer: None,
        dispatch_by: None,
        ..order.clone()
    };
    plain(one) == plain(other)
}

/// Tracking numbers that fail their own check digit: said, and never a reason to stop.
fn doubtful(shipment: &Shipment) -> Vec<String> {
    let failed = |parcel: &Parcel| {
        let number = parcel.tracking.as_deref()?;
        match tracking::check(parcel.carrier.as_deref(), number) {
            Verdict::Failed(scheme) => {
                Some(format!("tracking number {number} fails its check digit ({}): look whether it was mistyped", scheme.name()))
            }
            Verdict::Good(_) | Verdict::NoRule => None,
        }
    };
    shipment.parcels.iter().filter_map(failed).collect()
}

fn order_unknown(shipment: &Shipment) -> Problem {
    Problem::new(
        "shipment.order_unknown",
        "order",
        format!("shipment {} is for order {}, which the shop has not told us of", shipment.id, shipment.order),
        "See whether the order is older than capture.since or of another shop. Capture it (selvedge flows sweep) and release this, \
         or dismiss it with a reason.",
    )
    .value(shipment.order.as_str())
    .cause(shipment.order.as_str())
}

/// A parcel that nobody can follow.
const NO_TRACKING: &str = "shipment.no_tracking";

fn no_tracking(from: &ConnectionName) -> Problem {
    Problem::new(
        NO_TRACKING,
        "parcels",
        format!("{from} says that parcels left, and gives no tracking number for them"),
        "Have the number entered at the warehouse: its next message takes the place of this one by itself. Or put it here, shipment by shipment and all parcels of one at once, where [desk] edit allows it. Release this to tell the shop without a number, which it takes no more afterwards.",
    )
    .cause(from.as_str())
}

fn order_cancelled(shipment: &Shipment) -> Problem {
    Problem::new(
        "shipment.order_cancelled",
        "order",
        format!("order {} was cancelled in the shop, and a shipment of it has left", shipment.order),
        "Call the parcel back at the warehouse, or make a new order for it in the shop; then dismiss this with a reason.",
    )
    .value(shipment.order.as_str())
    .cause(shipment.order.as_str())
}
