//! Operations of networks that go along an axis: softmax, normalisation, gates.

use super::arithmetic::combined;
use super::given::{Given, Operand};
use super::reduce::{inverse_root, norm_of, reduced};
use crate::Result;
use crate::ops::{Binary, BinaryKind, Elementwise, Function, Reduce, ReduceKind, Take, Unary, ValueId};
use frostline_kernels::Activation;

type Values = Result<Vec<ValueId>>;

const EPSILON: f32 = 1e-7;

pub(super) fn softmax(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let rank = given.rank(x);
    if let Some(axes) = given.wholes("axis")?.filter(|axes| axes.len() > 1) {
        return Err(given.error(format!("it goes over the axes {axes:?} at once, which is not run")));
    }
    let axis = given.axis_or("axis", -1, rank)?;
    Ok(vec![given.softmax(x, axis)?])
}

/// `x − ln Σ eˣ`
pub(super) fn log_softmax(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let axis = given.axis_or("axis", -1, given.rank(x))?;
    let sum = given.push(Reduce { kind: ReduceKind::LogSumExp, axes: vec![axis], keep_dims: true }, &[x])?;
    Ok(vec![given.push(Binary { kind: BinaryKind::Subtract }, &[x, sum])?])
}

/// The first half of an axis times the sigmoid of the second.
pub(super) fn glu(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let axis = given.axis_or("axis", -1, given.rank(x))?;
    let extent = given.shape(x)[axis];
    if !extent.is_multiple_of(2) {
        return Err(given.error(format!("{extent} places have no halves")));
    }
    let first = given.push(Take::new(axis, 0..extent / 2), &[x])?;
    let second = given.push(Take::new(axis, extent / 2..extent), &[x])?;
    let gate = given.push(Unary { activation: Activation::Sigmoid }, &[second])?;
    Ok(vec![given.push(Binary { kind: BinaryKind::Multiply }, &[first, gate])?])
}

/// By the norm along some axes, which counts as ε at least. Source: `keras.ops.normalize`.
pub(super) fn normalize(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let rank = given.rank(x);
    let axes = match given.setting("axis") {
        Some(_) => given.axes("axis", rank)?,
        None => vec![given.axis(-1, rank)?],
    };
    let epsilon = given.number_or("epsilon", EPSILON)?;
    let order = given.number_or("order", 2.0)?;
    let norm = norm_of(given, x, axes, order, true)?;
    let bounded =
        given.push(Elementwise { function: Function::Clip { min: epsilon, max: f32::INFINITY } }, &[norm])?;
    Ok(vec![given.push(Binary { kind: BinaryKind::Divide }, &[x, bounded])?])
}

/// The axes that a normalisation goes over: from the one that is named on, or those that are.
fn normalized_axes(given: &Given<'_, '_>, x: ValueId) -> Result<Vec<usize>> {
    match given.wholes("axis")?.as_deref() {
        None => Ok(vec![given.axis(-1, given.rank(x))?]),
        Some([axis]) => Ok(vec![given.axis(*axis, given.rank(x))?]),
        Some(_) => given.axes("axis", given.rank(x)),
    }
}

/// `x / √(mean x² + ε) · scale`
pub(super) fn rms_norm(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    let axes = normalized_axes(given, x)?;
    let square = given.push(Elementwise { function: Function::Power { exponent: 2.0 } }, &[x])?;
    let mean = reduced(given, ReduceKind::Mean, square, axes, true)?;
    let factor = inverse_root(given, mean, given.number_or("epsilon", EPSILON)?)?;
    let made = given.push(Binary { kind: BinaryKind::Multiply }, &[x, factor])?;
    by_constants(given, made, "scale", None)
}

/// `(x − mean) / √(variance + ε) · gamma + beta`
pub(super) fn layer_norm(given: &mut Given<'_, '_>) -> Values {
    let x = given.tensor("x")?;
    if given.flag("rms_scaling") {
        return Err(given.error("its `rms_scaling` is not run"));
    }
    let axes = normalized_axes(given, x)?;
    let mean = reduced(given, ReduceKind::Mean, x, axes.clone(), true)?;
    let variance = given.push(Reduce { kind: ReduceKind::Variance, axes, keep_dims: true }, &[x])?;
    let factor = inverse_root(given, variance, given.number_or("epsilon", EPSILON)?)?;
    let centred = given.push(Binary { kind: BinaryKind::Subtract }, &[x, mean])?;
    let made = given.push(Binary { kind: BinaryKind::Multiply }, &[centred, factor])?;
    by_constants(given, made, "gamma", Some("beta"))
}

fn by_constants(given: &mut Given<'_, '_>, x: ValueId, factor: &str, term: Option<&str>) -> Values {
    let mut made = x;
    let steps = [(Some(factor), BinaryKind::Multiply), (term, BinaryKind::Add)];
    for (name, kind) in steps.into_iter().filter_map(|(name, kind)| Some((name?, kind))) {
        if given.has(name) {
            let operand = given.operand(name)?;
            made = combined(given, kind, &Operand::Value(made), &operand)?;
        }
    }
    Ok(vec![made])
}
