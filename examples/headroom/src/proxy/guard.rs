//! Who may ask, and what.

use std::{net::SocketAddr, sync::Arc};

use axum::{body::Body, extract::State, middleware::Next};
use http::{HeaderMap, Request, Response, StatusCode, header};

use super::{
    app::App,
    forward,
    wire::{Why, Wire},
};
use crate::config::{Secret, is_local};

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Asks for the token, and gives the proxy's own refusals the provider's form.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request<Body>, next: Next) -> Response<Body> {
    let path = request.uri().path();
    let wire = Wire::of(path, request.headers());
    if let Some(why) = refusal(&app, &request) {
        app.observer.refused(why);
        let message = match why {
            Why::Unauthorized => {
                "headroom: send the proxy's token, as x-headroom-token or as proxy-authorization: Bearer …"
            }
            _ => {
                "headroom: this is for programs on this machine: pages of other sites and other host names are refused."
            }
        };
        return wire.error(why, message);
    }
    let response = next.run(request).await;
    let own = response.extensions().get::<Why>().is_some()
        || response.extensions().get::<headroom_tower::Report>().is_some();
    // The layer that limits bodies answers in plain text.
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE && !own && is_plain(&response) {
        app.observer.refused(Why::TooLarge);
        return forward::too_large(wire);
    }
    response
}

fn is_plain(response: &Response<Body>) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"text/plain"))
}

fn refusal(app: &App, request: &Request<Body>) -> Option<Why> {
    let path = request.uri().path();
    // Whoever starts and stops proxies has no token.
    if matches!(path, "/healthz" | "/readyz") {
        return None;
    }
    // Browsers send no token with a page; its script asks for the figures with it.
    if app.token.is_some() && path == "/dashboard" {
        return None;
    }
    match &app.token {
        Some(token) => (!carries(token, request.headers())).then_some(Why::Unauthorized),
        None => (is_own(path) && !is_from_here(request)).then_some(Why::Forbidden),
    }
}

/// Paths that the proxy answers itself.
fn is_own(path: &str) -> bool {
    matches!(path, "/stats" | "/metrics" | "/dashboard" | "/v1/compress" | "/v1/retrieve")
}

/// Whether the request carries the proxy's token.
fn carries(token: &Secret, headers: &HeaderMap) -> bool {
    let bearer = headers.get(header::PROXY_AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
    });
    let named = headers.get("x-headroom-token").map(http::HeaderValue::as_bytes);
    [bearer, named].into_iter().flatten().any(|given| token.is(given))
}

/// Whether a program on this machine asks, and not a web page through a browser: by the address it
/// comes from, the name it asks for (a page can point a name of its own at 127.0.0.1) and the page
/// that sent it.
fn is_from_here(request: &Request<Body>) -> bool {
    let headers = request.headers();
    let near =
        request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok());
    let named = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let origin = match headers.get(header::ORIGIN).map(|origin| origin.to_str()) {
        None => true,
        Some(Ok(origin)) => {
            let host =
                origin.split_once("://").and_then(|(_, host)| host.parse::<http::uri::Authority>().ok());
            host.is_some() && host == named
        }
        Some(Err(_)) => false,
    };
    let site = headers.get("sec-fetch-site").is_none_or(|site| site != "cross-site" && site != "same-site");
    near && named.is_some_and(|named| is_local(named.host())) && origin && site
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut request = Request::builder().uri("/stats");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        is_from_here(&request)
    }

    #[test]
    fn programs_of_this_machine_and_no_pages() {
        let host = ("host", "127.0.0.1:8787");
        assert!(from("127.0.0.1:5", &[host]));
        assert!(from("[::1]:5", &[("host", "localhost:8787")]));
        assert!(from("[::ffff:127.0.0.1]:5", &[host]));
        assert!(from("127.0.0.1:5", &[host, ("origin", "http://127.0.0.1:8787")]));
        assert!(!from("10.0.0.9:5", &[host]), "another machine");
        assert!(!from("127.0.0.1:5", &[]), "no name");
        assert!(!from("127.0.0.1:5", &[("host", "evil.example")]), "a name pointed here");
        assert!(!from("127.0.0.1:5", &[host, ("origin", "http://127.0.0.1:3000")]), "another page");
        assert!(!from("127.0.0.1:5", &[host, ("origin", "null")]), "no page at all");
        assert!(!from("127.0.0.1:5", &[host, ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn the_token_is_taken_from_either_header() {
        let token: Secret = "hush".parse().unwrap();
        let carries = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            carries(&token, &headers)
        };
        assert!(carries("x-headroom-token", "hush"));
        assert!(
            carries("proxy-authorization", "Bearer hush") && carries("proxy-authorization", "bearer hush")
        );
        assert!(!carries("proxy-authorization", "hush") && !carries("x-headroom-token", "hus"));
        assert!(!carries("authorization", "Bearer hush"), "that one is the provider's");
    }
}
