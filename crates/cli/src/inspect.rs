//! `frostline inspect`.

use crate::Failure;
use crate::args::Inspect;
use crate::console::{Console, one_line, table};
use frostline::data::Fit;
use frostline::fit::{fit_of, preprocess_of};
use frostline::graph::{Body, Graph, Model, as_flag};
use frostline::{Shape, formats};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sizes that stand in for extents which a file leaves open; what differs between both is open in the output too.
const STAND_INS: [usize; 2] = [224, 256];

struct Row {
    path: String,
    kind: String,
    shape: Option<Vec<Option<usize>>>,
    params: usize,
    trainable: bool,
    cut: bool,
}

pub(crate) fn run(command: &Inspect, console: &Console) -> Result<(), Failure> {
    let loaded = match &command.model.held {
        Some(held) => held.clone(),
        None => Arc::new(formats::load_with(&command.model.path, &command.model.options())?),
    };
    let (model, report) = (&loaded.model, &loaded.report);
    for warning in &report.warnings {
        console.warn(format_args!("`{}`: {warning}", command.model.path.display()));
    }
    let rows = rows(model)?;
    let params: usize = rows.iter().map(|row| row.params).sum();
    let preprocess = preprocess_of(model);
    if command.json {
        let layers: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "path": row.path, "kind": row.kind, "shape": row.shape, "params": row.params,
                    "trainable": row.trainable, "cut": row.cut,
                })
            })
            .collect();
        let unsupported: Vec<_> =
            report.unsupported.iter().map(|(path, kind)| json!({ "path": path, "kind": kind })).collect();
        return console.print(json!({
            "name": model.graph.name,
            "inputs": model.graph.input_shapes(),
            "layers": layers,
            "params": params,
            "classes": model.info.classes,
            "image_size": model.info.image_size,
            "resize": model.info.resize,
            "fit": model.info.fit,
            "scaled_decode": model.info.scaled_decode,
            "preprocess": preprocess.as_ref().ok().map(|(preprocess, _)| preprocess),
            "load": {
                "tensors": report.tensors, "loaded": report.loaded, "unused": report.unused,
                "notes": report.notes, "warnings": report.warnings, "unsupported": unsupported,
            },
        }));
    }
    let heading = ["layer", "kind", "output shape", "params", "", ""].map(str::to_owned).to_vec();
    let text = |row: &Row| {
        vec![
            as_flag(&row.path).into_owned(),
            row.kind.clone(),
            row.shape.as_deref().map_or_else(|| "?".to_owned(), shape_text),
            row.params.to_string(),
            if row.cut { "cut" } else { "" }.to_owned(),
            if row.trainable { "" } else { "not trainable" }.to_owned(),
        ]
    };
    let lines: Vec<Vec<String>> = std::iter::once(heading).chain(rows.iter().map(text)).collect();
    console.print(table(&lines, &[false, false, false, true]))?;
    let frozen = rows.iter().filter(|row| !row.trainable).count();
    let cuts = rows.iter().filter(|row| row.cut).count();
    console.print(format_args!(
        "\n{} layers, {params} parameters, {cuts} cut points (the graph can be kept up to a line marked `cut`)",
        rows.len()
    ))?;
    if frozen > 0 {
        console.print(format_args!(
            "{frozen} layers are marked as not trainable in the file; `train` follows its own setting"
        ))?;
    }
    match &preprocess {
        Ok((preprocess, how)) => console.print(format_args!("preprocessing: {preprocess} ({how})"))?,
        Err(why) => console.print(format_args!(
            "preprocessing: unknown ({why}); --preprocess says what the model was trained with, for ImageNet models of torchvision `torch`"
        ))?,
    }
    if let Some(resize) = &model.info.resize {
        console.print(format_args!(
            "images: resized by {resize}{}{}",
            match fit_of(model) {
                Fit::Squash => "",
                Fit::Crop => " until they cover the input, of which they fill the middle (--fit crop)",
                Fit::Pad => " until they lie within the input, with black on both sides (--fit pad)",
            },
            match model.info.scaled_decode {
                Some(times) =>
                    format!(", JPEGs decoded at {times} times the input's size at least (--scaled-decode)"),
                None => String::new(),
            }
        ))?;
    }
    if let Some(classes) = &model.info.classes {
        console.print(format_args!("classes: {}", one_line(&classes.join(", "))))?;
    }
    console.print(format_args!("{} tensors in the file, {} loaded", report.tensors, report.loaded))?;
    for unused in &report.unused {
        console.print(format_args!("unused: {unused}"))?;
    }
    for (path, class) in &report.unsupported {
        console.print(format_args!("cannot be run here: `{path}` ({class}); cut below it with --keep"))?;
    }
    for note in &report.notes {
        console.print(format_args!("note: {note}"))?;
    }
    Ok(())
}

fn rows(model: &Model) -> Result<Vec<Row>, Failure> {
    let cuts: BTreeSet<String> = model.graph.cut_points().into_iter().collect();
    let shapes = shapes(&model.graph);
    let mut params: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, handle) in model.weights.iter() {
        let layer = path.rsplit_once('/').map_or(path, |(layer, _)| layer);
        *params.entry(layer).or_default() += handle.with(|tensor| tensor.len());
    }
    let row = |(path, layer): (String, &frostline::graph::Layer)| Row {
        kind: match &layer.body {
            Body::Kind(kind) => kind.class_name().to_owned(),
            Body::Unsupported { class_name, .. } => class_name.clone(),
            Body::Model(_) => String::new(),
        },
        shape: shapes.get(&path).cloned().flatten(),
        params: params.get(path.as_str()).copied().unwrap_or(0),
        trainable: layer.trainable,
        cut: cuts.contains(&path),
        path,
    };
    Ok(model.graph.leaves().into_iter().map(row).collect())
}

type OpenShape = Vec<Option<usize>>;

/// The output shape of each layer, with `None` for extents that are open.
fn shapes(graph: &Graph) -> BTreeMap<String, Option<OpenShape>> {
    let leaf_shapes_at = |size: usize| {
        let close = |shape: OpenShape| shape.into_iter().map(|extent| extent.unwrap_or(size)).collect();
        let inputs: Vec<Shape> = graph.input_shapes().into_iter().map(close).collect();
        graph.leaf_shapes(&inputs)
    };
    let (Ok(small), large) = (leaf_shapes_at(STAND_INS[0]), leaf_shapes_at(STAND_INS[1])) else {
        return BTreeMap::new();
    };
    let open = |path: &String, shape: Shape| -> OpenShape {
        let other = large.as_ref().ok().and_then(|large| large.get(path)?.clone());
        let same = |(axis, extent): (usize, usize)| match &other {
            Some(other) if other.get(axis) != Some(&extent) => None,
            _ => Some(extent),
        };
        shape.into_iter().enumerate().map(same).collect()
    };
    small
        .into_iter()
        .map(|(path, shape)| {
            let shape = shape.map(|s| open(&path, s));
            (path, shape)
        })
        .collect()
}

fn shape_text(shape: &[Option<usize>]) -> String {
    let extent = |extent: &Option<usize>| extent.map_or_else(|| "?".to_owned(), |extent| extent.to_string());
    shape.iter().map(extent).collect::<Vec<_>>().join(" x ")
}
