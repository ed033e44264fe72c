//! Returns whose halves are watched: goods without credit, credit without goods, credit without money.
//!
//! A row is looked at when its time comes and whenever one of its halves is news. It is judged on what the source says, not
//! on what stands at the targets: that something does not stand there is another exception already.

use jiff::Timestamp;
use selvedge_model::{
    AnyRecord, Brand, CreditNote, FlowName, Kind, Problem, Refund, Return,
    credit::halves::{Deadlines, Halves, Missing, Verdict, judge},
};
use selvedge_store::{Result, View, halves::HalvesRow};

use crate::{backoff::after, engine::Engine};

/// Rows looked at in one turn.
const BATCH: usize = 200;
/// How often a return with a half missing is looked at again, should news of it have been missed.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(900);

/// The flows that the halves of returns from one connection take.
struct Ways {
    goods: Option<FlowName>,
    credit: Option<FlowName>,
    refund: Option<FlowName>,
}

impl Engine {
    /// Looks at every return whose time has come; returns how many.
    pub(crate) async fn watch_halves(&self) -> Result<usize> {
        let (brand, now, setup) = (self.brand().clone(), self.now(), self.setup().halves);
        let deadlines =
            Deadlines { goods_within: setup.goods_within, money_within: setup.money_within, refund_within: setup.refund_within };
        let flows: Vec<_> =
            self.flows.iter().map(|flow| (flow.setup.from.clone(), flow.setup.kind, flow.setup.name.clone())).collect();
        let ways = move |row: &HalvesRow| {
            let of = |kind: Kind| {
                flows.iter().find(|(from, of, _)| *from == row.connection && *of == kind).map(|(.., name)| name.clone())
            };
            Ways { goods: of(Kind::Return), credit: of(Kind::CreditNote), refund: of(Kind::Refund) }
        };
        let seen = self
            .store()
            .read(move |view| {
                let mut seen = Vec::new();
                for row in view.halves_due(&brand, now, BATCH)? {
                    let ways = ways(&row);
                    let verdict = look(view, &brand, &row, &ways, &deadlines, now)?;
                    seen.push((row, ways, verdict));
                }
                Ok(seen)
            })
            .await?;
        let count = seen.len();
        if count == 0 {
            return Ok(0);
        }
        let brand = self.brand().clone();
        self.store()
            .write(move |tx| {
                for (row, ways, verdict) in &seen {
                    match verdict {
                        Verdict::Whole => tx.halves_seen(&brand, row, None, None, None)?,
                        Verdict::Waits { until } => tx.halves_seen(&brand, row, None, None, Some(*until))?,
                        Verdict::Broken { missing, money } => {
                            let (flow, problem) = problem(*missing, ways, row);
                            let exception = tx.raise(&brand, &flow, &problem, now)?;
                            tx.halves_seen(&brand, row, Some(exception), *money, Some(after(now, LOOK_AGAIN)))?;
                        }
                    }
                }
                tx.close_empty(&brand, now).map(|_| ())
            })
            .await?;
        Ok(count)
    }
}

fn look(view: &View<'_>, brand: &Brand, row: &HalvesRow, ways: &Ways, deadlines: &Deadlines, now: Timestamp) -> Result<Verdict> {
    // Whoever tells only of goods (a warehouse) is one half by nature: the shop's return is the other.
    if ways.credit.is_none() {
        return Ok(Verdict::Whole);
    }
    let goods: Option<Return> = match view.latest(brand, Kind::Return, &row.key)?.map(|row| row.record) {
        Some(AnyRecord::Return(goods)) => Some(*goods),
        _ => None,
    };
    let credit: Option<CreditNote> = match view.latest(brand, Kind::CreditNote, &row.key)?.map(|row| row.record) {
        Some(AnyRecord::CreditNote(credit)) => Some(*credit),
        _ => None,
    };
    // A source that hands both halves over in one says so there; they are entered apart once the sale is known.
    let goods = goods.or_else(|| credit.as_ref().and_then(|credit| credit.goods.as_deref().cloned()));
    let order =
        credit.as_ref().and_then(|credit| credit.order.clone()).or_else(|| goods.as_ref().and_then(|goods| goods.order.clone()));
    let mut refunds: Vec<Refund> = Vec::new();
    if let Some(order) = &order {
        for record in view.of_order(brand, Kind::Refund, order)? {
            if let AnyRecord::Refund(refund) = record.record
                && refund.credit_note == row.key
            {
                refunds.push(*refund);
            }
        }
    }
    let halves =
        Halves { goods: goods.as_ref(), credit: credit.as_ref(), refunds: &refunds, tells_refunds: ways.refund.is_some() };
    Ok(judge(halves, deadlines, now))
}

fn problem(missing: Missing, ways: &Ways, row: &HalvesRow) -> (FlowName, Problem) {
    let (way, rule, message, remedy) = match missing {
        Missing::Credit => (
            &ways.goods,
            "return.no_credit",
            format!("the goods of return {} were received, and nothing was credited for them in time", row.key),
            "Pay the return back in the shop, or let it go with a reason (an exchange, a warranty case). It closes by itself once the \
             credit is there.",
        ),
        Missing::Goods => (
            &ways.credit,
            "credit.no_goods",
            format!("money was given back for return {}, and its goods have not been received in time", row.key),
            "Ask the customer and the warehouse for the parcel. Receive the return in the shop once it is there, or let it go with a \
             reason (the customer keeps it). It closes by itself once the goods are there.",
        ),
        Missing::Refund => (
            &ways.refund,
            "refund.missing",
            format!("credit {} was issued, and the money did not go back in full in time", row.key),
            "See at the payment provider why the refund failed or is pending, and repeat it in the shop. It closes by itself once the \
             money has gone back.",
        ),
        Missing::CreditOfRefund => (
            &ways.refund,
            "refund.no_credit",
            format!("money went back for {}, which was taken back in the shop", row.key),
            "Make the return again in the shop, or ask for the money back at the provider; then let this go with a reason.",
        ),
    };
    let flow = way.clone().or_else(|| ways.credit.clone()).unwrap_or_default();
    (flow, Problem::new(rule, "", message, remedy).value(row.key.as_str()).cause(row.key.as_str()))
}
