//! Both ledgers of an order: what its sources tell, beside what stands at each target.

use std::collections::{BTreeMap, BTreeSet};

use selvedge_model::{
    AnyRecord, Brand, ConnectionName, Kind, RecordKey,
    ledgers::{Document, Ledgers, Open, Placed, Reason, Sides, Whereabout, ledgers},
    obligation::State,
};
use selvedge_store::{Result, View, obligations::ObligationRow, parts::PartsOf};

use super::Ends;

/// The kinds of which an order's ledgers are made, besides the order.
pub(super) const ABOUT_ORDERS: [Kind; 4] = [Kind::Shipment, Kind::Return, Kind::CreditNote, Kind::Refund];

/// Who is on which side: a target of credit notes or refunds keeps amounts, the others that tell of goods, or are told of
/// them, are warehouses.
pub(super) fn sides(ends: &[Ends], shop: &ConnectionName) -> Sides {
    let mut sides = Sides { shop: Some(shop.clone()), ..Sides::default() };
    let books: BTreeSet<&ConnectionName> =
        ends.iter().filter(|ends| matches!(ends.kind, Kind::CreditNote | Kind::Refund)).map(|ends| &ends.to).collect();
    for ends in ends.iter().filter(|ends| ends.kind == Kind::Order || ABOUT_ORDERS.contains(&ends.kind)) {
        if books.contains(&ends.to) {
            sides.books.entry(ends.to.clone()).or_default().insert(ends.kind);
        } else if ends.to == *shop {
            sides.shop_takes.insert(ends.kind);
        }
        for name in [&ends.from, &ends.to].into_iter().filter(|name| *name != shop && !books.contains(name)) {
            if matches!(ends.kind, Kind::Order | Kind::Shipment | Kind::Return) {
                sides.warehouses.entry(name.clone()).or_default().insert(ends.kind);
            }
        }
    }
    sides
}

/// What is about an order: what its sources say is of it, and what the gate has found to give parts of it back.
pub(super) fn records_of(view: &View<'_>, brand: &Brand, ends: &[Ends], number: &RecordKey) -> Result<Vec<(Kind, RecordKey)>> {
    let mut records: Vec<(Kind, RecordKey)> = Vec::new();
    for kind in ABOUT_ORDERS {
        records.extend(view.of_order(brand, kind, number)?.into_iter().map(|row| (kind, row.record.key())));
        for key in claimants(view, brand, ends, kind, number)? {
            if !records.contains(&(kind, key.clone())) {
                records.push((kind, key));
            }
        }
    }
    let credits: Vec<RecordKey> =
        records.iter().filter(|(kind, _)| *kind == Kind::CreditNote).map(|(_, key)| key.clone()).collect();
    for credit in credits {
        for key in claimants(view, brand, ends, Kind::Refund, &credit)? {
            if !records.contains(&(Kind::Refund, key.clone())) {
                records.push((Kind::Refund, key));
            }
        }
    }
    Ok(records)
}

/// The records of a kind that give parts of something back at any target.
pub(super) fn claimants(
    view: &View<'_>,
    brand: &Brand,
    ends: &[Ends],
    kind: Kind,
    owner: &RecordKey,
) -> Result<BTreeSet<RecordKey>> {
    let targets: BTreeSet<&ConnectionName> = ends.iter().filter(|ends| ends.kind == kind).map(|ends| &ends.to).collect();
    let mut keys = BTreeSet::new();
    for at in targets {
        keys.extend(view.claimants(&PartsOf { brand: brand.clone(), at: at.clone(), kind }, owner)?);
    }
    Ok(keys)
}

/// The ledgers; `None` where a sum does not fit.
pub(super) fn of_order(
    view: &View<'_>,
    brand: &Brand,
    ends: &[Ends],
    number: &RecordKey,
    shop: &ConnectionName,
    records: &[(Kind, RecordKey)],
) -> Result<Option<Ledgers>> {
    let mut documents = Vec::new();
    for (kind, key) in [(Kind::Order, number.clone())].iter().chain(records) {
        let Some(row) = view.latest(brand, *kind, key)? else { continue };
        if matches!(row.record, AnyRecord::Unreadable(_)) {
            continue;
        }
        let at = placed(view, ends, &view.obligations_of(brand, *kind, key)?)?;
        documents.push(Document { record: row.record, from: row.connection, at });
    }
    Ok(ledgers(number, &documents, &sides(ends, shop)).ok())
}

/// Where a document stands, target by target. `rows` come by flow, then revision.
fn placed(view: &View<'_>, ends: &[Ends], rows: &[ObligationRow]) -> Result<Vec<Placed>> {
    let mut by_flow: BTreeMap<&str, Vec<&ObligationRow>> = BTreeMap::new();
    for row in rows {
        by_flow.entry(row.flow.as_str()).or_default().push(row);
    }
    let mut all = Vec::new();
    for (flow, rows) in by_flow {
        let Some(ends) = ends.iter().find(|ends| ends.flow.as_str() == flow) else { continue };
        let confirmed = rows.iter().rev().find(|row| row.state == State::Confirmed);
        let stands = confirmed.map(|row| view.owed(row)).transpose()?;
        let open = rows.last().filter(|row| row.state != State::Confirmed).map(|row| Open {
            state: row.state,
            exception: row.exception,
            note: row.note.clone(),
        });
        all.push(Placed { to: ends.to.clone(), stands, open });
    }
    Ok(all)
}

/// A kind as people call it.
pub const fn document(kind: Kind) -> &'static str {
    match kind {
        Kind::Order => "order",
        Kind::Customer => "customer",
        Kind::Stock => "stock",
        Kind::Product => "product",
        Kind::Shipment => "shipment",
        Kind::Return => "return",
        Kind::CreditNote => "credit note",
        Kind::Refund => "refund",
    }
}

/// What became of a document, after "it".
pub fn became(reason: &Reason) -> String {
    let at = &reason.at;
    let note = reason.note.as_deref().filter(|note| !note.is_empty());
    let because = |words: String| note.map_or_else(|| words.clone(), |note| format!("{words}: {note}"));
    match reason.is {
        Whereabout::InFlight => {
            note.map_or_else(|| format!("is on its way to {at}"), |note| format!("is on its way to {at} ({note})"))
        }
        Whereabout::Held => format!("is held on its way to {at}"),
        Whereabout::LeftOut => because(format!("is kept out of {at} by rule")),
        Whereabout::LetGo => because(format!("was let go and does not go to {at}")),
        Whereabout::Differs => format!("stands at {at} with other figures"),
        Whereabout::Missing => format!("is missing at {at}, and nothing is on its way"),
        Whereabout::NoFlow => format!("goes nowhere: no flow brings such documents to {at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(flow: &str, kind: Kind, from: &str, to: &str) -> Ends {
        Ends { flow: flow.into(), kind, from: from.into(), to: to.into(), mode: Default::default() }
    }

    #[test]
    fn who_takes_credits_keeps_amounts_and_the_others_are_warehouses() {
        let all = [
            ends("orders", Kind::Order, "shop", "books"),
            ends("picks", Kind::Order, "shop", "shelf"),
            ends("parcels", Kind::Shipment, "shelf", "shop"),
            ends("credits", Kind::CreditNote, "desk", "books"),
            ends("items", Kind::Product, "shop", "books"),
        ];
        let sides = sides(&all, &"shop".into());
        assert_eq!(sides.books, BTreeMap::from([("books".into(), [Kind::Order, Kind::CreditNote].into())]));
        assert_eq!(sides.warehouses, BTreeMap::from([("shelf".into(), [Kind::Order, Kind::Shipment].into())]));
        assert_eq!(sides.shop_takes, [Kind::Shipment].into());
    }
}
