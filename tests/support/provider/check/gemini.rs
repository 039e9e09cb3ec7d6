//! Gemini.

use serde_json::Value;

use super::{Checked, Rejection, array, is_name};

/// `stream` is none of the API's: it stands for the method that a client chose.
const FIELDS: [&str; 7] =
    ["contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "stream"];
const DATA: [&str; 7] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];
const BESIDE: [&str; 2] = ["thought", "thoughtSignature"];

pub(super) fn check(body: &Value) -> Checked {
    for name in body.as_object().into_iter().flat_map(|body| body.keys()) {
        if !FIELDS.contains(&name.as_str()) {
            return invalid(format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
            ));
        }
    }
    for tool in array(body, "tools") {
        for function in array(tool, "functionDeclarations") {
            if !is_name(function["name"].as_str().unwrap_or_default(), 64) {
                return invalid("Invalid function name.");
            }
        }
    }
    if array(body, "contents").is_empty() {
        return invalid("* GenerateContentRequest.contents: contents is not specified");
    }
    let mut asked: Vec<&Value> = Vec::new();
    for (at, content) in array(body, "contents").iter().enumerate() {
        let role = content["role"].as_str().unwrap_or("user");
        if !matches!(role, "user" | "model") {
            return invalid("Please use a valid role: user, model.");
        }
        let parts = array(content, "parts");
        if parts.is_empty() {
            return invalid(format!(
                "* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty."
            ));
        }
        for part in parts {
            let keys: Vec<&str> =
                part.as_object().into_iter().flat_map(|part| part.keys()).map(String::as_str).collect();
            let data = keys.iter().filter(|key| DATA.contains(key)).count();
            if data != 1 || keys.iter().any(|key| !DATA.contains(key) && !BESIDE.contains(key)) {
                return invalid(format!(
                    "contents[{at}].parts: required oneof field 'data' must have one initialized field"
                ));
            }
            let response = &part["functionResponse"];
            if !response.is_null() && !response["response"].is_object() {
                return invalid(format!(
                    "Invalid value at 'contents[{at}].parts.function_response.response'"
                ));
            }
        }
        answered(&asked, parts)?;
        asked = parts.iter().map(|part| &part["functionCall"]).filter(|call| call.is_object()).collect();
        let first = parts.iter().find(|part| part["functionCall"].is_object());
        if let Some(first) = first.filter(|first| !first["thoughtSignature"].is_string()) {
            return invalid(format!(
                "Function call `{}` in the {at}. content block is missing a `thought_signature`.",
                first["functionCall"]["name"].as_str().unwrap_or_default()
            ));
        }
    }
    answered(&asked, &[])
}

/// Every call of the turn before has its response, by id or in order, and no other has.
fn answered(asked: &[&Value], parts: &[Value]) -> Checked {
    let given: Vec<&Value> =
        parts.iter().map(|part| &part["functionResponse"]).filter(|given| given.is_object()).collect();
    if given.len() != asked.len() {
        return invalid(
            "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
        );
    }
    let fits =
        |call: &&Value| given.iter().any(|given| given["name"] == call["name"] && given["id"] == call["id"]);
    match asked.iter().all(fits) {
        true => Ok(()),
        false => invalid("Function response does not match its call."),
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::invalid(message))
}
