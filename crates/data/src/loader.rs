//! From an example to the f32 values that a model takes.

use std::path::Path;

use rayon::prelude::*;

use super::decode::odd::Odd;
use super::decode::{is_odd, read};

use super::held::{Held, HeldPicture};
use super::{
    ArrayScale, Augment, DataError, Dataset, Example, Fit, Image, Input, Preprocess, Resize, ScaledDecode,
    ValueRange, ViewSeed, decode, decode_for, path_text,
};

/// Decode, resize, augment, preprocess, for one input shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    input: Vec<usize>,
    /// How far JPEGs are scaled down while they are decoded; not at all by default.
    pub scaled: ScaledDecode,
    /// How pictures of another size become the input's size.
    pub resize: Resize,
    /// How pictures of another shape become the input's shape; squashed by default.
    pub fit: Fit,
    /// What views may change.
    pub augment: Augment,
    /// The scale of arrays' values, which are brought to 0 to 255 first; 0 to 255 by default.
    pub arrays: ArrayScale,
    /// How 0 to 255 becomes what the model was trained on.
    pub preprocess: Preprocess,
    odd: Odd,
}

impl Pipeline {
    /// A pipeline into `input`, a model's input shape without the batch: `[height, width, channels]`,
    /// `[height, width]` for grey pictures, or `[values]` for rows that are no pictures.
    pub fn new(
        input: &[usize],
        resize: Resize,
        augment: Augment,
        preprocess: Preprocess,
    ) -> Result<Self, DataError> {
        if input.is_empty() || input.contains(&0) {
            return Err(DataError::setting(
                format!("the model's input has the shape {input:?}"),
                "give the size of its images: the setting `image-size = 224`",
            ));
        }
        let (scaled, fit, arrays) = (ScaledDecode::OFF, Fit::Squash, ArrayScale::Bytes);
        let odd = Odd::default();
        let pipeline = Self { input: input.to_vec(), scaled, resize, fit, augment, arrays, preprocess, odd };
        pipeline
            .preprocess
            .check_channels(pipeline.picture().map_or(input[input.len() - 1], |[_, _, c]| c))?;
        Ok(pipeline)
    }

    /// The same with large JPEGs decoded small.
    pub fn scaled(self, scaled: ScaledDecode) -> Self {
        Self { scaled, ..self }
    }

    /// The same with pictures brought to the input's shape so.
    pub fn fitted(self, fit: Fit) -> Self {
        Self { fit, ..self }
    }

    /// The same for arrays on this scale.
    pub fn of_arrays(self, arrays: ArrayScale) -> Self {
        Self { arrays, ..self }
    }

    /// The shape it loads into.
    pub fn input(&self) -> &[usize] {
        &self.input
    }

    /// The number of values of one input.
    pub fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    /// `[height, width, channels]` where the input is a picture.
    fn picture(&self) -> Option<[usize; 3]> {
        match *self.input {
            [height, width] => Some([height, width, 1]),
            [height, width, channels] => Some([height, width, channels]),
            _ => None,
        }
    }

    /// Loads one example into `out`, which has [`Pipeline::input_len`] values; `view` draws a random view of it.
    pub fn load(
        &self,
        dataset: &Dataset,
        example: &Example,
        view: Option<ViewSeed>,
        out: &mut [f32],
    ) -> Result<(), DataError> {
        let image = self.open(dataset, example)?;
        let range = match self.arrays {
            ArrayScale::Bytes => dataset.value_range(),
            ArrayScale::Unit | ArrayScale::Signed => ValueRange::BYTES,
        };
        self.load_image(image, &example.name, range, view, out)
    }

    /// The picture of an example as it is, but for the scale of arrays.
    pub fn open(&self, dataset: &Dataset, example: &Example) -> Result<Image, DataError> {
        match &example.input {
            Input::File(path) => self.decode(path),
            Input::Row { split, row } => match dataset.array(*split) {
                Some(array) if *row < array.rows() => Ok(self.arrays.to_bytes(array.image(*row))),
                _ => Err(dataset.foreign(example)),
            },
            Input::Picture(picture) => self.open_held(picture, &example.name),
            Input::Packed(picture) => self.decode_bytes(&picture.read(&example.name)?, &example.name),
        }
    }

    /// The pixels of a picture in memory. `name` is for messages.
    pub fn open_held(&self, picture: &HeldPicture, name: &str) -> Result<Image, DataError> {
        match picture.held() {
            Held::Encoded(bytes) => self.decode_bytes((**bytes).as_ref(), name),
            Held::Decoded(image) => Ok(image.clone()),
        }
    }

    /// The same for another size of input, `[height, width]`.
    pub fn of_size(&self, size: [usize; 2]) -> Self {
        let mut input = self.input.clone();
        input.iter_mut().zip(size).for_each(|(extent, size)| *extent = size);
        Self { input, ..self.clone() }
    }

    /// `[height, width]` where the input is a picture.
    pub fn own_size(&self) -> Option<[usize; 2]> {
        self.picture().map(|[height, width, _]| [height, width])
    }

    /// Loads a picture file as it is; see [`Pipeline::load`]. `name` is for messages.
    pub fn load_file(&self, path: &Path, name: &str, out: &mut [f32]) -> Result<(), DataError> {
        self.load_image(self.decode(path)?, name, ValueRange::BYTES, None, out)
    }

    /// The pixels of an image file, as they lie there.
    pub fn decode(&self, path: &Path) -> Result<Image, DataError> {
        self.decode_bytes(&read(path)?, &path_text(path))
    }

    /// The pixels of an image file that is in memory, as they lie there. `name` is for messages.
    pub fn decode_bytes(&self, bytes: &[u8], name: &str) -> Result<Image, DataError> {
        let image = match self.picture() {
            Some([height, width, _]) => decode_for(bytes, name, self.scaled, [height, width]),
            None => decode(bytes, name),
        }?;
        if is_odd(bytes) {
            self.odd.note(name.to_owned());
        }
        Ok(image)
    }

    /// What there is to tell of the images that were loaded so far, by this pipeline or one that was made of it: those that are
    /// odd.
    pub fn told(&self) -> Option<String> {
        self.odd.told()
    }

    /// Loads a decoded picture; see [`Pipeline::load`]. `range`: the scale of its values.
    pub fn load_image(
        &self,
        image: Image,
        name: &str,
        range: ValueRange,
        view: Option<ViewSeed>,
        out: &mut [f32],
    ) -> Result<(), DataError> {
        let shape = match self.picture() {
            Some(shape @ [height, width, channels]) => {
                let image = image.with_channels(channels, name)?;
                let black = self.black(range, name)?;
                self.fit.apply(self.resize, &image, [height, width], black, out)?;
                shape
            }
            None => {
                let values = image.height * image.width * image.channels;
                if values != out.len() {
                    return Err(DataError::setting(
                        format!("`{name}` has {values} values where the model takes {:?}", self.input),
                        "give data of the model's input shape",
                    ));
                }
                let (height, width) = (image.height, image.width);
                self.resize.apply(&image, height, width, out)?;
                [1, 1, out.len()]
            }
        };
        if let Some(view) = view.filter(|_| !self.augment.is_identity()) {
            let mut pixels = out.to_vec();
            self.augment.apply(&mut pixels, shape, range, name, view);
            out.copy_from_slice(&pixels);
        }
        self.preprocess.apply(out, shape[2]);
        Ok(())
    }

    /// The value of black on the scale of `range`.
    ///
    /// Errors: it is wanted to pad with, and not known.
    fn black(&self, range: ValueRange, name: &str) -> Result<f32, DataError> {
        match ArrayScale::of(range) {
            Some(ArrayScale::Signed) => Ok(-1.0),
            None if self.fit == Fit::Pad => Err(DataError::image(
                name,
                format!(
                    "cannot be padded with black: the values lie in [{}, {}], where it is not known which is black",
                    range.min, range.max
                ),
                "give the setting `fit = crop`, or arrays of the model's own size",
            )),
            _ => Ok(0.0),
        }
    }

    /// Loads examples into the rows of `out` on all threads. The first error, by the order of the examples, is
    /// returned.
    pub fn load_rows(
        &self,
        dataset: &Dataset,
        examples: &[&Example],
        view: Option<ViewSeed>,
        out: &mut [f32],
    ) -> Result<(), DataError> {
        let rows: Vec<Result<(), DataError>> = examples
            .par_iter()
            .zip(out.par_chunks_exact_mut(self.input_len()))
            .map(|(example, row)| self.load(dataset, example, view, row))
            .collect();
        rows.into_iter().collect()
    }
}
