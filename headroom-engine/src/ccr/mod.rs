//! CCR: what is left out can be asked for.

mod handle;
pub mod marker;

pub use handle::{DIGITS, Handle, HandleKey, ParseHandleError};
pub use marker::{Marker, ParseMarkerError, Unit};
