//! The proxy as a process of its own, and a client.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use headroom_tests::{
    Dialect,
    client::{Answer, HttpClient, Malformed, http, post},
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::Value;

/// Credentials that must appear nowhere but in the upstream's requests.
pub(crate) const KEY: &str = "sk-hush-hush-4711";
pub(crate) const TOKEN: &str = "token-hush-0815";

/// A proxy that listens. It is killed when it is dropped.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) url: String,
    logs: Arc<Mutex<String>>,
    /// Reads them.
    reader: Option<thread::JoinHandle<()>>,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headroom"));
    command.arg("proxy").args(arguments).env_clear();
    // What Windows wants to find its libraries.
    if let Some(root) = std::env::var_os("SystemRoot") {
        command.env("SystemRoot", root);
    }
    command
}

impl Proxy {
    /// Starts it on a free port, with both providers at `upstream`.
    pub(crate) fn start(upstream: &str, arguments: &[&str]) -> Self {
        let mut all = vec!["--anthropic-target-api-url", upstream, "--openai-target-api-url", upstream];
        all.extend(["--gemini-target-api-url", upstream]);
        all.extend(arguments);
        Self::with(command(&all))
    }

    pub(crate) fn with(mut command: Command) -> Self {
        let command = command.args(["--port", "0", "--json", "--log", "debug"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let logs = Arc::new(Mutex::new(String::new()));
        let (found, address) = mpsc::channel();
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&logs));
        let reader = thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let json: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(address) = json["fields"]["address"].as_str() {
                    let _ = found.send(address.to_owned());
                }
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let address = address.recv_timeout(Duration::from_secs(120));
        let address = address.unwrap_or_else(|_| panic!("it does not start: {}", logs.lock().unwrap()));
        Self { child, url: format!("http://{address}"), logs, reader: Some(reader) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What was logged so far.
    pub(crate) fn logs(&self) -> String {
        self.logs.lock().unwrap().clone()
    }

    /// A request, as an official client would send it.
    pub(crate) fn says(&self, dialect: Dialect, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let body = body.into();
        let mut request = post(&format!("{}{}", self.url, dialect.path_of(&body)), body);
        let (name, value) = match dialect {
            Dialect::Anthropic => ("x-api-key", KEY.to_owned()),
            Dialect::Gemini => ("x-goog-api-key", KEY.to_owned()),
            _ => ("authorization", format!("Bearer {KEY}")),
        };
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    }

    pub(crate) async fn ask(&self, dialect: Dialect, body: impl Into<Bytes>) -> Result<Answer, Malformed> {
        let response = send(self.says(dialect, body)).await;
        headroom_tests::client::read(dialect, response).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.json(post(&format!("{}{path}", self.url), body.to_string())).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let request = Request::get(format!("{}{path}", self.url)).body(Full::default()).unwrap();
        self.json(request).await
    }

    pub(crate) async fn json(&self, request: Request<Full<Bytes>>) -> (u16, Value) {
        let (status, text) = text(send(request).await).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Tells it to stop, as an init system does.
    #[cfg(unix)]
    pub(crate) fn terminate(&self) {
        let done = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Waits for its end, and for all that it said.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.reader.take().into_iter().for_each(|reader| reader.join().unwrap());
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "it does not end: {}", self.logs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            let logs = self.logs();
            for secret in [KEY, TOKEN] {
                assert!(!logs.contains(secret), "{secret} is in the logs: {logs}");
            }
        }
    }
}

pub(crate) async fn send(request: Request<Full<Bytes>>) -> Response<Incoming> {
    let client: HttpClient = http();
    within(client.request(request)).await.unwrap()
}

pub(crate) async fn text(response: Response<Incoming>) -> (u16, String) {
    let (head, body) = response.into_parts();
    let body = within(body.collect()).await.unwrap().to_bytes();
    (head.status.as_u16(), String::from_utf8_lossy(&body).into_owned())
}

/// Fails a test that would hang; it synchronises nothing.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("nothing hangs")
}
