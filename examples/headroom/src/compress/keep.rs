//! Originals in a file: a line of JSON each, handle, kind and text.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use headroom_engine::Originals;
use serde::{Deserialize, Serialize};

use crate::text::texts;

/// One line of the file.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Line {
    pub(crate) handle: String,
    pub(crate) kind: String,
    pub(crate) text: String,
}

/// The file, open at its end.
#[derive(Debug)]
pub(crate) struct Keep(File);

impl Keep {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        // They are whatever the tools returned.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path).map(Self)
    }

    pub(crate) fn all(&mut self, originals: &Originals) -> io::Result<()> {
        let mut lines = String::new();
        for (handle, kind, text) in texts(originals) {
            let text = String::from_utf8_lossy(&text).into_owned();
            let line = Line { handle: handle.to_string(), kind: kind.to_owned(), text };
            lines.push_str(&serde_json::to_string(&line)?);
            lines.push('\n');
        }
        self.0.write_all(lines.as_bytes())
    }
}
