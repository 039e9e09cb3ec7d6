//! Connections from clients: HTTP/1.1 and HTTP/2 without TLS, and how they end.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use super::{app::App, guard::Peer, shutdown::Signals};
use crate::config::Config;

/// A connection that sends no request for so long is closed: longer than clients keep theirs.
const IDLE: Duration = Duration::from_secs(120);

/// Serves until it is told to stop, then until all answers have ended, their time is over, or it is told
/// again.
pub(crate) async fn serve(config: &Config, app: Arc<App>, mut stop: Signals) -> io::Result<()> {
    let listener = TcpListener::bind((config.host.as_str(), config.port)).await.map_err(|why| {
        let at = format!("{}:{}", config.host, config.port);
        let mend = match why.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => "choose another --port",
            _ => "--host is an address of this machine",
        };
        io::Error::new(why.kind(), format!("cannot listen at {at}: {why}: {mend}"))
    })?;
    let address = listener.local_addr()?;
    app.announce(address);
    let router = app.router(config);

    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(60));
    let connections = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(why) => {
                    // Out of descriptors, most likely: others will end.
                    tracing::warn!(%why, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.told() => break,
        };
        connect(&http, &connections, stream, peer, router.clone());
    }
    drop(listener);
    tracing::info!(open = connections.count(), "stopping: answers end first, unless it is told again");
    tokio::select! {
        () = connections.shutdown() => {}
        () = tokio::time::sleep(config.shutdown_timeout) => {
            tracing::warn!("answers were cut off: --shutdown-timeout is over");
        }
        () = stop.told() => tracing::warn!("answers were cut off: told to stop again"),
    }
    Ok(())
}

fn connect(
    http: &auto::Builder<TokioExecutor>,
    connections: &GracefulShutdown,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) {
    let _ = stream.set_nodelay(true);
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request
    });
    let connection = http
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
        .into_owned();
    let watched = connections.watch(connection);
    tokio::spawn(async move {
        // A connection that breaks is the client's affair.
        let _ = watched.await;
    });
}
