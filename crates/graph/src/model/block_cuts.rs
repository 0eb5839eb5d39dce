//! The places at which a model is worth cutting.

use super::{Keep, Model, Transfer, full_path};
use crate::{Error, Result, Shape};
use std::collections::BTreeSet;

/// A model with fewer block ends than this is cut between all its layers instead.
const FEW: usize = 6;

/// A place to cut a model at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The highest layer that is kept.
    pub path: String,
    /// How many layers that is.
    pub layers: usize,
    /// The shape of that layer's output, without the batch.
    pub shape: Shape,
}

/// Places to cut at, from the lowest to the highest, at most `most` of them. `top`: the highest layer that may be kept, if not all.
///
/// A cut point is a layer whose output is all that the layers above it read. What stands between two layers with a kernel
/// (normalisation, activation, pooling) goes with the lower one. Of the rest those that end a block come first: where
/// branches meet or part, and where the output has fewer numbers than on either side, as behind an inverted residual block
/// without a shortcut. A model with few of these is cut at all the others too. Where there are more than `most`, they are
/// thinned out evenly, by the layers with kernels between them; the highest stays.
pub fn cuts(model: &Model, input: &Shape, top: Option<&str>, most: usize) -> Result<Vec<Cut>> {
    let graph = &model.graph;
    let shapes = graph.leaf_shapes(std::slice::from_ref(input))?;
    let with_kernels = model.layers_with_kernels();
    let points: BTreeSet<String> = graph.cut_points().into_iter().collect();
    let mut found: Vec<(Cut, usize)> = Vec::new();
    // of each the most numbers between the one below it and itself, and behind the last
    let (mut widest, mut wide) = (Vec::new(), 0);
    let mut kernels = 0;
    for (index, path) in graph.counted_paths().into_iter().enumerate() {
        kernels += usize::from(with_kernels.contains(path.as_str()));
        let is_top = top == Some(path.as_str());
        if kernels > 0
            && points.contains(&path)
            && let Some(Some(shape)) = shapes.get(&path)
        {
            if let Some((above, _)) = found.pop_if(|(_, before)| *before == kernels) {
                // this layer goes with it
                wide = widest.pop().unwrap_or(0).max(numbers(&above));
            }
            widest.push(wide);
            wide = 0;
            found.push((Cut { path, layers: index + 1, shape: shape.clone() }, kernels));
        }
        if is_top {
            break;
        }
    }
    let junctions = graph.junctions();
    let ends_block = |index: usize| {
        let (cut, _) = &found[index];
        let is_narrower = |than: Option<usize>| than.is_some_and(|than| numbers(cut) < than);
        let below = index.checked_sub(1).map(|below| numbers(&found[below].0).max(widest[index]));
        let above = found.get(index + 1).map(|(above, _)| numbers(above).max(widest[index + 1]));
        index + 1 == found.len() || junctions.contains(&cut.path) || is_narrower(below) && is_narrower(above)
    };
    let ends: Vec<usize> = (0..found.len()).filter(|index| ends_block(*index)).collect();
    let chosen = if ends.len() < FEW { (0..found.len()).collect() } else { ends };
    let found: Vec<(Cut, usize)> = chosen.into_iter().map(|index| found[index].clone()).collect();
    Ok(thinned(found, most))
}

/// The cuts behind layers that are named, by path or by a name that is unique, from the lowest to the highest.
///
/// Errors: a layer that is not there, or that no model can end with.
pub fn named_cuts(model: &Model, input: &Shape, names: &[String]) -> Result<Vec<Cut>> {
    let graph = &model.graph;
    let shapes = graph.leaf_shapes(std::slice::from_ref(input))?;
    let paths = graph.counted_paths();
    let known: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut found: Vec<Cut> = Vec::new();
    for name in names {
        model.keep_with(&Keep::Layer(name.clone()), Transfer::Share)?;
        let path = full_path(name, &known);
        let layers = known.iter().position(|other| *other == path).map(|index| index + 1);
        let (Some(layers), Some(Some(shape))) = (layers, shapes.get(path)) else {
            return Err(Error::surgery(format!(
                "`{name}` is no layer that a model can be cut behind\nhelp: `frostline inspect` lists the cut points"
            )));
        };
        found.push(Cut { path: path.to_owned(), layers, shape: shape.clone() });
    }
    found.sort_by_key(|cut| cut.layers);
    found.dedup();
    Ok(found)
}

/// The numbers of an image that leave a cut.
fn numbers(cut: &Cut) -> usize {
    cut.shape.iter().product()
}

/// At most `most` of them, about as many layers with kernels from one to the next; the highest is one of them.
fn thinned(found: Vec<(Cut, usize)>, most: usize) -> Vec<Cut> {
    let Some((_, highest)) = found.last() else { return Vec::new() };
    let (highest, lowest) = (*highest, found[0].1);
    let wanted = |step: usize| lowest + (highest - lowest) * step / (most - 1).max(1);
    if found.len() <= most || most < 2 {
        let skipped = found.len().saturating_sub(most.max(1));
        return found.into_iter().skip(if most < 2 { skipped } else { 0 }).map(|(cut, _)| cut).collect();
    }
    let nearest = |step: usize| {
        (0..found.len()).min_by_key(|index| found[*index].1.abs_diff(wanted(step))).expect("there are some")
    };
    let chosen: BTreeSet<usize> = (0..most - 1).map(nearest).chain([found.len() - 1]).collect();
    chosen.into_iter().map(|index| found[index].0.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_cuts_are_thinned_evenly_and_keep_the_highest() {
        let cut = |index: usize| (Cut { path: index.to_string(), layers: index, shape: vec![1] }, index);
        let found = thinned((1..=41).map(cut).collect(), 5);
        let layers: Vec<usize> = found.iter().map(|cut| cut.layers).collect();
        assert_eq!(layers, [1, 11, 21, 31, 41]);
        assert_eq!(thinned((1..=3).map(cut).collect(), 1).len(), 1);
    }
}
