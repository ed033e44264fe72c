//! The account's own lists of values, by SuiteQL.

use async_trait::async_trait;
use selvedge_connector::{Cursor, Fault, ListEntry, ListPage, Lists, Priority};

use super::{
    client::Client,
    returns,
    settings::{Form, Tax},
    suiteql::{PAGE, Row, query_or_refusal},
};

/// How one of our tables is asked for.
struct Table {
    name: &'static str,
    /// Their table.
    from: &'static str,
    /// The column by which an equal value of ours finds an entry.
    by: &'static str,
    /// Whether the table has a mark for entries that may not be used.
    has_inactive: bool,
    /// Whether nothing goes without it. The others are missing in some accounts, or hidden from some roles;
    /// they only serve people who map.
    needed: bool,
}

/// The list of days that documents of a closed month are posted on, which is worked out of the periods.
const POSTING_DAY: &str = returns::period::TABLE;

const TABLES: [Table; 8] = [
    Table { name: "item", from: "item", by: "itemid", has_inactive: true, needed: true },
    Table { name: "subsidiary", from: "subsidiary", by: "name", has_inactive: true, needed: false },
    Table { name: "location", from: "location", by: "name", has_inactive: true, needed: false },
    Table { name: "currency", from: "currency", by: "symbol", has_inactive: false, needed: true },
    Table { name: "shipping_item", from: "shipitem", by: "itemid", has_inactive: false, needed: false },
    Table { name: "tax_code", from: "salestaxitem", by: "name", has_inactive: false, needed: false },
    Table { name: "payment_method", from: "paymentmethod", by: "name", has_inactive: false, needed: false },
    Table { name: "price_level", from: "pricelevel", by: "name", has_inactive: true, needed: false },
];

/// The names alone.
const NAMES: [&str; 9] =
    ["item", "subsidiary", "location", "currency", "shipping_item", "tax_code", "payment_method", "price_level", POSTING_DAY];

/// The port.
pub(crate) struct ValueLists {
    pub client: Client,
    pub form: Form,
}

#[async_trait]
impl Lists for ValueLists {
    fn tables(&self) -> &'static [&'static str] {
        &NAMES
    }

    async fn list(&self, table: &str, page: Option<&Cursor>) -> Result<ListPage, Fault> {
        let what = format!("list {table}");
        if table == POSTING_DAY {
            return self.posting_days(&what).await;
        }
        let Some(table) = TABLES.iter().find(|t| t.name == table) else {
            return Err(Fault::Unexpected { what, detail: "no such list here".to_owned() });
        };
        let also = match table.name {
            _ if table.has_inactive => ", isinactive",
            // A tax line needs the type of its code, too: a mapping takes both as TYPE:CODE.
            "tax_code" if self.form.tax == Tax::Suite => ", taxtype",
            _ => "",
        };
        let sql = format!("SELECT id, {}{also} FROM {} WHERE id > ? ORDER BY id", table.by, table.from);
        let last = page.map_or("0", |cursor| cursor.0.as_str());
        let rows = match query_or_refusal(&self.client, &what, &sql, &[last], PAGE, Priority::Lists).await? {
            Ok(rows) => rows,
            Err((answer, fault)) if !table.needed && matches!(answer.status, 400 | 403 | 404) => {
                tracing::warn!(table = table.name, %fault, "the account does not show this list; its ids have to be mapped without suggestions");
                return Ok(ListPage::default());
            }
            Err((_, fault)) => return Err(fault),
        };
        let full = rows.more || rows.rows.len() >= PAGE;
        let next = rows.rows.last().and_then(|row| row.get("id")).filter(|_| full).map(|id| Cursor(id.clone()));
        Ok(ListPage { entries: rows.rows.iter().filter_map(|row| entry(table, row)).collect(), next })
    }

    /// Ids below nought (`-8`, not taxable) are the system's own; lists begin above it.
    fn is_built_in(&self, _table: &str, id: &str) -> bool {
        id.rsplit(':').next().is_some_and(|id| id.starts_with('-'))
    }
}

impl ValueLists {
    /// The months that take no documents, each with the day that they are posted on instead.
    async fn posting_days(&self, what: &str) -> Result<ListPage, Fault> {
        match query_or_refusal(&self.client, what, returns::period::SQL, &["0"], PAGE, Priority::Lists).await? {
            Ok(rows) => Ok(ListPage { entries: returns::period::posting_days(&rows.rows), next: None }),
            Err((answer, fault)) if matches!(answer.status, 400 | 403 | 404) => {
                tracing::warn!(%fault, "the account does not show its accounting periods; a closed one shows when NetSuite refuses a document");
                Ok(ListPage::default())
            }
            Err((_, fault)) => Err(fault),
        }
    }
}

fn entry(table: &Table, row: &Row) -> Option<ListEntry> {
    let id = row.get("id")?.clone();
    let name = row.get(table.by).cloned().unwrap_or_else(|| id.clone());
    let id = match row.get("taxtype") {
        Some(tax_type) => format!("{tax_type}:{id}"),
        None => id,
    };
    Some(ListEntry { id, name, active: row.get("isinactive").is_none_or(|mark| mark != "T") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_tables() {
        assert_eq!(TABLES.map(|t| t.name), NAMES[..8]);
    }

    #[test]
    fn an_inactive_entry_is_listed_as_such() {
        let row = |mark: &str| {
            Row::from([
                ("id".to_owned(), "7".to_owned()),
                ("itemid".to_owned(), "A-1".to_owned()),
                ("isinactive".to_owned(), mark.to_owned()),
            ])
        };
        assert!(!entry(&TABLES[0], &row("T")).unwrap().active);
        assert_eq!(entry(&TABLES[0], &row("F")).unwrap(), ListEntry { id: "7".into(), name: "A-1".into(), active: true });
    }

    #[test]
    fn a_tax_code_is_listed_with_its_type() {
        let row = Row::from([("id", "44"), ("name", "S-SE"), ("taxtype", "9")].map(|(n, v)| (n.to_owned(), v.to_owned())));
        let entry = entry(&TABLES[5], &row).unwrap();
        assert_eq!((entry.id.as_str(), entry.name.as_str()), ("9:44", "S-SE"));
    }
}
