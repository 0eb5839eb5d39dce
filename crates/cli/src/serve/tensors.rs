//! Tensors of the Open Inference Protocol: as JSON, and as bytes behind it.

use super::nested;
use super::queue::Batch;
use super::refusal::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use frostline::predict::Picture;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The body of a request to infer, up to its binary data.
#[derive(Deserialize)]
pub(super) struct InferRequest<'a> {
    pub(super) id: Option<String>,
    #[serde(borrow)]
    pub(super) inputs: Vec<InputTensor<'a>>,
    pub(super) outputs: Option<Vec<WantedOutput>>,
    #[serde(default)]
    pub(super) parameters: RequestParameters,
}

/// What holds for all outputs.
#[derive(Default, Deserialize)]
pub(super) struct RequestParameters {
    pub(super) binary_data_output: Option<bool>,
}

/// One input.
#[derive(Deserialize)]
pub(super) struct InputTensor<'a> {
    pub(super) name: String,
    shape: Vec<usize>,
    datatype: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    parameters: InputParameters,
}

#[derive(Default, Deserialize)]
struct InputParameters {
    binary_data_size: Option<usize>,
}

/// An output that is asked for.
#[derive(Deserialize)]
pub(super) struct WantedOutput {
    pub(super) name: String,
    #[serde(default)]
    pub(super) parameters: OutputParameters,
}

/// How it is to be given.
#[derive(Default, Deserialize)]
pub(super) struct OutputParameters {
    pub(super) binary_data: Option<bool>,
    pub(super) classification: Option<usize>,
}

/// What an input holds.
pub(super) enum Content {
    Numbers(Batch),
    Pictures(Vec<Picture>),
}

/// Takes the bytes of an input from the front of the binary data, where its bytes are there.
pub(super) fn content(input: &InputTensor<'_>, binary: &mut &[u8]) -> Result<Content, Refusal> {
    let wrong = |what: String| Refusal::bad(format!("input `{}`: {what}", input.name));
    let count = input.shape.iter().try_fold(1usize, |count, extent| count.checked_mul(*extent));
    let count = count.ok_or_else(|| wrong(format!("has the shape {:?}", input.shape)))?;
    let bytes = match (input.parameters.binary_data_size, input.data) {
        (Some(size), None) => {
            let (own, rest) = binary
                .split_at_checked(size)
                .ok_or_else(|| wrong(format!("claims {size} bytes, of which {} are there", binary.len())))?;
            *binary = rest;
            Ok(own)
        }
        (None, Some(data)) => Err(data),
        (Some(_), Some(_)) => return Err(wrong("has `data` and `binary_data_size`".to_owned())),
        (None, None) => return Err(wrong("has neither `data` nor `binary_data_size`".to_owned())),
    };
    let is_long = |len: usize| match len == count {
        true => Ok(()),
        false => Err(wrong(format!("holds {len} elements where its shape {:?} has {count}", input.shape))),
    };
    let numbers = |values: Vec<f32>| {
        is_long(values.len())?;
        Ok(Content::Numbers(Batch { shape: input.shape.clone(), values }))
    };
    match (input.datatype.as_str(), bytes) {
        ("FP32", Ok(bytes)) => {
            let (values, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(wrong(format!("has {} bytes, no whole number of FP32", bytes.len())));
            }
            numbers(values.iter().copied().map(f32::from_le_bytes).collect())
        }
        ("UINT8", Ok(bytes)) => numbers(bytes.iter().copied().map(f32::from).collect()),
        ("FP32", Err(data)) => numbers(nested::batch(data)?.values),
        ("UINT8", Err(data)) => {
            let values = nested::batch(data)?.values;
            match values.iter().find(|value| value.fract() != 0.0 || !(0.0..=255.0).contains(*value)) {
                Some(value) => Err(wrong(format!("{value} is no UINT8"))),
                None => numbers(values),
            }
        }
        ("BYTES", bytes) => {
            let encoded = match bytes {
                Ok(bytes) => elements(bytes).ok_or_else(|| wrong("its elements are cut off".to_owned()))?,
                Err(data) => {
                    let texts: Vec<String> = serde_json::from_str(data.get())
                        .map_err(|error| wrong(format!("its data are no list of base64 texts: {error}")))?;
                    let decoded = texts.iter().map(|text| STANDARD.decode(text));
                    decoded
                        .collect::<Result<_, _>>()
                        .map_err(|error| wrong(format!("is no base64: {error}")))?
                }
            };
            is_long(encoded.len())?;
            let named = encoded.into_iter().enumerate();
            Ok(Content::Pictures(
                named
                    .map(|(index, bytes)| Picture::Bytes { name: format!("image {index}"), bytes })
                    .collect(),
            ))
        }
        (other, _) => Err(wrong(format!(
            "has the datatype {other}\nhelp: give FP32 or UINT8 in the model's own layout, or BYTES that are encoded images"
        ))),
    }
}

/// Each has its length before it, four bytes.
fn elements(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (element, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        found.push(element.to_vec());
        bytes = rest;
    }
    Some(found)
}

/// The same the other way round.
pub(super) fn packed(texts: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}
