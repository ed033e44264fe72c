//! Returns: the goods' half and the money's half of each, and what is held of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_model::{
    AnyRecord, Brand, ConnectionName, CreditNote, ExceptionId, Kind, Money, RecordId, RecordKey, Refund, Return, Sku,
    records::{CreditReason, CreditStatus, Disposition, PaymentStatus, ReturnStatus, Tender},
};
use selvedge_store::{
    Result, Store, View,
    records::{Listed, RecordLine, RecordRow},
};
use serde::Serialize;

use super::{Ends, ExceptionView, ObligationView, Standing, ledgers::claimants, orders::obligation};

/// How many lines a list of returns has at most.
pub const RETURNS_MAX: usize = 500;

/// Which of the two halves of a return are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Halves {
    /// The goods came back and their money was paid back; or it is about money alone, and that was paid back.
    Both,
    /// The goods came back, their money was not (all) paid back.
    GoodsOnly,
    /// The money was paid back, the goods did not come.
    MoneyOnly,
    /// Neither.
    Neither,
    /// It was taken back.
    Void,
}

impl Halves {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Halves::Both => "complete",
            Halves::GoodsOnly => "money is missing",
            Halves::MoneyOnly => "goods are missing",
            Halves::Neither => "on its way",
            Halves::Void => "taken back",
        }
    }
}

/// Goods of a return, as one system tells of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GoodsHalf {
    /// Our key.
    pub key: RecordKey,
    /// Who tells of them.
    pub connection: ConnectionName,
    /// Where they are.
    pub status: ReturnStatus,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Items and units.
    pub units: Vec<(Sku, u32)>,
    /// Where that stands, flow by flow.
    pub told: Vec<Standing>,
}

/// A transaction by which money went back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RefundView {
    /// Our key.
    pub key: RecordKey,
    /// In what.
    pub tender: Tender,
    /// How much.
    pub amount: Money,
    /// Whether it happened.
    pub status: PaymentStatus,
    /// The payment provider's transaction id.
    pub reference: Option<String>,
    /// Where that stands, flow by flow.
    pub told: Vec<Standing>,
}

/// The money of a return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MoneyHalf {
    /// What people call the credit note.
    pub number: String,
    /// Where it stands.
    pub status: CreditStatus,
    /// Why it is given back.
    pub reason: CreditReason,
    /// How much is given back, with its tax.
    pub amount: Money,
    /// Where the credit note stands, flow by flow.
    pub told: Vec<Standing>,
    /// How it was paid back.
    pub refunds: Vec<RefundView>,
}

/// A line of a list of returns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReturnLine {
    /// Our key: the credit note's, that of the goods where there is none.
    pub key: RecordKey,
    /// The orders that it is of, as far as they are known.
    pub orders: Vec<RecordKey>,
    /// Who tells of it.
    pub from: ConnectionName,
    /// When its newest revision arrived.
    pub received_at: Timestamp,
    /// Which halves are there.
    pub halves: Halves,
    /// The goods, as each system tells of them; empty where none come back or none are known of.
    pub goods: Vec<GoodsHalf>,
    /// The money; `None` while no credit note is known.
    pub money: Option<MoneyHalf>,
    /// The exceptions that hold any of it.
    pub exceptions: Vec<ExceptionId>,
}

/// Everything about one return.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReturnStory {
    /// The two halves.
    #[serde(flatten)]
    pub line: ReturnLine,
    /// The credit note as its source tells it.
    pub credit_note: Option<CreditNote>,
    /// What is owed for it, flow by flow, oldest revision first.
    pub obligations: Vec<ObligationView>,
    /// The exceptions that hold any of it.
    pub held: Vec<ExceptionView>,
}

/// The newest returns and credit notes with `search` in an order's number, an item, a buyer or a transaction of the payment
/// provider (empty = all); at most [`RETURNS_MAX`].
///
/// With `before`, those that are older than this record; and where the next page begins, if there may be more. A search that both
/// halves of a return fit may find it on two pages.
///
/// # Errors
/// The store's.
pub async fn returns(
    store: &Store,
    brand: &Brand,
    ends: &[Ends],
    search: &str,
    before: Option<RecordId>,
    limit: usize,
) -> Result<(Vec<ReturnLine>, Option<RecordId>)> {
    let (brand, ends, search) = (brand.clone(), ends.to_vec(), search.trim().to_owned());
    store
        .read(move |view| {
            let limit = limit.clamp(1, RETURNS_MAX);
            let mut keys: Vec<(RecordId, RecordKey)> = Vec::new();
            // What is older than this was not read of every kind yet.
            let mut known_from: Option<RecordId> = None;
            let mut listed = |kind: Kind| -> Result<Vec<RecordLine>> {
                let Listed { lines, next } = view.records_before(&brand, kind, &search, before, limit)?;
                known_from = known_from.max(next);
                Ok(lines)
            };
            for kind in [Kind::CreditNote, Kind::Return] {
                keys.extend(listed(kind)?.into_iter().map(|line| (line.id, line.key)));
            }
            // A transaction is found by its reference, and leads to its credit note.
            for line in if search.is_empty() { Vec::new() } else { listed(Kind::Refund)? } {
                if let Some(AnyRecord::Refund(refund)) = view.latest(&brand, Kind::Refund, &line.key)?.map(|row| row.record) {
                    keys.push((line.id, refund.credit_note));
                }
            }
            // What names no order is of the order that the gate has found for it.
            for kind in if search.is_empty() { Vec::new() } else { vec![Kind::CreditNote, Kind::Return] } {
                for key in claimants(view, &brand, &ends, kind, &RecordKey::new(&search))? {
                    let found = view.latest(&brand, kind, &key)?.map(|row| row.id);
                    keys.extend(found.filter(|id| before.is_none_or(|before| *id < before)).map(|id| (id, key)));
                }
            }
            keys.retain(|(id, _)| known_from.is_none_or(|from| *id >= from));
            keys.sort_by(|one, other| other.cmp(one));
            let mut next = known_from;
            let (mut lines, mut seen): (Vec<ReturnLine>, BTreeSet<RecordKey>) = (Vec::new(), BTreeSet::new());
            for (id, key) in keys {
                if seen.contains(&key) {
                    continue;
                }
                let Some(known) = whole(view, &brand, &ends, &key)? else { continue };
                if search.is_empty() && shown_before(view, &brand, &known, before)? {
                    continue;
                }
                if lines.len() == limit {
                    next = Some(RecordId(id.0 + 1));
                    break;
                }
                if seen.insert(known.line.key.clone()) {
                    seen.extend(known.line.goods.iter().map(|half| half.key.clone()));
                    lines.push(known.line);
                }
            }
            Ok((lines, next))
        })
        .await
}

/// Whether the newer half of a return stands on a page before.
fn shown_before(view: &View<'_>, brand: &Brand, whole: &Whole, before: Option<RecordId>) -> Result<bool> {
    let Some(before) = before else { return Ok(false) };
    for (kind, key) in whole.records.iter().filter(|(kind, _)| matches!(kind, Kind::CreditNote | Kind::Return)) {
        if view.latest(brand, *kind, key)?.is_some_and(|row| row.id >= before) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Everything about the return, or the credit note, with this key; `None` when there is no such one.
///
/// # Errors
/// The store's.
pub async fn return_story(store: &Store, brand: &Brand, ends: &[Ends], key: &RecordKey) -> Result<Option<ReturnStory>> {
    let (brand, ends, key) = (brand.clone(), ends.to_vec(), key.clone());
    store
        .read(move |view| {
            let Some(whole) = whole(view, &brand, &ends, &key)? else { return Ok(None) };
            let mut obligations = Vec::new();
            for (kind, key) in &whole.records {
                for row in view.obligations_of(&brand, *kind, key)? {
                    obligations.push(obligation(view, row)?);
                }
            }
            let held =
                whole.line.exceptions.iter().map(|id| view.exception(*id).map(ExceptionView::from)).collect::<Result<_>>()?;
            Ok(Some(ReturnStory { line: whole.line, credit_note: whole.credit, obligations, held }))
        })
        .await
}

/// One return with all that belongs to it.
struct Whole {
    line: ReturnLine,
    credit: Option<CreditNote>,
    /// What it is made of.
    records: Vec<(Kind, RecordKey)>,
}

/// Where a record stands in each flow that wants it now, and the exceptions that hold it.
fn told(
    view: &View<'_>,
    brand: &Brand,
    ends: &[Ends],
    kind: Kind,
    key: &RecordKey,
    held: &mut BTreeSet<ExceptionId>,
) -> Result<Vec<Standing>> {
    let mut all = Vec::new();
    for ends in ends.iter().filter(|ends| ends.kind == kind) {
        if let Some(row) = view.obligation_latest(brand, &ends.flow, key)? {
            held.extend(row.exception);
            all.push(Standing { flow: row.flow, state: row.state });
        }
    }
    Ok(all)
}

fn returned(row: RecordRow) -> Option<(ConnectionName, Timestamp, Return)> {
    match row.record {
        AnyRecord::Return(returned) => Some((row.connection, row.received_at, *returned)),
        _ => None,
    }
}

/// The orders that the gate has linked a credit note to, in the form that it made ready.
fn linked(view: &View<'_>, brand: &Brand, key: &RecordKey) -> Result<Vec<RecordKey>> {
    let mut orders: Vec<RecordKey> = Vec::new();
    for row in view.obligations_of(brand, Kind::CreditNote, key)?.iter().rev() {
        if let Some(AnyRecord::CreditNote(ready)) = view.prepared(row.id)? {
            for part in ready.lines.iter().flat_map(|line| &line.sold) {
                if !orders.contains(&part.order) {
                    orders.push(part.order.clone());
                }
            }
            break;
        }
    }
    Ok(orders)
}

fn whole(view: &View<'_>, brand: &Brand, ends: &[Ends], key: &RecordKey) -> Result<Option<Whole>> {
    let goods_there = view.latest(brand, Kind::Return, key)?.and_then(returned);
    let mut credit = credit_of(view, brand, key)?;
    // A warehouse's receipt belongs to the credit note of the shop's return that it answers.
    if credit.is_none()
        && let Some((_, _, goods)) = &goods_there
    {
        let answered = goods.counterpart.clone().map(|key| credit_of(view, brand, &key)).transpose()?.flatten();
        credit = match answered {
            Some(found) => Some(found),
            None => made_from(view, brand, goods)?.map(|key| credit_of(view, brand, &key)).transpose()?.flatten(),
        };
    }
    let mut orders: Vec<RecordKey> = Vec::new();
    let mut keys: Vec<RecordKey> = vec![key.clone()];
    if let Some((_, _, credit)) = &credit {
        orders.extend(credit.order.clone());
        keys.extend(credit.of_return.clone());
        keys.push(credit.key.clone());
        for order in linked(view, brand, &credit.key)? {
            if !orders.contains(&order) {
                orders.push(order);
            }
        }
    }
    if let Some((_, _, goods)) = &goods_there {
        orders.extend(goods.order.clone().filter(|order| !orders.contains(order)));
    }
    let mut found: BTreeMap<RecordKey, (ConnectionName, Timestamp, Return)> = BTreeMap::new();
    for order in &orders {
        let all: Vec<_> = view.of_order(brand, Kind::Return, order)?.into_iter().filter_map(returned).collect();
        for one in all {
            let related = keys.contains(&one.2.key) || one.2.counterpart.as_ref().is_some_and(|other| keys.contains(other));
            if related {
                keys.extend(one.2.counterpart.clone());
                found.insert(one.2.key.clone(), one);
            }
        }
    }
    for key in &keys {
        if !found.contains_key(key)
            && let Some(one) = view.latest(brand, Kind::Return, key)?.and_then(returned)
        {
            found.insert(key.clone(), one);
        }
    }
    let mut held = BTreeSet::new();
    let mut records: Vec<(Kind, RecordKey)> = Vec::new();
    let mut goods = Vec::new();
    let mut newest: Option<(Timestamp, ConnectionName)> = None;
    let mut seen = |at: Timestamp, from: &ConnectionName| {
        if newest.as_ref().is_none_or(|(known, _)| *known < at) {
            newest = Some((at, from.clone()));
        }
    };
    for (key, (connection, at, one)) in found {
        seen(at, &connection);
        held.extend(view.half_missing(brand, &connection, &key)?);
        let told = told(view, brand, ends, Kind::Return, &key, &mut held)?;
        records.push((Kind::Return, key));
        goods.push(half(&one, connection, told));
    }
    let mut money = None;
    if let Some((connection, at, credit)) = &credit {
        seen(*at, connection);
        held.extend(view.half_missing(brand, connection, &credit.key)?);
        if let Some(brought) = credit.goods.as_deref().filter(|brought| goods.iter().all(|half| half.key != brought.key)) {
            // They stand where their credit note stands.
            let told = told(view, brand, ends, Kind::CreditNote, &credit.key, &mut held)?;
            goods.push(half(brought, connection.clone(), told));
        }
        let mut refunds = Vec::new();
        let mut rows = Vec::new();
        for order in &orders {
            rows.extend(view.of_order(brand, Kind::Refund, order)?);
        }
        for key in claimants(view, brand, ends, Kind::Refund, &credit.key)? {
            rows.extend(view.latest(brand, Kind::Refund, &key)?);
        }
        for row in rows {
            let AnyRecord::Refund(refund) = row.record else { continue };
            if refund.credit_note == credit.key && refunds.iter().all(|known: &RefundView| known.key != refund.key) {
                seen(row.received_at, &row.connection);
                let told = told(view, brand, ends, Kind::Refund, &refund.key, &mut held)?;
                records.push((Kind::Refund, refund.key.clone()));
                refunds.push(paid(*refund, told));
            }
        }
        let told = told(view, brand, ends, Kind::CreditNote, &credit.key, &mut held)?;
        records.push((Kind::CreditNote, credit.key.clone()));
        let (number, amount) = (credit.number.clone(), credit.totals.gross);
        money = Some(MoneyHalf { number, status: credit.status, reason: credit.reason, amount, told, refunds });
    }
    let Some((received_at, newest_from)) = newest else { return Ok(None) };
    let (key, from) = match &credit {
        Some((connection, _, credit)) => (credit.key.clone(), connection.clone()),
        None => (key.clone(), newest_from),
    };
    let tells_refunds = ends.iter().any(|ends| ends.kind == Kind::Refund && ends.from == from);
    let halves = halves(&goods, money.as_ref(), tells_refunds);
    let line = ReturnLine { key, orders, from, received_at, halves, goods, money, exceptions: held.into_iter().collect() };
    Ok(Some(Whole { line, credit: credit.map(|(_, _, credit)| credit), records }))
}

type FoundCredit = (ConnectionName, Timestamp, CreditNote);

fn credit_of(view: &View<'_>, brand: &Brand, key: &RecordKey) -> Result<Option<FoundCredit>> {
    Ok(view.latest(brand, Kind::CreditNote, key)?.and_then(|row| match row.record {
        AnyRecord::CreditNote(credit) => Some((row.connection, row.received_at, *credit)),
        _ => None,
    }))
}

/// The return in another system that was made from this one.
fn made_from(view: &View<'_>, brand: &Brand, goods: &Return) -> Result<Option<RecordKey>> {
    let Some(order) = &goods.order else { return Ok(None) };
    let all = view.of_order(brand, Kind::Return, order)?.into_iter().filter_map(returned);
    Ok(all.map(|(_, _, one)| one).find(|one| one.counterpart.as_ref() == Some(&goods.key)).map(|one| one.key))
}

fn half(one: &Return, connection: ConnectionName, told: Vec<Standing>) -> GoodsHalf {
    GoodsHalf {
        key: one.key.clone(),
        connection,
        status: one.status,
        disposition: one.disposition,
        units: one.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect(),
        told,
    }
}

fn paid(refund: Refund, told: Vec<Standing>) -> RefundView {
    let Refund { key, tender, amount, status, reference, .. } = refund;
    RefundView { key, tender, amount, status, reference, told }
}

/// Which halves are there. Where the source of the credit note tells no transactions, an issued one counts as paid back.
fn halves(goods: &[GoodsHalf], money: Option<&MoneyHalf>, tells_refunds: bool) -> Halves {
    let came = goods.iter().any(|half| half.status == ReturnStatus::Received);
    let gone = goods.iter().all(|half| half.status == ReturnStatus::Cancelled);
    let Some(money) = money else {
        return match (came, gone) {
            (true, _) => Halves::GoodsOnly,
            (false, true) => Halves::Void,
            (false, false) => Halves::Neither,
        };
    };
    if money.status == CreditStatus::Void {
        return if came { Halves::GoodsOnly } else { Halves::Void };
    }
    let done = money.refunds.iter().filter(|refund| refund.status == PaymentStatus::Success).map(|refund| refund.amount);
    let back = Money::sum(money.amount.currency(), done);
    let paid = money.status == CreditStatus::Issued
        && ((money.refunds.is_empty() && !tells_refunds) || back.is_ok_and(|back| back.minor() >= money.amount.minor()));
    // No goods come back for goodwill, nor for what never left.
    let expected = money.reason == CreditReason::Return;
    match (came || !expected, paid) {
        (true, true) => Halves::Both,
        (true, false) if came => Halves::GoodsOnly,
        (true, false) => Halves::Neither,
        (false, true) => Halves::MoneyOnly,
        (false, false) => Halves::Neither,
    }
}

#[cfg(test)]
mod tests {
    use selvedge_model::Currency;

    use super::*;

    #[test]
    fn one_half_without_the_other_is_said_so() {
        let eur = |minor| Money::from_minor(minor, Currency::from_code("EUR").unwrap());
        let goods = |status| GoodsHalf {
            key: "1.shop.1".into(),
            connection: "shop".into(),
            status,
            disposition: Disposition::Restock,
            units: Vec::new(),
            told: Vec::new(),
        };
        let refund = |amount, status| RefundView {
            key: "1.shop.2".into(),
            tender: Tender::Payment,
            amount: eur(amount),
            status,
            reference: None,
            told: Vec::new(),
        };
        let money = |status, reason, refunds: &[RefundView]| MoneyHalf {
            number: "1-1".to_owned(),
            status,
            reason,
            amount: eur(500),
            told: Vec::new(),
            refunds: refunds.to_vec(),
        };
        use {CreditReason as Why, CreditStatus as Is, PaymentStatus as Paid, ReturnStatus as At};
        for (goods, money, expected) in [
            (vec![goods(At::Received)], Some(money(Is::Issued, Why::Return, &[refund(500, Paid::Success)])), Halves::Both),
            (vec![goods(At::Received)], Some(money(Is::Issued, Why::Return, &[refund(200, Paid::Success)])), Halves::GoodsOnly),
            (vec![goods(At::Received)], Some(money(Is::Issued, Why::Return, &[refund(500, Paid::Failed)])), Halves::GoodsOnly),
            (vec![goods(At::Received)], Some(money(Is::Open, Why::Return, &[])), Halves::GoodsOnly),
            (vec![goods(At::Received)], None, Halves::GoodsOnly),
            (vec![goods(At::Announced)], Some(money(Is::Issued, Why::Return, &[refund(500, Paid::Success)])), Halves::MoneyOnly),
            (vec![], Some(money(Is::Issued, Why::Return, &[])), Halves::Neither),
            (vec![], Some(money(Is::Issued, Why::Goodwill, &[refund(500, Paid::Success)])), Halves::Both),
            (vec![], Some(money(Is::Issued, Why::Goodwill, &[refund(500, Paid::Pending)])), Halves::Neither),
            (vec![goods(At::Announced)], Some(money(Is::Open, Why::Return, &[])), Halves::Neither),
            (vec![goods(At::Announced)], None, Halves::Neither),
            (vec![goods(At::Cancelled)], None, Halves::Void),
            (vec![goods(At::Cancelled)], Some(money(Is::Void, Why::Return, &[])), Halves::Void),
        ] {
            assert_eq!(halves(&goods, money.as_ref(), true), expected, "{goods:?} {money:?}");
        }
        // A desk that hands over credit notes alone says with each that it is paid.
        let alone = money(Is::Issued, Why::Return, &[]);
        assert_eq!(halves(&[goods(At::Received)], Some(&alone), false), Halves::Both);
        assert_eq!(halves(&[goods(At::Received)], Some(&alone), true), Halves::GoodsOnly);
        assert_eq!(halves(&[], Some(&alone), false), Halves::MoneyOnly);
    }
}
