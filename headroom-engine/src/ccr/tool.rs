//! The retrieval tool: how the model asks for what was left out.

use std::{collections::BTreeMap, ops::Range};

use serde_json::value::RawValue;

use super::{DIGITS, Handle, Unit};
use crate::wire::Dialect;

/// The name under which the tool is listed unless the policy says otherwise.
pub const DEFAULT_NAME: &str = "retrieve_original_content";

/// Another name whose results are never shortened: the peer's retrieval tool.
const PEER_NAME: &str = "headroom_retrieve";

/// The fewest digits that stand for a whole handle.
pub const MIN_PREFIX: usize = 8;

const DESCRIPTION: &str =
    "Reads text hidden at [~lines 57-98 #123]: handle 123, range 57-98. Without #: the previous handle";

/// The same in a word less, where the definition needs one field more.
const SHORT: &str =
    "Reads text hidden at [~lines 57-98 #123]: handle 123, range 57-98. Without #: previous handle";

/// How a dialect wraps a tool definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolShape {
    /// `{"name", "description", "input_schema"}`.
    Anthropic,
    /// `{"type": "function", "function": {"name", "description", "parameters"}}`.
    OpenAiChat,
    /// `{"type": "function", "name", "description", "parameters"}`.
    OpenAiResponses,
    /// `{"name", "description", "parameters"}`, among the `functionDeclarations` of a tool.
    Gemini,
    /// `{"toolSpec": {"name", "description", "inputSchema": {"json"}}}`.
    #[cfg(feature = "bedrock")]
    BedrockConverse,
}

impl ToolShape {
    /// The shape that a dialect's requests list tools in.
    #[must_use]
    pub fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::AnthropicMessages => Self::Anthropic,
            Dialect::OpenAiChat => Self::OpenAiChat,
            Dialect::OpenAiResponses => Self::OpenAiResponses,
            Dialect::Gemini => Self::Gemini,
            #[cfg(feature = "bedrock")]
            Dialect::BedrockConverse => Self::BedrockConverse,
        }
    }

    /// A definition as an element of `tools`.
    pub(crate) fn wrapped(self, definition: String) -> String {
        match self {
            Self::Anthropic | Self::OpenAiChat | Self::OpenAiResponses => definition,
            Self::Gemini => format!("{{\"functionDeclarations\":[{definition}]}}"),
            #[cfg(feature = "bedrock")]
            Self::BedrockConverse => definition,
        }
    }

    /// The member of a request that lists a definition alone.
    pub(crate) fn listed(self, definition: String) -> String {
        let tools = format!("\"tools\":[{}]", self.wrapped(definition));
        match self {
            #[cfg(feature = "bedrock")]
            Self::BedrockConverse => format!("\"toolConfig\":{{{tools}}}"),
            _ => tools,
        }
    }
}

/// The tool's definition as compact JSON: the same bytes for the same arguments, at most 80
/// `o200k` tokens under a name no longer than [`DEFAULT_NAME`].
///
/// ```
/// use headroom_engine::ccr::tool::{DEFAULT_NAME, ToolShape, definition};
/// assert!(definition(ToolShape::Anthropic, DEFAULT_NAME).starts_with(r#"{"name":"retrieve_original"#));
/// ```
#[must_use]
pub fn definition(shape: ToolShape, name: &str) -> String {
    const SCHEMA: &str = r#"{"type":"object","properties":{"handle":{"type":"string"},"query":{"type":"string"},"range":{"type":"string"}},"required":["handle"]}"#;
    let name = serde_json::Value::from(name);
    match shape {
        ToolShape::Anthropic => {
            format!(r#"{{"name":{name},"description":"{DESCRIPTION}","input_schema":{SCHEMA}}}"#)
        }
        ToolShape::OpenAiChat => format!(
            r#"{{"type":"function","function":{{"name":{name},"description":"{DESCRIPTION}","parameters":{SCHEMA}}}}}"#
        ),
        ToolShape::Gemini => {
            format!(r#"{{"name":{name},"description":"{DESCRIPTION}","parameters":{SCHEMA}}}"#)
        }
        #[cfg(feature = "bedrock")]
        ToolShape::BedrockConverse => format!(
            r#"{{"toolSpec":{{"name":{name},"description":"{SHORT}","inputSchema":{{"json":{SCHEMA}}}}}}}"#
        ),
        // Without the flag, the provider would make every argument a required one.
        ToolShape::OpenAiResponses => format!(
            r#"{{"type":"function","name":{name},"description":"{SHORT}","parameters":{SCHEMA},"strict":false}}"#
        ),
    }
}

/// Whether a tool of this name returns originals, so that its results are left as they are: `own`,
/// the peer's name, or either behind an MCP prefix.
///
/// ```
/// use headroom_engine::ccr::tool::is_retrieval_name;
/// assert!(is_retrieval_name("mcp__headroom__headroom_retrieve", "retrieve_original_content"));
/// assert!(!is_retrieval_name("mcp__shop__retrieve", "retrieve_original_content"));
/// ```
#[must_use]
pub fn is_retrieval_name(name: &str, own: &str) -> bool {
    let bare = |name: &str| name == PEER_NAME || (name == own && !own.is_empty());
    let behind = |tool: &str| {
        !tool.is_empty()
            && name
                .strip_prefix("mcp__")
                .and_then(|rest| rest.strip_suffix(tool))
                .and_then(|server| server.strip_suffix("__"))
                .is_some_and(|server| !server.is_empty())
    };
    bare(name) || behind(own) || behind(PEER_NAME)
}

/// What one call of the tool asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    digits: String,
    query: Option<String>,
    range: Option<(usize, usize)>,
    unit: Option<Unit>,
}

/// The arguments cannot be understood; the message tells the model what to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadArguments(&'static str);

/// A handle in a call names none, or more than one, of those in the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unresolved {
    /// Fewer than [`MIN_PREFIX`] digits.
    #[error("handle {0:?} is too short, copy every digit behind # in the marker")]
    TooShort(String),
    /// No known handle starts like this.
    #[error("no left-out text has handle {0}")]
    Unknown(String),
    /// Two or more known handles start like this.
    #[error("handle {0} fits more than one marker, copy every digit behind #")]
    Ambiguous(String),
}

impl Arguments {
    /// Reads the arguments as a model wrote them, JSON text.
    ///
    /// The handle may be a whole marker, or stand behind `#` or `handle=`, in quotes, or be a
    /// number; a range may be `"57-98"`, `"57..98"`, `57`, `[57, 98]` or `{"first": 57, "last": 98}`.
    /// A whole marker brings its range along, unless a query or a range is given. Other keys are
    /// ignored.
    ///
    /// # Errors
    /// If `json` is not an object or holds no handle.
    ///
    /// ```
    /// use headroom_engine::ccr::tool::Arguments;
    /// let json = r##"{"handle": "#730185021946520397154428690315", "range": "57-98"}"##;
    /// assert_eq!(Arguments::parse(json)?.range(), Some((57, 98)));
    /// # Ok::<(), headroom_engine::ccr::tool::BadArguments>(())
    /// ```
    pub fn parse(json: &str) -> Result<Self, BadArguments> {
        let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(json) else {
            return Err(BadArguments(
                "arguments must be a JSON object, e.g. {\"handle\":\"<digits behind #>\"}",
            ));
        };
        let field = |name: &str| fields.get(name).map(|raw| raw.get()).filter(|raw| *raw != "null");
        let Some(handle) = field("handle") else {
            return Err(BadArguments("\"handle\" is missing: pass the digits behind # in a marker"));
        };
        let text = plain(handle);
        let Some(digits) = digits_of(&text, !handle.starts_with('"')) else {
            return Err(BadArguments(
                "\"handle\" must be the digits behind # in a marker (a marker without # belongs to the one before it)",
            ));
        };
        let query = field("query").map(plain).filter(|query| !query.trim().is_empty());
        let given = field("range").map(plain);
        // A marker given as the handle says which part is wanted.
        let source = match &given {
            Some(range) => Some(range.as_str()),
            None if query.is_none() => text.rfind('#').map(|at| &text[..at]),
            None => None,
        };
        let range = source.and_then(range_of);
        if given.as_deref().is_some_and(|given| range.is_none() && !given.trim().is_empty()) {
            return Err(BadArguments("\"range\" must be two numbers as in the marker, e.g. \"57-98\""));
        }
        let unit = source.filter(|_| range.is_some()).and_then(unit_of);
        Ok(Self { digits, query, range, unit })
    }

    /// The handle, if all of its digits are given: what can be looked up where no request says which
    /// handles there are.
    ///
    /// ```
    /// use headroom_engine::ccr::Arguments;
    /// let whole = Arguments::parse(r##"{"handle": "[~lines 57-98 #730185021946520397154428690315]"}"##)?;
    /// assert_eq!(whole.handle().map(|handle| handle.to_string()).as_deref(), Some("730185021946520397154428690315"));
    /// assert_eq!(Arguments::parse(r#"{"handle": "7301850219"}"#)?.handle(), None);
    /// # Ok::<(), headroom_engine::ccr::BadArguments>(())
    /// ```
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.digits.parse().ok()
    }

    /// What to search for in the original.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The first and last line or item asked for, from 1, first not behind last.
    #[must_use]
    pub fn range(&self) -> Option<(usize, usize)> {
        self.range
    }

    /// What the range counts, where the call says so.
    #[must_use]
    pub fn unit(&self) -> Option<Unit> {
        self.unit
    }

    /// The one handle among `known` that the call means: the same digits, or the only one that
    /// starts with them.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn resolve(&self, known: &[Handle]) -> Result<Handle, Unresolved> {
        let digits = self.digits.as_str();
        if digits.len() < MIN_PREFIX {
            return Err(Unresolved::TooShort(digits.to_owned()));
        }
        let given = || digits.chars().take(DIGITS + 10).collect::<String>();
        let mut found = None;
        for &handle in known {
            let text = handle.to_string();
            // A number literal has lost its leading zeros.
            if text == digits || text.trim_start_matches('0') == digits {
                return Ok(handle);
            }
            if text.starts_with(digits) && found.replace(handle).is_some_and(|other| other != handle) {
                return Err(Unresolved::Ambiguous(given()));
            }
        }
        found.ok_or_else(|| Unresolved::Unknown(given()))
    }
}

/// A JSON string's text; any other value as it is written.
fn plain(raw: &str) -> String {
    serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned())
}

/// The digits of a handle in whatever a model put around them.
fn digits_of(text: &str, number: bool) -> Option<String> {
    let text = text.rsplit_once('#').map_or(text, |(_, behind)| behind);
    let mut text = text.trim();
    let mut exponent = false;
    if number {
        // 7.301850219465204e29: what is left of a handle that went through a double; its last
        // digit is rounded.
        if let Some((mantissa, _)) = text.split_once(['e', 'E']) {
            (text, exponent) = (mantissa, true);
        }
    }
    let mut best: Range<usize> = 0..0;
    let mut at = 0;
    for run in text.split(|c: char| !(c.is_ascii_digit() || matches!(c, ' ' | '.' | ',' | '_'))) {
        let count = run.bytes().filter(u8::is_ascii_digit).count();
        if count > text[best.clone()].bytes().filter(u8::is_ascii_digit).count() {
            best = at..at + run.len();
        }
        at += run.len() + text[at + run.len()..].chars().next().map_or(0, char::len_utf8);
    }
    let mut digits: String = text[best].chars().filter(char::is_ascii_digit).collect();
    if exponent {
        digits.pop();
    }
    (!digits.is_empty()).then_some(digits)
}

/// The first two numbers of `text` in order; one number is a range of one.
fn range_of(text: &str) -> Option<(usize, usize)> {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .map(|run| run.parse().unwrap_or(usize::MAX));
    let first: usize = numbers.next()?;
    let last = numbers.next().unwrap_or(first);
    Some((first.min(last), first.max(last)))
}

fn unit_of(text: &str) -> Option<Unit> {
    [Unit::Lines, Unit::Items, Unit::Bytes]
        .into_iter()
        .find(|unit| text.contains(unit.word().trim_end_matches('s')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ccr::{HandleKey, Marker},
        tokens::{O200k, TokenCounter},
    };
    use proptest::prelude::*;

    fn handle(text: &str) -> Handle {
        Handle::new(&HandleKey::default(), "text", text)
    }

    #[test]
    fn the_definition_is_json_of_at_most_80_tokens() {
        for shape in [
            ToolShape::Anthropic,
            ToolShape::OpenAiChat,
            ToolShape::OpenAiResponses,
            ToolShape::Gemini,
            #[cfg(feature = "bedrock")]
            ToolShape::BedrockConverse,
        ] {
            let text = definition(shape, DEFAULT_NAME);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let function = value.get("function").or_else(|| value.get("toolSpec")).unwrap_or(&value);
            assert_eq!(function["name"], DEFAULT_NAME);
            let schema = function.get("parameters").or_else(|| function.get("input_schema"));
            let schema =
                schema.or_else(|| function.get("inputSchema").map(|schema| &schema["json"])).unwrap();
            assert_eq!(schema["required"][0], "handle");
            assert!(O200k.count(&text) <= 80, "{} tokens: {text}", O200k.count(&text));
        }
        let odd = definition(ToolShape::Anthropic, "a\"b");
        assert!(serde_json::from_str::<serde_json::Value>(&odd).is_ok());
    }

    #[test]
    fn retrieval_names() {
        for (name, expected) in [
            (DEFAULT_NAME, true),
            ("headroom_retrieve", true),
            ("mcp__headroom__headroom_retrieve", true),
            ("mcp__a__b__retrieve_original_content", true),
            ("mcp____headroom_retrieve", false),
            ("mcp__headroom_retrieve", false),
            ("retrieve", false),
            ("", false),
            ("xheadroom_retrieve", false),
        ] {
            assert_eq!(is_retrieval_name(name, DEFAULT_NAME), expected, "{name}");
        }
        assert!(!is_retrieval_name("", "") && !is_retrieval_name("mcp__x__", ""));
    }

    #[test]
    fn a_handle_in_any_dress_resolves() {
        let (wanted, other) = (handle("wanted"), handle("other"));
        let known = [other, wanted];
        let marker = Marker::new(Unit::Lines, 57, 98, "", Some(wanted)).to_string();
        let spaced: Vec<String> =
            wanted.to_string().as_bytes().chunks(3).map(|c| String::from_utf8_lossy(c).into()).collect();
        for dress in [
            format!("\"{wanted}\""),
            format!("{wanted}"),
            format!("\"#{wanted}\""),
            format!("\" {wanted}\\n\""),
            format!("\"handle={wanted}\""),
            format!("\"'{wanted}'\""),
            format!("\"{marker}\""),
            format!("\"{}\"", &wanted.to_string()[..MIN_PREFIX]),
            format!("\"{}\"", spaced.join(" ")),
            format!("{}.{}e29", &wanted.to_string()[..1], &wanted.to_string()[1..17]),
        ] {
            let arguments = Arguments::parse(&format!("{{\"handle\": {dress}, \"why\": [1]}}")).unwrap();
            assert_eq!(arguments.resolve(&known), Ok(wanted), "{dress}");
        }
    }

    #[test]
    fn what_does_not_resolve_says_why() {
        let known = [handle("a")];
        let resolve =
            |digits: &str| Arguments::parse(&format!("{{\"handle\":\"{digits}\"}}")).unwrap().resolve(&known);
        assert_eq!(resolve("1234567"), Err(Unresolved::TooShort("1234567".into())));
        assert_eq!(resolve(&"9".repeat(30)), Err(Unresolved::Unknown("9".repeat(30))));
        let bytes = |last: u128| Handle::from_bytes((10u128.pow(29) + last).to_be_bytes()).unwrap();
        let arguments = Arguments::parse("{\"handle\":\"10000000000\"}").unwrap();
        assert!(matches!(arguments.resolve(&[bytes(1), bytes(2)]), Err(Unresolved::Ambiguous(_))));
        assert_eq!(arguments.resolve(&[bytes(1), bytes(1)]), Ok(bytes(1)));
    }

    #[test]
    fn leading_zeros_lost_by_a_number_come_back() {
        let small = Handle::from_bytes(12_345_678_901u128.to_be_bytes()).unwrap();
        let arguments = Arguments::parse("{\"handle\":12345678901}").unwrap();
        assert_eq!(arguments.resolve(&[handle("a"), small]), Ok(small));
    }

    #[test]
    fn ranges_in_every_form() {
        for (range, expected) in [
            ("\"57-98\"", Some((57, 98))),
            ("\"57\"", Some((57, 57))),
            ("57", Some((57, 57))),
            ("\"57..98\"", Some((57, 98))),
            ("[57, 98]", Some((57, 98))),
            ("{\"first\": 57, \"last\": 98}", Some((57, 98))),
            ("\"lines 98 to 57\"", Some((57, 98))),
            ("\"\"", None),
            ("null", None),
        ] {
            let arguments =
                Arguments::parse(&format!("{{\"handle\":\"12345678\",\"range\":{range},\"query\":null}}"))
                    .unwrap();
            assert_eq!(arguments.range(), expected, "{range}");
            assert_eq!(arguments.query(), None);
        }
    }

    #[test]
    fn a_whole_marker_brings_its_range() {
        let marker = Marker::new(Unit::Items, 4, 480, "status ok 470", Some(handle("x")));
        let arguments = Arguments::parse(&format!("{{\"handle\":\"{marker}\"}}")).unwrap();
        assert_eq!((arguments.range(), arguments.unit()), (Some((4, 480)), Some(Unit::Items)));
        let arguments =
            Arguments::parse(&format!("{{\"handle\":\"{marker}\",\"query\":\"failed\"}}")).unwrap();
        assert_eq!((arguments.range(), arguments.query()), (None, Some("failed")));
        let arguments = Arguments::parse(r#"{"handle":"12345678","range":"line 7"}"#).unwrap();
        assert_eq!((arguments.range(), arguments.unit()), (Some((7, 7)), Some(Unit::Lines)));
    }

    #[test]
    fn bad_arguments_say_what_to_send() {
        for bad in
            ["", "null", "[]", "3", "{", "{}", "{\"handle\":null}", "{\"handle\":\"\"}", "{\"handle\":[]}"]
        {
            let error = Arguments::parse(bad).unwrap_err().to_string();
            assert!(error.contains("handle"), "{bad}: {error}");
        }
        let error = Arguments::parse("{\"handle\":\"12345678\",\"range\":\"all\"}").unwrap_err();
        assert!(error.to_string().contains("range"));
    }

    proptest! {
        #[test]
        fn no_input_panics(json in ".{0,60}", handle in ".{0,40}", range in ".{0,20}") {
            let _ = Arguments::parse(&json);
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            if let Ok(arguments) =
                Arguments::parse(&format!("{{\"handle\":{},\"range\":{}}}", quoted(&handle), quoted(&range)))
            {
                let _ = arguments.resolve(&[]);
            }
        }
    }
}
