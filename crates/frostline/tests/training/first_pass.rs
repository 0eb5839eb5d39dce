//! Photos are decoded once: what finds the damaged ones makes the rows of the frozen layers too.

use crate::task::{backbone, bits, recipe, stage};
use frostline::cache::FeatureCache;
use frostline::data;
use frostline::fit::{Caching, Check, Event, Validation, prepare};
use frostline::graph::Unfreeze;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Twelve pictures of each of three classes; one that is none, one that is cut off, one that is twice there, one JPEG with
/// holes in its data.
fn photos(folder: &Path) {
    for class in 0..3u8 {
        let folder = folder.join(format!("class_{class}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        for index in 0..12u8 {
            let picture = image::RgbImage::from_fn(6, 6, |x, y| {
                image::Rgb([class * 90, index * 20, (x * 30 + y * 10) as u8])
            });
            picture.save(folder.join(format!("{index:02}.png"))).expect("a picture");
        }
    }
    let path = |name: &str| folder.join("class_1").join(name);
    std::fs::write(path("03.png"), b"not a picture").expect("written");
    let whole = std::fs::read(path("04.png")).expect("a picture");
    std::fs::write(path("04.png"), &whole[..whole.len() / 2]).expect("written");
    std::fs::copy(path("05.png"), path("06.png")).expect("copied");
    let noise = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * y % 251) as u8, (x ^ y) as u8, 7]));
    noise.save(path("90.jpg")).expect("a picture");
    let mut bytes = std::fs::read(path("90.jpg")).expect("a picture");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 60].fill(0);
    std::fs::write(path("91.jpg"), bytes).expect("written");
}

type Bits = Vec<(String, Vec<u32>)>;

/// The weights, the damaged files, and how many rows were made by passes of stages.
fn trained(check: Check, data: &Path, caching: Caching) -> (Bits, Vec<String>, usize) {
    let passed = AtomicUsize::new(0);
    let observe = |event: &Event<'_>| {
        if matches!(event, Event::Features { .. }) {
            passed.fetch_add(1, Ordering::Relaxed);
        }
    };
    let recipe = recipe(vec![stage(Unfreeze::Nothing, 2, 0.02), stage(Unfreeze::Highest(3), 2, 0.01)]);
    let (model, dataset) = (backbone(), data::open(data).expect("data"));
    let validation = Validation::Fraction(0.25);
    let prepared = prepare(check, model, dataset, recipe, &validation, 3, caching, &observe);
    let mut prepared = prepared.expect("a recipe");
    prepared.train(&observe).expect("a training");
    let skipped = prepared.skips.skipped.iter().map(|skip| format!("{} {}", skip.name, skip.reason));
    (bits(&prepared.model), skipped.collect(), passed.into_inner())
}

#[test]
fn no_photo_is_decoded_twice_and_the_result_is_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("photos");
    photos(&data);
    let (weights, skipped, _) = trained(Check::Decode, &data, Caching::Nothing);
    assert!(skipped.len() >= 2, "{skipped:?}");
    let cache = FeatureCache::new(folder.path().join("cache"), 1 << 30);
    // the second run finds all rows, and decodes what is damaged alone
    for _ in 0..2 {
        let found = trained(Check::FirstPass, &data, Caching::Disk(cache.clone()));
        assert_eq!(found.1, skipped);
        assert!(found.0 == weights, "the weights differ");
        assert_eq!(found.2, 0, "the stages found their rows");
    }
    let full = FeatureCache::new(folder.path().join("full"), 10);
    let found = trained(Check::FirstPass, &data, Caching::Disk(full));
    assert!(found.1 == skipped && found.0 == weights);
}
