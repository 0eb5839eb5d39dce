//! The pooled features of images at several cuts and in several views, found by the images' contents.

use super::pass::{Examples, ViewPass};
use crate::fit::Caching;
use crate::fit::features::cache::{FeatureCache, FeatureKey, Form, PrefixKey, StoredFeatures};
use crate::fit::features::passes::images_at_once;
use frostline_data::{DataError, Dataset, Example, Pipeline, View, check_example};
use frostline_engine::compile::compile_frozen;
use frostline_graph::{DType, Error, Freeze, Model, PrefixDType, Result};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Bytes of features that are held in memory where they are on disk too. More would not be faster: a solver keeps its own
/// coordinates of the rows, and reads the features a few times in order.
pub(in crate::fit::solved) const IN_MEMORY: usize = 64 << 20;

/// How features are made.
pub(in crate::fit::solved) struct Maker<'a> {
    /// The frozen layers, whose only output is that of all cuts, one behind the other.
    pub(in crate::fit::solved) model: &'a Model,
    pub(in crate::fit::solved) numbers: &'a PrefixDType,
    pub(in crate::fit::solved) pipeline: &'a Pipeline,
    pub(in crate::fit::solved) views: &'a [View],
    pub(in crate::fit::solved) caching: &'a Caching,
    pub(in crate::fit::solved) boundary: &'a [String],
    /// Bytes of features that are held in memory where they are on disk too.
    pub(in crate::fit::solved) most_held: usize,
}

/// Features of images, `[images, views, width]`.
#[derive(Debug)]
pub(crate) struct HeadFeatures {
    views: Vec<View>,
    width: usize,
    /// Of each content its position in what is held in memory.
    positions: HashMap<blake3::Hash, usize>,
    held: Vec<f32>,
    /// Where they are read from if they are too large to be held.
    store: Option<StoredFeatures>,
}

/// An example and the error that it had, if any.
type Errors = Vec<Option<DataError>>;

impl HeadFeatures {
    /// Takes images through the frozen layers, each content once; what is stored is read. Returns the error of each example
    /// that is damaged or not there, of which there are no features.
    ///
    /// Errors: a file that is sound is at odds with the model; neither memory nor cache has room.
    pub(in crate::fit::solved) fn new(
        maker: &Maker<'_>,
        dataset: &Dataset,
        examples: &[&Example],
        told: &(dyn Fn() + Sync),
    ) -> Result<(Self, Errors)> {
        let mut pass = ViewPass::new(maker.model, maker.numbers, maker.pipeline, maker.views)?;
        let width = pass.width();
        let mut store = maker.store(width, FeatureCache::open)?;
        let hashes: Vec<Result<blake3::Hash, DataError>> =
            examples.par_iter().map(|example| dataset.content_of(example)).collect();
        let contents: Vec<Option<blake3::Hash>> =
            hashes.iter().map(|hash| hash.as_ref().ok().copied()).collect();
        let mut errors: Errors = hashes.into_iter().map(Result::err).collect();
        // the first example of each content, in their order: the cache's files are the same in every run
        let mut first: HashMap<blake3::Hash, usize> = HashMap::new();
        let mut unique: Vec<(blake3::Hash, usize)> = Vec::new();
        for (index, content) in contents.iter().enumerate() {
            match content {
                Some(content) if !first.contains_key(content) => {
                    first.insert(*content, index);
                    unique.push((*content, index));
                }
                _ => told(),
            }
        }
        let image_len = maker.views.len() * width;
        let bytes = size_of::<f32>() * image_len * unique.len();
        let holds = store.is_none() || bytes <= maker.most_held;
        let mut held = vec![0.0; if holds { image_len * unique.len() } else { 0 }];
        let mut missing = Vec::new();
        let mut row = vec![0.0; image_len];
        for (position, (content, _)) in unique.iter().enumerate() {
            let is_there = store.as_ref().is_some_and(|store| read(store, maker.views, content, &mut row));
            if !is_there {
                missing.push(position);
                continue;
            }
            told();
            if holds {
                held[position * image_len..][..image_len].copy_from_slice(&row);
            }
        }
        if !holds && !missing.is_empty() {
            maker.check_room(bytes)?;
        }
        let mut damaged = HashSet::new();
        for chunk in missing.chunks(images_at_once(image_len)) {
            let chosen: Vec<&Example> = chunk.iter().map(|position| examples[unique[*position].1]).collect();
            let mut rows = vec![0.0; chunk.len() * image_len];
            let found = pass.run(&Examples { dataset, examples: &chosen }, &mut rows, told)?;
            let mut sound = Vec::new();
            for ((position, error), row) in chunk.iter().zip(found).zip(rows.chunks_exact(image_len.max(1))) {
                let (content, index) = unique[*position];
                match error {
                    None => sound.push((content, row)),
                    Some(error) => {
                        errors[index] = Some(damage(examples[index], error)?);
                        damaged.insert(content);
                    }
                }
                if holds {
                    held[position * image_len..][..image_len].copy_from_slice(row);
                }
            }
            if let Some(open) = &mut store
                && !maker.append(open, &sound, width)
            {
                match (holds, open.refusal()) {
                    (true, _) => store = None, // they are in memory
                    (false, Some(why)) => return Err(no_room(bytes, why)),
                    (false, None) => return Err(too_small(bytes)),
                }
            }
        }
        // copies of a damaged file are as damaged
        for (index, content) in contents.iter().enumerate() {
            if content.is_some_and(|content| damaged.contains(&content)) && errors[index].is_none() {
                let error = DataError::image(&examples[index].name, "is damaged", "replace or remove it");
                errors[index] = Some(damage(examples[index], error)?);
            }
        }
        let positions =
            unique.iter().enumerate().map(|(position, (content, _))| (*content, position)).collect();
        let views = maker.views.to_vec();
        Ok((Self { views, width, positions, held, store: if holds { None } else { store } }, errors))
    }

    /// Whether the features of an image of this content are there.
    pub(in crate::fit::solved) fn has(&self, content: &blake3::Hash) -> bool {
        self.positions.contains_key(content)
    }

    /// Features of these examples: those columns of those views, averaged over the views.
    pub(in crate::fit::solved) fn of<'a>(
        &'a self,
        dataset: &Dataset,
        examples: &[&Example],
        columns: &[Range<usize>],
        views: &[View],
    ) -> Result<Chosen<'a>> {
        let contents = examples.iter().map(|example| dataset.content_of(example));
        let contents = contents.collect::<Result<Vec<_>, DataError>>()?;
        let views = (0..self.views.len()).filter(|index| views.contains(&self.views[*index])).collect();
        Ok(Chosen { features: self, contents, columns: columns.to_vec(), views })
    }
}

impl HeadFeatures {
    /// Stores these columns of images of these contents, one behind the other, in the views of `maker`, which makes just them.
    /// Where the cache has little room they are not stored.
    pub(in crate::fit::solved) fn store_part(
        &self,
        maker: &Maker<'_>,
        columns: &[Range<usize>],
        mut contents: Vec<blake3::Hash>,
    ) -> Result<()> {
        /// A part of the cache that is worth it.
        const PART: u64 = 4;
        let Caching::Disk(cache) = maker.caching else { return Ok(()) };
        let width: usize = columns.iter().map(Range::len).sum();
        let image_len = maker.views.len() * width;
        if PART * (size_of::<f32>() * image_len * contents.len()) as u64 > cache.limit {
            return Ok(());
        }
        let Some(mut store) = maker.store(width, FeatureCache::open)? else { return Ok(()) };
        contents.retain(|content| !keys(maker.views, content).all(|key| store.contains(&key)));
        let mut seen = HashSet::new();
        contents.retain(|content| seen.insert(*content));
        let mut whole = vec![0.0; self.views.len() * self.width];
        for chunk in contents.chunks(images_at_once(image_len)) {
            let mut part: Vec<(blake3::Hash, Vec<f32>)> = Vec::with_capacity(chunk.len());
            for content in chunk {
                let Some(position) = self.positions.get(content) else { continue };
                let image = match &self.store {
                    None => &self.held[*position * whole.len()..][..whole.len()],
                    Some(store) if read(store, &self.views, content, &mut whole) => &whole,
                    Some(_) => continue,
                };
                let mut row = Vec::with_capacity(image_len);
                for view in maker.views {
                    let Some(at) = self.views.iter().position(|own| own == view) else { return Ok(()) };
                    let own = &image[at * self.width..][..self.width];
                    columns.iter().for_each(|columns| row.extend_from_slice(&own[columns.clone()]));
                }
                part.push((*content, row));
            }
            let rows: Vec<(blake3::Hash, &[f32])> =
                part.iter().map(|(content, row)| (*content, row.as_slice())).collect();
            if !maker.append(&mut store, &rows, width) {
                break;
            }
        }
        Ok(())
    }
}

/// What is wrong with an example's file. A sound file that does not suit the model is an error.
fn damage(example: &Example, error: DataError) -> Result<DataError> {
    match check_example(example) {
        Err(damage) => Ok(damage),
        Ok(()) => Err(error.into()),
    }
}

impl Maker<'_> {
    /// `open`: as a rule [`FeatureCache::open`], to write to it, or [`FeatureCache::look`].
    fn store(
        &self,
        width: usize,
        open: impl Fn(&FeatureCache, PrefixKey, Form, &str, &[String]) -> Result<StoredFeatures>,
    ) -> Result<Option<StoredFeatures>> {
        let Caching::Disk(cache) = self.caching else { return Ok(None) };
        let (key, form) = stored_as(self.numbers, self.model, self.pipeline, width)?;
        open(cache, key, form, &self.model.graph.name, self.boundary).map(Some)
    }

    /// Of how many examples the features are stored.
    pub(in crate::fit::solved) fn cached(
        &self,
        width: usize,
        dataset: &Dataset,
        examples: &[&Example],
    ) -> Result<usize> {
        let Some(store) = self.store(width, FeatureCache::look)? else { return Ok(0) };
        let is_stored = |example: &&&Example| {
            dataset
                .content(example)
                .is_some_and(|content| keys(self.views, &content).all(|key| store.contains(&key)))
        };
        Ok(examples.iter().filter(is_stored).count())
    }

    /// Errors: features of so many bytes are neither held in memory nor can the cache hold them.
    fn check_room(&self, bytes: usize) -> Result<()> {
        match self.caching {
            Caching::Disk(cache) if bytes as u64 > cache.limit => Err(too_small(bytes)),
            _ => Ok(()),
        }
    }

    fn append(&self, store: &mut StoredFeatures, images: &[(blake3::Hash, &[f32])], width: usize) -> bool {
        let keys: Vec<FeatureKey> =
            images.iter().flat_map(|(content, _)| keys(self.views, content)).collect();
        let rows = images.iter().flat_map(|(_, row)| row.chunks_exact(width.max(1)));
        store.append(&keys, rows)
    }
}

fn too_small(bytes: usize) -> Error {
    no_room(
        bytes,
        "the cache may not grow so large\nhelp: raise the setting `cache-limit`; or give the setting `no-cache`, which holds them in memory",
    )
}

fn no_room(bytes: usize, why: &str) -> Error {
    Error::setting(format!(
        "the features of all images take {:.1} GiB, and {why}",
        bytes as f64 / f64::from(1 << 30)
    ))
}

/// What the outputs of a whole model are found by, `width` numbers of an image, and how they lie in the cache.
pub(crate) fn stored_as(
    numbers: &PrefixDType,
    model: &Model,
    pipeline: &Pipeline,
    width: usize,
) -> Result<(PrefixKey, Form)> {
    let all = Freeze::everything(&model.graph);
    let frozen = compile_frozen(numbers, model, &all, &[pipeline.input().to_vec()])?;
    let key = PrefixKey::new(&frozen, DType::F32, pipeline);
    Ok((key, Form { dtype: DType::F32, feature_len: width }))
}

/// What the features of an image are found by, by view. The model's own view has the key that it has everywhere.
pub(crate) fn keys(views: &[View], content: &blake3::Hash) -> impl Iterator<Item = FeatureKey> {
    views.iter().map(|view| {
        let text = format!("view {view}");
        FeatureKey::new(content, (!view.is_own()).then_some(text.as_str()))
    })
}

/// Reads an image in all views. False if one is missing or damaged.
pub(crate) fn read(
    store: &StoredFeatures,
    views: &[View],
    content: &blake3::Hash,
    image: &mut [f32],
) -> bool {
    let width = (image.len() / views.len().max(1)).max(1);
    keys(views, content).zip(image.chunks_exact_mut(width)).all(|(key, row)| store.read(&key, row))
}

/// Some of the features of some images, averaged over some views.
pub(in crate::fit::solved) struct Chosen<'a> {
    features: &'a HeadFeatures,
    contents: Vec<blake3::Hash>,
    columns: Vec<Range<usize>>,
    views: Vec<usize>,
}

impl Chosen<'_> {
    /// How many images.
    pub(in crate::fit::solved) fn rows(&self) -> usize {
        self.contents.len()
    }

    /// Numbers of an image.
    pub(in crate::fit::solved) fn width(&self) -> usize {
        self.columns.iter().map(Range::len).sum()
    }

    /// The widths of the blocks that they come from.
    pub(in crate::fit::solved) fn blocks(&self) -> Vec<usize> {
        self.columns.iter().map(Range::len).collect()
    }

    /// Reads images `rows` into `[feature vectors, width]`.
    pub(in crate::fit::solved) fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<()> {
        let HeadFeatures { width, positions, held, store, views } = self.features;
        let image_len = views.len() * width;
        let mut row = vec![0.0; image_len];
        for (content, out) in self.contents[rows].iter().zip(out.chunks_exact_mut(self.width().max(1))) {
            let image = match (store, positions.get(content)) {
                (None, Some(position)) if !held.is_empty() => &held[position * image_len..][..image_len],
                (Some(store), Some(_)) if read(store, views, content, &mut row) => &row,
                _ => {
                    return Err(Error::setting(
                        "features that were stored a moment ago cannot be read\nhelp: run it again; `frostline cache verify` removes what is damaged".to_owned(),
                    ));
                }
            };
            let mut at = 0;
            for columns in &self.columns {
                let out = &mut out[at..at + columns.len()];
                at += columns.len();
                out.fill(0.0);
                for view in &self.views {
                    let row = &image[view * width..][columns.clone()];
                    out.iter_mut().zip(row).for_each(|(out, value)| *out += value / self.views.len() as f32);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{Check, Setting, SolveConfig, TrainConfig, Validation, prepare, silent};
    use frostline_data::open;
    use frostline_formats as formats;
    use std::path::Path;

    const ASSETS: &str = "../cli/assets/demo";

    #[test]
    fn features_on_disk_are_those_in_memory() -> Result<()> {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = |limit| Caching::Disk(FeatureCache::new(folder.path(), limit));
        let recipe = TrainConfig { solve: Some(SolveConfig::default()), ..TrainConfig::default() };
        let model = formats::load(&Path::new(ASSETS).join("my_model_A.h5"))?.model;
        let data = open(&Path::new(ASSETS).join("fashion_subset.npz"))?;
        let none = Validation::Fraction(0.0);
        let mut prepared =
            prepare(Check::Nothing, model, data, recipe, &none, 0, Caching::Memory(1 << 30), &silent)?;
        prepared.dataset.know_contents()?;
        let wide = &prepared.solving.as_ref().expect("a head is to be solved").wides[0];
        let (dataset, pipeline) = (&prepared.dataset, &prepared.pipeline);
        let examples: Vec<&Example> = dataset.train.iter().take(40).collect();
        let all = |caching: Caching, most_held| -> Result<Vec<f32>> {
            let setting = Setting { caching, ..prepared.setting.clone() };
            let maker = Maker { most_held, ..wide.maker(pipeline, &setting) };
            let (features, errors) = HeadFeatures::new(&maker, dataset, &examples, &|| {})?;
            assert!(errors.iter().all(Option::is_none));
            let whole = 0..features.width;
            let chosen = features.of(dataset, &examples, std::slice::from_ref(&whole), &features.views)?;
            let mut rows = vec![0.0; chosen.rows() * chosen.width()];
            chosen.read(0..chosen.rows(), &mut rows)?;
            Ok(rows)
        };
        let in_memory = all(Caching::Memory(1 << 30), 0)?;
        assert_eq!(all(cache(1 << 20), 0)?, in_memory, "computed, and read from the disk");
        assert_eq!(all(cache(1 << 20), 0)?, in_memory, "stored before");
        assert_eq!(all(cache(1 << 20), IN_MEMORY)?, in_memory, "stored before, and held");
        assert_eq!(all(cache(1 << 10), IN_MEMORY)?, in_memory, "held, for the cache is too small");
        let stored = all(cache(1 << 10), 0)?;
        assert_eq!(stored, in_memory, "a small limit takes nothing away that is stored");
        let empty = tempfile::tempdir().expect("a folder");
        let small = Caching::Disk(FeatureCache::new(empty.path(), 1 << 10));
        let error = all(small, 0).expect_err("there is room nowhere").to_string();
        assert!(error.contains("the setting `cache-limit`"), "{error}");
        Ok(())
    }
}
