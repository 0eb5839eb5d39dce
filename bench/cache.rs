//! How fast rows of the feature cache are read, beside this machine's memory.
//!
//! usage: bench_cache FOLDER      (an empty or new folder on the disk in question)
//!
//! For rows of several lengths it writes 256 MiB and reads them in random order, a batch at a time, twice: each row is compared with its
//! checksum.

#![allow(clippy::print_stdout, reason = "it tells what happens")]

use frostline::cache::{FeatureCache, FeatureKey, Form, PrefixKey};
use frostline::compile::compile_frozen;
use frostline::data::{Augment, Pipeline, Preprocess, Resize, shuffled};
use frostline::formats;
use frostline::graph::Freeze;
use frostline::{DType, PrefixDType};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

const BYTES: usize = 256 << 20;
const SHARD: usize = 64 << 20;
const BATCH: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: bench_cache FOLDER")?;
    let model = formats::load("crates/cli/assets/demo/my_model_A.h5".as_ref())?.model;
    let shapes = model.graph.stand_in_shapes();
    let pipeline = Pipeline::new(&shapes[0], Resize::default(), Augment::default(), Preprocess::None)?;
    let freeze = Freeze::everything(&model.graph);
    let frozen = compile_frozen(&PrefixDType::F32, &model, &freeze, &shapes)?;
    let cache = FeatureCache::new(folder, 1 << 40);
    let mut out = vec![0u8; BYTES];
    let from = vec![1u8; BYTES];
    for _ in 0..2 {
        say("memory copy", BYTES, || out.copy_from_slice(black_box(&from)));
        black_box(&out);
    }
    for (element, feature_len) in
        [(DType::F32, 1280), (DType::F32, 7840), (DType::F32, 75_264), (DType::Bf16, 7840)]
    {
        let form = Form { feature_len, dtype: element };
        let count = BYTES / form.bytes();
        let key = |index: usize| FeatureKey::new(&blake3::hash(&index.to_le_bytes()), None);
        let keys: Vec<FeatureKey> = (0..count).map(key).collect();
        let mut store = cache.open(PrefixKey::new(&frozen, element, &pipeline), form, "bench", &[])?;
        let bytes = count * form.bytes();
        let in_shard = SHARD / form.bytes();
        let rows: Vec<f32> = (0..in_shard * feature_len).map(|index| (index % 256) as f32).collect();
        say(&format!("{element} rows of {} bytes: written", form.bytes()), bytes, || {
            for keys in keys.chunks(in_shard) {
                assert!(store.append(keys, rows.chunks_exact(feature_len).take(keys.len())), "not written");
            }
        });
        let order = shuffled(count, 0, 1);
        let mut batch = vec![0.0; BATCH * feature_len];
        for what in ["read", "read again"] {
            say(what, bytes, || {
                for chunk in order.chunks(BATCH) {
                    for (index, row) in chunk.iter().zip(batch.chunks_exact_mut(feature_len)) {
                        assert!(store.read(&keys[*index], row));
                    }
                }
            });
        }
        cache.clear()?;
    }
    Ok(())
}

fn say(what: &str, bytes: usize, work: impl FnOnce()) {
    let clock = Instant::now();
    work();
    println!("{:6.2} GB/s  {what}", bytes as f64 / 1e9 / clock.elapsed().as_secs_f64());
}
