//! The pure, sans-I/O engine of Headroom: bytes in, edits and actions out.
//!
//! Most users want the layer of `headroom-tower`, which drives this engine around any HTTP client. Alone
//! it serves those who have no HTTP stack to put a layer around:
//!
//! ```
//! use headroom_engine::{Retrievable, compress_with};
//! use serde_json::json;
//!
//! let log: String = (0..500).map(|n| format!("08:{:02}:{:02} worker {} done\n", n / 60, n % 60, n % 7)).collect();
//! let messages = json!([
//!     {"role": "user", "content": "Did the workers run?"},
//!     {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "read_log", "input": {}}]},
//!     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": log}]},
//! ]);
//! let smaller = compress_with(&messages.to_string(), "claude-opus-5-5", Retrievable::by_caller())?;
//! assert!(smaller.messages().len() * 2 < messages.to_string().len());
//! # Ok::<(), headroom_engine::ScanError>(())
//! ```
//!
//! A whole request goes through an [`Engine`]: [`scan`](Engine::scan) says where things stand,
//! [`rewrite`](Scanned::rewrite) gives the body to send, what it hides, and a
//! [`Continuation`](intercept::Continuation) that reads the answer. What was done to each block, and why,
//! is in the [`Report`].
//!
//! No async, no sockets, no clock, no environment, and no global state: what is static are the
//! tables of the counter and of the catalogue, made once and never changed. What a body becomes is a
//! function of the conversation, the [`Policy`] and the [catalogue]: the same on every machine.
//!
//! [`docs::specialists`] is about teaching it one more kind of content.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `code` (default) | `compress::CodeCompressor`: tree-sitter and the grammars of nine languages, in C |
//! | `bedrock` | Amazon Bedrock's Converse, and the event stream that it and InvokeModel answer in |
//! | `image` | `compress::shrink`: smaller images, by the providers' own arithmetic |
//! | `tokenizers` | `tokens::HfCounter`: counts tokens with a user's `tokenizer.json` |
//! | `embed` | `rank::EmbeddingScorer`: ranks rows with a user's static embedding model |
#![forbid(unsafe_code)]

mod align;
mod batch;
mod block;
mod builder;
pub mod catalogue;
pub mod ccr;
pub mod compress;
mod context;
pub mod cost;
pub mod docs;
mod eligible;
mod engine;
#[cfg(feature = "bedrock")]
pub mod eventstream;
mod history;
#[cfg(feature = "image")]
mod images;
pub mod intercept;
mod ledger;
mod library;
mod memo;
mod originals;
mod policy;
mod price;
pub mod rank;
mod recall;
pub mod reduce;
mod report;
pub mod route;
pub mod tokens;
mod trail;
mod walk;
mod wire;

pub use builder::EngineBuilder;
pub use engine::{Engine, Received, Rewrite, Scanned};
pub use intercept::RetrievalReport;
pub use ledger::{LedgerKey, Record};
pub use library::{Compressed, Retrievable, compress, compress_with};
pub use originals::Originals;
pub use policy::{AdoptPolicy, ContextPolicy, Mode, Policy, RequestContext, Route, TOOL_NAME, ToolPolicy};
pub use report::{AlignReport, BlockReport, ContextReport, Reason, Report};
pub use wire::{Dialect, scan::ScanError};
