//! How a table is drawn: what stands around its cells, and how they are padded.

/// The kinds of tables, by the words that the header of the output begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Csv,
    Tsv,
    /// Cells between semicolons.
    Semi,
    /// Cells between bars, without edges.
    Pipe,
    /// Markdown.
    Md,
    Psql,
    Mysql,
    /// Columns aligned with spaces.
    Cols,
    /// A list of tuples as Python prints it.
    Tuples,
}

impl Word {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Csv, "csv"),
        (Self::Tsv, "tsv"),
        (Self::Semi, "semi"),
        (Self::Pipe, "pipe"),
        (Self::Md, "md"),
        (Self::Psql, "psql"),
        (Self::Mysql, "mysql"),
        (Self::Cols, "cols"),
        (Self::Tuples, "tuples"),
    ];
}

/// The separators of cells in the output, the preferred first.
pub(super) const SEPARATORS: [char; 5] = [',', '|', '\t', ';', '~'];

/// How the rows of one table are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) word: Word,
    /// The first row names the columns.
    pub(super) header: bool,
    /// Cells have no padding, where this kind of table may have some.
    pub(super) natural: bool,
    /// The last column is padded too, where it mostly is not.
    pub(super) tail: bool,
    /// Lines end in `\r\n`; tuples in `,\n `.
    pub(super) long_ends: bool,
    /// Spaces between aligned columns; which rule stands below the header of a Markdown table.
    pub(super) number: usize,
}

/// A row that is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Header,
    Body,
}

impl Style {
    pub(super) fn new(word: Word) -> Self {
        Self { word, header: true, natural: false, tail: false, long_ends: false, number: 0 }
    }

    /// Writes `$word`, flags and separator, and the space behind them.
    pub(super) fn write(self, separator: char, out: &mut String) {
        out.push('$');
        out.push_str(Word::ALL.iter().find(|(word, _)| *word == self.word).map_or("", |(_, name)| name));
        if self.number > 0 {
            out.push_str(&self.number.to_string());
        }
        for (set, flag) in [(!self.header, '-'), (self.natural, '.'), (self.tail, '+'), (self.long_ends, '!')]
        {
            if set {
                out.push(flag);
            }
        }
        if separator != SEPARATORS[0] {
            out.push(separator);
        }
        out.push(' ');
    }

    /// The inverse of [`Style::write`]: the style, the separator, and what follows.
    pub(super) fn read(text: &str) -> Option<(Self, char, &str)> {
        let (word, rest) = text.strip_prefix('$')?.split_once(' ')?;
        let letters = word.bytes().take_while(u8::is_ascii_lowercase).count();
        let (name, mut flags) = word.split_at(letters);
        let (word, _) = Word::ALL.into_iter().find(|(_, known)| *known == name)?;
        let digits = flags.bytes().take_while(u8::is_ascii_digit).count();
        let mut style = Self::new(word);
        if digits > 0 {
            style.number = flags[..digits].parse().ok().filter(|number| *number <= MAX_GAP)?;
        }
        flags = &flags[digits..];
        let mut separator = SEPARATORS[0];
        for flag in flags.chars() {
            match flag {
                '-' => style.header = false,
                '.' => style.natural = true,
                '+' => style.tail = true,
                '!' => style.long_ends = true,
                _ => separator = SEPARATORS.into_iter().find(|known| *known == flag)?,
            }
        }
        Some((style, separator, rest))
    }

    /// What stands before, between and behind the cells.
    fn edges(self) -> (&'static str, &'static str, &'static str) {
        match self.word {
            Word::Csv => ("", ",", ""),
            Word::Tsv => ("", "\t", ""),
            Word::Semi => ("", ";", ""),
            Word::Pipe => ("", "|", ""),
            Word::Md | Word::Mysql => ("| ", " | ", " |"),
            Word::Psql => (" ", " | ", ""),
            Word::Cols => ("", "", ""),
            Word::Tuples => ("(", ", ", ")"),
        }
    }

    /// Whether cells are padded to the width of their column.
    pub(super) fn is_padded(self) -> bool {
        !self.natural && matches!(self.word, Word::Md | Word::Mysql | Word::Psql | Word::Cols)
    }

    /// Whether the cells of the last column are padded to its width when they stand to the left.
    fn pads_last(self, line: Line) -> bool {
        match self.word {
            Word::Psql => self.tail || line == Line::Header,
            Word::Cols => self.tail,
            _ => true,
        }
    }

    /// What ends each line but, perhaps, the last.
    pub(super) fn line_end(self) -> &'static str {
        if self.long_ends { "\r\n" } else { "\n" }
    }

    /// Draws one row, without the end of its line.
    pub(super) fn draw<'c>(
        self,
        line: Line,
        columns: &[Slot],
        cells: impl Iterator<Item = &'c str>,
        out: &mut String,
    ) {
        let (left, between, right) = self.edges();
        let last = columns.len().saturating_sub(1);
        out.push_str(left);
        for (at, (cell, slot)) in cells.zip(columns).enumerate() {
            if at > 0 {
                out.push_str(between);
                if self.word == Word::Cols {
                    spaces(self.number, out);
                }
            }
            if !self.is_padded() {
                out.push_str(cell);
                continue;
            }
            let room = slot.width.saturating_sub(cell.chars().count());
            let before = match (slot.right, self.word, line) {
                (_, Word::Psql, Line::Header) => room / 2,
                (true, ..) => room,
                _ => 0,
            };
            spaces(before, out);
            out.push_str(cell);
            if at < last || self.pads_last(line) {
                spaces(room - before, out);
            }
        }
        match (self.word, columns.len()) {
            (Word::Psql, _) if line == Line::Header => out.push(' '),
            (Word::Tuples, 1) => out.push_str(",)"),
            _ => out.push_str(right),
        }
    }

    /// Draws the line between the header and the rows, or at the edges, without its end; nothing if
    /// this kind of table has none.
    pub(super) fn rule(self, columns: &[Slot], out: &mut String) {
        let (corner, cross, end) = match self.word {
            Word::Md => ("|", "|", "|"),
            Word::Mysql => ("+", "+", "+"),
            Word::Psql => ("", "+", ""),
            _ => return,
        };
        out.push_str(corner);
        for (at, slot) in columns.iter().enumerate() {
            if at > 0 {
                out.push_str(cross);
            }
            match (self.word, self.number) {
                (Word::Md, 0) => out.push_str("---"),
                (Word::Md, 1) => out.push_str(" --- "),
                (Word::Md, 2) => {
                    out.push(' ');
                    dashes(slot.width, out);
                    out.push(' ');
                }
                _ => dashes(slot.width + 2, out),
            }
        }
        out.push_str(end);
    }

    /// Draws what stands above the rows.
    pub(super) fn head<'c>(self, columns: &[Slot], names: impl Iterator<Item = &'c str>, out: &mut String) {
        if self.word == Word::Tuples {
            return out.push('[');
        }
        if !self.header {
            return;
        }
        if self.word == Word::Mysql {
            self.rule(columns, out);
            out.push_str(self.line_end());
        }
        self.draw(Line::Header, columns, names, out);
        out.push_str(self.line_end());
        if matches!(self.word, Word::Md | Word::Mysql | Word::Psql) {
            self.rule(columns, out);
            out.push_str(self.line_end());
        }
    }
}

/// The widest gap between aligned columns.
pub(super) const MAX_GAP: usize = 200;

/// Where a column's cells stand in rows that are padded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// In characters.
    pub(super) width: usize,
    /// They end where the slot ends.
    pub(super) right: bool,
}

fn spaces(count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', count));
}

fn dashes(count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n('-', count));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for (word, _) in Word::ALL {
            for flags in 0..16u8 {
                for separator in SEPARATORS {
                    let style = Style {
                        word,
                        header: flags & 1 == 0,
                        natural: flags & 2 > 0,
                        tail: flags & 4 > 0,
                        long_ends: flags & 8 > 0,
                        number: usize::from(flags) % 4,
                    };
                    let mut out = String::new();
                    style.write(separator, &mut out);
                    assert_eq!(Style::read(&format!("{out}a,b")), Some((style, separator, "a,b")));
                }
            }
        }
        assert!(Style::read("$odd a").is_none() && Style::read("$cols999 a").is_none());
    }

    #[test]
    fn rows_are_drawn_as_their_programs_do() {
        let columns = [Slot { width: 4, right: true }, Slot { width: 6, right: false }];
        let draw = |word, line| {
            let mut out = String::new();
            Style { number: 2, ..Style::new(word) }.draw(
                line,
                &columns,
                ["id", "name"].into_iter(),
                &mut out,
            );
            out
        };
        assert_eq!(draw(Word::Mysql, Line::Body), "|   id | name   |");
        assert_eq!(draw(Word::Psql, Line::Header), "  id  |  name  ");
        assert_eq!(draw(Word::Psql, Line::Body), "   id | name");
        assert_eq!(draw(Word::Cols, Line::Body), "  id  name");
        assert_eq!(draw(Word::Tuples, Line::Body), "(id, name)");
        let mut rule = String::new();
        Style::new(Word::Psql).rule(&columns, &mut rule);
        assert_eq!(rule, "------+--------");
    }
}
