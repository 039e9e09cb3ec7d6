//! Credentials of `--backend vertex`: Google's token servers and metadata server, here and on real sockets.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{Json, Router, extract::Request};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use headroom_tests::{
    Dialect,
    provider::{Provider, Received, Turn},
};
use http::{Method, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use rustls::{
    SignatureScheme,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};

use crate::{
    bed::{KEY, Proxy, command, send, text},
    network::{authority, secured, tunnels},
};

const MESSAGE: &str =
    r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
const PEM: &str = include_str!("service-account.pem");
/// What stands in files and must appear nowhere else.
const SECRETS: [&str; 3] = ["1//refresh-hush", "GOCSPX-hush", "MIIEvgIBADANBg"];

/// What was asked: a head, and a form.
type Asked = Arc<Mutex<Vec<(Parts, String)>>>;

/// A server that gives tokens: it answers the n-th request, from 0, as `answer` says.
async fn google(answer: fn(usize, &str) -> (u16, Value)) -> (String, Asked) {
    let asked = Asked::default();
    let kept = Arc::clone(&asked);
    let router = Router::new().fallback(move |request: Request| {
        let kept = Arc::clone(&kept);
        async move {
            let (head, body) = request.into_parts();
            let form = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
            let mut kept = kept.lock().unwrap();
            let (status, told) = answer(kept.len(), &form);
            kept.push((head, form));
            (StatusCode::from_u16(status).unwrap(), Json(told))
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), asked)
}

fn token(n: usize, holds: u64) -> (u16, Value) {
    (200, json!({"access_token": format!("ya29.{n}"), "expires_in": holds, "token_type": "Bearer"}))
}

/// A refusal that repeats what it was sent, as no server should.
fn refuse(form: &str) -> (u16, Value) {
    (400, json!({"error": "invalid_grant", "error_description": form}))
}

fn service_account(server: &str) -> Value {
    json!({
        "type": "service_account", "project_id": "p-1", "private_key_id": "key-7", "private_key": PEM,
        "client_email": "robot@p-1.iam.gserviceaccount.com", "token_uri": format!("{server}/token"),
    })
}

fn user(server: &str) -> Value {
    json!({
        "type": "authorized_user", "client_id": "7.apps.example", "client_secret": SECRETS[1],
        "refresh_token": SECRETS[0], "token_uri": format!("{server}/token"),
    })
}

/// Who vouches for the proxy.
enum By<'a> {
    File(&'a str, Value),
    Metadata(&'a str),
}

/// A proxy before Vertex at `upstream`, which finds only these credentials.
fn vertex(upstream: &str, by: &By<'_>) -> Command {
    let room = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut command = command(&[
        "--backend",
        "vertex",
        "--backend-url",
        upstream,
        "--region",
        "us-east5",
        "--project",
        "p",
    ]);
    // Nobody's own credentials, and no test asks the real server.
    command.env("HOME", room.join("nobody")).env("APPDATA", room.join("nobody"));
    command.env("GCE_METADATA_HOST", "127.0.0.1:1");
    match by {
        By::File(name, json) => {
            let file = room.join(format!("google-{name}.json"));
            std::fs::write(&file, json.to_string()).unwrap();
            command.env("GOOGLE_APPLICATION_CREDENTIALS", file);
        }
        By::Metadata(url) => {
            command.env("GCE_METADATA_HOST", url.trim_start_matches("http://"));
        }
    }
    command
}

async fn provider() -> Provider {
    Provider::start(|_: &Received| Turn::text("Hello.").into()).await
}

/// Asks, and the bearer token that the provider was sent.
async fn bearer(proxy: &Proxy, provider: &Provider) -> String {
    proxy.ask(Dialect::Anthropic, MESSAGE).await.unwrap();
    let head = provider.last().head().clone();
    assert!(!format!("{head:?}").contains(KEY), "{head:?}");
    let value = head.headers[header::AUTHORIZATION].to_str().unwrap().to_owned();
    value.strip_prefix("Bearer ").unwrap().to_owned()
}

fn hushed(text: &str) {
    for secret in SECRETS.into_iter().chain(["PRIVATE KEY", "assertion=", "refresh_token=", "ya29."]) {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_go_upstream_and_are_got_anew_before_they_end() {
    // The first for a time that is as good as over, the second for long.
    for (holds, wanted) in [(30, ["ya29.1", "ya29.2"]), (3600, ["ya29.0", "ya29.0"])] {
        let answer = if holds == 30 { |n, _: &str| token(n, 30) } else { |n, _: &str| token(n, 3600) };
        for kind in ["service", "user", "metadata"] {
            let (server, asked) = google(answer).await;
            let by = match kind {
                "service" => By::File(&format!("service-{holds}"), service_account(&server)),
                "user" => By::File(&format!("user-{holds}"), user(&server)),
                _ => By::Metadata(&server),
            };
            let provider = provider().await;
            let proxy = Proxy::with(vertex(&provider.url(), &by));
            assert_eq!(asked.lock().unwrap().len(), 1, "asked once at the start");
            for token in wanted {
                assert_eq!(bearer(&proxy, &provider).await, token, "{kind}");
            }
            hushed(&proxy.logs());
            let asked = asked.lock().unwrap();
            assert_eq!(asked.len(), if holds == 30 { 3 } else { 1 });
            for (head, form) in asked.iter() {
                match kind {
                    "service" => assert_eq!((&head.method, head.uri.path()), (&Method::POST, "/token")),
                    "user" => assert_eq!(
                        form,
                        "grant_type=refresh_token&client_id=7.apps.example&client_secret=GOCSPX-hush\
                         &refresh_token=1%2F%2Frefresh-hush"
                    ),
                    _ => {
                        let path = "/computeMetadata/v1/instance/service-accounts/default/token";
                        assert_eq!((&head.method, head.uri.path()), (&Method::GET, path));
                        assert_eq!(head.headers["metadata-flavor"], "Google");
                    }
                }
                if kind != "metadata" {
                    let kind = &head.headers[header::CONTENT_TYPE];
                    assert_eq!(kind, "application/x-www-form-urlencoded");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_signs_what_it_says() {
    let (server, asked) = google(|n, _| token(n, 3600)).await;
    let provider = provider().await;
    let by = By::File("signed", service_account(&server));
    assert_eq!(bearer(&Proxy::with(vertex(&provider.url(), &by)), &provider).await, "ya29.0");
    let form = asked.lock().unwrap()[0].1.clone();
    let said = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let assertion = form.strip_prefix(said).unwrap();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let read = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let [head, claims]: [Value; 2] = signed
        .split('.')
        .map(|part| serde_json::from_slice(&read(part)).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!(head, json!({"alg": "RS256", "typ": "JWT", "kid": "key-7"}));
    assert_eq!(claims["iss"], "robot@p-1.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], format!("{server}/token"));
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    let at = claims["iat"].as_u64().unwrap();
    assert_eq!(claims["exp"], at + 3600);
    #[expect(clippy::disallowed_methods, reason = "assertions hold for a time")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert!(Duration::from_secs(at) <= now && now.as_secs() - at < 300, "{at}");

    let ring = rustls::crypto::ring::default_provider();
    let key = PrivateKeyDer::from_pem_slice(PEM.as_bytes()).unwrap();
    let public = ring.key_provider.load_private_key(key).unwrap().public_key().unwrap().to_vec();
    // The key stands behind 24 bytes that say that it is one of RSA, with 2,048 bits.
    let algorithms = ring.signature_verification_algorithms.mapping;
    let verifier =
        algorithms.iter().find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256).unwrap().1;
    verifier[0].verify_signature(&public[24..], signed.as_bytes(), &read(signature)).unwrap();
    let other = signed.replacen('.', "a.", 1);
    assert!(verifier[0].verify_signature(&public[24..], other.as_bytes(), &read(signature)).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_server_refuses_is_told_in_the_clients_dialect() {
    let provider = provider().await;
    // A token that still holds does until there is another; one that does not, does not.
    let (server, _) = google(|n, form| if n == 0 { token(n, 30) } else { refuse(form) }).await;
    let proxy = Proxy::with(vertex(&provider.url(), &By::File("late", user(&server))));
    assert_eq!(bearer(&proxy, &provider).await, "ya29.0");
    let sent = provider.received().len();

    for (name, by) in [("gone-service", service_account as fn(&str) -> Value), ("gone-user", user)] {
        let (server, asked) = google(|n, form| if n == 0 { token(n, 0) } else { refuse(form) }).await;
        let proxy = Proxy::with(vertex(&provider.url(), &By::File(name, by(&server))));
        for stream in [false, true] {
            let body = MESSAGE.replace("\"max_tokens\"", &format!("\"stream\":{stream},\"max_tokens\""));
            let (status, error) = text(send(proxy.says(Dialect::Anthropic, body)).await).await;
            hushed(&error);
            let error: Value = serde_json::from_str(&error).unwrap();
            assert_eq!(
                (status, &error["type"], &error["error"]["type"]),
                (502, &"error".into(), &"api_error".into())
            );
            let message = error["error"]["message"].as_str().unwrap();
            for word in ["credentials", &server, "invalid_grant", "clock"] {
                assert!(message.contains(word), "{word} in {message}");
            }
        }
        hushed(&proxy.logs());
        assert!(asked.lock().unwrap()[1].1.contains("grant_type"), "it was asked");
    }
    assert_eq!(provider.received().len(), sent, "nothing goes upstream without a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_asked_for_through_the_proxy_and_under_the_authority_that_is_named() {
    let (server, asked) = google(|n, _| token(n, 3600)).await;
    let (ca, tls) = authority("google-ca.pem");
    let port = secured(tls, &server).await;
    let secure = format!("https://localhost:{port}");
    let provider = provider().await;
    let (between, heads) = tunnels("200 OK").await;
    let through = |by: &By<'_>, believed: bool| {
        let mut command = vertex(&provider.url(), by);
        if believed {
            command.arg("--ca").arg(&ca);
        }
        command.env("HTTPS_PROXY", format!("http://user:hush@{between}"));
        command
    };
    for (name, json) in [("tls-service", service_account(&secure)), ("tls-user", user(&secure))] {
        let proxy = Proxy::with(through(&By::File(name, json), true));
        assert!(bearer(&proxy, &provider).await.starts_with("ya29."));
        let head = heads.lock().unwrap().pop().unwrap();
        assert!(head.starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")), "{head}");
        hushed(&head);
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
    // The metadata server is this machine's: nobody stands between.
    assert_eq!(bearer(&Proxy::with(through(&By::Metadata(&server), true)), &provider).await, "ya29.2");
    assert!(heads.lock().unwrap().is_empty());

    let unbelieved =
        through(&By::File("tls-none", user(&secure)), false).args(["--port", "0"]).output().unwrap();
    let why = String::from_utf8_lossy(&unbelieved.stderr).into_owned();
    assert_eq!(unbelieved.status.code(), Some(2));
    assert!(why.contains("certificate") && why.contains(&secure), "{why}");
    hushed(&why);
    assert_eq!(asked.lock().unwrap().len(), 3, "nothing is said to who is not believed");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_cannot_be_used_are_an_error_at_the_start() {
    let (server, asked) = google(|_, form| refuse(form)).await;
    let mut external = user(&server);
    external["type"] = "external_account".into();
    for (name, by, word) in [
        ("no-service", By::File("no-service", service_account(&server)), "invalid_grant"),
        ("no-user", By::File("no-user", user(&server)), "invalid_grant"),
        ("external", By::File("external", external), "external_account"),
        ("exposed", By::File("exposed", user("http://tokens.example")), "TLS"),
        ("no-metadata", By::Metadata(&server), "refuses (400 invalid_grant)"),
        ("nowhere", By::Metadata("127.0.0.1:1"), "no answer"),
        ("no host", By::Metadata("a/b"), "GCE_METADATA_HOST"),
    ] {
        let output = vertex("http://127.0.0.1:1", &by).args(["--port", "0"]).output().unwrap();
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {why}");
        assert!(why.contains("credentials of Google") && why.contains(word), "{name}: {why}");
        hushed(&why);
    }
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_a_sign_in_is_found_and_read_anew() {
    let (server, asked) = google(|n, _| token(n, 0)).await;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gcloud-of-tests");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("application_default_credentials.json");
    std::fs::write(&file, user(&server).to_string()).unwrap();
    let provider = provider().await;
    let mut command = vertex(&provider.url(), &By::Metadata("127.0.0.1:1"));
    command.env("CLOUDSDK_CONFIG", &folder);
    let proxy = Proxy::with(command);
    let mut another = user(&server);
    another["refresh_token"] = "another".into();
    std::fs::write(&file, another.to_string()).unwrap();
    assert_eq!(bearer(&proxy, &provider).await, "ya29.1");
    let asked = asked.lock().unwrap();
    assert!(asked[0].1.ends_with("refresh-hush") && asked[1].1.ends_with("=another"), "{asked:?}");
}
