//! Attention as one operation.

use super::given::Given;
use crate::layers::attention::causal_mask;
use crate::ops::{Affine, Binary, BinaryKind, Permute, Product, Softmax, ValueId};
use crate::{Result, Tensor};

/// `softmax(q · kᵀ · scale + bias) · v` of `[tokens, heads, channels]`; where a mask is false nothing is attended to.
/// Source: `keras.ops.dot_product_attention`.
pub(super) fn dot_product(given: &mut Given<'_, '_>) -> Result<Vec<ValueId>> {
    let inputs = [given.tensor("query")?, given.tensor("key")?, given.tensor("value")?];
    if given.setting("attn_logits_soft_cap").is_some() {
        return Err(given.error("its logits are capped, which is not run"));
    }
    let shapes = inputs.map(|value| given.shape(value));
    let [[tokens, heads, channels], [others, other_heads, _], _] = match shapes
        .each_ref()
        .map(|shape| <[usize; 3]>::try_from(shape.as_slice()))
    {
        [Ok(query), Ok(key), Ok(value)] => [query, key, value],
        _ => return Err(given.error("it is called on tensors that are not of tokens, heads and channels")),
    };
    if heads != other_heads {
        return Err(given
            .error(format!("{heads} heads of the query meet {other_heads} of the key, which is not run")));
    }
    let [query, key, value] = inputs.map(|value| given.push(Permute { order: vec![1, 0, 2] }, &[value]));
    let (query, key, value) = (query?, key?, value?);
    let scale = given.number_or("scale", 1.0 / (channels as f32).sqrt())?;
    let query = given.push(Affine { scale: vec![scale], offset: vec![0.0] }, &[query])?;
    let mut logits = given.push(Product { transposed: true }, &[query, key])?;
    if given.has("bias") {
        let bias = given.operand("bias")?;
        let bias = given.value(&bias, 3)?;
        logits = given.push(Binary { kind: BinaryKind::Add }, &[logits, bias])?;
    }
    if given.has("mask") {
        let mask = given.operand("mask")?;
        let mask = given.value(&mask, 3)?;
        logits = masked(given, logits, mask)?;
    }
    if given.flag("is_causal") {
        let mask = given.constant(causal_mask(tokens, others))?;
        logits = masked(given, logits, mask)?;
    }
    let weights = given.push(Softmax, &[logits])?;
    let made = given.push(Product { transposed: false }, &[weights, value])?;
    Ok(vec![given.push(Permute { order: vec![1, 0, 2] }, &[made])?])
}

/// The logits, where the mask is not 0; elsewhere so little that softmax makes 0 of it.
fn masked(given: &mut Given<'_, '_>, logits: ValueId, mask: ValueId) -> Result<ValueId> {
    let least = given.constant(Tensor::filled(&[], f32::MIN * 0.7))?;
    given.push(crate::ops::Select, &[mask, logits, least])
}
