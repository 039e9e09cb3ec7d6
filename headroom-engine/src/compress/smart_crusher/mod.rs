//! SmartCrusher.
use crate::reduce::{Context, Reducer, Reduction};

/// JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct SmartCrusher;

impl Reducer for SmartCrusher {
    fn kind(&self) -> &'static str {
        "json"
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
