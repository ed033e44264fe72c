//! Mapping tables.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State};
use schemars::JsonSchema;
use selvedge_flow::actions::Mapped;
use selvedge_model::people::MapEntry;
use selvedge_store::mappings::{MappingChange, MappingRow};
use serde::Deserialize;

use super::{
    page::Page,
    problem::{Answer, Asked, Problem, Sent},
};
use crate::{
    people::Who,
    serve::App,
    view::{
        self, EntriesWanted, MappingWanted, PreflightView, Target,
        coverage::{self, Coverage},
        mapping_csv::{Foreseen, checked, foresee},
    },
};

/// `GET /api/mappings?connection=&table=&after=&limit=`
pub(super) async fn list(State(app): State<Arc<App>>, Asked(wanted): Asked<EntriesWanted>) -> Answer<Page<MappingRow>> {
    let (rows, next) = view::entries(&app.store, &app.brand, &wanted).await?.map_err(Problem::unclear)?;
    Ok(Json(Page::new(rows, next)))
}

/// `GET /api/mappings/preflight`
pub(super) async fn preflight(State(app): State<Arc<App>>) -> Answer<Vec<PreflightView>> {
    let brand = app.brand.clone();
    let found = app.store.read(move |view| view.preflights(&brand)).await?;
    Ok(Json(found.into_iter().map(PreflightView::from).collect()))
}

/// `PUT /api/mappings`: sets an entry (or removes it, with `"value": null`) and releases what waited for it: one
/// record first, where there are several.
pub(super) async fn set(State(app): State<Arc<App>>, who: Who, Sent(wanted): Sent<MappingWanted>) -> Answer<Mapped> {
    let wanted = wanted.checked(&app.mapping_targets()).map_err(Problem::unclear)?;
    Ok(Json(wanted.set(&app.actions(&who)).await?))
}

/// Entries of one request.
const ENTRIES_MAX: usize = 5_000;
/// Changes of one answer.
const LIMIT_MAX: usize = 500;

/// Many entries.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entries {
    /// The entries; all are set, or none.
    entries: Vec<MapEntry>,
}

/// `PUT /api/mappings/entries`
pub(super) async fn import(State(app): State<Arc<App>>, who: Who, Sent(sent): Sent<Entries>) -> Answer<Mapped> {
    if sent.entries.is_empty() || sent.entries.len() > ENTRIES_MAX {
        return Err(Problem::unclear(format!("Send 1 to {ENTRIES_MAX} entries. Nothing was changed.")));
    }
    let entries = right(sent.entries, &app.mapping_targets())?;
    Ok(Json(app.actions(&who).import(entries).await?))
}

/// `POST /api/mappings/entries/preview`
pub(super) async fn foreseen(State(app): State<Arc<App>>, Sent(sent): Sent<Entries>) -> Answer<Foreseen> {
    if sent.entries.len() > ENTRIES_MAX {
        return Err(Problem::unclear(format!("Send at most {ENTRIES_MAX} entries. Nothing was changed.")));
    }
    let entries = right(sent.entries, &app.mapping_targets())?;
    Ok(Json(foresee(&app.store, &app.brand, entries).await?))
}

/// Entries that make sense, each named once.
pub(super) fn right(entries: Vec<MapEntry>, targets: &[Target]) -> Result<Vec<MapEntry>, Problem> {
    let (mut all, mut seen) = (Vec::with_capacity(entries.len()), BTreeSet::new());
    for (number, entry) in entries.into_iter().enumerate() {
        let unclear = |why: &str| Problem::unclear(format!("Entry {}: {why} Nothing was changed.", number + 1));
        let MapEntry { connection, table, key, value } = entry;
        let wanted = MappingWanted { connection, table, key, value: Some(value), seen: None };
        let MappingWanted { connection, table, key, value, .. } = checked(wanted, targets).map_err(|why| unclear(&why))?;
        if !seen.insert((connection.clone(), table.clone(), key.clone())) {
            return Err(unclear("It stands here twice."));
        }
        all.push(MapEntry { connection, table, key, value: value.unwrap_or_default() });
    }
    Ok(all)
}

/// `GET /api/mappings/coverage`
pub(super) async fn coverage(State(app): State<Arc<App>>) -> Answer<Vec<Coverage>> {
    Ok(Json(coverage::coverage(&app.store, &app.brand, &app.mapping_targets()).await?))
}

/// Which changes, and how many at most.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    /// For one target.
    #[serde(default)]
    connection: String,
    /// Of one table.
    #[serde(default)]
    table: String,
    /// Of one key.
    #[serde(default)]
    key: String,
    /// The `next` of the page before.
    after: Option<i64>,
    /// How many, at most 500; 100 where nothing is said.
    limit: Option<usize>,
}

/// `GET /api/mappings/history`
pub(super) async fn history(State(app): State<Arc<App>>, Asked(asked): Asked<Changes>) -> Answer<Page<MappingChange>> {
    let (brand, limit) = (app.brand.clone(), asked.limit.unwrap_or(100).clamp(1, LIMIT_MAX));
    let look = app
        .store
        .read(move |view| view.mapping_changes(&brand, [&asked.connection, &asked.table, &asked.key], asked.after, limit));
    let rows = look.await?;
    let next = rows.last().map(|row| row.id).filter(|_| rows.len() == limit);
    Ok(Json(Page::new(rows, next)))
}
