//! Google's credentials: a service account's file, a user's, the metadata server's, gcloud's.

use std::{fmt, sync::Arc};

use gcp_auth::TokenProvider;

const SCOPES: [&str; 1] = ["https://www.googleapis.com/auth/cloud-platform"];

/// Gives tokens that hold; it keeps one for as long as it does.
#[derive(Clone)]
pub(super) struct Tokens(Arc<dyn TokenProvider>);

impl Tokens {
    /// # Errors
    /// If there are no credentials, or no token is given for them.
    pub(super) async fn new() -> Result<Self, String> {
        let failed = |why: String| {
            format!(
                "--backend vertex has no credentials of Google's: {why}. Set GOOGLE_APPLICATION_CREDENTIALS, \
                 run `gcloud auth application-default login`, or give --backend-token (HEADROOM_BACKEND_TOKEN)"
            )
        };
        let provider = gcp_auth::provider().await.map_err(|why| failed(why.to_string()))?;
        let tokens = Self(provider);
        tokens.token().await.map_err(failed)?;
        Ok(tokens)
    }

    pub(super) async fn token(&self) -> Result<String, String> {
        match self.0.token(&SCOPES).await {
            Ok(token) => Ok(token.as_str().to_owned()),
            Err(why) => Err(why.to_string()),
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}
