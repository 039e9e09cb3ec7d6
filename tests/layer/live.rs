//! Streams while they run: what comes when, who is told to stop, and what is held.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use headroom_tests::{
    Dialect,
    client::{http, post},
    provider::{Fault, Framing, Gate, Provider, Turn},
};
use headroom_tower::Limits;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{
    bed::{Around, Bed, Heard, within},
    talk::{ALL, DIALECTS, Talk, eager, fetch, layer, log, script, words},
};

const PLACES: [Around; 2] = [Around::Client, Around::Router];

fn asking(dialect: Dialect) -> Bytes {
    Talk::about(dialect, &log(1)).body(true)
}

/// In a turn of a short text and a call of ours: the event at which the call begins.
fn call_begins(dialect: Dialect) -> usize {
    if dialect == Dialect::Anthropic { 4 } else { 2 }
}

/// Says a text, then asks.
fn looks_closer(request: &headroom_tests::provider::Received) -> Turn {
    Turn::new([words("I look closer. "), fetch(request, 0)]).delta(1000).pings(false)
}

#[tokio::test]
async fn each_event_comes_when_it_is_said() {
    for around in PLACES {
        for dialect in DIALECTS {
            let gates: Vec<Gate> = (0..16).map(|_| Gate::new()).collect();
            let held = gates.clone();
            let answers = script(move |_, _| {
                let turn = Turn::text("The lease was lost because the clock of the node ran backwards.");
                held.iter().enumerate().fold(turn, |turn, (at, gate)| turn.gate(at, gate)).into()
            });
            let bed = Bed::new(around, layer(), answers).await;
            // The head is not held back either.
            let mut heard = within(bed.ask(dialect, asking(dialect))).await;
            assert!(heard.report().rewrite().unwrap().tool_listed, "the layer listens");
            let mut said = 0;
            for gate in &gates {
                assert_eq!(heard.text().matches("\n\n").count(), said);
                gate.open();
                said += 1;
                while heard.text().matches("\n\n").count() < said {
                    if within(heard.frame()).await.transpose().unwrap().is_none() {
                        assert!(said > 7, "nothing was lost");
                        break;
                    }
                }
                if heard.text().matches("\n\n").count() < said {
                    break;
                }
            }
            assert!(heard.answer(dialect).await.unwrap().text().ends_with("backwards."));
        }
    }
}

#[tokio::test]
async fn only_our_call_is_held() {
    for around in PLACES {
        for dialect in DIALECTS {
            let (call, end, next) = (Gate::new(), Gate::new(), Gate::new());
            let held = [call.clone(), end.clone(), next.clone()];
            let answers = script(move |n, request| match n {
                0 => {
                    let at = call_begins(dialect);
                    looks_closer(request).gate(at, &held[0]).gate(at + 1, &held[1]).into()
                }
                _ => Turn::text("The lease was lost.").gate(call_begins(dialect), &held[2]).into(),
            });
            let bed = Bed::new(around, layer(), answers).await;
            let mut heard = bed.ask(dialect, asking(dialect)).await;
            within(heard.until("I look closer.")).await;
            call.open();
            assert_eq!(bed.provider.received().len(), 1, "it is not known yet what is asked for");
            end.open();
            within(heard.until("The lease")).await;
            assert_eq!(bed.provider.received().len(), 2);
            next.open();
            let answer = within(heard.answer(dialect)).await.unwrap();
            assert!(answer.text().ends_with("was lost."), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn every_cut_of_the_stream_gives_the_same_answer() {
    for dialect in ALL {
        let mut expected = None;
        for (framing, newline) in [
            (Framing::Events, "\n"),
            (Framing::Whole, "\n"),
            (Framing::Bytes(1), "\n"),
            (Framing::Bytes(7), "\r\n"),
            (Framing::Bytes(31), "\r"),
        ] {
            let answers = script(move |n, request| match n {
                0 => looks_closer(request).delta(5).framing(framing).newline(newline).into(),
                _ => Turn::text("It was lost.").framing(framing).newline(newline).into(),
            });
            let bed = Bed::client(layer(), answers).await;
            let answer = bed.ask(dialect, asking(dialect)).await.answer(dialect).await.unwrap();
            let expected = expected.get_or_insert_with(|| answer.clone());
            assert_eq!(expected, &answer, "{framing:?} {newline:?}");
        }
    }
}

#[tokio::test]
async fn a_waiting_client_is_kept() {
    for around in PLACES {
        for dialect in DIALECTS {
            let gate = Gate::new();
            let held = gate.clone();
            let answers = script(move |n, request| match n {
                0 => looks_closer(request).into(),
                _ => Turn::text("The lease was lost.").pings(false).gate(0, &held).into(),
            });
            let limits = Limits::default().keep_alive(Duration::from_millis(5));
            let bed = Bed::new(around, eager().limits(limits).build().unwrap(), answers).await;
            let mut heard = bed.ask(dialect, asking(dialect)).await;
            let sign = if dialect == Dialect::Anthropic { "event: ping\n" } else { "\n\n:" };
            within(heard.until(sign)).await;
            gate.open();
            let answer = within(heard.answer(dialect)).await.unwrap();
            assert!(answer.text().ends_with("was lost."), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_quick_answer_needs_no_keep_alive() {
    for dialect in ALL {
        let answers = script(move |n, request| match n {
            0 => looks_closer(request).into(),
            _ => Turn::text("The lease was lost.").pings(false).into(),
        });
        let bed = Bed::client(layer(), answers).await;
        let text = bed.ask(dialect, asking(dialect)).await.bytes().await;
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("ping") && !text.contains("\n:"), "{text}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_round_under_way() {
    for around in PLACES {
        for dialect in DIALECTS {
            for round in [0, 1] {
                let gate = Gate::new();
                let answers = script(move |n, request| match n {
                    _ if n == round => Turn::text("Something begins and never ends").gate(4, &gate).into(),
                    0 => looks_closer(request).into(),
                    _ => panic!("nobody waits for this"),
                });
                let bed = Bed::new(around, layer(), answers).await;
                let mut heard = bed.ask(dialect, asking(dialect)).await;
                within(heard.until("Something")).await;
                assert_eq!(bed.provider.progress().open, 1);
                drop(heard);
                within(bed.provider.until(|progress| progress.abandoned == 1 && progress.open == 0)).await;
                assert_eq!(bed.provider.received().len(), 1 + round);
            }
        }
    }
}

/// The client leaves while the next round has said nothing at all.
#[tokio::test]
async fn a_client_that_leaves_stops_a_round_that_has_not_begun() {
    for around in PLACES {
        for dialect in DIALECTS {
            let gate = Gate::new();
            let answers = script(move |n, request| match n {
                0 => looks_closer(request).into(),
                _ => Turn::text("Nothing is said").gate(0, &gate).into(),
            });
            let limits = Limits::default().keep_alive(Duration::from_millis(5));
            let bed = Bed::new(around, eager().limits(limits).build().unwrap(), answers).await;
            let mut heard = bed.ask(dialect, asking(dialect)).await;
            // A keep-alive comes only once the next round is under way.
            within(heard.until(if dialect == Dialect::Anthropic { "ping" } else { "\n:" })).await;
            within(bed.provider.until(|progress| progress.requests == 2 && progress.open == 1)).await;
            drop(heard);
            within(bed.provider.until(|progress| progress.abandoned == 1 && progress.open == 0)).await;
        }
    }
}

/// A body that counts what is pulled out of it.
struct Counted {
    body: Incoming,
    pulled: Arc<AtomicUsize>,
    largest: Arc<AtomicUsize>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.pulled.fetch_add(length, Ordering::SeqCst);
            self.largest.fetch_max(length, Ordering::SeqCst);
        }
        frame
    }
}

#[tokio::test]
async fn nothing_is_read_ahead_of_a_slow_client() {
    /// What the client never gets: the call, the ends of all rounds but the last.
    const WITHHELD: usize = 16 << 10;
    for dialect in DIALECTS {
        let long = || "The node lost its lease again and again. ".repeat(20_000);
        let provider = Provider::start(script(move |n, request| match n {
            0 => Turn::new([words(&long()), fetch(request, 0)]).delta(4096).into(),
            _ => Turn::text(long()).delta(4096).into(),
        }))
        .await;
        let (pulled, largest) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (counter, most) = (Arc::clone(&pulled), Arc::clone(&largest));
        let client = http();
        let inner = service_fn(move |request: Request<_>| {
            let (answer, pulled, largest) =
                (client.request(request), Arc::clone(&counter), Arc::clone(&most));
            async move { answer.await.map(|it| it.map(|body| Counted { body, pulled, largest })) }
        });
        let service = layer().layer(inner);
        for leaves in [false, true] {
            pulled.store(0, Ordering::SeqCst);
            let request = post(&provider.endpoint(dialect), asking(dialect));
            let response: Response<_> = service.clone().oneshot(request).await.unwrap();
            let mut heard = Heard::new(response, None);
            assert_eq!(pulled.load(Ordering::SeqCst), 0, "nothing is read before anyone asks");
            let (mut given, mut frames) = (0, 0);
            while let Some(frame) = within(heard.frame()).await {
                given += frame.unwrap().len();
                frames += 1;
                let ahead = pulled.load(Ordering::SeqCst).saturating_sub(given);
                let bound = largest.load(Ordering::SeqCst) + WITHHELD;
                assert!(ahead <= bound, "{ahead} of {bound} bytes held after frame {frames}");
                if leaves && frames == 20 {
                    break;
                }
            }
            assert!(given > 800_000 || leaves, "{given}");
        }
        within(provider.until(|progress| progress.open == 0)).await;
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_its_stop_runs_no_call() {
    for around in PLACES {
        for dialect in DIALECTS {
            for fault in [Fault::Eof, Fault::Reset] {
                for behind in [1, 2] {
                    let fault = fault.clone();
                    let answers = script(move |_, request| {
                        looks_closer(request).fault(call_begins(dialect) + behind, fault.clone()).into()
                    });
                    let bed = Bed::new(around, layer(), answers).await;
                    let mut heard = bed.ask(dialect, asking(dialect)).await;
                    let _ = within(heard.end()).await;
                    assert!(heard.text().contains("I look closer."));
                    assert!(!heard.text().contains("message_stop") && !heard.text().contains("[DONE]"));
                    drop(heard);
                    assert_eq!(bed.provider.received().len(), 1);
                }
            }
        }
    }
}

#[tokio::test]
async fn an_error_event_passes_wherever_it_stands() {
    for around in PLACES {
        for dialect in DIALECTS {
            for at in [0, 1, call_begins(dialect), call_begins(dialect) + 1] {
                let answers = script(move |_, request| {
                    let fault = Fault::Error { kind: "overloaded_error", message: "Overloaded.".to_owned() };
                    looks_closer(request).fault(at, fault).into()
                });
                let bed = Bed::new(around, layer(), answers).await;
                let heard = bed.ask(dialect, asking(dialect)).await;
                assert_eq!(heard.status(), 200);
                let error = within(heard.answer(dialect)).await.unwrap_err();
                assert!(error.0.contains("Overloaded."), "at {at}: {error}");
                assert_eq!(bed.provider.received().len(), 1);
            }
        }
    }
}
