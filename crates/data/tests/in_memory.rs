//! Data in memory are those of the files that hold the same.

use frostline_data::npy::{NpyArray, NpyValues};
use frostline_data::{
    Augment, Channels, Dataset, HeldPicture, Image, InMemory, Lender, MemoryInputs, MemoryPicture, Pipeline,
    Pixels, Preprocess, Reading, Resize, Source, Split, ValueRange, Values,
};
use std::sync::Arc;

/// Lends rows of bytes.
#[derive(Debug)]
struct Rows {
    values: Vec<u8>,
    len: usize,
}

impl Lender for Rows {
    fn row(&self, row: usize) -> Values {
        Values::U8(self.values[row * self.len..][..self.len].to_vec())
    }
}

fn labels() -> NpyArray {
    NpyArray { shape: vec![4], values: NpyValues::Integers(vec![0, 1, 0, 1]) }
}

fn loaded(dataset: &Dataset) -> Vec<f32> {
    let pipeline = Pipeline::new(&[3, 5, 3], Resize::TfBilinear, Augment::default(), Preprocess::None)
        .expect("a pipeline");
    let mut out = vec![0.0; 4 * pipeline.input_len()];
    let examples: Vec<_> = dataset.train.iter().collect();
    pipeline.load_rows(dataset, &examples, None, &mut out).expect("rows");
    out
}

fn opened(inputs: MemoryInputs, reading: &Reading) -> Dataset {
    let memory = InMemory::new("(x, y)").part(Split::Train, inputs, Some(labels()));
    Source::Memory(&memory).open_as(reading).expect("a dataset")
}

#[test]
fn what_is_lent_is_what_is_owned() {
    let values: Vec<u8> = (0..4 * 3 * 5 * 3).map(|value| (value * 7 % 251) as u8).collect();
    let shape = vec![4, 3, 5, 3];
    let owned = NpyArray { shape: shape.clone(), values: NpyValues::Bytes(values.clone()) };
    let owned = opened(MemoryInputs::Array(owned), &Reading::default());
    let lent = |shape: &[usize]| MemoryInputs::Lent {
        shape: shape.to_vec(),
        rows: Arc::new(Rows { values: values.clone(), len: 45 }),
        range: ValueRange::BYTES,
        floats: false,
    };
    let borrowed = opened(lent(&shape), &Reading::default());
    assert_eq!(loaded(&owned), loaded(&borrowed));
    let hash = |dataset: &Dataset| dataset.content_hash(&dataset.train[2]).expect("a hash");
    assert_eq!(hash(&owned), hash(&borrowed));
    let pictures = values.chunks_exact(45).map(|pixels| {
        let pixels = Pixels::U8(pixels.to_vec());
        MemoryPicture::Held(HeldPicture::decoded(Image { height: 3, width: 5, channels: 3, pixels }))
    });
    let pictures = opened(MemoryInputs::Pictures(pictures.collect()), &Reading::default());
    assert_eq!(loaded(&owned), loaded(&pictures));
    assert_eq!(hash(&owned), hash(&pictures));
    // the channels in front, as PyTorch has them
    let first = Reading { channels: Channels::First, ..Reading::default() };
    let turned: Vec<u8> = values
        .chunks_exact(45)
        .flat_map(|image| {
            (0..3).flat_map(move |channel| (0..15).map(move |pixel| image[pixel * 3 + channel]))
        })
        .collect();
    let rows = Arc::new(Rows { values: turned, len: 45 });
    let lent = MemoryInputs::Lent { shape: vec![4, 3, 3, 5], rows, range: ValueRange::BYTES, floats: false };
    assert_eq!(loaded(&opened(lent, &first)), loaded(&owned));
}

#[test]
fn what_a_file_holds_is_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.png");
    let pixels: Vec<u8> = (0..48).collect();
    image::save_buffer(&path, &pixels, 4, 4, image::ExtendedColorType::Rgb8).expect("a file");
    let bytes = std::fs::read(&path).expect("its bytes");
    let four = |picture: MemoryPicture| MemoryInputs::Pictures(vec![picture; 4]);
    let file = opened(four(MemoryPicture::File(path)), &Reading::default());
    let held = opened(four(MemoryPicture::Held(HeldPicture::encoded(bytes))), &Reading::default());
    assert_eq!(loaded(&file), loaded(&held));
    let hash = |dataset: &Dataset| dataset.content_hash(&dataset.train[0]).expect("a hash");
    assert_eq!(hash(&file), hash(&held));
}

#[test]
fn labels_that_are_not_one_an_image_are_refused() {
    let inputs = NpyArray { shape: vec![3, 2, 2, 1], values: NpyValues::Bytes(vec![0; 12]) };
    let memory = InMemory::new("(x, y)").part(Split::Train, MemoryInputs::Array(inputs), Some(labels()));
    let error = Source::Memory(&memory).open_as(&Reading::default()).expect_err("an error").to_string();
    assert!(error.contains("`x_train` has the shape [3, 2, 2, 1], `y_train` [4]"), "{error}");
}
