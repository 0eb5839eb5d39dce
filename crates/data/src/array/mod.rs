//! The inputs of an npz source: one array a split, a row an example.

mod scale;

use super::image::{Image, Pixels};
use super::range::ValueRange;
use frostline_graph::Extents;
use std::fmt::Debug;
use std::sync::Arc;

/// Values of an array, u8 as they are, all else as f32.
pub use super::image::Pixels as Values;
pub use scale::ArrayScale;

/// Lends the rows of an array that somebody else holds, so that its values are in memory once.
pub trait Lender: Debug + Send + Sync {
    /// A copy of the values of a row.
    fn row(&self, row: usize) -> Values;
}

/// Whose the values are.
#[derive(Clone, Debug)]
enum Held {
    Own(Values),
    Lent(Arc<dyn Lender>),
}

/// A lent array with the channels of its rows in front.
#[derive(Debug)]
struct ChannelsFirst {
    rows: Arc<dyn Lender>,
    channels: usize,
}

impl Lender for ChannelsFirst {
    fn row(&self, row: usize) -> Values {
        match self.rows.row(row) {
            Pixels::U8(values) => Pixels::U8(channels_last(&values, self.channels).collect()),
            Pixels::F32(values) => Pixels::F32(channels_last(&values, self.channels).collect()),
        }
    }
}

/// An array whose first extent counts examples.
#[derive(Clone, Debug)]
pub struct Array {
    shape: Vec<usize>,
    values: Held,
    range: ValueRange,
    floats: bool,
}

impl Array {
    /// `shape`: `[rows, …]`, whose product is the number of `values`. `floats`: the file held floats, not integers.
    pub fn new(shape: Vec<usize>, values: Values, floats: bool) -> Self {
        debug_assert_eq!(
            shape.elements(),
            match &values {
                Pixels::U8(v) => v.len(),
                Pixels::F32(v) => v.len(),
            }
        );
        let range = match &values {
            Pixels::U8(_) => ValueRange::BYTES,
            Pixels::F32(v) => ValueRange::of_finite(v).unwrap_or_else(|_| ValueRange::of(v)),
        };
        Self { shape, values: Held::Own(values), range, floats }
    }

    /// An array that `rows` lends. `range`: that of all values, 0 to 255 for u8; `floats` as in [`Array::new`].
    pub fn lent(shape: Vec<usize>, rows: Arc<dyn Lender>, range: ValueRange, floats: bool) -> Self {
        Self { shape, values: Held::Lent(rows), range, floats }
    }

    /// A copy of the values of a row.
    fn row(&self, row: usize) -> Values {
        let at = row * self.row_len()..(row + 1) * self.row_len();
        match &self.values {
            Held::Own(Pixels::U8(values)) => Pixels::U8(values[at].to_vec()),
            Held::Own(Pixels::F32(values)) => Pixels::F32(values[at].to_vec()),
            Held::Lent(rows) => rows.row(row),
        }
    }

    /// The number of examples.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// The shape of one example, e.g. `[28, 28]`.
    pub fn row_shape(&self) -> &[usize] {
        self.shape.get(1..).unwrap_or_default()
    }

    /// The range of all values; 0 to 255 for u8.
    pub fn value_range(&self) -> ValueRange {
        self.range
    }

    /// True where the file held floats: values that somebody has scaled already, rather than pixels.
    pub fn holds_floats(&self) -> bool {
        self.floats
    }

    fn row_len(&self) -> usize {
        self.row_shape().iter().product()
    }

    /// The values of a row, `[height, width]` as one channel. Extents that are no picture's give a picture of one
    /// pixel with all values as channels.
    pub fn image(&self, row: usize) -> Image {
        let (height, width, channels) = match *self.row_shape() {
            [h, w] => (h, w, 1),
            [h, w, c] => (h, w, c),
            _ => (1, 1, self.row_len()),
        };
        Image { height, width, channels, pixels: self.row(row) }
    }

    /// The same with the channels in front of each row's height and width behind them. What has no three extents a row stays as it
    /// is.
    pub(super) fn with_channels_last(self) -> Self {
        let [rows, channels, height, width] = *self.shape.as_slice() else { return self };
        let len = (channels * height * width).max(1);
        let values = match self.values {
            Held::Own(Pixels::U8(values)) => Held::Own(Pixels::U8(
                values.chunks_exact(len).flat_map(|image| channels_last(image, channels)).collect(),
            )),
            Held::Own(Pixels::F32(values)) => Held::Own(Pixels::F32(
                values.chunks_exact(len).flat_map(|image| channels_last(image, channels)).collect(),
            )),
            Held::Lent(rows) => Held::Lent(Arc::new(ChannelsFirst { rows, channels })),
        };
        Self { shape: vec![rows, height, width, channels], values, ..self }
    }

    pub(super) fn hash_row(&self, row: usize) -> blake3::Hash {
        let at = row * self.row_len()..(row + 1) * self.row_len();
        match &self.values {
            Held::Own(Pixels::U8(values)) => hash(self.row_shape(), Slice::U8(&values[at])),
            Held::Own(Pixels::F32(values)) => hash(self.row_shape(), Slice::F32(&values[at])),
            Held::Lent(rows) => hash_of(self.row_shape(), &rows.row(row)),
        }
    }
}

enum Slice<'a> {
    U8(&'a [u8]),
    F32(&'a [f32]),
}

/// The hash of values of this shape.
pub(super) fn hash_of(shape: &[usize], values: &Values) -> blake3::Hash {
    match values {
        Pixels::U8(values) => hash(shape, Slice::U8(values)),
        Pixels::F32(values) => hash(shape, Slice::F32(values)),
    }
}

fn hash(shape: &[usize], values: Slice<'_>) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{shape:?}").as_bytes());
    match values {
        Slice::U8(values) => {
            hasher.update(b"u8").update(values);
        }
        Slice::F32(values) => {
            hasher.update(b"f32");
            for value in values {
                hasher.update(&value.to_le_bytes());
            }
        }
    }
    hasher.finalize()
}

/// From `[channels, …]` to `[…, channels]`.
pub(super) fn channels_last<T: Copy>(image: &[T], channels: usize) -> impl Iterator<Item = T> {
    let pixels = image.len() / channels.max(1);
    (0..pixels).flat_map(move |pixel| (0..channels).map(move |channel| image[channel * pixels + pixel]))
}
