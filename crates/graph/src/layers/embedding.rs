//! `Embedding`: for each whole number a vector that is learned. With `mask_zero` the number 0 is a step that does not count.
//! Keras: `keras.layers.Embedding`.

use super::{Config, Initializer, LayerKind, MaskRule, WeightSpec};
use crate::ops::{Binary, BinaryKind, Constant, Embed, Lowering, Role, ValueId};
use crate::{Result, Shape, Tensor};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Numbers from 0 to below this have a vector.
    pub input_dim: usize,
    /// The width of the vectors.
    pub output_dim: usize,
    /// Whether 0 is no step.
    pub mask_zero: bool,
    /// How the vectors begin.
    pub embeddings_initializer: Initializer,
}

impl Embedding {
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let (input_dim, output_dim) = (config.usize("input_dim")?, config.usize("output_dim")?);
        if input_dim == 0 || output_dim == 0 || input_dim >= 1 << 24 {
            return Err(config.error(
                "`input_dim` or `output_dim` is wrong\nhelp: expected numbers above 0, the first below 16,777,216",
            ));
        }
        config.ignore(&[
            "input_length",
            "weights",
            "embeddings_regularizer",
            "embeddings_constraint",
            "sparse",
        ]);
        let initializer = Initializer::Uniform { low: -0.05, high: 0.05 };
        Ok(Self {
            input_dim,
            output_dim,
            mask_zero: config.bool_or("mask_zero", false)?,
            embeddings_initializer: Initializer::read(config, "embeddings_initializer", initializer)?,
        })
    }
}

impl LayerKind for Embedding {
    fn class_name(&self) -> &'static str {
        "Embedding"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("input_dim".to_owned(), json!(self.input_dim)),
            ("output_dim".to_owned(), json!(self.output_dim)),
            ("mask_zero".to_owned(), json!(self.mask_zero)),
            ("embeddings_initializer".to_owned(), self.embeddings_initializer.to_config()),
        ])
    }

    fn weights(&self, _: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let shape = [self.input_dim, self.output_dim];
        Ok(vec![WeightSpec::trainable("embeddings", &shape, self.embeddings_initializer.clone())])
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let input = super::one_of(inputs)?;
        if self.mask_zero && input.len() != 1 {
            return Err(format!("`mask_zero` needs one number a step, received values of {input:?}"));
        }
        Ok([input.as_slice(), &[self.output_dim]].concat())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let table = lowering.weight("embeddings", &[self.input_dim, self.output_dim], Role::Trainable);
        let output = lowering.push(Embed, &inputs[..1], &[table])?;
        if self.mask_zero {
            let zero = Constant { tensor: Arc::new(Tensor::filled(&[1], 0.0)) };
            let zero = lowering.push(zero, &[], &[])?;
            let mask = lowering.push(Binary { kind: BinaryKind::NotEqual }, &[inputs[0], zero], &[])?;
            lowering.set_mask(output, mask);
        }
        Ok(output)
    }

    fn on_mask(&self) -> MaskRule {
        MaskRule::Refused
    }

    fn makes_mask(&self) -> bool {
        self.mask_zero
    }

    fn scale_is_a_row(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn numbers_become_vectors() {
        let kind =
            read("Embedding", json!({"input_dim": 9, "output_dim": 4, "input_length": 7})).expect("valid");
        assert_eq!(kind.output_shape(&[vec![7]]), Ok(vec![7, 4]));
        assert_eq!(kind.output_shape(&[vec![2, 7]]), Ok(vec![2, 7, 4]));
        assert_eq!(kind.weights(&[vec![7]]).expect("known")[0].shape, [9, 4]);
        for config in [json!({"input_dim": 0, "output_dim": 4}), json!({"output_dim": 4})] {
            assert!(read("Embedding", config).is_err());
        }
    }
}
