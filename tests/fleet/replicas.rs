//! Conversations that wander between replicas.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use headroom_tests::{
    Dialect::Anthropic,
    client::{Answer, HttpClient, http, post, read},
    provider::{Block, Gate, Provider, Received, Reply, Turn},
};
use headroom_tower::PostgresStore;
use http_body_util::{BodyExt as _, Full};
use sqlx::{Connection as _, PgConnection};

use crate::{
    bed::OURS,
    cluster::{database, rows},
    gateway::Gateway,
    talk::{Talk, fetch, handles, log, retrieve, run, script, words},
};

/// Thinks, looks at each output before it goes on, thinks again, and runs the next.
fn curious(n: usize, request: &Received) -> Reply {
    let last = request.messages().last().unwrap();
    let returns = last["content"][0]["tool_use_id"].as_str().unwrap_or_default();
    let mut blocks = vec![Block::Thinking(format!("Thought {n}."))];
    if returns.starts_with(OURS) || handles(request).is_empty() {
        blocks.extend([words(&format!("Step {n}.")), run(&format!("next_{n}"))]);
    } else {
        blocks.push(fetch(request, n));
    }
    Turn::new(blocks).into()
}

struct Fleet {
    provider: Provider,
    database: String,
    gateways: Vec<Gateway>,
    client: HttpClient,
    tenant: &'static str,
}

impl Fleet {
    async fn new(replicas: usize, script: impl headroom_tests::provider::Script) -> Self {
        let database = database().await;
        PostgresStore::connect(&database).await.unwrap();
        let provider = Provider::start(script).await;
        let gateways = (0..replicas).map(|_| Gateway::start(&database, &provider.url())).collect();
        Self { provider, database, gateways, client: http(), tenant: "tenant one" }
    }

    fn request(&self, replica: usize, body: Bytes) -> http::Request<Full<Bytes>> {
        let mut request = post(&format!("{}{}", self.gateways[replica].url(), Anthropic.path()), body);
        request.headers_mut().insert("x-api-key", self.tenant.parse().unwrap());
        request
    }

    async fn ask(&self, replica: usize, body: Bytes) -> Answer {
        let response = self.client.request(self.request(replica, body)).await.unwrap();
        read(Anthropic, response).await.unwrap()
    }

    /// One turn; returns how much thinking the client got.
    async fn turn(&self, talk: &mut Talk, replica: usize, turn: usize) -> usize {
        let answer = self.ask(replica, talk.body(turn.is_multiple_of(2))).await;
        let blocks = answer.message()["content"].as_array().unwrap().clone();
        let [(id, _)] = answer.calls()[..] else { panic!("turn {turn}: {answer:?}") };
        let id = id.to_owned();
        talk.answered(&answer);
        talk.result(&id, &log(turn));
        blocks.iter().filter(|block| block["type"] == "thinking").count()
    }

    fn none_refused(&self) {
        for (at, request) in self.provider.received().iter().enumerate() {
            assert_eq!(request.rejection(), None, "request {at}");
        }
    }
}

/// The provider refuses thinking whose prefix is not what it was produced under: every replica must
/// put back every byte that another one hid.
#[tokio::test(flavor = "multi_thread")]
async fn any_replica_goes_on_with_what_another_began() {
    let fleet = Fleet::new(3, script(curious)).await;
    let mut talk = Talk::about(Anthropic, &log(0)).thinking();
    let mut delivered = 0;
    for turn in 1..=9 {
        delivered += fleet.turn(&mut talk, turn % 3, turn).await;
    }
    fleet.none_refused();
    let received = fleet.provider.received();
    assert_eq!((received.len(), delivered), (18, 18), "all was asked for, and all thinking delivered");
    for pair in received.windows(2) {
        assert!(pair[1].prefix().starts_with(pair[0].prefix()), "every byte stays");
    }
    // The same request through each of them.
    let body = talk.body(false);
    let mut sent = Vec::new();
    for replica in 0..3 {
        let before = fleet.provider.received().len();
        fleet.ask(replica, body.clone()).await;
        sent.push(fleet.provider.received()[before].body().clone());
    }
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]), "byte for byte");
    assert!(String::from_utf8_lossy(&sent[0]).contains(OURS), "with what is restored");
}

/// The client has compacted its history away; what stood in it is still named, and asked for.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_hid_another_redeems_for_its_tenant_only() {
    let first = Arc::new(OnceLock::new());
    let named = first.clone();
    let mut fleet = Fleet::new(
        2,
        script(move |n, request: &Received| {
            let handle = *named.get_or_init(|| handles(request).pop().unwrap());
            let asked = request.results().iter().any(|(id, _)| id.starts_with(OURS));
            let asks = n > 0 && !asked;
            let call = || retrieve(n, serde_json::json!({"handle": handle.to_string(), "query": "token"}));
            Turn::new([if asks { call() } else { words("Done.") }]).into()
        }),
    )
    .await;
    fleet.ask(0, Talk::about(Anthropic, &log(7)).body(false)).await;
    let mut database = PgConnection::connect(&fleet.database).await.unwrap();
    while rows(&mut database, "headroom_originals").await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (tenant, found) in [("tenant two", false), ("tenant one", true)] {
        fleet.tenant = tenant;
        fleet.ask(1, Talk::about(Anthropic, &log(8)).body(true)).await;
        let last = fleet.provider.last();
        let results = last.results();
        let (_, answer) = results.iter().find(|(id, _)| id.starts_with(OURS)).unwrap();
        assert_eq!(answer.contains("of shard 7"), found, "{tenant}: {answer}");
    }
}

/// One replica is cut off in the middle of an answer; the client asks another one again.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_killed_takes_nothing_with_it() {
    let gate = Gate::new();
    let held = gate.clone();
    let mut fleet = Fleet::new(
        2,
        script(move |n, request| match curious(n, request) {
            // The second round of the third turn, once it has begun.
            Reply::Turn(turn) if n == 5 => turn.gate(6, &held).into(),
            reply => reply,
        }),
    )
    .await;
    let mut talk = Talk::about(Anthropic, &log(0)).thinking();
    for turn in 1..3 {
        fleet.turn(&mut talk, 0, turn).await;
    }
    let response = fleet.client.request(fleet.request(0, talk.body(true))).await.unwrap();
    let mut body = response.into_body();
    let mut seen = String::new();
    while !seen.contains("Thought 5") {
        let frame = body.frame().await.unwrap().unwrap();
        seen.push_str(std::str::from_utf8(&frame.into_data().unwrap_or_default()).unwrap());
    }
    fleet.gateways[0].kill();
    let mut broken = false;
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            broken = true;
            break;
        }
    }
    assert!(broken, "the client is told");
    gate.open();
    for turn in 3..7 {
        fleet.turn(&mut talk, 1, turn).await;
    }
    fleet.none_refused();
}

/// Expiry is the database's affair; a replica whose clock is days off is as good as any.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_other_clocks_share_one_time() {
    let mut fleet = Fleet::new(1, script(curious)).await;
    for shift in ["+30d", "-30d"] {
        match Gateway::shifted(&fleet.database, &fleet.provider.url(), shift) {
            Some(gateway) => fleet.gateways.push(gateway),
            None => return println!("faketime is not installed: clocks were not shifted"),
        }
    }
    let mut talk = Talk::about(Anthropic, &log(0)).thinking();
    for turn in 1..=6 {
        fleet.turn(&mut talk, turn % 3, turn).await;
    }
    fleet.none_refused();
    let store = PostgresStore::connect(&fleet.database).await.unwrap();
    assert_eq!(store.sweep().await.unwrap().expired, 0);
}
