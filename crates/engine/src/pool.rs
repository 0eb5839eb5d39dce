//! Buffers that threads take, and give back when they are done.

use std::sync::{Mutex, PoisonError};

/// Buffers that no thread works with.
#[derive(Debug)]
pub struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Pool<T> {
    /// Works with one that waits, or with a new one.
    pub fn with(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T)) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut taken = waiting.unwrap_or_else(make);
        work(&mut taken);
        self.add(taken);
    }

    /// Puts in one that was made before it is needed.
    pub fn add(&self, made: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(made);
    }

    /// The sum over all that wait.
    pub(crate) fn sum(&self, of: impl Fn(&T) -> usize) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(of).sum()
    }
}
