//! `conv2d`: a 2-D convolution with strides, dilation and groups. Kernels are HWIO.

use super::images::{each_image, image, image_mut};
use super::{
    Backward, Cost, Forward, Infer, Instance, MICRO_BATCHES, Needs, OpKind, Quantizations, Reads, Sliding,
    one_of,
};
use crate::{Extents, Shape};
use frostline_kernels::{
    Activation, Bf16, ConvShape, Convolution, Epilogue, PackedConv, PackedConvGradient, QuantizedConv,
    Window, scratch_floats, scratch_of,
};

/// Inputs: `x [height, width, channels]`, and with `residual` a value of the output's shape. Weights: kernel
/// `[kernel_h, kernel_w, channels / groups, out_channels]`, and with `bias` `[out_channels]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// How the kernel slides over the image.
    pub sliding: Sliding,
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
        let window = self.sliding.window(input, [kernel_h, kernel_w])?;
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
        let values = inputs[0].elements() + pixels * shape.out_channels;
        Cost { multiply_adds: (pixels * weights) as u64, bytes: 4 * values as u64 }
    }

    fn bind(&self, inputs: &[Shape], params: &[Shape], batch: usize) -> Box<dyn Instance> {
        let shape = self.shape(&inputs[0], params).expect("the shape was checked when the op was pushed");
        let weights: Vec<f32> = vec![0.0; params[0].iter().product()];
        let images = batch.div_ceil(MICRO_BATCHES).max(1);
        let packed = Convolution::new(shape, &weights, images);
        let gradient = (batch > 0).then(|| PackedConvGradient::for_batches(shape, &weights, images));
        let scratch = packed
            .scratch_len()
            .max(gradient.as_ref().map_or(0, PackedConvGradient::scratch_len))
            .max(if batch > 0 { frostline_kernels::conv_backward_weights_scratch_len(&shape) } else { 0 });
        Box::new(Bound { op: self.clone(), scratch, packed, gradient })
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

    fn bind_int8(
        &self,
        inputs: &[Shape],
        params: &[Shape],
        weights: &[&[f32]],
        between: &Quantizations<'_>,
    ) -> Option<Box<dyn Infer<u8>>> {
        let shape = self.shape(&inputs[0], params).ok()?;
        let bias = self.bias.then(|| weights[1]);
        let residual = self.residual.then(|| between.inputs[1]);
        let ends = [between.inputs[0], between.output];
        self.activation.only_bounds().then(|| {
            Box::new(Quantized { conv: QuantizedConv::new(shape, weights[0], bias, ends, residual) }) as _
        })
    }
}

/// In bytes.
struct Quantized {
    conv: QuantizedConv,
}

impl Infer<u8> for Quantized {
    fn scratch(&self) -> usize {
        self.conv.scratch_len().div_ceil(size_of::<f32>())
    }

    fn infer(&self, inputs: &[&[u8]], _: &[&[f32]], output: &mut [u8], scratch: &mut [f32]) {
        self.conv.forward(inputs[0], inputs.get(1).copied(), output, bytemuck::cast_slice_mut(scratch));
    }

    fn window(&self) -> Option<Window> {
        pointwise(&self.conv.shape())
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

    fn window(&self) -> Option<Window> {
        pointwise(&self.packed.shape())
    }
}

/// The window of a convolution that takes any number of pixels.
fn pointwise(shape: &ConvShape) -> Option<Window> {
    shape.is_pointwise().then_some(shape.window)
}

struct Bound {
    op: Conv2d,
    packed: Convolution,
    gradient: Option<PackedConvGradient>,
    scratch: usize,
}

/// Images that are handed over one by one: those side by side count as one.
fn calls(images: usize, at_once: bool) -> usize {
    if at_once { images.min(1) } else { images }
}

impl Instance for Bound {
    fn load(&mut self, params: &[&[f32]]) {
        self.packed.repack(params[0]);
        if let Some(gradient) = &mut self.gradient {
            gradient.repack(params[0]);
        }
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

    fn window(&self) -> Option<Window> {
        pointwise(&self.packed.shape())
    }

    fn needs(&self) -> Needs {
        Needs { floats: self.scratch, indices: 0 }
    }

    fn reads(&self, trains: bool) -> Reads {
        Reads { inputs: trains, output: false, either: false }
    }

    fn is_pixelwise(&self) -> bool {
        self.packed.shape().is_pointwise()
    }

    fn forward(&self, args: Forward<'_>) {
        debug_assert!(!self.op.residual, "fused convolutions are in frozen prefixes only");
        let (packed, op) = (&self.packed, &self.op);
        let epilogue =
            Epilogue { bias: op.bias.then(|| args.params[1]), residual: None, activation: op.activation };
        let scratch = &mut args.scratch.floats;
        let batch = calls(args.batch, packed.takes_batches());
        each_image(batch, args.output, |index, y| {
            packed.forward(image(args.inputs[0], batch, index), y, epilogue, scratch);
        });
    }

    fn backward(&self, args: Backward<'_, '_>) {
        debug_assert!(
            self.op.activation == Activation::Linear,
            "fused convolutions are in frozen prefixes only"
        );
        let (dy, shape) = (args.output_grad, self.packed.shape());
        let dx_calls =
            self.gradient.as_ref().map_or(0, |gradient| calls(args.batch, gradient.takes_batches()));
        let dw_calls = calls(args.batch, frostline_kernels::conv_backward_weights_takes_batches(&shape));
        let scratch = &mut args.scratch.floats;
        let [dw, others @ ..] = args.param_grads else { return };
        // where images go one by one, both gradients of an image while its `dy` is in the cache
        for index in 0..dx_calls.max(dw_calls) {
            if let (Some(dx), Some(gradient), true) =
                (&mut args.input_grads[0], &self.gradient, index < dx_calls)
            {
                let (dx, accumulate) = dx.parts();
                let dx = image_mut(dx, dx_calls, index);
                gradient.backward_input(image(dy, dx_calls, index), dx, accumulate, scratch);
            }
            if index < dw_calls {
                let dy = image(dy, dw_calls, index);
                if let Some(dw) = dw {
                    let x = image(args.inputs[0], dw_calls, index);
                    frostline_kernels::conv_backward_weights(&shape, x, dy, dw, scratch);
                }
                if let Some(Some(db)) = others.first_mut() {
                    frostline_kernels::sum_channels(shape.out_channels, dy, db);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Check, padding};
    use crate::ops::{Gradient, Mode, Padding, Scratch};
    use frostline_kernels::Accumulate;
    use proptest::prelude::*;

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
                sliding: Sliding { strides, padding: padding(choice), dilation }, groups, bias, activation: Activation::Linear, residual: false,
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
                sliding: Sliding { padding: Padding::Same, ..Sliding::default() }, groups: 1, bias: true,
                activation: Activation::Linear, residual: false,
            };
            Check::of(op, &[&[4, 5, 3]]).weights(&[&[side, side, 3, out], &[out]]).linear().run(seed);
        }
    }

    /// Forward and backward pass of an op that is bound for batches of 32.
    fn passes(op: &dyn Instance, params: &[&[f32]], batch: usize, x: &[f32], dy: &[f32]) -> [Vec<f32>; 4] {
        let mut scratch = Scratch::of_noise(op.needs());
        let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![f32::NAN; x.len()]);
        let (mut dw, mut db) = (vec![0.0; params[0].len()], vec![0.0; params[1].len()]);
        let (mode, inputs) = (Mode::Training, [x]);
        let (output, common) = (&mut y, &mut scratch);
        op.forward(Forward {
            batch,
            first: 0,
            inputs: &inputs,
            params,
            output,
            mode,
            seed: 0,
            scratch: common,
        });
        op.backward(Backward {
            batch,
            first: 0,
            inputs: &inputs,
            params,
            output: &[],
            output_grad: dy,
            input_grads: &mut [Some(Gradient::new(&mut dx, Accumulate::Overwrite))],
            param_grads: &mut [Some(&mut dw), Some(&mut db)],
            mode,
            seed: 0,
            scratch: &mut scratch,
        });
        [y, dx, dw, db]
    }

    /// With Winograd's method for all, for the gradient of the weights alone, and for none.
    #[test]
    fn images_side_by_side_agree_with_images_one_by_one() {
        for (size, channels) in [(14, 32), (7, 32), (9, 8)] {
            let op = Conv2d {
                sliding: Sliding { padding: Padding::Same, ..Sliding::default() },
                groups: 1,
                bias: true,
                activation: Activation::Linear,
                residual: false,
            };
            let number = |i: usize| (i * 7919 % 1999) as f32 / 1000.0 - 1.0;
            let numbers = |len: usize| (0..len).map(number).collect::<Vec<f32>>();
            let (kernel, bias) = (vec![3, 3, channels, channels], vec![channels]);
            let params = [numbers(9 * channels * channels), numbers(channels)];
            let params = [params[0].as_slice(), params[1].as_slice()];
            let mut bound = op.bind(&[vec![size, size, channels]], &[kernel, bias], 32);
            bound.load(&params);
            let len = size * size * channels;
            let (x, dy) = (numbers(4 * len), numbers(4 * len));
            let [y, dx, dw, db] = passes(&*bound, &params, 4, &x, &dy);
            let mut sums = [vec![0.0; dw.len()], vec![0.0; db.len()]];
            for image in 0..4 {
                let at = image * len..(image + 1) * len;
                let alone = passes(&*bound, &params, 1, &x[at.clone()], &dy[at.clone()]);
                assert_eq!(y[at.clone()], alone[0]);
                assert_eq!(dx[at], alone[1]);
                for (sum, part) in sums.iter_mut().zip(&alone[2..]) {
                    sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                }
            }
            for (value, sum) in dw.iter().chain(&db).zip(sums.iter().flatten()) {
                assert!((value - sum).abs() < 1e-3, "{value} {sum}");
            }
        }
    }
}
