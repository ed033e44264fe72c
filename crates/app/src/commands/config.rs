//! `selvedge config`: what can be configured.

use clap::Subcommand;

use super::{About, out::Done};

/// Print what can be configured.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Print the JSON Schema of the config: every setting of every system, with its default
    Schema,
}

/// Runs it.
///
/// # Errors
/// Nobody listens.
pub fn run(about: &About, args: &Args) -> Done {
    match args.act {
        Act::Schema => about.out.json(&crate::config::schema())?,
    }
    Ok(0)
}
