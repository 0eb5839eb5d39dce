//! `resize`: an image at another size, by nearest pixel or bilinear, with half-pixel centres and no antialias.
//! Source: `tf.image.resize`.

use super::images::{each_image, image};
use super::{Backward, Cost, Instance, OpKind, Reads, one_of};
use crate::Shape;

/// How new pixels are made of old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeMethod {
    /// The nearest pixel.
    Nearest,
    /// The four around, weighted.
    Bilinear,
}

/// Attributes: the new size.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// How.
    pub method: ResizeMethod,
}

impl OpKind for Resize {
    fn name(&self) -> &'static str {
        "resize"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        match one_of(inputs)?.as_slice() {
            [_, _, channels] => Ok(vec![self.height, self.width, *channels]),
            other => Err(format!("expected an image [height, width, channels], received {other:?}")),
        }
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = (self.height * self.width * inputs[0].last().copied().unwrap_or(1)) as u64;
        Cost { multiply_adds: 4 * values, bytes: 8 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let image = [inputs[0][0], inputs[0][1], inputs[0][2]];
        Box::new(Bound { op: self.clone(), image })
    }
}

struct Bound {
    op: Resize,
    /// Height, width and channels of the input.
    image: [usize; 3],
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let [height, width, channels] = self.image;
        let resize = match self.op.method {
            ResizeMethod::Nearest => frostline_kernels::resize_nearest,
            ResizeMethod::Bilinear => frostline_kernels::resize_bilinear,
        };
        resize(height, width, channels, self.op.height, self.op.width, inputs[0], output);
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads::NOTHING
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let ([height, width, channels], op, batch) = (self.image, &self.op, args.batch);
        let resize_backward = match op.method {
            ResizeMethod::Nearest => frostline_kernels::resize_nearest_backward,
            ResizeMethod::Bilinear => frostline_kernels::resize_bilinear_backward,
        };
        if let Some(dx) = &mut args.input_grads[0] {
            each_image(batch, dx.to_add(), |index, dx| {
                let dy = image(args.output_grad, batch, index);
                resize_backward(height, width, channels, op.height, op.width, dy, dx);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn backward_agrees_with_differences(
            image in [1usize..6, 1usize..6, 1usize..9], height in 1usize..9, width in 1usize..9, seed: u64,
        ) {
            for method in [ResizeMethod::Nearest, ResizeMethod::Bilinear] {
                Check::of(Resize { height, width, method }, &[&image]).linear().run(seed);
            }
        }
    }
}
