//! Which steps of sequences count, while layers are lowered, and what of it an attention layer sees. In Keras 3 masks hang on tensors;
//! `MultiHeadAttention` takes them off those that it is called on, so that another attention layer that runs later sees none; before version 3.8 it did not. All
//! other layers were told theirs when the model was built, and are not concerned.
//! Source: `MultiHeadAttention.call` and `Merge.compute_mask` of Keras 3.15.

use super::{Program, ValueId};
use std::collections::BTreeMap;

/// What an attention layer sees of a sequence's mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It is there.
    Kept,
    /// It depends on the version of Keras, or on the order in which it runs layers that do not depend on each other.
    Unclear,
    /// It was taken off.
    Lost,
}

/// The masks of a program's values.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    /// For a value the one with 0 for each step that does not count.
    steps: BTreeMap<ValueId, ValueId>,
    /// Of values whose masks are not simply kept.
    standing: BTreeMap<ValueId, Standing>,
    /// Values that an attention layer has taken the mask off, with what it gave, and how a layer above it sees the mask.
    taken: BTreeMap<ValueId, (ValueId, Standing)>,
    /// Values with masks, and what a layer that read them gave.
    readers: Vec<(ValueId, ValueId)>,
}

impl Masks {
    pub(super) fn of(&self, value: ValueId) -> Option<ValueId> {
        self.steps.get(&value).copied()
    }

    pub(super) fn set(&mut self, value: ValueId, steps: ValueId) {
        self.steps.insert(value, steps);
    }
}

impl Program {
    /// Whether a value is computed from another one.
    fn depends(&self, value: ValueId, on: ValueId) -> bool {
        let mut needed = std::collections::BTreeSet::from([value]);
        for node in self.nodes.iter().rev() {
            if needed.contains(&node.output) {
                needed.extend(&node.inputs);
            }
        }
        needed.contains(&on)
    }

    /// What a layer that gives `output` sees of the mask of a value that it reads.
    pub(super) fn standing(&self, value: ValueId, output: ValueId) -> Standing {
        let own = self.masks.standing.get(&value).copied().unwrap_or(Standing::Kept);
        match self.masks.taken.get(&value) {
            None => own,
            Some((by, standing)) if self.depends(output, *by) => *standing,
            Some(_) => own.max(Standing::Unclear),
        }
    }

    /// A layer has handed the mask of its inputs on.
    pub(super) fn hand_on(&mut self, inputs: &[ValueId], output: ValueId, standing: Standing) {
        if standing != Standing::Kept {
            self.masks.standing.insert(output, standing);
        }
        let masked = inputs.iter().filter(|input| self.masks.steps.contains_key(input));
        self.masks.readers.extend(masked.map(|input| (*input, output)).collect::<Vec<_>>());
    }

    /// An attention layer that gives `output` takes the masks off its inputs. What others that may run before or after it have handed
    /// on is unclear from here on.
    pub(super) fn take_masks(&mut self, inputs: &[ValueId], output: ValueId, not_in_all: bool) {
        let standing = if not_in_all { Standing::Unclear } else { Standing::Lost };
        for input in inputs.iter().filter(|input| self.masks.steps.contains_key(input)) {
            let readers: Vec<ValueId> =
                self.masks.readers.iter().filter(|(read, _)| read == input).map(|(_, made)| *made).collect();
            for made in readers {
                if made != output && !self.depends(output, made) {
                    self.masks.standing.entry(made).or_insert(Standing::Unclear);
                }
            }
            self.masks.taken.entry(*input).or_insert((output, standing));
        }
    }
}
