//! CCR: what is left out can be asked for.

pub mod answer;
mod handle;
pub mod marker;
pub(crate) mod plan;
pub mod presence;
pub mod tool;

pub use answer::answer;
pub use handle::{DIGITS, Handle, HandleKey, ParseHandleError};
pub use marker::{Marker, ParseMarkerError, Unit};
pub use presence::{ToolPresence, returns_bulk};
pub use tool::{Arguments, BadArguments, ToolShape, Unresolved, definition, is_retrieval_name};
