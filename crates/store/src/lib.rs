//! All SQL: what arrived, what is owed, what is proven.
//!
//! One writer thread owns one connection and commits in groups: each [`Store::write`] runs in a
//! savepoint of its own inside the group's transaction, and is answered only when the group is on
//! disk. So many small durable writes cost one sync. Readers have connections of their own.
//!
//! What may follow which state is not decided here but in `selvedge_model::obligation`; a move
//! that the table does not allow is refused with [`StoreError::Move`].

pub mod attempts;
pub mod audit;
pub mod bindings;
pub mod calls;
pub mod captures;
pub mod exceptions;
pub mod intervals;
pub mod mappings;
pub mod obligations;
pub mod records;
pub mod sealed;

use std::path::PathBuf;

use selvedge_model::obligation::{Event, State};

/// What went wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no store that we know.
    #[error("{0:?} is no store: give a path, sqlite://PATH, or sqlite::memory:")]
    Url(String),
    /// The database refuses.
    #[error("the database refuses: {0}")]
    Database(#[from] rusqlite::Error),
    /// The file belongs to a newer version of the product.
    #[error("{path} was written by a newer version (schema {found}, this version knows {known}); run that version, or restore a backup")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A move that the table of moves does not allow: another worker was quicker.
    #[error("{id} is {state:?}; {event:?} cannot happen to it there")]
    Move {
        /// Which obligation.
        id: selvedge_model::ObligationId,
        /// Where it stands.
        state: State,
        /// What was tried.
        event: Event,
    },
    /// A row that must be there is not.
    #[error("there is no {0}")]
    Absent(String),
    /// A stored value that no longer reads.
    #[error("{what} in the store does not read: {why}")]
    Unreadable {
        /// Which value.
        what: String,
        /// Why.
        why: String,
    },
    /// The writer thread is gone.
    #[error("the store is closed")]
    Closed,
}

/// The result of a store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// An open store; cheap to clone.
#[derive(Clone)]
pub struct Store {}

/// A consistent look at the store. All reading methods hang on it.
pub struct View<'a> {
    #[allow(dead_code)]
    connection: &'a rusqlite::Connection,
}

/// A look that may also write; what it writes is durable when [`Store::write`] returns.
pub struct Tx<'a> {
    view: View<'a>,
}

impl<'a> std::ops::Deref for Tx<'a> {
    type Target = View<'a>;
    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl Store {
    /// Opens a store by URL (`sqlite://PATH`, a bare path, or `sqlite::memory:`) and migrates it.
    ///
    /// # Errors
    /// [`StoreError::Url`], [`StoreError::Newer`], [`StoreError::Database`].
    pub async fn open(_url: &str) -> Result<Store> {
        todo!("helper")
    }

    /// Runs `work` in the next group commit and returns once it is on disk. An error undoes
    /// `work` alone, not its neighbours in the group.
    ///
    /// # Errors
    /// Whatever `work` returns; [`StoreError::Closed`].
    pub async fn write<T, F>(&self, _work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    {
        todo!("helper")
    }

    /// Runs `work` on a consistent view.
    ///
    /// # Errors
    /// Whatever `work` returns.
    pub async fn read<T, F>(&self, _work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> Result<T> + Send + 'static,
    {
        todo!("helper")
    }
}
