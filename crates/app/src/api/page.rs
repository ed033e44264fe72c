//! One page of a list that may be long.

use schemars::JsonSchema;
use serde::Serialize;

/// Rows, and where the next page begins.
#[derive(Serialize, JsonSchema)]
pub(super) struct Page<T> {
    /// The rows.
    items: Vec<T>,
    /// What `after` takes to go on; none at the end of the list.
    next: Option<String>,
}

impl<T> Page<T> {
    /// A page.
    pub(super) fn new(items: Vec<T>, next: Option<impl ToString>) -> Self {
        Self { items, next: next.map(|next| next.to_string()) }
    }
}
