//! A conversation that goes on through another process: nothing that a layer holds decides what the
//! engine rewrites.

use std::sync::Arc;

use bytes::Bytes;
use headroom_tests::{
    Dialect,
    client::Dialogue,
    fixtures::{self, Conversation},
    provider::{Asker, Question, Received, Replay},
};
use headroom_tower::{HeadroomLayer, MemoryStore};

use crate::bed::{Bed, OURS, within};

/// What a new layer brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    Never,
    /// Before each turn, empty but for the store that all replicas share.
    Shared,
    /// Before each turn, with nothing.
    Empty,
}

fn layer(store: &Arc<MemoryStore>) -> HeadroomLayer {
    HeadroomLayer::builder().store(store.clone()).ledger(store.clone()).build().unwrap()
}

async fn played(
    conversation: &Conversation,
    restart: Restart,
    stream: bool,
    asks: bool,
) -> Vec<Arc<Received>> {
    let replay = Replay::new([conversation.clone()]).delta(400);
    let asker = Asker::new(replay, move |_| asks.then_some(Question::Whole));
    let mut store = Arc::new(MemoryStore::default());
    let mut bed = Bed::client(layer(&store), asker).await;
    let dialect = conversation.dialect();
    let mut dialogue = Dialogue::new(conversation);
    if dialect == Dialect::Anthropic {
        dialogue = dialogue.field("model", "\"claude-haiku-4-5\"").field("max_tokens", "16000");
    }
    if stream {
        dialogue = dialogue.streamed();
    }
    while let Some(body) = dialogue.request() {
        match restart {
            Restart::Never => {}
            Restart::Shared => bed.restart(&layer(&store)),
            Restart::Empty => {
                store = Arc::new(MemoryStore::default());
                bed.restart(&layer(&store));
            }
        }
        let heard = bed.ask(dialect, body).await;
        dialogue.answered(&within(heard.answer(dialect)).await.unwrap());
    }
    let received = bed.provider.received();
    for request in &received {
        assert_eq!(request.rejection(), None, "{} {restart:?}", conversation.name());
    }
    received
}

fn bodies(received: &[Arc<Received>]) -> Vec<&Bytes> {
    received.iter().map(|request| request.body()).collect()
}

/// The results of the client's own tools, by call, as the model last saw them.
fn shown(received: &[Arc<Received>]) -> Vec<(String, String)> {
    let last = received.last().unwrap();
    let own = |id: &str| !id.contains("toolu_original_") && !id.contains(OURS);
    let results = last.results().into_iter().filter(|(id, _)| own(id));
    results.map(|(id, text)| (id.to_owned(), text)).collect()
}

const FIXTURES: [&str; 4] =
    ["nightly.anthropic", "refactor.anthropic", "red-jobs.openai", "marshmallow-1867.openai"];

#[tokio::test]
async fn a_replica_with_the_same_store_sends_the_same_bytes() {
    for name in FIXTURES {
        let conversation = fixtures::named(name);
        for stream in [false, true] {
            let one = played(&conversation, Restart::Never, stream, true).await;
            let other = played(&conversation, Restart::Shared, stream, true).await;
            assert!(bodies(&one) == bodies(&other), "{name}");
        }
    }
}

#[tokio::test]
async fn a_replica_with_nothing_sends_the_same_bytes_where_nothing_was_asked() {
    for name in FIXTURES {
        let conversation = fixtures::named(name);
        let one = played(&conversation, Restart::Never, false, false).await;
        let other = played(&conversation, Restart::Empty, false, false).await;
        assert!(bodies(&one) == bodies(&other), "{name}");
    }
}

/// What was asked for is forgotten, what was rewritten is not.
#[tokio::test]
async fn a_replica_with_nothing_rewrites_the_same() {
    let mut asked = 0;
    for name in FIXTURES {
        let conversation = fixtures::named(name);
        for stream in [false, true] {
            let one = played(&conversation, Restart::Never, stream, true).await;
            let other = played(&conversation, Restart::Empty, stream, true).await;
            assert_eq!(shown(&one), shown(&other), "{name}");
            asked += one.len() - conversation.turns().len();
        }
    }
    assert!(asked > 0, "something was asked for");
}
