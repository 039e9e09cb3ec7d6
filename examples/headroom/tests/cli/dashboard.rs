//! The dashboard in headless Chromium, over a real proxy with traffic.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use bytes::Bytes;
use headroom_tests::{
    client::{Dialogue, Reader, post},
    fixtures,
    provider::{Provider, Replay},
};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

use crate::{
    bed::Room,
    proxy::{Proxy, command},
};

/// The browser, where one is installed.
fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).flat_map(|at| names.map(|name| at.join(name))).find(|file| file.is_file())
}

/// Loads a page and returns what it has become; what the console said is on stderr.
fn load(browser: &PathBuf, args: &[&str], url: &str) -> Output {
    let profile = Room::new();
    Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(args)
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn dom(browser: &PathBuf, args: &[&str], url: &str) -> String {
    let output = load(browser, args, url);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(dom.contains("data-asked=\"yes\""), "the script did not run: {said}");
    dom
}

/// The element with this id, up to where its tag first closes.
fn part<'a>(dom: &'a str, id: &str) -> &'a str {
    let at = dom.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
    let start = dom[..at].rfind('<').unwrap();
    let tag = dom[start + 1..].split([' ', '>']).next().unwrap();
    let end = dom[at..].find(&format!("</{tag}>")).unwrap();
    &dom[start..at + end]
}

fn is_hidden(dom: &str, id: &str) -> bool {
    part(dom, id).split('>').next().unwrap().contains(" hidden")
}

async fn play(proxy: &str, name: &str, model: &str) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let conversation = fixtures::all().into_iter().find(|one| one.name() == name).unwrap();
    let dialect = conversation.dialect();
    let mut dialogue = Dialogue::new(&conversation).streamed().field("model", &format!("\"{model}\""));
    if dialect == headroom_tests::Dialect::Anthropic {
        dialogue = dialogue.field("max_tokens", "1000").field("cache_control", r#"{"type":"ephemeral"}"#);
    }
    while let Some(body) = dialogue.request() {
        let response = client.request(post(&format!("{proxy}{}", dialect.path()), body)).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let mut reader = Reader::new(dialect);
        reader.push(&body).unwrap();
        dialogue.answered(&reader.finish().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_stand_where_they_should() {
    let Some(browser) = chromium() else {
        println!("no Chromium is installed: skipped");
        return;
    };
    let provider = Provider::start(Replay::new(fixtures::all())).await;
    let upstream = provider.url();
    let proxy = Proxy::start(&upstream, &[]);
    let page = format!("{}/dashboard", proxy.url);

    // Before anything has passed the page says so, and shows no zeros.
    let empty = dom(&browser, &[], &page);
    assert!(!is_hidden(&empty, "empty"));
    for id in ["money", "turns", "retrieval", "kinds", "cache", "latency", "live"] {
        assert!(is_hidden(&empty, id), "{id}");
    }
    assert!(part(&empty, "commands").contains(&format!("ANTHROPIC_BASE_URL={} claude", proxy.url)));

    play(&proxy.url, "nightly.anthropic", "claude-opus-5-5").await;
    play(&proxy.url, "red-jobs.openai", "gpt-5.5").await;
    let stats: Value = proxy.get("/stats").await.1;
    assert!(stats["requests"]["total"].as_u64() > Some(4), "{stats}");

    let full = dom(&browser, &["--blink-settings=preferredColorScheme=0"], &page);
    assert!(is_hidden(&full, "empty") && is_hidden(&full, "alert") && is_hidden(&full, "locked"));
    for id in ["money", "turns", "kinds", "latency", "live"] {
        assert!(!is_hidden(&full, id), "{id} is hidden though {stats}");
    }
    assert!(part(&full, "state-text").contains("live"));
    let net = stats["cost"]["dollars_net"].as_f64().unwrap();
    let digits = if net.abs() < 1.0 { 4 } else { 2 };
    let sign = if net < 0.0 { "−" } else { "" };
    let shown = format!("{sign}${:.digits$}", net.abs());
    assert!(part(&full, "net").ends_with(&shown), "{} for {net}", part(&full, "net"));
    let total = stats["requests"]["total"].as_u64().unwrap();
    assert!(part(&full, "tiles").contains(&format!("<dd>{total}</dd>")));
    for (kind, sums) in stats["kinds"].as_object().unwrap() {
        let shows = part(&full, "kinds").contains(&format!("<th scope=\"row\">{kind}</th>"));
        assert_eq!(shows, sums["replaced"].as_u64() > Some(0), "{kind}");
    }
    let turns = stats["turns"].as_array().unwrap().len();
    assert_eq!(part(&full, "turn-table").matches("<tr>").count(), turns + 1);
    assert!(
        part(&full, "chart").contains("<path")
            && part(&full, "chart").contains("aria-label=\"What a request costs")
    );

    // Every table and picture says what it is, and nothing but the three figures' own data is there.
    assert_eq!(full.matches("<table").count(), full.matches("<table aria-label=").count());
    for secret in ["tool_result", "\"role\"", "lost its lease"] {
        assert!(!full.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_figures_but_not_the_page() {
    let Some(browser) = chromium() else {
        println!("no Chromium is installed: skipped");
        return;
    };
    let proxy = Proxy::with(command(&["--token", "hush"]));
    // The browser itself complains of the answer 401.
    let output = load(&browser, &[], &format!("{}/dashboard", proxy.url));
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(
        !is_hidden(&dom, "locked") && is_hidden(&dom, "money") && part(&dom, "state-text").contains("locked")
    );
}
