//! Where periods stand.

use selvedge_model::close::{Against, Standing};
use selvedge_store::Store;
use serde_json::json;

use super::{Place, entity, rows::Input};
use crate::{
    commands::{
        About, actor,
        out::{Done, EXIT_FAILED, Failure, Paint, counted, failed, moment},
    },
    config::Config,
    pack::manifest,
};

/// The periods of an entity of which anything is known.
pub(super) async fn list(about: &About, config: &Config, store: &Store, name: Option<&str>) -> Done {
    let entity = entity(config, name)?;
    let (brand, of) = (config.brand.clone(), entity.name.clone());
    let periods = store
        .read(move |view| {
            let signs = view.close_signs(&brand, &of)?;
            let told = view.close_periods(&brand, &of)?.into_iter().map(|period| {
                let state = view.close_state(&brand, &of, period)?;
                let last = signs.iter().rfind(|sign| sign.period == period).cloned();
                let looks = view.close_verdicts(&brand, &of, period)?;
                Ok((period, state, last, looks))
            });
            told.collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let out = about.out;
    if out.json {
        let told = periods.iter().map(|(period, state, last, looks)| {
            json!({ "entity": entity.name, "period": period, "state": state, "last_sign": last, "looks": looks })
        });
        out.json(&told.collect::<Vec<_>>())?;
        return Ok(0);
    }
    if periods.is_empty() {
        out.line(format!("No period of {} has been looked at yet: selvedge close show 2026-11.", entity.name))?;
        return Ok(0);
    }
    let rows = periods.into_iter().map(|(period, state, last, looks)| {
        let red = looks.iter().filter(|look| !look.against.is_empty()).count();
        let signed = last.as_ref().map(|sign| format!("{} by {}", moment(sign.signed_at), sign.signed_by)).unwrap_or_default();
        let hash = last.map(|sign| sign.hash).unwrap_or_default();
        [period.to_string(), state.word().to_owned(), looks.len().to_string(), red.to_string(), signed, hash]
    });
    out.table(["PERIOD", "STATE", "LOOKS", "OF THEM RED", "SIGNED", "HASH"], rows)?;
    Ok(0)
}

/// A period: what its rows come to, and what stands against signing. The look itself is kept, red or green.
pub(super) async fn period(about: &About, place: &Place, input: Input) -> Done {
    let (bounds, now) = (place.bounds, about.clock.now());
    let Input { enumerated, rows, .. } = input;
    let standing = off_thread(move || {
        let mut standing = Standing::new(bounds, now);
        for row in rows {
            let row = row?;
            standing
                .take(&row)
                .map_err(|error| anyhow::anyhow!("the amounts of {} {} do not add up: {error}", row.kind, row.key))?;
        }
        Ok(standing)
    })
    .await?;
    let overflow = |error| failed(format!("the sums of the period are too large: {error}"), "Nothing was changed.", "");
    let against = standing.against(&enumerated).map_err(overflow)?;
    let sums = manifest::sums(&standing).map_err(overflow)?;
    let words: Vec<String> = against.iter().map(Against::to_string).collect();
    keep(about, place, standing.rows, standing.open, &words).await?;
    let out = about.out;
    if out.json {
        out.json(&json!({
            "entity": place.entity.name, "period": place.period, "bounds": place.bounds,
            "rows": standing.rows, "open_items": standing.open, "adjustments": standing.adjusted,
            "counts": manifest::counts(&standing), "sums": sums, "against": words, "may_be_signed": words.is_empty(),
        }))?;
    } else {
        let zone = place.entity.zone.iana_name().unwrap_or_default();
        out.line(format!("{} {}, {} to {} ({zone})", place.entity.name, place.period, bounds.from, bounds.to))?;
        out.table(
            ["FLOW", "KIND", "SOURCE", "=", "AGREED", "OPEN", "EXCLUDED", "IN FLIGHT", "TARGET"],
            standing.balance.counts().map(|(flow, kind, counts)| {
                let of = counts.sources;
                let number = |count: u64| count.to_string();
                let equals = "=".to_owned();
                [
                    flow.to_string(),
                    kind.to_string(),
                    number(of.total()),
                    equals,
                    number(of.agreed),
                    number(of.open),
                    number(of.excluded),
                    number(of.in_flight),
                    number(counts.targets.total()),
                ]
            }),
        )?;
        let figure = |money: selvedge_model::Money| money.to_string();
        out.table(
            ["FLOW", "KIND", "OURS", "THEIRS", "DIFFERENCE", "OPEN", "ADJUSTED", "EXCLUDED", "IN FLIGHT", "UNEXPLAINED"],
            sums.iter().map(|sum| {
                let parts =
                    [sum.ours, sum.theirs, sum.difference, sum.open, sum.adjusted, sum.excluded, sum.in_flight, sum.unexplained];
                let [ours, theirs, difference, open, adjusted, excluded, in_flight, unexplained] = parts.map(figure);
                let (flow, kind) = (sum.flow.to_string(), sum.kind.to_string());
                [flow, kind, ours, theirs, difference, open, adjusted, excluded, in_flight, unexplained]
            }),
        )?;
        if words.is_empty() {
            let open = counted(standing.open, "open item");
            let told =
                format!("It may be signed, with {open}: selvedge close sign {} --out DIR --open {}", place.period, standing.open);
            out.line(out.paint(Paint::Good, told))?;
        } else {
            out.line(out.paint(Paint::Bad, "It cannot be signed:"))?;
            for word in &words {
                out.line(format!("  {word}"))?;
            }
        }
    }
    Ok(if words.is_empty() { 0 } else { EXIT_FAILED })
}

/// Adds a look to the history of the period.
pub(super) async fn keep(about: &About, place: &Place, rows: u64, open: u64, against: &[String]) -> Result<(), Failure> {
    let (brand, entity, period) = (place.config.brand.clone(), place.entity.name.clone(), place.period);
    let (against, now) = (against.to_vec(), about.clock.now());
    let write =
        move |tx: &selvedge_store::Tx<'_>| tx.add_close_verdict(&brand, &entity, period, &actor(), rows, open, &against, now);
    Ok(place.store.write(write).await?)
}

/// Work that reads rows may block.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => {
            Err(failed(format!("the work broke off: {error}"), "Nothing was changed.", "Try again; if it persists, tell us."))
        }
    }
}
