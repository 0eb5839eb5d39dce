//! Work on a batch, piece by piece, on all threads. Sums across images are cut in fixed pieces and added in a
//! fixed order, so that results do not depend on the number of threads.

use rayon::prelude::*;
use std::ops::Range;

/// Memory of one piece of the batch: scratch, and partial sums of what is reduced across images.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) scratch: Vec<f32>,
    pub(super) sums: Vec<f32>,
    pub(super) sums64: Vec<f64>,
}

/// A batch cut into pieces of consecutive images, with their memory.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<Piece>);

impl Pieces {
    /// Pieces for work that only needs scratch.
    pub(super) fn new(batch: usize, scratch: usize) -> Self {
        Self::with_sums(batch, scratch, 0, 0)
    }

    /// Pieces that each hold partial sums. Their number depends on the sizes alone: at most 8, fewer where the
    /// sums are so large that memory would be wasted.
    pub(super) fn with_sums(batch: usize, scratch: usize, sums: usize, sums64: usize) -> Self {
        let pieces: usize = match sums {
            0..0x2_0000 => 8,
            0x2_0000..0x10_0000 => 4,
            0x10_0000..0x40_0000 => 2,
            _ => 1,
        };
        let piece =
            |_| Piece { scratch: vec![0.0; scratch], sums: vec![0.0; sums], sums64: vec![0.0; sums64] };
        Self((0..pieces.min(batch)).map(piece).collect())
    }

    /// Runs `work(its images, its part of output, its memory)` for every piece in parallel. `output` is
    /// `[batch, …]`.
    pub(super) fn each<T: Send>(
        &mut self,
        batch: usize,
        output: &mut [T],
        work: impl Fn(Range<usize>, &mut [T], &mut Piece) + Sync,
    ) {
        if batch == 0 || output.is_empty() {
            return;
        }
        let len = output.len() / batch;
        let images = batch.div_ceil(self.0.len());
        self.0.par_iter_mut().zip(output.par_chunks_mut(images * len)).enumerate().for_each(
            |(index, (piece, part))| {
                work(index * images..batch.min((index + 1) * images), part, piece);
            },
        );
    }

    /// Runs `work(image, its part of output, scratch)` for every image, the pieces in parallel.
    pub(super) fn each_image<T: Send>(
        &mut self,
        batch: usize,
        output: &mut [T],
        work: impl Fn(usize, &mut [T], &mut [f32]) + Sync,
    ) {
        self.each(batch, output, |images, part, piece| {
            let len = part.len() / images.len();
            for (image, one) in images.zip(part.chunks_mut(len)) {
                work(image, one, &mut piece.scratch);
            }
        });
    }

    /// Clears all partial sums, then runs `work(its images, its memory)` for every piece in parallel.
    pub(super) fn sum(&mut self, batch: usize, work: impl Fn(Range<usize>, &mut Piece) + Sync) {
        let images = batch.div_ceil(self.0.len().max(1));
        self.0.par_iter_mut().enumerate().for_each(|(index, piece)| {
            piece.sums.fill(0.0);
            piece.sums64.fill(0.0);
            let images = batch.min(index * images)..batch.min((index + 1) * images);
            if !images.is_empty() {
                work(images, piece);
            }
        });
    }

    /// [`Pieces::sum`], image by image.
    pub(super) fn sum_images(&mut self, batch: usize, work: impl Fn(usize, &mut Piece) + Sync) {
        self.sum(batch, |images, piece| images.for_each(|image| work(image, piece)));
    }

    /// Adds the pieces' partial sums from `offset` on to `total`, in the order of the pieces.
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
}

/// The values of some images of a batch.
pub(super) fn images(values: &[f32], batch: usize, range: Range<usize>) -> &[f32] {
    let len = values.len() / batch;
    &values[range.start * len..range.end * len]
}

/// The `index`-th image of a batch of values.
pub(super) fn image(values: &[f32], batch: usize, index: usize) -> &[f32] {
    let len = values.len() / batch;
    &values[index * len..][..len]
}
