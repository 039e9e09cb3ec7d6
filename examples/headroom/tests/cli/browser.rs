//! Headless Chromium with hands: its debugging protocol over a pair of pipes.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use headroom_tests::packages;
use serde_json::{Value, json};

use crate::bed::Room;

/// Nothing that no test wants of a browser.
const FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --hide-scrollbars \
                     --disable-background-networking --disable-component-update --disable-sync";

/// One page of a browser that is killed when this is dropped.
pub(crate) struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    session: Option<String>,
    count: u64,
    /// What the page's console said.
    pub(crate) complaints: Vec<String>,
    _room: Room,
}

impl Browser {
    /// The one that is installed, if there is one; that there is none is said aloud.
    pub(crate) fn find() -> Option<Self> {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let path = std::env::var_os("PATH")?;
        let all = std::env::split_paths(&path).flat_map(|at| names.map(|name| at.join(name)));
        let found = all.into_iter().find(|file| file.is_file());
        let none = Err("no Chromium is installed".to_owned());
        packages::or_skip("the dashboard", &found.map_or(none, Ok)).map(|chromium| Self::start(&chromium))
    }

    fn start(chromium: &Path) -> Self {
        let room = Room::new();
        let pipes = [room.at("in"), room.at("out")];
        assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
        // The protocol is spoken at the descriptors 3 and 4.
        let join = r#"room=$1; shift; exec "$@" 3<"$room/in" 4>"$room/out""#;
        let child = Command::new("sh")
            .args(["-c", join, "sh", room.path().to_str().unwrap()])
            .arg(chromium)
            .args(FLAGS.split_whitespace())
            .arg(format!("--user-data-dir={}", room.at("profile")))
            .arg("--remote-debugging-pipe")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = OpenOptions::new().write(true).open(&pipes[0]).unwrap();
        let from = BufReader::new(File::open(&pipes[1]).unwrap());
        let (session, complaints) = (None, Vec::new());
        let mut browser = Self { child, to, from, session, count: 0, complaints, _room: room };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attach = json!({"targetId": target, "flatten": true});
        let session = browser.call("Target.attachToTarget", attach)["sessionId"].clone();
        browser.session = Some(session.as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Calls a method of the protocol; its result.
    #[expect(clippy::needless_pass_by_value, reason = "they are made for the call")]
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.count += 1;
        let mut message = json!({"id": self.count, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut line = Vec::new();
            self.from.read_until(0, &mut line).unwrap();
            assert_eq!(line.pop(), Some(0), "the browser is gone");
            let mut said: Value = serde_json::from_slice(&line).unwrap();
            if said["id"] == self.count {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].take();
            }
            if ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"]
                .contains(&said["method"].as_str().unwrap_or_default())
            {
                self.complaints.push(said["params"].to_string());
            }
        }
    }

    /// The value of an expression; a promise is waited for.
    pub(crate) fn eval(&mut self, script: &str) -> Value {
        let params = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let mut result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{script}: {result}");
        result["result"]["value"].take()
    }

    /// Waits until this is true, looking at every frame. It fails where it would hang.
    pub(crate) fn until(&mut self, condition: &str) {
        self.eval(&format!(
            "new Promise((done, fail) => {{ setTimeout(() => fail(new Error('it never is')), 60000); \
             const look = () => {condition} ? done() : requestAnimationFrame(look); look(); }})"
        ));
    }

    /// Opens a page and waits until it has asked for its figures.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.until("document.body && document.body.dataset.asked === 'yes'");
    }

    /// How wide the screen is, and which colours its user likes.
    pub(crate) fn screen(&mut self, width: u32, scheme: &str) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Presses a key and lets it go.
    pub(crate) fn press(&mut self, key: &str) {
        let (key, shift) = key.strip_prefix("Shift+").map_or((key, 0), |key| (key, 8));
        let (code, number, text) = match key {
            "Tab" => ("Tab".to_owned(), 9, ""),
            "Enter" => ("Enter".to_owned(), 13, "\r"),
            " " => ("Space".to_owned(), 32, " "),
            "End" => ("End".to_owned(), 35, ""),
            "Home" => ("Home".to_owned(), 36, ""),
            "ArrowLeft" => ("ArrowLeft".to_owned(), 37, ""),
            "ArrowRight" => ("ArrowRight".to_owned(), 39, ""),
            letter => {
                let upper = letter.to_uppercase();
                (format!("Key{upper}"), u32::from(upper.as_bytes()[0]), letter)
            }
        };
        for kind in [if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": code, "modifiers": shift,
                "windowsVirtualKeyCode": number});
            if kind == "keyDown" {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// A picture of the whole page, to be looked at.
    pub(crate) fn picture(&mut self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
        fs::create_dir_all(&folder).unwrap();
        let picture = self.call("Page.captureScreenshot", json!({"captureBeyondViewport": true}));
        let picture = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
