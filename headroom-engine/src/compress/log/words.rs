//! The vocabulary of trouble, verdicts and levels, and when a word does not mean what it says.

use super::line::{Before, Marks};

/// What a word adds to its line.
pub(super) enum Word {
    Plain,
    /// It takes the next word back: `no`, `without`.
    Negation,
    Marked(Marks),
}

const ERROR: Marks = Marks::ERROR;
const LEVEL_ERROR: Marks = Marks::ERROR.and(Marks::LEVELLED);
const LEVEL_WARN: Marks = Marks::WARN.and(Marks::LEVELLED);

/// What the word `line[at..end]` says where it stands; it holds no digit.
#[inline]
pub(super) fn word(line: &[u8], at: usize, end: usize, after: Before) -> Word {
    let text = &line[at..end];
    let lone = |byte: Option<u8>| matches!(byte, None | Some(b' ' | b'\t'));
    let (left, right) = (at.checked_sub(1).map(|at| line[at]), line.get(end).copied());
    if text.len() < 2 {
        // Android and glog spell a level as one letter behind numbers.
        let level = after == Before::Number && lone(left) && lone(right) && at < 48;
        return match text[0] {
            b'E' | b'F' if level => Word::Marked(LEVEL_ERROR),
            b'W' if level => Word::Marked(LEVEL_WARN),
            b'V' | b'D' | b'I' if level => Word::Marked(Marks::LEVELLED),
            _ => Word::Plain,
        };
    }
    if text.len() > 14 || text.len() > 5 && is_camel(text) {
        return camel(text, right, line.get(end + 1).copied());
    }
    let mut lower = [0; 14];
    for (to, from) in lower.iter_mut().zip(text) {
        *to = from | 0x20;
    }
    match &lower[..text.len()] {
        b"no" | b"not" | b"without" | b"zero" | b"non" | b"never" => Word::Negation,
        b"error" | b"errors" | b"fatal" | b"critical" | b"crit" | b"failed" | b"failure" | b"failures"
        | b"fail" | b"fails" | b"panic" | b"panicked" | b"exception" | b"exceptions" | b"severe"
        | b"emerg" | b"alert" | b"segfault" | b"segmentation" | b"aborted" | b"abort" | b"killed"
        | b"dumped" | b"traceback" | b"oom" | b"unhandled" | b"uncaught" | b"undefined" | b"crashed"
        | b"crash" | b"fault" | b"corrupt" | b"corrupted" | b"err" | b"errno" | b"assertion"
        | b"violation" | b"xpass" => trouble(line, at, end, after),
        b"warn" | b"warning" | b"warnings" => {
            if is_part(left, right, line.get(end + 1).copied())
                || matches!(after, Before::Zero | Before::Negation)
            {
                Word::Plain
            } else {
                let level = text[0].is_ascii_uppercase() || left == Some(b'[') || right == Some(b':');
                Word::Marked(if level { LEVEL_WARN } else { Marks::WARN })
            }
        }
        b"invalid" | b"unable" | b"cannot" | b"couldn" | b"timeout" | b"timed" | b"rejected"
        | b"rejecting" | b"denied" | b"refused" | b"exceeds" | b"exceeded" | b"exceed" | b"missing"
        | b"unexpected" | b"unknown" | b"unreachable" | b"lost" | b"dropped" | b"deprecated"
        | b"overflow" | b"retry" | b"retrying" | b"conflict" | b"mismatch" | b"bad" | b"stale"
        | b"illegal" | b"terminated" | b"unavailable" | b"unusual" | b"disconnected" | b"broken"
        | b"deadlock" | b"unauthorized" | b"forbidden" | b"evicted" | b"expired" | b"unresolved"
        | b"throttled" | b"degraded" | b"blocked" | b"leak" => {
            let set = right == Some(b'=');
            if set
                || is_part(left, right, line.get(end + 1).copied())
                || matches!(after, Before::Zero | Before::Negation)
            {
                Word::Plain
            } else {
                Word::Marked(Marks::WARN)
            }
        }
        b"info" | b"debug" | b"trace" | b"notice" | b"verbose" | b"dbug" | b"inf" | b"dbg" => {
            // A level stands alone, between brackets, or before a colon, near the start.
            let alone = |byte: Option<u8>| {
                matches!(
                    byte,
                    None | Some(b' ' | b'\t' | b'[' | b']' | b'(' | b')' | b'|' | b':' | b'<' | b'>' | b'=')
                )
            };
            let shout = text[0].is_ascii_uppercase() == text[text.len() - 1].is_ascii_uppercase();
            if at < 80 && shout && alone(left) && alone(right) {
                Word::Marked(Marks::LEVELLED)
            } else {
                Word::Plain
            }
        }
        b"passed" | b"skipped" | b"xfailed" | b"passing" | b"failing" | b"ignored"
            if after == Before::Number || after == Before::Zero =>
        {
            Word::Marked(Marks::SUMMARY.and(Marks::TOOL))
        }
        b"failing" => Word::Marked(ERROR),
        // `not found`, `no such file`, `does not exist`.
        b"found" | b"such" | b"exist" | b"exists" | b"permitted" | b"allowed" | b"supported"
        | b"recognized" | b"responding" | b"reachable" | b"available" | b"resolve" | b"valid"
            if after == Before::Negation =>
        {
            Word::Marked(Marks::WARN)
        }
        b"build" if text == b"BUILD" => Word::Marked(Marks::SUMMARY),
        b"exit" | b"exited" | b"status" | b"exitcode" => {
            // `exit code 1`, `exited with 137`, `exit status: 2`, but no `exit()`.
            let near = line[end..].iter().take(12).any(u8::is_ascii_digit);
            if near && lower[0] == b'e' && !is_part(left, right, line.get(end + 1).copied()) {
                Word::Marked(Marks::SUMMARY)
            } else {
                Word::Plain
            }
        }
        _ => Word::Plain,
    }
}

/// Whether a word is part of an identifier, a path or an option, where it names and does not tell.
fn is_part(left: Option<u8>, right: Option<u8>, next: Option<u8>) -> bool {
    matches!(left, Some(b'_' | b'-' | b'/' | b'\\' | b'.' | b'$' | b'@' | b'#'))
        || matches!(right, Some(b'_' | b'/' | b'\\' | b'@'))
        || matches!(right, Some(b'.' | b'-')) && next.is_some_and(|byte| byte.is_ascii_alphanumeric())
}

fn trouble(line: &[u8], at: usize, end: usize, after: Before) -> Word {
    let left = at.checked_sub(1).map(|at| line[at]);
    let right = line.get(end).copied();
    if matches!(after, Before::Zero | Before::Negation) || is_part(left, right, line.get(end + 1).copied()) {
        return Word::Plain;
    }
    if is_nothing(&line[end..]) {
        return Word::Plain;
    }
    if after == Before::Number {
        return Word::Marked(Marks::ERROR.and(Marks::SUMMARY));
    }
    let level = line[at].is_ascii_uppercase() || left == Some(b'[') || right == Some(b':');
    Word::Marked(if level { LEVEL_ERROR } else { ERROR })
}

/// Whether `=0`, `: 0`, `=null` or the like follows, so that the word counts nothing.
fn is_nothing(rest: &[u8]) -> bool {
    let Some((b'=' | b':', rest)) = rest.split_first().map(|(byte, rest)| (*byte, rest)) else {
        return false;
    };
    let rest = &rest[rest.iter().take_while(|byte| matches!(byte, b' ' | b'"')).count()..];
    let (word, _) =
        rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'.').count());
    matches!(word, b"0" | b"null" | b"None" | b"none" | b"nil" | b"false" | b"False")
}

fn is_camel(text: &[u8]) -> bool {
    text[1..].iter().any(u8::is_ascii_uppercase) && text.iter().any(u8::is_ascii_lowercase)
}

/// `AssertionError`, `NullPointerException`, `DeprecationWarning`: told by the last part.
fn camel(text: &[u8], right: Option<u8>, next: Option<u8>) -> Word {
    // Only where the name ends: `x.errors.IOError.new` is code.
    let goes_on = matches!(right, Some(b'_' | b'/' | b'\\'))
        || right == Some(b'.') && next.is_some_and(|byte| byte.is_ascii_alphanumeric());
    if goes_on {
        return Word::Plain;
    }
    match text.last() {
        Some(b'r') if text.ends_with(b"Error") => Word::Marked(ERROR),
        Some(b'n') if text.ends_with(b"Exception") => Word::Marked(ERROR),
        Some(b'e') if text.ends_with(b"Failure") => Word::Marked(ERROR),
        Some(b't') if text.ends_with(b"Fault") => Word::Marked(ERROR),
        Some(b'd') if text.ends_with(b"Failed") || text.ends_with(b"Killed") => Word::Marked(ERROR),
        Some(b'f') if text.ends_with(b"BackOff") => Word::Marked(ERROR),
        Some(b'g') if text.ends_with(b"Warning") => Word::Marked(LEVEL_WARN),
        _ => Word::Plain,
    }
}

/// Whether the slot `line[at..end]` is a time of day or a date.
pub(super) fn is_time(line: &[u8], at: usize, end: usize) -> bool {
    let text = &line[at..end];
    let pair = |at: usize| text.get(at..at + 2).is_some_and(|two| two.iter().all(u8::is_ascii_digit));
    let clock = (0..text.len().saturating_sub(4)).any(|from| {
        pair(from)
            && text[from + 2] == b':'
            && pair(from + 3)
            && (from == 0 || !text[from - 1].is_ascii_digit())
    });
    let date = text.len() >= 8
        && (pair(0) && pair(2) && matches!(text[4], b'-' | b'/' | b'.') && pair(5) && text[7] == text[4]
            || pair(0) && matches!(text[2], b'/' | b'-' | b'.') && pair(3) && text[5] == text[2]);
    let epoch = at == 0
        && (text.len() == 10 || text.len() == 13)
        && text[0] == b'1'
        && text.iter().all(u8::is_ascii_digit);
    clock || date || epoch
}

/// Whether `text` is an error's code, as in `E0308:` and `[TS2304]`; `right` is what follows it.
pub(super) fn is_code(text: &[u8], right: Option<u8>) -> bool {
    let letters = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let digits = text[letters..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=5).contains(&letters)
        && (2..=6).contains(&digits)
        && letters + digits == text.len()
        && matches!(right, Some(b':' | b']'))
}
