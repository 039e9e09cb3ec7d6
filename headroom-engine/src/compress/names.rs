//! Names for texts that occur again: `[~a:]TEXT` says one and names it, `[~a]` is it again.

use std::{borrow::Cow, collections::HashMap};

use super::weigh::weigh;
use crate::{
    ccr::{Marker, marker},
    reduce::{DecodeError, Piece},
};

/// About the tokens of a name where it is given, and where it stands for its text.
const NAME: usize = 3;
/// Fewer tokens than these saved in all are not worth a grammar.
const WORTH: usize = 24;

/// The texts of some lines that are said once and named.
#[derive(Clone, Debug, Default)]
pub(super) struct Names<'a> {
    names: HashMap<&'a str, (String, bool)>,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling<'n> {
    Whole,
    /// The text, with a name from here on.
    Named(&'n str),
    /// The name alone.
    Again(&'n str),
}

impl<'a> Names<'a> {
    /// Names what is worth it among `texts`.
    pub(super) fn new(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut counts: HashMap<&'a str, usize> = HashMap::new();
        let mut order: Vec<&'a str> = Vec::new();
        for text in texts.filter(|text| text.len() > 2 * NAME) {
            let count = counts.entry(text).or_insert_with(|| {
                order.push(text);
                0
            });
            *count += 1;
        }
        let gain = |text: &str| {
            let count = counts.get(text).copied().unwrap_or(0);
            (count > 1).then(|| (count - 1) * weigh(text).saturating_sub(NAME)).filter(|gain| *gain > NAME)
        };
        let worth: Vec<(&str, usize)> =
            order.into_iter().filter_map(|text| Some((text, gain(text)?))).collect();
        if worth.iter().map(|(_, gain)| gain - NAME).sum::<usize>() < WORTH {
            return Self::default();
        }
        let named = worth.into_iter().enumerate();
        Self { names: named.map_while(|(at, (text, _))| Some((text, (name(at)?, false)))).collect() }
    }

    pub(super) fn has(&self, text: &str) -> bool {
        self.names.contains_key(text)
    }

    /// How `text` is to be written next.
    pub(super) fn spell(&mut self, text: &str) -> Spelling<'_> {
        let Some((name, given)) = self.names.get_mut(text) else { return Spelling::Whole };
        if std::mem::replace(given, true) { Spelling::Again(name) } else { Spelling::Named(name) }
    }
}

/// The `at`-th name: `a` to `z`, then `aa` and on, three letters at most.
fn name(at: usize) -> Option<String> {
    let mut left = at + 1;
    let mut letters = Vec::new();
    while left > 0 {
        left -= 1;
        letters.push(char::from(b'a' + (left % 26) as u8));
        left /= 26;
    }
    (letters.len() <= 3).then(|| letters.iter().rev().collect())
}

/// Reads `[~a:]` or `[~a]` at the start of `text`: the name, whether it is given here, and the
/// length of all that.
fn read(text: &str) -> Option<(&str, bool, usize)> {
    let inner = text.strip_prefix("[~")?;
    let letters = inner.bytes().take_while(u8::is_ascii_lowercase).count();
    let (name, rest) = inner.split_at(letters);
    let end = 2 + letters;
    match rest.as_bytes() {
        _ if !(1..=3).contains(&letters) => None,
        [b':', b']', ..] => Some((name, true, end + 2)),
        [b']', ..] => Some((name, false, end + 1)),
        _ => None,
    }
}

/// Reads lines with names and markers in them.
pub(super) struct LineReader<'s, 'a> {
    pub(super) sink: &'s mut dyn FnMut(Piece<'a>),
    names: HashMap<&'a str, Cow<'a, str>>,
}

const BROKEN: DecodeError = DecodeError("a broken marker");

impl<'s, 'a> LineReader<'s, 'a> {
    pub(super) fn new(sink: &'s mut dyn FnMut(Piece<'a>)) -> Self {
        Self { sink, names: HashMap::new() }
    }

    /// Emits the line at the start of `rest`, with what is named and what is left out within it,
    /// and returns what follows.
    pub(super) fn line(&mut self, rest: &'a str) -> Result<&'a str, DecodeError> {
        let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
        let (mut line, after) = rest.split_at(end);
        while let Some(at) = bare_introducer(line) {
            self.emit(&line[..at])?;
            line = &line[at..];
            if let Some((name, is_new, length)) = read(line) {
                line = &line[length..];
                if is_new {
                    let text = marker::unescape(line.trim_end_matches(['\n', '\r'])).ok_or(BROKEN)?;
                    self.names.insert(name, text);
                } else {
                    let text = self.names.get(name).ok_or(DecodeError("an unknown name"))?;
                    (self.sink)(Piece::Text(text.clone()));
                }
                continue;
            }
            let (marker, length) = Marker::parse_prefix(line).ok_or(BROKEN)?;
            (self.sink)(Piece::Hidden(marker));
            line = &line[length..];
        }
        self.emit(line)?;
        Ok(after)
    }

    /// Emits the marker on a line of its own at the start of `rest`, and returns what follows.
    pub(super) fn marker(&mut self, rest: &'a str) -> Result<&'a str, DecodeError> {
        let (marker, length) = Marker::parse_prefix(rest).ok_or(BROKEN)?;
        (self.sink)(Piece::Hidden(marker));
        rest[length..].strip_prefix('\n').ok_or(BROKEN)
    }

    fn emit(&mut self, text: &'a str) -> Result<(), DecodeError> {
        if !text.is_empty() {
            (self.sink)(Piece::Text(marker::unescape(text).ok_or(BROKEN)?));
        }
        Ok(())
    }
}

/// Whether `text` begins with something that is not source text.
pub(super) fn is_ours(text: &str) -> bool {
    text.starts_with(marker::INTRODUCER) && text.as_bytes().get(2) != Some(&b'~')
}

/// The first `[~` that is not escaped by a second tilde.
fn bare_introducer(text: &str) -> Option<usize> {
    memchr::memmem::find_iter(text.as_bytes(), marker::INTRODUCER).find(|at| is_ours(&text[*at..]))
}
