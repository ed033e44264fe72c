//! The statement of a connection: from the port that tells it at once, or from its sources, document by document.
//!
//! A source tells the same with more calls: it enumerates what came to be, fetches those documents and decodes them. So every
//! system whose records can be read can be reconciled, and one that tells whole statements costs fewer calls.

use selvedge_model::{Interval, Kind, Problem, Record, gate::Values, statement::Entry};

use crate::{Connection, Cursor, Fault, Priority, Source, StatementPage};

/// Whether anything can be told of this kind.
pub fn tells(connection: &Connection, kind: Kind) -> bool {
    connection.statements.as_ref().is_some_and(|port| port.kinds().contains(&kind))
        || match kind {
            Kind::Order => connection.order_source.is_some(),
            Kind::Shipment => connection.shipment_source.is_some(),
            Kind::Return => connection.return_source.is_some(),
            Kind::CreditNote => connection.credit_note_source.is_some(),
            Kind::Refund => connection.refund_source.is_some(),
            Kind::Customer | Kind::Stock | Kind::Product => false,
        }
}

/// One page of what stands at a connection; `None` where nothing tells it.
///
/// # Errors
/// What the system answered instead.
pub async fn page(
    connection: &Connection,
    kind: Kind,
    interval: &Interval,
    page: Option<&Cursor>,
) -> Result<Option<StatementPage>, Fault> {
    if let Some(port) = connection.statements.as_ref().filter(|port| port.kinds().contains(&kind)) {
        return port.page(kind, interval, page).await.map(Some);
    }
    macro_rules! of {
        ($source:ident) => {
            match &connection.$source {
                Some(source) => documents(source.as_ref(), interval, page, |record| vec![Entry::from(record)]).await.map(Some),
                None => Ok(None),
            }
        };
    }
    match kind {
        Kind::Order => of!(order_source),
        Kind::Shipment => of!(shipment_source),
        Kind::Return => of!(return_source),
        Kind::CreditNote => of!(credit_note_source),
        Kind::Refund => of!(refund_source),
        Kind::Customer | Kind::Stock | Kind::Product => Ok(None),
    }
}

/// One page through a source: what came to be, fetched and decoded.
async fn documents<R: Record>(
    source: &dyn Source<R>,
    interval: &Interval,
    page: Option<&Cursor>,
    entries: impl Fn(&R) -> Vec<Entry>,
) -> Result<StatementPage, Fault> {
    let found = source.enumerate(interval, page).await?;
    let mut told = StatementPage { next: found.next, ..StatementPage::default() };
    let ids: Vec<_> = found.items.into_iter().map(|item| item.id).collect();
    for ids in ids.chunks(source.fetch_max().max(1)) {
        for raw in source.fetch(ids, Priority::Sweeps).await? {
            let decoded = source.decode(&raw, &Values::default());
            match decoded.record {
                Some(record) => told.entries.extend(entries(&record)),
                None => {
                    let why = decoded.problems.into_iter().next();
                    let why = why.unwrap_or_else(|| {
                        Problem::new("statement.unread", "", "the document could not be read", "See the page of its system.")
                    });
                    told.unread.push((raw.id, why));
                }
            }
        }
    }
    Ok(told)
}
