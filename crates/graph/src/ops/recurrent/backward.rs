//! The gradients of one sequence, from its last step to its first.

use super::steps::{parts, quarters};
use super::{Bound, Cell};
use frostline_kernels::{Accumulate, matmul_at, matmul_bt, sum_channels};

impl Bound {
    /// The gradients of one sequence, whose steps are made once more.
    pub(super) fn backward_one(
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

    pub(super) fn more_sizes(&self) -> [usize; 8] {
        let (steps, units, width) = (self.steps, self.op.units, self.width());
        // two rows of `units` at least, whatever the cell
        [steps * width, steps * width, width.max(2 * units), units, units, units, units, width]
    }
}

/// `matrix[row, from + column] += a[row] · b[column]`.
fn add_outer(a: &[f32], b: &[f32], width: usize, from: usize, matrix: &mut [f32]) {
    for (row, a) in matrix.chunks_exact_mut(width).zip(a) {
        row[from..].iter_mut().zip(b).for_each(|(value, b)| *value += a * b);
    }
}
