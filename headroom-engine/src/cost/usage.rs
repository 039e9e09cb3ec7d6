//! What the provider counted, read from an answer as it passes.

#[cfg(feature = "bedrock")]
use crate::eventstream::{self, Decoder};
use crate::wire::scan::Scanner;

/// Tokens of one answer, as the upstream counted them. A prompt is `input + cache_read +
/// cache_write` tokens long, whatever the dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Prompt tokens neither read from the provider's cache nor written to it.
    pub input: u64,
    /// Prompt tokens read from the cache.
    pub cache_read: u64,
    /// Prompt tokens written to the cache.
    pub cache_write: u64,
    /// Tokens of the answer, thinking included.
    pub output: u64,
}

impl Usage {
    /// The whole prompt.
    #[must_use]
    pub fn prompt(&self) -> u64 {
        self.input + self.cache_read + self.cache_write
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
            output: self.output + other.output,
        }
    }
}

/// The longest `usage` object that is read, in bytes.
const LONGEST: usize = 8 << 10;
/// Longer than any of the keys looked for.
const KEY: usize = 24;
const KEYS: [&[u8]; 2] = [b"\"usage\":", b"\"usageMetadata\":"];

/// Reads the usage out of an answer's bytes, JSON or events, however they are cut.
///
/// It looks for the key alone: inside a string its quotes would be escaped, so no text of the model
/// is taken for it. Of several objects, each later one counts where it gives a number (they are
/// cumulative). It holds at most 8 KiB and copies nothing else.
///
/// ```
/// use headroom_engine::cost::Meter;
/// let mut meter = Meter::default();
/// meter.push(br#"data: {"choices":[],"usa"#);
/// meter.push(br#"ge":{"prompt_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}}"#);
/// let usage = meter.usage().unwrap();
/// assert_eq!((usage.input, usage.cache_read, usage.output), (4, 8, 3));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// The end of what was seen, or the object under way from its key on.
    held: Vec<u8>,
    inside: bool,
    counts: Option<Counts>,
    #[cfg(feature = "bedrock")]
    begun: bool,
    /// The answer comes in frames, in which events may stand as base64.
    #[cfg(feature = "bedrock")]
    frames: Option<Decoder>,
}

impl Meter {
    /// The next bytes of the answer.
    pub fn push(&mut self, chunk: &[u8]) {
        #[cfg(feature = "bedrock")]
        if !chunk.is_empty() && !std::mem::replace(&mut self.begun, true) && chunk[0] <= 1 {
            // No text begins so, and every frame does.
            self.frames = Some(Decoder::default());
        }
        #[cfg(feature = "bedrock")]
        if let Some(mut frames) = self.frames.take() {
            frames.push(chunk);
            // What cannot be read is not counted.
            while let Some(Ok(message)) = frames.next() {
                match eventstream::chunk_json(&message) {
                    Some(event) => self.text(event.as_bytes()),
                    None => self.text(message.payload()),
                }
            }
            if frames.has_failed() {
                frames.take_rest();
            }
            self.frames = Some(frames);
            return;
        }
        self.text(chunk);
    }

    fn text(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = if self.inside { self.object(rest) } else { self.search(rest) };
        }
    }

    /// What was counted so far; `None` if nothing was.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.counts.map(Counts::usage)
    }

    /// Looks for a key; returns what is behind it.
    fn search<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        // A key cut in two: the end of what was held and the start of this.
        let before = self.held.len();
        self.held.extend_from_slice(&chunk[..chunk.len().min(KEY)]);
        let across = first_key(&self.held).filter(|end| *end > before);
        let found = across.map(|end| end - before).or_else(|| first_key(chunk));
        if let Some(end) = found {
            self.held.clear();
            self.inside = true;
            return &chunk[end..];
        }
        if chunk.len() >= KEY {
            self.held.clear();
            self.held.extend_from_slice(&chunk[chunk.len() - KEY..]);
        } else {
            let from = self.held.len().saturating_sub(KEY);
            self.held.drain(..from);
        }
        &[]
    }

    /// Collects an object up to its end; returns what is behind it.
    fn object<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
        let before = self.held.len();
        self.held.extend_from_slice(&chunk[..chunk.len().min(LONGEST + 1)]);
        for (at, byte) in self.held.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                _ => {}
            }
            if depth == 0 && !quoted {
                let end = at + 1;
                if let Some(counts) = std::str::from_utf8(&self.held[..end]).ok().and_then(Counts::read) {
                    self.counts = Some(self.counts.unwrap_or_default().then(counts));
                }
                self.held.clear();
                self.inside = false;
                return chunk.get(end.saturating_sub(before)..).unwrap_or_default();
            }
        }
        if self.held.len() > LONGEST {
            self.held.clear();
            self.inside = false;
            return chunk.get(LONGEST..).unwrap_or_default();
        }
        &[]
    }
}

/// Where the first key ends.
fn first_key(bytes: &[u8]) -> Option<usize> {
    KEYS.iter().filter_map(|key| Some(memchr::memmem::find(bytes, key)? + key.len())).min()
}

/// The numbers as they stand.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Without what is cached.
    input: Option<u64>,
    /// With it.
    prompt: Option<u64>,
    read: Option<u64>,
    write: Option<u64>,
    output: Option<u64>,
    /// Beside the output, not in it.
    thoughts: Option<u64>,
    /// `input` is with what is cached: it is told in its details.
    within: bool,
}

impl Counts {
    fn read(json: &str) -> Option<Self> {
        let mut counts = Self::default();
        let mut scanner = Scanner::new(json);
        scanner.object(|scanner, key| counts.member(scanner, key)).ok()?;
        Some(counts)
    }

    fn member(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), crate::wire::scan::ScanError> {
        if key.ends_with("_details") && scanner.peek() == b'{' {
            // The cached part of the prompt.
            self.within |= key == "input_tokens_details";
            return scanner
                .object(|scanner, key| match key {
                    "cached_tokens" | "cache_write_tokens" => self.member(scanner, key),
                    _ => scanner.skip().map(|_| ()),
                })
                .map(|_| ());
        }
        let span = scanner.skip()?;
        let slot = match key {
            "input_tokens" | "inputTokens" => &mut self.input,
            "prompt_tokens" | "promptTokenCount" => &mut self.prompt,
            "cache_read_input_tokens"
            | "cached_tokens"
            | "cachedContentTokenCount"
            | "cacheReadInputTokens" => &mut self.read,
            "cache_creation_input_tokens" | "cache_write_tokens" | "cacheWriteInputTokens" => &mut self.write,
            "output_tokens" | "completion_tokens" | "candidatesTokenCount" | "outputTokens" => {
                &mut self.output
            }
            "thoughtsTokenCount" => &mut self.thoughts,
            _ => return Ok(()),
        };
        if let Ok(number) = scanner.body()[span].parse() {
            *slot = Some(number);
        }
        Ok(())
    }

    fn then(self, later: Self) -> Self {
        Self {
            input: later.input.or(self.input),
            prompt: later.prompt.or(self.prompt),
            read: later.read.or(self.read),
            write: later.write.or(self.write),
            output: later.output.or(self.output),
            thoughts: later.thoughts.or(self.thoughts),
            within: later.within || self.within,
        }
    }

    fn usage(self) -> Usage {
        let of = Option::unwrap_or_default;
        let cached = of(self.read) + of(self.write);
        let prompt = self.prompt.or(self.input.filter(|_| self.within));
        let input = prompt.map_or(of(self.input), |prompt| prompt.saturating_sub(cached));
        Usage {
            input,
            cache_read: of(self.read),
            cache_write: of(self.write),
            output: of(self.output) + of(self.thoughts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANTHROPIC: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,",
        "\"cache_creation_input_tokens\":5,\"cache_read_input_tokens\":100,\"cache_creation\":{\"x\":1},",
        "\"output_tokens\":1}}}\n\n",
        "data: {\"delta\":{\"text\":\"say \\\"usage\\\":{\\\"input_tokens\\\":9}\"}}\n\n",
        "data: {\"type\":\"message_delta\",\"usage\": {\"output_tokens\":42}}\n\n",
    );

    fn meter(text: &str) -> Option<Usage> {
        let mut meter = Meter::default();
        meter.push(text.as_bytes());
        meter.usage()
    }

    #[test]
    fn every_dialect_counts_alike() {
        let anthropic = Usage { input: 7, cache_read: 100, cache_write: 5, output: 42 };
        assert_eq!(meter(ANTHROPIC), Some(anthropic));
        let responses = r#"{"response":{"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":2}}}"#;
        assert_eq!(meter(responses).map(|usage| (usage.cache_read, usage.output)), Some((4, 2)));
        assert_eq!(meter(responses).map(|usage| usage.input), Some(6));
        let gemini = r#"[{"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":3,"thoughtsTokenCount":2,"cachedContentTokenCount":4}}]"#;
        assert_eq!(meter(gemini), Some(Usage { input: 5, cache_read: 4, cache_write: 0, output: 5 }));
        assert_eq!(meter("{}"), None);
        assert_eq!(meter("{\"usage\":null}"), None);
    }

    #[cfg(feature = "bedrock")]
    #[test]
    fn frames_count_alike() {
        let of = |stream: &[u8]| {
            let whole = {
                let mut meter = Meter::default();
                meter.push(stream);
                meter.usage()
            };
            let mut meter = Meter::default();
            stream.chunks(5).for_each(|chunk| meter.push(chunk));
            assert_eq!(meter.usage(), whole);
            whole
        };
        let start = eventstream::chunk(
            r#"{"type":"message_start","message":{"usage":{"input_tokens":7,"cache_read_input_tokens":100}}}"#,
        );
        let end = eventstream::chunk(r#"{"type":"message_delta","usage":{"output_tokens":42}}"#);
        let expected = Usage { input: 7, cache_read: 100, cache_write: 0, output: 42 };
        assert_eq!(of(&[start, end].concat()), Some(expected));
        let counts =
            r#"{"usage":{"inputTokens":7,"outputTokens":42,"totalTokens":149,"cacheReadInputTokens":100}}"#;
        assert_eq!(of(&eventstream::event("metadata", counts)), Some(expected));
        assert_eq!(meter(counts), Some(expected));
        assert_eq!(of(&[0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]), None);
    }

    proptest! {
        #[test]
        fn however_it_is_cut(cuts in prop::collection::vec(0usize..ANTHROPIC.len(), 0..40)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut meter = Meter::default();
            let mut from = 0;
            for cut in cuts.into_iter().chain([ANTHROPIC.len()]) {
                meter.push(&ANTHROPIC.as_bytes()[from..cut]);
                from = cut;
            }
            prop_assert_eq!(meter.usage(), super::tests::meter(ANTHROPIC));
        }

        #[test]
        fn any_bytes_pass(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20)) {
            let mut meter = Meter::default();
            for chunk in chunks {
                meter.push(&chunk);
                meter.push(b"\"usage\":{\"a\":[{");
            }
        }
    }
}
