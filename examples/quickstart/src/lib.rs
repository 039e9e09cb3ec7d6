//! Headroom at work, without a key and without a network.
//!
//! ```text
//! cargo run --release -p quickstart
//! ```
//!
//! It starts a double of a provider, which refuses what real ones refuse, signs thinking and keeps a
//! prompt cache, and sends it recorded conversations of agents turn by turn: once directly, once
//! through [`HeadroomLayer`]. With `--upstream https://api.anthropic.com` it asks a real provider.
//!
//! `headroom demo` is the same.
#![forbid(unsafe_code)]

mod args;
mod cost;
mod json;
mod play;
mod show;
mod tally;

use std::{error::Error, sync::Arc};

use headroom_tests::provider::{Asker, Provider, Question, Replay};
use headroom_tower::HeadroomLayer;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::ServiceBuilder;

pub use crate::args::Args;
use crate::{play::play, show::Screen, tally::Row};

/// Plays the conversations and prints what was saved.
///
/// # Errors
/// If a provider cannot be reached or answers with an error, or if nothing can be printed.
pub fn run(args: Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    tokio::runtime::Runtime::new()?.block_on(compare(args))
}

async fn compare(args: Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut screen = if args.json { Screen::dark() } else { Screen::new(args.all) };

    // This is all it takes: a client that speaks HTTP, and the layer around it.
    let https =
        HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().enable_http2();
    let https = https.build();
    let client = Client::builder(TokioExecutor::new()).build(https.clone());
    let mut smaller =
        ServiceBuilder::new().layer(HeadroomLayer::new()).map_request(play::stamp).service(client);

    // The same client without the layer, to compare with.
    let mut direct = Client::builder(TokioExecutor::new()).build(https);

    // Who answers. The double's model asks for what was left out in its third turn.
    let conversations = args.conversations();
    if conversations.is_empty() {
        return Err("no conversation of that name speaks this model's dialect".into());
    }
    let replay = Replay::new(conversations.clone()).delta(12);
    let asker = Arc::new(Asker::new(replay.clone(), |turn| (turn == 2).then_some(Question::Range)));
    let plain = Provider::start(replay).await;
    let asking = Provider::start(Arc::clone(&asker)).await;

    let mut rows = Vec::new();
    for conversation in &conversations {
        let before = match args.upstream {
            Some(_) => None,
            None => Some(play(&mut direct, conversation, &args.target(&plain), &mut Screen::dark()).await?),
        };
        screen.heading(conversation);
        let after = play(&mut smaller, conversation, &args.target(&asking), &mut screen).await?;
        rows.push(Row { name: conversation.name(), before, after });
    }
    if args.json {
        let doubles = args.upstream.is_none().then_some([&plain, &asking]);
        return json::print(&rows, doubles, &asker);
    }
    screen.table(&rows)?;
    if args.upstream.is_none() {
        screen.verdict(&plain, &asking, &asker)?;
    }
    Ok(())
}
