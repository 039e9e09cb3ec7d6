//! What stands before a value and says what it is.

/// Phrases that say a moment is that of the request.
const NOW: &[&str] = &[
    "current time",
    "current date",
    "current datetime",
    "current timestamp",
    "current utc time",
    "current local time",
    "date time",
    "date and time",
    "time and date",
    "time now",
    "now",
    "right now",
    "today",
    "today s date",
    "local time",
    "server time",
    "system time",
    "request time",
    "request timestamp",
    "request date",
    "generated at",
    "generated on",
    "rendered at",
    "started at",
    "session start",
    "session started",
    "as of",
    "datetime",
    "time utc",
    "utc time",
];

/// Labels that say so if they stand alone before the value.
const ALONE: &[&str] = &["time", "date", "timestamp", "clock", "time of day", "env time", "ts"];

/// Words between a label and its value.
const FILLERS: &[&str] =
    &["is", "was", "it", "the", "utc", "gmt", "iso", "in", "at", "on", "currently", "exactly"];

/// What has an id of its own for every request or conversation.
const WITH_ID: &[&str] = &[
    "request",
    "session",
    "trace",
    "correlation",
    "conversation",
    "thread",
    "run",
    "span",
    "invocation",
    "execution",
    "chat",
    "interaction",
];

/// How much of a line is read for its label, in bytes.
const REACH: usize = 96;

/// The part of the line before `at` that may hold a label.
pub(super) fn before(text: &str, at: usize) -> &str {
    let from = text.ceil_char_boundary(at.saturating_sub(REACH));
    let line = &text[from..at];
    line.rfind('\n').map_or(line, |newline| &line[newline + 1..])
}

/// The line above that of `at`, if only markup stands before `at` in its own.
pub(super) fn above(text: &str, at: usize) -> Option<&str> {
    let own = before(text, at);
    if own.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let near = &text[text.ceil_char_boundary(at.saturating_sub(REACH))..at];
    let lines = near[..near.rfind('\n')?].trim_end();
    Some(lines.rsplit('\n').next().unwrap_or(lines))
}

/// The last seven words, in lower case, `camelCase` and `snake_case` apart.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    let mut lower = false;
    for c in text.chars() {
        if !c.is_alphanumeric() {
            open = false;
            continue;
        }
        if !open || (c.is_uppercase() && lower) {
            words.push(String::new());
        }
        open = true;
        lower = c.is_lowercase();
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words.drain(..words.len().saturating_sub(7));
    words
}

/// Whether `label` says that the moment behind it is that of the request. One without a day must
/// stand right behind such a label.
pub(super) fn is_now(label: &str, dated: bool) -> bool {
    let mut words = words(label);
    // A line of printed JSON is an example more often than not.
    let printed = label.trim_start().starts_with('"');
    if !printed && ALONE.contains(&words.join(" ").as_str()) {
        return true;
    }
    if dated {
        let phrase = format!(" {} ", words.join(" "));
        return NOW.iter().any(|now| phrase.contains(&format!(" {now} ")));
    }
    while words.last().is_some_and(|word| FILLERS.contains(&word.as_str())) {
        words.pop();
    }
    let phrase = format!(" {}", words.join(" "));
    NOW.iter().any(|now| phrase.ends_with(&format!(" {now}")))
}

/// The name of the id that `label` announces; `None` if it announces none that is dynamic.
pub(super) fn id(label: &str) -> Option<String> {
    let words = words(label);
    let last = words.last()?.as_str();
    if matches!(last, "nonce" | "traceparent" | "uuid" | "guid") && words.len() == 1 || last == "nonce" {
        return Some(last.to_owned());
    }
    let of = words.get(words.len().checked_sub(2)?)?;
    (matches!(last, "id" | "uuid" | "guid" | "identifier") && WITH_ID.contains(&of.as_str()))
        .then(|| format!("{of} {last}"))
}

/// The value is an example of how such a value looks, or part of a locator.
pub(super) fn is_example(label: &str) -> bool {
    let low = label.to_ascii_lowercase();
    ["e.g", "example", "such as", "for instance", "format", "://", "sample"]
        .iter()
        .any(|sign| low.contains(sign))
        || label.rsplit(char::is_whitespace).next().is_some_and(|word| word.contains(['?', '&']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_now() {
        for label in [
            "The current time is ",
            "Current date and time: ",
            "It is now ",
            "currentDateTime: ",
            "timestamp: ",
            "<current_time>",
            "- Time: ",
            "Today is ",
            "**Date:** ",
            "Report generated at ",
            "current_time=",
        ] {
            assert!(is_now(label, true), "{label}");
        }
        assert!(is_now("the current time (UTC) is ", false));
        for label in [
            "Departure at ",
            "created_at: ",
            "Order placed on ",
            "Flights before ",
            "  \"timestamp\": \"",
            "",
        ] {
            assert!(!is_now(label, true), "{label}");
        }
        assert!(!is_now("check the current time before ", false));
    }

    #[test]
    fn labels_of_ids() {
        for (label, name) in [
            ("Session ID: ", Some("session id")),
            ("\"requestId\": \"", Some("request id")),
            ("<trace_id", Some("trace id")),
            ("X-Request-Id", Some("request id")),
            ("nonce=", Some("nonce")),
            ("user id", None),
            ("reservation_id", None),
            ("id", None),
            ("", None),
        ] {
            assert_eq!(id(label).as_deref(), name, "{label}");
        }
    }

    #[test]
    fn examples_and_locators() {
        assert!(is_example("e.g. ") && is_example("use ISO format: ") && is_example("GET /a?session_id"));
        assert!(!is_example("The current time is "));
    }
}
