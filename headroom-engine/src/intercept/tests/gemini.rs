use super::*;

/// A part of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum P {
    Text(&'static str),
    Think,
    /// Ours, with or without an id.
    Ours(Option<&'static str>),
    Client,
    Code,
    Signed(&'static P),
}

impl P {
    pub(super) fn json(self) -> Value {
        match self {
            Self::Text(text) => json!({"text": text}),
            Self::Think => json!({"text": "hm", "thought": true}),
            Self::Ours(id) => {
                let args: Value = serde_json::from_str(&wanted()).unwrap();
                let mut call = json!({"name": TOOL, "args": args});
                if let Some(id) = id {
                    call["id"] = id.into();
                }
                json!({"functionCall": call})
            }
            Self::Client => json!({"functionCall": {"name": "run", "args": {"n": 1.5}}}),
            Self::Code => json!({"executableCode": {"language": "PYTHON", "code": "1"}}),
            Self::Signed(part) => {
                let mut part = part.json();
                part["thoughtSignature"] = "c2lnbmVk".into();
                part
            }
        }
    }
}

/// One answer: id, parts, finish reason.
#[derive(Clone, Debug)]
pub(super) struct G(pub(super) &'static str, pub(super) Vec<P>, pub(super) &'static str);

impl G {
    fn answer(&self, parts: &[Value], reason: Option<&str>) -> Value {
        let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
        if let Some(reason) = reason {
            candidate["finishReason"] = reason.into();
        }
        json!({"candidates": [candidate], "modelVersion": format!("model {}", self.0),
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 2,
                "totalTokenCount": 17, "cachedContentTokenCount": 3},
            "responseId": format!("id {}", self.0)})
    }

    pub(super) fn json(&self) -> Option<String> {
        let parts: Vec<Value> = self.1.iter().map(|part| part.json()).collect();
        Some(self.answer(&parts, Some(self.2)).to_string())
    }

    /// The chunks: a part each, texts in two; the end apart or with the last part.
    pub(super) fn chunks(&self, apart: bool) -> Vec<String> {
        let mut parts: Vec<Value> = Vec::new();
        for part in &self.1 {
            match part {
                P::Text(text) => {
                    let middle = text.floor_char_boundary(text.len() / 2);
                    parts.extend([&text[..middle], &text[middle..]].map(|text| json!({"text": text})));
                }
                part => parts.push(part.json()),
            }
        }
        let count = parts.len();
        let last = |at: usize| (!apart && at + 1 == count).then_some(self.2);
        let mut chunks: Vec<String> = parts
            .into_iter()
            .enumerate()
            .map(|(at, part)| self.answer(&[part], last(at)).to_string())
            .collect();
        if apart || chunks.is_empty() {
            let mut end = self.answer(&[], Some(self.2));
            end["candidates"][0].as_object_mut().unwrap().remove("content");
            chunks.push(end.to_string());
        }
        chunks
    }
}

/// How a stream is framed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Framing {
    Events,
    Array,
}

pub(super) fn framed(chunks: &[String], framing: Framing) -> String {
    match framing {
        Framing::Events => chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect(),
        Framing::Array => format!("[{}\n]\n", chunks.join("\n,\r\n")),
    }
}

/// What an SDK makes of a stream: parts in order, neighbouring plain texts as one.
pub(super) fn accumulate(text: &str, framing: Framing) -> Value {
    let chunks: Vec<Value> = match framing {
        Framing::Events => events(text).iter().map(|data| serde_json::from_str(data).unwrap()).collect(),
        Framing::Array => serde_json::from_str(text).unwrap_or_else(|_| panic!("no array: {text}")),
    };
    let mut whole = chunks.last().cloned().unwrap();
    let mut parts: Vec<Value> = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk["responseId"], chunks[0]["responseId"]);
        let candidate = &chunk["candidates"][0];
        assert_eq!(candidate.get("finishReason").is_some(), at + 1 == chunks.len(), "the end is the last");
        parts.extend(candidate["content"]["parts"].as_array().into_iter().flatten().cloned());
    }
    whole["candidates"][0]["content"] = json!({"parts": joined(&parts), "role": "model"});
    whole
}

/// Parts with neighbouring plain texts as one.
pub(super) fn joined(parts: &[Value]) -> Vec<Value> {
    let plain = |part: &Value| part.as_object().unwrap().keys().eq(["text"]);
    let mut whole: Vec<Value> = Vec::new();
    for part in parts {
        match whole.last_mut().filter(|last| plain(last) && plain(part)) {
            Some(last) => {
                let text = format!("{}{}", last["text"].as_str().unwrap(), part["text"].as_str().unwrap());
                last["text"] = text.into();
            }
            None => whole.push(part.clone()),
        }
    }
    whole
}

fn run(answers: &[G]) -> (Outcome, Value) {
    let outcome = Script::gemini().json(&answers.iter().map(G::json).collect::<Vec<_>>());
    outcome.assert_nothing_leaks();
    let value = outcome.value();
    (outcome, value)
}

fn answer(id: &'static str, parts: &[P]) -> G {
    G(id, parts.to_vec(), "STOP")
}

const ALL: [Framing; 2] = [Framing::Events, Framing::Array];

#[test]
fn an_answer_without_a_call_of_ours_passes_as_it_came() {
    let whole = answer("a", &[P::Think, P::Text("hi"), P::Client, P::Code]);
    let two = r#"{"candidates":[{"content":{}},{"content":{}}]}"#.to_owned();
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#.to_owned();
    for text in [whole.json().unwrap(), two, blocked, "[]".into(), "x".into()] {
        let body = Bytes::from(text);
        let mut exchange = Script::gemini().continuation(&Arc::default()).json();
        assert_eq!(exchange.response(body.clone()), Step::Done);
        assert_eq!(exchange.into_body().as_ptr(), body.as_ptr());
    }
    for framing in ALL {
        let mut exchange = Script::gemini().continuation(&Arc::default()).stream();
        let (mut out, mut fed, mut seen) = (VecDeque::new(), String::new(), Vec::new());
        for (at, chunk) in whole.chunks(true).into_iter().enumerate() {
            let chunk = match framing {
                Framing::Events => format!("data: {chunk}\r\n\r\n"),
                Framing::Array => format!("{}{chunk}", if at == 0 { "[" } else { "\n,\r\n" }),
            };
            fed.push_str(&chunk);
            exchange.push(chunk.into(), &mut out);
            seen.extend(out.drain(..).flatten());
            assert_eq!(seen, fed.as_bytes(), "edge 67");
        }
        if framing == Framing::Array {
            exchange.push("\n]\n".into(), &mut out);
            fed.push_str("\n]\n");
        }
        assert_eq!(exchange.end(&mut out), Step::Done);
        seen.extend(out.drain(..).flatten());
        assert_eq!(seen, fed.as_bytes());
    }
}

#[test]
fn the_turn_is_echoed_verbatim_and_the_rounds_are_one_answer() {
    let (outcome, value) = run(&[
        answer("a", &[P::Think, P::Text("let me look"), P::Signed(&P::Ours(None)), P::Ours(Some("ours_2"))]),
        answer("b", &[P::Text("it is 42"), P::Signed(&P::Text(""))]),
    ]);
    let contents = outcome.sent(0)["contents"].clone();
    let expected = [P::Think, P::Text("let me look"), P::Signed(&P::Ours(None)), P::Ours(Some("ours_2"))];
    assert_eq!(contents[1], json!({"role": "model", "parts": expected.map(P::json)}));
    let results = contents[2]["parts"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert!(results[0]["functionResponse"].get("id").is_none());
    assert_eq!(results[1]["functionResponse"]["id"], "ours_2");
    assert!(results[0]["functionResponse"]["response"]["output"].as_str().unwrap().contains("needle"));
    assert_eq!((&value["responseId"], &value["modelVersion"]), (&json!("id a"), &json!("model a")));
    let parts = [P::Think, P::Text("let me look"), P::Text("it is 42"), P::Signed(&P::Text(""))];
    assert_eq!(value["candidates"][0]["content"]["parts"], json!(parts.map(P::json)));
    assert_eq!(value["usageMetadata"]["candidatesTokenCount"], 12);
    assert_eq!(value["usageMetadata"]["totalTokenCount"], 24);
    assert_eq!(outcome.report.cache_read, 6);
}

#[test]
fn edge_59_a_stream_and_a_document_tell_the_same() {
    let asks = |id| answer(id, &[P::Think, P::Text("look"), P::Signed(&P::Ours(None))]);
    for answers in [
        vec![asks("a"), answer("b", &[P::Text("it is 42")])],
        vec![asks("a"), asks("b"), answer("c", &[P::Client, P::Ours(Some("ours_2"))])],
        vec![answer("a", &[P::Signed(&P::Ours(None)), P::Client, P::Code])],
        vec![answer("a", &[P::Ours(None)]), answer("b", &[])],
        vec![G("a", vec![P::Text("so far"), P::Ours(None)], "MAX_TOKENS")],
        vec![answer("a", &[P::Code, P::Ours(None), P::Code]), answer("b", &[P::Text("x")])],
    ] {
        let document = Script::gemini().json(&answers.iter().map(G::json).collect::<Vec<_>>());
        document.assert_nothing_leaks();
        let mut expected = document.value();
        let parts = &mut expected["candidates"][0]["content"]["parts"];
        *parts = joined(parts.as_array().unwrap()).into();
        for framing in ALL {
            for apart in [true, false] {
                let streams: Vec<Option<String>> =
                    answers.iter().map(|answer| Some(framed(&answer.chunks(apart), framing))).collect();
                let streamed = Script::gemini().stream(&streams);
                streamed.assert_nothing_leaks();
                let whole = accumulate(streamed.text(), framing);
                assert_eq!(whole["candidates"], expected["candidates"], "{answers:?} {framing:?}");
                assert_eq!(whole["usageMetadata"], expected["usageMetadata"]);
                let sent = |outcome: &Outcome| -> Vec<Value> {
                    (0..outcome.sent.len()).map(|at| outcome.sent(at)).collect()
                };
                assert_eq!(sent(&streamed), sent(&document), "{answers:?}");
                assert_eq!((&streamed.visible, &streamed.report), (&document.visible, &document.report));
                assert_eq!(streamed.records.len(), document.records.len());
            }
        }
    }
}

#[test]
fn edge_51_52_every_byte_split_gives_the_same_output() {
    let answers = [
        answer("a", &[P::Text("look"), P::Ours(None), P::Ours(Some("ours_2"))]),
        answer("b", &[P::Text("it is é 🙂"), P::Client, P::Ours(Some("ours_3")), P::Code]),
    ];
    for (framing, apart) in [(Framing::Events, true), (Framing::Array, false), (Framing::Array, true)] {
        let streams: Vec<Option<String>> =
            answers.iter().map(|answer| Some(framed(&answer.chunks(apart), framing))).collect();
        let script = Script::gemini();
        let whole = script.stream(&streams);
        whole.assert_nothing_leaks();
        accumulate(whole.text(), framing);
        let longest = streams.iter().flatten().map(String::len).max().unwrap();
        for at in 0..longest {
            let split = script.stream_cut(&streams, |_, bytes| {
                let at = at.min(bytes.len());
                vec![bytes.slice(..at), bytes.slice(at..)]
            });
            assert_eq!(split, whole, "split at {at}");
        }
        let single =
            script.stream_cut(&streams, |_, bytes| bytes.chunks(1).map(Bytes::copy_from_slice).collect());
        assert_eq!(single, whole);
    }
}

#[test]
fn edge_62_63_a_stream_that_ends_early_runs_nothing() {
    for framing in ALL {
        let asks = framed(&answer("a", &[P::Text("look"), P::Ours(None)]).chunks(true), framing);
        let cut = &asks[..asks.find("finishReason").unwrap()];
        let outcome = Script::gemini().stream(&[Some(cut.to_owned())]);
        outcome.assert_nothing_leaks();
        assert!(outcome.sent.is_empty() && outcome.records.is_empty());

        let failed = Script::gemini().stream(&[Some(asks.clone()), None]);
        let error = framed(&["{\"error\":{\"code\":503}}".to_owned()], framing);
        let alone = Script::gemini().stream(&[Some(error.clone())]);
        assert_eq!(alone.text(), error);
        let refused = Script::gemini().stream(&[Some(asks), Some(error)]);
        for (outcome, code) in [(failed, 500), (refused, 503)] {
            let chunks: Vec<Value> = match framing {
                Framing::Events => {
                    events(outcome.text()).iter().map(|data| serde_json::from_str(data).unwrap()).collect()
                }
                Framing::Array => serde_json::from_str(outcome.text()).unwrap(),
            };
            assert_eq!(chunks.last().unwrap()["error"]["code"], code);
        }
    }
}

#[test]
fn what_is_left_is_a_valid_answer() {
    let again = |id| answer(id, &[P::Ours(None)]);
    let (outcome, value) = run(&[again("a"), again("b"), again("c"), again("d"), again("e")]);
    assert_eq!(value["candidates"][0]["content"]["parts"], json!([{"text": "(no answer)"}]));
    assert!(outcome.report.limit_hit);
    let mut script = Script::gemini();
    script.request["generationConfig"] = json!({"responseMimeType": "application/json"});
    let outcome = script.json(&[
        answer("a", &[P::Text("{"), P::Ours(None)]).json(),
        answer("b", &[P::Text("{\"a\":1}")]).json(),
    ]);
    assert_eq!(outcome.value()["candidates"][0]["content"]["parts"], json!([{"text": "{\"a\":1}"}]));
}
