//! Whether a conversation lists the retrieval tool.

/// When the retrieval tool is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolPresence {
    /// Where the client's own tools can [return bulk](returns_bulk).
    #[default]
    Auto,
    /// Wherever it could be called.
    Always,
    /// Nowhere: exact rewrites only.
    Never,
}

impl ToolPresence {
    /// Whether to list the tool in a conversation whose client lists `tools` (name, description).
    #[must_use]
    pub fn lists<'a>(self, tools: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        match self {
            Self::Auto => returns_bulk(tools),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Whether any of `tools` (name, description) can return enough text to be worth shortening.
#[must_use]
pub fn returns_bulk<'a>(mut tools: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    tools.any(|(name, description)| bulk(name, description))
}

fn bulk(_name: &str, _description: &str) -> bool {
    true
}
