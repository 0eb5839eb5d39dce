//! The threads of calls that say how many they want.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, PoisonError};

/// Those of the last call, with the number of this process: a process that is a fork of another has none of its threads.
static LAST: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// So many threads. The next call of as many gets the same: the C library keeps memory for each thread that is new, so a process that
/// starts some in each call grows.
///
/// Errors: the system gives no more threads.
pub(super) fn threads(count: usize) -> Result<Arc<ThreadPool>, ThreadPoolBuildError> {
    let process = std::process::id();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, pool)) = last.as_ref()
        && *of == process
        && pool.current_num_threads() == count
    {
        return Ok(pool.clone());
    }
    let pool = Arc::new(ThreadPoolBuilder::new().num_threads(count).build()?);
    *last = Some((process, pool.clone()));
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_as_many_threads_share_them() {
        let [one, same, other] = [3, 3, 2].map(|count| threads(count).expect("threads"));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        // whoever works with the earlier ones goes on
        assert_eq!(one.install(rayon::current_num_threads), 3);
    }
}
