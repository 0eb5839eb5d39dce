//! `depthwise`: each channel convolved by itself. Kernels are `[kernel_h, kernel_w, channels, multiplier]`.

use super::images::{each_image, image, image_mut};
use super::{Backward, Cost, Forward, Infer, Instance, Needs, OpKind, Quantizations, Reads, Sliding, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{
    Activation, Bf16, DepthwiseShape, Epilogue, PackedDepthwise, QuantizedDepthwise, Window,
};

/// Input: `x [height, width, channels]`; output channel `c · multiplier + m`. Weights: kernel, and with `bias`
/// `[channels · multiplier]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Depthwise {
    /// How the kernel slides over the image.
    pub sliding: Sliding,
    /// Whether there is a bias.
    pub bias: bool,
    /// Applied to the result. Fusion sets it, in frozen prefixes.
    pub activation: Activation,
}

impl Depthwise {
    fn shape(&self, input: &Shape, params: &[Shape]) -> Result<DepthwiseShape, String> {
        let Some(&[kernel_h, kernel_w, channels, multiplier]) = params.first().map(Vec::as_slice) else {
            return Err(format!("expected a kernel of four dimensions, received {params:?}"));
        };
        let window = self.sliding.window(input, [kernel_h, kernel_w])?;
        if channels != window.channels {
            return Err(format!("a kernel of {:?} does not fit an image of {input:?}", params[0]));
        }
        Ok(DepthwiseShape { window, multiplier })
    }
}

impl OpKind for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let shape = self.shape(one_of(inputs)?, params)?;
        Ok(vec![shape.window.out_height(), shape.window.out_width(), shape.out_channels()])
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        let Ok(shape) = self.shape(&inputs[0], params) else { return Cost::default() };
        let outputs = shape.output_len();
        let taps = shape.window.kernel_h * shape.window.kernel_w;
        let values = inputs[0].elements() + outputs;
        Cost { multiply_adds: (outputs * taps) as u64, bytes: 4 * values as u64 }
    }

    fn bind(&self, inputs: &[Shape], params: &[Shape], _: usize) -> Box<dyn Instance> {
        let shape = self.shape(&inputs[0], params).expect("the shape was checked when the op was pushed");
        let scratch = frostline_kernels::depthwise_scratch_len(&shape);
        Box::new(Bound { op: self.clone(), scratch, shape })
    }

    fn bind_bf16(
        &self,
        inputs: &[Shape],
        params: &[Shape],
        weights: &[&[f32]],
    ) -> Option<Box<dyn Infer<Bf16>>> {
        let bias = self.bias.then(|| weights[1]);
        let packed = PackedDepthwise::new(self.shape(&inputs[0], params).ok()?, weights[0], bias);
        Some(Box::new(Halved { packed, activation: self.activation }))
    }

    fn bind_int8(
        &self,
        inputs: &[Shape],
        params: &[Shape],
        weights: &[&[f32]],
        between: &Quantizations<'_>,
    ) -> Option<Box<dyn Infer<u8>>> {
        let shape = self.shape(&inputs[0], params).ok()?;
        let (bias, ends) = (self.bias.then(|| weights[1]), [between.inputs[0], between.output]);
        self.activation
            .only_bounds()
            .then(|| Box::new(QuantizedDepthwise::new(shape, weights[0], bias, ends)) as _)
    }
}

impl Infer<u8> for QuantizedDepthwise {
    fn scratch(&self) -> usize {
        0
    }

    fn infer(&self, inputs: &[&[u8]], _: &[&[f32]], output: &mut [u8], _: &mut [f32]) {
        self.forward(inputs[0], output);
    }

    fn window(&self) -> Option<Window> {
        Some(self.shape().window)
    }

    fn infer_rows(&self, window: &Window, inputs: &[&[u8]], _: &[&[f32]], output: &mut [u8], _: &mut [f32]) {
        self.forward_rows(window, inputs[0], output);
    }
}

/// In bf16.
struct Halved {
    packed: PackedDepthwise,
    activation: Activation,
}

impl Infer<Bf16> for Halved {
    fn scratch(&self) -> usize {
        0
    }

    fn infer(&self, inputs: &[&[Bf16]], _: &[&[f32]], output: &mut [Bf16], _: &mut [f32]) {
        self.packed.forward(inputs[0], output, self.activation);
    }

    fn window(&self) -> Option<Window> {
        Some(self.packed.shape().window)
    }

    fn infer_rows(
        &self,
        window: &Window,
        inputs: &[&[Bf16]],
        _: &[&[f32]],
        output: &mut [Bf16],
        _: &mut [f32],
    ) {
        self.packed.forward_rows(window, inputs[0], output, self.activation);
    }
}

struct Bound {
    op: Depthwise,
    shape: DepthwiseShape,
    scratch: usize,
}

impl Instance for Bound {
    fn infer_scratch(&self) -> usize {
        self.scratch
    }

    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        self.infer_rows(&self.shape.window, inputs, params, output, scratch);
    }

    fn window(&self) -> Option<Window> {
        Some(self.shape.window)
    }

    fn infer_rows(
        &self,
        window: &Window,
        inputs: &[&[f32]],
        params: &[&[f32]],
        output: &mut [f32],
        scratch: &mut [f32],
    ) {
        let bias = self.op.bias.then(|| params[1]);
        let epilogue = Epilogue { bias, residual: None, activation: self.op.activation };
        let shape = DepthwiseShape { window: *window, ..self.shape };
        frostline_kernels::depthwise(&shape, inputs[0], params[0], output, epilogue, scratch);
    }

    fn needs(&self) -> Needs {
        Needs { floats: self.scratch, indices: 0 }
    }

    fn reads(&self, trains: bool) -> Reads {
        Reads { inputs: trains, output: false, either: false }
    }

    fn forward(&self, args: Forward<'_>) {
        let (op, shape) = (&self.op, &self.shape);
        let epilogue =
            Epilogue { bias: op.bias.then(|| args.params[1]), residual: None, activation: op.activation };
        let scratch = &mut args.scratch.floats;
        each_image(args.batch, args.output, |index, y| {
            let x = image(args.inputs[0], args.batch, index);
            frostline_kernels::depthwise(shape, x, args.params[0], y, epilogue, scratch);
        });
    }

    fn backward(&self, args: Backward<'_, '_>) {
        debug_assert!(
            self.op.activation == Activation::Linear,
            "fused convolutions are in frozen prefixes only"
        );
        let (batch, dy, shape) = (args.batch, args.output_grad, &self.shape);
        let [dw, others @ ..] = args.param_grads else { return };
        for index in 0..batch {
            // both gradients of an image while its `dy` is in the cache
            let dy = image(dy, batch, index);
            if let Some(dx) = &mut args.input_grads[0] {
                let (dx, accumulate) = dx.parts();
                let dx = image_mut(dx, batch, index);
                frostline_kernels::depthwise_backward_input(shape, args.params[0], dy, dx, accumulate);
            }
            if let Some(dw) = dw {
                let x = image(args.inputs[0], batch, index);
                frostline_kernels::depthwise_backward_weights(shape, x, dy, dw);
            }
            if let Some(Some(db)) = others.first_mut() {
                frostline_kernels::sum_channels(shape.out_channels(), dy, db);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{Check, padding};
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
            channels in 1usize..20,
            multiplier in 1usize..3,
            bias: bool,
            seed: u64,
        ) {
            let dilation = [0, 1].map(|axis| if kernel[axis] == 3 { 1 } else { dilation[axis] });
            let op = Depthwise { sliding: Sliding { strides, padding: padding(choice), dilation }, bias, activation: Activation::Linear };
            let kernel = [kernel[0], kernel[1], channels, multiplier];
            let out = [channels * multiplier];
            let weights: Vec<&[usize]> = if bias { vec![&kernel, &out] } else { vec![&kernel] };
            Check::of(op, &[&[size[0], size[1], channels]]).weights(&weights).linear().run(seed);
        }
    }
}
