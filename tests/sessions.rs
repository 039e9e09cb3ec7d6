//! Real conversations, turn by turn, through the layer and over sockets, to a provider that refuses
//! what real ones refuse, with a model that asks for what was left out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use headroom_tests::{
    Dialect,
    client::{Dialogue, http, post, read},
    fixtures::{self, Conversation},
    provider::{Asker, Provider, Question, RETRIEVAL_TOOL, Received, Replay, text_of},
};
use headroom_tower::HeadroomLayer;
use tower::{Service as _, ServiceBuilder, ServiceExt as _};

/// How the client calls.
#[derive(Clone, Copy, Debug)]
struct Manner {
    streamed: bool,
    thinking: bool,
}

const MANNERS: [Manner; 3] = [
    Manner { streamed: true, thinking: true },
    Manner { streamed: true, thinking: false },
    Manner { streamed: false, thinking: true },
];

/// What came of a conversation.
struct Played {
    asker: Arc<Asker>,
    provider: Provider,
    /// The first request of each turn, among those the provider received.
    first: Vec<usize>,
}

fn dialogue(conversation: &Conversation, manner: Manner) -> Dialogue<'_> {
    let mut dialogue = Dialogue::new(conversation);
    if conversation.dialect() == Dialect::Anthropic {
        dialogue = dialogue
            .field("model", "\"claude-opus-5-5\"")
            .field("max_tokens", "16000")
            .field("cache_control", r#"{"type":"ephemeral"}"#);
        if manner.thinking {
            dialogue = dialogue.field("thinking", r#"{"type":"adaptive"}"#);
        }
    }
    if manner.streamed { dialogue.streamed() } else { dialogue }
}

/// Plays a conversation through a new layer; every turn with a marker in sight asks.
async fn played(conversation: &Conversation, manner: Manner) -> Played {
    let question = |turn: usize| Some(if turn.is_multiple_of(2) { Question::Range } else { Question::Whole });
    let asker = Arc::new(Asker::new(Replay::new([conversation.clone()]).delta(200), question));
    let provider = Provider::start(Arc::clone(&asker)).await;
    let mut client = ServiceBuilder::new().layer(HeadroomLayer::new()).service(http());
    let dialect = conversation.dialect();
    let mut dialogue = dialogue(conversation, manner);
    let mut first = Vec::new();
    while let Some(body) = dialogue.request() {
        first.push(provider.received().len());
        let request = post(&provider.endpoint(dialect), body);
        let response = client.ready().await.unwrap().call(request).await.unwrap();
        let answer = read(dialect, response).await.unwrap_or_else(|error| {
            panic!("{} turn {} ({manner:?}): {error}", conversation.name(), dialogue.turn());
        });
        assert!(
            answer.calls().iter().all(|(_, name)| *name != RETRIEVAL_TOOL),
            "our call reached the client"
        );
        let recorded = conversation.turns()[dialogue.turn()].recorded(dialect);
        assert!(answer.text().ends_with(&text_of(&recorded["content"])), "the recorded answer came through");
        dialogue.answered(&answer);
    }
    Played { asker, provider, first }
}

#[tokio::test]
async fn nothing_is_refused_and_every_question_is_answered() {
    let mut asked = 0;
    for manner in MANNERS {
        for conversation in fixtures::all() {
            let played = played(&conversation, manner).await;
            for request in played.provider.received() {
                assert_eq!(request.rejection(), None, "{} ({manner:?})", conversation.name());
            }
            assert_eq!(
                played.asker.complaints(),
                Vec::<String>::new(),
                "{} ({manner:?})",
                conversation.name()
            );
            assert_eq!(played.asker.asked(), played.asker.brought());
            asked += played.asker.asked();
        }
    }
    assert!(asked > 0, "no fixture made the model ask");
}

/// The prefix law, seen from the provider: what one turn sent, the next one starts with.
#[tokio::test]
async fn each_turn_starts_with_what_the_turn_before_sent() {
    for conversation in fixtures::all() {
        let played = played(&conversation, MANNERS[1]).await;
        let received = played.provider.received();
        let turns: Vec<&Arc<Received>> = played.first.iter().map(|&at| &received[at]).collect();
        for (turn, pair) in turns.windows(2).enumerate() {
            let (before, after) = (pair[0].prefix(), pair[1].prefix());
            assert!(
                after.len() > before.len() && after.starts_with(before),
                "{} turn {}",
                conversation.name(),
                turn + 1
            );
        }
    }
}
