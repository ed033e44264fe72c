//! Signing, and signing once more.

use std::path::Path;

use selvedge_model::close::Against;
use selvedge_store::closes::{CloseSign, CloseState};
use serde_json::json;

use super::{Place, rows::Input, show};
use crate::{
    commands::{
        About, actor,
        out::{Done, EXIT_FAILED, Failure, counted, failed, unclear},
    },
    pack::{
        manifest::{Previous, Restates},
        seal::{Heading, SealError, seal},
    },
};

/// Seals the pack of a period and keeps that it was signed.
pub(super) async fn sign(about: &About, place: &Place, input: Input, out_folder: &Path, open_seen: u64) -> Done {
    let approver = about.actions(&place.config, &place.store).may_sign(&place.entity.name, place.period).await?;
    let heading = heading(about, place, open_seen, approver).await?;
    let (of, into) = (heading.clone(), out_folder.to_owned());
    let sealed = show::off_thread(move || Ok(seal(&into, &of, input))).await?;
    let sealed = match sealed {
        Ok(sealed) => sealed,
        Err(error) => return refused(about, place, error).await,
    };
    let (manifest, folder) = (&sealed.manifest, std::path::absolute(&sealed.folder)?);
    let signed = CloseSign {
        entity: manifest.entity.clone(),
        period: manifest.period,
        sequence: manifest.sequence,
        restatement: manifest.restatement,
        signed_by: manifest.signed_by.clone(),
        signed_at: manifest.signed_at,
        folder: folder.display().to_string(),
        hash: manifest.hash.clone(),
        previous: manifest.previous.as_ref().map(|previous| previous.hash.clone()),
        rows: manifest.rows,
        open_items: manifest.open_items,
    };
    if let Err(error) = about.actions(&place.config, &place.store).sign_close(signed).await {
        // A pack that nobody signed must not look like one.
        std::fs::remove_dir_all(&sealed.folder)?;
        return Err(failed(
            error.to_string(),
            "Nothing was signed; the pack was taken away again.",
            "See selvedge close list, and sign again if there is still something to sign.",
        ));
    }
    show::keep(about, place, manifest.rows, manifest.open_items, &[]).await?;
    let out = about.out;
    if out.json {
        out.json(&json!({
            "entity": manifest.entity, "period": manifest.period, "restatement": manifest.restatement,
            "sequence": manifest.sequence, "folder": sealed.folder, "hash": manifest.hash,
            "previous": manifest.previous, "rows": manifest.rows, "open_items": manifest.open_items,
        }))?;
    } else {
        let again = if manifest.restatement > 0 { format!(", restatement {}", manifest.restatement) } else { String::new() };
        out.line(format!(
            "Signed {} {}{again}: {}, {}, {}.\nThe pack is {}\nHash: {}",
            manifest.entity,
            manifest.period,
            counted(manifest.rows, "row"),
            counted(manifest.open_items, "open item"),
            counted(manifest.adjustments, "adjustment"),
            sealed.folder.display(),
            manifest.hash
        ))?;
        out.say(
            "Keep that hash elsewhere, on the printed page for one: it shows whether a whole other pack was put in its place.",
        )?;
    }
    Ok(0)
}

/// Under which heading the next pack of a period is sealed.
async fn heading(about: &About, place: &Place, open_seen: u64, approver: Option<String>) -> Result<Heading, Failure> {
    let (brand, entity, period) = (place.config.brand.clone(), place.entity.name.clone(), place.period);
    let (signs, state, reopenings) = place
        .store
        .read(move |view| {
            let signs = view.close_signs(&brand, &entity)?;
            Ok((signs, view.close_state(&brand, &entity, period)?, view.close_reopenings(&brand, &entity, period)?))
        })
        .await?;
    if matches!(state, CloseState::Signed | CloseState::Restated) {
        return Err(failed(
            format!("{} {period} is {} already, and nothing came after", place.entity.name, state.word()),
            "Nothing was changed; what was signed stays signed.",
            format!("If something did come late: selvedge close restate {period} --reason TEXT, then sign again."),
        ));
    }
    let of_period = signs.iter().rfind(|sign| sign.period == period);
    let last = signs.last();
    let next = |number: Option<u32>| number.map_or(Some(0), |number| number.checked_add(1));
    let too_many = || failed("there are too many packs", "Nothing was signed.", "");
    Ok(Heading {
        brand: place.config.brand.clone(),
        entity: place.entity.clone(),
        period,
        bounds: place.bounds,
        sequence: last.map_or(Some(1), |sign| sign.sequence.checked_add(1)).ok_or_else(too_many)?,
        restatement: next(of_period.map(|sign| sign.restatement)).ok_or_else(too_many)?,
        restates: of_period.map(|sign| Restates {
            hash: sign.hash.clone(),
            reason: reopenings
                .iter()
                .filter(|reopening| reopening.restatement == sign.restatement)
                .map(|reopening| reopening.reason.as_str())
                .collect::<Vec<_>>()
                .join("; "),
        }),
        previous: last.map(|sign| Previous { period: sign.period, restatement: sign.restatement, hash: sign.hash.clone() }),
        signed_by: approver.map_or_else(actor, |approver| format!("{}, approved by {approver}", actor())),
        signed_at: about.clock.now(),
        open_seen,
    })
}

/// Why nothing was sealed; what stands against it is kept, so that a later green does not erase it.
async fn refused(about: &About, place: &Place, error: SealError) -> Done {
    match error {
        SealError::Against { against, rows, open } => {
            let words: Vec<String> = against.iter().map(Against::to_string).collect();
            show::keep(about, place, rows, open, &words).await?;
            let out = about.out;
            if out.json {
                out.json(&json!({ "entity": place.entity.name, "period": place.period, "against": words }))?;
                return Ok(EXIT_FAILED);
            }
            Err(failed(
                format!("{} {} cannot be signed:\n    {}", place.entity.name, place.period, words.join("\n    ")),
                "Nothing was signed.",
                format!("See selvedge close show {}; a count or a cent that nothing explains may hide anything.", place.period),
            ))
        }
        SealError::OpenSeen { seen, found } => Err(unclear(
            format!(
                "{} in this period, and you sign with {seen}",
                if found == 1 { "1 item is open".to_owned() } else { format!("{found} items are open") }
            ),
            format!("Look at them with selvedge close export {} --what open-items, then sign with --open {found}.", place.period),
        )),
        SealError::Exists(folder) => Err(failed(
            format!("{} is there already, and a sealed pack is never overwritten", folder.display()),
            "Nothing was signed.",
            "Sign into another folder, or move that one away after you have seen what it is (selvedge close verify).",
        )),
        other => {
            Err(failed(other.to_string(), "Nothing was signed, and nothing is left of the attempt.", "Mend it and sign again."))
        }
    }
}

/// Opens a restatement.
pub(super) async fn restate(about: &About, place: &Place, reason: &str) -> Done {
    if reason.trim().is_empty() {
        return Err(unclear("a restatement needs a reason", "Write --reason with what came late."));
    }
    about.actions(&place.config, &place.store).reopen_close(&place.entity.name, place.period, reason.trim()).await?;
    about.out.say(format!(
        "{} {} is open for a restatement. What was signed stays as it is; selvedge close sign {} seals a pack beside it.",
        place.entity.name, place.period, place.period
    ))?;
    if about.out.json {
        about.out.json(&json!({ "entity": place.entity.name, "period": place.period, "state": CloseState::Reopened }))?;
    }
    Ok(0)
}
