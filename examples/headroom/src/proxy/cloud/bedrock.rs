//! Amazon Bedrock: the model in the path, the version in the body, answers in frames of its own.

use axum::body::Body;
use bytes::Bytes;
use headroom_engine::eventstream::{self, base64_encode};
use http::{HeaderName, HeaderValue, Response, header, request::Parts, response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Deserialize;

use super::{
    Asked, ERROR, Refused, bad, error,
    events::Events,
    members::{Members, quoted},
    read, segment, written,
};
use crate::{config::Models, proxy::wire::Why};

/// What Bedrock wants in every body of Anthropic's.
const VERSION: &str = "bedrock-2023-05-31";
/// Preview features, which are a header at Anthropic and a member at Bedrock.
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// The path and the body of a request for Messages, or for how many tokens one has.
pub(super) fn request(
    asked: Asked,
    models: &Models,
    head: &mut Parts,
    body: &[u8],
) -> Result<(String, Bytes), Refused> {
    let (members, name) = read(body)?;
    let Some(model) = id(models, &name) else {
        return Err(Refused(
            Why::NotFound,
            format!(
                "headroom: model {name:?} has no name at Bedrock. Say it with --models \
                 {name}=us.anthropic.… (HEADROOM_MODELS, or [models] in the file), or ask for Bedrock's own id"
            ),
        ));
    };
    let stream = match members.get("stream") {
        None | Some("false" | "null") => false,
        Some("true") => true,
        Some(_) => return Err(bad("stream: Input should be a valid boolean")),
    };
    let betas = betas(head, &members);
    let mut first = Vec::new();
    if members.get("anthropic_version").is_none() {
        first.push(("anthropic_version", quoted(VERSION)));
    }
    first.extend(betas.map(|betas| ("anthropic_beta", betas)));
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if asked == Asked::Count {
        // It counts the body of an invocation, which must be whole.
        if members.get("max_tokens").is_none() {
            first.push(("max_tokens", "1".to_owned()));
        }
        let whole = members.with(&first, &["model", "stream"]);
        let body = format!(r#"{{"input":{{"invokeModel":{{"body":"{}"}}}}}}"#, base64_encode(&whole));
        return Ok((format!("/model/{}/count-tokens", segment(of_no_region(&model))), body.into()));
    }
    let how = match stream {
        true => {
            head.headers.insert(header::ACCEPT, HeaderValue::from_static(eventstream::CONTENT_TYPE));
            "invoke-with-response-stream"
        }
        false => "invoke",
    };
    Ok((format!("/model/{}/{how}", segment(&model)), members.with(&first, &["model", "stream"])))
}

/// Bedrock's name for a model.
fn id(models: &Models, name: &str) -> Option<String> {
    let own = || name.starts_with("arn:") || name.starts_with("anthropic.") || name.contains(".anthropic.");
    models.of(name).or_else(|| own().then_some(name)).map(str::to_owned)
}

/// Tokens are counted by models, not by the profiles that spread them over regions.
fn of_no_region(model: &str) -> &str {
    match model.find(".anthropic.") {
        Some(at) if !model.starts_with("arn:") => &model[at + 1..],
        _ => model,
    }
}

/// The client's preview features as a JSON array, if it names some and the body does not.
fn betas(head: &mut Parts, members: &Members<'_>) -> Option<String> {
    let said: Vec<HeaderValue> = head.headers.get_all(&BETA).iter().cloned().collect();
    head.headers.remove(&BETA);
    if members.get("anthropic_beta").is_some() {
        return None;
    }
    let names = said.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let names: Vec<&str> = names.map(str::trim).filter(|name| !name.is_empty()).collect();
    (!names.is_empty()).then(|| serde_json::Value::from(names).to_string())
}

/// An answer that went well.
pub(super) async fn answer(asked: Asked, mut head: response::Parts, body: Incoming) -> Response<Body> {
    #[derive(Deserialize)]
    struct Counted {
        #[serde(rename = "inputTokens")]
        tokens: u64,
    }
    if asked == Asked::Count {
        let told = Limited::new(body, ERROR).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        return match serde_json::from_slice::<Counted>(&told) {
            Ok(counted) => written(head, format!(r#"{{"input_tokens":{}}}"#, counted.tokens).into()),
            Err(_) => {
                head.status = http::StatusCode::BAD_GATEWAY;
                written(head, error::json("api_error", "headroom: Bedrock's count could not be read").into())
            }
        };
    }
    let kind = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    // A gateway may have turned it already.
    if kind.is_some_and(|kind| kind.starts_with(eventstream::CONTENT_TYPE.as_bytes())) {
        head.headers.remove(header::CONTENT_LENGTH);
        let events = HeaderValue::from_static("text/event-stream; charset=utf-8");
        head.headers.insert(header::CONTENT_TYPE, events);
        return Response::from_parts(head, Body::new(Events::new(body)));
    }
    Response::from_parts(head, Body::new(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(asked: Asked, beta: &[&'static str], body: &str) -> Result<(String, String, Parts), Refused> {
        let models = "claude-sonnet-4-5=us.anthropic.claude-sonnet-4-5-20250929-v1:0".parse().unwrap();
        let mut head = http::Request::new(()).into_parts().0;
        for name in beta {
            head.headers.append(BETA, HeaderValue::from_static(name));
        }
        let (path, body) = request(asked, &models, &mut head, body.as_bytes())?;
        Ok((path, String::from_utf8(body.into()).unwrap(), head))
    }

    #[test]
    fn the_model_goes_into_the_path_and_the_version_into_the_body() {
        const PATH: &str = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0";
        let body = r#"{"model":"claude-sonnet-4-5-20250929","stream":true,"max_tokens": 1.0}"#;
        let (path, sent, head) = asks(Asked::Message, &["a, b", "c"], body).unwrap();
        assert_eq!(path, format!("{PATH}/invoke-with-response-stream"));
        let wanted =
            r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["a","b","c"],"max_tokens":1.0}"#;
        assert_eq!(sent, wanted);
        assert!(!head.headers.contains_key(BETA));
        assert_eq!(head.headers["accept"], eventstream::CONTENT_TYPE);

        let body =
            r#"{"model":"claude-sonnet-4-5","anthropic_version":"x","anthropic_beta":["d"],"stream":false}"#;
        let (path, sent, _) = asks(Asked::Message, &["a"], body).unwrap();
        assert_eq!(path, format!("{PATH}/invoke"));
        assert_eq!(sent, r#"{"anthropic_version":"x","anthropic_beta":["d"]}"#);

        let (path, sent, _) = asks(Asked::Count, &[], r#"{"model":"claude-sonnet-4-5"}"#).unwrap();
        assert_eq!(path, "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens");
        let inner = sent.split('"').nth(7).unwrap();
        let inner = String::from_utf8(eventstream::base64_decode(inner.as_bytes()).unwrap()).unwrap();
        assert_eq!(inner, r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":1}"#);
    }

    #[test]
    fn ids_pass_and_what_cannot_be_asked_is_said() {
        for (model, wanted) in [
            ("anthropic.claude-v1:0", "anthropic.claude-v1%3A0"),
            ("jp.anthropic.claude-v1:0", "jp.anthropic.claude-v1%3A0"),
            (
                "arn:aws:bedrock:r:1:inference-profile/x",
                "arn%3Aaws%3Abedrock%3Ar%3A1%3Ainference-profile%2Fx",
            ),
        ] {
            let (path, _, _) = asks(Asked::Message, &[], &format!(r#"{{"model":"{model}"}}"#)).unwrap();
            assert_eq!(path, format!("/model/{wanted}/invoke"));
        }
        for (body, why, word) in [
            (r#"{"model":"claude-x"}"#, Why::NotFound, "--models claude-x="),
            ("{}", Why::BadRequest, "model"),
            (r#"{"model":1}"#, Why::BadRequest, "model"),
            ("[]", Why::BadRequest, "JSON"),
            (r#"{"model":"claude-sonnet-4-5","stream":1}"#, Why::BadRequest, "stream"),
        ] {
            let Refused(said, message) = asks(Asked::Message, &[], body).unwrap_err();
            assert_eq!(said, why, "{body}");
            assert!(message.contains(word), "{message}");
        }
    }
}
