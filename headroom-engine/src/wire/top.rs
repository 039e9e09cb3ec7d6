//! What the dialects share: the fields at the top of a body, and a tool's name.

use std::{ops::Range, sync::Arc};

use super::{
    Block, BlockKind, Conversation, Message, Role, Tool, ToolChoice, Tools, array_or_skip, object_or_skip,
    once,
    scan::{ScanError, Scanner},
    text::Str,
};

type Result<T> = std::result::Result<T, ScanError>;

/// The fields of the request itself, each given at most once.
#[derive(Default)]
pub(super) struct Top {
    model: Option<Option<Str>>,
    stream: Option<bool>,
    tools: Option<Option<Tools>>,
    pub(super) tool_choice: Option<ToolChoice>,
    pub(super) system: Option<Vec<Str>>,
    pub(super) thinking: Option<bool>,
    pub(super) several_answers: Option<bool>,
    pub(super) stateful: bool,
    pub(super) stored: bool,
    pub(super) previous: Option<Str>,
    messages: Option<(Vec<Arc<Message>>, Range<usize>)>,
}

impl Top {
    pub(super) fn model(&mut self, scanner: &mut Scanner<'_>) -> Result<()> {
        let found = scanner.string_or_skip()?;
        once(&mut self.model, scanner, found)
    }

    pub(super) fn stream(&mut self, scanner: &mut Scanner<'_>) -> Result<()> {
        let span = scanner.skip()?;
        let found = &scanner.body()[span] == "true";
        once(&mut self.stream, scanner, found)
    }

    pub(super) fn tools(&mut self, scanner: &mut Scanner<'_>, found: Option<Tools>) -> Result<()> {
        once(&mut self.tools, scanner, found)
    }

    /// A number of answers: more than one unless it is 1 or left to the provider.
    pub(super) fn answers(&mut self, scanner: &mut Scanner<'_>) -> Result<()> {
        let span = scanner.skip()?;
        let several = !matches!(&scanner.body()[span], "1" | "null");
        once(&mut self.several_answers, scanner, several)
    }

    pub(super) fn choice(&mut self, scanner: &mut Scanner<'_>, free: bool) -> Result<()> {
        let choice = if free { ToolChoice::Free } else { ToolChoice::Forbidden };
        once(&mut self.tool_choice, scanner, choice)
    }

    pub(super) fn messages(
        &mut self,
        scanner: &mut Scanner<'_>,
        found: (Vec<Arc<Message>>, Range<usize>),
    ) -> Result<()> {
        once(&mut self.messages, scanner, found)
    }

    /// The conversation in an object at `root`; `missing` is said of one without messages.
    pub(super) fn conversation(self, root: Range<usize>, missing: &'static str) -> Result<Conversation> {
        let (messages, messages_span) = self.messages.ok_or(ScanError::Shape(missing))?;
        Ok(Conversation {
            root,
            model: self.model.flatten(),
            stream: self.stream.unwrap_or(false),
            system: self.system.unwrap_or_default(),
            tools_unreadable: matches!(self.tools, Some(None)),
            tools: self.tools.flatten(),
            tool_choice: self.tool_choice.unwrap_or(ToolChoice::Free),
            thinking: self.thinking,
            several_answers: self.several_answers.unwrap_or(false),
            stateful: self.stateful,
            stored: self.stored,
            previous: self.previous,
            linked: false,
            messages,
            messages_span,
        })
    }
}

/// An array of messages: those that are known, and behind them what `next` adds of each element.
pub(super) fn messages(
    scanner: &mut Scanner<'_>,
    mut next: impl FnMut(&mut Scanner<'_>, &mut Vec<Arc<Message>>) -> Result<()>,
) -> Result<(Vec<Arc<Message>>, Range<usize>)> {
    let mut messages = scanner.known();
    let behind = messages.last().map(|known| known.span.end);
    let span = scanner.array_behind(behind, |scanner| next(scanner, &mut messages))?;
    Ok((messages, span))
}

/// An array of tools, each read by `tool`.
pub(super) fn tools(
    scanner: &mut Scanner<'_>,
    mut tool: impl FnMut(&mut Scanner<'_>) -> Result<Tool>,
) -> Result<Option<Tools>> {
    let mut items = Vec::new();
    let span = array_or_skip(scanner, |scanner| {
        items.push(tool(scanner)?);
        Ok(())
    })?;
    Ok(span.map(|span| Tools { span, items, wrapped: false }))
}

/// A tool whose name and description stand at its top; `other` reads the remaining fields.
pub(super) fn tool(
    scanner: &mut Scanner<'_>,
    mut other: impl FnMut(&mut Scanner<'_>, &str) -> Result<()>,
) -> Result<Tool> {
    let mut tool = Tool { name: None, description: None };
    object_or_skip(scanner, |scanner, key| {
        match key {
            "name" => tool.name = scanner.string_or_skip()?,
            "description" => tool.description = scanner.string_or_skip()?,
            _ => other(scanner, key)?,
        }
        Ok(())
    })?;
    Ok(tool)
}

/// Skips a field that says nothing of where things stand.
pub(super) fn pass(scanner: &mut Scanner<'_>, _: &str) -> Result<()> {
    scanner.skip().map(drop)
}

/// A role, by its name.
pub(super) fn role(scanner: &mut Scanner<'_>) -> Result<Role> {
    let found = scanner.string_or_skip()?;
    let name = found.and_then(|found| found.decode(scanner.body()));
    Ok(Role::parse(name.as_deref()))
}

/// A string, or an array of parts of which those of a type in `texts` hold text.
///
/// A refusal's text stands under a name of its own.
pub(super) fn content(scanner: &mut Scanner<'_>, texts: &[&str]) -> Result<Vec<Block>> {
    if scanner.peek() == b'"' {
        let text = scanner.string()?;
        let block = Block { span: text.range.clone(), kind: BlockKind::Text(text) };
        return Ok(vec![block]);
    }
    let mut blocks = Vec::new();
    array_or_skip(scanner, |scanner| {
        let (mut kind, mut text, mut refusal) = (None, None, None);
        let mut ambiguous = false;
        let span = object_or_skip(scanner, |scanner, key| {
            match key {
                "type" => ambiguous |= kind.replace(scanner.string_or_skip()?).is_some(),
                "text" => ambiguous |= text.replace(scanner.string_or_skip()?).is_some(),
                "refusal" => ambiguous |= refusal.replace(scanner.string_or_skip()?).is_some(),
                _ => scanner.skip().map(|_| ())?,
            }
            Ok(())
        })?;
        let kind = kind.flatten();
        let kind = kind.as_ref().map(|kind: &Str| kind.raw(scanner.body())).unwrap_or_default();
        let text = if kind == "refusal" { refusal } else { text };
        let text = text.flatten().filter(|_| !ambiguous && texts.contains(&kind));
        blocks.push(Block { span, kind: text.map_or(BlockKind::Other, BlockKind::Text) });
        Ok(())
    })?;
    Ok(blocks)
}
