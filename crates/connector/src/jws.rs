//! Compact JSON Web Signatures (RFC 7515): signing client assertions, and verifying.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, crypto, jwk::Jwk};
use p521::ecdsa::signature::{Signer as _, Verifier as _};
use p521::pkcs8::DecodePrivateKey as _;
use serde_json::{Value, json};

use crate::secret::Secret;

/// The largest token that is looked at.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not an algorithm that NetSuite and we both know.
    #[error("{0:?} is not among ES256, ES384, ES512, PS256, PS384 and PS512")]
    Algorithm(String),
    /// The key does not read, or is of another kind.
    #[error("the private key does not serve: {0}")]
    Key(String),
}

/// Signs claims as a compact token with `typ` JWT, the algorithm and the key id in its header.
/// `private_key` is PEM, PKCS #8.
///
/// # Errors
/// [`JwsError`].
pub fn sign(algorithm: &str, key_id: &str, private_key: &Secret, claims: &Value) -> Result<String, JwsError> {
    let header = json!({ "typ": "JWT", "alg": algorithm, "kid": key_id });
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let bad_key = |error: &dyn std::fmt::Display| JwsError::Key(error.to_string());
    let pem = private_key.reveal();
    let signature = match algorithm {
        "ES512" => {
            let secret = p521::SecretKey::from_pkcs8_pem(pem).map_err(|e| bad_key(&e))?;
            let key = p521::ecdsa::SigningKey::from_slice(&secret.to_bytes()).map_err(|e| bad_key(&e))?;
            let signature: p521::ecdsa::Signature = key.try_sign(message.as_bytes()).map_err(|e| bad_key(&e))?;
            URL_SAFE_NO_PAD.encode(signature.to_bytes())
        }
        "ES256" | "ES384" | "PS256" | "PS384" | "PS512" => {
            let wanted = named(algorithm).ok_or_else(|| JwsError::Algorithm(algorithm.to_owned()))?;
            let key = match wanted.family() {
                AlgorithmFamily::Ec => EncodingKey::from_ec_pem(pem.as_bytes()),
                _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
            };
            crypto::sign(message.as_bytes(), &key.map_err(|e| bad_key(&e))?, wanted).map_err(|e| bad_key(&e))?
        }
        other => return Err(JwsError::Algorithm(other.to_owned())),
    };
    Ok(format!("{message}.{signature}"))
}

fn named(algorithm: &str) -> Option<Algorithm> {
    algorithm.parse().ok()
}

/// Whether a compact token is signed by this key (a JWK). The algorithm is the one in the token's
/// header, but it must be one for the key's kind, and the key's own `alg`, where it has one: a token
/// cannot choose how it is checked. `none` is never accepted, nor is a `crit` that we do not know.
pub fn verify(key: &Value, token: &str) -> bool {
    verified(key, token).unwrap_or(false)
}

fn verified(key: &Value, token: &str) -> Option<bool> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let (message, signature) = token.rsplit_once('.')?;
    let (header, payload) = message.split_once('.')?;
    // The payload may be anything, but it must be base64url without padding.
    URL_SAFE_NO_PAD.decode(payload).ok()?;
    let bytes = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let header = header.as_object()?;
    if header.contains_key("crit") || header.get("b64").is_some() {
        return None;
    }
    let algorithm = header.get("alg")?.as_str()?;
    if key.get("alg").and_then(Value::as_str).is_some_and(|own| own != algorithm)
        || key.get("use").and_then(Value::as_str).is_some_and(|own| own != "sig")
    {
        return None;
    }
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let fits = match (text("kty")?, algorithm) {
        ("oct", "HS256" | "HS384" | "HS512") | ("OKP", "EdDSA") => true,
        ("RSA", "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512") => true,
        ("EC", "ES256") => text("crv") == Some("P-256"),
        ("EC", "ES384") => text("crv") == Some("P-384"),
        ("EC", "ES512") => text("crv") == Some("P-521"),
        _ => false,
    };
    if !fits {
        return None;
    }
    if algorithm == "ES512" {
        return verified_p521(text("x")?, text("y")?, message, &bytes);
    }
    let jwk: Jwk = serde_json::from_value(bare(key)?).ok()?;
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    crypto::verify(signature, message.as_bytes(), &key, named(algorithm)?).ok()
}

/// The members that say what the key is; what else stands in a JWK may be in forms that are none of our business.
fn bare(key: &Value) -> Option<Value> {
    let members = ["kty", "k", "n", "e", "crv", "x", "y"];
    let key = key.as_object()?;
    Some(Value::Object(
        key.iter().filter(|(name, _)| members.contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect(),
    ))
}

fn verified_p521(x: &str, y: &str, message: &str, signature: &[u8]) -> Option<bool> {
    let (x, y) = (URL_SAFE_NO_PAD.decode(x).ok()?, URL_SAFE_NO_PAD.decode(y).ok()?);
    let mut point = vec![4_u8];
    for part in [x, y] {
        point.extend(std::iter::repeat_n(0, 66_usize.checked_sub(part.len())?));
        point.extend(part);
    }
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
    let signature = p521::ecdsa::Signature::from_slice(signature).ok()?;
    Some(key.verify(message.as_bytes(), &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----";

    fn public() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "EVs_o5-uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf84",
            "y": "kGe5DgSIycKp8w9aJmoHhB1sB3QTugfnRWm5nU_TzsY",
        })
    }

    #[test]
    fn what_it_signs_verifies_and_nothing_else_does() {
        let token = sign("ES256", "k1", &Secret::new(EC_KEY), &json!({ "iss": "me" })).unwrap();
        assert!(verify(&public(), &token));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = message.split_once('.').unwrap();
        let forged = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"iss":"you"}"#));
        assert!(!verify(&public(), &forged));
        assert!(!verify(&public(), &format!("{token}=")));
        assert!(!verify(&public(), message));
    }

    #[test]
    fn a_token_cannot_choose_how_it_is_checked() {
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode("{}"));
        assert!(!verify(&public(), &unsigned));
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
        assert!(!verify(&public(), &format!("{header}.e30.AAAA")));
    }

    #[test]
    fn a_key_of_another_kind_is_refused_with_its_name() {
        assert_eq!(sign("RS256", "k", &Secret::new(EC_KEY), &json!({})), Err(JwsError::Algorithm("RS256".into())));
        assert!(matches!(sign("PS256", "k", &Secret::new(EC_KEY), &json!({})), Err(JwsError::Key(_))));
    }
}
