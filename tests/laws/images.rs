//! The laws for images, under a policy that lets them be touched.

use std::sync::LazyLock;

use bytes::Bytes;
use headroom_engine::{
    Dialect, Engine, Policy, RequestContext, Rewrite,
    ccr::{Marker, Unit},
};
use headroom_tests::places::DIALECTS;
use image::ImageFormat;
use serde_json::{Value, json};

use crate::{
    harness::{rewrite, utf8},
    pictures::{picture, size},
};

const SHOWN: [Dialect; 2] = [Dialect::AnthropicMessages, Dialect::OpenAiResponses];
const LARGE: (u32, u32) = (1600, 1000);

fn policy() -> Policy {
    Policy::default().least_hidden(100).images(true)
}

fn part(dialect: Dialect, base64: &str, format: ImageFormat) -> Value {
    let kind = if format == ImageFormat::Png { "image/png" } else { "image/jpeg" };
    let url = format!("data:{kind};base64,{base64}");
    match dialect {
        Dialect::AnthropicMessages => {
            json!({"type": "image", "source": {"type": "base64", "media_type": kind, "data": base64}, "cache_control": {"type": "ephemeral"}})
        }
        Dialect::OpenAiResponses => {
            json!({"type": "input_image", "image_url": url, "detail": "high", "x": 1})
        }
        Dialect::OpenAiChat => json!({"type": "image_url", "image_url": {"url": url}}),
        Dialect::BedrockConverse => {
            json!({"image": {"format": kind.trim_start_matches("image/"), "source": {"bytes": base64}}})
        }
        _ => json!({"inlineData": {"mimeType": kind, "data": base64}}),
    }
}

/// A user's picture, a tool's, the user's again, and words of the model between.
fn messages(dialect: Dialect, first: &str, second: &str) -> Vec<Value> {
    let [one, other, again] = [
        part(dialect, first, ImageFormat::Png),
        part(dialect, second, ImageFormat::Jpeg),
        part(dialect, first, ImageFormat::Png),
    ];
    match dialect {
        Dialect::AnthropicMessages => vec![
            json!({"role": "user", "content": [{"type": "text", "text": "Look"}, one]}),
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "run_command", "input": {}}]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a plot"}, other]}]}),
            json!({"role": "assistant", "content": "I see."}),
            json!({"role": "user", "content": [again]}),
        ],
        Dialect::OpenAiResponses => vec![
            json!({"role": "user", "content": [{"type": "input_text", "text": "Look"}, one]}),
            json!({"type": "function_call", "call_id": "t", "name": "run_command", "arguments": "{}"}),
            json!({"type": "function_call_output", "call_id": "t", "output": [{"type": "input_text", "text": "a plot"}, other]}),
            json!({"role": "assistant", "content": "I see."}),
            json!({"role": "user", "content": [again]}),
        ],
        Dialect::OpenAiChat => vec![
            json!({"role": "user", "content": [one, other]}),
            json!({"role": "assistant", "content": "I see."}),
            json!({"role": "user", "content": [again]}),
        ],
        Dialect::BedrockConverse => vec![
            json!({"role": "user", "content": [one, other]}),
            json!({"role": "assistant", "content": [{"text": "I see."}]}),
            json!({"role": "user", "content": [again]}),
        ],
        _ => vec![
            json!({"role": "user", "parts": [one, other]}),
            json!({"role": "model", "parts": [{"text": "I see."}]}),
            json!({"role": "user", "parts": [again]}),
        ],
    }
}

fn body(dialect: Dialect, messages: &[Value], description: &str) -> String {
    let schema = json!({"type": "object"});
    let function = json!({"name": "run_command", "description": description, "parameters": schema});
    match dialect {
        Dialect::AnthropicMessages => json!({"model": "claude-opus-5-5", "max_tokens": 9, "messages": messages,
            "tools": [{"name": "run_command", "description": description, "input_schema": schema}]}),
        Dialect::OpenAiChat => json!({"model": "gpt-6", "messages": messages,
            "tools": [{"type": "function", "function": function}]}),
        Dialect::OpenAiResponses => json!({"model": "gpt-6", "store": false, "input": messages,
            "tools": [{"type": "function", "name": "run_command", "description": description, "parameters": schema}]}),
        Dialect::BedrockConverse => json!({"messages": messages, "toolConfig": {"tools": [
            {"toolSpec": {"name": "run_command", "description": description, "inputSchema": {"json": schema}}}]}}),
        _ => json!({"contents": messages, "tools": [{"functionDeclarations": [function]}]}),
    }
    .to_string()
}

const RUNS: &str = "Runs a command in the shell";

fn pictures() -> [String; 2] {
    static MADE: LazyLock<[String; 2]> =
        LazyLock::new(|| [picture(ImageFormat::Png, LARGE, 1), picture(ImageFormat::Jpeg, LARGE, 2)]);
    MADE.clone()
}

fn engine() -> Engine {
    Engine::builder().memo_bytes(64 << 20).build()
}

fn list(dialect: Dialect) -> &'static str {
    if dialect == Dialect::OpenAiResponses { "input" } else { "messages" }
}

/// The images of a body, as base64, and the texts before each of them or in its place.
fn seen(dialect: Dialect, body: &str) -> (Vec<String>, Vec<Marker>) {
    let (mut images, mut markers) = (Vec::new(), Vec::new());
    let value: Value = serde_json::from_str(body).unwrap();
    let mut open: Vec<&Value> = value[list(dialect)].as_array().unwrap().iter().rev().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                let data = value["source"]["data"].as_str();
                let url = value["image_url"].as_str().and_then(|url| url.split_once(','));
                images.extend(data.or(url.map(|(_, data)| data)).map(str::to_owned));
                markers.extend(value["text"].as_str().and_then(|text| text.parse::<Marker>().ok()));
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items.iter().rev()),
            _ => {}
        }
    }
    (images, markers)
}

/// What a rewritten body says, with our markers and smaller images taken back.
fn taken_back(dialect: Dialect, out: &Rewrite, sources: &[String]) -> Value {
    let mut sent: Value = serde_json::from_str(utf8(&out.body)).unwrap();
    let mut tools = sent["tools"].take();
    tools.as_array_mut().unwrap().pop();
    sent["tools"] = tools;
    let mut at = 0;
    for message in sent[list(dialect)].as_array_mut().unwrap() {
        for key in ["content", "output"] {
            restore(&mut message[key], &mut at, dialect, sources);
            if message[key].is_null() {
                message.as_object_mut().unwrap().remove(key);
            }
        }
    }
    sent
}

fn restore(content: &mut Value, at: &mut usize, dialect: Dialect, sources: &[String]) {
    let Some(parts) = content.as_array_mut() else { return };
    let mut next = Vec::new();
    for mut part in std::mem::take(parts) {
        let marker = part["text"].as_str().and_then(|text| text.parse::<Marker>().ok());
        if part.get("content").is_some() {
            restore(&mut part["content"], at, dialect, sources);
        }
        let whole = part.get("source").is_some() || part.get("image_url").is_some();
        let format = |at: usize| if at == 1 { ImageFormat::Jpeg } else { ImageFormat::Png };
        match marker {
            Some(marker) if marker.to_string().contains("the same as") => {
                next.push(self::part(dialect, &sources[*at], format(*at)));
                *at += 1;
            }
            Some(_) => {}
            None if whole => {
                next.push(self::part(dialect, &sources[*at], format(*at)));
                *at += 1;
            }
            None => {
                part.as_object_mut().unwrap().retain(|_, value| !value.is_null());
                next.push(part);
            }
        }
    }
    *parts = next;
}

#[test]
fn images_become_smaller_and_can_be_had_back() {
    let [first, second] = pictures();
    for dialect in SHOWN {
        let body = body(dialect, &messages(dialect, &first, &second), RUNS);
        let out = rewrite(&engine(), dialect, &body, &policy());
        let (images, markers) = seen(dialect, utf8(&out.body));
        assert_eq!((images.len(), markers.len()), (2, 3), "{dialect:?}");
        for (at, image) in images.iter().enumerate() {
            let (now, marker) = (size(image), &markers[at]);
            assert!(now.0 < LARGE.0 && now.0 * LARGE.1 / LARGE.0 - now.1 <= 1, "{now:?}");
            assert!(marker.to_string().contains(&format!("1600x1000, here {}x{}", now.0, now.1)));
            assert_eq!((marker.unit(), marker.first()), (Unit::Images, at + 1));
            let source = [&first, &second][at];
            let kind = ["png", "jpeg"][at];
            let original = out.originals.get(marker.handle().unwrap()).unwrap();
            assert_eq!(original, format!("data:image/{kind};base64,{source}"));
        }
        // The last is named where it stands, and is the same original.
        assert!(markers[2].to_string().starts_with("[~images 3: the same as image 1 #"));
        assert_eq!(markers[2].handle(), markers[0].handle());
        assert!(out.continuation.is_some() && out.originals.handles().len() == 2);
        // What stood beside them stays.
        let beside = if dialect == Dialect::AnthropicMessages { "cache_control" } else { "\"x\"" };
        assert_eq!(utf8(&out.body).matches(beside).count(), 3);
        let shown: Vec<_> = out.report.blocks.iter().filter(|block| block.kind == Some("image")).collect();
        assert_eq!(shown.len(), 3);
        for block in shown {
            assert!(block.tokens_out + 8 <= block.tokens_in && block.hidden.len() == 1, "{block:?}");
        }
        // Nothing else changed.
        let sources = [first.clone(), second.clone(), first.clone()];
        let sent: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(taken_back(dialect, &out, &sources), sent, "{dialect:?}");
    }
}

#[test]
fn the_prefix_law_holds_for_images() {
    let [first, second] = pictures();
    for dialect in SHOWN {
        let all = messages(dialect, &first, &second);
        let sent = |engine: &Engine, upto: usize| {
            let body = body(dialect, &all[..upto], RUNS);
            let out = rewrite(engine, dialect, &body, &policy());
            let sent: Value = serde_json::from_str(utf8(&out.body)).unwrap();
            sent[list(dialect)].as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>()
        };
        let warm = engine();
        let whole = sent(&warm, all.len());
        for upto in [1, 3, all.len()] {
            // Cold and warm alike.
            assert_eq!(sent(&engine(), upto)[..], whole[..upto]);
            assert_eq!(sent(&warm, upto)[..], whole[..upto]);
        }
    }
}

#[test]
fn what_cannot_be_had_back_stays() {
    let [first, second] = pictures();
    for dialect in DIALECTS {
        let body = body(dialect, &messages(dialect, &first, &second), RUNS);
        let shown = SHOWN.contains(&dialect);
        for (policy, may) in [
            (policy(), shown),
            (Policy::default(), false),
            (policy().exactly(), false),
            (policy().presence(headroom_engine::ccr::ToolPresence::Never), false),
        ] {
            let out = rewrite(&engine(), dialect, &body, &policy);
            let kept = [&first, &second].iter().all(|image| utf8(&out.body).contains(image.as_str()));
            assert_eq!(kept, !may, "{dialect:?} {policy:?}");
            assert!(may || out.originals.is_empty());
        }
        // Nobody answers there.
        let context = RequestContext::new(dialect).route(headroom_engine::Route::ExactOnly);
        let bytes = Bytes::from(body);
        let out = engine().scan(bytes.clone(), &context).unwrap().rewrite(&policy(), &[]);
        assert_eq!(out.body.as_ptr(), bytes.as_ptr());
    }
}

#[test]
fn where_tools_point_images_keep_their_size() {
    let [first, second] = pictures();
    for dialect in SHOWN {
        let body = body(dialect, &messages(dialect, &first, &second), "Runs a command, or a click at x, y");
        let out = rewrite(&engine(), dialect, &body, &policy());
        let (images, markers) = seen(dialect, utf8(&out.body));
        assert_eq!(images, [first.clone(), second.clone()]);
        assert_eq!(markers.len(), 1);
        let original = out.originals.get(markers[0].handle().unwrap()).unwrap();
        assert!(original.ends_with(&first));
    }
}

#[test]
fn what_is_no_image_stays() {
    let small = picture(ImageFormat::Png, (300, 200), 1);
    let broken = "iVBORw0KGgoAAAANSUhEUgAA";
    for dialect in SHOWN {
        for (one, other) in [(small.as_str(), broken), (broken, "not base64!"), ("", small.as_str())] {
            let body = body(dialect, &messages(dialect, one, other)[..3], RUNS);
            let out = rewrite(&engine(), dialect, &body, &policy());
            assert!(out.originals.is_empty());
            let (images, markers) = seen(dialect, utf8(&out.body));
            assert_eq!((images, markers.len()), (vec![one.to_owned(), other.to_owned()], 0));
        }
    }
}

/// Another build, or another platform, must write the same bytes.
#[test]
fn smaller_images_are_the_same_everywhere() {
    let [first, second] = pictures();
    let dialect = Dialect::AnthropicMessages;
    let body = body(dialect, &messages(dialect, &first, &second), RUNS);
    let out = rewrite(&engine(), dialect, &body, &policy());
    let (images, _) = seen(dialect, utf8(&out.body));
    let digests: Vec<String> =
        images.iter().map(|image| blake3::hash(image.as_bytes()).to_hex()[..16].to_owned()).collect();
    assert_eq!(digests, GOLDEN);
}

const GOLDEN: [&str; 2] = ["3df512b15c733575", "952d8d5e1d9ee6c5"];
