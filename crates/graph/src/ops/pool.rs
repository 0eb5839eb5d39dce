//! `pool` and `global_pool`: the maximum or the mean under a window, or of the whole image.

use super::images::{each_image, image};
use super::{Backward, Cost, Infer, Instance, Needs, OpKind, Quantizations, Reads, Sliding, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{Bf16, Element, Quantization, Window};

/// Which number stands for a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The largest.
    Max,
    /// The mean; padding does not count.
    Average,
}

/// A window that slides over the image.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// Height and width of the window.
    pub size: [usize; 2],
    /// How the window slides over the image.
    pub sliding: Sliding,
}

/// The whole image as one window.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalPool {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// Whether the result is `[1, 1, channels]` instead of `[channels]`.
    pub keep_dims: bool,
}

impl OpKind for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let window = self.sliding.window(one_of(inputs)?, self.size)?;
        Ok(vec![window.out_height(), window.out_width(), window.channels])
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        let outputs = self.output_shape(inputs, params).map_or(0, |shape| shape.elements());
        let values = inputs[0].elements() + outputs;
        Cost { multiply_adds: (outputs * self.size[0] * self.size[1]) as u64, bytes: 4 * values as u64 }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let window = self.sliding.window(&inputs[0], self.size);
        let window = window.expect("the shape was checked when the op was pushed");
        let outputs = window.out_height() * window.out_width() * window.channels;
        bind(self.kind, Area::Window(window), outputs)
    }

    fn bind_bf16(&self, inputs: &[Shape], _: &[Shape], _: &[&[f32]]) -> Option<Box<dyn Infer<Bf16>>> {
        let window = self.sliding.window(&inputs[0], self.size).ok()?;
        (self.kind == PoolKind::Max).then(|| Box::new(Largest(window)) as _)
    }

    fn bind_int8(
        &self,
        inputs: &[Shape],
        _: &[Shape],
        _: &[&[f32]],
        _: &Quantizations<'_>,
    ) -> Option<Box<dyn Infer<u8>>> {
        let window = self.sliding.window(&inputs[0], self.size).ok()?;
        (self.kind == PoolKind::Max).then(|| Box::new(Largest(window)) as _)
    }

    fn keeps_bytes(&self, _: &[Shape], inputs: &[&Quantization]) -> Option<Quantization> {
        (self.kind == PoolKind::Max).then(|| inputs[0].clone())
    }
}

/// The maximum, in bf16 or bytes.
struct Largest(Window);

impl<E: Element> Infer<E> for Largest {
    fn scratch(&self) -> usize {
        0
    }

    fn infer(&self, inputs: &[&[E]], _: &[&[f32]], output: &mut [E], _: &mut [f32]) {
        frostline_kernels::max_pool(&self.0, inputs[0], output);
    }
}

impl OpKind for GlobalPool {
    fn name(&self) -> &'static str {
        "global_pool"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        match (one_of(inputs)?.as_slice(), self.keep_dims) {
            ([_, _, channels], true) => Ok(vec![1, 1, *channels]),
            ([_, _, channels], false) => Ok(vec![*channels]),
            (other, _) => Err(format!("expected an image [height, width, channels], received {other:?}")),
        }
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: values, bytes: 4 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let channels = inputs[0][2];
        bind(self.kind, Area::Image { pixels: inputs[0][0] * inputs[0][1], channels }, channels)
    }
}

fn bind(kind: PoolKind, area: Area, outputs: usize) -> Box<dyn Instance> {
    Box::new(Bound { kind, area, outputs })
}

enum Area {
    Window(Window),
    Image { pixels: usize, channels: usize },
}

struct Bound {
    kind: PoolKind,
    area: Area,
    /// Elements of one image's output.
    outputs: usize,
}

impl Area {
    fn mean(&self, x: &[f32], y: &mut [f32]) {
        match self {
            Self::Window(window) => frostline_kernels::average_pool(window, x, y),
            Self::Image { pixels, channels } => {
                frostline_kernels::global_average_pool(*pixels, *channels, x, y)
            }
        }
    }

    fn mean_backward(&self, dy: &[f32], dx: &mut [f32]) {
        match self {
            Self::Window(window) => frostline_kernels::average_pool_backward(window, dy, dx),
            Self::Image { pixels, channels } => {
                frostline_kernels::global_average_pool_backward(*pixels, *channels, dy, dx);
            }
        }
    }

    fn argmax(&self, x: &[f32], y: &[f32], argmax: &mut [u32]) {
        match self {
            Self::Window(window) => frostline_kernels::max_pool_argmax(window, x, y, argmax),
            Self::Image { channels, .. } => {
                frostline_kernels::global_max_pool_argmax(*channels, x, y, argmax)
            }
        }
    }
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        match (self.kind, &self.area) {
            (PoolKind::Average, area) => area.mean(inputs[0], output),
            (PoolKind::Max, Area::Window(window)) => frostline_kernels::max_pool(window, inputs[0], output),
            (PoolKind::Max, Area::Image { pixels, channels }) => {
                frostline_kernels::global_max_pool(*pixels, *channels, inputs[0], output);
            }
        }
    }

    fn needs(&self) -> Needs {
        Needs { indices: if self.kind == PoolKind::Max { self.outputs } else { 0 }, ..Needs::default() }
    }

    fn reads(&self, _trains: bool) -> Reads {
        let is_max = self.kind == PoolKind::Max;
        Reads { inputs: is_max, output: is_max, either: false }
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let batch = args.batch;
        let Some(dx) = &mut args.input_grads[0] else { return };
        let (area, dy) = (&self.area, args.output_grad);
        let argmax = &mut args.scratch.indices;
        each_image(batch, dx.to_add(), |index, dx| {
            let dy = image(dy, batch, index);
            if self.kind == PoolKind::Average {
                return area.mean_backward(dy, dx);
            }
            let argmax = &mut argmax[..dy.len()];
            area.argmax(image(args.inputs[0], batch, index), image(args.output, batch, index), argmax);
            frostline_kernels::max_pool_backward(argmax, dy, dx);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Padding;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn backward_agrees_with_differences(
            image in [3usize..7, 3usize..7, 1usize..20],
            size in [1usize..4, 1usize..4],
            strides in [1usize..3, 1usize..3],
            same: bool,
            seed: u64,
        ) {
            let padding = if same { Padding::Same } else { Padding::Valid };
            let sliding = Sliding { strides, padding, ..Sliding::default() };
            for kind in [PoolKind::Max, PoolKind::Average] {
                Check::of(Pool { kind, size, sliding }, &[&image]).run(seed);
            }
        }

        #[test]
        fn backward_of_the_whole_image_agrees_with_differences(
            image in [1usize..6, 1usize..6, 1usize..20], keep_dims: bool, seed: u64,
        ) {
            for kind in [PoolKind::Max, PoolKind::Average] {
                Check::of(GlobalPool { kind, keep_dims }, &[&image]).run(seed);
            }
        }
    }
}
