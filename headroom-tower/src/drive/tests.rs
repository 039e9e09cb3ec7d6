//! The drivers over scripted rounds: a text that holds `call` asks for another round.

use std::time::Duration;

use headroom_engine::ccr::HandleKey;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::*;
use crate::{
    MemoryStore, Original, OriginalStore, Scope,
    report::MemoryReport,
    store::scoped::tests::{Broken, scoped},
    testing::{Item, Probe, Refused, Script, events, json, read},
};

fn handle() -> Handle {
    Handle::new(&HandleKey::default(), "text", "original")
}

#[derive(Default)]
struct Rounds {
    held: Vec<String>,
    calls: u32,
    pending: bool,
    complete: bool,
    report: RetrievalReport,
}

impl Rounds {
    fn step(&mut self) -> Step {
        if std::mem::take(&mut self.pending) { Step::Redeem(vec![handle()]) } else { Step::Done }
    }

    fn next(&mut self, found: &[(Handle, String)]) -> Step {
        self.calls += 1;
        self.report.rounds += 1;
        let found: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        self.held.push(format!("round {} with {}", self.calls, found.join(",")));
        Step::Remember(Vec::new())
    }

    fn send(&mut self, acknowledged: bool) -> Step {
        let body = format!("{} {acknowledged}", self.held.last().unwrap());
        Step::Send(body.into())
    }
}

impl JsonRounds for Rounds {
    fn response(&mut self, body: Bytes) -> Step {
        self.pending = body.starts_with(b"call");
        self.held.push(String::from_utf8(body.to_vec()).unwrap());
        self.complete = !self.pending && self.calls == 0;
        self.step()
    }
    fn redeemed(&mut self, found: Vec<(Handle, String)>) -> Step {
        self.next(&found)
    }
    fn ranked(&mut self, _: Option<Ranked>) -> Step {
        unreachable!("no script here ranks")
    }
    fn remembered(&mut self, acknowledged: bool) -> Step {
        self.send(acknowledged)
    }
    fn failed(&mut self) {}
    fn into_body(self) -> Bytes {
        self.held.join("|").into()
    }
    fn report(&self) -> &RetrievalReport {
        &self.report
    }
}

/// Withholds `call`, holds `stop` back until the end, passes the rest on.
impl StreamRounds for Rounds {
    fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        match &*chunk {
            b"call\n\n" => self.pending = true,
            b"stop\n\n" => self.complete = true,
            _ => out.push_back(chunk),
        }
    }
    fn end(&mut self, out: &mut VecDeque<Bytes>) -> Step {
        if !self.pending && self.complete {
            out.push_back("stop\n\n".into());
        }
        self.step()
    }
    fn redeemed(&mut self, found: Vec<(Handle, String)>, _: &mut VecDeque<Bytes>) -> Step {
        self.next(&found)
    }
    fn ranked(&mut self, _: Option<Ranked>, _: &mut VecDeque<Bytes>) -> Step {
        unreachable!("no script here ranks")
    }
    fn remembered(&mut self, acknowledged: bool, _: &mut VecDeque<Bytes>) -> Step {
        self.complete = false;
        self.send(acknowledged)
    }
    fn failed(&mut self, out: &mut VecDeque<Bytes>) {
        out.push_back("error\n\n".into());
    }
    fn round_complete(&self) -> bool {
        self.complete
    }
    fn keep_alive(&self) -> Bytes {
        "ping\n\n".into()
    }
    fn report(&self) -> &RetrievalReport {
        &self.report
    }
}

fn upstream(probe: &Probe) -> Upstream<Probe, Script> {
    let request = Request::builder()
        .method("POST")
        .uri("/v1/messages")
        .header("idempotency-key", "first")
        .header("content-length", "999")
        .header("x-api-key", "k");
    let mut request = request.body(()).unwrap();
    request.extensions_mut().insert(7u8);
    Upstream::new(probe.clone(), request.into_parts().0, None, Events::default())
}

fn report() -> Report {
    Report::rewritten(headroom_engine::Report::default(), MemoryReport::default())
}

async fn store() -> MemoryStore {
    let store = MemoryStore::default();
    let original = Original::new(handle(), "text", "original".into());
    OriginalStore::put_many(&store, Scope::shared(), vec![original]).await.unwrap();
    store
}

fn means(stores: Scoped, report: &Report) -> Means {
    Means { stores, limits: Limits::default(), pool: Pool::default(), report: report.clone() }
}

async fn drive_json(
    probe: &Probe,
    first: Response<Script>,
    report: &Report,
) -> Result<Response<ResponseBody<Script>>, Refused> {
    let stores = scoped(store().await);
    json::drive(Rounds::default(), first, upstream(probe), &means(stores, report)).await
}

async fn drive_stream(probe: &Probe, first: Script, report: &Report) -> ResponseBody<Script> {
    let stores = scoped(store().await);
    let first = events(first);
    stream::drive(Rounds::default(), first, upstream(probe), means(stores, report)).await.into_body()
}

#[tokio::test]
async fn json_rounds_are_each_ready_and_repaired() {
    let probe = Probe::new([Ok(json(Script::text(&["call 2"]))), Ok(json(Script::text(&["fin", "al"])))]);
    let report = report();
    let mut first = json(Script::text(&["call 1"]));
    first.headers_mut().insert("etag", "x".parse().unwrap());
    let response = drive_json(&probe, first, &report).await.unwrap();

    let expected = "call 1|round 1 with original|call 2|round 2 with original|final";
    assert_eq!(response.headers()["content-length"], expected.len().to_string().as_str());
    assert_eq!(read(response.into_body()).await.0, expected);
    assert_eq!(report.retrieval().unwrap().rounds, 2);

    assert_eq!(probe.bodies(), ["round 1 with original true", "round 2 with original true"]);
    let heads: Vec<Parts> = probe.seen().into_iter().map(|(head, _)| head).collect();
    for head in &heads {
        assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/v1/messages"));
        assert_eq!(head.headers["content-length"], "26");
        assert_eq!(head.headers["x-api-key"], "k");
        assert_eq!(head.extensions.get::<u8>(), Some(&7));
    }
    let keys: Vec<_> = heads.iter().map(|head| &head.headers["idempotency-key"]).collect();
    assert!(keys[0] != "first" && keys[1] != "first" && keys[0] != keys[1]);
}

#[tokio::test]
async fn json_without_a_call_of_ours_is_the_upstreams() {
    let probe = Probe::new([]);
    let report = report();
    let response = json::drive(
        Untouched(None),
        json(Script::new([Item::Data("{}"), Item::Trailers])),
        upstream(&probe),
        &means(scoped(Broken::Silent), &report),
    )
    .await
    .unwrap();
    assert!(!response.headers().contains_key("content-length"));
    assert_eq!(read(response.into_body()).await, ("{}".into(), true, None));
    assert!(report.retrieval().is_some());
}

/// Gives back what it got.
struct Untouched(Option<Bytes>);

impl JsonRounds for Untouched {
    fn response(&mut self, body: Bytes) -> Step {
        self.0 = Some(body);
        Step::Done
    }
    fn redeemed(&mut self, _: Vec<(Handle, String)>) -> Step {
        Step::Done
    }
    fn ranked(&mut self, _: Option<Ranked>) -> Step {
        unreachable!("no script here ranks")
    }
    fn remembered(&mut self, _: bool) -> Step {
        Step::Done
    }
    fn failed(&mut self) {}
    fn into_body(self) -> Bytes {
        self.0.unwrap()
    }
    fn report(&self) -> &RetrievalReport {
        static EMPTY: std::sync::LazyLock<RetrievalReport> =
            std::sync::LazyLock::new(RetrievalReport::default);
        &EMPTY
    }
}

#[tokio::test]
async fn a_json_follow_up_that_fails_is_passed_on() {
    let refusal = Response::builder().status(429).header("retry-after", "3").body(Script::text(&["slow"]));
    let probe = Probe::new([Ok(refusal.unwrap()), Err(Refused)]);
    let response = drive_json(&probe, json(Script::text(&["call"])), &report()).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"3".parse().unwrap())
    );
    assert_eq!(read(response.into_body()).await.0, "slow");
    let error = drive_json(&probe, json(Script::text(&["call"])), &report()).await.unwrap_err();
    assert_eq!(error, Refused);

    // One that cannot be read passes too, and is counted.
    let page = Response::builder().header("content-type", "text/html").body(Script::text(&["<p>"]));
    let (probe, report) = (Probe::new([Ok(page.unwrap())]), report());
    let response = drive_json(&probe, json(Script::text(&["call"])), &report).await.unwrap();
    assert_eq!(read(response.into_body()).await.0, "<p>");
    assert_eq!(report.unintercepted(), Some(Unintercepted::OtherType));
}

#[tokio::test]
async fn a_json_answer_that_is_too_large_or_breaks_loses_nothing() {
    let (probe, report) = (Probe::new([]), report());
    let limits = Limits::default().response_bytes(3);
    let first = json(Script::text(&["call", "more"]));
    let means = Means { limits, ..means(scoped(Broken::Silent), &report) };
    let response = json::drive(Rounds::default(), first, upstream(&probe), &means).await.unwrap();
    assert_eq!(read(response.into_body()).await.0, "callmore");
    assert_eq!(report.unintercepted(), Some(Unintercepted::Unread));
    let broken = json(Script::new([Item::Data("call"), Item::Error]));
    let response = drive_json(&probe, broken, &self::report()).await.unwrap();
    assert_eq!(read(response.into_body()).await, ("call".into(), false, Some("the body broke".into())));
}

#[tokio::test]
async fn stream_rounds_are_spliced() {
    let probe = Probe::new([
        Ok(events(Script::text(&["b\n\n", "call\n\n", "stop\n\n"]))),
        Ok(events(Script::new([
            Item::Data("c\n\n"),
            Item::Data("stop\n\n"),
            Item::Data(":\n\n"),
            Item::Trailers,
        ]))),
    ]);
    let report = report();
    let body = drive_stream(&probe, Script::text(&["a\n\n", "call\n\n", "stop\n\n"]), &report).await;
    assert_eq!(read(body).await, ("a\n\nb\n\nc\n\nstop\n\n".into(), true, None));
    assert_eq!(probe.bodies(), ["round 1 with original true", "round 2 with original true"]);
    assert_eq!(report.retrieval().unwrap().rounds, 2);

    let first = Script::text(&["a\n\n", "stop\n\n", ": behind it\n\n"]);
    let body = drive_stream(&Probe::new([]), first, &self::report()).await;
    assert_eq!(read(body).await.0, "a\n\nstop\n\n: behind it\n\n");
}

#[tokio::test]
async fn nothing_is_read_or_sent_before_it_is_asked_for() {
    let probe = Probe::new([Ok(events(Script::text(&["b\n\n", "stop\n\n"])))]);
    let first = Script::text(&["a\n\n", "a\n\n", "call\n\n"]);
    let polls = first.clone();
    let mut body = Box::pin(drive_stream(&probe, first, &report()).await);
    assert_eq!(polls.polls(), 0);
    for n in 1..=2 {
        body.frame().await.unwrap().unwrap();
        assert_eq!(polls.polls(), n);
        assert!(probe.seen().is_empty());
    }
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "b\n\n");
    assert_eq!(probe.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_the_call() {
    let probe = Probe::slow(Duration::from_secs(60), [Ok(events(Script::default()))]);
    let report = report();
    let mut body = Box::pin(drive_stream(&probe, Script::text(&["call\n\n"]), &report).await);
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ping\n\n");
    assert_eq!((probe.in_flight(), report.retrieval().is_some()), (1, false));
    drop(body);
    assert_eq!((probe.in_flight(), report.retrieval().unwrap().rounds), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_of_a_json_answer_cancels_the_call() {
    let probe = Probe::slow(Duration::from_secs(60), [Ok(json(Script::default()))]);
    let report = report();
    let drive = drive_json(&probe, json(Script::text(&["call"])), &report);
    assert!(tokio::time::timeout(Duration::from_secs(1), drive).await.is_err());
    assert_eq!((probe.seen().len(), probe.in_flight()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_client_is_kept_and_a_quick_answer_needs_nothing() {
    let follow_up = || Ok(events(Script::text(&["b\n\n", "stop\n\n"])));
    let slow = Probe::slow(Duration::from_secs(25), [follow_up()]);
    let body = drive_stream(&slow, Script::text(&["a\n\n", "call\n\n"]), &report()).await;
    assert_eq!(read(body).await.0, "a\n\nping\n\nping\n\nb\n\nstop\n\n");
    let quick = Probe::slow(Duration::from_secs(9), [follow_up()]);
    let body = drive_stream(&quick, Script::text(&["a\n\n", "call\n\n"]), &report()).await;
    assert_eq!(read(body).await.0, "a\n\nb\n\nstop\n\n");
}

#[tokio::test(start_paused = true)]
async fn no_keep_alive_of_ours_in_the_first_round_or_inside_an_event() {
    let mid_event = Probe::new([Ok(events(Script::new([Item::Data("data: half"), Item::Never])))]);
    for (probe, first) in [
        (Probe::new([]), Script::new([Item::Data("a\n\n"), Item::Never])),
        (mid_event, Script::text(&["call\n\n"])),
    ] {
        let mut body = Box::pin(drive_stream(&probe, first, &report()).await);
        body.frame().await.unwrap().unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(60), body.frame()).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_round_is_drained_but_not_for_ever() {
    let follow_up = || Probe::new([Ok(events(Script::text(&["stop\n\n"])))]);
    let first = Script::text(&["call\n\n", "stop\n\n", "x", "y"]);
    let polls = first.clone();
    let probe = follow_up();
    assert_eq!(read(drive_stream(&probe, first, &report()).await).await.0, "stop\n\n");
    assert_eq!(polls.polls(), 5, "to its end");

    let endless = Script::new([Item::Data("call\n\n"), Item::Data("stop\n\n"), Item::Never]);
    let begin = Instant::now();
    assert_eq!(read(drive_stream(&follow_up(), endless, &report()).await).await.0, "stop\n\n");
    assert_eq!(begin.elapsed().as_millis(), Limits::default().drain.as_millis());
}

#[tokio::test]
async fn a_stream_that_fails_says_so() {
    let not_a_stream = Response::builder().status(529).body(Script::text(&["overloaded"])).unwrap();
    let breaks = events(Script::new([Item::Data("b\n\n"), Item::Error]));
    for (answer, expected) in [
        (Ok(not_a_stream), "a\n\nerror\n\n"),
        (Ok(json(Script::text(&["{}"]))), "a\n\nerror\n\n"),
        (Err(Refused), "a\n\nerror\n\n"),
        (Ok(breaks), "a\n\nb\n\nerror\n\n"),
    ] {
        let probe = Probe::new([answer]);
        let body = drive_stream(&probe, Script::text(&["a\n\n", "call\n\n"]), &report()).await;
        assert_eq!(read(body).await, (expected.into(), false, None));
    }
    // The first round's own failure stays what it was.
    let first = Script::new([Item::Data("a\n\n"), Item::Error]);
    let read = read(drive_stream(&Probe::new([]), first, &report()).await).await;
    assert_eq!(read, ("a\n\n".into(), false, Some("the body broke".into())));
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_delays_but_does_not_fail() {
    let probe = Probe::new([Ok(events(Script::text(&["stop\n\n"])))]);
    let stores = scoped(Broken::Silent);
    let first = events(Script::text(&["call\n\n"]));
    let body = stream::drive(Rounds::default(), first, upstream(&probe), means(stores, &report())).await;
    assert_eq!(read(body.into_body()).await.0, "stop\n\n");
    assert_eq!(probe.bodies(), ["round 1 with  false"]);
}

#[test]
fn what_a_response_is() {
    let response = |status: u16, kind: &str, coding: Option<&str>| {
        let response = Response::builder().status(status).header("content-type", kind);
        coding
            .into_iter()
            .fold(response, |it, coding| it.header("content-encoding", coding))
            .body(())
            .unwrap()
    };
    for (head, expected) in [
        (response(200, "application/json", None), Answer::Json),
        (response(200, "text/event-stream; charset=utf-8", None), Answer::Stream),
        (response(200, "application/json", Some("identity")), Answer::Json),
        (response(200, "application/json", Some("compress")), Answer::Other(Unintercepted::Encoded)),
        (response(200, "text/html", None), Answer::Other(Unintercepted::OtherType)),
        (response(529, "application/json", None), Answer::Failure),
    ] {
        assert_eq!(Answer::of(&head, false), expected);
    }
}

#[test]
fn an_array_of_answers_is_a_stream() {
    for (path, expected) in [
        ("/v1beta/models/m:streamGenerateContent", Answer::Stream),
        ("/v1beta/models/m:generateContent", Answer::Json),
    ] {
        let (head, ()) = Request::post(path).body(()).unwrap().into_parts();
        let upstream: Upstream<Probe, Script> = Upstream::new(Probe::new([]), head, None, Events::default());
        assert_eq!(upstream.kind(&json(Script::default())), expected);
        let refused = Response::builder().status(429).body(()).unwrap();
        assert_eq!(upstream.kind(&refused), Answer::Failure);
    }
}
