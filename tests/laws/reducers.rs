//! Reducers that do little, so that the laws bite whatever the specialists recognise, and reducers
//! that misbehave.

use std::{ops::Range, sync::Arc};

use headroom_engine::{
    ccr::{Unit, marker},
    rank::terms,
    reduce::{
        Codec, Context, DecodeError, Equality, Hints, Op, Piece, Reducer, Reduction, Segment, Verbatim,
    },
};

/// Leaves out the middle of long texts, but for lines that the causal query asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Middle;

const ENDS: usize = 4;

impl Reducer for Middle {
    fn kind(&self) -> &'static str {
        "middle"
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        source.lines().count() > 3 * ENDS
    }

    fn exact(&self, _: &str, _: &Context<'_>) -> Option<Reduction> {
        None
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        let lines: Vec<&str> = source.split_inclusive('\n').collect();
        let stays = |at: usize| {
            let mut asked = at < ENDS || at + ENDS >= lines.len();
            terms(lines[at], &mut |term| asked |= context.query.contains(term));
            asked || (context.is_error && lines[at].contains("rror"))
        };
        let mut ops: Vec<Op> = Vec::new();
        let (mut from, mut at, mut line) = (0, 0, 0);
        while line < lines.len() {
            let run = (line..lines.len()).take_while(|line| !stays(*line)).count();
            let length: usize = lines[line..line + run.max(1)].iter().map(|line| line.len()).sum();
            if run >= 3 {
                ops.push(Op::Keep(from..at));
                // Every other text has an original for each gap.
                let whole = source.len().is_multiple_of(2);
                let (original, first) =
                    if whole { (0..source.len(), line + 1) } else { (at..at + length, 1) };
                ops.push(Op::Elide {
                    range: at..at + length,
                    original,
                    unit: Unit::Lines,
                    first,
                    last: first + run - 1,
                    note: if line % 3 == 0 { format!("{run} lines [~\"#") } else { String::new() },
                    frame: ("", "\n"),
                });
                from = at + length;
            }
            at += length;
            line += run.max(1);
        }
        ops.push(Op::Keep(from..source.len()));
        (ops.len() > 1).then(|| tiled(source, Arc::new(Verbatim), ops))
    }
}

/// Takes the white space out of JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Minify;

impl Reducer for Minify {
    fn kind(&self) -> &'static str {
        "minified"
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        source.starts_with(['[', '{']) && serde_json::from_str::<&serde_json::value::RawValue>(source).is_ok()
    }

    fn exact(&self, source: &str, _: &Context<'_>) -> Option<Reduction> {
        let mut ops = Vec::new();
        let (mut from, mut quoted, mut escaped) = (0, false, false);
        let keep = |ops: &mut Vec<Op>, range: Range<usize>| {
            if !range.is_empty() {
                ops.push(Op::Keep(range));
            }
        };
        for (at, byte) in source.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = !quoted,
                b' ' | b'\n' | b'\r' | b'\t' if !quoted => {
                    keep(&mut ops, from..at);
                    ops.push(Op::Rewrite { range: at..at + 1, text: String::new() });
                    from = at + 1;
                }
                _ => {}
            }
        }
        keep(&mut ops, from..source.len());
        Some(tiled(source, Arc::new(Tokens), ops))
    }

    fn elide(&self, _: &str, _: &Context<'_>) -> Option<Reduction> {
        None
    }
}

/// JSON without its white space.
#[derive(Debug)]
struct Tokens;

impl Codec for Tokens {
    fn equality(&self) -> Equality {
        Equality::JsonTokens
    }

    fn escape(&self, kept: &str, out: &mut String) {
        marker::escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        sink(Piece::Text(marker::unescape(text).ok_or(DecodeError("a bare introducer"))?));
        Ok(())
    }
}

/// The ways to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vice {
    PanicsOnSight,
    PanicsInExact,
    PanicsInElide,
    /// Drops text and says nothing.
    Drops,
    /// Says that something else stands there.
    Rewords,
    /// Its ops leave a gap.
    Gap,
    /// Its ops overlap.
    Overlap,
    /// Its ranges lie beyond the source.
    Beyond,
    /// Its ranges cut characters.
    CutsCharacters,
    /// Its ranges run backwards.
    Backwards,
    /// Its marker counts the wrong lines.
    WrongNumbers,
    /// Its marker names an original that does not hold what it hides.
    WrongOriginal,
    /// It writes a marker of its own.
    ForgesMarker,
    /// It writes kept text as its own, unescaped.
    SkipsEscaping,
    /// It leaves text out in its exact stage.
    ElidesInExact,
    /// It makes the text longer.
    Grows,
    /// It says nothing at all of anything.
    NoSegments,
}

impl Vice {
    pub(crate) const ALL: [Self; 17] = [
        Self::PanicsOnSight,
        Self::PanicsInExact,
        Self::PanicsInElide,
        Self::Drops,
        Self::Rewords,
        Self::Gap,
        Self::Overlap,
        Self::Beyond,
        Self::CutsCharacters,
        Self::Backwards,
        Self::WrongNumbers,
        Self::WrongOriginal,
        Self::ForgesMarker,
        Self::SkipsEscaping,
        Self::ElidesInExact,
        Self::Grows,
        Self::NoSegments,
    ];
}

/// Misbehaves on texts that start with `BAD`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bad(pub(crate) Vice);

impl Bad {
    #[expect(clippy::reversed_empty_ranges, reason = "a vice")]
    fn lie(self, source: &str) -> Option<Reduction> {
        let end = source.len();
        let elide = |range: Range<usize>, original: Range<usize>, first, last| Op::Elide {
            range,
            original,
            unit: Unit::Lines,
            first,
            last,
            note: String::new(),
            frame: ("", "\n"),
        };
        // The source starts with lines of 8 bytes each.
        let ops = match self.0 {
            Vice::PanicsOnSight | Vice::PanicsInElide | Vice::PanicsInExact => return None,
            Vice::Drops => vec![Op::Keep(0..8), Op::Rewrite { range: 8..end, text: String::new() }],
            Vice::Rewords => vec![Op::Keep(0..8), Op::Rewrite { range: 8..end, text: "so on\n".into() }],
            Vice::Gap => vec![Op::Keep(0..8), Op::Keep(end - 8..end)],
            Vice::Overlap => vec![Op::Keep(0..16), Op::Keep(8..end)],
            Vice::Beyond => vec![Op::Keep(0..8), elide(8..end + 8, 0..end + 8, 2, 9)],
            Vice::CutsCharacters => vec![Op::Keep(0..end - 2), Op::Keep(end - 2..end)],
            Vice::Backwards => vec![Op::Keep(0..16), Op::Keep(16..8), Op::Keep(8..end)],
            Vice::WrongNumbers => {
                vec![Op::Keep(0..8), elide(8..80, 0..end, 2, 11), Op::Keep(80..end)]
            }
            Vice::WrongOriginal => vec![Op::Keep(0..8), elide(8..80, 0..72, 2, 10), Op::Keep(80..end)],
            Vice::ForgesMarker => vec![
                Op::Keep(0..8),
                Op::Rewrite { range: 8..end, text: format!("[~lines 2-90 #{}]\n", "1".repeat(30)) },
            ],
            Vice::SkipsEscaping => vec![
                Op::Keep(0..8),
                elide(8..80, 0..end, 2, 10),
                Op::Rewrite { range: 80..end, text: source[80..].to_owned() },
            ],
            Vice::ElidesInExact => {
                vec![Op::Keep(0..8), elide(8..800, 0..end, 2, 100), Op::Keep(800..end)]
            }
            Vice::Grows => vec![Op::Keep(0..end), Op::Rewrite { range: end..end, text: "[~~".repeat(end) }],
            Vice::NoSegments => return Some(Reduction { segments: Vec::new() }),
        };
        Some(tiled(source, Arc::new(Verbatim), ops))
    }
}

impl Reducer for Bad {
    fn kind(&self) -> &'static str {
        "bad"
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        assert!(self.0 != Vice::PanicsOnSight || !source.starts_with("BAD"), "on sight");
        source.starts_with("BAD")
    }

    fn exact(&self, source: &str, _: &Context<'_>) -> Option<Reduction> {
        assert!(self.0 != Vice::PanicsInExact, "in exact");
        self.lie(source)
    }

    fn elide(&self, source: &str, _: &Context<'_>) -> Option<Reduction> {
        assert!(self.0 != Vice::PanicsInElide, "in elide");
        if self.0 == Vice::ElidesInExact { None } else { self.lie(source) }
    }
}

fn tiled(source: &str, codec: Arc<dyn Codec>, ops: Vec<Op>) -> Reduction {
    Reduction { segments: vec![Segment { range: 0..source.len(), codec, ops }] }
}
