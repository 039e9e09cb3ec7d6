//! What is released: how much it depends on, under which licences, from where, and for which compiler.
//! `deny.toml` says more, for those who have cargo-deny.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and their helpers")]

mod readme;

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

const LIBRARIES: [&str; 2] = ["headroom-engine", "headroom-tower"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What building the libraries needs: `name vVERSION`.
fn tree(more: &[&str]) -> BTreeSet<String> {
    let mut arguments = vec!["tree", "--locked", "--prefix=none", "--edges=normal,build", "--format={p}"];
    LIBRARIES.iter().for_each(|library| arguments.extend(["--package", library]));
    arguments.extend(more);
    let words = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    cargo(&arguments).lines().filter(|line| !line.is_empty()).map(words).collect()
}

fn packages() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--locked", "--format-version=1"]);
    let mut metadata: Value = serde_json::from_str(&metadata).unwrap();
    serde_json::from_value(metadata["packages"].take()).unwrap()
}

#[test]
fn a_default_build_is_at_most_120_crates() {
    let crates = tree(&[]);
    assert!(crates.len() <= 120, "{} crates: {crates:#?}", crates.len());
    assert!(crates.len() > 20, "the list is read wrong: {crates:?}");
    let stated = format!("A default build of both libraries is {} crates", crates.len());
    assert!(page("README.md").contains(&stated), "README.md: {stated}");
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Each is a row of the table on its crate's page.
#[test]
fn every_feature_is_told_of() {
    for library in LIBRARIES {
        let manifest = page(&format!("{library}/Cargo.toml"));
        let features = manifest.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
        let names = features.lines().filter(|line| !line.starts_with('#'));
        let names: Vec<&str> = names.filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
        assert!(names.len() > 3, "{library}: {names:?}");
        let told = page(&format!("{library}/src/lib.rs"));
        for name in names.into_iter().filter(|name| *name != "default") {
            assert!(told.contains(&format!("//! | `{name}`")), "{library} does not tell of {name}");
        }
    }
}

#[test]
fn every_example_is_in_the_list() {
    let list = page("examples/README.md");
    for entry in fs::read_dir(root().join("examples")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let is_one = entry.path().join("Cargo.toml").exists();
        assert!(!is_one || list.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn the_libraries_choose_no_tls() {
    for name in tree(&["--all-features", "--target=all"]) {
        let name = name.split(' ').next().unwrap();
        let tls =
            ["rustls", "native-tls", "openssl-sys", "ring", "aws-lc-rs", "schannel", "security-framework"];
        assert!(!tls.contains(&name), "{name}");
    }
}

/// The compiler that the libraries say they need is enough for all that they depend on.
#[test]
fn the_stated_compiler_is_enough() {
    let packages = packages();
    let stated = packages.iter().find(|package| package["name"] == "headroom-tower").unwrap();
    let stated = version(stated["rust_version"].as_str().unwrap());
    let needed = tree(&["--all-features", "--target=all"]);
    let mut compared = 0;
    for package in &packages {
        let name = format!("{} v{}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        if let Some(asked) = package["rust_version"].as_str().filter(|_| needed.contains(&name)) {
            assert!(version(asked) <= stated, "{name} asks for {asked}");
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared} were compared");
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap_or(0))
}

#[test]
fn all_comes_from_one_registry_under_permissive_licences() {
    let mut registries = BTreeSet::new();
    for package in packages() {
        let name = &package["name"];
        if let Some(source) = package["source"].as_str() {
            assert!(source.starts_with("registry+"), "{name}: {source}");
            registries.insert(source.to_owned());
        }
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} names no licence"));
        assert!(permitted(licence), "{name}: {licence}");
    }
    assert_eq!(registries.len(), 1, "{registries:?}");
}

/// Whether what `deny.toml` allows satisfies a licence expression.
fn permitted(expression: &str) -> bool {
    let deny = fs::read_to_string(root().join("deny.toml")).unwrap();
    let list = deny.split("allow = [").nth(1).unwrap().split(']').next().unwrap();
    let allowed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let granted = any(&mut words, &allowed);
    assert!(words.peek().is_none(), "not understood: {expression}");
    granted
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut granted = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        granted |= all(words, allowed);
    }
    granted
}

fn all(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut granted = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        granted &= one(words, allowed);
    }
    granted
}

fn one(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let granted = any(words, allowed);
        assert_eq!(words.next(), Some(")"));
        return granted;
    }
    let mut licence = words.next().unwrap().to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next().unwrap());
    }
    allowed.contains(&licence.as_str())
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    assert!(permitted("GPL-3.0 OR MIT") && permitted("MIT/Apache-2.0"));
    assert!(permitted("(MIT OR GPL-3.0) AND Unicode-3.0"));
    assert!(!permitted("MIT AND GPL-3.0") && !permitted("GPL-3.0"));
}

#[test]
fn each_library_brings_its_licences_and_its_pages() {
    for library in LIBRARIES {
        let packed = cargo(&["package", "--list", "--allow-dirty", "--locked", "--package", library]);
        let packed: BTreeSet<&str> = packed.lines().map(|line| line.trim()).collect();
        for file in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "src/lib.rs", "src/docs.rs"] {
            assert!(packed.contains(file), "{library} lacks {file}");
        }
        assert!(
            packed.iter().any(|file| file.replace('\\', "/").starts_with("docs/")),
            "{library}: {packed:?}"
        );
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let read = |path: &Path| fs::read_to_string(path.join(licence)).unwrap();
            assert_eq!(read(root()), read(&root().join(library)), "{library}: another {licence}");
        }
    }
}

/// Windows builds what Unix builds.
#[test]
fn the_libraries_hold_nothing_that_only_unix_has() {
    for library in LIBRARIES {
        let mut left = vec![root().join(library).join("src")];
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                for word in ["std::os::", "cfg(unix)", "libc::", "tokio::signal", "UnixStream"] {
                    assert!(!text.contains(word), "{word} in {}", path.display());
                }
            }
        }
    }
}
