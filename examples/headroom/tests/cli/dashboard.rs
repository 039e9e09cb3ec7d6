//! The dashboard's figures, over a real proxy with traffic, against what `/stats` says.

use bytes::Bytes;
use headroom_tests::{
    client::{Dialogue, Reader, post},
    fixtures,
    provider::{Asker, Provider, Question, Replay},
};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::{
    browser::Browser,
    proxy::{Proxy, command},
};

/// Plays a recorded conversation through a proxy.
pub(crate) async fn play(proxy: &str, name: &str, model: &str) {
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

/// As the page should write numbers: with so many digits behind the point.
fn number(n: f64, digits: usize) -> String {
    let power = 10_f64.powi(i32::try_from(digits).unwrap());
    let text = format!("{:.digits$}", (n * power).round() / power);
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let grouped: Vec<&str> =
        whole.as_bytes().rchunks(3).rev().map(|it| std::str::from_utf8(it).unwrap()).collect();
    grouped.join(",") + rest
}

fn count(n: f64) -> String {
    match n {
        _ if n < 1e4 => number(n, 0),
        _ if n < 1e6 => number(n / 1e3, usize::from(n < 1e5)) + " k",
        _ => number(n / 1e6, usize::from(n < 1e8)) + " M",
    }
}

fn dollars(n: f64) -> String {
    let sign = if n < 0.0 { "−" } else { "" };
    format!("{sign}${}", number(n.abs(), if n.abs() < 1.0 { 4 } else { 2 }))
}

fn share(part: f64, whole: f64) -> String {
    if whole > 0.0 { number(100.0 * part / whole, 1) + " %" } else { "–".to_owned() }
}

fn ms(n: f64) -> String {
    number(
        n,
        if n < 1.0 {
            3
        } else if n < 100.0 {
            1
        } else {
            0
        },
    )
}

/// A figure of `/stats`.
fn figure(stats: &Value, path: &str) -> f64 {
    stats.pointer(path).unwrap_or_else(|| panic!("no {path}")).as_f64().unwrap()
}

/// The text of an element; empty if it is not shown.
pub(crate) fn shown(browser: &mut Browser, id: &str) -> String {
    browser.eval(&format!("document.getElementById('{id}').innerText")).as_str().unwrap().to_owned()
}

/// The cells of a table.
fn cells(browser: &mut Browser, id: &str) -> Vec<Vec<String>> {
    let script = format!(
        "[...document.querySelectorAll('#{id} tbody tr')].map((row) => [...row.children].map((it) => it.innerText.trim()))"
    );
    serde_json::from_value(browser.eval(&script)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_stand_where_they_should() {
    let Some(mut browser) = Browser::find() else { return };
    let replay = Replay::new(fixtures::all()).delta(400);
    // One looks into what was hidden.
    let asker = Asker::new(replay, |turn| (turn == 2).then_some(Question::Whole));
    let provider = Provider::start(asker).await;
    let held = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (upstream, never) = (provider.url(), format!("http://{}", held.local_addr().unwrap()));
    let proxy = Proxy::with(command(&[
        "--anthropic-target-api-url",
        &upstream,
        "--openai-target-api-url",
        &upstream,
        "--gemini-target-api-url",
        &never,
    ]));
    browser.screen(1280, "light");
    let page = format!("{}/dashboard", proxy.url);
    let sections = ["money", "turns", "retrieval", "kinds", "cache", "latency", "live"];
    let hidden = |browser: &mut Browser, id: &str| {
        browser.eval(&format!("document.getElementById('{id}').hidden")).as_bool().unwrap()
    };

    // Before anything has passed the page says so, and shows no zeros.
    browser.open(&page);
    assert!(!hidden(&mut browser, "empty"));
    for id in sections {
        assert!(hidden(&mut browser, id), "{id}");
    }
    assert!(shown(&mut browser, "commands").contains(&format!("ANTHROPIC_BASE_URL={} claude", proxy.url)));

    play(&proxy.url, "nightly.anthropic", "claude-opus-5-5").await;
    play(&proxy.url, "red-jobs.openai", "gpt-5.5").await;
    // One is under way, for as long as the test.
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "a-secret-of-the-user"}]}]});
    let ask = proxy.says(headroom_tests::Dialect::Gemini, body.to_string());
    let waiting = tokio::spawn(crate::proxy::send(ask));
    let (mut socket, _) = held.accept().await.unwrap();
    assert!(socket.read_u8().await.is_ok(), "it was sent on");

    let stats: Value = proxy.get("/stats").await.1;
    browser.open(&page);
    for id in ["empty", "alert", "locked"] {
        assert!(hidden(&mut browser, id), "{id}");
    }
    for id in sections {
        assert!(!hidden(&mut browser, id), "{id} is hidden though {stats}");
    }
    assert_eq!(shown(&mut browser, "state-text"), "live");

    // Money: gross, net, with and without.
    let of = |path: &str| figure(&stats, path);
    let [net, gross, paid, without] =
        ["net", "gross", "paid", "without"].map(|name| of(&format!("/cost/dollars_{name}")));
    assert!((without - paid - net).abs() < 1e-9 && gross > net && net > 0.0, "{stats}");
    assert_eq!(shown(&mut browser, "net"), dollars(net));
    let hint = shown(&mut browser, "net-hint");
    assert!(
        hint.starts_with(&share(net, without)) && hint.contains(&format!("{} gross", dollars(gross))),
        "{hint}"
    );
    assert_eq!(
        shown(&mut browser, "paid-hint"),
        format!("paid {} · without {}", dollars(paid), dollars(without))
    );
    let fates: f64 = stats["cache"].as_object().unwrap().values().map(|it| it.as_f64().unwrap()).sum();
    let hits = stats["cache"]["hit"].as_f64().unwrap_or(0.0);
    let tiles = shown(&mut browser, "tiles");
    for (name, value) in [
        ("Tokens, gross", count(of("/cost/gross"))),
        ("Tokens, net", count(of("/cost/net"))),
        ("Blocks shrink by", share(of("/blocks/saved"), of("/blocks/before"))),
        ("Gross", dollars(gross)),
        ("Requests", number(of("/requests/total"), 0)),
        ("Under way", "1".to_owned()),
        ("Cache hits", share(hits, fates)),
        ("Added, median", ms(of("/latency_ms/added/p50")) + " ms"),
    ] {
        assert!(tiles.contains(&format!("{name}\n{value}")), "{name} {value}: {tiles}");
    }

    // Cost against turns, in the picture and as a table.
    browser.eval("document.getElementById('turn-details').open = true");
    browser.until("document.querySelector('#turn-table tbody')");
    let turns = stats["turns"].as_array().unwrap();
    let rows: Vec<Vec<String>> = turns
        .iter()
        .filter(|turn| figure(turn, "/priced") > 0.0)
        .map(|turn| {
            let requests = figure(turn, "/priced");
            let [without, paid] =
                ["without", "paid"].map(|it| figure(turn, &format!("/dollars_{it}")) / requests);
            let turn = number(figure(turn, "/turn"), 0);
            vec![turn, number(requests, 0), dollars(without), dollars(paid), share(without - paid, without)]
        })
        .collect();
    assert!(rows.len() > 2);
    assert_eq!(cells(&mut browser, "turn-table"), rows);
    let label = browser.eval("document.getElementById('chart').getAttribute('aria-label')");
    assert!(
        label.as_str().unwrap().starts_with(&format!("What a request costs at turns 1 to {}", rows.len()))
    );
    assert_eq!(browser.eval("document.querySelectorAll('#chart path').length"), 3);

    // Kinds, of which something was replaced.
    let kinds = stats["kinds"].as_object().unwrap();
    let shown_kinds = cells(&mut browser, "kind-table");
    assert_eq!(shown_kinds.len(), kinds.values().filter(|it| it["replaced"].as_u64() > Some(0)).count());
    for row in &shown_kinds {
        let sums = &kinds[&row[0]];
        let of = |name: &str| figure(sums, name);
        let blocks = format!("{} of {}", number(of("/replaced"), 0), number(of("/blocks"), 0));
        let saved = share(of("/saved"), of("/before"));
        assert_eq!(row[1..5], [blocks, count(of("/before")), count(of("/after")), saved]);
    }

    // Retrievals, and the cache's misses by cause.
    assert!(of("/retrievals/asked") >= 1.0, "{stats}");
    assert_eq!(shown(&mut browser, "rate"), share(of("/retrievals/asked"), of("/retrievals/offered")));
    assert!((of("/retrievals/rate") - of("/retrievals/asked") / of("/retrievals/offered")).abs() < 1e-9);
    let told = cells(&mut browser, "retrieval-table");
    for (row, name) in told.iter().zip(["calls", "rounds", "tokens", "unknown", "malformed"]) {
        assert_eq!(row[1], count(of(&format!("/retrievals/{name}"))), "{name}");
    }
    let causes = cells(&mut browser, "cache-table");
    for (row, name) in causes.iter().zip(["hit", "client", "declared", "expired", "provider", "ours"]) {
        let n = stats["cache"][name].as_f64().unwrap_or(0.0);
        assert_eq!(row[1..], [number(n, 0), share(n, fates)], "{name}");
    }
    assert_eq!(
        shown(&mut browser, "cache-hint"),
        format!("{} of {} missed", number(fates - hits, 0), number(fates, 0))
    );

    // Times.
    for (row, name) in cells(&mut browser, "latency-table").iter().zip(["added", "first_byte", "total"]) {
        let wanted =
            ["p50", "p90", "p99", "max"].map(|of| ms(figure(&stats, &format!("/latency_ms/{name}/{of}"))));
        assert_eq!(row[1..], wanted, "{name}");
    }

    // Requests: the one under way first, the others from the last on, none with its content.
    let told = cells(&mut browser, "live-table");
    assert_eq!(told[0][..2], ["gemini", "asking"]);
    let recent: Vec<&Value> = stats["recent"].as_array().unwrap().iter().rev().take(12).collect();
    assert_eq!(told.len(), 1 + recent.len());
    for (row, one) in told[1..].iter().zip(recent) {
        let of = |name: &str| one[name].as_f64().unwrap();
        let shrunk =
            if of("before") > 0.0 { share(of("before") - of("after"), of("before")) } else { "–".into() };
        let turn = one["turn"].as_f64().map_or("–".to_owned(), |turn| number(turn, 0));
        let wanted = [
            one["model"].as_str().unwrap(),
            one["treated"].as_str().unwrap(),
            &turn,
            &count(of("tokens_in")),
            &shrunk,
            &ms(of("total_ms")),
        ];
        assert_eq!(row, &wanted);
    }
    let all = browser.eval("document.documentElement.outerHTML + JSON.stringify(latest)");
    for secret in ["tool_result", "\"role\"", "lost its lease", "a-secret-of-the-user", crate::proxy::KEY] {
        assert!(!all.as_str().unwrap().contains(secret), "{secret}");
    }
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    waiting.abort();
}
