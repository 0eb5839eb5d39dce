//! From a file's tensors to a model's weights: every weight is filled, or the load fails with the list of those that are
//! not.

use super::file::Tensors;
use super::layout::Layout;
use crate::keras::do_not_fit;
use crate::{LoadReport, few};
use frostline_graph::{Error, Graph, Handle, Result, WantedWeight, Weights};
use std::collections::BTreeSet;
use std::path::Path;

/// The last parts of the names of tensors that are left behind, with the reason.
pub(super) const LEFT_BEHIND: &[(&str, &str)] = &[
    ("num_batches_tracked", "nothing is computed with them"),
    ("relative_position_index", "they follow from the size of the windows"),
    ("attn_mask", "they follow from the size of the windows"),
];

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
    (!layout.fits(found, shape)).then(|| {
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

/// What became of the tensors. `aside`: how the names begin, with a dot at the end, or what their last parts are, of tensors
/// that are left behind, with the reason.
pub(super) fn report(tensors: &Tensors<'_>, used: &BTreeSet<String>, aside: &[(&str, &str)]) -> LoadReport {
    let mut names = tensors.names();
    let mut notes = Vec::new();
    for (part, reason) in aside {
        let before = names.len();
        names.retain(|name| used.contains(name) || !is_aside(name, part));
        let count = before - names.len();
        let which = if part.ends_with('.') { format!("{part}*") } else { format!("*.{part}") };
        match count {
            0 => {}
            1 => notes.push(format!("1 tensor `{which}` is left behind: {reason}")),
            _ => notes.push(format!("{count} tensors `{which}` are left behind: {reason}")),
        }
    }
    let mut report = LoadReport { tensors: names.len(), loaded: used.len(), notes, ..LoadReport::default() };
    report.unused = names.into_iter().filter(|name| !used.contains(name)).collect();
    report.unused.sort();
    report
}

/// Whether a tensor is left behind by a rule: by how its name begins where the rule ends in a dot, else by its last part.
pub(super) fn is_aside(name: &str, part: &str) -> bool {
    match part.ends_with('.') {
        true => name.starts_with(part),
        false => name.rsplit('.').next() == Some(part),
    }
}

#[cfg(test)]
mod tests {
    use super::is_aside;

    #[test]
    fn a_rule_is_the_last_part_of_a_name_or_the_first() {
        assert!(is_aside("bn1.num_batches_tracked", "num_batches_tracked"));
        assert!(!is_aside("num_batches_tracked.weight", "num_batches_tracked"));
        assert!(is_aside("aux1.conv.weight", "aux1."));
        assert!(!is_aside("layer.aux1.weight", "aux1."));
    }
}
