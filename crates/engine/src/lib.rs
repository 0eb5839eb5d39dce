//! Runs a [`Plan`] on the processor's cores.

mod bands;
mod calibrate;
pub mod compile;
mod memory;
mod micro_batch;
mod pool;
mod prefix;
mod prepare;
mod schedule;
mod section;
mod segment;
mod steps;
#[cfg(test)]
mod streamed_tests;
mod suffix;

pub(crate) use calibrate::calibrate;
pub use memory::Memory;
pub use pool::Pool;
pub use prefix::Prefix;
pub use suffix::{LossInput, Squash, Suffix};

use frostline_graph::{Freeze, Model, Tensor};

/// The values of a frozen program's weights, by [`frostline_graph::ops::ParamId`].
pub type Constants = Vec<Tensor>;

/// How BatchNormalization of trainable layers runs while training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Statistics {
    /// By the batch's statistics, as Keras trains.
    #[default]
    Batch,
    /// By the moving statistics, which stay as they are: gradients as of `model(x, training=False)`.
    Moving,
}

/// A compiled model: a frozen prefix, a trainable suffix, and the freeze setting that both were made from.
#[derive(Debug)]
pub struct Plan {
    pub(crate) prefix: Prefix,
    pub(crate) suffix: Suffix,
    pub(crate) freeze: Freeze,
    pub(crate) boundary: Vec<String>,
    pub(crate) multiply_adds: [u64; 2],
}

impl Plan {
    /// What is frozen.
    pub fn freeze(&self) -> &Freeze {
        &self.freeze
    }

    /// The paths of the layers whose outputs leave the prefix; `input` is the model's own input.
    pub fn boundary(&self) -> &[String] {
        &self.boundary
    }

    /// The frozen prefix.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// The trainable suffix.
    pub fn suffix(&mut self) -> &mut Suffix {
        &mut self.suffix
    }

    /// The program that the suffix runs.
    pub fn suffix_program(&self) -> &frostline_graph::ops::Program {
        self.suffix.program()
    }

    /// Multiply-adds of one image's forward pass: below and above the boundary.
    pub fn multiply_adds(&self) -> [u64; 2] {
        self.multiply_adds
    }

    /// Writes the suffix's weights back into the model (and into every model that shares them).
    pub fn store(&self, model: &Model) -> frostline_graph::Result<()> {
        for (path, value) in self.suffix.weights() {
            model.weights.get(path)?.set(value);
        }
        Ok(())
    }

    /// Predicts images (`[images, input_len]`) from their pixels; for each output of the model `[images, …]`.
    pub fn predict(&mut self, inputs: &[f32], images: usize) -> Vec<Vec<f32>> {
        let mut rows = vec![0.0; images * self.prefix.feature_len()];
        self.prefix.run(inputs, &mut rows);
        self.predict_features(&rows, images)
    }

    /// Predicts images from their feature vectors of boundary values.
    pub fn predict_features(&mut self, rows: &[f32], images: usize) -> Vec<Vec<f32>> {
        if self.suffix.is_empty() {
            return self.split_features(rows, images);
        }
        let feature_len = self.prefix.feature_len();
        let mut outputs = vec![Vec::new(); self.suffix.program().outputs.len()];
        let step = self.suffix.batch().max(1);
        for start in (0..images).step_by(step) {
            let count = step.min(images - start);
            self.suffix.predict(&rows[start * feature_len..][..count * feature_len], count);
            let found = self.suffix.outputs(count);
            outputs.iter_mut().zip(found).for_each(|(all, part)| all.extend_from_slice(part));
        }
        outputs
    }

    /// Nothing is trainable: the boundary values are the outputs. The suffix's outputs say in which order.
    fn split_features(&self, rows: &[f32], images: usize) -> Vec<Vec<f32>> {
        let program = self.suffix.program();
        let len = |value: &frostline_graph::ops::ValueId| program.shape(*value).iter().product::<usize>();
        let feature_len = self.prefix.feature_len();
        let offset = |value: &frostline_graph::ops::ValueId| -> usize {
            program.inputs.iter().take_while(|other| *other != value).map(len).sum()
        };
        let output = |value: &frostline_graph::ops::ValueId| {
            let (start, len) = (offset(value), len(value));
            (0..images).flat_map(|image| rows[image * feature_len + start..][..len].iter().copied()).collect()
        };
        program.outputs.iter().map(output).collect()
    }
}

/// The numbers of a value.
fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}
