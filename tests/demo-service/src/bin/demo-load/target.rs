//! Where the load goes: this machine, and no other.

use std::net::SocketAddr;
use std::str::FromStr;

/// The address behind `http://HOST:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target(pub(crate) SocketAddr);

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let authority = url.strip_prefix("http://").ok_or("a URL here begins with http://")?.trim_end_matches('/');
        let address: SocketAddr = match authority.strip_prefix("localhost:") {
            Some(port) => SocketAddr::from(([127, 0, 0, 1], port.parse().map_err(|_| "not a port")?)),
            None => authority.parse().map_err(|_| "a URL here is http://ADDRESS:PORT")?,
        };
        // A load generator that can be pointed anywhere is a weapon.
        if address.ip().is_loopback() { Ok(Self(address)) } else { Err("only loopback addresses are loaded") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_only() {
        for good in ["http://127.0.0.1:80", "http://127.0.0.1:80/", "http://localhost:80", "http://[::1]:80"] {
            assert!(good.parse::<Target>().is_ok(), "{good}");
        }
        for bad in ["127.0.0.1:80", "https://127.0.0.1:80", "http://127.0.0.1", "http://10.0.0.1:80", "http://example.com:80"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
