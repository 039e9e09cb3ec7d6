//! What the proxy is told: flags, then environment, then a file, one table for all three.

mod ambient;
mod backend;
mod base;
mod models;
mod print;
mod secret;
mod settings;

use std::{fmt, io, path::PathBuf, time::Duration};

pub(crate) use self::{
    ambient::{unknown, variable},
    backend::Backend,
    base::{Base, is_local},
    models::{Models, is_date},
    print::print,
    secret::Secret,
    settings::Settings,
};

/// Everything decided: what a running proxy needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) token: Option<Secret>,
    pub(crate) backend: Option<Backend>,
    pub(crate) backend_url: Option<Base>,
    pub(crate) anthropic: Option<Base>,
    pub(crate) openai: Option<Base>,
    pub(crate) gemini: Option<Base>,
    pub(crate) region: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) models: Models,
    pub(crate) backend_token: Option<Secret>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) https_proxy: Option<Secret>,
    pub(crate) no_proxy: String,
    pub(crate) store: Store,
    pub(crate) store_key: Option<Secret>,
    pub(crate) handle_key: Option<Secret>,
    pub(crate) single_tenant: bool,
    pub(crate) mode: Mode,
    pub(crate) max_body_bytes: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) recent: usize,
    pub(crate) threads: usize,
    pub(crate) json: bool,
    pub(crate) log: tracing::Level,
}

/// Where originals outlive their request.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Memory,
    Postgres(Secret),
}

/// What may be done to requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// What the policy allows.
    #[default]
    On,
    /// Exact rewrites only.
    Exact,
    /// Nothing.
    Off,
}

/// The configuration cannot work; its text lists every reason.
#[derive(Debug)]
pub(crate) struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl From<String> for ConfigError {
    fn from(problem: String) -> Self {
        Self(vec![problem])
    }
}

/// Flags and environment before what `file` says, and that before variables of others.
pub(crate) fn read(flags: Settings, file: Option<&PathBuf>) -> Result<Settings, ConfigError> {
    let Some(path) = file else { return Ok(ambient::fill(flags)) };
    let text = std::fs::read_to_string(path)
        .map_err(|why: io::Error| format!("cannot read {}: {why}", path.display()))?;
    let file = settings::parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(ambient::fill(flags.or(file)))
}

impl Config {
    /// Decides what is not set, and finds everything that cannot work.
    pub(crate) fn new(from: Settings) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let host = from.host.unwrap_or_else(|| "127.0.0.1".to_owned());
        if !is_local(&host) && from.token.is_none() {
            problems.push(format!(
                "--host {host} lets other machines in: set --token (HEADROOM_TOKEN), which they must send"
            ));
        }
        for (name, secret) in [
            ("token", &from.token),
            ("store_key", &from.store_key),
            ("handle_key", &from.handle_key),
            ("backend_token", &from.backend_token),
        ] {
            if secret.as_ref().is_some_and(|secret| secret.reveal().is_empty()) {
                problems.push(format!("{name} is empty: give one, or leave it unset"));
            }
        }
        let store = match from.store {
            None => Store::Memory,
            Some(text) => store(&text).unwrap_or_else(|why| {
                problems.push(why);
                Store::Memory
            }),
        };
        if matches!(store, Store::Memory) && from.store_key.is_some() {
            problems
                .push("store_key seals what is written to a database: set --store postgres://…".to_owned());
        }
        let cloud = matches!(from.backend, Some(Backend::Bedrock | Backend::Vertex));
        for (name, given) in [
            ("project", from.project.is_some()),
            ("models", from.models.is_some()),
            ("backend_token", from.backend_token.is_some()),
        ] {
            if given && !cloud {
                problems.push(format!("{name} is for --backend bedrock and vertex"));
            }
        }
        if from.max_body_bytes == Some(0) {
            problems.push("max_body_bytes is zero".to_owned());
        }
        let single_tenant = match from.tenant.as_deref() {
            None => is_local(&host),
            Some("single") => true,
            Some("credential") => false,
            Some(other) => {
                problems.push(format!("tenant is \"single\" or \"credential\", not {other:?}"));
                true
            }
        };
        let mode = match from.mode.as_deref() {
            None | Some("on") => Mode::On,
            Some("exact") => Mode::Exact,
            Some("off") => Mode::Off,
            Some(other) => {
                problems.push(format!("mode is \"on\", \"exact\" or \"off\", not {other:?}"));
                Mode::On
            }
        };
        let log = from.log.as_deref().unwrap_or("info").parse().unwrap_or_else(|_| {
            problems.push("log is \"error\", \"warn\", \"info\", \"debug\" or \"trace\"".to_owned());
            tracing::Level::INFO
        });
        if !problems.is_empty() {
            return Err(ConfigError(problems));
        }
        Ok(Self {
            host,
            port: from.port.unwrap_or(8787),
            token: from.token,
            backend: from.backend,
            backend_url: from.backend_url,
            anthropic: from.anthropic_target_api_url,
            openai: from.openai_target_api_url,
            gemini: from.gemini_target_api_url,
            region: from.region,
            project: from.project,
            models: from.models.unwrap_or_default(),
            backend_token: from.backend_token,
            ca: from.ca,
            // As a variable it is often set to nothing.
            https_proxy: from.https_proxy.filter(|url| !url.reveal().is_empty()),
            no_proxy: from.no_proxy.unwrap_or_default(),
            store,
            store_key: from.store_key,
            handle_key: from.handle_key,
            single_tenant,
            mode,
            max_body_bytes: from.max_body_bytes.unwrap_or(64 << 20),
            connect_timeout: Duration::from_secs(from.connect_timeout.unwrap_or(10).into()),
            shutdown_timeout: Duration::from_secs(from.shutdown_timeout.unwrap_or(30).into()),
            recent: from.recent.unwrap_or(100),
            threads: from
                .threads
                .filter(|threads| *threads > 0)
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            json: from.json.unwrap_or(false),
            log,
        })
    }
}

fn store(given: &Secret) -> Result<Store, String> {
    let text = given.reveal();
    if text == "memory" {
        return Ok(Store::Memory);
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(Store::Postgres(given.clone()));
    }
    // What stands there may hold a password.
    Err("store is \"memory\" or a URL that starts with postgres://".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Config, ConfigError> {
        Config::new(settings::parse(text).map_err(ConfigError::from)?)
    }

    #[test]
    fn nothing_set_is_a_local_proxy() {
        let config = file("").unwrap();
        assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 8787));
        assert!(config.token.is_none() && config.single_tenant && config.backend.is_none());
        assert_eq!((config.mode, config.max_body_bytes), (Mode::On, 64 << 20));
    }

    #[test]
    fn every_problem_is_told_at_once_and_no_secret() {
        let text =
            "host = \"0.0.0.0\"\nstore = \"mysql://u:hush@h\"\nmode = \"fast\"\ntenant = \"x\"\nlog = \"y\"";
        let why = file(text).unwrap_err().to_string();
        for word in ["--token", "postgres://", "mode is", "tenant is", "log is"] {
            assert!(why.contains(word), "{word}: {why}");
        }
        assert!(!why.contains("hush"), "{why}");
    }

    #[test]
    fn open_to_others_means_a_token_and_tenants() {
        let config = file("host = \"::\"\ntoken = \"hush\"").unwrap();
        assert!(!config.single_tenant);
        assert!(!format!("{config:?}").contains("hush"));
        assert!(file("host = \"::\"\ntoken = \"\"").is_err());
    }

    #[test]
    fn sealing_wants_a_database() {
        assert!(file("store_key = \"k\"").is_err());
        let config = file("store_key = \"k\"\nstore = \"postgres://u:hush@h/d\"").unwrap();
        assert!(matches!(config.store, Store::Postgres(_)));
        assert!(!format!("{config:?}").contains("hush"));
    }

    #[test]
    fn flags_come_before_the_file() {
        let flags = settings::parse("port = 1").unwrap();
        let merged = flags.or(settings::parse("port = 2\nrecent = 3").unwrap());
        assert_eq!((merged.port, merged.recent), (Some(1), Some(3)));
    }
}
