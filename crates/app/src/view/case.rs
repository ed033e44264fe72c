//! One exception as a case: why, the evidence, what might be done, what became of it so far.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use selvedge_connector::Exchange;
use selvedge_flow::DeskSetup;
use selvedge_model::{
    AnyRecord, Brand, ExceptionId, FlowName, Kind, ObligationId, RecordKey,
    edit::{EditField, Editable, ParcelNumber, lay_over, one_line},
    likeness::Names,
    obligation::State,
};
use selvedge_store::{Result, Store, StoreError, View, edits::EditRow, events::ExceptionEvent, obligations::ObligationRow};
use serde::Serialize;

use super::{Ends, ExceptionDetail, ExceptionView, MappingAsked};

/// Lines of a history that are shown, the newest.
const HISTORY_MAX: usize = 200;
/// Of how many held records evidence is looked for, the oldest.
const LOOKED_AT: usize = 20;
/// Entries of the target's list that are suggested.
const SUGGESTED: usize = 3;
/// Entries of one list that suggestions are looked for among.
const NAMES_MAX: usize = 20_000;
/// Other exceptions of the same cause that are named.
const SIBLINGS_MAX: usize = 20;

/// Everything that helps to settle one exception.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaseView {
    /// What it comes to, in figures.
    pub formula: String,
    /// Why it is held, in plain words.
    pub diagnosis: String,
    /// The last exchange of a record that it holds, where one is kept.
    pub evidence: Option<EvidenceView>,
    /// What the gate resolved for that record, or for the oldest one: the mapping in force.
    pub resolved: Vec<ResolvedView>,
    /// What might be set, where a mapping is missing: never set unasked.
    pub suggestions: Vec<SuggestionView>,
    /// Open exceptions of the same cause in other flows.
    pub siblings: Vec<SiblingView>,
    /// What is under way, where it is being released step by step.
    pub under_way: Vec<UnderWayView>,
    /// The order or shipment that may be edited: the oldest that it holds, or the one that was asked for.
    pub edit: Option<EditView>,
    /// What became of it, oldest first.
    pub history: Vec<ExceptionEvent>,
}

/// A last exchange.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EvidenceView {
    /// Of which obligation.
    pub obligation: ObligationId,
    /// Of which record.
    pub key: RecordKey,
    /// When.
    pub at: Timestamp,
    /// What was said and answered, redacted.
    #[serde(flatten)]
    pub exchange: Exchange,
}

/// A mapped value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ResolvedView {
    /// The table.
    pub table: String,
    /// Our key.
    pub key: String,
    /// Their value.
    pub value: String,
}

/// A value that might be meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SuggestionView {
    /// The value.
    pub value: String,
    /// Why it is suggested.
    pub why: String,
}

/// The same cause in another flow.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SiblingView {
    /// Which exception.
    pub id: ExceptionId,
    /// In which flow.
    pub flow: FlowName,
    /// What it holds.
    pub count: u64,
}

/// A record on its way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UnderWayView {
    /// Our key.
    pub key: RecordKey,
    /// Where it stands.
    pub state: State,
}

/// An order or a shipment that may be edited.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EditView {
    /// Its obligation.
    pub obligation: ObligationId,
    /// Of which kind it is.
    pub kind: Kind,
    /// Our key.
    pub key: RecordKey,
    /// The fields, as they would go now.
    pub fields: Vec<FieldView>,
    /// What was edited of it before, newest first.
    pub edits: Vec<EditRow>,
}

impl EditView {
    /// Whether it is a shipment of several parcels.
    pub fn has_several_parcels(&self) -> bool {
        self.fields.iter().any(|one| one.field.parcel().is_some_and(|parcel| parcel != ParcelNumber::FIRST))
    }
}

/// One field of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FieldView {
    /// Which.
    pub field: EditField,
    /// What the source says.
    pub source: Option<String>,
    /// What would go to the target now.
    pub goes: Option<String>,
}

/// What a case is looked at with.
#[derive(Clone, Debug)]
pub struct Looking {
    /// Whose.
    pub brand: Brand,
    /// How exceptions are ranked, owned and mended.
    pub desk: DeskSetup,
    /// The flows' two ends.
    pub ends: Vec<Ends>,
    /// The time.
    pub now: Timestamp,
    /// The obligation whose record is to be edited; the oldest if none is named.
    pub edit: Option<ObligationId>,
}

/// Everything that helps to settle an exception.
///
/// # Errors
/// The store's.
pub async fn case(store: &Store, looking: &Looking, detail: &ExceptionDetail) -> Result<CaseView> {
    let (looking, exception, asked) = (looking.clone(), detail.exception.clone(), detail.mapping.clone());
    store
        .read(move |view| {
            let id = exception.id;
            let held: Vec<ObligationRow> =
                view.held_ids(id, LOOKED_AT)?.into_iter().map(|id| view.obligation(id)).collect::<Result<_>>()?;
            let evidence = evidence(view, &held)?;
            let shown = evidence.as_ref().and_then(|one| held.iter().find(|row| row.id == one.obligation)).or(held.first());
            let resolved = shown.into_iter().flat_map(|row| row.values.iter()).map(|(table, key, value)| ResolvedView {
                table: table.to_owned(),
                key: key.to_owned(),
                value: value.to_owned(),
            });
            let siblings = siblings(view, &looking.brand, &exception)?;
            let target = super::connection_of(&exception.flow, &exception.cause, &looking.ends);
            Ok(CaseView {
                formula: exception.formula(&looking.desk.scale, looking.now),
                diagnosis: diagnosis(&exception, target.as_deref(), evidence.as_ref()),
                resolved: resolved.collect(),
                evidence,
                suggestions: match &asked {
                    Some(asked) if exception.open => suggestions(view, &looking.brand, asked, exception.value.as_deref())?,
                    _ => Vec::new(),
                },
                siblings,
                under_way: view.watched(id)?.into_iter().map(|row| UnderWayView { key: row.key, state: row.state }).collect(),
                edit: editable(view, &looking, id, &held)?,
                history: view.exception_events(id, HISTORY_MAX)?,
            })
        })
        .await
}

fn evidence(view: &View<'_>, held: &[ObligationRow]) -> Result<Option<EvidenceView>> {
    for row in held {
        // One that does not read any more is no evidence.
        if let Some(kept) = view.exchange(row.id)?
            && let Ok(exchange) = serde_json::from_slice(&kept.body)
        {
            return Ok(Some(EvidenceView { obligation: row.id, key: row.key.clone(), at: kept.at, exchange }));
        }
    }
    Ok(None)
}

fn siblings(view: &View<'_>, brand: &Brand, exception: &ExceptionView) -> Result<Vec<SiblingView>> {
    let others = view.exceptions_by_cause(brand, &exception.cause)?.into_iter().filter(|id| *id != exception.id);
    others
        .take(SIBLINGS_MAX)
        .map(|id| {
            let row = view.exception(id)?;
            Ok(SiblingView { id, flow: row.flow, count: row.count })
        })
        .collect()
}

/// What might be meant by a value that has no mapping: what the same word stands for beside another key, what the
/// target's own list has that is like it, and what the others of its table stand for.
fn suggestions(view: &View<'_>, brand: &Brand, asked: &MappingAsked, value: Option<&str>) -> Result<Vec<SuggestionView>> {
    let Some(connection) = &asked.connection else { return Ok(Vec::new()) };
    let mut found: Vec<SuggestionView> = Vec::new();
    let parts: Vec<&str> = asked.key.split(',').collect();
    let mut table = view.mappings(brand)?;
    table.retain(|row| row.connection == connection.as_str() && row.table == asked.table);
    // The last part tells one thing from another; the ones before it say where it is used.
    if let Some(last) = parts.last().filter(|_| parts.len() > 1) {
        for row in &table {
            let same = row.key.split(',').next_back() == Some(last) && !found.iter().any(|one| one.value == row.value);
            if same && found.len() < SUGGESTED {
                found.push(SuggestionView { value: row.value.clone(), why: format!("{} stands for it already", row.key) });
            }
        }
    }
    let words =
        parts.iter().filter_map(|part| part.split_once('=')).map(|(_, word)| word.to_owned()).chain(value.map(str::to_owned));
    let names = Names::of(view.list_names(connection, &asked.table, NAMES_MAX)?);
    for near in names.nearest(&words.collect::<Vec<_>>(), SUGGESTED) {
        if !found.iter().any(|one| one.value == near.id) {
            found
                .push(SuggestionView { value: near.id, why: format!("{connection} calls it {:?}, which is like it", near.name) });
        }
    }
    found.truncate(SUGGESTED);
    // Nothing is like it: whoever has to choose sees what the others of the table stand for.
    let alone = found.is_empty();
    for row in table.into_iter().filter(|_| alone) {
        if found.len() < SUGGESTED && !found.iter().any(|one| one.value == row.value) {
            found.push(SuggestionView { value: row.value, why: format!("is what {} stands for", row.key) });
        }
    }
    Ok(found)
}

fn editable(view: &View<'_>, looking: &Looking, id: ExceptionId, held: &[ObligationRow]) -> Result<Option<EditView>> {
    let may = |field: &EditField| looking.desk.editable.contains(&field.permission());
    // What is held on another's account goes with that one.
    let may_edit =
        |row: &ObligationRow| row.waits_for.is_none() && looking.desk.editable.iter().any(|may| may.kind() == row.kind);
    // What was asked for by name may be far behind the oldest.
    let asked = match looking.edit.map(|id| view.obligation(id)) {
        Some(Ok(row)) if row.state == State::Held && row.exception == Some(id) && may_edit(&row) => Some(row),
        Some(Ok(_)) | Some(Err(StoreError::Absent(_))) | None => None,
        Some(Err(error)) => return Err(error),
    };
    let Some(row) = asked.as_ref().or_else(|| held.iter().find(|row| may_edit(row))) else { return Ok(None) };
    let source = view.record(row.record)?.record;
    if matches!(source, AnyRecord::Unreadable(_)) {
        return Ok(None);
    }
    let fields = EditField::of_record(&source).into_iter().filter(may);
    let mut goes = source.clone();
    lay_over(&mut goes, &view.edits_in_force(&looking.brand, &row.key)?);
    Ok(Some(EditView {
        obligation: row.id,
        kind: row.kind,
        key: row.key.clone(),
        fields: fields.map(|field| FieldView { field, source: field.of(&source), goes: field.of(&goes) }).collect(),
        edits: view.edits_of(&looking.brand, &row.key)?,
    }))
}

/// Where it stopped and what that means, in plain words.
fn diagnosis(exception: &ExceptionView, target: Option<&str>, evidence: Option<&EvidenceView>) -> String {
    // What is about a connection as a whole has no flow, and names it in its path.
    let target = target.or_else(|| exception.path.strip_prefix("connections.")).unwrap_or("the target");
    let area = exception.rule.split('.').next().unwrap_or_default();
    let stopped = match area {
        "mapping" => format!(
            "The gate asked what {target} calls this value and found no entry that may be used. Nothing was sent: a guess would be \
             booked under the wrong name."
        ),
        "preflight" => {
            "Nothing is held yet. A look ahead found a value that the next order can carry and that would be stopped.".to_owned()
        }
        "target" => format!("The record passed the gate and went to {target}, which did not take it as it was sent."),
        "confirm" => format!("It was sent and taken. Read back from {target}, it does not stand there as it was sent."),
        "connection" | "auth" => {
            format!("Calls to {target} do not come through, whatever they carry. What waits goes on by itself.")
        }
        "needed" | "flow" => {
            format!("The record refers to another one that has to stand at {target} first, and that one does not come.")
        }
        "reconcile" => "Both ends were read whole, and they do not agree.".to_owned(),
        "stock" => "What was read or written of stock was not believed, not taken, or not found as it was left.".to_owned(),
        "source" if matches!(exception.rule.as_str(), "source.silent" | "source.few") => {
            "What arrives is counted, and by the weeks before more should have come by now. No call failed for it: whatever kept it lies \
             at the source, or on the way from there."
                .to_owned()
        }
        _ if exception.rule == "shipment.no_tracking" => {
            "The warehouse says that the parcels left and gives no number by which the shopper could follow them. The shop was told \
             nothing of them yet: once it is, it takes no number any more."
                .to_owned()
        }
        "shipment" if exception.count > 0 => {
            "Goods that were to have left have not, or left in another way than was ordered.".to_owned()
        }
        "decode" | "webhook" | "file" | "exchange" | "source" | "statement" => {
            "What the source sent could not be read, or could not be read whole. The bytes are kept as they came.".to_owned()
        }
        _ => "The record itself does not pass the checks of the gate. Nothing was sent.".to_owned(),
    };
    let answered = evidence.map(|one| match one.exchange.status {
        Some(status) => format!(" The last call ({}) was answered {status}; both sides of it are below.", one.exchange.what),
        None => format!(" The last call ({}) got no answer; what was sent is below.", one.exchange.what),
    });
    format!("{stopped}{}", answered.unwrap_or_default())
}

/// How the name of a field of a form begins that says what went there when the form was made.
pub const SEEN: &str = "seen.";

/// What somebody wants to edit: by the words of the fields, with `obligation` and `reason` beside them, and after [`SEEN`] what
/// they saw there. What is sent as it was seen is nobody's edit.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn edits(sent: &BTreeMap<String, String>, editable: &[Editable]) -> std::result::Result<Edits, String> {
    let of = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
    let obligation =
        of("obligation").parse().map_err(|_| "Name the obligation of the order or shipment, as obl_12.".to_owned())?;
    let (mut wanted, mut seen) = (Vec::new(), Vec::new());
    let fields = sent.iter().filter(|(name, _)| !matches!(name.as_str(), "obligation" | "reason") && !name.starts_with(SEEN));
    for (name, value) in fields {
        let was = sent.get(&format!("{SEEN}{name}"));
        if was.is_some_and(|was| one_line(Some(was.clone())) == one_line(Some(value.clone()))) {
            continue;
        }
        let field = EditField::from_word(name).ok_or_else(|| format!("There is no field {name:?} that can be edited."))?;
        if !editable.contains(&field.permission()) {
            return Err(format!("{} may not be edited here: see edit in [desk] of the configuration.", field.name()));
        }
        wanted.push((field, field.checked(value)?));
        seen.extend(was.map(|was| (field, Some(was.clone()).filter(|was| !was.is_empty()))));
    }
    Ok(Edits { obligation, wanted, seen, reason: super::reason(of("reason"))? })
}

/// What somebody wants to edit.
pub struct Edits {
    /// Of which obligation's record.
    pub obligation: ObligationId,
    /// The fields as they are wanted.
    pub wanted: Vec<(EditField, Option<String>)>,
    /// What went there when they looked, of those that say so.
    pub seen: Vec<(EditField, Option<String>)>,
    /// Why.
    pub reason: String,
}
