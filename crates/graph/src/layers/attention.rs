//! `Attention` and `AdditiveAttention`: each place of the query looks at all places of the value, without projections. And what
//! all attention layers have in common: which places may be looked at.
//! Source: Luong et al. 2015; Bahdanau et al. 2015; `keras.layers.Attention`, called on `[query, value]` or `[query, value, key]`.

use super::{CALL, Config, Initializer, LayerKind, MaskRule, MultiHeadAttention, WeightSpec};
use crate::ops::{
    self, Affine, Binary, BinaryKind, ByWeight, ByWeightKind, Constant, Dropped, Lowering, Product, Reduce,
    ReduceKind, Reshape, Role, Select, Softmax, Unary, ValueId,
};
use crate::{Error, Result, Shape, Tensor};
use frostline_kernels::Activation;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What is taken off the scores of places that do not count; Keras's.
const FAR: f32 = 1e9;

/// How much a place of the query has to do with one of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// `q · k`
    Dot,
    /// `w · Σ tanh(scale · (q + k))`
    Concat,
    /// `Σ scale · tanh(q + k)`, with a scale a channel: `AdditiveAttention`.
    Additive,
}

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// `score_mode`, or the class.
    pub score: Score,
    /// Whether a factor is learned.
    pub use_scale: bool,
    /// The share of what is looked at that is dropped while it trains.
    pub dropout: f32,
    /// How the layer is called.
    pub call: AttentionCall,
}

/// Beside the call of a layer: the Keras that wrote the file leaves masks on what an attention layer is called on.
const KEEPS_MASKS: &str = "keeps_masks";

/// How an attention layer is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttentionCall {
    /// With `use_causal_mask`: a place looks at none behind it.
    pub causal: bool,
    /// In a Keras that does not take masks off what the layer is called on.
    pub keeps_masks: bool,
}

impl AttentionCall {
    pub(super) fn from_config(config: &Config<'_>) -> Self {
        let call = config.get(CALL).unwrap_or(&Value::Null);
        Self {
            causal: call["kwargs"]["use_causal_mask"] == json!(true),
            keeps_masks: call[KEEPS_MASKS] == json!(true),
        }
    }

    /// What says so in the config; nothing where there is nothing to say.
    pub fn config(self) -> Option<(String, Value)> {
        let keywords = if self.causal { json!({"use_causal_mask": true}) } else { json!({}) };
        let mut call = json!({ "kwargs": keywords });
        if self.keeps_masks {
            call[KEEPS_MASKS] = json!(true);
        }
        (self != Self::default()).then(|| (CALL.to_owned(), call))
    }
}

/// Ones for the places before each place and itself, zeros for those behind it: `[places, others]`.
pub(super) fn causal_mask(places: usize, others: usize) -> Tensor {
    let data = (0..places * others).map(|at| f32::from(at % others <= at / others)).collect();
    Tensor { shape: vec![places, others], data }
}

/// Which of `others` each of `places` may look at, as ones and zeros of a shape that fits `[places, others]`; none where it may
/// look at all. `query`, `values`: which of them count.
pub(super) fn visible(
    lowering: &mut Lowering<'_>,
    [places, others]: [usize; 2],
    query: Option<ValueId>,
    values: &[ValueId],
    causal: bool,
) -> Result<Option<ValueId>> {
    let mut found = Vec::new();
    if let Some(mask) = query {
        found.push(lowering.push(Reshape { shape: vec![places, 1] }, &[mask], &[])?);
    }
    for mask in values {
        found.push(lowering.push(Reshape { shape: vec![1, others] }, &[*mask], &[])?);
    }
    if causal {
        let tensor = Arc::new(causal_mask(places, others));
        found.push(lowering.push(Constant { tensor }, &[], &[])?);
    }
    let mut found = found.into_iter();
    let Some(mut all) = found.next() else { return Ok(None) };
    for mask in found {
        all = lowering.push(Binary { kind: BinaryKind::Multiply }, &[all, mask], &[])?;
    }
    Ok(Some(all))
}

impl Attention {
    /// Reads the attributes of `Attention`, or of `AdditiveAttention`.
    pub fn from_config(additive: bool, config: &Config<'_>) -> Result<Self> {
        let score = match (additive, config.str_or("score_mode", "dot")?) {
            (true, _) => Score::Additive,
            (false, "dot") => Score::Dot,
            (false, "concat") => Score::Concat,
            (false, other) => {
                return Err(
                    config.error(format!("`score_mode` is `{other}`\nhelp: expected `dot` or `concat`"))
                );
            }
        };
        let dropout = config.f32_or("dropout", 0.0)?;
        if !(0.0..1.0).contains(&dropout) {
            return Err(config.error(format!("`dropout` is {dropout}\nhelp: expected 0 to below 1")));
        }
        let use_scale = config.bool_or("use_scale", additive)?;
        Ok(Self { score, use_scale, dropout, call: AttentionCall::from_config(config) })
    }

    /// `[places, channels]` of the query, `[others, channels]` of the key, and the width of the value.
    fn extents(inputs: &[Shape]) -> Result<([usize; 3], usize), String> {
        let [query, value, key] = MultiHeadAttention::operands(inputs)?;
        match [query.as_slice(), value.as_slice(), key.as_slice()] {
            [&[places, channels], &[values, width], &[others, of_key]]
                if values == others && channels == of_key =>
            {
                Ok(([places, others, channels], width))
            }
            _ => Err(format!("expected a query, a value and a key [places, channels], received {inputs:?}")),
        }
    }

    /// `[places, others]`
    fn scores(
        &self,
        lowering: &mut Lowering<'_>,
        [places, others, channels]: [usize; 3],
        query: ValueId,
        key: ValueId,
    ) -> Result<ValueId> {
        let scaled = |lowering: &mut Lowering<'_>, value: ValueId, name: &str| {
            let weight = lowering.weight(name, &[1], Role::Trainable);
            lowering.push(ByWeight { kind: ByWeightKind::Scale }, &[value], &[weight])
        };
        if self.score == Score::Dot {
            let scores = lowering.push(Product { transposed: true }, &[query, key], &[])?;
            return if self.use_scale { scaled(lowering, scores, "scale") } else { Ok(scores) };
        }
        let query = lowering.push(Reshape { shape: vec![places, 1, channels] }, &[query], &[])?;
        let key = lowering.push(Reshape { shape: vec![1, others, channels] }, &[key], &[])?;
        let mut both = lowering.push(Binary { kind: BinaryKind::Add }, &[query, key], &[])?;
        if self.score == Score::Concat && self.use_scale {
            both = scaled(lowering, both, "scale")?;
        }
        both = lowering.push(Unary { activation: Activation::Tanh }, &[both], &[])?;
        if self.score == Score::Additive && self.use_scale {
            let scale = lowering.weight("scale", &[channels], Role::Trainable);
            both = lowering.push(ByWeight { kind: ByWeightKind::Scale }, &[both], &[scale])?;
        }
        let sum = Reduce { kind: ReduceKind::Sum, axes: vec![2], keep_dims: false };
        let scores = lowering.push(sum, &[both], &[])?;
        if self.score == Score::Concat { scaled(lowering, scores, "concat_score_weight") } else { Ok(scores) }
    }
}

impl LayerKind for Attention {
    fn class_name(&self) -> &'static str {
        if self.score == Score::Additive { "AdditiveAttention" } else { "Attention" }
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = Map::from_iter([
            ("use_scale".to_owned(), json!(self.use_scale)),
            ("dropout".to_owned(), super::number(self.dropout)),
        ]);
        match self.score {
            Score::Dot => drop(config.insert("score_mode".to_owned(), json!("dot"))),
            Score::Concat => drop(config.insert("score_mode".to_owned(), json!("concat"))),
            Score::Additive => {}
        }
        config.extend(self.call.config());
        config
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let ([_, _, channels], _) = Self::extents(inputs)?;
        let scale = match self.score {
            Score::Additive => WeightSpec::trainable("scale", &[channels], Initializer::GLOROT_UNIFORM),
            _ => WeightSpec::trainable("scale", &[], Initializer::Constant(1.0)),
        };
        let factor = || WeightSpec::trainable("concat_score_weight", &[], Initializer::Constant(1.0));
        let scale = self.use_scale.then_some(scale);
        Ok(scale.into_iter().chain((self.score == Score::Concat).then(factor)).collect())
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let ([places, ..], width) = Self::extents(inputs)?;
        Ok(vec![places, width])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let shapes: Vec<Shape> = inputs.iter().map(|input| lowering.shape(*input).clone()).collect();
        let (extents, _) = Self::extents(&shapes).map_err(Error::surgery)?;
        let [places, others, _] = extents;
        let [query, value, key] = MultiHeadAttention::operands(inputs).map_err(Error::surgery)?;
        let mask_of_output = lowering.mask(query);
        let [of_query, of_value] = lowering.seen_masks([query, value])?;
        let mut scores = self.scores(lowering, extents, query, key)?;
        let values: Vec<ValueId> = of_value.into_iter().collect();
        if let Some(mask) = visible(lowering, [places, others], None, &values, self.call.causal)? {
            let far = Affine { scale: vec![1.0], offset: vec![-FAR] };
            let far = lowering.push(far, &[scores], &[])?;
            scores = lowering.push(Select, &[mask, scores, far], &[])?;
        }
        let mut shares = lowering.push(Softmax, &[scores], &[])?;
        if self.dropout > 0.0 {
            let dropout = ops::Dropout { rate: self.dropout, dropped: Dropped::Elements };
            shares = lowering.push(dropout, &[shares], &[])?;
        }
        let mut seen = lowering.push(Product { transposed: false }, &[shares, value], &[])?;
        if let Some(mask) = of_query {
            let column = lowering.push(Reshape { shape: vec![places, 1] }, &[mask], &[])?;
            seen = lowering.push(Binary { kind: BinaryKind::Multiply }, &[seen, column], &[])?;
        }
        if let Some(mask) = mask_of_output {
            lowering.set_mask(seen, mask);
        }
        Ok(seen)
    }

    fn takes_list(&self) -> bool {
        true
    }

    fn keeps_steps(&self) -> bool {
        true
    }

    fn on_mask(&self) -> MaskRule {
        MaskRule::Own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn shapes_and_weights_are_those_of_keras() {
        let inputs = [vec![6, 8], vec![7, 5], vec![7, 8]];
        let names = |class: &str, config: Value| -> Vec<(&'static str, Shape)> {
            let kind = read(class, config).expect("valid");
            assert_eq!(kind.output_shape(&inputs), Ok(vec![6, 5]));
            kind.weights(&inputs).expect("known").into_iter().map(|spec| (spec.name, spec.shape)).collect()
        };
        assert_eq!(names("Attention", json!({})), []);
        assert_eq!(names("AdditiveAttention", json!({})), [("scale", vec![8])]);
        let concat = json!({"score_mode": "concat", "use_scale": true});
        assert_eq!(names("Attention", concat), [("scale", vec![]), ("concat_score_weight", vec![])]);
    }

    #[test]
    fn no_place_looks_at_those_behind_it() {
        assert_eq!(causal_mask(2, 3).data, [1., 0., 0., 1., 1., 0.]);
        let call = AttentionCall { causal: true, ..AttentionCall::default() };
        let config = Value::Object(Map::from_iter(call.config()));
        let kind = read("Attention", config).expect("valid");
        let again = read("Attention", Value::Object(kind.config())).expect("valid");
        assert!(matches!(again, crate::layers::Kind::Attention(layer) if layer.call == call));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(read("Attention", json!({"score_mode": "cosine"})).is_err());
        assert!(read("Attention", json!({"dropout": 1.0})).is_err());
        let kind = read("Attention", json!({})).expect("valid");
        assert!(kind.output_shape(&[vec![6, 8]]).is_err(), "no value");
        assert!(kind.output_shape(&[vec![6, 8], vec![7, 5]]).is_err(), "the value is the key");
    }
}
