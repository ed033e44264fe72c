//! Who looked at what, on the checklists of a day and of a month; and who signed.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use selvedge_model::{
    Brand,
    checklist::{Checklist, Seen},
};

use crate::{
    Result, StoreError, Tx, View,
    packing::{micros, moment, short, unreadable},
    records::{from_json, json},
};

/// Longest note and reason, in characters.
const TEXT_CHARS_MAX: usize = 1_000;

/// One tick.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct TickRow {
    /// Which check.
    pub item: String,
    /// When.
    pub at: Timestamp,
    /// Who looked.
    pub actor: String,
    /// What the product itself saw just then.
    pub seen: Seen,
    /// What they found; may be empty.
    pub note: String,
}

/// A signature under a list of a period.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct ChecksSigned {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What nobody had looked at.
    pub unticked: Vec<String>,
    /// Why it was signed all the same.
    pub reason: String,
    /// BLAKE3 over the ticks, hex.
    pub digest: String,
}

impl Tx<'_> {
    /// Ticks a check; a second tick of the same check takes the place of the first.
    ///
    /// # Errors
    /// [`StoreError::Signed`] when the list was signed.
    pub fn tick(&self, brand: &Brand, list: Checklist, period: &str, tick: &TickRow) -> Result<()> {
        self.unsigned(brand, list, period)?;
        let sql = "INSERT INTO check_ticks (brand, list, period, item, at, actor, seen, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                   ON CONFLICT (brand, list, period, item) DO UPDATE SET at = excluded.at, actor = excluded.actor, seen = excluded.seen, note = excluded.note";
        self.connection.prepare_cached(sql)?.execute(params![
            brand.as_str(),
            list.word(),
            period,
            tick.item,
            micros(tick.at),
            tick.actor,
            tick.seen.word(),
            short(&tick.note, TEXT_CHARS_MAX),
        ])?;
        Ok(())
    }

    /// Takes a tick back.
    ///
    /// # Errors
    /// [`StoreError::Signed`] when the list was signed.
    pub fn untick(&self, brand: &Brand, list: Checklist, period: &str, item: &str) -> Result<()> {
        self.unsigned(brand, list, period)?;
        let sql = "DELETE FROM check_ticks WHERE brand = ?1 AND list = ?2 AND period = ?3 AND item = ?4";
        self.connection.prepare_cached(sql)?.execute(params![brand.as_str(), list.word(), period, item])?;
        Ok(())
    }

    /// Signs a list of a period; what nobody has looked at needs a reason.
    ///
    /// # Errors
    /// [`StoreError::Signed`] when it was signed before.
    pub fn sign_checks(
        &self,
        brand: &Brand,
        list: Checklist,
        period: &str,
        actor: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<ChecksSigned> {
        self.unsigned(brand, list, period)?;
        let ticks = self.ticks(brand, list, period)?;
        let left = list.checks().filter(|check| ticks.iter().all(|tick| tick.item != check.id));
        let unticked: Vec<String> = left.map(|check| check.id.to_owned()).collect();
        let digest = *blake3::hash(&json(&ticks)?).as_bytes();
        let sql = "INSERT INTO check_signs (brand, list, period, at, actor, unticked, reason, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let names = String::from_utf8(json(&unticked)?).map_err(|e| unreadable("a list of checks", e))?;
        let reason = short(reason, TEXT_CHARS_MAX);
        let values = params![brand.as_str(), list.word(), period, micros(now), actor, names, reason, digest];
        self.connection.prepare_cached(sql)?.execute(values)?;
        let digest = blake3::Hash::from_bytes(digest).to_hex().to_string();
        Ok(ChecksSigned { at: now, actor: actor.to_owned(), unticked, reason: reason.to_owned(), digest })
    }

    fn unsigned(&self, brand: &Brand, list: Checklist, period: &str) -> Result<()> {
        match self.checks_signed(brand, list, period)? {
            None => Ok(()),
            Some(signed) => Err(StoreError::Signed(format!("{} of {period}, by {}", list.name(), signed.actor))),
        }
    }
}

impl View<'_> {
    /// The ticks of a list of a period.
    pub fn ticks(&self, brand: &Brand, list: Checklist, period: &str) -> Result<Vec<TickRow>> {
        let sql =
            "SELECT item, at, actor, seen, note FROM check_ticks WHERE brand = ?1 AND list = ?2 AND period = ?3 ORDER BY item";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_and_then(params![brand.as_str(), list.word(), period], |row| {
            let seen: String = row.get(3)?;
            Ok(TickRow {
                item: row.get(0)?,
                at: moment(row.get(1)?)?,
                actor: row.get(2)?,
                seen: Seen::from_word(&seen).ok_or_else(|| unreadable("what was seen", &seen))?,
                note: row.get(4)?,
            })
        })?;
        rows.collect()
    }

    /// Who signed a list of a period, if anybody did.
    pub fn checks_signed(&self, brand: &Brand, list: Checklist, period: &str) -> Result<Option<ChecksSigned>> {
        let sql = "SELECT at, actor, unticked, reason, lower(hex(digest)) FROM check_signs WHERE brand = ?1 AND list = ?2 AND period = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row(params![brand.as_str(), list.word(), period], |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?, row.get(4)?))
        });
        let Some((at, actor, unticked, reason, digest)) = found.optional()? else { return Ok(None) };
        let unticked = from_json("a list of checks", unticked.as_bytes())?;
        Ok(Some(ChecksSigned { at: moment(at)?, actor, unticked, reason, digest }))
    }

    /// The periods of a list on which anybody ticked or signed something, the newest first.
    pub fn checked_periods(&self, brand: &Brand, list: Checklist, most: usize) -> Result<Vec<String>> {
        let sql = "SELECT period FROM check_ticks WHERE brand = ?1 AND list = ?2 UNION SELECT period FROM check_signs WHERE brand = ?1 AND list = ?2
                   ORDER BY period DESC LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![brand.as_str(), list.word(), crate::packing::limit(most)], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// When an act of this name was last done.
    pub fn last_act(&self, brand: &Brand, action: &str) -> Result<Option<Timestamp>> {
        let sql = "SELECT at FROM audit WHERE brand = ?1 AND action = ?2 ORDER BY number DESC LIMIT 1";
        let at: Option<i64> =
            self.connection.prepare_cached(sql)?.query_row([brand.as_str(), action], |row| row.get(0)).optional()?;
        crate::packing::moment_maybe(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, brand, memory};

    fn tick(item: &str, actor: &str) -> TickRow {
        TickRow { item: item.to_owned(), at: at(10), actor: actor.to_owned(), seen: Seen::Good, note: String::new() }
    }

    #[tokio::test]
    async fn what_is_signed_does_not_change_any_more() {
        let store = memory().await;
        store
            .write(|tx| {
                let (list, day) = (Checklist::Daily, "2026-11-30");
                tx.tick(&brand(), list, day, &tick("balance", "anna"))?;
                tx.tick(&brand(), list, day, &tick("stock", "anna"))?;
                tx.tick(&brand(), list, day, &TickRow { note: "two are old".to_owned(), ..tick("stock", "bo") })?;
                tx.tick(&brand(), list, day, &tick("returns", "bo"))?;
                tx.untick(&brand(), list, day, "returns")?;
                let ticks = tx.ticks(&brand(), list, day)?;
                let told: Vec<_> =
                    ticks.iter().map(|tick| (tick.item.as_str(), tick.actor.as_str(), tick.note.as_str())).collect();
                assert_eq!(told, [("balance", "anna", ""), ("stock", "bo", "two are old")]);
                assert!(tx.ticks(&brand(), list, "2026-12-01")?.is_empty() && tx.ticks(&"other".into(), list, day)?.is_empty());

                assert_eq!(tx.checks_signed(&brand(), list, day)?, None);
                let signed = tx.sign_checks(&brand(), list, day, "bo", "the rest is Anna's", at(20))?;
                assert!(signed.unticked.contains(&"returns".to_owned()) && !signed.unticked.contains(&"stock".to_owned()));
                assert_eq!(tx.checks_signed(&brand(), list, day)?, Some(signed));
                for again in [
                    tx.tick(&brand(), list, day, &tick("returns", "eve")),
                    tx.untick(&brand(), list, day, "stock"),
                    tx.sign_checks(&brand(), list, day, "eve", "", at(30)).map(|_| ()),
                ] {
                    assert!(matches!(again, Err(StoreError::Signed(_))), "{again:?}");
                }
                assert!(tx.connection.execute("DELETE FROM check_signs", []).is_err());
                assert!(tx.connection.execute("UPDATE check_signs SET actor = 'eve'", []).is_err());
                // Another day and the other list are open.
                tx.tick(&brand(), list, "2026-12-01", &tick("balance", "anna"))?;
                tx.tick(&brand(), Checklist::Monthly, "2026-11", &tick("trail", "anna"))?;
                assert_eq!(tx.checked_periods(&brand(), list, 9)?, ["2026-12-01", "2026-11-30"]);
                assert_eq!(tx.checked_periods(&brand(), Checklist::Monthly, 9)?, ["2026-11"]);

                assert_eq!(tx.last_act(&brand(), "store.backup")?, None);
                tx.audit(&brand(), "anna", "store.backup", "a.db", "", at(40))?;
                assert_eq!(tx.last_act(&brand(), "store.backup")?, Some(at(40)));
                Ok(())
            })
            .await
            .unwrap();
    }
}
