use bytes::Bytes;
use headroom_engine::{cost::Meter, intercept::Step};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{Answer, JsonRounds, Means, Upstream, measured::Measured};
use crate::{
    body::{BoxError, Replay, RequestBody, ResponseBody},
    decode::Coding,
    report::Unintercepted,
    request::{Collected, collect, repair_json_response},
    same,
};

/// Holds each round's answer until it is known that nothing of it is ours to resolve.
///
/// A follow-up that fails is passed on as it is: its error, or the upstream's status and body.
pub(super) async fn drive<X, S, B, R>(
    mut rounds: X,
    mut response: Response<R>,
    upstream: Upstream<S, B>,
    means: &Means,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    X: JsonRounds,
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let Means { stores, limits, pool, report } = means;
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

        let plain = match Coding::of(&head.headers) {
            None => Some(data.clone()),
            Some(coding) => coding.decode(&data, limits.response_bytes, limits, pool).await,
        };
        let Some(plain) = plain else {
            rounds.failed();
            report.pass_on(Unintercepted::Encoded);
            report.finish(rounds.report());
            report.settle();
            return Ok(Response::from_parts(head, ResponseBody::new(Replay::buffered(data, trailers))));
        };

        let mut meter = Meter::default();
        meter.push(&plain);
        report.round(meter.usage());
        let mut step = rounds.response(plain.clone());
        let next = loop {
            step = match step {
                Step::Redeem(handles) => rounds.redeemed(stores.redeem(handles, report).await),
                Step::Rank(ranking) => rounds.ranked(means.rank(ranking).await),
                Step::Remember(records) => rounds.remembered(stores.remember(records, report).await),
                Step::Send(body) => break body,
                Step::Done => {
                    report.finish(rounds.report());
                    report.settle();
                    let spliced = rounds.into_body();
                    let body = if same(&spliced, &plain) {
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
