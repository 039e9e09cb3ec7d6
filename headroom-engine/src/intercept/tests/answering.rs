//! How much is answered, and what is only pointed at.

use super::*;
use crate::intercept::{exchange::Exchange, round::Usage};

fn exchange(script: &Script) -> Exchange {
    Exchange::new(script.continuation(&Arc::default()).parts, false)
}

#[test]
fn answers_keep_to_what_is_left_of_the_window() {
    let counted = Usage { input: 500, output: 100, cache_read: 300, cache_write: 50 };
    let nobody = Usage::default();
    for (window, usage, anthropic, openai) in [
        (None, counted, 1000, 1000),
        (Some(100_000), counted, 1000, 1000),
        // Anthropic counts what the cache has beside the input, the others in it.
        (Some(1000), counted, 50, 400),
        (Some(600), counted, 0, 0),
        (Some(100_000), nobody, 1000, 1000),
        (Some(10), nobody, 125, 125),
    ] {
        for (mut script, expected) in [(Script::anthropic(), anthropic), (Script::openai(), openai)] {
            script.window = window;
            assert_eq!(exchange(&script).budget(usage), expected, "{window:?} {:?}", script.dialect);
        }
    }
}

#[test]
fn what_an_earlier_turn_still_shows_is_known() {
    let text = "#1: all 40 lines\n".to_owned() + &"\"quoted\" line é\n".repeat(40);
    let mut script = Script::anthropic();
    assert!(!exchange(&script).shows(&text));
    let result =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": text}]});
    script.request["messages"].as_array_mut().unwrap().push(result);
    assert!(exchange(&script).shows(&text));
    assert!(!exchange(&script).shows(&text[..200]), "shorter than saying so");
}
