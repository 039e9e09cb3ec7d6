//! The binary as a proxy, and other programs in rooms of their own.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use headroom_tests::packages;

/// Where the command lines are that npm has installed.
pub(crate) fn node_modules() -> Option<PathBuf> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/node");
    let installed = INSTALLED.get_or_init(|| packages::node(env!("CARGO_TARGET_TMPDIR"), &manifests));
    packages::or_skip("clients from npm", installed).map(|place| place.join("node_modules"))
}

/// Where the programs are that pip has installed.
pub(crate) fn python() -> Option<PathBuf> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/requirements.txt");
    let installed = INSTALLED.get_or_init(|| packages::python(env!("CARGO_TARGET_TMPDIR"), &list));
    packages::or_skip("clients from PyPI", installed).map(|place| place.join("bin"))
}

/// System and architecture as npm names them.
pub(crate) fn platform() -> String {
    let system = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    format!("{system}-{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" })
}

/// A program that serves, killed when it is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it and waits until a line of its standard error says what `ready` finds.
    pub(crate) async fn start<T: Send + 'static>(
        mut command: Command,
        mut ready: impl FnMut(&str) -> Option<T> + Send + 'static,
    ) -> (Self, T) {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let found = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            let found = lines.by_ref().find_map(|line| {
                said.push_str(&(line.clone() + "\n"));
                ready(&line)
            });
            let found = found.unwrap_or_else(|| panic!("it does not start: {said}"));
            // What it says later is read too, lest it wait.
            std::thread::spawn(move || lines.for_each(drop));
            found
        });
        let running = Self(child);
        (running, within(found).await.unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A proxy before `upstream`, and its URL.
pub(crate) async fn proxy(upstream: &str) -> (Running, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headroom"));
    command.env_clear().args(["proxy", "--port", "0", "--json"]);
    command.args(["--anthropic-target-api-url", upstream, "--openai-target-api-url", upstream]);
    listening(command).await
}

/// A proxy that was told where to listen, and its URL.
pub(crate) async fn listening(command: Command) -> (Running, String) {
    Running::start(command, |line| {
        let at = line.find("127.0.0.1:").filter(|_| line.contains("listening"))?;
        let address = line[at..].split(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).next()?;
        Some(format!("http://{address}"))
    })
    .await
}

/// A command in an empty home of its own, with nothing of this process's environment but where
/// programs are.
pub(crate) fn alone(program: &Path, room: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", room).current_dir(room).stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// An empty directory that nobody else has; under `target`, where it may stay.
pub(crate) fn room(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("room-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// What a program prints, run to its end.
pub(crate) async fn printed(mut command: Command) -> String {
    command.stderr(Stdio::piped()).stdout(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    let output = within(command.kill_on_drop(true).output()).await.unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {out}\n{error}", output.status);
    out.into_owned()
}

/// Fails a test that would hang; it synchronises nothing.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(600), future).await.expect("nothing hangs")
}
