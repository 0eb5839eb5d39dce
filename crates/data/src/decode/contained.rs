//! A decoder that panics on a damaged file takes nothing else with it.

use super::upright::damaged;
use crate::DataError;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CONTAINS: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread would become the error of a file. A program's panic hook need not tell of it then.
pub fn panic_is_contained() -> bool {
    CONTAINS.get()
}

/// What a decoder makes of the file `name`: a panic is the error of a damaged file.
pub(crate) fn contained<T>(
    name: &str,
    decode: impl FnOnce() -> Result<T, DataError>,
) -> Result<T, DataError> {
    let before = CONTAINS.replace(true);
    // what a decoder was working on is given up with it
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    CONTAINS.set(before);
    decoded.unwrap_or_else(|_| Err(damaged(name, &"its decoder gave up")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_the_file() {
        let error = contained("a.png", || -> Result<(), DataError> { panic!("out of range") }).unwrap_err();
        assert!(error.to_string().contains("`a.png`: is damaged"), "{error}");
        assert!(!panic_is_contained());
        assert!(contained("a.png", || Ok(panic_is_contained())).unwrap());
    }
}
