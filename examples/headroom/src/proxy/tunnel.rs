//! Upgrades: WebSockets pass through untouched.

use std::future::Future;

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::{forward::Outgoing, headers};

/// Sends `request` on as one that asks for `protocol`, and joins both sides if the upstream agrees.
pub(crate) async fn through<F, E>(
    mut request: Request<Outgoing>,
    protocol: HeaderValue,
    send: impl FnOnce(Request<Outgoing>) -> F,
) -> Result<Response<Body>, E>
where
    F: Future<Output = Result<Response<Incoming>, E>>,
{
    let client = hyper::upgrade::on(&mut request);
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    request.headers_mut().insert(header::UPGRADE, protocol);
    let mut response = send(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        headers::end_to_end(response.headers_mut());
        return Ok(response.map(Body::new));
    }
    let upstream = hyper::upgrade::on(&mut response);
    tokio::spawn(async move {
        if let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) {
            // Either side may leave when it likes.
            let _ =
                tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(upstream)).await;
        }
    });
    let agreed = response.headers().get(header::UPGRADE).cloned();
    headers::end_to_end(response.headers_mut());
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(agreed) = agreed {
        response.headers_mut().insert(header::UPGRADE, agreed);
    }
    Ok(response.map(|_| Body::empty()))
}
