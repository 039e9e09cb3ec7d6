//! What an image costs, by provider: pure arithmetic over its size.

/// Who counts an image's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// Claude.
    Anthropic,
    /// GPT, `detail: high`.
    OpenAi,
    /// Gemini.
    Gemini,
}

/// How a provider counts.
#[derive(Clone, Copy, Debug)]
struct Row {
    provider: Provider,
    /// The provider fits an image into a square of this edge before it counts; 0 if it does not.
    edge: u32,
    /// Then the shorter side into this; 0 if it does not.
    short: u32,
    /// And all of it into so many pixels; 0 if it does not.
    pixels: u64,
    count: Count,
    /// When the row was checked.
    #[expect(dead_code, reason = "a date for the reader of the table")]
    as_of: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Count {
    /// One token for so many pixels.
    Pixels(u64),
    /// `base`, and `each` for every tile of this edge; an image within `small` on both sides is one
    /// tile.
    Tiles { base: u64, each: u64, edge: u32, small: u32 },
}

/// Sources: the providers' pages on vision, of that date.
const ROWS: &[Row] = &[
    Row {
        provider: Provider::Anthropic,
        edge: 1568,
        short: 0,
        pixels: 1_150_000,
        count: Count::Pixels(750),
        as_of: "2026-11-22",
    },
    Row {
        provider: Provider::OpenAi,
        edge: 2048,
        short: 768,
        pixels: 0,
        count: Count::Tiles { base: 85, each: 170, edge: 512, small: 0 },
        as_of: "2026-11-22",
    },
    Row {
        provider: Provider::Gemini,
        edge: 0,
        short: 0,
        pixels: 0,
        count: Count::Tiles { base: 0, each: 258, edge: 768, small: 384 },
        as_of: "2026-11-22",
    },
];

impl Provider {
    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.provider == self).unwrap_or(&ROWS[0])
    }

    /// The size at which the provider looks at an image of `width` and `height` pixels.
    #[must_use]
    pub fn seen(self, width: u32, height: u32) -> (u32, u32) {
        let row = self.row();
        let (w, h) = (f64::from(width.max(1)), f64::from(height.max(1)));
        let mut scale = 1f64;
        if row.edge > 0 {
            scale = scale.min(f64::from(row.edge) / w.max(h));
        }
        if row.short > 0 {
            scale = scale.min(f64::from(row.short) / w.min(h));
        }
        if row.pixels > 0 {
            scale = scale.min((row.pixels as f64 / (w * h)).sqrt());
        }
        let fit = |side: f64| ((side * scale).round() as u32).max(1);
        if scale < 1.0 { (fit(w), fit(h)) } else { (width.max(1), height.max(1)) }
    }

    /// The tokens of an image of `width` and `height` pixels.
    ///
    /// ```
    /// use headroom_engine::compress::Provider;
    /// assert_eq!(Provider::Anthropic.tokens(750, 1000), 1000);
    /// assert_eq!(Provider::OpenAi.tokens(1024, 1024), 765);
    /// assert_eq!(Provider::Gemini.tokens(384, 384), 258);
    /// ```
    #[must_use]
    pub fn tokens(self, width: u32, height: u32) -> u64 {
        let (width, height) = self.seen(width, height);
        match self.row().count {
            Count::Pixels(each) => (u64::from(width) * u64::from(height)).div_ceil(each),
            Count::Tiles { each, small, .. } if width <= small && height <= small => each,
            Count::Tiles { base, each, edge, .. } => {
                base + each * u64::from(width.div_ceil(edge)) * u64::from(height.div_ceil(edge))
            }
        }
    }

    /// The edge of a tile; 0 if the provider counts pixels.
    pub(super) fn tile(self) -> u32 {
        match self.row().count {
            Count::Pixels(_) => 0,
            Count::Tiles { edge, .. } => edge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Provider;

    #[test]
    fn tiles_are_counted_at_their_edges() {
        for (provider, width, height, tokens) in [
            (Provider::OpenAi, 512, 512, 255),
            (Provider::OpenAi, 513, 512, 425),
            (Provider::OpenAi, 2048, 4096, 1105),
            (Provider::OpenAi, 1, 1, 255),
            (Provider::Gemini, 384, 384, 258),
            (Provider::Gemini, 385, 384, 258),
            (Provider::Gemini, 768, 769, 516),
            (Provider::Anthropic, 200, 200, 54),
            (Provider::Anthropic, 1568, 100, 210),
            (Provider::Anthropic, 3136, 200, 210),
        ] {
            assert_eq!(provider.tokens(width, height), tokens, "{provider:?} {width}x{height}");
        }
        assert!(Provider::Anthropic.tokens(8000, 8000) <= 1_535);
    }
}
