//! One scenario, with the layer and without.

use std::sync::Arc;

use headroom_tests::{Dialect, provider::Provider};
use serde_json::{Value, json};

use crate::{
    compare::{none_refused, nothing_of_ours, same},
    driver::Driver,
    durable::Durable,
    gateway::Gateway,
    model::{Answer, End, Piece, behind, straight},
    talk::{eager, handles, script},
};

/// A conversation, and what the model says in it.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The part of the SDK that is used, by the drivers' names.
    pub(crate) api: &'static str,
    pub(crate) dialect: Dialect,
    /// The first request.
    pub(crate) request: Value,
    /// What the client says after each answer: messages or items.
    pub(crate) then: Vec<Value>,
    /// What the model says to each request of the client.
    pub(crate) model: Vec<Answer>,
    /// How often the SDK tries again.
    pub(crate) retries: u32,
    /// Each request goes on where the stored answer, or the thread, before it ended.
    pub(crate) chained: bool,
    /// What the client's tool returns, where the SDK itself calls it.
    pub(crate) outputs: Vec<String>,
    /// A ledger that keeps its promises.
    pub(crate) durable: bool,
    /// What only streams can do, or what they cannot.
    pub(crate) streams: &'static [bool],
}

impl Scenario {
    fn job(&self, stream: bool) -> Value {
        let mut request = self.request.clone();
        if stream && self.api == "chat" {
            request["stream_options"] = json!({"include_usage": true});
        }
        json!({
            "api": self.api, "stream": stream, "retries": self.retries, "chained": self.chained,
            "list": self.dialect.list(), "request": request, "then": self.then, "outputs": self.outputs,
        })
    }

    fn looks(&self) -> bool {
        self.model.iter().flatten().any(|round| round.0.contains(&Piece::Looks))
    }

    fn fails(&self) -> bool {
        self.model.iter().flatten().any(|round| !matches!(round.1, End::Well))
    }

    /// Plays it in all its manners.
    pub(crate) async fn play(&self, driver: &mut Driver) {
        for stream in self.streams {
            self.play_one(driver, *stream).await;
        }
    }

    async fn play_one(&self, driver: &mut Driver, stream: bool) {
        let what = format!("{} {}, {}", self.api, self.name, if stream { "streamed" } else { "whole" });
        let (dialect, job) = (self.dialect, self.job(stream));

        let model = self.model.clone();
        let upstream = Provider::start(script(move |n, it| straight(dialect, &model, n, it))).await;
        let direct = driver.play(&upstream.url(), &job).await;
        // What an SDK makes of an answer that was cut short is its own affair.
        assert!(self.fails() || direct.error.is_none(), "{what}, without the layer: {:?}", direct.error);

        let model = self.model.clone();
        let provider = Provider::start(script(move |n, it| behind(dialect, &model, n, it))).await;
        let mut layer = eager();
        if self.durable {
            layer = layer.ledger(Arc::new(Durable::default())).single_tenant();
        }
        let gateway = Gateway::start(&layer.build().unwrap(), provider.url()).await;
        let layered = driver.play(gateway.url(), &job).await;

        none_refused(&what, &upstream);
        none_refused(&what, &provider);
        same(&what, &layered, &direct);
        nothing_of_ours(&what, &layered);
        let (sent, passed) = (upstream.received(), provider.received());
        assert_eq!(sent.len(), self.model.len(), "{what}: requests of the client");
        assert_eq!(passed.len(), self.model.iter().flatten().count(), "{what}: requests of the layer");
        if self.looks() {
            // Where each request of the client begins among those of the layer.
            let starts = self.model.iter().scan(0, |at, rounds| {
                *at += rounds.len();
                Some(*at - rounds.len())
            });
            let mut pairs = starts.zip(&sent).map(|(at, sent)| (passed[at].body().len(), sent.body().len()));
            assert!(pairs.any(|(passed, sent)| 2 * passed < sent), "{what}: nothing was saved");
        }
        for request in passed.iter().filter(|_| self.chained) {
            assert!(handles(request).is_empty(), "{what}: what is kept elsewhere could not be asked for");
        }
        for pair in passed.windows(2) {
            assert!(pair[1].prefix().starts_with(pair[0].prefix()), "{what}: every byte comes again");
        }
    }

    /// Counts, and sends what was counted.
    pub(crate) async fn counted(&self, driver: &mut Driver, sent: &Self) {
        let (dialect, model) = (self.dialect, sent.model.clone());
        let provider = Provider::start(script(move |n, it| behind(dialect, &model, n, it))).await;
        let gateway = Gateway::start(&eager().build().unwrap(), provider.url()).await;
        let count = async |driver: &mut Driver, base: &str| {
            let outcome = driver.play(base, &self.job(false)).await;
            nothing_of_ours(self.api, &outcome);
            assert_eq!(outcome.error, None, "{}", self.api);
            outcome.turns[0].message.as_ref().unwrap()["tokens"].as_u64().unwrap() as usize
        };
        let direct = count(driver, &provider.url()).await;
        let layered = count(driver, gateway.url()).await;
        driver.play(gateway.url(), &sent.job(false)).await;
        assert_eq!(layered, provider.last().usage().total, "{}", self.api);
        assert!(layered < direct, "{}: {layered} of {direct}", self.api);
        none_refused(self.api, &provider);
    }
}
