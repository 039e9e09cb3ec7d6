//! Keeps metrics and writes them as Prometheus reads them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    histogram::Histogram,
    metrics::{ALL, Recorder},
};

/// All series, by name and by labels as they are written.
#[derive(Debug, Default)]
pub(crate) struct Prometheus(Mutex<BTreeMap<(&'static str, String), Series>>);

#[derive(Debug)]
enum Series {
    Number(f64),
    Times(Histogram),
}

impl Prometheus {
    fn series(&self) -> MutexGuard<'_, BTreeMap<(&'static str, String), Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text format, version 0.0.4.
    pub(crate) fn text(&self) -> String {
        let (mut out, series) = (String::new(), self.series());
        for (name, kind, help) in ALL {
            let mut rows =
                series.range((*name, String::new())..).take_while(|((of, _), _)| of == name).peekable();
            if rows.peek().is_none() {
                continue;
            }
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for ((_, labels), series) in rows {
                match series {
                    Series::Number(value) => row(&mut out, name, "", labels, *value),
                    Series::Times(times) => self::times(&mut out, name, labels, times),
                }
            }
        }
        out
    }
}

fn times(out: &mut String, name: &str, labels: &str, times: &Histogram) {
    let with = |bound: &str| match labels {
        "" => format!("le=\"{bound}\""),
        _ => format!("{labels},le=\"{bound}\""),
    };
    for (bound, count) in times.cumulative() {
        row(out, name, "_bucket", &with(&format!("{bound:.6}")), count as f64);
    }
    row(out, name, "_bucket", &with("+Inf"), times.count() as f64);
    row(out, name, "_sum", labels, times.sum());
    row(out, name, "_count", labels, times.count() as f64);
}

fn row(out: &mut String, name: &str, suffix: &str, labels: &str, value: f64) {
    let _ = match labels {
        "" => writeln!(out, "{name}{suffix} {value}"),
        _ => writeln!(out, "{name}{suffix}{{{labels}}} {value}"),
    };
}

/// `dialect="anthropic",outcome="ok"`.
fn written(labels: &[(&'static str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in labels {
        let comma = if out.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{comma}{name}=\"{value}\"");
    }
    out
}

impl Recorder for Prometheus {
    fn count(&self, name: &'static str, labels: &[(&'static str, &str)], by: f64) {
        let mut all = self.series();
        if let Series::Number(value) = all.entry((name, written(labels))).or_insert(Series::Number(0.0)) {
            *value += by;
        }
    }

    fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)], to: f64) {
        self.series().insert((name, written(labels)), Series::Number(to));
    }

    fn time(&self, name: &'static str, labels: &[(&'static str, &str)], time: Duration) {
        let mut all = self.series();
        let series =
            all.entry((name, written(labels))).or_insert_with(|| Series::Times(Histogram::default()));
        if let Series::Times(times) = series {
            times.add(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Prometheus::default();
        metrics.count("headroom_requests_total", &[("dialect", "openai"), ("outcome", "ok")], 1.0);
        metrics.count("headroom_requests_total", &[("dialect", "openai"), ("outcome", "ok")], 2.0);
        metrics.gauge("headroom_open_requests", &[], 4.0);
        metrics.time("headroom_added_seconds", &[("dialect", "openai")], Duration::from_millis(2));
        let text = metrics.text();
        for line in [
            "# TYPE headroom_requests_total counter",
            "headroom_requests_total{dialect=\"openai\",outcome=\"ok\"} 3",
            "headroom_open_requests 4",
            "# TYPE headroom_added_seconds histogram",
            "headroom_added_seconds_bucket{dialect=\"openai\",le=\"0.001000\"} 0",
            "headroom_added_seconds_bucket{dialect=\"openai\",le=\"0.003162\"} 1",
            "headroom_added_seconds_bucket{dialect=\"openai\",le=\"+Inf\"} 1",
            "headroom_added_seconds_count{dialect=\"openai\"} 1",
        ] {
            assert!(text.lines().any(|it| it == line), "no {line:?} in {text}");
        }
        assert!(!text.contains("headroom_skipped_total"), "what never happened is not there");
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(written(&[("a", "x\"y\\z\n")]), "a=\"x\\\"y\\\\z\\n\"");
    }
}
