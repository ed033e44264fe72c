//! Where secrets are kept, and how they get from there to a connector: never through the config's text.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use schemars::json_schema;
use selvedge_connector::{Connector, Secret, Secrets};
use selvedge_store::{Store, sealed::SealingKey};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Config, ConfigProblem, Level,
    document::below,
    words::{self, nearest, short},
};

/// The environment variable with the key that seals stored secrets.
pub const KEY_VARIABLE: &str = "SELVEDGE_KEY";
/// How long the command that prints the key may take.
const KEY_COMMAND_TIME: std::time::Duration = std::time::Duration::from_secs(30);
/// The largest file that a secret is read from.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// The ways in which a setting names where its value is kept.
const WAYS: [&str; 3] = ["env", "file", "stored"];
const MAKE: &str = "Make a key with selvedge secrets new-key, and keep a copy of it away from the store.";
pub(super) const PLAIN_REMEDY: &str = "Take it out of this file, write { env = \"NAME\" }, { file = \"PATH\" } or { stored = \"NAME\" } in its place, and renew it if anyone else has seen the file.";

/// Where a value is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// In an environment variable.
    Env(String),
    /// In a file, by its path relative to the config.
    File(String),
    /// Sealed in the store.
    Stored(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Env(name) => write!(f, "the environment variable {name}"),
            Reference::File(path) => write!(f, "the file {path}"),
            Reference::Stored(name) => write!(f, "the stored secret {name}"),
        }
    }
}

/// A setting that is wrong: path below the connection, message, remedy.
pub type Wrong = (String, String, String);

/// The schema of a secret.
pub fn schema() -> Value {
    let one = |way: &str| {
        let mut properties = Map::new();
        properties.insert(way.to_owned(), serde_json::json!({ "type": "string" }));
        serde_json::json!({ "type": "object", "properties": properties, "required": [way], "additionalProperties": false })
    };
    json_schema!({
        "description": "Where the secret is kept: { env = \"NAME\" } (the process's environment, else the file .env beside the config), { file = \"PATH\" } (relative to the config) or { stored = \"NAME\" } (selvedge secrets set NAME).",
        "oneOf": WAYS.map(one),
    })
    .to_value()
}

/// Takes out of a connection's settings everything that is kept elsewhere. A secret that stands there
/// in plain text is taken out, too, and goes nowhere.
pub fn take_out(connector: &dyn Connector, settings: &mut Map<String, Value>) -> (BTreeMap<String, Reference>, Vec<Wrong>) {
    let (mut references, mut wrong) = (BTreeMap::new(), Vec::new());
    for path in connector.secret_settings() {
        match take(settings, path) {
            None => {}
            Some(Value::Object(table)) => match reference(&table) {
                Ok(reference) => {
                    references.insert((*path).to_owned(), reference);
                }
                Err((message, remedy)) => wrong.push(((*path).to_owned(), message, remedy)),
            },
            Some(_) => {
                wrong.push(((*path).to_owned(), "a secret must not stand in the config".to_owned(), PLAIN_REMEDY.to_owned()))
            }
        }
    }
    for path in connector.settings().into_keys().filter(|path| !connector.secret_settings().contains(path)) {
        if let Some(Value::Object(table)) = find(settings, path)
            && let Ok(reference) = reference(table)
        {
            take(settings, path);
            references.insert(path.to_owned(), reference);
        }
    }
    (references, wrong)
}

/// Where a table says that a secret is kept.
pub(super) fn reference(table: &Map<String, Value>) -> Result<Reference, (String, String)> {
    let mut entries = table.iter();
    let (Some((way, value)), None) = (entries.next(), entries.next()) else {
        return Err(("must name one place where the secret is kept".to_owned(), PLAIN_REMEDY.to_owned()));
    };
    let Some(text) = value.as_str().map(str::trim).filter(|text| !text.is_empty()) else {
        return Err((format!("{way} must be a text that is not empty"), PLAIN_REMEDY.to_owned()));
    };
    let reference = match way.as_str() {
        "env" => Reference::Env(text.to_owned()),
        "file" => Reference::File(text.to_owned()),
        "stored" => Reference::Stored(text.to_owned()),
        other => {
            let remedy = nearest(other, WAYS).map_or_else(|| PLAIN_REMEDY.to_owned(), |near| format!("Did you mean {near}?"));
            return Err((format!("{:?} is no place where a secret is kept", short(other)), remedy));
        }
    };
    // Whoever writes the secret itself into the braces must not find it in a message.
    match &reference {
        Reference::Env(name) if !is_variable(name) => Err((
            "env must name an environment variable: capital letters, digits and _".to_owned(),
            "If this is the secret itself, renew it: it has been written down.".to_owned(),
        )),
        Reference::Stored(name) if !words::is_name(name) => {
            Err(("stored must name a secret".to_owned(), words::NAME_REMEDY.to_owned()))
        }
        _ => Ok(reference),
    }
}

fn is_variable(name: &str) -> bool {
    name.len() <= 128
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn find<'a>(settings: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => settings.get(path),
        Some((table, rest)) => find(settings.get(table)?.as_object()?, rest),
    }
}

fn take(settings: &mut Map<String, Value>, path: &str) -> Option<Value> {
    match path.split_once('.') {
        None => settings.remove(path),
        Some((table, rest)) => take(settings.get_mut(table)?.as_object_mut()?, rest),
    }
}

fn put(settings: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            settings.insert(path.to_owned(), value);
        }
        Some((table, rest)) => {
            let table = settings.entry(table).or_insert_with(|| Value::Object(Map::new()));
            if let Some(table) = table.as_object_mut() {
                put(table, rest, value);
            }
        }
    }
}

/// What secrets are looked up in: the process's environment, then the file `.env` beside the config.
/// It has no debug form.
pub struct Environment {
    process: bool,
    set: BTreeMap<String, String>,
    dotenv: Option<PathBuf>,
}

impl Environment {
    /// Of this process, and of `.env` in the folder.
    pub fn beside(folder: &Path) -> Self {
        let path = folder.join(".env");
        let text = small_file(&path).ok();
        Self { process: true, dotenv: text.is_some().then_some(path), set: text.map(|text| dotenv(&text)).unwrap_or_default() }
    }

    /// Only these; for tests and the demo.
    pub fn of<const N: usize>(set: [(&str, &str); N]) -> Self {
        Self { process: false, set: set.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), dotenv: None }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        let process = self.process.then(|| std::env::var(name).ok()).flatten();
        process.or_else(|| self.set.get(name).cloned())
    }
}

/// `NAME=value` lines; `export` and quotes around the value are left off, lines with `#` in front left out.
fn dotenv(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        is_variable(name).then(|| (name.to_owned(), quoted.unwrap_or(value).to_owned()))
    };
    text.lines().filter(|text| !text.trim_start().starts_with('#')).filter_map(line).collect()
}

fn small_file(path: &Path) -> Result<String, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is no file".to_owned());
    }
    if about.len() > FILE_BYTES_MAX {
        return Err("it is larger than 64 KiB".to_owned());
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Whether anyone on the machine may read a file.
pub fn open_to_all(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// Writes a file that only its owner may read. An existing one is not touched.
///
/// # Errors
/// The file system's; [`std::io::ErrorKind::AlreadyExists`] when there is one.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The key that seals stored secrets: from the environment, from the file that the command line names, from the command or
/// the file that the config names; the first that there is.
///
/// # Errors
/// Why there is none, and what to do.
pub async fn sealing_key(
    config: &Config,
    environment: &Environment,
    key_file: Option<&Path>,
) -> Result<SealingKey, (String, String)> {
    let (text, whence) = if let Some(text) = environment.get(KEY_VARIABLE) {
        (text, format!("the environment variable {KEY_VARIABLE}"))
    } else if let Some(path) = key_file {
        return key_in_file(path);
    } else if let [program, words @ ..] = config.key_command.as_slice() {
        (printed_key(program, words).await?, format!("what {program} printed"))
    } else if let Some(path) = config.key_file.as_deref() {
        return key_in_file(path);
    } else {
        let why = format!("there is no key: {KEY_VARIABLE} is not set and neither a key file nor a key command is named");
        return Err((why, MAKE.to_owned()));
    };
    key_of(&text, &whence)
}

/// The key in a file.
///
/// # Errors
/// Why there is none, and what to do.
pub fn key_in_file(path: &Path) -> Result<SealingKey, (String, String)> {
    let text =
        small_file(path).map_err(|why| (format!("the key file {} cannot be read: {why}", path.display()), MAKE.to_owned()))?;
    key_of(&text, &format!("the key file {}", path.display()))
}

fn key_of(text: &str, whence: &str) -> Result<SealingKey, (String, String)> {
    SealingKey::from_base64(text).ok_or_else(|| (format!("{whence} does not hold a key (32 bytes in base64)"), MAKE.to_owned()))
}

/// What the command prints that knows the key. What it says to standard error goes to ours: it may ask somebody to sign in.
async fn printed_key(program: &str, words: &[String]) -> Result<String, (String, String)> {
    let remedy =
        || "Run the command of [store] key_command by hand, as the user that runs selvedge, and see what it says.".to_owned();
    let mut command = tokio::process::Command::new(program);
    command.args(words).stdin(std::process::Stdio::null()).stderr(std::process::Stdio::inherit()).kill_on_drop(true);
    let output = tokio::time::timeout(KEY_COMMAND_TIME, command.output())
        .await
        .map_err(|_| (format!("{program} did not print the key within {} seconds", KEY_COMMAND_TIME.as_secs()), remedy()))?
        .map_err(|error| (format!("{program} cannot be run for the key: {error}"), remedy()))?;
    if !output.status.success() {
        return Err((format!("{program} was to print the key and ended with {}", output.status), remedy()));
    }
    String::from_utf8(output.stdout).map_err(|_| (format!("{program} printed no text"), remedy()))
}

/// What was fetched for one connection.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The secrets.
    pub secrets: Secrets,
    /// The settings with what is no secret filled in.
    pub settings: Value,
    /// Settings that could not be fetched, by path; already reported.
    pub reported: std::collections::BTreeSet<String>,
}

/// Fetches what the settings of connections (by name), channels and webhooks (by path) and the heartbeat (`heartbeat.`) refer to; what cannot be
/// fetched, and what too many can read, is named.
pub async fn fetch(
    config: &Config,
    environment: &Environment,
    key_file: Option<&Path>,
    store: Option<&Store>,
) -> (BTreeMap<String, Fetched>, Vec<ConfigProblem>) {
    let mut problems = Vec::new();
    let mut all = BTreeMap::new();
    if let Some(path) = environment.dotenv.as_deref().filter(|path| open_to_all(path)) {
        problems.push(config.problem(
            Level::Warning,
            "",
            format!("{} can be read by everyone on this machine", path.display()),
            format!("chmod 600 {}", path.display()),
        ));
    }
    let connections = config.connections.iter().map(|(name, one)| (name.0.clone(), below("connections", name.as_str()), one));
    let channels = config.channels.iter().map(|(name, one)| {
        let path = below("alerts.channels", name.as_str());
        (path.clone(), path, one)
    });
    let webhooks = config.webhooks.iter().map(|(name, one)| {
        let path = below("webhooks", name);
        (path.clone(), path, &one.connection)
    });
    let heartbeat = config.heartbeat.iter().map(|one| ("heartbeat.".to_owned(), "heartbeat".to_owned(), one));
    for (key, path, connection) in connections.chain(channels).chain(webhooks).chain(heartbeat) {
        let mut fetched =
            Fetched { settings: connection.settings.clone(), reported: connection.reported.clone(), ..Fetched::default() };
        for (setting, reference) in &connection.references {
            let at = below(&path, setting);
            if let Reference::File(file) = reference
                && let file = config.folder().join(file)
                && open_to_all(&file)
            {
                problems.push(config.problem(
                    Level::Warning,
                    at.clone(),
                    format!("{} can be read by everyone on this machine", file.display()),
                    format!("chmod 600 {}", file.display()),
                ));
            }
            let found = fetch_one(config, environment, key_file, store, reference).await;
            match found {
                Err((message, remedy)) => {
                    problems.push(config.problem(Level::Bad, at, message, remedy));
                    fetched.reported.insert(setting.clone());
                }
                Ok(text) if connection.connector.secret_settings().contains(&setting.as_str()) => {
                    fetched.secrets.set(setting.clone(), Secret::new(text.trim_end_matches(['\r', '\n'])));
                }
                Ok(text) => {
                    if let Some(settings) = fetched.settings.as_object_mut() {
                        put(settings, setting, Value::String(text.trim().to_owned()));
                    }
                }
            }
        }
        all.insert(key, fetched);
    }
    (all, problems)
}

/// Fetches one value; else why not, and what to do.
///
/// # Errors
/// It is not there, or does not open.
pub async fn fetch_one(
    config: &Config,
    environment: &Environment,
    key_file: Option<&Path>,
    store: Option<&Store>,
    reference: &Reference,
) -> Result<String, (String, String)> {
    match reference {
        Reference::Env(name) => environment.get(name).filter(|text| !text.trim().is_empty()).ok_or_else(|| {
            (
                format!("the environment variable {name} is not set"),
                format!("Set {name} for the process, or in the file .env beside this one."),
            )
        }),
        Reference::File(file) => {
            let file = config.folder().join(file);
            small_file(&file).map_err(|why| {
                (
                    format!("{} cannot be read: {why}", file.display()),
                    "Put the secret there, or name another file; paths are relative to this config.".to_owned(),
                )
            })
        }
        Reference::Stored(name) => stored(config, environment, key_file, store, name).await,
    }
}

async fn stored(
    config: &Config,
    environment: &Environment,
    key_file: Option<&Path>,
    store: Option<&Store>,
    name: &str,
) -> Result<String, (String, String)> {
    let Some(store) = store else {
        return Err((
            format!("there is no stored secret {name}: there is no store yet"),
            format!("Mend the rest of this file, then store it: selvedge secrets set {name}"),
        ));
    };
    let key = sealing_key(config, environment, key_file).await?;
    let (brand, wanted) = (config.brand.clone(), name.to_owned());
    match store.read(move |view| view.unseal(&brand, &wanted, &key)).await {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err((format!("there is no stored secret {name}"), format!("Store it: selvedge secrets set {name}"))),
        Err(error) => Err((
            format!("the stored secret {name} cannot be opened: {error}"),
            format!("Use the key that it was sealed with, or store it again: selvedge secrets set {name}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotenv_reads_what_shells_write() {
        let read = dotenv("# comment\nA=1\nexport B=\"two words\"\nC='x=y'\n\nD =  3 \nnot a line\n9BAD=1\n");
        let expected =
            [("A", "1"), ("B", "two words"), ("C", "x=y"), ("D", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read, expected.into());
    }

    #[test]
    fn a_secret_written_where_its_name_belongs_is_not_repeated() {
        for text in ["sk-live/8f7a+6b5c==", "pass word"] {
            let table = Map::from_iter([("env".to_owned(), Value::String(text.to_owned()))]);
            let (message, remedy) = reference(&table).unwrap_err();
            assert!(!message.contains(text) && !remedy.contains(text));
        }
    }

    #[tokio::test]
    async fn the_key_comes_from_the_first_place_that_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let keys: Vec<String> = (0..4).map(|_| SealingKey::generate().1).collect();
        let file = |name: &str, key: &str| {
            let path = folder.path().join(name);
            write_private(&path, key).unwrap();
            path
        };
        let (named, configured) = (file("named", &keys[1]), file("configured", &keys[3]));
        let (mut config, _) = super::super::read_text(&folder.path().join("a.toml"), "");
        let is = |found: Result<SealingKey, (String, String)>, key: &str| found.unwrap() == SealingKey::from_base64(key).unwrap();
        let (none, set) = (Environment::of([]), Environment::of([(KEY_VARIABLE, &keys[0])]));
        assert!(sealing_key(&config, &none, None).await.unwrap_err().0.contains("there is no key"));
        config.key_file = Some(configured);
        assert!(is(sealing_key(&config, &none, None).await, &keys[3]));
        config.key_command = ["printf", "%s\\n", &keys[2]].map(str::to_owned).to_vec();
        assert!(is(sealing_key(&config, &none, None).await, &keys[2]));
        assert!(is(sealing_key(&config, &none, Some(&named)).await, &keys[1]));
        assert!(is(sealing_key(&config, &set, Some(&named)).await, &keys[0]));
        // A command that fails is said, and nothing else is taken in its place.
        for (command, said) in [
            (vec!["false"], "ended with"),
            (vec!["no-such-program-of-ours"], "cannot be run"),
            (vec!["echo", "x"], "does not hold a key"),
        ] {
            config.key_command = command.into_iter().map(str::to_owned).collect();
            let (why, _) = sealing_key(&config, &none, None).await.unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn private_files_are_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write_private(&path, "one").unwrap();
        assert!(!open_to_all(&path));
        assert_eq!(write_private(&path, "two").unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
    }
}
