//! A child process that listens, and what it takes.

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

/// A process that is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    pub(crate) started: Instant,
}

/// The proxy beside this program, unless another is named.
pub(crate) fn binary(named: Option<&Path>) -> io::Result<PathBuf> {
    let beside = || -> io::Result<PathBuf> {
        let name = format!("headroom{}", std::env::consts::EXE_SUFFIX);
        Ok(std::env::current_exe()?.with_file_name(name))
    };
    let path = named.map_or_else(beside, |path| Ok(path.to_owned()))?;
    if path.is_file() {
        return Ok(path);
    }
    let told = format!("{} is not there: cargo build --release -p headroom, or --binary", path.display());
    Err(io::Error::new(io::ErrorKind::NotFound, told))
}

impl Process {
    /// The proxy, asking `upstream`.
    pub(crate) fn proxy(binary: &Path, upstream: &str) -> io::Result<Self> {
        let mut command = Command::new(binary);
        command.args(["proxy", "--port", "0", "--json", "--anthropic-target-api-url", upstream]);
        Self::start(command.env_clear())
    }

    /// The pass-through of this program.
    pub(crate) fn pass(upstream: &str) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        Self::start(command.args(["pass", "--upstream", upstream]))
    }

    /// Waits until a line of its stderr holds `"address":"…"`.
    fn start(command: &mut Command) -> io::Result<Self> {
        let started = Instant::now();
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let Some(stderr) = child.stderr.take() else { return Err(io::Error::other("no stderr")) };
        let mut lines = BufReader::new(stderr).lines();
        let mut told = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(at) = line.find("\"address\":\"") {
                let address: String = line[at + 11..].chars().take_while(|letter| *letter != '"').collect();
                // Whatever comes later must not fill the pipe.
                thread::spawn(move || lines.for_each(drop));
                return Ok(Self { child, url: format!("http://{address}"), started });
            }
            told.push_str(&line);
        }
        let _ = child.wait();
        Err(io::Error::other(format!("it did not start: {told}")))
    }

    /// Resident memory in MB; `None` where the system does not tell.
    pub(crate) fn rss(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let row = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kb: f64 = row.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kb / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
