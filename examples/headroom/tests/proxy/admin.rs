//! What the proxy answers itself.

use headroom_tests::{
    Dialect,
    client::Dialogue,
    fixtures,
    provider::{Provider, Received, Turn},
};
use http::{Request, header};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::bed::{KEY, Proxy, send};

/// The handles in a text, as markers show them.
pub(crate) fn handles(text: &str) -> Vec<String> {
    let digits = |at: &str| at.bytes().take_while(u8::is_ascii_digit).count();
    let found = text.split('#').skip(1).filter(|at| digits(at) == 30).map(|at| at[..30].to_owned());
    found.collect()
}

/// The last request of a conversation that holds much.
pub(crate) fn long(name: &str) -> String {
    let conversation = fixtures::named(name);
    let mut dialogue = Dialogue::new(&conversation);
    let mut last = Default::default();
    while let Some(body) = dialogue.request() {
        last = body;
        dialogue.answered_as_recorded();
    }
    String::from_utf8(last.into()).unwrap()
}

async fn silent() -> Provider {
    Provider::start(|_: &Received| Turn::text("Hello.").into()).await
}

#[tokio::test]
async fn it_tells_that_it_lives_and_is_ready() {
    let provider = silent().await;
    let proxy = Proxy::start(&provider.url(), &[]);
    assert_eq!(proxy.get("/healthz").await, (200, json!({"status": "ok"})));
    let (status, ready) = proxy.get("/readyz").await;
    assert_eq!((status, &ready["ready"], &ready["store"]), (200, &json!(true), &json!("memory")));
    assert_eq!(ready["upstreams"][0], provider.url());
    assert_eq!(proxy.get("/").await.1["name"], "headroom");
    assert_eq!(provider.received().len(), 0);
}

#[tokio::test]
async fn what_a_marker_stands_for_is_had_back() {
    let provider = silent().await;
    let proxy = Proxy::start(&provider.url(), &[]);
    proxy.ask(Dialect::OpenAi, long("red-jobs.openai")).await.unwrap();
    let sent = String::from_utf8(provider.last().body().to_vec()).unwrap();
    let handles = handles(&sent);
    assert!(!handles.is_empty(), "{sent}");
    let originals: Vec<String> = fixtures::named("red-jobs.openai").results().values().cloned().collect();
    for handle in &handles {
        let (status, answer) = proxy.post("/v1/retrieve", &json!({"handle": handle, "whole": true})).await;
        assert_eq!(status, 200, "{answer}");
        let text = answer["text"].as_str().unwrap();
        assert!(originals.iter().any(|original| original.contains(text)), "{text}");
    }
    // A page, as the tool gives it.
    let (status, page) = proxy.post("/v1/retrieve", &json!({"handle": handles[0], "range": "1-2"})).await;
    assert_eq!(status, 200);
    assert!(page["text"].as_str().unwrap().starts_with(&format!("#{}: ", handles[0])), "{page}");

    for (body, wanted) in [
        (json!({"handle": "1".repeat(30)}), 404),
        (json!({"handle": "12345678"}), 400),
        (json!({}), 400),
        (json!({"handle": handles[0], "hande": 1}), 400),
    ] {
        let (status, answer) = proxy.post("/v1/retrieve", &body).await;
        assert_eq!(status, wanted, "{answer}");
        assert!(answer["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn with_tenants_only_the_same_key_redeems() {
    let provider = silent().await;
    let proxy = Proxy::start(&provider.url(), &["--tenant", "credential"]);
    proxy.ask(Dialect::OpenAi, long("red-jobs.openai")).await.unwrap();
    let handle = handles(&String::from_utf8_lossy(provider.last().body())).remove(0);
    for (key, wanted) in [(KEY, 200), ("another", 404)] {
        let mut request = headroom_tests::client::post(
            &format!("{}/v1/retrieve", proxy.url),
            json!({"handle": handle}).to_string(),
        );
        request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {key}").parse().unwrap());
        assert_eq!(proxy.json(request).await.0, wanted);
    }
}

#[tokio::test]
async fn pages_of_other_sites_are_not_answered() {
    let provider = silent().await;
    let proxy = Proxy::start(&provider.url(), &[]);
    for (name, value) in
        [("origin", "https://evil.example"), ("host", "evil.example"), ("sec-fetch-site", "cross-site")]
    {
        for path in ["/stats", "/metrics", "/v1/retrieve", "/v1/compress"] {
            let request = Request::post(format!("{}{path}", proxy.url)).header(name, value);
            let response = send(request.body(Full::default()).unwrap()).await;
            assert_eq!(response.status(), 403, "{name} {path}");
        }
    }
}

#[tokio::test]
async fn bodies_and_messages_are_compressed_and_redeemed() {
    let provider = silent().await;
    let proxy = Proxy::start(&provider.url(), &[]);
    for name in ["red-jobs.openai", "nightly.anthropic"] {
        let body = long(name);
        let whole: Value = serde_json::from_str(&body).unwrap();
        // Without being able to ask, nothing is left out.
        let ask = format!(r#"{{"body":{body}}}"#);
        let request = headroom_tests::client::post(&format!("{}/v1/compress", proxy.url), ask);
        let (status, exact) = proxy.json(request).await;
        assert_eq!(status, 200, "{exact}");
        assert!(handles(&exact["body"].to_string()).is_empty());

        let (status, done) = proxy.post("/v1/compress", &json!({"body": whole, "retrievable": true})).await;
        assert_eq!(status, 200, "{done}");
        let report = &done["report"];
        let saved = report["tokens_saved"].as_u64().unwrap();
        assert!(saved > exact["report"]["tokens_saved"].as_u64().unwrap(), "{report}");
        let listed = done["body"]["tools"].as_array().unwrap().len();
        assert_eq!(listed, whole["tools"].as_array().unwrap().len() + 1);
        let handle = report["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|block| block["handles"][0].as_str())
            .unwrap();
        assert_eq!(proxy.post("/v1/retrieve", &json!({"handle": handle})).await.0, 200);

        let messages = json!({"messages": whole["messages"], "model": "gpt-6", "retrievable": true});
        let (status, done) = proxy.post("/v1/compress", &messages).await;
        assert_eq!(status, 200, "{done}");
        assert!(done["tool"].is_object() && done["report"]["tokens_saved"].as_u64().unwrap() > 0);
        assert!(done["messages"].to_string().len() < whole["messages"].to_string().len());
    }
    for (wrong, word) in [
        (json!({}), "either"),
        (json!([]), "\"retrievable\"?"),
        (json!({"messages": 1}), "no array of messages"),
        (json!({"messages": [], "dialect": "openai"}), "dialect"),
        (json!({"messages": [], "mesages": []}), "mesages"),
        (json!({"body": {"x": 1}}), "dialect"),
        (json!({"messages": [], "body": {}}), "either"),
    ] {
        let (status, answer) = proxy.post("/v1/compress", &wrong).await;
        let why = answer["error"]["message"].as_str().unwrap();
        assert!(status == 400 && why.contains(word) && !why.contains("struct"), "{wrong}: {why}");
    }
    assert_eq!(provider.received().len(), 0, "nobody was asked");
}

/// Two vendors' requests look alike; what is listed in them does not.
#[tokio::test]
async fn a_body_is_taken_for_what_it_is() {
    let proxy = Proxy::start("http://127.0.0.1:1", &[]);
    for (name, member) in [("red-jobs.openai", "function"), ("nightly.anthropic", "input_schema")] {
        let mut body: Value = serde_json::from_str(&long(name)).unwrap();
        body["max_tokens"] = json!(1000);
        let ask = json!({"body": body, "retrievable": true});
        let (status, done) = proxy.post("/v1/compress", &ask).await;
        assert_eq!(status, 200, "{done}");
        let tool = done["body"]["tools"].as_array().unwrap().last().unwrap();
        assert!(tool.to_string().contains("retrieve_original_content") && tool[member].is_object(), "{tool}");
    }
}

#[tokio::test]
async fn what_is_not_changed_comes_back_byte_for_byte() {
    let provider = silent().await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let body = r#"{ "messages" : [{"role":"user","content":"\u00e9"}], "model":"gpt-6", "temperature":1.0, "seed":9007199254740993 }"#;
    let ask = format!(r#"{{"dialect":"openai","body":{body}}}"#);
    let request = headroom_tests::client::post(&format!("{}/v1/compress", proxy.url), ask);
    let (_, answer) = crate::bed::text(send(request).await).await;
    assert!(answer.contains(body), "{answer}");
}
