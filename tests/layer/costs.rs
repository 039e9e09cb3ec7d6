//! The cost ledger over sockets: the provider's own counts, with and without retrievals.

use headroom_tests::{
    Dialect,
    client::Answer,
    provider::{Received, Reply, Turn},
};
use headroom_tower::{CacheFate, Report};
use serde_json::json;

use crate::{
    bed::{Bed, within},
    talk::{MANNERS, Talk, fetch, handles, layer, log, run, script, words},
};

/// A turn, billed.
async fn turn(bed: &Bed, dialect: Dialect, talk: &mut Talk, stream: bool) -> (Answer, Report) {
    let heard = bed.ask(dialect, talk.body(stream)).await;
    let report = heard.report().clone();
    assert_eq!(report.bill(), None, "nothing is billed before the answer has ended");
    let answer = within(heard.answer(dialect)).await.unwrap();
    talk.answered(&answer);
    (answer, report)
}

/// What the provider was sent, in tokens, over all requests so far.
fn prompt(requests: &[std::sync::Arc<Received>]) -> u64 {
    requests.iter().map(|request| request.usage().total as u64).sum()
}

#[tokio::test]
async fn every_answer_is_billed_once_by_what_the_provider_counted() {
    for (dialect, stream) in MANNERS {
        let answers = script(|n, _| Turn::new([words("Next. "), run(&format!("next_{n}"))]).into());
        let layer = layer();
        let bed = Bed::client(layer.clone(), answers).await;
        let mut talk = Talk::about(dialect, &log(0));
        if dialect == Dialect::Anthropic {
            talk.body["cache_control"] = json!({"type": "ephemeral"});
        }
        for at in 0..4 {
            let (answer, report) = turn(&bed, dialect, &mut talk, stream).await;
            let (bill, usage) = (report.bill().unwrap(), report.usage().unwrap());
            let sent = bed.provider.received();
            assert_eq!(usage.prompt(), sent[at].usage().total as u64, "{dialect:?}, {stream}");
            assert!(bill.first > 0.0 && (at == 0) == (bill.again == 0.0), "{bill:?}");
            assert!(bill.net() > 0.0 && bill.without() > bill.paid && bill.retrievals == 0.0);
            assert_eq!(report.cache(), (at > 0).then_some(CacheFate::Hit), "turn {at}");
            let [(id, _)] = answer.calls()[..] else { panic!("{answer:?}") };
            let id = id.to_owned();
            talk.result(&id, &log(at + 1));
        }
        let costs = layer.costs();
        assert_eq!((costs.requests, costs.cache["hit"]), (4, 3));
        assert!(!costs.cache.contains_key("ours") && costs.net() > 0.0);
    }
}

#[tokio::test]
async fn what_a_retrieval_cost_is_taken_off() {
    for (dialect, stream) in MANNERS {
        let answers = script(|n, request| -> Reply {
            if n == 0 && !handles(request).is_empty() {
                return Turn::new([fetch(request, n)]).into();
            }
            Turn::text("Done.").into()
        });
        let bed = Bed::client(layer(), answers).await;
        let mut talk = Talk::about(dialect, &log(0));
        let (_, report) = turn(&bed, dialect, &mut talk, stream).await;
        let bill = report.bill().unwrap();
        assert_eq!(report.usage().unwrap().prompt(), prompt(&bed.provider.received()), "both rounds");
        assert!(bill.retrievals > 0.0 && bill.tool > 0.0);
        assert!((bill.net() - (bill.first + bill.again - bill.retrievals - bill.tool)).abs() < 1e-9);
    }
}

#[tokio::test]
async fn other_tools_are_the_clients_own_doing() {
    let answers = script(|n, _| Turn::new([words("Next. "), run(&format!("next_{n}"))]).into());
    let bed = Bed::client(layer(), answers).await;
    let mut talk = Talk::about(Dialect::Anthropic, &log(0));
    talk.body["cache_control"] = json!({"type": "ephemeral"});
    let (answer, _) = turn(&bed, Dialect::Anthropic, &mut talk, false).await;
    let id = answer.calls()[0].0.to_owned();
    talk.result(&id, "ok");
    talk.body["tools"][0]["description"] = "Runs another command in the shell".into();
    let (_, report) = turn(&bed, Dialect::Anthropic, &mut talk, false).await;
    assert_eq!(report.cache(), Some(CacheFate::Client));
}
