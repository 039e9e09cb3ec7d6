//! Who may redeem what.

use std::{fmt, sync::Arc};

use http::{header, request::Parts};

/// The space in which originals and ledger records live: what was put under one scope is not found
/// under another.
///
/// ```
/// use headroom_tower::Scope;
/// assert_eq!(Scope::of(b"tenant 7"), Scope::of(b"tenant 7"));
/// assert_ne!(Scope::of(b"tenant 7"), Scope::shared());
/// assert_eq!(format!("{:?}", Scope::of(b"tenant 7")), "Scope(..)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope([u8; 32]);

impl Scope {
    /// The scope of a tenant, named by anything that is the tenant's alone. The name is hashed.
    #[must_use]
    pub fn of(tenant: &[u8]) -> Self {
        Self(blake3::derive_key("headroom 2026-11 scope", tenant))
    }

    /// The one scope of requests without a tenant.
    #[must_use]
    pub fn shared() -> Self {
        Self::of(b"")
    }

    /// The scope as bytes, for stores.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope(..)")
    }
}

/// Finds a request's scope.
#[derive(Clone)]
pub(crate) struct TenantResolver(Arc<dyn Fn(&Parts) -> Scope + Send + Sync>);

impl TenantResolver {
    pub(crate) fn new(resolve: impl Fn(&Parts) -> Scope + Send + Sync + 'static) -> Self {
        Self(Arc::new(resolve))
    }

    pub(crate) fn scope(&self, parts: &Parts) -> Scope {
        (self.0)(parts)
    }
}

impl Default for TenantResolver {
    fn default() -> Self {
        Self::new(credential)
    }
}

impl fmt::Debug for TenantResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantResolver(..)")
    }
}

/// One scope a credential: whoever holds the key may redeem what it sent.
fn credential(parts: &Parts) -> Scope {
    let names = [header::AUTHORIZATION.as_str(), "x-api-key", "x-goog-api-key", "api-key"];
    let value = names.iter().find_map(|name| parts.headers.get(*name));
    value.map_or_else(Scope::shared, |value| Scope::of(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(name: &str, value: &str) -> Scope {
        let (parts, ()) = http::Request::builder().header(name, value).body(()).unwrap().into_parts();
        TenantResolver::default().scope(&parts)
    }

    #[test]
    fn a_credential_is_a_scope() {
        for name in ["authorization", "x-api-key", "x-goog-api-key", "api-key"] {
            assert_eq!(scope(name, "one"), scope(name, "one"));
            assert_ne!(scope(name, "one"), scope(name, "two"));
            assert_ne!(scope(name, "one"), Scope::shared());
        }
        assert_eq!(scope("accept", "one"), Scope::shared());
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?} {:?}", scope("x-api-key", "secret"), TenantResolver::default());
        assert_eq!(shown, "Scope(..) TenantResolver(..)");
    }
}
