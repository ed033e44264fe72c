//! The one way to a partner's server: folders, names, running numbers, and what a failed operation means.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use selvedge_connector::{Clock, Effect, Fares, Fault, OpenContext, Priority, SessionStats, Traffic, session::Faring};
use selvedge_model::Problem;
use selvedge_sftp::{Entry, Sftp, SftpFault};

use super::{message::FileKind, settings::Form};

/// The largest file that is read.
pub(super) const FILE_BYTES_MAX: usize = 64 << 20;
/// Running numbers put aside at once: so many are lost when the program ends.
const NUMBERS_AT_ONCE: u32 = 20;
/// A control number has nine digits, and begins anew.
const NUMBER_MAX: u32 = 999_999_999;
/// How often an operation is tried whose answer was lost. All of them share one connection, so one that breaks takes the
/// others with it; and each may be repeated: the same bytes are written once more, and a file that was renamed is gone.
const TRIES: usize = 4;
/// What stays as it is in the name of a file.
const NAMED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.');

/// Names under which something is still being written (fact sheet 2.2).
const UNFINISHED: [&str; 6] = [".tmp", ".part", ".filepart", ".incomplete", ".uploading", "~"];

/// A file of the partner's that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub name: String,
    pub kind: FileKind,
    pub size: u64,
    /// Last change by their clock.
    pub modified: Timestamp,
}

/// A partner's server.
pub(super) struct Exchange {
    sftp: Sftp,
    /// Its name, where nothing may change there.
    read_only: Option<String>,
    pub form: Form,
    pub clock: Arc<dyn Clock>,
    calls: BTreeMap<&'static str, AtomicU64>,
    lost: AtomicU64,
    faring: Faring,
    /// The next running number, and the last of those put aside.
    numbers: tokio::sync::Mutex<Option<(u32, u32)>>,
    /// Size, date and since when, of files that may still grow.
    growing: std::sync::Mutex<BTreeMap<String, (u64, Timestamp, Timestamp)>>,
    /// What the names of archived files end with: hashes of what they hold.
    hashes: std::sync::Mutex<Option<BTreeSet<String>>>,
}

/// What the partner may read of an order's number in the name of a file.
pub(super) fn named(text: &str) -> String {
    utf8_percent_encode(text, NAMED).to_string()
}

/// The order's number in the name of one of our files: `ord_1042_000000007.csv`.
pub(super) fn order_of(file: &str) -> Option<String> {
    let mut parts = file.rsplitn(3, '_');
    let (_number, order) = (parts.next()?, parts.next()?);
    let order = if parts.next().is_some() { order } else { return None };
    percent_decode_str(order).decode_utf8().ok().map(|text| text.into_owned())
}

/// The running number in the name of one of our files.
pub(super) fn number_of(file: &str) -> Option<u32> {
    file.rsplit('_').next()?.split('.').next()?.parse().ok()
}

/// By what files are taken in turn: the numbers in their names, where there are any, else their dates.
fn turn(file: &File) -> (String, Timestamp) {
    let digits: String = file.name.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() >= 6).collect();
    (digits, file.modified)
}

impl Exchange {
    pub fn new(sftp: Sftp, form: Form, context: &OpenContext<'_>) -> Arc<Self> {
        Arc::new(Self {
            sftp,
            read_only: context.read_only.then(|| context.name.to_string()),
            form,
            clock: Arc::clone(&context.clock),
            calls: Priority::ALL.into_iter().map(|priority| (priority.word(), AtomicU64::new(0))).collect(),
            lost: AtomicU64::new(0),
            faring: Faring::default(),
            numbers: tokio::sync::Mutex::new(None),
            growing: std::sync::Mutex::default(),
            hashes: std::sync::Mutex::default(),
        })
    }

    /// What an operation that failed means.
    fn fault(&self, what: &str, effect: Effect, fault: SftpFault) -> Fault {
        let what = what.to_owned();
        // That something is not there, is too large or stands there already is an answer.
        if !matches!(fault, SftpFault::Missing { .. } | SftpFault::TooLarge { .. } | SftpFault::Failed { .. }) {
            self.faring.note_failure(self.clock.now(), format!("{what}: {fault}"));
        }
        match fault {
            SftpFault::Unreached { .. } | SftpFault::Short { .. } => Fault::Transient { what, source: Some(fault.into()) },
            SftpFault::HostKey { .. } | SftpFault::Login { .. } | SftpFault::Denied { .. } => {
                Fault::Unauthorized { what, detail: fault.to_string() }
            }
            SftpFault::Lost { .. } => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                match effect {
                    Effect::Write => Fault::Unanswered { what, source: Some(fault.into()) },
                    _ => Fault::Transient { what, source: Some(fault.into()) },
                }
            }
            SftpFault::Missing { .. } | SftpFault::TooLarge { .. } => {
                let problem = Problem::new(
                    "exchange.folder",
                    "",
                    fault.to_string(),
                    "See that the folders of the config are those of the partner's server: selvedge check.",
                );
                Fault::Refused { what, problems: vec![problem] }
            }
            SftpFault::Failed { .. } => Fault::Unexpected { what, detail: fault.to_string() },
        }
    }

    /// Whether only reading is allowed here.
    pub fn is_read_only(&self) -> bool {
        self.read_only.is_some()
    }

    /// Asked before anything that changes the partner's server.
    pub fn may_change(&self, what: &str) -> Result<(), Fault> {
        self.read_only.as_ref().map_or(Ok(()), |name| Err(Fault::read_only(name, what)))
    }

    fn count(&self, priority: Priority) {
        if let Some(count) = self.calls.get(priority.word()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Does something that may be repeated, until there is an answer or it was tried often enough.
    async fn tried<T, F: Future<Output = Result<T, SftpFault>>>(
        &self,
        priority: Priority,
        operation: impl Fn() -> F,
    ) -> Result<T, SftpFault> {
        for _ in 1..TRIES {
            self.count(priority);
            match self.noted(operation().await) {
                Err(SftpFault::Lost { .. }) => self.lost.fetch_add(1, Ordering::Relaxed),
                answered => return answered,
            };
        }
        self.count(priority);
        self.noted(operation().await)
    }

    /// Keeps whether an operation was answered; that a file is not there is an answer, too.
    fn noted<T>(&self, result: Result<T, SftpFault>) -> Result<T, SftpFault> {
        match &result {
            Err(SftpFault::Unreached { .. } | SftpFault::Lost { .. }) => self.faring.failed(),
            _ => self.faring.answered(),
        }
        if matches!(result, Ok(_) | Err(SftpFault::Missing { .. })) {
            self.faring.note_answer(self.clock.now(), None);
        }
        result
    }

    /// The files of a folder; none where there is no such folder.
    pub async fn list(&self, folder: &str, priority: Priority) -> Result<Option<Vec<Entry>>, Fault> {
        match self.tried(priority, || self.sftp.list(folder)).await {
            Ok(entries) => Ok(Some(entries)),
            Err(SftpFault::Missing { .. }) => Ok(None),
            Err(fault) => Err(self.fault(&format!("list the folder {folder}"), Effect::Read, fault)),
        }
    }

    /// The bytes of a file; none where it is not there.
    pub async fn read(&self, path: &str, priority: Priority) -> Result<Option<Vec<u8>>, Fault> {
        match self.tried(priority, || self.sftp.read(path, FILE_BYTES_MAX)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(SftpFault::Missing { .. }) => Ok(None),
            Err(fault) => Err(self.fault(&format!("read {path}"), Effect::Read, fault)),
        }
    }

    pub async fn exists(&self, path: &str, priority: Priority) -> Result<bool, Fault> {
        self.tried(priority, || self.sftp.exists(path))
            .await
            .map_err(|fault| self.fault(&format!("look for {path}"), Effect::Read, fault))
    }

    /// Writes a file of ours, in a folder that is made if need be.
    pub async fn write(&self, folder: &str, name: &str, bytes: &[u8], priority: Priority) -> Result<(), Fault> {
        let (path, what) = (format!("{folder}/{name}"), format!("write {folder}/{name}"));
        self.may_change(&what)?;
        let write = || self.tried(priority, || self.sftp.write(&path, bytes));
        match write().await {
            Err(SftpFault::Missing { .. }) => {
                self.make(folder).await?;
                write().await.map_err(|fault| self.fault(&what, Effect::Write, fault))
            }
            done => done.map_err(|fault| self.fault(&what, Effect::Write, fault)),
        }
    }

    /// Makes a folder of ours and those above it.
    pub async fn make(&self, folder: &str) -> Result<(), Fault> {
        self.may_change(&format!("make the folder {folder}"))?;
        let mut path = String::new();
        for part in folder.split('/') {
            path = if path.is_empty() && !folder.starts_with('/') { part.to_owned() } else { format!("{path}/{part}") };
            if path.is_empty() {
                continue;
            }
            let made = self.tried(Priority::Control, || self.sftp.make_folder(&path)).await;
            made.map_err(|fault| self.fault(&format!("make the folder {path}"), Effect::Write, fault))?;
        }
        Ok(())
    }

    /// Renames a file; whether it was there. Servers differ in what they complain of first, so whether it still is there is
    /// looked at: a folder that is missing, or a name that is taken, is no file that is gone.
    pub async fn rename(&self, from: &str, to: &str, priority: Priority) -> Result<bool, Fault> {
        self.may_change(&format!("rename {from} to {to}"))?;
        let fault = match self.tried(priority, || self.sftp.rename(from, to)).await {
            Ok(()) => return Ok(true),
            Err(SftpFault::Missing { .. }) => SftpFault::Missing { path: to.to_owned() },
            Err(fault @ SftpFault::Failed { .. }) => fault,
            Err(fault) => return Err(self.fault(&format!("rename {from} to {to}"), Effect::Write, fault)),
        };
        if self.exists(from, priority).await? {
            return Err(self.fault(&format!("rename {from} to {to}"), Effect::Write, fault));
        }
        Ok(false)
    }

    /// Writes a file of ours that is read by its name: it has the name once it is whole.
    pub async fn write_whole(&self, folder: &str, name: &str, bytes: &[u8], priority: Priority) -> Result<(), Fault> {
        let part = format!(".{name}.part");
        self.write(folder, &part, bytes, priority).await?;
        self.rename(&format!("{folder}/{part}"), &format!("{folder}/{name}"), priority).await.map(|_| ())
    }

    /// The next running number. What is put aside is on disk there before any of it is used: it is the name of a file, as a
    /// name changes at once or not at all.
    pub async fn number(&self) -> Result<u32, Fault> {
        let folder = format!("{}/number", self.form.folders.sent);
        let mut numbers = self.numbers.lock().await;
        let (next, last) = match *numbers {
            Some((next, last)) if next <= last => (next, last),
            _ => {
                let entries = self.list(&folder, Priority::Orders).await?.unwrap_or_default();
                let known = entries.into_iter().filter_map(|entry| Some((entry.name.parse::<u32>().ok()?, entry.name))).max();
                let used = known.as_ref().map_or(0, |(used, _)| *used);
                let used = if used < NUMBER_MAX { used } else { 0 };
                let last = used.saturating_add(NUMBERS_AT_ONCE).min(NUMBER_MAX);
                let name = format!("{last:09}");
                match known {
                    None => self.write(&folder, &name, b"", Priority::Orders).await?,
                    Some((_, before)) => {
                        let (from, to) = (format!("{folder}/{before}"), format!("{folder}/{name}"));
                        // A file that is gone was renamed by a try whose answer was lost, or by somebody else.
                        if !self.rename(&from, &to, Priority::Orders).await? && !self.exists(&to, Priority::Orders).await? {
                            let detail = "somebody else took the next running numbers".to_owned();
                            return Err(Fault::Transient { what: detail, source: None });
                        }
                    }
                }
                (used + 1, last)
            }
        };
        *numbers = Some((next + 1, last));
        Ok(next)
    }

    /// The kind of a file, by its name; none for what is still written, and for what is not known.
    pub fn kind_of(&self, name: &str) -> Option<FileKind> {
        let lower = name.to_lowercase();
        if name.starts_with('.') || UNFINISHED.iter().any(|end| lower.ends_with(end)) {
            return None;
        }
        FileKind::NEWS.into_iter().find(|kind| lower.starts_with(&self.form.prefix(*kind).to_lowercase()))
    }

    fn file(&self, entry: Entry) -> Option<File> {
        let kind = self.kind_of(&entry.name)?;
        let modified = Timestamp::from_second(entry.modified).unwrap_or(Timestamp::UNIX_EPOCH);
        Some(File { name: entry.name, kind, size: entry.size, modified })
    }

    /// What the partner put down for us and is whole as far as anyone can tell, in its turn.
    pub async fn news(&self, priority: Priority) -> Result<Vec<File>, Fault> {
        let folder = &self.form.folders.news;
        let Some(entries) = self.list(folder, priority).await? else {
            let missing = SftpFault::Missing { path: folder.clone() };
            return Err(self.fault("list the partner's files", Effect::Read, missing));
        };
        let now = self.clock.now();
        let files: Vec<File> = entries.into_iter().filter_map(|entry| self.file(entry)).collect();
        let mut growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        growing.retain(|name, _| files.iter().any(|file| file.name == *name));
        let settle = i64::try_from(self.form.settle.as_millis()).unwrap_or(i64::MAX);
        let mut whole: Vec<File> = files
            .into_iter()
            .filter(|file| {
                let as_it_is = (file.size, file.modified);
                let seen = growing.entry(file.name.clone()).or_insert((file.size, file.modified, now));
                if (seen.0, seen.1) != as_it_is {
                    *seen = (file.size, file.modified, now);
                }
                // An empty file is looked at once it has been empty for a while, whatever the setting says.
                let wait = if file.size == 0 { settle.max(1_000) } else { settle };
                now.as_millisecond() - seen.2.as_millisecond() >= wait
            })
            .collect();
        whole.sort_by_key(turn);
        Ok(whole)
    }

    /// Since when a file has looked as it does.
    pub fn unchanged_for(&self, name: &str) -> Duration {
        let growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let since = growing.get(name).map_or(self.clock.now(), |(.., since)| *since);
        Duration::try_from(self.clock.now().duration_since(since)).unwrap_or_default()
    }

    /// Archived files, their hashes cut off.
    pub async fn archived(&self, priority: Priority) -> Result<Vec<(File, String)>, Fault> {
        let entries = self.list(&self.form.folders.archive, priority).await?.unwrap_or_default();
        let of = |entry: Entry| {
            let (name, hash) = entry.name.split_once('~').map(|(name, hash)| (name.to_owned(), hash.to_owned()))?;
            self.file(Entry { name, ..entry }).map(|file| (file, hash))
        };
        let mut files: Vec<(File, String)> = entries.into_iter().filter_map(of).collect();
        files.sort_by_key(|(file, _)| turn(file));
        Ok(files)
    }

    /// Whether a file with this content was read before.
    pub async fn is_known(&self, hash: &str) -> Result<bool, Fault> {
        let unknown = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if unknown {
            let archived = self.archived(Priority::Shipments).await?;
            let hashes = archived.into_iter().filter_map(|(_, end)| end.split('~').next().map(str::to_owned)).collect();
            *self.hashes.lock().unwrap_or_else(PoisonError::into_inner) = Some(hashes);
        }
        Ok(self.hashes.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|known| known.contains(hash)))
    }

    /// Puts a file that was read away. One that looks otherwise than when it was read was replaced meanwhile: it stays, to
    /// be read.
    pub async fn archive(&self, name: &str, hash: &str, read: Option<(u64, Timestamp)>, priority: Priority) -> Result<(), Fault> {
        let folders = &self.form.folders;
        if let Some(read) = read {
            let entries = self.list(&folders.news, priority).await?.unwrap_or_default();
            let now = entries.into_iter().filter_map(|entry| self.file(entry)).find(|file| file.name == name);
            if now.is_some_and(|file| (file.size, file.modified) != read) {
                tracing::info!(file = name, "it was replaced after it was read; it is read once more");
                return Ok(());
            }
        }
        let (from, mut to) = (format!("{}/{name}", folders.news), format!("{}/{name}~{hash}", folders.archive));
        if self.exists(&to, priority).await? {
            // The same file once more under the same name.
            to = format!("{to}~{}", self.clock.now().as_millisecond());
        }
        match self.rename(&from, &to, priority).await {
            Ok(_) => {}
            // There is no such folder yet; servers say so in one way or another.
            Err(Fault::Refused { .. } | Fault::Unexpected { .. }) => {
                self.make(&folders.archive).await?;
                self.rename(&from, &to, priority).await?;
            }
            Err(fault) => return Err(fault),
        }
        if let Some(known) = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            known.insert(hash.to_owned());
        }
        Ok(())
    }
}

impl Traffic for Exchange {
    fn stats(&self) -> SessionStats {
        let calls = Priority::ALL.into_iter().filter_map(|priority| {
            let count = self.calls.get(priority.word())?.load(Ordering::Relaxed);
            (count > 0).then_some((priority.word(), count))
        });
        let mut stats = SessionStats {
            calls: calls.collect(),
            lost: self.lost.load(Ordering::Relaxed),
            under_way: self.sftp.under_way(),
            ..SessionStats::default()
        };
        self.faring.tell(&mut stats);
        stats
    }

    fn rests(&self) -> Option<Duration> {
        None
    }

    fn fares(&self) -> Fares {
        self.faring.now()
    }
}
