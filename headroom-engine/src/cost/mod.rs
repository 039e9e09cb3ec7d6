//! The cost ledger's arithmetic: what a provider counted, and what it would have been without us.

mod bill;
mod lineage;
mod usage;

pub use bill::{Bill, Tariff};
pub(crate) use lineage::lineage;
pub use lineage::{Lineage, Mark};
pub use usage::{Meter, Usage};
