//! Content codings: what came encoded is read decoded, within limits.
//!
//! Without the feature `decompression` no coding is known, and what is encoded passes as it came.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};

use crate::{
    body::{BoxError, Replay},
    limits::Limits,
    pool::Pool,
    request::{Collected, collect},
};

/// A coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// A live body that is only read.
pub(crate) type Live = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

impl Coding {
    /// The one coding that was applied; `None` for several, or one that cannot be undone.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        if !cfg!(feature = "decompression") {
            return None;
        }
        let mut all = headers.get_all(header::CONTENT_ENCODING).iter();
        let (coding, None) = (all.next()?, all.next()) else { return None };
        match coding.as_bytes().trim_ascii().to_ascii_lowercase().as_slice() {
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            b"br" => Some(Self::Brotli),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    #[cfg(feature = "decompression")]
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The whole of `data` decoded; `None` if it is not in this coding, or would be longer than
    /// `limit` bytes or than [`Limits::expansion`] allows.
    pub(crate) async fn decode(
        self,
        data: &Bytes,
        limit: usize,
        limits: &Limits,
        pool: &Pool,
    ) -> Option<Bytes> {
        /// Decoded bytes that no ratio forbids.
        const FREE: usize = 1 << 20;
        let data = data.clone();
        let most = limit.min(data.len().saturating_mul(limits.expansion).max(FREE));
        // Decoders write some 0.4 GB a second, about as fast as scanning reads.
        pool.run(most / 25, move || now(self.decode_within(data, most))).await??
    }

    async fn decode_within(self, data: Bytes, most: usize) -> Option<Bytes> {
        match collect(decoder(self, Pieces(data)).await, most).await {
            Collected::Whole(plain, _) => Some(plain),
            Collected::Cut(..) => None,
        }
    }

    /// A live body, decoded as it comes.
    pub(crate) async fn live<B>(coding: Option<Self>, body: B) -> Live
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        match coding {
            None => Box::pin(Replay::Passthrough { body }),
            Some(coding) => Box::pin(decoder(coding, Replay::Passthrough { body }).await),
        }
    }
}

/// The output of a future that waits for nothing.
fn now<T>(work: impl Future<Output = T>) -> Option<T> {
    let work = pin!(tokio::task::unconstrained(work));
    match work.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// `body` undone by tower-http, whose decoders are made for the answers of a service.
#[cfg(feature = "decompression")]
async fn decoder<B>(coding: Coding, body: B) -> impl Body<Data = Bytes, Error = BoxError> + Send + use<B>
where
    B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    use http::{HeaderValue, Request, Response};
    use tower_http::decompression::Decompression;
    use tower_service::Service as _;

    let mut encoded = Response::new(body);
    encoded.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    let Ok(decoded) = Decompression::new(Echo).call(Request::new(encoded)).await;
    decoded.into_body()
}

#[cfg(not(feature = "decompression"))]
fn decoder<B>(_: Coding, body: B) -> impl Future<Output = B> {
    std::future::ready(body)
}

/// Answers with what it is asked.
#[cfg(feature = "decompression")]
#[derive(Clone, Copy)]
struct Echo;

#[cfg(feature = "decompression")]
impl<B> tower_service::Service<http::Request<http::Response<B>>> for Echo {
    type Response = http::Response<B>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<http::Response<B>>) -> Self::Future {
        std::future::ready(Ok(request.into_body()))
    }
}

/// The last byte stands alone, so that a decoder that was done before it reports what is left over.
struct Pieces(Bytes);

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let left = self.0.len();
        let piece = self.0.split_to(left.saturating_sub(1).max(left.min(1)));
        Poll::Ready((left > 0).then_some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        // Of the encoded bytes, which is all that is known.
        SizeHint::new()
    }
}

#[cfg(all(test, feature = "decompression"))]
mod tests {
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::encoded;

    const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

    fn decode(coding: Coding, data: &[u8], limit: usize) -> Option<Bytes> {
        now(coding.decode(&Bytes::copy_from_slice(data), limit, &Limits::default(), &Pool::default()))?
    }

    #[test]
    fn one_known_coding_is_undone() {
        for (values, expected) in [
            (&["gzip"][..], Some(Coding::Gzip)),
            (&[" GZip "], Some(Coding::Gzip)),
            (&["deflate"], Some(Coding::Deflate)),
            (&["br"], Some(Coding::Brotli)),
            (&["zstd"], Some(Coding::Zstd)),
            (&["gzip, br"], None),
            (&["gzip", "br"], None),
            (&["identity"], None),
            (&["compress"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
            }
            assert_eq!(Coding::of(&headers), expected, "{values:?}");
        }
    }

    #[test]
    fn what_is_encoded_comes_back() {
        let text = "the same line again\n".repeat(500);
        for coding in ALL {
            let data = encoded(coding.name(), text.as_bytes());
            assert!(data.len() < text.len() / 10);
            assert_eq!(decode(coding, &data, 1 << 20).unwrap(), text, "{coding:?}");
        }
    }

    #[test]
    fn a_bomb_is_not_opened() {
        let bomb = vec![b'x'; 8 << 20];
        for coding in ALL {
            let data = encoded(coding.name(), &bomb);
            // As far as a body may grow, and no further.
            assert!(decode(coding, &data, 64 << 20).is_none(), "{coding:?} {}", data.len());
            assert!(decode(coding, &encoded(coding.name(), &bomb[..1 << 20]), 64 << 20).is_some());
            assert!(decode(coding, &encoded(coding.name(), &bomb[..1000]), 999).is_none());
        }
    }

    #[test]
    fn what_is_cut_or_has_more_behind_it_is_none() {
        for coding in ALL {
            let data = encoded(coding.name(), b"{\"messages\":[]}");
            for cut in 1..data.len() {
                assert!(decode(coding, &data[..cut], 1 << 20).is_none(), "{coding:?} at {cut}");
            }
            for more in [&b"x"[..], b"xyz and so on", &[0; 40]] {
                assert!(decode(coding, &[&data, more].concat(), 1 << 20).is_none(), "{coding:?} {more:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_live_body_is_decoded_as_it_comes() {
        for coding in ALL {
            let data = Bytes::from(encoded(coding.name(), b"data: 1\n\n"));
            let live = Coding::live(Some(coding), http_body_util::Full::new(data)).await;
            assert_eq!(live.collect().await.unwrap().to_bytes(), "data: 1\n\n");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            for coding in ALL {
                prop_assert_eq!(decode(coding, &encoded(coding.name(), &data), 1 << 20).unwrap(), &data);
                // Whatever it is, it is no panic.
                let _ = decode(coding, &data, 1 << 20);
            }
        }
    }
}
