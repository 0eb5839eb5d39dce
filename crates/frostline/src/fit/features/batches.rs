//! The batches of an epoch: their stored feature vectors are read on a thread of its own, one batch ahead of the step.

use crate::fit::features::feature_store::{BoundaryId, FeatureStore};
use crate::fit::features::feature_table::Located;
use crate::fit::features::passes::Features;
use frostline_graph::{Error, Result};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Batches that are in memory: one that a step works on, and the one that is read meanwhile.
const BUFFERS: usize = 2;

/// The batches of an epoch, in order.
pub(in crate::fit) struct Batches {
    order: Arc<[usize]>,
    size: usize,
    epoch: usize,
    feature_len: usize,
    given: usize,
    current: Option<Batch>,
    read: Receiver<Batch>,
    free: SyncSender<Batch>,
    reader: Option<JoinHandle<()>>,
}

/// Feature vectors, `[batch, feature_len]`, of which some may not be stored.
struct Batch {
    vectors: Vec<f32>,
    missing: Vec<usize>,
}

impl Batch {
    fn read(&mut self, vectors: &Located, indices: &[usize], feature_len: usize) {
        self.missing.clear();
        indices.iter().for_each(|index| vectors.prefetch(*index));
        for (position, vector) in
            self.vectors.chunks_exact_mut(feature_len.max(1)).take(indices.len()).enumerate()
        {
            if !vectors.read(indices[position], vector) {
                self.missing.push(position);
            }
        }
    }
}

impl Batches {
    /// Of the images `order`, so many at a time, in an epoch's view.
    pub(in crate::fit) fn new(
        features: &mut Features<'_>,
        store: &mut FeatureStore,
        order: Vec<usize>,
        size: usize,
        epoch: usize,
    ) -> Result<Self> {
        let (located, feature_len) = (features.located(store, epoch)?, store.feature_len(BoundaryId::OWN));
        let size = size.min(order.len()).max(1);
        let order: Arc<[usize]> = order.into();
        let (free, to_fill) = sync_channel::<Batch>(BUFFERS);
        let (filled, read) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS.min(order.len().div_ceil(size)) {
            let batch = Batch { vectors: vec![0.0; size * feature_len], missing: Vec::with_capacity(size) };
            free.send(batch).expect("its receiver is here");
        }
        let all = order.clone();
        let read_all = move || {
            for indices in all.chunks(size) {
                let Ok(mut batch) = to_fill.recv() else { return };
                batch.read(&located, indices, feature_len);
                if filled.send(batch).is_err() {
                    return;
                }
            }
        };
        let reader = std::thread::Builder::new().name("rows".to_owned()).spawn(read_all);
        let reader = Some(reader.map_err(|source| Error::io("a thread that reads features", source))?);
        Ok(Self { order, size, epoch, feature_len, given: 0, current: None, read, free, reader })
    }

    /// The images and the feature vectors of the next batch; those that are not stored are computed now. `features` and `store` are
    /// those that the batches were made of.
    pub(in crate::fit) fn next(
        &mut self,
        features: &mut Features<'_>,
        store: &mut FeatureStore,
    ) -> Result<Option<(&[usize], &[f32])>> {
        if let Some(used) = self.current.take() {
            // the reader is gone once it has read the last batch
            let _ = self.free.send(used);
        }
        let indices = &self.order[self.given..self.order.len().min(self.given + self.size)];
        if indices.is_empty() {
            return Ok(None);
        }
        self.given += indices.len();
        let batch = self.current.insert(self.read.recv().expect("the reader sends every batch"));
        let vectors = &mut batch.vectors[..indices.len() * self.feature_len];
        features.complete(store, indices, self.epoch, &batch.missing, vectors)?;
        Ok(Some((indices, vectors)))
    }
}

impl Drop for Batches {
    /// Waits for the reader, so that there are never two of them.
    fn drop(&mut self) {
        (self.free, self.read) = (sync_channel(0).0, sync_channel(0).1); // it finds nobody at the other end
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
