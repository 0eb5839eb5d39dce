//! `dense`: a matrix product over the last axis.

use super::{Backward, Cost, Forward, Instance, OpKind, Reads, one_of};
use crate::{Extents, Shape};
use frostline_kernels::{Accumulate, Activation, activate, matmul, matmul_at, matmul_bt, sum_channels};

/// Input: `x […, in]`. Weights: kernel `[in, out]`, and with `bias` `[out]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Whether there is a bias.
    pub bias: bool,
    /// Applied to the result. Fusion sets it, in frozen prefixes.
    pub activation: Activation,
}

impl OpKind for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn output_shape(&self, inputs: &[Shape], params: &[Shape]) -> Result<Shape, String> {
        let input = one_of(inputs)?;
        match (input.split_last(), params.first().map(Vec::as_slice)) {
            (Some((width, rows)), Some([wanted, out])) if width == wanted => Ok([rows, &[*out]].concat()),
            _ => Err(format!("a kernel of {:?} does not fit values of {input:?}", params.first())),
        }
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        let rows: usize = inputs[0].iter().rev().skip(1).product();
        let weights: usize = params[0].iter().product();
        let values = inputs[0].elements() + rows * params[0][1];
        Cost { multiply_adds: (rows * weights) as u64, bytes: 4 * values as u64 }
    }

    fn bind(&self, inputs: &[Shape], params: &[Shape], _: usize) -> Box<dyn Instance> {
        let (width, out) = (params[0][0], params[0][1]);
        let rows = inputs[0].elements() / width.max(1);
        Box::new(Bound { op: self.clone(), rows, width, out })
    }
}

struct Bound {
    op: Dense,
    rows: usize,
    width: usize,
    out: usize,
}

impl Bound {
    /// `y = x · kernel + bias` for `rows` rows.
    fn product(&self, rows: usize, x: &[f32], params: &[&[f32]], y: &mut [f32]) {
        if self.op.bias {
            y.chunks_exact_mut(self.out).for_each(|row| row.copy_from_slice(params[1]));
        }
        let accumulate = if self.op.bias { Accumulate::Add } else { Accumulate::Overwrite };
        matmul(rows, self.width, self.out, x, params[0], y, accumulate);
    }
}

impl Instance for Bound {
    fn infer_scratch(&self) -> usize {
        self.rows * self.out
    }

    fn infer(&self, inputs: &[&[f32]], params: &[&[f32]], output: &mut [f32], scratch: &mut [f32]) {
        if self.op.activation == Activation::Linear {
            return self.product(self.rows, inputs[0], params, output);
        }
        let product = &mut scratch[..self.rows * self.out];
        self.product(self.rows, inputs[0], params, product);
        activate(self.op.activation, product, output);
    }

    fn reads(&self, trains: bool) -> Reads {
        Reads { inputs: trains, output: false, either: false }
    }

    fn forward(&self, args: Forward<'_>) {
        debug_assert!(self.op.activation == Activation::Linear, "fused products are in frozen prefixes only");
        self.product(args.batch * self.rows, args.inputs[0], args.params, args.output);
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let (rows, width, out, dy) = (args.batch * self.rows, self.width, self.out, args.output_grad);
        if let Some(dx) = &mut args.input_grads[0] {
            let (dx, accumulate) = dx.parts();
            matmul_bt(rows, out, width, dy, args.params[0], dx, accumulate);
        }
        if let Some(dw) = &mut args.param_grads[0] {
            matmul_at(width, rows, out, args.inputs[0], dy, dw, Accumulate::Add);
        }
        if let Some(Some(db)) = args.param_grads.get_mut(1) {
            sum_channels(out, dy, db);
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
            rows in 1usize..4, width in 1usize..20, out in 1usize..20, images in 1usize..10, bias: bool, seed: u64,
        ) {
            let op = Dense { bias, activation: Activation::Linear };
            let kernel = [width, out];
            let weights: Vec<&[usize]> = if bias { vec![&kernel, &kernel[1..]] } else { vec![&kernel] };
            Check::of(op, &[&[rows, width]]).weights(&weights).images(images).linear().run(seed);
        }
    }
}
