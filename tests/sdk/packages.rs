//! The languages whose SDKs are driven.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use headroom_tests::packages;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Node,
}

impl Language {
    /// The command that runs this language's driver; `None`, said aloud, if it cannot be had.
    pub(crate) fn driver(self) -> Option<Command> {
        static INSTALLED: [OnceLock<Result<PathBuf, String>>; 2] = [OnceLock::new(), OnceLock::new()];
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        let target = env!("CARGO_TARGET_TMPDIR");
        let installed = INSTALLED[self as usize].get_or_init(|| match self {
            Self::Python => packages::python(target, &here.join("python/requirements.txt")),
            Self::Node => packages::node(target, &here.join("node")),
        });
        let place = packages::or_skip(&format!("the official SDKs for {self:?}"), installed)?;
        let (program, script) = match self {
            Self::Python => (place.join("bin/python"), "python/drive.py"),
            Self::Node => (PathBuf::from("node"), "node/drive.mjs"),
        };
        let mut command = Command::new(program);
        command.arg(here.join(script)).current_dir(place);
        Some(command)
    }
}
