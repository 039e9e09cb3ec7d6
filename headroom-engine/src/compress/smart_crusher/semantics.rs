//! What an error looks like in JSON: a key and a value that say so together, or plain words.

use super::tape::{Id, Kind, Tape};

/// What a key says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Meaning {
    /// Anything but nothing is an error: `error`, `errors`, `failed`, `exception`.
    Fault,
    /// A word or an HTTP status: `status`, `state`, `conclusion`.
    Status,
    /// Anything but 0 is an error: `exit_code`, `returncode`.
    Exit,
    /// `level`, `severity`.
    Level,
    /// `false` is an error: `ok`, `success`.
    Success,
    /// Nothing; its text is searched.
    Other,
}

/// What the key with this inner text means.
pub(in super::super) fn meaning(key: &str) -> Meaning {
    if key.len() > 48 {
        return Meaning::Other;
    }
    let mut parts: Vec<String> = Vec::new();
    let mut lower = false;
    for c in key.chars() {
        if !c.is_alphanumeric() {
            lower = false;
            parts.push(String::new());
            continue;
        }
        if parts.is_empty() || (c.is_uppercase() && lower) {
            parts.push(String::new());
        }
        lower = c.is_lowercase();
        if let Some(part) = parts.last_mut() {
            part.extend(c.to_lowercase());
        }
    }
    let has = |words: &[&str]| parts.iter().any(|part| words.contains(&part.as_str()));
    let last = parts.last().map_or("", String::as_str);
    let configures = [
        "max",
        "min",
        "threshold",
        "limit",
        "on",
        "handler",
        "allowed",
        "ignore",
        "retry",
        "rate",
        "default",
    ];
    if has(&["exit", "return"]) && has(&["code", "status", "value"])
        || ["returncode", "exitcode", "rc"].contains(&last)
    {
        Meaning::Exit
    } else if has(&[
        "error",
        "errors",
        "err",
        "exception",
        "exceptions",
        "failure",
        "failures",
        "failed",
        "fault",
        "faults",
        "fatal",
        "panic",
        "crash",
        "traceback",
        "stacktrace",
    ]) {
        if has(&configures) { Meaning::Other } else { Meaning::Fault }
    } else if ["level", "severity", "lvl", "loglevel", "levelname", "priority"].contains(&last) {
        Meaning::Level
    } else if [
        "status",
        "state",
        "statuscode",
        "conclusion",
        "result",
        "outcome",
        "phase",
        "reason",
        "health",
        "code",
        "verdict",
    ]
    .contains(&last)
    {
        Meaning::Status
    } else if ["success", "succeeded", "successful", "ok", "passed", "healthy"].contains(&last) {
        Meaning::Success
    } else {
        Meaning::Other
    }
}

/// Whether the subtree from `from` up to `to` holds an error; `under` is the meaning of its key.
pub(super) fn holds_error(
    tape: &Tape<'_>,
    from: Id,
    to: Id,
    mut under: Meaning,
    mut meaning_of: impl FnMut(Id) -> Meaning,
) -> bool {
    let mut id = from;
    while id < to {
        if tape.is_key(id) {
            under = meaning_of(id);
        } else {
            if is_error(tape, id, under) {
                return true;
            }
            // Elements of an array stand under its key, but only text can be read there.
            if under != Meaning::Level {
                under = Meaning::Other;
            }
        }
        id += 1;
    }
    false
}

/// Whether a value is an error, under a key of this meaning.
fn is_error(tape: &Tape<'_>, id: Id, under: Meaning) -> bool {
    match (under, tape.kind(id)) {
        (Meaning::Fault, Kind::Array | Kind::Object) => !tape.is_empty(id),
        (Meaning::Fault, Kind::Bool) => tape.slice(id) == "true",
        (Meaning::Success, Kind::Bool) => tape.slice(id) == "false",
        (Meaning::Fault | Meaning::Exit, Kind::Number) => is_not_zero(tape.slice(id)),
        (Meaning::Status, Kind::Number) => is_http_error(tape.slice(id)),
        (Meaning::Level, Kind::Number) => matches!(tape.slice(id), "50" | "60"),
        (_, Kind::Array | Kind::Object | Kind::Null | Kind::Bool | Kind::Number) => false,
        (_, Kind::String) => is_error_text(tape.inner(id), under),
    }
}

/// Whether a text is an error, under a key of this meaning.
pub(in super::super) fn is_error_text(inner: &str, under: Meaning) -> bool {
    if under == Meaning::Other {
        return has_error_words(inner);
    }
    let short: String = if inner.len() <= 24 { inner.to_ascii_lowercase() } else { String::new() };
    let word = short.as_str();
    match under {
        Meaning::Fault => {
            !["", "none", "null", "no", "false", "0", "ok", "n/a", "success", "-", "nil"].contains(&word)
                || (short.is_empty() && !inner.is_empty())
        }
        Meaning::Exit => {
            !inner.is_empty() && inner.parse::<f64>().map_or(has_error_words(inner), |n| n != 0.0)
        }
        Meaning::Level => [
            "e",
            "err",
            "error",
            "fatal",
            "f",
            "crit",
            "critical",
            "panic",
            "alert",
            "emerg",
            "emergency",
            "high",
            "severe",
            "blocker",
            "p0",
        ]
        .contains(&word),
        Meaning::Success => ["false", "no"].contains(&word),
        _ => {
            (inner.len() == 3 && is_http_error(inner))
                || [
                    "fail",
                    "timeout",
                    "timed_out",
                    "timedout",
                    "unhealthy",
                    "down",
                    "broken",
                    "aborted",
                    "denied",
                    "rejected",
                    "unreachable",
                    "crashloopbackoff",
                    "oomkilled",
                    "evicted",
                    "imagepullbackoff",
                    "errimagepull",
                    "degraded",
                    "killed",
                    "lost",
                    "unavailable",
                ]
                .contains(&word)
                || has_error_words(inner)
        }
    }
}

fn is_not_zero(number: &str) -> bool {
    number.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'))
}

fn is_http_error(number: &str) -> bool {
    matches!(number.as_bytes(), [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'])
}

/// Only the beginning of a long text is searched; a traceback says what it is at once.
const SEARCHED: usize = 4096;

/// Words that report an error, wherever they stand whole and not negated.
const WORDS: [&str; 21] = [
    "error",
    "errors",
    "errored",
    "exception",
    "fatal",
    "failed",
    "failure",
    "failing",
    "fails",
    "panic",
    "panicked",
    "traceback",
    "crash",
    "crashed",
    "critical",
    "segfault",
    "denied",
    "refused",
    "aborted",
    "timed",
    "rejected",
];

/// The same in scripts without word boundaries.
const PARTS: [&str; 8] = ["エラー", "失敗", "例外", "错误", "失败", "异常", "오류", "ошибка"];

/// Whether a long text says at its beginning that it reports an error.
pub(super) fn begins_with_error(text: &str) -> bool {
    has_error(&text.as_bytes()[..text.len().min(300)])
}

fn has_error_words(text: &str) -> bool {
    has_error(&text.as_bytes()[..text.len().min(SEARCHED)])
}

fn has_error(bytes: &[u8]) -> bool {
    let mut at = 0;
    let mut foreign = false;
    let (mut before, mut last) = (0..0, 0..0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphanumeric() {
            foreign |= !bytes[at].is_ascii();
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
            at += 1;
        }
        let word = &bytes[start..at];
        // 5 letters is the least: "error", "fatal", "fails", "panic", "crash", "timed".
        if word.len() >= 5 && (is_error_word(word) || is_exception(word)) {
            let inside = |byte: Option<&u8>| matches!(byte, Some(b'/' | b'-' | b'_' | b'@' | b'#' | b'='));
            let dotted =
                bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
            let named = !is_exception(word)
                && start > 0
                && (inside(bytes.get(start - 1))
                    || bytes[start - 1] == b'.' && start > 1 && bytes[start - 2].is_ascii_alphanumeric());
            let negated = |range: &std::ops::Range<usize>| {
                ["no", "not", "0", "zero", "without", "never"]
                    .iter()
                    .any(|no| bytes[range.clone()].eq_ignore_ascii_case(no.as_bytes()))
            };
            if !named && !inside(bytes.get(at)) && !dotted && !negated(&last) && !negated(&before) {
                return true;
            }
        }
        before = std::mem::replace(&mut last, start..at);
    }
    foreign && PARTS.iter().any(|part| memchr::memmem::find(bytes, part.as_bytes()).is_some())
}

fn is_error_word(word: &[u8]) -> bool {
    matches!(word[0] | 0x20, b'e' | b'f' | b'p' | b't' | b'c' | b's' | b'd' | b'r' | b'a')
        && word.len() <= 9
        && WORDS.iter().any(|known| known.len() == word.len() && word.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a word is the name of an exception: `TypeError`, `NullPointerException`.
fn is_exception(word: &[u8]) -> bool {
    word.len() > 7
        && word[0].is_ascii_uppercase()
        && (word.ends_with(b"Error") || word.ends_with(b"Exception"))
        && word.iter().any(u8::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> bool {
        let tape = Tape::parse(json).unwrap();
        holds_error(&tape, 0, tape.after(0), Meaning::Other, |key| meaning(tape.inner(key)))
    }

    #[test]
    fn errors_by_key_and_value() {
        for bad in [
            r#"{"error":"x"}"#,
            r#"{"errors":[1]}"#,
            r#"{"failed":3}"#,
            r#"{"status":503}"#,
            r#"{"status":"503"}"#,
            r#"{"level":"E"}"#,
            r#"{"exit_code":139}"#,
            r#"{"exitCode":-1}"#,
            r#"{"success":false}"#,
            r#"{"message":"エラーが発生"}"#,
            r#"{"message":"Connection refused"}"#,
            r#"{"m":"java.lang.NullPointerException: x"}"#,
            r#"{"severity":"critical"}"#,
            r#"{"a":{"b":[{"state":"failed"}]}}"#,
            r#"{"hasError":true}"#,
            r#"{"conclusion":"failure"}"#,
            r#"{"log":"request failed with 3"}"#,
            r#"{"reason":"OOMKilled"}"#,
        ] {
            assert!(error(bad), "{bad}");
        }
    }

    #[test]
    fn what_only_looks_like_an_error() {
        for good in [
            r#"{"error":null,"errors":[],"failed":0,"timeout":30}"#,
            r#"{"error":""}"#,
            r#"{"error":"none"}"#,
            r#"{"status":200}"#,
            r#"{"level":"info"}"#,
            r#"{"exit_code":0}"#,
            r#"{"ok":true}"#,
            r#"{"failed":0.0}"#,
            r#"{"message":"no errors"}"#,
            r#"{"message":"0 failed"}"#,
            r#"{"url":"https://x.y/errors/1"}"#,
            r#"{"max_errors":5,"onError":"continue"}"#,
            r#"{"message":"terrors of default"}"#,
            r#"{"file":"error.log"}"#,
            r#"{"error":{}}"#,
            r#"{"hasError":false}"#,
        ] {
            assert!(!error(good), "{good}");
        }
    }
}
