//! A process that plays conversations through the SDKs of one language.

use std::{process::Stdio, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::packages::Language;

/// A running driver, killed when it is dropped.
pub(crate) struct Driver {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// What the SDK made of one conversation.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) turns: Vec<Turn>,
    /// What a user's handler of errors would see.
    pub(crate) error: Option<Value>,
}

/// One answer as the SDK handed it out.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Turn {
    /// The final message of its accumulator.
    pub(crate) message: Option<Value>,
    /// The text of a stream, as its deltas said it.
    pub(crate) heard: String,
    /// Every event of a stream.
    pub(crate) events: Vec<String>,
}

impl Driver {
    pub(crate) fn start(language: Language) -> Option<Self> {
        let mut child = Command::from(language.driver()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Some(Self { _child: child, input, output })
    }

    /// Plays `job` against `base`.
    pub(crate) async fn play(&mut self, base: &str, job: &Value) -> Outcome {
        let mut job = job.clone();
        job["base"] = json!(base);
        self.input.write_all(format!("{job}\n").as_bytes()).await.unwrap();
        // Fails a test that would hang; it synchronises nothing.
        let line = tokio::time::timeout(Duration::from_secs(120), self.output.next_line());
        let line = line.await.expect("the SDK answers").unwrap().expect("the driver goes on");
        serde_json::from_str(&line).unwrap()
    }
}
