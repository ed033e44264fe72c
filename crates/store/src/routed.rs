//! Which flow was given which line of an order.
//!
//! A route may ask what the shelves hold, and the shelves change; so what it said for a line is written
//! down by whichever flow looks first, and everybody after that reads it.

use jiff::Timestamp;
use rusqlite::params;
use selvedge_model::{Brand, ExternalId, FlowName, RecordKey};

use crate::{Result, Tx, View, packing::micros};

/// What was decided for one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedLine {
    /// The source's id of the line.
    pub line: ExternalId,
    /// Who ships it.
    pub flow: FlowName,
    /// By which route.
    pub route: String,
}

impl View<'_> {
    /// What was decided for the lines of an order, by line.
    pub fn routed(&self, brand: &Brand, key: &RecordKey) -> Result<Vec<RoutedLine>> {
        let sql = "SELECT line, flow, route FROM routed WHERE brand = ?1 AND key = ?2 ORDER BY line";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![brand.as_str(), key.as_str()], |row| {
            Ok(RoutedLine { line: ExternalId::new(row.get::<_, String>(0)?), flow: FlowName(row.get(1)?), route: row.get(2)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Tx<'_> {
    /// Writes down what was decided. False, and nothing changed that stood, when somebody else decided
    /// otherwise for one of these lines meanwhile.
    pub fn route(&self, brand: &Brand, key: &RecordKey, lines: &[RoutedLine], now: Timestamp) -> Result<bool> {
        let sql = "INSERT INTO routed (brand, key, line, flow, route, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT (brand, key, line) DO NOTHING";
        let stood = self.routed(brand, key)?;
        let other = |line: &RoutedLine| stood.iter().any(|old| old.line == line.line && old.flow != line.flow);
        if lines.iter().any(other) {
            return Ok(false);
        }
        let mut statement = self.connection.prepare_cached(sql)?;
        for line in lines {
            statement.execute(params![
                brand.as_str(),
                key.as_str(),
                line.line.as_str(),
                line.flow.as_str(),
                line.route,
                micros(now)
            ])?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{at, brand, memory};

    #[tokio::test]
    async fn the_first_decision_stands() {
        let store = memory().await;
        let line = |id: &str, flow: &str| RoutedLine { line: id.into(), flow: flow.into(), route: "r".into() };
        store
            .write(move |tx| {
                let key = RecordKey::new("1001");
                assert!(tx.route(&brand(), &key, &[line("1", "a"), line("2", "b")], at(1))?);
                assert!(!tx.route(&brand(), &key, &[line("2", "a"), line("3", "a")], at(2))?);
                assert!(tx.route(&brand(), &key, &[line("2", "b"), line("3", "a")], at(3))?);
                let flows: Vec<String> = tx.routed(&brand(), &key)?.into_iter().map(|row| row.flow.0).collect();
                assert_eq!(flows, ["a", "b", "a"]);
                Ok(())
            })
            .await
            .unwrap();
    }
}
