//! Prompts whose values change from request to request: the provider sees one prefix that grows.

use std::sync::Arc;

use headroom_tests::{
    Dialect,
    provider::{Block, Turn},
};
use headroom_tower::{AdoptPolicy, HeadroomLayer, MemoryStore, Policy, Reason};
use serde_json::{Value, json};

use crate::{
    bed::{Bed, Heard, within},
    durable::Durable,
    talk::{MANNERS, Talk, eager, log, run, script},
};

fn prompt(turn: usize) -> String {
    format!(
        "You look after jobs.\nSession ID: sess-0123456789\nThe current time is 2026-11-22 10:{turn:02}:00."
    )
}

/// Chats that a durable ledger tells from those of others, whole and streamed.
const CHATS: [(Dialect, bool); 4] = [
    (Dialect::Anthropic, false),
    (Dialect::Anthropic, true),
    (Dialect::OpenAi, false),
    (Dialect::OpenAi, true),
];

/// The conversation's next request, with the prompt of that turn.
fn at(dialect: Dialect, talk: &Talk, turn: usize, stream: bool) -> bytes::Bytes {
    let mut talk = talk.clone();
    match dialect {
        Dialect::Anthropic => talk.body["system"] = prompt(turn).into(),
        Dialect::OpenAi => {
            let messages = talk.body["messages"].as_array_mut().unwrap();
            messages.insert(0, json!({"role": "developer", "content": prompt(turn)}));
        }
        Dialect::Responses => talk.body["instructions"] = prompt(turn).into(),
        Dialect::Gemini => talk.body["systemInstruction"] = json!({"parts": [{"text": prompt(turn)}]}),
        Dialect::Converse => talk.body["system"] = json!([{"text": prompt(turn)}]),
    }
    talk.body(stream)
}

/// Sends it. Nothing is known of the cache of the model that Converse is asked for elsewhere.
async fn ask(bed: &Bed, dialect: Dialect, body: bytes::Bytes, stream: bool) -> Heard {
    if dialect != Dialect::Converse {
        return bed.ask(dialect, body).await;
    }
    let operation = if stream { "converse-stream" } else { "converse" };
    let path = format!("/model/us.anthropic.claude-sonnet-4-5-v1:0/{operation}");
    bed.send(bed.post(&path, body)).await.unwrap()
}

/// Plays turns whose time changes, `thinks` on a model that binds it; the layer is another one behind
/// each turn.
async fn played(dialect: Dialect, stream: bool, thinks: bool, layers: &[HeadroomLayer]) -> Bed {
    let answers = script(move |n, _| {
        let thought = thinks.then(|| Block::Thinking(format!("Thought {n}.")));
        let blocks =
            thought.into_iter().chain([Block::Text(format!("Step {n}.")), run(&format!("call_{n}"))]);
        Turn::new(blocks.collect::<Vec<_>>()).into()
    });
    let mut bed = Bed::client(layers[0].clone(), answers).await;
    let mut talk = if thinks { Talk::new(dialect).thinking() } else { Talk::new(dialect) };
    for turn in 0..8 {
        bed.restart(&layers[turn % layers.len()]);
        let heard = ask(&bed, dialect, at(dialect, &talk, turn, stream), stream).await;
        let alignment = heard.report().rewrite().unwrap().alignment.clone();
        assert_eq!((alignment.found, alignment.moved), (2, 2), "{dialect:?}");
        let answer = within(heard.answer(dialect)).await.unwrap();
        talk.answered(&answer);
        talk.result(&format!("call_{turn}"), &log(turn));
    }
    bed
}

fn one_prefix(bed: &Bed) {
    let received = bed.provider.received();
    assert_eq!(received.len(), 8);
    for (turn, request) in received.iter().enumerate() {
        assert_eq!(request.rejection(), None, "turn {turn}");
        let body = String::from_utf8_lossy(request.body()).into_owned();
        assert!(body.contains(&format!("[time: 2026-11-22 10:{turn:02}:00]")), "{body}");
        assert_eq!(body.matches("sess-0123456789").count(), 1, "told once");
    }
    for pair in received.windows(2) {
        assert!(pair[1].prefix().starts_with(pair[0].prefix()), "every byte stays");
    }
}

#[tokio::test]
async fn the_prefix_grows_although_the_time_changes() {
    for (dialect, stream) in MANNERS {
        one_prefix(&played(dialect, stream, false, &[eager().build().unwrap()]).await);
    }
}

#[tokio::test]
async fn bound_thinking_stays_valid_on_two_replicas_with_one_durable_ledger() {
    for stream in [false, true] {
        let ledger = Arc::new(Durable::default());
        let replica = || eager().ledger(ledger.clone()).single_tenant().build().unwrap();
        one_prefix(&played(Dialect::Anthropic, stream, true, &[replica(), replica()]).await);
    }
}

/// A client that writes its tools anew for each request, in another order and with another time.
#[tokio::test]
async fn tools_stay_what_they_were_if_the_policy_says_so() {
    for dialect in [Dialect::Anthropic, Dialect::OpenAi, Dialect::Responses] {
        let answers = script(|n, _| Turn::new([run(&format!("call_{n}"))]).into());
        let policy = Policy::default().steady_tools(true);
        let layer = HeadroomLayer::builder().policy(policy).build().unwrap();
        let bed = Bed::client(layer, answers).await;
        let mut talk = Talk::new(dialect);
        let shell = talk.body["tools"][0].clone();
        for turn in 0..6 {
            let says = |says: String| {
                let mut tool = shell.clone();
                let of = if dialect == Dialect::OpenAi { &mut tool["function"] } else { &mut tool };
                of["name"] = format!("tool_{}", says.len()).into();
                of["description"] = says.into();
                tool
            };
            let clock = says(format!("Asks the clock. Current time: 2026-11-22 10:{turn:02}:00"));
            let mut tools = vec![shell.clone(), says("Asks.".to_owned()), clock];
            tools.rotate_left(turn % 3);
            talk.body["tools"] = tools.into();
            let heard = bed.ask(dialect, talk.body(false)).await;
            let alignment = heard.report().rewrite().unwrap().alignment.clone();
            assert_eq!((alignment.moved, alignment.tools_restored), (1, turn % 3 > 0));
            let answer = within(heard.answer(dialect)).await.unwrap();
            talk.answered(&answer);
            talk.result(&format!("call_{turn}"), "done");
        }
        let received = bed.provider.received();
        assert!(received.iter().all(|request| request.rejection().is_none()));
        for pair in received.windows(2) {
            assert!(pair[1].prefix().starts_with(pair[0].prefix()), "{dialect:?}");
        }
    }
}

/// Each replica with a ledger of its own: breaks, declared, and nothing refused.
#[tokio::test]
async fn a_ledger_that_forgets_leaves_valid_requests() {
    for (dialect, stream) in MANNERS {
        let layers = [eager().build().unwrap(), eager().build().unwrap()];
        let bed = played(dialect, stream, false, &layers).await;
        assert!(bed.provider.received().iter().all(|request| request.rejection().is_none()));
    }
}

#[tokio::test]
async fn where_it_cannot_be_trusted_the_prompt_stays() {
    let answers = script(|n, _| Turn::new([Block::Thinking(format!("Thought {n}."))]).into());
    let bed = Bed::client(eager().build().unwrap(), answers).await;
    let talk = Talk::new(Dialect::Anthropic).thinking();
    let heard = bed.ask(Dialect::Anthropic, at(Dialect::Anthropic, &talk, 3, false)).await;
    let alignment = heard.report().rewrite().unwrap().alignment.clone();
    assert_eq!((alignment.found, alignment.moved), (2, 0));
    let body: Value = serde_json::from_slice(bed.provider.last().body()).unwrap();
    assert_eq!(body["system"], prompt(3));
    heard.bytes().await;
}

/// A conversation that a durable ledger knows nothing of.
#[tokio::test]
async fn what_began_elsewhere_stays_as_it_is_if_the_policy_says_so() {
    let policy = Policy::default().least_hidden(20).adopt(AdoptPolicy::NewOnly);
    let volatile = HeadroomLayer::builder().policy(policy.clone());
    let volatile = volatile.ledger(Arc::new(MemoryStore::default())).single_tenant();
    assert!(volatile.build().is_err(), "it could not tell");
    let layer = HeadroomLayer::builder()
        .policy(policy)
        .ledger(Arc::new(Durable::default()))
        .single_tenant()
        .build()
        .unwrap();
    for (dialect, stream) in CHATS {
        let bed =
            Bed::client(layer.clone(), script(|n, _| Turn::new([run(&format!("call_{n}"))]).into())).await;
        let mut talk = Talk::about(dialect, &log(9));
        talk.user(&format!("Another story, {dialect:?} {stream}."));
        let heard = bed.ask(dialect, talk.body(stream)).await;
        assert_eq!(heard.report().rewrite().unwrap().limited, Some(Reason::NotOurs));
        heard.bytes().await;
        assert_eq!(bed.provider.last().body(), &talk.body(stream));

        let mut talk = Talk::new(dialect);
        talk.user(&format!("Begins here, {dialect:?} {stream}."));
        for turn in 0..3 {
            let heard = bed.ask(dialect, talk.body(stream)).await;
            assert_eq!(heard.report().rewrite().unwrap().limited, None, "turn {turn}");
            let answer = within(heard.answer(dialect)).await.unwrap();
            let id = answer.calls()[0].0.to_owned();
            talk.answered(&answer);
            talk.result(&id, &log(turn));
        }
    }
}
