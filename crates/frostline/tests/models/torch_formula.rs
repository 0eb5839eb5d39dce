//! The weights and inputs of the goldens in `tests/golden/torch`, as `tests/keras/torch_formula.py` has them: every tensor
//! is a formula of its name and shape.

use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A golden file.
#[derive(Default)]
pub(crate) struct Golden {
    pub(crate) architecture: String,
    /// `[images, channels, height, width]`
    pub(crate) input: Vec<usize>,
    pub(crate) output: Vec<f32>,
    /// What no output shows: PyTorch's settings, by the class of the layers.
    pub(crate) settings: Value,
    /// The shapes of the state dict's tensors.
    pub(crate) tensors: BTreeMap<String, Vec<usize>>,
}

impl Golden {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a golden");
        let json: Value = serde_json::from_str(&text).expect("its JSON");
        let shape = |value: &Value| -> Vec<usize> { serde_json::from_value(value.clone()).expect("a shape") };
        let rows: Vec<Vec<f32>> = serde_json::from_value(json["output"].clone()).expect("its outputs");
        let tensors = json["tensors"].as_object().expect("its tensors");
        Self {
            architecture: json["architecture"].as_str().expect("a name").to_owned(),
            input: shape(&json["input"]),
            output: rows.concat(),
            settings: json["settings"].clone(),
            tensors: tensors.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        }
    }

    /// The state dict as a safetensors file.
    pub(crate) fn file(&self) -> Vec<u8> {
        self.file_of(bytes)
    }

    /// The same with zeros, where no number counts.
    pub(crate) fn file_of_zeros(&self) -> Vec<u8> {
        let zeros = |name: &str, shape: &[usize]| {
            let each = if is_counter(name) { size_of::<i64>() } else { size_of::<f32>() };
            vec![0; each * shape.iter().product::<usize>()]
        };
        self.file_of(zeros)
    }

    fn file_of(&self, bytes: impl Fn(&str, &[usize]) -> Vec<u8>) -> Vec<u8> {
        let values: Vec<(&String, &Vec<usize>, Vec<u8>)> =
            self.tensors.iter().map(|(name, shape)| (name, shape, bytes(name, shape))).collect();
        let views = values.iter().map(|(name, shape, bytes)| {
            let dtype = if is_counter(name) { Dtype::I64 } else { Dtype::F32 };
            (name.as_str(), TensorView::new(dtype, (*shape).clone(), bytes).expect("a tensor"))
        });
        safetensors::serialize(views, None).expect("a file")
    }

    /// The input, with the channels last.
    pub(crate) fn images(&self) -> Vec<f32> {
        let [images, channels, height, width] = self.input[..] else { panic!("four axes") };
        let nchw = value("input", &self.input);
        let mut found = Vec::with_capacity(nchw.len());
        for image in 0..images {
            for pixel in 0..height * width {
                found.extend((0..channels).map(|c| nchw[(image * channels + c) * height * width + pixel]));
            }
        }
        found
    }
}

/// Whole numbers, with which nothing is computed.
fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked") || name.ends_with("relative_position_index")
}

fn bytes(name: &str, shape: &[usize]) -> Vec<u8> {
    match is_counter(name) {
        true => vec![0; size_of::<i64>() * shape.iter().product::<usize>()],
        false => value(name, shape).iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

/// The tensor of this name: what keeps the spread of the activations about as it is, layer by layer.
pub(crate) fn value(name: &str, shape: &[usize]) -> Vec<f32> {
    let (middle, spread) = match name {
        _ if name.ends_with("running_var") => (1.0, 0.5),
        _ if name.ends_with("gamma") || name.ends_with("layer_scale") => (0.5, 0.3),
        _ if name.ends_with("weight") && shape.len() == 1 => (1.0, 0.2),
        _ if name.ends_with("weight") => (0.0, (6.0 / shape.iter().skip(1).product::<usize>() as f64).sqrt()),
        "input" => (0.0, 2.0),
        _ => (0.0, 0.2),
    };
    // SplitMix64 from FNV-1a of the name
    let seed = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325u64, |seed, byte| (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    let number = |index: u64| {
        let mut z = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let uniform = (z >> 40) as f64 / f64::from(1u32 << 24);
        (middle + spread * (2.0 * uniform - 1.0)) as f32
    };
    (1..=shape.iter().product::<usize>() as u64).map(number).collect()
}
