//! The one cookie: a random text, out of reach of scripts, sent to nobody else.

use axum::http::{HeaderMap, HeaderValue, header};
use selvedge_store::people::Proof;

use super::Door;

/// What the cookie of a session is called. With TLS its name promises that it is ours alone: browsers hold whoever sets it to it.
fn name(door: &Door) -> &'static str {
    if door.is_secure() { "__Host-selvedge" } else { "selvedge" }
}

/// What the cookie of an attempt to sign in elsewhere is called.
fn sso_name(door: &Door) -> &'static str {
    if door.is_secure() { "__Host-selvedge-sso" } else { "selvedge-sso" }
}

/// What a browser shows, if it can be one of ours.
pub(crate) fn shown(door: &Door, headers: &HeaderMap) -> Option<Proof> {
    named(name(door), headers)
}

/// The same of an attempt to sign in elsewhere.
pub(crate) fn sso_shown(door: &Door, headers: &HeaderMap) -> Option<Proof> {
    named(sso_name(door), headers)
}

fn named(name: &str, headers: &HeaderMap) -> Option<Proof> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name).and_then(|(_, text)| Proof::shown(text))
}

/// Has a browser keep it until it is closed.
pub(crate) fn keep(door: &Door, proof: &Proof) -> Option<HeaderValue> {
    written(door, name(door), proof.text(), "")
}

/// Has a browser keep what an attempt to sign in elsewhere is known by.
pub(crate) fn sso_keep(door: &Door, proof: &Proof) -> Option<HeaderValue> {
    written(door, sso_name(door), proof.text(), "; Max-Age=600")
}

/// Has a browser forget it.
pub(crate) fn forget(door: &Door) -> Option<HeaderValue> {
    written(door, name(door), "", "; Max-Age=0")
}

fn written(door: &Door, name: &str, text: &str, more: &str) -> Option<HeaderValue> {
    let secure = if door.is_secure() { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{name}={text}; Path=/; HttpOnly; SameSite=Lax{secure}{more}")).ok().map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ours_alone() {
        let plain = Door::default();
        let tls = Door { url: Some("https://desk.example.com".to_owned()), ..Door::default() };
        let proof = Proof::fresh();
        let set = |door: &Door| keep(door, &proof).unwrap().to_str().unwrap().to_owned();
        assert_eq!(set(&plain), format!("selvedge={}; Path=/; HttpOnly; SameSite=Lax", proof.text()));
        assert_eq!(set(&tls), format!("__Host-selvedge={}; Path=/; HttpOnly; SameSite=Lax; Secure", proof.text()));
        assert!(forget(&tls).unwrap().to_str().unwrap().ends_with("Secure; Max-Age=0"));
        assert!(!format!("{:?}", keep(&plain, &proof)).contains(proof.text()), "no log shows it");

        let headers = |text: &str| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(text).unwrap())]);
        let read = |door: &Door, text: &str| shown(door, &headers(text)).map(|proof| proof.text().to_owned());
        assert_eq!(read(&plain, "a=b; selvedge=xyz;c=d"), Some("xyz".to_owned()));
        assert_eq!(read(&tls, "selvedge=xyz"), None, "a cookie that any neighbour could set");
        for wrong in ["", "selvedge=", "selvedge", "selvedge=a b", "selvedge=\"x\"", &format!("selvedge={}", "x".repeat(999))] {
            assert_eq!(read(&plain, wrong), None, "{wrong}");
        }
    }
}
