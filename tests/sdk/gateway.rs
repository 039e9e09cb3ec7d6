//! A small gateway: an axum server whose client has the layer around it.

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, StatusCode, header},
};
use headroom_tests::client::{HttpClient, http};
use headroom_tower::{Headroom, HeadroomLayer, RequestBody};
use tokio::{net::TcpListener, task::AbortHandle};
use tower::{Layer as _, ServiceExt as _};

type Upstream = (Headroom<HttpClient<RequestBody<Body>>>, String);

/// A running gateway; it stops when it is dropped.
pub(crate) struct Gateway {
    url: String,
    server: AbortHandle,
}

impl Gateway {
    pub(crate) async fn start(layer: &HeadroomLayer, upstream: String) -> Self {
        let app = Router::new().fallback(forward).with_state((layer.layer(http()), upstream));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }).abort_handle();
        Self { url, server }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(State((client, upstream)): State<Upstream>, mut request: Request<Body>) -> Response<Body> {
    let path = request.uri().path_and_query().unwrap();
    *request.uri_mut() = format!("{upstream}{path}").parse().unwrap();
    request.headers_mut().remove(header::HOST);
    match client.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}
