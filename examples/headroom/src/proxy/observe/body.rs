//! A body that tells how it ended.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::Exchange;

/// Passes frames on, and holds the exchange until the last one.
#[derive(Debug)]
pub(super) struct Watched {
    // Dropped in this order: what the layer learns when its body ends is known when the exchange is
    // told.
    body: Body,
    exchange: Exchange,
}

impl Watched {
    pub(super) fn new(body: Body, mut exchange: Exchange) -> Self {
        if body.is_end_stream() {
            exchange.ends();
        }
        Self { body, exchange }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                self.exchange.sends(frame.data_ref().map_or(0, Bytes::len));
                // Whoever knows the length does not ask again.
                if self.body.is_end_stream() || self.body.size_hint().exact() == Some(0) {
                    self.exchange.ends();
                }
            }
            Some(Err(_)) => self.exchange.breaks(),
            None => self.exchange.ends(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
