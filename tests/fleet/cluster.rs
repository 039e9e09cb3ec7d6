//! Throw-away Postgres servers, made of the installed binaries.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// A database of its own for one test: in the server at `DATABASE_URL` if that is set, else in one
/// that all tests share.
pub(crate) async fn database() -> String {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("headroom_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
    let server = match std::env::var_os("DATABASE_URL") {
        Some(url) => url.into_string().unwrap(),
        None => {
            tokio::task::spawn_blocking(|| SHARED.get_or_init(|| Cluster::start(&[])).url()).await.unwrap()
        }
    };
    execute(&server, &format!("CREATE DATABASE {name}")).await;
    // The path stands between the authority and the parameters.
    let start = server.find("://").unwrap() + 3;
    let path = server[start..].find('/').map_or(server.len(), |at| start + at);
    let query = server.find('?').unwrap_or(server.len());
    format!("{}/{name}{}", &server[..path.min(query)], &server[query..])
}

/// Runs statements on a connection of their own.
pub(crate) async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}

/// A server with its own data, stopped and deleted when it or this process goes.
pub(crate) struct Cluster {
    root: PathBuf,
    settings: Vec<String>,
    wrapper: Option<Child>,
}

impl Cluster {
    /// A new server with these settings beside the defaults, as `name=value`.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_at(room(), settings)
    }

    /// The same in a directory that exists.
    pub(crate) fn start_at(root: PathBuf, settings: &[&str]) -> Self {
        give(&root);
        let data = root.join("data");
        run(plain(&binary("initdb")).args([
            "-D",
            path(&data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        ]));
        Self::over(root, settings)
    }

    fn over(root: PathBuf, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut cluster = Self { root, settings, wrapper: None };
        cluster.restart();
        cluster
    }

    /// A standby that follows `primary`; its commits wait for it once `synchronous_standby_names`
    /// says so.
    pub(crate) fn follow(primary: &Self, settings: &[&str]) -> Self {
        let root = room();
        give(&root);
        let data = root.join("data");
        run(plain(&binary("pg_basebackup")).args([
            "-D",
            path(&data),
            "-h",
            path(&primary.root),
            "-U",
            "postgres",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        ]));
        Self::over(root, settings)
    }

    /// Starts the server, which must not run.
    pub(crate) fn restart(&mut self) {
        // The wrapper outlives us by as much as it takes to clean up: our end of its input closes
        // however we end.
        const WRAPPER: &str = r#"root=$1; shift; "$@" >>"$root/log" 2>&1 & pid=$!
            read -r word; kill -QUIT $pid 2>/dev/null; wait $pid
            [ "$word" = keep ] || rm -rf "$root" 2>/dev/null"#;
        self.retire();
        let (root, data) = (path(&self.root).to_owned(), self.root.join("data"));
        let mut command = Command::new("sh");
        command.args(["-c", WRAPPER, "sh", &root]);
        let server = plain(&binary("postgres"));
        command.arg(server.get_program()).args(server.get_args());
        command.args(["-D", path(&data), "-k", &root, "-c", "listen_addresses=", "-c", "max_connections=60"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.wrapper = Some(command.stdin(Stdio::piped()).spawn().unwrap());
        for _ in 0..600 {
            let ready = plain(&binary("pg_isready")).args(["-q", "-h", &root, "-U", "postgres"]).status();
            if ready.unwrap().success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("Postgres does not start: {}", fs::read_to_string(self.root.join("log")).unwrap_or_default());
    }

    /// Ends a wrapper whose server is gone, and leaves the data.
    fn retire(&mut self) {
        if let Some(mut wrapper) = self.wrapper.take() {
            let _ = wrapper.stdin.take().unwrap().write_all(b"keep\n");
            let _ = wrapper.wait();
        }
    }

    /// Kills the server as a power cut would; its data stay.
    pub(crate) fn kill(&mut self) {
        let id = fs::read_to_string(self.root.join("data/postmaster.pid")).unwrap();
        let id = id.lines().next().unwrap().to_owned();
        run(Command::new("kill").args(["-9", &id]));
        self.retire();
        // Its children go once they notice; they work in its directory until then.
        let data = self.root.join("data");
        for _ in 0..600 {
            let works_there = |process: fs::DirEntry| {
                fs::read_link(process.path().join("cwd")).is_ok_and(|folder| folder == data)
            };
            if !fs::read_dir("/proc").unwrap().flatten().any(works_there) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        run(plain(&binary("pg_ctl")).args(["promote", "-w", "-D", path(&self.root.join("data"))]));
    }

    /// Where it listens.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The superuser's way in.
    pub(crate) fn url(&self) -> String {
        url_at(&self.root)
    }

    /// What it has written down besides its tables: log and write-ahead log.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.root.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    open.push(entry.path());
                } else if kind.is_file() {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut wrapper) = self.wrapper.take() {
            drop(wrapper.stdin.take());
            let _ = wrapper.wait();
        }
        // One that was killed has nobody else to clean up.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A way to the superuser of the server that listens in `folder`.
pub(crate) fn url_at(folder: &Path) -> String {
    format!("postgres://postgres@localhost/postgres?host={}", path(folder).replace('/', "%2F"))
}

/// Runs a command as the user that tests run as, by sudo where it takes root; whether it could.
pub(crate) fn as_root(command: &[&str]) -> bool {
    let done = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    done(Command::new(command[0]).args(&command[1..])) || done(Command::new("sudo").arg("-n").args(command))
}

/// Points `link` at a server's directory; a client that connects through it moves with it.
pub(crate) fn point(link: &Path, cluster: &Cluster) {
    let next = link.with_extension("next");
    let _ = fs::remove_file(&next);
    symlink(cluster.root(), &next).unwrap();
    fs::rename(&next, link).unwrap();
}

/// A new directory that the server's user can enter.
pub(crate) fn room() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("headroom-pg-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
    let room = std::env::temp_dir().join(name);
    fs::create_dir_all(&room).unwrap();
    fs::set_permissions(&room, fs::Permissions::from_mode(0o755)).unwrap();
    room
}

/// Postgres does not run as root; then it runs as the user of its package, or as nobody.
fn user() -> Option<&'static str> {
    static USER: OnceLock<Option<&'static str>> = OnceLock::new();
    *USER.get_or_init(|| {
        let id = |of: &[&str]| Command::new("id").arg("-u").args(of).output().unwrap();
        if id(&[]).stdout.trim_ascii() != b"0" {
            return None;
        }
        Some(if id(&["postgres"]).status.success() { "postgres" } else { "nobody" })
    })
}

/// Makes a file or a folder the server's own.
pub(crate) fn give(folder: &Path) {
    if let Some(user) = user() {
        run(Command::new("chown").args([user, path(folder)]));
    }
}

/// `program`, as a plain user.
fn plain(program: &Path) -> Command {
    let Some(user) = user() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--clear-groups", "--"]).arg(program).current_dir("/");
    if user == "nobody" {
        command = Command::new("setpriv");
        command
            .args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"])
            .arg(program)
            .current_dir("/");
    }
    command
}

/// An installed program of Postgres: where Debian keeps it, the latest version; else on the path.
fn binary(name: &str) -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin").join(name)))
        })
        .filter(|(_, path)| path.exists())
        .collect();
    versions.sort();
    versions.pop().map_or_else(|| PathBuf::from(name), |(_, path)| path)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(command: &mut Command) {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (is postgresql installed?)"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The rows of a table that a connection sees.
pub(crate) async fn rows(connection: &mut PgConnection, table: &str) -> i64 {
    let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

/// This test binary once more, as another process that runs only the test called `name`, which
/// finds `argument` by [`argument`].
pub(crate) fn process_command(name: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(ARGUMENT, argument);
    command
}

const ARGUMENT: &str = "HEADROOM_FLEET";

/// What [`process`] passed on; `None` in the tests' own process.
pub(crate) fn argument() -> Option<String> {
    std::env::var_os(ARGUMENT).map(|text| text.into_string().unwrap())
}
