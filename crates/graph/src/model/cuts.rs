//! Where a model can be cut.

use super::{Body, Graph, TensorId, as_flag};
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
        let (separates, gives_several) = (self.separators(), self.give_several());
        let mut counts = vec![0; self.layers.len()];
        self.calls.iter().for_each(|call| counts[call.layer] += 1);
        for (index, call) in self.calls.iter().enumerate() {
            if counts[call.layer] == 1 && !call.inputs.is_empty() && separates[index] {
                let layer = &self.layers[call.layer];
                let path = super::join(group, &layer.name);
                match &layer.body {
                    Body::Model(inner) if inner.inputs.len() == 1 && inner.outputs.len() == 1 => {
                        inner.collect_cut_points(&path, found);
                    }
                    Body::Kind(_) if !gives_several[index] => found.push(path),
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
        self.reads().any(|id| id.call == call && id.output > 0)
    }

    /// [`Graph::gives_several`] of all calls.
    fn give_several(&self) -> Vec<bool> {
        let mut several = vec![false; self.calls.len()];
        self.reads().filter(|id| id.output > 0).for_each(|id| several[id.call] = true);
        several
    }

    /// All that is read, by calls and as an output.
    fn reads(&self) -> impl Iterator<Item = &TensorId> {
        self.calls.iter().flat_map(|call| &call.inputs).chain(&self.outputs)
    }

    /// For each call whether every way from an input to an output leads through it. (The order of the calls says nothing of two that do
    /// not read each other: an input that is read only above may stand anywhere in it.)
    ///
    /// A call reads only what was called before it. So a way leads past a call where it begins behind it, ends before it, or has a step
    /// over it.
    fn separators(&self) -> Vec<bool> {
        let count = self.calls.len();
        let below = |index: usize| {
            self.calls[index].inputs.iter().map(|id| id.call).filter(move |from| *from < index)
        };
        let mut reached = vec![false; count];
        for index in 0..count {
            reached[index] = self.calls[index].inputs.is_empty() || below(index).any(|from| reached[from]);
        }
        // on a way: from an input, and to an output
        let mut is_on_way = vec![false; count];
        self.outputs.iter().for_each(|id| is_on_way[id.call] = reached[id.call]);
        let ends = is_on_way.clone();
        for index in (0..count).rev().filter(|index| reached[*index]) {
            if is_on_way[index] {
                below(index).for_each(|from| is_on_way[from] |= reached[from]);
            }
        }
        // how many more, or fewer, lead past a call than past the one before it
        let mut steps = vec![0i64; count + 1];
        let mut pass = |from: usize, to: usize| {
            if from < to {
                steps[from] += 1;
                steps[to] -= 1;
            }
        };
        for index in (0..count).filter(|index| is_on_way[*index]) {
            if self.calls[index].inputs.is_empty() {
                pass(0, index);
            }
            if ends[index] {
                pass(index + 1, count);
            }
            below(index).filter(|from| is_on_way[*from]).for_each(|from| pass(from + 1, index));
        }
        let mut past = 0;
        let separates = |step: &i64| {
            past += step;
            past == 0
        };
        steps[..count].iter().map(separates).collect()
    }

    /// The paths of the layers at which branches meet or part: they read several values, or several layers read theirs.
    pub fn junctions(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.collect_junctions("", &mut found);
        found
    }

    fn collect_junctions(&self, group: &str, found: &mut BTreeSet<String>) {
        let mut readers = vec![0; self.calls.len()];
        for call in &self.calls {
            let read: BTreeSet<usize> = call.inputs.iter().map(|id| id.call).collect();
            read.into_iter().for_each(|from| readers[from] += 1);
        }
        for (index, call) in self.calls.iter().enumerate() {
            let layer = &self.layers[call.layer];
            let path = super::join(group, &layer.name);
            match &layer.body {
                Body::Model(inner) => inner.collect_junctions(&path, found),
                _ if call.inputs.len() > 1 || readers[index] > 1 => drop(found.insert(path)),
                _ => {}
            }
        }
    }

    /// The error for a layer that cannot be run: why, and the highest place below it where the model can be cut.
    pub(super) fn cannot_run(&self, path: &str, class_name: &str, reason: &str) -> Error {
        let counted = self.counted_paths();
        let below = counted.iter().position(|other| other == path).unwrap_or(0);
        let cuts: BTreeSet<String> = self.useful_cut_points().into_iter().collect();
        let advice = match counted[..below].iter().rev().find(|layer| cuts.contains(*layer)) {
            Some(cut) => format!("keep the layers below it with the setting `keep = {}`", as_flag(cut)),
            None => "no layer below it has learned anything that could be kept: leave it out in Python, and save the model again".to_owned(),
        };
        let help = if reason.is_empty() { advice } else { format!("{reason}; {advice}") };
        Error::unsupported(path, class_name, &help)
    }
}
