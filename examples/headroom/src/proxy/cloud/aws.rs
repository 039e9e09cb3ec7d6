//! Signature Version 4, with whatever credentials the AWS tools would use here, refreshed.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_config::{
    BehaviorVersion, Region, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider, error::CredentialsError},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{HeaderName, Request, header, request::Parts};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::Mutex;
use tower::BoxError;

use crate::{
    config::Config,
    proxy::client::{HttpClient as Client, Network},
};

/// Credentials are got anew when they hold for less than this …
const MARGIN: Duration = Duration::from_secs(60);
/// … and, where they do not say for how long, when they are this old, as the SDKs do it.
const UNDATED: Duration = Duration::from_secs(15 * 60);
/// How long getting them may take: a program may be asked, which asks a person.
const PATIENCE: Duration = Duration::from_secs(60);

/// The region of the environment or the profile. Nobody is asked over the network.
pub(super) async fn region() -> Option<String> {
    let first = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
    let region = first.or_else(ProfileFileRegionProvider::new()).region().await;
    region.map(|region| region.to_string())
}

/// Signs for a region.
pub(super) struct Signer {
    provider: SharedCredentialsProvider,
    region: String,
    held: Mutex<Option<Held>>,
}

struct Held {
    credentials: Credentials,
    /// When others are got.
    stale: SystemTime,
}

impl Signer {
    /// # Errors
    /// If there are no credentials.
    pub(super) async fn new(config: &Config, network: &Network) -> Result<Self, String> {
        let region = config.region.clone().ok_or("--backend bedrock wants --region (HEADROOM_REGION)")?;
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .http_client(Asks(network.client()));
        let provider = loader.load().await.credentials_provider();
        let provider = provider.ok_or("no AWS credentials can be had in this build")?;
        let signer = Self { provider, region, held: Mutex::default() };
        signer.credentials().await.map_err(|why| {
            format!(
                "--backend bedrock has no credentials of AWS: {why}. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, or give a bearer token (AWS_BEARER_TOKEN_BEDROCK)"
            )
        })?;
        Ok(signer)
    }

    /// Credentials that hold; one request gets them, the others wait.
    async fn credentials(&self) -> Result<Credentials, String> {
        let mut held = self.held.lock().await;
        let now = now();
        if let Some(held) = held.as_ref().filter(|held| now < held.stale) {
            return Ok(held.credentials.clone());
        }
        let got = tokio::time::timeout(PATIENCE, self.provider.provide_credentials()).await;
        let got = got.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(PATIENCE)));
        match (got, held.as_ref()) {
            (Ok(credentials), _) => {
                let stale = credentials.expiry().map_or(now + UNDATED, |end| end - MARGIN);
                *held = Some(Held { credentials: credentials.clone(), stale });
                Ok(credentials)
            }
            // Those at hand may do until others can be had.
            (Err(why), Some(old)) if old.credentials.expiry().is_none_or(|end| now < end) => {
                tracing::warn!(why = super::super::forward::cause(&why), "credentials were not refreshed");
                Ok(old.credentials.clone())
            }
            (Err(why), _) => Err(super::super::forward::cause(&why)),
        }
    }

    /// Signs a request that is final; an older signature is gone.
    pub(super) async fn sign(&self, head: &mut Parts, body: &Bytes) -> Result<(), String> {
        const OLD: [HeaderName; 4] = [
            header::AUTHORIZATION,
            HeaderName::from_static("x-amz-date"),
            HeaderName::from_static("x-amz-security-token"),
            HeaderName::from_static("x-amz-content-sha256"),
        ];
        for name in OLD {
            head.headers.remove(name);
        }
        let identity = self.credentials().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("bedrock")
            .time(now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|why| why.to_string())?;
        let uri = head.uri.to_string();
        // The rest is nobody's business on its way.
        let signed = |name: &HeaderName| name == header::CONTENT_TYPE || name.as_str().starts_with("x-amz");
        let headers = head.headers.iter().filter(|(name, _)| signed(name));
        let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let request =
            SignableRequest::new(head.method.as_str(), uri.as_str(), headers, SignableBody::Bytes(body));
        let signed =
            request.and_then(|request| sign(request, &params.into())).map_err(|why| why.to_string())?;
        let mut request = Request::new(());
        std::mem::swap(request.headers_mut(), &mut head.headers);
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        std::mem::swap(request.headers_mut(), &mut head.headers);
        Ok(())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "signatures and credentials hold for a time")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Our own client as that of the AWS crates: the same proxy, the same certificates.
#[derive(Clone, Debug)]
struct Asks(Client<Full<Bytes>>);

impl HttpClient for Asks {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let limits = [settings.connect_timeout(), settings.read_timeout()];
        // Where there is no metadata service, nobody waits for it for long.
        let limit = limits.into_iter().flatten().reduce(|one, other| one + other);
        SharedHttpConnector::new(Connector { client: self.0.clone(), limit: limit.unwrap_or(PATIENCE) })
    }
}

#[derive(Clone, Debug)]
struct Connector {
    client: Client<Full<Bytes>>,
    limit: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { client, limit } = self.clone();
        HttpConnectorFuture::new(async move {
            let exchange = async {
                let request = request.try_into_http1x().map_err(other)?;
                let bytes = request.body().bytes().map(Bytes::copy_from_slice).unwrap_or_default();
                let response = client.request(request.map(|_| Full::new(bytes))).await;
                let (head, body) = response.map_err(|why| ConnectorError::io(why.into()))?.into_parts();
                let body = body.collect().await.map_err(|why| ConnectorError::io(why.into()))?.to_bytes();
                HttpResponse::try_from(http::Response::from_parts(head, SdkBody::from(body))).map_err(other)
            };
            let late = |_| Err(ConnectorError::timeout("no answer in time".into()));
            tokio::time::timeout(limit, exchange).await.unwrap_or_else(late)
        })
    }
}

fn other(error: impl Into<BoxError>) -> ConnectorError {
    ConnectorError::other(error.into(), None)
}
