//! Products of matrices.

use super::given::{Given, Operand};
use crate::ops::{Permute, Product, Reduce, ReduceKind, Take, ValueId};
use crate::{Extents, Result, Shape, Tensor};

type Values = Result<Vec<ValueId>>;

/// numpy's `matmul`: the last two axes are matrices, those before them are repeated where one has one place.
pub(super) fn matmul(given: &mut Given<'_, '_>) -> Values {
    let (a, b) = (given.operand("x1")?, given.operand("x2")?);
    match (&a, &b) {
        (Operand::Value(a), Operand::Array(kernel)) if kernel.shape.len() == 2 && given.rank(*a) >= 1 => {
            // all rows at once
            let shape = given.shape(*a);
            let width = shape.last().copied().unwrap_or(1);
            let rows = given.reshape(*a, &[shape.elements() / width.max(1), width])?;
            let kernel = given.constant(kernel.as_ref().clone())?;
            let made = given.push(Product { transposed: false }, &[rows, kernel])?;
            let columns = given.shape(made).last().copied().unwrap_or(1);
            let wanted = [&shape[..shape.len() - 1], &[columns]].concat();
            Ok(vec![given.reshape(made, &wanted)?])
        }
        _ => {
            let [a, b] = matrices(given, &a, &b)?;
            Ok(vec![given.push(Product { transposed: false }, &[a, b])?])
        }
    }
}

/// Both as values of the same axes in front of their matrices.
fn matrices(given: &mut Given<'_, '_>, a: &Operand, b: &Operand) -> Result<[ValueId; 2]> {
    let rank = |operand: &Operand| match operand {
        Operand::Value(value) => given.rank(*value),
        Operand::Array(tensor) => tensor.shape.len().saturating_sub(1),
    };
    let rank = rank(a).max(rank(b));
    let mut both = [given.value(a, rank)?, given.value(b, rank)?];
    let shapes = both.map(|value| given.shape(value));
    if shapes.iter().any(|shape| shape.len() < 2) {
        return Err(given.error(format!(
            "{shapes:?} behind the batch are no matrices: it would mix the images of a batch"
        )));
    }
    for (value, own) in both.iter_mut().zip(&shapes) {
        let wide = [vec![1; rank - own.len()], own.clone()].concat();
        *value = given.reshape(*value, &wide)?;
        for axis in 0..rank - 2 {
            let other =
                shapes.iter().filter_map(|shape| shape.get((axis + shape.len()).checked_sub(rank)?)).max();
            let extent = given.shape(*value)[axis];
            if let (1, Some(other)) = (extent, other.filter(|other| **other != 1)) {
                *value = given.push(Take::new(axis, vec![0; *other]), &[*value])?;
            }
        }
    }
    Ok(both)
}

/// numpy's `einsum` of one or two operands: `"bhwc,cd->bhwd"`.
pub(super) fn einsum(given: &mut Given<'_, '_>) -> Values {
    let equation = given.text("subscripts", "").replace(' ', "");
    let operands = given.all_operands()?;
    let Some((left, output)) = equation.split_once("->") else {
        return Err(given.error("its equation does not say what comes out: write it with `->`"));
    };
    let left = spelled_out(given, left, &operands)?;
    let shared = left.iter().map(|(_, axes)| axes.clone()).find(|axes| !axes.is_empty()).unwrap_or_default();
    let output = output.replace("...", &shared);
    let (names, output): (Vec<&str>, &str) = (left.iter().map(|(name, _)| name.as_str()).collect(), &output);
    let letters = |text: &str| text.chars().all(|letter| letter.is_ascii_alphabetic());
    if names.len() != operands.len() || !names.iter().all(|name| letters(name)) || !letters(output) {
        return Err(
            given.error(format!("its equation `{equation}` is not run: letters alone, one group an operand"))
        );
    }
    let batch = output.chars().next();
    let mut parts = Vec::new();
    for (operand, names) in operands.iter().zip(names) {
        parts.push(part(given, operand, names, batch)?);
    }
    let output: Vec<char> = output.chars().skip(1).collect();
    let value = match parts.as_slice() {
        [one] => summed(given, one, &output)?,
        [a, b] => contracted(given, a, b, &output)?,
        _ => return Err(given.error("it has more than two operands")),
    };
    Ok(vec![value])
}

/// The operands' letters, with capital ones in the place of `...`: those of the axes that it stands for.
fn spelled_out(given: &Given<'_, '_>, left: &str, operands: &[Operand]) -> Result<Vec<(String, String)>> {
    let names: Vec<&str> = left.split(',').collect();
    if left.contains("...") && left.contains(|letter: char| letter.is_ascii_uppercase()) {
        return Err(given.error("its equation has both `...` and capital letters, which is not run"));
    }
    let longest = names.iter().zip(operands).filter_map(|(names, operand)| {
        let Operand::Value(value) = operand else { return None };
        (given.rank(*value) + 1).checked_sub(names.replace("...", "").len())
    });
    let longest = longest.max().unwrap_or(0).min(8);
    let all: String = ('A'..='H').take(longest).collect();
    let spell = |name: &&str| {
        (name.replace("...", &all), if name.contains("...") { all.clone() } else { String::new() })
    };
    Ok(names.iter().map(spell).collect())
}

/// An operand with a letter for each of its axes.
#[derive(Clone, Debug)]
struct Lettered {
    value: ValueId,
    letters: Vec<char>,
}

fn part(given: &mut Given<'_, '_>, operand: &Operand, names: &str, batch: Option<char>) -> Result<Lettered> {
    let mut letters: Vec<char> = names.chars().collect();
    let mut sorted = letters.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != letters.len() {
        return Err(given.error("its equation names an axis of one operand twice"));
    }
    match operand {
        Operand::Value(value) => {
            if letters.first().copied() != batch || letters.len() != given.rank(*value) + 1 {
                return Err(given.over_the_batch());
            }
            letters.remove(0);
            Ok(Lettered { value: *value, letters })
        }
        Operand::Array(tensor) => {
            if letters.contains(&batch.unwrap_or(' ')) || letters.len() != tensor.shape.len() {
                return Err(given.over_the_batch());
            }
            let value = given.constant(Tensor::clone(tensor))?;
            Ok(Lettered { value, letters })
        }
    }
}

/// The value without axes that the output does not name, in the output's order.
fn summed(given: &mut Given<'_, '_>, one: &Lettered, output: &[char]) -> Result<ValueId> {
    let gone: Vec<usize> =
        (0..one.letters.len()).filter(|axis| !output.contains(&one.letters[*axis])).collect();
    let left: Vec<char> = one.letters.iter().copied().filter(|letter| output.contains(letter)).collect();
    let value = match gone.is_empty() {
        true => one.value,
        false => given.push(Reduce { kind: ReduceKind::Sum, axes: gone, keep_dims: false }, &[one.value])?,
    };
    ordered(given, value, &left, output)
}

fn ordered(given: &mut Given<'_, '_>, value: ValueId, own: &[char], wanted: &[char]) -> Result<ValueId> {
    let order: Option<Vec<usize>> =
        wanted.iter().map(|letter| own.iter().position(|other| other == letter)).collect();
    let order = order.filter(|order| order.len() == own.len());
    let order = order.ok_or_else(|| given.error("its equation makes an axis that no operand has"))?;
    match order.is_sorted() {
        true => Ok(value),
        false => given.push(Permute { order }, &[value]),
    }
}

/// Both brought to `[shared, rows, summed]` and `[shared, summed, columns]`, multiplied, and brought to the output's order.
fn contracted(given: &mut Given<'_, '_>, a: &Lettered, b: &Lettered, output: &[char]) -> Result<ValueId> {
    let in_both = |letter: &char| a.letters.contains(letter) && b.letters.contains(letter);
    let is_out = |letter: &char| output.contains(letter);
    let pick = |from: &Lettered, wanted: &dyn Fn(&char) -> bool| -> Vec<char> {
        from.letters.iter().copied().filter(|letter| wanted(letter)).collect()
    };
    let shared = pick(a, &|letter| in_both(letter) && is_out(letter));
    let inner = pick(a, &|letter| in_both(letter) && !is_out(letter));
    let rows = pick(a, &|letter| !in_both(letter));
    let columns = pick(b, &|letter| !in_both(letter));
    if !rows.iter().chain(&columns).all(is_out) {
        return Err(given.error("its equation sums over an axis of one operand alone"));
    }
    let extents = |given: &Given<'_, '_>, of: &Lettered, letters: &[char]| -> Shape {
        let shape = given.shape(of.value);
        let extent =
            |letter: &char| of.letters.iter().position(|own| own == letter).map_or(1, |axis| shape[axis]);
        letters.iter().map(extent).collect()
    };
    let [first, middle] = [&shared, &inner].map(|letters| extents(given, a, letters));
    let (above, beside) = (extents(given, a, &rows), extents(given, b, &columns));
    let left = ordered(given, a.value, &a.letters, &[&shared[..], &rows, &inner].concat())?;
    let right = ordered(given, b.value, &b.letters, &[&shared[..], &inner, &columns].concat())?;
    let left = given.reshape(left, &[first.elements(), above.elements(), middle.elements()])?;
    let right = given.reshape(right, &[first.elements(), middle.elements(), beside.elements()])?;
    let made = given.push(Product { transposed: false }, &[left, right])?;
    let made = given.reshape(made, &[first, above, beside].concat())?;
    ordered(given, made, &[shared, rows, columns].concat(), output)
}
