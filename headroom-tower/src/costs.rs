//! The cost ledger: what requests cost and saved, by the provider's own counts.
//!
//! Every answered request is billed once, when its response has ended: what was paid, what it would
//! have cost without the layer, what retrievals and the tool took back, and, where less was read
//! from the provider's cache than the request before had left there, whose doing that was. Bills are
//! summed by scope. Nothing learned here changes what is sent.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use headroom_engine::{
    LedgerKey,
    cost::{Bill, Usage},
};
use moka::sync::Cache;
use tokio::time::Instant;

use crate::tenant::Scope;

/// Requests that an [`Alarm`] looks back on.
const WINDOW: usize = 64;
/// Below this many requests nothing is said of a scope.
const ENOUGH: usize = 16;
/// Scopes and conversations that are remembered.
const SCOPES: u64 = 1024;
const CONVERSATIONS: u64 = 1 << 16;
/// The longest that any provider keeps a prefix: OpenAI's extended retention.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Below this share of what the request before left in the cache, a read is a miss. Providers round
/// down to steps or breakpoints.
const HIT: f64 = 0.5;

/// Sums of bills, in fresh input tokens of each request's model.
///
/// ```
/// let costs = headroom_tower::HeadroomLayer::new().costs();
/// assert_eq!((costs.requests, costs.net()), (0, 0.0));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Costs {
    /// Requests billed.
    pub requests: u64,
    /// What was paid.
    pub paid: f64,
    /// Saved on blocks at first sight.
    pub first: f64,
    /// Saved on blocks sent again.
    pub again: f64,
    /// Paid for retrievals.
    pub retrievals: f64,
    /// Paid for the tool's definition.
    pub tool: f64,
    /// Markers, already off the savings.
    pub markers: f64,
    /// Paid, in US dollars, where prices are known.
    pub dollars_paid: f64,
    /// Saved in the end, in US dollars, where prices are known.
    pub dollars_saved: f64,
    /// What became of the provider's cache, by [`CacheFate::name`].
    pub cache: BTreeMap<&'static str, u64>,
    /// Scopes whose net is negative over their last requests.
    pub alarms: u64,
}

impl Costs {
    /// Saved before what it cost is taken off.
    #[must_use]
    pub fn gross(&self) -> f64 {
        self.first + self.again + self.markers
    }

    /// Saved in the end; negative if it cost more than it saved.
    #[must_use]
    pub fn net(&self) -> f64 {
        self.first + self.again - self.retrievals - self.tool
    }

    fn add(&mut self, bill: &Bill, fate: Option<CacheFate>) {
        self.requests += 1;
        self.paid += bill.paid;
        self.first += bill.first;
        self.again += bill.again;
        self.retrievals += bill.retrievals;
        self.tool += bill.tool;
        self.markers += bill.markers;
        self.dollars_paid += bill.in_dollars(bill.paid).unwrap_or_default();
        self.dollars_saved += bill.in_dollars(bill.net()).unwrap_or_default();
        if let Some(fate) = fate {
            *self.cache.entry(fate.name()).or_default() += 1;
        }
    }
}

/// What became of the prefix that the request before had left in the provider's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheFate {
    /// It was read.
    Hit,
    /// Missed: the client sent another history, system prompt or other tools.
    Client,
    /// Missed: we sent other bytes than before, and said so: a window cut, a lost record.
    Declared,
    /// Missed: we sent other bytes than before. A bug; it must never be seen.
    Ours,
    /// Missed: the entry had outlived its time.
    Expired,
    /// Missed, for no reason on this side.
    Provider,
}

impl CacheFate {
    /// A stable name for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Client => "client",
            Self::Declared => "declared",
            Self::Ours => "ours",
            Self::Expired => "expired",
            Self::Provider => "provider",
        }
    }
}

/// A scope pays more than it saves, seen over its last requests.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alarm {
    /// The net over the window, in fresh input tokens: negative.
    pub net: f64,
    /// Requests in the window.
    pub requests: usize,
    /// Tools and kinds of content whose retrievals cost more than they saved, the worst first.
    pub blame: Vec<(Arc<str>, &'static str)>,
}

/// What a request's blocks saved, and what fetching them back cost, by tool and kind.
pub(crate) type Tally = Vec<(Arc<str>, &'static str, f64)>;

/// What is known of a request when its response has ended.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) bill: Bill,
    pub(crate) usage: Usage,
    pub(crate) lineage: Option<headroom_engine::cost::Lineage>,
    pub(crate) declared: bool,
    pub(crate) lifetime: Duration,
    /// Prompts from this many tokens on are cached without being told to, and may not be counted as
    /// written; `None` if they are not.
    pub(crate) cached_from: Option<u64>,
    pub(crate) tally: Tally,
}

/// What a request left behind for the one after it.
#[derive(Clone, Copy, Debug)]
struct Sent {
    ours: [u8; 32],
    tools: [u8; 32],
    cached: u64,
    at: Instant,
}

#[derive(Debug, Default)]
struct Book {
    total: Costs,
    window: VecDeque<(f64, Tally)>,
    alarmed: bool,
}

impl Book {
    fn settle(&mut self, settled: &Settled, fate: Option<CacheFate>) -> (Option<Alarm>, bool) {
        self.total.add(&settled.bill, fate);
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back((settled.bill.net(), settled.tally.clone()));
        let net: f64 = self.window.iter().map(|(net, _)| net).sum();
        let alarmed = net < 0.0 && self.window.len() >= ENOUGH;
        let raised = alarmed && !self.alarmed;
        self.alarmed = alarmed;
        self.total.alarms += u64::from(raised);
        (alarmed.then(|| Alarm { net, requests: self.window.len(), blame: self.blame() }), raised)
    }

    fn blame(&self) -> Vec<(Arc<str>, &'static str)> {
        let mut sums: BTreeMap<(Arc<str>, &'static str), f64> = BTreeMap::new();
        for (tool, kind, net) in self.window.iter().flat_map(|(_, tally)| tally) {
            *sums.entry((Arc::clone(tool), kind)).or_default() += net;
        }
        let mut sums: Vec<_> = sums.into_iter().filter(|(_, net)| *net < 0.0).collect();
        sums.sort_by(|a, b| a.1.total_cmp(&b.1));
        sums.into_iter().map(|(of, _)| of).collect()
    }
}

/// All scopes' books, and what conversations left behind. Bounded.
#[derive(Debug)]
pub(crate) struct CostLedger {
    books: Cache<Scope, Arc<Mutex<Book>>>,
    sent: Cache<(Scope, LedgerKey), Sent>,
    total: Mutex<Costs>,
}

impl Default for CostLedger {
    fn default() -> Self {
        Self {
            books: Cache::new(SCOPES),
            sent: Cache::builder().max_capacity(CONVERSATIONS).time_to_live(LONGEST).build(),
            total: Mutex::default(),
        }
    }
}

impl CostLedger {
    /// Bills a request; whose doing a cache miss was, and whether its scope pays more than it saves.
    pub(crate) fn settle(&self, scope: Scope, settled: &Settled) -> (Option<CacheFate>, Option<Alarm>) {
        let fate = self.fate(scope, settled);
        let book = self.books.get_with(scope, Arc::default);
        let (alarm, raised) = lock(&book).settle(settled, fate);
        let mut total = lock(&self.total);
        total.add(&settled.bill, fate);
        total.alarms += u64::from(raised);
        (fate, alarm)
    }

    /// The sums over all scopes.
    pub(crate) fn total(&self) -> Costs {
        lock(&self.total).clone()
    }

    /// The sums of one scope.
    pub(crate) fn of(&self, scope: Scope) -> Costs {
        self.books.get(&scope).map(|book| lock(&book).total.clone()).unwrap_or_default()
    }

    fn fate(&self, scope: Scope, settled: &Settled) -> Option<CacheFate> {
        let lineage = settled.lineage?;
        let now = Instant::now();
        let counted = settled.usage.cache_read + settled.usage.cache_write;
        let prompt = settled.usage.prompt();
        let unsaid = settled.cached_from.filter(|from| prompt >= *from).map_or(0, |_| prompt);
        let cached = if counted > 0 { counted } else { unsaid };
        let left = Sent { ours: lineage.here.ours, tools: lineage.tools, cached, at: now };
        self.sent.insert((scope, lineage.here.key), left);
        // The first request of a conversation can miss nothing.
        let before = lineage.before?;
        let Some(sent) = self.sent.get(&(scope, before.key)) else {
            // Seen by another replica, or long ago, or the client tells another history.
            return None;
        };
        if sent.cached == 0 {
            return None;
        }
        Some(if settled.usage.cache_read as f64 >= HIT * sent.cached as f64 {
            CacheFate::Hit
        } else if sent.tools != lineage.tools {
            CacheFate::Client
        } else if sent.ours != before.ours {
            if settled.declared { CacheFate::Declared } else { CacheFate::Ours }
        } else if now.duration_since(sent.at) > settled.lifetime {
            CacheFate::Expired
        } else {
            CacheFate::Provider
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use headroom_engine::cost::{Lineage, Mark};

    use super::*;

    fn key(at: u8) -> LedgerKey {
        LedgerKey::from_bytes([at; 32])
    }

    fn settled(here: u8, before: Option<u8>, ours: u8, read: u64, net: f64) -> Settled {
        let mark = |at: u8| Mark { key: key(at), ours: [ours; 32] };
        let mut usage = Usage::default();
        (usage.cache_read, usage.cache_write) = (read, 1000);
        let mut bill = Bill::default();
        (bill.paid, bill.first) = (100.0, net);
        Settled {
            bill,
            usage,
            lineage: Some(Lineage { here: mark(here), before: before.map(mark), tools: [0; 32] }),
            declared: false,
            lifetime: Duration::from_secs(300),
            cached_from: None,
            tally: vec![("run".into(), "log", net)],
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_miss_is_blamed_on_whose_doing_it_was() {
        let ledger = CostLedger::default();
        let scope = Scope::of(b"a");
        let fate = |settled: &Settled| ledger.settle(scope, settled).0;
        assert_eq!(fate(&settled(1, None, 1, 0, 1.0)), None);
        assert_eq!(fate(&settled(2, Some(1), 1, 900, 1.0)), Some(CacheFate::Hit));
        assert_eq!(fate(&settled(3, Some(2), 1, 0, 1.0)), Some(CacheFate::Provider));
        assert_eq!(fate(&settled(4, Some(3), 2, 0, 1.0)), Some(CacheFate::Ours));
        let declared = Settled { declared: true, ..settled(5, Some(4), 3, 0, 1.0) };
        assert_eq!(fate(&declared), Some(CacheFate::Declared));
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(fate(&settled(6, Some(5), 3, 0, 1.0)), Some(CacheFate::Expired));
        let mut other = settled(7, Some(6), 3, 0, 1.0);
        other.lineage = other.lineage.map(|lineage| Lineage { tools: [1; 32], ..lineage });
        assert_eq!(fate(&other), Some(CacheFate::Client));
        let seen = ledger.of(scope).cache;
        assert_eq!((seen["hit"], seen["ours"], seen["client"]), (1, 1, 1));
        assert_eq!(ledger.of(Scope::of(b"b")), Costs::default());
    }

    #[tokio::test]
    async fn a_scope_that_pays_more_than_it_saves_is_told_once_and_names_its_tool() {
        let ledger = CostLedger::default();
        let scope = Scope::of(b"a");
        let mut alarms = Vec::new();
        for at in 0..40 {
            alarms.push(ledger.settle(scope, &settled(at, None, 1, 0, -5.0)).1);
        }
        assert_eq!(alarms.iter().position(Option::is_some), Some(ENOUGH - 1));
        let alarm = alarms.pop().flatten().unwrap();
        assert_eq!((alarm.requests, alarm.blame.len()), (40, 1));
        assert_eq!(&*alarm.blame[0].0, "run");
        assert_eq!(ledger.of(scope).alarms, 1, "raised once");
        for at in 40..200 {
            ledger.settle(scope, &settled(at, None, 1, 0, 50.0));
        }
        assert!(ledger.settle(scope, &settled(201, None, 1, 0, 1.0)).1.is_none(), "and taken back");
        assert!((ledger.total().net() - ledger.of(scope).net()).abs() < 1e-6);
    }
}
