//! `simulate`: recorded sessions, thinking on, against a provider that refuses thinking whose prefix
//! is not what it was produced under.
//!
//! Each session is played over sockets through two replicas of the layer, chosen and restarted at
//! random, with a model that asks for what is hidden at every other turn; a restart takes the memo and
//! the originals. What the provider refuses without the layer is left out.

use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use headroom_tests::{
    Dialect,
    client::{Dialogue, http, post, read},
    dice::Dice,
    fixtures::Conversation,
    provider::{Asker, Provider, Question, Replay},
};
use headroom_tower::{HeadroomLayer, LedgerKey, LedgerStore, MemoryStore, Policy, Record, Scope, StoreError};
use serde_json::json;
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
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    sessions: usize,
    requests: usize,
    asked: usize,
    refused: usize,
    broken: usize,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let files = corpus::files(&arguments.wire)?;
    let mut sides = [Totals::default(); 3];
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
        for ((memory, _), totals) in MEMORIES.iter().zip(&mut sides) {
            runtime.block_on(played(&conversation, *memory, done as u64 + 1, totals));
        }
    }
    std::panic::set_hook(hook);
    drop(progress);
    let mut table = Table::new(&["ledger", "sessions", "requests", "retrievals", "refused", "broken"]);
    for ((_, name), t) in MEMORIES.iter().zip(&sides) {
        let cells = [t.sessions, t.requests, t.asked, t.refused, t.broken].map(|count| count.to_string());
        table.row([(*name).to_owned()].into_iter().chain(cells));
    }
    table.print(out)?;
    writeln!(out, "\n{without} bodies left out: no conversations, too long, or refused without the layer")?;
    if arguments.json {
        let sum = |of: fn(&Totals) -> usize| sides.iter().map(of).sum::<usize>();
        let report = json!({
            "sessions": sides[0].sessions,
            "requests": sum(|t| t.requests),
            "retrievals": sum(|t| t.asked),
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

fn replica(ledger: Option<&Arc<dyn LedgerStore>>) -> Option<HeadroomLayer> {
    let mut builder = HeadroomLayer::builder().policy(Policy::default()).single_tenant();
    if let Some(ledger) = ledger {
        builder = builder.ledger(Arc::clone(ledger));
    }
    builder.build().ok()
}

async fn played(conversation: &Conversation, memory: Memory, seed: u64, totals: &mut Totals) {
    let mut dice = Dice::new(seed);
    let question = |turn: usize| turn.is_multiple_of(2).then_some(Question::Whole);
    let asker = Arc::new(Asker::new(Replay::new([conversation.clone()]).delta(4000), question));
    let provider = Provider::start(Arc::clone(&asker)).await;
    let mut ledger: Option<Arc<dyn LedgerStore>> = match memory {
        Memory::Durable => Some(Arc::new(Durable::default())),
        Memory::Forgetful => Some(Arc::new(MemoryStore::default())),
        Memory::Nobody => None,
    };
    let mut replicas = [replica(ledger.as_ref()), replica(ledger.as_ref())];
    let mut dialogue = dialogue(conversation);
    totals.sessions += 1;
    while let Some(body) = dialogue.request() {
        if matches!(memory, Memory::Forgetful) && dice.roll(6) == 0 {
            ledger = Some(Arc::new(MemoryStore::default()));
            replicas = [replica(ledger.as_ref()), replica(ledger.as_ref())];
        }
        let at = usize::from(dice.roll(2) == 0);
        if dice.roll(4) == 0 {
            replicas[at] = replica(ledger.as_ref());
        }
        let Some(layer) = &replicas[at] else { break };
        let service = layer.layer(http());
        let answer = match service.oneshot(post(&provider.endpoint(Dialect::Anthropic), body)).await {
            Ok(response) => read(Dialect::Anthropic, response).await.ok(),
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
    totals.refused += received.iter().filter(|request| request.rejection().is_some()).count();
    totals.asked += asker.asked();
}
