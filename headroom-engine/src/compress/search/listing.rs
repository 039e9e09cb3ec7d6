//! Lists of paths: `find`, `ls -d`, `rg -l`, `rg -c`, `git ls-files`.
//!
//! A directory stands once above the names in it, each behind one space:
//!
//! ```text
//! src/runtime/                          
//!  handle.rs                            src/runtime/handle.rs
//!  builder.rs:3                         src/runtime/builder.rs:3
//! [~] a name that starts with a space   " a name that starts with a space"
//! ```

use std::sync::Arc;

use super::{line::lines, recognise::counted, reduction};
use crate::{
    ccr::{Marker, marker},
    reduce::{Codec, Context, DecodeError, Equality, Op, Piece, Reduction},
};

const PLAIN: &str = "[~]";

/// The fewest tokens of a hundred that a tree must save: whole paths can be read and searched.
const WORTH: usize = 20;

/// A list of paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing<'a> {
    source: &'a str,
}

impl<'a> Listing<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source }
    }

    pub(super) fn exact(&self, context: &Context<'_>) -> Option<Reduction> {
        let text = self.tree()?;
        let (before, after) = (context.counter.count(self.source), context.counter.count(&text));
        let ops = vec![Op::Rewrite { range: 0..self.source.len(), text }];
        (after * 100 <= before * (100 - WORTH)).then(|| reduction(self.source, Arc::new(ListingCodec), ops))
    }

    fn tree(&self) -> Option<String> {
        let mut out = String::with_capacity(self.source.len());
        let mut grouped = false;
        let mut above = "";
        let mut all = lines(self.source).map(|range| &self.source[range]).peekable();
        while let Some(line) = all.next() {
            let folder = folder(line);
            let mut more = || all.peek().is_some_and(|next| self::folder(next) == folder);
            if folder.is_empty() || folder.starts_with(' ') {
                above = "";
                ListingCodec.escape(line, &mut out);
            } else if folder == above || more() {
                if folder != above {
                    marker::escape(folder, &mut out);
                    out.push('\n');
                    above = folder;
                }
                grouped = true;
                out.push(' ');
                marker::escape(&line[folder.len()..], &mut out);
            } else {
                above = "";
                ListingCodec.escape(line, &mut out);
            }
        }
        grouped.then_some(out)
    }
}

/// The path of the line up to and with its last slash, where a name follows.
fn folder(line: &str) -> &str {
    let path = counted(line).0;
    match path.trim_end_matches('/').rfind('/') {
        Some(at) => &path[..=at],
        None => "",
    }
}

/// Reads and escapes the grammar above.
#[derive(Clone, Copy, Debug, Default)]
struct ListingCodec;

impl Codec for ListingCodec {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        for range in lines(kept) {
            let line = &kept[range];
            if line.starts_with(' ') {
                out.push_str(PLAIN);
            }
            marker::escape(line, out);
        }
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        const BROKEN: DecodeError = DecodeError("a broken list");
        let mut folder = None;
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(line) = rest.strip_prefix(PLAIN) {
                rest = line;
                folder = None;
            } else if rest.starts_with(marker::INTRODUCER) && rest.as_bytes().get(2) != Some(&b'~') {
                let (marker, length) = Marker::parse_prefix(rest).ok_or(BROKEN)?;
                rest = rest[length..].strip_prefix('\n').ok_or(BROKEN)?;
                sink(Piece::Hidden(marker));
                continue;
            } else if let Some(name) = rest.strip_prefix(' ') {
                let folder: &std::borrow::Cow<'a, str> = folder.as_ref().ok_or(BROKEN)?;
                sink(Piece::Text(folder.clone()));
                rest = name;
            } else if let Some((line, below)) = rest.split_once('\n')
                && below.starts_with(' ')
            {
                folder = Some(marker::unescape(line).ok_or(BROKEN)?);
                rest = below;
                continue;
            } else {
                folder = None;
            }
            let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
            sink(Piece::Text(marker::unescape(&rest[..end]).ok_or(BROKEN)?));
            rest = &rest[end..];
        }
        Ok(())
    }
}
