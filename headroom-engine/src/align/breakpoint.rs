//! Cache breakpoints where the client set none: what does not change carries one of its own, and the
//! provider manages the one at the end.

use crate::{
    catalogue::{Matching, Model, Tokenizer},
    ledger::LedgerKey,
    wire::{Conversation, Dialect, Role, splice::Edit, text::Str},
};

const ANTHROPIC: &str = ",\"cache_control\":{\"type\":\"ephemeral\"}";
#[cfg(feature = "bedrock")]
const BEDROCK: &str = ",{\"cachePoint\":{\"type\":\"default\"}}";
const OPENAI: &str = ",\"prompt_cache_breakpoint\":{\"mode\":\"explicit\"}";

/// The edits that set them, and how many they set: none where the client has its own, where more
/// turns are not to be expected, or where the model would not cache the prefix. `begins` is the key of
/// the conversation's first words: it routes the turns of one conversation to one cache.
pub(crate) fn edits(
    dialect: Dialect,
    body: &str,
    conversation: &Conversation,
    model: &Model,
    begins: Option<LedgerKey>,
) -> (Vec<Edit>, u32) {
    let none = (Vec::new(), 0);
    let leading = conversation.messages.iter().take_while(|message| message.role == Role::System);
    let texts: Vec<&Str> =
        conversation.system.iter().chain(leading.flat_map(|message| message.texts())).collect();
    // Without tools more turns are not to be expected.
    let Some(tools) = conversation.tools.as_ref().filter(|tools| !tools.items.is_empty()) else {
        return none;
    };
    let bytes = tools.span.len() + texts.iter().map(|text| text.range.len()).sum::<usize>();
    // Four bytes a token, at least.
    if bytes / 4 < model.cache_minimum as usize {
        return none;
    }
    let root = conversation.root.end - 1;
    let at_root = |text: String| Edit { span: root..root, text: text.into() };
    let mut edits = Vec::new();
    let mut count = 0;
    let kind = if dialect == Dialect::OpenAiResponses { "input_text" } else { "text" };
    let content = ("\"content\"", kind);
    match (dialect, model.matching) {
        (Dialect::AnthropicMessages, Matching::Breakpoints { most, .. })
            if most >= 2 && !has(body, "\"cache_control\"") =>
        {
            if let Some(mark) =
                texts.last().and_then(|text| mark(body, text, ("\"system\"", kind), ANTHROPIC))
            {
                edits.extend(mark);
                count += 1;
            }
            // Where the path names the model, Amazon's and Google's, the field may not be known.
            if conversation.model.is_some() {
                edits.push(at_root(ANTHROPIC.to_owned()));
                count += 1;
            }
        }
        // A point behind the last words would stand elsewhere in the next turn; there is no field that
        // has the provider manage one.
        #[cfg(feature = "bedrock")]
        (Dialect::BedrockConverse, Matching::Breakpoints { most, .. })
            if most >= 1 && !has(body, "\"cachePoint\"") =>
        {
            let close = |text: &&Str| {
                let end = text.range.end;
                let blank = body[end..].len() - body[end..].trim_start().len();
                body[end + blank..].starts_with('}').then_some(end + blank + 1)
            };
            // Tools stand before the prompt, and alone where there is none.
            let behind = match texts.last() {
                Some(text) => close(text),
                None => Some(tools.span.end - 1),
            };
            if let Some(at) = behind {
                edits.push(Edit { span: at..at, text: BEDROCK.into() });
                count += 1;
            }
        }
        (
            Dialect::OpenAiChat | Dialect::OpenAiResponses,
            Matching::Automatic { .. } | Matching::Exact { .. },
        ) if model.tokenizer != Tokenizer::Unknown
            && !conversation.stateful
            && !has(body, "\"prompt_cache_") =>
        {
            let exact = matches!(model.matching, Matching::Exact { .. });
            // `instructions` are no block that could carry one.
            let blocks = conversation.system.is_empty() || texts.len() > conversation.system.len();
            let last = texts.last().filter(|_| exact && blocks);
            if let Some(mark) = last.and_then(|text| mark(body, text, content, OPENAI)) {
                edits.extend(mark);
                count += 1;
            }
            if let Some(key) = begins {
                let key = blake3::hash(&key.to_bytes()).to_hex();
                edits.push(at_root(format!(",\"prompt_cache_key\":\"{}\"", &key[..32])));
            }
        }
        _ => {}
    }
    (edits, count)
}

/// Whether a key that begins so stands anywhere; inside a string its quote would be escaped.
fn has(body: &str, key: &str) -> bool {
    memchr::memmem::find_iter(body.as_bytes(), key).any(|at| at == 0 || body.as_bytes()[at - 1] != b'\\')
}

/// Adds `field` to the block of a text; a string that stands for one, under the key `alone`, becomes
/// it, of type `kind`.
fn mark(body: &str, text: &Str, (alone, kind): (&str, &str), field: &str) -> Option<Vec<Edit>> {
    let (start, end) = (text.range.start, text.range.end);
    let insert = |at: usize, text: String| Edit { span: at..at, text: text.into() };
    let key = body[..start].trim_end().strip_suffix(':')?.trim_end();
    if key.ends_with("\"text\"") {
        return Some(vec![insert(end, field.to_owned())]);
    }
    key.ends_with(alone).then(|| {
        let open = format!("[{{\"type\":\"{kind}\",\"text\":");
        vec![insert(start, open), insert(end, format!("{field}}}]"))]
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Engine, Policy, RequestContext};

    fn sent(dialect: Dialect, body: &str) -> (String, u32) {
        let scanned =
            Engine::new().scan(Bytes::from(body.to_owned()), &RequestContext::new(dialect)).unwrap();
        let out = scanned.rewrite(&Policy::exact().breakpoints(true), &[]);
        assert!(!out.report.failed_open);
        (String::from_utf8(out.body.to_vec()).unwrap(), out.report.alignment.breakpoints)
    }

    fn anthropic(system: &str, more: &str) -> String {
        format!(
            r#"{{"model":"claude-sonnet-4-5","tools":[{{"name":"a"}}],"system":{system},"messages":[{{"role":"user","content":"hi"}}{more}]}}"#
        )
    }

    #[test]
    fn anthropic_caches_the_system_prompt_and_the_end() {
        let long = "Be kind. ".repeat(600);
        let ephemeral = r#""cache_control":{"type":"ephemeral"}"#;
        for (system, marked) in [
            (format!("\"{long}\""), format!(r#"[{{"type":"text","text":"{long}",{ephemeral}}}]"#)),
            (
                format!(r#"[{{"text" : "{long}" ,"type":"text"}}]"#),
                format!(r#"[{{"text" : "{long}",{ephemeral} ,"type":"text"}}]"#),
            ),
        ] {
            let (out, count) = sent(Dialect::AnthropicMessages, &anthropic(&system, ""));
            let expected = anthropic(&marked, "");
            assert_eq!(out, format!("{},{ephemeral}}}", &expected[..expected.len() - 1]));
            assert_eq!(count, 2);
            // What stands before the end of a turn is the same in the next.
            let more = r#",{"role":"assistant","content":"a"},{"role":"user","content":"b"}"#;
            let (later, _) = sent(Dialect::AnthropicMessages, &anthropic(&system, more));
            assert!(later.starts_with(&out[..out.find("hi").unwrap()]));
        }
    }

    #[test]
    fn only_where_it_pays_and_the_client_set_none() {
        let long = format!("\"{}\"", "Be kind. ".repeat(600));
        let own =
            r#",{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}"#;
        for body in [
            anthropic("\"Be kind.\"", ""),
            anthropic(&long, own),
            anthropic(&long, "").replace(r#"[{"name":"a"}]"#, "[]"),
            anthropic(&long, "").replace("claude-sonnet-4-5", "llama"),
        ] {
            assert_eq!(sent(Dialect::AnthropicMessages, &body), (body, 0));
        }
        let nameless = anthropic(&long, "").replace("\"model\":\"claude-sonnet-4-5\",", "");
        let named = RequestContext::new(Dialect::AnthropicMessages).model("claude-sonnet-4-5@20250929");
        let scanned = Engine::new().scan(Bytes::from(nameless), &named).unwrap();
        let out = scanned.rewrite(&Policy::exact().breakpoints(true), &[]);
        assert_eq!(out.report.alignment.breakpoints, 1, "on the prompt alone");
        assert!(out.body.ends_with(b"}]}"), "no field that only one host knows");
        let said = anthropic(&long, r#",{"role":"user","content":"set \"cache_control\""}"#);
        assert_eq!(sent(Dialect::AnthropicMessages, &said).1, 2, "said, not set");
    }

    #[cfg(feature = "bedrock")]
    #[test]
    fn converse_gets_a_point_behind_the_system_prompt() {
        let body = |system: &str, tools: &str| {
            format!(
                r#"{{"system":[{system}],"messages":[{{"role":"user","content":[{{"text":"hi"}}]}}],"toolConfig":{{"tools":[{tools}]}}}}"#
            )
        };
        let sent = |body: &str| {
            let context =
                RequestContext::new(Dialect::BedrockConverse).model("us.anthropic.claude-sonnet-4-5-v1:0");
            let scanned = Engine::new().scan(Bytes::from(body.to_owned()), &context).unwrap();
            let out = scanned.rewrite(&Policy::exact().breakpoints(true), &[]);
            (String::from_utf8(out.body.to_vec()).unwrap(), out.report.alignment.breakpoints)
        };
        let long = format!("{{\"text\": \"{}\" }}", "Be kind. ".repeat(600));
        let (tool, point) = (r#"{"toolSpec":{"name":"a"}}"#, r#"{"cachePoint":{"type":"default"}}"#);
        assert_eq!(sent(&body(&long, tool)), (body(&format!("{long},{point}"), tool), 1));
        let bulky = format!(r#"{{"toolSpec":{{"name":"a","description":"{}"}}}}"#, "Be kind. ".repeat(600));
        assert_eq!(sent(&body("", &bulky)), (body("", &format!("{bulky},{point}")), 1), "behind the tools");
        for own in [body(&long, &format!("{tool},{point}")), body("{\"text\":\"Be kind.\"}", tool)] {
            assert_eq!(sent(&own), (own, 0));
        }
    }

    #[test]
    fn openai_gets_a_key_and_where_matching_is_exact_a_breakpoint() {
        let body = |model: &str, question: &str| {
            format!(
                r#"{{"model":"{model}","tools":[{{"name":"a"}}],"messages":[{{"role":"system","content":"{}"}},{{"role":"user","content":"hi"}}{question}]}}"#,
                "Be kind. ".repeat(600)
            )
        };
        let key = |out: &str| out[out.find("prompt_cache_key").unwrap()..].to_owned();
        let (old, marks) = sent(Dialect::OpenAiChat, &body("gpt-4o", ""));
        assert!(marks == 0 && !old.contains("prompt_cache_breakpoint"));
        let (new, marks) = sent(Dialect::OpenAiChat, &body("gpt-6", ""));
        assert!(
            marks == 1 && new.contains(r#"kind. ","prompt_cache_breakpoint":{"mode":"explicit"}}]"#),
            "{new}"
        );
        let (later, _) = sent(Dialect::OpenAiChat, &body("gpt-6", r#",{"role":"user","content":"b"}"#));
        assert_eq!(key(&new), key(&later), "one conversation, one key");
        assert_ne!(key(&old), key(&new));
    }

    #[test]
    fn responses_get_the_same_where_all_of_the_conversation_is_here() {
        let body = |fields: &str, question: &str| {
            format!(
                r#"{{"model":"gpt-6",{fields}"tools":[{{"type":"function","name":"a"}}],"input":[{{"role":"developer","content":"{}"}},{{"role":"user","content":"hi"}}{question}]}}"#,
                "Be kind. ".repeat(600)
            )
        };
        let sent = |body: &str| sent(Dialect::OpenAiResponses, body);
        let own = r#""store":false,"#;
        let (out, marks) = sent(&body(own, ""));
        let marked = r#"[{"type":"input_text","text":"Be kind."#;
        let point = r#"kind. ","prompt_cache_breakpoint":{"mode":"explicit"}}]"#;
        assert!(marks == 1 && out.contains(marked) && out.contains(point), "{out}");
        let key = |out: &str| out[out.find("prompt_cache_key").unwrap()..].to_owned();
        let (later, _) = sent(&body(own, r#",{"role":"user","content":"b"}"#));
        assert_eq!(key(&out), key(&later), "one conversation, one key");
        let instructed = format!("{own}\"instructions\":\"Be kind.\",");
        assert_eq!(sent(&body(&instructed, "")).1, 1, "behind the instructions");
        let alone = body(own, "").replace("\"role\":\"developer\"", "\"role\":\"user\"");
        let alone = alone.replacen('{', &format!("{{\"instructions\":\"{}\",", "Be kind. ".repeat(600)), 1);
        let (out, marks) = sent(&alone);
        assert!(marks == 0 && out.contains("prompt_cache_key") && !out.contains("breakpoint"), "{out}");
        // A chain's requests begin anew each time.
        for kept in ["", r#""store":false,"previous_response_id":"r","#] {
            let body = body(kept, "");
            assert_eq!(sent(&body), (body, 0));
        }
    }
}
