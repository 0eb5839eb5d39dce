//! `frostline similar`.

use crate::Failure;
use crate::args::Similar;
use crate::console::{Console, table};
use crate::embed::{each, opened};
use frostline::data::{Dataset, Example, Split, Target, Thumbnail, path_text};
use frostline::embed::{EmbedPooling, Nearest};
use frostline::report::{Shown, SimilarPage};
use frostline::write_atomically;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(command: &Similar, console: &Console) -> Result<(), Failure> {
    if let Some(path) = &command.output
        && !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("html"))
    {
        return Err(format!("`{}`: the page is HTML\nhelp: end the name in `.html`", path.display()).into());
    }
    let (embedder, dataset, caching) = opened(&command.features, EmbedPooling::Mean, console)?;
    let mut embedding = embedder.begin(&caching)?;
    let folder = command.image.parent().unwrap_or(Path::new(""));
    let one = Dataset::of_files(folder, vec![command.image.clone()]);
    let mut features = vec![0.0; embedder.width()];
    let query: Vec<&Example> = one.train.iter().collect();
    if let Some(error) = embedding.of(&one, &query, &mut features)?.into_iter().flatten().next() {
        return Err(error.into());
    }
    let mut nearest = Nearest::new(features, command.metric, command.top);
    let mut seen: Vec<(Split, &Example)> = Vec::new();
    let all: Vec<(Split, &Example)> = dataset.examples().collect();
    each(&embedder, &mut embedding, &dataset, &all, console, |example, row| {
        nearest.see(seen.len(), row);
        seen.push(example);
        Ok(())
    })?;
    let found: Vec<(&Example, Split, f64)> =
        nearest.found().iter().map(|one| (seen[one.index].1, seen[one.index].0, one.distance)).collect();
    if let Some(path) = &command.output {
        let page = page(command, &dataset, &found, seen.len(), embedder.layer(), console)?;
        write_atomically(path, page.as_bytes())?;
    }
    let label = |example: &Example| label(&dataset, example);
    if command.json {
        let line = |(example, split, distance): &(&Example, Split, f64)| json!({ "image": example.name, "label": label(example), "part": split.name(), "distance": distance });
        return console.print(json!({
            "image": path_text(&command.image), "layer": embedder.layer(), "metric": command.metric.to_string(),
            "images": seen.len(), "nearest": found.iter().map(line).collect::<Vec<_>>(),
        }));
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(example, _, distance)| {
            vec![format!("{distance:.4}"), format!("`{}`", example.name), label(example).unwrap_or_default()]
        })
        .collect();
    console.print(format_args!(
        "of {} photos these {} are most like `{}`, by `{}` ({} distance)",
        seen.len(),
        rows.len(),
        command.image.display(),
        embedder.layer(),
        command.metric
    ))?;
    console.print(table(&rows, &[true, false]))
}

/// What an example is, in words.
fn label(dataset: &Dataset, example: &Example) -> Option<String> {
    match &example.target {
        Target::Class(class) => Some(dataset.classes[*class].clone()),
        Target::Labels(_) if !dataset.has_labels() => None,
        Target::Labels(labels) => {
            let names: Vec<&str> = labels.iter().map(|label| dataset.classes[*label].as_str()).collect();
            Some(names.join(", "))
        }
        Target::Value(values) => Some(values.iter().map(f32::to_string).collect::<Vec<_>>().join(" ")),
    }
}

fn page(
    command: &Similar,
    dataset: &Dataset,
    found: &[(&Example, Split, f64)],
    images: usize,
    layer: &str,
    console: &Console,
) -> Result<String, Failure> {
    let mut nearest = Vec::new();
    for (example, _, distance) in found {
        let picture = dataset.thumbnail(example, SimilarPage::SIDE).map_err(|error| console.warn(error));
        nearest.push(Shown {
            name: example.name.clone(),
            about: label(dataset, example),
            distance: Some(*distance),
            picture: picture.ok().flatten(),
        });
    }
    let name = path_text(&command.image);
    let picture = frostline::data::decode_file(&command.image)?;
    let picture = Some(Thumbnail::of(picture, SimilarPage::SIDE, &name)?);
    let query = Shown { name, about: None, distance: None, picture };
    let metric = command.metric.to_string();
    Ok(SimilarPage { query, nearest, images, layer: layer.to_owned(), metric }.html())
}
