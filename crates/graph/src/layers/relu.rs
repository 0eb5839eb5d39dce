//! `ReLU`, `LeakyReLU`, `ELU` and `Softmax` as layers of their own.

use super::{Config, LayerKind, number};
use crate::ops::{Lowering, Permute, Softmax as SoftmaxOp, Unary, ValueId};
use crate::{Error, Result, Shape};
use frostline_kernels::Activation;
use serde_json::{Map, Value, json};

/// `max_value` where `x ≥ max_value`, `x` where `x ≥ threshold`, else `negative_slope · (x − threshold)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Relu {
    /// The largest result, if there is one.
    pub max_value: Option<f32>,
    /// Below the threshold.
    pub negative_slope: f32,
    /// Where the slope of 1 begins.
    pub threshold: f32,
}

/// `x` where `x > 0`, else `negative_slope · x`.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakyRelu {
    /// 0.3 where the config says nothing.
    pub negative_slope: f32,
}

/// `x` where `x > 0`, else `alpha · (exp(x) − 1)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Elu {
    /// 1 where the config says nothing.
    pub alpha: f32,
}

/// `exp(x) / Σ exp(x)` over an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// As the file has it, batch counted.
    pub axis: i64,
}

impl Relu {
    /// Reads `max_value`, `negative_slope`, `threshold`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        Ok(Self {
            max_value: config.f32("max_value")?,
            negative_slope: config.f32_or("negative_slope", 0.0)?,
            threshold: config.f32_or("threshold", 0.0)?,
        })
    }
}

impl LeakyRelu {
    /// Reads `negative_slope`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        Ok(Self { negative_slope: config.f32_or("negative_slope", 0.3)? })
    }
}

impl Elu {
    /// Reads `alpha`.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        Ok(Self { alpha: config.f32_or("alpha", 1.0)? })
    }
}

impl Softmax {
    /// Reads `axis`, which must be one, and not the batch's.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let axis = config.get("axis").unwrap_or(&Value::Null);
        let one = match axis {
            Value::Null => Some(-1),
            Value::Array(axes) if axes.len() == 1 => axes[0].as_i64(),
            axis => axis.as_i64(),
        };
        match one.filter(|axis| *axis != 0) {
            Some(axis) => Ok(Self { axis }),
            None => {
                Err(config
                    .error(format!("softmax over axis {axis}\nhelp: one axis behind the batch can be run")))
            }
        }
    }

    /// The axis without the batch.
    fn axis_of(&self, shape: &Shape) -> Result<usize, String> {
        let counted = if self.axis < 0 { self.axis + shape.len() as i64 } else { self.axis - 1 };
        usize::try_from(counted)
            .ok()
            .filter(|axis| *axis < shape.len())
            .ok_or_else(|| format!("softmax over axis {} of {shape:?}", self.axis))
    }
}

/// Softmax over an axis, counted without the batch.
pub(super) fn softmax_along(lowering: &mut Lowering<'_>, value: ValueId, axis: usize) -> Result<ValueId> {
    let last = lowering.shape(value).len() - 1;
    if axis == last {
        return lowering.push(SoftmaxOp, &[value], &[]);
    }
    let mut order: Vec<usize> = (0..=last).collect();
    order.swap(axis, last);
    let turned = lowering.push(Permute { order: order.clone() }, &[value], &[])?;
    let made = lowering.push(SoftmaxOp, &[turned], &[])?;
    lowering.push(Permute { order }, &[made], &[])
}

impl LayerKind for Relu {
    fn class_name(&self) -> &'static str {
        "ReLU"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("max_value".to_owned(), self.max_value.map_or(Value::Null, number)),
            ("negative_slope".to_owned(), number(self.negative_slope)),
            ("threshold".to_owned(), number(self.threshold)),
        ])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::one_of(inputs).cloned()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let max = self.max_value.unwrap_or(f32::INFINITY);
        let activation =
            Activation::Relu { max, negative_slope: self.negative_slope, threshold: self.threshold };
        lowering.push(Unary { activation }, inputs, &[])
    }
}

impl LayerKind for LeakyRelu {
    fn class_name(&self) -> &'static str {
        "LeakyReLU"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("negative_slope".to_owned(), number(self.negative_slope))])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::one_of(inputs).cloned()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let activation = Activation::LeakyRelu { negative_slope: self.negative_slope };
        lowering.push(Unary { activation }, inputs, &[])
    }
}

impl LayerKind for Elu {
    fn class_name(&self) -> &'static str {
        "ELU"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("alpha".to_owned(), number(self.alpha))])
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Passed
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::one_of(inputs).cloned()
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        lowering.push(Unary { activation: Activation::Elu { alpha: self.alpha } }, inputs, &[])
    }
}

impl LayerKind for Softmax {
    fn class_name(&self) -> &'static str {
        "Softmax"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("axis".to_owned(), json!(self.axis))])
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let input = super::one_of(inputs)?;
        self.axis_of(input).map(|_| input.clone())
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let axis = self.axis_of(lowering.shape(inputs[0])).map_err(Error::surgery)?;
        softmax_along(lowering, inputs[0], axis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn what_the_config_leaves_out_is_as_in_keras() {
        assert_eq!(read("LeakyReLU", json!({})).expect("valid").config()["negative_slope"], json!(0.3));
        assert_eq!(read("ELU", json!({})).expect("valid").config()["alpha"], json!(1.0));
        let relu = read("ReLU", json!({"max_value": 6.0})).expect("valid").config();
        assert_eq!(Value::Object(relu), json!({"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}));
    }

    #[test]
    fn softmax_is_over_one_axis() {
        for axis in [json!(-1), json!(1), json!([2])] {
            let kind = read("Softmax", json!({"axis": axis})).expect("valid");
            assert_eq!(kind.output_shape(&[vec![4, 3]]), Ok(vec![4, 3]));
        }
        assert!(read("Softmax", json!({"axis": 3})).expect("valid").output_shape(&[vec![4, 3]]).is_err());
        for axis in [json!(0), json!([1, 2])] {
            assert!(
                read("Softmax", json!({"axis": axis})).expect_err("refused").to_string().contains("help:")
            );
        }
    }
}
