//! From where a request comes.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::FromRequestParts,
    http::{Extensions, HeaderMap, header, request::Parts},
};
use selvedge_store::people::sessions::Origin;

use super::Door;
use crate::serve::App;

/// The other end of the connection; [`crate::serve::serve`] puts it beside each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The origin of a request, as handlers ask for it.
pub(crate) struct Comes(pub(crate) Origin);

impl FromRequestParts<Arc<App>> for Comes {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self(of(&app.door, &parts.extensions, &parts.headers)))
    }
}

/// From where a request comes: the other end of the connection, or who a proxy of ours says that it speaks for.
pub(crate) fn of(door: &Door, extensions: &Extensions, headers: &HeaderMap) -> Origin {
    let peer = extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical());
    let told = peer.filter(|peer| door.proxies.contains(peer)).and_then(|_| forwarded(door, headers));
    let address = told.or(peer).map_or_else(|| "unknown".to_owned(), subscriber);
    let agent = headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Origin { address, agent: agent.unwrap_or_default() }
}

/// The last address that no proxy of ours has: those before it are what the sender says of itself.
fn forwarded(door: &Door, headers: &HeaderMap) -> Option<IpAddr> {
    let all = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let all: Vec<Option<IpAddr>> = all.map(|text| text.trim().parse().ok().map(|ip: IpAddr| ip.to_canonical())).collect();
    all.into_iter().rev().find(|one| one.is_none_or(|ip| !door.proxies.contains(&ip))).flatten()
}

/// An IPv6 subscriber has a whole network, and could come from a new address of it each time.
fn subscriber(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_our_proxies_are_believed() {
        let door = Door { proxies: vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()], ..Door::default() };
        let from = |peer: &str, told: &str| {
            let mut extensions = Extensions::new();
            extensions.insert(Peer(format!("{peer}:9").parse().unwrap()));
            of(
                &door,
                &extensions,
                &HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), HeaderValue::from_str(told).unwrap())]),
            )
            .address
        };
        assert_eq!(from("198.51.100.7", "192.0.2.1"), "198.51.100.7", "a stranger says what it likes");
        assert_eq!(from("10.0.0.1", "192.0.2.1"), "192.0.2.1");
        assert_eq!(from("10.0.0.1", "192.0.2.66, 192.0.2.1, 10.0.0.2"), "192.0.2.1", "the first is made up");
        assert_eq!(from("10.0.0.1", "192.0.2.1, nonsense"), "10.0.0.1");
        assert_eq!(from("[2001:db8:1:2:3::4]", ""), "2001:db8:1:2::/64");
        assert_eq!(from("[::ffff:198.51.100.7]", ""), "198.51.100.7");
    }
}
