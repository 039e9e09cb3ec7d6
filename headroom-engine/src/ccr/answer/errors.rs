//! What the model reads when a retrieval cannot be answered.

use std::fmt::Write as _;

use crate::ccr::{BadArguments, Handle, Unresolved};

/// How many handles an error lists.
const LISTED: usize = 20;

/// What the model reads when its handle names nothing: what went wrong, and up to 20 handles it
/// may use, each with what it stands for.
#[must_use]
pub fn unresolved<'a>(error: &Unresolved, known: impl IntoIterator<Item = (Handle, &'a str)>) -> String {
    let mut out = format!("Error: {error}.");
    let mut known = known.into_iter().peekable();
    if known.peek().is_none() {
        out.push_str(" Nothing is left out here: all text is as you see it.");
        return out;
    }
    out.push_str(" Handles you can use:");
    for (handle, what) in known.by_ref().take(LISTED) {
        let what: String = what.chars().filter(|c| !c.is_control()).take(80).collect();
        let _ = write!(out, "\n{handle} {what}");
    }
    let more = known.count();
    if more > 0 {
        let _ = write!(out, "\nand {more} more");
    }
    out
}

/// What the model reads when its arguments cannot be understood.
#[must_use]
pub fn bad_arguments(error: &BadArguments) -> String {
    format!("Error: {error}.")
}

/// What the model reads when a known handle's original is not to be had any more.
#[must_use]
pub fn missing(handle: Handle) -> String {
    format!("Error: the text behind {handle} is no longer available. Run the tool that returned it again.")
}

/// What the model reads when an original is there and cannot be searched.
#[must_use]
pub fn unreadable(handle: Handle) -> String {
    format!("Error: the text behind {handle} could not be read. Run the tool that returned it again.")
}

/// What the model reads when it has asked too often in one turn.
#[must_use]
pub fn limit_reached() -> &'static str {
    "Error: no more retrievals in this turn. Answer with what you have."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ccr::HandleKey;

    #[test]
    fn errors_say_what_to_do() {
        let known: Vec<Handle> =
            (0..30).map(|at| Handle::new(&HandleKey::default(), "text", &at.to_string())).collect();
        let text = unresolved(
            &Unresolved::Unknown("123456789".into()),
            known.iter().map(|handle| (*handle, "Bash, 300 lines")),
        );
        assert_eq!(text.lines().count(), 1 + LISTED + 1);
        assert!(text.contains(&known[0].to_string()) && text.ends_with("and 10 more"));
        assert!(unresolved(&Unresolved::TooShort("1".into()), []).contains("Nothing is left out"));
        assert!(limit_reached().contains("Answer with what you have"));
    }
}
