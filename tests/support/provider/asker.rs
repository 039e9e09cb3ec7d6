//! A model that asks for what was left out, and checks what it gets.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use headroom_engine::ccr::{Handle, Marker};
use serde_json::json;

use super::{
    RETRIEVAL_TOOL, Received,
    replay::{Replay, retrieval_calls},
    script::{Block, Reply, Script, Turn},
};

/// How the model asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// For all that the handle names.
    Whole,
    /// For what the marker's own numbers say.
    Range,
    /// By words.
    Query(String),
}

/// Wraps a [`Replay`]: at chosen turns, when a tool result of the request holds a marker with a
/// handle and the retrieval tool is listed, the model first asks for that original. When it has the
/// answer it checks that it brought something that was hidden and stands in the recorded result,
/// and goes on with what was recorded.
pub struct Asker {
    replay: Replay,
    ask: Box<dyn Fn(usize) -> Option<Question> + Send + Sync>,
    asked: AtomicUsize,
    brought: AtomicUsize,
    complaints: Mutex<Vec<String>>,
}

/// A marker with a handle, where it was seen.
struct Sighting {
    call: String,
    shown: String,
    marker: Marker,
    handle: Handle,
}

impl Asker {
    /// Asks at every turn for which `ask`, given its number from 0, has a question.
    #[must_use]
    pub fn new(replay: Replay, ask: impl Fn(usize) -> Option<Question> + Send + Sync + 'static) -> Self {
        Self {
            replay,
            ask: Box::new(ask),
            asked: AtomicUsize::new(0),
            brought: AtomicUsize::new(0),
            complaints: Mutex::default(),
        }
    }

    /// How often the model asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// How often the answer brought what was hidden.
    #[must_use]
    pub fn brought(&self) -> usize {
        self.brought.load(Ordering::Relaxed)
    }

    /// What was wrong with the answers.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.complaints.lock().expect("no script panicked").clone()
    }

    /// Reads the answer to the question that the request ends with, if it ends with one.
    fn check(&self, request: &Received) -> Option<Result<(), String>> {
        let ours = retrieval_calls(request);
        // One further back was put there again by a layer that remembers.
        let last = request.messages().last()?;
        if last["role"] != "tool" && last["content"][0]["type"] != "tool_result" {
            return None;
        }
        let (id, answer) = request.results().pop().filter(|(id, _)| ours.contains(id))?;
        let Some(index) = id.rsplit('_').next().and_then(|index| index.parse::<usize>().ok()) else {
            return Some(Err(format!("{id} is no id of this model's")));
        };
        let seen = sightings(request);
        let Some(sighting) = seen.get(index) else {
            return Some(Err("the marker that was asked for is gone".to_owned()));
        };
        let sources: HashMap<String, String> =
            self.replay.conversation(request).map(|known| known.results().clone()).unwrap_or_default();
        let Some(source) = sources.get(&sighting.call) else {
            return Some(Err(format!("no recorded result for {}", sighting.call)));
        };
        let shown = squeeze(&sighting.shown);
        // What was brought before is only pointed at.
        let answer = match answer.contains("read it there") {
            true => request
                .results()
                .iter()
                .filter(|(id, _)| ours.contains(id))
                .map(|(_, text)| squeeze(text))
                .collect(),
            false => squeeze(&answer),
        };
        let brought = fragments(source).any(|hidden| !shown.contains(&hidden) && answer.contains(&hidden));
        Some(if brought { Ok(()) } else { Err(format!("nothing that {} hid came back", sighting.marker)) })
    }

    fn question(&self, request: &Received) -> Option<Turn> {
        let question = (self.ask)(self.replay.turn(request))?;
        if !request.tools().any(|name| name == RETRIEVAL_TOOL) {
            return None;
        }
        let seen = sightings(request);
        let (index, sighting) = seen.iter().enumerate().next_back()?;
        let handle = sighting.handle.to_string();
        let arguments = match question {
            Question::Whole => json!({"handle": handle}),
            Question::Range => {
                json!({"handle": handle, "range": format!("{}-{}", sighting.marker.first(), sighting.marker.last())})
            }
            Question::Query(words) => json!({"handle": handle, "query": words}),
        };
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let mut blocks = vec![
            Block::Text("Something was left out here; I look at it first.\n".to_owned()),
            Block::call(format!("toolu_original_{number}_{index}"), RETRIEVAL_TOOL, arguments),
        ];
        if request.thinking() {
            blocks.insert(0, Block::Thinking("The marker hides what I need.".to_owned()));
        }
        Some(Turn::new(blocks))
    }
}

impl Script for Asker {
    fn answer(&self, request: &Received) -> Reply {
        match self.check(request) {
            Some(Ok(())) => {
                self.brought.fetch_add(1, Ordering::Relaxed);
            }
            Some(Err(complaint)) => {
                self.complaints.lock().expect("no script panicked").push(complaint);
            }
            None => {
                if let Some(turn) = self.question(request) {
                    return turn.into();
                }
            }
        }
        self.replay.answer(request)
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker")
            .field("asked", &self.asked)
            .field("brought", &self.brought)
            .finish_non_exhaustive()
    }
}

/// Every marker with a handle in the results of the client's tools, in order.
fn sightings(request: &Received) -> Vec<Sighting> {
    let ours = retrieval_calls(request);
    let mut found = Vec::new();
    for (call, shown) in request.results().into_iter().filter(|(id, _)| !ours.contains(id)) {
        for (at, _) in shown.match_indices("[~") {
            let parsed = Marker::parse_prefix(&shown[at..]).map(|(marker, _)| marker);
            if let Some((marker, handle)) = parsed.and_then(|marker| Some((marker.clone(), marker.handle()?)))
            {
                found.push(Sighting { call: call.to_owned(), shown: shown.clone(), marker, handle });
            }
        }
    }
    found
}

/// Pieces of a source that are told apart: its lines, or, where it has few, what commas part.
fn fragments(source: &str) -> impl Iterator<Item = String> + '_ {
    let separator = if source.lines().count() > 3 { '\n' } else { ',' };
    source.split(separator).map(squeeze).filter(|fragment| fragment.len() >= 6)
}

/// White space aside, which a JSON rewrite may change.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect()
}
