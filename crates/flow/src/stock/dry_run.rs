//! What other buffers would change, from what is known now.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use selvedge_model::{
    Sku,
    stock::{availability::Picture, buffer},
};
use selvedge_store::{Result, View, stock::Of};

use super::{
    StockSetup,
    work_out::{Plan, buffer_row, in_places, not_taken_in, reserve, supply},
};

/// Figures worked out at once.
const PAGE: usize = 500;

/// What would change if `proposed` took the place of the buffers of a flow; of figures whose source is not known yet,
/// or does not keep the item, nothing. `lag` is how long an order may be missing from the figures of the source.
///
/// # Errors
/// The store's.
pub fn dry_run(
    view: &View<'_>,
    setup: &StockSetup,
    of: &Of,
    lag: Duration,
    proposed: &[buffer::Rule],
    now: Timestamp,
) -> Result<buffer::DryRun> {
    let plan = Plan::looked_up(view, setup, of, lag, now)?;
    let draws = view.stock_flow(of)?.draws;
    let mut rows = Vec::new();
    for place in plan.feeds.keys() {
        let mut after = String::new();
        loop {
            let page = view.stock_figures(of, place, None, "", &after, PAGE)?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.sku.0);
            let skus: BTreeSet<Sku> = page.iter().map(|figure| figure.sku.clone()).collect();
            let Some(supply) = supply(view, &plan, place, &skus, now)? else { break };
            let (orders, _) = not_taken_in(view, &plan, &draws, place, &supply, now)?;
            let picture = Picture::new(&supply.levels, &supply.kits, supply.as_of);
            for figure in &page {
                let kept = |sku: &Sku, net: i64| reserve(&plan, place, (*sku == figure.sku).then_some(figure), &supply, sku, net);
                if let Some(terms) = picture.terms(&figure.sku, &orders, &kept) {
                    let row = buffer_row(&plan, place, figure, &supply, &figure.sku, terms.net);
                    rows.push(buffer::Row { not_taken_in: terms.not_taken_in, ..row });
                }
            }
        }
    }
    Ok(buffer::dry_run(&plan.buffers, &in_places(proposed, &draws, &plan.feeds), &rows, &plan.prior))
}
