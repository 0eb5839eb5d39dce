//! Model files: a file becomes a [`Model`] and a [`LoadReport`], and back. Nothing is lost or left over without a
//! word.

mod custom;
mod foreign;
mod hdf5;
mod keras;
#[cfg_attr(not(feature = "onnx"), path = "onnx_missing.rs")]
mod onnx;
mod pickle;
mod report;
mod safetensors;

pub use custom::Custom;
pub use keras::KERAS_VERSION;
pub use keras::live::{KerasName, from_keras, keras_config, keras_places};
pub use report::{LoadReport, Loaded, few};
pub use safetensors::Architecture;

use frostline_files::{regular, write_atomically};
use frostline_graph::{Error, ErrorKind, Model, Result};
use std::path::{Path, PathBuf};

/// The kinds of model files that frostline writes, by their ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.keras`: Keras 3's archive.
    Keras,
    /// `.h5`, `.hdf5`: Keras's legacy whole-model file.
    H5,
    /// `.weights.h5`: weights alone.
    WeightsH5,
    /// `.onnx`: what ONNX Runtime and others run.
    Onnx,
    /// `.safetensors`: weights, with the architecture in the metadata.
    Safetensors,
}

impl Format {
    /// The format that a path's ending asks for.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        match name.as_str() {
            name if name.ends_with(".weights.h5") => Ok(Self::WeightsH5),
            name if name.ends_with(".h5") || name.ends_with(".hdf5") => Ok(Self::H5),
            name if name.ends_with(".keras") => Ok(Self::Keras),
            name if name.ends_with(".onnx") => Ok(Self::Onnx),
            name if name.ends_with(".safetensors") => Ok(Self::Safetensors),
            _ => Err(Error::format(
                path,
                "its ending names no format that can be written\nhelp: end it in `.keras`, `.h5`, `.weights.h5`, `.safetensors` or `.onnx`",
            )),
        }
    }
}

/// What is said of a model's file beside its path.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The architecture of torchvision or timm that a `.safetensors` file holds the state dict of.
    pub architecture: Option<Architecture>,
    /// What layers of somebody else's classes are, in files of Keras.
    pub custom: Vec<Custom>,
    /// The height and width of images that a vision transformer of a state dict is built for, where they are not those that its
    /// weights were trained on: its positions are interpolated.
    pub image_size: Option<[usize; 2]>,
}

/// Reads a model: a `.keras` archive, a legacy `.h5` file of any Keras, an `.onnx` file, a `.safetensors` file that frostline wrote, or
/// the directory of a run. What the file holds decides, not its ending.
pub fn load(path: &Path) -> Result<Loaded> {
    load_with(path, &LoadOptions::default())
}

/// [`load`], or with an architecture the state dict of a PyTorch model of it, as a `.safetensors` file.
pub fn load_as(path: &Path, architecture: Option<Architecture>) -> Result<Loaded> {
    load_with(path, &LoadOptions { architecture, ..LoadOptions::default() })
}

/// [`load`], where more is said of the file.
pub fn load_with(path: &Path, options: &LoadOptions) -> Result<Loaded> {
    let LoadOptions { architecture, custom, image_size } = options;
    if let Some(refused) = foreign::refusal(path) {
        return Err(refused);
    }
    if path.is_dir() && !path.join("run.json").exists() {
        return Err(Error::format(
            path,
            "this folder holds no finished run: there is no `run.json`\nhelp: give a model file, or train again into a new folder",
        ));
    }
    let path = model_file(path);
    let bytes = regular::read(&path).map_err(|source| Error::io(&path, source))?;
    let loaded = match (bytes.as_slice(), *architecture) {
        _ if foreign::lists_shards(&path) => Err(foreign::shards_alone(&path)),
        (content, _) if pickle::is_pickle(content) => Err(pickle::refusal(&path)),
        ([b'P', b'K', ..] | [0x89, b'H', b'D', b'F', ..], Some(architecture)) => {
            Err(safetensors::says_it_itself(&path, architecture))
        }
        ([b'P', b'K', ..], None) => keras::archive::load(&path, bytes, custom),
        ([0x89, b'H', b'D', b'F', ..], None) => keras::legacy::load(&path, bytes, custom),
        (content, None) if is_onnx(&path) => onnx::read::load(&path, content),
        (content, _) if safetensors::is_safetensors(&path, content) => {
            safetensors::load(&path, content, *architecture, *image_size)
        }
        // protobuf has no mark of its own; every exporter begins with the version of the format
        ([0x08, ..], None) => onnx::read::load(&path, &bytes),
        _ => Err(Error::format(
            &path,
            "this is no model file that can be read\nhelp: expected a `.keras` archive, a Keras `.h5`, an `.onnx` or a `.safetensors` file; it may be cut off or damaged",
        )),
    };
    let mut loaded = loaded.map_err(|error| in_file(&path, error))?;
    loaded.report.warnings.extend(lost_weights(&loaded.model));
    Ok(loaded)
}

/// Reads a model from the bytes of a `.safetensors` file: a state dict of PyTorch, with `options` that name its architecture. `name` is
/// for messages.
///
/// # Errors
///
/// Bytes that are no such file; weights that are not those of the architecture.
pub fn from_safetensors(name: &Path, bytes: &[u8], options: &LoadOptions) -> Result<Loaded> {
    let mut loaded = safetensors::load(name, bytes, options.architecture, options.image_size)?;
    loaded.report.warnings.extend(lost_weights(&loaded.model));
    Ok(loaded)
}

/// Names the layers whose weights are no numbers: whatever passes through them is none either.
fn lost_weights(model: &Model) -> Option<String> {
    let lost = model.layers_not_finite();
    (!lost.is_empty()).then(|| {
        format!(
            "weights of {} layers hold NaN or infinity, and so may all that the model puts out: {}",
            lost.len(),
            few(&lost)
        )
    })
}

fn is_onnx(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
}

/// An error about a layer that came out of a file, with the file's name.
fn in_file(path: &Path, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Shape | ErrorKind::Config => {
            let help = "help: the layers of the file do not fit together; it may be damaged";
            Error::format(path, format!("{error}\n{help}"))
        }
        _ => error,
    }
}

/// The file that a path to a model or to a run names.
pub fn model_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.keras") } else { path.to_owned() }
}

/// How the tensors of a file of weights find their layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchBy {
    /// By the names of layers and variables. Where files of Keras 3 have no names, by their rule.
    #[default]
    Name,
    /// By the order of layers with weights, as `model.load_weights` does; names of layers mean nothing.
    Order,
}

/// What becomes of weights that a file does not fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Misfits {
    /// Nothing is loaded.
    #[default]
    Refused,
    /// They stay what they are in the model, and the report lists them.
    Kept,
}

/// How a file of weights is put onto a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightsOptions {
    /// How tensors find their layers.
    pub by: MatchBy,
    /// What becomes of weights without a tensor of their shape.
    pub misfits: Misfits,
}

/// [`load_weights_with`] by name, all or none.
pub fn load_weights(path: &Path, model: &Model) -> Result<LoadReport> {
    load_weights_with(path, model, WeightsOptions::default())
}

/// Reads a file of weights (`.weights.h5`, the `.weights.json` of a sharded one, a whole-model `.h5`, `.safetensors`) onto a model that is there already. The
/// model is changed only if every weight fits, or as `options` say.
pub fn load_weights_with(path: &Path, model: &Model, options: WeightsOptions) -> Result<LoadReport> {
    if let Some(refused) = foreign::refusal(path) {
        return Err(refused);
    }
    let bytes = regular::read(path).map_err(|source| Error::io(path, source))?;
    let report = match bytes.as_slice() {
        content if pickle::is_pickle(content) => Err(pickle::refusal(path)),
        content if safetensors::is_safetensors(path, content) => match options == WeightsOptions::default() {
            true => safetensors::load_weights(path, content, model),
            false => Err(Error::format(
                path,
                "tensors of `.safetensors` files are matched by name, all or none\nhelp: leave the settings `weights-by` and `skip-mismatch` out",
            )),
        },
        list if foreign::lists_shards(path) => keras::shards::load_weights(path, list, model, options),
        [b'P', b'K', ..] => Err(foreign::whole_model(path)),
        _ => keras::legacy::load_weights(path, bytes, model, options),
    };
    report.map_err(|error| in_file(path, error))
}

/// Writes a model in the format of the path's ending, so that the current Keras loads it. The file appears whole
/// or not at all.
pub fn save(model: &Model, path: &Path) -> Result<()> {
    Ok(write_atomically(path, &to_bytes(model, path)?)?)
}

/// Whether a model can be written for Keras: known before it is trained.
///
/// Error: the layer that cannot.
pub fn check_can_be_written(model: &Model) -> Result<()> {
    keras::config_of(&model.graph).map(drop).map_err(Error::surgery)
}

/// What [`save`] writes.
pub fn to_bytes(model: &Model, path: &Path) -> Result<Vec<u8>> {
    match Format::of(path)? {
        Format::Keras => keras::archive::to_bytes(path, model),
        Format::H5 => keras::legacy::to_bytes(path, model),
        Format::WeightsH5 => keras::store::to_bytes(path, model),
        Format::Onnx => onnx::write::to_bytes(path, model, None),
        Format::Safetensors => safetensors::to_bytes(path, model),
    }
}

/// What turns pixels of 0 to 255 into a model's input, written into an ONNX graph in front of it.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedPreprocessing {
    /// Height and width of the model's images.
    pub size: [usize; 2],
    /// The sizes that an image is seen at; what the last dense layer reads is averaged over them. At least one.
    pub views: Vec<EmbeddedSize>,
    /// How images of other sizes are resized.
    pub kernel: EmbeddedKernel,
    /// What becomes of images of other shapes.
    pub fit: EmbeddedFit,
    /// BGR instead of RGB, before scaling.
    pub reverse_channels: bool,
    /// Factors, one for all or one a channel.
    pub scale: Vec<f32>,
    /// Summands, one for all or one a channel.
    pub offset: Vec<f32>,
}

/// The size that an image is seen at.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddedSize {
    /// The model's own, whatever the image's shape.
    Own,
    /// The image's shape.
    Shape {
        /// By how much more than the model's own extents.
        scale: f64,
        /// Extents differ from the model's own by multiples of this.
        step: f64,
        /// An image that is longer than this is taken to be so long.
        longest: f64,
    },
}

/// How an image of another shape than wanted is made to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddedFit {
    /// Each side is resized by its own factor.
    Squash,
    /// It is resized until it covers what is wanted, and its middle is taken.
    Crop,
    /// It is resized until it lies within what is wanted, and black is added on both sides.
    Pad,
}

/// A resize kernel that ONNX has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddedKernel {
    /// TensorFlow's: samples, f32.
    Bilinear,
    /// TensorFlow's.
    Nearest,
    /// Pillow's: averages where an image shrinks, whole numbers. Needs opset 18.
    AveragedBilinear,
    /// Pillow's. Needs opset 18.
    AveragedBicubic,
}

/// Writes a model as ONNX that takes images of any size, `[batch, height, width, channels]` in uint8, and resizes and scales
/// them itself.
pub fn save_with_preprocessing(
    model: &Model,
    path: &Path,
    preprocessing: &EmbeddedPreprocessing,
) -> Result<()> {
    match Format::of(path)? {
        Format::Onnx => {
            Ok(write_atomically(path, &onnx::write::to_bytes(path, model, Some(preprocessing))?)?)
        }
        _ => Err(Error::format(
            path,
            "only ONNX graphs hold their preprocessing\nhelp: end the name in `.onnx`, or leave the setting `embed-preprocessing` out",
        )),
    }
}
