//! What a text declares: items with bodies, and runs of comments, imports and literals.

use std::ops::Range;

/// Nobody's.
pub(super) const NONE: u32 = u32::MAX;

/// Items nested deeper than this are a part of the item around them.
pub(super) const DEEPEST: usize = 8;

/// A function, and its body.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Bytes of its name in the code.
    pub(super) name: Range<usize>,
    /// The lines that may be left out.
    pub(super) body: Range<usize>,
    /// The item that it stands in, or [`NONE`].
    pub(super) parent: u32,
    /// It stands within an expression of its parent, and goes where that goes.
    pub(super) loose: bool,
    /// It tests something.
    pub(super) test: bool,
}

/// What a run of lines is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RunKind {
    /// A module of tests.
    Tests,
    /// A comment or docstring without its first line.
    Comment,
    Imports,
    /// The inside of a long literal.
    Literal,
}

/// Lines that may be left out together.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) kind: RunKind,
    pub(super) lines: Range<usize>,
    /// A comment can be written there.
    pub(super) code: bool,
}

/// The items and runs of a text, by lines of its code.
#[derive(Clone, Debug, Default)]
pub(super) struct Outline {
    pub(super) items: Vec<Item>,
    pub(super) runs: Vec<Run>,
    /// The innermost item whose body each line is in.
    pub(super) owner: Vec<u32>,
    /// Lines that stay wherever their owner goes: heads and ends of declarations.
    pub(super) pinned: Vec<bool>,
    /// Places that the grammar does not understand.
    pub(super) errors: usize,
}

impl Outline {
    pub(super) fn new(lines: usize) -> Self {
        Self { owner: vec![NONE; lines], pinned: vec![false; lines], ..Self::default() }
    }

    /// Whether leaving out the body of `item` leaves out line `at`.
    pub(super) fn holds(&self, item: usize, at: usize) -> bool {
        let mut owner = self.owner[at];
        while owner != NONE && owner as usize != item && self.items[owner as usize].loose {
            owner = self.items[owner as usize].parent;
        }
        owner as usize == item && !self.pinned[at]
    }

    /// Adds an item, whose head begins at line `head`; its body follows, and a line behind that
    /// ends it if `ends`.
    pub(super) fn add(&mut self, head: usize, ends: bool, item: Item) -> u32 {
        let id = u32::try_from(self.items.len()).unwrap_or(NONE);
        let whole = head..item.body.end + usize::from(ends);
        let around = if item.loose { item.parent } else { NONE };
        for at in whole {
            let Some(owner) = self.owner.get_mut(at) else { break };
            if item.body.contains(&at) {
                *owner = id;
            } else if around == NONE {
                self.pinned[at] = true;
            }
        }
        self.items.push(item);
        id
    }
}
