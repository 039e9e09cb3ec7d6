//! Answers that the provider stores: gone on with by their ids through any replica, read back, listed
//! and deleted, with retrievals in them and nothing of ours to be seen.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use headroom_tests::{
    Dialect::Responses,
    client::post,
    dice::Dice,
    provider::{Block, RETRIEVAL_TOOL, Received, Reply, Turn},
};
use headroom_tower::{
    Handle, HeadroomLayer, LedgerFailure, LedgerKey, LedgerStore, Original, OriginalStore, Record, Scope,
    StoreError,
};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::{
    bed::{Bed, Heard, OURS, within},
    durable::Durable,
    talk::{Talk, eager, fetch, handles, log, run, script, words},
};

/// A durable store that can be told to fail.
#[derive(Debug, Default)]
struct Faulty {
    store: Durable,
    fails_put: AtomicBool,
    fails_get: AtomicBool,
    fails_originals: AtomicBool,
}

fn may(fails: &AtomicBool) -> Result<(), StoreError> {
    if fails.load(Ordering::SeqCst) { Err(StoreError::new("down")) } else { Ok(()) }
}

#[async_trait]
impl LedgerStore for Faulty {
    async fn get_many(&self, scope: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
        may(&self.fails_get)?;
        self.store.get_many(scope, keys).await
    }
    async fn put_many(&self, scope: Scope, records: Vec<Record>) -> Result<(), StoreError> {
        may(&self.fails_put)?;
        LedgerStore::put_many(&self.store, scope, records).await
    }
    fn durable(&self) -> bool {
        true
    }
    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        LedgerStore::delete_scope(&self.store, scope).await
    }
}

#[async_trait]
impl OriginalStore for Faulty {
    async fn put_many(&self, scope: Scope, originals: Vec<Original>) -> Result<(), StoreError> {
        may(&self.fails_originals)?;
        OriginalStore::put_many(&self.store, scope, originals).await
    }
    async fn touch_many(&self, scope: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError> {
        may(&self.fails_originals)?;
        self.store.touch_many(scope, handles).await
    }
    async fn get(&self, scope: Scope, handle: Handle) -> Result<Option<Bytes>, StoreError> {
        self.store.get(scope, handle).await
    }
    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        OriginalStore::delete_scope(&self.store, scope).await
    }
}

fn replica(store: &Arc<Faulty>) -> HeadroomLayer {
    eager().store(store.clone()).ledger(store.clone()).single_tenant().build().unwrap()
}

/// A client that goes on by id.
struct Chain {
    bed: Bed,
    store: Arc<Faulty>,
    /// All but what is said.
    head: Value,
    previous: Option<String>,
}

impl Chain {
    async fn new(model: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        let store = Arc::new(Faulty::default());
        let bed = Bed::client(replica(&store), script(model)).await;
        let mut head = Talk::new(Responses).body;
        head.as_object_mut().unwrap().remove("store");
        Self { bed, store, head, previous: None }
    }

    /// Another process with the same stores.
    fn restart(&mut self) {
        self.bed.restart(&replica(&self.store));
    }

    async fn ask(&self, input: &Value, stream: bool) -> Heard {
        let mut body = self.head.clone();
        body["input"] = input.clone();
        body["stream"] = stream.into();
        if let Some(previous) = &self.previous {
            body["previous_response_id"] = previous.as_str().into();
        }
        self.bed.ask(Responses, body.to_string()).await
    }

    /// Says something, and reads the whole answer as a client does.
    async fn say(&mut self, input: &Value, stream: bool) -> Value {
        let heard = self.ask(input, stream).await;
        let answer = whole(heard, stream).await;
        assert_eq!(answer["previous_response_id"].as_str(), self.previous.as_deref());
        self.previous = answer["id"].as_str().map(str::to_owned);
        answer
    }

    async fn about(&self, method: Method, path: &str) -> (u16, Value) {
        let uri = format!("{}/v1/responses/{path}", self.bed.base());
        let request = Request::builder().method(method).uri(uri).body(Full::<Bytes>::default()).unwrap();
        let heard = self.bed.send(request).await.unwrap();
        let status = heard.status();
        (status, serde_json::from_slice(&within(heard.bytes()).await).unwrap())
    }

    async fn read(&self, id: &str) -> Value {
        let (status, answer) = self.about(Method::GET, id).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn items(&self, id: &str) -> Vec<Value> {
        let (status, page) = self.about(Method::GET, &format!("{id}/input_items?order=asc&limit=100")).await;
        assert_eq!(status, 200, "{page}");
        page["data"].as_array().unwrap().clone()
    }

    fn none_refused(&self) {
        for (at, request) in self.bed.provider.received().iter().enumerate() {
            let body = String::from_utf8_lossy(request.body());
            assert_eq!(request.rejection(), None, "request {at}: {body}");
        }
    }

    /// Requests for answers, as the provider got them.
    fn sent(&self) -> Vec<Arc<Received>> {
        let received = self.bed.provider.received();
        received.into_iter().filter(|request| request.dialect() == Some(Responses)).collect()
    }
}

/// The final answer, checked as an official client would.
async fn whole(heard: Heard, stream: bool) -> Value {
    let head = heard.head.clone();
    assert_eq!(head.status, 200);
    let bytes = within(heard.bytes()).await;
    let mut response = http::Response::new(Full::new(bytes.clone()));
    *response.headers_mut() = head.headers;
    headroom_tests::client::read(Responses, response).await.unwrap();
    last(&bytes, stream)
}

/// The answer that a body ends with.
fn last(bytes: &[u8], stream: bool) -> Value {
    if !stream {
        return serde_json::from_slice(bytes).unwrap();
    }
    let text = String::from_utf8_lossy(bytes);
    let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    serde_json::from_str::<Value>(last).unwrap()["response"].clone()
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

fn output(call: &str, text: &str) -> Value {
    json!([{"type": "function_call_output", "call_id": call, "output": text}])
}

fn hides(request: &Received) -> bool {
    !handles(request).is_empty()
}

fn lists(request: &Received) -> bool {
    request.tools().any(|name| name == RETRIEVAL_TOOL)
}

/// A first request that runs a tool, its output looked into, a look beside a call, and the end.
fn busy(n: usize, request: &Received) -> Reply {
    Turn::new(match n {
        0 => vec![words("I run it."), run("call_1")],
        1 => vec![words("I look closer. "), fetch(request, 1)],
        2 => vec![words("It was token 104.")],
        3 => vec![fetch(request, 3)],
        4 => vec![words("Two things. "), fetch(request, 4), run("call_2")],
        5 => vec![words("Both were lost.")],
        _ => vec![words("You are welcome.")],
    })
    .into()
}

fn says() -> [Value; 5] {
    [
        user("Why did the nightly job fail?"),
        output("call_1", &log(1)),
        user("And the other shard?"),
        output("call_2", &log(2)),
        json!("Thanks."),
    ]
}

#[tokio::test]
async fn a_chain_with_looks_goes_on_through_any_replica() {
    for stream in [false, true] {
        let mut chain = Chain::new(busy).await;
        let mut answers = Vec::new();
        for said in says() {
            answers.push(chain.say(&said, stream).await);
            chain.restart();
        }
        chain.none_refused();
        let texts = |answer: &Value| -> String {
            let items = answer["output"].as_array().unwrap().iter();
            items.filter_map(|item| item["content"][0]["text"].as_str()).collect()
        };
        let said: Vec<String> = answers.iter().map(texts).collect();
        let expected = [
            "I run it.",
            "I look closer. It was token 104.",
            "Two things. ",
            "Both were lost.",
            "You are welcome.",
        ];
        assert_eq!(said, expected);

        let sent = chain.sent();
        assert_eq!(sent.len(), 7);
        assert!(sent.iter().all(|request| lists(request)), "every handle can be redeemed");
        assert!(hides(&sent[1]) && hides(&sent[5]));
        for at in [2, 4] {
            let results = sent[at].results();
            let (id, brought) = results.last().unwrap();
            assert!(id.starts_with(OURS) && brought.contains("token"), "{at}: {brought}");
        }
        // The provider's cache goes on: every request is one that it has read before, longer.
        for pair in sent.windows(2) {
            assert!(pair[1].prefix().starts_with(pair[0].prefix()));
        }

        for answer in &answers {
            let id = answer["id"].as_str().unwrap();
            assert_eq!(&chain.read(id).await, answer);
            let items = chain.items(id).await;
            assert!(!items.is_empty());
        }
        // What was answered in between is no part of what the client sent.
        let last = chain.items(answers[4]["id"].as_str().unwrap()).await;
        let kinds: Vec<&str> = last.iter().map(|item| item["type"].as_str().unwrap_or("message")).collect();
        let of = [
            "message",
            "message",
            "function_call",
            "function_call_output",
            "message",
            "message",
            "message",
            "message",
            "function_call",
            "function_call_output",
            "message",
            "message",
        ];
        assert_eq!(kinds, of);
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone_in_all_its_parts() {
    for stream in [false, true] {
        let mut chain = Chain::new(busy).await;
        chain.say(&says()[0], stream).await;
        let answer = chain.say(&says()[1], stream).await;
        let id = answer["id"].as_str().unwrap().to_owned();
        let (status, cancelled) = chain.about(Method::POST, &format!("{id}/cancel")).await;
        assert_eq!(status, 400);
        assert!(cancelled["error"]["message"].as_str().unwrap().contains(&id), "{cancelled}");
        let (status, gone) = chain.about(Method::DELETE, &id).await;
        assert_eq!((status, gone), (200, json!({"id": id, "object": "response", "deleted": true})));
        let deleted = chain.bed.provider.received();
        let deleted = deleted.iter().filter(|request| request.head().method == Method::DELETE).count();
        assert_eq!(deleted, 2, "both rounds");
        let (status, missing) = chain.about(Method::GET, &id).await;
        assert!(status == 404 && missing["error"]["message"].as_str().unwrap().contains(&id), "{missing}");
        // A refusal names what the client named.
        let heard = chain.ask(&says()[2], stream).await;
        assert_eq!(heard.status(), 400);
        let refused: Value = serde_json::from_slice(&within(heard.bytes()).await).unwrap();
        assert_eq!(refused["error"]["message"], format!("Previous response with id '{id}' not found."));
    }
}

/// Without the record of an answer the conversation goes on all the same, forgetful.
#[tokio::test]
async fn an_alias_that_cannot_be_written_is_not_needed() {
    for stream in [false, true] {
        let mut chain =
            Chain::new(|n, request| if n < 3 { busy(n, request) } else { busy(9, request) }).await;
        chain.say(&says()[0], stream).await;
        chain.store.fails_put.store(true, Ordering::SeqCst);
        let heard = chain.ask(&says()[1], stream).await;
        let report = heard.report().clone();
        let answer = last(&within(heard.bytes()).await, stream);
        assert!(report.memory().ledger_failed && answer["output"].to_string().contains("token 104"));
        chain.store.fails_put.store(false, Ordering::SeqCst);
        chain.previous = answer["id"].as_str().map(str::to_owned);
        chain.restart();
        let heard = chain.ask(&user("And then?"), stream).await;
        let limited = heard.report().rewrite().unwrap().limited;
        assert_eq!((heard.status(), limited.map(|why| why.name())), (200, Some("stateful")));
        chain.none_refused();
        assert!(!lists(&chain.bed.provider.last()));
    }
}

/// A follow-up that fails leaves an answer whose call is open at the provider; it can be gone on with.
#[tokio::test]
async fn a_stream_that_broke_behind_a_look_can_be_gone_on_with() {
    let fails = |n: usize, request: &Received| match n {
        0 | 1 => busy(n, request),
        2 => Reply::error(529, "overloaded_error", "Overloaded."),
        _ => busy(9, request),
    };
    let mut chain = Chain::new(fails).await;
    chain.say(&says()[0], true).await;
    let heard = chain.ask(&says()[1], true).await;
    let bytes = within(heard.bytes()).await;
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("event: error"), "{text}");
    let created = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let created: Value = serde_json::from_str(created).unwrap();
    let id = created["response"]["id"].as_str().unwrap().to_owned();
    let read = chain.read(&id).await;
    assert_eq!(read["output"].as_array().unwrap().len(), 1, "what the client has seen of it");
    chain.previous = Some(id);
    chain.restart();
    chain.say(&user("Go on."), true).await;
    chain.none_refused();
    let last = chain.bed.provider.last();
    let results: Vec<&str> = last.results().into_iter().map(|(id, _)| id).collect();
    assert_eq!(results, ["call_1", "ours_1"]);
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_leaves_the_request_as_it_is() {
    let mut chain = Chain::new(|n, request| if n < 3 { busy(n, request) } else { busy(9, request) }).await;
    chain.say(&says()[0], false).await;
    let answer = chain.say(&says()[1], false).await;
    chain.store.fails_get.store(true, Ordering::SeqCst);
    // Nothing of ours, though nothing is known of it.
    chain.read(answer["id"].as_str().unwrap()).await;
    assert!(!chain.items(answer["id"].as_str().unwrap()).await.is_empty());
    chain.say(&user("And then?"), false).await;
    chain.none_refused();
    let refusing = eager().store(chain.store.clone()).ledger(chain.store.clone()).single_tenant();
    let refusing = refusing.on_ledger_failure(LedgerFailure::Refuse).build().unwrap();
    chain.bed.restart(&refusing);
    let heard = chain.ask(&user("And then?"), false).await;
    assert_eq!((heard.status(), heard.header("retry-after")), (503, Some("1")));
    let told: Value = serde_json::from_slice(&within(heard.bytes()).await).unwrap();
    assert_eq!(told["error"]["type"], "server_error");
}

/// A ledger that has lost the alias learns from the provider what waits there.
#[tokio::test]
async fn an_alias_that_is_lost_is_found_again() {
    let mut chain = Chain::new(|n, request| if n < 3 { busy(n, request) } else { busy(9, request) }).await;
    chain.say(&says()[0], true).await;
    chain.say(&says()[1], true).await;
    chain.store = Arc::default();
    chain.restart();
    let heard = chain.ask(&user("And then?"), true).await;
    assert_eq!((heard.status(), heard.header("retry-after")), (503, Some("1")));
    drop(heard);
    // Official clients try again.
    chain.say(&user("And then?"), true).await;
    let refused =
        chain.sent().iter().filter_map(|it| it.rejection().map(|it| it.status())).collect::<Vec<_>>();
    assert_eq!(refused, [400]);
    assert!(lists(&chain.bed.provider.last()));
    // What the client itself leaves open is its own affair.
    let mut chain = Chain::new(busy).await;
    chain.say(&says()[0], true).await;
    chain.store = Arc::default();
    chain.restart();
    let heard = chain.ask(&user("And then?"), true).await;
    assert_eq!(heard.status(), 400);
    let refused = within(heard.bytes()).await;
    assert!(String::from_utf8_lossy(&refused).contains("No tool output found for function call call_1"));
}

/// What is sent once is left out only if it is kept.
#[tokio::test]
async fn originals_that_cannot_be_kept_are_sent() {
    let mut chain = Chain::new(|n, request| busy(if n == 0 { 0 } else { 9 }, request)).await;
    chain.say(&says()[0], false).await;
    chain.store.fails_originals.store(true, Ordering::SeqCst);
    let source = log(1);
    chain.say(&output("call_1", &source), false).await;
    let whole = chain.bed.provider.last();
    assert!(lists(&whole) && !hides(&whole));
    chain.store.fails_originals.store(false, Ordering::SeqCst);
    chain.say(&user("And then?"), false).await;
    assert!(lists(&chain.bed.provider.last()));
    chain.none_refused();
}

/// Where nobody could redeem, or read back as the client expects, nothing is hidden.
#[tokio::test]
async fn what_is_not_ours_to_follow_stays_exact() {
    let exact = async |chain: &Chain, fields: Value| {
        let mut body = chain.head.clone();
        body["input"] = Talk::about(Responses, &log(1)).body["input"].clone();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let heard = chain.bed.ask(Responses, body.to_string()).await;
        let limited = heard.report().rewrite().unwrap().limited;
        assert_eq!((heard.status(), limited.map(|why| why.name())), (200, Some("stateful")), "{fields}");
        let sent = chain.bed.provider.last();
        assert!(!lists(&sent) && !hides(&sent), "{fields}");
    };
    let mut chain = Chain::new(|_, request| busy(9, request)).await;
    for fields in [
        json!({"conversation": "conv_1"}),
        json!({"prompt": {"id": "pmpt_1"}}),
        json!({"background": true, "store": true}),
    ] {
        exact(&chain, fields).await;
    }
    // An answer that went past this layer.
    let body = json!({"model": "gpt-6", "input": "Hi"}).to_string();
    let past = headroom_tests::client::http().request(post(&chain.bed.provider.endpoint(Responses), body));
    let past = http_body_util::BodyExt::collect(past.await.unwrap().into_body()).await.unwrap().to_bytes();
    let past: Value = serde_json::from_slice(&past).unwrap();
    exact(&chain, json!({"previous_response_id": past["id"]})).await;
    // Nobody promises anything, of the ledger or of the originals.
    chain.bed.restart(&eager().build().unwrap());
    exact(&chain, json!({})).await;
    let ledger = eager().ledger(chain.store.clone()).single_tenant().build().unwrap();
    chain.bed.restart(&ledger);
    exact(&chain, json!({"store": true})).await;
    chain.none_refused();
}

/// Conversations at random, forked at random, through replicas that restart, read back at any time:
/// never refused, and never is anything of ours seen.
#[tokio::test]
async fn chains_at_random() {
    let looked = Arc::new(AtomicUsize::new(0));
    for seed in 0..6 {
        let count = Arc::clone(&looked);
        let mut chain = Chain::new(move |n, request| {
            let mut dice = Dice::new(seed * 1000 + n as u64);
            let mut blocks = Vec::new();
            if dice.roll(2) == 0 {
                blocks.push(words(&format!("Step {n}. ")));
            }
            if hides(request) && lists(request) && dice.roll(2) == 0 {
                count.fetch_add(1, Ordering::SeqCst);
                blocks.push(fetch(request, n));
            }
            if dice.roll(2) == 0 {
                blocks.push(run(&format!("call_{n}")));
            }
            if blocks.is_empty() {
                blocks.push(Block::Thinking(format!("Thought {n}.")));
                blocks.push(words(&format!("Done {n}.")));
            }
            Turn::new(blocks).into()
        })
        .await;
        let mut dice = Dice::new(seed + 77);
        let mut answers: Vec<Value> = Vec::new();
        for turn in 0..12 {
            if dice.roll(2) == 0 {
                chain.restart();
            }
            let at = match dice.roll(4) {
                0 if !answers.is_empty() => Some(dice.roll(answers.len() as u64) as usize),
                _ => answers.len().checked_sub(1),
            };
            let before = at.map(|at| answers[at].clone());
            chain.previous = before.as_ref().map(|answer| answer["id"].as_str().unwrap().to_owned());
            let calls = before.iter().flat_map(|answer| answer["output"].as_array().unwrap());
            let mut said: Vec<Value> = calls
                .filter_map(|item| item["call_id"].as_str())
                .flat_map(|call| output(call, &log(turn)).as_array().unwrap().clone())
                .collect();
            if said.is_empty() {
                said = user(&format!("Say {turn}.")).as_array().unwrap().clone();
            }
            answers.push(chain.say(&said.into(), dice.roll(2) == 0).await);
            let answer = &answers[dice.roll(answers.len() as u64) as usize];
            let id = answer["id"].as_str().unwrap();
            assert_eq!(&chain.read(id).await, answer);
            chain.items(id).await;
        }
        chain.none_refused();
    }
    assert!(looked.load(Ordering::SeqCst) > 10, "something was looked into");
}
