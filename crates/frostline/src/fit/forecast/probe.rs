//! What decoding, computing, writing and reading cost here, measured on a few images.

use crate::fit::features::cache::FeatureCache;
use crate::fit::features::choice::Costs;
use crate::fit::{Caching, Source};
use frostline_data::Example;
use frostline_engine::compile::Frozen;
use frostline_graph::Result;
use std::time::Instant;

/// Images for each thread.
const IMAGES: usize = 4;
/// Bytes that are copied to see how fast memory is.
const COPIED: usize = 8 << 20;

/// On the first images to train on.
pub(in crate::fit) fn costs(frozen: &Frozen, source: Source<'_>, caching: &Caching) -> Result<Costs> {
    let Source { dataset, .. } = source;
    let count = (IMAGES * rayon::current_num_threads()).min(dataset.train.len()).max(1);
    let examples: Vec<_> = dataset.train.iter().take(count).collect();
    let [decode, compute] = on_images(frozen, source, &examples)?; // their memory is free again
    let multiply_adds = count as f64 * frozen.program().multiply_adds() as f64;
    let [write, read] = match caching {
        Caching::Disk(cache) => cache.speed()?,
        Caching::Memory(_) => [copy_speed(); 2],
        Caching::Nothing => [1.0; 2], // no feature vector is written or read
    };
    Ok(Costs {
        decode: decode / count as f64,
        multiply_adds: multiply_adds.max(1.0) / compute.max(1e-9),
        write,
        read,
    })
}

/// Seconds to decode images, and to take them through the frozen layers.
fn on_images(frozen: &Frozen, source: Source<'_>, examples: &[&Example]) -> Result<[f64; 2]> {
    let Source { dataset, pipeline } = source;
    let mut pixels = vec![0.0; examples.len() * pipeline.input_len()];
    let decode = seconds(|| pipeline.load_rows(dataset, examples, None, &mut pixels))?;
    let (prefix, mut vectors) = (frozen.bind(), vec![0.0; examples.len() * frozen.feature_len()]);
    prefix.run(&pixels, &mut vectors); // buffers are allocated
    let compute = seconds(|| {
        prefix.run(&pixels, &mut vectors);
        Ok(())
    })?;
    Ok([decode, compute])
}

fn seconds(work: impl FnOnce() -> std::result::Result<(), frostline_data::DataError>) -> Result<f64> {
    let clock = Instant::now();
    work()?;
    Ok(clock.elapsed().as_secs_f64())
}

/// Bytes a second that one thread copies.
fn copy_speed() -> f64 {
    let (from, mut to) = (vec![1u8; COPIED], vec![2u8; COPIED]);
    let clock = Instant::now();
    to.copy_from_slice(&from);
    std::hint::black_box(&to);
    COPIED as f64 / clock.elapsed().as_secs_f64().max(1e-9)
}

impl FeatureCache {
    /// Bytes a second that are written, and read again.
    fn speed(&self) -> Result<[f64; 2]> {
        let bytes = COPIED as f64;
        Ok(self.measure(COPIED)?.map(|seconds| bytes / seconds.max(1e-9)))
    }
}
