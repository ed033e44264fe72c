//! OAuth 1.0a signatures (RFC 5849), as NetSuite's token-based authentication wants them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::{secret::Secret, signature::hmac_sha256};

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How the base string is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// What NetSuite takes.
    HmacSha256,
    /// What others still take; for the published vectors.
    HmacSha1,
}

impl Method {
    /// Its name in `oauth_signature_method`.
    pub const fn name(self) -> &'static str {
        match self {
            Method::HmacSha256 => "HMAC-SHA256",
            Method::HmacSha1 => "HMAC-SHA1",
        }
    }

    /// The method of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Method::HmacSha256, Method::HmacSha1].into_iter().find(|method| method.name() == name)
    }
}

/// A token's credentials.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Of the integration.
    pub consumer_key: String,
    /// Of the integration.
    pub consumer_secret: Secret,
    /// Of the token.
    pub token_id: String,
    /// Of the token.
    pub token_secret: Secret,
    /// The account in its upper-case form, `1234567_SB1`; part of the header, never of the signature.
    pub realm: String,
}

/// An address that cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address cannot be signed: {0}")]
pub struct UnsignableUrl(String);

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The signature base string of RFC 5849 3.4.1. `parameters` are the OAuth ones and those of a form
/// body; the query is taken from the address. `realm` and `oauth_signature` are left out.
///
/// # Errors
/// [`UnsignableUrl`].
pub fn base_string(method: &str, url: &str, parameters: &[(String, String)]) -> Result<String, UnsignableUrl> {
    let parsed = Url::parse(url).map_err(|error| UnsignableUrl(error.to_string()))?;
    let host = parsed.host_str().ok_or_else(|| UnsignableUrl("it names no host".to_owned()))?;
    // The parser has put scheme and host into lower case and has dropped the scheme's own port.
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    let base = format!("{}://{host}{port}{}", parsed.scheme(), parsed.path());
    let mut all: Vec<(String, String)> = parameters
        .iter()
        .filter(|(name, _)| name != "oauth_signature" && name != "realm")
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    for pair in parsed.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // RFC 5849 3.4.1.3.1 reads the query as a form, in which a plus is a blank.
        let plain = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        all.push((encode(&plain(name)), encode(&plain(value))));
    }
    all.sort();
    let joined = all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    Ok(format!("{}&{}&{}", method.to_ascii_uppercase(), encode(&base), encode(&joined)))
}

/// The signature of a base string, base64.
pub fn sign(base_string: &str, consumer_secret: &str, token_secret: &str, method: Method) -> String {
    let key = format!("{}&{}", encode(consumer_secret), encode(token_secret));
    match method {
        Method::HmacSha256 => STANDARD.encode(hmac_sha256(key.as_bytes(), base_string.as_bytes())),
        Method::HmacSha1 => match Hmac::<sha1::Sha1>::new_from_slice(key.as_bytes()) {
            Ok(mut mac) => {
                mac.update(base_string.as_bytes());
                STANDARD.encode(mac.finalize().into_bytes())
            }
            // HMAC takes a key of any length.
            Err(_) => String::new(),
        },
    }
}

/// The `Authorization` header of one request. The JSON body is not signed; each request needs a nonce of its own.
///
/// # Errors
/// [`UnsignableUrl`].
pub fn header(method: &str, url: &str, credentials: &Credentials, nonce: &str, timestamp: i64) -> Result<String, UnsignableUrl> {
    let mut parameters: Vec<(String, String)> = [
        ("oauth_consumer_key", credentials.consumer_key.as_str()),
        ("oauth_token", &credentials.token_id),
        ("oauth_signature_method", Method::HmacSha256.name()),
        ("oauth_timestamp", &timestamp.to_string()),
        ("oauth_nonce", nonce),
        ("oauth_version", "1.0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let base = base_string(method, url, &parameters)?;
    let signature = sign(&base, credentials.consumer_secret.reveal(), credentials.token_secret.reveal(), Method::HmacSha256);
    parameters.push(("oauth_signature".to_owned(), signature));
    let parts = parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", encode(value))).collect::<Vec<_>>().join(", ");
    Ok(format!("OAuth realm=\"{}\", {parts}", credentials.realm))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_base_string_of_the_rfc() {
        let parameters = pairs(&[
            ("c2", ""),
            ("a3", "2 q"),
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ]);
        let base = base_string("post", "http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", &parameters).unwrap();
        assert_eq!(
            base,
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
        assert_eq!(
            sign(&base, "ECrDNoq1VYzzzzzzzzzyAK7TwZNtPnkqatqZZZZ", "just-a-string    asdasd", Method::HmacSha1),
            "wsdNmjGB7lvis0UJuPAmjvX/PXw="
        );
    }

    #[test]
    fn the_realm_is_in_the_header_and_not_in_the_signature() {
        let credentials = |realm: &str| Credentials {
            consumer_key: "ck".into(),
            consumer_secret: Secret::new("cs"),
            token_id: "tk".into(),
            token_secret: Secret::new("ts"),
            realm: realm.into(),
        };
        let one = header("GET", "https://1-sb1.example/x?limit=5", &credentials("1_SB1"), "n", 1).unwrap();
        let two = header("GET", "https://1-sb1.example/x?limit=5", &credentials("2"), "n", 1).unwrap();
        assert!(one.starts_with("OAuth realm=\"1_SB1\", oauth_consumer_key=\"ck\""), "{one}");
        assert!(!one.contains("limit"), "query parameters are signed, but never in the header");
        assert_eq!(one.split("oauth_signature=").nth(1), two.split("oauth_signature=").nth(1));
        assert!(!format!("{:?}", credentials("x")).contains("\"cs\""));
    }
}
