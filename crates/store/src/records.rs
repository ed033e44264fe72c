//! Canonical records and their revisions.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use selvedge_model::{
    AnyRecord, Brand, CaptureId, ConnectionName, CreditNote, Currency, Customer, Kind, Money, Order, Problem, Product, RecordId,
    RecordKey, Refund, Return, Shipment, records::Address,
};
use serde::Serialize;

use crate::{
    Result, StoreError, Tx, View,
    packing::{limit, micros, moment, moment_maybe, pack, short, unpack, unreadable},
    search::Search,
};

/// Longest text that a record is found by, in characters.
const SEARCH_CHARS_MAX: usize = 2_000;
/// How many revisions of one record are read at most, the newest.
const REVISIONS_MAX: i64 = 500;

/// A decoded record.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Whose.
    pub brand: Brand,
    /// From which connection.
    pub connection: ConnectionName,
    /// From which raw bytes; `None` for a record derived from another one (an order's customer).
    pub capture: Option<CaptureId>,
    /// The record.
    pub record: AnyRecord,
    /// What decoding found.
    pub problems: Vec<Problem>,
    /// Its *as of*.
    pub version: Option<Timestamp>,
    /// When its raw bytes arrived.
    pub received_at: Timestamp,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// A new revision.
    Revision(RecordId, u32),
    /// Equal in content to the latest revision (whatever bytes it came in): no news.
    Same(RecordId, u32),
}

/// One revision.
#[derive(Clone, Debug)]
pub struct RecordRow {
    /// Its row.
    pub id: RecordId,
    /// From which connection.
    pub connection: ConnectionName,
    /// Counted from 1.
    pub revision: u32,
    /// The record.
    pub record: AnyRecord,
    /// What decoding found.
    pub problems: Vec<Problem>,
    /// Its *as of*.
    pub version: Option<Timestamp>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// From which raw bytes.
    pub capture: Option<CaptureId>,
}

/// A page of a list of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The records, the newest first.
    pub lines: Vec<RecordLine>,
    /// Where to go on with what is older; none at the end. With fewer lines than were asked for, the search was broken off there:
    /// very many records have each of its words.
    pub next: Option<RecordId>,
}

/// A line of a list of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLine {
    /// Its row: the newer, the higher.
    pub id: RecordId,
    /// Our key.
    pub key: RecordKey,
    /// Latest revision.
    pub revision: u32,
    /// When the latest arrived.
    pub received_at: Timestamp,
    /// Gross amount and currency as text, for orders.
    pub amount: String,
    /// Who, for orders.
    pub who: String,
}

impl Tx<'_> {
    /// Adds a revision, unless the latest one has the same content. When the source last changed a
    /// record is no content: a touched but otherwise equal order is no news.
    pub fn put_record(&self, new: &NewRecord) -> Result<Recorded> {
        let (kind, key) = (new.record.kind(), new.record.key());
        let digest = digest(&new.record, &new.problems)?;
        let sql = "SELECT id, revision, digest, order_key FROM records WHERE brand = ?1 AND kind = ?2 AND key = ?3 ORDER BY revision DESC LIMIT 1";
        let latest: Option<(i64, u32, [u8; 32], Option<String>)> = self
            .connection
            .prepare_cached(sql)?
            .query_row(params![new.brand.as_str(), kind.word(), key.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let order_before = latest.as_ref().and_then(|(_, _, _, order)| order.clone());
        let revision = match latest {
            Some((id, revision, known, _)) if known == digest => {
                return Ok(Recorded::Same(RecordId(id), revision));
            }
            Some((id, revision, ..)) => {
                self.connection.prepare_cached("UPDATE records SET latest = 0 WHERE id = ?1")?.execute([id])?;
                revision + 1
            }
            None => 1,
        };
        let (form, body) = form_and_body(&new.record)?;
        let amount = match &new.record {
            AnyRecord::Order(order) => Some(order.totals.gross),
            AnyRecord::CreditNote(credit) => Some(credit.totals.gross),
            AnyRecord::Refund(refund) => Some(refund.amount),
            _ => None,
        };
        let problems = if new.problems.is_empty() { None } else { Some(pack(&json(&new.problems)?)) };
        let sql = "INSERT INTO records (brand, connection, kind, key, revision, latest, form, capture_id, version, received_at,
                                        amount_minor, currency, digest, who, search, problems, body, order_key)
                   VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
        self.connection.prepare_cached(sql)?.execute(params![
            new.brand.as_str(),
            new.connection.as_str(),
            kind.word(),
            key.as_str(),
            revision,
            form,
            new.capture.map(|capture| capture.0),
            new.version.map(micros),
            micros(new.received_at),
            amount.map(Money::minor),
            amount.map(|amount| amount.currency().code()),
            digest,
            who(&new.record),
            search_text(&new.record),
            problems,
            pack(&body),
            new.record.order().map(RecordKey::as_str),
        ])?;
        let id = RecordId(self.connection.last_insert_rowid());
        self.index_words(&new.brand, &new.record, order_before.as_deref())?;
        if revision == 1 {
            self.count_arrival(&new.brand, &new.connection, &new.record, new.received_at)?;
        }
        Ok(Recorded::Revision(id, revision))
    }
}

impl View<'_> {
    /// One revision.
    pub fn record(&self, id: RecordId) -> Result<RecordRow> {
        let sql =
            "SELECT id, connection, revision, form, version, received_at, capture_id, problems, body FROM records WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([id.0])?;
        rows.next()?.map(record_row).unwrap_or_else(|| Err(StoreError::Absent(id.to_string())))
    }

    /// All revisions of a record, oldest first; the newest 500 if there are more.
    pub fn revisions(&self, brand: &Brand, kind: Kind, key: &RecordKey) -> Result<Vec<RecordRow>> {
        let sql = "SELECT id, connection, revision, form, version, received_at, capture_id, problems, body FROM records
                   WHERE brand = ?1 AND kind = ?2 AND key = ?3 ORDER BY revision DESC LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![brand.as_str(), kind.word(), key.as_str(), REVISIONS_MAX], record_row)?;
        let mut revisions = rows.collect::<Result<Vec<_>>>()?;
        revisions.reverse();
        Ok(revisions)
    }

    /// The newest revision of a record.
    pub fn latest(&self, brand: &Brand, kind: Kind, key: &RecordKey) -> Result<Option<RecordRow>> {
        let sql = "SELECT id, connection, revision, form, version, received_at, capture_id, problems, body FROM records
                   WHERE brand = ?1 AND kind = ?2 AND key = ?3 ORDER BY revision DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![brand.as_str(), kind.word(), key.as_str()])?;
        rows.next()?.map(record_row).transpose()
    }

    /// The newest revisions of a kind that are about an order, in the order in which they came.
    pub fn of_order(&self, brand: &Brand, kind: Kind, order: &RecordKey) -> Result<Vec<RecordRow>> {
        let sql = "SELECT id, connection, revision, form, version, received_at, capture_id, problems, body FROM records
                   WHERE brand = ?1 AND order_key = ?2 AND kind = ?3 AND latest = 1 ORDER BY id LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![brand.as_str(), order.as_str(), kind.word(), REVISIONS_MAX], record_row)?;
        rows.collect()
    }

    /// The newest revisions of the records of a kind from a connection whose bytes arrived since an instant, from a row on (not
    /// included): a page of them, and the row to go on from, where there may be more.
    pub fn arrived_since(
        &self,
        brand: &Brand,
        connection: &ConnectionName,
        kind: Kind,
        since: Timestamp,
        after: Option<RecordId>,
        limit_rows: usize,
    ) -> Result<(Vec<RecordRow>, Option<RecordId>)> {
        // Where to begin is told by the index of arrivals alone; from there on rows come in their own order, nothing is sorted.
        let start = match after {
            Some(row) => row.0,
            None => {
                let sql = "SELECT coalesce(min(id), 1) - 1 FROM records WHERE brand = ?1 AND connection = ?2 AND kind = ?3 AND received_at >= ?4";
                let values = params![brand.as_str(), connection.as_str(), kind.word(), micros(since)];
                self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?
            }
        };
        let sql = "SELECT id, connection, revision, form, version, received_at, capture_id, problems, body FROM records INDEXED BY records_latest
                   WHERE brand = ?1 AND kind = ?3 AND latest = 1 AND id > ?5 AND connection = ?2 AND received_at >= ?4 ORDER BY id LIMIT ?6";
        let mut statement = self.connection.prepare_cached(sql)?;
        let values = params![brand.as_str(), connection.as_str(), kind.word(), micros(since), start, limit(limit_rows)];
        let rows = statement.query_and_then(values, record_row)?.collect::<Result<Vec<_>>>()?;
        let next = rows.last().map(|row| row.id).filter(|_| rows.len() >= limit_rows);
        Ok((rows, next))
    }

    /// The newest records of a kind that have, for each word of `search`, a word that begins like it, whether written large or
    /// small: number, name, e-mail, SKU; of an order also what its shipments, returns and credits are found by. All, if it is empty.
    pub fn records(&self, brand: &Brand, kind: Kind, search: &str, limit_rows: usize) -> Result<Vec<RecordLine>> {
        Ok(self.records_before(brand, kind, search, None, limit_rows)?.lines)
    }

    /// The same, of those that are older than this one; and where to go on.
    pub fn records_before(
        &self,
        brand: &Brand,
        kind: Kind,
        search: &str,
        before: Option<RecordId>,
        limit_rows: usize,
    ) -> Result<Listed> {
        let (keys, looked_to) = match self.search(brand, kind, search)? {
            Search::All => (None, None),
            Search::Found(keys) => (Some(keys), None),
            Search::Frequent(terms) => {
                let (keys, last) = self.go_through(brand, kind, &terms, before, limit_rows)?;
                (Some(keys), last)
            }
        };
        let lines = self.lines_before(brand, kind, keys.as_deref(), before, limit_rows)?;
        let full = lines.last().map(|line| line.id).filter(|_| lines.len() >= limit_rows);
        Ok(Listed { lines, next: full.or(looked_to) })
    }

    fn lines_before(
        &self,
        brand: &Brand,
        kind: Kind,
        keys: Option<&[RecordKey]>,
        before: Option<RecordId>,
        limit_rows: usize,
    ) -> Result<Vec<RecordLine>> {
        let sql = "SELECT key, revision, received_at, amount_minor, currency, who, id FROM records
                   WHERE brand = ?1 AND kind = ?2 AND latest = 1 AND id < ?4 ORDER BY id DESC LIMIT ?3";
        // By each key (the plus signs keep it from another index): in the order of ids it would go through every record there is.
        let of_keys = "SELECT r.key, r.revision, r.received_at, r.amount_minor, r.currency, r.who, r.id
                   FROM json_each(?5) found CROSS JOIN records r ON r.brand = ?1 AND r.kind = ?2 AND r.key = found.value
                   WHERE +r.latest = 1 AND +r.id < ?4 ORDER BY r.id DESC LIMIT ?3";
        let keys = keys.map(|keys| String::from_utf8(json(&keys)?).map_err(|e| unreadable("a list of keys", e))).transpose()?;
        let mut statement = self.connection.prepare_cached(if keys.is_some() { of_keys } else { sql })?;
        let mut values: Vec<&dyn rusqlite::ToSql> = Vec::new();
        let (brand, kind, limit) = (brand.as_str(), kind.word(), limit(limit_rows));
        let before = before.map_or(i64::MAX, |id| id.0);
        values.extend([&brand as &dyn rusqlite::ToSql, &kind, &limit, &before]);
        if let Some(keys) = &keys {
            values.push(keys);
        }
        let values = rusqlite::params_from_iter(values);
        let rows = statement.query_and_then(values, |row| {
            let amount = money(row.get(3)?, row.get::<_, Option<String>>(4)?.as_deref())?;
            Ok(RecordLine {
                id: RecordId(row.get(6)?),
                key: RecordKey(row.get(0)?),
                revision: row.get(1)?,
                received_at: moment(row.get(2)?)?,
                amount: amount.map(|amount| amount.to_string()).unwrap_or_default(),
                who: row.get(5)?,
            })
        })?;
        rows.collect()
    }
}

fn record_row(row: &Row<'_>) -> Result<RecordRow> {
    let form: String = row.get(3)?;
    let problems: Option<Vec<u8>> = row.get(7)?;
    let body = unpack("a record", row.get_ref(8)?.as_blob().map_err(rusqlite::Error::from)?)?;
    Ok(RecordRow {
        id: RecordId(row.get(0)?),
        connection: ConnectionName(row.get(1)?),
        revision: row.get(2)?,
        record: from_form(&form, &body)?,
        problems: problems
            .map(|packed| from_json("the problems of a record", &unpack("the problems of a record", &packed)?))
            .transpose()?
            .unwrap_or_default(),
        version: moment_maybe(row.get(4)?)?,
        received_at: moment(row.get(5)?)?,
        capture: row.get::<_, Option<i64>>(6)?.map(CaptureId),
    })
}

/// An amount as it lies in two columns.
pub(crate) fn money(minor: Option<i64>, currency: Option<&str>) -> Result<Option<Money>> {
    let (Some(minor), Some(code)) = (minor, currency) else {
        return Ok(None);
    };
    let currency = Currency::from_code(code).ok_or_else(|| unreadable("a currency", code))?;
    Ok(Some(Money::from_minor(minor, currency)))
}

/// The record's own form without the tag of [`AnyRecord`], which is a column instead: a tagged
/// enum has to be buffered whole while it is read, and this is read for every row that is looked at.
pub(crate) fn form_and_body(record: &AnyRecord) -> Result<(&'static str, Vec<u8>)> {
    Ok(match record {
        AnyRecord::Order(order) => ("order", json(order)?),
        AnyRecord::Customer(customer) => ("customer", json(customer)?),
        AnyRecord::Product(product) => ("product", json(product)?),
        AnyRecord::Shipment(shipment) => ("shipment", json(shipment)?),
        AnyRecord::Return(returned) => ("return", json(returned)?),
        AnyRecord::CreditNote(credit) => ("credit_note", json(credit)?),
        AnyRecord::Refund(refund) => ("refund", json(refund)?),
        AnyRecord::Unreadable(unreadable) => ("unreadable", json(unreadable)?),
    })
}

pub(crate) fn from_form(form: &str, body: &[u8]) -> Result<AnyRecord> {
    match form {
        "order" => from_json("an order", body).map(AnyRecord::Order),
        "customer" => from_json("a customer", body).map(AnyRecord::Customer),
        "product" => from_json("a product", body).map(AnyRecord::Product),
        "shipment" => from_json("a shipment", body).map(AnyRecord::Shipment),
        "return" => from_json("a return", body).map(AnyRecord::Return),
        "credit_note" => from_json("a credit note", body).map(AnyRecord::CreditNote),
        "refund" => from_json("a refund", body).map(AnyRecord::Refund),
        "unreadable" => from_json("an unreadable record", body).map(AnyRecord::Unreadable),
        other => Err(unreadable("a record", format!("unknown form {other:?}"))),
    }
}

pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| unreadable("a value to be stored", e))
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| unreadable(what, e))
}

/// BLAKE3 of the JSON of the record (its fields in the order in which the model declares them)
/// and of the problems. What only says when the source last touched it is left out.
fn digest(record: &AnyRecord, problems: &[Problem]) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let wrong = |e| unreadable("a value to be stored", e);
    match record {
        AnyRecord::Order(order) => {
            let untouched = Order { updated_at: Timestamp::UNIX_EPOCH, ..order.as_ref().clone() };
            serde_json::to_writer(&mut hasher, &("order", untouched, problems)).map_err(wrong)?;
        }
        AnyRecord::Customer(customer) => serde_json::to_writer(&mut hasher, &("customer", customer, problems)).map_err(wrong)?,
        AnyRecord::Product(product) => {
            let untouched = Product { updated_at: Timestamp::UNIX_EPOCH, ..product.as_ref().clone() };
            serde_json::to_writer(&mut hasher, &("product", untouched, problems)).map_err(wrong)?;
        }
        AnyRecord::Shipment(shipment) => {
            let untouched = Shipment { updated_at: Timestamp::UNIX_EPOCH, ..shipment.as_ref().clone() };
            serde_json::to_writer(&mut hasher, &("shipment", untouched, problems)).map_err(wrong)?;
        }
        AnyRecord::Return(returned) => {
            let untouched = Return { updated_at: Timestamp::UNIX_EPOCH, ..returned.as_ref().clone() };
            serde_json::to_writer(&mut hasher, &("return", untouched, problems)).map_err(wrong)?;
        }
        AnyRecord::CreditNote(credit) => {
            let untouched = CreditNote { updated_at: Timestamp::UNIX_EPOCH, ..credit.as_ref().clone() };
            serde_json::to_writer(&mut hasher, &("credit_note", untouched, problems)).map_err(wrong)?;
        }
        AnyRecord::Refund(refund) => {
            let untouched = Refund { updated_at: Timestamp::UNIX_EPOCH, ..refund.as_ref().clone() };
            serde_json::to_writer(&mut hasher, &("refund", untouched, problems)).map_err(wrong)?;
        }
        AnyRecord::Unreadable(unreadable) => {
            serde_json::to_writer(&mut hasher, &("unreadable", unreadable, problems)).map_err(wrong)?
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

fn full_name(first: Option<&str>, last: Option<&str>) -> String {
    [first, last].into_iter().flatten().map(str::trim).filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ")
}

fn of_address(address: &Address) -> [Option<String>; 3] {
    let name = full_name(address.first_name.as_deref(), address.last_name.as_deref());
    [Some(name), address.company.clone(), address.email.clone()]
}

fn of_customer(customer: &Customer) -> [Option<String>; 3] {
    let name = full_name(customer.first_name.as_deref(), customer.last_name.as_deref());
    [Some(name), customer.company.clone(), customer.email.clone()]
}

/// Names, companies and e-mail addresses, the most telling first.
fn people(record: &AnyRecord) -> Vec<String> {
    let texts: Vec<Option<String>> = match record {
        AnyRecord::Order(order) => {
            let addresses = [&order.shipping, &order.billing].into_iter().flatten().flat_map(of_address);
            addresses.chain(order.customer.iter().flat_map(of_customer)).collect()
        }
        AnyRecord::Customer(customer) => of_customer(customer).into(),
        AnyRecord::Product(product) => vec![Some(product.name.clone())],
        AnyRecord::CreditNote(credit) => vec![credit.buyer.clone()],
        AnyRecord::Shipment(_) | AnyRecord::Return(_) | AnyRecord::Refund(_) | AnyRecord::Unreadable(_) => Vec::new(),
    };
    texts.into_iter().flatten().filter(|text| !text.trim().is_empty()).collect()
}

fn who(record: &AnyRecord) -> String {
    people(record).into_iter().next().map(|name| short(&name, 200).to_owned()).unwrap_or_default()
}

pub(crate) fn search_text(record: &AnyRecord) -> String {
    let mut words = vec![record.key().0];
    let more: Vec<&str> = match record {
        AnyRecord::Order(order) => order.lines.iter().map(|line| line.sku.as_str()).collect(),
        AnyRecord::Product(product) => product.barcode.as_deref().into_iter().chain([product.style.name.as_str()]).collect(),
        AnyRecord::Shipment(shipment) => {
            let skus = shipment.lines.iter().map(|line| line.sku.as_str());
            shipment.tracking().into_iter().chain(skus).collect()
        }
        AnyRecord::Return(returned) => returned.lines.iter().map(|line| line.sku.as_str()).collect(),
        AnyRecord::CreditNote(credit) => credit.lines.iter().map(|line| line.sku.as_str()).collect(),
        AnyRecord::Refund(refund) => refund.reference.as_deref().into_iter().collect(),
        AnyRecord::Customer(_) | AnyRecord::Unreadable(_) => Vec::new(),
    };
    for word in people(record).iter().map(String::as_str).chain(more) {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    short(&words.join("\n").to_lowercase(), SEARCH_CHARS_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use selvedge_model::{Unreadable, records::OrderStatus};

    use super::*;
    use crate::samples::{at, brand, customer, memory, new_record, order};

    #[tokio::test]
    async fn content_makes_a_revision_and_a_touch_does_not() {
        let store = memory().await;
        store
            .write(|tx| {
                let first = order("1001", 12_345);
                let Recorded::Revision(id, 1) = tx.put_record(&new_record(first.clone(), 1))? else { panic!() };
                let touched = Order { updated_at: at(999), ..first.clone() };
                assert_eq!(tx.put_record(&new_record(touched, 2))?, Recorded::Same(id, 1));
                let cancelled = Order { status: OrderStatus::Cancelled, ..first.clone() };
                assert!(matches!(tx.put_record(&new_record(cancelled, 3))?, Recorded::Revision(_, 2)));
                // Back to the first content is news again; so is the same content with a problem.
                assert!(matches!(tx.put_record(&new_record(first.clone(), 4))?, Recorded::Revision(_, 3)));
                let mut doubted = new_record(first.clone(), 5);
                doubted.problems.push(Problem::new("totals.sum", "totals", "does not add up", "look"));
                let Recorded::Revision(last, 4) = tx.put_record(&doubted)? else { panic!() };
                assert_eq!(tx.put_record(&doubted)?, Recorded::Same(last, 4));

                let row = tx.record(id)?;
                assert_eq!((row.record, row.revision, row.received_at, row.problems), (first.into(), 1, at(1), vec![]));
                assert_eq!(tx.record(last)?.problems, doubted.problems);
                let all = tx.revisions(&brand(), Kind::Order, &"1001".into())?;
                assert_eq!(all.iter().map(|row| row.revision).collect::<Vec<_>>(), [1, 2, 3, 4]);
                assert!(matches!(tx.record(RecordId(99)), Err(StoreError::Absent(_))));
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_arrived_since_is_paged_and_each_record_once() {
        let store = memory().await;
        store
            .write(|tx| {
                for n in 1..=7 {
                    tx.put_record(&new_record(order(&n.to_string(), 100), n))?;
                }
                // The second revision of an old one arrives late.
                tx.put_record(&new_record(order("1", 200), 9))?;
                let shop = new_record(order("0", 0), 1).connection;
                let (mut keys, mut after) = (Vec::new(), None);
                loop {
                    let (rows, next) = tx.arrived_since(&brand(), &shop, Kind::Order, at(4), after, 2)?;
                    keys.extend(rows.into_iter().map(|row| (row.record.key().to_string(), row.revision)));
                    after = next;
                    if after.is_none() {
                        break;
                    }
                }
                let expected =
                    [("4", 1), ("5", 1), ("6", 1), ("7", 1), ("1", 2)].map(|(key, revision)| (key.to_owned(), revision));
                assert_eq!(keys, expected);
                assert!(tx.arrived_since(&brand(), &"elsewhere".into(), Kind::Order, at(0), None, 9)?.0.is_empty());
                assert!(tx.arrived_since(&brand(), &shop, Kind::Product, at(0), None, 9)?.0.is_empty());
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn every_form_reads_back_as_it_was() {
        let store = memory().await;
        store
            .write(|tx| {
                let unreadable = AnyRecord::Unreadable(Box::new(Unreadable { of: Kind::Order, key: "x7".into() }));
                for record in [AnyRecord::from(order("1", 1)), customer("12-2").into(), unreadable] {
                    let mut new = new_record(order("0", 0), 1);
                    new.record = record.clone();
                    let Recorded::Revision(id, 1) = tx.put_record(&new)? else { panic!() };
                    assert_eq!(tx.record(id)?.record, record);
                }
                Ok(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn records_are_found_by_what_people_know_of_them() {
        let store = memory().await;
        store
            .write(|tx| {
                for n in 1..=3 {
                    tx.put_record(&new_record(order(&format!("100{n}"), 1_000 * n), n))?;
                }
                let mut other = order("2001", 999);
                other.lines[0].sku = "15056bl".into();
                other.shipping =
                    Some(Address { first_name: Some("Åsa".into()), last_name: Some("Öberg".into()), ..Address::default() });
                tx.put_record(&new_record(other.clone(), 9))?;
                other.comment = Some("changed".into());
                tx.put_record(&new_record(other, 10))?;
                let mut customer_record = new_record(order("0", 0), 11);
                customer_record.record = customer("12-2").into();
                tx.put_record(&customer_record)?;

                let found = |search: &str| {
                    let lines = tx.records(&brand(), Kind::Order, search, 10).unwrap();
                    lines.into_iter().map(|line| line.key.0).collect::<Vec<_>>()
                };
                assert_eq!(found(""), ["2001", "1003", "1002", "1001"]);
                assert_eq!(found("1002"), ["1002"]);
                assert_eq!(found("åsa ÖB"), ["2001"]);
                assert_eq!(found("15056BL"), ["2001"]);
                assert_eq!(found("%"), Vec::<String>::new());
                let lines = tx.records(&brand(), Kind::Order, "", 2)?;
                assert_eq!(lines.len(), 2);
                assert_eq!((lines[0].revision, lines[0].received_at), (2, at(10)));
                assert_eq!((lines[0].amount.as_str(), lines[0].who.as_str()), ("9.99 EUR", "Åsa Öberg"));
                let lines = tx.records(&brand(), Kind::Customer, "ada@", 10)?;
                assert_eq!((lines[0].amount.as_str(), lines[0].who.as_str()), ("", "Ada Lovelace"));
                Ok(())
            })
            .await
            .unwrap();
    }
}
