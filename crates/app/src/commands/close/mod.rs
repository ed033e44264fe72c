//! `selvedge close`: whether a month adds up, who signed it, and whether what was signed is what lies there.

mod export;
mod read;
pub mod rows;
mod show;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use selvedge_model::close::{CalendarError, Entity, Period};
use selvedge_store::Store;

use super::{
    About,
    out::{Done, Failure, unclear},
};
use crate::config::Config;

/// Close a month: see whether it adds up, sign it, and verify what was signed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Periods are called 2026-11, or 2026-P11 where the year is cut in weeks.\n\nExamples:\n  selvedge close read 2026-11\n  selvedge close show 2026-11\n  selvedge close sign 2026-11 --out packs --open 3\n  selvedge close verify packs/sweden-2026-11"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The periods and where each stands
    List {
        #[command(flatten)]
        of: Of,
    },
    /// Read both ends of a period whole: what the close rests on. Again, whenever something was mended
    Read {
        #[command(flatten)]
        which: Which,
    },
    /// Whether a period adds up: counts, sums, open items, and what stands against signing; exits with 1 if something does
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Sign a period: the pack is sealed in a folder of its own
    Sign {
        #[command(flatten)]
        which: Which,
        /// Below which folder the pack is sealed.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How many open items you have seen and sign with: 0 for none. Any other number than there are, and nothing is signed.
        #[arg(long, value_name = "N")]
        open: u64,
    },
    /// Open a restatement of a period that was signed; what was signed stays as it is
    Restate {
        #[command(flatten)]
        which: Which,
        /// Why, in a sentence.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Whether packs are what was signed, from their folders alone; exits with 1 if one is not
    Verify {
        /// The packs. Each is held against the one before it, if that is given or lies beside it.
        #[arg(required = true, value_name = "DIR")]
        folders: Vec<PathBuf>,
        /// The hash that the last pack has to have, as it was printed when it was signed.
        #[arg(long, value_name = "HASH")]
        hash: Option<String>,
    },
    /// Write what would be signed to standard output, as CSV
    Export {
        #[command(flatten)]
        which: Which,
        /// Which table.
        #[arg(long, value_enum, default_value_t = export::What::Rows)]
        what: export::What,
    },
}

#[derive(Clone, Debug, clap::Args)]
struct Of {
    /// Whose books; needed where the config names several.
    #[arg(long, value_name = "NAME")]
    entity: Option<String>,
}

#[derive(Clone, Debug, clap::Args)]
struct Which {
    /// The period.
    #[arg(value_name = "PERIOD")]
    period: Period,
    #[command(flatten)]
    of: Of,
}

/// Runs it.
///
/// # Errors
/// The store's, the disk's, or why the period cannot be had.
pub async fn run(about: &About, args: Args) -> Done {
    // What was signed is verified with nothing but what was signed.
    if let Act::Verify { folders, hash } = &args.act {
        return verify::run(about, folders.clone(), hash.as_deref()).await;
    }
    let config = about.config()?;
    match args.act {
        Act::Verify { .. } => Ok(0),
        Act::List { of } => {
            let store = about.store_to_read(&config).await?;
            show::list(about, &config, &store, of.entity.as_deref()).await
        }
        Act::Read { which } => read::run(about, which).await,
        Act::Show { which } => {
            let place = Place::of(about, config, which).await?;
            let input = place.read(about).await?;
            show::period(about, &place, input).await
        }
        Act::Sign { which, out, open } => {
            let place = Place::of(about, config, which).await?;
            let input = place.read(about).await?;
            sign::sign(about, &place, input, &out, open).await
        }
        Act::Restate { which, reason } => {
            let place = Place::of(about, config, which).await?;
            sign::restate(about, &place, &reason).await
        }
        Act::Export { which, what } => {
            let place = Place::of(about, config, which).await?;
            let input = place.read(about).await?;
            export::run(&place, input, what).await
        }
    }
}

/// One period of one entity of one brand.
struct Place {
    config: Config,
    store: Store,
    entity: Entity,
    period: Period,
    bounds: selvedge_model::Interval,
}

impl Place {
    async fn of(about: &About, config: Config, which: Which) -> Result<Self, Failure> {
        let entity = entity(&config, which.of.entity.as_deref())?;
        let bounds = entity.bounds(which.period).map_err(no_period)?;
        let store = about.store_to_read(&config).await?;
        Ok(Self { config, store, entity, period: which.period, bounds })
    }

    async fn read(&self, about: &About) -> Result<rows::Input, Failure> {
        rows::rows(about, &self.config, &self.store, &self.entity, self.period, self.bounds).await
    }
}

fn no_period(error: CalendarError) -> Failure {
    unclear(error.to_string(), "See [entities.NAME] in the config for how its year is cut.")
}

/// The entity that is meant: the one there is, or the one that was named.
fn entity(config: &Config, name: Option<&str>) -> Result<Entity, Failure> {
    let mut entities = config.entities();
    let names = || config.entities.keys().cloned().collect::<Vec<_>>().join(", ");
    match (name, entities.len()) {
        (_, 0) => Err(unclear(
            "the config names no entity, so nobody can say to which month an order at midnight belongs",
            "Add [entities.NAME] with time_zone (\"Europe/Stockholm\") and currency (\"SEK\"); see docs/guide/close.md.",
        )),
        (None, 1) => Ok(entities.remove(0)),
        (None, _) => {
            Err(unclear("the config names several entities", format!("Say whose month: --entity with one of {}.", names())))
        }
        (Some(name), _) => match entities.iter().position(|entity| entity.name == name) {
            Some(place) => Ok(entities.remove(place)),
            None => Err(unclear(format!("there is no entity {name:?}"), format!("There are: {}.", names()))),
        },
    }
}
