//! Thinking is bound to what came before it.

use headroom_tests::{
    Dialect::Anthropic,
    provider::{Block, Provider, Turn},
};
use serde_json::{Value, json};

use super::{ask, request, says};

/// A second request: what the model thought and said, and the user's next words.
async fn after_thinking(provider: &Provider, model: &str) -> Value {
    let mut body = request(Anthropic);
    body["model"] = model.into();
    body["system"] = "Be brief.".into();
    let answer = ask(provider, Anthropic, &body).await.unwrap();
    assert!(answer.message()["content"][0]["signature"].as_str().unwrap().len() > 64);
    body["messages"]
        .as_array_mut()
        .unwrap()
        .extend([answer.message().clone(), json!({"role": "user", "content": "And then?"})]);
    body
}

async fn thinker() -> Provider {
    Provider::start(says(Turn::new([Block::Thinking("Hm.".into()), Block::Text("Done.".into())]))).await
}

#[tokio::test]
async fn a_changed_prefix_is_refused() {
    let provider = thinker().await;
    let body = after_thinking(&provider, "claude-opus-5-5").await;
    ask(&provider, Anthropic, &body).await.unwrap();
    let changes: [fn(&mut Value); 5] = [
        |body| body["system"] = "Be brief".into(),
        |body| body["tools"][0]["description"] = "Looks up.".into(),
        |body| body["messages"][0]["content"] = "Hi!".into(),
        |body| {
            body["messages"].as_array_mut().unwrap().insert(0, json!({"role": "user", "content": "First"}))
        },
        |body| {
            let answer = body["messages"][1].clone();
            body["messages"]
                .as_array_mut()
                .unwrap()
                .extend([answer, json!({"role": "user", "content": "x"})]);
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut body = body.clone();
        change(&mut body);
        let error = ask(&provider, Anthropic, &body).await.unwrap_err();
        assert!(error.0.contains("bound to a different conversation"), "change {number}: {error}");
    }
}

#[tokio::test]
async fn what_does_not_change_the_prompt_is_allowed() {
    let provider = thinker().await;
    let body = after_thinking(&provider, "claude-opus-5-5").await;
    let changes: [fn(&mut Value); 5] = [
        |body| body["cache_control"] = json!({"type": "ephemeral"}),
        |body| {
            body["messages"][0]["content"] =
                json!([{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]);
        },
        |body| body["system"] = json!([{"type": "text", "text": "Be brief."}]),
        |body| body["max_tokens"] = 7.into(),
        |body| {
            body["messages"][1]["content"].as_array_mut().unwrap().remove(0);
        },
    ];
    for change in changes {
        let mut body = body.clone();
        change(&mut body);
        ask(&provider, Anthropic, &body).await.unwrap();
    }
}

#[tokio::test]
async fn older_models_check_the_thinking_alone() {
    let provider = thinker().await;
    let mut body = after_thinking(&provider, "claude-sonnet-4-5").await;
    body["messages"][0]["content"] = "Hi!".into();
    ask(&provider, Anthropic, &body).await.unwrap();
    body["messages"][1]["content"][0]["thinking"] = "Hm!".into();
    let error = ask(&provider, Anthropic, &body).await.unwrap_err();
    assert!(
        error.0.contains("Invalid `signature`") && !error.0.contains("different conversation"),
        "{error}"
    );
}

#[tokio::test]
async fn forged_thinking_is_refused() {
    let provider = thinker().await;
    let mut body = after_thinking(&provider, "claude-opus-5-5").await;
    body["messages"][1]["content"][0]["thinking"] = "Hm!".into();
    let error = ask(&provider, Anthropic, &body).await.unwrap_err();
    assert!(
        error.0.contains("Invalid `signature`") && !error.0.contains("different conversation"),
        "{error}"
    );
}
