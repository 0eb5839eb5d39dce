//! `conv transpose`: the transpose of a convolution, which is its gradient for the input: each pixel of the input is spread over
//! a window of the output. Source: Zeiler et al. 2010; `tf.nn.conv2d_transpose`.

use super::images::{image, image_mut};
use super::{Backward, Cost, Instance, Needs, OpKind, Reads, Sliding, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{
    Accumulate, ConvShape, Convolution, PackedConvGradient, conv_backward_weights,
    conv_backward_weights_scratch_len, sum_channels,
};

/// Input `x [height, width, channels]`. Weights: kernel `[kernel_h, kernel_w, out_channels, channels]`, and with `bias`
/// `[out_channels]`. The attributes are those of the convolution of the output that gives images of the input's size.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvTranspose2d {
    /// Height and width of the output.
    pub size: [usize; 2],
    /// How the kernel slides over the output.
    pub sliding: Sliding,
    /// Whether there is a bias.
    pub bias: bool,
}

impl ConvTranspose2d {
    /// The convolution whose transpose this is.
    fn shape(&self, input: &Shape, params: &[Shape]) -> Result<ConvShape, String> {
        let (Some(&[kernel_h, kernel_w, out_channels, channels]), &[height, width, given]) =
            (params.first().map(Vec::as_slice), input.as_slice())
        else {
            return Err(format!(
                "expected an image and a kernel of four dimensions, received {input:?} and {params:?}"
            ));
        };
        let output = [self.size[0], self.size[1], out_channels];
        let window = self.sliding.window(&output, [kernel_h, kernel_w])?;
        if given != channels || [window.out_height(), window.out_width()] != [height, width] {
            return Err(format!(
                "a kernel of {:?} does not spread {input:?} over {:?}",
                params[0], self.size
            ));
        }
        Ok(ConvShape { window, out_channels: channels, groups: 1 })
    }
}

impl OpKind for ConvTranspose2d {
    fn name(&self) -> &'static str {
        "conv transpose"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let shape = self.shape(one_of(inputs)?, params)?;
        Ok(vec![self.size[0], self.size[1], shape.window.channels])
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        let pixels: usize = inputs[0][..2].iter().product();
        let weights: usize = params[0].iter().product();
        let values = inputs[0].elements() + self.size[0] * self.size[1] * params[0][2];
        Cost { multiply_adds: (pixels * weights) as u64, bytes: 4 * values as u64 }
    }

    fn bind(&self, inputs: &[Shape], params: &[Shape], _: usize) -> Box<dyn Instance> {
        let shape = self.shape(&inputs[0], params).expect("the shape was checked when the op was pushed");
        let weights = vec![0.0; shape.weights_len()];
        Box::new(Bound {
            bias: self.bias,
            out_channels: shape.window.channels,
            spread: PackedConvGradient::new(shape, &weights),
            gather: Convolution::new(shape, &weights, 1),
            shape,
        })
    }
}

struct Bound {
    bias: bool,
    out_channels: usize,
    shape: ConvShape,
    /// Input to output.
    spread: PackedConvGradient,
    /// The output's gradient to the input's.
    gather: Convolution,
}

impl Instance for Bound {
    fn load(&mut self, params: &[&[f32]]) {
        self.spread.repack(params[0]);
        self.gather.repack(params[0]);
    }

    fn infer_scratch(&self) -> usize {
        self.spread.scratch_len()
    }

    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        self.spread.backward_input(inputs[0], output, Accumulate::Overwrite, scratch);
        if self.bias {
            for pixel in output.chunks_exact_mut(self.out_channels) {
                frostline_kernels::add_assign(pixel, params[1]);
            }
        }
    }

    fn needs(&self) -> Needs {
        let lens = [self.gather.scratch_len(), conv_backward_weights_scratch_len(&self.shape)];
        Needs { floats: lens.into_iter().fold(self.spread.scratch_len(), usize::max), indices: 0 }
    }

    fn reads(&self, trains: bool) -> Reads {
        Reads { inputs: trains, output: false, either: false }
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (batch, dy, scratch) = (args.batch, args.output_grad, &mut args.scratch.floats);
        for index in 0..batch {
            let dy = image(dy, batch, index);
            if let Some(dx) = &mut args.input_grads[0] {
                let (dx, accumulate) = dx.parts();
                let dx = image_mut(dx, batch, index);
                self.gather.product(dy, dx, accumulate, scratch);
            }
            if let Some(dw) = &mut args.param_grads[0] {
                let x = image(args.inputs[0], batch, index);
                conv_backward_weights(&self.shape, dy, x, dw, scratch);
            }
        }
        if let Some(Some(db)) = args.param_grads.get_mut(1) {
            sum_channels(self.out_channels, dy, db);
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
            choice in 0usize..2,
            channels in [1usize..4, 1usize..4],
            bias: bool,
            seed: u64,
        ) {
            let [out, into] = channels;
            let sliding = Sliding { strides, padding: padding(choice), ..Sliding::default() };
            let op = ConvTranspose2d { size, sliding, bias };
            let of = sliding.window(&[size[0], size[1], out], kernel).expect("fits");
            let kernel = [kernel[0], kernel[1], out, into];
            let weights: Vec<&[usize]> = if bias { vec![&kernel, &kernel[2..3]] } else { vec![&kernel] };
            Check::of(op, &[&[of.out_height(), of.out_width(), into]]).weights(&weights).linear().run(seed);
        }
    }
}
