//! Headers, on HTTP/1.1 and HTTP/2: true for what is sent, and the client's in all else.

use headroom_tests::{
    Dialect,
    generate::content::{Kind, output},
    provider::{Received, Reply, Turn},
};
use headroom_tower::{RequestPolicy, Skipped, Unintercepted};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    bed::{Around, Bed, OURS, Protocol, within},
    talk::{MANNERS, Talk, fetch, handles, layer, log, script, words},
};

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

const KEPT: [(&str, &str); 6] = [
    ("authorization", "Bearer secret"),
    ("anthropic-beta", "a-2026,b-2026"),
    ("x-request-id", "r1"),
    ("user-agent", "agent/1"),
    ("etag", "\"theirs\""),
    ("x-amz-date", "20261122T000000Z"),
];

/// True for the bytes that the client meant to send, and for no others.
const STALE: [(&str, &str); 11] = [
    ("content-length", "7"),
    ("transfer-encoding", "chunked"),
    ("trailer", "x-end"),
    ("expect", "100-continue"),
    ("content-md5", "kept"),
    ("digest", "sha-256=kept"),
    ("content-digest", "sha-256=:kept:"),
    ("repr-digest", "sha-256=:kept:"),
    ("x-amz-content-sha256", "kept"),
    ("x-amz-checksum-crc32", "kept"),
    ("x-amz-checksum-sha256", "kept"),
];

fn true_for(request: &Received) {
    let headers = &request.head().headers;
    assert_eq!(headers["content-length"], request.body().len().to_string().as_str());
    for (name, _) in &STALE[1..] {
        assert!(!headers.contains_key(*name), "{name}");
    }
    for (name, value) in KEPT {
        assert_eq!(headers[name], value);
    }
}

#[tokio::test]
async fn of_a_rewritten_request_and_of_each_round() {
    for protocol in PROTOCOLS {
        for (dialect, stream) in MANNERS {
            let answers = script(|n, request| match n {
                0 => Turn::new([fetch(request, n)]).into(),
                _ => Turn::text("Done.").into(),
            });
            let bed = Bed::speaking(protocol, Around::Client, layer(), answers).await;
            let mut request = bed.says(dialect, Talk::about(dialect, &log(1)).body(stream));
            let more = [("accept-encoding", "gzip, br"), ("idempotency-key", "one")];
            for (name, value) in KEPT.into_iter().chain(STALE).chain(more) {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            let heard = within(bed.send(request)).await.unwrap();
            assert_eq!(heard.answer(dialect).await.unwrap().text(), "Done.");
            let received = bed.provider.received();
            assert_eq!(received.len(), 2, "{protocol:?}");
            for request in &received {
                true_for(request);
                assert_eq!(request.head().headers["accept-encoding"], "identity");
                let version = if protocol == Protocol::Http1 { "HTTP/1.1" } else { "HTTP/2.0" };
                assert_eq!(format!("{:?}", request.head().version), version);
            }
            let keys = received.iter().map(|request| request.head().headers["idempotency-key"].clone());
            let [first, second] = &keys.collect::<Vec<_>>()[..] else { panic!() };
            assert!(first == "one" && second != first, "each round has its own");
        }
    }
}

#[tokio::test]
async fn of_an_exact_rewrite_leave_codings_to_the_client() {
    for protocol in PROTOCOLS {
        let bed =
            Bed::speaking(protocol, Around::Client, layer(), script(|_, _| Turn::text("Done.").into())).await;
        let talk = Talk::about(Dialect::OpenAi, &output(Kind::IndentedRows, 3, 80));
        let mut request = bed.post(Dialect::OpenAi.path(), talk.body(false));
        request.extensions_mut().insert(RequestPolicy::exact());
        for (name, value) in KEPT.into_iter().chain(STALE).chain([("accept-encoding", "gzip, br")]) {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        within(bed.send(request)).await.unwrap().end().await.unwrap();
        let received = bed.provider.last();
        assert!(received.body().len() < talk.body(false).len() && handles(&received).is_empty());
        true_for(&received);
        assert_eq!(received.head().headers["accept-encoding"], "gzip, br");
    }
}

/// Nothing to rewrite, not ours to rewrite, or not ours to answer: the head goes out as it came.
#[tokio::test]
async fn of_an_untouched_request_are_the_clients() {
    let mut idle = Talk::new(Dialect::Anthropic);
    idle.body.as_object_mut().unwrap().remove("tools");
    let bulk = Talk::about(Dialect::Anthropic, &log(1));
    for protocol in PROTOCOLS {
        for around in [Around::Client, Around::Router] {
            for (talk, more, skipped) in [
                (&idle, ("content-encoding", "identity"), None),
                (&bulk, ("content-encoding", "compress"), Some(Skipped::Encoded)),
                (&bulk, ("authorization", "AWS4-HMAC-SHA256 Credential=x"), Some(Skipped::Signed)),
                (&bulk, ("signature-input", "sig1=()"), Some(Skipped::Signed)),
            ] {
                let answers = script(|_, _| Turn::text("Done.").into());
                let bed = Bed::speaking(protocol, around, layer(), answers).await;
                let mut request = bed.post(Dialect::Anthropic.path(), talk.body(false));
                let digests = STALE[4..].iter().copied();
                for (name, value) in
                    KEPT.into_iter().chain(digests).chain([("accept-encoding", "gzip, br"), more])
                {
                    request.headers_mut().insert(name, value.parse().unwrap());
                }
                let expected = request.headers().clone();
                let heard = within(bed.send(request)).await.unwrap();
                assert_eq!(heard.report().skipped(), skipped, "{more:?}");
                assert_eq!(heard.answer(Dialect::Anthropic).await.unwrap().text(), "Done.");
                let received = bed.provider.last();
                assert_eq!(received.body(), &talk.body(false));
                let mut headers = received.head().headers.clone();
                let length = headers.remove("content-length").unwrap();
                assert_eq!(length, talk.body(false).len().to_string().as_str());
                headers.remove("host");
                assert_eq!(headers, expected, "{protocol:?} {around:?}");
            }
        }
    }
}

/// A client that waits for `100 Continue` and sends chunks, byte by byte over a socket.
#[tokio::test]
async fn of_a_chunked_request_that_expects_to_continue() {
    let bed = Bed::new(Around::Router, layer(), script(|_, _| Turn::text("Done.").into())).await;
    bed.sends(&[http::header::CONTENT_TYPE, http::header::CONNECTION]);
    let address = bed.base().replace("http://", "");
    let mut socket = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    within(socket.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    for chunk in Talk::about(Dialect::Anthropic, &log(1)).body(false).chunks(1000) {
        socket.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
        socket.write_all(chunk).await.unwrap();
        socket.write_all(b"\r\n").await.unwrap();
    }
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within(socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Done."), "{answer}");
    let received = bed.provider.last();
    assert!(!handles(&received).is_empty(), "it was rewritten");
    let headers = &received.head().headers;
    assert_eq!(headers["content-length"], received.body().len().to_string().as_str());
    for name in ["expect", "transfer-encoding"] {
        assert!(!headers.contains_key(name), "{name}");
    }
}

/// An answer spelled here, so that its headers can be anything.
pub(crate) fn answer(dialect: Dialect, stream: bool, call: Option<&str>) -> String {
    let text = "Done.";
    let arguments = call.map(|handle| json!({"handle": handle}).to_string());
    let id = format!("{OURS}0");
    let name = headroom_tests::provider::RETRIEVAL_TOOL;
    match (dialect, stream) {
        (Dialect::Anthropic, false) => {
            let (block, stop) = match &arguments {
                Some(input) => {
                    let input: Value = serde_json::from_str(input).unwrap();
                    (json!({"type": "tool_use", "id": id, "name": name, "input": input}), "tool_use")
                }
                None => (json!({"type": "text", "text": text}), "end_turn"),
            };
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [block],
                   "stop_reason": stop, "usage": {"input_tokens": 1, "output_tokens": 1}})
            .to_string()
        }
        (Dialect::Anthropic, true) => {
            let (block, delta, stop) = match &arguments {
                Some(input) => (
                    json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
                    json!({"type": "input_json_delta", "partial_json": input}),
                    "tool_use",
                ),
                None => (
                    json!({"type": "text", "text": ""}),
                    json!({"type": "text_delta", "text": text}),
                    "end_turn",
                ),
            };
            [
                json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}}),
                json!({"type": "content_block_start", "index": 0, "content_block": block}),
                json!({"type": "content_block_delta", "index": 0, "delta": delta}),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 1}}),
                json!({"type": "message_stop"}),
            ]
            .iter()
            .map(|data| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()))
            .collect()
        }
        (_, false) => {
            let (message, stop) = match &arguments {
                Some(arguments) => (
                    json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]}),
                    "tool_calls",
                ),
                None => (json!({"role": "assistant", "content": text}), "stop"),
            };
            json!({"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": stop}],
                   "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
            .to_string()
        }
        (_, true) => {
            let (delta, stop) = match &arguments {
                Some(arguments) => (
                    json!({"role": "assistant", "tool_calls": [{"index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]}),
                    "tool_calls",
                ),
                None => (json!({"role": "assistant", "content": text}), "stop"),
            };
            let chunk = |delta: Value, stop: Value| {
                format!(
                    "data: {}\n\n",
                    json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": stop}]})
                )
            };
            chunk(delta, Value::Null) + &chunk(json!({}), stop.into()) + "data: [DONE]\n\n"
        }
    }
}

const OF_THE_BYTES: [(&str, &str); 8] = [
    ("etag", "\"x\""),
    ("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT"),
    ("content-md5", "x"),
    ("digest", "x"),
    ("content-digest", "x"),
    ("repr-digest", "x"),
    ("accept-ranges", "bytes"),
    ("content-range", "bytes 0-9/10"),
];

pub(crate) fn reply(stream: bool, body: String, more: &[(&'static str, &'static str)]) -> Reply {
    let kind = if stream { "text/event-stream" } else { "application/json; charset=utf-8" };
    let own = [("content-type", kind), ("request-id", "req_1"), ("cache-control", "no-cache")];
    let headers = own.into_iter().chain(OF_THE_BYTES).chain(more.iter().copied());
    let headers = headers.map(|(name, value)| (name, value.to_owned())).collect();
    Reply::Raw { status: 200, headers, body: body.into_bytes() }
}

#[tokio::test]
async fn of_a_spliced_answer_are_true_and_the_providers() {
    for protocol in PROTOCOLS {
        for around in [Around::Client, Around::Router] {
            // The dialects that are spelled here.
            for (dialect, stream) in MANNERS.into_iter().take(4) {
                for asks in [false, true] {
                    let answers = script(move |n, request| {
                        let handle = handles(request)[0].to_string();
                        let call = (asks && n == 0).then_some(handle.as_str());
                        reply(stream, answer(dialect, stream, call), &[])
                    });
                    let bed = Bed::speaking(protocol, around, layer(), answers).await;
                    let heard = bed.ask(dialect, Talk::about(dialect, &log(1)).body(stream)).await;
                    let headers: HeaderMap = heard.head.headers.clone();
                    assert_eq!(
                        (&headers["request-id"], &headers["cache-control"]),
                        (&"req_1".parse().unwrap(), &"no-cache".parse().unwrap())
                    );
                    let length = headers.get("content-length").cloned();
                    let bytes = heard.bytes().await;
                    assert!(String::from_utf8_lossy(&bytes).contains("Done."));
                    assert_eq!(bed.provider.received().len(), 1 + usize::from(asks));
                    match length {
                        Some(length) => assert_eq!(length, bytes.len().to_string().as_str()),
                        None => assert!(stream, "only the end of a stream tells its length"),
                    }
                    // A stream's head is gone before anyone knows whether the model asks.
                    for (name, _) in OF_THE_BYTES {
                        assert_eq!(headers.contains_key(name), !asks && !stream, "{name} {protocol:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn of_an_encoded_answer_are_as_they_came() {
    for (dialect, stream) in MANNERS {
        let bytes = "\u{1f}\u{8b} not for us".to_owned();
        let body = bytes.clone();
        let answers = script(move |_, _| reply(stream, body.clone(), &[("content-encoding", "compress")]));
        let bed = Bed::client(layer(), answers).await;
        let heard = bed.ask(dialect, Talk::about(dialect, &log(1)).body(stream)).await;
        assert_eq!(heard.report().unintercepted(), Some(Unintercepted::Encoded));
        for (name, value) in OF_THE_BYTES.into_iter().chain([("content-encoding", "compress")]) {
            assert_eq!(heard.header(name), Some(value));
        }
        assert_eq!(heard.bytes().await, bytes);
    }
}

/// The first round's head stands before a streamed answer, the last round's before a whole one.
#[tokio::test]
async fn one_head_for_all_rounds() {
    for (dialect, stream) in MANNERS {
        let answers = script(move |n, request| match n {
            0 => Turn::new([words("Hm. "), fetch(request, 0)]).into(),
            _ => Turn::text("Done.").into(),
        });
        let bed = Bed::client(layer(), answers).await;
        let heard = bed.ask(dialect, Talk::about(dialect, &log(1)).body(stream)).await;
        let name = match dialect {
            Dialect::Anthropic => "request-id",
            Dialect::Converse => "x-amzn-requestid",
            _ => "x-request-id",
        };
        let round = if stream { 1 } else { 2 };
        assert_eq!(heard.header(name), Some(format!("req_{round:024}").as_str()));
        heard.answer(dialect).await.unwrap();
    }
}
