//! What comes in: what must pass untouched, the bodies, and the headers of what goes out.

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue,
    header::{self, HeaderName},
    request::Parts,
};
use http_body::Body;

use crate::{
    body::{BoxError, Replay},
    decode::Coding,
    report::Skipped,
};

/// Why a request of ours must pass untouched, judged by its head alone.
pub(crate) fn untouchable(headers: &HeaderMap, limit: usize) -> Option<Skipped> {
    if headers.contains_key("signature-input") {
        return Some(Skipped::Signed);
    }
    if is_sealed(headers) {
        return Some(Skipped::Encoded);
    }
    content_length(headers).is_some_and(|length| length > limit as u64).then_some(Skipped::TooLarge)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn starts_with_ignore_case(value: &[u8], prefix: &[u8]) -> bool {
    value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether a content coding was applied that cannot be undone.
pub(crate) fn is_sealed(headers: &HeaderMap) -> bool {
    is_encoded(headers) && Coding::of(headers).is_none()
}

/// Whether a content coding other than `identity` was applied.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

fn essence(headers: &HeaderMap) -> &[u8] {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// Whether the content type is JSON: `application/json` or `…+json`.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    let suffix = essence.len().checked_sub(5).map(|at| &essence[at..]);
    essence.eq_ignore_ascii_case(b"application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}

/// Whether the content type says no more than bytes, or nothing.
pub(crate) fn is_bytes(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    essence.is_empty() || essence.eq_ignore_ascii_case(b"application/octet-stream")
}

/// Whether the content type is server-sent events, or Amazon's event stream.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let amazon: &[u8] = b"application/vnd.amazon.eventstream";
    let essence = essence(headers);
    essence.eq_ignore_ascii_case(b"text/event-stream")
        || (cfg!(feature = "bedrock") && essence.eq_ignore_ascii_case(amazon))
}

/// Whether a request carries an AWS signature, in its head or in its query.
pub(crate) fn is_aws_signed(headers: &HeaderMap, query: Option<&str>) -> bool {
    let header = headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| starts_with_ignore_case(value.as_bytes(), b"aws4-"));
    let presigned = |name: &str| name.eq_ignore_ascii_case("x-amz-signature");
    header
        || query.is_some_and(|query| {
            query.split('&').any(|pair| presigned(pair.split('=').next().unwrap_or(pair)))
        })
}

/// What reading a body came to.
pub(crate) enum Collected<B> {
    /// All of it, within the limit.
    Whole(Bytes, Option<Box<HeaderMap>>),
    /// More than the limit, or an error: nothing is lost.
    Cut(Replay<B>, Skipped),
}

/// Reads `body` up to `limit` bytes. A body of one frame is not copied.
pub(crate) async fn collect<B>(body: B, limit: usize) -> Collected<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// A false length must not reserve more than this.
    const RESERVE: u64 = 1 << 20;
    let mut body = Box::pin(body);
    let expected = body.size_hint().lower().min(RESERVE).min(limit as u64);
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let mut trailers = None;
    let end = loop {
        let next = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx).map_err(Into::<BoxError>::into));
        match next.await {
            None => break None,
            Some(Err(error)) => break Some(Err(error)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if first.is_empty() => first = data,
                Ok(data) => {
                    if joined.is_empty() {
                        joined.reserve((expected as usize).max(first.len() + data.len()));
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(&data);
                }
                Err(frame) => trailers = frame.into_trailers().ok().map(Box::new),
            },
        }
        if first.len().max(joined.len()) > limit {
            break Some(Ok(()));
        }
    };
    let data = if joined.is_empty() { first } else { joined.freeze() };
    match end {
        None => Collected::Whole(data, trailers),
        Some(Ok(())) => Collected::Cut(Replay::prefixed(data, body), Skipped::TooLarge),
        Some(Err(error)) => Collected::Cut(Replay::failed(data, error), Skipped::Unread),
    }
}

/// Headers that describe the bytes of a body that is no longer there.
const STALE: [HeaderName; 6] = [
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::TRAILER,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
];

fn describe(headers: &mut HeaderMap, length: usize) {
    for name in STALE {
        headers.remove(name);
    }
    headers.remove("repr-digest");
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

/// Makes the headers of a request true for a rewritten body of `length` bytes.
///
/// hyper trusts a stale `Content-Length` over the body: too large hangs, too small cuts the body.
pub(crate) fn repair_request(headers: &mut HeaderMap, length: usize) {
    describe(headers, length);
    headers.remove(header::EXPECT);
    headers.remove("x-amz-content-sha256");
    let checksums: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-amz-checksum-")).cloned().collect();
    for name in checksums {
        headers.remove(name);
    }
}

/// Asks for an answer that can be read.
pub(crate) fn ask_plain(headers: &mut HeaderMap) {
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Headers that hold for the upstream's bytes, not for a spliced answer.
const OF_THE_BYTES: [HeaderName; 4] =
    [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES, header::CONTENT_RANGE];

/// Makes the headers of a JSON response true for a spliced body of `length` bytes.
pub(crate) fn repair_json_response(headers: &mut HeaderMap, length: usize) {
    describe(headers, length);
    for name in OF_THE_BYTES {
        headers.remove(name);
    }
}

/// Makes the headers of an event stream true for a body whose length only its end will tell.
pub(crate) fn repair_stream_response(headers: &mut HeaderMap) {
    repair_json_response(headers, 0);
    headers.remove(header::CONTENT_LENGTH);
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The head of a follow-up request with a body of `body`.
///
/// A provider answers a repeated idempotency key with its first answer, so each round has its own;
/// it is derived, so that a retry of the whole exchange repeats it.
pub(crate) fn follow_up(first: &Parts, body: &Bytes) -> Parts {
    let mut head = first.clone();
    repair_request(&mut head.headers, body.len());
    if let Some(key) = head.headers.get(IDEMPOTENCY_KEY) {
        let mut hasher = blake3::Hasher::new_derive_key("headroom 2026-11 idempotency key");
        hasher.update(key.as_bytes());
        hasher.update(body);
        if let Ok(fresh) = HeaderValue::from_str(&hasher.finalize().to_hex()[..32]) {
            head.headers.insert(IDEMPOTENCY_KEY, fresh);
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Item, Script, read};
    use http::Request;

    fn request(method: &str, kind: &str) -> Request<()> {
        let uri = "https://h/v1/messages?beta=true";
        Request::builder().method(method).uri(uri).header("content-type", kind).body(()).unwrap()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn what_must_pass_untouched() {
        for (pairs, expected) in [
            (&[("signature-input", "sig1=()")][..], Some(Skipped::Signed)),
            (&[("content-encoding", "compress")], Some(Skipped::Encoded)),
            (&[("content-encoding", "gzip")], (!cfg!(feature = "decompression")).then_some(Skipped::Encoded)),
            (&[("content-encoding", "identity")], None),
            (&[("content-length", "101")], Some(Skipped::TooLarge)),
            (&[("content-length", "100"), ("authorization", "Bearer AWS4-HMAC")], None),
            (&[], None),
        ] {
            assert_eq!(untouchable(&headers(pairs), 100), expected, "{pairs:?}");
        }
    }

    #[test]
    fn what_aws_signed() {
        for (authorization, query, expected) in [
            ("AWS4-HMAC-SHA256 Credential=x", None, true),
            ("aws4-ecdsa-p256-sha256 x", None, true),
            ("Bearer AWS4-HMAC", Some("beta=true"), false),
            ("Bearer x", Some("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=9f"), true),
        ] {
            let headers = headers(&[("authorization", authorization)]);
            assert_eq!(is_aws_signed(&headers, query), expected, "{authorization} {query:?}");
        }
    }

    #[test]
    fn header_matrix_of_a_rewritten_request() {
        let kept =
            [("authorization", "x"), ("anthropic-beta", "a,b"), ("accept-encoding", "gzip"), ("etag", "x")];
        let stale = [
            ("content-encoding", "gzip"),
            ("content-length", "9"),
            ("transfer-encoding", "chunked"),
            ("trailer", "x"),
            ("expect", "100-continue"),
            ("content-md5", "x"),
            ("digest", "x"),
            ("content-digest", "x"),
            ("repr-digest", "x"),
            ("x-amz-content-sha256", "x"),
            ("x-amz-checksum-crc32", "x"),
            ("x-amz-checksum-sha1", "x"),
        ];
        let mut repaired = headers(&[&kept[..], &stale].concat());
        repair_request(&mut repaired, 12);
        assert_eq!(repaired, headers(&[&kept[..], &[("content-length", "12")]].concat()));
        ask_plain(&mut repaired);
        assert_eq!(repaired["accept-encoding"], "identity");
    }

    #[test]
    fn header_matrix_of_a_spliced_response() {
        let kept = [("content-type", "application/json"), ("request-id", "x"), ("cache-control", "no-cache")];
        let stale = [
            ("content-length", "9"),
            ("transfer-encoding", "chunked"),
            ("etag", "x"),
            ("last-modified", "x"),
            ("content-md5", "x"),
            ("content-digest", "x"),
            ("accept-ranges", "x"),
            ("content-range", "x"),
        ];
        let all = headers(&[&kept[..], &stale].concat());
        let mut json = all.clone();
        repair_json_response(&mut json, 12);
        assert_eq!(json, headers(&[&kept[..], &[("content-length", "12")]].concat()));
        let mut stream = all;
        repair_stream_response(&mut stream);
        assert_eq!(stream, headers(&kept));
    }

    #[test]
    fn each_round_has_its_own_idempotency_key_and_length() {
        let (mut first, ()) = request("POST", "application/json").into_parts();
        assert!(!follow_up(&first, &"x".into()).headers.contains_key(IDEMPOTENCY_KEY));
        first.headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("one"));
        let key = |body: &'static str| follow_up(&first, &body.into()).headers[IDEMPOTENCY_KEY].clone();
        assert_eq!(key("a"), key("a"));
        assert!(key("a") != key("b") && key("a") != "one");
        let next = follow_up(&first, &"abc".into());
        assert_eq!(next.headers["content-length"], "3");
        assert_eq!((next.uri, next.method, next.version), (first.uri, first.method, first.version));
    }

    #[tokio::test]
    async fn collects_within_the_limit() {
        for frames in [&["abcdef"][..], &["ab", "", "cd", "ef"], &["", "abcdef"]] {
            match collect(Script::text(frames), 6).await {
                Collected::Whole(data, None) => assert_eq!(data, "abcdef"),
                _ => panic!("{frames:?}"),
            }
        }
        match collect(Script::new([Item::Data("a"), Item::Trailers]), 6).await {
            Collected::Whole(_, Some(trailers)) => assert_eq!(trailers["etag"], "end"),
            _ => panic!(),
        }
    }

    #[tokio::test]
    async fn one_frame_is_not_copied() {
        let data = Bytes::from_static(b"abc");
        match collect(http_body_util::Full::new(data.clone()), 6).await {
            Collected::Whole(same, _) => assert_eq!(same.as_ptr(), data.as_ptr()),
            Collected::Cut(..) => panic!(),
        }
    }

    #[tokio::test]
    async fn what_is_too_large_or_broken_loses_nothing() {
        let large = Script::new([Item::Data("abcd"), Item::Data("efg"), Item::Data("hi"), Item::Trailers]);
        let polls = large.polls.clone();
        match collect(large, 6).await {
            Collected::Cut(body, Skipped::TooLarge) => {
                assert_eq!(polls.load(std::sync::atomic::Ordering::SeqCst), 2);
                assert_eq!(read(body).await, ("abcdefghi".into(), true, None));
            }
            _ => panic!(),
        }
        match collect(Script::new([Item::Data("abcd"), Item::Data("e"), Item::Error]), 6).await {
            Collected::Cut(body, Skipped::Unread) => {
                assert_eq!(read(body).await, ("abcde".into(), false, Some("the body broke".into())));
            }
            _ => panic!(),
        }
    }

    proptest::proptest! {
        #[test]
        fn no_byte_is_lost_whatever_the_frames_and_the_limit(
            frames in proptest::collection::vec("[a-z]{0,9}", 0..9),
            limit in 1usize..40,
            breaks: bool,
        ) {
            let items = frames.iter().map(|frame| Item::Data(frame.clone().leak()));
            let script = Script::new(items.chain(breaks.then_some(Item::Error)));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (body, within) = runtime.block_on(async {
                match collect(script, limit).await {
                    Collected::Whole(data, trailers) => (read(Replay::<Script>::buffered(data, trailers)).await, true),
                    Collected::Cut(body, why) => (read(body).await, why == Skipped::Unread),
                }
            });
            let text = frames.concat();
            proptest::prop_assert_eq!(within, text.len() <= limit);
            proptest::prop_assert_eq!(body, (text, false, breaks.then(|| "the body broke".to_owned())));
        }
    }
}
