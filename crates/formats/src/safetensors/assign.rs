//! From a file's tensors to a model's weights: every weight is filled, or the load fails with the list of those that are
//! not.

use super::file::Tensors;
use super::layout::Layout;
use crate::keras::do_not_fit;
use crate::{LoadReport, few};
use frostline_graph::{Error, Graph, Handle, Result, WantedWeight, Weights};
use std::collections::BTreeSet;
use std::path::Path;

/// What the tensors are called that count the batches of a BatchNormalization in PyTorch. Nothing is computed with them.
pub(super) const COUNTERS: &str = "num_batches_tracked";

/// The tensor that a weight comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) layout: Layout,
}

/// What is wrong with the source of a weight: nothing, or a line that says it.
pub(super) fn misfit(
    tensors: &Tensors<'_>,
    wanted: &WantedWeight,
    source: Option<&Source>,
) -> Option<String> {
    let (path, shape) = (&wanted.path, &wanted.spec.shape);
    let Some(Source { name, layout }) = source else {
        return Some(format!("no weight for `{path}` of shape {shape:?}"));
    };
    let Some(found) = tensors.shape(name) else {
        return Some(match name == path {
            true => format!("no weight for `{path}` of shape {shape:?}"),
            false => format!("no tensor `{name}` of shape {:?} for `{path}`", layout.tensor_shape(shape)),
        });
    };
    (layout.shape(found).as_ref() != Some(shape)).then(|| {
        format!(
            "`{path}` wants shape {:?}, `{name}` in the file has shape {found:?}",
            layout.tensor_shape(shape)
        )
    })
}

/// The weights of a graph from a file, and the names of the tensors that they came from.
pub(super) fn assign(
    path: &Path,
    tensors: &Tensors<'_>,
    graph: &Graph,
    find: impl Fn(&WantedWeight) -> Option<Source>,
) -> Result<(Weights, BTreeSet<String>)> {
    let mut weights = Weights::default();
    let (mut used, mut wrong) = (BTreeSet::new(), Vec::new());
    for wanted in graph.weight_specs(&graph.stand_in_shapes())? {
        let source = find(&wanted);
        match (misfit(tensors, &wanted, source.as_ref()), source) {
            (Some(line), _) => wrong.push(line),
            (None, Some(Source { name, layout })) => {
                let value = layout.apply(tensors.read(&name)?, &wanted.spec.shape);
                weights.insert(wanted.path, Handle::new(value));
                used.insert(name);
            }
            (None, None) => {}
        }
    }
    match wrong.is_empty() {
        true => Ok((weights, used)),
        false => Err(do_not_fit(path, wrong)),
    }
}

/// The error for tensors that no layer reads: where a layer is missing, what is left computes something else. `of`: whose
/// layers they are not.
pub(super) fn left_over(path: &Path, unused: &[String], of: &str, help: &str) -> Error {
    let tensors = if unused.len() == 1 { "a tensor belongs" } else { "tensors belong" };
    Error::format(path, format!("{tensors} to no layer of {of}: {}\nhelp: {help}", few(unused)))
}

/// What became of the tensors.
pub(super) fn report(tensors: &Tensors<'_>, used: &BTreeSet<String>) -> LoadReport {
    let (counters, names): (Vec<String>, Vec<String>) =
        tensors.names().into_iter().partition(|name| name.rsplit('.').next() == Some(COUNTERS));
    let mut report = LoadReport { tensors: names.len(), loaded: used.len(), ..LoadReport::default() };
    report.unused = names.into_iter().filter(|name| !used.contains(name)).collect();
    report.unused.sort();
    if !counters.is_empty() {
        let count = counters.len();
        report
            .notes
            .push(format!("{count} tensors `*.{COUNTERS}` are left behind: nothing is computed with them"));
    }
    report
}
