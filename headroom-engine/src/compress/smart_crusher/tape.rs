//! A JSON text as an offset tape: one node a value or key, in source order, nothing copied.

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::compress) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// A value or a key: where it stands and where the next one after its subtree is on the tape.
#[derive(Clone, Copy, Debug)]
struct Node {
    start: u32,
    end: u32,
    next: u32,
    kind: Kind,
    key: bool,
}

/// The position of a node on its tape.
pub(in crate::compress) type Id = u32;

/// No node.
pub(super) const NONE: Id = Id::MAX;

/// Larger texts are left alone; offsets are 32 bits wide.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// A parsed text: one document, or several with a newline between them.
#[derive(Debug)]
pub(in crate::compress) struct Tape<'s> {
    text: &'s str,
    nodes: Vec<Node>,
}

impl<'s> Tape<'s> {
    /// Parses `text` by RFC 8259, iteratively, so that nesting is bounded by memory alone. Numbers
    /// of any size, duplicate keys and unpaired surrogate escapes are fine: nothing is interpreted.
    pub(in crate::compress) fn parse(text: &'s str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let bytes = text.as_bytes();
        let mut nodes: Vec<Node> = Vec::with_capacity(bytes.len() / 12 + 4);
        let mut open: Vec<Id> = Vec::new();
        let mut at = skip_white(bytes, 0);
        while at < bytes.len() {
            if !nodes.is_empty() && !preceded_by_newline(bytes, at) {
                return None;
            }
            'value: loop {
                let start = at;
                let (kind, end) = match bytes.get(at)? {
                    b'"' => (Kind::String, string_end(bytes, at)?),
                    b'{' => (Kind::Object, at + 1),
                    b'[' => (Kind::Array, at + 1),
                    b't' if bytes[at..].starts_with(b"true") => (Kind::Bool, at + 4),
                    b'f' if bytes[at..].starts_with(b"false") => (Kind::Bool, at + 5),
                    b'n' if bytes[at..].starts_with(b"null") => (Kind::Null, at + 4),
                    _ => (Kind::Number, number_end(bytes, at)?),
                };
                let id = nodes.len() as Id;
                nodes.push(Node { start: start as u32, end: end as u32, next: id + 1, kind, key: false });
                at = end;
                let mut first = false;
                if matches!(kind, Kind::Array | Kind::Object) {
                    open.push(id);
                    first = true;
                }
                // Behind a value: close what ends here, then step to the next value.
                loop {
                    let Some(&top) = open.last() else { break 'value };
                    at = skip_white(bytes, at);
                    let object = nodes[top as usize].kind == Kind::Object;
                    let byte = *bytes.get(at)?;
                    if byte == if object { b'}' } else { b']' } {
                        at += 1;
                        let next = nodes.len() as Id;
                        let node = &mut nodes[top as usize];
                        (node.end, node.next) = (at as u32, next);
                        open.pop();
                        first = false;
                        continue;
                    }
                    if !first {
                        if byte != b',' {
                            return None;
                        }
                        at = skip_white(bytes, at + 1);
                    }
                    if object {
                        if bytes.get(at) != Some(&b'"') {
                            return None;
                        }
                        let end = string_end(bytes, at)?;
                        let id = nodes.len() as Id;
                        nodes.push(Node {
                            start: at as u32,
                            end: end as u32,
                            next: id + 1,
                            kind: Kind::String,
                            key: true,
                        });
                        at = skip_white(bytes, end);
                        if bytes.get(at) != Some(&b':') {
                            return None;
                        }
                        at = skip_white(bytes, at + 1);
                    }
                    continue 'value;
                }
            }
            at = skip_white(bytes, at);
        }
        (!nodes.is_empty()).then_some(Self { text, nodes })
    }

    /// The parsed text.
    pub(super) fn text(&self) -> &'s str {
        self.text
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The documents at the root, in order.
    pub(in crate::compress) fn roots(&self) -> Siblings<'_, 's> {
        Siblings { tape: self, at: 0, end: self.nodes.len() as Id }
    }

    /// The elements of an array, or the keys and values of an object by turns.
    pub(in crate::compress) fn children(&self, id: Id) -> Siblings<'_, 's> {
        let container = matches!(self.kind(id), Kind::Array | Kind::Object);
        let next = self.nodes[id as usize].next;
        Siblings { tape: self, at: id + 1, end: if container { next } else { id + 1 } }
    }

    /// The members of an object.
    pub(in crate::compress) fn members(&self, id: Id) -> impl Iterator<Item = (Id, Id)> {
        let mut children = self.children(id);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// Whether the node is the key of a member.
    pub(super) fn is_key(&self, id: Id) -> bool {
        self.nodes[id as usize].key
    }

    pub(super) fn is_scalar(&self, id: Id) -> bool {
        !matches!(self.kind(id), Kind::Array | Kind::Object)
    }

    pub(in crate::compress) fn kind(&self, id: Id) -> Kind {
        self.nodes[id as usize].kind
    }

    /// The literal text of a node, quotes and inner white space included.
    pub(in crate::compress) fn slice(&self, id: Id) -> &'s str {
        &self.text[self.start(id)..self.end(id)]
    }

    /// What stands between the quotes of a string.
    pub(super) fn inner(&self, id: Id) -> &'s str {
        &self.text[self.start(id) + 1..self.end(id) - 1]
    }

    pub(super) fn start(&self, id: Id) -> usize {
        self.nodes[id as usize].start as usize
    }

    pub(super) fn end(&self, id: Id) -> usize {
        self.nodes[id as usize].end as usize
    }

    /// Whether a container has no children.
    pub(super) fn is_empty(&self, id: Id) -> bool {
        self.nodes[id as usize].next == id + 1
    }

    /// The id behind the subtree of `id`.
    pub(super) fn after(&self, id: Id) -> Id {
        self.nodes[id as usize].next
    }

    /// Writes the subtree of `id` without white space, by `literal` for each scalar and key.
    pub(super) fn minify(&self, id: Id, out: &mut String, literal: impl Fn(&str, &mut String)) {
        let mut from = self.start(id);
        for node in &self.nodes[id as usize..self.after(id) as usize] {
            if !matches!(node.kind, Kind::Array | Kind::Object) {
                self.punctuation(from, node.start as usize, out);
                literal(&self.text[node.start as usize..node.end as usize], out);
                from = node.end as usize;
            }
        }
        self.punctuation(from, self.end(id), out);
    }

    fn punctuation(&self, from: usize, to: usize, out: &mut String) {
        let between = self.text[from..to].bytes();
        out.extend(between.filter(|byte| !is_white(*byte)).map(char::from));
    }
}

/// Nodes side by side.
#[derive(Clone, Debug)]
pub(in crate::compress) struct Siblings<'t, 's> {
    tape: &'t Tape<'s>,
    at: Id,
    end: Id,
}

impl Iterator for Siblings<'_, '_> {
    type Item = Id;

    fn next(&mut self) -> Option<Id> {
        let id = self.at;
        (id < self.end).then(|| {
            self.at = self.tape.nodes[id as usize].next;
            id
        })
    }
}

fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn skip_white(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).copied().is_some_and(is_white) {
        at += 1;
    }
    at
}

/// Documents are told apart by lines, never by shape alone.
fn preceded_by_newline(bytes: &[u8], at: usize) -> bool {
    bytes[..at].iter().rev().take_while(|byte| is_white(**byte)).any(|byte| *byte == b'\n')
}

/// Strings longer than this are searched word by word instead of byte by byte.
const SHORT: usize = 32;

/// The end of the string that opens at `at`, escapes checked.
pub(super) fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut long = at + SHORT;
    at += 1;
    loop {
        if at > long {
            let next = at + memchr::memchr2(b'"', b'\\', &bytes[at..])?;
            // Without a branch in it, this runs at memory speed.
            if bytes[at..next].iter().fold(false, |control, byte| control | (*byte < 0x20)) {
                return None;
            }
            (at, long) = (next, next + SHORT);
        }
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => at += 6,
                _ => return None,
            },
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// The end of the number that starts at `at`.
fn number_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        let start = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        (at > start).then_some(at)
    };
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits(at)?;
    }
    Some(at)
}

/// Whether `text` is a number, `true`, `false` or `null`: what a bare cell would be read as.
pub(super) fn is_literal(text: &str) -> bool {
    match text.as_bytes() {
        b"true" | b"false" | b"null" => true,
        bytes @ [b'-' | b'0'..=b'9', ..] => number_end(bytes, 0) == Some(bytes.len()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_standard_takes() {
        for good in [
            "{}",
            "[]",
            " [1, 2.50e+3, -0, {\"a\":[]}] ",
            "\"\\ud800\"",
            "1e400",
            "[\"\\u00e9\\/\"]",
            "{\"a\":1,\"a\":2}",
            "{}\n{}\n",
            "1\n2",
        ] {
            assert!(Tape::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            " ",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "[1 2]",
            "01",
            "1.",
            ".5",
            "+1",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[\"\t\"]",
            "[1",
            "]",
            "{1:2}",
            "[] []",
            "tru",
            "nul",
            "[1}",
            "{\"a\":1,}",
            "\u{feff}1",
        ] {
            assert!(Tape::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn long_strings_end_where_short_ones_do() {
        for length in 0..100 {
            let filler = "x".repeat(length);
            for (inner, good) in
                [("", true), ("\\\"", true), ("\\u00e9é", true), ("\n", false), ("\\x", false)]
            {
                let text = format!("[\"{filler}{inner}{filler}\",1]");
                let tape = Tape::parse(&text);
                assert_eq!(tape.is_some(), good, "{text}");
                assert!(tape.is_none_or(|tape| tape.slice(1).len() == 2 + 2 * length + inner.len()));
            }
        }
    }

    #[test]
    fn nesting_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let tape = Tape::parse(&deep).unwrap();
        let mut out = String::new();
        tape.minify(0, &mut out, |text, out| out.push_str(text));
        assert_eq!(out, deep);
    }

    #[test]
    fn children_skip_subtrees() {
        let tape = Tape::parse(r#"{"a": [1, [2]], "b": {}}"#).unwrap();
        let members: Vec<_> =
            tape.members(0).map(|(key, value)| (tape.inner(key), tape.slice(value))).collect();
        assert_eq!(members, [("a", "[1, [2]]"), ("b", "{}")]);
    }
}
