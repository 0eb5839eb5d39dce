//! Files that hold many pictures: what lies in them, and the pictures.

use super::scratch::file;
use frostline_data::{LabelKind, MAX_PIXELS, Reading, check_example, files, open_as, open_for_features};
use frostline_graph::Model;
use std::path::Path;

/// So many pictures are looked at: a changed count may lead to one picture again and again.
const LOOKED_AT: usize = 16;

pub(crate) fn tar(bytes: &[u8]) -> Option<Model> {
    read(&file("packed/some.tar", bytes))
}

pub(crate) fn parquet(bytes: &[u8]) -> Option<Model> {
    read(&file("packed/some.parquet", bytes))
}

fn read(path: &Path) -> Option<Model> {
    for task in [None, Some(LabelKind::Labels), Some(LabelKind::Numbers)] {
        drop(open_as(path, &Reading { task, ..Reading::default() }));
    }
    if let Ok(dataset) = open_for_features(path, &Reading::default()) {
        for (_, example) in files(&dataset).into_iter().take(LOOKED_AT) {
            drop(check_example(example));
        }
    }
    None
}

/// How many pixels the pictures say they have together, where they are PNG files.
pub(crate) fn pixels_in(bytes: &[u8]) -> usize {
    let heads = bytes.windows(12).filter(|window| window.starts_with(b"IHDR"));
    let extent = |four: &[u8]| four.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    let pixels = heads.map(|head| extent(&head[4..8]).saturating_mul(extent(&head[8..12])));
    pixels.filter(|pixels| *pixels <= MAX_PIXELS).sum::<u64>() as usize
}
