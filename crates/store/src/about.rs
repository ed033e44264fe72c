//! The store about itself.

use crate::{Result, View, packing::count};

/// What the store is, and how large.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Database {
    /// The version of SQLite.
    pub sqlite: String,
    /// How many migrations it has been through.
    pub schema: u64,
    /// How large its file is, in bytes.
    pub bytes: u64,
    /// How much of that is free for what comes.
    pub free_bytes: u64,
}

impl View<'_> {
    /// What the store is, and how large.
    pub fn database(&self) -> Result<Database> {
        let number =
            |pragma: &str| -> Result<u64> { Ok(self.connection.pragma_query_value(None, pragma, |row| row.get(0).map(count))?) };
        let page = number("page_size")?;
        Ok(Database {
            sqlite: rusqlite::version().to_owned(),
            schema: number("user_version")?,
            bytes: number("page_count")?.saturating_mul(page),
            free_bytes: number("freelist_count")?.saturating_mul(page),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::memory;

    #[tokio::test]
    async fn a_store_tells_its_size_and_what_it_has_been_through() {
        let about = memory().await.read(|view| view.database()).await.unwrap();
        assert!(about.bytes > about.free_bytes && about.schema > 10 && about.sqlite.starts_with('3'), "{about:?}");
    }
}
