//! Dialects whose turns the wire finds: what a client sends back leads to the record, and with it
//! the request begins as the follow-up did.

use super::{
    gemini::{G, P},
    record::{TurnView, restore},
    responses_json::{I, answer},
    *,
};
use crate::{align::Dynamic, history::Chain};

/// The request of the next turn, with what the ledger knows put back into its second message.
fn returned(script: &Script, outcome: &Outcome, behind: &[Value]) -> Option<Vec<Value>> {
    let key = list(script.dialect);
    let mut request = script.request.clone();
    request[key].as_array_mut().unwrap().extend_from_slice(behind);
    let body = request.to_string();
    let read = crate::wire::read(script.dialect, &body).unwrap();

    let mut chain = Chain::new(&HandleKey::default(), "model", &[]);
    chain.push_message(&body, &read.messages[0], &Dynamic::default(), &mut |_| [0; 32]);
    let expected = chain.turn(&outcome.visible);
    chain.push_message(&body, &read.messages[1], &Dynamic::default(), &mut |_| [0; 32]);
    if chain.key() != expected {
        return None;
    }
    let next = read.messages.get(2).map(|next| next.span.clone());
    let turn =
        TurnView { dialect: script.dialect, body: &body, message: read.messages[1].span.clone(), next };
    let whole = super::super::raw::splice(&body, restore(&outcome.records[0].value, &turn)?);
    let whole: Value = serde_json::from_str(&whole).unwrap_or_else(|_| panic!("not JSON: {whole}"));
    Some(whole[key].as_array().unwrap().clone())
}

fn list(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiResponses => "input",
        Dialect::Gemini => "contents",
        _ => "messages",
    }
}

fn sent(outcome: &Outcome, at: usize, dialect: Dialect) -> Vec<Value> {
    outcome.sent(at)[list(dialect)].as_array().unwrap().clone()
}

#[test]
fn edge_71_72_responses_begin_with_what_the_follow_up_carried() {
    let script = Script::responses();
    let outcome = script.json(&[
        answer("a", &[I::Think, I::Text("let me look"), I::Ours("ours_1")]).json(),
        answer("b", &[I::Think, I::Search, I::Ours("ours_2")]).json(),
        answer("c", &[I::Think, I::Text("it is 42"), I::Text("really")]).json(),
    ]);
    let output: Vec<Value> = outcome.value()["output"].as_array().unwrap().clone();
    let before = sent(&outcome, 1, script.dialect);
    let trimmed: Vec<Value> = output
        .iter()
        .filter(|item| item["type"] != "reasoning")
        .map(|item| match item["content"][0]["text"].as_str() {
            Some(text) => json!({"role": "assistant", "content": format!("{text}\n")}),
            None => item.clone(),
        })
        .collect();
    for (turn, left) in [(&output, 3), (&trimmed, 2)] {
        let mut turn = turn.clone();
        turn.push(json!({"role": "user", "content": "thanks"}));
        let whole = returned(&script, &outcome, &turn).expect("applies");
        assert_eq!(whole[..before.len()], before[..]);
        assert_eq!(whole.len(), before.len() + left + 1);
    }
    for other in [vec![], vec![json!({"role": "assistant", "content": "no"})], output[..2].to_vec()] {
        let mut turn = other;
        turn.push(json!({"role": "user", "content": "thanks"}));
        assert_eq!(returned(&script, &outcome, &turn), None, "edge 73");
    }
}

#[test]
fn edge_75_mixed_responses_get_our_call_and_our_result_back() {
    let script = Script::responses();
    for alone in [true, false] {
        let mut answers = vec![
            answer("a", &[I::Think, I::Ours("ours_1")]).json(),
            answer("b", &[I::Think, I::Client("c1"), I::Ours("ours_2"), I::Custom("c2")]).json(),
        ];
        if alone {
            answers.remove(0);
        }
        let outcome = script.json(&answers);
        let mut turn: Vec<Value> = outcome.value()["output"].as_array().unwrap().clone();
        turn.push(json!({"type": "function_call_output", "call_id": "c1", "output": "r"}));
        turn.push(json!({"type": "custom_tool_call_output", "call_id": "c2", "output": "r"}));
        let whole = returned(&script, &outcome, &turn).expect("applies");
        let before = if alone { 1 } else { sent(&outcome, 0, script.dialect).len() };
        let ids: Vec<&str> = whole[before..].iter().filter_map(|item| item["call_id"].as_str()).collect();
        assert_eq!(ids, ["c1", "ours_2", "c2", "ours_2", "c1", "c2"]);
        let answer = whole[before + 4]["output"].as_str().unwrap();
        assert!(answer.contains(if alone { "needle" } else { "earlier result" }));
    }
}

#[test]
fn edge_71_72_gemini_begins_with_what_the_follow_up_carried() {
    let script = Script::gemini();
    let answers = [
        G("a", vec![P::Think, P::Text("let me look"), P::Ours(None)], "STOP"),
        G("b", vec![P::Code, P::Ours(Some("ours_2"))], "STOP"),
        G("c", vec![P::Text("it is 42")], "STOP"),
    ];
    let outcome = script.json(&answers.map(|answer| answer.json()));
    let parts: Vec<Value> = outcome.value()["candidates"][0]["content"]["parts"].as_array().unwrap().clone();
    let before = sent(&outcome, 1, script.dialect);
    let text = |text: &str| json!({"text": text});
    for (turn, left) in [
        (parts, json!([text("it is 42")])),
        // Thoughts dropped, a text cut in two, a text trimmed.
        (vec![text("let "), text("me look"), P::Code.json(), text("it is 42 ")], json!([text("it is 42 ")])),
    ] {
        let turn = json!({"role": "model", "parts": turn});
        let behind = [turn, json!({"role": "user", "parts": [text("thanks")]})];
        let whole = returned(&script, &outcome, &behind).expect("applies");
        assert_eq!(whole[..before.len()], before[..]);
        assert_eq!((&whole[before.len()]["parts"], whole.len()), (&left, before.len() + 2));
    }
    let other = json!({"role": "model", "parts": [text("it is 42")]});
    assert_eq!(returned(&script, &outcome, &[other]), None);
}

#[test]
fn edge_75_mixed_gemini_turns_get_our_call_signature_and_result_back() {
    let script = Script::gemini();
    let signed = P::Signed(&P::Ours(None));
    for first in [[signed, P::Client], [P::Signed(&P::Client), P::Ours(None)]] {
        let outcome = script.json(&[G("a", first.to_vec(), "STOP").json()]);
        let content = outcome.value()["candidates"][0]["content"].clone();
        // Whoever was first, the client's call is signed.
        assert_eq!(content["parts"], json!([P::Signed(&P::Client).json()]));
        let result = json!({"functionResponse": {"name": "run", "response": {"output": "r"}}});
        let behind = [content, json!({"role": "user", "parts": [result]})];
        let whole = returned(&script, &outcome, &behind).expect("applies");
        assert_eq!(whole[1]["parts"], json!(first.map(P::json)));
        assert_eq!(whole[2]["parts"][0]["functionResponse"]["name"], TOOL);
        assert_eq!(whole[2]["parts"][1], result);
    }
}
