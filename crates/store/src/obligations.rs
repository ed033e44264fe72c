//! What is owed: claim, move, the balance equation.

use jiff::Timestamp;
use selvedge_model::{
    Brand, ConnectionName, ExceptionId, ExternalId, FlowName, Kind, ObligationId, RecordId, RecordKey,
    gate::Values,
    obligation::{Event, State},
};

use crate::{Result, Tx, View};

/// A debt to enter.
#[derive(Clone, Debug)]
pub struct NewObligation {
    /// Whose.
    pub brand: Brand,
    /// In which flow.
    pub flow: FlowName,
    /// Kind of record.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// The revision owed.
    pub record: RecordId,
    /// Its number.
    pub revision: u32,
    /// When the raw bytes arrived: the start of its clock.
    pub captured_at: Timestamp,
}

/// One debt.
#[derive(Clone, Debug)]
pub struct ObligationRow {
    /// Its row.
    pub id: ObligationId,
    /// In which flow.
    pub flow: FlowName,
    /// Kind of record.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// The revision owed.
    pub record: RecordId,
    /// Its number.
    pub revision: u32,
    /// Where it stands.
    pub state: State,
    /// How often a write was tried (claims).
    pub attempts: u32,
    /// Consecutive times the present step did not come through; back-off grows with it, every move to another state resets it.
    pub retries: u32,
    /// Their id, once known.
    pub target: Option<ExternalId>,
    /// The exception that holds it.
    pub exception: Option<ExceptionId>,
    /// What the gate resolved.
    pub values: Values,
    /// Why it is excluded (rule and version), dismissed (reason), or what it last met with.
    pub note: Option<String>,
    /// Start of its clock.
    pub captured_at: Timestamp,
    /// Not to be looked at before.
    pub due_at: Timestamp,
    /// When it settled.
    pub settled_at: Option<Timestamp>,
    /// The obligation that must be confirmed first.
    pub waits_for: Option<ObligationId>,
}

/// What a step changes besides the state.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// When it is next due; now if not given.
    pub due_at: Option<Timestamp>,
    /// Their id.
    pub target: Option<ExternalId>,
    /// What the gate resolved.
    pub values: Option<Values>,
    /// The exception that takes it (with `Event::Hold`).
    pub exception: Option<ExceptionId>,
    /// A note.
    pub note: Option<String>,
}

/// The equation of one flow: captured = confirmed + in flight + held + excluded + superseded + dismissed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Balance {
    /// In which flow.
    pub flow: String,
    /// Revisions that were captured for the flow, counted from the records and never from the obligations.
    pub captured: u64,
    /// Read back and equal.
    pub confirmed: u64,
    /// A verb still has work with them.
    pub in_flight: u64,
    /// An exception owns them.
    pub held: u64,
    /// A named rule keeps them out.
    pub excluded: u64,
    /// A newer revision took their place.
    pub superseded: u64,
    /// A person let them go.
    pub dismissed: u64,
}

impl Balance {
    /// Captured minus the sum of the rest: zero, or something was lost or made up.
    pub fn difference(&self) -> i128 {
        i128::from(self.captured)
            - [self.confirmed, self.in_flight, self.held, self.excluded, self.superseded, self.dismissed]
                .into_iter()
                .map(i128::from)
                .sum::<i128>()
    }
}

/// Which of a flow's records it wants, for the count of captured revisions.
#[derive(Clone, Debug)]
pub struct FlowSide {
    /// The flow.
    pub flow: FlowName,
    /// The connection that its records come from.
    pub from: ConnectionName,
    /// Their kind.
    pub kind: Kind,
}

impl Tx<'_> {
    /// Enters a debt and supersedes older revisions that have no write under way. Entering the
    /// same (flow, key, revision) again gives the row that is there.
    pub fn owe(&self, _new: &NewObligation, _now: Timestamp) -> Result<ObligationId> {
        todo!("helper")
    }

    /// Claims up to `limit` cleared rows that are due, oldest first, and notes for each that a write
    /// is about to leave (`Event::Claim`, `attempts` + 1). Never two revisions of one record at
    /// once: a row is left alone while an older revision of its record is in flight.
    pub fn claim(&self, _brand: &Brand, _flow: &FlowName, _now: Timestamp, _limit: usize) -> Result<Vec<ObligationRow>> {
        todo!("helper")
    }

    /// After a crash: every `Sending` row becomes `Unanswered`, due now. Returns how many.
    pub fn recover(&self, _brand: &Brand, _now: Timestamp) -> Result<u64> {
        todo!("helper")
    }

    /// Moves a row by the table of moves. Confirming it also frees the rows that wait for it.
    ///
    /// # Errors
    /// [`crate::StoreError::Move`].
    pub fn step(&self, _id: ObligationId, _event: Event, _change: &Step, _now: Timestamp) -> Result<State> {
        todo!("helper")
    }

    /// Leaves the state as it is and looks again at `due_at` (`retries` + 1).
    pub fn postpone(&self, _id: ObligationId, _due_at: Timestamp, _note: Option<&str>) -> Result<()> {
        todo!("helper")
    }

    /// Lets a row wait until another is confirmed.
    pub fn wait_for(&self, _id: ObligationId, _other: ObligationId) -> Result<()> {
        todo!("helper")
    }
}

impl View<'_> {
    /// Rows in a state that are due, oldest first, an older unsettled revision of the same record first.
    /// Rows that wait for another are left out.
    pub fn due(&self, _brand: &Brand, _flow: &FlowName, _state: State, _now: Timestamp, _limit: usize) -> Result<Vec<ObligationRow>> {
        todo!("helper")
    }

    /// The next instant at which anything of the brand falls due, if anything is in flight.
    pub fn next_due(&self, _brand: &Brand) -> Result<Option<Timestamp>> {
        todo!("helper")
    }

    /// One row.
    pub fn obligation(&self, _id: ObligationId) -> Result<ObligationRow> {
        todo!("helper")
    }

    /// All rows for a record, by flow, then revision.
    pub fn obligations_of(&self, _brand: &Brand, _kind: Kind, _key: &RecordKey) -> Result<Vec<ObligationRow>> {
        todo!("helper")
    }

    /// The newest row of a flow for a record.
    pub fn obligation_latest(&self, _brand: &Brand, _flow: &FlowName, _key: &RecordKey) -> Result<Option<ObligationRow>> {
        todo!("helper")
    }

    /// Whether any revision of the record was ever claimed in this flow: then a document may stand
    /// at the target though no id is bound.
    pub fn ever_attempted(&self, _brand: &Brand, _flow: &FlowName, _key: &RecordKey) -> Result<bool> {
        todo!("helper")
    }

    /// The equation for each flow, over what was captured in the window (everything if `None`).
    pub fn balance(&self, _brand: &Brand, _flows: &[FlowSide], _window: Option<selvedge_model::Interval>) -> Result<Vec<Balance>> {
        todo!("helper")
    }

    /// Rows of a flow by state, for the page.
    pub fn state_counts(&self, _brand: &Brand, _flow: &FlowName) -> Result<Vec<(State, u64)>> {
        todo!("helper")
    }

    /// How long confirmed rows took from capture to confirmed, in milliseconds: p50 and p99.
    pub fn latency(&self, _brand: &Brand, _flow: &FlowName) -> Result<Option<(u64, u64)>> {
        todo!("helper")
    }
}
