//! The members of a body's outermost object; every value stays as it was written.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// In order, and those that stand twice twice.
#[derive(Debug)]
pub(super) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// `None` if it is no JSON object.
    pub(super) fn of(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The last member of this name, as JSON.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.get())
    }

    /// The last member of this name, if it is a string.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// An object with `first` and behind them all members but those called in `without`.
    pub(super) fn with(&self, first: &[(&str, String)], without: &[&str]) -> Bytes {
        let kept = self.0.iter().filter(|(name, _)| !without.contains(&name.as_str()));
        let first = first.iter().map(|(name, value)| (*name, value.as_str()));
        let mut out = String::from("{");
        for (name, value) in first.chain(kept.map(|(name, value)| (name.as_str(), value.get()))) {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&quoted(name));
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        out.into()
    }
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(all)
            }
        }

        from.deserialize_map(All).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_were_written() {
        let body = br#" { "model":"m", "temperature" : 1.0,"seed":9007199254740993,"model":"n",
            "messages":[ {"x":"\u00e9"} ],"stream":true } "#;
        let members = Members::of(body).unwrap();
        assert_eq!((members.text("model").as_deref(), members.get("stream")), (Some("n"), Some("true")));
        assert_eq!(members.get("none"), None);
        let out = members.with(&[("v", quoted("1"))], &["model", "stream"]);
        let wanted = r#"{"v":"1","temperature":1.0,"seed":9007199254740993,"messages":[ {"x":"\u00e9"} ]}"#;
        assert_eq!(out, wanted);
        for other in ["", "[]", "1", "{", r#"{"a":1}x"#] {
            assert!(Members::of(other.as_bytes()).is_none(), "{other}");
        }
    }
}
