//! Signs again what was signed before it came here.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::request::Parts;

/// Signs a request whose head and body are final.
#[derive(Clone)]
pub(crate) struct Resigner(Arc<Sign>);

type Sign = dyn Fn(&mut Parts, &Bytes) + Send + Sync;

impl Resigner {
    pub(crate) fn new(sign: impl Fn(&mut Parts, &Bytes) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sign))
    }

    pub(crate) fn sign(&self, head: &mut Parts, body: &Bytes) {
        (self.0)(head, body);
    }
}

impl fmt::Debug for Resigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resigner")
    }
}
