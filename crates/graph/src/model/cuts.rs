//! Where a model can be cut.

use super::{Body, Graph, as_flag};
use crate::Error;
use std::collections::BTreeSet;

impl Graph {
    /// The paths of the layers at which the model can be cut: the layer's output is all that the layers above it
    /// read, and has its channels last. Input layers are none. Layers of nested models count where the nested model itself is passed by
    /// nothing and has one input and one output.
    pub fn cut_points(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_cut_points("", &mut found);
        let turned = self.turned_paths();
        found.retain(|path| !turned.contains(path));
        found
    }

    fn collect_cut_points(&self, group: &str, found: &mut Vec<String>) {
        for (index, call) in self.calls.iter().enumerate() {
            let layer = &self.layers[call.layer];
            let path = super::join(group, &layer.name);
            let once = self.calls.iter().filter(|other| other.layer == call.layer).count() == 1;
            if once && !call.inputs.is_empty() && self.separates(index) {
                match &layer.body {
                    Body::Model(inner) if inner.inputs.len() == 1 && inner.outputs.len() == 1 => {
                        inner.collect_cut_points(&path, found);
                    }
                    Body::Kind(_) if !self.gives_several(index) => found.push(path),
                    _ => {}
                }
            }
        }
    }

    /// [`Graph::cut_points`] that leave something learned below them: a kernel. None is advised below the first one.
    pub fn useful_cut_points(&self) -> Vec<String> {
        let Some(first) = self.first_kernel() else { return Vec::new() };
        let counted = self.counted_paths();
        let above: BTreeSet<&String> = counted.iter().skip(first).collect();
        self.cut_points().into_iter().filter(|path| above.contains(path)).collect()
    }

    /// The number of layers below the first one with a kernel, among those that count.
    pub fn first_kernel(&self) -> Option<usize> {
        let kernels = self.kernel_layers()?;
        self.counted_paths().iter().position(|path| kernels.contains(path))
    }

    /// The layers with kernels, as far as the shapes of the graph are known; `None` where they do not fit together.
    pub(super) fn kernel_layers(&self) -> Option<BTreeSet<String>> {
        let layer_path = |wanted: super::WantedWeight| {
            let (layer, variable) = wanted.path.rsplit_once('/')?;
            variable.contains("kernel").then(|| layer.to_owned())
        };
        Some(self.weight_specs(&self.stand_in_shapes()).ok()?.into_iter().filter_map(layer_path).collect())
    }

    /// Whether more than the first output of a call is read.
    pub(super) fn gives_several(&self, call: usize) -> bool {
        let read = self.calls.iter().flat_map(|other| &other.inputs).chain(&self.outputs);
        read.into_iter().any(|id| id.call == call && id.output > 0)
    }

    /// Whether every way from an input to an output leads through this call. (The order of the calls says nothing: an
    /// input that is read only above may stand anywhere in it.)
    fn separates(&self, call: usize) -> bool {
        let mut reached = vec![false; self.calls.len()];
        for (index, other) in self.calls.iter().enumerate() {
            reached[index] =
                index != call && (other.inputs.is_empty() || other.inputs.iter().any(|id| reached[id.call]));
        }
        !self.outputs.iter().any(|id| reached[id.call])
    }

    /// The paths of the layers at which branches meet or part: they read several values, or several layers read theirs.
    pub fn junctions(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.collect_junctions("", &mut found);
        found
    }

    fn collect_junctions(&self, group: &str, found: &mut BTreeSet<String>) {
        for (index, call) in self.calls.iter().enumerate() {
            let layer = &self.layers[call.layer];
            let path = super::join(group, &layer.name);
            let readers = self.calls.iter().filter(|other| other.inputs.iter().any(|id| id.call == index));
            match &layer.body {
                Body::Model(inner) => inner.collect_junctions(&path, found),
                _ if call.inputs.len() > 1 || readers.count() > 1 => drop(found.insert(path)),
                _ => {}
            }
        }
    }

    /// The error for a layer that cannot be run: why, and the highest place below it where the model can be cut.
    pub(super) fn cannot_run(&self, path: &str, class_name: &str, reason: &str) -> Error {
        let counted = self.counted_paths();
        let below = counted.iter().position(|other| other == path).unwrap_or(0);
        let cuts = self.useful_cut_points();
        let advice = match counted[..below].iter().rev().find(|layer| cuts.contains(layer)) {
            Some(cut) => format!("keep the layers below it with the setting `keep = {}`", as_flag(cut)),
            None => "no layer below it has learned anything that could be kept: leave it out in Python, and save the model again".to_owned(),
        };
        let help = if reason.is_empty() { advice } else { format!("{reason}; {advice}") };
        Error::unsupported(path, class_name, &help)
    }
}
