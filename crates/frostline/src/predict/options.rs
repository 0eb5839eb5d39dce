//! What is said of a prediction beside the model.

use crate::fit::{Applied, ImageSize, fit_of, input_shape, resize_of, scaled_decode_of};
use frostline_data::{Augment, Dataset, Fit, Pipeline, Resize, ScaledDecode};
use frostline_formats::LoadOptions;
use frostline_graph::{Model, PrefixDType, Result};

/// What is said of a prediction beside the path of the model.
#[derive(Clone, Debug, Default)]
pub struct PredictOptions {
    /// What is said of the model's file.
    pub load: LoadOptions,
    /// At most so many of the views that were saved with the model; all of them by default.
    pub views: Option<usize>,
    /// What the model computes in.
    pub precision: PrefixDType,
    /// How pictures become inputs.
    pub pictures: PictureSettings,
}

/// How pictures become the inputs of a model; what is not said is as the model was trained.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureSettings {
    /// The size of the input, where the model leaves it open.
    pub image_size: Option<ImageSize>,
    /// The kernel that resizes.
    pub resize: Option<Resize>,
    /// What becomes of pictures of another shape.
    pub fit: Option<Fit>,
    /// How far large JPEGs are scaled down while they are decoded.
    pub scaled_decode: Option<ScaledDecode>,
    /// The name of a preprocessing, or `auto`.
    pub preprocess: String,
}

impl Default for PictureSettings {
    fn default() -> Self {
        let preprocess = "auto".to_owned();
        Self { image_size: None, resize: None, fit: None, scaled_decode: None, preprocess }
    }
}

impl PictureSettings {
    /// The way from a picture, or from an example of `dataset`, to a model's input, and what its user should know of it.
    ///
    /// # Errors
    ///
    /// A setting that does not fit the model; a model whose input is no picture, or of an unknown size.
    pub fn pipeline(&self, model: &Model, dataset: Option<&Dataset>) -> Result<(Pipeline, Vec<String>)> {
        let shape = input_shape(model, self.image_size, dataset)?;
        let mut notes = self.other_than_trained(model);
        let resize = self.resize.unwrap_or_else(|| resize_of(model));
        let fit = self.fit.unwrap_or_else(|| fit_of(model));
        let scaled = self.scaled_decode.unwrap_or_else(|| scaled_decode_of(model));
        let applied = Applied::to(model, &self.preprocess, dataset, &shape)?;
        notes.extend(applied.notes);
        let pipeline = Pipeline::new(&shape, resize, Augment::default(), applied.preprocess)?;
        Ok((pipeline.fitted(fit).scaled(scaled).of_arrays(applied.arrays), notes))
    }

    /// Says where pictures are shown to a model otherwise than those that it was trained on.
    fn other_than_trained(&self, model: &Model) -> Vec<String> {
        // a model that says how its images were resized was trained here, and says the rest too
        if model.info.resize.is_none() {
            return Vec::new();
        }
        let kernel = self.resize.map(|given| ("resize", given.name(), resize_of(model).name()));
        let fit = self.fit.map(|given| ("fit", given.name(), fit_of(model).name()));
        let differs = [kernel, fit].into_iter().flatten().filter(|(_, given, own)| given != own);
        differs
            .map(|(name, given, own)| {
                format!(
                    "the setting `{name} = {given}` shows the model other images than it was trained on: with them it was the setting `{name} = {own}`\nhelp: leave the setting `{name}` out"
                )
            })
            .collect()
    }
}
