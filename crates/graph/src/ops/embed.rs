//! `embed`: for each whole number a row of a table.

use super::images::image;
use super::{Backward, Cost, Forward, Instance, OpKind, Reads, one_of};
use crate::{Extents, Shape};

/// Input: whole numbers `[…]`. Weight: the table `[rows, width]`. Output: `[…, width]`. A number that has no row gives NaN, as
/// it cannot stop a pass; who reads files looks before.
#[derive(Clone, Debug, PartialEq)]
pub struct Embed;

impl OpKind for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let input = one_of(inputs)?;
        match params {
            [table] if table.len() == 2 => Ok([input.as_slice(), &table[1..]].concat()),
            _ => Err(format!("expected a table of rows, received {params:?}")),
        }
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        Cost { multiply_adds: 0, bytes: 8 * (inputs[0].elements() * params[0][1]) as u64 }
    }

    fn needs_floats(&self) -> bool {
        true
    }

    fn bind(&self, _: &[Shape], params: &[Shape], _: usize) -> Box<dyn Instance> {
        Box::new(Bound { rows: params[0][0], width: params[0][1] })
    }
}

struct Bound {
    rows: usize,
    width: usize,
}

impl Bound {
    fn row(&self, number: f32) -> Option<usize> {
        let is_row = number.fract() == 0.0 && number >= 0.0 && number < self.rows as f32;
        is_row.then_some(number as usize)
    }

    fn look_up(&self, numbers: &[f32], table: &[f32], output: &mut [f32]) {
        for (number, place) in numbers.iter().zip(output.chunks_exact_mut(self.width)) {
            match self.row(*number) {
                Some(row) => place.copy_from_slice(&table[row * self.width..][..self.width]),
                None => place.fill(f32::NAN),
            }
        }
    }
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        self.look_up(inputs[0], params[0], output);
    }

    fn reads(&self, trains: bool) -> Reads {
        if trains { Reads::INPUTS } else { Reads::NOTHING }
    }

    fn forward(&self, args: Forward<'_>) {
        self.look_up(args.inputs[0], args.params[0], args.output);
    }

    fn backward(&self, args: Backward<'_, '_>) {
        if let Some(grad) = &mut args.input_grads[0] {
            // whole numbers have no slope
            grad.to_add();
        }
        if let Some(table) = &mut args.param_grads[0] {
            for index in 0..args.batch {
                let numbers = image(args.inputs[0], args.batch, index);
                let grads = image(args.output_grad, args.batch, index).chunks_exact(self.width);
                for (number, grad) in numbers.iter().zip(grads) {
                    let Some(row) = self.row(*number) else { continue };
                    let own = &mut table[row * self.width..][..self.width];
                    own.iter_mut().zip(grad).for_each(|(own, grad)| *own += grad);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Gradient, Mode, Scratch};
    use frostline_kernels::Accumulate;

    fn bound() -> Box<dyn Instance> {
        Embed.bind(&[vec![3]], &[vec![4, 2]], 2)
    }

    #[test]
    fn rows_are_looked_up_and_what_has_none_is_no_number() {
        let table: Vec<f32> = (0..8).map(|value| value as f32).collect();
        let mut output = [0.0; 8];
        bound().infer(&[&[2.0, 0.0, 3.0, 0.0]], &[&table], &mut output, &mut []);
        assert_eq!(output, [4.0, 5.0, 0.0, 1.0, 6.0, 7.0, 0.0, 1.0]);
        for number in [4.0, -1.0, 0.5, f32::NAN] {
            let mut output = [0.0; 2];
            bound().infer(&[&[number]], &[&table], &mut output, &mut []);
            assert!(output.iter().all(|value| value.is_nan()), "{number}");
        }
    }

    #[test]
    fn a_row_that_is_taken_twice_gets_both_gradients() {
        let (mut table, mut input) = (vec![1.0; 8], vec![f32::NAN; 6]);
        let grads: Vec<f32> = (1..=12).map(|value| value as f32).collect();
        bound().backward(Backward {
            batch: 2,
            first: 0,
            inputs: &[&[1.0, 3.0, 1.0, 0.0, 1.0, 3.0]],
            params: &[&[0.0; 8]],
            output: &[],
            output_grad: &grads,
            input_grads: &mut [Some(Gradient::new(&mut input, Accumulate::Overwrite))],
            param_grads: &mut [Some(&mut table)],
            mode: Mode::Training,
            seed: 0,
            scratch: &mut Scratch::default(),
        });
        assert_eq!(table, [8.0, 9.0, 16.0, 19.0, 1.0, 1.0, 15.0, 17.0]);
        assert_eq!(input, [0.0; 6]);
    }
}
