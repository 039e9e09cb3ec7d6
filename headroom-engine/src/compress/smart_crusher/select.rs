//! What to leave out.

use std::ops::Range;

use super::{
    table::Table,
    tape::{Id, Tape},
};

/// Chooses the items to leave out of each list of a tape.
#[derive(Debug)]
pub(super) struct Selection<'t, 's> {
    tape: &'t Tape<'s>,
}

impl<'t, 's> Selection<'t, 's> {
    pub(super) fn lines(&self, _roots: &[Id]) -> Vec<Range<usize>> {
        Vec::new()
    }
    pub(super) fn container(&self, _id: Id) -> Vec<Range<usize>> {
        let _ = self.tape;
        Vec::new()
    }
    pub(super) fn table(&self, _table: &Table) -> Vec<Range<usize>> {
        Vec::new()
    }
}
