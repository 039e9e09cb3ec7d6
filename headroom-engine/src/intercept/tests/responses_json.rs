use super::*;

/// An item of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum I {
    Text(&'static str),
    Think,
    Ours(&'static str),
    /// Ours, with these arguments.
    Asks(&'static str, &'static str),
    Client(&'static str),
    Custom(&'static str),
    Search,
}

impl I {
    pub(super) fn json(self, of: &str, at: usize) -> Value {
        let id = |kind: &str| format!("{kind}_{of}{at}");
        let call = |call: &str, name: &str, arguments: &str| {
            let id = if name == TOOL { format!("ours_fc{of}{at}") } else { id("fc") };
            json!({"id": id, "type": "function_call", "status": "completed", "call_id": call, "name": name,
                "arguments": arguments})
        };
        match self {
            Self::Text(text) => json!({"id": id("msg"), "type": "message", "status": "completed",
                "role": "assistant", "phase": "final_answer",
                "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]}),
            Self::Think => json!({"id": id("rs"), "type": "reasoning", "summary": [],
                "encrypted_content": format!("sealed {of}{at}")}),
            Self::Ours(call_id) => call(call_id, TOOL, &wanted()),
            Self::Asks(call_id, arguments) => call(call_id, TOOL, arguments),
            Self::Client(call_id) => call(call_id, "run", "{\"n\": 1.5}"),
            Self::Custom(call_id) => {
                json!({"id": id("ctc"), "type": "custom_tool_call", "status": "completed",
                "call_id": call_id, "name": "raw", "input": "n = 1"})
            }
            Self::Search => json!({"id": id("ws"), "type": "web_search_call", "status": "completed",
                "action": {"type": "search", "query": "x"}}),
        }
    }
}

/// One answer: id, items, status.
#[derive(Clone, Debug)]
pub(super) struct R(pub(super) &'static str, pub(super) Vec<I>, pub(super) &'static str);

impl R {
    pub(super) fn items(&self) -> Vec<Value> {
        self.1.iter().enumerate().map(|(at, item)| item.json(self.0, at)).collect()
    }

    /// The answer with this output, as events and documents hold it.
    pub(super) fn answer(&self, status: &str, output: &[Value]) -> Value {
        let usage = json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 3},
            "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 17});
        let usage = if status == "in_progress" { Value::Null } else { usage };
        json!({
            "id": format!("resp_{}", self.0), "object": "response", "created_at": 1, "status": status,
            "model": format!("model {}", self.0), "output": output, "store": false, "instructions": "sys",
            "tool_choice": "auto", "parallel_tool_calls": true, "usage": usage,
            "tools": [{"type": "function", "name": "run"},
                {"type": "function", "name": TOOL, "description": "ours_", "strict": false, "parameters": {}}],
        })
    }

    pub(super) fn json(&self) -> Option<String> {
        Some(self.answer(self.2, &self.items()).to_string())
    }
}

pub(super) fn answer(id: &'static str, items: &[I]) -> R {
    R(id, items.to_vec(), "completed")
}

fn run(answers: &[R]) -> (Outcome, Value) {
    let outcome = Script::responses().json(&answers.iter().map(R::json).collect::<Vec<_>>());
    outcome.assert_nothing_leaks();
    let value = outcome.value();
    assert_eq!(value["tools"], json!([{"type": "function", "name": "run"}]));
    assert_eq!((&value["tool_choice"], &value["instructions"]), (&json!("auto"), &json!("sys")));
    (outcome, value)
}

/// The items that a follow-up puts behind the request.
fn added(outcome: &Outcome, at: usize) -> Vec<Value> {
    outcome.sent(at)["input"].as_array().unwrap()[1..].to_vec()
}

#[test]
fn an_answer_without_a_call_of_ours_loses_only_our_definition() {
    let answer = answer("a", &[I::Think, I::Text("hi"), I::Client("c1"), I::Search]);
    let (outcome, value) = run(std::slice::from_ref(&answer));
    let mut expected: Value = serde_json::from_str(&answer.json().unwrap()).unwrap();
    expected["tools"].as_array_mut().unwrap().pop();
    assert_eq!((value, outcome.sent.len()), (expected, 0));
    for text in ["{\"error\": {}}", "[]", "x", "{\"output\": 7}"] {
        let body = Bytes::from(text);
        let mut exchange = Script::responses().continuation(&Arc::default()).json();
        assert_eq!(exchange.response(body.clone()), Step::Done);
        assert_eq!(exchange.into_body().as_ptr(), body.as_ptr());
    }
}

#[test]
fn the_turn_is_echoed_verbatim_and_the_rounds_are_one_answer() {
    let first = answer("a", &[I::Think, I::Text("let me look"), I::Ours("ours_1"), I::Ours("ours_2")]);
    let last = answer("b", &[I::Think, I::Text("it is 42")]);
    let (outcome, value) = run(&[first.clone(), last.clone()]);
    let sent = added(&outcome, 0);
    assert_eq!(sent[..4], first.items());
    assert_eq!((&sent[4]["type"], &sent[4]["call_id"]), (&json!("function_call_output"), &json!("ours_1")));
    assert!(sent[4]["output"].as_str().unwrap().contains("needle"));
    assert_eq!((&sent[5]["call_id"], sent.len()), (&json!("ours_2"), 6));
    assert_eq!((&value["id"], &value["model"]), (&json!("resp_a"), &json!("model a")));
    assert_eq!(
        value["output"],
        json!([first.items()[0], first.items()[1], last.items()[0], last.items()[1]])
    );
    assert_eq!((&value["usage"]["output_tokens"], &value["usage"]["total_tokens"]), (&json!(14), &json!(24)));
    assert_eq!(outcome.report.cache_read, 6);
    assert_eq!(outcome.visible, [Item::Text("let me look".into()), Item::Text("it is 42".into())]);
}

#[test]
fn a_string_becomes_items_for_the_follow_up() {
    let mut script = Script::responses();
    script.request["input"] = "find\n\"it\"".into();
    let outcome = script.json(&[
        answer("a", &[I::Ours("ours_1")]).json(),
        answer("b", &[I::Ours("ours_2")]).json(),
        answer("c", &[I::Text("42")]).json(),
    ]);
    let input = outcome.sent(0)["input"].clone();
    assert_eq!(input[0], json!({"role": "user", "content": "find\n\"it\""}));
    assert_eq!(input.as_array().unwrap().len(), 3);
    let again = outcome.sent(1)["input"].clone();
    assert_eq!((again.as_array().unwrap().len(), &again[2]), (5, &input[2]));
}

#[test]
fn reasoning_that_cannot_come_back_is_not_sent_back() {
    let unsealed = |answer: R| answer.json().map(|text| text.replace("\"sealed a0\"", "null"));
    let ask = answer("a", &[I::Think, I::Ours("ours_1")]);
    let outcome = Script::responses().json(&[unsealed(ask.clone()), answer("b", &[I::Text("x")]).json()]);
    let sent = added(&outcome, 0);
    assert_eq!((&sent[0]["type"], sent[0].get("id")), (&json!("function_call"), None));
    let stored = unsealed(ask).map(|text| text.replace("\"store\":false", "\"store\":true"));
    let outcome = Script::responses().json(&[stored, answer("b", &[I::Text("x")]).json()]);
    assert_eq!(added(&outcome, 0)[0]["type"], "reasoning");
}

#[test]
fn ours_beside_the_clients_are_kept_for_its_return() {
    for other in [I::Client("c1"), I::Custom("c1")] {
        for items in [[I::Ours("ours_1"), other], [other, I::Ours("ours_1")]] {
            let (outcome, value) = run(&[answer("a", &items)]);
            assert_eq!(value["output"].as_array().unwrap().len(), 1);
            assert_eq!((&value["output"][0]["call_id"], outcome.records.len()), (&json!("c1"), 1));
        }
    }
}

#[test]
fn what_the_provider_runs_itself_is_not_waited_for() {
    let mut first: Value = serde_json::from_str(&answer("a", &[I::Ours("ours_1")]).json().unwrap()).unwrap();
    let output = first["output"].as_array_mut().unwrap();
    output.insert(
        0,
        json!({"type": "shell_call", "id": "sh", "call_id": "s1", "action": {"commands": ["ls"]}}),
    );
    output.insert(1, json!({"type": "shell_call_output", "id": "so", "call_id": "s1", "output": []}));
    let outcome = Script::responses().json(&[Some(first.to_string()), answer("b", &[I::Text("x")]).json()]);
    assert_eq!(outcome.sent.len(), 1);
    assert_eq!(outcome.value()["output"].as_array().unwrap().len(), 3);
}

#[test]
fn what_is_left_is_a_valid_answer() {
    let again = |id| answer(id, &[I::Ours("ours_1")]);
    let (outcome, value) = run(&[again("a"), again("b"), again("c"), again("d"), again("e")]);
    assert_eq!(value["output"][0]["content"][0]["text"], "(no answer)");
    assert_eq!(
        (&value["output"][0]["id"], &value["output"][0]["role"]),
        (&json!("msg_a"), &json!("assistant"))
    );
    assert!(outcome.report.limit_hit);
    let (_, cut) = run(&[R("a", vec![I::Text("so far"), I::Ours("ours_1")], "incomplete")]);
    assert_eq!((&cut["status"], cut["output"].as_array().unwrap().len()), (&json!("incomplete"), 1));
    let (outcome, _) = run(&[answer("a", &[I::Asks("ours_1", "nonsense")]), answer("b", &[I::Text("x")])]);
    assert_eq!(outcome.report.malformed, 1);
}

#[test]
fn of_structured_output_only_the_last_text_is_kept() {
    let mut script = Script::responses();
    script.request["text"] = json!({"format": {"type": "json_schema"}});
    let outcome = script.json(&[
        answer("a", &[I::Text("{"), I::Ours("ours_1")]).json(),
        answer("b", &[I::Text("{\"a\":1}")]).json(),
    ]);
    assert_eq!(outcome.value()["output"][0]["content"][0]["text"], "{\"a\":1}");
    assert_eq!(outcome.value()["output"].as_array().unwrap().len(), 1);
}

#[test]
fn a_name_in_a_namespace_and_a_custom_tool_are_the_clients() {
    for other in ["\"namespace\":\"mine\",\"type\":\"function_call\"", "\"type\":\"custom_tool_call\""] {
        let text = answer("a", &[I::Ours("c1")]).json().unwrap().replace("\"type\":\"function_call\"", other);
        let outcome = Script::responses().json(&[Some(text)]);
        assert_eq!((outcome.sent.len(), outcome.value()["output"][0]["call_id"].as_str()), (0, Some("c1")));
    }
}
