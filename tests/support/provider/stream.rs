//! Bodies that come in frames, wait at gates and break where they are told to.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use super::{
    State,
    check::Rejection,
    script::{Fault, Framing, Gate, Turn},
    server::Body,
    wire::{self, Event},
};
use crate::Dialect;

enum Step {
    Send(Bytes),
    Wait(Gate),
    Stall,
    Break,
}

/// The body of a streamed turn. It is sent by a task of its own, one frame ahead of the client.
pub(super) fn body(state: Arc<State>, dialect: Dialect, framed: bool, turn: &Turn, events: &[Event]) -> Body {
    let steps = steps(dialect, framed, turn, events);
    let (sender, receiver) = mpsc::channel(1);
    state.progress.send_modify(|progress| progress.open += 1);
    tokio::spawn(async move {
        let finished = tokio::select! {
            biased;
            finished = play(&sender, steps) => finished,
            () = sender.closed() => false,
        };
        state.progress.send_modify(|progress| {
            progress.open -= 1;
            progress.abandoned += usize::from(!finished);
        });
    });
    Feed(receiver).boxed_unsync()
}

/// A body that breaks behind `start`.
pub(super) fn broken(start: Bytes) -> Body {
    let (sender, receiver) = mpsc::channel(2);
    let _ = sender.try_send(Ok(start));
    let _ = sender.try_send(Err(io::ErrorKind::ConnectionReset.into()));
    Feed(receiver).boxed_unsync()
}

async fn play(sender: &mpsc::Sender<io::Result<Bytes>>, steps: Vec<Step>) -> bool {
    for step in steps {
        let sent = match step {
            Step::Send(bytes) => sender.send(Ok(bytes)).await,
            Step::Wait(gate) => {
                gate.opened().await;
                Ok(())
            }
            Step::Stall => std::future::pending().await,
            Step::Break => sender.send(Err(io::ErrorKind::ConnectionReset.into())).await,
        };
        if sent.is_err() {
            return false;
        }
    }
    true
}

/// Runs of events, cut into frames, with the gates between them.
fn steps(dialect: Dialect, framed: bool, turn: &Turn, events: &[Event]) -> Vec<Step> {
    let written = |event: &Event| if framed { event.frame(dialect) } else { event.bytes(turn.newline) };
    let end = turn.fault.as_ref().map_or(events.len(), |(at, _)| (*at).min(events.len()));
    let mut steps = Vec::new();
    let mut run: Vec<Vec<u8>> = Vec::new();
    for at in 0..=end {
        for (_, gate) in turn.gates.iter().filter(|(event, _)| *event == at) {
            cut(turn.framing, &mut run, &mut steps);
            steps.push(Step::Wait(gate.clone()));
        }
        run.extend(events[..end].get(at).map(written));
    }
    let fault = turn.fault.as_ref().map(|(_, fault)| fault);
    if let Some(Fault::Error { kind, message }) = fault {
        let body = Rejection::new(500, kind, message.as_str()).body(dialect, "req_stream");
        run.push(written(&wire::error_event(dialect, &body)));
    }
    cut(turn.framing, &mut run, &mut steps);
    match fault {
        Some(Fault::Stall) => steps.push(Step::Stall),
        Some(Fault::Reset) => steps.push(Step::Break),
        Some(Fault::Error { .. } | Fault::Eof) | None => {}
    }
    steps
}

fn cut(framing: Framing, run: &mut Vec<Vec<u8>>, steps: &mut Vec<Step>) {
    let run = std::mem::take(run);
    match framing {
        Framing::Events => steps.extend(run.into_iter().map(|event| Step::Send(event.into()))),
        Framing::Whole if run.is_empty() => {}
        Framing::Whole => steps.push(Step::Send(run.concat().into())),
        Framing::Bytes(size) => {
            let all = run.concat();
            steps.extend(all.chunks(size.max(1)).map(|piece| Step::Send(Bytes::copy_from_slice(piece))));
        }
    }
}

struct Feed(mpsc::Receiver<io::Result<Bytes>>);

impl http_body::Body for Feed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(cx).map(|next| next.map(|bytes| bytes.map(Frame::data)))
    }
}
