//! Pick orders to the warehouse, file by file, and what became of them.
//!
//! What was sent is kept at the server, in a folder for each order: the file as it was handed over, the cancellation if
//! there was one, and what the partner answered. Nobody else writes there, so it can be read back at any time.

use std::sync::Arc;

use async_trait::async_trait;
use selvedge_connector::{
    Cursor, Decoded, Encoded, Enumerated, EnumeratedPage, Fault, Found, Need, Page, Priority, Raw, Receipt, Request, Sink,
    Source, Standing,
};
use selvedge_model::{
    ExternalId, Interval, Kind, Order, Problem,
    compare::Carries,
    gate::{Lookup, Values},
};

use super::{
    decode::{self, Sent},
    encode,
    exchange::{Exchange, named, number_of, order_of},
    message::{Answer, FileKind},
    settings::Format,
    x12,
};

/// The port.
pub(super) struct Orders {
    pub exchange: Arc<Exchange>,
}

/// How names of what the partner answered to a file end.
pub(super) const ANSWER: &str = ".answer";

impl Orders {
    fn folder(&self, order: &str) -> String {
        format!("{}/{}", self.exchange.form.folders.sent, named(order))
    }

    fn prefix(&self, kind: FileKind, order: &str) -> String {
        format!("{}_{}_", self.exchange.form.prefix(kind), named(order))
    }

    /// The files of an order in our folder: name and date, the latest number last.
    async fn files(&self, order: &str, kind: FileKind, priority: Priority) -> Result<Vec<(String, jiff::Timestamp)>, Fault> {
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
        let Some(within) = self.exchange.form.acknowledged_within.filter(|_| sent.answer.is_none() && sent.staged.is_none())
        else {
            return Ok(false);
        };
        let age = self.exchange.clock.now().duration_since(written);
        if age.as_secs() < i64::try_from(within.as_secs()).unwrap_or(i64::MAX) {
            return Ok(true);
        }
        let problem = Problem::new(
            "pick.unacknowledged",
            "",
            format!(
                "{} was handed over {} minutes ago, and the warehouse has not acknowledged it",
                sent.file,
                age.as_secs() / 60
            ),
            "Ask the warehouse whether they have it. Nothing is sent again by itself, or it would be picked twice; release looks for their answer once more.",
        );
        Err(Fault::Refused { what: format!("read {}", sent.file), problems: vec![problem] })
    }

    async fn read(&self, file: &str, priority: Priority) -> Result<Option<Raw>, Fault> {
        let Some(order) = order_of(file) else { return Ok(None) };
        let Some(bytes) = self.exchange.read(&format!("{}/{file}", self.folder(&order)), priority).await? else {
            return Ok(None);
        };
        let files = self.files(&order, FileKind::Order, priority).await?;
        let written = files.iter().find(|(name, _)| name == file).map(|(_, at)| *at);
        let cancellation = self.files(&order, FileKind::Cancellation, priority).await?.pop().map(|(name, _)| name);
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
        Ok(Some(Raw { kind: Kind::Order, id: ExternalId::new(file), version: written, body }))
    }

    /// Writes a file into our folders: first where it waits to be handed over, then the copy that says that it is whole.
    async fn stage(&self, request: &Request) -> Result<Receipt, Fault> {
        let form = &self.exchange.form;
        let kind: FileKind = serde_json::from_value(request.body["kind"].clone()).unwrap_or(FileKind::Order);
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
                ("x12", x12::write(&self.envelope(number, "OW", "940"), &segments).into_bytes())
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
        Ok(Receipt { id: (kind == FileKind::Order).then(|| ExternalId::new(&file)), warnings: Vec::new() })
    }

    fn envelope(&self, number: u32, functional: &'static str, code: &'static str) -> x12::Envelope {
        envelope(&self.exchange, number, functional, code)
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

#[async_trait]
impl Source<Order> for Orders {
    fn decode(&self, raw: &Raw, _words: &Values) -> Decoded<Order> {
        decode::order(raw, &self.exchange.form)
    }

    async fn list(&self, interval: &Interval, page: Option<&Cursor>) -> Result<Page, Fault> {
        let items = self.enumerate(interval, page).await?.items;
        let ids: Vec<ExternalId> = items.into_iter().map(|item| item.id).collect();
        Ok(Page { raws: self.fetch(&ids, Priority::Sweeps).await?, next: None })
    }

    /// What waits in the partner's folder. What they have taken cannot be enumerated: their answers and shipments tell of it.
    async fn enumerate(&self, _interval: &Interval, _page: Option<&Cursor>) -> Result<EnumeratedPage, Fault> {
        let form = &self.exchange.form;
        let entries = self.exchange.list(&form.folders.orders, Priority::Sweeps).await?.unwrap_or_default();
        let prefix = format!("{}_", form.prefix(FileKind::Order));
        let ours = entries.into_iter().filter(|entry| entry.name.starts_with(&prefix));
        let item = |entry: selvedge_sftp::Entry| Enumerated {
            id: ExternalId::new(&entry.name),
            key: order_of(&entry.name).map(selvedge_model::RecordKey::new),
            version: jiff::Timestamp::from_second(entry.modified).ok(),
        };
        Ok(EnumeratedPage { items: ours.map(item).collect(), next: None })
    }

    async fn fetch(&self, ids: &[ExternalId], priority: Priority) -> Result<Vec<Raw>, Fault> {
        let mut raws = Vec::new();
        for id in ids {
            raws.extend(self.read(id.as_str(), priority).await?);
        }
        Ok(raws)
    }

    fn fetch_max(&self) -> usize {
        1
    }
}

#[async_trait]
impl Sink<Order> for Orders {
    fn lookups(&self, order: &Order) -> Vec<Lookup> {
        encode::lookups(order, &self.exchange.form)
    }

    fn needs(&self, _order: &Order) -> Option<Need> {
        None
    }

    fn encode(&self, order: &Order, values: &Values, there: Standing<'_>) -> Result<Encoded, Vec<Problem>> {
        let own = match there.own {
            Some(raw) => Some(decode::there(raw, &self.exchange.form).ok_or_else(|| {
                vec![Problem::new(
                    "decode.unreadable",
                    "",
                    format!("the copy of {} cannot be read", raw.id),
                    "Look at it in the folder of sent files; ask the warehouse what they have, then dismiss or release.",
                )]
            })?),
            None => None,
        };
        encode::order(order, values, own.as_ref(), &self.exchange.form)
    }

    async fn find(&self, record: &Order) -> Result<Option<Found>, Fault> {
        let mut files = self.files(record.number.as_str(), FileKind::Order, Priority::Orders).await?;
        Ok(files.pop().map(|(name, _)| Found { id: ExternalId::new(name) }))
    }

    async fn put(&self, request: &Request) -> Result<Receipt, Fault> {
        if request.method == "STAGE" {
            return self.stage(request).await;
        }
        let (folders, file) = (&self.exchange.form.folders, request.path.as_str());
        let (from, to) = (format!("{}/{file}", folders.staging), format!("{}/{file}", folders.orders));
        // A staged file that is gone was renamed by a call whose answer was lost.
        self.exchange.rename(&from, &to, Priority::Orders).await?;
        Ok(Receipt { id: request.update.clone(), warnings: Vec::new() })
    }

    fn carries(&self) -> Carries {
        Carries { status: true, ..Carries::default() }
    }

    fn finishes_in_one(&self) -> bool {
        false
    }
}
