//! `frostline models`: what is known to work, and how to get it.

mod table;

use crate::Failure;
use crate::args::Models;
use crate::console::{Console, table as columns};
use frostline::formats::Architecture;
use serde_json::{Value, json};
use table::{Library, Weights};

/// What saves any of Keras's applications.
const KERAS_SAVES: &str =
    r#"python -c "import keras; keras.applications.MobileNetV2().save('mobilenetv2.keras')""#;
/// What a small machine trains on in good time: the example of a family has at most so many parameters.
const SMALL: u64 = 30_000_000;

pub(crate) fn run(command: &Models, console: &Console) -> Result<(), Failure> {
    let word = command.word.as_deref().unwrap_or_default().to_lowercase();
    let known: Vec<Known> =
        Architecture::all().into_iter().map(Known::new).filter(|known| known.has(&word)).collect();
    let keras: Vec<Weights> =
        table::of(Library::Keras).filter(|one| one.name.to_lowercase().contains(&word)).collect();
    if known.is_empty() && keras.is_empty() {
        return Err(format!(
            "no architecture of --arch and no application of Keras is called `{word}`\nhelp: `frostline models` names the families; other models come as ONNX or as a file of Keras"
        )
        .into());
    }
    if command.json {
        return console.print(serde_json::to_string_pretty(&document(&known, &keras))?);
    }
    if command.all || !word.is_empty() {
        list(&known, console)?;
    } else {
        families(&known, console)?;
    }
    applications(&keras, console)?;
    if word.is_empty() {
        advice(console)?;
    }
    Ok(())
}

/// An architecture of `--arch`, with the weights that are published for it.
struct Known {
    family: &'static str,
    /// The name that `--arch` takes.
    name: String,
    weights: Vec<Weights>,
}

impl Known {
    fn new(architecture: Architecture) -> Self {
        let [torchvision, timm] = architecture.names_in_libraries();
        let of = |library, name: Option<&'static str>| {
            table::of(library).filter(move |one| Some(one.name) == name)
        };
        let weights = of(Library::Timm, timm).chain(of(Library::Torchvision, torchvision)).collect();
        Self { family: architecture.family(), name: architecture.to_string(), weights }
    }

    /// Whether a word is part of what it is called.
    fn has(&self, word: &str) -> bool {
        let mut names = self
            .weights
            .iter()
            .map(Weights::full_name)
            .chain([self.name.clone(), self.family.to_lowercase()]);
        names.any(|name| name.to_lowercase().contains(word))
    }
}

/// Of each family how many there are, and the best of the small ones.
fn families(known: &[Known], console: &Console) -> Result<(), Failure> {
    let mut names: Vec<&str> = known.iter().map(|known| known.family).collect();
    names.dedup();
    console.print(format_args!(
        "{} architectures of torchvision and timm are known to --arch. By family, with\nthe best of those below {} M parameters:\n",
        known.len(),
        SMALL / 1_000_000
    ))?;
    let mut rows = vec![["", "params", "image", "top-1"].map(str::to_owned).to_vec()];
    for family in names {
        let own: Vec<&Known> = known.iter().filter(|known| known.family == family).collect();
        rows.push(vec![format!("{family} ({})", own.len())]);
        let mut row = example(&own).map_or_else(|| vec![own[0].name.clone()], |weights| cells(&weights));
        row[0].insert_str(0, "  ");
        rows.push(row);
    }
    console.print(columns(&rows, &[false, true, true, true]))
}

/// The best on ImageNet of the small ones that can be pulled, else the smallest.
fn example(own: &[&Known]) -> Option<Weights> {
    let all: Vec<&Weights> = own
        .iter()
        .flat_map(|known| &known.weights)
        .filter(|one| one.library == Library::Timm && one.top1.is_some())
        .collect();
    let small = all.iter().filter(|one| one.parameters <= SMALL);
    let best = small.max_by(|a, b| a.top1.partial_cmp(&b.top1).unwrap_or(std::cmp::Ordering::Equal));
    let found = best.or_else(|| all.iter().min_by_key(|one| one.parameters)).copied();
    found.or_else(|| own.iter().flat_map(|known| &known.weights).min_by_key(|one| one.parameters)).cloned()
}

/// Each with the weights that there are for it.
fn list(known: &[Known], console: &Console) -> Result<(), Failure> {
    if known.is_empty() {
        return Ok(());
    }
    let mut rows = vec![["weights", "params", "size", "image", "top-1"].map(str::to_owned).to_vec()];
    for one in known {
        if one.weights.is_empty() {
            rows.push(vec![one.name.clone()]);
        }
        for weights in &one.weights {
            let mut row = cells(weights);
            row.insert(2, format!("{:.0} MB", weights.megabytes()));
            rows.push(row);
        }
    }
    console.print(columns(&rows, &[false, true, true, true, true]))
}

/// Name, parameters, image, score.
fn cells(weights: &Weights) -> Vec<String> {
    vec![
        weights.full_name(),
        format!("{:.1} M", weights.parameters as f64 / 1e6),
        weights.side.to_string(),
        weights.top1.map_or_else(String::new, |top1| format!("{top1:.1} %")),
    ]
}

fn applications(keras: &[Weights], console: &Console) -> Result<(), Failure> {
    if keras.is_empty() {
        return Ok(());
    }
    console.print("\nkeras.applications, as Keras saves them:\n")?;
    let mut rows = vec![["model", "params", "size", "image", "top-1"].map(str::to_owned).to_vec()];
    rows.extend(keras.iter().map(|one| {
        let mut row = cells(one);
        row.insert(2, format!("{:.0} MB", one.megabytes()));
        row
    }));
    console.print(columns(&rows, &[false, true, true, true, true]))?;
    console.print(format_args!("\n{KERAS_SAVES}"))
}

fn advice(console: &Console) -> Result<(), Failure> {
    console.print(
        "\n`frostline pull timm/NAME.TAG` brings weights of timm. `frostline models --all`\n\
         lists all, `frostline models WORD` those of a name or a family. For torchvision\n\
         see docs/pytorch.md; any other network may come as .onnx.\n\
         Scores are those of timm's, torchvision's and Keras's own tables: the share of\n\
         ImageNet's validation photos that is right, on images of this side. Where the\n\
         tables have none, there is none here.",
    )
}

fn document(known: &[Known], keras: &[Weights]) -> Value {
    let architectures: Vec<Value> = known
        .iter()
        .map(|one| json!({"arch": one.name, "family": one.family, "weights": one.weights.iter().map(Weights::json).collect::<Vec<_>>()}))
        .collect();
    json!({
        "architectures": architectures,
        "keras_applications": keras.iter().map(Weights::json).collect::<Vec<_>>(),
        "keras_saves": KERAS_SAVES,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_an_example_and_every_published_line_an_architecture() {
        let known: Vec<Known> = Architecture::all().into_iter().map(Known::new).collect();
        let shown: usize = known.iter().map(|one| one.weights.len()).sum();
        let lines = table::of(Library::Timm).count() + table::of(Library::Torchvision).count();
        assert_eq!(shown, lines);
        let resnets: Vec<&Known> = known.iter().filter(|one| one.family == "ResNet").collect();
        let example = example(&resnets).expect("one");
        assert!(
            example.parameters <= SMALL && example.top1.is_some_and(|top1| top1 > 80.0),
            "{}",
            example.full_name()
        );
    }
}
