//! `selvedge stock`: what may be sold, and what would have happened under other settings.

mod rehearse;

use clap::Subcommand;

use super::{About, out::Done};

/// Play recorded days again under other settings.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: StockCommand,
}

#[derive(Debug, Subcommand)]
enum StockCommand {
    /// What would have been oversold or lost: recorded days, played again under other settings
    Rehearse(rehearse::RehearseArgs),
}

/// Runs it.
///
/// # Errors
/// Those of the act.
pub async fn run(about: &About, args: Args) -> Done {
    match args.act {
        StockCommand::Rehearse(args) => rehearse::run(about, args).await,
    }
}
