//! Images end to end: shown smaller, asked for, and had back as images.

use headroom_engine::{Policy, ccr::Marker};
use headroom_tests::{
    Dialect,
    places::messages,
    provider::{Received, Turn},
};
use headroom_tower::HeadroomLayer;
use image::ImageFormat;
use serde_json::{Value, json};

use crate::{
    bed::{Bed, within},
    pictures::{picture, size},
    talk::{Talk, retrieve, script, words},
};

/// The handles of the images that a request shows smaller.
fn asked(request: &Received) -> String {
    let body = std::str::from_utf8(request.body()).unwrap();
    let at = body.find("[~images ").expect("an image is smaller");
    let (marker, _) = Marker::parse_prefix(&body[at..]).unwrap();
    marker.handle().unwrap().to_string()
}

fn with_picture(dialect: Dialect, base64: &str) -> Talk {
    let mut talk = Talk::new(dialect);
    talk.call("call_1");
    talk.say(match dialect {
        Dialect::Anthropic => {
            let source = json!({"type": "base64", "media_type": "image/png", "data": base64});
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1",
                "content": [{"type": "image", "source": source}]}]})
        }
        _ => {
            let url = format!("data:image/png;base64,{base64}");
            json!({"type": "function_call_output", "call_id": "call_1",
                "output": [{"type": "input_image", "image_url": url}]})
        }
    });
    talk
}

#[tokio::test]
async fn an_image_is_had_back_as_an_image_and_stays() {
    let source = picture(ImageFormat::Png, (1600, 1000), 3);
    assert_eq!(size(&source), (1600, 1000));
    for dialect in [Dialect::Anthropic, Dialect::Responses] {
        for stream in [false, true] {
            let answers = script(|n, request| {
                match n {
                    0 => Turn::new([
                        words("Closer. "),
                        retrieve(0, json!({"handle": asked(request), "range": "3"})),
                    ]),
                    _ => Turn::text("A crack."),
                }
                .into()
            });
            let layer = HeadroomLayer::builder()
                .policy(Policy::default().least_hidden(100).images(true))
                .build()
                .unwrap();
            let bed = Bed::client(layer, answers).await;
            let mut talk = with_picture(dialect, &source);
            let heard = bed.ask(dialect, talk.body(stream)).await;
            let report = heard.report().clone();
            let first = within(heard.answer(dialect)).await.unwrap();
            assert!(first.text().contains("A crack."), "{first:?}");
            assert_eq!(report.retrieval().unwrap().calls, 1);

            talk.answered(&first);
            talk.user("Where?");
            within(bed.ask(dialect, talk.body(stream)).await.answer(dialect)).await.unwrap();

            let received = bed.provider.received();
            let bodies: Vec<&str> =
                received.iter().map(|request| std::str::from_utf8(request.body()).unwrap()).collect();
            assert_eq!(bodies.len(), 3);
            for (at, request) in received.iter().enumerate() {
                assert_eq!(request.rejection(), None, "request {at}");
            }
            // Smaller at first, whole once it was asked for, and so on every later turn.
            let whole: Vec<usize> = bodies.iter().map(|body| body.matches(source.as_str()).count()).collect();
            assert_eq!(whole, [0, 1, 1], "{dialect:?} {stream}");
            let answered = messages(bodies[1]).last().map(|raw| serde_json::from_str::<Value>(raw).unwrap());
            let answered = answered.unwrap();
            let parts = match dialect {
                Dialect::Anthropic => &answered["content"][0]["content"],
                _ => &answered["output"],
            };
            assert_eq!(parts.as_array().map(Vec::len), Some(2), "{parts:.200}");
            for pair in bodies.windows(2) {
                let (before, after) = (messages(pair[0]), messages(pair[1]));
                assert!(after.len() > before.len() && after.starts_with(&before), "{dialect:?} {stream}");
            }
        }
    }
}
