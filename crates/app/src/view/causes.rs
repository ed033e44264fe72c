//! The list by root cause: the same cause in several flows of one connection is one group, wherever its exceptions rank.

use std::cmp::Reverse;

use jiff::Timestamp;
use selvedge_model::{
    Brand, ExceptionId,
    impact::{Deadline, Radius},
};
use selvedge_store::{
    Result, Store, View,
    desk::{Shelf, add},
    exceptions::ExceptionRow,
};

use super::{
    Ends, ExceptionView, connection_of,
    desk::{Asked, DeskView},
    exceptions::BehindView,
};

/// Exceptions of one root cause at one connection: the same cause in several flows. Its sums are of all of them on the shelf, those
/// on other pages and those that nobody asked for included; whoever waits in two flows counts in each.
#[derive(Clone, Debug)]
pub struct ExceptionGroup {
    /// The connection that the flows lead to, or that it is about; empty when no flow of that name is configured any more.
    pub connection: String,
    /// How many records they hold together.
    pub count: u64,
    /// How much money they hold together, an amount per currency.
    pub money: Vec<String>,
    /// People behind what they hold.
    pub customers: u64,
    /// What waits behind them or differs, together, where they hold nothing.
    pub behind: Option<BehindView>,
    /// The nearest of their deadlines.
    pub deadline: Option<Deadline>,
    /// When the first of them was first met.
    pub first_seen_at: Timestamp,
    /// When one of them was last met.
    pub last_seen_at: Timestamp,
    /// The one of them that was told of further up the list, with all of this; none where the list tells of it here.
    pub further_up: Option<ExceptionId>,
    /// The exceptions: the first that was asked for, then the others as the shelf orders them.
    pub exceptions: Vec<ExceptionView>,
}

/// One page of the list, and the same by root cause. The order stays, and each group stands where its first one stands.
///
/// # Errors
/// The store's.
pub async fn desk_by_cause(
    store: &Store,
    brand: &Brand,
    asked: &Asked,
    ends: &[Ends],
) -> Result<(DeskView, Vec<ExceptionGroup>)> {
    let (brand, asked, ends) = (brand.clone(), asked.clone(), ends.to_vec());
    store
        .read(move |view| {
            let page = view.desk(&brand, &asked.filter, asked.after, asked.limit)?;
            let mut groups: Vec<ExceptionGroup> = Vec::new();
            for row in &page.rows {
                if !groups.iter().any(|group| group.exceptions.iter().any(|one| one.id == row.id)) {
                    groups.push(group_of(view, &brand, &asked, &ends, row, &page.rows)?);
                }
            }
            let exceptions = page.rows.into_iter().map(ExceptionView::from).collect();
            Ok((DeskView { exceptions, next: page.next.map(|cursor| cursor.to_string()) }, groups))
        })
        .await
}

/// The group of one exception of a page.
fn group_of(
    view: &View<'_>,
    brand: &Brand,
    asked: &Asked,
    ends: &[Ends],
    row: &ExceptionRow,
    page: &[ExceptionRow],
) -> Result<ExceptionGroup> {
    let at = |row: &ExceptionRow| connection_of(&row.flow, &row.problem.cause, ends).unwrap_or_default();
    let connection = at(row);
    let mut rows = match asked.filter.shelf {
        // What is closed holds nothing to be added up.
        Shelf::Closed => page.iter().filter(|one| one.problem.cause == row.problem.cause).cloned().collect(),
        Shelf::Open | Shelf::Snoozed => {
            let ids = view.exceptions_by_cause(brand, &row.problem.cause)?;
            ids.into_iter().map(|id| view.exception(id)).collect::<Result<Vec<_>>>()?
        }
    };
    rows.retain(|one| at(one) == connection && (asked.filter.shelf == Shelf::Snoozed) == one.snoozed.is_some());
    match asked.filter.shelf {
        Shelf::Open => rows.sort_by_key(|one| Reverse((one.impact, one.id))),
        Shelf::Snoozed => rows.sort_by_key(|one| (one.snoozed.as_ref().map(|snoozed| snoozed.until), one.id)),
        Shelf::Closed => {}
    }
    // Of those that were asked for, the first leads: that one may stand on a page before this one.
    let leads = rows.iter().find(|one| asked.filter.fits(one)).map_or(row.id, |one| one.id);
    rows.sort_by_key(|one| one.id != row.id);
    let (mut held, mut behind) = (Radius::default(), None::<Radius>);
    for one in &rows {
        held.records = held.records.saturating_add(one.count);
        held.customers = held.customers.saturating_add(one.customers);
        one.money.iter().for_each(|amount| add(&mut held.money, *amount));
        if let Some(waits) = &one.behind {
            let all = behind.get_or_insert_with(Radius::default);
            all.records = all.records.saturating_add(waits.records);
            all.customers = all.customers.saturating_add(waits.customers);
            waits.money.iter().for_each(|amount| add(&mut all.money, *amount));
        }
    }
    Ok(ExceptionGroup {
        connection,
        count: held.records,
        money: held.money.iter().map(ToString::to_string).collect(),
        customers: held.customers,
        behind: behind.map(BehindView::from),
        deadline: rows.iter().filter_map(|one| one.deadline).min(),
        first_seen_at: rows.iter().map(|one| one.first_seen_at).min().unwrap_or(row.first_seen_at),
        last_seen_at: rows.iter().map(|one| one.last_seen_at).max().unwrap_or(row.last_seen_at),
        further_up: Some(leads).filter(|leads| *leads != row.id),
        exceptions: rows.into_iter().map(ExceptionView::from).collect(),
    })
}
