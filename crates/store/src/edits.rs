//! What people changed of an order or a shipment over what its source says: both versions, who, when and why.

use jiff::Timestamp;
use rusqlite::{Row, params};
use schemars::JsonSchema;
use selvedge_model::{
    Brand, RecordKey,
    edit::{Edit, EditField},
};

use crate::{
    Result, Tx, View,
    packing::{micros, moment, moment_maybe, short, unreadable},
};

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;
/// How many edits of one record are read at most, the newest.
const ROWS_MAX: i64 = 500;

/// One edit, in force or over.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct EditRow {
    /// Field, and both versions.
    #[serde(flatten)]
    pub edit: Edit,
    /// The revision of the source that it was made over.
    pub revision: u32,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// When it went out of force.
    pub ended_at: Option<Timestamp>,
    /// By what.
    pub ended_why: Option<String>,
}

/// Who edits, why, and over which revision of the source.
#[derive(Clone, Copy, Debug)]
pub struct EditedBy<'a> {
    /// Who.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
    /// Over which revision.
    pub revision: u32,
}

fn edit_row(row: &Row<'_>) -> Result<EditRow> {
    let word: String = row.get(0)?;
    let field = EditField::from_word(&word).ok_or_else(|| unreadable("an edit", word))?;
    Ok(EditRow {
        edit: Edit { field, before: row.get(1)?, after: row.get(2)?, beside: row.get(9)? },
        revision: row.get(3)?,
        actor: row.get(4)?,
        reason: row.get(5)?,
        at: moment(row.get(6)?)?,
        ended_at: moment_maybe(row.get(7)?)?,
        ended_why: row.get(8)?,
    })
}

impl Tx<'_> {
    /// Lays edits over a record, in place of earlier ones of the same fields.
    pub fn edit(&self, brand: &Brand, key: &RecordKey, edits: &[Edit], by: &EditedBy<'_>, now: Timestamp) -> Result<()> {
        let EditedBy { actor, reason, revision } = *by;
        for edit in edits {
            self.end(brand, key, edit.field, &format!("{actor} edited it again"), now)?;
            let sql = "INSERT INTO edits (brand, key, field, before, after, revision, actor, reason, at, beside)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
            self.connection.prepare_cached(sql)?.execute(params![
                brand.as_str(),
                key.as_str(),
                edit.field.word(),
                edit.before,
                edit.after,
                revision,
                actor,
                short(reason, REASON_CHARS_MAX),
                micros(now),
                edit.beside,
            ])?;
        }
        self.index_edited(brand, key, edits.iter().map(|edit| edit.field))
    }

    /// Edits go out of force; those that were not in force are passed over.
    pub fn end_edits(&self, brand: &Brand, key: &RecordKey, fields: &[EditField], why: &str, now: Timestamp) -> Result<()> {
        for field in fields {
            self.end(brand, key, *field, why, now)?;
        }
        self.index_edited(brand, key, fields.iter().copied())
    }

    /// What is put in by hand is found like what the source gave.
    fn index_edited(&self, brand: &Brand, key: &RecordKey, fields: impl IntoIterator<Item = EditField>) -> Result<()> {
        let Some(kind) = fields.into_iter().next().map(|field| field.permission().kind()) else { return Ok(()) };
        match self.latest(brand, kind, key)? {
            Some(newest) => self.index_words(brand, &newest.record, None),
            None => Ok(()),
        }
    }

    fn end(&self, brand: &Brand, key: &RecordKey, field: EditField, why: &str, now: Timestamp) -> Result<()> {
        let sql =
            "UPDATE edits SET ended_at = ?4, ended_why = ?5 WHERE brand = ?1 AND key = ?2 AND field = ?3 AND ended_at IS NULL";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), key.as_str(), field.word(), micros(now), why])?;
        Ok(())
    }
}

impl View<'_> {
    /// What lies over a record now.
    pub fn edits_in_force(&self, brand: &Brand, key: &RecordKey) -> Result<Vec<Edit>> {
        let sql = "SELECT field, before, after, revision, actor, reason, at, ended_at, ended_why, beside FROM edits
                   WHERE brand = ?1 AND key = ?2 AND ended_at IS NULL ORDER BY field";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then([brand.as_str(), key.as_str()], |row| edit_row(row).map(|row| row.edit))?;
        rows.collect()
    }

    /// Everything that was ever edited of a record, newest first.
    pub fn edits_of(&self, brand: &Brand, key: &RecordKey) -> Result<Vec<EditRow>> {
        let sql = "SELECT field, before, after, revision, actor, reason, at, ended_at, ended_why, beside FROM edits
                   WHERE brand = ?1 AND key = ?2 ORDER BY id DESC LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_and_then(params![brand.as_str(), key.as_str(), ROWS_MAX], edit_row)?.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{World, at, brand};

    #[tokio::test]
    async fn both_versions_are_kept_and_one_is_in_force() {
        World::new()
            .await
            .tx(|tx| {
                let key = RecordKey::new("1");
                let before = Some("Boras".to_owned());
                let edit = |after: &str| Edit {
                    field: EditField::City,
                    before: before.clone(),
                    after: Some(after.into()),
                    beside: None,
                };
                let by = |reason| EditedBy { actor: "anna", reason, revision: 2 };
                tx.edit(&brand(), &key, &[edit("Borås")], &by("misspelt"), at(1))?;
                tx.edit(&brand(), &key, &[edit("Göteborg")], &by("moved"), at(2))?;
                assert_eq!(tx.edits_in_force(&brand(), &key)?, [edit("Göteborg")]);
                let all = tx.edits_of(&brand(), &key)?;
                assert_eq!((all.len(), all[1].edit.clone(), all[1].ended_at), (2, edit("Borås"), Some(at(2))));
                assert_eq!((all[0].revision, all[0].reason.as_str(), all[0].ended_at), (2, "moved", None));
                tx.end_edits(&brand(), &key, &[EditField::City], "revision 3 of the source changed it", at(3))?;
                assert!(tx.edits_in_force(&brand(), &key)?.is_empty());
                assert!(tx.edits_of(&brand(), &RecordKey::new("2"))?.is_empty());
                Ok(())
            })
            .await;
    }
}
