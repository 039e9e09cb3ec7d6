//! What the ledger keeps of an answer that the provider stores, and how reading it back is answered.
//!
//! Of several rounds the client sees one answer, under the id that it was told first; what can be gone
//! on with is the last one. A record under the client's id tells both apart.

use bytes::Bytes;

use super::{
    format::Format as _,
    openai_responses::{self, without_tool},
    raw::{Edit, Object, Raw, keep_elements, quoted, splice},
    record::{Reader, Writer},
    round::{Answer, Block, Call},
};
use crate::{
    ccr::{self, HandleKey, ToolShape, answer::limit_reached},
    ledger::{LedgerKey, Record},
    policy::Policy,
};

const VERSION: u8 = 129;

/// What stands before a text that becomes an item.
pub(crate) const OPEN: &str = "{\"role\":\"user\",\"content\":";

/// Bytes of a call's arguments, and of what a user said, that are kept as hints.
const HINT: usize = 2 << 10;

/// A stored answer of a request that listed our tool.
///
/// ```
/// use headroom_engine::{Record, intercept::Stored};
/// # let key = headroom_engine::Engine::new().stored_key("resp_1");
/// assert!(Stored::read(&Record::new(key, "of another kind".into())).is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The name under which our tool was listed.
    pub(crate) tool: String,
    /// The client's name for it.
    pub(crate) client: String,
    /// The provider's name for each round.
    pub(crate) rounds: Vec<String>,
    /// What the client said it goes on with; empty if it began anew.
    pub(crate) previous: String,
    /// What the user said last.
    pub(crate) asked: String,
    /// Results of ours, as JSON, that the next request must hold.
    pub(crate) pending: Vec<String>,
    /// The ids of all calls of ours in the conversation.
    pub(crate) hidden: Vec<String>,
    /// The calls of the client's tools.
    pub(crate) calls: Vec<Called>,
    /// Members of the answer as the client has them, where the provider has others: JSON.
    pub(crate) shown: Vec<(String, String)>,
}

/// A call that the next request answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON, unless they are long.
    pub(crate) arguments: String,
}

/// One id in place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    pub(crate) client: String,
    pub(crate) upstream: String,
}

/// What an exchange knows of the stored conversation that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) key: HandleKey,
    /// The provider stores the answer.
    pub(crate) kept: bool,
    pub(crate) previous: Option<Alias>,
    pub(crate) asked: String,
    pub(crate) hidden: Vec<String>,
}

/// The key of the record of an answer.
pub(crate) fn key(key: &HandleKey, id: &str) -> LedgerKey {
    let mut hasher = blake3::Hasher::new_keyed(key.bytes());
    hasher.update(b"stored answer 1").update(id.as_bytes());
    LedgerKey::from_bytes(*hasher.finalize().as_bytes())
}

/// As much of a text as is kept as a hint: its end.
pub(crate) fn hint(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(HINT))..]
}

impl Called {
    pub(crate) fn new(id: &str, name: &str, arguments: &str) -> Self {
        let arguments = if arguments.len() > HINT { "" } else { arguments };
        Self { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
    }
}

impl Alias {
    /// The client's id wherever the provider tells its own; the same `Bytes` if it tells none.
    #[must_use]
    pub fn undo(&self, body: Bytes) -> Bytes {
        replaced(body, &self.upstream, &self.client)
    }
}

/// Shorter ids, in bytes, could stand in any text: they are found as whole strings only.
const LONG: usize = 12;

fn replaced(body: Bytes, from: &str, to: &str) -> Bytes {
    if from == to || from.is_empty() {
        return body;
    }
    let (from, to) = match from.len() {
        ..LONG => (quoted(from), quoted(to)),
        _ => (from.to_owned(), to.to_owned()),
    };
    let finder = memchr::memmem::Finder::new(from.as_bytes());
    let mut out = Vec::new();
    let mut at = 0;
    for found in finder.find_iter(&body) {
        out.extend_from_slice(&body[at..found]);
        out.extend_from_slice(to.as_bytes());
        at = found + from.len();
    }
    if at == 0 {
        return body;
    }
    out.extend_from_slice(&body[at..]);
    out.into()
}

impl Stored {
    /// The answer that `record` tells of; `None` if it tells of something else.
    #[must_use]
    pub fn read(record: &Record) -> Option<Self> {
        let mut reader = Reader::new(&record.value);
        if reader.byte()? != VERSION {
            return None;
        }
        let mut stored = Self {
            tool: reader.text()?,
            client: reader.text()?,
            previous: reader.text()?,
            asked: reader.text()?,
            rounds: reader.texts()?,
            pending: reader.texts()?,
            hidden: reader.texts()?,
            ..Self::default()
        };
        for _ in 0..reader.count()? {
            let called = Called { id: reader.text()?, name: reader.text()?, arguments: reader.text()? };
            stored.calls.push(called);
        }
        for _ in 0..reader.count()? {
            stored.shown.push((reader.text()?, reader.text()?));
        }
        (reader.is_empty() && !stored.rounds.is_empty()).then_some(stored)
    }

    /// What can be told of an answer from what the provider itself has of it: that our tool was listed,
    /// and that calls of ours wait to be answered. `None` if that is not so.
    pub(crate) fn recovered(id: &str, answer: &[u8], tool: &str) -> Option<Self> {
        let definition = ccr::definition(ToolShape::OpenAiResponses, tool);
        let description = Object::parse(&definition)?.string("description")?;
        let answer = Object::parse(std::str::from_utf8(answer).ok()?)?;
        let tools = answer.get("tools")?.array()?;
        let mut tools = tools.into_iter().filter_map(Raw::object);
        if !tools.any(|it| it.is("name", tool) && it.is("description", &description)) {
            return None;
        }
        let blocks: Vec<Block> = answer
            .get("output")?
            .array()?
            .into_iter()
            .map(|item| openai_responses::block(item, tool))
            .collect();
        let (ours, clients): (Vec<&Call>, Vec<&Call>) =
            blocks.iter().filter_map(Block::call).partition(|call| call.ours);
        let lost = |call: &&Call| Answer {
            id: call.id.clone(),
            text: limit_reached().to_owned(),
            is_error: true,
            picture: None,
        };
        let lost: Vec<Answer> = ours.iter().map(lost).collect();
        (!lost.is_empty()).then(|| Self {
            pending: openai_responses::Responses.results(&lost, tool),
            hidden: ours.iter().map(|call| call.id.clone()).collect(),
            calls: clients.iter().map(|call| Called::new(&call.id, &call.name, &call.arguments)).collect(),
            previous: answer.string("previous_response_id").unwrap_or_default(),
            tool: tool.to_owned(),
            client: id.to_owned(),
            rounds: vec![id.to_owned()],
            ..Self::default()
        })
    }

    pub(crate) fn record(&self, key: &HandleKey) -> Record {
        let mut out = Writer::new(VERSION);
        for text in [&self.tool, &self.client, &self.previous, &self.asked] {
            out.text(text);
        }
        for texts in [&self.rounds, &self.pending, &self.hidden] {
            out.texts(texts);
        }
        out.count(self.calls.len());
        for Called { id, name, arguments } in &self.calls {
            for text in [id, name, arguments] {
                out.text(text);
            }
        }
        out.count(self.shown.len());
        for (name, value) in &self.shown {
            out.text(name);
            out.text(value);
        }
        Record::new(self::key(key, &self.client), out.into_bytes())
    }

    /// An answer of which nothing can be known at the moment: what `policy` calls our tool is ours.
    #[must_use]
    pub fn unknown(id: &str, policy: &Policy) -> Self {
        let tool = policy.retrieval_tool().to_owned();
        Self { tool, client: id.to_owned(), rounds: vec![id.to_owned()], ..Self::default() }
    }

    /// The id under which the provider has what the model said last.
    #[must_use]
    pub fn last(&self) -> &str {
        self.rounds.last().map_or(&self.client, String::as_str)
    }

    /// The id under which it has what the client sent.
    #[must_use]
    pub fn first(&self) -> &str {
        self.rounds.first().map_or(&self.client, String::as_str)
    }

    /// The other ids under which it has parts of the answer.
    pub fn hidden_rounds(&self) -> impl Iterator<Item = &str> {
        self.rounds.iter().rev().skip(1).map(String::as_str)
    }

    /// The alias that a request which goes on with this answer needs.
    pub(crate) fn alias(&self) -> Alias {
        Alias { client: self.client.clone(), upstream: self.last().to_owned() }
    }

    /// What the provider says of the answer as the client is to read it: its own answer, its own
    /// tools, its own ids. What is no such answer keeps all but the ids.
    #[must_use]
    pub fn answer(&self, body: Bytes) -> Bytes {
        let edited = std::str::from_utf8(&body).ok().and_then(|text| {
            let answer = Object::parse(text)?;
            let mut edits = without_tool(&answer, &self.tool);
            edits.extend(self.members(&answer));
            (!edits.is_empty()).then(|| Bytes::from(splice(text, edits)))
        });
        self.named(edited.unwrap_or(body))
    }

    fn members(&self, answer: &Object<'_>) -> Vec<Edit> {
        // An error or a note of deletion has no output.
        let Some(output) = answer.get("output") else { return Vec::new() };
        let mut edits: Vec<Edit> = self
            .shown
            .iter()
            .filter_map(|(name, value)| Some((answer.get(name)?.span(), value.clone())))
            .collect();
        if self.shown.iter().all(|(name, _)| name != "output") {
            edits.extend(self.without_calls(output));
        }
        let previous = answer.get("previous_response_id").filter(|id| !id.is_null());
        if let Some(previous) = previous.filter(|_| !self.previous.is_empty()) {
            edits.push((previous.span(), quoted(&self.previous)));
        }
        edits
    }

    /// A page of what the model was given, as the client is to read it. What is no page keeps all but
    /// the ids.
    #[must_use]
    pub fn items(&self, body: Bytes) -> Bytes {
        let text = std::str::from_utf8(&body).ok();
        let page = text.and_then(Object::parse);
        let Some((text, page, data)) = text.zip(page).and_then(|(text, page)| {
            let data = page.get("data")?;
            Some((text, page, data))
        }) else {
            return self.named(body);
        };
        match self.page(&page, data) {
            Some(edits) => splice(text, edits).into(),
            None => body,
        }
    }

    /// The edits that take our items out of a page; `None` if there are none.
    fn page(&self, page: &Object<'_>, data: Raw<'_>) -> Option<Vec<Edit>> {
        let (keep, items) = self.own(data)?;
        if keep.iter().all(|keep| *keep) {
            return None;
        }
        let mut edits = keep_elements(data, &items, &keep);
        // A page goes on behind its last item; that must be one the client knows.
        let mut left = items.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(item, _)| *item);
        let (first, last) = (left.next(), left.next_back());
        for (name, item) in [("first_id", first), ("last_id", last.or(first))] {
            let id = item.and_then(Raw::object).and_then(|item| Some(item.get("id")?.text().to_owned()));
            edits.extend(page.get(name).map(|field| (field.span(), id.unwrap_or("null".to_owned()))));
        }
        Some(edits)
    }

    fn without_calls(&self, list: Raw<'_>) -> Vec<Edit> {
        self.own(list).map_or_else(Vec::new, |(keep, items)| keep_elements(list, &items, &keep))
    }

    /// The items of a list, and which of them are the client's.
    fn own<'a>(&self, list: Raw<'a>) -> Option<(Vec<bool>, Vec<Raw<'a>>)> {
        let items = list.array()?;
        let mut hidden: Vec<String> = self.hidden.clone();
        let ours = |item: &Object<'_>| item.is("type", "function_call") && item.is("name", &self.tool);
        let calls = items.iter().filter_map(|item| item.object()).filter(ours);
        hidden.extend(calls.filter_map(|call| call.string("call_id")));
        let own = |item: &Raw<'a>| {
            let Some(item) = item.object() else { return true };
            let call = item.string("call_id").filter(|_| {
                matches!(item.string("type").as_deref(), Some("function_call" | "function_call_output"))
            });
            call.is_none_or(|call| !hidden.contains(&call))
        };
        Some((items.iter().map(own).collect(), items))
    }

    /// The client's id for each of the provider's.
    fn named(&self, body: Bytes) -> Bytes {
        self.rounds.iter().fold(body, |body, id| replaced(body, id, &self.client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn stored() -> Stored {
        Stored {
            tool: "headroom_retrieve".into(),
            client: "resp_a".into(),
            rounds: vec!["resp_a".into(), "resp_b".into()],
            previous: "resp_0".into(),
            asked: "why".into(),
            pending: vec!["{}".into()],
            hidden: vec!["call_9".into()],
            calls: vec![Called::new("call_1", "run", "{}")],
            shown: vec![("output".into(), "[\"all\"]".into()), ("usage".into(), "7".into())],
        }
    }

    #[test]
    fn records_come_back_and_others_do_not() {
        let (key, stored) = (HandleKey::default(), stored());
        let record = stored.record(&key);
        assert_eq!(Stored::read(&record), Some(stored));
        assert_eq!(record.key, super::key(&key, "resp_a"));
        for cut in 0..record.value.len() {
            assert_eq!(Stored::read(&Record::new(record.key, record.value.slice(..cut))), None);
        }
    }

    #[test]
    fn an_answer_is_the_clients_own() {
        let tool = crate::ccr::definition(crate::ccr::ToolShape::OpenAiResponses, "headroom_retrieve");
        let body = format!(
            r#"{{"id":"resp_b","previous_response_id":"resp_x","output":[1],"usage":{{"n":1}},"tools":[{{"name":"run"}},{tool}]}}"#
        );
        let told: Value = serde_json::from_slice(&stored().answer(body.into())).unwrap();
        let expected = json!({"id": "resp_a", "previous_response_id": "resp_0", "output": ["all"], "usage": 7,
            "tools": [{"name": "run"}]});
        assert_eq!(told, expected);
        let deleted = stored().answer(r#"{"id":"resp_b","deleted":true}"#.into());
        assert_eq!(deleted, r#"{"id":"resp_a","deleted":true}"#);
        let alias = Alias { client: "resp_0123456789".into(), upstream: "resp_9876543210".into() };
        assert_eq!(alias.undo("no 'resp_9876543210'!".into()), "no 'resp_0123456789'!");
        let same = Bytes::from("no 'resp_0'");
        assert_eq!(alias.undo(same.clone()).as_ptr(), same.as_ptr());
    }

    #[test]
    fn a_page_holds_no_call_of_ours() {
        let call = |id: &str, name: &str| json!({"id": format!("fc_{id}"), "type": "function_call", "call_id": id, "name": name});
        let output =
            |id: &str| json!({"id": format!("fo_{id}"), "type": "function_call_output", "call_id": id});
        let page = json!({"object": "list", "data": [
            output("call_9"), {"id": "m", "type": "message"}, call("c", "run"), output("c"),
            call("call_8", "headroom_retrieve"), output("call_8")],
            "first_id": "fo_call_9", "last_id": "fo_call_8", "has_more": false});
        let told: Value = serde_json::from_slice(&stored().items(page.to_string().into())).unwrap();
        let expected = json!({"object": "list", "data": [{"id": "m", "type": "message"}, call("c", "run"), output("c")],
            "first_id": "m", "last_id": "fo_c", "has_more": false});
        assert_eq!(told, expected);
        let same = Bytes::from(r#"{"data": [ {"type":"message"} ], "first_id": 1}"#);
        assert_eq!(stored().items(same.clone()).as_ptr(), same.as_ptr());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            let _ = Stored::read(&Record::new(key(&HandleKey::default(), "x"), bytes.clone()));
            let _ = (stored().answer(bytes.clone()), stored().items(bytes));
        }
    }
}
