//! `frostline explain`.

use crate::Failure;
use crate::args::Explain;
use crate::console::Console;
use crate::images::{load, pipeline};
use frostline::data::{Fault, decode_file, path_text, pictures_in};
use frostline::explain::{Explained, Explainer, HeatMap};
use frostline::graph::Model;
use frostline::write_atomically;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) fn run(command: &Explain, console: &Console) -> Result<(), Failure> {
    let (model, _) = load(&command.model, console)?;
    let class = command.class.as_deref().map(|name| class_of(&model, name)).transpose()?;
    let pictures = pictures(command, console)?;
    let files = outputs(command.output.as_deref(), &pictures)?;
    let pipeline = pipeline(&model, &command.images, None, console)?;
    let explainer = Explainer::new(&model, command.layer.as_deref(), pipeline)?;
    let mut bad = Vec::new();
    for (done, (path, file)) in pictures.iter().zip(&files).enumerate() {
        let name = path_text(path);
        let picture = match explainer.open(path) {
            Ok(picture) => picture,
            Err(error) => {
                bad.push(Fault::of(&error).unwrap_or(Fault::Unreadable));
                console.warn(error);
                continue;
            }
        };
        let map = explainer.explain(&picture, &name, class)?;
        if let Some(file) = file {
            // the picture as it was decoded may be smaller than the file's
            let png = map.overlay_png(&decode_file(path)?, command.opacity)?;
            write_atomically(file, &png)?;
        }
        tell(&model, &name, &map, file.as_deref(), command.json, console)?;
        console.count("explaining", done + 1, pictures.len());
    }
    console.clear();
    match Fault::counts(bad.iter().copied()) {
        None => Ok(()),
        Some(counts) => Err(format!(
            "{} images could not be read ({counts}); the others are explained\nhelp: replace or remove them",
            bad.len()
        )
        .into()),
    }
}

/// What is to be known of a map.
pub(crate) fn notes_of(map: &HeatMap, name: &str, class: &str) -> Vec<String> {
    let of_output = (map.of == Explained::Output).then(|| {
        format!(
            "`{name}`: the model does not end with its softmax or sigmoid, so that the class's output is explained, not its logit"
        )
    });
    let empty = map.is_empty().then(|| {
        format!(
            "`{name}`: nothing in `{}` speaks for {class}: the map is empty\nhelp: name a layer below it with --layer",
            map.layer
        )
    });
    of_output.into_iter().chain(empty).collect()
}

fn tell(
    model: &Model,
    name: &str,
    map: &HeatMap,
    file: Option<&Path>,
    as_json: bool,
    console: &Console,
) -> Result<(), Failure> {
    let class = model.info.class_name(map.class);
    notes_of(map, name, &class).iter().for_each(|note| console.warn(note));
    if as_json {
        let rows: Vec<&[f32]> = map.values.chunks_exact(map.width.max(1)).collect();
        let mut line = json!({
            "image": name, "class": class, "index": map.class, "score": map.score, "layer": map.layer, "of": map.of.name(),
            "grid": [map.height, map.width], "map": rows,
        });
        line["file"] = file.map_or(Value::Null, |file| json!(path_text(file)));
        return console.print(line);
    }
    let shown = file.map(path_text).unwrap_or_default();
    console.print(format_args!(
        "{name}: {class} {:.4}, by `{}` ({} x {}): `{shown}`",
        map.score, map.layer, map.height, map.width
    ))
}

/// The number of a class that is named, or told by its number.
pub(crate) fn class_of(model: &Model, name: &str) -> Result<usize, Failure> {
    let classes = model.info.classes.as_deref().unwrap_or_default();
    let index = classes.iter().position(|class| class == name);
    index.or_else(|| name.parse().ok()).ok_or_else(|| match classes {
        [] => format!("`{name}` is no class: the model has no class names\nhelp: give its number, from 0")
            .into(),
        classes => format!("`{name}` is none of the classes\nhelp: they are {}", classes.join(", ")).into(),
    })
}

/// The images that are named, and those in folders.
fn pictures(command: &Explain, console: &Console) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = Vec::new();
    for input in &command.inputs {
        match input.is_dir() {
            true => {
                let (found, left_out) = pictures_in(input, &command.excluded.patterns())?;
                left_out.iter().for_each(|warning| console.warn(warning));
                paths.extend(found);
            }
            false => paths.push(input.clone()),
        }
    }
    Ok(paths)
}

/// The file for each picture: the one that is named, or in a folder one that is called as the picture.
fn outputs(output: Option<&Path>, pictures: &[PathBuf]) -> Result<Vec<Option<PathBuf>>, Failure> {
    let Some(output) = output else { return Ok(vec![None; pictures.len()]) };
    let is_png = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    if is_png && !output.is_dir() {
        return match pictures {
            [_] => Ok(vec![Some(output.to_owned())]),
            several => Err(format!(
                "`{}` is one file, and there are {} images\nhelp: give a folder with -o",
                output.display(),
                several.len()
            )
            .into()),
        };
    }
    if output.is_file() {
        return Err(format!(
            "`{}`: heat maps are written as PNG\nhelp: end the name in `.png`",
            output.display()
        )
        .into());
    }
    std::fs::create_dir_all(output).map_err(|error| frostline::Error::io(output, error))?;
    let mut taken = BTreeSet::new();
    let mut name = |picture: &PathBuf| {
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let numbered = (2..).map(|number| format!("{stem}_{number}"));
        let free =
            std::iter::once(stem.clone()).chain(numbered).find(|name| taken.insert(name.to_lowercase()));
        Some(output.join(format!("{}.png", free.unwrap_or(stem))))
    };
    Ok(pictures.iter().map(&mut name).collect())
}
