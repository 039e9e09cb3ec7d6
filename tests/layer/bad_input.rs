//! What no client should send and some do: as a body it goes upstream byte for byte, as the output of
//! a tool nothing of it is lost.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use headroom_engine::Reason;
use headroom_tests::{
    Dialect,
    provider::{Reply, Turn},
};
use headroom_tower::{Limits, MemoryStore, OriginalStore, Policy, Scope, Skipped};
use http_body::{Body, Frame};

use crate::{
    bed::{Around, Bed, within},
    talk::{DIALECTS, Talk, eager, handles, layer, log, script},
};

/// JSON that every reader takes, JSON that no reader takes, and JSON that readers differ on; after
/// the families of the JSON test suites.
const TAKEN: [&str; 18] = [
    "[]",
    "{}",
    "\"\"",
    "null",
    "-0",
    "123e65",
    "1E-2",
    "0.4e00999",
    "\"\\uD801\\udc37\"",
    "\"\\u0000\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\u{2028}\u{2029}\u{7f}\"",
    "{\"a\":1,\"a\":2}",
    "{\"\":0}",
    "{\"a\":{\"a\":{\"a\":[[[[]]]]}}}",
    "[ 1 ,\t2\r\n, 3 ]",
    "123456789012345678901234567890",
    "\"\\u00e9\u{e9}e\u{301}\u{1f600}\"",
];

const REFUSED: [&str; 26] = [
    "",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[\"a\",,\"b\"]",
    "[",
    "]",
    "{\"a\"",
    "{\"a\":}",
    "{\"a\" 1}",
    "{a:1}",
    "{'a':1}",
    "{\"a\":1,}",
    "[1]x",
    "01",
    "1.",
    ".5",
    "+1",
    "0x1F",
    "NaN",
    "[-Infinity]",
    "\"\t\"",
    "\"\\x00\"",
    "\"\\u12\"",
    "tru",
    "/* x */ []",
];

const DISPUTED: [&str; 10] = [
    "1e400",
    "-1e-400",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\uD83D x\"",
    "[\"\\udFFF\"]",
    "{\"\\ud800\":1}",
    "\u{feff}{}",
    "100000000000000000000000000000000000000000.5e-3",
    "\"\\ufffe\"",
];

fn cases() -> impl Iterator<Item = &'static str> {
    TAKEN.into_iter().chain(REFUSED).chain(DISPUTED)
}

/// Answers whatever it gets.
async fn bed(around: Around) -> Bed {
    Bed::new(around, layer(), script(|_, _| Turn::text("Done.").into())).await
}

async fn passes(bed: &Bed, dialect: Dialect, body: impl Into<Bytes>) {
    let body = body.into();
    let heard = within(bed.ask(dialect, body.clone())).await;
    assert_eq!(heard.report().rewrite().is_none(), heard.report().skipped().is_some());
    assert_eq!(heard.status(), 400, "the provider says what is wrong with it");
    heard.bytes().await;
    assert!(bed.provider.last().body() == &body, "{}", String::from_utf8_lossy(&body[..body.len().min(80)]));
}

#[tokio::test]
async fn bodies_that_are_no_requests_pass_byte_for_byte() {
    let deep = 100_000;
    let nested = "[".repeat(deep) + &"]".repeat(deep);
    let keyed = "{\"a\":".repeat(deep) + "1" + &"}".repeat(deep);
    for around in [Around::Client, Around::Router] {
        let bed = bed(around).await;
        for dialect in DIALECTS {
            for case in cases() {
                passes(&bed, dialect, case).await;
                passes(&bed, dialect, format!("{{\"model\":\"m\",\"messages\":{case}}}")).await;
                passes(&bed, dialect, format!("{{\"model\":\"m\",\"messages\":[{case}]}}")).await;
            }
            for body in [
                &b"\xff\xfe[]"[..],
                b"{\"model\":\"\xc3\x28\"}",
                b"\"\xed\xa0\x80\"",
                b"{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}",
                b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
                b"\0",
            ] {
                passes(&bed, dialect, body).await;
            }
            for body in [&nested[..], &nested[..deep], &keyed, &keyed[..deep]] {
                passes(&bed, dialect, body.to_owned()).await;
                passes(
                    &bed,
                    dialect,
                    format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":{body}}}]}}"),
                )
                .await;
            }
            let whole = Talk::about(dialect, &log(1)).body(false);
            for at in [1, 10, whole.len() / 2, whole.len() - 1] {
                passes(&bed, dialect, whole.slice(..at)).await;
            }
        }
    }
}

/// Odd members of a request that is rewritten all the same: their bytes are not touched.
#[tokio::test]
async fn what_stands_beside_an_output_keeps_its_bytes() {
    for dialect in DIALECTS {
        let bed = Bed::client(layer(), script(|_, _| Turn::text("Done.").into())).await;
        let talk = Talk::about(dialect, &log(1)).body(false);
        let talk = std::str::from_utf8(&talk).unwrap();
        for case in TAKEN.into_iter().chain(DISPUTED).filter(|case| !case.starts_with('\u{feff}')) {
            let odd = format!("{{ \"x\" : {case},\"x\":\t{case} ,{}", &talk[1..]);
            within(bed.ask(dialect, odd.clone())).await.end().await.unwrap();
            let received = bed.provider.last();
            let sent = std::str::from_utf8(received.body()).unwrap();
            let head = format!("{{ \"x\" : {case},\"x\":\t{case} ,");
            assert!(sent.starts_with(&head) && sent.len() < odd.len(), "{case}");
        }
    }
}

/// What a tool returns holds the case over and over, so that there is something to shrink.
fn outputs(case: &str) -> [String; 4] {
    let row = |n: usize| format!("{{\"id\":{n},\"state\":\"done\",\"value\":{case}}}");
    let rows: Vec<String> = (0..60).map(row).collect();
    let lines: Vec<String> = (0..120)
        .map(|n| format!("2026-11-02T10:00:{:02} INFO worker: got {case} in {n} ms", n % 60))
        .collect();
    [case.to_owned(), format!("[{}]", rows.join(",")), rows.join("\n"), lines.join("\n")]
}

#[tokio::test]
async fn of_an_odd_output_nothing_is_lost() {
    let (mut elided, mut exact) = (0, 0);
    for dialect in DIALECTS {
        let store = Arc::new(MemoryStore::default());
        // So that of some there is too little to hide.
        let policy = Policy::default().least_hidden(250);
        let layer = eager().policy(policy).store(store.clone()).tenant(|_| Scope::shared()).build().unwrap();
        let bed = Bed::client(layer, script(|_, _| Turn::text("Done.").into())).await;
        for (case, source) in cases().flat_map(|case| outputs(case).map(|source| (case, source))) {
            let body = Talk::about(dialect, &source).body(false);
            let heard = within(bed.ask(dialect, body)).await;
            let report = heard.report().rewrite().unwrap().clone();
            assert_eq!(heard.answer(dialect).await.unwrap().text(), "Done.", "{case}");
            let received = bed.provider.last();
            let [(_, shown)] = &received.results()[..] else { panic!("one result") };
            for block in &report.blocks {
                assert!(!matches!(block.reason, Reason::Undecodable | Reason::Panicked), "{case}: {block:?}");
            }
            let found = handles(&received);
            if !found.is_empty() {
                elided += 1;
                for handle in found {
                    let original = OriginalStore::get(&*store, Scope::shared(), handle).await.unwrap();
                    assert_eq!(original.unwrap(), source, "{case}");
                }
            } else if *shown != source {
                exact += 1;
                assert!(report.blocks.iter().any(|block| block.reason == Reason::Exact), "{case}");
                // What no reader can mistake stands there as it was written.
                assert!(
                    shown.contains(case) || case.contains(|c: char| c.is_whitespace() || "[{".contains(c)),
                    "{case}: {shown}"
                );
            }
        }
    }
    assert!(elided > 50 && exact > 5, "{elided} elided, {exact} exact");
}

/// A text that cannot be spelled in UTF-8 keeps its literal.
#[tokio::test]
async fn an_output_that_is_no_text_keeps_its_literal() {
    for dialect in DIALECTS {
        for lone in ["\\ud800", "\\udc00\\ud800", "\\uD83D"] {
            let bed = Bed::client(layer(), script(|_, _| Turn::text("Done.").into())).await;
            let talk = Talk::about(dialect, &(log(1) + "LONE")).body(false);
            let body = String::from_utf8_lossy(&talk).replace("LONE", lone);
            within(bed.ask(dialect, body.clone())).await.end().await.unwrap();
            let sent = bed.provider.last().body().clone();
            let literal = body.split("\"content\":").find(|part| part.contains(lone)).unwrap();
            let literal = &literal[..literal.find(lone).unwrap()];
            assert!(String::from_utf8_lossy(&sent).contains(literal), "{dialect:?} {lone}");
        }
    }
}

#[tokio::test]
async fn deep_nesting_in_an_output_is_text() {
    let deep = 100_000;
    for source in ["[".repeat(deep) + &"]".repeat(deep), "{\"a\":".repeat(deep), "[".repeat(deep)] {
        for dialect in DIALECTS {
            let store = Arc::new(MemoryStore::default());
            let layer = eager().store(store.clone()).tenant(|_| Scope::shared()).build().unwrap();
            let bed = Bed::client(layer, script(|_, _| Turn::text("Done.").into())).await;
            let heard = within(bed.ask(dialect, Talk::about(dialect, &source).body(false))).await;
            assert_eq!(heard.answer(dialect).await.unwrap().text(), "Done.");
            let received = bed.provider.last();
            for handle in handles(&received) {
                let original = OriginalStore::get(&*store, Scope::shared(), handle).await.unwrap();
                assert!(original.unwrap() == source);
            }
            assert!(!handles(&received).is_empty() || received.results()[0].1.len() <= source.len());
        }
    }
}

/// A body in pieces of 1 MiB, of unknown length.
struct Chunks(Bytes);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.0.len().min(1 << 20);
        let piece = self.0.split_to(length);
        Poll::Ready((length > 0).then_some(Ok(Frame::data(piece))))
    }
}

/// A valid request of `length` bytes. Its path is known to the layer alone, so that the double does
/// not count its tokens.
fn large(length: usize) -> Bytes {
    let (head, tail) = ("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"", "\"}]}");
    (head.to_owned() + &"x".repeat(length - head.len() - tail.len()) + tail).into()
}

#[tokio::test]
async fn a_large_body_passes_whatever_the_limit() {
    let default = Limits::default().request_bytes;
    assert_eq!(default, 64 << 20);
    for around in [Around::Client, Around::Router] {
        for (limit, length) in [
            (default, default),
            (default, default + 1),
            (1 << 20, 1 << 20),
            (1 << 20, (1 << 20) + 1),
            (1 << 20, 3_500_000),
        ] {
            for in_chunks in [false, true] {
                let builder = eager().route("/v1/large", headroom_tower::Dialect::OpenAiChat);
                let layer = builder.limits(Limits::default().request_bytes(limit)).build().unwrap();
                let bed = Bed::new(around, layer, script(|_, _| Reply::Stall)).await;
                let body = large(length);
                let request = bed.post("/v1/large", body.clone());
                let heard = if in_chunks {
                    within(bed.send(request.map(|_| Chunks(body.clone())))).await
                } else {
                    within(bed.send(request)).await
                };
                let heard = heard.unwrap();
                let skipped = (length > limit).then_some(Skipped::TooLarge);
                assert_eq!((heard.status(), heard.report().skipped()), (404, skipped), "{length} of {limit}");
                let received = bed.provider.last();
                assert!(received.body() == &body, "{length} of {limit}");
                let told = received.head().headers.contains_key("content-length");
                assert!(
                    told != in_chunks || length <= limit,
                    "{length} of {limit}: what is not held has no length"
                );
            }
        }
    }
}
