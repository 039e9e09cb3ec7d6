//! Flags, environment and file.

use std::{fs, path::PathBuf};

use crate::bed::{TOKEN, command};

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

fn run(command: &mut std::process::Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn flags_come_before_the_environment_and_that_before_the_file() {
    let path = file("order.toml", &format!("port = 1\nrecent = 2\nmode = \"exact\"\ntoken = \"{TOKEN}\"\n"));
    let mut printed = command(&["--print-config", "--port", "5", "--config", path.to_str().unwrap()]);
    let (code, text, _) = run(printed.env("HEADROOM_PORT", "4").env("HEADROOM_RECENT", "3"));
    assert_eq!(code, Some(0));
    for line in ["port = 5", "recent = 3", "mode = \"exact\"", "token = \"…\"", "# backend ="] {
        assert!(text.lines().any(|it| it == line), "no {line:?} in {text}");
    }
    assert!(!text.contains(TOKEN));
    // What is printed is a file for --config.
    let again = file("again.toml", &text);
    let (code, _, why) = run(&mut command(&["--print-config", "--config", again.to_str().unwrap()]));
    assert_eq!(code, Some(0), "{why}");
}

#[test]
fn what_cannot_work_is_said_at_start_without_secrets() {
    let unknown = file("unknown.toml", &format!("tokne = \"{TOKEN}\"\n"));
    let store = format!("mysql://user:{TOKEN}@host/db");
    for (arguments, word) in [
        (vec!["--config", unknown.to_str().unwrap()], "tokne"),
        (vec!["--config", "/no/such/file"], "/no/such/file"),
        (vec!["--backend", "vertex"], "--region"),
        (vec!["--backend", "litellm-"], "provider"),
        (vec!["--backend", "nobody"], "one of anthropic"),
        (vec!["--backend", "openai", "--backend-url", "http://h"], "--backend-url"),
        (vec!["--openai-target-api-url", "http://user:hush@host"], "credentials"),
        (vec!["--store", &store], "postgres://"),
        (vec!["--mode", "fast"], "exact"),
        (vec!["--https-proxy", "http://h", "--no-proxy", "10.0.0.0/99"], "NO_PROXY"),
    ] {
        let (code, _, why) = run(&mut command(&arguments));
        assert_eq!(code, Some(2), "{arguments:?}: {why}");
        assert!(why.contains(word) && !why.contains(TOKEN), "{arguments:?}: {why}");
    }
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    let (_, help, _) =
        run(command(&["--help"]).env("HEADROOM_TOKEN", TOKEN).env("HEADROOM_STORE", "postgres://hush"));
    assert!(
        help.contains("HEADROOM_TOKEN") && !help.contains(TOKEN) && !help.contains("postgres://hush"),
        "{help}"
    );
}
