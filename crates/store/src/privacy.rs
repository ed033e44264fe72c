//! Taking out what tells who somebody is. The rows, their digests, amounts and times stay, so that every proof stays valid and
//! the same document that comes again is known for what it is; the bytes go, and are overwritten in the file.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{
    AnyRecord, Brand, CaptureId, ConnectionName, ExternalId, FlowName, Kind, ObligationId, RecordId, RecordKey,
    compare::Difference,
    obligation::State,
    privacy::{ERASED, Sought, telling, unmistakable, without_person, without_words, words_of},
    statement::Entry,
};

use crate::{
    Result, Tx, View,
    captures::kind_of,
    packing::{limit, micros, pack, unpack, unreadable},
    records::{form_and_body, from_form, from_json, json, search_text},
};

/// How many records of one person are erased at once; more is no person.
pub const RECORDS_MAX: usize = 20_000;

/// Whose traces are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Person {
    /// Whoever has this e-mail address, whatever they bought.
    Email(String),
    /// Whoever placed this order; only what belongs to it.
    Order(RecordKey),
}

/// What is kept of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// The records, every revision.
    pub records: Vec<RecordId>,
    /// The orders that they are about.
    pub orders: BTreeSet<RecordKey>,
    /// The texts that tell who it is, in lower case.
    pub words: Vec<String>,
    /// What is still on its way or held: without name and address it could not be delivered.
    pub open: Vec<OpenTrace>,
}

/// Something of a person that is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTrace {
    /// Which obligation; none for a document that is not decoded yet.
    pub id: Option<ObligationId>,
    /// Of which flow.
    pub flow: FlowName,
    /// Our key.
    pub key: RecordKey,
    /// Where it stands.
    pub state: State,
}

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Erased {
    /// Revisions of records.
    pub records: u64,
    /// Documents as they came.
    pub documents: u64,
    /// Webhook deliveries.
    pub webhooks: u64,
    /// Sentences in stories, exceptions, differences and statements.
    pub texts: u64,
}

impl Erased {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            documents: self.documents + other.documents,
            webhooks: self.webhooks + other.webhooks,
            texts: self.texts + other.texts,
        }
    }
}

/// A table in which people and the engine wrote about anything, and so perhaps about somebody.
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    table: &'static str,
    columns: &'static [&'static str],
    packed: bool,
    /// Which of its rows are settled.
    settled: &'static str,
    /// Only those are looked through.
    only_settled: bool,
}

impl Texts {
    const fn of(table: &'static str, columns: &'static [&'static str], settled: &'static str) -> Self {
        Self { table, columns, packed: false, settled, only_settled: false }
    }

    /// The same, without what somebody still has to decide or to deliver.
    #[must_use]
    pub const fn only_settled(self) -> Self {
        Self { only_settled: true, ..self }
    }

    fn select(&self, rest: &str) -> String {
        let settled = if self.only_settled { format!("({}) AND ", self.settled) } else { String::new() };
        format!("SELECT id, {} FROM {} WHERE {settled}{rest}", self.columns.join(", "), self.table)
    }
}

/// What a cause is called: an exception is one cause, so two that are the same without a name stay two.
const CAUSE: &str = "cause";

/// All of them. There may be very many rows: they are looked through in pieces ([`View::texts_naming`]), and only those that name
/// somebody are written ([`Tx::erase_texts`]).
pub const TEXTS: [Texts; 6] = [
    Texts::of("exceptions", &["value", "message", "remedy", "snoozed_why", "closed_why", CAUSE], "open = 0"),
    Texts::of("exception_events", &["detail"], "exception_id IN (SELECT id FROM exceptions WHERE open = 0)"),
    // What nobody decided in its time is over, too.
    Texts::of("approvals", &["act", "reason"], "state IN ('rejected', 'done') OR expires_at < unixepoch() * 1000000"),
    Texts::of("alert_messages", &["note"], "settled_at IS NOT NULL"),
    Texts { packed: true, ..Texts::of("alert_messages", &["body"], "settled_at IS NOT NULL") },
    Texts::of("edits", &["reason"], "ended_at IS NOT NULL"),
];

/// A row of which one text is to be replaced.
struct Text {
    id: i64,
    texts: Vec<Option<String>>,
}

impl View<'_> {
    /// What is kept of a person.
    pub fn traces(&self, brand: &Brand, person: &Person) -> Result<Traces> {
        let mut keys: BTreeSet<(Kind, RecordKey)> = BTreeSet::new();
        let mut orders: BTreeSet<RecordKey> = BTreeSet::new();
        match person {
            Person::Order(key) => drop(orders.insert(key.clone())),
            Person::Email(email) => {
                let email = email.trim().to_lowercase();
                let sql = "SELECT DISTINCT key FROM edits WHERE brand = ?1 AND ?2 IN (lower(before), lower(after))";
                let mut statement = self.connection.prepare_cached(sql)?;
                for key in statement.query_map([brand.as_str(), &email], |row| row.get(0).map(RecordKey))? {
                    orders.insert(key?);
                }
                let sql = "SELECT kind, key, order_key, search FROM records WHERE brand = ?1 AND instr(search, ?2) > 0";
                let mut statement = self.connection.prepare_cached(sql)?;
                let mut rows = statement.query([brand.as_str(), &email])?;
                while let Some(row) = rows.next()? {
                    let (kind, search): (String, String) = (row.get(0)?, row.get(3)?);
                    // A part of somebody else's address is somebody else's.
                    if search.lines().any(|line| line == email) {
                        match row.get::<_, Option<String>>(2)? {
                            Some(order) => drop(orders.insert(RecordKey(order))),
                            None => drop(keys.insert((kind_of(&kind)?, RecordKey(row.get(1)?)))),
                        }
                    }
                }
            }
        }
        let mut traces = Traces::default();
        let mut words = Vec::new();
        let mut documents: BTreeSet<(String, String, String)> = BTreeSet::new();
        for order in &orders {
            let sql = "SELECT DISTINCT kind, key FROM records WHERE brand = ?1 AND order_key = ?2 AND latest = 1";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([brand.as_str(), order.as_str()])?;
            while let Some(row) = rows.next()? {
                let kind: String = row.get(0)?;
                keys.insert((kind_of(&kind)?, RecordKey(row.get(1)?)));
            }
        }
        for (kind, key) in &keys {
            let sql =
                "SELECT id, form, body, capture_id FROM records WHERE brand = ?1 AND kind = ?2 AND key = ?3 ORDER BY id LIMIT ?4";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![brand.as_str(), kind.word(), key.as_str(), limit(RECORDS_MAX)])?;
            while let Some(row) = rows.next()? {
                let form: String = row.get(1)?;
                let record = from_form(&form, &unpack("a record", row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?)?;
                words.extend(words_of(&record));
                traces.records.push(RecordId(row.get(0)?));
                if let Some(capture) = row.get::<_, Option<i64>>(3)? {
                    documents.insert(self.document_of(CaptureId(capture))?);
                }
            }
            for row in self.obligations_of(brand, *kind, key)? {
                if row.state.in_flight() || row.state == State::Held {
                    traces.open.push(OpenTrace { id: Some(row.id), flow: row.flow, key: row.key, state: row.state });
                }
            }
        }
        for (connection, kind, external_id) in &documents {
            let sql = "SELECT EXISTS (SELECT 1 FROM captures WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND external_id = ?4 AND state = 'due')";
            let waits = self
                .connection
                .prepare_cached(sql)?
                .query_row([brand.as_str(), connection, kind, external_id], |row| row.get::<_, bool>(0))?;
            if waits {
                let (flow, key) = (FlowName::default(), RecordKey(external_id.clone()));
                traces.open.push(OpenTrace { id: None, flow, key, state: State::Captured });
            }
        }
        if let Person::Email(email) = person {
            words.push(email.clone());
        }
        // What somebody typed over an order names its shopper, too, and so does the number of a parcel.
        let shipments = keys.iter().filter(|(kind, _)| *kind == Kind::Shipment).map(|(_, key)| key);
        for edited in orders.iter().chain(shipments) {
            let sql = "SELECT before, after FROM edits WHERE brand = ?1 AND key = ?2";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([brand.as_str(), edited.as_str()])?;
            while let Some(row) = rows.next()? {
                words.extend([row.get::<_, Option<String>>(0)?, row.get(1)?].into_iter().flatten());
            }
        }
        if traces.records.len() > RECORDS_MAX {
            return Err(unreadable(
                "what is kept of this person",
                format!("{} revisions are more than {RECORDS_MAX}: erase order by order", traces.records.len()),
            ));
        }
        traces.words = telling(words);
        traces.orders = orders;
        Ok(traces)
    }

    fn document_of(&self, capture: CaptureId) -> Result<(String, String, String)> {
        let sql = "SELECT connection, kind, external_id FROM captures WHERE id = ?1";
        Ok(self.connection.prepare_cached(sql)?.query_row([capture.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
    }

    /// Webhook deliveries after a row in which one of the words stands, and the row to go on from, where there may be more.
    pub fn deliveries_naming(
        &self,
        brand: &Brand,
        words: &[String],
        after: i64,
        looked_at: usize,
    ) -> Result<(Vec<i64>, Option<i64>)> {
        let sql = "SELECT id, body FROM deliveries WHERE brand = ?1 AND id > ?2 AND erased_at IS NULL ORDER BY id LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), after, limit(looked_at)])?;
        let (mut found, mut last, mut seen) = (Vec::new(), after, 0);
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            seen += 1;
            let body = unpack("a delivery", row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?;
            if without_words(&String::from_utf8_lossy(&body), words).is_some() {
                found.push(last);
            }
        }
        Ok((found, (seen == looked_at).then_some(last)))
    }

    /// Rows after one in whose texts one of the words stands, and the row to go on from, where there may be more.
    pub fn texts_naming(
        &self,
        brand: &Brand,
        texts: Texts,
        sought: &Sought,
        after: i64,
        looked_at: usize,
    ) -> Result<(Vec<i64>, Option<i64>)> {
        let sql = texts.select("brand = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![brand.as_str(), after, limit(looked_at)])?;
        let (mut found, mut last, mut seen) = (Vec::new(), after, 0);
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            seen += 1;
            if without_somebody(texts, row, sought)?.is_some() {
                found.push(last);
            }
        }
        Ok((found, (seen == looked_at).then_some(last)))
    }

    /// The rows whose texts (every column but the first, which is their number) have one of the words in them, without it.
    fn naming(&self, sql: &str, values: impl rusqlite::Params, words: &[String]) -> Result<Vec<Text>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(values)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut named = false;
            let mut texts = Vec::with_capacity(columns);
            for column in 1..columns {
                let text: Option<String> = row.get(column)?;
                let without = text.as_deref().and_then(|text| without_words(text, words));
                named |= without.is_some();
                texts.push(without.or(text));
            }
            if named {
                found.push(Text { id: row.get(0)?, texts });
            }
        }
        Ok(found)
    }
}

/// The texts of a row without the words, as they are kept; nothing when none of the words stands there.
fn without_somebody(texts: Texts, row: &rusqlite::Row<'_>, sought: &Sought) -> Result<Option<Vec<rusqlite::types::Value>>> {
    use rusqlite::types::Value;
    let (mut named, mut kept) = (false, Vec::with_capacity(texts.columns.len()));
    for (column, at) in texts.columns.iter().zip(1..) {
        let text = if texts.packed {
            let bytes = unpack("a text", row.get_ref(at)?.as_blob().map_err(rusqlite::Error::from)?)?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        } else {
            row.get::<_, Option<String>>(at)?
        };
        let without = text.as_deref().and_then(|text| sought.taken_out_of(text));
        named |= without.is_some();
        kept.push(match (without, text) {
            (Some(without), _) if *column == CAUSE => Value::Text(format!("{without}#{}", row.get::<_, i64>(0)?)),
            (Some(without), _) if texts.packed => Value::Blob(pack(without.as_bytes())),
            (None, Some(text)) if texts.packed => Value::Blob(pack(text.as_bytes())),
            (without, text) => without.or(text).map_or(Value::Null, Value::Text),
        });
    }
    Ok(named.then_some(kept))
}

impl Tx<'_> {
    /// Erases what is kept of a person, but for webhook deliveries ([`Tx::erase_deliveries`]) and for what was written about anything
    /// ([`Tx::erase_texts`]): those come first, because nobody is found by name any more after this. What is not settled is erased with
    /// the rest: look at [`Traces::open`] first.
    pub fn erase_person(&self, brand: &Brand, traces: &Traces, now: Timestamp) -> Result<Erased> {
        self.overwriting(|| {
            let mut erased = Erased::default();
            for id in &traces.records {
                erased.texts += self.erase_story(*id, &traces.words)?;
                erased.documents += self.erase_document_of(*id, now)?;
                erased.records += u64::from(self.erase_record(*id, now)?);
            }
            for order in &traces.orders {
                erased.texts += self.erase_family(brand, order, &traces.words)?;
                let sql = "DELETE FROM bought WHERE brand = ?1 AND order_key = ?2";
                self.connection.prepare_cached(sql)?.execute([brand.as_str(), order.as_str()])?;
            }
            erased.texts += self.erase_checks(brand, &Sought::of(&unmistakable(&traces.words)))?;
            // Kept for a repeated request of the same day alone.
            let sql = "DELETE FROM idempotency_keys WHERE brand = ?1 AND answer IS NOT NULL";
            self.connection.prepare_cached(sql)?.execute([brand.as_str()])?;
            Ok(erased)
        })
    }

    /// Takes words out of rows of a table of texts; how many had them.
    pub fn erase_texts(&self, texts: Texts, ids: &[i64], sought: &Sought) -> Result<u64> {
        self.overwriting(|| {
            let sets: Vec<String> = texts.columns.iter().zip(2..).map(|(column, at)| format!("{column} = ?{at}")).collect();
            let change = format!("UPDATE {} SET {} WHERE id = ?1", texts.table, sets.join(", "));
            let look = texts.select("id = ?1");
            let mut erased = 0;
            for id in ids {
                let mut look = self.connection.prepare_cached(&look)?;
                let without =
                    look.query_and_then([id], |row| without_somebody(texts, row, sought))?.next().transpose()?.flatten();
                let Some(without) = without else { continue };
                let values = std::iter::once(rusqlite::types::Value::Integer(*id)).chain(without);
                self.connection.prepare_cached(&change)?.execute(rusqlite::params_from_iter(values))?;
                erased += 1;
            }
            Ok(erased)
        })
    }

    /// Takes words out of what people wrote beside the checks of a checklist and the pause of a flow, and of what receivers of webhooks
    /// said; how many texts.
    pub fn erase_checks(&self, brand: &Brand, sought: &Sought) -> Result<u64> {
        let mut erased = 0;
        for (look, change) in [
            (
                "SELECT note, list, period, item FROM check_ticks WHERE brand = ?1 AND note <> ''",
                "UPDATE check_ticks SET note = ?2 WHERE brand = ?1 AND list = ?3 AND period = ?4 AND item = ?5",
            ),
            (
                "SELECT reason, flow, '', '' FROM flow_pauses WHERE brand = ?1",
                "UPDATE flow_pauses SET reason = ?2 WHERE brand = ?1 AND flow = ?3 AND ?4 = ?5",
            ),
            (
                "SELECT said, webhook, '', '' FROM webhooks WHERE brand = ?1 AND said <> ''",
                "UPDATE webhooks SET said = ?2 WHERE brand = ?1 AND webhook = ?3 AND ?4 = ?5",
            ),
            (
                "SELECT reason, list, period, '' FROM check_signs WHERE brand = ?1 AND reason <> ''",
                "UPDATE check_signs SET reason = ?2 WHERE brand = ?1 AND list = ?3 AND period = ?4 AND ?5 = ''",
            ),
        ] {
            type Row = (String, String, String, String);
            let mut statement = self.connection.prepare_cached(look)?;
            let rows = statement.query_map([brand.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
            for (text, list, period, item) in rows.collect::<rusqlite::Result<Vec<Row>>>()? {
                if let Some(without) = sought.taken_out_of(&text) {
                    self.connection.prepare_cached(change)?.execute(params![brand.as_str(), without, list, period, item])?;
                    erased += 1;
                }
            }
        }
        Ok(erased)
    }

    /// Erases the bytes of deliveries; how many had any left.
    pub fn erase_deliveries(&self, ids: &[i64], now: Timestamp) -> Result<u64> {
        self.overwriting(|| {
            let sql = "UPDATE deliveries SET body = ?2, erased_at = ?3 WHERE id = ?1 AND erased_at IS NULL";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut erased = 0;
            for id in ids {
                erased += statement.execute(params![id, pack(b""), micros(now)])? as u64;
            }
            Ok(erased)
        })
    }

    /// What is freed while this works is overwritten in the file, and not only left to be used again.
    pub(crate) fn overwriting<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.connection.pragma_update(None, "secure_delete", true)?;
        let done = work();
        self.connection.pragma_update(None, "secure_delete", false)?;
        done
    }

    /// Takes the person out of one revision; whether there was one left in it. Its digest stays: it proves what it was.
    pub(crate) fn erase_record(&self, id: RecordId, now: Timestamp) -> Result<bool> {
        let sql = "SELECT form, body, problems, erased_at, brand, latest FROM records WHERE id = ?1";
        let found = self.connection.prepare_cached(sql)?.query_row([id.0], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, Vec<u8>>(1)?,
                row.get::<_, Option<Vec<u8>>>(2)?,
                row.get::<_, Option<i64>>(3)?,
                row.get::<_, String>(4)?,
                row.get::<_, bool>(5)?,
            ))
        });
        let Some((form, body, problems, erased_at, brand, latest)) = found.optional()? else { return Ok(false) };
        let record = from_form(&form, &unpack("a record", &body)?)?;
        if latest && matches!(record, AnyRecord::Order(_) | AnyRecord::Shipment(_)) {
            // An edit that is still in force would put somebody back. Before the newest revision goes it may be needed.
            let sql = "UPDATE edits SET before = NULL, after = NULL, beside = NULL, reason = '', ended_at = coalesce(ended_at, ?3), ended_why = coalesce(ended_why, 'erased')
                       WHERE brand = ?1 AND key = ?2";
            self.connection.prepare_cached(sql)?.execute(params![brand, record.key().as_str(), micros(now)])?;
        }
        if erased_at.is_some() {
            // What was put in since is gone, and its words with it.
            if latest {
                self.index_words(&Brand(brand), &record, None)?;
            }
            return Ok(false);
        }
        let words = words_of(&record);
        let record = without_person(record);
        let (_, body) = form_and_body(&record)?;
        let problems = problems
            .map(|packed| unpack("the problems of a record", &packed).map(|text| pack(&without(&text, &words))))
            .transpose()?;
        // A product is called what it is called; of the others nobody is to be found any more.
        let who = if matches!(record, AnyRecord::Product(_)) { None } else { Some("") };
        let sql =
            "UPDATE records SET body = ?2, problems = ?3, who = coalesce(?4, who), search = ?5, erased_at = ?6 WHERE id = ?1";
        let values = params![id.0, pack(&body), problems, who, search_text(&record), micros(now)];
        self.connection.prepare_cached(sql)?.execute(values)?;
        for obligation in self.obligations_about(id)? {
            self.erase_owed(obligation, &words)?;
        }
        if latest {
            self.index_words(&Brand(brand), &record, None)?;
        }
        Ok(true)
    }

    /// Takes the person out of what the gate made of a record, and out of what a flow in shadow mode found.
    fn erase_owed(&self, id: ObligationId, words: &[String]) -> Result<()> {
        if let Some(prepared) = self.prepared(id)? {
            let (_, body) = form_and_body(&without_person(prepared))?;
            let sql = "UPDATE obligations SET prepared = ?2 WHERE id = ?1";
            self.connection.prepare_cached(sql)?.execute(params![id.0, pack(&body)])?;
        }
        self.connection.prepare_cached("DELETE FROM exchanges WHERE obligation_id = ?1")?.execute([id.0])?;
        let sql = "SELECT body FROM comparisons WHERE obligation_id = ?1";
        let compared = self.connection.prepare_cached(sql)?.query_row([id.0], |row| row.get::<_, Vec<u8>>(0)).optional()?;
        if let Some(compared) = compared {
            let mut found: Vec<Difference> = from_json("a comparison", &unpack("a comparison", &compared)?)?;
            for text in found.iter_mut().flat_map(|difference| [&mut difference.expected, &mut difference.actual]).flatten() {
                if let Some(without) = without_words(text, words) {
                    *text = without;
                }
            }
            let sql = "UPDATE comparisons SET body = ?2 WHERE obligation_id = ?1";
            self.connection.prepare_cached(sql)?.execute(params![id.0, pack(&json(&found)?)])?;
        }
        Ok(())
    }

    /// The obligations of one revision.
    fn obligations_about(&self, record: RecordId) -> Result<Vec<ObligationId>> {
        let sql = "SELECT brand, kind, key FROM records WHERE id = ?1";
        let (brand, kind, key): (String, String, String) =
            self.connection.prepare_cached(sql)?.query_row([record.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let all = self.obligations_of(&Brand(brand), kind_of(&kind)?, &RecordKey(key))?;
        Ok(all.into_iter().filter(|row| row.record == record).map(|row| row.id).collect())
    }

    /// Takes words out of what was told of a record's obligations; how many sentences.
    pub(crate) fn erase_story(&self, record: RecordId, words: &[String]) -> Result<u64> {
        let mut texts = 0;
        for id in self.obligations_about(record)? {
            for text in self.naming("SELECT number, detail FROM attempts WHERE obligation_id = ?1", [id.0], words)? {
                let sql = "UPDATE attempts SET detail = ?3 WHERE obligation_id = ?1 AND number = ?2";
                self.connection.prepare_cached(sql)?.execute(params![id.0, text.id, text.texts.first().cloned().flatten()])?;
                texts += 1;
            }
            for text in self.naming("SELECT id, note FROM obligations WHERE id = ?1", [id.0], words)? {
                let sql = "UPDATE obligations SET note = ?2 WHERE id = ?1";
                self.connection.prepare_cached(sql)?.execute(params![text.id, text.texts.first().cloned().flatten()])?;
                texts += 1;
            }
        }
        Ok(texts)
    }

    /// Erases every capture of the document that a revision was decoded from; how many had bytes left.
    fn erase_document_of(&self, record: RecordId, now: Timestamp) -> Result<u64> {
        let sql = "SELECT c.brand, c.connection, c.kind, c.external_id FROM records r JOIN captures c ON c.id = r.capture_id WHERE r.id = ?1";
        let document = self.connection.prepare_cached(sql)?.query_row([record.0], |row| {
            Ok((Brand(row.get(0)?), ConnectionName(row.get(1)?), row.get::<_, String>(2)?, ExternalId(row.get(3)?)))
        });
        let Some((brand, connection, kind, external_id)) = document.optional()? else { return Ok(0) };
        let sql = "UPDATE captures SET body = ?5, erased_at = ?6
                   WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND external_id = ?4 AND erased_at IS NULL AND state <> 'due'";
        let values = params![brand.as_str(), connection.as_str(), kind, external_id.as_str(), pack(b""), micros(now)];
        Ok(self.connection.prepare_cached(sql)?.execute(values)? as u64)
    }

    /// Takes words out of what reconciliation found about an order; how many texts. With `only_closed`, what two ends still disagree
    /// on is left: somebody has to see both values.
    pub(crate) fn erase_differences(&self, brand: &Brand, order: &RecordKey, words: &[String], only_closed: bool) -> Result<u64> {
        let mut texts = 0;
        let which = "brand = ?1 AND family = ?2 AND (?3 = 0 OR closed_at IS NOT NULL)";
        let values = params![brand.as_str(), order.as_str(), only_closed];
        // What two ends say of a person is about the person even where one of them is wrong.
        let sql =
            format!("UPDATE differences SET expected = ?4, actual = ?4 WHERE {which} AND cause = 'party' AND expected IS NOT ?4");
        texts +=
            self.connection.prepare_cached(&sql)?.execute(params![brand.as_str(), order.as_str(), only_closed, ERASED])? as u64;
        for text in self.naming(
            &format!("SELECT id, expected, actual, detail, suggestion FROM differences WHERE {which}"),
            values,
            words,
        )? {
            let [expected, actual, detail, suggestion] = text.texts.as_slice() else { continue };
            let sql = "UPDATE differences SET expected = ?2, actual = ?3, detail = ?4, suggestion = ?5 WHERE id = ?1";
            self.connection.prepare_cached(sql)?.execute(params![text.id, expected, actual, detail, suggestion])?;
            texts += 1;
        }
        Ok(texts)
    }

    /// Takes words out of what reconciliation found about an order and keeps of its statements; how many texts.
    fn erase_family(&self, brand: &Brand, order: &RecordKey, words: &[String]) -> Result<u64> {
        let mut texts = self.erase_differences(brand, order, words, false)?;
        let runs = "SELECT id FROM reconciliations WHERE brand = ?1";
        let mut statement = self.connection.prepare_cached(runs)?;
        let runs = statement.query_map([brand.as_str()], |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
        for run in runs {
            let sql = "SELECT side, kind, connection, external_id, body FROM statement_entries WHERE run_id = ?1 AND family = ?2";
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![run, order.as_str()], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                    row.get::<_, Vec<u8>>(4)?,
                ))
            })?;
            for (side, kind, connection, external_id, body) in rows.collect::<rusqlite::Result<Vec<_>>>()? {
                let mut entry: Entry = from_json("an entry", &unpack("an entry", &body)?)?;
                if entry.buyer.is_none() && entry.address.is_none() && entry.tracking.is_empty() {
                    continue;
                }
                entry.buyer = None;
                entry.address = None;
                entry.tracking.clear();
                let sql = "UPDATE statement_entries SET body = ?7
                           WHERE run_id = ?1 AND family = ?2 AND side = ?3 AND kind = ?4 AND connection = ?5 AND external_id = ?6";
                let values = params![run, order.as_str(), side, kind, connection, external_id, pack(&json(&entry)?)];
                self.connection.prepare_cached(sql)?.execute(values)?;
                texts += 1;
            }
        }
        Ok(texts)
    }
}

/// A text kept as bytes, without the words.
fn without(text: &[u8], words: &[String]) -> Vec<u8> {
    without_words(&String::from_utf8_lossy(text), words).map_or_else(|| text.to_vec(), String::into_bytes)
}

#[cfg(test)]
mod tests;
