//! Who is calling: OAuth 2.0 client credentials with a signed assertion, and OAuth 1.0a.
//!
//! Source: the vendor's help topics "OAuth 2.0 Client Credentials Flow", "The Signature for Web Services and
//! RESTlets" (token-based authentication) and RFC 5849.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Test material only: the key pair every account of this stand-in has registered.
const PRIVATE_KEY: &str = include_str!("test_key.pem");
const PUBLIC_KEY: &str = include_str!("test_key.pub.pem");

pub(super) const TOKEN_PATH: &str = "/services/rest/auth/oauth2/v1/token";

/// How many seconds a clock may be off.
const SKEW: i64 = 300;
/// How many seconds an access token lives, and the longest an assertion may.
const TOKEN_LIFE: i64 = 3_600;

/// What a client needs to get in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Account id in its realm form, such as `1234567_SB1`.
    pub account: String,
    /// OAuth 2.0 client id of the integration record.
    pub client_id: String,
    /// Id of the registered certificate: the assertion's `kid`.
    pub certificate_id: String,
    /// Private key of that certificate, PKCS#8 PEM, P-256: sign with ES256.
    pub private_key_pem: String,
    /// OAuth 1.0a consumer key.
    pub consumer_key: String,
    /// OAuth 1.0a consumer secret.
    pub consumer_secret: String,
    /// OAuth 1.0a token id.
    pub token_id: String,
    /// OAuth 1.0a token secret.
    pub token_secret: String,
}

/// Characters that RFC 3986 percent-encodes: all but the unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A request as far as it is signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// The `Host` header.
    pub(super) host: &'a str,
    /// Path exactly as sent.
    pub(super) path: &'a str,
    /// Query exactly as sent, without the question mark.
    pub(super) query: &'a str,
    /// The `Authorization` header.
    pub(super) authorization: &'a str,
}

/// Nonces of the last while: two sets that take turns, so that old ones go.
#[derive(Debug, Default)]
struct Nonces {
    new: HashSet<u64>,
    old: HashSet<u64>,
    turned: i64,
}

impl Nonces {
    /// Whether this nonce is fresh; it is not any more afterwards.
    fn fresh(&mut self, nonce: u64, now: i64) -> bool {
        if now - self.turned > 2 * SKEW + 60 {
            self.old = std::mem::take(&mut self.new);
            self.turned = now;
        }
        !self.old.contains(&nonce) && self.new.insert(nonce)
    }
}

/// The account's door.
pub(super) struct Auth {
    pub(super) access: Access,
    certificate: DecodingKey,
    token_key: [u8; 32],
    nonces: Mutex<Nonces>,
}

#[derive(Deserialize)]
struct Assertion {
    iss: String,
    aud: OneOrMany,
    iat: i64,
    exp: i64,
    scope: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn any(&self, test: impl Fn(&str) -> bool) -> bool {
        match self {
            OneOrMany::One(one) => one.split([',', ' ']).any(|part| test(part.trim())),
            OneOrMany::Many(many) => many.iter().any(|part| test(part)),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct TokenClaims {
    sub: String,
    iat: i64,
    exp: i64,
}

impl Auth {
    pub(super) fn new(account: &str) -> anyhow::Result<Auth> {
        let made_up = |what: &str| hex::encode(Sha256::digest(format!("{account} {what}").as_bytes()));
        let certificate = DecodingKey::from_ec_pem(PUBLIC_KEY.as_bytes()).context("read the test certificate")?;
        Ok(Auth {
            access: Access {
                account: account.to_owned(),
                client_id: made_up("client id"),
                certificate_id: format!("custcertificate_{}", &made_up("certificate")[..12]),
                private_key_pem: PRIVATE_KEY.to_owned(),
                consumer_key: made_up("consumer key"),
                consumer_secret: made_up("consumer secret"),
                token_id: made_up("token id"),
                token_secret: made_up("token secret"),
            },
            certificate,
            token_key: Sha256::digest(format!("{account} tokens").as_bytes()).into(),
            nonces: Mutex::default(),
        })
    }

    /// Answers the token endpoint: the JSON to send, or the OAuth error code.
    pub(super) fn token(&self, form: &[u8], now: Timestamp) -> Result<String, (&'static str, String)> {
        let mut grant = String::new();
        let mut kind = String::new();
        let mut assertion = String::new();
        for (name, value) in url::form_urlencoded::parse(form) {
            match &*name {
                "grant_type" => grant = value.into_owned(),
                "client_assertion_type" => kind = value.into_owned(),
                "client_assertion" => assertion = value.into_owned(),
                _ => {}
            }
        }
        if grant != "client_credentials" {
            return Err(("unsupported_grant_type", format!("grant_type is {grant:?}")));
        }
        if kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || assertion.is_empty() {
            return Err(("invalid_request", "client_assertion is missing".into()));
        }
        let wrong = |why: &str| ("invalid_grant", why.to_owned());
        let header = jsonwebtoken::decode_header(&assertion).map_err(|_| wrong("the assertion is no JWT"))?;
        // The vendor's list also has PS256 to PS512 and ES384, ES512; the one certificate here is P-256.
        if header.alg != Algorithm::ES256 {
            return Err(wrong("the algorithm does not fit the certificate"));
        }
        if header.kid.as_deref() != Some(&self.access.certificate_id) {
            return Err(wrong("no certificate has this kid"));
        }
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Assertion>(&assertion, &self.certificate, &validation)
            .map_err(|fault| wrong(&fault.to_string()))?
            .claims;
        let now = now.as_second();
        if claims.iss != self.access.client_id {
            return Err(wrong("iss is not the client id"));
        }
        if !claims.aud.any(|aud| aud.ends_with(TOKEN_PATH)) {
            return Err(wrong("aud is not the token endpoint"));
        }
        if claims.exp <= claims.iat || claims.exp - claims.iat > TOKEN_LIFE {
            return Err(wrong("exp must be within 60 minutes of iat"));
        }
        if claims.iat > now + SKEW || claims.exp < now - SKEW {
            return Err(wrong("the assertion is not valid now"));
        }
        if !claims.scope.any(|scope| scope == "rest_webservices") {
            return Err(wrong("scope lacks rest_webservices"));
        }
        let token = self.mint(now).ok_or_else(|| wrong("no token could be made"))?;
        Ok(format!(r#"{{"access_token":"{token}","expires_in":{TOKEN_LIFE},"token_type":"Bearer"}}"#))
    }

    fn mac(&self, text: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.token_key).ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    }

    fn mint(&self, now: i64) -> Option<String> {
        let claims = TokenClaims { sub: self.access.account.clone(), iat: now, exp: now + TOKEN_LIFE };
        let body = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#),
            URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).ok()?)
        );
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&body)?.finalize().into_bytes());
        Some(format!("{body}.{signature}"))
    }

    /// Lets a request in, or says why not.
    pub(super) fn check(&self, request: &Signed<'_>, now: Timestamp) -> Result<(), &'static str> {
        let (scheme, rest) = request.authorization.split_once(' ').ok_or("MissingTokenPassportRequiredFields")?;
        if scheme.eq_ignore_ascii_case("Bearer") {
            self.bearer(rest.trim(), now.as_second())
        } else if scheme.eq_ignore_ascii_case("OAuth") {
            self.oauth1(request, rest, now.as_second())
        } else {
            Err("MissingTokenPassportRequiredFields")
        }
    }

    fn bearer(&self, token: &str, now: i64) -> Result<(), &'static str> {
        let checked = || {
            let (body, signature) = token.rsplit_once('.')?;
            let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
            self.mac(body)?.verify_slice(&signature).ok()?;
            let claims = URL_SAFE_NO_PAD.decode(body.split_once('.')?.1).ok()?;
            serde_json::from_slice::<TokenClaims>(&claims).ok()
        };
        match checked() {
            Some(claims) if claims.sub == self.access.account && claims.exp > now => Ok(()),
            _ => Err("invalid_token"),
        }
    }

    fn oauth1(&self, request: &Signed<'_>, fields: &str, now: i64) -> Result<(), &'static str> {
        let mut parameters: Vec<(String, String)> = Vec::with_capacity(12);
        let (mut realm, mut signature) = (String::new(), String::new());
        for field in fields.split(',') {
            let Some((name, value)) = field.trim().split_once('=') else {
                return Err("MissingTokenPassportRequiredFields");
            };
            let value = percent_decode_str(value.trim().trim_matches('"'))
                .decode_utf8()
                .map_err(|_| "MissingTokenPassportRequiredFields")?
                .into_owned();
            match name.trim() {
                "realm" => realm = value,
                "oauth_signature" => signature = value,
                name => parameters.push((name.to_owned(), value)),
            }
        }
        let get = |name: &str| parameters.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
        if realm != self.access.account {
            return Err("realm_rejected");
        }
        if get("oauth_consumer_key") != self.access.consumer_key {
            return Err("consumer_key_unknown");
        }
        if get("oauth_token") != self.access.token_id {
            return Err("token_rejected");
        }
        if get("oauth_signature_method") != "HMAC-SHA256" {
            return Err("signature_method_rejected");
        }
        if !matches!(get("oauth_version"), "1.0" | "") {
            return Err("version_rejected");
        }
        let stamp: i64 = get("oauth_timestamp").parse().map_err(|_| "timestamp_refused")?;
        if (now - stamp).abs() > SKEW {
            return Err("timestamp_refused");
        }
        let nonce = get("oauth_nonce");
        if nonce.is_empty() {
            return Err("nonce_rejected");
        }
        let nonce = crate::mischief::hash_text(&format!("{stamp} {nonce}"));
        let mine = ["http", "https"].into_iter().any(|scheme| {
            let base =
                base_string(request.method, &format!("{scheme}://{}{}", request.host, request.path), request.query, &parameters);
            sign(&base, &self.access.consumer_secret, &self.access.token_secret) == signature
        });
        if !mine {
            return Err("signature_invalid");
        }
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.fresh(nonce, now) { Ok(()) } else { Err("nonce_used") }
    }
}

/// The signature base string of RFC 5849. `url` is scheme, host and path as sent; `query` as sent.
fn base_string(method: &str, url: &str, query: &str, oauth: &[(String, String)]) -> String {
    let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (encode(&name), encode(&value)))
        .chain(oauth.iter().map(|(name, value)| (encode(name), encode(value))))
        .collect();
    pairs.sort();
    let mut joined = String::with_capacity(512);
    for (name, value) in pairs {
        if !joined.is_empty() {
            joined.push('&');
        }
        joined.push_str(&name);
        joined.push('=');
        joined.push_str(&value);
    }
    format!("{}&{}&{}", method.to_ascii_uppercase(), encode(url), encode(&joined))
}

/// HMAC-SHA256 of the base string, base64.
fn sign(base: &str, consumer_secret: &str, token_secret: &str) -> String {
    let key = format!("{}&{}", encode(consumer_secret), encode(token_secret));
    match Hmac::<Sha256>::new_from_slice(key.as_bytes()) {
        Ok(mut mac) => {
            mac.update(base.as_bytes());
            STANDARD.encode(mac.finalize().into_bytes())
        }
        Err(_) => String::new(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    const CONSUMER_KEY: &str = "ef40afdd8abaac111b13825dd5e5e2ddddb44f86d5a0dd6dcf38c20aae6b67e4";
    const CONSUMER_SECRET: &str = "d26ad321a4b2f23b0741c8d38392ce01c3e23e109df6c96eac6d099e9ab9e8b5";
    const TOKEN: &str = "2b0ce516420110bcbd36b69e99196d1b7f6de3c6234c5afb799b73d87569f5cc";
    const TOKEN_SECRET: &str = "c29a677df7d5439a458c063654187e3d678d73aca8e3c9d8bea1478a3eb0d295";

    fn oauth(consumer: &str, token: &str, nonce: &str, stamp: &str) -> Vec<(String, String)> {
        [
            ("oauth_consumer_key", consumer),
            ("oauth_token", token),
            ("oauth_nonce", nonce),
            ("oauth_timestamp", stamp),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_version", "1.0"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .to_vec()
    }

    #[test]
    fn the_published_signatures() {
        let oauth = oauth(CONSUMER_KEY, TOKEN, "fjaLirsIcCGVZWzBX0pg", "1508242306");
        let rest = "https://123456.suitetalk.api.netsuite.com/services/rest";
        for (method, url, query, expected) in [
            ("GET", format!("{rest}/record/v1/employee/40"), "", "B5OIWznZ2YP0OB7VrJrGkYsTh+8H+5T9Hag+o92q0zY="),
            (
                "POST",
                "https://123456.restlets.api.netsuite.com/app/site/hosting/restlet.nl".to_owned(),
                "script=6&deploy=1&customParam=someValue&testParam=someOtherValue",
                "+KK4SKNgz4ZiILGLwOMtfYlgcXSy1eis8ldE9X90azQ=",
            ),
            (
                "POST",
                format!("{rest}/query/v1/suiteql"),
                "limit=1000&offset=2000",
                "CLdciYVYhr/AqfkJ9kHpaYGsK7kzm8VkkfI+HzW85KM=",
            ),
            (
                "PUT",
                "https://123456-sb1.suitetalk.api.netsuite.com/services/rest/record/v1/salesOrder/eid:WEB-1001".into(),
                "replace=item",
                "4xDdPC865vaOdDnAGyYDtPpRH2sSaFKa101uMNuhnsY=",
            ),
            (
                "GET",
                format!("{rest}/record/v1/customer"),
                "q=companyname%20START_WITH%20%22Another%20Company%22&limit=1000&offset=0",
                "BVSnaoPt4UgrU46vL+x5WKaqfgP2RyKn7+I0g+5J07Q=",
            ),
        ] {
            let base = base_string(method, &url, query, &oauth);
            assert_eq!(sign(&base, CONSUMER_SECRET, TOKEN_SECRET), expected, "{method} {url}");
        }
    }

    fn now() -> Timestamp {
        "2026-02-03T12:00:00Z".parse().unwrap()
    }

    fn header(auth: &Auth, realm: &str, url: &str, nonce: &str, stamp: i64) -> String {
        let access = &auth.access;
        let oauth = oauth(&access.consumer_key, &access.token_id, nonce, &stamp.to_string());
        let signature = sign(&base_string("GET", url, "a=b%20c", &oauth), &access.consumer_secret, &access.token_secret);
        let fields: Vec<String> = oauth.iter().map(|(k, v)| format!("{k}=\"{}\"", encode(v))).collect();
        format!("OAuth realm=\"{realm}\", {}, oauth_signature=\"{}\"", fields.join(", "), encode(&signature))
    }

    #[test]
    fn oauth1_is_checked_in_every_part() {
        let auth = Auth::new("1234567_SB1").unwrap();
        let at = now().as_second();
        let url = "http://127.0.0.1:80/services/rest/x/eid:a";
        let try_with = |authorization: &str, query: &str| {
            auth.check(
                &Signed { method: "GET", host: "127.0.0.1:80", path: "/services/rest/x/eid:a", query, authorization },
                now(),
            )
        };
        let good = header(&auth, "1234567_SB1", url, "n1", at);
        assert_eq!(try_with(&good, "a=b%20c"), Ok(()));
        assert_eq!(try_with(&good, "a=b%20c"), Err("nonce_used"));
        assert_eq!(try_with(&header(&auth, "1234567_SB1", url, "n2", at), "a=b"), Err("signature_invalid"));
        assert_eq!(try_with(&header(&auth, "7654321", url, "n3", at), "a=b%20c"), Err("realm_rejected"));
        assert_eq!(try_with(&header(&auth, "1234567_SB1", url, "n4", at - 301), "a=b%20c"), Err("timestamp_refused"));
        assert_eq!(try_with(&header(&auth, "1234567_SB1", url, "n5", at + 299), "a=b%20c"), Ok(()));
        assert_eq!(try_with("Basic abc", "a=b%20c"), Err("MissingTokenPassportRequiredFields"));
    }

    /// A form for the token endpoint with some claims changed.
    fn form(auth: &Auth, change: impl Fn(&mut jsonwebtoken::Header, &mut serde_json::Value)) -> String {
        let at = now().as_second();
        let mut header = jsonwebtoken::Header::new(Algorithm::ES256);
        header.kid = Some(auth.access.certificate_id.clone());
        let mut claims = json!({
            "iss": auth.access.client_id,
            "scope": ["rest_webservices"],
            "aud": format!("http://127.0.0.1:1{TOKEN_PATH}"),
            "iat": at,
            "exp": at + 3600,
        });
        change(&mut header, &mut claims);
        let key = jsonwebtoken::EncodingKey::from_ec_pem(auth.access.private_key_pem.as_bytes()).unwrap();
        let assertion = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        format!(
            "grant_type=client_credentials&client_assertion_type={}&client_assertion={assertion}",
            encode("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        )
    }

    /// A good token of this account.
    pub(in super::super) fn token_of(auth: &Auth, at: Timestamp) -> String {
        auth.mint(at.as_second()).unwrap()
    }

    #[test]
    fn a_good_assertion_gets_a_token_and_a_bad_one_does_not() {
        let auth = Auth::new("1234567_SB1").unwrap();
        let answer = auth.token(form(&auth, |_, _| {}).as_bytes(), now()).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let token = answer["access_token"].as_str().unwrap();
        let check = |auth: &Auth, token: &str, at: Timestamp| {
            auth.check(&Signed { method: "GET", host: "h", path: "/", query: "", authorization: &format!("Bearer {token}") }, at)
        };
        assert_eq!(check(&auth, token, now()), Ok(()));
        let later = now().checked_add(jiff::SignedDuration::from_secs(3_600)).unwrap();
        assert_eq!(check(&auth, token, later), Err("invalid_token"));
        assert_eq!(check(&auth, &token[..token.len() - 2], now()), Err("invalid_token"));
        let other = Auth::new("7654321").unwrap();
        assert_eq!(check(&other, token, now()), Err("invalid_token"));

        type Change = fn(&mut jsonwebtoken::Header, &mut serde_json::Value);
        let bad: [(&str, Change); 6] = [
            ("kid", |header, _| header.kid = Some("other".into())),
            ("iss", |_, claims| claims["iss"] = json!("other")),
            ("aud", |_, claims| claims["aud"] = json!("http://127.0.0.1:1/token")),
            ("life", |_, claims| claims["exp"] = json!(now().as_second() + 3_601)),
            ("past", |_, claims| {
                claims["iat"] = json!(now().as_second() - 4_000);
                claims["exp"] = json!(now().as_second() - 400);
            }),
            ("scope", |_, claims| claims["scope"] = json!("restlets")),
        ];
        for (name, change) in bad {
            let fault = auth.token(form(&auth, change).as_bytes(), now()).unwrap_err();
            assert_eq!(fault.0, "invalid_grant", "{name}");
        }
        assert!(
            auth.token(form(&auth, |_, claims| claims["scope"] = json!("restlets,rest_webservices")).as_bytes(), now()).is_ok()
        );
        assert_eq!(auth.token(b"grant_type=password", now()).unwrap_err().0, "unsupported_grant_type");
    }
}
