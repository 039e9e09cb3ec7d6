//! Whole exchanges, over scripted upstreams. Numbers in names are those of the list of edge cases.

mod answering;
mod anthropic_json;
mod anthropic_stream;
#[cfg(feature = "bedrock")]
mod bedrock;
mod gemini;
mod openai_json;
mod openai_stream;
mod property;
mod property_items;
mod responses_json;
mod responses_stream;
mod restoring;
mod returning;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Continuation, History, Item, Parts, Recall, RetrievalReport, Source, Step, record, stored::Thread,
};
use crate::{
    ccr::{Handle, HandleKey},
    ledger::{LedgerKey, Record},
    tokens::O200k,
    wire::Dialect,
};

pub(super) const TOOL: &str = "retrieve_original_content";
pub(super) const ORIGINAL: &str = "first line\nthe needle is 42\nlast line\n";
pub(super) const STORED: &str = "only the store has this\n";

pub(super) fn handle(text: &str) -> Handle {
    Handle::new(&HandleKey::default(), "text", text)
}

/// Arguments of a call that succeeds.
pub(super) fn wanted() -> String {
    json!({ "handle": handle(ORIGINAL).to_string() }).to_string()
}

#[derive(Default)]
struct Fixed(Vec<(String, &'static str)>);

impl Source for Fixed {
    fn handles(&self) -> Vec<(Handle, &'static str)> {
        self.0.iter().map(|(text, kind)| (handle(text), *kind)).collect()
    }

    fn get(&self, wanted: Handle) -> Option<String> {
        self.0.iter().map(|(text, _)| text).find(|text| handle(text) == wanted).cloned()
    }
}

/// Remembers what it was asked for.
#[derive(Default)]
pub(super) struct Seen(Mutex<Vec<Item>>);

impl History for Seen {
    fn turn(&self, visible: &[Item]) -> LedgerKey {
        *self.0.lock().unwrap() = visible.to_vec();
        LedgerKey::from_bytes(*blake3::hash(format!("{visible:?}").as_bytes()).as_bytes())
    }
}

/// What a conversation is made with.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) dialect: Dialect,
    pub(super) request: Value,
    pub(super) recall: Recall,
    pub(super) acknowledges: bool,
    pub(super) max_rounds: u32,
    pub(super) cap: usize,
    pub(super) window: Option<usize>,
    pub(super) thread: Option<Thread>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) body: Vec<u8>,
    pub(super) sent: Vec<String>,
    pub(super) records: Vec<Record>,
    pub(super) visible: Vec<Item>,
    pub(super) report: RetrievalReport,
    pub(super) redeemed: Vec<Handle>,
}

impl Script {
    pub(super) fn anthropic() -> Self {
        Self::new(
            Dialect::AnthropicMessages,
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "find it"}]}]}),
        )
    }

    pub(super) fn openai() -> Self {
        Self::new(
            Dialect::OpenAiChat,
            json!({"model": "m", "messages": [{"role": "user", "content": "find it"}]}),
        )
    }

    pub(super) fn responses() -> Self {
        Self::new(
            Dialect::OpenAiResponses,
            json!({"model": "m", "store": false, "input": [{"role": "user", "content": "find it"}]}),
        )
    }

    /// The same, where the provider stores the answer.
    pub(super) fn stored() -> Self {
        let thread = Thread {
            key: HandleKey::default(),
            kept: true,
            previous: None,
            asked: String::new(),
            hidden: Vec::new(),
        };
        let mut script = Self { thread: Some(thread), ..Self::responses() };
        script.request["store"] = true.into();
        script
    }

    pub(super) fn gemini() -> Self {
        Self::new(
            Dialect::Gemini,
            json!({"contents": [{"role": "user", "parts": [{"text": "find it"}]}], "tools": []}),
        )
    }

    fn new(dialect: Dialect, request: Value) -> Self {
        Self {
            dialect,
            request,
            recall: Recall::Restore { durable: true },
            acknowledges: true,
            max_rounds: 3,
            cap: super::frame::EVENT_CAP,
            window: None,
            thread: None,
        }
    }

    pub(super) fn request(&self) -> String {
        self.request.to_string()
    }

    fn continuation(&self, seen: &Arc<Seen>) -> Continuation {
        let request = self.request();
        let list = ["messages", "input", "contents"].into_iter().find_map(|key| self.request.get(key));
        let messages = serde_json::to_string(list.unwrap()).unwrap();
        let messages_end = request.find(&messages).unwrap() + messages.len() - 1;
        Continuation::new(Parts {
            dialect: self.dialect,
            request: request.into(),
            messages_end,
            tool: TOOL.to_owned(),
            max_rounds: self.max_rounds,
            recall: self.recall,
            originals: Arc::new(Fixed(vec![(ORIGINAL.to_owned(), "text")])),
            counter: Arc::new(O200k),
            answer_budget: 1000,
            window: self.window,
            history: seen.clone(),
            thread: self.thread.clone(),
        })
    }

    fn store(handles: &[Handle]) -> Vec<(Handle, String)> {
        let known = BTreeMap::from([(handle(STORED), STORED.to_owned())]);
        handles.iter().filter_map(|handle| Some((*handle, known.get(handle)?.clone()))).collect()
    }

    /// Runs a JSON exchange over these answers, in order. `None` is a follow-up that fails.
    pub(super) fn json(&self, answers: &[Option<String>]) -> Outcome {
        let seen = Arc::new(Seen::default());
        let mut exchange = self.continuation(&seen).json();
        let mut answers = answers.iter();
        let mut outcome = Outcome::default();
        let mut step = exchange.response(answers.next().unwrap().clone().unwrap().into());
        loop {
            step = match step {
                Step::Redeem(handles) => {
                    outcome.redeemed.extend(&handles);
                    exchange.redeemed(Self::store(&handles))
                }
                Step::Rank(ranking) => exchange.ranked(Some(ranking.run())),
                Step::Send(body) => {
                    outcome.sent.push(String::from_utf8(body.to_vec()).unwrap());
                    match answers.next().expect("an answer for every request") {
                        Some(answer) => exchange.response(answer.clone().into()),
                        None => {
                            exchange.failed();
                            break;
                        }
                    }
                }
                Step::Remember(records) => {
                    outcome.records.extend(records);
                    exchange.remembered(self.acknowledges)
                }
                Step::Done => break,
            };
        }
        assert!(answers.next().is_none(), "not every answer was asked for");
        outcome.report = exchange.report().clone();
        outcome.body = exchange.into_body().to_vec();
        outcome.visible = seen.0.lock().unwrap().clone();
        outcome
    }

    /// Runs a stream exchange; `cut` makes chunks of each round.
    pub(super) fn stream_cut(
        &self,
        answers: &[Option<String>],
        cut: impl Fn(usize, Bytes) -> Vec<Bytes>,
    ) -> Outcome {
        let seen = Arc::new(Seen::default());
        let mut exchange = super::StreamExchange::with_cap(self.continuation(&seen).parts, self.cap);
        let mut outcome = Outcome::default();
        let mut out = VecDeque::new();
        let mut round = 0;
        let mut step = Step::Done;
        let mut follow = true;
        loop {
            if follow {
                match answers.get(round).expect("an answer for every request") {
                    Some(answer) => {
                        for chunk in cut(round, answer.clone().into()) {
                            exchange.push(chunk, &mut out);
                        }
                        step = exchange.end(&mut out);
                    }
                    None => exchange.failed(&mut out),
                }
                round += 1;
                follow = false;
            }
            step = match std::mem::replace(&mut step, Step::Done) {
                Step::Redeem(handles) => {
                    outcome.redeemed.extend(&handles);
                    exchange.redeemed(Self::store(&handles), &mut out)
                }
                Step::Rank(ranking) => exchange.ranked(Some(ranking.run()), &mut out),
                Step::Send(body) => {
                    outcome.sent.push(String::from_utf8(body.to_vec()).unwrap());
                    follow = true;
                    Step::Done
                }
                Step::Remember(records) => {
                    outcome.records.extend(records);
                    exchange.remembered(self.acknowledges, &mut out)
                }
                Step::Done => break,
            };
        }
        assert_eq!(round, answers.len(), "not every answer was asked for");
        outcome.report = exchange.report().clone();
        outcome.body = out.into_iter().flatten().collect();
        outcome.visible = seen.0.lock().unwrap().clone();
        outcome
    }

    pub(super) fn stream(&self, answers: &[Option<String>]) -> Outcome {
        self.stream_cut(answers, |_, whole| vec![whole])
    }
}

impl Outcome {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// Law 5: no call, definition or id of ours.
    pub(super) fn assert_nothing_leaks(&self) {
        for ours in [TOOL, "ours_"] {
            assert!(!self.text().contains(ours), "{ours} in {}", self.text());
        }
    }

    pub(super) fn sent(&self, at: usize) -> Value {
        serde_json::from_str(&self.sent[at]).unwrap()
    }

    /// The text of a result in a follow-up request: that of the last message.
    pub(super) fn result(&self, at: usize, of: usize) -> String {
        let sent = self.sent(at);
        let messages = sent["messages"].as_array().unwrap();
        let last = messages.last().unwrap();
        match last["content"].as_array() {
            Some(results) => results[of]["content"].as_str().unwrap().to_owned(),
            None => last["content"].as_str().unwrap().to_owned(),
        }
    }
}

/// The events of a stream, as an SDK reads them.
pub(super) fn events(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let data = |event: &str| {
        let lines: Vec<&str> = event
            .lines()
            .filter_map(|line| line.trim_start_matches('\u{feff}').strip_prefix("data:"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    };
    text.split("\n\n").filter_map(data).collect()
}

/// What an Anthropic SDK makes of a stream; asserts what the SDKs take for granted.
pub(super) fn accumulate_anthropic(text: &str) -> Value {
    let mut message = Value::Null;
    let mut open: Option<usize> = None;
    let mut partial = String::new();
    let mut stopped = false;
    for data in events(text) {
        let event: Value = serde_json::from_str(&data).unwrap();
        assert!(!stopped, "{data} behind message_stop");
        let kind = event["type"].as_str().unwrap();
        let index = event["index"].as_u64().map(|index| index as usize);
        match kind {
            "message_start" => {
                assert!(message.is_null(), "two message_start");
                message = event["message"].clone();
            }
            "content_block_start" => {
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(index, Some(content.len()), "indices are contiguous");
                assert_eq!(open, None);
                content.push(event["content_block"].clone());
                open = index;
                partial.clear();
            }
            "content_block_delta" => {
                assert_eq!(open, index);
                let block = &mut message["content"][index.unwrap()];
                let delta = &event["delta"];
                let grow = |block: &mut Value, key: &str| {
                    let grown =
                        format!("{}{}", block[key].as_str().unwrap_or(""), delta[key].as_str().unwrap());
                    block[key] = grown.into();
                };
                match delta["type"].as_str().unwrap() {
                    "text_delta" => grow(block, "text"),
                    "thinking_delta" => grow(block, "thinking"),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => partial.push_str(delta["partial_json"].as_str().unwrap()),
                    _ => {}
                }
            }
            "content_block_stop" => {
                assert_eq!(open.take(), index);
                if !partial.is_empty() {
                    message["content"][index.unwrap()]["input"] = serde_json::from_str(&partial).unwrap();
                }
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                for (key, value) in event["usage"].as_object().unwrap() {
                    message["usage"][key] = value.clone();
                }
            }
            "message_stop" => stopped = true,
            "error" => message["error"] = event["error"].clone(),
            _ => {}
        }
    }
    message["stopped"] = stopped.into();
    message
}

/// What an OpenAI SDK makes of a stream.
pub(super) fn accumulate_openai(text: &str) -> Value {
    let mut whole = json!({"content": "", "tool_calls": [], "done": false, "finish": null, "roles": 0});
    for data in events(text) {
        assert_eq!(whole["done"], false, "{data} behind [DONE]");
        if data == "[DONE]" {
            whole["done"] = true.into();
            continue;
        }
        let chunk: Value = serde_json::from_str(&data).unwrap();
        if chunk["error"].is_object() {
            whole["error"] = chunk["error"].clone();
            continue;
        }
        if whole["id"].is_null() {
            whole["id"] = chunk["id"].clone();
        }
        assert_eq!(whole["id"], chunk["id"], "one answer, one id");
        if chunk["usage"].is_object() {
            assert!(whole["usage"].is_null());
            whole["usage"] = chunk["usage"].clone();
        }
        let choice = &chunk["choices"][0];
        if choice.is_null() {
            continue;
        }
        assert!(whole["finish"].is_null(), "{data} behind finish_reason");
        whole["finish"] = choice["finish_reason"].clone();
        let delta = &choice["delta"];
        if delta["role"].is_string() {
            whole["roles"] = (whole["roles"].as_u64().unwrap() + 1).into();
        }
        if let Some(more) = delta["content"].as_str() {
            whole["content"] = format!("{}{more}", whole["content"].as_str().unwrap()).into();
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().unwrap() as usize;
            let calls = whole["tool_calls"].as_array_mut().unwrap();
            assert!(index <= calls.len(), "indices are contiguous");
            if index == calls.len() {
                calls.push(json!({"id": "", "name": "", "arguments": ""}));
            }
            let slot = &mut calls[index];
            for (key, more) in [
                ("id", &call["id"]),
                ("name", &call["function"]["name"]),
                ("arguments", &call["function"]["arguments"]),
            ] {
                slot[key] = format!("{}{}", slot[key].as_str().unwrap(), more.as_str().unwrap_or("")).into();
            }
        }
    }
    whole
}

/// A block of a scripted Anthropic answer.
#[derive(Clone, Debug)]
pub(super) enum B {
    Text(&'static str),
    Think(&'static str),
    Redacted,
    Ours(&'static str, String),
    Client(&'static str),
    Server,
}

pub(super) fn block(block: &B) -> Value {
    match block {
        B::Text(text) => json!({"type": "text", "text": text}),
        B::Think(text) => json!({"type": "thinking", "thinking": text, "signature": format!("sig {text}")}),
        B::Redacted => json!({"type": "redacted_thinking", "data": "opaque"}),
        B::Ours(id, input) => {
            let input = serde_json::from_str::<Value>(input).unwrap_or_else(|_| json!({}));
            json!({"type": "tool_use", "id": id, "name": TOOL, "input": input})
        }
        B::Client(id) => json!({"type": "tool_use", "id": id, "name": "run", "input": {"n": 1.5}}),
        B::Server => {
            json!({"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"q": "x"}})
        }
    }
}

/// One Anthropic answer: its id, blocks, stop reason and token counts.
#[derive(Clone, Debug)]
pub(super) struct A(pub(super) &'static str, pub(super) Vec<B>, pub(super) &'static str);

impl A {
    pub(super) fn json(&self) -> Option<String> {
        let content: Vec<Value> = self.1.iter().map(block).collect();
        Some(
            json!({
                "id": self.0, "type": "message", "role": "assistant", "model": format!("model {}", self.0),
                "content": content, "stop_reason": self.2, "stop_sequence": null,
                "usage": {"input_tokens": 10, "output_tokens": 7, "cache_read_input_tokens": 3},
            })
            .to_string(),
        )
    }

    pub(super) fn sse(&self) -> Option<String> {
        self.sse_with("\n")
    }

    pub(super) fn sse_with(&self, end: &str) -> Option<String> {
        let mut text = String::new();
        let mut event = |data: Value| {
            let kind = data["type"].as_str().unwrap();
            text.push_str(&format!("event: {kind}{end}data: {data}{end}{end}"));
        };
        event(json!({"type": "message_start", "message": {
            "id": self.0, "type": "message", "role": "assistant", "model": format!("model {}", self.0), "content": [],
            "stop_reason": null, "usage": {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 3},
        }}));
        for (index, one) in self.1.iter().enumerate() {
            let mut start = block(one);
            let mut deltas = Vec::new();
            match one {
                B::Text(text) => {
                    start["text"] = "".into();
                    let (a, b) = text.split_at(text.char_indices().nth(2).map_or(text.len(), |(at, _)| at));
                    deltas.extend([a, b].map(|text| json!({"type": "text_delta", "text": text})));
                }
                B::Think(text) => {
                    (start["thinking"], start["signature"]) = ("".into(), "".into());
                    deltas.push(json!({"type": "thinking_delta", "thinking": text}));
                    deltas.push(json!({"type": "signature_delta", "signature": format!("sig {text}")}));
                }
                B::Ours(..) | B::Client(_) | B::Server => {
                    let input = match one {
                        B::Ours(_, input) => input.clone(),
                        _ => start["input"].to_string(),
                    };
                    start["input"] = json!({});
                    let (a, b) = input.split_at(input.len() / 2);
                    deltas.extend(
                        ["", a, b].map(|part| json!({"type": "input_json_delta", "partial_json": part})),
                    );
                }
                B::Redacted => {}
            }
            event(json!({"type": "content_block_start", "index": index, "content_block": start}));
            event(json!({"type": "ping"}));
            for delta in deltas {
                event(json!({"type": "content_block_delta", "index": index, "delta": delta}));
            }
            event(json!({"type": "content_block_stop", "index": index}));
        }
        event(json!({"type": "message_delta", "delta": {"stop_reason": self.2, "stop_sequence": null},
            "usage": {"output_tokens": 7}}));
        event(json!({"type": "message_stop"}));
        Some(text)
    }
}

/// What an OpenAI SDK makes of a Responses stream; asserts what the SDKs take for granted.
pub(super) fn accumulate_responses(text: &str) -> Value {
    let mut items: Vec<Value> = Vec::new();
    let mut done: Vec<Value> = Vec::new();
    let mut created = Value::Null;
    let mut end = Value::Null;
    for (number, data) in events(text).into_iter().enumerate() {
        let event: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(event["sequence_number"], number, "numbers are contiguous: {data}");
        assert!(end.is_null(), "{data} behind the end");
        let index = event["output_index"].as_u64().map(|index| index as usize);
        let kind = event["type"].as_str().unwrap();
        match kind {
            "response.created" => {
                assert!(created.is_null(), "two created");
                created = event["response"].clone();
            }
            "response.in_progress" => assert_eq!(event["response"]["id"], created["id"]),
            "response.output_item.added" => {
                assert_eq!(index, Some(items.len()), "indices are contiguous");
                items.push(event["item"].clone());
            }
            "response.content_part.added" => {
                let content = items[index.unwrap()]["content"].as_array_mut().unwrap();
                content.push(event["part"].clone());
            }
            "response.output_text.delta" => {
                assert_eq!(event["item_id"], items[index.unwrap()]["id"]);
                let part = &mut items[index.unwrap()]["content"][0]["text"];
                *part = format!("{}{}", part.as_str().unwrap(), event["delta"].as_str().unwrap()).into();
            }
            "response.output_text.done" => {
                assert_eq!(items[index.unwrap()]["content"][0]["text"], event["text"]);
            }
            "response.content_part.done" => {
                assert_eq!(items[index.unwrap()]["content"][0], event["part"]);
            }
            "response.function_call_arguments.delta" => {
                let item = &mut items[index.unwrap()]["arguments"];
                *item = format!("{}{}", item.as_str().unwrap(), event["delta"].as_str().unwrap()).into();
            }
            "response.function_call_arguments.done" => {
                assert_eq!(items[index.unwrap()]["arguments"], event["arguments"]);
            }
            "response.output_item.done" => {
                let (item, whole) = (&items[index.unwrap()], &event["item"]);
                for key in ["id", "type", "content", "arguments"] {
                    assert_eq!(item[key], whole[key], "{key} as its deltas gave it");
                }
                done.push(whole.clone());
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                end = event["response"].clone();
                assert_eq!(end["id"], created["id"]);
                assert_eq!(end["output"], json!(done), "the items as they were done");
            }
            "error" => end = event.clone(),
            _ => {}
        }
    }
    end
}
