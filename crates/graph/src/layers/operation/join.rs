//! Operations that join several tensors into one.

use super::given::{Given, Operand};
use crate::Result;
use crate::ops::{Concat, ValueId};

type Values = Result<Vec<ValueId>>;

pub(super) fn concatenate(given: &mut Given<'_, '_>) -> Values {
    let axis = given.whole("axis")?.unwrap_or(0);
    joined(given, given.operands("xs")?, axis)
}

pub(super) fn hstack(given: &mut Given<'_, '_>) -> Values {
    joined(given, given.operands("xs")?, 1)
}

pub(super) fn append(given: &mut Given<'_, '_>) -> Values {
    let axis = given.whole("axis")?.ok_or_else(|| given.over_the_batch())?;
    joined(given, vec![given.operand("x1")?, given.operand("x2")?], axis)
}

/// Along a new axis.
pub(super) fn stack(given: &mut Given<'_, '_>) -> Values {
    let (values, shape) = values(given, given.operands("x")?)?;
    let axis = given.axis_or("axis", 0, shape.len() + 1)?;
    let mut one = shape;
    one.insert(axis, 1);
    let parts = values.into_iter().map(|value| given.reshape(value, &one)).collect::<Result<Vec<_>>>()?;
    Ok(vec![given.push(Concat { axis }, &parts)?])
}

fn joined(given: &mut Given<'_, '_>, operands: Vec<Operand>, axis: i64) -> Values {
    let (values, shape) = values(given, operands)?;
    let axis = given.axis(axis, shape.len())?;
    Ok(vec![given.push(Concat { axis }, &values)?])
}

/// The operands as values, and the shape of the first that is none of the model's constants.
fn values(given: &mut Given<'_, '_>, operands: Vec<Operand>) -> Result<(Vec<ValueId>, Vec<usize>)> {
    let shape = operands.iter().find_map(|operand| match operand {
        Operand::Value(value) => Some(given.shape(*value)),
        Operand::Array(_) => None,
    });
    let shape = shape.ok_or_else(|| given.error("it is called on no tensor"))?;
    let mut values = Vec::with_capacity(operands.len());
    for operand in &operands {
        let value = given.value(operand, shape.len())?;
        if given.rank(value) != shape.len() {
            return Err(given.error("it is called on tensors of different numbers of axes"));
        }
        values.push(value);
    }
    Ok((values, shape))
}
