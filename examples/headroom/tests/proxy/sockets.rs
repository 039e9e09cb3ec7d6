//! Every socket that the process opens: only to the upstream that was configured.

use std::{collections::BTreeSet, fs, net::SocketAddr, thread, time::Duration};

use headroom_tests::{
    Dialect,
    client::Dialogue,
    fixtures,
    provider::{Asker, Provider, Question, Replay},
};

use crate::bed::{Proxy, within};

/// The sockets of a process: what kind, and whom it talks to.
fn sockets(pid: u32) -> BTreeSet<(String, String, String)> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let own: BTreeSet<String> = links
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut found = BTreeSet::new();
    for kind in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{kind}")).unwrap_or_default();
        for row in table.lines().skip(1) {
            let fields: Vec<&str> = row.split_whitespace().collect();
            if fields.len() > 9 && own.contains(fields[9]) {
                found.insert((kind.to_owned(), fields[1].to_owned(), fields[2].to_owned()));
            }
        }
    }
    found
}

/// As the kernel writes it.
fn written(address: &str) -> String {
    let address: SocketAddr = address.trim_start_matches("http://").parse().unwrap();
    format!("0100007F:{:04X}", address.port())
}

#[tokio::test]
async fn only_the_configured_upstream_is_talked_to() {
    let replay = Replay::new([fixtures::named("red-jobs.openai")]).delta(400);
    let asker = Asker::new(replay, |turn| (turn == 2).then_some(Question::Whole));
    let provider = Provider::start(asker).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let (own, upstream) = (written(&proxy.url), written(&provider.url()));

    // All the while, some hundred times a second.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let pid = proxy.pid();
    let watch = thread::spawn(move || {
        let mut seen = sockets(pid);
        while stopped.recv_timeout(Duration::from_millis(5))
            == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            seen.extend(sockets(pid));
        }
        seen
    });
    let conversation = fixtures::named("red-jobs.openai");
    let mut dialogue = Dialogue::new(&conversation).streamed();
    while let Some(body) = dialogue.request() {
        dialogue.answered(&within(proxy.ask(Dialect::OpenAi, body)).await.unwrap());
    }
    // The last connection is kept for the next request: one look that cannot miss it.
    let kept = sockets(pid);
    for path in ["/stats", "/metrics", "/readyz"] {
        assert_eq!(proxy.get(path).await.0, 200);
    }
    drop(stop);
    let mut seen = watch.join().unwrap();
    seen.extend(kept);
    assert!(seen.iter().any(|(_, _, peer)| *peer == upstream), "the upstream was seen: {seen:?}");
    for (kind, local, peer) in &seen {
        assert_eq!(kind, "tcp", "{seen:?}");
        assert!(*peer == upstream || *local == own, "a socket to {peer} from {local}: {seen:?}");
    }
}
