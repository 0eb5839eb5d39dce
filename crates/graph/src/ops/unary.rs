//! `unary`: an activation function, element by element.

use super::images::{each_image, image};
use super::{Backward, Cost, Instance, OpKind, Reads, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{Activation, activate, activate_backward};

/// Attributes: the function.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// The function.
    pub activation: Activation,
}

impl OpKind for Unary {
    fn name(&self) -> &'static str {
        "unary"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        one_of(inputs).cloned()
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: values, bytes: 8 * values }
    }

    fn bind(&self, _: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        Box::new(Bound { activation: self.activation })
    }
}

struct Bound {
    activation: Activation,
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        activate(self.activation, inputs[0], output);
    }

    fn reads(&self, _trains: bool) -> Reads {
        // where a bound is passed the output says so
        let either =
            matches!(self.activation, Activation::Relu { max: 0.0.., negative_slope: 0.0, threshold: 0.0 });
        Reads { inputs: true, output: either, either }
    }

    fn is_pixelwise(&self) -> bool {
        true
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (activation, batch) = (self.activation, args.batch);
        let at = if args.inputs[0].is_empty() { args.output } else { args.inputs[0] };
        if let Some(dx) = &mut args.input_grads[0] {
            each_image(batch, dx.to_add(), |index, dx| {
                let (x, dy) = (image(at, batch, index), image(args.output_grad, batch, index));
                activate_backward(activation, x, dy, dx);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    const ALL: [Activation; 16] = [
        Activation::Linear,
        Activation::Relu { max: f32::INFINITY, negative_slope: 0.0, threshold: 0.0 },
        Activation::Relu { max: 6.0, negative_slope: 0.25, threshold: 1.0 },
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::HardSigmoid,
        Activation::HardSilu,
        Activation::Elu { alpha: 0.7 },
        Activation::Selu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Softplus,
        Activation::Softsign,
        Activation::Exponential,
        Activation::LeakyRelu { negative_slope: 0.2 },
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]
        #[test]
        fn backward_of_every_activation_agrees_with_differences(len in 30usize..70, seed: u64) {
            // many values: where all are far from zero a slope is smaller than the rounding of its difference
            for activation in ALL {
                Check::of(Unary { activation }, &[&[len]]).up_to(512).images(3).run(seed);
            }
        }
    }
}
