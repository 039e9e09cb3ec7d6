//! `headroom compress`.

use serde_json::Value;

use crate::bed::{Room, headroom, log, request, run, stderr};

#[test]
fn a_log_from_stdin_is_one_tool_result() {
    let log = log(3000);
    let output = run(&["compress"], log.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.len() < log.len() / 2, "{} of {}", text.len(), log.len());
    assert!(text.contains("ERROR") && text.contains("lost its lease"), "{text:.2000}");
    let report = stderr(&output);
    assert!(report.contains("stdin text: ") && report.contains("originals left out"), "{report}");
    assert!(!report.contains('\u{1b}'), "colours where there is no terminal");
}

#[test]
fn exact_leaves_nothing_out() {
    let output = run(&["compress", "--exact", "--json"], log(3000).as_bytes());
    let report: Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!(report["handles"].as_array().unwrap().len(), 0);
    assert_eq!(report["blocks"][0]["outcome"], "exact");
    assert!(!String::from_utf8(output.stdout).unwrap().contains("[~lines"));
}

#[test]
fn a_request_becomes_what_the_layer_would_send() {
    let body = request(&log(3000));
    let output = run(&["compress", "--json"], body.as_bytes());
    let report: Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!(report["input"], "anthropic-messages");
    assert_eq!(report["bytes_in"], body.len());
    assert_eq!(report["bytes_out"], output.stdout.len());
    assert!(
        report["tokens_saved"].as_u64() > Some(10_000) && report["tool_tokens"].as_u64() > Some(0),
        "{report}"
    );
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sent["tools"][1]["name"], "retrieve_original_content");
    assert_eq!(sent["messages"][2]["content"][1]["content"], "Sun Nov 22");

    let context = headroom_engine::RequestContext::new(headroom_engine::Dialect::AnthropicMessages);
    let scanned = headroom_engine::Engine::new().scan(body.into_bytes().into(), &context).unwrap();
    let rewrite = scanned.rewrite(&headroom_engine::Policy::default(), &[]);
    assert_eq!(output.stdout, rewrite.body);
}

#[test]
fn messages_stay_messages() {
    let whole: Value = serde_json::from_str(&request(&log(1000))).unwrap();
    let output =
        run(&["compress", "--json", "--model", "claude-opus-5-5"], whole["messages"].to_string().as_bytes());
    let report: Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!(report["input"], "messages");
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sent.as_array().unwrap().len(), 3);
    assert!(output.stdout.len() < whole["messages"].to_string().len() / 2);
}

#[test]
fn every_block_is_explained() {
    let output = run(&["compress", "--explain"], request(&log(3000)).as_bytes());
    let said = stderr(&output);
    for part in
        ["elided", "partly left out", "hides bytes", "too short", "retrieval tool is listed", "log", "Bash"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    let coloured = headroom().args(["compress", "--explain"]).env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(stderr(&coloured).contains("\u{1b}["), "{}", stderr(&coloured));
}

#[test]
fn what_cannot_be_read_goes_out_as_it_came() {
    for (args, input) in [
        (&["compress"][..], &b"\xff\xfe not text"[..]),
        (&["compress", "--dialect", "anthropic"], b"{\"messages\":"),
        (&["compress", "--dialect", "messages"], b"plain"),
    ] {
        let output = run(args, input);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert_eq!(output.stdout, input);
        assert!(stderr(&output).contains("not "), "{}", stderr(&output));
    }
}

#[test]
fn nothing_is_nothing() {
    let output = run(&["compress"], b"");
    assert!(output.status.success() && output.stdout.is_empty(), "{}", stderr(&output));
}

#[test]
fn ends_as_the_table_says() {
    assert_eq!(run(&["compress", "/no/such/file"], b"").status.code(), Some(1));
    assert_eq!(run(&["compress", "--no-such-flag"], b"").status.code(), Some(2));
    assert_eq!(run(&[], b"").status.code(), Some(2));
    let help = run(&["compress", "--help"], b"");
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("Exit status:") && help.contains("4  nothing has this handle"), "{help}");
}

#[test]
fn files_go_into_a_directory() {
    let room = Room::new();
    let (one, two) = (room.file("one.log", log(2000)), room.file("two.json", "[1,2]"));
    let into = room.at("small");
    let output = run(&["compress", "--json", "--into", &into, &one, &two], b"");
    assert!(output.status.success() && output.stdout.is_empty(), "{}", stderr(&output));
    let reports: Vec<Value> =
        stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0]["file"], one);
    assert_eq!(std::fs::read_to_string(room.path().join("small/two.json")).unwrap(), "[1,2]");
    let small = std::fs::read(room.path().join("small/one.log")).unwrap();
    assert_eq!(reports[0]["bytes_out"], small.len());

    let over = run(&["compress", "--into", room.path().to_str().unwrap(), &one], b"");
    assert_eq!(over.status.code(), Some(2), "{}", stderr(&over));
    assert_eq!(std::fs::read_to_string(&one).unwrap(), log(2000));
}

#[test]
fn no_file_takes_the_place_of_another() {
    let room = Room::new();
    let (a, b, into) = (room.at("a"), room.at("b"), room.at("small"));
    for directory in [&a, &b] {
        std::fs::create_dir(directory).unwrap();
    }
    let files = [room.file("a/app.log", "one"), room.file("b/app.log", "two")];
    let output = run(&["compress", "--into", &into, &files[0], &files[1]], b"");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(files.iter().all(|file| stderr(&output).contains(file)), "{}", stderr(&output));
    assert!(!room.path().join("small").exists(), "nothing was written");
}

#[test]
fn one_that_is_missing_does_not_stop_the_others() {
    let room = Room::new();
    let (gone, odd, good) = (room.at("gone"), room.file("odd", b"\xff"), room.file("good", "hello"));
    let into = room.at("small");
    let output = run(&["compress", "--json", "--into", &into, &gone, &odd, &good], b"");
    assert_eq!(output.status.code(), Some(1), "the worst");
    let reports: Vec<Value> =
        stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.iter().map(|it| &it["file"]).collect::<Vec<_>>(), [&gone, &odd, &good]);
    assert!(reports[0]["error"].is_string() && reports[1]["error"].is_string(), "{reports:?}");
    assert_eq!(std::fs::read_to_string(room.path().join("small/good")).unwrap(), "hello");
    assert_eq!(std::fs::read(room.path().join("small/odd")).unwrap(), b"\xff");
}

#[test]
fn what_cannot_be_written_is_named() {
    let room = Room::new();
    let (file, place) = (room.file("a.log", "hello"), room.file("taken", ""));
    for arguments in [["--into", &place], ["--originals", room.path().to_str().unwrap()]] {
        let output = run(&["compress", arguments[0], arguments[1], &file], b"");
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(arguments[1]), "{}", stderr(&output));
    }
}
