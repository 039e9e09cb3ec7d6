//! What a line says as a whole: by its beginning, its end, and its shape.

use super::line::Marks;

/// A line's beginning, behind its indentation, and what it tells.
const BEGINNINGS: &[(&[u8], Marks)] = &[
    (b"Traceback (most recent", Marks::TRACEBACK.and(Marks::ERROR)),
    (b"Caused by", Marks::CAUSE.and(Marks::ERROR)),
    (b"Suppressed: ", Marks::CAUSE.and(Marks::ERROR)),
    (b"Compilation failed", Marks::ERROR),
    (b"During handling of", Marks::SUMMARY),
    (b"The above exception was", Marks::SUMMARY),
    (b"File \"", Marks::TOOL),
    (b"Ran ", Marks::SUMMARY),
    (b"OK (", TOTAL),
    (b"FAILED (", TOTAL),
    (b"FAILED ", Marks::ERROR.and(Marks::TOOL)),
    (b"FAIL: ", Marks::ERROR.and(Marks::TOOL)),
    (b"FAIL\t", Marks::ERROR.and(Marks::TOOL)),
    (b"not ok ", Marks::ERROR.and(Marks::TOOL)),
    (b"--- FAIL", Marks::ERROR.and(Marks::TOOL)),
    (b"--- PASS", Marks::TOOL),
    (b"=== RUN", Marks::TOOL),
    (b"PASS", Marks::TOOL),
    (b"test result:", TOTAL),
    (b"tests finished:", TOTAL),
    (b"Tests run:", TOTAL),
    (b"Tests:", TOTAL),
    (b"Test Suites:", TOTAL),
    (b"Total", Marks::SUMMARY),
    (b"Finished", Marks::SUMMARY),
    (b"Started by ", Marks::TOOL),
    (b"Done in ", Marks::SUMMARY),
    (b"Process completed", TOTAL),
    (b"thread '", Marks::TOOL),
    (b"goroutine ", Marks::TOOL),
    (b"--> ", Marks::CONTINUES.and(Marks::TOOL)),
    (b"note: ", Marks::CONTINUES),
    (b"help: ", Marks::CONTINUES),
    (b"npm ERR!", Marks::ERROR.and(Marks::TOOL)),
    (b"npm ", Marks::TOOL),
    (b"ninja: ", Marks::SUMMARY.and(Marks::TOOL)),
    (b"make: ", Marks::TOOL),
    (b"make[", Marks::TOOL),
    (b"gcc ", Marks::TOOL),
    (b"g++ ", Marks::TOOL),
    (b"[INFO]", Marks::LEVELLED),
    (b"[DEBUG]", Marks::LEVELLED),
    (b"[ERROR]", Marks::LEVELLED),
    (b"[WARNING]", Marks::LEVELLED),
    (b"[WARN]", Marks::LEVELLED),
    (b"##[", Marks::TOOL),
    (b"$ ", Marks::TOOL),
    ("\u{2713}".as_bytes(), Marks::PASSED.and(Marks::TOOL)), // check marks and crosses of test runners
    ("\u{2714}".as_bytes(), Marks::PASSED.and(Marks::TOOL)),
    ("\u{2715}".as_bytes(), Marks::ERROR.and(Marks::TOOL)),
    ("\u{2716}".as_bytes(), Marks::ERROR.and(Marks::TOOL)),
    ("\u{2717}".as_bytes(), Marks::ERROR.and(Marks::TOOL)),
    ("\u{2718}".as_bytes(), Marks::ERROR.and(Marks::TOOL)),
    ("\u{d7} ".as_bytes(), Marks::ERROR.and(Marks::TOOL)),
    ("\u{274c}".as_bytes(), Marks::ERROR.and(Marks::TOOL)),
    (b"E, [", Marks::ERROR.and(Marks::LEVELLED)), // Ruby's Logger
    (b"F, [", Marks::ERROR.and(Marks::LEVELLED)),
    (b"W, [", Marks::WARN.and(Marks::LEVELLED)),
    (b"> Task :", Marks::TOOL),
    (b"* What went wrong", Marks::SUMMARY),
];

/// Beginnings that tell only when they are indented.
const INDENTED: &[(&[u8], Marks)] = &[
    (b"at ", Marks::CONTINUES),
    (b"... ", Marks::CONTINUES),
    (b"|", Marks::CONTINUES),
    (b"^", Marks::CONTINUES),
    (b"~", Marks::CONTINUES),
    (b"Compiling ", Marks::TOOL),
    (b"Checking ", Marks::TOOL),
    (b"Downloaded ", Marks::TOOL),
    (b"Downloading ", Marks::TOOL),
    (b"Running ", Marks::TOOL),
];

/// The bytes that beginnings begin with: most lines begin with another.
const BEGINS: [bool; 256] = {
    let mut begins = [false; 256];
    let mut at = 0;
    while at < BEGINNINGS.len() + INDENTED.len() {
        let (told, inside) = (BEGINNINGS.len(), at >= BEGINNINGS.len());
        let (beginning, _) = if inside { INDENTED[at - told] } else { BEGINNINGS[at] };
        begins[beginning[0] as usize] = true;
        at += 1;
    }
    begins
};

const TOTAL: Marks = Marks::SUMMARY.and(Marks::TOOL);

/// Ends of a line that tell of a test that went well.
const PASSED: &[&[u8]] =
    &[b" PASSED", b" ok", b" SKIPPED", b" XFAIL", b" ... ignored", b" ... expected failure"];

/// Adds to `marks` what `line` says as a whole, and takes back what its words only seem to say.
pub(super) fn judge(line: &[u8], marks: &mut Marks) {
    let indent = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let body = line[indent..].trim_ascii_end();
    if body.is_empty() {
        marks.add(Marks::BLANK);
        return;
    }
    if BEGINS[usize::from(body[0])] {
        let indented: &[_] = if indent > 0 { INDENTED } else { &[] };
        for (beginning, told) in BEGINNINGS.iter().chain(indented) {
            if body[0] == beginning[0] && body.starts_with(beginning) {
                marks.add(*told);
            }
        }
    }
    if marks.has(Marks::PASSED) || is_passed(body) {
        marks.remove(Marks::ERROR.and(Marks::WARN));
        marks.add(Marks::TOOL.and(Marks::PASSED));
    }
    if is_place(body) {
        marks.add(Marks::PLACE);
    }
    shape(body, indent, marks);
}

fn shape(body: &[u8], indent: usize, marks: &mut Marks) {
    let starts = |with: &[u8]| body.starts_with(with);
    let worded = || body.iter().any(u8::is_ascii_alphanumeric);
    match body[0] {
        // pytest's marks of what broke and why.
        b'E' | b'>' if indent == 0 && body[1..].starts_with(b"   ") => {
            marks.add(Marks::CAUSE.and(Marks::ERROR).and(Marks::TOOL));
        }
        b'E' | b'F' | b'W' | b'I' if indent == 0 && is_glog(body) => {
            marks.add(Marks::LEVELLED.and(Marks::TIMED));
            marks.add(match body[0] {
                b'I' => Marks::LEVELLED,
                b'W' => Marks::WARN,
                _ => Marks::ERROR,
            });
        }
        b'O' if body == b"OK" => marks.add(TOTAL),
        b't' if starts(b"test_") && (body.ends_with(b" E") || body.ends_with(b" F")) => {
            marks.add(Marks::ERROR.and(Marks::TOOL));
        }
        b'=' if starts(b"=====") && body.len() > 10 => marks.add(if worded() { TOTAL } else { Marks::TOOL }),
        b'_' if starts(b"____") || starts(b"_ ") && body.ends_with(b" _") => {
            marks.add(if worded() { Marks::HEADING.and(Marks::TOOL) } else { Marks::TOOL });
        }
        b'#' if starts(b"##[group]") => marks.add(Marks::HEADING),
        b'-' if starts(b"-----") && worded() => marks.add(Marks::TOOL),
        b'm' if starts(b"make") && memchr::memmem::find(body, b"***").is_some() => marks.add(Marks::ERROR),
        b'[' if is_step(body) || is_tagged(body) => marks.add(Marks::TOOL),
        b'[' if is_uptime(body) => marks.add(Marks::TIMED),
        b'+' if indent == 0 && is_traced(body) => marks.add(Marks::TOOL),
        b'0'..=b'9' if is_gutter(body) => marks.add(Marks::CONTINUES),
        _ => {}
    }
}

/// A test that went well: nothing in its name is an error.
fn is_passed(body: &[u8]) -> bool {
    let verdict = match body.strip_suffix(b"%]") {
        Some(rest) => {
            rest[..rest.iter().rposition(|byte| *byte == b'[').unwrap_or(rest.len())].trim_ascii_end()
        }
        None => body,
    };
    PASSED.iter().any(|end| verdict.ends_with(end))
        || [&b"PASSED "[..], b"ok  \t", b"ok "].iter().any(|start| body.starts_with(start))
        || memchr::memmem::find(&body[..body.len().min(400)], b" ... skipped").is_some()
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

/// `[javac] ...`, `[Pipeline] ...`: the part of a build that speaks.
fn is_tagged(body: &[u8]) -> bool {
    let letters = body[1..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    letters > 2 && body[1 + letters..].starts_with(b"] ")
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

/// `path:12:5: message`, `path(12): message`, `path:[12,5] message`, with or without a level.
fn is_place(body: &[u8]) -> bool {
    let head = &body[..body.len().min(300)];
    let mut signs = memchr::memchr3_iter(b':', b'(', b'[', head).filter(|at| *at > 0);
    let Some(at) = signs.find(|at| {
        head.get(at + 1).is_some_and(u8::is_ascii_digit)
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
    let closed = head[at] != b':' && matches!(rest.get(digits), Some(b')' | b']'));
    named && (numbers >= 2 || closed || tells(&rest[digits..]))
}

/// Whether a diagnosis follows a place: ` error: ...`, ` warning - ...`, ` DeprecationWarning: ...`.
fn tells(rest: &[u8]) -> bool {
    let Some(rest) = rest.strip_prefix(b" ") else {
        return false;
    };
    let (word, rest) = rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count());
    let named = [&b"error"[..], b"warning", b"note", b"fatal", b"Error", b"Warning", b"Exception"];
    named.iter().any(|name| word.ends_with(name))
        && rest.iter().take(3).any(|byte| matches!(byte, b':' | b'-'))
}
