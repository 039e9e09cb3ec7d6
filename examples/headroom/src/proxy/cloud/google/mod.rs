//! Google's application default credentials: tokens for a service account, for a user, or of the machine
//! that this runs on, got anew before they end.
//!
//! They are asked for with our own client: through the same proxy, under the same certificates.

mod assertion;
mod source;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body_util::Full;
use tokio::{sync::Mutex, time::Instant};

use self::source::Source;
use crate::proxy::client::{HttpClient, Network};

/// A token is got anew when it holds for less than this. The metadata server has none but the old one
/// until that has five minutes left.
const MARGIN: Duration = Duration::from_secs(60);
/// After a refusal nobody is asked for so long: who waited gets the same answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Gives tokens that hold; it keeps one for as long as it does.
pub(super) struct Tokens {
    source: Source,
    client: HttpClient<Full<Bytes>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    /// When the last attempt failed, and why.
    refused: Option<(Instant, String)>,
}

struct Token {
    text: String,
    end: SystemTime,
}

impl Tokens {
    /// # Errors
    /// If there are no credentials, or no token is given for them.
    pub(super) async fn new(network: &Network) -> Result<Self, String> {
        let failed = |why| {
            format!(
                "--backend vertex has no credentials of Google's: {why}. Set GOOGLE_APPLICATION_CREDENTIALS, \
                 run `gcloud auth application-default login`, or give --backend-token (HEADROOM_BACKEND_TOKEN)"
            )
        };
        let source = Source::find().map_err(failed)?;
        let tokens = Self { source, client: network.client(), held: Mutex::default() };
        tokens.token().await.map_err(failed)?;
        Ok(tokens)
    }

    /// A token that holds; one request gets it, the others wait.
    pub(super) async fn token(&self) -> Result<String, String> {
        let mut held = self.held.lock().await;
        let holds = |margin| move |token: &&Token| now() + margin < token.end;
        if let Some(token) = held.token.as_ref().filter(holds(MARGIN)) {
            return Ok(token.text.clone());
        }
        if held.refused.as_ref().is_none_or(|(at, _)| at.elapsed() > PAUSE) {
            match self.source.ask(&self.client).await {
                Ok(token) => {
                    let text = token.text.clone();
                    *held = Held { token: Some(token), refused: None };
                    return Ok(text);
                }
                Err(why) => {
                    tracing::warn!(why, "no new token of Google's");
                    held.refused = Some((Instant::now(), why));
                }
            }
        }
        // The one at hand may do until another can be had.
        match (held.token.as_ref().filter(holds(Duration::ZERO)), &held.refused) {
            (Some(token), _) => Ok(token.text.clone()),
            (None, Some((_, why))) => Err(why.clone()),
            (None, None) => Err("no token".to_owned()),
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("source", &self.source).finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "tokens and assertions hold for a time")]
fn now() -> SystemTime {
    SystemTime::now()
}
