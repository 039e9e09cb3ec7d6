//! Thinking that is bound to what came before it, over many turns: with a ledger that may forget,
//! nothing is delivered that would be refused later; with a durable one, everything.

use std::sync::Arc;

use headroom_tests::{
    Dialect::Anthropic,
    provider::{Block, Gate, Received, Reply, Turn},
};
use serde_json::{Value, json};

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

/// A client that leaves in the middle of a follow-up's stream keeps what it has of the turn. Thinking
/// in it is bound to an exchange that the client never saw: the ledger must know it all the same.
#[tokio::test]
async fn a_client_that_leaves_early_is_not_refused_later() {
    for whole in [false, true] {
        let gate = Gate::new();
        let held = gate.clone();
        let answers = script(move |n, request| match n {
            0 => Turn::new([
                Block::Thinking("Hm.".into()),
                Block::Text("I look closer.".into()),
                fetch(request, n),
            ])
            .into(),
            1 => {
                let said = [Block::Thinking("So.".into()), Block::Text("It is a lease.".into()), run("next")];
                // Thinking, its signature and the text have come; of the call, nothing, or its start.
                Turn::new(said).pings(false).delta(1000).gate(if whole { 8 } else { 7 }, &held).into()
            }
            _ => Turn::text("As you like.").into(),
        });
        let builder = eager().ledger(Arc::new(Durable::default())).single_tenant();
        let bed = Bed::client(builder.build().unwrap(), answers).await;
        let mut talk = Talk::about(Anthropic, &log(0)).thinking();
        let mut heard = bed.ask(Anthropic, talk.body(true)).await;
        within(heard.until("It is a lease.")).await;
        while whole && heard.text().matches("event: content_block_stop").count() < 4 {
            within(heard.frame()).await.unwrap().unwrap();
        }
        let kept = blocks(&heard.text());
        assert_eq!(kept.len(), 4, "{kept:?}");
        assert_eq!(kept[2]["type"], "thinking", "it is bound to what is hidden");
        drop(heard);
        // What the ledger is told, it is told behind the client's back.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        talk.say(json!({"role": "assistant", "content": kept}));
        talk.user("Stop. What do you know?");
        let answer = within(bed.ask(Anthropic, talk.body(true)).await.answer(Anthropic)).await.unwrap();
        assert_eq!(answer.text(), "As you like.");
        let received = bed.provider.received();
        assert!(received.iter().all(|request| request.rejection().is_none()), "whole {whole}");
        let last = received.last().unwrap();
        assert!(String::from_utf8_lossy(last.body()).contains(OURS), "the exchange is put back");
        assert!(last.prefix().starts_with(received[1].prefix()), "what was thought stands behind the same");
    }
}

/// The blocks of a stream as far as it came, as clients that show each at once keep them.
fn blocks(text: &str) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    for event in events.map(|data| serde_json::from_str::<Value>(data).unwrap()) {
        if event["type"] == "content_block_start" && event["content_block"]["type"] != "tool_use" {
            blocks.push(event["content_block"].clone());
        }
        let Some(last) = blocks.last_mut() else { continue };
        for key in ["text", "thinking", "signature"] {
            if let Some(more) = event["delta"][key].as_str() {
                let grown = format!("{}{more}", last[key].as_str().unwrap_or_default());
                last[key] = grown.into();
            }
        }
    }
    blocks
}
