//! The clients that ask upstreams.

use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

/// Speaks HTTP/1.1 or, where TLS agrees on it, HTTP/2.
pub(crate) type HttpClient<B> = Client<HttpsConnector<HttpConnector>, B>;

/// Connections to one host that are kept when idle.
const IDLE: usize = 64;

/// Connects within `wait`; nothing else has a time limit, answers of models may take long.
pub(crate) fn client<B>(wait: Duration) -> HttpClient<B>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let tls = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_all_versions();
    over(tls.wrap_connector(tcp(wait)))
}

/// The same, HTTP/1.1 only: what becomes a socket.
pub(crate) fn socket_client<B>(wait: Duration) -> HttpClient<B>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let tls = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1();
    over(tls.wrap_connector(tcp(wait)))
}

fn tcp(wait: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(wait));
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    tcp
}

fn over<B>(connector: HttpsConnector<HttpConnector>) -> HttpClient<B>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_max_idle_per_host(IDLE)
        // A connection that has died is noticed while a model thinks.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .build(connector)
}
