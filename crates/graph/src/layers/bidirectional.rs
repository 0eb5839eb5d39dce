//! `Bidirectional`: a recurrent layer along a sequence and one against it, put together.
//! Keras: `keras.layers.Bidirectional`.

use super::{Config, Kind, LayerKind, MaskRule, Recurrent, Sublayer, WeightSpec, read_kind};
use crate::ops::{Affine, Binary, BinaryKind, Concat, Lowering, Take, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value, json};

/// How both outputs are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MergeMode {
    Concat,
    Sum,
    Average,
    Multiply,
}

/// Two recurrent layers.
#[derive(Clone, Debug)]
pub struct Bidirectional {
    forward: Box<Recurrent>,
    backward: Box<Recurrent>,
    merge: MergeMode,
    /// Verbatim.
    config: Map<String, Value>,
}

const FORWARD: [&str; 3] = ["forward_cell_kernel", "forward_cell_recurrent_kernel", "forward_cell_bias"];
const BACKWARD: [&str; 3] = ["backward_cell_kernel", "backward_cell_recurrent_kernel", "backward_cell_bias"];

impl Bidirectional {
    /// Reads both layers: where the second is not said, it is the first the other way round.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let whole = config.take_all();
        let forward = recurrent(config, whole.get("layer"), false)?;
        let backward = match whole.get("backward_layer") {
            Some(layer) if !layer.is_null() => recurrent(config, Some(layer), false)?,
            _ => recurrent(config, whole.get("layer"), true)?,
        };
        if forward.go_backwards == backward.go_backwards
            || forward.return_sequences != backward.return_sequences
        {
            return Err(config.error("its two layers do not fit together\nhelp: one must have `go_backwards`, and both the same `return_sequences`"));
        }
        let merge = match whole.get("merge_mode").map_or(Some("concat"), Value::as_str) {
            Some("concat") => MergeMode::Concat,
            Some("sum") => MergeMode::Sum,
            Some("ave") => MergeMode::Average,
            Some("mul") => MergeMode::Multiply,
            _ => return Err(config.error("`merge_mode` is none of concat, sum, ave and mul\nhelp: put both outputs together in the layer")),
        };
        Ok(Self { forward: Box::new(forward), backward: Box::new(backward), merge, config: whole })
    }

    /// Along the sequence, and against it.
    pub fn layers(&self) -> [&Recurrent; 2] {
        [&self.forward, &self.backward]
    }
}

/// One of the two layers from its JSON, or the same the other way round.
fn recurrent(config: &Config<'_>, layer: Option<&Value>, turned: bool) -> Result<Recurrent> {
    let missing = || {
        config.error("it holds no layer that can be run\nhelp: frostline has LSTM, GRU and SimpleRNN in it")
    };
    let layer = layer.ok_or_else(missing)?;
    let class = layer["class_name"].as_str().unwrap_or_default();
    let mut settings = layer["config"].as_object().cloned().ok_or_else(missing)?;
    if turned {
        let turned = !settings.get("go_backwards").and_then(Value::as_bool).unwrap_or(false);
        settings.insert("go_backwards".to_owned(), json!(turned));
    }
    match read_kind(class, &config.of(&settings)) {
        Some(Ok(Kind::Recurrent(layer))) => Ok(layer),
        Some(Err(error)) => Err(error),
        _ => Err(missing()),
    }
}

impl LayerKind for Bidirectional {
    fn class_name(&self) -> &'static str {
        "Bidirectional"
    }

    fn config(&self) -> Map<String, Value> {
        self.config.clone()
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let mut weights = self.forward.named_weights(inputs, FORWARD)?;
        weights.extend(self.backward.named_weights(inputs, BACKWARD)?);
        Ok(weights)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let mut shape = self.forward.output_shape(inputs)?;
        let other = self.backward.output_shape(inputs)?;
        match self.merge {
            MergeMode::Concat => {
                let more = other.last().copied().unwrap_or(0);
                shape.last_mut().into_iter().for_each(|channels| *channels += more);
            }
            _ if shape != other => {
                return Err(format!("outputs of {shape:?} and {other:?} cannot be put together"));
            }
            _ => {}
        }
        Ok(shape)
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let sequences = self.forward.return_sequences;
        let forward = self.forward.lower_named(lowering, inputs[0], FORWARD, sequences)?;
        let mut backward = self.backward.lower_named(lowering, inputs[0], BACKWARD, sequences)?;
        if sequences {
            let steps = lowering.shape(backward)[0];
            backward = lowering.push(Take::new(0, (0..steps).rev()), &[backward], &[])?;
        }
        let both = [forward, backward];
        let output = match self.merge {
            MergeMode::Concat => {
                let axis = lowering.shape(forward).len() - 1;
                lowering.push(Concat { axis }, &both, &[])?
            }
            MergeMode::Multiply => lowering.push(Binary { kind: BinaryKind::Multiply }, &both, &[])?,
            MergeMode::Sum => lowering.push(Binary { kind: BinaryKind::Add }, &both, &[])?,
            MergeMode::Average => {
                let sum = lowering.push(Binary { kind: BinaryKind::Add }, &both, &[])?;
                lowering.push(Affine { scale: vec![0.5], offset: vec![0.0] }, &[sum], &[])?
            }
        };
        if let (true, Some(mask)) = (sequences, lowering.mask(inputs[0])) {
            lowering.set_mask(output, mask);
        }
        Ok(output)
    }

    fn sublayers(&self) -> &'static [Sublayer] {
        &[
            Sublayer { name: "forward_cell", group: "forward_layer/cell" },
            Sublayer { name: "backward_cell", group: "backward_layer/cell" },
        ]
    }

    fn keeps_steps(&self) -> bool {
        self.forward.return_sequences
    }

    fn on_mask(&self) -> MaskRule {
        MaskRule::Own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    fn layer(settings: Value, merge: Value) -> Result<Kind> {
        read(
            "Bidirectional",
            json!({"layer": {"class_name": "LSTM", "config": settings}, "merge_mode": merge}),
        )
    }

    #[test]
    fn both_outputs_are_put_together() {
        let shape = |merge: &str, sequences: bool| {
            let kind =
                layer(json!({"units": 4, "return_sequences": sequences}), json!(merge)).expect("valid");
            kind.output_shape(&[vec![5, 3]]).expect("a sequence")
        };
        assert_eq!(shape("concat", true), [5, 8]);
        assert_eq!(shape("concat", false), [8]);
        assert_eq!(shape("sum", true), [5, 4]);
        let kind = layer(json!({"units": 4}), json!("ave")).expect("valid");
        let names: Vec<&str> =
            kind.weights(&[vec![5, 3]]).expect("known").iter().map(|weight| weight.name).collect();
        assert_eq!(names, [FORWARD, BACKWARD].concat());
    }

    #[test]
    fn what_is_not_there_is_refused() {
        assert!(layer(json!({"units": 4}), json!(null)).is_err(), "two outputs");
        assert!(layer(json!({"units": 4, "return_state": true}), json!("sum")).is_err());
        assert!(
            read("Bidirectional", json!({"layer": {"class_name": "Dense", "config": {"units": 4}}})).is_err()
        );
    }
}
