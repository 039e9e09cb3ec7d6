//! Bedrock's event stream as the server-sent events that Anthropic's clients read.

use std::{
    borrow::Cow,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use headroom_engine::eventstream::{DecodeError, Decoder, Message, chunk_json};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use serde::Deserialize;
use tower::BoxError;

use super::error;

pin_project! {
    /// A body of frames, read event by event.
    #[derive(Debug)]
    pub(super) struct Events<B> {
        #[pin]
        inner: B,
        decoder: Decoder,
        ended: bool,
    }
}

impl<B> Events<B> {
    pub(super) fn new(inner: B) -> Self {
        Self { inner, decoder: Decoder::default(), ended: false }
    }
}

impl<B: Body<Data = Bytes>> Body for Events<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        loop {
            if *this.ended {
                return Poll::Ready(None);
            }
            let mut out = String::new();
            let read = drain(this.decoder, &mut out);
            *this.ended = !matches!(read, Ok(Next::More));
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
            match read {
                Ok(Next::More) => {}
                Ok(Next::Failed) => continue,
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
            match ready!(this.inner.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers say nothing here.
                    if let Ok(data) = frame.into_data() {
                        this.decoder.push(&data);
                    }
                }
                Some(Err(error)) => {
                    *this.ended = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
                None => {
                    *this.ended = true;
                    let broken = !this.decoder.take_rest().is_empty();
                    let error = || io::Error::new(io::ErrorKind::UnexpectedEof, "a frame broke off");
                    return Poll::Ready(broken.then(|| Err(error().into())));
                }
            }
        }
    }
}

/// What may come behind what was read.
enum Next {
    More,
    /// Nothing: an exception was told.
    Failed,
}

/// Writes every event that is whole. An error behind some is met again at the next call.
fn drain(decoder: &mut Decoder, out: &mut String) -> Result<Next, DecodeError> {
    while let Some(message) = decoder.next() {
        match message {
            Ok(message) => {
                if let Some((name, json)) = event(&message) {
                    // In JSON a line ends only between tokens.
                    let json = json.replace(['\n', '\r'], " ");
                    out.extend(["event: ", &name, "\ndata: ", &json, "\n\n"]);
                }
                if message.is_failure() {
                    return Ok(Next::Failed);
                }
            }
            // What was read before it is passed on first.
            Err(_) if !out.is_empty() => return Ok(Next::More),
            Err(error) => return Err(error),
        }
    }
    Ok(Next::More)
}

/// An event's name and data; `None` of frames that are not the model's.
fn event(message: &Message) -> Option<(Cow<'static, str>, String)> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    if message.is_failure() {
        let name = message.header(":exception-type").or_else(|| message.header(":error-code"));
        let told = message.header(":error-message").map(str::to_owned);
        let told = told.unwrap_or_else(|| error::message(message.payload()));
        let kind = name.and_then(error::of_name).unwrap_or("api_error");
        return Some(("error".into(), error::json(kind, &told)));
    }
    let json = chunk_json(message)?;
    let name = serde_json::from_str::<Typed<'_>>(&json).ok()?.kind.into_owned();
    Some((name.into(), json))
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, convert::Infallible};

    use headroom_engine::eventstream::{chunk, event, exception};
    use http_body_util::BodyExt as _;

    use super::*;

    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
        }
    }

    /// What comes of `bytes` that arrive in pieces of this size, and whether it broke.
    fn read(bytes: &[u8], size: usize) -> (String, bool) {
        let pieces = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
        let mut body = Events::new(Pieces(pieces));
        let (mut text, mut broken) = (String::new(), false);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        while let Some(frame) = runtime.block_on(body.frame()) {
            match frame {
                Ok(frame) => text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap()),
                Err(_) => broken = true,
            }
        }
        (text, broken)
    }

    fn stream() -> Vec<u8> {
        let odd = chunk("{\"type\":\"ping\",\n\"x\":\"\\n\"}");
        [chunk(r#"{"type":"message_start","n":1.0}"#), odd, event("initial-response", "{}")].concat()
    }

    const SAID: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"n\":1.0}\n\n\
                        event: ping\ndata: {\"type\":\"ping\", \"x\":\"\\n\"}\n\n";

    #[test]
    fn events_come_out_however_frames_are_cut() {
        for size in [1, 7, 10_000] {
            assert_eq!(read(&stream(), size), (SAID.to_owned(), false), "{size}");
        }
    }

    #[test]
    fn an_exception_is_an_error_event_and_the_end() {
        let bytes = [stream(), exception("throttlingException", "Slow down").to_vec(), stream()].concat();
        let (text, broken) = read(&bytes, 50);
        let rest = text.strip_prefix(SAID).unwrap();
        let wanted = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Slow down\"}}\n\n";
        assert_eq!((rest, broken), (wanted, false));
    }

    #[test]
    fn what_is_broken_breaks_off() {
        let mut bytes = stream();
        bytes.truncate(bytes.len() - 3);
        assert_eq!(read(&bytes, 20), (SAID.to_owned(), true));
        let mut bytes = [stream(), stream()].concat();
        let at = bytes.len() - 5;
        bytes[at] ^= 1;
        let (text, broken) = read(&bytes, 10_000);
        assert!(text.starts_with(SAID) && broken, "{text}");
    }
}
