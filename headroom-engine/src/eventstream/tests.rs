use aws_smithy_eventstream::frame as oracle;
use aws_smithy_types::{DateTime, event_stream as aws};
use bytes::Buf;
use proptest::prelude::*;

use super::*;

/// All frames, the error behind them, and what was left over.
fn decoded(chunks: &[&[u8]], most: usize) -> (Vec<Message>, Option<DecodeError>, Bytes) {
    let mut decoder = Decoder::with_limit(most);
    let (mut messages, mut failed) = (Vec::new(), None);
    for chunk in chunks {
        decoder.push(chunk);
        while failed.is_none() {
            match decoder.next() {
                None => break,
                Some(Ok(message)) => messages.push(message),
                Some(Err(error)) => failed = Some(error),
            }
        }
    }
    (messages, failed, decoder.take_rest())
}

fn stream() -> Vec<u8> {
    let odd = encode(
        &[
            ("a", HeaderValue::Bool(true)),
            ("b", HeaderValue::Bool(false)),
            ("c", HeaderValue::Byte(-1)),
            ("d", HeaderValue::Int16(-2)),
            ("e", HeaderValue::Int32(3)),
            ("f", HeaderValue::Int64(i64::MIN)),
            ("g", HeaderValue::Bytes(b"\0\xff")),
            ("h", HeaderValue::String("\u{e9}")),
            ("i", HeaderValue::Timestamp(9)),
            ("j", HeaderValue::Uuid([7; 16])),
        ],
        b"",
    );
    [
        chunk("{\"type\":\"ping\"}"),
        event("messageStart", "{}"),
        odd,
        exception("throttlingException", "slow \"down\""),
    ]
    .concat()
}

#[test]
fn every_cut_gives_the_same_frames() {
    let bytes = stream();
    let (whole, failed, rest) = decoded(&[&bytes], MAX_FRAME);
    assert_eq!((whole.len(), failed, rest.len()), (4, None, 0));
    for cut in 0..=bytes.len() {
        let (messages, failed, rest) = decoded(&[&bytes[..cut], &bytes[cut..]], MAX_FRAME);
        assert_eq!((&messages, failed, rest.len()), (&whole, None, 0), "cut at {cut}");
        // What is cut off is no frame, and no error.
        let (messages, failed, rest) = decoded(&[&bytes[..cut]], MAX_FRAME);
        let read: usize = messages.iter().map(|message| message.raw().len()).sum();
        assert_eq!((failed, read + rest.len()), (None, cut), "end at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(decoded(&single, MAX_FRAME).0, whole);
    assert_eq!(whole[3].header(":exception-type"), Some("throttlingException"));
    assert!(whole[3].is_failure() && whole[3].event_type().is_none());
    assert_eq!(whole[2].headers().count(), 10);
}

#[test]
fn one_flipped_bit_is_seen_wherever_it_is() {
    let frame = chunk("{\"type\":\"ping\"}");
    for at in 0..frame.len() {
        for bit in 0..8 {
            let mut broken = frame.to_vec();
            broken[at] ^= 1 << bit;
            let (messages, failed, rest) = decoded(&[&broken], MAX_FRAME);
            assert!(messages.is_empty() && failed.is_some(), "bit {bit} of byte {at}");
            assert_eq!(rest, broken);
        }
    }
}

#[test]
fn lengths_are_bounded() {
    let frame = event("e", &format!("{{\"x\":\"{}\"}}", "y".repeat(100)));
    assert_eq!(decoded(&[&frame], frame.len()).0.len(), 1);
    assert_eq!(decoded(&[&frame], frame.len() - 1).1, Some(DecodeError::Length(frame.len())));
    // A length that is not true is refused before anything is held for it.
    for (total, headers) in [(15_u32, 0_u32), (16, 1), (0, 0), (u32::MAX, 0), (40, u32::MAX)] {
        let mut prelude = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        prelude.extend_from_slice(&crc::crc32(&prelude).to_be_bytes());
        assert_eq!(decoded(&[&prelude], MAX_FRAME).1, Some(DecodeError::Length(total as usize)));
    }
}

#[test]
fn a_frame_of_known_length_that_is_broken_can_be_passed_over() {
    let (first, second) = (event("a", "{}"), event("b", "{}"));
    let mut bytes = [first.clone(), second].concat();
    bytes[first.len() - 6] ^= 1;
    let mut decoder = Decoder::default();
    decoder.push(&bytes);
    assert_eq!(decoder.next(), Some(Err(DecodeError::Message)));
    assert_eq!(decoder.skip_frame().map(|bytes| bytes.len()), Some(first.len()));
    assert_eq!(
        decoder.next().and_then(Result::ok).and_then(|m| m.event_type().map(str::to_owned)),
        Some("b".into())
    );
    assert_eq!(decoder.skip_frame(), None);
}

#[test]
fn what_is_no_chunk_holds_no_event() {
    for payload in [
        "{}",
        "{\"bytes\":7}",
        "{\"bytes\":\"e30\"}",
        "{\"bytes\":\"e30=\",\"bytes\":\"e30=\"}",
        "{\"bytes\":\"/w==\"}",
        "[",
        "",
    ] {
        let frame = event("chunk", payload);
        let (messages, ..) = decoded(&[&frame], MAX_FRAME);
        assert_eq!(chunk_json(&messages[0]), None, "{payload}");
    }
    let frame = event("chunk", " { \"p\":\"abc\", \"bytes\" : \"e30=\" }");
    assert_eq!(chunk_json(&decoded(&[&frame], MAX_FRAME).0[0]).as_deref(), Some("{}"));
}

fn headers() -> impl Strategy<Value = Vec<(String, aws::HeaderValue)>> {
    let value = prop_oneof![
        any::<bool>().prop_map(aws::HeaderValue::Bool),
        any::<i8>().prop_map(aws::HeaderValue::Byte),
        any::<i16>().prop_map(aws::HeaderValue::Int16),
        any::<i32>().prop_map(aws::HeaderValue::Int32),
        any::<i64>().prop_map(aws::HeaderValue::Int64),
        proptest::collection::vec(any::<u8>(), 0..30)
            .prop_map(|bytes| aws::HeaderValue::ByteArray(bytes.into())),
        ".{0,20}".prop_map(|text| aws::HeaderValue::String(text.into())),
        any::<i64>().prop_map(|millis| aws::HeaderValue::Timestamp(DateTime::from_millis(millis))),
        any::<u128>().prop_map(aws::HeaderValue::Uuid),
    ];
    proptest::collection::vec(("[a-z:-]{1,12}", value), 0..5)
}

fn ours(value: &aws::HeaderValue) -> HeaderValue<'_> {
    match value {
        aws::HeaderValue::Bool(value) => HeaderValue::Bool(*value),
        aws::HeaderValue::Byte(value) => HeaderValue::Byte(*value),
        aws::HeaderValue::Int16(value) => HeaderValue::Int16(*value),
        aws::HeaderValue::Int32(value) => HeaderValue::Int32(*value),
        aws::HeaderValue::Int64(value) => HeaderValue::Int64(*value),
        aws::HeaderValue::ByteArray(bytes) => HeaderValue::Bytes(bytes),
        aws::HeaderValue::String(text) => HeaderValue::String(text.as_str()),
        aws::HeaderValue::Timestamp(value) => HeaderValue::Timestamp(value.to_millis().unwrap()),
        aws::HeaderValue::Uuid(value) => HeaderValue::Uuid(value.to_be_bytes()),
        other => panic!("{other:?} was not made"),
    }
}

proptest! {
    #[test]
    fn it_agrees_with_the_sdk(headers in headers(), payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut message = aws::Message::new(payload.clone());
        for (name, value) in &headers {
            message = message.add_header(aws::Header::new(name.clone(), value.clone()));
        }
        let mut theirs = Vec::new();
        oracle::write_message_to(&message, &mut theirs).unwrap();
        let own: Vec<(&str, HeaderValue<'_>)> =
            headers.iter().map(|(name, value)| (name.as_str(), ours(value))).collect();
        let frame = encode(&own, &payload);
        prop_assert_eq!(&frame, &theirs);

        let (read, failed, rest) = decoded(&[&theirs], MAX_FRAME);
        prop_assert_eq!((read.len(), failed, rest.len()), (1, None, 0));
        prop_assert_eq!(read[0].headers().collect::<Vec<_>>(), own);
        prop_assert_eq!(read[0].payload(), payload);
        prop_assert_eq!(read[0].with_payload(read[0].payload()), read[0].raw());
        let mut back = frame;
        prop_assert_eq!(oracle::read_message_from(&mut back).unwrap(), message);
        prop_assert!(!back.has_remaining());
    }

    /// Streams of several frames, cut anywhere, through both decoders; and what we make of a frame.
    #[test]
    fn streams_are_read_alike(
        frames in proptest::collection::vec((headers(), ".{0,60}", 0u8..4), 0..6),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let written: Vec<Bytes> = frames
            .iter()
            .map(|(headers, text, kind)| match kind {
                0 => chunk(text),
                1 => event("contentBlockDelta", text),
                2 => exception("throttlingException", text),
                _ => {
                    let own: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), ours(value))).collect();
                    encode(&own, text.as_bytes())
                }
            })
            .collect();
        let bytes = written.concat();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut theirs = oracle::MessageFrameDecoder::new();
        let (mut read, mut waiting) = (Vec::new(), bytes::BytesMut::new());
        for pair in cuts.windows(2) {
            waiting.extend_from_slice(&bytes[pair[0]..pair[1]]);
            while let oracle::DecodedFrame::Complete(message) = theirs.decode_frame(&mut waiting).unwrap() {
                read.push(message);
            }
        }
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let (own, failed, rest) = decoded(&chunks, MAX_FRAME);
        prop_assert_eq!((own.len(), read.len(), failed, rest.len()), (frames.len(), frames.len(), None, 0));
        for ((own, theirs), (_, text, kind)) in own.iter().zip(&read).zip(&frames) {
            prop_assert_eq!(own.payload(), &theirs.payload()[..]);
            let names: Vec<&str> = own.headers().map(|(name, _)| name).collect();
            let expected: Vec<&str> = theirs.headers().iter().map(|header| header.name().as_str()).collect();
            prop_assert_eq!(names, expected);
            for ((_, own), header) in own.headers().zip(theirs.headers()) {
                prop_assert_eq!(own, ours(header.value()));
            }
            // Their reader of exceptions and events takes ours for what they are.
            match kind {
                0 | 1 => {
                    let smithy = aws_smithy_eventstream::smithy::parse_response_headers(theirs).unwrap();
                    prop_assert_eq!(smithy.message_type.as_str(), "event");
                    prop_assert_eq!(Some(smithy.smithy_type.as_str()), own.event_type());
                    if *kind == 0 {
                        prop_assert_eq!(chunk_json(own), Some(text.clone()));
                    }
                }
                2 => {
                    let smithy = aws_smithy_eventstream::smithy::parse_response_headers(theirs).unwrap();
                    prop_assert_eq!(smithy.message_type.as_str(), "exception");
                    prop_assert!(own.is_failure());
                }
                _ => {}
            }
        }
    }

    #[test]
    fn any_bytes_pass_whole(
        start in prop_oneof![Just(Vec::new()), Just(stream())],
        noise in proptest::collection::vec(any::<u8>(), 0..80),
        flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let mut bytes = [start, noise].concat();
        for (at, flip) in flips {
            if !bytes.is_empty() {
                let at = at % bytes.len();
                bytes[at] ^= flip;
            }
        }
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let (messages, failed, rest) = decoded(&chunks, 1 << 12);
        let whole = decoded(&[&bytes], 1 << 12);
        prop_assert_eq!((&messages, failed, &rest), (&whole.0, whole.1, &whole.2));
        let mut out = Vec::new();
        for message in &messages {
            out.extend_from_slice(&message.raw());
        }
        out.extend_from_slice(&rest);
        prop_assert_eq!(out, bytes);
    }
}
