//! Named tensors behind handles. A handle that two models hold is shared: training one changes the other.

use crate::{Error, Result, Tensor};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// One weight. `clone` shares it; [`Handle::copy`] does not.
#[derive(Clone, Debug)]
pub struct Handle(Arc<RwLock<Value>>);

/// What a weight is now.
#[derive(Debug)]
struct Value {
    tensor: Tensor,
    version: u64,
}

/// The number of values that all weights have had so far.
static VERSIONS: AtomicU64 = AtomicU64::new(0);

fn new_version() -> u64 {
    VERSIONS.fetch_add(1, Ordering::Relaxed)
}

impl Handle {
    /// A weight that nobody else holds yet.
    pub fn new(tensor: Tensor) -> Self {
        Self(Arc::new(RwLock::new(Value { tensor, version: new_version() })))
    }

    /// The present value.
    pub fn get(&self) -> Tensor {
        self.with(Tensor::clone)
    }

    /// Calls `f` with the present value, without copying it.
    pub fn with<R>(&self, f: impl FnOnce(&Tensor) -> R) -> R {
        f(&self.0.read().unwrap_or_else(PoisonError::into_inner).tensor)
    }

    /// A number that no other value of any weight has had in this process: while it stays, so does the value.
    pub fn version(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).version
    }

    /// Replaces the elements, for everyone who holds this handle. The length must be the present one.
    pub fn set(&self, data: &[f32]) {
        let mut value = self.0.write().unwrap_or_else(PoisonError::into_inner);
        value.version = new_version();
        value.tensor.data.copy_from_slice(data);
    }

    /// A new weight with the same value.
    pub fn copy(&self) -> Self {
        Self::new(self.get())
    }

    /// True if both handles are one weight.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The weights of a model: `layer path/variable` (`backbone/Conv1/kernel`) to handle.
#[derive(Clone, Debug, Default)]
pub struct Weights(BTreeMap<String, Handle>);

impl Weights {
    /// Adds or replaces a weight.
    pub fn insert(&mut self, path: impl Into<String>, handle: Handle) {
        self.0.insert(path.into(), handle);
    }

    /// The weight with this path, or an error that names the paths nearest to it.
    pub fn get(&self, path: &str) -> Result<&Handle> {
        self.0.get(path).ok_or_else(|| {
            let layer = path.rsplit_once('/').map_or(path, |(layer, _)| layer);
            let near: Vec<&str> =
                self.0.keys().filter(|name| name.starts_with(layer)).map(String::as_str).take(4).collect();
            Error::weights(match near.is_empty() {
                true => format!("no weight for `{path}`\nhelp: the model holds no weight of layer `{layer}`"),
                false => format!("no weight for `{path}`\nhelp: the model holds `{}`", near.join("`, `")),
            })
        })
    }

    /// True if there is a weight with this path.
    pub fn contains(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// All weights, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Handle)> {
        self.0.iter().map(|(path, handle)| (path.as_str(), handle))
    }

    /// The present value of every weight, sorted by path.
    pub fn snapshot(&self) -> Vec<(String, Tensor)> {
        self.iter().map(|(path, handle)| (path.to_owned(), handle.get())).collect()
    }

    /// The number of weights.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True for a model without weights.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
