//! Single sign-on: the code flow of OpenID Connect, with PKCE, a nonce, and keys that may be exchanged.
//!
//! Our own on `jsonwebtoken`, which is in the house for other proofs, rather than a library for it: that one brings a second
//! generation of all cryptography along. What it has to hold is little, and each of it has a test against a provider over HTTP:
//!
//! - whoever comes back must be who left: the state and the cookie of the attempt belong together, and serve once;
//! - the token is for us (`aud`, `azp`), from the issuer (`iss`), for this attempt (`nonce`), and of now (`exp`, `iat`);
//! - it is signed with an asymmetric algorithm by a key that the issuer shows; a key that is not known is looked for once more.
//!
//! A person is who the issuer calls so (`iss`, `sub`); the e-mail address is only what others read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use selvedge_connector::{
    Call, Clock, Effect, Fault, Priority, Reach, Secret, Session, SessionConfig, session::HeaderText, signature::same,
};
use selvedge_model::{
    PersonId,
    people::{Email, Role, fit_name},
};
use selvedge_store::people::Proof;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::people::Oidc;

/// How long somebody may take at the provider.
const ATTEMPT_FOR: Duration = Duration::from_secs(600);
/// Attempts under way at once; past that, the oldest is forgotten.
const ATTEMPTS_MAX: usize = 10_000;
/// The same from one address, so that nobody crowds out the others.
const ATTEMPTS_OF_ONE: usize = 100;
/// How long what the provider says of itself is taken as it was.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// Keys are not looked for more often, whoever sends tokens with keys that are not known.
const KEYS_EVERY: Duration = Duration::from_secs(60);
/// By how much clocks may differ.
const DRIFT_SECONDS: i64 = 60;
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// How long the provider may take.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Groups of somebody that are looked at.
const GROUPS_MAX: usize = 1_000;
/// What a token may be signed with. Nothing that the provider and we would share, and not nothing.
const ALGORITHMS: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

/// Single sign-on at one provider.
pub struct Sso {
    settings: Oidc,
    secret: Option<Secret>,
    redirect: String,
    session: Arc<Session>,
    clock: Arc<dyn Clock>,
    known: Mutex<Option<Known>>,
    attempts: Mutex<BTreeMap<[u8; 32], Attempt>>,
}

/// What the provider says of itself.
#[derive(Clone)]
struct Known {
    place: Place,
    keys: JwkSet,
    at: Timestamp,
}

#[derive(Clone, Deserialize)]
struct Place {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
    at: Timestamp,
    to: String,
    connects: Option<PersonId>,
    /// From which address it was begun.
    address: String,
}

/// Where to send somebody, and by what cookie they are known when they come back.
pub(crate) struct Leave {
    pub(crate) address: String,
    pub(crate) cookie: Proof,
}

/// Who came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Vouched {
    pub(crate) subject: String,
    pub(crate) email: Option<Email>,
    pub(crate) name: Option<String>,
    /// The roles of their groups; `None` when roles are not given by groups.
    pub(crate) roles: Option<BTreeSet<Role>>,
    /// Where they wanted to go.
    pub(crate) to: String,
    /// Who is to be connected with it, if that is what they left for.
    pub(crate) connects: Option<PersonId>,
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SsoError {
    /// It was not begun here, was begun too long ago, or came back once already.
    #[error("This log-in was not begun in this browser, or too long ago. Begin it again.")]
    Stray,
    /// The provider says no.
    #[error("The identity provider did not let you in ({0}). Try again, or ask whoever runs it.")]
    Refused(String),
    /// The provider does not answer.
    #[error("The identity provider does not answer as it should. Nothing was done; try again shortly. The log says why.")]
    Unreachable(String),
    /// What it vouches with is not to be believed.
    #[error("What the identity provider sent is not to be believed, so nobody was let in. The log says why.")]
    Unproven(String),
}

#[derive(Deserialize)]
struct Answer {
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    email: Option<String>,
    /// A truth value, or one in words: providers differ.
    #[serde(default)]
    email_verified: Option<Value>,
    #[serde(default)]
    name: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Sso {
    /// Sets it up. No call is made.
    pub fn new(settings: Oidc, secret: Option<Secret>, url: &str, clock: Arc<dyn Clock>) -> Self {
        let reach = Reach { allow_private: settings.allow_private, allow_http: false };
        let config = SessionConfig {
            timeout: ANSWER_TIME,
            body_bytes_max: ANSWER_BYTES_MAX,
            reach,
            ..SessionConfig::named("single sign-on")
        };
        Self {
            redirect: format!("{url}/login/sso/back"),
            session: Session::new(config, Arc::clone(&clock)),
            settings,
            secret,
            clock,
            known: Mutex::default(),
            attempts: Mutex::default(),
        }
    }

    /// What the button says.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Who vouches.
    pub(crate) fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Sends somebody to the provider.
    pub(crate) async fn leave(&self, to: &str, connects: Option<PersonId>, from: &str) -> Result<Leave, SsoError> {
        let place = self.known(false).await?.place;
        let fresh = || Proof::fresh().text().to_owned();
        let (state, nonce, verifier, cookie, now) = (fresh(), fresh(), fresh(), Proof::fresh(), self.clock.now());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let query = query(&[
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.redirect),
            ("scope", "openid email profile"),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let mark = if place.authorization_endpoint.contains('?') { '&' } else { '?' };
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|_, attempt| is_fresh(attempt.at, now, ATTEMPT_FOR));
        make_room(&mut attempts, |attempt| attempt.address == from, ATTEMPTS_OF_ONE);
        make_room(&mut attempts, |_| true, ATTEMPTS_MAX);
        let address = from.to_owned();
        attempts.insert(cookie.hash(), Attempt { state, nonce, verifier, at: now, to: to.to_owned(), connects, address });
        Ok(Leave { address: format!("{}{mark}{query}", place.authorization_endpoint), cookie })
    }

    /// Whoever is on the way to connect this person's account began it before something changed: it is begun anew.
    pub(crate) fn forget(&self, person: PersonId) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|_, attempt| attempt.connects != Some(person));
    }

    /// Takes back who was sent.
    pub(crate) async fn back(&self, cookie: Option<Proof>, state: &str, code: &str, error: &str) -> Result<Vouched, SsoError> {
        let now = self.clock.now();
        let attempt =
            cookie.and_then(|cookie| self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(&cookie.hash()));
        let attempt =
            attempt.filter(|attempt| is_fresh(attempt.at, now, ATTEMPT_FOR) && same(attempt.state.as_bytes(), state.as_bytes()));
        let attempt = attempt.ok_or(SsoError::Stray)?;
        if !error.is_empty() || code.is_empty() {
            let said: String = error.chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
            return Err(SsoError::Refused(if said.is_empty() { "it sent no code".to_owned() } else { said }));
        }
        let place = self.known(false).await?.place;
        let token = self.redeem(&place, code, &attempt.verifier).await?;
        let claims = self.proven(&token, &attempt.nonce).await?;
        Ok(self.vouched(claims, attempt))
    }

    /// The code for a token.
    async fn redeem(&self, place: &Place, code: &str, verifier: &str) -> Result<String, SsoError> {
        let body = query(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect),
            ("client_id", &self.settings.client_id),
            ("code_verifier", verifier),
        ]);
        let mut headers = vec![
            ("content-type", HeaderText::Plain("application/x-www-form-urlencoded".to_owned())),
            ("accept", HeaderText::Plain("application/json".to_owned())),
        ];
        if let Some(secret) = &self.secret {
            // RFC 6749, 2.3.1: both are encoded as a form does before they are joined.
            let pair = format!("{}:{}", encoded(&self.settings.client_id), encoded(secret.reveal()));
            headers.push(("authorization", HeaderText::Hidden(Secret::new(format!("Basic {}", STANDARD.encode(pair))))));
        }
        let call = Call {
            what: "exchange the code of a log-in".to_owned(),
            method: "POST",
            url: place.token_endpoint.clone(),
            headers,
            body: body.into_bytes().into(),
            effect: Effect::Write,
            priority: Priority::Control,
            costs: Vec::new(),
        };
        let answer = self.session.send(call).await.map_err(|fault| unreachable(&fault))?;
        if answer.status == 400 || answer.status == 401 {
            return Err(SsoError::Refused(format!("it answers the code with {}", answer.status)));
        }
        if answer.status != 200 {
            return Err(noted(SsoError::Unreachable(format!("the token endpoint answers {}", answer.status))));
        }
        let read: Result<Answer, _> = serde_json::from_slice(&answer.body);
        read.ok()
            .and_then(|answer| answer.id_token)
            .ok_or_else(|| noted(SsoError::Unreachable("its answer has no id_token".to_owned())))
    }

    /// The claims of a token that proves what it says.
    async fn proven(&self, token: &str, nonce: &str) -> Result<Claims, SsoError> {
        let unproven = |why: &str| noted(SsoError::Unproven(why.to_owned()));
        // An algorithm that is none, or that we do not know, does not even read.
        let header = decode_header(token).map_err(|error| unproven(&format!("its header does not read: {error}")))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(unproven(&format!("it is signed by {:?}", header.alg)));
        }
        let mut known = self.known(false).await?;
        let mut key = key_of(&known.keys, header.kid.as_deref());
        if key.is_none() {
            // The provider may have exchanged its keys since.
            known = self.known(true).await?;
            key = key_of(&known.keys, header.kid.as_deref());
        }
        let key = key.ok_or_else(|| unproven("it is signed by a key that the issuer does not show"))?;
        let mut rules = Validation::new(header.alg);
        // The times are held against our own clock below, the audience with its exception.
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.set_required_spec_claims::<&str>(&[]);
        let claims =
            decode::<Claims>(token, &key, &rules).map_err(|error| unproven(&format!("it does not verify: {error}")))?.claims;
        let now = self.clock.now().as_second();
        let ours = match &claims.aud {
            Audience::One(one) => *one == self.settings.client_id,
            Audience::Several(several) => {
                several.contains(&self.settings.client_id)
                    && (several.len() == 1 || claims.azp.as_ref() == Some(&self.settings.client_id))
            }
        };
        if claims.iss != self.settings.issuer {
            return Err(unproven("another issuer made it"));
        }
        if !ours || claims.azp.as_ref().is_some_and(|azp| *azp != self.settings.client_id) {
            return Err(unproven("it is for somebody else"));
        }
        if claims.exp.saturating_add(DRIFT_SECONDS) <= now {
            return Err(unproven("its time is over"));
        }
        if claims.iat > now.saturating_add(DRIFT_SECONDS) {
            return Err(unproven("it is of a time to come; see whether the clocks are right"));
        }
        if !claims.nonce.as_ref().is_some_and(|given| same(given.as_bytes(), nonce.as_bytes())) {
            return Err(unproven("it is of another log-in"));
        }
        if claims.sub.is_empty() || claims.sub.len() > 255 {
            return Err(unproven("it names nobody"));
        }
        Ok(claims)
    }

    fn vouched(&self, claims: Claims, attempt: Attempt) -> Vouched {
        let groups = claims.rest.get(&self.settings.groups_claim);
        let groups: Vec<&str> = match groups {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).take(GROUPS_MAX).collect(),
            _ => Vec::new(),
        };
        let mapped = &self.settings.roles;
        let unverified = claims.email_verified.is_some_and(|said| said == Value::Bool(false) || said == "false");
        Vouched {
            subject: claims.sub,
            // An address that nobody has looked at would name an account here after somebody else.
            email: claims.email.filter(|_| !unverified).and_then(|email| email.parse().ok()),
            name: claims.name.and_then(|name| fit_name(&name).ok()),
            roles: (!mapped.is_empty()).then(|| groups.iter().filter_map(|group| mapped.get(*group)).copied().collect()),
            to: attempt.to,
            connects: attempt.connects,
        }
    }

    /// What the provider says of itself, looked up again when it is old, or its keys are wanted anew.
    async fn known(&self, keys_anew: bool) -> Result<Known, SsoError> {
        let now = self.clock.now();
        let before = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = &before
            && is_fresh(known.at, now, KNOWN_FOR)
            && (!keys_anew || is_fresh(known.at, now, KEYS_EVERY))
        {
            return Ok(known.clone());
        }
        let issuer = self.settings.issuer.trim_end_matches('/');
        let place: Place =
            self.read(&format!("{issuer}/.well-known/openid-configuration"), "read what the identity provider offers").await?;
        if place.issuer != self.settings.issuer {
            return Err(noted(SsoError::Unreachable(format!("it calls itself {:?}", place.issuer))));
        }
        let secure = self.settings.issuer.starts_with("https://");
        for address in [&place.authorization_endpoint, &place.token_endpoint, &place.jwks_uri] {
            if !(address.starts_with("https://") || (!secure && address.starts_with("http://"))) {
                return Err(noted(SsoError::Unreachable("one of its addresses is without TLS".to_owned())));
            }
        }
        let keys: JwkSet = self.read(&place.jwks_uri, "read the keys of the identity provider").await?;
        let known = Known { place, keys, at: now };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, url: &str, what: &str) -> Result<T, SsoError> {
        let call = Call {
            what: what.to_owned(),
            method: "GET",
            url: url.to_owned(),
            headers: vec![("accept", HeaderText::Plain("application/json".to_owned()))],
            body: Vec::new().into(),
            effect: Effect::Read,
            priority: Priority::Control,
            costs: Vec::new(),
        };
        let answer = self.session.send(call).await.map_err(|fault| unreachable(&fault))?;
        if answer.status != 200 {
            return Err(noted(SsoError::Unreachable(format!("{what}: answered {}", answer.status))));
        }
        serde_json::from_slice(&answer.body).map_err(|error| noted(SsoError::Unreachable(format!("{what}: {error}"))))
    }
}

/// Forgets the oldest of these attempts where there are as many as there may be.
fn make_room(attempts: &mut BTreeMap<[u8; 32], Attempt>, of: impl Fn(&Attempt) -> bool, most: usize) {
    let these = || attempts.iter().filter(|(_, attempt)| of(attempt));
    let oldest = these().min_by_key(|(_, attempt)| attempt.at).map(|(key, _)| *key);
    if let Some(oldest) = oldest.filter(|_| these().count() >= most) {
        attempts.remove(&oldest);
    }
}

/// A key of this name, or the only one where none is named.
fn key_of(keys: &JwkSet, name: Option<&str>) -> Option<DecodingKey> {
    let found = match (name, keys.keys.as_slice()) {
        (Some(name), _) => keys.find(name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    found.and_then(|key| DecodingKey::from_jwk(key).ok())
}

fn is_fresh(at: Timestamp, now: Timestamp, lasts: Duration) -> bool {
    now.duration_since(at).unsigned_abs() < lasts
}

fn unreachable(fault: &Fault) -> SsoError {
    noted(SsoError::Unreachable(fault.to_string()))
}

/// The person is told little, the log what happened.
fn noted(error: SsoError) -> SsoError {
    match &error {
        SsoError::Unreachable(why) => tracing::warn!(%why, "the identity provider does not answer as it should"),
        SsoError::Unproven(why) => tracing::warn!(%why, "a token of the identity provider was not believed"),
        SsoError::Stray | SsoError::Refused(_) => {}
    }
    error
}

fn query(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
#[path = "sso_tests.rs"]
mod tests;
