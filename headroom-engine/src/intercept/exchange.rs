//! The part of an exchange that JSON and streams, and all dialects, share: what is answered, what is
//! sent next, what is remembered.

mod kept;
mod recorded;

use std::sync::Arc;

use bytes::Bytes;

use kept::Kept;
use recorded::Behind;

use super::{
    Item, Parts, Recall, RetrievalReport,
    format::{self, Format},
    picture::Picture,
    ranking::{Ask, Ranked, Ranking, Said, WORTH},
    raw::{self, Object},
    record::{Digest, Mixed, Restoration},
    round::{Answer, Block, Call, Kind, Round, Stop, Usage},
};
use crate::{
    ccr::{
        self, Arguments, Handle, Unit, Unresolved,
        answer::{bad_arguments, limit_reached, missing, unresolved},
    },
    originals::IMAGE,
    wire::{self, BlockKind},
};

/// What a client reads where the model said nothing it may see; no API takes an empty turn back.
pub(super) const FILLER: &str = "(no answer)";

const REPEATED: &str = "This is the same as an earlier result in this turn; read it there.";

const SHOWN: &str = "This is the same as an earlier result in this conversation; read it there.";

/// Originals of this many bytes, all of a round's, are read at once: a fraction of a millisecond.
const AT_ONCE: usize = 16 << 10;

/// What comes after a round.
#[derive(Debug)]
pub(super) enum Next {
    Redeem(Vec<Handle>),
    Rank(Ranking),
    Send(Bytes),
    Finish(Ending),
}

/// How the whole answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// [`FILLER`] stands for the last round.
    pub(super) filler: bool,
    /// The client is asked to run a tool.
    pub(super) calls_client: bool,
    /// Output tokens of all rounds; `None` if there was but one.
    pub(super) output: Option<u64>,
}

/// What becomes of the rounds' texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Texts {
    /// Each is a block of its own.
    Blocks,
    /// They are one text with this between them, each but the first without white space in front.
    Joined(&'static str),
    /// Only the last round's is part of the answer.
    Last,
}

/// What a call came down to.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    handle: Handle,
    query: Option<String>,
    range: Option<(usize, usize)>,
    unit: Option<Unit>,
}

pub(super) struct Exchange {
    parts: Parts,
    format: &'static dyn Format,
    round: u32,
    stream: bool,
    /// Known once it matters.
    texts: Option<Texts>,
    handles: Vec<(Handle, &'static str)>,
    redeemed: Vec<(Handle, Option<String>)>,
    answered: Vec<Asked>,
    /// What the model has been given whole in this turn.
    whole: Vec<Handle>,
    pending: Option<Round>,
    ranking: Option<(Round, Ranking)>,
    visible: Vec<Item>,
    /// Thinking was written behind a hidden exchange.
    bound_thinking: bool,
    restoration: Restoration,
    /// Where in the request the messages begin that the client does not know.
    hidden: Option<usize>,
    /// What there was behind each of the rounds in them.
    behind: Vec<Behind>,
    /// What the provider keeps of this answer.
    kept: Kept,
    report: RetrievalReport,
}

impl Exchange {
    pub(super) fn new(parts: Parts, stream: bool) -> Self {
        let handles = parts.originals.handles();
        Self {
            format: format::of(parts.dialect),
            parts,
            round: 0,
            stream,
            texts: None,
            handles,
            redeemed: Vec::new(),
            answered: Vec::new(),
            whole: Vec::new(),
            pending: None,
            ranking: None,
            visible: Vec::new(),
            bound_thinking: false,
            restoration: Restoration::default(),
            hidden: None,
            behind: Vec::new(),
            kept: Kept::default(),
            report: RetrievalReport::default(),
        }
    }

    pub(super) fn tool(&self) -> &str {
        &self.parts.tool
    }

    pub(super) fn format(&self) -> &'static dyn Format {
        self.format
    }

    pub(super) fn texts(&self) -> Texts {
        self.texts.unwrap_or(Texts::Blocks)
    }

    fn texts_of_rounds(&self) -> Texts {
        let request = std::str::from_utf8(&self.parts.request).ok().and_then(Object::parse);
        let structured = request.is_some_and(|request| self.format.asks_for_structure(&request));
        if structured && !self.stream { Texts::Last } else { self.format.texts(structured) }
    }

    /// The current round; 0 answers the client's own request.
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    pub(super) fn forgets(&self) -> bool {
        self.parts.recall == Recall::Forget
    }

    pub(super) fn is_durable(&self) -> bool {
        self.parts.recall == Recall::Restore { durable: true }
    }

    pub(super) fn report(&self) -> &RetrievalReport {
        &self.report
    }

    /// Takes the current round's complete answer.
    pub(super) fn take(&mut self, round: Round) -> Next {
        self.count(round.usage);
        if self.keeps() {
            self.keep(&round);
        }
        let ours = round.ours().count();
        self.report.calls += u32::try_from(ours).unwrap_or(u32::MAX);
        self.report.limit_hit |= ours > 0 && self.round >= self.parts.max_rounds;
        if ours > 0 && self.texts.is_none() {
            self.texts = Some(self.texts_of_rounds());
        }
        let forgotten = round.calls_client() && self.forgets();
        let unanswerable = !round.calls_client() && (!round.rebuilt || self.round > self.parts.max_rounds);
        if ours == 0 || round.stop == Stop::Cut || forgotten || unanswerable {
            return self.finish(round);
        }
        let mut absent: Vec<Handle> = Vec::new();
        if self.round < self.parts.max_rounds {
            for call in round.ours() {
                if let Ok(Err(Unresolved::Unknown(digits))) = self.resolve(call).map(|(_, handle)| handle)
                    && let Ok(handle) = digits.parse()
                    && !absent.contains(&handle)
                {
                    absent.push(handle);
                }
            }
        }
        self.redeemed.extend(absent.iter().map(|handle| (*handle, None)));
        if !absent.is_empty() {
            self.drop_foreign(&mut absent);
        }
        if absent.is_empty() {
            return self.answer(round);
        }
        self.pending = Some(round);
        Next::Redeem(absent)
    }

    /// Drops handles that stand in the output of a tool and are not of this request: somebody else
    /// wrote the marker that the model follows. They are answered like those that nobody knows.
    fn drop_foreign(&self, absent: &mut Vec<Handle>) {
        let body = std::str::from_utf8(&self.parts.request).unwrap_or_default();
        let Ok(conversation) = wire::read(self.parts.dialect, body) else { return absent.clear() };
        let results = conversation.messages.iter().flat_map(|message| &message.blocks);
        for block in results {
            let BlockKind::Result { texts, .. } = &block.kind else { continue };
            for text in texts {
                let Some(text) = text.decode(body) else { return absent.clear() };
                absent.retain(|handle| !text.contains(&handle.to_string()));
            }
        }
    }

    /// Takes what the store had. `None` if nothing was asked for.
    pub(super) fn redeemed(&mut self, found: Vec<(Handle, String)>) -> Option<Next> {
        let round = self.pending.take()?;
        for (handle, original) in found {
            match self.redeemed.iter_mut().find(|(known, _)| *known == handle) {
                Some((_, slot)) => *slot = Some(original),
                None => self.redeemed.push((handle, Some(original))),
            }
        }
        Some(self.answer(round))
    }

    /// Takes what the originals say; `None` if they could not be read. `None` if nothing was asked
    /// for.
    pub(super) fn ranked(&mut self, ranked: Option<Ranked>) -> Option<Next> {
        let (round, ranking) = self.ranking.take()?;
        Some(self.said(round, ranked.unwrap_or_else(|| ranking.lost())))
    }

    /// Adds what the provider counted in a round.
    pub(super) fn count(&mut self, usage: Usage) {
        self.report.input_tokens += usage.input;
        self.report.output_tokens += usage.output;
        self.report.cache_read += usage.cache_read;
        self.report.cache_write += usage.cache_write;
    }

    fn resolve(&self, call: &Call) -> Result<(Arguments, Result<Handle, Unresolved>), ccr::BadArguments> {
        let arguments = Arguments::parse(&call.arguments)?;
        let known: Vec<Handle> = self
            .handles
            .iter()
            .map(|(handle, _)| *handle)
            .chain(self.redeemed.iter().map(|(handle, _)| *handle))
            .collect();
        let handle = arguments.resolve(&known);
        Ok((arguments, handle))
    }

    fn original(&self, handle: Handle) -> Option<String> {
        self.parts.originals.get(handle).or_else(|| {
            self.redeemed
                .iter()
                .find(|(known, _)| *known == handle)
                .and_then(|(_, original)| original.clone())
        })
    }

    fn answer(&mut self, round: Round) -> Next {
        let ranking = Ranking {
            asks: round.ours().map(|call| self.ask(call)).collect(),
            budget: self.budget(round.usage),
            whole: self.whole.clone(),
            counter: Arc::clone(&self.parts.counter),
        };
        if ranking.bytes() <= AT_ONCE {
            return self.said(round, ranking.run());
        }
        self.ranking = Some((round, ranking.clone()));
        Next::Rank(ranking)
    }

    /// The most tokens of a round's answers, which must fit into the window behind what is there.
    pub(super) fn budget(&self, usage: Usage) -> usize {
        /// Bytes of a token, about.
        const TOKEN: usize = 4;
        let most = self.parts.answer_budget;
        let Some(window) = self.parts.window else { return most };
        let counted = self.format.prompt(&usage) + usage.output;
        match usize::try_from(counted).unwrap_or(usize::MAX) {
            // Nobody counted, and bytes tell little where there are images.
            0 => most.min(window.saturating_sub(self.parts.request.len() / TOKEN).max(most / 8)),
            used => most.min(window.saturating_sub(used)),
        }
    }

    fn said(&mut self, round: Round, ranked: Ranked) -> Next {
        self.whole = ranked.whole;
        let mut answers = Vec::with_capacity(ranked.said.len());
        for (call, said) in round.ours().zip(ranked.said) {
            let shown = said.is_error || said.picture.is_some() || !self.shows(&said.text);
            let said = if shown { said } else { Said::pointer(SHOWN) };
            self.report.tokens += said.tokens(&*self.parts.counter) as u64;
            answers.push(Answer {
                id: call.id.clone(),
                text: said.text,
                is_error: said.is_error,
                picture: said.picture,
            });
        }
        if round.calls_client() { self.mix(round, &answers) } else { self.hide(round, &answers) }
    }

    /// Whether the request holds this very text, as an earlier turn's retrieval that was put back.
    pub(super) fn shows(&self, text: &str) -> bool {
        text.len() >= WORTH
            && memchr::memmem::find(&self.parts.request, raw::quoted(text).as_bytes()).is_some()
    }

    fn ask(&mut self, call: &Call) -> Ask {
        if self.round >= self.parts.max_rounds {
            return Ask::Said(Said::error(limit_reached().to_owned()));
        }
        let (arguments, handle) = match self.resolve(call) {
            Ok(resolved) => resolved,
            Err(error) => {
                self.report.malformed += 1;
                return Ask::Said(Said::error(bad_arguments(&error)));
            }
        };
        let handle = match handle {
            Ok(handle) => handle,
            Err(error) => {
                self.report.unknown += 1;
                return Ask::Said(Said::error(unresolved(&error, self.handles.iter().copied())));
            }
        };
        let Some(original) = self.original(handle) else {
            self.report.unknown += 1;
            return Ask::Said(Said::error(missing(handle)));
        };
        self.report.handles.push(handle);
        let picture = self.picture(handle, &original);
        // Of an image there are no parts.
        let parts = Some(&arguments).filter(|_| picture.is_none());
        let asked = Asked {
            handle,
            query: parts.and_then(Arguments::query).map(str::to_owned),
            range: parts.and_then(Arguments::range),
            unit: parts.and_then(Arguments::unit),
        };
        if self.answered.contains(&asked) {
            return Ask::Said(Said::pointer(REPEATED));
        }
        self.answered.push(asked);
        match picture {
            Some(picture) => Ask::Said(Said::picture(format!("#{handle}: the image"), picture)),
            None => Ask::Read { handle, arguments, original },
        }
    }

    /// The image that `original` is, where the answer may hold one.
    fn picture(&self, handle: Handle, original: &str) -> Option<Picture> {
        // Of what only the store has, the kind is not known.
        let kind = self.handles.iter().find(|(known, _)| *known == handle).map(|(_, kind)| *kind);
        let may = self.format.shows_pictures() && kind.is_none_or(|kind| kind == IMAGE);
        may.then(|| Picture::parse(original))?
    }

    /// Ours only: the exchange stays between the model and us.
    fn hide(&mut self, round: Round, answers: &[Answer]) -> Next {
        let results = self.format.results(answers, &self.parts.tool);
        let (results, kept) = (self.format.carry(&results), results);
        self.kept.results = kept;
        for block in round.blocks {
            if self.texts() == Texts::Last && matches!(block.kind, Kind::Text(_)) {
                continue;
            }
            if block.is_visible() {
                self.restoration.earlier.push(Digest::of(&block));
            } else if block.is_thinking() {
                self.restoration.thinking.push(Digest::of(&block));
            }
            self.see(block);
        }
        if let Some((request, end)) = self.format.opened(&self.parts.request, self.parts.messages_end) {
            (self.parts.request, self.parts.messages_end) = (request, end);
        }
        let end = self.parts.messages_end.min(self.parts.request.len());
        let insert = round.message.len() + results.len() + 1;
        let mut body = Vec::with_capacity(self.parts.request.len() + insert + 1);
        body.extend_from_slice(&self.parts.request[..end]);
        if !body.trim_ascii_end().ends_with(b"[") {
            body.push(b',');
        }
        self.hidden.get_or_insert(body.len());
        for part in [round.message.as_bytes(), b",", results.as_bytes()] {
            body.extend_from_slice(part);
        }
        self.parts.messages_end = body.len();
        self.behind.push(Behind {
            end: body.len(),
            earlier: self.restoration.earlier.len(),
            thinking: self.restoration.thinking.len(),
            visible: self.visible.len(),
        });
        body.extend_from_slice(&self.parts.request[end..]);
        self.parts.request = body.into();
        self.round += 1;
        self.report.rounds += 1;
        Next::Send(self.parts.request.clone())
    }

    /// Ours beside the client's: the client goes first, ours are put back when it returns.
    fn mix(&mut self, round: Round, answers: &[Answer]) -> Next {
        let mut mixed = Mixed::default();
        for block in &round.blocks {
            if block.is_ours() {
                mixed.calls.push((mixed.visible, block.raw.clone()));
            } else if self.format.neighbours(block) {
                mixed.visible += 1;
            }
        }
        mixed.results = self.format.results(answers, &self.parts.tool);
        self.kept.results.clone_from(&mixed.results);
        self.restoration.mixed = Some(mixed);
        self.finish(round)
    }

    fn finish(&mut self, round: Round) -> Next {
        let earlier = !self.restoration.earlier.is_empty();
        let last = round.blocks.iter().any(Block::is_visible);
        let touched = self.round > 0 || round.ours().next().is_some();
        let calls_client = round.calls_client();
        for block in round.blocks {
            self.see(block);
        }
        let filler = touched && !last && (!earlier || (self.bound_thinking && !self.forgets()));
        if filler {
            self.visible.push(Item::Text(FILLER.to_owned()));
        }
        if !last && !filler {
            // There is no turn of the client's to stand behind the exchange.
            (self.restoration, self.hidden) = (Restoration::default(), None);
            self.behind.clear();
        }
        Next::Finish(Ending {
            filler,
            calls_client,
            output: (self.round > 0).then_some(self.report.output_tokens),
        })
    }

    /// Notes what the client sees of the current round.
    fn see(&mut self, block: Block) {
        self.bound_thinking |= block.is_thinking() && self.round > 0;
        if !block.is_visible() {
            return;
        }
        let item = item(self.texts(), &self.visible, block);
        self.visible.push(item);
    }
}

/// A visible block as one of the client's turn, behind those in `visible`.
fn item(texts: Texts, visible: &[Item], block: Block) -> Item {
    match block.kind {
        Kind::Text(text) => match texts {
            Texts::Joined(joint) if visible.iter().any(|item| matches!(item, Item::Text(_))) => {
                Item::Text(format!("{joint}{}", text.trim_start()))
            }
            _ => Item::Text(text),
        },
        Kind::Call(call) => Item::Call { id: call.id, name: call.name, arguments: call.arguments },
        Kind::Thinking | Kind::Other(_) => Item::Other(block.raw),
    }
}
