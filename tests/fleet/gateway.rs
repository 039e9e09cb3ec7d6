//! A replica: the layer around a client, behind a listener, in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, StatusCode, header},
};
use headroom_tests::client::{HttpClient, http};
use headroom_tower::{
    HeadroomLayer, LedgerFailure, Limits, PostgresOptions, PostgresStore, TieredOptions, TieredStore,
};
use tokio::net::TcpListener;

use crate::{
    cluster::{argument, process_command},
    talk::eager,
};

/// A running replica, killed when it is dropped.
pub(crate) struct Gateway {
    child: Child,
    url: String,
}

impl Gateway {
    /// Starts one over `database`, in front of `upstream`.
    pub(crate) fn start(database: &str, upstream: &str) -> Self {
        Self::spawn(process_command("gateway::serves", &format!("{upstream} {database}")))
    }

    /// The same with a clock that is off by `shift`, as in `+3d`; `None` without faketime.
    pub(crate) fn shifted(database: &str, upstream: &str, shift: &str) -> Option<Self> {
        let library = ["x86_64", "aarch64"]
            .map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1"))
            .into_iter()
            .find(|library| Path::new(library).exists())?;
        let mut command = process_command("gateway::serves", &format!("{upstream} {database}"));
        command.env("LD_PRELOAD", library).env("FAKETIME", shift).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Some(Self::spawn(command))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("a replica starts").unwrap();
            if let Some((_, url)) = line.split_once("listening at ") {
                break url.to_owned();
            }
        };
        Self { child, url }
    }

    /// Where requests go.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// As a power cut would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn layer(database: &str) -> HeadroomLayer {
    // A busy machine is not what is tested.
    let wait = Duration::from_secs(10);
    let options = PostgresOptions::default().connections(6).acquire(wait);
    let postgres = PostgresStore::lazy(database, options).unwrap();
    let store = Arc::new(TieredStore::with(postgres, TieredOptions::default().wait(wait)));
    eager()
        .store(store.clone())
        .ledger(store)
        .tenant_by_credential()
        .limits(Limits::default().store(wait))
        .on_ledger_failure(LedgerFailure::Refuse)
        .build()
        .unwrap()
}

/// The process of a [`Gateway`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves() {
    let Some(argument) = argument() else { return };
    let (upstream, database) = argument.split_once(' ').unwrap();
    let app =
        Router::new().fallback(forward).with_state((http(), upstream.to_owned())).layer(layer(database));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("listening at http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    // Our input ends with the test that started us.
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    tokio::select! { _ = ended => {}, _ = server => {} }
    std::process::exit(0);
}

async fn forward(
    State((client, upstream)): State<(HttpClient<Body>, String)>,
    request: Request<Body>,
) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    head.uri = format!("{upstream}{}", head.uri.path_and_query().unwrap()).parse().unwrap();
    head.headers.remove(header::HOST);
    match tokio::time::timeout(Duration::from_secs(60), client.request(Request::from_parts(head, body))).await
    {
        Ok(Ok(response)) => response.map(Body::new),
        _ => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}
