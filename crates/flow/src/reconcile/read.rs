//! One page at a time of what both ends say, kept together with how far it has come.

use selvedge_connector::{Connection, Cursor, Fault, Wanted, statements};
use selvedge_model::{ConnectionName, Kind};
use selvedge_store::{
    Result, StoreError,
    reconciliations::ReconciliationRow,
    statements::{End, StatementPage, UNREAD_MAX},
};

use super::{PairSetup, Reconciler, goods};

impl Reconciler {
    /// The next page of whatever is not read yet; whether everything is read now.
    pub(super) async fn read(&self, pair: &PairSetup, run: &ReconciliationRow) -> Result<std::result::Result<bool, Fault>> {
        let id = run.id;
        let read = self.store.read(move |view| view.statements(id)).await?;
        // The target first: what comes to be while it is read is in flight, and not missing.
        let ends = std::iter::once((End::Target, &pair.target)).chain(pair.sources.iter().map(|source| (End::Source, source)));
        for (end, name) in ends {
            for kind in &pair.kinds {
                let far = read.iter().find(|row| row.end == end && row.connection == *name && row.kind == *kind);
                if far.is_some_and(|row| row.whole) {
                    continue;
                }
                let before = far.and_then(|row| row.cursor.clone()).map(Cursor);
                let mut page = match self.page(pair, run, end, name, *kind, before.as_ref()).await? {
                    Ok(page) => page,
                    Err(fault) => return Ok(Err(fault)),
                };
                if page.next.is_some() && page.next.as_deref() == before.as_ref().map(|cursor| cursor.0.as_str()) {
                    // It would be read for ever, and taking it for the last one would prove what nobody read.
                    let what = format!("the statement of {kind} records");
                    return Ok(Err(Fault::Unexpected { what, detail: "the next page is this page".to_owned() }));
                }
                if far.map_or(0, |row| row.unread.len()) + page.unread.len() > UNREAD_MAX {
                    let what = format!("the statement of {kind} records");
                    let why = page.unread.first().map_or_else(String::new, |(id, why)| format!(", {id} as {}", why.message));
                    let detail = format!("more than {UNREAD_MAX} of them cannot be read{why}: it proves nothing");
                    return Ok(Err(Fault::Unexpected { what, detail }));
                }
                for entry in &mut page.entries {
                    entry.told_by = Some(name.clone());
                }
                let (name, kind) = (name.clone(), *kind);
                self.store.write(move |tx| tx.keep_statement(id, end, &name, kind, &page)).await?;
                return Ok(Ok(false));
            }
        }
        Ok(Ok(true))
    }

    async fn page(
        &self,
        pair: &PairSetup,
        run: &ReconciliationRow,
        end: End,
        name: &ConnectionName,
        kind: Kind,
        before: Option<&Cursor>,
    ) -> Result<std::result::Result<StatementPage, Fault>> {
        let connection: &Connection =
            self.connections.get(name).ok_or_else(|| StoreError::Absent(format!("connection {name}")))?;
        let page = match kind {
            Kind::Stock => goods::stock(connection, pair, end, Wanted::Everything, before).await,
            Kind::Product => goods::items(connection, &run.read, before, self.clock.now()).await,
            kind => statements::page(connection, kind, &run.read, before).await,
        };
        Ok(match page {
            Ok(Some(page)) => {
                Ok(StatementPage { entries: page.entries, unread: page.unread, next: page.next.map(|cursor| cursor.0) })
            }
            // Nothing tells it: the pair would not name the kind.
            Ok(None) => Ok(StatementPage::default()),
            Err(fault) => Err(fault),
        })
    }
}
