//! The targets' own lists of values, read whole and kept, so that the gate asks nobody.

use std::time::Duration;

use selvedge_connector::Lists;
use selvedge_model::{ConnectionName, gate::Lookup};
use selvedge_store::{Result, Tx, mappings::MappingAnswer};

use crate::{backoff::after, engine::Engine};

/// How long a list rests after a fault.
const REST_AFTER_FAULT: Duration = Duration::from_secs(2);

impl Engine {
    /// Reads every list that is due; returns how many were read whole.
    pub(crate) async fn refresh_lists(&self) -> Result<usize> {
        let mut read = 0;
        for (name, connection) in &self.setup().connections {
            let Some(lists) = &connection.lists else { continue };
            if !self.setup().flows.iter().any(|flow| flow.to == *name) || self.paused(name) {
                continue;
            }
            for table in lists.tables() {
                if self.list_is_due(name, table).await? && self.read_list(name, lists.as_ref(), table).await? {
                    read += 1;
                }
            }
        }
        Ok(read)
    }

    /// The same, and the nightly look through the mappings after it: it wants lists that are whole and fresh.
    pub(crate) async fn lists_and_preflight(&self) -> Result<usize> {
        let read = self.refresh_lists().await?;
        Ok(read + usize::from(self.preflight_if_due().await?))
    }

    /// Reads every list now, whether it is due or not, for as long as nobody else reads them; which could not be read.
    ///
    /// # Errors
    /// The store's.
    pub async fn reread_lists(&self) -> Result<Vec<(ConnectionName, &'static str)>> {
        let mut unread = Vec::new();
        for (name, connection) in &self.setup().connections {
            let Some(lists) = &connection.lists else { continue };
            if !self.setup().flows.iter().any(|flow| flow.to == *name) {
                continue;
            }
            for table in lists.tables() {
                if !self.read_list(name, lists.as_ref(), table).await? {
                    unread.push((name.clone(), *table));
                }
            }
        }
        Ok(unread)
    }

    async fn list_is_due(&self, connection: &ConnectionName, table: &'static str) -> Result<bool> {
        let now = self.now();
        if self.locked_list_rests().get(&(connection.clone(), table)).is_some_and(|until| *until > now) {
            return Ok(false);
        }
        let name = connection.clone();
        let read_at = self.store().read(move |view| view.list_read_at(&name, table)).await?;
        let next = read_at.map(|at| after(at, self.setup().lists_every));
        // Until then there is nothing to ask the store.
        if let Some(next) = next.filter(|next| *next > now) {
            self.locked_list_rests().insert((connection.clone(), table), next);
            return Ok(false);
        }
        Ok(true)
    }

    async fn read_list(&self, connection: &ConnectionName, lists: &dyn Lists, table: &'static str) -> Result<bool> {
        let generation = self.now().as_microsecond();
        let mut cursor = None;
        loop {
            let page = match lists.list(table, cursor.as_ref()).await {
                Ok(page) => page,
                Err(fault) => {
                    tracing::warn!(%connection, table, fault = fault.word(), detail = %fault, "a list could not be read; the old one stays in force");
                    self.note_trouble(connection, &fault).await?;
                    self.locked_list_rests().insert((connection.clone(), table), after(self.now(), REST_AFTER_FAULT));
                    return Ok(false);
                }
            };
            let name = connection.clone();
            let entries: Vec<(String, String, bool)> = page.entries.into_iter().map(|e| (e.id, e.name, e.active)).collect();
            self.store().write(move |tx| tx.list_entries(&name, table, &entries, generation)).await?;
            match page.next {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => break,
            }
        }
        self.note_well(connection).await?;
        let (brand, name, now) = (self.brand().clone(), connection.clone(), self.now());
        self.store()
            .write(move |tx| {
                tx.list_complete(&name, table, generation, now)?;
                release_answered(tx, &brand, &name, table, now)
            })
            .await?;
        Ok(true)
    }
}

/// Releases what waited for an entry that the list now has.
fn release_answered(
    tx: &Tx<'_>,
    brand: &selvedge_model::Brand,
    connection: &ConnectionName,
    table: &str,
    now: jiff::Timestamp,
) -> Result<()> {
    let prefix = format!("mapping.{table}:");
    for (exception, _, cause) in tx.open_causes_at(brand, connection, &prefix)? {
        let Some(key) = cause.strip_prefix(&prefix) else { continue };
        let Some((name, value)) = key.split_once('=').filter(|_| !key.contains(',')) else { continue };
        let value = value.replace("%3D", "=").replace("%2C", ",").replace("%25", "%");
        let lookup = Lookup::new(table, &[(name, &value)], "").same_name();
        if matches!(tx.answer(brand, connection, &lookup)?, MappingAnswer::Is(_)) {
            tx.begin_release(exception, "", now)?;
        }
    }
    Ok(())
}
