//! The layer as the HTTP client of the AWS SDK.
//!
//! The SDK signs above its connector, so the layer sees signed requests: what it rewrites is signed
//! anew, and so is every follow-up, with the credentials that are valid when the request is made.

use std::{
    fmt,
    task::{Context, Poll},
    time::SystemTime,
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider},
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
use headroom_tower::{BuildError, Headroom, HeadroomBuilder, HeadroomLayer, RequestBody};
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect},
    rt::TokioExecutor,
};
use tower::{BoxError, Layer as _, Service, ServiceExt as _};

/// An HTTP client for the SDK's configuration.
#[derive(Clone, Debug)]
pub(crate) struct HeadroomClient {
    service: Headroom<Wire>,
    credentials: SharedCredentialsProvider,
}

impl HeadroomClient {
    /// A client with the layer of `builder`, which signs for this region.
    pub(crate) fn new(
        builder: HeadroomBuilder,
        credentials: SharedCredentialsProvider,
        region: &'static str,
    ) -> Result<Self, BuildError> {
        let layer: HeadroomLayer = builder.resign(move |head, body| resign(head, body, region)).build()?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { service: layer.layer(Wire(client)), credentials })
    }
}

impl HttpClient for HeadroomClient {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for HeadroomClient {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { service, credentials } = self.clone();
        HttpConnectorFuture::new(async move {
            let mut request = request.try_into_http1x().map_err(other)?;
            // Follow-ups share the head, and with it what they are signed with.
            request.extensions_mut().insert(credentials.provide_credentials().await.map_err(other)?);
            let response = service.oneshot(request).await?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x)).map_err(other)
        })
    }
}

/// Signs a final request with the credentials among its extensions. What cannot be signed stays as it
/// is, and is refused.
#[expect(clippy::disallowed_methods, reason = "a signature holds for some minutes")]
fn resign(head: &mut Parts, body: &Bytes, region: &str) {
    let Some(credentials) = head.extensions.get::<Credentials>().cloned() else { return };
    for name in ["authorization", "x-amz-date", "x-amz-security-token"] {
        head.headers.remove(name);
    }
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("bedrock")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build();
    let Ok(params) = params else { return };
    let headers = head.headers.clone();
    let headers = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let uri = head.uri.to_string();
    let signable =
        SignableRequest::new(head.method.as_str(), uri.as_str(), headers, SignableBody::Bytes(body));
    let Ok(signed) = signable.and_then(|signable| sign(signable, &params.into())) else { return };
    let mut request = Request::from_parts(head.clone(), ());
    signed.into_parts().0.apply_to_request_http1x(&mut request);
    *head = request.into_parts().0;
}

/// The client below everything.
#[derive(Clone)]
struct Wire(Client<connect::HttpConnector, Full<Bytes>>);

impl Service<Request<RequestBody<SdkBody>>> for Wire {
    type Response = Response<hyper::body::Incoming>;
    type Error = ConnectorError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, ConnectorError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectorError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<SdkBody>>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(other)?.to_bytes();
            client.request(Request::from_parts(head, Full::new(body))).await.map_err(other)
        })
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

fn other(error: impl Into<BoxError>) -> ConnectorError {
    ConnectorError::other(error.into(), None)
}
