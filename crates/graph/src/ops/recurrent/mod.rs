//! `recurrent`: LSTM, GRU and the simple recurrent cell, step by step along a sequence, with the steps that a mask leaves out.
//! Source: Hochreiter and Schmidhuber 1997; Cho et al. 2014; `keras/src/layers/rnn/` and the `rnn` of its TensorFlow backend.

mod backward;
mod squash;
mod steps;

pub use squash::Squash;

use super::images::{each_image, image, image_mut};
use super::{Backward, Cost, Instance, Needs, OpKind, Reads};
use crate::{Extents, Shape};

/// Which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Gates `i, f, c, o`.
    Lstm,
    /// Gates `z, r, h`.
    Gru {
        /// Whether the reset gate is applied behind the product with the state, which then has a bias of its own.
        reset_after: bool,
    },
    /// `h = f(x · kernel + h · recurrent_kernel + bias)`.
    Simple,
}

impl Cell {
    /// How many times `units` the kernels are wide.
    pub fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru { .. } => 3,
            Self::Simple => 1,
        }
    }
}

/// Inputs: a sequence `[steps, channels]`, and with `masked` one number a step, 0 where the step does not count. Weights: kernel
/// `[channels, gates · units]`, recurrent kernel `[units, gates · units]`, and with `bias` `[gates · units]`, `[2, gates · units]`
/// for a GRU with `reset_after`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrent {
    /// Which cell.
    pub cell: Cell,
    /// The width of the state.
    pub units: usize,
    /// Of what goes into the state.
    pub activation: Squash,
    /// Of the gates.
    pub recurrent_activation: Squash,
    /// Whether there is a bias.
    pub bias: bool,
    /// From the last step to the first; the outputs are in the order in which they are made.
    pub go_backwards: bool,
    /// All outputs, and not the last alone.
    pub return_sequences: bool,
    /// Whether there is a mask.
    pub masked: bool,
    /// Whether a step that does not count puts out 0, and not the output before it.
    pub zero_output: bool,
}

impl OpKind for Recurrent {
    fn name(&self) -> &'static str {
        "recurrent"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let (sequence, fits) = match (inputs, self.masked) {
            ([sequence], false) => (sequence, true),
            ([sequence, mask], true) => (sequence, mask.elements() == sequence.first().copied().unwrap_or(0)),
            _ => {
                return Err(format!(
                    "expected a sequence, and its mask where it has one, received {inputs:?}"
                ));
            }
        };
        let [steps, channels] = sequence.as_slice() else {
            return Err(format!("expected a sequence [steps, channels], received {sequence:?}"));
        };
        let width = self.cell.gates() * self.units;
        let biases = if self.cell == (Cell::Gru { reset_after: true }) { 2 * width } else { width };
        let own = params.len() == 2 + usize::from(self.bias)
            && params[0] == [*channels, width]
            && params[1] == [self.units, width]
            && params.get(2).is_none_or(|bias| bias.elements() == biases);
        if !fits || !own {
            return Err(format!("weights of {params:?} do not fit {inputs:?}"));
        }
        Ok(if self.return_sequences { vec![*steps, self.units] } else { vec![self.units] })
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        let steps = inputs[0][0];
        let weights = params[0].elements() + params[1].elements();
        Cost {
            multiply_adds: (steps * weights) as u64,
            bytes: 4 * (inputs[0].elements() + steps * weights) as u64,
        }
    }

    fn needs_floats(&self) -> bool {
        true
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        Box::new(Bound { op: self.clone(), steps: inputs[0][0], channels: inputs[0][1] })
    }
}

struct Bound {
    op: Recurrent,
    steps: usize,
    channels: usize,
}

impl Bound {
    fn width(&self) -> usize {
        self.op.cell.gates() * self.op.units
    }
}

impl Instance for Bound {
    fn infer_scratch(&self) -> usize {
        self.kept_len()
    }

    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        let mut kept = self.kept(scratch);
        let mask = inputs.get(1).copied();
        self.run(inputs[0], mask, params, &mut kept);
        self.put_out(mask, kept.hidden, output);
    }

    fn needs(&self) -> Needs {
        Needs { floats: self.kept_len() + self.more_sizes().iter().sum::<usize>(), indices: 0 }
    }

    fn reads(&self, _: bool) -> Reads {
        Reads::INPUTS
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (grad_of_input, others) = args.input_grads.split_at_mut(1);
        // a mask has no slope
        for grad in others.iter_mut().flatten() {
            grad.to_add();
        }
        let mut parts = grad_of_input[0].as_mut().map(super::Gradient::parts);
        for index in 0..args.batch {
            let x = image(args.inputs[0], args.batch, index);
            let mask = args.inputs.get(1).map(|mask| image(mask, args.batch, index));
            let dy = image(args.output_grad, args.batch, index);
            let dx = parts.as_mut().map(|(dx, accumulate)| (image_mut(dx, args.batch, index), *accumulate));
            self.backward_one((x, mask, dy), args.params, dx, args.param_grads, &mut args.scratch.floats);
        }
    }

    fn forward(&self, args: super::Forward<'_>) {
        each_image(args.batch, args.output, |index, output| {
            let mut kept = self.kept(&mut args.scratch.floats);
            let x = image(args.inputs[0], args.batch, index);
            let mask = args.inputs.get(1).map(|mask| image(mask, args.batch, index));
            self.run(x, mask, args.params, &mut kept);
            self.put_out(mask, kept.hidden, output);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use frostline_kernels::Activation;
    use proptest::prelude::*;

    fn op(cell: Cell, units: usize) -> Recurrent {
        Recurrent {
            cell,
            units,
            activation: Squash::Plain(Activation::Tanh),
            recurrent_activation: Squash::Plain(Activation::Sigmoid),
            bias: true,
            go_backwards: false,
            return_sequences: true,
            masked: false,
            zero_output: false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn backward_agrees_with_differences(
            which in 0usize..4, units in 1usize..4, channels in 1usize..4, steps in 1usize..5, images in 1usize..3,
            bias: bool, go_backwards: bool, return_sequences: bool, seed: u64,
        ) {
            let cell = [Cell::Lstm, Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }, Cell::Simple][which];
            let op = Recurrent { bias, go_backwards, return_sequences, ..op(cell, units) };
            let width = cell.gates() * units;
            let own = if cell == (Cell::Gru { reset_after: true }) { vec![2, width] } else { vec![width] };
            let (kernel, recurrent) = ([channels, width], [units, width]);
            let mut weights: Vec<&[usize]> = vec![&kernel, &recurrent];
            if bias {
                weights.push(&own);
            }
            Check::of(op, &[&[steps, channels]]).weights(&weights).up_to(64).images(images).run(seed);
        }
    }

    #[test]
    fn steps_that_do_not_count_leave_the_state_and_its_gradients_alone() {
        for cell in
            [Cell::Lstm, Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }, Cell::Simple]
        {
            for zero_output in [false, true] {
                let width = cell.gates() * 2;
                let short = Recurrent { bias: false, zero_output, ..op(cell, 2) };
                let long = Recurrent { masked: true, ..short.clone() };
                let kernel: Vec<f32> = (0..3 * width).map(|value| 0.1 * (value % 7) as f32 - 0.2).collect();
                let recurrent: Vec<f32> =
                    (0..2 * width).map(|value| 0.1 * (value % 5) as f32 - 0.2).collect();
                let params: [&[f32]; 2] = [&kernel, &recurrent];
                let shapes = [vec![3, width], vec![2, width]];
                let (a, b, hole) = ([0.5, -1.0, 0.25], [1.5, 0.5, -0.75], [9.0; 3]);
                let run = |op: &Recurrent, inputs: &[&[f32]], steps: usize| {
                    let shapes_in = [vec![steps, 3], vec![steps]];
                    let bound = op.bind(&shapes_in[..inputs.len()], &shapes, 0);
                    let (mut output, mut scratch) =
                        (vec![f32::NAN; 2 * steps], vec![f32::NAN; bound.infer_scratch()]);
                    bound.infer(inputs, &params, &mut output, &mut scratch);
                    output
                };
                let plain = run(&short, &[&[a, b].concat()], 2);
                let masked = run(&long, &[&[hole, a, hole, b, hole].concat(), &[0.0, 1.0, 0.0, 1.0, 0.0]], 5);
                let held =
                    |row: usize| if zero_output { [0.0; 2].as_slice() } else { &plain[2 * row..][..2] };
                let expected = [&[0.0; 2][..], &plain[..2], held(0), &plain[2..], held(1)].concat();
                assert_eq!(masked, expected, "{cell:?} {zero_output}");
            }
        }
    }
}
