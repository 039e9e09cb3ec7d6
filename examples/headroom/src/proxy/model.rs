//! A gateway's name for a model: its provider in front of the client's name.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// `body` with `prefix` in front of its model, unless it is there; everything else stays byte for
/// byte. The same `Bytes` if it names no model.
pub(crate) fn prefixed(body: &Bytes, prefix: &str) -> Bytes {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        model: &'a RawValue,
    }
    let named: Result<Named<'_>, _> = serde_json::from_slice(body);
    let Some(raw) = named.ok().map(|named| named.model.get()) else { return body.clone() };
    let Ok(name) = serde_json::from_str::<String>(raw) else { return body.clone() };
    if name.starts_with(prefix) {
        return body.clone();
    }
    // The raw value is a slice of the body, behind its opening quote.
    let at = raw.as_ptr() as usize - body.as_ptr() as usize + 1;
    let mut out = Vec::with_capacity(body.len() + prefix.len());
    out.extend_from_slice(&body[..at]);
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(&body[at..]);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_model_changes() {
        let is = |body: &'static str, after: &str| {
            assert_eq!(prefixed(&Bytes::from_static(body.as_bytes()), "groq/"), after.as_bytes());
        };
        is(r#"{ "n": 1.0, "model" : "m", "x":"\u00e9"}"#, r#"{ "n": 1.0, "model" : "groq/m", "x":"\u00e9"}"#);
        is(r#"{"model":"groq/m"}"#, r#"{"model":"groq/m"}"#);
        is(r#"{"messages":[{"model":"x"}],"model":"m"}"#, r#"{"messages":[{"model":"x"}],"model":"groq/m"}"#);
        for same in ["", "[]", "{}", r#"{"model":1}"#, "no JSON"] {
            is(same, same);
        }
    }
}
