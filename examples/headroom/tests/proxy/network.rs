//! Upstreams behind an authority of one's own, and through an enterprise's proxy.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use headroom_tests::{
    Dialect,
    provider::{Provider, Received, Turn},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::bed::{Proxy, command};

const MESSAGE: &str =
    r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;

/// An authority that nobody else believes.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's certificate and key, as PEM.
    pub(crate) fn issue(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// An authority's certificate in a file, and a server of this machine that it has signed.
pub(crate) fn authority(name: &str) -> (PathBuf, Arc<ServerConfig>) {
    let authority = Authority::new();
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, authority.pem()).unwrap();
    let (certificate, key) = authority.issue(&["127.0.0.1", "localhost"]);
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    (file, Arc::new(tls))
}

/// TLS in front of a server; its port.
pub(crate) async fn secured(tls: Arc<ServerConfig>, to: &str) -> u16 {
    let to = to.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, to) = (TlsAcceptor::from(Arc::clone(&tls)), to.clone());
            tokio::spawn(async move {
                // Who does not believe the certificate leaves.
                let Ok(mut client) = tls.accept(stream).await else { return };
                let mut server = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

/// A proxy that connects; the heads it was asked with.
pub(crate) async fn tunnels(status: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let to = head.split(' ').nth(1).unwrap().to_owned();
                kept.lock().unwrap().push(head);
                client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap();
                if status.starts_with("200") {
                    let mut server = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    (address.to_string(), heads)
}

#[tokio::test]
async fn an_authority_of_ones_own_is_believed_if_it_is_named() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let (file, tls) = authority("own-ca.pem");
    let url = format!("https://localhost:{}", secured(tls, &provider.url()).await);
    let proxy = Proxy::start(&url, &["--ca", file.to_str().unwrap()]);
    assert_eq!(proxy.ask(Dialect::Anthropic, MESSAGE).await.unwrap().text(), "Hello.");

    let (other, _) = authority("other-ca.pem");
    for arguments in [&[][..], &["--ca", other.to_str().unwrap()]] {
        let proxy = Proxy::start(&url, arguments);
        let (status, error) = proxy.json(proxy.says(Dialect::Anthropic, MESSAGE)).await;
        assert_eq!(status, 502);
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("certificate"), "{message}");
    }
    assert_eq!(provider.received().len(), 1);
}

#[tokio::test]
async fn what_is_secured_goes_through_the_proxy_and_the_rest_does_not() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let (file, tls) = authority("tunnel-ca.pem");
    let port = secured(tls, &provider.url()).await;
    let (between, heads) = tunnels("200 OK").await;
    let start = |upstream: &str, no: &str| {
        let mut command = command(&["--anthropic-target-api-url", upstream, "--ca", file.to_str().unwrap()]);
        command.env("HTTPS_PROXY", format!("http://user:hush@{between}")).env("NO_PROXY", no);
        Proxy::with(command)
    };
    let url = format!("https://localhost:{port}");
    for (upstream, no, asked) in [(url.as_str(), "", 1), (&url, "localhost", 1), (&provider.url(), "", 1)] {
        let proxy = start(upstream, no);
        assert_eq!(proxy.ask(Dialect::Anthropic, MESSAGE).await.unwrap().text(), "Hello.");
        assert_eq!(heads.lock().unwrap().len(), asked, "{upstream} {no}");
        assert!(!proxy.logs().contains("hush"));
    }
    let head = heads.lock().unwrap()[0].clone();
    assert!(head.starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")), "{head}");
    // user:hush
    assert!(head.contains("Proxy-Authorization: Basic dXNlcjpodXNo\r\n"), "{head}");
    for secret in [crate::bed::KEY, "x-api-key"] {
        assert!(!head.contains(secret), "{head}");
    }

    let (refusing, _) = tunnels("403 Forbidden").await;
    let mut command = command(&["--anthropic-target-api-url", &url]);
    let proxy = Proxy::with({
        command.env("HTTPS_PROXY", format!("http://user:hush@{refusing}"));
        command
    });
    let (status, error) = proxy.json(proxy.says(Dialect::Anthropic, MESSAGE)).await;
    let message = error["error"]["message"].as_str().unwrap();
    assert_eq!(status, 502);
    assert!(message.contains("HTTPS_PROXY") && !message.contains("hush"), "{message}");
}
