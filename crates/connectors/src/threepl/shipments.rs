//! What the partner puts down for us: a queue of files, each acknowledged by moving it to the archive.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use selvedge_connector::{
    Arrival, Cursor, Decoded, Enumerated, EnumeratedPage, Fault, Feed, FeedPage, Page, Priority, Raw, Source,
};
use selvedge_model::{ExternalId, Interval, Kind, Shipment, gate::Values};
use serde::{Deserialize, Serialize};

use super::{
    decode::{self, Told},
    exchange::{Exchange, File, named, order_of},
    message::{Answer, Contents, FileKind, Unread},
    orders::{ANSWER, envelope},
    read, x12,
};

/// Files read in one turn.
const FILES_AT_ONCE: usize = 20;
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
            Ok(contents) => read::shipments(&file.name, contents, &self.exchange.form)
                .iter()
                .map(|(key, told)| raw(file, hash, key, told))
                .collect(),
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
        let mut taken = Taken { name: file.name.clone(), hash: hash.clone(), acknowledgements: Vec::new() };
        if self.exchange.is_known(&hash).await? {
            tracing::info!(file = file.name, "the same content was read before; it is put away");
            return Ok(Some((Vec::new(), taken)));
        }
        let young = self.exchange.unchanged_for(&file.name) < PATIENCE.max(self.exchange.form.settle);
        if file.kind == FileKind::Answer {
            match read::answers(&bytes, &self.exchange.form) {
                Ok(answers) => self.keep_answers(&answers).await?,
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

    /// Writes the 997s that a file is owed, once.
    async fn acknowledge_syntax(&self, taken: &Taken) -> Result<(), Fault> {
        let folders = &self.exchange.form.folders;
        for (at, segments) in taken.acknowledgements.iter().enumerate() {
            let name = format!("fa_{}_{at}.x12", taken.hash);
            // A copy of ours says that it was written before: a crash comes between, or the file once more.
            if self.exchange.exists(&format!("{}/acknowledged/{name}", folders.sent), Priority::Control).await? {
                continue;
            }
            let number = self.exchange.number().await?;
            let text = x12::write(&envelope(&self.exchange, number, "FA", "997"), segments);
            self.exchange.write(&folders.staging, &name, text.as_bytes(), Priority::Control).await?;
            let (from, to) = (format!("{}/{name}", folders.staging), format!("{}/{name}", folders.orders));
            self.exchange.rename(&from, &to, Priority::Control).await?;
            self.exchange.write(&format!("{}/acknowledged", folders.sent), &name, text.as_bytes(), Priority::Control).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Feed for News {
    async fn next(&self) -> Result<FeedPage, Fault> {
        let wanted = [FileKind::Shipment, FileKind::Answer];
        let files: Vec<File> =
            self.exchange.news(Priority::Shipments).await?.into_iter().filter(|file| wanted.contains(&file.kind)).collect();
        let mut page = FeedPage { more: files.len() > FILES_AT_ONCE, ..FeedPage::default() };
        for file in files.iter().take(FILES_AT_ONCE) {
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
            self.acknowledge_syntax(&taken).await?;
            self.exchange.archive(&taken.name, &taken.hash, Priority::Control).await?;
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
            if !within || file.kind != FileKind::Shipment || hash.contains('~') {
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
        let mut found = Vec::new();
        for id in ids {
            let Some((file, key)) = id.as_str().split_once('#') else { continue };
            let Some((name, hash)) = file.split_once('~') else { continue };
            let Some(kind) = self.exchange.kind_of(name) else { continue };
            let archived = self.exchange.archived(priority).await?;
            let Some((about, _)) = archived.into_iter().find(|(known, end)| known.name == name && end == hash) else { continue };
            let path = format!("{}/{file}", self.exchange.form.folders.archive);
            let Some(bytes) = self.exchange.read(&path, priority).await? else { continue };
            let raws = self.raws(&about, hash, &read::contents(&bytes, kind, &self.exchange.form));
            found.extend(raws.into_iter().filter(|raw| raw.id.as_str().ends_with(&format!("#{key}"))));
        }
        Ok(found)
    }

    fn fetch_max(&self) -> usize {
        1
    }
}
