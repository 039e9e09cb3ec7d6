//! The client's part: it reads answers and keeps a conversation going.

mod answer;
mod anthropic;
mod converse;
mod dialogue;
mod gemini;
mod http;
mod openai;
mod responses;
mod sse;

pub use answer::{Answer, Billed, Malformed, Reader, Said};
pub use dialogue::Dialogue;
pub use http::{HttpClient, http, post, read};
pub use sse::{Event, Framer};
