//! Where what became of the inputs goes.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::named;

/// Standard output, or a directory.
#[derive(Debug)]
pub(super) struct Output(Option<PathBuf>);

impl Output {
    /// # Errors
    /// If two inputs would be one file there, or an input would overwrite itself: nothing was written yet.
    pub(super) fn new(into: Option<PathBuf>, files: &[PathBuf]) -> Result<Self, String> {
        let Some(into) = into else { return Ok(Self(None)) };
        let mut taken: HashMap<&OsStr, &Path> = HashMap::new();
        for file in files {
            let to = into.join(name(file));
            if to.canonicalize().ok().is_some_and(|to| file.canonicalize().is_ok_and(|file| file == to)) {
                return Err(format!("--into: {} would overwrite itself", file.display()));
            }
            if let Some(other) = taken.insert(name(file), file) {
                let (one, two, to) = (other.display(), file.display(), to.display());
                return Err(format!("--into: {one} and {two} would both be {to}"));
            }
        }
        Ok(Self(Some(into)))
    }

    /// Writes what became of `file`.
    pub(super) fn write(&self, file: &Path, body: &[u8]) -> io::Result<()> {
        let Some(into) = &self.0 else {
            let mut out = io::stdout().lock();
            out.write_all(body)?;
            return out.flush();
        };
        fs::create_dir_all(into).map_err(|error| named(into, &error))?;
        let to = into.join(name(file));
        fs::write(&to, body).map_err(|error| named(&to, &error))
    }
}

/// What an input is called in a directory.
fn name(file: &Path) -> &OsStr {
    file.file_name().filter(|name| *name != "-").unwrap_or("stdin".as_ref())
}
