//! Where sentences end, in any script.

use std::ops::Range;

/// Words that a full stop follows within a sentence.
const ABBREVIATIONS: &[&str] = &[
    "al", "ca", "cf", "corp", "dept", "dr", "e.g", "esp", "i.e", "inc", "jr", "ltd", "mr", "mrs", "ms", "mt",
    "prof", "rev", "sr", "st", "u.k", "u.s", "viz", "vs", "z.b", "d.h", "bzw", "p.ex",
];
/// Words that a full stop and a number follow within a sentence.
const NUMBERED: &[&str] = &[
    "approx", "art", "eq", "fig", "figs", "max", "min", "no", "nos", "p", "pp", "ref", "refs", "sec", "vol",
];

/// Scripts without stops are broken at a space once a phrase is this long, in bytes.
const PHRASE: usize = 90;

/// The sentences of a paragraph, without the white space between them.
///
/// They end at `.`, `!`, `?` and the stops of other scripts, with what closes quotes and brackets;
/// not behind abbreviations and initials, nor within numbers, versions and addresses. Thai has no
/// stops: it is broken at spaces.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let lead = text[at..].len() - text[at..].trim_start().len();
        // The indentation of a first line belongs to it.
        let start =
            if at == 0 { text[..lead].rfind('\n').map_or(0, |newline| newline + 1) } else { at + lead };
        if at + lead >= text.len() {
            return None;
        }
        at = end(text, at + lead);
        Some(start..at)
    })
}

/// Where the sentence that starts at `start` ends.
fn end(text: &str, start: usize) -> usize {
    let mut chars = text[start..].char_indices().map(|(at, char)| (start + at, char)).peekable();
    let mut before = ' ';
    let mut last = start;
    while let Some((at, char)) = chars.next() {
        let behind = at + char.len_utf8();
        if !char.is_whitespace() {
            last = behind;
        }
        match char {
            '.' | '!' | '?' | '\u{2026}' | '\u{61f}' | '\u{6d4}' | '\u{964}' | '\u{965}' => {
                let closed = close(text, behind);
                let next = text[closed..].chars().next();
                let ends = next.is_none_or(char::is_whitespace)
                    && !(char == '.' && is_inside(text, start, at, closed));
                if ends {
                    return closed;
                }
            }
            '\u{3002}' | '\u{ff01}' | '\u{ff1f}' | '\u{ff61}' => {
                // Several in a row end one sentence.
                let more = text[behind..]
                    .find(|char| !matches!(char, '\u{3002}' | '\u{ff01}' | '\u{ff1f}' | '\u{ff61}'))
                    .unwrap_or(text.len() - behind);
                return close(text, behind + more);
            }
            ' ' if at - start >= PHRASE
                && is_thai(before)
                && chars.peek().is_some_and(|(_, next)| is_thai(*next)) =>
            {
                return at;
            }
            _ => {}
        }
        before = char;
    }
    last
}

/// Where what closes quotes and brackets, from `at` on, ends.
fn close(text: &str, at: usize) -> usize {
    let closers = |char: char| {
        matches!(
            char,
            '"' | '\''
                | ')'
                | ']'
                | '*'
                | '_'
                | '`'
                | '.'
                | '!'
                | '?'
                | '\u{201d}'
                | '\u{2019}'
                | '\u{bb}'
                | '\u{300d}'
                | '\u{300f}'
                | '\u{ff09}'
        )
    };
    // So many at most, or a line of stops alone would take quadratic time.
    at + text[at..].chars().take(16).take_while(|char| closers(*char)).map(char::len_utf8).sum::<usize>()
}

/// Whether the full stop at `at` stands within the sentence from `start`; `closed` is where what
/// follows it ends.
fn is_inside(text: &str, start: usize, at: usize, closed: usize) -> bool {
    let next = text[closed..].chars().find(|char| !char.is_whitespace());
    if next.is_some_and(|next| next.is_lowercase() || matches!(next, ',' | ';')) {
        return true;
    }
    let word = text[start..at].rsplit(|char: char| char.is_whitespace() || char == '(').next().unwrap_or("");
    let word = word.trim_start_matches(|char: char| !char.is_alphanumeric());
    let mut letters = word.chars();
    // An initial, or the number of an item.
    let short = matches!((letters.next(), letters.next()), (Some(only), None) if only.is_uppercase());
    let number = !word.is_empty()
        && word.len() <= 3
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && text[start..at].trim_start().len() == word.len();
    let is = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(word));
    short || number || is(ABBREVIATIONS) || (next.is_some_and(|next| next.is_ascii_digit()) && is(NUMBERED))
}

fn is_thai(char: char) -> bool {
    ('\u{e00}'..='\u{e7f}').contains(&char) || ('\u{e80}'..='\u{eff}').contains(&char)
}

#[cfg(test)]
mod tests {
    use super::sentences;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).map(|range| &text[range]).collect()
    }

    #[test]
    fn sentences_end_where_readers_say() {
        let cases: &[(&str, &[&str])] = &[
            ("One. Two!  Three?", &["One.", "Two!", "Three?"]),
            (
                "See e.g. Mr. U.S. Grant, v1.2.3 at http://a.b/c. He said \"no.\" Then left.",
                &["See e.g. Mr. U.S. Grant, v1.2.3 at http://a.b/c.", "He said \"no.\"", "Then left."],
            ),
            (
                "It costs 3.50 in the U.S. and more.\nNext line.",
                &["It costs 3.50 in the U.S. and more.", "Next line."],
            ),
            ("这是第一句。这是第二句！第三句", &["这是第一句。", "这是第二句！", "第三句"]),
            ("なぜ？「はい。」次。", &["なぜ？", "「はい。」", "次。"]),
            ("هل هذا؟ نعم. ثم", &["هل هذا؟", "نعم.", "ثم"]),
            ("यह है। वह है।", &["यह है।", "वह है।"]),
            ("  indented text. more", &["  indented text. more"]),
            ("", &[]),
            (" \n ", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text), *expected, "{text}");
        }
    }

    #[test]
    fn thai_is_broken_at_spaces() {
        let phrase = "ภาษาไทยไม่มีเครื่องหมายจบประโยคเหมือนภาษาอังกฤษ";
        let text = [phrase; 6].join(" ");
        assert!(split(&text).len() >= 3, "{:?}", split(&text));
        assert_eq!(split(&text).join(" "), text);
    }
}
