//! What is odd about images that are read all the same.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// So many are named.
const NAMED: usize = 5;

/// The names of images that were read though their scan headers are off. A copy shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Odd(Arc<Mutex<BTreeSet<String>>>);

impl Odd {
    pub(crate) fn note(&self, name: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// What there is to tell.
    pub(crate) fn told(&self) -> Option<String> {
        told(&self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().collect::<Vec<_>>())
    }
}

impl PartialEq for Odd {
    /// It is no setting.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// That these images are read though their scan headers are off.
pub(crate) fn told<S: AsRef<str>>(names: &[S]) -> Option<String> {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{}`", name.as_ref())).collect();
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!names.is_empty()).then(|| {
        format!(
            "the scan headers of {} JPEGs are off, which is no harm to their pixels: they are read as Pillow and TensorFlow read them: {}{more}",
            names.len(),
            shown.join(", ")
        )
    })
}
