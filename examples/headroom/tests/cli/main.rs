//! The real binary, as users run it.

mod bed;
mod compress;
mod manual;
mod mcp;
mod mcp_http;
mod places;
mod retrieve;
