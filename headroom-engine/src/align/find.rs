//! Finds dynamic values in a text, and counts what only looks like one.

use std::ops::Range;

use super::{label, shape};

/// A value that surely changes from request to request, or from conversation to conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) range: Range<usize>,
    /// What it is, in words: `time`, `session id`.
    pub(super) name: String,
}

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// In order, apart from each other.
    pub(super) values: Vec<Value>,
    /// Shapes that nothing beside them explains.
    pub(super) unsure: u32,
}

impl Found {
    fn add(&mut self, value: Value) {
        if self.values.len() < ENOUGH {
            self.values.push(value);
        } else {
            self.unsure += 1;
        }
    }
}

/// Nobody moves more values than this.
const ENOUGH: usize = 64;
/// More UUIDs than this without a label are data.
const UNLABELLED: usize = 4;
/// Log lines longer than this, together, are data.
const LOG_BYTES: usize = 2048;

/// Looks through `text`, once for each shape.
pub(super) fn find(text: &str) -> Found {
    let mut found = Found::default();
    logs(text, &mut found);
    moments(text, &mut found);
    labelled(text, &mut found);
    uuids(text, &mut found);
    found.values.sort_by_key(|value| (value.range.start, std::cmp::Reverse(value.range.end)));
    let mut end = 0;
    found.values.retain(|value| {
        let apart = value.range.start >= end;
        end = if apart { value.range.end } else { end };
        apart
    });
    found
}

/// How many values `text`, JSON of tool definitions, seems to hold.
pub(super) fn count(text: &str) -> u32 {
    let dated = |colon: &usize| shape::moment(text, *colon).is_some_and(|moment| moment.dated);
    let moments = memchr::memchr_iter(b':', text.as_bytes()).filter(dated).count();
    let uuids =
        memchr::memchr_iter(b'-', text.as_bytes()).filter(|at| shape::uuid(text, *at).is_some()).count();
    u32::try_from(moments + uuids).unwrap_or(u32::MAX)
}

fn moments(text: &str, found: &mut Found) {
    let mut end = 0;
    for colon in memchr::memchr_iter(b':', text.as_bytes()) {
        if colon < end {
            continue;
        }
        let Some(moment) = shape::moment(text, colon) else { continue };
        end = moment.range.end;
        if found.values.iter().any(|log| log.range.contains(&colon)) {
            continue;
        }
        let before = label::before(text, moment.range.start);
        let above = |above: &str| label::is_now(above, moment.dated) && !label::is_example(above);
        let now =
            label::is_now(before, moment.dated) || label::above(text, moment.range.start).is_some_and(above);
        if now && !label::is_example(before) {
            found.add(Value { range: moment.range, name: "time".into() });
        } else if moment.dated {
            found.unsure += 1;
        }
    }
}

/// Ids and seconds since 1970 behind a label of theirs.
fn labelled(text: &str, found: &mut Found) {
    let marks = memchr::memchr3_iter(b':', b'=', b'>', text.as_bytes()).map(|at| (at, at + 1));
    let says = memchr::memmem::find_iter(text.as_bytes(), " is ").map(|at| (at, at + 4));
    for (end, behind) in marks.chain(says) {
        let Some(next) = text.as_bytes().get(behind..) else { continue };
        let skipped = next.iter().take(6).take_while(|byte| b" \t\"'`*([<".contains(byte)).count();
        let token = shape::token(text, behind + skipped);
        let value = &text[token.clone()];
        if value.len() < 8 || !value.bytes().any(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let before = label::before(text, end);
        let name = if shape::is_epoch(value) && label::is_now(before, false) {
            "time".to_owned()
        } else {
            match label::id(before).filter(|_| shape::is_id(value)) {
                Some(name) => name,
                None => continue,
            }
        };
        if label::is_example(before) {
            found.unsure += 1;
        } else {
            found.add(Value { range: token, name });
        }
    }
}

/// UUIDs without a label. Within a path they name something that stays.
fn uuids(text: &str, found: &mut Found) {
    let mut alone = Vec::new();
    for dash in memchr::memchr_iter(b'-', text.as_bytes()) {
        let Some(range) = shape::uuid(text, dash) else { continue };
        if found.values.iter().any(|value| value.range.start <= range.start && range.end <= value.range.end) {
            continue;
        }
        let byte = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).copied().unwrap_or(b' ');
        let around = [byte(range.start.checked_sub(1)), byte(Some(range.end))];
        let within = around.iter().any(|byte| b"/\\.=@#%".contains(byte));
        if within && !(around[1] == b'.' && byte(Some(range.end + 1)).is_ascii_whitespace())
            || label::is_example(label::before(text, range.start))
        {
            found.unsure += 1;
        } else {
            alone.push(Value { range, name: "uuid".into() });
        }
    }
    if alone.len() > UNLABELLED {
        found.unsure += u32::try_from(alone.len()).unwrap_or(u32::MAX);
    } else {
        alone.into_iter().for_each(|value| found.add(value));
    }
}

/// Runs of log lines, outside fences; each run is one value, so that its length may vary.
fn logs(text: &str, found: &mut Found) {
    let mut run: Option<Range<usize>> = None;
    let mut fenced = false;
    let mut at = 0;
    let mut close = |run: &mut Option<Range<usize>>| {
        let Some(range) = run.take() else { return };
        let lines = &text[range.clone()];
        if lines.len() <= LOG_BYTES && !lines.contains("]\n[") && !lines.contains('\r') {
            found.add(Value { range, name: "log".into() });
        } else {
            found.unsure += 1;
        }
    };
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches('\n');
        fenced ^= body.trim_start().starts_with("```");
        // The level and the moment stand in front.
        let head = &body[..body.floor_char_boundary(64)];
        let colon = memchr::memchr_iter(b':', head.as_bytes()).find_map(|colon| shape::moment(body, colon));
        if !fenced && colon.is_some_and(|moment| shape::is_log_line(body, &moment.range)) {
            run = Some(run.take().map_or(at, |run| run.start)..at + body.len());
        } else {
            close(&mut run);
        }
        at += line.len();
    }
    close(&mut run);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<(&str, String)> {
        find(text).values.into_iter().map(|value| (&text[value.range], value.name)).collect()
    }

    fn one(text: &str, value: &str, name: &str) {
        assert_eq!(values(text), [(value, name.to_owned())], "{text}");
    }

    #[test]
    fn what_is_surely_dynamic() {
        one("The current time is 2024-05-15 15:00:00 EST.", "2024-05-15 15:00:00", "time");
        one("# Current time\n\n2026-11-22T17:51:06Z\n", "2026-11-22T17:51:06Z", "time");
        one("<session_id>sess_01AbCdEf9</session_id>", "sess_01AbCdEf9", "session id");
        one("{\"requestId\": \"req-20261122a\"}", "req-20261122a", "request id");
        one("Your trace id is 4bf92f3577b34da6.", "4bf92f3577b34da6", "trace id");
        one(
            "Session: 6f1c2d3e-0a1b-4c5d-8e9f-001122334455.\n",
            "6f1c2d3e-0a1b-4c5d-8e9f-001122334455",
            "uuid",
        );
        one("timestamp: 1732298000\n", "1732298000", "time");
        one("nonce=9f8e7d6c5b4a", "9f8e7d6c5b4a", "nonce");
        let log = "2026-11-22 17:51:06 INFO worker up\n2026-11-22 17:51:07 WARN slow";
        one(&format!("Recent:\n{log}\n\nGo on."), log, "log");
    }

    #[test]
    fn what_may_not_be_stays() {
        for (text, unsure) in [
            ("Departure 2024-05-15 15:00:00.", 1),
            ("Dates look like e.g. 2024-05-15T15:00:00Z", 1),
            ("current time format: 2024-05-15 15:00:00", 1),
            ("Check in at 15:00, ratio 16:09.", 0),
            ("Today's date: 1/1/2025", 0),
            ("session_id: string", 0),
            ("session_id: the id of the session", 0),
            ("user id: 12345678", 0),
            ("https://x.org/6f1c2d3e-0a1b-4c5d-8e9f-001122334455/a", 1),
            ("https://x.org/?session_id=abc123def", 1),
            ("```\n2026-11-22 17:51:06 INFO up\n```", 1),
        ] {
            assert_eq!(find(text), Found { values: Vec::new(), unsure }, "{text}");
        }
        let many: String = (0..9).map(|n| format!("6f1c2d3e-0a1b-4c5d-8e9f-00112233445{n}\n")).collect();
        assert_eq!(find(&many), Found { values: Vec::new(), unsure: 9 });
    }

    #[test]
    fn the_same_places_whatever_the_values() {
        let prompt = |time: &str, id: &str| {
            format!("You are Ada.\nSession ID: {id}\nThe current time is {time}.\nBe kind.")
        };
        for (time, id) in [
            ("2026-11-22 17:51:06.123456", "6f1c2d3e-0a1b-4c5d-8e9f-001122334455"),
            ("2026-11-22 7:51:06", "00000000-0a1b-4c5d-8e9f-ffffffffffff"),
            ("Sun Nov 22 17:51:06 UTC 2026", "11111111-2222-4c5d-8e9f-ffffffffffff"),
        ] {
            assert_eq!(values(&prompt(time, id)), [(id, "session id".into()), (time, "time".into())]);
        }
    }

    proptest! {
        #[test]
        fn values_stand_apart_in_any_text(text in "(\\PC{0,9}|time: |id=|session id: | is |2026-11-22 1:02:03|\n|INFO |6f1c2d3e-0a1b-4c5d-8e9f-001122334455){0,12}") {
            let found = find(&text);
            let mut end = 0;
            for value in &found.values {
                prop_assert!(value.range.start >= end && !value.range.is_empty());
                prop_assert!(text.get(value.range.clone()).is_some());
                end = value.range.end;
            }
        }
    }
}
