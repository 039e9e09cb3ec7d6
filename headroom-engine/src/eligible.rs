//! Which texts may be rewritten, and what each one answers.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use crate::{
    ccr::marker::is_note,
    compress::repeat::{Earlier, Holder, Place},
    intercept::{Stored, stored::Called as StoredCall},
    price::Size,
    rank::Query,
    reduce::Hints,
    wire::{
        Arguments, BlockKind, Conversation, Message, Role,
        scan::{ScanError, Scanner},
        text::{Str, unescape},
    },
};

/// A text of a tool result.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) message: usize,
    pub(crate) block: usize,
    pub(crate) part: usize,
    pub(crate) text: Str,
    /// Of the decoded text.
    pub(crate) digest: [u8; 32],
    /// Of everything that the causal query is made of.
    pub(crate) query: [u8; 32],
    /// Of all that decides what becomes of it, whatever stands before it and whatever the policy is.
    pub(crate) own: [u8; 32],
    /// The name of the tool that returned it; empty if unknown.
    pub(crate) tool: Arc<str>,
    pub(crate) is_error: bool,
    /// Which result it is, and which of its texts.
    pub(crate) place: Place,
    /// How many calls stand before it, and a digest of them.
    pub(crate) calls: usize,
    pub(crate) written: [u8; 32],
    /// Of what stands before its message, as the client sent it.
    pub(crate) prefix: Size,
    pub(crate) call: Option<(usize, usize)>,
    /// The arguments of a call that stands elsewhere.
    pub(crate) given: Option<Arc<str>>,
    /// The media type that stands beside it.
    pub(crate) media_type: Option<String>,
    /// The user's text before it, its ends if it is long.
    pub(crate) user: Option<Arc<Asked>>,
}

/// The most bytes that a causal query reads at each end of a text: one long text stands before many
/// blocks.
const END: usize = 8 << 10;

/// What the user asked. What is made of it is made once, however many blocks and requests follow.
#[derive(Debug)]
pub(crate) struct Asked {
    text: Box<str>,
    query: OnceLock<Query>,
}

impl Asked {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), query: OnceLock::new() }
    }

    fn query(&self) -> &Query {
        self.query.get_or_init(|| Query::to_share(&self.text))
    }

    /// About the bytes that it takes, its words included.
    pub(crate) fn bytes(&self) -> usize {
        const WORDS: usize = 8;
        self.text.len() * WORDS
    }
}

impl Candidate {
    /// Its own digest, now that the others stand.
    pub(crate) fn seal(&mut self) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.digest).update(&self.query).update(&[u8::from(self.is_error)]);
        if let Some(media_type) = &self.media_type {
            hasher.update(media_type.as_bytes());
        }
        self.own = *hasher.finalize().as_bytes();
    }

    /// What the text answers: the call's name and arguments, and the user's text before it, of long
    /// ones both ends.
    pub(crate) fn causal_query(&self, body: &str, conversation: &Conversation) -> Query {
        let mut texts = vec![self.tool.to_string()];
        let block =
            self.call.and_then(|(message, block)| conversation.messages.get(message)?.blocks.get(block));
        if let Some(BlockKind::Call { arguments, .. }) = block.map(|block| &block.kind) {
            // Escapes as letters, so that JSON spelled otherwise asks the same.
            let letters = |json: &str| unescape(json).unwrap_or_else(|| json.to_owned());
            match arguments {
                Arguments::None => {}
                Arguments::Value(span) => {
                    texts.extend(ends(&body[span.clone()]).map(letters));
                }
                Arguments::Text(text) => {
                    texts.extend(ends(text.raw(body)).map(|end| letters(&letters(end))));
                }
            }
        }
        texts.extend(self.given.iter().map(ToString::to_string));
        let query = Query::new(texts.iter().map(String::as_str));
        match &self.user {
            Some(user) => query.then(user.query()),
            None => query,
        }
    }

    /// What the call says of the text, and what is declared beside it.
    pub(crate) fn said(&self, body: &str, conversation: &Conversation) -> Said {
        let call =
            self.call.and_then(|(message, block)| conversation.messages.get(message)?.blocks.get(block));
        let said = match call.map(|block| &block.kind) {
            Some(BlockKind::Call { arguments: Arguments::Value(span), .. }) => Said::of(&body[span.clone()]),
            Some(BlockKind::Call { arguments: Arguments::Text(text), .. }) => {
                text.decode(body).map(|json| Said::of(&json)).unwrap_or_default()
            }
            _ => self.given.as_deref().map(Said::of).unwrap_or_default(),
        };
        Said { media_type: self.media_type.clone(), ..said }
    }
}

/// What a call's arguments say of the content of its result, and the result itself.
#[derive(Debug, Default)]
pub(crate) struct Said {
    media_type: Option<String>,
    path: Option<String>,
    command: Option<String>,
}

/// Names of arguments that hold a path, and that hold a command line.
const PATHS: &[&str] = &["path", "file_path", "filePath", "file", "filename", "target_file", "absolute_path"];
const COMMANDS: &[&str] = &["command", "cmd", "script"];

impl Said {
    fn of(arguments: &str) -> Self {
        let mut said = Self::default();
        let mut scanner = Scanner::new(arguments);
        // What is no object says nothing.
        let _ = scanner.object(|scanner, key| {
            let slot = match key {
                key if PATHS.contains(&key) => &mut said.path,
                key if COMMANDS.contains(&key) => &mut said.command,
                _ => return scanner.skip().map(drop),
            };
            let found = match scanner.peek() {
                b'"' => short(scanner)?,
                b'[' => command(&words(scanner)?),
                _ => return scanner.skip().map(drop),
            };
            if slot.is_none() {
                *slot = found;
            }
            Ok(())
        });
        said
    }

    /// A few words on what was called: the file that was read, or the command that was run.
    pub(crate) fn words(&self, tool: &str) -> String {
        let file = || self.hints().file().and_then(|path| path.rsplit(['/', '\\']).next());
        let words = file().or(self.command.as_deref()).unwrap_or(tool);
        let words: String = words.chars().filter(|c| is_note(*c)).take(WORDS).collect();
        words.trim().to_owned()
    }

    /// As hints, of which a path is worth more.
    pub(crate) fn hints(&self) -> Hints<'_> {
        let mut hints = Hints::default();
        if let Some(path) = &self.path {
            hints = hints.path(path);
        }
        if let Some(command) = &self.command {
            hints = hints.command(command);
        }
        if let Some(media_type) = &self.media_type {
            hints = hints.media_type(media_type);
        }
        hints
    }
}

/// The next string, unless it is long.
fn short(scanner: &mut Scanner<'_>) -> Result<Option<String>, ScanError> {
    let text = scanner.string()?;
    let short = !text.longer_than(END, scanner.body());
    Ok(short.then(|| text.decode(scanner.body()).map(Into::into)).flatten())
}

/// The short strings of the next array.
fn words(scanner: &mut Scanner<'_>) -> Result<Vec<String>, ScanError> {
    let mut words = Vec::new();
    scanner.array(|scanner| {
        match scanner.peek() {
            b'"' => words.extend(short(scanner)?),
            _ => {
                scanner.skip()?;
            }
        }
        Ok(())
    })?;
    Ok(words)
}

/// The command line of a program and its arguments; what a shell is given, if it is one.
fn command(words: &[String]) -> Option<String> {
    const SHELLS: &[&str] = &["sh", "bash", "zsh", "dash", "fish"];
    match words {
        [] => None,
        [shell, option, script, ..]
            if SHELLS.contains(&shell.rsplit('/').next().unwrap_or_default())
                && option.starts_with('-')
                && option.ends_with('c') =>
        {
            Some(script.clone())
        }
        words => Some(words.join(" ")),
    }
}

/// Shorter arguments, in bytes, hold no lines worth pointing at.
const WRITTEN: usize = 64;

/// The lines that a call writes: its string arguments, in the order of their names, the long ones.
pub(crate) fn written(body: &str, number: usize, name: &str, arguments: &Arguments) -> Vec<Earlier> {
    let json = match arguments {
        Arguments::None => return Vec::new(),
        Arguments::Value(span) => Cow::Borrowed(&body[span.clone()]),
        Arguments::Text(text) => text.decode(body).unwrap_or_default(),
    };
    let mut texts = Vec::new();
    let mut scanner = Scanner::new(&json);
    // What is no object writes nothing.
    let _ = scanner.object(|scanner, key| {
        if scanner.peek() != b'"' {
            return scanner.skip().map(|_| ());
        }
        texts.push((key.to_owned(), scanner.string()?));
        Ok(())
    });
    texts.sort_by(|one, other| one.0.cmp(&other.0));
    let words = Said::of(&json).words(name);
    let long = texts.iter().enumerate().filter(|(_, (_, text))| text.longer_than(WRITTEN, &json));
    long.filter_map(|(at, (key, text))| {
        let text = text.decode(&json).filter(|text| text.contains('\n'))?;
        let key: String = key.chars().filter(|c| is_note(*c)).take(WORDS).collect();
        let part = (texts.len() > 1).then_some(at + 1);
        Some(Earlier::new(Place { holder: Holder::Call, number, part }, &format!("{key}, {words}"), &text))
    })
    .collect()
}

/// Characters of a call that say which one it was.
const WORDS: usize = 32;

pub(crate) fn ends(text: &str) -> [&str; 2] {
    if text.len() <= 2 * END {
        return [text, ""];
    }
    [&text[..text.floor_char_boundary(END)], &text[text.ceil_char_boundary(text.len() - END)..]]
}

/// Tells the results whose calls stand in a stored answer what they answer.
pub(crate) fn link(
    candidates: &mut [Arc<Candidate>],
    body: &str,
    conversation: &Conversation,
    before: &Stored,
) {
    let asked = Some(&before.asked).filter(|text| !text.is_empty()).map(|text| Arc::new(Asked::new(text)));
    let asked_digest = *blake3::hash(before.asked.as_bytes()).as_bytes();
    let calls: HashMap<&str, (&StoredCall, Arc<str>, Arc<str>)> = before
        .calls
        .iter()
        .map(|call| (call.id.as_str(), (call, call.name.as_str().into(), call.arguments.as_str().into())))
        .collect();
    for candidate in candidates.iter_mut().filter(|candidate| candidate.call.is_none()) {
        let candidate = Arc::make_mut(candidate);
        let block =
            conversation.messages.get(candidate.message).and_then(|it| it.blocks.get(candidate.block));
        let Some(BlockKind::Result { call: Some(id), .. }) = block.map(|block| &block.kind) else { continue };
        let Some((call, name, arguments)) = id.decode(body).and_then(|id| calls.get(&*id)) else { continue };
        candidate.tool = Arc::clone(name);
        candidate.given = Some(Arc::clone(arguments)).filter(|given| !given.is_empty());
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"stored").update(&candidate.query);
        for text in [&call.name, &call.arguments] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        if candidate.user.is_none() {
            candidate.user.clone_from(&asked);
            hasher.update(&asked_digest);
        }
        candidate.query = *hasher.finalize().as_bytes();
        candidate.seal();
    }
}

/// What the user said last; nothing where that stands elsewhere.
pub(crate) fn last_said(body: &str, conversation: &Conversation) -> Option<String> {
    let users = conversation.messages.iter().rev().filter(|message| message.role == Role::User);
    users.map(|message| said(body, message)).find(|said| !said.is_empty())
}

/// The text of a message, as one.
pub(crate) fn said(body: &str, message: &Message) -> String {
    let mut whole = String::new();
    for block in &message.blocks {
        if let BlockKind::Text(text) = &block.kind {
            whole.push_str(&text.decode(body).unwrap_or_default());
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        align::Dynamic,
        ccr::HandleKey,
        walk::Walk,
        wire::{self, Dialect},
    };

    fn candidates(body: &str) -> (Conversation, Vec<Arc<Candidate>>) {
        let conversation = wire::read(Dialect::AnthropicMessages, body).unwrap();
        let dynamic = Dynamic::default();
        let walk = Walk::begin(body, &conversation, &dynamic, "m", &HandleKey::default());
        let (candidates, ..) = walk.finish(body, &conversation, &dynamic).into_parts();
        (conversation, candidates)
    }

    fn body(said: &str, input: &str, results: &str) -> String {
        format!(
            r#"{{"messages":[{{"role":"user","content":"{said}"}},
            {{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"run","input":{{"q":"{input}"}}}}]}},
            {{"role":"user","content":[{results}]}}]}}"#
        )
    }

    #[test]
    fn results_of_one_call_share_what_is_known_of_it() {
        let result = r#"{"type":"tool_result","tool_use_id":"t","content":"x"}"#;
        let body = body("why", "a", &[result; 3].join(","));
        let (_, candidates) = candidates(&body);
        assert_eq!((candidates.len(), &*candidates[0].tool), (3, "run"));
        assert!(candidates.iter().all(|other| std::ptr::eq(&*other.tool, &*candidates[0].tool)));
        assert!(candidates.iter().all(|other| other.query == candidates[0].query));
    }

    #[test]
    fn a_call_says_what_it_read_and_ran() {
        let said = |arguments: &str| {
            let said = Said::of(arguments);
            (said.path, said.command)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            said(r#"{"file_path":"a\u002fb.rs","command":["bash","-lc","rg x | head"],"cmd":1}"#),
            (some("a/b.rs"), some("rg x | head"))
        );
        assert_eq!(said(r#"{"command":["git","log",7,"-p"]}"#), (None, some("git log -p")));
        assert_eq!(said(r#"{"command":[],"path":{"a":1}}"#), (None, None));
        for nothing in ["", "[1]", "{", "7", r#"{"command":[["x"]]}"#] {
            assert_eq!(said(nothing), (None, None), "{nothing}");
        }
    }

    #[test]
    fn a_result_declares_what_it_is() {
        let result = r#"{"type":"tool_result","tool_use_id":"t","content":[
            {"type":"document","source":{"type":"text","media_type":"text/csv","data":"a,b"}},
            {"type":"text","text":"x","mimeType":"text/html"},{"type":"text","text":"y"}]}"#;
        let body = body("why", "a", result);
        let (conversation, candidates) = candidates(&body);
        let said: Vec<Said> =
            candidates.iter().map(|candidate| candidate.said(&body, &conversation)).collect();
        let declared: Vec<_> = said.iter().map(|said| said.hints().declared()).collect();
        assert_eq!(declared, [Some("text/csv"), Some("text/html"), None]);
        assert!(candidates.iter().all(|candidate| (candidate.message, candidate.block) == (2, 0)));
    }

    #[test]
    fn of_a_long_text_the_query_reads_both_ends() {
        let long = |ends: &str| {
            let middle: String = (0..100_000).map(|n| format!(" middle{n} é")).collect();
            format!("{ends}first{middle} {ends}last")
        };
        let body =
            body(&long("said"), &long("asked"), r#"{"type":"tool_result","tool_use_id":"t","content":"x"}"#);
        let (conversation, candidates) = candidates(&body);
        let query = candidates[0].causal_query(&body, &conversation);
        for term in ["saidfirst", "saidlast", "askedfirst", "askedlast", "run"] {
            assert!(query.contains(term), "{term}");
        }
        assert!(!query.contains("middle50000") && query.iter().count() < 10_000);
    }
}
