//! The settings of an exchange of files with a warehouse.

use std::{collections::BTreeMap, time::Duration};

use jiff::tz::TimeZone;
use selvedge_connector::{
    OpenContext, Reach, Secret, SettingProblem,
    cell::{Numbers, Times},
    settings::{Explained, Reader},
    table::{Charset, Dialect, Quotes},
};
use selvedge_model::records::Disposition;
use selvedge_sftp::{Login, Remote};
use serde_json::Value;

use super::message::{DISPOSITIONS, FileKind, LineState};

/// Path and explanation of every setting.
pub(super) const SETTINGS: Explained = &[
    ("host", "Required. The SFTP server's name or address"),
    ("port", "The SFTP server's port. Default: 22"),
    ("user", "Required. The user at the SFTP server"),
    ("password", "Secret. The user's password; either this or private_key"),
    ("private_key", "Secret. The user's private key (OpenSSH or PEM, without a passphrase)"),
    (
        "host_key",
        "Required. The fingerprint of the server's key, \"SHA256:…\", as `ssh-keyscan HOST | ssh-keygen -lf -` prints it; ask the partner whether it is theirs",
    ),
    ("legacy_algorithms", "Whether key exchanges with SHA-1 are accepted, which some old servers need. Default: false"),
    ("timeout_seconds", "How long one answer may take, in seconds, 1 to 300. Default: 30"),
    ("format", "How files are written: \"csv\" or \"x12\" (940, 945, 846, 944, 180, 997). Default: \"csv\""),
    ("folders.orders", "Where the partner takes orders from. Default: \"in\""),
    ("folders.staging", "Ours, on the same file system: where a file stands until it is whole. Default: \"staging\""),
    ("folders.sent", "Ours: a copy of everything that was sent, and what the partner answered. Default: \"sent\""),
    ("folders.news", "Where the partner puts files for us. Default: \"out\""),
    ("folders.archive", "Where files go once they are read. Default: \"archive\""),
    ("names.shipment", "How names of shipment files begin. Default: \"shp\""),
    ("names.stock", "How names of stock files begin. Default: \"inv\""),
    ("names.receipt", "How names of goods receipts begin. Default: \"rcv\""),
    ("names.return", "How names of return receipts begin. Default: \"ret\""),
    ("names.credit", "How names of files of credit notes begin. Default: \"crd\""),
    ("names.answer", "How names of acknowledgements begin. Default: \"ack\""),
    ("names.order", "How our order files begin. Default: \"ord\""),
    ("names.cancellation", "How our cancellation files begin. Default: \"can\""),
    ("names.announcement", "How our files of announced returns begin. Default: \"rma\""),
    ("names.withdrawal", "How our files of returns that will not come begin. Default: \"rmc\""),
    (
        "settle_seconds",
        "How long a file's size and date must stay as they are before it is read; 0 where the partner writes under another name and renames. Default: 10",
    ),
    (
        "bad_rows",
        "\"set_aside\": a bad row holds its shipment, the others go on; \"hold_file\": it holds them all. Default: \"set_aside\"",
    ),
    (
        "acknowledgement_minutes",
        "Within how many minutes the partner acknowledges an order; 0 where it does not. Nothing is ever sent again for want of one. Default: 0",
    ),
    (
        "quantities",
        "\"per_parcel\": a row says what is in its parcel; \"per_line\": each parcel's row repeats the whole line. Default: \"per_parcel\"",
    ),
    (
        "stock_lag_minutes",
        "How long after an order was handed over its units may still be missing from what is allocated in a snapshot. Default: 15",
    ),
    ("warehouse", "The partner's code of the warehouse, written into orders and expected of stock files. Default: \"WH01\""),
    ("time_zone", "The zone of times without one, e.g. \"Europe/London\". Default: \"UTC\""),
    ("dates", "How days and times without a zone are written, e.g. \"dd.MM.yyyy\". Default: \"yyyy-MM-dd\""),
    ("weight_bands", "Limits in grams that part shipping services, e.g. [500, 2000]. Default: none, weight=any"),
    (
        "statuses",
        "What the partner's words for a line mean: { \"DONE\" = \"shipped\", \"OOS\" = \"backordered\" }; also cancelled, short",
    ),
    (
        "dispositions",
        "What the partner's words (or grades) for returned goods mean: { \"A\" = \"restock\", \"B\" = \"quarantine\", \"D\" = \"write_off\" }; \"\" for a row without one. Default: the words in docs/systems/threepl.md",
    ),
    (
        "columns",
        "The partner's name of a column, by ours: { order_ref = \"Auftrag\" }; a number counts from 1 where there is no header",
    ),
    (
        "order_columns",
        "The columns of order files, ours or \"ours: theirs\", e.g. [\"order_ref: Auftrag\", \"sku\"]. Default: the shape in docs/systems/threepl.md",
    ),
    (
        "announcement_columns",
        "The columns of our files of announced returns, as order_columns. Default: return_ref, order_ref, order_line_id, sku, quantity_expected, reason_code, comment",
    ),
    ("csv.delimiter", "What parts cells; found out when reading, written as a comma, unless it is stated here"),
    ("csv.decimal", "The decimal mark: \".\" or \",\". Default: \".\""),
    ("csv.quotes", "What quotes mean: \"doubled\", \"backslash\" or \"none\". Default: \"doubled\""),
    ("csv.charset", "The encoding of files that are not UTF-8, and of ours: \"windows-1252\" … Default: UTF-8"),
    ("csv.header", "Whether the first row names the columns. Default: true"),
    ("csv.rows", "The first cell of rows that count, where files have rows of several kinds, e.g. \"D\". Default: all rows"),
    (
        "csv.trailer",
        "The first cell of the last row, which tells totals, e.g. \"T\"; a file without it is not read. Default: none",
    ),
    (
        "csv.totals",
        "What the cells after it count: \"documents\", \"rows\", \"units\" or \"\". Default: [\"documents\", \"rows\", \"units\"]",
    ),
    ("x12.sender", "Our qualifier and id, \"ZZ:SHOP01\". Required for x12"),
    ("x12.receiver", "The partner's qualifier and id, \"ZZ:WH01\". Required for x12"),
    ("x12.production", "Whether files are for real (P) or a test (T). Default: true"),
];

/// Settings that must not stand in the config as plain text.
pub(super) const SECRETS: &[&str] = &["password", "private_key"];

/// What the columns of our order files are, unless stated otherwise.
const ORDER_COLUMNS: [&str; 24] = [
    "order_ref",
    "order_line_id",
    "line_no",
    "sku",
    "quantity",
    "order_date",
    "ship_by_date",
    "service_code",
    "ship_name",
    "ship_company",
    "ship_address1",
    "ship_address2",
    "ship_postcode",
    "ship_city",
    "ship_state",
    "ship_country",
    "ship_phone",
    "ship_email",
    "currency",
    "unit_value",
    "gift_message",
    "bundle_line_id",
    "warehouse",
    "total_units",
];

/// What the columns of our files of announced returns are, unless stated otherwise.
const ANNOUNCEMENT_COLUMNS: [&str; 7] =
    ["return_ref", "order_ref", "order_line_id", "sku", "quantity_expected", "reason_code", "comment"];

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    X12,
}

/// Which figure of a trailer counts what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Total {
    Documents,
    Rows,
    Units,
    Nothing,
}

/// Who we are and who they are in an interchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parties {
    pub sender: (String, String),
    pub receiver: (String, String),
    pub production: bool,
}

/// Our folders and theirs.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    pub orders: String,
    pub staging: String,
    pub sent: String,
    pub news: String,
    pub archive: String,
}

/// How a partner writes files.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub format: Format,
    pub folders: Folders,
    /// How names of files begin.
    pub names: Vec<(FileKind, String)>,
    pub settle: Duration,
    pub hold_file: bool,
    pub acknowledged_within: Option<Duration>,
    pub per_line: bool,
    pub stock_lag: Duration,
    pub warehouse: String,
    pub times: Times,
    /// In which the partner's clocks go, and days are counted.
    pub zone: TimeZone,
    pub weight_bands: Vec<u64>,
    pub states: BTreeMap<String, LineState>,
    /// By the partner's word in lower case.
    pub dispositions: BTreeMap<String, Disposition>,
    /// Our name of a column → theirs.
    pub columns: BTreeMap<String, String>,
    /// Our name and theirs, in order.
    pub order_columns: Vec<(String, String)>,
    /// Our name and theirs, in order.
    pub announcement_columns: Vec<(String, String)>,
    pub dialect: Dialect,
    pub delimiter: u8,
    pub numbers: Numbers,
    /// The first cell of rows that count.
    pub rows: Option<String>,
    pub trailer: Option<(String, Vec<Total>)>,
    pub parties: Parties,
    /// The connection's name: part of the key of its shipments.
    pub connection: String,
}

impl Form {
    /// How names of files of a kind begin.
    pub fn prefix(&self, kind: FileKind) -> &str {
        self.names.iter().find(|(known, _)| *known == kind).map_or("", |(_, prefix)| prefix)
    }
}

/// The settings of one connection.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub remote: Remote,
    pub form: Form,
}

fn secret(secret: &Secret) -> secrecy::SecretString {
    secret.reveal().to_owned().into()
}

fn login(reader: &mut Reader<'_>) -> Option<Login> {
    match (reader.maybe_secret("password"), reader.maybe_secret("private_key")) {
        (Some(password), None) => Some(Login::Password(secret(&password))),
        (None, Some(key)) => Some(Login::Key(secret(&key))),
        (Some(_), Some(_)) => {
            reader.wrong("password", "stands beside private_key", "Leave out one of them.");
            None
        }
        (None, None) => {
            reader.wrong("password", "is missing", "Name where the password, or the private_key, is kept.");
            None
        }
    }
}

/// A folder's path as it is sent: without slashes at its end.
fn folder(reader: &mut Reader<'_>, path: &str, default: &str) -> String {
    let text = reader.text(path).unwrap_or_else(|| default.to_owned());
    if text.split('/').any(|part| part == "..") {
        reader.wrong(path, "leads upwards", "Write the folder as the partner names it, without \"..\".");
    }
    text.trim_end_matches('/').to_owned()
}

fn folders(reader: &mut Reader<'_>) -> Folders {
    let folders = Folders {
        orders: folder(reader, "folders.orders", "in"),
        staging: folder(reader, "folders.staging", "staging"),
        sent: folder(reader, "folders.sent", "sent"),
        news: folder(reader, "folders.news", "out"),
        archive: folder(reader, "folders.archive", "archive"),
    };
    let all = [&folders.orders, &folders.staging, &folders.sent, &folders.news, &folders.archive];
    if (1..all.len()).any(|at| all.iter().take(at).any(|other| all.get(at) == Some(other))) {
        reader.wrong("folders", "names one folder twice", "Give each of orders, staging, sent, news and archive its own folder.");
    }
    folders
}

fn names(reader: &mut Reader<'_>) -> Vec<(FileKind, String)> {
    let names: Vec<(FileKind, String)> = FileKind::ALL
        .into_iter()
        .map(|kind| {
            let (path, default) = kind.setting();
            (kind, reader.text(path).unwrap_or_else(|| default.to_owned()))
        })
        .collect();
    for (at, (kind, name)) in names.iter().enumerate() {
        if names.iter().take(at).any(|(_, other)| other.starts_with(name.as_str()) || name.starts_with(other.as_str())) {
            reader.wrong(kind.setting().0, format!("{name:?} cannot be told from another"), "Let no name begin like another.");
        }
    }
    names
}

/// A table of texts (or numbers, as texts).
fn texts(reader: &mut Reader<'_>, path: &str) -> BTreeMap<String, String> {
    let Some(value) = reader.get(path) else { return BTreeMap::new() };
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let read =
        value.as_object().map(|table| table.iter().map(|(key, value)| Some((key.clone(), text(value)?))).collect::<Option<_>>());
    match read {
        Some(Some(read)) => read,
        _ => {
            reader.wrong(path, format!("{value} is no table of texts"), "Write { name = \"text\", … }.");
            BTreeMap::new()
        }
    }
}

fn list(reader: &mut Reader<'_>, path: &str) -> Option<Vec<String>> {
    let value = reader.get(path)?;
    let read: Option<Vec<String>> =
        value.as_array().and_then(|list| list.iter().map(|one| one.as_str().map(str::to_owned)).collect());
    if read.is_none() {
        reader.wrong(path, format!("{value} is no list of texts"), "Write [\"one\", \"two\"].");
    }
    read
}

/// The columns of files of ours: which there can be, which there must be.
fn our_columns(reader: &mut Reader<'_>, path: &str, ours: &[&str], must: &[&str]) -> Vec<(String, String)> {
    let Some(columns) = list(reader, path) else {
        return ours.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
    };
    let columns: Vec<(String, String)> = columns
        .iter()
        .map(|column| match column.split_once(':') {
            Some((ours, theirs)) => (ours.trim().to_owned(), theirs.trim().to_owned()),
            None => (column.clone(), column.clone()),
        })
        .collect();
    for (name, _) in columns.iter().filter(|(name, _)| !ours.contains(&name.as_str())) {
        reader.wrong(path, format!("{name} is no column of ours"), format!("Choose of {}.", ours.join(", ")));
    }
    for must in must {
        if !columns.iter().any(|(name, _)| name == must) {
            reader.wrong(path, format!("{must} is missing"), "No warehouse can work without it.");
        }
    }
    columns
}

fn delimiter(reader: &mut Reader<'_>) -> Option<u8> {
    let text = reader.get("csv.delimiter")?.as_str().unwrap_or_default().to_owned();
    match text.as_bytes() {
        [one] if b",;|\t".contains(one) => Some(*one),
        _ => {
            reader.wrong("csv.delimiter", format!("{text:?} parts no cells"), "Write \",\", \";\", \"|\" or \"\\t\".");
            None
        }
    }
}

fn party(reader: &mut Reader<'_>, path: &str, needed: bool) -> (String, String) {
    let text = if needed { reader.required(path) } else { reader.text(path) };
    let Some(text) = text else { return (String::new(), String::new()) };
    match text.split_once(':') {
        Some((qualifier, id)) if qualifier.len() == 2 && (1..=15).contains(&id.len()) && id.is_ascii() => {
            (qualifier.to_owned(), id.to_owned())
        }
        _ => {
            reader.wrong(
                path,
                format!("{text:?} is no qualifier and id"),
                "Write two characters, a colon and up to 15: \"ZZ:SHOP01\".",
            );
            (String::new(), String::new())
        }
    }
}

fn states(reader: &mut Reader<'_>) -> BTreeMap<String, LineState> {
    let words = texts(reader, "statuses");
    let mut states = BTreeMap::new();
    for (theirs, ours) in words {
        match LineState::from_word(&ours) {
            Some(state) => drop(states.insert(theirs.to_lowercase(), state)),
            None => reader.wrong(
                "statuses",
                format!("{ours:?} is no state of a line"),
                "Write shipped, backordered, cancelled or short.",
            ),
        }
    }
    states
}

fn dispositions(reader: &mut Reader<'_>) -> BTreeMap<String, Disposition> {
    let known = DISPOSITIONS.into_iter().map(|(word, means)| (word.to_owned(), means));
    let mut dispositions: BTreeMap<String, Disposition> = known.collect();
    for (theirs, ours) in texts(reader, "dispositions") {
        match Disposition::from_word(&ours) {
            Some(means) => drop(dispositions.insert(theirs.trim().to_lowercase(), means)),
            None => reader.wrong(
                "dispositions",
                format!("{ours:?} is nothing that becomes of returned goods"),
                "Write restock, quarantine or write_off.",
            ),
        }
    }
    dispositions
}

fn totals(reader: &mut Reader<'_>) -> Vec<Total> {
    let Some(words) = list(reader, "csv.totals") else { return vec![Total::Documents, Total::Rows, Total::Units] };
    let total = |word: &String| match word.as_str() {
        "documents" => Some(Total::Documents),
        "rows" => Some(Total::Rows),
        "units" => Some(Total::Units),
        "" => Some(Total::Nothing),
        _ => None,
    };
    let read: Option<Vec<Total>> = words.iter().map(total).collect();
    read.unwrap_or_else(|| {
        reader.wrong(
            "csv.totals",
            format!("{words:?} count nothing that we know"),
            "Write \"documents\", \"rows\", \"units\" or \"\".",
        );
        Vec::new()
    })
}

impl Settings {
    pub fn read(context: &OpenContext<'_>) -> Result<Settings, Vec<SettingProblem>> {
        let mut reader = Reader::new(context, SETTINGS);
        let (host, user, login) = (reader.required("host"), reader.required("user"), login(&mut reader));
        let port = reader.number("port", 22, 1..=65_535);
        let host_key = reader.required("host_key");
        if host_key.as_ref().is_some_and(|text| !text.starts_with("SHA256:")) {
            reader.wrong("host_key", "is no fingerprint", "Write it with its kind in front: \"SHA256:…\".");
        }
        let legacy = reader.flag("legacy_algorithms", false);
        let timeout = Duration::from_secs(reader.number("timeout_seconds", 30, 1..=300));
        let format = reader.word("format", &[("csv", Format::Csv), ("x12", Format::X12)]).unwrap_or(Format::Csv);
        let (folders, names) = (folders(&mut reader), names(&mut reader));
        let settle = Duration::from_secs(reader.number("settle_seconds", 10, 0..=3_600));
        let hold_file = reader.word("bad_rows", &[("set_aside", false), ("hold_file", true)]).unwrap_or(false);
        let minutes = reader.number("acknowledgement_minutes", 0, 0..=10_080);
        let per_line = reader.word("quantities", &[("per_parcel", false), ("per_line", true)]).unwrap_or(false);
        let stock_lag = Duration::from_secs(60 * reader.number("stock_lag_minutes", 15, 0..=10_080));
        let warehouse = reader.text("warehouse").unwrap_or_else(|| "WH01".to_owned());
        let zone = reader.text("time_zone").unwrap_or_else(|| "UTC".to_owned());
        let zone = TimeZone::get(&zone).unwrap_or_else(|_| {
            reader.wrong("time_zone", format!("{zone:?} is no zone"), "Write a name such as \"Europe/London\".");
            TimeZone::UTC
        });
        let dates = reader.text("dates").unwrap_or_else(|| "yyyy-MM-dd".to_owned());
        let times = Times::new(&dates, zone.clone())
            .map_err(|why| reader.wrong("dates", why.to_string(), "Write a day and a time as \"dd.MM.yyyy HH:mm\"."))
            .ok();
        let weight_bands = reader.rising("weight_bands");
        let (states, columns) = (states(&mut reader), texts(&mut reader, "columns"));
        let dispositions = dispositions(&mut reader);
        let order_columns = our_columns(&mut reader, "order_columns", &ORDER_COLUMNS, &["order_ref", "sku", "quantity"]);
        let must = ["return_ref", "sku", "quantity_expected"];
        let announcement_columns = our_columns(&mut reader, "announcement_columns", &ANNOUNCEMENT_COLUMNS, &must);
        let delimiter = delimiter(&mut reader);
        let numbers = reader.word("csv.decimal", &[(".", Numbers::POINT), (",", Numbers::COMMA)]).unwrap_or(Numbers::POINT);
        let quotes = [("doubled", Quotes::Doubled), ("backslash", Quotes::Backslash), ("none", Quotes::None)];
        let quotes = reader.word("csv.quotes", &quotes).unwrap_or(Quotes::Doubled);
        let charset = reader.text("csv.charset").and_then(|label| {
            let charset = Charset::from_label(&label);
            if charset.is_none() {
                reader.wrong("csv.charset", format!("{label:?} is no encoding"), "Write a name such as \"windows-1252\".");
            }
            charset
        });
        let header = reader.flag("csv.header", true);
        let rows = reader.text("csv.rows");
        let totals = totals(&mut reader);
        let trailer = reader.text("csv.trailer").map(|word| (word, totals));
        let needed = format == Format::X12;
        let parties = Parties {
            sender: party(&mut reader, "x12.sender", needed),
            receiver: party(&mut reader, "x12.receiver", needed),
            production: reader.flag("x12.production", true),
        };
        let made = match (host, user, login, host_key, times) {
            (Some(host), Some(user), Some(login), Some(host_key), Some(times)) => Some(Settings {
                remote: Remote {
                    host,
                    port: u16::try_from(port).unwrap_or(22),
                    user,
                    login,
                    host_key,
                    legacy,
                    timeout,
                    permits: if context.reach.allow_private { |_| true } else { |ip| Reach::PUBLIC.allows(ip) },
                },
                form: Form {
                    format,
                    folders,
                    names,
                    settle,
                    hold_file,
                    acknowledged_within: (minutes > 0).then(|| Duration::from_secs(minutes * 60)),
                    per_line,
                    stock_lag,
                    warehouse,
                    times,
                    zone,
                    weight_bands,
                    states,
                    dispositions,
                    columns,
                    order_columns,
                    announcement_columns,
                    dialect: Dialect { delimiter, quotes, charset, header, ..Dialect::default() },
                    delimiter: delimiter.unwrap_or(b','),
                    numbers,
                    rows,
                    trailer,
                    parties,
                    connection: context.name.to_string(),
                },
            }),
            _ => None,
        };
        reader.finish(made)
    }
}
