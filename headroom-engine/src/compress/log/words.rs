//! The vocabulary of trouble, verdicts and levels, and when a word does not mean what it says.

use super::line::{Before, Marks};

/// What a word adds to its line.
pub(super) enum Word {
    Plain,
    /// It takes the next word back: `no`, `without`.
    Negation,
    Marked(Marks),
}

/// What a word is about, wherever it stands.
enum Sense {
    /// `no`, `without`: takes the next word back.
    Denies,
    Trouble,
    Warning,
    /// It often goes with trouble.
    Doubt,
    /// A level of no concern.
    Level,
    /// How many tests went which way, behind a number.
    Tally,
    /// What is bad only when denied: `not found`, `no such`.
    Wanted,
    /// `exit code 1`.
    Exit,
    Build,
    Nothing,
}

fn sense(lower: &[u8]) -> Sense {
    match lower {
        b"no" | b"not" | b"without" | b"zero" | b"non" | b"never" => Sense::Denies,
        b"error" | b"errors" | b"fatal" | b"critical" | b"crit" | b"failed" | b"failure" | b"failures"
        | b"fail" | b"fails" | b"panic" | b"panicked" | b"exception" | b"exceptions" | b"severe"
        | b"emerg" | b"alert" | b"segfault" | b"segmentation" | b"aborted" | b"abort" | b"killed"
        | b"dumped" | b"traceback" | b"oom" | b"unhandled" | b"uncaught" | b"undefined" | b"crashed"
        | b"crash" | b"fault" | b"corrupt" | b"corrupted" | b"err" | b"errno" | b"assertion"
        | b"violation" | b"xpass" | b"failing" => Sense::Trouble,
        b"warn" | b"warning" | b"warnings" => Sense::Warning,
        b"invalid" | b"unable" | b"cannot" | b"couldn" | b"timeout" | b"timed" | b"rejected"
        | b"rejecting" | b"denied" | b"refused" | b"exceeds" | b"exceeded" | b"exceed" | b"missing"
        | b"unexpected" | b"unknown" | b"unreachable" | b"lost" | b"dropped" | b"deprecated"
        | b"overflow" | b"retry" | b"retrying" | b"conflict" | b"mismatch" | b"bad" | b"stale"
        | b"illegal" | b"terminated" | b"unavailable" | b"unusual" | b"disconnected" | b"broken"
        | b"deadlock" | b"unauthorized" | b"forbidden" | b"evicted" | b"expired" | b"unresolved"
        | b"abnormal" | b"abnormally" | b"anomaly" | b"suspicious" | b"throttled" | b"degraded"
        | b"blocked" | b"leak" => Sense::Doubt,
        b"info" | b"debug" | b"trace" | b"notice" | b"verbose" | b"dbug" | b"inf" | b"dbg" => Sense::Level,
        b"passed" | b"skipped" | b"xfailed" | b"passing" | b"ignored" => Sense::Tally,
        b"found" | b"such" | b"exist" | b"exists" | b"permitted" | b"allowed" | b"supported"
        | b"recognized" | b"responding" | b"reachable" | b"available" | b"resolve" | b"valid" => {
            Sense::Wanted
        }
        b"exit" | b"exited" | b"exitcode" => Sense::Exit,
        b"build" => Sense::Build,
        _ => Sense::Nothing,
    }
}

/// What the word `line[at..end]` says where it stands; it holds no digit.
#[inline]
pub(super) fn word(line: &[u8], at: usize, end: usize, after: Before) -> Word {
    let text = &line[at..end];
    let (left, right) = (at.checked_sub(1).map(|at| line[at]), line.get(end).copied());
    let next = line.get(end + 1).copied();
    if text.len() < 2 {
        return letter(text[0], at, left, right, after);
    }
    if text.len() > LONGEST || text.len() > 5 && is_camel(text) {
        return camel(text, right, next);
    }
    let mut lower = [0; LONGEST];
    for (to, from) in lower.iter_mut().zip(text) {
        *to = from | 0x20;
    }
    let counted = matches!(after, Before::Number | Before::Zero);
    let denied = matches!(after, Before::Negation | Before::Zero);
    let marks = match sense(&lower[..text.len()]) {
        Sense::Denies => return Word::Negation,
        Sense::Trouble if !denied && !is_part(left, right, next) && !is_nothing(&line[end..]) => {
            if counted {
                Marks::ERROR.and(Marks::SUMMARY)
            } else if is_level(text[0], left, right) {
                Marks::ERROR.and(Marks::LEVELLED)
            } else {
                Marks::ERROR
            }
        }
        Sense::Trouble if !denied && is_part(left, right, next) => Marks::MENTION,
        Sense::Warning if !denied && !is_part(left, right, next) => {
            if is_level(text[0], left, right) {
                Marks::WARN.and(Marks::LEVELLED)
            } else {
                Marks::WARN
            }
        }
        // `timeout=30` is a setting.
        Sense::Doubt if !denied && right != Some(b'=') && !is_part(left, right, next) => Marks::WARN,
        Sense::Level if at < 80 && is_set_off(left) && is_set_off(right) && is_one_case(text) => {
            Marks::LEVELLED
        }
        Sense::Tally if counted => Marks::SUMMARY.and(Marks::TOOL),
        Sense::Wanted if after == Before::Negation => Marks::WARN,
        Sense::Exit if !is_part(left, right, next) && line[end..].iter().take(12).any(u8::is_ascii_digit) => {
            Marks::SUMMARY
        }
        Sense::Build if text == b"BUILD" => Marks::SUMMARY,
        _ => return Word::Plain,
    };
    Word::Marked(marks)
}

/// The longest word in the vocabulary has this many letters at most.
const LONGEST: usize = 14;

/// Android and glog spell a level as one letter behind numbers.
fn letter(text: u8, at: usize, left: Option<u8>, right: Option<u8>, after: Before) -> Word {
    let lone = |byte: Option<u8>| matches!(byte, None | Some(b' ' | b'\t'));
    if after != Before::Number || !lone(left) || !lone(right) || at > 48 {
        return Word::Plain;
    }
    match text {
        b'E' | b'F' => Word::Marked(Marks::ERROR.and(Marks::LEVELLED)),
        b'W' => Word::Marked(Marks::WARN.and(Marks::LEVELLED)),
        b'V' | b'D' | b'I' => Word::Marked(Marks::LEVELLED),
        _ => Word::Plain,
    }
}

/// Whether `beside` may stand beside a level: a space, a bracket, a colon.
fn is_set_off(beside: Option<u8>) -> bool {
    matches!(beside, None | Some(b' ' | b'\t' | b'[' | b']' | b'(' | b')' | b'|' | b':' | b'<' | b'>' | b'='))
}

fn is_one_case(text: &[u8]) -> bool {
    text[0].is_ascii_uppercase() == text[text.len() - 1].is_ascii_uppercase()
}

/// Whether a word is part of an identifier, a path or an option, where it names and does not tell.
fn is_part(left: Option<u8>, right: Option<u8>, next: Option<u8>) -> bool {
    matches!(left, Some(b'_' | b'-' | b'/' | b'\\' | b'.' | b'$' | b'@' | b'#'))
        || matches!(right, Some(b'_' | b'/' | b'\\' | b'@'))
        || matches!(right, Some(b'.' | b'-')) && next.is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a word is spelled and placed as a level, and not as a word of a sentence or a table's field.
fn is_level(first: u8, left: Option<u8>, right: Option<u8>) -> bool {
    (first.is_ascii_uppercase() || left == Some(b'[') || right == Some(b':')) && right != Some(b',')
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
    let trouble = if goes_on { Marks::MENTION } else { Marks::ERROR };
    match text.last() {
        Some(b'r') if text.ends_with(b"Error") => Word::Marked(trouble),
        Some(b'n') if text.ends_with(b"Exception") => Word::Marked(trouble),
        Some(b'e') if text.ends_with(b"Failure") => Word::Marked(trouble),
        Some(b't') if text.ends_with(b"Fault") => Word::Marked(trouble),
        Some(b'd') if text.ends_with(b"Failed") || text.ends_with(b"Killed") => Word::Marked(trouble),
        Some(b'f') if text.ends_with(b"BackOff") => Word::Marked(trouble),
        Some(b'g') if text.ends_with(b"Warning") && !goes_on => {
            Word::Marked(Marks::WARN.and(Marks::LEVELLED))
        }
        _ => Word::Plain,
    }
}

/// Whether the slot `text` is a time of day or a date, or, `first` in its line, an epoch's seconds.
pub(super) fn is_time(text: &[u8], first: bool) -> bool {
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
    let digits = || text[0] == b'1' && text.iter().all(u8::is_ascii_digit);
    let epoch = first && matches!(text.len(), 10 | 13) && digits();
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
