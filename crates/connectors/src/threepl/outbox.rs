//! What is handed over to the partner, file by file, and what became of it.
//!
//! What was sent is kept at the server, in a folder for each order or return: the file as it was handed over, the one that took it
//! back if there was one, and what the partner answered. Nobody else writes there, so it can be read back at any time.

use std::sync::Arc;

use selvedge_connector::{Fault, Found, Priority, Raw, Receipt, Request};
use selvedge_model::{ExternalId, Kind, Problem};

use super::{
    decode::Sent,
    exchange::{Exchange, named, number_of, order_of},
    message::{Answer, FileKind},
    settings::Format,
    x12,
};

/// What is handed over, and how.
pub(super) struct Outbox {
    pub exchange: Arc<Exchange>,
    /// Of which kind the records are.
    pub kind: Kind,
    /// What the files are that hand one over, and take it back.
    pub files: (FileKind, FileKind),
    /// The functional group and the set, in X12.
    pub set: (&'static str, &'static str),
    /// The rule of what was not acknowledged in time.
    pub unacknowledged: &'static str,
}

/// How names of what the partner answered to a file end.
pub(super) const ANSWER: &str = ".answer";

impl Outbox {
    fn folder(&self, order: &str) -> String {
        format!("{}/{}", self.exchange.form.folders.sent, named(order))
    }

    fn prefix(&self, kind: FileKind, order: &str) -> String {
        format!("{}_{}_", self.exchange.form.prefix(kind), named(order))
    }

    /// The files of an order in our folder: name and date, the latest number last.
    pub async fn files(&self, order: &str, kind: FileKind, priority: Priority) -> Result<Vec<(String, jiff::Timestamp)>, Fault> {
        let entries = self.exchange.list(&self.folder(order), priority).await?.unwrap_or_default();
        let prefix = self.prefix(kind, order);
        let mut files: Vec<(String, jiff::Timestamp)> = entries
            .into_iter()
            .filter(|entry| entry.name.starts_with(&prefix) && !entry.name.ends_with(ANSWER))
            .map(|entry| (entry.name, jiff::Timestamp::from_second(entry.modified).unwrap_or(jiff::Timestamp::UNIX_EPOCH)))
            .collect();
        files.sort_by_key(|(name, _)| number_of(name));
        Ok(files)
    }

    async fn is_staged(&self, file: &str, priority: Priority) -> Result<bool, Fault> {
        self.exchange.exists(&format!("{}/{file}", self.exchange.form.folders.staging), priority).await
    }

    async fn answer(&self, order: &str, file: &str, priority: Priority) -> Result<Option<Answer>, Fault> {
        let bytes = self.exchange.read(&format!("{}/{file}{ANSWER}", self.folder(order)), priority).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn text(&self, bytes: &[u8]) -> String {
        let utf8 = std::str::from_utf8(bytes).ok().map(str::to_owned);
        let charset = self.exchange.form.dialect.charset;
        utf8.or_else(|| charset.and_then(|charset| charset.decode(bytes))).unwrap_or_default()
    }

    /// Whether the partner is still within the time to answer.
    fn waits(&self, sent: &Sent, written: jiff::Timestamp) -> Result<bool, Fault> {
        // Partners answer to orders; to every file only where the format has it so.
        let form = &self.exchange.form;
        let answers = self.kind == Kind::Order || form.format == Format::X12;
        let Some(within) = form.acknowledged_within.filter(|_| answers && sent.answer.is_none() && sent.staged.is_none()) else {
            return Ok(false);
        };
        let age = self.exchange.clock.now().duration_since(written);
        if age.as_secs() < i64::try_from(within.as_secs()).unwrap_or(i64::MAX) {
            return Ok(true);
        }
        let problem = Problem::new(
            self.unacknowledged,
            "",
            format!(
                "{} was handed over {} minutes ago, and the warehouse has not acknowledged it",
                sent.file,
                age.as_secs() / 60
            ),
            "Ask the warehouse whether they have it. Nothing is sent again by itself, or they would have it twice; release looks for their answer once more.",
        );
        Err(Fault::Refused { what: format!("read {}", sent.file), problems: vec![problem] })
    }

    pub async fn read(&self, file: &str, priority: Priority) -> Result<Option<Raw>, Fault> {
        let Some(order) = order_of(file) else { return Ok(None) };
        let Some(bytes) = self.exchange.read(&format!("{}/{file}", self.folder(&order)), priority).await? else {
            return Ok(None);
        };
        let files = self.files(&order, self.files.0, priority).await?;
        let written = files.iter().find(|(name, _)| name == file).map(|(_, at)| *at);
        let cancellation = self.files(&order, self.files.1, priority).await?.pop().map(|(name, _)| name);
        let mut staged = None;
        for name in [Some(file.to_owned()), cancellation.clone()].into_iter().flatten() {
            if staged.is_none() && self.is_staged(&name, priority).await? {
                staged = Some(name);
            }
        }
        let answer = self.answer(&order, file, priority).await?;
        let sent = Sent {
            file: file.to_owned(),
            text: self.text(&bytes),
            cancelled: cancellation.is_some() && staged.is_none(),
            staged,
            answer,
        };
        if self.waits(&sent, written.unwrap_or(jiff::Timestamp::UNIX_EPOCH))? {
            return Err(Fault::Pending { what: format!("{file} at the warehouse") });
        }
        let body = serde_json::to_vec(&sent).unwrap_or_default().into();
        Ok(Some(Raw { kind: self.kind, id: ExternalId::new(file), version: written, body }))
    }

    /// Writes a file into our folders: first where it waits to be handed over, then the copy that says that it is whole.
    async fn stage(&self, request: &Request) -> Result<Receipt, Fault> {
        let form = &self.exchange.form;
        let kind: FileKind = serde_json::from_value(request.body["kind"].clone()).unwrap_or(self.files.0);
        let number = self.exchange.number().await?;
        let order = request.path.as_str();
        let (end, bytes) = match form.format {
            Format::Csv => {
                let text = request.body["text"].as_str().unwrap_or_default();
                let encoded = form.dialect.charset.and_then(|charset| charset.encode(text));
                ("csv", encoded.unwrap_or_else(|| text.as_bytes().to_vec()))
            }
            Format::X12 => {
                let segments: Vec<Vec<String>> = serde_json::from_value(request.body["segments"].clone()).unwrap_or_default();
                ("x12", x12::write(&envelope(&self.exchange, number, self.set.0, self.set.1), &segments).into_bytes())
            }
        };
        let file = format!("{}{number:09}.{end}", self.prefix(kind, order));
        if form.format == Format::X12 {
            // A 997 names a control number only.
            let index = format!("{}/by_number", form.folders.sent);
            self.exchange.write(&index, &format!("{number:09}"), file.as_bytes(), Priority::Orders).await?;
        }
        self.exchange.write(&form.folders.staging, &file, &bytes, Priority::Orders).await?;
        self.exchange.write_whole(&self.folder(order), &file, &bytes, Priority::Orders).await?;
        Ok(Receipt { id: (kind == self.files.0).then(|| ExternalId::new(&file)), warnings: Vec::new() })
    }

    /// The file by which a record was handed over last.
    pub async fn find(&self, key: &str) -> Result<Option<Found>, Fault> {
        let mut files = self.files(key, self.files.0, Priority::Orders).await?;
        Ok(files.pop().map(|(name, _)| Found { id: ExternalId::new(name) }))
    }

    /// The documents with these names.
    pub async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut raws = Vec::new();
        for id in ids {
            raws.extend(self.read(id.as_str(), priority).await?);
        }
        Ok(raws)
    }

    /// Takes the next step.
    pub async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        self.exchange.may_change(&request.what)?;
        if request.method == "STAGE" {
            return self.stage(request).await;
        }
        let (folders, file) = (&self.exchange.form.folders, request.path.as_str());
        let (from, to) = (format!("{}/{file}", folders.staging), format!("{}/{file}", folders.orders));
        // A staged file that is gone was renamed by a call whose answer was lost.
        self.exchange.rename(&from, &to, Priority::Orders).await?;
        Ok(Receipt { id: request.update.clone(), warnings: Vec::new() })
    }
}

/// What an interchange of ours says of itself.
pub(super) fn envelope(exchange: &Exchange, number: u32, functional: &'static str, code: &'static str) -> x12::Envelope {
    let parties = &exchange.form.parties;
    x12::Envelope {
        sender: parties.sender.clone(),
        receiver: parties.receiver.clone(),
        at: exchange.clock.now().to_zoned(jiff::tz::TimeZone::UTC).datetime(),
        control: number,
        production: parties.production,
        functional,
        code,
    }
}

/// Writes the 997s that a file with this content is owed, once: a copy of ours says that it was written before, when a
/// crash comes between, or the file once more.
pub(super) async fn acknowledge_syntax(exchange: &Exchange, hash: &str, owed: &[Vec<Vec<String>>]) -> Result<(), Fault> {
    let folders = &exchange.form.folders;
    let copies = format!("{}/acknowledged", folders.sent);
    for (at, segments) in owed.iter().enumerate() {
        let name = format!("fa_{hash}_{at}.x12");
        if exchange.exists(&format!("{copies}/{name}"), Priority::Control).await? {
            continue;
        }
        let number = exchange.number().await?;
        let text = x12::write(&envelope(exchange, number, "FA", "997"), segments);
        exchange.write(&folders.staging, &name, text.as_bytes(), Priority::Control).await?;
        let (from, to) = (format!("{}/{name}", folders.staging), format!("{}/{name}", folders.orders));
        exchange.rename(&from, &to, Priority::Control).await?;
        exchange.write_whole(&copies, &name, text.as_bytes(), Priority::Control).await?;
    }
    Ok(())
}
