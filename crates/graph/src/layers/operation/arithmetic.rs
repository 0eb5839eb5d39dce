//! Operations on two tensors, or on a tensor and numbers, element by element.

use super::given::{Given, Operand};
use super::{Argument, Operation};
use crate::ops::{Affine, Binary, BinaryKind, Elementwise, Function, Select, ValueId};
use crate::{Result, Tensor};

type Values = Result<Vec<ValueId>>;

macro_rules! pairs {
    ($($name:ident => $kind:ident,)*) => {
        $(pub(super) fn $name(given: &mut Given<'_, '_>) -> Values {
            let [a, b] = both(given)?;
            Ok(vec![combined(given, BinaryKind::$kind, &a, &b)?])
        })*
    };
}

pairs! {
    add => Add,
    and => And,
    divide => Divide,
    divide_no_nan => DivideNoNan,
    equal => Equal,
    floor_divide => FloorDivide,
    greater => Greater,
    greater_equal => GreaterEqual,
    less => Less,
    less_equal => LessEqual,
    maximum => Maximum,
    minimum => Minimum,
    modulo => Modulo,
    multiply => Multiply,
    not_equal => NotEqual,
    or => Or,
    power => Power,
    subtract => Subtract,
    xor => Xor,
}

fn both(given: &Given<'_, '_>) -> Result<[Operand; 2]> {
    Ok([given.operand("x1")?, given.operand("x2")?])
}

/// Two operands, one of which is a value.
pub(super) fn combined(
    given: &mut Given<'_, '_>,
    kind: BinaryKind,
    a: &Operand,
    b: &Operand,
) -> Result<ValueId> {
    let rank = rank(given, &[a, b])?;
    if let Some((value, numbers, is_first)) = value_and_numbers(a, b) {
        let numbers = given.beside(numbers, rank)?;
        let channels = given.shape(value).last().copied().unwrap_or(1);
        if let Some((scale, offset)) = line(kind, &numbers, is_first).filter(|(scale, offset)| {
            [scale, offset].into_iter().all(|list| list.len() == 1 || list.len() == channels)
        }) {
            return given.push(Affine { scale, offset }, &[value]);
        }
        if let ([exponent], BinaryKind::Power, false) = (numbers.data.as_slice(), kind, is_first) {
            return given.push(Elementwise { function: Function::Power { exponent: *exponent } }, &[value]);
        }
    }
    let (a, b) = (given.value(a, rank)?, given.value(b, rank)?);
    given.push(Binary { kind }, &[a, b])
}

/// The number of axes of the values among some operands, which must be the same: numpy's rules would let an image's axis
/// meet the batch's.
fn rank(given: &Given<'_, '_>, operands: &[&Operand]) -> Result<usize> {
    let of_value = |operand: &&Operand| match operand {
        Operand::Value(value) => Some(given.rank(*value)),
        Operand::Array(_) => None,
    };
    let mut ranks: Vec<usize> = operands.iter().filter_map(of_value).collect();
    ranks.dedup();
    match ranks.as_slice() {
        [rank] => Ok(*rank),
        [] => Err(given.error("it is called on no tensor")),
        several => Err(given.error(format!(
            "it is called on tensors of {several:?} axes behind the batch, of which one would meet the batch's"
        ))),
    }
}

fn value_and_numbers<'a>(a: &'a Operand, b: &'a Operand) -> Option<(ValueId, &'a Tensor, bool)> {
    match (a, b) {
        (Operand::Value(value), Operand::Array(numbers)) => Some((*value, numbers, false)),
        (Operand::Array(numbers), Operand::Value(value)) => Some((*value, numbers, true)),
        _ => None,
    }
}

/// The operation on a value and numbers as factors and terms, where it is that and the numbers differ along the last axis alone.
fn line(kind: BinaryKind, numbers: &Tensor, is_first: bool) -> Option<(Vec<f32>, Vec<f32>)> {
    if numbers.shape.iter().rev().skip(1).any(|extent| *extent != 1) {
        return None;
    }
    let list = numbers.data.clone();
    let each = |map: fn(f32) -> f32| numbers.data.iter().map(|number| map(*number)).collect();
    match (kind, is_first) {
        (BinaryKind::Add, _) => Some((vec![1.0], list)),
        (BinaryKind::Subtract, false) => Some((vec![1.0], each(|number| -number))),
        (BinaryKind::Subtract, true) => Some((vec![-1.0], list)),
        (BinaryKind::Multiply, _) => Some((list, vec![0.0])),
        (BinaryKind::Divide, false) if list.iter().all(|number| *number != 0.0) => {
            Some((each(f32::recip), vec![0.0]))
        }
        _ => None,
    }
}

/// `y = x · scale + offset`, where the operation is that, whatever the shape of its tensor.
pub(super) fn scale_and_offset(operation: &Operation) -> Option<(Vec<f32>, Vec<f32>)> {
    let kind = match operation.class.name {
        "Add" => BinaryKind::Add,
        "Subtract" => BinaryKind::Subtract,
        "Multiply" => BinaryKind::Multiply,
        "Divide" | "TrueDivide" => BinaryKind::Divide,
        "Negative" => return Some((vec![-1.0], vec![0.0])),
        _ => return None,
    };
    let named = operation.arguments.named.iter().map(|(_, argument)| argument);
    let all: Vec<&Argument> = operation.arguments.positional.iter().chain(named).collect();
    let numbers = |argument: &Argument| match argument {
        Argument::Array(own) => Some(own.tensor.as_ref().clone()),
        Argument::Setting(value) => super::argument::array(value),
        _ => None,
    };
    match all.as_slice() {
        [Argument::Tensor(_), second] => line(kind, &numbers(second)?, false),
        [first, Argument::Tensor(_)] => line(kind, &numbers(first)?, true),
        _ => None,
    }
}

/// Of two values the one that a condition says.
pub(super) fn choose(given: &mut Given<'_, '_>) -> Values {
    if !given.has("x1") || !given.has("x2") {
        return Err(
            given.error("it gives the places where its condition holds, of which there is no fixed number")
        );
    }
    let operands = [given.operand("condition")?, given.operand("x1")?, given.operand("x2")?];
    let [condition, then, otherwise] = &operands;
    let rank = rank(given, &[condition, then, otherwise])?;
    let inputs = [given.value(condition, rank)?, given.value(then, rank)?, given.value(otherwise, rank)?];
    Ok(vec![given.push(Select, &inputs)?])
}
