//! `selvedge secrets`: secrets sealed in the store. Their texts are never an argument, never printed.

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
};

use clap::Subcommand;
use selvedge_store::sealed::SealingKey;
use serde_json::json;

use super::{
    About, actor,
    out::{Done, Failure, failed, unclear},
};
use crate::config::{
    Config,
    secrets::{self, KEY_VARIABLE},
    words,
};
use crate::wiring;

/// The longest secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Keep secrets sealed in the store. The key that seals them lies elsewhere: in SELVEDGE_KEY, in the file named with
/// --key-file, or in the one that [store] key_file of the config names.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  selvedge secrets new-key --out selvedge.key\n  selvedge secrets set shop-token                    (asks for it)\n  selvedge secrets set erp-key < erp.pem\n\nIn the config: token = { stored = \"shop-token\" }"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Seal one: asks for it, or reads it from standard input; never an argument, where others could see it
    Set {
        /// Its name.
        name: String,
    },
    /// The names of all
    List,
    /// Seal all of them under another key, at once; then name that key in place of the old one
    Rotate {
        /// The file with the other key, as new-key makes it.
        #[arg(long, value_name = "FILE")]
        new_key: PathBuf,
    },
    /// Make a key; keep a copy of it away from the store
    NewKey {
        /// Write it into this file, which only you may read; without it, it is printed.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Runs it.
///
/// # Errors
/// The store's; there is no key.
pub async fn run(about: &About, args: Args) -> Done {
    let out = about.out;
    match args.act {
        Act::NewKey { out: file } => {
            let (_, text) = SealingKey::generate();
            match file {
                None => out.line(&text)?,
                Some(path) => {
                    secrets::write_private(&path, &format!("{text}\n")).map_err(|error| {
                        failed(
                            format!("{} cannot be written: {error}", path.display()),
                            "No key was made, nothing was overwritten.",
                            "Name a file that does not exist, in a folder that does.",
                        )
                    })?;
                    out.say(format!("The key is in {}. Name it in [store] key_file of the config, and keep a copy away from the store:\nwithout it the stored secrets are lost.", path.display()))?;
                }
            }
        }
        Act::List => {
            let config = about.config()?;
            let brand = config.brand.clone();
            let names = about.store_to_read(&config).await?.read(move |view| view.sealed_names(&brand)).await?;
            if out.json {
                out.json(&names)?;
            } else {
                for name in names {
                    out.line(name)?;
                }
            }
        }
        Act::Rotate { new_key } => {
            let config = about.config()?;
            let old = key(about, &config).await?;
            let new = secrets::key_in_file(&new_key).map_err(|(why, remedy)| failed(why, "Nothing was sealed anew.", remedy))?;
            // A process that runs has the old key in hand, and would seal under it again.
            let _lock = wiring::lock(&config.store_url, std::time::Duration::ZERO).await.map_err(|error| {
                failed(
                    error.to_string(),
                    "Nothing was sealed anew: the store is in use.",
                    "Stop selvedge first, then rotate again.",
                )
            })?;
            let store = about.store_to_read(&config).await?;
            let (brand, at) = (config.brand.clone(), about.clock.now());
            let count = store
                .write(move |tx| {
                    let count = tx.reseal(&old, &new)?;
                    tx.audit(&brand, &actor(), "secret.rotate", "", &format!("{count} sealed under another key"), at)?;
                    Ok(count)
                })
                .await?;
            // What was sealed under the old key must not lie on in the log.
            store.fold().await?;
            if out.json {
                out.json(&json!({ "resealed": count }))?;
            } else {
                out.say(format!(
                    "{count} secrets are sealed under the key in {}, those of other brands in this store, too. Name that key now wherever the old one is named, then start selvedge again.\nKeep the old key as long as you keep backups that were made before.",
                    new_key.display()
                ))?;
            }
        }
        Act::Set { name } => {
            if !words::is_name(&name) {
                return Err(unclear("this cannot serve as a secret's name", words::NAME_REMEDY));
            }
            let config = about.config()?;
            let key = key(about, &config).await?;
            let plain = ask(&name)?;
            let store = about.store(&config).await?;
            let (brand, kept, at) = (config.brand.clone(), name.clone(), about.clock.now());
            store
                .write(move |tx| {
                    tx.seal(&brand, &kept, &plain, &key)?;
                    tx.audit(&brand, &actor(), "secret.set", &kept, "sealed in the store", at)
                })
                .await?;
            if out.json {
                out.json(&json!({ "stored": name }))?;
            } else {
                out.say(format!(
                    "Stored. In the config: {{ stored = \"{name}\" }}. A running selvedge takes it up when it is started again."
                ))?;
            }
        }
    }
    Ok(0)
}

/// The key in force.
async fn key(about: &About, config: &Config) -> Result<SealingKey, Failure> {
    let found = secrets::sealing_key(config, &about.environment(config), about.global.key_file.as_deref()).await;
    found.map_err(|(why, _)| {
        failed(
            why,
            "Nothing was stored.",
            format!("Make a key with selvedge secrets new-key, and name it in {KEY_VARIABLE}, --key-file or [store] key_file."),
        )
    })
}

fn ask(name: &str) -> Result<String, Failure> {
    let text = if std::io::stdin().is_terminal() {
        inquire::Password::new(&format!("{name}:"))
            .without_confirmation()
            .prompt()
            .map_err(|_| failed("no secret was given", "Nothing was stored.", "Try again, or give it on standard input."))?
    } else {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(SECRET_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(|_| failed("standard input is not UTF-8 text", "Nothing was stored.", "Give the secret as text."))?;
        text
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err(failed("the secret is empty", "Nothing was stored.", "Type it when asked, or give it on standard input."));
    }
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(failed("the secret is longer than 64 KiB", "Nothing was stored.", "See whether this is the right file."));
    }
    Ok(text.to_owned())
}
