//! When to stop.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, CtrlClose, ctrl_c, ctrl_close};

/// What tells a process to end: SIGINT or SIGTERM; on Windows Ctrl-C, or that its window closes.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    either: [Signal; 2],
    #[cfg(windows)]
    either: (CtrlC, CtrlClose),
}

impl Signals {
    /// # Errors
    /// If signals cannot be listened to.
    pub(crate) fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        let either = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        #[cfg(windows)]
        let either = (ctrl_c()?, ctrl_close()?);
        Ok(Self { either })
    }

    /// Completes when the process is told to end, each time anew.
    pub(crate) async fn told(&mut self) {
        #[cfg(unix)]
        let [one, two] = &mut self.either;
        #[cfg(windows)]
        let (one, two) = &mut self.either;
        tokio::select! {
            _ = one.recv() => {}
            _ = two.recv() => {}
        }
    }
}
