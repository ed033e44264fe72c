//! What the targets call our values.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use selvedge_connector::MappingTable;
use selvedge_flow::actions::{Actions, Mapped};
use selvedge_model::{Brand, ConnectionName, FlowName};
use selvedge_store::{
    Result, Store,
    mappings::{MappingFilter, MappingRow},
};
use serde::Deserialize;

use super::Ends;
use crate::config::words::nearest;

/// All entries.
///
/// # Errors
/// The store's.
pub async fn mappings(store: &Store, brand: &Brand) -> Result<Vec<MappingRow>> {
    let brand = brand.clone();
    store.read(move |view| view.mappings(&brand)).await
}

/// Which entries are wanted, and from where on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EntriesWanted {
    /// For one target.
    pub connection: String,
    /// Of one table.
    pub table: String,
    /// With this text in ours or theirs, large and small letters alike.
    pub search: String,
    /// The `next` of the page before.
    pub after: String,
    /// How many, at most 1,000; 100 where nothing is said.
    pub limit: Option<usize>,
}

/// Entries of one page.
const ENTRIES_MAX: usize = 1_000;

/// Some entries by connection, table and key; and where to go on.
///
/// # Errors
/// The store's; inside: what is unclear, in a sentence.
pub async fn entries(
    store: &Store,
    brand: &Brand,
    wanted: &EntriesWanted,
) -> Result<std::result::Result<(Vec<MappingRow>, Option<String>), String>> {
    let after: Option<(String, String, String)> = match wanted.after.as_str() {
        "" => None,
        text => match URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            Some(after) => Some(after),
            None => return Ok(Err("after is the next of an answer before; this is none.".to_owned())),
        },
    };
    let (brand, limit) = (brand.clone(), wanted.limit.unwrap_or(100).clamp(1, ENTRIES_MAX));
    let EntriesWanted { connection, table, search, .. } = wanted.clone();
    let filter = MappingFilter { connection, table, text: search, after };
    let (page, taken) = store.read(move |view| view.mappings_page(&brand, &filter, 0, limit)).await?;
    let last = page.last().filter(|_| taken > page.len()).map(|row| (&row.connection, &row.table, &row.key));
    let next = last.map(|last| URL_SAFE_NO_PAD.encode(serde_json::to_vec(&last).unwrap_or_default()));
    Ok(Ok((page, next)))
}

/// A mapping that somebody wants to set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct MappingWanted {
    /// For which target.
    pub connection: ConnectionName,
    /// Which table.
    pub table: String,
    /// Which key: `market=2,method=express`, or `*`.
    pub key: String,
    /// The target's id; `None` removes the entry.
    pub value: Option<String>,
    /// What stood there when somebody looked, an empty text for nothing: when it stands otherwise by now, nothing is changed. Left
    /// out: whatever stands there.
    #[serde(default)]
    pub seen: Option<String>,
}

/// A connection that mappings are for.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: ConnectionName,
    /// The tables that it asks; nothing if it does not say.
    pub tables: &'static [MappingTable],
    /// The flows that write to it.
    pub flows: Vec<FlowName>,
}

impl Target {
    /// A connection of this system.
    pub fn new(name: ConnectionName, system: &str) -> Self {
        let tables = selvedge_connectors::by_name(system).map_or(&[][..], |connector| connector.mapping_tables());
        Self { name, tables, flows: Vec::new() }
    }

    /// The same, written to by these.
    #[must_use]
    pub fn written_by(self, ends: &[Ends]) -> Self {
        let flows = ends.iter().filter(|ends| ends.to == self.name).map(|ends| ends.flow.clone()).collect();
        Self { flows, ..self }
    }

    /// Why an entry of its would never be read, if it would not.
    fn refuses(&self, table: &str, key: &str) -> Option<String> {
        if self.tables.is_empty() {
            return None;
        }
        let names = || self.tables.iter().map(|table| table.name);
        let Some(known) = self.tables.iter().find(|known| known.name == table) else {
            let all = names().collect::<Vec<_>>().join(", ");
            let meant = nearest(table, names()).map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
            return Some(format!("{} asks no table {table:?}.{meant} It asks {all}.", self.name));
        };
        if key == "*" {
            return None;
        }
        let parts: Vec<(&str, &str)> = key.split(',').filter_map(|part| part.split_once('=')).collect();
        let fits = parts.len() == known.parts.len() && parts.iter().zip(known.parts).all(|((name, _), part)| name == part);
        let form = known.parts.iter().map(|part| format!("{part}=…")).collect::<Vec<_>>().join(",");
        (!fits).then(|| format!("A key of {table} reads {form}; this is {key:?}. * is the table's default."))
    }
}

impl MappingWanted {
    /// The same, trimmed, if it makes sense.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn checked(self, known: &[Target]) -> std::result::Result<Self, String> {
        let wanted = Self {
            connection: ConnectionName(self.connection.as_str().trim().to_owned()),
            table: self.table.trim().to_owned(),
            key: self.key.trim().to_owned(),
            value: self.value.map(|value| value.trim().to_owned()),
            seen: self.seen,
        };
        let Some(target) = known.iter().find(|target| target.name == wanted.connection) else {
            let names = known.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(format!("There is no connection {:?}. These are configured: {names}.", wanted.connection.as_str()));
        };
        let table_reads =
            !wanted.table.is_empty() && wanted.table.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !table_reads || wanted.table.len() > 64 {
            return Err("A table is named in small letters, digits and underscores, as in shipping_item.".to_owned());
        }
        let key_reads =
            wanted.key == "*" || wanted.key.split(',').all(|part| part.split_once('=').is_some_and(|(name, _)| !name.is_empty()));
        if !key_reads || wanted.key.len() > 1_000 {
            return Err(
                "A key reads name=value, several joined by commas, as in market=2,method=express; * is the table's default."
                    .to_owned(),
            );
        }
        // What nobody reads may be taken out; it may not be set.
        if let Some(why) = target.refuses(&wanted.table, &wanted.key).filter(|_| wanted.value.is_some()) {
            return Err(why);
        }
        // What a file lost of its characters, or of the end of a row, is no name of anything.
        let spoilt = |text: &str| text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        if wanted.value.as_ref().is_some_and(|value| spoilt(value) || spoilt(&wanted.key)) {
            return Err("A key and an id are of one line and without characters that are not text: this has such a one, because the file is not UTF-8 or a quote is not closed."
                .to_owned());
        }
        if wanted.value.as_ref().is_some_and(|value| value.is_empty() || value.len() > 200) {
            return Err("Give the id that the target uses, at most 200 characters.".to_owned());
        }
        Ok(wanted)
    }

    /// Sets it, or removes it, in somebody's name.
    ///
    /// # Errors
    /// [`selvedge_store::StoreError::Changed`] when it stands otherwise by now than was seen; as [`Actions::map`].
    pub async fn set(&self, actions: &Actions) -> Result<Mapped> {
        let Self { connection, table, key, value, seen } = self;
        match seen {
            None => actions.map(connection, table, key, value.as_deref()).await,
            Some(seen) => {
                let before = Some(seen.as_str()).filter(|seen| !seen.is_empty());
                actions.map_over(connection, table, key, value.as_deref(), before).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_checked_before_it_is_set() {
        let known = [Target::new(ConnectionName::from("erp"), "netsuite")];
        let wanted = |connection: &str, table: &str, key: &str, value: Option<&str>| {
            MappingWanted {
                connection: connection.into(),
                table: table.into(),
                key: key.into(),
                value: value.map(str::to_owned),
                seen: None,
            }
            .checked(&known)
        };
        assert_eq!(wanted(" erp ", "item", " sku=1 ", Some(" 98 ")).unwrap().value.as_deref(), Some("98"));
        assert!(wanted("erp", "item", "*", None).is_ok());
        assert!(wanted("erp", "shipping_item", "market=2,method=", Some("1")).is_ok());
        assert!(wanted("erp", "shiping_item", "market=2,method=x", None).is_ok(), "what was set by mistake can be taken out");
        assert!(
            wanted("erp", "shiping_item", "market=2,method=x", Some("1")).unwrap_err().contains("Did you mean shipping_item?")
        );
        for (connection, table, key, value) in [
            ("shop", "item", "sku=1", "1"),
            ("erp", "", "sku=1", "1"),
            ("erp", "Item", "sku=1", "1"),
            ("erp", "item", "", "1"),
            ("erp", "item", "sku", "1"),
            ("erp", "item", "sku=1,", "1"),
            ("erp", "item", "sku=1", "  "),
            ("erp", "item", "sku=1", "9\u{fffd}8"),
            ("erp", "item", "sku=1", "98\nerp,item,sku=2,99"),
            ("erp", "item", "sku=1\u{1}", "98"),
            ("erp", "shipping_item", "method=x,market=2", "1"),
            ("erp", "shipping_item", "market=2", "1"),
            ("erp", "shipping_item", "colour=red", "1"),
        ] {
            assert!(wanted(connection, table, key, Some(value)).is_err(), "{connection} {table} {key} {value}");
        }
    }
}
