//! Which provider's wire a request speaks, and that provider's form of an error.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// A provider's family of paths, headers and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wire {
    Anthropic,
    OpenAi,
    Gemini,
}

impl Wire {
    /// By the path; by the headers where several providers have the same path.
    pub(crate) fn of(path: &str, headers: &HeaderMap) -> Self {
        let gemini = ["/v1beta/", "/v1alpha/", "/upload/v1beta/"];
        if path.starts_with("/v1/messages")
            || path == "/v1/complete"
            || path.contains("/publishers/anthropic/")
            || path.starts_with("/model/")
        {
            Self::Anthropic
        } else if gemini.iter().any(|prefix| path.starts_with(prefix))
            || path.contains(":generateContent")
            || path.contains(":streamGenerateContent")
        {
            Self::Gemini
        } else if path.contains("/chat/completions") || path.ends_with("/responses") {
            Self::OpenAi
        } else if headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else if headers.contains_key("x-goog-api-key") {
            Self::Gemini
        } else if headers.contains_key("x-api-key") && !headers.contains_key(header::AUTHORIZATION) {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }

    /// A stable name for logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
        }
    }

    /// An error of ours in the provider's own form: `message` says what to do.
    pub(crate) fn error(self, why: Why, message: &str) -> Response<Body> {
        let status = why.status();
        let json = match self {
            Self::Anthropic => {
                json!({"type": "error", "error": {"type": why.anthropic(), "message": message}})
            }
            Self::OpenAi => json!({"error": {
                "message": message, "type": why.openai(), "param": null, "code": why.name(),
            }}),
            Self::Gemini => {
                json!({"error": {"code": status.as_u16(), "message": message, "status": why.gemini()}})
            }
        };
        let mut response = Response::new(Body::from(json.to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.extensions_mut().insert(why);
        response
    }
}

/// Why the proxy itself answers, with an error. Among the extensions of such an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The upstream could not be connected to, or broke before its head.
    Unreachable,
    /// No token, or a wrong one.
    Unauthorized,
    /// Not for this place: another host name, a page of another site.
    Forbidden,
    /// The body is above the limit.
    TooLarge,
    /// Nothing that could be passed on.
    BadRequest,
    /// There is no such thing here.
    NotFound,
    /// A bug of ours.
    Internal,
    /// A store that does not answer.
    Unavailable,
}

impl Why {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Unreachable => StatusCode::BAD_GATEWAY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A stable name for logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "upstream_unreachable",
            Self::Unauthorized => "proxy_token",
            Self::Forbidden => "forbidden",
            Self::TooLarge => "request_too_large",
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::Internal => "proxy_error",
            Self::Unavailable => "store_unavailable",
        }
    }

    fn anthropic(self) -> &'static str {
        match self {
            Self::Unreachable | Self::Internal | Self::Unavailable => "api_error",
            Self::Unauthorized => "authentication_error",
            Self::Forbidden => "permission_error",
            Self::TooLarge => "request_too_large",
            Self::BadRequest => "invalid_request_error",
            Self::NotFound => "not_found_error",
        }
    }

    fn openai(self) -> &'static str {
        match self {
            Self::Unreachable | Self::Internal | Self::Unavailable => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn gemini(self) -> &'static str {
        match self {
            Self::Unreachable | Self::Unavailable => "UNAVAILABLE",
            Self::Unauthorized => "UNAUTHENTICATED",
            Self::Forbidden => "PERMISSION_DENIED",
            Self::TooLarge | Self::BadRequest => "INVALID_ARGUMENT",
            Self::NotFound => "NOT_FOUND",
            Self::Internal => "INTERNAL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, header: Option<&'static str>) -> Wire {
        let mut headers = HeaderMap::new();
        if let Some(name) = header {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        Wire::of(path, &headers)
    }

    #[test]
    fn the_path_decides_and_headers_where_it_cannot() {
        assert_eq!(of("/v1/messages", None), Wire::Anthropic);
        assert_eq!(of("/v1/messages/count_tokens", None), Wire::Anthropic);
        assert_eq!(of("/v1/chat/completions", Some("x-api-key")), Wire::OpenAi);
        assert_eq!(of("/v1/responses", None), Wire::OpenAi);
        assert_eq!(of("/v1beta/models/gemini-3-pro:generateContent", None), Wire::Gemini);
        assert_eq!(of("/v1/models", None), Wire::OpenAi);
        assert_eq!(of("/v1/models", Some("authorization")), Wire::OpenAi);
        assert_eq!(of("/v1/models", Some("anthropic-version")), Wire::Anthropic);
        assert_eq!(of("/v1/files", Some("x-api-key")), Wire::Anthropic);
    }
}
