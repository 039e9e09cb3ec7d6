//! Codex's command line.

use headroom_tests::provider::Provider;
use serde_json::Value;

use crate::{
    bed::{alone, node_modules, printed, proxy, room},
    model::{ANSWER, answer, saved},
};

/// Runs the task against `base`; what it printed.
async fn task(base: &str) -> Option<String> {
    let program = node_modules()?.join(".bin/codex");
    let room = room("codex");
    let config = format!(
        "model = \"gpt-6\"\nmodel_provider = \"double\"\ncheck_for_update_on_startup = false\n\
         [analytics]\nenabled = false\n\
         [model_providers.double]\nname = \"double\"\nbase_url = \"{base}/v1\"\n\
         env_key = \"OPENAI_API_KEY\"\nwire_api = \"responses\"\nsupports_websockets = false\n\
         request_max_retries = 0\nstream_max_retries = 0\n"
    );
    std::fs::write(room.join("config.toml"), config).unwrap();
    let mut command = alone(&program, &room);
    command.env("CODEX_HOME", &room).env("OPENAI_API_KEY", "dummy");
    command.args(["exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", "--json"]);
    command.arg("Run the batches and tell me whether all are done.");
    let text = printed(command).await;
    let _ = std::fs::remove_dir_all(&room);
    Some(text)
}

/// What the user sees of it: words, commands and what they printed.
fn seen(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let done = lines.filter(|line| line["type"] == "item.completed");
    done.map(|line| line["item"].clone()).collect()
}

#[tokio::test]
async fn a_task_of_codex() {
    let upstream = Provider::start(answer).await;
    let Some(direct) = task(&upstream.url()).await else { return };
    assert_eq!(seen(&direct).last().unwrap()["text"], ANSWER, "{direct}");

    let provider = Provider::start(answer).await;
    let (_proxy, url) = proxy(&provider.url()).await;
    let layered = task(&url).await.unwrap();
    assert_eq!(seen(&layered), seen(&direct));
    saved(&upstream, &provider, &layered);
}
