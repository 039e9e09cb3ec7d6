//! Packages of other languages, installed once for each state of their manifests.
//!
//! Python, Node and their registries may be missing: what cannot be had is skipped aloud, or fails
//! where `HEADROOM_PACKAGES=required`.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// A virtual environment under `target` with what `requirements` names.
///
/// # Errors
/// What cannot be had, and why.
pub fn python(target: &str, requirements: &Path) -> Result<PathBuf, String> {
    once(target, "python", requirements, |place| {
        run(Command::new("python3").args(["-m", "venv"]).arg(place))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(place.join("bin/python")).args(pip).arg(requirements))
    })
}

/// A directory under `target` with the `node_modules` that the `package-lock.json` in `manifests`
/// names. No package's own scripts are run.
///
/// # Errors
/// What cannot be had, and why.
pub fn node(target: &str, manifests: &Path) -> Result<PathBuf, String> {
    once(target, "node", &manifests.join("package-lock.json"), |place| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(manifests.join(file), place.join(file)).map_err(|error| error.to_string())?;
        }
        let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
        run(Command::new("npm").args(arguments).current_dir(place))
    })
}

/// What was installed; `None`, said aloud, if it could not be.
///
/// # Panics
/// If it could not be where it is required.
#[must_use]
pub fn or_skip(what: &str, installed: &Result<PathBuf, String>) -> Option<PathBuf> {
    match installed {
        Ok(place) => Some(place.clone()),
        Err(why) => {
            assert!(std::env::var_os("HEADROOM_PACKAGES").is_none(), "{what}: {why}");
            // Past the test harness, which keeps what passing tests print to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {why}");
            None
        }
    }
}

fn once(
    target: &str,
    language: &str,
    manifest: &Path,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let text = fs::read(manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let place =
        Path::new(target).join(format!("packages-{language}-{}", &blake3::hash(&text).to_hex()[..12]));
    // Programs of a virtual environment name the place where it was made.
    let (ready, here) = (place.join(".ready"), place.to_string_lossy().into_owned());
    if fs::read_to_string(&ready).ok().as_ref() != Some(&here) {
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).map_err(|error| error.to_string())?;
        install(&place)?;
        fs::write(ready, here).map_err(|error| error.to_string())?;
    }
    Ok(place)
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
