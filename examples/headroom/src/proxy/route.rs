//! TCP to an upstream: straight, or through the proxy of an enterprise.

use std::{
    error::Error,
    fmt,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower::{BoxError, Service};

use crate::config::Config;

/// Connects within a time. What goes over https:// goes through the proxy, if there is one; what does
/// not is for this machine or for metadata of a cloud, and goes straight.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    tcp: HttpConnector,
    proxy: Option<Arc<Matcher>>,
}

impl Route {
    /// # Errors
    /// If the proxy speaks what is not spoken here.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let proxy = match &config.https_proxy {
            None => None,
            Some(url) => Some(Arc::new(matcher(url.reveal(), &config.no_proxy)?)),
        };
        Ok(Self { tcp, proxy })
    }
}

/// The errors repeat nothing of the URL: there may be a password in it.
fn matcher(url: &str, no: &str) -> Result<Matcher, String> {
    if let Some(network) = no.split(',').map(str::trim).find(|host| host.contains('/') && !is_network(host)) {
        return Err(format!("no_proxy (NO_PROXY): {network:?} is no network, as in 10.0.0.0/8"));
    }
    let matcher = Matcher::builder().https(url).no(no).build();
    // Nothing matches if the URL was not understood, nor where `no` is for all hosts.
    let understood = Matcher::builder().https(url).build();
    match understood.intercept(&Uri::from_static("https://upstream.invalid")) {
        Some(proxy) if proxy.uri().scheme_str() == Some("http") && proxy.raw_auth().is_none() => Ok(matcher),
        Some(_) => {
            Err("https_proxy (HTTPS_PROXY): only proxies at http:// are spoken to, with CONNECT".to_owned())
        }
        None => Err("https_proxy (HTTPS_PROXY) is not http://[user:password@]host:port".to_owned()),
    }
}

/// Whether it is an address with the length of its prefix.
fn is_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    length.parse::<u8>().is_ok_and(|length| length <= if address.is_ipv4() { 32 } else { 128 })
}

/// The proxy did not connect.
#[derive(Debug)]
struct ProxyError(String);

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy of HTTPS_PROXY does not connect: {}", self.0)
    }
}

impl Error for ProxyError {}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let secure = to.scheme() == Some(&http::uri::Scheme::HTTPS);
        let proxy = self.proxy.as_ref().filter(|_| secure).and_then(|proxy| proxy.intercept(&to));
        let Some(proxy) = proxy else {
            let connecting = self.tcp.call(to);
            return Box::pin(async move { Ok(connecting.await?) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let connecting = tunnel.call(to);
        Box::pin(
            async move { connecting.await.map_err(|error| ProxyError(super::forward::cause(&error)).into()) },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_http_proxy_is_refused_without_its_password() {
        for url in ["https://u:hush@h:1", "socks5://u:hush@h", "ftp://u:hush@h", "http://", "u:hush@ h"] {
            let why = matcher(url, "").unwrap_err();
            assert!(why.contains("HTTPS_PROXY") && !why.contains("hush"), "{url}: {why}");
        }
        for no in ["10.0.0.0/99", "a.example, 10.0.0/8", "fe80::/129", "http://x"] {
            assert!(matcher("http://h", no).unwrap_err().contains("NO_PROXY"), "{no}");
        }
        assert!(matcher("http://h", "fe80::/10, *").is_ok());
        let matcher = matcher("http://u:hush@h:3128", "a.example, 10.0.0.0/8").unwrap();
        let through = |to: &'static str| matcher.intercept(&Uri::from_static(to)).is_some();
        assert!(
            through("https://b.example") && !through("https://x.a.example") && !through("https://10.1.2.3")
        );
    }
}
