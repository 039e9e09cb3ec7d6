use bytes::Bytes;
use headroom_engine::{cost::Meter, intercept::Step};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{Answer, JsonRounds, Upstream, measured::Measured};
use crate::{
    body::{BoxError, Replay, RequestBody, ResponseBody},
    limits::Limits,
    report::{Report, Unintercepted},
    request::{Collected, collect, repair_json_response},
    same,
    store::scoped::Scoped,
};

/// Holds each round's answer until it is known that nothing of it is ours to resolve.
///
/// A follow-up that fails is passed on as it is: its error, or the upstream's status and body.
pub(super) async fn drive<X, S, B, R>(
    mut rounds: X,
    mut response: Response<R>,
    upstream: Upstream<S, B>,
    stores: Scoped,
    limits: &Limits,
    report: &Report,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    X: JsonRounds,
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let mut measured = Measured::default();
    loop {
        let (mut head, body) = response.into_parts();
        measured.add(&mut head.headers);
        // To its end, so that its connection can carry the next round.
        let (data, trailers) = match collect(body, limits.response_bytes).await {
            Collected::Whole(data, trailers) => (data, trailers),
            Collected::Cut(body, _) => {
                rounds.failed();
                report.pass_on(Unintercepted::Unread);
                report.finish(rounds.report());
                report.settle();
                return Ok(Response::from_parts(head, ResponseBody::new(body)));
            }
        };

        let mut meter = Meter::default();
        meter.push(&data);
        report.round(meter.usage());
        let mut step = rounds.response(data.clone());
        let next = loop {
            step = match step {
                Step::Redeem(handles) => rounds.redeemed(stores.redeem(handles, report).await),
                Step::Remember(records) => rounds.remembered(stores.remember(records, report).await),
                Step::Send(body) => break body,
                Step::Done => {
                    report.finish(rounds.report());
                    report.settle();
                    let spliced = rounds.into_body();
                    let body = if same(&spliced, &data) {
                        Replay::buffered(data, trailers)
                    } else {
                        repair_json_response(&mut head.headers, spliced.len());
                        Replay::buffered(spliced, None)
                    };
                    return Ok(Response::from_parts(head, ResponseBody::new(body)));
                }
            }
        };

        response = match upstream.send(next).await {
            Ok(response) if upstream.kind(&response) == Answer::Json => response,
            refused => {
                rounds.failed();
                if let Ok(Answer::Other(why)) = refused.as_ref().map(|response| upstream.kind(response)) {
                    report.pass_on(why);
                }
                report.finish(rounds.report());
                report.settle();
                return refused.map(|response| response.map(ResponseBody::passthrough));
            }
        };
    }
}
