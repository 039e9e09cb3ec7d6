//! What the conversation already shows: references to lines of earlier tool results and calls.
//!
//! A result that repeats lines which still stand, verbatim, earlier in the rewritten conversation
//! (a file read again after an edit, overlapping views, the same command run twice) keeps what is
//! new and says of the rest where it stands:
//!
//! ```text
//! [=same as lines 12-57 of result 7: parse.rs]
//!     let changed = true;
//! [=lines 59-80 here 60-81]
//! ```
//!
//! Results count from 1, as they stand in the conversation, and so do calls, whose arguments hold
//! lines too (`lines 3-9 of call 4.1: content, parse.rs`): `.1` is the first of its string arguments,
//! in the order of their names. Lines count from 1 or, in a view with
//! line numbers, as the view numbers them; numbers that differ here follow `here`. The decoder puts
//! the bytes together again from the earlier results themselves.
//!
//! JSON with the keys of an earlier result is written without them: `[=keys of result 7: get_order]`
//! and the values, in their order and nesting.

mod cache;
mod codec;
mod earlier;
mod find;
mod gutter;
mod index;
mod reference;
mod shape;

pub(crate) use cache::Indexes;
pub use codec::Repeats;
pub use earlier::{Earlier, Holder, Place};
pub(crate) use find::{Found, find};
pub(crate) use index::{Index, Shown};
pub use reference::{Here, Reference};
pub(crate) use shape::like;
