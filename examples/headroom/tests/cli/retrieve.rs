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
    for handle in ["123456789012345678901234567890", "12", "none"] {
        let output = run(&["retrieve", handle], b"");
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        assert!(output.stdout.is_empty() && stderr(&output).contains("Error"), "{}", stderr(&output));
    }
}

#[test]
fn a_proxy_that_is_not_there_is_a_failure() {
    let handle = "123456789012345678901234567890";
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&["retrieve", handle, "--proxy", &format!("http://{gone}")], b"");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot be reached"), "{}", stderr(&output));
    for wrong in ["localhost:1", "ftp://x", ""] {
        let output = run(&["retrieve", handle, "--proxy", wrong], b"");
        assert_eq!(output.status.code(), Some(1), "{wrong}: {}", stderr(&output));
    }
}
