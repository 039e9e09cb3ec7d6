//! The conversations, a list for each part of the SDKs.

use std::sync::Arc;

use headroom_tests::Dialect;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    driver::Driver,
    model::{
        Answer,
        End::{self, Breaks, Ceases, Fails, Stops, Well},
        Piece::{self, Looks, Runs, Says, Thinks},
        Round,
    },
    packages::Language,
    play::Scenario,
    talk::{Talk, log},
};

const BOTH: &[bool] = &[false, true];

fn ends(pieces: &[Piece], end: End) -> Round {
    Round(pieces.to_vec(), end)
}

fn well(pieces: &[Piece]) -> Round {
    ends(pieces, Well)
}

/// A conversation about a log, whose first requests are answered with `model`.
fn about(name: &'static str, api: &'static str, dialect: Dialect, model: &[Answer]) -> Scenario {
    Scenario {
        name,
        api,
        dialect,
        request: Talk::about(dialect, &log(1)).body,
        then: Vec::new(),
        model: model.to_vec(),
        retries: 0,
        chained: false,
        outputs: Vec::new(),
        durable: false,
        retrieves: false,
        streams: BOTH,
    }
}

/// What a user says next.
fn user(dialect: Dialect, text: &str) -> Value {
    let message = match dialect {
        Dialect::Gemini => json!({"role": "user", "parts": [{"text": text}]}),
        _ => json!({"role": "user", "content": text}),
    };
    json!([message])
}

/// What the client's tool returned to these calls.
fn results(dialect: Dialect, results: &[(&str, &str)]) -> Value {
    let one = |(id, output): &(&str, &str)| {
        let mut talk = Talk::new(dialect);
        talk.result(id, output);
        talk.body[dialect.list()].as_array().unwrap().last().unwrap().clone()
    };
    let all = results.iter().map(one);
    let within = |field: &str| {
        let parts: Vec<Value> =
            all.clone().flat_map(|message| message[field].as_array().cloned().unwrap()).collect();
        json!([{"role": "user", field: parts}])
    };
    match dialect {
        Dialect::Anthropic => within("content"),
        Dialect::Gemini => within("parts"),
        Dialect::OpenAi | Dialect::Responses => all.collect(),
        Dialect::Converse => unreachable!("no SDK here speaks it"),
    }
}

/// What every part of an SDK is asked.
fn common(api: &'static str, dialect: Dialect) -> Vec<Scenario> {
    let about = |name, model: &[Answer]| about(name, api, dialect, model);
    let length = match dialect {
        Dialect::Anthropic => "max_tokens",
        Dialect::OpenAi => "length",
        Dialect::Responses => "incomplete",
        Dialect::Gemini => "MAX_TOKENS",
        Dialect::Converse => unreachable!("no SDK here speaks it"),
    };
    let date = "Sun Nov 22 10:04:00 UTC 2026";
    vec![
        about("text", &[vec![well(&[Says("The lease was lost: naïve clocks, 時計 🕰.")])]]),
        about("cut short", &[vec![ends(&[Says("The lease was")], Stops(length))]]),
        Scenario {
            then: vec![
                results(dialect, &[("call_2", date), ("call_3", &log(2))]),
                user(dialect, "And the other shard?"),
            ],
            ..about(
                "parallel tools",
                &[
                    vec![well(&[Says("Both. "), Runs("call_2"), Runs("call_3")])],
                    vec![well(&[Says("The lease was lost there too.")])],
                    vec![well(&[Says("It was well.")])],
                ],
            )
        },
        about("a look", &[vec![well(&[Looks]), well(&[Says("It was token 104.")])]]),
        Scenario {
            then: vec![user(dialect, "And then?"), user(dialect, "Thanks.")],
            ..about(
                "looks, then goes on",
                &[
                    vec![
                        well(&[Says("I look closer."), Looks]),
                        well(&[Says("Once more."), Looks, Looks]),
                        well(&[Says("It was token 104.")]),
                    ],
                    vec![well(&[Says("I look again."), Looks]), well(&[Says("Nothing.")])],
                    vec![well(&[Says("You are welcome.")])],
                ],
            )
        },
        Scenario {
            then: vec![results(dialect, &[("call_2", date), ("call_3", &log(3))]), user(dialect, "Thanks.")],
            ..about(
                "a look beside tools",
                &[
                    vec![well(&[Says("Three things."), Runs("call_2"), Looks, Runs("call_3")])],
                    vec![well(&[Looks]), well(&[Says("It was token 104.")])],
                    vec![well(&[Says("You are welcome.")])],
                ],
            )
        },
        Scenario {
            then: vec![results(dialect, &[("call_2", date)])],
            ..about(
                "a look, then a tool",
                &[
                    vec![well(&[Says("I look closer."), Looks]), well(&[Says("Now this."), Runs("call_2")])],
                    vec![well(&[Says("It was token 104.")])],
                ],
            )
        },
        Scenario {
            streams: &[true],
            ..about("an error in the stream", &[vec![ends(&[Says("The lease")], Breaks("overloaded_error"))]])
        },
        Scenario {
            streams: &[true],
            ..about(
                "an error behind a look",
                &[vec![
                    well(&[Says("I look."), Looks]),
                    ends(&[Says("The lease")], Breaks("overloaded_error")),
                ]],
            )
        },
        Scenario {
            streams: &[true],
            ..about("a stream that ceases", &[vec![ends(&[Says("The lease")], Ceases)]])
        },
        about("overloaded", &[vec![ends(&[], Fails(529, "overloaded_error"))]]),
        about("limited", &[vec![ends(&[], Fails(429, "rate_limit_error"))]]),
        about("refused", &[vec![ends(&[], Fails(400, "invalid_request_error"))]]),
        about("failed behind a look", &[vec![well(&[Looks]), ends(&[], Fails(500, "api_error"))]]),
    ]
}

/// What the SDK tries again until it is answered.
fn tried_again(api: &'static str, dialect: Dialect) -> Scenario {
    Scenario {
        retries: 3,
        ..about(
            "limited, then answered",
            api,
            dialect,
            &[
                vec![ends(&[], Fails(429, "rate_limit_error"))],
                vec![ends(&[], Fails(503, "overloaded_error"))],
                vec![well(&[Looks]), well(&[Says("It was token 104.")])],
            ],
        )
    }
}

/// An answer that is one JSON document.
fn structured(api: &'static str, dialect: Dialect) -> Scenario {
    let schema = json!({
        "type": "object", "properties": {"cause": {"type": "string"}}, "required": ["cause"],
        "additionalProperties": false,
    });
    let says = well(&[Says(r#"{"cause":"the lease, with its \"token\""}"#)]);
    let mut scenario = about("one document", api, dialect, &[vec![well(&[Looks]), says]]);
    let request = &mut scenario.request;
    match dialect {
        Dialect::Anthropic => {
            request["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
        }
        Dialect::OpenAi => {
            let schema = json!({"name": "cause", "strict": true, "schema": schema});
            request["response_format"] = json!({"type": "json_schema", "json_schema": schema});
        }
        Dialect::Responses => {
            let format = json!({"type": "json_schema", "name": "cause", "strict": true, "schema": schema});
            request["text"] = json!({"format": format});
        }
        Dialect::Gemini | Dialect::Converse => unreachable!("its driver has no place for it"),
    }
    scenario
}

/// Thoughts beside looks, on a model that binds them to what came before and on one that does not.
fn thinking(api: &'static str, bound: bool) -> Scenario {
    let dialect = Dialect::Anthropic;
    let mut scenario = Scenario {
        durable: bound,
        then: vec![results(dialect, &[("call_2", &log(2))]), user(dialect, "Thanks.")],
        ..about(
            if bound { "bound thinking" } else { "thinking" },
            api,
            dialect,
            &[
                vec![
                    well(&[Thinks("What was the token?"), Says("I look."), Looks]),
                    well(&[Thinks("And the other shard?"), Runs("call_2")]),
                ],
                vec![well(&[Thinks("Hm."), Looks]), well(&[Thinks("Ah."), Says("It was token 104.")])],
                vec![well(&[Thinks("Polite."), Says("You are welcome.")])],
            ],
        )
    };
    if bound {
        scenario.request = Talk::about(dialect, &log(1)).thinking().body;
    } else {
        scenario.request["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    }
    scenario
}

/// The SDK's own loop over a thread, which the provider keeps: nothing is hidden in what is sent once,
/// so nothing is looked for.
fn threaded() -> Scenario {
    let model = [
        vec![well(&[Says("I run it."), Runs("call_1")])],
        vec![well(&[Runs("call_2")])],
        vec![well(&[Says("It was token 104.")])],
    ];
    let whole = runner("runner", Dialect::Anthropic);
    Scenario { name: "a thread", chained: true, model: model.to_vec(), ..whole }
}

/// The SDK's own loop over the client's tools.
fn runner(api: &'static str, dialect: Dialect) -> Scenario {
    let mut scenario = Scenario {
        outputs: vec![log(1), log(2)],
        ..about(
            "the SDK's own loop",
            api,
            dialect,
            &[
                vec![well(&[Says("I run it."), Runs("call_1")])],
                vec![well(&[Says("I look closer."), Looks]), well(&[Runs("call_2")])],
                vec![well(&[Looks]), well(&[Says("It was token 104.")])],
            ],
        )
    };
    scenario.request = Talk::new(dialect).body;
    scenario.request.as_object_mut().unwrap().remove("tools");
    scenario
}

fn anthropic() -> Vec<Scenario> {
    let dialect = Dialect::Anthropic;
    let mut all = Vec::new();
    for api in ["messages", "beta-messages"] {
        all.extend(common(api, dialect));
        all.extend([structured(api, dialect), thinking(api, false), thinking(api, true)]);
    }
    all.extend([tried_again("messages", dialect), runner("runner", dialect), threaded()]);
    all
}

fn chat(language: Language) -> Vec<Scenario> {
    let (api, dialect) = ("chat", Dialect::OpenAi);
    let mut all = common(api, dialect);
    all.extend([structured(api, dialect), tried_again(api, dialect)]);
    if language == Language::Node {
        all.push(runner("chat-runner", dialect));
    }
    all
}

fn responses() -> Vec<Scenario> {
    let (api, dialect) = ("responses", Dialect::Responses);
    let mut all = common(api, dialect);
    all.extend([structured(api, dialect), tried_again(api, dialect)]);
    let reasoning = [
        vec![well(&[Thinks("sealed"), Says("I look."), Looks]), well(&[Thinks("again"), Runs("call_2")])],
        vec![well(&[Says("It was token 104.")])],
    ];
    let then = vec![results(dialect, &[("call_2", &log(2))])];
    all.push(Scenario { then: then.clone(), ..about("reasoning", api, dialect, &reasoning) });
    // Nobody promises to know a stored answer again: nothing is hidden, so nothing is looked for.
    let model = [vec![well(&[Says("I run it."), Runs("call_2")])], vec![well(&[Says("It was token 104.")])]];
    let mut stored = Scenario { chained: true, then, ..about("stored answers", api, dialect, &model) };
    stored.request["store"] = true.into();
    all.push(stored);
    // With a durable ledger all of it is, and each answer can be read back.
    let model = [
        vec![well(&[Says("I look closer."), Looks]), well(&[Says("Now this."), Runs("call_2")])],
        vec![
            well(&[Looks]),
            well(&[Says("It was token 104."), Looks]),
            well(&[Says("One more."), Runs("call_3"), Looks]),
        ],
        vec![well(&[Says("That was all.")])],
        vec![well(&[Looks]), well(&[Says("You are welcome.")])],
    ];
    let then = vec![
        results(dialect, &[("call_2", &log(2))]),
        results(dialect, &[("call_3", &log(3))]),
        user(dialect, "Thanks."),
    ];
    let mut looks = about("stored answers with looks", api, dialect, &model);
    looks.request.as_object_mut().unwrap().remove("store");
    all.push(Scenario { chained: true, durable: true, retrieves: true, then, ..looks });
    all
}

async fn all(language: Language, scenarios: Vec<Scenario>) {
    let Some(driver) = Driver::start(language) else { return };
    let driver = Arc::new(Mutex::new(driver));
    let mut failed = Vec::new();
    for scenario in scenarios {
        let (name, driver) = (scenario.name, Arc::clone(&driver));
        // A task of its own, so that one that fails does not hide the others.
        let played = tokio::spawn(async move { scenario.play(&mut *driver.lock().await).await });
        failed.extend(played.await.err().map(|_| name));
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
async fn python_anthropic() {
    all(Language::Python, anthropic()).await;
}

#[tokio::test]
async fn python_chat_completions() {
    all(Language::Python, chat(Language::Python)).await;
}

#[tokio::test]
async fn python_responses() {
    all(Language::Python, responses()).await;
}

#[tokio::test]
async fn python_gemini() {
    all(Language::Python, common("gemini", Dialect::Gemini)).await;
}

#[tokio::test]
async fn node_anthropic() {
    all(Language::Node, anthropic()).await;
}

#[tokio::test]
async fn node_chat_completions() {
    all(Language::Node, chat(Language::Node)).await;
}

#[tokio::test]
async fn node_responses() {
    all(Language::Node, responses()).await;
}

/// What is counted is what the real request will be, and less than without the layer.
#[tokio::test]
async fn tokens_are_counted_as_they_will_be_sent() {
    for language in [Language::Python, Language::Node] {
        let Some(mut driver) = Driver::start(language) else { continue };
        for (api, then, dialect) in
            [("count", "messages", Dialect::Anthropic), ("count-responses", "responses", Dialect::Responses)]
        {
            let model = [vec![well(&[Says("It was lost.")])]];
            let mut counting = about("counted", api, dialect, &model);
            counting.request.as_object_mut().unwrap().remove("max_tokens");
            // A count cannot say that nothing is stored, so it is of a request that is.
            let mut sent = about("sent", then, dialect, &model);
            for scenario in [&mut counting, &mut sent] {
                scenario.request.as_object_mut().unwrap().remove("store");
            }
            counting.counted(&mut driver, &sent).await;
        }
    }
}
