//! `headroom mcp --http`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::Child,
};

use rmcp::{
    ServiceExt as _,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};

use crate::{
    bed::{headroom, run, stderr},
    mcp,
};

/// A server of its own, stopped when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut child = headroom().args(["mcp", "--http", "127.0.0.1:0"]).args(args).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().split_once("http://").unwrap_or_else(|| panic!("{line}")).1;
        Self { child, address: address.trim_end_matches("/mcp").to_owned() }
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// The status line that a request with these header lines gets.
    fn status(&self, host: &str, headers: &str) -> String {
        const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        let mut socket = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\ncontent-length: {}\r\n{headers}\r\n",
            CALL.len()
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(CALL.as_bytes()).unwrap();
        let mut first = [0; 12];
        socket.read_exact(&mut first).unwrap();
        String::from_utf8_lossy(&first[9..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn serves_over_http() {
    let server = Server::start(&[]);
    let client = ().serve(StreamableHttpClientTransport::from_uri(server.url())).await.unwrap();
    mcp::serves(&client).await;
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn sessions_share_what_they_hold() {
    let server = Server::start(&["--token", "secret"]);
    let config = || StreamableHttpClientTransportConfig::with_uri(server.url()).auth_header("secret");
    let one = ().serve(StreamableHttpClientTransport::from_config(config())).await.unwrap();
    let text = crate::bed::log(500);
    let smaller = mcp::call(&one, "headroom_compress", serde_json::json!({ "text": text })).await.unwrap();
    one.cancel().await.unwrap();
    let two = ().serve(StreamableHttpClientTransport::from_config(config())).await.unwrap();
    let arguments =
        serde_json::json!({ "handle": mcp::handle(mcp::text(&smaller, 1)), "max_tokens": 1_000_000 });
    let whole = mcp::call(&two, "headroom_retrieve", arguments).await.unwrap();
    assert_eq!(mcp::text(&whole, 0).split_once('\n').unwrap().1, text);
    two.cancel().await.unwrap();
}

#[test]
fn browsers_and_strangers_are_kept_out() {
    let server = Server::start(&["--token", "secret", "--allow-host", "mcp.example"]);
    let token = "authorization: Bearer secret\r\n";
    assert_eq!(server.status("localhost", token), "200");
    assert_eq!(server.status("mcp.example", token), "200");
    assert_eq!(server.status("evil.example", token), "403");
    assert_eq!(server.status("localhost", &format!("{token}origin: https://evil.example\r\n")), "403");
    for wrong in [
        "",
        "authorization: Bearer secre\r\n",
        "authorization: Bearer secreT\r\n",
        "authorization: secret\r\n",
    ] {
        assert_eq!(server.status("localhost", wrong), "401", "{wrong}");
    }
}

#[test]
fn others_need_a_token() {
    let output = run(&["mcp", "--http", "0.0.0.0:0"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--token"), "{}", stderr(&output));
    let empty = run(&["mcp", "--http", "0.0.0.0:0", "--token", ""], b"");
    assert_eq!(empty.status.code(), Some(2), "{}", stderr(&empty));
    let name = run(&["mcp", "--http", "localhost:1"], b"");
    assert!(name.status.code() == Some(2) && stderr(&name).contains("127.0.0.1:8788"), "{}", stderr(&name));
    assert_eq!(run(&["mcp", "--token", "x"], b"").status.code(), Some(2));
}
