//! What hooks are told, over real sockets: every stage in its order, each once a round, and one end for each
//! request that was sent.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use headroom_tests::{
    Dialect,
    provider::{Reply, Turn},
};
use headroom_tower::{Ending, HeadroomLayer, Hook, PipelineEvent, Report, RequestPolicy, Stage};
use tokio::sync::mpsc;

use crate::{
    bed::{Around, Bed, within},
    talk::{DIALECTS, MANNERS, Talk, eager, fetch, handles, log, script, words},
};

/// What is kept of an event.
#[derive(Clone, Debug)]
struct Note {
    stage: Stage,
    round: u32,
    bytes: Option<u64>,
    saved: Option<usize>,
    ending: Option<Ending>,
    /// The provider's counts were known.
    counted: bool,
    report: Option<Report>,
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<BTreeMap<Option<u64>, Vec<Note>>>>);

impl Hook for Notes {
    fn on_pipeline_event(&self, event: &PipelineEvent<'_>) {
        let note = Note {
            stage: event.stage(),
            round: event.round(),
            bytes: event.bytes(),
            saved: event.rewrite().map(headroom_engine::Report::tokens_saved),
            ending: event.ending(),
            counted: event.report().is_some_and(|report| report.usage().is_some()),
            report: event.report().cloned(),
        };
        assert_eq!(event.request().is_some(), event.elapsed().is_some() && event.dialect().is_some());
        assert_eq!(event.status().is_some(), event.stage() == Stage::PostSend);
        self.0.lock().unwrap().entry(event.request()).or_default().push(note);
    }
}

impl Notes {
    fn layer(&self) -> HeadroomLayer {
        eager().hook(self.clone()).build().unwrap()
    }

    /// Of the requests in their order; first those of the layer itself.
    fn take(&self) -> Vec<Vec<Note>> {
        std::mem::take(&mut *self.0.lock().unwrap()).into_values().collect()
    }
}

/// The law of all stages: in their order, each at most once a round, and one end.
fn in_order(notes: &[Note]) {
    let place = |note: &Note| match note.stage {
        Stage::PreSend | Stage::PostSend => (Stage::PreSend, note.round, note.stage),
        stage => (stage, note.round, stage),
    };
    assert!(notes.is_sorted_by(|one, other| place(one) < place(other)), "{notes:?}");
    let count = |stage| notes.iter().filter(|note| note.stage == stage).count();
    assert_eq!(count(Stage::ResponseReceived), count(Stage::PreSend).min(1), "{notes:?}");
    assert!(notes.iter().all(|note| (note.ending.is_some()) == (note.stage == Stage::ResponseReceived)));
}

fn stages(notes: &[Note]) -> Vec<(Stage, u32)> {
    notes.iter().map(|note| (note.stage, note.round)).collect()
}

#[tokio::test]
async fn every_stage_is_told_with_the_rounds_of_a_retrieval() {
    let rounds = |rounds: u32| {
        let sends = (1..=rounds).flat_map(|round| [(Stage::PreSend, round), (Stage::PostSend, round)]);
        let before = [
            Stage::InputReceived,
            Stage::InputCached,
            Stage::InputRouted,
            Stage::InputCompressed,
            Stage::InputRemembered,
        ];
        let all = before.map(|stage| (stage, 0)).into_iter().chain(sends);
        all.chain([(Stage::ResponseReceived, rounds)]).collect::<Vec<_>>()
    };
    for (dialect, stream) in MANNERS {
        let answers = script(|n, request| -> Reply {
            let ask = n == 0 && !handles(request).is_empty();
            if ask { Turn::new([words("I look. "), fetch(request, n)]) } else { Turn::text("Done.") }.into()
        });
        let notes = Notes::default();
        let bed = Bed::client(notes.layer(), answers).await;
        let mut heard = Vec::new();
        for n in 0..2 {
            let answer = bed.ask(dialect, Talk::about(dialect, &log(n)).body(stream)).await;
            heard.push(within(answer.bytes()).await.len() as u64);
        }
        let told = notes.take();
        let [layer, first, second] = &told[..] else { panic!("{told:?}") };
        let own = [Stage::Setup, Stage::PreStart, Stage::PostStart].map(|stage| (stage, 0));
        assert_eq!(stages(layer), own);
        assert_eq!(stages(first), rounds(2), "{dialect:?} {stream}");
        assert_eq!(stages(second), rounds(1), "{dialect:?} {stream}");
        for (at, (notes, heard)) in [first, second].into_iter().zip(heard).enumerate() {
            in_order(notes);
            let end = notes.last().unwrap();
            assert_eq!((end.bytes, end.ending), (Some(heard), Some(Ending::Whole)), "{dialect:?} {stream}");
            assert!(
                end.counted && end.report.is_some(),
                "{dialect:?} {stream}: what the answer cost is known"
            );
            // Of what the provider got and what the client sent.
            let sent: Vec<u64> = notes
                .iter()
                .filter(|note| note.stage == Stage::PreSend)
                .filter_map(|note| note.bytes)
                .collect();
            let from = if at == 0 { 0 } else { 2 };
            let received = bed.provider.received();
            let got = received[from..].iter().take(sent.len()).map(|request| request.body().len() as u64);
            assert_eq!(sent, got.collect::<Vec<_>>());
            assert!(notes[0].bytes > notes[3].bytes && notes[0].saved.is_none());
            assert!(notes[2..].iter().all(|note| note.saved.is_some_and(|saved| saved > 0)));
        }
    }
}

/// Requests that pass are told nothing of; what was read and could not be used is told as far as it went.
#[tokio::test]
async fn what_passes_is_not_told() {
    let notes = Notes::default();
    let bed = Bed::client(notes.layer(), script(|_, _| Turn::text("Done.").into())).await;
    let mut off = bed.says(Dialect::OpenAi, Talk::about(Dialect::OpenAi, &log(0)).body(false));
    off.extensions_mut().insert(RequestPolicy::off());
    bed.send(off).await.unwrap().end().await.unwrap();
    bed.send(bed.post("/v1/other", "{}")).await.unwrap().end().await.unwrap();
    assert_eq!(notes.take().len(), 1, "the layer's own");

    bed.send(bed.post("/v1/messages", "not JSON")).await.unwrap().end().await.unwrap();
    let told = notes.take().pop().unwrap();
    let read = [Stage::InputReceived, Stage::PreSend, Stage::PostSend, Stage::ResponseReceived];
    assert_eq!(told.iter().map(|note| note.stage).collect::<Vec<_>>(), read);
    assert!(told.iter().all(|note| note.saved.is_none()) && told[0].bytes == Some(8));
    assert!(told[1].report.as_ref().is_some_and(|report| report.skipped().is_some()));
    in_order(&told);
}

/// In the middle of a stream, and between its rounds.
#[tokio::test]
async fn a_client_that_goes_away_is_an_end() {
    for around in [Around::Client, Around::Router] {
        for dialect in DIALECTS {
            let answers = script(|n, request| {
                let gate = headroom_tests::provider::Gate::new();
                let turn = Turn::new([words("I look closer. "), fetch(request, n)]);
                // Nobody opens it.
                if n == 0 { turn.into() } else { Turn::text("never").gate(1, &gate).into() }
            });
            let notes = Notes::default();
            let (sender, mut ended) = mpsc::unbounded_channel();
            let end = move |event: &PipelineEvent<'_>| {
                if event.stage() == Stage::ResponseReceived {
                    sender.send(event.ending()).unwrap();
                }
            };
            let layer = eager().hook(notes.clone()).hook(end).build().unwrap();
            let bed = Bed::new(around, layer, answers).await;
            let mut heard = within(bed.ask(dialect, Talk::about(dialect, &log(1)).body(true))).await;
            within(heard.until("closer")).await;
            drop(heard);
            assert_eq!(within(ended.recv()).await, Some(Some(Ending::Dropped)), "{around:?} {dialect:?}");
            in_order(notes.take().last().unwrap());
        }
    }
}
