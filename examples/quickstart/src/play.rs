//! One conversation, turn by turn, through any HTTP service.

use std::{
    error::Error,
    pin::pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use headroom_tests::{
    Dialect,
    client::{Answer, Billed, Dialogue, Reader, post},
    fixtures::Conversation,
};
use headroom_tower::Report;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower::{Service, ServiceExt as _};

use crate::{args::Target, cost::dollars, show::Screen, tally::Tally};

type BoxError = Box<dyn Error + Send + Sync>;

/// When a request came, and how long it took until it went on below the layer.
#[derive(Clone, Debug)]
struct Stamp {
    came: Instant,
    went: Arc<OnceLock<Duration>>,
}

/// Notes when a request leaves the layer; of several calls for one request, the first.
pub(crate) fn stamp<B>(request: Request<B>) -> Request<B> {
    if let Some(stamp) = request.extensions().get::<Stamp>() {
        stamp.went.get_or_init(|| stamp.came.elapsed());
    }
    request
}

/// Plays the client's part to the end.
pub(crate) async fn play<S, B>(
    service: &mut S,
    conversation: &Conversation,
    target: &Target,
    screen: &mut Screen,
) -> Result<Tally, BoxError>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let dialect = conversation.dialect();
    let (model, mut dialogue) = open(conversation, target);
    let mut tally = Tally::default();
    while let Some(body) = dialogue.request() {
        screen.turn(conversation, dialogue.turn())?;
        let stamp = Stamp { came: Instant::now(), went: Arc::default() };
        let mut request = post(&format!("{}{}", target.base, dialect.path()), body);
        sign(&mut request, dialect, target)?;
        request.extensions_mut().insert(stamp.clone());

        let response = service.ready().await.map_err(Into::into)?.call(request).await.map_err(Into::into)?;
        // What the layer did is told here; what it does while the answer streams, behind its end.
        let report = response.extensions().get::<Report>().cloned();
        let answer = listen(dialect, response, screen).await?;

        let retrieval = report.as_ref().and_then(Report::retrieval).filter(|retrieval| retrieval.rounds > 0);
        let billed = match retrieval {
            Some(all) => {
                let cached = if dialect == Dialect::OpenAi { all.cache_read + all.cache_write } else { 0 };
                Billed {
                    uncached: all.input_tokens.saturating_sub(cached),
                    cache_read: all.cache_read,
                    cache_write: all.cache_write,
                    output: all.output_tokens,
                }
            }
            None => answer.billed(),
        };
        tally.bill(billed, dollars(dialect, &model, billed));
        if let Some(rewrite) = report.as_ref().and_then(Report::rewrite) {
            tally.note(rewrite);
        }
        tally.added.extend(stamp.went.get());
        if let Some(retrieval) = retrieval {
            tally.retrievals += retrieval.calls;
            screen.retrieved(retrieval)?;
        }
        if target.real {
            dialogue.answered_as_recorded();
        } else {
            dialogue.answered(&answer);
        }
    }
    Ok(tally)
}

/// The conversation at its start, as a careful client would send it: streamed, cached, thinking.
fn open<'a>(conversation: &'a Conversation, target: &Target) -> (String, Dialogue<'a>) {
    let dialogue = Dialogue::new(conversation).streamed();
    match conversation.dialect() {
        Dialect::Anthropic => {
            let model = target.anthropic_model.clone();
            let dialogue = dialogue
                .field("model", &format!("\"{model}\""))
                .field("max_tokens", "16000")
                .field("cache_control", r#"{"type":"ephemeral"}"#);
            let thinks = !target.real;
            (model, if thinks { dialogue.field("thinking", r#"{"type":"adaptive"}"#) } else { dialogue })
        }
        _ => {
            let model = target.openai_model.clone();
            let dialogue = dialogue.field("model", &format!("\"{model}\""));
            (model, dialogue)
        }
    }
}

fn sign<B>(request: &mut Request<B>, dialect: Dialect, target: &Target) -> Result<(), BoxError> {
    let (name, value) = match dialect {
        Dialect::Anthropic => ("x-api-key", target.anthropic_key.clone()),
        _ => ("authorization", target.openai_key.as_ref().map(|key| format!("Bearer {key}"))),
    };
    if let Some(value) = value {
        let mut value = HeaderValue::try_from(value)?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

/// Reads a stream to its end and shows it as it comes.
async fn listen<B>(dialect: Dialect, response: Response<B>, screen: &mut Screen) -> Result<Answer, BoxError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (head, body) = response.into_parts();
    if head.status != 200 {
        let body = body.collect().await.map_err(Into::into)?.to_bytes();
        return Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)).into());
    }
    let mut reader = Reader::new(dialect);
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(Into::into)?.into_data() {
            for said in reader.push(&bytes)? {
                screen.say(&said)?;
            }
        }
    }
    screen.end_of_answer()?;
    Ok(reader.finish()?)
}
