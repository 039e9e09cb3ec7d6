//! `--backend bedrock` and `vertex`: Messages clients at clouds with paths of their own.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_types::date_time::{DateTime, Format};
use axum::{Json, Router, routing::get};
use headroom_tests::{
    Dialect,
    client::{Dialogue, post},
    fixtures,
    provider::{Asker, Fault, Framing, Provider, Question, Received, Replay, Reply, Turn},
};
use http::{Request, header};
use serde_json::{Value, json};

use crate::bed::{KEY, Proxy, TOKEN, command, send, text, within};

const MODEL: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const MODELS: &str = "claude-haiku-4-5=us.anthropic.claude-haiku-4-5-20251001-v1:0";
const MESSAGE: &str =
    r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;

/// A proxy before Bedrock at `upstream`; `edit` says who asks.
fn bedrock(upstream: &str, arguments: &[&str], edit: impl FnOnce(&mut Command)) -> Proxy {
    let mut all = vec!["--backend", "bedrock", "--backend-url", upstream, "--models", MODELS];
    all.extend(arguments);
    let mut command = command(&all);
    // No test asks a metadata service.
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "eu-central-1");
    edit(&mut command);
    Proxy::with(command)
}

fn keys(command: &mut Command) {
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
}

/// Whether a request that was received carries the signature of its own bytes by these credentials.
fn verifies(url: &str, request: &Received, id: &str, secret: &str, session: Option<&str>) -> bool {
    let head = request.head();
    let authorization = head.headers[header::AUTHORIZATION].to_str().unwrap();
    let names = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
    let date = head.headers["x-amz-date"].to_str().unwrap();
    let [day, time] = [&date[..8], &date[9..15]];
    let iso =
        format!("{}-{}-{}T{}:{}:{}Z", &day[..4], &day[4..6], &day[6..], &time[..2], &time[2..4], &time[4..]);
    let at = DateTime::from_str(&iso, Format::DateTime).unwrap();
    let identity = Credentials::new(id, secret, session.map(str::to_owned), None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name("bedrock")
        .time(SystemTime::try_from(at).unwrap())
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    // The signer puts these there again.
    let own = ["host", "x-amz-date", "x-amz-security-token"];
    let headers = names.split(';').filter(|name| !own.contains(name));
    let headers = headers.map(|name| (name, head.headers[name].to_str().unwrap()));
    let uri = format!("{url}{}", head.uri.path_and_query().unwrap());
    let signable = SignableRequest::new(
        head.method.as_str(),
        uri.as_str(),
        headers,
        SignableBody::Bytes(request.body()),
    );
    let (instructions, _) = sign(signable.unwrap(), &params.into()).unwrap().into_parts();
    let mut again = Request::new(());
    instructions.apply_to_request_http1x(&mut again);
    again.headers()[header::AUTHORIZATION] == authorization
}

/// Plays a recorded conversation whose model looks into what was hidden; what the client heard.
async fn play(proxy: &Proxy, stream: bool) -> Vec<String> {
    let conversation = fixtures::named("nightly.anthropic");
    let mut dialogue = Dialogue::new(&conversation);
    if stream {
        dialogue = dialogue.streamed();
    }
    let mut heard = Vec::new();
    while let Some(body) = dialogue.request() {
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        body["model"] = "claude-haiku-4-5".into();
        let answer = within(proxy.ask(Dialect::Anthropic, body.to_string())).await.unwrap();
        heard.push(answer.text().to_owned());
        dialogue.answered(&answer);
    }
    heard
}

async fn asking() -> Provider {
    let replay = Replay::new([fixtures::named("nightly.anthropic")]).delta(400);
    Provider::start(Asker::new(replay, |turn| (turn == 2).then_some(Question::Whole))).await
}

#[tokio::test]
async fn conversations_at_bedrock_are_anthropics_smaller_and_signed() {
    let plain = asking().await;
    let wanted = play(&Proxy::start(&plain.url(), &[]), false).await;
    for stream in [false, true] {
        let provider = asking().await;
        let proxy = bedrock(&provider.url(), &[], keys);
        assert_eq!(play(&proxy, stream).await, wanted);
        let method = if stream { "invoke-with-response-stream" } else { "invoke" };
        let received = provider.received();
        assert_eq!(received.len(), wanted.len() + 1, "one follow-up");
        for (request, same) in received.iter().zip(plain.received()) {
            assert_eq!(request.rejection(), None);
            let model = MODEL.replace(':', "%3A");
            assert_eq!(request.head().uri.path(), format!("/model/{model}/{method}"));
            assert!(verifies(&provider.url(), request, "AKIDEXAMPLE", "secret", None));
            let head = format!("{:?}", request.head());
            assert!(!head.contains(KEY) && !head.contains("anthropic-version"), "{head}");
            // But for the version, what is asked is what Anthropic is asked.
            assert_eq!(request.json()["messages"], same.json()["messages"]);
        }
        assert_eq!(
            proxy.get("/stats").await.1["requests"]["by_dialect"]["anthropic"]["requests"],
            wanted.len()
        );
    }
}

#[tokio::test]
async fn conversations_at_vertex_are_anthropics() {
    let plain = asking().await;
    let wanted = play(&Proxy::start(&plain.url(), &[]), false).await;
    for stream in [false, true] {
        let provider = asking().await;
        let url = provider.url();
        let proxy = Proxy::with({
            let arguments = ["--backend", "vertex", "--backend-url", &url, "--region", "us-east5"];
            let mut command = command(&arguments);
            command.args(["--project", "p-1", "--models", "claude-haiku-4-5=claude-haiku-4-5@20251001"]);
            command.env("HEADROOM_BACKEND_TOKEN", TOKEN);
            command
        });
        assert_eq!(play(&proxy, stream).await, wanted);
        let method = if stream { "streamRawPredict" } else { "rawPredict" };
        let place = "/v1/projects/p-1/locations/us-east5/publishers/anthropic/models";
        for (request, same) in provider.received().iter().zip(plain.received()) {
            assert_eq!(request.rejection(), None);
            assert_eq!(request.head().uri.path(), format!("{place}/claude-haiku-4-5@20251001:{method}"));
            assert_eq!(request.head().headers[header::AUTHORIZATION], format!("Bearer {TOKEN}"));
            assert!(!format!("{:?}", request.head()).contains(KEY));
            assert_eq!(request.json()["messages"], same.json()["messages"]);
        }
        let count = proxy.post("/v1/messages/count_tokens", &serde_json::from_str(MESSAGE).unwrap()).await;
        assert_eq!(count.0, 200, "{count:?}");
        assert_eq!(provider.last().head().uri.path(), format!("{place}/count-tokens:rawPredict"));
        assert_eq!(provider.last().json()["model"], "claude-haiku-4-5@20251001");
        assert!(count.1["input_tokens"].as_u64().unwrap() > 0);
    }
}

#[tokio::test]
async fn tokens_are_counted_and_features_are_named_in_the_body() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let proxy = bedrock(&provider.url(), &["--backend-token", TOKEN], |_| ());
    let (status, count) =
        proxy.post("/v1/messages/count_tokens", &serde_json::from_str(MESSAGE).unwrap()).await;
    assert_eq!((status, count["input_tokens"].as_u64().unwrap() > 0), (200, true), "{count}");
    let path = "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens";
    assert_eq!(provider.last().head().uri.path(), path);
    assert_eq!(provider.last().head().headers[header::AUTHORIZATION], format!("Bearer {TOKEN}"));

    let mut request = proxy.says(Dialect::Anthropic, MESSAGE);
    *request.uri_mut() = format!("{}/v1/messages?beta=true", proxy.url).parse().unwrap();
    request.headers_mut().insert("anthropic-beta", "a-2026-01-01,b-2026-02-02".parse().unwrap());
    let response = send(request).await;
    assert!(response.headers()["request-id"].to_str().unwrap().starts_with("req_"));
    assert_eq!(response.status(), 200);
    let sent: Value = serde_json::from_slice(provider.last().body()).unwrap();
    assert_eq!(sent["anthropic_beta"], json!(["a-2026-01-01", "b-2026-02-02"]));
    assert!(!provider.last().head().headers.contains_key("anthropic-beta"));
    assert_eq!(provider.last().head().uri.query(), None);
}

#[tokio::test]
async fn bedrocks_own_paths_are_signed_anew() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let proxy = bedrock(&provider.url(), &[], keys);
    let body = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let mut request = post(&format!("{}/model/{MODEL}/invoke", proxy.url), body);
    let old =
        "AWS4-HMAC-SHA256 Credential=OTHER/20260101/x/bedrock/aws4_request, SignedHeaders=host, Signature=0";
    request.headers_mut().insert(header::AUTHORIZATION, old.parse().unwrap());
    request.headers_mut().insert("x-amz-date", "20260101T000000Z".parse().unwrap());
    let (status, answer) = proxy.json(request).await;
    assert_eq!((status, &answer["content"][0]["text"]), (200, &"Hello.".into()));
    assert!(verifies(&provider.url(), &provider.last(), "AKIDEXAMPLE", "secret", None));
    for path in ["/v1/chat/completions", "/v1/complete"] {
        let (status, error) = proxy.post(path, &json!({"model": "x"})).await;
        assert_eq!(status, 404, "{error}");
    }
    let unknown = MESSAGE.replace("claude-haiku-4-5", "claude-none");
    let (status, error) = proxy.json(proxy.says(Dialect::Anthropic, unknown)).await;
    assert_eq!((status, &error["error"]["type"]), (404, &"not_found_error".into()));
    assert!(error["error"]["message"].as_str().unwrap().contains("--models claude-none="), "{error}");
    assert_eq!(provider.received().len(), 1);
}

#[tokio::test]
async fn errors_of_clouds_have_anthropics_form() {
    for (status, name, body, kind) in [
        (429, "ThrottlingException:http://x/", r#"{"message":"Too many"}"#, "rate_limit_error"),
        (400, "ValidationException", r#"{"message":"Too many"}"#, "invalid_request_error"),
        (
            503,
            "",
            r#"[{"error":{"code":503,"message":"Too many","status":"UNAVAILABLE"}}]"#,
            "overloaded_error",
        ),
    ] {
        let provider = Provider::start(move |_: &Received| {
            let headers = vec![
                ("x-amzn-errortype", name.to_owned()),
                ("content-type", "application/json".to_owned()),
                ("retry-after", "7".to_owned()),
            ];
            Reply::Raw { status, headers, body: body.as_bytes().to_vec() }
        })
        .await;
        let proxy = bedrock(&provider.url(), &["--backend-token", TOKEN], |_| ());
        for stream in [false, true] {
            let body = MESSAGE.replace("\"max_tokens\"", &format!("\"stream\":{stream},\"max_tokens\""));
            let response = send(proxy.says(Dialect::Anthropic, body)).await;
            assert_eq!(response.headers()["retry-after"], "7");
            let (told, error) = text(response).await;
            let error: Value = serde_json::from_str(&error).unwrap();
            assert_eq!((told, &error["type"]), (status, &"error".into()));
            assert_eq!(error["error"], json!({"type": kind, "message": "Too many"}));
        }
        assert_eq!(provider.received().len(), 2, "no second try");
    }
}

#[tokio::test]
async fn a_stream_that_fails_says_so_and_one_that_breaks_off_breaks_off() {
    let body = MESSAGE.replace("\"max_tokens\"", "\"stream\":true,\"max_tokens\"");
    for framing in [Framing::Events, Framing::Bytes(7), Framing::Whole] {
        let fault = Fault::Error { kind: "overloaded_error", message: "Too much".to_owned() };
        let turn = Turn::text("One two three.").framing(framing).fault(4, fault);
        let provider = Provider::start(move |_: &Received| turn.clone().into()).await;
        let proxy = bedrock(&provider.url(), &["--backend-token", TOKEN], |_| ());
        let told = text(send(proxy.says(Dialect::Anthropic, body.clone())).await).await.1;
        let last = told.trim_end().rsplit("\n\n").next().unwrap();
        let error: Value = serde_json::from_str(last.strip_prefix("event: error\ndata: ").unwrap()).unwrap();
        assert_eq!((&error["type"], &error["error"]["message"]), (&"error".into(), &"Too much".into()));
    }
    let turn = Turn::text("One two three.").fault(3, Fault::Reset);
    let provider = Provider::start(move |_: &Received| turn.clone().into()).await;
    let proxy = bedrock(&provider.url(), &["--backend-token", TOKEN], |_| ());
    assert!(proxy.ask(Dialect::Anthropic, body).await.is_err());
}

/// What hands out credentials in a container: others each time, which hold for so long.
async fn container(hold: Duration) -> (String, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    let hand_out = move || {
        let n = asked.fetch_add(1, Ordering::SeqCst);
        #[expect(clippy::disallowed_methods, reason = "credentials hold until a time")]
        let end = DateTime::from(SystemTime::now() + hold).fmt(Format::DateTime).unwrap();
        let answer = json!({
            "AccessKeyId": format!("AKID{n}"), "SecretAccessKey": format!("secret{n}"),
            "Token": format!("session{n}"), "Expiration": end,
        });
        async move { Json(answer) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", get(hand_out))).await });
    (format!("http://{address}/keys"), count)
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_got_anew_before_they_end() {
    // The first are for a time that is as good as over, the second for long.
    for (hold, wanted) in [(Duration::from_secs(30), [1, 2]), (Duration::from_secs(3600), [0, 0])] {
        let (url, count) = container(hold).await;
        let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
        let proxy = bedrock(&provider.url(), &[], |command| {
            command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url);
        });
        assert_eq!(count.load(Ordering::SeqCst), 1, "asked once at the start");
        for n in wanted {
            proxy.ask(Dialect::Anthropic, MESSAGE).await.unwrap();
            let [id, secret, session] = ["AKID", "secret", "session"].map(|it| format!("{it}{n}"));
            assert!(verifies(&provider.url(), &provider.last(), &id, &secret, Some(&session)));
            assert_eq!(provider.last().head().headers["x-amz-security-token"], session);
        }
        let logs = proxy.logs();
        assert!(!logs.contains("secret1") && !logs.contains("session1"), "{logs}");
    }
}

#[test]
fn what_is_missing_is_an_error_at_the_start() {
    let home = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-home");
    std::fs::create_dir_all(&home).unwrap();
    let start = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = command(arguments);
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", &home).envs(variables.iter().copied());
        let output = command.args(["--port", "0"]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (arguments, variables, word) in [
        (vec!["--backend", "bedrock"], vec![], "--region"),
        (vec!["--backend", "bedrock", "--backend-url", "http://127.0.0.1:1"], vec![], "--region"),
        (vec!["--backend", "bedrock", "--region", "eu-central-1"], vec![], "credentials of AWS"),
        (vec!["--backend", "bedrock", "--region", "evil.example/"], vec![], "region"),
        (vec!["--backend", "bedrock", "--region", "r", "--backend-token", "a\nb"], vec![], "backend_token"),
        (vec!["--backend", "vertex", "--region", "r", "--backend-token", "t"], vec![], "--project"),
        (vec!["--backend", "vertex", "--region", "r", "--project", "a/b"], vec![], "--project"),
        (
            vec!["--backend", "vertex", "--region", "r", "--project", "p"],
            vec![("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")],
            "credentials of Google",
        ),
        (vec!["--backend", "openai", "--project", "p"], vec![], "project"),
        (vec!["--models", "a=b"], vec![], "models"),
        (vec!["--backend", "bedrock", "--models", "a"], vec![], "NAME=ID"),
        (vec!["--ca", "/no/such/file"], vec![], "--ca"),
        (vec!["--ca", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")], vec![], "certificate"),
        (vec![], vec![("HTTPS_PROXY", "socks5://u:hush@h:1")], "HTTPS_PROXY"),
    ] {
        let (code, why) = start(&arguments, &variables);
        assert_eq!(code, Some(2), "{arguments:?}: {why}");
        assert!(why.contains(word) && !why.contains("hush"), "{arguments:?}: {why}");
    }
}
