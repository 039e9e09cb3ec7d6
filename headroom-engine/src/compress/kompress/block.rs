//! Blocks of a text, about as CommonMark and reStructuredText see them, and their units.

use std::ops::Range;

use super::{
    super::{fold::Lines, weigh::weigh},
    line::{self, Shape},
    sentence::sentences,
    text::{Kind, Text, Unit},
};

/// A list item or a table longer than this, in bytes, is taken apart.
const LONG_ITEM: usize = 500;
const LONG_TABLE: usize = 1500;
/// Code longer than this, in bytes, is taken apart, into parts of about so many.
const LONG_CODE: usize = 1200;
const CODE_PART: usize = 400;

/// The units of `text`, in order.
pub(super) fn units(text: &Text<'_>) -> Vec<Unit> {
    let mut blocks = Blocks { text, units: Vec::new(), section: 0, unclosed: [usize::MAX; 2] };
    let mut at = 0;
    while at < text.len() {
        at = blocks.block(at);
    }
    blocks.units
}

struct Blocks<'t, 'a> {
    text: &'t Text<'a>,
    units: Vec<Unit>,
    section: u32,
    /// The least length of a fence of backticks, and of tildes, that nothing closes from here on.
    unclosed: [usize; 2],
}

impl Blocks<'_, '_> {
    /// Reads the block at line `at`; returns the line behind it.
    fn block(&mut self, at: usize) -> usize {
        let line = self.text.line(at);
        match line::shape(line) {
            Shape::Blank => at + 1,
            Shape::Fence(byte, length) => match self.fence(at, byte, length) {
                Some(end) => {
                    self.code(at..end);
                    end
                }
                None => self.paragraph(at),
            },
            Shape::Heading => {
                self.heading(at..at + 1);
                at + 1
            }
            Shape::Row => self.table(at),
            Shape::Item(_) => self.item(at),
            Shape::Rule => self.rule(at),
            Shape::Text => self.paragraph(at),
        }
    }

    /// The line behind the one that closes a fence opened at line `at`.
    fn fence(&mut self, at: usize, byte: u8, length: usize) -> Option<usize> {
        // Longer ones than these are all alike, which bounds the searches.
        let length = length.min(12);
        let unclosed = &mut self.unclosed[usize::from(byte == b'~')];
        if length >= *unclosed {
            return None;
        }
        let end = (at + 1..self.text.len()).find(|next| line::closes(self.text.line(*next), byte, length));
        if end.is_none() {
            *unclosed = length;
        }
        end.map(|end| end + 1)
    }

    fn rule(&mut self, at: usize) -> usize {
        // A ruler above and below a title.
        let rule = self.text.line(at).trim_end();
        let is_title = at + 2 < self.text.len()
            && self.text.line(at + 2).trim_end() == rule
            && line::is_title(self.text.line(at + 1));
        if is_title {
            self.heading(at..at + 3);
            return at + 3;
        }
        self.unit(at..at + 1, Kind::Rule, true);
        at + 1
    }

    fn table(&mut self, at: usize) -> usize {
        let end = self.while_shape(at, |shape| matches!(shape, Shape::Row));
        let range = self.bytes(&(at..end));
        if range.len() <= LONG_TABLE {
            self.unit(at..end, Kind::Row, true);
            return end;
        }
        let head = (at + 2).min(end);
        self.unit(at..head, Kind::Row, true);
        for row in head..end {
            self.unit(row..row + 1, Kind::Row, false);
        }
        end
    }

    fn item(&mut self, at: usize) -> usize {
        let mut end = at + 1;
        while end < self.text.len() && self.continues_item(end) {
            end += 1;
        }
        if self.bytes(&(at..end)).len() <= LONG_ITEM {
            self.unit(at..end, Kind::Item, true);
        } else {
            self.sentences(at..end, Kind::Item);
        }
        end
    }

    /// Whether line `at` goes on with the text of the line above.
    fn continues_item(&self, at: usize) -> bool {
        matches!(line::shape(self.text.line(at)), Shape::Text)
    }

    fn paragraph(&mut self, at: usize) -> usize {
        let end = self.while_shape(at + 1, |shape| matches!(shape, Shape::Text));
        let underlined = end < self.text.len()
            && end == at + 1
            && line::underlines(self.text.line(at), self.text.line(end));
        if underlined {
            self.heading(at..end + 1);
            return end + 1;
        }
        let alone = end == at + 1 && self.is_blank(end) && (at == 0 || self.is_blank(at - 1));
        if alone && line::is_title(self.text.line(at)) && line::is_loud(self.text.line(at)) {
            self.heading(at..end);
            return end;
        }
        if line::is_code((at..end).map(|at| self.text.line(at))) {
            // Code has blank lines within.
            let mut end = end;
            while end < self.text.len() {
                let next = (end..self.text.len()).take(3).find(|at| !self.is_blank(*at));
                let Some(next) = next.filter(|next| *next > end) else { break };
                let behind = self.while_shape(next, |shape| matches!(shape, Shape::Text));
                if behind == next
                    || self.bytes(&(at..behind)).len() > LONG_CODE
                    || !line::is_code((next..behind).map(|at| self.text.line(at)))
                {
                    break;
                }
                end = behind;
            }
            self.code(at..end);
            return end;
        }
        self.sentences(at..end, Kind::Sentence);
        end
    }

    fn is_blank(&self, at: usize) -> bool {
        at >= self.text.len() || self.text.line(at).trim_ascii().is_empty()
    }

    fn while_shape(&self, from: usize, good: impl Fn(Shape) -> bool) -> usize {
        (from..self.text.len()).find(|at| !good(line::shape(self.text.line(*at)))).unwrap_or(self.text.len())
    }

    fn heading(&mut self, lines: Range<usize>) {
        self.section += 1;
        self.unit(lines, Kind::Heading, true);
    }

    /// A block of code: whole if it is short, else in parts of some lines, cut at blank ones where
    /// there are any.
    fn code(&mut self, lines: Range<usize>) {
        let whole = self.bytes(&lines).len() <= LONG_CODE;
        let mut from = lines.start;
        for at in lines.clone() {
            let length = self.text.start(at + 1) - self.text.start(from);
            let cut = length > CODE_PART || length * 2 > CODE_PART && self.is_blank(at);
            if !whole && cut && at + 2 < lines.end {
                self.unit(from..at + 1, Kind::Code, from == lines.start);
                from = at + 1;
            }
        }
        self.unit(from..lines.end, Kind::Code, from == lines.start);
    }

    /// A paragraph: sentences that go on over the ends of lines where those are wrapped.
    fn sentences(&mut self, lines: Range<usize>, kind: Kind) {
        let wrapped = line::is_wrapped(&lines.clone().map(|at| self.text.line(at)));
        let mut opens = true;
        let parts: Vec<Range<usize>> =
            if wrapped { vec![lines] } else { lines.map(|at| at..at + 1).collect() };
        for part in parts {
            let range = self.bytes(&part);
            let source = self.text.source();
            for sentence in sentences(&source[range.clone()]) {
                let (start, end) = (range.start + sentence.start, range.start + sentence.end);
                let cost = weigh(&source[start..end]).max(1) as u32;
                self.units.push(Unit { start, end, kind, section: self.section, opens, cost });
                opens = false;
            }
        }
    }

    fn bytes(&self, lines: &Range<usize>) -> Range<usize> {
        self.text.start(lines.start)..self.text.start(lines.end)
    }

    fn unit(&mut self, lines: Range<usize>, kind: Kind, opens: bool) {
        let range = self.bytes(&lines);
        let end = range.start + self.text.source()[range.clone()].trim_end().len();
        let cost = lines.map(|at| self.text.cost(at)).sum::<usize>() as u32;
        let section = self.section;
        self.units.push(Unit { start: range.start, end, kind, section, opens, cost });
    }
}
