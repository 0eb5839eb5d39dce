//! What a prediction costs, beside what it scores.

use frostline_engine::compile::compile_inference;
use frostline_graph::{Model, PrefixDType, Result, Shape};
use serde::Serialize;
use std::time::Instant;

/// Predictions that are timed; the fastest counts.
const TIMED: usize = 5;

/// The cost of a model with its head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Numbers in its weights, statistics included.
    pub parameters: usize,
    /// Multiply-adds for an image.
    pub multiply_adds: u64,
    /// Milliseconds for an image by itself, as measured.
    pub milliseconds: f64,
}

impl Cost {
    /// Of a model for images of `input`, `[height, width, channels]`.
    pub fn of(model: &Model, input: &Shape) -> Result<Self> {
        let mut plan = compile_inference(&PrefixDType::F32, model, std::slice::from_ref(input))?;
        let image = vec![0.0; input.iter().product()];
        let mut fastest = f64::INFINITY;
        for _ in 0..TIMED {
            let clock = Instant::now();
            plan.predict(&image, 1);
            fastest = fastest.min(clock.elapsed().as_secs_f64());
        }
        Ok(Self {
            parameters: model.weights.iter().map(|(_, handle)| handle.get().data.len()).sum(),
            multiply_adds: plan.multiply_adds().iter().sum(),
            milliseconds: 1000.0 * fastest,
        })
    }
}
