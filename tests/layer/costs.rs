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
    assert!(!stream || report.bill().is_none(), "nothing is billed before the answer has ended");
    let answer = within(heard.answer(dialect)).await.unwrap();
    talk.answered(&answer);
    (answer, report)
}

/// A conversation with a prompt that is long enough to be cached.
fn long(dialect: Dialect) -> Talk {
    let mut talk = Talk::about(dialect, &log(0));
    let prompt = "You look after jobs, and say in a few words what became of each of them. ".repeat(120);
    match dialect {
        Dialect::Anthropic => {
            talk.body["model"] = "claude-opus-5".into();
            talk.body["cache_control"] = json!({"type": "ephemeral"});
            talk.body["system"] = prompt.into();
        }
        Dialect::OpenAi => {
            let messages = talk.body["messages"].as_array_mut().unwrap();
            messages.insert(0, json!({"role": "developer", "content": prompt}));
        }
        _ => {}
    }
    talk
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
        let mut talk = long(dialect);
        let cached = matches!(dialect, Dialect::Anthropic | Dialect::OpenAi);
        for at in 0..4 {
            let (answer, report) = turn(&bed, dialect, &mut talk, stream).await;
            let (bill, usage) = (report.bill().unwrap(), report.usage().unwrap());
            let sent = bed.provider.received();
            assert_eq!(usage.prompt(), sent[at].usage().total as u64, "{dialect:?}, {stream}");
            assert!(bill.first > 0.0 && (at == 0) == (bill.again == 0.0), "{bill:?}");
            assert!(bill.net() > 0.0 && bill.without() > bill.paid && bill.retrievals == 0.0);
            let fate = report.cache();
            assert!(fate.is_none_or(|fate| fate == CacheFate::Hit), "turn {at}, {dialect:?}: {fate:?}");
            assert_eq!(fate.is_some(), at > 0 && (cached || fate.is_some()), "turn {at}, {dialect:?}");
            let [(id, _)] = answer.calls()[..] else { panic!("{answer:?}") };
            let id = id.to_owned();
            talk.result(&id, &log(at + 1));
        }
        let costs = layer.costs();
        let hits = costs.cache.get("hit").copied().unwrap_or_default();
        assert_eq!(costs.requests, 4);
        assert!(if cached { hits == 3 } else { hits < 3 }, "{dialect:?}: {hits}");
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
    let mut talk = long(Dialect::Anthropic);
    let (answer, _) = turn(&bed, Dialect::Anthropic, &mut talk, false).await;
    let id = answer.calls()[0].0.to_owned();
    talk.result(&id, "ok");
    talk.body["tools"][0]["description"] = "Runs another command in the shell".into();
    let (_, report) = turn(&bed, Dialect::Anthropic, &mut talk, false).await;
    assert_eq!(report.cache(), Some(CacheFate::Client));
}
