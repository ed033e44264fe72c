//! Records delivered once more: a few first, the rest only when those are confirmed.
//!
//! The ordinary journey does the work; here it is only asked for and watched. The first one that is not confirmed stops
//! it: what was foreseen of the others rests on the same rules.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use selvedge_model::{Money, ObligationId, obligation::State, replay::Effect};
use selvedge_store::Result;

use crate::{
    actions::{Actions, needs_two},
    replay::Replayed,
};

/// Records under way at once after the first few.
const BATCH: usize = 100;
/// How many surprises are named.
const NAMED_MAX: usize = 20;

/// Which records of a replay are delivered again, and which are not.
#[derive(Clone, Debug, serde::Serialize, JsonSchema)]
pub struct Plan {
    /// Those that are, the oldest first.
    #[serde(skip)]
    pub ids: Vec<ObligationId>,
    /// Past the limits.
    pub left_out: u64,
    /// They would be held, or left out: delivering them again would change nothing.
    pub would_not_pass: u64,
    #[serde(skip)]
    records_max: usize,
    #[serde(skip)]
    money_left: Option<Money>,
}

impl Plan {
    /// Nothing yet: at most so many records, worth no more than so much. With a limit of money, records in other currencies are
    /// left out.
    pub fn new(records_max: usize, money_max: Option<Money>) -> Self {
        Self { ids: Vec::new(), left_out: 0, would_not_pass: 0, records_max, money_left: money_max }
    }

    /// Takes a record in that goes now and would go otherwise than it did.
    pub fn add(&mut self, one: &Replayed) {
        if matches!(one.effect, Effect::Changed { .. } | Effect::NewlyPassing { .. }) && one.passes {
            match one.obligation.filter(|_| self.ids.len() < self.records_max && self.affords(one.worth)) {
                Some(id) => self.ids.push(id),
                None => self.left_out = self.left_out.saturating_add(1),
            }
        } else if one.effect != Effect::Same {
            self.would_not_pass = self.would_not_pass.saturating_add(1);
        }
    }

    /// Whether a record fits into what is left of the limit. What has no worth of its own does.
    fn affords(&mut self, worth: Option<Money>) -> bool {
        match (self.money_left.as_mut(), worth) {
            (Some(left), Some(worth)) => match left.minus(worth) {
                Ok(rest) if rest.minor() >= 0 => {
                    *left = rest;
                    true
                }
                // Too much, or of another currency.
                _ => false,
            },
            _ => true,
        }
    }
}

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

/// How it went, or how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, JsonSchema)]
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

/// A delivery that goes on as long as it is stepped.
#[derive(Debug)]
pub struct Redelivering {
    batches: VecDeque<Vec<ObligationId>>,
    under_way: Option<Vec<ObligationId>>,
    why: String,
    /// How far it is.
    pub done: Redelivered,
}

impl Redelivering {
    /// Sends the next batch, or looks how the one under way stands; whether there is more to wait for. Between two steps whoever
    /// steps it waits for the engine that runs, or ticks one.
    ///
    /// # Errors
    /// The store's.
    pub async fn step(&mut self, actions: &Actions) -> Result<bool> {
        if self.under_way.is_none() {
            let Some(batch) = self.batches.pop_front() else { return Ok(false) };
            self.done.renewed += actions.renew(&batch, &self.why).await?;
            self.done.left = self.done.left.saturating_sub(batch.len() as u64);
            self.under_way = Some(batch);
        }
        let Some(batch) = &self.under_way else { return Ok(false) };
        self.done.waiting = actions.settle(batch, &mut self.done).await?;
        if self.done.waiting > 0 {
            return Ok(true);
        }
        self.under_way = None;
        Ok(self.done.surprises.is_empty() && !self.batches.is_empty())
    }
}

/// How long nothing may settle before nobody waits any longer.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Whoever waits for records to settle, and gives up when nothing does for [`PATIENCE`].
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    moved_at: Timestamp,
    stands: (u64, u64),
}

impl Patience {
    /// From now on.
    pub fn new(now: Timestamp) -> Self {
        Self { moved_at: now, stands: (0, 0) }
    }

    /// Whether to wait any longer.
    pub fn lasts(&mut self, at: &Redelivered, now: Timestamp) -> bool {
        let stands = (at.left, at.waiting);
        if stands != self.stands {
            (self.stands, self.moved_at) = (stands, now);
        }
        now.duration_since(self.moved_at) < PATIENCE.try_into().unwrap_or(SignedDuration::MAX)
    }
}

impl Actions {
    /// All of them count, not a batch of them: else many held records would pass in parts.
    async fn may_release(&self, ids: &[ObligationId]) -> Result<()> {
        let (brand, ids) = (self.brand.clone(), ids.to_vec());
        self.store
            .read(move |view| {
                let Some(most) = view.four_eyes(&brand)?.release_over else { return Ok(()) };
                let mut held = 0;
                for id in ids {
                    held += u64::from(view.obligation(id)?.state == State::Held);
                }
                if held > most { Err(needs_two(held, most)) } else { Ok(()) }
            })
            .await
    }

    /// Has these go through the gate once more, the first `canary` of them alone: nothing is done before its first step.
    ///
    /// # Errors
    /// The store's; more of them are held than may be released without a second person.
    pub async fn redeliver(&self, ids: &[ObligationId], canary: usize, why: &str) -> Result<Redelivering> {
        self.may_release(ids).await?;
        let (first, rest) = ids.split_at(canary.clamp(1, ids.len().max(1)).min(ids.len()));
        let batches = std::iter::once(first).chain(rest.chunks(BATCH)).filter(|batch| !batch.is_empty()).map(<[_]>::to_vec);
        Ok(Redelivering {
            batches: batches.collect(),
            under_way: None,
            why: why.to_owned(),
            done: Redelivered { left: ids.len() as u64, ..Redelivered::default() },
        })
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

#[cfg(test)]
mod tests {
    use selvedge_model::Currency;

    use super::*;

    #[test]
    fn whoever_waits_gives_up_when_nothing_settles_and_not_before() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let stands = |left, waiting| Redelivered { left, waiting, ..Redelivered::default() };
        let mut patience = Patience::new(at(0));
        assert!(patience.lasts(&stands(100, 5), at(599)));
        assert!(patience.lasts(&stands(100, 4), at(1_100)), "one has settled");
        assert!(patience.lasts(&stands(0, 4), at(1_699)), "the next batch has begun");
        assert!(patience.lasts(&stands(0, 4), at(2_298)));
        assert!(!patience.lasts(&stands(0, 4), at(2_299)));
    }

    #[test]
    fn a_limit_of_money_takes_what_fits_and_nothing_of_another_currency() {
        let of = |minor, code| Money::from_minor(minor, Currency::from_code(code).unwrap());
        let one = |id, worth, effect: &Effect| Replayed {
            flow: "orders".into(),
            key: "1".into(),
            worth,
            effect: effect.clone(),
            obligation: Some(ObligationId(id)),
            passes: true,
        };
        let changed = Effect::Changed { fields: Vec::new() };
        let mut plan = Plan::new(10, Some(of(1_000, "EUR")));
        for (id, worth) in [of(600, "EUR"), of(600, "EUR"), of(400, "EUR"), of(1, "SEK")].into_iter().enumerate() {
            plan.add(&one(id as i64, Some(worth), &changed));
        }
        plan.add(&one(4, None, &changed));
        plan.add(&one(5, None, &Effect::Same));
        plan.add(&Replayed { passes: false, ..one(6, None, &changed) });
        assert_eq!(plan.ids, [0, 2, 4].map(ObligationId));
        assert_eq!((plan.left_out, plan.would_not_pass), (2, 1));
        let mut one_at_most = Plan::new(1, None);
        (0..3).for_each(|id| one_at_most.add(&one(id, Some(of(900, "SEK")), &changed)));
        assert_eq!((one_at_most.ids, one_at_most.left_out), (vec![ObligationId(0)], 2));
    }
}
