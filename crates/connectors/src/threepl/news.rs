//! What the partner puts down for us: a queue of files, each acknowledged by moving it to the archive. The archive is what a sweep
//! lists and what a document is fetched from.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use selvedge_connector::{Arrival, Fault, Feed, FeedPage, Page, Priority, Raw};
use selvedge_model::{ExternalId, Interval, Kind};
use serde::{Deserialize, Serialize};

use super::{
    decode::Told,
    exchange::{Exchange, File, named, order_of},
    message::{Answer, Contents, FileKind, Unread},
    outbox::{ANSWER, acknowledge_syntax},
    read,
    settings::Form,
};

/// Files read in one turn.
const FILES_AT_ONCE: usize = 20;
/// Documents fetched at once, which costs a look at the archive.
pub(super) const FETCH_MAX: usize = 50;
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

fn raw(kind: Kind, file: &File, hash: &str, key: &str, told: &Told) -> Raw {
    let id = ExternalId::new(format!("{}~{hash}#{key}", file.name));
    Raw { kind, id, version: Some(file.modified), body: serde_json::to_vec(told).unwrap_or_default().into() }
}

/// Whether somebody takes what such a file tells. What nobody takes stays where it is, as stock does, which is read by its own port.
fn is_wanted(kind: FileKind, wanted: &[Kind]) -> bool {
    let takes = |kind: Kind| wanted.contains(&kind);
    match kind {
        FileKind::Shipment => takes(Kind::Shipment),
        FileKind::Receipt | FileKind::Return => takes(Kind::Shipment) || takes(Kind::Return),
        FileKind::Credit => takes(Kind::CreditNote),
        FileKind::Answer => true,
        _ => false,
    }
}

/// As which kind a file is told that says nothing by itself, or of which only that it is there is told.
fn kind_of(kind: FileKind, wanted: &[Kind]) -> Kind {
    let returns = wanted.contains(&Kind::Return);
    match kind {
        FileKind::Credit => Kind::CreditNote,
        FileKind::Return if returns => Kind::Return,
        _ if wanted.contains(&Kind::Shipment) => Kind::Shipment,
        _ if returns => Kind::Return,
        _ => wanted.first().copied().unwrap_or(Kind::Shipment),
    }
}

/// The documents of a file. Returns that nobody takes are told beside the shipments, so that a person can book them.
fn raws(file: &File, hash: &str, read: &Result<Vec<Contents>, Unread>, wanted: &[Kind], form: &Form) -> Vec<Raw> {
    let contents = match read {
        Ok(contents) => contents,
        Err(Unread::Refused(why) | Unread::Unfinished(why)) => {
            let told = Told { file: file.name.clone(), refused: Some(why.clone()), ..Told::default() };
            return vec![raw(kind_of(file.kind, wanted), file, hash, "whole", &told)];
        }
    };
    let of = |kind: Kind, told: Vec<(String, Told)>| -> Vec<Raw> {
        told.iter().map(|(key, told)| raw(kind, file, hash, key, told)).collect()
    };
    match file.kind {
        FileKind::Receipt | FileKind::Return => {
            let takes = wanted.contains(&Kind::Return);
            let mut kept = read::receipts(&file.name, contents);
            kept.retain(|(_, told)| !takes || told.kept == Some(FileKind::Receipt));
            let mut raws = of(kind_of(FileKind::Receipt, wanted), kept);
            if takes {
                raws.extend(of(Kind::Return, read::returns(&file.name, contents, form)));
            }
            raws
        }
        FileKind::Credit => of(Kind::CreditNote, read::credits(&file.name, contents, form)),
        _ => of(Kind::Shipment, read::shipments(&file.name, contents, form)),
    }
}

/// Documents of one kind in the archived files of an interval.
pub(super) async fn list(exchange: &Exchange, interval: &Interval, kind: Kind) -> Result<Page, Fault> {
    let wanted = [Kind::Shipment, Kind::Return, Kind::CreditNote];
    let mut found = Vec::new();
    for (file, hash) in exchange.archived(Priority::Sweeps).await? {
        let within = file.modified >= interval.from && file.modified < interval.to;
        // Only the first of those that hold the same; and no answers, which are documents only where they cannot be read.
        if !within || hash.contains('~') || file.kind == FileKind::Answer || !is_wanted(file.kind, &[kind]) {
            continue;
        }
        let path = format!("{}/{}~{hash}", exchange.form.folders.archive, file.name);
        let Some(bytes) = exchange.read(&path, Priority::Sweeps).await? else { continue };
        let read = read::contents(&bytes, file.kind, &exchange.form);
        found.extend(raws(&file, &hash, &read, &wanted, &exchange.form).into_iter().filter(|raw| raw.kind == kind));
    }
    Ok(Page { raws: found, next: None })
}

/// Documents of one kind, by their ids.
pub(super) async fn fetch(exchange: &Exchange, ids: &[ExternalId], kind: Kind, priority: Priority) -> Result<Vec<Raw>, Fault> {
    let mut found: Vec<Raw> = Vec::new();
    let archived = exchange.archived(priority).await?;
    for id in ids {
        let Some((file, _)) = id.as_str().split_once('#') else { continue };
        let Some((name, hash)) = file.split_once('~') else { continue };
        let Some((about, _)) = archived.iter().find(|(known, end)| known.name == name && end == hash) else { continue };
        // One file tells of many documents.
        if found.iter().any(|raw| raw.id == *id) {
            continue;
        }
        let path = format!("{}/{file}", exchange.form.folders.archive);
        let Some(bytes) = exchange.read(&path, priority).await? else { continue };
        let read = read::contents(&bytes, about.kind, &exchange.form);
        // Whoever asks for a kind takes it; and what came while nobody took returns has an id of its own.
        let mut told = raws(about, hash, &read, &[Kind::Shipment, Kind::Return, Kind::CreditNote], &exchange.form);
        told.extend(raws(about, hash, &read, &[kind], &exchange.form));
        for raw in told.into_iter().filter(|raw| raw.kind == kind && ids.contains(&raw.id)) {
            if !found.iter().any(|known| known.id == raw.id) {
                found.push(raw);
            }
        }
    }
    Ok(found)
}

impl News {
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
    async fn take(&self, file: &File, wanted: &[Kind]) -> Result<Option<(Vec<Arrival>, Taken)>, Fault> {
        let form = &self.exchange.form;
        let path = format!("{}/{}", form.folders.news, file.name);
        let Some(bytes) = self.exchange.read(&path, Priority::Shipments).await? else { return Ok(None) };
        let hash = hash(&bytes);
        let looked = Some((file.size, file.modified));
        let mut taken = Taken { name: file.name.clone(), hash: hash.clone(), looked, acknowledgements: Vec::new() };
        if self.exchange.is_known(&hash).await? {
            tracing::info!(file = file.name, "the same content was read before; it is put away");
            return Ok(Some((Vec::new(), taken)));
        }
        let patience = PATIENCE.max(form.settle);
        let young = self.exchange.unchanged_for(&file.name) < patience;
        if file.kind == FileKind::Answer {
            let kind = kind_of(file.kind, wanted);
            match read::answers(&bytes, form) {
                Ok(answers) => {
                    self.keep_answers(&answers.said).await?;
                    if !answers.unread.is_empty() {
                        let told = Told { file: file.name.clone(), rows: answers.unread, ..Told::default() };
                        return Ok(Some((vec![Arrival::Document(raw(kind, file, &hash, "answers", &told))], taken)));
                    }
                }
                Err(Unread::Unfinished(_)) if young => return Ok(None),
                Err(Unread::Unfinished(why) | Unread::Refused(why)) => {
                    let told = Told { file: file.name.clone(), refused: Some(why), ..Told::default() };
                    return Ok(Some((vec![Arrival::Document(raw(kind, file, &hash, "whole", &told))], taken)));
                }
            }
            return Ok(Some((Vec::new(), taken)));
        }
        let read = read::contents(&bytes, file.kind, form);
        if matches!(read, Err(Unread::Unfinished(_))) && young {
            return Ok(None);
        }
        if let Ok(contents) = &read {
            taken.acknowledgements = contents.iter().filter_map(|one| one.acknowledgement.clone()).collect();
        }
        let arrivals = raws(file, &hash, &read, wanted, form).into_iter().map(Arrival::Document).collect();
        Ok(Some((arrivals, taken)))
    }
}

#[async_trait]
impl Feed for News {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::Shipment, Kind::Return, Kind::CreditNote]
    }

    async fn next(&self, wanted: &[Kind]) -> Result<FeedPage, Fault> {
        let mut page = FeedPage::default();
        for file in self.exchange.news(Priority::Shipments).await?.iter().filter(|file| is_wanted(file.kind, wanted)) {
            if page.receipts.len() >= FILES_AT_ONCE {
                page.more = true;
                break;
            }
            if let Some((arrivals, taken)) = self.take(file, wanted).await? {
                page.arrivals.extend(arrivals);
                page.receipts.extend(serde_json::to_string(&taken).ok());
            }
        }
        Ok(page)
    }

    async fn acknowledge(&self, receipts: &[String]) -> Result<(), Fault> {
        self.exchange.may_change("put files away that were read")?;
        for receipt in receipts {
            let Ok(taken) = serde_json::from_str::<Taken>(receipt) else { continue };
            acknowledge_syntax(&self.exchange, &taken.hash, &taken.acknowledgements).await?;
            self.exchange.archive(&taken.name, &taken.hash, taken.looked, Priority::Control).await?;
        }
        Ok(())
    }
}
