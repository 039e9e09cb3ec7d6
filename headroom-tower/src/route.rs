//! Which requests are ours: one table of the providers' paths, which users extend.

use std::borrow::Cow;

use headroom_engine::Dialect;
use http::Method;

use crate::request::{is_bytes, is_json};

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A model answers.
    Answer,
    /// Tokens are counted: the body is rewritten alike, nothing is answered.
    Count,
    /// Requests whose answers are fetched later: each is rewritten exactly.
    Batch,
}

/// A path of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) dialect: Dialect,
    pub(crate) purpose: Purpose,
    /// The model that the path names, where the body does not.
    pub(crate) model: Option<String>,
}

/// A row of the table: a path that holds `within` and ends with `suffix`.
struct Known {
    within: &'static str,
    suffix: &'static str,
    dialect: Dialect,
    purpose: Purpose,
}

const fn known(within: &'static str, suffix: &'static str, dialect: Dialect, purpose: Purpose) -> Known {
    Known { within, suffix, dialect, purpose }
}

const VERTEX: &str = "/publishers/anthropic/models/";

/// Paths that need no configuration; the first that fits is taken. Batches that are files, stored
/// answers and compaction are absent: they pass untouched.
#[rustfmt::skip]
const KNOWN: [Known; 12] = {
    use Dialect::{AnthropicMessages, Gemini, OpenAiChat, OpenAiResponses};
    use Purpose::{Answer, Batch, Count};
    [
        // Anthropic, and Foundry's `/anthropic/v1/messages`.
        known("", "/v1/messages", AnthropicMessages, Answer),
        known("", "/v1/messages/count_tokens", AnthropicMessages, Count),
        known("", "/v1/messages/batches", AnthropicMessages, Batch),
        // Vertex, with Anthropic's bodies.
        known(VERTEX, "/count-tokens:rawPredict", AnthropicMessages, Count),
        known(VERTEX, ":rawPredict", AnthropicMessages, Answer),
        known(VERTEX, ":streamRawPredict", AnthropicMessages, Answer),
        // OpenAI, Azure's `/openai/v1/…` and `/openai/deployments/{name}/…`, OpenRouter's
        // `/api/v1/…`, and every compatible server.
        known("", "/chat/completions", OpenAiChat, Answer),
        known("", "/responses", OpenAiResponses, Answer),
        known("", "/responses/input_tokens", OpenAiResponses, Count),
        // Google and Vertex.
        known("", ":generateContent", Gemini, Answer),
        known("", ":streamGenerateContent", Gemini, Answer),
        known("", ":countTokens", Gemini, Count),
    ]
};

/// Amazon Bedrock's: InvokeModel, whose bodies are the model's own, and Converse. Of the former only
/// Anthropic's are ours, which a field tells: see [`foreign`].
#[cfg(feature = "bedrock")]
#[rustfmt::skip]
const BEDROCK: [Known; 5] = {
    use Dialect::{AnthropicMessages, BedrockConverse};
    use Purpose::{Answer, Count};
    [
        known(MODEL, "/invoke", AnthropicMessages, Answer),
        known(MODEL, "/invoke-with-response-stream", AnthropicMessages, Answer),
        known(MODEL, "/converse", BedrockConverse, Answer),
        known(MODEL, "/converse-stream", BedrockConverse, Answer),
        known(MODEL, "/count-tokens", BedrockConverse, Count),
    ]
};
#[cfg(not(feature = "bedrock"))]
const BEDROCK: [Known; 0] = [];

const MODEL: &str = "/model/";

/// Whether the body of a request to `path` is that of another vendor's model.
pub(crate) fn foreign(path: &str, body: &[u8]) -> bool {
    invokes(path) && !body.windows(VERSION.len()).any(|window| window == VERSION)
}

/// A field that Bedrock asks for in all bodies of Anthropic's.
const VERSION: &[u8] = b"\"anthropic_version\"";

fn invokes(path: &str) -> bool {
    cfg!(feature = "bedrock")
        && path.contains(MODEL)
        && (path.ends_with("/invoke") || path.ends_with("/invoke-with-response-stream"))
}

/// The target of `path`: the configured suffixes first, then the known ones.
pub(crate) fn target(path: &str, configured: &[(String, Dialect)]) -> Option<Target> {
    let configured = configured
        .iter()
        .filter(|(suffix, _)| path.ends_with(suffix.as_str()))
        .map(|(_, dialect)| (*dialect, Purpose::Answer));
    let known = KNOWN
        .iter()
        .chain(&BEDROCK)
        .filter(|row| path.ends_with(row.suffix) && path.contains(row.within))
        .map(|row| (row.dialect, row.purpose));
    let (dialect, purpose) = configured.chain(known).next()?;
    Some(Target { dialect, purpose, model: model(path) })
}

/// The model in `…/models/{model}:{method}`, or in Bedrock's `/model/{model}/{method}`.
fn model(path: &str) -> Option<String> {
    if let Some((_, rest)) = path.split_once(MODEL).filter(|_| cfg!(feature = "bedrock")) {
        return rest.rsplit_once('/').map(|(model, _)| decoded(model));
    }
    let (_, last) = path.rsplit_once("/models/")?;
    let (model, _) = last.rsplit_once(':')?;
    let model = match model.contains('%') {
        true => Cow::Owned(model.replace("%40", "@").replace("%3A", ":")),
        false => Cow::Borrowed(model),
    };
    // What only counts has a method for a model, and names the model in its body.
    (model != "count-tokens" && !model.contains('/')).then(|| model.into_owned())
}

/// Percent-encoding undone.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        let digits =
            behind.get(..2).filter(|digits| *byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let coded = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(coded.unwrap_or(*byte));
        rest = if coded.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether an answer from `path` that is JSON comes as a stream: one array, element by element.
pub(crate) fn streams_elements(path: &str) -> bool {
    path.ends_with(":streamGenerateContent")
}

/// What is done with an answer that the provider stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredPurpose {
    /// It is read, or stopped.
    Answer,
    /// What it answers is listed.
    Items,
    Delete,
}

/// A request about an answer that the provider stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredTarget {
    pub(crate) purpose: StoredPurpose,
    pub(crate) id: String,
    /// What stands before the id in the path, and behind it.
    pub(crate) around: (String, String),
}

impl StoredTarget {
    /// The path of the same request about another answer.
    pub(crate) fn path(&self, id: &str) -> String {
        format!("{}{id}{}", self.around.0, self.around.1)
    }
}

/// The stored answer that a request is about: OpenAI's, by its id in the path.
pub(crate) fn stored<B>(
    request: &http::Request<B>,
    configured: &[(String, Dialect)],
) -> Option<StoredTarget> {
    let (method, path) = (request.method(), request.uri().path());
    let (rest, behind) = ["/input_items", "/cancel"]
        .into_iter()
        .find_map(|suffix| Some((path.strip_suffix(suffix)?, suffix)))
        .unwrap_or((path, ""));
    let purpose = match (method, behind) {
        (&Method::GET, "") | (&Method::POST, "/cancel") => StoredPurpose::Answer,
        (&Method::GET, "/input_items") => StoredPurpose::Items,
        (&Method::DELETE, "") => StoredPurpose::Delete,
        _ => return None,
    };
    let (before, id) = rest.rsplit_once('/').filter(|(_, id)| !id.is_empty())?;
    let target = target(before, configured)?;
    let answers = target.dialect == Dialect::OpenAiResponses && target.purpose == Purpose::Answer;
    answers.then(|| StoredTarget {
        purpose,
        id: decoded(id),
        around: (format!("{before}/"), behind.to_owned()),
    })
}

/// The target of a request that could be one of ours. An upgrade to a socket is none: it is no
/// `POST`.
pub(crate) fn matches<B>(request: &http::Request<B>, configured: &[(String, Dialect)]) -> Option<Target> {
    // Amazon's clients call a body what it is to them: bytes.
    let path = request.uri().path();
    let json = is_json(request.headers()) || (invokes(path) && is_bytes(request.headers()));
    if request.method() != Method::POST || !json {
        return None;
    }
    target(path, configured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn path_table() {
        use Dialect::{
            AnthropicMessages as Anthropic, Gemini, OpenAiChat as Chat, OpenAiResponses as Responses,
        };
        use Purpose::{Answer, Batch, Count};
        let configured = [("/v1/llm".to_owned(), Chat)];
        let vertex = "/v1/projects/p/locations/l/publishers";
        for (path, expected) in [
            ("/v1/messages", Some((Anthropic, Answer))),
            ("/anthropic/v1/messages", Some((Anthropic, Answer))),
            ("/v1/messages/count_tokens", Some((Anthropic, Count))),
            (&format!("{vertex}/anthropic/models/claude-x@1:rawPredict"), Some((Anthropic, Answer))),
            (&format!("{vertex}/anthropic/models/claude-x@1:streamRawPredict"), Some((Anthropic, Answer))),
            (&format!("{vertex}/anthropic/models/count-tokens:rawPredict"), Some((Anthropic, Count))),
            (&format!("{vertex}/mistralai/models/m:rawPredict"), None),
            ("/v1/chat/completions", Some((Chat, Answer))),
            ("/api/v1/chat/completions", Some((Chat, Answer))),
            ("/openai/v1/chat/completions", Some((Chat, Answer))),
            ("/openai/deployments/d/chat/completions", Some((Chat, Answer))),
            ("/v1beta/openai/chat/completions", Some((Chat, Answer))),
            ("/v1/responses", Some((Responses, Answer))),
            ("/openai/v1/responses", Some((Responses, Answer))),
            ("/v1/responses/input_tokens", Some((Responses, Count))),
            ("/v1beta/models/gemini-3:generateContent", Some((Gemini, Answer))),
            ("/v1beta/models/gemini-3:streamGenerateContent", Some((Gemini, Answer))),
            ("/v1beta/models/gemini-3:countTokens", Some((Gemini, Count))),
            (&format!("{vertex}/google/models/gemini-3:generateContent"), Some((Gemini, Answer))),
            ("/tenant/v1/llm", Some((Chat, Answer))),
            ("/v1/responses/resp_1", None),
            ("/v1/responses/resp_1/cancel", None),
            ("/v1/responses/compact", None),
            ("/v1beta/models/gemini-3:batchGenerateContent", None),
            ("/v1beta/models/gemini-3:embedContent", None),
            ("/v1/messages/batches", Some((Anthropic, Batch))),
            ("/v1/messages/batches/b_1/cancel", None),
            ("/v1/threads/t/messages", None),
            ("/v1/batches", None),
            ("/v1/messages/", None),
            ("/", None),
        ] {
            let found = target(path, &configured).map(|target| (target.dialect, target.purpose));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn the_model_of_a_path() {
        for (path, expected) in [
            ("/v1beta/models/gemini-3:streamGenerateContent", Some("gemini-3")),
            ("/v1/publishers/anthropic/models/claude-x%4020250929:rawPredict", Some("claude-x@20250929")),
            ("/v1/publishers/anthropic/models/count-tokens:rawPredict", None),
            ("/v1/messages", None),
        ] {
            let found = target(path, &[]).expect("a known path").model;
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }

    #[cfg(feature = "bedrock")]
    #[test]
    fn bedrocks_paths() {
        use Dialect::{AnthropicMessages as Anthropic, BedrockConverse as Converse};
        use Purpose::{Answer, Count};
        let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-5-5-v1:0";
        for (path, expected, model) in [
            ("/model/anthropic.claude-x-v1%3A0/invoke", Some((Anthropic, Answer)), "anthropic.claude-x-v1:0"),
            ("/model/a/invoke-with-response-stream", Some((Anthropic, Answer)), "a"),
            ("/model/us.amazon.nova-pro-v1:0/converse", Some((Converse, Answer)), "us.amazon.nova-pro-v1:0"),
            ("/bedrock/model/a%zz%4/converse-stream", Some((Converse, Answer)), "a%zz%4"),
            (&format!("/model/{}/converse", arn.replace('/', "%2F")), Some((Converse, Answer)), arn),
            (&format!("/model/{arn}/converse"), Some((Converse, Answer)), arn),
            ("/model/a/count-tokens", Some((Converse, Count)), "a"),
            ("/model/a/async-invoke", None, ""),
            ("/guardrail/g/version/1/apply", None, ""),
            ("/converse", None, ""),
        ] {
            let found = target(path, &[]);
            assert_eq!(found.as_ref().map(|target| (target.dialect, target.purpose)), expected, "{path}");
            assert_eq!(found.and_then(|target| target.model).unwrap_or_default(), model, "{path}");
        }
        let own = br#"{"anthropic_version":"bedrock-2023-05-31","messages":[]}"#;
        assert!(!foreign("/model/a/invoke", own) && foreign("/model/a/invoke", b"{\"prompt\":\"x\"}"));
        assert!(!foreign("/model/a/converse", b"{}"));
        let request = |path: &str, kind: Option<&str>| {
            let request = Request::builder().method("POST").uri(path);
            let request =
                kind.into_iter().fold(request, |request, kind| request.header("content-type", kind));
            matches(&request.body(()).unwrap(), &[]).is_some()
        };
        assert!(
            request("/model/a/invoke", None) && request("/model/a/invoke", Some("application/octet-stream"))
        );
        assert!(!request("/model/a/converse", None) && !request("/model/a/invoke", Some("text/plain")));
    }

    #[test]
    fn stored_answers() {
        use StoredPurpose::{Answer, Delete, Items};
        for (method, path, expected) in [
            ("GET", "/v1/responses/resp_1?include[]=x", Some((Answer, "resp_1"))),
            ("GET", "/openai/v1/responses/resp_1/input_items", Some((Items, "resp_1"))),
            ("DELETE", "/v1/responses/resp_1", Some((Delete, "resp_1"))),
            ("POST", "/v1/responses/resp%5F1/cancel", Some((Answer, "resp_1"))),
            ("GET", "/own/llm/resp_1", Some((Answer, "resp_1"))),
            ("POST", "/v1/responses/resp_1", None),
            ("POST", "/v1/responses/compact", None),
            ("DELETE", "/v1/responses/resp_1/input_items", None),
            ("GET", "/v1/responses/", None),
            ("GET", "/v1/responses", None),
            ("GET", "/v1/chat/completions/chatcmpl-1", None),
        ] {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            let configured = [("/own/llm".to_owned(), Dialect::OpenAiResponses)];
            let found = stored(&request, &configured);
            let seen = found.as_ref().map(|target| (target.purpose, target.id.as_str()));
            assert_eq!(seen, expected, "{method} {path}");
            if let Some(target) = found.filter(|_| !path.contains('%')) {
                assert_eq!(target.path("resp_1"), path.split('?').next().unwrap());
            }
        }
    }

    #[test]
    fn only_a_post_of_json_matches() {
        for (method, kind, expected) in [
            ("POST", "application/json", true),
            ("POST", "Application/JSON ; charset=utf-8", true),
            ("POST", "application/vnd.x+json", true),
            ("POST", "text/plain", false),
            ("POST", "json", false),
            ("GET", "application/json", false),
            ("HEAD", "application/json", false),
        ] {
            for path in ["/v1/messages?beta=true", "/v1/responses"] {
                let request = Request::builder().method(method).uri(format!("https://h{path}"));
                let request = request.header("content-type", kind).header("upgrade", "websocket");
                let request = request.body(()).unwrap();
                assert_eq!(matches(&request, &[]).is_some(), expected, "{method} {kind}");
            }
        }
    }
}
