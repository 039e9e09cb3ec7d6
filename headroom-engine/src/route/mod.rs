//! ContentRouter: what a text is, and who reduces which part of it.
//!
//! There is one detector and one segmenter, and nobody else chooses a specialist.
//!
//! # Order
//!
//! 1. The whole text is shown to the specialists, the most specific kind first ([`ORDER`]): what has
//!    a grammar (JSON, patches, markup) before what has a shape (tables, search results, logs), and
//!    these before what only has a language (code, prose). Each one's
//!    [`recognises`](Reducer::recognises) is its rule. What the call says (path, command line, media
//!    type) is a hint to the rules; content overrules it.
//! 2. Stretches of another kind inside the text are found by their own structure: a JSON document on
//!    lines of its own, a patch by the counts of its hunks, a fenced block by its fence, a file view
//!    by its numbered lines, a table by its bars, outputs of several commands by the lines that announce them. One is cut
//!    out where its specialist claims it and it is long enough to pay; the rest stays one text as
//!    far as it can. Where that is not sure there is one part.
//! 3. Where no rule claims a part, a trained classifier ([`classify`]) may name a kind. It is never
//!    asked to overrule a rule, and the specialist it names still has to find something to gain.
//!
//! # Why
//!
//! A wrong cut costs more than a missed one: templates of a log, rows of a table and names of a
//! patch are found across the whole of it, and a handle names one part only. So cuts are made at
//! structure that proves itself, and parts that do not pay are left alone. Every part is a range of
//! the source, and the parts tile it, so nothing is lost between them.
//!
//! Rules read a bounded part of a text where that suffices; cutting is one pass over the lines, with
//! a budget for brackets that never close. No time depends on more than the length.

pub mod classify;
mod cut;
mod json;
mod patch;
mod routed;
mod said;

use std::{fmt, ops::Range, sync::Arc};

pub use routed::{Reduced, Routed};
pub use said::said;

use self::cut::Stretch;
use crate::reduce::{Context, Hints, Reducer};

/// Kinds in the order in which they are asked; specialists of other kinds come first.
pub const ORDER: [&str; 8] = ["json", "diff", "html", "table", "search", "log", "code", "prose"];

/// Kinds whose texts may hold stretches of another.
const MIXED: [&str; 4] = ["log", "search", "diff", "prose"];
/// The least bytes of a part of another kind inside a text that has one.
const FOREIGN: usize = 1024;
/// The least bytes of code that is cut out of prose.
const FENCED: usize = 4096;
/// The least bytes of a part inside a text that no rule claims.
const PART: usize = 512;
/// The least bytes that the classifier looks at.
const GUESSED: usize = 512;
/// Texts in more parts than this are a kind of their own, unknown here.
const MAX_PARTS: usize = 64;

/// Routes texts to specialists.
///
/// ```
/// use headroom_engine::{Engine, reduce::Hints};
/// let rows: Vec<String> = (0..40).map(|n| format!("  {{\"id\": {n}, \"name\": \"item {n}\"}}")).collect();
/// let source = format!("$ curl -s localhost/items\nHTTP/1.1 200 OK\n\nserved by a\n\n[\n{}\n]\nbash-$ ", rows.join(",\n"));
/// let engine = Engine::new();
/// let routed = engine.router().route(&source, Hints::default());
/// let kinds: Vec<_> = routed.parts().iter().map(|part| part.kind()).collect();
/// assert_eq!(kinds, [None, Some("json"), None]);
/// ```
pub struct ContentRouter {
    reducers: Vec<Arc<dyn Reducer>>,
}

impl fmt::Debug for ContentRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.reducers).finish()
    }
}

/// A part of a text, and who reduces it.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// Where it lies in the text.
    pub range: Range<usize>,
    /// What is said of its content.
    pub hints: Hints<'a>,
    /// Its specialist; none where it stays as it is.
    pub reducer: Option<&'a dyn Reducer>,
    /// No rule claimed it; the classifier did.
    pub guessed: bool,
}

impl Part<'_> {
    /// The kind of its content.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        self.reducer.map(Reducer::kind)
    }

    /// `context`, with what is said of this part.
    #[must_use]
    pub fn context<'c>(&'c self, context: &Context<'c>) -> Context<'c> {
        Context { hints: self.hints, ..*context }
    }
}

impl ContentRouter {
    /// A router to `reducers`, of one kind the first before the others.
    #[must_use]
    pub fn new(mut reducers: Vec<Arc<dyn Reducer>>) -> Self {
        let place = |reducer: &Arc<dyn Reducer>| ORDER.iter().position(|kind| *kind == reducer.kind());
        reducers.sort_by_key(|reducer| place(reducer).map_or(0, |at| at + 1));
        Self { reducers }
    }

    /// The specialists, in the order in which they are asked.
    pub fn reducers(&self) -> impl Iterator<Item = &dyn Reducer> {
        self.reducers.iter().map(|reducer| &**reducer)
    }

    /// The parts of `source` with their specialists.
    #[must_use]
    pub fn route<'a>(&'a self, source: &'a str, hints: Hints<'a>) -> Routed<'a> {
        let whole = self.claim(source, hints);
        if source.len() >= PART + 64
            && let Some(parts) = self.parts(source, hints, whole)
        {
            return Routed::new(source, parts);
        }
        Routed::new(source, vec![self.part(source, 0..source.len(), hints, whole)])
    }

    /// The first specialist whose rule claims `text`.
    fn claim<'a>(&'a self, text: &str, hints: Hints<'_>) -> Option<&'a dyn Reducer> {
        self.reducers().find(|reducer| reducer.recognises(text, hints))
    }

    /// A part with the specialist that claims it, or that the classifier names.
    fn part<'a>(
        &'a self,
        source: &'a str,
        range: Range<usize>,
        hints: Hints<'a>,
        claimed: Option<&'a dyn Reducer>,
    ) -> Part<'a> {
        let guess = || {
            let text = &source[range.clone()];
            let kind = (text.len() >= GUESSED).then(|| classify::guess(text, said(hints)))??;
            self.reducers().find(|reducer| reducer.kind() == kind)
        };
        let reducer = claimed.or_else(guess);
        Part { guessed: claimed.is_none() && reducer.is_some(), range, hints, reducer }
    }

    /// The parts of a text of several kinds; `None` if it is better left whole.
    fn parts<'a>(
        &'a self,
        source: &'a str,
        hints: Hints<'a>,
        whole: Option<&'a dyn Reducer>,
    ) -> Option<Vec<Part<'a>>> {
        let kind = whole.map(Reducer::kind);
        // What a file holds is the file's, and an unknown specialist claims all that it claims.
        if kind.is_some_and(|kind| !MIXED.contains(&kind)) {
            return None;
        }
        let least = if whole.is_some() { FOREIGN } else { PART };
        let stretches = cut::stretches(source, hints);
        let mut parts: Vec<Part<'a>> = Vec::new();
        let mut from = 0;
        for Stretch { range, hints: said, sure } in stretches {
            // Of a text that is of one kind by its rule, only what proves to be of another is cut out.
            // Indented it may be a patch's context, or a value of its lines.
            let begins_line = source[..range.start].ends_with('\n') || range.start == 0;
            if range.len() < least || (whole.is_some() && !(sure && begins_line)) {
                continue;
            }
            let Some(reducer) = self.claim(&source[range.clone()], said) else { continue };
            if kind
                .is_some_and(|kind| !pays(kind, reducer.kind(), range.len(), range.len() * 2 >= source.len()))
            {
                continue;
            }
            match parts.last_mut() {
                // Outputs of one kind, one behind the other.
                Some(last)
                    if last.range.end == range.start && last.kind() == Some(reducer.kind()) && !sure =>
                {
                    last.range.end = range.end;
                }
                _ => {
                    self.rest(source, from..range.start, hints, &mut parts);
                    parts.push(Part {
                        range: range.clone(),
                        hints: said,
                        reducer: Some(reducer),
                        guessed: false,
                    });
                }
            }
            from = range.end;
            if parts.len() > MAX_PARTS {
                return None;
            }
        }
        if parts.is_empty() {
            return None;
        }
        self.rest(source, from..source.len(), hints, &mut parts);
        (parts.len() > 1).then_some(parts)
    }

    /// What lies between parts, as one.
    fn rest<'a>(&'a self, source: &'a str, range: Range<usize>, hints: Hints<'a>, parts: &mut Vec<Part<'a>>) {
        if range.is_empty() {
            return;
        }
        let text = &source[range.clone()];
        let part = if text.len() >= PART {
            self.part(source, range, hints, self.claim(text, hints))
        } else {
            Part { range, hints, reducer: None, guessed: false }
        };
        parts.push(part);
    }
}

/// Whether to cut `length` bytes of kind `part` out of a text of kind `whole`. A log's specialist does
/// well with what it does not know, and finds what repeats on both sides of it; prose has no use for
/// it, but chooses better among its sentences where they are one text, and knows short code.
fn pays(whole: &str, part: &str, length: usize, is_most: bool) -> bool {
    let foreign = whole == "prose" && (part != "code" || length >= FENCED);
    whole != part && (foreign || part == "json" || is_most)
}

#[cfg(test)]
mod hard;
#[cfg(test)]
mod tests;
