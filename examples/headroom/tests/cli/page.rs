//! The dashboard under hands and for eyes: keys, contrast, narrow screens, odd figures.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse as _},
    routing::get,
};
use headroom_tests::{
    Dialect, fixtures,
    provider::{Provider, Received, Replay, Turn},
};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    dashboard::{play, shown},
    proxy::{Proxy, command, send},
};

/// The proxy's own page over figures of a test: `null` is what asks for a token.
struct Stage {
    url: String,
    figures: Arc<Mutex<Value>>,
}

impl Stage {
    async fn open(proxy: &Proxy) -> Self {
        let request = Request::get(format!("{}/dashboard", proxy.url)).body(Full::default()).unwrap();
        let (head, body) = send(request).await.into_parts();
        let page = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
        let policy = head.headers[header::CONTENT_SECURITY_POLICY].clone();
        let page = get(move || async move {
            let headers = HeaderMap::from_iter([(header::CONTENT_SECURITY_POLICY, policy)]);
            (headers, Html(page))
        });
        let figures = Arc::new(Mutex::new(Value::Null));
        let told = Arc::clone(&figures);
        let stats = get(move || async move {
            match told.lock().unwrap().clone() {
                Value::Null => StatusCode::UNAUTHORIZED.into_response(),
                figures => Json(figures).into_response(),
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/dashboard", listener.local_addr().unwrap());
        let router = Router::new().route("/dashboard", page).route("/stats", stats);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, figures }
    }

    fn tell(&self, figures: &Value) {
        *self.figures.lock().unwrap() = figures.clone();
    }
}

/// What a proxy says of itself after two real conversations.
async fn real() -> (Proxy, Value, Value) {
    let provider = Provider::start(Replay::new(fixtures::all())).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let empty = proxy.get("/stats").await.1;
    play(&proxy.url, "nightly.anthropic", "claude-opus-5-5").await;
    play(&proxy.url, "red-jobs.openai", "gpt-5.5").await;
    let full = proxy.get("/stats").await.1;
    (proxy, empty, full)
}

/// Figures as large, names as long and lists as full as they can be.
fn extreme(full: &Value) -> Value {
    let mut all = full.clone();
    let name = "claude-of-a-very-long-name-that-somebody-has-given-to-a-model-of-their-own".repeat(3);
    all["uptime_seconds"] = 9e8.into();
    all["requests"]["total"] = 123_456_789_012_u64.into();
    all["requests"]["open"] = 98_765.into();
    for sum in ["before", "after", "saved"] {
        all["blocks"][sum] = 987_654_321_987_654_u64.into();
    }
    for (amount, value) in all["cost"].as_object_mut().unwrap() {
        let large = if amount.starts_with("dollars") { 1_234_567_890.12 } else { 9e14 };
        *value =
            if amount == "billed" || amount == "unpriced" { json!(99_999_999_999_u64) } else { json!(large) };
    }
    all["cost"]["unpriced"] = 88_888_888_888_u64.into();
    all["turns"] = (1..=500)
        .map(|turn| {
            let cost = 1e6 * f64::from(turn);
            json!({"turn": turn, "requests": 1_000_000, "priced": 1_000_000, "paid": cost, "without": 3.0 * cost,
                "dollars_paid": cost, "dollars_without": 3.0 * cost})
        })
        .collect();
    all["kinds"] = (0..30)
        .map(|n| {
            let sums = json!({"blocks": 1_u64 << 50, "replaced": 1_u64 << 49, "before": 1_u64 << 50,
                "after": 1_u64 << 40, "saved": 1_u64 << 49});
            (format!("{}_{n}", "kind_of_content_with_a_long_name".repeat(2)), sums)
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    for count in ["offered", "asked", "rounds", "calls", "unknown", "malformed", "tokens"] {
        all["retrievals"][count] = 1_234_567_890_123_u64.into();
    }
    all["cache"] = json!({"hit": 9_999_999_999_u64, "client": 1_u64 << 40, "declared": 1, "expired": 1_u64 << 33,
        "provider": 12_345, "ours": 3});
    all["alarms"] = 2.into();
    all["store"]["store_failed"] = 12_345.into();
    for time in ["added", "first_byte", "total"] {
        all["latency_ms"][time] =
            json!({"count": 1_u64 << 40, "p50": 1234.5, "p90": 123_456.7, "p99": 9_876_543.2, "max": 1e9});
    }
    let one = json!({"id": 1, "dialect": "anthropic", "model": name, "state": "answering", "age_ms": 1e8, "saved": 9});
    all["live"] = vec![one; 50].into();
    let mut one = full["recent"][0].clone();
    (one["model"], one["treated"], one["tokens_in"], one["total_ms"]) =
        (name.into(), "transparent".into(), 123_456_789.into(), 1e8.into());
    all["recent"] = vec![one; 100].into();
    all
}

/// Requests, of which none came to anything.
fn refused(empty: &Value) -> Value {
    let mut all = empty.clone();
    all["requests"]["total"] = 3.into();
    let one = json!({"id": 1, "at": 1.0, "dialect": "openai", "model": null, "outcome": "unreachable",
        "status": 502, "turn": null, "treated": null, "tokens_in": 0, "tokens_out": 0, "cache_read": 0,
        "cache_write": 0, "before": 0, "after": 0, "retrievals": 0, "cache": null, "dollars_paid": null,
        "dollars_saved": null, "added_ms": 0.4, "first_ms": null, "total_ms": 3.1, "bytes": 0});
    all["recent"] = vec![one; 3].into();
    all["latency_ms"]["total"] = json!({"count": 3, "p50": 3.1, "p90": 3.1, "p99": 3.1, "max": 3.1});
    all
}

/// What was saved was less than what saving cost.
fn dearer(full: &Value) -> Value {
    let mut all = full.clone();
    for unit in ["", "dollars_"] {
        let paid = all["cost"][format!("{unit}without")].as_f64().unwrap() * 1.25;
        let without = all["cost"][format!("{unit}without")].as_f64().unwrap();
        all["cost"][format!("{unit}paid")] = paid.into();
        all["cost"][format!("{unit}net")] = (without - paid).into();
    }
    all
}

const MANNERS: &str = include_str!("manners.js");

fn measure(browser: &mut Browser, what: &str) -> Value {
    browser.eval(&format!("{}.{what}()", MANNERS.trim()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_can_be_read_on_every_screen() {
    let Some(mut browser) = Browser::find() else { return };
    let (proxy, empty, full) = real().await;
    let stage = Stage::open(&proxy).await;
    let states = [
        ("empty", empty.clone()),
        ("full", full.clone()),
        ("extreme", extreme(&full)),
        ("refused", refused(&empty)),
        ("dearer", dearer(&full)),
        ("locked", Value::Null),
    ];
    for (state, figures) in &states {
        stage.tell(figures);
        for scheme in ["light", "dark"] {
            for width in [1280, 768, 360] {
                browser.screen(width, scheme);
                browser.open(&stage.url);
                // What is folded is read, too.
                browser.eval("document.querySelectorAll('details').forEach((it) => it.open = true)");
                let what = format!("{state}-{scheme}-{width}");
                let pale = measure(&mut browser, "pale");
                assert_eq!(pale["found"], json!([]), "{what}");
                assert!(pale["seen"].as_u64() > Some(4), "{what}: {pale}");
                let beside = measure(&mut browser, "sideways");
                assert!(beside.as_f64() <= Some(0.0), "{what}: {beside} pixels are beside the screen");
                assert_named(&mut browser, &what);
                browser.eval("document.querySelectorAll('details').forEach((it) => it.open = false)");
                browser.picture(&what);
            }
        }
        // What is refused is the browser's own complaint.
        let complaints = std::mem::take(&mut browser.complaints);
        assert!(
            complaints.iter().all(|it| figures.is_null() && it.contains("401")),
            "{state}: {complaints:?}"
        );
    }
}

/// Everything that does or shows something says what to those who do not see it.
fn assert_named(browser: &mut Browser, what: &str) {
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let mut counted = 0;
    for node in tree["nodes"].as_array().unwrap() {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        let named = ["button", "link", "textbox", "image", "table", "region", "DisclosureTriangle"];
        if named.contains(&role) && node["ignored"] != true {
            assert!(!node["name"]["value"].as_str().unwrap_or_default().is_empty(), "{what}: {node}");
            counted += 1;
        }
    }
    assert!(counted >= 3, "{what}: {counted}");
}

/// Where `Tab` leads, from the top of the page until it begins again.
fn stops(browser: &mut Browser, key: &str) -> Vec<Value> {
    browser.eval("document.activeElement.blur(); getSelection().removeAllRanges()");
    let mut stops: Vec<Value> = Vec::new();
    loop {
        browser.press(key);
        let stop = measure(browser, "focus");
        if stop.is_null() || stops.iter().any(|known| known["name"] == stop["name"]) {
            return stops;
        }
        stops.push(stop);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_control_is_reached_by_keys_and_seen_where_it_is() {
    let Some(mut browser) = Browser::find() else { return };
    let (proxy, empty, full) = real().await;
    let stage = Stage::open(&proxy).await;
    for (state, figures, at_least) in [("empty", &empty, 5), ("full", &full, 6), ("locked", &Value::Null, 6)]
    {
        stage.tell(figures);
        for (scheme, width) in [("light", 1280), ("dark", 360)] {
            browser.screen(width, scheme);
            browser.open(&stage.url);
            let controls = measure(&mut browser, "controls");
            let controls = controls.as_array().unwrap();
            assert!(controls.len() >= at_least, "{state}: {controls:?}");
            let there = stops(&mut browser, "Tab");
            for stop in &there {
                assert!(
                    stop["ring"].as_f64() >= Some(2.0) && stop["contrast"].as_f64() >= Some(3.0),
                    "{state}: {stop}"
                );
                assert_eq!(stop["seen"], true, "{state} {width}: {stop}");
            }
            // What scrolls is a stop of the browser's own.
            let known = |stops: &[Value]| -> Vec<Value> {
                let names = stops.iter().map(|stop| stop["name"].clone());
                names.filter(|name| controls.contains(name)).collect()
            };
            assert_eq!(&known(&there), controls, "{state}");
            browser.open(&stage.url);
            let mut back = known(&stops(&mut browser, "Shift+Tab"));
            back.reverse();
            assert_eq!(&back, controls, "{state}, backwards");
        }
    }
}

/// Presses `Tab` until a control is reached.
fn reach(browser: &mut Browser, name: &str) {
    browser.eval("document.activeElement.blur()");
    for _ in 0..20 {
        browser.press("Tab");
        if measure(browser, "focus")["name"] == name {
            return;
        }
    }
    panic!("{name} is not reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_do_what_they_say() {
    let Some(mut browser) = Browser::find() else { return };
    let (proxy, _, full) = real().await;
    let stage = Stage::open(&proxy).await;
    stage.tell(&full);
    browser.screen(1280, "light");
    browser.open(&stage.url);
    let theme = "document.documentElement.dataset.theme ?? 'system'";
    let background = "getComputedStyle(document.body).backgroundColor";
    let state = "document.getElementById('state-text').textContent";
    let point = "document.getElementById('point').textContent";

    browser.press("Tab");
    browser.press("Enter");
    assert_eq!(browser.eval("document.activeElement.id"), "main", "the first stop skips the head");

    reach(&mut browser, "#pause");
    for (key, said, pressed) in
        [("Enter", "paused", "true"), (" ", "live", "false"), ("p", "paused", "true"), ("p", "live", "false")]
    {
        browser.press(key);
        browser.until(&format!("{state} === '{said}'"));
        let now = browser.eval("document.getElementById('pause').getAttribute('aria-pressed')");
        assert_eq!(now, pressed, "{key}");
    }

    reach(&mut browser, "#theme");
    let bright = browser.eval(background);
    let mut seen = Vec::new();
    for key in ["Enter", " ", "t"] {
        browser.press(key);
        seen.push((browser.eval(theme), browser.eval(background) == bright));
    }
    assert_eq!(seen, [("light".into(), true), ("dark".into(), false), ("system".into(), true)]);
    browser.press("t");
    browser.press("t");
    browser.open(&stage.url);
    assert_eq!(browser.eval(theme), "dark", "it is remembered");

    // Single keys can be done without.
    reach(&mut browser, "#keys");
    browser.press("Enter");
    for key in ["t", "p"] {
        browser.press(key);
    }
    assert_eq!((browser.eval(theme), browser.eval(state)), ("dark".into(), "live".into()));
    browser.open(&stage.url);
    browser.press("t");
    assert_eq!(browser.eval(theme), "dark", "this is remembered too");
    reach(&mut browser, "#keys");
    browser.press(" ");
    browser.press("t");
    assert_eq!(browser.eval(theme), "system");
    browser.press("t");
    browser.press("t");

    reach(&mut browser, "#chart");
    let turns = full["turns"].as_array().unwrap();
    assert!(turns.len() > 2);
    for (key, turn) in [
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("End", turns.len()),
        ("ArrowLeft", turns.len() - 1),
        ("Home", 1),
    ] {
        browser.press(key);
        let said = browser.eval(point);
        assert!(said.as_str().unwrap().starts_with(&format!("Turn {turn}: paid $")), "{key}: {said}");
        assert_eq!(browser.eval("document.getElementById('point').role"), "status");
    }
    // New figures take nothing out of the hands.
    browser.eval("ask()");
    assert_eq!(browser.eval("document.activeElement.id"), "chart");
    assert!(browser.eval(point).as_str().unwrap().starts_with("Turn 1:"));
    browser.press("Tab");
    assert_eq!(browser.eval(point), "");
    assert_eq!(browser.eval("document.activeElement.tagName"), "SUMMARY");
    browser.press("Enter");
    browser.until("document.querySelectorAll('#turn-table tbody tr').length > 2");
    browser.eval("ask()");
    assert_eq!(browser.eval("document.activeElement.tagName"), "SUMMARY");
    assert_eq!(browser.eval("document.querySelectorAll('#turn-table tbody tr').length"), turns.len());
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_typed_and_shows_the_figures() {
    let Some(mut browser) = Browser::find() else { return };
    let proxy = Proxy::with(command(&["--token", "pt-hush"]));
    browser.screen(1280, "light");
    browser.open(&format!("{}/dashboard", proxy.url));
    for (word, hidden) in [("tt", false), ("pt-hush", true)] {
        reach(&mut browser, "#token");
        for letter in word.chars() {
            browser.call("Input.insertText", json!({ "text": letter.to_string() }));
        }
        browser.press("Enter");
        browser.until(&format!("document.getElementById('locked').hidden === {hidden}"));
        browser.until("document.getElementById('token').value === ''");
    }
    browser.until("document.getElementById('state-text').textContent === 'live'");
    assert_eq!(
        browser.eval("document.documentElement.dataset.theme ?? null"),
        Value::Null,
        "letters are letters"
    );
    assert!(!browser.eval("document.documentElement.outerHTML").as_str().unwrap().contains("hush"));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_requests_make_no_heavier_page() {
    let Some(mut browser) = Browser::find() else { return };
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let ask = |n: usize| {
        let body = json!({"model": "claude-haiku-4-5", "max_tokens": 9,
            "messages": [{"role": "user", "content": format!("Question {n}")}]});
        proxy.ask(Dialect::Anthropic, body.to_string())
    };
    let size = || async { proxy.get("/stats").await.1.to_string().len() };
    for n in 0..200 {
        ask(n).await.unwrap();
    }
    let before = size().await;
    for n in 200..2000 {
        ask(n).await.unwrap();
    }
    let after = size().await;
    assert!(after < before + 2000, "{before} bytes became {after}");
    browser.screen(1280, "light");
    browser.open(&format!("{}/dashboard", proxy.url));
    assert!(shown(&mut browser, "tiles").contains("2,000"), "{}", shown(&mut browser, "tiles"));

    // Where everything is as full as it can be.
    let (other, _, full) = real().await;
    let stage = Stage::open(&other).await;
    stage.tell(&extreme(&full));
    browser.open(&stage.url);
    let nodes = browser.eval("document.querySelectorAll('*').length").as_u64().unwrap();
    assert!(nodes < 900, "{nodes} elements");
    let redraw = "drawn.clear(); render(latest)";
    let took = browser.eval(&format!(
        "(() => {{ const start = performance.now(); for (let n = 0; n < 20; n += 1) {{ {redraw}; }} \
         return (performance.now() - start) / 20; }})()"
    ));
    assert_eq!(browser.eval("document.querySelectorAll('*').length"), nodes, "drawing again adds nothing");
    let same = "const rows = [...document.querySelectorAll('tr')]; render(latest); rows.every((row) => row.isConnected)";
    assert_eq!(browser.eval(&format!("{{ {same} }}")), true, "what has not changed is not drawn again");
    println!("{nodes} elements, drawn in {took} ms; /stats has {after} bytes after 2,000 requests");
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/dashboard/page.html");
    assert!(std::fs::metadata(page).unwrap().len() < 40_000);
}
