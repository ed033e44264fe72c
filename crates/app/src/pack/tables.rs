//! The files that follow from the rows, line by line, and the evidence.

use selvedge_model::{
    MoneyError,
    close::{CloseRow, Evidence, Line, LineKey, NetTax, Side, Verdict},
};

use super::{
    cells::{line, many, text},
    rows::amount,
};

/// The header of `trial_balance.csv`.
pub const TRIAL_BALANCE_COLUMNS: [&str; 23] = [
    "flow",
    "kind",
    "market",
    "currency",
    "rate",
    "our_rows",
    "our_net",
    "our_tax",
    "their_rows",
    "their_net",
    "their_tax",
    "difference_net",
    "difference_tax",
    "open_net",
    "open_tax",
    "adjusted_net",
    "adjusted_tax",
    "excluded_net",
    "excluded_tax",
    "in_flight_net",
    "in_flight_tax",
    "unexplained_net",
    "unexplained_tax",
];

/// The header of `open_items.csv`.
pub const OPEN_ITEM_COLUMNS: [&str; 16] = [
    "owner",
    "cause",
    "exception",
    "first_seen",
    "flow",
    "kind",
    "key",
    "order",
    "market",
    "at",
    "sources",
    "targets",
    "ours",
    "theirs",
    "explains",
    "note",
];

/// The header of `adjustments.csv`.
pub const ADJUSTMENT_COLUMNS: [&str; 11] =
    ["rule", "flow", "kind", "key", "order", "market", "at", "ours", "theirs", "adjustment", "note"];

/// The header of `evidence.csv`.
pub const EVIDENCE_COLUMNS: [&str; 8] = ["connection", "kind", "from", "to", "read_at", "calls", "entries", "digest"];

/// A line of the trial balance as cells.
///
/// # Errors
/// [`MoneyError::Overflow`].
pub fn trial_balance(key: &LineKey, of: &Line) -> Result<[String; 23], MoneyError> {
    let two = |amount: NetTax| [amount.net.decimal().to_string(), amount.tax.decimal().to_string()];
    let [our_net, our_tax] = two(of.ours);
    let [their_net, their_tax] = two(of.theirs);
    let [difference_net, difference_tax] = two(of.difference()?);
    let [open_net, open_tax] = two(of.open);
    let [adjusted_net, adjusted_tax] = two(of.adjusted);
    let [excluded_net, excluded_tax] = two(of.excluded);
    let [in_flight_net, in_flight_tax] = two(of.in_flight);
    let [unexplained_net, unexplained_tax] = two(of.unexplained);
    Ok([
        text(key.flow.as_str()),
        key.kind.word().to_owned(),
        text(&key.market),
        key.currency.code().to_owned(),
        key.rate.to_string(),
        of.ours_rows.to_string(),
        our_net,
        our_tax,
        of.theirs_rows.to_string(),
        their_net,
        their_tax,
        difference_net,
        difference_tax,
        open_net,
        open_tax,
        adjusted_net,
        adjusted_tax,
        excluded_net,
        excluded_tax,
        in_flight_net,
        in_flight_tax,
        unexplained_net,
        unexplained_tax,
    ])
}

fn gross(side: Option<&Side>) -> String {
    side.and_then(|side| side.gross().ok().flatten()).map(amount).unwrap_or_default()
}

/// The line of an open item; none for any other row.
pub fn open_item(row: &CloseRow) -> Option<[String; 16]> {
    let Verdict::Open(open) = &row.verdict else { return None };
    Some([
        open.owner.as_deref().map(text).unwrap_or_default(),
        text(&open.cause),
        open.exception.map(|id| id.to_string()).unwrap_or_default(),
        open.first_seen.to_string(),
        text(row.flow.as_str()),
        row.kind.word().to_owned(),
        text(row.key.as_str()),
        row.order.as_ref().map(|order| text(order.as_str())).unwrap_or_default(),
        text(&row.market),
        row.at.to_string(),
        many(row.sources.iter().map(|id| id.as_str())),
        many(row.targets.iter().map(|id| id.as_str())),
        gross(row.ours.as_ref()),
        gross(row.theirs.as_ref()),
        open.money.iter().copied().map(amount).collect::<Vec<_>>().join("|"),
        text(&row.note),
    ])
}

/// The line of a difference that a rule accepts; none for any other row.
pub fn adjustment(row: &CloseRow) -> Option<[String; 11]> {
    let Verdict::Agreed(Some(adjustment)) = &row.verdict else { return None };
    Some([
        text(&adjustment.rule),
        text(row.flow.as_str()),
        row.kind.word().to_owned(),
        text(row.key.as_str()),
        row.order.as_ref().map(|order| text(order.as_str())).unwrap_or_default(),
        text(&row.market),
        row.at.to_string(),
        gross(row.ours.as_ref()),
        gross(row.theirs.as_ref()),
        amount(adjustment.money),
        text(&row.note),
    ])
}

/// The line of a statement that was read.
pub fn evidence(evidence: &Evidence) -> String {
    line([
        text(evidence.connection.as_str()),
        evidence.kind.word().to_owned(),
        evidence.window.from.to_string(),
        evidence.window.to.to_string(),
        evidence.read_at.to_string(),
        evidence.calls.to_string(),
        evidence.entries.to_string(),
        text(&evidence.digest),
    ])
}
