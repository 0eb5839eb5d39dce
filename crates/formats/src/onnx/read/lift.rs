//! Nodes over values that the file counts otherwise, as nodes over their logical axes.

use super::constant::{Constant, Data, Extent};
use super::convert::Converter;
use super::fold;
use super::node::{Attribute, Node};
use super::value::Value;
use super::view::View;
use std::rc::Rc;

impl Converter<'_> {
    /// A node that reads values of one view, as a node over their logical axes; what it gives has that view, less the axes that
    /// it takes away.
    pub(super) fn viewed(&mut self, node: &Node, name: &str) -> Result<Vec<Value>, String> {
        let values: Vec<Value> =
            (0..node.inputs.len()).filter_map(|index| self.value(node, index).ok()).collect();
        let first = values.first().ok_or("it reads no value")?;
        let (view, rank) = (first.view, first.rank_in_file());
        if values.iter().any(|value| value.view != view || value.rank_in_file() != rank) {
            return Err("it joins values whose images the file counts otherwise".to_owned());
        }
        let mut lifted = node.clone();
        let mut gone = Vec::new();
        let axis_of = |axis: i64| {
            let in_file = fold::axis_of(axis, rank).ok_or_else(|| format!("it has no axis {axis}"))?;
            let logical = view.axis(in_file);
            let logical =
                logical.ok_or("it goes over the images of a batch, each of which is computed alone here")?;
            Ok::<(usize, i64), String>((in_file, logical as i64))
        };
        let mut set = |key: &str, to: Attribute| lifted.attributes.insert(key.to_owned(), to);
        match lift(&node.op).ok_or(
            "windows are counted with the images: it is none of the operators that can be run on them",
        )? {
            Lift::Elements => {}
            Lift::Beside => {
                for key in ["scale", "offset"] {
                    if let Some(constant) = node.tensor(key) {
                        let constant = beside(constant, view, rank)?;
                        set(key, Attribute::Tensor(Rc::new(constant)));
                    }
                }
                for (index, input) in node.inputs.iter().enumerate() {
                    if let Some(constant) = self.known(node, index) {
                        let key = format!("{input}, read by {name}");
                        self.keep(key.clone(), beside(&constant, view, rank)?);
                        lifted.inputs[index] = key;
                    }
                }
            }
            Lift::Axis(default) => {
                if node.op == "Concat" && values.len() < node.inputs.len() {
                    return Err(
                        "it joins known numbers to windows that are counted with the images".to_owned()
                    );
                }
                let (in_file, axis) = axis_of(node.int("axis").unwrap_or(default))?;
                set("axis", Attribute::Int(axis));
                let one = self.known(node, 1).is_some_and(|places| places.dims.is_empty());
                let is_table = self.known(node, 1).is_some_and(|places| places.dims.len() > 1);
                if node.op == "Gather" && is_table {
                    return Err(
                        "it takes a table of places from windows that are counted with the images".to_owned()
                    );
                }
                let drops = node.op.starts_with("Arg") && node.int("keepdims") == Some(0);
                gone.extend((drops || (node.op == "Gather" && one)).then_some(in_file));
            }
            Lift::Axes => {
                let axes = fold::axes(node, self.known(node, 1).as_deref());
                let axes = axes.ok_or("it goes over all axes, or over such as are not known")?;
                let axes = axes.into_iter().map(axis_of).collect::<Result<Vec<_>, _>>()?;
                set("axes", Attribute::Ints(axes.iter().map(|(_, logical)| *logical).collect()));
                if node.int("keepdims").unwrap_or(1) == 0 {
                    gone.extend(axes.iter().map(|(in_file, _)| *in_file));
                }
            }
            Lift::Slice => {
                let inputs: Vec<_> = (0..node.inputs.len()).map(|index| self.known(node, index)).collect();
                let inputs: Vec<Option<&Constant>> = inputs.iter().map(Option::as_deref).collect();
                let ranges = fold::ranges(node, &inputs).ok_or_else(|| self.unknown(node, 1, "ends"))?;
                let [starts, ends, axes, steps] = ranges;
                let is_batch = |axis: &i64| fold::axis_of(*axis, rank) == Some(view.before);
                let mut lists: [Vec<i64>; 4] = Default::default();
                for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
                    if is_batch(&axis) && (start, step) == (0, 1) && end >= super::shape::TO_THE_END {
                        continue;
                    }
                    for (list, number) in lists.iter_mut().zip([start, end, axis_of(axis)?.1, step]) {
                        list.push(number);
                    }
                }
                for (key, numbers) in ["starts", "ends", "axes", "steps"].into_iter().zip(lists) {
                    set(key, Attribute::Ints(numbers));
                }
            }
            Lift::Margins => {
                let margins = node.ints("pads").map(<[i64]>::to_vec);
                let margins = margins.or_else(|| self.known(node, 1)?.as_known());
                let margins = margins.filter(|margins| margins.len() == 2 * rank && node.input(3).is_none());
                let margins = margins.ok_or_else(|| self.unknown(node, 1, "margins"))?;
                let mut logical = vec![0; 2 * first.rank()];
                for (place, margin) in margins.iter().enumerate().filter(|(_, margin)| **margin != 0) {
                    let axis = axis_of((place % rank) as i64)?.1 as usize;
                    if let Some(own) = logical.get_mut(axis + place / rank * first.rank()) {
                        *own = *margin;
                    }
                }
                let key = format!("margins of {name}");
                self.keep(key.clone(), Constant::whole(logical.into_iter().map(Extent::Known).collect()));
                lifted.inputs.resize(2, key.clone());
                lifted.inputs[1] = key;
                lifted.inputs.extend(node.input(2).map(str::to_owned));
                lifted.attributes.remove("pads");
            }
            Lift::Product => {
                // the batch is none of the axes that are multiplied
                let matrices = if values.len() == 2 { 2 } else { 1 };
                let is_kernel = |index| self.known(node, index).is_some_and(|known| known.dims.len() == 2);
                if view.before + matrices >= rank || (values.len() == 1 && !is_kernel(1)) {
                    return Err("it multiplies the images of a batch".to_owned());
                }
            }
            Lift::Extents => {
                let target = self.known(node, 1).ok_or_else(|| self.unknown(node, 1, "extents"))?;
                let Data::Whole(extents) = &target.data else {
                    return Err("its extents are no whole numbers".to_owned());
                };
                let missing = rank.checked_sub(extents.len()).ok_or("it puts an axis before the batch")?;
                let mut logical = vec![Extent::Known(1); first.rank()];
                for (axis, extent) in extents.iter().enumerate() {
                    if let Some(place) = view.axis(axis + missing).and_then(|axis| logical.get_mut(axis)) {
                        *place = *extent;
                    }
                }
                let key = format!("extents of {name}");
                self.keep(key.clone(), Constant::whole(logical));
                if let Some(input) = lifted.inputs.get_mut(1) {
                    *input = key;
                }
            }
            Lift::Rows => {
                if rank != 2 || view.before > 0 {
                    return Err(format!("it is called on a value of {rank} axes, where rows can be"));
                }
            }
        }
        let made = self.convert_plain(&lifted, name)?;
        let view = view.without(&gone);
        Ok(made.into_iter().map(|value| Value { view, ..value }).collect())
    }
}

/// What becomes of a node over the axes of the file.
enum Lift {
    /// It goes element by element.
    Elements,
    /// So it does, beside known tensors that are counted as the file does.
    Beside,
    /// It goes along the axis of this setting, with the default.
    Axis(i64),
    /// It goes along several.
    Axes,
    Slice,
    Margins,
    Product,
    /// It repeats places to these extents.
    Extents,
    /// It goes over rows, `[batch × windows, channels]`.
    Rows,
}

fn lift(op: &str) -> Option<Lift> {
    use super::{elementwise, operations};
    Some(match op {
        "Affine" | "Where" => Lift::Beside,
        "Identity" | "QuantizeLinear" | "DequantizeLinear" | "Cast" | "Dropout" | "Relu" | "LeakyRelu"
        | "Elu" | "Selu" | "Clip" | "HardSigmoid" | "Rectifier" | "Mish" | "Celu" => Lift::Elements,
        "Softmax" | "LogSoftmax" | "LayerNormalization" | "UnitNormalization" | "Concat" => Lift::Axis(-1),
        "Gather" | "Split" | "ArgMax" | "ArgMin" => Lift::Axis(0),
        "Slice" => Lift::Slice,
        "MatMul" => Lift::Product,
        "Expand" => Lift::Extents,
        "Pad" => Lift::Margins,
        "Gemm" | "BatchNormalization" => Lift::Rows,
        op if operations::is_pair(op) => Lift::Beside,
        op if operations::is_reduction(op) => Lift::Axes,
        op if operations::is_function(op) || elementwise::is_activation(op) => Lift::Elements,
        _ => return None,
    })
}

/// A known tensor that meets values of a view element by element, by their logical axes.
fn beside(constant: &Constant, view: View, rank: usize) -> Result<Constant, String> {
    let missing = rank.checked_sub(constant.dims.len()).ok_or("its numbers have more axes than its value")?;
    if missing > view.before {
        // it ends behind the batch
        return Ok(constant.clone());
    }
    let mut dims = vec![1; missing];
    dims.extend(&constant.dims);
    if dims.remove(view.before) != 1 {
        return Err(format!("its numbers of {:?} differ from image to image", constant.dims));
    }
    if view.windows {
        dims.insert(view.before, 1);
    }
    dims.insert(0, 1);
    Ok(Constant { dims, data: constant.data.clone() })
}
