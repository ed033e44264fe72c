//! What both ends say stands there, in the order of families: both lie side by side, and one look reads them merged.

use rusqlite::params;
use selvedge_model::{ConnectionName, ExternalId, Kind, Problem, ReconciliationId, reconcile::Family, statement::Entry};

use crate::{
    Result, Tx, View,
    packing::{count, limit, pack, signed, unpack, unreadable},
};

/// So many documents of a statement may be unreadable, each of them kept by name; one with more proves nothing.
pub const UNREAD_MAX: usize = 10_000;

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Whose records they are.
    Source,
    /// Where they have to stand.
    Target,
}

impl End {
    const fn number(self) -> i64 {
        match self {
            End::Source => 0,
            End::Target => 1,
        }
    }
}

/// How far one end was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRow {
    /// Which end.
    pub end: End,
    /// Who told it.
    pub connection: ConnectionName,
    /// Of which kind.
    pub kind: Kind,
    /// Where it goes on; none before the first page and after the last.
    pub cursor: Option<String>,
    /// Whether it was read to its end.
    pub whole: bool,
    /// Pages read.
    pub pages: u64,
    /// Documents told, each counted once on however many pages it came.
    pub entries: u64,
    /// Documents that are there and could not be read.
    pub unread: Vec<(ExternalId, Problem)>,
    /// Over everything that was told, page by page.
    pub digest: [u8; 32],
}

/// What one page told.
#[derive(Clone, Debug, Default)]
pub struct StatementPage {
    /// The documents.
    pub entries: Vec<Entry>,
    /// Those that could not be read.
    pub unread: Vec<(ExternalId, Problem)>,
    /// Where to go on; none on the last page.
    pub next: Option<String>,
}

/// Families at once, and after which the next ones come.
pub struct Families {
    /// The families, each whole.
    pub families: Vec<Family>,
    /// The last of them; none when there are no more.
    pub last: Option<String>,
}

/// Under which family a document lies.
fn family_of(entry: &Entry, end: End) -> String {
    match entry.family().filter(|key| !key.as_str().is_empty()) {
        Some(key) => key.as_str().to_owned(),
        // Nothing can belong to it by a key; it is a family of its own.
        None => format!("~{}{}", end.number(), entry.id),
    }
}

impl Tx<'_> {
    /// Keeps a page of a statement and how far it has come, together.
    ///
    /// # Errors
    /// The database's.
    pub fn keep_statement(
        &self,
        run: ReconciliationId,
        end: End,
        connection: &ConnectionName,
        kind: Kind,
        page: &StatementPage,
    ) -> Result<()> {
        let before = self.statement(run, end, connection, kind)?;
        let mut digest = blake3::Hasher::new();
        digest.update(before.as_ref().map_or(&[0; 32], |row| &row.digest));
        let sql = "INSERT INTO statement_entries (run_id, family, side, kind, connection, external_id, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   ON CONFLICT DO NOTHING";
        let mut statement = self.connection.prepare_cached(sql)?;
        let sql = "UPDATE statement_entries SET body = ?7
                   WHERE run_id = ?1 AND family = ?2 AND side = ?3 AND kind = ?4 AND connection = ?5 AND external_id = ?6";
        let mut again = self.connection.prepare_cached(sql)?;
        let mut fresh = 0;
        for entry in &page.entries {
            let body = serde_json::to_vec(entry).map_err(|e| unreadable("an entry", e))?;
            digest.update(&body);
            let family = family_of(entry, end);
            let (word, packed) = (entry.kind.word(), pack(&body));
            let row = params![run.0, family, end.number(), word, connection.as_str(), entry.id.as_str(), packed];
            if statement.execute(row)? == 0 {
                again.execute(row)?;
            } else {
                fresh += 1;
            }
        }
        let mut unread = before.as_ref().map(|row| row.unread.clone()).unwrap_or_default();
        for (id, problem) in &page.unread {
            digest.update(id.as_str().as_bytes());
            if unread.iter().all(|(known, _)| known != id) {
                unread.push((id.clone(), problem.clone()));
            }
        }
        let unread = match unread.is_empty() {
            true => None,
            false => Some(pack(&serde_json::to_vec(&unread).map_err(|e| unreadable("unread documents", e))?)),
        };
        let (pages, entries) = before.map_or((0, 0), |row| (row.pages, row.entries));
        let sql =
            "INSERT OR REPLACE INTO statements (run_id, side, connection, kind, cursor, whole, pages, entries, unread, digest)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        self.connection.prepare_cached(sql)?.execute(params![
            run.0,
            end.number(),
            connection.as_str(),
            kind.word(),
            page.next,
            page.next.is_none(),
            signed(pages + 1),
            signed(entries + fresh),
            unread,
            digest.finalize().as_bytes().as_slice(),
        ])?;
        Ok(())
    }
}

impl View<'_> {
    /// How far one kind of one end was read; none before its first page.
    pub fn statement(
        &self,
        run: ReconciliationId,
        end: End,
        connection: &ConnectionName,
        kind: Kind,
    ) -> Result<Option<StatementRow>> {
        let same = |row: &StatementRow| row.end == end && row.kind == kind && row.connection == *connection;
        Ok(self.statements(run)?.into_iter().find(same))
    }

    /// How far everything was read.
    pub fn statements(&self, run: ReconciliationId) -> Result<Vec<StatementRow>> {
        let sql = "SELECT side, kind, cursor, whole, pages, entries, unread, digest, connection FROM statements WHERE run_id = ?1 ORDER BY side, connection, kind";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([run.0])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let kind: String = row.get(1)?;
            let unread: Option<Vec<u8>> = row.get(6)?;
            let unread = match unread {
                None => Vec::new(),
                Some(packed) => serde_json::from_slice(&unpack("unread documents", &packed)?)
                    .map_err(|e| unreadable("unread documents", e))?,
            };
            found.push(StatementRow {
                end: if row.get::<_, i64>(0)? == 0 { End::Source } else { End::Target },
                connection: ConnectionName::new(row.get::<_, String>(8)?),
                kind: Kind::from_word(&kind).ok_or_else(|| unreadable("a kind", &kind))?,
                cursor: row.get(2)?,
                whole: row.get(3)?,
                pages: count(row.get(4)?),
                entries: count(row.get(5)?),
                unread,
                digest: row.get(7)?,
            });
        }
        Ok(found)
    }

    /// The next families in order, about so many documents of them, each whole. It takes no more memory than that.
    pub fn families(&self, run: ReconciliationId, after: Option<&str>, documents: usize) -> Result<Families> {
        let sql = "SELECT family, side, body FROM statement_entries WHERE run_id = ?1 AND family > ?2 ORDER BY family, side, kind, connection, external_id";
        let mut statement = self.connection.prepare_cached(sql)?;
        // Every key is above the empty text.
        let mut rows = statement.query(params![run.0, after.unwrap_or_default()])?;
        let mut families: Vec<Family> = Vec::new();
        let mut seen = 0;
        let mut more = false;
        while let Some(row) = rows.next()? {
            let key: String = row.get(0)?;
            if families.last().is_none_or(|family| family.key != key) {
                if seen >= documents {
                    more = true;
                    break;
                }
                families.push(Family { key, ..Family::default() });
            }
            let body: Vec<u8> = row.get(2)?;
            let entry: Entry = serde_json::from_slice(&unpack("an entry", &body)?).map_err(|e| unreadable("an entry", e))?;
            if let Some(family) = families.last_mut() {
                if row.get::<_, i64>(1)? == 0 { family.ours.push(entry) } else { family.theirs.push(entry) }
            }
            seen += 1;
        }
        let last = families.last().filter(|_| more).map(|family| family.key.clone());
        Ok(Families { families, last })
    }

    /// One family of a look.
    pub fn family(&self, run: ReconciliationId, key: &str) -> Result<Family> {
        let sql = "SELECT side, body FROM statement_entries WHERE run_id = ?1 AND family = ?2 ORDER BY side, kind, connection, external_id LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![run.0, key, limit(10_000)])?;
        let mut family = Family { key: key.to_owned(), ..Family::default() };
        while let Some(row) = rows.next()? {
            let body: Vec<u8> = row.get(1)?;
            let entry: Entry = serde_json::from_slice(&unpack("an entry", &body)?).map_err(|e| unreadable("an entry", e))?;
            if row.get::<_, i64>(0)? == 0 { family.ours.push(entry) } else { family.theirs.push(entry) }
        }
        Ok(family)
    }
}
