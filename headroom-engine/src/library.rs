//! The engine as a plain function, for callers without an HTTP stack of their own.

use bytes::Bytes;

use crate::{
    Engine, Originals, Policy, Report, RequestContext,
    ccr::{self, ToolShape, answer, plan, plan::Treatment},
    wire::{self, BlockKind, Dialect, Role, scan::ScanError},
};

/// Rewrites a JSON array of messages exactly: nothing is left out, so nothing need be redeemed.
///
/// The messages may be Anthropic's or OpenAI's; `model` selects facts about the model.
///
/// ```
/// let rows: Vec<String> = (0..50).map(|n| format!(r#"{{"id":{n},"name":"item {n}","ok":true}}"#)).collect();
/// let output = serde_json::json!(format!("[{}]", rows.join(", ")));
/// let messages = format!(
///     r#"[{{"role":"user","content":"list"}},
///         {{"role":"assistant","tool_calls":[{{"id":"c","type":"function","function":{{"name":"list","arguments":"{{}}"}}}}]}},
///         {{"role":"tool","tool_call_id":"c","content":{output}}}]"#
/// );
/// let compressed = headroom_engine::compress(&messages, "gpt-6")?;
/// assert!(compressed.messages().len() <= messages.len());
/// # Ok::<(), headroom_engine::ScanError>(())
/// ```
///
/// # Errors
/// If `messages` is not a JSON array of messages.
pub fn compress(messages: &str, model: &str) -> Result<Compressed, ScanError> {
    Engine::new().compress(messages, model, None)
}

/// Rewrites a JSON array of messages and leaves out what `retrievable` can have back.
///
/// Give the model [`Compressed::tool`] and answer its calls with [`Compressed::answer`].
///
/// # Errors
/// If `messages` is not a JSON array of messages.
///
/// ```
/// use headroom_engine::{Retrievable, compress_with};
/// use serde_json::json;
/// let log: String = (0..400).map(|n| format!("08:00:{:02} worker {} took job {}\n", n % 60, n % 7, n * 37)).collect();
/// let messages = json!([
///     {"role": "user", "content": "Did the workers run?"},
///     {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "read_log", "input": {}}]},
///     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": log}]},
/// ]);
/// let smaller = compress_with(&messages.to_string(), "claude-opus-5-5", Retrievable::by_caller())?;
/// let (handle, _) = smaller.originals().iter().next().expect("something was left out");
/// let answer = smaller.answer(&format!(r#"{{"handle":"{handle}","range":"100-101"}}"#));
/// assert!(answer.contains("took job 3663"));
/// # Ok::<(), headroom_engine::ScanError>(())
/// ```
pub fn compress_with(messages: &str, model: &str, retrievable: Retrievable) -> Result<Compressed, ScanError> {
    Engine::new().compress(messages, model, Some(retrievable))
}

/// Says that what is left out can be had back, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Retrievable(plan::Retrievable);

impl Retrievable {
    /// The caller lists the retrieval tool in the same request and answers its calls.
    #[must_use]
    pub fn by_caller() -> Self {
        Self(plan::Retrievable::by_caller())
    }
}

/// Messages as they should be sent, and what they hide.
pub struct Compressed {
    messages: String,
    originals: Originals,
    tool: Option<String>,
    policy: Policy,
    report: Report,
    engine: Engine,
}

impl std::fmt::Debug for Compressed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressed")
            .field("bytes", &self.messages.len())
            .field("originals", &self.originals)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl Compressed {
    /// The messages, a JSON array.
    #[must_use]
    pub fn messages(&self) -> &str {
        &self.messages
    }

    /// What was left out; keep it for as long as the model may ask.
    #[must_use]
    pub fn originals(&self) -> &Originals {
        &self.originals
    }

    /// The definition of the retrieval tool, as JSON for the request's `tools`, to be listed last;
    /// `None` for exact rewrites.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.tool.as_deref()
    }

    /// What to answer a call of the retrieval tool whose arguments are the JSON text `arguments`.
    /// Never empty; a call that cannot be served gets a text that says why.
    #[must_use]
    pub fn answer(&self, arguments: &str) -> String {
        let known = self.originals.handles();
        let arguments = match ccr::Arguments::parse(arguments) {
            Ok(arguments) => arguments,
            Err(error) => return answer::bad_arguments(&error),
        };
        let handle = match arguments.resolve(known) {
            Ok(handle) => handle,
            Err(error) => return answer::unresolved(&error, self.originals.iter()),
        };
        let Some(original) = self.originals.get(handle) else { return answer::missing(handle) };
        let request = answer::Request::of(handle, &arguments, self.policy.answer_limit());
        ccr::answer(&original, &request, self.engine.counter())
    }

    /// What was done, and why.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl Engine {
    /// [`compress`](crate::compress()) or, with `retrievable`, [`compress_with`](crate::compress_with),
    /// with this engine's memo, counter and specialists.
    ///
    /// # Errors
    /// If `messages` is not a JSON array of messages.
    pub fn compress(
        &self,
        messages: &str,
        model: &str,
        retrievable: Option<Retrievable>,
    ) -> Result<Compressed, ScanError> {
        const BEFORE: &str = "{\"messages\":";
        let body = format!("{BEFORE}{messages}}}");
        let dialect = dialect(&body)?;
        let context = RequestContext::new(dialect).model(model);
        let policy = Policy::default();
        let treatment = retrievable.map_or(Treatment::ExactOnly, |token| Treatment::ClientOwned(token.0));
        let rewrite = self.scan(Bytes::from(body), &context)?.rewrite_as(&policy, treatment);
        let body = String::from_utf8_lossy(&rewrite.body);
        let shape = ToolShape::of(dialect);
        Ok(Compressed {
            messages: body[BEFORE.len()..body.len() - 1].to_owned(),
            tool: retrievable.map(|_| ccr::definition(shape, policy.retrieval_tool())),
            originals: rewrite.originals,
            report: rewrite.report,
            policy,
            engine: self.clone(),
        })
    }
}

/// What the messages are written in, and that there is nothing but messages.
///
/// Tool results of a role of their own, or calls beside the content, are OpenAI's.
fn dialect(body: &str) -> Result<Dialect, ScanError> {
    let openai = wire::read(Dialect::OpenAiChat, body)?;
    if body[openai.messages_span.end..].trim_ascii() != "}" {
        return Err(ScanError::Shape("more than an array of messages"));
    }
    let calls = |message: &wire::Message| {
        message.role == Role::Tool
            || message.blocks.iter().any(|block| matches!(block.kind, BlockKind::Call { .. }))
    };
    Ok(if openai.messages.iter().any(|message| calls(message)) {
        Dialect::OpenAiChat
    } else {
        Dialect::AnthropicMessages
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_array() {
        for bad in ["", "{}", "1", "[", "[],\"model\":\"m\"", "[]}", "[] []"] {
            assert!(compress(bad, "m").is_err(), "{bad}");
        }
        assert_eq!(compress(" [ ] ", "m").unwrap().messages(), " [ ] ");
    }
}
