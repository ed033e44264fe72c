//! What the partner puts down for us: a queue of files, each acknowledged by moving it to the archive.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use selvedge_connector::{
    Arrival, Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Feed, FeedPage, Page, Priority, Raw, Source,
};
use selvedge_model::{ExternalId, Interval, Kind, Shipment, gate::Values};
use serde::{Deserialize, Serialize};

use super::{
    decode::{self, Told},
    exchange::{Exchange, File, named, order_of},
    message::{Answer, Contents, FileKind, Unread},
    orders::{ANSWER, acknowledge_syntax},
    read,
};

/// Files read in one turn.
const FILES_AT_ONCE: usize = 20;
/// Shipments fetched at once, which costs a look at the archive.
const FETCH_MAX: usize = 50;
/// How long a file that ends before its end is waited for.
const PATIENCE: Duration = Duration::from_secs(600);
/// Characters of a hash that are kept: enough to tell files apart.
const HASH_CHARS: usize = 16;

/// The port.
pub(super) struct News {
    pub exchange: Arc<Exchange>,
}

/// What is handed back once a file is durable here.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    name: String,
    hash: String,
    /// Its size and last change when it was listed, before it was read.
    #[serde(default)]
    looked: Option<(u64, Timestamp)>,
    /// The 997s that it is owed, by the control number of its group.
    #[serde(default)]
    acknowledgements: Vec<Vec<Vec<String>>>,
}

/// What names a content: its first bytes of SHA-256 would do; this is quicker and as good.
pub(super) fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().chars().take(HASH_CHARS).collect()
}

fn raw(file: &File, hash: &str, key: &str, told: &Told) -> Raw {
    let id = ExternalId::new(format!("{}~{hash}#{key}", file.name));
    Raw { kind: Kind::Shipment, id, version: Some(file.modified), body: serde_json::to_vec(told).unwrap_or_default().into() }
}

impl News {
    fn raws(&self, file: &File, hash: &str, read: &Result<Vec<Contents>, Unread>) -> Vec<Raw> {
        match read {
            Ok(contents) => {
                let told = match file.kind {
                    FileKind::Receipt | FileKind::Return => read::receipts(&file.name, contents),
                    _ => read::shipments(&file.name, contents, &self.exchange.form),
                };
                told.iter().map(|(key, told)| raw(file, hash, key, told)).collect()
            }
            Err(Unread::Refused(why) | Unread::Unfinished(why)) => {
                let told = Told { file: file.name.clone(), refused: Some(why.clone()), ..Told::default() };
                vec![raw(file, hash, "whole", &told)]
            }
        }
    }

    /// Keeps what the partner answered beside the file that they answered to.
    async fn keep_answers(&self, answers: &[(String, Answer)]) -> Result<(), Fault> {
        let sent = &self.exchange.form.folders.sent;
        for (about, answer) in answers {
            let file = if order_of(about).is_some() {
                Some(about.clone())
            } else {
                let number = about.parse::<u32>().map(|number| format!("{sent}/by_number/{number:09}"));
                let bytes = match number {
                    Ok(path) => self.exchange.read(&path, Priority::Orders).await?,
                    Err(_) => None,
                };
                bytes.and_then(|bytes| String::from_utf8(bytes).ok())
            };
            let Some((file, order)) = file.and_then(|file| order_of(&file).map(|order| (file, order))) else {
                tracing::warn!(about, "the partner answers to a file that we did not send");
                continue;
            };
            let body = serde_json::to_vec(answer).unwrap_or_default();
            self.exchange
                .write(&format!("{sent}/{}", named(&order)), &format!("{file}{ANSWER}"), &body, Priority::Orders)
                .await?;
        }
        Ok(())
    }

    /// Reads one file; nothing while it may be half written.
    async fn take(&self, file: &File) -> Result<Option<(Vec<Arrival>, Taken)>, Fault> {
        let path = format!("{}/{}", self.exchange.form.folders.news, file.name);
        let Some(bytes) = self.exchange.read(&path, Priority::Shipments).await? else { return Ok(None) };
        let hash = hash(&bytes);
        let looked = Some((file.size, file.modified));
        let mut taken = Taken { name: file.name.clone(), hash: hash.clone(), looked, acknowledgements: Vec::new() };
        if self.exchange.is_known(&hash).await? {
            tracing::info!(file = file.name, "the same content was read before; it is put away");
            return Ok(Some((Vec::new(), taken)));
        }
        let patience = PATIENCE.max(self.exchange.form.settle);
        let young = self.exchange.unchanged_for(&file.name) < patience;
        if file.kind == FileKind::Answer {
            match read::answers(&bytes, &self.exchange.form) {
                Ok(answers) => {
                    self.keep_answers(&answers.said).await?;
                    if !answers.unread.is_empty() {
                        let told = Told { file: file.name.clone(), rows: answers.unread, ..Told::default() };
                        return Ok(Some((vec![Arrival::Document(raw(file, &hash, "answers", &told))], taken)));
                    }
                }
                Err(Unread::Unfinished(_)) if young => return Ok(None),
                Err(Unread::Unfinished(why) | Unread::Refused(why)) => {
                    let told = Told { file: file.name.clone(), refused: Some(why), ..Told::default() };
                    return Ok(Some((vec![Arrival::Document(raw(file, &hash, "whole", &told))], taken)));
                }
            }
            return Ok(Some((Vec::new(), taken)));
        }
        let read = read::contents(&bytes, file.kind, &self.exchange.form);
        if matches!(read, Err(Unread::Unfinished(_))) && young {
            return Ok(None);
        }
        if let Ok(contents) = &read {
            taken.acknowledgements = contents.iter().filter_map(|one| one.acknowledgement.clone()).collect();
        }
        let arrivals = self.raws(file, &hash, &read).into_iter().map(Arrival::Document).collect();
        Ok(Some((arrivals, taken)))
    }
}

#[async_trait]
impl Feed for News {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Shipment]
    }

    async fn next(&self) -> Result<FeedPage, Fault> {
        let mut page = FeedPage::default();
        for file in self.exchange.news(Priority::Shipments).await?.iter().filter(|file| file.kind != FileKind::Stock) {
            if page.receipts.len() >= FILES_AT_ONCE {
                page.more = true;
                break;
            }
            if let Some((arrivals, taken)) = self.take(file).await? {
                page.arrivals.extend(arrivals);
                page.receipts.extend(serde_json::to_string(&taken).ok());
            }
        }
        Ok(page)
    }

    async fn acknowledge(&self, receipts: &[String]) -> Result<(), Fault> {
        for receipt in receipts {
            let Ok(taken) = serde_json::from_str::<Taken>(receipt) else { continue };
            acknowledge_syntax(&self.exchange, &taken.hash, &taken.acknowledgements).await?;
            self.exchange.archive(&taken.name, &taken.hash, taken.looked, Priority::Control).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Source<Shipment> for News {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Shipment> {
        decode::shipment(raw, &self.exchange.form)
    }

    async fn list(&self, interval: &Interval, _page: Option<&Cursor>) -> Result<Page, Fault> {
        let mut raws = Vec::new();
        for (file, hash) in self.exchange.archived(Priority::Sweeps).await? {
            let within = file.modified >= interval.from && file.modified < interval.to;
            // Only the first of those that hold the same.
            let told = matches!(file.kind, FileKind::Shipment | FileKind::Receipt | FileKind::Return);
            if !within || !told || hash.contains('~') {
                continue;
            }
            let path = format!("{}/{}~{hash}", self.exchange.form.folders.archive, file.name);
            let Some(bytes) = self.exchange.read(&path, Priority::Sweeps).await? else { continue };
            raws.extend(self.raws(&file, &hash, &read::contents(&bytes, file.kind, &self.exchange.form)));
        }
        Ok(Page { raws, next: None })
    }

    async fn enumerate(&self, interval: &Interval, page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let page = self.list(interval, page).await?;
        let item = |raw: Raw| Enumerated { id: raw.id, key: None, version: raw.version };
        Ok(EnumeratedPage { items: page.raws.into_iter().map(item).collect(), next: None })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut found: Vec<Raw> = Vec::new();
        let archived = self.exchange.archived(priority).await?;
        for id in ids {
            let Some((file, _)) = id.as_str().split_once('#') else { continue };
            let Some((name, hash)) = file.split_once('~') else { continue };
            let Some((about, _)) = archived.iter().find(|(known, end)| known.name == name && end == hash) else { continue };
            // One file tells of many shipments.
            if found.iter().any(|raw| raw.id == *id) {
                continue;
            }
            let path = format!("{}/{file}", self.exchange.form.folders.archive);
            let Some(bytes) = self.exchange.read(&path, priority).await? else { continue };
            let raws = self.raws(about, hash, &read::contents(&bytes, about.kind, &self.exchange.form));
            found.extend(raws.into_iter().filter(|raw| ids.contains(&raw.id)));
        }
        Ok(found)
    }

    fn fetch_max(&self) -> usize {
        FETCH_MAX
    }
}
