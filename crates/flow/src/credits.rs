//! 2 · Gate, for what is given back in money: which sale, how much of it, and by which transactions.
//!
//! A credit note is linked to the lines of the orders that it gives back, what they are worth is settled against what was
//! given back before, and the parts are claimed in the store before anything leaves. What no sale explains is held with
//! the sales that come nearest; what was found for it is kept for it until a person has decided.

use std::collections::BTreeMap;

use selvedge_model::{
    AnyRecord, CreditNote, Currency, ExternalId, Kind, Money, MoneyError, Order, Problem, RecordKey, Refund,
    credit::{
        CreditAmounts, LinkRule,
        link::{self, Candidate},
        settle::{Misfit, settle, settle_component, taxes_of},
        whole::{Portion, Sold, parts_of, sold},
    },
    records::{
        Charge, CreditKind, CreditLine, CreditReason, CreditStatus, Discount, LineKind, PaymentStatus, ReturnLine, SoldPart,
        TaxLine, Totals,
    },
    share::by_units,
};
use selvedge_store::{
    Result, StoreError,
    obligations::ObligationRow,
    parts::{Claim, PartRow, PartsOf, WholeRow},
    records::RecordRow,
};

use crate::{
    FlowSetup,
    prepare::{Bench, ORDER_LOOK, Prepared, Ready},
};

/// What of an order is no line: its charges, its reductions, and all of it.
const SHIPPING: &str = ":shipping";
const HANDLING: &str = ":handling";
const DISCOUNTS: &str = ":discounts";
const TOTAL: &str = ":total";
/// What is paid back of a credit note.
const PAID: &str = ":paid";
/// How many candidates a person is shown.
const CANDIDATES_SHOWN: usize = 4;
/// How long an order that must be linked waits for the shop's news to be complete.
const NEWS_LOOK: std::time::Duration = std::time::Duration::from_millis(250);

/// An order of which something is given back.
struct Sale {
    order: Order,
    sold: Vec<Sold>,
    /// What other records gave back, by line.
    taken: BTreeMap<ExternalId, Portion>,
    /// What this one gives back so far, by line.
    now: BTreeMap<ExternalId, Portion>,
    /// The wholes that this one touches.
    wholes: BTreeMap<ExternalId, Portion>,
}

impl Sale {
    fn none(&self) -> Portion {
        Portion::none(self.order.currency)
    }

    /// What was given back of a line, by others and by this one so far.
    fn taken(&self, line: &ExternalId) -> std::result::Result<Portion, MoneyError> {
        let of = |side: &BTreeMap<ExternalId, Portion>| side.get(line).copied().unwrap_or_else(|| self.none());
        of(&self.taken).plus(of(&self.now))
    }

    fn take(&mut self, line: &ExternalId, whole: Portion, part: Portion) -> std::result::Result<(), MoneyError> {
        let before = self.now.get(line).copied().unwrap_or_else(|| self.none());
        self.now.insert(line.clone(), before.plus(part)?);
        self.wholes.insert(line.clone(), whole);
        Ok(())
    }

    fn sold(&self, line: &ExternalId) -> Option<&Sold> {
        self.sold.iter().find(|one| one.line == *line)
    }

    /// A bundle with all units of its components counted.
    fn bundle(&self, line: &ExternalId) -> Option<Portion> {
        let bundle = self.order.lines.iter().find(|one| one.id == *line && one.kind == LineKind::Bundle)?;
        let units = parts_of(&self.order, line).map(|part| part.quantity).sum();
        Some(Portion { units, net: bundle.net, tax: bundle.tax })
    }

    /// Whether every unit of the order is given back with what this one takes.
    fn is_all_back(&self) -> bool {
        self.sold.iter().all(|one| self.taken(&one.line).is_ok_and(|taken| taken.units >= one.whole.units))
    }
}

/// Something about a credit that no release by itself mends.
fn misfit(credit: &CreditNote, path: String, order: &RecordKey, sku: &str, why: &Misfit) -> Problem {
    match why {
        Misfit::Units { .. } => Problem::new(
            "credit.over",
            path,
            format!("more of {sku} is credited than order {order} sold: {why}"),
            "See which credit notes of the order stand already (its page shows them). Void the one that is wrong at its source, \
             or dismiss this with a reason.",
        ),
        Misfit::Amount { .. } => Problem::new(
            "credit.amount",
            path,
            format!("{sku} of order {order} is credited for another amount than it was sold for: {why}"),
            "Mend the amount at its source. Where the source sets its own prices and tax, set amounts = \"as_stated\" for this \
             flow; then release.",
        ),
        Misfit::Money(_) => Problem::new(
            "credit.amount",
            path,
            format!("{sku} of order {order} cannot be credited: {why}"),
            "Mend the amount at its source, then release.",
        ),
    }
    .value(sku)
    .cause(credit.key.as_str())
}

fn unlinked(credit: &CreditNote, index: usize, missing: u32, candidates: &[Candidate], known_buyer: bool) -> Problem {
    let Some(line) = credit.lines.get(index) else {
        return Problem::new("credit.unlinked", "lines", "a line is missing", "Mend it at its source.");
    };
    let near: Vec<String> = link::nearest(line, candidates, CANDIDATES_SHOWN)
        .into_iter()
        .map(|one| {
            let day = one.placed_at.to_zoned(jiff::tz::TimeZone::UTC).date();
            format!("order {} line {} of {day}: {} at {}, {} left", one.order, one.line, one.sku, one.unit_net, one.left)
        })
        .collect();
    let seen = match (near.is_empty(), known_buyer) {
        (false, _) => format!("nearest: {}", near.join("; ")),
        (true, true) => "the buyer bought nothing like it that we know of".to_owned(),
        (true, false) => "it names no buyer, so there is nothing to look among".to_owned(),
    };
    let what = match line.kind {
        CreditKind::Goods => {
            format!("{missing} × {} at {} of credit {}: no sale explains them", line.sku, line.unit_net, credit.number)
        }
        CreditKind::Other => format!("{} ({}) of credit {} is no line of any sale", line.sku, line.net, credit.number),
    };
    Problem::new(
        "credit.unlinked",
        format!("lines[{index}]"),
        format!("{what}; {seen}"),
        "Name the order and line at the source of the credit, or bring the sale here (selvedge flows sweep) and release this; or book \
         it by hand and dismiss this with a reason.",
    )
    .value(line.sku.as_str())
    .cause(credit.key.as_str())
}

impl Bench<'_> {
    pub(crate) fn parts_of(&self, kind: Kind) -> PartsOf {
        let to = self.flows.iter().find(|(flow, _)| flow == self.flow).map(|(_, to)| to.clone()).unwrap_or_default();
        PartsOf { brand: self.brand.clone(), at: to, kind }
    }

    /// The claim that lets everything go.
    pub(crate) fn nothing_claimed(&self, row: &ObligationRow) -> Claim {
        Claim {
            of: self.parts_of(row.kind),
            key: row.key.clone(),
            flow: self.flow.clone(),
            wholes: Vec::new(),
            parts: Vec::new(),
        }
    }

    pub(crate) fn credit(
        &self,
        row: &ObligationRow,
        record: &RecordRow,
        credit: &CreditNote,
        setup: &FlowSetup,
        handed_over: bool,
    ) -> Result<Prepared> {
        let excluded =
            |rule, reason: &str| Prepared::Excluded { rule, version: 1, reason: reason.to_owned(), routed: Vec::new() };
        // What stands in the books is not taken back by leaving its next revision out.
        let takes_back = credit.status == CreditStatus::Open
            || credit.status == CreditStatus::Issued && credit.reason == CreditReason::Cancellation;
        if handed_over && takes_back {
            return Ok(Prepared::Unfit(vec![reversed(credit)]));
        }
        match credit.status {
            CreditStatus::Open => return Ok(excluded("credit.open", "nothing has been paid back yet")),
            CreditStatus::Void => {
                return Ok(match self.last_prepared(row)? {
                    Some(AnyRecord::CreditNote(last)) => {
                        let void = CreditNote { status: CreditStatus::Void, updated_at: credit.updated_at, goods: None, ..*last };
                        // Its parts are free once the target shows it void, and not before.
                        Prepared::As(Box::new(Ready::of(void)))
                    }
                    _ => Prepared::AsItIs,
                });
            }
            CreditStatus::Issued => {}
        }
        if credit.reason == CreditReason::Cancellation {
            return Ok(excluded(
                "credit.never_invoiced",
                "the units were cancelled before they left: the sale there is smaller by them already, and nothing is to be credited",
            ));
        }
        if let Some(problem) = goods_kept(credit) {
            return Ok(Prepared::Unfit(vec![problem]));
        }
        if let Some(problem) = adds_up(credit) {
            return Ok(Prepared::Unfit(vec![problem]));
        }
        let of = self.parts_of(Kind::CreditNote);
        let own = self.view.parts(&of, &row.key)?;
        let mut work =
            Work { bench: self, credit, of, own, sales: BTreeMap::new(), parts: Vec::new(), problems: Vec::new(), handed_over };
        if let Some(order) = &credit.order
            && let Some(wait) = work.need(order, record, setup)?
        {
            return Ok(wait);
        }
        for order in credit.lines.iter().flat_map(|line| &line.sold).map(|part| part.order.clone()).collect::<Vec<_>>() {
            if let Some(wait) = work.need(&order, record, setup)? {
                return Ok(wait);
            }
        }
        let links = match work.links(record, setup)? {
            Links::Found(links) => links,
            Links::Wait(wait) => return Ok(*wait),
        };
        work.finish(row, setup, links)
    }

    pub(crate) fn refund(&self, row: &ObligationRow, record: &RecordRow, refund: &Refund, setup: &FlowSetup) -> Result<Prepared> {
        let excluded = |rule, reason: String| Prepared::Excluded { rule, version: 1, reason, routed: Vec::new() };
        match refund.status {
            PaymentStatus::Success => {}
            PaymentStatus::Pending => {
                return Ok(excluded("refund.pending", "the provider has not said yet whether it went through".to_owned()));
            }
            // One that had succeeded and stands there: only people can undo a payment.
            PaymentStatus::Failed => {
                return Ok(match self.last_prepared(row)? {
                    Some(_) => Prepared::Unfit(vec![taken_back(refund)]),
                    None => Prepared::AsItIs,
                });
            }
        }
        let Some(credit) = self.view.latest(self.brand, Kind::CreditNote, &refund.credit_note)? else {
            return Ok(if record.received_at.duration_until(self.now) < patience(setup) {
                Prepared::Later { after: ORDER_LOOK, why: format!("credit note {} is not known yet", refund.credit_note) }
            } else {
                Prepared::Unfit(vec![no_credit(refund)])
            });
        };
        let AnyRecord::CreditNote(credit) = credit.record else {
            return Ok(Prepared::Later {
                after: ORDER_LOOK,
                why: format!("credit note {} cannot be read yet", refund.credit_note),
            });
        };
        if credit.reason == CreditReason::Cancellation {
            return Ok(match self.last_prepared(row)? {
                Some(_) => Prepared::Unfit(vec![taken_back(refund)]),
                None => excluded("refund.never_invoiced", "it pays back what was cancelled before it was invoiced".to_owned()),
            });
        }
        if credit.currency != refund.amount.currency() {
            return Ok(Prepared::Unfit(vec![over(refund, &credit, credit.totals.gross)]));
        }
        let of = self.parts_of(Kind::Refund);
        let zero = Money::zero(credit.currency);
        let line = ExternalId::new(PAID);
        let whole = Portion { units: 0, net: credit.totals.gross, tax: zero };
        let known = self.view.wholes(&of, &refund.credit_note)?;
        let taken = known.iter().find(|one| one.line == line).map_or(zero, |one| one.taken.net);
        let own = self.view.parts(&of, &row.key)?;
        let own = Money::sum(credit.currency, own.iter().map(|part| part.portion.net));
        let left = own.and_then(|own| whole.net.minus(taken)?.plus(own));
        match left {
            Ok(left) if refund.amount.minor() <= left.minor() => {}
            left => return Ok(Prepared::Unfit(vec![over(refund, &credit, left.unwrap_or(zero))])),
        }
        let part = Portion { units: 0, net: refund.amount, tax: zero };
        let owner = refund.credit_note.clone();
        let claim = Claim {
            of,
            key: row.key.clone(),
            flow: self.flow.clone(),
            wholes: vec![WholeRow {
                owner: owner.clone(),
                line: line.clone(),
                whole,
                taken: Portion::none(credit.currency),
                stated: false,
            }],
            parts: vec![PartRow { owner, line, place: 0, portion: part }],
        };
        let first = vec![(Kind::CreditNote, refund.credit_note.clone())];
        Ok(Prepared::As(Box::new(Ready { claim: Some(claim), first, ..Ready::of(refund.clone()) })))
    }
}

pub(crate) fn patience(setup: &FlowSetup) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(setup.credits.patience).unwrap_or_default()
}

/// Whether the parts of a credit make the sums that its source states.
fn adds_up(credit: &CreditNote) -> Option<Problem> {
    let sum = |of_line: fn(&CreditLine) -> Money, of_charge: fn(&Charge) -> Money, of_discount: fn(&Discount) -> Money| {
        let lines = Money::sum(credit.currency, credit.lines.iter().map(of_line))?;
        let charges = [&credit.shipping, &credit.handling, &credit.goodwill].map(of_charge);
        let off = Money::sum(credit.currency, credit.discounts.iter().map(of_discount))?.plus(of_charge(&credit.fee))?;
        lines.plus(Money::sum(credit.currency, charges)?)?.minus(off)
    };
    let net = sum(|line| line.net, |charge| charge.net, |discount| discount.net);
    let tax = sum(|line| line.tax, |charge| charge.tax, |discount| discount.tax);
    let gross = credit.totals.net.plus(credit.totals.tax);
    if net.as_ref() == Ok(&credit.totals.net)
        && tax.as_ref() == Ok(&credit.totals.tax)
        && gross.as_ref() == Ok(&credit.totals.gross)
    {
        return None;
    }
    let told = |sum: std::result::Result<Money, MoneyError>| sum.map_or_else(|error| error.to_string(), |sum| sum.to_string());
    Some(
        Problem::new(
            "credit.sum",
            "totals",
            format!(
                "the parts of credit {} make {} and {} tax; stated are {} and {} tax, {} in all",
                credit.number,
                told(net),
                told(tax),
                credit.totals.net,
                credit.totals.tax,
                credit.totals.gross
            ),
            "Mend the credit at its source; its next revision takes the place of this one.",
        )
        .value(credit.totals.gross.to_string())
        .cause(credit.key.as_str()),
    )
}

/// A credit of which some goods came back and some stay with the shopper cannot be told as one return.
fn goods_kept(credit: &CreditNote) -> Option<Problem> {
    let back = credit.goods.as_ref()?.units();
    (back != credit.units()).then(|| {
        Problem::new(
            "credit.goods_kept",
            "goods",
            format!("credit {} gives {} units back in money, and {back} of them came back as goods", credit.number, credit.units()),
            "Make two credits of it at its source: one for what came back, one for what the shopper keeps; then dismiss this with a reason.",
        )
        .value(back.to_string())
        .cause(credit.key.as_str())
    })
}

fn no_credit(refund: &Refund) -> Problem {
    Problem::new(
        "refund.no_credit",
        "credit_note",
        format!("refund {} of {} pays credit note {}, which nobody has told us of", refund.id, refund.amount, refund.credit_note),
        "See whether the return is older than capture.since; sweep its flow (selvedge flows sweep) and release this, or dismiss it \
         with a reason.",
    )
    .value(refund.amount.to_string())
    .cause(refund.credit_note.as_str())
}

fn taken_back(refund: &Refund) -> Problem {
    Problem::new(
        "refund.taken_back",
        "status",
        format!("refund {} of {} was handed over, and its source says now that it failed or pays back something else", refund.id, refund.amount),
        "Ask the payment provider what happened to it. If the money did not go back, delete the refund at the target, then dismiss \
         this with a reason.",
    )
    .value(refund.reference.clone().unwrap_or_default())
    .cause(refund.key.as_str())
}

fn over(refund: &Refund, credit: &CreditNote, left: Money) -> Problem {
    Problem::new(
        "refund.over",
        "amount",
        format!(
            "refund {} pays {} back; credit note {} is over {}, and {left} of it has not been paid back yet",
            refund.id, refund.amount, credit.number, credit.totals.gross
        ),
        "See at the payment provider what was paid back. If it was too much, ask for it back or credit the difference in the shop; then \
         release this, or dismiss it with a reason.",
    )
    .value(refund.amount.to_string())
    .cause(refund.key.as_str())
}

/// Units of a line of a sale, with the net amount and tax that the credit states for them.
struct GivenBack {
    order: RecordKey,
    line: ExternalId,
    units: u32,
    stated: (Money, Money),
}

/// Which sold lines a credit line gives back.
struct LineLinks {
    parts: Vec<GivenBack>,
    missing: u32,
}

enum Links {
    Found(Vec<LineLinks>),
    Wait(Box<Prepared>),
}

/// A credit note on the bench.
struct Work<'a> {
    bench: &'a Bench<'a>,
    credit: &'a CreditNote,
    of: PartsOf,
    /// What it claimed when it was looked at before.
    own: Vec<PartRow>,
    sales: BTreeMap<RecordKey, Sale>,
    parts: Vec<PartRow>,
    problems: Vec<Problem>,
    /// Whether an earlier revision may stand at the target.
    handed_over: bool,
}

fn too_large(error: &MoneyError) -> StoreError {
    StoreError::Unreadable { what: "an amount".to_owned(), why: error.to_string() }
}

impl Work<'_> {
    /// Loads an order; what keeps the credit waiting or held where it cannot be had.
    fn need(&mut self, key: &RecordKey, record: &RecordRow, setup: &FlowSetup) -> Result<Option<Prepared>> {
        if self.sales.contains_key(key) {
            return Ok(None);
        }
        let Some(order) = self.bench.view.latest(self.bench.brand, Kind::Order, key)? else {
            return Ok(Some(if record.received_at.duration_until(self.bench.now) < patience(setup) {
                Prepared::Later { after: ORDER_LOOK, why: format!("order {key} has not been captured yet") }
            } else {
                Prepared::Unfit(vec![order_unknown(self.credit, key)])
            }));
        };
        let AnyRecord::Order(order) = order.record else {
            return Ok(Some(Prepared::Later { after: ORDER_LOOK, why: format!("order {key} cannot be read yet") }));
        };
        let sale = self.sale(*order)?;
        self.sales.insert(key.clone(), sale);
        Ok(None)
    }

    fn sale(&self, order: Order) -> Result<Sale> {
        let goods = self.bench.goods(&order)?;
        let sold = sold(&order, &goods).map_err(|error| too_large(&error))?;
        let mut taken: BTreeMap<ExternalId, Portion> =
            self.bench.view.wholes(&self.of, &order.number)?.into_iter().map(|one| (one.line, one.taken)).collect();
        for part in self.own.iter().filter(|part| part.owner == order.number) {
            if let Some(sum) = taken.get_mut(&part.line) {
                *sum = sum.minus(part.portion).map_err(|error| too_large(&error))?;
            }
        }
        Ok(Sale { order, sold, taken, now: BTreeMap::new(), wholes: BTreeMap::new() })
    }

    /// What the source says, what was found before, or what the rule finds.
    fn links(&mut self, record: &RecordRow, setup: &FlowSetup) -> Result<Links> {
        let credit = self.credit;
        let named = credit.lines.iter().all(|line| !line.sold.is_empty());
        let stated = |part: &SoldPart| GivenBack {
            order: part.order.clone(),
            line: part.line.clone(),
            units: part.quantity,
            stated: (part.net, part.tax),
        };
        if named {
            let links = credit.lines.iter().map(|line| LineLinks { parts: line.sold.iter().map(stated).collect(), missing: 0 });
            return Ok(Links::Found(links.collect()));
        }
        let buyer = credit.buyer.as_deref().filter(|buyer| !buyer.is_empty());
        // Which line of the order that it names is no guess: it is told by the item.
        let rule = if credit.order.is_some() { LinkRule::OldestFirst } else { setup.credits.link };
        if rule == LinkRule::OldestFirst && credit.order.is_none() && buyer.is_some() {
            // What the shop has not told yet might be the sale.
            let heard = |(_, until): &(_, Option<jiff::Timestamp>)| until.is_some_and(|until| until >= record.received_at);
            let is_whole =
                self.bench.shops.iter().all(heard) && !self.bench.view.captures_wait(self.bench.brand, record.received_at)?;
            if !is_whole {
                let why = "what was sold before it is still being read".to_owned();
                return Ok(Links::Wait(Box::new(Prepared::Later { after: NEWS_LOOK, why })));
            }
        }
        let mut candidates = Vec::new();
        let mut orders: Vec<RecordKey> = credit.order.iter().cloned().collect();
        if let (None, Some(buyer)) = (&credit.order, buyer) {
            for (shop, _) in self.bench.shops {
                orders.extend(self.bench.view.bought(self.bench.brand, shop, buyer)?);
            }
        }
        for order in orders {
            let Some(latest) = self.bench.view.latest(self.bench.brand, Kind::Order, &order)? else { continue };
            let AnyRecord::Order(sale) = latest.record else { continue };
            if sale.currency != credit.currency {
                continue;
            }
            let sale = self.sale(*sale)?;
            candidates.extend(sale.sold.iter().filter(|one| one.bundle.is_none()).map(|one| Candidate {
                order: order.clone(),
                line: one.line.clone(),
                placed_at: sale.order.placed_at,
                sku: one.sku.clone(),
                unit_net: one.unit_net,
                left: one.whole.units.saturating_sub(sale.taken.get(&one.line).map_or(0, |taken| taken.units)),
            }));
            self.sales.entry(order).or_insert(sale);
        }
        // What other lines of this credit have already is nobody else's.
        let kept: Vec<Option<link::Found>> = credit
            .lines
            .iter()
            .enumerate()
            .map(|(index, line)| self.kept(index, line).filter(|_| line.sold.is_empty()))
            .collect();
        let named = credit.lines.iter().flat_map(|line| &line.sold).map(|part| (&part.order, &part.line, part.quantity));
        let found = kept.iter().flatten().flat_map(|found| &found.links).map(|one| (&one.order, &one.line, one.units));
        for (order, line, units) in named.chain(found) {
            if let Some(one) = candidates.iter_mut().find(|one| one.order == *order && one.line == *line) {
                one.left = one.left.saturating_sub(units);
            }
        }
        let shown = candidates.clone();
        let mut links = Vec::new();
        for ((index, line), kept) in credit.lines.iter().enumerate().zip(kept) {
            if !line.sold.is_empty() {
                links.push(LineLinks { parts: line.sold.iter().map(stated).collect(), missing: 0 });
                continue;
            }
            let found = match rule {
                LinkRule::OldestFirst => kept.unwrap_or_else(|| link::take(line, credit.issued_at, &mut candidates)),
                LinkRule::Never => link::Found { links: Vec::new(), missing: line.quantity },
            };
            if found.missing > 0 {
                self.problems.push(unlinked(credit, index, found.missing, &shown, buyer.is_some()));
            }
            // What the whole line states is shared out by units; of a line that is explained in part, by what is missing, too.
            let units: Vec<u32> = found.links.iter().map(|one| one.units).chain([found.missing]).collect();
            let shares = |amount: Money| match found.links.is_empty() {
                true => Ok(Vec::new()),
                false => by_units(amount, &units).map_err(|error| too_large(&error)),
            };
            let (nets, taxes) = (shares(line.net)?, shares(line.tax)?);
            let parts = found.links.into_iter().zip(nets.into_iter().zip(taxes));
            let given = |(one, stated): (link::Linked, (Money, Money))| GivenBack {
                order: one.order,
                line: one.line,
                units: one.units,
                stated,
            };
            let parts = parts.map(given).collect();
            links.push(LineLinks { parts, missing: found.missing });
        }
        Ok(Links::Found(links))
    }

    /// What was found for a line before and is kept for it, where that explains all of it: whatever was derived from it then
    /// still holds.
    fn kept(&self, index: usize, line: &CreditLine) -> Option<link::Found> {
        let of_line = |part: &&PartRow| part.place == index && !part.line.as_str().starts_with(':');
        let links: Vec<link::Linked> = self
            .own
            .iter()
            .filter(of_line)
            .map(|part| link::Linked { order: part.owner.clone(), line: part.line.clone(), units: part.portion.units })
            .collect();
        let units: u32 = links.iter().map(|one| one.units).sum();
        // A file that is sent again may have its rows in another order.
        let sells = |one: &link::Linked| {
            self.sales.get(&one.order).and_then(|sale| sale.sold(&one.line)).is_some_and(|sold| sold.sku == line.sku)
        };
        (links.iter().all(sells) && units == line.quantity && units > 0).then_some(link::Found { links, missing: 0 })
    }

    /// Settles every line against its sale, then the charges and reductions of the order, and writes the claim.
    fn finish(mut self, row: &ObligationRow, setup: &FlowSetup, links: Vec<LineLinks>) -> Result<Prepared> {
        let credit = self.credit;
        let amounts = setup.credits.amounts;
        let mut lines = Vec::new();
        for (index, (line, links)) in credit.lines.iter().zip(&links).enumerate() {
            let settled = self.settle_line(index, line, links, amounts)?;
            lines.push(settled);
        }
        let orders: Vec<RecordKey> =
            self.sales.iter().filter(|(_, sale)| !sale.now.is_empty()).map(|(key, _)| key.clone()).collect();
        let only = match (&credit.order, orders.as_slice()) {
            (Some(order), _) => Some(order.clone()),
            (None, [order]) => Some(order.clone()),
            _ => None,
        };
        let (mut discounts, mut shipping, mut handling) =
            (credit.discounts.clone(), credit.shipping.clone(), credit.handling.clone());
        if only.is_none() {
            self.settle_orders(&orders, amounts);
        }
        if let Some(order) = &only {
            self.settle_order(order, amounts, &mut discounts, &mut shipping, &mut handling);
        }
        let claim = self.claim(row, amounts);
        let claim = if self.handed_over { kept_up(claim, &self.own) } else { claim };
        if !self.problems.is_empty() {
            return Ok(if claim.parts.is_empty() || self.handed_over {
                Prepared::Unfit(self.problems)
            } else {
                // Only what the rule found is kept for it; what does not fit must not stand in another's way.
                let is_found = self.problems.iter().all(|problem| problem.rule == "credit.unlinked");
                match is_found {
                    true => Prepared::Holding { problems: self.problems, claim: Box::new(claim) },
                    false => Prepared::Holding { problems: self.problems, claim: Box::new(self.bench.nothing_claimed(row)) },
                }
            });
        }
        if self.bench.keeps_bundles {
            for sale in self.sales.values() {
                whole_bundles(&mut lines, sale).map_err(|error| too_large(&error))?;
            }
        }
        let header = only.as_ref().or(orders.first()).and_then(|order| self.sales.get(order)).map(|sale| {
            // Of a credit without lines the rates of the sale decide its tax.
            let lines = if credit.lines.is_empty() { sale.order.lines.clone() } else { Vec::new() };
            Order { lines, ..header(&sale.order) }
        });
        let mut prepared = CreditNote {
            order: only,
            lines,
            discounts,
            shipping,
            handling,
            sale: header.map(Box::new),
            goods: None,
            ..credit.clone()
        };
        prepared.totals = totals(&prepared).map_err(|error| too_large(&error))?;
        let mut remarks = Vec::new();
        if prepared.totals.gross != credit.totals.gross {
            remarks.push(format!(
                "credited are {}, {} were stated: the last part of a line takes what the parts before it left",
                prepared.totals.gross, credit.totals.gross
            ));
        }
        if let Some(goods) = &credit.goods {
            prepared.goods = Some(Box::new(selvedge_model::Return {
                order: prepared.order.clone(),
                lines: prepared.lines.iter().flat_map(returned_lines).collect(),
                ..goods.as_ref().clone()
            }));
        }
        let first = orders.into_iter().map(|order| (Kind::Order, order)).collect();
        Ok(Prepared::As(Box::new(Ready { remarks, claim: Some(claim), first, ..Ready::of(prepared) })))
    }

    fn settle_line(&mut self, index: usize, line: &CreditLine, links: &LineLinks, amounts: CreditAmounts) -> Result<CreditLine> {
        let mut settled = CreditLine { sold: Vec::new(), ..line.clone() };
        let mut taxes: Vec<TaxLine> = Vec::new();
        for GivenBack { order, line: of_line, units, stated } in &links.parts {
            let Some(sale) = self.sales.get_mut(order) else { continue };
            match give_back(sale, of_line, *units, Some(*stated), amounts) {
                Ok(given) => {
                    let mut all = Portion::none(sale.order.currency);
                    for one in given {
                        all = all.plus(one.part).map_err(|error| too_large(&error))?;
                        add_taxes(&mut taxes, one.taxes).map_err(|error| too_large(&error))?;
                        for (line, portion) in one.claims {
                            self.parts.push(PartRow { owner: order.clone(), line, place: index, portion });
                        }
                    }
                    settled.sold.push(SoldPart {
                        order: order.clone(),
                        line: of_line.clone(),
                        quantity: *units,
                        net: all.net,
                        tax: all.tax,
                    });
                }
                Err(Some(why)) => {
                    let path = format!("lines[{index}]");
                    self.problems.push(misfit(self.credit, path, order, line.sku.as_str(), &why));
                }
                Err(None) => self.problems.push(line_unknown(self.credit, index, order, of_line)),
            }
        }
        if links.missing > 0 || settled.sold.is_empty() {
            return Ok(line.clone());
        }
        let currency = self.credit.currency;
        let sums = (
            Money::sum(currency, settled.sold.iter().map(|part| part.net)),
            Money::sum(currency, settled.sold.iter().map(|part| part.tax)),
        );
        let (Ok(net), Ok(tax)) = sums else { return Ok(line.clone()) };
        // The source's own taxes stand as long as they make the tax.
        let own = Money::sum(currency, line.taxes.iter().map(|one| one.amount));
        if own != Ok(tax) {
            settled.taxes = taxes;
        }
        settled.net = net;
        settled.tax = tax;
        Ok(settled)
    }

    /// A credit of several orders: what it gives back of each is held against each, and it can give back lines alone.
    fn settle_orders(&mut self, orders: &[RecordKey], amounts: CreditAmounts) {
        let credit = self.credit;
        let none = |charge: &Charge| charge.net.is_zero() && charge.tax.is_zero();
        let only_lines = credit.discounts.is_empty()
            && [&credit.shipping, &credit.handling, &credit.goodwill, &credit.fee].into_iter().all(none);
        if !only_lines {
            self.problems.push(several_orders(credit, orders));
            return;
        }
        for key in orders {
            let Some(sale) = self.sales.get_mut(key) else { continue };
            let none = Charge::none(sale.order.currency);
            let line = ExternalId::new(TOTAL);
            let all = (|| {
                let whole = together(Portion { units: 0, net: sale.order.totals.net, tax: sale.order.totals.tax })?;
                let alone = CreditNote { fee: none.clone(), goodwill: none.clone(), ..credit.clone() };
                let given = together(totals_of(&alone, sale, &none, &none, &[])?)?;
                Ok::<_, MoneyError>((whole, given, whole.net.minus(sale.taken(&line)?.net)?))
            })();
            match all {
                Ok((whole, given, left)) => {
                    if amounts == CreditAmounts::AsSold && given.net.minor() > left.minor() {
                        let left = Portion { net: left, ..sale.none() };
                        self.problems.push(total_over(credit, key, given, left));
                        continue;
                    }
                    if sale.take(&line, whole, given).is_ok() {
                        self.parts.push(PartRow { owner: key.clone(), line, place: credit.lines.len(), portion: given });
                    }
                }
                Err(error) => {
                    self.problems.push(misfit(credit, "totals".to_owned(), key, "the credit", &Misfit::Money(error)));
                }
            }
        }
    }

    /// What is no line: charges and reductions of the order, and all of it together.
    fn settle_order(
        &mut self,
        order: &RecordKey,
        amounts: CreditAmounts,
        discounts: &mut [Discount],
        shipping: &mut Charge,
        handling: &mut Charge,
    ) {
        let credit = self.credit;
        let Some(sale) = self.sales.get_mut(order) else { return };
        let zero = sale.none();
        let strict = amounts == CreditAmounts::AsSold;
        let mut problems = Vec::new();
        let mut claimed: Vec<(&str, Portion, Portion)> = Vec::new();
        let mut charge = |name: &'static str, what: &str, of: &Charge, given: &mut Charge| {
            let whole = Portion { units: 0, net: of.net, tax: of.tax };
            let part = Portion { units: 0, net: given.net, tax: given.tax };
            if part == zero {
                return;
            }
            let left = sale.taken(&ExternalId::new(name)).and_then(|taken| whole.minus(taken));
            match left {
                Ok(left) if !strict || part.net.minor() <= left.net.minor() && part.tax.minor() <= left.tax.minor() => {
                    claimed.push((name, whole, part));
                }
                left => problems.push(charge_over(credit, what, order, part, left.unwrap_or(zero))),
            }
        };
        charge(SHIPPING, "shipping", &sale.order.shipping_charge.clone(), shipping);
        charge(HANDLING, "handling", &sale.order.handling_charge.clone(), handling);
        match reductions(sale, credit, discounts, strict) {
            Ok(Some((whole, part))) => claimed.push((DISCOUNTS, whole, part)),
            Ok(None) => {}
            Err(problem) => problems.push(*problem),
        }
        // All of it: no sum of credits is more than the order, however it is cut.
        let all = (|| {
            let tenders = sale.order.discounts.iter().filter(|one| one.tender);
            let mut whole = Portion { units: 0, net: sale.order.totals.net, tax: sale.order.totals.tax };
            for one in tenders {
                whole = whole.plus(Portion { units: 0, net: one.net, tax: one.tax })?;
            }
            let given = totals_of(credit, sale, shipping, handling, discounts)?;
            let left = whole.minus(sale.taken(&ExternalId::new(TOTAL))?)?;
            Ok::<_, MoneyError>((whole, given, left))
        })();
        match all {
            Ok((whole, given, left)) => {
                let is_over = given.gross().ok().zip(left.gross().ok()).is_none_or(|(given, left)| given.minor() > left.minor());
                if strict && is_over {
                    problems.push(total_over(credit, order, given, left));
                }
                claimed.push((TOTAL, whole, given));
            }
            Err(error) => problems.push(misfit(credit, "totals".to_owned(), order, "the credit", &Misfit::Money(error))),
        }
        for (name, whole, part) in claimed {
            let line = ExternalId::new(name);
            // Net and tax of all together may shift against each other by rounding; their sum may not, and was just checked.
            let whole = if name == TOTAL { together(whole).unwrap_or(whole) } else { whole };
            let part = if name == TOTAL { together(part).unwrap_or(part) } else { part };
            if sale.take(&line, whole, part).is_ok() {
                self.parts.push(PartRow { owner: order.clone(), line, place: credit.lines.len(), portion: part });
            }
        }
        self.problems.extend(problems);
    }

    fn claim(&self, row: &ObligationRow, amounts: CreditAmounts) -> Claim {
        let mut wholes = Vec::new();
        for (order, sale) in &self.sales {
            wholes.extend(sale.wholes.iter().map(|(line, whole)| WholeRow {
                owner: order.clone(),
                line: line.clone(),
                whole: *whole,
                taken: sale.none(),
                stated: amounts == CreditAmounts::AsStated,
            }));
        }
        // One part per line of a sale and line of the credit.
        let mut parts: Vec<PartRow> = Vec::new();
        for part in &self.parts {
            let same = |one: &&mut PartRow| one.owner == part.owner && one.line == part.line && one.place == part.place;
            match parts.iter_mut().find(same) {
                Some(one) => one.portion = one.portion.plus(part.portion).unwrap_or(one.portion),
                None => parts.push(part.clone()),
            }
        }
        Claim { of: self.of.clone(), key: row.key.clone(), flow: self.bench.flow.clone(), wholes, parts }
    }
}

/// The claim of a revision whose forerunner may stand: whatever that claimed stays claimed, until the target shows otherwise.
pub(crate) fn kept_up(mut claim: Claim, own: &[PartRow]) -> Claim {
    for old in own {
        let same = |one: &&mut PartRow| one.owner == old.owner && one.line == old.line && one.place == old.place;
        match claim.parts.iter_mut().find(same) {
            Some(new) => {
                let most = |new: Money, old: Money| if new.minor() < old.minor() { old } else { new };
                new.portion.units = new.portion.units.max(old.portion.units);
                new.portion.net = most(new.portion.net, old.portion.net);
                new.portion.tax = most(new.portion.tax, old.portion.tax);
            }
            None => claim.parts.push(old.clone()),
        }
    }
    claim
}

fn reversed(credit: &CreditNote) -> Problem {
    Problem::new(
        "credit.taken_back",
        "status",
        format!(
            "credit {} was handed over, and its source says now that {}",
            credit.number,
            match credit.status {
                CreditStatus::Open => "nothing has been paid back (a refund that was pending has failed)",
                _ => "it pays back units that were cancelled before they left, which were never invoiced",
            }
        ),
        "See in the shop what was paid back. If the credit is wrong, have it voided at the target, its refunds first, and dismiss this with \
         a reason; if it is right, release this once the shop says so, too.",
    )
    .value(credit.number.as_str())
    .cause(credit.key.as_str())
}

/// Net and tax in one sum.
fn together(portion: Portion) -> std::result::Result<Portion, MoneyError> {
    Ok(Portion { units: portion.units, net: portion.gross()?, tax: Money::zero(portion.net.currency()) })
}

/// What is given back of one line of a sale.
struct Given {
    part: Portion,
    taxes: Vec<TaxLine>,
    /// What is claimed for it, by line.
    claims: Vec<(ExternalId, Portion)>,
}

/// Takes units of a line off a sale; `Err(None)` when the sale has no such line.
fn give_back(
    sale: &mut Sale,
    line: &ExternalId,
    units: u32,
    stated: Option<(Money, Money)>,
    amounts: CreditAmounts,
) -> std::result::Result<Vec<Given>, Option<Misfit>> {
    let money = |error: MoneyError| Some(Misfit::Money(error));
    let is_bundle =
        sale.order.lines.iter().any(|one| one.id == *line && one.kind == LineKind::Bundle) && sale.sold(line).is_none();
    if is_bundle {
        return whole_bundle(sale, line, units, stated, amounts);
    }
    let one = sale.sold(line).cloned().ok_or(None)?;
    let taken = sale.taken(line).map_err(money)?;
    match &one.bundle {
        None => {
            let part = settle(one.whole, taken, units, stated, amounts)?;
            sale.take(line, one.whole, part).map_err(money)?;
            Ok(vec![Given { part, taxes: taxes_of(&one, part.tax).map_err(money)?, claims: vec![(line.clone(), part)] }])
        }
        Some(bundle) => {
            let of_bundle = sale.bundle(bundle).ok_or(None)?;
            let of_units = |portion: Portion| Portion { units: portion.units, ..sale.none() };
            let (share, units_alone) = (one.whole, of_units(one.whole));
            let taken_of_bundle = sale.taken(bundle).map_err(money)?;
            let part = settle_component(share, taken.units, of_bundle, taken_of_bundle, units, stated, amounts)?;
            let part_alone = of_units(part);
            sale.take(line, units_alone, part_alone).map_err(money)?;
            sale.take(bundle, of_bundle, part).map_err(money)?;
            let claims = vec![(line.clone(), part_alone), (bundle.clone(), part)];
            Ok(vec![Given { part, taxes: taxes_of(&one, part.tax).map_err(money)?, claims }])
        }
    }
}

/// Whole bundles: so many units of each of their components.
fn whole_bundle(
    sale: &mut Sale,
    line: &ExternalId,
    bundles: u32,
    stated: Option<(Money, Money)>,
    amounts: CreditAmounts,
) -> std::result::Result<Vec<Given>, Option<Misfit>> {
    let money = |error: MoneyError| Some(Misfit::Money(error));
    let of = sale.order.lines.iter().find(|one| one.id == *line).map_or(0, |one| one.quantity);
    let parts: Vec<(ExternalId, u32)> = parts_of(&sale.order, line).map(|part| (part.id.clone(), part.quantity)).collect();
    if bundles > of {
        return Err(Some(Misfit::Units { wanted: bundles, left: of, sold: of }));
    }
    let mut given = Vec::new();
    let mut sum = Portion::none(sale.order.currency);
    for (part, quantity) in parts {
        let product = u64::from(quantity) * u64::from(bundles);
        if of == 0 || !product.is_multiple_of(u64::from(of)) {
            return Err(Some(Misfit::Units { wanted: bundles, left: of, sold: of }));
        }
        let units = u32::try_from(product / u64::from(of)).map_err(|_| money(MoneyError::Overflow))?;
        for one in give_back(sale, &part, units, None, amounts)? {
            sum = sum.plus(one.part).map_err(money)?;
            given.push(one);
        }
    }
    if let (CreditAmounts::AsStated, Some((net, tax)), Some(first)) = (amounts, stated, given.first_mut()) {
        // The source sets the price of the whole: what it is more or less than was paid goes with the first component.
        let more = Portion { units: 0, net: net.minus(sum.net).map_err(money)?, tax: tax.minus(sum.tax).map_err(money)? };
        first.part = first.part.plus(more).map_err(money)?;
        if let Some((_, of_bundle)) = first.claims.last_mut() {
            *of_bundle = of_bundle.plus(more).map_err(money)?;
        }
    } else if let Some((net, tax)) = stated {
        let off = |one: Money, other: Money| one.minus(other).map(|difference| difference.minor().saturating_abs());
        let cents = i64::try_from(given.len()).unwrap_or(i64::MAX);
        if off(net, sum.net).map_err(money)? > cents || off(tax, sum.tax).map_err(money)? > cents {
            return Err(Some(Misfit::Amount { stated_net: net, stated_tax: tax, net: sum.net, tax: sum.tax }));
        }
    }
    Ok(given)
}

fn add_taxes(taxes: &mut Vec<TaxLine>, more: Vec<TaxLine>) -> std::result::Result<(), MoneyError> {
    for one in more {
        match taxes.iter_mut().find(|known| known.name == one.name && known.rate == one.rate) {
            Some(known) => known.amount = known.amount.plus(one.amount)?,
            None => taxes.push(one),
        }
    }
    Ok(())
}

/// What the order's reductions take off a credit; with the last units all that is left of them.
fn reductions(
    sale: &Sale,
    credit: &CreditNote,
    given: &mut [Discount],
    strict: bool,
) -> std::result::Result<Option<(Portion, Portion)>, Box<Problem>> {
    let currency = sale.order.currency;
    let sum = |discounts: &[Discount]| {
        Ok::<_, MoneyError>(Portion {
            units: 0,
            net: Money::sum(currency, discounts.iter().map(|one| one.net))?,
            tax: Money::sum(currency, discounts.iter().map(|one| one.tax))?,
        })
    };
    let wrong = |error: MoneyError| {
        Box::new(misfit(credit, "discounts".to_owned(), &sale.order.number, "a reduction", &Misfit::Money(error)))
    };
    // What a gift card paid is a tender and comes back as one.
    let reduced: Vec<Discount> = sale.order.discounts.iter().filter(|one| !one.tender).cloned().collect();
    let whole = sum(&reduced).map_err(wrong)?;
    let mut part = sum(given).map_err(wrong)?;
    if part == sale.none() && whole == sale.none() {
        return Ok(None);
    }
    let left = whole.minus(sale.taken(&ExternalId::new(DISCOUNTS)).map_err(wrong)?).map_err(wrong)?;
    let off = |one: Money, other: Money| one.minus(other).map(|difference| difference.minor());
    let (net_off, tax_off) = (off(part.net, left.net).map_err(wrong)?, off(part.tax, left.tax).map_err(wrong)?);
    let is_all_back = sale.is_all_back();
    let fits = if is_all_back { net_off.abs() <= 1 && tax_off.abs() <= 1 } else { net_off <= 0 && tax_off <= 0 };
    if strict && !fits {
        return Err(Box::new(
            Problem::new(
                "credit.discount",
                "discounts",
                format!(
                    "credit {} takes {} and {} tax off for the reductions of order {}, of which {} and {} tax are left{}",
                    credit.number,
                    part.net,
                    part.tax,
                    sale.order.number,
                    left.net,
                    left.tax,
                    if is_all_back { "; it gives the last units back, so all of them should come off" } else { "" }
                ),
                "Mend the credit at its source, or set amounts = \"as_stated\" for this flow; then release.",
            )
            .value(part.net.to_string())
            .cause(credit.key.as_str()),
        ));
    }
    // The last takes the remainder: a cent, on the first of them.
    if strict
        && is_all_back
        && part != left
        && let Some(first) = given.first_mut()
    {
        first.net = first.net.plus(left.net.minus(part.net).map_err(wrong)?).map_err(wrong)?;
        first.tax = first.tax.plus(left.tax.minus(part.tax).map_err(wrong)?).map_err(wrong)?;
        part = left;
    }
    Ok(Some((whole, part)))
}

/// What a credit gives back of an order in all.
fn totals_of(
    credit: &CreditNote,
    sale: &Sale,
    shipping: &Charge,
    handling: &Charge,
    discounts: &[Discount],
) -> std::result::Result<Portion, MoneyError> {
    let mut all = sale.none();
    let counted = |line: &ExternalId| sale.sold(line).is_none_or(|one| one.bundle.is_none());
    for (_, part) in sale.now.iter().filter(|(line, _)| counted(line) && !line.as_str().starts_with(':')) {
        all = all.plus(Portion { units: 0, ..*part })?;
    }
    for charge in [shipping, handling, &credit.goodwill] {
        all = all.plus(Portion { units: 0, net: charge.net, tax: charge.tax })?;
    }
    for one in discounts {
        all = all.minus(Portion { units: 0, net: one.net, tax: one.tax })?;
    }
    // What is kept back may be given back later.
    all.minus(Portion { units: 0, net: credit.fee.net, tax: credit.fee.tax })
}

fn totals(credit: &CreditNote) -> std::result::Result<Totals, MoneyError> {
    let lines = |of: fn(&CreditLine) -> Money| Money::sum(credit.currency, credit.lines.iter().map(of));
    let sum = |lines: Money, charge: fn(&Charge) -> Money, discount: fn(&Discount) -> Money| {
        let charges = [&credit.shipping, &credit.handling, &credit.goodwill].map(charge);
        let off = Money::sum(credit.currency, credit.discounts.iter().map(discount))?.plus(charge(&credit.fee))?;
        lines.plus(Money::sum(credit.currency, charges)?)?.minus(off)
    };
    let net = sum(lines(|line| line.net)?, |charge| charge.net, |discount| discount.net)?;
    let tax = sum(lines(|line| line.tax)?, |charge| charge.tax, |discount| discount.tax)?;
    Ok(Totals { net, tax, gross: net.plus(tax)? })
}

/// The header of a sale: what a document in the same books needs, and none of its lines.
fn header(order: &Order) -> Order {
    let currency: Currency = order.currency;
    Order {
        lines: Vec::new(),
        discounts: Vec::new(),
        payments: Vec::new(),
        shipping_charge: Charge::none(currency),
        handling_charge: Charge::none(currency),
        comment: None,
        ..order.clone()
    }
}

/// Components that make whole bundles become these bundles, for a target that keeps a bundle as one line.
fn whole_bundles(lines: &mut Vec<CreditLine>, sale: &Sale) -> std::result::Result<(), MoneyError> {
    for bundle in sale.order.lines.iter().filter(|line| line.kind == LineKind::Bundle) {
        let parts: Vec<(&ExternalId, u32)> = parts_of(&sale.order, &bundle.id).map(|part| (&part.id, part.quantity)).collect();
        let of_bundle = |line: &CreditLine| matches!(line.sold.as_slice(), [part] if part.order == sale.order.number && parts.iter().any(|(id, _)| **id == part.line));
        let units = |id: &ExternalId| -> u32 {
            lines
                .iter()
                .filter(|line| of_bundle(line))
                .flat_map(|line| &line.sold)
                .filter(|part| part.line == *id)
                .map(|part| part.quantity)
                .sum()
        };
        let Some((first, quantity)) = parts.first() else { continue };
        let product = u64::from(units(first)) * u64::from(bundle.quantity);
        if *quantity == 0 || product == 0 || !product.is_multiple_of(u64::from(*quantity)) {
            continue;
        }
        let bundles = product / u64::from(*quantity);
        let is_whole = parts
            .iter()
            .all(|(id, quantity)| u64::from(units(id)) * u64::from(bundle.quantity) == bundles * u64::from(*quantity));
        let Some(bundles) = is_whole.then(|| u32::try_from(bundles).ok()).flatten() else { continue };
        let at = lines.iter().position(of_bundle).unwrap_or(0);
        let (mut net, mut tax, mut taxes) = (Money::zero(sale.order.currency), Money::zero(sale.order.currency), Vec::new());
        for line in lines.iter().filter(|line| of_bundle(line)) {
            net = net.plus(line.net)?;
            tax = tax.plus(line.tax)?;
            add_taxes(&mut taxes, line.taxes.clone())?;
        }
        let whole = CreditLine {
            id: bundle.id.clone(),
            kind: CreditKind::Goods,
            sold: vec![SoldPart { order: sale.order.number.clone(), line: bundle.id.clone(), quantity: bundles, net, tax }],
            sku: bundle.sku.clone(),
            name: bundle.name.clone(),
            quantity: bundles,
            unit_net: bundle.unit_net,
            net,
            tax,
            taxes,
        };
        let kept: Vec<bool> = lines.iter().map(|line| !of_bundle(line)).collect();
        let mut keeps = kept.iter();
        lines.retain(|_| *keeps.next().unwrap_or(&true));
        lines.insert(at.min(lines.len()), whole);
    }
    Ok(())
}

fn returned_lines(line: &CreditLine) -> Vec<ReturnLine> {
    let part = |part: &SoldPart| ReturnLine {
        order: Some(part.order.clone()),
        order_line: Some(part.line.clone()),
        sku: line.sku.clone(),
        quantity: part.quantity,
        condition: None,
        reason: None,
    };
    line.sold.iter().map(part).collect()
}

fn several_orders(credit: &CreditNote, orders: &[RecordKey]) -> Problem {
    let named: Vec<&str> = orders.iter().map(RecordKey::as_str).collect();
    Problem::new(
        "credit.several_orders",
        "lines",
        format!(
            "credit {} gives lines of {} back and, beside them, charges or reductions of which nobody can say whose they are",
            credit.number,
            if named.is_empty() { "no order".to_owned() } else { format!("orders {}", named.join(", ")) }
        ),
        "Make a credit for each order at its source, then dismiss this with a reason.",
    )
    .value(credit.number.as_str())
    .cause(credit.key.as_str())
}

fn order_unknown(credit: &CreditNote, order: &RecordKey) -> Problem {
    Problem::new(
        "credit.order_unknown",
        "order",
        format!("credit {} is of order {order}, which the shop has not told us of", credit.number),
        "See whether the order is older than capture.since or of another shop. Capture it (selvedge flows sweep) and release this, or \
         dismiss it with a reason.",
    )
    .value(order.as_str())
    .cause(order.as_str())
}

fn line_unknown(credit: &CreditNote, index: usize, order: &RecordKey, line: &ExternalId) -> Problem {
    Problem::new(
        "credit.line_unknown",
        format!("lines[{index}]"),
        format!("credit {} gives line {line} of order {order} back, which the order does not have", credit.number),
        "Look at both at their source. If the order was changed since, its next revision brings the line; then release.",
    )
    .value(line.as_str())
    .cause(credit.key.as_str())
}

fn charge_over(credit: &CreditNote, what: &str, order: &RecordKey, part: Portion, left: Portion) -> Problem {
    Problem::new(
        "credit.over",
        what,
        format!(
            "credit {} gives {} and {} tax of the {what} back; order {order} has {} and {} tax of it left",
            credit.number, part.net, part.tax, left.net, left.tax
        ),
        "See which credit notes of the order stand already (its page shows them). Mend the one that is wrong at its source, or dismiss \
         this with a reason.",
    )
    .value(part.net.to_string())
    .cause(credit.key.as_str())
}

fn total_over(credit: &CreditNote, order: &RecordKey, given: Portion, left: Portion) -> Problem {
    let told = |portion: Portion| portion.gross().map_or_else(|error| error.to_string(), |gross| gross.to_string());
    Problem::new(
        "credit.over",
        "totals",
        format!("credit {} gives {} back; of order {order} {} can still be given back", credit.number, told(given), told(left)),
        "See which credit notes of the order stand already (its page shows them). Void the one that is wrong at its source, or dismiss \
         this with a reason.",
    )
    .value(told(given))
    .cause(credit.key.as_str())
}
