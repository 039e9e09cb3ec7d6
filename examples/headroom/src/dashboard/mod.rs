//! The dashboard: one page that draws `/stats`.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
};

use axum::response::{IntoResponse, Response};
use http::header;

/// HTML, CSS and script; `{{nonce}}` stands where the policy's nonce goes.
const PAGE: &str = include_str!("page.html");

/// The page. It loads nothing from elsewhere, asks nobody but this proxy, and is framed by nobody.
pub(crate) async fn page() -> Response {
    let nonce = nonce();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, [(header::CONTENT_SECURITY_POLICY, policy)], PAGE.replace("{{nonce}}", &nonce)).into_response()
}

/// 128 bits of the system's randomness: each state is seeded with it.
fn nonce() -> String {
    let half = || RandomState::new().build_hasher().finish();
    // States made by one thread differ by a counter alone, so the second half is hashed from afar.
    let far = std::thread::spawn(half).join().unwrap_or_else(|_| half());
    format!("{:016x}{far:016x}", half())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn every_page_has_a_nonce_of_its_own() {
        let mut seen = Vec::new();
        for _ in 0..2 {
            let (head, body) = page().await.into_parts();
            let policy = head.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
            let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
            let body = body.collect().await.unwrap().to_bytes();
            let body = std::str::from_utf8(&body).unwrap();
            assert_eq!(body.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
            assert!(!body.contains("{{"));
            seen.push(nonce);
        }
        assert_ne!(seen[0], seen[1]);
        assert_eq!(seen[0].len(), 32);
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let urls: Vec<&str> =
            PAGE.match_indices("://").map(|(at, _)| &PAGE[at - 5..(at + 30).min(PAGE.len())]).collect();
        assert!(urls.iter().all(|url| url.contains("www.w3.org/2000/svg")), "{urls:?}");
        for bad in ["innerHTML", "eval(", "document.write", " style=\"", "onclick"] {
            assert!(!PAGE.contains(bad), "{bad}");
        }
    }
}
