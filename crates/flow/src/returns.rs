//! 2 · Gate, for goods that come back: of which order, of which of its lines, in which shipment they had left.
//!
//! A return that the shop made goes to the books and is announced to the warehouse; what a warehouse received goes to the
//! shop, one return there for each shipment. Units are claimed before anything leaves: no more comes back than was sold, and
//! no more than left where we know what left.

use std::collections::BTreeMap;

use selvedge_model::{
    AnyRecord, ExternalId, Kind, Money, Order, Problem, RecordKey, Return, Shipment,
    attribution::shippable,
    credit::whole::{Portion, parts_of},
    obligation::State,
    records::{LineKind, ReturnLine, ReturnStatus, ShipmentStatus},
};
use selvedge_store::{
    Result,
    obligations::ObligationRow,
    parts::{Claim, PartRow, WholeRow},
    records::RecordRow,
};

use crate::{
    FlowSetup,
    credits::{kept_up, patience},
    prepare::{Bench, ORDER_LOOK, Prepared, Ready},
};

const LOOK: &str = "Compare the return where it was told with the order. Mend it there, and its next message takes the place of this one; \
                    or dismiss this with a reason.";

/// Units of the lines of one order, by line.
type Units = BTreeMap<ExternalId, u32>;

impl Bench<'_> {
    pub(crate) fn returned(
        &self,
        row: &ObligationRow,
        record: &RecordRow,
        returned: &Return,
        setup: &FlowSetup,
        handed_over: bool,
    ) -> Result<Prepared> {
        let excluded = |rule, reason: String| Prepared::Excluded { rule, version: 1, reason, routed: Vec::new() };
        if returned.status == ReturnStatus::Cancelled {
            return Ok(match self.last_prepared(row)? {
                Some(AnyRecord::Return(last)) => {
                    let cancelled = Return { status: ReturnStatus::Cancelled, updated_at: returned.updated_at, ..*last };
                    // Its units are free once the target shows it cancelled, and not before.
                    Prepared::As(Box::new(Ready::of(cancelled)))
                }
                _ => Prepared::AsItIs,
            });
        }
        // What was made from the target's own word is no news there.
        let counterpart = match &returned.counterpart {
            Some(key) => self.view.latest(self.brand, Kind::Return, key)?,
            None => None,
        };
        if let Some(theirs) =
            counterpart.as_ref().filter(|theirs| theirs.connection == setup.to && self.is_shop(&record.connection))
        {
            return Ok(excluded("return.from_there", format!("it was made from {} of {} itself", theirs.record.key(), setup.to)));
        }
        let to_shop = self.is_shop(&setup.to);
        if to_shop && returned.status == ReturnStatus::Announced {
            return Ok(excluded("return.announced", "nothing has been received yet".to_owned()));
        }
        if returned.lines.is_empty() {
            return Ok(excluded("return.empty", "nothing of it came back".to_owned()));
        }
        let mut orders: Vec<RecordKey> =
            returned.lines.iter().filter_map(|line| line.order.clone().or_else(|| returned.order.clone())).collect();
        orders.dedup();
        if orders.is_empty() && returned.order.is_none() {
            return Ok(Prepared::Unfit(vec![blind(returned)]));
        }
        orders.extend(returned.order.clone());
        orders.sort();
        orders.dedup();
        let mut loaded = BTreeMap::new();
        for key in orders {
            let Some(order) = self.view.latest(self.brand, Kind::Order, &key)? else {
                return Ok(if record.received_at.duration_until(self.now) < patience(setup) {
                    Prepared::Later { after: ORDER_LOOK, why: format!("order {key} has not been captured yet") }
                } else {
                    Prepared::Unfit(vec![order_unknown(returned, &key)])
                });
            };
            let AnyRecord::Order(order) = order.record else {
                return Ok(Prepared::Later { after: ORDER_LOOK, why: format!("order {key} cannot be read yet") });
            };
            loaded.insert(key, *order);
        }
        self.attributed_return(row, returned, setup, &loaded, to_shop, handed_over)
    }

    /// Whether orders come from there.
    fn is_shop(&self, connection: &selvedge_model::ConnectionName) -> bool {
        self.sources.iter().any(|(from, kind)| from == connection && *kind == Kind::Order)
    }

    fn attributed_return(
        &self,
        row: &ObligationRow,
        returned: &Return,
        setup: &FlowSetup,
        orders: &BTreeMap<RecordKey, Order>,
        to_shop: bool,
        handed_over: bool,
    ) -> Result<Prepared> {
        let of = self.parts_of(Kind::Return);
        let mut own = self.view.parts(&of, &row.key)?;
        let own_alone = own.clone();
        // What it was split into claims for it.
        let split = format!("{}.", row.key);
        for key in orders.keys() {
            for part in self.view.of_order(self.brand, Kind::Return, key)? {
                let key = part.record.key();
                if key.as_str().strip_prefix(&split).is_some_and(|nth| nth.parse::<u32>().is_ok()) {
                    own.extend(self.view.parts(&of, &key)?);
                }
            }
        }
        // What can still come back of each line: what was sold (or left, where that is known) less what came back already.
        let mut left: BTreeMap<(RecordKey, ExternalId), u32> = BTreeMap::new();
        for (key, order) in orders {
            let gone = self.gone(order)?;
            let mut back: Units = self.view.wholes(&of, key)?.into_iter().map(|one| (one.line, one.taken.units)).collect();
            for part in own.iter().filter(|part| part.owner == *key) {
                let units = back.entry(part.line.clone()).or_default();
                *units = units.saturating_sub(part.portion.units);
            }
            if to_shop {
                for (line, units) in self.made_there(key, returned, setup)? {
                    let sum = back.entry(line).or_default();
                    *sum = sum.saturating_add(units);
                }
            }
            for line in shippable(order) {
                let most =
                    gone.as_ref().map_or(line.quantity, |gone| gone.get(&line.id).copied().unwrap_or(0)).min(line.quantity);
                let back = back.get(&line.id).copied().unwrap_or(0);
                left.insert((key.clone(), line.id.clone()), most.saturating_sub(back));
            }
        }
        let lines = match attribute(returned, orders, &mut left) {
            Ok(lines) => lines,
            Err(problems) => return Ok(Prepared::Unfit(problems)),
        };
        let claim = claim(self.nothing_claimed(row), orders, &lines);
        let claim = if handed_over { kept_up(claim, &own_alone) } else { claim };
        let mut record = Return { lines, ..returned.clone() };
        let mut named: Vec<&RecordKey> = record.lines.iter().filter_map(|line| line.order.as_ref()).collect();
        named.dedup();
        if let [only] = named[..] {
            record.order = Some(only.clone());
        }
        let is_theirs = |key: &RecordKey| {
            Ok::<_, selvedge_store::StoreError>(
                self.view.latest(self.brand, Kind::Return, key)?.is_some_and(|row| row.connection == setup.to),
            )
        };
        let answers = match &record.counterpart {
            Some(key) => is_theirs(key)?,
            None => false,
        };
        if to_shop && !answers {
            return self.by_shipment(record, setup, claim);
        }
        if self.keeps_bundles {
            for order in orders.values() {
                whole_bundles(&mut record.lines, order);
            }
        }
        // The books want the sale first; a warehouse knows it by its pick order, under another key.
        let first = if to_shop { Vec::new() } else { orders.keys().map(|key| (Kind::Order, key.clone())).collect() };
        Ok(Prepared::As(Box::new(Ready { claim: Some(claim), first, ..Ready::of(record) })))
    }

    /// Units that left, by line of an order; `None` where no shipment of it is known.
    fn gone(&self, order: &Order) -> Result<Option<Units>> {
        let shipments = self.shipped(&order.number)?;
        if shipments.is_empty() {
            return Ok(None);
        }
        let mut gone = Units::new();
        for shipment in &shipments {
            for line in &shipment.lines {
                let Some(id) = &line.order_line else { continue };
                let units = gone.entry(id.clone()).or_default();
                *units = units.saturating_add(line.quantity);
            }
        }
        // Of what nobody told us that it left, the shop may know: a return there says that it did.
        for line in shippable(order) {
            let known = gone.entry(line.id.clone()).or_default();
            if *known == 0 {
                *known = line.quantity;
            }
        }
        Ok(Some(gone))
    }

    /// The shipments of an order that left, attributed to its lines.
    fn shipped(&self, order: &RecordKey) -> Result<Vec<Shipment>> {
        let mut shipments = Vec::new();
        for record in self.view.of_order(self.brand, Kind::Shipment, order)? {
            let rows = self.view.obligations_of(self.brand, Kind::Shipment, &record.record.key())?;
            for row in rows.iter().rev() {
                if let Some(AnyRecord::Shipment(shipment)) = self.view.prepared(row.id)? {
                    if shipment.status == ShipmentStatus::Shipped {
                        shipments.push(*shipment);
                    }
                    break;
                }
            }
        }
        Ok(shipments)
    }

    /// Units that came back by returns that the target made by itself: it knows them, and takes no second return for them.
    fn made_there(&self, order: &RecordKey, returned: &Return, setup: &FlowSetup) -> Result<Vec<(ExternalId, u32)>> {
        let mut units = Vec::new();
        for record in self.view.of_order(self.brand, Kind::Return, order)?.into_iter().filter(|row| row.connection == setup.to) {
            let AnyRecord::Return(theirs) = record.record else { continue };
            let is_answered = returned.counterpart.as_ref() == Some(&theirs.key);
            if theirs.status == ReturnStatus::Cancelled || theirs.counterpart.is_some() || is_answered {
                continue;
            }
            units.extend(theirs.lines.iter().filter_map(|line| Some((line.order_line.clone()?, line.quantity))));
        }
        Ok(units)
    }

    /// A shop's return is of one shipment: units of several go as several returns.
    fn by_shipment(&self, record: Return, setup: &FlowSetup, claim: Claim) -> Result<Prepared> {
        let Some(order) = record.order.clone() else { return Ok(Prepared::Unfit(vec![blind(&record)])) };
        // A shipment that the warehouse has told of and that has not reached the shop may be the one: once it stands there, this
        // is looked at again.
        let mut waits = None;
        for row in self.view.of_order(self.brand, Kind::Shipment, &order)? {
            let key = row.record.key();
            if self.view.binding(self.brand, &setup.to, Kind::Shipment, &key)?.is_none()
                && self.view.obligations_of(self.brand, Kind::Shipment, &key)?.iter().any(|row| {
                    let goes_there = self.flows.iter().any(|(flow, to)| *flow == row.flow && *to == setup.to);
                    goes_there && (row.state.in_flight() || row.state == State::Held)
                })
            {
                waits = Some(format!("shipment {key} does not stand at {} yet", setup.to));
            }
        }
        let mut open: Vec<(RecordKey, Units)> = Vec::new();
        for shipment in self.shipped(&order)? {
            if self.view.binding(self.brand, &setup.to, Kind::Shipment, &shipment.key)?.is_some() {
                let units = shipment.lines.iter().filter_map(|line| Some((line.order_line.clone()?, line.quantity)));
                open.push((shipment.key.clone(), units.collect()));
            }
        }
        self.take_off_returned(&order, &record, &mut open)?;
        let mut parts: Vec<(RecordKey, Vec<ReturnLine>)> = Vec::new();
        let mut nowhere = Vec::new();
        for line in &record.lines {
            let mut wanted = line.quantity;
            for (shipment, units) in &mut open {
                let Some(left) = line.order_line.as_ref().and_then(|id| units.get_mut(id)) else { continue };
                let take = wanted.min(*left);
                if take == 0 {
                    continue;
                }
                *left -= take;
                wanted -= take;
                let part = ReturnLine { quantity: take, ..line.clone() };
                match parts.iter_mut().find(|(known, _)| known == shipment) {
                    Some((_, lines)) => lines.push(part),
                    None => parts.push((shipment.clone(), vec![part])),
                }
            }
            if wanted > 0 {
                nowhere.push(shipment_unknown(&record, line, wanted, &setup.to));
            }
        }
        if !nowhere.is_empty() {
            return Ok(match waits {
                Some(why) => Prepared::Later { after: ORDER_LOOK, why },
                None => Prepared::Unfit(nowhere),
            });
        }
        if let [(shipment, _)] = parts.as_slice() {
            let record = Return { shipment: Some(shipment.clone()), ..record };
            return Ok(Prepared::As(Box::new(Ready { claim: Some(claim), ..Ready::of(record) })));
        }
        let reason = format!("its units had left in {} shipments, and a return there is of one", parts.len());
        let part = |(nth, (shipment, lines)): (usize, (RecordKey, Vec<ReturnLine>))| {
            AnyRecord::from(Return {
                key: RecordKey::new(format!("{}.{}", record.key, nth + 1)),
                shipment: Some(shipment),
                lines,
                ..record.clone()
            })
        };
        Ok(Prepared::Split { parts: parts.into_iter().enumerate().map(part).collect(), reason })
    }

    /// Takes what other returns of the order gave back off the shipments that these were made on.
    fn take_off_returned(&self, order: &RecordKey, record: &Return, open: &mut [(RecordKey, Units)]) -> Result<()> {
        for row in self.view.of_order(self.brand, Kind::Return, order)? {
            let key = row.record.key();
            if key == record.key {
                continue;
            }
            for other in self.view.obligations_of(self.brand, Kind::Return, &key)?.iter().rev().filter(|o| o.flow == *self.flow) {
                // Let go before it left: its goods were made no return of.
                if other.state == State::Dismissed && other.target.is_none() && other.attempts == 0 {
                    continue;
                }
                let Some(AnyRecord::Return(made)) = self.view.prepared(other.id)? else { continue };
                let Some((_, units)) = open.iter_mut().find(|(shipment, _)| Some(shipment) == made.shipment.as_ref()) else {
                    break;
                };
                for line in made.lines.iter().filter(|_| made.status != ReturnStatus::Cancelled) {
                    if let Some(left) = line.order_line.as_ref().and_then(|id| units.get_mut(id)) {
                        *left = left.saturating_sub(line.quantity);
                    }
                }
                break;
            }
        }
        Ok(())
    }
}

/// Which lines of which order the units are of: those that a line names, else the oldest of the item that has some left.
fn attribute(
    returned: &Return,
    orders: &BTreeMap<RecordKey, Order>,
    left: &mut BTreeMap<(RecordKey, ExternalId), u32>,
) -> std::result::Result<Vec<ReturnLine>, Vec<Problem>> {
    let mut lines: Vec<Option<Vec<ReturnLine>>> = vec![None; returned.lines.len()];
    let mut problems = Vec::new();
    // Lines that name their own go first, or one that names none would take their units.
    for named in [true, false] {
        for (index, line) in returned.lines.iter().enumerate().filter(|(_, line)| line.order_line.is_some() == named) {
            let Some(order) = line.order.as_ref().or(returned.order.as_ref()).and_then(|key| orders.get(key)) else {
                problems.push(blind(returned));
                continue;
            };
            let mut wanted = line.quantity;
            let mut given = Vec::new();
            for (id, per) in candidates(order, line) {
                let at = (order.number.clone(), id.clone());
                let Some(units) = left.get_mut(&at) else { continue };
                let take = match per {
                    // A bundle is so many units of each of its components, all or none.
                    Some(units_wanted) if *units >= units_wanted => units_wanted,
                    Some(_) => 0,
                    None => wanted.min(*units),
                };
                if take == 0 {
                    continue;
                }
                *units -= take;
                if per.is_none() {
                    wanted -= take;
                }
                let sku = order.lines.iter().find(|one| one.id == id).map_or_else(|| line.sku.clone(), |one| one.sku.clone());
                given.push(ReturnLine {
                    order: Some(order.number.clone()),
                    order_line: Some(id),
                    sku,
                    quantity: take,
                    ..line.clone()
                });
            }
            let by_bundle = candidates(order, line).iter().any(|(_, per)| per.is_some());
            let all = candidates(order, line).len();
            if all == 0 {
                problems.push(line_unknown(returned, index, order));
            } else if by_bundle && given.len() < all || !by_bundle && wanted > 0 {
                problems.push(over(returned, index, order, if by_bundle { line.quantity } else { wanted }));
            }
            if let Some(place) = lines.get_mut(index) {
                *place = Some(given);
            }
        }
    }
    if problems.is_empty() { Ok(lines.into_iter().flatten().flatten().collect()) } else { Err(problems) }
}

/// The lines that units of this one may be of, oldest first; for a bundle its components, with the units of each.
fn candidates(order: &Order, line: &ReturnLine) -> Vec<(ExternalId, Option<u32>)> {
    let of_bundle = |bundle: &ExternalId, sold: u32| -> Vec<(ExternalId, Option<u32>)> {
        let units = |quantity: u32| u64::from(quantity) * u64::from(line.quantity) / u64::from(sold.max(1));
        parts_of(order, bundle)
            .map(|part| (part.id.clone(), Some(u32::try_from(units(part.quantity)).unwrap_or(u32::MAX))))
            .collect()
    };
    if let Some(id) = &line.order_line {
        return match order.lines.iter().find(|one| one.id == *id) {
            Some(one) if one.kind == LineKind::Bundle => of_bundle(id, one.quantity),
            Some(one) if one.sku == line.sku => vec![(id.clone(), None)],
            _ => Vec::new(),
        };
    }
    let same: Vec<(ExternalId, Option<u32>)> =
        shippable(order).filter(|one| one.sku == line.sku).map(|one| (one.id.clone(), None)).collect();
    if !same.is_empty() {
        return same;
    }
    let bundle = order.lines.iter().find(|one| one.kind == LineKind::Bundle && one.sku == line.sku);
    bundle.map(|bundle| of_bundle(&bundle.id, bundle.quantity)).unwrap_or_default()
}

fn claim(nothing: Claim, orders: &BTreeMap<RecordKey, Order>, lines: &[ReturnLine]) -> Claim {
    let mut claim = nothing;
    for (place, line) in lines.iter().enumerate() {
        let (Some(owner), Some(id)) = (&line.order, &line.order_line) else { continue };
        let Some(order) = orders.get(owner) else { continue };
        let Some(sold) = order.lines.iter().find(|one| one.id == *id) else { continue };
        let zero = Money::zero(order.currency);
        if !claim.wholes.iter().any(|one| one.owner == *owner && one.line == *id) {
            claim.wholes.push(WholeRow {
                owner: owner.clone(),
                line: id.clone(),
                whole: Portion { units: sold.quantity, net: zero, tax: zero },
                taken: Portion::none(order.currency),
                stated: false,
            });
        }
        claim.parts.push(PartRow {
            owner: owner.clone(),
            line: id.clone(),
            place,
            portion: Portion { units: line.quantity, net: zero, tax: zero },
        });
    }
    claim
}

/// Components that make whole bundles become these bundles, for a target that keeps a bundle as one line.
fn whole_bundles(lines: &mut Vec<ReturnLine>, order: &Order) {
    for bundle in order.lines.iter().filter(|line| line.kind == LineKind::Bundle) {
        let parts: Vec<(ExternalId, u32)> = parts_of(order, &bundle.id).map(|part| (part.id.clone(), part.quantity)).collect();
        let is_part = |line: &ReturnLine| {
            line.order.as_ref() == Some(&order.number)
                && line.order_line.as_ref().is_some_and(|id| parts.iter().any(|(part, _)| part == id))
        };
        let units = |id: &ExternalId| -> u64 {
            lines
                .iter()
                .filter(|line| is_part(line) && line.order_line.as_ref() == Some(id))
                .map(|line| u64::from(line.quantity))
                .sum()
        };
        let Some((first, quantity)) = parts.first().filter(|(_, quantity)| *quantity > 0) else { continue };
        let bundles = units(first) * u64::from(bundle.quantity) / u64::from(*quantity);
        let is_whole = bundles > 0
            && parts.iter().all(|(id, quantity)| units(id) * u64::from(bundle.quantity) == bundles * u64::from(*quantity));
        let Some(bundles) = is_whole.then(|| u32::try_from(bundles).ok()).flatten() else { continue };
        let Some(at) = lines.iter().position(is_part) else { continue };
        let Some(model) = lines.get(at).cloned() else { continue };
        let kept: Vec<bool> = lines.iter().map(|line| !is_part(line)).collect();
        let mut keeps = kept.iter();
        lines.retain(|_| *keeps.next().unwrap_or(&true));
        let whole = ReturnLine { order_line: Some(bundle.id.clone()), sku: bundle.sku.clone(), quantity: bundles, ..model };
        lines.insert(at.min(lines.len()), whole);
    }
}

fn told(line: &ReturnLine) -> String {
    format!("{} × {}", line.quantity, line.sku)
}

fn blind(returned: &Return) -> Problem {
    let what: Vec<String> = returned.lines.iter().map(told).collect();
    Problem::new(
        "return.blind",
        "order",
        format!("return {} ({}) names no order", returned.id, what.join(", ")),
        "Find out whose it is (the warehouse has the parcel). Make the return in the shop by hand and dismiss this with a reason, or \
         have the warehouse tell it again with the order's number.",
    )
    .value(returned.id.as_str())
    .cause(returned.key.as_str())
}

fn order_unknown(returned: &Return, order: &RecordKey) -> Problem {
    Problem::new(
        "return.order_unknown",
        "order",
        format!("return {} is of order {order}, which the shop has not told us of", returned.id),
        "See whether the order is older than capture.since or of another shop. Capture it (selvedge flows sweep) and release this, or \
         dismiss it with a reason.",
    )
    .value(order.as_str())
    .cause(order.as_str())
}

fn line_unknown(returned: &Return, index: usize, order: &Order) -> Problem {
    let what = returned.lines.get(index).map(told).unwrap_or_default();
    Problem::new(
        "return.line_unknown",
        format!("lines[{index}]"),
        format!("{what} came back for order {}, which has no such line", order.number),
        LOOK,
    )
    .value(what)
    .cause(returned.key.as_str())
}

fn over(returned: &Return, index: usize, order: &Order, units: u32) -> Problem {
    let what = returned.lines.get(index).map(told).unwrap_or_default();
    Problem::new(
        "return.over",
        format!("lines[{index}]"),
        format!("{what} came back; {units} of these are more than left for order {} and has not come back yet", order.number),
        LOOK,
    )
    .value(what)
    .cause(returned.key.as_str())
}

fn shipment_unknown(returned: &Return, line: &ReturnLine, units: u32, to: &selvedge_model::ConnectionName) -> Problem {
    Problem::new(
        "return.shipment_unknown",
        "lines",
        format!("{units} × {} came back, and no shipment that stands at {to} had them", line.sku),
        "Make the return there by hand on the shipment that they left in, and dismiss this with a reason; or bring the shipment there \
         first and release this.",
    )
    .value(line.sku.as_str())
    .cause(returned.key.as_str())
}
