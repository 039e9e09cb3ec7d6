//! Which texts may be rewritten, and what each one answers.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use crate::{
    align::Dynamic,
    ccr::{HandleKey, marker::is_note},
    compress::repeat::{Earlier, Holder, Place},
    history::{self, Chain},
    ledger::LedgerKey,
    price::Size,
    rank::Query,
    reduce::Hints,
    wire::{
        Arguments, BlockKind, Conversation, Message, Role, media,
        scan::{ScanError, Scanner},
        text::{Str, unescape},
    },
};

/// A text of a tool result.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) message: usize,
    pub(crate) block: usize,
    pub(crate) part: usize,
    pub(crate) text: Str,
    /// Of the decoded text.
    pub(crate) digest: [u8; 32],
    /// Of everything that the causal query is made of.
    pub(crate) query: [u8; 32],
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
    call: Option<(usize, usize)>,
    /// The media type that stands beside it.
    pub(crate) media_type: Option<String>,
    /// The user's text before it, its ends if it is long.
    user: Option<Arc<str>>,
}

/// The most bytes that a causal query reads at each end of a text: one long text stands before many
/// blocks.
const END: usize = 8 << 10;

/// What the user asked last.
#[derive(Debug, Default)]
pub(crate) struct Asked(Option<(Arc<str>, Query)>);

impl Asked {
    fn about(&mut self, user: &Arc<str>) -> &Query {
        if self.0.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, user)) {
            self.0 = None;
        }
        let (_, query) = self.0.get_or_insert_with(|| (Arc::clone(user), Query::to_share(user)));
        query
    }
}

/// A tool call, looked at once however many results answer it.
struct Called {
    place: (usize, usize),
    name: Arc<str>,
    /// Of the name and the arguments.
    digest: [u8; 32],
}

impl Candidate {
    /// What the text answers: the call's name and arguments, and the user's text before it, of long
    /// ones both ends.
    ///
    /// The user's text stands before many blocks; `asked` keeps what was made of the last one.
    pub(crate) fn causal_query(&self, body: &str, conversation: &Conversation, asked: &mut Asked) -> Query {
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
        let query = Query::new(texts.iter().map(String::as_str));
        match &self.user {
            Some(user) => query.then(asked.about(user)),
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
            _ => Said::default(),
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

fn ends(text: &str) -> [&str; 2] {
    if text.len() <= 2 * END {
        return [text, ""];
    }
    [&text[..text.floor_char_boundary(END)], &text[text.ceil_char_boundary(text.len() - END)..]]
}

/// The text of a message, as one.
fn said(body: &str, message: &Message) -> String {
    let mut whole = String::new();
    for block in &message.blocks {
        if let BlockKind::Text(text) = &block.kind {
            whole.push_str(&text.decode(body).unwrap_or_default());
        }
    }
    whole
}

/// Every candidate of a conversation, its hash behind the last message, and its key behind each of
/// them. One pass, every text hashed once.
pub(crate) fn walk(
    body: &str,
    conversation: &Conversation,
    dynamic: &Dynamic,
    model: &str,
    key: &HandleKey,
) -> (Vec<Candidate>, Chain, Vec<LedgerKey>) {
    let mut chain = Chain::new(key, model, &history::system_digests(body, conversation, dynamic));
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut keys = Vec::new();
    let mut calls: HashMap<&str, Called> = HashMap::new();
    let mut user: Option<Arc<str>> = None;
    let mut asked = [0; 32];
    let (mut results, mut count, mut written) = (0, 0, [0; 32]);
    let tools = conversation.tools.as_ref();
    let mut before = dynamic.constant_bytes() + tools.map_or(0, |tools| solid(&body[tools.span.clone()]));
    for (at, message) in conversation.messages.iter().enumerate() {
        let first = candidates.len();
        let prefix = Size::of_bytes(before);
        before += length(body, message);
        let mut spoke = false;
        for (block_at, block) in message.blocks.iter().enumerate() {
            match &block.kind {
                BlockKind::Call { id, name, arguments } => {
                    let (name, digest) = called(body, name.as_ref(), arguments);
                    count += 1;
                    written = *blake3::Hasher::new().update(&written).update(&digest).finalize().as_bytes();
                    if let Some(id) = id {
                        calls.insert(id.raw(body), Called { place: (at, block_at), name, digest });
                    }
                }
                BlockKind::Result { call, is_error, texts } => {
                    let called = call.as_ref().and_then(|call| calls.get(call.raw(body)));
                    let query = causal(called, &asked);
                    results += 1;
                    let tool = called.map_or_else(|| Arc::from(""), |called| Arc::clone(&called.name));
                    let span = &body[block.span.clone()];
                    let declares = media::declares(span);
                    for (part, text) in texts.iter().enumerate() {
                        let inside = text.range.start.saturating_sub(block.span.start);
                        candidates.push(Candidate {
                            media_type: declares.then(|| media::declared(span, inside)).flatten(),
                            message: at,
                            block: block_at,
                            part,
                            text: text.clone(),
                            digest: history::text_digest(body, text),
                            query,
                            tool: Arc::clone(&tool),
                            is_error: *is_error,
                            place: Place {
                                holder: Holder::Result,
                                number: results,
                                part: (texts.len() > 1).then_some(part + 1),
                            },
                            calls: count,
                            prefix,
                            written,
                            call: called.map(|called| called.place),
                            user: user.clone(),
                        });
                    }
                }
                BlockKind::Text(_) => spoke = true,
                _ => {}
            }
        }
        // Candidates of this message stand in the order in which the chain meets their texts.
        let mut digests = candidates[first..].iter().map(|candidate| candidate.digest);
        chain.push_message(body, message, dynamic, &mut |_| digests.next().unwrap_or_default());
        keys.push(chain.key());
        if message.role == Role::User && spoke {
            let said = said(body, message);
            asked = *blake3::hash(said.as_bytes()).as_bytes();
            user = Some(ends(&said).join(" ").into());
        }
    }
    (candidates, chain, keys)
}

/// About the bytes of a message, whatever stands between its tokens and however its strings are
/// spelled. What the [`Dynamic`] values stand in is not counted.
fn length(body: &str, message: &Message) -> usize {
    if message.role == Role::System {
        return 0;
    }
    let one = |text: &Str| text.canonical(body).len();
    let blocks = message.blocks.iter().map(|block| match &block.kind {
        BlockKind::Text(text) => one(text),
        BlockKind::Result { texts, .. } => texts.iter().map(one).sum(),
        BlockKind::Call { arguments: Arguments::Value(span), .. } => solid(&body[span.clone()]),
        BlockKind::Call { arguments: Arguments::Text(text), .. } => solid(&text.canonical(body)),
        BlockKind::Call { arguments: Arguments::None, .. } | BlockKind::Thinking | BlockKind::Other => 0,
    });
    blocks.sum()
}

/// About the bytes of `json` that are no white space, the same for every spelling of its strings.
fn solid(json: &str) -> usize {
    // Sums of comparisons, many bytes at once: it is asked of every call's arguments on every turn.
    let sum = |bytes: &[u8], least: u8| {
        let chunks = bytes.chunks(usize::from(u8::MAX));
        chunks.map(|chunk| usize::from(chunk.iter().map(|byte| u8::from(*byte >= least)).sum::<u8>())).sum()
    };
    let worth = |bytes: &[u8]| -> usize {
        let solid: usize = sum(bytes, b' ' + 1);
        match bytes.is_ascii() {
            true => solid,
            // Two for what is 2 or 3 bytes long and four for 4, not one for each.
            false => solid + 2 * sum(bytes, 0xc0) + 2 * sum(bytes, 0xf0) - sum(bytes, 0x80),
        }
    };
    let (mut count, mut at) = (0, 0);
    loop {
        let rest = &json.as_bytes()[at..];
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        count += worth(&rest[..plain]);
        let (length, worth) = match rest.get(plain + 1) {
            _ if plain == rest.len() => return count,
            Some(b'u') => {
                let digits = rest.get(plain + 2..plain + 6).and_then(|digits| str::from_utf8(digits).ok());
                let worth = match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
                    Some(0x20) => 0,
                    Some(..0x80) => 1,
                    _ => 2,
                };
                (6, worth)
            }
            _ => (2, 1),
        };
        count += worth;
        at = json.len().min(at + plain + length);
    }
}

/// A digest of what the causal query is made of.
fn causal(called: Option<&Called>, asked: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(asked);
    if let Some(called) = called {
        hasher.update(&called.digest);
    }
    *hasher.finalize().as_bytes()
}

/// A call's name, and a digest of it and the arguments.
fn called(body: &str, name: Option<&Str>, arguments: &Arguments) -> (Arc<str>, [u8; 32]) {
    let name = name.and_then(|name| name.decode(body)).unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(match arguments {
        Arguments::None => b"",
        Arguments::Value(span) => &body.as_bytes()[span.clone()],
        Arguments::Text(text) => text.raw(body).as_bytes(),
    });
    (name.into(), *hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, Dialect};

    fn candidates(body: &str) -> (Conversation, Vec<Candidate>) {
        let conversation = wire::read(Dialect::AnthropicMessages, body).unwrap();
        let (candidates, ..) = walk(body, &conversation, &Dynamic::default(), "m", &HandleKey::default());
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
    fn lengths_are_the_same_however_they_are_spelled() {
        let one = r#"{"a":"x y\u00e9 \ud83d\ude00\n/","b":[1,2]}"#;
        let other = "{ \"a\" : \"\\u0078 y\u{e9}\\u0020\u{1f600}\\u000a\\/\",\n\"b\": [1, 2] }";
        assert_eq!(solid(one), solid(other));
        assert_eq!(solid(r#"{"a": 1}"#), 7);
        assert_eq!((solid("\\u12"), solid("\\")), (2, 1));
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
        let query = candidates[0].causal_query(&body, &conversation, &mut Asked::default());
        for term in ["saidfirst", "saidlast", "askedfirst", "askedlast", "run"] {
            assert!(query.contains(term), "{term}");
        }
        assert!(!query.contains("middle50000") && query.iter().count() < 10_000);
    }
}
