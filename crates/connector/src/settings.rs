//! Reading the settings of a connection: everything that is wrong is said at once, with its path and the remedy.

use serde_json::Value;

use crate::{
    ports::{OpenContext, SettingProblem},
    secret::Secret,
};

/// Path and explanation of every setting of a connector.
pub type Explained = &'static [(&'static str, &'static str)];

/// The settings of one connection while they are read.
pub struct Reader<'a> {
    context: &'a OpenContext<'a>,
    known: Explained,
    problems: Vec<SettingProblem>,
}

impl<'a> Reader<'a> {
    /// Begins; settings that the connector does not know are problems.
    pub fn new(context: &'a OpenContext<'a>, known: Explained) -> Self {
        let mut reader = Self { context, known, problems: Vec::new() };
        match context.settings.as_object() {
            None => reader.wrong("", "the settings are no table", "Write them as name = value."),
            Some(table) => {
                let strangers = table.keys().filter(|key| *key != "system" && !reader.knows(key));
                for key in strangers.cloned().collect::<Vec<_>>() {
                    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                    reader.wrong(&key, "is no setting of this system", format!("Remove it; there are {}.", names.join(", ")));
                }
            }
        }
        reader
    }

    fn knows(&self, key: &str) -> bool {
        self.known.iter().any(|(name, _)| *name == key || name.split_once('.').is_some_and(|(table, _)| table == key))
    }

    /// Notes what is wrong.
    pub fn wrong(&mut self, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(SettingProblem { path: path.to_owned(), message: message.into(), remedy: remedy.into() });
    }

    fn explain(&self, path: &str) -> &'static str {
        self.known.iter().find(|(name, _)| *name == path).map_or("See selvedge config schema.", |(_, text)| text)
    }

    /// The value at a path, dots leading deeper.
    pub fn get(&self, path: &str) -> Option<&'a Value> {
        path.split('.').try_fold(self.context.settings, |value, key| value.get(key)).filter(|value| !value.is_null())
    }

    /// A text; empty counts as missing.
    pub fn text(&mut self, path: &str) -> Option<String> {
        let value = self.get(path)?;
        match value.as_str().map(str::trim) {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                self.wrong(path, format!("{value} is not a text"), self.explain(path));
                None
            }
        }
    }

    /// A text that must be there.
    pub fn required(&mut self, path: &str) -> Option<String> {
        if self.get(path).is_none() {
            self.wrong(path, "is missing", self.explain(path));
        }
        self.text(path)
    }

    /// A secret that must be there.
    pub fn secret(&mut self, path: &str) -> Option<Secret> {
        let found = self.context.secrets.get(path).filter(|secret| !secret.reveal().trim().is_empty());
        if found.is_none() {
            let remedy = "Name where it is kept: an environment variable, a file or the secret store.";
            self.wrong(path, "is missing", remedy);
        }
        found.map(|secret| Secret::new(secret.reveal().trim()))
    }

    /// A secret that may be left out.
    pub fn maybe_secret(&self, path: &str) -> Option<Secret> {
        let found = self.context.secrets.get(path).filter(|secret| !secret.reveal().trim().is_empty());
        found.map(|secret| Secret::new(secret.reveal().trim()))
    }

    /// A whole number in a range.
    pub fn number(&mut self, path: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
        let Some(value) = self.get(path) else { return default };
        match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                let message = format!("{value} is not a whole number from {} to {}", range.start(), range.end());
                self.wrong(path, message, self.explain(path));
                default
            }
        }
    }

    /// True or false.
    pub fn flag(&mut self, path: &str, default: bool) -> bool {
        let Some(value) = self.get(path) else { return default };
        value.as_bool().unwrap_or_else(|| {
            self.wrong(path, format!("{value} is neither true nor false"), self.explain(path));
            default
        })
    }

    /// One of some words; the first is the default.
    pub fn word<T: Copy>(&mut self, path: &str, words: &[(&str, T)]) -> Option<T> {
        let default = words.first().map(|(_, value)| *value);
        let Some(text) = self.text(path) else { return default };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.wrong(path, format!("{text:?} is not known here"), format!("Write {}.", all.join(" or ")));
        }
        found.or(default)
    }

    /// Whole numbers that grow, as `[500, 2000]`.
    pub fn rising(&mut self, path: &str) -> Vec<u64> {
        let Some(value) = self.get(path) else { return Vec::new() };
        let numbers: Option<Vec<u64>> = value.as_array().and_then(|list| list.iter().map(Value::as_u64).collect());
        match numbers.filter(|list| list.windows(2).all(|pair| pair.first() < pair.last())) {
            Some(numbers) => numbers,
            None => {
                self.wrong(path, format!("{value} is no list of whole numbers that grow"), self.explain(path));
                Vec::new()
            }
        }
    }

    /// An address without a path, `https://…`, that the connection may reach. Without a slash at the end.
    pub fn address(&mut self, path: &str, default: Option<&str>) -> Option<String> {
        let text = match (self.get(path), default) {
            (None, Some(default)) => default.to_owned(),
            _ => self.required(path)?,
        };
        if !is_address(&text) {
            self.wrong(path, format!("{:?} is not an address that can be called", redacted(&text)), self.explain(path));
            return None;
        }
        self.may_reach(path, &text).then(|| text.trim_end_matches('/').to_owned())
    }

    /// Whether calls may go there; if not, it is a problem.
    pub fn may_reach(&mut self, path: &str, address: &str) -> bool {
        let refusal = reqwest::Url::parse(address).ok().and_then(|url| self.context.reach.permits(&url).err());
        if let Some(refusal) = &refusal {
            self.wrong(path, refusal.to_string(), refusal.remedy());
        }
        refusal.is_none()
    }

    /// A secret that is an address, `https://…`, with whatever path and query it has: whoever knows it may use it.
    pub fn secret_address(&mut self, path: &str) -> Option<Secret> {
        let secret = self.secret(path)?;
        let is_one =
            reqwest::Url::parse(secret.reveal()).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_one {
            self.wrong(path, "is not an address that can be called", self.explain(path));
            return None;
        }
        self.may_reach(path, secret.reveal()).then_some(secret)
    }

    /// What was read, unless anything was wrong.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn finish<T>(self, made: Option<T>) -> Result<T, Vec<SettingProblem>> {
        match made {
            Some(made) if self.problems.is_empty() => Ok(made),
            _ => Err(self.problems),
        }
    }
}

/// Whether it is an address below which calls may go, whoever may reach it: see [`crate::Reach`].
pub fn is_address(text: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(text) else { return false };
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    url.host_str().is_some_and(|host| !host.is_empty()) && plain && matches!(url.scheme(), "https" | "http")
}

/// An address as it may be shown: a password in it is none of the reader's business.
fn redacted(text: &str) -> String {
    match text.split_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.chars().take(80).collect(),
    }
}

/// The band that a weight falls in: `0-500`, `500-2000`, `2000+` for the limits 500 and 2000; `any` without limits,
/// `unknown` without a weight. A weight that is a limit falls in the lower band.
pub fn weight_band(grams: Option<u64>, limits: &[u64]) -> String {
    let Some(last) = limits.last() else { return "any".to_owned() };
    let Some(grams) = grams else { return "unknown".to_owned() };
    let mut from = 0;
    for limit in limits {
        if grams <= *limit {
            return format!("{from}-{limit}");
        }
        from = *limit;
    }
    format!("{last}+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_falls_in_one_band() {
        let limits = [500, 2_000];
        for (grams, band) in
            [(Some(0), "0-500"), (Some(500), "0-500"), (Some(501), "500-2000"), (Some(2_001), "2000+"), (None, "unknown")]
        {
            assert_eq!(weight_band(grams, &limits), band);
        }
        assert_eq!(weight_band(Some(7), &[]), "any");
    }

    #[test]
    fn an_address_is_no_more_than_that() {
        assert!(is_address("https://api.example.com") && is_address("http://127.0.0.1:80"));
        for text in ["ftp://x", "https://u:p@x.example", "https://x.example?q=1", "nonsense", ""] {
            assert!(!is_address(text), "{text}");
        }
    }
}
