//! NumPy's files, as data and as batches.

use super::scratch::file;
use frostline_data::{Channels, LabelKind, Reading, npy, open_as};
use frostline_graph::Model;
use std::path::Path;

pub(crate) fn npy(bytes: &[u8]) -> Option<Model> {
    read(&file("array.npy", bytes))
}

pub(crate) fn npz(bytes: &[u8]) -> Option<Model> {
    let path = file("arrays.npz", bytes);
    for (task, channels) in [
        (None, Channels::Last),
        (Some(LabelKind::Labels), Channels::First),
        (Some(LabelKind::Numbers), Channels::Last),
    ] {
        drop(open_as(&path, &Reading { task, channels, ..Reading::default() }));
    }
    read(&path)
}

fn read(path: &Path) -> Option<Model> {
    if let Ok(batches) = npy::batches(path) {
        for (_, batch) in batches {
            drop(batch.with_channels_last());
        }
    }
    drop(npy::read(path));
    None
}
