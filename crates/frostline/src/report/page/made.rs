//! How a model was made, so that it can be made again: what was frozen, what became of the file, how images are taken, the recipe.

use super::frame::{Column, Section, code, facts, grid, marked_up, name, visible};
use crate::fit::{Certificate, Prepared, Trained};
use crate::report::RunRecord;
use frostline_data::{Fit, Pipeline};
use frostline_formats::LoadReport;
use frostline_graph::Model;
use maud::{Markup, html};

/// Names that are listed of each kind.
const NAMES: usize = 500;

/// The section of a training.
pub(super) fn section(
    prepared: &Prepared,
    trained: &Trained,
    record: &RunRecord,
    load: Option<&LoadReport>,
    command: &[String],
) -> Section {
    let body = html! {
        (frozen(prepared, trained, record))
        @if let Some(load) = load { (tensors(load)) }
        h3 { "How images are taken" }
        (images(&prepared.pipeline, &prepared.model))
        h3 { "The recipe" }
        (recipe(record))
        (again(command, "Train into another folder with `-o`: a finished run is never written over."))
        h3 { "Versions" }
        (versions(record))
    };
    Section::new("made", "How it was made", body)
}

fn frozen(prepared: &Prepared, trained: &Trained, record: &RunRecord) -> Markup {
    let certificate = &record.certificate;
    let tensors = certificate.before.len();
    html! {
        h3 { "What was reused, and what stayed frozen" }
        (facts(&[
            ("kept", html! { (prepared.reused.len()) " of the file's " (prepared.layers) " layers" }),
            ("frozen throughout", html! { (record.frozen.len()) " layers" }),
            ("boundary", html! {
                @if record.boundary.is_empty() { "below the output layer" }
                @for (index, path) in record.boundary.iter().enumerate() { @if index > 0 { ", " } (code(path)) }
            }),
            ("certificate", html! {
                (tensors) " frozen tensors "
                @if certificate.equal { "are the same bit for bit, before and after" } @else { strong.wrong { "DIFFER" } }
            }),
        ]))
        @if let Some(head) = &record.solved {
            p {
                "The head was solved (" (method(&head.method)) ") on the outputs of "
                @for (index, cut) in head.cuts.iter().enumerate() { @if index > 0 { ", " } (code(cut)) }
                ", " (format!("{} pooling", head.pooling)) ", in " (format!("{:.1} s", head.seconds)) "."
            }
        }
        @if let Some(tried) = &record.unfreezing {
            p {
                "Training " (code(&tried.from)) " and above was tried on three parts of the photos: the cross-entropy falls by "
                (format!("{:.4} ± {:.4}", tried.gain, tried.error)) " and " (format!("{:+.1}", 100.0 * tried.accuracy_gain))
                " points more are right. It is " @if tried.adopted { "part of the model." } @else { "left out." }
            }
        }
        @if !record.stages.is_empty() { (stages(trained)) }
        details {
            summary { "The certificate: hashes of " (tensors) " frozen tensors" }
            (hashes(certificate))
        }
    }
}

fn method(name: &str) -> &str {
    match name {
        "mean" => "the mean of a ridge and a logistic regression",
        "ridge" => "ridge regression",
        "logistic" => "logistic regression",
        other => other,
    }
}

fn stages(trained: &Trained) -> Markup {
    let rows = trained.stages.iter().map(|stage| {
        let kept = match (stage.kept, stage.best_epoch) {
            (false, _) | (_, 0) => "stepped back".to_owned(),
            (_, epoch) => epoch.to_string(),
        };
        vec![
            name(&stage.name),
            html! { (stage.epochs) },
            html! { (kept) },
            html! { (stage.trained_parameters) },
            html! { (stage.frozen_layers) },
            html! { (format!("{:.1}", stage.seconds)) },
        ]
    });
    let columns = [
        Column::text("stage"),
        Column::number("epochs"),
        Column::number("epoch kept"),
        Column::number("numbers trained"),
        Column::number("frozen layers"),
        Column::number("s"),
    ];
    grid("Stages", &columns, rows.collect())
}

fn hashes(certificate: &Certificate) -> Markup {
    let rows = certificate.before.iter().map(|(path, before)| {
        let mut row = vec![name(path), code(before)];
        if !certificate.equal {
            row.push(code(certificate.after.get(path).map_or("", String::as_str)));
        }
        row
    });
    let mut columns = vec![
        Column::text("tensor"),
        Column::text(if certificate.equal { "blake3 before and after" } else { "blake3 before" }),
    ];
    if !certificate.equal {
        columns.push(Column::text("after"));
    }
    grid("Hashes of frozen tensors", &columns, rows.collect())
}

/// What became of every tensor of the file.
pub(super) fn tensors(load: &LoadReport) -> Markup {
    let unsupported: Vec<String> =
        load.unsupported.iter().map(|(path, class)| format!("{path} ({class})")).collect();
    html! {
        h3 { "What became of the model's file" }
        p {
            (load.loaded) " of " (load.tensors) " tensors were loaded"
            @if load.unused.is_empty() { ", and none is left over." } @else { "; " (load.unused.len()) " are not used." }
        }
        (list("Tensors that are not used", &load.unused))
        (list("Layers that cannot be run here", &unsupported))
        (list("Weights that the file does not fill", &load.kept))
        @for warning in &load.warnings { p { strong { "Warning: " } (marked_up(warning)) } }
        @for note in &load.notes { p.note { (marked_up(note)) } }
    }
}

fn list(title: &str, names: &[String]) -> Markup {
    html! {
        @if !names.is_empty() {
            details {
                summary { (title) ": " (names.len()) }
                ul.names { @for one in names.iter().take(NAMES) { li { (code(one)) } } }
                @if names.len() > NAMES { p.note { "and " (names.len() - NAMES) " more; " code { "frostline inspect" } " lists all." } }
            }
        }
    }
}

/// How a photo becomes what the model reads.
pub(super) fn images(pipeline: &Pipeline, model: &Model) -> Markup {
    let extents: Vec<String> = pipeline.input().iter().map(usize::to_string).collect();
    let views = &model.info.views;
    let mut told = vec![("input", html! { (extents.join(" × ")) })];
    if pipeline.own_size().is_some() {
        told.push(("resized by", html! { (code(pipeline.resize.name())) }));
        let fit = match (pipeline.fit, views.is_empty()) {
            (Fit::Squash, false) => "the photo keeps its own shape, at about the input's area",
            (Fit::Squash, true) => "each side by its own factor (squash)",
            (Fit::Crop, _) => "until it covers the input, of which it fills the middle (crop)",
            (Fit::Pad, _) => "until it lies within the input, with black on both sides (pad)",
        };
        told.push(("shape", html! { (fit) }));
        if !views.is_empty() {
            let views: Vec<&str> =
                views.iter().map(|view| if view == "own" { "the model's own input" } else { view }).collect();
            told.push((
                "views averaged",
                html! { (visible(&views.join(" and "))) " times the input's size" },
            ));
        }
        if !pipeline.scaled.is_off() {
            told.push((
                "JPEGs decoded",
                html! { "at " (pipeline.scaled.times()) " times the input's size at least" },
            ));
        }
        told.push(("EXIF", html! { "photos are turned upright" }));
    }
    told.push(("pixel values", html! { (code(&pipeline.preprocess.to_string())) " " (meaning(pipeline)) }));
    if !pipeline.augment.is_identity() {
        told.push(("augmented by", html! { (code(&pipeline.augment.to_string())) ", in training alone" }));
    }
    facts(&told)
}

fn meaning(pipeline: &Pipeline) -> &'static str {
    use frostline_data::Preprocess;
    match pipeline.preprocess {
        Preprocess::Tf => "(x / 127.5 − 1)",
        Preprocess::Unit => "(x / 255)",
        Preprocess::Caffe => "(BGR, less the mean of ImageNet)",
        Preprocess::Torch => "(x / 255, by ImageNet's mean and deviation)",
        Preprocess::None => "(as they are: the model scales them itself, or needs no scaling)",
        Preprocess::Affine { .. } => "",
    }
}

fn recipe(record: &RunRecord) -> Markup {
    // what can be read can be written
    let text = toml::to_string(&record.recipe).unwrap_or_default();
    html! {
        p.note { "As a file for " code { "--recipe" } "; what is not in it has its default." }
        pre tabindex="0" { (visible_lines(&text)) }
    }
}

/// The command that does it again.
pub(super) fn again(command: &[String], note: &str) -> Markup {
    html! {
        @if !command.is_empty() {
            h3 { "The command" }
            pre tabindex="0" { (visible(&quoted(command))) }
            p.note { (marked_up(note)) }
        }
    }
}

/// A command with the quotes that a shell wants.
fn quoted(command: &[String]) -> String {
    // an argument cannot hold the byte that no shell can quote
    let quote =
        |word: &String| shlex::try_quote(word).map_or_else(|_| word.clone(), |quoted| quoted.into_owned());
    command.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

fn versions(record: &RunRecord) -> Markup {
    let source = &record.source;
    let mut told = vec![
        ("frostline", html! { (record.version) }),
        (
            "model",
            html! { (code(&source.model.display().to_string())) @if let Some(arch) = &source.arch { ", " (code(arch)) } },
        ),
        ("its blake3", html! { (code(&source.model_hash)) }),
        ("data", html! { (code(&source.data.display().to_string())) }),
        ("seed", html! { (record.seed) }),
        ("threads", html! { (source.threads) }),
        ("time", html! { (format!("{:.1} s", record.seconds)) }),
    ];
    if let Some(bytes) = record.peak_bytes {
        told.push(("memory at most", html! { (bytes >> 20) " MiB" }));
    }
    facts(&told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_quoted_for_a_shell() {
        let words = ["frostline", "train", "my model.h5", "it's", "$HOME", "-o", "run"].map(str::to_owned);
        assert_eq!(quoted(&words), "frostline train 'my model.h5' \"it's\" '$HOME' -o run");
    }

    #[test]
    fn what_is_not_used_of_a_file_is_listed() {
        let load = LoadReport {
            tensors: 3,
            loaded: 1,
            unused: vec!["<b>/kernel".to_owned(), "c/bias".to_owned()],
            ..LoadReport::default()
        };
        let page = tensors(&load).into_string();
        assert!(page.contains("1 of 3 tensors were loaded; 2 are not used"), "{page}");
        assert!(page.contains("&lt;b&gt;/kernel") && page.contains("c/bias"), "{page}");
        assert!(tensors(&LoadReport::default()).into_string().contains("none is left over"));
    }
}
