//! Pages to read, without code of their own.

#[doc = include_str!("../docs/specialists.md")]
pub mod specialists {}
