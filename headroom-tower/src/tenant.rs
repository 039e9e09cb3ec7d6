//! Who may redeem what.

use std::{fmt, sync::Arc};

use headroom_engine::ccr::{Handle, HandleKey};
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

    /// By the credentials, hashed under the deployment's key: scopes in a database tell nobody who
    /// lacks the key which credential they are of.
    pub(crate) fn by_credential(key: HandleKey) -> Self {
        Self::new(move |parts| credential(parts, &key))
    }

    pub(crate) fn scope(&self, parts: &Parts) -> Scope {
        (self.0)(parts)
    }
}

impl fmt::Debug for TenantResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantResolver(..)")
    }
}

/// One scope a set of credentials: whoever holds all of them may redeem what they sent. All count,
/// so that a gateway's own token beside its tenants' keys does not make the tenants one.
fn credential(parts: &Parts, key: &HandleKey) -> Scope {
    let mut tenant = Vec::new();
    for name in [header::AUTHORIZATION.as_str(), "x-api-key", "x-goog-api-key", "api-key"] {
        for value in parts.headers.get_all(name) {
            for text in [name.as_bytes(), value.as_bytes()] {
                tenant.extend_from_slice(&(text.len() as u64).to_le_bytes());
                tenant.extend_from_slice(text);
            }
        }
    }
    if tenant.is_empty() {
        return Scope::shared();
    }
    // A handle is a keyed hash.
    let digest = blake3::hash(&tenant).to_hex();
    Scope::of(&Handle::new(key, "credential", &digest).to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_credential() -> TenantResolver {
        TenantResolver::by_credential(HandleKey::default())
    }

    fn scope(name: &str, value: &str) -> Scope {
        let (parts, ()) = http::Request::builder().header(name, value).body(()).unwrap().into_parts();
        by_credential().scope(&parts)
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
    fn every_credential_counts() {
        let scope = |pairs: &[(&str, &str)]| {
            let mut head = http::Request::new(()).into_parts().0;
            for (name, value) in pairs {
                let name: http::HeaderName = name.parse().unwrap();
                head.headers.append(name, value.parse().unwrap());
            }
            by_credential().scope(&head)
        };
        // A gateway's own token in front of the tenants' keys does not make them one.
        let (gateway, one, two) = (("authorization", "Bearer g"), ("x-api-key", "1"), ("x-api-key", "2"));
        assert_ne!(scope(&[gateway, one]), scope(&[gateway, two]));
        assert_eq!(scope(&[gateway, one]), scope(&[one, gateway]));
        assert_ne!(scope(&[one, two]), scope(&[one]), "each value of a header");
        assert_ne!(scope(&[("x-api-key", "ab")]), scope(&[("x-api-key", "a"), ("api-key", "b")]));
        assert_eq!(scope(&[("accept", "a")]), Scope::shared());
    }

    #[test]
    fn without_the_key_a_scope_tells_nothing() {
        let (parts, ()) = http::Request::builder().header("x-api-key", "one").body(()).unwrap().into_parts();
        let other = TenantResolver::by_credential(HandleKey::derive(b"private")).scope(&parts);
        assert_ne!(other, scope("x-api-key", "one"));
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?} {:?}", scope("x-api-key", "secret"), by_credential());
        assert_eq!(shown, "Scope(..) TenantResolver(..)");
    }
}
