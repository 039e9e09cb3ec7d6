//! `simulate`: recorded sessions, thinking on, against a provider that refuses thinking whose prefix
//! is not what it was produced under.
//!
//! Each session is played over sockets through two replicas of the layer, chosen and restarted at
//! random, with a model that thinks at every turn and asks for what is hidden at every other; a restart
//! takes the memo and the originals. Two sessions of three have a model whose window holds about half
//! of them, so that units leave; with a durable ledger the system prompt tells the time of each request,
//! which is moved. What the provider refuses without the layer is left out.

use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use headroom_engine::catalogue::{self, Model};
use headroom_tests::{
    Dialect,
    client::{Dialogue, http, post, read},
    dice::Dice,
    fixtures::Conversation,
    provider::{Asker, Provider, Question, Replay},
};
use headroom_tower::{
    HeadroomLayer, LedgerKey, LedgerStore, MemoryStore, Policy, Record, Report, Scope, StoreError,
};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _};

use crate::{
    corpus,
    table::{Progress, Table},
};

/// `simulate --wire DIR`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder of request bodies, Anthropic's
    #[arg(long)]
    wire: PathBuf,
    /// At most so many bytes a body: every turn is sent whole, and read by a slow double
    #[arg(long, default_value_t = usize::MAX)]
    most: usize,
    /// How often each session is played, with other dice
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
}

/// A model that checks what its thinking is bound to.
const MODEL: &str = "claude-opus-5-5";

/// Who remembers what the client never saw.
#[derive(Clone, Copy, Debug)]
enum Memory {
    Durable,
    Forgetful,
    Nobody,
}

const MEMORIES: [(Memory, &str); 3] = [
    (Memory::Durable, "durable, shared"),
    (Memory::Forgetful, "shared, forgets at times"),
    (Memory::Nobody, "none"),
];

/// Keeps its promises for as long as the bench runs.
#[derive(Debug, Default)]
struct Durable(MemoryStore);

#[async_trait]
impl LedgerStore for Durable {
    async fn get_many(&self, scope: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
        LedgerStore::get_many(&self.0, scope, keys).await
    }

    async fn put_many(&self, scope: Scope, records: Vec<Record>) -> Result<(), StoreError> {
        LedgerStore::put_many(&self.0, scope, records).await
    }

    fn durable(&self) -> bool {
        true
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        LedgerStore::delete_scope(&self.0, scope).await
    }
}

/// What came of sessions.
#[derive(Clone, Debug, Default)]
struct Totals {
    sessions: usize,
    requests: usize,
    asked: usize,
    aligned: usize,
    cuts: usize,
    refused: usize,
    broken: usize,
    /// Why, of each that was refused.
    says: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let files = corpus::files(&arguments.wire)?;
    let mut sides: [Totals; 3] = Default::default();
    let mut without = 0;
    let progress = Progress::new();
    // What cannot be read as a conversation says so by panicking.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for (done, (_, source)) in files.iter().enumerate() {
        progress.show("simulate", done, files.len());
        let parse = || Conversation::parse("recorded", Dialect::Anthropic, source);
        let conversation =
            catch_unwind(AssertUnwindSafe(parse)).ok().filter(|_| source.len() <= arguments.most);
        let Some(conversation) = conversation else {
            without += 1;
            continue;
        };
        if !runtime.block_on(alone(&conversation)) {
            without += 1;
            continue;
        }
        for round in 0..arguments.rounds {
            let seed = done as u64 + 1 + round * (files.len() as u64 + 1);
            let session = Session { conversation: &conversation, source, seed };
            for ((memory, _), totals) in MEMORIES.iter().zip(&mut sides) {
                runtime.block_on(session.played(*memory, totals));
            }
        }
    }
    std::panic::set_hook(hook);
    drop(progress);
    let mut table = Table::new(&[
        "ledger",
        "sessions",
        "requests",
        "retrievals",
        "aligned",
        "cuts moved",
        "refused",
        "broken",
    ]);
    for ((_, name), t) in MEMORIES.iter().zip(&sides) {
        let cells = [t.sessions, t.requests, t.asked, t.aligned, t.cuts, t.refused, t.broken];
        let cells = cells.map(|count| count.to_string());
        table.row([(*name).to_owned()].into_iter().chain(cells));
    }
    table.print(out)?;
    for said in sides.iter().flat_map(|totals| &totals.says) {
        writeln!(out, "{said}")?;
    }
    writeln!(out, "\n{without} bodies left out: no conversations, too long, or refused without the layer")?;
    if arguments.json {
        let sum = |of: fn(&Totals) -> usize| sides.iter().map(of).sum::<usize>();
        let report = json!({
            "sessions": sides[0].sessions,
            "requests": sum(|t| t.requests),
            "retrievals": sum(|t| t.asked),
            "aligned": sum(|t| t.aligned),
            "cuts": sum(|t| t.cuts),
            "rejections": sum(|t| t.refused),
            "broken": sum(|t| t.broken),
            "left_out": without,
        });
        writeln!(out, "{report}")?;
    }
    Ok(())
}

fn dialogue(conversation: &Conversation) -> Dialogue<'_> {
    Dialogue::new(conversation)
        .field("model", &format!("{MODEL:?}"))
        .field("max_tokens", "16000")
        .field("thinking", r#"{"type":"adaptive"}"#)
}

/// Whether the provider takes the session as it is.
async fn alone(conversation: &Conversation) -> bool {
    let provider = Provider::start(Replay::new([conversation.clone()]).delta(4000)).await;
    let mut dialogue = dialogue(conversation);
    while let Some(body) = dialogue.request() {
        let Ok(response) = http().request(post(&provider.endpoint(Dialect::Anthropic), body)).await else {
            return false;
        };
        match read(Dialect::Anthropic, response).await {
            Ok(answer) => dialogue.answered(&answer),
            Err(_) => return false,
        }
    }
    true
}

/// A replica that has just started.
fn replica(ledger: Option<&Arc<dyn LedgerStore>>, window: Option<u32>) -> Option<HeadroomLayer> {
    let mut builder = HeadroomLayer::builder().policy(Policy::default()).single_tenant();
    if let Some(ledger) = ledger {
        builder = builder.ledger(Arc::clone(ledger));
    }
    if let Some(window) = window {
        let mut row: Model = catalogue::model(MODEL).clone();
        row.window = Some(window);
        builder = builder.model(row);
    }
    builder.build().ok()
}

/// One recorded session.
struct Session<'a> {
    conversation: &'a Conversation,
    source: &'a str,
    seed: u64,
}

impl Session<'_> {
    /// A window that holds about half of it, for two of three.
    fn window(&self) -> Option<u32> {
        /// Bytes of a token, about; and the smallest window.
        const TOKEN: usize = 4;
        const SMALLEST: usize = 5_000;
        let half = (self.source.len() / TOKEN / 2).max(SMALLEST);
        u32::try_from(half).ok().filter(|_| !self.seed.is_multiple_of(3))
    }

    /// The system prompt, with the time of a request in front; `None` where the time would stay there:
    /// of short prompts without tools, whose client is refused with the layer and without.
    fn prompt(&self, turn: usize) -> Option<String> {
        let now = format!("The current time is 2026-11-22 {:02}:{:02}:07.\n", 9 + turn / 60 % 12, turn % 60);
        let body: Value = serde_json::from_str(self.source).unwrap_or_default();
        body["tools"].as_array().filter(|tools| !tools.is_empty())?;
        let prompt = match &body["system"] {
            Value::Array(blocks) => {
                let first = json!({"type": "text", "text": now});
                Value::from_iter([first].into_iter().chain(blocks.iter().cloned()))
            }
            Value::String(prompt) => (now + prompt).into(),
            _ => now.into(),
        };
        Some(prompt.to_string())
    }

    async fn played(&self, memory: Memory, totals: &mut Totals) {
        let mut dice = Dice::new(self.seed);
        let turn = Arc::new(AtomicUsize::new(0));
        let replay = Replay::new([self.conversation.clone()]).delta(4000).told(Arc::clone(&turn));
        let question = |turn: usize| turn.is_multiple_of(2).then_some(Question::Whole);
        let asker = Arc::new(Asker::new(replay.thoughtful(), question));
        let provider = Provider::start(Arc::clone(&asker)).await;
        let mut ledger: Option<Arc<dyn LedgerStore>> = match memory {
            Memory::Durable => Some(Arc::new(Durable::default())),
            Memory::Forgetful => Some(Arc::new(MemoryStore::default())),
            Memory::Nobody => None,
        };
        let window = self.window();
        let mut replicas = [replica(ledger.as_ref(), window), replica(ledger.as_ref(), window)];
        let mut dialogue = dialogue(self.conversation);
        totals.sessions += 1;
        loop {
            turn.store(dialogue.turn(), Ordering::SeqCst);
            // Without a promise to keep them, values stay where they are, and may not change.
            let now = self.prompt(dialogue.turn()).filter(|_| matches!(memory, Memory::Durable));
            if let Some(now) = now {
                dialogue = dialogue.field("system", &now);
            }
            let Some(body) = dialogue.request() else { break };
            if matches!(memory, Memory::Forgetful) && dice.roll(6) == 0 {
                ledger = Some(Arc::new(MemoryStore::default()));
                replicas = [replica(ledger.as_ref(), window), replica(ledger.as_ref(), window)];
            }
            let at = usize::from(dice.roll(2) == 0);
            if dice.roll(4) == 0 {
                replicas[at] = replica(ledger.as_ref(), window);
            }
            let Some(layer) = &replicas[at] else { break };
            let service = layer.layer(http());
            let answer = match service.oneshot(post(&provider.endpoint(Dialect::Anthropic), body)).await {
                Ok(response) => {
                    let report = response.extensions().get::<Report>().and_then(Report::rewrite);
                    if let Some(rewrite) = report {
                        totals.aligned += usize::from(rewrite.alignment.moved > 0);
                        totals.cuts += usize::from(rewrite.context.is_some_and(|context| context.moved));
                    }
                    read(Dialect::Anthropic, response).await.ok()
                }
                Err(_) => None,
            };
            let Some(answer) = answer else {
                totals.broken += 1;
                break;
            };
            dialogue.answered(&answer);
        }
        let received = provider.received();
        totals.requests += received.len();
        for (at, refused) in received.iter().enumerate().filter(|(_, one)| one.rejection().is_some()) {
            totals.refused += 1;
            let why = refused.rejection();
            totals
                .says
                .push(format!("{memory:?}, dice {}, window {window:?}, request {at}: {why:?}", self.seed));
        }
        totals.asked += asker.asked();
    }
}
