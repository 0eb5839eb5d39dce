//! `conv3d`: a 3-D convolution with strides, dilation and groups. It runs slice by slice as a 2-D one, whose channels are those
//! of all slices under the kernel.

use super::images::{image, image_mut};
use super::{Backward, Cost, Instance, Needs, OpKind, Reads, Sliding, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{
    Accumulate, Activation, ConvShape, Convolution, Epilogue, PackedConvGradient, Window, add_assign,
    conv_backward_weights, conv_backward_weights_scratch_len, sum_channels,
};

/// Input: `x [depth, height, width, channels]`. Weights: kernel
/// `[kernel_d, kernel_h, kernel_w, channels / groups, out_channels]`, and with `bias` `[out_channels]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv3d {
    /// How the kernel slides along the depth, as rows of an image one pixel wide.
    pub depth: Sliding,
    /// How it slides over height and width.
    pub plane: Sliding,
    /// Channels are convolved in this many groups, each by itself.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Conv3d {
    fn geometry(&self, input: &Shape, params: &[Shape]) -> Result<Geometry, String> {
        let (
            Some(&[kernel_d, kernel_h, kernel_w, in_channels, out_channels]),
            &[depth, height, width, channels],
        ) = (params.first().map(Vec::as_slice), input.as_slice())
        else {
            return Err(format!(
                "expected a volume [depth, height, width, channels] and a kernel of five dimensions, received {input:?} and {params:?}"
            ));
        };
        let groups = self.groups.max(1);
        if in_channels.checked_mul(groups) != Some(channels) || !out_channels.is_multiple_of(groups) {
            return Err(format!(
                "a kernel of {:?} in {groups} groups does not fit a volume of {input:?}",
                params[0]
            ));
        }
        let slices = self.depth.window(&[depth, 1, 1], [kernel_d, 1])?;
        let stacked = channels.checked_mul(kernel_d).ok_or("the kernel is too deep")?;
        let window = self.plane.window(&[height, width, stacked], [kernel_h, kernel_w])?;
        Ok(Geometry { slices, plane: ConvShape { window, out_channels, groups } })
    }
}

/// The window along the depth, and the convolution of the slices under it.
#[derive(Clone, Copy)]
struct Geometry {
    slices: Window,
    plane: ConvShape,
}

impl Geometry {
    /// The numbers of all slices under the kernel.
    fn stacked_len(&self) -> usize {
        let Window { height, width, channels, .. } = self.plane.window;
        height * width * channels
    }

    /// The numbers of a slice of the input.
    fn slice_len(&self) -> usize {
        self.stacked_len() / self.slices.kernel_h
    }

    /// The slice of the input under one tap of the kernel; none where that is padding.
    fn slice_under(&self, place: usize, tap: usize) -> Option<usize> {
        let from_front = place * self.slices.stride_h + tap * self.slices.dilation_h;
        from_front.checked_sub(self.slices.pad_top).filter(|slice| *slice < self.slices.height)
    }

    /// Whether the slice under the kernel can be read, and its gradient be written, where it lies.
    fn is_direct(&self) -> bool {
        self.slices.kernel_h == 1 && self.slices.pad_top + self.slices.pad_bottom == 0
    }

    /// The channels of one group, in one slice.
    fn of_group(&self) -> usize {
        self.plane.window.channels / self.slices.kernel_h / self.plane.groups
    }

    /// The slices under the kernel, whose channels stand side by side: `[height, width, groups, kernel_d, channels / groups]`.
    fn gather(&self, x: &[f32], place: usize, stacked: &mut [f32]) {
        let (len, run) = (self.slice_len(), self.of_group());
        for tap in 0..self.slices.kernel_h {
            let to = stacked.chunks_exact_mut(run).skip(tap).step_by(self.slices.kernel_h);
            match self.slice_under(place, tap) {
                Some(slice) => {
                    let from = x[slice * len..][..len].chunks_exact(run);
                    from.zip(to).for_each(|(from, to)| to.copy_from_slice(from));
                }
                None => to.for_each(|to| to.fill(0.0)),
            }
        }
    }

    /// Adds the gradients by what [`Geometry::gather`] gave to those by the slices.
    fn scatter(&self, stacked: &[f32], place: usize, dx: &mut [f32]) {
        let (len, run) = (self.slice_len(), self.of_group());
        for tap in 0..self.slices.kernel_h {
            let Some(slice) = self.slice_under(place, tap) else { continue };
            let from = stacked.chunks_exact(run).skip(tap).step_by(self.slices.kernel_h);
            let to = dx[slice * len..][..len].chunks_exact_mut(run);
            from.zip(to).for_each(|(from, to)| add_assign(to, from));
        }
    }

    /// Where each run of the kernel (the numbers of one tap) has its place in that of the slices, in the order of the former.
    fn runs(&self) -> impl Iterator<Item = usize> + use<> {
        let (taps, deep) = (self.plane.window.kernel_h * self.plane.window.kernel_w, self.slices.kernel_h);
        (0..deep).flat_map(move |tap| (0..taps).map(move |inner| inner * deep + tap))
    }

    fn run_len(&self) -> usize {
        self.of_group() * self.plane.out_channels
    }

    /// The kernel as that of the slices: `[kernel_h, kernel_w, kernel_d · channels / groups, out_channels]`.
    fn stack_kernel(&self, kernel: &[f32], stacked: &mut [f32]) {
        let len = self.run_len();
        for (run, place) in kernel.chunks_exact(len).zip(self.runs()) {
            stacked[place * len..][..len].copy_from_slice(run);
        }
    }

    /// Adds a gradient by the kernel of the slices to that by the kernel.
    fn unstack_gradient(&self, stacked: &[f32], kernel: &mut [f32]) {
        let len = self.run_len();
        for (run, place) in kernel.chunks_exact_mut(len).zip(self.runs()) {
            add_assign(run, &stacked[place * len..][..len]);
        }
    }
}

impl OpKind for Conv3d {
    fn name(&self) -> &'static str {
        "conv3d"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let Geometry { slices, plane } = self.geometry(one_of(inputs)?, params)?;
        Ok(vec![slices.out_height(), plane.window.out_height(), plane.window.out_width(), plane.out_channels])
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        let Ok(output) = self.output_shape(inputs, params) else { return Cost::default() };
        let (weights, voxels): (usize, usize) = (params[0].iter().product(), output[..3].iter().product());
        let values = inputs[0].elements() + output.elements();
        Cost { multiply_adds: voxels as u64 * weights as u64, bytes: 4 * values as u64 }
    }

    fn bind(&self, inputs: &[Shape], params: &[Shape], batch: usize) -> Box<dyn Instance> {
        let geometry =
            self.geometry(&inputs[0], params).expect("the shape was checked when the op was pushed");
        let kernel = vec![0.0; params[0].iter().product()];
        let packed = Convolution::new(geometry.plane, &kernel, 1);
        let gradient = (batch > 0).then(|| PackedConvGradient::new(geometry.plane, &kernel));
        Box::new(Bound { bias: self.bias, geometry, kernel, packed, gradient })
    }
}

struct Bound {
    bias: bool,
    geometry: Geometry,
    /// As the slices take it.
    kernel: Vec<f32>,
    packed: Convolution,
    gradient: Option<PackedConvGradient>,
}

impl Bound {
    /// Room for the slices where they do not lie as the kernel reads them.
    fn room(&self) -> usize {
        if self.geometry.is_direct() { 0 } else { self.geometry.stacked_len() }
    }
}

impl Instance for Bound {
    fn load(&mut self, params: &[&[f32]]) {
        self.geometry.stack_kernel(params[0], &mut self.kernel);
        self.packed.repack(&self.kernel);
        if let Some(gradient) = &mut self.gradient {
            gradient.repack(&self.kernel);
        }
    }

    fn infer_scratch(&self) -> usize {
        self.room() + self.packed.scratch_len()
    }

    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        let bias = self.bias.then(|| params[1]);
        let (stacked, scratch) = scratch.split_at_mut(self.room());
        let (geometry, len) = (&self.geometry, self.geometry.slice_len());
        for (place, y) in output.chunks_exact_mut(geometry.plane.output_len()).enumerate() {
            let x = match geometry.is_direct() {
                true => &inputs[0][place * geometry.slices.stride_h * len..][..len],
                false => {
                    geometry.gather(inputs[0], place, stacked);
                    &*stacked
                }
            };
            let epilogue = Epilogue { bias, residual: None, activation: Activation::Linear };
            self.packed.forward(x, y, epilogue, scratch);
        }
    }

    fn needs(&self) -> Needs {
        let plane = &self.geometry.plane;
        let lens = [
            self.packed.scratch_len(),
            self.gradient.as_ref().map_or(0, PackedConvGradient::scratch_len),
            conv_backward_weights_scratch_len(plane),
        ];
        // the slices, their gradients, and the gradient by their kernel
        let own = self.geometry.stacked_len() + self.room() + self.kernel.len();
        Needs { floats: lens.into_iter().fold(0, usize::max) + own, indices: 0 }
    }

    fn reads(&self, trains: bool) -> Reads {
        Reads { inputs: trains, output: false, either: false }
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (batch, dy, geometry) = (args.batch, args.output_grad, &self.geometry);
        let (plane, len) = (&geometry.plane, geometry.slice_len());
        let (stacked, scratch) = args.scratch.floats.split_at_mut(self.room());
        let (by_slices, scratch) = scratch.split_at_mut(geometry.stacked_len());
        let (by_kernel, scratch) = scratch.split_at_mut(self.kernel.len());
        let [dw, others @ ..] = args.param_grads else { return };
        by_kernel.fill(0.0);
        for index in 0..batch {
            for (place, dy) in image(dy, batch, index).chunks_exact(plane.output_len()).enumerate() {
                let at = place * geometry.slices.stride_h * len;
                if dw.is_some() {
                    let x = image(args.inputs[0], batch, index);
                    let x = match geometry.is_direct() {
                        true => &x[at..][..len],
                        false => {
                            geometry.gather(x, place, stacked);
                            &*stacked
                        }
                    };
                    conv_backward_weights(plane, x, dy, by_kernel, scratch);
                }
                if let (Some(dx), Some(gradient)) = (&mut args.input_grads[0], &self.gradient) {
                    gradient.backward_input(dy, by_slices, Accumulate::Overwrite, scratch);
                    geometry.scatter(by_slices, place, image_mut(dx.to_add(), batch, index));
                }
            }
        }
        if let Some(dw) = dw {
            geometry.unstack_gradient(by_kernel, dw);
        }
        if let Some(Some(db)) = others.first_mut() {
            sum_channels(plane.out_channels, dy, db);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Padding;
    use crate::ops::check::{Check, padding};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn backward_agrees_with_differences(
            size in [3usize..6, 4usize..7, 4usize..7],
            kernel in [1usize..4, 1usize..4, 1usize..4],
            strides in [1usize..3, 1usize..3, 1usize..3],
            dilation in 1usize..3,
            choice in 0usize..3,
            front in 0usize..3,
            channels in [1usize..4, 1usize..4],
            groups in 1usize..3,
            bias: bool,
            seed: u64,
        ) {
            // a kernel with dilation spans no more slices than there are
            let dilation = if kernel[0] == 2 { dilation } else { 1 };
            let along = match padding(choice) {
                Padding::Explicit { .. } => Padding::Explicit { top: front, bottom: 1, left: 0, right: 0 },
                other => other,
            };
            let op = Conv3d {
                depth: Sliding { strides: [strides[0], 1], dilation: [dilation, 1], padding: along },
                plane: Sliding { strides: [strides[1], strides[2]], padding: padding(choice), ..Sliding::default() },
                groups,
                bias,
            };
            let [into, out] = channels;
            let kernel = [kernel[0], kernel[1], kernel[2], into, out * groups];
            let weights: Vec<&[usize]> = if bias { vec![&kernel, &kernel[4..]] } else { vec![&kernel] };
            Check::of(op, &[&[size[0], size[1], size[2], into * groups]]).weights(&weights).linear().run(seed);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let op = Conv3d { depth: Sliding::default(), plane: Sliding::default(), groups: 2, bias: false };
        let shape =
            |input: &[usize], kernel: &[usize]| op.output_shape(&[input.to_vec()], &[kernel.to_vec()]);
        assert_eq!(shape(&[4, 6, 5, 4], &[2, 3, 3, 2, 6]), Ok(vec![3, 4, 3, 6]));
        assert!(shape(&[4, 6, 5, 3], &[2, 3, 3, 2, 6]).is_err(), "channels");
        assert!(shape(&[4, 6, 5, 4], &[2, 3, 3, 2, 5]).is_err(), "filters");
        assert!(shape(&[4, 6, 5, 4], &[5, 3, 3, 2, 6]).is_err(), "deeper than the volume");
        assert!(shape(&[6, 5, 4], &[3, 3, 2, 6]).is_err(), "an image");
    }
}
