//! The fail-open law: what cannot be handled stays as it was, at the smallest scale, and nothing
//! panics.

use std::sync::Arc;

use bytes::Bytes;
use headroom_engine::{Dialect, Engine, Policy, Reason, RequestContext, Rewrite, ScanError};
use headroom_tests::{
    generate::{Call, Content, Talk, Turn, content::Kind, content::output, spellings, talks},
    json::{Json, Spelling, object, text},
    places::{DIALECTS, results},
};
use proptest::prelude::*;

use crate::{
    byte::align_rewrite,
    harness::{CREWS, Crew, cases, crews, dialects, eager, engine, fixtures, rewrite, spell, utf8},
    prefix::one_result,
    reducers::{Bad, Middle, Vice},
};

/// Whatever comes: an error, or a rewrite that the byte law allows.
fn survives(engine: &Engine, dialect: Dialect, body: impl Into<Bytes>) -> Result<Rewrite, ScanError> {
    let body = body.into();
    let scanned = engine.scan(body.clone(), &RequestContext::new(dialect))?;
    let (_, _, _) = (scanned.ledger_keys().len(), scanned.stream(), scanned.new_bytes(&eager()));
    let out = scanned.rewrite(&eager(), &[]);
    assert!(!out.report.failed_open, "an error would have been more honest");
    if out.body == body {
        assert_eq!(out.body.as_ptr(), body.as_ptr());
    }
    Ok(out)
}

fn everywhere(body: impl Into<Bytes>) -> Vec<Result<Rewrite, ScanError>> {
    let body = body.into();
    let one = |crew, dialect| survives(&engine(crew).0, dialect, body.clone());
    CREWS.into_iter().flat_map(|crew| DIALECTS.map(|dialect| one(crew, dialect))).collect()
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(everywhere(bytes).iter().all(Result::is_err));
    }

    #[test]
    fn any_json_like_text_is_survived(text in r#"[\[\]{}:,"\\ntrue01.eE+\-\n é]{0,60}"#) {
        prop_assert!(everywhere(text.into_bytes()).iter().all(Result::is_err));
    }

    /// A body cut anywhere, or with one byte changed.
    #[test]
    fn damaged_bodies_are_survived(
        crew in crews(), dialect in dialects(), talk in talks(), spelling in spellings(),
        at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let body = spell(dialect, &talk, spelling).into_bytes();
        let at = at.index(body.len());
        let (engine, _) = engine(crew);
        let cut = survives(&engine, dialect, Bytes::copy_from_slice(&body[..at]));
        prop_assert!(cut.is_err());
        let mut damaged = body;
        damaged[at] = byte;
        let valid = serde_json::from_slice::<&serde_json::value::RawValue>(&damaged).is_ok();
        if let Ok(out) = survives(&engine, dialect, damaged.clone()) {
            prop_assert!(valid, "only JSON can be scanned");
            align_rewrite(dialect, std::str::from_utf8(&damaged).unwrap(), &out);
        }
    }

    /// A member of any object exchanged for something else.
    #[test]
    fn odd_shapes_are_survived(
        crew in crews(), dialect in dialects(), talk in talks(), path in prop::collection::vec(any::<usize>(), 1..7),
        odd in 0usize..8, twice: bool,
    ) {
        let mut body = headroom_tests::generate::body(dialect, &talk);
        let odd = [
            Json::Raw("null".into()),
            Json::Raw("3.0".into()),
            Json::Raw("\"\\udc00\"".into()),
            "".into(),
            Json::Array(Vec::new()),
            Json::Array(vec![Json::Array(vec![Json::Raw("1".into())]), "x".into()]),
            object([]),
            object([("type", "text".into())]),
        ][odd].clone();
        exchange(&mut body, &path, &odd, twice);
        let body = body.spell(Spelling::COMPACT);
        if let Ok(out) = survives(&engine(crew).0, dialect, body.clone()) {
            align_rewrite(dialect, &body, &out);
        }
    }

    /// Broken JSON as a tool result is text like any other.
    #[test]
    fn odd_json_in_a_result_is_survived(
        crew in crews(), dialect in dialects(), seed: u32, size in 1usize..60,
        at in any::<prop::sample::Index>(), byte in "[\\[\\]{}:,\"\\\\ntrue01.eE\u{0}é]",
    ) {
        let source = output(Kind::IndentedRows, seed, size);
        let at = at.index(source.len());
        let damaged: String =
            source.char_indices().map(|(here, c)| if here == at { byte.clone() } else { c.to_string() }).collect();
        let cut: String = source.chars().take(at).collect();
        for source in [damaged, cut] {
            let body = spell(dialect, &one_result(&source), Spelling::COMPACT);
            let out = survives(&engine(crew).0, dialect, body.clone()).unwrap();
            align_rewrite(dialect, &body, &out);
        }
    }
}

/// Follows `path` down and puts `odd` where it ends, or beside what stands there.
fn exchange(value: &mut Json, path: &[usize], odd: &Json, twice: bool) {
    let Some((step, rest)) = path.split_first() else {
        *value = odd.clone();
        return;
    };
    match value {
        Json::Array(elements) if !elements.is_empty() => {
            let step = step % elements.len();
            exchange(&mut elements[step], rest, odd, twice);
        }
        Json::Object(members) if !members.is_empty() => {
            let step = step % members.len();
            if rest.is_empty() && twice {
                let key = members[step].0.clone();
                members.push((key, odd.clone()));
            } else {
                exchange(&mut members[step].1, rest, odd, twice);
            }
        }
        other => *other = odd.clone(),
    }
}

/// What parsers are known to stumble over, in the manner of JSONTestSuite's `n_` and `i_` files.
const BROKEN: &[&[u8]] = &[
    b"",
    b" ",
    b"[",
    b"]",
    b"{",
    b"}",
    b"[1,]",
    b"[,1]",
    b"[1,,2]",
    b"[1 2]",
    b"[1}",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\":1,}",
    b"{\"a\" 1}",
    b"{a:1}",
    b"{'a':1}",
    b"{\"a\":1}}",
    b"{\"a\":1,,}",
    b"[-]",
    b"[+1]",
    b"[01]",
    b"[1.]",
    b"[.1]",
    b"[1e]",
    b"[1e+]",
    b"[0x1]",
    b"[NaN]",
    b"[Infinity]",
    b"[-Infinity]",
    b"[1_000]",
    b"[\xef\xbc\x91]",
    b"nul",
    b"tru",
    b"TRUE",
    b"[nul]",
    b"\"",
    b"\"\\\"",
    b"[\"\\x\"]",
    b"[\"\\u12\"]",
    b"[\"\\uqqqq\"]",
    b"[\"\\\xff\"]",
    b"[\"\t\"]",
    b"[\"\n\"]",
    b"[\"\0\"]",
    b"[\"a\"\"b\"]",
    b"\xef\xbb\xbf{}",
    b"\xef\xbb\xbf",
    b"\xff\xfe{\0}\0",
    b"\0{\0}",
    b"[\"\xff\"]",
    b"[\"\xed\xa0\x80\"]",
    b"[\"\xc0\xaf\"]",
    b"[\"\xf4\xbf\xbf\xbf\"]",
    b"/* */{}",
    b"{}//",
    b"{}#",
    b"[1]x",
    b"{\"a\":/*b*/1}",
    b"<html>",
    b"a=1&b=2",
    b"event: message\ndata: {}\n\n",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00",
    b"\x28\xb5\x2f\xfd\x04\x00",
    b"--boundary\r\nContent-Type: text/plain\r\n\r\nx\r\n--boundary--",
    b"[1e400]",
    b"[\"\\ud800\"]",
    b"123456789012345678901234567890",
    b"[]",
    b"\"text\"",
    b"null",
    b"{}",
    b"{\"messages\":1}",
    b"{\"messages\":null}",
    b"{\"messages\":{}}",
    b"{\"messages\":[1]}",
    b"{\"messages\":[[]]}",
    b"{\"messages\":[],\"messages\":[]}",
    b"{\"messages\":[]} {}",
];

#[test]
fn broken_json_is_an_error() {
    for body in BROKEN {
        let results = everywhere(Bytes::from_static(body));
        assert!(results.iter().all(Result::is_err), "{:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn broken_json_in_a_result_stays_as_it_is() {
    for broken in BROKEN.iter().filter_map(|broken| std::str::from_utf8(broken).ok()) {
        for source in
            [broken.to_owned(), broken.repeat(40), format!("[{}{broken}]", "{\"a\": 1}, ".repeat(40))]
        {
            for dialect in DIALECTS {
                let body = spell(dialect, &one_result(&source), Spelling::COMPACT);
                for crew in CREWS {
                    let out = survives(&engine(crew).0, dialect, body.clone()).unwrap();
                    align_rewrite(dialect, &body, &out);
                }
            }
        }
    }
}

#[test]
fn deep_nesting_needs_no_stack() {
    const DEEP: usize = 100_000;
    let arrays = format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP));
    let objects = format!("{}1{}", "{\"a\":".repeat(DEEP), "}".repeat(DEEP));
    let good = output(Kind::Log, 5, 100);
    for deep in [&arrays, &objects] {
        assert!(everywhere(deep.clone()).iter().all(Result::is_err));
        assert!(everywhere(deep[..deep.len() / 2].to_owned()).iter().all(Result::is_err));
        for dialect in DIALECTS {
            let talk = one_result(&good);
            let usual = spell(dialect, &talk, Spelling::COMPACT);
            let place = results(dialect, &usual)[0].span.clone();
            let literal = &usual[place];
            let expected = rewrite(&engine(Crew::Doubles).0, dialect, &usual, &eager());
            assert!(expected.report.tokens_saved() > 0);
            // In a field nobody knows, as arguments, as a part, as a message's field, as a text.
            let quoted = Json::from(deep.as_str()).spell(Spelling::COMPACT);
            let part = format!("{{\"text\":{literal}}}");
            let typed = |text: &str| format!("{{\"type\":\"text\",\"text\":{text}}}");
            let (whole, beside, texts) = match dialect {
                // Its texts stand in parts already.
                Dialect::BedrockConverse => (
                    part.as_str(),
                    format!("{part},{{\"json\":{deep}}}"),
                    format!("{part},{{\"text\":{quoted}}}"),
                ),
                _ => {
                    let text = typed(literal);
                    (literal, format!("[{text},{deep}]"), format!("[{text},{}]", typed(&quoted)))
                }
            };
            for (from, to) in [
                ("{\"model\"", format!("{{\"x\":{deep},\"model\"")),
                ("{\"path\":\"a\"}", format!("{{\"path\":\"a\",\"x\":{deep}}}")),
                ("\"role\":", format!("\"x\":{deep},\"role\":")),
                ("\"Go on\"", format!("[{{\"type\":\"text\",\"text\":\"Go on\"}},{deep}]")),
                ("\"Go on\"", quoted.clone()),
                (whole, beside),
                (whole, texts),
            ] {
                let body = usual.replacen(from, &to, 1);
                for crew in CREWS {
                    let Ok(out) = survives(&engine(crew).0, dialect, body.clone()) else {
                        panic!("{}", from)
                    };
                    let saved =
                        |out: &Rewrite| out.report.blocks[0].tokens_in - out.report.blocks[0].tokens_out;
                    if crew == Crew::Doubles && !to.contains("Go on") && from != "\"Go on\"" {
                        assert!(saved(&out) > 0, "the good text is still rewritten beside {from}");
                    }
                }
            }
        }
    }
}

#[test]
fn huge_texts_are_survived() {
    for text in
        ["a".repeat(6 << 20), "[".repeat(2 << 20), "\\u0000\\n".repeat(1 << 18), "{\"a\":".repeat(1 << 18)]
    {
        let text = if text.starts_with('\\') { "\0\n".repeat(1 << 18) } else { text };
        for dialect in DIALECTS {
            let body = spell(dialect, &one_result(&text), Spelling::COMPACT);
            for crew in CREWS {
                survives(&engine(crew).0, dialect, body.clone()).unwrap();
            }
        }
    }
}

/// A conversation with a good text, a bad one and a good one, all in one turn.
fn bad_company(bad: &str) -> Talk {
    let call = |text: String| Call {
        name: "read_file".into(),
        arguments: object([("path", "a".into())]),
        content: Content::Text(text),
        is_error: false,
    };
    let mut talk = one_result("");
    let (before, behind) = (output(Kind::Log, 1, 90), output(Kind::Log, 2, 90));
    if let Turn::Model { calls, .. } = &mut talk.turns[1] {
        *calls = vec![call(before), call(bad.to_owned()), call(behind)];
    }
    talk
}

#[test]
fn one_bad_block_leaves_the_others_rewritten() {
    // Lines of 8 bytes, a forged marker further on, and a character of three bytes at the end.
    let bad = format!("BAD0000\n{}[~lines 1-2]\n\u{2026}", "line 07\n".repeat(120));
    for vice in Vice::ALL {
        for dialect in DIALECTS {
            for policy in [eager(), Policy::exact()] {
                let engine = Engine::builder().reducer(Arc::new(Middle)).reducer(Arc::new(Bad(vice))).build();
                let body = spell(dialect, &bad_company(&bad), Spelling::COMPACT);
                let out = rewrite(&engine, dialect, &body, &policy);
                align_rewrite(dialect, &body, &out);
                let texts: Vec<String> = results(dialect, utf8(&out.body))
                    .iter()
                    .map(|place| text(&utf8(&out.body)[place.span.clone()]).unwrap())
                    .collect();
                assert_eq!(texts[1], bad, "{vice:?}: the bad block stays as it was");
                let reasons: Vec<Reason> = out.report.blocks.iter().map(|block| block.reason).collect();
                assert!(!reasons[1].replaced(), "{vice:?}: {reasons:?}");
                if policy != Policy::exact() {
                    assert!(
                        reasons[0] == Reason::Elided && reasons[2] == Reason::Elided,
                        "{vice:?}: {reasons:?}"
                    );
                }
                // The same one every turn, remembered or not.
                let again = rewrite(&engine, dialect, &body, &policy);
                engine.clear_memo();
                let anew = rewrite(&engine, dialect, &body, &policy);
                assert!(again.body == out.body && anew.body == out.body, "{vice:?}");
            }
        }
    }
}

#[test]
fn what_is_no_text_stays_beside_what_is() {
    for dialect in DIALECTS {
        let lone = Content::Lone(output(Kind::Log, 1, 90));
        let mut talk = bad_company("");
        if let Turn::Model { calls, .. } = &mut talk.turns[1] {
            calls[1].content = lone;
        }
        let body = spell(dialect, &talk, Spelling::COMPACT);
        let out = rewrite(&engine(Crew::Doubles).0, dialect, &body, &eager());
        assert_eq!(align_rewrite(dialect, &body, &out), 2);
        assert_eq!(out.report.blocks[1].reason, Reason::NotText);
    }
}

/// A message that readers disagree about is left alone, and only that message: those before it stay
/// what they became when it was not there yet.
#[test]
fn an_ambiguous_message_does_not_take_the_body_with_it() {
    for dialect in DIALECTS {
        let body = spell(dialect, &bad_company(""), Spelling::COMPACT);
        let before = rewrite(&engine(Crew::Doubles).0, dialect, &body, &eager());
        let at =
            headroom_tests::json::span(&body, headroom_tests::places::messages(&body).last().unwrap()).end;
        let later = r#",{"role":"user","role":"user","content":"a","content":"b"}"#;
        let body = format!("{}{later}{}", &body[..at], &body[at..]);
        let out = survives(&engine(Crew::Doubles).0, dialect, body.clone()).expect("scanned");
        align_rewrite(dialect, &body, &out);
        assert_eq!(out.report.blocks.len(), before.report.blocks.len());
        assert_eq!(out.report.tokens_saved(), before.report.tokens_saved());
    }
}

#[test]
fn real_bodies_cut_short_are_errors() {
    for (_, dialect, body) in fixtures() {
        let (engine, _) = engine(Crew::BuiltIn);
        for at in (0..body.len() - 1).step_by(body.len() / 97 + 1) {
            let cut = Bytes::copy_from_slice(&body.as_bytes()[..at]);
            assert!(engine.scan(cut, &RequestContext::new(dialect)).is_err());
        }
    }
}
