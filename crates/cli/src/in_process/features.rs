//! `embed`, into memory.

use super::search::pool_of_now;
use super::{Call, GivenData, Outcome, another};
use crate::args::Command;
use crate::embed::{each, embedder_of, kept_in, none_read, opened, pooling};
use crate::images::load;
use frostline::data::{Example, InMemory, MemoryInputs, MemoryPicture, Reading, Source, Split, Target};
use frostline::embed::Embedder;
use frostline::fit::Caching;
use rayon::ThreadPool;

/// Features, a row an image that could be read.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// `[images, …]`, row-major.
    pub features: Vec<f32>,
    /// The shape of an image's.
    pub shape: Vec<usize>,
    /// What each image is.
    pub targets: Vec<Target>,
    /// What each is called.
    pub paths: Vec<String>,
    /// The part of each: `train`, `val` or `test`.
    pub parts: Vec<&'static str>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The layer whose output it is.
    pub layer: String,
    /// How many images were computed, not read from the cache.
    pub computed: usize,
}

/// `embed`.
///
/// # Errors
///
/// As of the command.
pub fn embed(call: Call, data: GivenData) -> Outcome<Embedded> {
    // the command wants a file, which is not written here
    let words = vec!["--output=features.npz".into()];
    call.run("embed", Some(data), words, |command, _, console| {
        let Command::Embed(command) = command else { return Err(another()) };
        let (embedder, dataset, caching) = opened(&command.features, pooling(command), console)?;
        let mut embedding = embedder.begin(&caching)?;
        let mut found = Embedded {
            features: Vec::with_capacity(dataset.examples().count() * embedder.width()),
            shape: embedder.shape().clone(),
            targets: Vec::new(),
            paths: Vec::new(),
            parts: Vec::new(),
            classes: dataset.classes.clone(),
            layer: embedder.layer().to_owned(),
            computed: 0,
        };
        let all: Vec<(Split, &Example)> = dataset.examples().collect();
        each(&embedder, &mut embedding, &dataset, &all, console, |(split, example), row| {
            found.features.extend_from_slice(row);
            found.targets.push(example.target.clone());
            found.paths.push(example.name.clone());
            found.parts.push(split.name());
            Ok(())
        })?;
        if found.paths.is_empty() {
            return Err(none_read(&dataset));
        }
        found.computed = embedding.computed();
        Ok(found)
    })
}

/// Makes features of pictures, some at a time, with all that it takes loaded once.
pub struct PictureEmbedder {
    embedder: Embedder,
    caching: Caching,
    pool: ThreadPool,
}

/// Features of pictures, a row each, and what is wrong with those that could not be read: their rows are not numbers.
#[derive(Clone, Debug)]
pub struct EmbeddedPictures {
    /// `[pictures, …]`, row-major.
    pub features: Vec<f32>,
    /// The shape of a picture's.
    pub shape: Vec<usize>,
    /// Of each picture.
    pub errors: Vec<Option<String>>,
}

impl PictureEmbedder {
    /// `embed`, up to the first image.
    ///
    /// # Errors
    ///
    /// As of the command.
    pub fn open(call: Call) -> Outcome<Self> {
        // the command wants data and a file, which are not read or written here
        call.run_on("embed", vec!["--output=features.npz".into()], "-".into(), |command, _, console| {
            let Command::Embed(command) = command else { return Err(another()) };
            let (model, _) = load(&command.features.model, console)?;
            let embedder = embedder_of(&command.features, pooling(command), &model, None, console)?;
            let caching = kept_in(&command.features, console);
            Ok(Self { embedder, caching, pool: pool_of_now()? })
        })
    }

    /// The features of pictures.
    ///
    /// # Errors
    ///
    /// Layers that cannot be run; features that are no finite numbers.
    pub fn of(&self, pictures: Vec<MemoryPicture>) -> Outcome<EmbeddedPictures> {
        let (shape, width) = (self.embedder.shape().clone(), self.embedder.width());
        let mut found = EmbeddedPictures { features: Vec::new(), shape, errors: Vec::new() };
        if pictures.is_empty() {
            return Ok(found);
        }
        let memory = InMemory::new("x").part(Split::Train, MemoryInputs::Pictures(pictures), None);
        let dataset = Source::Memory(&memory).open_for_features(&Reading::default());
        let dataset = dataset.map_err(crate::Failure::from)?;
        let all: Vec<&Example> = dataset.examples().map(|(_, example)| example).collect();
        let make = || -> frostline::Result<()> {
            let mut embedding = self.embedder.begin(&self.caching)?;
            for some in all.chunks(self.embedder.at_once()) {
                let mut rows = vec![0.0; some.len() * width];
                for (at, error) in embedding.of(&dataset, some, &mut rows)?.into_iter().enumerate() {
                    if error.is_some() {
                        rows[at * width..][..width].fill(f32::NAN);
                    }
                    found.errors.push(error.map(|error| error.to_string()));
                }
                found.features.append(&mut rows);
            }
            Ok(())
        };
        self.pool.install(make)?;
        Ok(found)
    }
}
