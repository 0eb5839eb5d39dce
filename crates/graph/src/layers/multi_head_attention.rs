//! `MultiHeadAttention`: every place of the query looks at all places of the value.
//! Source: Vaswani et al. 2017; `keras.layers.MultiHeadAttention`, called on query, value and, where it is another, key.

use super::attention::{AttentionCall, visible};
use super::{Config, Initializer, LayerKind, MaskRule, Sublayer, WeightSpec};
use crate::ops::{
    self, Affine, Binary, BinaryKind, Constant, Dropped, Lowering, Permute, Product, Reshape, Role, Select,
    Softmax, ValueId,
};
use crate::{Error, Result, Shape, Tensor};
use frostline_kernels::Activation;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Attributes as Keras names them. The inputs are `[…places, channels]`. What Keras has in layers within the layer, such as
/// `query/kernel`, are its own weights: `query_kernel` `[channels, heads, key_dim]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiHeadAttention {
    /// Heads that look side by side.
    pub num_heads: usize,
    /// The width of a head's queries and keys.
    pub key_dim: usize,
    /// The width of a head's values.
    pub value_dim: usize,
    /// The share of what is looked at that is dropped while it trains.
    pub dropout: f32,
    /// Whether the projections have biases.
    pub use_bias: bool,
    /// What stands in place of the query's channels; the query's own where nothing is said.
    pub output_shape: Option<Shape>,
    /// The axes of places, batch counted: all of them, or the layer is refused.
    pub attention_axes: Option<Vec<usize>>,
    /// How the kernels begin.
    pub kernel_initializer: Initializer,
    /// How the biases begin.
    pub bias_initializer: Initializer,
    /// How the layer is called.
    pub call: AttentionCall,
}

/// The score of what is not looked at; Keras's.
const LEAST: f32 = f32::MIN * 0.7;

/// A projection onto all heads, or from them.
struct Projection {
    kernel: &'static str,
    bias: &'static str,
    /// The axes that are summed over, and those that come out.
    from: Shape,
    to: Shape,
}

impl Projection {
    fn rows(&self) -> usize {
        self.from.iter().product()
    }

    fn columns(&self) -> usize {
        self.to.iter().product()
    }
}

impl MultiHeadAttention {
    /// Reads the attributes; gates and windows are refused.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        for key in ["use_gate", "sliding_window"] {
            if config.get(key).is_some_and(|value| !value.is_null() && *value != json!(false)) {
                return Err(config.error(format!("it has `{key}`, which frostline does not have")));
            }
        }
        for key in ["flash_attention", "key_shape", "query_shape", "value_shape"] {
            // how Keras computes it, and what it was built on
            let _ = config.get(key);
        }
        let several = |key: &str| -> Result<Option<Shape>> {
            let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
            let numbers: Option<Shape> = match config.get(key) {
                None | Some(Value::Null) => return Ok(None),
                Some(Value::Array(numbers)) => numbers.iter().map(number).collect(),
                Some(one) => number(one).map(|number| vec![number]),
            };
            let numbers = numbers.filter(|numbers| !numbers.contains(&0));
            numbers
                .map(Some)
                .ok_or_else(|| config.error(format!("`{key}` is wrong\nhelp: expected numbers above 0")))
        };
        let [num_heads, key_dim] = [config.usize("num_heads")?, config.usize("key_dim")?];
        let value_dim = match config.get("value_dim") {
            None | Some(Value::Null) => key_dim,
            Some(_) => config.usize("value_dim")?,
        };
        let dropout = config.f32_or("dropout", 0.0)?;
        if [num_heads, key_dim, value_dim].contains(&0) || !(0.0..1.0).contains(&dropout) {
            return Err(config.error(
                "`num_heads`, `key_dim`, `value_dim` or `dropout` is wrong\nhelp: expected numbers above 0, and a share from 0 to below 1",
            ));
        }
        Ok(Self {
            num_heads,
            key_dim,
            value_dim,
            dropout,
            use_bias: config.bool_or("use_bias", true)?,
            output_shape: several("output_shape")?,
            attention_axes: several("attention_axes")?,
            kernel_initializer: Initializer::read(config, "kernel_initializer", Initializer::GLOROT_UNIFORM)?,
            bias_initializer: Initializer::read(config, "bias_initializer", Initializer::Constant(0.0))?,
            call: AttentionCall::from_config(config),
        })
    }

    /// Query, value and key among what the layer is called on: the value is the key where there is no other.
    pub fn operands<T: Clone>(inputs: &[T]) -> Result<[T; 3], String> {
        match inputs {
            [query, value] => Ok([query, value, value].map(T::clone)),
            [query, value, key] => Ok([query, value, key].map(T::clone)),
            _ => Err(format!("expected query, value and perhaps key, received {} inputs", inputs.len())),
        }
    }

    /// Query, key, value and output in Keras's order.
    fn projections(&self, inputs: &[Shape]) -> Result<[Projection; 4], String> {
        let [query, value, key] = &Self::operands(inputs)?;
        let split = |shape: &Shape| match shape.split_last() {
            Some((channels, places)) if !places.is_empty() => Ok((*channels, places.to_vec())),
            _ => Err(format!("expected places with channels, received {shape:?}")),
        };
        let ((channels, places), (of_value, values), (of_key, keys)) =
            (split(query)?, split(value)?, split(key)?);
        if values != keys {
            return Err(format!("value and key have different places: {value:?} and {key:?}"));
        }
        if self.call.causal && places.len() != 1 {
            return Err(format!("it is causal over the places of {query:?}, which have no order"));
        }
        let all: Vec<usize> = (1..=places.len()).collect();
        if places.len() != values.len() || self.attention_axes.as_ref().is_some_and(|axes| *axes != all) {
            return Err(format!(
                "it looks along axes {:?} of {query:?} and {value:?}\nhelp: frostline has attention over all places alone",
                self.attention_axes
            ));
        }
        let (heads, width) = (self.num_heads, self.value_dim);
        let projection = |kernel, bias, from: &[usize], to: &[usize]| Projection {
            kernel,
            bias,
            from: from.to_vec(),
            to: to.to_vec(),
        };
        Ok([
            projection("query_kernel", "query_bias", &[channels], &[heads, self.key_dim]),
            projection("key_kernel", "key_bias", &[of_key], &[heads, self.key_dim]),
            projection("value_kernel", "value_bias", &[of_value], &[heads, width]),
            projection(
                "attention_output_kernel",
                "attention_output_bias",
                &[heads, width],
                self.output_shape.as_deref().unwrap_or(&[channels]),
            ),
        ])
    }

    /// Places in one row, times a kernel.
    fn project(
        &self,
        lowering: &mut Lowering<'_>,
        input: ValueId,
        projection: &Projection,
    ) -> Result<ValueId> {
        let (rows, columns) = (projection.rows(), projection.columns());
        let mut params = vec![lowering.weight(projection.kernel, &[rows, columns], Role::Trainable)];
        if self.use_bias {
            params.push(lowering.weight(projection.bias, &[columns], Role::Trainable));
        }
        let mut shape = lowering.shape(input).clone();
        let channels = shape.pop().unwrap_or(1);
        let places = in_shape(lowering, input, vec![shape.iter().product(), channels])?;
        let op = ops::Dense { bias: self.use_bias, activation: Activation::Linear };
        lowering.push(op, &[places], &params)
    }

    /// `[places, heads · width]` as `[heads, places, width]`.
    fn heads(&self, lowering: &mut Lowering<'_>, projected: ValueId) -> Result<ValueId> {
        let shape = lowering.shape(projected);
        let split = vec![shape[0], self.num_heads, shape[1] / self.num_heads];
        let split = in_shape(lowering, projected, split)?;
        lowering.push(Permute { order: vec![1, 0, 2] }, &[split], &[])
    }
}

/// A value in another shape, where it is another.
fn in_shape(lowering: &mut Lowering<'_>, value: ValueId, shape: Shape) -> Result<ValueId> {
    if *lowering.shape(value) == shape {
        return Ok(value);
    }
    lowering.push(Reshape { shape }, &[value], &[])
}

impl LayerKind for MultiHeadAttention {
    fn class_name(&self) -> &'static str {
        "MultiHeadAttention"
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::from_iter([
            ("num_heads".to_owned(), json!(self.num_heads)),
            ("key_dim".to_owned(), json!(self.key_dim)),
            ("value_dim".to_owned(), json!(self.value_dim)),
            ("dropout".to_owned(), super::number(self.dropout)),
            ("use_bias".to_owned(), json!(self.use_bias)),
            ("output_shape".to_owned(), json!(self.output_shape)),
            ("attention_axes".to_owned(), json!(self.attention_axes)),
            ("kernel_initializer".to_owned(), self.kernel_initializer.to_config()),
            ("bias_initializer".to_owned(), self.bias_initializer.to_config()),
        ]);
        config.extend(self.call.config());
        config
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let mut weights = Vec::new();
        for projection in self.projections(inputs)? {
            let shape = [projection.from.as_slice(), &projection.to].concat();
            let fans = [projection.rows(), projection.columns()];
            let initializer = self.kernel_initializer.of_matrix(&shape, fans);
            weights.push(WeightSpec::trainable(projection.kernel, &shape, initializer));
            if self.use_bias {
                let initializer = self.bias_initializer.clone();
                weights.push(WeightSpec::trainable(projection.bias, &projection.to, initializer));
            }
        }
        Ok(weights)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [.., output] = self.projections(inputs)?;
        let (_, places) = inputs[0].split_last().ok_or("expected places with channels")?;
        Ok([places, &output.to].concat())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shapes: Vec<Shape> = inputs.iter().map(|input| lowering.shape(*input).clone()).collect();
        let [of_query, of_key, of_value, of_output] = self.projections(&shapes).map_err(Error::surgery)?;
        let [query, value, key] = Self::operands(inputs).map_err(Error::surgery)?;
        let mask_of_output = lowering.mask(query);
        let [of_steps, of_values, of_keys] = lowering.seen_masks([query, value, key])?;
        let mut values: Vec<ValueId> = [of_values, of_keys].into_iter().flatten().collect();
        values.dedup();
        let query = self.project(lowering, query, &of_query)?;
        let key = self.project(lowering, key, &of_key)?;
        let value = self.project(lowering, value, &of_value)?;
        let scale = (self.key_dim as f32).sqrt().recip();
        let query = lowering.push(Affine { scale: vec![scale], offset: vec![0.0] }, &[query], &[])?;
        let [query, key, value] = [query, key, value].map(|projected| self.heads(lowering, projected));
        let mut scores = lowering.push(Product { transposed: true }, &[query?, key?], &[])?;
        let extents = [lowering.shape(scores)[1], lowering.shape(scores)[2]];
        let mask = visible(lowering, extents, of_steps, &values, self.call.causal)?;
        if let Some(mask) = mask {
            let least = Constant { tensor: Arc::new(Tensor::filled(&[], LEAST)) };
            let least = lowering.push(least, &[], &[])?;
            scores = lowering.push(Select, &[mask, scores, least], &[])?;
        }
        let mut shares = lowering.push(Softmax, &[scores], &[])?;
        if let (Some(mask), true) = (mask, self.dropout > 0.0) {
            // Keras has two ways: by this one a place that may look at nothing sees nothing, by the other the mean of all
            shares = lowering.push(Binary { kind: BinaryKind::Multiply }, &[shares, mask], &[])?;
        }
        if self.dropout > 0.0 {
            let dropout = ops::Dropout { rate: self.dropout, dropped: Dropped::Elements };
            shares = lowering.push(dropout, &[shares], &[])?;
        }
        let seen = lowering.push(Product { transposed: false }, &[shares, value?], &[])?;
        let seen = lowering.push(Permute { order: vec![1, 0, 2] }, &[seen], &[])?;
        let places = lowering.shape(seen)[0];
        let seen = in_shape(lowering, seen, vec![places, of_output.rows()])?;
        let output = self.project(lowering, seen, &of_output)?;
        let shape = self.output_shape(&shapes).map_err(Error::surgery)?;
        let output = in_shape(lowering, output, shape)?;
        if let Some(mask) = mask_of_output {
            lowering.set_mask(output, mask);
        }
        Ok(output)
    }

    fn keeps_steps(&self) -> bool {
        true
    }

    fn on_mask(&self) -> MaskRule {
        MaskRule::Own
    }

    fn sublayers(&self) -> &'static [Sublayer] {
        const SUBLAYERS: [Sublayer; 4] = [
            Sublayer { name: "query", group: "query_dense" },
            Sublayer { name: "key", group: "key_dense" },
            Sublayer { name: "value", group: "value_dense" },
            Sublayer { name: "attention_output", group: "output_dense" },
        ];
        &SUBLAYERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    fn attention(more: Value) -> Result<crate::layers::Kind> {
        let mut config = json!({"num_heads": 2, "key_dim": 3});
        config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        read("MultiHeadAttention", config)
    }

    #[test]
    fn shapes_are_those_of_keras() {
        let kind =
            attention(json!({"value_dim": 4, "output_shape": [2, 5], "attention_axes": [1]})).expect("valid");
        let inputs = [vec![6, 8], vec![7, 10], vec![7, 12]];
        assert_eq!(kind.output_shape(&inputs), Ok(vec![6, 2, 5]));
        let shapes: Vec<Shape> =
            kind.weights(&inputs).expect("known").into_iter().map(|spec| spec.shape).collect();
        let expected = [
            vec![8, 2, 3],
            vec![2, 3],
            vec![12, 2, 3],
            vec![2, 3],
            vec![10, 2, 4],
            vec![2, 4],
            vec![2, 4, 2, 5],
            vec![2, 5],
        ];
        assert_eq!(shapes, expected);
        let images = [vec![4, 5, 8], vec![3, 2, 8]];
        assert_eq!(attention(json!({})).expect("valid").output_shape(&images), Ok(vec![4, 5, 8]));
    }

    #[test]
    fn kernels_begin_as_the_matrices_that_they_are() {
        // Glorot and Bengio's limit for 64 inputs and 4 heads of 25 outputs, which is what Keras draws with
        let kind = attention(json!({"num_heads": 4, "key_dim": 25})).expect("valid");
        let weights = kind.weights(&[vec![6, 64], vec![6, 64]]).expect("known");
        let limit = (6.0f32 / (64.0 + 100.0)).sqrt();
        for index in [0, 6] {
            let drawn = weights[index].initializer.draw(&weights[index].shape, 1, "heads/kernel");
            let largest = drawn.data.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            assert!((0.99 * limit..=limit).contains(&largest), "{}: {largest}, {limit}", weights[index].name);
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for more in [
            json!({"use_gate": true}),
            json!({"sliding_window": 3}),
            json!({"dropout": 1.0}),
            json!({"key_dim": 0}),
        ] {
            assert!(attention(more).is_err());
        }
        let along_rows = attention(json!({"attention_axes": [2]})).expect("valid");
        let message = along_rows.output_shape(&[vec![4, 5, 8], vec![4, 5, 8]]).expect_err("one of two axes");
        assert!(message.contains("help:"), "{message}");
        let kind = attention(json!({})).expect("valid");
        assert!(kind.output_shape(&[vec![4, 8], vec![3, 8], vec![2, 8]]).is_err(), "other places");
        assert!(kind.output_shape(&[vec![4, 8]]).is_err(), "no value");
    }
}
