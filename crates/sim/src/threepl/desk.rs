//! A stand-in for a desk of customer service, or a portal for returns, that hands over credit notes as files over SFTP.
//!
//! What it writes is given to it. It takes nothing, and complains of nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use selvedge_sftp::{Operation, Served, Server};
use serde::{Deserialize, Serialize};

use crate::journal::Journal;
use crate::mischief::{Mischief, mix};

use super::{Access, Temporary, USER, fate, put_down};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    World { identity: String },
    Dropped(String),
}

/// The desk. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    root: PathBuf,
    /// Kept for as long as the folder is wanted.
    _temporary: Option<Temporary>,
    /// Names of the files that were dropped, and where that is written down.
    dropped: Mutex<(BTreeSet<String>, Journal)>,
    mischief: Mischief,
    password: String,
    calls: AtomicU64,
}

impl Desk {
    /// Opens the desk, with what it kept under `folder`.
    /// Errors when a folder or the journal cannot be used.
    pub fn open(seed: u64, identity: &str, mischief: Mischief, folder: Option<&Path>) -> anyhow::Result<Desk> {
        let temporary = folder.is_none().then(|| Temporary::new("desk"));
        let root = match (folder, &temporary) {
            (Some(folder), _) => folder.join("desk"),
            (None, Some(temporary)) => temporary.0.clone(),
            (None, None) => bail!("there is no folder"),
        };
        // A partner that takes nothing has a folder for it all the same.
        for name in ["in", "out"] {
            std::fs::create_dir_all(root.join(name))?;
        }
        let (mut dropped, mut starts) = (BTreeSet::new(), 0);
        let journal = match folder {
            Some(folder) => Journal::open_with(&folder.join("desk.jsonl"), |line| {
                match serde_json::from_value(line)? {
                    Entry::World { identity: kept } if kept != identity => bail!("this is the journal of another world: {kept}"),
                    Entry::World { .. } => starts += 1,
                    Entry::Dropped(name) => drop(dropped.insert(name)),
                }
                Ok(())
            })?,
            None => Journal::memory(),
        };
        journal.append(&Entry::World { identity: identity.to_owned() })?;
        Ok(Desk(Arc::new(Inner {
            root,
            _temporary: temporary,
            dropped: Mutex::new((dropped, journal)),
            mischief: mischief.run(starts),
            password: format!("{:016x}", mix(seed ^ 5)),
            calls: AtomicU64::new(0),
        })))
    }

    /// Serves its folder on a port of 127.0.0.1 (0: any free one).
    /// Errors when the port is taken.
    pub async fn serve(&self, port: u16) -> anyhow::Result<(Served, Access)> {
        let inner = Arc::downgrade(&self.0);
        let gate = move |operation: &Operation| match inner.upgrade() {
            Some(inner) => {
                inner.calls.fetch_add(1, Ordering::Relaxed);
                fate(&inner.mischief, operation)
            }
            None => selvedge_sftp::Fate::BreakBefore,
        };
        let server = Server { gate: Arc::new(gate), ..Server::new(&self.0.root, USER, &self.0.password) };
        let served = server.serve(port, Some(&self.0.root.join(".host_key"))).await?;
        let access = Access {
            port: served.address.port(),
            user: USER.to_owned(),
            password: self.0.password.clone(),
            host_key: served.host_key.clone(),
            warehouse: String::new(),
            services: Vec::new(),
            format: "csv".to_owned(),
        };
        Ok((served, access))
    }

    /// The folder that is served.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Operations asked of the server so far.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Puts a file down, whole and once: a name that was dropped before is left alone, also after a kill. Between the file and the
    /// word that it stands a kill makes it be put down again, the same under the same name. Returns whether it was put down now.
    /// Errors when it cannot be written.
    pub fn drop(&self, name: &str, text: &str) -> anyhow::Result<bool> {
        let mut dropped = self.0.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        let (names, journal) = &mut *dropped;
        if names.contains(name) {
            return Ok(false);
        }
        put_down(&self.0.root, name, text.as_bytes())?;
        journal.append(&Entry::Dropped(name.to_owned()))?;
        names.insert(name.to_owned());
        Ok(true)
    }

    /// How many files were dropped.
    pub fn dropped(&self) -> usize {
        self.0.dropped.lock().unwrap_or_else(PoisonError::into_inner).0.len()
    }

    /// Whether everything that was dropped was taken.
    pub fn is_done(&self) -> bool {
        std::fs::read_dir(self.0.root.join("out")).is_ok_and(|mut files| files.next().is_none())
    }
}
