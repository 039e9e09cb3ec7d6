//! Text that comes in small pieces, kept once.

/// Bytes of a segment: what a text may hold beyond its own length.
const SEGMENT: usize = 16 << 10;

/// A text that grows. A `String` would hold up to twice its length, and both of its places while it
/// moves; this holds segments that stay where they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    full: Vec<String>,
    last: String,
}

impl Pieces {
    pub(super) fn push_str(&mut self, mut more: &str) {
        loop {
            let room = SEGMENT.saturating_sub(self.last.len());
            let (now, rest) = more.split_at(more.floor_char_boundary(room.min(more.len())));
            let needed = self.last.len() + now.len();
            if needed > self.last.capacity() {
                let capacity = (2 * self.last.capacity()).clamp(needed, SEGMENT);
                self.last.reserve_exact(capacity - self.last.len());
            }
            self.last.push_str(now);
            if rest.is_empty() {
                return;
            }
            self.full.push(std::mem::take(&mut self.last));
            more = rest;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.last.is_empty()
    }

    /// The text in one piece, behind `before`; nothing is left here.
    pub(super) fn take(&mut self, before: &str) -> String {
        let whole = std::mem::take(self);
        let length = whole.full.iter().map(String::len).sum::<usize>() + whole.last.len();
        // A closing quote mostly follows.
        let mut out = String::with_capacity(before.len() + length + 1);
        out.push_str(before);
        for segment in whole.full {
            out.push_str(&segment);
        }
        out.push_str(&whole.last);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_says_what_was_pushed_and_holds_little_more(
            pieces in proptest::collection::vec((".{0,9}", 1usize..3000), 0..12),
        ) {
            let (mut text, mut whole) = (Pieces::default(), String::new());
            for (piece, times) in &pieces {
                let piece = piece.repeat(*times);
                text.push_str(&piece);
                whole.push_str(&piece);
                let held = text.full.iter().map(String::capacity).sum::<usize>() + text.last.capacity();
                prop_assert!(held <= whole.len() + SEGMENT, "{} for {}", held, whole.len());
            }
            prop_assert_eq!(text.is_empty(), whole.is_empty());
            prop_assert_eq!(text.take("\""), format!("\"{whole}"));
            prop_assert!(text.is_empty());
        }
    }
}
