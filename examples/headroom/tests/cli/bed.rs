//! The binary, files to feed it, and texts.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

/// `headroom` with nothing of this process's environment that it would read.
pub(crate) fn headroom() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headroom"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEADROOM_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it on `input` to its end.
pub(crate) fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = headroom().args(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may write before it has read all.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A directory that goes with the test.
pub(crate) struct Room(PathBuf);

impl Room {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("headroom-cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, as an argument.
    pub(crate) fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.join(name), text).unwrap();
        self.at(name)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A log of so many lines, with one error in it.
pub(crate) fn log(lines: usize) -> String {
    (0..lines)
        .map(|n| {
            let (minute, second) = (n / 60 % 60, n % 60);
            let what = match n {
                _ if n == lines / 2 => format!("ERROR worker {n} lost its lease on job-{}", n * 31),
                _ => format!("INFO worker {} took job-{} from queue q{}", n % 7, n * 7919 % 99_991, n % 3),
            };
            format!("2026-11-22T10:{minute:02}:{second:02}.{:03}Z {what}\n", n * 37 % 1000)
        })
        .collect()
}

/// A request in which a tool returned `result`, and another returned little.
pub(crate) fn request(result: &str) -> String {
    serde_json::json!({
        "model": "claude-opus-5-5",
        "max_tokens": 1000,
        "tools": [{
            "name": "Bash", "description": "Runs a command.",
            "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
        }],
        "messages": [
            {"role": "user", "content": "Why did the job fail?"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "cat app.log"}},
                {"type": "tool_use", "id": "t2", "name": "Bash", "input": {"command": "date"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": result},
                {"type": "tool_result", "tool_use_id": "t2", "content": "Sun Nov 22"},
            ]},
        ],
    })
    .to_string()
}
