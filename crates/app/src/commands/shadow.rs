//! `selvedge flows shadow | adopt | catch-up`: what a flow found that only compares, and how it goes live.

use selvedge_flow::shadow::MISSED;
use selvedge_model::{FlowName, Mode, ObligationId, replay::tally::Sums};
use selvedge_store::comparisons::Adopted;
use serde_json::json;

use super::{
    About,
    out::{Done, Failure, Out, Paint, clean, counted, cut, failed},
};
use crate::{
    config::Config,
    view::{self, Ends, ShadowView},
};

/// Records taken over, or sent through the gate, in one transaction.
const BATCH: usize = 500;
/// How many fields are shown.
const FIELDS_SHOWN: usize = 20;

fn ends(config: &Config, flow: &FlowName) -> Result<Ends, Failure> {
    config.ends().into_iter().find(|ends| ends.flow == *flow).ok_or_else(|| {
        failed(
            format!("there is no flow {}", clean(flow.as_str())),
            "Nothing was changed.",
            "See which there are: selvedge flows",
        )
    })
}

/// What it found.
///
/// # Errors
/// The store's; there is no such flow.
pub async fn show(about: &About, flow: &FlowName, limit: usize) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let view = view::shadow(&store, &config.brand, &ends(&config, flow)?, limit).await?;
    if about.out.json {
        about.out.json(&view)?
    } else {
        tell(about.out, &view)?
    }
    Ok(0)
}

/// Takes over what it compared.
///
/// # Errors
/// The store's; the flow is not live.
pub async fn adopt(about: &About, flow: &FlowName, yes: bool) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let ends = ends(&config, flow)?;
    let found = view::shadow(&store, &config.brand, &ends, 0).await?.found;
    if ends.mode != Mode::Live {
        return Err(failed(
            format!("{flow} is {} in {}", ends.mode.word(), config.file.display()),
            "Nothing was changed.",
            format!("Set mode = \"live\" in its table first. selvedge flows shadow {flow} shows what it found."),
        ));
    }
    let out = about.out;
    if !yes {
        if out.json {
            out.json(&found)?;
            return Ok(0);
        }
        out.line(format!(
            "{} as it should: tied to what stands at {}, read back once more, and confirmed.",
            plural(found.equal, "record stands", "records stand"),
            ends.to
        ))?;
        out.line(format!(
            "{} otherwise{}: changed there.",
            plural(found.change, "record stands", "records stand"),
            worth(&found.worth_change)
        ))?;
        out.line(format!(
            "{} missing{}: made there.",
            plural(found.create, "record is", "records are"),
            worth(&found.worth_create)
        ))?;
        out.say("Nothing was done. The differences: selvedge flows shadow; to do it: --yes")?;
        return Ok(0);
    }
    let actions = about.actions(&config, &store);
    let mut all = Adopted::default();
    loop {
        let adopted = actions.adopt(flow, &ends.to, BATCH).await?;
        if adopted == Adopted::default() {
            break;
        }
        all = Adopted { bound: all.bound.saturating_add(adopted.bound), due: all.due.saturating_add(adopted.due) };
    }
    if out.json {
        out.json(&all)?;
    } else {
        out.say(format!(
            "{} tied to what stands at {}, {} due. selvedge run confirms and delivers them.",
            counted(all.bound, "record"),
            ends.to,
            counted(all.due, "record")
        ))?;
    }
    Ok(0)
}

/// Has what it missed go through its gate.
///
/// # Errors
/// The store's; there is no such flow.
pub async fn catch_up(about: &About, flow: &FlowName, yes: bool) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    ends(&config, flow)?;
    let actions = about.actions(&config, &store);
    let (mut count, mut sums, mut after) = (0_u64, Sums::default(), ObligationId(0));
    loop {
        let (brand, asked) = (config.brand.clone(), flow.clone());
        let rows = store.read(move |view| view.left_out(&brand, &asked, MISSED, after, BATCH)).await?;
        let Some((last, ..)) = rows.last() else { break };
        after = *last;
        rows.iter().filter_map(|(.., worth)| *worth).for_each(|amount| sums.add(amount));
        let ids: Vec<ObligationId> = rows.iter().map(|(id, ..)| *id).collect();
        count = count.saturating_add(if yes { actions.renew(&ids, "what it missed").await? } else { ids.len() as u64 });
    }
    let out = about.out;
    if out.json {
        out.json(&json!({ "records": count, "worth": sums, "done": yes }))?;
    } else if yes {
        out.say(format!("{} back to the gate of {flow}{}.", counted(count, "record"), worth(&sums)))?;
    } else {
        out.line(format!(
            "{} captured while {flow} was off or not there{}.",
            plural(count, "record was", "records were"),
            worth(&sums)
        ))?;
        out.say("Nothing was done. To have them delivered: --yes")?;
    }
    Ok(0)
}

pub(super) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `, worth 12.00 EUR, 3.00 SEK`, or nothing.
pub(super) fn worth(sums: &Sums) -> String {
    if sums.is_empty() { String::new() } else { format!(", worth {}", amounts(sums)) }
}

pub(super) fn amounts(sums: &Sums) -> String {
    sums.iter().map(|amount| amount.to_string()).collect::<Vec<_>>().join(", ")
}

fn tell(out: Out, view: &ShadowView) -> Result<(), Failure> {
    let found = &view.found;
    out.line(format!("{} is {}.", out.paint(Paint::Strong, &view.flow), view.mode.word()))?;
    out.line(format!("  as they should  {}", found.equal))?;
    out.line(format!("  otherwise       {}{}", found.change, worth(&found.worth_change)))?;
    out.line(format!("  missing         {}{}", found.create, worth(&found.worth_create)))?;
    let held: u64 = view.held.iter().map(|one| one.count).sum();
    out.line(format!("  would be held   {held}"))?;
    if !found.money_differs.is_empty() {
        out.line(format!("Theirs minus ours, over all amounts that differ: {}", amounts(&found.money_differs)))?;
    }
    let side = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), |text| cut(text, 40));
    if found.change > 0 {
        out.table(
            ["FIELD", "RECORDS", "MONEY", "AS IN", "OURS", "THEIRS"],
            found.fields.top().into_iter().take(FIELDS_SHOWN).map(|(path, field)| {
                [
                    path.to_owned(),
                    field.records.to_string(),
                    amounts(&field.money),
                    field.example.clone(),
                    side(&field.before),
                    side(&field.after),
                ]
            }),
        )?;
    }
    for one in &found.examples {
        let there = one.comparison.target.as_ref().map_or_else(
            || "missing".to_owned(),
            |id| {
                let paths: Vec<&str> = one.comparison.differences.iter().map(|d| d.path.as_str()).collect();
                format!("{id} there, found by {}, differs in {}", one.comparison.found_by, paths.join(", "))
            },
        );
        let worth = one.worth.map(|worth| format!(" ({worth})")).unwrap_or_default();
        out.line(format!("  {}{worth}: {}", clean(&one.key), clean(&there)))?;
    }
    for one in &view.held {
        out.line(format!("  {} would be held: {} ({})", counted(one.count, "record"), clean(&one.message), one.id))?;
    }
    Ok(())
}
