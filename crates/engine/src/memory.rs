//! Memory planning: which values can lie in the same buffer, one after the other.

use frostline_graph::ops::{Op, Program, ValueId};
use std::ops::Range;

/// The buffers of a program's run for one image.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The buffer of each value; `None` for the program's inputs, which the caller holds.
    pub slot_of: Vec<Option<usize>>,
    /// The length of each buffer in f32.
    pub slots: Vec<usize>,
    /// For each node, whether its work is only to look at its input in another shape.
    pub is_view: Vec<bool>,
}

impl Memory {
    /// Plans by liveness: a buffer is taken again once the last reader of its value has run; the smallest free
    /// buffer that is long enough is preferred, else the longest is enlarged. Outputs are never overwritten.
    /// `reshapes_in_place`: a reshaped value may lie where it lay before. `chains`: nodes that are run as one, whose values
    /// but the last have no buffer here.
    pub fn plan(program: &Program, reshapes_in_place: bool, chains: &[Range<usize>]) -> Self {
        let length = |value: ValueId| program.shape(value).iter().product::<usize>();
        // a reshape is a view of its input's buffer, unless that is the caller's
        let mut root: Vec<usize> = (0..program.values.len()).collect();
        let mut is_view = Vec::with_capacity(program.nodes.len());
        for node in &program.nodes {
            let source = node.inputs.first().map(|value| root[value.0]);
            let view = reshapes_in_place
                && matches!(node.op, Op::Reshape(_))
                && source.is_some_and(|source| !program.inputs.contains(&ValueId(source)));
            if let (true, Some(source)) = (view, source) {
                root[node.output.0] = source;
            }
            is_view.push(view);
        }
        let mut together: Vec<Range<usize>> =
            (0..program.nodes.len()).map(|index| index..index + 1).collect();
        chains.iter().for_each(|chain| together[chain.clone()].fill(chain.clone()));
        let mut last_use = vec![0; program.values.len()];
        for (index, node) in program.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|value| last_use[root[value.0]] = together[index].end - 1);
        }
        program.outputs.iter().for_each(|value| last_use[root[value.0]] = usize::MAX);
        let mut slot_of: Vec<Option<usize>> = vec![None; program.values.len()];
        let mut slots: Vec<usize> = Vec::new();
        let mut free: Vec<usize> = Vec::new();
        for (index, node) in program.nodes.iter().enumerate() {
            if index + 1 < together[index].end {
                continue;
            }
            if is_view[index] {
                slot_of[node.output.0] = slot_of[root[node.output.0]];
            } else {
                let wanted = length(node.output);
                let enough = free
                    .iter()
                    .copied()
                    .filter(|slot| slots[*slot] >= wanted)
                    .min_by_key(|slot| slots[*slot]);
                let slot = enough
                    .or_else(|| free.iter().copied().max_by_key(|slot| slots[*slot]))
                    .unwrap_or_else(|| {
                        slots.push(0);
                        slots.len() - 1
                    });
                free.retain(|other| *other != slot);
                slots[slot] = slots[slot].max(wanted);
                slot_of[node.output.0] = Some(slot);
            }
            let read = program.nodes[together[index].clone()].iter().flat_map(|node| &node.inputs);
            let mut done: Vec<usize> = read.map(|value| root[value.0]).collect();
            done.push(root[node.output.0]);
            done.sort_unstable();
            done.dedup();
            let expired = |value: &usize| last_use[*value] <= index;
            free.extend(done.into_iter().filter(expired).filter_map(|value| slot_of[value]));
            free.sort_unstable();
            free.dedup();
        }
        Self { slot_of, slots, is_view }
    }

    /// The f32 that a run holds at once.
    pub fn len(&self) -> usize {
        self.slots.iter().sum()
    }

    /// True for a program without values of its own.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}
