//! `selvedge close read`: both ends of a period, whole.

use std::sync::Arc;

use selvedge_flow::reconcile::Reconciler;

use super::{Which, entity, no_period, rows};
use crate::{
    commands::{
        About,
        out::{Done, EXIT_FAILED, Failure, failed},
        reconcile::tell,
    },
    config::Level,
    view::reconcile as view,
    wiring,
};

/// Reads what the close of a period rests on, and says whether everything is accounted for.
///
/// # Errors
/// The config's or the store's; an end that could not be read whole.
pub(super) async fn run(about: &About, which: Which) -> Done {
    let (config, found) = about.read();
    let environment = about.environment(&config);
    let key_file = about.global.key_file.as_deref();
    let opened = wiring::assemble(&config, found, &environment, key_file, &about.clock, wiring::Access::ReadOnly).await;
    let Some(store) = opened.store.filter(|_| opened.problems.iter().all(|problem| problem.level != Level::Bad)) else {
        return Err(Failure::Config(opened.problems));
    };
    let entity = entity(&config, which.of.entity.as_deref())?;
    let bounds = entity.bounds(which.period).map_err(no_period)?;
    let clock = Arc::clone(&about.clock);
    let reconciler = Reconciler::new(config.brand.clone(), store.clone(), clock, opened.connections, rows::pairs(&config));
    let mut looks = Vec::new();
    for pair in &reconciler.pairs {
        match reconciler.look(pair, &rows::reason(&entity, which.period), &bounds).await? {
            Ok(id) => looks.extend(view::look(&store, &config.brand, id).await?),
            Err(why) => {
                return Err(failed(
                    format!("{} could not be read whole: {why}", pair.name),
                    "What was read is kept.",
                    "The same command goes on where it stands.",
                ));
            }
        }
    }
    let whole = looks.iter().all(|look| look.balanced == Some(true));
    if about.out.json {
        about.out.json(&looks)?;
    } else {
        for look in &looks {
            tell(about.out, look)?;
        }
    }
    Ok(if whole { 0 } else { EXIT_FAILED })
}
