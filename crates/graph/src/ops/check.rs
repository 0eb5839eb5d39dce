//! The test that every op's backward pass is put to: central differences of its forward pass.
//!
//! The loss is `Σ r·y` with fixed random `r`, summed in f64. All numbers lie on a grid of odd multiples of 1/64, each
//! element on a point of its own, so that no two are closer than 1/32 and none is closer than 1/64 to a whole number:
//! a step of 1/128 crosses no kink of an activation and changes no maximum. The gradients that the op adds to start
//! at 1/2, so that an op that overwrites them is found out.

use super::{Backward, Forward, Gradient, Instance, Mode, Observed, Op, Padding, Scratch};
use crate::{Extents, Shape, mix};
use frostline_kernels::Accumulate;

/// The norm of the difference as a share of the gradient's norm. Rounding of an f32 forward pass over a step of 1/128
/// makes about 1e-4 of it, the cubic term of the difference less; what is one percent off must be found, and
/// [`Check::run`] makes sure that it would be.
const TOLERANCE: f64 = 3e-3;

/// The largest difference of `infer` and `forward`, as a share of the largest output: the order of the sums of a
/// product may depend on its number of rows.
const SAME: f32 = 4e-6;

/// Where the gradients begin.
const BEGIN: f32 = 0.5;

/// One padding of each kind.
pub(super) fn padding(choice: usize) -> Padding {
    [Padding::Valid, Padding::Same, Padding::Explicit { top: 1, bottom: 0, left: 2, right: 1 }][choice]
}

/// An op, its shapes, and how it is to be checked.
pub(super) struct Check {
    op: Op,
    inputs: Vec<Shape>,
    params: Vec<Shape>,
    /// The weights that a gradient is wanted of, from the first on.
    trainable: usize,
    mode: Mode,
    step: f32,
    /// Grid points that inputs are drawn from.
    spread: usize,
    batch: usize,
    is_positive: bool,
}

impl Check {
    /// An op in inference mode on two images.
    pub(super) fn of(op: impl Into<Op>, inputs: &[&[usize]]) -> Self {
        Self {
            op: op.into(),
            inputs: inputs.iter().map(|shape| shape.to_vec()).collect(),
            params: Vec::new(),
            trainable: 0,
            mode: Mode::Inference,
            step: 1.0 / 128.0,
            spread: 128,
            batch: 2,
            is_positive: false,
        }
    }

    /// With these weights, all of which train.
    pub(super) fn weights(mut self, shapes: &[&[usize]]) -> Self {
        self.params = shapes.iter().map(|shape| shape.to_vec()).collect();
        self.trainable = shapes.len();
        self
    }

    /// With a mean and a variance a channel behind the weights, which do not train.
    pub(super) fn statistics(mut self, channels: usize) -> Self {
        self.params.extend([vec![channels], vec![channels]]);
        self
    }

    /// In training mode.
    pub(super) fn training(self) -> Self {
        Self { mode: Mode::Training, ..self }
    }

    /// An op without a kink that is of the first degree in each of its arguments: a long step has less rounding error.
    pub(super) fn linear(self) -> Self {
        Self { step: 1.0, ..self }
    }

    /// Inputs up to this many 64ths from zero.
    pub(super) fn up_to(self, spread: usize) -> Self {
        Self { spread, ..self }
    }

    /// Inputs of 1/2 and more, for functions that are steep near zero.
    pub(super) fn positive(self) -> Self {
        Self { is_positive: true, ..self }
    }

    /// So many images.
    pub(super) fn images(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// Runs the check; panics where it fails.
    pub(super) fn run(&self, seed: u64) {
        let mut bench = Bench::new(self, seed);
        bench.infer_equals_forward();
        let gradients = bench.gradients(true, true);
        let parts = [bench.gradients(true, false), bench.gradients(false, true)].concat();
        assert_eq!(gradients, parts, "a gradient depends on whether another is wanted: {:?}", self.op);
        for (which, analytic) in gradients.into_iter().enumerate() {
            let numeric = bench.differences(which);
            let (error, of_one_percent) = errors(&numeric, &analytic);
            assert!(error < TOLERANCE, "argument {which} of {:?}: {error:.1e} off", self.op);
            // with an output that is all padding nothing reaches the input, and nothing could be wrong
            let any = numeric.iter().any(|value| *value != 0.0);
            assert!(!any || of_one_percent > TOLERANCE, "an error of one percent would pass: {:?}", self.op);
        }
    }
}

/// How far the gradient is off, and how far it would be if it were one percent larger.
fn errors(numeric: &[f64], analytic: &[f32]) -> (f64, f64) {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let scale = norm(&mut numeric.iter().copied()).max(f64::MIN_POSITIVE);
    let off = |factor: f64| {
        norm(&mut numeric.iter().zip(analytic).map(|(n, a)| n - factor * f64::from(*a))) / scale
    };
    (off(1.0), off(1.01))
}

/// An op that is bound, with its arguments.
struct Bench<'a> {
    check: &'a Check,
    instance: Box<dyn Instance>,
    /// Inputs, then weights.
    arguments: Vec<Vec<f32>>,
    output: Vec<f32>,
    /// `r` of the loss.
    weights: Vec<f32>,
}

impl<'a> Bench<'a> {
    fn new(check: &'a Check, seed: u64) -> Self {
        let kind = check.op.kind();
        let shape = kind.output_shape(&check.inputs, &check.params).expect("shapes that fit");
        let output = vec![0.0; check.batch * shape.elements()];
        let lens = check.inputs.iter().map(|shape| check.batch * shape.elements());
        let lens: Vec<usize> = lens.chain(check.params.iter().map(|shape| shape.iter().product())).collect();
        let mut grid = Grid::new(lens.iter().sum::<usize>().max(check.spread), seed);
        let mut arguments: Vec<Vec<f32>> =
            lens.iter().map(|len| (0..*len).map(|_| grid.point()).collect()).collect();
        if check.is_positive {
            arguments.iter_mut().flatten().for_each(|value| *value = 0.5 + value.abs());
        }
        if check.params.len() > check.trainable {
            let variance = arguments.last_mut().expect("a variance");
            variance.iter_mut().for_each(|value| *value = 0.25 + value.abs());
        }
        let mut grid = Grid::new(output.len().max(128), seed ^ 0x5eed);
        let weights = (0..output.len()).map(|_| grid.point()).collect();
        // bound for one image more than it is run with
        let instance = kind.bind(&check.inputs, &check.params, check.batch + 1);
        Self { check, instance, arguments, output, weights }
    }

    /// The loss at the present arguments.
    fn loss(&mut self) -> f64 {
        let (inputs, params) = self.arguments.split_at(self.check.inputs.len());
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        self.instance.load(&params);
        self.output.fill(f32::NAN);
        forward(&mut *self.instance, self.check, &inputs, &params, self.check.mode, &mut self.output);
        self.output.iter().zip(&self.weights).map(|(y, r)| f64::from(*y) * f64::from(*r)).sum()
    }

    /// What the op says the gradients are, of its inputs and of its weights, as far as they are wanted. It is asked
    /// to add to the inputs' gradients and to overwrite them.
    fn gradients(&mut self, of_inputs: bool, of_weights: bool) -> Vec<Vec<f32>> {
        let added = self.gradients_by(of_inputs, of_weights, Accumulate::Add);
        let written = self.gradients_by(of_inputs, of_weights, Accumulate::Overwrite);
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * (1.0 + b.abs());
        let same = added.iter().flatten().zip(written.iter().flatten()).all(close);
        assert!(same, "a gradient depends on whether it is added: {:?}", self.check.op);
        added
    }

    fn gradients_by(&mut self, of_inputs: bool, of_weights: bool, accumulate: Accumulate) -> Vec<Vec<f32>> {
        self.loss();
        let (count, trainable) = (self.check.inputs.len(), self.check.trainable);
        let begin = |index: usize| match (index < count, accumulate) {
            (true, Accumulate::Overwrite) => f32::NAN,
            _ => BEGIN,
        };
        let start = self.arguments.iter().enumerate();
        let mut grads: Vec<Vec<f32>> = start.map(|(index, value)| vec![begin(index); value.len()]).collect();
        let (input_grads, param_grads) = grads.split_at_mut(count);
        let mut input_grads: Vec<Option<Gradient<'_>>> = input_grads
            .iter_mut()
            .map(|grad| of_inputs.then_some(Gradient::new(grad.as_mut_slice(), accumulate)))
            .collect();
        let wanted = |index: usize| of_weights && index < trainable;
        let mut param_grads: Vec<Option<&mut [f32]>> = param_grads
            .iter_mut()
            .enumerate()
            .map(|(index, grad)| wanted(index).then_some(grad.as_mut_slice()))
            .collect();
        let (inputs, params) = self.arguments.split_at(count);
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        let (mode, batch, instance) = (self.check.mode, self.check.batch, &mut *self.instance);
        let mut sums = Vec::new();
        if instance.sums_backward(mode, of_weights) {
            sums.resize(instance.sums_len(), 0.0);
            let (input, output_grad) = (inputs[0], self.weights.as_slice());
            instance.observe_backward(
                Observed { batch, input, output_grad, params: &params, stored: None },
                &mut sums,
            );
        }
        instance.begin_backward(&sums, batch, &params, &mut param_grads, mode);
        // what it says that it does not read it is not given
        let reads = instance.reads(of_weights).enough(accumulate == Accumulate::Overwrite);
        let unread = vec![&[][..]; inputs.len()];
        instance.backward(Backward {
            batch,
            first: 0,
            inputs: if reads.inputs { &inputs } else { &unread },
            params: &params,
            output: if reads.output { &self.output } else { &[] },
            output_grad: &self.weights,
            input_grads: &mut input_grads,
            param_grads: &mut param_grads,
            mode,
            seed: SEED,
            scratch: &mut Scratch::of_noise(instance.needs()),
        });
        let first = if of_inputs { 0 } else { count };
        let last = if of_weights { count + trainable } else { count };
        let begun = |index: usize| if begin(index).is_nan() { 0.0 } else { BEGIN };
        let differences = |index: usize| grads[index].iter().map(|value| value - begun(index)).collect();
        (first..last).map(differences).collect()
    }

    /// The central differences of the loss by one argument.
    fn differences(&mut self, which: usize) -> Vec<f64> {
        let (step, len) = (self.check.step, self.arguments[which].len());
        let mut difference = |element: usize| {
            let value = self.arguments[which][element];
            let mut at = |shifted: f32| {
                self.arguments[which][element] = shifted;
                self.loss()
            };
            let difference = (at(value + step) - at(value - step)) / (2.0 * f64::from(step));
            self.arguments[which][element] = value;
            difference
        };
        (0..len).map(&mut difference).collect()
    }

    /// What is computed image by image for a prediction is what is computed for a batch in inference mode.
    fn infer_equals_forward(&mut self) {
        let (inputs, params) = self.arguments.split_at(self.check.inputs.len());
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        self.instance.load(&params);
        let batch = self.check.batch;
        forward(&mut *self.instance, self.check, &inputs, &params, Mode::Inference, &mut self.output);
        let mut alone = vec![f32::NAN; self.output.len() / batch];
        let mut scratch = vec![f32::NAN; self.instance.infer_scratch()];
        let largest = self.output.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        for image in 0..batch {
            let own = |value: &&'_ [f32]| -> Vec<f32> {
                let len = value.len() / batch;
                value[image * len..][..len].to_vec()
            };
            let one: Vec<Vec<f32>> = inputs.iter().map(own).collect();
            let one: Vec<&[f32]> = one.iter().map(Vec::as_slice).collect();
            self.instance.infer(&one, &params, &mut alone, &mut scratch);
            let together = &self.output[image * alone.len()..][..alone.len()];
            for (a, b) in alone.iter().zip(together) {
                assert!((a - b).abs() <= SAME * largest, "infer gives {a}, forward {b}: {:?}", self.check.op);
            }
        }
    }
}

const SEED: u64 = 7;

fn forward(
    instance: &mut dyn Instance,
    check: &Check,
    inputs: &[&[f32]],
    params: &[&[f32]],
    mode: Mode,
    output: &mut [f32],
) {
    let (batch, mut sums) = (check.batch, vec![0.0; instance.sums_len()]);
    if mode == Mode::Training && !sums.is_empty() {
        instance
            .observe(Observed { batch, input: inputs[0], output_grad: &[], params, stored: None }, &mut sums);
    }
    instance.begin_forward(&sums, batch, params, mode);
    let scratch = &mut Scratch::of_noise(instance.needs());
    instance.forward(Forward { batch, first: 0, inputs, params, output, mode, seed: SEED, scratch });
}

/// Odd multiples of 1/64 around zero, in an order that a seed decides, each once.
struct Grid {
    points: Vec<i32>,
}

impl Grid {
    fn new(points: usize, seed: u64) -> Self {
        let half = points.div_ceil(2) as i32;
        let mut points: Vec<i32> = (-half..half).map(|index| 2 * index + 1).collect();
        points.sort_by_key(|point| mix(seed ^ mix(*point as u64)));
        Self { points }
    }

    fn point(&mut self) -> f32 {
        self.points.pop().expect("as many points as elements") as f32 / 64.0
    }
}

/// A gradient that is one percent too large is off by more than the tolerance.
#[test]
fn a_gradient_that_is_one_percent_off_is_noticed() {
    let (numeric, analytic) = ([1.0, -2.0, 3.0], [1.01, -2.02, 3.03]);
    assert!(errors(&numeric, &analytic).0 > TOLERANCE);
}
