//! Plans that are cut at one layer, by the size of the model's input.

use frostline_engine::Plan;
use frostline_engine::compile::compile_above;
use frostline_graph::{Model, Result, Shape};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Plans for at most so many sizes are held at a time.
const MOST: usize = 16;
/// Bytes of weights that they may hold together, but for those of two.
const BYTES: usize = 512 << 20;

/// A plan of one image a batch. Its prefix is shared by all threads; its suffix works for one at a time.
pub(super) type Shared = Arc<RwLock<Plan>>;

/// Plans of one model, cut at one layer.
pub(super) struct Plans {
    model: Model,
    layer: String,
    most: usize,
    by_input: Mutex<BTreeMap<Shape, Shared>>,
}

impl Plans {
    pub(super) fn new(model: Model, layer: String) -> Self {
        let bytes: usize =
            model.weights.iter().map(|(_, handle)| 4 * handle.with(|weight| weight.data.len())).sum();
        let most = (BYTES / bytes.max(1)).clamp(2, MOST);
        Self { model, layer, most, by_input: Mutex::default() }
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    pub(super) fn layer(&self) -> &str {
        &self.layer
    }

    /// The plan for an input of this shape, compiled where it is not there.
    pub(super) fn get(&self, input: &Shape) -> Result<Shared> {
        let mut known = self.by_input.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = known.get(input) {
            return Ok(plan.clone());
        }
        let plan = compile_above(&self.model, &self.layer, std::slice::from_ref(input), 1)?;
        if known.len() >= self.most {
            known.clear();
        }
        let plan = Arc::new(RwLock::new(plan));
        known.insert(input.clone(), plan.clone());
        Ok(plan)
    }
}
