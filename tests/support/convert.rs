//! Recorded conversations in dialects that nobody recorded them in.

use headroom_engine::Dialect;
use serde_json::{Value, json};

/// What was said, whoever's format it was in.
enum Said {
    System(String),
    User(String),
    Model {
        texts: Vec<String>,
        calls: Vec<[String; 3]>,
    },
    /// Of a call: its id, its tool, and the text.
    Result([String; 3]),
}

/// A body of Anthropic Messages or Chat Completions as one of `dialect`: OpenAI Responses, of a
/// client that keeps its own history, Gemini, or Bedrock Converse. Pictures and thinking are left out.
///
/// # Panics
/// If `body` is no such body, or `dialect` another.
#[must_use]
pub fn convert(dialect: Dialect, body: &str) -> String {
    let body: Value = serde_json::from_str(body).expect("a JSON body");
    let said = read(&body);
    let tools = tools(&body);
    let converted = match dialect {
        Dialect::OpenAiResponses => responses(&body, said, tools),
        Dialect::Gemini => gemini(said, &tools),
        Dialect::BedrockConverse => converse(said, tools),
        other => panic!("nothing is converted to {}", other.name()),
    };
    converted.to_string()
}

fn read(body: &Value) -> Vec<Said> {
    let mut said: Vec<Said> = texts(&body["system"]).into_iter().map(Said::System).collect();
    let mut names: Vec<[String; 2]> = Vec::new();
    for message in body["messages"].as_array().into_iter().flatten() {
        let content = &message["content"];
        let result = |id: &Value, text: String, names: &[[String; 2]]| {
            let id = string(id);
            let name = names.iter().rev().find(|[known, _]| *known == id).map(|[_, name]| name.clone());
            Said::Result([id, name.unwrap_or_else(|| "tool".to_owned()), text])
        };
        match message["role"].as_str().unwrap_or_default() {
            "system" | "developer" => said.extend(texts(content).into_iter().map(Said::System)),
            "tool" => said.push(result(&message["tool_call_id"], texts(content).concat(), &names)),
            "assistant" => {
                let mut calls: Vec<[String; 3]> = Vec::new();
                for block in
                    content.as_array().into_iter().flatten().filter(|block| block["type"] == "tool_use")
                {
                    calls.push([string(&block["id"]), string(&block["name"]), block["input"].to_string()]);
                }
                for call in message["tool_calls"].as_array().into_iter().flatten() {
                    let function = &call["function"];
                    calls.push([
                        string(&call["id"]),
                        string(&function["name"]),
                        string(&function["arguments"]),
                    ]);
                }
                names.extend(calls.iter().map(|[id, name, _]| [id.clone(), name.clone()]));
                said.push(Said::Model { texts: texts(content), calls });
            }
            _ => {
                for block in content.as_array().into_iter().flatten() {
                    if block["type"] == "tool_result" {
                        let text = texts(&block["content"]).concat();
                        said.push(result(&block["tool_use_id"], text, &names));
                    }
                }
                said.extend(texts(content).into_iter().map(Said::User));
            }
        }
    }
    said
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(content: &Value) -> Vec<String> {
    match content {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => {
            let texts = parts.iter().filter(|part| part["type"] == "text");
            texts.map(|part| string(&part["text"])).collect()
        }
        _ => Vec::new(),
    }
}

/// Name, description and schema of each tool.
fn tools(body: &Value) -> Vec<Value> {
    let tool = |tool: &Value| {
        let own = if tool["function"].is_null() { tool } else { &tool["function"] };
        let schema = if own["parameters"].is_null() { &own["input_schema"] } else { &own["parameters"] };
        json!({"name": own["name"], "description": own["description"], "parameters": schema})
    };
    body["tools"].as_array().into_iter().flatten().map(tool).collect()
}

fn responses(body: &Value, said: Vec<Said>, tools: Vec<Value>) -> Value {
    let mut items = Vec::new();
    for said in said {
        match said {
            Said::System(text) => items.push(json!({"role": "developer", "content": text})),
            Said::User(text) => items.push(json!({"role": "user", "content": text})),
            Said::Model { texts, calls } => {
                items.extend(texts.into_iter().map(|text| {
                    json!({"type": "message", "role": "assistant",
                        "content": [{"type": "output_text", "text": text}]})
                }));
                items.extend(calls.into_iter().map(|[id, name, arguments]| {
                    json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
                }));
            }
            Said::Result([id, _, text]) => {
                items.push(json!({"type": "function_call_output", "call_id": id, "output": text}));
            }
        }
    }
    let mut converted = json!({"model": body["model"], "store": false, "input": items});
    if !tools.is_empty() {
        let tools = tools.into_iter().map(|mut tool| {
            tool["type"] = "function".into();
            tool
        });
        converted["tools"] = tools.collect();
    }
    converted
}

fn gemini(said: Vec<Said>, tools: &[Value]) -> Value {
    let (mut system, mut contents): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for said in said {
        let (role, parts) = match said {
            Said::System(text) => {
                system.push(json!({"text": text}));
                continue;
            }
            Said::User(text) => ("user", vec![json!({"text": text})]),
            Said::Model { texts, calls } => {
                let texts = texts.into_iter().map(|text| json!({"text": text}));
                let calls = calls.into_iter().map(|[_, name, arguments]| {
                    let args = serde_json::from_str(&arguments).unwrap_or_else(|_| json!({}));
                    json!({"functionCall": Value::from_iter([("name", Value::from(name)), ("args", args)])})
                });
                ("model", texts.chain(calls).collect())
            }
            Said::Result([_, name, text]) => {
                let response = json!({"functionResponse": {"name": name, "response": {"output": text}}});
                ("user", vec![response])
            }
        };
        // What one side says in a row is one turn.
        match contents.last_mut().filter(|last| last["role"] == role) {
            Some(last) => last["parts"].as_array_mut().expect("parts").extend(parts),
            None => contents.push(json!({"role": role, "parts": parts})),
        }
    }
    let mut converted = json!({"contents": contents});
    if !system.is_empty() {
        converted["systemInstruction"] = json!({"parts": system});
    }
    if !tools.is_empty() {
        converted["tools"] = json!([{"functionDeclarations": tools}]);
    }
    converted
}

fn converse(said: Vec<Said>, tools: Vec<Value>) -> Value {
    let (mut system, mut messages): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for said in said {
        let (role, blocks) = match said {
            Said::System(text) => {
                system.push(json!({"text": text}));
                continue;
            }
            Said::User(text) => ("user", vec![json!({"text": text})]),
            Said::Model { texts, calls } => {
                let texts = texts.into_iter().map(|text| json!({"text": text}));
                let calls = calls.into_iter().map(|[id, name, arguments]| {
                    let input: Value = serde_json::from_str(&arguments).unwrap_or_else(|_| json!({}));
                    json!({"toolUse": {"toolUseId": id, "name": name, "input": input}})
                });
                ("assistant", texts.chain(calls).collect())
            }
            Said::Result([id, _, text]) => {
                let result = json!({"toolUseId": id, "content": [{"text": text}]});
                ("user", vec![json!({"toolResult": result})])
            }
        };
        // What one side says in a row is one turn.
        match messages.last_mut().filter(|last| last["role"] == role) {
            Some(last) => last["content"].as_array_mut().expect("content").extend(blocks),
            None => messages.push(json!({"role": role, "content": blocks})),
        }
    }
    let mut converted = json!({"messages": messages});
    if !system.is_empty() {
        converted["system"] = system.into();
    }
    if !tools.is_empty() {
        let spec = |mut tool: Value| {
            let schema = tool["parameters"].take();
            tool.as_object_mut().expect("a tool").remove("parameters");
            tool["inputSchema"] = json!({"json": schema});
            json!({"toolSpec": tool})
        };
        converted["toolConfig"] = json!({"tools": tools.into_iter().map(spec).collect::<Vec<_>>()});
    }
    converted
}
