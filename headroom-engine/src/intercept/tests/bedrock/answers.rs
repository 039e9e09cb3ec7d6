//! Scripted answers in the forms of Bedrock, and what a client makes of them.

use super::*;

/// A block of a scripted answer.
#[derive(Clone, Debug)]
pub(super) enum K {
    Text(&'static str),
    Think(&'static str),
    Redacted,
    Ours(&'static str),
    Client(&'static str),
    Image,
}

impl K {
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!({"text": text}),
            Self::Think(text) => json!({"reasoningContent":
                {"reasoningText": {"text": text, "signature": format!("sig {text}")}}}),
            Self::Redacted => json!({"reasoningContent": {"redactedContent": "eHg="}}),
            Self::Ours(id) => {
                let input: Value = serde_json::from_str(&wanted()).unwrap();
                json!({"toolUse": {"toolUseId": id, "name": TOOL, "input": input}})
            }
            Self::Client(id) => json!({"toolUse": {"toolUseId": id, "name": "run", "input": {"n": 1.5}}}),
            Self::Image => json!({"image": {"format": "png", "source": {"bytes": "eHg="}}}),
        }
    }

    /// The start and the deltas of its stream.
    pub(super) fn events(&self) -> (Option<Value>, Vec<Value>) {
        let halves = |text: &str| {
            let middle = text.floor_char_boundary(text.len() / 2);
            [text[..middle].to_owned(), text[middle..].to_owned()]
        };
        let whole = self.json();
        match self {
            Self::Text(text) => (None, halves(text).map(|text| json!({"text": text})).to_vec()),
            Self::Think(text) => {
                let deltas = [json!({"text": text}), json!({"signature": format!("sig {text}")})];
                (None, deltas.map(|delta| json!({"reasoningContent": delta})).to_vec())
            }
            Self::Redacted => (None, vec![whole]),
            Self::Ours(_) | Self::Client(_) => {
                let mut start = whole;
                let input = start["toolUse"].as_object_mut().unwrap().remove("input").unwrap().to_string();
                let deltas = halves(&input).map(|input| json!({"toolUse": {"input": input}}));
                (Some(start), deltas.to_vec())
            }
            Self::Image => (Some(json!({"image": {"format": "png"}})), vec![whole]),
        }
    }
}

/// One answer: blocks and stop reason.
#[derive(Clone, Debug)]
pub(super) struct N(pub(super) Vec<K>, pub(super) &'static str);

impl N {
    pub(super) fn usage() -> Value {
        json!({"inputTokens": 10, "outputTokens": 7, "totalTokens": 20, "cacheReadInputTokens": 3})
    }

    pub(super) fn json(&self) -> Option<String> {
        let content: Vec<Value> = self.0.iter().map(K::json).collect();
        let answer = json!({"output": {"message": {"role": "assistant", "content": content}},
            "stopReason": self.1, "usage": Self::usage(), "metrics": {"latencyMs": 100}});
        Some(answer.to_string())
    }

    /// Its events, a line each: name and data.
    pub(super) fn events(&self) -> Option<String> {
        let mut lines = vec![("messageStart", json!({"role": "assistant", "p": "abc"}))];
        for (at, block) in self.0.iter().enumerate() {
            let (start, deltas) = block.events();
            let start =
                start.map(|start| ("contentBlockStart", json!({"contentBlockIndex": at, "start": start})));
            lines.extend(start);
            for delta in deltas {
                lines
                    .push(("contentBlockDelta", json!({"contentBlockIndex": at, "delta": delta, "p": "ab"})));
            }
            lines.push(("contentBlockStop", json!({"contentBlockIndex": at})));
        }
        lines.push(("messageStop", json!({"stopReason": self.1})));
        lines.push(("metadata", json!({"usage": Self::usage(), "metrics": {"latencyMs": 100}})));
        let line = |(name, data): (&str, Value)| format!("{name} {data}\n");
        Some(lines.into_iter().map(line).collect())
    }
}

/// The frames of [`N::events`].
pub(super) fn converse(text: &Bytes) -> Bytes {
    let text = std::str::from_utf8(text).unwrap();
    let frames = text.lines().map(|line| {
        let (name, data) = line.split_once(' ').unwrap();
        eventstream::event(name, data)
    });
    frames.collect::<Vec<_>>().concat().into()
}

/// Server-sent events as the frames of InvokeModelWithResponseStream.
pub(super) fn chunks(text: &Bytes) -> Bytes {
    let events = events(std::str::from_utf8(text).unwrap());
    events.iter().map(|data| eventstream::chunk(data)).collect::<Vec<_>>().concat().into()
}

/// The messages of a stream that is nothing but whole frames.
pub(super) fn messages(bytes: &[u8]) -> Vec<eventstream::Message> {
    let mut decoder = eventstream::Decoder::default();
    decoder.push(bytes);
    let mut messages = Vec::new();
    while let Some(message) = decoder.next() {
        messages.push(message.unwrap());
    }
    assert!(decoder.take_rest().is_empty());
    messages
}

/// The same as server-sent events.
pub(super) fn as_events(bytes: &[u8]) -> String {
    let data = |message: &eventstream::Message| match eventstream::chunk_json(message) {
        Some(data) => data,
        None => {
            let error: Value = serde_json::from_slice(message.payload()).unwrap();
            assert_eq!(message.header(":message-type"), Some("exception"));
            json!({"type": "error", "error": {"type": "api_error", "message": error["message"]}}).to_string()
        }
    };
    messages(bytes).iter().map(|message| format!("data: {}\n\n", data(message))).collect()
}

/// What an SDK makes of a ConverseStream; asserts what the SDKs take for granted.
pub(super) fn accumulate(bytes: &[u8]) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    let mut open = false;
    let mut input = String::new();
    let (mut starts, mut answer) = (0, json!({}));
    for message in messages(bytes) {
        let data: Value = serde_json::from_slice(message.payload()).unwrap();
        assert!(answer["usage"].is_null(), "{data} behind metadata");
        let name = message.event_type();
        let index = data["contentBlockIndex"].as_u64().map(|index| index as usize);
        match name {
            Some("messageStart") => starts += 1,
            Some("contentBlockStart") => {
                assert_eq!((index, open), (Some(blocks.len()), false), "indices are contiguous");
                blocks.push(data["start"].clone());
                open = true;
                input.clear();
            }
            Some("contentBlockDelta") => {
                if !open {
                    assert_eq!(index, Some(blocks.len()), "indices are contiguous");
                    blocks.push(json!({}));
                    open = true;
                    input.clear();
                }
                assert_eq!(index, Some(blocks.len() - 1));
                let block = blocks.last_mut().unwrap();
                let delta = &data["delta"];
                let grow = |block: &mut Value, more: &Value| {
                    *block = format!("{}{}", block.as_str().unwrap_or(""), more.as_str().unwrap()).into();
                };
                if delta["text"].is_string() {
                    grow(&mut block["text"], &delta["text"]);
                }
                if delta["toolUse"].is_object() {
                    input.push_str(delta["toolUse"]["input"].as_str().unwrap());
                }
                for (key, value) in delta["reasoningContent"].as_object().into_iter().flatten() {
                    match key.as_str() {
                        "redactedContent" => block["reasoningContent"][key] = value.clone(),
                        _ => grow(&mut block["reasoningContent"]["reasoningText"][key], value),
                    }
                }
                if delta["image"].is_object() {
                    *block = delta.clone();
                }
            }
            Some("contentBlockStop") => {
                if !open {
                    blocks.push(json!({"text": ""}));
                }
                assert_eq!(index, Some(blocks.len() - 1));
                open = false;
                if let Some(call) = blocks.last_mut().unwrap().get_mut("toolUse") {
                    call["input"] = serde_json::from_str(&input).unwrap();
                }
            }
            Some("messageStop") => answer["stopReason"] = data["stopReason"].clone(),
            Some("metadata") => {
                answer["usage"] = data["usage"].clone();
                answer["metrics"] = data["metrics"].clone();
            }
            _ => answer["error"] = data,
        }
    }
    assert_eq!(starts, 1, "one messageStart");
    answer["output"] = json!({"message": {"role": "assistant", "content": blocks}});
    answer
}
