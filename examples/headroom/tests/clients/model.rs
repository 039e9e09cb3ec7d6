//! A model that runs two commands through whatever tool the client has, and looks into what was
//! hidden between them; and what must be true of such a task.

use headroom_engine::ccr::Marker;
use headroom_tests::provider::{Block, Provider, RETRIEVAL_TOOL, Received, Reply, Turn};
use serde_json::{Value, json};

/// What every id of a call of ours begins with.
const OURS: &str = "ours_";

/// Prints 400 lines of a log; whether all is well cannot be told from its ends.
const BULK: &str = "seq -f '2026-11-02T10:00:00 INFO worker: batch %g of shard 1 done' 1 400";

pub(crate) const ANSWER: &str = "All 400 batches are done.";

/// The next step of the task.
pub(crate) fn answer(request: &Received) -> Reply {
    let results = request.results();
    let looked = results.iter().any(|(id, _)| id.starts_with(OURS));
    let run = results.iter().filter(|(id, _)| !id.starts_with(OURS)).count();
    let command = match run {
        0 => BULK,
        1 => match handle(&results[0].1).filter(|_| !looked) {
            Some(handle) => {
                let arguments = json!({"handle": handle, "query": "batch 200"});
                return Turn::new([Block::call(format!("{OURS}0"), RETRIEVAL_TOOL, arguments)]).into();
            }
            None => "echo checked",
        },
        _ => return Turn::text(ANSWER).into(),
    };
    let Some((tool, arguments)) = runs(request, command) else { return Turn::text("A title.").into() };
    let call = Block::call(format!("call_{run}"), tool, arguments);
    Turn::new([Block::Text("I run it.".to_owned()), call]).into()
}

/// The handle of the first marker in `text`.
fn handle(text: &str) -> Option<String> {
    let marker = text.match_indices("[~").find_map(|(at, _)| Marker::parse_prefix(&text[at..])?.0.handle());
    marker.map(|handle| handle.to_string())
}

/// How the client's tool is asked to run `command`.
fn runs(request: &Received, command: &str) -> Option<(&'static str, Value)> {
    let tools: Vec<&str> = request.tools().collect();
    let name = ["Bash", "exec_command"].into_iter().find(|name| tools.contains(name))?;
    let field = if name == "Bash" { "command" } else { "cmd" };
    Some((name, json!({field: command})))
}

/// What the provider received with us between must be less than without, all of it valid, and
/// nothing that the client printed ours.
pub(crate) fn saved(direct: &Provider, behind: &Provider, printed: &str) {
    for provider in [direct, behind] {
        for request in provider.received().iter().filter(|request| request.dialect().is_some()) {
            let body = String::from_utf8_lossy(request.body());
            assert_eq!(request.rejection(), None, "{body}");
        }
    }
    // The request that first holds the command's output, before the model looks.
    let first = |provider: &Provider| {
        let holds = |request: &&std::sync::Arc<Received>| request.results().len() == 1;
        let received = provider.received();
        let found = received.iter().find(holds).expect("the command was run");
        found.results()[0].1.len()
    };
    let (without, with) = (first(direct), first(behind));
    assert!(4 * with < without, "{with} of {without} bytes of output were sent");
    let last = behind.received().iter().rev().find(|it| it.dialect().is_some()).unwrap().results().len();
    assert_eq!(last, 3, "what was looked at came again");
    for ours in [RETRIEVAL_TOOL, OURS, "headroom"] {
        assert!(!printed.contains(ours), "{ours:?} reached the client: {printed}");
    }
}
