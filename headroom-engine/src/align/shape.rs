//! What dynamic values look like: moments, ids, log lines. Shapes only; what stands before a value
//! is judged by [labels](super::label).

use std::ops::Range;

/// A moment with a time of day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) range: Range<usize>,
    /// It says the day too.
    pub(super) dated: bool,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const LEVELS: [&str; 11] =
    ["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "info", "error"];

fn at(text: &str, place: usize) -> u8 {
    text.as_bytes().get(place).copied().unwrap_or(0)
}

fn digits_before(text: &str, end: usize) -> usize {
    text.as_bytes()[..end].iter().rev().take(20).take_while(|byte| byte.is_ascii_digit()).count()
}

fn digits_after(text: &str, start: usize) -> usize {
    text.as_bytes().iter().skip(start).take(20).take_while(|byte| byte.is_ascii_digit()).count()
}

/// A byte that continues a word on its left or right.
fn joins(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The moment around the `:` of its hours and minutes.
pub(super) fn moment(text: &str, colon: usize) -> Option<Moment> {
    let hour = digits_before(text, colon);
    if !(1..=2).contains(&hour) || digits_after(text, colon + 1) != 2 {
        return None;
    }
    let start = colon - hour;
    let number = |range: Range<usize>| text.get(range).and_then(|digits| digits.parse::<u32>().ok());
    if number(start..colon)? > 24 || number(colon + 1..colon + 3)? > 59 {
        return None;
    }
    let mut end = colon + 3;
    if at(text, end) == b':' {
        if digits_after(text, end + 1) != 2 {
            return None;
        }
        end += 3;
        let least = match at(text, end) {
            b'.' => 1,
            b',' => 3,
            _ => usize::MAX,
        };
        let fraction = digits_after(text, end + 1);
        if fraction >= least {
            end += 1 + fraction;
        }
    }
    end = half_day(text, end);
    end = offset(text, end);
    if joins(at(text, end)) {
        return None;
    }
    match date_before(text, start) {
        Some((from, year)) => {
            let end = if year { end } else { year_after(text, end).unwrap_or(end) };
            Some(Moment { range: from..end, dated: true })
        }
        None if start > 0
            && (joins(at(text, start - 1)) || matches!(at(text, start - 1), b':' | b'.' | b'-')) =>
        {
            None
        }
        None => Some(Moment { range: start..end, dated: false }),
    }
}

/// Behind `AM` or `PM`, if it stands there.
fn half_day(text: &str, end: usize) -> usize {
    // JavaScript puts a narrow no-break space before it.
    let rest = &text[end..];
    let blank =
        ["\u{202f}", "\u{a0}", " "].iter().find(|blank| rest.starts_with(**blank)).map_or(0, |b| b.len());
    let mark = rest.as_bytes().get(blank..blank + 2).unwrap_or_default();
    let half = matches!(mark, [b'a' | b'A' | b'p' | b'P', b'm' | b'M']);
    if half && !joins(at(text, end + blank + 2)) { end + blank + 2 } else { end }
}

/// Behind `Z` or an offset from UTC, if it stands there.
fn offset(text: &str, end: usize) -> usize {
    if at(text, end) == b'Z' {
        return end + 1;
    }
    let sign = end + usize::from(at(text, end) == b' ');
    if !matches!(at(text, sign), b'+' | b'-') {
        return end;
    }
    match (digits_after(text, sign + 1), at(text, sign + 3), digits_after(text, sign + 4)) {
        (4, ..) => sign + 5,
        (2, b':', 2) => sign + 6,
        _ => end,
    }
}

/// ` 2026`, or ` UTC 2026`, as `date` prints it.
fn year_after(text: &str, end: usize) -> Option<usize> {
    let rest = text.as_bytes().get(end..)?.strip_prefix(b" ")?;
    let zone = rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let year = end + 1 + if (2..=5).contains(&zone) { zone + 1 } else { 0 };
    (at(text, year - 1) == b' ' && digits_after(text, year) == 4 && !joins(at(text, year + 4)))
        .then_some(year + 4)
}

/// Where the date before a time of day starts, and whether it says the year.
fn date_before(text: &str, time: usize) -> Option<(usize, bool)> {
    let before = &text[..time];
    let date = before
        .strip_suffix(['T', 't'])
        .or_else(|| before.strip_suffix(" at "))
        .or_else(|| before.strip_suffix(", "))
        .or_else(|| before.strip_suffix(' '))?;
    numeric(text, date.len()).map(|start| (start, true)).or_else(|| words(text, date.len()))
}

/// `2026-11-22`, `22/11/2026`.
fn numeric(text: &str, end: usize) -> Option<usize> {
    let third = digits_before(text, end);
    let second_end = end.checked_sub(third + 1)?;
    let separator = at(text, second_end);
    let second = digits_before(text, second_end);
    let first_end = second_end.checked_sub(second + 1)?;
    let first = digits_before(text, first_end);
    let start = first_end - first;
    let shape = matches!((first, second, third), (4, 1..=2, 1..=2) | (1..=2, 1..=2, 4 | 2));
    let apart =
        start == 0 || !joins(at(text, start - 1)) && !matches!(at(text, start - 1), b'-' | b'/' | b'.');
    (matches!(separator, b'-' | b'/' | b'.') && at(text, first_end) == separator && shape && apart)
        .then_some(start)
}

/// `Sun, 22 Nov 2026`, `November 22nd`.
fn words(text: &str, end: usize) -> Option<(usize, bool)> {
    let (mut start, mut place) = (end, end);
    let (mut month, mut day, mut year) = (false, false, false);
    for _ in 0..4 {
        let word =
            text.as_bytes()[..place].iter().rev().take(12).take_while(|b| b.is_ascii_alphanumeric()).count();
        let token = &text[place - word..place];
        let digits = token.bytes().take_while(u8::is_ascii_digit).count();
        let low = token.to_ascii_lowercase();
        let known = if digits == 4 && word == 4 && !year {
            year = true;
            true
        } else if (1..=2).contains(&digits) && (word == digits || word == digits + 2) && !day {
            day = true;
            true
        } else if digits == 0 && word >= 3 && MONTHS.contains(&&low[..3]) && !month {
            month = true;
            true
        } else {
            digits == 0 && word >= 3 && DAYS.contains(&&low[..3]) && month && day
        };
        if !known {
            break;
        }
        start = place - word;
        let gap = text.as_bytes()[..start].iter().rev().take_while(|b| matches!(b, b' ' | b',')).count();
        if gap == 0 || gap > 2 {
            break;
        }
        place = start - gap;
    }
    let apart = start == 0 || !joins(at(text, start - 1));
    (month && day && apart).then_some((start, year))
}

/// The UUID whose first `-` stands at `dash`, if it is a word of its own.
pub(super) fn uuid(text: &str, dash: usize) -> Option<Range<usize>> {
    let start = dash.checked_sub(8)?;
    let bytes = text.as_bytes().get(start..start + 36)?;
    let fits = bytes.iter().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let outside = |byte: u8| joins(byte) || byte == b'-';
    let apart = (start == 0 || !outside(at(text, start - 1))) && !outside(at(text, start + 36));
    (fits && apart).then_some(start..start + 36)
}

/// The token of an id at `start`.
pub(super) fn token(text: &str, start: usize) -> Range<usize> {
    let within = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    let length = text.as_bytes().iter().skip(start).take(160).take_while(|byte| within(byte)).count();
    let token = text[start..start + length].trim_end_matches(['.', ':', '-']);
    start..start + token.len()
}

/// Long enough for an id, with digits in it, and not a word with a number or a date alone.
pub(super) fn is_id(token: &str) -> bool {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    (8..=128).contains(&token.len())
        && digits > 0
        && !token.contains("..")
        && numeric(token, token.len()) != Some(0)
}

/// Seconds, or parts of them, since 1970: from 2001 on.
pub(super) fn is_epoch(token: &str) -> bool {
    token.starts_with('1')
        && matches!(token.len(), 10 | 13 | 16 | 19)
        && token.bytes().all(|byte| byte.is_ascii_digit())
}

/// A line that begins with a moment and a level, in any order.
pub(super) fn is_log_line(line: &str, moment: &Range<usize>) -> bool {
    let bare =
        |text: &str| text.trim_matches(|c: char| c.is_whitespace() || "[]()|:-".contains(c)).to_owned();
    let (before, after) = (bare(&line[..moment.start]), bare(&line[moment.end..]));
    let level = |word: &str| LEVELS.contains(&word);
    let first = after.split(|c: char| !c.is_ascii_alphabetic()).find(|word| !word.is_empty());
    (before.is_empty() && first.is_some_and(level)) || (level(&before) && !after.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Option<(&str, bool)> {
        let moments = memchr::memchr_iter(b':', text.as_bytes()).filter_map(|colon| moment(text, colon));
        moments.map(|moment| (&text[moment.range], moment.dated)).next()
    }

    #[test]
    fn moments_of_all_sorts() {
        for moment in [
            "2024-05-15 15:00:00",
            "2026-11-22T17:51:06.123456Z",
            "2026-11-22T17:51:06,123+01:00",
            "2026-11-22 17:51:06 +0000",
            "2026/11/22 9:05",
            "11/22/2026, 5:51:06 PM",
            "22.11.2026 17:51",
            "Sun, 22 Nov 2026 17:51:06",
            "Sun Nov 22 17:51:06 UTC 2026",
            "Sunday, November 22, 2026 at 5:51 PM",
            "November 22nd, 2026 5:51pm",
        ] {
            for (before, after) in [("", ""), ("It is ", " now."), ("\"", "\","), ("<", ">"), ("(", " EST)")]
            {
                let text = format!("{before}{moment}{after}");
                assert_eq!(found(&text), Some((moment, true)), "{text}");
            }
        }
        for (text, time) in
            [("at 17:51", "17:51"), ("5:51\u{202f}PM.", "5:51\u{202f}PM"), ("16:09:30Z", "16:09:30Z")]
        {
            assert_eq!(found(text), Some((time, false)), "{text}");
        }
        for none in
            ["a:bc", "1:2", "12:345", "fe80::12:34ab", "99:10", "12:75", "x12:30", "v1.2:30", "1:10:100"]
        {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn ids() {
        let text = "id 6f1c2d3e-0a1b-4c5d-8e9f-001122334455, x6f1c2d3e-0a1b-4c5d-8e9f-001122334455";
        let all: Vec<_> =
            memchr::memchr_iter(b'-', text.as_bytes()).filter_map(|at| uuid(text, at)).collect();
        assert_eq!((all.len(), all.first()), (1, Some(&(3..39))));
        assert!(is_id("sess_01AbCdEf") && is_id("4bf92f3577b34da6"));
        assert!(!is_id("abc") && !is_id("abcdefgh") && !is_id("2026-11-22"));
        assert!(
            is_epoch("1732298000")
                && is_epoch("1732298000123")
                && !is_epoch("2732298000")
                && !is_epoch("17322980001")
        );
    }

    #[test]
    fn log_lines() {
        for line in [
            "2026-11-22 17:51:06 INFO up",
            "[2026-11-22T17:51:06Z] [warn]: WARN x",
            "INFO 2026-11-22 17:51:06 up",
        ] {
            let colon = line.find(":51").unwrap();
            let range = moment(line, colon).unwrap().range;
            assert_eq!(is_log_line(line, &range), !line.contains("warn"), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[0-9:TZ/., APMNov-]{0,40}|\\PC{0,40}") {
            for (place, _) in text.char_indices() {
                let _ = (uuid(&text, place), token(&text, place));
            }
            for colon in memchr::memchr_iter(b':', text.as_bytes()) {
                if let Some(moment) = moment(&text, colon) {
                    prop_assert!(moment.range.contains(&colon));
                    prop_assert!(text.get(moment.range).is_some());
                }
            }
        }
    }
}
