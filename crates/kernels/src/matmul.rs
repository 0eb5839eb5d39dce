//! Dense products of row-major matrices, on the calling thread.

use gemm::Parallelism;

/// What becomes of the destination of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accumulate {
    /// Replaced; its old values are not read.
    Overwrite,
    /// Added to.
    Add,
}

/// `c = a·b`, or `c += a·b`.
///
/// * `a`: `[m, k]`
/// * `b`: `[k, n]`
/// * `c`: `[m, n]`
pub fn matmul(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], c: &mut [f32], accumulate: Accumulate) {
    product([m, k, n], a, [k, 1], b, [n, 1], c, accumulate);
}

/// `c = aᵀ·b`, or `c += aᵀ·b`.
///
/// * `a`: `[k, m]`
/// * `b`: `[k, n]`
/// * `c`: `[m, n]`
pub fn matmul_at(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], c: &mut [f32], accumulate: Accumulate) {
    product([m, k, n], a, [1, m], b, [n, 1], c, accumulate);
}

/// `c = a·bᵀ`, or `c += a·bᵀ`.
///
/// * `a`: `[m, k]`
/// * `b`: `[n, k]`
/// * `c`: `[m, n]`
pub fn matmul_bt(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], c: &mut [f32], accumulate: Accumulate) {
    product([m, k, n], a, [k, 1], b, [1, k], c, accumulate);
}

/// The terms of a sum that are added at a time.
const PIECE: usize = 512;
/// Products of at most so many rows and columns are cut into pieces of [`PIECE`] by gemm itself; those of so few numbers not at all.
const SMALL: usize = 64;
const FEW: usize = 256;

/// How many terms of `k` are added at a time. Left to itself, gemm cuts long sums by the sizes of the processor's caches: two
/// processors with the same instructions would have other bits.
fn piece([m, k, n]: [usize; 3]) -> usize {
    let is_cut_by_caches = m.max(n) > SMALL && m.min(n) > 1 && m * n > FEW;
    match is_cut_by_caches {
        true => k.div_ceil(k.div_ceil(PIECE).max(1)).max(1),
        false => k.max(1),
    }
}

/// Strides are `[row, column]`, in elements.
fn product(
    [m, k, n]: [usize; 3],
    a: &[f32],
    a_strides: [usize; 2],
    b: &[f32],
    b_strides: [usize; 2],
    c: &mut [f32],
    accumulate: Accumulate,
) {
    assert_eq!(a.len(), m * k, "a has m * k elements");
    assert_eq!(b.len(), k * n, "b has k * n elements");
    assert_eq!(c.len(), m * n, "c has m * n elements");
    let piece = piece([m, k, n]);
    // without a term the product is zero
    for begin in (0..k.max(1)).step_by(piece) {
        let terms = piece.min(k - begin);
        let add = accumulate == Accumulate::Add || begin > 0;
        // SAFETY: the lengths were checked above, so every index `row * stride + column * stride` of the three matrices
        // lies inside its slice, also behind the terms that were added before, and `c` is borrowed exclusively.
        unsafe {
            gemm::gemm(
                m,
                n,
                terms,
                c.as_mut_ptr(),
                1,
                n as isize,
                add,
                a.as_ptr().add(begin * a_strides[1]),
                a_strides[1] as isize,
                a_strides[0] as isize,
                b.as_ptr().add(begin * b_strides[0]),
                b_strides[1] as isize,
                b_strides[0] as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn transposed(rows: usize, columns: usize, x: &[f32]) -> Vec<f32> {
        (0..columns * rows).map(|i| x[i % rows * columns + i / rows]).collect()
    }

    fn plain(m: usize, k: usize, n: usize, a: &[f32], b: &[f32]) -> Vec<f32> {
        (0..m * n).map(|i| (0..k).map(|j| a[i / n * k + j] * b[j * n + i % n]).sum()).collect()
    }

    #[test]
    fn long_sums_are_cut_where_no_cache_decides() {
        let (m, k, n) = (3, 1300, 90);
        let (a, b) = (crate::reference::noise(m * k, 1), crate::reference::noise(k * n, 2));
        let mut whole = vec![0.0; m * n];
        matmul(m, k, n, &a, &b, &mut whole, Accumulate::Overwrite);
        let piece = piece([m, k, n]);
        assert_eq!(piece, 434);
        let mut cut = vec![0.0; m * n];
        for begin in (0..k).step_by(piece) {
            let terms = piece.min(k - begin);
            let rows: Vec<f32> = a.chunks(k).flat_map(|row| row[begin..][..terms].to_vec()).collect();
            matmul(m, terms, n, &rows, &b[begin * n..][..terms * n], &mut cut, Accumulate::Add);
        }
        assert_eq!(whole, cut);
        crate::reference::assert_close(&whole, &plain(m, k, n, &a, &b), k as f32);
    }

    proptest! {
        #[test]
        fn products_agree_with_three_loops(m in 1usize..40, k in 0usize..40, n in 1usize..40, seed in any::<u64>()) {
            let a = crate::reference::noise(m * k, seed);
            let b = crate::reference::noise(k * n, seed ^ 1);
            let start = crate::reference::noise(m * n, seed ^ 2);
            let expected = plain(m, k, n, &a, &b);
            for accumulate in [Accumulate::Overwrite, Accumulate::Add] {
                let base = if accumulate == Accumulate::Add { start.clone() } else { vec![0.0; m * n] };
                let sum: Vec<f32> = expected.iter().zip(&base).map(|(x, y)| x + y).collect();
                let mut c = start.clone();
                matmul(m, k, n, &a, &b, &mut c, accumulate);
                crate::reference::assert_close(&c, &sum, k as f32);
                c.copy_from_slice(&start);
                matmul_at(m, k, n, &transposed(m, k, &a), &b, &mut c, accumulate);
                crate::reference::assert_close(&c, &sum, k as f32);
                c.copy_from_slice(&start);
                matmul_bt(m, k, n, &a, &transposed(k, n, &b), &mut c, accumulate);
                crate::reference::assert_close(&c, &sum, k as f32);
            }
        }
    }
}
