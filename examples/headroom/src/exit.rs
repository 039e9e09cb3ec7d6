//! How the program ends.

use std::{
    error::Error,
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

/// What the program's end says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All was done; also where there was nothing to save.
    Done = 0,
    /// A file, a socket, a store or a proxy failed.
    Failed = 1,
    /// The command line or the configuration is wrong. Most of that the argument parser tells.
    Wrong = 2,
    /// The input is not what it should be; it was passed on as it came.
    Unreadable = 3,
    /// Nothing has this handle.
    Unknown = 4,
}

/// The table of the help and of the man page.
pub(crate) const TABLE: &str = "\
Exit status:
  0  done; also where there was nothing to save
  1  a file, a socket, a store or a proxy failed
  2  the command line or the configuration is wrong
  3  the input is not what it should be; it was passed on as it came
  4  nothing has this handle";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command cannot go on, in words for its user, and how it ends.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    why: String,
}

impl Failure {
    /// Something that was asked for does not work.
    pub(crate) fn failed(why: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, why: why.to_string() }
    }

    /// What was asked for makes no sense.
    pub(crate) fn wrong(why: impl fmt::Display) -> Self {
        Self { exit: Exit::Wrong, why: why.to_string() }
    }

    /// Tells it.
    pub(crate) fn end(self) -> Exit {
        tell(self.why);
        self.exit
    }
}

/// The end that a result asks for; of an error all causes are told.
pub(crate) fn of(result: Result<(), Box<dyn Error + Send + Sync>>) -> ExitCode {
    let Err(error) = result else { return Exit::Done.into() };
    let mut why = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        why.push_str(&format!(": {error}"));
        cause = error.source();
    }
    failed(why).into()
}

/// Tells what failed.
pub(crate) fn failed(what: impl fmt::Display) -> Exit {
    Failure::failed(what).end()
}

/// Writes to standard output. Whoever reads may leave when they have read enough.
pub(crate) fn print(text: &[u8]) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failed(error),
        _ => Exit::Done,
    }
}

/// A line for the user, beside the output.
pub(crate) fn tell(what: impl fmt::Display) {
    // Where nobody listens there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "headroom: {what}");
}
