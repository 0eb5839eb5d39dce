//! Jobs side by side, each on its part of the threads: small networks leave most of a machine idle.

use frostline_graph::{Error, Result};
use rayon::ThreadPoolBuilder;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Jobs that run at once, at most: each has a training's memory.
const AT_ONCE: usize = 4;

/// Does all jobs, or stops at the first error. Jobs begin in their order.
pub(super) fn side_by_side<T: Sync>(jobs: &[T], work: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let threads = rayon::current_num_threads();
    let at_once = threads.min(AT_ONCE).min(jobs.len()).max(1);
    let next = AtomicUsize::new(0);
    let run = || {
        let pool = ThreadPoolBuilder::new().num_threads(threads / at_once).build();
        let pool = pool.map_err(|error| Error::setting(format!("no threads can be started: {error}")))?;
        pool.install(|| {
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                work(job).inspect_err(|_| next.store(jobs.len(), Ordering::Relaxed))?;
            }
            Ok(())
        })
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(run)).collect();
        let ends = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        // all are waited for, then the first error counts
        ends.collect::<Vec<Result<()>>>().into_iter().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn every_job_is_done_once() {
        let done = Mutex::new(Vec::new());
        let jobs: Vec<usize> = (0..50).collect();
        let work = |job: &usize| {
            done.lock().expect("no panic").push(*job);
            Ok(())
        };
        assert!(side_by_side(&jobs, work).is_ok());
        let mut done = done.into_inner().expect("no panic");
        done.sort_unstable();
        assert_eq!(done, jobs);
    }

    #[test]
    fn an_error_ends_them() {
        let done = AtomicUsize::new(0);
        let work = |job: &usize| {
            done.fetch_add(1, Ordering::Relaxed);
            if *job == 3 { Err(Error::setting("broken".to_owned())) } else { Ok(()) }
        };
        assert!(side_by_side(&(0..1000).collect::<Vec<_>>(), work).is_err());
        assert!(done.into_inner() < 1000);
    }
}
