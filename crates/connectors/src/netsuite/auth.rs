//! Who we are: OAuth 2.0 client credentials with a signed assertion, or OAuth 1.0a per request.
//!
//! (NetSuite help: "OAuth 2.0 Client Credentials Flow", "The Request Structure and the Response
//! Structure of the POST Request to the Token Endpoint", "The Authorization Headers" of TBA.)

use std::{sync::Arc, time::Duration};

use base64::Engine as _;
use jiff::Timestamp;
use selvedge_connector::{
    Answer, Call, Clock, Effect, Fault, Priority, Secret, Session, jws, oauth1, redact, session::HeaderText,
};
use serde_json::{Value, json};

use super::settings::Credentials;

/// The token endpoint below the base.
pub(crate) const TOKEN_PATH: &str = "/services/rest/auth/oauth2/v1/token";
/// The longest life that an assertion may have is an hour; a shorter one serves as well and is worth less when stolen.
const ASSERTION_SECONDS: i64 = 300;

/// Which algorithm of the vendor's list fits a private key: the elliptic ones by curve, RSA by PS256.
pub(crate) fn algorithm_of(pem: &str) -> Option<&'static str> {
    let body: String =
        pem.lines().filter(|line| !line.starts_with("-----")).flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).ok()?;
    let has = |oid: &[u8]| der.windows(oid.len()).any(|window| window == oid);
    if has(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]) || pem.contains("BEGIN RSA PRIVATE KEY") {
        Some("PS256")
    } else if has(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]) {
        Some("ES256")
    } else if has(&[0x2b, 0x81, 0x04, 0x00, 0x22]) {
        Some("ES384")
    } else if has(&[0x2b, 0x81, 0x04, 0x00, 0x23]) {
        Some("ES512")
    } else {
        None
    }
}

/// A token in use.
#[derive(Clone, Debug)]
struct Token {
    value: Secret,
    renew_at: Timestamp,
}

/// Makes the `Authorization` header of every request.
#[derive(Debug)]
pub(crate) struct Auth {
    credentials: Credentials,
    token_url: String,
    clock: Arc<dyn Clock>,
    token: tokio::sync::Mutex<Option<Token>>,
}

impl Auth {
    pub fn new(credentials: Credentials, base_url: &str, clock: Arc<dyn Clock>) -> Self {
        Self { credentials, token_url: format!("{base_url}{TOKEN_PATH}"), clock, token: tokio::sync::Mutex::new(None) }
    }

    /// The header's value for one request.
    pub async fn header(&self, session: &Session, method: &str, url: &str) -> Result<Secret, Fault> {
        match &self.credentials {
            Credentials::OAuth1(credentials) => {
                let nonce = format!("{:032x}", rand::random::<u128>());
                oauth1::header(method, url, credentials, &nonce, self.clock.now().as_second())
                    .map(Secret::new)
                    .map_err(|why| Fault::Unexpected { what: "sign a request".to_owned(), detail: why.to_string() })
            }
            Credentials::OAuth2 { .. } => Ok(Secret::new(format!("Bearer {}", self.token(session).await?.reveal()))),
        }
    }

    /// After a 401: whether another header is worth a try. Only a token can have run out; a
    /// signature that was refused will be refused again.
    pub async fn refused(&self, used: &Secret) -> bool {
        if matches!(self.credentials, Credentials::OAuth1(_)) {
            return false;
        }
        let mut held = self.token.lock().await;
        // Another call may have renewed it already.
        if held.as_ref().is_some_and(|token| used.reveal() == format!("Bearer {}", token.value.reveal())) {
            *held = None;
        }
        true
    }

    /// The token, renewed at four fifths of its life; whoever comes meanwhile waits for the one renewal.
    async fn token(&self, session: &Session) -> Result<Secret, Fault> {
        let mut held = self.token.lock().await;
        let now = self.clock.now();
        if let Some(token) = held.as_ref().filter(|token| now < token.renew_at) {
            return Ok(token.value.clone());
        }
        let token = self.fetch(session, now).await?;
        let value = token.value.clone();
        *held = Some(token);
        Ok(value)
    }

    async fn fetch(&self, session: &Session, now: Timestamp) -> Result<Token, Fault> {
        let what = "get an access token".to_owned();
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", self.assertion(now)?.reveal())
            .finish();
        let answer = session
            .send(Call {
                what: what.clone(),
                method: "POST",
                url: self.token_url.clone(),
                headers: vec![
                    ("content-type", HeaderText::Plain("application/x-www-form-urlencoded".to_owned())),
                    ("accept", HeaderText::Plain("application/json".to_owned())),
                ],
                body: body.into_bytes().into(),
                // A token that was made and not received hurts nobody.
                effect: Effect::Read,
                priority: Priority::Control,
                costs: Vec::new(),
            })
            .await?;
        read_token(&answer, now, what)
    }

    fn assertion(&self, now: Timestamp) -> Result<Secret, Fault> {
        let Credentials::OAuth2 { client_id, certificate_id, private_key, algorithm, audience } = &self.credentials else {
            return Ok(Secret::new(""));
        };
        let claims = json!({
            "iss": client_id,
            "scope": ["rest_webservices"],
            "aud": audience,
            "iat": now.as_second(),
            "exp": now.as_second().saturating_add(ASSERTION_SECONDS),
            "jti": format!("{:032x}", rand::random::<u128>()),
        });
        jws::sign(algorithm, certificate_id, private_key, &claims).map(Secret::new).map_err(|why| Fault::Unauthorized {
            what: "sign the assertion".to_owned(),
            detail: format!("the private key does not serve with {algorithm}: {why}"),
        })
    }
}

fn read_token(answer: &Answer, now: Timestamp, what: String) -> Result<Token, Fault> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match answer.status {
        200..=299 => {
            let life = super::wire::decimal(&body, "expires_in").and_then(|s| u64::try_from(s).ok()).unwrap_or(3600);
            match body.get("access_token").and_then(Value::as_str) {
                Some(token) if !token.is_empty() => Ok(Token {
                    value: Secret::new(token),
                    renew_at: now.checked_add(Duration::from_secs(life.saturating_mul(4) / 5)).unwrap_or(now),
                }),
                _ => Err(Fault::Unexpected { what, detail: "an answer without access_token".to_owned() }),
            }
        }
        400 | 401 | 403 => {
            let word = |name: &str| body.get(name).and_then(Value::as_str).map(|text| text.chars().take(200).collect::<String>());
            let said = [word("error"), word("error_description")].into_iter().flatten().collect::<Vec<_>>().join(": ");
            let said = redact::sentence(&said);
            Err(Fault::Unauthorized { what, detail: if said.is_empty() { format!("status {}", answer.status) } else { said } })
        }
        status => Err(Fault::Transient { what, source: Some(format!("the token endpoint answered {status}").into()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec().into() }
    }

    #[test]
    fn the_algorithm_follows_the_key() {
        let pem = |oid: &[u8]| {
            let der = [&[0x30, 0x20][..], oid, &[0x04, 0x01]].concat();
            let body = base64::engine::general_purpose::STANDARD.encode(der);
            format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
        };
        for (oid, algorithm) in [
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01][..], Some("PS256")),
            (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], Some("ES256")),
            (&[0x2b, 0x81, 0x04, 0x00, 0x22], Some("ES384")),
            (&[0x2b, 0x81, 0x04, 0x00, 0x23], Some("ES512")),
            (&[0x2b, 0x65, 0x70], None),
        ] {
            assert_eq!(algorithm_of(&pem(oid)), algorithm);
        }
        assert_eq!(algorithm_of("not a key"), None);
    }

    #[test]
    fn a_token_is_renewed_at_four_fifths_of_its_life() {
        for expires_in in ["3600", "\"3600\""] {
            let body = format!(r#"{{"access_token":"hidden-token","expires_in":{expires_in},"token_type":"Bearer"}}"#);
            let token = read_token(&answer(200, &body), Timestamp::UNIX_EPOCH, String::new()).unwrap();
            assert_eq!(token.renew_at.as_second(), 2880);
            assert!(!format!("{token:?}").contains("hidden-token"));
        }
    }

    #[test]
    fn a_refused_grant_is_a_matter_of_credentials_and_an_outage_is_not() {
        let refused = read_token(&answer(400, r#"{"error":"invalid_grant"}"#), Timestamp::UNIX_EPOCH, String::new()).unwrap_err();
        assert!(matches!(&refused, Fault::Unauthorized { detail, .. } if detail == "invalid_grant"), "{refused:?}");
        let down = read_token(&answer(503, "<html>"), Timestamp::UNIX_EPOCH, String::new()).unwrap_err();
        assert!(matches!(down, Fault::Transient { .. }));
        let odd = read_token(&answer(200, "{}"), Timestamp::UNIX_EPOCH, String::new()).unwrap_err();
        assert!(matches!(odd, Fault::Unexpected { .. }));
    }
}
