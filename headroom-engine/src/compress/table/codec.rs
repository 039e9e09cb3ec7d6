//! Reading tables back.

use std::borrow::Cow;

use super::{
    column::Coding,
    encode::{PLAIN, RULE},
    heading::Heading,
    sheet::MAX_COLUMNS,
    style::{Line, Slot, Style, Word},
};
use crate::{
    ccr::{Marker, marker},
    reduce::{Codec, DecodeError, Equality, Piece},
};

/// Reads the grammar of [`super`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TableCodec;

/// A line of the output behind the header.
enum Shown<'a> {
    /// The whole cells of a row.
    Cells(Vec<String>),
    Rule,
    Plain(Cow<'a, str>),
    Hidden(Marker),
}

impl Codec for TableCodec {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        marker::escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let (header, body) = text.split_once('\n').ok_or(DecodeError("no header"))?;
        let header = unescape(header)?;
        let (style, separator, header) = Style::read(&header).ok_or(DecodeError("no table"))?;
        let headings: Vec<Heading<'_>> = header
            .split(separator)
            .map(|heading| Heading::read(heading, style.word))
            .collect::<Result<_, _>>()?;
        if headings.len() > MAX_COLUMNS {
            return Err(DecodeError("too many columns"));
        }
        let lines = lines(body, &headings, separator)?;
        let slots = slots(style, &headings, &lines);
        let mut drawn = String::new();
        style.head(&slots, headings.iter().map(|heading| heading.name), &mut drawn);
        if !drawn.is_empty() {
            sink(Piece::Text(Cow::Owned(std::mem::take(&mut drawn))));
        }
        let last = lines.len().saturating_sub(1);
        for (at, (line, ended)) in lines.into_iter().enumerate() {
            let end = match style.word {
                Word::Tuples if at == last => "]",
                Word::Tuples if style.long_ends => ",\n ",
                Word::Tuples => ", ",
                _ if !ended => "",
                _ => match line {
                    Shown::Plain(_) => "\n",
                    _ => style.line_end(),
                },
            };
            match line {
                Shown::Hidden(marker) => {
                    sink(Piece::Hidden(marker));
                    continue;
                }
                Shown::Plain(text) => sink(Piece::Text(text)),
                Shown::Rule => {
                    style.rule(&slots, &mut drawn);
                    sink(Piece::Text(Cow::Owned(std::mem::take(&mut drawn))));
                }
                Shown::Cells(cells) => {
                    style.draw(Line::Body, &slots, cells.iter().map(String::as_str), &mut drawn);
                    sink(Piece::Text(Cow::Owned(std::mem::take(&mut drawn))));
                }
            }
            if !end.is_empty() {
                sink(Piece::Text(Cow::Borrowed(end)));
            }
        }
        Ok(())
    }
}

fn unescape(text: &str) -> Result<Cow<'_, str>, DecodeError> {
    marker::unescape(text).ok_or(DecodeError("a bare introducer"))
}

/// The lines of `body`, and whether they are ended.
fn lines<'a>(
    body: &'a str,
    headings: &[Heading<'_>],
    separator: char,
) -> Result<Vec<(Shown<'a>, bool)>, DecodeError> {
    let own = headings.iter().filter(|heading| matches!(heading.coding, Coding::Each(_))).count();
    let mut lines: Vec<(Shown<'a>, bool)> = Vec::new();
    let mut row = 0i64;
    for text in body.split_inclusive('\n') {
        let (text, ended) = text.strip_suffix('\n').map_or((text, false), |text| (text, true));
        let mut rows = 1;
        let line = if let Some(text) = text.strip_prefix(PLAIN) {
            Shown::Plain(unescape(text)?)
        } else if text == RULE {
            Shown::Rule
        } else if text.starts_with(marker::INTRODUCER) && text.as_bytes().get(2) != Some(&b'~') {
            let marker: Marker = text.parse().map_err(|_| DecodeError("a broken marker"))?;
            rows = (marker.last() - marker.first()) as i64 + 1;
            Shown::Hidden(marker)
        } else {
            let text = unescape(text)?;
            let above = match lines.last() {
                Some((Shown::Cells(cells), _)) => Some(&cells[..]),
                _ => None,
            };
            let mut texts = (own > 0).then(|| text.split(separator)).into_iter().flatten();
            let cells = cells(headings, &mut texts, row, above)?;
            if texts.next().is_some() || (own == 0 && !text.is_empty()) {
                return Err(DecodeError("a row too long"));
            }
            Shown::Cells(cells)
        };
        row = row.saturating_add(rows);
        lines.push((line, ended));
    }
    // A last row that writes nothing has no line of its own.
    Ok(lines)
}

/// The whole cells of row `row`.
fn cells<'t>(
    headings: &[Heading<'_>],
    texts: &mut impl Iterator<Item = &'t str>,
    row: i64,
    above: Option<&[String]>,
) -> Result<Vec<String>, DecodeError> {
    let mut cells = Vec::with_capacity(headings.len());
    for (column, heading) in headings.iter().enumerate() {
        let above = above.and_then(|above| above.get(column)).map(String::as_str);
        cells.push(match &heading.coding {
            Coding::Constant(value) => (*value).to_owned(),
            Coding::Sequence { start, step } => step
                .checked_mul(row)
                .and_then(|more| start.checked_add(more))
                .ok_or(DecodeError("a sequence too long"))?
                .to_string(),
            Coding::Each(each) => {
                let text = texts.next().ok_or(DecodeError("a row too short"))?;
                each.read(text, above).ok_or(DecodeError("nothing above"))?
            }
        });
    }
    Ok(cells)
}

/// Where cells stand: what the header says of widths, or the widest that is shown.
fn slots(style: Style, headings: &[Heading<'_>], lines: &[(Shown<'_>, bool)]) -> Vec<Slot> {
    let names = headings.iter().map(|heading| if style.header { heading.name.chars().count() } else { 0 });
    let mut widths: Vec<usize> = names.collect();
    if style.is_padded() {
        for (line, _) in lines {
            let Shown::Cells(cells) = line else { continue };
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
    }
    let slot = |(heading, width): (&Heading<'_>, usize)| Slot {
        width: if heading.wide { heading.slot.width } else { width },
        right: heading.slot.right,
    };
    headings.iter().zip(widths).map(slot).collect()
}
