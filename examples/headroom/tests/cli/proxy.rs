//! A running `headroom proxy`.

use std::{
    io::{BufRead as _, BufReader},
    process::Child,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use crate::bed::headroom;

/// Stopped when dropped.
pub(crate) struct Proxy {
    child: Child,
    address: String,
}

impl Proxy {
    /// At a port of its own.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = headroom().args(["proxy", "--port", "0", "--json"]).args(args).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = lines.by_ref().map(Result::unwrap).find(|line| line.contains("listening"));
        let said = said.unwrap_or_else(|| panic!("it does not listen"));
        // What it logs later is read too, lest it wait.
        std::thread::spawn(move || lines.for_each(drop));
        let at = said.find("127.0.0.1:").unwrap();
        let address = said[at..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
        Self { child, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The body at `path`.
    pub(crate) async fn get(&self, path: &str) -> Bytes {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let response = client.get(format!("{}{path}", self.url()).parse().unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap().to_bytes()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
