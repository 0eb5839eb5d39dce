//! Work on a batch, image by image, on all threads. Sums across images are cut in fixed pieces and added in a
//! fixed order, so that results do not depend on the number of threads.

use rayon::prelude::*;

/// A batch is cut into at most this many pieces of consecutive images, whatever the number of threads.
const PIECES: usize = 8;

/// Memory of one piece of the batch: scratch, and partial sums of what is reduced across images.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) scratch: Vec<f32>,
    pub(super) sums: Vec<f32>,
    pub(super) sums64: Vec<f64>,
}

/// The memory of all pieces of a batch.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<Piece>);

impl Pieces {
    /// For batches of up to `batch` images.
    pub(super) fn new(batch: usize, scratch: usize, sums: usize, sums64: usize) -> Self {
        let piece = || Piece { scratch: vec![0.0; scratch], sums: vec![0.0; sums], sums64: vec![0.0; sums64] };
        Self((0..PIECES.min(batch)).map(|_| piece()).collect())
    }

    /// Runs `work(first image, number of images, piece's output, piece's memory)` for every piece, in parallel;
    /// `output` is `[batch, …]` and each piece is given its own part of it.
    pub(super) fn run<T: Send>(
        &mut self,
        batch: usize,
        output: &mut [T],
        work: impl Fn(usize, usize, &mut [T], &mut Piece) + Sync,
    ) {
        if batch == 0 || self.0.is_empty() {
            return;
        }
        let images = batch.div_ceil(self.0.len());
        let len = output.len() / batch;
        let parts = Parts { rest: output, chunk: images * len };
        let jobs: smallvec::SmallVec<[(usize, &mut [T], &mut Piece); PIECES]> =
            parts.zip(&mut self.0).enumerate().map(|(index, (part, piece))| (index, part, piece)).collect();
        jobs.into_vec_parallel(|(index, part, piece)| {
            let first = index * images;
            if first < batch {
                work(first, images.min(batch - first), part, piece);
            }
        });
    }

    /// [`Pieces::run`] without an output.
    pub(super) fn run_sums(&mut self, batch: usize, work: impl Fn(usize, usize, &mut Piece) + Sync) {
        self.run::<f32>(batch, &mut [], |first, count, _, piece| work(first, count, piece));
    }

    /// Adds the pieces' partial sums to `total`, in their order. Pieces beyond the batch hold zeros.
    pub(super) fn add_sums(&self, offset: usize, total: &mut [f32]) {
        for piece in &self.0 {
            frostline_kernels::add_assign(total, &piece.sums[offset..][..total.len()]);
        }
    }

    /// The same in f64.
    pub(super) fn add_sums64(&self, offset: usize, total: &mut [f64]) {
        for piece in &self.0 {
            total.iter_mut().zip(&piece.sums64[offset..]).for_each(|(total, part)| *total += part);
        }
    }

    /// Sets all partial sums to zero.
    pub(super) fn clear(&mut self) {
        for piece in &mut self.0 {
            piece.sums.fill(0.0);
            piece.sums64.fill(0.0);
        }
    }
}
