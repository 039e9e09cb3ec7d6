//! A gateway: clients of any language set their base URL to it, and need no other change.
//!
//!     cargo run -p example-axum-gateway
#![forbid(unsafe_code)]

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, Uri, Version, header, uri::PathAndQuery},
    response::{IntoResponse as _, Response},
};
use headroom_tests::{
    Dialect,
    client::{HttpClient, http, post, read},
    investigation::{self, Proof},
};
use headroom_tower::{
    BuildError, Ending, Headroom, HeadroomLayer, Hook, PipelineEvent, RequestBody, Scope, Stage,
};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use tower::{Layer as _, ServiceExt as _};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (proof, log) = run().await?;
    #[expect(clippy::print_stdout, reason = "what the example has to show")]
    {
        for line in log {
            println!("{line}");
        }
        println!("{proof}");
    }
    Ok(())
}

/// Where requests go, and what they pass on their way: the layer stands around the *client*, so
/// that follow-up calls do not pass the router's own layers once more.
#[derive(Clone)]
struct Upstream {
    base: Uri,
    client: Headroom<HttpClient<RequestBody<Body>>>,
}

/// A line in the gateway's log for each answer, when it has ended. Whoever writes it waits on the other
/// side of the channel: the hook runs on the request's task.
struct Log(UnboundedSender<String>);

impl Hook for Log {
    fn on_pipeline_event(&self, event: &PipelineEvent<'_>) {
        let (Stage::ResponseReceived, Some(rewrite)) = (event.stage(), event.rewrite()) else { return };
        let _ = self.0.send(format!(
            "request {}: {} of {} tokens of tool results saved, {} calls, {}",
            event.request().unwrap_or_default(),
            rewrite.tokens_saved(),
            rewrite.tokens_in(),
            event.round(),
            event.ending().map_or("", Ending::name),
        ));
    }
}

fn gateway(base: Uri, log: Log) -> Result<Router, BuildError> {
    // A gateway serves many: what is hidden for one must not be found by another.
    let layer = HeadroomLayer::builder().tenant(|head| tenant(&head.headers)).hook(log).build()?;
    Ok(Router::new().fallback(forward).with_state(Upstream { base, client: layer.layer(http()) }))
}

/// Who redeems what: here, whom the gateway's own authentication has named.
fn tenant(headers: &HeaderMap) -> Scope {
    headers.get("x-team").map_or_else(Scope::shared, |team| Scope::of(team.as_bytes()))
}

async fn forward(State(upstream): State<Upstream>, mut request: Request) -> Response {
    let path = request.uri().path_and_query().cloned();
    let Some(uri) = at(&upstream.base, path) else { return StatusCode::BAD_REQUEST.into_response() };
    *request.uri_mut() = uri;
    // What belongs to the client's connection stays on it.
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().remove(header::HOST);
    strip(request.headers_mut());
    match upstream.client.oneshot(request).await {
        Ok(mut response) => {
            strip(response.headers_mut());
            response.map(Body::new)
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn at(base: &Uri, path: Option<PathAndQuery>) -> Option<Uri> {
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(path?);
    Uri::from_parts(parts).ok()
}

/// Hop-by-hop headers: RFC 9110, section 7.6.1.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [
        header::CONNECTION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    for name in named.into_iter().chain(always) {
        headers.remove(name);
    }
}

async fn run() -> Result<(Proof, Vec<String>), BoxError> {
    let provider = investigation::provider().await;
    let (log, mut lines) = unbounded_channel();
    let app = gateway(provider.url().parse()?, Log(log))?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    // A client that knows nothing of the layer; a stream of one dialect, JSON of the other.
    let client: HttpClient = http();
    let (mut answers, mut log) = (Vec::new(), Vec::new());
    for (dialect, stream) in [(Dialect::OpenAi, true), (Dialect::Anthropic, false)] {
        let mut request = post(&format!("{url}{}", dialect.path()), investigation::request(dialect, stream));
        request.headers_mut().insert("x-team", "search".parse()?);
        let answer = read(dialect, client.request(request).await?).await?;
        answers.push(answer.text());
        log.extend(lines.recv().await);
    }
    server.abort();
    let proof = investigation::proof(&provider, &answers[0])?;
    investigation::proof(&provider, &answers[1])?;
    Ok((proof, log))
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn both_dialects_through_one_gateway() {
        let (proof, log) = super::run().await.unwrap();
        assert_eq!((proof.requests, log.len()), (4, 2));
        assert!(log.iter().all(|line| line.contains("2 calls, whole")), "{log:?}");
    }
}
