//! `frostline check`.

use crate::Failure;
use crate::args::Check;
use crate::cache;
use crate::console::{Console, table};
use crate::images::load;
use frostline::data::{self, Dataset, Fault, LabelKind, Skip, check_all};
use frostline::fit::{
    Check as Decoded, Event, Findings, Prospect, SolveConfig, TrainConfig, Validation, prepare,
};
use serde_json::json;

/// A class with fewer photos is told.
const FEW: usize = 10;
/// Lines of each list on a terminal.
const SHOWN: usize = 20;

/// What was found without a model.
struct Found {
    /// Each class and its images.
    classes: Vec<(String, usize)>,
    skipped: Vec<Skip>,
    duplicates: Vec<String>,
    summary: String,
    has_several_labels: bool,
}

pub(crate) fn run(command: &Check, seed: u64, console: &Console) -> Result<(), Failure> {
    let mut dataset = data::open_as(&command.data, &command.labels.reading())?;
    let mut warnings = std::mem::take(&mut dataset.warnings);
    let (skips, told) = match &command.model {
        None => {
            let images = dataset.examples().count();
            (check_all(&dataset, &|done| console.count("checking images", done, images))?, None)
        }
        Some(path) => {
            let file = crate::args::ModelFile {
                path: path.clone(),
                arch: command.arch,
                custom: Vec::new(),
                held: None,
            };
            let (model, _) = load(&file, console)?;
            let recipe = TrainConfig { solve: Some(SolveConfig::default()), ..TrainConfig::default() };
            let recipe = command.images.onto(recipe);
            let caching = cache::caching_in(&command.cache, console);
            let show = |event: &Event<'_>| console.show(event);
            let none = Validation::Fraction(0.0);
            let mut prepared =
                prepare(Decoded::FirstPass, model, dataset.clone(), recipe, &none, seed, caching, &show)?;
            let trained = prepared.train(&show)?;
            let findings = trained.solved.as_ref().map(|head| prepared.findings(head)).transpose()?;
            (prepared.skips, findings.map(|findings| (findings, trained.prospect().cloned())))
        }
    };
    console.clear();
    warnings.extend(skips.odd_note());
    let mut sound = dataset.without(&skips);
    sound.know_contents()?;
    let found = Found {
        classes: classes(&sound),
        skipped: skips.skipped,
        duplicates: sound.duplicates(),
        summary: sound.summary(),
        has_several_labels: sound.kind() == LabelKind::Labels,
    };
    match command.json {
        true => console.print(document(&found, told.as_ref(), &warnings)),
        false => show(&found, told.as_ref(), &warnings, console),
    }
}

fn classes(dataset: &Dataset) -> Vec<(String, usize)> {
    dataset.classes.iter().cloned().zip(dataset.class_counts(&dataset.train)).collect()
}

fn document(
    found: &Found,
    told: Option<&(Findings, Option<Prospect>)>,
    warnings: &[String],
) -> serde_json::Value {
    let class = |(name, images): &(String, usize)| json!({ "name": name, "images": images });
    let mut document = json!({
        "classes": found.classes.iter().map(class).collect::<Vec<_>>(), "skipped": found.skipped, "duplicates": found.duplicates, "warnings": warnings,
    });
    if let Some((findings, estimate)) = told {
        document["findings"] = json!(findings);
        document["estimate"] = json!(estimate);
    }
    document
}

fn show(
    found: &Found,
    told: Option<&(Findings, Option<Prospect>)>,
    warnings: &[String],
    console: &Console,
) -> Result<(), Failure> {
    console.print(&found.summary)?;
    warnings.iter().try_for_each(|warning| console.print(warning))?;
    let few: Vec<String> = found
        .classes
        .iter()
        .filter(|(_, images)| *images < FEW)
        .map(|(name, images)| format!("{name} {images}"))
        .collect();
    if !few.is_empty() {
        console
            .print(format_args!("classes with fewer than {FEW} photos to train on: {}", few.join(", ")))?;
    }
    let skips = found.skipped.iter().map(|skip| vec![format!("  `{}`", skip.name), skip.reason.clone()]);
    list("photos that cannot be read", skips.collect(), console)?;
    let counts = Fault::counts(found.skipped.iter().map(|skip| skip.fault));
    counts.iter().try_for_each(|counts| console.print(format_args!("of these {counts}")))?;
    found.duplicates.iter().try_for_each(|line| console.print(line))?;
    let Some((findings, _)) = told else {
        return console.print(
            "give --model to find photos that look mislabelled, near duplicates and photos far from all others",
        );
    };
    let suspects = findings.mislabelled.iter().map(|one| {
        let [label, likelier] = one.probabilities;
        vec![
            format!("  `{}`", one.image),
            format!("is labelled {}", one.label),
            format!("looks like {}", one.likelier),
            format!("{label:.2} against {likelier:.2}"),
        ]
    });
    match found.has_several_labels {
        true => console
            .print("photos that look mislabelled: not looked for, since a photo may have several labels")?,
        false => list("photos that look mislabelled", suspects.collect(), console)?,
    }
    let pairs =
        findings.near_duplicates.iter().map(|[one, other]| vec![format!("  `{one}`"), format!("`{other}`")]);
    list("photos that are nearly the same", pairs.collect(), console)?;
    let far = findings.far.iter().map(|name| vec![format!("  `{name}`")]);
    list("photos far from all others", far.collect(), console)
}

/// A titled list, or that there is nothing to list.
fn list(title: &str, rows: Vec<Vec<String>>, console: &Console) -> Result<(), Failure> {
    if rows.is_empty() {
        return console.print(format_args!("{title}: none"));
    }
    console.print(format_args!("{title}: {}", rows.len()))?;
    console.print(table(&rows[..rows.len().min(SHOWN)], &[false]))?;
    match rows.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => console.print(format_args!("  and {more} more; --json lists all")),
    }
}
