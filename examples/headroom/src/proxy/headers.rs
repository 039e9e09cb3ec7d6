//! Headers that are for one connection only, and those that are ours.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Meant for the next hop, whatever `connection` says (RFC 9110, 7.6.1).
const HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TRAILER,
];

/// What headers to this proxy begin with; none goes on.
const OURS: &str = "x-headroom-";

/// Leaves in `headers` what is meant for the upstream.
pub(crate) fn to_upstream(headers: &mut HeaderMap) {
    end_to_end(headers);
    // The client's connection is told to continue by us.
    headers.remove(header::EXPECT);
    // The upstream's name is set from its URL.
    headers.remove(header::HOST);
    let ours: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(OURS)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

/// Leaves in `headers` what is not for one connection only.
pub(crate) fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP) {
        headers.remove(name);
    }
    // Of transfer codings only trailers are passed on.
    let trailers = headers.get_all(header::TE).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|it| it.trim().eq_ignore_ascii_case("trailers")))
    });
    headers.remove(header::TE);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Whether the client asks for another protocol on this connection.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = headers.get_all(header::CONNECTION).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|it| it.trim().eq_ignore_ascii_case("upgrade")))
    });
    headers.get(header::UPGRADE).filter(|_| asked).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_for_one_connection_stays_there() {
        let mut all = headers(&[
            ("host", "127.0.0.1:8787"),
            ("connection", "close, X-Hop"),
            ("connection", "te"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Bearer hush"),
            ("expect", "100-continue"),
            ("x-headroom-token", "hush"),
            ("authorization", "Bearer key"),
            ("x-api-key", "key"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
        ]);
        to_upstream(&mut all);
        let left: Vec<&str> = all.keys().map(HeaderName::as_str).collect();
        assert_eq!(left.len(), 3, "{left:?}");
        assert_eq!(all.get_all("anthropic-beta").iter().count(), 2);
        assert!(all.contains_key("authorization") && all.contains_key("x-api-key"));
    }

    #[test]
    fn trailers_are_passed_on_unless_meant_for_one_connection() {
        let mut all = headers(&[("te", "deflate;q=0.5, Trailers")]);
        end_to_end(&mut all);
        assert_eq!(all["te"], "trailers");
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        assert!(upgrade(&headers(&[("upgrade", "websocket")])).is_none());
        let both = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(upgrade(&both).unwrap(), "websocket");
    }
}
