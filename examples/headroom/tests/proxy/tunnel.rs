//! WebSockets: an upgrade passes, and bytes after it in both directions.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::bed::{KEY, Proxy, within};

/// Reads a head, up to its empty line.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

#[tokio::test]
async fn an_upgrade_joins_both_sides() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let proxy = Proxy::start(&format!("http://{}", listener.local_addr().unwrap()), &[]);
    let mut client = TcpStream::connect(proxy.url.trim_start_matches("http://")).await.unwrap();
    let ask = format!(
        "GET /v1/responses?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: abc\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    );
    client.write_all(ask.as_bytes()).await.unwrap();

    let (mut upstream, _) = within(listener.accept()).await.unwrap();
    let asked = head(&mut upstream).await;
    for line in [
        "get /v1/responses?x=1 http/1.1",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: abc",
    ] {
        assert!(asked.lines().any(|it| it == line), "no {line:?} in {asked}");
    }
    assert!(asked.contains("authorization") && !asked.contains("localhost\r\n"));
    let agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: def\r\n\r\n";
    upstream.write_all(agreed).await.unwrap();
    let answer = head(&mut client).await;
    assert!(answer.starts_with("http/1.1 101") && answer.contains("sec-websocket-accept: def"), "{answer}");
    assert!(answer.contains("upgrade: websocket"), "{answer}");

    // From here on bytes are nobody's business.
    client.write_all(b"\x81\x05hello").await.unwrap();
    let mut heard = [0; 7];
    within(upstream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"\x81\x05hello");
    upstream.write_all(b"\x81\x03bye").await.unwrap();
    let mut heard = [0; 5];
    within(client.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"\x81\x03bye");
    drop(upstream);
    assert_eq!(within(client.read(&mut [0; 8])).await.unwrap(), 0, "the end is passed on, too");
}
