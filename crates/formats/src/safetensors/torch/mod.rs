//! State dicts of torchvision and timm: the architecture that the user names is built as a graph of Keras layers with the
//! names of PyTorch's modules, and each weight is found by its layer's name.
//!
//! To add an architecture: a line in its family's table. To add a family: a file with a table and how its network is put
//! together, a line in `registry.rs`, and a golden file.

mod architecture;
mod beside;
mod builder;
mod convnext;
mod densenet;
mod ghostnet;
mod guess;
mod inception;
mod mixer;
mod mobile;
mod modules;
mod poolformer;
mod positions;
mod pretrained;
mod registry;
mod regnet;
mod repvgg;
mod resnet;
mod row;
mod shufflenet;
mod source;
mod squeezenet;
mod swin;
mod twins;
mod vgg;
mod vit;

pub use architecture::Architecture;
pub(super) use source::source;

use super::assign::{LEFT_BEHIND, assign, left_over, misfit, report};
use super::file::Tensors;
use crate::Loaded;
use beside::Beside;
use builder::Builder;
use frostline_graph::{Body, Error, Graph, Model, Result};
use guess::{guess, unnamed};
use pretrained::Pretrained;
use registry::Entry;
use row::Library;
use std::path::Path;
use twins::elsewhere;

/// The graph that a state dict of this architecture fills, and whose names its modules have: those of the library with which
/// fewer weights find no tensor, and fewer tensors are left over. `likely` is taken where both fit alike.
fn graph(
    entry: &Entry,
    tensors: &Tensors<'_>,
    likely: Library,
    image_size: Option<[usize; 2]>,
) -> Result<(Graph, Library)> {
    let mut libraries = Library::ALL.to_vec();
    libraries.sort_by_key(|library| *library != likely);
    let built = libraries.into_iter().filter(|library| entry.name_in(*library).is_some()).map(|library| {
        let graph = built(entry, tensors, library, image_size)?;
        let wanted = graph.weight_specs(&graph.stand_in_shapes())?;
        let fits = wanted.iter().filter(|wanted| misfit(tensors, wanted, source(wanted).as_ref()).is_none());
        let fits = fits.count();
        let (missing, left) = (wanted.len() - fits, tensors.names().len().saturating_sub(fits));
        Ok((missing + left, graph, library))
    });
    let built: Vec<Result<(usize, Graph, Library)>> = built.collect();
    let (fitting, failed): (Vec<_>, Vec<_>) = built.into_iter().partition(Result::is_ok);
    let best = fitting.into_iter().flatten().min_by_key(|(wrong, ..)| *wrong);
    match (best, failed.into_iter().find_map(Result::err)) {
        (Some((_, graph, library)), _) => Ok((graph, library)),
        (None, Some(error)) => Err(error),
        (None, None) => Err(Error::surgery(format!("`{}` is of no library", entry.name()))),
    }
}

fn built(
    entry: &Entry,
    tensors: &Tensors<'_>,
    library: Library,
    image_size: Option<[usize; 2]>,
) -> Result<Graph> {
    let mut builder = Builder::new(&format!("torch_{}", entry.name()), tensors);
    builder.image_size = image_size;
    let output = entry.network.build(&mut builder, library);
    builder.finish(output)
}

/// Reads a state dict whose architecture the user did not name: `config.json` beside it may.
pub(super) fn load_unnamed(
    path: &Path,
    tensors: Tensors<'_>,
    image_size: Option<[usize; 2]>,
) -> Result<Loaded> {
    let beside = Beside::read(path);
    match beside.as_ref().and_then(|beside| beside.said.parse::<Architecture>().ok()) {
        Some(architecture) => {
            let mut loaded = load(path, tensors, architecture, image_size)?;
            loaded
                .report
                .notes
                .push(format!("the `config.json` beside it says that it is a `{architecture}`"));
            Ok(loaded)
        }
        None => Err(unnamed(path, &tensors)),
    }
}

/// Builds the architecture and fills it. A part of another architecture is not taken for the whole of this one.
pub(super) fn load(
    path: &Path,
    mut tensors: Tensors<'_>,
    architecture: Architecture,
    image_size: Option<[usize; 2]>,
) -> Result<Loaded> {
    let entry = architecture.entry();
    let resized = match image_size {
        None => None,
        Some(size) => entry.network.take_to(size, &mut tensors)?,
    };
    let tensors = &tensors;
    let aside: Vec<(&str, &str)> = entry.network.only_trained().iter().chain(LEFT_BEHIND).copied().collect();
    let beside = Beside::read(path);
    // only timm has tags, and a `config.json` beside its files
    let is_timms = architecture.tagged().is_some_and(Pretrained::is_timms)
        || beside.as_ref().is_some_and(|beside| beside.is_of(architecture));
    let likely = if is_timms { Library::Timm } else { Library::Torchvision };
    let filled = graph(entry, tensors, likely, image_size).and_then(|(graph, library)| {
        let (weights, used) = assign(path, tensors, &graph, source)?;
        Ok((graph, weights, report(tensors, &used, &aside), library))
    });
    if filled.as_ref().map_or(true, |(_, _, report, _)| !report.unused.is_empty())
        && let Some(other) = guess(tensors).into_iter().find(|other| !other.is_the_same_as(entry))
    {
        let other = other.name();
        return Err(Error::format(
            path,
            format!(
                "its tensors are those of `{other}`, not of `{architecture}`\nhelp: give the setting `arch = {other}`"
            ),
        ));
    }
    let (mut graph, weights, mut report, library) = filled?;
    report.warnings.extend(resized);
    if !report.unused.is_empty() {
        let help = format!(
            "it is a larger architecture than `{architecture}`, or the file holds more than a state dict: {}",
            elsewhere()
        );
        return Err(left_over(path, &report.unused, &format!("`{architecture}`"), &help));
    }
    // all twins are of timm's, whose modules may have other names
    if guess::is_timms(entry, tensors) {
        if let Some(said) = twins::said_beside(entry, path, beside.as_ref()) {
            return Err(Error::format(path, said));
        }
        report.warnings.extend(twins::warning(entry, beside.as_ref()));
    }
    let shown = shown(architecture, library, beside.as_ref());
    if !shown.is_imagenets() {
        graph.name = format!("timm_{}", entry.name());
    }
    let mut info = shown.info();
    info.image_size = input_size(&graph).or(info.image_size);
    Ok(Loaded { model: Model { graph, weights, info }, report })
}

/// How the weights were shown their images: as the user's tag says, else `config.json`, else the default weights of the
/// library that the names are from.
fn shown(architecture: Architecture, library: Library, beside: Option<&Beside>) -> Pretrained {
    if let Some(tagged) = architecture.tagged() {
        return tagged.clone();
    }
    let said = beside.filter(|beside| beside.is_of(architecture)).and_then(|beside| beside.shown.clone());
    said.unwrap_or_else(|| {
        let name = architecture.entry().name_in(library).unwrap_or_default();
        Pretrained::of(name, library)
    })
}

/// The size of images where a graph takes only one.
fn input_size(graph: &Graph) -> Option<[usize; 2]> {
    let input = graph.layers.iter().find(|layer| match &layer.body {
        Body::Kind(kind) => kind.class_name() == "InputLayer",
        _ => false,
    })?;
    let extent = |axis: usize| usize::try_from(input.config["batch_shape"][axis].as_u64()?).ok();
    Some([extent(1)?, extent(2)?])
}
