//! `headroom retrieve`.

use serde_json::Value;

use crate::bed::{Room, log, run, stderr};

#[test]
fn what_was_left_out_comes_back_byte_for_byte() {
    let room = Room::new();
    let log = log(3000);
    let (file, originals) = (room.file("app.log", &log), room.at("originals.jsonl"));
    let output = run(&["compress", "--json", "--originals", &originals, &file], b"");
    let report: Value = serde_json::from_str(&stderr(&output)).unwrap();
    let handles: Vec<&str> =
        report["handles"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert!(!handles.is_empty());
    let hidden = report["blocks"][0]["hidden"].as_array().unwrap();
    for handle in &handles {
        let raw = run(&["retrieve", handle, "--raw", "--originals", &originals], b"");
        assert!(raw.status.success(), "{}", stderr(&raw));
        let raw = String::from_utf8(raw.stdout).unwrap();
        assert!(log.contains(&raw));
        for place in hidden.iter().filter(|place| place["handle"] == **handle) {
            let range =
                place["from_byte"].as_u64().unwrap() as usize..place["to_byte"].as_u64().unwrap() as usize;
            assert!(raw.contains(&log[range]));
        }
    }
    // The first digits suffice, and a range is a range.
    let page = run(&["retrieve", &handles[0][..8], "--range", "2-3", "--originals", &originals], b"");
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(
        page.starts_with(&format!("#{}: ", handles[0])) && log.contains(page.lines().nth(1).unwrap()),
        "{page}"
    );
    let json = run(&["retrieve", handles[0], "--json", "--originals", &originals], b"");
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["text"].as_str().unwrap().starts_with('#'));
}

#[test]
fn nobody_knows_a_foreign_handle() {
    let room = Room::new();
    let file = room.file("none.jsonl", "");
    for (arguments, status, word) in [
        (&["123456789012345678901234567890"][..], 4, "no longer available"),
        (&["12345678"], 4, "no left-out text"),
        (&["12"], 2, "too short"),
        (&["none"], 2, "digits behind #"),
        (&["123456789012345678901234567890", "--range", "x"], 2, "57-98"),
    ] {
        let output = run(&[&["retrieve", "--originals", &file], arguments].concat(), b"");
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        assert!(output.stdout.is_empty() && stderr(&output).contains(word), "{}", stderr(&output));
        assert!(!stderr(&output).contains("Error:"), "{}", stderr(&output));
    }
}

#[test]
fn it_wants_to_know_where_to_look() {
    let output = run(&["retrieve", "123456789012345678901234567890"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--originals FILE, --proxy URL or --store URL"), "{}", stderr(&output));
    let room = Room::new();
    let file = room.file("kept.jsonl", "{\"handle\":\"1\"");
    let output = run(&["retrieve", "12345678", "--originals", &file], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("line 1 is none of"), "{}", stderr(&output));
}

/// As `| head` is.
#[test]
fn who_has_read_enough_is_no_failure() {
    use std::io::Read as _;
    let room = Room::new();
    let (file, originals) = (room.file("app.log", log(9000)), room.at("originals.jsonl"));
    let report = run(&["compress", "--json", "--originals", &originals, &file], b"");
    let report: Value = serde_json::from_str(&stderr(&report)).unwrap();
    let handle = report["handles"][0].as_str().unwrap();
    let arguments = ["retrieve", handle, "--raw", "--originals", &originals];
    let mut child = crate::bed::headroom().args(arguments).spawn().unwrap();
    let mut first = [0; 10];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && stderr(&output).is_empty(), "{}", stderr(&output));
}

#[test]
fn a_proxy_that_is_not_there_is_a_failure() {
    let handle = "123456789012345678901234567890";
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&["retrieve", handle, "--proxy", &format!("http://{gone}")], b"");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(told.contains("cannot be reached") && told.contains(&gone.to_string()), "{told}");
    for wrong in ["localhost:1", "ftp://x", ""] {
        let output = run(&["retrieve", handle, "--proxy", wrong], b"");
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", stderr(&output));
    }
}
