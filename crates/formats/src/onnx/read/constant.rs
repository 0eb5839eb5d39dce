//! A tensor of an ONNX file whose value is known when the file is read: weights, and the numbers that its arithmetic
//! with shapes works on.

use super::external;
use crate::onnx::proto::TensorProto;
use crate::onnx::proto::tensor_proto::{DataLocation, DataType};
use frostline_graph::{Error, Result};
use half::{bf16, f16};
use std::path::Path;

/// Whole numbers describe shapes, and places of tables; a tensor of more is neither.
pub(super) const MOST_WHOLE: usize = 1 << 20;
/// No tensor of a model has more elements.
const MOST_ELEMENTS: usize = 1 << 31;

/// One extent of a shape, or one number of the arithmetic with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// A number.
    Known(i64),
    /// So many times the number of images.
    Batch(i64),
    /// It depends on the size of the image, which the file leaves open.
    Open,
}

/// The elements, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Float(Vec<f32>),
    Whole(Vec<Extent>),
    /// Of a type that no layer has weights of.
    Other(String),
}

/// A known tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub(super) dims: Vec<usize>,
    pub(super) data: Data,
}

impl Constant {
    pub(super) fn floats(dims: &[usize], data: Vec<f32>) -> Self {
        Self { dims: dims.to_vec(), data: Data::Float(data) }
    }

    pub(super) fn whole(extents: Vec<Extent>) -> Self {
        Self { dims: vec![extents.len()], data: Data::Whole(extents) }
    }

    /// The number of elements that the extents say.
    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// The elements as f32, where they are numbers of that type.
    pub(super) fn as_floats(&self) -> Option<&[f32]> {
        match &self.data {
            Data::Float(values) => Some(values),
            _ => None,
        }
    }

    /// The elements as whole numbers, all known.
    pub(super) fn as_known(&self) -> Option<Vec<i64>> {
        match &self.data {
            Data::Whole(extents) => extents
                .iter()
                .map(|extent| match extent {
                    Extent::Known(number) => Some(*number),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }

    /// The one number that all elements are.
    pub(super) fn uniform(&self) -> Option<f32> {
        match &self.data {
            Data::Float(values) => {
                let first = *values.first()?;
                values.iter().all(|value| *value == first).then_some(first)
            }
            Data::Whole(extents) => match extents.as_slice() {
                [Extent::Known(number)] => Some(*number as f32),
                _ => None,
            },
            Data::Other(_) => None,
        }
    }

    /// Reads a tensor of the file at `path`.
    pub(super) fn read(path: &Path, mut tensor: TensorProto) -> Result<Self> {
        let name = tensor.name.clone().unwrap_or_default();
        let wrong = |what: String| {
            Error::format(
                path,
                format!("the tensor `{name}` {what}\nhelp: the file is damaged; export the model again"),
            )
        };
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
        let dims = dims.ok_or_else(|| wrong("has a negative extent".to_owned()))?;
        let len = product(&dims).filter(|len| *len <= MOST_ELEMENTS);
        let len =
            len.ok_or_else(|| wrong(format!("has the extents {dims:?}, which are too many numbers")))?;
        let len = if dims.contains(&0) { 0 } else { len };
        let kind = DataType::try_from(tensor.data_type.unwrap_or_default()).unwrap_or(DataType::Undefined);
        let Some(width) = width(kind) else {
            return Ok(Self { dims, data: Data::Other(kind.as_str_name().to_lowercase()) });
        };
        let outside = tensor.data_location == Some(DataLocation::External as i32);
        let raw = match (tensor.raw_data.take(), outside) {
            (_, true) => Some(external::read(path, &name, &tensor.external_data, len.saturating_mul(width))?),
            (Some(raw), false) if !raw.is_empty() || len == 0 => Some(raw),
            _ => None,
        };
        if let Some(raw) = &raw
            && raw.len() != len.saturating_mul(width)
        {
            return Err(wrong(format!(
                "has {} bytes where its extents {dims:?} want {}",
                raw.len(),
                len * width
            )));
        }
        if let (DataType::Int8 | DataType::Uint8, Some(raw), true) = (kind, &raw, len > MOST_WHOLE) {
            // quantised weights, which are widened once their scale is known
            let widen = |byte: &u8| match kind {
                DataType::Int8 => f32::from(byte.cast_signed()),
                _ => f32::from(*byte),
            };
            return Ok(Self { dims, data: Data::Float(raw.iter().map(widen).collect()) });
        }
        if is_whole(kind) && len > MOST_WHOLE {
            return Ok(Self { dims, data: Data::Other(kind.as_str_name().to_lowercase()) });
        }
        let data = match raw {
            Some(raw) => from_raw(kind, &raw),
            None => from_fields(kind, tensor),
        };
        let found = match &data {
            Data::Float(values) => values.len(),
            Data::Whole(values) => values.len(),
            Data::Other(_) => len,
        };
        match found == len {
            true => Ok(Self { dims, data }),
            false => Err(wrong(format!("has {found} elements where its extents {dims:?} want {len}"))),
        }
    }
}

/// The least and the greatest number of a type that values are quantised to.
pub(super) fn range(kind: Option<i32>) -> Option<[f32; 2]> {
    match DataType::try_from(kind?).ok()? {
        DataType::Uint8 => Some([0.0, 255.0]),
        DataType::Int8 => Some([-128.0, 127.0]),
        DataType::Uint16 => Some([0.0, 65535.0]),
        DataType::Int16 => Some([-32768.0, 32767.0]),
        _ => None,
    }
}

/// The product of the extents, an extent of 0 taken for 1, so that no product of some of them is larger.
pub(super) fn product(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |product, dim| product.checked_mul((*dim).max(1)))
}

/// Bytes an element of the types that are read.
fn width(kind: DataType) -> Option<usize> {
    Some(match kind {
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        _ => return None,
    })
}

fn is_whole(kind: DataType) -> bool {
    !matches!(kind, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16)
}

/// Little-endian elements.
fn from_raw(kind: DataType, raw: &[u8]) -> Data {
    fn each<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        raw.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
    }
    let known = |numbers: Vec<i64>| Data::Whole(numbers.into_iter().map(Extent::Known).collect());
    match kind {
        DataType::Float => Data::Float(each(raw, f32::from_le_bytes)),
        DataType::Double => Data::Float(each(raw, |bytes| f64::from_le_bytes(bytes) as f32)),
        DataType::Float16 => Data::Float(each(raw, |bytes| f16::from_le_bytes(bytes).to_f32())),
        DataType::Bfloat16 => Data::Float(each(raw, |bytes| bfloat_to_f32(u16::from_le_bytes(bytes)))),
        DataType::Int64 => known(each(raw, i64::from_le_bytes)),
        DataType::Uint64 => {
            known(each(raw, |bytes| i64::try_from(u64::from_le_bytes(bytes)).unwrap_or(i64::MAX)))
        }
        DataType::Int32 => known(each(raw, |bytes| i32::from_le_bytes(bytes).into())),
        DataType::Uint32 => known(each(raw, |bytes| u32::from_le_bytes(bytes).into())),
        DataType::Int16 => known(each(raw, |bytes| i16::from_le_bytes(bytes).into())),
        DataType::Uint16 => known(each(raw, |bytes| u16::from_le_bytes(bytes).into())),
        DataType::Int8 => known(each(raw, |bytes| i8::from_le_bytes(bytes).into())),
        _ => known(each(raw, |[byte]: [u8; 1]| byte.into())),
    }
}

/// Elements in the fields that protobuf has for their type.
fn from_fields(kind: DataType, tensor: TensorProto) -> Data {
    let narrow = |read: fn(u16) -> f32| tensor.int32_data.iter().map(|bits| read(*bits as u16)).collect();
    match kind {
        DataType::Float => Data::Float(tensor.float_data),
        DataType::Double => Data::Float(tensor.double_data.iter().map(|value| *value as f32).collect()),
        DataType::Float16 => Data::Float(narrow(|bits| f16::from_bits(bits).to_f32())),
        DataType::Bfloat16 => Data::Float(narrow(bfloat_to_f32)),
        DataType::Int64 => {
            Data::Whole(tensor.int64_data.iter().map(|number| Extent::Known(*number)).collect())
        }
        DataType::Uint64 | DataType::Uint32 => {
            let number = |number: &u64| Extent::Known(i64::try_from(*number).unwrap_or(i64::MAX));
            Data::Whole(tensor.uint64_data.iter().map(number).collect())
        }
        _ => Data::Whole(tensor.int32_data.iter().map(|number| Extent::Known((*number).into())).collect()),
    }
}

fn bfloat_to_f32(bits: u16) -> f32 {
    bf16::from_bits(bits).to_f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: DataType, dims: &[i64], raw: &[u8]) -> Result<Constant> {
        let tensor = TensorProto {
            dims: dims.to_vec(),
            data_type: Some(kind as i32),
            raw_data: Some(raw.to_vec()),
            name: Some("w".to_owned()),
            ..TensorProto::default()
        };
        Constant::read(Path::new("m.onnx"), tensor)
    }

    #[test]
    fn halves_and_doubles_become_f32() {
        let floats = |found: Result<Constant>| found.expect("valid").as_floats().expect("floats").to_vec();
        assert_eq!(floats(read(DataType::Float16, &[2], &[0x00, 0x3c, 0x00, 0xc0])), [1.0, -2.0]);
        assert_eq!(floats(read(DataType::Bfloat16, &[2], &[0x80, 0x3f, 0x00, 0xc0])), [1.0, -2.0]);
        assert_eq!(floats(read(DataType::Double, &[1], &1.5f64.to_le_bytes())), [1.5]);
        assert_eq!(
            read(DataType::Int64, &[1], &(-7i64).to_le_bytes()).expect("valid").as_known(),
            Some(vec![-7])
        );
    }

    #[test]
    fn wrong_lengths_are_named_and_nothing_is_allocated_for_them() {
        for dims in [&[3][..], &[-1], &[i64::MAX, i64::MAX]] {
            let error = read(DataType::Float, dims, &[0; 4]).expect_err("wrong").to_string();
            assert!(error.contains("`w`") && error.contains("help:"), "{error}");
        }
    }

    #[test]
    fn other_types_are_kept_by_their_name() {
        assert_eq!(
            read(DataType::Float8e4m3fn, &[1], &[0]).expect("kept").data,
            Data::Other("float8e4m3fn".to_owned())
        );
    }
}
