//! What a stand-in must still know after it was killed: an append-only file of JSON lines.
//!
//! One entry is one `write(2)`: once the call returned, the entry is with the operating system and
//! survives `kill -9` of this process (not a power cut: there is no fsync, a stand-in does not need it).

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

/// An append-only journal. Cheap to clone; all clones write to the same file.
#[derive(Clone, Debug)]
pub struct Journal {
    file: Option<Arc<Mutex<File>>>,
}

impl Journal {
    /// A journal that keeps nothing.
    pub fn memory() -> Journal {
        Journal { file: None }
    }

    /// Opens (or makes) the journal and returns what it holds so far.
    /// Errors when the file cannot be opened, or holds a broken line before the last one.
    pub fn open(path: &Path) -> anyhow::Result<(Journal, Vec<Value>)> {
        let mut entries = Vec::new();
        let journal = Self::open_with(path, |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok((journal, entries))
    }

    /// As [`Journal::open`], but hands the entries over one by one, oldest first.
    ///
    /// Waits until a dying predecessor has let go of the file. A last line without its newline was
    /// torn by a kill: it was never answered for, so it is cut off.
    pub fn open_with(path: &Path, mut each: impl FnMut(Value) -> anyhow::Result<()>) -> anyhow::Result<Journal> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("open the journal {}", path.display()))?;
        file.lock().with_context(|| format!("lock the journal {}", path.display()))?;
        let mut whole = 0_u64;
        {
            let mut reader = BufReader::with_capacity(1 << 18, &mut file);
            let mut line = Vec::new();
            let mut number = 0_u64;
            loop {
                line.clear();
                let read = reader.read_until(b'\n', &mut line)?;
                if read == 0 || line.last() != Some(&b'\n') {
                    break;
                }
                number += 1;
                let entry = serde_json::from_slice(&line).with_context(|| format!("{} line {number}", path.display()))?;
                each(entry).with_context(|| format!("{} line {number}", path.display()))?;
                whole += u64::try_from(read)?;
            }
        }
        if file.metadata()?.len() > whole {
            file.set_len(whole)?;
        }
        file.seek(SeekFrom::End(0))?;
        Ok(Journal { file: Some(Arc::new(Mutex::new(file))) })
    }

    /// Appends one entry. When this returns, the entry survives the death of this process.
    pub fn append(&self, entry: &impl Serialize) -> anyhow::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line).context("write to the journal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folder(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("sim-journal-{name}-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn keeps_entries_and_cuts_a_torn_line() {
        let folder = folder("torn");
        let path = folder.join("deeper/j.jsonl");
        let (journal, before) = Journal::open(&path).unwrap();
        assert!(before.is_empty());
        journal.append(&json!({"a": 1})).unwrap();
        journal.append(&json!({"a": "2\n"})).unwrap();
        drop(journal);
        {
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(b"{\"a\":").unwrap();
        }
        let (journal, entries) = Journal::open(&path).unwrap();
        assert_eq!(entries, vec![json!({"a": 1}), json!({"a": "2\n"})]);
        journal.append(&json!(3)).unwrap();
        drop(journal);
        let (_journal, entries) = Journal::open(&path).unwrap();
        assert_eq!(entries.last(), Some(&json!(3)));
        assert_eq!(entries.len(), 3);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_second_opener_waits_for_the_first() {
        let folder = folder("lock");
        let path = folder.join("j.jsonl");
        let (first, _) = Journal::open(&path).unwrap();
        let (told, hears) = std::sync::mpsc::channel();
        let second = std::thread::spawn({
            let path = path.clone();
            move || {
                let (_journal, entries) = Journal::open(&path).unwrap();
                told.send(entries.len()).unwrap();
            }
        });
        assert!(hears.recv_timeout(std::time::Duration::from_millis(100)).is_err());
        first.append(&json!(1)).unwrap();
        drop(first);
        assert_eq!(hears.recv().unwrap(), 1);
        second.join().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
