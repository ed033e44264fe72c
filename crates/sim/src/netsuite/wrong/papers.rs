//! What goes out and what comes back: fulfilments, receipts, credit memos and refunds that are doubled, gone or too large.

use std::collections::BTreeSet;

use super::super::fixed::{Fixed, Rounding};
use super::super::state::{Kind, Paper, ShipStatus, Tran, What};
use super::Behind;
use crate::wrong::{Dice, Done};

impl Behind<'_> {
    /// What left of the order with one fulfilment leaves a second time.
    pub(crate) fn fulfil_twice(&mut self, number: &str) -> anyhow::Result<Option<Done>> {
        let Some(order) = self.sale(number).cloned() else { return Ok(None) };
        let all = self.state.fulfilments_of(order.id).iter().filter_map(|id| self.state.fulfilments.get(id));
        let Some(first) = all.filter(|it| it.status == ShipStatus::Shipped).min_by_key(|it| it.id).cloned() else {
            return Ok(None);
        };
        let mut second = first.clone();
        second.id = self.state.next_tran();
        second.number = self.state.next_fulfilment();
        second.external = None;
        (second.created, second.modified) = (self.now.as_second(), self.now.as_second());
        let gone = first.lines.iter().filter(|line| line.member_of == 0).map(|line| line.quantity);
        let units = Fixed::sum(gone).unwrap_or_default().text(0);
        let detail = format!("{units} units left once, with {} → twice, with {} as well", first.tran_id(), second.tran_id());
        let done = Done {
            system: "netsuite",
            record: "shipment",
            id: Some(second.id.to_string()),
            detail: format!("{}: {detail}", order.tran_id()),
            ..Done::default()
        };
        let mut shelves = self.shelves_of(&order);
        shelves.extend(second.lines.iter().map(|line| (line.item, line.location)));
        self.quietly(shelves, |state, at| state.put_fulfilment(second, at))?;
        Ok(Some(done))
    }

    /// The credit memos of an order that count, with the authorization each was made from (0 for none).
    fn memos(&self, number: &str) -> Vec<(Tran, u32)> {
        let ids = self.backs.get(number).into_iter().flatten();
        let memos = ids.filter_map(|id| self.state.trans.get(id));
        let memos = memos.filter(|tran| tran.kind == Kind::Credit && tran.status().0 != "V");
        let of = |memo: u32| {
            let from = self.state.trans.get(&memo).map_or(0, |tran| tran.from());
            if self.state.trans.get(&from).is_some_and(|tran| tran.kind == Kind::Return) { from } else { 0 }
        };
        memos.map(|tran| (Tran::clone(tran), of(tran.id))).collect()
    }

    fn receipts_of(&self, authorization: u32) -> Vec<Paper> {
        let of =
            |paper: &&Paper| matches!(&paper.what, What::Receipt { from, .. } if *from == authorization && authorization != 0);
        self.state.papers.values().map(|paper| &**paper).filter(of).cloned().collect()
    }

    fn refunds_of(&self, memo: u32) -> Vec<Paper> {
        let of = |paper: &&Paper| matches!(&paper.what, What::Refund { applied, voided: false, .. } if applied.iter().any(|(doc, _)| *doc == memo));
        self.state.papers.values().map(|paper| &**paper).filter(of).cloned().collect()
    }

    fn delete_papers(&mut self, papers: &[Paper]) -> anyhow::Result<()> {
        let mut shelves = BTreeSet::new();
        for paper in papers {
            if let What::Receipt { lines, .. } = &paper.what {
                shelves.extend(lines.iter().flat_map(|line| line.parts.iter().map(|(part, _)| (*part, line.location))));
            }
        }
        let ids: Vec<u32> = papers.iter().map(|paper| paper.id).collect();
        self.quietly(shelves, |state, at| ids.iter().try_for_each(|id| state.delete_paper(*id, at)))
    }

    /// A memo stands, and what it credits was never received.
    pub(crate) fn forget_goods(&mut self, number: &str) -> anyhow::Result<Option<Done>> {
        for (memo, authorization) in self.memos(number) {
            let receipts = self.receipts_of(authorization);
            if receipts.is_empty() {
                continue;
            }
            let names: Vec<String> = receipts.iter().map(Paper::tran_id).collect();
            let detail = format!("goods received with {} → the receipt is gone, the credit stands", names.join(", "));
            let done = self.done(&memo, detail);
            self.delete_papers(&receipts)?;
            return Ok(done);
        }
        Ok(None)
    }

    /// What was received is credited no more: memo and refunds are gone.
    pub(crate) fn forget_credit(&mut self, number: &str) -> anyhow::Result<Option<Done>> {
        for (memo, authorization) in self.memos(number) {
            if self.receipts_of(authorization).is_empty() {
                continue;
            }
            let refunds = self.refunds_of(memo.id);
            let total = memo.totals().total.text(2);
            let detail =
                format!("credit over {total} with {} refunds → is gone with them, the goods are received", refunds.len());
            let done = self.done(&memo, detail);
            self.delete_papers(&refunds)?;
            let shelves = self.shelves_of(&memo);
            self.quietly(shelves, |state, at| state.delete_tran(memo.id, at))?;
            return Ok(done);
        }
        Ok(None)
    }

    /// A memo credits more of a line than was sold of it.
    pub(crate) fn over_credit(&mut self, number: &str, dice: &mut Dice) -> anyhow::Result<Option<Done>> {
        let sold = self.sale(number).cloned();
        for (mut memo, _) in self.memos(number) {
            let digits = memo.digits();
            let highest = |item: u32| {
                let lines = sold.iter().flat_map(|sale| &sale.lines).filter(|line| line.item == item);
                Fixed::sum(lines.map(|line| line.amount)).unwrap_or_default()
            };
            let Some(at) = memo.lines.iter().position(|line| line.amount > Fixed::ZERO && highest(line.item) > Fixed::ZERO)
            else {
                continue;
            };
            let more = if digits == 0 { dice.between(500, 5_000) * 1_000 } else { dice.between(505, 4_995) * 10 };
            let was = memo.totals().total;
            let Some(line) = memo.lines.get_mut(at) else { continue };
            let whole = highest(line.item).max(line.amount);
            let before = line.amount;
            line.amount = whole.plus(Fixed::mills(more)).unwrap_or(whole);
            line.rate = line.amount.over(line.quantity).unwrap_or(line.rate);
            let (line, amount) = (line.number, line.amount);
            for tax in memo.taxes.iter_mut().filter(|tax| tax.line == line) {
                tax.basis = amount;
                tax.amount = amount.tax(tax.rate, false, digits, Rounding::HalfUp).unwrap_or(tax.amount);
            }
            let (text, total) = (|one: Fixed| one.text(2), memo.totals().total);
            let detail = format!(
                "line {line} credited {} → {}, sold for {}; total {} → {}",
                text(before),
                text(amount),
                text(whole),
                text(was),
                text(total)
            );
            let done = self.done(&memo, detail);
            self.put(memo)?;
            return Ok(done);
        }
        Ok(None)
    }

    /// The money of a memo was not paid back.
    pub(crate) fn forget_refund(&mut self, number: &str) -> anyhow::Result<Option<Done>> {
        for (memo, _) in self.memos(number) {
            let Some(refund) = self.refunds_of(memo.id).pop() else { continue };
            let detail = format!("paid back with {} → it is gone, the credit is open", refund.tran_id());
            let done = self.done(&memo, detail).map(|done| of_refund(done, &refund));
            self.delete_papers(std::slice::from_ref(&refund))?;
            return Ok(done);
        }
        Ok(None)
    }

    /// The money of a memo was paid back twice.
    pub(crate) fn refund_twice(&mut self, number: &str) -> anyhow::Result<Option<Done>> {
        for (memo, _) in self.memos(number) {
            let Some(refund) = self.refunds_of(memo.id).pop() else { continue };
            let mut second = refund.clone();
            second.id = self.state.next_tran();
            second.number = self.state.next_paper();
            second.external = None;
            (second.created, second.modified) = (self.now.as_second(), self.now.as_second());
            let detail = format!("paid back once, with {} → twice, with {} as well", refund.tran_id(), second.tran_id());
            let done = self.done(&memo, detail).map(|done| of_refund(done, &second));
            self.quietly(BTreeSet::new(), |state, at| state.put_paper(Box::new(second), at))?;
            return Ok(done);
        }
        Ok(None)
    }
}

fn of_refund(done: Done, refund: &Paper) -> Done {
    let key = refund.external.as_deref().map(str::to_owned);
    Done { record: "refund", key, id: Some(refund.id.to_string()), ..done }
}
