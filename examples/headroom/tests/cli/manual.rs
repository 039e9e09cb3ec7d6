//! Help, completions, the man page, the demo.

use serde_json::Value;

use crate::bed::{run, stderr};

fn printed(args: &[&str]) -> String {
    let output = run(args, b"");
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn shells_are_completed() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = printed(&["completions", shell]);
        for word in ["compress", "mcp", "proxy", "explain"] {
            assert!(text.contains(word), "{word} for {shell}");
        }
    }
}

#[test]
fn the_man_page_holds_everything() {
    let page = printed(&["man"]);
    assert!(page.starts_with(".ie") && page.contains(".TH headroom 1"), "{page:.300}");
    for word in ["HEADROOM COMPRESS", "HEADROOM MCP", "HEADROOM RETRIEVE", "HEADROOM PROXY", "EXIT STATUS"] {
        assert!(page.contains(word), "{word}");
    }
}

#[test]
fn clients_are_told_how_to_be_set_up() {
    let help = printed(&["mcp", "--help"]);
    for client in ["claude mcp add", "Claude Desktop", "Cursor", "VS Code", "Codex"] {
        assert!(help.contains(client), "{client}");
    }
}

#[test]
fn the_demo_saves() {
    let figures: Value = serde_json::from_str(&printed(&["demo", "--json", "--only", "red-jobs"])).unwrap();
    let (direct, layered) = (&figures["direct"], &figures["layered"]);
    assert!(layered["tokens"].as_u64() < direct["tokens"].as_u64(), "{figures}");
    assert_eq!(figures["provider"]["refused"], 0);
    assert_eq!(figures["conversations"].as_array().unwrap().len(), 1);
}

#[test]
fn the_demo_says_what_it_cannot_do() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (arguments, status, word) in [
        (["--only", "nosuch"], 2, "red-jobs"),
        (["--upstream", "nowhere"], 2, "https://"),
        (["--upstream", &format!("http://{gone}")], 1, "refused"),
    ] {
        let output = run(&[&["demo"], &arguments[..]].concat(), b"");
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
}
