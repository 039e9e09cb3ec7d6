//! TableCompressor: tables as text, written so that what all rows share is said once.
//!
//! Understood are CSV, TSV, cells between semicolons or bars (`sqlite3`), Markdown, what `psql` and
//! `mysql` print, columns aligned with spaces (`ps`, `docker`, `kubectl`, `df`, `ls -l`), and lists
//! of tuples as Python prints them. Text before and behind a table stays as it is.
//!
//! The *exact* stage takes out what the decoder can draw again: padding, rules, edges, quotes, and
//! per column a constant, a sequence, a common value, what stands above, a common beginning or end.
//! The *elide* stage leaves out rows that say nothing new; kept are the ends, rows that report
//! errors, numbers beyond two standard deviations, values seen once, rows that answer the causal
//! query, and changes of level. A row that cannot be drawn from its cells is kept as it is.
//!
//! # Grammar
//!
//! ```text
//! table   = "$" word [digits] flags [separator] " " heading *(separator heading) *("\n" row)
//! word    = "csv" | "tsv" | "semi" | "pipe" | "md" | "psql" | "mysql" | "cols" | "tuples"
//! flags   = ["-"] ["."] ["+"] ["!"]     no header; no padding; the last column is padded; long ends
//! heading = name [">" | "<"] [width] ["=" text | "@" start step | [":" template] ["^"] ["?" text]]
//! row     = cell *(separator cell) | "[~]" source line | "[~-]" (a rule) | marker
//! cell    = inner | "=" whole | ""
//! ```
//!
//! `>` says that cells stand to the right; the width of a column is that of its widest cell shown
//! unless it is said. `=paris` says that all rows have this value and write none, `@0+2` that row
//! `i` (from 0) has `0 + 2i`; `?text` that an empty cell means this one, `^` that it means the cell
//! above; `:'user *'` that cells stand in place of the star, `:str` that they stand in quotes. A cell
//! that begins with `=` is written whole. Texts in the header stand in quotes unless they are plain.
//!
//! ```text
//!  id |  city                            $psql id>@1+1,city
//! ----+--------                          paris
//!   1 | paris                            oslo
//!   2 | oslo
//! [('Aruba', 828.0), ('Angola', 6.5)]    $tuples- :str,
//!                                        Aruba,828.0
//!                                        Angola,6.5
//! ```
mod aligned;
mod codec;
mod column;
mod encode;
mod find;
mod heading;
mod note;
mod select;
mod sheet;
mod style;
mod tuples;

use std::{ops::Range, sync::Arc};

use self::{
    codec::TableCodec,
    encode::encode,
    find::{sheets, sheets_of},
    sheet::Sheet,
    style::Word,
};
use super::LogCompressor;
use crate::reduce::{Context, Hints, Reducer, Reduction, Segment};

/// Tables as text.
///
/// ```
/// use headroom_engine::{compress::TableCompressor, rank::Query, reduce::{Context, Hints, Reducer, render}};
/// # use headroom_engine::{ccr::HandleKey, tokens::O200k};
/// let source = "| city  | rain |\n|-------|------|\n| oslo  |   63 |\n| paris |   52 |\n| rome  |   61 |\n";
/// let query = Query::default();
/// let context = Context { query: &query, tool: "", hints: Hints::default(), is_error: false, counter: &O200k, stakes: headroom_engine::reduce::Stakes::flat(250) };
/// let reduction = TableCompressor.exact(source, &context).expect("it gets shorter");
/// let text = render(source, &reduction, TableCompressor.kind(), &HandleKey::default()).text;
/// assert_eq!(text, "$md3 city,rain>\noslo,63\nparis,52\nrome,61\n");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TableCompressor;

impl Reducer for TableCompressor {
    fn kind(&self) -> &'static str {
        "table"
    }

    /// Whether at least half of the text is tables.
    fn recognises(&self, source: &str, hints: Hints<'_>) -> bool {
        let sheets = sheets_of(source, source.len().div_ceil(2));
        let tables: usize = sheets.iter().map(|sheet| sheet.range.len()).sum();
        // Logs have columns too.
        let named = |sheet: &Sheet<'_>| !sheet.names.is_empty() || sheet.style.word == Word::Tuples;
        tables > 0
            && tables * 2 >= source.len()
            && (sheets.iter().any(named) || !LogCompressor.recognises(source, hints))
    }

    fn exact(&self, source: &str, _: &Context<'_>) -> Option<Reduction> {
        reduction(source, |_| Vec::new())
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        reduction(source, |sheet| select::choose(source, sheet, context))
    }
}

/// The tables of `source` without the rows that `choose` names, the rest as it is.
fn reduction(source: &str, choose: impl Fn(&Sheet<'_>) -> Vec<Range<usize>>) -> Option<Reduction> {
    let mut parts = Vec::new();
    let mut from = 0;
    for sheet in sheets(source) {
        let range = sheet.range.clone();
        if from < range.start {
            parts.push(Reduction::kept(from..range.start));
        }
        from = range.end;
        let ops = encode(source, &sheet, &choose(&sheet));
        parts.push(Reduction { segments: vec![Segment { range, codec: Arc::new(TableCodec), ops }] });
    }
    if parts.is_empty() {
        return None;
    }
    if from < source.len() {
        parts.push(Reduction::kept(from..source.len()));
    }
    Some(Reduction::joined(parts))
}

#[cfg(test)]
mod tests;
