//! Raw bytes as they came, before anyone tried to understand them; notices and deliveries.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{Brand, CaptureId, ConnectionName, ExternalId, Kind};

use crate::{
    Result, StoreError, Tx, View,
    packing::{limit, micros, moment, moment_maybe, pack, unpack, unreadable},
};

/// How many pending notices are held against the captures at once, the oldest first.
const OVERTAKEN_MAX: i64 = 2_000;

/// A raw document to keep.
#[derive(Clone, Debug)]
pub struct NewCapture {
    /// Whose.
    pub brand: Brand,
    /// Through which connection.
    pub connection: ConnectionName,
    /// Said to be of which kind.
    pub kind: Kind,
    /// Their id.
    pub external_id: ExternalId,
    /// Their *as of*, where they state one.
    pub version: Option<Timestamp>,
    /// The bytes; stored compressed.
    pub body: Vec<u8>,
    /// Which way it came: `feed`, `webhook`, `poll`, `sweep`.
    pub via: &'static str,
    /// When its system was asked for it: it may have changed since, and word of that is not answered by it. None where nobody asked.
    pub asked_at: Option<Timestamp>,
    /// When it came.
    pub received_at: Timestamp,
}

/// What became of a raw document on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// New or changed: waits to be decoded.
    New(CaptureId),
    /// Byte for byte what the latest capture of this document (or a stale one) holds: counted, not kept.
    Same(CaptureId),
    /// Its *as of* lies before the latest capture's: kept for evidence, never decoded into a record.
    Stale(CaptureId),
}

/// A raw document that waits to be decoded.
#[derive(Clone, Debug)]
pub struct CaptureRow {
    /// Its row.
    pub id: CaptureId,
    /// Through which connection.
    pub connection: ConnectionName,
    /// Its kind.
    pub kind: Kind,
    /// Their id.
    pub external_id: ExternalId,
    /// Their *as of*.
    pub version: Option<Timestamp>,
    /// The bytes, as they came.
    pub body: Vec<u8>,
    /// Which way it came.
    pub via: String,
    /// When.
    pub received_at: Timestamp,
}

/// Word that a document is new or has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// Row number.
    pub id: i64,
    /// Kind.
    pub kind: Kind,
    /// Their id.
    pub external_id: ExternalId,
    /// When we first heard.
    pub heard_at: Timestamp,
}

impl Tx<'_> {
    /// Keeps a raw document, unless the latest capture of it is the same. Content that comes back
    /// (A, then B, then A again) is three captures.
    pub fn capture(&self, new: &NewCapture) -> Result<Arrived> {
        let digest = *blake3::hash(&new.body).as_bytes();
        let (version, received_at) = (new.version.map(micros), micros(new.received_at));
        let asked_at = new.asked_at.map_or(0, micros);
        let mut stale = false;
        if let Some(latest) = self.latest_capture(&new.brand, &new.connection, new.kind, &new.external_id)? {
            if latest.digest == digest {
                self.seen_again(latest.id, version, asked_at)?;
                return Ok(Arrived::Same(CaptureId(latest.id)));
            }
            stale = matches!((version, latest.version), (Some(this), Some(known)) if this < known);
        }
        if stale && let Some(id) = self.stale_capture(new, &digest)? {
            self.seen_again(id, version, asked_at)?;
            return Ok(Arrived::Same(CaptureId(id)));
        }
        let sql =
            "INSERT INTO captures (brand, connection, kind, external_id, state, version, received_at, seen_at, via, digest, body)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        self.connection.prepare_cached(sql)?.execute(params![
            new.brand.as_str(),
            new.connection.as_str(),
            new.kind.word(),
            new.external_id.as_str(),
            if stale { "stale" } else { "due" },
            version,
            received_at,
            asked_at,
            new.via,
            digest,
            pack(&new.body),
        ])?;
        let id = CaptureId(self.connection.last_insert_rowid());
        Ok(if stale { Arrived::Stale(id) } else { Arrived::New(id) })
    }

    /// The same bytes under a newer *as of* move the *as of*, or a sweep would ask for them for ever.
    fn seen_again(&self, id: i64, version: Option<i64>, at: i64) -> Result<()> {
        let sql = "UPDATE captures SET seen_count = seen_count + 1, seen_at = max(seen_at, ?2),
                   version = coalesce(max(version, ?3), version, ?3) WHERE id = ?1";
        self.connection.prepare_cached(sql)?.execute(params![id, at, version])?;
        Ok(())
    }

    fn stale_capture(&self, new: &NewCapture, digest: &[u8; 32]) -> Result<Option<i64>> {
        let sql = "SELECT id FROM captures WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND external_id = ?4
                   AND state = 'stale' AND digest = ?5 LIMIT 1";
        let values = params![new.brand.as_str(), new.connection.as_str(), new.kind.word(), new.external_id.as_str(), digest];
        Ok(self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?)
    }

    /// Marks a capture as decoded.
    pub fn capture_decoded(&self, id: CaptureId) -> Result<()> {
        let sql = "UPDATE captures SET state = 'decoded' WHERE id = ?1 AND state = 'due'";
        self.connection.prepare_cached(sql)?.execute([id.0])?;
        Ok(())
    }

    /// Keeps a webhook delivery as it came. `false` when the same bytes were delivered before
    /// (then only the counter moves).
    pub fn delivery(&self, brand: &Brand, connection: &ConnectionName, body: &[u8], at: Timestamp) -> Result<bool> {
        let (digest, at) = (*blake3::hash(body).as_bytes(), micros(at));
        let sql = "UPDATE deliveries SET seen_count = seen_count + 1, seen_at = max(seen_at, ?4)
                   WHERE brand = ?1 AND connection = ?2 AND digest = ?3";
        if self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), connection.as_str(), digest, at])? > 0 {
            return Ok(false);
        }
        let sql =
            "INSERT INTO deliveries (brand, connection, digest, received_at, seen_at, body) VALUES (?1, ?2, ?3, ?4, ?4, ?5)";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), connection.as_str(), digest, at, pack(body)])?;
        Ok(true)
    }

    /// Notes that a document is to be fetched; one pending notice per document is enough. Hearing
    /// of it again makes it a new notice (with the old age): one that is just being fetched may
    /// have been read before this change, and striking it out must leave this one.
    pub fn notice(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, id: &ExternalId, at: Timestamp) -> Result<()> {
        let (at, kind) = (micros(at), kind.word());
        let document = params![brand.as_str(), connection.as_str(), kind, id.as_str()];
        let sql = "DELETE FROM notices WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND external_id = ?4
                   RETURNING heard_at, heard_last_at";
        let before: Option<(i64, i64)> =
            self.connection.prepare_cached(sql)?.query_row(document, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (first, last) = before.map_or((at, at), |(first, last)| (first.min(at), last.max(at)));
        let sql =
            "INSERT INTO notices (brand, connection, kind, external_id, heard_at, heard_last_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let values = params![brand.as_str(), connection.as_str(), kind, id.as_str(), first, last];
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Strikes out notices of documents that were asked for after the notice was last heard, and captured; returns how many. What was
    /// asked for before may have been read before the change, however late its answer came. A stale capture answers nothing.
    pub fn notices_overtaken(&self, brand: &Brand, connection: &ConnectionName) -> Result<u64> {
        let sql = "DELETE FROM notices WHERE id IN (
                     SELECT n.id FROM (
                       SELECT * FROM notices WHERE brand = ?1 AND connection = ?2 ORDER BY heard_at LIMIT ?3
                     ) n
                     WHERE EXISTS (
                       SELECT 1 FROM captures c WHERE c.brand = n.brand AND c.connection = n.connection AND c.kind = n.kind
                       AND c.external_id = n.external_id AND c.seen_at > n.heard_last_at AND c.state <> 'stale'))";
        let struck = self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), connection.as_str(), OVERTAKEN_MAX])?;
        Ok(struck as u64)
    }

    /// Strikes out notices that were seen to.
    pub fn notices_done(&self, ids: &[i64]) -> Result<()> {
        let mut statement = self.connection.prepare_cached("DELETE FROM notices WHERE id = ?1")?;
        for id in ids {
            statement.execute([id])?;
        }
        Ok(())
    }
}

/// What has to be known of a capture to compare with it.
struct Latest {
    id: i64,
    version: Option<i64>,
    digest: [u8; 32],
}

impl View<'_> {
    fn latest_capture(&self, brand: &Brand, connection: &ConnectionName, kind: Kind, id: &ExternalId) -> Result<Option<Latest>> {
        let sql =
            "SELECT id, version, digest FROM captures WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND external_id = ?4
                   AND state <> 'stale' ORDER BY id DESC LIMIT 1";
        let values = params![brand.as_str(), connection.as_str(), kind.word(), id.as_str()];
        let latest = self
            .connection
            .prepare_cached(sql)?
            .query_row(values, |row| Ok(Latest { id: row.get(0)?, version: row.get(1)?, digest: row.get(2)? }));
        Ok(latest.optional()?)
    }

    /// Raw documents that wait to be decoded, oldest first.
    pub fn captures_due(&self, brand: &Brand, limit_rows: usize) -> Result<Vec<CaptureRow>> {
        let sql = "SELECT id, connection, kind, external_id, version, body, via, received_at FROM captures
                   WHERE brand = ?1 AND state = 'due' ORDER BY id LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), limit(limit_rows)], capture_row)?.collect()
    }

    /// The newest raw bytes of each document that arrived at or after `since`, in the order in which they came, after a
    /// capture: what a replay runs over.
    pub fn captures_since(
        &self,
        brand: &Brand,
        from: Option<&ConnectionName>,
        since: Timestamp,
        after: CaptureId,
        limit_rows: usize,
    ) -> Result<Vec<CaptureRow>> {
        let sql = "SELECT c.id, c.connection, c.kind, c.external_id, c.version, c.body, c.via, c.received_at FROM captures c
                   WHERE c.brand = ?1 AND c.id > ?2 AND c.received_at >= ?3 AND (?5 IS NULL OR c.connection = ?5) AND c.state <> 'stale' AND c.erased_at IS NULL AND NOT EXISTS (
                     SELECT 1 FROM captures n WHERE n.brand = c.brand AND n.connection = c.connection AND n.kind = c.kind
                     AND n.external_id = c.external_id AND n.id > c.id AND n.state <> 'stale')
                   ORDER BY c.id LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), after.0, micros(since), limit(limit_rows), from.map(ConnectionName::as_str)];
        statement.query_and_then(values, capture_row)?.collect()
    }

    /// Whether a raw document that came by `until` still waits to be decoded.
    pub fn captures_wait(&self, brand: &Brand, until: Timestamp) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM captures WHERE brand = ?1 AND state = 'due' AND received_at <= ?2)";
        Ok(self.connection.prepare_cached(sql)?.query_row(params![brand.as_str(), micros(until)], |row| row.get(0))?)
    }

    /// Pending notices of one kind, oldest first.
    pub fn notices_of(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        kind: Kind,
        limit_rows: usize,
    ) -> Result<Vec<NoticeRow>> {
        let sql = "SELECT id, kind, external_id, heard_at FROM notices
                   WHERE brand = ?1 AND connection = ?2 AND kind = ?3 ORDER BY heard_at, id LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), connection.as_str(), kind.word(), limit(limit_rows)];
        let rows = statement.query_and_then(values, |row| {
            let kind: String = row.get(1)?;
            Ok(NoticeRow {
                id: row.get(0)?,
                kind: kind_of(&kind)?,
                external_id: ExternalId(row.get(2)?),
                heard_at: moment(row.get(3)?)?,
            })
        })?;
        rows.collect()
    }

    /// Pending notices heard before `heard_before`, oldest first.
    pub fn notices_due(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        kind: Kind,
        heard_before: Timestamp,
        limit_rows: usize,
    ) -> Result<Vec<NoticeRow>> {
        let sql = "SELECT id, kind, external_id, heard_at FROM notices
                   WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND heard_at < ?4 ORDER BY heard_at, id LIMIT ?5";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), connection.as_str(), kind.word(), micros(heard_before), limit(limit_rows)];
        let rows = statement.query_and_then(values, |row| {
            let kind: String = row.get(1)?;
            Ok(NoticeRow {
                id: row.get(0)?,
                kind: kind_of(&kind)?,
                external_id: ExternalId(row.get(2)?),
                heard_at: moment(row.get(3)?)?,
            })
        })?;
        rows.collect()
    }

    /// The *as of* of the latest capture of each of these documents, where there is one: for a
    /// sweep to tell what was missed. Answers in the order asked; `None` = never captured;
    /// `Some(None)` = captured, no *as of* stated.
    pub fn captured_versions(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        kind: Kind,
        ids: &[ExternalId],
    ) -> Result<Vec<Option<Option<Timestamp>>>> {
        ids.iter()
            .map(|id| {
                let latest = self.latest_capture(brand, connection, kind, id)?;
                latest.map(|latest| moment_maybe(latest.version)).transpose()
            })
            .collect()
    }

    /// The bytes of one capture.
    pub fn capture_body(&self, id: CaptureId) -> Result<Vec<u8>> {
        let mut statement = self.connection.prepare_cached("SELECT body FROM captures WHERE id = ?1")?;
        let packed: Option<Vec<u8>> = statement.query_row([id.0], |row| row.get(0)).optional()?;
        unpack("a capture", &packed.ok_or_else(|| StoreError::Absent(id.to_string()))?)
    }
}

fn capture_row(row: &rusqlite::Row<'_>) -> Result<CaptureRow> {
    let kind: String = row.get(2)?;
    Ok(CaptureRow {
        id: CaptureId(row.get(0)?),
        connection: ConnectionName(row.get(1)?),
        kind: kind_of(&kind)?,
        external_id: ExternalId(row.get(3)?),
        version: moment_maybe(row.get(4)?)?,
        body: unpack("a capture", row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?)?,
        via: row.get(6)?,
        received_at: moment(row.get(7)?)?,
    })
}

/// The kind with this word, as it stands in the store.
pub(crate) fn kind_of(word: &str) -> Result<Kind> {
    Kind::from_word(word).ok_or_else(|| unreadable("a kind of record", word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, brand, connection, memory};

    fn document(id: &str, body: &str, version: Option<i64>, received: i64) -> NewCapture {
        NewCapture {
            brand: brand(),
            connection: connection("shop"),
            kind: Kind::Order,
            external_id: id.into(),
            version: version.map(at),
            body: body.as_bytes().to_vec(),
            via: "poll",
            asked_at: Some(at(received)),
            received_at: at(received),
        }
    }

    #[tokio::test]
    async fn news_repetition_and_what_came_late() {
        let store = memory().await;
        store
            .write(|tx| {
                let take = |body: &str, version, received| tx.capture(&document("1", body, version, received)).unwrap();
                let Arrived::New(a) = take("A", Some(10), 1) else { panic!() };
                assert_eq!(take("A", Some(10), 2), Arrived::Same(a));
                let Arrived::New(b) = take("B", Some(20), 3) else { panic!() };
                // A again, but from before B: evidence, never due, and counted when it comes again.
                let Arrived::Stale(old) = take("A", Some(10), 4) else { panic!() };
                assert_eq!(take("A", Some(10), 5), Arrived::Same(old));
                assert_eq!(take("B", Some(20), 6), Arrived::Same(b));
                // Really back to A, later.
                let Arrived::New(again) = take("A", Some(30), 7) else { panic!() };
                let due = tx.captures_due(&brand(), 10)?;
                assert_eq!(due.iter().map(|row| row.id).collect::<Vec<_>>(), [a, b, again]);
                assert_eq!((due[1].body.as_slice(), due[1].version, due[1].received_at), (&b"B"[..], Some(at(20)), at(3)));
                tx.capture_decoded(a)?;
                tx.capture_decoded(old)?;
                assert_eq!(tx.captures_due(&brand(), 1)?[0].id, b);
                assert_eq!(tx.capture_body(old)?, b"A");
                assert!(matches!(tx.capture_body(CaptureId(99)), Err(StoreError::Absent(_))));
                assert!(tx.captures_due(&"other".into(), 10)?.is_empty());
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn without_an_as_of_nothing_is_stale() {
        let store = memory().await;
        store
            .write(|tx| {
                for (body, version) in [("A", None), ("B", Some(5)), ("A", None), ("B", Some(4))] {
                    assert!(matches!(tx.capture(&document("1", body, version, 1))?, Arrived::New(_)), "{body} {version:?}");
                }
                assert_eq!(tx.captures_due(&brand(), 10)?.len(), 4);
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_sweep_learns_the_newest_as_of() {
        let store = memory().await;
        store
            .write(|tx| {
                tx.capture(&document("1", "A", Some(10), 1))?;
                tx.capture(&document("2", "A", None, 1))?;
                tx.capture(&document("3", "A", Some(10), 1))?;
                tx.capture(&document("3", "old", Some(5), 2))?;
                // The same bytes under a newer as-of, as a touched but unchanged document has it.
                tx.capture(&document("1", "A", Some(12), 2))?;
                tx.capture(&document("1", "A", None, 3))?;
                let ids = ["4", "1", "2", "3"].map(ExternalId::from);
                let versions = tx.captured_versions(&brand(), &connection("shop"), Kind::Order, &ids)?;
                assert_eq!(versions, [None, Some(Some(at(12))), Some(None), Some(Some(at(10)))]);
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_replayed_delivery_is_counted() {
        let store = memory().await;
        store
            .write(|tx| {
                let deliver = |to: &str, body: &[u8]| tx.delivery(&brand(), &connection(to), body, at(1)).unwrap();
                assert!(deliver("shop", b"order=1"));
                assert!(!deliver("shop", b"order=1"));
                assert!(deliver("shop", b"order=2"));
                assert!(deliver("other", b"order=1"));
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_notice_stays_until_a_later_capture_or_a_fetch() {
        let store = memory().await;
        store
            .write(|tx| {
                let shop = connection("shop");
                let hear = |id: &str, when| tx.notice(&brand(), &shop, Kind::Order, &id.into(), at(when)).unwrap();
                let due = |before| tx.notices_due(&brand(), &shop, Kind::Order, at(before), 10).unwrap();
                hear("1", 10);
                hear("1", 12);
                hear("2", 11);
                let pending = due(100);
                assert_eq!(
                    pending.iter().map(|n| (n.external_id.as_str(), n.heard_at)).collect::<Vec<_>>(),
                    [("1", at(10)), ("2", at(11))]
                );
                assert_eq!(due(11).len(), 1);
                assert_eq!(due(10).len(), 0);

                // Captured between the first and the second word of it: not answered yet.
                tx.capture(&document("1", "A", Some(3), 11))?;
                assert_eq!(tx.notices_overtaken(&brand(), &shop)?, 0);
                // Stale bytes answer nothing either.
                tx.capture(&document("1", "old", Some(2), 13))?;
                assert_eq!(tx.notices_overtaken(&brand(), &shop)?, 0);
                // The same bytes read again after it do.
                tx.capture(&document("1", "A", Some(3), 14))?;
                assert_eq!(tx.notices_overtaken(&brand(), &shop)?, 1);
                assert_eq!(due(100).len(), 1);
                assert_eq!(tx.notices_overtaken(&"other".into(), &shop)?, 0);

                // Heard again while it is being fetched: striking out the first leaves the second.
                let fetching: Vec<i64> = due(100).iter().map(|notice| notice.id).collect();
                hear("2", 20);
                tx.notices_done(&fetching)?;
                let left = due(100);
                assert_eq!(left.iter().map(|n| (n.external_id.as_str(), n.heard_at)).collect::<Vec<_>>(), [("2", at(11))]);
                tx.notices_done(&[left[0].id])?;
                hear("3", 30);
                assert!(due(100)[0].id > left[0].id);
                Ok(())
            })
            .await
            .unwrap();
    }
}
