//! JSON whose keys an earlier result shows: its values alone.
//!
//! Answers of one tool mostly have one shape. Where an earlier result still stands whole, a later one
//! with the same keys at its top is written without them:
//!
//! ```text
//! {"id":"#W1","user":{"name":"Ada","zip":"10115"},"items":[{"sku":7,"price":1.50}]}
//!
//! [=keys of result 2: get_order]
//! {"#W2",{"Bo","80331"},[{8,2.00},{9,3.10}]}
//! ```
//!
//! Objects are compared one by one, an element of a list with the one at its place there or the last
//! before it, so lists may differ in length. An object with other keys than the one at its place says
//! its own; so does an empty one. Literals are copied as they are spelled, and the decoder reads the keys from
//! the earlier result.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::Arc,
};

use super::{Earlier, Here, Index, Reference, reference::INTRODUCER};
use crate::{
    ccr::marker,
    compress::smart_crusher::tape::{Id, Kind, Tape},
    reduce::{Codec, DecodeError, Equality, Op, Piece, Reduction, Segment, next_token},
};

/// Larger texts, in bytes, neither lend their keys nor borrow any: each later result of the shape
/// would read them again.
const LARGE: usize = 64 << 10;

/// Deeper values stay as they are.
const DEEP: usize = 32;

/// How many members ahead a key is looked for.
const AHEAD: usize = 8;

/// What a reference to keys starts with, and the reference to a whole result that it is otherwise.
const WORDS: (&str, &str) = ("[=keys of ", "[=same as ");

/// The only document of a text.
fn document(text: &str) -> Option<(Tape<'_>, Id)> {
    let tape = (text.len() <= LARGE).then(|| Tape::parse(text)).flatten()?;
    let mut roots = tape.roots();
    let (root, None) = (roots.next()?, roots.next()) else { return None };
    Some((tape, root))
}

/// Equal for texts with equal keys at their top; `None` for what is no object or list of objects.
pub(super) fn shape(text: &str) -> Option<u64> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let (tape, root) = document(text)?;
    let mut hasher = DefaultHasher::new();
    let object = match tape.kind(root) {
        Kind::Array => {
            hasher.write_u8(b'[');
            tape.children(root).next()?
        }
        _ => root,
    };
    let mut some = false;
    for (key, _) in (tape.kind(object) == Kind::Object).then(|| tape.members(object))? {
        hasher.write(tape.slice(key).as_bytes());
        some = true;
    }
    some.then(|| hasher.finish())
}

/// `source` without the keys that a result in `index` shows. Linear in both texts.
pub(crate) fn like(source: &str, index: &Index) -> Option<Reduction> {
    let odd = [INTRODUCER, marker::INTRODUCER].iter().any(|word| source.contains(word));
    let earlier = index.shaped(shape(source).filter(|_| !odd)?)?;
    let (tape, root) = document(source)?;
    let (there, there_root) = document(earlier.text())?;
    let reference = Reference {
        lines: None,
        of: Some(earlier.place()),
        here: Here::Same,
        note: earlier.note().to_owned(),
    };
    let mut text = reference.to_string().replacen(WORDS.1, WORDS.0, 1);
    text.push('\n');
    let keys = Keys { tape: &there };
    keys.leave_out(&tape, root, Some(there_root), 0, &mut text)?;
    let op = Op::Rewrite { range: 0..source.len(), text };
    let codec = Arc::new(Shaped { earlier: Arc::clone(earlier) });
    Some(Reduction { segments: vec![Segment { range: 0..source.len(), codec, ops: vec![op] }] })
}

/// The objects that lend their keys.
struct Keys<'a, 's> {
    tape: &'a Tape<'s>,
}

impl<'s> Keys<'_, 's> {
    fn members(&self, object: Option<Id>) -> Vec<(&'s str, Id)> {
        let object = object.filter(|id| self.tape.kind(*id) == Kind::Object);
        let members = object.into_iter().flat_map(|id| self.tape.members(id));
        members.map(|(key, value)| (self.tape.slice(key), value)).collect()
    }

    fn elements(&self, list: Option<Id>) -> Elements<impl Iterator<Item = Id>> {
        let list = list.filter(|id| self.tape.kind(*id) == Kind::Array);
        Elements { rest: list.into_iter().flat_map(|id| self.tape.children(id)), last: None }
    }

    /// Writes `id` of `tape`, at whose place `there` stands; `None` if it is too deep.
    fn leave_out(
        &self,
        tape: &Tape<'_>,
        id: Id,
        there: Option<Id>,
        depth: usize,
        out: &mut String,
    ) -> Option<()> {
        if depth > DEEP {
            return None;
        }
        match tape.kind(id) {
            Kind::Array => {
                out.push('[');
                let mut elements = self.elements(there);
                for (at, child) in tape.children(id).enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    self.leave_out(tape, child, elements.next(), depth + 1, out)?;
                }
                out.push(']');
            }
            Kind::Object => {
                let known = self.members(there);
                let same = !known.is_empty()
                    && known.iter().map(|(key, _)| *key).eq(tape.members(id).map(|(key, _)| tape.slice(key)));
                let mut named = Named { members: &known, at: 0 };
                out.push('{');
                for (at, (key, value)) in tape.members(id).enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    let key = tape.slice(key);
                    if !same {
                        out.push_str(key);
                        out.push(':');
                    }
                    let there = named.next(key);
                    self.leave_out(tape, value, there, depth + 1, out)?;
                }
                out.push('}');
            }
            _ => out.push_str(tape.slice(id)),
        }
        Some(())
    }

    /// Reads the value at `at` of `text`, writes it with its keys, and returns where it ends.
    fn put_back(
        &self,
        text: &str,
        at: usize,
        there: Option<Id>,
        depth: usize,
        out: &mut String,
    ) -> Result<usize, DecodeError> {
        if depth > DEEP {
            return Err(DecodeError("too deep"));
        }
        let (token, mut at) = read(text, at)?;
        match token {
            "[" => {
                out.push('[');
                let mut elements = self.elements(there);
                if let ("]", end) = read(text, at)? {
                    out.push(']');
                    return Ok(end);
                }
                loop {
                    at = self.put_back(text, at, elements.next(), depth + 1, out)?;
                    let (token, end) = read(text, at)?;
                    at = end;
                    out.push_str(token);
                    match token {
                        "," => {}
                        "]" => return Ok(at),
                        _ => return Err(DecodeError("a list without end")),
                    }
                }
            }
            "{" => {
                let known = self.members(there);
                let mut named = Named { members: &known, at: 0 };
                out.push('{');
                let (first, end) = read(text, at)?;
                if first == "}" {
                    out.push('}');
                    return Ok(end);
                }
                let own = first.starts_with('"') && read(text, end)?.0 == ":";
                let mut keys = known.iter().map(|(key, _)| *key);
                loop {
                    let key = match own {
                        true => {
                            let (key, end) = read(text, at)?;
                            let (":", end) = read(text, end)? else {
                                return Err(DecodeError("a value without key"));
                            };
                            at = end;
                            key
                        }
                        false => keys.next().ok_or(DecodeError("more values than keys"))?,
                    };
                    out.push_str(key);
                    out.push(':');
                    at = self.put_back(text, at, named.next(key), depth + 1, out)?;
                    let (token, end) = read(text, at)?;
                    at = end;
                    out.push_str(token);
                    match token {
                        "," => {}
                        "}" if own || keys.next().is_none() => return Ok(at),
                        _ => return Err(DecodeError("an object without end")),
                    }
                }
            }
            "]" | "}" | "," | ":" => Err(DecodeError("no value")),
            literal => {
                out.push_str(literal);
                Ok(at)
            }
        }
    }
}

/// The token of `text` at `at`, and where it ends.
fn read(text: &str, at: usize) -> Result<(&str, usize), DecodeError> {
    let token = next_token(text.as_bytes(), at).and_then(|(start, end)| Some((text.get(start..end)?, end)));
    token.ok_or(DecodeError("a text without end"))
}

/// The elements of a list, then the last one for ever.
struct Elements<I> {
    rest: I,
    last: Option<Id>,
}

impl<I: Iterator<Item = Id>> Elements<I> {
    fn next(&mut self) -> Option<Id> {
        self.last = self.rest.next().or(self.last);
        self.last
    }
}

/// The members of an object by their keys, in their order.
struct Named<'a> {
    members: &'a [(&'a str, Id)],
    at: usize,
}

impl Named<'_> {
    /// The value of the next member with this key; of a key that is not there, the first value: the
    /// values of a map are alike.
    fn next(&mut self, key: &str) -> Option<Id> {
        let mut ahead = self.members.iter().enumerate().skip(self.at).take(AHEAD);
        match ahead.find(|(_, (other, _))| *other == key) {
            Some((at, (_, value))) => {
                self.at = at + 1;
                Some(*value)
            }
            None => self.members.first().map(|(_, value)| *value),
        }
    }
}

/// Values whose keys an earlier result shows.
#[derive(Debug)]
struct Shaped {
    earlier: Arc<Earlier>,
}

impl Codec for Shaped {
    fn equality(&self) -> Equality {
        Equality::JsonTokens
    }

    fn escape(&self, kept: &str, out: &mut String) {
        // Nothing is kept beside the values.
        out.push_str(kept);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let bad = DecodeError("a broken reference");
        let (line, values) = text.split_once('\n').ok_or(bad)?;
        let line = line.strip_prefix(WORDS.0).ok_or(bad)?;
        let line = format!("{}{line}", WORDS.1);
        let (reference, length) = Reference::parse_prefix(&line).ok_or(bad)?;
        if length != line.len() || reference.lines.is_some() || reference.of != Some(self.earlier.place()) {
            return Err(DecodeError("a reference to nothing"));
        }
        let (tape, root) = document(self.earlier.text()).ok_or(DecodeError("a reference to no keys"))?;
        let mut out = String::new();
        let end = Keys { tape: &tape }.put_back(values, 0, Some(root), 0, &mut out)?;
        if next_token(values.as_bytes(), end).is_some() {
            return Err(DecodeError("more than one value"));
        }
        sink(Piece::Text(out.into()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Holder, Place, Shown};
    use super::*;
    use crate::reduce::same_tokens;
    use proptest::prelude::*;

    fn index(texts: &[(&str, Shown)]) -> Index {
        let mut index = Index::default();
        for (at, (text, shown)) in texts.iter().enumerate() {
            let place = Place { holder: Holder::Result, number: at + 1, part: None };
            let digest = *blake3::hash(text.as_bytes()).as_bytes();
            index.push_result([0; 32], digest, Some(Earlier::new(place, "get", text)), shown);
        }
        index
    }

    fn decoded(codec: &dyn Codec, text: &str) -> Result<String, DecodeError> {
        let mut back = String::new();
        codec.decode(text, &mut |piece| match piece {
            Piece::Text(text) => back.push_str(&text),
            Piece::Hidden(_) => panic!("nothing is left out"),
        })?;
        Ok(back)
    }

    /// What is written of `source` behind `first`, and its codec; it is read back.
    fn coded(first: &str, source: &str) -> Option<(String, Arc<dyn Codec>)> {
        let reduction = like(source, &index(&[(first, Shown::All)]))?;
        let [Segment { codec, ops, .. }] = &reduction.segments[..] else { panic!("one segment") };
        let [Op::Rewrite { text, .. }] = &ops[..] else { panic!("one rewrite") };
        let back = decoded(&**codec, text).expect("it is read back");
        assert!(same_tokens(&back, source), "{source}\n{text}\n{back}");
        Some((text.clone(), Arc::clone(codec)))
    }

    fn written(first: &str, source: &str) -> Option<String> {
        let text = coded(first, source)?.0;
        text.strip_prefix("[=keys of result 1: get]\n").map(str::to_owned)
    }

    #[test]
    fn values_stand_in_their_order_and_nesting() {
        let first = r#"{"id": "a", "of": {"x": 1, "y": [1, 2]}, "items": [{"k": 1, "l": 2}], "m": {}}"#;
        let next = r#"{"id": "\u0061", "of": {"x": 1.50, "y": []}, "items": [{"k": 1e9, "l": -0}, {"k": null, "l": {"z": ":"}}], "m": {}}"#;
        assert_eq!(
            written(first, next).as_deref(),
            Some(r#"{"\u0061",{1.50,[]},[{1e9,-0},{null,{"z":":"}}],{}}"#)
        );
        assert_eq!(written(r#"[{"a":1}]"#, r#" [{"a":2},{"b":3}] "#).as_deref(), Some(r#"[{2},{"b":3}]"#));
    }

    #[test]
    fn other_keys_are_said() {
        let first = r#"{"a":{"b":1,"c":2},"d":{"7":{"e":1,"f":2}},"g":1,"g":2}"#;
        let next = r#"{"a":{"c":1,"b":2},"d":{"8":{"e":3,"f":4},"9":{"e":5,"f":6}},"g":3,"g":4}"#;
        assert_eq!(written(first, next).as_deref(), Some(r#"{{"c":1,"b":2},{"8":{3,4},"9":{5,6}},3,4}"#));
    }

    #[test]
    fn no_shape_is_no_reference() {
        for (first, next) in [
            (r#"{"a":1,"b":2}"#, r#"{"b":1,"a":2}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
            (r#"{"a":1}"#, r#"[{"a":1}]"#),
            (r#"{"a":1}"#, "{\"a\":1}\n{\"a\":1}"),
            (r#"{"a":1}"#, r#"{"a":"[=keys of result 1]"}"#),
            (r#"{"a":1}"#, r#"{"a":"[~items 1-2]"}"#),
            (r#"{"a":1}"#, r#"{"a":1"#),
            ("[1]", "[2]"),
            ("{}", "{}"),
        ] {
            assert!(coded(first, next).is_none(), "{next}");
        }
        let deep = |depth| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(coded(&deep(1), &deep(DEEP)).is_some());
        assert!(coded(&deep(1), &deep(DEEP + 1)).is_none());
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(LARGE));
        assert!(coded(&large, r#"{"a":1}"#).is_none() && coded(r#"{"a":1}"#, &large).is_none());
    }

    #[test]
    fn only_what_is_shown_whole_lends_its_keys() {
        let text = r#"{"a":1,"b":[1,2,3]}"#;
        let parts = |whole| Shown::Parts { ranges: [0..4, 4..8].into(), whole };
        let of = |texts: &[(&str, Shown)]| {
            let reduction = like(r#"{"a":2,"b":[]}"#, &index(texts))?;
            let Op::Rewrite { text, .. } = &reduction.segments[0].ops[0] else { panic!("a rewrite") };
            Some(text.split_once('\n')?.0.to_owned())
        };
        assert_eq!(of(&[(text, parts(false))]), None);
        assert_eq!(
            of(&[(text, parts(true)), (text, Shown::All)]).as_deref(),
            Some("[=keys of result 1: get]")
        );
        assert_eq!(
            of(&[(text, parts(false)), (text, Shown::All)]).as_deref(),
            Some("[=keys of result 2: get]")
        );
    }

    #[test]
    fn broken_texts_are_refused() {
        let (_, codec) = coded(r#"{"a":1,"b":{"c":2}}"#, r#"{"a":3,"b":{"c":4}}"#).expect("a shape");
        let line = "[=keys of result 1: get]\n";
        assert!(decoded(&*codec, &format!("{line}{{1,{{2}}}}")).is_ok());
        for bad in [
            "",
            "{",
            "{1",
            "{1}",
            "{1,{2}",
            "{1,{2},3}",
            "{1,{2}}}",
            "{1,]}",
            "{\"a\":1,2}",
            "[1",
            "[1}",
            "{,}",
            "\"",
        ] {
            assert!(decoded(&*codec, &format!("{line}{bad}")).is_err(), "{bad}");
        }
        for bad in [
            "[=keys of result 2: get]\n{1,{2}}",
            "[=keys of result 1: get]",
            "[=keys of lines 1-2 of result 1]\n{1,{2}}",
            "{1,{2}}",
        ] {
            assert!(decoded(&*codec, bad).is_err(), "{bad}");
        }
    }

    /// JSON values with few keys, many of them equal or given twice, spelled with white space.
    fn json() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
            "\"([a-zé:,{}\\[\\] =~]|\\\\[\"\\\\/n]|\\\\ud83d){0,6}\"",
        ];
        let key = prop::sample::select(vec!["\"a\"", "\"b\"", "\"c:\"", "\"\\u0061\"", "\"\""]);
        scalar.prop_recursive(4, 24, 4, move |value| {
            let member = (key.clone(), value.clone()).prop_map(|(key, value)| format!("{key} :{value}"));
            prop_oneof![
                prop::collection::vec(value, 0..4).prop_map(|values| format!("[{}]", values.join(", "))),
                prop::collection::vec(member, 0..4)
                    .prop_map(|members| format!("{{{}\n}}", members.join(","))),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_has_a_shape_comes_back(first in json(), next in json(), keys in "[ab]{1,3}", rest in json()) {
            coded(&first, &next);
            let with = |value: &str| {
                let members: Vec<String> =
                    keys.chars().map(|key| format!("\"{key}\": {value}")).collect();
                format!("{{{}}}", members.join(","))
            };
            let odd = ["[=", "[~"].iter().any(|word| next.contains(word));
            prop_assert_eq!(coded(&with(&first), &with(&next)).is_some(), !odd);
            coded(&with(&rest), &with(&next));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[\\[\\]{}:,\"a1=\n ]{0,40}") {
            let (_, codec) = coded(r#"{"a":[{"b":1}],"c":{"d":2}}"#, r#"{"a":[],"c":{"d":4}}"#).expect("a shape");
            let _ = decoded(&*codec, &text);
            let _ = decoded(&*codec, &format!("[=keys of result 1: get]\n{text}"));
        }
    }
}
