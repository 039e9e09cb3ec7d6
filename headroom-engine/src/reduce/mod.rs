//! The one contract of all specialists: say what becomes of every byte of a block.
//!
//! A [`Reducer`] never writes output. It returns a [`Reduction`]: segments and operations whose
//! ranges tile the source. One renderer turns them into text, one marker grammar stands where
//! something is left out, and one [gate](Gate) runs the decoder over the rendered text, compares it
//! with the source, counts tokens, and takes or refuses the result. A specialist can therefore
//! waste time, but lose nothing.

mod gate;
mod hints;
mod json;
mod render;
mod verbatim;

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

pub use gate::{Accepted, Gate, Refusal};
pub use hints::Hints;
pub(crate) use json::next_token;
pub use json::same_tokens;
pub use render::{Hidden, Rendered, render};
pub use verbatim::Verbatim;

pub use crate::price::Stakes;

use crate::{
    ccr::{Marker, Unit},
    rank::Query,
    tokens::TokenCounter,
};

/// What a specialist may know about the block it reduces.
///
/// Everything here comes from before the block in the conversation, so that what it becomes never
/// depends on what is said later.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What the block answers: the call's name and arguments, and the user's text before it.
    pub query: &'a Query,
    /// The name of the tool that returned the block; empty if unknown.
    pub tool: &'a str,
    /// What the call says of the block's content.
    pub hints: Hints<'a>,
    /// The result is flagged as an error: every error in it must stay.
    pub is_error: bool,
    /// Counts what a choice between encodings costs.
    pub counter: &'a dyn TokenCounter,
    /// How much must be hidden for it to pay.
    pub stakes: Stakes,
}

/// One kind of content, understood.
///
/// Both methods are pure functions of their arguments and total: any text, no panic, time
/// `O(n log n)`. `None` means that there is nothing to gain.
///
/// ```
/// use headroom_engine::{compress::LogCompressor, reduce::{Hints, Reducer as _}};
/// assert_eq!(LogCompressor.kind(), "log");
/// assert!(!LogCompressor.recognises(r#"{"a":1}"#, Hints::default()));
/// ```
pub trait Reducer: Send + Sync + fmt::Debug {
    /// The kind's name in reports and in the hash of handles: `"json"`, `"log"`.
    fn kind(&self) -> &'static str;

    /// Whether `source` is of this kind. Reads a bounded part of it where that suffices; what the
    /// call says of it is a hint, and `source` may overrule it.
    fn recognises(&self, source: &str, hints: Hints<'_>) -> bool;

    /// Only what our decoder undoes from the output alone: no [`Op::Elide`].
    fn exact(&self, source: &str, context: &Context<'_>) -> Option<Reduction>;

    /// The exact stage and, on top of it, elision.
    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction>;
}

/// Is shown each reduction that the gate takes, the first time: what its decoders need is in it.
pub trait Witness: Send + Sync + fmt::Debug {
    /// `reduction` may replace `source`, or the part of a block that it is; `kind` goes into its
    /// handles.
    fn taken(&self, source: &str, kind: &'static str, reduction: &Reduction);
}

/// What becomes of a source: segments whose ranges tile `0..source.len()`.
///
/// ```
/// use headroom_engine::reduce::Reduction;
/// let (one, two) = (Reduction::kept(0..4), Reduction::kept(0..6).shifted(4));
/// assert_eq!(Reduction::joined([one, two]).segments[1].range, 4..10);
/// ```
#[derive(Clone, Debug)]
pub struct Reduction {
    /// In source order, without gap or overlap.
    pub segments: Vec<Segment>,
}

impl Reduction {
    /// Text that stays as it is.
    #[must_use]
    pub fn kept(range: Range<usize>) -> Self {
        let ops = vec![Op::Keep(range.clone())];
        Self { segments: vec![Segment { range, codec: Arc::new(Verbatim), ops }] }
    }

    /// Whether anything is left out behind a marker.
    #[must_use]
    pub fn hides(&self) -> bool {
        self.segments.iter().flat_map(|segment| &segment.ops).any(|op| matches!(op, Op::Elide { .. }))
    }

    /// The reduction of a part of a source, as a part of the reduction of the whole: the part began
    /// at byte `by`.
    #[must_use]
    pub fn shifted(mut self, by: usize) -> Self {
        let shift = |range: &mut Range<usize>| *range = range.start + by..range.end + by;
        for segment in &mut self.segments {
            shift(&mut segment.range);
            for op in &mut segment.ops {
                match op {
                    Op::Keep(range) | Op::Rewrite { range, .. } => shift(range),
                    Op::Elide { range, original, .. } => {
                        shift(range);
                        shift(original);
                    }
                }
            }
        }
        self
    }

    /// The reduction of a source from those of its parts, each [shifted](Self::shifted), in order.
    #[must_use]
    pub fn joined(parts: impl IntoIterator<Item = Self>) -> Self {
        Self { segments: parts.into_iter().flat_map(|part| part.segments).collect() }
    }
}

/// A part of the source with one grammar.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Where it lies in the source.
    pub range: Range<usize>,
    /// How its output is read back.
    pub codec: Arc<dyn Codec>,
    /// In source order, tiling `range`.
    pub ops: Vec<Op>,
}

/// What becomes of one range of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The bytes as they are, look-alikes of our own text escaped.
    Keep(Range<usize>),
    /// Other text for the same content; the segment's codec reads it back.
    Rewrite {
        /// What it stands for; may be empty (a legend).
        range: Range<usize>,
        /// What is written, in the codec's grammar.
        text: String,
    },
    /// Left out behind a marker.
    Elide {
        /// What is left out.
        range: Range<usize>,
        /// The part of the source that the marker's handle names and its numbers count in; it
        /// contains `range`.
        original: Range<usize>,
        /// What is counted.
        unit: Unit,
        /// The first unit left out, from 1.
        first: usize,
        /// The last unit left out.
        last: usize,
        /// A few words on what it held, at most about five tokens; may be empty.
        note: String,
        /// Written before and behind the marker: a newline, or the quotes of a JSON string.
        frame: (&'static str, &'static str),
    },
}

impl Op {
    /// The range of the source that this op accounts for.
    #[must_use]
    pub fn range(&self) -> &Range<usize> {
        match self {
            Self::Keep(range) | Self::Rewrite { range, .. } | Self::Elide { range, .. } => range,
        }
    }
}

/// When a decoded text equals its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equality {
    /// Byte for byte.
    Bytes,
    /// The same JSON tokens in the same order, every literal verbatim; white space aside.
    JsonTokens,
}

/// A piece of a decoded text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Source text (for [`Equality::JsonTokens`]: its tokens).
    Text(Cow<'a, str>),
    /// Something was left out here.
    Hidden(Marker),
}

/// The output cannot be read back; the gate refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output cannot be read back: {0}")]
pub struct DecodeError(pub &'static str);

/// Reads back what a specialist wrote.
///
/// ```
/// use headroom_engine::reduce::{Codec as _, Piece, Verbatim};
/// let mut out = String::new();
/// Verbatim.escape("looks like [~lines 1-2]", &mut out);
/// assert_eq!(out, "looks like [~~lines 1-2]");
/// let mut back = String::new();
/// Verbatim.decode(&out, &mut |piece| if let Piece::Text(text) = piece { back.push_str(&text) })?;
/// assert_eq!(back, "looks like [~lines 1-2]");
/// # Ok::<(), headroom_engine::reduce::DecodeError>(())
/// ```
pub trait Codec: Send + Sync + fmt::Debug {
    /// What "the same" means for this grammar.
    fn equality(&self) -> Equality;

    /// Writes kept source text so that [`Codec::decode`] takes it for what it is.
    fn escape(&self, kept: &str, out: &mut String);

    /// Reads `text`, the rendered output of one segment, from front to back.
    ///
    /// # Errors
    /// If `text` is not in this codec's grammar.
    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError>;
}
