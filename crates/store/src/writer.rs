//! The one writer, and how many small durable writes become one sync.
//!
//! The writer is an operating-system thread that owns a connection. It takes the first job that
//! waits, opens a transaction, runs that job and whatever else waits by then, each in a savepoint
//! of its own, commits, and only then answers. While it commits, the next group gathers by
//! itself; so a lone write is never delayed, and under load one sync serves hundreds.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, ffi};
use tokio::sync::{mpsc, oneshot};

use crate::{Result, StoreError, Tx, View};

/// How many writes share one commit at most.
pub(crate) const GROUP_MAX: usize = 512;
/// How long a group gathers at most; the first in it waits for the last.
const GROUP_TIME_MAX: Duration = Duration::from_millis(50);
/// How often the write lock is asked for, each time as long as the connection's busy timeout.
const LOCK_ATTEMPTS_MAX: u32 = 12;

/// A piece of work with a caller who waits for it.
pub(crate) trait Job: Send {
    /// Does the work and keeps the result; whether it came to a good end.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    /// Tells the caller: the result, or why the group's commit failed.
    fn answer(self: Box<Self>, commit: std::result::Result<(), &rusqlite::Error>);
}

/// A [`Job`] made of a closure and the way back to its caller.
pub(crate) struct Task<T, F> {
    pub(crate) work: Option<F>,
    pub(crate) result: Option<Result<T>>,
    pub(crate) caller: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnOnce(&Tx<'_>) -> Result<T> + Send> Job for Task<T, F> {
    fn run(&mut self, tx: &Tx<'_>) -> bool {
        let Some(work) = self.work.take() else {
            return false;
        };
        let result = unbroken(|| work(tx));
        let good = result.is_ok();
        self.result = Some(result);
        good
    }

    fn answer(self: Box<Self>, commit: std::result::Result<(), &rusqlite::Error>) {
        let result = match (self.result, commit) {
            // Its own error comes first: it would not have been committed anyway.
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(StoreError::Database(copy_of(error))),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        // A caller who went away meanwhile wants no answer.
        let _ = self.caller.send(result);
    }
}

/// Runs `work`; a panic in it breaks this work off and nothing else.
pub(crate) fn unbroken<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let why = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        tracing::error!(why, "work on the store broke off; it was rolled back");
        Err(StoreError::Broke(why))
    })
}

/// Works until the last [`crate::Store`] is gone.
pub(crate) fn run(connection: &Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP_MAX);
    while let Some(first) = jobs.blocking_recv() {
        let done = commit_group(connection, first, &mut jobs, &mut group);
        if let Err(error) = &done {
            tracing::warn!(%error, writes = group.len(), "a group of writes was not committed");
            if !connection.is_autocommit() && execute(connection, "ROLLBACK").is_err() {
                tracing::error!("the store cannot roll back; it stops");
                break;
            }
        }
        for job in group.drain(..) {
            job.answer(done.as_ref().copied());
        }
    }
}

fn commit_group(
    connection: &Connection,
    first: Box<dyn Job>,
    jobs: &mut mpsc::Receiver<Box<dyn Job>>,
    group: &mut Vec<Box<dyn Job>>,
) -> std::result::Result<(), rusqlite::Error> {
    group.push(first);
    begin(connection)?;
    let started = Instant::now();
    let tx = Tx { view: View { connection } };
    let mut ran = 0;
    while let Some(job) = group.get_mut(ran) {
        execute(connection, "SAVEPOINT work")?;
        let good = job.run(&tx);
        if connection.is_autocommit() {
            // Disk full and the like: SQLite has rolled back everything by itself.
            return Err(rolled_back());
        }
        if !good {
            execute(connection, "ROLLBACK TO work")?;
        }
        execute(connection, "RELEASE work")?;
        ran += 1;
        if ran < GROUP_MAX
            && started.elapsed() < GROUP_TIME_MAX
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
    }
    execute(connection, "COMMIT")
}

/// Takes the write lock; another process may hold it for a while.
fn begin(connection: &Connection) -> std::result::Result<(), rusqlite::Error> {
    let mut attempt = 1;
    loop {
        match execute(connection, "BEGIN IMMEDIATE") {
            Err(error) if is_busy(&error) && attempt < LOCK_ATTEMPTS_MAX => {
                attempt += 1;
                tracing::warn!(attempt, "another process is writing to the store; waiting for it");
            }
            done => return done,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn execute(connection: &Connection, sql: &str) -> std::result::Result<(), rusqlite::Error> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

fn rolled_back() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_ABORT_ROLLBACK),
        Some("the whole group of writes was rolled back".to_owned()),
    )
}

/// One failed commit has many callers, and the error cannot be cloned.
fn copy_of(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        other => rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(other.to_string())),
    }
}
