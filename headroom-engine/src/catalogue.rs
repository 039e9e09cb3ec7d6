//! Facts about models, with dates. Everything a provider may change lives here.
//!
//! Rows are looked up by the longest name stem that the model's name contains as whole segments, so
//! `us.anthropic.claude-opus-5-5-v1:0` and `anthropic/claude-opus-5.5` find `claude-opus-5-5`.

/// What is known of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Model {
    /// The stem of its names.
    pub stem: &'static str,
    /// The provider refuses, or drops, a returned thinking block when anything before it differs
    /// from what it was produced under.
    pub checks_prefix: bool,
    /// The least prompt, in tokens, that is cached.
    pub cache_minimum: u32,
    /// What reading a cached token costs, relative to a fresh one.
    pub cache_read: f64,
    /// What writing a token to the cache costs, relative to a fresh one.
    pub cache_write: f64,
    /// When the row was checked.
    pub as_of: &'static str,
}

const fn row(stem: &'static str, checks_prefix: bool, cache_minimum: u32, read: f64, write: f64) -> Model {
    Model { stem, checks_prefix, cache_minimum, cache_read: read, cache_write: write, as_of: "2026-11-22" }
}

/// Sources: the providers' prompt-caching and preserved-thinking pages of that date. Models whose
/// minimum is not published take their predecessor's.
const MODELS: &[Model] = &[
    row("claude-fable-5", false, 512, 0.1, 1.25),
    row("claude-fable-5-1", true, 512, 0.025, 1.25),
    row("claude-fable-5-2", true, 512, 0.025, 1.25),
    row("claude-mythos-5", false, 512, 0.1, 1.25),
    row("claude-mythos-5-1", true, 512, 0.025, 1.25),
    row("claude-mythos-5-2", true, 512, 0.025, 1.25),
    row("claude-opus-5", false, 512, 0.1, 1.25),
    row("claude-opus-5-5", true, 512, 0.05, 1.25),
    row("claude-sonnet-5", false, 1024, 0.1, 1.25),
    row("claude-sonnet-5-5", true, 1024, 0.05, 1.25),
    row("claude-haiku-5-5", true, 1024, 0.1, 1.25),
    row("claude-opus-4-7", false, 2048, 0.1, 1.25),
    row("claude-opus-4-6", false, 4096, 0.1, 1.25),
    row("claude-opus-4-5", false, 4096, 0.1, 1.25),
    row("claude-haiku-4-5", false, 4096, 0.1, 1.25),
    row("claude-haiku-3-5", false, 2048, 0.1, 1.25),
    row("claude", false, 1024, 0.1, 1.25),
    row("gpt-5-6", false, 1024, 0.1, 1.25),
    row("gpt-6", false, 1024, 0.1, 1.25),
    row("gpt-6-1-sol", false, 1024, 0.05, 1.25),
    row("gpt", false, 1024, 0.1, 1.0),
];

/// For models nobody listed: checks the prefix, since believing otherwise could break a request.
const UNKNOWN: Model = row("", true, 1024, 0.1, 1.25);

/// The row of `name`, or safe defaults.
///
/// ```
/// use headroom_engine::catalogue::model;
/// assert!(model("us.anthropic.claude-opus-5-5-v1:0").checks_prefix);
/// assert!(!model("claude-opus-4-5-20251101").checks_prefix);
/// ```
#[must_use]
pub fn model(name: &str) -> &'static Model {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let fits = |stem: &str| {
        name.match_indices(stem).any(|(at, _)| {
            let before = at == 0 || name.as_bytes()[at - 1] == b'-';
            let after = name.as_bytes().get(at + stem.len()).is_none_or(|byte| *byte == b'-');
            before && after
        })
    };
    MODELS.iter().filter(|row| fits(row.stem)).max_by_key(|row| row.stem.len()).unwrap_or(&UNKNOWN)
}

/// A digest of every row, part of the epoch.
pub(crate) fn digest(hasher: &mut blake3::Hasher) {
    for row in MODELS.iter().chain([&UNKNOWN]) {
        hasher.update(format!("{row:?}").as_bytes());
    }
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
            ("gpt-4o", "gpt"),
            ("gpt-6.1-sol", "gpt-6-1-sol"),
            ("llama-9", ""),
        ] {
            assert_eq!(model(name).stem, stem, "{name}");
        }
    }
}
