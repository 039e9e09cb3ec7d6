//! Anthropic's bodies under the paths of clouds: Bedrock's InvokeModel and Vertex' rawPredict.

use bytes::Bytes;
use headroom_engine::eventstream::base64_decode;
use serde_json::{Value, json};

use super::check::Rejection;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Amazon,
    Google,
}

/// What such a path says.
pub(super) struct Invoked {
    pub(super) cloud: Place,
    model: String,
    method: String,
}

impl Invoked {
    pub(super) fn by(path: &str) -> Option<Self> {
        let of = |cloud, model: &str, method: &str| {
            Some(Self { cloud, model: model.to_owned(), method: method.to_owned() })
        };
        if let Some((model, method)) = path.strip_prefix("/model/").and_then(|rest| rest.rsplit_once('/')) {
            let known = ["invoke", "invoke-with-response-stream", "count-tokens"].contains(&method);
            return known.then(|| of(Place::Amazon, model, method))?;
        }
        let (model, method) = path.split_once("/publishers/anthropic/models/")?.1.rsplit_once(':')?;
        ["rawPredict", "streamRawPredict"].contains(&method).then(|| of(Place::Google, model, method))?
    }

    pub(super) fn counts(&self) -> bool {
        self.model == "count-tokens" || self.method == "count-tokens"
    }

    /// The body whose tokens Bedrock is to count.
    pub(super) fn counted(&self, body: &[u8]) -> Option<Bytes> {
        let json: Value = serde_json::from_slice(body).ok().filter(|_| self.method == "count-tokens")?;
        base64_decode(json["input"]["invokeModel"]["body"].as_str()?.as_bytes()).map(Bytes::from)
    }

    /// Makes a body one of Anthropic's: the path names the model, and the version stands for the header
    /// of that name.
    pub(super) fn as_message(&self, json: &mut Value) -> Result<(), Rejection> {
        let version = match self.cloud {
            Place::Amazon => "bedrock-2023-05-31",
            Place::Google => "vertex-2023-10-16",
        };
        let Some(own) = json.as_object_mut() else { return Ok(()) };
        if own.remove("anthropic_version") != Some(version.into()) {
            return Err(Rejection::invalid("anthropic_version: Field required"));
        }
        own.remove("anthropic_beta");
        let extra = match self.cloud {
            Place::Amazon => ["model", "stream"].into_iter().find(|name| own.contains_key(*name)),
            Place::Google if self.counts() => None,
            Place::Google => own.contains_key("model").then_some("model"),
        };
        if let Some(name) = extra {
            return Err(Rejection::invalid(format!("{name}: Extra inputs are not permitted")));
        }
        if !own.contains_key("model") {
            own.insert("model".to_owned(), json!(self.model));
        }
        Ok(())
    }
}
