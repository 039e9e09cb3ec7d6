use std::{
    future::poll_fn,
    sync::atomic::{AtomicUsize, Ordering},
};

use tower_layer::Layer;

use super::*;
use crate::{
    Handle, HeadroomLayer, LedgerKey, LedgerStore, Limits, MemoryStore, OriginalStore, Record, Scope,
    StoreError,
    store::scoped::tests::Broken,
    testing::{Item, Probe, Refused, Script, bulk, bulk_handle, eliding, eliding_with, events, json, read},
};

fn post(body: Script) -> Request<Script> {
    let request = Request::post("/v1/messages").header("content-type", "application/json");
    request.body(body).unwrap()
}

fn small() -> HeadroomLayer {
    HeadroomLayer::builder().limits(Limits::default().request_bytes(8)).build().unwrap()
}

async fn send<S, R>(service: &mut S, request: Request<Script>) -> Result<Response<R>, Refused>
where
    S: Service<Request<Script>, Response = Response<R>, Error = Refused>,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}

fn answered() -> Probe {
    Probe::new((0..4).map(|_| Ok(json(Script::text(&["{}"])))))
}

#[tokio::test]
async fn what_is_not_ours_passes_through() {
    let probe = answered();
    let mut service = HeadroomLayer::new().layer(probe.clone());
    let request = Request::get("/v1/models").body(Script::text(&["a", "b"])).unwrap();
    let response = send(&mut service, request).await.unwrap();
    assert!(response.extensions().get::<Report>().is_none());
    assert_eq!(read(response.into_body()).await.0, "{}");
    assert_eq!(probe.bodies(), ["ab"]);
}

#[tokio::test]
async fn what_is_skipped_says_why() {
    let probe = answered();
    let mut service = small().layer(probe.clone());
    let mut off = post(Script::text(&["{off}"]));
    off.extensions_mut().insert(RequestPolicy::off());
    let mut signed = post(Script::text(&["{signed}"]));
    signed.headers_mut().insert("signature-input", "sig=()".parse().unwrap());
    let large = post(Script::new([Item::Data("{too"), Item::Data(" large"), Item::Data("}")]));
    let unscannable = post(Script::text(&["not"]));
    for (request, why, body) in [
        (off, Skipped::Off, "{off}"),
        (signed, Skipped::Signed, "{signed}"),
        (large, Skipped::TooLarge, "{too large}"),
        (unscannable, Skipped::Unscannable, "not"),
    ] {
        let response = send(&mut service, request).await.unwrap();
        assert_eq!(response.extensions().get::<Report>().unwrap().skipped(), Some(why));
        assert_eq!(probe.bodies().last().unwrap(), body);
    }
}

#[tokio::test]
async fn a_declared_length_above_the_limit_is_not_read() {
    let probe = answered();
    let mut service = small().layer(probe.clone());
    let body = Script::text(&["0123456789"]);
    let mut request = post(body.clone());
    request.headers_mut().insert("content-length", "10".parse().unwrap());
    let ready = |cx: &mut Context<'_>| Service::<Request<Script>>::poll_ready(&mut service, cx);
    poll_fn(ready).await.unwrap();
    let future = service.call(request);
    assert_eq!(body.polls(), 0);
    future.await.unwrap();
    let (head, sent) = probe.seen().remove(0);
    assert_eq!(
        (&head.headers["content-length"], sent.unwrap()),
        (&"10".parse().unwrap(), "0123456789".into())
    );
}

#[tokio::test]
async fn the_inner_service_sees_a_read_error_where_it_was() {
    let probe = answered();
    let mut service = HeadroomLayer::new().layer(probe.clone());
    send(&mut service, post(Script::new([Item::Data("{"), Item::Error]))).await.unwrap();
    assert_eq!(probe.seen()[0].1, Err("the body broke".into()));
}

#[tokio::test]
async fn nothing_to_do_changes_no_byte_and_no_header() {
    let probe = answered();
    let mut service = HeadroomLayer::new().layer(probe.clone());
    let mut request = post(Script::text(&["{\"mo", "del\": \"m\", \"messages\": []}"]));
    request.headers_mut().insert("content-md5", "kept".parse().unwrap());
    let before = request.headers().clone();
    let response = send(&mut service, request).await.unwrap();
    assert!(response.extensions().get::<Report>().unwrap().rewrite().is_some());
    let (head, body) = probe.seen().remove(0);
    assert_eq!((head.headers, body.unwrap()), (before, "{\"model\": \"m\", \"messages\": []}".into()));
}

#[tokio::test]
async fn bulk_shrinks_and_the_headers_are_true() {
    let probe = answered();
    let mut service = eliding().layer(probe.clone());
    let source = bulk(false);
    let mut request = post(Script::text(&[source.clone().leak()]));
    request.headers_mut().insert("content-length", source.len().to_string().parse().unwrap());
    request.headers_mut().insert("content-digest", "stale".parse().unwrap());
    request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let response = send(&mut service, request).await.unwrap();

    let report = response.extensions().get::<Report>().unwrap();
    let rewrite = report.rewrite().unwrap();
    assert!(rewrite.tokens_saved() > 0 && rewrite.tool_listed, "{rewrite:?}");
    let hidden: usize = rewrite.blocks.iter().map(|block| block.hidden.len()).sum();
    assert_eq!(report.memory().stored, hidden);

    let (head, body) = probe.seen().remove(0);
    let body = body.unwrap();
    assert!(body.len() < source.len());
    assert_eq!(head.headers["content-length"], body.len().to_string().as_str());
    assert_eq!(head.headers["accept-encoding"], "identity");
    assert!(!head.headers.contains_key("content-digest"));
    assert!(head.headers.keys().all(|name| !name.as_str().contains("headroom")));
}

#[tokio::test]
async fn the_request_s_policy_wins() {
    let probe = answered();
    let mut service = HeadroomLayer::new().layer(probe.clone());
    for policy in [RequestPolicy::exact(), RequestPolicy::with(headroom_engine::Policy::off())] {
        let mut request = post(Script::text(&[bulk(false).leak()]));
        request.extensions_mut().insert(policy);
        let response = send(&mut service, request).await.unwrap();
        let rewrite = response.extensions().get::<Report>().unwrap().rewrite().unwrap().clone();
        assert!(!rewrite.tool_listed && rewrite.blocks.iter().all(|block| block.hidden.is_empty()));
        assert_eq!(probe.bodies().last().unwrap(), &bulk(false));
    }
}

#[tokio::test]
async fn exact_hides_nothing_from_a_client_that_retrieves_itself() {
    let probe = answered();
    let mut service = eliding().layer(probe.clone());
    let mut owned: serde_json::Value = serde_json::from_str(&bulk(false)).unwrap();
    owned["tools"][0]["name"] = "headroom_retrieve".into();
    let owned = owned.to_string();
    for (policy, hides) in [(None, true), (Some(RequestPolicy::exact()), false)] {
        let mut request = post(Script::text(&[owned.clone().leak()]));
        if let Some(policy) = policy {
            request.extensions_mut().insert::<RequestPolicy>(policy);
        }
        send(&mut service, request).await.unwrap();
        assert!((probe.bodies().last().unwrap() != &owned) == hides);
    }
}

#[tokio::test]
async fn nested_layers_process_once() {
    let resolved = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&resolved);
    let layer = HeadroomLayer::builder().tenant(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Scope::shared()
    });
    let layer = layer.build().unwrap();
    let mut service = layer.layer(layer.layer(answered()));
    let request = post(Script::text(&["{\"model\":\"m\",\"messages\":[]}"]));
    let response = send(&mut service, request).await.unwrap();
    assert_eq!(resolved.load(Ordering::SeqCst), 1);
    assert!(response.extensions().get::<Report>().unwrap().rewrite().is_some());
}

#[tokio::test]
async fn the_inner_error_is_the_only_one() {
    let mut service = HeadroomLayer::new().layer(Probe::new([Err(Refused)]));
    let request = post(Script::text(&["{\"model\":\"m\",\"messages\":[]}"]));
    assert_eq!(send(&mut service, request).await.unwrap_err(), Refused);
}

#[tokio::test]
async fn each_call_takes_the_instance_that_was_ready() {
    let probe = answered();
    let mut service = HeadroomLayer::new().layer(probe.clone());
    for _ in 0..2 {
        send(&mut service, post(Script::text(&["{}"]))).await.unwrap();
        send(&mut service.clone(), post(Script::text(&["{}"]))).await.unwrap();
    }
    assert_eq!(probe.seen().len(), 4);
}

#[test]
fn static_property_future_is_send_and_sync() {
    fn all<T: Send + Sync>(_: &T) {}
    let mut service = HeadroomLayer::new().layer(Plain);
    all(&service.call(post(Script::default())));
}

#[derive(Clone)]
struct Plain;

impl<B> Service<Request<RequestBody<B>>> for Plain {
    type Response = Response<Script>;
    type Error = Refused;
    type Future = std::future::Ready<Result<Response<Script>, Refused>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<RequestBody<B>>) -> Self::Future {
        std::future::ready(Err(Refused))
    }
}

/// Takes originals and finds no records, then fails.
#[derive(Debug)]
struct Forgetful;

#[async_trait::async_trait]
impl OriginalStore for Forgetful {
    async fn put_many(&self, _: Scope, _: Vec<crate::Original>) -> Result<(), StoreError> {
        Ok(())
    }
    async fn touch_many(&self, _: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError> {
        Ok(handles.to_vec())
    }
    async fn get(&self, _: Scope, _: Handle) -> Result<Option<Bytes>, StoreError> {
        Err(StoreError::new("down"))
    }
    async fn delete_scope(&self, _: Scope) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait::async_trait]
impl LedgerStore for Forgetful {
    async fn get_many(&self, _: Scope, _: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
        Ok(Vec::new())
    }
    async fn put_many(&self, _: Scope, _: Vec<Record>) -> Result<(), StoreError> {
        Err(StoreError::new("down"))
    }
    fn durable(&self) -> bool {
        false
    }
    async fn delete_scope(&self, _: Scope) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The model's answer that asks for `range` of what [`bulk`] hides.
fn ask(stream: bool, id: &str, range: &str) -> Response<Script> {
    let input = serde_json::json!({"handle": bulk_handle().to_string(), "range": range}).to_string();
    let input = if stream {
        format!("{{\"partial_json\":{},\"type\":\"input_json_delta\"}}", quote(&input))
    } else {
        input
    };
    let call = |input: &str| {
        format!(
            "{{\"type\":\"tool_use\",\"id\":\"{id}\",\"name\":\"retrieve_original_content\",\"input\":{input}}}"
        )
    };
    if stream { turn_events(&call("{}"), Some(&input), "tool_use") } else { turn(&call(&input), "tool_use") }
}

fn say(stream: bool, text: &str) -> Response<Script> {
    let delta = format!("{{\"type\":\"text_delta\",\"text\":{}}}", quote(text));
    if stream {
        turn_events("{\"type\":\"text\",\"text\":\"\"}", Some(&delta), "end_turn")
    } else {
        turn(&format!("{{\"type\":\"text\",\"text\":{}}}", quote(text)), "end_turn")
    }
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn turn(block: &str, stop: &str) -> Response<Script> {
    let body = format!(
        "{{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{block}],\
         \"stop_reason\":\"{stop}\",\"usage\":{{\"input_tokens\":10,\"output_tokens\":5}}}}"
    );
    json(Script::text(&[body.leak()]))
}

fn turn_events(block: &str, delta: Option<&str>, stop: &str) -> Response<Script> {
    let event =
        |kind: &str, rest: &str| &*format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n").leak();
    let message = ",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\
                   \"content\":[],\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}";
    let mut all = vec![
        event("message_start", message),
        event("content_block_start", &format!(",\"index\":0,\"content_block\":{block}")),
    ];
    all.extend(delta.map(|delta| event("content_block_delta", &format!(",\"index\":0,\"delta\":{delta}"))));
    all.extend([
        event("content_block_stop", ",\"index\":0"),
        event(
            "message_delta",
            &format!(",\"delta\":{{\"stop_reason\":\"{stop}\"}},\"usage\":{{\"output_tokens\":5}}"),
        ),
        event("message_stop", ""),
    ]);
    events(Script::text(&all))
}

#[tokio::test]
async fn the_model_gets_what_it_asks_for_and_the_client_sees_one_answer() {
    for stream in [false, true] {
        let answers = [ask(stream, "r1", "20-25"), ask(stream, "r2", "100"), say(stream, "all done")];
        let probe = Probe::new(answers.map(Ok));
        let mut service = eliding().layer(probe.clone());
        let response = send(&mut service, post(Script::text(&[bulk(stream).leak()]))).await.unwrap();
        let report = response.extensions().get::<Report>().unwrap().clone();
        assert_eq!(report.retrieval().is_some(), !stream);
        let length = response.headers().get("content-length").cloned();
        let (text, _, error) = read(response.into_body()).await;

        assert_eq!(error, None);
        assert!(text.contains("all done") && !text.contains("retrieve_original_content"), "{text}");
        assert_eq!(length, (!stream).then(|| text.len().into()));
        for kind in ["message_start", "message_delta", "message_stop"] {
            assert_eq!(text.matches(&format!("event: {kind}\n")).count(), usize::from(stream));
        }
        let retrieval = report.retrieval().unwrap();
        assert_eq!((retrieval.rounds, retrieval.calls, retrieval.unknown), (2, 2, 0));

        let bodies = probe.bodies();
        let sent = |round: usize, row: &str| std::str::from_utf8(&bodies[round]).unwrap().contains(row);
        assert_eq!(bodies.len(), 3);
        assert!(!sent(0, "row 20 of") && sent(1, "row 20 of") && sent(2, "row 20 of"));
        assert!(!sent(1, "row 98 of") && sent(2, "row 98 of"));
        for (round, (head, _)) in probe.seen().iter().enumerate() {
            assert_eq!(head.headers["content-length"], bodies[round].len().to_string().as_str());
            assert_eq!(head.headers["accept-encoding"], "identity");
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_call_is_the_upstreams_byte_for_byte() {
    for stream in [false, true] {
        let expected = read(say(stream, "hello").into_body()).await.0;
        let probe = Probe::new([Ok(say(stream, "hello"))]);
        let response =
            send(&mut eliding().layer(probe), post(Script::text(&[bulk(stream).leak()]))).await.unwrap();
        assert_eq!(read(response.into_body()).await.0, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_store_changes_no_byte_and_no_answer() {
    let mut bodies = Vec::new();
    for broken in [None, Some((Broken::Silent, Broken::Failing)), Some((Broken::Failing, Broken::Silent))] {
        let failing = broken.is_some();
        let probe = Probe::new([ask(false, "r1", "20-25"), say(false, "done")].map(Ok));
        let layer = eliding_with(|builder| match broken {
            None => builder,
            Some((store, ledger)) => builder.store(Arc::new(store)).ledger(Arc::new(ledger)),
        });
        let response =
            send(&mut layer.layer(probe.clone()), post(Script::text(&[bulk(false).leak()]))).await.unwrap();
        let memory = response.extensions().get::<Report>().unwrap().memory();
        assert_eq!((memory.store_failed, memory.stored), (failing, usize::from(!failing)));
        bodies.push((probe.bodies(), read(response.into_body()).await.0));
    }
    assert!(bodies[0] == bodies[1] && bodies[0] == bodies[2]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_during_a_retrieval_is_reported() {
    let other = bulk(false).replace("row 5 of", "line 5 of");
    for (body, store, ledger) in [(other, true, false), (bulk(false), false, true)] {
        let body = body.replace("claude-opus-5-5", "claude-opus-5");
        let probe = Probe::new([ask(false, "r1", "20-25"), say(false, "done")].map(Ok));
        let layer = eliding_with(|builder| match (store, ledger) {
            (true, _) => builder.store(Arc::new(Forgetful)),
            _ => builder.ledger(Arc::new(Forgetful)),
        });
        let response = send(&mut layer.layer(probe), post(Script::text(&[body.leak()]))).await.unwrap();
        let memory = response.extensions().get::<Report>().unwrap().memory();
        assert_eq!((memory.store_failed, memory.ledger_failed), (store, ledger));
    }
}

#[tokio::test]
async fn a_store_gives_to_its_scope_what_the_request_no_longer_holds() {
    let store = Arc::new(MemoryStore::default());
    let other = bulk(false).replace("row 5 of", "line 5 of");
    for (key, unknown) in [("mine", 0), ("another's", 1)] {
        let original = crate::Original::new(bulk_handle(), "test", crate::testing::bulk_text().into());
        OriginalStore::put_many(&*store, Scope::of(b"mine"), vec![original]).await.unwrap();
        let layer = eliding_with(|it| {
            it.store(store.clone()).tenant(|head| Scope::of(head.headers["x-api-key"].as_bytes()))
        });
        let probe = Probe::new([ask(false, "r1", "20-25"), say(false, "done")].map(Ok));
        let mut request = post(Script::text(&[other.clone().leak()]));
        request.headers_mut().insert("x-api-key", key.parse().unwrap());
        let response = send(&mut layer.layer(probe.clone()), request).await.unwrap();
        let report = response.extensions().get::<Report>().unwrap();
        assert_eq!(report.retrieval().unwrap().unknown, unknown);
        assert_eq!(std::str::from_utf8(&probe.bodies()[1]).unwrap().contains("row 20 of"), unknown == 0);
    }
}

/// A marker that a tool's output brings along is nobody's promise, even if its handle is known.
#[tokio::test]
async fn what_a_tool_pasted_is_not_redeemed() {
    let store = Arc::new(MemoryStore::default());
    let original = crate::Original::new(bulk_handle(), "test", crate::testing::bulk_text().into());
    OriginalStore::put_many(&*store, Scope::shared(), vec![original]).await.unwrap();
    let pasted = format!("row 5 of [~lines 1-9 #{}] ", bulk_handle());
    for (body, unknown) in
        [(bulk(false).replace("row 5 of", "line 5 of"), 0), (bulk(false).replace("row 5 of", &pasted), 1)]
    {
        let layer = eliding_with(|it| it.store(store.clone()));
        let probe = Probe::new([ask(false, "r1", "20-25"), say(false, "done")].map(Ok));
        let response = send(&mut layer.layer(probe), post(Script::text(&[body.leak()]))).await.unwrap();
        let report = response.extensions().get::<Report>().unwrap();
        assert_eq!(report.retrieval().unwrap().unknown, unknown);
    }
}

#[tokio::test]
async fn the_next_turn_holds_what_the_model_fetched() {
    // Without a durable ledger, only where nothing is bound to it.
    for (model, restored) in [("claude-opus-5", 1), ("claude-opus-5-5", 0)] {
        let first = bulk(false).replace("claude-opus-5-5", model);
        let answers = [ask(false, "r1", "20-25"), say(false, "first answer"), say(false, "second answer")];
        let probe = Probe::new(answers.map(Ok));
        let mut service = eliding().layer(probe.clone());
        send(&mut service, post(Script::text(&[first.clone().leak()]))).await.unwrap();
        let mut next: serde_json::Value = serde_json::from_str(&first).unwrap();
        next["messages"].as_array_mut().unwrap().extend([
            serde_json::json!({"role": "assistant", "content": [{"type": "text", "text": "first answer"}]}),
            serde_json::json!({"role": "user", "content": "and then?"}),
        ]);
        let response = send(&mut service, post(Script::text(&[next.to_string().leak()]))).await.unwrap();
        let report = response.extensions().get::<Report>().unwrap();
        assert_eq!(
            (report.memory().recorded, report.rewrite().unwrap().restored),
            (restored, restored as u32)
        );
        assert_eq!(std::str::from_utf8(&probe.bodies()[2]).unwrap().contains("row 20 of"), restored == 1);
    }
}

#[tokio::test]
async fn counting_sees_the_bytes_that_are_sent() {
    let probe = answered();
    let mut service = eliding().layer(probe.clone());
    send(&mut service, post(Script::text(&[bulk(false).leak()]))).await.unwrap();
    let mut count = post(Script::text(&[bulk(false).leak()]));
    *count.uri_mut() = http::Uri::from_static("/v1/messages/count_tokens");
    let response = send(&mut eliding().layer(probe.clone()), count).await.unwrap();
    let report = response.extensions().get::<Report>().unwrap();
    assert_eq!((report.memory().stored, report.retrieval().is_none()), (0, true));
    assert_eq!(probe.bodies()[0], probe.bodies()[1]);
}

#[tokio::test]
async fn admission_outside_never_waits_for_itself() {
    // The permit is held until a JSON answer is whole, so rounds of the two do not mix.
    let rounds = (0..2).flat_map(|_| [ask(false, "r1", "20-25"), say(false, "done")]);
    let probe = Probe::new(rounds.map(Ok));
    let service = tower::limit::ConcurrencyLimitLayer::new(1).layer(eliding().layer(probe));
    let (mut one, mut two) = (service.clone(), service);
    let request = || post(Script::text(&[bulk(false).leak()]));
    let one = async { read(send(&mut one, request()).await.unwrap().into_body()).await };
    let two = async { read(send(&mut two, request()).await.unwrap().into_body()).await };
    let (one, two) = tokio::join!(one, two);
    assert!(one.0.contains("done") && two.0.contains("done"));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_passes_and_is_counted() {
    let mut coded = json(Script::text(&["not to be read"]));
    coded.headers_mut().insert("content-encoding", "br".parse().unwrap());
    let before = coded.headers().clone();
    let request = post(Script::text(&[bulk(false).leak()]));
    let response = send(&mut eliding().layer(Probe::new([Ok(coded)])), request).await.unwrap();
    let why = response.extensions().get::<Report>().unwrap().unintercepted();
    assert_eq!(why, Some(crate::Unintercepted::Encoded));
    assert_eq!(response.headers(), &before);
    assert_eq!(read(response.into_body()).await.0, "not to be read");
}
