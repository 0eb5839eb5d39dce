//! Features of images: what a layer of a model makes of them, as vectors to store, to compare or to learn from elsewhere.
//!
//! An [`Embedder`] says which; an [`Embedding`] makes them, some images at a time, so that memory is bounded however many there
//! are. With a cache on disk what was made once is read, and a pass that was interrupted goes on where it was.

mod neighbours;

pub use neighbours::{Distance, Nearest, Neighbour};

use crate::fit::features::cache::{FeatureCache, StoredFeatures};
use crate::fit::{
    Caching, Examples, ViewPass, feature_keys, mean_of_views, stored_as, stored_views, takes_any_size,
};
use frostline_data::{DataError, Dataset, Example, Pipeline, View};
use frostline_graph::{Error, Keep, Model, PrefixDType, Result, Shape, Transfer};
use rayon::prelude::*;

/// Bytes of features of the images at hand.
const AT_ONCE: usize = 64 << 20;
/// Images at hand, at most.
const MOST: usize = 512;

/// How an output with places becomes a vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmbedPooling {
    /// By the mean over pixels; of tokens by the class token, where the model goes on from that alone, else by their mean.
    #[default]
    Mean,
    /// It is kept as it is.
    Nothing,
}

/// Which features are made, and how.
#[derive(Debug)]
pub struct Embedder {
    model: Model,
    layer: String,
    shape: Shape,
    views: Vec<View>,
    pipeline: Pipeline,
    numbers: PrefixDType,
}

impl Embedder {
    /// Features of `model` at the layer `cut`; by default those that its classifier stands on. `views`: what a picture is
    /// taken in, whose features are averaged; by default those that were saved with the model, where it can take them.
    ///
    /// # Errors
    ///
    /// A layer that is not there or cannot be cut at; views of other sizes, where the model takes its own alone.
    pub fn new(
        model: &Model,
        cut: Option<&str>,
        pooling: EmbedPooling,
        views: Option<Vec<View>>,
        pipeline: Pipeline,
        numbers: PrefixDType,
    ) -> Result<Self> {
        let keep = match cut {
            Some(name) => Keep::Layer(model.graph.find_layer(name)?),
            None => model.graph.default_keep(),
        };
        let mut kept = model.keep_with(&keep, Transfer::Share)?;
        let last = || kept.graph.counted_paths().pop();
        let layer = model.graph.highest_kept(&keep).or_else(last).unwrap_or_default();
        let input = pipeline.input().to_vec();
        let mut shape = output_shape(&kept, &input)?;
        if pooling == EmbedPooling::Mean
            && let Some(kind) = kept.pooling_of(&shape)?
        {
            kept.add_layers(vec![kind], std::slice::from_ref(&input), 0)?;
            shape = output_shape(&kept, &input)?;
        }
        let views = match views {
            Some(views) if views.iter().all(|view| view.is_own()) => vec![View::Own],
            Some(views) if takes_any_size(&kept, &pipeline) => views,
            Some(_) => {
                return Err(Error::setting(format!(
                    "the output of `{layer}` has other numbers for images of other sizes than the model's own\nhelp: leave the setting `views` out, or give the setting `views = own`"
                )));
            }
            None => {
                let saved =
                    model.info.views.iter().map(|view| Ok(view.parse()?)).collect::<Result<Vec<View>>>()?;
                let fits = !saved.is_empty() && takes_any_size(&kept, &pipeline);
                if fits { saved } else { vec![View::Own] }
            }
        };
        if views.iter().any(|view| !view.is_own()) {
            kept.open_input();
        }
        Ok(Self { model: kept, layer, shape, views, pipeline, numbers })
    }

    /// The path of the layer.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// The shape of an image's features.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The numbers of an image's features.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// The views of an image whose features are averaged.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// How many images fit into memory at a time.
    pub fn at_once(&self) -> usize {
        (AT_ONCE / (4 * self.views.len() * self.width()).max(1)).clamp(1, MOST)
    }

    /// Names all that the features of an image depend on: layers, weights, preprocessing, views, and the code and the instruction set
    /// that compute them.
    ///
    /// # Errors
    ///
    /// Layers that cannot be run.
    pub fn key(&self) -> Result<String> {
        let (key, _) = stored_as(&self.numbers, &self.model, &self.pipeline, self.width())?;
        let views: Vec<String> = self.views.iter().map(View::to_string).collect();
        Ok(format!("{} {}", key.name(), views.join(",")))
    }

    /// Readies it for images. With [`Caching::Disk`] what the cache holds is read, and what it lacks is stored.
    ///
    /// # Errors
    ///
    /// Layers that cannot be run; a cache that cannot be opened.
    pub fn begin(&self, caching: &Caching) -> Result<Embedding<'_>> {
        let pass = ViewPass::new(&self.model, &self.numbers, &self.pipeline, &self.views)?;
        let store = match caching {
            Caching::Disk(cache) => Some(self.open(cache)?),
            Caching::Memory(_) | Caching::Nothing => None,
        };
        Ok(Embedding { embedder: self, pass, store, computed: 0 })
    }

    fn open(&self, cache: &FeatureCache) -> Result<StoredFeatures> {
        let (key, form) = stored_as(&self.numbers, &self.model, &self.pipeline, self.width())?;
        cache.open(key, form, &self.model.graph.name, std::slice::from_ref(&self.layer))
    }
}

/// Makes features.
pub struct Embedding<'a> {
    embedder: &'a Embedder,
    pass: ViewPass<'a>,
    store: Option<StoredFeatures>,
    computed: usize,
}

impl Embedding<'_> {
    /// The features of examples into `rows`, `[examples, width]`. Returns the error of each that cannot be read, whose numbers
    /// are then of no meaning. At most [`Embedder::at_once`] are to be given at a time.
    ///
    /// # Errors
    ///
    /// A model that cannot be compiled for the size of an image; a cache that cannot be written to; features that are not
    /// finite.
    pub fn of(
        &mut self,
        dataset: &Dataset,
        examples: &[&Example],
        rows: &mut [f32],
    ) -> Result<Vec<Option<DataError>>> {
        let (width, views) = (self.embedder.width().max(1), &self.embedder.views);
        let image_len = views.len() * width;
        let contents: Vec<Result<blake3::Hash, DataError>> =
            examples.par_iter().map(|example| dataset.content_of(example)).collect();
        let mut errors: Vec<Option<DataError>> = Vec::with_capacity(examples.len());
        let mut missing: Vec<(usize, blake3::Hash)> = Vec::new();
        let mut image = vec![0.0; image_len];
        for (index, content) in contents.into_iter().enumerate() {
            let row = &mut rows[index * width..][..width];
            match content {
                Ok(content) => {
                    errors.push(None);
                    let is_there = self
                        .store
                        .as_ref()
                        .is_some_and(|store| stored_views(store, views, &content, &mut image));
                    match is_there {
                        true => row.copy_from_slice(&mean_of_views(&image, width)),
                        false => missing.push((index, content)),
                    }
                }
                Err(error) => errors.push(Some(error)),
            }
        }
        let chosen: Vec<&Example> = missing.iter().map(|(index, _)| examples[*index]).collect();
        let mut found = vec![0.0; missing.len() * image_len];
        let bad = self.pass.run(&Examples { dataset, examples: &chosen }, &mut found, &|| {})?;
        let mut sound = Vec::new();
        for (((index, content), error), image) in missing.iter().zip(bad).zip(found.chunks_exact(image_len)) {
            match error {
                Some(error) => errors[*index] = Some(error),
                None => {
                    rows[index * width..][..width].copy_from_slice(&mean_of_views(image, width));
                    sound.push((*content, image));
                }
            }
        }
        self.computed += sound.len();
        let lost = examples
            .iter()
            .zip(&errors)
            .zip(rows.chunks_exact(width))
            .find(|((_, error), row)| error.is_none() && row.iter().any(|value| !value.is_finite()));
        if let Some(((example, _), _)) = lost {
            return Err(Error::data(format!(
                "what `{}` makes of `{}` is no finite number\nhelp: look at the image's values and the setting `preprocess`, or take another copy of the model",
                self.embedder.layer, example.name
            )));
        }
        if let Some(store) = &mut self.store {
            let keys: Vec<_> = sound.iter().flat_map(|(content, _)| feature_keys(views, content)).collect();
            let vectors = sound.iter().flat_map(|(_, image)| image.chunks_exact(width));
            if !store.append(&keys, vectors) {
                self.store = None; // it is full: what it holds would soon be less than what it lacks
            }
        }
        Ok(errors)
    }

    /// How many images were computed, not read from the cache.
    pub fn computed(&self) -> usize {
        self.computed
    }
}

/// Names the images of a dataset, with their labels and in their order, but not what is in them.
pub fn images_key(dataset: &Dataset) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut say = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    dataset.classes.iter().for_each(|class| say(class));
    for (split, example) in dataset.examples() {
        say(split.name());
        say(&example.name);
        say(&format!("{:?}", example.target));
    }
    hasher.finalize().to_hex().to_string()
}

fn output_shape(model: &Model, input: &Shape) -> Result<Shape> {
    let [output] = model.graph.outputs.as_slice() else {
        return Err(Error::surgery(format!(
            "the model has {} outputs\nhelp: name the layer whose output is wanted with the setting `cut`",
            model.graph.outputs.len()
        )));
    };
    let shapes = model.graph.infer_shapes(std::slice::from_ref(input))?;
    Ok(shapes[output.call][output.output].clone())
}
