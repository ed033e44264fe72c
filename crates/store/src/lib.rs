//! All SQL: what arrived, what is owed, what is proven.
//!
//! One writer thread owns one connection and commits in groups: each [`Store::write`] runs in a
//! savepoint of its own inside the group's transaction, and is answered only when the group is on
//! disk. So many small durable writes cost one sync. Readers have connections of their own.
//!
//! What may follow which state is not decided here but in `selvedge_model::obligation`; a move
//! that the table does not allow is refused with [`StoreError::Move`].

pub mod about;
pub mod alerts;
pub mod arrivals;
pub mod attempts;
pub mod audit;
pub mod backup;
pub mod bindings;
pub mod calls;
pub mod captures;
pub mod checks;
pub mod closes;
pub mod comparisons;
pub mod desk;
pub mod differences;
pub mod edits;
pub mod events;
pub mod exceptions;
pub mod exchanges;
pub mod feed;
pub mod flows;
pub mod halves;
pub mod idempotency;
pub mod intervals;
#[cfg(test)]
mod laws;
pub mod mappings;
mod migrate;
pub mod obligations;
mod packing;
pub mod parts;
pub mod people;
pub mod preflights;
pub mod privacy;
pub mod products;
pub mod promises;
pub mod reconciliations;
pub mod records;
pub mod releases;
pub mod retention;
mod returned;
pub mod routed;
#[cfg(test)]
mod samples;
pub mod sealed;
mod search;
pub mod statements;
pub mod stock;
pub mod webhooks;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use selvedge_model::obligation::{Event, State};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::writer::{Job, Task};

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
    #[error(
        "{path} was written by a newer version (schema {found}, this version knows {known}); run that version, or restore a backup"
    )]
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
    /// A message that the table of moves does not let go there: another worker was quicker.
    #[error("{0} has moved in the meantime")]
    Moved(String),
    /// Somebody else signed in the meantime: what is to be signed follows a pack that is not the last one any more.
    #[error("{0} was signed by somebody else in the meantime")]
    SignedMeanwhile(String),
    /// What was signed does not change any more.
    #[error("{0} was signed, and does not change any more")]
    Signed(String),
    /// The act takes a second person, and was asked for instead of done.
    #[error("it takes a second person, and was asked for as {0}")]
    NeedsApproval(selvedge_model::ApprovalId),
    /// What was asked for does not wait for a decision any more.
    #[error("{id} is {how}")]
    Decided {
        /// Which.
        id: selvedge_model::ApprovalId,
        /// How it stands.
        how: &'static str,
    },
    /// Whoever asked, or decides, may not.
    #[error("{0}")]
    Forbidden(String),
    /// What was looked at when this was decided stands otherwise now.
    #[error("{0}")]
    Changed(String),
    /// What can be given once is given.
    #[error("{0} is taken")]
    Taken(String),
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
    /// The work given to the store panicked; it was rolled back, its neighbours were not.
    #[error("the work on the store broke off: {0}")]
    Broke(String),
    /// The writer thread is gone.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the file itself is at fault, and not its place: damaged, cut off, or of another program.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            StoreError::Database(error) => matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
            StoreError::Unreadable { .. } => true,
            _ => false,
        }
    }
}

/// The result of a store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// How many writes may wait for the writer; past that, callers wait to hand theirs over.
const WAITING_WRITES_MAX: usize = 2 * writer::GROUP_MAX;
/// How many reads run at once; each costs a connection and its cache.
const READERS: usize = 2;
/// Page caches in KiB, so that memory stays bounded however large the file grows. The file is not
/// mapped into memory for the same reason: mapped pages count as ours.
const WRITER_CACHE_KIB: i64 = 8 * 1024;
const READER_CACHE_KIB: i64 = 4 * 1024;
/// Pages in the write-ahead log before it is folded back: 16 MB, so that a page that changes often
/// is folded once for many changes.
const CHECKPOINT_PAGES: i64 = 4096;
/// The log file is cut back to this size after it was folded.
const LOG_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// How long SQLite itself waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Statements kept prepared per connection; more than this crate has.
const STATEMENTS: usize = 256;

/// An open store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    jobs: mpsc::Sender<Box<dyn Job>>,
    permits: Arc<Semaphore>,
    readers: Mutex<Vec<Connection>>,
    /// Writes left before [`Store::die_after`] strikes; far away unless it was called.
    writes_left: AtomicU64,
    _place: Arc<Place>,
}

/// A consistent look at the store. All reading methods hang on it.
pub struct View<'a> {
    connection: &'a Connection,
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

impl Tx<'_> {
    /// Does work and keeps what it wrote only if its outcome says so; else it is undone, and the outcome tells what would have been.
    ///
    /// # Errors
    /// Whatever `work` returns.
    pub fn keep_if<T>(&self, work: impl FnOnce() -> Result<T>, keep: impl FnOnce(&T) -> bool) -> Result<T> {
        self.connection.execute_batch("SAVEPOINT keep_if")?;
        // After an error the whole write is undone, this part of it included.
        let outcome = work()?;
        if !keep(&outcome) {
            self.connection.execute_batch("ROLLBACK TO keep_if")?;
        }
        self.connection.execute_batch("RELEASE keep_if")?;
        Ok(outcome)
    }
}

impl Store {
    /// Opens a store by URL (`sqlite://PATH`, a bare path, or `sqlite::memory:`) and migrates it.
    /// `sqlite::memory:` is a store of its own that vanishes with its last handle; it lies in a
    /// temporary folder rather than in memory, so that it behaves (and costs) as a real one does.
    ///
    /// # Errors
    /// [`StoreError::Url`], [`StoreError::Newer`], [`StoreError::Database`]; [`StoreError::Unreadable`]
    /// for the database of another program.
    pub async fn open(url: &str) -> Result<Store> {
        let url = url.to_owned();
        tokio::task::spawn_blocking(move || open(&url)).await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `work` in the next group commit and returns once it is on disk. An error undoes
    /// `work` alone, not its neighbours in the group. Once handed over, `work` is done even if
    /// the caller goes away.
    ///
    /// # Errors
    /// Whatever `work` returns; [`StoreError::Database`] when the group could not be committed;
    /// [`StoreError::Broke`] when `work` panicked; [`StoreError::Closed`].
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T> + Send + 'static,
    {
        let left = self
            .inner
            .writes_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(1)))
            .unwrap_or(0);
        if left == 0 {
            return Err(StoreError::Closed);
        }
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Task { work: Some(work), result: None, caller });
        if let Err(full) = self.inner.jobs.try_send(job) {
            // As with reads: a place in the queue must not be given to a caller that is not being polled.
            let (jobs, job) = (self.inner.jobs.clone(), full.into_inner());
            tokio::spawn(async move { jobs.send(job).await });
        }
        let result = answer.await.map_err(|_| StoreError::Closed)?;
        if left == 1 { Err(StoreError::Closed) } else { result }
    }

    /// For crash tests: after so many more writes the store acts as a process that was killed: the
    /// last of them is on disk but its caller never learns it, and none after it happens.
    pub fn die_after(&self, writes: u64) {
        self.inner.writes_left.store(writes.saturating_add(1), Ordering::Relaxed);
    }

    /// Runs `work` on a consistent view.
    ///
    /// # Errors
    /// Whatever `work` returns; [`StoreError::Broke`] when it panicked.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> Result<T> + Send + 'static,
    {
        // In a task of its own: a turn given to a caller that is not being polled just then (one of several
        // futures in one task) would otherwise keep everybody behind it waiting, that task included.
        let store = self.clone();
        let turn = tokio::spawn(async move {
            let permit = Arc::clone(&store.inner.permits).acquire_owned().await.map_err(|_| StoreError::Closed)?;
            let look = move || {
                let result = store.inner.look(work);
                drop(permit);
                result
            };
            tokio::task::spawn_blocking(look).await.map_err(|_| StoreError::Closed)?
        });
        turn.await.map_err(|_| StoreError::Closed)?
    }
}

impl Store {
    /// Folds the write-ahead log back into the file, so that the one file is the whole store. For the
    /// end of a process; while others read or write it does what it can.
    ///
    /// # Errors
    /// The database's.
    pub async fn fold(&self) -> Result<()> {
        let path = self.inner._place.path.clone();
        let fold = move || {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            Ok(())
        };
        tokio::task::spawn_blocking(fold).await.map_err(|_| StoreError::Closed)?
    }
}

impl Inner {
    fn look<T>(&self, work: impl FnOnce(&View<'_>) -> Result<T>) -> Result<T> {
        let idle = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        // There is one for each permit, unless the last read could not be ended.
        let taken = idle().pop();
        let connection = match taken {
            Some(connection) => connection,
            None => reader(&self._place.path)?,
        };
        let result = writer::unbroken(|| {
            connection.prepare_cached("BEGIN")?.execute([])?;
            work(&View { connection: &connection })
        });
        let ended = connection.is_autocommit() || connection.prepare_cached("ROLLBACK").and_then(|mut s| s.execute([])).is_ok();
        let mut idle = idle();
        if ended && idle.len() < READERS {
            idle.push(connection);
        }
        result
    }
}

/// Where the file lies; a temporary one goes when the last who uses it goes.
struct Place {
    path: PathBuf,
    temporary: Option<PathBuf>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(folder) = &self.temporary
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            tracing::debug!(%error, "a temporary store could not be removed");
        }
    }
}

impl Place {
    fn of(url: &str) -> Result<Place> {
        let wrong = || StoreError::Url(url.to_owned());
        if matches!(url, "sqlite::memory:" | ":memory:") {
            let folder = temporary_folder().map_err(|_| wrong())?;
            return Ok(Place { path: folder.join("selvedge.db"), temporary: Some(folder) });
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
        if path.is_empty() || path.contains("://") {
            return Err(wrong());
        }
        Ok(Place { path: PathBuf::from(path), temporary: None })
    }
}

fn temporary_folder() -> std::io::Result<PathBuf> {
    let mut name = [0; 8];
    rand::fill(&mut name);
    let folder = std::env::temp_dir().join(format!("selvedge-{:016x}", u64::from_le_bytes(name)));
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix folders have a mode"))]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder)?;
    Ok(folder)
}

fn open(url: &str) -> Result<Store> {
    let place = Arc::new(Place::of(url)?);
    keep_private(&place.path);
    let writer = connect(&place.path, WRITER_CACHE_KIB)?;
    // Before anything is written to it: a file of another program must stay as it is.
    migrate::migrate(&writer, &place.path)?;
    writer.pragma_update(None, "journal_mode", "wal")?;
    // A temporary store does not outlive its process, so it need not outlive a power cut.
    writer.pragma_update(None, "synchronous", if place.temporary.is_some() { "off" } else { "full" })?;
    writer.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    writer.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    let readers = (0..READERS).map(|_| reader(&place.path)).collect::<Result<Vec<_>>>()?;
    let (jobs, waiting) = mpsc::channel(WAITING_WRITES_MAX);
    let lasting = Arc::clone(&place);
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || {
            writer::run(&writer, waiting);
            // The connection goes before the place does.
            drop(writer);
            drop(lasting);
        })
        .map_err(|_| StoreError::Closed)?;
    let inner = Inner {
        jobs,
        permits: Arc::new(Semaphore::new(READERS)),
        readers: Mutex::new(readers),
        writes_left: AtomicU64::new(u64::MAX),
        _place: place,
    };
    Ok(Store { inner: Arc::new(inner) })
}

/// The file holds names and addresses: nobody else on the machine needs to read it. What cannot be
/// set here, SQLite will complain about itself.
fn keep_private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        drop(made);
    }
    #[cfg(not(unix))]
    let _ = path;
}

fn connect(path: &Path, cache_kib: i64) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    // What a large transaction or a large sort sets aside goes to a file, not into memory.
    connection.pragma_update(None, "temp_store", "file")?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    Ok(connection)
}

/// What every connection is told, whatever it is for.
fn prepare(connection: &Connection) -> Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Else SQLite plans some statements anew whenever a value bound to them changes, to see
    // whether a partial index would serve that value: more work than running them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

fn reader(path: &Path) -> Result<Connection> {
    let connection = connect(path, READER_CACHE_KIB)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{brand, connection, memory, now};

    fn number_of_calls(view: &View<'_>) -> u64 {
        view.calls(&brand()).unwrap().iter().map(|(_, _, count)| count).sum()
    }

    #[tokio::test]
    async fn urls() {
        for url in ["", "sqlite://", "postgres://host/db", "nats://x"] {
            assert!(matches!(Store::open(url).await, Err(StoreError::Url(_))), "{url}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        Store::open(&format!("sqlite://{}", path.display())).await.unwrap();
        assert!(path.exists());
        assert!(matches!(Store::open("/no/such/folder/a.db").await, Err(StoreError::Database(_))));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_store_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        let notes = "not a database, but quite long enough to be looked at as one".repeat(20);
        std::fs::write(&path, &notes).unwrap();
        assert!(matches!(Store::open(path.to_str().unwrap()).await, Err(StoreError::Database(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
    }

    #[tokio::test]
    async fn an_error_undoes_its_own_work_and_no_other() {
        let store = memory().await;
        let writes = (0..40_u64).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(move |tx| {
                        tx.add_calls(&brand(), &connection("shop"), "orders", 1)?;
                        match n % 4 {
                            0 => Err(StoreError::Absent("luck".to_owned())),
                            1 => panic!("a panic that the writer has to survive"),
                            _ => Ok(n),
                        }
                    })
                    .await
            })
        });
        let (mut good, mut failed, mut broke) = (0, 0, 0);
        for write in writes.collect::<Vec<_>>() {
            match write.await.unwrap() {
                Ok(_) => good += 1,
                Err(StoreError::Absent(_)) => failed += 1,
                Err(StoreError::Broke(why)) => {
                    assert!(why.contains("survive"));
                    broke += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((good, failed, broke), (20, 10, 10));
        assert_eq!(store.read(|view| Ok(number_of_calls(view))).await.unwrap(), 20);
    }

    #[tokio::test]
    async fn a_broken_read_leaves_the_reader_usable() {
        let store = memory().await;
        for _ in 0..2 * READERS {
            let broken: Result<()> = store.read(|_| panic!("read")).await;
            assert!(matches!(broken, Err(StoreError::Broke(_))));
        }
        assert_eq!(store.read(|view| Ok(number_of_calls(view))).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_reader_cannot_write_and_sees_one_moment() {
        let store = memory().await;
        let (seen, was_seen) = std::sync::mpsc::channel();
        let (go_on, may_go_on) = std::sync::mpsc::channel();
        let reading = tokio::spawn({
            let store = store.clone();
            async move {
                store
                    .read(move |view| {
                        let before = number_of_calls(view);
                        seen.send(()).unwrap();
                        may_go_on.recv().unwrap();
                        assert!(view.connection.execute("DELETE FROM calls", []).is_err());
                        Ok((before, number_of_calls(view)))
                    })
                    .await
            }
        });
        tokio::task::spawn_blocking(move || was_seen.recv().unwrap()).await.unwrap();
        store.write(|tx| tx.add_calls(&brand(), &connection("shop"), "orders", 3)).await.unwrap();
        go_on.send(()).unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), (0, 0));
        assert_eq!(store.read(|view| Ok(number_of_calls(view))).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_was_answered_is_there_after_the_process_let_go_of_everything() {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("a.db").display().to_string();
        let store = Store::open(&url).await.unwrap();
        let (answered, answers) = std::sync::mpsc::channel();
        for n in 0..200_u64 {
            let (store, answered) = (store.clone(), answered.clone());
            tokio::spawn(async move {
                let purpose = format!("p{n}");
                if store.write(move |tx| tx.add_calls(&brand(), &connection("shop"), &purpose, 1)).await.is_ok() {
                    answered.send(n).unwrap();
                }
            });
        }
        store.write(|tx| tx.add_calls(&brand(), &connection("shop"), "last", 1)).await.unwrap();
        // Nobody waits for the rest, and a second handle opens while the first may still be at work.
        drop(store);
        let known: Vec<u64> = answers.try_iter().collect();
        let again = Store::open(&url).await.unwrap();
        let there = again.read(|view| view.calls(&brand())).await.unwrap();
        assert!(there.iter().any(|(_, purpose, _)| purpose == "last"));
        for n in known {
            assert!(there.iter().any(|(_, purpose, _)| *purpose == format!("p{n}")), "{n}");
        }
    }

    #[tokio::test]
    async fn two_processes_may_write_to_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("a.db").display().to_string();
        let (one, two) = tokio::join!(Store::open(&url), Store::open(&url));
        let (one, two) = (one.unwrap(), two.unwrap());
        let many = |store: Store| async move {
            for _ in 0..50 {
                store.write(|tx| tx.add_calls(&brand(), &connection("shop"), "orders", 1)).await.unwrap();
            }
        };
        tokio::join!(many(one.clone()), many(two));
        assert_eq!(one.read(|view| Ok(number_of_calls(view))).await.unwrap(), 100);
    }

    #[tokio::test]
    async fn a_memory_store_leaves_nothing_behind() {
        let store = memory().await;
        store.write(|tx| tx.audit(&brand(), "me", "test", "it", "", now())).await.unwrap();
        let folder = store.inner._place.temporary.clone().unwrap();
        assert!(folder.exists());
        let place = Arc::downgrade(&store.inner._place);
        drop(store);
        while place.strong_count() > 0 {
            std::thread::yield_now();
        }
        // The count falls to zero just before the folder goes.
        while folder.exists() {
            std::thread::yield_now();
        }
    }
}
