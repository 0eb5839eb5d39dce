//! `pad` and `crop`: zeros around an image, or its rim taken off.

use super::images::{each_image, image};
use super::{Backward, Cost, Infer, Instance, OpKind, Reads, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{Bf16, Element, Margins};

/// Zeros around an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// `[[top, bottom], [left, right]]`
    pub margins: [[usize; 2]; 2],
}

/// The rim of an image taken off.
#[derive(Clone, Debug, PartialEq)]
pub struct Crop {
    /// `[[top, bottom], [left, right]]`
    pub margins: [[usize; 2]; 2],
}

fn extents(input: &Shape) -> Result<[usize; 3], String> {
    input
        .as_slice()
        .try_into()
        .map_err(|_| format!("expected an image [height, width, channels], received {input:?}"))
}

impl OpKind for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let [height, width, channels] = extents(one_of(inputs)?)?;
        let [[top, bottom], [left, right]] = self.margins;
        Ok(vec![height + top + bottom, width + left + right, channels])
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        Cost { multiply_adds: 0, bytes: 8 * inputs[0].elements() as u64 }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        bind(&inputs[0], self.margins, Work::Pad)
    }

    fn bind_bf16(&self, inputs: &[Shape], _: &[Shape], _: &[&[f32]]) -> Option<Box<dyn Infer<Bf16>>> {
        Some(Box::new(Rim::new(&inputs[0], self.margins, Work::Pad)))
    }
}

impl OpKind for Crop {
    fn name(&self) -> &'static str {
        "crop"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let [height, width, channels] = extents(one_of(inputs)?)?;
        let [[top, bottom], [left, right]] = self.margins;
        match (height.checked_sub(top + bottom), width.checked_sub(left + right)) {
            (Some(height), Some(width)) if height > 0 && width > 0 => Ok(vec![height, width, channels]),
            _ => Err(format!("cropping {:?} leaves nothing of an image of {height} x {width}", self.margins)),
        }
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        Cost { multiply_adds: 0, bytes: 8 * inputs[0].elements() as u64 }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        bind(&inputs[0], self.margins, Work::Crop)
    }

    fn bind_bf16(&self, inputs: &[Shape], _: &[Shape], _: &[&[f32]]) -> Option<Box<dyn Infer<Bf16>>> {
        Some(Box::new(Rim::new(&inputs[0], self.margins, Work::Crop)))
    }
}

fn bind(input: &Shape, margins: [[usize; 2]; 2], work: Work) -> Box<dyn Instance> {
    Box::new(Bound { rim: Rim::new(input, margins, work) })
}

#[derive(Clone, Copy)]
enum Work {
    Pad,
    Crop,
}

struct Rim {
    work: Work,
    /// Height, width and channels of the input.
    image: [usize; 3],
    margins: Margins,
}

impl Rim {
    fn new(input: &Shape, [[top, bottom], [left, right]]: [[usize; 2]; 2], work: Work) -> Self {
        let margins = Margins { top, bottom, left, right };
        Self { work, image: [input[0], input[1], input[2]], margins }
    }

    fn apply<E: Element>(&self, x: &[E], y: &mut [E]) {
        let [height, width, channels] = self.image;
        match self.work {
            Work::Pad => frostline_kernels::pad(height, width, channels, self.margins, x, y),
            Work::Crop => frostline_kernels::crop(height, width, channels, self.margins, x, y),
        }
    }
}

impl Infer<Bf16> for Rim {
    fn scratch(&self) -> usize {
        0
    }

    fn infer(&self, inputs: &[&[Bf16]], _: &[&[f32]], output: &mut [Bf16], _: &mut [f32]) {
        self.apply(inputs[0], output);
    }
}

struct Bound {
    rim: Rim,
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        self.rim.apply(inputs[0], output);
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads::NOTHING
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let ([height, width, channels], margins, work, batch) =
            (self.rim.image, self.rim.margins, self.rim.work, args.batch);
        if let Some(dx) = &mut args.input_grads[0] {
            each_image(batch, dx.to_add(), |index, dx| {
                let dy = image(args.output_grad, batch, index);
                match work {
                    Work::Pad => frostline_kernels::pad_backward(height, width, channels, margins, dy, dx),
                    Work::Crop => frostline_kernels::crop_backward(height, width, channels, margins, dy, dx),
                }
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
        fn backward_of_both_agrees_with_differences(
            size in [1usize..5, 1usize..5], margins: [[u8; 2]; 2], channels in 1usize..20, seed: u64,
        ) {
            let margins = margins.map(|pair| pair.map(|margin| usize::from(margin % 3)));
            let image = [size[0], size[1], channels];
            Check::of(Pad { margins }, &[&image]).linear().run(seed);
            let [[top, bottom], [left, right]] = margins;
            let image = [size[0] + top + bottom, size[1] + left + right, channels];
            Check::of(Crop { margins }, &[&image]).linear().run(seed);
        }
    }
}
