//! What an ONNX file computes from known tensors alone: exporters write the arithmetic with shapes, paddings and scales
//! out as nodes. A node that cannot be computed here stays a node.

mod asked;
mod dequantise;
mod linear;
mod places;
mod reduce;
mod shape;

pub(super) use asked::Budget;
pub(super) use shape::{ranges, transpose};

use super::constant::{Constant, Data, Extent, MOST_WHOLE, product};
use super::node::{Attribute, Node};
use dequantise::dequantised;
use linear::{batch_normalization, conv, cumulative_sum, einsum, gemm, matmul, softmax};
use places::{gather_nd, not, one_hot, scatter_nd};
use reduce::{choose, compare, joined, reduce, tile};
use shape::{concat, constant_of_shape, expand, for_one, gather, reshape, slice, squeeze, unsqueeze};

/// No computed tensor has more elements: a few bytes of a file may ask for any number.
const MOST: usize = 1 << 24;

/// The value of a node whose inputs are known; `None` where it cannot be computed here.
pub(super) fn evaluate(node: &Node, inputs: &[Option<&Constant>]) -> Option<Constant> {
    if node.op == "Constant" {
        return constant(node);
    }
    let x = inputs.first().copied().flatten()?;
    let second = || inputs.get(1).copied().flatten();
    match node.op.as_str() {
        "Identity" => Some(x.clone()),
        "Cast" => cast(x, node.int("to")?),
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Max" | "Min" => {
            inputs.iter().skip(1).try_fold(x.clone(), |all, next| binary(&node.op, &all, (*next)?))
        }
        // what sums and products with known tensors have become
        "Affine" => binary("Add", &binary("Mul", x, node.tensor("scale")?)?, node.tensor("offset")?),
        "Abs" | "Neg" | "Sqrt" | "Reciprocal" | "Ceil" | "Floor" | "Exp" | "Log" | "Sin" | "Cos"
        | "Sigmoid" | "Softplus" | "Relu" | "Tanh" => unary(&node.op, x),
        "MatMul" => matmul(x, second()?),
        "Gemm" => gemm(node, inputs),
        "Einsum" => einsum(node, inputs),
        "Softmax" => {
            let axis = node.int("axis").unwrap_or(-1);
            let is_last = axis_of(axis, x.dims.len()) == x.dims.len().checked_sub(1);
            (is_last || node.int("several").is_none()).then(|| softmax(x, axis))?
        }
        "CumSum" => cumulative_sum(node, x, second()?),
        "Conv" => conv(node, inputs),
        "BatchNormalization" => batch_normalization(node, inputs),
        "DequantizeLinear" => dequantised(node, inputs),
        "GatherND" => gather_nd(node, x, second()?),
        "ScatterND" => scatter_nd(node, inputs),
        "OneHot" => one_hot(node, inputs),
        "Not" => not(x),
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" => compare(&node.op, x, second()?),
        "Where" => choose(inputs),
        "Tile" => tile(x, &for_one(second()?)?),
        "Clip" => clip(node, inputs),
        "Range" => range(inputs),
        "Reshape" => reshape(x, &for_one(second()?)?),
        "Squeeze" => squeeze(x, axes(node, second()).as_deref()),
        "Unsqueeze" => unsqueeze(x, &axes(node, second())?),
        "Transpose" => transpose(x, node.ints("perm")),
        "Concat" => concat(inputs, node.int("axis")?).or_else(|| joined(inputs, node.int("axis")?)),
        "Gather" => gather(x, second()?, node.int("axis").unwrap_or(0)),
        "Shape" => Some(Constant::whole(x.dims.iter().map(|dim| Extent::Known(*dim as i64)).collect())),
        "Slice" => slice(node, inputs),
        "ConstantOfShape" => constant_of_shape(node, x),
        "Expand" => expand(x, &for_one(second()?)?),
        "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceSum" | "ReduceL2" | "ReduceSumSquare" => {
            reduce(node, x, second())
        }
        "ReduceProd" if x.as_floats().is_some() => reduce(node, x, second()),
        "ReduceProd" => match x.as_known()? {
            all if x.dims.len() == 1 => {
                let all = all.iter().try_fold(1i64, |all, next| all.checked_mul(*next))?;
                let dims = if node.int("keepdims").unwrap_or(1) == 1 { vec![1] } else { vec![] };
                Some(Constant { dims, data: Data::Whole(vec![Extent::Known(all)]) })
            }
            _ => None,
        },
        _ => None,
    }
}

/// The axes of a node: an attribute before opset 13, an input since.
pub(super) fn axes(node: &Node, input: Option<&Constant>) -> Option<Vec<i64>> {
    node.ints("axes").map(<[i64]>::to_vec).or_else(|| input?.as_known())
}

/// An axis counted from the front.
pub(super) fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|axis| *axis < rank)
}

fn constant(node: &Node) -> Option<Constant> {
    let known = |numbers: &[i64]| numbers.iter().map(|number| Extent::Known(*number)).collect::<Vec<_>>();
    node.attributes.iter().find_map(|(name, attribute)| match (name.as_str(), attribute) {
        ("value", Attribute::Tensor(tensor)) => Some(Constant::clone(tensor)),
        ("value_float", Attribute::Float(number)) => Some(Constant::floats(&[], vec![*number])),
        ("value_floats", Attribute::Floats(numbers)) => {
            Some(Constant::floats(&[numbers.len()], numbers.clone()))
        }
        ("value_int", Attribute::Int(number)) => {
            Some(Constant { dims: vec![], data: Data::Whole(known(&[*number])) })
        }
        ("value_ints", Attribute::Ints(numbers)) => Some(Constant::whole(known(numbers))),
        _ => None,
    })
}

fn cast(x: &Constant, to: i64) -> Option<Constant> {
    // float, float16, double, bfloat16; the others of ONNX's types that are numbers are whole
    let to_float = matches!(to, 1 | 10 | 11 | 16);
    let data = match (&x.data, to_float) {
        (Data::Float(values), false) => {
            Data::Whole(values.iter().map(|value| Extent::Known(*value as i64)).collect())
        }
        (Data::Whole(_), true) => Data::Float(x.as_known()?.iter().map(|number| *number as f32).collect()),
        (Data::Other(_), _) => return None,
        (data, _) => data.clone(),
    };
    Some(Constant { dims: x.dims.clone(), data })
}

fn unary(op: &str, x: &Constant) -> Option<Constant> {
    let data = match &x.data {
        Data::Float(values) => {
            let function: fn(f32) -> f32 = match op {
                "Neg" => |x| -x,
                "Sqrt" => f32::sqrt,
                "Reciprocal" => f32::recip,
                "Ceil" => f32::ceil,
                "Floor" => f32::floor,
                "Abs" => f32::abs,
                "Log" => f32::ln,
                "Relu" => |x| x.max(0.0),
                "Tanh" => f32::tanh,
                "Sin" => f32::sin,
                "Cos" => f32::cos,
                "Sigmoid" => |x| (1.0 + (-x).exp()).recip(),
                "Softplus" => |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
                _ => f32::exp,
            };
            Data::Float(values.iter().map(|value| function(*value)).collect())
        }
        Data::Whole(_) if op == "Neg" => {
            Data::Whole(x.as_known()?.iter().map(|number| Extent::Known(number.wrapping_neg())).collect())
        }
        _ => return None,
    };
    Some(Constant { dims: x.dims.clone(), data })
}

fn clip(node: &Node, inputs: &[Option<&Constant>]) -> Option<Constant> {
    let x = inputs.first().copied().flatten()?;
    let bound = |index: usize, name: &str, op: &str, x: Constant| match (
        node.attributes.get(name),
        inputs.get(index).copied().flatten(),
    ) {
        (Some(Attribute::Float(number)), _) => binary(op, &x, &Constant::floats(&[], vec![*number])),
        (_, Some(number)) => binary(op, &x, number),
        _ => Some(x),
    };
    bound(2, "max", "Min", bound(1, "min", "Max", x.clone())?)
}

fn range(inputs: &[Option<&Constant>]) -> Option<Constant> {
    let number = |index: usize| match inputs.get(index).copied().flatten()?.as_known()?.as_slice() {
        [number] => Some(*number),
        _ => None,
    };
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    let count =
        usize::try_from(limit.checked_sub(start)?.checked_add(step.checked_sub(1)?)?.checked_div(step)?)
            .ok()?;
    let values = (0..count as i64).map(|at| Extent::Known(start + at * step));
    (step > 0 && count <= MOST_WHOLE).then(|| Constant::whole(values.collect()))
}

/// Element by element, with broadcasting.
pub(super) fn binary(op: &str, a: &Constant, b: &Constant) -> Option<Constant> {
    let dims = broadcast(&a.dims, &b.dims)?;
    let (at_a, at_b) = (indices(&a.dims, &dims), indices(&b.dims, &dims));
    let data = match (&a.data, &b.data) {
        (Data::Float(x), Data::Float(y)) => {
            let function: fn(f32, f32) -> f32 = match op {
                "Add" => |a, b| a + b,
                "Sub" => |a, b| a - b,
                "Mul" => |a, b| a * b,
                "Div" => |a, b| a / b,
                "Mod" => |a, b| a - b * (a / b).floor(),
                "Pow" => f32::powf,
                "Max" => f32::max,
                _ => f32::min,
            };
            let each = at_a.iter().zip(&at_b).map(|(a, b)| Some(function(*x.get(*a)?, *y.get(*b)?)));
            Data::Float(each.collect::<Option<_>>()?)
        }
        (Data::Whole(x), Data::Whole(y)) if at_a.len() <= MOST_WHOLE => {
            let each = at_a.iter().zip(&at_b).map(|(a, b)| whole(op, *x.get(*a)?, *y.get(*b)?));
            Data::Whole(each.collect::<Option<_>>()?)
        }
        _ => return None,
    };
    Some(Constant { dims, data })
}

fn whole(op: &str, a: Extent, b: Extent) -> Option<Extent> {
    use Extent::{Batch, Known, Open};
    let (Known(x), Known(y)) = (a, b) else {
        return Some(match (op, a, b) {
            ("Mul", other, Known(1)) | ("Mul", Known(1), other) | ("Div", other, Known(1)) => other,
            ("Mul", Batch(images), Known(times)) | ("Mul", Known(times), Batch(images)) => {
                Batch(images.checked_mul(times)?)
            }
            ("Div", Batch(images), Known(parts)) if images.checked_rem(parts) == Some(0) => {
                Batch(images / parts)
            }
            ("Div", Batch(images), Batch(parts)) if images.checked_rem(parts) == Some(0) => {
                Known(images / parts)
            }
            _ => Open,
        });
    };
    Some(Known(match op {
        "Add" => x.checked_add(y)?,
        "Sub" => x.checked_sub(y)?,
        "Mul" => x.checked_mul(y)?,
        "Div" => x.checked_div(y)?,
        "Mod" => x.checked_rem_euclid(y)?,
        "Pow" => x.checked_pow(u32::try_from(y).ok()?)?,
        "Max" => x.max(y),
        _ => x.min(y),
    }))
}

fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let dims = frostline_graph::ops::broadcast(a, b)?;
    (product(&dims)? <= MOST).then_some(dims)
}

/// Which element of an array of the extents `from` each element of the larger array `to` is, aligned at the end.
fn indices(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut found = vec![0usize];
    let offset = to.len().saturating_sub(from.len());
    for (axis, extent) in to.iter().enumerate() {
        let own = axis.checked_sub(offset).and_then(|axis| from.get(axis)).copied().unwrap_or(1);
        found = found
            .iter()
            .flat_map(|base| (0..*extent).map(move |at| base * own + if own == 1 { 0 } else { at }))
            .collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, attributes: &[(&str, Attribute)]) -> Node {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Node { op: op.to_owned(), attributes, ..Node::default() }
    }

    fn list(numbers: &[i64]) -> Constant {
        Constant::whole(numbers.iter().map(|number| Extent::Known(*number)).collect())
    }

    #[test]
    fn shapes_are_taken_apart_and_put_together() {
        let shape = Constant::whole(vec![Extent::Batch(1), Extent::Known(8), Extent::Open, Extent::Known(7)]);
        let gathered = |index: i64| {
            evaluate(&node("Gather", &[]), &[Some(&shape), Some(&list(&[index]))]).expect("known")
        };
        assert_eq!(gathered(0).data, Data::Whole(vec![Extent::Batch(1)]));
        let joined = evaluate(
            &node("Concat", &[("axis", Attribute::Int(0))]),
            &[Some(&gathered(0)), Some(&gathered(-1))],
        );
        assert_eq!(joined.expect("known").data, Data::Whole(vec![Extent::Batch(1), Extent::Known(7)]));
        let open = binary("Mul", &gathered(2), &gathered(1)).expect("known");
        assert_eq!(open.data, Data::Whole(vec![Extent::Open]));
    }

    #[test]
    fn slices_run_either_way() {
        let sliced = |start: i64, end: i64, step: i64| {
            let inputs = [list(&[0, 1, 2, 3]), list(&[start]), list(&[end]), list(&[0]), list(&[step])];
            let inputs: Vec<_> = inputs.iter().map(Some).collect();
            evaluate(&node("Slice", &[]), &inputs).and_then(|found| found.as_known())
        };
        assert_eq!(sliced(1, i64::MAX, 1), Some(vec![1, 2, 3]));
        assert_eq!(sliced(-1, i64::MIN, -1), Some(vec![3, 2, 1, 0]));
        assert_eq!(sliced(0, 4, 2), Some(vec![0, 2]));
    }

    #[test]
    fn transposing_moves_elements() {
        let x = Constant::floats(&[2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let y = transpose(&x, None).expect("valid");
        assert_eq!(
            (y.dims.as_slice(), y.as_floats()),
            (&[3, 2][..], Some(&[0.0, 3.0, 1.0, 4.0, 2.0, 5.0][..]))
        );
        assert!(transpose(&x, Some(&[0, 0])).is_none());
    }

    #[test]
    fn no_few_bytes_ask_for_much_memory() {
        let huge = list(&[1 << 40, 1 << 40]);
        assert!(evaluate(&node("ConstantOfShape", &[]), &[Some(&huge)]).is_none());
        assert!(evaluate(&node("Expand", &[]), &[Some(&list(&[1])), Some(&huge)]).is_none());
        assert!(evaluate(&node("Div", &[]), &[Some(&list(&[1])), Some(&list(&[0]))]).is_none());
    }
}
