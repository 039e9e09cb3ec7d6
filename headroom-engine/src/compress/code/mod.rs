//! CodeCompressor: source code, and views of it with line numbers.
//!
//! The *exact* stage takes the numbers off a view's lines and says every few lines which one is
//! next, and says a run of lines that stood before by their numbers ([`codec`] has the grammar); each
//! line's code stays as it is. The *elide* stage leaves out whole things, behind markers that are
//! comments of the language, so that what is left still parses: modules of tests, comments but for
//! their first line, imports that nothing names, long literals, and the bodies of functions, from
//! the least worth a token ([`select`]), and only those that are worth asking for. Heads of
//! declarations, attributes and types stay. What is about to be edited must stay exact: a range that
//! was asked for is left out only if it is long, a function that the query names never, one whose
//! name shares words with it ([`topics`]) after all others, and nothing where the user asks to reshape the code at once. Where he asks for a plan of that first, or for all
//! of a file to be read, less goes, and no imports: they move with the code.
//!
//! Whole files are outlined by their grammars ([`tree`]), fragments by their indentation
//! ([`indent`]).

mod codec;
mod indent;
mod lang;
mod outline;
mod recognise;
mod select;
mod spell;
mod topics;
mod tree;
mod view;

use std::sync::Arc;

use self::{codec::CodeCodec, lang::Language, select::Asked, view::View};
use super::weigh::weigh;
use crate::reduce::{Context, Hints, Op, Reducer, Reduction, Segment};

/// Source code, and views of it with line numbers.
///
/// ```
/// use headroom_engine::{compress::CodeCompressor, reduce::Reducer};
/// let code = "import os\n\ndef size(path):\n    return os.stat(path).st_size\n";
/// assert!(CodeCompressor.recognises(code, Default::default()));
/// assert!(!CodeCompressor.recognises("It was a dark night.\n", Default::default()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CodeCompressor;

impl Reducer for CodeCompressor {
    fn kind(&self) -> &'static str {
        "code"
    }

    fn recognises(&self, source: &str, hints: Hints<'_>) -> bool {
        recognise::is_view(source) || recognise::is_code(source, hints)
    }

    fn exact(&self, source: &str, _context: &Context<'_>) -> Option<Reduction> {
        match View::numbered(source) {
            Some(view) => Some(reduction(source, spell::bare(&view, &[]))),
            None => spell::again(source).map(|ops| reduction(source, ops)),
        }
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        let numbered = View::numbered(source);
        let is_view = numbered.is_some();
        let view = numbered.unwrap_or_else(|| View::plain(source));
        let hidden = hidden(&view, context).filter(|hidden| !hidden.is_empty());
        let Some((hidden, comment)) = hidden.map(|hidden| hidden.parts()) else {
            return self.exact(source, context);
        };
        let elisions = spell::elisions(&view, &hidden, comment);
        let ops = if is_view { spell::bare(&view, &elisions) } else { spell::plain(&view, &elisions) };
        Some(reduction(source, ops))
    }
}

fn reduction(source: &str, ops: Vec<Op>) -> Reduction {
    Reduction { segments: vec![Segment { range: 0..source.len(), codec: Arc::new(CodeCodec), ops }] }
}

/// Lines of a view to leave out, and what begins a comment there.
struct Found {
    hidden: Vec<select::Hidden>,
    comment: &'static str,
}

impl Found {
    fn is_empty(&self) -> bool {
        self.hidden.is_empty()
    }

    fn parts(self) -> (Vec<select::Hidden>, &'static str) {
        (self.hidden, self.comment)
    }
}

/// What to leave out of `view`, in lines of it.
fn hidden(view: &View<'_>, context: &Context<'_>) -> Option<Found> {
    let rows: Vec<usize> = (0..view.lines.len()).filter(|at| view.is_code(*at)).collect();
    let joined: String;
    let code = if view.gutter.is_some() {
        joined = rows.iter().map(|at| view.code(*at)).collect();
        &joined
    } else {
        view.source
    };
    let language = language(view, code, context.hints)?;
    let budget = budget(view, code, context)?;
    let lines: Vec<&str> = code.split_inclusive('\n').collect();
    // What begins within something is a fragment, whatever its number; Python's grammar takes it.
    let inside = language != Language::Python
        && code.trim_start_matches(['\n', '\r']).starts_with([' ', '\t', '}', ')']);
    let starts = view.lines.get(*rows.first()?)?.number == 1 && !inside;
    let outline = starts
        .then(|| tree::outline(code, lines.len(), language))
        .flatten()
        .filter(|outline| outline.errors * 50 <= lines.len() + 100)
        .unwrap_or_else(|| indent::outline(code, &lines, Some(language)));
    let line = asked_line(view, &rows, context);
    let least = context.stakes.least(budget.chance);
    let asked = Asked { query: context.query, line, percent: budget.percent, least, imports: budget.imports };
    let mut hidden = select::hidden(code, &lines, &outline, asked);
    // Lines between the numbered ones are nobody's: nothing is left out across them.
    hidden.retain(|hidden| rows[hidden.lines.end - 1] - rows[hidden.lines.start] == hidden.lines.len() - 1);
    for hidden in &mut hidden {
        hidden.lines = rows[hidden.lines.start]..rows[hidden.lines.end - 1] + 1;
    }
    Some(Found { hidden, comment: language.comment() })
}

fn language(view: &View<'_>, code: &str, hints: Hints<'_>) -> Option<Language> {
    let named = |text: &str| {
        let words = text.split(|c: char| {
            c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '`' | '"' | ',' | '<' | '>')
        });
        words.map(|word| word.trim_end_matches([':', '.'])).find_map(|word| {
            let (stem, extension) = word.rsplit('/').next()?.rsplit_once('.')?;
            (!stem.is_empty()).then(|| Language::of_extension(extension)).flatten()
        })
    };
    match hints.extension() {
        Some(extension) => Language::of_extension(extension),
        None if view.gutter.is_some() => {
            named(view.header()).or_else(|| named(view.footer())).or_else(|| recognise::language(code))
        }
        None => recognise::language(code),
    }
}

/// Arguments of calls that ask for a part of a file.
const RANGES: [&str; 4] = ["view_range", "offset", "start_line", "line_start"];
/// What users ask for when much of the code that is read will be written again as it stands.
const MOVES: [&str; 17] = [
    "refactor",
    "refactored",
    "refactoring",
    "rewrite",
    "restructure",
    "restructuring",
    "untangle",
    "migrate",
    "migration",
    "modularize",
    "reorganize",
    "convert",
    "duplication",
    "split",
    "splitting",
    "rename",
    "translate",
];
/// What they ask for when that is talked about first: the code is read again before it is written.
const PLANS: [&str; 12] = [
    "analysis",
    "analyse",
    "analyze",
    "plan",
    "planning",
    "review",
    "explain",
    "audit",
    "assess",
    "summarize",
    "understand",
    "investigate",
];
/// What they ask for when all of it is to be read.
const WHOLE: [&str; 3] = ["full", "fully", "entire"];
/// A query of so many terms says what it is about, and a word in it little of what is wanted.
const WORDY: usize = 250;
/// Fewer tokens than these stay as they are.
const SMALL: usize = 600;
/// A range that was asked for stays as it is up to this many tokens.
const RANGE: usize = 8000;
/// How likely a body is asked for, in percent, and where code is to be written again.
const USUAL: f64 = 2.0;
const CAREFUL: f64 = 5.0;

/// How much of a view may be left out.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Budget {
    /// Of its tokens, in percent.
    percent: usize,
    /// How likely a body that is left out is asked for, in percent.
    chance: f64,
    /// Imports go too: where code moves, they move with it.
    imports: bool,
}

/// A pure function of a view's size and what asked for it. `None` if all of it stays.
fn budget(view: &View<'_>, code: &str, context: &Context<'_>) -> Option<Budget> {
    let query = context.query;
    let wordy = query.iter().take(WORDY).count() == WORDY;
    let says = |words: &[&str]| !wordy && words.iter().any(|word| query.contains(word));
    let moves = says(&MOVES);
    if moves && !says(&PLANS) {
        return None;
    }
    let tokens = weigh(code);
    let sed = context
        .hints
        .command_line()
        .is_some_and(|line| line.contains("sed -n") || line.contains("tail ") || line.contains("head "));
    let partial = view.header().contains("more lines above") || view.footer().contains("more lines below");
    let asked = sed || RANGES.iter().any(|word| query.contains(word));
    if tokens < SMALL || (asked && tokens < RANGE) {
        return None;
    }
    let careful = moves || says(&WHOLE);
    let percent = match tokens {
        _ if careful => 48,
        _ if asked || partial => 50,
        ..2000 => 66,
        _ => 72,
    };
    let chance = if careful { CAREFUL } else { USUAL };
    Some(Budget { percent, chance, imports: !careful })
}

/// The row of the line that the call asked for by its number.
fn asked_line(view: &View<'_>, rows: &[usize], context: &Context<'_>) -> Option<usize> {
    view.gutter?;
    let mut text = String::new();
    rows.iter().position(|at| {
        use std::fmt::Write as _;
        text.clear();
        let number = view.lines[*at].number;
        let _ = write!(text, "{number}");
        number > 1 && context.query.contains(&text)
    })
}

#[cfg(test)]
mod tests;
