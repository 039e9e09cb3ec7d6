//! What is printed: aligned columns, and one line of JSON; progress on a terminal only.

use std::io::{self, IsTerminal, Write};

/// Rows of cells under a head; the first column is aligned to the left, the others to the right.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = " ".repeat(width - cell.chars().count());
                line += &if at == 0 { format!("{cell}{gap}") } else { format!("  {gap}{cell}") };
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A fraction as per cent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// `part / whole`; 0 of nothing.
pub(crate) fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// A figure rounded to `digits` decimals, for JSON.
pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// A line on the terminal that overwrites itself; silent elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    live: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { live: io::stderr().is_terminal() }
    }

    pub(crate) fn show(&self, what: &str, done: usize, all: usize) {
        if self.live {
            let _ = write!(io::stderr(), "\r\x1b[2K{what} {done}/{all}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.live {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["kind", "n"]);
        table.row(["é".to_owned(), "123".to_owned()]);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "kind    n\né     123\n");
        assert_eq!(percent(share(1.0, 8.0)), "12.50 %");
    }
}
