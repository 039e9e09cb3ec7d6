//! What an exchange holds of a stream: nothing of what has passed but the model's own turn, which a
//! follow-up must repeat.

use std::{alloc::System, collections::VecDeque};

use bytes::Bytes;
use headroom_engine::Dialect;
use headroom_tests::fuzz::exchange;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What one stream may hold beside the turn.
const MOST: usize = 256 << 10;
const FRAMES: usize = 20_000;

/// Says by how much a stream holds too much.
pub(crate) fn problems() -> Vec<String> {
    let dialects =
        [Dialect::AnthropicMessages, Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Gemini];
    let mut problems = Vec::new();
    for dialect in dialects {
        let noise =
            |_: usize| format!(": {}\n\nevent: ping\ndata: {{\"type\": \"ping\"}}\n\n", "x".repeat(200));
        let texts = |at: usize| said(dialect, at);
        for (name, frame, turn) in
            [("noise", &noise as &dyn Fn(usize) -> String, 0), ("text", &texts, TEXT.len())]
        {
            let held = held(dialect, frame);
            // A string that grows holds up to twice its text, and the turn is kept as text and as JSON.
            let most = MOST + 4 * turn * FRAMES;
            println!("fuzz memory          {:17} {name}: {} KiB held", dialect.name(), held >> 10);
            if held > most {
                problems.push(format!("{} bytes of {name}, {held} held", dialect.name()));
            }
        }
    }
    problems
}

const TEXT: &str = "a few words of an answer, ";

/// One event of a text that goes on.
fn said(dialect: Dialect, at: usize) -> String {
    let data = match (dialect, at) {
        (Dialect::AnthropicMessages, 0) => {
            return concat!(
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"role\":\"assistant\",\"content\":[],\"usage\":{}}}\n\n",
                "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
            )
            .to_owned();
        }
        (Dialect::OpenAiResponses, 0) => {
            return concat!(
                "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"output\":[]}}\n\n",
                "data: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"i\",\"content\":[]}}\n\n"
            )
            .to_owned();
        }
        (Dialect::OpenAiChat, _) => format!(
            r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":"{TEXT}"}},"finish_reason":null}}]}}"#
        ),
        (Dialect::OpenAiResponses, at) => format!(
            r#"{{"type":"response.output_text.delta","sequence_number":{},"item_id":"i","output_index":0,"content_index":0,"delta":"{TEXT}"}}"#,
            at + 1
        ),
        (Dialect::Gemini, _) => {
            format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{TEXT}"}}],"role":"model"}},"index":0}}]}}"#
            )
        }
        _ => format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{TEXT}"}}}}"#
        ),
    };
    format!("data: {data}\n\n")
}

/// The most bytes held between two chunks.
fn held(dialect: Dialect, frame: &dyn Fn(usize) -> String) -> usize {
    let mut exchange = exchange(dialect);
    let region = Region::new(ALLOCATOR);
    let mut out = VecDeque::new();
    let mut most = 0;
    for at in 0..FRAMES {
        exchange.push(Bytes::from(frame(at)), &mut out);
        out.clear();
        let change = region.change();
        most = most.max(change.bytes_allocated.saturating_sub(change.bytes_deallocated));
    }
    most
}
