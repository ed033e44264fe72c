//! Where the rows of a close come from: the one border to reconciliation.

use selvedge_model::{
    Interval,
    close::{Entity, Period},
};
use selvedge_store::Store;

use crate::{
    commands::{
        About,
        out::{Failure, failed},
    },
    config::Config,
};

pub use crate::pack::seal::Input;

/// Everything that was reconciled of one period of one entity: the rows as a stream, and beside them what was enumerated at
/// both ends and the statements that were read, both counted where they were read and not from the rows.
///
/// The rows are those whose `at` lies within `bounds` and that [`Entity::holds`], each document of either side in exactly one of
/// them. They are asked for once, in order, off the async threads; an iterator that waits may block.
///
/// # Errors
/// The period has not been reconciled, or what was found cannot be read.
pub async fn rows(
    _about: &About,
    config: &Config,
    _store: &Store,
    entity: &Entity,
    period: Period,
    _bounds: Interval,
) -> Result<Input, Failure> {
    Err(failed(
        format!("{period} of {} ({}) has not been reconciled", entity.name, config.brand),
        "Without rows there is nothing to show or to sign.",
        "Reconcile the period first.",
    ))
}
