//! Stock: levels of the source, figures of the target, demand in between.
//!
//! A level is a state and not a document: there is one row for the newest, and none of the machinery
//! of revisions. What holds at the end of each call:
//!
//! - An older *as of* never takes the place of a newer one, neither among levels nor among figures.
//! - A figure that was made due while it was being worked out stays due: `version` tells.
//! - A figure is agreed, or has a time at which it is looked at, or an exception owns it, or nobody
//!   keeps it for us; so the figures listed are the sum of these.

mod demand;
mod drifts;
mod figures;
mod flows;
mod levels;
#[cfg(test)]
mod tests;

pub use demand::{DemandRow, Wanted};
pub use drifts::{DriftRow, NewDrift};
pub use figures::{Claim, FigureRow, FigureState, Shown, StockBalance, Terms};
pub use flows::{Freshness, LocationRow, StockFlowRow};
pub use levels::{HeldLevel, LevelRow, Merged, MoveRow};

use selvedge_model::{Brand, FlowName};

/// Which stock flow of which brand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Of {
    /// Whose.
    pub brand: Brand,
    /// Which flow.
    pub flow: FlowName,
}
