use super::*;

/// One answer: id, text, calls as (id, name, arguments), finish reason.
#[derive(Debug)]
pub(super) struct C(
    pub(super) &'static str,
    pub(super) Option<&'static str>,
    pub(super) Vec<(&'static str, &'static str, String)>,
    pub(super) &'static str,
);

impl C {
    pub(super) fn json(&self) -> Option<String> {
        let calls: Vec<Value> = self
            .2
            .iter()
            .map(|(id, name, arguments)| {
                json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
            })
            .collect();
        let mut message = json!({"role": "assistant", "content": self.1, "refusal": null});
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        Some(
            json!({
                "id": self.0, "object": "chat.completion", "created": 1, "model": format!("model {}", self.0),
                "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": self.3}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17,
                    "prompt_tokens_details": {"cached_tokens": 3}},
            })
            .to_string(),
        )
    }
}

fn ours(id: &'static str) -> (&'static str, &'static str, String) {
    (id, TOOL, wanted())
}

fn client(id: &'static str) -> (&'static str, &'static str, String) {
    (id, "run", "{\"n\": 1.5}".to_owned())
}

fn run(answers: &[C]) -> Outcome {
    let outcome = Script::openai().json(&answers.iter().map(C::json).collect::<Vec<_>>());
    outcome.assert_nothing_leaks();
    outcome
}

#[test]
fn an_answer_without_a_call_of_ours_is_the_same_bytes() {
    let two = r#"{"choices":[{"message":{}},{"message":{}}]}"#.to_owned();
    for text in
        [C("a", Some("hi"), vec![client("c")], "tool_calls").json().unwrap(), r#"{"choices":[]}"#.into(), two]
    {
        let body = Bytes::from(text);
        let mut exchange = Script::openai().continuation(&Arc::default()).json();
        assert_eq!(exchange.response(body.clone()), Step::Done);
        assert_eq!(exchange.into_body().as_ptr(), body.as_ptr(), "edge 48");
    }
}

#[test]
fn edge_27_34_49_texts_are_joined_and_the_turn_is_echoed_verbatim() {
    let outcome = run(&[
        C("a", Some("let me look"), vec![ours("ours_1"), ours("ours_2")], "tool_calls"),
        C("b", Some("\n it is 42"), vec![], "stop"),
    ]);
    let sent = outcome.sent(0);
    let messages = sent["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4);
    assert_eq!((&messages[2]["role"], &messages[2]["tool_call_id"]), (&json!("tool"), &json!("ours_1")));
    assert_eq!(messages[3]["tool_call_id"], "ours_2");
    assert!(messages[2]["content"].as_str().unwrap().contains("needle"));
    let body = outcome.value();
    assert_eq!((&body["id"], &body["model"]), (&json!("a"), &json!("model a")));
    assert_eq!(body["choices"][0]["message"]["content"], "let me look\n\nit is 42");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["completion_tokens"], 14);
    assert_eq!(body["usage"]["total_tokens"], 24);
    assert_eq!(outcome.report.cache_read, 6);
    assert_eq!(outcome.visible, [Item::Text("let me look".into()), Item::Text("\n\nit is 42".into())]);
}

#[test]
fn edge_35_ours_beside_the_clients_are_kept_for_its_return() {
    for calls in [vec![ours("ours_1"), client("c1")], vec![client("c1"), ours("ours_1")]] {
        let outcome = run(&[C("a", None, calls, "tool_calls")]);
        let body = outcome.value();
        let choice = &body["choices"][0];
        assert_eq!(choice["message"]["tool_calls"].as_array().unwrap().len(), 1);
        assert_eq!(choice["message"]["tool_calls"][0]["id"], "c1");
        assert_eq!(
            (&choice["message"]["content"], &choice["finish_reason"]),
            (&Value::Null, &json!("tool_calls"))
        );
        assert_eq!(outcome.records.len(), 1);
    }
}

#[test]
fn edge_37_38_43_what_is_left_is_a_valid_message() {
    let again = |id| C(id, None, vec![ours("ours_1")], "tool_calls");
    let outcome = run(&[again("a"), again("b"), again("c"), again("d"), again("e")]);
    let body = outcome.value();
    assert_eq!(
        body["choices"][0]["message"],
        json!({"role": "assistant", "content": "(no answer)", "refusal": null})
    );
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert!(outcome.report.limit_hit);
    let cut = run(&[C("a", Some("so far"), vec![ours("ours_1")], "length")]).value();
    assert_eq!(
        cut["choices"][0]["message"],
        json!({"role": "assistant", "content": "so far", "refusal": null})
    );
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
}

#[test]
fn edge_29_arguments_that_are_no_json_get_an_error() {
    for bad in ["", "null", "[]", "{\"handle", "{}"] {
        let outcome = run(&[
            C("a", None, vec![("ours_1", TOOL, bad.to_owned())], "tool_calls"),
            C("b", Some("x"), vec![], "stop"),
        ]);
        assert_eq!(outcome.report.malformed, 1);
        assert!(outcome.result(0, 0).starts_with("Error"));
    }
}

#[test]
fn edge_46_fields_we_do_not_know_are_echoed_and_those_of_the_last_pass() {
    let with = |answer: C, field: &str| answer.json().unwrap().replace("\"refusal\":null", field);
    let outcome = Script::openai().json(&[
        Some(with(
            C("a", None, vec![ours("ours_1")], "tool_calls"),
            "\"reasoning_content\":\"r1\",\"refusal\":null",
        )),
        Some(with(C("b", Some("x"), vec![], "stop"), "\"reasoning_content\":\"r2\",\"refusal\":null")),
    ]);
    assert_eq!(outcome.sent(0)["messages"][1]["reasoning_content"], "r1");
    assert_eq!(outcome.value()["choices"][0]["message"]["reasoning_content"], "r2");
}

#[test]
fn edge_47_of_structured_output_only_the_last_text_is_kept() {
    let mut script = Script::openai();
    script.request["response_format"] = json!({"type": "json_object"});
    let outcome = script.json(&[
        C("a", Some("{"), vec![ours("ours_1")], "tool_calls").json(),
        C("b", Some("{\"a\":1}"), vec![], "stop").json(),
    ]);
    assert_eq!(outcome.value()["choices"][0]["message"]["content"], "{\"a\":1}");
}

#[test]
fn custom_tools_are_the_clients() {
    let text = C("a", None, vec![], "tool_calls").json().unwrap();
    let custom = format!(
        r#""refusal":null,"tool_calls":[{{"id":"x","type":"custom","custom":{{"name":"{TOOL}","input":"1"}}}}]"#
    );
    let text = text.replace("\"refusal\":null", &custom);
    assert_eq!(Script::openai().json(&[Some(text.clone())]).text(), text);
}
