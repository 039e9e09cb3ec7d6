//! How the program ends.

use std::process::ExitCode;

/// What the program's end says. What is wrong with the command line (2) is told by the argument parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All was done; also where there was nothing to save.
    Done = 0,
    /// A file, a socket, a store or a proxy failed.
    Failed = 1,
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

/// The end that a result asks for.
pub(crate) fn of<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    result.map_or_else(failed, |()| Exit::Done).into()
}

/// Tells what failed.
pub(crate) fn failed(what: impl std::fmt::Display) -> Exit {
    tell(what);
    Exit::Failed
}

/// A line for the user, beside the output.
pub(crate) fn tell(what: impl std::fmt::Display) {
    use std::io::Write as _;
    // Where nobody listens there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "headroom: {what}");
}
