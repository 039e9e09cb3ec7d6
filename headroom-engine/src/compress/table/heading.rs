//! The header of the output: columns, and what is said of them once.

use super::{
    column::{Coding, Each, quote},
    style::{Slot, Word},
};
use crate::reduce::DecodeError;

/// Says that cells stand in plain quotes.
const STR: &str = "str";
/// The widest column that a header may ask for.
const MAX_WIDTH: usize = 2000;

/// A column as the header describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heading<'t> {
    pub(super) name: &'t str,
    pub(super) slot: Slot,
    /// The slot's width is said; else it is that of the widest cell shown.
    pub(super) wide: bool,
    pub(super) coding: Coding<'t>,
}

impl Heading<'_> {
    /// Writes the heading; `None` if some text in it cannot be told from the header's own.
    pub(super) fn write(&self, word: Word, separator: char, out: &mut String) -> Option<()> {
        if !self.name.is_empty() {
            text(self.name, separator, out)?;
        }
        if self.slot.right || self.wide {
            out.push(if self.slot.right { '>' } else { '<' });
        }
        if self.wide {
            out.push_str(&self.slot.width.to_string());
        }
        match self.coding {
            Coding::Constant(value) => {
                out.push('=');
                text(value, separator, out)
            }
            Coding::Sequence { start, step } => {
                out.push_str(&format!("@{start}{step:+}"));
                Some(())
            }
            Coding::Each(Each { default, ditto, prefix, suffix }) => {
                if (prefix, suffix) == (quote(word), quote(word)) {
                    out.push(':');
                    out.push_str(STR);
                } else if !(prefix.is_empty() && suffix.is_empty()) {
                    out.push(':');
                    text(&[prefix, "*", suffix].concat(), separator, out)?;
                }
                if ditto {
                    out.push('^');
                }
                if let Some(default) = default {
                    out.push('?');
                    text(default, separator, out)?;
                }
                Some(())
            }
        }
    }

    /// Reads one heading, which ends with `text`.
    pub(super) fn read(text: &str, word: Word) -> Result<Heading<'_>, DecodeError> {
        let broken = DecodeError("a broken heading");
        let (name, mut rest) = if text.starts_with(is_plain) || text.starts_with(QUOTES) {
            read_text(text).ok_or(broken)?
        } else {
            ("", text)
        };
        let mut heading =
            Heading { name, slot: Slot::default(), wide: false, coding: Coding::Each(Each::default()) };
        let mut each = Each::default();
        while let Some(mark) = rest.chars().next() {
            let behind = &rest[mark.len_utf8()..];
            match mark {
                '>' | '<' => {
                    heading.slot.right = mark == '>';
                    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
                    heading.wide = digits > 0;
                    if digits > 0 {
                        let width = behind[..digits].parse().ok().filter(|width| *width <= MAX_WIDTH);
                        heading.slot.width = width.ok_or(broken)?;
                    }
                    rest = &behind[digits..];
                }
                '=' => {
                    let (value, more) = read_text(behind).ok_or(broken)?;
                    heading.coding = Coding::Constant(value);
                    return if more.is_empty() { Ok(heading) } else { Err(broken) };
                }
                '@' => {
                    let sign = behind.rfind(['+', '-']).filter(|at| *at > 0).ok_or(broken)?;
                    let number = |text: &str| text.parse::<i64>().map_err(|_| broken);
                    let (start, step) = (number(&behind[..sign])?, number(&behind[sign..])?);
                    heading.coding = Coding::Sequence { start, step };
                    return Ok(heading);
                }
                '^' => {
                    each.ditto = true;
                    rest = behind;
                }
                '?' => {
                    let (value, more) = read_text(behind).ok_or(broken)?;
                    each.default = Some(value);
                    rest = more;
                }
                ':' => {
                    let (template, more) = read_text(behind).ok_or(broken)?;
                    (each.prefix, each.suffix) = match template {
                        STR => (quote(word), quote(word)),
                        _ => template.split_once('*').ok_or(broken)?,
                    };
                    rest = more;
                }
                _ => return Err(broken),
            }
        }
        heading.coding = Coding::Each(each);
        Ok(heading)
    }
}

const QUOTES: [char; 3] = ['"', '\'', '`'];

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' ' | '%' | '#' | '(' | ')')
}

/// Whether a name can stand in a header.
pub(super) fn can_write(name: &str, separator: char) -> bool {
    name.is_empty() || text(name, separator, &mut String::new()).is_some()
}

/// Writes `text`, between quotes unless it is plain.
fn text(text: &str, separator: char, out: &mut String) -> Option<()> {
    if text.contains(separator) || text.contains(['\n', '\r']) {
        return None;
    }
    if !text.is_empty() && text.chars().all(is_plain) {
        out.push_str(text);
        return Some(());
    }
    let quote = QUOTES.into_iter().find(|quote| !text.contains(*quote))?;
    out.push(quote);
    out.push_str(text);
    out.push(quote);
    Some(())
}

/// The inverse of [`text`]: what was written, and what follows.
fn read_text(text: &str) -> Option<(&str, &str)> {
    if let Some(quote) = text.chars().next().filter(|c| QUOTES.contains(c)) {
        return text[1..].split_once(quote);
    }
    let end = text.find(|c: char| !is_plain(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coding() -> impl Strategy<Value = (String, String, String, u8, i64, i64)> {
        let text = "[a-z =:@?<>^*'\"é]{0,6}";
        (text, text, text, 0u8..5, any::<i64>(), any::<i64>())
    }

    proptest! {
        #[test]
        fn headings_read_back(name in "[a-z =:@?<>^'\"é]{0,8}", right: bool, wide in prop::option::of(0usize..2000), (a, b, c, which, start, step) in coding()) {
            let prefix = a.replace('*', "");
            let coding = match which {
                0 => Coding::Constant(&a),
                1 => Coding::Sequence { start, step },
                2 => Coding::Each(Each { default: Some(&a), ..Each::default() }),
                3 => Coding::Each(Each { ditto: true, prefix: &prefix, suffix: &b, ..Each::default() }),
                _ => Coding::Each(Each { default: Some(&c), prefix: &prefix, suffix: &b, ..Each::default() }),
            };
            let slot = Slot { width: wide.unwrap_or(0), right };
            let heading = Heading { name: &name, slot, wide: wide.is_some(), coding };
            let mut out = String::new();
            if heading.write(Word::Csv, ',', &mut out).is_some() {
                prop_assert_eq!(Heading::read(&out, Word::Csv), Ok(heading), "{}", out);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a-c=:@?<>^*'\"0-9+-]{0,12}") {
            let _ = Heading::read(&text, Word::Tuples);
        }
    }
}
