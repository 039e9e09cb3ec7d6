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
        | b"crash" | b"fault" | b"corrupt" | b"corrupted" | b"err" | b"assertion" | b"violation"
        | b"xpass" => trouble(line, at, end, after),
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
        | b"illegal" | b"terminated" | b"unavailable" | b"unusual" | b"disconnected" | b"expired"
        | b"unresolved" | b"throttled" | b"degraded" | b"blocked" | b"leak" => {
            if is_part(left, right, line.get(end + 1).copied())
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
    let ends = !matches!(right, Some(b'_' | b'/' | b'\\'))
        && !(right == Some(b'.') && next.is_some_and(|byte| byte.is_ascii_alphanumeric()));
    if !ends {
        return Word::Plain;
    }
    match text.last() {
        Some(b'r') if text.ends_with(b"Error") => Word::Marked(ERROR),
        Some(b'n') if text.ends_with(b"Exception") => Word::Marked(ERROR),
        Some(b'e') if text.ends_with(b"Failure") => Word::Marked(ERROR),
        Some(b't') if text.ends_with(b"Fault") => Word::Marked(ERROR),
        Some(b'd') if text.ends_with(b"Failed") => Word::Marked(ERROR),
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

/// What the line says as a whole: its beginning and its end.
pub(super) fn judge(line: &[u8], marks: &mut Marks) {
    let indent = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let body = line[indent..].trim_ascii_end();
    let Some(first) = body.first() else {
        marks.add(Marks::BLANK);
        return;
    };
    if is_passed(body) {
        marks.remove(Marks::ERROR.and(Marks::WARN));
        marks.add(Marks::TOOL);
    }
    beginning(*first, body, indent, marks);
    if is_place(body) {
        marks.add(Marks::PLACE);
    }
}

/// A test that went well: nothing in its name is an error.
fn is_passed(body: &[u8]) -> bool {
    let percent = body.strip_suffix(b"%]").map_or(body, |rest| {
        rest[..rest.iter().rposition(|byte| *byte == b'[').unwrap_or(rest.len())].trim_ascii_end()
    });
    [&b" PASSED"[..], b" ... ok", b" SKIPPED", b" XFAIL", b" ... ignored", b" ... expected failure", b" ok"]
        .iter()
        .any(|end| percent.ends_with(end))
        || [&b"PASSED "[..], b"--- PASS", b"ok  \t", b"ok "].iter().any(|start| body.starts_with(start))
        || memchr::memmem::find(&body[..body.len().min(400)], b" ... skipped").is_some()
}

fn beginning(first: u8, body: &[u8], indent: usize, marks: &mut Marks) {
    let starts = |with: &[&[u8]]| with.iter().any(|with| body.starts_with(with));
    match first {
        b'T' if starts(&[b"Traceback (most recent"]) => marks.add(Marks::TRACEBACK.and(Marks::ERROR)),
        b'T' if starts(&[b"Tests run:", b"Tests:", b"Test Suites:", b"Total"]) => marks.add(Marks::SUMMARY),
        b'C' if starts(&[b"Caused by", b"Compilation failed"]) => marks.add(Marks::CAUSE.and(Marks::ERROR)),
        b'S' if starts(&[b"Suppressed: "]) => marks.add(Marks::CAUSE.and(Marks::ERROR)),
        b'D' if starts(&[b"During handling of", b"Done in "]) => marks.add(Marks::SUMMARY),
        b'E' if indent == 0 && starts(&[b"E   "]) => {
            marks.add(Marks::CAUSE.and(Marks::ERROR).and(Marks::TOOL))
        }
        b'>' if indent == 0 && starts(&[b">   "]) => {
            marks.add(Marks::CAUSE.and(Marks::ERROR).and(Marks::TOOL))
        }
        b'E' | b'F' | b'W' | b'I' if indent == 0 && is_glog(body) => {
            marks.add(Marks::LEVELLED.and(Marks::TIMED));
            marks.add(match first {
                b'I' => Marks::LEVELLED,
                b'W' => Marks::WARN,
                _ => Marks::ERROR,
            });
        }
        b'R' if starts(&[b"Ran "]) && body.get(4).is_some_and(u8::is_ascii_digit) => {
            marks.add(Marks::SUMMARY.and(Marks::TOOL));
        }
        b'R' if starts(&[b"Results", b"Running "]) => marks.add(Marks::TOOL),
        b't' if starts(&[b"test result:", b"tests finished:"]) => marks.add(Marks::SUMMARY.and(Marks::TOOL)),
        b't' if starts(&[b"thread '"]) => marks.add(Marks::TOOL),
        b'F' if starts(&[b"FAILED (", b"Finished", b"FAIL\t", b"FAIL: ", b"FAILED "]) => {
            marks.add(Marks::SUMMARY.and(Marks::TOOL));
        }
        b'O' if body == b"OK" || starts(&[b"OK ("]) => marks.add(Marks::SUMMARY.and(Marks::TOOL)),
        b'P' if starts(&[b"PASS", b"Process completed"]) => marks.add(Marks::TOOL),
        b't' if starts(&[b"test_"]) && (body.ends_with(b" E") || body.ends_with(b" F")) => {
            marks.add(Marks::ERROR.and(Marks::TOOL));
        }
        b'F' if indent > 0 && starts(&[b"File \""]) => marks.add(Marks::TOOL),
        b'_' if starts(&[b"_ "]) && body.ends_with(b" _") && body.iter().any(u8::is_ascii_alphanumeric) => {
            marks.add(Marks::SUMMARY.and(Marks::TOOL));
        }
        b'=' | b'_' if indent == 0 && body.len() > 10 && starts(&[b"=====", b"____"]) => {
            marks.add(Marks::TOOL.and(if body.iter().any(u8::is_ascii_alphanumeric) {
                Marks::SUMMARY
            } else {
                Marks::TOOL
            }))
        }
        b'-' if starts(&[b"--- FAIL", b"--- PASS", b"=== RUN"]) => marks.add(Marks::TOOL),
        b'-' if starts(&[b"--> ", b"-->\t"]) => marks.add(Marks::CONTINUES.and(Marks::TOOL)),
        b'm' if starts(&[b"make: ", b"make["]) => {
            marks.add(Marks::TOOL.and(if memchr::memmem::find(body, b"***").is_some() {
                Marks::ERROR
            } else {
                Marks::TOOL
            }))
        }
        b'a' if starts(&[b"at "]) && indent > 0 => marks.add(Marks::CONTINUES),
        b'.' if starts(&[b"... "]) && indent > 0 => marks.add(Marks::CONTINUES),
        b'n' if starts(&[b"npm ERR!"]) => marks.add(Marks::ERROR.and(Marks::TOOL)),
        b'n' if starts(&[b"npm ", b"ninja: "]) => marks.add(Marks::TOOL),
        b'n' if starts(&[b"not ok "]) => marks.add(Marks::ERROR.and(Marks::TOOL)),
        b'[' if starts(&[b"[INFO]", b"[DEBUG]", b"[ERROR]", b"[WARNING]", b"[WARN]"]) => {
            marks.add(Marks::LEVELLED)
        }
        b'g' if starts(&[b"goroutine ", b"gcc ", b"g++ "]) => marks.add(Marks::TOOL),
        b'[' if is_step(body) => marks.add(Marks::TOOL),
        b'[' if is_uptime(body) => marks.add(Marks::TIMED),
        b'#' | b'+' | b'$' if indent == 0 && (starts(&[b"$ ", b"##["]) || is_traced(body)) => {
            marks.add(Marks::TOOL)
        }
        _ => {}
    }
    if indent > 0
        && starts(&[b"Compiling ", b"Downloaded ", b"Downloading ", b"Finished ", b"Running ", b"Checking "])
    {
        marks.add(Marks::TOOL);
    }
    let ruled = matches!(first, b'|' | b'^' | b'~') || is_gutter(body);
    if ruled && indent > 0 || indent == 0 && is_gutter(body) || starts(&[b"note: ", b"help: "]) {
        marks.add(Marks::CONTINUES);
    }
}

/// `+ make` and `++ cd src`: a shell's own trace (`+++ b/x` is a diff's).
fn is_traced(body: &[u8]) -> bool {
    let pluses = body.iter().take_while(|byte| **byte == b'+').count();
    pluses > 0
        && body.get(pluses) == Some(&b' ')
        && !body[pluses..].starts_with(b" b/")
        && !body.starts_with(b"+  ")
}

/// `E0102 10:00:00.123456`: glog and klog.
fn is_glog(body: &[u8]) -> bool {
    body.len() > 8 && body[1..5].iter().all(u8::is_ascii_digit) && body[5] == b' ' && body[6].is_ascii_digit()
}

/// `12 | let x = 1;` and `   | ^^^`: the gutter of compilers' source excerpts.
fn is_gutter(body: &[u8]) -> bool {
    let digits = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && digits < 7 && body[digits..].trim_ascii_start().starts_with(b"|")
}

/// `[    3.639770] usb 1-1: ...`: the kernel's clock.
fn is_uptime(body: &[u8]) -> bool {
    let inner = body[1..].trim_ascii_start();
    let digits = inner.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    digits > 3 && inner[0] != b'.' && inner[..digits].contains(&b'.') && inner[digits..].starts_with(b"] ")
}

/// `[12/340] Building CXX`: ninja and its like.
fn is_step(body: &[u8]) -> bool {
    let inner = body[1..].trim_ascii_start();
    let digits = inner.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && matches!(inner.get(digits), Some(b'/' | b'%'))
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

/// `path:12:5: message`, `path(12): message`, `path:[12,5] message`, with or without a level.
fn is_place(body: &[u8]) -> bool {
    let head = &body[..body.len().min(300)];
    let Some(at) = (1..head.len()).find(|at| {
        matches!(head[*at], b':' | b'(' | b'[')
            && head.get(at + 1).is_some_and(u8::is_ascii_digit)
            && (head[at - 1].is_ascii_alphanumeric() || head[at - 1] == b':')
    }) else {
        return false;
    };
    let path = &head[..at];
    let named = memchr::memchr(b'.', path).is_some() && memchr::memchr3(b'"', b'=', b'<', path).is_none();
    let rest = &head[at + 1..];
    let digits =
        rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b',' || **byte == b':').count();
    // One number and a colon alone are grep's.
    let numbers =
        rest[..digits].split(|byte| matches!(byte, b':' | b',')).filter(|part| !part.is_empty()).count();
    named && (numbers >= 2 || head[at] != b':' && matches!(rest.get(digits), Some(b')' | b']')))
}
