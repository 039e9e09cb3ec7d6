//! The clients that ask upstreams.

use std::{path::Path, sync::Arc, time::Duration};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::route::Route;
use crate::config::Config;

/// Speaks HTTP/1.1 or, where TLS agrees on it, HTTP/2.
pub(crate) type HttpClient<B> = Client<HttpsConnector<Route>, B>;

/// Connections to one host that are kept when idle.
const IDLE: usize = 64;

/// How upstreams are reached: through which proxy, and whose certificates are believed.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    route: Route,
    tls: ClientConfig,
}

impl Network {
    /// # Errors
    /// If the proxy or the file of certificates cannot be used.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        Ok(Self { route: Route::new(config)?, tls: tls(config.ca.as_deref())? })
    }

    /// A client whose only limit of time is on connecting: answers of models may take long.
    pub(crate) fn client<B>(&self) -> HttpClient<B>
    where
        B: http_body::Body + Send,
        B::Data: Send,
    {
        let tls = HttpsConnectorBuilder::new().with_tls_config(self.tls.clone());
        over(tls.https_or_http().enable_all_versions().wrap_connector(self.route.clone()))
    }

    /// The same, HTTP/1.1 only: what becomes a socket.
    pub(crate) fn socket_client<B>(&self) -> HttpClient<B>
    where
        B: http_body::Body + Send,
        B::Data: Send,
    {
        let tls = HttpsConnectorBuilder::new().with_tls_config(self.tls.clone());
        over(tls.https_or_http().enable_http1().wrap_connector(self.route.clone()))
    }
}

/// The roots of Mozilla's programme, and those of a file.
fn tls(file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = file {
        let failed = |why: &dyn std::fmt::Display| format!("--ca (HEADROOM_CA) {}: {why}", file.display());
        let mut found = false;
        for certificate in CertificateDer::pem_file_iter(file).map_err(|why| failed(&why))? {
            let certificate = certificate.map_err(|why| failed(&why))?;
            roots.add(certificate).map_err(|why| failed(&why))?;
            found = true;
        }
        if !found {
            return Err(failed(&"holds no certificate (PEM)"));
        }
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions();
    let tls = tls.map_err(|why| format!("TLS cannot be set up: {why}"))?;
    Ok(tls.with_root_certificates(roots).with_no_client_auth())
}

fn over<B>(connector: HttpsConnector<Route>) -> HttpClient<B>
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
