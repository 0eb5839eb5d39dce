//! `TimeDistributed`: one layer on each step of a sequence.
//! Keras: `keras.layers.TimeDistributed`.

use super::three_dimensional::on_each_slice;
use super::{Config, Dropout, GlobalPooling2D, Kind, LayerKind, MaskRule, Sublayer, WeightSpec, read_kind};
use crate::ops::{Concat, Dropped, Lowering, Reshape, Take, ValueId};
use crate::{Error, Result, Shape};
use serde_json::{Map, Value};

/// A layer, and the config that holds it.
#[derive(Clone, Debug)]
pub struct TimeDistributed {
    layer: Box<Kind>,
    /// Verbatim.
    config: Map<String, Value>,
}

/// Names of an inner layer's weights in the layer. An inner layer with others is refused.
const NAMES: &[(&str, &str)] = &[
    ("kernel", "layer_kernel"),
    ("bias", "layer_bias"),
    ("gamma", "layer_gamma"),
    ("beta", "layer_beta"),
    ("depthwise_kernel", "layer_depthwise_kernel"),
    ("pointwise_kernel", "layer_pointwise_kernel"),
    ("alpha", "layer_alpha"),
    ("embeddings", "layer_embeddings"),
    ("moving_mean", "layer_moving_mean"),
    ("moving_variance", "layer_moving_variance"),
];

impl TimeDistributed {
    /// Reads the inner layer. One that goes along a sequence itself is refused.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let whole = config.take_all();
        let inner = whole.get("layer").unwrap_or(&Value::Null);
        let class = inner["class_name"].as_str().unwrap_or_default();
        let refused = |why: &str| config.error(format!("it holds a `{class}`, {why}"));
        let settings = inner["config"].as_object().ok_or_else(|| refused("which cannot be read"))?;
        let layer =
            read_kind(class, &config.of(settings)).ok_or_else(|| refused("which is not run in it"))??;
        match layer {
            Kind::Recurrent(_) | Kind::Bidirectional(_) | Kind::TimeDistributed(_) => {
                Err(refused("which is not run in it"))
            }
            _ if layer.makes_mask() => Err(refused("whose mask is not run in it")),
            _ => Ok(Self { layer: Box::new(layer), config: whole }),
        }
    }

    fn step_by_step(
        &self,
        lowering: &mut Lowering<'_>,
        input: ValueId,
        steps: usize,
        step: &Shape,
    ) -> Result<ValueId> {
        let mut outputs = Vec::with_capacity(steps);
        for place in 0..steps {
            let one = lowering.push(Take::new(0, [place]), &[input], &[])?;
            let one = lowering.push(Reshape { shape: step.clone() }, &[one], &[])?;
            let made = lowering.within("layer_", |lowering| self.layer.lower(lowering, &[one]))?;
            let shape = [&[1], lowering.shape(made).as_slice()].concat();
            outputs.push(lowering.push(Reshape { shape }, &[made], &[])?);
        }
        if outputs.len() == 1 { Ok(outputs[0]) } else { lowering.push(Concat { axis: 0 }, &outputs, &[]) }
    }

    /// The shape of one step.
    fn step(inputs: &[Shape]) -> Result<(usize, Shape), String> {
        match super::one_of(inputs)?.split_first() {
            Some((steps, rest)) if !rest.is_empty() && *steps > 0 => Ok((*steps, rest.to_vec())),
            _ => Err(format!("expected a sequence [steps, …], received {:?}", inputs[0])),
        }
    }
}

impl LayerKind for TimeDistributed {
    fn class_name(&self) -> &'static str {
        "TimeDistributed"
    }

    fn config(&self) -> Map<String, Value> {
        self.config.clone()
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let (_, step) = Self::step(inputs)?;
        let mut weights = self.layer.weights(&[step])?;
        for weight in &mut weights {
            let name = NAMES.iter().find(|(own, _)| *own == weight.name);
            match name {
                Some((_, name)) => weight.name = name,
                _ => {
                    return Err(format!(
                        "its layer has a weight `{}`, which is not run step by step",
                        weight.name
                    ));
                }
            }
        }
        Ok(weights)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (steps, step) = Self::step(inputs)?;
        self.weights(inputs)?;
        Ok([&[steps], self.layer.output_shape(&[step])?.as_slice()].concat())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let input = inputs[0];
        let (steps, step) = Self::step(&[lowering.shape(input).clone()]).map_err(Error::surgery)?;
        let is_of_images = step.len() == 3;
        let output = match &*self.layer {
            Kind::BatchNormalization(_) if !lowering.is_inference() => {
                return Err(lowering.error(
                    "a `BatchNormalization` in it is not trained: Keras takes the statistics of each step by itself\nhelp: freeze the layer",
                ));
            }
            // they look at the last axis alone, or at each number
            Kind::Activation(_)
            | Kind::BatchNormalization(_)
            | Kind::Dense(_)
            | Kind::Dropout(Dropout { dropped: Dropped::Elements, .. })
            | Kind::Elu(_)
            | Kind::Identity(_)
            | Kind::LayerNormalization(_)
            | Kind::LeakyRelu(_)
            | Kind::Relu(_)
            | Kind::Rescaling(_) => {
                lowering.within("layer_", |lowering| self.layer.lower(lowering, &[input]))?
            }
            Kind::Conv2D(layer) if is_of_images => {
                lowering.within("layer_", |lowering| layer.lower_on_slices(lowering, input))?
            }
            Kind::Cropping2D(_)
            | Kind::GlobalPooling2D(GlobalPooling2D { channels_first: false, .. })
            | Kind::Pooling2D(_)
            | Kind::UpSampling2D(_)
            | Kind::ZeroPadding2D(_)
                if is_of_images =>
            {
                on_each_slice(lowering, &self.layer, input)?
            }
            Kind::Flatten(_) => {
                lowering.push(Reshape { shape: vec![steps, step.iter().product()] }, &[input], &[])?
            }
            _ => self.step_by_step(lowering, input, steps, &step)?,
        };
        if let Some(mask) = lowering.mask(input) {
            lowering.set_mask(output, mask);
        }
        Ok(output)
    }

    fn sublayers(&self) -> &'static [Sublayer] {
        &[Sublayer { name: "layer", group: "layer" }]
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
    use serde_json::json;

    fn of(class: &str, settings: Value) -> Result<Kind> {
        read("TimeDistributed", json!({"layer": {"class_name": class, "config": settings}}))
    }

    #[test]
    fn the_steps_stay_in_front() {
        let kind = of("Dense", json!({"units": 4})).expect("valid");
        assert_eq!(kind.output_shape(&[vec![5, 3]]), Ok(vec![5, 4]));
        let kind = of("Conv2D", json!({"filters": 2, "kernel_size": 3})).expect("valid");
        assert_eq!(kind.output_shape(&[vec![5, 8, 7, 3]]), Ok(vec![5, 6, 5, 2]));
        assert_eq!(kind.weights(&[vec![5, 8, 7, 3]]).expect("known")[0].name, "layer_kernel");
    }

    #[test]
    fn what_is_not_run_step_by_step_is_refused() {
        assert!(of("LSTM", json!({"units": 2})).is_err());
        assert!(of("Functional", json!({"layers": []})).is_err());
    }
}
