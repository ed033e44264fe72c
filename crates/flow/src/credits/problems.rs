//! What keeps a credit or a refund from passing, in words.

use selvedge_model::{
    CreditNote, ExternalId, Money, MoneyError, Problem, RecordKey, Refund,
    credit::{
        link::{self, Candidate},
        settle::Misfit,
        whole::Portion,
    },
    records::{Charge, CreditKind, CreditLine, CreditStatus, Discount},
};

/// How many candidates a person is shown.
pub(super) const CANDIDATES_SHOWN: usize = 4;

/// Something about a credit that no release by itself mends.
pub(super) fn misfit(credit: &CreditNote, path: String, order: &RecordKey, sku: &str, why: &Misfit) -> Problem {
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

pub(super) fn unlinked(credit: &CreditNote, index: usize, missing: u32, candidates: &[Candidate], known_buyer: bool) -> Problem {
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

/// Whether the parts of a credit make the sums that its source states.
pub(super) fn adds_up(credit: &CreditNote) -> Option<Problem> {
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
pub(super) fn goods_kept(credit: &CreditNote) -> Option<Problem> {
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

pub(super) fn no_credit(refund: &Refund) -> Problem {
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

pub(super) fn taken_back(refund: &Refund) -> Problem {
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

pub(super) fn over(refund: &Refund, credit: &CreditNote, left: Money) -> Problem {
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

pub(super) fn reversed(credit: &CreditNote) -> Problem {
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

pub(super) fn several_orders(credit: &CreditNote, orders: &[RecordKey]) -> Problem {
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

pub(super) fn order_unknown(credit: &CreditNote, order: &RecordKey) -> Problem {
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

pub(super) fn line_unknown(credit: &CreditNote, index: usize, order: &RecordKey, line: &ExternalId) -> Problem {
    Problem::new(
        "credit.line_unknown",
        format!("lines[{index}]"),
        format!("credit {} gives line {line} of order {order} back, which the order does not have", credit.number),
        "Look at both at their source. If the order was changed since, its next revision brings the line; then release.",
    )
    .value(line.as_str())
    .cause(credit.key.as_str())
}

pub(super) fn charge_over(credit: &CreditNote, what: &str, order: &RecordKey, part: Portion, left: Portion) -> Problem {
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

pub(super) fn total_over(credit: &CreditNote, order: &RecordKey, given: Portion, left: Portion) -> Problem {
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
