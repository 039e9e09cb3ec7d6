//! The time that a thread itself has had, whatever else the machine does.

use std::time::Duration;

/// What this thread has run for.
#[cfg(unix)]
#[must_use]
pub fn spent() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    spent.try_into().unwrap_or_default()
}

#[cfg(not(unix))]
#[must_use]
pub fn spent() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}
