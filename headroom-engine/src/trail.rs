//! What is known of a conversation from its last request: clients send all of it with every turn, and
//! what was read before is not read again. It can change only the time a request takes.
//!
//! A request is known by its bytes from where its messages begin: hashed in steps of [`GRID`] bytes,
//! each under the one before, and compared behind the last. A message that ends within what is the
//! same is the same, and so is all that stands behind it in a [`Walk`] that began alike.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};

use crate::{
    ccr::HandleKey,
    walk::Walk,
    wire::{Block, Conversation, Dialect, Message},
};

/// Bytes between the points at which a conversation can be found again. Shorter ones are read as fast.
const GRID: usize = 16 << 10;

type Mark = [u8; 32];

/// A conversation as its last request left it.
#[derive(Debug)]
struct Trail {
    marks: usize,
    /// The bytes behind the last mark, to the end of the messages.
    rest: Box<[u8]>,
    messages: Vec<Arc<Message>>,
    walk: Walk,
    /// About the bytes that all this takes.
    bytes: u64,
}

impl Trail {
    fn new(marks: usize, rest: &[u8], messages: Vec<Arc<Message>>, walk: Walk) -> Self {
        /// Of what an `Arc` counts; of the strings of a block.
        const COUNTS: usize = 2 * size_of::<usize>();
        const STRINGS: usize = 32;
        let blocks: usize = messages.iter().map(|message| message.blocks.len()).sum();
        let bytes = size_of::<Self>()
            + messages.len() * (size_of::<Message>() + COUNTS)
            + blocks * (size_of::<Block>() + STRINGS)
            + rest.len()
            + walk.bytes();
        Self { marks, rest: rest.into(), messages, walk, bytes: bytes as u64 }
    }
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Mark, Arc<Trail>> for Bytes {
    fn weight(&self, _: &Mark, trail: &Arc<Trail>) -> u64 {
        trail.bytes
    }
}

/// Conversations that may go on, bounded by bytes.
#[derive(Debug)]
pub(crate) struct Trails {
    /// Each under its last mark.
    trails: Cache<Mark, Arc<Trail>, Bytes>,
    /// The last mark of the trail that passed a mark last.
    passed: Cache<Mark, Mark>,
    key: Mark,
    grid: usize,
}

/// A request beside what is known of its conversation.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    start: usize,
    marks: Vec<Mark>,
    known: Option<(Arc<Trail>, usize)>,
}

impl Trails {
    pub(crate) fn new(bytes: u64, key: &HandleKey) -> Self {
        /// Of a mark that was passed. Of a trail: only sizes the table.
        const PASSED: u64 = 128;
        const TYPICAL: u64 = 32 << 10;
        let items = |bytes: u64, each: u64| usize::try_from(bytes / each).unwrap_or(usize::MAX).max(16);
        Self {
            trails: Cache::with_weighter(items(bytes, TYPICAL).min(1 << 16), bytes - bytes / 8, Bytes),
            passed: Cache::new(items(bytes / 8, PASSED)),
            key: *blake3::keyed_hash(key.bytes(), b"trails 1").as_bytes(),
            grid: GRID,
        }
    }

    pub(crate) fn clear(&self) {
        self.trails.clear();
        self.passed.clear();
    }

    /// Looks for the conversation whose messages begin at `start`.
    pub(crate) fn follow(&self, dialect: Dialect, body: &str, start: usize) -> Followed {
        let bytes = &body.as_bytes()[start..];
        // Offsets are those of the body: it is the same conversation only at the same place.
        let begin = format!("{} {start}", dialect.name());
        let mut mark = *blake3::keyed_hash(&self.key, begin.as_bytes()).as_bytes();
        let chunks = bytes.chunks_exact(self.grid);
        let marks: Vec<Mark> = chunks
            .map(|chunk| {
                mark = *blake3::keyed_hash(&mark, chunk).as_bytes();
                mark
            })
            .collect();
        let passed = |mark| self.trails.get(&self.passed.get(mark)?);
        let found = marks.iter().enumerate().rev().find_map(|(at, mark)| Some((at + 1, passed(mark)?)));
        let known = found.and_then(|(count, trail)| {
            let mut shared = count * self.grid;
            if trail.marks == count {
                let behind = bytes[shared..].iter().zip(&trail.rest);
                shared += behind.take_while(|(one, other)| one == other).count();
            }
            let whole = trail.messages.partition_point(|message| message.span.end <= start + shared);
            // There the last one may go on.
            let joined = usize::from(dialect == Dialect::OpenAiResponses);
            let messages = whole.saturating_sub(joined);
            (messages > 0).then_some((trail, messages))
        });
        Followed { start, marks, known }
    }

    /// Keeps what is known now.
    pub(crate) fn keep(&self, followed: Followed, body: &str, conversation: &Conversation, walk: &Walk) {
        let Followed { start, mut marks, known } = followed;
        // In front of the bracket: where the conversation goes on, a comma stands there.
        let end = conversation.messages_span.end.saturating_sub(1);
        marks.truncate(end.saturating_sub(start) / self.grid);
        // Sent again as it was, it is known as it is.
        let again = |(trail, messages): &(Arc<Trail>, usize)| {
            trail.messages.len() == *messages
                && *messages == conversation.messages.len()
                && trail.walk.began_as(walk)
        };
        let Some(last) = marks.last().copied().filter(|_| !known.as_ref().is_some_and(again)) else { return };
        let rest = &body.as_bytes()[start + marks.len() * self.grid..end];
        let trail = Trail::new(marks.len(), rest, conversation.messages.clone(), walk.clone());
        self.trails.insert(last, Arc::new(trail));
        for mark in marks {
            self.passed.insert(mark, last);
        }
    }
}

impl Followed {
    /// Whether it is the conversation of the array at `start`: a body may hold several.
    pub(crate) fn begins_at(&self, start: usize) -> bool {
        self.start == start
    }

    /// The messages that need not be read again.
    pub(crate) fn messages(&self) -> Vec<Arc<Message>> {
        self.known.as_ref().map_or_else(Vec::new, |(trail, messages)| trail.messages[..*messages].to_vec())
    }

    /// The bytes of those.
    pub(crate) fn bytes(&self) -> usize {
        let last = self.known.as_ref().and_then(|(trail, messages)| trail.messages[..*messages].last());
        last.map_or(0, |message| message.span.end - self.start)
    }

    /// Goes on with a walk that has just begun, from where the known one is the same.
    pub(crate) fn resume(&self, walk: Walk) -> Walk {
        match &self.known {
            Some((trail, messages)) => walk.resumed(&trail.walk, *messages),
            None => walk,
        }
    }
}

#[cfg(test)]
mod tests;
