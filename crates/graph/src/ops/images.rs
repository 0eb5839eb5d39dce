//! Some images of a batch, one after the other.

/// Runs `work(image, its part of output)` for every image. `output` is `[batch, …]`.
pub(super) fn each_image<T>(batch: usize, output: &mut [T], mut work: impl FnMut(usize, &mut [T])) {
    if batch > 0 && !output.is_empty() {
        let len = output.len() / batch;
        output.chunks_exact_mut(len).enumerate().for_each(|(index, part)| work(index, part));
    }
}

/// The `index`-th image of some.
pub(super) fn image(values: &[f32], batch: usize, index: usize) -> &[f32] {
    let len = values.len() / batch;
    &values[index * len..][..len]
}

/// The `index`-th image of some, to be written.
pub(super) fn image_mut(values: &mut [f32], batch: usize, index: usize) -> &mut [f32] {
    let len = values.len() / batch;
    &mut values[index * len..][..len]
}
