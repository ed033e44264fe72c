//! Records delivered once more: a few first, the rest only when those are confirmed.
//!
//! The ordinary journey does the work; here it is only asked for and watched. The first one that is not confirmed stops
//! it: what was foreseen of the others rests on the same rules.

use schemars::JsonSchema;
use std::collections::BTreeSet;

use selvedge_model::{ObligationId, obligation::State};
use selvedge_store::Result;

use crate::actions::Actions;

/// Records under way at once after the first few.
const BATCH: usize = 100;
/// How many surprises are named.
const NAMED_MAX: usize = 20;

/// A record that was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Surprise {
    /// Its obligation.
    pub obligation: ObligationId,
    /// Our key.
    pub key: String,
    /// Where it stands instead.
    pub state: State,
    /// Why.
    pub why: String,
}

/// How it went.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Redelivered {
    /// Sent through the gate.
    pub renewed: u64,
    /// Read back and equal; compared, in a flow that only compares.
    pub confirmed: u64,
    /// A newer revision took their place meanwhile.
    pub overtaken: u64,
    /// What stopped it.
    pub surprises: Vec<Surprise>,
    /// Not settled yet when nobody waited any longer.
    pub waiting: u64,
    /// Never touched.
    pub left: u64,
}

impl Redelivered {
    /// Whether everything went as foreseen.
    pub fn went_well(&self) -> bool {
        self.surprises.is_empty() && self.waiting == 0 && self.left == 0
    }
}

impl Actions {
    /// Has these go through the gate once more, the first `canary` of them alone. `step` makes time pass (ticks an engine, or
    /// waits for the one that runs) and answers whether to wait any longer.
    ///
    /// # Errors
    /// The store's.
    pub async fn redeliver(
        &self,
        ids: &[ObligationId],
        canary: usize,
        why: &str,
        mut step: impl AsyncFnMut() -> Result<bool>,
    ) -> Result<Redelivered> {
        let mut done = Redelivered { left: ids.len() as u64, ..Redelivered::default() };
        let (first, rest) = ids.split_at(canary.clamp(1, ids.len().max(1)).min(ids.len()));
        for batch in std::iter::once(first).chain(rest.chunks(BATCH)).filter(|batch| !batch.is_empty()) {
            done.renewed += self.renew(batch, why).await?;
            done.left = done.left.saturating_sub(batch.len() as u64);
            loop {
                let settled = self.settle(batch, &mut done).await?;
                done.waiting = settled;
                if settled == 0 || !step().await? {
                    break;
                }
            }
            if !done.surprises.is_empty() || done.waiting > 0 {
                break;
            }
        }
        Ok(done)
    }

    /// Counts how a batch stands, once it has settled; how many have not.
    async fn settle(&self, batch: &[ObligationId], done: &mut Redelivered) -> Result<u64> {
        let asked = batch.to_vec();
        let rows = self.store.read(move |view| asked.iter().map(|id| view.obligation(*id)).collect::<Result<Vec<_>>>()).await?;
        let waiting = rows.iter().filter(|row| row.state.in_flight()).count() as u64;
        let known: BTreeSet<ObligationId> = done.surprises.iter().map(|surprise| surprise.obligation).collect();
        for row in rows.iter().filter(|row| row.state.settled()) {
            match row.state {
                State::Confirmed | State::Compared | State::Superseded => {}
                // One is enough: nobody waits for the others of a batch that has gone wrong already.
                state if !known.contains(&row.id) && done.surprises.len() < NAMED_MAX => {
                    let exception = row.exception.map(|id| format!("held by {id}"));
                    done.surprises.push(Surprise {
                        obligation: row.id,
                        key: row.key.0.clone(),
                        state,
                        why: exception.or_else(|| row.note.clone()).unwrap_or_default(),
                    });
                }
                _ => {}
            }
        }
        if waiting == 0 {
            let count = |wanted: fn(State) -> bool| rows.iter().filter(|row| wanted(row.state)).count() as u64;
            done.confirmed += count(|state| matches!(state, State::Confirmed | State::Compared));
            done.overtaken += count(|state| state == State::Superseded);
        }
        Ok(waiting)
    }
}
