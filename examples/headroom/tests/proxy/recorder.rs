//! Every socket that a process asks the kernel for, from its first instruction to its last, by strace.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use headroom_tests::packages;

/// What a process has done with sockets.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Families and kinds of all it made.
    pub(crate) made: BTreeSet<String>,
    /// Whom it spoke to, or tried to: connections and datagrams.
    pub(crate) spoke: BTreeSet<String>,
    /// Where it listened, or what it bound.
    pub(crate) bound: BTreeSet<String>,
    /// Ways around all this.
    pub(crate) other: BTreeSet<String>,
}

/// A command under the recorder, and its record.
pub(crate) struct Recorder(PathBuf);

impl Recorder {
    /// The same command, recorded; `None`, said aloud, where nothing can be traced.
    pub(crate) fn around(command: &Command, name: &str) -> Option<(Command, Self)> {
        let path = std::env::var_os("PATH")?;
        let found = std::env::split_paths(&path).map(|at| at.join("strace")).find(|file| file.is_file());
        let strace = packages::or_skip("strace", &found.ok_or_else(|| "it is not installed".to_owned()))?;
        let allowed = Command::new(&strace).args(["-qq", "-o", "/dev/null", "true"]).status().unwrap();
        if !allowed.success() {
            let _ = writeln!(std::io::stderr(), "SKIPPED: strace: nothing may be traced here");
            return None;
        }
        let file =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sockets-{name}-{}", std::process::id()));
        let mut recorded = Command::new(strace);
        let calls = "socket,connect,bind,sendto,sendmsg,sendmmsg,io_uring_setup,execve";
        // -D: the recorded program is our child, not the recorder.
        recorded.args(["-D", "-f", "-s", "300", "-o"]).arg(&file).args(["-e", &format!("trace={calls}")]);
        recorded.arg(command.get_program()).args(command.get_args()).env_clear();
        recorded.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Some((recorded, Self(file)))
    }

    /// What was recorded, once process `pid` has ended.
    pub(crate) fn seen(self, pid: u32) -> Seen {
        let start = Instant::now();
        let last = format!("{pid} +++ ");
        let record = loop {
            let record = fs::read_to_string(&self.0).unwrap();
            if record.lines().any(|line| line.replace("  ", " ").starts_with(&last)) {
                break record;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "no end of {pid}: {record}");
            std::thread::sleep(Duration::from_millis(5));
        };
        let _ = fs::remove_file(&self.0);
        read(&record)
    }
}

/// What stands between two marks.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

/// The address in a call's arguments, if there is one.
fn address(call: &str) -> Option<String> {
    let family = between(call, "sa_family=", ",").or_else(|| between(call, "sa_family=", "}"))?;
    Some(match family {
        "AF_INET" => {
            format!("{}:{}", between(call, "inet_addr(\"", "\"")?, between(call, "sin_port=htons(", ")")?)
        }
        "AF_INET6" => {
            format!("[{}]:{}", between(call, "AF_INET6, \"", "\"")?, between(call, "sin6_port=htons(", ")")?)
        }
        "AF_UNIX" => {
            format!("unix:{}", between(call, "sun_path=\"", "\"").or(between(call, "sun_path=@\"", "\""))?)
        }
        other => other.to_owned(),
    })
}

fn read(record: &str) -> Seen {
    let mut seen = Seen::default();
    let mut programs = 0;
    for line in record.lines() {
        let Some((_, call)) = line.trim_start().split_once(' ') else { continue };
        let call = call.trim_start();
        let Some((name, arguments)) = call.split_once('(') else { continue };
        match name {
            "socket" => {
                let kind = arguments.split([',', '|']).take(2).map(str::trim).collect::<Vec<_>>().join(" ");
                seen.made.insert(kind);
            }
            "bind" => {
                seen.bound.insert(address(call).unwrap_or_else(|| call.to_owned()));
            }
            "connect" => {
                seen.spoke.insert(address(call).unwrap_or_else(|| call.to_owned()));
            }
            // On a socket that is connected there is no address.
            "sendto" | "sendmsg" | "sendmmsg" => seen.spoke.extend(address(call)),
            "io_uring_setup" => {
                seen.other.insert(call.to_owned());
            }
            "execve" => programs += 1,
            _ => {}
        }
    }
    if programs != 1 {
        seen.other.insert(format!("{programs} programs"));
    }
    seen
}

#[test]
fn a_record_is_read() {
    let seen = read(concat!(
        "7 execve(\"/x\", [\"/x\"], 0x1 /* 2 vars */) = 0\n",
        "7     socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, IPPROTO_IP) = 3\n",
        "7 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr(\"10.0.0.1\")}, 16 <unfinished ...>\n",
        "7 <... connect resumed>) = 0\n",
        "8 socket(AF_INET6, SOCK_DGRAM, IPPROTO_IP) = 4\n",
        "8 sendto(4, \"x\", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, \"fe80::1\", &sin6_addr), sin6_scope_id=0}, 28) = 1\n",
        "8 sendto(3, \"hello\", 5, MSG_NOSIGNAL, NULL, 0) = 5\n",
        "8 connect(5, {sa_family=AF_UNIX, sun_path=\"/run/x\"}, 110) = -1 ENOENT (No such file or directory)\n",
        "8 bind(9, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0\n",
        "7 +++ exited with 0 +++\n",
    ));
    let set = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(seen.made, set(&["AF_INET SOCK_STREAM", "AF_INET6 SOCK_DGRAM"]));
    assert_eq!(seen.spoke, set(&["10.0.0.1:443", "[fe80::1]:53", "unix:/run/x"]));
    assert_eq!(seen.bound, set(&["127.0.0.1:0"]));
    assert_eq!(seen.other, set(&[]));
    assert_eq!(read("7 execve(\"/x\") = 0\n8 execve(\"/y\") = 0\n").other, set(&["2 programs"]));
}
