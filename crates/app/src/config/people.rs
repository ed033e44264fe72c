//! `[people]`: who may sign in by something other than a password here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use selvedge_model::people::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::secrets::{self, Reference};

/// How people sign in, besides with a password.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeopleSettings {
    /// Single sign-on by OpenID Connect. Needs url in [server].
    pub oidc: Option<OidcSettings>,
}

/// Single sign-on by OpenID Connect: the code flow with PKCE.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OidcSettings {
    /// The identity provider's issuer, as it names itself: https://login.example.com/tenant
    pub issuer: String,
    /// What this installation is called there. Its redirect address is URL/login/sso/back.
    pub client_id: String,
    /// Where its secret is kept: { env = "NAME" }, { file = "PATH" } or { stored = "NAME" }. Left out for a public client.
    pub client_secret: Option<Map<String, Value>>,
    /// What the button says after "Sign in with". Default: single sign-on
    pub name: String,
    /// The claim that lists somebody's groups. Default: groups
    pub groups_claim: String,
    /// Which group has which role here: { "selvedge-admins" = "admin" }. Several add up, and are looked at at each log-in. Without any, an admin
    /// gives roles under People.
    pub roles: BTreeMap<String, RoleSetting>,
    /// Whether the provider may lie in a private network or on this machine; without TLS only on this machine. Default: false
    pub allow_private: bool,
}

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleSetting {
    Viewer,
    Operator,
    Finance,
    Engineer,
    Admin,
}

impl From<RoleSetting> for Role {
    fn from(role: RoleSetting) -> Self {
        match role {
            RoleSetting::Viewer => Role::Viewer,
            RoleSetting::Operator => Role::Operator,
            RoleSetting::Finance => Role::Finance,
            RoleSetting::Engineer => Role::Engineer,
            RoleSetting::Admin => Role::Admin,
        }
    }
}

/// Single sign-on, read.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// Who vouches.
    pub issuer: String,
    /// What we are called there.
    pub client_id: String,
    /// Where our secret is kept.
    pub client_secret: Option<Reference>,
    /// What the button says.
    pub name: String,
    /// The claim with the groups.
    pub groups_claim: String,
    /// Which group has which role.
    pub roles: BTreeMap<String, Role>,
    /// Whether it may lie in a private network, or on this machine.
    pub allow_private: bool,
}

impl OidcSettings {
    /// What it comes to, or all that is wrong with it: setting, message, remedy.
    pub(super) fn read(self, url: Option<&str>) -> Result<Oidc, Vec<(&'static str, String, String)>> {
        let mut wrong = Vec::new();
        let issuer = self.issuer.trim().to_owned();
        // Without TLS only what never leaves this machine.
        let host = issuer.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or(rest));
        let host = host.map(|host| if host.ends_with(']') { host } else { host.rsplit_once(':').map_or(host, |(name, _)| name) });
        let local = self.allow_private && matches!(host, Some("127.0.0.1" | "localhost" | "[::1]"));
        if !(issuer.starts_with("https://") || local) || issuer.chars().any(|c| c.is_whitespace() || c.is_control()) {
            wrong.push((
                "issuer",
                "must be the https address by which the identity provider names itself".to_owned(),
                "It stands as issuer in its /.well-known/openid-configuration.".to_owned(),
            ));
        }
        if self.client_id.trim().is_empty() {
            wrong.push(("client_id", "is missing".to_owned(), "Register this installation at the identity provider.".to_owned()));
        }
        if url.is_none() {
            wrong.push((
                "",
                "single sign-on needs the address that people type".to_owned(),
                "Write it as url in [server]; the provider sends them back to it.".to_owned(),
            ));
        }
        let client_secret = match self.client_secret.as_ref().map(secrets::reference) {
            None => None,
            Some(Ok(reference)) => Some(reference),
            Some(Err((message, remedy))) => {
                wrong.push(("client_secret", message, remedy));
                None
            }
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let or = |text: String, default: &str| if text.trim().is_empty() { default.to_owned() } else { text };
        Ok(Oidc {
            issuer,
            client_id: self.client_id,
            client_secret,
            name: or(self.name, "single sign-on"),
            groups_claim: or(self.groups_claim, "groups"),
            roles: self.roles.into_iter().map(|(group, role)| (group, role.into())).collect(),
            allow_private: self.allow_private,
        })
    }
}
