//! The never-worse law: a block is replaced only if its tokens shrink by max(8, 5 %), and a request
//! grows by the tool's definition at most.

use std::sync::Arc;

use headroom_engine::{
    Dialect, Engine, Policy, Reason, Rewrite,
    reduce::{Context, Hints, Op, Reducer, Reduction, Segment, Verbatim},
    tokens::{O200k, TokenCounter},
};
use headroom_tests::{
    generate::{spellings, talks},
    json::{Spelling, text},
    places::{DIALECTS, results},
};
use proptest::prelude::*;

use crate::{
    harness::{
        CREWS, cases, crews, definition, dialects, eager, engine, fixtures, policies, rewrite, spell, utf8,
    },
    prefix::one_result,
};

/// The most that listing the tool may cost, in tokens.
const DEFINITION: usize = 80;

/// The most that putting it into the JSON may cost on top.
const SEAM: usize = 6;

/// The most that the list around Gemini's declarations may cost on top.
const FIELD: usize = 8;

/// The most that telling a value elsewhere may cost, in tokens, JSON included.
const NOTE: usize = 32;

/// What a model reads of the results.
fn tokens(dialect: Dialect, body: &str) -> Vec<usize> {
    let places = results(dialect, body);
    places.iter().map(|place| O200k.count(&text(&body[place.span.clone()]).unwrap_or_default())).collect()
}

pub(crate) fn holds(dialect: Dialect, body: &str, out: &Rewrite, least_hidden: usize) {
    let sent = utf8(&out.body);
    let (before, after) = (tokens(dialect, body), tokens(dialect, sent));
    for (at, (place, (before, after))) in
        results(dialect, body).iter().zip(before.iter().zip(&after)).enumerate()
    {
        let block = out
            .report
            .blocks
            .iter()
            .find(|block| {
                (block.message, block.block, block.part) == (place.message, place.block, place.part)
            })
            .expect("a report of every text");
        if !block.reason.replaced() {
            assert_eq!(before, after);
            continue;
        }
        assert!(after + 8 <= *before, "result {at}: {before} to {after}");
        assert!((before - after) * 20 >= *before, "result {at}: {before} to {after}");
        assert_eq!((block.tokens_in, block.tokens_out), (*before, *after), "the report counts alike");
        if block.reason == Reason::Elided {
            assert!(block.tokens_out + least_hidden <= block.tokens_exact, "hiding it must pay: {block:?}");
        }
    }
    let (before, after): (usize, usize) = (before.iter().sum(), after.iter().sum());
    assert_eq!(out.report.tokens_saved(), before - after);
    let definition = O200k.count(&definition(dialect));
    assert!(definition <= DEFINITION);
    // All else is byte for byte the same (the byte law), but for the definition: a comma or a field
    // around it, and tokens cut at its ends.
    let whole = O200k.count(sent);
    let notes = NOTE * out.report.alignment.moved as usize;
    // Gemini's declarations stand in a list of their own.
    let field = if dialect == Dialect::Gemini { FIELD } else { 0 };
    let allowed = O200k.count(body) + definition + SEAM + field + notes;
    assert!(whole <= allowed, "{} to {whole}", O200k.count(body));
}

proptest! {
    #![proptest_config(cases(160))]

    #[test]
    fn holds_for_every_body(
        crew in crews(), dialect in dialects(), talk in talks(), spelling in spellings(), policy in policies(),
    ) {
        let body = spell(dialect, &talk, spelling);
        holds(dialect, &body, &rewrite(&engine(crew).0, dialect, &body, &policy), 20);
    }
}

#[test]
fn holds_on_real_conversations() {
    for (name, dialect, body) in fixtures() {
        println!("{name}");
        for crew in CREWS {
            for (policy, least) in [(Policy::default(), 60), (eager(), 20), (Policy::exact(), 0)] {
                holds(dialect, &body, &rewrite(&engine(crew).0, dialect, &body, &policy), least);
            }
        }
    }
}

/// Drops the blanks at the end of a text, and says so.
#[derive(Debug)]
struct Chops;

/// Words, and as many stops behind them as are asked for; each is one token.
fn chopped(words: usize, stops: usize) -> String {
    format!("{}{}", " word".repeat(words), " stop".repeat(stops))
}

#[derive(Debug)]
struct Stops;

impl headroom_engine::reduce::Codec for Stops {
    fn equality(&self) -> headroom_engine::reduce::Equality {
        headroom_engine::reduce::Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        Verbatim.escape(kept, out);
    }

    fn decode<'a>(
        &self,
        text: &'a str,
        sink: &mut dyn FnMut(headroom_engine::reduce::Piece<'a>),
    ) -> Result<(), headroom_engine::reduce::DecodeError> {
        let digits = text.rsplit_once('=').map_or("0", |(_, digits)| digits);
        sink(headroom_engine::reduce::Piece::Text(text[..text.len() - digits.len() - 1].into()));
        sink(headroom_engine::reduce::Piece::Text(" stop".repeat(digits.parse().unwrap_or(0)).into()));
        Ok(())
    }
}

impl Reducer for Chops {
    fn kind(&self) -> &'static str {
        "chops"
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        source.ends_with(" stop")
    }

    fn exact(&self, source: &str, _: &Context<'_>) -> Option<Reduction> {
        let stops = source.matches(" stop").count();
        let at = source.len() - stops * " stop".len();
        let ops = vec![Op::Keep(0..at), Op::Rewrite { range: at..source.len(), text: format!("={stops}") }];
        Some(Reduction { segments: vec![Segment { range: 0..source.len(), codec: Arc::new(Stops), ops }] })
    }

    fn elide(&self, _: &str, _: &Context<'_>) -> Option<Reduction> {
        None
    }
}

/// Around the limit, one token decides.
#[test]
fn the_least_that_must_be_saved_is_exact() {
    let engine = Engine::builder().reducer(Arc::new(Chops)).build();
    let (mut kept, mut replaced) = (0, 0);
    for words in [40, 139, 150, 151, 159, 160, 175, 188, 189, 190, 200, 380, 390] {
        for stops in 9..30 {
            let source = chopped(words, stops);
            for dialect in DIALECTS {
                let body = spell(dialect, &one_result(&source), Spelling::COMPACT);
                let out = rewrite(&engine, dialect, &body, &Policy::default());
                holds(dialect, &body, &out, 60);
                let after = O200k.count(&format!("{}={stops}", " word".repeat(words)));
                let saved = words + stops - after;
                let enough = saved >= 8 && saved * 20 >= words + stops;
                assert_eq!(out.report.blocks[0].reason.replaced(), enough, "{words} {stops}");
                kept += usize::from(!enough);
                replaced += usize::from(enough);
            }
        }
    }
    assert!(kept > 20 && replaced > 20, "{kept} {replaced}");
}
