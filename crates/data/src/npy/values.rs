//! The values of an array by their type in the file.

use half::f16;

/// The values of an array by kind.
#[derive(Clone, Debug, PartialEq)]
pub enum NpyValues {
    /// `uint8`.
    Bytes(Vec<u8>),
    /// `uint16`: images of 16 bits, and numbers of any kind.
    Words(Vec<u16>),
    /// Every other integer, and booleans.
    Integers(Vec<i64>),
    /// `float32`, `float16`, and `float64` rounded to `float32`.
    Floats(Vec<f32>),
    /// Text.
    Text(Vec<String>),
}

impl NpyValues {
    /// Of a type of numbers by its name without the order of bytes, as `f4`; none for other types. `bytes`: whole numbers of that
    /// type, the high byte first where `is_big`.
    pub(super) fn of_numbers(kind: &str, is_big: bool, bytes: &[u8]) -> Option<Self> {
        let integers = |values: Vec<i64>| Some(Self::Integers(values));
        match kind {
            "u1" => Some(Self::Bytes(bytes.to_vec())),
            "b1" => integers(each(bytes, is_big, |[byte]| i64::from(byte != 0))),
            "i1" => integers(each(bytes, is_big, |byte| i64::from(i8::from_le_bytes(byte)))),
            "i2" => integers(each(bytes, is_big, |bytes| i64::from(i16::from_le_bytes(bytes)))),
            "u2" => Some(Self::Words(each(bytes, is_big, u16::from_le_bytes))),
            "i4" => integers(each(bytes, is_big, |bytes| i64::from(i32::from_le_bytes(bytes)))),
            "u4" => integers(each(bytes, is_big, |bytes| i64::from(u32::from_le_bytes(bytes)))),
            "i8" => integers(each(bytes, is_big, i64::from_le_bytes)),
            "f2" => Some(Self::Floats(each(bytes, is_big, |bytes| f16::from_le_bytes(bytes).to_f32()))),
            "f4" => Some(Self::Floats(each(bytes, is_big, f32::from_le_bytes))),
            "f8" => Some(Self::Floats(each(bytes, is_big, |bytes| f64::from_le_bytes(bytes) as f32))),
            _ => None,
        }
    }

    /// The values as f32; none for text.
    pub(super) fn into_floats(self) -> Option<Vec<f32>> {
        Some(match self {
            Self::Bytes(values) => values.into_iter().map(f32::from).collect(),
            Self::Words(values) => values.into_iter().map(f32::from).collect(),
            Self::Integers(values) => values.into_iter().map(|value| value as f32).collect(),
            Self::Floats(values) => values,
            Self::Text(_) => return None,
        })
    }

    /// From the order of columns to that of rows.
    pub(super) fn row_major(self, shape: &[usize]) -> Self {
        match self {
            Self::Bytes(values) => Self::Bytes(reorder(&values, shape)),
            Self::Words(values) => Self::Words(reorder(&values, shape)),
            Self::Integers(values) => Self::Integers(reorder(&values, shape)),
            Self::Floats(values) => Self::Floats(reorder(&values, shape)),
            Self::Text(values) => Self::Text(reorder(&values, shape)),
        }
    }
}

/// `of`: a number from its bytes, the low one first.
fn each<const N: usize, T>(bytes: &[u8], is_big: bool, of: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks::<N>();
    let turned = |mut bytes: [u8; N]| {
        bytes.reverse();
        of(bytes)
    };
    match is_big {
        true => numbers.iter().map(|bytes| turned(*bytes)).collect(),
        false => numbers.iter().map(|bytes| of(*bytes)).collect(),
    }
}

fn reorder<T: Clone>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut index = vec![0usize; shape.len()];
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        let at = index.iter().zip(shape).rev().fold(0, |at, (i, extent)| at * extent + i);
        out.push(values[at].clone());
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_order_of_bytes_are_the_same() {
        let of = |kind: &str, is_big: bool, bytes: &[u8]| NpyValues::of_numbers(kind, is_big, bytes).unwrap();
        assert_eq!(of("f4", false, &1.5f32.to_le_bytes()), NpyValues::Floats(vec![1.5]));
        assert_eq!(of("f4", true, &1.5f32.to_be_bytes()), NpyValues::Floats(vec![1.5]));
        assert_eq!(of("u2", true, &[1, 2]), NpyValues::Words(vec![258]));
        assert_eq!(of("i2", false, &(-3i16).to_le_bytes()), NpyValues::Integers(vec![-3]));
        // 1.5 in float16 is 0 01111 1000000000
        assert_eq!(of("f2", false, &[0x00, 0x3e]), NpyValues::Floats(vec![1.5]));
        assert_eq!(of("b1", false, &[0, 1]), NpyValues::Integers(vec![0, 1]));
        assert_eq!(NpyValues::of_numbers("c8", false, &[]), None);
    }

    #[test]
    fn column_major_arrays_become_row_major() {
        let values = NpyValues::Integers(vec![1, 4, 2, 5, 3, 6]);
        assert_eq!(values.row_major(&[2, 3]), NpyValues::Integers(vec![1, 2, 3, 4, 5, 6]));
    }
}
