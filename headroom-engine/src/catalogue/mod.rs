//! Facts about models, with dates. Everything a provider may change lives here.
//!
//! Rows are looked up by the longest name stem that the model's name contains as whole segments, so
//! `us.anthropic.claude-opus-5-5-v1:0` and `anthropic/claude-opus-5.5` find `claude-opus-5-5`.
//! [`EngineBuilder::model`](crate::EngineBuilder::model) adds rows, or replaces those of the same
//! stem.

mod rows;

use std::borrow::Cow;

/// What is known of a model.
///
/// ```
/// use headroom_engine::catalogue::model;
/// let row = model("claude-opus-5-5");
/// assert!(row.window.is_some_and(|tokens| tokens >= 200_000));
/// assert!(row.price.is_some() && row.cache_read < 1.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Model {
    /// The stem of its names: lower-case segments, joined by `-`.
    pub stem: Cow<'static, str>,
    /// The provider refuses, or drops, a returned thinking block when anything before it differs
    /// from what it was produced under.
    pub checks_prefix: bool,
    /// The most tokens that a request and its answer may have, under the widest setting the provider
    /// offers; `None` if it is not known.
    pub window: Option<u32>,
    /// What tokens cost; `None` if no list price is known.
    pub price: Option<Price>,
    /// Where a longer prompt makes every token dearer.
    pub cliff: Option<Cliff>,
    /// How cached prefixes are found.
    pub matching: Matching,
    /// The least prompt, in tokens, that is cached.
    pub cache_minimum: u32,
    /// What reading a cached token costs, relative to a fresh one.
    pub cache_read: f64,
    /// What writing a token to the cache costs, relative to a fresh one, for the shortest life time.
    pub cache_write: f64,
    /// How long an entry lives after its last use, in seconds, for `cache_write`.
    pub cache_seconds: u32,
    /// A longer life time, for a higher price.
    pub cache_long: Option<LongCache>,
    /// Whose vocabulary counts its tokens.
    pub tokenizer: Tokenizer,
    /// When the row was checked, and against what if not the provider's own pages.
    pub as_of: Cow<'static, str>,
}

/// Safe defaults, for a model nobody listed.
impl Default for Model {
    fn default() -> Self {
        rows::UNKNOWN.clone()
    }
}

/// US dollars for a million fresh tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Of the prompt.
    pub input: f64,
    /// Of the answer.
    pub output: f64,
}

/// A surcharge on long prompts. Cached tokens count towards the length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cliff {
    /// The longest prompt, in tokens, that is free of it.
    pub above: u32,
    /// What every token of the prompt costs beyond it, relative to the list price.
    pub input: f64,
    /// What every token of the answer costs beyond it.
    pub output: f64,
}

/// A cache entry that lives longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongCache {
    /// How long, in seconds.
    pub seconds: u32,
    /// What writing a token costs, relative to a fresh one.
    pub write: f64,
}

/// How a provider finds cached prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Matching {
    /// At breakpoints that the client sets, at most `most`; entries that an earlier request wrote up
    /// to `lookback` positions before each are found.
    Breakpoints {
        /// Breakpoints in a request.
        most: u32,
        /// Positions; a run of calls is one, a run of results is one.
        lookback: u32,
    },
    /// Any earlier prefix, without being asked, in steps of so many tokens.
    Automatic {
        /// Tokens.
        step: u32,
    },
    /// Exactly at written breakpoints: one is managed near the request's end, up to `most` in all are
    /// written, and the last `lookback` are considered.
    Exact {
        /// Breakpoints in a request.
        most: u32,
        /// Earlier breakpoints.
        lookback: u32,
    },
    /// Nothing is known to be cached.
    None,
}

/// A family of vocabularies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tokenizer {
    /// OpenAI's, from GPT-4o on.
    O200k,
    /// OpenAI's before that.
    Cl100k,
    /// Anthropic's, which is not published.
    Claude,
    /// Not known.
    Unknown,
}

impl Model {
    /// A row of safe defaults for models called `stem`; set what is known.
    ///
    /// ```
    /// use headroom_engine::{Engine, catalogue::{Model, Price}};
    /// let mut row = Model::unknown("acme-large");
    /// row.price = Some(Price { input: 1.0, output: 4.0 });
    /// let engine = Engine::builder().model(row).build();
    /// assert_eq!(engine.catalogue().model("acme/large-v2").stem, "acme-large");
    /// ```
    #[must_use]
    pub fn unknown(stem: impl Into<String>) -> Self {
        let stem = segments(&stem.into());
        Self { stem: stem.trim_matches('-').to_owned().into(), ..rows::UNKNOWN.clone() }
    }

    /// What a million tokens of a prompt of `prompt` tokens and of its answer cost.
    #[must_use]
    pub fn price_of(&self, prompt: u32) -> Option<Price> {
        let price = self.price?;
        Some(match self.cliff {
            Some(cliff) if prompt > cliff.above => {
                Price { input: price.input * cliff.input, output: price.output * cliff.output }
            }
            _ => price,
        })
    }
}

/// The row of `name` in the built-in catalogue, or safe defaults.
///
/// ```
/// use headroom_engine::catalogue::model;
/// assert!(model("us.anthropic.claude-opus-5-5-v1:0").checks_prefix);
/// assert!(!model("claude-opus-4-5-20251101").checks_prefix);
/// ```
#[must_use]
pub fn model(name: &str) -> &'static Model {
    longest(rows::MODELS.iter(), &segments(name)).unwrap_or(&rows::UNKNOWN)
}

/// The built-in rows, and a user's own in front of them.
///
/// ```
/// use headroom_engine::catalogue::{Catalogue, Model};
/// let catalogue = Catalogue::default().with(Model::unknown("acme-large"));
/// assert_eq!(catalogue.model("acme-large-v2").stem, "acme-large");
/// assert_eq!(catalogue.model("claude-opus-5-5").stem, "claude-opus-5-5");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    own: Vec<Model>,
}

impl Catalogue {
    /// One more row; it replaces any of the same stem.
    #[must_use]
    pub fn with(mut self, row: Model) -> Self {
        self.own.retain(|own| own.stem != row.stem);
        self.own.push(row);
        self
    }

    /// The row of `name`, or safe defaults.
    #[must_use]
    pub fn model(&self, name: &str) -> &Model {
        let name = segments(name);
        let built_in = longest(rows::MODELS.iter(), &name);
        let own = longest(self.own.iter(), &name);
        match (own, built_in) {
            (Some(own), Some(row)) if row.stem.len() > own.stem.len() => row,
            (Some(own), _) => own,
            (None, row) => row.unwrap_or(&rows::UNKNOWN),
        }
    }

    /// A digest of every row, part of the epoch.
    pub(crate) fn digest(&self, hasher: &mut blake3::Hasher) {
        for row in rows::MODELS.iter().chain([&rows::UNKNOWN]).chain(&self.own) {
            let row = format!("{row:?}");
            hasher.update(&(row.len() as u64).to_le_bytes()).update(row.as_bytes());
        }
    }
}

/// A name in lower-case segments.
fn segments(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// The row with the longest stem that `name` contains as whole segments.
fn longest<'a>(rows: impl Iterator<Item = &'a Model>, name: &str) -> Option<&'a Model> {
    let fits = |stem: &str| {
        name.match_indices(stem).any(|(at, _)| {
            let before = at == 0 || name.as_bytes()[at - 1] == b'-';
            let after = name.as_bytes().get(at + stem.len()).is_none_or(|byte| *byte == b'-');
            before && after
        })
    };
    rows.filter(|row| !row.stem.is_empty() && fits(&row.stem)).max_by_key(|row| row.stem.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_whole_stem_wins() {
        for (name, stem) in [
            ("claude-opus-5-5", "claude-opus-5-5"),
            ("anthropic/claude-opus-5.5", "claude-opus-5-5"),
            ("claude-opus-5-20260801", "claude-opus-5"),
            ("claude-opus-5-55", "claude-opus-5"),
            ("claude-3-haiku", "claude"),
            ("claude-3-5-haiku-20241022", "3-5-haiku"),
            ("gpt-4o", "gpt-4o"),
            ("gpt-5.4-mini", "gpt-5-4-mini"),
            ("gpt-6.1-sol", "gpt-6-1-sol"),
            ("llama-9", ""),
        ] {
            assert_eq!(model(name).stem, stem, "{name}");
            assert_eq!(Catalogue::default().model(name), model(name), "{name}");
        }
    }

    #[test]
    fn a_row_of_the_user_stands_before_ours() {
        let mut row = Model::unknown("Claude Opus 5.5");
        row.cache_minimum = 7;
        let own = Catalogue::default().with(Model::unknown("claude-opus-5-5")).with(row);
        assert_eq!(own.own.len(), 1, "the same stem is replaced");
        assert_eq!(own.model("claude-opus-5-5-v2").cache_minimum, 7);
        assert_eq!(own.model("claude-opus-5"), model("claude-opus-5"));
        // A longer stem of ours knows more of its model than a shorter one of the user's.
        let wide = Catalogue::default().with(Model::unknown("claude"));
        assert_eq!(wide.model("claude-opus-5-5"), model("claude-opus-5-5"));
        assert_eq!(wide.model("claude-2").matching, Matching::None);
    }

    #[test]
    fn an_override_is_another_epoch() {
        let digest = |catalogue: &Catalogue| {
            let mut hasher = blake3::Hasher::new();
            catalogue.digest(&mut hasher);
            hasher.finalize()
        };
        let plain = Catalogue::default();
        let own = plain.clone().with(Model::unknown("acme"));
        assert_eq!(digest(&plain), digest(&Catalogue::default()));
        assert_ne!(digest(&plain), digest(&own));
    }

    #[test]
    fn a_cliff_makes_every_token_dearer() {
        let haiku = model("claude-haiku-5-5");
        let (below, above) = (haiku.price_of(100_000).unwrap(), haiku.price_of(100_001).unwrap());
        assert_eq!((below.input, below.output), (0.10, 0.50));
        assert_eq!((above.input, above.output), (0.50, 2.50));
        assert_eq!(Model::unknown("x").price_of(1), None);
    }

    #[test]
    fn every_row_can_be_true() {
        let mut stems = std::collections::HashSet::new();
        for row in rows::MODELS.iter() {
            let stem = &row.stem;
            assert!(stems.insert(stem), "{stem} twice");
            assert_eq!(segments(stem), **stem);
            assert!(row.cache_read > 0.0 && row.cache_read <= 1.0 && row.cache_write >= 1.0, "{stem}");
            assert!(row.cache_long.is_none_or(|long| long.write > row.cache_write), "{stem}");
            assert!(row.as_of.starts_with("202"), "{stem}");
        }
    }
}
