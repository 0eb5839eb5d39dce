//! `recurrent`: LSTM, GRU and the simple recurrent cell, step by step along a sequence, with the steps that a mask leaves out.
//! Source: Hochreiter and Schmidhuber 1997; Cho et al. 2014; `keras/src/layers/rnn/` and the `rnn` of its TensorFlow backend.

use super::images::{each_image, image, image_mut};
use super::{Backward, Cost, Instance, Needs, OpKind, Reads};
use crate::{Extents, Shape};
use frostline_kernels::sum_channels;
use frostline_kernels::{Accumulate, Activation, activate, activate_backward, matmul, matmul_at, matmul_bt};

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

/// A function of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Squash {
    /// One of the kernels' activations.
    Plain(Activation),
    /// `hard_sigmoid` before Keras 3: `0.2·x + 0.5` between 0 and 1.
    HardSigmoidOfKeras2,
}

impl Squash {
    fn apply(self, x: &[f32], y: &mut [f32]) {
        match self {
            Self::Plain(activation) => activate(activation, x, y),
            Self::HardSigmoidOfKeras2 => {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = (0.2 * x + 0.5).clamp(0.0, 1.0));
            }
        }
    }

    /// `dx = dy · f'(x)`.
    fn backward(self, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
        match self {
            Self::Plain(activation) => activate_backward(activation, x, dy, dx),
            Self::HardSigmoidOfKeras2 => {
                for ((dx, dy), x) in dx.iter_mut().zip(dy).zip(x) {
                    let line = 0.2 * x + 0.5;
                    *dx = if line > 0.0 && line < 1.0 { 0.2 * dy } else { 0.0 };
                }
            }
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

/// What a pass over one sequence keeps. Rows of `hidden` and `cell` are by the number of steps made so far, the others by the place
/// of the step in the sequence.
struct Kept<'s> {
    /// Before the activations, `[steps, gates · units]`.
    before: &'s mut [f32],
    /// Behind them.
    after: &'s mut [f32],
    /// LSTM's carry, `[steps + 1, units]`.
    cell: &'s mut [f32],
    /// `f(carry)`, `[steps, units]`.
    squashed: &'s mut [f32],
    /// `[steps + 1, units]`.
    hidden: &'s mut [f32],
    /// Of a GRU: the state's product for `h`, or the state that was reset; `[steps, units]`.
    inner: &'s mut [f32],
    /// `[gates · units]`.
    row: &'s mut [f32],
}

/// Consecutive parts of some memory.
fn parts<const N: usize>(mut memory: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    sizes.map(|size| {
        let (part, rest) = std::mem::take(&mut memory).split_at_mut(size);
        memory = rest;
        part
    })
}

impl Bound {
    fn width(&self) -> usize {
        self.op.cell.gates() * self.op.units
    }

    fn kept_sizes(&self) -> [usize; 7] {
        let (steps, units, width) = (self.steps, self.op.units, self.width());
        [
            steps * width,
            steps * width,
            (steps + 1) * units,
            steps * units,
            (steps + 1) * units,
            steps * units,
            width,
        ]
    }

    fn kept_len(&self) -> usize {
        self.kept_sizes().iter().sum()
    }

    fn kept<'s>(&self, memory: &'s mut [f32]) -> Kept<'s> {
        let [before, after, cell, squashed, hidden, inner, row] = parts(memory, self.kept_sizes());
        Kept { before, after, cell, squashed, hidden, inner, row }
    }

    /// The place of the step that is made as the `step`-th.
    fn place(&self, step: usize) -> usize {
        if self.op.go_backwards { self.steps - 1 - step } else { step }
    }

    fn counts(mask: Option<&[f32]>, place: usize) -> bool {
        mask.is_none_or(|mask| mask[place] != 0.0)
    }

    /// The bias of the input's product, and that of the state's.
    fn biases<'p>(&self, params: &[&'p [f32]]) -> [Option<&'p [f32]>; 2] {
        match (params.get(2), self.op.cell) {
            (Some(bias), Cell::Gru { reset_after: true }) => {
                [Some(&bias[..self.width()]), Some(&bias[self.width()..])]
            }
            (bias, _) => [bias.copied(), None],
        }
    }

    /// All steps of one sequence.
    fn run(&self, x: &[f32], mask: Option<&[f32]>, params: &[&[f32]], kept: &mut Kept<'_>) {
        let (units, width) = (self.op.units, self.width());
        let [bias, inner_bias] = self.biases(params);
        if let Some(bias) = bias {
            kept.before.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(bias));
        }
        let accumulate = if bias.is_some() { Accumulate::Add } else { Accumulate::Overwrite };
        matmul(self.steps, self.channels, width, x, params[0], kept.before, accumulate);
        kept.hidden[..units].fill(0.0);
        kept.cell[..units].fill(0.0);
        let recurrent = params[1];
        for step in 0..self.steps {
            let place = self.place(step);
            let before = &mut kept.before[place * width..][..width];
            let after = &mut kept.after[place * width..][..width];
            let (old, new) = kept.hidden[step * units..][..2 * units].split_at_mut(units);
            let (carry, new_carry) = kept.cell[step * units..][..2 * units].split_at_mut(units);
            if !Self::counts(mask, place) {
                new.copy_from_slice(old);
                new_carry.copy_from_slice(carry);
                continue;
            }
            match self.op.cell {
                Cell::Simple => {
                    matmul(1, units, width, old, recurrent, before, Accumulate::Add);
                    self.op.activation.apply(before, new);
                }
                Cell::Lstm => {
                    matmul(1, units, width, old, recurrent, before, Accumulate::Add);
                    self.op.recurrent_activation.apply(&before[..2 * units], &mut after[..2 * units]);
                    self.op.activation.apply(&before[2 * units..3 * units], &mut after[2 * units..3 * units]);
                    self.op.recurrent_activation.apply(&before[3 * units..], &mut after[3 * units..]);
                    let [i, f, c, o] = quarters(after);
                    for unit in 0..units {
                        new_carry[unit] = f[unit] * carry[unit] + i[unit] * c[unit];
                    }
                    let squashed = &mut kept.squashed[place * units..][..units];
                    self.op.activation.apply(new_carry, squashed);
                    new.iter_mut().zip(o).zip(squashed).for_each(|((h, o), c)| *h = o * *c);
                }
                Cell::Gru { reset_after } => {
                    let inner = &mut kept.inner[place * units..][..units];
                    match inner_bias {
                        Some(bias) => kept.row.copy_from_slice(bias),
                        None => kept.row.fill(0.0),
                    }
                    matmul(1, units, width, old, recurrent, kept.row, Accumulate::Add);
                    let gates = 2 * units;
                    before[..gates].iter_mut().zip(&kept.row[..gates]).for_each(|(gate, more)| *gate += more);
                    self.op.recurrent_activation.apply(&before[..gates], &mut after[..gates]);
                    let reset = &after[units..gates];
                    if reset_after {
                        inner.copy_from_slice(&kept.row[gates..]);
                        for unit in 0..units {
                            before[gates + unit] += reset[unit] * inner[unit];
                        }
                    } else {
                        inner.iter_mut().zip(reset).zip(&*old).for_each(|((inner, r), h)| *inner = r * h);
                        matmul(1, units, width, inner, recurrent, kept.row, Accumulate::Overwrite);
                        for unit in 0..units {
                            before[gates + unit] += kept.row[gates + unit];
                        }
                    }
                    self.op.activation.apply(&before[gates..], &mut after[gates..]);
                    for unit in 0..units {
                        let z = after[unit];
                        new[unit] = z * old[unit] + (1.0 - z) * after[gates + unit];
                    }
                }
            }
        }
    }

    /// What comes out of the states.
    fn put_out(&self, mask: Option<&[f32]>, hidden: &[f32], output: &mut [f32]) {
        let units = self.op.units;
        if !self.op.return_sequences {
            output.fill(0.0);
        }
        for step in 0..self.steps {
            let state = &hidden[(step + 1) * units..][..units];
            let counts = Self::counts(mask, self.place(step));
            let (done, own) = match self.op.return_sequences {
                true => output[..(step + 1) * units].split_at_mut(step * units),
                false => (&mut [][..], &mut *output),
            };
            match (counts, self.op.zero_output, done.is_empty()) {
                (true, _, _) => own.copy_from_slice(state),
                (false, true, _) => own.fill(0.0),
                (false, false, false) => own.copy_from_slice(&done[(step - 1) * units..]),
                (false, false, true) if self.op.return_sequences => own.fill(0.0),
                // the output before it, which is there already
                (false, false, true) => {}
            }
        }
    }

    fn backward_one(
        &self,
        (x, mask, dy): (&[f32], Option<&[f32]>, &[f32]),
        params: &[&[f32]],
        dx: Option<(&mut [f32], Accumulate)>,
        grads: &mut [Option<&mut [f32]>],
        memory: &mut [f32],
    ) {
        let (units, width, steps) = (self.op.units, self.width(), self.steps);
        let (kept, more) = memory.split_at_mut(self.kept_len());
        let mut kept = self.kept(kept);
        self.run(x, mask, params, &mut kept);
        // `by_place`: gradients in front of the activations; `by_step`: those of the state's product
        let [by_place, by_step, slope, hidden, carry, passed, reset, all] = parts(more, self.more_sizes());
        hidden.fill(0.0);
        carry.fill(0.0);
        passed.fill(0.0);
        let gates = 2 * units;
        for step in (0..steps).rev() {
            let place = self.place(step);
            let (front, state) =
                (&mut by_place[place * width..][..width], &mut by_step[step * width..][..width]);
            if self.op.return_sequences {
                passed.iter_mut().zip(&dy[step * units..]).for_each(|(passed, dy)| *passed += dy);
            } else if step + 1 == steps {
                passed.copy_from_slice(dy);
            }
            if !Self::counts(mask, place) {
                front.fill(0.0);
                state.fill(0.0);
                if self.op.zero_output {
                    passed.fill(0.0);
                }
                continue;
            }
            hidden
                .iter_mut()
                .zip(&mut *passed)
                .for_each(|(hidden, passed)| *hidden += std::mem::take(passed));
            let before = &kept.before[place * width..][..width];
            let after = &kept.after[place * width..][..width];
            let old = &kept.hidden[step * units..][..units];
            match self.op.cell {
                Cell::Simple => {
                    self.op.activation.backward(before, hidden, front);
                    state.copy_from_slice(front);
                    matmul_bt(1, width, units, state, params[1], hidden, Accumulate::Overwrite);
                }
                Cell::Lstm => {
                    let [i, f, c, o] = quarters(after);
                    let squashed = &kept.squashed[place * units..][..units];
                    let old_carry = &kept.cell[step * units..][..units];
                    let new_carry = &kept.cell[(step + 1) * units..][..units];
                    let (of_squashed, of_carry) = slope[..2 * units].split_at_mut(units);
                    of_squashed.iter_mut().zip(&*hidden).zip(o).for_each(|((d, h), o)| *d = h * o);
                    self.op.activation.backward(new_carry, of_squashed, of_carry);
                    carry.iter_mut().zip(of_carry).for_each(|(carry, more)| *carry += *more);
                    for unit in 0..units {
                        slope[unit] = carry[unit] * c[unit];
                        slope[units + unit] = carry[unit] * old_carry[unit];
                        slope[2 * units + unit] = carry[unit] * i[unit];
                        slope[3 * units + unit] = hidden[unit] * squashed[unit];
                        carry[unit] *= f[unit];
                    }
                    let function = [self.op.recurrent_activation, self.op.activation];
                    for (gate, which) in [0, 0, 1, 0].into_iter().enumerate() {
                        let own = gate * units..(gate + 1) * units;
                        function[which].backward(&before[own.clone()], &slope[own.clone()], &mut front[own]);
                    }
                    state.copy_from_slice(front);
                    matmul_bt(1, width, units, state, params[1], hidden, Accumulate::Overwrite);
                }
                Cell::Gru { reset_after } => {
                    let inner = &kept.inner[place * units..][..units];
                    for unit in 0..units {
                        let (z, h) = (after[unit], after[gates + unit]);
                        slope[unit] = hidden[unit] * (old[unit] - h);
                        slope[gates + unit] = hidden[unit] * (1.0 - z);
                        hidden[unit] *= z;
                    }
                    let (gate, rest) = front.split_at_mut(gates);
                    self.op.activation.backward(&before[gates..], &slope[gates..], rest);
                    if reset_after {
                        for unit in 0..units {
                            slope[units + unit] = rest[unit] * inner[unit];
                        }
                    } else {
                        all.fill(0.0);
                        all[gates..].copy_from_slice(rest);
                        matmul_bt(1, width, units, all, params[1], reset, Accumulate::Overwrite);
                        for unit in 0..units {
                            slope[units + unit] = reset[unit] * old[unit];
                            hidden[unit] += reset[unit] * after[units + unit];
                        }
                    }
                    self.op.recurrent_activation.backward(&before[..gates], &slope[..gates], gate);
                    state[..gates].copy_from_slice(gate);
                    for unit in 0..units {
                        state[gates + unit] =
                            if reset_after { rest[unit] * after[units + unit] } else { 0.0 };
                    }
                    matmul_bt(1, width, units, state, params[1], hidden, Accumulate::Add);
                }
            }
        }
        if let Some((dx, accumulate)) = dx {
            matmul_bt(steps, width, self.channels, by_place, params[0], dx, accumulate);
        }
        if let Some(kernel) = &mut grads[0] {
            matmul_at(self.channels, steps, width, x, by_place, kernel, Accumulate::Add);
        }
        if let Some(recurrent) = &mut grads[1] {
            matmul_at(
                units,
                steps,
                width,
                &kept.hidden[..steps * units],
                by_step,
                recurrent,
                Accumulate::Add,
            );
            if self.op.cell == (Cell::Gru { reset_after: false }) {
                // the candidate reads the state that was reset
                for place in 0..steps {
                    if Self::counts(mask, place) {
                        add_outer(
                            &kept.inner[place * units..][..units],
                            &by_place[place * width + gates..][..units],
                            width,
                            gates,
                            recurrent,
                        );
                    }
                }
            }
        }
        if let Some(Some(bias)) = grads.get_mut(2) {
            let (of_input, of_state) = bias.split_at_mut(width);
            sum_channels(width, by_place, of_input);
            if !of_state.is_empty() {
                sum_channels(width, by_step, of_state);
            }
        }
    }

    fn more_sizes(&self) -> [usize; 8] {
        let (steps, units, width) = (self.steps, self.op.units, self.width());
        // two rows of `units` at least, whatever the cell
        [steps * width, steps * width, width.max(2 * units), units, units, units, units, width]
    }
}

/// The four gates of an LSTM.
fn quarters(all: &[f32]) -> [&[f32]; 4] {
    let units = all.len() / 4;
    std::array::from_fn(|gate| &all[gate * units..][..units])
}

/// `matrix[row, from + column] += a[row] · b[column]`.
fn add_outer(a: &[f32], b: &[f32], width: usize, from: usize, matrix: &mut [f32]) {
    for (row, a) in matrix.chunks_exact_mut(width).zip(a) {
        row[from..].iter_mut().zip(b).for_each(|(value, b)| *value += a * b);
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
