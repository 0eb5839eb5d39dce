//! The arguments of `explain`.

use super::{Excluded, Images, ModelFile};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "\
Examples:
  frostline explain run photo.jpg -o map.png
  frostline explain run photo.jpg -o map.png --class cat    # why might it be
  frostline explain run photos/ -o maps/    # a PNG for each photo
  frostline explain run photo.jpg -o map.png --layer block_12_add    # finer

The map is ReLU(Σ α A): the channels of the layer's output, each weighted by the gradient by it of the class's logit, which is \
what goes into the last softmax or sigmoid. It is stretched over the photo as far as the model saw it, from dark blue (0) to yellow \
(its largest value); what the model did not see (--fit crop) is grey. A map says where the evidence for a class lies, not that the \
class is right.")]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) model: ModelFile,
    /// Images, or folders of images.
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) inputs: Vec<PathBuf>,
    /// The PNG to write, or for several images a folder, where each is called as its image.
    #[arg(short, long, value_name = "PNG|FOLDER", required_unless_present = "json")]
    pub(crate) output: Option<PathBuf>,
    /// The layer whose output is explained by [default: the highest whose output has a height and a width, or tokens in a grid;
    /// pooling layers left out].
    #[arg(long, value_name = "LAYER")]
    pub(crate) layer: Option<String>,
    /// The class to explain, by its name or its number from 0 [default: the one that is predicted].
    #[arg(long, value_name = "NAME|N")]
    pub(crate) class: Option<String>,
    /// How much of the photo the colours hide, from 0 to 1.
    #[arg(long, value_name = "X", default_value = "0.5", value_parser = opacity)]
    pub(crate) opacity: f32,
    /// One JSON object a line, an image each: class, score, layer and the map itself.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) excluded: Excluded,
    #[command(flatten)]
    pub(crate) images: Images,
}

fn opacity(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number: &f32| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "give a number from 0 to 1".to_owned())
}
