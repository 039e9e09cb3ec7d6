//! Secrets that must be nowhere: not in what is logged, shown or reported, nor in any file of the
//! database.

use std::{
    fmt::Write as _,
    fs,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use headroom_engine::ccr::HandleKey;
use headroom_tests::{
    Dialect::Anthropic,
    client::{http, post, read},
    provider::{Block, Provider, Received, Reply, Turn},
};
use headroom_tower::{
    Keyring, LedgerStore, Limits, OriginalStore, PostgresOptions, PostgresStore, Report, Scope, Sealed,
    TieredOptions, TieredStore,
};
use tower::{Layer as _, ServiceExt as _};
use tracing::{Event, Metadata, Subscriber, field, span};

use crate::{
    bed::OURS,
    cluster::{Cluster, execute},
    store::{original, record},
    talk::{Talk, eager, fetch, handles, log, script, words},
};

/// Keeps every span and event of every library, at every level.
struct Listener;

/// Other tests are not listened to.
static LISTENING: AtomicBool = AtomicBool::new(false);

static HEARD: Mutex<String> = Mutex::new(String::new());

fn heard() -> MutexGuard<'static, String> {
    HEARD.lock().unwrap()
}

impl field::Visit for Listener {
    fn record_debug(&mut self, field: &field::Field, value: &dyn std::fmt::Debug) {
        if LISTENING.load(Ordering::Relaxed) {
            let _ = writeln!(heard(), "{field}={value:?}");
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut Self);
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut Self);
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Self);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn listen() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| tracing::subscriber::set_global_default(Listener).unwrap());
    LISTENING.store(true, Ordering::Relaxed);
}

/// A busy machine is not what is tested.
const WAIT: Duration = Duration::from_secs(10);

const BODY: &str = "canary-in-the-body-4711";
const PROMPT: &str = "canary-in-the-prompt-4712";
const ANSWER: &str = "canary-in-the-answer-4713";
const HEADER: &str = "canary-in-a-header-4714";
const QUERY: &str = "canary-in-the-query-4715";
const SECRET: &str = "canary-in-a-key-47160000000000--"; // 32 bytes
const PASSWORD: &str = "canary-in-the-url-4717";

const CANARIES: [&str; 7] = [BODY, PROMPT, ANSWER, HEADER, QUERY, SECRET, PASSWORD];

/// In the clear, as hexadecimal digits and as a list of numbers.
fn spellings(canary: &str) -> [Vec<u8>; 3] {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{:?}", canary.as_bytes());
    [canary.into(), hex.into_bytes(), list.trim_matches(['[', ']']).into()]
}

fn found(bytes: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(bytes, what).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_nowhere() {
    listen();
    let cluster = tokio::task::spawn_blocking(|| {
        Cluster::start(&["log_statement=all", "log_min_messages=debug2", "log_parameter_max_length=-1"])
    })
    .await
    .unwrap();
    let url = cluster.url().replace("postgres@", &format!("postgres:{PASSWORD}@"));
    let postgres = PostgresStore::connect_with(&url, PostgresOptions::default().connections(3).acquire(WAIT))
        .await
        .unwrap();
    let keys = Keyring::new(1, SECRET.as_bytes().try_into().unwrap());
    let store =
        Arc::new(TieredStore::with(Sealed::new(postgres.clone(), keys), TieredOptions::default().wait(WAIT)));
    let layer = eager()
        .store(store.clone())
        .ledger(store.clone())
        .tenant_by_credential()
        .limits(Limits::default().store(WAIT))
        .handle_key(HandleKey::derive(SECRET.as_bytes()))
        .build()
        .unwrap();
    let provider = Provider::start(script(|n, request: &Received| -> Reply {
        let last = request.messages().last().unwrap();
        let returns = last["content"][0]["tool_use_id"].as_str().unwrap_or_default();
        if returns.starts_with(OURS) || handles(request).is_empty() {
            Turn::new([words(ANSWER)]).into()
        } else {
            Turn::new([Block::Thinking(ANSWER.to_owned()), fetch(request, n)]).into()
        }
    }))
    .await;

    let mut shown = format!("{layer:?} {store:?} {postgres:?}");
    let mut talk = Talk::about(Anthropic, &log(1).replace("of shard", BODY)).thinking();
    talk.user(PROMPT);
    for stream in [false, true] {
        let url = format!("{}?key={QUERY}", provider.endpoint(Anthropic));
        let mut request = post(&url, talk.body(stream));
        for name in ["x-api-key", "authorization", "x-other"] {
            request.headers_mut().insert(name, HEADER.parse().unwrap());
        }
        let response = layer.layer(http()).oneshot(request).await.unwrap();
        let report = response.extensions().get::<Report>().unwrap().clone();
        let answer = read(Anthropic, response).await.unwrap();
        let _ = write!(shown, "{report:?}");
        assert!(report.retrieval().unwrap().rounds > 0, "something was asked for");
        talk.answered(&answer);
        talk.user("And then?");
    }
    store.flush().await;
    let _ = write!(shown, "{:?} {:?}", original(BODY), record(1, BODY));

    // Errors, of every kind that is easily had.
    let wrong = PostgresStore::connect(&format!("postgres://user:{PASSWORD}@localhost:notaport/x")).await;
    let _ = write!(shown, "{:?}", wrong.unwrap_err());
    execute(&cluster.url(), "ALTER TABLE headroom_records ADD CHECK (bytes < 0) NOT VALID").await;
    let refused = LedgerStore::put_many(&*store, Scope::shared(), vec![record(1, BODY)]).await.unwrap_err();
    let mut error: Option<&dyn std::error::Error> = Some(&refused);
    while let Some(cause) = error {
        let _ = write!(shown, "{cause} {cause:?}");
        error = cause.source();
    }
    assert!(shown.contains("23514"), "{shown}");
    execute(&cluster.url(), "CHECKPOINT").await;

    LISTENING.store(false, Ordering::Relaxed);
    let logged = heard().clone();
    assert!(logged.contains("headroom_originals"), "sqlx logs its statements");
    let files: Vec<Vec<u8>> = cluster.files().iter().filter_map(|file| fs::read(file).ok()).collect();
    for canary in CANARIES {
        for spelling in spellings(canary) {
            assert!(!found(shown.as_bytes(), &spelling), "{canary} is shown");
            assert!(!found(logged.as_bytes(), &spelling), "{canary} is logged");
            assert!(!files.iter().any(|file| found(file, &spelling)), "{canary} is in the database");
        }
    }

    // The search would find what is there: this one is short and not sealed.
    OriginalStore::put_many(&postgres, Scope::shared(), vec![original(BODY)]).await.unwrap();
    execute(&cluster.url(), "CHECKPOINT").await;
    let files: Vec<Vec<u8>> = cluster.files().iter().filter_map(|file| fs::read(file).ok()).collect();
    assert!(files.iter().any(|file| found(file, BODY.as_bytes())));
}
