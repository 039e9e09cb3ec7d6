//! The three tools.

use std::sync::Arc;

use bytes::Bytes;
use headroom_engine::{
    Engine, Reason, Retrievable,
    ccr::{Handle, HandleKey},
    tokens::{O200k, TokenCounter as _},
};
use headroom_tower::Original;
use rmcp::{
    ErrorData, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    model::{CallToolResult, ContentBlock, Implementation, ServerCapabilities, ServerConfig},
    schemars::{self, JsonSchema},
    tool, tool_handler, tool_router,
};
use serde::{Deserialize, Serialize};

use super::stats::Stats;
use crate::{
    redeem::Redeemer,
    text::{Smaller, Text, texts},
    why,
};

/// The server as one session sees it; all share what they hold.
#[derive(Clone)]
pub(super) struct Server {
    engine: Engine,
    redeemer: Redeemer,
    stats: Arc<Stats>,
    tool_router: ToolRouter<Self>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Compress {
    /// The text: tool output, a log, JSON, a diff, source code.
    text: String,
    /// The file it was read from, or the command line that printed it.
    source: Option<String>,
    /// What it is wanted for; what answers this stays readable.
    query: Option<String>,
    /// Leave nothing out, only write it shorter.
    exact: Option<bool>,
}

/// Lenient in what it takes: models write handles as numbers, ranges as arrays.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
struct Retrieve {
    /// The digits behind # in a marker.
    #[schemars(with = "String")]
    handle: serde_json::Value,
    /// Only what answers this.
    #[schemars(with = "Option<String>")]
    query: Option<serde_json::Value>,
    /// Only these lines or items, as in "57-98".
    #[schemars(with = "Option<String>")]
    range: Option<serde_json::Value>,
    /// The most tokens to return.
    #[serde(skip_serializing)]
    max_tokens: Option<usize>,
}

#[tool_router]
impl Server {
    pub(super) fn new(redeemer: Redeemer) -> Self {
        Self { engine: Engine::new(), redeemer, stats: Arc::default(), tool_router: Self::tool_router() }
    }

    #[tool(
        name = "headroom_compress",
        description = "Makes a long text much shorter for reading. Parts may be left out where a marker \
                       like [~lines 57-98 #123] stands; headroom_retrieve brings them back.",
        annotations(
            title = "Compress a text",
            read_only_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn compress(&self, Parameters(asked): Parameters<Compress>) -> Result<CallToolResult, ErrorData> {
        let text = Bytes::from(asked.text);
        let handle = whole(&text);
        // Nothing is left out that was not taken first.
        let kept = match self.redeemer.keep(vec![Original::new(handle, KIND, text.clone())]).await {
            Ok(()) => true,
            Err(error) => {
                crate::exit::tell(format_args!("originals cannot be kept, so nothing is left out: {error}"));
                false
            }
        };
        let retrievable = kept && !asked.exact.unwrap_or_default();
        let work = Work { text, source: asked.source, query: asked.query };
        let (mut smaller, counts) = self.work(work.clone(), retrievable).await?;
        let originals: Vec<Original> =
            texts(&smaller.originals).map(|(handle, kind, text)| Original::new(handle, kind, text)).collect();
        let mut counts = counts;
        if !originals.is_empty() && self.redeemer.keep(originals).await.is_err() {
            (smaller, counts) = self.work(work, false).await?;
        }
        self.stats.compressed(counts.0, counts.1);
        let note = note(&smaller, counts, kept.then_some(handle));
        Ok(CallToolResult::success(vec![ContentBlock::text(smaller.text), ContentBlock::text(note)]))
    }

    #[tool(
        name = "headroom_retrieve",
        description = "Reads text that was left out at a marker: for [~lines 57-98 #123], handle 123 and range \
                       57-98. A marker without # belongs to the handle before it.",
        annotations(
            title = "Read what was left out",
            read_only_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn retrieve(&self, Parameters(asked): Parameters<Retrieve>) -> Result<CallToolResult, ErrorData> {
        let arguments = serde_json::to_string(&asked)
            .map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
        Ok(match self.redeemer.redeem(&arguments, asked.max_tokens).await {
            Ok((text, _)) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(refusal) => CallToolResult::error(vec![ContentBlock::text(refusal.text())]),
        })
    }

    #[tool(
        name = "headroom_stats",
        description = "Counts what was compressed and retrieved so far, as JSON: tokens, never content.",
        annotations(title = "Count what was saved", read_only_hint = true, open_world_hint = false)
    )]
    async fn stats(&self) -> Result<CallToolResult, ErrorData> {
        Ok(CallToolResult::structured(self.stats.json(&self.redeemer).await))
    }

    /// Compresses on a thread that may block, and counts.
    async fn work(&self, work: Work, retrievable: bool) -> Result<(Smaller, (usize, usize)), ErrorData> {
        let engine = self.engine.clone();
        let done = tokio::task::spawn_blocking(move || {
            let retrievable = retrievable.then(Retrievable::by_caller);
            let text = std::str::from_utf8(&work.text).unwrap_or_default();
            let asked = Text { text, source: work.source.as_deref(), query: work.query.as_deref() };
            let smaller = asked.compress(&engine, "", retrievable)?;
            let counts = (O200k.count(text), O200k.count(&smaller.text));
            Ok((smaller, counts))
        });
        match done.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(headroom_engine::ScanError::NotUtf8)) | Err(_) => {
                Err(ErrorData::internal_error("the text could not be compressed", None))
            }
            Ok(Err(error)) => Err(ErrorData::internal_error(error.to_string(), None)),
        }
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("headroom", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "Give long tool output to headroom_compress before you read or pass it on. Where it, or a \
                 request that went through the Headroom proxy, says [~lines 57-98 #123], headroom_retrieve \
                 brings those lines back.",
            )
    }
}

/// What is compressed; cheap to clone.
#[derive(Clone, Debug)]
struct Work {
    text: Bytes,
    source: Option<String>,
    query: Option<String>,
}

const KIND: &str = "text";

/// The handle of a whole text.
fn whole(text: &[u8]) -> Handle {
    Handle::new(&HandleKey::default(), KIND, &String::from_utf8_lossy(text))
}

fn note(smaller: &Smaller, (before, after): (usize, usize), handle: Option<Handle>) -> String {
    let block = smaller.report.blocks.first();
    let replaced = block.is_some_and(|block| block.reason.replaced());
    if !replaced {
        let reason = block.map_or(Reason::Small, |block| block.reason);
        return format!("{before} tokens, as they were: {}", why::block(reason));
    }
    let whole = handle.map_or_else(String::new, |handle| format!("; the whole text: #{handle}"));
    format!("{after} tokens of {before}{whole}")
}
