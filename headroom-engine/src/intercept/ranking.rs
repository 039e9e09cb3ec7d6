//! Reading the originals that a round asks for: the one long step of an exchange.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::picture::{self, Picture};
use crate::{
    ccr::{
        self, Arguments, Handle,
        answer::{Request, unreadable},
    },
    tokens::TokenCounter,
};

/// What a model reads that asks again for what it was given whole.
const WHOLE: &str = "All of this text stands in an earlier result in this turn; read it there.";

/// Bytes of a text that saying where it stands is shorter than.
pub(super) const WORTH: usize = 256;

/// Originals to be read for a round's retrievals: linear in their length, so perhaps milliseconds.
///
/// [`run`](Self::run) it anywhere, then give the result to the exchange's `ranked`.
#[derive(Clone)]
#[must_use]
pub struct Ranking {
    pub(super) asks: Vec<Ask>,
    /// The most tokens of all answers.
    pub(super) budget: usize,
    /// What the model has been given whole.
    pub(super) whole: Vec<Handle>,
    pub(super) counter: Arc<dyn TokenCounter>,
}

/// One call of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// It is answered already.
    Said(Said),
    Read {
        handle: Handle,
        arguments: Arguments,
        original: String,
    },
}

/// What a call is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) is_error: bool,
    /// Behind the text.
    pub(super) picture: Option<Picture>,
}

/// What came of a [`Ranking`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    pub(super) said: Vec<Said>,
    pub(super) whole: Vec<Handle>,
}

impl Said {
    pub(super) fn error(text: String) -> Self {
        Self { text, is_error: true, picture: None }
    }

    pub(super) fn picture(text: String, picture: Picture) -> Self {
        Self { text, is_error: false, picture: Some(picture) }
    }

    /// What it costs to read.
    pub(super) fn tokens(&self, counter: &dyn TokenCounter) -> usize {
        counter.count(&self.text) + self.picture.as_ref().map_or(0, |_| picture::TOKENS)
    }

    pub(super) fn pointer(text: &str) -> Self {
        Self { text: text.to_owned(), is_error: false, picture: None }
    }
}

impl Ranking {
    /// Bytes that will be read.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let length = |ask: &Ask| match ask {
            Ask::Said(_) => 0,
            Ask::Read { original, .. } => original.len(),
        };
        self.asks.iter().map(length).sum()
    }

    /// Reads them. Never panics: what cannot be read is answered with an error.
    pub fn run(self) -> Ranked {
        let Self { asks, mut budget, mut whole, counter } = self;
        let mut left = asks.len();
        let mut said = Vec::with_capacity(left);
        for ask in asks {
            let answer = match ask {
                Ask::Said(answer) => answer,
                Ask::Read { handle, .. } if whole.contains(&handle) => Said::pointer(WHOLE),
                Ask::Read { handle, arguments, original } => {
                    let request = Request::of(handle, &arguments, budget / left.max(1));
                    let read = || ccr::answer(&original, &request, counter.as_ref());
                    match catch_unwind(AssertUnwindSafe(read)) {
                        Ok(text) => {
                            if original.len() >= WORTH && text.ends_with(&original) {
                                whole.push(handle);
                            }
                            Said { text, is_error: false, picture: None }
                        }
                        Err(_) => Said::error(unreadable(handle)),
                    }
                }
            };
            budget = budget.saturating_sub(answer.tokens(counter.as_ref()));
            left -= 1;
            said.push(answer);
        }
        Ranked { said, whole }
    }

    /// The same where it could not be run.
    pub(super) fn lost(self) -> Ranked {
        let answer = |ask| match ask {
            Ask::Said(answer) => answer,
            Ask::Read { handle, .. } => Said::error(unreadable(handle)),
        };
        Ranked { said: self.asks.into_iter().map(answer).collect(), whole: self.whole }
    }
}

/// Handles only, never content.
impl fmt::Debug for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranking").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl PartialEq for Ranking {
    fn eq(&self, other: &Self) -> bool {
        (&self.asks, self.budget, &self.whole) == (&other.asks, other.budget, &other.whole)
    }
}

impl Eq for Ranking {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ccr::HandleKey, tokens::O200k};

    /// Breaks at long texts that hold this word.
    #[derive(Debug)]
    struct Breaks;

    impl TokenCounter for Breaks {
        fn count(&self, text: &str) -> usize {
            assert!(text.len() < 200 || !text.contains("broken"), "on purpose");
            O200k.count(text)
        }

        fn family(&self) -> &str {
            "breaks"
        }
    }

    fn ranking(originals: &[&str], counter: Arc<dyn TokenCounter>) -> Ranking {
        let ask = |original: &&str| {
            let handle = Handle::new(&HandleKey::default(), "text", original);
            let arguments = Arguments::parse(&format!("{{\"handle\":\"{handle}\"}}")).unwrap();
            Ask::Read { handle, arguments, original: (*original).to_owned() }
        };
        Ranking { asks: originals.iter().map(ask).collect(), budget: 1000, whole: Vec::new(), counter }
    }

    #[test]
    fn a_panic_is_an_error_that_the_model_can_read() {
        let long = "broken words, line after line\n".repeat(300);
        let ranked = ranking(&["fine", &long], Arc::new(Breaks)).run();
        assert!(!ranked.said[0].is_error && ranked.said[0].text.ends_with("fine"));
        assert!(ranked.said[1].is_error && ranked.said[1].text.contains("could not be read"));
        let lost = ranking(&["fine"], Arc::new(O200k)).lost();
        assert!(lost.said[0].is_error && lost.whole.is_empty());
    }

    #[test]
    fn what_was_given_whole_is_pointed_at() {
        let (long, other) = ("one line of it\n".repeat(40), "other\n".repeat(80));
        let ranked = ranking(&[&long, &other, &long, "short", "short"], Arc::new(O200k)).run();
        assert_eq!(ranked.said[2], Said::pointer(WHOLE));
        assert!(ranked.said[4].text.ends_with("short"), "costs no more than saying so");
        assert_eq!(ranked.whole.len(), 2);
    }

    #[test]
    fn the_budget_is_shared() {
        let long = "words and more words\n".repeat(3000);
        let other = long.replace("more", "other");
        let ranked = ranking(&[&long, &other], Arc::new(O200k)).run();
        let tokens: Vec<usize> = ranked.said.iter().map(|said| O200k.count(&said.text)).collect();
        assert!(tokens.iter().all(|tokens| (400..700).contains(tokens)), "{tokens:?}");
        assert!(ranked.whole.is_empty());
    }
}
