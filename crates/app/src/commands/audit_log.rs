//! `selvedge audit-log`: what people did, in a hash chain.

use clap::Subcommand;
use serde_json::json;

use super::{
    About,
    out::{Done, EXIT_FAILED, moment},
};

/// List what people did, and verify that the list is whole.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The newest acts first
    List {
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Compute the chain again; exits with 1 if an act was changed or taken out
    Verify,
}

/// Runs it.
///
/// # Errors
/// The store's.
pub async fn run(about: &About, args: Args) -> Done {
    let config = about.config()?;
    let store = about.store_to_read(&config).await?;
    let (out, brand) = (about.out, config.brand.clone());
    match args.act {
        Act::List { limit } => {
            let rows = store.read(move |view| view.audit_rows(&brand, limit)).await?;
            if out.json {
                out.json(&rows)?;
            } else {
                out.table(
                    ["NO", "WHEN", "WHO", "DID", "TO", "DETAIL"],
                    rows.into_iter()
                        .map(|row| [row.number.to_string(), moment(row.at), row.actor, row.action, row.subject, row.detail]),
                )?;
            }
            Ok(0)
        }
        Act::Verify => {
            let (broken_at, last) =
                store.read(move |view| Ok((view.audit_broken_at(&brand)?, view.audit_rows(&brand, 1)?.pop()))).await?;
            let (acts, hash) = last.map_or((0, String::new()), |row| (row.number, row.hash));
            if out.json {
                out.json(&json!({ "whole": broken_at.is_none(), "broken_at": broken_at, "acts": acts, "last_hash": hash }))?;
            } else {
                match broken_at {
                    None => out.line(format!("The chain of {acts} acts is whole. Last hash: {}\nKeep that hash elsewhere: it shows whether acts were cut off at the end.", if hash.is_empty() { "none" } else { &hash }))?,
                    Some(number) => out.line(format!("The chain breaks at act {number}: it or the one before was changed or taken out after it was written."))?,
                }
            }
            Ok(if broken_at.is_none() { 0 } else { EXIT_FAILED })
        }
    }
}
