//! Where calls may go: a config, and a name server, must not be able to point us at what only this machine can see.
//!
//! Unless the config says otherwise for a connection, an address is called over TLS, and only where it leads to the public
//! internet: not to this machine, not into a private network, not to the metadata service of a cloud. The address that a name
//! stands for is looked at when the connection is made, each time, and it is the one that is connected to. So a name that is
//! public when it is checked and private when it is used gains nothing.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What a connection may reach besides the public internet over TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// This machine and private networks.
    pub allow_private: bool,
    /// Without TLS. On this machine, `allow_private` is enough.
    pub allow_http: bool,
}

/// Why a call may not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would go in clear.
    #[error("{0} would be called without TLS, for everyone on the way to read")]
    Clear(String),
    /// It leads to this machine or into a private network.
    #[error("{0} leads to this machine or into a private network")]
    Private(String),
}

impl Refusal {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Refusal::Clear(_) => "Write https://. If it is meant, set allow_http = true beside the address in the config.",
            Refusal::Private(_) => {
                "Name a public address. If it is meant, set allow_private = true beside the address in the config."
            }
        }
    }
}

impl Reach {
    /// The public internet, over TLS.
    pub const PUBLIC: Reach = Reach { allow_private: false, allow_http: false };
    /// Anything: for tests, and for worlds that run on this machine.
    pub const ANYWHERE: Reach = Reach { allow_private: true, allow_http: true };

    /// Whether an address may be called, as far as it tells by itself: what a name stands for is told when it is called.
    ///
    /// # Errors
    /// Why not.
    pub fn permits(self, url: &Url) -> Result<(), Refusal> {
        let shown = || url.host_str().unwrap_or_default().to_owned();
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            _ => None,
        };
        let here = ip.is_some_and(is_loopback) || url.host_str().is_some_and(is_local_name);
        if !self.allow_private && (here || ip.is_some_and(|ip| !is_public(ip))) {
            return Err(Refusal::Private(shown()));
        }
        if url.scheme() != "https" && !self.allow_http && !here {
            return Err(Refusal::Clear(shown()));
        }
        Ok(())
    }

    /// The addresses that a name stands for, as far as they may be connected to.
    ///
    /// # Errors
    /// The name server's; none of them may be connected to.
    pub async fn resolve(self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
        Ok(self.only_permitted(host, found)?)
    }

    /// Whether an address may be connected to.
    pub fn allows(self, ip: IpAddr) -> bool {
        self.allow_private || is_public(ip)
    }

    fn only_permitted(self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refusal> {
        let any = !found.is_empty();
        let kept: Vec<SocketAddr> = found.into_iter().filter(|at| self.allows(at.ip())).collect();
        if any && kept.is_empty() { Err(Refusal::Private(host.to_owned())) } else { Ok(kept) }
    }
}

/// Resolves names for the HTTP client, as [`Reach`] permits.
pub(crate) struct Resolver(pub(crate) Reach);

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let addresses = reach.resolve(name.as_str(), 0).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl Resolver {
    pub(crate) fn of(reach: Reach) -> Arc<Self> {
        Arc::new(Self(reach))
    }
}

/// The refusal that an error has at its root, if that is what it is.
pub(crate) fn refusal_in(error: &(dyn std::error::Error + 'static)) -> Option<Refusal> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return Some(refusal.clone());
        }
        next = error.source();
    }
    None
}

fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost")
}

fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    }
}

/// Whether an address belongs to the public internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127, ..)             // this network, private, this machine
            | (100, 64..=127, _)       // behind a carrier
            | (169, 254, _)            // link-local, where clouds keep their metadata
            | (172, 16..=31, _)        // private
            | (192, 168, _)            // private
            | (192, 0, 0 | 2)          // assignments, documentation
            | (192, 88, 99)            // relays of old
            | (198, 18..=19, _)        // benchmarks
            | (198, 51, 100)           // documentation
            | (203, 0, 113)            // documentation
            | (224..=255, ..) // multicast, reserved, broadcast
    )
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // An address that carries one of the other kind leads to that one.
    let carried = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            carried(high, low)
        }
        [0x2001, 0 | 0xdb8, ..] => false, // tunnels that hide where they lead, documentation
        [first, ..] => (0x2000..=0x3fff).contains(&first), // all that is given out as public lies in 2000::/3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public() {
        for ip in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.0.192",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fec0::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "9.9.9.9",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "::ffff:8.8.8.8",
            "2002:808:808::",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn addresses_are_judged_as_they_will_be_called() {
        let judged = |reach: Reach, url: &str| {
            reach.permits(&Url::parse(url).unwrap()).map_err(|refusal| matches!(refusal, Refusal::Private(_)))
        };
        let private = Reach { allow_private: true, allow_http: false };
        let http = Reach { allow_private: false, allow_http: true };
        for (url, public, with_private, with_http) in [
            ("https://api.example.com", Ok(()), Ok(()), Ok(())),
            ("http://api.example.com", Err(false), Err(false), Ok(())),
            ("https://10.0.0.1", Err(true), Ok(()), Err(true)),
            ("http://10.0.0.1", Err(true), Err(false), Err(true)),
            // Nobody is on the way to this machine.
            ("http://127.0.0.1:8080", Err(true), Ok(()), Err(true)),
            ("http://localhost:1", Err(true), Ok(()), Err(true)),
            ("https://shop.localhost", Err(true), Ok(()), Err(true)),
            // Other spellings of the same.
            ("https://2130706433/", Err(true), Ok(()), Err(true)),
            ("https://0x7f.1/", Err(true), Ok(()), Err(true)),
            ("https://0251.254.169.254/", Err(true), Ok(()), Err(true)),
            ("https://[::ffff:169.254.169.254]/", Err(true), Ok(()), Err(true)),
            ("https://LOCALHOST./", Err(true), Ok(()), Err(true)),
        ] {
            assert_eq!(judged(Reach::PUBLIC, url), public, "{url}");
            assert_eq!(judged(private, url), with_private, "{url}");
            assert_eq!(judged(http, url), with_http, "{url}");
            assert_eq!(judged(Reach::ANYWHERE, url), Ok(()), "{url}");
        }
    }

    #[test]
    fn of_what_a_name_stands_for_only_the_public_is_connected_to() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 443);
        let mixed = vec![at("127.0.0.1"), at("1.1.1.1")];
        assert_eq!(Reach::PUBLIC.only_permitted("x", mixed.clone()), Ok(vec![at("1.1.1.1")]));
        assert_eq!(Reach::ANYWHERE.only_permitted("x", mixed.clone()), Ok(mixed));
        assert_eq!(Reach::PUBLIC.only_permitted("x", vec![at("169.254.169.254")]), Err(Refusal::Private("x".to_owned())));
        assert_eq!(Reach::PUBLIC.only_permitted("x", vec![]), Ok(vec![]), "a name that stands for nothing is another trouble");
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_resolved() {
        let error = Reach::PUBLIC.resolve("localhost", 80).await.unwrap_err();
        assert!(matches!(refusal_in(error.as_ref()), Some(Refusal::Private(_))), "{error}");
        assert!(!Reach::ANYWHERE.resolve("localhost", 80).await.unwrap().is_empty());
    }
}
