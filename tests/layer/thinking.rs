//! Thinking that is bound to what came before it, over many turns: with a ledger that may forget,
//! nothing is delivered that would be refused later; with a durable one, everything.

use std::sync::Arc;

use headroom_tests::{
    Dialect::Anthropic,
    provider::{Block, Received, Reply, Turn},
};

use crate::{
    bed::{Bed, OURS, within},
    durable::Durable,
    talk::{Talk, eager, fetch, handles, log, run, script},
};

const TURNS: usize = 10;

/// The model looks at each output before it goes on: thinks, asks, thinks again, runs the next.
fn answers(n: usize, request: &Received) -> Reply {
    let last = request.messages().last().unwrap();
    let returns = last["content"][0]["tool_use_id"].as_str().unwrap_or_default();
    let mut blocks = vec![Block::Thinking(format!("Thought {n}."))];
    if returns.starts_with(OURS) || handles(request).is_empty() {
        blocks.extend([Block::Text(format!("Step {n}.")), run(&format!("next_{n}"))]);
    } else {
        blocks.push(fetch(request, n));
    }
    Turn::new(blocks).into()
}

/// Plays all turns; returns how many thinking blocks the model wrote and how many the client got.
async fn played(stream: bool, durable: bool) -> (usize, usize, Bed) {
    let mut builder = eager();
    if durable {
        builder = builder.ledger(Arc::new(Durable::default())).single_tenant();
    }
    let bed = Bed::client(builder.build().unwrap(), script(answers)).await;
    let mut talk = Talk::about(Anthropic, &log(0)).thinking();
    let mut delivered = 0;
    for turn in 1..=TURNS {
        let heard = bed.ask(Anthropic, talk.body(stream)).await;
        let answer =
            within(heard.answer(Anthropic)).await.unwrap_or_else(|error| panic!("turn {turn}: {error}"));
        let blocks = answer.message()["content"].as_array().unwrap();
        delivered += blocks.iter().filter(|block| block["type"] == "thinking").count();
        let [(id, _)] = answer.calls()[..] else { panic!("turn {turn}: {answer:?}") };
        let id = id.to_owned();
        talk.answered(&answer);
        talk.result(&id, &log(turn));
    }
    for (at, request) in bed.provider.received().iter().enumerate() {
        assert_eq!(request.rejection(), None, "request {at}, stream {stream}, durable {durable}");
    }
    (bed.provider.received().len(), delivered, bed)
}

#[tokio::test]
async fn a_ledger_that_may_forget_forgets_and_withholds() {
    for stream in [false, true] {
        let (written, delivered, bed) = played(stream, false).await;
        assert_eq!(written, 2 * TURNS, "each turn asked");
        assert_eq!(delivered, TURNS, "what was thought behind a hidden exchange stays there");
        // Nothing hidden is ever put back.
        let last = bed.provider.received()[written - 2].clone();
        assert!(!String::from_utf8_lossy(last.body()).contains(OURS));
    }
}

#[tokio::test]
async fn a_durable_ledger_restores_and_delivers() {
    for stream in [false, true] {
        let (written, delivered, bed) = played(stream, true).await;
        assert_eq!((written, delivered), (2 * TURNS, 2 * TURNS));
        for pair in bed.provider.received().windows(2) {
            assert!(pair[1].prefix().starts_with(pair[0].prefix()), "every byte stays, in every round");
        }
    }
}

/// Ours beside the client's: without a promise to restore it, only the client's was ever called.
#[tokio::test]
async fn a_mixed_turn_stays_valid_on_both_ledgers() {
    for (stream, durable) in [(false, false), (true, false), (false, true), (true, true)] {
        let answers = script(|n, request| {
            let call = run(&format!("next_{n}"));
            Turn::new([Block::Thinking(format!("Thought {n}.")), fetch(request, n), call]).into()
        });
        let mut builder = eager();
        if durable {
            builder = builder.ledger(Arc::new(Durable::default())).single_tenant();
        }
        let bed = Bed::client(builder.build().unwrap(), answers).await;
        let mut talk = Talk::about(Anthropic, &log(0)).thinking();
        for turn in 0..4 {
            let heard = bed.ask(Anthropic, talk.body(stream)).await;
            let answer = within(heard.answer(Anthropic)).await.unwrap();
            assert_eq!(answer.calls(), [(&*format!("next_{turn}"), "run_command")]);
            talk.answered(&answer);
            talk.result(&format!("next_{turn}"), &log(turn + 1));
        }
        let received = bed.provider.received();
        assert_eq!(received.len(), 4, "the client goes first");
        assert!(received.iter().all(|request| request.rejection().is_none()));
        let restored = String::from_utf8_lossy(received[3].body()).contains(OURS);
        assert_eq!(restored, durable, "stream {stream}");
    }
}

/// The same conversation on both ledgers, with a client that switches from one manner to the other.
#[tokio::test]
async fn a_client_may_change_between_whole_and_streamed() {
    for durable in [false, true] {
        let mut builder = eager();
        if durable {
            builder = builder.ledger(Arc::new(Durable::default())).single_tenant();
        }
        let bed = Bed::client(builder.build().unwrap(), script(answers)).await;
        let mut talk = Talk::about(Anthropic, &log(0)).thinking();
        for turn in 1..5 {
            let heard = bed.ask(Anthropic, talk.body(turn % 2 == 0)).await;
            let answer = within(heard.answer(Anthropic)).await.unwrap();
            let id = answer.calls()[0].0.to_owned();
            talk.answered(&answer);
            talk.result(&id, &log(turn));
        }
        assert!(bed.provider.received().iter().all(|request| request.rejection().is_none()));
    }
}
