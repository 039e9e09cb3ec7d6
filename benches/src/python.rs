//! The Python package `headroom-ai`, driven over the standard streams of one process: a request a
//! line in, an answer a line out.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json, value::RawValue};

const SCRIPT: &str = include_str!("peer.py");

/// The running package; ends with this value.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub(crate) version: String,
}

/// What the package made of a request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The request with its messages.
    pub(crate) body: String,
    /// What the handles in it give back.
    pub(crate) originals: Vec<String>,
    /// The call alone, without the streams.
    pub(crate) seconds: f64,
}

type Object = BTreeMap<String, Box<RawValue>>;

impl Peer {
    /// Starts `python` and waits until the package is loaded.
    pub(crate) fn start(python: &Path) -> io::Result<Self> {
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no streams"));
        };
        let mut peer = Self {
            child,
            requests: Some(requests),
            answers: BufReader::new(answers),
            version: String::new(),
        };
        let hello: Value = serde_json::from_str(&peer.line()?)?;
        peer.version = hello["version"].as_str().unwrap_or("of an unknown version").to_owned();
        Ok(peer)
    }

    /// Compresses the messages of a body; `None` where the package fails.
    pub(crate) fn compress(&mut self, body: &str, model: &str) -> io::Result<Option<Answer>> {
        let mut body: Object = serde_json::from_str(body)?;
        let messages: Value = serde_json::from_str(body.get("messages").map_or("[]", |raw| raw.get()))?;
        if let Some(requests) = &mut self.requests {
            writeln!(requests, "{}", json!({"model": model, "messages": messages}))?;
            requests.flush()?;
        }
        let mut answer: Object = serde_json::from_str(&self.line()?)?;
        let Some(messages) = answer.remove("messages") else { return Ok(None) };
        let originals = answer.get("originals").map_or("[]", |raw| raw.get());
        let originals = serde_json::from_str(originals).unwrap_or_default();
        let seconds = answer.get("seconds").and_then(|raw| raw.get().parse().ok()).unwrap_or_default();
        body.insert("messages".into(), messages);
        Ok(Some(Answer { body: serde_json::to_string(&body)?, originals, seconds }))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
            0 => Err(io::Error::other("the peer ended: is headroom-ai installed for that interpreter?")),
            _ => Ok(line),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.requests = None; // the script ends with its input
        let _ = self.child.wait();
    }
}
