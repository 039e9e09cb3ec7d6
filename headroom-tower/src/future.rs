//! The future of a response.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;

use crate::{
    body::{BoxError, ResponseBody},
    lifecycle::Events,
    report::Report,
};

type Exchange<R, E> = Pin<Box<dyn Future<Output = Result<Response<ResponseBody<R>>, E>> + Send>>;

pin_project! {
    /// The future of [`Headroom`](crate::Headroom)'s response.
    pub struct ResponseFuture<F, R, E> {
        #[pin]
        kind: Kind<F, R, E>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F, R, E> {
        // Not one of ours: the inner future itself, nothing boxed.
        Passthrough { #[pin] future: F, report: Option<Report> },
        Exchange { future: SyncWrapper<Exchange<R, E>>, events: Events },
    }
}

impl<F, R, E> ResponseFuture<F, R, E> {
    pub(crate) fn passthrough(future: F, report: Option<Report>) -> Self {
        Self { kind: Kind::Passthrough { future, report } }
    }

    pub(crate) fn exchange(
        future: impl Future<Output = Result<Response<ResponseBody<R>>, E>> + Send + 'static,
        events: Events,
    ) -> Self {
        Self { kind: Kind::Exchange { future: SyncWrapper::new(Box::pin(future)), events } }
    }
}

impl<F, R, E> Future for ResponseFuture<F, R, E>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Passthrough { future, report } => {
                let mut response = ready!(future.poll(cx))?.map(ResponseBody::passthrough);
                if let Some(report) = report.take() {
                    response.extensions_mut().insert(report);
                }
                Poll::Ready(Ok(response))
            }
            KindProj::Exchange { future, events } => {
                let answer = ready!(future.get_mut().as_mut().poll(cx));
                let events = std::mem::take(events);
                Poll::Ready(match answer {
                    Ok(response) => Ok(response.map(|body| body.telling(events))),
                    Err(error) => {
                        events.broken();
                        Err(error)
                    }
                })
            }
        }
    }
}

impl<F, R, E> fmt::Debug for ResponseFuture<F, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
