//! `selvedge handbook`: how this brand is set up, as Markdown.

use std::path::PathBuf;

use super::{
    About,
    out::{Done, failed},
};
use crate::view::handbook::{self, Facts};

/// Print the handbook: where each record lives, the mapping tables, who owns what, and the checklists with their ticks.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The same is at /handbook, where the checklists are ticked and signed.\n\nExamples:\n  selvedge handbook\n  selvedge handbook --out handbook.md"
)]
pub struct Args {
    /// Write it into this file instead; one that is there is written over.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// The store's; the file cannot be written.
pub async fn run(about: &About, args: Args) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let facts = Facts::of(&config);
    let book = handbook::handbook(&store, &config.brand, &facts, about.clock.now()).await?;
    if about.out.json {
        about.out.json(&book)?;
        return Ok(0);
    }
    let text = crate::handbook::markdown(&book);
    match args.out {
        None => about.out.line(text)?,
        Some(file) => {
            std::fs::write(&file, text).map_err(|error| {
                failed(
                    format!("{} cannot be written: {error}", file.display()),
                    "Nothing was written.",
                    "Name a file in a folder that exists and may be written to.",
                )
            })?;
            about.out.say(format!("The handbook is in {}.", file.display()))?;
        }
    }
    Ok(0)
}
