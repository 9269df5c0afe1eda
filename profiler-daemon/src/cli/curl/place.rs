//! Where a URL points: the host and port of it, by which the service is found.

use std::fmt;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name or an address, without brackets.
    pub host: String,
    /// The URL's port, or its scheme's.
    pub port: u16,
}

impl Place {
    /// Of an `http` or `https` URL; one without a scheme is `http`, as curl has it.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let (port, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (80, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (443, rest),
            Some((before, _)) if !before.contains(['/', '?', '#']) => return None,
            _ => (80, url),
        };
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        let (host, port) = match address.strip_prefix('[') {
            Some(bracketed) => {
                let (host, behind) = bracketed.split_once(']')?;
                (host, if behind.is_empty() { port } else { number(behind.strip_prefix(':')?, port)? })
            }
            None => match address.split_once(':') {
                Some((host, digits)) => (host, number(digits, port)?),
                None => (address, port),
            },
        };
        let whole = !host.is_empty() && !host.contains(|letter: char| letter.is_whitespace() || letter.is_control());
        whole.then(|| Self { host: host.to_owned(), port })
    }
}

/// A port; nothing behind the colon is the scheme's.
fn number(digits: &str, of_scheme: u16) -> Option<u16> {
    match digits {
        "" => Some(of_scheme),
        digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok().filter(|port| *port != 0),
        _ => None,
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_every_form_of_a_url() {
        for (url, place) in [
            ("http://localhost:8080/a", "localhost:8080"),
            ("HTTPS://shop.test", "shop.test:443"),
            ("localhost", "localhost:80"),
            ("localhost:8080?x=http://no:1/", "localhost:8080"),
            ("127.0.0.1:7/a:b@c", "127.0.0.1:7"),
            ("http://me:p@ss@host:9#x", "host:9"),
            ("http://[::1]:8080/", "[::1]:8080"),
            ("https://[fe80::1%25eth0]", "[fe80::1%25eth0]:443"),
            ("http://host:/", "host:80"),
        ] {
            assert_eq!(Place::of_url(url).map(|place| place.to_string()).as_deref(), Some(place), "{url}");
        }
    }

    #[test]
    fn of_nothing_else() {
        for url in [
            "",
            "/",
            "ftp://x/",
            "file:///etc/passwd",
            "http://",
            "http://:80",
            "http://a:b",
            "http://a:0",
            "http://a:65536",
            "http://a:+1",
            "http://[::1",
            "http://[::1]x",
            "http://a b",
        ] {
            assert_eq!(Place::of_url(url), None, "{url}");
        }
    }
}
