//! What sessions came to, as a table and as JSON.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::table::{Table, percent, rounded, share};

/// A session counts as worse from here, beyond its tool's own cost.
const WORSE: f64 = 0.01;

/// Sums over requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) requests: usize,
    pub(super) turns: usize,
    pub(super) tokens_in: u64,
    pub(super) tokens_out: u64,
    /// Priced flat: direct, rewritten, retrievals, the tool's definition.
    pub(super) direct: f64,
    pub(super) rewritten: f64,
    pub(super) retrievals: f64,
    pub(super) tool: f64,
    /// Priced by the provider's rules.
    pub(super) catalogue_direct: f64,
    pub(super) catalogue_rewritten: f64,
    pub(super) tool_listed: usize,
    pub(super) prefix_violations: usize,
    pub(super) byte_violations: usize,
    pub(super) unredeemable: usize,
    pub(super) undecodable: usize,
    pub(super) declared_breaks: usize,
    pub(super) failed_open: usize,
    pub(super) needed_visible: usize,
    pub(super) needed_total: usize,
    pub(super) used_visible: usize,
    pub(super) used_rewritten: usize,
    pub(super) used_total: usize,
    pub(super) rounds: usize,
    pub(super) retrieved_tokens: u64,
    /// Of each request: what it costs direct, and rewritten with its retrievals.
    pub(super) by_turn: Vec<(f64, f64)>,
}

impl Totals {
    pub(super) fn add(&mut self, other: &Self) {
        let Self { requests, turns, tokens_in, tokens_out, direct, rewritten, retrievals, tool, .. } = other;
        self.requests += requests;
        self.turns += turns;
        self.tokens_in += tokens_in;
        self.tokens_out += tokens_out;
        self.direct += direct;
        self.rewritten += rewritten;
        self.retrievals += retrievals;
        self.tool += tool;
        self.catalogue_direct += other.catalogue_direct;
        self.catalogue_rewritten += other.catalogue_rewritten;
        self.tool_listed += other.tool_listed;
        self.prefix_violations += other.prefix_violations;
        self.byte_violations += other.byte_violations;
        self.unredeemable += other.unredeemable;
        self.undecodable += other.undecodable;
        self.declared_breaks += other.declared_breaks;
        self.failed_open += other.failed_open;
        self.needed_visible += other.needed_visible;
        self.needed_total += other.needed_total;
        self.used_visible += other.used_visible;
        self.used_rewritten += other.used_rewritten;
        self.used_total += other.used_total;
        self.rounds += other.rounds;
        self.retrieved_tokens += other.retrieved_tokens;
    }

    pub(super) fn change(&self) -> f64 {
        share(self.rewritten - self.direct, self.direct)
    }

    pub(super) fn charged(&self) -> f64 {
        share(self.rewritten + self.retrievals - self.direct, self.direct)
    }

    fn catalogue(&self) -> f64 {
        share(self.catalogue_rewritten - self.catalogue_direct, self.catalogue_direct)
    }

    /// Dearer by more than 1 % and by more than the tool's own cost.
    fn worse(&self) -> bool {
        let more = self.rewritten - self.direct;
        more > WORSE * self.direct && more > self.tool + 1e-6
    }
}

/// Tokens saved in the last request of each session, by kind and what became of the block.
pub(super) type Kinds = BTreeMap<(String, &'static str), (usize, usize, usize)>;

pub(super) fn sum(sessions: &[(PathBuf, Totals)]) -> Totals {
    let mut all = Totals::default();
    sessions.iter().for_each(|(_, totals)| all.add(totals));
    all
}

pub(super) fn print(
    sessions: &mut [(PathBuf, Totals)],
    kinds: &Kinds,
    verbose: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let all = sum(sessions);
    sessions.sort_by(|(a, left), (b, right)| right.change().total_cmp(&left.change()).then_with(|| a.cmp(b)));
    let mut table = Table::new(&[
        "dearest sessions",
        "requests",
        "tokens",
        "saved",
        "cost",
        "charged",
        "by rules",
        "tool",
        "worse",
    ]);
    for (path, t) in sessions.iter().take(if verbose { usize::MAX } else { 5 }) {
        table.row(row(path, t));
    }
    table.row(row(Path::new("all"), &all));
    table.print(out)?;
    if verbose {
        let mut table = Table::new(&["\nkind, last requests", "became", "blocks", "tokens", "after"]);
        for ((kind, reason), (count, before, after)) in kinds {
            table.row([
                kind.clone(),
                (*reason).to_owned(),
                count.to_string(),
                before.to_string(),
                after.to_string(),
            ]);
        }
        table.print(out)?;
    }
    let visible = |visible: usize, total: usize| match total {
        0 => "-".to_owned(),
        _ => format!("{visible} of {total} ({})", percent(visible as f64 / total as f64)),
    };
    writeln!(
        out,
        "\nsessions {}, requests {}, worse {}, tool listed in {}\n\
         violations: prefix {}, byte {}; unredeemable {}, undecodable {}, declared breaks {}, failed open {}\n\
         visible: needed {}, used {} ({} of the rest only rewritten)\n\
         retrieval rounds {} in {} turns ({})",
        sessions.len(),
        all.requests,
        sessions.iter().filter(|(_, totals)| totals.worse()).count(),
        all.tool_listed,
        all.prefix_violations,
        all.byte_violations,
        all.unredeemable,
        all.undecodable,
        all.declared_breaks,
        all.failed_open,
        visible(all.needed_visible, all.needed_total),
        visible(all.used_visible, all.used_total),
        all.used_rewritten,
        all.rounds,
        all.turns,
        percent(share(all.rounds as f64, all.turns as f64)),
    )
}

fn row(path: &Path, t: &Totals) -> [String; 9] {
    [
        path.display().to_string(),
        t.requests.to_string(),
        t.tokens_in.to_string(),
        percent(share(t.tokens_in as f64 - t.tokens_out as f64, t.tokens_in as f64)),
        percent(t.change()),
        percent(t.charged()),
        percent(t.catalogue()),
        percent(share(t.tool, t.rewritten)),
        if t.worse() { "worse".to_owned() } else { String::new() },
    ]
}

pub(super) fn report(sessions: &[(PathBuf, Totals)]) -> Value {
    let all = sum(sessions);
    let some = |total: usize, value: usize| (total > 0).then_some(value);
    json!({
        "sessions": sessions.len(),
        "requests": all.requests,
        "tokens_in": all.tokens_in,
        "tokens_out": all.tokens_out,
        "tokens_saved": all.tokens_in as i64 - all.tokens_out as i64,
        "cost_change": rounded(all.change(), 5),
        "cost_change_charged": rounded(all.charged(), 5),
        "catalogue_cost_change": rounded(all.catalogue(), 5),
        "worse_sessions": sessions.iter().filter(|(_, totals)| totals.worse()).count(),
        "tool_listed": all.tool_listed,
        "tool_cost_share": rounded(share(all.tool, all.rewritten), 5),
        "prefix_violations": all.prefix_violations,
        "byte_violations": all.byte_violations,
        "unredeemable": all.unredeemable,
        "undecodable": all.undecodable,
        "declared_breaks": all.declared_breaks,
        "failed_open": all.failed_open,
        "needed_visible": some(all.needed_total, all.needed_visible),
        "needed_total": some(all.needed_total, all.needed_total),
        "used_visible": some(all.used_total, all.used_visible),
        "used_total": some(all.used_total, all.used_total),
        "used_rewritten": all.used_rewritten,
        "retrieval_share": (all.turns > 0).then(|| rounded(share(all.rounds as f64, all.turns as f64), 5)),
        "retrieval_rounds": all.rounds,
        "retrieved_tokens": all.retrieved_tokens,
    })
}
