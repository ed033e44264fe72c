//! What the targets call our values.

use selvedge_model::{Brand, ConnectionName};
use selvedge_store::{
    Result, Store,
    mappings::{MappingChange, MappingRow},
};
use serde::{Deserialize, Serialize};

/// How many changes of mappings are shown.
const HISTORY_MAX: usize = 100;

/// The mapping tables and who changed them.
#[derive(Clone, Debug, Serialize)]
pub struct MappingsView {
    /// What is set.
    pub mappings: Vec<MappingRow>,
    /// The last changes, newest first.
    pub history: Vec<MappingChange>,
}

/// The mapping tables and who changed them.
///
/// # Errors
/// The store's.
pub async fn mappings(store: &Store, brand: &Brand) -> Result<MappingsView> {
    let brand = brand.clone();
    store
        .read(move |view| {
            Ok(MappingsView { mappings: view.mappings(&brand)?, history: view.mapping_history(&brand, HISTORY_MAX)? })
        })
        .await
}

/// A mapping that somebody wants to set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MappingWanted {
    /// For which target.
    pub connection: ConnectionName,
    /// Which table.
    pub table: String,
    /// Which key: `market=2,method=express`, or `*`.
    pub key: String,
    /// The target's id; `None` removes the entry.
    pub value: Option<String>,
}

impl MappingWanted {
    /// The same, trimmed, if it makes sense.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn checked(self, known: &[ConnectionName]) -> std::result::Result<Self, String> {
        let wanted = Self {
            connection: ConnectionName(self.connection.as_str().trim().to_owned()),
            table: self.table.trim().to_owned(),
            key: self.key.trim().to_owned(),
            value: self.value.map(|value| value.trim().to_owned()),
        };
        if !known.contains(&wanted.connection) {
            let names = known.iter().map(ConnectionName::as_str).collect::<Vec<_>>().join(", ");
            return Err(format!("There is no connection {:?}. These are configured: {names}.", wanted.connection.as_str()));
        }
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
        if wanted.value.as_ref().is_some_and(|value| value.is_empty() || value.len() > 200) {
            return Err("Give the id that the target uses, at most 200 characters.".to_owned());
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_checked_before_it_is_set() {
        let known = [ConnectionName::from("erp")];
        let wanted = |connection: &str, table: &str, key: &str, value: Option<&str>| {
            MappingWanted { connection: connection.into(), table: table.into(), key: key.into(), value: value.map(str::to_owned) }
                .checked(&known)
        };
        assert_eq!(wanted(" erp ", "item", " sku=1 ", Some(" 98 ")).unwrap().value.as_deref(), Some("98"));
        assert!(wanted("erp", "item", "*", None).is_ok());
        assert!(wanted("erp", "item", "market=2,method=", Some("1")).is_ok());
        for (connection, table, key, value) in [
            ("shop", "item", "sku=1", "1"),
            ("erp", "", "sku=1", "1"),
            ("erp", "Item", "sku=1", "1"),
            ("erp", "item", "", "1"),
            ("erp", "item", "sku", "1"),
            ("erp", "item", "sku=1,", "1"),
            ("erp", "item", "sku=1", "  "),
        ] {
            assert!(wanted(connection, table, key, Some(value)).is_err(), "{connection} {table} {key} {value}");
        }
    }
}
