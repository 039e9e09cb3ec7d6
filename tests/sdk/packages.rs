//! The SDKs, installed once for each state of their manifests, under `target`.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A language whose SDKs are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Node,
}

const REQUIREMENTS: &str = include_str!("python/requirements.txt");
const PACKAGE: &str = include_str!("node/package.json");
const LOCK: &str = include_str!("node/package-lock.json");

impl Language {
    /// The command that runs this language's driver; `None`, said aloud, if it cannot be had.
    pub(crate) fn driver(self) -> Option<Command> {
        static INSTALLED: [OnceLock<Result<PathBuf, String>>; 2] = [OnceLock::new(), OnceLock::new()];
        let place = match INSTALLED[self as usize].get_or_init(|| self.install()) {
            Ok(place) => place,
            Err(why) => {
                assert!(std::env::var_os("HEADROOM_SDKS").is_none(), "{self:?} is required: {why}");
                // Past the test harness, which keeps what passing tests print to itself.
                let _ = writeln!(std::io::stderr(), "SKIPPED: the official SDKs for {self:?}: {why}");
                return None;
            }
        };
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        let mut command;
        match self {
            Self::Python => {
                command = Command::new(place.join("bin/python"));
                command.arg(here.join("python/drive.py"));
            }
            Self::Node => {
                command = Command::new("node");
                command.arg(here.join("node/drive.mjs"));
            }
        }
        command.current_dir(place);
        Some(command)
    }

    fn install(self) -> Result<PathBuf, String> {
        let manifest = match self {
            Self::Python => REQUIREMENTS,
            Self::Node => LOCK,
        };
        let name = format!("sdk-{self:?}-{}", &blake3::hash(manifest.as_bytes()).to_hex()[..12]);
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name.to_lowercase());
        let ready = place.join(".ready");
        if ready.exists() {
            return Ok(place);
        }
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).map_err(|error| error.to_string())?;
        match self {
            Self::Python => {
                run(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
                let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk/python/requirements.txt");
                let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
                run(Command::new(place.join("bin/python")).args(pip).arg(list))?;
            }
            Self::Node => {
                for (file, text) in [("package.json", PACKAGE), ("package-lock.json", LOCK)] {
                    fs::write(place.join(file), text).map_err(|error| error.to_string())?;
                }
                let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
                run(Command::new("npm").args(arguments).current_dir(&place))?;
            }
        }
        fs::write(ready, "").map_err(|error| error.to_string())?;
        Ok(place)
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
