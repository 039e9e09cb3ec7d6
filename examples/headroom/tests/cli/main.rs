//! The real binary, as users run it.

mod bed;
mod compress;
mod dashboard;
mod manual;
mod mcp;
mod mcp_http;
mod places;
mod proxy;
mod retrieve;
