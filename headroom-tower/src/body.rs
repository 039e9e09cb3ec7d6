//! The bodies that go in and come out.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use headroom_engine::cost::Meter;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;

use crate::{
    lifecycle::{Closing, Events},
    report::Report,
};

/// An error of any kind, as bodies report them.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// A body, read or not, that gives what the original body would have given.
    ///
    /// `Passthrough` owns a body nobody has read. The others own what was read of it; a `Prefixed`
    /// body also owns the rest, boxed because it was pinned to be read.
    #[project = ReplayProj]
    pub(crate) enum Replay<B> {
        Passthrough { #[pin] body: B },
        Buffered { data: Option<Bytes>, trailers: Option<Box<HeaderMap>> },
        Prefixed { prefix: Option<Bytes>, rest: Pin<Box<B>> },
        Failed { prefix: Option<Bytes>, error: Option<BoxError> },
    }
}

fn some(data: Bytes) -> Option<Bytes> {
    (!data.is_empty()).then_some(data)
}

impl<B> Replay<B> {
    pub(crate) fn buffered(data: Bytes, trailers: Option<Box<HeaderMap>>) -> Self {
        Self::Buffered { data: some(data), trailers }
    }

    pub(crate) fn prefixed(prefix: Bytes, rest: Pin<Box<B>>) -> Self {
        Self::Prefixed { prefix: some(prefix), rest }
    }

    pub(crate) fn failed(prefix: Bytes, error: BoxError) -> Self {
        Self::Failed { prefix: some(prefix), error: Some(error) }
    }
}

impl<B> Body for Replay<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project() {
            ReplayProj::Passthrough { body } => body.poll_frame(cx).map_err(Into::into),
            ReplayProj::Buffered { data, trailers } => {
                let data = data.take().map(Frame::data);
                Poll::Ready(data.or_else(|| trailers.take().map(|map| Frame::trailers(*map))).map(Ok))
            }
            ReplayProj::Prefixed { prefix, rest } => match prefix.take() {
                Some(prefix) => Poll::Ready(Some(Ok(Frame::data(prefix)))),
                None => rest.as_mut().poll_frame(cx).map_err(Into::into),
            },
            ReplayProj::Failed { prefix, error } => Poll::Ready(match prefix.take() {
                Some(prefix) => Some(Ok(Frame::data(prefix))),
                None => error.take().map(Err),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Passthrough { body } => body.is_end_stream(),
            Self::Buffered { data, trailers } => data.is_none() && trailers.is_none(),
            Self::Prefixed { prefix, rest } => prefix.is_none() && rest.is_end_stream(),
            Self::Failed { prefix, error } => prefix.is_none() && error.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Passthrough { body } => body.size_hint(),
            Self::Buffered { data, .. } => SizeHint::with_exact(length(data)),
            Self::Prefixed { prefix, rest } => {
                let more = length(prefix);
                let rest = rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(more));
                if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(more)) {
                    hint.set_upper(upper);
                }
                hint
            }
            Self::Failed { prefix, .. } => {
                // More was promised than came; only the error knows.
                let mut hint = SizeHint::new();
                hint.set_lower(length(prefix));
                hint
            }
        }
    }
}

fn length(data: &Option<Bytes>) -> u64 {
    data.as_ref().map_or(0, |data| data.len() as u64)
}

pin_project! {
    /// The request body that the inner service gets.
    ///
    /// It gives the caller's body as it came, or the rewritten one, or, where the caller's body
    /// proved too large to hold or failed while it was read, what came of it and then the rest or
    /// the error.
    pub struct RequestBody<B> {
        #[pin]
        inner: Replay<B>,
    }
}

impl<B> RequestBody<B> {
    pub(crate) fn new(inner: Replay<B>) -> Self {
        Self { inner }
    }

    pub(crate) fn passthrough(body: B) -> Self {
        Self::new(Replay::Passthrough { body })
    }

    /// A second copy of a body that is held in memory and has not been read; `None` otherwise.
    ///
    /// A retry layer below can send such a request again. The copy shares its bytes.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        match &self.inner {
            Replay::Buffered { data, trailers } => {
                Some(Self::new(Replay::Buffered { data: data.clone(), trailers: trailers.clone() }))
            }
            _ => None,
        }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

/// A live body behind one pointer, `Sync` because it is only ever used through `&mut`.
type Boxed = SyncWrapper<Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>>;

pin_project! {
    /// The response body that the caller gets: the upstream's own, or the one spliced from the
    /// rounds of a retrieval.
    pub struct ResponseBody<R> {
        #[pin]
        inner: Response<R>,
        // Behind the body: when it is dropped, the request has been settled.
        closing: Option<Box<Closing>>,
    }
}

pin_project! {
    #[project = ResponseProj]
    enum Response<R> {
        Replayed { #[pin] body: Replay<R>, metered: Option<Metered> },
        Spliced { body: Boxed },
    }
}

/// Reads usage from what passes, and settles the request when it is dropped: at the body's end, or
/// when the client leaves.
#[derive(Debug)]
struct Metered {
    meter: Meter,
    report: Report,
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.report.round(self.meter.usage());
        self.report.settle();
    }
}

impl<R> ResponseBody<R> {
    pub(crate) fn new(body: Replay<R>) -> Self {
        Self::of(Response::Replayed { body, metered: None })
    }

    /// The upstream's own body, whose usage is read as it passes.
    pub(crate) fn metered(body: R, report: Report) -> Self {
        let metered = Some(Metered { meter: Meter::default(), report });
        Self::of(Response::Replayed { body: Replay::Passthrough { body }, metered })
    }

    pub(crate) fn passthrough(body: R) -> Self {
        Self::new(Replay::Passthrough { body })
    }

    pub(crate) fn spliced(body: impl Body<Data = Bytes, Error = BoxError> + Send + 'static) -> Self {
        Self::of(Response::Spliced { body: SyncWrapper::new(Box::pin(body)) })
    }

    fn of(inner: Response<R>) -> Self {
        Self { inner, closing: None }
    }
}

impl<R> ResponseBody<R>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    /// The same, whose end is told.
    pub(crate) fn telling(self, events: Events) -> Self {
        let closing = events.closing(self.is_end_stream());
        Self { closing, ..self }
    }
}

impl<R> Body for ResponseBody<R>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let frame = ready!(match this.inner.as_mut().project() {
            ResponseProj::Replayed { body, metered } => {
                let frame = ready!(body.poll_frame(cx));
                match &frame {
                    Some(Ok(frame)) => {
                        if let (Some(data), Some(metered)) = (frame.data_ref(), metered) {
                            metered.meter.push(data);
                        }
                    }
                    Some(Err(_)) | None => *metered = None,
                }
                Poll::Ready(frame)
            }
            ResponseProj::Spliced { body } => body.get_mut().as_mut().poll_frame(cx),
        });
        // Response Received: the last byte was, or an error.
        if let Some(closing) = this.closing
            && closing.see(frame.as_ref(), this.inner.is_end_stream())
        {
            *this.closing = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Response::Replayed { body, .. } => body.size_hint(),
            Response::Spliced { .. } => SizeHint::default(),
        }
    }
}

impl<R> Response<R>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Replayed { body, .. } => body.is_end_stream(),
            // A spliced stream knows its end when it gets there.
            Self::Spliced { .. } => false,
        }
    }
}

impl<R> fmt::Debug for ResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    fn boxed(text: &'static str) -> Pin<Box<Full<Bytes>>> {
        Box::pin(Full::from(text))
    }

    async fn text<B>(body: Replay<B>) -> Result<String, BoxError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let bytes = RequestBody::new(body).collect().await?.to_bytes();
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn gives_what_the_original_would_have_given() {
        assert_eq!(text(Replay::Passthrough { body: Full::<Bytes>::from("abc") }).await.unwrap(), "abc");
        assert_eq!(text(Replay::prefixed("ab".into(), boxed("c"))).await.unwrap(), "abc");
        let trailers = HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("x"))]);
        let body = Replay::<Full<Bytes>>::buffered("abc".into(), Some(Box::new(trailers)));
        let collected = RequestBody::new(body).collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["etag"], "x");
        assert_eq!(collected.to_bytes(), "abc");
    }

    #[tokio::test]
    async fn a_read_error_comes_behind_what_was_read() {
        let mut body = RequestBody::new(Replay::<Full<Bytes>>::failed("ab".into(), "broken".into()));
        assert!(!body.is_end_stream());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "broken");
        assert!(body.frame().await.is_none());
    }

    #[test]
    fn sizes_and_ends_are_known() {
        let empty = Replay::<Full<Bytes>>::buffered(Bytes::new(), None);
        assert!(empty.is_end_stream());
        assert_eq!(empty.size_hint().exact(), Some(0));
        assert_eq!(Replay::<Full<Bytes>>::buffered("abc".into(), None).size_hint().exact(), Some(3));
        let prefixed = Replay::prefixed("ab".into(), boxed("c"));
        assert_eq!(prefixed.size_hint().exact(), Some(3));
        assert!(!prefixed.is_end_stream());
        let through = ResponseBody::passthrough(Full::<Bytes>::from("abc"));
        assert_eq!(through.size_hint().exact(), Some(3));
        assert!(ResponseBody::passthrough(Full::<Bytes>::default()).is_end_stream());
    }

    #[test]
    fn only_a_held_body_is_cloned() {
        let held = RequestBody::<Full<Bytes>>::new(Replay::buffered("abc".into(), None));
        assert_eq!(held.try_clone().unwrap().size_hint().exact(), Some(3));
        assert!(RequestBody::passthrough(Full::<Bytes>::from("abc")).try_clone().is_none());
    }

    #[test]
    fn static_property_send_sync_unpin() {
        fn all<T: Send + Sync + Unpin>() {}
        fn sync<T: Send + Sync>() {}
        all::<RequestBody<Full<Bytes>>>();
        all::<ResponseBody<Full<Bytes>>>();
        struct Pinned(std::marker::PhantomPinned);
        sync::<RequestBody<Pinned>>();
        sync::<ResponseBody<Pinned>>();
    }

    #[test]
    fn debug_shows_nothing_of_the_body() {
        let held = RequestBody::<Full<Bytes>>::new(Replay::buffered("secret".into(), None));
        assert!(!format!("{held:?}").contains("secret"));
    }
}
