//! Files and probes of a corpus.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The kinds of content that `quality` measures: the folders below its corpus.
pub(crate) const KINDS: [&str; 6] = ["json", "logs", "code", "search", "diffs", "prose"];

/// A fact that must still be found in a file, or in a request cut from it.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) query: String,
    pub(crate) must_keep: Vec<String>,
    pub(crate) family: String,
    /// For bodies: the number of messages of the request it belongs to.
    pub(crate) upto: Option<usize>,
}

/// Probes by the canonical path of their file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probes(BTreeMap<PathBuf, Vec<Probe>>);

impl Probes {
    /// Reads `file`, or the nearest `probes.jsonl` above `dir`; none if there is no such file.
    pub(crate) fn load(file: Option<&Path>, dir: &Path) -> io::Result<Self> {
        let found = match file {
            Some(file) => Some(file.to_owned()),
            None => dir
                .canonicalize()?
                .ancestors()
                .map(|dir| dir.join("probes.jsonl"))
                .find(|path| path.is_file()),
        };
        let Some(path) = found.map(|path| path.canonicalize()).transpose()? else {
            return Ok(Self::default());
        };
        let base = path.parent().unwrap_or(Path::new("."));
        let mut probes = Self::default();
        for line in io::BufReader::new(fs::File::open(&path)?).lines() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let value: Value = serde_json::from_str(&line)?;
            let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            let strings = value["must_keep"].as_array().map(Vec::as_slice).unwrap_or_default();
            let probe = Probe {
                query: text("query"),
                must_keep: strings.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                family: text("family"),
                upto: value["messages_upto"].as_u64().map(|upto| upto as usize),
            };
            let file = base.join(text("file"));
            probes.0.entry(file.canonicalize().unwrap_or(file)).or_default().push(probe);
        }
        Ok(probes)
    }

    /// The probes of `file`, in the order in which they are listed.
    pub(crate) fn of(&self, file: &Path) -> &[Probe] {
        let path = file.canonicalize();
        path.ok().and_then(|path| self.0.get(&path)).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Every UTF-8 file below `dir` with its text, sorted by path.
pub(crate) fn files(dir: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = String::from_utf8(fs::read(&path)?) {
                found.push((path, text));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_found_above_and_belong_to_their_file() {
        let root = std::env::temp_dir().join(format!("headroom-bench-{}", std::process::id()));
        let dir = root.join("dev/logs/deep");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("a.txt"), "hello").unwrap();
        fs::write(dir.join("b.bin"), [0xFF, 0xFE]).unwrap();
        let line = r#"{"file":"dev/logs/deep/a.txt","query":"q","must_keep":["hello"],"family":"f"}"#;
        fs::write(root.join("probes.jsonl"), format!("{line}\n\n")).unwrap();
        let probes = Probes::load(None, &root.join("dev/logs")).unwrap();
        let files = files(&root.join("dev")).unwrap();
        assert_eq!(files.len(), 1, "the other is not UTF-8");
        assert_eq!(probes.of(&files[0].0)[0].must_keep, ["hello"]);
        fs::remove_dir_all(root).unwrap();
    }
}
