//! The steps of one sequence, one after the other.

use super::{Bound, Cell};
use frostline_kernels::{Accumulate, matmul};

/// What a pass over one sequence keeps. Rows of `hidden` and `cell` are by the number of steps made so far, the others by the place
/// of the step in the sequence.
pub(super) struct Kept<'s> {
    /// Before the activations, `[steps, gates · units]`.
    pub(super) before: &'s mut [f32],
    /// Behind them.
    pub(super) after: &'s mut [f32],
    /// LSTM's carry, `[steps + 1, units]`.
    pub(super) cell: &'s mut [f32],
    /// `f(carry)`, `[steps, units]`.
    pub(super) squashed: &'s mut [f32],
    /// `[steps + 1, units]`.
    pub(super) hidden: &'s mut [f32],
    /// Of a GRU: the state's product for `h`, or the state that was reset; `[steps, units]`.
    pub(super) inner: &'s mut [f32],
    /// `[gates · units]`.
    pub(super) row: &'s mut [f32],
}

/// Consecutive parts of some memory.
pub(super) fn parts<const N: usize>(mut memory: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    sizes.map(|size| {
        let (part, rest) = std::mem::take(&mut memory).split_at_mut(size);
        memory = rest;
        part
    })
}

impl Bound {
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

    pub(super) fn kept_len(&self) -> usize {
        self.kept_sizes().iter().sum()
    }

    pub(super) fn kept<'s>(&self, memory: &'s mut [f32]) -> Kept<'s> {
        let [before, after, cell, squashed, hidden, inner, row] = parts(memory, self.kept_sizes());
        Kept { before, after, cell, squashed, hidden, inner, row }
    }

    /// The place of the step that is made as the `step`-th.
    pub(super) fn place(&self, step: usize) -> usize {
        if self.op.go_backwards { self.steps - 1 - step } else { step }
    }

    pub(super) fn counts(mask: Option<&[f32]>, place: usize) -> bool {
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
    pub(super) fn run(&self, x: &[f32], mask: Option<&[f32]>, params: &[&[f32]], kept: &mut Kept<'_>) {
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
    pub(super) fn put_out(&self, mask: Option<&[f32]>, hidden: &[f32], output: &mut [f32]) {
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
}

/// The four gates of an LSTM.
pub(super) fn quarters(all: &[f32]) -> [&[f32]; 4] {
    let units = all.len() / 4;
    std::array::from_fn(|gate| &all[gate * units..][..units])
}
