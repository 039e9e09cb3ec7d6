//! What real providers refuse, with their words.

mod anthropic;
mod converse;
mod gemini;
mod openai;
mod responses;

use serde_json::{Value, json};

use crate::Dialect;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: u16,
    kind: &'static str,
    message: String,
    param: Option<String>,
    code: Option<&'static str>,
}

impl Rejection {
    pub(super) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), param: None, code: None }
    }

    /// HTTP 400 `invalid_request_error`.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(in crate::provider) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(in crate::provider) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// For people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The body of the error answer.
    #[must_use]
    pub fn body(&self, dialect: Dialect, request: &str) -> Value {
        match dialect {
            Dialect::Anthropic => json!({
                "type": "error",
                "error": {"type": self.kind, "message": self.message},
                "request_id": request,
            }),
            Dialect::OpenAi | Dialect::Responses => json!({"error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            }}),
            Dialect::Converse => json!({"message": self.message}),
            Dialect::Gemini => json!({"error": {
                "code": self.status, "message": self.message, "status": "INVALID_ARGUMENT",
            }}),
        }
    }
}

type Checked = Result<(), Rejection>;

/// Checks a body that parsed.
pub(super) fn check(dialect: Dialect, body: &Value) -> Checked {
    match dialect {
        Dialect::Anthropic => anthropic::check(body),
        Dialect::OpenAi => openai::check(body),
        Dialect::Responses => responses::check(body),
        Dialect::Gemini => gemini::check(body),
        Dialect::Converse => converse::check(body),
    }
}

/// What a body that does not parse gets.
pub(super) fn unreadable(dialect: Dialect, error: &serde_json::Error) -> Rejection {
    match dialect {
        Dialect::Anthropic | Dialect::Gemini | Dialect::Converse => {
            Rejection::invalid(format!("The request body is not valid JSON: {error}"))
        }
        Dialect::OpenAi | Dialect::Responses => Rejection::invalid(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your \
             HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
        ),
    }
}

fn is_name(name: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}
