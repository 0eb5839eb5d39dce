//! Operations that leave one number of all along some axes.

use super::given::Given;
use crate::Result;
use crate::ops::{
    Affine, Binary, BinaryKind, Elementwise, Function, GlobalPool, PoolKind, Reduce, ReduceKind, ValueId,
};

type Values = Result<Vec<ValueId>>;

macro_rules! reductions {
    ($($name:ident => $kind:ident,)*) => {
        $(pub(super) fn $name(given: &mut Given<'_, '_>) -> Values {
            reduction(given, ReduceKind::$kind)
        })*
    };
}

reductions! {
    log_sum_exp => LogSumExp,
    max => Max,
    mean => Mean,
    min => Min,
    product => Product,
    sum => Sum,
    variance => Variance,
}

fn reduction(given: &mut Given<'_, '_>, kind: ReduceKind) -> Values {
    let x = given.tensor("x")?;
    if given.setting("initial").is_some() {
        return Err(given.error("it begins with a number of its own, which is not run"));
    }
    let axes = given.axes("axis", given.rank(x))?;
    Ok(vec![reduced(given, kind, x, axes, given.flag("keepdims"))?])
}

/// One number of all along these axes, counted without the batch.
pub(super) fn reduced(
    given: &mut Given<'_, '_>,
    kind: ReduceKind,
    x: ValueId,
    axes: Vec<usize>,
    keep_dims: bool,
) -> Result<ValueId> {
    let pool = match kind {
        ReduceKind::Mean => Some(PoolKind::Average),
        ReduceKind::Max => Some(PoolKind::Max),
        _ => None,
    };
    // over all pixels there is a kernel
    if let (Some(kind), 3, [0, 1]) = (pool, given.rank(x), axes.as_slice()) {
        return given.push(GlobalPool { kind, keep_dims }, &[x]);
    }
    given.push(Reduce { kind, axes, keep_dims }, &[x])
}

/// 1 where a number is not 0, else 0.
fn truths(given: &mut Given<'_, '_>, x: ValueId) -> Result<ValueId> {
    let zero = given.constant(crate::Tensor::filled(&[], 0.0))?;
    given.push(Binary { kind: BinaryKind::NotEqual }, &[x, zero])
}

fn of_truths(given: &mut Given<'_, '_>, kind: ReduceKind, keep_dims: bool) -> Values {
    let x = given.tensor("x")?;
    let axes = given.axes("axis", given.rank(x))?;
    let truths = truths(given, x)?;
    Ok(vec![given.push(Reduce { kind, axes, keep_dims }, &[truths])?])
}

pub(super) fn all(given: &mut Given<'_, '_>) -> Values {
    of_truths(given, ReduceKind::Min, given.flag("keepdims"))
}

pub(super) fn any(given: &mut Given<'_, '_>) -> Values {
    of_truths(given, ReduceKind::Max, given.flag("keepdims"))
}

pub(super) fn count_nonzero(given: &mut Given<'_, '_>) -> Values {
    of_truths(given, ReduceKind::Sum, false)
}

pub(super) fn arg_max(given: &mut Given<'_, '_>) -> Values {
    place(given, ReduceKind::ArgMax)
}

pub(super) fn arg_min(given: &mut Given<'_, '_>) -> Values {
    place(given, ReduceKind::ArgMin)
}

fn place(given: &mut Given<'_, '_>, kind: ReduceKind) -> Values {
    let x = given.tensor("x")?;
    let axis = given.whole("axis")?.ok_or_else(|| given.over_the_batch())?;
    let axis = given.axis(axis, given.rank(x))?;
    Ok(vec![given.push(Reduce { kind, axes: vec![axis], keep_dims: given.flag("keepdims") }, &[x])?])
}

pub(super) fn std(given: &mut Given<'_, '_>) -> Values {
    let variance = reduction(given, ReduceKind::Variance)?;
    Ok(vec![given.push(Elementwise { function: Function::Sqrt }, &variance)?])
}

/// Mean and variance.
pub(super) fn moments(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let axes = given.axes("axes", given.rank(x))?;
    let keep_dims = given.flag("keepdims");
    let mean = reduced(given, ReduceKind::Mean, x, axes.clone(), keep_dims)?;
    Ok(vec![mean, given.push(Reduce { kind: ReduceKind::Variance, axes, keep_dims }, &[x])?])
}

/// The norm of vectors: the Euclidean one, or of order 1, infinity, or another number.
pub(super) fn norm(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let axes = given.axes("axis", given.rank(x))?;
    if axes.len() > 1 && given.setting("ord").is_some() {
        return Err(given.error("it is the norm of matrices, which is not run"));
    }
    let order = match given.setting("ord") {
        None => 2.0,
        Some(_) if given.text("ord", "") == "fro" => 2.0,
        Some(_) => given.number_or("ord", 2.0)?,
    };
    Ok(vec![norm_of(given, x, axes, order, given.flag("keepdims"))?])
}

/// `(Σ |x|ᵖ)^(1/p)`
pub(super) fn norm_of(
    given: &mut Given<'_, '_>,
    x: ValueId,
    axes: Vec<usize>,
    order: f32,
    keep_dims: bool,
) -> Result<ValueId> {
    let magnitude = given.push(Elementwise { function: Function::Absolute }, &[x])?;
    if order.is_infinite() {
        let kind = if order > 0.0 { ReduceKind::Max } else { ReduceKind::Min };
        return given.push(Reduce { kind, axes, keep_dims }, &[magnitude]);
    }
    if order == 1.0 {
        return given.push(Reduce { kind: ReduceKind::Sum, axes, keep_dims }, &[magnitude]);
    }
    let base = if order == 2.0 { x } else { magnitude };
    let powers = given.push(Elementwise { function: Function::Power { exponent: order } }, &[base])?;
    let sum = given.push(Reduce { kind: ReduceKind::Sum, axes, keep_dims }, &[powers])?;
    given.push(Elementwise { function: Function::Power { exponent: 1.0 / order } }, &[sum])
}

/// `x / √(mean x² + ε)` and the like: the reciprocal of the root of a mean or variance that ε is added to.
pub(super) fn inverse_root(given: &mut Given<'_, '_>, value: ValueId, epsilon: f32) -> Result<ValueId> {
    let shifted = given.push(Affine { scale: vec![1.0], offset: vec![epsilon] }, &[value])?;
    given.push(Elementwise { function: Function::Rsqrt }, &[shifted])
}
