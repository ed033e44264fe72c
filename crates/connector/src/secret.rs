//! Secrets: never in a config text, a log, an error or a debug print.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

/// One secret value. Its debug form is a placeholder and it cannot be serialised.
#[derive(Clone, Debug)]
pub struct Secret(SecretString);

impl Secret {
    /// From its plain text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The plain text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The secrets of one connection, by the path of the setting that names them: `token`, `auth.private_key`.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// Adds one.
    pub fn set(&mut self, path: impl Into<String>, secret: Secret) {
        self.0.insert(path.into(), secret);
    }

    /// The secret of a setting.
    pub fn get(&self, path: &str) -> Option<&Secret> {
        self.0.get(path)
    }
}
