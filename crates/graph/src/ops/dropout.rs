//! `dropout`: in training each element (or each channel of an image, or the whole image) is zero with probability `rate`, and
//! the others are scaled by `1 / (1 − rate)`; in inference the identity. Source: Srivastava et al. 2014; Huang et al. 2016.

use super::images::{each_image, image};
use super::{Backward, Cost, Forward, Instance, Mode, OpKind, Reads, one_of};
use crate::mix;
use crate::{Extents, Shape};

/// What is dropped together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Each element by itself.
    Elements,
    /// Whole channels of an image.
    Channels,
    /// All of an image.
    Images,
}

/// Attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// In `[0, 1)`.
    pub rate: f32,
    /// What is dropped together.
    pub dropped: Dropped,
}

impl OpKind for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let valid = (0.0..1.0).contains(&self.rate);
        valid.then_some(()).ok_or_else(|| format!("`rate` is {}, expected 0 to below 1", self.rate))?;
        one_of(inputs).cloned()
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let values = inputs[0].elements() as u64;
        Cost { multiply_adds: values, bytes: 8 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let period = match self.dropped {
            Dropped::Elements => inputs[0].iter().product(),
            Dropped::Channels => inputs[0].last().copied().unwrap_or(1),
            Dropped::Images => 1,
        };
        Box::new(Bound { rate: self.rate, period })
    }
}

struct Bound {
    rate: f32,
    /// An image has so many different masks; then they repeat (one a channel).
    period: usize,
}

impl Bound {
    /// What the element is multiplied with: a function of the seed and its place alone.
    fn factor(rate: f32, seed: u64, image: usize, element: usize) -> f32 {
        let place = (image as u64) << 32 | element as u64;
        let unit = (mix(seed ^ mix(place)) >> 40) as f32 / (1u64 << 24) as f32;
        if unit < rate { 0.0 } else { 1.0 / (1.0 - rate) }
    }
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        output.copy_from_slice(inputs[0]);
    }

    fn reads(&self, _trains: bool) -> Reads {
        Reads::NOTHING
    }

    fn forward(&self, args: Forward<'_>) {
        if args.mode == Mode::Inference || self.rate == 0.0 {
            args.output.copy_from_slice(args.inputs[0]);
            return;
        }
        let (rate, seed, period, first) = (self.rate, args.seed, self.period, args.first);
        each_image(args.batch, args.output, |index, y| {
            let x = image(args.inputs[0], args.batch, index);
            for (element, (y, x)) in y.iter_mut().zip(x).enumerate() {
                *y = x * Self::factor(rate, seed, first + index, element % period);
            }
        });
    }

    fn backward(&self, args: Backward<'_, '_>) {
        // the mask is drawn again, not kept
        let (rate, seed, period, first) = (self.rate, args.seed, self.period, args.first);
        let (batch, mode) = (args.batch, args.mode);
        if let Some(dx) = &mut args.input_grads[0] {
            each_image(batch, dx.to_add(), |index, dx| {
                let dy = image(args.output_grad, batch, index);
                for (element, (dx, dy)) in dx.iter_mut().zip(dy).enumerate() {
                    let drops = mode == Mode::Training && rate > 0.0;
                    *dx += if drops {
                        dy * Self::factor(rate, seed, first + index, element % period)
                    } else {
                        *dy
                    };
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Scratch;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn backward_agrees_with_differences(
            pixels in 1usize..10, channels in 1usize..20, together in 0usize..3, rate in 0.0f32..0.9, seed: u64,
        ) {
            let dropped = [Dropped::Elements, Dropped::Channels, Dropped::Images][together];
            let check = || Check::of(Dropout { rate, dropped }, &[&[pixels, 1, channels]]).linear();
            check().run(seed);
            check().training().run(seed);
        }
    }

    #[test]
    fn a_share_of_the_elements_is_dropped_and_the_others_are_scaled() {
        let instance = Dropout { rate: 0.25, dropped: Dropped::Elements }.bind(&[vec![5000]], &[], 2);
        let mut output = vec![0.0; 10_000];
        let inputs = vec![1.0; 10_000];
        let mut run = |seed| {
            let (inputs, output) = (&[inputs.as_slice()], &mut output[..]);
            let (mode, scratch) = (Mode::Training, &mut Scratch::default());
            instance.forward(Forward {
                batch: 2,
                first: 0,
                inputs,
                params: &[],
                output,
                mode,
                seed,
                scratch,
            });
            output.to_vec()
        };
        let (first, again, other) = (run(1), run(1), run(2));
        assert!(first == again && first != other && first[..5000] != first[5000..]);
        let dropped = first.iter().filter(|value| **value == 0.0).count();
        // 2,500 expected, standard deviation 43: five of them
        assert!((2285..2715).contains(&dropped), "{dropped} of 10,000 are dropped");
        assert!(first.iter().all(|value| *value == 0.0 || (*value - 4.0 / 3.0).abs() < 1e-6));
    }

    #[test]
    fn whole_images_are_dropped_and_the_others_scaled() {
        let instance = Dropout { rate: 0.5, dropped: Dropped::Images }.bind(&[vec![2, 2, 3]], &[], 64);
        let (inputs, mut output) = (vec![1.0; 64 * 12], vec![0.0; 64 * 12]);
        let (inputs, output) = (&[inputs.as_slice()], &mut output[..]);
        let (mode, seed, scratch) = (Mode::Training, 3, &mut Scratch::default());
        instance.forward(Forward { batch: 64, first: 0, inputs, params: &[], output, mode, seed, scratch });
        assert!(output.chunks_exact(12).all(|image| image.iter().all(|value| *value == image[0])));
        assert!(output.contains(&0.0) && output.contains(&2.0));
    }

    #[test]
    fn spatial_dropout_drops_whole_channels() {
        let instance = Dropout { rate: 0.5, dropped: Dropped::Channels }.bind(&[vec![3, 3, 40]], &[], 1);
        let (inputs, mut output) = ([1.0; 360], [0.0; 360]);
        let (inputs, output) = (&[&inputs[..]], &mut output[..]);
        let (mode, seed, scratch) = (Mode::Training, 3, &mut Scratch::default());
        instance.forward(Forward { batch: 1, first: 0, inputs, params: &[], output, mode, seed, scratch });
        assert!(output.chunks_exact(40).all(|pixel| pixel == &output[..40]));
        assert!(output.contains(&0.0) && output.contains(&2.0));
    }
}
