//! `conv2d`: a 2-D convolution with strides, dilation and groups. Kernels are HWIO.

use super::parallel::{Pieces, image};
use super::window::window;
use super::{Backward, Cost, Forward, Infer, Instance, OpKind, Padding, one_of};
use crate::Shape;
use frostline_kernels::{
    Activation, Bf16, ConvShape, Epilogue, PackedConv, PackedConvGradient, scratch_floats, scratch_of,
};

/// Inputs: `x [height, width, channels]`, and with `residual` a value of the output's shape. Weights: kernel
/// `[kernel_h, kernel_w, channels / groups, out_channels]`, and with `bias` `[out_channels]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Down and across.
    pub strides: [usize; 2],
    /// Around the image.
    pub padding: Padding,
    /// Distance of the kernel's taps.
    pub dilation: [usize; 2],
    /// Channels are convolved in this many groups, each by itself.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// Applied to the result. Fusion sets it, in frozen prefixes.
    pub activation: Activation,
    /// Whether a second input is added before the activation. Fusion sets it, in frozen prefixes.
    pub residual: bool,
}

impl Conv2d {
    fn shape(&self, input: &Shape, params: &[Shape]) -> Result<ConvShape, String> {
        let Some(&[kernel_h, kernel_w, in_channels, out_channels]) = params.first().map(Vec::as_slice) else {
            return Err(format!("expected a kernel of four dimensions, received {params:?}"));
        };
        let window = window(input, [kernel_h, kernel_w], self.strides, self.dilation, self.padding)?;
        let groups = self.groups.max(1);
        if in_channels * groups != window.channels || !out_channels.is_multiple_of(groups) {
            let shape = &params[0];
            return Err(format!(
                "a kernel of {shape:?} in {groups} groups does not fit an image of {input:?}"
            ));
        }
        Ok(ConvShape { window, out_channels, groups })
    }
}

impl OpKind for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let shape = self.shape(one_of(inputs)?, params)?;
        Ok(vec![shape.window.out_height(), shape.window.out_width(), shape.out_channels])
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        let Ok(shape) = self.shape(&inputs[0], params) else { return Cost::default() };
        let pixels = shape.window.out_height() * shape.window.out_width();
        let weights: usize = params[0].iter().product();
        let values = inputs[0].iter().product::<usize>() + pixels * shape.out_channels;
        Cost { multiply_adds: (pixels * weights) as u64, bytes: 4 * values as u64 }
    }

    fn bind(&self, inputs: &[Shape], params: &[Shape], batch: usize) -> Box<dyn Instance> {
        let shape = self.shape(&inputs[0], params).expect("the shape was checked when the op was pushed");
        let weights: Vec<f32> = vec![0.0; params[0].iter().product()];
        let packed = PackedConv::new(shape, &weights);
        let gradient = (batch > 0).then(|| PackedConvGradient::new(shape, &weights));
        let scratch = packed.scratch_len().max(gradient.as_ref().map_or(0, PackedConvGradient::scratch_len));
        let gradient_scratch =
            if batch > 0 { frostline_kernels::conv_backward_weights_scratch_len(&shape) } else { 0 };
        Box::new(Bound {
            op: self.clone(),
            pieces: Pieces::new(batch, scratch),
            sums: Pieces::with_sums(batch, gradient_scratch, weights.len() + shape.out_channels, 0),
            weights_len: weights.len(),
            packed,
            gradient,
            gradient_is_stale: true,
        })
    }

    fn bind_bf16(
        &self,
        inputs: &[Shape],
        params: &[Shape],
        weights: &[&[f32]],
    ) -> Option<Box<dyn Infer<Bf16>>> {
        let packed = PackedConv::new(self.shape(&inputs[0], params).ok()?, weights[0]);
        Some(Box::new(Halved { op: self.clone(), packed }))
    }
}

/// In bf16.
struct Halved {
    op: Conv2d,
    packed: PackedConv<Bf16>,
}

impl Infer<Bf16> for Halved {
    fn scratch(&self) -> usize {
        scratch_floats::<Bf16>(self.packed.scratch_len())
    }

    fn infer(&self, inputs: &[&[Bf16]], params: &[&[f32]], output: &mut [Bf16], scratch: &mut [f32]) {
        let bias = self.op.bias.then(|| params[1]);
        let residual = self.op.residual.then(|| inputs[1]);
        let epilogue = Epilogue { bias, residual, activation: self.op.activation };
        self.packed.forward(inputs[0], output, epilogue, scratch_of(scratch));
    }
}

struct Bound {
    op: Conv2d,
    packed: PackedConv,
    gradient: Option<PackedConvGradient>,
    gradient_is_stale: bool,
    weights_len: usize,
    pieces: Pieces,
    sums: Pieces,
}

impl Instance for Bound {
    fn load(&mut self, params: &[&[f32]]) {
        self.packed.repack(params[0]);
        self.gradient_is_stale = true;
    }

    fn infer_scratch(&self) -> usize {
        self.packed.scratch_len()
    }

    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        let bias = self.op.bias.then(|| params[1]);
        let residual = self.op.residual.then(|| inputs[1]);
        self.packed.forward(
            inputs[0],
            output,
            Epilogue { bias, residual, activation: self.op.activation },
            scratch,
        );
    }

    fn forward(&mut self, args: Forward<'_>) {
        debug_assert!(!self.op.residual, "fused convolutions are in frozen prefixes only");
        let (packed, op) = (&self.packed, &self.op);
        let epilogue =
            Epilogue { bias: op.bias.then(|| args.params[1]), residual: None, activation: op.activation };
        self.pieces.each_image(args.batch, args.output, |index, y, scratch| {
            packed.forward(image(args.inputs[0], args.batch, index), y, epilogue, scratch);
        });
    }

    fn backward(&mut self, args: Backward<'_, '_>) {
        debug_assert!(
            self.op.activation == Activation::Linear,
            "fused convolutions are in frozen prefixes only"
        );
        let (batch, dy) = (args.batch, args.output_grad);
        if let (Some(dx), Some(gradient)) = (&mut args.input_grads[0], &mut self.gradient) {
            if std::mem::take(&mut self.gradient_is_stale) {
                gradient.repack(args.params[0]);
            }
            let gradient = &*gradient;
            self.pieces.each_image(batch, dx, |index, dx, scratch| {
                gradient.backward_input(image(dy, batch, index), dx, scratch);
            });
        }
        let (shape, weights_len) = (self.packed.shape(), self.weights_len);
        if args.param_grads.iter().any(Option::is_some) {
            let wants_kernel = args.param_grads[0].is_some();
            self.sums.sum_images(batch, |index, piece| {
                let (dw, db) = piece.sums.split_at_mut(weights_len);
                let dy = image(dy, batch, index);
                if wants_kernel {
                    let x = image(args.inputs[0], batch, index);
                    frostline_kernels::conv_backward_weights(&shape, x, dy, dw, &mut piece.scratch);
                }
                frostline_kernels::sum_channels(shape.out_channels, dy, db);
            });
            for (offset, grad) in [0, weights_len].into_iter().zip(args.param_grads.iter_mut()) {
                if let Some(grad) = grad {
                    self.sums.add_sums(offset, grad);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    fn padding(choice: usize) -> Padding {
        [Padding::Valid, Padding::Same, Padding::Explicit { top: 1, bottom: 0, left: 2, right: 1 }][choice]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn backward_agrees_with_differences(
            size in [4usize..8, 4usize..8],
            kernel in [1usize..4, 1usize..4],
            strides in [1usize..3, 1usize..3],
            dilation in [1usize..3, 1usize..3],
            choice in 0usize..3,
            channels in [1usize..4, 1usize..4],
            groups in 1usize..3,
            bias: bool,
            seed: u64,
        ) {
            // a kernel with dilation spans at most 5 of the 4 rows: then it is not dilated
            let dilation = [0, 1].map(|axis| if kernel[axis] == 3 { 1 } else { dilation[axis] });
            let op = Conv2d {
                strides, padding: padding(choice), dilation, groups, bias, activation: Activation::Linear, residual: false,
            };
            let [into, out] = channels;
            let kernel = [kernel[0], kernel[1], into, out * groups];
            let weights: Vec<&[usize]> = if bias { vec![&kernel, &kernel[3..]] } else { vec![&kernel] };
            Check::of(op, &[&[size[0], size[1], into * groups]]).weights(&weights).linear().run(seed);
        }

        /// As wide as the register tiles, which take 32 channels at a time.
        #[test]
        fn backward_of_wide_layers_agrees_with_differences(out in 30usize..40, side in 1usize..3, seed: u64) {
            let op = Conv2d {
                strides: [1, 1], padding: Padding::Same, dilation: [1, 1], groups: 1, bias: true,
                activation: Activation::Linear, residual: false,
            };
            Check::of(op, &[&[4, 5, 3]]).weights(&[&[side, side, 3, out], &[out]]).linear().run(seed);
        }
    }
}
