//! Operations on the elements of one tensor.

use super::given::Given;
use crate::ops::{Affine, Binary, BinaryKind, Elementwise, Function, Unary, ValueId};
use crate::{Result, Tensor};
use frostline_kernels::Activation;

type Values = Result<Vec<ValueId>>;

macro_rules! functions {
    ($($name:ident => $function:expr,)*) => {
        $(pub(super) fn $name(given: &mut Given<'_, '_>) -> Values {
            function(given, $function)
        })*
    };
}

macro_rules! activations {
    ($($name:ident => $activation:expr,)*) => {
        $(pub(super) fn $name(given: &mut Given<'_, '_>) -> Values {
            activation(given, $activation)
        })*
    };
}

functions! {
    absolute => Function::Absolute,
    ceil => Function::Ceil,
    cos => Function::Cos,
    erf => Function::Erf,
    expm1 => Function::Expm1,
    floor => Function::Floor,
    log => Function::Log,
    log10 => Function::Log10,
    log1p => Function::Log1p,
    log2 => Function::Log2,
    not => Function::Not,
    reciprocal => Function::Reciprocal,
    rsqrt => Function::Rsqrt,
    sign => Function::Sign,
    sin => Function::Sin,
    sqrt => Function::Sqrt,
    square => Function::Power { exponent: 2.0 },
    trunc => Function::Trunc,
    hard_tanh => Function::Clip { min: -1.0, max: 1.0 },
}

activations! {
    exp => Activation::Exponential,
    hard_sigmoid => Activation::HardSigmoid,
    hard_silu => Activation::HardSilu,
    relu => Activation::relu(),
    relu6 => Activation::relu6(),
    selu => Activation::Selu,
    sigmoid => Activation::Sigmoid,
    silu => Activation::Silu,
    softplus => Activation::Softplus,
    softsign => Activation::Softsign,
    tanh => Activation::Tanh,
}

/// The tensor that the operation is called on, whatever Keras names it.
fn input(given: &Given<'_, '_>) -> Result<ValueId> {
    let name = given.operation.class.parameters.first().copied().unwrap_or("x");
    given.tensor(name)
}

fn function(given: &mut Given<'_, '_>, function: Function) -> Values {
    let x = input(given)?;
    Ok(vec![given.push(Elementwise { function }, &[x])?])
}

fn activation(given: &mut Given<'_, '_>, activation: Activation) -> Values {
    let x = input(given)?;
    Ok(vec![given.push(Unary { activation }, &[x])?])
}

/// `x · scale + offset`
fn affine(given: &mut Given<'_, '_>, x: ValueId, scale: f32, offset: f32) -> Result<ValueId> {
    given.push(Affine { scale: vec![scale], offset: vec![offset] }, &[x])
}

fn binary(given: &mut Given<'_, '_>, kind: BinaryKind, a: ValueId, b: ValueId) -> Result<ValueId> {
    given.push(Binary { kind }, &[a, b])
}

pub(super) fn negative(given: &mut Given<'_, '_>) -> Values {
    let x = input(given)?;
    Ok(vec![affine(given, x, -1.0, 0.0)?])
}

pub(super) fn identity(given: &mut Given<'_, '_>) -> Values {
    Ok(vec![input(given)?])
}

pub(super) fn stop_gradient(given: &mut Given<'_, '_>) -> Values {
    function(given, Function::StopGradient)
}

/// To another type of numbers: what is computed stays f32, but whole numbers lose what is behind the point.
pub(super) fn cast(given: &mut Given<'_, '_>) -> Values {
    let policy = given.setting("dtype").and_then(|policy| policy["config"]["name"].as_str());
    match policy.unwrap_or_else(|| given.text("dtype", "float32")) {
        "float64" | "float32" | "float16" | "bfloat16" => identity(given),
        "bool" => {
            let x = input(given)?;
            let zero = given.constant(Tensor::filled(&[], 0.0))?;
            Ok(vec![binary(given, BinaryKind::NotEqual, x, zero)?])
        }
        "int64" | "int32" => function(given, Function::Trunc),
        other => Err(given.error(format!("it casts to `{other}`, which is not run"))),
    }
}

pub(super) fn round(given: &mut Given<'_, '_>) -> Values {
    match given.whole("decimals")?.unwrap_or(0) {
        0 => function(given, Function::Round),
        other => {
            Err(given.error(format!("it rounds to {other} decimals, where whole numbers alone are run")))
        }
    }
}

pub(super) fn clip(given: &mut Given<'_, '_>) -> Values {
    let (min, max) = (given.number("x_min")?, given.number("x_max")?);
    let (min, max) = (min.unwrap_or(f32::NEG_INFINITY), max.unwrap_or(f32::INFINITY));
    function(given, Function::Clip { min, max })
}

pub(super) fn elu(given: &mut Given<'_, '_>) -> Values {
    let alpha = given.number_or("alpha", 1.0)?;
    activation(given, Activation::Elu { alpha })
}

pub(super) fn gelu(given: &mut Given<'_, '_>) -> Values {
    let is_exact = given.setting("approximate").and_then(serde_json::Value::as_bool) == Some(false);
    activation(given, if is_exact { Activation::Gelu } else { Activation::GeluTanh })
}

pub(super) fn leaky_relu(given: &mut Given<'_, '_>) -> Values {
    let negative_slope = given.number_or("negative_slope", 0.2)?;
    activation(given, Activation::LeakyRelu { negative_slope })
}

/// `elu(x / α) · α` with an ELU of slope 1: Keras's `max(x, 0) + α · expm1(min(x, 0) / α)`.
pub(super) fn celu(given: &mut Given<'_, '_>) -> Values {
    let alpha = given.number_or("alpha", 1.0)?;
    let x = input(given)?;
    let scaled = affine(given, x, 1.0 / alpha, 0.0)?;
    let elu = given.push(Unary { activation: Activation::Elu { alpha: 1.0 } }, &[scaled])?;
    Ok(vec![affine(given, elu, alpha, 0.0)?])
}

/// `−softplus(−x)`
pub(super) fn log_sigmoid(given: &mut Given<'_, '_>) -> Values {
    let x = input(given)?;
    let turned = affine(given, x, -1.0, 0.0)?;
    let softplus = given.push(Unary { activation: Activation::Softplus }, &[turned])?;
    Ok(vec![affine(given, softplus, -1.0, 0.0)?])
}

/// `x − tanh x`
pub(super) fn tanh_shrink(given: &mut Given<'_, '_>) -> Values {
    let x = input(given)?;
    let tanh = given.push(Unary { activation: Activation::Tanh }, &[x])?;
    Ok(vec![binary(given, BinaryKind::Subtract, x, tanh)?])
}

/// `(x + √(x² + b)) / 2`
pub(super) fn squareplus(given: &mut Given<'_, '_>) -> Values {
    let b = given.number_or("b", 4.0)?;
    let x = input(given)?;
    let square = given.push(Elementwise { function: Function::Power { exponent: 2.0 } }, &[x])?;
    let under_root = affine(given, square, 1.0, b)?;
    let root = given.push(Elementwise { function: Function::Sqrt }, &[under_root])?;
    let sum = binary(given, BinaryKind::Add, x, root)?;
    Ok(vec![affine(given, sum, 0.5, 0.0)?])
}

pub(super) fn hard_shrink(given: &mut Given<'_, '_>) -> Values {
    let threshold = given.number_or("threshold", 0.5)?;
    function(given, Function::HardShrink { threshold })
}

pub(super) fn soft_shrink(given: &mut Given<'_, '_>) -> Values {
    let threshold = given.number_or("threshold", 0.5)?;
    function(given, Function::SoftShrink { threshold })
}

pub(super) fn threshold(given: &mut Given<'_, '_>) -> Values {
    let (threshold, otherwise) = (given.number_or("threshold", 0.0)?, given.number_or("default_value", 0.0)?);
    function(given, Function::Threshold { threshold, otherwise })
}

pub(super) fn ones(given: &mut Given<'_, '_>) -> Values {
    filled(given, 1.0)
}

pub(super) fn zeros(given: &mut Given<'_, '_>) -> Values {
    filled(given, 0.0)
}

pub(super) fn full(given: &mut Given<'_, '_>) -> Values {
    let value = given.number("fill_value")?.ok_or_else(|| given.error("its `fill_value` is no number"))?;
    filled(given, value)
}

fn filled(given: &mut Given<'_, '_>, value: f32) -> Values {
    let x = input(given)?;
    let shape = given.shape(x);
    Ok(vec![given.constant(Tensor::filled(&shape, value))?])
}
