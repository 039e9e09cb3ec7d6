//! LogCompressor.
use crate::reduce::{Context, Reducer, Reduction};

/// Build, test, CI and system logs.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogCompressor;

impl Reducer for LogCompressor {
    fn kind(&self) -> &'static str {
        "log"
    }
    fn recognises(&self, _source: &str) -> bool {
        false
    }
    fn exact(&self, _source: &str, _context: &Context<'_>) -> Option<Reduction> {
        None
    }
    fn elide(&self, _source: &str, _context: &Context<'_>) -> Option<Reduction> {
        None
    }
}
