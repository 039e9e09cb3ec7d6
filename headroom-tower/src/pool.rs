//! Where heavy rewriting runs: off the async workers, never more at once than there are cores.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::{runtime::Handle, sync::Semaphore, task};

/// Work of more bytes than this leaves the worker. Rewriting new text takes some 50 µs a kilobyte, so
/// the limit is a fraction of a millisecond; handing over costs some ten microseconds.
const INLINE_BYTES: usize = 16 << 10;

#[derive(Clone, Debug)]
pub(crate) struct Pool {
    permits: Arc<Semaphore>,
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Pool {
    fn new(permits: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(permits)) }
    }

    /// Runs `work`, which reads `bytes` bytes: here if that is little, or else on a blocking thread
    /// as soon as one of the permits is free. `None` if it panicked or the runtime went away.
    ///
    /// A caller that is dropped while it waits takes no permit; work that has begun runs to its end
    /// under its permit.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if bytes <= INLINE_BYTES || Handle::try_current().is_err() {
            return catch_unwind(AssertUnwindSafe(work)).ok();
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let held = move || {
            let done = work();
            drop(permit);
            done
        };
        task::spawn_blocking(held).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        thread,
    };

    use super::*;

    const HEAVY: usize = INLINE_BYTES + 1;

    #[tokio::test]
    async fn little_work_stays_and_heavy_work_leaves() {
        let pool = Pool::default();
        let here = thread::current().id();
        assert_eq!(pool.run(INLINE_BYTES, || thread::current().id()).await, Some(here));
        let there = pool.run(HEAVY, || thread::current().id()).await;
        assert!(there.is_some() && there != Some(here));
    }

    #[tokio::test]
    async fn a_panic_is_no_result() {
        for bytes in [0, HEAVY] {
            assert_eq!(Pool::default().run(bytes, || -> u8 { panic!("as a test") }).await, None);
        }
    }

    #[tokio::test]
    async fn never_more_at_once_than_permits_and_none_is_skipped() {
        let pool = Pool::new(2);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (pool, now, most) = (pool.clone(), now.clone(), most.clone());
                tokio::spawn(async move {
                    pool.run(HEAVY, move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                    })
                    .await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Some(()));
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn a_dropped_caller_waits_no_more() {
        let pool = Pool::new(1);
        let (release, wait) = mpsc::channel::<()>();
        let busy = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(HEAVY, move || wait.recv()).await }
        });
        while pool.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut waiting = Box::pin(pool.run(HEAVY, || unreachable!()));
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await.is_pending()
        );
        drop(waiting);
        release.send(()).unwrap();
        busy.await.unwrap();
        assert_eq!(pool.run(HEAVY, || 7).await, Some(7));
    }
}
