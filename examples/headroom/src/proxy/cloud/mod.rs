//! Clouds that have Anthropic's models under paths of their own: Amazon Bedrock and Google's Vertex AI.
//!
//! It stands below the layer, which sees Anthropic Messages in both directions: requests are put under
//! the cloud's paths and signed as they finally are, answers are turned back.

#[cfg(feature = "bedrock")]
mod aws;
mod bedrock;
mod error;
mod events;
mod google;
mod members;
mod vertex;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header, request::Parts, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::{client::Network, wire::Why};
use crate::config::{Backend, Config, Models, Secret};

/// The longest error that is read.
const ERROR: usize = 1 << 20;

/// A cloud, and what it is asked with.
#[derive(Debug)]
pub(crate) struct Cloud {
    kind: Kind,
    models: Models,
    access: Access,
}

#[derive(Debug)]
enum Kind {
    Bedrock,
    /// Where Messages go; without it only Vertex' own paths are served.
    Vertex(Option<vertex::Place>),
}

/// Who the cloud takes us for.
#[derive(Debug)]
enum Access {
    /// Whoever asks, with credentials of their own.
    Client,
    Token(Secret),
    #[cfg(feature = "bedrock")]
    Aws(Box<aws::Signer>),
    Google(Box<google::Tokens>),
}

/// What a request is to a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Anthropic's `/v1/messages`.
    Message,
    /// Anthropic's `/v1/messages/count_tokens`.
    Count,
    /// A path of the cloud's own, asked for with our credentials.
    Own,
    /// What the cloud does not have.
    Nothing,
}

/// Why a request is not passed on.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Why, pub(crate) String);

/// What was not said elsewhere: the region of the AWS profile.
pub(crate) async fn complete(config: &mut Config) {
    #[cfg(feature = "bedrock")]
    if config.region.is_none() && config.backend == Some(Backend::Bedrock) {
        config.region = aws::region().await;
    }
    #[cfg(not(feature = "bedrock"))]
    let _ = config;
}

impl Cloud {
    /// The cloud that the configuration names, asked for credentials once; `None` if it names none.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) async fn open(config: &Config, network: &Network) -> Result<Option<Self>, String> {
        let kind = match config.backend {
            Some(Backend::Bedrock) => Kind::Bedrock,
            Some(Backend::Vertex) => Kind::Vertex(vertex::Place::of(config)?),
            _ => return Ok(None),
        };
        let access = match (&kind, &config.backend_token) {
            (Kind::Vertex(None), None) => Access::Client,
            (Kind::Vertex(None), Some(_)) => {
                return Err(
                    "backend_token at --backend vertex is for Messages clients, which want --project \
                            (HEADROOM_PROJECT)"
                        .to_owned(),
                );
            }
            (_, Some(token)) => {
                HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
                    .map_err(|_| "backend_token is no token: it does not fit into a header".to_owned())?;
                Access::Token(token.clone())
            }
            #[cfg(feature = "bedrock")]
            (Kind::Bedrock, None) => Access::Aws(Box::new(aws::Signer::new(config, network).await?)),
            (Kind::Vertex(_), None) => Access::Google(Box::new(google::Tokens::new(network).await?)),
            #[cfg(not(feature = "bedrock"))]
            (Kind::Bedrock, None) => {
                return Err("this build knows no credentials of AWS: set --backend-token \
                            (HEADROOM_BACKEND_TOKEN), or build with the feature bedrock"
                    .to_owned());
            }
        };
        Ok(Some(Self { kind, models: config.models.clone(), access }))
    }

    /// What such a request is; `None` if it is passed on as everywhere.
    pub(crate) fn asked(&self, method: &Method, path: &str) -> Option<Asked> {
        match (method, path, &self.kind) {
            (&Method::POST, "/v1/messages", _) => Some(Asked::Message),
            (&Method::POST, "/v1/messages/count_tokens", _) => Some(Asked::Count),
            (_, _, Kind::Vertex(_)) => None,
            (_, _, Kind::Bedrock) if path.starts_with("/model/") => Some(Asked::Own),
            (_, _, Kind::Bedrock) => Some(Asked::Nothing),
        }
    }

    /// The request as the cloud takes it, but for its signature: the path, and the body.
    pub(crate) fn translate(
        &self,
        asked: Asked,
        head: &mut Parts,
        body: Bytes,
    ) -> Result<(PathAndQuery, Bytes), Refused> {
        let (path, body) = match (asked, &self.kind) {
            (Asked::Own, _) => {
                let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
                (path.to_owned(), body)
            }
            (Asked::Nothing, _) => {
                let served = "headroom: --backend bedrock serves Anthropic Messages (/v1/messages) and \
                              Bedrock's own paths (/model/…), no others";
                return Err(Refused(Why::NotFound, served.to_owned()));
            }
            (_, Kind::Bedrock) => bedrock::request(asked, &self.models, head, &body)?,
            (_, Kind::Vertex(Some(place))) => vertex::request(asked, &self.models, place, &body)?,
            (_, Kind::Vertex(None)) => {
                let wanted = "headroom: --backend vertex serves Anthropic Messages if it is told the project: \
                              --project (HEADROOM_PROJECT)";
                return Err(Refused(Why::BadRequest, wanted.to_owned()));
            }
        };
        strip(&mut head.headers);
        let path = path.parse().map_err(|_| bad("the model's name makes no path"))?;
        Ok((path, body))
    }

    /// Puts our credentials on a request that is final.
    pub(crate) async fn authorize(&self, head: &mut Parts, body: &Bytes) -> Result<(), Refused> {
        let token = match &self.access {
            Access::Client => return Ok(()),
            Access::Token(token) => token.reveal().to_owned(),
            #[cfg(feature = "bedrock")]
            Access::Aws(signer) => return signer.sign(head, body).await.map_err(|why| no_credentials(&why)),
            Access::Google(tokens) => tokens.token().await.map_err(|why| no_credentials(&why))?,
        };
        let _ = body;
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| no_credentials("the token does not fit into a header"))?;
        value.set_sensitive(true);
        head.headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    /// The answer as Anthropic's clients read it.
    pub(crate) async fn answer(&self, asked: Asked, response: Response<Incoming>) -> Response<Body> {
        if asked == Asked::Own {
            return response.map(Body::new);
        }
        let (mut head, body) = response.into_parts();
        if let Some(id) = head.headers.get("x-amzn-requestid").cloned() {
            head.headers.entry("request-id").or_insert(id);
        }
        if head.status.is_success() {
            return match self.kind {
                Kind::Bedrock => bedrock::answer(asked, head, body).await,
                Kind::Vertex(_) => Response::from_parts(head, Body::new(body)),
            };
        }
        // Errors are short; what is not, or breaks off, is told by its status.
        let told = Limited::new(body, ERROR).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let name = head.headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
        match error::body(head.status.as_u16(), name, &told) {
            Some(json) => written(head, json.into()),
            None => written(head, told),
        }
    }
}

/// An answer with this JSON.
fn written(mut head: http::response::Parts, json: Bytes) -> Response<Body> {
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(head, Body::from(json))
}

/// Takes away what is between the client and Anthropic: credentials, and what its SDK says of itself.
fn strip(headers: &mut HeaderMap) {
    const THEIRS: [HeaderName; 6] = [
        header::AUTHORIZATION,
        header::COOKIE,
        header::CONTENT_LENGTH,
        HeaderName::from_static("x-api-key"),
        HeaderName::from_static("anthropic-version"),
        HeaderName::from_static("anthropic-dangerous-direct-browser-access"),
    ];
    for name in THEIRS {
        headers.remove(name);
    }
    let said = |name: &&HeaderName| name.as_str().starts_with("x-stainless-");
    let said: Vec<HeaderName> = headers.keys().filter(said).cloned().collect();
    for name in said {
        headers.remove(name);
    }
}

/// A segment of a path: all but letters, digits and `-._~@` is escaped, a slash too.
fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The members of a request for Messages, and the model it names.
fn read(body: &[u8]) -> Result<(members::Members<'_>, String), Refused> {
    let members = members::Members::of(body).ok_or_else(|| bad("the body is no JSON object"))?;
    let model = members.text("model").ok_or_else(|| bad("model: Field required"))?;
    Ok((members, model))
}

fn bad(what: &str) -> Refused {
    Refused(Why::BadRequest, format!("headroom: {what}"))
}

fn no_credentials(why: &str) -> Refused {
    tracing::warn!(why, "no credentials");
    Refused(Why::Unreachable, format!("headroom has no valid credentials for this backend: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_one() {
        assert_eq!(segment("us.anthropic.claude-v1:0"), "us.anthropic.claude-v1%3A0");
        assert_eq!(segment("arn:aws:x/y é"), "arn%3Aaws%3Ax%2Fy%20%C3%A9");
        assert_eq!(segment("claude-sonnet-4-5@20250929"), "claude-sonnet-4-5@20250929");
    }
}
