//! Images in user messages and tool results: where they stand.
//!
//! Read only where a policy asks for it, and only inside of blocks that may hold one. Images count
//! from 1 through the whole conversation, those at a URL or in a file included.

use std::{borrow::Cow, ops::Range};

use super::{
    BlockKind, Conversation, Dialect, Role, object_or_skip,
    scan::{ScanError, Scanner},
    text::Str,
};

type Result<T> = std::result::Result<T, ScanError>;

/// An image as the model sees it.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) message: usize,
    pub(crate) block: usize,
    /// Its place among the parts of a tool's result; `None` in what the user sent.
    pub(crate) part: Option<usize>,
    /// The object that holds it.
    pub(crate) span: Range<usize>,
    /// Its bytes, where they stand here and may be replaced.
    pub(crate) data: Option<Data>,
}

/// An image's bytes.
#[derive(Debug)]
pub(crate) struct Data {
    /// Base64, or a data URL.
    pub(crate) text: Str,
    /// The media type that stands beside base64.
    pub(crate) media_type: Option<String>,
    /// The provider looks at a small copy anyway.
    pub(crate) low: bool,
    /// Members of its object that do not say what it is: key, value.
    pub(crate) beside: Vec<(String, Range<usize>)>,
}

impl Data {
    /// As a data URL; `None` if it is no text.
    pub(crate) fn url<'a>(&self, body: &'a str) -> Option<Cow<'a, str>> {
        let text = self.text.decode(body)?;
        Some(match &self.media_type {
            Some(media_type) => format!("data:{media_type};base64,{text}").into(),
            None => text,
        })
    }
}

/// Every image of a conversation, in order; none in a dialect whose tool results cannot hold one.
pub(crate) fn images(dialect: Dialect, body: &str, conversation: &Conversation) -> Vec<Image> {
    let word: &[u8] = match dialect {
        Dialect::AnthropicMessages => b"\"image\"",
        Dialect::OpenAiResponses => b"\"input_image\"",
        // A tool's message holds text alone; a `functionResponse` holds images on some models only.
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    for (message_at, message) in conversation.messages.iter().enumerate() {
        if !matches!(message.role, Role::User | Role::Tool) {
            continue;
        }
        for (block_at, block) in message.blocks.iter().enumerate() {
            let is_result = matches!(block.kind, BlockKind::Result { .. });
            let inside = &body[block.span.clone()];
            let may = is_result || matches!(block.kind, BlockKind::Other);
            if !may || memchr::memmem::find(inside.as_bytes(), word).is_none() {
                continue;
            }
            let mut push = |part: Option<usize>, (span, data): Element| {
                found.push(Image { message: message_at, block: block_at, part, span, data });
            };
            let mut scanner = Scanner::at(body, block.span.start);
            // The body was scanned before; what is none of these shapes holds no image.
            let _ = match is_result {
                true => parts(&mut scanner, dialect, &mut push),
                false => element(&mut scanner, dialect).map(|image| {
                    image.into_iter().for_each(|image| push(None, image));
                }),
            };
        }
    }
    found
}

type Element = (Range<usize>, Option<Data>);

/// The images among the parts of a tool's result.
fn parts(
    scanner: &mut Scanner<'_>,
    dialect: Dialect,
    push: &mut impl FnMut(Option<usize>, Element),
) -> Result<()> {
    let name = if dialect == Dialect::AnthropicMessages { "content" } else { "output" };
    scanner.object(|scanner, key| {
        if key != name || scanner.peek() != b'[' {
            return scanner.skip().map(drop);
        }
        let mut at = 0;
        scanner.array(|scanner| {
            if let Some(image) = element(scanner, dialect)? {
                push(Some(at), image);
            }
            at += 1;
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(())
}

/// The next value, if it is an image.
fn element(scanner: &mut Scanner<'_>, dialect: Dialect) -> Result<Option<Element>> {
    let (mut kind, mut source, mut low) = (None, None, false);
    let mut ambiguous = false;
    let mut beside = Vec::new();
    let span = object_or_skip(scanner, |scanner, key| {
        match (dialect, key) {
            (_, "type") => ambiguous |= kind.replace(scanner.string_or_skip()?).is_some(),
            (Dialect::AnthropicMessages, "source") => {
                ambiguous |= source.replace(read_source(scanner)?).is_some();
            }
            (Dialect::OpenAiResponses, "image_url") => {
                let url = scanner.string_or_skip()?;
                ambiguous |= source.replace(url.map(|url| (url, None))).is_some();
            }
            (Dialect::OpenAiResponses, "detail") => {
                let span = scanner.skip()?;
                low |= &scanner.body()[span] == "\"low\"";
            }
            _ => {
                let value = scanner.skip()?;
                beside.push((key.to_owned(), value));
            }
        }
        Ok(())
    })?;
    let kind = kind.flatten();
    let kind = kind.as_ref().map(|kind: &Str| kind.raw(scanner.body()));
    if !matches!(kind, Some("image" | "input_image")) {
        return Ok(None);
    }
    let source = source.flatten().filter(|_| !ambiguous);
    let data = source.map(|(text, media_type)| Data { text, media_type, low, beside });
    Ok(Some((span, data)))
}

/// The base64 of a `source`, and its media type.
fn read_source(scanner: &mut Scanner<'_>) -> Result<Option<(Str, Option<String>)>> {
    let (mut kind, mut data, mut media_type) = (None, None, None);
    let mut ambiguous = false;
    object_or_skip(scanner, |scanner, key| {
        let slot = match key {
            "type" => &mut kind,
            "data" => &mut data,
            "media_type" => &mut media_type,
            _ => return scanner.skip().map(drop),
        };
        ambiguous |= slot.replace(scanner.string_or_skip()?).is_some();
        Ok(())
    })?;
    let body = scanner.body();
    let base64 = kind.flatten().is_some_and(|kind: Str| kind.raw(body) == "base64");
    let media_type = media_type.flatten().and_then(|text: Str| text.decode(body).map(Into::into));
    Ok(data.flatten().filter(|_| base64 && !ambiguous && media_type.is_some()).zip(Some(media_type)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    fn found(dialect: Dialect, body: &str) -> Vec<(usize, usize, Option<usize>, String)> {
        let conversation = wire::read(dialect, body).unwrap();
        let shown = |image: Image| {
            assert!(body[image.span.clone()].starts_with('{') && body[image.span].ends_with('}'));
            let data = image.data.map_or_else(String::new, |data| {
                let beside: Vec<&str> = data.beside.iter().map(|(key, _)| key.as_str()).collect();
                let media_type = data.media_type.unwrap_or_default();
                format!("{} {media_type} {} {}", data.text.raw(body), data.low, beside.join(","))
            });
            (image.message, image.block, image.part, data)
        };
        images(dialect, body, &conversation).into_iter().map(shown).collect()
    }

    #[test]
    fn images_of_messages_and_results() {
        let body = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"\"image\""},
            {"type":"image","cache_control":{},"source":{"type":"base64","media_type":"image/png","data":"AA"}},
            {"type":"image","source":{"type":"url","url":"x"}}]},
            {"role":"assistant","content":[{"type":"image","source":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"a"},
            {"source":{"data":"BB","media_type":"image/jpeg","type":"base64"},"type":"image"},
            {"type":"image","source":{"type":"base64","media_type":"x","data":"a","data":"b"}}]},
            {"type":"tool_result","content":"\"image\""}]}]}"#;
        let expected = [
            (0, 1, None, "AA image/png false cache_control"),
            (0, 2, None, ""),
            (2, 0, Some(1), "BB image/jpeg false "),
            (2, 0, Some(2), ""),
        ];
        assert_eq!(found(Dialect::AnthropicMessages, body), expected.map(|(a, b, c, d)| (a, b, c, d.into())));
    }

    #[test]
    fn images_of_items_and_outputs() {
        let body = r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:a","detail":"low"}]},
            {"type":"function_call","call_id":"c","name":"run","arguments":"{}"},
            {"type":"function_call_output","call_id":"c","output":[{"type":"input_image","file_id":"f"},
            {"type":"input_image","detail":"auto","image_url":"data:b"}]}]}"#;
        let expected =
            [(0, 0, None, "data:a  true "), (2, 0, Some(0), ""), (2, 0, Some(1), "data:b  false ")];
        assert_eq!(found(Dialect::OpenAiResponses, body), expected.map(|(a, b, c, d)| (a, b, c, d.into())));
    }
}
