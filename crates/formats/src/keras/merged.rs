//! Weights that a file holds in parts: in 8 bits with a scale (`quantize("int8")`), or as a kernel with LoRA's two small ones
//! (`enable_lora`). They are read as the numbers that they stand for.
//! Source: `_get_kernel_with_merged_lora` of `keras/src/layers/core/dense.py`.

use crate::hdf5::{Dataset, is_int8, shape, tensor};
use frostline_graph::{Error, Extents, Layer, Result, Tensor, WantedWeight};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where the other parts of a weight would lie, by names of the file's tensors.
pub(super) struct Beside {
    /// What the whole numbers are divided by.
    pub(super) scale: String,
    /// `a` and `b` of `kernel + a · b · alpha / rank`.
    pub(super) adapters: Option<[String; 2]>,
}

/// The names in a group where variables are called by their own: `dense/kernel_scale` beside `dense/kernel`.
pub(super) fn by_name(name: &str) -> Beside {
    let (group, variable) = name.rsplit_once('/').unwrap_or(("", name));
    Beside {
        scale: frostline_graph::join(group, &format!("{variable}_scale")),
        adapters: Some(
            ["a", "b"].map(|which| frostline_graph::join(group, &format!("lora_{variable}_{which}"))),
        ),
    }
}

/// A weight of several parts as one tensor, with the names of those that were read beside it; none for a weight of one part.
pub(super) fn merged(
    path: &Path,
    wanted: &WantedWeight,
    layer: Option<&Layer>,
    (name, dataset): (&str, &Dataset),
    beside: &Beside,
    available: &BTreeMap<String, Dataset>,
) -> Result<Option<(Tensor, BTreeSet<String>)>> {
    let shape_wanted = &wanted.spec.shape;
    let mut read = BTreeSet::new();
    let mut part = |name: &str| -> Result<Option<Tensor>> {
        let Some(dataset) = available.get(name) else { return Ok(None) };
        let own = shape(path, name, dataset)?;
        read.insert(name.to_owned());
        tensor(path, name, dataset, &own).map(Some)
    };
    let wrong = |what: String| {
        Error::format(
            path,
            format!("`{name}`: {what}\nhelp: save the model before `quantize` or `enable_lora`"),
        )
    };
    let mut value = None;
    if is_int8(dataset) {
        let scale = part(&beside.scale)?
            .ok_or_else(|| wrong("it holds numbers of 8 bits, and there is no scale beside it".to_owned()))?;
        let mut kernel = tensor(path, name, dataset, shape_wanted)?;
        divide(&mut kernel, &scale, wanted.kind.scale_is_a_row()).map_err(wrong)?;
        value = Some(kernel);
    }
    let ratio = layer.and_then(ratio);
    if let (Some(ratio), Some([a, b])) = (ratio, &beside.adapters)
        && let (Some(a), Some(b)) = (part(a)?, part(b)?)
    {
        let mut kernel = match value {
            Some(kernel) => kernel,
            None => tensor(path, name, dataset, shape_wanted)?,
        };
        add_product(&mut kernel, &a, &b, ratio).map_err(wrong)?;
        value = Some(kernel);
    }
    Ok(value.map(|value| (value, read)))
}

/// `alpha / rank`, as the layer's config has them.
fn ratio(layer: &Layer) -> Option<f32> {
    let number = |key: &str| layer.config.get(key).and_then(serde_json::Value::as_f64);
    let rank = number("lora_rank").filter(|rank| *rank > 0.0)?;
    Some((number("lora_alpha").unwrap_or(rank) / rank) as f32)
}

/// Divides by one number for each place of the last axes, or of the first.
fn divide(kernel: &mut Tensor, scale: &Tensor, by_row: bool) -> Result<(), String> {
    let count = scale.data.len();
    let fits = match by_row {
        true => kernel.shape.first() == Some(&count),
        false => (0..kernel.shape.len()).any(|axis| kernel.shape[axis..].elements() == count),
    };
    if !fits || count == 0 {
        return Err(format!("a scale of {:?} does not fit its shape {:?}", scale.shape, kernel.shape));
    }
    let row = kernel.data.len() / count;
    for (index, value) in kernel.data.iter_mut().enumerate() {
        *value /= scale.data[if by_row { index / row } else { index % count }];
    }
    Ok(())
}

/// Adds `a · b · ratio`, all as matrices over their last axis.
fn add_product(kernel: &mut Tensor, a: &Tensor, b: &Tensor, ratio: f32) -> Result<(), String> {
    let rank = b.shape.first().copied().unwrap_or(0);
    let columns = kernel.shape.last().copied().unwrap_or(0);
    let rows = kernel.data.len().checked_div(columns).unwrap_or(0);
    if rank == 0 || a.data.len() != rows * rank || b.data.len() != rank * columns {
        return Err(format!(
            "LoRA's {:?} and {:?} do not fit its shape {:?}",
            a.shape, b.shape, kernel.shape
        ));
    }
    for (row, values) in kernel.data.chunks_exact_mut(columns).enumerate() {
        for (column, value) in values.iter_mut().enumerate() {
            let product: f32 = (0..rank).map(|k| a.data[row * rank + k] * b.data[k * columns + column]).sum();
            *value += ratio * product;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(shape: &[usize], data: &[f32]) -> Tensor {
        Tensor { shape: shape.to_vec(), data: data.to_vec() }
    }

    #[test]
    fn whole_numbers_are_divided_by_the_scale_of_their_column_or_row() {
        let mut kernel = matrix(&[2, 2], &[10.0, 40.0, 20.0, 80.0]);
        divide(&mut kernel, &matrix(&[1, 2], &[10.0, 40.0]), false).expect("fits");
        assert_eq!(kernel.data, [1.0, 1.0, 2.0, 2.0]);
        divide(&mut kernel, &matrix(&[2], &[1.0, 2.0]), true).expect("fits");
        assert_eq!(kernel.data, [1.0, 1.0, 1.0, 1.0]);
        assert!(divide(&mut kernel, &matrix(&[3], &[1.0; 3]), false).is_err());
    }

    #[test]
    fn adapters_are_added_with_their_ratio() {
        let mut kernel = matrix(&[2, 2], &[1.0; 4]);
        add_product(&mut kernel, &matrix(&[2, 1], &[1.0, 2.0]), &matrix(&[1, 2], &[3.0, 4.0]), 0.5)
            .expect("fits");
        assert_eq!(kernel.data, [2.5, 3.0, 4.0, 5.0]);
        assert!(
            add_product(&mut kernel, &matrix(&[2], &[1.0; 2]), &matrix(&[2, 3], &[1.0; 6]), 1.0).is_err()
        );
    }
}
