//! `product`: the matrix product of two values of an image, for each pair of matrices in them.

use super::images::{each_image, image, image_mut};
use super::{Backward, Cost, Instance, OpKind};
use crate::Shape;
use frostline_kernels::{Accumulate, matmul, matmul_at, matmul_bt};

/// `a […, m, k]` times `b […, k, n]`; with `transposed` `b` is `[…, n, k]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// Whether the second value's last two axes are exchanged.
    pub transposed: bool,
}

impl Product {
    /// `[matrices, m, k, n]`
    fn sizes(&self, inputs: &[Shape]) -> Option<[usize; 4]> {
        let [a, b] = inputs else { return None };
        let ([before, m, k], [others, rows, columns]) = (split(a)?, split(b)?);
        let (inner, n) = if self.transposed { (columns, rows) } else { (rows, columns) };
        (a.len() == b.len() && a[..a.len() - 2] == b[..b.len() - 2] && before == others && inner == k)
            .then_some([before, m, k, n])
    }
}

/// The number of matrices, their rows and columns.
fn split(shape: &[usize]) -> Option<[usize; 3]> {
    match shape {
        [before @ .., rows, columns] => Some([before.iter().product(), *rows, *columns]),
        _ => None,
    }
}

impl OpKind for Product {
    fn name(&self) -> &'static str {
        "product"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let [_, m, _, n] =
            self.sizes(inputs).ok_or_else(|| format!("matrices of {inputs:?} cannot be multiplied"))?;
        Ok([&inputs[0][..inputs[0].len() - 2], &[m, n]].concat())
    }

    fn needs_floats(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Shape], _: &[Shape]) -> Cost {
        let Some([matrices, m, k, n]) = self.sizes(inputs) else { return Cost::default() };
        let values = matrices * (m * k + k * n + m * n);
        Cost { multiply_adds: (matrices * m * k * n) as u64, bytes: 4 * values as u64 }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let sizes = self.sizes(inputs).expect("the shapes were checked when the op was pushed");
        Box::new(Bound { transposed: self.transposed, sizes })
    }
}

struct Bound {
    transposed: bool,
    /// `[matrices, m, k, n]`
    sizes: [usize; 4],
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let [matrices, m, k, n] = self.sizes;
        let product = if self.transposed { matmul_bt } else { matmul };
        each_image(matrices, output, |index, y| {
            let (a, b) = (image(inputs[0], matrices, index), image(inputs[1], matrices, index));
            product(m, k, n, a, b, y, Accumulate::Overwrite);
        });
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let [matrices, m, k, n] = self.sizes;
        let count = args.batch * matrices;
        let [da, db] = args.input_grads else { return };
        if let Some(da) = da {
            let (da, accumulate) = da.parts();
            let product = if self.transposed { matmul } else { matmul_bt };
            for index in 0..count {
                let (dy, b) = (image(args.output_grad, count, index), image(args.inputs[1], count, index));
                product(m, n, k, dy, b, image_mut(da, count, index), accumulate);
            }
        }
        if let Some(db) = db {
            let (db, accumulate) = db.parts();
            for index in 0..count {
                let (dy, a) = (image(args.output_grad, count, index), image(args.inputs[0], count, index));
                let db = image_mut(db, count, index);
                match self.transposed {
                    true => matmul_at(n, m, k, dy, a, db, accumulate),
                    false => matmul_at(k, m, n, a, dy, db, accumulate),
                }
            }
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
            sizes in [1usize..5, 1usize..6, 1usize..6], matrices in 1usize..3, transposed: bool, seed: u64,
        ) {
            let [m, k, n] = sizes;
            let b = if transposed { [matrices, n, k] } else { [matrices, k, n] };
            Check::of(Product { transposed }, &[&[matrices, m, k], &b]).run(seed);
        }
    }
}
