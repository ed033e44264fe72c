//! What a flow in shadow mode found.

use selvedge_model::{Brand, Mode, ObligationId, replay::tally::ShadowTally};
use selvedge_store::{Result, Store, desk::DeskFilter};
use serde::Serialize;

use super::{Ends, ExceptionView};

/// Comparisons read in one look at the store.
const PAGE: usize = 500;
/// Exceptions of a flow that are told, the highest impact first.
const EXCEPTIONS_MAX: usize = 500;

/// What a flow in shadow mode found, of the records that stand compared now.
#[derive(Clone, Debug, Serialize)]
pub struct ShadowView {
    /// The flow.
    pub flow: String,
    /// Whether it writes by now.
    pub mode: Mode,
    /// What stands as it should, what differs, what is missing.
    #[serde(flatten)]
    pub found: ShadowTally,
    /// What its gate would hold, by cause.
    pub held: Vec<ExceptionView>,
}

/// Gathers it, a page at a time.
///
/// # Errors
/// The store's.
pub async fn shadow(store: &Store, brand: &Brand, ends: &Ends, examples_max: usize) -> Result<ShadowView> {
    let (mut found, mut after) = (ShadowTally::default(), Some(ObligationId(0)));
    while let Some(from) = after {
        let (brand, flow, mut so_far) = (brand.clone(), ends.flow.clone(), found);
        (found, after) = store
            .read(move |view| {
                let rows = view.comparisons(&brand, &flow, from, PAGE)?;
                for row in &rows {
                    so_far.add(row.key.as_str(), row.worth, &row.comparison, examples_max);
                }
                Ok((so_far, rows.last().map(|row| row.id)))
            })
            .await?;
    }
    let (asked, flow) = (brand.clone(), ends.flow.clone());
    let of_flow = DeskFilter { flows: Some(vec![flow]), ..DeskFilter::default() };
    let exceptions = store.read(move |view| view.desk(&asked, &of_flow, None, EXCEPTIONS_MAX)).await?;
    let held = exceptions.rows.into_iter().filter(|one| one.count > 0).map(ExceptionView::from).collect();
    Ok(ShadowView { flow: ends.flow.0.clone(), mode: ends.mode, found, held })
}
