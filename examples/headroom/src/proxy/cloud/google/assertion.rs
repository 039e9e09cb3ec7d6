//! What a service account says to be given a token: a JSON web token of its own, signed (RFC 7523).

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::{
    SignatureScheme,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use serde_json::json;

/// What tokens are for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Google takes none that is to hold for longer than an hour.
const HOLDS: Duration = Duration::from_secs(3600);

/// A service account's key.
pub(super) struct Key<'a> {
    pub(super) email: &'a str,
    /// PEM.
    pub(super) private: &'a str,
    pub(super) id: Option<&'a str>,
}

impl Key<'_> {
    /// An assertion for `audience`, made at `now`.
    ///
    /// # Errors
    /// If the key signs nothing. They tell nothing of it.
    pub(super) fn assertion(&self, audience: &str, now: SystemTime) -> Result<String, String> {
        let no_key = |_| "its private_key is no RSA key (PEM)".to_owned();
        let key = PrivateKeyDer::from_pem_slice(self.private.as_bytes()).map_err(|_| no_key(()))?;
        let ring = rustls::crypto::ring::default_provider();
        let key = ring.key_provider.load_private_key(key).map_err(|_| no_key(()))?;
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or(()).map_err(no_key)?;

        let at = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = self.id {
            header["kid"] = id.into();
        }
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": audience, "iat": at, "exp": at + HOLDS.as_secs(),
        });
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let said = format!("{header}.{claims}");
        let signature = signer.sign(said.as_bytes()).map_err(|_| no_key(()))?;
        Ok(format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
