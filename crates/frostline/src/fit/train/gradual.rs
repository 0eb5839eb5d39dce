//! Unfreezing block by block from the top.

use crate::fit::Metric;
use frostline_graph::Model;
use std::collections::BTreeSet;

/// A deep backbone is unfrozen in about so many blocks.
const BLOCKS: usize = 10;

/// The lowest layer of each block of `reused`, from the highest block down. A block begins above a cut point and holds
/// at least a tenth of the layers with kernels, so that a plain stack is taken layer by layer and a deep network in
/// about ten blocks.
pub fn blocks(model: &Model, reused: &[String]) -> Vec<String> {
    let has_kernel = model.layers_with_kernels();
    let cuts: BTreeSet<String> = model.graph.cut_points().into_iter().collect();
    let kernels = reused.iter().filter(|path| has_kernel.contains(path.as_str())).count();
    let wanted = (kernels / BLOCKS).max(1);
    let (mut found, mut held) = (Vec::new(), 0);
    for index in (0..reused.len()).rev() {
        held += usize::from(has_kernel.contains(reused[index].as_str()));
        let is_start = index == 0 || cuts.contains(&reused[index - 1]);
        if held >= wanted && is_start {
            found.push(reused[index].clone());
            held = 0;
        }
    }
    found
}

/// The standard error of a score over so many images: that of a share for scores that are shares, else 0.
pub(in crate::fit) fn standard_error(metric: Metric, score: f64, images: usize) -> f64 {
    match metric.higher_is_better() {
        true => (score * (1.0 - score) / images.max(1) as f64).max(0.0).sqrt(),
        false => 0.0,
    }
}

/// By how much a score is better than another.
pub(in crate::fit) fn improvement(metric: Metric, before: f64, after: f64) -> f64 {
    if metric.higher_is_better() { after - before } else { before - after }
}
