//! `selvedge init`: asks system by system, checks the credentials live, writes a commented config.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use inquire::{Confirm, InquireError, Password, Select, Text, validator::Validation};
use selvedge_connector::{FindingLevel, OpenContext, Secret, Secrets};
use selvedge_model::ConnectionName;
use serde_json::{Value, json};

use super::{
    About,
    out::{Done, Failure, Paint, clean, failed, unclear},
};
use crate::config::{
    secrets::write_private,
    template::{
        Answers, Auth, CENTRA_TOKEN, CENTRA_WEBHOOK_SECRET, DOTENV_HEAD, Erp, NETSUITE_CONSUMER_SECRET, NETSUITE_TOKEN_SECRET,
        Shop, reach_of, render,
    },
    words,
};

/// How long one system may be asked.
const PROBE_TIME: Duration = Duration::from_secs(60);

/// Ask system by system, check the credentials live, write a commented config. Nothing is overwritten.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Secrets that are typed in go into the file .env beside the config, which only you may read.\n\nExamples:\n  selvedge init\n  selvedge init --config nordvik.toml\n  selvedge init --non-interactive"
)]
pub struct Args {
    /// Ask nothing: write a commented template to fill in.
    #[arg(long)]
    non_interactive: bool,
    /// The brand's name.
    #[arg(long, value_name = "NAME")]
    brand: Option<String>,
}

/// What was typed in: a variable's name and its text.
type Typed = Vec<(&'static str, Secret)>;

/// Runs it.
///
/// # Errors
/// The config exists; the person went away; the file cannot be written.
pub async fn run(about: &About, args: Args) -> Done {
    let file = &about.global.config;
    if file.exists() {
        return Err(failed(
            format!("{} exists", file.display()),
            "Nothing was overwritten.",
            "Name another file with --config, or see what is wrong with this one: selvedge check",
        ));
    }
    if let Some(brand) = args.brand.as_deref().filter(|brand| !words::is_name(brand)) {
        return Err(unclear(format!("{:?} cannot serve as a brand's name", words::short(brand)), words::NAME_REMEDY));
    }
    let mut answers = Answers::default();
    if let Some(brand) = &args.brand {
        answers.brand.clone_from(brand);
    }
    let typed = if args.non_interactive {
        Vec::new()
    } else if std::io::stdin().is_terminal() {
        ask(about, &mut answers, args.brand.is_some()).await?
    } else {
        return Err(unclear("there is no terminal to ask on", "Write a template with --non-interactive and fill it in."));
    };
    // No secret is in it, and the service may run as somebody else: it need not be private.
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut file| file.write_all(render(&answers).as_bytes()));
    written.map_err(|error| {
        failed(
            format!("{} cannot be written: {error}", file.display()),
            "No config was made.",
            "See whether the folder exists and may be written to.",
        )
    })?;
    about.out.say(format!("Written: {}", file.display()))?;
    let dotenv = file.parent().unwrap_or(Path::new("")).join(".env");
    let hint = write_dotenv(&dotenv, &typed)?;
    about.out.say(hint.unwrap_or_else(|| {
        let names: Vec<String> = answers.variables().into_iter().map(|name| format!("  {name}=…")).collect();
        format!(
            "Secrets are still to be given, in the environment or in {} (chmod 600, out of version control):\n{}",
            dotenv.display(),
            names.join("\n")
        )
    }))?;
    about.out.say(format!("Next: selvedge check --config {0}, then selvedge run --config {0}", file.display()))?;
    Ok(0)
}

/// Writes what was typed in; says where it is.
fn write_dotenv(path: &Path, typed: &Typed) -> Result<Option<String>, Failure> {
    if typed.is_empty() {
        return Ok(None);
    }
    let lines: String = typed.iter().map(|(name, secret)| format!("{name}={}\n", secret.reveal())).collect();
    match write_private(path, &format!("{DOTENV_HEAD}{lines}")) {
        Ok(()) => Ok(Some(format!("Secrets: {} (only you may read it; keep it out of version control)", path.display()))),
        Err(error) => {
            let names: Vec<&str> = typed.iter().map(|(name, _)| *name).collect();
            Ok(Some(format!("{} was not written ({error}). Set these yourself: {}", path.display(), names.join(", "))))
        }
    }
}

fn gone(error: InquireError) -> Failure {
    let what = match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => "stopped before the end".to_owned(),
        other => format!("asking does not work here: {other}"),
    };
    failed(what, "Nothing was written.", "Start again, or write a template with --non-interactive.")
}

/// A text that is not empty.
fn text(question: &str, default: Option<&str>, help: &str) -> Result<String, Failure> {
    let mut prompt = Text::new(question).with_help_message(help).with_validator(|text: &str| {
        Ok(if text.trim().is_empty() { Validation::Invalid("This is needed.".into()) } else { Validation::Valid })
    });
    if let Some(default) = default {
        prompt = prompt.with_default(default);
    }
    prompt.prompt().map(|text| text.trim().to_owned()).map_err(gone)
}

fn hidden(question: &str, help: &str) -> Result<Secret, Failure> {
    let prompt = Password::new(question).with_help_message(help).without_confirmation().with_validator(|text: &str| {
        Ok(if text.trim().is_empty() { Validation::Invalid("This is needed.".into()) } else { Validation::Valid })
    });
    prompt.prompt().map(|text| Secret::new(text.trim())).map_err(gone)
}

fn yes(question: &str, default: bool, help: &str) -> Result<bool, Failure> {
    Confirm::new(question).with_default(default).with_help_message(help).prompt().map_err(gone)
}

async fn ask(about: &About, answers: &mut Answers, brand_known: bool) -> Result<Typed, Failure> {
    if !brand_known {
        let name = |text: &str| {
            Ok(if words::is_name(text.trim()) { Validation::Valid } else { Validation::Invalid(words::NAME_REMEDY.into()) })
        };
        let prompt =
            Text::new("Brand").with_help_message("A short name; every row in the store belongs to it").with_validator(name);
        answers.brand = prompt.prompt().map(|text| text.trim().to_owned()).map_err(gone)?;
    }
    let mut typed = Typed::new();
    loop {
        let asked = ask_shop(&mut answers.shop)?;
        let settings = json!({ "base_url": answers.shop.base_url, "time_zone": answers.shop.time_zone });
        let mut secrets = Secrets::default();
        for (name, secret) in &asked {
            secrets.set(if *name == CENTRA_TOKEN { "token" } else { "webhook_secret" }, secret.clone());
        }
        if good_enough(about, "centra", "shop", &settings, &secrets).await? {
            typed.extend(asked);
            break;
        }
    }
    loop {
        let asked = ask_erp(&mut answers.erp)?;
        let (settings, secrets) = erp_settings(about, &answers.erp, &asked)?;
        if good_enough(about, "netsuite", "erp", &settings, &secrets).await? {
            typed.extend(asked);
            break;
        }
    }
    Ok(typed)
}

fn ask_shop(shop: &mut Shop) -> Result<Typed, Failure> {
    shop.base_url = text("Centra address", Some(&shop.base_url), "The instance's address without a path")?;
    shop.time_zone =
        text("The instance's time zone", Some(&shop.time_zone), "As in Europe/Stockholm; some of its times carry no offset")?;
    let mut typed = vec![(CENTRA_TOKEN, hidden("Integration API token", "AMS: System > API Tokens; it is not shown")?)];
    shop.webhooks = yes(
        "Does Centra send webhooks here?",
        false,
        "Optional: news is read from the queue of events anyway; webhooks make it quicker",
    )?;
    if shop.webhooks {
        typed.push((
            CENTRA_WEBHOOK_SECRET,
            hidden("Endpoint secret of the Webhook plugin", "The plugin posts to /webhooks/shop of this server")?,
        ));
    }
    Ok(typed)
}

fn ask_erp(erp: &mut Erp) -> Result<Typed, Failure> {
    erp.account =
        text("NetSuite account id", Some(&erp.account), "Setup > Company > Company Information: 1234567 or 1234567_SB1")?;
    let usual =
        yes("Does it answer at its usual address?", erp.base_url.is_none(), "https://<account>.suitetalk.api.netsuite.com")?;
    erp.base_url = if usual { None } else { Some(text("Address", erp.base_url.as_deref(), "Without a path")?) };
    let ways = vec!["OAuth 2.0 client credentials, with a certificate (recommended)", "OAuth 1.0a, token-based"];
    let second = Select::new("How do we prove who we are?", ways).raw_prompt().map_err(gone)?.index == 1;
    let mut typed = Typed::new();
    erp.auth = if second {
        let consumer_key = text("Consumer key", None, "Of the integration record")?;
        typed.push((NETSUITE_CONSUMER_SECRET, hidden("Consumer secret", "It is not shown")?));
        let token_id = text("Token id", None, "Setup > Users/Roles > Access Tokens")?;
        typed.push((NETSUITE_TOKEN_SECRET, hidden("Token secret", "It is not shown")?));
        Auth::OAuth1 { consumer_key, token_id }
    } else {
        let client_id = text("Client id", None, "Of the integration record")?;
        let certificate_id = text("Certificate id", None, "Setup > Integration > OAuth 2.0 Client Credentials Setup")?;
        let private_key_file =
            text("File with the private key (PEM)", Some("netsuite.pem"), "Relative to the config; it stays where it is")?;
        Auth::OAuth2 { client_id, certificate_id, private_key_file }
    };
    erp.one_world = yes("Does the account have subsidiaries?", erp.one_world, "A OneWorld account")?;
    Ok(typed)
}

fn erp_settings(about: &About, erp: &Erp, typed: &Typed) -> Result<(Value, Secrets), Failure> {
    let mut secrets = Secrets::default();
    let auth = match &erp.auth {
        Auth::OAuth1 { consumer_key, token_id } => {
            for (name, secret) in typed {
                secrets.set(
                    if *name == NETSUITE_CONSUMER_SECRET { "auth.consumer_secret" } else { "auth.token_secret" },
                    secret.clone(),
                );
            }
            json!({ "method": "oauth1", "consumer_key": consumer_key, "token_id": token_id })
        }
        Auth::OAuth2 { client_id, certificate_id, private_key_file } => {
            let path = about.global.config.parent().unwrap_or(Path::new("")).join(private_key_file);
            match std::fs::read_to_string(&path) {
                Ok(pem) => secrets.set("auth.private_key", Secret::new(pem)),
                Err(error) => {
                    about.out.say(about.out.paint(Paint::Warning, format!("{} cannot be read: {error}", path.display())))?
                }
            }
            json!({ "method": "oauth2", "client_id": client_id, "certificate_id": certificate_id })
        }
    };
    let mut settings = json!({ "account": erp.account, "one_world": erp.one_world, "auth": auth });
    if let (Some(base_url), Some(table)) = (&erp.base_url, settings.as_object_mut()) {
        table.insert("base_url".to_owned(), json!(base_url));
    }
    Ok((settings, secrets))
}

/// Opens the connection and asks it; whether to go on with it.
async fn good_enough(about: &About, system: &str, name: &str, settings: &Value, secrets: &Secrets) -> Result<bool, Failure> {
    let out = about.out;
    let Some(connector) = selvedge_connectors::by_name(system) else { return Ok(true) };
    let name = ConnectionName::from(name);
    let reach = settings.get("base_url").and_then(Value::as_str).map(reach_of).unwrap_or_default();
    let opened =
        connector.open(&OpenContext { name: &name, settings, secrets, clock: Arc::clone(&about.clock), read_only: false, reach });
    let mut bad = 0;
    match opened {
        Err(problems) => {
            for problem in problems {
                bad += 1;
                out.line(format!(
                    "  {} {}: {}. {}",
                    out.paint(Paint::Bad, "bad    "),
                    problem.path,
                    clean(&problem.message),
                    clean(&problem.remedy)
                ))?;
            }
        }
        Ok(connection) => {
            if let Some(probe) = &connection.probe {
                out.say(format!("Asking {system} …"))?;
                let Ok(findings) = tokio::time::timeout(PROBE_TIME, probe.check()).await else {
                    out.line(format!(
                        "  {} it did not answer within {} s",
                        out.paint(Paint::Bad, "bad    "),
                        PROBE_TIME.as_secs()
                    ))?;
                    return yes("Go on with these answers?", false, "No asks again");
                };
                for finding in findings {
                    let mark = match finding.level {
                        FindingLevel::Good => out.paint(Paint::Good, "ok     "),
                        FindingLevel::Warning => out.paint(Paint::Warning, "warning"),
                        FindingLevel::Bad => {
                            bad += 1;
                            out.paint(Paint::Bad, "bad    ")
                        }
                    };
                    out.line(format!("  {mark} {} {}", clean(&finding.message), clean(&finding.remedy)))?;
                }
            }
        }
    }
    if bad == 0 {
        Ok(true)
    } else {
        yes(
            "Go on with these answers?",
            false,
            "No asks again; yes writes them as they are, and selvedge check names what is wrong",
        )
    }
}
