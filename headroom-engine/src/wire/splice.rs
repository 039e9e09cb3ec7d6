//! The only writer: new text over spans we chose, everything else byte for byte.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

/// New text for a span of the body; an empty span is an insertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) span: Range<usize>,
    pub(crate) text: Text,
}

/// What is written: text of this request, or text that stands in the memo and was hashed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Own(String),
    Known { text: Arc<str>, digest: [u8; 32] },
}

impl Text {
    /// Text that is to be written again and again.
    pub(crate) fn known(text: String) -> Self {
        Self::Known { digest: *blake3::hash(text.as_bytes()).as_bytes(), text: text.into() }
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        match self {
            Self::Own(text) => *blake3::hash(text.as_bytes()).as_bytes(),
            Self::Known { digest, .. } => *digest,
        }
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Own(text) => text,
            Self::Known { text, .. } => text,
        }
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self::Own(text.into())
    }
}

/// Edits in order of position, and where things stand after them.
#[derive(Debug, Default)]
pub(crate) struct Splice {
    edits: Vec<Edit>,
}

impl Splice {
    /// Orders `edits`; those at one place stay in the order given. `None` if two overlap, or one
    /// does not lie in a body of `length` bytes.
    pub(crate) fn new(mut edits: Vec<Edit>, length: usize) -> Option<Self> {
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        let apart = edits.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start);
        let inside = edits.iter().all(|edit| edit.span.start <= edit.span.end && edit.span.end <= length);
        (apart && inside).then_some(Self { edits })
    }

    /// The body with the edits in it; the same `Bytes` if there are none.
    pub(crate) fn apply(&self, body: &Bytes) -> Bytes {
        if self.edits.is_empty() {
            return body.clone();
        }
        let mut out = Vec::with_capacity(self.moved(body.len()));
        let mut from = 0;
        for edit in &self.edits {
            out.extend_from_slice(&body[from..edit.span.start]);
            out.extend_from_slice(edit.text.as_bytes());
            from = edit.span.end;
        }
        out.extend_from_slice(&body[from..]);
        Bytes::from(out)
    }

    /// The edits, in order of position.
    pub(crate) fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// Where the byte at `offset`, outside every edited span, stands after the edits; text
    /// inserted right at `offset` lies before it.
    pub(crate) fn moved(&self, offset: usize) -> usize {
        let edits = self.edits.iter().take_while(|edit| edit.span.end <= offset);
        edits.fold(offset, |at, edit| at - edit.span.len() + edit.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(span: Range<usize>, text: &str) -> Edit {
        Edit { span, text: text.into() }
    }

    #[test]
    fn splices_and_moves() {
        let body = Bytes::from_static(b"0123456789");
        let splice = Splice::new(vec![edit(8..8, "cc"), edit(2..5, "a"), edit(8..8, "d")], 10).unwrap();
        assert_eq!(splice.apply(&body), "01a567ccd89");
        assert_eq!([0, 5, 7, 8, 10].map(|at| splice.moved(at)), [0, 3, 5, 9, 11]);
    }

    #[test]
    fn no_edit_is_the_same_bytes() {
        let body = Bytes::from(vec![b'x'; 64]);
        let out = Splice::new(vec![], 64).unwrap().apply(&body);
        assert_eq!(out.as_ptr(), body.as_ptr());
    }

    #[test]
    fn overlaps_and_strays_are_refused() {
        assert!(Splice::new(vec![edit(0..3, ""), edit(2..4, "")], 9).is_none());
        assert!(Splice::new(vec![edit(8..12, "")], 9).is_none());
    }
}
