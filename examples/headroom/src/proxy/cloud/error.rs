//! Errors of clouds in Anthropic's form.

use serde::Deserialize;
use serde_json::Value;

/// Anthropic's name for an error that Amazon names.
pub(super) fn of_name(name: &str) -> Option<&'static str> {
    // As in `ValidationException:http://…`, and in a stream with a small first letter.
    let name = name.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default();
    Some(match name.to_ascii_lowercase().trim_end_matches("exception") {
        "validation" | "serialization" => "invalid_request_error",
        "accessdenied" => "permission_error",
        "expiredtoken"
        | "incompletesignature"
        | "invalidsignature"
        | "missingauthenticationtoken"
        | "unrecognizedclient" => "authentication_error",
        "resourcenotfound" => "not_found_error",
        "throttling" | "servicequotaexceeded" | "toomanyrequests" => "rate_limit_error",
        "serviceunavailable" | "modelnotready" => "overloaded_error",
        "modeltimeout" => "timeout_error",
        "internalserver" | "modelerror" | "modelstreamerror" => "api_error",
        _ => return None,
    })
}

/// Anthropic's name for an error of this status.
pub(super) fn of_status(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        _ if (400..500).contains(&status) => "invalid_request_error",
        _ => "api_error",
    }
}

/// Anthropic's body of an error.
pub(super) fn json(kind: &str, message: &str) -> String {
    // As they write it: the kind comes first.
    let [kind, message] = [kind, message].map(|text| Value::from(text).to_string());
    format!(r#"{{"type":"error","error":{{"type":{kind},"message":{message}}}}}"#)
}

/// The body of an answer of this status, in Anthropic's form; `None` if it has it.
pub(super) fn body(status: u16, name: Option<&str>, body: &[u8]) -> Option<String> {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    if parsed["type"] == "error" && parsed["error"]["type"].is_string() {
        return None;
    }
    let kind = name.and_then(of_name).unwrap_or_else(|| of_status(status));
    Some(json(kind, &message(body)))
}

/// What an error's body says to people: Amazon's form and Google's, which may stand in a list.
pub(super) fn message(body: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Said {
        #[serde(alias = "Message")]
        message: Option<String>,
        error: Option<Box<Said>>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body {
        One(Said),
        List(Vec<Said>),
    }
    let said = match serde_json::from_slice(body) {
        Ok(Body::One(said)) => Some(said),
        Ok(Body::List(list)) => list.into_iter().next(),
        Err(_) => None,
    };
    let said = said.and_then(|said| said.message.or_else(|| said.error?.message));
    said.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(1000)]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_states_become_anthropics() {
        for (status, name, body_in, kind, said) in [
            (
                400,
                Some("ValidationException:http://x/"),
                r#"{"message":"too long"}"#,
                "invalid_request_error",
                "too long",
            ),
            (403, Some("AccessDeniedException"), r#"{"Message":"no"}"#, "permission_error", "no"),
            (403, Some("ExpiredTokenException"), r#"{"message":"old"}"#, "authentication_error", "old"),
            (429, Some("ThrottlingException"), r#"{"message":"slow"}"#, "rate_limit_error", "slow"),
            (
                404,
                None,
                r#"[{"error":{"code":404,"message":"gone","status":"NOT_FOUND"}}]"#,
                "not_found_error",
                "gone",
            ),
            (429, None, r#"{"error":{"message":"Quota"}}"#, "rate_limit_error", "Quota"),
            (418, Some("TeapotException"), "I am one", "invalid_request_error", "I am one"),
            (424, Some("ModelErrorException"), r#"{"message":"m"}"#, "api_error", "m"),
            (503, None, "", "overloaded_error", ""),
        ] {
            let json: Value = serde_json::from_str(&body(status, name, body_in.as_bytes()).unwrap()).unwrap();
            assert_eq!((&json["type"], &json["error"]["type"]), (&"error".into(), &kind.into()), "{body_in}");
            assert_eq!(json["error"]["message"], said);
        }
        let own = r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#;
        assert_eq!(body(529, None, own.as_bytes()), None);
    }
}
