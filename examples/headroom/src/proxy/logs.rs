//! Logs: one line a request, without content, addresses' queries or credentials.

use std::io;

use tracing_subscriber::{
    Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::Config;

/// Writes logs to stderr from here on. What libraries tell of connections is left out: they may tell
/// of headers.
pub(crate) fn init(config: &Config) {
    let filter = Targets::new().with_target("headroom", config.log).with_target("tower_http", config.log);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false);
    let lines = if config.json {
        lines.json().with_filter(filter).boxed()
    } else {
        lines.with_filter(filter).boxed()
    };
    // A second start in one process keeps the first's.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}
