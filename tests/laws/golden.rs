//! Golden bytes: what fixed requests become. They change only with the engine's output version.
//!
//! `cargo test -p headroom-tests --test laws -- golden write-golden-bytes` writes them anew, and
//! nothing else does.

use std::path::{Path, PathBuf};

use headroom_engine::{Dialect, Engine, Policy};
use headroom_tests::{
    generate::{
        Call, Content, Part, Talk, Turn,
        content::{Kind, output},
    },
    json::{Json, Space, Spelling, object},
    places::DIALECTS,
};

use crate::{
    byte::align_rewrite,
    harness::{Crew, eager, engine, rewrite, spell},
    prefix::one_result,
};

/// Given as one more filter, it makes this test write what it would compare.
const WRITE: &str = "write-golden-bytes";

/// Every kind of output, one a turn; some elided, some exact, some kept.
fn kinds() -> Talk {
    let mut talk = one_result("");
    talk.system = vec!["Be brief.".into(), "[~lines 1-2] is how you see what was left out.".into()];
    talk.turns.truncate(1);
    for (at, kind) in Kind::ALL.into_iter().enumerate() {
        let seed = u32::try_from(at).unwrap_or_default();
        let call = |content, is_error| Call {
            name: "read_file".into(),
            arguments: object([("path", format!("row {at:04}").into())]),
            content,
            is_error,
        };
        let calls = vec![
            call(Content::Text(output(kind, seed, 36)), false),
            call(Content::Parts(vec![Part::Text(output(kind, seed + 20, 8)), Part::Image]), at % 2 == 0),
        ];
        let says = Some(format!("Now {kind:?}."));
        talk.turns.push(Turn::Model { thinks: at % 3 == 0, says, calls, adds: None });
    }
    talk
}

/// A spelling between the common ones.
const MIXED: Spelling = Spelling { space: Space::Single, ascii: true, slash: true, ..Spelling::COMPACT };

/// The name, the dialect, the request, and how it is treated.
fn inputs() -> Vec<(String, Dialect, String, Policy)> {
    let mut inputs = Vec::new();
    for dialect in DIALECTS {
        let mut add = |name: &str, body: String, policy: Policy| {
            inputs.push((format!("{}.{name}", dialect.name()), dialect, body, policy));
        };
        let body = spell(dialect, &kinds(), Spelling::COMPACT);
        add("kinds", body.clone(), eager());
        add("kinds-exact", body, Policy::exact());
        add("spelled-otherwise", spell(dialect, &kinds(), MIXED), eager());
        let mut odd = kinds();
        odd.tools = None;
        odd.extra =
            vec![("x".into(), Json::Raw("[1.0, -0, 1E400]".into())), ("x".into(), Json::Raw("2".into()))];
        add("no-tools", spell(dialect, &odd, Spelling::COMPACT), Policy::default());
    }
    inputs
}

fn path(crew: Crew, name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("laws/golden");
    folder.join(match crew {
        Crew::BuiltIn => format!("{name}.json"),
        Crew::Doubles => format!("{name}.doubles.json"),
    })
}

fn default_engine(crew: Crew) -> Engine {
    match crew {
        Crew::BuiltIn => Engine::new(),
        Crew::Doubles => engine(crew).0,
    }
}

#[test]
fn golden_bytes_are_the_same_on_every_run_and_thread_count() {
    let write = std::env::args().any(|argument| argument == WRITE);
    for (name, dialect, body, policy) in inputs() {
        let doubles = name.ends_with(".kinds").then_some(Crew::Doubles);
        for crew in doubles.into_iter().chain([Crew::BuiltIn]) {
            let path = path(crew, &name);
            let out = rewrite(&default_engine(crew), dialect, &body, &policy);
            align_rewrite(dialect, &body, &out);
            if write {
                std::fs::write(&path, &out.body).expect("golden bytes written");
            }
            let golden = std::fs::read(&path).expect("golden bytes");
            assert!(golden == out.body, "{name} {crew:?}: raise the output version, then write them anew");
            for threads in [2, 8] {
                let shared = default_engine(crew);
                std::thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| {
                            assert!(rewrite(&shared, dialect, &body, &policy).body == golden, "{name}");
                        });
                    }
                });
            }
        }
    }
}
