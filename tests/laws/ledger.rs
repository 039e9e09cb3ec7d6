//! The prefix law across answers that the layer completed itself: what the upstream saw behind the
//! client's back is put back byte for byte, or the request stays valid without it.

use bytes::Bytes;
use headroom_engine::{Dialect, Record, RequestContext, Rewrite, Route, intercept::Step};
use headroom_tests::{
    clients::Client,
    generate::content::{Kind, output},
    json::{Json, Spelling, elements, only, span},
    places::{DIALECTS, messages},
};
use serde_json::json;

use crate::{
    harness::{Crew, eager, engine, spell, utf8},
    prefix::one_result,
};

fn rewrite(dialect: Dialect, body: &str, records: &[Record]) -> Rewrite {
    let context = RequestContext::new(dialect).route(Route::Intercepted { durable_ledger: true });
    let body = Bytes::copy_from_slice(body.as_bytes());
    let scanned = engine(Crew::Doubles).0.scan(body, &context).expect("a request");
    let known: Vec<Record> =
        records.iter().filter(|record| scanned.ledger_keys().contains(&record.key)).cloned().collect();
    scanned.rewrite(&eager(), &known)
}

/// An answer that calls our tool, or one that ends the turn.
fn answer(dialect: Dialect, says: &str, call: Option<&str>) -> Bytes {
    let name = headroom_engine::TOOL_NAME;
    let arguments = call.map(|handle| json!({"handle": handle}));
    let answer = match dialect {
        Dialect::AnthropicMessages => {
            let mut content = vec![json!({"type": "text", "text": says})];
            content.extend(
                arguments
                    .map(|input| json!({"type": "tool_use", "id": "toolu_9", "name": name, "input": input})),
            );
            let stop = if call.is_some() { "tool_use" } else { "end_turn" };
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
                "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": 9, "output_tokens": 5}})
        }
        Dialect::OpenAiResponses => {
            let part = json!({"type": "output_text", "text": says, "annotations": []});
            let mut output = vec![json!({"id": "msg_1", "type": "message", "role": "assistant",
                "status": "completed", "content": [part]})];
            output.extend(arguments.map(|arguments| {
                json!({"id": "fc_9", "type": "function_call", "status": "completed", "call_id": "call_9",
                    "name": name, "arguments": arguments.to_string()})
            }));
            json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed",
                "output": output, "usage": {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}})
        }
        Dialect::BedrockConverse => {
            let mut content = vec![json!({"text": says})];
            content.extend(
                arguments.map(
                    |input| json!({"toolUse": {"toolUseId": "tooluse_9", "name": name, "input": input}}),
                ),
            );
            let stop = if call.is_some() { "tool_use" } else { "end_turn" };
            json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop,
                "usage": {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14}})
        }
        Dialect::Gemini => {
            let mut parts = vec![json!({"text": says})];
            parts.extend(arguments.map(|args| {
                json!({"functionCall": {"id": "fc_9", "name": name, "args": args}, "thoughtSignature": "c2ln"})
            }));
            json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP",
                "index": 0}], "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 5}})
        }
        _ => {
            let mut message = json!({"role": "assistant", "content": says});
            if let Some(arguments) = &arguments {
                let function = json!({"name": name, "arguments": arguments.to_string()});
                message["tool_calls"] = json!([{"id": "call_9", "type": "function", "function": function}]);
            }
            let finish = if call.is_some() { "tool_calls" } else { "stop" };
            json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}})
        }
    };
    answer.to_string().into()
}

/// The conversation with the answer and one more question, as the client tells it.
fn next_turn(dialect: Dialect, body: &str, answer: &str) -> String {
    let said = match dialect {
        Dialect::AnthropicMessages => {
            format!(r#"{{"role":"assistant","content":{}}}"#, only(answer, "content").unwrap())
        }
        Dialect::BedrockConverse => only(only(answer, "output").unwrap(), "message").unwrap().to_owned(),
        Dialect::OpenAiResponses => elements(only(answer, "output").unwrap()).join(","),
        Dialect::Gemini => {
            only(elements(only(answer, "candidates").unwrap())[0], "content").unwrap().to_owned()
        }
        _ => only(elements(only(answer, "choices").unwrap())[0], "message").unwrap().to_owned(),
    };
    let asks = match dialect {
        Dialect::Gemini => r#"{"role":"user","parts":[{"text":"And now?"}]}"#,
        Dialect::BedrockConverse => r#"{"role":"user","content":[{"text":"And now?"}]}"#,
        _ => r#"{"role":"user","content":"And now?"}"#,
    };
    let at = span(body, messages(body).last().unwrap()).end;
    format!("{},{said},{asks}{}", &body[..at], &body[at..])
}

#[test]
fn what_the_upstream_saw_comes_back_byte_for_byte() {
    for dialect in DIALECTS {
        let body = spell(dialect, &one_result(&output(Kind::Log, 9, 150)), Spelling::COMPACT);
        let first = rewrite(dialect, &body, &[]);
        let handle = first.originals.handles()[0].to_string();
        let mut exchange = first.continuation.expect("an intercepted answer").json();
        let Step::Send(second) = exchange.response(answer(dialect, "Let me look.", Some(&handle))) else {
            panic!("the original is in the request")
        };
        // The follow-up repeats the request, and goes on behind it.
        let (before, seen) = (messages(utf8(&first.body)), messages(utf8(&second)));
        assert_eq!(seen[..before.len()], before[..]);
        // What the model said stands apart from its call where items are flat.
        let turn = if dialect == Dialect::OpenAiResponses { 2 } else { 1 };
        assert_eq!(seen.len(), before.len() + turn + 1, "the call and its result");
        let Step::Remember(records) = exchange.response(answer(dialect, "It was row 7.", None)) else {
            panic!("something to remember")
        };
        assert!(matches!(exchange.remembered(true), Step::Done));
        let answered = exchange.into_body();
        assert!(!utf8(&answered).contains("_9") && !utf8(&answered).contains(headroom_engine::TOOL_NAME));

        let told = next_turn(dialect, &body, utf8(&answered));
        let varied = Client {
            spelling: Spelling::ODD,
            breakpoints: vec![1, 2],
            stream: Some(true),
            choice: headroom_tests::clients::Choice::Auto,
            model: None,
            temperature: Some("1"),
        };
        let restored = rewrite(dialect, &told, &records);
        assert_eq!((restored.report.restored, restored.report.unrestored), (1, 0));
        let now = messages(utf8(&restored.body));
        assert_eq!(now[..seen.len()], seen[..], "the prefix that the upstream saw");
        assert_eq!(now.len(), seen.len() + 2, "its end and the next question");

        // However the client spells it, what comes back is the same, but for its own bytes.
        let respelled = rewrite(dialect, &varied.send(dialect, &told), &records);
        assert_eq!(respelled.report.restored, 1);
        assert_eq!(messages(utf8(&respelled.body)).len(), now.len());

        // Forgotten, or another conversation's: a valid request, the same as if nothing had been.
        let forgetful = rewrite(dialect, &told, &[]);
        let plain = messages(utf8(&forgetful.body));
        assert_eq!(plain[..before.len()], before[..]);
        assert_eq!(plain.len(), messages(&told).len(), "{dialect:?}");
        let mut other = Json::parse(&told);
        let list = ["messages", "input", "contents"].into_iter().find(|key| other.get_mut(key).is_some());
        let first = other.get_mut(list.unwrap()).and_then(|list| list.elements_mut().next()).unwrap();
        match first.get_mut("parts") {
            Some(parts) => parts.elements_mut().for_each(|part| part.set("text", "Something else".into())),
            None => first.set("content", "Something else".into()),
        }
        let elsewhere = rewrite(dialect, &other.spell(Spelling::COMPACT), &records);
        assert_eq!(elsewhere.report.restored, 0, "a record is one conversation's");
    }
}
