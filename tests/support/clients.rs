//! What a real client varies between turns without saying anything else.

use headroom_engine::Dialect;
use proptest::{collection::vec, prelude::*};

use crate::{
    generate::spellings,
    json::{Json, Spelling, object},
};

/// One way to send the same conversation.
#[derive(Clone, Debug)]
pub struct Client {
    /// How it writes JSON.
    pub spelling: Spelling,
    /// Where it puts `cache_control`: the nth object that can carry it, modulo their number.
    pub breakpoints: Vec<usize>,
    /// Whether it asks for a stream.
    pub stream: Option<bool>,
    /// What the model may call.
    pub choice: Choice,
    /// Another model.
    pub model: Option<&'static str>,
    /// Sampling settings.
    pub temperature: Option<&'static str>,
}

/// A request's `tool_choice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Not given.
    Absent,
    /// Free.
    Auto,
    /// No tool.
    None,
    /// This tool.
    Named(&'static str),
}

/// Clients of every kind.
pub fn clients() -> impl Strategy<Value = Client> {
    let choice = prop_oneof![
        Just(Choice::Absent),
        Just(Choice::Auto),
        Just(Choice::None),
        Just(Choice::Named("read_file")),
    ];
    let stream = prop_oneof![Just(None), Just(Some(true)), Just(Some(false))];
    let model = prop_oneof![Just(None), Just(Some("claude-haiku-4-5")), Just(Some("gpt-4o"))];
    let temperature = prop_oneof![Just(None), Just(Some("0.1")), Just(Some("1.0"))];
    (spellings(), vec(any::<usize>(), 0..4), stream, choice, model, temperature).prop_map(
        |(spelling, breakpoints, stream, choice, model, temperature)| Client {
            spelling,
            breakpoints,
            stream,
            choice,
            model,
            temperature,
        },
    )
}

impl Client {
    /// The conversation of `body`, as this client sends it.
    #[must_use]
    pub fn send(&self, dialect: Dialect, body: &str) -> String {
        let mut body = Json::parse(body);
        let mut carriers = 0;
        blocks(&mut body, &mut |block| {
            block.remove("cache_control");
            carriers += 1;
        });
        let mut at = 0;
        blocks(&mut body, &mut |block| {
            if self.breakpoints.iter().any(|place| place % carriers == at) {
                block.set("cache_control", object([("type", "ephemeral".into())]));
            }
            at += 1;
        });
        if let Some(model) = self.model {
            body.set("model", model.into());
        }
        if let Some(stream) = self.stream {
            body.set("stream", stream.into());
        }
        if let Some(temperature) = self.temperature {
            body.set("temperature", Json::Raw(temperature.into()));
        }
        body.remove("tool_choice");
        if dialect == Dialect::Gemini {
            body.remove("toolConfig");
        }
        if dialect == Dialect::BedrockConverse {
            self.choose_for_converse(&mut body);
            return body.spell(self.spelling);
        }
        if dialect == Dialect::Gemini {
            self.choose_for_gemini(&mut body);
            return body.spell(self.spelling);
        }
        let anthropic = dialect == Dialect::AnthropicMessages;
        let kind = |kind: &str| if anthropic { object([("type", kind.into())]) } else { kind.into() };
        match self.choice {
            Choice::Absent => {}
            Choice::Auto => body.set("tool_choice", kind("auto")),
            Choice::None => body.set("tool_choice", kind("none")),
            Choice::Named(name) if anthropic => {
                body.set("tool_choice", object([("type", "tool".into()), ("name", name.into())]));
            }
            Choice::Named(name) if dialect == Dialect::OpenAiResponses => {
                body.set("tool_choice", object([("type", "function".into()), ("name", name.into())]));
            }
            Choice::Named(name) => {
                let function = object([("name", name.into())]);
                body.set("tool_choice", object([("type", "function".into()), ("function", function)]));
            }
        }
        body.spell(self.spelling)
    }
}

impl Client {
    /// Nothing forbids all calls.
    fn choose_for_converse(&self, body: &mut Json) {
        let Some(config) = body.get_mut("toolConfig") else { return };
        config.remove("toolChoice");
        let choice = match self.choice {
            Choice::Absent | Choice::None => return,
            Choice::Auto => object([("auto", object([]))]),
            Choice::Named(name) => object([("tool", object([("name", name.into())]))]),
        };
        config.set("toolChoice", choice);
    }

    fn choose_for_gemini(&self, body: &mut Json) {
        let mode = |mode: &str| vec![("mode".to_owned(), Json::from(mode))];
        let mut config = match self.choice {
            Choice::Absent => return,
            Choice::Auto => mode("AUTO"),
            Choice::None => mode("NONE"),
            Choice::Named(_) => mode("ANY"),
        };
        if let Choice::Named(name) = self.choice {
            config.push(("allowedFunctionNames".into(), Json::Array(vec![name.into()])));
        }
        body.set("toolConfig", object([("functionCallingConfig", Json::Object(config))]));
    }
}

/// Every object that can carry `cache_control`: system blocks, tools, content blocks.
fn blocks(body: &mut Json, each: &mut dyn FnMut(&mut Json)) {
    let mut visit = |block: &mut Json| {
        if matches!(block, Json::Object(_)) {
            each(block);
        }
    };
    for list in ["system", "tools"] {
        body.get_mut(list).into_iter().flat_map(Json::elements_mut).for_each(&mut visit);
    }
    for message in body.get_mut("messages").into_iter().flat_map(Json::elements_mut) {
        message.get_mut("content").into_iter().flat_map(Json::elements_mut).for_each(&mut visit);
    }
}

/// The body with one more tool, called `name`, last in `tools`.
///
/// # Panics
/// If `body` is not an object.
#[must_use]
pub fn add_tool(dialect: Dialect, body: &str, name: &str, description: &str) -> String {
    let mut body = Json::parse(body);
    let tool = match dialect {
        Dialect::AnthropicMessages => object([
            ("name", name.into()),
            ("description", description.into()),
            ("input_schema", object([("type", "object".into())])),
        ]),
        Dialect::OpenAiResponses => {
            object([("type", "function".into()), ("name", name.into()), ("description", description.into())])
        }
        Dialect::BedrockConverse => {
            let spec = object([("name", name.into()), ("description", description.into())]);
            object([("toolSpec", spec)])
        }
        Dialect::Gemini => {
            let declared = object([("name", name.into()), ("description", description.into())]);
            object([("functionDeclarations", Json::Array(vec![declared]))])
        }
        _ => object([
            ("type", "function".into()),
            ("function", object([("name", name.into()), ("description", description.into())])),
        ]),
    };
    let listed = match dialect {
        Dialect::BedrockConverse => body.get_mut("toolConfig").and_then(|config| config.get_mut("tools")),
        _ => body.get_mut("tools"),
    };
    match listed {
        Some(Json::Array(tools)) => tools.push(tool),
        _ if dialect == Dialect::BedrockConverse => {
            body.set("toolConfig", object([("tools", Json::Array(vec![tool]))]));
        }
        _ => body.set("tools", Json::Array(vec![tool])),
    }
    body.spell(Spelling::COMPACT)
}
