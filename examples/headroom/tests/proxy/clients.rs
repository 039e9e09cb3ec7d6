//! The examples in other languages, as they stand in `clients/`.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use headroom_tests::provider::{Provider, Received, Turn};
use serde_json::Value;

use crate::{admin::long, bed::Proxy};

/// Runs an example; where its language is not installed, that is said aloud, or a failure in CI.
async fn example(program: &str, script: PathBuf) {
    if Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("HEADROOM_PACKAGES").is_none(), "{program} is not installed");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed");
        return;
    }
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let body: Value = serde_json::from_str(&long("nightly.anthropic")).unwrap();
    let messages = body["messages"].to_string();
    let (url, input, program) = (proxy.url.clone(), messages.clone(), program.to_owned());
    let output = tokio::task::spawn_blocking(move || {
        let mut child = Command::new(program)
            .arg(script)
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let smaller: Value = serde_json::from_slice(&output.stdout).unwrap();
    let count = |messages: &Value| messages.as_array().unwrap().len();
    assert_eq!(count(&smaller), count(&body["messages"]));
    assert!(smaller.to_string().len() < messages.len());
    assert!(told.contains("tokens saved"), "{told}");
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

#[tokio::test]
async fn python() {
    example("python3", clients().join("compress.py")).await;
}

#[tokio::test]
async fn typescript() {
    // It holds nothing that JavaScript does not, so that any Node runs it.
    let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compress.mjs");
    fs::copy(clients().join("compress.ts"), &script).unwrap();
    example("node", script).await;
}
