//! What features are found by.

use frostline_data::{ArrayScale, DECODER_VERSION, Fit, Pipeline};
use frostline_engine::compile::Frozen;
use frostline_graph::DType;
use std::fmt;

/// Changes whenever resizing, preprocessing or a kernel gives other bits than before.
const VERSION: u32 = 3;

/// Names a prefix by all that its feature vectors depend on but the images: ops, weights, preprocessing, and the code and the
/// instruction set that compute them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrefixKey(blake3::Hash);

impl PrefixKey {
    /// The key of the feature vectors at the boundary of a frozen program whose images come through `pipeline`, whose numbers are
    /// stored as `element`.
    pub fn new(frozen: &Frozen, element: DType, pipeline: &Pipeline) -> Self {
        let mut hasher = blake3::Hasher::new();
        let precision = frozen.dtype();
        let set = match precision {
            DType::F32 => frostline_kernels::instruction_set(),
            DType::Bf16 => frostline_kernels::bf16_instruction_set(),
            DType::Int8 => frostline_kernels::int8_instruction_set(),
        };
        let version = env!("CARGO_PKG_VERSION");
        let mut say = |text: String| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        let (input, resize, preprocess) = (pipeline.input(), &pipeline.resize, &pipeline.preprocess);
        say(format!(
            "frostline {version}, features {VERSION}, {precision} by {set}, in {element}, {DECODER_VERSION}"
        ));
        say(format!("{input:?} {resize:?} {preprocess:?}"));
        if pipeline.fit != Fit::Squash {
            say(format!("{:?}", pipeline.fit));
        }
        if !pipeline.scaled.is_off() {
            say(format!("{:?}", pipeline.scaled));
        }
        if pipeline.arrays != ArrayScale::Bytes {
            say(format!("{:?}", pipeline.arrays));
        }
        for output in frozen.outputs() {
            hasher.update(output.as_bytes());
        }
        Self(hasher.finalize())
    }

    /// All of it.
    pub(crate) fn name(&self) -> String {
        self.0.to_hex().to_string()
    }

    /// Letters of the name of its folder.
    pub(super) const NAME_LEN: usize = 32;

    /// The name of its folder.
    pub(super) fn folder(&self) -> String {
        self.0.to_hex()[..Self::NAME_LEN].to_owned()
    }
}

/// Names a feature vector within a prefix: the image's content and the view.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureKey(pub(super) [u8; Self::LEN]);

impl FeatureKey {
    /// Bytes.
    pub(super) const LEN: usize = 32;

    /// The feature vector of an image, by the hash of its content, and of an augmented view, by all that it is drawn from.
    pub fn new(image: &blake3::Hash, view: Option<&str>) -> Self {
        match view {
            None => Self(*image.as_bytes()),
            Some(view) => Self(*blake3::keyed_hash(image.as_bytes(), view.as_bytes()).as_bytes()),
        }
    }
}

impl fmt::Debug for FeatureKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FeatureKey({})", blake3::Hash::from_bytes(self.0).to_hex())
    }
}
