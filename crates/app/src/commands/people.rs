//! `selvedge people`: for whoever has the machine. Each act is audited under the name of the user of the operating system.

use std::collections::BTreeSet;

use clap::Subcommand;
use jiff::Timestamp;
use selvedge_flow::actions::Actor;
use selvedge_model::{
    TokenId,
    people::{Email, Role, fit_name},
};
use selvedge_store::{Store, people::Person};
use serde_json::json;

use super::{
    About, actor,
    out::{Done, Failure, clean, counted, failed, moment, unclear},
};
use crate::{
    config::Config,
    people::{manage, setup_link},
};

/// Say who may sign in and what they may do. Works beside a running selvedge.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  selvedge people setup                                      (a link to name the first admin)\n  selvedge people invite anna@example.com --name \"Anna Berg\" --role operator,finance\n  selvedge people reset anna@example.com --forget-app        (she lost password and phone)\n  selvedge people sessions anna@example.com --revoke"
)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Everybody, with their roles at this brand
    List,
    /// Make a link to name the first admin, while there is none who can sign in
    Setup,
    /// Invite somebody: prints the link by which they set a password
    Invite {
        /// The e-mail address by which they sign in.
        email: Email,
        /// What others read.
        #[arg(long)]
        name: String,
        /// Their roles at this brand: viewer, operator, finance, engineer, admin; several with commas.
        #[arg(long, required = true, value_delimiter = ',', value_parser = role)]
        role: Vec<Role>,
    },
    /// Set somebody's roles at this brand; nothing else they were stays
    Role {
        /// Whose.
        email: Email,
        /// The roles, with commas between them; none: no role.
        #[arg(value_delimiter = ',', value_parser = role)]
        roles: Vec<Role>,
    },
    /// Take an account out of use and end its sessions
    Disable {
        /// Whose.
        email: Email,
    },
    /// Put an account in use again
    Enable {
        /// Whose.
        email: Email,
    },
    /// Print a link by which somebody sets a new password
    Reset {
        /// Whose.
        email: Email,
        /// The authenticator app is lost, too: do not ask for it any more.
        #[arg(long)]
        forget_app: bool,
    },
    /// Where somebody is signed in
    Sessions {
        /// Whose.
        email: Email,
        /// End them all.
        #[arg(long)]
        revoke: bool,
    },
    /// Somebody's tokens of the API at this brand
    Tokens {
        /// Whose.
        email: Email,
        /// End this one.
        #[arg(long, value_name = "TOKEN")]
        revoke: Option<TokenId>,
    },
}

fn role(word: &str) -> Result<Role, String> {
    let words = || Role::ALL.map(Role::word).join(", ");
    Role::from_word(word.trim()).ok_or_else(|| format!("there is no such role; the roles are {}", words()))
}

/// Runs it.
///
/// # Errors
/// The store's; there is nobody of this address.
pub async fn run(about: &About, args: Args) -> Done {
    let config = about.config()?;
    // The first admin may be named before anything ran; everything else is about what is there.
    let store = match &args.act {
        Act::Setup | Act::Invite { .. } => about.store(&config).await?,
        _ => about.store_to_read(&config).await?,
    };
    let (out, brand, by, now) = (about.out, &config.brand, Actor::from(actor()), about.clock.now());
    match args.act {
        Act::List => list(about, &config, &store).await?,
        Act::Setup => {
            let Some(link) = setup_link(&store, brand, &by, now).await? else {
                return Err(failed(
                    "there is an admin who can sign in",
                    "Nothing was made.",
                    "They invite everybody else under People. If they have lost their password: selvedge people reset ADDRESS",
                ));
            };
            tell_link(
                about,
                &config,
                &format!("/setup/{}", link.text()),
                "Whoever opens it first names the first admin; it is good for an hour, once.",
            )?;
        }
        Act::Invite { email, name, role } => {
            let name = fit_name(&name).map_err(|unfit| unclear(unfit.to_string(), "Give it with --name."))?;
            match manage::invite(&store, brand, &by, &email, &name, role.into_iter().collect(), now).await? {
                Some(link) => tell_link(
                    about,
                    &config,
                    &format!("/invitation/{}", link.text()),
                    "Whoever opens it first sets the password; it is good for three days, once.",
                )?,
                None => said(about, format!("{email} is known already, and was given the roles besides those before."))?,
            }
        }
        Act::Role { email, roles } => {
            let person = person(&store, &config, &email).await?;
            let roles: BTreeSet<Role> = roles.into_iter().collect();
            manage::set_roles(&store, brand, &by, person.id, roles, now).await?;
            said(about, format!("Set. It counts from the next request of {email} on."))?;
        }
        Act::Disable { email } => {
            let person = person(&store, &config, &email).await?;
            manage::set_disabled(&store, brand, &by, person.id, true, now).await?;
            said(about, format!("{email} is out of use, and signed out everywhere."))?;
        }
        Act::Enable { email } => {
            let person = person(&store, &config, &email).await?;
            manage::set_disabled(&store, brand, &by, person.id, false, now).await?;
            said(about, format!("{email} is in use again."))?;
        }
        Act::Reset { email, forget_app } => {
            let person = person(&store, &config, &email).await?;
            let (_, link) = manage::reset(&store, brand, &by, person.id, forget_app, now).await?;
            let what = "Whoever opens it first sets a new password; it is good for three days, once.";
            tell_link(about, &config, &format!("/invitation/{}", link.text()), what)?;
        }
        Act::Sessions { email, revoke } => {
            let id = person(&store, &config, &email).await?.id;
            if revoke {
                let (sessions, tokens) = manage::revoke_sessions(&store, brand, &by, id, now).await?;
                let (sessions, tokens) = (counted(sessions, "session"), counted(tokens, "token"));
                said(about, format!("Of {email}: {sessions} and {tokens} ended."))?;
            } else {
                let sessions = store.read(move |view| view.sessions(id, now)).await?;
                if out.json {
                    out.json(&sessions)?;
                } else {
                    out.table(
                        ["ID", "SINCE", "LAST USED", "FROM", "BROWSER"],
                        sessions.into_iter().map(|one| {
                            [one.id.to_string(), moment(one.made_at), moment(one.used_at), clean(&one.address), clean(&one.agent)]
                        }),
                    )?;
                }
            }
        }
        Act::Tokens { email, revoke } => {
            let id = person(&store, &config, &email).await?.id;
            match revoke {
                Some(token) if manage::revoke_token(&store, brand, &by, id, token, now).await? => {
                    said(about, format!("{token} is good no more."))?;
                }
                Some(token) => {
                    return Err(failed(
                        format!("{email} has no token {token} at this brand"),
                        "Nothing was changed.",
                        "See selvedge people tokens.",
                    ));
                }
                None => tokens(about, &config, &store, id, now).await?,
            }
        }
    }
    Ok(0)
}

fn said(about: &About, text: String) -> Result<(), Failure> {
    if about.out.json { about.out.json(&json!({ "done": text })) } else { about.out.say(text) }
}

/// A link is what was asked for, so it goes to standard output whatever else is said.
fn tell_link(about: &About, config: &Config, path: &str, what: &str) -> Result<(), Failure> {
    let link = format!("{}{path}", config.url.clone().unwrap_or_else(|| format!("http://{}", config.listen)));
    if about.out.json {
        return about.out.json(&json!({ "link": link }));
    }
    about.out.say(what)?;
    about.out.line(link)
}

async fn person(store: &Store, config: &Config, email: &Email) -> Result<Person, Failure> {
    let (brand, of) = (config.brand.clone(), email.clone());
    let found = store.read(move |view| view.person_by_email(&brand, &of)).await?;
    found.ok_or_else(|| {
        failed(format!("there is nobody with the address {email}"), "Nothing was changed.", "See selvedge people list.")
    })
}

async fn list(about: &About, config: &Config, store: &Store) -> Result<(), Failure> {
    let brand = config.brand.clone();
    let people = store.read(move |view| view.people(&brand)).await?;
    if about.out.json {
        return about.out.json(&people);
    }
    about.out.table(
        ["ADDRESS", "NAME", "ROLES", "SIGNS IN BY", "SINCE"],
        people.into_iter().map(|one| {
            let roles = one.roles.iter().map(|role| role.word()).collect::<Vec<_>>().join(", ");
            let by = match (&one.disabled_at, one.has_password, one.has_totp, &one.issuer) {
                (Some(_), ..) => "out of use",
                (None, true, true, _) => "password and app",
                (None, true, false, _) => "password",
                (None, false, _, Some(_)) => "single sign-on",
                (None, false, _, None) => "invited",
            };
            [one.email.to_string(), clean(&one.name), roles, by.to_owned(), moment(one.made_at)]
        }),
    )
}

async fn tokens(
    about: &About,
    config: &Config,
    store: &Store,
    id: selvedge_model::PersonId,
    now: Timestamp,
) -> Result<(), Failure> {
    let brand = config.brand.clone();
    let tokens = store.read(move |view| view.tokens(&brand, id)).await?;
    if about.out.json {
        return about.out.json(&tokens);
    }
    about.out.table(
        ["ID", "NAME", "MAY", "GOOD UNTIL", "LAST USED"],
        tokens.into_iter().map(|one| {
            let until =
                if one.expires_at <= now { format!("expired {}", moment(one.expires_at)) } else { moment(one.expires_at) };
            [
                one.id.to_string(),
                clean(&one.name),
                one.scopes.words(),
                until,
                one.used_at.map_or_else(|| "never".to_owned(), moment),
            ]
        }),
    )
}
