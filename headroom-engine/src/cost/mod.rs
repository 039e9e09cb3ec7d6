//! The cost ledger's arithmetic: what a provider counted, and what it would have been without us.

mod bill;
mod usage;

pub use bill::{Bill, Tariff};
pub use usage::{Meter, Usage};
