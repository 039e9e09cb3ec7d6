//! A body of any kind, as one of `reqwest`'s.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sync_wrapper::SyncWrapper;

use crate::body::{BoxError, Replay};

/// What lies in memory whole becomes bytes, which `reqwest` can send again after a redirect or on
/// a connection that was closed under it; anything else stays a stream.
pub(super) async fn outgoing<B>(body: B) -> reqwest::Body
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Bytes::new().into();
    }
    if body.size_hint().exact().is_none() {
        return stream(Replay::Passthrough { body });
    }
    let mut body = Box::pin(body);
    // Once: a body that has to wait is live, and is asked again by who sends it.
    match poll_fn(|cx| Poll::Ready(body.as_mut().poll_frame(cx))).await {
        Poll::Pending => stream(Replay::prefixed(Bytes::new(), body)),
        Poll::Ready(None) => Bytes::new().into(),
        Poll::Ready(Some(Err(error))) => stream(Replay::<B>::failed(Bytes::new(), error.into())),
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(data) if body.is_end_stream() => data.into(),
            Ok(data) => stream(Replay::prefixed(data, body)),
            // Trailers alone.
            Err(frame) => {
                let trailers = frame.into_trailers().ok().map(Box::new);
                stream(Replay::<B>::buffered(Bytes::new(), trailers))
            }
        },
    }
}

fn stream<B>(body: Replay<B>) -> reqwest::Body
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (hint, ended) = (body.size_hint(), body.is_end_stream());
    reqwest::Body::wrap(Synced { body: SyncWrapper::new(Box::pin(body)), hint, ended })
}

/// `reqwest` wants its bodies `Sync`, which those of axum are not: what is asked of a shared
/// reference is kept beside the body.
struct Synced<B> {
    body: SyncWrapper<Pin<Box<Replay<B>>>>,
    hint: SizeHint,
    ended: bool,
}

impl<B> Body for Synced<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.body.get_mut();
        let frame = body.as_mut().poll_frame(cx);
        let (hint, ended) = (body.size_hint(), body.is_end_stream());
        (self.hint, self.ended) = (hint, ended);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
