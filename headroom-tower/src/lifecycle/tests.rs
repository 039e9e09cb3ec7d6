use std::{
    future::{Future as _, poll_fn},
    mem::size_of,
    sync::{Arc, Mutex},
    task::Poll,
};

use bytes::Bytes;
use headroom_engine::Dialect;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower_layer::Layer as _;
use tower_service::Service;

use super::*;
use crate::{
    HeadroomLayer, RequestPolicy, ResponseBody, Skipped,
    testing::{Item, Probe, Refused, Script, bulk, eliding_with, events, json},
};

type Heard = Arc<Mutex<Vec<String>>>;

/// Keeps what it hears of each event.
fn ear(heard: &Heard, hear: fn(&PipelineEvent<'_>) -> String) -> impl Hook {
    let heard = Arc::clone(heard);
    move |event: &PipelineEvent<'_>| heard.lock().unwrap().push(hear(event))
}

fn stage(event: &PipelineEvent<'_>) -> String {
    event.stage().to_string()
}

fn hooks(heard: &Heard) -> Hooks {
    Hooks::setup(vec![Registered::new(ear(heard, stage))])
}

fn take(heard: &Heard) -> Vec<String> {
    std::mem::take(&mut heard.lock().unwrap())
}

async fn send<S, R>(service: &mut S, request: Request<Script>) -> Result<Response<R>, Refused>
where
    S: Service<Request<Script>, Response = Response<R>, Error = Refused>,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}

fn post(path: &str, body: Script) -> Request<Script> {
    Request::post(path).header("content-type", "application/json").body(body).unwrap()
}

fn answers() -> Probe {
    Probe::new((0..8).map(|_| Ok(json(Script::text(&["{", "}"])))))
}

#[test]
fn stages_stand_in_order_and_are_named_once() {
    let stages = [
        Stage::Setup,
        Stage::PreStart,
        Stage::PostStart,
        Stage::InputReceived,
        Stage::InputCached,
        Stage::InputRouted,
        Stage::InputCompressed,
        Stage::InputRemembered,
        Stage::PreSend,
        Stage::PostSend,
        Stage::ResponseReceived,
    ];
    assert!(stages.is_sorted_by(|one, other| one < other && one.name() != other.name()));
    assert_eq!(format!("{:>8}", Stage::Setup), "   setup");
}

#[test]
fn the_layer_s_own_stages_are_told_once() {
    let heard = Heard::default();
    let hooks = hooks(&heard);
    assert_eq!(take(&heard), ["setup"]);
    for _ in 0..3 {
        hooks.start();
    }
    for _ in 0..3 {
        hooks.clone().ready();
    }
    assert_eq!(take(&heard), ["pre_start", "post_start"]);
}

#[test]
fn hooks_are_called_in_their_order_and_a_panic_is_nobody_else_s() {
    let heard = Heard::default();
    let first = ear(&heard, |_| "first".to_owned());
    let broken = |_: &PipelineEvent<'_>| panic!("a hook that breaks");
    let last = ear(&heard, |_| "last".to_owned());
    let layer = HeadroomLayer::builder().hook(first).hook(broken).hook(last).build().unwrap();
    drop(layer);
    assert_eq!(take(&heard), ["first", "last"]);
}

#[test]
fn a_layer_that_cannot_be_built_tells_nothing() {
    let heard = Heard::default();
    HeadroomLayer::builder().route("v1", Dialect::OpenAiChat).hook(ear(&heard, stage)).build().unwrap_err();
    assert!(take(&heard).is_empty());
}

/// A null pointer on the way, another in the body; nothing behind them.
#[test]
fn without_hooks_nothing_is_held() {
    let hooks = Hooks::setup(Vec::new());
    hooks.start();
    hooks.ready();
    let events = hooks.request(Dialect::OpenAiChat);
    events.tell(Stage::InputReceived, Facts::default());
    events.send_again(1);
    assert!(events.closing(false).is_none());
    assert_eq!([size_of::<Hooks>(), size_of::<Events>()], [size_of::<usize>(); 2]);
    assert_eq!(size_of::<Option<Box<Closing>>>(), size_of::<usize>());
}

#[test]
fn numbers_are_a_request_s_own() {
    let heard = Heard::default();
    let hooks = Hooks::setup(vec![Registered::new(ear(&heard, |event| format!("{:?}", event.request())))]);
    for _ in 0..2 {
        hooks.clone().request(Dialect::OpenAiChat).tell(Stage::InputReceived, Facts::default());
    }
    assert_eq!(take(&heard), ["None", "Some(1)", "Some(2)"]);
}

#[test]
fn an_end_is_told_once_and_only_of_what_was_sent() {
    let heard = Heard::default();
    let hooks = hooks(&heard);
    let report = Report::skipped_because(Skipped::Unread);
    take(&heard);
    drop(hooks.request(Dialect::OpenAiChat));
    assert!(take(&heard).is_empty());

    let sent = hooks.request(Dialect::OpenAiChat);
    sent.send(None, &report);
    let other = sent.clone();
    drop(sent);
    assert_eq!(take(&heard), ["pre_send"]);
    drop(other.clone().closing(true));
    other.broken();
    drop(other);
    assert_eq!(take(&heard), ["response_received"]);
}

/// How a body ends, by what was read of it.
#[tokio::test]
async fn a_body_tells_its_end() {
    let heard = Heard::default();
    let told = |event: &PipelineEvent<'_>| match event.ending() {
        Some(ending) => format!("{ending:?} {}", event.bytes().unwrap()),
        None => "-".to_owned(),
    };
    let hooks = Hooks::setup(vec![Registered::new(ear(&heard, told))]);
    let report = Report::skipped_because(Skipped::Unread);
    let events = || {
        let events = hooks.request(Dialect::OpenAiChat);
        events.send(None, &report);
        take(&heard);
        events
    };
    let script = |items: Vec<Item>| ResponseBody::passthrough(Script::new(items)).telling(events());

    let mut body = script(vec![Item::Data("abc"), Item::Trailers]);
    for _ in 0..2 {
        body.frame().await.unwrap().unwrap();
    }
    assert!(take(&heard).is_empty());
    assert!(body.frame().await.is_none());
    assert_eq!(take(&heard), ["Whole 3"], "while the body is still held");
    drop(body);

    let mut body = script(vec![Item::Data("abc"), Item::Error]);
    body.frame().await.unwrap().unwrap();
    body.frame().await.unwrap().unwrap_err();
    assert_eq!(take(&heard), ["Broken 3"]);

    let mut body = script(vec![Item::Data("abc"), Item::Data("d")]);
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(take(&heard), ["Dropped 3"]);

    // Servers do not ask for more than a body says it has.
    let mut body = ResponseBody::passthrough(Full::<Bytes>::from("abc")).telling(events());
    body.frame().await.unwrap().unwrap();
    assert!(body.is_end_stream() && take(&heard).is_empty());
    drop(body);
    assert_eq!(take(&heard), ["Whole 3"]);
    drop(ResponseBody::passthrough(Full::<Bytes>::default()).telling(events()));
    assert_eq!(take(&heard), ["Whole 0"]);
}

#[tokio::test]
async fn debug_shows_numbers_and_nothing_else() {
    let heard = Heard::default();
    let layer = eliding_with(|builder| builder.hook(ear(&heard, |event| format!("{event:?}"))));
    assert_eq!(take(&heard), ["PipelineEvent { stage: Setup, .. }"]);
    let builder = format!("{:?}", HeadroomLayer::builder().hook(ear(&heard, stage)));
    assert!(builder.contains("[Hook(..)]"), "{builder}");

    let mut request = post("/secret/v1/messages?key=secret", Script::text(&[bulk(false).leak()]));
    request.headers_mut().insert("x-api-key", "secret".parse().unwrap());
    let response = send(&mut layer.layer(answers()), request).await.unwrap();
    response.into_body().collect().await.unwrap();
    let heard = take(&heard).join("\n");
    for shown in ["request: 1", "round: 1", "AnthropicMessages", "tokens_saved: ", "status: 200", "Whole"] {
        assert!(heard.contains(shown), "{heard}");
    }
    for hidden in ["secret", "search", "row", "claude", &crate::testing::bulk_handle().to_string()] {
        assert!(!heard.contains(hidden), "{heard}");
    }
}

const SENT: [&str; 3] = ["pre_send", "post_send", "response_received"];

#[tokio::test]
async fn each_way_has_its_stages() {
    let heard = Heard::default();
    let layer = eliding_with(|builder| builder.hook(ear(&heard, stage)));
    let mut service = layer.layer(answers());
    let all = ["input_received", "input_cached", "input_routed", "input_compressed", "input_remembered"];
    let batch = r#"{"requests":[{"custom_id":"1","params":{"model":"m","messages":[]}}]}"#;
    let off = {
        let mut request = post("/v1/messages", Script::text(&["{}"]));
        request.extensions_mut().insert(RequestPolicy::off());
        request
    };
    let ways: [(Request<Script>, &[&str]); 6] = [
        (post("/v1/messages", Script::text(&[bulk(false).leak()])), &all),
        (post("/v1/messages/count_tokens", Script::text(&[bulk(false).leak()])), &all[..4]),
        (post("/v1/messages/batches", Script::text(&[batch])), &[all[0], all[2], all[3]]),
        (post("/v1/messages", Script::text(&["not"])), &all[..1]),
        (post("/v1/messages", Script::new([Item::Data("{"), Item::Error])), &all[..1]),
        (off, &[]),
    ];
    poll_fn(|cx| Service::<Request<Script>>::poll_ready(&mut service, cx)).await.unwrap();
    assert_eq!(take(&heard), ["setup", "pre_start", "post_start"]);
    for (request, stages) in ways {
        let way = format!("{request:?}");
        let response = send(&mut service, request).await.unwrap();
        response.into_body().collect().await.unwrap();
        let sent = if stages.is_empty() { &[][..] } else { &SENT };
        assert_eq!(take(&heard), [stages, sent].concat(), "{way}");
    }
}

#[tokio::test]
async fn a_request_that_gets_no_answer_ends_too() {
    let heard = Heard::default();
    let told = |event: &PipelineEvent<'_>| format!("{} {:?}", event.stage(), event.ending());
    let layer = || eliding_with(|builder| builder.hook(ear(&heard, told)));
    let request = || post("/v1/messages", Script::text(&["{\"model\":\"m\",\"messages\":[]}"]));
    send(&mut layer().layer(Probe::new([Err(Refused)])), request()).await.unwrap_err();
    assert_eq!(take(&heard)[8..], ["pre_send None", "response_received Some(Broken)"]);

    // The client leaves before there is a head.
    let mut service = layer().layer(Probe::slow(Duration::from_secs(600), [Err(Refused)]));
    let mut waiting = Box::pin(send(&mut service, request()));
    while !heard.lock().unwrap().iter().any(|heard| heard == "pre_send None") {
        assert!(poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
        tokio::task::yield_now().await;
    }
    take(&heard);
    drop(waiting);
    assert_eq!(take(&heard), ["response_received Some(Dropped)"]);
}

/// Wherever a client leaves: stages come in their order, and what was sent has one end.
#[tokio::test(start_paused = true)]
async fn what_is_dropped_anywhere_has_one_end() {
    let note = |event: &PipelineEvent<'_>| format!("{} {}", event.stage(), event.round());
    let whole = [
        "input_received 0",
        "input_cached 0",
        "input_routed 0",
        "input_compressed 0",
        "input_remembered 0",
        "pre_send 1",
        "post_send 1",
        "response_received 1",
    ];
    let mut lengths = Vec::new();
    for polls in 0.. {
        let heard = Heard::default();
        let layer = eliding_with(|builder| builder.hook(ear(&heard, note)));
        let answer = events(Script::text(&["data: 1\n\n", "data: 2\n\n"]));
        let mut service = layer.layer(Probe::slow(Duration::from_millis(1), [Ok(answer)]));
        let request = post("/v1/messages", Script::text(&[bulk(true).leak()]));
        let mut exchange = Box::pin(async move {
            let mut body = send(&mut service, request).await.unwrap().into_body();
            while body.frame().await.transpose().unwrap().is_some() {
                tokio::task::yield_now().await;
            }
        });
        let mut done = false;
        for _ in 0..polls {
            done = poll_fn(|cx| Poll::Ready(exchange.as_mut().poll(cx).is_ready())).await;
            if done {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(exchange);
        let mut told = take(&heard).split_off(2);
        told.retain(|told| told != "post_start 0");
        let sent = told.iter().any(|told| told.starts_with("pre_send"));
        assert_eq!(told.pop_if(|last| last == whole[7]).is_some(), sent, "{polls}: {told:?}");
        assert_eq!(told, whole[..told.len()], "{polls}");
        lengths.push(told.len());
        if done {
            break;
        }
    }
    assert!(lengths.starts_with(&[0]) && lengths.contains(&6) && lengths.ends_with(&[7]), "{lengths:?}");
}

#[tokio::test]
async fn a_hook_that_panics_changes_no_byte() {
    let mut sent = Vec::new();
    for broken in [false, true] {
        let probe = answers();
        let layer = eliding_with(|builder| match broken {
            true => builder.hook(|_: &PipelineEvent<'_>| panic!("a hook that breaks")),
            false => builder,
        });
        let request = post("/v1/messages", Script::text(&[bulk(false).leak()]));
        let response = send(&mut layer.layer(probe.clone()), request).await.unwrap();
        assert!(response.extensions().get::<Report>().unwrap().rewrite().is_some());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        sent.push((probe.bodies(), body));
    }
    assert!(sent[0] == sent[1]);
}

#[test]
fn static_property_send_sync() {
    fn all<T: Send + Sync + Clone>() {}
    all::<PipelineEvent<'static>>();
    all::<Events>();
    all::<Hooks>();
    fn object(_: &dyn Hook) {}
    object(&|_: &PipelineEvent<'_>| ());
}
