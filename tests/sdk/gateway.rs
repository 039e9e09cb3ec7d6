//! A small gateway: an axum server whose client has the layer around it.

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, StatusCode, header},
};
use headroom_tests::client::{HttpClient, http};
use headroom_tower::{Headroom, HeadroomLayer, RequestBody};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinSet},
};
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
        let server = tokio::spawn(serve(listener, app)).abort_handle();
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

/// Accepts until it is dropped, and its connections with it: a client that keeps one must not meet
/// this gateway behind an address that has become another's.
async fn serve(listener: TcpListener, app: Router) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let app = TowerToHyperService::new(app.clone());
        connections.spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            // A connection that breaks is the client's affair.
            let _ = builder.serve_connection(TokioIo::new(socket), app).await;
        });
        while connections.try_join_next().is_some() {}
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
