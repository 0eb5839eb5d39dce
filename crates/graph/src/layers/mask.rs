//! Masks: which steps of a sequence count. `Embedding` with `mask_zero` and `Masking` make them; Keras hands them from layer to layer
//! beside the values, and so does the lowering here.
//! Source: `Layer.__call__` and `compute_mask` of `keras/src/layers/layer.py`; what each class does was tried in Keras 3.15.

use super::Kind;
use crate::Result;
use crate::ops::{Lowering, Reshape, ValueId};

/// What a layer does with a sequence of which not all steps count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskRule {
    /// It computes each step by itself, and the mask is its output's too.
    Passed,
    /// It computes all steps as if they counted, and so do the layers above it.
    Dropped,
    /// It computes otherwise, and says itself which steps of its output count.
    Own,
    /// It would compute otherwise in Keras, and does not here.
    Refused,
}

/// Lowers a layer, and hands on which steps count.
pub fn lower(kind: &Kind, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
    let masks: Vec<Option<ValueId>> = inputs.iter().map(|input| lowering.mask(*input)).collect();
    let Some(mask) = masks.iter().flatten().next().copied() else { return kind.lower_all(lowering, inputs) };
    let refused = |lowering: &Lowering<'_>, why: &str| {
        lowering.error(format!(
            "a `{}` on a sequence of which not all steps count (`mask_zero` or Masking below it) {why}\nhelp: keep the layers below it, or leave the mask out in Keras and train again",
            kind.class_name()
        ))
    };
    match kind.on_mask() {
        MaskRule::Passed if masks.iter().any(|other| *other != Some(mask)) => {
            // versions of Keras differ: one takes a step that counts in all inputs, the other in any
            Err(refused(lowering, "is not run where its inputs have different masks"))
        }
        MaskRule::Passed if kind.observes_batch() && !lowering.is_inference() => {
            Err(refused(lowering, "is not trained: its statistics would leave steps out"))
        }
        MaskRule::Passed => {
            let outputs = kind.lower_all(lowering, inputs)?;
            for output in &outputs {
                lowering.set_mask(*output, mask);
                lowering.hand_on(inputs, *output, matches!(kind, Kind::Merge(_)));
            }
            Ok(outputs)
        }
        MaskRule::Own => {
            let outputs = kind.lower_all(lowering, inputs)?;
            for output in &outputs {
                // the query's, and that of a sequence; it is the first of what a layer is called on
                lowering.hand_on(&inputs[..1], *output, true);
            }
            if let (Kind::MultiHeadAttention(layer), Some(output)) = (kind, outputs.first()) {
                lowering.take_masks(inputs, *output, layer.call.keeps_masks);
            }
            Ok(outputs)
        }
        MaskRule::Dropped => {
            let mut outputs = kind.lower_all(lowering, inputs)?;
            for output in outputs.iter_mut().filter(|output| inputs.contains(output)) {
                // the same values without the mask
                let shape = lowering.shape(*output).clone();
                *output = lowering.push(Reshape { shape }, &[*output], &[])?;
            }
            Ok(outputs)
        }
        MaskRule::Refused => Err(refused(lowering, "is not run")),
    }
}

impl Kind {
    fn observes_batch(&self) -> bool {
        matches!(self, Self::BatchNormalization(_))
    }
}
