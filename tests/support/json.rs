//! JSON as it is written: order, duplicates and number literals kept. Read by `serde_json`, so that
//! it shares nothing with the engine's scanner.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of an object in their order, duplicates included; none for any other value.
///
/// # Panics
/// If `object` is not JSON.
#[must_use]
pub fn members(object: &str) -> Vec<(String, &str)> {
    if !object.trim_start().starts_with('{') {
        return Vec::new();
    }
    serde_json::from_str::<Members<'_>>(object).expect("an object").0
}

/// The elements of an array; none for any other value.
///
/// # Panics
/// If `array` is not JSON.
#[must_use]
pub fn elements(array: &str) -> Vec<&str> {
    if !array.trim_start().starts_with('[') {
        return Vec::new();
    }
    let elements: Vec<&RawValue> = serde_json::from_str(array).expect("an array");
    elements.into_iter().map(RawValue::get).collect()
}

/// The only member called `key`; `None` if there is none, or more than one.
#[must_use]
pub fn only<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut found = members(object).into_iter().filter(|(name, _)| name == key);
    let (_, value) = found.next()?;
    found.next().is_none().then_some(value)
}

/// A string literal's text; `None` for other values and for lone surrogates.
#[must_use]
pub fn text(literal: &str) -> Option<String> {
    serde_json::from_str(literal).ok()
}

/// Where `part`, a slice of `body`, stands in it.
///
/// # Panics
/// If it is not a slice of it.
#[must_use]
pub fn span(body: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - body.as_ptr() as usize;
    assert_eq!(&body[start..start + part.len()], part, "a slice of the body");
    start..start + part.len()
}

struct Members<'a>(Vec<(String, &'a str)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((key, value.get()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A JSON value that can be written in more than one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// A number, `true`, `false` or `null`, or a string that no text can spell: as it is written.
    Raw(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object; a key may stand there twice.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads `raw`. Recursive, for the bodies of tests.
    ///
    /// # Panics
    /// If it is not JSON.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let raw = raw.trim();
        match raw.as_bytes().first() {
            Some(b'{') => {
                Self::Object(members(raw).into_iter().map(|(key, value)| (key, Self::parse(value))).collect())
            }
            Some(b'[') => Self::Array(elements(raw).into_iter().map(Self::parse).collect()),
            Some(b'"') => text(raw).map_or_else(|| Self::Raw(raw.to_owned()), Self::Text),
            _ => Self::Raw(raw.to_owned()),
        }
    }

    /// The first member called `key`.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Self::Object(members) = self else { return None };
        members.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Sets the member `key`, at the end if it is new.
    ///
    /// # Panics
    /// If this is not an object.
    pub fn set(&mut self, key: &str, value: Self) {
        if let Some(old) = self.get_mut(key) {
            *old = value;
            return;
        }
        let Self::Object(members) = self else { panic!("not an object") };
        members.push((key.to_owned(), value));
    }

    /// Takes every member `key` away.
    pub fn remove(&mut self, key: &str) {
        if let Self::Object(members) = self {
            members.retain(|(name, _)| name != key);
        }
    }

    /// The elements of an array; none for any other value.
    pub fn elements_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        match self {
            Self::Array(elements) => elements.iter_mut(),
            _ => [].iter_mut(),
        }
    }

    /// The value as text.
    #[must_use]
    pub fn spell(&self, spelling: Spelling) -> String {
        let mut out = String::new();
        self.write(spelling, 0, &mut out);
        out
    }

    fn write(&self, spelling: Spelling, depth: usize, out: &mut String) {
        let (comma, colon) = match spelling.space {
            Space::None => (",", ":"),
            Space::Single => (", ", ": "),
            Space::Lines => (",", " : "),
        };
        let line = |depth: usize, out: &mut String| {
            if spelling.space == Space::Lines {
                out.push_str("\r\n");
                out.extend(std::iter::repeat_n('\t', depth));
            }
        };
        match self {
            Self::Raw(raw) => out.push_str(raw),
            Self::Text(text) => quote(text, spelling, out),
            Self::Array(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    out.push_str(if at > 0 { comma } else { "" });
                    line(depth + 1, out);
                    element.write(spelling, depth + 1, out);
                }
                line(depth, out);
                out.push(']');
            }
            Self::Object(members) => {
                let mut order: Vec<&(String, Self)> = members.iter().collect();
                match spelling.keys {
                    Keys::AsTheyAre => {}
                    Keys::Sorted => order.sort_by(|a, b| a.0.cmp(&b.0)),
                    Keys::Backwards => order.reverse(),
                }
                out.push('{');
                for (at, (key, value)) in order.into_iter().enumerate() {
                    out.push_str(if at > 0 { comma } else { "" });
                    line(depth + 1, out);
                    quote(key, spelling, out);
                    out.push_str(colon);
                    value.write(spelling, depth + 1, out);
                }
                line(depth, out);
                out.push('}');
            }
        }
    }
}

/// How a serialiser writes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// The white space between tokens.
    pub space: Space,
    /// Everything beyond ASCII is escaped.
    pub ascii: bool,
    /// `/` is escaped, as PHP and some Java libraries do, and so is DEL.
    pub slash: bool,
    /// The order of keys.
    pub keys: Keys,
}

/// White space between tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// None: JavaScript, serde.
    None,
    /// One blank: Python.
    Single,
    /// A line for each member.
    Lines,
}

/// The order of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// As they were made.
    AsTheyAre,
    /// By name.
    Sorted,
    /// The last one first.
    Backwards,
}

impl Spelling {
    /// As serde writes.
    pub const COMPACT: Self = Self { space: Space::None, ascii: false, slash: false, keys: Keys::AsTheyAre };

    /// As Python's `json.dumps` writes.
    pub const PYTHON: Self = Self { space: Space::Single, ascii: true, slash: false, keys: Keys::AsTheyAre };

    /// What no client writes, but every reader reads alike.
    pub const ODD: Self = Self { space: Space::Lines, ascii: true, slash: true, keys: Keys::Backwards };
}

fn quote(text: &str, spelling: Spelling, out: &mut String) {
    let Spelling { ascii, slash, .. } = spelling;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str(if slash { "\\u0009" } else { "\\t" }),
            '/' if slash => out.push_str("\\/"),
            c if c < ' ' || (slash && c == '\u{7f}') || (ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Raw(value.to_string())
    }
}

/// An object of these members.
#[must_use]
pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelled_otherwise_reads_the_same() {
        let raw = "{\"a\":[1.50,\"\u{e9}/\\ud800\",\"\u{1f600}/\u{7f}\\t\"],\"a\":null,\"b\":{}}";
        let value = Json::parse(raw);
        assert_eq!(value.spell(Spelling::COMPACT), raw);
        assert_eq!(Json::parse(&value.spell(Spelling::PYTHON)), value);
        let Json::Object(mut members) = Json::parse(&value.spell(Spelling::ODD)) else { panic!() };
        members.reverse();
        assert_eq!(Json::Object(members), value);
    }
}
