//! Where an upstream is: a base URL, to which request paths are added.

use std::{fmt, str::FromStr};

use http::{Uri, uri::PathAndQuery, uri::Scheme};

/// `https://host[:port][/path]`: no credentials, no query.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Base {
    scheme: Scheme,
    authority: http::uri::Authority,
    /// Without a slash at its end; may be empty.
    path: String,
}

impl Base {
    /// Where a request for `asked` goes.
    ///
    /// A base that ends with a version (`/v1`) takes the place of the version in the path, so that
    /// both spellings of a base URL work.
    pub(crate) fn join(&self, asked: &PathAndQuery) -> Option<Uri> {
        let text = asked.as_str();
        let rest = match self.path.rsplit('/').next().is_some_and(is_version) {
            true => without_version(text),
            false => text,
        };
        let slash = if rest.starts_with('/') { "" } else { "/" };
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        uri.path_and_query(format!("{}{slash}{rest}", self.path)).build().ok()
    }

    /// Whether nothing stands behind the host.
    pub(crate) fn is_bare(&self) -> bool {
        self.path.is_empty()
    }

    /// Whether it is reached without TLS on another machine: credentials would travel in the open.
    pub(crate) fn is_exposed(&self) -> bool {
        self.scheme == Scheme::HTTP && !is_local(self.authority.host())
    }
}

/// Whether `host` names this machine.
pub(crate) fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_version(segment: &str) -> bool {
    let mut letters = segment.bytes();
    letters.next() == Some(b'v') && letters.next().is_some_and(|letter| letter.is_ascii_digit())
}

fn without_version(path: &str) -> &str {
    let Some(inner) = path.strip_prefix('/') else { return path };
    match inner.split_once('/') {
        Some((first, _)) if is_version(first) => &path[1 + first.len()..],
        _ => path,
    }
}

impl FromStr for Base {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "not a URL: https://host[:port][/path]".to_owned())?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err("a URL starts with https:// or http:// and names a host".to_owned());
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err("only https:// and http:// are spoken".to_owned());
        }
        if authority.as_str().contains('@') {
            return Err("credentials do not belong into this URL: they are sent in headers".to_owned());
        }
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err("a base URL has no query: leave out what stands behind `?`".to_owned());
        }
        Ok(Self { scheme, authority, path: path.path().trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<'de> serde::Deserialize<'de> for Base {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &str, path: &'static str) -> String {
        let base: Base = base.parse().unwrap();
        base.join(&PathAndQuery::from_static(path)).unwrap().to_string()
    }

    #[test]
    fn paths_are_added_and_versions_stand_once() {
        for (base, path, whole) in [
            ("https://a.example", "/v1/messages?beta=true", "https://a.example/v1/messages?beta=true"),
            ("https://a.example/", "/v1/messages", "https://a.example/v1/messages"),
            ("https://a.example/v1", "/v1/responses", "https://a.example/v1/responses"),
            ("https://a.example/v1", "/responses", "https://a.example/v1/responses"),
            (
                "https://a.example/api/v4/",
                "/v1/chat/completions",
                "https://a.example/api/v4/chat/completions",
            ),
            ("http://a.example:1/api", "/v1/x", "http://a.example:1/api/v1/x"),
            ("https://a.example/v1", "/v1", "https://a.example/v1/v1"),
        ] {
            assert_eq!(joined(base, path), whole);
        }
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for bad in
            ["", "a.example", "ftp://a.example", "https://u:p@a.example", "https://a.example/?k=1", "/x"]
        {
            assert!(bad.parse::<Base>().is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        let exposed = |text: &str| text.parse::<Base>().unwrap().is_exposed();
        assert!(exposed("http://10.0.0.1") && exposed("http://a.example:80"));
        for local in ["http://localhost:1", "http://127.0.0.2", "http://[::1]:9", "https://a.example"] {
            assert!(!exposed(local), "{local}");
        }
    }
}
