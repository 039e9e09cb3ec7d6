//! What a provider keeps of conversations: Anthropic's threads, OpenAI's stored answers.

use std::collections::HashMap;

use http::Method;
use serde_json::{Value, json};

use super::{check::Rejection, received::Received};
use crate::Dialect;

/// By the id of an answer.
#[derive(Default)]
pub(super) struct Keeping(HashMap<String, Kept>);

/// One answer that can be read back and gone on with.
struct Kept {
    /// The request it answered, all before it, and it.
    whole: Value,
    /// It, as it is read back.
    answer: Value,
    /// What it answers, all before it included.
    items: Vec<Value>,
}

impl Keeping {
    /// Keeps an answer, where that is wanted.
    pub(super) fn keep(&mut self, dialect: Dialect, request: &Received, id: &str, answer: &Value) {
        let keeps = match dialect {
            Dialect::Anthropic => !request.json()["thread"].is_null(),
            Dialect::Responses => request.json()["store"] != false,
            Dialect::OpenAi | Dialect::Gemini | Dialect::Converse => false,
        };
        if !keeps {
            return;
        }
        let said = match dialect {
            Dialect::Anthropic => vec![json!({"role": "assistant", "content": answer["content"]})],
            _ => answer["output"].as_array().cloned().unwrap_or_default(),
        };
        let mut whole = request.whole().clone();
        let mut items = items(dialect, &whole);
        whole[dialect.list()] = items.iter().cloned().chain(said).collect();
        for (at, item) in items.iter_mut().enumerate() {
            if item["id"].is_null() {
                item["id"] = format!("item_{}{at}", id.trim_start_matches("resp_")).into();
            }
        }
        self.0.insert(id.to_owned(), Kept { whole, answer: answer.clone(), items });
    }

    /// A request that goes on where a kept answer ended, with all that came before; `None` of others.
    pub(super) fn joined(&self, dialect: Dialect, json: &Value) -> Result<Option<Value>, Rejection> {
        let answer = match dialect {
            Dialect::Anthropic => &json["thread"]["previous_message_id"],
            _ => &json["previous_response_id"],
        };
        let Some(id) = answer.as_str() else { return Ok(None) };
        let Some(before) = self.0.get(id) else {
            if dialect != Dialect::Responses {
                return Ok(None);
            }
            let message = format!("Previous response with id '{id}' not found.");
            return Err(Rejection::invalid(message)
                .param("previous_response_id")
                .code("previous_response_not_found"));
        };
        let mut joined = json.clone();
        let list = dialect.list();
        joined[list] = items(dialect, &before.whole).into_iter().chain(items(dialect, json)).collect();
        if dialect == Dialect::Anthropic {
            // A thread is given these once.
            for field in ["system", "tools"] {
                joined[field] = before.whole[field].clone();
            }
        }
        Ok(Some(joined))
    }

    /// Answers a request about a stored answer; `None` if it is about none.
    pub(super) fn answer(&mut self, request: &Received) -> Option<Result<Value, Rejection>> {
        let head = request.head();
        let rest = head.uri.path().strip_prefix("/v1/responses/")?;
        let (id, behind) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(kept) = self.0.get(id) else {
            let message = format!("Response with id '{id}' not found.");
            return Some(Err(Rejection::new(404, "invalid_request_error", message)));
        };
        Some(match (&head.method, behind) {
            (&Method::GET, "") => Ok(kept.answer.clone()),
            (&Method::GET, "input_items") => page(&kept.items, head.uri.query().unwrap_or_default()),
            (&Method::DELETE, "") => {
                self.0.remove(id);
                Ok(json!({"id": id, "object": "response", "deleted": true}))
            }
            (&Method::POST, "cancel") => {
                Err(Rejection::invalid(format!("Cannot cancel a synchronous response: '{id}'.")))
            }
            _ => return None,
        })
    }
}

fn page(items: &[Value], query: &str) -> Result<Value, Rejection> {
    let parameter = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
    };
    let mut items = items.to_vec();
    if parameter("order") != Some("asc") {
        items.reverse();
    }
    if let Some(after) = parameter("after") {
        let at = items.iter().position(|item| item["id"] == after);
        let at = at.ok_or_else(|| Rejection::invalid(format!("No item '{after}'.")).param("after"))?;
        items.drain(..=at);
    }
    let limit = parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20);
    let more = items.len() > limit;
    items.truncate(limit);
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    Ok(json!({"object": "list", "first_id": id(items.first()), "last_id": id(items.last()),
        "has_more": more, "data": items}))
}

/// The messages or items of a request.
fn items(dialect: Dialect, json: &Value) -> Vec<Value> {
    match &json[dialect.list()] {
        Value::String(text) => vec![json!({"role": "user", "content": text})],
        items => items.as_array().cloned().unwrap_or_default(),
    }
}
