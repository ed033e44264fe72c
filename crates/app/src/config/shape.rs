//! Holds a document against the schema of the config: every difference at once, and the document
//! without what differs, so that the rest can still be looked at.
//!
//! The schema is the one that `selvedge config schema` prints; it is derived from the structs, so
//! what is documented, what is checked and what is read cannot fall apart.

use serde_json::{Map, Value};

use super::{
    document::below,
    words::{self, DayTime, Moment, Pace, Span, did_you_mean, short},
};

/// One difference: the path, what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// Compares `value` with the schema and takes out of it what does not fit.
pub fn hold(schema: &Value, value: &mut Value) -> Vec<Difference> {
    let mut holding = Holding { root: schema, found: Vec::new() };
    holding.fits(schema, value, "");
    holding.found
}

struct Holding<'a> {
    root: &'a Value,
    found: Vec<Difference>,
}

impl<'a> Holding<'a> {
    fn wrong(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) -> bool {
        self.found.push(Difference { path: path.to_owned(), message: message.into(), remedy: remedy.into() });
        false
    }

    /// The schema behind a reference, or the one alternative of an optional value.
    fn plain(&self, mut schema: &'a Value) -> &'a Value {
        loop {
            if let Some(name) =
                schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix("#/$defs/"))
            {
                let Some(meant) = self.root.get("$defs").and_then(|defs| defs.get(name)) else { return schema };
                schema = meant;
                continue;
            }
            let some = schema
                .get("anyOf")
                .and_then(Value::as_array)
                .and_then(|options| options.iter().find(|option| option.get("type").and_then(Value::as_str) != Some("null")));
            match some {
                Some(meant) => schema = meant,
                None => return schema,
            }
        }
    }

    /// Whether the value may stay.
    fn fits(&mut self, field: &'a Value, value: &mut Value, path: &str) -> bool {
        let schema = self.plain(field);
        // The field's own words tell more than those of its type.
        let told = || explanation(if field.get("description").is_some() { field } else { schema });
        let kind = match schema.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default(),
            _ if words_of(schema).is_some() => "string",
            _ => "",
        };
        match (kind, value) {
            ("object", Value::Object(table)) => self.table(schema, table, path),
            ("array", Value::Array(items)) => {
                if let Some(each) = schema.get("items") {
                    let mut index = 0_usize;
                    items.retain_mut(|item| {
                        let fits = self.fits(each, item, &format!("{path}[{index}]"));
                        index += 1;
                        fits
                    });
                }
                true
            }
            ("boolean", Value::Bool(_)) => true,
            ("integer", Value::Number(number)) => {
                let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
                let (least, most) = (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX));
                match number.as_i64() {
                    Some(number) if (least..=most).contains(&number) => true,
                    Some(_) if most == i64::MAX => self.wrong(path, format!("must be a whole number from {least}"), told()),
                    _ => self.wrong(path, format!("must be a whole number from {least} to {most}"), told()),
                }
            }
            ("string", Value::String(text)) => match text_problem(schema, text) {
                None => true,
                Some((message, remedy)) => self.wrong(path, message, remedy),
            },
            ("", _) => true,
            (kind, value) => {
                let wanted = match kind {
                    "object" => "a table",
                    "array" => "a list in brackets",
                    "boolean" => "true or false, without quotes",
                    "integer" => "a whole number, without quotes",
                    _ => "a text in quotes",
                };
                let found = match value {
                    Value::Object(_) => "a table",
                    Value::Array(_) => "a list",
                    Value::Bool(_) => "true or false",
                    Value::Number(_) => "a number",
                    Value::String(_) | Value::Null => "a text",
                };
                self.wrong(path, format!("must be {wanted}, not {found}"), told())
            }
        }
    }

    fn table(&mut self, schema: &'a Value, table: &mut Map<String, Value>, path: &str) -> bool {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&NONE);
        let others = schema.get("additionalProperties");
        let others_named = schema.get("propertyNames").is_some();
        let mut strangers = Vec::new();
        for (key, value) in table.iter_mut() {
            let path = below(path, key);
            let fits = match (known.get(key), others) {
                (Some(schema), _) => self.fits(schema, value, &path),
                (None, Some(Value::Bool(false))) => {
                    let remedy = did_you_mean(key, known.keys().map(String::as_str), "Take it out.");
                    self.wrong(&path, format!("{:?} is not a setting here", short(key)), remedy)
                }
                (None, Some(schema @ Value::Object(_))) if !others_named || words::is_name(key) => {
                    self.fits(schema, value, &path)
                }
                (None, Some(Value::Object(_))) => {
                    self.wrong(&path, format!("{:?} cannot serve as a name", short(key)), words::NAME_REMEDY)
                }
                (None, _) => true,
            };
            if !fits {
                strangers.push(key.clone());
            }
        }
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(required) {
                let what = known.get(required).map(explanation).unwrap_or_default();
                self.found.push(Difference {
                    path: below(path, required),
                    message: format!("{required} is missing"),
                    remedy: what,
                });
            }
        }
        table.retain(|key, _| !strangers.contains(key));
        true
    }
}

/// The first sentences of a description.
fn explanation(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or("See selvedge config schema.");
    text.split("\n\n").next().unwrap_or_default().replace('\n', " ")
}

/// What is wrong with a text.
fn text_problem(schema: &Value, text: &str) -> Option<(String, String)> {
    let of = |result: Result<(), words::Unclear>, remedy: &str| result.err().map(|unclear| (unclear.0, remedy.to_owned()));
    if let Some(words) = words_of(schema) {
        if words.contains(&text) {
            return None;
        }
        return Some((format!("{:?} is not known here", short(text)), did_you_mean(text, words, "Take one of the known words.")));
    }
    match schema.get("format").and_then(Value::as_str)? {
        "span" => of(text.parse::<Span>().map(drop), words::SPAN_REMEDY),
        "pace" => of(text.parse::<Pace>().map(drop), "Write \"off\", or a whole number and a unit: \"30s\", \"10m\" or \"24h\"."),
        "moment" => of(text.parse::<Moment>().map(drop), words::MOMENT_REMEDY),
        "day_time" => of(text.parse::<DayTime>().map(drop), words::DAY_TIME_REMEDY),
        "time_zone" => jiff::tz::TimeZone::get(text)
            .is_err()
            .then(|| (format!("{:?} is no time zone", short(text)), "Write its IANA name: \"Europe/Stockholm\".".to_owned())),
        "name" => {
            (!words::is_name(text)).then(|| (format!("{:?} cannot serve as a name", short(text)), words::NAME_REMEDY.to_owned()))
        }
        "currency" => selvedge_model::Currency::from_code(text).is_none().then(|| {
            (format!("{:?} is not an ISO 4217 currency", short(text)), "Write its three capital letters: \"EUR\".".to_owned())
        }),
        "address" => text.parse::<std::net::SocketAddr>().is_err().then(|| {
            (
                format!("{:?} is not an address to listen on", short(text)),
                "Write an IP address and a port: \"127.0.0.1:7700\", or \"0.0.0.0:7700\" for all networks.".to_owned(),
            )
        }),
        _ => None,
    }
}

/// The words of an enumeration, however the schema writes it.
fn words_of(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word]);
    }
    let words: Vec<&str> = schema.get("oneOf")?.as_array()?.iter().filter_map(|option| option.get("const")?.as_str()).collect();
    (!words.is_empty()).then_some(words)
}
