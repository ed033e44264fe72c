//! What came back and what was paid back, as files.

use std::fmt::Write as _;

use crate::data::{Line, mills_fixed};

use super::super::Centra;
use super::super::state::State;
use super::super::stock::Goods;
use super::{Amount, Paid, Returned};

impl Centra {
    /// Every return that was ever made, line by line: `order,return,status,sku,qty,disposition,net,tax,gross`. What is
    /// given back or kept back beside the lines has a row of its own, with the name in brackets and no units, so that the
    /// rows of a return sum to what it gives back. A deleted one gives nothing back; its rows say what it would have.
    pub fn returns_csv(&self) -> String {
        let state = self.0.read();
        let mut out = String::from("order,return,status,sku,qty,disposition,net,tax,gross\n");
        for one in state.returns.ever() {
            rows(&state, one, &mut out);
        }
        out
    }

    /// Every entry by which money went back, or was to: `order,return,entry,tender,reference,amount,status`. A request
    /// and its outcome are two entries of one reference; only the rows with `SUCCESS` moved money.
    pub fn refunds_csv(&self) -> String {
        let state = self.0.read();
        let mut out = String::from("order,return,entry,tender,reference,amount,status\n");
        for paid in state.returns.entries() {
            let digits = state.base(paid.order).currency.digits;
            let returned = paid.returned.map(|id| id.to_string()).unwrap_or_default();
            let (order, amount) = (state.number(paid.order), mills_fixed(paid.amount, digits));
            let _ = writeln!(
                out,
                "{order},{returned},{},{},{},{amount},{}",
                paid.id,
                tender(paid),
                paid.reference,
                if paid.kind == "REFUND_REQUEST" { "REQUESTED" } else { paid.status.as_str() }
            );
        }
        out
    }
}

fn tender(paid: &Paid) -> &'static str {
    match (paid.kind.as_str(), paid.method.as_str()) {
        ("REFUND_GIFT_CARD", _) => "gift_card",
        (_, "store_credit") => "store_credit",
        _ => "payment",
    }
}

fn rows(state: &State, one: &Returned, out: &mut String) {
    let order = state.order(one.made.order).0;
    let status = match (one.deleted, one.completed) {
        (true, _) => "DELETED",
        (false, true) => "COMPLETED",
        (false, false) => "PENDING",
    };
    let disposition = match one.made.goods {
        Goods::Release => "restock",
        Goods::Send(_) => "elsewhere",
        Goods::Remove => "write_off",
    };
    let mut row = |name: &str, units: i32, disposition: &str, amount: Amount, sign: i64| {
        let (net, tax) = if order.tax_included { (amount.0 - amount.1, amount.1) } else { amount };
        let text = |mills: i64| mills_fixed(mills * sign, order.currency.digits);
        let (id, number) = (one.id, order.number);
        let _ =
            writeln!(out, "{number},{id},{status},{name},{units},{disposition},{},{},{}", text(net), text(tax), text(net + tax));
    };
    for back in &one.made.lines {
        let item = order.lines.iter().find(|line: &&Line| line.id == back.line).and_then(|line| line.item);
        let sku = item.and_then(|item| state.catalogue.items().get(item as usize)).map_or("", |item| item.sku.as_str());
        row(sku, back.units, disposition, back.worth, 1);
    }
    let beside = [
        ("(shipping)", one.made.shipping, 1),
        ("(handling)", one.made.handling, 1),
        ("(voucher)", one.made.voucher, -1),
        ("(fee)", one.made.cost, -1),
    ];
    for (name, amount, sign) in beside.into_iter().filter(|(_, amount, _)| *amount != (0, 0)) {
        row(name, 0, "", amount, sign);
    }
}
