//! The acts on the checklists of the handbook, and ([`markdown`]) the handbook as Markdown; page, API and command line share them.

mod markdown;

use selvedge_model::checklist::{Checklist, Seen};
use selvedge_store::{
    StoreError,
    checks::{ChecksSigned, TickRow},
};

pub use markdown::markdown;

use crate::{serve::App, view::handbook as view};

/// Why an act was not done.
#[derive(Debug)]
pub enum Refusal {
    /// It does not make sense, in a sentence.
    Unclear(String),
    /// The store's.
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Signed(what) => Self::Unclear(format!("{what} was signed and does not change any more.")),
            other => Self::Store(other),
        }
    }
}

/// Refuses a period that has not begun: nobody has looked at it, and once signed it could never be ticked.
fn begun(app: &App, list: Checklist, period: &str) -> Result<(), Refusal> {
    let present = list.period(app.clock.now(), &app.facts.zone);
    // The words of periods are in the order of the calendar.
    if period > present.as_str() {
        return Err(Refusal::Unclear(format!(
            "{period} has not begun: the list of {present} is the newest that is ticked and signed."
        )));
    }
    Ok(())
}

/// Ticks a check with what was found, or (without a note) takes the tick back. A check that is not as it should be is not
/// ticked without a word.
///
/// # Errors
/// [`Refusal`].
pub async fn tick(app: &App, actor: &str, list: Checklist, period: &str, item: &str, note: Option<&str>) -> Result<(), Refusal> {
    let now = app.clock.now();
    begun(app, list, period)?;
    let shown = view::checklist(&app.store, &app.brand, &app.facts, list, Some(period.to_owned()), now).await?;
    let Some(check) = shown.checks.iter().find(|check| check.id == item) else {
        return Err(Refusal::Unclear("There is no such check on this list.".to_owned()));
    };
    let note = note.map(str::trim);
    if check.seen == Seen::Bad && note == Some("") {
        return Err(Refusal::Unclear(format!("“{}” is not as it should be: say what you found and did.", check.what)));
    }
    let (brand, actor, item, period, seen) = (app.brand.clone(), actor.to_owned(), check.id, period.to_owned(), check.seen);
    let tick = note.map(|note| TickRow { item: item.to_owned(), at: now, actor: actor.clone(), seen, note: note.to_owned() });
    app.store
        .write(move |tx| {
            match &tick {
                Some(tick) => tx.tick(&brand, list, &period, tick)?,
                None => tx.untick(&brand, list, &period, item)?,
            }
            let act = if tick.is_some() { "check.tick" } else { "check.untick" };
            tx.audit(
                &brand,
                &actor,
                act,
                &format!("{} {period} {item}", list.word()),
                tick.as_ref().map_or("", |tick| &tick.note),
                now,
            )
        })
        .await?;
    Ok(())
}

/// Signs a list of a period; a reason is wanted for what nobody has looked at.
///
/// # Errors
/// [`Refusal`].
pub async fn sign(app: &App, actor: &str, list: Checklist, period: &str, reason: &str) -> Result<ChecksSigned, Refusal> {
    let now = app.clock.now();
    begun(app, list, period)?;
    let (brand, period, actor, reason) = (app.brand.clone(), period.to_owned(), actor.to_owned(), reason.trim().to_owned());
    let (of, day) = (brand.clone(), period.clone());
    let ticks = app.store.read(move |view| view.ticks(&of, list, &day)).await?;
    let left = list.checks().any(|check| ticks.iter().all(|tick| tick.item != check.id));
    if left && reason.is_empty() {
        return Err(Refusal::Unclear("Not everything is ticked: say why the rest stays as it is.".to_owned()));
    }
    Ok(app
        .store
        .write(move |tx| {
            let signed = tx.sign_checks(&brand, list, &period, &actor, &reason, now)?;
            let detail = format!("ticks {}; {} unticked {reason}", signed.digest, signed.unticked.len());
            tx.audit(&brand, &actor, "check.sign", &format!("{} {period}", list.word()), &detail, now)?;
            Ok(signed)
        })
        .await?)
}
