//! Everything at once, at random: conversations that think on a model that checks what its thinking
//! is bound to, with retrievals, prompts whose time changes and window cuts, across two replicas,
//! across restarts, with the memo and the originals wiped, and with ledgers that keep, forget or are
//! nobody's. The provider refuses nothing.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use headroom_engine::catalogue;
use headroom_tests::{
    Dialect::{self, Anthropic},
    client::Dialogue,
    dice::Dice,
    fixtures,
    provider::{Asker, Block, Question, Received, Replay, Reply, Turn},
};
use headroom_tower::{HeadroomLayer, LedgerStore, MemoryStore};

use crate::{
    bed::{Bed, OURS, within},
    durable::Durable,
    talk::{Talk, eager, fetch, handles, log, run, script},
};

const MODEL: &str = "claude-opus-5-5";
const TURNS: usize = 14;
/// Generated conversations, for each ledger.
const SEEDS: u64 = 6;

/// Who remembers what the client never saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// Both replicas, and for good.
    Durable,
    /// Both, without a promise; it forgets at times.
    Forgetful,
    /// Each replica for itself, until it restarts.
    Own,
}

/// Two replicas, and what happens to them between turns.
struct Fleet {
    memory: Memory,
    ledger: Arc<dyn LedgerStore>,
    replicas: [HeadroomLayer; 2],
    /// Tokens of the model's window.
    window: Option<u32>,
}

impl Fleet {
    fn new(memory: Memory, window: Option<u32>) -> Self {
        let ledger: Arc<dyn LedgerStore> = match memory {
            Memory::Durable => Arc::new(Durable::default()),
            Memory::Forgetful | Memory::Own => Arc::new(MemoryStore::default()),
        };
        let new = || replica(memory, &ledger, window);
        Self { replicas: [new(), new()], memory, ledger: Arc::clone(&ledger), window }
    }

    /// The replica that the next turn goes to: as it is, or another in its place that remembers
    /// nothing but what the ledger keeps: no block, no original.
    fn next(&mut self, dice: &mut Dice) -> &HeadroomLayer {
        if self.memory == Memory::Forgetful && dice.roll(4) == 0 {
            self.ledger = Arc::new(MemoryStore::default());
            self.replicas = [0; 2].map(|_| replica(self.memory, &self.ledger, self.window));
        }
        let at = usize::from(dice.roll(2) == 0);
        if dice.roll(3) == 0 {
            self.replicas[at] = replica(self.memory, &self.ledger, self.window);
        }
        &self.replicas[at]
    }
}

/// A replica that has just started.
fn replica(memory: Memory, ledger: &Arc<dyn LedgerStore>, window: Option<u32>) -> HeadroomLayer {
    let mut builder = eager().store(Arc::new(MemoryStore::default())).single_tenant();
    if memory != Memory::Own {
        builder = builder.ledger(Arc::clone(ledger));
    }
    if let Some(window) = window {
        let mut row = catalogue::model(MODEL).clone();
        row.window = Some(window);
        builder = builder.model(row);
    }
    builder.build().unwrap()
}

/// What stays: no two lines alike.
fn noise(dice: &mut Dice) -> String {
    (0..60).map(|line| format!("{line} {:x} {:x}\n", dice.roll(1 << 40), dice.roll(1 << 40))).collect()
}

fn prompt(turn: usize) -> String {
    format!("You look after jobs.\nThe current time is 2026-11-22 10:{turn:02}:00.")
}

/// Looks at what is hidden, at random, before it goes on.
fn answers(seed: u64) -> impl Fn(usize, &Received) -> Reply + Send + Sync + 'static {
    move |n, request| {
        let last = &request.messages().last().unwrap()["content"][0]["tool_use_id"];
        let asked = last.as_str().is_some_and(|id| id.starts_with(OURS));
        let mut blocks = vec![Block::Thinking(format!("Thought {n}."))];
        if !asked && !handles(request).is_empty() && Dice::new(seed + n as u64).roll(2) == 0 {
            blocks.push(fetch(request, n));
        } else {
            blocks.extend([Block::Text(format!("Step {n}.")), run(&format!("next_{n}"))]);
        }
        Turn::new(blocks).into()
    }
}

/// What came of conversations.
#[derive(Debug, Default)]
struct Seen {
    asked: usize,
    moved: usize,
    cuts: usize,
}

/// One generated conversation.
async fn generated(memory: Memory, seed: u64, seen: &mut Seen) {
    let mut dice = Dice::new(seed);
    let window = seed.is_multiple_of(2).then_some(9_000);
    let mut fleet = Fleet::new(memory, window);
    let mut bed = Bed::client(fleet.replicas[0].clone(), script(answers(seed))).await;
    let mut talk = Talk::about(Anthropic, &log(0)).thinking();
    for turn in 1..=TURNS {
        // Without a promise to keep them, values stay where they are: there the prompt is one.
        talk.body["system"] = prompt(if memory == Memory::Durable { turn } else { 0 }).into();
        bed.restart(fleet.next(&mut dice));
        let heard = bed.ask(Anthropic, talk.body(dice.roll(2) == 0)).await;
        let rewrite = heard.report().rewrite().unwrap();
        seen.moved += rewrite.alignment.moved as usize;
        seen.cuts += usize::from(rewrite.context.is_some_and(|context| context.messages > 0));
        let answer = within(heard.answer(Anthropic)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{memory:?} {seed} turn {turn}: {error}"));
        let [(id, _)] = answer.calls()[..] else { panic!("{memory:?} {seed} turn {turn}: {answer:?}") };
        let id = id.to_owned();
        talk.answered(&answer);
        let output = match dice.roll(3) {
            0 => noise(&mut dice),
            1 => "done".to_owned(),
            _ => log(turn),
        };
        talk.result(&id, &output);
    }
    let received = bed.provider.received();
    seen.asked += received.len() - TURNS;
    for (at, request) in received.iter().enumerate() {
        assert_eq!(request.rejection(), None, "{memory:?} {seed} request {at}");
    }
}

async fn simulated(memory: Memory) -> Seen {
    let mut seen = Seen::default();
    for seed in 1..=SEEDS {
        generated(memory, seed, &mut seen).await;
    }
    seen
}

#[tokio::test]
async fn nothing_is_refused_where_everything_is_kept() {
    let seen = simulated(Memory::Durable).await;
    assert!(seen.asked > 0 && seen.moved > 0 && seen.cuts > 0, "all of it happened: {seen:?}");
}

#[tokio::test]
async fn nothing_is_refused_where_everything_may_be_forgotten() {
    for memory in [Memory::Forgetful, Memory::Own] {
        let seen = simulated(memory).await;
        assert!(seen.asked > 0 && seen.cuts > 0, "all of it happened: {seen:?}");
        assert_eq!(seen.moved, 0, "nothing moves without a promise");
    }
}

/// Recorded conversations, in which the model asks at every other turn.
#[tokio::test]
async fn recorded_conversations_wander_and_nothing_is_refused() {
    let asked = AtomicUsize::new(0);
    for memory in [Memory::Durable, Memory::Forgetful, Memory::Own] {
        for (seed, conversation) in fixtures::all().into_iter().enumerate() {
            if conversation.dialect() != Dialect::Anthropic {
                continue;
            }
            let mut dice = Dice::new(seed as u64 + 1);
            let question = |turn: usize| turn.is_multiple_of(2).then_some(Question::Whole);
            let asker = Arc::new(Asker::new(Replay::new([conversation.clone()]).delta(400), question));
            let mut fleet = Fleet::new(memory, None);
            let mut bed = Bed::client(fleet.replicas[0].clone(), Arc::clone(&asker)).await;
            let mut dialogue = Dialogue::new(&conversation)
                .field("model", &format!("{MODEL:?}"))
                .field("max_tokens", "16000")
                .field("thinking", r#"{"type":"adaptive"}"#);
            if dice.roll(2) == 0 {
                dialogue = dialogue.streamed();
            }
            while let Some(body) = dialogue.request() {
                bed.restart(fleet.next(&mut dice));
                let heard = bed.ask(Anthropic, body).await;
                dialogue.answered(&within(heard.answer(Anthropic)).await.unwrap());
            }
            for request in bed.provider.received() {
                assert_eq!(request.rejection(), None, "{} {memory:?}", conversation.name());
            }
            assert_eq!(asker.complaints(), Vec::<String>::new(), "{} {memory:?}", conversation.name());
            asked.fetch_add(asker.asked(), Ordering::Relaxed);
        }
    }
    assert!(asked.into_inner() > 0, "no fixture made the model ask");
}
