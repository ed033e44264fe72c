//! 2 · Gate, for what is given back in money: which sale, how much of it, and by which transactions.
//!
//! A credit note is linked to the lines of the orders that it gives back, what they are worth is settled against what was
//! given back before, and the parts are claimed in the store before anything leaves. What no sale explains is held with
//! the sales that come nearest; what was found for it is kept for it until a person has decided.

mod problems;
mod refund;
mod sale;

use std::collections::{BTreeMap, BTreeSet};

use selvedge_model::{
    AnyRecord, CreditNote, Currency, ExternalId, Kind, Money, MoneyError, Order, Problem, RecordKey,
    credit::{
        CreditAmounts, LinkRule,
        link::{self, Candidate},
        settle::Misfit,
        whole::{Portion, sold},
    },
    records::{Charge, CreditLine, CreditReason, CreditStatus, Discount, ReturnLine, SoldPart, TaxLine},
    share::by_units,
};
use selvedge_store::{
    Result, StoreError,
    obligations::ObligationRow,
    parts::{Claim, PartRow, PartsOf, WholeRow},
    records::RecordRow,
};

use self::{
    problems::{
        adds_up, charge_over, goods_kept, line_unknown, misfit, order_unknown, reversed, several_orders, total_over, unlinked,
    },
    sale::{
        DISCOUNTS, HANDLING, SHIPPING, Sale, TOTAL, add_taxes, give_back, reductions, together, totals, totals_of, whole_bundles,
    },
};
use crate::{
    FlowSetup,
    prepare::{Bench, ORDER_LOOK, Prepared, Ready},
};

/// How long an order that must be linked waits for the shop's news to be complete.
const NEWS_LOOK: std::time::Duration = std::time::Duration::from_millis(250);

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
}

pub(crate) fn patience(setup: &FlowSetup) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(setup.credits.patience).unwrap_or_default()
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

/// The claim of a revision whose forerunner may stand: of every line as much stays claimed as that claimed, whichever of its
/// lines gives it back now, until the target shows otherwise.
pub(crate) fn kept_up(mut claim: Claim, own: &[PartRow]) -> Claim {
    let mut seen = BTreeSet::new();
    for old in own {
        if !seen.insert((&old.owner, &old.line)) {
            continue;
        }
        let is_of = |part: &&PartRow| part.owner == old.owner && part.line == old.line;
        let sum = |parts: &[PartRow], of: fn(&PartRow) -> i128| -> i128 { parts.iter().filter(is_of).map(of).sum() };
        let short = |of: fn(&PartRow) -> i128| i64::try_from((sum(own, of) - sum(&claim.parts, of)).max(0)).unwrap_or(i64::MAX);
        let more = (
            u32::try_from(short(|part| part.portion.units.into())).unwrap_or(u32::MAX),
            short(|part| part.portion.net.minor().into()),
            short(|part| part.portion.tax.minor().into()),
        );
        if more == (0, 0, 0) {
            continue;
        }
        let currency = old.portion.net.currency();
        let more = Portion { units: more.0, net: Money::from_minor(more.1, currency), tax: Money::from_minor(more.2, currency) };
        match claim.parts.iter_mut().find(|part| part.owner == old.owner && part.line == old.line) {
            Some(part) => part.portion = part.portion.plus(more).unwrap_or(part.portion),
            None => claim.parts.push(PartRow { portion: more, ..old.clone() }),
        }
    }
    claim
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
