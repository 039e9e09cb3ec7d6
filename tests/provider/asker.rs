//! A model that asks for what was left out, and is not content with anything else.

use std::sync::Arc;

use headroom_engine::ccr::{Handle, HandleKey, Marker, Unit};
use headroom_tests::{
    Dialect,
    client::{Answer, Dialogue, http, post, read},
    fixtures::{self, Conversation},
    provider::{Asker, Provider, Question, RETRIEVAL_TOOL, Replay, text_of},
};
use serde_json::{Value, json};

struct Case {
    conversation: Conversation,
    provider: Provider,
    asker: Arc<Asker>,
    source: String,
    body: Value,
}

/// The request of the second turn, its tool result cut to ten lines and a marker.
async fn case(name: &str, question: Question) -> Case {
    let conversation = fixtures::named(name);
    let dialect = conversation.dialect();
    let asker = Arc::new(Asker::new(Replay::new([conversation.clone()]), move |turn| {
        (turn == 1).then(|| question.clone())
    }));
    let provider = Provider::start(Arc::clone(&asker)).await;
    let mut dialogue = Dialogue::new(&conversation).field("max_tokens", "16000");
    dialogue.answered(&send(&provider, dialect, dialogue.request().unwrap()).await);
    let mut body: Value = serde_json::from_slice(&dialogue.request().unwrap()).unwrap();
    let message = body["messages"].as_array_mut().unwrap().iter_mut().next_back().unwrap();
    let slot = match dialect {
        Dialect::Anthropic => &mut message["content"][0]["content"],
        _ => &mut message["content"],
    };
    let source = text_of(slot);
    let lines: Vec<&str> = source.lines().collect();
    assert!(lines.len() > 30);
    let handle = Handle::new(&HandleKey::default(), "log", &source);
    let marker = Marker::new(Unit::Lines, 11, lines.len(), "", Some(handle));
    *slot = format!("{}\n{marker}", lines[..10].join("\n")).into();
    let tool = match dialect {
        Dialect::Anthropic => json!({"name": RETRIEVAL_TOOL, "input_schema": {"type": "object"}}),
        _ => json!({"type": "function", "function": {"name": RETRIEVAL_TOOL}}),
    };
    body["tools"].as_array_mut().unwrap().push(tool);
    Case { conversation, provider, asker, source, body }
}

async fn send(provider: &Provider, dialect: Dialect, body: impl Into<bytes::Bytes>) -> Answer {
    read(dialect, http().request(post(&provider.endpoint(dialect), body)).await.unwrap()).await.unwrap()
}

impl Case {
    async fn ask(&self) -> Answer {
        send(&self.provider, self.conversation.dialect(), self.body.to_string()).await
    }

    /// Gives the model this for its question.
    async fn reply(&mut self, question: &Answer, text: &str) -> Answer {
        let id = question.calls()[0].0.to_owned();
        let result = match self.conversation.dialect() {
            Dialect::Anthropic => {
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": text}]})
            }
            _ => json!({"role": "tool", "tool_call_id": id, "content": text}),
        };
        self.body["messages"].as_array_mut().unwrap().extend([question.message().clone(), result]);
        self.ask().await
    }

    fn recorded(&self) -> Value {
        self.conversation.turns()[1].recorded(self.conversation.dialect())
    }
}

#[tokio::test]
async fn it_asks_checks_and_goes_on() {
    for name in ["nightly.anthropic", "red-jobs.openai"] {
        let mut case = case(name, Question::Range).await;
        let question = case.ask().await;
        assert_eq!(question.calls()[0].1, RETRIEVAL_TOOL);
        let call = question.message().to_string();
        assert!(call.contains("range") && call.contains("11-"), "{call}");
        let hidden: Vec<&str> = case.source.lines().skip(10).collect();
        let hidden = format!("lines 11-{}:\n{}", hidden.len() + 10, hidden.join("\n"));
        let answer = case.reply(&question, &hidden).await;
        assert_eq!(answer.text(), text_of(&case.recorded()["content"]));
        assert_eq!((case.asker.asked(), case.asker.brought()), (1, 1));
        assert_eq!(case.asker.complaints(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn it_complains_of_anything_else() {
    let mut case = case("nightly.anthropic", Question::Query("failed".into())).await;
    let question = case.ask().await;
    let shown: Vec<&str> = case.source.lines().take(10).collect();
    let shown = shown.join("\n");
    let answer = case.reply(&question, &shown).await;
    assert_eq!(answer.text(), text_of(&case.recorded()["content"]));
    assert_eq!((case.asker.brought(), case.asker.complaints().len()), (0, 1));
}

#[tokio::test]
async fn without_the_tool_or_a_marker_it_does_not_ask() {
    let mut case = case("nightly.anthropic", Question::Whole).await;
    case.body["tools"].as_array_mut().unwrap().pop();
    case.ask().await;
    let mut dialogue = Dialogue::new(&case.conversation);
    while let Some(body) = dialogue.request() {
        dialogue.answered(&send(&case.provider, Dialect::Anthropic, body).await);
    }
    assert_eq!((case.asker.asked(), case.asker.complaints()), (0, Vec::new()));
}
